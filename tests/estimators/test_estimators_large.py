"""Many classes, outputs or columns take no more time and memory than the training itself."""

import tracemalloc

import numpy as np
import pytest
from lazily import scipy

import xpnet


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
    model = xpnet.MLPRegressor(hidden_layer_sizes=(5,), max_iter=1, random_state=0)
    assert peak_of(lambda: model.fit(x, y)) < 80


def words(rows=600, columns=20_000):
    """About 50 words in each of some texts, with columns for all the words there are."""
    x = scipy.sparse.random_array((rows, columns), density=50 / columns, rng=0, format="csr")
    return x, np.asarray(x.sum(axis=1)).ravel() > 25.0


@pytest.mark.parametrize("settings", [{}, {"early_stopping": True}, {"solver": "lbfgs"}])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_wide_sparse_inputs_are_never_dense_in_training_and_prediction(settings):
    x, y = words()  # as dense rows 96 MB
    model = xpnet.MLPClassifier((4,), max_iter=1, random_state=0, **settings)
    assert peak_of(lambda: model.fit(x, y)) < 64
    assert peak_of(lambda: model.predict(x)) < 8


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_what_must_be_dense_is_made_so_in_blocks_of_as_many_numbers_whatever_the_width():
    x, y = words()
    model = xpnet.MLPClassifier((4,), max_iter=1, batch_size=20, standardize=True).fit(x, y)
    assert peak_of(lambda: model.predict(x)) < 160


def test_a_sparse_array_is_taken_for_an_array_by_what_a_layer_needs_and_by_nothing_else():
    from xpnet.estimators.data import SparseArray

    matrix, _ = words(6, 1000)
    sparse, dense, weights = SparseArray(matrix), matrix.toarray(), np.ones((1000, 2))
    out = np.empty((1000, 3))
    np.testing.assert_allclose(sparse.dot(weights), dense @ weights)
    assert sparse.mT.dot(np.ones((6, 3)), out) is out
    np.testing.assert_allclose(out, dense.T @ np.ones((6, 3)))
    np.testing.assert_array_equal(np.take(sparse, [4, 1], axis=0), dense[[4, 1]])
    np.testing.assert_array_equal(sparse[1:3, :], dense[1:3])
    with pytest.raises(TypeError, match=r"no implementation found for 'numpy.sum'"):
        np.sum(sparse)
