"""The warning at the end of `fit` that a model is no better than a constant, with the cause."""

from typing import Any

from sklearn.exceptions import ConvergenceWarning

from xpnet.doctor.doctor import Doctor
from xpnet.training import skill
from xpnet.training.skill import unscaled

SAID_ANYWAY = {"unscaled-inputs", "learning-rate-too-small"}
SYMPTOMS = {"no-better-than-constant", "constant-output", "loss-not-decreasing", "loss-rising"}
REMEDIES = {
    "saturated-units": "Scale X, or set init='auto'.",
    "dead-units": "Scale X, or set init='auto' or activation='leaky_relu'.",
    "regularisation-dominates": "Lower alpha.",
    "initial-loss": "Scale X and y (TransformedTargetRegressor), or set init='auto'.",
    "wrong-init-scale": "Set init='auto'.",
    "exploding-gradient": "Scale X, or set init='auto'.",
    "unshuffled-rows": "Set shuffle=True.",
    "vanishing-gradient": "Set init='auto', or activation='relu'.",
}


class DivergenceWarning(ConvergenceWarning):  # type: ignore[misc]
    """Training ran away; the estimator keeps its best weights."""


class NoSkillWarning(skill.NoSkillWarning, ConvergenceWarning):  # type: ignore[misc]
    """The same of an estimator, and one of the warnings that scikit-learn's users know."""


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
        name, rate = rate_of(estimator)
        lines.append(
            f"Training stopped after {estimator.n_iter_} of {estimator.max_iter} epochs, because "
            f"nothing improved by tol={estimator.tol:g} for {estimator.n_iter_no_change} epochs: a "
            f"plateau that the learning rate is too small to leave. Set {name}={10 * rate:g} (it "
            f"was {rate:g}), or lower tol."
        )
    else:
        lines.append(
            f"All {estimator.n_iter_} epochs were needed: raise max_iter, or "
            f"{rate_of(estimator)[0]}."
        )
    return "Likely cause: " + " ".join(line for line in lines if line)


def rate_of(estimator: Any) -> tuple[str, float]:
    """Return the name of the learning rate that counts, and its value."""
    if isinstance(estimator.solver, str):
        return "learning_rate_init", float(estimator.learning_rate_init)
    return "the solver's learning_rate", float(estimator.solver.learning_rate)


def _scaling(inputs: Any) -> str:
    """Say so if the features are far from mean 0 and standard deviation 1."""
    found = unscaled(inputs)
    if not found:
        return ""
    return (
        f"X is not scaled ({found}). Pass standardize=True, or use a Pipeline with StandardScaler."
    )
