"""Read Parquet files, and frames in memory, by blocks of rows, with Polars."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from xpnet.errors import FileError
from xpnet.tables.checks import EXACT, alike, header_fault
from xpnet.tables.csv import add_spellings, open_binary, trimmed
from xpnet.tables.row_files import CELLS, pieces


@dataclass(frozen=True)
class Parquet:
    """One Parquet file, or frame; a `xpnet.tables.row_cache.Source`."""

    path: str
    names: tuple[str, ...]
    frame: Any  # polars.LazyFrame
    rows: int
    target: str = ""
    spellings: dict[str, None] = field(default_factory=dict)
    unfit: dict[str, str] = field(default_factory=dict)

    @property
    def about(self) -> dict[str, Any]:
        """What `Table` should know besides, as JSON values; complete once all rows are read."""
        return {"spellings": list(self.spellings), "unfit": self.unfit}

    def numbers(self, texts: set[int]) -> Iterator[np.ndarray]:
        """Yield the rows in blocks, NaN for missing cells; add to `texts` the text columns.

        Integers that float64 cannot tell apart count as text too; `unfit` columns stay NaN.
        """
        dtypes = self.frame.collect_schema().dtypes()
        unfit = {place for place, name in enumerate(self.names) if name in self.unfit}
        texts |= {place for place, dtype in enumerate(dtypes) if not dtype.is_numeric()} - unfit
        whole = [dtype.is_integer() or getattr(dtype, "scale", None) == 0 for dtype in dtypes]
        known: dict[int, dict[float, int]] = {}
        for block in self._blocks(self.frame):
            values = np.full(block.shape, np.nan)
            for place in set(range(len(dtypes))) - texts - unfit:
                cells = block.to_series(place)
                values[:, place] = cells.cast(float).to_numpy()
                large = np.abs(values[:, place]) >= EXACT
                if whole[place] and large.any():
                    integers = cells.filter(large).unique(maintain_order=True)
                    if self.names[place] == self.target:
                        add_spellings(self.spellings, integers)
                    if alike(integers, known.setdefault(place, {})):
                        texts.add(place)
            yield values

    def strings(self, columns: list[int]) -> Iterator[list[Any]]:
        """Yield some columns as Polars series of strings, in blocks of rows."""
        import polars

        # By number: the names "*" and "^...$" would mean others.
        for block in self._blocks(self.frame.select(polars.nth(columns))):
            yield [trimmed(cells.cast(str)) for cells in block]

    def _blocks(self, frame: Any) -> Iterator[Any]:
        for part in pieces(self.rows, len(self.names)):
            yield frame.slice(part.start, part.stop - part.start).collect()


def open_parquet(path: str, lazily: bool, target: str = "") -> Parquet:
    """Read the names and types of a Parquet file, and all of it unless `lazily`.

    Before that, everything is read in a separate process: on some damaged files Polars panics,
    with a stack trace on standard error, or ends its process.
    """
    import polars

    with open_binary(path) as file:
        first, last = file.read(4), b""
        if first == b"PAR1":
            file.seek(-4, os.SEEK_END)
            last = file.read(4)
    if last != b"PAR1":
        found = f"it begins with {first!r} and ends with {last!r}"
        raise FileError(f"{path}: not a Parquet file, or damaged ({found}); get it again.")
    _try_reading(path)
    frame = polars.scan_parquet(path) if lazily else polars.read_parquet(path).lazy()
    return open_frame(path, frame, target)


def open_frame(path: str, frame: Any, target: str = "") -> Parquet:
    """Look at a Polars LazyFrame; `path` is for messages."""
    import polars

    schema = frame.collect_schema()
    rows = int(frame.select(polars.len()).collect().item())
    names = tuple(name.strip() for name in schema)
    if fault := header_fault(names):
        raise FileError(f"{path}: {fault}")
    if not rows:
        raise FileError(f"{path}: there are no rows; add some.")
    no_cells = (polars.Binary, polars.Object, polars.Duration)
    unfit = {
        name: str(dtype)
        for name, dtype in zip(names, schema.values(), strict=True)
        if dtype.is_nested() or dtype in no_cells
    }
    return Parquet(path, names, frame, rows, target, unfit=unfit)


_READ = """
import sys, polars
frame = polars.scan_parquet(sys.argv[1])
rows, step = frame.select(polars.len()).collect().item(), int(sys.argv[2])
step = max(step // max(len(frame.collect_schema()), 1), 1)
for start in range(0, rows, step):
    frame.slice(start, step).collect()
"""


def _try_reading(path: str) -> None:
    command = [sys.executable, "-P", "-c", _READ, path, str(CELLS)]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["unknown reason"])[-1][:200]
        if done.returncode < 0:
            reason = f"reading it ends the process with signal {-done.returncode}"
        raise FileError(f"{path}: not a Parquet file, or damaged ({reason}); get it again.")
