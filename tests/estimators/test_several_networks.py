"""`n_networks`: estimators that average several networks."""

import numpy as np
import pytest
from estimator_examples import QUICK, X, Y, same, stored_and_loaded
from lazily import sklearn, verdict

import xpnet
from xpnet.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
THREE = {"n_networks": 3, "max_iter": 8, "batch_size": 32, **QUICK}


def distinct(model):
    return len({net.flat.tobytes() for net in model.networks_}) == len(model.networks_)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"standardize": True, "dropout": 0.2},
        {"early_stopping": True, "n_iter_no_change": 1, "max_iter": 40},
        {"solver": "lbfgs"},
        {"callbacks": [print]},
    ],
)
def test_predictions_are_the_mean_of_networks_of_which_the_first_is_the_only_one_of_a_single_fit(
    kind, settings
):
    model = kind(**THREE | settings).fit(X, Y)
    assert same(model, kind(**THREE | settings | {"n_networks": 1}).fit(X, Y))
    assert len(model.networks_) == 3
    assert distinct(model)
    x = X if model._scaler is None else model._scaler.transform(X)
    mean = np.mean([net.predict(x) for net in model.networks_], axis=0)
    if kind is xpnet.MLPClassifier:
        np.testing.assert_allclose(model.predict_proba(X), mean, rtol=1e-12)
        np.testing.assert_array_equal(model.predict(X), np.argmax(mean, axis=1))
    else:
        scaler = model._target_scaler
        values = mean if scaler is None else scaler.inverse_transform(mean)
        np.testing.assert_allclose(model.predict(X), values[:, 0], rtol=1e-12)


def test_the_same_random_state_gives_the_same_networks_also_from_a_file_and_in_two_goes(kind):
    whole = kind(**THREE).fit(X, Y)
    half = kind(**THREE | {"max_iter": 4}, warm_start=True).fit(X, Y)
    half = stored_and_loaded(half).fit(X, Y)
    for one, other in zip(whole.networks_, half.networks_, strict=True):
        np.testing.assert_array_equal(one.flat, other.flat)
    np.testing.assert_array_equal(sklearn.base.clone(whole).fit(X, Y).predict(X), whole.predict(X))


def test_partial_fit_trains_all_of_them():
    model = xpnet.MLPRegressor(**THREE)
    model.partial_fit(X, Y)
    before = [net.flat.copy() for net in model.networks_]
    model.partial_fit(X, Y)
    assert all(np.any(a != net.flat) for a, net in zip(before, model.networks_, strict=True))
    with pytest.raises(InputError, match="n_networks=2, but training goes on with a network"):
        model.set_params(n_networks=2).partial_fit(X, Y)


def test_one_that_diverges_is_warned_of():
    model = xpnet.MLPRegressor(**THREE | {"solver": "sgd", "learning_rate_init": 1e4})
    with pytest.warns(verdict.DivergenceWarning, match="the last good weights are kept"):
        model.fit(X, 1e3 * Y)
    assert all(np.isfinite(net.flat).all() for net in model.networks_)


@pytest.mark.slow
def test_scikit_learns_checks_pass_with_several_networks(kind):
    model = kind(n_networks=2)
    results = sklearn.utils.estimator_checks.check_estimator(model, on_fail=None, on_skip=None)
    assert [each["check_name"] for each in results if each["status"] == "failed"] == []
