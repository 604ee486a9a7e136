"""Blocks of rows, as CSV, Parquet and data frames give them, put together into one matrix.

It is float64 with NaN for missing cells, in memory or, for `stream`, in a temporary file. A text
column holds the number of each cell's text, in the order in which they first occur.
"""

import io
import sys
import tempfile
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from xpnet.backend.threads import free_memory
from xpnet.errors import SaveError
from xpnet.tables.cells import PLAIN, as_numbers, as_text, contradict
from xpnet.tables.messages import one_line
from xpnet.tables.npy import check_memory

MAX_TEXTS = 100_000  # different ones in a column; more are not categories, and are not kept

Texts: TypeAlias = Mapping[str, tuple[str, ...] | None]
"""The distinct texts of each text column, as they occur; None if there are too many."""


Found: TypeAlias = tuple[Texts, Mapping[str, str], Mapping[str, tuple[str, ...]]]
"""The texts, signs beside numbers, and words among numbers that stand for nothing, by column."""


def assemble(
    source: Any, folder: str | None = None, gaps: Collection[str] = ()
) -> tuple[np.ndarray, Texts, Mapping[str, str], Mapping[str, tuple[str, ...]]]:
    """Return all rows of a `Csv` or `Frame`, and what was found in them; see `Table`.

    In a folder, a temporary file holds the rows, which vanishes with them. The `gaps` are words
    that stand for nothing among numbers.
    """
    if folder is None:
        memory = io.BytesIO()
        shape, found = _write(source, memory, free_memory(), gaps)
        return np.frombuffer(memory.getbuffer(), np.float64).reshape(shape), *found
    try:
        with tempfile.TemporaryFile(prefix=".xpnet-", dir=folder) as file:
            shape, found = _write(source, file, sys.maxsize, gaps)
            file.flush()
            return np.memmap(file, np.float64, "r", 0, shape), *found
    except OSError as error:
        message = f"{folder}: the table's rows cannot be kept here ({error.strerror or error})"
        raise SaveError(f"{message}; --stream --cache DIR keeps them elsewhere.") from error


def _write(
    source: Any, file: Any, limit: int, gaps: Collection[str]
) -> tuple[tuple[int, int], Found]:
    """Write all rows to a file of up to `limit` bytes; return its shape, and what is in it.

    If a later block makes a column text, all is read again: of its numbers, 7 may have been 07.
    """
    texts, places = set(source.texts), range(len(source.names))
    how = {"decimal_commas": source.decimal != ".", "typed": not source.delimiter, "gaps": gaps}
    while True:
        written_as, rows, known = set(texts), 0, [dict[str, int]() for _ in places]
        signs, words = [set[str]() for _ in places], [set[str]() for _ in places]
        for frame in source.blocks():
            block = np.empty(frame.shape)
            for column, cells in enumerate(frame):
                numbers = None
                if column not in texts:
                    numbers, found, nothing = as_numbers(cells, source.names[column], **how)
                    signs[column] |= found
                    words[column] |= nothing
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
            numeric = {source.names[at]: at for at in places if at not in texts}
            each_text = {source.names[at]: tuple(known[at]) for at in sorted(texts)}
            few = {
                name: each if len(each) <= MAX_TEXTS else None for name, each in each_text.items()
            }
            beside = {name: ", ".join(sorted(signs[at] - {PLAIN})) for name, at in numeric.items()}
            gone = {name: tuple(sorted(words[at])) for name, at in numeric.items() if words[at]}
            return (rows, len(places)), (few, {k: v for k, v in beside.items() if v}, gone)
        file.seek(0)
        file.truncate()


def _numbered(cells: Any, known: dict[str, int]) -> Any:
    import polars

    if len(known) > MAX_TEXTS:
        return np.nan
    for text in cells.unique(maintain_order=True).drop_nulls():
        known.setdefault(text, len(known))
    numbers = cells.cast(polars.Enum(list(known))).to_physical()
    return numbers.cast(polars.Float64).to_numpy()


def distinct_names(names: Sequence[str]) -> tuple[str, ...]:
    """Return columns' names, unnamed_ and their place for those without; a (1), a (2) for twins."""
    named = [one_line(name) or f"unnamed_{place}" for place, name in enumerate(names, 1)]
    total, seen = Counter(named), Counter[str]()
    for at, name in enumerate(named):
        seen[name] += 1
        named[at] = f"{name} ({seen[name]})" if total[name] > 1 else name
    return tuple(named)
