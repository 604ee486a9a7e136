"""Tables that are in memory already: data frames, dicts of columns, arrays."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from xpnet.errors import InputError, InputTypeError
from xpnet.tables.checks import header_fault, shown, up_to_ten
from xpnet.tables.frames import open_frame
from xpnet.tables.preprocessing import Preprocessing
from xpnet.tables.row_cache import in_memory
from xpnet.tables.table import Table, matrix_table

_PATH = "the table"  # in messages, where files have their path
_TAKEN = "give a file's path, a data frame (pandas or Polars), a dict of columns, or an array"


def given_table(data: Any, plan: Preprocessing) -> Table:
    """Return as a `Table` what `Model.predict` takes besides files.

    Parameters
    ----------
    data : data frame, mapping of str to sequence, or array (rows, columns)
        An array has the columns of the training table in their order, without the target; what a
        masked array hides is missing.
    """
    if _is_lazy(data) or isinstance(data, Mapping) or hasattr(data, "columns"):
        source = open_frame(_PATH, _frame(data).lazy())
        return Table(_PATH, source.names, *in_memory(source, ()), **source.about)
    if not hasattr(data, "__array__"):
        raise InputTypeError(f"predict: found {type(data).__name__}; {_TAKEN}.")
    if np.ma.is_masked(data) and data.dtype.kind in "buif":
        data = data.astype(np.float64).filled(np.nan)
    array = np.asarray(data)
    if plan.layout != "table":
        return matrix_table(_PATH, array)
    names = tuple(column.name for column in plan.columns)
    texts = [column.name for column in plan.columns if column.categories is not None]
    if texts or array.dtype.kind not in "buif":
        found = f"column {texts[0]!r} holds text" if texts else f"it holds {array.dtype}"
        remedy = "real numbers" if array.dtype.kind == "c" else "a data frame or a dict"
        raise InputTypeError(f"predict: found an array, but {found}; give {remedy}.")
    if array.ndim != 2 or array.shape[1] != len(names) or not len(array):
        message = f"predict: found an array of shape {array.shape}; give (rows, {len(names)})"
        raise InputError(f"{message}, with the columns {up_to_ten(names)}.")
    return Table(_PATH, names, array.astype(np.float64))


def _is_lazy(data: Any) -> bool:
    import polars

    return isinstance(data, polars.LazyFrame)


def _frame(data: Any) -> Any:
    """Return a Polars frame of named columns of any kind; NaN among objects means missing."""
    import polars

    if _is_lazy(data):
        try:
            data = data.collect()
        except polars.exceptions.PolarsError as error:
            message = f"the LazyFrame cannot be collected ({_reason(error)}); correct its query"
            raise InputError(f"{_PATH}: {message}.") from error
    if not isinstance(data, polars.DataFrame):
        names = [str(name) for name in data]
        if fault := header_fault(names):
            raise InputError(f"{_PATH}: {fault}")
        columns = [_column(name, data[key]) for name, key in zip(names, data, strict=True)]
        if len(lengths := {len(each): each.name for each in columns}) > 1:
            found = " and ".join(f"{rows} ({shown(name)})" for rows, name in lengths.items())
            raise InputError(
                f"{_PATH}: columns of lengths {found:.200}; give columns of the same length."
            )
        data = polars.DataFrame(columns)
    return data.cast({polars.Null: polars.Float64})  # nothing but missing cells


def _column(name: str, cells: Any) -> Any:
    """Return one column as a Polars series; refuse what has no cells, or some of unusable kinds."""
    import polars

    where, kind = f"{_PATH}: column {shown(name)}", type(cells).__name__
    single = isinstance(cells, str | bytes | Mapping) or not hasattr(cells, "__len__")
    if single or getattr(cells, "shape", None) == ():
        found = (
            "None" if cells is None else f"one {kind}" if np.isscalar(cells) else f"of type {kind}"
        )
        raise InputTypeError(f"{where} is {found}; give a list or an array with a cell per row.")
    try:
        if isinstance(cells, np.ma.MaskedArray):
            cells = cells.tolist()  # None for what is masked
        array = np.asarray(cells) if hasattr(cells, "__array__") else None
        dated = isinstance(cells, np.ndarray) and cells.dtype.kind in "mM"
        if array is not None and (dated or array.dtype.kind in "buif"):
            return polars.Series(name, array)
        gone = cells.isna() if hasattr(cells, "isna") else [_is_missing(each) for each in cells]
        cells = [None if none else each for each, none in zip(cells, gone, strict=True)]
        if not any(isinstance(each, complex | np.complexfloating) for each in cells):
            return polars.Series(name, cells, strict=False)
    except (TypeError, ValueError, OverflowError, polars.exceptions.PolarsError) as error:
        message = f"{where} ({kind}) cannot be read ({_reason(error)}); give numbers or text"
        raise InputTypeError(f"{message}.") from error
    raise InputTypeError(f"{where} holds complex numbers; give real ones.")


def _is_missing(cell: Any) -> bool:
    return cell is np.ma.masked or bool(cell != cell)


def _reason(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
