"""Which columns can be inputs: no numbers of rows, names, sentences, dates or spoilt numbers."""

from collections.abc import Collection

import numpy as np

from xpnet.csv_tables import Text
from xpnet.errors import InputError
from xpnet.preprocessing import Column, refuse_text
from xpnet.table_checks import explain_cell, is_number, plain, shown
from xpnet.tables import Table

_SHUFFLED = 20  # from so many rows on, their numbers in any order are an index
_MANY = 100  # distinct texts beyond here are no categories


def columns_to_use(
    table: Table, names: tuple[str, ...], rows: np.ndarray, keep: Collection[str], notes: list[str]
) -> tuple[Column, ...]:
    """Decide on each column; refuse the first that cannot be used, and name the others."""
    columns, refusals = [], {}
    for name in names:
        try:
            columns.append(_column(table, name, rows, name in keep, notes))
        except InputError as error:
            refusals[name] = error
    if refusals:
        first, *others = refusals
        message = str(refusals[first])
        if others:
            listed = ", ".join(others[:10]) + (", ..." if len(others) > 10 else "")
            message = f"{message[:-1]}. Columns refused likewise: {listed}."
        raise InputError(message)
    return tuple(columns)


def _column(table: Table, name: str, rows: np.ndarray, keep: bool, notes: list[str]) -> Column:
    if table.layout == "table" and table.missing(name).all():
        place = f"{table.path}: column {shown(name)} has no value at all"
        raise InputError(f"{place}; pass --drop {name}.")
    text = table.texts.get(name)
    if text is None:
        if not keep and table.layout == "table":
            _refuse_index(table, name)
        return Column(name)
    counts = category_counts(text, rows)
    refuse_spoilt_numbers(table, name, text)
    used = tuple(each for each, count in zip(text.categories, counts, strict=True) if count)
    if not keep:
        refuse_identifier(table, name, used, int(counts.sum()))
    notes.append(f"column {name}: {len(used)} categories one-hot encoded")
    return Column(name, categories=used)


def category_counts(text: Text, rows: np.ndarray) -> np.ndarray:
    """Return how often each category occurs in some rows."""
    codes = text.codes[rows]
    return np.bincount(codes[codes >= 0], minlength=len(text.categories))


def refuse_spoilt_numbers(table: Table, name: str, text: Text) -> None:
    """Refuse text that is mostly numbers, or what somebody meant for numbers; and NaN as text."""
    for index, each in enumerate(text.categories):
        if each in ("NaN", "nan"):
            row = int(np.flatnonzero(text.codes == index)[0])
            found = f"found {shown(each)}, which may be a word or a missing cell"
            raise InputError(f"{table.place(row, name)}: {found}; leave the cell empty.")
    counts = category_counts(text, np.arange(table.rows))
    alike = np.asarray([is_number(t) or explain_cell(t) is not None for t in text.categories])
    if 2 * int(counts[alike].sum()) >= int(counts.sum()):
        refuse_text(table, name)


def _refuse_index(table: Table, name: str) -> None:
    """Refuse the numbers of the rows from 0 or 1; shuffled, too, if that can be no chance."""
    column = table.matrix[:, table.index(name)]
    head = column[:_SHUFFLED]
    if len(np.unique(head)) < len(head):  # spares most columns the look at every row
        return
    low, high = column.min(), column.max()
    if low not in (0.0, 1.0) or high != low + table.rows - 1 or table.rows < 3:
        return
    ordered = np.sort(column) if table.rows >= _SHUFFLED else column
    if np.array_equal(ordered, np.arange(low, high + 1)):
        raise InputError(
            f"{table.place(0, name)}: found {plain(column[0])}; the column only numbers the rows "
            f"({low:.0f} to {high:.0f}); pass --drop {name}, or --keep {name}."
        )


def refuse_identifier(table: Table, name: str, used: tuple[str, ...], count: int) -> None:
    """Refuse text too various to be categories: names, numbers of tickets, sentences."""
    distinct = len(used)
    various = distinct > 10 and 2 * distinct > count
    all_differ = distinct == count and count >= 3
    if distinct <= _MANY and not various and not all_differ:
        return
    row = int(np.flatnonzero(table.texts[name].codes >= 0)[0])
    spaces = sum(text.count(" ") for text in used[:1000]) / min(distinct, 1000)
    kind = "free text" if spaces >= 3 else "an identifier"
    raise InputError(
        f"{table.place(row, name)}: found {shown(table.cell(row, name))}; {distinct} different "
        f"texts in {count} rows look like {kind}; pass --drop {name}, or --keep {name}."
    )
