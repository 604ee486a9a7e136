"""Parquet files, and tables in memory: data frames and dicts of columns; read with Polars."""

import sys
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from xpnet.errors import FileError, InputError, InputTypeError
from xpnet.tables.assemble import header_fault, named
from xpnet.tables.messages import quoted
from xpnet.tables.npy import check_memory, open_binary, pieces

IN_MEMORY = "the table"  # in messages, where files have their path


@dataclass(frozen=True)
class Frame:
    """A Polars LazyFrame; `texts` are the columns of another type than numbers.

    Attributes
    ----------
    unfit : dict of str to str
        Columns of which no inputs can be made, such as lists, and their types; they are read as
        missing.
    """

    path: str
    names: tuple[str, ...]
    frame: Any
    rows: int
    texts: frozenset[int]
    unfit: Mapping[str, str]
    delimiter: str = ""  # see `Csv`

    def blocks(self, floats: Collection[int] = ()) -> Iterator[Any]:
        """Yield rows as Polars frames of numbers and texts; for `floats` see `Csv`."""
        import polars

        for part in pieces(self.rows, len(self.names)):
            try:
                yield self.frame.slice(part.start, part.stop - part.start).collect()
            except (polars.exceptions.PolarsError, polars.exceptions.PanicException) as error:
                raise _damaged(self.path, error) from error


def open_parquet(path: str, *, lazily: bool) -> Frame:
    """Read a Parquet file, or only names and types; the rows then come from `blocks`."""
    import polars

    with open_binary(path) as file:
        first = file.read(4)
    if first != b"PAR1":
        raise _damaged(path, f"it begins with {first!r}")
    try:
        found = open_frame(path, polars.scan_parquet(path))
        if lazily:
            return found
        check_memory(path, 8 * found.rows * len(found.names))
        return replace(found, frame=found.frame.collect().lazy())
    except (polars.exceptions.PolarsError, polars.exceptions.PanicException, OSError) as error:
        raise _damaged(path, error) from error


def _damaged(path: str, reason: object) -> FileError:
    return FileError(f"{path}: not a Parquet file, or damaged ({_reason(reason)}); get it again.")


def _reason(error: object) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def open_frame(path: str, frame: Any) -> Frame:
    """Look at a Polars LazyFrame; `path` is for messages."""
    import polars

    schema = frame.collect_schema()
    rows = int(frame.select(polars.len()).collect().item())
    names = named([name.strip() for name in schema])
    if fault := header_fault(names):
        raise FileError(f"{path}: {fault}")
    if not rows:
        raise FileError(f"{path}: there are no rows; add some.")
    no_cells = (polars.Binary, polars.Object, polars.Duration)
    unfit = {
        name: str(dtype) for name, dtype in schema.items() if dtype.is_nested() or dtype in no_cells
    }
    frame = frame.with_columns(polars.lit(None, polars.Float64).alias(name) for name in unfit)
    texts = frozenset(
        at
        for at, (name, dtype) in enumerate(schema.items())
        if not dtype.is_numeric() and name not in unfit
    )
    return Frame(path, names, frame, rows, texts, {k.strip(): each for k, each in unfit.items()})


def frame_of(data: Any) -> Frame:
    """Return what a data frame (pandas or Polars) or a dict of columns holds.

    Columns may be of any kind; NaN among objects means missing.
    """
    import polars

    if isinstance(data, polars.LazyFrame):
        try:
            data = data.collect()
        except polars.exceptions.PolarsError as error:
            message = f"the LazyFrame cannot be collected ({_reason(error)}); correct its query"
            raise InputError(f"{IN_MEMORY}: {message}.") from error
    if not isinstance(data, polars.DataFrame):
        names = named([str(name) for name in data])
        if fault := header_fault(names):
            raise InputError(f"{IN_MEMORY}: {fault}")
        columns = [_column(name, data[key]) for name, key in zip(names, data, strict=True)]
        if len(lengths := {len(each): each.name for each in columns}) > 1:
            found = " and ".join(f"{rows} ({quoted(name)})" for rows, name in lengths.items())
            raise InputError(
                f"{IN_MEMORY}: columns of lengths {found:.200}; give columns of the same length."
            )
        data = polars.DataFrame(columns)
    # A column of nothing but missing cells is one of numbers.
    return open_frame(IN_MEMORY, data.cast({polars.Null: polars.Float64}).lazy())


def _column(name: str, cells: Any) -> Any:
    """Return one column as a Polars series; refuse what has no cells, or some of unusable kinds."""
    import polars

    where, kind = f"{IN_MEMORY}: column {quoted(name)}", type(cells).__name__
    single = isinstance(cells, str | bytes | Mapping) or not hasattr(cells, "__len__")
    if single or getattr(cells, "shape", None) == ():
        raise InputTypeError(f"{where} is of type {kind}; give a list or an array, a cell per row.")
    try:
        hidden = isinstance(cells, np.ma.MaskedArray)
        if hasattr(cells, "__array__") and not hidden and np.asarray(cells).dtype.kind in "buif":
            return polars.Series(name, np.asarray(cells))
        values = cells.tolist() if hasattr(cells, "tolist") else list(cells)
        gone = cells.isna() if hasattr(cells, "isna") else map(_is_missing, values)
        values = [None if none else each for each, none in zip(values, gone, strict=True)]
        return polars.Series(name, values, strict=False)
    except (TypeError, ValueError, OverflowError, polars.exceptions.PolarsError) as error:
        message = f"{where} ({kind}) cannot be read ({_reason(error)}); give numbers or text"
        raise InputTypeError(f"{message}.") from error


def _is_missing(cell: Any) -> bool:
    return cell is np.ma.masked or bool(cell != cell)


def frame_like(data: Any, columns: dict[str, Any]) -> Any:
    """Return columns as a data frame, with pandas' index, if `data` is one; else as they are."""
    import polars

    if isinstance(data, polars.DataFrame | polars.LazyFrame):
        return polars.DataFrame(columns)
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(data, pandas.DataFrame):
        return pandas.DataFrame(columns, index=data.index)
    return columns
