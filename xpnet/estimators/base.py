"""The common part of `MLPClassifier` and `MLPRegressor`: scikit-learn's contract over xpnet's core.

There is no training loop or forward pass here: data are checked by scikit-learn's validators, put
on the network's device, and given to `xpnet.training.loop` or `xpnet.training.lbfgs`.
"""

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from itertools import repeat
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, _fit_context
from sklearn.callback import CallbackSupportMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network._multilayer_perceptron import BaseMultilayerPerceptron
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils._array_api import (
    check_same_namespace,
    get_namespace_and_device,
    supported_float_dtypes,
)
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from xpnet.backend.device import CPU, Array, Device, is_foreign, open_device, to_host
from xpnet.errors import DivergenceError, InputError
from xpnet.estimators.data import as_rows, dense, hold_out, place_of, scaler_of
from xpnet.estimators.fit_tasks import FitTasks
from xpnet.estimators.parameters import (
    LayerArrays,
    can_train_in_steps,
    core_name,
    hidden_sizes,
    optimizer_of,
    sklearn_draws,
    to_continue,
)
from xpnet.estimators.verdict import DivergenceWarning, no_skill
from xpnet.nn.activations import HIDDEN, Activation
from xpnet.nn.arrays import as_row_weights, as_targets, is_row_source
from xpnet.nn.losses import Loss
from xpnet.nn.network import MLP
from xpnet.nn.optimizers import Optimizer, lower_rate
from xpnet.nn.schedules import SCHEDULES, Schedule, ends_with_the_run
from xpnet.training.batches import Data, take_rows
from xpnet.training.callbacks import ProgressBar, checked_callbacks
from xpnet.training.fit import as_pair, divided
from xpnet.training.lbfgs import CONVERGED, LBFGS
from xpnet.training.loop import Training, TrainingOptions, TrainingState
from xpnet.training.many import train_all

AUTO_BATCH = 200
OWN_RATES = ("constant", "invscaling", "adaptive")  # learning rates that are scikit-learn's
MIN_RATE = 1e-6  # at which learning_rate="adaptive" stops
ADAPTIVE_FACTOR = 5.0
# What the network is made of, which cannot change while training goes on with it.
FIXED = ("activation", "out_activation", "dropout", "device", "dtype", "standardize",
         "early_stopping", "n_networks")  # fmt: skip
NON_FINITE = (
    "Solver produced non-finite parameter weights. The input data may contain large values and "
    "need to be preprocessed."
)


