"""Encode numbers by bins, and texts with many values by the mean of their targets.

In the piecewise-linear encoding of Gorishniy et al., arXiv 2203.05556, a number has one input for
each bin: 1 if it is above the bin, 0 if below, and in between a share. Any piecewise linear
function of the number is then linear in the inputs.
"""

import numpy as np

from xpnet.backend.random import generator

MIN_ROWS = 1_000  # of the table: on fewer, bins fit their noise
MAX_BINS = 48  # of a column
MIN_BINS = 4
MAX_INPUTS = 512  # of all columns' bins; twice as many were no better, and a step takes longer
MAX_NUMBERS = 1 << 26  # rows times inputs: 256 MB in float32
FOLDS = 10
MIN_ROWS_PER_TEXT = 2.5


def bins_for(rows: int, columns: int, encode: str) -> int:
    """Return the number of bins for each of some number columns; 0 if bins are of no use."""
    count = min(MAX_BINS, MAX_INPUTS // max(columns, 1), MAX_NUMBERS // max(rows * columns, 1))
    if encode == "ple":
        return max(count, MIN_BINS)
    return count if encode == "auto" and rows >= MIN_ROWS and count >= MIN_BINS else 0


def quantile_edges(values: np.ndarray, bins: int) -> tuple[float, ...]:
    """Return the ascending edges of at most `bins` bins with about equally many values each.

    Values are (rows,), without NaN; where they repeat there are fewer bins. Two distinct values, or
    fewer, need none.
    """
    edges = np.unique(values)
    if len(edges) > bins + 1:
        edges = np.unique(np.quantile(values, np.linspace(0.0, 1.0, bins + 1), method="nearest"))
    return tuple(edges.tolist()) if len(edges) > 2 else ()


def piecewise_linear(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Return the share of each bin below a value, 0 to 1: (rows, bins) for values (rows,)."""
    above = (values[:, None] - edges[:-1]) / np.diff(edges)
    return np.asarray(np.clip(above, 0.0, 1.0))


def shrunken_means(codes: np.ndarray, y: np.ndarray, count: int) -> np.ndarray:
    """Return the mean target of each code, as a deviation from the mean of all rows: (count,).

    Those of rare codes shrink towards 0, by the variances within and between codes (D.
    Micci-Barreca, "A preprocessing scheme for high-cardinality categorical attributes", 2001).
    """
    away, rows = y - np.mean(y), np.bincount(codes, minlength=count)
    sums, squares = (np.bincount(codes, each, count) for each in (away, away**2))
    explained, used = np.sum(sums**2 / np.maximum(rows, 1)), np.count_nonzero(rows)
    within = float(np.sum(squares) - explained) / max(len(y) - int(used), 1)
    between = float(explained - used * within) / (len(y) - np.sum(rows**2) / len(y) + 1e-9)
    return np.asarray(sums / (rows + within / np.maximum(between, 1e-3 * within + 1e-9)))


def means_of_other_rows(codes: np.ndarray, y: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Return for each row its code's mean in the other folds, in which its own target is not."""
    fold, found = generator(seed, "folds").permutation(len(y)) % FOLDS, np.zeros(len(y))
    for each in range(FOLDS):
        own = fold == each
        found[own] = shrunken_means(codes[~own], y[~own], count)[codes[own]]
    return found
