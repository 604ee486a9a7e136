import math
from dataclasses import asdict

import numpy as np
import pytest

import xpnet
from xpnet.nn import initializers as initialisers
from xpnet.nn.activations import HIDDEN

DEEP = [64, *[64] * 8, 10]


@pytest.mark.parametrize("hidden", HIDDEN)
def test_auto_keeps_signal_and_gradient_alive_through_depth(hidden):
    for depth in (1, 8):
        sizes = [64, *[128] * depth, 10]
        assert xpnet.explain_init(sizes, hidden=hidden, output="softmax", rows=128).warnings == ()


def test_a_sigmoid_network_starts_as_the_tanh_network_that_it_equals():
    """Because sigmoid(z) = 1/2 + tanh(z/2) / 2, all outputs agree."""
    x, options = np.random.default_rng(0).normal(size=(20, 5)), {"dtype": "float64", "seed": 4}
    nets = [xpnet.MLP([5, 9, 1, 7, 3], hidden=each, **options) for each in ("sigmoid", "tanh")]
    np.testing.assert_allclose(*(net.predict(x) for net in nets), rtol=1e-12)


def test_a_signal_that_dies_is_named_with_its_rate():
    report = xpnet.explain_init(
        DEEP,
        np.random.default_rng(0).normal(size=(300, 64)),
        hidden="sigmoid",
        init="glorot_uniform",
    )
    signal, gradient = report.warnings
    assert signal.startswith("the signal dies: its variance goes from 0.0")
    assert "per hidden layer; use larger weights" in signal
    assert gradient.startswith("the gradient dies: its variance goes from ")
    assert 'init="auto"' in gradient


@pytest.mark.parametrize(
    ("layers", "size"), [([128] * 8, 0.6), ([64] * 45, 1.0)], ids=["large", "overflow"]
)
def test_a_signal_that_explodes_is_named_without_a_warning_of_numpy(layers, size):
    def too_large(draw, fan_in, fan_out):
        return size * draw.standard_normal((fan_in, fan_out))

    report = xpnet.explain_init([64, *layers, 10], hidden="relu", init=too_large, rows=20)
    assert [text.split(":")[0] for text in report.warnings] == [
        "the signal explodes",
        "the gradient explodes",
    ]
    assert report.layers[0].rule == "too_large (given by the caller)"
    net = xpnet.MLP([2, 3, 1], init=too_large)  # and of a model file, which holds no function
    again = xpnet.MLP.from_config(net.config(), net.weights, net.biases)
    assert xpnet.explain_init(again).layers[0].rule == "callable (given by the caller)"
    finite = np.isfinite(report.layers[-2].activation_variance)
    assert finite == (size < 1.0)


def test_weights_of_one_sign_are_named_layer_by_layer():
    def positive(draw, fan_in, fan_out):
        return draw.random((fan_in, fan_out)) / math.sqrt(fan_in)

    images = np.abs(np.random.default_rng(0).normal(0.0, 0.3, size=(100, 784)))
    report = xpnet.explain_init([784, 200, 80, 10], images, hidden="sigmoid", init=positive)
    ones = [text for text in report.warnings if "one sign" in text]
    assert ones[0].startswith("layer 1: all 784 x 200 weights have one sign")
    assert [text[:7] for text in ones] == ["layer 1", "layer 2", "layer 3"]
    saturated = next(text for text in report.warnings if "saturated" in text)
    assert saturated.startswith("layer 2: its sigmoid units are saturated (mean slope ")
    assert saturated.endswith("so hardly any gradient passes; use smaller weights")


def test_saturation_by_unscaled_inputs_is_named():
    x = np.random.default_rng(0).normal(200.0, 100.0, size=(100, 30))
    report = xpnet.explain_init([30, 16, 1], x, hidden="tanh", output="sigmoid")
    assert report.warnings[0].startswith("layer 1: its tanh units are saturated (mean slope ")
    assert "scale the inputs to unit variance, or use smaller" in report.warnings[0]


def test_the_report_reads_as_a_table():
    report = xpnet.explain_init([30, 16, 16, 3], hidden="sigmoid", output="softmax")
    lines = str(report).splitlines()
    assert lines[0].startswith("Weights of MLP(30-16-16-3, sigmoid, sigmoid, softmax;")
    assert (
        lines[1] == "measured on 512 rows of standard normal inputs, with a random output gradient"
    )
    assert len({len(line) for line in lines[3:7]}) == 1
    gain = 4.0 * initialisers.TANH_GAIN
    assert f"layer 2: glorot_uniform x {gain:g} (at this gain" in str(report)
    assert max(map(len, lines)) <= 160
    assert [each.fan_in for each in report.layers] == [30, 16, 16]
    assert report.layers[2].activation == "softmax"


def test_given_inputs_and_targets_are_measured_and_the_network_is_left_as_it_is():
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(40, 6)), rng.integers(0, 3, 40)
    net = xpnet.MLP([6, 12, 3], hidden="tanh", output="softmax", dtype="float64")
    before = net.flat.copy()
    report = xpnet.explain_init(net, x, y)
    np.testing.assert_array_equal(net.flat, before)
    assert (
        "\nmeasured on 40 rows of the inputs given, with the gradient of the loss" in report.title
    )
    probabilities = net.predict(x)
    delta = probabilities - np.eye(3)[y]
    slope = 1 - np.tanh(x @ net.weights[0]) ** 2
    hidden, last = report.layers
    assert last.gradient_variance == pytest.approx(np.mean(delta**2))
    expected = np.mean((delta @ net.weights[1].T * slope) ** 2)
    assert hidden.gradient_variance == pytest.approx(expected)
    of_rows = np.var(np.tanh(x @ net.weights[0]), axis=0)
    assert hidden.activation_variance == pytest.approx(np.mean(of_rows))
    assert hidden.mean_slope == pytest.approx(np.mean(slope))


def test_rows_are_used_and_what_does_not_fit_is_refused():
    x = np.zeros((50, 2))
    assert "on 20 rows" in xpnet.explain_init([2, 3, 1], x, rows=20).title
    with pytest.raises(xpnet.InputError, match="rows 1 must be an integer >= 2"):
        xpnet.explain_init([2, 3, 1], rows=1)
    with pytest.raises(xpnet.InputError, match="variances over the rows need two"):
        xpnet.explain_init([2, 3, 1], x[:1])
    with pytest.raises(xpnet.InputError, match=r"x has shape \(20, 2\) but the network takes"):
        xpnet.explain_init([3, 3, 1], x, rows=20)
    with pytest.raises(xpnet.InputError, match=r"\['hidden'\] are for a new network"):
        xpnet.explain_init(xpnet.MLP([2, 3, 1]), hidden="tanh")


def test_it_runs_on_every_backend(other_backend):
    sizes, options = [6, 12, 12, 3], {"hidden": "sigmoid", "output": "softmax", "dtype": "float64"}
    ours = xpnet.explain_init(sizes, **options).layers
    theirs = xpnet.explain_init(sizes, device=other_backend.device, **options).layers
    for one, other in zip(map(asdict, ours), map(asdict, theirs), strict=True):
        assert other == {
            name: pytest.approx(value, rel=1e-9) if isinstance(value, float) else value
            for name, value in one.items()
        }
