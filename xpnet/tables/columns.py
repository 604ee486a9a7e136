"""The kinds of columns.

A kind is a frozen dataclass that says how many inputs of the network a column fills and what they
are called, fills them, and goes into the model file and back. To add one: write it, add it to
`KINDS`, and let `xpnet.tables.choose` choose it from the column's summary. What version 1 of the
model files did not know is written only where it is used.
"""

import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, NoReturn, TypeAlias

import numpy as np

from xpnet.backend.files import quoted as quoted_value
from xpnet.errors import FileError, InputError
from xpnet.tables.cells import is_number
from xpnet.tables.dates import PARTS, PATTERNS, TYPED_PATTERNS, date_parts
from xpnet.tables.messages import format_number, quoted, up_to_ten
from xpnet.tables.summary import text_numbers, texts_of
from xpnet.tables.table import Table

Labels: TypeAlias = tuple[str | float, ...]
"""The classes of a target, or categories of a column: all texts or all numbers."""

OTHERS = "(others)"
"""What the input is called that stands for all categories without one of their own."""


@dataclass(frozen=True)
class Number:
    """A column of numbers; its first input is ``(cell - mean) / std``.

    All number columns are filled at once, by `Preprocessing`.

    Attributes
    ----------
    fill : float, optional
        What an imputed cell is taken to be; by default the mean.
    indicator : bool
        Whether a second input is 1 where the cell is missing, else 0.
    edges : tuple of float
        Of bins with an input each, see `xpnet.tables.encodings`; ascending, or empty.
    """

    name: str
    mean: float = 0.0
    std: float = 1.0
    fill: float | None = None
    indicator: bool = False
    edges: tuple[float, ...] = ()

    @property
    def inputs(self) -> int:
        """How many inputs of the network it fills."""
        return 1 + self.indicator + max(len(self.edges) - 1, 0)

    def input_names(self) -> list[str]:
        """Name the inputs."""
        bins = [f"{self.name} from {format_number(each)}" for each in self.edges[:-1]]
        return [self.name, *([f"{self.name} missing"] if self.indicator else []), *bins]


@dataclass(frozen=True)
class Category:
    """A column of texts, with one input for each category: 1 where the cell holds it, else 0.

    Attributes
    ----------
    pooled : bool
        Whether a last input stands for all other categories, rare or unseen.
    """

    name: str
    categories: tuple[str, ...]
    pooled: bool = False

    @property
    def inputs(self) -> int:
        """How many inputs of the network it fills."""
        return len(self.categories) + self.pooled

    def input_names(self) -> list[str]:
        """Name each input: column=category."""
        names = [*self.categories, *([OTHERS] if self.pooled else [])]
        return [f"{self.name}={each}" for each in names]

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
            Whether unseen categories, unless pooled, count as missing; they are refused otherwise.
        """
        codes = encode_labels(table, self.name, self.categories, cells)
        unseen = np.flatnonzero(codes == UNSEEN)
        if self.pooled:
            codes[unseen] = len(self.categories)
        elif unseen.size and not impute:
            what = f", a category that training did not see ({len(unseen)} such cells)"
            known = f"the known ones are {up_to_ten(map(quoted, self.categories))}"
            remedy = f"{known}; correct it, or train with --missing impute"
            raise table.fault(rows[unseen[0]], self.name, what, remedy)
        seen = np.flatnonzero(codes >= 0)
        x[seen, codes[seen]] = 1


@dataclass(frozen=True)
class Dates:
    """A column of dates or times, with one standardised input for each of some parts.

    Attributes
    ----------
    pattern : str
        How they are written, one of `xpnet.tables.dates.PATTERNS`.
    parts : tuple of str
        Of `xpnet.tables.dates.PARTS`.
    means, stds : tuple of float
        Of each part; an imputed cell has the means.
    """

    name: str
    pattern: str
    parts: tuple[str, ...]
    means: tuple[float, ...]
    stds: tuple[float, ...]

    @property
    def inputs(self) -> int:
        """How many inputs of the network it fills."""
        return len(self.parts)

    @property
    def summary(self) -> str:
        """Its parts, and the order of day and month where that could be read in two ways."""
        orders = {"%m/%d": "month first: ", "%m-%d": "month first: ",
                  "%d/%m": "day first: ", "%d-%m": "day first: "}  # fmt: skip
        return orders.get(self.pattern[:5], "") + ", ".join(self.parts)

    def input_names(self) -> list[str]:
        """Name each input: column part."""
        return [f"{self.name} {each}" for each in self.parts]

    def values(self, table: Table, cells: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return the parts of some rows, as they are; NaN where a cell is missing."""
        words = texts_of(table, self.name) if self.name in table.texts else ()
        read_as = date_parts(words, self.pattern)
        for typed in TYPED_PATTERNS if np.isnan(read_as).any() else ():
            read_as = np.where(np.isnan(read_as), date_parts(words, typed), read_as)
        parts = read_as[:, [PARTS.index(each) for each in self.parts]]
        codes = text_numbers(cells)
        gone = np.full((1, len(self.parts)), np.nan)
        read: np.ndarray = np.concatenate([parts, gone])[codes]
        for at in np.flatnonzero(np.isnan(read[:, 0]) & (codes >= 0))[:1]:
            raise no_date(table, rows[at], self.name, self.pattern)
        return read

    def fill(
        self, x: np.ndarray, table: Table, cells: np.ndarray, rows: np.ndarray, *, impute: bool
    ) -> None:
        """Write the inputs of some rows; as for `Category`."""
        x[:] = np.nan_to_num((self.values(table, cells, rows) - self.means) / self.stds)


