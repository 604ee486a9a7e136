"""Translate scikit-learn's parameters: names, sizes, solvers, initial weights."""

from collections.abc import Sequence
from itertools import pairwise
from numbers import Integral
from typing import Any

import numpy as np

from xpnet.backend.device import Array
from xpnet.errors import InputError
from xpnet.nn.optimizers import SGD, Adam, AdamW, Optimizer
from xpnet.training.loop import TrainingState


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
    """Draw weights and biases like scikit-learn, in its order: a seed gives the same numbers.

    They are uniform within sqrt(6 / (fan_in + fan_out)), or sqrt(2 / ...) for logistic units.
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


def can_train_in_steps(estimator: Any) -> bool:
    """Return whether there is a `partial_fit`; scikit-learn shows the error."""
    if estimator.solver == "lbfgs":
        raise AttributeError(
            "partial_fit is only available for stochastic optimizers. lbfgs is not stochastic."
        )
    return True


class LayerArrays:
    """An attribute with the network's arrays of each layer or, before a fit, those set by hand.

    Setting it writes into the network's arrays, which must have the same shapes.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, estimator: Any, kind: Any = None) -> Any:
        if estimator is None:
            return self
        net = vars(estimator).get("network_")
        return getattr(estimator, f"_{self._name}") if net is None else getattr(net, self._name)

    def __set__(self, estimator: Any, values: Sequence[Array]) -> None:
        net = vars(estimator).get("network_")
        if net is None:  # for a training that goes on
            setattr(estimator, f"_{self._name}", values)
        else:
            net.set_parameters(**{"weights": net.weights, "biases": net.biases, self._name: values})


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


def to_continue(state: TrainingState) -> TrainingState:
    """Return the state that the next call continues from; an interrupted epoch begins again."""
    return TrainingState(
        epoch=state.epoch, step=state.step, optimizer=state.optimizer, history=state.history,
        first_loss=float(state.first_loss),
        learning_rate_factor=state.learning_rate_factor,
    )  # fmt: skip
