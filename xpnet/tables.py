"""Tables on the host: CSV, TSV, Parquet, NPZ, NPY and IDX files, each into one `Table`."""

import math
import os
import re
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from xpnet.csv_tables import Text, as_text, open_binary, read_csv, trimmed
from xpnet.errors import FileError, InputError
from xpnet.table_checks import closest, header_fault, plain, shown

_DELIMITERS = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
_IDX_TYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
_FORMATS = ".csv, .tsv, .parquet, .npy, .npz, -idx3-ubyte or .idx (also .csv.gz and so on)"

# What NumPy and zipfile raise when a file is not what it says.
_DAMAGE = (
    ValueError, TypeError, KeyError, SyntaxError, EOFError, OverflowError, MemoryError,
    RuntimeError, NotImplementedError, zipfile.BadZipFile, zlib.error, tokenize.TokenError,
)  # fmt: skip


@dataclass(frozen=True)
class Table:
    """Rows of a file, as read: nothing is scaled, encoded or left out.

    Attributes
    ----------
    path : str
        The file, for messages.
    names : tuple of str
        The columns, in the file's order.
    matrix : array (rows, columns)
        The numbers. float64 with NaN for missing cells where the file has named columns (text
        columns have a place, too, that is not used); else of the file's own type, flattened to two
        axes, and perhaps mapped from the disk.
    texts : dict of str to Text
        The text columns. Whether a text is welcome is for the use to say, so a table with a stray
        word in a column can be read, and the column dropped.
    layout : {"table", "matrix"}
        Whether the columns have names of their own, or are x0, x1, ...
    lines : int64 array (rows,), optional
        The line of the file on which each row begins.
    labels : Table, optional
        The target of a matrix, where it stands in an array of its own; one column.
    """

    path: str
    names: tuple[str, ...]
    matrix: np.ndarray
    texts: Mapping[str, Text] = field(default_factory=dict)
    layout: str = "table"
    lines: np.ndarray | None = None
    labels: "Table | None" = None

    @property
    def rows(self) -> int:
        """The number of rows."""
        return int(self.matrix.shape[0])

    @cached_property
    def places(self) -> dict[str, int]:
        """The place of each column by its name."""
        return {name: place for place, name in enumerate(self.names)}

    def index(self, name: str, role: str = "column") -> int:
        """Return the place of a column; raise InputError with the closest names if missing."""
        if name not in self.places:
            message = f"{self.path}: there is no {role} {shown(name)}; {closest(name, self.names)}"
            raise InputError(message)
        return self.places[name]

    def place(self, row: int, name: str) -> str:
        """Say where a cell stands: file, line (or row) and column."""
        where = f"row {row} (the first is 0)" if self.lines is None else f"line {self.lines[row]}"
        return f"{self.path}: {where}, column {shown(name)}"

    def cell(self, row: int, name: str) -> str:
        """Return what stands in a cell, as text."""
        if (text := self.texts.get(name)) is not None:
            code = text.codes[row]
            return text.categories[code] if code >= 0 else ""
        value = self.matrix[row, self.places[name]]
        return "" if np.isnan(value) else plain(value)

    def missing(self, name: str) -> np.ndarray:
        """Return a bool array (rows,): where a column has no value."""
        if (text := self.texts.get(name)) is not None:
            return np.asarray(text.codes < 0)
        return np.asarray(np.isnan(self.matrix[:, self.index(name)]))


