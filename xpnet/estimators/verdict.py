"""Warnings at the end of a fit: that it diverged or has learnt nothing, and the likely cause."""

from collections.abc import Container, Iterator
from typing import Any

from sklearn.exceptions import ConvergenceWarning

from xpnet.backend.device import Array, to_host
from xpnet.doctor.findings import Finding
from xpnet.doctor.sklearn import PARAMETERS
from xpnet.estimators.parameters import optimizer_of
from xpnet.training.lbfgs import LBFGS
from xpnet.training.loop import Training
from xpnet.training.skill import NoSkillWarning as BaseNoSkillWarning
from xpnet.training.skill import find_no_skill, unscaled

SAID_ANYWAY = {"unscaled-inputs", "learning-rate-too-small"}
SYMPTOMS = {"no-better-than-constant", "constant-output", "loss-not-decreasing", "loss-rising"}


class DivergenceWarning(ConvergenceWarning):  # type: ignore[misc]
    """Training diverged; the estimator keeps its last good weights."""


class NoSkillWarning(BaseNoSkillWarning, ConvergenceWarning):  # type: ignore[misc]
    """The estimator has learnt nothing; also a `ConvergenceWarning` of scikit-learn."""


def no_skill(
    estimator: Any, training: Training | LBFGS, start: Array
) -> Iterator[tuple[str, type[NoSkillWarning]]]:
    """Yield a warning, with the likely causes, if a network is no better than a constant.

    `start` has its parameters, (parameters,), before the run.
    """
    unskilled = find_no_skill(training, estimator._seed)
    if unskilled is None:
        return
    skill, judged = unskilled
    causes = []
    if scales := unscaled(to_host(judged.x)):
        remedy = "Pass standardize=True, or use a Pipeline with StandardScaler."
        causes.append(f"X is not scaled ({scales}). {remedy}")
    for each in _findings(training, start):
        if each.severity != "note" and each.code not in SYMPTOMS | SAID_ANYWAY:
            remedy = _remedy(each, estimator.get_params(deep=False))
            causes.append(f"{each.code} in {each.where}: {each.evidence}. {remedy}")
    causes.append(_next_attempt(estimator))
    message = f"{type(estimator).__name__}: {skill}. Likely cause: {' '.join(causes)}"
    yield message, NoSkillWarning


def _next_attempt(estimator: Any) -> str:
    if estimator.solver == "lbfgs":
        return "Set init='auto', or solver='adam'."
    rate, name = float(optimizer_of(estimator).learning_rate), "the solver's learning_rate"
    if isinstance(estimator.solver, str):
        name = "learning_rate_init"
    longer = f"lower tol (it was {estimator.tol:g})"
    if estimator.n_iter_ == estimator.max_iter:
        longer = "raise max_iter"
    return (
        f"Training took {estimator.n_iter_} of {estimator.max_iter} epochs. Set {name}="
        f"{10 * rate:g} (it was {rate:g}), or {longer}."
    )


def _findings(training: Any, start: Array) -> tuple[Finding, ...]:
    """Let the doctor look at start and end afterwards, since most fits need no doctor."""
    from xpnet.doctor.doctor import Doctor

    doctor, net = Doctor(), training.net
    end = net.device.xp.asarray(net.flat, copy=True)
    net.flat[...] = start
    try:
        doctor.on_train_start(training)
    finally:
        net.flat[...] = end
    doctor.on_train_end(training)
    return doctor.report().findings


def _remedy(finding: Finding, parameters: Container[str]) -> str:
    """Return a finding's remedy as parameters of the estimator, or else in its own words."""
    names = PARAMETERS | {"standardize_target": "standardize"}
    repair = {names.get(name, name): each for name, each in (finding.repair or {}).items()}
    settings = [f"{name}={each!r}" for name, each in repair.items() if name in parameters]
    return f"Set {', '.join(settings)}." if settings else finding.remedy.splitlines()[0]
