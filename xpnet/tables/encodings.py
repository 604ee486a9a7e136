"""Numbers in bins: the piecewise-linear encoding of Gorishniy et al., arXiv 2203.05556.

A number fills one input for each bin: 1 if it is above the bin, 0 if below, and within it how far
it has come. Any piecewise linear function of the number is then linear in the inputs.
"""

import numpy as np

MIN_ROWS = 1_000  # of the table: on fewer, bins fit their noise
MAX_BINS = 48  # of a column
MIN_BINS = 4  # fewer are not worth it
MAX_INPUTS = 1_024  # of all columns' bins: for the time of a step
MAX_NUMBERS = 1 << 26  # rows times inputs: 256 MB in float32


def bins_for(rows: int, columns: int, *, always: bool = False) -> int:
    """Return how many bins each of some number columns should have; 0 where none are of use."""
    count = min(MAX_BINS, MAX_INPUTS // max(columns, 1), MAX_NUMBERS // max(rows * columns, 1))
    if always:
        return max(count, MIN_BINS)
    return count if rows >= MIN_ROWS and count >= MIN_BINS else 0


def quantile_edges(values: np.ndarray, bins: int) -> tuple[float, ...]:
    """Return the edges of bins with about as many values each, ascending; none for two or fewer.

    There are at most as many `bins`, fewer where values, (rows,) without NaN, repeat.
    """
    edges = np.unique(values)
    if len(edges) > bins + 1:
        edges = np.unique(np.quantile(values, np.linspace(0.0, 1.0, bins + 1), method="nearest"))
    return tuple(edges.tolist()) if len(edges) > 2 else ()


def piecewise_linear(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Return how much of each bin lies below a value, 0 to 1: (rows, bins) from (rows,)."""
    above = (values[:, None] - edges[:-1]) / np.diff(edges)
    return np.asarray(np.clip(above, 0.0, 1.0))
