"""Read Parquet, Arrow and JSON files, data frames and dicts, with Polars."""

import io
import os
import struct
import sys
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np

from xpnet.backend import files
from xpnet.errors import FileError, InputError, InputTypeError
from xpnet.tables.assemble import distinct_names
from xpnet.tables.messages import quoted
from xpnet.tables.npy import check_memory, open_binary, pieces, read_whole, unpacked
from xpnet.tables.sniff import Reading

IN_MEMORY = "the table"  # in messages, where files have their path
READERS = {
    ".parquet": "scan_parquet", ".pq": "scan_parquet", ".feather": "scan_ipc", ".arrow": "scan_ipc",
    ".jsonl": "scan_ndjson", ".ndjson": "scan_ndjson", ".json": "read_json",
}  # fmt: skip
"""Polars' functions by the endings of files."""

OF_PANDAS = {
    ".dta": "read_stata", ".sav": "read_spss", ".sas7bdat": "read_sas", ".xpt": "read_sas",
    ".html": "read_html", ".htm": "read_html", ".xml": "read_xml", ".orc": "read_orc",
}  # fmt: skip
"""The functions of pandas, which is optional, for other endings."""


@dataclass(frozen=True)
class Frame:
    """A Polars LazyFrame, for `assemble`; `unfit` columns, such as lists, are read as missing."""

    path: str
    names: tuple[str, ...]
    frame: Any
    rows: int
    texts: frozenset[int]
    unfit: Mapping[str, str]
    delimiter: str = ""
    decimal: str = ""
    guesses: Mapping[str, Any] = field(default_factory=dict)
    passed_over: Mapping[str, str] = field(default_factory=dict)
    line_of: ClassVar = None  # it has no lines

    def blocks(self) -> Iterator[Any]:
        """Yield rows as Polars frames of numbers and texts."""
        for part in pieces(self.rows, len(self.names)):
            with _polars_reading(self.path):
                frame = self.frame.slice(part.start, part.stop - part.start).collect()
            yield frame


def open_file(path: str, *, lazily: bool, as_texts: Collection[str] = ()) -> Frame:
    """Read a file by one of the `READERS`; if `lazily`, rows are read by `blocks` only."""
    import polars

    reader = READERS[os.path.splitext(unpacked(path).lower())[1]]
    how = {"infer_schema_length": None} if "json" in reader else {}
    source: Any = path
    if unpacked(path) != path:
        with open_binary(path) as file:
            source = io.BytesIO(read_whole(file))
    with _polars_reading(path):
        found = open_frame(path, getattr(polars, reader)(source, **how).lazy(), as_texts)
        if lazily:
            return found
        check_memory(path, 8 * found.rows * len(found.names))
        return replace(found, frame=found.frame.collect().lazy())


def open_with_pandas(path: str, how: Reading) -> Frame:
    """Read a file with pandas; of several tables on a web page, the one that `how` wants."""
    reader = OF_PANDAS[os.path.splitext(path.lower())[1]]
    try:
        import pandas

        found = getattr(pandas, reader)(path)
    except ImportError as error:
        remedy = "pip install pandas, and what it asks for; or save the table as CSV"
        raise InputError(f"{path}: read by pandas.{reader} ({reason(error)}): {remedy}.") from error
    except (ValueError, KeyError, OSError, struct.error) as error:
        raise FileError(f"{path}: pandas.{reader}: {reason(error)}; save it as CSV.") from error
    tables = found if isinstance(found, list) else [found]
    fitting = [each for each in tables if how.fits([*each])]
    return replace(frame_of((fitting or tables)[0], how.as_texts), path=path)


@contextmanager
def _polars_reading(path: str) -> Iterator[None]:
    """Turn Polars' errors, also panics, into a FileError."""
    import polars

    try:
        with files.quietly():
            yield
    except (polars.exceptions.PolarsError, polars.exceptions.PanicException, OSError) as error:
        what = f"not a {os.path.splitext(unpacked(path))[1]} file, or damaged ({reason(error)})"
        raise FileError(f"{path}: {what}; get it again.") from error


