"""Tables that are in memory already: data frames, dicts of columns, arrays."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from xpnet.errors import InputError, InputTypeError
from xpnet.parquet_tables import open_frame
from xpnet.preprocessing import Preprocessing
from xpnet.row_cache import in_memory
from xpnet.table_checks import up_to_ten
from xpnet.tables import Table, matrix_table

_PATH = "the table"  # in messages, where files have their path
_TAKEN = "give a file's path, a data frame (pandas or Polars), a dict of columns, or an array"


def given_table(data: Any, plan: Preprocessing) -> Table:
    """Return as a `Table` what `Model.predict` takes besides files.

    Parameters
    ----------
    data : data frame, mapping of str to sequence, or array (rows, columns)
        An array has the columns of the training table in their order, without the target.
    """
    if isinstance(data, Mapping) or hasattr(data, "columns"):
        source = open_frame(_PATH, _frame(data).lazy())
        return Table(_PATH, source.names, *in_memory(source, ()), **source.about)
    if not hasattr(data, "__array__"):
        raise InputTypeError(f"predict: found {type(data).__name__}; {_TAKEN}.")
    array = np.asarray(data)
    if plan.layout != "table":
        return matrix_table(_PATH, array)
    names = tuple(column.name for column in plan.columns)
    texts = [column.name for column in plan.columns if column.categories is not None]
    if texts or array.dtype.kind not in "buif":
        found = f"column {texts[0]!r} holds text" if texts else f"it holds {array.dtype}"
        raise InputTypeError(f"predict: found an array, but {found}; give a data frame or a dict.")
    if array.ndim != 2 or array.shape[1] != len(names) or not len(array):
        message = f"predict: found an array of shape {array.shape}; give (rows, {len(names)})"
        raise InputError(f"{message}, with the columns {up_to_ten(names)}.")
    return Table(_PATH, names, array.astype(np.float64))


def _frame(data: Any) -> Any:
    """Return a Polars frame of named columns of any kind; NaN among objects means missing."""
    import polars

    if isinstance(data, polars.DataFrame):
        return data
    columns = []
    for name in data:
        cells = data[name]
        numbers = np.asarray(cells) if hasattr(cells, "__array__") else None
        if numbers is not None and numbers.dtype.kind in "buif":
            columns.append(polars.Series(str(name), numbers))
            continue
        gone = cells.isna() if hasattr(cells, "isna") else [each != each for each in cells]
        cells = [None if none else each for each, none in zip(cells, gone, strict=True)]
        columns.append(polars.Series(str(name), cells, strict=False))
    try:
        return polars.DataFrame(columns)
    except polars.exceptions.PolarsError as error:  # columns of different lengths
        reason = str(error).splitlines()[0]
        raise InputError(f"{_PATH}: {reason}; give columns of the same length.") from error
