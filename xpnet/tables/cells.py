"""What the text of a cell means: a number, a missing value, or a number in another notation."""

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from xpnet.tables.messages import format_number
from xpnet.tables.units import POWERS, UNITS, factor_to, factors_of, is_same, unit_of

MISSING = (
    "", "?", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "null", "NULL",
    "00.00.0000", "0000-00-00", "0000-00-00 00:00:00",  # of SAP and MySQL
)  # fmt: skip
"""Cells that mean "missing", after spaces around them are removed."""

GAPS = (
    "-", "--", "\u2013", "\u2014", ".", "..", ":", ":c", ": c", ":u", ": u",
    "none", "n.a.", "n.d.", "k.a.", "k. a.", "missing", "unknown", *map(str.lower, MISSING),
    "#div/0!", "#ref!", "#value!", "#name?", "#num!", "#null!",
)  # fmt: skip
"""Also missing, compared in lower case, but only in numeric columns; in a text column such a word
may be a category."""

PAIRS = tuple(
    ({*yes.split()}, {*no.split()})
    for yes, no in (
        ("yes y", "no n"), ("true t", "false f"), ("1", "0"), ("ja j", "nein n"),
        ("oui o", "non n"), ("si s\u00ed", "no n"),
    )
)  # fmt: skip
"""Words for yes and for no, with their letters."""
OFTEN = 0.05  # share of the cells from which on a letter in another case is no slip: M and m

MAX_EXACT = 2**53
"""Up to here float64 holds every integer; longer ones are codes, like 007."""

_LONG_INTEGER = r"^[+-]?[0-9]{16,}$"
_LEADING_ZERO = r"^[ \t]*0[0-9]+[ \t]*(\pL|$)"
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_DAY_NUMBER = r"(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])"  # 20211231
_MONTHS = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
_DATE = (
    r"(\d{4}([-/.])\d{1,2}\2\d{1,2}|\d{1,2}([-/.])\d{1,2}\3\d{2}(\d\d)?)([ T].*)?"
    r"|\d{4}[-/]\d{1,2}|\d{1,2}:\d{2}(:\d{2}.*| [AP]M)?"
    rf"|\d{{1,2}}[ -]({_MONTHS})[a-z]*[ -]\d{{2,4}}|({_MONTHS})[a-z]*\.? \d{{1,2}},? \d{{4}}"
    r"|\d{4}[\u5e74\ub144] ?\d{1,2}[\u6708\uc6d4] ?\d{1,2}[\u65e5\uc77c]"
    r"|\d{1,2}(?:er|\.)? (?:de )?[^\d\s.,:/-]{3,10}\.? (?:de )?(?:19|20)\d\d"  # in any language
    rf"|({_MONTHS})[a-z]*[ -]\d{{4}}|\d{{4}}[ -]({_MONTHS})[a-z]*|\d{{4}}[ -]?W\d\d"
    rf"|(?:19|20)\d\d[ -]?Q[1-4]|Q[1-4][ -]?(?:19|20)\d\d|\[\d\d/\w{{3}}/\d{{4}}:.*|{_DAY_NUMBER}"
)
_DATES = re.compile(_DATE, re.ASCII | re.IGNORECASE)

# What a cell that is not a number looks like, with the remedy; the first match names it.
_LOOKS_LIKE = (
    (r"[+-]?(inf|infinity)", "is infinite", "write a finite number or leave the cell empty"),
    (
        r"[+-]?(\d[\d.]*)?,\d+(e[+-]?\d+)?",
        "has a decimal comma, or separators of thousands",
        "write a decimal point, or pass --decimal ','",
    ),
    (_DATE, "is a date or time", "write numbers (year, month, or days since some day)"),
    (
        r"[^\w(]*(\d+([.,]\d*)?|\d{1,3}([.,' \u00a0\u202f\u2019]\d{3})+([.,]\d*)?)"
        r"[ \u00a0\u202f]?[^\w)]?",
        "has signs or separators of its own",
        "write plain numbers, such as 1234.5",
    ),
)

