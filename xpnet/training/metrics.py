"""Metrics: measures of the outputs besides the loss."""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from xpnet.errors import InputError
from xpnet.nn.arrays import class_numbers

Metric: TypeAlias = Callable[[Any, Any], float]


def accuracy(outputs: Any, targets: Any) -> float:
    """Return the share of rows whose class is right, whatever the output activation.

    Host arrays, (n, outputs). Where each row of the targets is one class, one-hot or smoothed, the
    largest output has to be that of the class; elsewhere, every output on its target's side of 0.5.
    """
    one_class = np.allclose(np.sum(targets, axis=1), 1.0, rtol=0.0, atol=1e-3)  # as `as_targets`
    if outputs.shape[1] == 1 or one_class:
        return float(np.mean(class_numbers(np, outputs) == class_numbers(np, targets)))
    return float(np.mean(np.all((outputs > 0.5) == (targets > 0.5), axis=1)))


def r2(outputs: Any, targets: Any) -> float:
    """1 - residual sum of squares / total sum of squares, averaged over the outputs."""
    targets = np.asarray(targets, dtype=np.float64)
    residual = np.sum((targets - outputs) ** 2, axis=0)
    total = np.sum((targets - np.mean(targets, axis=0)) ** 2, axis=0)
    return float(np.mean(np.where(total > 0.0, 1.0 - residual / np.where(total > 0, total, 1), 0)))


def mean_absolute_error(outputs: Any, targets: Any) -> float:
    """Mean of |output - target| over rows and outputs."""
    return float(np.mean(np.abs(np.asarray(targets, dtype=np.float64) - outputs)))


METRICS: dict[str, Metric] = {m.__name__: m for m in (accuracy, r2, mean_absolute_error)}


def resolve_metrics(metrics: Any) -> dict[str, Metric]:
    """Return a dict of metrics from names and callables ``metric(outputs, targets)``."""
    resolved: dict[str, Metric] = {}
    for metric in metrics if isinstance(metrics, (list, tuple, set)) else [metrics]:
        if not callable(metric) and metric not in METRICS:
            raise InputError(f"metric {metric!r} is not known; use one of {', '.join(METRICS)}")
        name = getattr(metric, "__name__", "metric") if callable(metric) else metric
        if name in resolved:
            raise InputError(f"two metrics are called {name!r}; set another __name__ for one")
        resolved[name] = metric if callable(metric) else METRICS[metric]
    return resolved
