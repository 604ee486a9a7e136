"""Which columns can be inputs: not row numbers, names, sentences, dates or spoilt numbers."""

from collections.abc import Collection, Iterable, Iterator

import numpy as np

from xpnet.errors import InputError
from xpnet.tables.checks import explain_cell, is_number, option, plain, shown, up_to_ten
from xpnet.tables.preprocessing import Column
from xpnet.tables.surveys import Survey, category_counts, refuse_alike, refuse_text, texts_of
from xpnet.tables.table import Table

_SHUFFLED = 20  # from this many rows on, their numbers are an index in any order
_SCREENED = 2_000  # rows that show whether a column is worth a look at every row
_FAR, _FARTHER = 10, 100  # times the range of all other cells: of a repeated value, of one cell
_REPEATED = 3  # cells
_FEW = 10  # with fewer distinct numbers besides, only a row of nines is sure to be no number
_MANY = 100  # more distinct texts than this are not categories


def columns_to_use(
    table: Table, found: Survey, rows: np.ndarray, keep: Collection[str], notes: list[str]
) -> tuple[Column, ...]:
    """Decide on each column; refuse the first that cannot be used, and name the others."""
    columns, refusals = [], {}
    head = table.numbers(list(found.names), np.arange(min(table.rows, _SHUFFLED)))
    counts = category_counts(table, [each for each in found.names if table.texts.get(each)], rows)
    for place, name in enumerate(found.names):
        try:
            if table.layout == "table" and found.missing.get(name) == table.rows:
                message = f"{table.path}: column {shown(name)} has no value at all"
                raise InputError(f"{message}; pass {option('--drop', name)}.")
            if name in table.texts:
                words = texts_of(table, name, f", or pass {option('--drop', name)}")
                columns.append(_text_column(table, name, words, counts[name], name in keep, notes))
                continue
            if name not in keep and table.layout == "table":
                _refuse_index(table, name, head[:, place], found)
            columns.append(Column(name))
        except InputError as error:
            refusals[name] = error
    if refusals:
        first, *others = refusals
        message = str(refusals[first])
        if others:
            message = f"{message[:-1]}. Also refused: columns {up_to_ten(others)}."
        raise InputError(message)
    return tuple(columns)


def _text_column(
    table: Table,
    name: str,
    words: tuple[str, ...],
    counts: np.ndarray,
    keep: bool,
    notes: list[str],
) -> Column:
    refuse_spoilt_numbers(table, name, counts, f", or pass {option('--drop', name)}")
    used = tuple(each for each, count in zip(words, counts, strict=True) if count)
    if not keep:
        refuse_identifier(table, name, used, int(counts.sum()))
    notes.append(f"column {name}: {len(used)} categories one-hot encoded")
    return Column(name, categories=used)


def refuse_spoilt_numbers(table: Table, name: str, counts: np.ndarray, otherwise: str = "") -> None:
    """Refuse text that is mostly numbers, or was meant to be; and NaN as text.

    Numbers that the file calls text pass, unless they are integers that float64 cannot tell apart.
    """
    words = texts_of(table, name)
    for index, each in enumerate(words):
        if each in ("NaN", "nan"):
            row = int(np.flatnonzero(table.column(name) == index)[0])
            found = f"found {shown(each)}, which may be a word or a missing cell"
            raise InputError(f"{table.place(row, name)}: {found}; leave the cell empty.")
    numbers = np.asarray([is_number(each) for each in words], dtype=bool)
    if numbers.all():
        refuse_alike(table, name, otherwise)
        return
    meant = np.asarray([explain_cell(each) is not None for each in words], dtype=bool) | numbers
    if 0 < counts.sum() <= 2 * counts[meant].sum():
        refuse_text(table, name, otherwise)


