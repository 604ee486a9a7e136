"""What the estimators can do and scikit-learn's cannot."""

import numpy as np
import pytest
from estimator_examples import QUICK, X, Y, stored_and_loaded
from lazily import scipy, sklearn

import xpnet
from xpnet.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def test_activations_by_layer_schedules_losses_and_optimisers_of_the_core():
    model = xpnet.MLPRegressor(
        hidden_layer_sizes=(8, 6), activation=["gelu", "tanh"], loss="huber",
        solver=xpnet.SGD(0.05, momentum=0.9), learning_rate="cosine", init="auto", max_iter=30,
        standardize=True, random_state=0,
    ).fit(X, Y)  # fmt: skip
    assert [each.name for each in model.network_.hidden] == ["gelu", "tanh"]
    assert model.score(X, Y) > 0.85
    loss = xpnet.huber(0.5)
    assert sklearn.base.clone(xpnet.MLPRegressor(loss=loss)).loss.name == "huber"
    positive = xpnet.MLPRegressor(out_activation="softplus", max_iter=2, **QUICK).fit(X, Y)
    assert positive.out_activation_ == "softplus"
    assert positive.predict(X).min() > 0


def test_initial_weights_by_a_rule_of_ones_own():
    own = {"init": lambda draw, fan_in, fan_out: 0.1 * draw.normal(size=(fan_in, fan_out))}
    for inputs in (X, scipy.sparse.csr_array(X)):
        model = xpnet.MLPClassifier(max_iter=30, learning_rate_init=0.01, **own, **QUICK)
        assert model.fit(inputs, Y).score(inputs, Y) > 0.5


def test_class_weights_lift_the_rare_class():
    rare = np.concatenate([np.flatnonzero(Y == 1), np.flatnonzero(Y == 2)[:8]])
    x, y = X[rare], Y[rare]
    plain = xpnet.MLPClassifier(max_iter=60, **QUICK).fit(x, y)
    for weight in ("balanced", {1: 1.0, 2: 6.0}):
        model = xpnet.MLPClassifier(max_iter=60, class_weight=weight, **QUICK)
        model.fit(x, y, sample_weight=np.ones(len(y)))
        assert model.predict_proba(x)[:, 1].mean() > plain.predict_proba(x)[:, 1].mean()
    with pytest.raises(InputError, match="balanced"):
        xpnet.MLPClassifier(class_weight="balanced").partial_fit(x, y, classes=[1, 2])


@pytest.mark.parametrize("settings", [{}, {"early_stopping": True}, {"solver": "lbfgs"}])
def test_rows_of_ones_own_are_watched(kind, settings):
    model = kind(max_iter=6, **QUICK, **settings)
    for watched in (X[::2], scipy.sparse.csr_array(X[::2])):
        model.fit(X, Y, validation=(watched, Y[::2]))
        assert len(model.validation_loss_curve_) == model.n_iter_ == len(model.loss_curve_)
    if settings.get("early_stopping"):  # it stops by them, and keeps the weights of the best score
        assert model.score(X[::2], Y[::2]) == pytest.approx(model.best_validation_score_)
    loss = model._core_loss()
    at_end = model.network_.loss(X[::2], Y[::2], loss=loss)
    if not settings.get("early_stopping"):
        assert model.validation_loss_curve_[-1] == pytest.approx(at_end)


def test_the_scaler_is_measured_once_and_stored_in_the_model():
    scaled = np.c_[X * [1, 1000, 1e-3, 1] + 5, np.full(150, 3.1)]  # one feature is constant
    model = xpnet.MLPClassifier(standardize=True, solver="lbfgs", **QUICK).fit(scaled, Y)
    assert model.score(scaled, Y) > 0.97
    loaded = stored_and_loaded(model)
    np.testing.assert_array_equal(loaded.predict_proba(scaled), model.predict_proba(scaled))


