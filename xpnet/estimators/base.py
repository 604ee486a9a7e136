"""What `MLPClassifier` and `MLPRegressor` share: scikit-learn's contract over xpnet's core.

There is no training loop or forward pass here: data are checked by scikit-learn's validators,
brought to the network's device, and given to `xpnet.training.loop` or `xpnet.training.lbfgs`.
"""

import warnings
from collections.abc import Callable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from functools import partial
from numbers import Real
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, _fit_context
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
from sklearn.utils.validation import check_is_fitted, validate_data

from xpnet.backend.device import (
    CPU,
    Array,
    Device,
    device_of,
    is_foreign,
    open_device,
    real_numbers,
    to_host,
)
from xpnet.doctor.doctor import Doctor
from xpnet.errors import DivergenceError, InputError
from xpnet.estimators.data import (
    Scaler,
    as_rows,
    dense,
    hold_out,
    host_weights,
    place_of,
    scaler_of,
    shown_rows,
)
from xpnet.estimators.parameters import (
    core_name,
    hidden_activations,
    hidden_sizes,
    optimizer_of,
    sklearn_draws,
)
from xpnet.estimators.training import (
    NON_FINITE,
    DivergenceWarning,
    NoSkillWarning,
    Progress,
    SklearnStopping,
    likely_cause,
    to_continue,
)
from xpnet.nn.activations import HIDDEN, OUTPUTS, Activation, resolve_activation
from xpnet.nn.arrays import as_row_weights, as_targets
from xpnet.nn.losses import Loss
from xpnet.nn.network import MLP, checked_rates, per_layer
from xpnet.nn.optimizers import Optimizer
from xpnet.nn.schedules import SCHEDULES, Schedule, ends_with_the_run
from xpnet.training.batches import Data, take_rows
from xpnet.training.callbacks import ProgressBar, checked_callbacks
from xpnet.training.fit import as_pair, divided
from xpnet.training.history import History
from xpnet.training.lbfgs import CONVERGED, LBFGS
from xpnet.training.loop import Training, TrainingOptions, TrainingState
from xpnet.training.skill import find_no_skill

AUTO_BATCH = 200
OWN_RATES = ("constant", "invscaling", "adaptive")  # learning rates that `SklearnStopping` sets


def can_train_in_steps(estimator: Any) -> bool:
    """Return whether there is a `partial_fit`; scikit-learn shows the error."""
    if estimator.solver == "lbfgs":
        raise AttributeError(
            "partial_fit is only available for stochastic optimizers. lbfgs is not stochastic."
        )
    return True