def read_table(
    path: str | os.PathLike[str],
    *,
    encoding: str = "utf-8",
    target: str | None = None,
    delimiter: str | None = None,
) -> Table:
    r"""Read a table from a file.

    Parameters
    ----------
    path : path
        CSV, TSV, NPY or IDX (all four also .gz), Parquet or NPZ, told apart by the name.
    encoding : str
        Of CSV and TSV.
    target : str, optional
        For NPY and IDX the file with the targets, for NPZ the array (default ``y``, if there);
        needed for training only. Without effect for the other formats: there it is a column.
    delimiter : str, optional
        Of CSV and TSV, if it is not the one that goes with the name; ``\t`` may be escaped.

    Raises
    ------
    FileError
        Where the file is not what its name says, or damaged: names the place and the remedy.
    """
    path = os.fspath(path)
    kind = os.path.splitext(path.removesuffix(".gz").lower())[1]
    if kind in _DELIMITERS:
        delimiter = (delimiter or _DELIMITERS[kind]).replace("\\t", "\t")
        if len(delimiter) != 1 or not delimiter.isascii() or delimiter in '"\r\n\0':
            raise InputError(f"delimiter: found {shown(delimiter)}; give one ASCII character.")
        names, matrix, texts, lines = read_csv(path, encoding, delimiter)
        return Table(path, names, matrix, texts, lines=lines)
    if kind in (".parquet", ".pq") and not path.endswith(".gz"):
        return _read_parquet(path)
    if kind == ".npz" and not path.endswith(".gz"):
        return _read_npz(path, target)
    return _with_labels(_matrix(path, _read_array(path, kind)), target)


def _read_parquet(path: str) -> Table:
    import polars

    no_cells = (polars.Binary, polars.Object, polars.Duration)
    try:
        with open_binary(path) as file:
            frame = polars.read_parquet(file)
        names = tuple(name.strip() for name in frame.columns)
        if fault := header_fault(names):
            raise FileError(f"{path}: {fault}")
        if not frame.height:
            raise FileError(f"{path}: there are no rows; add some.")
        texts, matrix = {}, np.full(frame.shape, np.nan)
        for place, name in enumerate(names):
            cells = frame.to_series(place)
            if cells.dtype.is_numeric():
                matrix[:, place] = cells.cast(polars.Float64).to_numpy()
            elif cells.dtype.is_nested() or cells.dtype in no_cells:
                message = f"column {shown(name)} holds {cells.dtype}; leave it out of the file."
                raise FileError(f"{path}: {message}")
            else:
                texts[name] = as_text(trimmed(cells.cast(polars.String)))
    except (polars.exceptions.PolarsError, polars.exceptions.PanicException) as error:
        reason = str(error).splitlines()[0][:200] if str(error) else "unknown reason"
        raise FileError(f"{path}: no Parquet file, or damaged ({reason}); get it again.") from error
    return Table(path, names, matrix, texts)


def _read_array(path: str, kind: str) -> np.ndarray:
    """Read an NPY or IDX file; an unpacked one is mapped, not loaded."""
    if kind == ".npy":
        return _read_npy(path)
    if kind == ".idx" or re.search(r"idx\d|ubyte", os.path.basename(path)):
        return _read_idx(path)
    raise FileError(f"{path}: unknown kind of file; name it {_FORMATS}.")


def _read_npy(path: str) -> np.ndarray:
    try:
        with open_binary(path) as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of headers written by Python 2
            if path.endswith(".gz"):
                array = np.lib.format.read_array(file, allow_pickle=False)
            else:
                array = np.lib.format.open_memmap(path, mode="r")
            return array
    except FileError:
        raise
    except _DAMAGE as error:
        raise FileError(f"{path}: no NPY file, or damaged ({error}); get it again.") from error


