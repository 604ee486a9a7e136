"""The kinds of columns: frozen dataclasses that know their inputs, fill them, and become JSON.

To add one: write it, add it to `Column`, and let `xpnet.tables.column_kinds` choose it. Fields that
version 1 of the model files did not have are written only if they are used.
"""

import re
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import cached_property, lru_cache
from types import NoneType
from typing import Any, TypeAlias, get_args, get_origin, get_type_hints

import numpy as np

from xpnet.backend.files import quoted_value
from xpnet.errors import FileError, InputError
from xpnet.tables.cells import is_number
from xpnet.tables.dates import PAIR, PLACES, TYPED_PATTERNS, date_parts
from xpnet.tables.messages import format_number, quoted, up_to_ten
from xpnet.tables.summary import text_numbers, texts_of
from xpnet.tables.table import Table

Labels: TypeAlias = tuple[str | float, ...]
"""The classes of a target, or categories of a column: all texts or all numbers."""

OTHERS = "(others)"
"""The name of the input for all categories without one of their own."""


@dataclass(frozen=True)
class Number:
    """A column of numbers; its first input is ``(cell - mean) / std``.

    A missing cell is imputed as `fill`, by default the mean. With an `indicator`, a second input is
    1 where the cell is missing. `gap` is a number that means "missing", such as -999. Each bin
    between `edges`, which ascend, has an input; see `xpnet.tables.encodings`. All number columns
    are filled at once, by `Preprocessing`.
    """

    name: str
    mean: float = 0.0
    std: float = 1.0
    fill: float | None = None
    indicator: bool = False
    edges: tuple[float, ...] = ()
    gap: float | None = None

    def input_names(self) -> list[str]:
        """Name the inputs."""
        bins = [f"{self.name} from {format_number(each)}" for each in self.edges[:-1]]
        return [self.name, *([f"{self.name} missing"] if self.indicator else []), *bins]


@dataclass(frozen=True)
class Category:
    """A column of texts, with one input for each category: 1 where the cell holds it, else 0.

    If `pooled`, another input stands for all other categories, rare or unseen. With `effects`, the
    last input is the effect of the cell's text, one of `texts`: its scaled mean target, 0 for other
    texts. A cell in other capital or small letters counts as the category or text that it can only
    mean; `also` has such spellings in training, for ONNX, which folds none.
    """

    name: str
    categories: tuple[str, ...]
    pooled: bool = False
    texts: tuple[str, ...] = ()
    effects: tuple[float, ...] = ()
    also: tuple[str, ...] = ()

    @cached_property
    def spelt(self) -> dict[str, str]:
        """The categories and texts by their small letters, without those that share them."""
        known = dict.fromkeys(self.categories + self.texts)
        count = Counter(map(str.casefold, known))
        return {each.casefold(): each for each in known if count[each.casefold()] == 1}

    def as_trained(self, text: str) -> str:
        """Return a text in the letters that it had in training."""
        return self.spelt.get(text.casefold(), text)

    def input_names(self) -> list[str]:
        """Name each input: column=category."""
        names = [*self.categories, *([OTHERS] if self.pooled else [])]
        names = [f"{self.name}={each}" for each in names]
        return [*names, f"{self.name} effect"] if self.effects else names

    def fill(
        self, x: np.ndarray, table: Table, cells: np.ndarray, rows: np.ndarray, *, impute: bool
    ) -> None:
        """Write the inputs of some rows into x, (rows, inputs), which is 0; cells are (rows,).

        Unseen categories are pooled, or count as missing with `impute`, or else are refused.
        """
        if self.effects:
            effects = np.append(self.effects, [0.0, 0.0])  # of UNSEEN and GONE
            x[:, -1] = effects[encode_labels(table, self.name, self.texts, cells, self.as_trained)]
        codes = encode_labels(table, self.name, self.categories, cells, self.as_trained)
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

    `pattern` is one of `xpnet.tables.dates.PATTERNS`, or several with | between, and `parts` are
    some of `PARTS`; or it is a `PAIR` of numbers. An imputed cell has the means.
    """

    name: str
    pattern: str
    parts: tuple[str, ...]
    means: tuple[float, ...]
    stds: tuple[float, ...]

    @property
    def summary(self) -> str:
        """The parts, and the order of day and month where it is ambiguous."""
        if self.pattern == PAIR:
            return PAIR
        first = {"%m": "month first: ", "%d": "day first: "}.get(self.pattern[:2], "")
        return first * (self.pattern[2:5] in ("/%d", "-%d", "/%m", "-%m")) + ", ".join(self.parts)

    def input_names(self) -> list[str]:
        """Name each input: column part."""
        return [f"{self.name} {each}" for each in self.parts]

    def values(self, table: Table, cells: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return the parts of some rows, not scaled; NaN where a cell is missing."""
        words = texts_of(table, self.name)
        read_as = date_parts(words, self.pattern)
        if self.pattern != PAIR and np.isnan(read_as).any():
            for typed in (*TYPED_PATTERNS, self.pattern.replace(":%S", "")):
                read_as = np.where(np.isnan(read_as), date_parts(words, typed), read_as)
        parts = read_as[:, [PLACES[each] for each in self.parts]]
        codes = text_numbers(cells)
        read: np.ndarray = np.append(parts, np.full((1, len(self.parts)), np.nan), axis=0)[codes]
        if (bad := np.flatnonzero(np.isnan(read[:, 0]) & (codes >= 0))).size:
            raise no_date(table, rows[bad[0]], self.name, self.pattern)
        return read

    def fill(
        self, x: np.ndarray, table: Table, cells: np.ndarray, rows: np.ndarray, *, impute: bool
    ) -> None:
        """Write the inputs of some rows; as for `Category`."""
        x[:] = np.nan_to_num((self.values(table, cells, rows) - self.means) / self.stds)