def reason(error: object) -> str:
    """Return the first line of an error."""
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def open_frame(path: str, frame: Any, as_texts: Collection[str] = ()) -> Frame:
    """Return the `Frame` of a Polars LazyFrame; `path` is for messages."""
    import polars

    frame = _flat(frame)
    schema = frame.collect_schema()
    rows = int(frame.select(polars.len()).collect().item())
    names = distinct_names([*schema])
    if not rows:
        raise FileError(f"{path}: there are no rows; add some.")
    no_cells, none = (polars.Binary, polars.Object), polars.lit(None)
    unfit, texts = dict[str, str](), set[int]()
    for at, (original, kind) in enumerate(schema.items()):
        if kind == polars.Duration:
            hours = polars.col(original).dt.total_milliseconds() / 3.6e6
            frame = frame.with_columns(hours)
        elif kind == polars.List(polars.String):
            frame = frame.with_columns(polars.col(original).list.join("; "))
        elif kind.is_nested() or kind in no_cells:
            unfit[names[at]] = str(kind)
            frame = frame.with_columns(none.cast(polars.Float64).alias(original))
        elif (
            not (kind.is_numeric() or kind in (polars.Null, polars.String)) or names[at] in as_texts
        ):
            texts.add(at)
    return Frame(path, names, frame, rows, frozenset(texts), unfit)


def _flat(frame: Any) -> Any:
    """Return a frame with a column for each field of nested records, named outer.inner.

    Lists of records have their number as a column, named outer.count. The rows of an object with
    one list of records, such as {"meta": ..., "data": [...]}, are these; pandas writes an object of
    columns, such as {"a": {"0": ..., "1": ...}}.
    """
    import polars

    schema = frame.collect_schema()
    alone = len(frame.head(2).collect()) == 1
    fields = ["".join(e.name for e in getattr(kind, "fields", ())) for kind in schema.values()]
    if alone and all(map(str.isdigit, fields)):
        columns = frame.collect().row(0, named=True).items()
        return polars.LazyFrame([_column(name, [*each.values()]) for name, each in columns])
    records = [name for name, kind in schema.items() if kind == polars.List(polars.Struct)]
    if len(records) == 1 and alone:
        return _flat(frame.select(records).explode(records).unnest(records))
    fields = [name for name, kind in schema.items() if kind == polars.Struct]
    if fields:
        return _flat(frame.unnest(fields, separator="."))
    counts = {f"{each}.count": polars.col(each).list.len() for each in records}
    return frame.with_columns(**{name: each for name, each in counts.items() if name not in schema})


def frame_of(data: Any, as_texts: Collection[str]) -> Frame:
    """Return the `Frame` of a data frame (pandas or Polars) or a dict of columns."""
    import polars

    if isinstance(data, polars.LazyFrame | polars.DataFrame):
        return open_frame(IN_MEMORY, data.lazy().collect().lazy(), as_texts)
    names = distinct_names([str(name) for name in data])
    columns = [_column(name, data[key]) for name, key in zip(names, data, strict=True)]
    if len({len(each) for each in columns}) > 1:
        raise InputError(f"{IN_MEMORY}: columns of different lengths; give each a cell per row.")
    return open_frame(IN_MEMORY, polars.DataFrame(columns).lazy(), as_texts)


def _column(name: str, cells: Any) -> Any:
    import polars

    try:
        if hasattr(cells, "isna"):  # of pandas, which has several kinds of missing cells
            cells = [None if gone else each for each, gone in zip(cells, cells.isna(), strict=True)]
        elif np.ma.isMA(cells) or np.asarray(cells).dtype.kind not in "buif":
            cells = cells.tolist() if hasattr(cells, "tolist") else [*cells]
        return polars.Series(name, cells, strict=False)
    except (TypeError, ValueError, OverflowError, polars.exceptions.PolarsError) as error:
        where = f"{IN_MEMORY}: column {quoted(name)} ({type(cells).__name__})"
        remedy = "give a list or an array of numbers or texts"
        raise InputTypeError(f"{where} cannot be read ({reason(error)}); {remedy}.") from error


def frame_like(data: Any, columns: dict[str, Any]) -> Any:
    """Return columns as a data frame if `data` is one, with the index of pandas; else as given."""
    import polars

    if isinstance(data, polars.DataFrame | polars.LazyFrame):
        return polars.DataFrame(columns)
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(data, pandas.DataFrame):
        return pandas.DataFrame(columns, index=data.index)
    return columns
