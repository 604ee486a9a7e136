"""Dropout: the masks of one step, from the counter hash of `xpnet.backend.random`.

Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", 2014; in the
inverted form, in which nothing is scaled at prediction.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from xpnet.backend.device import CPU, Array, Function, Namespace, Scalar
from xpnet.backend.random import counters, dropout_keys, keep_mask
from xpnet.nn.network import MLP


class Dropout:
    """Draws the masks of one training run, from its seed."""

    def __init__(self, net: MLP, seed: int) -> None:
        self._net, self.seed = net, seed
        rates = net.dropout if any(net.dropout) else ()
        self._unsigned = net.device is CPU
        masks = (mask_of(rate, net.dtype, unsigned=self._unsigned) for rate in rates)
        self._masks = [net.device.fuse(each) for each in masks]
        self._counters: dict[int, list[Array]] = {}

    def keys(self, begin: int, count: int) -> Any:
        """Return the keys of the masks of `count` steps, the first of which is number `begin`.

        Host int64, (steps, hidden layers); (steps, 0) without dropout.
        """
        if not self._masks:
            return np.empty((count, 0), np.int64)
        return dropout_keys(self.seed, len(self._masks), range(begin, begin + count))

    def masks(self, rows: int, keys: Sequence[Scalar]) -> list[Array] | None:
        """Return factors 0 or 1 / (1 - rate), (rows, units), for each hidden layer; or None.

        The keys are one step's: numbers or 0-d int64 arrays, or arrays (networks, 1, 1).
        """
        if not self._masks:
            return None
        if rows not in self._counters:
            put, kind = self._net.device.put, "uint64" if self._unsigned else "int64"
            self._counters[rows] = [
                put(counters(rows * each, unsigned=self._unsigned).reshape(rows, each), kind)
                for each in self._net.sizes[1:-1]
            ]
        if self._unsigned:
            keys = [np.asarray(key).view(np.uint64) for key in keys]
        xp, layers = self._net.device.xp, zip(self._masks, self._counters[rows], keys, strict=True)
        return [mask(xp, counter, key) for mask, counter, key in layers]


def mask_of(rate: float, dtype: str, *, unsigned: bool = False) -> Function:
    """Return ``mask(xp, counter, key)``, elementwise: the factors of a layer with this rate."""

    def dropout_mask(xp: Namespace, counter: Array, key: Scalar) -> Array:
        keep = xp.astype(keep_mask(counter, key, rate, unsigned=unsigned), getattr(xp, dtype))
        return keep * (1.0 / (1.0 - rate))

    return dropout_mask
