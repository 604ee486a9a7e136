"""Open files, within the limits of memory; read NPY, NPZ and IDX arrays, mapped unless packed."""

import bz2
import gzip
import io
import lzma
import math
import os
import re
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any
from zipfile import BadZipFile, ZipFile

import numpy as np

from xpnet.backend.files import require_ordinary
from xpnet.backend.threads import free_memory
from xpnet.errors import FileError, InputError
from xpnet.tables.messages import closest, quoted

CELLS = 1 << 21  # cells processed at a time when going through everything: 16 MB of float64
STANDARD_INPUT = "-"
IDX_TYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}


def read_whole(stream: Any) -> bytes:
    """Read a stream that may be endless; a table takes several times the memory of its text."""
    whole, limit = io.BytesIO(), free_memory()
    while chunk := stream.read(CELLS):
        whole.write(chunk)
        check_memory(STANDARD_INPUT, 4 * whole.tell(), limit)
    return whole.getvalue()


_standard_input = lru_cache(maxsize=1)(read_whole)  # can be read once only, and is needed again


def _open_zip(path: str) -> Any:
    archive = ZipFile(path)
    files = [each for each in archive.namelist() if not re.match(r"__MACOSX|.*/$", each)]
    if len(files) != 1:
        raise FileError(f"{path}: holds {len(files)} files; take out the one with the table.")
    try:
        return archive.open(files[0])
    except RuntimeError as error:  # also NotImplementedError, of methods such as deflate64
        raise FileError(f"{path}: cannot be unpacked here ({error}); unpack it first.") from error


_UNPACK: dict[str, Callable[[str], Any]] = {
    ".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open, ".zip": _open_zip,
}  # fmt: skip


def unpacked(path: str) -> str:
    """Return a file's name without the ending of a packed one, such as .gz."""
    stem, ending = os.path.splitext(path)
    return stem if ending in _UNPACK else path


@contextmanager
def open_binary(path: str) -> Iterator[Any]:
    """Open a file, unpacked if it is packed; anything that goes wrong becomes a FileError."""
    try:
        if path == STANDARD_INPUT:
            yield io.BytesIO(_standard_input(sys.stdin.buffer))
            return
        if "\0" in path:
            raise FileNotFoundError(2, "no such file", path)
        require_ordinary(path)
        unpack = _UNPACK.get(os.path.splitext(path)[1])
        with unpack(path) if unpack else open(path, "rb") as file:
            yield file
    except (gzip.BadGzipFile, BadZipFile, lzma.LZMAError, EOFError, zlib.error) as error:
        what = f"broken or truncated packed data ({error})"
        raise FileError(f"{path}: {what}; get it again.") from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise FileError(f"{path}: cannot be read: {reason}; correct the path.") from error


def check_memory(path: str, size: int, limit: int | None = None) -> None:
    """Refuse a table that needs more bytes than the limit, by default the free memory."""
    if size > (limit := free_memory() if limit is None else limit):
        found = f"its cells need {size / 1e9:,.1f} GB or more, and {limit / 1e9:,.1f} GB are free"
        raise InputError(f"{path}: {found}; give fewer rows, or train with --stream.")