_WIDE = {chr(0xFEE0 + ord(sign)): sign for sign in "0123456789.,%+-/~"} | {"\uffe5": "\u00a5"}
_SPACE = "[ \u00a0\u202f]"
_CURRENCIES = r"(?:[A-Z]{0,2}\$|[\u20ac\u00a3\u00a5\u20b9]|EUR|USD|GBP|CHF)"
_LETTER = r"(?u:[^\W\d_]|[\u00b0\u2103\u2109\u3300-\u33ff])"  # in any script; or of a unit
_WORD = rf"(?:/ ?)?{_LETTER}(?:{_LETTER}|[0-9/\u00b2\u00b3])*"
_UNIT = rf"^((?u:[\W\d_]*)[0-9]){_SPACE}?((?:%|{_WORD}|/ ?[0-9]+)(?:[ -][a-z]+)?)\.?$"  # 78/100
_PREFIX = r"^(\p{Lo}+) ?[0-9][0-9.,]*[^0-9]+$"  # in a script without capitals; a unit follows
# Separators between groups of thousands: 1,234 and 12'345.6, not 1234.
_THOUSANDS = (  # in India also 12,34,567
    r"^([+-]?[1-9](?:[0-9]{0,2}(?:[,' \x{a0}\x{202f}\x{2019}][0-9]{3})+"
    r"|[0-9]?(?:,[0-9]{2})+,[0-9]{3}))(\.[0-9]*)?$"
)
# Perhaps decimals, perhaps thousands: 1,234, not 1,23; 1.234, not 1.23; 12.345, not 1.234.
_PERHAPS_DECIMALS = r"^[+-]?[1-9][0-9]{0,2},[0-9]{3}$"
_PERHAPS_THOUSANDS = r"^[+-]?[1-9][0-9]{0,2}\.[0-9]{3}$"
_TENS_OF_THOUSANDS = r"^[+-]?[1-9][0-9]{1,2}\.[0-9]{3}$"
# The point can only be a decimal one: 1.5, 0.123, 1,234.567, not 1.234.
_POINTS = (
    r"^[+-]?(?:[0-9]*\.(?:[0-9]{1,2}|[0-9]{4,})|(?:0|[0-9]{4,}|[0-9]+(?:,[0-9]{3})+)\.[0-9]+)$"
)
# The comma can only be a decimal one: 1,5, 1.234,56, not 1,234.
_COMMAS = r"^([+-]?(?:[0-9]*|[0-9]{1,3}(?:\.[0-9]{3})+)),([0-9]{1,2}|[0-9]{4,})$"
# Points between groups of thousands: 1.234.567, not 1.234.
_POINT_GROUPS = r"^[+-]?[0-9]{1,3}(?:\.[0-9]{3}){2,}$"
# A decimal comma, and points between thousands, if any: 1.234,5, not 1.23,5.
_EUROPEAN = r"^[+-]?(?:[0-9]*|[0-9]{1,3}(?:\.[0-9]{3})+)(?:,[0-9]+)?$"

# Marks of a number that is not exact, has a note, or is negative.
_MARKS = (
    ("~", r"(?i)^(?:[~\u2248]|ca\.?|circa|about|approx\.?|around) ?([+-]?[0-9])", "${1}"),
    ("\u00b1", r"([0-9]) ?(?:\u00b1|\+/-) ?[0-9.]+", "${1}"),
    ("notes", r"([0-9]) ?(?:[*`#\u2020\u2021]+|\((?:[^()0-9]*|[^()]*\pL[^()]*)\))$", "${1}"),
    ("notes", r"^[*`]+([^*`]+)", "${1}"),
    ("open ends", r"([0-9]) ?\+((?: [a-z]+)?)$", "${1}${2}"),
    ("parentheses around negative numbers", r"^\(([^()+-]*[0-9][^()]*)\)$", "-${1}"),
    ("currency signs", r"([0-9][.,])[\u2013-]+$", "${1}00"),  # 20.-
    ("minus signs behind", r"^([0-9][0-9.,']*)-$", "-${1}"),
)
_SELDOM = (  # at most half of the cells have them
    ("notes", r"([0-9])(?: ?\(| )[0-9]\)$", "${1}"),
    ("notes", r"^([0-9]+) [-\u2013=] \pL[^0-9]*$", "${1}"),  # 10 - extremely likely
    ("open ends", r"^[<>\u2264\u2265]=? ?([+-]?[0-9.])", "${1}"),
)
# Numbers of several parts, such as 2h 5m or 4 1/2; and the weight of each part.
_PART = r"([0-9]+(?:\.[0-9]+)?) ?([a-zA-Z]+)[., ]*"
_FRACTION = r"^([0-9]*)[ -]?(?:\b([1-9])[/\u2044]([1-9][0-9]?)\b|([\u00bc-\u00be\u2150-\u215e]))"
_SEVERAL = rf"^(?:{_PART}){{2,}}$|^[0-9]*(?:[ -][1-9][/\u2044][1-9]|[\u00bc-\u00be\u2150-\u215e])"
_RANGES, _SHORT, _LONG = "middles of ranges", "m:ss as hours", "h:mm:ss as hours"
_AFTER = "after "  # a prefix
_DURATIONS = re.compile(r"(?i)duration|m:ss|\bmin|pace|length")  # else 8:15 is a clock's
_IN_PARTS = (
    (_RANGES, r"^([0-9]+(?:\.[0-9]+)?) ?[\u2013\u2014-] ?([0-9]+(?:\.[0-9]+)?)$", (0.5, 0.5)),
    (_LONG, r"^([0-9]+):([0-5][0-9]):([0-5][0-9])$", (1.0, 1 / 60, 1 / 3600)),
    (_SHORT, r"^([0-9]+):([0-5][0-9])$", (1 / 60, 1 / 3600)),
    ("feet and inches as inches", r"^([0-9]+)' ?([0-9.]+)[\"\u2033\u201d]?$", (12.0, 1.0)),
)