Column: TypeAlias = Number | Category | Dates
_SCALES = {"mean": "number", "std": "scale", "fill": "number", "indicator": "flag",
           "edges": "numbers"}  # fmt: skip
_PARTS = {"pattern": "pattern", "parts": "parts", "means": "numbers", "stds": "scales"}
KINDS: dict[Any, dict[str, str]] = {
    Number: {"name": "text", **_SCALES},
    Category: {"name": "text", "categories": "texts", "pooled": "flag"},
    Dates: {"name": "text", **_PARTS},
}
"""The kinds of columns, and the fields that a model file has of each, with the kinds of values."""

_OPTIONAL = {"fill", "indicator", "edges", "pooled"}  # unknown to version 1: written if used


def column_to_dict(column: Column) -> dict[str, Any]:
    """Return a column in JSON's types; what version 1 does not know only if it is used."""
    given = {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(column).items()}
    return {k: v for k, v in given.items() if not (k in _OPTIONAL and v in (None, False, []))}


def column_from_dict(given: Any, place: str) -> Column:
    """Make a column of the kind whose fields are given, which is not trusted.

    Raises
    ------
    FileError
        Names the first field that is invalid, and what was found.
    """
    fields = given.keys() if isinstance(given, dict) else set()
    fitting = [
        kind for kind, all_of in KINDS.items() if fields | _OPTIONAL >= all_of.keys() >= fields
    ]
    if not fitting:
        refuse_field(place, given, "name, mean and std, or name and categories")
    wanted = KINDS[fitting[0]]
    values = {name: checked(f"{place}.{name}", given[name], wanted[name]) for name in fields}
    column: Column = fitting[0](**values)
    edges = column.edges if isinstance(column, Number) else ()
    if len(edges) == 2 or any(a >= b for a, b in pairwise(edges)):
        refuse_field(f"{place}.edges", given["edges"], "three or more numbers, ascending")
    for name in ("means", "stds") if isinstance(column, Dates) else ():
        if len(given[name]) != column.inputs:
            refuse_field(f"{place}.{name}", given[name], "a number for each part")
    return column


def refuse_field(field: str, found: Any, wanted: object) -> NoReturn:
    """Raise the FileError for a field of a model file."""
    raise FileError(f"preprocessing.{field}: found {quoted_value(found)}, expected {wanted}.")


def checked(field: str, found: Any, kind: str) -> Any:
    """Return the value of a field if it is of a kind of `_VALUES`, or all of a list are."""
    if kind not in _VALUES:
        return checked_list(field, found, kind.removesuffix("s"))
    good, wanted = _VALUES[kind]
    if not good(found):
        refuse_field(field, found, wanted)
    return float(found) if isinstance(found, int) and kind != "flag" else found


def checked_list(field: str, found: Any, kind: str) -> tuple[Any, ...]:
    """Return some values of a kind, at least one; names each once."""
    if not isinstance(found, list) or not found:
        refuse_field(field, found, f"a list, each {_VALUES[kind][1]}")
    values = tuple(checked(f"{field}[{at}]", each, kind) for at, each in enumerate(found))
    if kind in ("text", "part") or field == "classes":
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
    "flag": (lambda found: isinstance(found, bool), "true or false"),
    "pattern": (lambda found: found in PATTERNS, "a way to write dates"),
    "part": (lambda found: found in PARTS, f"one of {', '.join(PARTS)}"),
}


def no_date(table: Table, row: Any, name: str, pattern: str) -> InputError:
    """Return the error for a cell that is not written like the dates of its column."""
    what = f", not a date or time written like the others ({pattern})"
    return table.fault(row, name, what, "correct it, or leave the cell empty")


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
