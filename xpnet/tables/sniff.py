"""Detect how a CSV file is written; where it is ambiguous, the usual way is taken."""

import codecs
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise, repeat, takewhile
from typing import Any

import numpy as np

from xpnet.tables.cells import AFTER, BEFORE, GAPS, MISSING, is_number
from xpnet.tables.messages import one_line
from xpnet.tables.npy import open_binary

DELIMITERS = (",", ";", "\t", "|")
_CHUNK = 1 << 22
_HEAD = 1 << 16  # bytes, and
_RECORDS = 25  # records, in which delimiters are looked for
_TITLES = 10  # at most: lines above the header, and below the rows
_LAST, _MIN_ROWS, _MIN_FILLED = 200, 5, 3  # last lines; rows, and cells, to know what is usual
_HEADER_LINES = 3  # at most, below the first
_QUOTE, _NEWLINE = 34, 10
_WORDS = rb"(grand |sub-?)?totals?|sums?|averages?|means?|summe|gesamt|mittelwert|somme|moyenne"
_TOTAL = re.compile(rb"(?i)[\W_]*(%s)\b:?[^\w \n]" % _WORDS)
_SPARSE = re.compile(rb"(?i)\W*(\w+ )?(%s|all|balance|saldo|solde|m(\xc3.|e)dia)\b" % _WORDS)
_UNIT = re.compile(r"(?=.{1,5}$|.*[^\w\s])(?:[^\s\d]|(?<=[A-Za-z^])\d)+")  # kg, m/s2, (%), mm:ss
# A number, with signs or a note, or a date.
_FIGURE = re.compile(r"[^A-Za-z]*\d(E[+-]?\d+)?([^A-Za-z]*$| [-\u2013=] )")


@dataclass(frozen=True)
class Reading:
    """How a table is to be read, by the options of the command; None is found out.

    The columns `as_texts` are text even if all their cells are numbers: 1 is not 01. The header, or
    the sheet, is the one that has half of the `columns` or more.
    """

    encoding: str | None = None
    delimiter: str | None = None
    decimal: str | None = None
    header: bool | None = None
    sheet: str | None = None
    query: str | None = None
    as_texts: Collection[str] = ()
    columns: Collection[str] = ()

    def fits(self, names: Collection[Any]) -> bool:
        """Return whether at least half of the wanted columns, if any, are among the names."""
        wanted = {*map(one_line, self.columns)}
        return 0 < len(wanted) <= 2 * len(wanted & {one_line(str(name)) for name in names})


def find_encoding(path: str) -> str:
    """Return the encoding: cp1252 (Windows) if the first character beyond ASCII is not UTF-8."""
    decoder, is_ascii = codecs.getincrementaldecoder("utf-8")(), True
    with open_binary(path) as file:
        chunk = file.read(_CHUNK)
        if chunk.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return "utf-16"
        try:
            while chunk and b"\0" not in chunk:  # which is refused later
                is_ascii = decoder.decode(chunk).isascii() and is_ascii
                chunk = file.read(_CHUNK)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError as error:
            return "cp1252" if is_ascii and error.object[: error.start].isascii() else "utf-8"
    return "utf-8"


def find_layout(data: bytes, usual: str, how: Reading) -> tuple[str, str, bool, int, int]:
    """Return delimiter, decimal sign or "", whether there is a header, lines before it, and titles.

    `data` is the beginning of the file, in UTF-8. Lines before the header are blank, comments,
    Excel's ``sep=;``, or titles. The usual delimiter is preferred if it fits.
    """
    skipped, named = _lines_before_header(data)
    body = data.split(b"\n", skipped)[-1]
    titles, divides = 0, how.delimiter or named
    if how.header is None:
        titles, divides = _titles(body, divides, usual, how)
    skipped, body = skipped + titles, body.split(b"\n", titles)[-1]
    head = whole_records(body)
    delimiter = divides or _find_delimiter(head, usual)
    decimal = _decimal_sign(body, delimiter) if how.decimal is None else how.decimal
    header = how.header
    if header is None:
        rows = [fields_of(each, delimiter) for each in head]
        header = not (rows and _is_data(rows[0], rows[1:], decimal or "."))
    return delimiter, decimal, header, skipped, titles


