"""scikit-learn's MLPClassifier and MLPRegressor over xpnet's network and training.

The parameters, attributes and rules are scikit-learn's; the forward pass, the backward pass and the
training loop are those of the rest of the package.
"""

import warnings
from dataclasses import KW_ONLY, dataclass, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_random_state
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data

from xpnet.batches import Data
from xpnet.callbacks import ProgressBar
from xpnet.device import CPU, Device, device_of, open_device
from xpnet.doctor import Doctor
from xpnet.errors import DivergenceError
from xpnet.estimator_checks import (
    check_options,
    check_same_device,
    is_foreign_array,
    layer_sizes,
    warn_if_useless,
)
from xpnet.estimator_targets import Labels, SeveralLabels, labels_of
from xpnet.estimator_training import SklearnRules, SparseRows, host_weights
from xpnet.lbfgs import FullBatch, minimise
from xpnet.network import MLP
from xpnet.objective import as_row_weights
from xpnet.optimizers import SGD, Adam, Optimizer
from xpnet.targets import as_inputs, as_targets
from xpnet.training import Training, TrainingOptions, TrainingState

AUTO_BATCH = 200
LOGISTIC = {"logistic": "sigmoid"}  # scikit-learn's name and xpnet's
NOT_FINITE = (
    "Solver produced non-finite parameter weights. The input data may contain large values and "
    "need to be preprocessed."
)


