"""Blocks of rows, as CSV, Parquet and data frames give them, put together into one matrix.

The matrix is float64 with NaN for missing cells, in memory or, for `stream`, in a temporary NPY
file. A text column holds the number of each cell's text, in the order in which they first occur.
"""

import io
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from xpnet.errors import SaveError
from xpnet.tables.arrays import RowFile
from xpnet.tables.cells import LEADING_ZERO, LONG_INTEGER, MAX_EXACT, MISSING, collide_in_float64
from xpnet.tables.messages import quoted

if TYPE_CHECKING:
    from xpnet.tables.csv import Csv
    from xpnet.tables.frames import Frame

    Source: TypeAlias = Csv | Frame

MAX_TEXTS = 100_000  # different ones in a column; more are not categories, and are not kept

Texts: TypeAlias = Mapping[str, tuple[str, ...] | None]
"""The distinct texts of each text column, as they occur; None if there are too many."""


def in_memory(source: "Source") -> tuple[np.ndarray, Texts]:
    """Return all rows, and the texts of text columns; see `Table`."""
    file = io.BytesIO()
    shape, texts = _assemble(source, file)
    return np.frombuffer(file.getbuffer(), np.float64).reshape(shape), texts


def in_temporary_file(source: "Source", folder: str) -> tuple[RowFile, Texts]:
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
            shape, texts = _assemble(source, file)
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
    return rows, texts


def _write_head(file: Any, shape: tuple[int, int]) -> None:
    """Write an NPY head, of the same length for every shape."""
    text = repr({"descr": "<f8", "fortran_order": False, "shape": shape}).ljust(117) + "\n"
    file.write(b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode())


def _assemble(source: "Source", file: Any) -> tuple[tuple[int, int], Texts]:
    """Write all rows to a file; return the matrix's shape and the texts.

    If a column turns out to be text after the first block, everything is read again, since its
    cells so far were read as numbers: 7 may have been 07.
    """
    start, texts = file.tell(), set(source.texts)
    while True:
        known: dict[int, dict[str, int]] = {column: {} for column in texts}
        late, integers, shape = set[int](), dict[int, dict[float, str]](), (0, 0)
        for frame, lines in source.blocks():
            block = _numbers(frame, lines, texts | late)
            found = _texts_among(frame, block, texts | late, integers)
            if shape[0]:
                late |= found
            else:
                texts |= found
                known |= {column: {} for column in found}
            for column, numbers in known.items():
                block[:, column] = _numbered(as_text(frame.to_series(column)), numbers)
            file.write(block.data)
            shape = (shape[0] + block.shape[0], block.shape[1])
            del frame, block  # before the next ones are read
        if not late:
            return shape, {
                source.names[column]: tuple(words) if len(words) <= MAX_TEXTS else None
                for column, words in sorted(known.items())
            }
        texts |= late
        file.seek(start)
        file.truncate()


def _numbers(frame: Any, lines: np.ndarray | None, texts: set[int]) -> np.ndarray:
    """Return a frame's cells as numbers, NaN where they are none, and the lines, if any, last."""
    import polars

    block = np.full((frame.height, frame.width + (lines is not None)), np.nan)
    if lines is not None:
        block[:, -1] = lines
    for column, cells in enumerate(frame):
        if column not in texts:
            block[:, column] = cells.cast(polars.Float64, strict=False).to_numpy()
    return block


def _texts_among(
    frame: Any, block: np.ndarray, texts: set[int], integers: dict[int, dict[float, str]]
) -> set[int]:
    """Return the columns, besides `texts`, in which some cell is not a finite number.

    Likewise columns with codes such as 007, and those with integers that float64 cannot tell apart;
    `integers` keeps some of each.
    Numbers with spaces around them are added to `block`.
    """
    import polars

    found = set()
    doubtful = np.flatnonzero(~np.isfinite(block).all(axis=0)).tolist()
    for column in doubtful:
        if column in texts or frame.dtypes[column] != polars.String:
            continue
        cells = as_text(frame.to_series(column))
        block[:, column] = cells.cast(polars.Float64, strict=False).to_numpy()
        if not np.isfinite(block[cells.is_not_null().to_numpy(), column]).all():
            found.add(column)
    whole = (np.isnan(block) | ((block >= 0) & (block == np.floor(block)))).all(axis=0)
    for column in np.flatnonzero(whole[: frame.width]).tolist():
        if column not in texts and frame.dtypes[column] == polars.String:
            cells = frame.to_series(column)
            if cells.str.contains(LEADING_ZERO).any():
                found.add(column)
    large = ((block >= MAX_EXACT) | (block <= -MAX_EXACT)).any(axis=0)
    for column in np.flatnonzero(large).tolist():
        cells = as_text(frame.to_series(column))
        long = cells.filter(cells.str.contains(LONG_INTEGER)).unique(maintain_order=True)
        if collide_in_float64(long, integers.setdefault(column, {})):
            found.add(column)
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
