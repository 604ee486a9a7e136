"""Read Parquet files by blocks of rows, with Polars."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from xpnet.csv_tables import open_binary, trimmed
from xpnet.errors import FileError
from xpnet.row_files import pieces
from xpnet.table_checks import header_fault, shown


@dataclass(frozen=True)
class Parquet:
    """One Parquet file; a `xpnet.row_cache.Source`."""

    path: str
    names: tuple[str, ...]
    frame: Any  # polars.LazyFrame
    rows: int

    def numbers(self, texts: set[int]) -> Iterator[np.ndarray]:
        """Yield the rows in blocks, NaN for missing cells; add to `texts` the text columns."""
        dtypes = self.frame.collect_schema().dtypes()
        texts |= {place for place, dtype in enumerate(dtypes) if not dtype.is_numeric()}
        for block in self._blocks(self.frame):
            values = np.full(block.shape, np.nan)
            for place in set(range(len(dtypes))) - texts:
                values[:, place] = block.to_series(place).cast(float).to_numpy()
            yield values

    def strings(self, columns: list[int]) -> Iterator[list[Any]]:
        """Yield some columns as Polars series of strings, in blocks of rows."""
        import polars

        # By number: the names "*" and "^...$" would mean others.
        for block in self._blocks(self.frame.select(polars.nth(columns))):
            yield [trimmed(cells.cast(str)) for cells in block]

    def _blocks(self, frame: Any) -> Iterator[Any]:
        for part in pieces(self.rows, len(self.names)):
            with _as_file_errors(self.path):
                block = frame.slice(part.start, part.stop - part.start).collect()
            yield block


def open_parquet(path: str, lazily: bool) -> Parquet:
    """Read the names and types of a Parquet file; all of it, unless `lazily`."""
    import polars

    with open_binary(path) as file, _as_file_errors(path):
        frame = polars.scan_parquet(path) if lazily else polars.read_parquet(file).lazy()
        schema = frame.collect_schema()
        rows = int(frame.select(polars.len()).collect().item())
    names = tuple(name.strip() for name in schema)
    if fault := header_fault(names):
        raise FileError(f"{path}: {fault}")
    if not rows:
        raise FileError(f"{path}: there are no rows; add some.")
    no_cells = (polars.Binary, polars.Object, polars.Duration)
    for name, dtype in zip(names, schema.values(), strict=True):
        if dtype.is_nested() or dtype in no_cells:
            message = f"column {shown(name)} holds {dtype}; leave it out of the file."
            raise FileError(f"{path}: {message}")
    return Parquet(path, names, frame, rows)


@contextmanager
def _as_file_errors(path: str) -> Iterator[None]:
    """Turn errors of Polars into FileErrors; keep the stack of a panic off standard error."""
    import polars

    sys.stderr.flush() if sys.stderr else None
    try:
        descriptor = os.dup(2)
    except OSError:  # closed: nothing can be seen there
        descriptor = -1
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    except (polars.exceptions.PolarsError, polars.exceptions.PanicException) as error:
        reason = str(error).splitlines()[0][:200] if str(error) else "unknown reason"
        raise FileError(f"{path}: no Parquet file, or damaged ({reason}); get it again.") from error
    finally:
        if descriptor >= 0:
            os.dup2(descriptor, 2)
            os.close(descriptor)
        else:
            os.close(2)