@dataclass(eq=False, repr=False)
class _BaseMLP(BaseEstimator):
    """Parameters, in scikit-learn's order and with its defaults, and what both kinds share."""

    hidden_layer_sizes: Any = (100,)
    activation: Any = "relu"
    _: KW_ONLY
    solver: str = "adam"
    alpha: float = 0.0001
    batch_size: Any = "auto"
    learning_rate: str = "constant"
    learning_rate_init: float = 0.001
    power_t: float = 0.5
    max_iter: int = 200
    shuffle: bool = True
    random_state: Any = None
    tol: float = 1e-4
    verbose: Any = False
    warm_start: bool = False
    momentum: float = 0.9
    nesterovs_momentum: bool = True
    early_stopping: bool = False
    validation_fraction: float = 0.1
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    n_iter_no_change: Any = 10
    max_fun: int = 15000
    # beyond scikit-learn
    device: Any = "cpu"
    dtype: Any = None
    init: Any = "auto"
    dropout: Any = 0.0
    optimizer: Any = None
    schedule: Any = None
    standardize: bool = False
    callbacks: Any = ()
    progress: bool = False

    _state = None  # of an earlier training; not a field

    def fit(self, X: Any, y: Any, sample_weight: Any = None, *, validation: Any = None) -> Any:
        """Fit the network to X and y.

        Parameters
        ----------
        X : array_like or sparse matrix, (n, features)
        y : array_like, (n,) or (n, outputs)
        sample_weight : array_like, (n,), optional
        validation : (X, y), optional
            Rows to watch, whose loss goes to ``validation_loss_curve_``; with `early_stopping`
            they are scored in place of a part of the training rows.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            For data and parameters that cannot be used.
        """
        return self._fit(X, y, sample_weight, validation=validation)

    @available_if(lambda estimator: estimator._check_solver())
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Train for one epoch on the given rows, from where the network is.

        Parameters
        ----------
        X : array_like or sparse matrix, (n, features)
        y : array_like, (n,) or (n, outputs)
        sample_weight : array_like, (n,), optional

        Returns
        -------
        self
        """
        return self._fit(X, y, sample_weight, incremental=True)

    def _check_solver(self) -> bool:
        if self.solver == "lbfgs":
            raise AttributeError("partial_fit is only for the stochastic solvers sgd and adam")
        return True

    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        *,
        validation: Any = None,
        incremental: bool = False,
    ) -> Any:
        check_options(self, incremental=incremental)
        first = not hasattr(self, "coefs_") or not (self.warm_start or incremental)
        X, y = self._checked_rows(X, y, reset=first)
        given, y = y, self._encoded(y, first=first, incremental=incremental)
        if first:
            self._state = None
            self._seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        net = self._network(X, y, first=first)
        weights = self._row_weights(given, sample_weight, X.shape[0])
        data = self._prepared(net, X, y, weights)
        held_out = None
        if validation is not None:
            held_out = self._held_out(net, *validation)
        if first:
            self._start_attributes(net)
        self._net, self.coefs_, self.intercepts_ = net, net.weights, net.biases
        if self.solver == "lbfgs":
            self._fit_lbfgs(data)
        else:
            self._fit_stochastic(data, held_out, incremental=incremental)
        return self

    # Preparing

    def _checked_rows(self, X: Any, y: Any = None, *, reset: bool) -> tuple[Any, Any]:
        """Let scikit-learn check shapes, types, names and finiteness."""
        xp = device_of(X).xp if is_foreign_array(X) else np
        dtypes = [xp.float64, xp.float32] if self.dtype is None else [getattr(xp, self.dtype)]
        options: dict[str, Any] = {"accept_sparse": ("csr", "csc"), "dtype": dtypes, "reset": reset}
        if y is None:
            return validate_data(self, X, **options), None
        X, y = validate_data(self, X, y, multi_output=True, **self._target_checks, **options)
        y = y if hasattr(y, "tocsr") else device_of(y).get(y)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        return X, y

    def _network(self, X: Any, y: Any, *, first: bool) -> MLP:
        """Make the network of a first fit, or go on with the one there is."""
        device = self._device_for(X)
        dtype = str(X.dtype).rpartition(".")[2]
        sizes = [X.shape[1], *layer_sizes(self.hidden_layer_sizes), y.shape[1]]
        if not first and getattr(self, "_net", None) is not None:
            check_same_device(self, device, "fit")
            net = self._synced()
            if list(net.sizes) == sizes and net.dtype == dtype:
                return net
        names = self.activation
        names = [names] if isinstance(names, str) or not hasattr(names, "__iter__") else names
        hidden = [LOGISTIC.get(each, each) if isinstance(each, str) else each for each in names]
        hidden = hidden * (len(sizes) - 2) if len(hidden) == 1 else hidden
        net = MLP(
            sizes, hidden=hidden, output=self._output(), init=self.init, dtype=dtype,
            device=device, seed=self._seed_or_draw(), dropout=self.dropout,
            init_data=self._scaled(X, first=first) if self.init == "lsuv" else None,
        )  # fmt: skip
        if not first:
            net.set_parameters(self.coefs_, self.intercepts_)
            self._state = None
        return net

    def _seed_or_draw(self) -> int:
        if not hasattr(self, "_seed"):
            self._seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        return self._seed

    def _device_for(self, X: Any) -> Device:
        return device_of(X) if is_foreign_array(X) else open_device(self.device)

    def _scaled(self, X: Any, *, first: bool = False) -> Any:
        """Return the rows as the network gets them; sparse ones as a source."""
        if self.standardize:
            if first or not hasattr(self, "scaler_"):
                self.scaler_ = StandardScaler(with_mean=not hasattr(X, "tocsr")).fit(X)
            X = self.scaler_.transform(X)
        return SparseRows(X) if hasattr(X, "tocsr") else X

    def _prepared(self, net: MLP, X: Any, y: Any, weights: Any) -> Data:
        """Put everything on the device, once."""
        x = self._scaled(X, first=self._state is None)
        if not isinstance(x, SparseRows):
            x = as_inputs(x, net.device, net.dtype, net.sizes[0])
        rows, outputs = y.shape
        targets = as_targets(y, net.device, net.dtype, outputs, net.output.name, rows)
        return Data(x, targets, None if weights is None else as_row_weights(weights, net, rows))

    def _held_out(self, net: MLP, X: Any, y: Any) -> Data:
        X, y = self._checked_rows(X, y, reset=False)
        self._validation_rows = (X, y)
        data = self._prepared(net, X, self._encoded(y, first=False, incremental=True), None)
        if isinstance(data.x, SparseRows):
            dense = data.x.matrix.toarray()
            return data._replace(x=net.device.put(dense, net.dtype))
        return data

    def _row_weights(self, y: Any, sample_weight: Any, rows: int) -> Any:
        """Return sample weights times class weights on the host, or None without any."""
        weights = None
        if sample_weight is not None:
            foreign = is_foreign_array(sample_weight)
            given = device_of(sample_weight).get(sample_weight) if foreign else sample_weight
            weights = host_weights(given, rows)
        class_weight = getattr(self, "class_weight", None)
        if class_weight is not None:
            of_classes = compute_sample_weight(class_weight, y)
            weights = of_classes if weights is None else weights * of_classes
        return weights

    def _start_attributes(self, net: MLP) -> None:
        self.n_iter_ = self.t_ = 0
        self.n_layers_, self.n_outputs_ = len(net.sizes), net.sizes[-1]
        name = net.output.name
        self.out_activation_ = "logistic" if name == "sigmoid" else name
        self.loss_curve_: list[float] = []
        self.validation_loss_curve_: list[float] = []
        self._no_improvement_count = 0
        scored = self.early_stopping
        self.validation_scores_: list[float] | None = [] if scored else None
        self.best_validation_score_ = -np.inf if scored else None
        self.best_loss_ = None if scored else np.inf
        self._optimizer = SimpleNamespace(learning_rate=self.learning_rate_init)

    # Training

    def _fit_lbfgs(self, data: Data) -> None:
        net = self._net
        with np.errstate(all="ignore"):
            result = minimise(
                net, data, loss=self._loss(), l2=self._penalty(data, data.y.shape[0]),
                max_iter=self.max_iter, max_fun=self.max_fun, tol=self.tol,
            )  # fmt: skip
        losses = result.history.loss
        self.n_iter_, self.loss_ = len(losses), losses[-1]
        self.loss_curve_, self.best_loss_ = list(losses), min(losses)
        if not result.converged:
            warnings.warn(
                f"lbfgs failed to converge after {self.n_iter_} iteration(s): {result.message}. "
                "Increase max_iter or max_fun, or scale the data (standardize=True)",
                ConvergenceWarning,
                stacklevel=4,
            )

    def _fit_stochastic(self, data: Data, held_out: Data | None, *, incremental: bool) -> None:
        data, score = self._with_scoring(data, held_out)
        rows = data.y.shape[0]
        batch_size = self._batch_size(rows)
        state, epochs = self._resumed_state(), 1 if incremental else self.max_iter
        options = TrainingOptions(
            loss=self._loss(), optimizer=self._core_optimizer(), epochs=state.epoch + epochs,
            batch_size=batch_size, shuffle=bool(self.shuffle),
            l2=self._penalty(data, batch_size), schedule=self.schedule, seed=self._seed,
        )  # fmt: skip
        rules, doctor = SklearnRules(self, score), Doctor()
        callbacks = [rules, *self.callbacks, *([ProgressBar()] if self.progress else [])]
        if not incremental:
            callbacks.append(doctor)
        training = Training(
            self._net, data, options, validation=held_out, callbacks=callbacks, state=state
        )
        self.n_iter_ = 0
        self._run(training, rules)
        self._state = training.state
        if rules.best:
            for own, value in zip(self._net.parameters, rules.best, strict=True):
                own[...] = value
        if not incremental:
            self._warn_at_the_end(training, doctor, data)

    def _run(self, training: Training, rules: SklearnRules) -> None:
        try:
            training.run()
        except DivergenceError as error:
            state = training.state
            first = float(state.first_loss)
            if not np.isfinite(first):
                raise ValueError(NOT_FINITE) from error
            rules.note(state.history.loss[-1], training.rows)
            if getattr(self, "validation_scores_", None) is not None:
                self.validation_scores_.append(float("nan"))
            warnings.warn(str(error), ConvergenceWarning, stacklevel=5)
        except KeyboardInterrupt:
            warnings.warn("Training interrupted by user.", stacklevel=5)

    def _resumed_state(self) -> TrainingState:
        """Go on from the last epoch; what an interrupted one had summed up is dropped."""
        if self._state is None:
            self._optimizer = SimpleNamespace(learning_rate=self.learning_rate_init)
            return TrainingState()
        if self._no_improvement_count > self.n_iter_no_change:
            self._no_improvement_count = 0
        return replace(self._state, batch=0, epoch_loss=0.0, epoch_rows=0, last_good=[])

    def _with_scoring(self, data: Data, held_out: Data | None) -> tuple[Data, Any]:
        """Set rows aside for early stopping, and say how they are scored."""
        if not self.early_stopping:
            return data, None
        net, scored = self._net, held_out
        if scored is None:
            data, scored = self._split(data)
        x: Any = scored.x
        if isinstance(x, SparseRows):
            x = net.device.put(x.matrix.toarray(), net.dtype)
        targets = net.device.get(scored.y)
        weights = None if scored.row_weights is None else net.device.get(scored.row_weights)[:, 0]

        def score() -> float:
            with np.errstate(all="ignore"):
                outputs = net.device.get(net.outputs(x))
            return float(self._score_outputs(targets, outputs, weights))

        return data, score

    def _split(self, data: Data) -> tuple[Data, Data]:
        rows, get = data.y.shape[0], self._net.device.get
        stratify = self._stratify(get(data.y))
        training, held_out = train_test_split(
            np.arange(rows), test_size=self.validation_fraction, stratify=stratify,
            random_state=self._seed,
        )  # fmt: skip
        if len(held_out) < 2:
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' or the size of "
                "your dataset."
            )
        return self._take(data, training), self._take(data, held_out)

    def _take(self, data: Data, rows: Any) -> Data:
        device = self._net.device
        index = device.put(rows, "int64")
        x: Any = data.x
        if isinstance(x, SparseRows):
            x = SparseRows(x.matrix[rows])
        else:
            x = device.xp.take(x, index, axis=0)
        y, weights = data.y, data.row_weights
        weights = None if weights is None else device.xp.take(weights, index, axis=0)
        return Data(x, device.xp.take(y, index, axis=0), weights)

    def _batch_size(self, rows: int) -> int:
        if self.batch_size == "auto":
            return min(AUTO_BATCH, rows)
        if self.batch_size > rows:
            warnings.warn(
                f"Got `batch_size` {self.batch_size} larger than the {rows} rows. It is going to "
                "be clipped",
                stacklevel=5,
            )
        return min(int(self.batch_size), rows)

    def _penalty(self, data: Data, batch_size: int) -> float:
        """Return the core's l2 for alpha, which scikit-learn divides by the batch's weight."""
        mean = 1.0
        if data.row_weights is not None:
            mean = float(self._net.device.xp.mean(data.row_weights))
        return self.alpha / (batch_size * mean)

    def _core_optimizer(self) -> Optimizer:
        if self.optimizer is not None:
            return self.optimizer  # type: ignore[no-any-return]
        if self.solver == "sgd":
            nesterov = self.nesterovs_momentum and self.momentum > 0
            return SGD(self.learning_rate_init, self.momentum, nesterov)
        return Adam(self.learning_rate_init, self.beta_1, self.beta_2, self.epsilon)

    def _warn_at_the_end(self, training: Training, doctor: Doctor, data: Data) -> None:
        if training.state.history.stopped == f"{training.options.epochs} epochs done":
            warnings.warn(
                f"Stochastic Optimizer: Maximum iterations ({self.max_iter}) reached and the "
                "optimization hasn't converged yet.",
                ConvergenceWarning,
                stacklevel=5,
            )
        warn_if_useless(self, self._net, data, doctor)

    # Using

    def _synced(self) -> MLP:
        """Return the network, with parameters that the user may have put into the attributes."""
        net: MLP = self._net
        if self.coefs_ is not net.weights or self.intercepts_ is not net.biases:
            net.weights, net.biases = list(self.coefs_), list(self.intercepts_)
        if not getattr(getattr(net.flat, "flags", None), "writeable", True):
            net = self._net = MLP.from_config(net.config(), net.weights, net.biases)
        _ = net.parameters  # copies given arrays into the network's own
        return net

    def _outputs(self, X: Any, method: str) -> Any:
        """Return the network's outputs, (n, outputs), in the caller's namespace."""
        check_is_fitted(self)
        X, _ = self._checked_rows(X, reset=False)
        check_same_device(self, self._device_for(X), method)
        net, x = self._synced(), self._scaled(X)
        if isinstance(x, SparseRows):
            return np.concatenate([net.predict(block) for block in x.blocks()])
        return net.predict(x)

    def _loss_grad_lbfgs(
        self, theta: Any, X: Any, y: Any, sample_weight: Any = None, *_: Any
    ) -> tuple[float, Any]:
        """Return the L-BFGS objective and its gradient at packed parameters, as scikit-learn's."""
        data = self._prepared(self._net, X, y, sample_weight)
        penalty = self._penalty(data, data.y.shape[0])
        return FullBatch(self._net, data, self._loss(), penalty)(theta)

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = {**super().__getstate__()}
        net = state.get("_net")
        if net is not None and self.coefs_ is net.weights and self.intercepts_ is net.biases:
            del state["coefs_"], state["intercepts_"]  # views into the network's own storage
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if "_net" in state and "coefs_" not in state:
            self.coefs_, self.intercepts_ = self._net.weights, self._net.biases

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.array_api_support = True
        tags.target_tags.multi_output = True
        return tags


