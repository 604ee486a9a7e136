"""Dates and times in text columns: their pattern, and their parts as numbers."""

import re
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np

from xpnet.tables.cells import is_date

PARTS = ("year", "month", "weekday", "hour", "days")
"""The numbers that stand for a date or time. Monday is 1; days are since 1970; hours and days have
fractions."""

_DAYS = (
    "%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y", "%m-%d-%Y", "%d-%m-%Y",
    "%d.%m.%y", "%m/%d/%y", "%d/%m/%y", "%d %b %Y", "%d-%b-%Y", "%d-%b-%y", "%b %d, %Y", "%b %d %Y",
    "%b. %d, %Y", "%d %B %Y", "%B %d, %Y", "%B %d %Y", "%Y%m%d", "%G-W%V-%u",
)  # fmt: skip
_TIMES = ("", " %H:%M:%S", " %H:%M", " %I:%M:%S %p", " %I:%M %p")
PATTERNS = tuple(day + time for day, time in product(_DAYS, _TIMES))
"""Patterns of dates, as for `strptime`; if two fit every cell, the first one is taken."""

PAIR = "two numbers"
"""The pattern of cells such as 120/80 or 46.1, 3.5, which are no dates, but also have parts."""

PLACES = {part: at for at, part in enumerate(PARTS)} | {"first": 0, "second": 1}

TYPED_PATTERNS = ("%Y-%m-%d", "%Y-%m-%d %H:%M:%S")
"""Patterns of the texts that columns of dates in Parquet files and data frames become."""

_ZONE = r"(?:Z|(?:UTC|GMT)(?:[+-]\d{1,2}(?::?\d\d)?)?|[+-]\d\d:?\d\d)"

# How other ways of writing are brought to these: no zone, no fractions, a space before the time.
_REWRITTEN = (
    (r"^\[(\d\d)/(\w{3})/(\d{4}):(.*)\]$", "${1} ${2} ${3} ${4}"),  # of web servers
    (rf"(:\d\d(?:[.,]\d+)?(?: [AP]M)?) ?{_ZONE}$", "${1}"),
    (r"(:\d\d:\d\d)[.,]\d+$", "${1}"),
    (r"(\d)T(\d)", "${1} ${2}"),
    (r"^(\d{4})([-/])(\d{1,2})$", "${1}${2}${3}${2}01"),
    (r"^(\d{4})[- ]?(W\d\d)$", "${1}-${2}-1"),
    (r"^(Q[1-4])[- ]?((?:19|20)\d\d)$", "${2}${1}"),
    *((rf"^(\d{{4}})[- ]?Q{1 + i}$", f"${{1}}-{1 + 3 * i:02}-01") for i in range(4)),
    (r"^(\d{4})[- ]([A-Za-z]{3,})$", "1 ${2} ${1}"),
    (r"^(\d{4})[\u5e74\ub144] ?(\d+)[\u6708\uc6d4] ?(\d+)[\u65e5\uc77c]$", "${1}-${2}-${3}"),
    (r"^(\d{1,2})(?:er|\.)? (?:de )?(\pL+)\.? (?:de )?(\d{4})$", "${1} ${2} ${3}"),
    (r"^([A-Za-z]+)[ -](\d{4})$", "1 ${1} ${2}"),
    (r"^(\d{1,2}:\d\d.*)$", "1970-01-01 ${1}"),
)
_MONTHS = {
    "Jan": "januar januari janvier enero gennaio janeiro janv ene gen",
    "Feb": "februar februari f\u00e9vrier febrero febbraio fevereiro f\u00e9vr fevr fev",
    "Mar": "m\u00e4rz maart mars marzo mar\u00e7o mrt m\u00e4r",
    "Apr": "avril abril aprile avr abr",
    "May": "mai maj mei mayo maggio maio mag",
    "Jun": "juni juin junio giugno junho giu",
    "Jul": "juli juillet julio luglio julho juil lug",
    "Aug": "augusti augustus ao\u00fbt agosto ago",
    "Sep": "septembre septiembre settembre setembro sept set",
    "Oct": "oktober octobre octubre ottobre outubro okt ott out",
    "Nov": "novembre noviembre novembro",
    "Dec": "dezember december d\u00e9cembre diciembre dicembre dezembro d\u00e9c dez dic",
}
_MONTH_WORDS = {f" {word} ": f" {to} " for to, words in _MONTHS.items() for word in words.split()}
_PAIR = re.compile(
    r"(-?(?!0\d)\d+(?:\.\d+)?) ?(?:[/;~x\u00d7]|of |, |,(?=-?\d+\.)) ?(-?(?!0\d)\d+(?:\.\d+)?)"
)
_MIN_PAIRS = 20  # different ones; fewer are categories
_SAMPLE = 50
_MAX_WAYS = 8
_MOST = 0.9  # of the cells that must be dates, if the others are to be slips


