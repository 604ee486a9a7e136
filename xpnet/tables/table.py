"""Tables on the host: what a table is, and reading one from a file or from memory."""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from xpnet.errors import FileError, InputError, InputTypeError, bad_argument
from xpnet.tables.assemble import Texts, assemble
from xpnet.tables.cells import Notations
from xpnet.tables.csv import open_csv
from xpnet.tables.excel_and_databases import EXCEL, SQLITE, open_database, open_excel
from xpnet.tables.messages import closest, format_number, one_line, quoted, up_to_ten
from xpnet.tables.npy import STANDARD_INPUT, open_binary, read_array, read_npz, unpacked
from xpnet.tables.parquet import (
    IN_MEMORY,
    OF_PANDAS,
    READERS,
    frame_of,
    open_file,
    open_with_pandas,
)
from xpnet.tables.sniff import Reading

if TYPE_CHECKING:
    from xpnet.tables.preprocessing import Preprocessing

_DELIMITERS = dict.fromkeys((".csv", ".txt", ".dat", ".data", ".rpt", ".prn"), ",")
_DELIMITERS |= {".tsv": "\t", ".tab": "\t", ".md": "|"}
IN_GROUPS = (".parquet", ".pq", ".feather", ".arrow")  # of rows, read without the others
_FORMATS = (
    ".csv, .tsv, .txt, .json, .jsonl, .parquet (also packed: .gz, .zip, .bz2, .xz), .feather, "
    ".npy, .npz, .idx (also .gz), .xlsx, .sqlite; with pandas .dta, .sav, .sas7bdat, .html, .xml"
)


@dataclass(frozen=True)
class Table:
    """Rows of a file, as read: nothing is scaled, encoded or left out.

    With named columns, the matrix is float64, with NaN for missing cells and, in text columns, the
    place of each cell's text in `texts`; otherwise it has the file's own type. It may be on disk.
    """

    path: str
    names: tuple[str, ...]
    matrix: np.ndarray  # (rows, columns)
    texts: Texts = field(default_factory=dict)
    signs: Mapping[str, str] = field(default_factory=dict)  # beside numbers: currencies, units
    # For each numeric column, the words that mean "missing".
    words: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    layout: str = "table"  # or "matrix", whose columns are x0, x1, ...
    # Columns whose type cannot be used, such as lists, and that type; they are NaN.
    unfit: Mapping[str, str] = field(default_factory=dict)
    labels: "Table | None" = None  # of a matrix: the target, one column
    arrays: tuple[str, ...] = ()  # in an NPZ file
    guesses: Mapping[str, Any] = field(default_factory=dict)  # detected options of CSV
    passed_over: Mapping[str, str] = field(default_factory=dict)  # lines that are no rows
    line_of: Callable[[int], int] | None = None  # the line on which a row of CSV begins
    # For each column, a number that means "missing", such as 999; if negative, all up to it do.
    gaps: dict[str, float] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """The number of rows."""
        return len(self.matrix)

    @cached_property
    def places(self) -> dict[str, int]:
        """The place of each column by its name."""
        return {name: place for place, name in enumerate(self.names)}

    def index(self, name: str, role: str = "column") -> int:
        """Return the place of a column; raise InputError with the closest names if missing."""
        name = name if name in self.places else one_line(name)
        if name in self.unfit:
            held = f"column {quoted(name)} holds {self.unfit[name]:.60}"
            raise InputError(f"{self.path}: {held}; give numbers or text.")
        if name not in self.places:
            near = closest(name, self.names)
            if "no_header" in self.guesses:
                near = f"the first line seems to be data: columns are x0 to {self.names[-1]}."
            raise InputError(f"{self.path}: there is no {role} {quoted(name)}; {near}")
        return self.places[name]

    def numbers(self, names: Sequence[str], rows: np.ndarray | slice) -> np.ndarray:
        """Return some columns of some rows, a new float64 array (rows, columns)."""
        places = np.array([self.index(name) for name in names], np.int64)
        if len(places) == 1:
            found = np.array(self.matrix[rows, places[0]], dtype=np.float64)[:, None]
        else:
            found = np.take(self.matrix[rows], places, axis=1).astype(np.float64, copy=False)
        for at, name in enumerate(names if self.gaps else ()):
            if (gap := self.gaps.get(name)) is not None:
                cells = found[:, at]
                cells[cells <= gap if gap < 0 else cells == gap] = np.nan
        return found

    def column(self, name: str, rows: np.ndarray | slice = slice(None)) -> np.ndarray:
        """Return some rows of a column, by default all, float64 (rows,)."""
        return self.numbers([name], rows)[:, 0]

    def place(self, row: int | np.integer[Any], name: str) -> str:
        """Say where a cell is: file, line (or row) and column."""
        where = f"line {self.line_of(int(row))}" if self.line_of else f"row {row} (the first is 0)"
        return f"{self.path}: {where}, column {quoted(name)}"

    def cell(self, row: int | np.integer[Any], name: str) -> str:
        """Return what is in a cell, as text."""
        value = float(self.matrix[row, self.index(name)])
        if np.isnan(value):
            return ""
        return (self.texts[name] or ())[int(value)] if name in self.texts else format_number(value)

    def fault(self, row: int | np.integer[Any], name: str, what: str, remedy: str) -> InputError:
        """Return the error for a cell: its place and text, what is wrong, and the remedy."""
        found = f"found {quoted(self.cell(row, name))}{what}"
        return InputError(f"{self.place(row, name)}: {found}; {remedy}.")


