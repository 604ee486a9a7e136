"""How the estimators train: scikit-learn's rules for when to stop, and the warnings at the end."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from xpnet.backend.device import Array
from xpnet.doctor.findings import Finding
from xpnet.nn.network import MLP
from xpnet.training import skill
from xpnet.training.loop import Training, TrainingState
from xpnet.training.skill import unscaled

MIN_RATE = 1e-6  # at which learning_rate="adaptive" stops
ADAPTIVE_FACTOR = 5.0
NON_FINITE = (
    "Solver produced non-finite parameter weights. The input data may contain large values and "
    "need to be preprocessed."
)
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


@dataclass
class Progress:
    """How far an estimator's training has come: its fitted attributes of the same names."""

    best_loss_: Any
    validation_scores_: Any
    best_validation_score_: Any
    _best: Array
    """The parameters with the best validation score."""
    n_iter_: int = 0
    t_: int = 0
    loss_: float = math.nan
    loss_curve_: list[float] = field(default_factory=list)
    validation_loss_curve_: list[float] = field(default_factory=list)
    _no_improvement_count: int = 0
    _learning_rate: float = math.nan

    @classmethod
    def of(cls, estimator: Any) -> "Progress":
        """Return that of an estimator."""
        return cls(**{each.name: getattr(estimator, each.name) for each in fields(cls)})

    @classmethod
    def begin(cls, net: MLP, *, early_stopping: bool) -> "Progress":
        """Return that of a new network: no loss seen yet, or with early stopping no score."""
        if early_stopping:
            return cls(None, [], -math.inf, net.device.xp.asarray(net.flat, copy=True))
        return cls(math.inf, None, None, None)


@dataclass
class SklearnStopping:
    """A callback that keeps the curves, and stops or slows down when nothing improves.

    Attributes
    ----------
    progress : Progress
        Kept up to date after every epoch.
    score : callable or None
        ``score(outputs)`` for the held-out rows, for early stopping.
    rate_mode : {"constant", "invscaling", "adaptive"}
    tol, n_iter_no_change, power_t, verbose
        As the estimators have them.
    best_epoch : device array, (parameters,), or None
        The parameters with which the epoch of the lowest loss began.
    """

    progress: Progress
    score: Callable[[Array], float] | None
    rate_mode: str
    tol: float
    n_iter_no_change: float
    power_t: float
    verbose: bool | int
    best_epoch: Array = None
    _lowest: float = math.inf

    def on_train_start(self, training: Training) -> None:
        """Count the epochs of this call."""
        rate = training.options.optimizer.learning_rate
        self.progress.n_iter_ = 0
        self.progress._learning_rate = rate * training.state.learning_rate_factor

    def on_epoch_end(self, training: Training) -> None:
        """Record the epoch, then decide about the next one."""
        progress = self.progress
        self.record(training)
        if progress.loss_ < self._lowest:
            self._lowest, self.best_epoch = progress.loss_, training.state.epoch_start
        if self.verbose:
            print(f"Iteration {progress.n_iter_}, loss = {progress.loss_:.8f}")
        improved = self._improved_loss() if self.score is None else self._improved_score(training)
        progress._no_improvement_count = 0 if improved else progress._no_improvement_count + 1
        if self.rate_mode == "invscaling":
            base = float(training.options.optimizer.learning_rate)
            self._set_rate(training, base / (progress.t_ + 1) ** self.power_t)
        if progress._no_improvement_count > self.n_iter_no_change:
            self._when_stuck(training)

    def record(self, training: Training) -> None:
        """Add the epoch just finished to the curves."""
        progress, history = self.progress, training.state.history
        progress.n_iter_ += 1
        progress.t_ += training.rows
        progress.loss_ = np.float64(history.loss[-1])  # as scikit-learn's, which can be rounded
        progress.loss_curve_.append(history.loss[-1])
        progress.validation_loss_curve_.extend(history.validation_loss[-1:])

    def _improved_loss(self) -> bool:
        progress = self.progress
        improved = not progress.loss_ > progress.best_loss_ - self.tol
        progress.best_loss_ = min(progress.best_loss_, progress.loss_)
        return improved

    def _improved_score(self, training: Training) -> bool:
        progress, net, held_out = self.progress, training.net, training.validation
        assert self.score is not None
        assert held_out is not None
        score = self.score(net.outputs(held_out.x))
        progress.validation_scores_.append(score)
        improved = not score < progress.best_validation_score_ + self.tol
        if score > progress.best_validation_score_:
            progress.best_validation_score_ = score
            progress._best = net.device.xp.asarray(net.flat, copy=True)
        return improved

    def _when_stuck(self, training: Training) -> None:
        """Stop, or with learning_rate="adaptive" continue with a fifth of the learning rate."""
        progress = self.progress
        if self.rate_mode == "adaptive" and progress._learning_rate > MIN_RATE:
            self._set_rate(training, progress._learning_rate / ADAPTIVE_FACTOR)
            progress._no_improvement_count = 0
            return
        watched = "Training loss" if self.score is None else "Validation score"
        training.stop(
            f"{watched} did not improve more than tol={self.tol:f} for {self.n_iter_no_change} "
            "consecutive epochs."
        )

    def _set_rate(self, training: Training, rate: float) -> None:
        self.progress._learning_rate = rate
        training.state.learning_rate_factor = rate / training.options.optimizer.learning_rate


def to_continue(state: TrainingState) -> TrainingState:
    """Keep what the next call continues from: an epoch that was interrupted is begun again."""
    return TrainingState(
        epoch=state.epoch, step=state.step, optimizer=state.optimizer, history=state.history,
        first_loss=None if state.first_loss is None else float(state.first_loss),
        learning_rate_factor=state.learning_rate_factor,
    )  # fmt: skip


def likely_cause(inputs: Any, findings: Iterable[Finding], otherwise: str) -> str:
    """Name the likely causes of a lack of skill, and what to change in the estimator.

    Parameters
    ----------
    inputs : host array, (n, features)
        As the network got them.
    findings : iterable of Finding
        Of the doctor who watched the training.
    otherwise : str
        What to change in any case.
    """
    lines = []
    if found := unscaled(inputs):
        remedy = "Pass standardize=True, or use a Pipeline with StandardScaler."
        lines.append(f"X is not scaled ({found}). {remedy}")
    for each in findings:
        if each.severity != "note" and each.code not in SYMPTOMS | SAID_ANYWAY:
            remedy = REMEDIES.get(each.code, each.remedy.splitlines()[0])
            lines.append(f"{each.code} in {each.where}: {each.evidence}. {remedy}")
    return "Likely cause: " + " ".join([*lines, otherwise])
