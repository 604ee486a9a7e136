"""Rows that stay on disk, and are prepared when they are read, by the process that needs them."""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from xpnet.tables.npy import pieces
from xpnet.tables.preprocessing import Preprocessing
from xpnet.tables.table import IN_GROUPS, Table, read_part


@dataclass(frozen=True)
class PreparedRows:
    """The inputs of rows that stay on disk, read and prepared on request."""

    plan: Preprocessing
    table: Table
    rows: np.ndarray
    dtype: str

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and inputs."""
        return len(self.rows), self.plan.inputs

    def read_rows(self, rows: np.ndarray | slice) -> np.ndarray:
        """Return the rows with these numbers, prepared."""
        return self.plan.transform(self.table, self.rows[rows], dtype=self.dtype)

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield all rows in order, block by block."""
        return (self.read_rows(part) for part in pieces(*self.shape))

    def shared_out(self, of_each: Iterable[range]) -> list[Callable[[], np.ndarray | None]] | None:
        """Return for each process a function that reads its rows; None if only this one can."""
        path = os.path.abspath(self.table.path)
        if self.table.layout == "table" and not path.lower().endswith(IN_GROUPS):
            return None
        own = (self.rows[each.start : each.stop] for each in of_each)
        return [partial(read_here, path, _stamp(path), self.plan, e, self.dtype) for e in own]


def read_here(
    path: str, stamp: tuple[int, int], plan: Preprocessing, rows: np.ndarray, dtype: str
) -> np.ndarray | None:
    """Read and prepare ascending rows of a file; None if it is another file on this machine."""
    if not os.path.exists(path) or _stamp(path) != stamp:
        return None
    inputs = np.empty((len(rows), plan.inputs), dtype)
    for part in pieces(*inputs.shape):
        some = rows[part]
        places = some - some[0]
        table = read_part(path, some[0], places[-1] + 1, plan)
        inputs[part] = plan.transform(table, places, dtype=dtype)
    return inputs


def _stamp(path: str) -> tuple[int, int]:
    found = os.stat(path)
    return found.st_size, found.st_mtime_ns
