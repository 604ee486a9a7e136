"""The kinds of columns, and which kind a column of a table is.

A kind is a frozen dataclass that says how many inputs of the network a column fills and what they
are called, fills them, and goes into the model file and back. To add one: write it, add it to
`KINDS`, and let `choose_columns` choose it from the column's summary.
"""

import re
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, TypeAlias

import numpy as np

from xpnet.backend.files import quoted as quoted_value
from xpnet.errors import FileError, InputError
from xpnet.tables.cells import is_number
from xpnet.tables.messages import format_number, option, quoted, up_to_ten
from xpnet.tables.summary import Summary, refuse_spoilt_numbers, text_numbers, texts_of
from xpnet.tables.table import Table

Labels: TypeAlias = tuple[str | float, ...]
"""The classes of a target, or categories of a column: all texts or all numbers."""

MAX_CATEGORIES = 100
MIN_SHUFFLED = 20  # from this many rows on, their numbers are an index in any order


@dataclass(frozen=True)
class Number:
    """A column of numbers; its input is ``(cell - mean) / std``, and 0 for an imputed cell.

    All number columns are filled at once, by `Preprocessing`.
    """

    name: str
    mean: float = 0.0
    std: float = 1.0

    inputs = 1

    def input_names(self) -> list[str]:
        """Name the input."""
        return [self.name]

    def to_dict(self) -> dict[str, Any]:
        """Return it in JSON's types."""
        return {"name": self.name, "mean": self.mean, "std": self.std}

    @classmethod
    def from_dict(cls, given: Mapping[str, Any], place: str) -> "Number":
        """Make it from the result of `to_dict`, which is not trusted."""
        kinds = {"name": "text", "mean": "number", "std": "scale"}
        return cls(*(checked(f"{place}.{field}", given[field], kinds[field]) for field in kinds))


@dataclass(frozen=True)
class Category:
    """A column of texts, with one input for each category: 1 where the cell holds it, else 0."""

    name: str
    categories: tuple[str, ...]

    @property
    def inputs(self) -> int:
        """How many inputs of the network it fills."""
        return len(self.categories)

    def input_names(self) -> list[str]:
        """Name each input: column=category."""
        return [f"{self.name}={each}" for each in self.categories]

    def fill(
        self, x: np.ndarray, table: Table, cells: np.ndarray, rows: np.ndarray, *, impute: bool
    ) -> None:
        """Write the inputs, 0 so far, of some rows.

        Parameters
        ----------
        x : array (rows, inputs)
        cells : float64 array (rows,)
        rows : int64 array
            The cells' rows in the table, for messages.
        impute : bool
            Whether unseen categories count as missing; they are refused otherwise.
        """
        codes = encode_labels(table, self.name, self.categories, cells)
        unseen = np.flatnonzero(codes == UNSEEN)
        if unseen.size and not impute:
            row = rows[unseen[0]]
            known = up_to_ten(map(quoted, self.categories))
            raise InputError(
                f"{table.place(row, self.name)}: found {quoted(table.cell(row, self.name))}, a "
                f"category that training did not see ({len(unseen)} such cells); the known ones "
                f"are {known}; correct it, or train with --missing impute."
            )
        seen = np.flatnonzero(codes >= 0)
        x[seen, codes[seen]] = 1

    def to_dict(self) -> dict[str, Any]:
        """Return it in JSON's types."""
        return {"name": self.name, "categories": list(self.categories)}

    @classmethod
    def from_dict(cls, given: Mapping[str, Any], place: str) -> "Category":
        """Make it from the result of `to_dict`, which is not trusted."""
        name = checked(f"{place}.name", given["name"], "text")
        return cls(name, checked_list(f"{place}.categories", given["categories"], "text"))


Column: TypeAlias = Number | Category
KINDS = (Number, Category)
_FIELDS = {frozenset(kind.__dataclass_fields__): kind for kind in KINDS}


def column_from_dict(given: Any, place: str) -> Column:
    """Make a column of the kind whose fields are given, which is not trusted.

    Raises
    ------
    FileError
        Names the first field that is invalid, and what was found.
    """
    kind = _FIELDS.get(frozenset(given)) if isinstance(given, dict) else None
    if kind is None:
        refuse_field(place, given, "name, mean and std, or name and categories")
    return kind.from_dict(given, place)


def refuse_field(field: str, found: Any, wanted: object) -> NoReturn:
    """Raise the FileError for a field of a model file."""
    raise FileError(f"preprocessing.{field}: found {quoted_value(found)}, expected {wanted}.")


def checked(field: str, found: Any, kind: str) -> Any:
    """Return the value of a field if it is of a kind of `_VALUES`; refuse it otherwise."""
    good, wanted = _VALUES[kind]
    if not good(found):
        refuse_field(field, found, wanted)
    return float(found) if isinstance(found, int) else found


def checked_list(field: str, found: Any, kind: str) -> tuple[Any, ...]:
    """Return some values of a kind, at least one and each once."""
    if not isinstance(found, list) or not found:
        refuse_field(field, found, f"a list, each {_VALUES[kind][1]}")
    values = tuple(checked(f"{field}[{at}]", each, kind) for at, each in enumerate(found))
    refuse_repeated(field, values)
    return values


