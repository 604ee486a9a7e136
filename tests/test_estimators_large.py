"""Many classes, outputs or columns take no more time and memory than the training itself."""

import tracemalloc
import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed")

from sklearn.exceptions import ConvergenceWarning

from xpnet.estimator_verdict import NoSkillWarning
from xpnet.estimators import MLPClassifier, MLPRegressor


def peak_of(work):
    """Megabytes."""
    tracemalloc.start()
    work()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 1e6


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_check_for_skill_takes_little_memory_with_many_outputs():
    draw = np.random.default_rng(0)
    x = draw.normal(size=(5000, 5))
    y = x @ draw.normal(size=(5, 500))  # 20 MB
    model = MLPRegressor(hidden_layer_sizes=(5,), max_iter=1, random_state=0)
    assert peak_of(lambda: model.fit(x, y)) < 60


def test_a_little_skill_in_telling_many_classes_apart_is_seen():
    draw = np.random.default_rng(0)
    y = draw.integers(0, 300, 6000)
    upper = (y >= 150) ^ (draw.random(6000) > 0.72)
    model = MLPClassifier((4,), max_iter=30, random_state=0, learning_rate_init=0.01)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("error", NoSkillWarning)
        model.fit(np.where(upper, 1.0, -1.0)[:, None], y)
    assert 0.03 < np.log(300) - model.loss_ < 0.2


@pytest.mark.filterwarnings("ignore:Stochastic")
def test_no_skill_in_telling_many_classes_apart_is_seen():
    draw = np.random.default_rng(0)
    y = draw.integers(0, 300, 6000)
    model = MLPClassifier((4,), max_iter=5, random_state=0)
    with pytest.warns(NoSkillWarning):
        model.fit(draw.normal(size=(6000, 3)), y)
