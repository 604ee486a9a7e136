"""The estimators trained on: `warm_start`, `partial_fit`, streams, files, coefficients by hand."""

import re
import warnings

import numpy as np
import pytest
from estimator_examples import QUICK, X, Y, parameters, same, stored_and_loaded
from lazily import scipy, sklearn, verdict

import xpnet
from xpnet.errors import InputError
from xpnet.nn.schedules import Cosine, Warmup

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.mark.parametrize(
    "settings",
    [
        {"solver": "adam"},
        {"solver": "adamw", "batch_size": 16, "dropout": 0.2},
        {"solver": "sgd", "learning_rate": "invscaling", "standardize": True},
    ],
)
def test_five_epochs_and_five_after_a_file_are_ten_in_one_go(kind, settings):
    settings = {"learning_rate_init": 0.003, **settings, **QUICK}
    whole = kind(max_iter=10, **settings).fit(X, Y)
    half = stored_and_loaded(kind(max_iter=5, warm_start=True, **settings).fit(X, Y))
    assert same(half.fit(X, Y), whole)
    assert half.loss_curve_ == whole.loss_curve_


def test_as_many_calls_of_partial_fit_are_a_fit(kind):
    whole, steps = kind(max_iter=4, **QUICK).fit(X, Y), kind(**QUICK)
    known = {"classes": [0, 1, 2]} if kind is xpnet.MLPClassifier else {}
    for _ in range(4):
        steps.partial_fit(X, Y, **known)
    assert same(whole, steps)


def test_the_network_is_a_model_file_for_xpnet(tmp_path):
    model = xpnet.MLPRegressor(max_iter=3, **QUICK).fit(X, Y)
    model.network_.save(tmp_path / "net.safetensors")
    loaded = xpnet.load(tmp_path / "net.safetensors")
    np.testing.assert_array_equal(loaded.predict(X)[:, 0], model.predict(X))


def test_the_learning_rate_may_change_between_calls_of_partial_fit():
    for kind, stays in ((xpnet.MLPRegressor, False), (sklearn.neural_network.MLPRegressor, True)):
        model = kind(learning_rate_init=0.01, **QUICK).partial_fit(X, Y)
        before = model.coefs_[0].copy()
        model.set_params(learning_rate_init=1e-9).partial_fit(X, Y)
        assert (np.max(np.abs(model.coefs_[0] - before)) > 1e-4) == stays


@pytest.mark.parametrize(
    ("name", "given", "found"),
    [
        ("dtype", "float32", None),
        ("standardize", True, False),
        ("activation", "tanh", "relu"),
        ("output", "exp", "identity"),
        ("layer sizes", [4, 5, 1], [4, 8, 1]),
    ],
)
def test_what_cannot_change_on_the_way_is_refused(name, given, found):
    model = xpnet.MLPRegressor(max_iter=2, **QUICK).fit(X, Y)
    before = model.coefs_
    changed = {"output": {"loss": "poisson"}, "layer sizes": {"hidden_layer_sizes": 5}}
    model.set_params(warm_start=True, **changed.get(name, {name: given}))
    message = f"{name}={given!r}, but .* {name}={found!r}; call fit with warm_start=False"
    for train_on in (model.fit, model.partial_fit):
        with pytest.raises(InputError, match=message.replace("[", r"\[")):
            train_on(X, Y)
    assert model.coefs_ is before


def test_another_solver_starts_with_a_state_of_its_own():
    model = xpnet.MLPClassifier(max_iter=2, warm_start=True, **QUICK).fit(X, Y)
    model.set_params(solver="sgd").fit(X, Y)
    assert len(model.loss_curve_) == 4
    assert model._state.epoch == 2


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_an_interrupted_epoch_is_begun_again_with_the_weights_of_its_last_step(method):
    class Interrupt:
        taken, seen = 0, ()

        def on_batch_end(self, training):
            self.taken += 1
            if self.taken == 3:
                self.seen = training.net.weights[0].copy()
                raise KeyboardInterrupt

    interrupt = Interrupt()
    settings = {"batch_size": 10, "warm_start": True, "max_iter": 1, **QUICK}
    model = xpnet.MLPRegressor(callbacks=[interrupt], **settings)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y)
    np.testing.assert_array_equal(model.coefs_[0], interrupt.seen)
    getattr(model, method)(X, Y)
    assert interrupt.taken == 3 + 15
    assert len(model.loss_curve_) == 1
    assert model._state.step == 18  # so that Adam's averages go on


def test_ctrl_c_is_passed_on_and_leaves_a_fitted_model():
    def interrupt(training):
        if training.state.epoch == 2:
            raise KeyboardInterrupt

    model = xpnet.MLPClassifier(callbacks=[interrupt], **QUICK)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y)
    assert model.n_iter_ == 2
    assert model.predict(X).shape == (150,)


def test_a_schedule_to_the_last_epoch_is_not_for_partial_fit():
    for rate in ("linear", Warmup(9, Cosine())):
        with pytest.raises(InputError, match=f"{re.escape(repr(rate))} ends with the last epoch"):
            xpnet.MLPClassifier(learning_rate=rate).partial_fit(X, Y, classes=np.unique(Y))


