"""What an estimator checks: its parameters, where arrays live, and that the model is of use."""

import warnings
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn import get_config
from sklearn.exceptions import ConvergenceWarning

from xpnet.batches import Data
from xpnet.device import Device, is_foreign
from xpnet.doctor import Doctor
from xpnet.errors import InputError
from xpnet.network import MLP

CHECKED_ROWS = 10_000
USELESS = 0.005  # share of the constant's loss by which a model must be better to be of use

CHOICES = {
    "solver": ("lbfgs", "sgd", "adam"),
    "learning_rate": ("constant", "invscaling", "adaptive"),
    "dtype": (None, "float32", "float64"),
}
# name: kind, least value, and most value where there is one
RANGES: dict[str, tuple[Any, float, float]] = {
    "alpha": (Real, 0.0, np.inf),
    "power_t": (Real, 0.0, np.inf),
    "max_iter": (Integral, 1, np.inf),
    "max_fun": (Integral, 1, np.inf),
    "tol": (Real, 0.0, np.inf),
    "n_iter_no_change": (Real, 1, np.inf),
}

REMEDIES = {
    "unscaled-inputs": "standardize=True, or put a StandardScaler before it",
    "learning-rate-too-small": "a larger learning_rate_init, or a larger max_iter",
    "learning-rate-too-large": "a smaller learning_rate_init",
    "saturated-units": "standardize=True, or activation='relu'",
    "vanishing-gradient": "fewer layers, activation='relu', or a larger learning_rate_init",
    "dead-units": "a smaller learning_rate_init, or activation='tanh'",
    "regularisation-dominates": "a smaller alpha",
    "class-imbalance": "class_weight='balanced'",
}


class UselessModelWarning(ConvergenceWarning):
    """The fitted model is no better than a constant prediction."""


def layer_sizes(hidden_layer_sizes: Any) -> list[int]:
    """Return the sizes of the hidden layers as a list."""
    single = not hasattr(hidden_layer_sizes, "__iter__")
    sizes = [hidden_layer_sizes] if single else list(hidden_layer_sizes)
    if any(not isinstance(size, Integral) or size <= 0 for size in sizes):
        raise InputError(f"hidden_layer_sizes must be > 0, got {sizes}.")
    return [int(size) for size in sizes]


def check_options(estimator: Any, *, incremental: bool) -> None:
    """Refuse parameters that the core does not check by itself."""
    for name, allowed in CHOICES.items():
        value = getattr(estimator, name)
        if value not in allowed:
            raise InputError(f"{name} {value!r} is not known; use one of {allowed}")
    for name, (kind, least, most) in RANGES.items():
        value = getattr(estimator, name)
        if not isinstance(value, kind) or not least <= value <= most:
            raise InputError(f"{name} {value!r} must be a number from {least}")
    size = estimator.batch_size
    if size != "auto" and (not isinstance(size, Integral) or size < 1):
        raise InputError(f"batch_size {size!r} must be 'auto' or an integer from 1")
    if not 0.0 <= estimator.validation_fraction < 1.0:
        raise InputError(
            f"validation_fraction {estimator.validation_fraction!r} must be from 0 to below 1"
        )
    if incremental and estimator.early_stopping:
        raise InputError("partial_fit does not support early_stopping=True")
    if estimator.solver == "lbfgs" and np.any(np.asarray(estimator.dropout) > 0):
        raise InputError("solver='lbfgs' cannot train with dropout; use 'adam' or 'sgd'")


def is_foreign_array(array: Any) -> bool:
    """Tell whether scikit-learn would compute an array where it is, and it is not NumPy's."""
    if not get_config()["array_api_dispatch"] or hasattr(array, "tocsr"):
        return False
    return not hasattr(array, "iloc") and is_foreign(array)


def check_same_device(estimator: Any, device: Device, method: str) -> None:
    """Refuse arrays of another library or device than the fitted parameters'."""
    fitted = estimator._net.device
    if fitted.xp is not device.xp or fitted.name != device.name:
        raise InputError(
            f"Inputs passed to {type(estimator).__name__}.{method}() must use the same namespace "
            f"and the same device as those passed to fit(): {device.name} given, {fitted.name} "
            "fitted; move the arrays, or fit again"
        )


def warn_if_useless(estimator: Any, net: MLP, data: Data, doctor: Doctor) -> None:
    """Warn where the model is no better than the best constant prediction; say why and what to do.

    The loss is compared with that of predicting the targets' (weighted) mean in every row, which
    is what a network with constant outputs can reach at best.
    """
    x: Any = data.x
    rows = min(data.y.shape[0], CHECKED_ROWS)
    x = net.device.put(x.read_rows(np.arange(rows)), net.dtype) if hasattr(x, "read_rows") else x
    get = net.device.get
    targets = np.asarray(get(data.y[:rows, :]), dtype=np.float64)
    weights = None if data.row_weights is None else np.asarray(get(data.row_weights))[:rows, 0]
    mean = np.average(targets, axis=0, weights=weights)
    if np.all(targets == targets[:1]):
        return  # a constant is the truth
    with np.errstate(all="ignore"):
        outputs = np.asarray(get(net.outputs(x[:rows, :])), dtype=np.float64)
        found = _error(targets, outputs, weights, net.output.name)
    constant = _error(targets, np.broadcast_to(mean, targets.shape), weights, net.output.name)
    if found < (1.0 - USELESS) * constant:
        return
    spread = float(np.max(np.std(outputs, axis=0)))
    cause, remedy = _cause(estimator, doctor)
    warnings.warn(
        f"the fitted {type(estimator).__name__} is no better than always predicting the mean of y: "
        f"its loss is {found:.4g}, that of the constant {constant:.4g}, and its outputs vary by "
        f"{spread:.2g} over the rows. {cause}. Try {remedy}",
        UselessModelWarning,
        stacklevel=6,
    )


def _error(targets: Any, outputs: Any, weights: Any, output: str) -> float:
    """Return cross-entropy for probabilities, squared error for anything else."""
    if output in ("sigmoid", "softmax", "block_softmax"):
        p = np.minimum(np.maximum(outputs, 1e-12), 1.0 - 1e-12)
        terms = targets * np.log(p)
        if output == "sigmoid":
            terms = terms + (1.0 - targets) * np.log(1.0 - p)
        terms = -terms
    else:
        terms = (outputs - targets) ** 2
    return float(np.average(np.sum(terms, axis=1), weights=weights))


def _cause(estimator: Any, doctor: Doctor) -> tuple[str, str]:
    """Ask the doctor, who watched the training, for the likeliest cause."""
    for finding in doctor.report().findings:
        if finding.code in REMEDIES:
            return (
                f"The likely cause is {finding.code} in {finding.where}: {finding.evidence}",
                REMEDIES[finding.code],
            )
    return (
        f"Nothing in the data explains it; the training took {estimator.n_iter_} epochs",
        "a larger learning_rate_init, a smaller tol, or a larger max_iter",
    )