BEFORE = rf"(?:[<>~]=? ?)?[+\u2212-]?(?:{_SPACE}?{_CURRENCIES}{_SPACE}?[+\u2212-]?)?"
AFTER = rf"(?:{_SPACE}?(?:%|{_CURRENCIES}|{_WORD}\.?|-))?"
"""What may stand before and after the digits of a number: a sign, a currency, a unit."""

PLAIN, CURRENCY, THOUSANDS = "", "currency signs", "thousands separators"
_CURRENCY = (
    (CURRENCY, rf"^([+-]?){_SPACE}?{_CURRENCIES}{_SPACE}?([+-]?[0-9.])", "${1}${2}"),
    (CURRENCY, rf"([0-9]){_SPACE}?{_CURRENCIES}$", "${1}"),
)
POINTS, COMMAS, MIXED = "points between thousands", "decimal commas", "decimal points"
MAX_APART = 10.0  # times the median of cells with a unit, or of those without
MIN_GROUPED = 3  # cells like 1.234 from which on they may be thousands
MAX_WORDS = 3  # words that mean "missing" in a column of numbers, each in two cells or more
MAX_CODES = 9  # distinct integers that may be codes, like words: 4, 6, 8 or rotary


def as_text(cells: Any) -> Any:
    """Return a Polars series as strings without spaces around them, null for missing cells."""
    import polars

    cells = cells.cast(polars.String).str.strip_chars(" \t")
    return cells.set(cells.is_in(list(MISSING)), None)


class Notation(NamedTuple):
    """How the numbers of a column were written in training: the signs, and words for nothing."""

    signs: frozenset[str] = frozenset()
    gaps: tuple[str, ...] = ()

    @property
    def is_european(self) -> bool | None:
        """Whether 1.234 is 1234; None if the signs do not say so."""
        if POINTS in self.signs or (COMMAS in self.signs and MIXED not in self.signs):
            return True
        return False if self.signs & {THOUSANDS, MIXED} else None


Notations: TypeAlias = Mapping[str, Notation]


class Writing(NamedTuple):
    """How the numbers of a column may be written, by its file and as `known` from training.

    Without a `delimiter` the file has types, and its texts are numbers only if they have fractions
    or signs. If no `decimal` sign is certain, 1,234 may have one; and with semicolons, 1.234 may be
    1234.
    """

    name: str
    decimal: str = ""
    delimiter: str = ","
    known: Notation | None = None

    @property
    def expected(self) -> frozenset[str]:
        """The signs beside numbers in training."""
        return self.known.signs if self.known else frozenset()

    @property
    def may_group(self) -> bool:
        """Whether 1.234 may be 1234."""
        return not self.decimal and self.delimiter == ";"