def _read_idx(path: str) -> np.ndarray:
    with open_binary(path) as file:
        head = file.read(4)
        if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in _IDX_TYPES or not head[3]:
            raise FileError(f"{path}: no IDX file, its first bytes are {head!r}; get it again.")
        sizes = file.read(4 * head[3])
        shape = tuple(int(each) for each in np.frombuffer(sizes[: len(sizes) // 4 * 4], ">u4"))
        dtype = np.dtype(_IDX_TYPES[head[2]])
        wanted = math.prod(shape) * dtype.itemsize
        body, packed = bytearray(), path.endswith(".gz")
        # In pieces, since the head may promise more than there is memory.
        while packed and len(body) <= wanted and (piece := file.read(1 << 20)):
            body += piece
        found = len(body) if packed else os.path.getsize(path) - 4 - len(sizes)
        if len(shape) < head[3] or found != wanted:
            message = f"IDX data of shape {shape} needs {wanted} bytes, found {found}"
            raise FileError(f"{path}: {message}; get it again.")
    if packed or not wanted:
        return np.frombuffer(body, dtype).reshape(shape)
    return np.memmap(path, dtype, "r", offset=4 + len(sizes), shape=shape)


def _read_npz(path: str, target: str | None) -> Table:
    try:
        with open_binary(path) as file, np.load(file, allow_pickle=False) as arrays:
            names = list(arrays.files)
            if target is not None and target not in names:
                message = f"there is no array {shown(target)}; {closest(target, names)}"
                raise InputError(f"{path}: {message}")
            label = target or ("y" if "y" in names else None)
            data = _features(path, names, label)
            table = _matrix(f"{path}[{data}]", arrays[data])
            if label is None:
                return table
            return _join(table, _matrix(f"{path}[{label}]", arrays[label], label))
    except (FileError, InputError):
        raise
    except (*_DAMAGE, AttributeError) as error:
        raise FileError(f"{path}: no NPZ file, or damaged ({error}); get it again.") from error


def _features(path: str, names: list[str], label: str | None) -> str:
    """Choose the array with the features: x, or y_train's x_train, or the only one left."""
    left = [name for name in names if name != label]
    for name in ("x" + label[1:] if label and label[0] in "yt" else "x", "x", "X"):
        if name in left:
            return name
    if len(left) == 1:
        return left[0]
    listed = ", ".join(shown(name) for name in names)
    raise FileError(f"{path}: which array holds the features? Found {listed}; name it x.")


def _with_labels(table: Table, target: str | None) -> Table:
    if target is None:
        return table
    if not os.path.exists(target):
        message = f"the target {shown(target)} is no file; {table.path} has no named columns, so"
        raise InputError(f"{message} give the file with the targets, such as labels.npy.")
    kind = os.path.splitext(target.removesuffix(".gz").lower())[1]
    return _join(table, _matrix(target, _read_array(target, kind), "target"))


def _join(table: Table, labels: Table) -> Table:
    if labels.rows != table.rows or len(labels.names) != 1:
        raise FileError(
            f"{labels.path}: found targets of shape {labels.matrix.shape} for {table.rows} rows of "
            f"{table.path}; give one target per row."
        )
    return Table(table.path, table.names, table.matrix, layout=table.layout, labels=labels)


def _matrix(path: str, array: np.ndarray, label: str | None = None) -> Table:
    """Make a table of an array, its further axes flattened."""
    found = f"{path}: an array of {array.dtype}, shape {array.shape}"
    if label is not None and array.dtype.kind == "U" and array.ndim == 1 and array.size:
        categories, codes = np.unique(array, return_inverse=True)
        text = Text(tuple(str(each) for each in categories), codes.astype(np.int32))
        return Table(path, (label,), np.full((len(array), 1), np.nan), {label: text})
    if array.dtype.kind not in "buif" or array.dtype.itemsize > 8:
        raise FileError(f"{found}; convert it to real numbers, such as float32.")
    if array.ndim < (1 if label else 2) or not array.size:
        raise FileError(f"{found}; give rows and columns, at least one of each.")
    flat = array.reshape(len(array), -1)
    if label is not None:
        return Table(path, (label,) * flat.shape[1], flat.astype(np.float64), layout="matrix")
    return Table(path, tuple(f"x{i}" for i in range(flat.shape[1])), flat, layout="matrix")


def write_csv(path: str | os.PathLike[str], columns: Mapping[str, Iterable[Any]]) -> None:
    """Write columns of equal length to a CSV file, whole or not at all.

    Raises
    ------
    SaveError
        Where it cannot be written; a file that was there stays as it was.
    """
    import polars

    from xpnet.atomic import atomic_write

    frame = polars.DataFrame({name: polars.Series(values) for name, values in columns.items()})
    with atomic_write(path) as file:
        frame.write_csv(file)