def pieces(rows: int, columns: int) -> Iterator[slice]:
    """Yield slices that divide the rows, each of about `CELLS` cells."""
    step = max(CELLS // max(columns, 1), 1)
    return (slice(start, min(start + step, rows)) for start in range(0, rows, step))


def moments(blocks: Iterable[Any], columns: int) -> tuple[Any, Any, Any]:
    """Return the mean and standard deviation of each column, and whether it is constant.

    NaN does not count. All are updated block by block (Chan, Golub and LeVeque, 1983), so that rows
    are read once. The mean of a constant column is exactly its value, that of an empty column is 0;
    their deviation is 0.
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
        An NPY file of numbers, or an uncompressed IDX file; further axes are flattened.
    center, scale : array, (columns,), optional
        Rows are returned as ``(row - center) / scale``; see `standardized`.

    Attributes
    ----------
    shape : (int, int)
        Rows and columns.
    dtype : numpy.dtype
        The type of the numbers in the file.

    Raises
    ------
    FileError
        If the file is of another kind, or shorter or longer than its header says.
    """

    def __init__(self, path: Any, *, center: Any = None, scale: Any = None) -> None:
        self.path, self._center, self._scale = path, center, scale
        array = read_array(os.fspath(path))
        self._rows = array.reshape(len(array), -1)
        self.shape, self.dtype = self._rows.shape, array.dtype

    def standardized(self) -> "RowFile":
        """Read all rows once; return the rows with each column scaled to mean 0 and variance 1.

        Constant columns become 0.
        """
        mean, std, _ = moments(RowFile(self.path).blocks(), self.shape[1])
        return RowFile(self.path, center=mean, scale=np.where(std > 0.0, std, 1.0))

    def blocks(self) -> Iterator[Any]:
        """Yield all rows in order, block by block."""
        return (self.read_rows(part) for part in pieces(*self.shape))

    def read_rows(self, rows: Any) -> Any:
        """Return the rows with these numbers, in their order, as a host array (rows, columns)."""
        if os.path.getsize(self.path) < self._rows.nbytes:  # to read on would end the process
            raise FileError(f"{self.path}: became shorter while being read; get it again.")
        raw = np.array(self._rows[rows])
        return raw if self._center is None else (raw - self._center) / self._scale

    def __repr__(self) -> str:
        return f"RowFile({str(self.path)!r}, shape={self.shape}, dtype={self.dtype})"


def _read_head(file: Any) -> tuple[tuple[int, ...], bool, Any]:
    """Return shape, Fortran order and dtype of NPY or IDX data; leaves `file` at the data."""
    magic = file.read(4)
    if magic[:2] == b"\0\0" and len(magic) == 4 and magic[2] in IDX_TYPES:
        sizes = np.frombuffer(file.read(4 * magic[3]), ">u4")
        return tuple(sizes.tolist()), False, np.dtype(IDX_TYPES[magic[2]])
    file.seek(0)
    read = {1: np.lib.format.read_array_header_1_0, 2: np.lib.format.read_array_header_2_0}
    return read[np.lib.format.read_magic(file)[0]](file)


def _refuse_array(path: str, shape: tuple[int, ...], dtype: Any, labels: bool) -> None:
    """Refuse an array that is not a table of numbers; labels may be one column of text."""
    found = f"{path}: an array of {dtype}, shape {shape}"
    texts = labels and dtype.kind == "U" and len(shape) == 1
    if not texts and (dtype.kind not in "buif" or dtype.itemsize > 8):
        raise FileError(f"{found}; convert it to real numbers, such as float32.")
    if len(shape) < (1 if labels else 2) or min(shape) < 1:
        raise FileError(f"{found}; give rows and columns, at least one of each.")


def read_array(path: str, *, labels: bool = False) -> np.ndarray:
    """Read an NPY or IDX file; unless it is packed, it is only mapped into memory."""
    with open_binary(path) as file:
        try:
            shape, fortran, dtype = _read_head(file)
        except Exception as error:
            message = f"{path}: not NPY or IDX data, or damaged ({error})"
            raise FileError(f"{message}; get it again, or convert it with numpy.save.") from error
        _refuse_array(path, shape, dtype, labels)
        needed, offset = math.prod(shape) * dtype.itemsize, file.tell()
        if packed := path.endswith(".gz"):
            check_memory(path, needed)
            data = file.read(needed + 1)
        found = len(data) if packed else os.path.getsize(path) - offset
        if found != needed:
            message = f"{dtype} of shape {shape} needs {needed} bytes, found {found}"
            raise FileError(f"{path}: {message}; get it again.")
        order: Any = "F" if fortran else "C"
        if packed:
            return np.frombuffer(data, dtype).reshape(shape, order=order)
        return np.memmap(path, dtype, "r", offset, shape, order)


def read_npz(
    path: str, target: str | None, features: str | None
) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Return the features and, if there is one, the target (``y``), and the names of all arrays."""
    try:
        with open_binary(path) as file, np.load(file, allow_pickle=False) as arrays:
            names = tuple(arrays.files)
            for wanted in (target, features):
                if wanted is not None and wanted not in names:
                    message = f"there is no array {quoted(wanted)}; {closest(wanted, names)}"
                    raise InputError(f"{path}: {message}")
            label = target or ("y" if "y" in names and not features else None)
            found = {}
            for name in filter(None, (features or _features(path, names, label), label)):
                check_memory(path, arrays.zip.getinfo(f"{name}.npy").file_size)
                found[name] = arrays[name]
                place = f"{path}[{name}]"
                _refuse_array(place, found[name].shape, found[name].dtype, name == label)
            return found, names
    except (FileError, InputError):
        raise
    except Exception as error:
        raise FileError(f"{path}: not an NPZ file, or damaged ({error}); get it again.") from error


def _features(path: str, names: Iterable[str], label: str | None) -> str:
    left = [name for name in names if name != label]
    for name in ("x" + label[1:] if label and label[0] in "yt" else "x", "x", "X"):
        if name in left:
            return name
    if len(left) == 1:
        return left[0]
    remedy = "name it x, or choose by --target (train, evaluate) or --features (predict)"
    listed = ", ".join(map(quoted, names))
    raise FileError(f"{path}: which array holds the features? Found {listed}; {remedy}.")
