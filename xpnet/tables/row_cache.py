"""A table's rows assembled: in memory, or once and for all in a file beside the table.

CSV and Parquet files do not allow rows to be read singly, so one that is larger than memory is
converted in blocks to an NPY file (the cache), from which `xpnet.tables.row_files` reads. A second
file records what it was made from: the table's resolved path, its size, its times of modification
and of change, and the options that it was read with, the target among them. If any of these
differs, the cache is made again, even if the table was only moved.

A change of the table that keeps its size is not noticed if it falls within one tick of the file
system's clock, or, on systems that keep no time of change (Windows), sets the old time again.
"""

import hashlib
import io
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, Protocol, TypeAlias

import numpy as np

from xpnet.backend.files import atomic_write, lock, probe_writable
from xpnet.errors import FileError, SaveError
from xpnet.saving.container import read_container, write_container
from xpnet.tables.row_files import RowFile, pieces

FORMAT_VERSION = 3
MOST_TEXTS = 100_000  # different ones in a column; more are not categories, and are not kept

Texts: TypeAlias = Mapping[str, tuple[str, ...] | None]
"""The distinct texts of each text column, in order; None if there are too many."""


class Source(Protocol):
    """A table that is read from beginning to end, as often as needed."""

    @property
    def path(self) -> str:
        """The file, for messages."""

    @property
    def names(self) -> tuple[str, ...]:
        """The columns."""

    @property
    def about(self) -> dict[str, Any]:
        """What `Table` should know besides, as JSON values; complete once all rows are read."""

    def numbers(self, texts: set[int]) -> Iterator[np.ndarray]:
        """Yield the rows in blocks, float64; add the text columns found on the way."""

    def strings(self, columns: list[int]) -> Iterator[list[Any]]:
        """Yield some columns as Polars series of strings, in blocks of rows."""


class _Rows:
    """A float64 matrix that grows by blocks of rows, at the end of a file or in memory."""

    def __init__(self, file: Any) -> None:
        self._file, self._offset = file, file.tell()
        self.count = self.width = 0

    def append(self, block: np.ndarray) -> None:
        self._file.write(np.ascontiguousarray(block).data)
        self.count, self.width = self.count + block.shape[0], block.shape[1]

    def window(self, part: slice) -> np.ndarray:
        """Return some rows to be written to."""
        shape, start = (part.stop - part.start, self.width), part.start * self.width * 8
        if isinstance(self._file, io.BytesIO):
            cells = np.frombuffer(self._file.getbuffer(), np.float64)
            return cells.reshape(-1, self.width)[part]
        self._file.flush()
        return np.memmap(self._file, np.float64, "r+", self._offset + start, shape)


def in_memory(source: Source, as_texts: Collection[str]) -> tuple[np.ndarray, Texts]:
    """Return all rows of a table, and the text columns, including `as_texts`; see `Table`."""
    rows = _Rows(io.BytesIO())
    texts = _assemble(source, rows, as_texts)
    return rows.window(slice(0, rows.count)), texts


def in_file(
    source_of: Callable[[], Source], path: str, how: Mapping[str, str], folder: str | None
) -> tuple[tuple[str, ...], RowFile, Texts, dict[str, Any], str]:
    """Return names, rows, texts and `about` of a table through its cache, and a note on that.

    Parameters
    ----------
    source_of : function
        Opens the table, if it must be converted.
    path : str
        The table.
    how : mapping
        What else determines the result, such as the encoding.
    folder : str or None
        Where to keep the cache; beside the table by default. Tables of the same name from
        different directories have different caches there.

    Raises
    ------
    SaveError
        If the cache cannot be written.
    """
    table = hashlib.sha256(os.fsencode(os.path.realpath(path))).hexdigest()
    stem = os.path.join(folder, f"{os.path.basename(path)}-{table[:8]}") if folder else path
    cache, about = f"{stem}.xpnet.npy", f"{stem}.xpnet.about"
    status = os.stat(path)
    times = {"modified": status.st_mtime_ns, "changed": status.st_ctime_ns}
    made_of: dict[str, Any] = {"table": table, "bytes": status.st_size, **times, **how}
    made_of["format"] = FORMAT_VERSION
    fields, when = _known(about, cache, made_of), "earlier"
    if fields is None:
        when = "now"
        try:
            with lock(cache):
                probe_writable(cache, status.st_size)
                fields = _convert(source_of(), cache, about, made_of)
        except SaveError as error:
            raise SaveError(f"{error} --stream --cache DIR keeps it elsewhere.") from error
    texts = {name: None if each is None else tuple(each) for name, each in fields["texts"].items()}
    note = f"read from the cache {cache} ({os.path.getsize(cache):,} bytes), converted {when}"
    return tuple(fields["names"]), RowFile(cache), texts, fields["about"], note


