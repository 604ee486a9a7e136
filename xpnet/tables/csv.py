r"""Read CSV and TSV strictly: every fault is named with its line and column.

The file is read in blocks of whole records. NumPy finds delimiters, quotes and line ends in the
bytes and checks the structure; Polars then splits the checked block.
"""

import codecs
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from typing import Any, NoReturn

import numpy as np

from xpnet.errors import FileError, bad_argument
from xpnet.tables.arrays import open_binary
from xpnet.tables.assemble import header_fault, named
from xpnet.tables.cells import is_number
from xpnet.tables.messages import quoted
from xpnet.tables.sniff import (
    fields_of,
    find_encoding,
    find_layout,
    outside_quotes,
)

_BLOCK = 1 << 22
_NEWLINE, _RETURN, _QUOTE = 10, 13, 34
_DECIMAL_COMMA = r"^([ \t]*[+-]?[0-9]*),([0-9]+(?:[eE][+-]?[0-9]+)?[ \t]*)$"
_POINTS_BETWEEN_THOUSANDS = r"^[ \t]*[+-]?[1-9][0-9]{0,2}(\.[0-9]{3})+(,[0-9]*)?[ \t]*$"

# How files of other kinds begin, what they are, and the remedy.
_OTHER_KINDS = (
    (rb"PK\x03\x04", "a ZIP archive or an Excel workbook (.xlsx)", "unpack it or save it as CSV"),
    (rb"\x1f\x8b", "gzip data", "name it .gz"),
    (rb"PAR1[\x00-\x1f]", "a Parquet file", "name it .parquet"),
    (rb"\x93NUMPY", "a NumPy array", "name it .npy"),
    (rb"\xd0\xcf\x11\xe0", "an old Excel workbook (.xls)", "save it as CSV"),
    (rb"BZh\d1AY|\xfd7zXZ|7z\xbc\xaf|\x28\xb5\x2f\xfd|Rar!", "a compressed archive", "unpack it"),
    (rb"SQLite format 3\x00", "an SQLite database", "export the table as CSV"),
    (rb"\x80[\x02-\x05]", "a Python pickle", "save it as CSV or Parquet"),
    (rb"%PDF|\x89PNG|\xff\xd8\xff|GIF8", "a PDF or an image", "give a table"),
    (rb"\s*<(?i:!doctype|html|\?xml|table)", "HTML or XML", "export the table as CSV"),
    (rb"\s*(\{\s*[\"}]|\[\s*[\[{\"])", "JSON", "export the table as CSV"),
)


def open_csv(
    path: str,
    encoding: str | None,
    delimiter: str | None,
    decimal: str | None = None,
    as_texts: Collection[str] = (),
    *,
    usual: str = ",",
    header: bool | None = None,
) -> "Csv":
    """Read the header of a CSV file; the rows then come from `blocks`.

    What is None is found from the file; `usual` is the delimiter that goes with its name.
    """
    found_encoding = encoding or find_encoding(path)
    try:
        "".encode(found_encoding)
        codecs.getincrementaldecoder(found_encoding)
    except (LookupError, ValueError) as error:
        remedy = "is not known; try utf-8, latin-1, cp1252 or utf-16"
        raise bad_argument("encoding", encoding, remedy) from error
    if delimiter is not None:
        delimiter = delimiter.replace("\\t", "\t")
        if len(delimiter) != 1 or not delimiter.isascii() or delimiter in '"\r\n\0':
            raise bad_argument("delimiter", delimiter, "must be one ASCII character, no quote")
    if decimal not in (".", ",", None):
        raise bad_argument("decimal", decimal, "must be . or , (a point or a comma)")
    file = Csv(path, found_encoding, delimiter or usual, decimal or ".")
    data = next(file.chunks(), b"")
    found, sign, names, skipped = find_layout(data, delimiter, usual, decimal, header)
    guesses = {
        "encoding": found_encoding if encoding is None and found_encoding != "utf-8" else "",
        "delimiter": found if delimiter is None and found != usual else "",
        "decimal": sign if decimal is None and sign == "," else "",
        "no_header": header is None and not names,
    }
    file = replace(
        file, delimiter=found, decimal=sign, skipped=skipped, has_header=names,
        guesses={key: each for key, each in guesses.items() if each},
    ).with_names()  # fmt: skip
    texts = frozenset(at for at, each in enumerate(file.names) if each in as_texts)
    return replace(file, texts=texts)


