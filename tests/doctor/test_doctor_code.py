"""Mistakes of hand-written loops that the arrays show: shapes, types, losses, batches, names."""

import numpy as np
import pytest
from hand_written_loop import POINTS as X
from hand_written_loop import SIDES as Y
from hand_written_loop import logistic, sigmoid, train

from xpnet import Doctor
from xpnet.doctor.step import is_bias

RANDOM = np.random.default_rng(1)
SIMPLE = {"w": np.zeros(3), "b": np.zeros(1)}


def test_the_weights_of_a_single_unit_may_be_a_vector():
    assert logistic(SIMPLE, rate=1.0).findings == ()
    finding = logistic(SIMPLE, sign=-1.0).findings[0]
    assert (finding.code, finding.where) == ("gradient-sign", "w, b")


@pytest.mark.parametrize("shape", [(3,), (3, 1)])
def test_short_steps_from_zero_are_short_and_not_long(shape):
    report = logistic({"w": np.zeros(shape), "b": np.zeros(1)}, rate=1e-9)
    assert report.findings[0].code == "learning-rate-too-small"
    assert "60 steps moved the weights from 0 to" in report.findings[0].evidence
    assert report.findings[0].repair["learning_rate"] > 1e-9
    assert "learning-rate-too-large" not in report.codes


def test_a_loss_that_is_no_number_beside_good_predictions_is_a_fault_of_the_loss():
    report = logistic(SIMPLE, rate=1.0, loss=lambda *terms: np.nan)
    assert report.codes == ("non-finite",)
    assert report.findings[0].severity == "warning"
    assert "numpy.clip" in report.findings[0].remedy


@pytest.mark.parametrize("turned", [False, True])
def test_one_output_for_several_columns_of_targets(turned):
    t = np.eye(4)[:, :3][[0, 1, 2] * 20]
    shown = {"inputs": X, "predictions": 0.9 * Y, "targets": t}
    shown = {name: each.T if turned else each for name, each in shown.items()}
    doctor = Doctor()
    doctor.watch(**shown, loss=np.mean((0.9 * Y - t) ** 2))
    finding = doctor.report().findings[0]
    assert (finding.code, finding.severity) == ("target-shape", "error")
    assert finding.remedy == "give the last layer 3 outputs"
    doctor = Doctor()
    doctor.watch(**shown, loss=0.1)  # of times and events, perhaps: a loss of another kind
    assert "target-shape" not in doctor.report().codes


@pytest.mark.parametrize("turned", [False, True])
def test_a_bias_with_a_row_for_each_sample(turned):
    def form(a):
        return a.T if turned else a

    p = {"W": RANDOM.normal(size=(3, 2)), "hidden_bias": np.zeros((60, 2))}
    doctor = Doctor()
    doctor.watch(parameters={n: form(a) for n, a in p.items()}, inputs=form(X),
                 predictions=form(X[:, :2]), targets=form(X[:, 1:]))  # fmt: skip
    finding = next(each for each in doctor.report().findings if each.code == "bias-per-sample")
    assert finding.where == "hidden_bias"
    wanted = "zeros((2, 1))" if turned else "zeros((1, 2))"
    summed = "axis=1, keepdims=True" if turned else "axis=0)"
    assert wanted in finding.remedy
    assert summed in finding.remedy


def test_remedies_for_samples_as_columns_keep_the_column():
    p = {"W1": RANDOM.normal(size=(4, 3)), "b1": np.zeros((4, 1)), "b2": np.zeros((2, 1))}
    doctor = Doctor()
    doctor.watch(parameters=p, gradients=p | {"b1": 0.1, "b2": 0.2}, inputs=X.T,
                 predictions=Y.T, targets=Y.T)  # fmt: skip
    finding = next(each for each in doctor.report().findings if each.code == "gradient-shape")
    assert finding.where == "b1, b2"
    assert finding.remedy.splitlines()[1].startswith("gradient_of_b2 = delta.sum(axis=1, keepdims")


@pytest.mark.parametrize(
    ("names", "are_biases"),
    [("b b1 _b2 bias hidden_bias fc1.bias w1b l_b", True),
     ("W1 embedding weights hidden theta_ab", False)],
)  # fmt: skip
def test_biases_are_told_by_their_names(names, are_biases):
    assert {is_bias(each, np.zeros((3, 4))) for each in names.split()} == {are_biases}


def test_the_column_of_ones_is_the_bias_where_there_is_no_other():
    x = np.concatenate([X, np.ones((60, 1))], axis=1)
    doctor = Doctor()
    doctor.watch(inputs=x, parameters={"W": np.ones((4, 1))})
    assert "constant-feature" not in doctor.report().codes
    doctor = Doctor()
    doctor.watch(inputs=x, parameters={"W": np.ones((4, 1)), "b": np.ones(1)})
    finding = next(each for each in doctor.report().findings if each.code == "constant-feature")
    assert finding.evidence == "1 of 4 features never change in the 60 rows looked at"


