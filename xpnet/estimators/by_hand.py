"""Fitted attributes that people set by hand: coefficients, and the output activation."""

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from xpnet.backend.types import Array
from xpnet.errors import InputError
from xpnet.estimators.network import core_name, shown_name
from xpnet.nn.network import MLP
from xpnet.training.loop import TrainingState


def coefficients(estimator: Any, name: str) -> Sequence[Array]:
    """Return ``coefs_`` or ``intercepts_``: the network's own, or those given before any fit."""
    if "network_" in vars(estimator):
        net: MLP = estimator.network_
        return net.weights if name == "coefs_" else net.biases
    found: list[Array] = _given(estimator, name)
    return found


def set_coefficients(estimator: Any, name: str, values: list[Array]) -> None:
    """Write ``coefs_`` or ``intercepts_`` into the network, or keep them until there is one."""
    if "network_" not in vars(estimator):
        estimator._given = {**vars(estimator).get("_given", {}), name: values}
        return
    take_copies(estimator, always=False)
    net, weights = estimator.network_, name == "coefs_"
    net.set_parameters(values if weights else net.weights, net.biases if weights else values)


def out_activation(estimator: Any) -> str:
    """Return scikit-learn's name of the output activation."""
    if "network_" in vars(estimator):
        return shown_name(estimator.network_.output)
    found: str = _given(estimator, "out_activation_")
    return found


def set_out_activation(estimator: Any, value: Any) -> None:
    """Accept the output activation that the network has, or will have; refuse any other."""
    if "network_" in vars(estimator):
        own = shown_name(estimator.network_.output)
    else:
        estimator._given = {**vars(estimator).get("_given", {}), "out_activation_": value}
        follows = hasattr(estimator, "out_activation")  # or from classes, not known yet
        own = shown_name(estimator._output()) if follows else value
    if own != shown_name(value):
        remedy = "the output of a classifier follows from its classes"
        if hasattr(estimator, "out_activation"):
            remedy = f"set_params(out_activation={value!r}), and fit"
        raise InputError(f"out_activation_ is {own!r} and cannot be set to {value!r}: {remedy}")


def adopt(estimator: Any, device: Any, dtype: str | None = None) -> None:
    """Make the network from coefficients that were set by hand, if there is none.

    As in scikit-learn, they make a fitted regressor. A classifier cannot be made this way before a
    fit, since they do not say which its classes are; but `partial_fit`, or `fit` with
    ``warm_start=True``, learns the classes and goes on from the coefficients.
    """
    known = hasattr(estimator, "out_activation") or hasattr(estimator, "_labels")
    if "network_" in vars(estimator) or not known:
        return
    weights, biases = _layers(estimator, "coefs_", 2), _layers(estimator, "intercepts_", 1)
    sizes = [weights[0].shape[0], *(each.shape[1] for each in weights)]
    single = all(str(each.dtype).endswith("float32") for each in weights)
    dtype = dtype or estimator.dtype or ("float32" if single else "float64")
    net = MLP(
        sizes, hidden=core_name(estimator.activation), output=estimator._output(), dtype=dtype,
        init="zeros", device=device, seed=estimator._seed, dropout=estimator.dropout,
    )  # fmt: skip
    net.set_parameters(weights, biases)
    estimator.network_, estimator._state, estimator.n_features_in_ = net, TrainingState(), sizes[0]
    estimator.n_iter_, estimator.t_, estimator.loss_ = 0, 0, math.nan
    estimator.loss_curve_, estimator.validation_loss_curve_ = [], []
    estimator._begin_to_watch()
    estimator._describe(net)


def _layers(estimator: Any, name: str, axes: int) -> list[Any]:
    """Return ``coefs_`` or ``intercepts_`` that were set before a fit, one array per layer."""
    given = vars(estimator).get("_given", {}).get(name)
    remedy = f"set coefs_ and intercepts_, each to a list of one array per layer; {name} is of "
    remedy += "shape (fan_in, fan_out)" if axes == 2 else "shape (fan_out,)"
    if given is None or not hasattr(given, "__len__") or not len(given):
        found = "set to an empty list" if hasattr(given, "__len__") else f"{given!r:.60}"
        raise InputError(f"{name} is {found}: {remedy}")
    layers = []
    for index, each in enumerate(given):
        try:  # an array of any library stays as it is, with its mask if it has one
            array = each if hasattr(each, "dtype") else np.asarray(each)
        except ValueError as error:  # rows of different lengths
            raise InputError(f"{name}[{index}] is not an array ({error}): {remedy}") from error
        if len(array.shape) != axes or 0 in array.shape:
            raise InputError(f"{name}[{index}] has shape {tuple(array.shape)}: {remedy}")
        layers.append(array)
    return layers


def take_copies(estimator: Any, *, always: bool) -> None:
    """Give an estimator arrays of its own, if those it has cannot be written, or `always`.

    Those of a large model that joblib sends to another process are memory-mapped and read-only.
    """
    net = estimator.network_
    flags = getattr(net.flat, "flags", None)
    if always or not getattr(flags, "writeable", True):
        with net.device.active:
            copies = estimator._on(net.device, partial(net.device.xp.asarray, copy=True))
            vars(estimator).update(copies)


def _given(estimator: Any, name: str) -> Any:
    try:
        return vars(estimator).get("_given", {})[name]
    except KeyError:
        message = f"{type(estimator).__name__} has no {name} before it is fitted"
        raise AttributeError(message) from None
