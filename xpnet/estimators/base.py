"""What `MLPClassifier` and `MLPRegressor` share: scikit-learn's contract over xpnet's core.

There is no training loop or forward pass here: data are checked by scikit-learn's validators,
brought to the network's device, and given to `xpnet.training.loop` or `xpnet.training.lbfgs`.
"""

import math
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import replace
from numbers import Integral, Real
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, _fit_context
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils._array_api import (
    check_same_namespace,
    get_namespace_and_device,
    supported_float_dtypes,
)
from sklearn.utils._param_validation import HasMethods, Interval, Options, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, validate_data

from xpnet.backend.device import CPU, Device, device_of, is_foreign, open_device, real_numbers
from xpnet.backend.types import Array
from xpnet.errors import InputError
from xpnet.estimators.by_hand import (
    adopt,
    coefficients,
    out_activation,
    set_coefficients,
    set_out_activation,
    take_copies,
)
from xpnet.estimators.data import (
    Scaler,
    as_rows,
    hold_out,
    host_weights,
    place_of,
    scaler_of,
    shown_rows,
    to_host,
)
from xpnet.estimators.labels import BLOCKS
from xpnet.estimators.network import (
    check_unchanged,
    core_name,
    hidden_sizes,
    sklearn_draws,
    with_functions,
)
from xpnet.estimators.runs import check_options, train, train_lbfgs
from xpnet.nn.activations import HIDDEN, Activation
from xpnet.nn.arrays import as_row_weights, as_targets
from xpnet.nn.losses import Loss, resolve_head
from xpnet.nn.network import MLP
from xpnet.nn.schedules import SCHEDULES, ends_with_the_run
from xpnet.training.callbacks import checked_callbacks
from xpnet.training.data import Data, take_rows
from xpnet.training.fit import as_pair, divided
from xpnet.training.lbfgs import Objective
from xpnet.training.loop import TrainingState


def can_train_in_steps(estimator: Any) -> bool:
    """Tell scikit-learn whether there is a `partial_fit`."""
    if estimator.solver == "lbfgs":
        raise AttributeError(
            "partial_fit is only available for stochastic optimizers. lbfgs is not stochastic."
        )
    return True


