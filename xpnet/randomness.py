"""Where every random number comes from.

Nothing here has state: a generator is named by the seed, its purpose and counters (epoch, layer),
so an interrupted training continues exactly by knowing where it was, and every device sees the
same draws bit for bit. Host draws are float64 from NumPy's PCG64; dropout masks, needed at every
step, come from a counter hash in integer array operations that any device can compute.
"""

import zlib

import numpy as np

from xpnet.types import Array, Namespace


def signed(bits: int) -> int:
    """Read the low 64 bits of an integer as int64."""
    return ((bits & ((1 << 64) - 1)) ^ (1 << 63)) - (1 << 63)


_INCREMENT = signed(0x9E3779B97F4A7C15)
_FACTORS = signed(0xBF58476D1CE4E5B9), signed(0x94D049BB133111EB)


def generator(seed: int, purpose: str, *counters: int) -> np.random.Generator:
    """Return the generator for one purpose ("weights", "order", "split", ...) and counters."""
    return np.random.Generator(
        np.random.PCG64(np.random.SeedSequence([seed, zlib.crc32(purpose.encode()), *counters]))
    )


def hash64(xp: Namespace, counter: Array, key: int) -> Array:
    """Return the splitmix64 hash of an int64 array; the same 64 bits on every device.

    In int64, which every library has in full (PyTorch's uint64 cannot add): products wrap alike,
    and a mask clears the sign bits that a shift to the right brings in.

    Reference: Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014.
    """
    z = counter * _INCREMENT + signed(key)
    z = (z ^ ((z >> 30) & ((1 << 34) - 1))) * _FACTORS[0]
    z = (z ^ ((z >> 27) & ((1 << 37) - 1))) * _FACTORS[1]
    return z ^ ((z >> 31) & ((1 << 33) - 1))
