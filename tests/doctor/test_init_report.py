import math

import numpy as np
import pytest

import xpnet
from xpnet.nn import initializers as initialisers
from xpnet.nn.activations import HIDDEN

DEEP = [64, *[64] * 8, 10]
RANDOM = np.random.default_rng(0)


def explain(sizes, x=None, **options):
    return xpnet.explain_init(xpnet.MLP(sizes, **options), x)


@pytest.mark.parametrize("hidden", HIDDEN)
def test_auto_keeps_signal_and_gradient_alive_through_depth(hidden):
    for depth in (1, 8):
        assert explain([64, *[128] * depth, 10], hidden=hidden, output="softmax").warnings == ()


def test_a_sigmoid_network_starts_as_the_tanh_network_that_it_equals():
    """Because sigmoid(z) = 1/2 + tanh(z/2) / 2, all outputs agree."""
    x, options = RANDOM.normal(size=(20, 5)), {"dtype": "float64", "seed": 4}
    nets = [xpnet.MLP([5, 9, 1, 7, 3], hidden=each, **options) for each in ("sigmoid", "tanh")]
    np.testing.assert_allclose(*(net.predict(x) for net in nets), rtol=1e-12)


def test_a_signal_that_dies_is_named_with_its_rate():
    signal, gradient = explain(DEEP, hidden="sigmoid", init="glorot_uniform").warnings
    assert signal.startswith("the signal dies: its variance goes from 0.0")
    assert 'per hidden layer; use larger weights (init="auto")' in signal
    assert gradient.startswith("the gradient dies: its variance goes from ")


@pytest.mark.parametrize(
    ("layers", "size"), [([128] * 8, 0.6), ([64] * 45, 1.0)], ids=["large", "overflow"]
)
def test_a_signal_that_explodes_is_named_without_a_warning_of_numpy(layers, size):
    def too_large(draw, fan_in, fan_out):
        return size * draw.standard_normal((fan_in, fan_out))

    report = explain([64, *layers, 10], hidden="relu", init=too_large)
    assert [text.split(":")[0] for text in report.warnings] == [
        "the signal explodes",
        "the gradient explodes",
    ]
    assert report.layers[0].rule == "too_large (given by the caller)"
    assert np.isfinite(report.layers[-2].activation_variance) == (size < 1.0)
    net = xpnet.MLP([2, 3, 1], init=too_large)  # and of a model file, which holds no function
    net.init = "callable"
    assert xpnet.explain_init(net).layers[0].rule == "callable (given by the caller)"


def test_weights_of_one_sign_and_equal_ones_are_named_layer_by_layer():
    def positive(draw, fan_in, fan_out):
        return draw.random((fan_in, fan_out)) / math.sqrt(fan_in)

    images = np.abs(RANDOM.normal(0.0, 0.3, size=(100, 784)))
    warnings = explain([784, 200, 80, 10], images, hidden="sigmoid", init=positive).warnings
    ones = [text for text in warnings if "one sign" in text]
    assert ones[0].startswith("layer 1: all 784 x 200 weights have one sign")
    assert [text[:7] for text in ones] == ["layer 1", "layer 2", "layer 3"]
    saturated = next(text for text in warnings if "saturated" in text)
    assert saturated.startswith("layer 2: its sigmoid units are saturated (mean slope ")
    assert saturated.endswith("so hardly any gradient passes; use smaller weights")
    alike = explain([4, 3, 1], init=lambda draw, fan_in, fan_out: np.full((fan_in, fan_out), 0.5))
    assert "weights are 0.5, so its units stay alike" in alike.warnings[0]


def test_saturation_by_unscaled_inputs_is_named():
    x = RANDOM.normal(200.0, 100.0, size=(100, 30))
    warning = explain([30, 16, 1], x, hidden="tanh", output="sigmoid").warnings[0]
    assert warning.startswith("layer 1: its tanh units are saturated (mean slope ")
    assert "scale the inputs to unit variance, or use smaller" in warning


def test_the_report_reads_as_a_table():
    report = explain([30, 16, 16, 3], hidden="sigmoid", output="softmax")
    lines = str(report).splitlines()
    assert lines[0].startswith("Weights of MLP(30-16-16-3, sigmoid, sigmoid, softmax;")
    assert lines[1] == "measured on 512 rows of standard normal inputs"
    assert len({len(line) for line in lines[3:7]}) == 1
    gain = 4.0 * initialisers.TANH_GAIN
    assert f"layer 2: glorot_uniform x {gain:g} (at this gain" in str(report)
    assert max(map(len, lines)) <= 160
    assert [each.fan_in for each in report.layers] == [30, 16, 16]
    assert report.layers[2].activation == "softmax"


def test_given_inputs_are_measured_and_the_network_is_left_as_it_is():
    x, net = RANDOM.normal(size=(40, 6)), xpnet.MLP([6, 12, 3], hidden="tanh", dtype="float64")
    before = net.flat.copy()
    report = xpnet.explain_init(net, x)
    np.testing.assert_array_equal(net.flat, before)
    assert "\nmeasured on 40 rows of the inputs given" in report.title
    a = np.tanh(x @ net.weights[0])
    hidden = report.layers[0]
    assert hidden.activation_variance == pytest.approx(np.mean(np.var(a, axis=0)))
    assert hidden.mean_slope == pytest.approx(np.mean(1 - a**2))


def test_what_does_not_fit_is_refused():
    with pytest.raises(xpnet.InputError, match="variances over the rows need two"):
        explain([2, 3, 1], np.zeros((1, 2)))
    with pytest.raises(xpnet.InputError, match=r"x has shape \(20, 2\) but the network takes"):
        explain([3, 3, 1], np.zeros((20, 2)))


def test_it_runs_on_every_backend(other_backend):
    sizes, options = [6, 12, 12, 3], {"hidden": "sigmoid", "output": "softmax", "dtype": "float64"}
    ours = explain(sizes, **options).layers
    theirs = explain(sizes, device=other_backend.device, **options).layers
    for one, other in zip(ours, theirs, strict=True):
        assert other[:5] == one[:5]
        assert other[5:] == pytest.approx(one[5:], rel=1e-9)
