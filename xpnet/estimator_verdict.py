"""The warning at the end of `fit` that a model is no better than a constant, with the cause."""

from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from xpnet.doctor import Doctor

ENOUGH_ROWS = 20  # below, nothing is said
JUDGED_ROWS = 10_000
JUDGED_NUMBERS = 1_000_000  # rows times features
# Twice the gain in log-likelihood over the best constant (likelihood ratio); for squared errors
# n (1 - error / that of the constant) is about that. A single useless parameter gains 4 or more by
# chance in one case of 20.
LEAST_GAIN = 4.0
LEAST_SPREAD = 0.01  # of the outputs, in the targets' standard deviations; rare classes have little

NOT_CENTRED = 1.0  # mean of a feature, in its standard deviations
SPREADS = (0.1, 10.0)  # standard deviations that need no scaling

SAID_ANYWAY = {"unscaled-inputs", "learning-rate-too-small"}
SYMPTOMS = {"no-better-than-constant", "constant-output", "loss-not-decreasing", "loss-rising"}
REMEDIES = {
    "saturated-units": "Scale X, or set init='auto'.",
    "dead-units": "Scale X, or set init='auto' or activation='leaky_relu'.",
    "regularisation-dominates": "Lower alpha.",
    "initial-loss": "Scale X and y (TransformedTargetRegressor), or set init='auto'.",
    "wrong-init-scale": "Set init='auto'.",
    "exploding-gradient": "Scale X, lower alpha, or set init='auto'.",
    "unshuffled-rows": "Set shuffle=True.",
    "vanishing-gradient": "Set init='auto', or activation='relu'.",
}


class DivergenceWarning(ConvergenceWarning):  # type: ignore[misc]
    """Training ran away; the estimator keeps its best weights."""


class NoSkillWarning(ConvergenceWarning):  # type: ignore[misc]
    """The fitted model is no better than the best constant prediction."""


def shortcoming(outputs: Any, targets: Any, *, classes: bool) -> str:
    """Say how a model fails: "" if it does not, or if there are too few rows to tell.

    Parameters
    ----------
    outputs, targets : host array, (n, outputs)
        Probabilities or values, and what they should be.
    classes : bool
        Compare log-likelihoods, not squared errors.
    """
    rows, outputs = len(targets), np.asarray(outputs, dtype=np.float64)
    deviation = float(np.sqrt(np.mean(np.var(targets, axis=0))))
    if rows < ENOUGH_ROWS or not deviation > 0.0:
        return ""
    spread = float(np.sqrt(np.mean(np.var(outputs, axis=0))))
    if spread < LEAST_SPREAD * deviation:
        return (
            f"the outputs are nearly the same for all samples (standard deviation {spread:.2g}, "
            f"against {deviation:.2g} for the targets)"
        )
    loss = _log_loss if classes else _squared_error
    own, constant = loss(outputs, targets), loss(np.mean(targets, axis=0), targets)
    gain = rows * (2.0 * (constant - own) if classes else 1.0 - own / constant)
    if gain >= LEAST_GAIN:
        return ""
    return (
        f"the model is no better than the best constant prediction ({loss.__name__[1:]} {own:.5g}, "
        f"against {constant:.5g} for the constant, on {rows} training rows)".replace("_", " ")
    )


def _log_loss(p: Any, targets: Any) -> float:
    """Mean over the rows, and sum over the outputs, of the loss of each output by itself."""
    p = np.minimum(np.maximum(p, 1e-12), 1.0 - 1e-12)
    likelihoods = targets * np.log(p) + (1.0 - targets) * np.log1p(-p)
    return -float(np.mean(np.sum(likelihoods, axis=1)))


def _squared_error(outputs: Any, targets: Any) -> float:
    return float(np.mean(np.sum((targets - outputs) ** 2, axis=1)))


def advice(doctor: Doctor, estimator: Any, inputs: Any) -> str:
    """Name the likely causes, and what to change in the estimator.

    Parameters
    ----------
    doctor : Doctor
        The one that watched the training.
    estimator : MLPClassifier or MLPRegressor
    inputs : host array, (n, features)
        As the network got them.
    """
    lines = [_scaling(inputs)]
    for each in doctor.report().findings:
        if each.severity != "note" and each.code not in SYMPTOMS | SAID_ANYWAY:
            remedy = REMEDIES.get(each.code, each.remedy.splitlines()[0])
            lines.append(f"{each.code} in {each.where}: {each.evidence}. {remedy}")
    if estimator.solver == "lbfgs":
        lines.append("Set init='auto', or solver='adam'.")
    elif estimator.n_iter_ < estimator.max_iter:
        rate = estimator.learning_rate_init
        lines.append(
            f"Training stopped after {estimator.n_iter_} of {estimator.max_iter} epochs, because "
            f"nothing improved by tol={estimator.tol:g} for {estimator.n_iter_no_change} epochs: a "
            f"plateau that the learning rate is too small to leave. Set learning_rate_init="
            f"{10 * rate:g} (it was {rate:g}), or lower tol."
        )
    else:
        lines.append(
            f"All {estimator.n_iter_} epochs were needed: raise max_iter, or learning_rate_init."
        )
    return "Likely cause: " + " ".join(line for line in lines if line)


def _scaling(inputs: Any) -> str:
    """Say so if the features are far from mean 0 and standard deviation 1."""
    mean, deviation = np.abs(np.mean(inputs, axis=0)), np.std(inputs, axis=0)
    varies = deviation > 1e-12 * (mean + 1e-300)
    mean, deviation = mean[varies], deviation[varies]
    low, high = SPREADS
    if not np.any((mean > NOT_CENTRED * deviation) | (deviation < low) | (deviation > high)):
        return ""
    return (
        f"X is not scaled (means up to {mean.max():.3g}, standard deviations from "
        f"{deviation.min():.2g} to {deviation.max():.2g}). Pass standardize=True, or use a "
        "Pipeline with StandardScaler."
    )
