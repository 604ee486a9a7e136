"""Formulas and updates that single steps of a hand-written loop show to be wrong."""

import numpy as np
import pytest
from doctor_example import X
from hand_written_loop import FORWARD, RIGHT, THREE, network, sigmoid, softmax, train
from hypothesis import given
from hypothesis import strategies as st

from xpnet import Doctor
from xpnet.doctor.replay import Replay
from xpnet.doctor.run import Run
from xpnet.doctor.step import Step, same_names


def codes(report):
    return [each.code for each in report.findings if each.severity != "note"]


@pytest.mark.untraced
@pytest.mark.parametrize("hidden", ["tanh", "sigmoid", "relu"])
@pytest.mark.parametrize(("layers", "turned"), [((2, 8, 3), False), ((2, 6, 5, 3), True)])
def test_right_formulas_raise_no_alarm(hidden, layers, turned):
    report = train(hidden=hidden, layers=layers, turned=turned, steps=300, rate=0.5)
    assert report.findings == ()
    assert str(report) == "No findings: nothing wrong was measured."


@pytest.mark.untraced
@pytest.mark.parametrize(
    ("hidden", "slope", "form"),
    [
        ("sigmoid", lambda a: sigmoid(a) * (1 - sigmoid(a)), "sigmoid(a) * (1 - sigmoid(a))"),
        ("tanh", lambda a: 1 - np.tanh(a) ** 2, "1 - tanh(a)**2"),
        ("tanh", np.ones_like, "the derivative 1,"),
        ("relu", RIGHT["sigmoid"], "a * (1 - a)"),
        ("sigmoid", RIGHT["tanh"], "1 - a**2"),
    ],
)
@pytest.mark.parametrize(("layers", "turned"), [((2, 8, 3), False), ((2, 6, 5, 3), True)])
def test_a_derivative_of_another_form_is_named(hidden, slope, form, layers, turned):
    report = train(hidden=hidden, slope=slope, layers=layers, turned=turned)
    finding = report.findings[0]
    assert finding.code == "gradient-activation-derivative"
    assert finding.where == ", ".join(f"W{i}" for i in range(1, len(layers) - 1))  # all of them
    assert form in finding.evidence


def test_the_derivative_of_an_output_that_was_already_squashed():
    def product(x, a, delta):
        return x.T @ (delta * sigmoid(a) * (1 - sigmoid(a)) if a.shape[1] == 1 else delta)

    finding = train(layers=(2, 8, 1), output=sigmoid, product=product).findings[0]
    assert (finding.code, finding.where) == ("gradient-activation-derivative", "W2")


def test_losses_of_single_rows_are_compared_by_means_of_several():
    row, losses = Step(predictions=np.zeros((1, 1))), [0.1, 0.1, *[0.4, 0.1] * 18, 0.4, 0.4]
    start, end = Run(losses=losses, whole=[row]).loss_span()
    assert end < 1.3 * start


@given(st.integers(0, 10_000), st.sampled_from(["relu", "tanh", "sigmoid"]), st.floats(0.01, 3.0))
def test_a_right_backward_pass_is_never_called_wrong(seed, hidden, size):
    random = np.random.default_rng(seed)
    x, y = random.normal(size=(20, 4)), np.eye(3)[random.integers(3, size=20)]
    p = {"W1": size * random.normal(size=(4, 6)), "b1": random.normal(size=6),
         "W2": size * random.normal(size=(6, 3)), "b2": random.normal(size=3)}  # fmt: skip
    a = FORWARD[hidden](x @ p["W1"] + p["b1"])
    o = softmax(a @ p["W2"] + p["b2"])
    delta = o - y
    below = (delta @ p["W2"].T) * RIGHT[hidden](a)
    g = {"W1": x.T @ below, "b1": below.sum(axis=0), "W2": a.T @ delta, "b2": delta.sum(axis=0)}
    replay = Replay.of(Step(x, y, o, (a,), p, g))
    assert replay.mistake is None
    assert replay.deltas["identity"] == pytest.approx(1.0)
    assert hidden in replay.kinds[0]


