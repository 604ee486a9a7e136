"""Estimators are never silently useless."""

import warnings

import numpy as np
import pytest
from estimator_examples import X, Y, parameters
from lazily import sklearn, verdict

import xpnet

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def quadratic():
    """The data of scikit-learn's issue 31235."""
    draw = np.random.RandomState(1)
    x = draw.random_sample((500, 2))
    return x, (x[:, 0] + (2 * (x[:, 1] - 0.5)) ** 2 - 0.75 >= 0).astype(int)


@pytest.mark.filterwarnings("error::sklearn.exceptions.ConvergenceWarning")
def test_a_model_that_predicts_a_constant_says_so_and_its_advice_helps():
    x, y = quadratic()
    majority, stuck = max(y.mean(), 1 - y.mean()), 0
    for seed in range(6):
        settings = {"activation": "logistic", "random_state": seed}
        peer = sklearn.neural_network.MLPClassifier((20, 20), **settings)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model = xpnet.MLPClassifier((20, 20), **settings).fit(x, y)
        told = [each for each in caught if each.category is verdict.NoSkillWarning]
        assert bool(told) == (model.score(x, y) == majority)
        stuck += bool(told)
    assert stuck >= 3
    with pytest.warns(verdict.NoSkillWarning) as caught:
        xpnet.MLPClassifier((20, 20), activation="logistic", random_state=0).fit(x, y)
    text = str(caught[0].message)
    for part in (
        "the outputs are nearly the same for all samples",
        "X is not scaled (means up to 0.501",
        "Pass standardize=True",
        "Set learning_rate_init=0.01 (it was 0.001)",
    ):
        assert part in text
    assert caught[0].filename == __file__
    assert peer.fit(x, y).score(x, y) == majority  # scikit-learn: not a word
    helped = xpnet.MLPClassifier(
        (20, 20), activation="logistic", random_state=0, standardize=True, learning_rate_init=0.01,
        max_iter=400,
    ).fit(x, y)  # fmt: skip
    assert helped.score(x, y) > 0.97


def test_the_warning_names_what_the_doctor_saw():
    x, y = sklearn.datasets.load_breast_cancer(return_X_y=True)
    saturated = xpnet.MLPClassifier((20,), activation="logistic", solver="sgd", random_state=0)
    with pytest.warns(verdict.NoSkillWarning, match="X is not scaled"):
        saturated.fit(x * 100, y)
    with pytest.warns(verdict.NoSkillWarning, match="regularisation-dominates .* Set alpha=0.0"):
        xpnet.MLPClassifier(alpha=1e7, max_iter=80, standardize=True, random_state=0).fit(x, y)
    with pytest.warns(verdict.NoSkillWarning, match="solver='adam'"):
        xpnet.MLPClassifier((20,), solver="lbfgs", alpha=1e9, random_state=0).fit(x, y)


@pytest.mark.filterwarnings("error::xpnet.estimators.verdict.NoSkillWarning")
def test_healthy_and_tiny_fits_are_not_warned_of():
    xpnet.MLPClassifier(random_state=0).fit(X, Y)
    xpnet.MLPRegressor(random_state=0, max_iter=400).fit(X, Y)
    xpnet.MLPClassifier(random_state=0, max_iter=1).fit(X[:4], Y[:4])
    xpnet.MLPClassifier(random_state=0, max_iter=2).fit(X, np.zeros(150))


def told_of_no_skill(model, x, y):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(x, y)
    return [str(each.message) for each in caught if each.category is verdict.NoSkillWarning]


def test_a_model_is_judged_with_the_weights_of_its_training():
    draw = np.random.default_rng(0)
    x, y = draw.normal(size=(1000, 3)), (draw.random(1000) < 0.04).astype(int)
    x[y == 1, 0] += 1.5
    settings = {"class_weight": "balanced", "max_iter": 60, "random_state": 0}
    model = xpnet.MLPClassifier((16,), learning_rate_init=0.01, **settings)
    assert not told_of_no_skill(model, x, y)
    assert model.score(x[y == 1], y[y == 1]) > 0.6  # worse than the constant without weights
    settings |= {"learning_rate_init": 1e-9, "random_state": 3}
    told = told_of_no_skill(xpnet.MLPClassifier((16,), **settings), x, y)
    assert "best constant" in told[0]


@pytest.mark.parametrize("settings", [{}, {"early_stopping": True}])
def test_a_training_that_runs_away_warns_and_keeps_its_last_good_weights(kind, settings):
    model = kind(hidden_layer_sizes=(8,), solver="sgd", learning_rate_init=3.0, momentum=0.99,
                 activation="identity", random_state=0, **settings)  # fmt: skip
    advice = r"diverged in epoch \d+.*learning rate 3;.*try 0.03\)"
    with pytest.warns(verdict.DivergenceWarning, match=advice):
        model.fit(X, Y)
    assert issubclass(verdict.DivergenceWarning, sklearn.exceptions.ConvergenceWarning)
    assert all(np.all(np.isfinite(each)) for each in parameters(model))
    assert model.loss_curve_[-1] > model.loss_curve_[0] or not np.isfinite(model.loss_)


def test_advice_names_the_learning_rate_that_counts():
    rows = np.random.default_rng(0).normal(size=(200, 3))
    model = xpnet.MLPRegressor(solver=xpnet.SGD(1e-6), max_iter=30, random_state=0)
    advice = r"Set the solver's learning_rate=1e-05 \(it was 1e-06\)"
    with pytest.warns(verdict.NoSkillWarning, match=advice):
        model.fit(rows, rows @ [2.0, 1.0, 0.0])
