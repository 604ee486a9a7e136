"""The doctor in hand-written training loops."""

import itertools

import numpy as np
import pytest
from doctor_example import X, Y, draw
from hand_written_loop import sigmoid, softmax, train

import xpnet
from xpnet import Doctor


def as_number(array):
    return array if array.size > 1 else float(array.reshape(-1)[0])


FORMS = {  # of samples and of parameters
    "rows": (np.asarray, np.asarray), "columns": (np.transpose, np.transpose),
    "vectors": (np.squeeze, as_number),
}  # fmt: skip


def train_by_hand(doctor, *, rate=0.5, steps=300, batch=300, form="rows", start=None):
    """A 2-12-1 tanh, sigmoid network in NumPy, watched at every step."""
    random = np.random.default_rng(4)
    p = {
        "W1": random.normal(0, 0.7, (2, 12)), "b1": np.zeros(12),
        "W2": random.normal(0, 0.3, (12, 1)), "b2": np.zeros(1),
    }  # fmt: skip
    p |= start or {}
    for step in range(steps):
        rows = np.arange(step * batch, (step + 1) * batch) % len(X)
        x, y = X[rows], Y[rows, None]
        a = np.tanh(x @ p["W1"] + p["b1"])
        out = 1 / (1 + np.exp(-(a @ p["W2"] + p["b2"])))
        loss = np.mean((out - y) ** 2)
        delta2 = 2 * (out - y) * out * (1 - out) / batch
        delta1 = delta2 @ p["W2"].T * (1 - a**2)
        g = {
            "W1": x.T @ delta1, "b1": delta1.sum(axis=0), "W2": a.T @ delta2,
            "b2": delta2.sum(axis=0),
        }  # fmt: skip
        turn, of_parameters = FORMS[form]
        doctor.watch(
            loss=loss, parameters={n: of_parameters(v) for n, v in p.items()},
            gradients={n: of_parameters(v) for n, v in g.items()}, activations=[turn(a)],
            predictions=turn(out), targets=turn(y), inputs=turn(x), learning_rate=rate,
        )  # fmt: skip
        p = {name: p[name] - rate * g[name] for name in p}
    return doctor.report()


@pytest.mark.parametrize(
    ("batch", "form"),
    [(1, "rows"), (1, "columns"), (10, "rows"), (10, "columns"), (300, "rows"), (300, "columns")],
)
def test_hand_written_and_right(batch, form):
    rate, steps = {1: (0.5, 1200), 10: (2.0, 600), 300: (6.0, 500)}[batch]
    report = train_by_hand(Doctor(), rate=rate, steps=steps, batch=batch, form=form)
    assert report.findings == (), report
    assert report.facts["skill"] > 0.4


def test_one_error_for_all_samples_is_told_from_samples_that_look_alike():
    """Equal weights and saturated units: proper errors give the same direction, too."""
    equal = {"W1": np.full((2, 12), 0.3), "W2": np.full((12, 1), 0.3)}
    assert "gradient-wrong" not in train_by_hand(Doctor(), start=equal).codes
    large = {"W1": draw().standard_normal((2, 12)) * 1e3, "W2": draw().standard_normal((12, 1))}
    assert "gradient-wrong" not in train_by_hand(Doctor(), start=large).codes


def test_a_loop_that_shows_only_its_loss():
    doctor = Doctor()
    for step in range(50):
        doctor.watch(loss=1.0 + 2.0**step)
    assert "diverged" in doctor.report().codes
    assert Doctor().report().findings == ()


def test_inputs_of_another_width_at_prediction_are_refused():
    doctor = Doctor()
    train_by_hand(doctor, steps=3)
    with pytest.raises(xpnet.InputError, match="pass 2 for each sample, as in training"):
        doctor.watch_prediction([[1.0, 2.0, 3.0]])


def test_hand_written_sample_by_sample():
    """Vectors, with a number as last bias and as output, are the same as batches of one."""
    report, one = (
        train_by_hand(Doctor(), rate=0.5, steps=1200, batch=1, form=form)
        for form in ("vectors", "rows")
    )
    assert report.findings == one.findings == ()
    facts = one.facts
    assert report.facts.pop("not_shown") == facts.pop("not_shown") == []
    unchecked = {"overfitting": "validation_loss"}
    assert report.facts.pop("not_checked") == facts.pop("not_checked") == unchecked
    assert report.facts == pytest.approx(facts)
    short = train_by_hand(Doctor(), steps=100, rate=1e-6, batch=1, form="vectors")
    assert "learning-rate-too-small" in short.codes