@dataclass(eq=False, repr=False, kw_only=True)
class Perceptron(CallbackSupportMixin, BaseEstimator):  # type: ignore[misc]
    """The estimators' common part; see `MLPClassifier` for parameters and attributes."""

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseMultilayerPerceptron._parameter_constraints,
        "activation": [StrOptions({"logistic", *HIDDEN}), list, tuple, Activation],
        "solver": [StrOptions({"lbfgs", "sgd", "adam", "adamw"}), HasMethods("coefficients")],
        "learning_rate": [StrOptions({"constant", "invscaling", "adaptive", *SCHEDULES}), callable],
        "loss": [str, Loss],
        "device": [str, Device, None],
        "dtype": [StrOptions({"float32", "float64"}), None],
        "init": [str, callable],
        "dropout": [Interval(Real, 0, 1, closed="left"), list, tuple],
        "standardize": ["boolean"],
        "n_networks": [Interval(Integral, 1, None, closed="left")],
        "callbacks": [list, tuple, None],
        "progress": ["boolean"],
        "compile": [StrOptions({"auto", "on", "off"})],
    }
    solver: str | Optimizer = "adam"
    alpha: float = 0.0001
    batch_size: str | int = "auto"
    learning_rate: str | Schedule = "constant"
    learning_rate_init: float = 0.001
    power_t: float = 0.5
    max_iter: int = 200
    shuffle: bool = True
    random_state: Any = None
    tol: float = 1e-4
    verbose: bool | int = False
    warm_start: bool = False
    momentum: float = 0.9
    nesterovs_momentum: bool = True
    early_stopping: bool = False
    validation_fraction: float = 0.1
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    n_iter_no_change: float = 10
    max_fun: int = 15000
    device: str | Device | None = None
    dtype: str | None = None
    init: str | Callable[..., Any] = "sklearn"
    dropout: float | Sequence[float] = 0.0
    standardize: bool = False
    n_networks: int = 1
    callbacks: Sequence[Any] | None = None
    progress: bool = False
    compile: str = "auto"
    coefs_ = LayerArrays("weights")
    intercepts_ = LayerArrays("biases")
    _scaler: Any = field(default=None, init=False)
    _target_scaler: Any = field(default=None, init=False)
    _others: Sequence[Any] = field(default=(), init=False)  # estimators of one more network each
    _seed: int = field(default=0, init=False)
    _optimizer_kind: tuple[str, bool] | None = field(default=None, init=False)

    @_fit_context(prefer_skip_nested_validation=True)  # type: ignore[untyped-decorator]
    def fit(self, X: Any, y: Any, sample_weight: Any = None, *, validation: Any = None) -> Any:
        """Fit the network to data.

        Parameters
        ----------
        X : array or sparse matrix, (n, features)
        y : array, (n,) or (n, outputs)
        sample_weight : array, (n,), optional
        validation : (X, y), optional
            Rows whose loss is measured after every epoch (`validation_loss_curve_`); with
            ``early_stopping=True`` they replace the share of the training rows.
        """
        return self._fit(X, y, sample_weight, validation)

    @available_if(can_train_in_steps)  # type: ignore[untyped-decorator]
    @_fit_context(prefer_skip_nested_validation=True)  # type: ignore[untyped-decorator]
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Continue training for one epoch over the given data; see `fit`."""
        return self._fit(X, y, sample_weight, None, incremental=True)

    def _fit(
        self, X: Any, y: Any, sample_weight: Any, validation: Any, *, incremental: bool = False
    ) -> Any:
        if incremental and self.early_stopping:
            raise InputError("partial_fit does not support early_stopping=True")
        if incremental and ends_with_the_run(self.learning_rate):
            raise InputError(
                f"learning_rate={self.learning_rate!r} ends with the last epoch, but partial_fit "
                "has no last one; use fit, or 'invscaling' or 'adaptive' with solver='sgd'"
            )
        tasks = self._tasks(X, y, sample_weight, incremental)
        before = dict(vars(self))
        try:
            rows = self._prepared(X, y, sample_weight, validation, incremental)
            estimators, by_lbfgs = [self, *self._others], self.solver == "lbfgs"
            with self.network_.device.active:
                runs = [
                    each._lbfgs(*rows) if by_lbfgs else each._steps(*rows, tasks, incremental)
                    for each in estimators
                ]
        except BaseException:  # a call that is refused leaves the model that was there
            self.__dict__ = before
            raise
        with self.network_.device.active:
            run = self._run_lbfgs if by_lbfgs else self._run_steps
            for message, category in run(runs):
                warnings.warn(message, category, stacklevel=4)
        tasks.end()
        return self

    def _tasks(self, X: Any, y: Any, sample_weight: Any, incremental: bool) -> FitTasks:
        """Tell scikit-learn's callbacks that a fit begins; the decorator of `fit` ends them."""
        epochs = 1 if incremental else self.max_iter
        if self.solver == "lbfgs":
            epochs = 0
        name = "partial_fit" if incremental else "fit"
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        context = self._init_callback_context(name, max_subtasks=epochs)
        return FitTasks(context, {"estimator": self, "X": X, "y": y, "metadata": metadata})

    def _prepared(
        self, X: Any, y: Any, sample_weight: Any, validation: Any, incremental: bool
    ) -> tuple[Data, Data | None]:
        """Return the rows for training and those held out; make the network if there is none."""
        first = "network_" not in vars(self) or not (self.warm_start or incremental)
        X, y = self._validated(X, y, reset=first)
        targets = self._encoded(y, first=first, incremental=incremental)
        if sample_weight is not None:
            sample_weight = _check_sample_weight(to_host(sample_weight), np.empty((len(y), 1)))
        weights = self._weighted(y, sample_weight, incremental=incremental)
        sizes = [X.shape[1], *hidden_sizes(self.hidden_layer_sizes), targets.shape[1]]
        drawn = self._drawn(sizes, given=self.warm_start or incremental) if first else None
        train, held_out = None, None
        if self.early_stopping and validation is None and self.solver != "lbfgs":
            two = targets.shape[1] == 1 and hasattr(self, "classes_")
            train, held_out = hold_out(targets, self.validation_fraction, self._seed, stratify=two)
        device, dtype = self._place(X, first=first)
        with device.active:
            if first:
                self._measure(X, dtype, targets, weights, slice(None) if train is None else train)
            x = as_rows(X, self._scaler, device, dtype)
            if first:
                self._start(sizes, drawn, device, dtype)
                self._others = [self._other(k, sizes) for k in range(1, self.n_networks)]
            else:
                self._continue(sizes)
            data = self._data(x, targets, weights)
            if validation is not None:
                return data, self._watched(*as_pair(validation))
            return (data, None) if train is None else divided(self.network_, data, train, held_out)

    # -- data

    def _validated(self, X: Any, y: Any, *, reset: bool) -> tuple[Any, Any]:
        """Return X as scikit-learn's validator leaves it, and y on the host."""
        xp, _, device = get_namespace_and_device(X)
        with place_of(X).active:
            X, y = validate_data(
                self, X, y, accept_sparse=["csr", "csc"], multi_output=True, reset=reset,
                y_numeric=not hasattr(self, "predict_proba"),
                dtype=supported_float_dtypes(xp, device=device),
            )  # fmt: skip
        y = dense(y)
        return X, column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y

    def _place(self, X: Any, *, first: bool) -> tuple[Device, str]:
        """Return the network's device and dtype; of a first call, those chosen for it."""
        if not first:
            return self.network_.device, self.network_.dtype
        device = place_of(X) if self.device is None else open_device(self.device)
        return device, self.dtype or ("float32" if str(X.dtype).endswith("float32") else "float64")

    def _measure(self, X: Any, dtype: str, targets: Any, weights: Any, rows: Any) -> None:
        """Fit the scalers of features and targets on the training rows, if `standardize`."""
        self._scaler = self._target_scaler = None
        if self.standardize:
            self._scaler = scaler_of((X if issparse(X) else np.asarray(to_host(X), dtype))[rows])
            if self._output() == "identity":
                of_rows = None if weights is None else weights[rows]
                self._target_scaler = scaler_of(targets[rows], of_rows)

    def _data(self, x: Any, targets: Any, weights: Any = None) -> Data:
        net, rows = self.network_, len(targets)
        if self._target_scaler is not None:
            targets = self._target_scaler.transform(targets)
        y = as_targets(targets, net.device, net.dtype, net.sizes[-1], net.output.name, rows)
        return Data(
            x, y, None if weights is None else as_row_weights(weights, net.device, net.dtype, rows)
        )

    def _watched(self, X: Any, y: Any) -> Data:
        """Prepare the rows of ``fit(validation=(X, y))``."""
        X, y = self._validated(X, y, reset=False)
        device, dtype = self._place(X, first=False)
        targets = self._encoded(y, first=False, incremental=True)
        data = self._data(as_rows(X, self._scaler, device, dtype), targets)
        return take_rows(data, np.arange(len(targets)), device, dtype)

    # -- network

    def _drawn(self, sizes: list[int], *, given: bool) -> Any:
        """Return weights and biases: set by hand, if `given`; or scikit-learn's draws; or None."""
        random, drawn = check_random_state(self.random_state), None
        if given and hasattr(self, "coefs_"):
            drawn = self.coefs_, self.intercepts_
        elif self.init == "sklearn":
            drawn = sklearn_draws(random, sizes, self.activation)
        self._seed = int(random.randint(2**31 - 1))
        return drawn

    def _start(self, sizes: list[int], drawn: Any, device: Device, dtype: str) -> None:
        net = MLP(
            sizes, hidden=core_name(self.activation), output=self._output(), dtype=dtype,
            init="zeros" if drawn else self.init, device=device, seed=self._seed,
            dropout=self.dropout,
        )  # fmt: skip
        if drawn:
            net.set_parameters(*drawn)
        self.network_, self._state, self._made_of = net, TrainingState(), self._fixed(sizes)
        self._show_curves()
        self.n_outputs_, self.n_layers_ = net.sizes[-1], len(net.sizes)
        self.out_activation_ = "logistic" if net.output.name == "sigmoid" else net.output.name
        self.n_iter_, self.t_, self.loss_ = 0, 0, math.nan
        self.best_loss_: Any = None if self.early_stopping else math.inf
        self.best_validation_score_: Any = -math.inf if self.early_stopping else None
        self.validation_scores_: Any = [] if self.early_stopping else None
        self._best = self._flat_copy() if self.early_stopping else None
        self._no_improvement_count, self._learning_rate = 0, math.nan

    def _other(self, number: int, sizes: list[int]) -> Any:
        """Return an estimator with one more network, with another seed and the same rows."""
        other, net, seed = object.__new__(type(self)), self.network_, self._seed + number
        other.__dict__ = vars(self) | {"_others": (), "random_state": seed % 2**32}
        other.__dict__.pop("_skl_callbacks", None)  # they are told of the first network
        other._start(sizes, other._drawn(sizes, given=False), net.device, net.dtype)
        return other

    def _show_curves(self) -> None:
        history = self._state.history
        self.loss_curve_, self.validation_loss_curve_ = history.loss, history.validation_loss

    def _fixed(self, sizes: list[int]) -> dict[str, Any]:
        named = {name: getattr(self, name, None) for name in FIXED}
        return {"layer sizes": sizes, **named, "output": self._output()}

    def _continue(self, sizes: list[int]) -> None:
        """Refuse to continue with a network that does not match the parameters."""
        for name, value in self._fixed(sizes).items():
            before = self._made_of[name]
            if value != before:
                raise InputError(
                    f"{name}={value!r}, but training goes on with a network that was made with "
                    f"{name}={before!r}; call fit with warm_start=False to start afresh"
                )
        for other in self._others:
            vars(other).update(self.get_params(deep=False))

    # -- training

    def _l2(self, data: Data, batch: int) -> float:
        """Return l2 for alpha, which scikit-learn divides by the weight of each batch's rows.

        Here it is that of a full batch in every step: ``alpha / (batch size * mean sample
        weight)``. The two differ in batches that are short or weigh less.
        """
        weights, xp = data.row_weights, self.network_.device.xp
        return float(self.alpha) / (batch * (1.0 if weights is None else float(xp.mean(weights))))

    def _steps(
        self, data: Data, held_out: Data | None, tasks: FitTasks, incremental: bool
    ) -> Training:
        """Return a training by mini-batches that continues from the estimator's state."""
        rows, state, optimizer = data.y.shape[0], self._state, optimizer_of(self)
        kind = type(optimizer).__name__, bool(self.momentum)
        if self._optimizer_kind != kind:
            state = TrainingState(history=state.history)
        self._optimizer_kind, self._state = kind, state
        self._show_curves()  # after a divergence they begin again
        batch = min(AUTO_BATCH if self.batch_size == "auto" else int(self.batch_size), rows)
        options = TrainingOptions(
            loss=self._core_loss(), optimizer=optimizer, batch_size=batch, shuffle=self.shuffle,
            epochs=state.epoch + (1 if incremental else self.max_iter), l2=self._l2(data, batch),
            schedule=None if self.learning_rate in OWN_RATES else self.learning_rate,
            seed=self._seed, compile=self.compile,
        )  # fmt: skip
        callbacks = checked_callbacks([self._after_epoch, *(self.callbacks or ())])
        callbacks += [tasks] if hasattr(self, "_skl_callbacks") else []
        self._learning_rate = float(optimizer.learning_rate) * state.learning_rate_factor
        self.n_iter_ = 0
        return Training(
            self.network_, data, options, validation=held_out, state=state, stream=incremental,
            callbacks=[*callbacks, ProgressBar()] if self.progress else callbacks,
        )  # fmt: skip

    def _run_steps(self, trainings: list[Any]) -> Iterator[tuple[str, Any]]:
        """Train by mini-batches; yield warnings."""
        start, estimators = self._flat_copy(), [self, *self._others]
        try:
            for group in [[each] for each in trainings] if self.callbacks else [trainings]:
                train_all(group)
        finally:
            for each, training in zip(estimators, trainings, strict=True):
                each._keep(training)
        if self.early_stopping:
            for each in estimators:
                each.network_.flat[...] = each._best
        training = next((each for each in trainings if each.diverged), trainings[0])
        if training.diverged:
            if training.state.epoch == 1 and not np.isfinite(float(training.state.first_loss)):
                raise InputError(NON_FINITE)
            lower = lower_rate(training.options.optimizer, training.learning_rate)
            yield (
                f"{type(self).__name__}: {training.diverged.measured}; the last good weights are "
                f"kept. Lower the learning rate (try {lower}), or set "
                "standardize=True.",
                DivergenceWarning,
            )
        elif not training.stream:
            if not training.stop_reason:
                yield (
                    f"Stochastic Optimizer: Maximum iterations ({self.max_iter}) reached and the "
                    "optimization hasn't converged yet.",
                    ConvergenceWarning,
                )
            yield from no_skill(self, training, start)

    def _keep(self, training: Training) -> None:
        if training.diverged:
            self._record(training)
            if self.early_stopping:
                self.validation_scores_.append(math.nan)
        self._state = TrainingState() if training.diverged else to_continue(training.state)

    def _after_epoch(self, training: Training) -> None:
        """Record the epoch; without improvement, stop or slow down by scikit-learn's rules."""
        self._record(training)
        if self.verbose:
            print(f"Iteration {self.n_iter_}, loss = {self.loss_:.8f}")
        if self.early_stopping:
            improved = self._improved_score(training)
        else:
            improved = not self.loss_ > self.best_loss_ - self.tol
            self.best_loss_ = min(self.best_loss_, self.loss_)
        self._no_improvement_count = 0 if improved else self._no_improvement_count + 1
        by_sgd = self.solver == "sgd"
        if by_sgd and self.learning_rate == "invscaling":
            base = float(training.options.optimizer.learning_rate)
            self._set_rate(training, base / (self.t_ + 1) ** self.power_t)
        if self._no_improvement_count <= self.n_iter_no_change:
            return
        if by_sgd and self.learning_rate == "adaptive" and self._learning_rate > MIN_RATE:
            self._set_rate(training, self._learning_rate / ADAPTIVE_FACTOR)
            self._no_improvement_count = 0
            return
        watched = "Validation score" if self.early_stopping else "Training loss"
        training.stop(
            f"{watched} did not improve more than tol={self.tol:f} for {self.n_iter_no_change} "
            "consecutive epochs."
        )

    def _record(self, training: Training) -> None:
        history = training.state.history
        self.n_iter_ += 1
        self.t_ += training.rows
        self.loss_ = np.float64(history.loss[-1])  # as scikit-learn's, which can be rounded

    def _improved_score(self, training: Training) -> bool:
        net, held_out = training.net, training.validation
        assert held_out is not None
        arrays = net.outputs(held_out.x), held_out.y, held_out.row_weights
        outputs, targets, weights = (None if each is None else to_host(each) for each in arrays)
        score = self._score_of(outputs, targets, None if weights is None else weights[:, 0])
        self.validation_scores_.append(score)
        improved = not score < self.best_validation_score_ + self.tol
        if score > self.best_validation_score_:
            self.best_validation_score_ = score
            self._best = net.device.xp.asarray(net.flat, copy=True)
        return improved

    def _set_rate(self, training: Training, rate: float) -> None:
        self._learning_rate = rate
        training.state.learning_rate_factor = rate / training.options.optimizer.learning_rate

    def _lbfgs(self, data: Data, held_out: Data | None) -> LBFGS:
        if self.callbacks or self.progress:
            remedy = "use solver='adam' or 'sgd'"
            raise InputError(f"callbacks and progress: L-BFGS has no epochs to show; {remedy}")
        return LBFGS(
            self.network_, data, loss=self._core_loss(), l2=self._l2(data, data.y.shape[0]),
            max_iter=self.max_iter, max_fun=self.max_fun, tol=self.tol, validation=held_out,
        )  # fmt: skip

    def _run_lbfgs(self, trainings: list[Any]) -> Iterator[tuple[str, Any]]:
        """Train on all rows at once; yield warnings."""
        for each, training in zip([self, *self._others], trainings, strict=True):
            start = each._flat_copy()
            try:
                history = training.run()
            except DivergenceError as error:
                raise InputError(NON_FINITE) from error
            each.n_iter_, each.loss_ = history.epochs, np.float64(history.loss[-1])
            each.best_loss_ = np.float64(min(history.loss))
            each.loss_curve_.extend(history.loss)
            each.validation_loss_curve_.extend(history.validation_loss)
            if not history.stopped.startswith(CONVERGED):
                yield (
                    f"lbfgs failed to converge after {history.epochs} iteration(s): "
                    f"{history.stopped}. Increase max_iter or max_fun, or pass standardize=True.",
                    ConvergenceWarning,
                )
            yield from no_skill(each, training, start)

    @property
    def networks_(self) -> list[MLP]:
        """All networks, whose outputs are averaged; `network_` is the first."""
        return [self.network_, *(each.network_ for each in self._others)]

    @property
    def _flat(self) -> Array:
        return self.network_.flat

    def _flat_copy(self) -> Array:
        return self.network_.device.xp.asarray(self._flat, copy=True)

    # -- prediction

    def _outputs(self, X: Any, method: str) -> tuple[Array, Any]:
        """Return the outputs on the network's device, and a function that returns them as X is."""
        check_is_fitted(self, "network_")
        with place_of(X).active:
            if self.device is None:
                check_same_namespace(X, self, attribute="_flat", method=method)
            X = validate_data(self, X, accept_sparse=["csr", "csc"], reset=False)
        device_array = self.device is None and is_foreign(X) and not issparse(X)
        device, dtype = self._place(X, first=False)
        with device.active:
            x = as_rows(X, self._scaler, device, dtype)
            nets = self.networks_
            blocks = map(device.put, x.blocks(), repeat(dtype)) if is_row_source(x) else [x]
            parts = [sum(net.outputs(block) for net in nets) / len(nets) for block in blocks]
            outputs = parts[0] if len(parts) == 1 else device.xp.concat(parts, axis=0)
        return outputs, (lambda array: array) if device_array else device.get

    # -- copies, tags

    def __getstate__(self) -> dict[str, Any]:
        """Move all arrays to the CPU: pickles hold NumPy arrays."""
        state: dict[str, Any] = super().__getstate__()
        if "network_" not in state or self.network_.device is CPU:
            return state
        made_of = {**self._made_of, "device": None}
        return {**state, **self._on(CPU, to_host), "device": None, "_made_of": made_of}

    def __sklearn_array_api_convert__(self, converter: Any) -> Any:
        """Return the estimator with its arrays in another namespace, for `move_estimator_to`."""
        twin = copy(self)
        twin.__dict__.update(self._on(place_of(converter(self._flat)), converter))
        twin._others = [e.__sklearn_array_api_convert__(converter) for e in self._others]
        return twin

    def _on(self, device: Device, convert: Any) -> dict[str, Any]:
        """Return the attributes with device arrays, converted for a device."""
        state = self._state
        return {
            "network_": self.network_.to(device),
            "_state": replace(state, optimizer=[convert(each) for each in state.optimizer]),
            "_best": None if self._best is None else convert(self._best),
        }

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.array_api_support = True
        return tags