def as_numbers(cells: Any, how: Writing) -> tuple[np.ndarray | None, set[str], set[str]]:
    """Return a Polars series as float64, with NaN for missing cells, or None if it is text.

    It is text if some cell is not a finite number, or all are integers and some are codes; but with
    a known notation, only the former. Also return the signs beside digits, with `PLAIN` if some
    cells have none, and the words that mean "missing".
    """
    import polars

    numbers, signs, words = cells.cast(polars.Float64, strict=False), {PLAIN}, set[str]()
    is_text = cells.dtype == polars.String
    european = how.known and how.known.is_european
    doubtful = how.decimal != "," if european else how.may_group
    doubtful = doubtful and is_text and cells.str.contains(r"\.[0-9]{3}[ \t]*$").any()
    if is_text and (doubtful or not np.isfinite(numbers.to_numpy()).all()):
        numbers, signs, strays = _readings(as_text(cells), how)
        words = {*strays.unique().to_list()}
        if words and (how.known or not _for_nothing(strays, numbers)):
            return None, signs, set()
        numbers = numbers.set(~numbers.is_finite(), None)
    found, typed = numbers.to_numpy(), not how.delimiter
    are_integers = is_text and not (found > np.floor(found)).any()
    if how.known:
        return found, signs, words
    if are_integers and ((typed and signs == {PLAIN}) or cells.str.contains(_LEADING_ZERO).any()):
        return None, signs, words
    high = np.fmax.reduce(np.abs(found), initial=0.0)
    days = are_integers and 19e6 < np.fmin.reduce(found, initial=np.inf) <= high < 21e6
    if days and not typed and cells.str.contains(f"^{_DAY_NUMBER}$").sum() == cells.count():
        return None, signs, words  # which is text, as other dates are
    if high >= MAX_EXACT and cells.cast(polars.String).str.contains(_LONG_INTEGER).any():
        return None, signs, words
    return found, signs, words


def _for_nothing(strays: Any, numbers: Any) -> bool:
    """Return whether the cells that are no numbers are a few words, such as POA among prices."""
    single = strays.filter(~strays.str.contains(r"\pL \pL"))  # words, which may be slips
    often = single.value_counts()["count"].min() or MAX_WORDS
    many = 3 if numbers.n_unique() > MAX_CODES else 1
    few = strays.n_unique() <= MAX_WORDS and often > 1 and len(strays) <= many * numbers.count()
    return bool(few and not _are_codes(numbers) and not strays.str.contains("[0-9]").any())


def _readings(text: Any, how: Writing) -> tuple[Any, set[str], Any]:
    """Read texts as numbers, null where they are none; also the signs, and the texts left over."""
    gaps = how.known.gaps if how.known else ()
    text = text.str.replace_many(_WIDE)
    text = text.set(text.str.to_lowercase().is_in([*GAPS, *map(str.lower, gaps)]), None)
    numbers, signs = _with_signs(text, how)
    strays = text.filter(~numbers.is_finite().fill_null(False) & text.is_not_null())
    return numbers, signs, strays


def strays_among(texts: Sequence[str], name: str, known: Notation | None) -> set[str]:
    """Return which texts keep a column from being numbers, however these may be written."""
    import polars

    how = Writing(name, known=known)
    _, _, strays = _readings(polars.Series(texts, dtype=polars.String), how)
    return {*strays} or {each for each in texts if not is_number(each)}


def are_numbers(texts: Sequence[str], name: str) -> bool:
    """Return whether texts are numbers of one unit, if any, however these may be written."""
    import polars

    numbers, signs, _ = as_numbers(polars.Series(texts, dtype=polars.String), Writing(name))
    return numbers is not None and not contradict(signs)


def unit_beside(text: str) -> str:
    """Return the unit behind a number, or ""."""
    found = re.search(_UNIT, text)
    return found[2] if found else ""