def read_table(
    path: str | os.PathLike[str],
    *,
    target: str | None = None,
    features: str | None = None,
    stream: bool = False,
    cache: str | None = None,
    notations: Notations | None = None,
    **options: Any,
) -> Table:
    """Read a table from a file; raise FileError if it is damaged or not what its name says.

    The options are those of the command; for the others see `Reading`. `stream` leaves the rows on
    disk: in the file or, for CSV and Parquet, in a temporary one. Columns with `notations` are
    numbers, written so.
    """
    how = Reading(**options)
    path = _address(os.fspath(path))
    database = "://" in path
    if not database:
        with open_binary(path) as file:
            file.read(1)  # whether it can be read at all
    _refuse_forked_process()
    packed = unpacked(path) != path
    kind = os.path.splitext(unpacked(path).lower())[1]
    kind = ".csv" if path == STANDARD_INPUT or (path.endswith(".zip") and not kind) else kind
    for name, given, fits, what in (
        ("features", features, kind == ".npz", "NPZ file"),
        ("sheet", how.sheet, kind in EXCEL, "Excel file"),
        ("query", how.query, database, "database"),
    ):
        if given is not None and not fits:
            raise bad_argument(name, given, f"has no effect: {path} is no {what}; leave it out")
    folder = (cache or ("" if database else os.path.dirname(path)) or ".") if stream else None
    source: Any = None
    if database:
        source = open_database(path, how)
    elif kind in _DELIMITERS:
        source = open_csv(path, how, _DELIMITERS[kind])
    elif kind in EXCEL:
        source = open_excel(path, how)
    elif kind in READERS:
        source = open_file(path, lazily=stream, as_texts=how.as_texts)
    elif kind in OF_PANDAS and not packed:
        source = open_with_pandas(path, how)
    if source is not None:
        return _of_source(source, folder, notations)
    if stream and (packed or kind == ".npz"):
        raise InputError(f"{path}: rows cannot be read from a packed file; save it as .npy.")
    return _of_npz(path, target, features) if kind == ".npz" else _of_array(path, target)


def _address(path: str) -> str:
    """Return a path, or the address of a database; refuse addresses on the web."""
    if re.match("https?://|s3://|ftp://", path):
        how = f"download it, or pass it on: curl -L {path} | xpnet train - ..."
        raise FileError(f"{path}: addresses are not read; {how}")
    sqlite = "://" not in path and path.lower().endswith((".sqlite", ".sqlite3", ".db"))
    return SQLITE + path if sqlite else path


def read_part(path: str, start: int, count: int, plan: "Preprocessing") -> Table:
    """Read consecutive rows of an NPY, IDX, Parquet or Arrow file, and no more than needed."""
    if path.lower().endswith(IN_GROUPS):
        frame = open_file(path, lazily=True, as_texts=plan.text_columns)
        frame = replace(frame, frame=frame.frame.slice(start, count), rows=count)
        return _of_source(frame, known=plan.notations)
    table = _of_array(path, None)
    return replace(table, matrix=table.matrix[start : start + count])


