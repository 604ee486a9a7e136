"""What the columns of a table hold, found in one pass over its rows; and errors about cells."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from xpnet.errors import InputError
from xpnet.tables.assemble import MAX_TEXTS
from xpnet.tables.cells import (
    AFTER,
    BEFORE,
    GAPS,
    MAX_CODES,
    Notation,
    are_numbers,
    explain_cell,
    is_date,
    is_number,
    strays_among,
    unit_beside,
)
from xpnet.tables.messages import quoted, up_to_ten
from xpnet.tables.npy import pieces
from xpnet.tables.table import Table

_OPEN_RANGE = re.compile(r"[<>]=? ?\d+(\.\d+)?|\d+(\.\d+)?( ?\+|-\d+)")
_WITH_SIGNS = re.compile(rf"{BEFORE}(\d*[.,]?\d+|\d{{1,3}}([.,' ]\d{{3}})+([.,]\d+)?){AFTER}")
_DIGIT = re.compile("[0-9]")
_FRACTION = re.compile("[0-9][.,][0-9]")
_MIN_COUNT = 5  # cells that hold a text often enough, or 1 % of the rows if that is less
_MAX_STRAYS = 3  # different words, or 5 % of all, that may stand among numbers by mistake


@dataclass
class Summary:
    """What one pass over a column shows: missing cells, extremes, how often each text occurs."""

    missing: int = 0
    first_missing: int = 0
    low: float = np.inf
    high: float = -np.inf
    counts: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))


def summarize(
    table: Table, names: Sequence[str], rows: np.ndarray | None = None
) -> dict[str, Summary]:
    """Return what one pass over the rows, by default all, shows of some columns."""
    found = {name: Summary() for name in names}
    for name in table.texts.keys() & found.keys():
        found[name].counts = np.zeros(len(table.texts[name] or ()), np.int64)
    if table.matrix.dtype.kind != "f":  # no cell is missing
        return found
    for part in pieces(table.rows if rows is None else len(rows), len(table.names)):
        block = table.numbers(names, part if rows is None else rows[part])
        low, high = np.fmin.reduce(block, axis=0), np.fmax.reduce(block, axis=0)
        gone = np.isnan(block)
        counts, firsts = gone.sum(axis=0), gone.argmax(axis=0)
        for at, each in enumerate(found.values()):
            if counts[at] and not each.missing:
                each.first_missing = part.start + int(firsts[at])
            each.missing += int(counts[at])
            each.low, each.high = np.fmin(each.low, low[at]), np.fmax(each.high, high[at])
            if each.counts.size:
                codes = block[~gone[:, at], at].astype(np.int64)
                each.counts += np.bincount(codes, minlength=len(each.counts))
    return found


def complete_rows(table: Table, names: Sequence[str]) -> np.ndarray:
    """Return where no cell of some columns is missing, bool (rows,)."""
    parts = pieces(table.rows, len(table.names))
    return np.concatenate([~np.isnan(table.numbers(names, each)).any(axis=1) for each in parts])


def missing_message(table: Table, names: Sequence[str], remedy: str) -> str:
    """Return the message for missing cells in some columns; "" if there are none."""
    missing = {name: each for name, each in summarize(table, names).items() if each.missing}
    if not missing:
        return ""
    name = min(missing, key=lambda each: missing[each].first_missing)
    total = sum(each.missing for each in missing.values())
    counts = up_to_ten(f"{quoted(name)} {each.missing}" for name, each in missing.items())
    found = f"a missing cell, the first of {total} ({counts})"
    return f"{table.place(missing[name].first_missing, name)}: {found}; {remedy}."


def refuse_text(table: Table, name: str, also: str = "", known: Notation | None = None) -> None:
    """Refuse the first cell that is not a number, if a column is text; `also` is a remedy, too."""
    if name not in table.texts:
        return
    strays = strays_among(texts_of(table, name), name, known)
    bad = np.asarray([*(each in strays for each in texts_of(table, name)), False])
    rows = np.flatnonzero(bad[text_numbers(table.column(name))])
    if not rows.size:
        message = f"{table.path}: column {quoted(name)} holds text where numbers are needed"
        remedy = "save it as numbers without leading zeros, exact in float64 (up to 2^53)"
        raise InputError(f"{message}; {remedy}{also}.")
    cell = table.cell(rows[0], name)
    what, remedy = explain_cell(cell, known) or ("is not a number", "correct it")
    others = f" ({len(rows)} such cells)" if len(rows) > 1 else ""
    raise table.fault(rows[0], name, f", which {what}{others}", remedy + also)


def used_texts(table: Table, name: str, counts: np.ndarray) -> dict[str, int]:
    """Return how often each text of a column occurs, without those that do not."""
    pairs = zip(texts_of(table, name), counts.tolist(), strict=True)
    return {text: count for text, count in pairs if count}


def refuse_spoilt_numbers(table: Table, name: str, counts: np.ndarray) -> None:
    """Refuse texts of which most are, or were meant as, numbers.

    All of the kind of 3+ or <1 pass, texts such as addresses, of which none is a number even with
    signs, and codes.
    """
    words, used = texts_of(table, name), used_texts(table, name, counts)
    if _are_codes(used):
        return
    if all(is_number(each) or _OPEN_RANGE.fullmatch(each) for each in words):
        return
    _refuse_words(table, name, used)
    if not any(map(_WITH_SIGNS.fullmatch, words)):
        return
    meant = np.asarray([is_number(each) or explain_cell(each) is not None for each in words])
    strays = ~meant & (counts > 0)
    few = strays.sum() <= max(_MAX_STRAYS, len(words) // 20)
    # Words that stand often among few numbers are categories, such as these: 1st, 2nd or late.
    often = counts.sum() >= MAX_CODES * len(used) and counts[strays].sum() > _MAX_STRAYS
    if few and not often and 0 < counts.sum() <= 2 * counts[meant].sum():
        refuse_units(table, name, used)
        refuse_text(table, name)


def _refuse_words(table: Table, name: str, used: Mapping[str, int]) -> None:
    """Refuse a few cells without digits among numbers with signs: unclear among 62 kg or 78/100."""
    words = {each for each in used if not _DIGIT.search(each) and each.lower() not in GAPS}
    few = 0 < sum(used[each] for each in words) <= _MAX_STRAYS
    if few and are_numbers([*(used.keys() - words)], name):
        refuse_text(table, name)


def other_units(used: Mapping[str, int], name: str) -> tuple[list[str], str]:
    """Return the numbers that lack the usual unit of a column, and the commonest with it.

    That is a unit of a quarter of the cells, or none beside fractions; [] if there is none.
    """
    units, cells = {each: unit_beside(each) for each in used if _DIGIT.search(each)}, Counter[str]()
    for each, unit in units.items():
        cells[unit] += used[each]
    usual = max(cells, key=cells.__getitem__, default="")
    alike = sorted(each for each, unit in units.items() if unit == usual)
    measured = usual or any(map(_FRACTION.search, alike))  # unlike numbers of houses: 12, 12a
    most = 4 * cells[usual] > cells.total() and not all(map(is_date, alike))  # unlike 2018 Q4
    if not (measured and most) or len(alike) <= MAX_CODES or not are_numbers(alike, name):
        return [], ""
    return [each for each, unit in units.items() if unit != usual], max(alike, key=used.__getitem__)


def refuse_units(table: Table, name: str, used: Mapping[str, int]) -> None:
    """Refuse the first number, if any, that lacks the usual unit of its column."""
    found, usual = other_units(used, name)
    others = {*found}
    is_other = np.asarray([*(each in others for each in texts_of(table, name)), False])
    rows = np.flatnonzero(is_other[text_numbers(table.column(name))])
    if rows.size:
        cells = f" ({len(rows)} such cells)" if len(rows) > 1 else ""
        what = f", but other cells are numbers like {quoted(usual)}{cells}"
        raise table.fault(rows[0], name, what, "correct it, or leave the cell empty")


def _are_codes(used: Mapping[str, int]) -> bool:
    """Return whether integers and others are codes, by how often they occur: 01, 12 or 2A.

    Some begin with a zero, or the others occur as often, or they are few and the others words.
    """
    others, cells = {e: n for e, n in used.items() if not is_number(e)}, sum(used.values())
    integers = used.keys() - others.keys()
    if not integers or not others or not all(map(str.isdigit, integers)):
        return False
    again = cells >= MAX_CODES * len(used)
    as_often = min(others.values()) > max(cells / len(used) / 10, 2)
    as_often &= all(map(str.isalnum, others))  # unlike 5 %
    words = all(len(each) > 2 for each in others)  # or else a slip
    few = words and len(used) <= MAX_CODES and sum(others.values()) >= min_count(cells)
    return any(e[0] == "0" < e for e in integers) or (again and (as_often or few))


def min_count(rows: int) -> int:
    """Return how many cells must hold a text that is no rare one."""
    return max(min(_MIN_COUNT, rows // 100), 1)


def texts_of(table: Table, name: str) -> tuple[str, ...]:
    """Return the distinct texts of a column, if any; refuse too many to be of use."""
    if (words := table.texts.get(name, ())) is None:
        found = f"column {quoted(name)} has more than {MAX_TEXTS:,} different texts"
        raise InputError(f"{table.path}: {found}; make it numbers or categories.")
    return words


def text_numbers(cells: np.ndarray) -> np.ndarray:
    """Return a text column's cells as places in its texts, int64; -1 where a cell is missing."""
    return np.asarray(np.nan_to_num(cells, nan=-1.0), dtype=np.int64)