def _with_signs(cells: Any, how: Writing) -> tuple[Any, set[str]]:
    """Read numbers with currencies, units and separators; null for other cells. Also the signs."""
    import polars

    if cells.cast(polars.Float64, strict=False).is_finite().sum() == cells.count():
        plain, signs = _with_points(cells, how, money=False)
        return plain.cast(polars.Float64), signs or {PLAIN} if cells.count() else signs
    cells, signs = _without_marks(cells.str.replace("^\u2212", "-"), _MARKS)
    cells, few = _without_marks(cells, _SELDOM, 1.0 if how.known else 0.5)
    signs |= few
    if cells.str.contains(_SEVERAL).any():
        cells = cells.replace({each: _in_one_part(each) for each in cells.unique().drop_nulls()})
    with_units = cells
    cells, factors, told = _without_units(cells, how)
    unitless = cells == with_units
    cells, currency = _without_marks(cells, _CURRENCY)
    plain, separators = _with_points(cells, how, money=bool(currency))
    numbers = plain.cast(polars.Float64, strict=False)
    told -= {PLAIN} if _are_alike(numbers * factors, unitless, told, how.name) else set()
    numbers, parts = _with_parts(plain, numbers, told, how)
    if unit_of(told) and "k = 1,000" in told:  # 5k is not 5,000 beside 10 km
        numbers = numbers.set((factors > 1) & (numbers * factors > 10 * numbers.max()), None)
    return numbers * factors, signs | currency | separators | told | parts


def _without_marks(
    cells: Any, marks: Sequence[tuple[str, str, str]], most: float = 1.0
) -> tuple[Any, set[str]]:
    """Return cells without the marks that a share of at most `most` has, and which they were."""
    signs = set[str]()
    for sign, pattern, bare in marks:
        found = cells.str.contains(pattern)
        if 0 < found.sum() <= most * cells.count():
            signs, cells = signs | {sign}, cells.str.replace(pattern, bare)
    return cells, signs


def _with_parts(plain: Any, numbers: Any, told: set[str], how: Writing) -> tuple[Any, set[str]]:
    """Add up numbers of several parts, such as ranges and durations; also return their signs."""
    import polars

    signs = set[str]()
    for sign, pattern, weights in _IN_PARTS:
        parts = plain.str.extract_groups(pattern).struct.unnest().cast(polars.Float64)
        low, high, *_ = parts.iter_columns()
        likely = ((high > low) & (high - low <= low.clip(10))).all() and low.count() < plain.count()
        clock = sign == _SHORT and not _DURATIONS.search(how.name) and (low.max() or 0) < 24
        fits = likely if sign == _RANGES else not (unit_of(told) or clock)  # AM and PM are units
        if low.count() and (fits or sign in how.expected):
            sums = (part * weight for part, weight in zip(parts, weights, strict=True))
            signs, numbers = signs | {sign}, numbers.fill_null(sum(sums, 0.0 * low))
    return numbers, signs


def _are_alike(values: Any, unitless: Any, told: set[str], name: str) -> bool:
    """Return whether cells without a unit may have the others': 5 and 6 years, not 5 or 5 %."""
    sizes = [abs(values.filter(part).median() or 0.0) for part in (unitless, ~unitless)]
    often = (~unitless).sum() > 1 and not _are_codes(values)
    shares = any(re.match("in (%|/ ?[0-9])", each) for each in told) and "%" not in name
    return bool(often and not shares and max(sizes) <= MAX_APART * min(sizes))


def _are_codes(numbers: Any) -> bool:
    return bool(numbers.n_unique() <= MAX_CODES and (numbers.floor() == numbers).all())


def _in_one_part(text: str) -> str:
    """Write 2h 5m as 2.083333333 h, and 4 1/2 as 4.500000000."""
    if re.fullmatch(f"(?:{_PART}){{2,}}", text):
        parts = re.findall(_PART, text)
        factors = factors_of({unit for _, unit in parts})
        total = sum(float(number) * factors.get(unit, 0.0) for number, unit in parts)
        return f"{total:.9f} {next(iter(factors))}" if factors else text
    if found := re.match(_FRACTION, text):
        whole, above, below, sign = found.groups()
        part = unicodedata.numeric(sign) if sign else int(above) / int(below)
        return f"{int(whole or 0) + part:.9f}{text[found.end() :]}"
    return text


