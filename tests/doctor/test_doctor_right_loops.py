"""Loops that are right, though they look unusual: the doctor raises no alarm."""

import numpy as np
import pytest
from doctor_example import X, draw
from hand_written_loop import THREE, network, softmax

import xpnet
from xpnet import Doctor
from xpnet.doctor.run import SeenTargets
from xpnet.doctor.step import as_host


def test_ascent_of_what_should_grow_is_no_mistake():
    """The gradient of -loss, added; with weights on the rows no form of it is known."""
    random, doctor = draw(), Doctor()
    x, w = random.normal(size=(64, 3)), np.ones((3, 1))
    y, rows = np.sign(x[:, :1]), random.uniform(0.1, 3.0, size=(64, 1))
    for _ in range(12):
        o = x @ w
        g = x.T @ (rows * (y - o)) / 64
        doctor.watch(loss=np.mean(rows * (y - o) ** 2), parameters={"W": w}, gradients={"W": g},
                     predictions=o, targets=y, inputs=x)  # fmt: skip
        w = w + 0.01 * g
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


def test_activations_alone_take_no_more_memory_than_other_rows():
    doctor = Doctor()
    for _ in range(300):
        doctor.watch(activations=[np.ones((50, 2))])
    assert len(doctor.run.first) <= 50
    assert len(doctor.run.data) <= 400
    assert len(doctor.run.last) < 200
    with pytest.raises(xpnet.InputError, match=r"activations is one array of shape \(50, 2\)"):
        doctor.watch(activations=np.ones((50, 2)))


def test_the_targets_of_a_long_run_are_looked_at_less_and_less_often():
    seen = SeenTargets(differ=True)
    assert sum(map(seen.wants, range(100_000))) < 5_000
    assert all(map(seen.wants, range(500)))
    assert all(map(SeenTargets(differ=False).wants, range(5_000)))  # until two targets differ


def test_few_arrays_are_copied_and_none_where_nothing_is_looked_at(monkeypatch):
    copied, doctor, random = [], Doctor(), draw()

    def counted(array, *given, **named):
        copied.append(array)
        return as_host(array, *given, **named)

    monkeypatch.setattr("xpnet.doctor.step.as_host", counted)
    p, counts = {"W": random.normal(size=(3, 2)), "b": np.zeros(2)}, []
    for _ in range(1200):
        copied.clear()
        x = random.normal(size=(100, 3))
        doctor.watch(parameters=p, gradients=p, inputs=x, predictions=x[:, :2], targets=x[:, 1:])
        counts.append(len(copied))
    assert counts[0] == 8  # as many as arrays were given, and the targets for their order
    assert counts[1100:1102] in ([1, 0], [0, 1])  # the targets, of every second step