@pytest.mark.parametrize(
    ("update", "sign", "evidence"),
    [
        (lambda name, g: 0.2 * g, 1.0, "the update adds the gradient (cosine 1.00"),
        (lambda name, g: -0.2 * g, -1.0, "the gradient comes from targets - outputs"),
    ],
)
def test_steps_up_the_loss_are_told_from_the_first_one(update, sign, evidence):
    def shown(given):
        gradients = {name: sign * each for name, each in given["gradients"].items()}
        return given | {"gradients": gradients}

    report = train(show=shown, update=lambda name, g: sign * update(name, g))
    assert report.codes[0] == "gradient-sign"
    assert evidence in report.findings[0].evidence


def test_gradients_that_are_not_cleared():
    assert "gradient-accumulated" in train(carry=1.0).codes
    assert "gradient-accumulated" not in train(carry=0.5).codes
    assert codes(train(carry=0.0, steps=300, rate=0.5)) == []


def test_an_update_that_divides_zero_by_zero():
    def adam_from_zero(name, g):
        with np.errstate(all="ignore"):
            return -0.01 * (0.1 * g / (1 - 0.9**0)) / np.sqrt(0.001 * g**2 / (1 - 0.999**0))

    report = train(update=adam_from_zero, steps=20)
    assert report.codes[0] == "non-finite"
    assert "count Adam's steps from 1" in report.findings[0].remedy


def test_a_parameter_that_the_update_leaves_out():
    report = train(update=lambda name, g: -0.5 * g * (name != "W2"), steps=300)
    finding = next(each for each in report.findings if each.code == "no-update")
    assert finding.where == "W2"
    assert finding.severity == "note"  # it learns all the same


def test_softmax_over_the_samples():
    report = train(output=lambda z: softmax(z, axis=0))
    assert report.codes[0] == "softmax-axis"
    assert "over the samples" in report.findings[0].evidence
    report = train(output=lambda z: np.exp(z) / np.sum(np.exp(z)))
    assert "over all samples and outputs together" in report.findings[0].evidence


def test_class_numbers_against_as_many_outputs():
    doctor, p = Doctor(), network()
    labels = THREE.argmax(axis=1)[:, None].astype(float)
    o = sigmoid(np.tanh(X @ p["W1"] + p["b1"]) @ p["W2"] + p["b2"])
    doctor.watch(loss=np.mean((o - labels) ** 2), predictions=o, targets=labels)
    assert doctor.report().codes[0] == "loss-broadcast"
    assert "outputs (300, 3) and targets (300, 1)" in doctor.report().findings[0].evidence


def test_gradients_may_be_called_by_their_own_names():
    assert train(names="d{}", slope=np.ones_like).codes == train(slope=np.ones_like).codes
    assert same_names({"grad_W1": 1, "db": 2, "dx": 3}, {"W1": 0, "b": 0}) == {
        "W1": 1, "b": 2, "dx": 3,
    }  # fmt: skip
    assert same_names({"dW": 1}, {"dW": 0}) == {"dW": 1}
    assert same_names({"W_grad": 1, "b.grad": 2}, {"W": 0, "b": 0}) == {"W": 1, "b": 2}


def test_a_few_columns_are_not_read_as_rows():
    """XOR with samples as columns and as many hidden units as samples."""
    x, y = np.array([[0.0, 0, 1, 1], [0, 1, 0, 1]]), np.array([[0.0, 1, 1, 0]])
    doctor, random = Doctor(), np.random.default_rng(0)
    w1, w2 = random.normal(size=(4, 2)), random.normal(size=(1, 4))
    for _ in range(2):
        h = np.tanh(w1 @ x)
        doctor.watch(inputs=x, targets=y, predictions=sigmoid(w2 @ h), activations=[h],
                     parameters={"W1": w1, "W2": w2})  # fmt: skip
    assert "constant-target" not in doctor.report().codes


