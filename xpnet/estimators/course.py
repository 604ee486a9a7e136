"""scikit-learn's rules for when to stop or slow down, as a callback of `xpnet.training.loop`."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from xpnet.backend.types import Array

if TYPE_CHECKING:
    from xpnet.training.loop import Training

SMALLEST_RATE = 1e-6  # at which learning_rate="adaptive" stops
ADAPTIVE_FACTOR = 5.0


class Course:
    """Keeps the estimator's curves; stops or lowers the learning rate when nothing improves.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        Its fitted attributes are kept up to date after every epoch.
    score : callable or None
        ``score(outputs)`` for the held-out rows, for early stopping.
    """

    def __init__(self, estimator: Any, score: Callable[[Array], float] | None) -> None:
        self.estimator, self._score = estimator, score
        self.best: list[Array] = []  # with which the epoch of the lowest loss began
        self._lowest = math.inf

    def on_train_start(self, training: "Training") -> None:
        """Count the epochs of this call."""
        estimator = self.estimator
        estimator.n_iter_, estimator._learning_rate = 0, training.options.optimizer.learning_rate
        estimator._learning_rate *= training.state.learning_rate_factor

    def on_epoch_end(self, training: "Training") -> None:
        """Record the epoch, then decide about the next one."""
        estimator, history = self.estimator, training.state.history
        self.record(training)
        if history.loss[-1] < self._lowest:
            self._lowest, self.best = history.loss[-1], training.state.epoch_start
        if estimator.verbose:
            print(f"Iteration {estimator.n_iter_}, loss = {estimator.loss_:.8f}")
        improved = self._improved_loss() if self._score is None else self._improved_score(training)
        estimator._no_improvement_count = 0 if improved else estimator._no_improvement_count + 1
        if _rate_mode(estimator) == "invscaling":
            base = float(training.options.optimizer.learning_rate)
            self._set_rate(training, base / (estimator.t_ + 1) ** estimator.power_t)
        if estimator._no_improvement_count > estimator.n_iter_no_change:
            self._when_stuck(training)

    def record(self, training: "Training") -> None:
        """Add the epoch just finished to the estimator's curves."""
        estimator, history = self.estimator, training.state.history
        estimator.n_iter_ += 1
        estimator.t_ += training.rows
        estimator.loss_ = np.float64(history.loss[-1])  # as scikit-learn's, which can be rounded
        estimator.loss_curve_.append(history.loss[-1])
        if history.validation_loss:
            estimator.validation_loss_curve_.append(history.validation_loss[-1])

    def _improved_loss(self) -> bool:
        estimator = self.estimator
        improved = not estimator.loss_ > estimator.best_loss_ - estimator.tol
        estimator.best_loss_ = min(estimator.best_loss_, estimator.loss_)
        return improved

    def _improved_score(self, training: "Training") -> bool:
        estimator, net, held_out = self.estimator, training.net, training.validation
        assert self._score is not None
        assert held_out is not None
        score = self._score(net.outputs(held_out.x))
        estimator.validation_scores_.append(score)
        if estimator.verbose:
            print(f"Validation score: {score:f}")
        improved = not score < estimator.best_validation_score_ + estimator.tol
        if score > estimator.best_validation_score_:
            estimator.best_validation_score_ = score
            estimator._best = net.device.xp.asarray(net.flat, copy=True)
        return improved

    def _when_stuck(self, training: "Training") -> None:
        """Stop, or with learning_rate="adaptive" continue with a fifth of the learning rate."""
        estimator, verbose = self.estimator, self.estimator.verbose
        watched = "Training loss" if self._score is None else "Validation score"
        message = (
            f"{watched} did not improve more than tol={estimator.tol:f} for "
            f"{estimator.n_iter_no_change} consecutive epochs."
        )
        adaptive = _rate_mode(estimator) == "adaptive"
        if adaptive and estimator._learning_rate > SMALLEST_RATE:
            self._set_rate(training, estimator._learning_rate / ADAPTIVE_FACTOR)
            estimator._no_improvement_count = 0
            action = f"Setting learning rate to {estimator._learning_rate:f}"
        else:
            training.stop(message)
            action = "Learning rate too small. Stopping." if adaptive else "Stopping."
        if verbose:
            print(f"{message} {action}")

    def _set_rate(self, training: "Training", rate: float) -> None:
        self.estimator._learning_rate = rate
        training.state.learning_rate_factor = rate / training.options.optimizer.learning_rate


def _rate_mode(estimator: Any) -> str:
    """Return the learning rate's mode; only SGD has modes beyond the core's schedules."""
    rate = estimator.learning_rate
    if rate in ("invscaling", "adaptive") and estimator.solver != "sgd":
        return "constant"
    return rate if isinstance(rate, str) else "constant"
