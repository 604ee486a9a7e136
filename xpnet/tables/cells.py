"""What the text of a cell means: a number, a missing value, or a number written unsuitably."""

import re
from typing import Any

import numpy as np

MISSING = ("", "?", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "null", "NULL")
"""The cells that mean "no value here", once stripped of spaces."""

GAPS = (
    "-", "--", ".", "none", "n.a.", "missing", "unknown", *map(str.lower, MISSING),
    "#div/0!", "#ref!", "#value!", "#name?", "#num!", "#null!",
)  # fmt: skip
"""Likewise in lower case, but only in columns of numbers: elsewhere they may be answers."""

MAX_EXACT = 2**53
"""Up to here float64 holds every integer; longer ones are codes, as are those like 007."""

_LONG_INTEGER = r"^[+-]?[0-9]{16,}$"
_LEADING_ZERO = r"^[ \t]*0[0-9]+[ \t]*([a-zA-Z]|$)"
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
            r"[^\w(]*(\d[\d.,]*|\d{1,3}([' \u00a0\u202f\u2019]\d{3})+([.,]\d*)?)"
            r"[ \u00a0\u202f]?[^\w)]?",
            "has signs or separators of its own",
            "write plain numbers, such as 1234.5",
        ),
        (_DATE, "is a date or time", "write numbers (year, month, ...)"),
    )
)

_SPACE = "[ \u00a0\u202f]"
_CURRENCIES = "[$\u20ac\u00a3\u00a5\u20b9]"
_CURRENCY = (
    (rf"^([+-]?){_SPACE}?{_CURRENCIES}{_SPACE}?([+-]?[0-9.])", "${1}${2}"),
    (rf"([0-9]){_SPACE}?{_CURRENCIES}$", "${1}"),
)
_NEGATIVE = r"^\(([^()+-]*[0-9][^()]*)\)$"
_WORD = r"[a-zA-Z\u00b0\u00b5][a-zA-Z0-9/]*"
_UNIT = rf"^([^a-zA-Z%]*[0-9]){_SPACE}?(%|{_WORD})$"
_POWERS = {"K": 1e3, "k": 1e3, "M": 1e6, "B": 1e9}
_THOUSANDS = r"^([+-]?[1-9][0-9]{0,2}(?:[,' \x{a0}\x{202f}\x{2019}][0-9]{3})+)(\.[0-9]*)?$"
_PERHAPS_DECIMALS = r"^[+-]?[1-9][0-9]{0,2},[0-9]{3}$"

BEFORE = rf"[+\u2212-]?(?:{_SPACE}?{_CURRENCIES}{_SPACE}?[+\u2212-]?)?"
AFTER = rf"(?:{_SPACE}?(?:%|{_CURRENCIES}|{_WORD}))?"
"""What may stand before and behind the digits of a number: a sign, a currency, a unit."""

PLAIN, CURRENCY, THOUSANDS = "", "currency signs", "thousands separators"


def as_text(cells: Any) -> Any:
    """Return a Polars series as strings without spaces around them, null where one is missing."""
    import polars

    cells = cells.cast(polars.String).str.strip_chars(" \t")
    return cells.set(cells.is_in(list(MISSING)), None)


def as_numbers(cells: Any, *, decimal_commas: bool) -> tuple[np.ndarray | None, set[str]]:
    """Return a Polars series as float64, NaN where a cell is missing; None if it is text.

    That is, if some cell is not a finite number, or all are whole and some are codes. Also the
    signs beside digits, `PLAIN` if some cells have none. 1,234 may have a decimal comma, or not.
    """
    import polars

    numbers, signs = cells.cast(polars.Float64, strict=False), {PLAIN}
    if cells.dtype == polars.String and not np.isfinite(numbers.to_numpy()).all():
        text = as_text(cells)
        text = text.set(text.str.to_lowercase().is_in(list(GAPS)), None)
        numbers, signs = _with_signs(text, decimal_commas)
        if (numbers.is_finite().fill_null(False) != text.is_not_null()).any():
            return None, signs
    found = numbers.to_numpy()
    whole = cells.dtype == polars.String and not (found > np.floor(found)).any()
    if whole and cells.str.contains(_LEADING_ZERO).any():
        return None, signs
    long = np.fmax.reduce(np.abs(found), initial=0.0) >= MAX_EXACT
    if long and cells.cast(polars.String).str.contains(_LONG_INTEGER).any():
        return None, signs
    return found, signs


def _with_signs(cells: Any, decimal_commas: bool) -> tuple[Any, set[str]]:
    """Read numbers with currencies, units and separators; null where there is none."""
    import polars

    numbers, signs = cells.cast(polars.Float64, strict=False), set[str]()
    if numbers.is_finite().sum() == cells.count():
        return numbers, {PLAIN} if cells.count() else signs
    cells = cells.str.replace("^\u2212", "-")
    if cells.str.contains(_NEGATIVE).any():
        signs |= {"parentheses around negative numbers"}
        cells = cells.str.replace(_NEGATIVE, "-${1}")
    units = cells.str.extract(_UNIT, 2)
    factors = units.replace_strict(_POWERS, default=None, return_dtype=polars.Float64)
    powers = 0 < units.count() == factors.count()
    told = "{} = {:,.0f}" if powers else "in {}"
    kinds = {*units.drop_nulls().unique()[:4]}
    kinds -= {f"{each}s" for each in kinds}  # 1 day, 2 days
    signs |= {told.format(each, _POWERS.get(each)) for each in kinds}
    signs |= {PLAIN} if powers or units.count() < cells.count() else set()
    cells = cells.str.replace(_UNIT, "${1}")
    for pattern, bare in _CURRENCY:
        signs |= {CURRENCY} if cells.str.contains(pattern).any() else set()
        cells = cells.str.replace(pattern, bare)
    grouped = cells.filter(cells.str.contains(_THOUSANDS))
    unsure = decimal_commas and CURRENCY not in signs and not (cells.str.contains("[.]").any())
    if unsure and grouped.str.contains(_PERHAPS_DECIMALS).all():
        grouped = grouped[:0]
    if len(grouped):
        signs.add(THOUSANDS)
        groups = cells.str.extract(_THOUSANDS).str.replace_all("[^0-9+-]", "")
        cells = (groups + cells.str.extract(_THOUSANDS, 2).fill_null("")).fill_null(cells)
    numbers = cells.cast(polars.Float64, strict=False)
    return numbers * factors.fill_null(1.0) if powers else numbers, signs


def contradict(signs: set[str]) -> bool:
    """Return whether a column's numbers are of several units, or only some have one."""
    units = [each for each in signs if each.startswith("in ")]
    return len(units) > 1 or (bool(units) and PLAIN in signs)


def is_number(text: str) -> bool:
    """Return whether `text` is a decimal number that fits float64."""
    return bool(_NUMBER.fullmatch(text)) and abs(float(text)) != float("inf")


def is_date(text: str) -> bool:
    """Return whether `text` looks like a date or time."""
    return bool(_DATES.fullmatch(text))


def explain_cell(text: str) -> tuple[str, str] | None:
    """Say what is wrong with a cell that looks like a number, and the remedy; None for words."""
    if _NUMBER.fullmatch(text):
        return "is beyond the largest number of float64", "correct it or use another unit"
    for pattern, what, remedy in _LOOKS_LIKE if len(text) <= 100 else ():
        if pattern.fullmatch(text):
            return what, remedy
    return None
