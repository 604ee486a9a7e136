"""The estimators with ``device="gpu"``: what they give agrees with what they give on the CPU."""

import pickle
import warnings

import numpy as np
import pytest
from lazily import scipy

import xpnet

pytestmark = [pytest.mark.cuda, pytest.mark.usefixtures("cuda")]

RANDOM = np.random.default_rng(0)
X = RANDOM.standard_normal((90, 4))
TARGETS = {
    "two classes": np.where(X[:, 0] > 0.0, "yes", "no"),
    "three classes": np.argmax(X[:, :3], axis=1),
    "numbers": X[:, 0] - X[:, 1] ** 2,
}
QUICK = {"hidden_layer_sizes": (6,), "max_iter": 5, "random_state": 0, "learning_rate_init": 0.01}


def fitted(targets, x=X, **options):
    """Fit the same estimator on the CPU and on the GPU."""
    kind = xpnet.MLPRegressor if targets == "numbers" else xpnet.MLPClassifier
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of five iterations
        return [
            kind(**QUICK, **options, device=device).fit(x, TARGETS[targets])
            for device in ("cpu", "gpu")
        ]


def assert_alike(cpu, gpu, x=X):
    for own, theirs in zip(gpu.coefs_, cpu.coefs_, strict=True):
        np.testing.assert_allclose(gpu.network_.device.get(own), theirs, rtol=1e-9, atol=1e-9)
    method = "predict_proba" if hasattr(cpu, "classes_") else "predict"
    found = getattr(gpu, method)(x)
    assert isinstance(found, np.ndarray)
    np.testing.assert_allclose(found, getattr(cpu, method)(x), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("targets", TARGETS)
@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
def test_every_solver_and_task(solver, targets):
    assert_alike(*fitted(targets, solver=solver))


@pytest.mark.parametrize(
    "options",
    [
        {"early_stopping": True, "n_iter_no_change": 2},
        {"standardize": True, "dropout": 0.2},
        {"class_weight": "balanced", "activation": ["gelu"]},
    ],
    ids=["early stopping", "scaled, dropout", "weighted, gelu"],
)
def test_what_goes_beyond_the_plain_fit(options):
    assert_alike(*fitted("three classes", **options))


def test_sparse_inputs_are_made_dense_batch_by_batch():
    x = scipy.sparse.csr_array(np.where(np.abs(X) > 1.0, X, 0.0))
    assert_alike(*fitted("three classes", x, solver="sgd"), x)


def test_a_pickle_of_a_fitted_estimator_comes_back_on_the_cpu():
    _, gpu = fitted("two classes")
    twin = pickle.loads(pickle.dumps(gpu))  # noqa: S301
    assert twin.network_.device.name == "cpu"
    np.testing.assert_allclose(twin.predict_proba(X), gpu.predict_proba(X), rtol=1e-12)
