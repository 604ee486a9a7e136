r"""Read CSV and TSV strictly: every fault is named with its line and column.

The file is read in blocks of whole records. NumPy finds delimiters, quotes and line ends in the
bytes and checks the structure; Polars then splits the checked block and parses the numbers.
Columns in which some cell is not a number are read again, as text.
"""

import codecs
import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, NoReturn

import numpy as np

from xpnet.backend.files import require_ordinary
from xpnet.errors import FileError, InputError
from xpnet.tables.checks import (
    EXACT,
    LONG_INTEGER,
    MISSING,
    WHOLE,
    alike,
    better_delimiter,
    foreign_format,
    header_fault,
    is_number,
    shown,
)
from xpnet.tables.row_cache import MOST_TEXTS

_BLOCK = 1 << 22
_NEWLINE, _RETURN, _QUOTE = 10, 13, 34
DECIMALS = (".", ",")
_DECIMAL_COMMA = r"^([ \t]*[+-]?[0-9]*),([0-9]+(?:[eE][+-]?[0-9]+)?[ \t]*)$"
_POINTS_BETWEEN_THOUSANDS = r"^[ \t]*[+-]?[1-9][0-9]{0,2}(\.[0-9]{3})+(,[0-9]*)?[ \t]*$"


@contextmanager
def open_binary(path: str) -> Iterator[Any]:
    """Open a file, or what is inside a .gz; anything that goes wrong becomes a FileError."""
    import zlib

    try:
        if "\0" in path:
            raise FileNotFoundError(2, "no such file", path)
        require_ordinary(path)
        with gzip.open(path) if path.endswith(".gz") else open(path, "rb") as file:
            yield file
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise FileError(
            f"{path}: broken or truncated gzip data ({error}); get it again."
        ) from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise FileError(f"{path}: cannot be read: {reason}; correct the path.") from error


@dataclass(frozen=True)
class _Block:
    """Some whole records, none of them blank, in UTF-8 and ended by newlines."""

    data: bytes
    lines: np.ndarray  # int64 (records,): the line of the file on which each begins


