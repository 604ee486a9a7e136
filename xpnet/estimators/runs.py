"""The estimators' calls of the training loop and of L-BFGS, and the warnings afterwards."""

import warnings
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from xpnet.backend.device import to_host
from xpnet.backend.types import Array
from xpnet.doctor.doctor import Doctor
from xpnet.errors import DivergenceError, InputError
from xpnet.estimators.course import Course
from xpnet.estimators.labels import BLOCKS
from xpnet.estimators.network import at_epoch_start, trimmed
from xpnet.estimators.verdict import (
    DivergenceWarning,
    NoSkillWarning,
    advice,
    rate_of,
)
from xpnet.nn.losses import resolve_head
from xpnet.nn.network import MLP
from xpnet.nn.optimizers import SGD, Adam, AdamW, Optimizer
from xpnet.training.callbacks import ProgressBar
from xpnet.training.data import Data, digest
from xpnet.training.history import History
from xpnet.training.lbfgs import CONVERGED, check_no_dropout, run_lbfgs
from xpnet.training.loop import Training, TrainingOptions, TrainingState
from xpnet.training.skill import find_no_skill

NON_FINITE = (
    "Solver produced non-finite parameter weights. The input data may contain large values and "
    "need to be preprocessed."
)
AUTO_BATCH = 200
OWN_RATES = ("constant", "invscaling", "adaptive")  # learning rates that `Course` sets


def optimizer_of(estimator: Any) -> Optimizer:
    """Return the core's optimiser for the solver and its parameters."""
    rate = float(estimator.learning_rate_init)
    moments = (rate, estimator.beta_1, estimator.beta_2, estimator.epsilon)
    if estimator.solver == "sgd":
        return SGD(rate, estimator.momentum, estimator.nesterovs_momentum)
    if estimator.solver == "adam":
        return Adam(*moments)
    if estimator.solver == "adamw":
        return AdamW(*moments)
    if isinstance(estimator.solver, type):
        name = estimator.solver.__name__
        raise InputError(f"solver {name} is a class; pass {name}(...), an instance of it")
    given: Optimizer = estimator.solver
    return given


def check_options(estimator: Any) -> None:
    """Refuse here what training would refuse, when the model from before is no more."""
    resolve_head(estimator.network_.output, estimator._core_loss())
    if estimator.solver != "lbfgs":
        optimizer_of(estimator)
        return
    given = {"callbacks": estimator.callbacks, "progress": estimator.progress}
    if any(given.values()):
        raise InputError(
            f"{', '.join(n for n, value in given.items() if value)}: L-BFGS has no epochs to show; "
            "use solver='adam' or 'sgd'"
        )
    check_no_dropout(estimator.network_)


def training_options(estimator: Any, data: Data, epochs: int) -> TrainingOptions:
    """Translate scikit-learn's parameters into the core's.

    scikit-learn divides alpha by the sum of the weights of a batch's rows. Here that sum is taken
    once, for a full batch: ``l2 = alpha / (batch size * mean sample weight)``, so that what is
    minimised is the same in every step. The two differ in batches that are short or weigh less.
    """
    rows = data.y.shape[0]
    batch = min(AUTO_BATCH, rows) if estimator.batch_size == "auto" else estimator.batch_size
    if batch > rows:
        warnings.warn(
            "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped",
            stacklevel=6,
        )
        batch = rows
    rate = estimator.learning_rate
    return TrainingOptions(
        loss=estimator._core_loss(),
        optimizer=optimizer_of(estimator),
        epochs=epochs,
        batch_size=int(batch),
        shuffle=estimator.shuffle,
        l2=float(estimator.alpha) / (batch * _mean_weight(estimator, data)),
        schedule=None if rate in OWN_RATES else rate,
        seed=estimator._seed,
    )


def _mean_weight(estimator: Any, data: Data) -> float:
    if data.row_weights is None:
        return 1.0
    return float(estimator.network_.device.xp.mean(data.row_weights))


def train(estimator: Any, data: Data, held_out: Data | None, *, incremental: bool) -> None:
    """Train by mini-batches from where the estimator is; one epoch if `incremental`."""
    net, state = estimator.network_, _state_to_continue(estimator, incremental=incremental)
    epochs = state.epoch + (1 if incremental else estimator.max_iter)
    options = training_options(estimator, data, epochs)
    unfinished = vars(estimator).get("_unfinished")
    if state.batch and (incremental or unfinished != _epoch_of(net, data, options)):
        state = at_epoch_start(state)
    if estimator.early_stopping != (vars(estimator).get("validation_scores_") is not None):
        estimator._begin_to_watch()  # early_stopping was changed since the last call
    course, doctor = Course(estimator, _score(estimator, held_out)), Doctor()
    watching = [*([] if incremental else [doctor]), course, *(estimator.callbacks or ())]
    shown = [ProgressBar()] if estimator.progress else []
    training = Training(
        net, data, options, validation=held_out, callbacks=[*watching, *shown], state=state,
        stream=incremental,
    )  # fmt: skip
    diverged = False
    try:
        training.run()
    except DivergenceError:
        diverged = True
        _after_divergence(estimator, training, course)
    finally:
        estimator._state = TrainingState() if diverged else trimmed(training.state)
        if estimator._state.batch:
            estimator._unfinished = _epoch_of(net, data, options)
    if estimator.early_stopping:
        net.flat[...] = estimator._best
    if incremental or diverged:
        return
    if not training.stop_reason:
        warnings.warn(
            f"Stochastic Optimizer: Maximum iterations ({estimator.max_iter}) reached and the "
            "optimization hasn't converged yet.",
            ConvergenceWarning,
            stacklevel=5,
        )
    _judge(estimator, data, doctor)