def test_a_row_of_targets_against_a_column():
    doctor = Doctor()
    doctor.watch(targets=np.ones((5, 1)), predictions=np.full((1, 5), 0.2))
    finding = doctor.report().findings[0]
    assert (finding.code, finding.remedy.split("   ")[0]) == ("target-shape", "targets = targets.T")


def test_what_was_not_shown_is_told():
    doctor = Doctor()
    doctor.watch(loss=1.0)
    assert str(doctor.report()).endswith(
        "checked: parameters, gradients, activations, inputs, targets, predictions."
    )
    for _ in range(100):
        doctor.watch(loss=1.0)
    assert [(each.code, each.severity) for each in doctor.report().findings] == [
        ("loss-not-decreasing", "warning")
    ]


def test_a_running_sum_of_losses_is_no_rising_loss():
    losses = []

    def shown(given):
        losses.append(given["loss"])
        return given | {"loss": sum(losses)}

    finding = train(show=shown, steps=400, rate=0.8).findings[0]
    assert (finding.code, finding.severity) == ("loss-rising", "warning")
    assert finding.remedy.startswith("show the loss of each step")


def test_four_steps_that_learnt_nothing_are_not_called_well():
    assert str(train(steps=4, rate=1e-3)).startswith("No findings, but after 4 steps")


def test_a_training_that_was_too_short_is_told_so():
    report = train(steps=12, rate=0.02)
    finding = next(each for each in report.findings if each.code == "no-better-than-constant")
    assert finding.remedy == "train longer, or multiply the learning rate by 10"
    assert finding.repair == {"learning_rate": 0.2}


@pytest.mark.parametrize(
    "broken",
    [
        {"activations": ()},
        {"activations": (np.zeros((7, 8)),)},
        {"inputs": np.zeros((50, 5))},
        {"gradients": {}},
        {"parameters": {"W1": np.zeros((2, 8)), "W2": np.zeros((8, 3)), "b": np.zeros(8)}},
    ],
)
def test_what_does_not_fit_together_is_left_alone(broken):
    p, x, y = network(), X[:50], THREE[:50]
    a = np.tanh(x @ p["W1"] + p["b1"])
    o = softmax(a @ p["W2"] + p["b2"])
    below = (o - y) @ p["W2"].T  # without the derivative
    whole = {"inputs": x, "targets": y, "predictions": o, "activations": (a,), "parameters": p,
             "gradients": {"W1": x.T @ below, "W2": a.T @ (o - y)}}  # fmt: skip
    assert Replay.of(Step(**whole)).mistake
    assert not Replay.of(Step(**(whole | broken))).mistake


@pytest.mark.parametrize(
    ("mistake", "layers", "where", "product"),
    [
        ({"back": lambda delta, w: delta @ w}, (2, 3, 3, 3), "W2", "delta_next @ weights_next w"),
        ({"back": lambda delta, w: delta}, (2, 3, 3, 3), "W2", "delta_next with no weights"),
        ({"product": lambda x, a, delta: a.T @ delta if x.shape == a.shape else x.T @ delta},
         (2, 2, 3), "W1", "activations.T @ delta with those that leave"),
        ({"product": lambda x, a, delta: delta.T @ x if x.shape == a.shape else x.T @ delta},
         (2, 3, 3), "W2", "the transpose of inputs.T"),
    ],
)  # fmt: skip
def test_a_product_of_the_wrong_arrays_is_named(mistake, layers, where, product):
    finding = train(**mistake, layers=layers, hidden="sigmoid").findings[0]
    assert (finding.code, finding.where) == ("gradient-product", where)
    assert product in finding.evidence


