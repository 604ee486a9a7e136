"""The warning at the end of `fit` that a model is no better than a constant, with the cause."""

from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from xpnet.doctor import Doctor
from xpnet.findings import Finding
from xpnet.observations import skill

ENOUGH_ROWS = 20  # below, nothing is said
JUDGED_ROWS = 2000
# Likelihood ratio: n * skill is about twice the gain in log-likelihood over the best constant,
# and chance alone gives 4 or more in one case of 20 for each free parameter.
LEAST_GAIN = 4.0
LEAST_SPREAD = 0.05  # of the outputs, in standard deviations of the targets

SYMPTOMS = {"no-better-than-constant", "constant-output", "loss-not-decreasing", "loss-rising"}
REMEDIES = {
    "unscaled-inputs": "Scale X: standardize=True, or a Pipeline with StandardScaler.",
    "saturated-units": "Scale X (standardize=True), or take init='auto'.",
    "dead-units": "Scale X (standardize=True), take init='auto' or activation='leaky_relu'.",
    "regularisation-dominates": "Lower alpha.",
    "initial-loss": "Scale X and y (standardize=True, TransformedTargetRegressor), or init='auto'.",
    "wrong-init-scale": "Take init='auto'.",
    "vanishing-gradient": "Take init='auto', or activation='relu'.",
}


class DivergenceWarning(ConvergenceWarning):
    """Training ran away; the estimator keeps its best weights."""


class NoSkillWarning(ConvergenceWarning):
    """The fitted model is no better than the best constant prediction."""


def shortcoming(outputs: Any, targets: Any) -> str:
    """Say in what a model fails: "" if it does not, or there are too few rows to tell.

    Parameters
    ----------
    outputs, targets : host array, (n, outputs)
        Probabilities or values, and what they should be.
    """
    rows = len(targets)
    deviation = float(np.sqrt(np.mean(np.var(targets, axis=0))))
    if rows < ENOUGH_ROWS or not deviation > 0.0:
        return ""
    gained, spread = skill(outputs, targets), float(np.sqrt(np.mean(np.var(outputs, axis=0))))
    if spread < LEAST_SPREAD * deviation:
        return (
            f"the outputs are nearly the same for all samples (standard deviation {spread:.2g}, of "
            f"the targets {deviation:.2g})"
        )
    if not gained * rows >= LEAST_GAIN:
        return (
            "the model is no better than the best constant prediction: it explains "
            f"{max(gained, 0.0):.1%} of the targets' variance on {rows} training rows"
        )
    return ""


def advice(doctor: Doctor, estimator: Any) -> str:
    """Name the likely causes that the doctor saw, and what to change in the estimator."""
    findings = [each for each in doctor.report().findings if each.code not in SYMPTOMS]
    serious = [each for each in findings if each.severity != "note"]
    lines = [_line(each, estimator) for each in serious[:3]]
    if estimator.n_iter_ < estimator.max_iter and estimator.solver != "lbfgs":
        lines.append(
            f"Training stopped after {estimator.n_iter_} of {estimator.max_iter} epochs since the "
            f"loss fell by less than tol={estimator.tol:g} an epoch, which happens on a plateau. "
            f"Raise learning_rate_init (now {estimator.learning_rate_init:g}), or lower tol."
        )
    elif not lines:
        lines.append("Train longer (max_iter), scale X (standardize=True), or take init='auto'.")
    if not any(each.code in REMEDIES for each in serious) and not estimator.standardize:
        lines.append("Where features differ in scale, standardize=True helps.")
    return " ".join(lines)


def _line(finding: Finding, estimator: Any) -> str:
    rate = (finding.repair or {}).get("learning_rate")
    remedy = REMEDIES.get(finding.code, finding.remedy.splitlines()[0])
    if rate is not None:
        remedy = f"Set learning_rate_init={rate:g}."
    return f"Likely cause ({finding.code}) in {finding.where}: {finding.evidence}. {remedy}"
