"""The data that estimators give to training: sparse matrices, scaled rows, held-out rows."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from xpnet.backend.device import CPU, Device, device_of, is_foreign, to_host
from xpnet.errors import InputError
from xpnet.nn.arrays import as_inputs
from xpnet.nn.network import PREDICT_ROWS

BLOCK_NUMBERS = 1 << 22  # of a sparse matrix that are made dense together, at most
SPARSE = 0.1  # share of numbers that are not 0, up to which a sparse product is the faster one


def dense(array: Any) -> Any:
    """Return an array of any library, or a sparse matrix, as a dense NumPy array."""
    return array.toarray() if issparse(array) else to_host(array)


def place_of(X: Any) -> Device:
    """Return where an array lives; sparse matrices and lists live on the host."""
    return CPU if issparse(X) or not is_foreign(X) else device_of(X)


def scaler_of(columns: Any, weights: Any = None) -> StandardScaler:
    """Fit a scaler to a host array or sparse matrix; a constant column keeps its scale."""
    return StandardScaler(with_mean=not issparse(columns)).fit(columns, sample_weight=weights)


class SparseRows:
    """A sparse matrix as a `xpnet.nn.arrays.RowSource`, made dense block by block."""

    def __init__(self, matrix: Any, scaler: StandardScaler | None) -> None:
        self._matrix, self.shape, self._scaler = matrix.tocsr(), matrix.shape, scaler

    def read_rows(self, rows: Any) -> Any:
        """Return the rows with these numbers, scaled, as a dense host array."""
        x = self._matrix[rows].toarray()
        return x if self._scaler is None else (x - self._scaler.mean_) / self._scaler.scale_

    def blocks(self) -> Iterator[Any]:
        """Yield all rows in order, block by block."""
        size = max(1, min(PREDICT_ROWS, BLOCK_NUMBERS // self.shape[1]))
        for start in range(0, self.shape[0], size):
            yield self.read_rows(np.arange(start, min(start + size, self.shape[0])))


class SparseArray:
    """A sparse matrix, (n, inputs), that the network treats like a NumPy array.

    It has what the first layer needs: rows, and products of itself or its transpose with a dense
    array. Anything else converts it to a dense array, by `numpy.asarray`.
    """

    def __init__(self, matrix: Any) -> None:
        self._matrix, self.shape = matrix, matrix.shape

    @property
    def mT(self) -> "SparseArray":  # noqa: N802, NumPy's name
        """The transpose."""
        return SparseArray(self._matrix.T)

    def __getitem__(self, index: Any) -> "SparseArray":
        return SparseArray(self._matrix[index])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return np.asarray(self._matrix.toarray(), dtype=dtype)

    def __array_function__(self, function: Any, types: Any, given: Any, options: Any) -> Any:
        return self[given[1]] if function is np.take else NotImplemented  # along axis 0

    def dot(self, other: Any, out: Any = None) -> Any:
        """Return the product with a dense array, as NumPy's arrays do."""
        product = self._matrix @ other
        if out is None:
            return product
        out[...] = product
        return out


def as_rows(X: Any, scaler: StandardScaler | None, device: Device, dtype: str) -> Any:
    """Return the inputs for training: an array on the device, or a `RowSource`.

    A sparse matrix stays sparse on the CPU if that is faster and there is no scaler.
    """
    if issparse(X):
        if device is CPU and scaler is None and X.nnz <= SPARSE * X.shape[0] * X.shape[1]:
            return SparseArray(X.tocsr().astype(dtype, copy=False))
        return SparseRows(X, scaler)
    if is_foreign(X) and device_of(X).xp is not device.xp:
        X = to_host(X)
    x = as_inputs(X, device, dtype, X.shape[1])
    if scaler is None:
        return x
    return (x - device.put(scaler.mean_, dtype)) / device.put(scaler.scale_, dtype)


def hold_out(targets: Any, fraction: float, seed: int, *, stratify: bool) -> tuple[Any, Any]:
    """Draw row numbers for training and for early stopping, as scikit-learn does.

    `stratify` keeps the proportions of two classes, in host targets (n, 1) of 0 and 1.
    """
    rows, classes = np.arange(len(targets)), targets > 0.5 if stratify else None
    train, held_out = train_test_split(
        rows, random_state=seed, test_size=fraction, stratify=classes
    )
    if len(held_out) < 2:
        raise InputError(
            f"The validation set is too small: {len(targets)} rows leave {len(held_out)}; increase "
            "validation_fraction"
        )
    return np.sort(train), np.sort(held_out)
