"""Many classes, outputs or columns take no more time and memory than the training itself."""

import tracemalloc
import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed")

import scipy.sparse
from estimator_examples import parameters
from sklearn.exceptions import ConvergenceWarning

from xpnet.estimators.classifier import MLPClassifier, MLPRegressor
from xpnet.estimators.data import SparseArray
from xpnet.estimators.verdict import NoSkillWarning


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
    assert peak_of(lambda: model.fit(x, y)) < 80


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


def words(rows=600, columns=20_000):
    """About 50 words in each of some texts, with columns for all the words there are."""
    x = scipy.sparse.random_array((rows, columns), density=50 / columns, rng=0, format="csr")
    return x, np.asarray(x.sum(axis=1)).ravel() > 25.0


@pytest.mark.parametrize("settings", [{}, {"early_stopping": True}, {"solver": "lbfgs"}])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_wide_sparse_inputs_are_never_dense_in_training_and_prediction(settings):
    x, y = words()  # as dense rows 96 MB
    model = MLPClassifier((4,), max_iter=2, random_state=0, **settings)
    assert peak_of(lambda: model.fit(x, y)) < 64
    assert peak_of(lambda: model.predict(x)) < 8


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_what_must_be_dense_is_made_so_in_blocks_of_as_many_numbers_whatever_the_width():
    x, y = words()
    model = MLPClassifier((4,), max_iter=1, batch_size=20, standardize=True).fit(x, y)
    assert peak_of(lambda: model.predict(x)) < 160
    model = MLPClassifier((4,), max_iter=1, init="lsuv")
    assert peak_of(lambda: model.fit(x, y)) < 160


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("settings", [{}, {"early_stopping": True}, {"init": "lsuv"}])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_sparse_first_layer_gives_what_a_dense_one_gives(dtype, settings):
    x, y = words(100, 1000)
    models = [MLPClassifier((8,), max_iter=5, random_state=0, dtype=dtype, **settings)
              for _ in range(2)]  # fmt: skip
    sparse, dense = (
        model.fit(each, y) for model, each in zip(models, (x, x.toarray()), strict=True)
    )
    assert sparse.predict_proba(x).dtype == dtype
    for a, b in zip(parameters(sparse), parameters(dense), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-4 if dtype == "float32" else 1e-12)


def test_a_sparse_array_is_taken_for_an_array_by_what_a_layer_needs_and_by_nothing_else():
    matrix, _ = words(6, 1000)
    sparse, dense, weights = SparseArray(matrix), matrix.toarray(), np.ones((1000, 2))
    out = np.empty((1000, 3))
    np.testing.assert_allclose(np.dot(sparse, weights), dense @ weights)
    assert np.dot(sparse.T, np.ones((6, 3)), out=out) is out
    np.testing.assert_allclose(out, dense.T @ np.ones((6, 3)))
    np.testing.assert_array_equal(np.take(sparse, [4, 1], axis=0), dense[[4, 1]])
    np.testing.assert_array_equal(sparse[1:3, :], dense[1:3])
    with pytest.raises(TypeError, match=r"no implementation found for 'numpy.sum'"):
        np.sum(sparse)
