"""`MLPClassifier` and `MLPRegressor`: scikit-learn's estimators of these names over xpnet's core.

They have the parameters, attributes and methods of scikit-learn 1.9, and others that its users ask
for: device, dtype, initial weights, any activation for each layer, dropout, schedules, class
weights, a validation set of your own, callbacks, and a warning if nothing was learnt.
"""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

import numpy as np

from xpnet.errors import InputError, XpnetError

try:
    from sklearn.base import ClassifierMixin, RegressorMixin, _fit_context

    from xpnet.estimators.base import Perceptron
except ImportError as error:
    raise XpnetError(
        f"MLPClassifier and MLPRegressor need scikit-learn 1.9 or newer ({error}); install it with "
        'pip install "xpnet[sklearn]"'
    ) from error
from scipy.sparse import issparse
from sklearn.metrics import r2_score
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import compute_class_weight, compute_sample_weight
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import (
    _check_partial_fit_first_call,
    check_classification_targets,
    unique_labels,
)

from xpnet.backend.device import Array, Namespace
from xpnet.estimators.parameters import can_train_in_steps, core_name
from xpnet.nn.activations import OUTPUTS, Activation
from xpnet.nn.arrays import class_numbers
from xpnet.nn.losses import Loss


@dataclass(eq=False, repr=False)
class MLPClassifier(ClassifierMixin, Perceptron):  # type: ignore[misc]
    """Multilayer perceptron for classes: scikit-learn's `MLPClassifier`, and more.

    The parameters up to `max_fun` are scikit-learn's, with the same names, defaults and meanings,
    so its documentation applies. In addition:

    - `activation` may be any of the core's hidden activations, an `xpnet.Activation`, or a list of
      one for each hidden layer;
    - `solver` may also be ``"adamw"``, or an optimiser such as ``xpnet.SGD(0.1)``, whose own
      learning rate then counts;
    - `learning_rate` may also be any schedule of `xpnet.nn.schedules`, except with ``"lbfgs"``;
    - ``fit(X, y, validation=(X, y))`` measures the loss on other rows;
    - targets may be binary, multiclass or multilabel.

    Parameters
    ----------
    loss : str or Loss
        ``"log_loss"``, or one of the core's losses that suits the output.
    class_weight : "balanced", dict, or list of dict, optional
        As in scikit-learn's other classifiers.
    device : str or Device, optional
        ``"cpu"``, ``"gpu"``, ``"gpu:N"``; by default where X lives.
    dtype : {"float32", "float64"}, optional
        By default that of X, and float64 where X is neither.
    init : str or callable
        ``"sklearn"`` draws exactly the numbers that scikit-learn draws; otherwise a rule of
        `xpnet.nn.initializers`, where ``"auto"`` chooses by activation.
    dropout : float or list of float
        Share of hidden units dropped in training.
    standardize : bool
        Fit a scaler to the features at the first call of `fit` or `partial_fit`, store it in the
        model, and scale every X with it. `MLPRegressor` with the output ``"identity"`` also scales
        y: predictions are on the original scale, losses in standard deviations.
    n_networks : int, from 1
        Number of networks, with different seeds, whose outputs are averaged. They are trained at
        once, unless `callbacks` or `progress` are given.
    callbacks : list of function or object, optional
        As for `xpnet.fit`.
    progress : bool
        Show a progress bar.
    compile : {"auto", "on", "off"}
        As for `xpnet.fit`.

    Attributes
    ----------
    Those of scikit-learn, of which these differ or are new:

    coefs_, intercepts_ : list of array
        On the device: (fan_in, fan_out) and (fan_out,) for each layer.
    loss_, best_loss_ : float
        Of the last epoch (NaN if training was stopped before the first one ended), and the lowest.
    loss_curve_, validation_loss_curve_ : list of float
        One entry for each epoch, or iteration of lbfgs.
    validation_scores_, best_validation_score_
        Accuracy after each epoch with ``early_stopping=True``, else None.
    n_iter_, t_ : int
        Epochs of the last call, and rows seen since the first.
    network_ : MLP
        The network itself, with `save`; `xpnet.load` reads it.
    networks_ : list of MLP
        All of `n_networks`; weights and curves above are those of the first.
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **Perceptron._parameter_constraints,
        "class_weight": [StrOptions({"balanced"}), dict, list, None],
    }
    hidden_layer_sizes: Any = (100,)
    activation: str | Activation | Sequence[str | Activation] = "relu"
    _: KW_ONLY
    loss: str | Loss = "log_loss"
    class_weight: Any = None

    @available_if(can_train_in_steps)  # type: ignore[untyped-decorator]
    @_fit_context(prefer_skip_nested_validation=True)  # type: ignore[untyped-decorator]
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> Any:
        """Continue training for one epoch over the given data; see `fit`.

        The first call needs `classes`, (classes,): all labels that will occur.
        """
        y = y.toarray() if issparse(y) else y
        if _check_partial_fit_first_call(self, classes):
            self._learn(y if np.ndim(y) == 2 else self.classes_)
        return self._fit(X, y, sample_weight, None, incremental=True)

    def predict(self, X: Any) -> Any:
        """Return the class of each row, (n,); for multilabel, (n, outputs) of 0 and 1."""
        outputs, give = self._outputs(X, "predict")
        net, classes = self.network_, self.classes_
        with net.device.active:
            numbers = self._decoded(net.device.xp, outputs)
            if numbers.ndim == 2:
                return give(numbers)
            if give is net.device.get or classes.dtype.kind in "OUS":
                return classes[net.device.get(numbers)]
            return net.device.xp.take(net.device.put(classes, str(classes.dtype)), numbers, axis=0)

    def predict_proba(self, X: Any) -> Any:
        """Return the probability of each class, or for multilabel of each label, (n, classes)."""
        return self._probabilities(X, "predict_proba")

    def predict_log_proba(self, X: Any) -> Any:
        """Return the logarithm of `predict_proba`."""
        return self._probabilities(X, "predict_log_proba", log=True)

    def _probabilities(self, X: Any, method: str, *, log: bool = False) -> Any:
        outputs, give = self._outputs(X, method)
        xp = self.network_.device.xp
        with self.network_.device.active, np.errstate(divide="ignore"):
            if self._label_binarizer.y_type_ == "binary":
                outputs = xp.concat([1.0 - outputs, outputs], axis=1)
            return give(xp.log(outputs) if log else outputs)

    def _encoded(self, y: Any, *, first: bool, incremental: bool) -> Any:
        """Return host targets, (n, outputs); learn the classes in the first call."""
        check_classification_targets(y)
        labels = unique_labels(y)
        if not hasattr(self, "_label_binarizer") or (first and not incremental):
            self._learn(y)
        elif self.warm_start and not incremental and not np.array_equal(labels, self.classes_):
            raise InputError(
                "warm_start can only be used where `y` has the same classes as in the previous "
                f"call to fit. Previously got {self.classes_}, `y` has {labels}"
            )
        elif len(np.setdiff1d(labels, self.classes_)):
            raise InputError(
                "`y` has classes not in `self.classes_`. `self.classes_` has "
                f"{self.classes_}. 'y' has {labels}."
            )
        return self._label_binarizer.transform(y)

    def _learn(self, y: Any) -> None:
        self._label_binarizer = LabelBinarizer().fit(y)
        self.classes_ = self._label_binarizer.classes_

    def _decoded(self, xp: Namespace, outputs: Array) -> Array:
        """Return class numbers, (n,), of outputs, (n, outputs); for multilabel, 0 or 1 for each."""
        if self._label_binarizer.y_type_.startswith("multilabel"):
            return xp.astype(outputs > 0.5, xp.int64)
        return class_numbers(xp, outputs) * int(len(self.classes_) > 1)

    def _weighted(self, y: Any, weights: Any, *, incremental: bool) -> Any:
        """Return the host row weights times the class weights."""
        if self.class_weight is None:
            return weights
        if incremental and isinstance(self.class_weight, str):
            raise InputError(
                "class_weight='balanced' needs all rows at once, but partial_fit sees only some; "
                "pass the weights as a dict"
            )
        if isinstance(self.class_weight, dict) and y.ndim == 1:  # a batch may lack a class
            of_class = compute_class_weight(self.class_weight, classes=self.classes_, y=y)
            by_class = of_class[np.searchsorted(self.classes_, y)]
        else:
            by_class = compute_sample_weight(self.class_weight, y)
        return by_class if weights is None else by_class * weights

    def _output(self) -> str | Activation:
        return "softmax" if self._label_binarizer.y_type_ == "multiclass" else "sigmoid"

    def _core_loss(self) -> str | Loss:
        return "auto" if self.loss == "log_loss" else self.loss

    def _score_of(self, outputs: Array, targets: Array, weights: Any) -> float:
        """Return the (weighted) share of host rows whose classes are all correct."""
        guess, truth = (self._decoded(np, each) for each in (outputs, targets))
        right = np.all((guess == truth).reshape(len(truth), -1), axis=1)
        return float(np.average(right, weights=weights))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


@dataclass(eq=False, repr=False)
class MLPRegressor(RegressorMixin, Perceptron):  # type: ignore[misc]
    """Multilayer perceptron for numbers: scikit-learn's `MLPRegressor`, and more.

    See `MLPClassifier` for what goes beyond scikit-learn, and for the other parameters and
    attributes; `validation_scores_` are coefficients of determination.

    Parameters
    ----------
    loss : str or Loss
        ``"squared_error"`` (with the factor 1/2, as in scikit-learn), ``"poisson"``, or any of the
        core's. A row's loss is the sum over its outputs, so that loss and gradient agree.
    out_activation : str or Activation, optional
        By default ``"exp"`` for the Poisson loss, otherwise ``"identity"``.
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **Perceptron._parameter_constraints,
        "out_activation": [StrOptions({"logistic", *OUTPUTS}), Activation, None],
    }
    loss: str | Loss = "squared_error"
    hidden_layer_sizes: Any = (100,)
    activation: str | Activation | Sequence[str | Activation] = "relu"
    _: KW_ONLY
    out_activation: str | Activation | None = None

    def predict(self, X: Any) -> Any:
        """Return the values, (n,), or (n, outputs) for several outputs."""
        outputs, give = self._outputs(X, "predict")
        if self._target_scaler is not None:
            put, dtype = self.network_.device.put, self.network_.dtype
            with self.network_.device.active:
                outputs = outputs * put(self._target_scaler.scale_, dtype)
                outputs = outputs + put(self._target_scaler.mean_, dtype)
        return give(outputs[:, 0] if outputs.shape[1] == 1 else outputs)

    def _encoded(self, y: Any, *, first: bool, incremental: bool) -> Any:
        return y[:, None] if y.ndim == 1 else y

    def _weighted(self, y: Any, weights: Any, *, incremental: bool) -> Any:
        return weights

    def _output(self) -> str | Activation:
        default = "exp" if self.loss == "poisson" else "identity"
        output: str | Activation = core_name(self.out_activation or default)
        return output

    def _core_loss(self) -> str | Loss:
        # scikit-learn's has the factor 1/2
        return "half_squared_error" if self.loss == "squared_error" else self.loss

    def _score_of(self, outputs: Array, targets: Array, weights: Any) -> float:
        """Return the coefficient of determination on host rows; NaN if outputs are not finite."""
        if not np.all(np.isfinite(outputs)):
            return float("nan")
        return float(r2_score(targets, outputs, sample_weight=weights))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