@pytest.mark.parametrize(
    ("batches", "expected"),
    [
        ([[3] * 30] * 2, ("constant-target",)),
        ([[3]] * 50, ("constant-target",)),
        ([[3] * 300], ()),  # one batch
        ([[3] * 4] * 10, ()),  # few rows
        ([[3] * 30] * 9 + [[3] * 29 + [4]], ()),
        ([[3] * 30] * 9 + [[4] * 30], ("unshuffled-rows",)),
    ],
)
def test_one_target_in_all_batches_that_were_watched(batches, expected):
    doctor = Doctor()
    for targets in batches:
        doctor.watch(targets=np.array(targets, dtype=float)[:, None])
    assert doctor.report().codes == expected


@pytest.mark.parametrize(
    ("parameter", "gradient", "expected"),
    [
        ((2, 2), (2, 3), ("gradient-shape",)),
        ((3, 2), (2, 3), ("gradient-shape",)),
        ((4,), (), ("gradient-shape",)),
        ((4,), (1, 4), ()),
        ((1, 4), (4,), ()),
        ((), (1, 1), ()),
    ],
)
def test_gradients_that_are_not_of_their_parameter(parameter, gradient, expected):
    doctor = Doctor()
    doctor.watch(parameters={"b": np.ones(parameter)}, gradients={"b": np.ones(gradient)})
    assert doctor.report().codes == expected


@pytest.mark.parametrize(
    ("targets", "predictions", "expected"),
    [
        ((7,), (5, 1), ("target-shape",)),
        ((7, 1), (5, 1), ("target-shape",)),
        ((7,), (5, 3), ("target-shape",)),
        ((7,), (7, 3), ()),  # class numbers
        ((7,), (3, 7), ()),  # samples as columns
        ((1, 7), (3, 7), ()),
        ((), (3,), ()),  # one sample
    ],
)
def test_targets_of_other_samples(targets, predictions, expected):
    doctor = Doctor()
    doctor.watch(targets=np.ones(targets), predictions=np.full(predictions, 0.2))
    assert doctor.report().codes == expected


def test_a_bias_that_becomes_a_row_of_the_same_size_is_well():
    """``b - rate * delta.sum(axis=0, keepdims=True)`` is (1, 12) from then on."""
    doctor = Doctor()
    for shape in ((12,), (1, 12), (1, 12)):
        doctor.watch(parameters={"b1": np.zeros(shape)}, gradients={"b1": np.zeros((1, 12))})
    assert doctor.report().findings == ()


def test_six_points_that_cannot_be_learnt_by_heart():
    doctor, x = Doctor(), np.array([[3, 4], [2, 6], [1, 6], [1, 1], [2, 1], [3, 1]]) / 3.0
    y = np.array([[0], [0], [0], [1], [1], [1.0]])
    for _ in range(600):
        doctor.watch(loss=0.25, predictions=np.full((6, 1), 0.5), targets=y, inputs=x)
    assert "cannot-overfit-one-batch" in doctor.report().codes


SEEN = {
    "loss": 0.7, "validation_loss": 0.7, "targets": np.r_[np.zeros(58), np.ones(2)],
    "predictions": np.full((60, 1), 0.5), "inputs": np.random.default_rng(0).normal(size=(60, 2)),
    "activations": [np.full((60, 3), 0.5), np.full((60, 3), 0.1)],
    "parameters": {"W1": np.ones((2, 3)), "b1": np.zeros(3)},
    "gradients": {"W1": np.ones((2, 3)), "b1": np.zeros(3)}, "learning_rate": 0.1,
}  # fmt: skip


@pytest.mark.parametrize("hidden", [(), ("tanh",)])
@pytest.mark.parametrize("size", [1, 2, 3, len(SEEN)])
def test_any_subset_can_be_watched(size, hidden):
    for names in itertools.combinations(SEEN, size):
        doctor = xpnet.Doctor(hidden=hidden)
        for _ in range(6):
            doctor.watch(**{name: SEEN[name] for name in names})
        assert str(doctor.report())


def as_classes(first=0, logits=False):
    """Return what shows class numbers from `first` on, perhaps with logits."""

    def shown(given):
        labels, outputs = first + np.argmax(given["targets"], axis=1), given["predictions"]
        return given | {"targets": labels, "predictions": np.log(outputs) if logits else outputs}

    return shown


@pytest.mark.parametrize("logits", [False, True])
def test_logits_are_as_good_as_probabilities(logits):
    report = train(show=as_classes(logits=logits), steps=300, rate=0.5)
    assert report.ok, report
    assert report.facts["skill"] > 0.8


