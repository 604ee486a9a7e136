"""scikit-learn's MLPs as xpnet networks with the same settings, for `diagnose`."""

from dataclasses import replace
from typing import Any

import numpy as np

from xpnet.doctor.findings import Finding, Report
from xpnet.errors import InputTypeError
from xpnet.nn.network import MLP
from xpnet.nn.optimizers import SGD, Adam

EPOCHS = 100  # at most: enough to see whether it learns
ACTIVATIONS = {"logistic": "sigmoid"}
PARAMETERS = {
    "learning_rate": "learning_rate_init", "l2": "alpha", "epochs": "max_iter",
    "hidden": "activation", "optimizer": "solver",
}  # fmt: skip


def as_network(
    estimator: Any, x: Any, y: Any, batch_size: int | None = None
) -> tuple[MLP, Any, dict[str, Any]]:
    """Return a network like an ``MLPClassifier`` or ``MLPRegressor``, its targets and its settings.

    Targets are numbers, or class numbers of the sorted labels; several labels per row stay as they
    are. Settings are arguments of `diagnose`; of the penalty, scikit-learn divides by the rows of a
    batch, of the size given, if any, or else its own.
    """
    try:
        given = estimator.get_params()
        hidden, kind = given["hidden_layer_sizes"], ACTIVATIONS.get(given["activation"])
    except (AttributeError, KeyError):
        raise InputTypeError(
            f"{type(estimator).__name__} is neither an xpnet.MLP nor an MLP of scikit-learn's"
        ) from None
    x, y = np.asarray(x), np.asarray(y)
    output, last = "identity", 1 if y.ndim == 1 else y.shape[1]
    if hasattr(estimator, "predict_proba"):
        output = "sigmoid"
        if y.ndim == 1:
            labels, y = np.unique(y, return_inverse=True)
            if len(labels) != 2:
                output, last = "softmax", len(labels)
    size = given["batch_size"] if batch_size is None else batch_size
    rows = max(1, min(200 if size == "auto" else int(size), len(x)))
    sizes = [x.shape[1], *np.atleast_1d(hidden).tolist(), last]
    names = [kind or given["activation"]] * (len(sizes) - 2)
    net = MLP(sizes, hidden=names, output=output, init="glorot_uniform", seed=0)
    rate = given["learning_rate_init"]
    optimizer = SGD(rate, momentum=given["momentum"]) if given["solver"] == "sgd" else Adam(rate)
    settings = {"optimizer": optimizer, "batch_size": rows, "l2": given["alpha"] / rows}
    return net, y, settings | {"epochs": min(EPOCHS, given["max_iter"])}


def in_sklearns_words(report: Report) -> Report:
    """Return a report whose repairs are scikit-learn's parameters."""

    def renamed(finding: Finding) -> Finding:
        changes = finding.repair or {}
        return replace(finding, repair={PARAMETERS.get(n, n): v for n, v in changes.items()})

    return Report(tuple(map(renamed, report.findings)), report.facts)
