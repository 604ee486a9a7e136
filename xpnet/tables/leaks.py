"""Suspicious columns: that give the target away, or hold numbers that mean "missing" or slips."""

from collections.abc import Collection, Mapping
from dataclasses import replace

import numpy as np

from xpnet.tables.columns import Number
from xpnet.tables.messages import quoted, up_to_ten
from xpnet.tables.preprocessing import Preprocessing
from xpnet.tables.summary import Summary, summarize
from xpnet.tables.table import Table

MIN_ROWS = 50
MAX_CELLS = 4_000_000  # looked at, of at most MAX_ROWS rows
MAX_ROWS = 20_000
MIN_APART = 20  # pairs of different classes to expect among as many rows of any kind
CODES = {round(10.0**k - 10.0**-d, d) for d in range(3) for k in range(3 - (d > 0), 10)}
"""999, 9999, ...; 99.9, 999.9, ...; 99.99, ..."""
BELOW_ZERO = (-9.0, -99.0)  # also, in MANY_ROWS or more, if no other number is negative
MANY_ROWS = 100
MIN_OTHERS = 3  # distinct numbers besides one that means "missing"
MOST = 0.9  # of a column's variance
MAX_ALIKE = 0.6  # of the variance, between one row of the file and the next
MAX_LEFT = 0.02  # of the target's variance; petals of irises leave 0.1, the odour of mushrooms 0.06


def note_leaks(plan: Preprocessing, table: Table, rows: np.ndarray, y: np.ndarray) -> list[str]:
    """Return notes on what makes the score too good; y, (n,), are the targets of these rows.

    A column gives the target away if rows that are neighbours in its order have nearly the same
    target: half the mean square of their differences (J. von Neumann, 1941), or the share of pairs
    of different classes, is small beside that of rows in any order. So does one that is given in
    one class only. The score is also too good if neighbouring rows of the file are alike, and some
    of them are held out.
    """
    order = np.random.default_rng(0).permutation(len(rows))[:MAX_ROWS]
    order = order[: MAX_CELLS // len(plan.columns)]
    if len(order) < MIN_ROWS:
        return []

    def apart(values: np.ndarray) -> np.ndarray:
        away = np.diff(values)
        return away**2 / 2 if plan.task == "regression" else away != 0

    shares = np.unique(y, return_counts=True)[1] / len(y)
    before = np.var(y) if plan.task == "regression" else 1.0 - np.sum(shares**2)

    def alike(pairs: np.ndarray, least: float) -> bool:
        return len(pairs) >= least and bool(np.mean(pairs) <= MAX_LEFT * before)

    in_file = y[np.argsort(rows)]
    cells, y = table.numbers([each.name for each in plan.columns], rows[order]), y[order]
    found = []
    for column, values in zip(plan.columns, cells.T, strict=True):
        ascending = np.argsort(values, kind="stable")
        steps, gaps = np.diff(values[ascending]), apart(y[ascending])
        if not isinstance(column, Number):
            gaps = gaps[steps == 0]  # neighbours of one category
        given = apart(y[~np.isnan(values)])
        in_one = plan.classes and alike(given, MIN_APART / max(before, 1e-9))
        if in_one or alike(gaps, len(y) / 2):
            found.append(quoted(column.name))
    gives = "alone gives" if len(found) == 1 else "alone give"
    told = f"{gives} {plan.target} away: if it is not known before, --drop it"
    notes = [f"{up_to_ten(found)} {told}"] if found else []
    falls, changes = (np.count_nonzero(each) for each in (np.diff(in_file) < 0, np.diff(in_file)))
    sorted_ = falls in (0, len(in_file) - 1) or changes < 2 * len(plan.classes)
    if np.mean(apart(in_file)) <= MAX_ALIKE * before and not sorted_:
        remedy = "new rows may be harder: give some as --validation FILE"
        notes.append(f"neighbouring rows are alike, as in time or in groups; {remedy}")
    return notes


def note_outliers(
    plan: Preprocessing, table: Table, found: Mapping[str, Summary], rows: np.ndarray, y: np.ndarray
) -> list[str]:
    """Return a note on numbers that have nearly all the variance of their column, or of y."""
    told = []
    for each in plan.columns:
        if isinstance(each, Number):
            ends = found[each.name].high - each.mean, each.mean - found[each.name].low
            # One among n, all others alike, is sqrt(n - 1) deviations from the mean; here n is
            # the number of training rows, or it is held out, and further away.
            if max(ends) > 0.6 * np.sqrt(len(rows)) * each.std:
                slip = _slip(table.column(each.name, rows))
                told += [] if slip is None else [f"{quoted(each.name)} ({slip:g})"]
    if plan.task == "regression" and not plan.more_targets and _slip(y) is not None:
        told.append(plan.target)
    note = "one cell has nearly all the variance of its column; if it is a slip, correct it:"
    return [f"{note} {up_to_ten(told)}"] if told else []


def _slip(cells: np.ndarray) -> float | None:
    """Return a number beside which all others are alike; None if there is none."""
    cells = cells[~np.isnan(cells)]
    if len(cells) < MIN_ROWS or len(np.unique(cells)) <= MIN_OTHERS:  # or a rare flag
        return None
    away = (cells - np.median(cells)) ** 2
    at = int(np.argmax(away))
    return float(cells[at]) if away[at] > MOST * away.sum() else None


def with_gaps(
    table: Table, found: dict[str, Summary], keep: Collection[str], *, impute: bool
) -> tuple[Table, list[str]]:
    """Treat numbers such as 999, far from all others of their column, as missing.

    The summaries in `found` are updated; columns in `keep` are left alone. Without `impute`, only a
    note on such columns is returned.
    """
    gaps, told = dict[str, float](), list[str]()
    for name, value in ((name, value) for name, s in found.items() for value in (s.low, s.high)):
        low = value in BELOW_ZERO and table.rows >= MANY_ROWS
        if (abs(value) in CODES or low) and name not in table.texts and name not in keep:
            cells = table.column(name)
            alike = cells <= value + 2 * low if value < 0 else cells == value  # -9, -8, -7
            others = cells[~alike & ~np.isnan(cells)]
            count = np.count_nonzero(alike)
            far = others.size and 4 * np.max(np.abs(others)) < abs(value)
            far = far or (low and others.size and np.min(others) >= 0)
            if count > 1 and far and len(np.unique(others)) >= MIN_OTHERS:  # a flag may be 0 or 999
                gaps[name] = float(cells[alike].max())
                told.append(f"{quoted(name)} ({count:,} x {value:g})")
    if impute:
        table = replace(table, gaps=gaps)
        found |= summarize(table, [*gaps])
        return table, []
    note = "numbers far from all others; if they stand for nothing, empty these cells:"
    return table, [f"{note} {up_to_ten(told)}"] if told else []