@dataclass(frozen=True)
class Words:
    """A column of free text or of lists; some words have an input each, 1 where they occur."""

    name: str
    words: tuple[str, ...]

    def input_names(self) -> list[str]:
        """Name each input: column has word."""
        return [f"{self.name} has {each}" for each in self.words]

    def fill(
        self, x: np.ndarray, table: Table, cells: np.ndarray, rows: np.ndarray, *, impute: bool
    ) -> None:
        """Write the inputs of some rows; as for `Category`."""
        found = occurrences(texts_of(table, self.name), self.words)
        x[:] = np.append(found, np.zeros((1, len(self.words))), axis=0)[text_numbers(cells)]


def words_of(text: str) -> set[str]:
    """Return the words and codes in a text, in small letters, and the letters of a code."""
    text = text.casefold()
    return {*re.findall(r"\b[^\W_]{2,}\b", text), *re.findall(r"^[^\W\d_]+(?=\d)", text)}


@lru_cache(maxsize=16)
def occurrences(texts: tuple[str, ...], words: tuple[str, ...]) -> np.ndarray:
    """Return whether words occur in texts, 1 or 0, uint8 (texts, words)."""
    places = {word: at for at, word in enumerate(words)}
    found = np.zeros((len(texts), len(words)), np.uint8)
    for row, text in enumerate(texts):
        found[row, [places[each] for each in words_of(text) & places.keys()]] = 1
    return found


Column: TypeAlias = Number | Category | Dates | Words


@dataclass(frozen=True)
class Target:
    """One of several targets: its classes, or the mean and deviation by which it is scaled."""

    name: str
    classes: Labels = ()
    mean: float = 0.0
    std: float = 1.0


# What version 1 did not have.
_LATER = {
    "fill", "indicator", "edges", "gap", "pooled", "texts", "effects", "also", "left_out",
    "target_log", "more_targets", "gap_words", "target_gap", "signs",
}  # fmt: skip


def to_json(value: Any) -> Any:
    """Return a dataclass in JSON's types; floats survive exactly."""
    if is_dataclass(value):
        found = {each: getattr(value, each.name) for each in fields(value)}
        used = {k: v for k, v in found.items() if k.name not in _LATER or v != k.default}
        return {each.name: to_json(v) for each, v in used.items()}
    return [to_json(each) for each in value] if isinstance(value, tuple) else value


def from_json(kind: Any, found: Any, place: str = "preprocessing") -> Any:
    """Return a value of the given type from JSON; a FileError names the first that is not."""
    if get_origin(kind) is tuple and isinstance(found, list):
        kind = get_args(kind)[0]
        return tuple(from_json(kind, each, f"{place}[{at}]") for at, each in enumerate(found))
    for each in () if get_origin(kind) is tuple else get_args(kind) or (kind,):
        if isinstance(each, type) and is_dataclass(each) and isinstance(found, dict):
            kinds = get_type_hints(each)
            needed = {field.name for field in fields(each) if field.default is MISSING}
            if needed <= found.keys() <= kinds.keys():
                values = {k: from_json(kinds[k], v, f"{place}.{k}") for k, v in found.items()}
                return each(**values)
        elif each is float and type(found) in (int, float) and abs(found) <= sys.float_info.max:
            return float(found)
        elif each in (str, bool, NoneType) and isinstance(found, each):
            return found
    raise FileError(f"{place}: found {quoted_value(found)}, which does not belong there.")


def no_date(table: Table, row: Any, name: str, pattern: str) -> InputError:
    """Return the error for a cell that is not written like the other dates of its column."""
    what = f", not a date or time written like the others ({pattern})"
    return table.fault(row, name, what, "correct it, or leave the cell empty")


GONE, UNSEEN = -1, -2
"""What `encode_labels` returns for a missing cell, and for one that is not among the labels."""


def encode_labels(
    table: Table, name: str, known: Labels, cells: np.ndarray, folded: Callable[[str], str]
) -> np.ndarray:
    """Return each cell's place among the known texts or numbers, int64 (rows,); or a code below 0.

    A cell in another spelling counts as the known label with its number, if there is only one: 1.0
    is 1. So does one that `folded` turns into the same text.
    """

    def meant(text: str) -> str | float:
        return float(text) if is_number(text) else folded(text)

    places = {format_number(each): place for place, each in enumerate(known)}
    others = dict[str | float, int]()
    for text, place in places.items():
        for meaning in {meant(text), folded(text)}:
            others[meaning] = UNSEEN if meaning in others else place

    def place_of(text: str) -> int:
        found = places.get(text, others.get(meant(text), UNSEEN))
        return others.get(folded(text), UNSEEN) if found == UNSEEN else found

    if name in table.texts:
        codes, back = [*map(place_of, texts_of(table, name))], text_numbers(cells)
    else:
        found, back = np.unique(np.append(cells, np.nan), return_inverse=True)
        codes, back = [place_of(format_number(each)) for each in found[:-1].tolist()], back[:-1]
    return np.take(np.asarray([*codes, GONE], dtype=np.int64), back)
