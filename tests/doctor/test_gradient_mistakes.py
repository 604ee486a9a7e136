"""Which part of hand-written backpropagation the check blames, and what it takes for samples."""

import numpy as np
import pytest

from xpnet.doctor.gradcheck.check import check_gradients
from xpnet.doctor.gradcheck.mistakes import shape_mistake

RANDOM = np.random.default_rng(3)
M, UNITS = 30, 5
X = RANDOM.standard_normal((M, UNITS))
Y = np.eye(UNITS)[RANDOM.integers(0, UNITS, M)]
SHAPES = {"W1": (UNITS, UNITS), "b1": (UNITS,), "W2": (UNITS, UNITS), "b2": (UNITS,)}
START = {name: RANDOM.standard_normal(shape) for name, shape in SHAPES.items()}


def sigmoid(z):
    return 1.0 / (1.0 + np.exp(-z))


def forward(p):
    hidden = np.tanh(X @ p["W1"] + p["b1"])
    return hidden, sigmoid(hidden @ p["W2"] + p["b2"])


def loss(p):
    out = forward(p)[1]
    return -np.sum(Y * np.log(out) + (1 - Y) * np.log(1 - out)) / M


def gradients(p, factor=1.0, **change):
    """Right gradients but for a factor and what `change` replaces by a function of the rest."""
    hidden, out = forward(p)
    parts = {"p": p, "hidden": hidden, "out": out, "slope": 1 - hidden**2}
    delta2 = factor * (out - Y) / M
    delta1 = change.pop("delta1", lambda d, p, slope, **_: d @ p["W2"].T * slope)(delta2, **parts)
    parts |= {"delta1": delta1, "delta2": delta2}
    right = {"W1": X.T @ delta1, "b1": delta1.sum(axis=0), "W2": hidden.T @ delta2,
             "b2": delta2.sum(axis=0)}  # fmt: skip
    return right | {name: replaced(**parts) for name, replaced in change.items()}


def check(of=loss, start=None, **change):
    return check_gradients(of, lambda p: gradients(p, **change), start or START, batch_size=M)


def test_gradients_against_the_slope_may_belong_to_an_update_that_adds_them():
    (finding,) = check(factor=-1.0).findings
    assert finding.code == "gradient-sign"
    assert finding.where == "W1, b1, W2, b2"
    assert "factor -1" in finding.evidence
    assert finding.remedy == (
        "if the update subtracts it (W -= rate * gradient): delta = outputs - targets\n"
        "if the update adds it (W += rate * gradient): the code is right; hand -gradient to this "
        "check"
    )


def test_one_gradient_against_the_slope_has_its_sign_flipped_alone():
    (finding,) = check(b1=lambda delta1, **_: -delta1.sum(axis=0)).findings
    assert finding.code == "gradient-sign"
    assert finding.remedy == "flip the sign of the gradient of b1 alone"


def test_a_right_bias_acquits_delta_so_its_weights_alone_are_wrong():
    (finding,) = check(W2=lambda out, delta2, **_: out.T @ delta2).findings
    assert (finding.code, finding.where) == ("gradient-wrong", "W2")
    assert "inputs.T @ delta, with what the layer was given" in finding.remedy


@pytest.mark.parametrize(
    "delta1",
    [
        lambda d, p, slope, **_: d @ p["W2"] * slope,
        lambda d, p, slope, **_: d * slope,
        lambda d, p, **_: d @ p["W2"].T,
    ],
    ids=["weights not transposed", "weights left out", "no derivative"],
)
def test_a_wrong_delta_is_placed_in_its_layer_with_both_of_its_causes(delta1):
    (finding,) = check(delta1=delta1).findings
    assert finding.code == "gradient-activation-derivative"
    assert finding.where == "W1, b1"
    assert "or weights_next is left out or not transposed" in finding.explanation


