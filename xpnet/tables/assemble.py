"""Put the blocks of rows of CSV, Parquet and data frames together into one matrix.

It is float64 with NaN for missing cells, in memory or, for `stream`, in a temporary file. A cell of
text is the number of its text, counted in the order in which they first occur.
"""

import io
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from xpnet.backend.threads import free_memory
from xpnet.errors import SaveError
from xpnet.tables.cells import PLAIN, Notation, Notations, Writing, as_numbers, as_text, contradict
from xpnet.tables.messages import one_line
from xpnet.tables.npy import check_memory

MAX_TEXTS = 100_000  # distinct texts of a column; more are no categories, and are not kept

Texts: TypeAlias = Mapping[str, tuple[str, ...] | None]
"""The distinct texts of each text column, as they occur; None if there are too many."""


Cells: TypeAlias = tuple[np.ndarray, Texts, Mapping[str, str], Mapping[str, tuple[str, ...]]]
"""The matrix and, by column, its texts, the signs beside its numbers, the words for no number."""


def assemble(source: Any, folder: str | None = None, known: Notations | None = None) -> Cells:
    """Return all rows of a `Csv` or `Frame`, and what was found in them; see `Table`.

    With a folder, the rows are in a temporary file there, which vanishes with them. Of columns that
    are `known` to be numbers, the notations are given.
    """
    if folder is None:
        memory = io.BytesIO()
        columns = _write(source, memory, free_memory(), known or {})
        return _found(np.frombuffer(memory.getbuffer(), np.float64), columns)
    try:
        with tempfile.TemporaryFile(prefix=".xpnet-", dir=folder) as file:
            columns = _write(source, file, sys.maxsize, known or {})
            file.flush()
            return _found(np.memmap(file, np.float64, "r"), columns)
    except OSError as error:
        message = f"{folder}: the table's rows cannot be kept here ({error.strerror or error})"
        raise SaveError(f"{message}; --stream --cache DIR keeps them elsewhere.") from error


class _Column:
    """What was found so far in one column."""

    def __init__(self, written: Writing, is_text: bool) -> None:
        self.written, self.name, self.is_text = written, written.name, is_text
        self.known: dict[str, int] = {}  # the distinct texts, with their numbers
        self.signs = {*written.expected} - {PLAIN}
        self.words = {*written.known.gaps} if written.known else set[str]()
        self.has_numbers = False  # whether a block of it was read as numbers

    def read(self, cells: Any) -> Any:
        """Return the cells of a block as float64: numbers, or the numbers of texts."""
        if not self.is_text:
            numbers, signs, words = as_numbers(cells, self.written)
            self.signs |= signs
            self.words |= words
            if numbers is not None:
                self.has_numbers = True
                return numbers
        self.is_text = True
        return _numbered(as_text(cells), self.known)


def _write(source: Any, file: Any, limit: int, known: Notations) -> list[_Column]:
    """Write all rows to a file of up to `limit` bytes; return the columns.

    If a later block makes a column text, all is read again: of its numbers, 7 may have been 07. So
    it is if it shows that 1.234 is 1234.
    """
    are_texts = [at in source.texts for at in range(len(source.names))]
    while True:
        columns = [
            _Column(Writing(name, source.decimal, source.delimiter, known.get(name)), is_text)
            for name, is_text in zip(source.names, are_texts, strict=True)
        ]
        blocks = 0
        for frame in source.blocks():
            block = np.empty(frame.shape)
            for at, column in enumerate(columns):
                block[:, at] = column.read(frame[:, at])
            check_memory(source.path, file.tell() + block.nbytes, limit)
            file.write(block.data)
            blocks += 1
            del frame, block  # before the next ones are read
        are_texts = [e.is_text or contradict(e.signs, e.written.known) for e in columns]
        found = {each.name: Notation(frozenset(each.signs), (*each.words,)) for each in columns}
        later = {name: each for name, each in found.items() if blocks > 1 and each.is_european}
        again = any(are_texts[at] and each.has_numbers for at, each in enumerate(columns))
        if not again and later.keys() <= known.keys():
            return columns
        known = {**later, **known}
        file.seek(0)
        file.truncate()


def _found(cells: np.ndarray, columns: Sequence[_Column]) -> Cells:
    texts = {
        each.name: tuple(each.known) if len(each.known) <= MAX_TEXTS else None
        for each in columns if each.is_text
    }  # fmt: skip
    numeric = [each for each in columns if not each.is_text]
    signs = {each.name: ", ".join(sorted(each.signs - {PLAIN})) for each in numeric}
    words = {each.name: tuple(sorted(each.words)) for each in numeric if each.words}
    signs = {name: each for name, each in signs.items() if each}
    return cells.reshape(-1, len(columns)), texts, signs, words


def _numbered(cells: Any, known: dict[str, int]) -> Any:
    import polars

    if len(known) > MAX_TEXTS:
        return np.nan
    for text in cells.unique(maintain_order=True).drop_nulls():
        known.setdefault(text, len(known))
    numbers = cells.cast(polars.Enum(list(known))).to_physical()
    return numbers.cast(polars.Float64).to_numpy()


def distinct_names(names: Sequence[str]) -> tuple[str, ...]:
    """Return distinct names: unnamed_ and the place for an empty one; a (1), a (2) for twins."""
    named = [one_line(name) or f"unnamed_{place}" for place, name in enumerate(names, 1)]
    total, seen = Counter(named), Counter[str]()
    for at, name in enumerate(named):
        seen[name] += 1
        named[at] = f"{name} ({seen[name]})" if total[name] > 1 else name
    return tuple(named)
