"""The gradient check: right gradients pass, wrong ones are called by their name."""

import random

import numpy as np
import pytest

from xpnet import MLP
from xpnet.doctor.gradcheck.check import (
    check_gradients,
)
from xpnet.errors import InputError, XpnetError

M, FEATURES, UNITS, OUTPUTS = 20, 4, 4, 3
RANDOM = np.random.default_rng(5)
X = RANDOM.standard_normal((M, FEATURES))
Y = RANDOM.standard_normal((M, OUTPUTS))
PARAMETERS = {
    "W1": RANDOM.standard_normal((FEATURES, UNITS)),
    "b1": 0.1 * RANDOM.standard_normal(UNITS),
    "W2": RANDOM.standard_normal((UNITS, UNITS)),
    "b2": 0.1 * RANDOM.standard_normal(UNITS),
    "W3": RANDOM.standard_normal((UNITS, OUTPUTS)),
    "b3": 0.1 * RANDOM.standard_normal(OUTPUTS),
}


def forward(p):
    a1 = np.tanh(X @ p["W1"] + p["b1"])
    a2 = np.tanh(a1 @ p["W2"] + p["b2"])
    return a1, a2, a2 @ p["W3"] + p["b3"]


def loss(p):
    return 0.5 * np.sum((forward(p)[-1] - Y) ** 2) / M


def gradients(p):
    a1, a2, out = forward(p)
    d3 = (out - Y) / M
    d2 = (d3 @ p["W3"].T) * (1 - a2**2)
    d1 = (d2 @ p["W2"].T) * (1 - a1**2)
    return {
        "W1": X.T @ d1, "b1": d1.sum(axis=0), "W2": a1.T @ d2, "b2": d2.sum(axis=0),
        "W3": a2.T @ d3, "b3": d3.sum(axis=0),
    }  # fmt: skip


def with_change(**changes):
    """The right gradients, some of them changed by a function of (gradient, parameters)."""

    def changed(p):
        given = gradients(p)
        return given | {name: change(given[name], p) for name, change in changes.items()}

    return changed


def every(change):
    return with_change(**dict.fromkeys(PARAMETERS, change))


def check(wrong, **options):
    return check_gradients(loss, wrong, PARAMETERS, batch_size=M, **options)


def test_right_gradient_passes_with_small_errors():
    report = check(gradients)
    assert report.ok
    assert report.findings == ()
    assert max(each.error for each in report.comparisons) < 1e-8
    assert str(report).startswith("Gradient check: right\n  W1  right: relative error")


@pytest.mark.parametrize(
    ("code", "wrong", "says"),
    [
        ("gradient-scale", every(lambda g, p: g * M), "batch size"),
        ("gradient-scale", with_change(b1=lambda g, p: g / M), "averaged over samples once too"),
        ("gradient-scale", every(lambda g, p: 0.5 * g), "1/2"),
        ("gradient-scale", every(lambda g, p: g * OUTPUTS), "number of outputs"),
        ("gradient-scale", every(lambda g, p: 1.37 * g), "1.37"),
        ("gradient-transposed", with_change(W2=lambda g, p: g.T), "transposed"),
        ("gradient-transposed", with_change(W3=lambda g, p: g.T), "(3, 4)"),
        ("gradient-regularisation", with_change(W2=lambda g, p: g + 0.3 * p["W2"]), "0.3 x"),
        ("gradient-shape", with_change(b2=lambda g, p: np.sum(g)), "gradient (), parameter (4,)"),
        ("gradient-shape", with_change(b2=lambda g, p: g[:, None]), "(4, 1)"),
        (
            "gradient-wrong",
            with_change(W3=lambda g, p: g + 0.1 * X[:4, :3], b3=lambda g, p: g + X[0, :3]),
            "no usual mistake",
        ),
        (
            "bias-per-sample",
            with_change(b3=lambda g, p: (forward(p)[-1] - Y) / M),
            "one gradient for each of 20 samples",
        ),
    ],
)
def test_wrong_gradient_is_called_by_its_name(code, wrong, says):
    report = check(wrong)
    assert not report.ok
    assert report.codes == (code,)
    assert says in str(report)


def test_two_mistakes_in_one_gradient_are_both_named():
    report = check(with_change(b3=lambda g, p: -(forward(p)[-1] - Y) / M))
    assert set(report.codes) == {"bias-per-sample", "gradient-sign"}


