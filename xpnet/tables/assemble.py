"""Blocks of rows, as CSV, Parquet and data frames give them, put together into one matrix.

The matrix is float64 with NaN for missing cells, in memory or, for `stream`, in a temporary NPY
file. A text column holds the number of each cell's text, in the order in which they first occur.
"""

import io
import sys
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from xpnet.backend.threads import free_memory
from xpnet.errors import SaveError
from xpnet.tables.cells import (
    LEADING_ZERO,
    LONG_INTEGER,
    MAX_EXACT,
    MISSING,
    Signs,
    collide_in_float64,
)
from xpnet.tables.messages import quoted
from xpnet.tables.npy import RowFile, check_memory

if TYPE_CHECKING:
    from xpnet.tables.csv import Csv
    from xpnet.tables.parquet import Frame

    Source: TypeAlias = Csv | Frame

MAX_TEXTS = 100_000  # different ones in a column; more are not categories, and are not kept

Texts: TypeAlias = Mapping[str, tuple[str, ...] | None]
"""The distinct texts of each text column, as they occur; None if there are too many."""


def in_memory(source: "Source") -> tuple[np.ndarray, Texts, Mapping[str, str]]:
    """Return all rows, the texts of text columns, and signs beside numbers; see `Table`."""
    file = io.BytesIO()
    shape, texts, signs = _assemble(source, file, free_memory())
    return np.frombuffer(file.getbuffer(), np.float64).reshape(shape), texts, signs


def in_temporary_file(source: "Source", folder: str) -> tuple[RowFile, Texts, Mapping[str, str]]:
    """Do the same in a file in `folder`, which is removed with the rows, or when Python ends.

    Raises
    ------
    SaveError
        If it cannot be written.
    """
    path = ""
    try:
        with tempfile.NamedTemporaryFile(
            "w+b", prefix=".xpnet-", suffix=".npy", dir=folder, delete=False
        ) as file:
            path = file.name
            _write_head(file, (0, 0))
            shape, texts, signs = _assemble(source, file, sys.maxsize)
            file.seek(0)
            _write_head(file, shape)
        rows = RowFile(path)
    except BaseException as error:
        if path:
            Path(path).unlink()
        if isinstance(error, OSError):
            reason = error.strerror or str(error)
            message = f"{folder}: the table's rows cannot be kept here ({reason})"
            raise SaveError(f"{message}; --stream --cache DIR keeps them elsewhere.") from error
        raise
    weakref.finalize(rows, Path(path).unlink, missing_ok=True)
    return rows, texts, signs


def _write_head(file: Any, shape: tuple[int, int]) -> None:
    """Write an NPY head, of the same length for every shape."""
    text = repr({"descr": "<f8", "fortran_order": False, "shape": shape}).ljust(117) + "\n"
    file.write(b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode())


def _assemble(
    source: "Source", file: Any, limit: int
) -> tuple[tuple[int, int], Texts, dict[str, str]]:
    """Write all rows to a file of up to `limit` bytes; return its shape, the texts and the signs.

    If a column turns out to be text after the first block, everything is read again, since its
    cells so far were read as numbers: 7 may have been 07.
    """
    start, texts = file.tell(), set(source.texts)
    while True:
        written_as, rows = set(texts), 0
        seen = [NumberColumn(source.delimiter == ",") for _ in source.names]
        known: list[dict[str, int]] = [{} for _ in source.names]
        floats = set[int]()
        for frame in source.blocks(floats):
            block = np.empty(frame.shape)
            for column, cells in enumerate(frame):
                numbers = None if column in texts else seen[column].read(cells)
                if numbers is None:
                    texts.add(column)
                    numbers = _numbered(as_text(cells), known[column])
                block[:, column] = numbers
            floats |= {at for at, each in enumerate(seen) if each.signs.fractions} - texts
            written_as = written_as if rows else set(texts)
            check_memory(source.path, file.tell() + block.nbytes, limit)
            file.write(block.data)
            rows += len(block)
            del frame, cells, block, numbers  # before the next ones are read
        texts |= {at for at, each in enumerate(seen) if each.signs.are_unclear}
        if texts == written_as:
            words = {source.names[at]: tuple(known[at]) for at in sorted(texts)}
            signs = {source.names[at]: str(each.signs) for at, each in enumerate(seen)}
            few = {name: w if len(w) <= MAX_TEXTS else None for name, w in words.items()}
            return (rows, len(source.names)), few, {k: each for k, each in signs.items() if each}
        file.seek(start)
        file.truncate()


class NumberColumn:
    """What has been seen of a column of numbers, block by block."""

    def __init__(self, no_decimal_commas: bool) -> None:
        self.signs = Signs(no_decimal_commas)
        self._integers: dict[float, str] = {}

    def read(self, cells: Any) -> Any:
        """Return a Polars series as numbers, NaN where a cell is missing; None if it is text.

        That is, if some cell is not a finite number, is a code such as 007, or is an integer that
        float64 does not tell from another one.
        """
        import polars

        found = cells.cast(polars.Float64, strict=False).to_numpy()
        text = cells.dtype == polars.String
        if not text or np.isfinite(found).all():
            self.signs.plain = True
        else:
            cells = as_text(cells)
            numbers = self.signs.read(cells)
            if numbers is None:
                return None
            found = numbers.to_numpy()
        if text and (found[:100] % 1 > 0).any():
            self.signs.fractions = True
        elif text:
            whole = (np.isnan(found) | (found % 1 == 0)).all()
            if whole and cells.str.contains(LEADING_ZERO).any():
                return None
        if np.fmax.reduce(np.abs(found), initial=0.0) >= MAX_EXACT:
            cells = as_text(cells)
            long = cells.filter(cells.str.contains(LONG_INTEGER)).unique(maintain_order=True)
            if collide_in_float64(long, self._integers):
                return None
        return found


def as_text(cells: Any) -> Any:
    """Return a Polars series as strings without spaces around them, null where one is missing."""
    import polars

    cells = cells.cast(polars.String).str.strip_chars(" \t")
    return cells.set(cells.is_in(list(MISSING)), None)


def _numbered(cells: Any, known: dict[str, int]) -> Any:
    """Return the number of each text, NaN where there is none; new ones get the next numbers."""
    import polars

    if len(known) > MAX_TEXTS:
        return np.nan
    for text in cells.unique(maintain_order=True).drop_nulls():
        known.setdefault(text, len(known))
    numbers = cells.cast(polars.Enum(list(known))).to_physical()
    return numbers.cast(polars.Float64).to_numpy()


def named(names: Sequence[str]) -> tuple[str, ...]:
    """Give columns without a name one, unnamed_ and their place."""
    return tuple(name or f"unnamed_{place}" for place, name in enumerate(names, 1))


def header_fault(names: Sequence[str]) -> str | None:
    """Say what is wrong with a table's column names, and the remedy; None if all is well."""
    seen: dict[str, int] = {}
    for place, name in enumerate(names, 1):
        if name in seen:
            return f"columns {seen[name]} and {place} are both called {quoted(name)}; rename one."
        seen[name] = place
    return None
