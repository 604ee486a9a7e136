"""Tables on the host: CSV, TSV, Parquet, NPZ, NPY and IDX files, each into one `Table`."""

import math
import os
import re
import tokenize
import zipfile
import zlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any

import numpy as np

from xpnet.errors import FileError, InputError
from xpnet.tables.checks import closest, option, plain, shown
from xpnet.tables.csv import DECIMALS, open_binary, open_csv
from xpnet.tables.frames import open_parquet
from xpnet.tables.row_cache import Texts, in_file, in_memory
from xpnet.tables.row_files import RowFile, pieces, read_head

_DELIMITERS = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
_PARQUET = (".parquet", ".pq")
_FORMATS = ".csv, .tsv, .npy, -idx3-ubyte or .idx (these also .gz), .parquet or .npz"

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
    matrix : array or RowFile, (rows, columns)
        The numbers. If the file has named columns: float64 with NaN for missing cells, and in a
        text column the place of each text in `texts`; CSV files give one more column, the line
        on which each row begins. Otherwise of the file's own type, flattened to two axes.
    texts : dict of str to tuple of str, or None
        The text columns: their distinct texts, in order; None for more than 100,000. Whether
        text is welcome depends on the use, so a table with a stray word in a column can be
        read, and the column dropped.
    layout : {"table", "matrix"}
        Whether the columns have names of their own, or are x0, x1, ...
    spellings : sequence of str
        The distinct whole numbers of the target's column as the file writes them, such as 007; of
        Parquet those that float64 may not hold. Classes keep them.
    unfit : dict of str to str
        Columns of which no inputs can be made, such as lists, and their types; NaN in `matrix`.
        They may be in the file, but not be used.
    labels : Table, optional
        The target of a matrix, if it is in a separate array; one column.
    delimiter, decimal : str
        Of a CSV or TSV file. With a decimal comma, cells are here as a decimal point would have
        them: 1.5 for 1,5, and 1,234 for 1.234.
    arrays : sequence of str
        The names of the arrays in an NPZ file.
    notes : tuple of str
        What the user should know about how it was read.
    """

    path: str
    names: tuple[str, ...]
    matrix: np.ndarray | RowFile
    texts: Texts = field(default_factory=dict)
    layout: str = "table"
    spellings: Sequence[str] = ()
    unfit: Mapping[str, str] = field(default_factory=dict)
    labels: "Table | None" = None
    delimiter: str = ""
    decimal: str = "."
    arrays: Sequence[str] = ()
    notes: tuple[str, ...] = ()

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

    def refuse_unfit(self, names: Collection[str], or_drop: bool = False) -> None:
        """Raise InputError for `unfit` columns among those to be used; all in one message."""
        found = [name for name in self.unfit if name in names]
        if found:
            held = ", ".join(f"{shown(name)} holds {self.unfit[name]:.60}" for name in found[:5])
            drop = " ".join(option("--drop", name) for name in found)
            remedy = "give numbers or text" + f", or pass {drop}" * or_drop
            raise InputError(f"{self.path}: column {held}{', ...' * (len(found) > 5)}; {remedy}.")

    def numbers(self, names: Sequence[str], rows: np.ndarray) -> np.ndarray:
        """Return some columns of some rows, float64 (rows, columns); texts as their places."""
        places = [self.index(name) for name in names]
        self.refuse_unfit(names)
        if isinstance(self.matrix, np.ndarray) and len(places) == 1:
            return np.asarray(self.matrix[:, places[0], None][rows], dtype=np.float64)
        values = np.empty((len(rows), len(places)))
        whole = tuple(names) == self.names
        for part in pieces(len(rows), self.matrix.shape[1]):
            block = self.read_rows(rows[part])
            values[part] = block[:, : len(places)] if whole else np.take(block, places, axis=1)
        return values

    def column(self, name: str) -> np.ndarray:
        """Return a column, float64 (rows,)."""
        return self.numbers([name], np.arange(self.rows))[:, 0]

    def place(self, row: int | np.integer[Any], name: str) -> str:
        """Say where a cell is: file, line (or row) and column."""
        where = f"row {row} (the first is 0)"
        if self.matrix.shape[1] > len(self.names):
            where = f"line {self.read_rows(np.asarray([row]))[0, -1]:.0f}"
        return f"{self.path}: {where}, column {shown(name)}"

    def cell(self, row: int | np.integer[Any], name: str) -> str:
        """Return what is in a cell, as text."""
        value = float(self.numbers([name], np.asarray([row]))[0, 0])
        if np.isnan(value):
            return ""
        return (self.texts[name] or ())[int(value)] if name in self.texts else plain(value)

    def read_rows(self, rows: np.ndarray) -> np.ndarray:
        """Return whole rows of the matrix, of its own type."""
        if isinstance(self.matrix, RowFile):
            return np.asarray(self.matrix.read_rows(rows))
        return np.asarray(self.matrix[rows])


def read_table(
    path: str | os.PathLike[str],
    *,
    encoding: str = "utf-8",
    target: str | None = None,
    features: str | None = None,
    delimiter: str | None = None,
    decimal: str = ".",
    stream: bool = False,
    cache: str | None = None,
    as_texts: Collection[str] = (),
) -> Table:
    r"""Read a table from a file.

    Parameters
    ----------
    path : path
        CSV, TSV, NPY or IDX (all four also .gz), Parquet or NPZ, told apart by the name.
    encoding : str
        Of CSV and TSV.
    target : str, optional
        For NPY and IDX the file with the targets, for NPZ the array (default ``y``, if present);
        needed only for training. For the other formats the column whose `spellings` to keep.
    features : str, optional
        For NPZ the array with the features, by default x, or the one that goes with the target.
    delimiter : str, optional
        Of CSV and TSV, if it is not the one that goes with the name; ``\t`` may be escaped.
    decimal : {".", ","}
        The decimal sign of CSV and TSV.
    stream : bool
        Leave the rows on disk: in the file, or for CSV and Parquet in a cache.
    cache : str, optional
        The cache's directory; beside the table by default.
    as_texts : collection of str
        Columns of CSV and TSV that are text even if all their cells are numbers: 1 is not 01.
        Not with `stream`.

    Raises
    ------
    FileError
        If the file is not what its name says, or is damaged: names the place and the remedy.
    """
    path = os.fspath(path)
    with open_binary(path) as file:
        file.read(1)  # whether it can be read at all
    kind = os.path.splitext(path.removesuffix(".gz").lower())[1]
    packed = path.endswith(".gz")
    if features is not None and (packed or kind != ".npz"):
        message = f"features {shown(features)}: only an NPZ file has arrays to choose from"
        raise InputError(f"{message}, but {path} is not one; leave it out.")
    if kind in _DELIMITERS:
        delimiter = (delimiter or _DELIMITERS[kind]).replace("\\t", "\t")
        if len(delimiter) != 1 or not delimiter.isascii() or delimiter in '"\r\n\0':
            raise InputError(f"delimiter: found {shown(delimiter)}; give one ASCII character.")
        if decimal not in DECIMALS:
            raise InputError(f"decimal: found {shown(decimal)}; give . or , (a point or a comma).")
        how = {"encoding": encoding, "delimiter": delimiter, "target": target or ""}
        how["decimal"] = decimal
        source_of = partial(open_csv, path, **how)
        return _assembled(path, source_of, how, stream, cache, as_texts)
    if kind in _PARQUET and not packed:
        how = {"target": target or ""}
        return _assembled(path, partial(open_parquet, path, stream, **how), how, stream, cache)
    if packed and kind in (*_PARQUET, ".npz"):
        message = f"a {kind} file is compressed by itself, and is not read from a .gz"
        raise FileError(f"{path}: {message}; unpack it with gunzip.")
    if stream and (packed or kind == ".npz"):
        raise InputError(f"{path}: rows cannot be read from a packed file; save it as .npy.")
    if kind == ".npz":
        return _read_npz(path, target, features)
    return _with_labels(matrix_table(path, _read_array(path, kind, stream=stream)), target)


def _assembled(
    path: str, source_of: Any, how: Mapping[str, str], stream: bool, cache: str | None,
    as_texts: Collection[str] = (),
) -> Table:  # fmt: skip
    if not stream:
        source = source_of()
        return Table(path, source.names, *in_memory(source, as_texts), **source.about)
    names, rows, texts, about, note = in_file(source_of, path, how, cache)
    return Table(path, names, rows, texts, notes=(note,), **about)


def _read_array(
    path: str, kind: str, *, whole: bool = False, stream: bool = False
) -> np.ndarray | RowFile:
    """Read an NPY or IDX file; if it is not packed, rows are read when they are needed."""
    if kind not in (".npy", ".idx") and not re.search(r"idx\d|ubyte", os.path.basename(path)):
        raise FileError(f"{path}: unknown kind of file; name it {_FORMATS}.")
    with open_binary(path) as file:
        shape, fortran, dtype = read_head(file, path)
        _refuse_unfit(path, shape, dtype, labels=whole)
        if stream or not (path.endswith(".gz") or fortran or whole):
            return RowFile(path)
        wanted, body = math.prod(shape) * dtype.itemsize, bytearray()
        # In pieces, since the head may promise more than there is memory.
        while len(body) <= wanted and (piece := file.read(1 << 20)):
            body += piece
    if len(body) != wanted:
        message = f"{dtype} of shape {shape} needs {wanted} bytes, found {len(body)}"
        raise FileError(f"{path}: {message}{' or more' * (len(body) > wanted)}; get it again.")
    return np.frombuffer(body, dtype).reshape(shape, order="F" if fortran else "C")


def _refuse_unfit(path: str, shape: tuple[int, ...], dtype: np.dtype[Any], labels: bool) -> None:
    """Refuse an array that is not a table of numbers; labels may be one column of text."""
    found = f"{path}: an array of {dtype}, shape {shape}"
    texts = labels and dtype.kind == "U" and len(shape) == 1
    if not texts and (dtype.kind not in "buif" or dtype.itemsize > 8):
        raise FileError(f"{found}; convert it to real numbers, such as float32.")
    if len(shape) < (1 if labels else 2) or not math.prod(shape) * dtype.itemsize:
        raise FileError(f"{found}; give rows and columns, at least one of each.")


def _read_npz(path: str, target: str | None, features: str | None) -> Table:
    try:
        with open_binary(path) as file, np.load(file, allow_pickle=False) as arrays:
            names = list(arrays.files)
            for wanted in (target, features):
                if wanted is not None and wanted not in names:
                    message = f"there is no array {shown(wanted)}; {closest(wanted, names)}"
                    raise InputError(f"{path}: {message}")
            label = target or ("y" if "y" in names and not features else None)
            data = features or _features(path, names, label)
            table = matrix_table(f"{path}[{data}]", _member(arrays, path, data))
            table = replace(table, arrays=names)
            if label is None:
                return table
            labels = _member(arrays, path, label, labels=True)
            return _join(table, matrix_table(f"{path}[{label}]", labels, label))
    except (FileError, InputError):
        raise
    except (*_DAMAGE, AttributeError) as error:
        raise FileError(f"{path}: not an NPZ file, or damaged ({error}); get it again.") from error


def _member(arrays: Any, path: str, name: str, labels: bool = False) -> np.ndarray:
    """Read one array of an NPZ file, header first, to tell unsuitable arrays from damaged ones."""
    with arrays.zip.open(f"{name}.npy") as file:
        shape, _, dtype = read_head(file, f"{path}[{name}]")
    _refuse_unfit(f"{path}[{name}]", shape, dtype, labels)
    return np.asarray(arrays[name])


def _features(path: str, names: list[str], label: str | None) -> str:
    """Choose the array with the features: x, or y_train's x_train, or the only one left."""
    left = [name for name in names if name != label]
    for name in ("x" + label[1:] if label and label[0] in "yt" else "x", "x", "X"):
        if name in left:
            return name
    if len(left) == 1:
        return left[0]
    listed = ", ".join(shown(name) for name in names)
    remedy = "name it x, or choose by --target (train, evaluate) or --features (predict)"
    raise FileError(f"{path}: which array holds the features? Found {listed}; {remedy}.")


