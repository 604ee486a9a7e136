"""Blocks of rows, as CSV, Parquet and data frames give them, put together into one matrix.

It is float64 with NaN for missing cells, in memory or, for `stream`, in a temporary file. A text
column holds the number of each cell's text, in the order in which they first occur.
"""

import io
import sys
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from xpnet.backend.threads import free_memory
from xpnet.errors import SaveError
from xpnet.tables.cells import PLAIN, as_numbers, as_text, contradict
from xpnet.tables.messages import quoted
from xpnet.tables.npy import check_memory

MAX_TEXTS = 100_000  # different ones in a column; more are not categories, and are not kept

Texts: TypeAlias = Mapping[str, tuple[str, ...] | None]
"""The distinct texts of each text column, as they occur; None if there are too many."""


def assemble(source: Any, folder: str | None = None) -> tuple[np.ndarray, Texts, Mapping[str, str]]:
    """Return all rows of a `Csv` or `Frame`, the texts, and signs beside numbers; see `Table`.

    In a folder, a temporary file holds the rows, which vanishes with them.
    """
    if folder is None:
        memory = io.BytesIO()
        shape, texts, signs = _write(source, memory, free_memory())
        return np.frombuffer(memory.getbuffer(), np.float64).reshape(shape), texts, signs
    try:
        with tempfile.TemporaryFile(prefix=".xpnet-", dir=folder) as file:
            shape, texts, signs = _write(source, file, sys.maxsize)
            file.flush()
            return np.memmap(file, np.float64, "r", 0, shape), texts, signs
    except OSError as error:
        message = f"{folder}: the table's rows cannot be kept here ({error.strerror or error})"
        raise SaveError(f"{message}; --stream --cache DIR keeps them elsewhere.") from error


def _write(source: Any, file: Any, limit: int) -> tuple[tuple[int, int], Texts, dict[str, str]]:
    """Write all rows to a file of up to `limit` bytes; return its shape, the texts and the signs.

    If a later block makes a column text, all is read again: of its numbers, 7 may have been 07.
    """
    texts, places = set(source.texts), range(len(source.names))
    while True:
        written_as, rows = set(texts), 0
        signs, known = [set[str]() for _ in places], [dict[str, int]() for _ in places]
        for frame in source.blocks():
            block = np.empty(frame.shape)
            for column, cells in enumerate(frame):
                numbers = None
                if column not in texts:
                    numbers, found = as_numbers(cells, decimal_commas=source.delimiter != ",")
                    signs[column] |= found
                if numbers is None:
                    texts.add(column)
                    numbers = _numbered(as_text(cells), known[column])
                block[:, column] = numbers
            written_as = written_as if rows else set(texts)
            check_memory(source.path, file.tell() + block.nbytes, limit)
            file.write(block.data)
            rows += len(block)
            del frame, cells, block, numbers  # before the next ones are read
        texts |= {at for at, each in enumerate(signs) if contradict(each)}
        if texts == written_as:
            words = {source.names[at]: tuple(known[at]) for at in sorted(texts)}
            few = {name: each if len(each) <= MAX_TEXTS else None for name, each in words.items()}
            beside = {source.names[at]: ", ".join(sorted(signs[at] - {PLAIN})) for at in places}
            beside = {name: each for name, each in beside.items() if each and name not in few}
            return (rows, len(places)), few, beside
        file.seek(0)
        file.truncate()


def _numbered(cells: Any, known: dict[str, int]) -> Any:
    """Return the number of each text, NaN where there is none; new ones get the next numbers."""
    import polars

    if len(known) > MAX_TEXTS:
        return np.nan
    for text in cells.unique(maintain_order=True).drop_nulls():
        known.setdefault(text, len(known))
    numbers = cells.cast(polars.Enum(list(known))).to_physical()
    return numbers.cast(polars.Float64).to_numpy()


def checked_names(names: Sequence[str]) -> tuple[tuple[str, ...], str | None]:
    """Return columns' names, unnamed_ and their place for those without, and what is wrong."""
    named = tuple(name or f"unnamed_{place}" for place, name in enumerate(names, 1))
    seen: dict[str, int] = {}
    for place, name in enumerate(named, 1):
        if name in seen:
            fault = f"columns {seen[name]} and {place} are both called {quoted(name)}; rename one."
            return named, fault
        seen[name] = place
    return named, None