def test_a_formula_for_activations_that_was_given_sums_is_named():
    def slope(a):
        z = np.log(a / (1.0 - a))
        return z * (1.0 - z)

    finding = train(hidden="sigmoid", slope=slope, steps=12, rate=1e-3).findings[0]
    assert finding.code == "gradient-activation-derivative"
    assert "the derivative z * (1 - z)" in finding.evidence


@pytest.mark.untraced
@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(
    ("form", "output"),
    [
        ("softmax(softmax(z))", lambda z: softmax(softmax(z))),
        ("softmax(sigmoid(z))", lambda z: softmax(sigmoid(z))),
        ("softmax(relu(z))", lambda z: softmax(np.maximum(z, 0.0))),
        ("sigmoid(tanh(z))", lambda z: sigmoid(np.tanh(z))),
    ],
)
def test_two_activations_in_a_row_on_the_outputs_are_named(form, output, turned):
    report = train(output=output, turned=turned)
    finding = next(each for each in report.findings if each.code == "output-activated-twice")
    assert f"they are {form}, with z" in finding.evidence


@pytest.mark.parametrize("output", [softmax, sigmoid, lambda z: softmax(3.0 * np.arctan(z))])
def test_one_activation_or_an_unknown_one_on_the_outputs_is_left_alone(output):
    assert "output-activated-twice" not in train(output=output).codes


@pytest.mark.parametrize("redraw_every", [1, 3])
def test_weights_drawn_anew_are_not_blamed_on_the_learning_rate(redraw_every):
    report = train(redraw_every=redraw_every, rate=0.1, layers=(2, 16, 3))
    assert report.findings[0].code == "weights-redrawn"
    assert "after step" in report.findings[0].evidence
    assert "learning-rate-too-large" not in report.codes


@pytest.mark.parametrize("name", ["W1", "W2"])
def test_weights_of_one_layer_that_are_drawn_anew_are_named(name):
    p, redrawn = network((2, 24, 3)), np.random.default_rng(0)

    def update(which, g):
        return redrawn.normal(0, 0.7, g.shape) - p[which] if which == name else -0.2 * g

    def shown(given):
        p.update(given["parameters"])
        return given

    first = train(update=update, show=shown, layers=(2, 24, 3), steps=100).findings[0]
    assert (first.code, first.where) == ("weights-redrawn", name)


def shown_with_penalty(given):
    p = given["parameters"]
    slopes = {n: g + 0.01 * p[n] * (p[n].ndim > 1) for n, g in given["gradients"].items()}
    return given | {"gradients": slopes}


@pytest.mark.untraced
def test_a_derivative_that_is_on_no_list_is_told_from_penalties_and_clipping():
    wrong = train(slope=lambda a: 1.0 - a, steps=100)
    assert wrong.codes == ("gradient-activation-derivative",)
    assert "no multiple of inputs.T @ delta with any usual derivative" in wrong.findings[0].evidence
    assert train(show=shown_with_penalty, steps=300, rate=0.5).findings == ()
    named = train(show=shown_with_penalty, slope=np.ones_like, steps=100).findings[0]
    assert "has the derivative 1," in named.evidence

    def clipped(given):
        return given | {"gradients": {n: np.clip(g, -0.05, 0.05)
                                      for n, g in given["gradients"].items()}}  # fmt: skip

    assert train(show=clipped, steps=300, rate=0.5).findings == ()


@pytest.mark.parametrize("rate", [1.0, 30.0, 1000.0])
def test_long_steps_along_the_gradient_are_no_new_weights(rate):
    assert "weights-redrawn" not in train(steps=40, rate=rate, layers=(2, 16, 3), batch=300).codes


def test_units_of_one_column_are_no_rows():
    doctor, weights = Doctor(), {"W": np.ones((5, 1)), "V": np.ones((1, 5))}
    doctor.watch(inputs=[[1.0]], targets=0.5, predictions=[[2.0]], parameters=weights,
                 activations=[np.ones((5, 1))])  # fmt: skip
    assert doctor.run.first.activations[0].shape == (1, 5)