def test_class_weights_may_name_a_class_that_a_batch_lacks():
    y = (Y[0] == Y).astype(int)
    weighted = xpnet.MLPClassifier(class_weight={1: 10.0}, **QUICK)
    plain = xpnet.MLPClassifier(**QUICK)
    for model, weights in ((weighted, None), (plain, np.where(y == 1, 10.0, 1.0))):
        for rows in (y == 0, y == 1):
            some = None if weights is None else weights[rows]
            model.partial_fit(X[rows], y[rows], sample_weight=some, classes=[0, 1])
    assert same(weighted, plain)


def test_targets_of_another_kind_are_refused_on_the_way():
    binary = (Y > 0).astype(int)
    labels = np.stack([binary, 1 - binary], axis=1)
    for first, then in ((Y, Y + 1), (binary, labels), (labels, binary), (labels, 2 * labels)):
        model = xpnet.MLPClassifier(max_iter=1, warm_start=True, **QUICK).fit(X, first)
        for train_on in (model.fit, model.partial_fit):
            with pytest.raises(ValueError):  # noqa: PT011, scikit-learn's own or an InputError
                train_on(X, then)
        assert model.fit(X, first).predict(X).shape == first.shape


def stream():
    x = np.random.default_rng(0).normal(size=(32, 4))
    model = xpnet.MLPRegressor(hidden_layer_sizes=(20,), learning_rate_init=0.01, random_state=0)
    return model, x, x @ [1.0, 2.0, -1.0, 0.5]


def test_one_odd_batch_of_a_stream_is_no_divergence():
    model, x, y = stream()
    for _ in range(50):
        model.partial_fit(x, y)
    before = [each.copy() for each in parameters(model)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.partial_fit(x * np.where(np.arange(32) == 3, 100.0, 1.0)[:, None], y)
    assert all(np.any(a != b) for a, b in zip(parameters(model), before, strict=True))
    assert model._state.step == 51  # so that Adam's averages go on
    with pytest.warns(verdict.DivergenceWarning, match="the last good weights are kept"):
        model.partial_fit(x, np.full(32, 1e300))
    assert all(np.all(np.isfinite(each)) for each in parameters(model))


# Coefficients set by hand, and calls that are refused

LAYERS = {
    "coefs_": [np.full((4, 8), 0.1), np.full((8, 1), 0.1)],
    "intercepts_": [np.zeros(8), np.zeros(1)],
}


def by_hand(layers=LAYERS, **settings):
    model = xpnet.MLPRegressor(max_iter=2, **QUICK, **settings)
    for name, values in layers.items():
        setattr(model, name, values)
    return model


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_training_goes_on_from_coefficients_set_before_any_fit(solver):
    model = by_hand(learning_rate_init=1e-9, warm_start=True, solver=solver).fit(X, Y)
    assert len(model.loss_curve_) == model.n_iter_ <= 2
    if solver == "adam":
        np.testing.assert_allclose(model.coefs_[0], 0.1, atol=1e-6)


def test_coefficients_can_be_set_to_those_of_another_model_of_the_same_shape():
    wide = {**LAYERS, "coefs_": [np.ones((4, 9)), np.ones((9, 1))]}
    with pytest.raises(InputError, match=r"weights\[0\] has shape \(4, 9\), but .* \(4, 8\)"):
        by_hand(layers=wide).partial_fit(X, Y)
    with pytest.raises(sklearn.exceptions.NotFittedError):
        by_hand().predict(X)
    assert not hasattr(xpnet.MLPRegressor(), "coefs_")
    model, other = (xpnet.MLPRegressor(max_iter=n, **QUICK).fit(X, Y) for n in (2, 4))
    model.coefs_, model.intercepts_ = other.coefs_, other.intercepts_
    np.testing.assert_array_equal(model.predict(X), other.predict(X))


@pytest.mark.parametrize(
    ("parameters_now", "call"),
    [
        ({"hidden_layer_sizes": (0,)}, {}),
        ({"solver": "lbfgs", "dropout": 0.5}, {}),
        ({}, {"validation": (X[:3, :2], Y[:3])}),
    ],
)
def test_a_call_that_is_refused_leaves_the_model_that_was_there(parameters_now, call):
    model = xpnet.MLPClassifier(max_iter=20, **QUICK).fit(X, Y)
    before = model.predict_proba(X)
    with pytest.raises(ValueError):  # noqa: PT011, scikit-learn's own or an InputError
        model.set_params(**parameters_now).fit(X[:, :3], Y + 1, **call)
    assert model.n_iter_ == 20
    np.testing.assert_array_equal(model.predict_proba(X), before)


def test_partial_fit_takes_sparse_labels():
    labels, settings = (X[:, :3] > 3).astype(int), {"classes": [0, 1, 2]}
    sparse = xpnet.MLPClassifier(**QUICK).partial_fit(X, scipy.sparse.csr_array(labels), **settings)
    dense = xpnet.MLPClassifier(**QUICK).partial_fit(X, labels, **settings)
    np.testing.assert_array_equal(sparse.predict(X), dense.predict(X))
