"""The estimators' network: its sizes, scikit-learn's initial weights, its state trimmed."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from numbers import Integral
from typing import Any

import numpy as np

from xpnet.errors import InputError
from xpnet.training import TrainingState

NAMES = {"logistic": "sigmoid"}  # scikit-learn's, where it differs from the core's


def core_name(activation: Any) -> Any:
    """Return the core's name for an activation, or for each of a sequence."""
    if isinstance(activation, (list, tuple)):
        return [core_name(each) for each in activation]
    return NAMES.get(activation, activation) if isinstance(activation, str) else activation


def hidden_sizes(given: Any) -> list[int]:
    """Return the hidden layers' units from scikit-learn's ``hidden_layer_sizes``."""
    sizes = list(given) if hasattr(given, "__iter__") else [given]
    if any(not isinstance(size, Integral) or size <= 0 for size in sizes):
        raise InputError(f"hidden_layer_sizes must be > 0 and integers, got {sizes}.")
    return [int(size) for size in sizes]


def sklearn_draws(
    random: Any, sizes: Sequence[int], activation: Any
) -> tuple[list[Any], list[Any]]:
    """Draw weights and biases as scikit-learn does, in its order: the same seed, the same numbers.

    Uniform within sqrt(6 / (fan_in + fan_out)), with 2 in place of 6 for logistic units.
    """
    factor = 2.0 if core_name(activation) == "sigmoid" else 6.0
    weights, biases = [], []
    for fan_in, fan_out in pairwise(sizes):
        bound = np.sqrt(factor / (fan_in + fan_out))
        weights.append(random.uniform(-bound, bound, (fan_in, fan_out)))
        biases.append(random.uniform(-bound, bound, fan_out))
    return weights, biases


def trimmed(state: TrainingState) -> TrainingState:
    """Drop what is not needed to continue a finished run exactly."""
    first = None if state.first_loss is None else float(state.first_loss)
    if state.batch:  # interrupted within an epoch
        return replace(state, first_loss=first)
    return replace(
        state, first_loss=first, last_good=[], epoch_start=[], epoch_first_loss=None, best=[]
    )
