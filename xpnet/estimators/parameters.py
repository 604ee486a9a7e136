"""scikit-learn's parameters in the core's terms: names, sizes, solvers, initial weights."""

from itertools import pairwise
from numbers import Integral
from typing import Any

import numpy as np

from xpnet.errors import InputError
from xpnet.nn.optimizers import SGD, Adam, AdamW, Optimizer


def core_name(activation: Any) -> Any:
    """Return the core's name for an activation, or for each of a sequence."""
    if isinstance(activation, (list, tuple)):
        return [core_name(each) for each in activation]
    return "sigmoid" if activation == "logistic" else activation


def hidden_sizes(given: Any) -> list[int]:
    """Return the hidden layers' units from the parameter ``hidden_layer_sizes``."""
    sizes = list(given) if hasattr(given, "__iter__") else [given]
    if any(not isinstance(size, Integral) or size <= 0 for size in sizes):
        raise InputError(f"hidden_layer_sizes must be > 0 and integers, got {sizes}.")
    return [int(size) for size in sizes]


def sklearn_draws(random: Any, sizes: list[int], activation: Any) -> tuple[list[Any], list[Any]]:
    """Draw weights and biases as scikit-learn does, in its order: the same seed, the same numbers.

    Uniform within sqrt(6 / (fan_in + fan_out)), with 2 in place of 6 for logistic units.
    """
    kinds = core_name(activation)
    kinds = kinds if isinstance(kinds, list) else [kinds]
    factor = 2.0 if all(kind == "sigmoid" for kind in kinds) else 6.0
    weights, biases = [], []
    for fan_in, fan_out in pairwise(sizes):
        bound = np.sqrt(factor / (fan_in + fan_out))
        weights.append(random.uniform(-bound, bound, (fan_in, fan_out)))
        biases.append(random.uniform(-bound, bound, fan_out))
    return weights, biases


def optimizer_of(estimator: Any) -> Optimizer:
    """Return the core's optimiser for an estimator's solver and its parameters."""
    rate, solver = float(estimator.learning_rate_init), estimator.solver
    if solver == "sgd":
        return SGD(rate, estimator.momentum, estimator.nesterovs_momentum)
    if solver in ("adam", "adamw"):
        kind = Adam if solver == "adam" else AdamW
        return kind(rate, estimator.beta_1, estimator.beta_2, estimator.epsilon)
    if isinstance(solver, type):
        name = solver.__name__
        raise InputError(f"solver {name} is a class; pass {name}(...), an instance of it")
    given: Optimizer = solver
    return given
