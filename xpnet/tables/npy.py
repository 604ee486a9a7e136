"""Arrays in NPY, NPZ and IDX files; rows of one larger than memory are read when needed.

NPY files and uncompressed IDX files hold their rows one after another, so a row is read where it
stands. Nothing is mapped: neither memory nor address space grows with the file.
"""

import gzip
import io
import math
import sys
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from xpnet.backend.files import require_ordinary
from xpnet.backend.threads import free_memory
from xpnet.errors import FileError, InputError
from xpnet.tables.messages import closest, quoted

CELLS = 1 << 21  # cells processed at a time when going through everything: 16 MB of float64
STANDARD_INPUT = "-"
IDX_TYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
# What NumPy and zipfile raise when a file is not what it says.
_DAMAGE = (
    ValueError, TypeError, KeyError, SyntaxError, EOFError, OverflowError, MemoryError,
    AttributeError, RuntimeError, NotImplementedError, zipfile.BadZipFile, zlib.error,
    tokenize.TokenError,
)  # fmt: skip


@lru_cache(maxsize=1)
def _read_whole(stream: Any) -> bytes:
    """Read standard input, which is there once, to be looked at several times."""
    return bytes(stream.read())


@contextmanager
def open_binary(path: str, *, unpack: bool = True) -> Iterator[Any]:
    """Open a file, or what is inside a .gz; anything that goes wrong becomes a FileError."""
    try:
        if path == STANDARD_INPUT:
            yield io.BytesIO(_read_whole(sys.stdin.buffer))
            return
        if "\0" in path:
            raise FileNotFoundError(2, "no such file", path)
        require_ordinary(path)
        packed = unpack and path.endswith(".gz")
        with gzip.open(path) if packed else open(path, "rb") as file:
            yield file
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise FileError(
            f"{path}: broken or truncated gzip data ({error}); get it again."
        ) from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise FileError(f"{path}: cannot be read: {reason}; correct the path.") from error


def check_memory(path: str, size: int, limit: int | None = None) -> None:
    """Refuse a table that needs more bytes than are free, or than a limit."""
    if size > (limit := free_memory() if limit is None else limit):
        found = f"its cells need {size / 1e9:,.1f} GB or more, and {limit / 1e9:,.1f} GB are free"
        raise InputError(f"{path}: {found}; give fewer rows, or train with --stream.")


