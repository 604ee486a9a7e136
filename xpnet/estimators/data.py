"""What the estimators feed to training: rows of sparse matrices, a stored scaler, held-out rows."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.model_selection import train_test_split
from sklearn.utils.sparsefuncs import mean_variance_axis
from sklearn.utils.validation import _check_sample_weight

from xpnet.backend.device import CPU, Array, Device, Namespace, device_of, is_foreign, to_host
from xpnet.errors import InputError
from xpnet.nn.arrays import as_inputs
from xpnet.nn.network import PREDICT_ROWS

BLOCK_ROWS = PREDICT_ROWS  # rows of a sparse matrix that are made dense together, at most ...
BLOCK_NUMBERS = 1 << 22  # ... with this many numbers
SPARSE = 0.1  # share of numbers that are not 0, up to which a sparse product is the faster one


def dense(array: Any) -> Any:
    """Return an array of any library, or a sparse matrix, as a dense NumPy array."""
    return array.toarray() if issparse(array) else to_host(array)


def place_of(X: Any) -> Device:
    """Return where an array lives; sparse matrices and lists live on the host."""
    return CPU if issparse(X) or not is_foreign(X) else device_of(X)


def host_weights(sample_weight: Any, y: Any) -> Any:
    """Return row weights, checked by scikit-learn, on the host."""
    if sample_weight is None:
        return None
    return _check_sample_weight(to_host(sample_weight), np.empty((len(y), 1)))


@dataclass(frozen=True)
class Scaler:
    """Means and standard deviations of columns: float64 on the host, or as `on` brings them."""

    mean: Array
    scale: Array

    def on(self, device: Device, dtype: str) -> "Scaler":
        """Return it for arrays of a device."""
        return Scaler(device.put(self.mean, dtype), device.put(self.scale, dtype))

    def __call__(self, x: Array) -> Array:
        """Return x, (n, columns), with mean 0 and standard deviation 1."""
        return (x - self.mean) / self.scale


def scaler_of(X: Any, rows: Any, device: Device) -> Scaler:
    """Measure the features of some rows, or all; a constant feature keeps its scale."""
    if issparse(X):
        mean, variance = mean_variance_axis(X if rows is None else X[rows], axis=0)
        return _scaler(mean, np.sqrt(variance))
    x = X if rows is None else device.xp.take(X, device.put(rows, "int64"), axis=0)
    return _scaler(*map(device.get, _moments(device.xp, x)))


def target_scaler_of(targets: Any, weights: Any, rows: Any) -> Scaler:
    """Measure host targets, (n, outputs), of some rows or all, weighted, as `scaler_of` does."""
    rows = slice(None) if rows is None else rows
    y = np.asarray(targets[rows], np.float64)
    weights = weights[rows] if weights is not None and np.any(weights[rows]) else None
    mean = np.average(y, axis=0, weights=weights)
    return _scaler(mean, np.sqrt(np.average((y - mean) ** 2, axis=0, weights=weights)))


def _scaler(mean: Any, scale: Any) -> Scaler:
    varies = scale > 10.0 * np.finfo(scale.dtype).eps * np.abs(mean)
    return Scaler(mean, np.where(varies, scale, 1.0))


def _moments(xp: Namespace, x: Array) -> tuple[Array, Array]:
    """Return mean and standard deviation of each column; float32 sums over rows lose digits."""
    count = x.shape[0]
    mean = xp.sum(x, axis=0, dtype=xp.float64) / count
    squares = xp.zeros_like(mean)
    for start in range(0, count, BLOCK_ROWS):
        block = xp.astype(x[start : min(start + BLOCK_ROWS, count), :], xp.float64) - mean
        squares = squares + xp.sum(block * block, axis=0)
    return mean, xp.sqrt(squares / count)


class SparseRows:
    """A sparse matrix as a `xpnet.training.batches.RowSource`, made dense block by block."""

    def __init__(self, matrix: Any, scaler: Scaler | None) -> None:
        self._matrix, self.shape, self._scaler = matrix.tocsr(), matrix.shape, scaler

    def read_rows(self, rows: Any) -> Any:
        """Return these rows, scaled, as a dense host array."""
        x = self._matrix[rows].toarray()
        return x if self._scaler is None else self._scaler(x)

    def blocks(self) -> Iterator[Any]:
        """Yield all rows in order, some at a time."""
        size = _rows_in_block(self.shape[1])
        for start in range(0, self.shape[0], size):
            yield self.read_rows(np.arange(start, min(start + size, self.shape[0])))


class SparseArray:
    """A sparse matrix, (n, inputs), that the network takes for a NumPy array.

    It has what the first layer needs: rows of it, and `numpy.dot` of it, or of its transpose, with
    a dense array. Anything else makes of it, by `numpy.asarray`, a dense array.
    """

    def __init__(self, matrix: Any) -> None:
        self._matrix, self.shape = matrix, matrix.shape

    @property
    def T(self) -> "SparseArray":  # noqa: N802, NumPy's name
        """The transpose."""
        return SparseArray(self._matrix.T)

    def __getitem__(self, index: Any) -> "SparseArray":
        return SparseArray(self._matrix[index])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return np.asarray(self._matrix.toarray(), dtype=dtype)

    def __array_function__(self, function: Any, types: Any, given: Any, options: Any) -> Any:
        if function is np.take:  # along axis 0
            return self[given[1]]
        if function is not np.dot:
            return NotImplemented
        product, out = self._matrix @ given[1], options.get("out")
        if out is None:
            return product
        out[...] = product
        return out


def as_rows(X: Any, scaler: Scaler | None, device: Device, dtype: str) -> Any:
    """Return the inputs in the form training takes: an array on the device, or a source of rows.

    A sparse matrix stays sparse on the CPU, if that is faster and no feature is shifted.
    """
    if issparse(X):
        if device is CPU and scaler is None and X.nnz <= SPARSE * X.shape[0] * X.shape[1]:
            return SparseArray(X.tocsr().astype(dtype, copy=False))
        return SparseRows(X, scaler)
    x = as_inputs(X, device, dtype, X.shape[1])
    return x if scaler is None else scaler.on(device, dtype)(x)


def _rows_in_block(columns: int) -> int:
    return max(1, min(BLOCK_ROWS, BLOCK_NUMBERS // columns))


def hold_out(targets: Any, fraction: float, seed: int, *, stratify: bool) -> tuple[Any, Any]:
    """Draw row numbers for training and for early stopping, as scikit-learn does.

    `stratify` keeps the proportions of two classes, in host targets (n, 1) of 0 and 1.
    """
    train, held_out = train_test_split(
        np.arange(len(targets)),
        random_state=seed,
        test_size=fraction,
        stratify=targets > 0.5 if stratify else None,
    )
    if len(held_out) < 2:
        raise InputError(
            f"The validation set is too small: {len(targets)} rows leave {len(held_out)}; increase "
            "validation_fraction"
        )
    return np.sort(train), np.sort(held_out)
