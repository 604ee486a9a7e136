"""What is wrong with a table's text: names, cells, delimiters, and files that are not text."""

import difflib
import re
import shlex
import unicodedata
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

MISSING = ("", "?", "NA", "N/A", "n/a", "null", "NULL")
"""The cells that mean "no value here", once stripped of spaces."""

EXACT = 2**53
"""Up to here float64 holds every integer."""

LONG_INTEGER = r"^[+-]?[0-9]{16,309}$"
"""Integers that may be larger, but are not infinite in float64."""

WHOLE = r"^[+-]?[0-9]+$"
"""Whole numbers, however they are written."""

_MOST_COMPARED = 100_000  # integers kept to compare others with

DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars (|)"}

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_MONTHS = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
_DATE = (
    r"\d{1,4}([-/.])\d{1,2}\1\d{1,4}([ T].*)?|\d{4}[-/]\d{1,2}|\d{1,2}:\d{2}(:\d{2}.*)?"
    rf"|\d{{1,2}}[ -]({_MONTHS})[a-z]*[ -]\d{{2,4}}|({_MONTHS})[a-z]*\.? \d{{1,2}},? \d{{4}}"
)

DECIMAL_COMMA = "write a decimal point, or pass --decimal ','"

# What a cell that is not a number looks like, with the remedy; the first match names it.
_LOOKS_LIKE = tuple(
    (re.compile(pattern, re.ASCII | re.IGNORECASE), what, remedy)
    for pattern, what, remedy in (
        (r"[+-]?nan", "is not a number", "leave the cell empty"),
        (r"[+-]?(inf|infinity)", "is infinite", "write a finite number or leave the cell empty"),
        (r"[+-]?[\d.,]+ *[%‰]", "has a percent sign", "write plain numbers, such as 0.05 or 5"),
        (r"[+-]?0x[\da-f]+", "is a hexadecimal number", "write decimal numbers"),
        (r"[+-]?0[bo]\d+", "is a binary or octal number", "write decimal numbers"),
        (r"[+-]?\d[\d.]*(_\d+)+[\d.]*", "has underscores", "write the number without them"),
        (
            r"[+-]?[1-9]\d{0,2}(,\d{3})+(\.\d*)?|[+-]?\d{1,3}([.]\d{3}){2,}(,\d*)?"
            r"|[+-]?\d{1,3}([' \u00a0\u202f\u2019]\d{3})+([.,]\d*)?",
            "has thousands separators",
            "write the number without them, such as 1234.5",
        ),
        (r"[+-]?(\d[\d.]*)?,\d+(e[+-]?\d+)?", "has a decimal comma", DECIMAL_COMMA),
        (_DATE, "is a date or time", "write numbers (year, month, ...)"),
        (r"#(N/A|DIV/0!|REF!|VALUE!|NAME\?|NUM!|NULL!)", "is a spreadsheet error", "correct it"),
    )
)

_MAGIC = (
    (rb"PK\x03\x04", "a ZIP archive or an Excel workbook (.xlsx)", "unpack it or save it as CSV"),
    (rb"\x1f\x8b", "gzip data", "name it .gz"),
    (rb"PAR1[\x00-\x1f]", "a Parquet file", "name it .parquet"),
    (rb"\x93NUMPY", "a NumPy array", "name it .npy"),
    (rb"ARROW1\x00|\xff\xff\xff\xff", "an Arrow or Feather file", "save it as Parquet"),
    (rb"\xd0\xcf\x11\xe0", "an old Excel workbook (.xls)", "save it as CSV"),
    (rb"BZh\d1AY|\xfd7zXZ|7z\xbc\xaf|\x28\xb5\x2f\xfd|Rar!", "a compressed archive", "unpack it"),
    (rb".{257}ustar", "a tar archive", "unpack it"),
    (rb"\x89HDF", "an HDF5 file", "save it as CSV or Parquet"),
    (rb"SQLite format 3\x00", "an SQLite database", "export the table as CSV"),
    (rb"\x80[\x02-\x05]", "a Python pickle", "save it as CSV or Parquet"),
    (rb".{8}\{\"", "a model file (safetensors)", "give a table"),
    (rb"%PDF|\x89PNG|\xff\xd8\xff|GIF8|%!PS", "a PDF or an image", "give a table"),
    (
        rb"\s*<(?i:!doctype|html|\?xml|svg|head|body|table)",
        "HTML or XML",
        "export the table as CSV",
    ),
    (rb"\s*(\{\s*[\"}]|\[\s*[\[{\"])", "JSON", "export the table as CSV"),
)

_WIDE = (
    (rb"\xff\xfe\x00\x00|\x00\x00\xfe\xff", "utf-32"),
    (rb"\xff\xfe|\xfe\xff", "utf-16"),
    (rb"([^\x00]\x00\x00\x00){4}", "utf-32-le"),
    (rb"(\x00\x00\x00[^\x00]){4}", "utf-32-be"),
    (rb"([^\x00]\x00){4}", "utf-16-le"),
    (rb"(\x00[^\x00]){4}", "utf-16-be"),
)


