"""Dropout: a network's masks for one step, by the counter hash of `xpnet.backend.random`.

Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", 2014; in the
inverted form, so that nothing is scaled at prediction.
"""

import numpy as np

from xpnet.backend.device import Array
from xpnet.backend.random import dropout_key, keep_mask
from xpnet.nn.network import MLP


def dropout_masks(net: MLP, rows: int, seed: int, step: int) -> list[Array] | None:
    """Return factors 0 or 1 / (1 - rate), (rows, units), for each hidden layer; None without.

    Parameters
    ----------
    net : MLP
    rows : int
    seed, step : int
        The training run's seed, and how many steps it has taken.
    """
    if not any(net.dropout):
        return None
    xp, masks = net.device.xp, []
    for layer, rate in enumerate(net.dropout):
        units = net.sizes[layer + 1]
        counter = net.device.put(np.arange(rows * units), "int64")
        keep = keep_mask(counter, dropout_key(seed, layer, step), rate)
        keep = xp.astype(xp.reshape(keep, (rows, units)), getattr(xp, net.dtype))
        masks.append(keep * (1.0 / (1.0 - rate)))
    return masks