def _known(about: str, cache: str, made_of: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what is known of a cache, if it exists and was made from this very table."""
    try:
        fields, _ = read_container(about, "cache", FORMAT_VERSION)
        size = os.path.getsize(cache)
    except (FileError, OSError):
        return None
    same = fields.get("made_of") == dict(made_of) and fields.get("size") == size
    return fields if same else None


def _convert(source: Source, cache: str, about: str, made_of: Mapping[str, Any]) -> dict[str, Any]:
    with atomic_write(cache) as file:
        _write_head(file, 0, 0)
        rows = _Rows(file)
        texts = _assemble(source, rows)
        file.seek(0)
        _write_head(file, rows.count, rows.width)
    fields = {
        "made_of": dict(made_of),
        "size": os.path.getsize(cache),
        "names": list(source.names),
        "about": source.about,
        "texts": {name: None if each is None else list(each) for name, each in texts.items()},
    }
    write_container(about, "cache", FORMAT_VERSION, fields, {})
    return fields


def _write_head(file: Any, rows: int, width: int) -> None:
    """Write an NPY head, of the same length for every shape."""
    head = {"descr": "<f8", "fortran_order": False, "shape": (rows, width)}
    text = repr(head).ljust(117) + "\n"
    file.write(b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode())


def _assemble(source: Source, rows: _Rows, as_texts: Collection[str] = ()) -> Texts:
    """Write all rows; in text columns the number of each text among the sorted ones."""
    found = {place for place, name in enumerate(source.names) if name in as_texts}
    for block in source.numbers(found):
        rows.append(block)
    columns = sorted(found)
    known: dict[int, dict[str, int]] = {column: {} for column in columns}
    start = 0
    for series in source.strings(columns) if columns else ():
        window = rows.window(slice(start, min(start + len(series[0]), rows.count)))
        start += len(series[0])
        if start > rows.count:
            break
        for column, cells in zip(columns, series, strict=True):
            window[:, column] = _numbered(cells, known[column])
    if columns and start != rows.count:
        raise FileError(f"{source.path}: the table changed while it was being read; try again.")
    texts = {column: tuple(sorted(each)) for column, each in known.items()}
    ranks = {column: _ranks(each, texts[column]) for column, each in known.items()}
    for part in pieces(rows.count, rows.width) if ranks else ():
        window = rows.window(part)
        for column, rank in ranks.items():
            there = ~np.isnan(window[:, column])
            window[there, column] = rank[window[there, column].astype(np.int64)]
    return {
        source.names[column]: each if len(each) <= MOST_TEXTS else None
        for column, each in texts.items()
    }


def _ranks(found: Iterable[str], ordered: tuple[str, ...]) -> np.ndarray:
    places = {text: place for place, text in enumerate(ordered)}
    return np.asarray([places[text] for text in found])


def _numbered(cells: Any, known: dict[str, int]) -> Any:
    """Return the number of each text, NaN where there is none; new ones get the next numbers."""
    import polars

    if len(known) > MOST_TEXTS:
        return np.nan
    for text in cells.unique(maintain_order=True).drop_nulls():
        known.setdefault(text, len(known))
    numbers = cells.cast(polars.Enum(list(known))).to_physical()
    return numbers.cast(polars.Float64).to_numpy()