@pytest.mark.parametrize("names", [("weights_hidden", "bias_hidden", "wo", "bo"),
                                   ("weights_hidden", "wo", "bias_hidden", "bo")])  # fmt: skip
def test_layers_are_told_from_names_without_numbers(names):
    own = dict(zip(("weights_hidden", "bias_hidden", "wo", "bo"), SHAPES, strict=True))

    def renamed(p):
        return {own[name]: each for name, each in p.items()}

    def wrong(p):
        found = gradients(renamed(p), delta1=lambda d, p, **_: d @ p["W2"].T)
        return {name: found[own[name]] for name in names}

    start = {name: START[own[name]] for name in names}
    report = check_gradients(lambda p: loss(renamed(p)), wrong, start)
    assert report.codes == ("gradient-activation-derivative",)
    assert set(report.findings[0].where.split(", ")) == {"weights_hidden", "bias_hidden"}


def one_layer(of):
    start = {"W": START["W1"], "b": START["b1"]}

    def output(p):
        return sigmoid(X @ p["W"] + p["b"])

    def right(p):
        delta = (output(p) - Y) / M
        return {"W": X.T @ delta, "b": delta.sum(axis=0)}

    return check_gradients(lambda p: of(output(p)), right, start)


def test_a_network_of_one_layer_has_no_hidden_derivative_to_blame():
    report = one_layer(lambda out: np.mean((out - Y) ** 4))
    assert report.codes == ("gradient-wrong",)
    assert "or mend the loss" in report.findings[0].remedy


def test_a_loss_that_lacks_a_minus_is_told_and_no_factor_is_made_up():
    report = one_layer(lambda out: np.mean(Y * np.log(out) - (1 - Y) * np.log(1 - out)) - 5.0)
    finding = next(each for each in report.findings if each.code != "gradient-scale")
    assert "lacks a minus: cross-entropy cannot be negative" in finding.remedy
    minus = one_layer(lambda out: np.mean(Y * np.log(out) + (1 - Y) * np.log(1 - out)))
    assert minus.codes == ("gradient-sign",)
    assert "or the loss, which is negative, lacks a minus" in minus.findings[0].remedy


@pytest.mark.parametrize(
    ("given", "shape", "axis", "remedy"),
    [
        ((5, 100), (5, 1), 1, "sum(axis=1, keepdims=True)"),
        ((1, 100), (1, 1), 1, "sum(axis=1, keepdims=True)"),
        ((5, 100), (5,), 1, "sum(axis=1)"),
        ((5, 5), (5, 1), 1, "sum(axis=1, keepdims=True)"),  # samples as columns, since b is one
        ((100, 1), (1, 1), 0, "sum(axis=0, keepdims=True)"),
        ((100, 5), (1, 5), 0, "sum(axis=0, keepdims=True)"),
        ((5, 5), (1, 5), 0, "sum(axis=0, keepdims=True)"),
        ((5, 5), (5,), 0, "sum(axis=0)"),
        ((100, 5), (5,), 0, "sum(axis=0)"),
        ((100,), (1,), 0, "sum(axis=0)"),
        ((100,), (), 0, "sum(axis=0)"),
    ],
)
def test_one_gradient_for_each_sample_is_summed_over_the_samples(given, shape, axis, remedy):
    gradient = np.random.default_rng(0).standard_normal(given)
    mended, (finding,) = shape_mistake("b1", gradient, shape)
    assert finding.code == "bias-per-sample"
    assert finding.remedy == f"gradient_of_b1 = delta.{remedy}"
    assert np.array_equal(mended, gradient.sum(axis=axis).reshape(shape))


def test_a_column_of_weights_is_not_called_a_bias():
    """Targets (m,) against outputs (m, 1) make inputs.T @ delta (inputs, m)."""
    mended, (finding,) = shape_mistake("W2", np.ones((5, 100)), (5, 1))
    assert mended is None
    assert finding.code == "gradient-shape"
    assert "sum over the samples, and give the targets the outputs' shape" in finding.remedy