@dataclass(eq=False, repr=False, kw_only=True)
class Perceptron(BaseEstimator):  # type: ignore[misc]
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
        "callbacks": [list, tuple, None],
        "progress": ["boolean"],
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
    callbacks: Sequence[Any] | None = None
    progress: bool = False
    _scaler: Scaler | None = field(default=None, init=False)
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
            Rows to watch after every epoch (`validation_loss_curve_`) and, with
            ``early_stopping=True``, for early stopping, in place of a share of the training rows.
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
        before = dict(vars(self))
        try:
            rows = self._prepared(X, y, sample_weight, validation, incremental)
            with self.network_.device.active:
                if self.solver == "lbfgs":
                    told = self._run_lbfgs(*self._lbfgs(*rows))
                else:
                    told = self._run_steps(*self._steps(*rows, incremental))
        except BaseException:  # a call that is refused leaves the model that was there
            self.__dict__ = before
            raise
        with self.network_.device.active:
            for message, category in told:  # trains
                warnings.warn(message, category, stacklevel=4)
        return self

    def _prepared(
        self, X: Any, y: Any, sample_weight: Any, validation: Any, incremental: bool
    ) -> tuple[Data, Data | None]:
        """Return the rows for training and those held out; make the network, or take it."""
        first = "network_" not in vars(self) or not (self.warm_start or incremental)
        X, y = self._validated(X, y, reset=first)
        targets = self._encoded(y, first=first, incremental=incremental)
        weights = self._weighted(y, host_weights(sample_weight, y), incremental=incremental)
        sizes = [X.shape[1], *hidden_sizes(self.hidden_layer_sizes), targets.shape[1]]
        drawn = self._drawn(sizes, given=self.warm_start or incremental) if first else None
        parts = self._split(targets, validation)
        X, device, dtype = self._placed(X, first=first)
        with device.active:
            if first:
                self._scaler = scaler_of(X, parts[0], device, dtype) if self.standardize else None
            x = as_rows(X, self._scaler, device, dtype)
            if first:
                self._start(sizes, drawn, x, device, dtype)
            else:
                self._continue(sizes)
            data, held_out = self._data(x, targets, weights, parts)
            if validation is not None:
                held_out = self._watched(*as_pair(validation))
        return data, held_out

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

    def _split(self, targets: Any, validation: Any) -> tuple[Any, Any]:
        """Return the row numbers for training and for early stopping; None for all, and none."""
        if not self.early_stopping or validation is not None or self.solver == "lbfgs":
            return None, None
        two_classes = targets.shape[1] == 1 and hasattr(self, "_labels")
        return hold_out(targets, self.validation_fraction, self._seed, stratify=two_classes)

    def _placed(self, X: Any, *, first: bool) -> tuple[Any, Device, str]:
        """Choose device and dtype, and bring X there."""
        if not first:
            device, dtype = self.network_.device, self.network_.dtype
        else:
            chosen = place_of(X) if self.device is None else self.device
            device = open_device(chosen) if isinstance(chosen, str) else chosen
            dtype = self.dtype or ("float32" if str(X.dtype).endswith("float32") else "float64")
        if not issparse(X):
            same = isinstance(X, np.ndarray) or device_of(X).xp is device.xp
            X = device.put(real_numbers(X if same else to_host(X)), dtype)
        return X, device, dtype

    def _data(self, x: Any, targets: Any, weights: Any, parts: Any) -> tuple[Data, Data | None]:
        """Put everything on the device, and set the held-out rows apart."""
        net, (train, held_out) = self.network_, parts
        device, rows = net.device, len(targets)
        y = as_targets(targets, device, net.dtype, net.sizes[-1], net.output.name, rows)
        weights = None if weights is None else as_row_weights(weights, device, net.dtype, rows)
        data = Data(x, y, weights)
        return (data, None) if train is None else divided(net, data, train, held_out)

    def _watched(self, X: Any, y: Any) -> Data:
        """Prepare the rows of ``fit(validation=(X, y))``."""
        X, y = self._validated(X, y, reset=False)
        X, device, dtype = self._placed(X, first=False)
        targets = self._encoded(y, first=False, incremental=True)
        whole = Data(as_rows(X, self._scaler, device, dtype), device.put(targets, dtype), None)
        return take_rows(whole, np.arange(len(targets)), device, dtype)

    # -- network

    def _drawn(self, sizes: list[int], *, given: bool) -> Any:
        """Return weights and biases: those set by hand, if `given`, or scikit-learn's, or None."""
        random, drawn = check_random_state(self.random_state), None
        if given and hasattr(self, "coefs_"):
            drawn = self.coefs_, self.intercepts_
        elif self.init == "sklearn":
            drawn = sklearn_draws(random, sizes, self.activation)
        self._seed = int(random.randint(2**31 - 1))
        return drawn

    def _start(self, sizes: list[int], drawn: Any, x: Any, device: Device, dtype: str) -> None:
        """Make the network and start all curves afresh."""
        shown = shown_rows(x, device, dtype) if self.init == "lsuv" else None
        net = MLP(
            sizes, hidden=core_name(self.activation), output=self._output(), dtype=dtype,
            init="zeros" if drawn else self.init, device=device, seed=self._seed,
            dropout=self.dropout, init_data=shown,
        )  # fmt: skip
        if drawn:
            net.set_parameters(*drawn)
        self.network_, self._state = net, TrainingState()
        self.n_outputs_, self.n_layers_ = net.sizes[-1], len(net.sizes)
        self.out_activation_ = "logistic" if net.output.name == "sigmoid" else net.output.name
        progress = Progress.begin(net, early_stopping=self.early_stopping)
        self.__dict__.update(vars(progress))

    def _continue(self, sizes: list[int]) -> None:
        """Take the network there is; refuse what cannot change while training goes on with it."""
        net = self.network_
        if list(net.sizes) != sizes:
            raise InputError(
                f"the network has layers of {list(net.sizes)} units, but the data and "
                f"hidden_layer_sizes ask for {sizes}; set warm_start=False to start afresh"
            )
        layers = len(net.hidden)
        device = getattr(self.device, "name", self.device)
        for name, asked, found in (
            ("activation", hidden_activations(self.activation, layers), net.hidden),
            ("output activation", resolve_activation(self._output(), OUTPUTS), net.output),
            ("dropout", checked_rates(per_layer(self.dropout, layers)), net.dropout),
            ("device", device or net.device.name, net.device.name),
            ("dtype", self.dtype or net.dtype, net.dtype),
            ("standardize", self.standardize, self._scaler is not None),
            ("early_stopping", self.early_stopping, self.validation_scores_ is not None),
        ):
            if asked != found:
                raise InputError(
                    f"{name}={asked!r}, but training goes on with a network that has "
                    f"{name}={found!r}; call fit with warm_start=False to start afresh"
                )

    @property
    def coefs_(self) -> Sequence[Array]:
        """Weights of each layer, (fan_in, fan_out): the network's own arrays, or those set."""
        return self.network_.weights if "network_" in vars(self) else self._coefs

    @coefs_.setter
    def coefs_(self, values: list[Array]) -> None:
        if "network_" in vars(self):
            self.network_.set_parameters(values, self.network_.biases)
        else:  # for a training that goes on
            self._coefs = values

    @property
    def intercepts_(self) -> Sequence[Array]:
        """Biases of each layer, (fan_out,): the network's own arrays, or those set."""
        return self.network_.biases if "network_" in vars(self) else self._intercepts

    @intercepts_.setter
    def intercepts_(self, values: list[Array]) -> None:
        if "network_" in vars(self):
            self.network_.set_parameters(self.network_.weights, values)
        else:
            self._intercepts = values

    # -- training

    def _l2(self, data: Data, batch: int) -> float:
        """Translate alpha, which scikit-learn divides by the weight of each batch's rows.

        Here it is the same in every step, that of a full batch: ``alpha / (batch size * mean
        sample weight)``. The two differ in batches that are short or weigh less.
        """
        weights, xp = data.row_weights, self.network_.device.xp
        return float(self.alpha) / (batch * (1.0 if weights is None else float(xp.mean(weights))))

    def _steps(
        self, data: Data, held_out: Data | None, incremental: bool
    ) -> tuple[Training, SklearnStopping, Doctor]:
        """Prepare a training by mini-batches from where the estimator is."""
        rows, state, optimizer = data.y.shape[0], self._state, optimizer_of(self)
        kind = type(optimizer).__name__, bool(self.momentum)
        if state.optimizer and self._optimizer_kind != kind:
            state = TrainingState()
        self._optimizer_kind, own_rate = kind, self.learning_rate in OWN_RATES
        if incremental and not self.callbacks and own_rate:  # nobody looks at a stream's history
            state = replace(state, history=History())
        batch = min(AUTO_BATCH if self.batch_size == "auto" else int(self.batch_size), rows)
        options = TrainingOptions(
            loss=self._core_loss(), optimizer=optimizer, batch_size=batch, shuffle=self.shuffle,
            epochs=state.epoch + (1 if incremental else self.max_iter), l2=self._l2(data, batch),
            schedule=None if own_rate else self.learning_rate, seed=self._seed,
        )  # fmt: skip
        stopping, doctor = SklearnStopping(
            Progress.of(self), self._score_on(held_out) if self.early_stopping else None,
            str(self.learning_rate) if own_rate and self.solver == "sgd" else "constant",
            self.tol, self.n_iter_no_change, self.power_t, self.verbose,
        ), Doctor()  # fmt: skip
        watching = [stopping, *checked_callbacks(self.callbacks)]
        watching += [ProgressBar()] if self.progress else []
        training = Training(
            self.network_, data, options, validation=held_out, state=state, stream=incremental,
            callbacks=watching if incremental else [doctor, *watching],
        )  # fmt: skip
        return training, stopping, doctor

    def _run_steps(
        self, training: Training, stopping: SklearnStopping, doctor: Doctor
    ) -> Iterator[tuple[str, Any]]:
        """Train by mini-batches; yield the warnings."""
        if self.batch_size != "auto" and int(self.batch_size) > training.rows:
            message = "Got `batch_size` less than 1 or larger than sample size. It is going to be"
            yield f"{message} clipped", UserWarning
        diverged = False
        try:
            training.run()
        except DivergenceError:
            diverged = True
            self._keep_best_epoch(training, stopping)
        finally:
            self.__dict__.update(vars(stopping.progress))
            self._state = TrainingState() if diverged else to_continue(training.state)
        if self.early_stopping:
            training.net.flat[...] = self._best
        if diverged:
            kept = "from before the batch" if training.stream else "of the best epoch"
            name, rate = self._rate()[0], training.learning_rate
            yield (
                f"{type(self).__name__}: training diverged in epoch {self.n_iter_} (loss "
                f"{self.loss_:.4g}); the weights {kept} are kept. Lower {name} (it was {rate:g}; "
                f"try {rate / 10:.2g}), or scale X, for instance with standardize=True.",
                DivergenceWarning,
            )
        elif not training.stream:
            if not training.stop_reason:
                yield (
                    f"Stochastic Optimizer: Maximum iterations ({self.max_iter}) reached and the "
                    "optimization hasn't converged yet.",
                    ConvergenceWarning,
                )
            yield from self._no_skill(training.data, doctor)

    def _score_on(self, held_out: Data | None) -> Callable[[Array], float]:
        """Return what early stopping watches: ``score(outputs)`` of the held-out rows."""
        assert held_out is not None
        targets, weights = to_host(held_out.y), held_out.row_weights
        weights = None if weights is None else to_host(weights)[:, 0]
        return lambda outputs: float(self._score_of(to_host(outputs), targets, weights))

    def _keep_best_epoch(self, training: Training, stopping: SklearnStopping) -> None:
        """Record the epoch that diverged; keep the weights from the start of the best one."""
        state = training.state
        if state.epoch == 1 and not np.isfinite(float(state.first_loss)):
            raise InputError(NON_FINITE) from None
        stopping.record(training)
        if stopping.score is not None:
            stopping.progress.validation_scores_.append(float("nan"))
        elif stopping.best_epoch is not None:
            training.net.flat[...] = stopping.best_epoch

    def _lbfgs(self, data: Data, held_out: Data | None) -> tuple[LBFGS, Doctor]:
        """Prepare a training on all rows at once, from the weights the network has."""
        if self.callbacks or self.progress:
            raise InputError(
                "callbacks and progress: L-BFGS has no epochs to show; use solver='adam' or 'sgd'"
            )
        doctor = Doctor()
        training = LBFGS(
            self.network_, data, loss=self._core_loss(), l2=self._l2(data, data.y.shape[0]),
            max_iter=self.max_iter, max_fun=self.max_fun, tol=self.tol, validation=held_out,
            callbacks=[doctor],
        )  # fmt: skip
        return training, doctor

    def _run_lbfgs(self, training: LBFGS, doctor: Doctor) -> Iterator[tuple[str, Any]]:
        """Train on all rows at once; yield the warnings."""
        try:
            history = training.run()
        except DivergenceError as error:
            raise InputError(NON_FINITE) from error
        self.n_iter_, self.loss_ = history.epochs, np.float64(history.loss[-1])
        self.best_loss_ = np.float64(min(history.loss))
        self.loss_curve_.extend(history.loss)
        self.validation_loss_curve_.extend(history.validation_loss)
        if not history.stopped.startswith(CONVERGED):
            yield (
                f"lbfgs failed to converge after {history.epochs} iteration(s): {history.stopped}. "
                f"Increase max_iter (now {self.max_iter}) or max_fun (now {self.max_fun}), or "
                "scale the data, for instance with standardize=True.",
                ConvergenceWarning,
            )
        yield from self._no_skill(training.data, doctor)

    def _no_skill(self, data: Data, doctor: Doctor) -> Iterator[tuple[str, Any]]:
        """Warn if the model is no better than a constant; name the likely cause and remedy."""
        found = find_no_skill(self.network_, self._core_loss(), data, self._seed)
        if found is not None:
            skill, judged = found
            findings = doctor.report().findings
            cause = likely_cause(to_host(judged.x), findings, self._next_attempt())
            yield f"{type(self).__name__}: {skill}. {cause}", NoSkillWarning

    def _next_attempt(self) -> str:
        """Say what to try next, whatever the cause."""
        if self.solver == "lbfgs":
            return "Set init='auto', or solver='adam'."
        name, rate = self._rate()
        if self.n_iter_ == self.max_iter:
            return f"All {self.n_iter_} epochs were needed: raise max_iter, or {name}."
        return (
            f"Training stopped after {self.n_iter_} of {self.max_iter} epochs, because nothing "
            f"improved by tol={self.tol:g} for {self.n_iter_no_change} epochs: a plateau that the "
            f"learning rate is too small to leave. Set {name}={10 * rate:g} (it was {rate:g}), or "
            "lower tol."
        )

    def _rate(self) -> tuple[str, float]:
        """Return the name of the learning rate that counts, and its value."""
        if isinstance(self.solver, str):
            return "learning_rate_init", float(self.learning_rate_init)
        return "the solver's learning_rate", float(self.solver.learning_rate)

    @property
    def _optimizer(self) -> SimpleNamespace:
        return SimpleNamespace(learning_rate=self._learning_rate)  # as scikit-learn's

    @property
    def _flat(self) -> Array:
        return self.network_.flat

    def _loss_grad_lbfgs(
        self, vector: Any, X: Any, y: Any, sample_weight: Any, *unused: Any
    ) -> tuple[float, Any]:
        """Return loss and gradient for prepared data, like scikit-learn's method of this name."""
        net = self.network_
        data, _ = self._data(net.device.put(X, net.dtype), y, sample_weight, (None, None))
        l2 = self.alpha / len(y)
        return LBFGS(net, data, loss=self._core_loss(), l2=l2).loss_and_gradient(vector)

    # -- prediction

    def _outputs(self, X: Any, method: str) -> tuple[Array, Any]:
        """Return the outputs on the network's device, and how to return them to the caller."""
        check_is_fitted(self, "network_")
        with place_of(X).active:
            if self.device is None:
                check_same_namespace(X, self, attribute="_flat", method=method)
            X = validate_data(self, X, accept_sparse=["csr", "csc"], reset=False)
        net: MLP = self.network_
        device_array = self.device is None and is_foreign(X) and not issparse(X)
        X, device, dtype = self._placed(X, first=False)
        with device.active:
            x = as_rows(X, self._scaler, device, dtype)
            if hasattr(x, "blocks"):
                parts = [net.outputs(device.put(block, dtype)) for block in x.blocks()]
                outputs = device.xp.concat(parts, axis=0)
            else:
                outputs = net.outputs(x)
        return outputs, (lambda array: array) if device_array else device.get

    # -- copies, tags

    def __getstate__(self) -> dict[str, Any]:
        """Bring what is on another library's device to the CPU: pickles hold NumPy arrays."""
        state: dict[str, Any] = super().__getstate__()
        net = state.get("network_")
        if net is None or net.device.name.partition(":")[0] in ("cpu", "gpu"):
            return state
        return {**state, **self._on(CPU, to_host), "device": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if "network_" in state and state["network_"].device.name.startswith("gpu"):
            device = self.network_.device  # what was pickled is on whichever GPU is current
            with device.active:
                self.__dict__.update(self._on(device, partial(device.xp.asarray, copy=True)))

    def __sklearn_array_api_convert__(self, converter: Any) -> Any:
        """Return the estimator with its arrays in another namespace, as `move_estimator_to`."""
        twin = copy(self)
        twin.__dict__.update(self._on(place_of(converter(self._flat)), converter))
        return twin

    def _on(self, device: Device, convert: Any) -> dict[str, Any]:
        """Return the attributes that hold device arrays, converted for a device."""
        state, scaler = self._state, self._scaler
        return {
            "network_": self.network_.to(device),
            "_state": replace(state, optimizer=[convert(each) for each in state.optimizer]),
            "_best": None if self._best is None else convert(self._best),
            "_scaler": scaler and Scaler(convert(scaler.mean), convert(scaler.scale)),
        }

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.array_api_support = True
        return tags
