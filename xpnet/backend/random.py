"""The source of every random number.

Nothing here has state: a draw depends only on the seed, its purpose and counters (epoch, layer,
step). So an interrupted run continues exactly if it knows where it was, and every device sees the
same bits. Draws on the host are float64 from NumPy's PCG64; dropout masks, needed at every step,
come from a counter hash in integer array operations, which any device can compute.
"""

import operator
import zlib
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from xpnet.backend.device import Array


def _signed(bits: int) -> int:
    """Read the low 64 bits of an integer as int64."""
    return ((bits & ((1 << 64) - 1)) ^ (1 << 63)) - (1 << 63)


_INCREMENT = 0x9E3779B97F4A7C15
_ROUNDS = (30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)
_TOP = 1 << 63


def generator(seed: int, purpose: str, *counters: int) -> np.random.Generator:
    """Return the generator for a purpose ("weights", "order", "split", ...) and counters."""
    entropy = [seed, zlib.crc32(purpose.encode()), *counters]
    return np.random.Generator(np.random.PCG64(entropy))


def hash64(counter: Array, key: int | Array) -> Array:
    """Return the splitmix64 hash of an int64 array and a key, the same 64 bits on every device.

    It uses int64, which every library fully supports (PyTorch cannot add uint64): products wrap
    around, and a mask clears the sign bits that a right shift brings in.

    Reference: Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014.
    """
    z = _mixed(counter * _signed(_INCREMENT) + key, _shifted, _signed)
    return z ^ _shifted(z, 31)


def _mixed(z: Array, shifted: Callable[[Array, int], Array], integer: Callable[[int], int]) -> Any:
    for bits, factor in _ROUNDS:
        z = (z ^ shifted(z, bits)) * integer(factor)
    return z


def _shifted(z: Array, bits: int) -> Array:
    return (z >> bits) & ((1 << (64 - bits)) - 1)


def dropout_keys(seed: int, layers: int, steps: range) -> Any:
    """Return the key of each layer's mask at some training steps, host int64 (steps, layers)."""
    return hash64(np.asarray(steps, dtype=np.int64)[:, None], _layer_keys(seed, layers))


@lru_cache(maxsize=64)
def _layer_keys(seed: int, layers: int) -> Any:
    return generator(seed, "dropout").integers(1 << 63, size=layers)


def counters(count: int, *, unsigned: bool = False) -> Any:
    """Return the counters of `count` entries for `keep_mask`, host int64 or uint64."""
    found = np.arange(count) * _signed(_INCREMENT)
    return found.view(np.uint64) if unsigned else found


def keep_mask(counter: Array, key: int | Array, rate: float, *, unsigned: bool = False) -> Array:
    """Return a boolean mask that keeps each entry with probability ``1 - rate``.

    It is made of the entries' `counters` and a key of `dropout_keys`, both int64 or both uint64,
    which takes NumPy half the time. It compares the first 31 bits of `hash64`, which the last shift
    of that does not change.
    """
    limit = min(int((1.0 - rate) * 2.0**31), (1 << 31) - 1) << 33
    if unsigned:
        return _mixed(counter + key, operator.rshift, int) < limit
    # Flipping the top bit of both makes int64 compare as uint64 does.
    return (_mixed(counter + key, _shifted, _signed) ^ _signed(_TOP)) < _signed(limit ^ _TOP)