def _state_to_continue(estimator: Any, *, incremental: bool) -> TrainingState:
    """Return the state of the last call, or a new one if the optimiser is of another kind.

    A stream of batches may be endless: its history is kept only for those who may look at it.
    """
    kind = (type(optimizer_of(estimator)).__name__, bool(estimator.momentum))
    if vars(estimator).get("_optimizer_kind", kind) != kind:
        estimator._state = TrainingState()
    estimator._optimizer_kind = kind
    state: TrainingState = estimator._state
    if incremental and not estimator.callbacks and estimator.learning_rate in OWN_RATES:
        state = replace(state, history=History())
    return state


def _epoch_of(net: MLP, data: Data, options: TrainingOptions) -> tuple[Any, ...]:
    """Return what an epoch goes over; `fit` finishes an interrupted one only if it is the same."""
    return digest(data, net.device), options.batch_size, options.shuffle


def _score(estimator: Any, held_out: Data | None) -> Any:
    """Return what early stopping watches: ``score(outputs)`` of the held-out rows."""
    if not estimator.early_stopping or held_out is None:
        return None
    get = estimator.network_.device.get
    targets = get(held_out.y)
    weights = None if held_out.row_weights is None else get(held_out.row_weights)[:, 0]

    def score(outputs: Array) -> float:
        return float(estimator._score_of(get(outputs), targets, weights))

    return score


def _after_divergence(estimator: Any, training: Training, course: Course) -> None:
    """Warn, and keep the weights from the start of the best epoch."""
    net, state = training.net, training.state
    if state.epoch == 1 and not np.isfinite(float(state.first_loss)):
        raise InputError(NON_FINITE) from None
    course.record(training)
    if estimator.early_stopping:
        estimator.validation_scores_.append(float("nan"))
    elif course.best:
        net.set_parameters(course.best[: len(net.weights)], course.best[len(net.weights) :])
    rate = training.learning_rate
    kept = "from before the batch" if training.stream else "of the best epoch"
    warnings.warn(
        f"{type(estimator).__name__}: training diverged in epoch {estimator.n_iter_} (loss "
        f"{estimator.loss_:.4g}); the weights {kept} are kept. Lower "
        f"{rate_of(estimator)[0]} (it was {rate:g}; try {rate / 10:.2g}), or scale X, for instance "
        "with standardize=True.",
        DivergenceWarning,
        stacklevel=6,
    )


def train_lbfgs(estimator: Any, data: Data, held_out: Data | None) -> None:
    """Train on all rows at once by L-BFGS, from the weights the network has."""
    net, rows = estimator.network_, data.y.shape[0]
    l2 = float(estimator.alpha) / (rows * _mean_weight(estimator, data))
    loss = estimator._core_loss()
    doctor, seen = Doctor(), _as_a_training(net, data, loss, l2)
    doctor.on_train_start(seen)
    try:
        history = run_lbfgs(
            net, data, held_out, loss=loss, l2=l2, max_iter=estimator.max_iter,
            max_fun=estimator.max_fun, tol=estimator.tol,
        )  # fmt: skip
    except DivergenceError as error:
        raise InputError(NON_FINITE) from error
    estimator.n_iter_, estimator.loss_ = history.epochs, np.float64(history.loss[-1])
    estimator.best_loss_ = np.float64(min(history.loss))
    estimator.loss_curve_.extend(history.loss)
    estimator.validation_loss_curve_.extend(history.validation_loss)
    seen.state = TrainingState(history=history, step=history.epochs)
    doctor.on_train_end(seen)
    if not history.stopped.startswith(CONVERGED):
        warnings.warn(
            f"lbfgs failed to converge after {history.epochs} iteration(s): {history.stopped}. "
            f"Increase max_iter (now {estimator.max_iter}) or max_fun (now {estimator.max_fun}), "
            "or scale the data, for instance with standardize=True.",
            ConvergenceWarning,
            stacklevel=5,
        )
    _judge(estimator, data, doctor)


def _as_a_training(net: MLP, data: Data, loss: Any, l2: float) -> Any:
    """Return what the doctor looks at, when there is no `Training`."""
    options, rows = SimpleNamespace(loss=loss, l1=0.0, l2=l2, shuffle=False), data.y.shape[0]
    return SimpleNamespace(net=net, data=data, options=options, rows=rows, batch_size=rows,
                           learning_rate=None, state=TrainingState())  # fmt: skip


def _judge(estimator: Any, data: Data, doctor: Doctor) -> None:
    """Warn if the model is no better than a constant, naming the likely cause and the remedy."""
    net, loss = estimator.network_, estimator._core_loss()
    logarithms = net.output.name == BLOCKS
    found = find_no_skill(net, loss, data, estimator._seed, logarithms=logarithms)
    if found is not None:
        skill, judged = found
        warnings.warn(
            f"{type(estimator).__name__}: {skill}. {advice(doctor, estimator, to_host(judged.x))}",
            NoSkillWarning,
            stacklevel=6,
        )
