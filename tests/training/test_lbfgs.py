from importlib.util import find_spec

import numpy as np
import pytest

import xpnet
from xpnet.errors import DivergenceError, InputError
from xpnet.training import lbfgs
from xpnet.training.lbfgs import fit_lbfgs

pytestmark = pytest.mark.skipif(find_spec("scipy") is None, reason="SciPy is not installed")
RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3))
TARGETS = np.stack([np.sin(X[:, 0]), X[:, 1] * X[:, 2]], axis=1)
CLASSES = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0.5)


def network(**options):
    return xpnet.MLP([3, 8, 2], hidden="tanh", **{"dtype": "float64", **options})


def test_a_linear_network_finds_the_ridge_solution():
    net = xpnet.MLP([3, 2], dtype="float64")
    fit_lbfgs(net, X, TARGETS, loss="half_squared_error", l2=0.1, tol=1e-10)
    centred, goals = X - X.mean(axis=0), TARGETS - TARGETS.mean(axis=0)
    ridge = np.linalg.solve(centred.T @ centred / 60 + 0.1 * np.eye(3), centred.T @ goals / 60)
    np.testing.assert_allclose(net.weights[0], ridge, atol=1e-6)


def test_tiles_of_rows_give_the_whole(monkeypatch):
    whole, tiled = network(), network()
    fit_lbfgs(whole, X, TARGETS, max_iter=5)
    monkeypatch.setattr(lbfgs, "TILE_ROWS", 7)
    fit_lbfgs(tiled, X, TARGETS, max_iter=5)
    np.testing.assert_allclose(tiled.flat, whole.flat, rtol=1e-9, atol=1e-12)


def test_weights_of_rows_and_classes_and_rows_to_watch():
    settings = {"output": "softmax", "hidden": "tanh", "dtype": "float64"}
    net = xpnet.MLP([3, 8, 3], **settings)
    history = fit_lbfgs(
        net, X, CLASSES, l2=0.01, class_weight="balanced", sample_weight=np.ones(60),
        validation=(X[:20], CLASSES[:20]), max_iter=10,
    )  # fmt: skip
    assert len(history.validation_loss) == history.epochs == 10
    weights = (60 / (3 * np.bincount(CLASSES)))[CLASSES[:20]]
    expected = net.loss(X[:20], CLASSES[:20], sample_weight=weights)
    assert history.validation_loss[-1] == pytest.approx(expected)
    assert not history.stopped.startswith("converged")
    doubled = xpnet.MLP([3, 8, 3], **settings)
    fit_lbfgs(doubled, X, CLASSES, l2=0.01, max_iter=10, sample_weight=np.arange(60) % 2 + 0.0)
    odd = xpnet.MLP([3, 8, 3], **settings)
    fit_lbfgs(odd, X[1::2], CLASSES[1::2], l2=0.01, max_iter=10)
    np.testing.assert_allclose(doubled.flat, odd.flat, rtol=1e-6, atol=1e-8)


def test_limits_of_iterations_and_of_evaluations():
    assert fit_lbfgs(network(), X, TARGETS, max_iter=3).epochs == 3
    history = fit_lbfgs(network(), X, TARGETS, max_fun=4)
    assert history.epochs <= 4
    assert "evaluations" in history.stopped


def test_every_backend_gives_the_same(backend):
    net, host = network(device=backend.device), network()
    fit_lbfgs(net, backend.array(X), backend.array(TARGETS), max_iter=5)
    fit_lbfgs(host, X, TARGETS, max_iter=5)
    np.testing.assert_allclose(backend.host(net.flat), host.flat, rtol=1e-7, atol=1e-9)


def test_what_cannot_be_minimised_is_refused():
    with pytest.raises(InputError, match="dropout changes it; use sgd or adam"):
        fit_lbfgs(network(dropout=0.5), X, TARGETS)
    broken = network()
    broken.weights[0][0, 0] = np.nan
    with pytest.raises(InputError, match="weights or biases hold NaN or infinity"):
        fit_lbfgs(broken, X, TARGETS)
    with pytest.raises(InputError, match=r"^validation 0\.2 is not a pair of rows, \(x, y\)$"):
        fit_lbfgs(network(), X, TARGETS, validation=0.2)
    for options, message in (({"max_iter": 0}, "epochs 0 must be"), ({"l2": -1.0}, "l2 -1.0 must")):
        with pytest.raises(InputError, match=message):
            fit_lbfgs(network(), X, TARGETS, **options)
    net = network()
    before = np.array(net.flat)
    with pytest.raises(DivergenceError, match="keeps the weights it had"):
        fit_lbfgs(net, X, TARGETS * 1e200)
    np.testing.assert_array_equal(net.flat, before)


def test_a_file_is_looked_through_before_it_is_trained_on(tmp_path):
    np.save(tmp_path / "x.npy", np.array([[1.0, 2.0], [np.nan, 3.0]]))
    source = xpnet.RowFile(tmp_path / "x.npy")
    with pytest.raises(xpnet.InputError, match="holds nan at index"):
        fit_lbfgs(xpnet.MLP([2, 1]), source, [0.0, 1.0])
    with pytest.raises(xpnet.InputError, match=r"takes \(n, 3\)"):
        fit_lbfgs(xpnet.MLP([3, 1]), source, [0.0, 1.0])