def _without_units(cells: Any, how: Writing) -> tuple[Any, Any, set[str]]:
    """Return cells without units, the factors to multiply them by, and the signs.

    If the unit is known, factors bring all others to it; they are null where that cannot be.
    """
    import polars

    prefix, expected = _prefix_of(cells, how), how.expected
    cells = cells.str.strip_prefix(prefix).str.strip_chars_start(" ") if prefix else cells
    plain = cells.cast(polars.Float64, strict=False).is_finite()  # 1e5 has no unit
    units = cells.set(plain, None).str.extract(_UNIT, 2)
    bare = cells.str.replace(_UNIT, "${1}").zip_with(units.is_not_null(), cells)
    kinds = [*units.drop_nulls().unique(maintain_order=True)]
    if unit := unit_of(expected):
        to_unit = {each: factor_to(each, unit, expected) for each in kinds}
        factors = units.replace_strict(to_unit, default=1.0, return_dtype=polars.Float64)
        return bare, factors, {f"in {unit}"} & expected
    kinds = kinds[:8]
    named = [each for each in kinds if each != "k"]  # 45k beside 45,000 miles
    tables = [POWERS] if kinds and POWERS.keys() >= {*kinds} else []
    tables += [{"k": 1e3}] if len(named) == 1 < len(kinds) else []
    several = not all(is_same(each, kinds[0]) for each in kinds)  # unlike 1 day, 2 days
    tables += [factors_of({*kinds})] if several else []
    factors = tables[0] if tables else {}
    powers = [each for each in kinds if factors.get(each) == POWERS.get(each, 0.0)]
    base = next((unit for unit, factor in factors.items() if factor == 1.0), "")
    if base and len({factors[each] for each in kinds}) == 1:  # one unit in several spellings
        base, factors = min(kinds), dict.fromkeys(kinds, 1.0)
    signs = {f"{each} = {POWERS[each]:,.0f}" for each in powers}
    signs |= {f"{each} as {base}" for each in kinds if base not in ("", each)}
    signs |= {_AFTER + prefix} if prefix else set()
    named = [base] if base else [each for each in named if each not in powers]
    signs |= {f"in {each}" for each in named if each == next(e for e in named if is_same(e, each))}
    signs |= {PLAIN} if cells.str.contains("[0-9]").sum() > units.count() or not named else set()
    few = 1 < units.count() < cells.count() / 2 and not factors
    letters = all(len(e) == 1 and e.isalpha() and not any(e in t for t in UNITS) for e in kinds)
    digits = bare.str.replace_all("[^0-9.]", "").cast(polars.Float64, strict=False)
    notes = few and not _are_codes(digits.drop_nulls())
    if letters and (notes or "notes" in expected):
        signs = {"notes"}
    multiplied = units.replace_strict(factors, default=1.0, return_dtype=polars.Float64)
    unexpected = {each for each in signs - expected if each and " = " not in each}
    if how.known and unexpected:  # so that these cells are the ones refused
        multiplied, signs = multiplied.set(units.is_not_null(), None), set()
    return bare, multiplied, signs


def _prefix_of(cells: Any, how: Writing) -> str:
    """Return the word before the number and unit of most cells, if it is one, or ""."""
    if how.known:
        return next((e.removeprefix(_AFTER) for e in how.expected if e.startswith(_AFTER)), "")
    words = cells.str.extract(_PREFIX).drop_nulls()
    return words[0] if words.n_unique() == 1 and 2 * len(words) > cells.count() else ""


def _with_points(cells: Any, how: Writing, *, money: bool) -> tuple[Any, set[str]]:
    """Write decimal points and no other separators, where a column is not ambiguous."""

    def are(pattern: str) -> Any:
        return cells.str.contains(pattern).fill_null(False)

    points, decimals, groups = (are(each).any() for each in (_POINTS, _COMMAS, _POINT_GROUPS))
    either = are(_PERHAPS_DECIMALS).any(), are(_PERHAPS_THOUSANDS).any()
    in_euros = money and are(_TENS_OF_THOUSANDS).any()  # unlike a litre's price
    likely = in_euros or (how.may_group and _go_on_from_999(cells))
    european = not points and (decimals or groups or (likely and not either[0]))
    if how.known and how.known.is_european is not None:
        european = how.known.is_european
    if european := bool(european and how.decimal != ","):
        bare = cells.str.replace_all(".", "", literal=True).str.replace(",", ".", literal=True)
        plain = bare.zip_with(are(_EUROPEAN), cells)
    else:
        plain = cells.str.replace(_COMMAS, "${1}.${2}")
        alone = how.decimal != "." and not money and not cells.str.contains("[.]").any()
        alone &= THOUSANDS not in how.expected
        if points or not (
            all(either) or (alone and are(_THOUSANDS).sum() == are(_PERHAPS_DECIMALS).sum())
        ):
            whole = plain.str.extract(_THOUSANDS).str.replace_all("[^0-9+-]", "")
            plain = (whole + plain.str.extract(_THOUSANDS, 2).fill_null("")).fill_null(plain)
    shorter = plain.str.len_chars() < cells.str.len_chars()
    commas = (~shorter & (plain != cells)).any()
    perhaps = how.may_group and either[1] and not european
    signs = {POINTS if european else THOUSANDS: shorter.any(), COMMAS: commas,
             MIXED: perhaps or (commas and points)}  # fmt: skip
    return plain, {sign for sign, found in signs.items() if found}


