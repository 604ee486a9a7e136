"""The doctor in hand-written training loops."""

import itertools

import numpy as np
import pytest
from doctor_example import X, draw
from hand_written_loop import logistic, sigmoid, train

import xpnet
from xpnet import Doctor


@pytest.mark.untraced
@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(("batch", "steps", "rate"), [(1, 600, 0.1), (10, 600, 0.3), (300, 500, 1)])
def test_hand_written_and_right(batch, steps, rate, turned):
    report = train(batch=batch, steps=steps, rate=rate, turned=turned)
    assert report.findings == (), report
    assert report.facts["skill"] > 0.4


def test_a_loop_that_shows_only_its_loss():
    doctor = Doctor()
    for step in range(50):
        doctor.watch(loss=1.0 + 2.0**step)
    assert "diverged" in doctor.report().codes
    assert Doctor().report().findings == ()


@pytest.mark.parametrize("rows", [1, 5, 20])
def test_some_rows_of_the_training_data_are_no_drift(rows):
    random = draw()
    x = np.c_[X, random.random(300) < 0.01]  # a rare 1, which few rows may have
    for _ in range(20):
        doctor = Doctor()
        doctor.watch(inputs=x)
        doctor.watch_prediction(x[random.integers(300, size=rows)])
        assert "prediction-drift" not in doctor.report().codes
    doctor.watch_prediction(10.0 * x[:rows] + 20.0)
    assert "prediction-drift" in doctor.report().codes


def test_inputs_of_a_network_without_biases_are_not_to_be_centred():
    doctor = Doctor()
    doctor.watch(inputs=100.0 * X, parameters={"W1": np.ones((2, 3))})
    remedy = next(f for f in doctor.report().findings if f.code == "unscaled-inputs").remedy
    assert remedy == "x = x / x_train.std(axis=0)   # and give each layer a bias"


def as_vectors(given):
    """Show one sample as vectors, and what is one number as that."""

    def plain(array):
        return np.squeeze(array) if array.size > 1 else float(array.item())

    return given | {
        "activations": [plain(each) for each in given["activations"]],
        **{name: plain(given[name]) for name in ("inputs", "targets", "predictions")},
        "parameters": {name: plain(each) for name, each in given["parameters"].items()},
        "gradients": {name: plain(each) for name, each in given["gradients"].items()},
    }


@pytest.mark.untraced
def test_hand_written_sample_by_sample():
    """Vectors, with a number as last bias and as output, are the same as batches of one."""
    alone = {"layers": (2, 12, 1), "output": sigmoid, "batch": 1, "steps": 600, "rate": 0.1}
    report, rows = train(**alone, show=as_vectors), train(**alone)
    assert report.findings == rows.findings == ()
    assert report.facts.pop("not_shown") == rows.facts.pop("not_shown") == []
    assert report.facts == pytest.approx(rows.facts)
    short = train(**alone | {"steps": 100, "rate": 1e-6}, show=as_vectors)
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


@pytest.mark.untraced
def test_steps_are_too_short_as_long_as_the_loss_falls_however_far_they_have_led(monkeypatch):
    monkeypatch.setattr("xpnet.doctor.rules.updates.FAR", 0.0)
    report = train(steps=4000, rate=3e-5)
    assert report.codes[0] == "learning-rate-too-small"
    assert report.findings[0].repair["learning_rate"] == pytest.approx(3e-3)


def test_steps_that_lead_to_and_fro_are_not_too_short():
    ways = itertools.cycle([0.004] * 4 + [-0.004] * 4)  # of 4 parameters
    report = train(update=lambda name, g: next(ways) * np.ones_like(g), steps=400)
    assert not report.ok
    assert "learning-rate-too-small" not in report.codes


def test_an_update_that_is_not_applied_is_no_small_learning_rate():
    zero, shown = {"w": np.zeros((3, 1)), "b": np.zeros(1)}, {"learning_rate": 0.1}
    for report in (train(update=lambda name, g: 0.0), logistic(zero, rate=0.0, show=shown)):
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


@pytest.mark.parametrize("shape", [(200, 1), (200, 2), (200, 3), (200,)])
@pytest.mark.parametrize(
    "targets", [np.round(3 * draw().normal(size=200)), np.tile([-1.0, 1.0], 100)],
    ids=["many", "-1, 1"],
)  # fmt: skip
def test_whole_numbers_are_no_class_numbers(targets, shape):
    doctor = Doctor()
    doctor.watch(targets=targets, predictions=draw().standard_normal(shape))
    assert "class-numbers" not in doctor.report().codes
