"""What people do with an estimator's attributes, and calls that are refused."""

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed")

import scipy.sparse
from estimator_examples import BOTH, QUICK, X, Y, parameters
from sklearn.exceptions import NotFittedError

from xpnet.errors import InputError
from xpnet.estimators.classifier import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


LAYERS = {
    "coefs_": [np.full((4, 8), 0.1), np.full((8, 1), 0.1)],
    "intercepts_": [np.zeros(8), np.zeros(1)],
}


def by_hand(kind=MLPRegressor, layers=LAYERS, **settings):
    model = kind(max_iter=2, **QUICK, **settings)
    for name, values in layers.items():
        setattr(model, name, values)
    return model


@BOTH
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_training_goes_on_from_coefficients_set_before_any_fit(kind, solver):
    y = (X[:, 0] > np.median(X[:, 0])).astype(int)
    model = by_hand(kind, learning_rate_init=1e-9, warm_start=True, solver=solver).fit(X, y)
    assert len(model.loss_curve_) == model.n_iter_ <= 2
    if solver == "lbfgs":
        return
    np.testing.assert_allclose(model.coefs_[0], 0.1, atol=1e-6)
    classes = {"classes": [0, 1]} if kind is MLPClassifier else {}
    model = by_hand(kind, learning_rate_init=1e-9)
    assert model.coefs_ is LAYERS["coefs_"]
    model.n_features_in_, model.t_, model.best_loss_, model.loss_curve_ = 4, 0, np.inf, []
    model.out_activation_, model._no_improvement_count = "identity", 0
    model.partial_fit(X, y, **classes)
    assert (model.n_iter_, model.t_) == (1, len(X))
    np.testing.assert_allclose(model.coefs_[0], 0.1, atol=1e-6)


def test_coefficients_that_make_no_network_are_refused():
    wide = {**LAYERS, "coefs_": [np.ones((4, 9)), np.ones((9, 1))]}
    with pytest.raises(InputError, match=r"weights\[0\] has shape \(4, 9\), but .* \(4, 8\)"):
        by_hand(layers=wide).partial_fit(X, Y)
    with pytest.raises(AttributeError, match="_intercepts"):
        by_hand(layers={"coefs_": LAYERS["coefs_"]}).partial_fit(X, Y)
    with pytest.raises(NotFittedError):
        by_hand().predict(X)
    assert not hasattr(MLPRegressor(), "coefs_")


def test_coefficients_can_be_set_and_swapped():
    model = MLPRegressor(max_iter=2, **QUICK | {"hidden_layer_sizes": (8, 8, 8)}).fit(X, Y)
    before = [each.copy() for each in model.coefs_]
    model.coefs_ = [model.coefs_[layer] for layer in (0, 2, 1, 3)]
    for layer, was in enumerate((0, 2, 1, 3)):
        np.testing.assert_array_equal(model.network_.weights[layer], before[was])
    with pytest.raises(InputError, match=r"shape \(4, 3\), but the network needs \(4, 8\)"):
        model.coefs_ = [model.coefs_[0][:, :3], *model.coefs_[1:]]


@BOTH
@pytest.mark.parametrize(
    ("parameters_now", "call"),
    [
        ({"hidden_layer_sizes": (0,)}, {}),
        ({"activation": ["relu", "relu"]}, {}),
        ({"solver": "lbfgs", "progress": True}, {}),
        ({"solver": "lbfgs", "dropout": 0.5}, {}),
        ({}, {"validation": 3}),
        ({}, {"validation": (X[:3, :2], Y[:3])}),
    ],
)
def test_a_call_that_is_refused_leaves_the_model_that_was_there(kind, parameters_now, call):
    model = kind(max_iter=20, **QUICK).fit(X, Y)
    before, weights = model.predict(X), [each.copy() for each in parameters(model)]
    with pytest.raises(ValueError):  # noqa: PT011, scikit-learn's own or an InputError
        model.set_params(**parameters_now).fit(X[:, :3], Y + 1, **call)
    assert model.n_iter_ == 20
    np.testing.assert_array_equal(model.predict(X), before)
    assert all(np.array_equal(a, b) for a, b in zip(parameters(model), weights, strict=True))


def test_partial_fit_takes_sparse_labels():
    labels = (X[:, :3] > 3).astype(int)
    sparse = MLPClassifier(**QUICK).partial_fit(
        X, scipy.sparse.csr_array(labels), classes=[0, 1, 2]
    )
    dense = MLPClassifier(**QUICK).partial_fit(X, labels, classes=[0, 1, 2])
    np.testing.assert_array_equal(sparse.predict(X), dense.predict(X))
    sparse.partial_fit(X, scipy.sparse.csr_matrix(labels))


@pytest.mark.parametrize("settings", [{}, {"solver": "lbfgs"}])
def test_losses_can_be_rounded(settings):
    model = MLPRegressor(max_iter=2, **QUICK, **settings).fit(X, Y)
    assert model.loss_.round(3) == pytest.approx(model.loss_curve_[-1], abs=1e-3)
    assert model.best_loss_.round(3) == pytest.approx(min(model.loss_curve_), abs=1e-3)


def test_labels_are_zeros_and_ones():
    with pytest.raises(
        InputError,
        match="values from -1 to 1 in columns of labels; pass 1 for each label a row has",
    ):
        MLPClassifier(**QUICK).fit(X, np.where(X[:, :2] > 3, 1, -1))