@pytest.mark.untraced
def test_a_first_row_of_zeros_is_no_vanishing_gradient():
    """XOR, one row at a time, the first of which is (0, 0) and gives W1 no gradient."""
    x, y = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), np.array([[0.0], [1], [1], [0]])
    random, doctor = np.random.default_rng(1), Doctor()
    p = {"W1": random.normal(size=(2, 6)), "b1": np.zeros((1, 6)),
         "W2": random.normal(size=(6, 1)), "b2": np.zeros((1, 1))}  # fmt: skip
    for step in range(4000):
        i = step % 4
        a = sigmoid(x[i : i + 1] @ p["W1"] + p["b1"])
        o = sigmoid(a @ p["W2"] + p["b2"])
        delta = (o - y[i]) * o * (1 - o)
        below = delta @ p["W2"].T * a * (1 - a)
        g = {"W1": x[i : i + 1].T @ below, "b1": below, "W2": a.T @ delta, "b2": delta}
        doctor.watch(loss=float((o - y[i])[0, 0] ** 2), parameters=p, gradients=g, activations=[a],
                     predictions=o, targets=y[i : i + 1], inputs=x[i : i + 1],
                     learning_rate=3.0)  # fmt: skip
        p = {name: p[name] - 3.0 * g[name] for name in p}
    assert doctor.report().findings == ()


def test_every_remedy_for_a_learning_rate_points_the_way_of_its_repair():
    told = []
    for rate in (1e-9, 1e-4, 3.0, 300.0):
        for finding in train(rate=rate, steps=40).findings:
            new = (finding.repair or {}).get("learning_rate")
            if new is not None and "divide" in finding.remedy:
                assert new < rate
                told.append("divide")
            if new is not None and "multiply" in finding.remedy:
                assert new > rate
                told.append("multiply")
    assert set(told) == {"divide", "multiply"}


def unit(output, slope, steps=100):
    """Train one unit whose targets are above 0 by squared error; return the report."""
    random, doctor = np.random.default_rng(2), Doctor()
    x = random.uniform(0.2, 1.0, (80, 3))
    t = x.sum(axis=1, keepdims=True)
    p = {"W": np.full((3, 1), 0.3), "b": np.zeros((1, 1))}
    for _ in range(steps):
        o = output(x @ p["W"] + p["b"])
        delta = (o - t) * slope(o) / len(x)
        g = {"W": x.T @ delta, "b": delta.sum(axis=0, keepdims=True)}
        doctor.watch(loss=float(np.mean((o - t) ** 2)), parameters=p, gradients=g, inputs=x,
                     predictions=o, targets=t, learning_rate=0.05)  # fmt: skip
        p = {name: p[name] - 0.05 * g[name] for name in p}
    return doctor.report()


@pytest.mark.parametrize(
    ("output", "slope"),
    [(lambda z: np.maximum(z, 0.0), lambda o: o > 0.0), (np.exp, lambda o: o)],
)
def test_outputs_above_zero_have_their_own_derivative(output, slope):
    assert not [code for code in unit(output, slope).codes if code.startswith("gradient-")]


def test_a_column_of_biases_used_as_a_row_is_no_bias_per_sample():
    p = {"W": RANDOM.normal(size=(3, 5)), "b": np.zeros((5, 1)), "V": np.ones((5, 1))}
    doctor = Doctor()
    doctor.watch(parameters=p, inputs=X[:5], predictions=Y[:5], targets=Y[:5])
    assert "bias-per-sample" not in doctor.report().codes


def test_as_many_samples_as_classes_are_no_columns():
    p = {"W1": RANDOM.normal(size=(8, 3)), "W2": RANDOM.normal(size=(4, 8))}  # (out, in)
    z = RANDOM.normal(size=(4, 4))
    o = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    doctor = Doctor()
    doctor.watch(parameters=p, predictions=o, targets=np.eye(4), loss=1.5)
    assert "softmax-axis" not in doctor.report().codes


def test_softmax_is_not_for_rows_of_several_classes():
    z = RANDOM.normal(size=(40, 4))
    o = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    classes = np.eye(4)[RANDOM.integers(4, size=40)]
    for targets, codes in ((np.maximum(classes, np.eye(4)[0]), ("target-range",)), (classes, ())):
        doctor = Doctor()
        doctor.watch(predictions=o, targets=targets)
        assert doctor.report().codes == codes