@dataclass(frozen=True)
class Csv:
    """One CSV file and how to read it; see `open_csv`."""

    path: str
    encoding: str
    delimiter: str
    header: str
    names: tuple[str, ...]
    target: str = ""
    decimal: str = "."
    spellings: dict[str, None] = field(default_factory=dict)

    @property
    def about(self) -> dict[str, Any]:
        """What `Table` should know besides, as JSON values; complete once all rows are read."""
        signs = {"delimiter": self.delimiter, "decimal": self.decimal}
        return {"spellings": list(self.spellings), **signs}

    def refuse(self, line: int | None, message: str) -> NoReturn:
        """Raise the FileError for one place of the file."""
        raise FileError(f"{self.path}: " + (f"line {line}, " if line else "") + message)

    def _chunks(self) -> Iterator[bytes]:
        """Yield the file in UTF-8, piece by piece, without byte order mark or lone returns."""
        with open_binary(self.path) as file:
            first = file.read(_BLOCK)
            foreign = foreign_format(first[:512])
            wide = self.encoding.lower().replace("_", "-").startswith(("utf-16", "utf-32"))
            if foreign and not (wide and "UTF" in foreign[0]):
                self.refuse(None, f"{foreign[0]}, not a CSV file; {foreign[1]}.")
            lone = b"\r" in first and b"\n" not in first  # line ends of the classic Macintosh
            utf8 = codecs.lookup(self.encoding).name in ("utf-8", "utf-8-sig", "ascii")
            decoder = codecs.getincrementaldecoder(self.encoding)()
            chunk = first
            while chunk:
                text = chunk if utf8 else self._recode(decoder, chunk)
                text = text.removeprefix(codecs.BOM_UTF8) if chunk is first else text
                yield text.replace(b"\r", b"\n") if lone else text
                chunk = file.read(_BLOCK)
            if not utf8:
                yield self._recode(decoder, b"", final=True)

    def _recode(self, decoder: codecs.IncrementalDecoder, chunk: bytes, final: bool = False) -> Any:
        try:
            return decoder.decode(chunk, final).encode()
        except UnicodeError as error:
            self.refuse(None, f"this is not {self.encoding} text ({error}); correct --encoding.")

    def with_header(self) -> "Csv":
        """Read the names of the columns."""
        data = next(self._chunks(), b"").lstrip(b"\r\n")
        ends = _outside(data, _NEWLINE)
        header = data[: ends[0]] if ends.size else data.split(b"\n", 1)[0]
        text, record = header.decode("utf-8", "replace"), data[len(header) :].lstrip(b"\r\n")
        if not text.strip(" \t\r,;"):
            self.refuse(None, "the table is empty; it needs a line of column names, then rows.")
        row = _fields(header, self.delimiter)
        if len(row) == 1:
            second = record.split(b"\n", 1)[0].decode("utf-8", "replace")
            if hint := better_delimiter(self.delimiter, text, second):
                self.refuse(1, f"column 1: found one column, {shown(text.strip())}; {hint}.")
        numbers = [at for at, name in enumerate(row) if is_number(name) and not name.isdigit()]
        if numbers:
            found = f"column {numbers[0] + 1}: found {shown(row[numbers[0]])} as a column's name"
            self.refuse(1, f"{found}, so this looks like data; put a line of names first.")
        if "\0" not in text and (fault := header_fault(row)):
            self.refuse(1, fault)
        return replace(self, header=text, names=tuple(row))

    def blocks(self) -> Iterator[_Block]:
        """Yield the records in blocks, the header first; check the structure of each."""
        tail, line, blanks = b"", 1, np.arange(0)
        pieces = self._chunks()
        while True:
            data = b"".join([tail, *_take(pieces, max(_BLOCK, len(tail)))])
            last = len(data) == len(tail)
            if last and data and not data.endswith(b"\n"):
                data += b"\n"
            ends = _outside(data, _NEWLINE)
            cut = int(ends[-1]) + 1 if ends.size else 0
            if last and cut < len(data):
                self._check_quotes(data[cut:], line + data.count(b"\n", 0, cut))
            if cut:
                block, blank = self._check(data[:cut], ends, line)
                blanks = np.concatenate([blanks[:1], blank])
                if len(self.names) == 1 and blanks.size and max(block.lines, default=0) > blanks[0]:
                    self.refuse(int(blanks[0]), "column 1: a blank line; remove it, or write ?.")
                yield block
                line += data.count(b"\n", 0, cut)
            tail = data[cut:]
            if last:
                return

    def numbers(self, texts: set[int]) -> Iterator[np.ndarray]:
        """Yield the rows in blocks, float64 (rows, columns + 1): the last is each row's line.

        Missing cells are NaN. Columns found to hold text are added to `texts`; discard whatever was
        yielded for them. Integers that float64 cannot tell apart are text.
        """
        known: dict[int, dict[float, str]] = {}
        for frame, lines in self._frames():
            _refuse_repeated_header(self, frame, lines)
            if self.target in self.names:
                cells = trimmed(frame.to_series(self.names.index(self.target)))
                add_spellings(self.spellings, cells.filter(cells.str.contains(WHOLE)))
            yield np.column_stack([_numbers(frame, texts, known), lines])

    def strings(self, columns: list[int]) -> Iterator[list[Any]]:
        """Yield some columns as Polars series of strings, in blocks of rows."""
        for frame, _ in self._frames():
            yield [trimmed(frame.to_series(each)) for each in columns]

    def _frames(self) -> Iterator[tuple[Any, np.ndarray]]:
        """Yield the rows in Polars frames of strings, and the line of each row."""
        import polars

        header, rows = 1, 0
        for block in self.blocks():
            if not block.lines.size:
                continue
            frame = polars.read_csv(
                block.data, has_header=False, infer_schema=False, separator=self.delimiter
            )
            if frame.shape != (len(block.lines), len(self.names)):
                first = int(block.lines[0])
                self.refuse(first, f"{len(block.lines)} lines from here cannot be read")
            rows += len(block.lines) - header
            frame = frame[header:]
            yield _with_points(frame) if self.decimal == "," else frame, block.lines[header:]
            header = 0
        if not rows:
            self.refuse(1, "a header but no rows; add the rows.")

    def _refuse_at(self, data: bytes, at: int, line: int, what: str, remedy: str) -> NoReturn:
        """Refuse one byte of some records, the first of which begins on `line`."""
        ends = _outside(data[:at], _NEWLINE)
        start = int(ends[-1]) + 1 if ends.size else 0
        column = self._column(_outside(data[start:at], ord(self.delimiter)).size)
        around = data[max(at - 12, 0) : at + 13].decode("utf-8", "replace")
        line += data.count(b"\n", 0, at)
        self.refuse(line, f"{column}: {what}, found {shown(around)}; {remedy}.")

    def _column(self, place: int) -> str:
        """Name a column for a message."""
        known = place < len(self.names)
        return f"column {shown(self.names[place])}" if known else f"column {place + 1}"

    def _check(self, data: bytes, ends: np.ndarray, line: int) -> tuple[_Block, np.ndarray]:
        """Check whole records and drop blank ones; also return the lines of the blank ones."""
        self._check_bytes(data, line)
        self._check_quotes(data, line)
        starts = np.concatenate([[0], ends[:-1] + 1])
        body = np.frombuffer(data, np.uint8)
        lengths = ends - starts
        blank = (lengths == 0) | ((lengths == 1) & (body[starts] == _RETURN))
        newlines = np.flatnonzero(body == _NEWLINE)
        lines = line + np.searchsorted(newlines, starts)
        cuts = np.searchsorted(_outside(data, ord(self.delimiter)), ends)
        fields = np.diff(cuts, prepend=0) + 1
        for at in np.flatnonzero((fields != len(self.names)) & ~blank)[:1]:
            self._ragged(data[starts[at] : ends[at]], int(lines[at]), int(fields[at]))
        if not blank.any():
            return _Block(data, lines), lines[:0]
        kept = np.repeat(~blank, lengths + 1)
        return _Block(body[kept].tobytes(), lines[~blank]), lines[blank]

    def _check_bytes(self, data: bytes, line: int) -> None:
        if (at := data.find(b"\0")) >= 0:
            remedy = "the file is damaged or not text, so get it again"
            self._refuse_at(data, at, line, "a NUL byte", remedy)
        try:
            data.decode("ascii" if self.encoding.lower() == "ascii" else "utf-8")
        except UnicodeDecodeError as error:
            what = f"byte 0x{data[error.start]:02x} is not {self.encoding} text"
            remedy = "pass --encoding latin-1, or the encoding it was saved with"
            self._refuse_at(data, error.start, line, what, remedy)

    def _check_quotes(self, data: bytes, line: int) -> None:
        """Refuse a quote in an unquoted field, text after a closing quote, and a quote left open.

        Quotes open and close in turn; two in a row within a field close and reopen it.
        """
        body = np.frombuffer(data, np.uint8)
        quotes = np.flatnonzero(body == _QUOTE)
        opening, closing = quotes[::2], quotes[1::2]
        edges = [ord(self.delimiter), _NEWLINE, _QUOTE]
        good_open = (opening == 0) | np.isin(body[opening - 1], edges)
        good_close = np.isin(body[closing + 1], [*edges, _RETURN])
        remedy = 'quote the whole field and write quotes within it twice, ""'
        for at in np.sort(np.concatenate([opening[~good_open], closing[~good_close]]))[:1]:
            start = int(quotes[np.searchsorted(quotes, at) // 2 * 2])
            began = line + data.count(b"\n", 0, start)
            across = data.count(b"\n", start, at)
            what = "a stray quote" + (f" (the field was opened on line {began})" if across else "")
            self._refuse_at(data, int(at), line, what, remedy)
        if len(opening) > len(closing):
            what = "the quote opened here is never closed"
            self._refuse_at(data, int(opening[-1]), line, what, "close it or remove it")

    def _ragged(self, record: bytes, line: int, fields: int) -> NoReturn:
        text, header = record.decode(), self.header
        hint = better_delimiter(self.delimiter, header, text)
        width = len(self.names)
        if fields < width:
            found = f"{self._column(fields)}: the line ends after {fields} of {width} fields"
            hint = hint or "complete the line (is the file cut off?)"
        else:
            beyond = _fields(record, self.delimiter)[width]
            found = (
                f"column {width + 1}: {fields} fields where the header has {width}, "
                f"the first extra one {shown(beyond)}"
            )
            hint = hint or "quote fields that contain the delimiter, or remove the extra ones"
        self.refuse(line, f"{found}; found {shown(text.strip())}; {hint}.")


def _take(pieces: Iterator[bytes], wanted: int) -> Iterator[bytes]:
    while wanted > 0 and (piece := next(pieces, None)) is not None:
        wanted -= len(piece)
        yield piece


def _outside(data: bytes, byte: int) -> np.ndarray:
    """Return the positions of a byte outside quoted fields."""
    body = np.frombuffer(data, np.uint8)
    found = np.flatnonzero(body == byte)
    if b'"' not in data:
        return found
    quotes = np.flatnonzero(body == _QUOTE)
    return np.compress(np.searchsorted(quotes, found) % 2 == 0, found)


def _fields(record: bytes, delimiter: str) -> list[str]:
    """Split one record into fields."""
    cuts = [-1, *_outside(record, ord(delimiter)).tolist(), len(record)]
    fields = [record[a + 1 : b].decode("utf-8", "replace").strip() for a, b in pairwise(cuts)]
    return [f[1:-1].replace('""', '"').strip() if f.startswith('"') else f for f in fields]


def open_csv(path: str, encoding: str, delimiter: str, target: str = "", decimal: str = ".") -> Csv:
    """Read the header of a CSV file; the rows then come from `numbers` and `strings`."""
    try:
        "".encode(encoding)
        codecs.getincrementaldecoder(encoding)
    except (LookupError, ValueError) as error:
        message = f"encoding: found {shown(encoding)}; try utf-8, latin-1, cp1252 or utf-16."
        raise InputError(message) from error
    return Csv(path, encoding, delimiter, "", (), target, decimal).with_header()


def _with_points(frame: Any) -> Any:
    """Write 1,5 as 1.5, and 1.234 as 1,234: it means 1234, and is refused as such numbers are."""
    import polars

    cells = polars.all()
    swapped = cells.str.replace_all(",", ";", literal=True).str.replace_all(".", ",", literal=True)
    swapped = swapped.str.replace_all(";", ".", literal=True)
    grouped = cells.str.contains(_POINTS_BETWEEN_THOUSANDS)
    points = cells.str.replace(_DECIMAL_COMMA, "${1}.${2}")
    return frame.with_columns(polars.when(grouped).then(swapped).otherwise(points).name.keep())


def _refuse_repeated_header(source: Csv, frame: Any, lines: np.ndarray) -> None:
    first = frame.to_series(0).str.strip_chars(" \t") == source.names[0]
    for row in first.arg_true():
        cells = tuple((cell or "").strip() for cell in frame.row(row))
        if cells == source.names:
            found = f"column {shown(cells[0])}: the header is repeated, found {shown(cells[0])}"
            source.refuse(int(lines[row]), f"{found}; remove the line.")


def _numbers(frame: Any, texts: set[int], known: dict[int, dict[float, str]]) -> np.ndarray:
    """Parse a block; add to `texts` the columns with a cell that is not a finite number.

    Likewise columns with integers that float64 cannot tell apart; `known` keeps some of each.
    """
    import polars

    values = np.asarray(frame.cast(polars.Float64, strict=False).to_numpy())
    doubtful = np.flatnonzero(~np.isfinite(values).all(axis=0))
    values = values if values.flags.writeable else values.copy()
    for column in (int(each) for each in doubtful if each not in texts):
        cells = trimmed(frame.to_series(column))
        number: np.ndarray = cells.cast(polars.Float64, strict=False).to_numpy()
        values[:, column] = number
        if not np.isfinite(number[cells.is_not_null().to_numpy()]).all():
            texts.add(column)
    for column in np.flatnonzero((np.abs(values) >= EXACT).any(axis=0)).tolist():
        cells = trimmed(frame.to_series(column))
        integers = cells.filter(cells.str.contains(LONG_INTEGER)).unique(maintain_order=True)
        if column not in texts and alike(integers, known.setdefault(column, {})):
            texts.add(column)
    values[:, sorted(texts)] = np.nan
    return values


def trimmed(cells: Any) -> Any:
    """Strip the spaces from a Polars series of strings, and make missing values null."""
    cells = cells.str.strip_chars(" \t")
    return cells.set(cells.is_in(list(MISSING)), None)


def add_spellings(known: dict[str, None], cells: Any) -> None:
    """Add the distinct texts of a Polars series, unless there are too many to be classes."""
    if len(known) <= MOST_TEXTS:
        known.update(dict.fromkeys(cells.cast(str).unique(maintain_order=True).drop_nulls()))
