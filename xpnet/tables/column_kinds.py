"""Decide the kind of each column of a table, and which columns are of no use."""

import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np

from xpnet.errors import InputError
from xpnet.tables.cells import fold_of, is_date
from xpnet.tables.columns import Category, Column, Dates, Number, Words, no_date, words_of
from xpnet.tables.dates import PAIR, PARTS, date_parts, find_pattern
from xpnet.tables.messages import format_number, option_for
from xpnet.tables.summary import (
    Summary,
    min_count,
    other_units,
    refuse_spoilt_numbers,
    texts_of,
    used_texts,
)
from xpnet.tables.table import Table

MAX_CATEGORIES = 200  # of a column, with an input each; rarer ones are pooled
MIN_SHUFFLED = 20  # rows from which on distinct integers in any order are taken for row numbers
MIN_COVERED = 0.2  # share of a column's cells that frequent texts must hold, if most are rare
MIN_INDICATED = 0.01  # share of missing cells from which on there is an input for them
MIN_DISTINCT = 0.95  # share of distinct cells of a column that is named like an identifier
MIN_WORD = 0.005  # share of the rows that a word must be in, and be missing from, to have an input
MIN_WORD_ROWS = 10
MIN_CODE = 100_000  # fees and years are shorter
MIN_NAMED_CODE = 1_000  # small numbers count, as "number" may
MIN_ROWS_PER_CODE = 10
_LISTED = re.compile(r"\w ?[;|,] ?\w")
_CODE = re.compile(r"[^\W\d_]+([-_./,][^\W\d_]+)*[-_./ ]?\d\S*")  # AB-1234, AB1234-XL
_IDENTIFIER = re.compile(
    r"(?i:unnamed(_|: )\d+|(.*[_ .-])?(id|uuid|guid|key|no|nr|num|number)|row[_.]?names?|rowid|obs"
    r"|index|__index_level_\d+__|#)|.*[a-z0-9](ID|Id|No|Nr)"
)
"""Names of columns that number or name the rows, if nearly all of their cells differ."""


@dataclass(frozen=True)
class Choice:
    """The columns to use, not yet measured; those left out, with the reason; and error messages."""

    columns: list[Column] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    obstacles: dict[str, str] = field(default_factory=dict)


def choose_columns(
    table: Table, found: Mapping[str, Summary], keep: Collection[str], *, impute: bool
) -> Choice:
    """Decide the kind of each column in `found`; those in `keep` are used in any case."""
    choice = Choice(left_out={name: f"holds {held:.60}" for name, held in table.unfit.items()})
    for name, cells in found.items():
        try:
            pattern = _pattern(table, name, cells.counts) if table.texts.get(name) else None
            why = "" if pattern or table.layout != "table" else _of_no_use(table, name, cells)
            words = () if pattern or name in keep else _words(table, name, cells.counts, why)
            if words:
                choice.columns.append(Words(name, words))
            elif why and name not in keep:
                choice.left_out[name] = why
            elif pattern:
                choice.columns.append(_dates(table, name, pattern, cells.counts))
            elif name in table.texts:
                choice.columns.append(_category(table, name, cells.counts))
            elif codes := _codes(table, name, cells):
                choice.columns.append(Category(name, codes))
            else:
                many = impute and cells.missing >= max(MIN_INDICATED * table.rows, 1)
                gap = table.gaps.get(name)  # perhaps a number after all, so it has an input
                many |= gap is not None or name in table.words
                choice.columns.append(Number(name, indicator=many, gap=gap))
        except InputError as error:
            remedy = f", or pass {option_for('--drop', name)}."
            choice.obstacles[name] = str(error).removesuffix(".") + remedy
    return choice


def _of_no_use(table: Table, name: str, cells: Summary) -> str:
    """Say why a column is of no use for new rows; "" if it may be of use."""
    if cells.missing == table.rows:
        return "empty"
    if name in table.texts:
        return _useless_text(table, name, cells.counts)
    if cells.low == cells.high and not cells.missing:
        return "constant"
    return _numbers_rows(table, name, cells)


def _useless_text(table: Table, name: str, counts: np.ndarray) -> str:
    words = table.texts[name]
    if words is None:
        return "identifier"
    distinct, count = int((counts > 0).sum()), int(counts.sum())
    if distinct == 1 and count == table.rows:
        return "constant"
    various = is_various(distinct, count)
    if not (various or distinct > MAX_CATEGORIES):
        return ""
    frequent = counts[counts >= max(min_count(table.rows), 2)].sum()
    if frequent >= MIN_COVERED * count and not (various and _IDENTIFIER.fullmatch(name)):
        return ""
    if all(map(is_date, words[:100])):
        return "dates written in no known way"
    others, usual = other_units(used_texts(table, name, counts), name)
    if others:
        return f"numbers of several units, such as {others[0]} and {usual}"
    spaces = sum(text.count(" ") for text in words[:1000]) / min(len(words), 1000)
    return "free text" if spaces >= 3 else "identifier"


