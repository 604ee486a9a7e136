"""Read CSV and TSV strictly: every fault is named with its line and column.

Polars parses blocks of whole records. It fills up short records, so fields are counted as well.
Only where something is wrong with a block are its fields gone through one by one, to say what.
"""

import codecs
import io
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice, pairwise
from typing import Any, ClassVar, NoReturn

import numpy as np

from xpnet.errors import FileError, bad_argument
from xpnet.tables.assemble import distinct_names
from xpnet.tables.cells import AFTER, BEFORE
from xpnet.tables.groups import filled_down, merged_columns, subtotals
from xpnet.tables.messages import counted, one_line, quoted, up_to_ten
from xpnet.tables.npy import open_binary
from xpnet.tables.sniff import (
    Reading,
    fields_of,
    find_encoding,
    find_layout,
    fixed_width,
    header_lines,
    is_ruler,
    outside_quotes,
    rows_end,
    single_spaces,
    whole_records,
    without_quotes,
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

# How files of other kinds begin.
_OTHER_KINDS = re.compile(
    rb"\x1f\x8b|PAR1[\x00-\x1f]|\x93NUMPY|PK\x03\x04|\xd0\xcf\x11\xe0|BZh\d1AY|\xfd7zXZ|%PDF"
    rb"|SQLite format 3\x00|\x80[\x02-\x05]|\x89PNG|[^\n]{,200}\0{4}"
    rb"|\s*<(?i:!doctype|html|\?xml|table)|\s*(\{\s*[\"}]|\[\s*[\[{\"])"
)


def open_csv(path: str, how: Reading, usual: str, data: bytes | None = None) -> "Csv":
    """Read the header; detect what is not given. `usual` is the delimiter usual for such files.

    `data` is the content, in UTF-8, if it does not come from the file itself.
    """
    how = _checked(how)
    encoding = how.encoding or find_encoding(path) if data is None else "utf-8"
    try:
        head = next(_decoded(path, encoding, "replace", data), b"")
    except UnicodeError as error:
        raise FileError(f"{path}: this is not {encoding} text; correct --encoding.") from error
    if how.delimiter is None and data is None and (row := fixed_width(head)):
        with suppress(UnicodeError):  # which is told later, with its line
            text = b"".join(_decoded(path, encoding)).decode()
            text = re.sub(row, lambda cells: "\t".join(map(str.strip, cells.groups())), text)
            how = replace(how, encoding=None, delimiter="\t")
            return open_csv(path, how, "\t", text.encode())
    delimiter, sign, has_header, skipped, titles = find_layout(head, usual, how)
    named, start, below = _names(path, head, skipped, has_header, delimiter)
    names = distinct_names(named)
    texts = frozenset(at for at, each in enumerate(names) if each in how.as_texts)
    guesses = {
        "encoding": (encoding, how.encoding or "utf-8"),
        "delimiter": (delimiter, how.delimiter or usual),
        "decimal": (sign or ".", how.decimal or "."),
        "no_header": (not has_header, how.header is False),
    }
    told = {name: found for name, (found, known) in guesses.items() if found != known}
    line = 1 + head.count(b"\n", 0, start)
    above = passed_over(head.split(b"\n", skipped)[skipped - titles : skipped], "above the header")
    above |= passed_over(below, "below the header") | _twins(named)
    first = head.split(b"\n", skipped + 1)[skipped] if has_header else b"---"
    return Csv(path, names, texts, encoding, delimiter, sign, start, line, told, above, first, data)


def _checked(how: Reading) -> Reading:
    try:
        "".encode(how.encoding or "utf-8")
        codecs.getincrementaldecoder(how.encoding or "utf-8")
    except (LookupError, ValueError) as error:
        remedy = "is not known; try utf-8, cp1252, cp932 or utf-16"
        raise bad_argument("encoding", how.encoding, remedy) from error
    delimiter = how.delimiter and how.delimiter.replace("\\t", "\t")
    if delimiter is not None and (
        len(delimiter) != 1 or not delimiter.isascii() or delimiter in '"\r\n\0'
    ):
        raise bad_argument("delimiter", delimiter, "must be one ASCII character, no quote")
    if how.decimal not in (".", ",", None):
        raise bad_argument("decimal", how.decimal, "must be . or , (a point or a comma)")
    return replace(how, delimiter=delimiter)


def _names(
    path: str, data: bytes, skipped: int, has_header: bool, delimiter: str
) -> tuple[list[str], int, list[bytes]]:
    """Return the names, or x0, x1, ...; where rows begin; and lines between, such as units.

    Empty and equal names are completed from those lines. `data` is the beginning of the file.
    """
    body = data.split(b"\n", skipped)[-1].lstrip(b"\n")
    ends = outside_quotes(body, _NEWLINE)
    header, start = body[: ends[0] + 1] if ends.size else body, len(data) - len(body)
    if not header.decode("utf-8", "replace").strip(" \t\n,;"):
        message = "the table is empty; it needs a line of column names, then rows."
        raise FileError(f"{path}: {message}")
    row = fields_of(header, delimiter)
    others = [fields_of(each, delimiter) for each in whole_records(body)[1:]]
    if {len(each) for each in others} == {len(row) + 1} and len(row) > 1:
        empty = not any(each[-1] for each in others)  # else the rows' names have none, as in R
        row = [*row, ""] if empty else ["", *row]
    if not has_header:
        return [f"x{at}" for at in range(len(row))], start, []
    if skipped and len(above := fields_of(data.split(b"\n")[skipped - 1], delimiter)) == len(row):
        row = [own or other for own, other in zip(row, above, strict=True)]  # of two lines
    count, below, end = header_lines(row, others), list[bytes](), len(header)
    for a, b in pairwise((ends + 1).tolist()):
        line = body[a:b].strip()
        if len(below) == count and not (is_ruler(line) and end == len(header)):
            break
        below, end = [*below, line] if line and not is_ruler(line) else below, b
    named = [
        own if own and row.count(own) == 1 else " ".join(dict.fromkeys(filter(None, [own, *more])))
        for own, *more in zip(row, *others[:count], strict=True)
    ]
    return [named[0].removeprefix("# "), *named[1:]], start + end, below


def _twins(names: list[str]) -> dict[str, str]:
    found = Counter(map(one_line, names)).items()
    twins = {name: count for name, count in found if name and count > 1}
    return {f"{n} columns called {name}": f"now {name} (1) to ({n})" for name, n in twins.items()}


def _decoded(
    path: str, encoding: str, errors: str = "strict", data: bytes | None = None
) -> Iterator[bytes]:
    """Yield a file as UTF-8, piece by piece, with newlines for line ends and no byte order mark."""
    utf8 = codecs.lookup(encoding).name == "utf-8"
    new = codecs.getincrementaldecoder("utf-8-sig" if utf8 else encoding)
    decoder = io.IncrementalNewlineDecoder(new(errors), translate=True)
    with open_binary(path) if data is None else io.BytesIO(data) as file:
        chunk = file.read(_BLOCK)
        if _OTHER_KINDS.match(chunk):
            kinds = {b"<": "a web page (HTML)", b"{": "JSON", b"[": "JSON"}
            what = kinds.get(chunk.lstrip()[:1], "an archive, a workbook or a binary file")
            remedy = "if it is gzip, Parquet, JSON or NumPy, name it .gz, .parquet, .json or .npy"
            raise FileError(f"{path}: this is {what}, not CSV; {remedy}; else save it as CSV.")
        text = decoder.decode(chunk).removeprefix("\ufeff")
        bare = without_quotes(text)
        signs, text = text != bare, bare
        while chunk:
            yield text.encode("utf-8", "replace")
            chunk = file.read(_BLOCK)
            text = decoder.decode(chunk)
            text = text.replace('"', "\u2033") if signs else text
        yield decoder.decode(b"", final=True).encode("utf-8", "replace")


@dataclass(frozen=True)
class Csv:
    """One CSV file and how to read it, for `assemble`.

    `start` and `line` say where its rows begin. `guesses` are the options that were detected, and
    `passed_over` has lines above the rows and, once they are read, below them.
    """

    path: str
    names: tuple[str, ...]
    texts: frozenset[int]
    encoding: str
    delimiter: str
    decimal: str
    start: int
    line: int
    guesses: Mapping[str, Any]
    passed_over: dict[str, str]
    header: bytes
    data: bytes | None = None
    totals: list[int] = field(default_factory=list)  # rows left out, which are totals of others
    unfit: ClassVar = dict[str, str]()  # its cells are texts

    def blocks(self) -> Iterator[Any]:
        """Yield rows as Polars frames of strings, with decimal points."""
        rows, above = 0, dict[str, Any]()
        self.totals.clear()
        try:
            for data, line in self._records():
                frame = self._parsed(data, line)
                frame = self._without_totals(frame, data, rows + len(self.totals))
                if not rows and (merged := merged_columns(frame)):
                    above = dict.fromkeys(frame.columns[:merged], "")
                    told = "merged cells, filled down"
                    self.passed_over[told] = up_to_ten(self.names[:merged])
                frame = filled_down(frame, above)
                rows += frame.height
                if frame.height:
                    yield _with_points(frame) if self.decimal == "," else frame
        except UnicodeError as error:
            for data, line in self._records("replace"):
                if _REPLACED in data:
                    self._explain(data, line)
            message = f"this is not {self.encoding} text; correct --encoding."
            raise FileError(f"{self.path}: {message}") from error
        if not rows:
            raise FileError(f"{self.path}: line 1, a header but no rows; add the rows.")

    def _without_totals(self, frame: Any, data: bytes, rows: int) -> Any:
        if (total := subtotals(frame, data)) is None:
            return frame
        self.totals.extend((total.arg_true() + rows).to_list())
        first = quoted(" ".join(filter(None, frame.row(total.arg_max()))))
        self.passed_over["totals between rows"] = f"{len(self.totals):,}, such as {first}"
        return frame.filter(~total)

    def line_of(self, row: int) -> int:
        """Return the line on which a row begins, for which the file is read again."""
        for total in self.totals:
            row += total <= row
        for data, line in self._records():
            starts, _ = self._rows(data)
            if row < len(starts):
                return line + data.count(b"\n", 0, starts[row])
            row -= len(starts)
        raise FileError(f"{self.path}: became shorter while being read; do not change it.")

    def _records(self, errors: str = "strict") -> Iterator[tuple[bytes, int]]:
        """Yield blocks of whole records after the header, with the line on which each begins."""
        start, line, tail = self.start, self.line, b""
        chunks = filter(None, _decoded(self.path, self.encoding, errors, self.data))
        ahead = next(chunks, b"")
        while True:
            # At least as much again as is left over, lest a long record be searched often.
            data = b"".join([tail, ahead, *islice(chunks, len(tail) // _BLOCK)])[start:]
            ahead, start = next(chunks, b""), 0
            last = not ahead
            cut = len(data)
            if last and len(self.names) > 1:
                cut = rows_end(data, self.delimiter)
                self.passed_over.update(passed_over(data[cut:].split(b"\n"), "at the end"))
            elif not last:
                ends = outside_quotes(data, _NEWLINE) if b'"' in data else [self._last_end(data)]
                cut = int(ends[-1]) + 1 if len(ends) else 0
            if cut:
                records = self._without_headers(data[:cut])
                yield single_spaces(records) if self.delimiter == " " else records, line
            if last:
                return
            if not cut and (len(data) > _MAX_RECORD or b"\0" in data):
                self._explain(data, line)
            line, tail = line + data.count(b"\n", 0, cut), data[cut:]

    def _last_end(self, data: bytes) -> int:
        """Return where the last whole row ends: titles stay with the header below them."""
        end = data.rfind(b"\n")
        last = data.rfind(self.delimiter.encode(), 0, max(end, 0))
        return end if last < 0 or len(self.names) == 1 else data.find(b"\n", last)

    def _without_headers(self, records: bytes) -> bytes:
        """Blank out repeated headers, titles above them, and rulers, as in lists of pages."""
        quotes = b'"' in records  # in which there may be dashes
        if len(self.names) == 1 or (
            self.header not in records and (quotes or b"---" not in records)
        ):
            return records
        delimiter, header = map(re.escape, (self.delimiter.encode(), self.header))
        ruler = b"" if quotes else rb"|[-=+:| \t]*---[-=+:| \t]*"
        again = rb"(?m)^(?:(?:[^\n%s]*\n){,10}%s%s)$" % (delimiter, header, ruler)
        lines = b"\n".join(re.findall(again, records)).split(b"\n")
        self.passed_over.update(passed_over(lines, "between rows"))
        return re.sub(again, lambda found: b"\n" * found[0].count(b"\n"), records)

    def _rows(self, data: bytes) -> tuple[np.ndarray, bytes]:
        """Return where rows begin in some records, and the records without blank lines.

        In a file of one column, a blank line is a missing cell.
        """
        data = data if data.endswith(b"\n") else data + b"\n"
        ends = outside_quotes(data, _NEWLINE)
        starts = np.concatenate([[0], ends + 1])[:-1]
        there = (ends > starts) | (len(self.names) == 1)
        if there.all():
            return starts, data
        body = np.frombuffer(data, np.uint8)[: int(ends[-1]) + 1]
        return starts[there], body[np.repeat(there, ends + 1 - starts)].tobytes()

    def _parsed(self, data: bytes, line: int) -> Any:
        import polars

        starts, records = self._rows(data)
        if not records.strip() and not len(starts):
            return polars.DataFrame()
        byte, shape = ord(self.delimiter), (len(starts), len(self.names))
        cuts = outside_quotes(records, byte).size if b'"' in records else records.count(byte)
        frame = polars.DataFrame()
        if cuts == shape[0] * (shape[1] - 1) and b"\0" not in data:
            with suppress(polars.exceptions.PolarsError):
                frame = polars.read_csv(
                    records, has_header=False, infer_schema=False, separator=self.delimiter
                )
        return frame if frame.shape == shape else self._explain(data, line)

    def _explain(self, data: bytes, line: int) -> NoReturn:
        delimiter, width = self.delimiter.encode(), len(self.names)
        # A cell, what should not be behind it, and what ends it.
        field = rb'("[^"]*+(?:""[^"]*+)*+"|[^"\n%s]*)([^\n%s]*)(\n|%s|\Z)'
        record = place = 0
        refuse, zeros = partial(self._refuse, data, line), data.count(b"\0")
        is_utf16 = 3 * zeros > len(data)
        for found in re.finditer(field % (3 * (re.escape(delimiter),)), data):
            at, end, (cell, behind, mark) = found.start(), found.end(1), found.groups()
            if at == len(data) and place != width:
                break
            if behind and not cell:
                what = "the quote opened here is never closed"
                refuse(at, place, what, behind, "close it or remove it")
            if behind:
                opened = line + data.count(b"\n", 0, at)
                what = f"a stray quote (the field was opened on line {opened})"
                remedy = 'quote the whole field and write "" within it'
                refuse(end, place, what, cell + behind, remedy)
            if b"\0" in cell or (zeros and _REPLACED in cell):
                remedy = "this is damaged or no text, so get it again, or save it as CSV"
                remedy = "pass --encoding utf-16-le, or utf-16-be" if is_utf16 else remedy
                refuse(at, place, counted(zeros, "NUL byte"), cell, remedy)
            if _REPLACED in cell:
                remedy = "pass --encoding with the one it was saved in, such as cp932 or gb18030"
                refuse(at, place, f"bytes that are not {self.encoding} text", cell, remedy)
            if place >= width:
                fields = place + 1 + data[end:].partition(b"\n")[0].count(delimiter)
                remedy = "quote fields that contain the delimiter, or remove the extra ones"
                if width == 1:
                    remedy = "pass --delimiter; or save columns of a fixed width as CSV"
                refuse(at, place, f"{fields} fields where the header has {width}", cell, remedy)
            place += 1
            if mark != delimiter:
                if place < width and end > record:
                    what = f"the line ends after {place} of {width} fields"
                    remedy = "complete the line (is the file cut off?)"
                    refuse(record, place, what, data[record:end], remedy)
                record, place = end + 1, 0
        refuse(0, 0, "something from here on cannot be read", data[:60], "save the file anew")

    def _refuse(
        self, data: bytes, line: int, at: int, place: int, what: str, found: bytes, remedy: str
    ) -> NoReturn:
        line += data.count(b"\n", 0, at)
        column = quoted(self.names[place]) if place < len(self.names) else place + 1
        text = quoted(found.decode("utf-8", "replace").strip())
        where = f"{self.path}: line {line}, column {column}"
        raise FileError(f"{where}: {what}, found {text}; {remedy}.")


def passed_over(lines: Sequence[bytes], where: str) -> dict[str, str]:
    """Say which lines, without blank ones, are not among the rows; empty if there are none."""
    texts = [each.decode("utf-8", "replace").strip() for each in lines if each.strip()]
    return {f"{counted(len(texts), 'line')} {where}": quoted(one_line(texts[0]))} if texts else {}


def _with_points(frame: Any) -> Any:
    """Write 1,5 as 1.5, and 1.234,5 as 1234.5."""
    import polars

    cells = polars.all()
    whole = cells.str.replace_all(".", "", literal=True).str.replace(",", ".", literal=True)
    grouped = cells.str.contains(_POINTS_BETWEEN_THOUSANDS)
    points = cells.str.replace(_DECIMAL_COMMA, "${1}.${2}")
    return frame.with_columns(polars.when(grouped).then(whole).otherwise(points).name.keep())
