"""Check what a network is made of: layer sizes, activations, dropout rates."""

from collections.abc import Iterable, Sequence
from numbers import Integral, Real
from typing import Any

from xpnet.errors import InputError, bad_argument
from xpnet.nn.activations import ACTIVATIONS, Activation


def per_layer(value: Any, layers: int) -> list[Any]:
    """Spread one option over the hidden layers, or check that there is one for each."""
    if isinstance(value, str) or not hasattr(value, "__len__"):
        return [value] * layers
    if len(value) != layers:
        raise InputError(f"{list(value)!r} has {len(value)} entries for {layers} hidden layers")
    return list(value)


def activation_named(given: str | Activation, allowed: Sequence[str]) -> Activation:
    """Return an activation by name, or as given."""
    if isinstance(given, Activation):
        return given
    if given not in allowed:
        remedy = f"use one of {', '.join(allowed)}"
        if callable(given):
            remedy += ", or give its derivative too, as xpnet.Activation('mine', forward, backward)"
        raise bad_argument("activation", given, f"is not known here; {remedy}")
    return ACTIVATIONS[given]


def checked_sizes(sizes: Sequence[int]) -> tuple[int, ...]:
    """Return the layer sizes as integers, including inputs and outputs."""
    checked = tuple(sizes) if isinstance(sizes, Iterable) else (sizes,)
    if len(checked) < 2 or any(not isinstance(s, Integral) or s < 1 for s in checked):
        raise InputError(
            f"sizes {list(checked)!r} must be two or more integers >= 1: inputs, hidden units, "
            "outputs"
        )
    return tuple(int(size) for size in checked)


def checked_rates(rates: list[Any]) -> tuple[float, ...]:
    """Return dropout rates as floats."""
    for rate in rates:
        if not isinstance(rate, Real) or not 0.0 <= float(rate) < 1.0:
            raise bad_argument("dropout", rate, "must be >= 0 and below 1")
    return tuple(float(rate) for rate in rates)