def _numbers_rows(table: Table, name: str, cells: Summary) -> str:
    """Say whether integers are row numbers (shuffled, or with gaps), or identifiers; "" if not."""
    low, high, rows = cells.low, cells.high, table.rows
    called = _IDENTIFIER.fullmatch(name)
    may_differ = rows >= 3 and low % 1 == 0 and high % 1 == 0 and high - low >= rows - 1
    counted = low in (0.0, 1.0) and high == low + rows - 1
    with_gaps = low >= 0 and high < 1.5 * rows and rows >= MIN_SHUFFLED
    if not may_differ or not (called or counted or with_gaps) or cells.missing:
        return ""
    column = table.column(name)
    if not np.array_equal(column, np.floor(column)):
        return ""
    rising = bool((np.diff(column) > 0).all())
    distinct = rows if rising else len(np.unique(column))
    shuffled = distinct == rows >= MIN_SHUFFLED
    if (counted and (rising or shuffled)) or (with_gaps and rising):
        return "row numbers"
    return "identifier" if called and distinct >= MIN_DISTINCT * rows else ""


def _codes(table: Table, name: str, cells: Summary) -> tuple[str, ...]:
    """Return the distinct numbers of a column if they name things, such as suppliers; else ().

    They are few, not all of them round, and have equally many digits, or a name as supplier_no.
    """
    plain = table.layout == "table" and name not in {*table.signs, *table.gaps}
    alike = MIN_CODE <= cells.low < cells.high < 10 ** len(f"{cells.low:.0f}")
    named = _IDENTIFIER.fullmatch(name) and MIN_NAMED_CODE <= cells.low < cells.high
    if not plain or not (alike or named):
        return ()
    column = table.column(name)
    values = np.unique(column[~np.isnan(column)])
    few = len(values) <= min(MAX_CATEGORIES, table.rows / MIN_ROWS_PER_CODE)
    are_codes = few and not (values % 1).any() and (values % 10).any()
    return tuple(map(format_number, values.tolist())) if are_codes else ()


def _pattern(table: Table, name: str, counts: np.ndarray) -> str | None:
    words = texts_of(table, name)
    pattern = find_pattern(tuple(words[at] for at in np.flatnonzero(counts).tolist()))
    if not pattern:
        refuse_spoilt_numbers(table, name, counts)
    return pattern


def _words(table: Table, name: str, counts: np.ndarray, why: str) -> tuple[str, ...]:
    """Return frequent words of a column that has lists in its cells, or is of no use as categories.

    Words in nearly all cells are left out: they are of no use either.
    """
    texts, total = table.texts.get(name) or (), Counter[str]()
    various = why == "free text"  # words of names, which are identifiers, did harm
    codes = why == "identifier" and sum(map(bool, map(_CODE.fullmatch, texts))) > 0.9 * len(texts)
    lists = sum(count for text, count in zip(texts, counts, strict=False) if _LISTED.search(text))
    if not texts or not (various or codes or 10 * lists > 3 * counts.sum()):
        return ()
    wanted = str.isalpha if various else str.isalnum  # codes are noise in prose
    for text, count in zip(texts, counts.tolist(), strict=True):
        total.update(dict.fromkeys(filter(wanted, words_of(text)), count))
    if not (various or codes) and len(total) >= np.count_nonzero(counts):
        return ()
    share = 4 * MIN_WORD if codes else MIN_WORD
    least, most = max(MIN_WORD_ROWS, share * table.rows), (1 - share) * counts.sum()
    found = [word for word, count in total.most_common() if least <= count <= most]
    return tuple(sorted(found[:MAX_CATEGORIES])) if len(found) > 1 else ()


def _category(table: Table, name: str, counts: np.ndarray) -> Category:
    words, least = texts_of(table, name), min_count(table.rows)
    order = sorted(np.flatnonzero(counts).tolist(), key=lambda at: (-counts[at], words[at]))
    total, spelt = Counter[str](), dict[str, str]()
    fold = fold_of({words[at]: int(counts[at]) for at in order})
    for at in order:
        total[spelt.setdefault(fold(words[at]), words[at])] += int(counts[at])
    found = total.most_common()
    frequent = [word for word, count in found[:MAX_CATEGORIES] if count >= least]
    if len(found) - len(frequent) < 2 or not frequent:
        frequent = [word for word, _ in found[: max(MAX_CATEGORIES, len(frequent))]]
    also = {words[at] for at in order if spelt[fold(words[at])] in frequent} - {*frequent}
    pooled = len(found) > len(frequent)
    return Category(name, tuple(sorted(frequent)), pooled, also=tuple(sorted(also)))


def is_various(distinct: int, cells: int) -> bool:
    """Return whether so many texts differ that they name their rows, or are free text."""
    return (distinct > 10 and 2 * distinct > cells) or (distinct == cells and cells >= 3)


def _dates(table: Table, name: str, pattern: str, counts: np.ndarray) -> Dates:
    used = np.flatnonzero(counts)
    values = date_parts(texts_of(table, name), pattern)[used]
    if (bad := np.isnan(values[:, 0])).any():
        row = int(np.flatnonzero(table.column(name) == used[np.argmax(bad)])[0])
        raise no_date(table, row, name, pattern)
    if pattern == PAIR:
        return Dates(name, pattern, ("first", "second"), (0.0,) * 2, (1.0,) * 2)
    compared = np.concatenate([values[:, :-1], np.floor(values[:, -1:])], axis=1)
    varies = (compared != compared[:1]).any(axis=0)
    parts = tuple(part for part, each in zip(PARTS, varies, strict=True) if each) or ("days",)
    return Dates(name, pattern, parts, (0.0,) * len(parts), (1.0,) * len(parts))