def shown(text: str) -> str:
    """Quote a text found in a file for a message, shortened to about 60 characters."""
    return repr(text if len(text) <= 60 else text[:57] + "...")


def plain(value: str | float | None) -> str:
    """Write a number as people do, 7 and not 7.0; a text stays as it is."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e21:
        return str(int(value))
    return value if isinstance(value, str) else str(value)


def option(flag: str, column: str) -> str:
    """Return an option of the command for one column, such as --drop, ready for a shell."""
    return f"{flag} {shlex.quote(column)}"


def up_to_ten(names: Iterable[str]) -> str:
    """List some names for a message; dots say that there are more."""
    first = list(islice(names, 11))
    return ", ".join(first[:10]) + (", ..." if len(first) > 10 else "")


def closest(name: str, names: Iterable[str]) -> str:
    """Return a suggestion for a name that is not among `names`."""
    names = list(names)
    folded = {each.casefold().strip(): each for each in reversed(names)}
    near = difflib.get_close_matches(name.casefold().strip(), folded, n=3, cutoff=0.6)
    found = [shown(folded[each]) for each in near]
    if found:
        return "did you mean " + " or ".join(found) + "?"
    return f"there are: {up_to_ten(map(shown, names))}."


def is_number(text: str) -> bool:
    """Tell whether `text` is a decimal number that fits float64."""
    return bool(_NUMBER.fullmatch(text)) and abs(float(text)) != float("inf")


def alike(integers: Iterable[Any], known: dict[float, Any] | None = None) -> tuple[Any, Any] | None:
    """Return two different integers that are the same number in float64; None if there are none.

    Parameters
    ----------
    integers : iterable of int, or of str
    known : dict
        Those met before, by their float64; the integers are compared with these too, and added,
        until there are so many that the column is sure to hold many different ones.
    """
    known = {} if known is None else known
    for each in integers:
        if len(known) >= _MOST_COMPARED:
            return None
        other = known.setdefault(float(each), each)
        if int(other) != int(each):
            return other, each
    return None


def explain_cell(text: str, decimal_comma: bool = False) -> tuple[str, str] | None:
    """Say what is wrong with a cell that looks like a number, and the remedy; None for words.

    Parameters
    ----------
    decimal_comma : bool
        Whether the table is likely to have decimal commas, so that 1,185 is not 1185.
    """
    if decimal_comma and re.fullmatch(r"[+-]?\d{1,3},\d{3}", text, re.ASCII):
        return "has a decimal comma", DECIMAL_COMMA
    if _NUMBER.fullmatch(text):
        return "is beyond the largest number of float64", "correct it or use another unit"
    if len(text) > 100:
        return None
    for pattern, what, remedy in _LOOKS_LIKE:
        if pattern.fullmatch(text):
            return what, remedy
    if not any(character.isdigit() for character in text):
        return None
    plain = unicodedata.normalize("NFKC", text).replace("\u2212", "-")
    if any(unicodedata.category(character) == "Sc" for character in text):
        bare = re.sub(r"[^\d.,' +-]", "", plain)
        if re.fullmatch(r"[-+ ]*[\d.,' ]*\d[\d.,' ]*[kKmM]?", bare) and len(bare) + 2 >= len(text):
            return "has a currency sign", "write plain numbers and name the unit in the header"
    if not text.isascii():
        digits = "".join(str(unicodedata.digit(c, c)) for c in plain)
        if _NUMBER.fullmatch(digits):
            return "has digits or signs that are not ASCII", f"write {digits}"
    return None


def foreign_format(first: bytes) -> tuple[str, str] | None:
    """Say from its first bytes what a file is if not a text table, and the remedy."""
    for pattern, what, remedy in _MAGIC:
        if re.match(pattern, first, re.DOTALL):
            return f"this is {what}", remedy
    for pattern, encoding in _WIDE:
        if re.match(pattern, first, re.DOTALL):
            return f"this is {encoding.upper()} text", f"pass --encoding {encoding}"
    return None


def header_fault(names: Sequence[str]) -> str | None:
    """Say what is wrong with a table's column names, and the remedy; None if all is well."""
    seen: dict[str, int] = {}
    for place, name in enumerate(names, 1):
        if not name:
            return (
                f"column {place} has no name; name it in the header (or remove it: pandas writes "
                "such a column unless told index=False)."
            )
        if name in seen:
            return f"columns {seen[name]} and {place} are both called {shown(name)}; rename one."
        seen[name] = place
    return None


def better_delimiter(delimiter: str, header: str, record: str) -> str | None:
    """Say what a table seems to be separated by, and the remedy; None if that is unclear."""
    for other, name in DELIMITERS.items():
        count = header.count(other)
        if other != delimiter and count and count == record.count(other):
            escaped = other.replace("\t", "\\t")
            return f"it seems to be separated by {name}; pass --delimiter '{escaped}'"
    words = len(header.split())
    numbers = any(is_number(word) for word in record.split())
    if delimiter not in header and words > 1 and words == len(record.split()) and numbers:
        return "it seems to be separated by spaces; save it with commas"
    return None