def pieces(rows: int, columns: int) -> Iterator[slice]:
    """Yield slices that divide the rows, each of about `CELLS` cells."""
    step = max(CELLS // max(columns, 1), 1)
    return (slice(start, min(start + step, rows)) for start in range(0, rows, step))


def moments(blocks: Iterable[Any], columns: int) -> tuple[Any, Any, Any]:
    """Return mean, standard deviation and constancy of each column; NaN does not count.

    Updated block by block (Chan, Golub and LeVeque, 1983), so that rows are read once. The mean of
    a constant column is exactly its value, that of an empty one 0; their deviation is 0.
    """
    count, mean, squares = (np.zeros(columns) for _ in range(3))
    low, high = np.full(columns, np.inf), np.full(columns, -np.inf)
    for block in blocks:
        low = np.fmin(low, np.fmin.reduce(block, axis=0))
        high = np.fmax(high, np.fmax.reduce(block, axis=0))
        shift = block - mean  # by the mean so far: small numbers, small errors
        there = ~np.isnan(shift)
        rows = there.sum(axis=0)
        shift_mean = shift.sum(axis=0, where=there) / np.maximum(rows, 1)
        shift -= shift_mean
        shift[~there] = 0.0
        squares += np.einsum("ij,ij->j", shift, shift)
        squares += shift_mean**2 * (count * rows / np.maximum(count + rows, 1))
        count += rows
        mean += shift_mean * (rows / np.maximum(count, 1))
    same = low >= high
    mean = np.where(count == 0, 0.0, np.where(same, low, mean))
    return mean, np.where(same, 0.0, np.sqrt(squares / np.maximum(count, 1))), same


class RowFile:
    """A matrix in a file, which `xpnet.fit` accepts as x.

    Parameters
    ----------
    path : path
        An NPY file (C order, numbers) or an uncompressed IDX file; further axes are flattened.
    center, scale : array, (columns,), optional
        Rows are returned as ``(row - center) / scale``; see `standardized`.

    Attributes
    ----------
    shape : (int, int)
        Rows and columns.
    dtype : numpy.dtype
        Of the numbers in the file.

    Raises
    ------
    FileError
        If the file is of another kind, or shorter or longer than its header says.
    """

    def __init__(self, path: Any, *, center: Any = None, scale: Any = None) -> None:
        self.path = Path(path)
        with open_binary(str(self.path), unpack=False) as file:
            shape, fortran, self.dtype = read_head(file, self.path)
            self._offset = file.tell()
        if self.dtype.kind not in "biuf" or fortran or not shape:
            raise InputError(
                f"{path}: {self.dtype} in {'Fortran' if fortran else 'C'} order, shape {shape}; "
                "save real numbers, rows first, in C order: "
                "numpy.save(path, numpy.ascontiguousarray(x))"
            )
        columns = math.prod(shape[1:])
        self.shape = (shape[0], columns)
        self._row_bytes = columns * self.dtype.itemsize
        found = self.path.stat().st_size - self._offset
        if not shape[0] or not columns or found != shape[0] * self._row_bytes:
            raise FileError(
                f"{path}: rows of shape {shape} need {shape[0] * self._row_bytes} bytes, found "
                f"{found}; get the file again"
            )
        self._center, self._scale = center, scale

    def standardized(self) -> "RowFile":
        """Read all rows once; return the same rows scaled to mean 0 and variance 1 per column.

        Constant columns become 0.
        """
        mean, std, _ = moments(RowFile(self.path).blocks(), self.shape[1])
        return RowFile(self.path, center=mean, scale=np.where(std > 0.0, std, 1.0))

    def blocks(self) -> Iterator[Any]:
        """Yield all rows in order, some at a time."""
        for part in pieces(*self.shape):
            yield self.read_rows(np.arange(part.start, part.stop))

    def read_rows(self, rows: Any) -> Any:
        """Return these rows (host integers, in any order) as a host array (len(rows), columns)."""
        raw = np.empty((len(rows), self.shape[1]), dtype=self.dtype)
        order = np.argsort(rows, kind="stable")
        ascending = np.asarray(rows)[order]
        breaks = np.flatnonzero(np.diff(ascending) != 1) + 1
        with self.path.open("rb", buffering=0) as file:
            for run, places in zip(
                np.split(ascending, breaks), np.split(order, breaks), strict=True
            ):
                raw[places] = self._read_run(file, int(run[0]), len(run))
        if self._center is None:
            return raw
        return (raw - self._center) / self._scale

    def _read_run(self, file: Any, first: int, count: int) -> Any:
        wanted, data = count * self._row_bytes, bytearray()
        file.seek(self._offset + first * self._row_bytes)
        while len(data) < wanted:
            piece = file.read(wanted - len(data))
            if not piece:
                raise FileError(f"{self.path}: became shorter while being read, at row {first}")
            data += piece
        return np.frombuffer(data, self.dtype).reshape(count, self.shape[1])

    def __repr__(self) -> str:
        return f"RowFile({str(self.path)!r}, shape={self.shape}, dtype={self.dtype})"


def read_head(file: Any, path: Any) -> tuple[tuple[int, ...], bool, Any]:
    """Return shape, Fortran order and dtype of NPY or IDX data; leaves `file` at the data."""
    magic = file.read(4)
    if magic[:2] == b"\0\0" and len(magic) == 4 and magic[2] in IDX_TYPES and magic[3]:
        sizes = file.read(4 * magic[3])
        if len(sizes) == 4 * magic[3]:
            shape = tuple(int(size) for size in np.frombuffer(sizes, ">u4"))
            return shape, False, np.dtype(IDX_TYPES[magic[2]])
    file.seek(0)
    read = {1: np.lib.format.read_array_header_1_0, 2: np.lib.format.read_array_header_2_0}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of heads written by Python 2
            shape, fortran, dtype = read[np.lib.format.read_magic(file)[0]](file)
    except (ValueError, KeyError, TypeError, SyntaxError, tokenize.TokenError) as error:
        raise FileError(
            f"{path}: not NPY or IDX data, or damaged ({error}); get it again, or convert it "
            "with numpy.save."
        ) from error
    if min(shape, default=0) < 0:
        raise FileError(f"{path}: has shape {shape}, so it is damaged; get it again.")
    return shape, fortran, dtype


def check_array(path: str, shape: tuple[int, ...], dtype: Any, labels: bool = False) -> None:
    """Refuse an array that is not a table of numbers; labels may be one column of text."""
    found = f"{path}: an array of {dtype}, shape {shape}"
    texts = labels and dtype.kind == "U" and len(shape) == 1
    if not texts and (dtype.kind not in "buif" or dtype.itemsize > 8):
        raise FileError(f"{found}; convert it to real numbers, such as float32.")
    if len(shape) < (1 if labels else 2) or not math.prod(shape) * dtype.itemsize:
        raise FileError(f"{found}; give rows and columns, at least one of each.")


def read_array(path: str, *, labels: bool = False, stream: bool = False) -> np.ndarray | RowFile:
    """Read an NPY or IDX file; unless it is packed, its rows are read when they are needed."""
    with open_binary(path) as file:
        shape, fortran, dtype = read_head(file, path)
        check_array(path, shape, dtype, labels)
        if stream or not (path.endswith(".gz") or fortran or labels):
            return RowFile(path)
        wanted, body, free = math.prod(shape) * dtype.itemsize, bytearray(), free_memory()
        # In pieces, since the head may promise more than there is memory.
        while len(body) <= wanted and (piece := file.read(1 << 20)):
            body += piece
            check_memory(path, len(body), free)
    if len(body) != wanted:
        message = f"{dtype} of shape {shape} needs {wanted} bytes, found {len(body)}"
        raise FileError(f"{path}: {message}{' or more' * (len(body) > wanted)}; get it again.")
    return np.frombuffer(body, dtype).reshape(shape, order="F" if fortran else "C")


def read_npz(
    path: str, target: str | None, features: str | None
) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Return the array with the features and, if there is one, that with the target, by name.

    Also the names of all arrays in the file. The target is by default ``y``, the features ``x``,
    those that go with the target, or the only other array.
    """
    try:
        with open_binary(path) as file, np.load(file, allow_pickle=False) as arrays:
            names = tuple(arrays.files)
            for wanted in (target, features):
                if wanted is not None and wanted not in names:
                    message = f"there is no array {quoted(wanted)}; {closest(wanted, names)}"
                    raise InputError(f"{path}: {message}")
            label = target or ("y" if "y" in names and not features else None)
            data = features or _features(path, names, label)
            found = {data: _member(arrays, path, data)}
            if label is not None:
                found[label] = _member(arrays, path, label, labels=True)
            return found, names
    except (FileError, InputError):
        raise
    except _DAMAGE as error:
        raise FileError(f"{path}: not an NPZ file, or damaged ({error}); get it again.") from error


def _member(arrays: Any, path: str, name: str, labels: bool = False) -> np.ndarray:
    """Read one array of an NPZ file, header first, to tell unsuitable arrays from damaged ones."""
    with arrays.zip.open(f"{name}.npy") as file:
        shape, _, dtype = read_head(file, f"{path}[{name}]")
    check_array(f"{path}[{name}]", shape, dtype, labels)
    check_memory(path, math.prod(shape) * dtype.itemsize)
    return np.asarray(arrays[name])


def _features(path: str, names: Iterable[str], label: str | None) -> str:
    """Choose the array with the features: x, or y_train's x_train, or the only one left."""
    left = [name for name in names if name != label]
    for name in ("x" + label[1:] if label and label[0] in "yt" else "x", "x", "X"):
        if name in left:
            return name
    if len(left) == 1:
        return left[0]
    remedy = "name it x, or choose by --target (train, evaluate) or --features (predict)"
    listed = ", ".join(map(quoted, names))
    raise FileError(f"{path}: which array holds the features? Found {listed}; {remedy}.")
