"""Dropout: masks from a counter hash, the same bits on every device and at every resume.

Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", 2014; in the
inverted form, so that nothing is scaled at prediction.
"""

import zlib
from typing import TYPE_CHECKING

import numpy as np

from xpnet.randomness import hash64, signed
from xpnet.types import Array, Namespace

if TYPE_CHECKING:
    from xpnet.network import MLP


def dropout_key(seed: int, layer: int, step: int) -> int:
    """Return the key of one layer's mask at one step of a training."""
    state = np.random.SeedSequence([seed, zlib.crc32(b"dropout"), layer, step])
    return int(state.generate_state(1, np.uint64)[0])


def keep_mask(xp: Namespace, counter: Array, key: int, rate: float) -> Array:
    """Return a boolean mask that keeps each entry with probability ``1 - rate``.

    Parameters
    ----------
    counter : array, int64
        One distinct integer for every entry, for example an ``arange``; gives the shape.
    key : int
        From `dropout_key`.
    rate : float
        The share of entries dropped, 0 to 1.
    """
    limit = min(int((1.0 - rate) * 2.0**64), (1 << 64) - 1)
    # Flipping the top bit of both makes int64 compare as uint64 does.
    return (hash64(xp, counter, key) ^ signed(1 << 63)) < signed(limit ^ (1 << 63))


def dropout_masks(net: "MLP", rows: int, seed: int, step: int) -> list[Array] | None:
    """Return factors 0 or 1 / (1 - rate), (rows, units), for each hidden layer; None without.

    Parameters
    ----------
    net : MLP
    rows : int
    seed, step : int
        Of the training, and how many steps it has taken.
    """
    if not any(net.dropout):
        return None
    xp, masks = net.device.xp, []
    for layer, rate in enumerate(net.dropout):
        units = net.sizes[layer + 1]
        counter = net.device.put(np.arange(rows * units), "int64")
        keep = keep_mask(xp, counter, dropout_key(seed, layer, step), rate)
        keep = xp.astype(xp.reshape(keep, (rows, units)), getattr(xp, net.dtype))
        masks.append(keep * (1.0 / (1.0 - rate)))
    return masks
