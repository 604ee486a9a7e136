"""The inputs of rows that stay on disk, prepared as they are read, by whoever needs them."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from xpnet.tables.npy import pieces
from xpnet.tables.preprocessing import Preprocessing
from xpnet.tables.table import PARQUET, Table, read_part


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
        """Return these of the rows, prepared."""
        return self.plan.transform(self.table, self.rows[rows], dtype=self.dtype)

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield all rows in order, some at a time."""
        return (self.read_rows(part) for part in pieces(*self.shape))

    def shared_out(self, of_each: Iterable[range]) -> "list[RowsOfFile] | None":
        """Return by what each process reads its own rows; None if only this one can."""
        path = os.path.abspath(self.table.path)
        if self.table.layout == "table" and not path.lower().endswith(PARQUET):
            return None
        own = (self.rows[each.start : each.stop] for each in of_each)
        return [RowsOfFile(path, _stamp(path), self.plan, rows, self.dtype) for rows in own]


@dataclass(frozen=True)
class RowsOfFile:
    """Some rows of a file, in ascending order, that a process may have, too."""

    path: str
    stamp: tuple[int, int]
    plan: Preprocessing
    rows: np.ndarray
    dtype: str

    def is_here(self) -> bool:
        """Return whether it is here as it was there."""
        return os.path.exists(self.path) and _stamp(self.path) == self.stamp

    def read(self) -> np.ndarray:
        """Read them, some at a time, and prepare them."""
        inputs = np.empty((len(self.rows), self.plan.inputs), self.dtype)
        for part in pieces(*inputs.shape):
            rows = self.rows[part]
            table = read_part(self.path, rows[0], rows[-1] + 1)
            inputs[part] = self.plan.transform(table, rows - rows[0], dtype=self.dtype)
        return inputs


def _stamp(path: str) -> tuple[int, int]:
    found = os.stat(path)
    return found.st_size, found.st_mtime_ns