@dataclass(frozen=True)
class Csv:
    """One CSV file and how to read it; `texts` are columns that are text in any case.

    Before the header are `skipped` lines; `guesses` are the options that say how it was found to
    be written.
    """

    path: str
    encoding: str
    delimiter: str
    decimal: str
    names: tuple[str, ...] = ()
    texts: frozenset[int] = frozenset()
    skipped: int = 0
    has_header: bool = True
    guesses: Mapping[str, Any] = field(default_factory=dict)

    def refuse(self, line: int | None, message: str) -> NoReturn:
        """Raise the FileError for one place of the file."""
        raise FileError(f"{self.path}: " + (f"line {line}, " if line else "") + message)

    def with_names(self) -> "Csv":
        """Read the names of the columns, or call them x0, x1, ..."""
        data = next(self.chunks(), b"").split(b"\n", self.skipped)[-1].lstrip(b"\r\n")
        ends = outside_quotes(data, _NEWLINE)
        header = data[: ends[0]] if ends.size else data.split(b"\n", 1)[0]
        text = header.decode("utf-8", "replace")
        if not text.strip(" \t\r,;"):
            self.refuse(None, "the table is empty; it needs a line of column names, then rows.")
        row, line = fields_of(header, self.delimiter), self.skipped + 1
        second = data[len(header) :].lstrip(b"\r\n").split(b"\n", 1)[0].split()
        numbers = any(is_number(each.decode("utf-8", "replace")) for each in second)
        if len(row) == 1 and 1 < len(text.split()) == len(second) and numbers:
            remedy = "it seems to be separated by spaces; save it with commas"
            self.refuse(line, f"column 1: found one column, {quoted(text.strip())}; {remedy}.")
        if not self.has_header:
            return replace(self, names=tuple(f"x{at}" for at in range(len(row))))
        row[0] = row[0].removeprefix("# ")
        if "\0" not in text and (fault := header_fault(named(row))):
            self.refuse(line, fault)
        return replace(self, names=named(row))

    def blocks(self) -> Iterator[tuple[Any, np.ndarray]]:
        """Yield rows as Polars frames of strings, and the line on which each row begins."""
        import polars

        header, rows = int(self.has_header), 0
        for data, lines in self._records():
            frame = polars.read_csv(
                data, has_header=False, infer_schema=False, separator=self.delimiter
            )
            if frame.shape != (len(lines), len(self.names)):
                self.refuse(int(lines[0]), f"{len(lines)} lines from here cannot be read")
            frame, lines, header = frame[header:], lines[header:], 0
            rows += len(lines)
            if len(lines):
                self._refuse_repeated_header(frame, lines)
                yield _with_points(frame) if self.decimal == "," else frame, lines
        if not rows:
            self.refuse(1, "a header but no rows; add the rows.")

    def chunks(self) -> Iterator[bytes]:
        """Yield the file in UTF-8, piece by piece, without byte order mark or lone returns."""
        with open_binary(self.path) as file:
            first = file.read(_BLOCK)
            self._refuse_other_kind(first[:512])
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

    def _refuse_other_kind(self, first: bytes) -> None:
        for pattern, what, remedy in _OTHER_KINDS:
            if re.match(pattern, first, re.DOTALL):
                self.refuse(None, f"this is {what}, not a CSV file; {remedy}.")

    def _records(self) -> Iterator[tuple[bytes, np.ndarray]]:
        """Yield blocks of whole records, none of them blank, and the line of each; check them."""
        tail, line, blank = b"", self.skipped + 1, 0
        chunks = self.chunks()
        chunks = chain([next(chunks, b"").split(b"\n", self.skipped)[-1]], chunks)
        while True:
            # At least as much again as is left over, lest a long record be searched many times.
            data = b"".join([tail, *islice(chunks, 1 + len(tail) // _BLOCK)])
            last = len(data) == len(tail)
            if last and data and not data.endswith(b"\n"):
                data += b"\n"
            ends = outside_quotes(data, _NEWLINE)
            cut = int(ends[-1]) + 1 if ends.size else 0
            if last and cut < len(data):
                self._check_quotes(data[cut:], line + data.count(b"\n", 0, cut))
            if cut:
                records, lines, blanks = self._checked(data[:cut], ends, line)
                blank = blank or int(blanks[:1].sum())
                if len(self.names) == 1 and blank and lines.size and lines[-1] > blank:
                    self.refuse(blank, "column 1: a blank line; remove it, or write ?.")
                if lines.size:
                    yield records, lines
                line += data.count(b"\n", 0, cut)
            tail = data[cut:]
            if last:
                return

    def _checked(
        self, data: bytes, ends: np.ndarray, line: int
    ) -> tuple[bytes, np.ndarray, np.ndarray]:
        """Check records and drop blank ones; return the rest, their lines, and the blank lines."""
        self._check_bytes(data, line)
        self._check_quotes(data, line)
        starts = np.concatenate([[0], ends[:-1] + 1])
        body = np.frombuffer(data, np.uint8)
        lengths = ends - starts
        blank = (lengths == 0) | ((lengths == 1) & (body[starts] == _RETURN))
        newlines = np.flatnonzero(body == _NEWLINE)
        lines = line + np.searchsorted(newlines, starts)
        cuts = np.searchsorted(outside_quotes(data, ord(self.delimiter)), ends)
        fields = np.diff(cuts, prepend=0) + 1
        for at in np.flatnonzero((fields != len(self.names)) & ~blank)[:1]:
            self._refuse_ragged(data[starts[at] : ends[at]], int(lines[at]), int(fields[at]))
        if blank.any():
            data = body[np.repeat(~blank, lengths + 1)].tobytes()
        return data, lines[~blank], lines[blank]

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

    def _refuse_at(self, data: bytes, at: int, line: int, what: str, remedy: str) -> NoReturn:
        """Refuse one byte of some records, the first of which begins on `line`."""
        ends = outside_quotes(data[:at], _NEWLINE)
        start = int(ends[-1]) + 1 if ends.size else 0
        column = self._column(outside_quotes(data[start:at], ord(self.delimiter)).size)
        around = data[max(at - 12, 0) : at + 13].decode("utf-8", "replace")
        line += data.count(b"\n", 0, at)
        self.refuse(line, f"{column}: {what}, found {quoted(around)}; {remedy}.")

    def _refuse_ragged(self, record: bytes, line: int, fields: int) -> NoReturn:
        text, width = record.decode(), len(self.names)
        if fields < width:
            found = f"{self._column(fields)}: the line ends after {fields} of {width} fields"
            remedy = "complete the line (is the file cut off?)"
        else:
            found = (
                f"column {width + 1}: {fields} fields where the header has {width}, "
                f"the first extra one {quoted(fields_of(record, self.delimiter)[width])}"
            )
            remedy = "quote fields that contain the delimiter, or remove the extra ones"
        self.refuse(line, f"{found}; found {quoted(text.strip())}; {remedy}.")

    def _refuse_repeated_header(self, frame: Any, lines: np.ndarray) -> None:
        first = frame.to_series(0).str.strip_chars(" \t") == self.names[0]
        for row in first.arg_true():
            if tuple((cell or "").strip() for cell in frame.row(row)) == self.names:
                name = quoted(self.names[0])
                found = f"column {name}: the header is repeated, found {name}"
                self.refuse(int(lines[row]), f"{found}; remove the line.")

    def _column(self, place: int) -> str:
        """Name a column for a message."""
        known = place < len(self.names)
        return f"column {quoted(self.names[place])}" if known else f"column {place + 1}"


def _with_points(frame: Any) -> Any:
    """Write 1,5 as 1.5, and 1.234 as 1'234: it means 1234, and is refused as such numbers are."""
    import polars

    cells = polars.all()
    swapped = cells.str.replace_all(".", "'", literal=True).str.replace_all(",", ".", literal=True)
    grouped = cells.str.contains(_POINTS_BETWEEN_THOUSANDS)
    points = cells.str.replace(_DECIMAL_COMMA, "${1}.${2}")
    return frame.with_columns(polars.when(grouped).then(swapped).otherwise(points).name.keep())
