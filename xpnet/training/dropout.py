"""Dropout: a network's masks for one step, by the counter hash of `xpnet.backend.random`.

Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", 2014; in the
inverted form, so that nothing is scaled at prediction.
"""

from collections.abc import Sequence

import numpy as np

from xpnet.backend.device import Array, Scalar
from xpnet.backend.random import dropout_key, keep_mask
from xpnet.nn.network import MLP


class Dropout:
    """Draws the masks of one training run.

    Parameters
    ----------
    net : MLP
    seed : int
        Of the run.
    """

    def __init__(self, net: MLP, seed: int) -> None:
        self._net, self._seed = net, seed
        self._rates = net.dropout if any(net.dropout) else ()
        self._counters: dict[int, list[Array]] = {}

    def of_step(self, step: int, rows: int) -> list[Array] | None:
        """Return the masks of the step after `step` others, as `masks` does."""
        return self.masks(rows, self.keys(step)) if self._rates else None

    def keys(self, step: int) -> list[int]:
        """Return what determines the masks after `step` steps, for each layer; none without."""
        return [dropout_key(self._seed, layer, step) for layer in range(len(self._rates))]

    def masks(self, rows: int, keys: Sequence[Scalar]) -> list[Array] | None:
        """Return factors 0 or 1 / (1 - rate), (rows, units), for each hidden layer; None without.

        Parameters
        ----------
        rows : int
        keys : sequence of int, or of 0-d int64 array
            From `keys`.
        """
        if not self._rates:
            return None
        if rows not in self._counters:
            put, units = self._net.device.put, self._net.sizes[1:-1]
            self._counters[rows] = [
                put(np.reshape(np.arange(rows * each), (rows, each)), "int64") for each in units
            ]
        xp, masks = self._net.device.xp, []
        for counter, key, rate in zip(self._counters[rows], keys, self._rates, strict=True):
            keep = xp.astype(keep_mask(counter, key, rate), getattr(xp, self._net.dtype))
            masks.append(keep * (1.0 / (1.0 - rate)))
        return masks