def test_squared_error_of_m_against_m_1_is_a_broadcast():
    targets = Y[:, 0]
    report = check_gradients(
        lambda p: 0.5 * (X @ p["w"] - targets) ** 2,
        lambda p: {"w": X.T @ (X @ p["w"] - targets).sum(axis=1, keepdims=True)},
        {"w": np.ones((FEATURES, 1))},
    )
    assert report.codes == ("loss-broadcast",)
    assert "20 x 20 = 400 terms for 20 samples" in report.findings[0].evidence


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_none_are_told_of_gradients_and_of_losses(value):
    def spoilt(gradient, parameters):
        gradient[0] = value
        return gradient

    report = check_gradients(loss, with_change(W2=spoilt, b3=spoilt), PARAMETERS)
    assert report.codes == ("non-finite",)
    assert report.findings[0].where == "W2, b3"
    assert "4 of 16 entries of W2, 1 of 3 entries of b3" in report.findings[0].evidence
    assert "W2  wrong: its shape or its values cannot be used" in str(report)
    (finding,) = check_gradients(lambda p: value, gradients, PARAMETERS).findings
    assert finding.code == "non-finite"
    assert finding.evidence == "1 of 1 entries of loss(parameters) are NaN or infinite"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"parameters": [np.ones(2)]}, "parameters is list; pass a dict of names and arrays"),
        ({"parameters": np.ones(2)}, "parameters is ndarray; pass a dict"),
        ({"parameters": {}}, "parameters is empty"),
        ({"parameters": {"w": ["a"]}}, r"parameters\['w'\] \(list\) is not an array of real"),
        ({"loss": 1.0}, "loss is float; pass a function"),
        ({"loss": lambda p: None}, r"loss\(parameters\) is None; pass numbers"),
        ({"gradients": {}}, "gradients is dict; pass a function"),
        ({"gradients": lambda p: None}, r"returned NoneType; return a dict .* of \['w'\]"),
        ({"gradients": lambda p: {"v": 1}}, r"returned \['v'\] but the parameters are \['w'\]"),
        ({"loss": lambda p: random.random()}, "switch dropout off, fix the seed"),
        ({"gradients": lambda p: {"w": None}}, "the gradient of w is None"),
    ],
)
def test_what_cannot_be_checked_is_refused_by_name(change, says):
    given = {"loss": np.size, "gradients": dict, "parameters": {"w": np.ones(2)}} | change
    with pytest.raises(XpnetError, match=says):
        check_gradients(**given)


def test_other_array_libraries(array_library):
    xp, put = array_library
    a = put(np.arange(6.0).reshape(3, 2) / 7)
    report = check_gradients(
        lambda p: xp.sum(xp.tanh(xp.matmul(a, p["w"]))),
        lambda p: {"w": -xp.matmul(a.T, 1 - xp.tanh(xp.matmul(a, p["w"])) ** 2)},
        {"w": put(np.ones((2, 2)) / 3)},
    )
    assert report.codes == ("gradient-sign",)


@pytest.fixture(params=["array_api_strict", "strict on a second device", "torch"])
def array_library(request):
    if request.param == "torch":
        torch = pytest.importorskip("torch")
        return torch, torch.asarray
    xp = pytest.importorskip("array_api_strict")
    place = xp.Device("device1" if "second" in request.param else "CPU_DEVICE")
    return xp, lambda array: xp.asarray(array, device=place)


@pytest.mark.untraced
@pytest.mark.parametrize("output", ["identity", "sigmoid", "softmax"])
def test_xpnet_networks_are_right_and_left_alone(output):
    net = MLP([FEATURES, 5, 5, OUTPUTS], hidden=["relu", "sigmoid"], output=output, seed=3)
    before = [each.copy() for each in net.parameters]
    y = np.eye(OUTPUTS)[np.arange(M) % OUTPUTS]
    assert check_gradients(net, X, y, l2=0.1).ok
    assert check_gradients(net, X, y, loss="squared_error").ok
    assert all(np.array_equal(a, b) for a, b in zip(before, net.parameters, strict=True))


def scaled(hidden, weights, inputs, seed=0):
    """A network of a made-up size, its inputs and its targets."""
    x = np.random.default_rng(seed).standard_normal((32, 4))
    net = MLP([4, 6, 5, 1], hidden=hidden, output="sigmoid", seed=seed, dtype="float64")
    for each in net.weights:
        each[...] = 0.3 if weights == "equal" else weights * each
    return net, x * np.array(inputs), (x[:, 0] > 0).astype(float)


MIXED = [1.0, 1e4, 1.0, 1.0]
SCALES = [  # of the weights, and of the inputs
    *[(1.0, inputs) for inputs in (1e-4, 1.0, 100.0, MIXED)],
    ("equal", 1e-3), ("equal", MIXED), (0.0, 1e4), (1e-3, 1e4), (30.0, 1e-3), (30.0, 1e4),
    (1.0, 0.0),
]  # fmt: skip


@pytest.mark.untraced
@pytest.mark.parametrize("hidden", ["tanh", "relu", "sigmoid", "gelu", "selu"])
def test_a_right_gradient_is_never_called_wrong_whatever_the_scales(hidden):
    """Kinks and bends can lie closer together than a step."""
    for seed, (weights, inputs) in enumerate(SCALES):
        report = check_gradients(*scaled(hidden, weights, inputs, seed), samples=4)
        assert report.ok, (seed, report)


def test_a_gradient_of_rounding_errors_only_is_one_of_zeros():
    x, w = np.random.default_rng(0).standard_normal((6, 2)), {"w": np.ones(2), "b": np.zeros(1)}

    def gradients(p):
        error = x @ p["w"] + p["b"]
        return {"w": 2 * x.T @ error, "b": np.array([1e-17])}

    report = check_gradients(lambda p: np.sum((x @ p["w"] + p["b"]) ** 2), gradients, w)
    assert report.codes == ("gradient-zero",)
    assert report.findings[0].where == "b"


def test_a_loss_of_other_parameters_is_told_from_a_wrong_gradient():
    for loss in (lambda p: 1.5, lambda p: 0.0 * p["w"].sum()):  # such as of a factor 1 // m
        report = check_gradients(loss, lambda p: {"w": p["w"]}, {"w": np.ones(3)})
        assert report.codes == ("not-checked",)
        assert "let loss(parameters) use what it is given" in report.findings[0].remedy
        assert "1 // m" in report.findings[0].explanation


def test_gradients_that_change_the_parameters_are_refused():
    def gradients(p):
        found = {"w": 2 * p["w"]}
        p["w"] -= 0.1 * found["w"]
        return found

    with pytest.raises(InputError, match=r"gradients\(parameters\) changed w; "):
        check_gradients(lambda p: np.sum(p["w"] ** 2), gradients, {"w": np.ones(3)})