def _refuse_index(table: Table, name: str, head: np.ndarray, found: Survey) -> None:
    """Refuse row numbers counted from 0 or 1; shuffled ones too, if it cannot be chance."""
    if len(np.unique(head)) < len(head):  # spares most columns the look at every row
        return
    low, high = found.low[name], found.high[name]
    if low not in (0.0, 1.0) or high != low + table.rows - 1 or table.rows < 3:
        return
    column = table.column(name)
    ordered = np.sort(column) if table.rows >= _SHUFFLED else column
    if np.array_equal(ordered, np.arange(low, high + 1)):
        remedy = f"pass {option('--drop', name)}, or {option('--keep', name)}"
        raise InputError(
            f"{table.place(0, name)}: found {plain(column[0])}; the column only numbers the rows "
            f"({low:.0f} to {high:.0f}); {remedy}."
        )


def refuse_identifier(
    table: Table, name: str, used: tuple[str, ...], count: int, target: bool = False
) -> None:
    """Refuse text too varied to be categories: names, ticket numbers, sentences.

    A target may have many classes, if they have enough rows.
    """
    distinct = len(used)
    various = distinct > 10 and 2 * distinct > count
    all_differ = distinct == count and count >= 3
    if (distinct <= _MANY or target) and not various and not all_differ:
        return
    row = int(np.flatnonzero(~np.isnan(table.column(name)))[0])
    spaces = sum(text.count(" ") for text in used[:1000]) / min(distinct, 1000)
    kind = "free text" if spaces >= 3 else "an identifier"
    remedy = f"pass {option('--drop', name)}, or {option('--keep', name)}"
    if target:
        remedy = "pass a column with fewer as --target, or give more rows of each class"
    raise InputError(
        f"{table.place(row, name)}: found {shown(table.cell(row, name))}; {distinct} different "
        f"texts in {count} rows look like {kind}; {remedy}."
    )


def note_far_cells(looked_at: Iterable[tuple[Table, Survey]], notes: list[str]) -> None:
    """Note a number beyond all others of its column: a code for "missing", such as -999, or a slip.

    One such cell leaves the others of a standardised column nearly alike. The largest of numbers
    that spread over many orders of magnitude is not far from the second largest.
    """
    for table, found in looked_at:
        if table.layout == "table":
            notes.extend(filter(None, _far_cells(table, found)))


def _far_cells(table: Table, found: Survey) -> Iterator[str | None]:
    names = [name for name in found.low if name not in table.texts]
    some = np.unique(np.linspace(0, table.rows - 1, min(table.rows, _SCREENED)).astype(np.int64))
    for name, cells in zip(names, table.numbers(names, some).T, strict=True):
        for value in (found.low[name], found.high[name]):
            # Among some of the rows, the others lie at most as far apart, and at least as far away.
            if _is_far(value, cells, _FAR):
                yield _far(table, name, value)


def _is_far(value: float, cells: np.ndarray, times: int) -> bool:
    others = cells[(cells != value) & np.isfinite(cells)]
    if len(others) < 2 or not np.isfinite(value):
        return False
    low, high = float(np.min(others)), float(np.max(others))
    return max(low - value, value - high) > times * (high - low) > 0.0


def _far(table: Table, name: str, value: float) -> str | None:
    cells = table.column(name)
    rows = np.flatnonzero(cells == value)
    others = np.unique(cells[(cells != value) & ~np.isnan(cells)])
    nines = abs(value) >= 99 and set(plain(abs(value))) == {"9"}
    if len(others) < _FEW and not nines:
        return None
    if not _is_far(value, others, _FAR if len(rows) >= _REPEATED else _FARTHER):
        return None
    more = f" (and in {len(rows) - 1} more rows)" if len(rows) > 1 else ""
    return (
        f"{table.place(rows[0], name)}: found {plain(value)}{more}, far from all other cells "
        f"({others[0]:.4g} to {others[-1]:.4g}); if it stands for a missing value, leave the cell "
        "empty and pass --missing impute"
    )
