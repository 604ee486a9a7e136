"""Tables laid out for readers: totals between rows, and values only in a group's first row."""

import re
from typing import Any

from xpnet.tables.cells import as_text

_NAMES = r"(?:sub-?|grand )?totals?|summe|gesamt(?:summe)?|(?:gesamt)?ergebnis"
_TOTAL = rf"(?i)^\W*(?:{_NAMES})\b|\b(?:{_NAMES})\W*$|^\*+(?: |$)"  # SAP has * 100551
_HINTS = (b"otal", b"OTAL", b"umme", b"UMME", b"esamt", b"rgebnis", b"*")  # found fast
_HEAD = 1 << 16  # bytes, in some of which there are words if there are totals
_FULL = 0.9  # share of cells filled in a column that totals leave empty


def subtotals(frame: Any, data: bytes) -> Any:
    """Return which rows of a Polars frame, read from `data`, are totals of others: bool, or None.

    There must be two or more with such a word, each without a cell that nearly all other rows have.
    """
    import polars

    has_words = re.search(rb"[A-Za-z]{4}", data[:_HEAD])
    if not (has_words and any(each in data for each in _HINTS)):
        return None
    gone = frame.select(as_text(each).is_null().alias(each.name) for each in frame)
    total = frame.select(polars.any_horizontal(polars.all().str.contains(_TOTAL)))
    total = total.to_series().fill_null(False)
    full = [each.name for each in gone.filter(~total) if each.mean() <= 1 - _FULL]
    rows = gone.filter(total).select(full)
    lacking = len(full) and rows.select(polars.any_horizontal(polars.all())).to_series().all()
    return total if lacking and 2 <= len(rows) < len(frame) / 4 else None


def merged_columns(frame: Any) -> int:
    """Count columns at the left whose cells were merged: only a group's first row has a value.

    Most of their cells are empty. Where a group begins in one of them, groups begin in those to its
    right; the first one has no group twice, and no fractions.
    """
    begins = None
    for count, cells in enumerate(map(as_text, frame)):
        starts, groups = cells.is_not_null(), cells.drop_nulls()
        again = groups.is_duplicated() | groups.str.contains(r"^[\d-]*[.,]\d")
        sparse = len(cells) > 2 * len(groups) > 2 and starts[0]
        if not sparse or (again if begins is None else begins & ~starts).any():
            return count
        begins = starts
    return 0


def filled_down(frame: Any, above: dict[str, Any]) -> Any:
    """Return a frame with the columns of `above` filled down; it keeps their last values."""
    for name, last in above.items():
        cells = as_text(frame[name]).forward_fill().fill_null(last)
        frame, above[name] = frame.with_columns(cells), cells[-1]
    return frame
