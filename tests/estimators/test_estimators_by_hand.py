"""What people do with an estimator's attributes, and calls that are refused."""

import joblib
import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed")

import scipy.sparse
from estimator_examples import BOTH, QUICK, X, Y, parameters
from sklearn.exceptions import NotFittedError

from xpnet.errors import InputError
from xpnet.estimators.classifier import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def test_lbfgs_goes_on_in_new_arrays():
    model = MLPRegressor(solver="lbfgs", max_iter=2, warm_start=True, **QUICK).fit(X, Y)
    taken, before = model.coefs_[0], model.coefs_[0].copy()
    model.fit(X, Y)
    np.testing.assert_array_equal(taken, before)
    assert np.any(model.coefs_[0] != before)


@pytest.mark.parametrize("solver", ["lbfgs", "adam"])
def test_a_memory_mapped_model_goes_on(tmp_path, solver):
    model = MLPRegressor(solver=solver, max_iter=2, warm_start=True, **QUICK).fit(X, Y)
    joblib.dump(model, tmp_path / "model")
    mapped = [joblib.load(tmp_path / "model", mmap_mode="r") for _ in range(2)]
    np.testing.assert_array_equal(mapped[0].fit(X, Y).predict(X), model.fit(X, Y).predict(X))
    mapped[1].coefs_ = [0 * each for each in mapped[1].coefs_]
    assert not np.any(mapped[1].coefs_[0])


def test_a_regressor_made_from_coefficients_predicts():
    model = MLPRegressor(max_iter=2, **QUICK).fit(X, Y)
    twin = MLPRegressor(**QUICK)
    twin.coefs_ = [each.copy() for each in model.coefs_]
    with pytest.raises(NotFittedError):
        twin.predict(X)
    twin.intercepts_, twin.n_layers_, twin.n_outputs_ = list(model.intercepts_), 3, 1
    twin.out_activation_, twin.n_features_in_ = model.out_activation_, 4
    np.testing.assert_array_equal(twin.predict(X), model.predict(X))
    assert twin.out_activation_ == "identity"


LAYERS = {
    "coefs_": [np.full((4, 8), 0.1), np.full((8, 1), 0.1)],
    "intercepts_": [np.zeros(8), np.zeros(1)],
}


def by_hand(kind=MLPRegressor, layers=LAYERS, **settings):
    model = kind(max_iter=2, **QUICK, **settings)
    for name, values in layers.items():
        setattr(model, name, values)
    return model


def test_coefficients_may_be_lists_and_describe_the_model():
    lists = {name: [each.tolist() for each in arrays] for name, arrays in LAYERS.items()}
    model = by_hand(layers=lists)
    np.testing.assert_array_equal(model.predict(X), by_hand().predict(X))
    assert (model.n_features_in_, model.n_layers_, model.n_outputs_) == (4, 3, 1)
    assert (model.n_iter_, model.t_, model.loss_curve_) == (0, 0, [])
    with pytest.raises(ValueError, match="expecting 4 features"):
        model.predict(X[:, :3])


@BOTH
@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_training_goes_on_from_coefficients(kind, early_stopping, solver):
    settings = {"warm_start": True, "early_stopping": early_stopping, "solver": solver}
    y = (X[:, 0] > np.median(X[:, 0])).astype(int)
    model = by_hand(kind, learning_rate_init=1e-9, **settings).fit(X, y)
    assert len(model.loss_curve_) == model.n_iter_ <= 2
    if solver != "lbfgs":
        np.testing.assert_allclose(model.coefs_[0], 0.1, atol=1e-6)
    model.fit(X, y)
    if solver != "lbfgs" and not early_stopping:
        classes = {"classes": [0, 1]} if kind is MLPClassifier else {}
        model = by_hand(kind, solver=solver).partial_fit(X, y, **classes)
        assert (model.n_iter_, model.t_) == (1, len(X))


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("coefs_", None, "coefs_ is None: set coefs_ and intercepts_, each to a list of one array"),
        ("coefs_", [], "coefs_ is set to an empty list: set"),
        ("intercepts_", [], r"intercepts_ is set to an empty list: .* of shape \(fan_out,\)"),
        ("coefs_", [[1.0, 2.0], [1.0]], r"coefs_\[0\] has shape \(2,\): .* \(fan_in, fan_out\)"),
        ("coefs_", [[[1.0, 2.0], [1.0]]], r"coefs_\[0\] is not an array"),
        ("coefs_", [np.ones((4, 0)), np.ones((0, 1))], r"coefs_\[0\] has shape \(4, 0\)"),
        ("intercepts_", [np.zeros(8)], "3 arrays given; the network has 4"),
        ("intercepts_", None, "intercepts_ is None"),
    ],
)
def test_coefficients_that_make_no_network_are_refused(name, values, message):
    layers = {**LAYERS, name: values}
    with pytest.raises(InputError, match=message):
        by_hand(layers=layers).predict(X)
    with pytest.raises(InputError, match=message):
        by_hand(layers=layers).partial_fit(X, Y)


def test_coefficients_without_intercepts_cannot_be_trained():
    model = by_hand(layers={"coefs_": LAYERS["coefs_"]})
    with pytest.raises(InputError, match="intercepts_ is None: set coefs_ and intercepts_"):
        model.partial_fit(X, Y)


def test_classes_are_needed_too():
    model = MLPClassifier(max_iter=2, **QUICK).fit(X, Y)
    twin = MLPClassifier(**QUICK)
    twin.coefs_, twin.intercepts_ = model.coefs_, model.intercepts_
    with pytest.raises(NotFittedError):
        twin.predict(X)


def test_an_output_activation_that_would_be_ignored_is_refused():
    model = MLPRegressor(max_iter=2, **QUICK)
    with pytest.raises(InputError, match=r"set_params\(out_activation='logistic'\), and fit"):
        model.out_activation_ = "logistic"
    with pytest.raises(InputError, match="out_activation_ is 'identity' and cannot be set"):
        model.fit(X, Y).out_activation_ = "logistic"
    with pytest.raises(InputError, match="follows from its classes"):
        MLPClassifier(max_iter=2, **QUICK).fit(X, Y).out_activation_ = "logistic"
    model.set_params(out_activation="logistic").fit(X, Y / 2)
    model.out_activation_ = "logistic"
    assert not hasattr(MLPRegressor(), "out_activation_")


def test_units_cannot_be_cut_out_by_assignment():
    model = MLPRegressor(max_iter=2, **QUICK).fit(X, Y)
    with pytest.raises(InputError, match=r"shape \(4, 3\), but the network needs \(4, 8\)"):
        model.coefs_ = [model.coefs_[0][:, :3], model.coefs_[1][:3]]


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


def test_dates_are_no_inputs():
    model = MLPRegressor(max_iter=2, **QUICK).fit(X, Y)
    with pytest.raises(TypeError, match="pass numbers, such as days since the first"):
        model.predict(np.zeros((3, 4), dtype="datetime64[D]"))


def test_labels_are_zeros_and_ones():
    with pytest.raises(
        InputError,
        match="values from -1 to 1 in columns of labels; pass 1 for each label a row has",
    ):
        MLPClassifier(**QUICK).fit(X, np.where(X[:, :2] > 3, 1, -1))