def refuse_repeated(field: str, found: Sequence[Any]) -> None:
    """Refuse names or labels that occur twice."""
    seen = set()
    for each in found:
        if each in seen:
            refuse_field(field, each, "each name once")
        seen.add(each)


def _is_text(found: Any) -> bool:
    return isinstance(found, str) and bool(found) and not re.search(r"[\ud800-\udfff]", found)


def _is_finite(found: Any) -> bool:
    number = isinstance(found, int | float) and not isinstance(found, bool)
    return number and abs(found) <= sys.float_info.max


_VALUES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "text": (_is_text, "a text"),
    "number": (_is_finite, "a finite number"),
    "scale": (lambda found: _is_finite(found) and found > 0, "a finite number above 0"),
}


GONE, UNSEEN = -1, -2
"""What `encode_labels` returns for a missing cell, and for one that is not among the labels."""


def encode_labels(table: Table, name: str, known: Labels, cells: np.ndarray) -> np.ndarray:
    """Return each cell's place among the known texts or numbers, int64 (rows,).

    A cell that is not written as one of them is the only one that has its number: 1.0 is 1, where
    it cannot be 01.
    """
    places = {format_number(each): place for place, each in enumerate(known)}
    numbers = dict[float, int]()
    for text, place in places.items():
        if is_number(text):
            numbers[float(text)] = UNSEEN if float(text) in numbers else place

    def place_of(text: str) -> int:
        other = numbers.get(float(text), UNSEEN) if is_number(text) else UNSEEN
        return places.get(text, other)

    if name in table.texts:
        codes = [*map(place_of, texts_of(table, name)), GONE]
        return np.asarray(np.asarray(codes, dtype=np.int64)[text_numbers(cells)])
    found, back = np.unique(cells, return_inverse=True)
    codes = [GONE if np.isnan(each) else place_of(format_number(each)) for each in found.tolist()]
    return np.asarray(np.asarray(codes, dtype=np.int64)[back])


def choose_columns(
    table: Table, found: Summary, names: Collection[str], keep: Collection[str]
) -> tuple[Column, ...]:
    """Decide on the kind of each column; refuse the first that cannot be used, and name the others.

    Parameters
    ----------
    keep : names
        Columns to use even if they look like an index or an identifier.
    """
    columns, refusals = list[Column](), {}
    for name in names:
        try:
            columns.append(_choose(table, found, name, name in keep))
        except InputError as error:
            refusals[name] = error
    if refusals:
        first, *others = refusals
        message = str(refusals[first])
        if others:
            message = f"{message[:-1]}. Also refused: columns {up_to_ten(others)}."
        raise InputError(message)
    return tuple(columns)


def _choose(table: Table, found: Summary, name: str, keep: bool) -> Column:
    drop = f"pass {option('--drop', name)}"
    if table.layout == "table" and found.missing.get(name) == table.rows:
        raise InputError(f"{table.path}: column {quoted(name)} has no value at all; {drop}.")
    if name in table.texts:
        words = texts_of(table, name, f", or {drop}")
        counts = found.counts[name]
        refuse_spoilt_numbers(table, name, counts, f", or {drop}")
        used = tuple(sorted(each for each, count in zip(words, counts, strict=True) if count))
        if not keep:
            remedy = f"{drop}, or {option('--keep', name)}"
            refuse_identifier(table, name, used, int(counts.sum()), MAX_CATEGORIES, remedy)
        return Category(name, used)
    if table.layout == "table" and not keep:
        _refuse_index(table, found, name)
    return Number(name)


def _refuse_index(table: Table, found: Summary, name: str) -> None:
    """Refuse row numbers counted from 0 or 1; shuffled ones too, if it cannot be chance."""
    low, high = found.low[name], found.high[name]
    if low not in (0.0, 1.0) or high != low + table.rows - 1 or table.rows < 3:
        return
    column = table.column(name)
    ordered = np.sort(column) if table.rows >= MIN_SHUFFLED else column
    if np.array_equal(ordered, np.arange(low, high + 1)):
        remedy = f"pass {option('--drop', name)}, or {option('--keep', name)}"
        raise InputError(
            f"{table.place(0, name)}: found {format_number(column[0])}; the column only numbers "
            f"the rows ({low:.0f} to {high:.0f}); {remedy}."
        )


def refuse_identifier(
    table: Table, name: str, used: tuple[str, ...], count: int, most: float, remedy: str
) -> None:
    """Refuse text too varied to be `most` categories or classes: names, numbers, sentences.

    Parameters
    ----------
    used : tuple of str
        The different texts.
    count : int
        Cells that hold them.
    """
    distinct = len(used)
    various = distinct > 10 and 2 * distinct > count
    all_differ = distinct == count and count >= 3
    if distinct <= most and not various and not all_differ:
        return
    row = int(np.flatnonzero(~np.isnan(table.column(name)))[0])
    spaces = sum(text.count(" ") for text in used[:1000]) / min(distinct, 1000)
    kind = "free text" if spaces >= 3 else "an identifier"
    raise InputError(
        f"{table.place(row, name)}: found {quoted(table.cell(row, name))}; {distinct} different "
        f"texts in {count} rows look like {kind}; {remedy}."
    )
