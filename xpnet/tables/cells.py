"""What the text of a cell means: a number, a missing value, or a number written unsuitably."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

MISSING = ("", "?", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "null", "NULL")
"""The cells that mean "no value here", once stripped of spaces."""

MAX_EXACT = 2**53
"""Up to here float64 holds every integer."""

LONG_INTEGER = r"^[+-]?[0-9]{16,309}$"
"""Integers that may be larger, but are not infinite in float64."""

LEADING_ZERO = r"^[ \t]*0[0-9]+[ \t]*$"
"""Integers that are codes, such as 007."""

_MAX_COMPARED = 100_000  # integers kept to compare others with

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_MONTHS = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
_DATE = (
    r"\d{1,4}([-/.])\d{1,2}\1\d{1,4}([ T].*)?|\d{4}[-/]\d{1,2}|\d{1,2}:\d{2}(:\d{2}.*)?"
    rf"|\d{{1,2}}[ -]({_MONTHS})[a-z]*[ -]\d{{2,4}}|({_MONTHS})[a-z]*\.? \d{{1,2}},? \d{{4}}"
)
_DATES = re.compile(_DATE, re.ASCII | re.IGNORECASE)

# What a cell that is not a number looks like, with the remedy; the first match names it.
_LOOKS_LIKE = tuple(
    (re.compile(pattern, re.IGNORECASE), what, remedy)
    for pattern, what, remedy in (
        (r"[+-]?(inf|infinity)", "is infinite", "write a finite number or leave the cell empty"),
        (
            r"[+-]?(\d[\d.]*)?,\d+(e[+-]?\d+)?",
            "has a decimal comma, or separators of thousands",
            "write a decimal point, or pass --decimal ','",
        ),
        (
            r"[^\w(]*\d[\d.,' \u00a0\u202f\u2019]*[^\w)]?",
            "has signs or separators of its own",
            "write plain numbers, such as 1234.5",
        ),
        (_DATE, "is a date or time", "write numbers (year, month, ...)"),
        (r"#(N/A|DIV/0!|REF!|VALUE!|NAME\?|NUM!|NULL!)", "is a spreadsheet error", "correct it"),
    )
)

_THOUSANDS = r"^([+-]?[1-9][0-9]{0,2}(?:[,' \x{a0}\x{202f}\x{2019}][0-9]{3})+)(\.[0-9]*)?$"
_PERHAPS_DECIMALS = r"^[+-]?[1-9][0-9]{0,2},[0-9]{3}$"
_SPACE = "[ \u00a0\u202f]"
_CURRENCIES = "[$\u20ac\u00a3\u00a5\u20b9]"
_CURRENCY = (
    (rf"^([+-]?){_SPACE}?{_CURRENCIES}{_SPACE}?([+-]?[0-9.])", "${1}${2}"),
    (rf"([0-9]){_SPACE}?{_CURRENCIES}$", "${1}"),
)
_WORD = rf"{_SPACE}[a-zA-Z\u00b0\u00b5][a-zA-Z0-9/]*"
_UNIT = rf"^([^a-zA-Z%]*[0-9]){_SPACE}?(%|{_WORD})$"

BEFORE = rf"[+\u2212-]?(?:{_SPACE}?{_CURRENCIES}{_SPACE}?[+\u2212-]?)?"
AFTER = rf"(?:{_SPACE}?(?:%|{_CURRENCIES})|{_WORD})?"
"""What may stand before and behind the digits of a number: a sign, a currency, a unit."""


@dataclass
class Signs:
    """What stands beside the digits in a column of numbers, if it can be read in one way only.

    Attributes
    ----------
    no_decimal_commas : bool
        Whether 1,234 can only have a separator of thousands, as in files that commas delimit.
    plain, fractions : bool
        Whether some cells are plain numbers, or have decimals.
    units : set of str
        Signs behind numbers, such as %; they must be the same in all cells.
    currency, thousands, perhaps_decimals : bool
        Whether there are signs of currencies, separators of thousands, and such that might be
        decimal commas.
    """

    no_decimal_commas: bool
    plain: bool = False
    fractions: bool = False
    units: set[str] = field(default_factory=set)
    currency: bool = False
    thousands: bool = False
    perhaps_decimals: bool = False

    def read(self, cells: Any) -> Any:
        """Return a Polars series of stripped texts as numbers; None if some cells are none."""
        import polars

        numbers = cells.cast(polars.Float64, strict=False)
        if numbers.is_finite().sum() == cells.count():
            self.plain |= cells.count() > 0
            return numbers
        cells = cells.str.replace("^\u2212", "-")
        units = cells.str.extract(_UNIT, 2).str.strip_chars()
        self.units |= set(units.drop_nulls().unique()[:2])
        self.plain |= units.count() < cells.count()
        cells = cells.str.replace(_UNIT, "${1}")
        for pattern, bare in _CURRENCY:
            self.currency |= bool(cells.str.contains(pattern).any())
            cells = cells.str.replace(pattern, bare)
        grouped = cells.filter(cells.str.contains(_THOUSANDS))
        perhaps = grouped.str.contains(_PERHAPS_DECIMALS).sum()
        self.thousands |= len(grouped) > perhaps
        self.perhaps_decimals |= perhaps > 0
        groups = cells.str.extract(_THOUSANDS).str.replace_all("[^0-9+-]", "")
        rest = cells.str.extract(_THOUSANDS, 2).fill_null("")
        cells = (groups + rest).fill_null(cells)
        numbers = cells.cast(polars.Float64, strict=False)
        bad = numbers.is_finite().fill_null(False) != cells.is_not_null()
        return None if bad.any() or self.are_unclear else numbers

    @property
    def are_unclear(self) -> bool:
        """Whether the cells contradict each other, or can be read in two ways."""
        sure = self.no_decimal_commas or self.fractions or self.thousands or self.currency
        return (bool(self.units) and (self.plain or len(self.units) > 1)) or (
            self.perhaps_decimals and not sure
        )

    def __str__(self) -> str:
        separators = self.thousands or self.perhaps_decimals
        names = [f"in {each}" for each in self.units] + ["currency signs"] * self.currency
        return ", ".join(names + ["thousands separators"] * separators)


def is_number(text: str) -> bool:
    """Return whether `text` is a decimal number that fits float64."""
    return bool(_NUMBER.fullmatch(text)) and abs(float(text)) != float("inf")


def is_date(text: str) -> bool:
    """Return whether `text` looks like a date or time."""
    return bool(_DATES.fullmatch(text))


def collide_in_float64(integers: Iterable[str], known: dict[float, str]) -> bool:
    """Return whether two different integers are the same number in float64.

    They are also compared with those `known` before, by their float64, and added to these, until
    there are so many that the column is sure to hold many different ones.
    """
    for each in integers:
        if len(known) >= _MAX_COMPARED:
            return False
        if int(known.setdefault(float(each), each)) != int(each):
            return True
    return False


def explain_cell(text: str) -> tuple[str, str] | None:
    """Say what is wrong with a cell that looks like a number, and the remedy; None for words."""
    if _NUMBER.fullmatch(text):
        return "is beyond the largest number of float64", "correct it or use another unit"
    if len(text) > 100:
        return None
    for pattern, what, remedy in _LOOKS_LIKE:
        if pattern.fullmatch(text):
            return what, remedy
    return None