def _with_labels(table: Table, target: str | None) -> Table:
    if target is None:
        return table
    if not os.path.exists(target):
        message = f"the target {shown(target)} is not a file; {table.path} has no named columns, so"
        raise InputError(f"{message} give the file with the targets, such as labels.npy.")
    kind = os.path.splitext(target.removesuffix(".gz").lower())[1]
    return _join(table, matrix_table(target, _read_array(target, kind, whole=True), "target"))


def _join(table: Table, labels: Table) -> Table:
    if labels.rows != table.rows or len(labels.names) != 1:
        raise FileError(
            f"{labels.path}: found targets of shape {labels.matrix.shape} for {table.rows} rows of "
            f"{table.path}; give one target per row."
        )
    return replace(table, labels=labels)


def matrix_table(path: str, array: np.ndarray | RowFile, label: str | None = None) -> Table:
    """Make a table of an array, its further axes flattened."""
    if isinstance(array, RowFile):
        return Table(path, tuple(f"x{i}" for i in range(array.shape[1])), array, layout="matrix")
    _refuse_unfit(path, array.shape, array.dtype, label is not None)
    if array.dtype.kind == "U":
        words, numbers = np.unique(array, return_inverse=True)
        texts = {label or "": tuple(str(each) for each in words)}
        return Table(path, (label or "",), numbers[:, None].astype(np.float64), texts)
    flat = array.reshape(len(array), -1)
    if label is not None:
        return Table(path, (label,) * flat.shape[1], flat, layout="matrix")
    return Table(path, tuple(f"x{i}" for i in range(flat.shape[1])), flat, layout="matrix")
