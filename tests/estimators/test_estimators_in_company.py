"""The estimators within scikit-learn's own tools."""

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed")

import joblib
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_diabetes, load_iris
from sklearn.ensemble import BaggingClassifier, StackingClassifier
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

import xpnet
from xpnet import MLPClassifier, MLPRegressor

X, Y = load_iris(return_X_y=True)
X = StandardScaler().fit_transform(X)
MODEL = MLPClassifier((8,), solver="lbfgs", max_iter=30, random_state=0)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def test_grid_search_over_parameters_of_both_libraries():
    grid = {"init": ["sklearn", "auto"], "alpha": [1e-4]}
    search = GridSearchCV(MODEL, grid, cv=3).fit(X, Y)
    assert search.best_score_ > 0.9
    assert search.predict(X).shape == Y.shape


def test_cross_validation_of_a_classifier_and_a_regressor():
    assert cross_val_score(MODEL, X, Y, cv=3).mean() > 0.9
    x, y = load_diabetes(return_X_y=True)
    regressor = MLPRegressor(hidden_layer_sizes=(5,), solver="lbfgs", alpha=1, max_iter=60,
                             random_state=0, standardize=True)  # fmt: skip
    assert cross_val_score(regressor, x, y / 100, cv=3).mean() > 0.35


@pytest.mark.parametrize(
    "ensemble",
    [
        CalibratedClassifierCV(MODEL, cv=3),
        BaggingClassifier(MODEL, n_estimators=3, random_state=0),
        StackingClassifier([("small", MODEL), ("tree", DecisionTreeClassifier())], cv=3),
    ],
)
def test_ensembles_and_calibration(ensemble):
    assert ensemble.fit(X, Y).score(X, Y) > 0.9


def test_clones_have_the_parameters_and_nothing_learnt():
    model = MLPClassifier((4,), callbacks=[xpnet.EarlyStopping()], solver=xpnet.SGD(0.1))
    twin = clone(model.fit(X, Y))
    assert str(twin.get_params()) == str(model.get_params())
    assert not hasattr(twin, "coefs_")


@pytest.mark.process
def test_processes_of_loky_give_what_this_one_gives():
    """Models are fitted in other processes, sent back, and used here."""

    def fitted(seed):
        return clone(MODEL).set_params(random_state=seed).fit(X, Y)

    with joblib.parallel_backend("loky", n_jobs=2, inner_max_num_threads=1):
        models = joblib.Parallel()(joblib.delayed(fitted)(seed) for seed in (0, 1))
    for seed, model in enumerate(models):
        np.testing.assert_allclose(model.predict_proba(X), fitted(seed).predict_proba(X), atol=1e-6)
