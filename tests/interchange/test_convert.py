"""Networks of scikit-learn and PyTorch become xpnet's, and back, with the same outputs."""

import warnings

import numpy as np
import pytest

import xpnet
from xpnet.interchange.convert import TORCH
from xpnet.nn.activations import HIDDEN, OUTPUTS

X = np.random.default_rng(0).normal(size=(30, 4)) * 3.0
THREE = np.arange(30) % 3
TARGETS = {
    "value": X[:, 0],
    "values": X[:, :2],
    "two classes": np.array(["a", "b"])[THREE % 2],
    "three classes": np.array(["a", "b", "c"])[THREE],
    "labels": np.stack([THREE > 0, THREE > 1], axis=1).astype(int),
}
MY_RELU = xpnet.Activation("relu", lambda xp, z: 2.0 * z, lambda xp, d_a, z, a: 2.0 * d_a)
DIGITS = {"float32": 1e-6, "float64": 1e-12}


@pytest.mark.parametrize("dtype", DIGITS)
@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
@pytest.mark.parametrize("target", TARGETS)
def test_scikit_learns_networks_there_and_back(activation, target, dtype):
    neural_network = pytest.importorskip("sklearn.neural_network")
    x, y, values = X.astype(dtype), TARGETS[target], target.startswith("value")
    kind = neural_network.MLPRegressor if values else neural_network.MLPClassifier
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = kind(hidden_layer_sizes=(5, 3), activation=activation, max_iter=3, random_state=0)
        theirs.fit(x, y)
    net = xpnet.from_sklearn(theirs)
    back = xpnet.to_sklearn(net, None if values or target == "labels" else theirs.classes_)
    np.testing.assert_array_equal(back.predict(x), theirs.predict(x))
    wanted = (theirs.predict if values else theirs.predict_proba)(x).reshape(30, -1)
    wanted = wanted[:, 1:] if target == "two classes" else wanted
    assert net.dtype == dtype
    np.testing.assert_allclose(net.predict(x), wanted, rtol=DIGITS[dtype], atol=DIGITS[dtype])


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (xpnet.MLP([4, 3, 1], hidden="gelu"), "activation gelu"),
        (xpnet.MLP([4, 3, 3, 1], hidden=["relu", "tanh"]), "activation relu, tanh"),
        (xpnet.MLP([4, 3, 1], hidden=MY_RELU), r"activation Activation\('relu'\)"),
        (xpnet.MLP([4, 3, 1], output="exp"), "output exp: scikit-learn has"),
    ],
)
def test_what_scikit_learn_does_not_have_is_refused_by_name(net, message):
    pytest.importorskip("sklearn")
    with pytest.raises(xpnet.InputError, match=message):
        xpnet.to_sklearn(net)


def test_an_estimator_that_was_not_fitted_is_refused():
    neural_network = pytest.importorskip("sklearn.neural_network")
    with pytest.raises(xpnet.InputError, match="MLPRegressor has no coefs_"):
        xpnet.from_sklearn(neural_network.MLPRegressor())


@pytest.mark.parametrize("dtype", DIGITS)
@pytest.mark.parametrize("output", [name for name in OUTPUTS if name != "exp"])
@pytest.mark.parametrize("hidden", HIDDEN)
def test_pytorchs_networks_there_and_back(hidden, output, dtype):
    torch = pytest.importorskip("torch")
    net = xpnet.MLP([4, 5, 2], hidden=hidden, output=output, dtype=dtype, dropout=0.25)
    module = xpnet.to_torch(net).eval()
    back = xpnet.from_torch(module)
    assert back.config() | {"init": "auto"} == net.config()
    np.testing.assert_array_equal(back.predict(X), net.predict(X))
    found = module(torch.tensor(X, dtype=getattr(torch, dtype))).detach().numpy()
    np.testing.assert_allclose(found, net.predict(X), rtol=DIGITS[dtype], atol=DIGITS[dtype])


def test_an_output_that_pytorch_leaves_to_the_loss_can_be_given():
    nn = pytest.importorskip("torch").nn
    module = nn.Sequential(nn.Linear(4, 3, bias=False), nn.ReLU(inplace=True), nn.Linear(3, 2))
    net = xpnet.from_torch(module, output="softmax")
    np.testing.assert_allclose(net.predict(X).sum(axis=1), 1.0, rtol=1e-6)
    assert net.hidden[0].name == "relu"
    assert not net.biases[0].any()


def test_layers_and_activations_that_the_other_lacks_are_refused_by_name():
    nn = pytest.importorskip("torch").nn
    for layer in (nn.BatchNorm1d(3), nn.GELU(), nn.LeakyReLU(0.2)):
        with pytest.raises(xpnet.InputError, match=type(layer).__name__):
            xpnet.from_torch(nn.Sequential(nn.Linear(4, 3), layer))
    with pytest.raises(xpnet.InputError, match="no linear layers"):
        xpnet.from_torch(nn.Sequential())
    assert {*HIDDEN, *OUTPUTS} - TORCH.keys() == {"exp"}
    with pytest.raises(xpnet.InputError, match="activation 'exp'"):
        xpnet.to_torch(xpnet.MLP([4, 1], output="exp"))
    with pytest.raises(xpnet.InputError, match="activation 'relu'"):
        xpnet.to_torch(xpnet.MLP([4, 3, 1], hidden=MY_RELU))
