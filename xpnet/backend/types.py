"""Names for types that the Array API leaves open: any conforming array or namespace."""

from typing import Any, TypeAlias

Array: TypeAlias = Any
"""An array of any library that follows the Array API standard."""

Namespace: TypeAlias = Any
"""The module of functions that goes with such arrays (``numpy``, for example)."""

Scalar: TypeAlias = Any
"""A Python number, or a 0-d array on the device."""
