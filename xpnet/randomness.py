"""Where every random number comes from.

Nothing here has state: a generator is named by the seed, its purpose and counters (epoch, layer),
so an interrupted training continues exactly by knowing where it was, and every device sees the
same draws bit for bit. Host draws are float64 from NumPy's PCG64; dropout masks, needed at every
step, come from a counter hash in integer array operations that any device can compute.
"""

import zlib

import numpy as np

from xpnet.types import Array, Namespace

_MASK64 = (1 << 64) - 1


def generator(seed: int, purpose: str, *counters: int) -> np.random.Generator:
    """Return the generator for one purpose ("weights", "order", "split", ...) and counters."""
    return np.random.Generator(
        np.random.PCG64(np.random.SeedSequence([seed, zlib.crc32(purpose.encode()), *counters]))
    )


def hash64(xp: Namespace, counter: Array, key: int) -> Array:
    """Return the splitmix64 hash of a uint64 array; the same integers on every device.

    Reference: Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014.
    """
    z = counter * 0x9E3779B97F4A7C15 + (key & _MASK64)
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB
    return z ^ (z >> 31)


def dropout_key(seed: int, layer: int, step: int) -> int:
    """Return the key of one layer's mask at one step of a training."""
    state = np.random.SeedSequence([seed, zlib.crc32(b"dropout"), layer, step])
    return int(state.generate_state(1, np.uint64)[0])


def keep_mask(xp: Namespace, counter: Array, key: int, rate: float) -> Array:
    """Return a boolean mask that keeps each entry with probability ``1 - rate``.

    Parameters
    ----------
    counter : array, uint64
        One distinct integer for every entry, for example an ``arange``; gives the shape.
    key : int
        From `dropout_key`.
    rate : float
        The share of entries dropped, 0 to 1.
    """
    return hash64(xp, counter, key) < int((1.0 - rate) * 2.0**64)