@pytest.mark.parametrize("settings", [{}, {"early_stopping": True}, {"solver": "lbfgs"}])
def test_standardized_targets_are_predicted_on_their_own_scale(settings):
    """As with StandardScaler and TransformedTargetRegressor around it."""
    y = np.stack([1e6 + 1e5 * X[:, 0], 1e-4 * X[:, 3]], axis=1)
    settings = {"max_iter": 40, "learning_rate_init": 0.03, **settings, **QUICK}
    model = xpnet.MLPRegressor(standardize=True, **settings).fit(X, y, validation=(X, y))
    assert model.score(X, y) > 0.8
    assert 1e6 < model.predict(X)[:, 0].mean() < 2e6
    x, scaled = ((each - each.mean(axis=0)) / each.std(axis=0) for each in (X, y))
    by_hand = xpnet.MLPRegressor(**settings).fit(x, scaled, validation=(x, scaled))
    np.testing.assert_allclose(model.loss_curve_, by_hand.loss_curve_, rtol=1e-6)
    np.testing.assert_allclose(model.validation_loss_curve_, by_hand.validation_loss_curve_, 1e-6)
    expected = by_hand.predict(x) * y.std(axis=0) + y.mean(axis=0)
    np.testing.assert_allclose(model.predict(X), expected, rtol=1e-6)
    loaded = stored_and_loaded(model)
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))


def test_the_scale_of_targets_is_that_of_the_first_call_and_of_rows_that_weigh_something():
    y = np.where(np.arange(150) < 5, 1e9, 100.0 + X[:, 0])
    weights = (y < 1e9).astype(float)
    settings = {"standardize": True, "learning_rate_init": 0.03, **QUICK}
    model = xpnet.MLPRegressor(**settings).fit(X, y, weights)
    assert model.score(X, y, weights) > 0.9
    batches = xpnet.MLPRegressor(**settings)
    for _ in range(60):
        batches.partial_fit(X[5:80], y[5:80]).partial_fit(X[80:], y[80:])
    assert batches.score(X, y, weights) > 0.8
    counts = xpnet.MLPRegressor("poisson", standardize=True, max_iter=2, **QUICK).fit(X, Y)
    assert counts._target_scaler is None  # which has no negative targets


def test_callbacks_see_the_training_and_may_stop_it(capfd):
    seen = []

    def stop(training):
        seen.append(training.state.history.loss[-1])
        if len(seen) == 3:
            training.stop("enough")

    model = xpnet.MLPClassifier(callbacks=[stop], progress=True, **QUICK).fit(X, Y)
    assert model.loss_curve_ == seen
    assert model.n_iter_ == 3
    assert "loss" in capfd.readouterr().err


def test_a_device_that_is_named_computes_and_gives_numpy_arrays_back():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    from xpnet.backend.device import device_of

    there = device_of(torch.zeros(1))
    settings = {"max_iter": 5, "standardize": True, "early_stopping": True, **QUICK}
    model = xpnet.MLPClassifier(device=there, **settings)
    model.fit(X, Y, sample_weight=torch.ones(150))
    assert isinstance(model.coefs_[0], torch.Tensor)
    assert isinstance(model.predict(X), np.ndarray)
    here = xpnet.MLPClassifier(**settings).fit(X, Y)
    np.testing.assert_allclose(model.predict_proba(X), here.predict_proba(X), rtol=1e-9)
    loaded = stored_and_loaded(model)  # on the CPU: a file holds NumPy arrays
    assert isinstance(loaded.coefs_[0], np.ndarray)
    np.testing.assert_allclose(loaded.predict_proba(X), here.predict_proba(X), rtol=1e-9)
    back = model.__sklearn_array_api_convert__(lambda array: np.asarray(array))
    np.testing.assert_array_equal(back.coefs_[0], np.asarray(model.coefs_[0]))
    assert model.network_.device is there


@pytest.mark.parametrize(
    ("settings", "call", "message"),
    [
        ({"hidden_layer_sizes": (2.5,)}, {}, r"must be > 0 and integers, got \[2.5\]"),
        ({"solver": xpnet.SGD}, {}, r"solver SGD is a class; pass SGD\(...\)"),
        ({}, {"validation": 0.2}, r"validation 0.2 is not a pair of rows, \(x, y\)"),
        ({"solver": "lbfgs", "callbacks": [print]}, {}, "callbacks and .* L-BFGS has no"),
        ({"solver": "lbfgs"}, {"X": X * 1e307}, "non-finite parameter weights"),
    ],
)
def test_what_would_be_ignored_or_fail_later_is_refused(settings, call, message):
    with pytest.raises(InputError, match=message):
        xpnet.MLPRegressor(**settings).fit(**{"X": X, "y": Y} | call)