@dataclass(eq=False, repr=False, kw_only=True)
class MLPClassifier(ClassifierMixin, _BaseMLP):  # type: ignore[misc]
    """Multilayer perceptron classifier: scikit-learn's parameters, attributes and rules.

    Parameters
    ----------
    hidden_layer_sizes, activation, solver, ..., max_fun
        As in `sklearn.neural_network.MLPClassifier`; besides, `activation` may be any hidden
        activation of xpnet, or one per layer.
    device : str
        ``"cpu"``, ``"gpu"`` or ``"gpu:N"``; arrays of another library are computed where they are.
    dtype : {None, "float32", "float64"}
        None keeps the dtype of X.
    init : str or callable
        See `xpnet.MLP`.
    dropout : float or sequence of float, in [0, 1)
    optimizer : SGD, Adam or AdamW, optional
        In place of `solver`, `learning_rate_init`, `momentum` and so on.
    schedule : str or callable, optional
        See `xpnet.schedules`; multiplies the learning rate.
    standardize : bool
        Scale the features to mean 0 and variance 1; the scaler belongs to the model, `scaler_`.
    callbacks : sequence of object
        See `xpnet.training`.
    progress : bool
        Show a progress bar.
    class_weight : "balanced", dict, or list of dict, optional

    Attributes
    ----------
    classes_ : ndarray, or list of ndarray for several targets of classes
    coefs_, intercepts_ : list of array
        The network's own weights and biases, where they are computed.
    loss_curve_, validation_loss_curve_ : list of float
    loss_, best_loss_, n_iter_, t_, n_layers_, n_outputs_, out_activation_, validation_scores_
        As in scikit-learn.
    """

    class_weight: Any = None

    _target_checks = {}  # noqa: RUF012  # not a field

    @available_if(lambda estimator: estimator._check_solver())
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> Any:
        """Train for one epoch on the given rows, from where the network is.

        Parameters
        ----------
        X : array_like or sparse matrix, (n, features)
        y : array_like, (n,) or (n, outputs)
        sample_weight : array_like, (n,), optional
        classes : array_like, (classes,)
            All classes there will be; needed at the first call.

        Returns
        -------
        self
        """
        if not hasattr(self, "classes_"):
            if classes is None:
                raise ValueError("classes must be passed on the first call to partial_fit.")
            self._labels = labels_of(y, np.unique(classes))
            self.classes_ = self._labels.classes
        elif classes is not None and not np.array_equal(self.classes_, np.unique(classes)):
            raise ValueError(
                f"`classes={classes!r}` is not the same as on last call to partial_fit, was: "
                f"{self.classes_!r}"
            )
        return self._fit(X, y, sample_weight, incremental=True)

    def _encoded(self, y: Any, *, first: bool, incremental: bool) -> Any:
        if not hasattr(self, "classes_") or (first and not incremental):
            self._labels: Labels | SeveralLabels = labels_of(y)
            self.classes_ = self._labels.classes
        elif isinstance(self._labels, Labels):
            classes = labels_of(y).classes
            if self.warm_start and not incremental and set(classes) != set(self.classes_):
                raise ValueError(
                    "warm_start can only be used where `y` has the same classes as in the previous "
                    f"call to fit. Previously got {self.classes_}, `y` has {classes}"
                )
            if len(np.setdiff1d(classes, self.classes_)):
                raise ValueError(
                    f"`y` has classes not in `self.classes_`. `self.classes_` has {self.classes_}. "
                    f"'y' has {classes}."
                )
        return self._labels.encode(y)

    def _output(self) -> Any:
        return self._labels.output

    def _loss(self) -> Any:
        return self._labels.loss

    def _stratify(self, targets: Any) -> Any:
        return targets.astype(bool) if targets.shape[1] == 1 else None

    def _score_outputs(self, targets: Any, outputs: Any, weights: Any) -> float:
        if not np.all(np.isfinite(outputs)):
            return float("nan")
        truth, found = self._labels.decode(targets), self._labels.decode(outputs)
        if isinstance(self._labels, SeveralLabels):
            return float(np.average(truth == found, axis=0, weights=weights).mean())
        return float(accuracy_score(truth, found, sample_weight=weights))

    def predict(self, X: Any) -> Any:
        """Return the most probable classes, (n,) or (n, outputs).

        Parameters
        ----------
        X : array_like or sparse matrix, (n, features)
        """
        outputs = self._outputs(X, "predict")
        device = device_of(outputs)
        labels = self._labels.decode(device.get(outputs))
        if device is CPU or getattr(labels, "dtype", np.dtype("O")).kind not in "biuf":
            return labels
        return device.put(labels, labels.dtype.name)

    def predict_proba(self, X: Any) -> Any:
        """Return the probabilities, (n, classes); for several targets of classes, a list of them.

        Parameters
        ----------
        X : array_like or sparse matrix, (n, features)
        """
        return self._probabilities(X, "predict_proba")

    def predict_log_proba(self, X: Any) -> Any:
        """Return the logarithms of `predict_proba`.

        Parameters
        ----------
        X : array_like or sparse matrix, (n, features)
        """
        found = self._probabilities(X, "predict_log_proba")
        several = isinstance(found, list)
        with np.errstate(divide="ignore"):
            logs = [device_of(p).xp.log(p) for p in (found if several else [found])]
        return logs if several else logs[0]

    def _probabilities(self, X: Any, method: str) -> Any:
        outputs = self._outputs(X, method)
        if isinstance(self._labels, Labels) and self._labels.binarizer.y_type_.startswith("multil"):
            return outputs
        return self._labels.probabilities(device_of(outputs).xp, outputs)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the accuracy; for several targets of classes, the mean of theirs.

        Parameters
        ----------
        X : array_like or sparse matrix, (n, features)
        y : array_like, (n,) or (n, outputs)
        sample_weight : array_like, (n,), optional
        """
        if isinstance(getattr(self, "_labels", None), SeveralLabels):
            right = self.predict(X) == np.asarray(y)
            return float(np.average(right, axis=0, weights=sample_weight).mean())
        return float(super().score(X, y, sample_weight))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


@dataclass(eq=False, repr=False)
class _RegressionLoss:
    """The one parameter that stands before all others in scikit-learn's MLPRegressor."""

    loss: Any = "squared_error"