def find_pattern(words: tuple[str, ...]) -> str | None:
    """Return the pattern of a column's dates, or several with | between; None if they are no dates.

    A few cells may be of none, for which `date_parts` returns NaN.
    """
    sample = words[:_SAMPLE]
    if len(words) >= _MIN_PAIRS and all(map(_PAIR.fullmatch, words)):
        return PAIR
    if not words or sum(map(is_date, sample)) < _MOST * len(sample):
        return None
    likely = [each for each in PATTERNS if _readable(sample, each)]
    shares = {each: _readable(words, each) for each in likely}
    found = list[str]()
    for each in sorted(likely, key=shares.__getitem__, reverse=True)[:_MAX_WAYS]:
        read = _readable(words, "|".join(found)) if found else 0.0
        if read < _MOST and _readable(words, "|".join([*found, each])) > read + 0.01:
            found.append(each)
    way = "|".join(found)
    return way if found and _readable(words, way) >= _MOST else None


def _readable(words: tuple[str, ...], pattern: str) -> float:
    return float(np.mean(~np.isnan(date_parts(words, pattern)[:, 0])))


@lru_cache(maxsize=16)
def date_parts(words: tuple[str, ...], pattern: str) -> np.ndarray:
    """Return the `PARTS` of dates, or a `PAIR`, float64 (words, parts); NaN for other texts."""
    import polars

    if pattern == PAIR:
        matches = map(_PAIR.fullmatch, words)
        pairs = [each.groups() if each else ("nan", "nan") for each in matches]
        return np.array(pairs, np.float64).reshape(-1, 2)
    texts = _rewritten(words)
    moments = polars.Series("", [None] * len(words), dtype=polars.Datetime("us"))
    for way in pattern.split("|"):
        has_time = "%H" in way or "%I" in way
        full, how = (texts, way) if has_time else (texts + " 00:00", f"{way} %H:%M")
        read = full.str.to_datetime(how, time_unit="us", strict=False, exact=True)
        moments = moments.fill_null(read)
    dates = moments.dt
    seconds = dates.epoch("us").cast(polars.Float64) / 1e6
    parts = [dates.year(), dates.month(), dates.weekday()]
    columns = [each.cast(polars.Float64).to_numpy() for each in parts]
    since = seconds.to_numpy()
    found = np.stack([*columns, since % 86400 / 3600, since / 86400], axis=1)
    found[~(found[:, 0] >= 1000)] = np.nan  # 1/2/12 is not a day of the year 12
    return found


@lru_cache(maxsize=2)  # the sample and all words of one column, for its many patterns
def _rewritten(words: tuple[str, ...]) -> Any:
    """Return texts as the patterns have them, as a Series."""
    import polars

    texts = polars.Series("", words, dtype=polars.String)
    for written, wanted in _REWRITTEN:
        texts = texts.str.replace(written, wanted)
    return texts.str.replace_many(_MONTH_WORDS, ascii_case_insensitive=True)