def test_classes_that_are_counted_from_one_are_found():
    report = train(show=as_classes(first=1))
    assert report.codes[0] == "class-numbers"
    assert "class numbers from 1 to 3, but the 3 outputs" in report.findings[0].evidence


def test_an_update_that_is_not_applied_is_no_small_learning_rate():
    report = train(update=lambda name, g: 0.0)
    assert report.codes[0] == "no-update"
    assert "learning-rate-too-small" not in report.codes


def test_a_layer_that_gives_nothing_is_dead_and_no_saturated_sigmoid():
    doctor, random = Doctor(), np.random.default_rng(0)
    for _ in range(20):
        x = random.standard_normal((50, 3))
        doctor.watch(predictions=np.full((50, 1), 0.5), targets=(x[:, :1] > 0) * 1.0, inputs=x,
                     activations=[np.zeros((50, 8))], loss=0.7)  # fmt: skip
    codes = doctor.report().codes
    assert "dead-units" in codes
    assert "saturated-units" not in codes


def codes_of_values(targets, outputs, flat):
    """Return the codes for targets, (200,), and linear outputs."""
    values, doctor = draw().standard_normal((200, outputs)), Doctor()
    doctor.watch(targets=targets, predictions=values[:, 0] if flat else values)
    return doctor.report().codes


@pytest.mark.parametrize(("outputs", "flat"), [(1, False), (2, False), (3, False), (1, True)])
@pytest.mark.parametrize(
    "targets", [np.round(3 * draw().normal(size=200)), np.tile([-1.0, 1.0], 100)],
    ids=["many", "-1, 1"],
)  # fmt: skip
def test_whole_numbers_are_no_class_numbers(targets, flat, outputs):
    assert "class-numbers" not in codes_of_values(targets, outputs, flat)


def test_one_and_two_are_class_numbers_of_two_outputs_only():
    targets = np.tile([1.0, 2.0], 100)
    for outputs, flat in [(1, False), (3, False), (1, True)]:
        assert "class-numbers" not in codes_of_values(targets, outputs, flat)
    assert "class-numbers" in codes_of_values(targets, 2, flat=False)


def linear(x, y, w, outputs, loss, *, rate=2.0, logits=True):
    """Train sums z = x @ w by hand to give outputs(z); return the doctor."""
    doctor = Doctor()
    for _ in range(200):
        z = x @ w
        slope = x.T @ (outputs(z) - y) / len(x)
        doctor.watch(loss=loss(z, w), parameters={"w": w}, gradients={"w": slope}, targets=y,
                     inputs=x, predictions=z if logits else outputs(z))  # fmt: skip
        w = w - rate * slope
    return doctor


@pytest.mark.parametrize("classes", [3, 10])
@pytest.mark.parametrize("size", [0.0, 0.3])
def test_probabilities_that_start_alike_are_no_logits(classes, size):
    x = draw().standard_normal((500, classes))
    y, w = np.eye(classes)[np.argmax(x, axis=1)], size * draw().standard_normal((classes, classes))
    doctor = linear(x, y, w, softmax, logits=False, loss=lambda z, w: -np.mean(
        np.log(np.sum(softmax(z) * y, axis=1))))  # fmt: skip
    assert doctor.run.logits == ""
    assert doctor.report().facts["skill"] > 0.7
    assert not [each for each in doctor.report().findings if each.severity == "error"]


@pytest.mark.parametrize(("labels", "penalty"), [(1, 0.0), (3, 0.0), (3, 0.1)])
def test_logits_with_or_without_a_penalty_are_judged_as_probabilities(labels, penalty):
    x = draw().standard_normal((300, 4))
    y, w = (x[:, :labels] > 0).astype(float), 0.3 * draw().standard_normal((4, labels))
    doctor = linear(x, y, w, sigmoid, rate=1.0, loss=lambda z, w: penalty * np.sum(w**2) + np.mean(
        np.sum(np.logaddexp(0, z) - z * y, axis=1)))  # fmt: skip
    assert doctor.run.logits == ("" if penalty else "sigmoid")
    assert penalty or doctor.report().ok


def test_weights_that_stay_at_zero_are_not_updated():
    random, doctor = np.random.default_rng(0), Doctor()
    for _ in range(50):
        x = random.standard_normal((32, 3))
        y = x.sum(axis=1, keepdims=True)
        doctor.watch(loss=np.mean(y**2), parameters={"W": np.zeros((3, 1))}, targets=y, inputs=x,
                     gradients={"W": -2 * x.T @ y / 32}, predictions=0 * y)  # fmt: skip
    assert doctor.report().codes[0] == "no-update"