def _lines_before_header(data: bytes) -> tuple[int, str]:
    """Count blank lines, comments and ``sep=;`` at the beginning; also return that delimiter.

    A line that begins with # is a header if it has as many fields as a line of data below it.
    """
    named, lines = "", data[:_HEAD].split(b"\n")
    for at, line in enumerate(lines[:-1]):
        text = line.strip(b" \t\r")
        if sep := re.fullmatch(rb'"?sep=(.)"?', text, re.DOTALL | re.IGNORECASE):
            named = sep[1].decode("ascii", "replace")
        elif text.startswith(b"#"):
            for each in DELIMITERS:
                cells = fields_of(lines[at + 1], each)
                if len(cells) == len(fields_of(line, each)) > 1 and any(map(is_number, cells)):
                    return at, named
        elif text and not is_ruler(text):
            return at, named
    return 0, ""


def _titles(body: bytes, delimiter: str, usual: str, how: Reading) -> tuple[int, str]:
    """Count the lines above the header, such as the name of a report; also return the delimiter.

    They have fewer cells than the header, or lack the wanted columns. The header is all words;
    below it are numbers or dates, unless the titles have as many delimiters.
    """
    lines, full = body[:_HEAD].split(b"\n", _TITLES), False
    written = [at for at, line in enumerate(lines[:-1]) if line.strip() and not is_ruler(line)]
    for at in written:
        records = whole_records(body.split(b"\n", at)[-1])
        for each in [delimiter] if delimiter else dict.fromkeys((usual, *DELIMITERS)):
            first, *rows = [fields_of(record, each) for record in records] or [[]]
            if len(first) < 2 or any(len(row) != len(first) for row in rows):
                continue
            has_columns = how.fits(first)
            if not at and (all(first) or sum(map(bool, first)) > 1):
                if has_columns or not how.columns:
                    return 0, delimiter
                full = True
            above = [fields_of(line, each) for line in lines[:at]]
            lacking = all(len(row) < len(first) or sum(map(bool, row)) < 2 for row in above)
            named = {*filter(None, first)}.isdisjoint(MISSING) and not any(map(is_number, first))
            rows = rows[header_lines(first, rows) :]
            sure = all(len(row) == len(first) for row in above if any(row))  # as in "Report,,,"
            figures = any(map(_are_figures, zip(*rows, strict=True)))
            usual_titles = lacking and not full and all(first) and (sure or figures)
            if named and (usual_titles or (has_columns and figures)):
                return at, each
    return 0, delimiter


def rows_end(data: bytes, delimiter: str) -> int:
    """Return where the rows end in the last part of a file, before totals and notes."""
    end = len(data.rstrip(b"\n\f"))
    lines = data[max(end - _HEAD, 0) : end].split(b"\n")[-_LAST:]
    for line in reversed(lines[_notes_from(lines, delimiter) :]):
        end = len(data[: end - len(line)].rstrip(b"\n"))
    unquoted = data.count(b'"', 0, end) % 2 == data.count(b'"', end) % 2 == 0
    return end if unquoted else len(data)


def _notes_from(lines: list[bytes], delimiter: str) -> int:
    """Return from where on the lines are notes: text after a blank line, totals, half empty rows.

    Such rows begin with a word like balance, or have a single cell, or are cut off; and their first
    cell is unlike all others in its column. A word for a total occurs only once.
    """
    rows = [fields_of(line, delimiter) if not is_ruler(line) else [] for line in lines]
    filled = [sum(map(bool, row)) for row in rows]
    usual = float(np.median([each for each in filled if each] or [0]))
    full = [row for row, cells in zip(rows, filled, strict=True) if 2 * cells > usual]
    first, end = max(len(rows) - _TITLES, 0), len(rows)
    for at in filter(filled.__getitem__, reversed(range(first, len(rows)))):
        place = [*map(bool, rows[at])].index(True)
        own, fields = _shape(rows[at][place]), len(rows[at])
        shapes = {_shape(row[place]) for row in full if place < len(row)}
        cut = fields < len(full[0])
        like = any(map(str.startswith, shapes, repeat(own))) if cut else own in shapes
        sparse = 2 * filled[at] <= usual and usual >= _MIN_FILLED and len(full) >= _MIN_ROWS
        longer = fields > len(full[0]) and not any(rows[at][len(full[0]) :])
        note = cut or longer or filled[at] == 1 or _SPARSE.match(lines[at])
        total = _TOTAL.match(lines[at])
        is_total = total is not None and b"\n".join(lines).count(total[1]) == 1
        text = len(rows[at]) == 1 and not all(filled[first:at])
        if not (is_total or text or (sparse and note and not like)):
            break
        end = at
    return end