class Perceptron(BaseEstimator):  # type: ignore[misc]
    """The estimators' common part; see `MLPClassifier` for parameters and attributes."""

    # Set at the first fit, and here for estimators whose coefficients were set by hand.
    _scaler: Scaler | None = None
    _seed = 0

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "activation": [StrOptions({"logistic", *HIDDEN}), list, tuple, Activation],
        "solver": [StrOptions({"lbfgs", "sgd", "adam", "adamw"}), HasMethods("coefficients")],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "learning_rate": [StrOptions({"constant", "invscaling", "adaptive", *SCHEDULES}), callable],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "power_t": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "shuffle": ["boolean"],
        "random_state": ["random_state"],
        "tol": [Interval(Real, 0, None, closed="left")],
        "verbose": ["verbose"],
        "warm_start": ["boolean"],
        "momentum": [Interval(Real, 0, 1, closed="both")],
        "nesterovs_momentum": ["boolean"],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
        "beta_1": [Interval(Real, 0, 1, closed="left")],
        "beta_2": [Interval(Real, 0, 1, closed="left")],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left"), Options(Real, {np.inf})],
        "max_fun": [Interval(Integral, 1, None, closed="left")],
        "loss": [str, Loss],
        "device": [str, Device, None],
        "dtype": [StrOptions({"float32", "float64"}), None],
        "init": [str, callable],
        "dropout": [Interval(Real, 0, 1, closed="left"), list, tuple],
        "standardize": ["boolean"],
        "callbacks": [list, tuple, None],
        "progress": ["boolean"],
    }

    def _assign(self, given: Mapping[str, Any]) -> None:
        """Keep the constructor's arguments as they are."""
        for name, value in given.items():
            if name not in ("self", "__class__"):
                setattr(self, name, value)

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
            rows = self._prepared(X, y, sample_weight, validation, incremental=incremental)
        except BaseException:  # a call that is refused leaves the model that was there
            self.__dict__ = before
            raise
        with self.network_.device.active:
            if self.solver == "lbfgs":
                train_lbfgs(self, *rows)
            else:
                train(self, *rows, incremental=incremental)
        return self

    def _prepared(
        self, X: Any, y: Any, sample_weight: Any, validation: Any, *, incremental: bool
    ) -> tuple[Data, Data | None]:
        """Return the rows for training and those held out; make the network, or take it."""
        checked_callbacks(self.callbacks)
        first = not hasattr(self, "coefs_") or not (self.warm_start or incremental)
        X, y = self._validated(X, y, reset=first)
        targets = self._encoded(y, first=first, incremental=incremental)
        weights = self._weighted(y, host_weights(sample_weight, y), incremental=incremental)
        sizes = [X.shape[1], *hidden_sizes(self.hidden_layer_sizes), targets.shape[1]]
        drawn = self._draw(sizes) if first else None
        parts = self._split(targets, validation)
        X, device, dtype = self._placed(X, first=first)
        with device.active:
            if first:
                self._scaler = scaler_of(X, parts[0], device, dtype) if self.standardize else None
            x = as_rows(X, self._scaler, device, dtype)
            if first:
                self._start(sizes, drawn, x, device, dtype)
            else:
                self._continue(sizes, device, dtype)
            data, held_out = self._data(x, targets, weights, parts)
            if validation is not None:
                held_out = self._watched(*as_pair(validation))
        check_options(self)
        return data, held_out

    def _draw(self, sizes: list[int]) -> Any:
        """Draw scikit-learn's initial weights, if wanted, and the seed of everything else."""
        random, theirs = check_random_state(self.random_state), self.init == "sklearn"
        drawn = sklearn_draws(random, sizes, self.activation) if theirs else None
        self._seed = int(random.randint(2**31 - 1))
        return drawn

    def _split(self, targets: Any, validation: Any) -> tuple[Any, Any]:
        """Return the row numbers for training and for early stopping; None for all, and none."""
        if not self.early_stopping or validation is not None or self.solver == "lbfgs":
            return None, None
        two_classes = targets.shape[1] == 1 and hasattr(self, "_labels")
        return hold_out(targets, self.validation_fraction, self._seed, stratify=two_classes)

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
        y = to_host(y)
        return X, column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y

    def _placed(self, X: Any, *, first: bool) -> tuple[Any, Device, str]:
        """Choose device and dtype, and bring X there."""
        if not first and "network_" in vars(self):
            device, dtype = self.network_.device, self.network_.dtype
        else:
            device = place_of(X) if self.device is None else self.device
            device = open_device(device) if isinstance(device, str) else device
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
        data = Data(
            x, y, None if weights is None else as_row_weights(weights, device, net.dtype, rows)
        )
        return (data, None) if train is None else divided(net, data, train, held_out)

    def _watched(self, X: Any, y: Any) -> Data:
        """Prepare the rows of ``fit(validation=(X, y))``."""
        net = self.network_
        X, y = self._validated(X, y, reset=False)
        X, device, dtype = self._placed(X, first=False)
        targets = self._encoded(y, first=False, incremental=True)
        whole = Data(as_rows(X, self._scaler, device, dtype), net.device.put(targets, dtype), None)
        return take_rows(whole, np.arange(len(targets)), device, dtype)

    # -- network

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
        self.n_iter_, self.t_, self.loss_ = 0, 0, math.nan
        self.loss_curve_, self.validation_loss_curve_ = list[float](), list[float]()
        self._begin_to_watch()
        self._describe(net)

    def _begin_to_watch(self) -> None:
        """Start with no loss seen yet, or with early stopping no score."""
        scores, flat = self.early_stopping, self.network_.flat
        self._no_improvement_count = 0
        self.best_loss_ = None if scores else math.inf
        self.validation_scores_: list[float] | None = [] if scores else None
        self.best_validation_score_ = -math.inf if scores else None
        self._best = self.network_.device.xp.asarray(flat, copy=True) if scores else None

    def _describe(self, net: MLP) -> None:
        self.n_outputs_, self.n_layers_ = net.sizes[-1], len(net.sizes)

    def _continue(self, sizes: list[int], device: Device, dtype: str) -> None:
        """Take the network there is, or make it from coefficients that were set by hand."""
        adopt(self, device, dtype)
        take_copies(self, always=self.solver == "lbfgs")  # as scikit-learn, which makes new ones
        check_unchanged(self, sizes)
        hidden, output = core_name(self.activation), self._output()
        self.network_ = with_functions(self.network_, hidden, output, self.dropout)
        self._describe(self.network_)

    @property
    def coefs_(self) -> Sequence[Array]:
        """Weights of each layer, (fan_in, fan_out): the network's own arrays."""
        return coefficients(self, "coefs_")

    @coefs_.setter
    def coefs_(self, values: list[Array]) -> None:
        set_coefficients(self, "coefs_", values)

    @property
    def intercepts_(self) -> Sequence[Array]:
        """Biases of each layer, (fan_out,): the network's own arrays."""
        return coefficients(self, "intercepts_")

    @intercepts_.setter
    def intercepts_(self, values: list[Array]) -> None:
        set_coefficients(self, "intercepts_", values)

    @property
    def out_activation_(self) -> str:
        """Name of the output activation, as scikit-learn has it."""
        return out_activation(self)

    @out_activation_.setter
    def out_activation_(self, value: str) -> None:
        set_out_activation(self, value)

    @property
    def _optimizer(self) -> SimpleNamespace:
        return SimpleNamespace(learning_rate=self._learning_rate)

    @property
    def _flat(self) -> Array:
        return self.network_.flat

    def _loss_grad_lbfgs(
        self, vector: Any, X: Any, y: Any, sample_weight: Any, *unused: Any
    ) -> tuple[float, Any]:
        """Return loss and gradient for prepared data, like scikit-learn's method of this name."""
        net, rows = self.network_, len(y)
        data, _ = self._data(net.device.put(X, net.dtype), y, sample_weight, (None, None))
        objective = Objective(
            net, data, resolve_head(net.output, self._core_loss()), self.alpha / rows
        )
        return objective(vector)

    # -- prediction

    def _outputs(self, X: Any, method: str) -> tuple[Array, Any]:
        """Return the outputs on the network's device, and how to return them to the caller."""
        by_hand = hasattr(self, "coefs_") and hasattr(self, "intercepts_")
        if by_hand and "network_" not in vars(self):
            adopt(self, self.device or CPU)  # as in scikit-learn, they make a fitted model
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
            if net.output.name == BLOCKS:
                outputs = device.xp.exp(outputs)
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
            take_copies(self, always=True)  # what was pickled is on whichever GPU is current

    def __sklearn_array_api_convert__(self, converter: Any) -> Any:
        """Return the estimator with its arrays in another namespace, as `move_estimator_to`."""
        twin = copy(self)
        twin.__dict__.update(self._on(place_of(converter(self._flat)), converter))
        return twin

    def _on(self, device: Device, convert: Any) -> dict[str, Any]:
        """Return the attributes that hold device arrays, converted for a device."""
        state, scaler, best = self._state, self._scaler, vars(self).get("_best")
        return {
            "network_": self.network_.to(device),
            "_state": replace(state, optimizer=[convert(each) for each in state.optimizer]),
            "_best": None if best is None else convert(best),
            "_scaler": scaler and Scaler(convert(scaler.mean), convert(scaler.scale)),
        }

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.array_api_support = True
        return tags