def _go_on_from_999(cells: Any) -> bool:
    """Return whether numbers are below 1000, or like 1.234, and these are larger as 1234."""
    import polars

    dotted = cells.str.contains(r"\.").fill_null(False)
    grouped = cells.str.contains(_PERHAPS_THOUSANDS).fill_null(False)
    if grouped.sum() < MIN_GROUPED or (dotted != grouped).any():
        return False
    numbers = cells.cast(polars.Float64, strict=False).abs()
    below, above = numbers.filter(~dotted).drop_nulls(), numbers.filter(dotted)
    return bool(len(below) and below.max() < 1000 and below.median() > above.median())


def contradict(signs: set[str], known: Notation | None = None) -> bool:
    """Return whether a column's numbers have several units, or only some have one."""
    given = known and unit_of(known.signs)
    units = [each[3:] for each in signs if each.startswith("in ") and not given]
    return any(PLAIN in signs or not is_same(each, units[0]) for each in units)


def is_number(text: str) -> bool:
    """Return whether `text` is a decimal number that fits float64."""
    return bool(_NUMBER.fullmatch(text)) and abs(float(text)) != float("inf")


def fold_of(counts: Mapping[str, int]) -> Callable[[str], str]:
    """Return what folds the case of texts, but not of a letter that is often in either case."""
    often = {e for e, n in counts.items() if len(e) == 1 and n >= OFTEN * sum(counts.values())}
    apart = {each.casefold() for each in often if each.swapcase() in often - {each}}
    return lambda text: text if text.casefold() in apart else text.casefold()


def meaning_of(
    classes: Iterable[str | float], fold: Callable[[str], str] = str.casefold
) -> Callable[[str], str]:
    """Return a function that gives classes one spelling: of letters, or of words for yes and no.

    These are words and letters of one pair, or words of several pairs that are whole: T, O and N
    are three classes. Of two classes, one word for each will do.
    """
    words = {format_number(each).casefold() for each in classes}
    used = [pair for pair in PAIRS if all(words & side for side in pair)]
    whole = words <= set[str]().union(*(yes | no for yes, no in used))
    whole |= len(words) == 2 and all(any(words & pair[side] for pair in PAIRS) for side in (0, 1))
    one = any(words <= yes | no for yes, no in used)
    if not one and (not whole or any(map(_is_letter, words))):
        return fold
    spelt = {
        each: spelling
        for pair in PAIRS
        for spelling, side in zip(("yes", "no"), pair, strict=True)
        for each in side
        if pair in used or not _is_letter(each)
    }
    return lambda text: spelt.get(text.casefold(), text)


def _is_letter(text: str) -> bool:
    return len(text) == 1 and text.isalpha()


def is_date(text: str) -> bool:
    """Return whether `text` looks like a date or time."""
    return bool(_DATES.fullmatch(text))


def explain_cell(text: str, known: Notation | None = None) -> tuple[str, str] | None:
    """Say what is wrong with a cell that looks like a number, and the remedy; None for others."""
    signs = known.signs if known else frozenset[str]()
    if _LONG in signs and re.fullmatch(r"\d+:[0-5]\d", text):
        return "may be h:mm or m:ss", f"write {text}:00 or 0:{text:0>5}"
    found, wanted = re.search(_UNIT, text), unit_of(signs)
    if found and known and (not wanted or factor_to(found[2], wanted, ()) is None):
        before = f"the column was in {wanted}" if wanted else "the column had no unit"
        return f"is in {found[2]}, but {before} in training", "convert it, and leave the unit out"
    if _NUMBER.fullmatch(text):
        return "is beyond the largest number of float64", "correct it or use another unit"
    for pattern, what, remedy in _LOOKS_LIKE:
        if len(text) <= 100 and re.fullmatch(pattern, text, re.IGNORECASE):
            return what, remedy
    return None
