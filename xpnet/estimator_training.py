"""What scikit-learn's rules add to a training: its curves, its stopping, its learning rates."""

from typing import Any

import numpy as np

from xpnet.training import Training
from xpnet.types import Array

SMALLEST_RATE = 1e-6  # below it, "adaptive" stops instead of dividing again
ADAPTIVE_FACTOR = 5.0


class SparseRows:
    """Rows of a sparse matrix, made dense batch by batch; see `xpnet.batches.RowSource`."""

    def __init__(self, matrix: Any, block: int = 1024) -> None:
        self.matrix, self.shape, self._block = matrix.tocsr(), matrix.shape, block

    def read_rows(self, rows: Any) -> Any:
        """Return these rows as a dense array."""
        return self.matrix[rows].toarray()

    def blocks(self) -> Any:
        """Yield all rows in order, some at a time."""
        for start in range(0, self.shape[0], self._block):
            yield self.matrix[start : start + self._block].toarray()


class SklearnRules:
    """A callback that keeps a scikit-learn estimator's attributes, and stops as it would.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
    score : callable or None
        With early stopping, returns the validation score, higher is better.
    """

    def __init__(self, estimator: Any, score: Any = None) -> None:
        self.estimator, self.score = estimator, score
        self.best: list[Array] = []

    def on_epoch_end(self, training: Training) -> None:
        """Note the epoch, then decide."""
        history = training.state.history
        self.note(history.loss[-1], training.rows)
        if history.validation_loss:
            self.estimator.validation_loss_curve_.append(history.validation_loss[-1])
        if self.score is None:
            best = self.estimator.best_loss_
            self._count(self.estimator.loss_ > best - self.estimator.tol)
            self.estimator.best_loss_ = min(best, self.estimator.loss_)
        else:
            self._note_score(training)
        self._set_learning_rate(training)
        if self.estimator._no_improvement_count > self.estimator.n_iter_no_change:
            self._stop_or_slow_down(training)

    def note(self, loss: float, rows: int) -> None:
        """Count an epoch and keep its loss."""
        estimator = self.estimator
        estimator.n_iter_ += 1
        estimator.t_ += rows
        estimator.loss_ = loss
        estimator.loss_curve_.append(loss)
        if estimator.verbose:
            print(f"Iteration {estimator.n_iter_}, loss = {loss:.8f}")

    def _note_score(self, training: Training) -> None:
        estimator, score = self.estimator, float(self.score())
        estimator.validation_scores_.append(score)
        if estimator.verbose:
            print(f"Validation score: {score:f}")
        self._count(score < estimator.best_validation_score_ + estimator.tol)
        if score > estimator.best_validation_score_:
            estimator.best_validation_score_ = score
            xp = training.net.device.xp
            self.best = [xp.asarray(p, copy=True) for p in training.net.parameters]

    def _count(self, poor: bool) -> None:
        """Count the epochs in a row that brought less than `tol`."""
        count = self.estimator._no_improvement_count
        self.estimator._no_improvement_count = count + 1 if poor else 0

    def _set_learning_rate(self, training: Training) -> None:
        estimator = self.estimator
        if estimator.learning_rate == "invscaling" and estimator.solver == "sgd":
            rate = estimator.learning_rate_init / (estimator.t_ + 1) ** estimator.power_t
            estimator._optimizer.learning_rate = rate
            training.state.learning_rate_factor = rate / estimator.learning_rate_init

    def _stop_or_slow_down(self, training: Training) -> None:
        estimator, optimizer = self.estimator, self.estimator._optimizer
        what = "Training loss" if self.score is None else "Validation score"
        reason = (
            f"{what} did not improve more than tol={estimator.tol:f} for "
            f"{estimator.n_iter_no_change} consecutive epochs"
        )
        adaptive = estimator.learning_rate == "adaptive" and estimator.solver == "sgd"
        if not adaptive or optimizer.learning_rate <= SMALLEST_RATE:
            training.stop(reason)
            if estimator.verbose:
                print(f"{reason}. Stopping.")
            return
        estimator._no_improvement_count = 0
        optimizer.learning_rate /= ADAPTIVE_FACTOR
        training.state.learning_rate_factor /= ADAPTIVE_FACTOR
        if estimator.verbose:
            print(f"{reason}. Setting learning rate to {optimizer.learning_rate:f}")


def host_weights(sample_weight: Any, rows: int) -> Any:
    """Return sample weights as a host float64 vector, checked for its shape."""
    weights = np.asarray(sample_weight, dtype=np.float64)
    if weights.ndim != 1 or weights.shape[0] != rows:
        raise ValueError(
            f"sample_weight has shape {weights.shape}, expected ({rows},): one weight per row; "
            "Sample weights must be 1D array or scalar"
        )
    return weights