def _of_npz(path: str, target: str | None, features: str | None) -> Table:
    found, names = read_npz(path, target, features)
    (data, array), *label = found.items()
    table = replace(_matrix_table(f"{path}[{data}]", array), arrays=names)
    for name, labels in label:
        table = _with_labels(table, _matrix_table(f"{path}[{name}]", labels, name))
    return table


def _of_array(path: str, target: str | None) -> Table:
    table = _matrix_table(path, _array_of(path))
    if target is None:
        return table
    if not os.path.exists(target):
        message = f"the target {quoted(target)} is not a file; {path} has no named columns, so"
        raise InputError(f"{message} give the file with the targets, such as labels.npy.")
    return _with_labels(table, _matrix_table(target, _array_of(target, labels=True), "target"))


def _of_source(source: Any, folder: str | None = None, known: Notations | None = None) -> Table:
    """Return the table of a `Csv` or `Frame`."""
    return Table(
        source.path, source.names, *assemble(source, folder, known), unfit=source.unfit,
        guesses=source.guesses, passed_over=source.passed_over, line_of=source.line_of,
    )  # fmt: skip


@cache
def _first_process() -> int:
    return os.getpid()


def _refuse_forked_process() -> None:
    """Refuse to read after a fork: Polars would wait for ever for threads that it left behind."""
    if _first_process() != os.getpid():
        message = "this process was forked from one that had read a table, and cannot read any"
        remedy = 'start it with multiprocessing\'s "spawn" or "forkserver", or pass arrays'
        raise InputError(f"{message}; {remedy}.")


def _array_of(path: str, *, labels: bool = False) -> np.ndarray:
    if not re.search(r"\.npy$|\.idx$|idx\d[^/]*$|ubyte[^/]*$", path.removesuffix(".gz").lower()):
        raise FileError(f"{path}: unknown kind of file; name it {_FORMATS}.")
    return read_array(path, labels=labels)


def _with_labels(table: Table, labels: Table) -> Table:
    if labels.rows != table.rows or len(labels.names) != 1:
        found = f"{labels.path}: found targets of shape {labels.matrix.shape} for {table.rows} rows"
        raise FileError(f"{found} of {table.path}; give one target per row.")
    return replace(table, labels=labels)


def _matrix_table(path: str, array: np.ndarray, label: str | None = None) -> Table:
    if array.dtype.kind == "U":
        words, numbers = np.unique(array, return_inverse=True)
        texts = {label or "": tuple(words.tolist())}
        return Table(path, (label or "",), numbers[:, None].astype(np.float64), texts)
    array = array.reshape(len(array), -1)
    names = tuple(f"x{at}" if label is None else label for at in range(array.shape[1]))
    return Table(path, names, array, layout="matrix")


def table_of(data: Any, plan: "Preprocessing") -> Table:
    """Return a `Table` of what `Model.predict` takes besides files."""
    if isinstance(data, Mapping) or hasattr(data, "collect") or hasattr(data, "columns"):
        _refuse_forked_process()
        return _of_source(frame_of(data, plan.text_columns), known=plan.notations)
    if not hasattr(data, "__array__"):
        wanted = "a file's path, a data frame (pandas or Polars), a dict of columns, or an array"
        raise InputTypeError(f"predict: found {type(data).__name__}; give {wanted}.")
    if np.ma.is_masked(data):
        data = data.astype(np.float64).filled(np.nan)
    array, names = np.asarray(data), tuple(column.name for column in plan.columns)
    texts = [each for each in plan.text_columns if each not in plan.targets]
    if texts or array.dtype.kind not in "buif":
        found = f"{up_to_ten(texts)} hold text" if texts else f"it holds {array.dtype}"
        raise InputTypeError(f"predict: found an array, but {found}; give a data frame or a dict.")
    if plan.layout != "table" and array.ndim > 1 and len(array):
        return _matrix_table(IN_MEMORY, array)
    if array.ndim != 2 or array.shape[1] != len(names) or not len(array):
        message = f"predict: found an array of shape {array.shape}; give (rows, {len(names)})"
        raise InputError(f"{message}, with the columns {up_to_ten(names)}.")
    return Table(IN_MEMORY, names, array.astype(np.float64))
