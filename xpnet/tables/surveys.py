"""What is in the columns of a table: what is missing, is not a number, occurs how often."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from xpnet.errors import InputError
from xpnet.tables.checks import EXACT, LONG_INTEGER, alike, explain_cell, is_number, shown
from xpnet.tables.row_cache import MOST_TEXTS
from xpnet.tables.row_files import pieces
from xpnet.tables.table import Table


@dataclass(frozen=True)
class Survey:
    """What one look at some columns of some rows shows.

    Attributes
    ----------
    names : tuple of str
        The columns.
    missing, first : dict
        For each column with missing cells: how many, and the row of the first.
    complete : bool array (rows,)
        Where no cell is missing.
    low, high : dict
        The smallest and largest number of each column.
    """

    names: tuple[str, ...]
    missing: dict[str, int]
    first: dict[str, int]
    complete: np.ndarray
    low: dict[str, float]
    high: dict[str, float]


def survey(table: Table, names: Sequence[str], rows: np.ndarray) -> Survey:
    """Look at some columns of some rows, once; numbers that cannot be missing are not looked at."""
    found = Survey(tuple(names), {}, {}, np.ones(len(rows), dtype=bool), {}, {})
    if table.matrix.dtype.kind != "f":
        return found
    low, high = np.full(len(names), np.inf), np.full(len(names), -np.inf)
    for part in pieces(len(rows), len(table.names)):
        values = table.numbers(names, rows[part])
        low = np.fmin(low, np.fmin.reduce(values, axis=0))
        high = np.fmax(high, np.fmax.reduce(values, axis=0))
        lacking = np.isnan(values)
        for place in np.flatnonzero(lacking.any(axis=0)):
            cells = np.flatnonzero(lacking[:, place])
            name = names[int(place)]
            found.missing[name] = found.missing.get(name, 0) + len(cells)
            found.first.setdefault(name, int(rows[part][cells[0]]))
        found.complete[part] = ~lacking.any(axis=1)
    found.low.update(zip(names, low.tolist(), strict=True))
    found.high.update(zip(names, high.tolist(), strict=True))
    return found


def refuse_missing(table: Table, found: Survey, remedy: str) -> None:
    """Raise the InputError for missing cells, if there are any."""
    if not found.missing:
        return
    total = sum(found.missing.values())
    name = min(found.first, key=found.first.__getitem__)
    counts = ", ".join(f"{shown(each)} {count}" for each, count in [*found.missing.items()][:5])
    raise InputError(
        f"{table.place(found.first[name], name)}: a missing cell, the first of {total} ({counts}"
        f"{', ...' if len(found.missing) > 5 else ''}); {remedy}."
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
    places = np.flatnonzero(bad[places_of(table.column(name))])
    if not places.size:
        refuse_alike(table, name, otherwise)
        message = f"{table.path}: column {shown(name)} holds text where numbers are needed"
        raise InputError(f"{message}; save it as numbers{otherwise}.")
    cell = table.cell(places[0], name)
    what, remedy = explain_cell(cell, _decimal_comma(table, words)) or (
        "is not a number",
        "correct it",
    )
    if table.decimal == ",":  # as the file has it
        cell = cell.translate(str.maketrans(",.", ".,"))
    found = f"found {shown(cell)}, which {what}"
    others = f" ({len(places)} such cells)" if len(places) > 1 else ""
    raise InputError(f"{table.place(places[0], name)}: {found}{others}; {remedy}{otherwise}.")


def _decimal_comma(table: Table, words: Iterable[str]) -> bool:
    """Tell whether 1,185 in a column is less than 2: the comma is no delimiter, or is in 0,5."""
    if table.decimal == ",":
        return False
    found = filter(None, map(explain_cell, words))
    return table.delimiter == ";" or any("decimal comma" in what for what, _ in found)


def refuse_alike(table: Table, name: str, otherwise: str = "") -> None:
    """Raise the InputError for integers that float64 cannot tell apart, hence read as text."""
    words = texts_of(table, name)
    pair = alike(each for each in words if re.match(LONG_INTEGER, each))
    if pair is None:
        return
    row = int(np.flatnonzero(table.column(name) == words.index(pair[1]))[0])
    raise _alike_error(table, row, name, pair, otherwise)


def refuse_alike_cells(table: Table, names: Sequence[str]) -> None:
    """Do the same for an array of 64-bit integers, in some of its columns."""
    kind, wanted, known = table.matrix.dtype, set(names), dict[int, dict[float, int]]()
    if kind.kind not in "iu" or kind.itemsize < 8:
        return
    for part in pieces(table.rows, len(table.names)):
        block = table.read_rows(np.arange(part.start, part.stop))
        large = ((block >= EXACT) | (block <= -EXACT)).any(axis=0)
        for place in np.flatnonzero(large).tolist():
            name, cells = table.names[place], block[:, place]
            if name not in wanted:
                continue
            if pair := alike(np.unique(cells).tolist(), known.setdefault(place, {})):
                row = part.start + int(np.flatnonzero(cells == pair[1])[0])
                raise _alike_error(table, row, name, pair)


def _alike_error(
    table: Table, row: int, name: str, pair: tuple[Any, Any], otherwise: str = ""
) -> InputError:
    return InputError(
        f"{table.place(row, name)}: found {pair[1]}, which float64 (exact up to 2^53) cannot tell "
        f"from {pair[0]}; subtract an offset, such as {pair[0]}, from all cells{otherwise}."
    )


def texts_of(table: Table, name: str, otherwise: str = "") -> tuple[str, ...]:
    """Return the distinct texts of a column; refuse a column with too many to be of use."""
    if (words := table.texts[name]) is None:
        raise InputError(
            f"{table.path}: column {shown(name)} has more than {MOST_TEXTS:,} different texts, so "
            f"it is an identifier or free text; make it numbers or categories{otherwise}."
        )
    return words


def places_of(values: np.ndarray) -> np.ndarray:
    """Return places among texts as integers, -1 where a cell is missing."""
    return np.asarray(np.nan_to_num(values, nan=-1.0), dtype=np.int64)


def category_counts(table: Table, names: list[str], rows: np.ndarray) -> dict[str, np.ndarray]:
    """Return how often each text of some columns occurs in some rows."""
    counts = {name: np.zeros(len(texts_of(table, name)), np.int64) for name in names}
    for part in pieces(len(rows), len(table.names)) if names else ():
        values = table.numbers(names, rows[part])
        for name, column in zip(names, values.T, strict=True):
            places = column[~np.isnan(column)].astype(np.int64)
            counts[name] += np.bincount(places, minlength=len(counts[name]))
    return counts
