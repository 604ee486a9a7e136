"""Formulas and updates that single steps of a hand-written loop show to be wrong."""

from itertools import pairwise

import numpy as np
import pytest
from doctor_example import X, Y, draw
from hypothesis import given, settings
from hypothesis import strategies as st

import xpnet
from xpnet import Doctor
from xpnet.observations import Snapshot, same_names
from xpnet.seen_steps import Replay, Update
from xpnet.seen_targets import SeenTargets

THREE = np.eye(3)[(X[:, 0] > 0.4).astype(int) + (X[:, 1] > 0.4)]


def sigmoid(z):
    return 1.0 / (1.0 + np.exp(-z))


FORWARD = {"tanh": np.tanh, "sigmoid": sigmoid, "relu": lambda z: np.maximum(z, 0.0),
           "linear": lambda z: z}  # fmt: skip
RIGHT = {"tanh": lambda a: 1.0 - a**2, "sigmoid": lambda a: a * (1.0 - a),
         "relu": lambda a: 1.0 * (a > 0), "linear": np.ones_like}  # fmt: skip


def softmax(z, axis=1):
    e = np.exp(z - z.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def network(layers=(2, 8, 3), seed=3):
    random, p = np.random.default_rng(seed), {}
    for i, shape in enumerate(pairwise(layers), 1):
        p[f"W{i}"], p[f"b{i}"] = random.normal(0, 0.7, shape), 0.1 * random.normal(size=shape[1])
    return p


def train(
    doctor=None, *, hidden="tanh", slope=None, output=softmax, update=None, carry=0.0, steps=60,
    batch=50, rate=0.2, layers=(2, 8, 3), names="{}", turned=False, x=X, y=THREE,
):  # fmt: skip
    """Train by hand with cross-entropy, perhaps wrong ones of these; return the report."""
    doctor, p, random = doctor or Doctor(), network(layers), draw()
    slope, before, last = slope or RIGHT[hidden], {}, len(layers) - 1
    for _ in range(steps):
        rows = random.permutation(len(x))[:batch]
        a, t = [x[rows]], y[rows]
        for i in range(1, last):
            a.append(FORWARD[hidden](a[-1] @ p[f"W{i}"] + p[f"b{i}"]))
        o = output(a[-1] @ p[f"W{last}"] + p[f"b{last}"])
        delta, g = (o - t) / len(rows), {}
        for i in range(last, 0, -1):
            g[f"W{i}"], g[f"b{i}"] = a[i - 1].T @ delta, delta.sum(axis=0)
            delta = (delta @ p[f"W{i}"].T) * slope(a[i - 1])
        g = {name: g[name] + carry * before.get(name, 0.0) for name in p}
        before = g
        shown = {"inputs": a[0], "targets": t, "predictions": o}
        if turned:  # samples as columns, weights (units, inputs)
            shown = {name: each.T for name, each in shown.items()}
        doctor.watch(
            **shown, loss=-np.mean(np.log(np.sum(o * t, axis=1) + 1e-300)), learning_rate=rate,
            parameters={n: q.T if turned else q.copy() for n, q in p.items()},
            gradients={names.format(n): q.T if turned else q for n, q in g.items()},
            activations=[each.T if turned else each for each in a[1:]],
        )  # fmt: skip
        for name in p:
            step = -rate * g[name] if update is None else update(name, g[name])
            p[name] = p[name] + step
    return doctor.report()


def codes(report):
    return [each.code for each in report.findings if each.severity != "note"]


@pytest.mark.parametrize("hidden", ["tanh", "sigmoid", "relu"])
@pytest.mark.parametrize("layers", [(2, 8, 3), (2, 6, 5, 3)])
@pytest.mark.parametrize("turned", [False, True])
def test_right_formulas_raise_no_alarm(hidden, layers, turned):
    report = train(hidden=hidden, layers=layers, turned=turned, steps=300, rate=0.5)
    assert report.findings == ()
    assert str(report) == "No findings: nothing wrong was measured."


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
@pytest.mark.parametrize("layers", [(2, 8, 3), (2, 6, 5, 3)])
@pytest.mark.parametrize("turned", [False, True])
def test_a_derivative_of_another_form_is_named(hidden, slope, form, layers, turned):
    report = train(hidden=hidden, slope=slope, layers=layers, turned=turned)
    finding = report.findings[0]
    assert finding.code == "gradient-activation-derivative"
    assert finding.where == f"W{len(layers) - 2}"
    assert form in finding.evidence


def test_the_derivative_of_an_output_that_was_already_squashed():
    p, doctor = network((2, 8, 1)), Doctor()
    a = sigmoid(X @ p["W1"] + p["b1"])
    o = sigmoid(a @ p["W2"] + p["b2"])
    delta = (o - Y[:, None]) * sigmoid(o) * (1 - sigmoid(o)) / len(X)
    g = {"W2": a.T @ delta, "b2": delta.sum(axis=0)}
    doctor.watch(inputs=X, targets=Y[:, None], predictions=o, activations=[a], parameters=p,
                 gradients=g)  # fmt: skip
    finding = doctor.report().findings[0]
    assert (finding.code, finding.where) == ("gradient-activation-derivative", "W2")


@settings(max_examples=60, deadline=None)
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
    replay = Replay.of(Snapshot(x, y, o, (a,), p, g))
    assert replay.wrong is None
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
    doctor = Doctor()
    watch = doctor.watch

    def shown(**given):
        given["gradients"] = {name: sign * each for name, each in given["gradients"].items()}
        watch(**given)

    doctor.watch = shown
    report = train(doctor, update=lambda name, g: sign * update(name, g))
    assert report.codes[0] == "gradient-sign"
    assert evidence in report.findings[0].evidence


def test_adding_a_negative_gradient_is_right():
    doctor = Doctor()
    watch = doctor.watch

    def shown(**given):
        given["gradients"] = {name: -each for name, each in given["gradients"].items()}
        watch(**given)

    doctor.watch = shown
    assert codes(train(doctor, steps=300, rate=0.5)) == []


def test_gradients_that_are_not_cleared():
    assert "gradient-accumulated" in train(carry=1.0).codes
    assert "gradient-accumulated" not in train(carry=0.5).codes
    assert codes(train(carry=0.0, steps=300, rate=0.5)) == []


def test_an_update_that_divides_zero_by_zero():
    def adam_from_zero(name, g):
        with np.errstate(all="ignore"):
            return -0.01 * (0.1 * g / (1 - 0.9**0)) / np.sqrt(0.001 * g**2 / (1 - 0.999**0))

    report = train(update=adam_from_zero, steps=20)
    assert report.codes[0] == "update-not-finite"
    assert "finite at step 0" in report.findings[0].evidence


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


def test_hidden_layers_without_an_activation():
    report = train(hidden="linear", steps=300, rate=0.5)
    finding = next(each for each in report.findings if each.code == "linear-hidden-layer")
    assert finding.where == "hidden layer 1"


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
    doctor, total = Doctor(), [0.0]
    watch = doctor.watch

    def summed(**given):
        total[0] += given.pop("loss")
        watch(loss=total[0], **given)

    doctor.watch = summed
    finding = train(doctor, steps=400, rate=0.8).findings[0]
    assert (finding.code, finding.severity) == ("loss-rising", "warning")
    assert finding.remedy.startswith("show the loss of each step")


def test_a_training_that_was_too_short_is_told_so():
    report = train(steps=12, rate=0.02)
    finding = next(each for each in report.findings if each.code == "no-better-than-constant")
    assert finding.remedy == "train longer, or multiply the learning rate by 10"
    assert finding.repair == {"learning_rate": 0.2}


def test_a_hinge_loss_may_take_the_values_far():
    values, y = np.linspace(-9, 9, 50)[:, None], np.sign(np.linspace(-9, 9, 50))[:, None]
    assert Snapshot(targets=y, predictions=values).skill > 0.8
    assert Snapshot(targets=y, predictions=-values).skill < 0.0


def test_images_are_flattened():
    doctor = Doctor()
    doctor.watch(inputs=np.zeros((5, 8, 8)), targets=np.ones(5), predictions=np.ones(5))
    assert doctor.report().facts["steps"] == 1


def test_evaluation_batches_may_be_shown_in_between():
    """They have no parameters, which are compared with those of the next step that has."""
    doctor, w = Doctor(), np.ones((2, 1))
    for step in range(12):
        doctor.watch(parameters={"W": w - 0.01 * step}, gradients={"W": w}, loss=1.0 / (1 + step))
        doctor.watch(predictions=np.zeros((5, 1)), targets=np.arange(5.0)[:, None])
    assert doctor.report().facts["steps"] == 24


def test_ascent_of_what_should_grow_is_no_mistake():
    """The gradient of -loss, added; with weights on the rows no form of it is known."""
    random, doctor = draw(), Doctor()
    x, w = random.normal(size=(64, 3)), np.zeros((3, 1))
    y, rows = np.sign(x[:, :1]), random.uniform(0.1, 3.0, size=(64, 1))
    for _ in range(8):
        o = x @ w
        g = x.T @ (rows * (y - o)) / 64
        doctor.watch(loss=np.mean(rows * (y - o) ** 2), parameters={"W": w}, gradients={"W": g},
                     predictions=o, targets=y, inputs=x)  # fmt: skip
        w = w + 0.001 * g
    assert "gradient-sign" not in doctor.report().codes


def test_errors_of_one_sign_are_no_shared_error():
    """The derivative of the mean absolute error is then the same number for all samples."""
    p, doctor, targets = network((2, 8, 1)), Doctor(), 50.0 + X[:, :1]
    a = np.tanh(X @ p["W1"] + p["b1"])
    o = a @ p["W2"] + p["b2"]
    delta = np.sign(o - targets) / len(X)
    doctor.watch(inputs=X, targets=targets, predictions=o, activations=[a], parameters=p,
                 gradients={"W2": a.T @ delta, "b2": delta.sum(axis=0)})  # fmt: skip
    assert "gradient-wrong" not in doctor.report().codes


@pytest.mark.parametrize("shown", ["parameters", "nothing"])
def test_softmax_of_columns_is_known_without_the_inputs(shown):
    """Probabilities (outputs, batch), with weights (outputs, units), or with nothing to tell."""
    o, doctor = softmax(draw().normal(size=(3, 20)), axis=0), Doctor()
    parameters = {"W": draw().normal(size=(3, 8))} if shown == "parameters" else {}
    doctor.watch(predictions=o, targets=np.eye(3)[:, draw().integers(3, size=20)],
                 parameters=parameters)  # fmt: skip
    assert "softmax-axis" not in doctor.report().codes


def test_batches_that_are_gathered_for_one_update():
    doctor, p, total, random = Doctor(), network(), {}, draw()
    for step in range(8):
        rows = random.permutation(len(X))[:40]
        a = np.tanh(X[rows] @ p["W1"] + p["b1"])
        o = softmax(a @ p["W2"] + p["b2"])
        g = {"W2": a.T @ (o - THREE[rows]) / 40}
        total = g if step % 4 == 0 else {"W2": total["W2"] + g["W2"]}
        doctor.watch(inputs=X[rows], targets=THREE[rows], predictions=o, activations=[a],
                     parameters={n: q.copy() for n, q in p.items()}, gradients=total)  # fmt: skip
        p["W2"] -= (step % 4 == 3) * 0.1 * total["W2"]
    assert "gradient-accumulated" not in doctor.report().codes


def test_several_outputs_for_one_number_are_no_class_numbers():
    values, heads = draw().normal(size=(30, 1)), draw().normal(size=(30, 3))
    doctor = Doctor()
    doctor.watch(loss=np.mean((heads - values) ** 2), predictions=heads, targets=values)
    assert "loss-broadcast" not in doctor.report().codes


def test_activations_alone_take_no_more_memory_than_other_rows():
    doctor = Doctor()
    for _ in range(300):
        doctor.watch(activations=[np.ones((50, 2))])
    assert sum(map(len, doctor._pieces["last"])) < 200
    assert sum(map(len, doctor._pieces["first"])) <= 50
    with pytest.raises(xpnet.InputError, match=r"activations is one array of shape \(50, 2\)"):
        doctor.watch(activations=np.ones((50, 2)))


def test_the_targets_of_a_long_run_are_looked_at_less_and_less_often():
    seen = SeenTargets(differ=True)
    assert sum(map(seen.wants, range(100_000))) < 5_000
    assert all(map(seen.wants, range(500)))
    assert all(map(SeenTargets(differ=False).wants, range(5_000)))  # until two targets differ


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
    assert Replay.of(Snapshot(**whole)).wrong == ("W1", "1", "1 - a**2")
    assert Replay.of(Snapshot(**(whole | broken))).wrong is None


def test_updates_of_other_shapes_or_of_none_have_no_direction():
    w = np.ones((2, 2))
    assert Update.of(0, {"w": w}, {"w": w}, {"w": w}).cosines == {}
    assert Update.of(0, {"w": w}, {"w": w[0]}, {"w": 2 * w}).cosines == {}
    assert Update.of(0, {"w": w}, {"w": w}, {"w": 2 * w}).cosines == {"w": pytest.approx(1.0)}
    assert Update.of(3, {"w": w}, {"w": 1e300 * w}, {"w": np.nan * w}).broken == ()
    assert Update.of(3, {"w": w}, {"w": w}, {"w": np.nan * w}).broken == ("w",)


def test_a_loss_of_other_parameters_is_refused():
    def loss(parameters):
        return 1.5

    with pytest.raises(xpnet.InputError, match=r"gives 1\.5 whatever the parameters are"):
        xpnet.check_gradients(loss, lambda p: {"w": p["w"]}, {"w": np.ones(3)})
    flat = xpnet.check_gradients(lambda p: 0.0 * p["w"].sum(), lambda p: {"w": 0 * p["w"]},
                                 {"w": np.ones(3)})  # fmt: skip
    assert flat.ok


def test_gradients_that_change_the_parameters_are_refused():
    def gradients(p):
        found = {"w": 2 * p["w"]}
        p["w"] -= 0.1 * found["w"]
        return found

    with pytest.raises(xpnet.InputError, match=r"gradients\(parameters\) changed w; "):
        xpnet.check_gradients(lambda p: np.sum(p["w"] ** 2), gradients, {"w": np.ones(3)})
