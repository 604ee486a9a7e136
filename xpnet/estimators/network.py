"""The estimators' network: its sizes, scikit-learn's initial weights, what may change later."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from numbers import Integral
from typing import Any

import numpy as np

from xpnet.errors import InputError
from xpnet.estimators.labels import BLOCKS
from xpnet.nn.activations import HIDDEN, OUTPUTS, resolve_activation
from xpnet.nn.network import MLP, checked_rates, per_layer
from xpnet.training.loop import TrainingState

NAMES = {"logistic": "sigmoid"}  # scikit-learn's, where it differs from the core's


def core_name(activation: Any) -> Any:
    """Return the core's name for an activation, or for each of a sequence."""
    if isinstance(activation, (list, tuple)):
        return [core_name(each) for each in activation]
    return NAMES.get(activation, activation) if isinstance(activation, str) else activation


def shown_name(output: Any) -> str:
    """Return scikit-learn's name for an output activation, given by the core's name or itself."""
    name: str = getattr(output, "name", output)
    return {"sigmoid": "logistic", BLOCKS: "softmax"}.get(name, name)


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
    kinds = core_name(activation)
    kinds = kinds if isinstance(kinds, list) else [kinds]
    factor = 2.0 if all(kind == "sigmoid" for kind in kinds) else 6.0
    weights, biases = [], []
    for fan_in, fan_out in pairwise(sizes):
        bound = np.sqrt(factor / (fan_in + fan_out))
        weights.append(random.uniform(-bound, bound, (fan_in, fan_out)))
        biases.append(random.uniform(-bound, bound, fan_out))
    return weights, biases


def check_unchanged(estimator: Any, sizes: list[int]) -> None:
    """Refuse what cannot change while training goes on with the same network."""
    net, device = estimator.network_, getattr(estimator.device, "name", estimator.device)
    if list(net.sizes) != sizes:
        raise InputError(
            f"the network has layers of {list(net.sizes)} units, but the data and "
            f"hidden_layer_sizes ask for {sizes}; set warm_start=False to start afresh"
        )
    for name, asked, found in (
        ("device", device, net.device.name),
        ("dtype", estimator.dtype, net.dtype),
        ("standardize", estimator.standardize, estimator._scaler is not None),
    ):
        if asked is not None and asked != found:
            raise InputError(
                f"{name}={asked!r}, but training goes on with a network that has {name}={found!r}; "
                "call fit with warm_start=False to start afresh"
            )


def with_functions(net: MLP, hidden: Any, output: Any, dropout: Any) -> MLP:
    """Return the network if it has these activations and rates, or one with them and its weights.

    Parameters
    ----------
    net : MLP
    hidden, output, dropout
        As for `MLP`.
    """
    layers = len(net.sizes) - 2
    wanted = {
        "hidden": tuple(resolve_activation(each, HIDDEN) for each in per_layer(hidden, layers)),
        "output": resolve_activation(output, OUTPUTS),
        "dropout": checked_rates(per_layer(dropout, layers)),
    }
    if all(getattr(net, name) == value for name, value in wanted.items()):
        return net
    return MLP.from_config({**net.config(), **wanted}, net.weights, net.biases, device=net.device)


def trimmed(state: TrainingState) -> TrainingState:
    """Drop what is not needed to continue a finished run exactly."""
    first = None if state.first_loss is None else float(state.first_loss)
    if state.batch:  # interrupted within an epoch
        return replace(state, first_loss=first)
    return replace(
        state, first_loss=first, last_good=[], epoch_start=[], epoch_first_loss=None, best=[]
    )


def at_epoch_start(state: TrainingState) -> TrainingState:
    """Leave an interrupted epoch as it is: the next step begins one."""
    return trimmed(replace(state, batch=0, epoch_loss=0.0, epoch_rows=0))
