"""`partial_fit` on a stream of batches, of which one or the other is odd."""

import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed")

from estimator_examples import parameters

from xpnet.estimators.classifier import MLPRegressor
from xpnet.estimators.verdict import DivergenceWarning


def stream():
    x = np.random.default_rng(0).normal(size=(32, 4))
    model = MLPRegressor(hidden_layer_sizes=(20,), learning_rate_init=0.01, random_state=0)
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
    with pytest.warns(DivergenceWarning, match="the weights from before the batch are kept"):
        model.partial_fit(x, np.full(32, 1e300))
    assert all(np.all(np.isfinite(each)) for each in parameters(model))


def test_a_stream_keeps_no_history_unless_somebody_may_look_at_it():
    model, x, y = stream()
    for _ in range(5):
        model.partial_fit(x, y)
    assert model._state.history.epochs == 1
    assert len(model.loss_curve_) == 5
    model.set_params(learning_rate="plateau").partial_fit(x, y).partial_fit(x, y)
    assert model._state.history.epochs == 3
