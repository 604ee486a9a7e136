"""What is in the columns of a table, found in one pass over its rows; and the refusal of cells."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from xpnet.errors import InputError
from xpnet.tables.assemble import MAX_TEXTS
from xpnet.tables.cells import explain_cell, is_number
from xpnet.tables.messages import quoted, up_to_ten
from xpnet.tables.npy import pieces
from xpnet.tables.table import Table

_OPEN_RANGE = re.compile(r"[<>]=? ?\d+(\.\d+)?|\d+(\.\d+)?( ?\+|-\d+)")
_MAX_STRAYS = 3  # different words, or 5 % of all, that may stand among numbers by mistake


@dataclass(frozen=True)
class Summary:
    """What one pass over some columns shows; integers of an array cannot be missing.

    Attributes
    ----------
    complete : bool array (rows,)
        Where no cell is missing.
    missing, first_missing : dict of str to int
        For each column with missing cells: how many, and the row of the first.
    low, high : dict of str to float
        The smallest and largest number of each column.
    counts : dict of str to int array
        How often each text of a text column occurs.
    """

    complete: np.ndarray
    missing: dict[str, int]
    first_missing: dict[str, int]
    low: dict[str, float]
    high: dict[str, float]
    counts: dict[str, np.ndarray]


def summarize(table: Table, names: Sequence[str], *, only_complete: bool = False) -> Summary:
    """Look at some columns, once.

    Parameters
    ----------
    only_complete : bool
        Count texts only in rows without missing cells.
    """
    texts = {name: at for at, name in enumerate(names) if table.texts.get(name)}
    counts = {name: np.zeros(len(table.texts[name] or ()), np.int64) for name in texts}
    found = Summary(np.ones(table.rows, dtype=bool), {}, {}, {}, {}, counts)
    if table.matrix.dtype.kind != "f":
        return found
    low, high = np.full(len(names), np.inf), np.full(len(names), -np.inf)
    for part in pieces(table.rows, len(table.names)):
        block = table.numbers(names, part)
        low = np.fmin(low, np.fmin.reduce(block, axis=0))
        high = np.fmax(high, np.fmax.reduce(block, axis=0))
        gone = np.isnan(block)
        for at in np.flatnonzero(gone.any(axis=0)).tolist():
            rows = np.flatnonzero(gone[:, at])
            found.missing[names[at]] = found.missing.get(names[at], 0) + len(rows)
            found.first_missing.setdefault(names[at], part.start + int(rows[0]))
        found.complete[part] = ~gone.any(axis=1)
        for name, at in texts.items():
            there = found.complete[part] if only_complete else ~gone[:, at]
            codes = block[there, at].astype(np.int64)
            counts[name] += np.bincount(codes, minlength=len(counts[name]))
    found.low.update(zip(names, low.tolist(), strict=True))
    found.high.update(zip(names, high.tolist(), strict=True))
    return found


def refuse_missing(table: Table, found: Summary, names: Sequence[str], remedy: str) -> None:
    """Raise the InputError for missing cells in some columns, if there are any."""
    missing = {name: found.missing[name] for name in names if name in found.missing}
    if not missing:
        return
    name = min(missing, key=found.first_missing.__getitem__)
    counts = up_to_ten(f"{quoted(each)} {count}" for each, count in missing.items())
    raise InputError(
        f"{table.place(found.first_missing[name], name)}: a missing cell, the first of "
        f"{sum(missing.values())} ({counts}); {remedy}."
    )


def refuse_text(table: Table, name: str, otherwise: str = "") -> None:
    """Raise the InputError for the first cell that is not a number, if a column is text.

    Parameters
    ----------
    otherwise : str
        What helps besides correcting the cells, such as ", or pass --drop COLUMN".
    """
    if name not in table.texts:
        return
    words = texts_of(table, name)
    bad = np.asarray([not is_number(each) for each in words] + [False])
    rows = np.flatnonzero(bad[text_numbers(table.column(name))])
    if not rows.size:
        message = f"{table.path}: column {quoted(name)} holds text where numbers are needed"
        remedy = "save it as numbers without leading zeros, exact in float64 (up to 2^53)"
        raise InputError(f"{message}; {remedy}{otherwise}.")
    cell = table.cell(rows[0], name)
    what, remedy = explain_cell(cell) or ("is not a number", "correct it")
    others = f" ({len(rows)} such cells)" if len(rows) > 1 else ""
    found = f"found {quoted(cell)}, which {what}{others}"
    raise InputError(f"{table.place(rows[0], name)}: {found}; {remedy}{otherwise}.")


def refuse_spoilt_numbers(table: Table, name: str, counts: np.ndarray) -> None:
    """Refuse text that is mostly numbers, or was meant to be, with a few other words among them.

    Numbers that the file calls text pass, and those with the likes of 3+ or <1.
    """
    words = texts_of(table, name)
    if all(is_number(each) or _OPEN_RANGE.fullmatch(each) for each in words):
        return
    meant = np.asarray([is_number(each) or explain_cell(each) is not None for each in words])
    strays = int((~meant & (counts > 0)).sum())
    few = strays <= max(_MAX_STRAYS, len(words) // 20)
    if few and 0 < counts.sum() <= 2 * counts[meant].sum():
        refuse_text(table, name)


def texts_of(table: Table, name: str) -> tuple[str, ...]:
    """Return the distinct texts of a column; refuse a column with too many to be of use."""
    if (words := table.texts[name]) is None:
        raise InputError(
            f"{table.path}: column {quoted(name)} has more than {MAX_TEXTS:,} different texts, so "
            f"it is an identifier or free text; make it numbers or categories."
        )
    return words


def text_numbers(cells: np.ndarray) -> np.ndarray:
    """Return the numbers of texts as integers, -1 where a cell is missing."""
    return np.asarray(np.nan_to_num(cells, nan=-1.0), dtype=np.int64)


def distinct(values: np.ndarray) -> np.ndarray:
    """Return the different ones of some numbers, in order; by hashing, faster than by sorting."""
    import polars

    return np.asarray(polars.Series(values).unique().sort().to_numpy())