def _shape(cell: str) -> str:
    """Return a cell's pattern: a for letters, 0 for digits."""
    return re.sub(r"[^\W\d_]+", "a", re.sub(r"\d+", "0", cell.replace(" ", "")))


def whole_records(data: bytes) -> list[bytes]:
    """Return the first records without line ends, blank lines and rulers."""
    part = data[:_HEAD]
    cuts = [-1, *outside_quotes(part, _NEWLINE)[: 4 * _RECORDS].tolist()]
    if len(data) <= _HEAD and not data.endswith(b"\n"):
        cuts.append(len(part))
    records = [part[a + 1 : b].rstrip(b"\r") for a, b in pairwise(cuts)]
    return [each for each in records if each.strip() and not is_ruler(each)][:_RECORDS]


def _find_delimiter(records: Sequence[bytes], usual: str) -> str:
    """Return the only delimiter that divides all records alike; the usual one if it does.

    If the first record lacks the usual one, half of the records are enough: the others are refused
    later. The first may have one field less, as R writes it, without a name for the row names.
    """
    if not records:
        return usual
    fitting, least = [], 1.0 if usual.encode() in records[0] else 0.5
    for each in dict.fromkeys((usual, *DELIMITERS)):
        counts = [outside_quotes(record, ord(each)).size for record in records]
        alike = counts.count(counts[0]) >= least * len(counts)
        if counts[0] and (alike or {*counts[1:]} == {counts[0] + 1}):
            fitting.append(each)
    if not fitting and len(records) > 1:
        first, *words = (outside_quotes(single_spaces(each), ord(" ")).size for each in records)
        fitting = [" "] if first and {*words} in ({first}, {first + 1}) else []
    return fitting[0] if len(fitting) == 1 else usual


def _decimal_sign(data: bytes, delimiter: str) -> str:
    """Return the decimal sign, or "" if it is not certain: 1.234 or 1,234 may be 1234."""
    edge, whole = re.escape(delimiter), data[: data.rfind(b"\n") + 1] or data  # not cut off
    text = whole.decode("utf-8", "replace")

    def found(sign: str, other: str, *, sure: bool = False) -> bool:
        groups = rf"\d{{1,3}}(?:[{other}' \u00a0\u202f]\d{{3}})+{sign}"
        single = rf"(?![1-9]\d{{0,2}}{sign}\d{{3}}(?!\d))\d*{sign}"  # else perhaps thousands
        with_signs = rf"{BEFORE}(?:{groups}|{single})\d+{AFTER}"
        number = with_signs if sure else rf"[+-]?\d*{sign}\d+(?:[eE][+-]?\d+)?|{with_signs}"
        cell = rf'(?:^|[{edge}\n"])[ \t]*(?:{number})[ \t]*(?=[{edge}\r\n"]|$)'
        return bool(re.search(cell, text, re.ASCII))

    if delimiter == ",":
        return "."
    commas, points = found(",", r"\.", sure=True), found(r"\.", ",", sure=True)
    if not points and (commas or (found(",", r"\.") and not found(r"\.", ","))):
        return ","
    return "." if points and not commas else ""


def _is_data(first: list[str], others: list[list[str]], decimal: str) -> bool:
    """Return whether the first line can only be data, not names.

    It must have a number wherever all others have one. Also, one of these must not be a plain
    integer, or two cells be equal, or a text occur again in its column.
    """

    def number(cell: str) -> bool:
        return is_number(cell.replace(decimal, ".")) or cell in MISSING[1:]

    if not others or first in others or any(len(each) != len(first) for each in others):
        return False
    numeric = [all(number(row[at]) or not row[at] for row in others) for at in range(len(first))]
    if not all(number(cell) for cell, each in zip(first, numeric, strict=True) if each):
        return False
    texts = [at for at, each in enumerate(numeric) if not each]
    again = sum(any(row[at] == first[at] for row in others) for at in texts if first[at])
    if not any(numeric):
        return again >= 2 and 2 * again >= len(texts)
    fractions = any(is_number(cell.replace(decimal, ".")) and not cell.isdigit() for cell in first)
    return fractions or len(set(first)) < len(first) or again > 0