@dataclass(eq=False, repr=False)
class MLPRegressor(RegressorMixin, _BaseMLP, _RegressionLoss):  # type: ignore[misc]
    """Multilayer perceptron regressor: scikit-learn's parameters, attributes and rules.

    Parameters
    ----------
    loss : str or Loss
        ``"squared_error"`` (with the factor 1/2, as in scikit-learn; the sum over the outputs),
        ``"poisson"`` (with an exponential output), or any other loss of xpnet.
    hidden_layer_sizes, activation, solver, ..., progress
        As in `MLPClassifier`.

    Attributes
    ----------
    coefs_, intercepts_, loss_curve_, validation_loss_curve_, loss_, best_loss_, n_iter_, t_, ...
        As in `MLPClassifier`.
    """

    _target_checks = {"y_numeric": True}  # noqa: RUF012  # not a field

    def _encoded(self, y: Any, *, first: bool, incremental: bool) -> Any:
        return y.reshape(-1, 1) if y.ndim == 1 else y

    def _output(self) -> str:
        return "exp" if self.loss == "poisson" else "identity"

    def _loss(self) -> Any:
        return "half_squared_error" if self.loss == "squared_error" else self.loss

    def _stratify(self, targets: Any) -> None:
        return None

    def _score_outputs(self, targets: Any, outputs: Any, weights: Any) -> float:
        if not np.all(np.isfinite(outputs)):
            return float("nan")
        return float(r2_score(targets, outputs, sample_weight=weights))

    def predict(self, X: Any) -> Any:
        """Return the predicted values, (n,) or (n, outputs).

        Parameters
        ----------
        X : array_like or sparse matrix, (n, features)
        """
        outputs = self._outputs(X, "predict")
        return outputs[:, 0] if outputs.shape[1] == 1 else outputs
