"""Pipelines with xpnet's estimators become ONNX by skl2onnx, and give the same numbers."""

import sys

import numpy as np
import pytest
from lazily import onnxruntime, sklearn

import xpnet
from xpnet.nn.activations import HIDDEN, OUTPUTS

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X = np.random.default_rng(0).normal(size=(60, 3)).astype("float32")
THREE = np.arange(60) % 3
TARGETS = {
    "binary": THREE > 0,
    "binary texts": np.array(["no", "yes"])[(THREE > 0).astype(int)],
    "whole numbers": THREE * 5.0 - 3.0,
    "texts": np.array(["a", "blue", "ç"])[THREE],
    "one class": np.zeros(60),
    "multilabel": np.stack([THREE > 0, THREE > 1, X[:, 0] > 0], axis=1).astype(int),
}
FAST = {"hidden_layer_sizes": (5, 4), "max_iter": 3, "random_state": 0, "compile": "off"}


def converted(model, x=X, **options):
    skl2onnx = pytest.importorskip("skl2onnx")
    xpnet.register_skl2onnx()
    made = skl2onnx.to_onnx(model, x[:1], options=options or None)
    session = onnxruntime.InferenceSession(made.SerializeToString())
    return lambda x: session.run(None, {"X": x})


def assert_close(found, wanted):
    np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("target", TARGETS)
def test_classes_and_probabilities_of_a_pipeline(target, dtype):
    x = X.astype(dtype)
    steps = sklearn.preprocessing.StandardScaler(), xpnet.MLPClassifier(**FAST)
    model = sklearn.pipeline.make_pipeline(*steps).fit(x, TARGETS[target])
    label, probabilities = converted(model, x, zipmap=False)(x)
    np.testing.assert_array_equal(label, model.predict(x))
    assert label.shape == model.predict(x).shape
    assert_close(probabilities, model.predict_proba(x))
    assert probabilities.dtype == dtype


@pytest.mark.parametrize("y", [X[:, 0], 1e3 * X[:, :2] + 5e3], ids=["one", "several"])
@pytest.mark.parametrize("standardize", [False, True])
def test_values_of_a_pipeline(y, standardize):
    model = xpnet.MLPRegressor(**FAST, standardize=standardize).fit(X, y)
    (values,) = converted(model)(X)
    wanted = model.predict(X).reshape(len(X), -1)
    assert values.shape == wanted.shape
    assert_close(values, wanted)


@pytest.mark.parametrize("activation", HIDDEN)
def test_every_hidden_activation(activation):
    model = xpnet.MLPRegressor(**FAST, activation=activation).fit(X, X[:, 0])
    assert_close(converted(model)(X)[0][:, 0], model.predict(X))


@pytest.mark.parametrize("output", OUTPUTS)
def test_every_output_activation(output):
    y = np.eye(3)[THREE]
    model = xpnet.MLPRegressor(**FAST, out_activation=output).fit(X, y)
    assert_close(converted(model)(X)[0], model.predict(X))


def test_the_options_of_other_classifiers_hold():
    model = xpnet.MLPClassifier(**FAST).fit(X, TARGETS["texts"])
    label, by_name = converted(model)(X)
    assert_close([*by_name[0].values()], model.predict_proba(X)[0])
    assert [*by_name[0]] == [*model.classes_]
    numbers, _ = converted(model, nocl=True, zipmap=False)(X)
    np.testing.assert_array_equal(model.classes_[numbers], label)


def test_two_networks_in_one_graph():
    members = [(name, xpnet.MLPClassifier(**FAST, activation=name)) for name in ("tanh", "gelu")]
    model = sklearn.ensemble.VotingClassifier(members, voting="soft", flatten_transform=False)
    model.fit(X, THREE)
    assert_close(converted(model, zipmap=False)(X)[1], model.predict_proba(X))


def test_what_cannot_be_converted_is_refused_by_name():
    sine = xpnet.Activation("sine", lambda xp, z: xp.sin(z), lambda xp, d_a, z, a: d_a * xp.cos(z))
    with pytest.raises(xpnet.InputError, match="activation 'sine' is a function of your own"):
        converted(xpnet.MLPRegressor(**FAST, activation=sine).fit(X, X[:, 0]))


def test_without_skl2onnx_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "skl2onnx", None)
    with pytest.raises(xpnet.InputError, match="pip install skl2onnx"):
        xpnet.register_skl2onnx()