def outside_quotes(data: bytes, byte: int) -> np.ndarray[Any, Any]:
    """Return the positions of a byte outside quoted fields."""
    body = np.frombuffer(data, np.uint8)
    found = np.flatnonzero(body == byte)
    if b'"' not in data:
        return found
    quotes = np.flatnonzero(body == _QUOTE)
    return np.compress(np.searchsorted(quotes, found) % 2 == 0, found)


def is_ruler(record: bytes) -> bool:
    """Return whether a line is a ruler, as below the headers of Markdown and psql."""
    return re.fullmatch(rb"[-=+:| \t]*--[-=+:| \t]*", record) is not None


def fixed_width(data: bytes) -> str:
    """Return a pattern for rows of fixed-width columns, with dashes below the names; else ""."""
    for header, line in pairwise(data[:_HEAD].split(b"\n", _TITLES)[:_TITLES]):
        if header.strip() and re.fullmatch(rb"-+( -+)+ *", line):
            *widths, _ = map(len, line.split())
            return "(?m)^" + "".join(f"(.{{{each}}}) " for each in widths) + "(.*)$"
    return ""


def header_lines(first: list[str], others: list[list[str]]) -> int:
    """Count the lines below a header that are no rows: units, or those of Qualtrics and pandas.

    Those of Qualtrics end with ImportId. In pandas' header of several lines, names are missing or
    equal, and there are words where all other lines have numbers.
    """
    count, others = 0, [*takewhile(lambda row: len(row) == len(first), others)]
    for at, row in enumerate(others[:_HEADER_LINES], 1):
        if any(each.startswith('{"ImportId"') for each in row):
            return at
        figures = map(_are_figures, zip(*others[at:], strict=True))
        named = any(cell.lower() not in GAPS and of for cell, of in zip(row, figures, strict=False))
        named |= all(bool(cell) != bool(name) for cell, name in zip(row, first, strict=True))
        again = count == at - 1 and len({*first}) < len(first)
        count += again and named and not any(map(_FIGURE.match, filter(None, row)))
    while count < _HEADER_LINES and others[count:] and _are_units(*others[count:]):
        count += 1
    return count


def _are_units(first: list[str], *others: list[str]) -> bool:
    """Return whether the first row has only units, in columns of numbers."""
    words = [each.replace(" ", "") for each in first if each]
    told = len(words) > 1 and {each.lower() for each in words}.isdisjoint(GAPS)
    for cell, *column in zip(first, *others, strict=False):
        told = told and (not cell or _are_figures(column))
    return len(others) >= _MIN_ROWS and told and all(map(_UNIT.fullmatch, words))


def _are_figures(cells: Iterable[str]) -> bool:
    """Return whether most of a column's cells, without those that hold nothing, are numbers."""
    filled = [each for each in cells if each.lower().strip("-") not in GAPS]
    return 2 * len([*filter(_FIGURE.match, filled)]) > len(filled)


def without_quotes(text: str) -> str:
    """Replace quotes that quote nothing, such as in 5'10", by double primes."""
    if 2 * text.count('"') < text.count("\n") or re.search('(?:^|[\n,;\t| ])"', text):
        return text
    return text.replace('"', "\u2033")


def single_spaces(records: bytes) -> bytes:
    """Leave one space between fields, and none at the ends of records."""
    return re.sub(rb"[ \t]+", b" ", re.sub(rb"(?m)^[ \t]+|[ \t]+$", b"", records))


def fields_of(record: bytes, delimiter: str) -> list[str]:
    """Split one record into fields."""
    record = single_spaces(record) if delimiter == " " else record
    cuts = [-1, *outside_quotes(record, ord(delimiter)).tolist(), len(record)]
    fields = [record[a + 1 : b].decode("utf-8", "replace").strip() for a, b in pairwise(cuts)]
    return [f[1:-1].replace('""', '"').strip() if f.startswith('"') else f for f in fields]
