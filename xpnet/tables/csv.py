"""Read CSV and TSV strictly: every fault is named with its line and column.

Polars parses blocks of whole records. It fills short records up, so fields are counted as well;
only where something is wrong with a block is it gone through, field by field, to say what.
"""

import codecs
import io
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, NoReturn

import numpy as np

from xpnet.errors import FileError, bad_argument
from xpnet.tables.assemble import header_fault, named
from xpnet.tables.cells import AFTER, BEFORE
from xpnet.tables.messages import quoted
from xpnet.tables.npy import open_binary
from xpnet.tables.sniff import (
    count_outside_quotes,
    fields_of,
    find_encoding,
    find_layout,
    outside_quotes,
    single_spaces,
)

_BLOCK = 1 << 22
_MAX_RECORD = 1 << 26  # bytes; more in a line, or between quotes, are no record
_NEWLINE = 10
_REPLACED = "\ufffd".encode()  # what decoders write for bytes that are no text
_WHOLE = r"(?:[0-9]*|[1-9][0-9]{0,2}(?:[' \u00a0\u202f\u2019][0-9]{3})+)"
_DECIMAL_COMMA = rf"^([ \t]*{BEFORE}{_WHOLE}),([0-9]+(?:[eE][+-]?[0-9]+)?{AFTER}[ \t]*)$"
_POINTS_BETWEEN_THOUSANDS = (
    rf"^[ \t]*{BEFORE}[1-9][0-9]{{0,2}}(\.[0-9]{{3}})+(,[0-9]*)?{AFTER}[ \t]*$"
)

# How files of other kinds begin, what they are, and the remedy.
_OTHER_KINDS = (
    (rb"\x1f\x8b", "gzip data", "name it .gz"),
    (rb"PAR1[\x00-\x1f]", "a Parquet file", "name it .parquet"),
    (rb"\x93NUMPY", "a NumPy array", "name it .npy"),
    (rb"PK\x03\x04|\xd0\xcf\x11\xe0|BZh\d1AY|\xfd7zXZ|7z\xbc\xaf|\x28\xb5\x2f\xfd|Rar!"
     rb"|SQLite format 3\x00|\x80[\x02-\x05]|%PDF|\x89PNG|\xff\xd8\xff|GIF8",
     "an archive, an Excel workbook or another binary file", "unpack it, or save it as CSV"),
    (rb"\s*<(?i:!doctype|html|\?xml|table)|\s*(\{\s*[\"}]|\[\s*[\[{\"])", "HTML, XML or JSON",
     "export the table as CSV"),
)  # fmt: skip


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
    data = next(file.chunks("replace"), b"")
    found, sign, has_header, skipped = find_layout(data, delimiter, usual, decimal, header)
    guesses = {
        "encoding": found_encoding if encoding is None and found_encoding != "utf-8" else "",
        "delimiter": found if delimiter is None and found != usual else "",
        "decimal": sign if decimal is None and sign == "," else "",
        "no_header": header is None and not has_header,
    }
    file = replace(
        file,
        delimiter=found,
        decimal=sign,
        guesses={k: each for k, each in guesses.items() if each},
    )
    return file.with_names(data, skipped, has_header, as_texts)


@dataclass(frozen=True)
class Csv:
    """One CSV file and how to read it.

    Attributes
    ----------
    texts : set of int
        Columns that are text in any case.
    start, line : int
        The first row's place in the decoded text, and its line.
    guesses : dict
        The options that say how the file was found to be written.
    """

    path: str
    encoding: str
    delimiter: str
    decimal: str
    names: tuple[str, ...] = ()
    texts: frozenset[int] = frozenset()
    start: int = 0
    line: int = 1
    guesses: Mapping[str, Any] = field(default_factory=dict)

    def refuse(self, line: int | None, message: str) -> NoReturn:
        """Raise the FileError for one place of the file."""
        raise FileError(f"{self.path}: " + (f"line {line}, " if line else "") + message)

    def with_names(
        self, data: bytes, skipped: int, has_header: bool, as_texts: Collection[str]
    ) -> "Csv":
        """Read the names of the columns, or call them x0, x1, ...; `data` is how the file begins.

        Before the header are `skipped` lines.
        """
        body = data.split(b"\n", skipped)[-1].lstrip(b"\n")
        ends = outside_quotes(body, _NEWLINE)
        header = body[: ends[0] + 1] if ends.size else body
        if not header.decode("utf-8", "replace").strip(" \t\n,;"):
            self.refuse(None, "the table is empty; it needs a line of column names, then rows.")
        row = fields_of(self._single_spaces(header), self.delimiter)
        start = len(data) - len(body)
        names = tuple(f"x{at}" for at in range(len(row)))
        if has_header:
            row[0] = row[0].removeprefix("# ")
            names = named(row)
            if b"\0" not in header and (fault := header_fault(names)):
                self.refuse(1 + data.count(b"\n", 0, start), fault)
            start += len(header)
        texts = frozenset(at for at, each in enumerate(names) if each in as_texts)
        line = 1 + data.count(b"\n", 0, start)
        return replace(self, names=names, texts=texts, start=start, line=line)

    def blocks(self, floats: Collection[int] = ()) -> Iterator[Any]:
        """Yield rows as Polars frames of strings; columns that are in `floats` by then as numbers.

        These are parsed in one go, unless some cell of the block is no number.
        """
        rows = 0
        for data, line in self._records():
            frame = self._parsed(data, line, () if self.decimal == "," else floats)
            rows += frame.height
            if frame.height:
                yield _with_points(frame) if self.decimal == "," else frame
        if not rows:
            self.refuse(1, "a header but no rows; add the rows.")

    def line_of(self, row: int) -> int:
        """Return the line on which a row begins; reads the file again."""
        for data, line in self._records():
            starts, _ = self._rows(data)
            if row < len(starts):
                return line + data.count(b"\n", 0, starts[row])
            row -= len(starts)
        raise FileError(f"{self.path}: became shorter while being read; do not change it.")

    def chunks(self, errors: str = "strict") -> Iterator[bytes]:
        """Yield the file in UTF-8, piece by piece, with newlines for line ends and no mark."""
        utf8 = codecs.lookup(self.encoding).name == "utf-8"
        new = codecs.getincrementaldecoder("utf-8-sig" if utf8 else self.encoding)
        decoder, mark = io.IncrementalNewlineDecoder(new(errors), translate=True), "\ufeff"
        with open_binary(self.path) as file:
            chunk = file.read(_BLOCK)
            for pattern, what, remedy in _OTHER_KINDS:
                if re.match(pattern, chunk[:512], re.DOTALL):
                    self.refuse(None, f"this is {what}, not a CSV file; {remedy}.")
            try:
                while chunk:
                    yield decoder.decode(chunk).removeprefix(mark).encode("utf-8", "replace")
                    chunk, mark = file.read(_BLOCK), ""
                yield decoder.decode(b"", final=True).encode("utf-8", "replace")
            except UnicodeError:
                self._explain_encoding(errors)

    def _records(self, errors: str = "strict") -> Iterator[tuple[bytes, int]]:
        """Yield blocks of whole records after the header, and the line of each one's first."""
        start, line, tail = self.start, self.line, b""
        chunks = filter(None, self.chunks(errors))
        while True:
            # At least as much again as is left over, lest a long record be searched often.
            data = b"".join([tail, *islice(chunks, 1 + len(tail) // _BLOCK)])
            last, data, start = len(data) == len(tail), data[start:], 0
            cut = len(data)
            if not last:
                ends = outside_quotes(data, _NEWLINE) if b'"' in data else [data.rfind(b"\n")]
                cut = int(ends[-1]) + 1 if len(ends) else 0
            if cut:
                yield self._single_spaces(data[:cut]), line
            if last:
                return
            if not cut and (len(data) > _MAX_RECORD or b"\0" in data):
                self._explain(data, line)
            line, tail = line + data.count(b"\n", 0, cut), data[cut:]

    def _single_spaces(self, records: bytes) -> bytes:
        """Leave one space between fields, and none around records, where spaces delimit."""
        return single_spaces(records) if self.delimiter == " " else records

    def _rows(self, data: bytes) -> tuple[np.ndarray, bytes]:
        """Return where rows begin in some records, and these without blank lines.

        In a file of one column, a blank line is a row with a missing cell, unless it is at the end.
        """
        data = data if data.endswith(b"\n") else data + b"\n"
        ends = outside_quotes(data, _NEWLINE)
        starts = np.concatenate([[0], ends + 1])[:-1]
        there = (ends > starts) | (len(self.names) == 1)
        if there.all():
            return starts, data
        body = np.frombuffer(data, np.uint8)[: int(ends[-1]) + 1]
        return starts[there], body[np.repeat(there, ends + 1 - starts)].tobytes()

    def _parsed(self, data: bytes, line: int, floats: Collection[int]) -> Any:
        """Return some records, the first of which begins on `line`, as a frame."""
        import polars

        starts, records = self._rows(data)
        cuts = count_outside_quotes(records, ord(self.delimiter))
        if not len(starts) and not records.strip():
            return polars.DataFrame()
        shape = len(starts), len(self.names)
        frame, kinds = polars.DataFrame(), [polars.String] * len(self.names)
        if cuts == shape[0] * (shape[1] - 1) and b"\0" not in data:
            some = [polars.Float64 if at in floats else each for at, each in enumerate(kinds)]
            for schema in (some, kinds) if floats else (kinds,):
                with suppress(polars.exceptions.PolarsError):
                    frame = polars.read_csv(
                        records, has_header=False, infer_schema=False, separator=self.delimiter,
                        schema_overrides=schema,
                    )  # fmt: skip
                    break
        return frame if frame.shape == shape else self._explain(data, line)

    def _explain_encoding(self, errors: str) -> NoReturn:
        for data, line in self._records("replace") if errors == "strict" else ():
            if _REPLACED in data:
                self._explain(data, line)
        self.refuse(None, f"this is not {self.encoding} text; correct --encoding.")

    def _explain(self, data: bytes, line: int) -> NoReturn:
        """Refuse some records, the first of which begins on `line`, by their first fault."""
        delimiter, width = self.delimiter.encode(), len(self.names)
        field = re.compile(rb'"[^"]*+(?:""[^"]*+)*+"|[^"\n%s]*' % re.escape(delimiter))
        at, record, fields = 0, 0, 0
        while at < len(data):
            end = field.match(data, at).end()  # type: ignore[union-attr]  # it matches anything
            cell, mark = data[at:end], data[end : end + 1]
            fields += 1
            if mark not in (b"\n", delimiter, b""):
                self._refuse_quote(data, at, end, line + data.count(b"\n", 0, at), fields)
            for part, what, remedy in (
                (b"\0", "a NUL byte", "the file is damaged or not text, so get it again"),
                (_REPLACED, f"bytes that are not {self.encoding} text",
                 "pass --encoding latin-1, or the encoding it was saved with"),
            ):  # fmt: skip
                if part in cell:
                    place = f"{self._column(fields)}: {what}, found {quoted(_shown(cell))}"
                    self.refuse(line + data.count(b"\n", 0, at), f"{place}; {remedy}.")
            if mark != delimiter:
                text = data[record:end]
                if fields != width and text:
                    self._refuse_ragged(text, line + data.count(b"\n", 0, record), fields)
                record, fields = end + 1, 0
            at = end + 1
        self.refuse(line, "something in the lines from here on cannot be read; save it anew.")

    def _refuse_quote(self, data: bytes, at: int, end: int, line: int, place: int) -> NoReturn:
        """Refuse a field from `at` that is not over at `end`, where there is no delimiter."""
        what, remedy = "the quote opened here is never closed", "close it or remove it"
        if end > at:
            across = data.count(b"\n", at, end)
            what = "a stray quote" + (f" (the field was opened on line {line})" if across else "")
            line, remedy = (
                line + across,
                'quote the whole field and write quotes within it twice, ""',
            )
        around = quoted(_shown(data[max(end - 12, 0) : end + 13]))
        self.refuse(line, f"{self._column(place)}: {what}, found {around}; {remedy}.")

    def _refuse_ragged(self, record: bytes, line: int, fields: int) -> NoReturn:
        width = len(self.names)
        found = f"{self._column(fields + 1)}: the line ends after {fields} of {width} fields"
        remedy = "complete the line (is the file cut off?)"
        if fields > width:
            extra = quoted(fields_of(record, self.delimiter)[width])
            found = f"column {width + 1}: {fields} fields where the header has {width}"
            found += f", the first extra one {extra}"
            remedy = "quote fields that contain the delimiter, or remove the extra ones"
        self.refuse(line, f"{found}; found {quoted(_shown(record.strip()))}; {remedy}.")

    def _column(self, place: int) -> str:
        """Name a column, the first of which is 1, for a message."""
        return (
            f"column {quoted(self.names[place - 1])}"
            if place <= len(self.names)
            else (f"column {place}")
        )


def _shown(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _with_points(frame: Any) -> Any:
    """Write 1,5 as 1.5, and 1.234,5 as 1234.5."""
    import polars

    cells = polars.all()
    whole = cells.str.replace_all(".", "", literal=True).str.replace(",", ".", literal=True)
    grouped = cells.str.contains(_POINTS_BETWEEN_THOUSANDS)
    points = cells.str.replace(_DECIMAL_COMMA, "${1}.${2}")
    return frame.with_columns(polars.when(grouped).then(whole).otherwise(points).name.keep())
