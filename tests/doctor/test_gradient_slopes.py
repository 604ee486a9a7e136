"""Where slopes can be measured, and what the check says where they cannot."""

import numpy as np
import pytest

from xpnet.doctor.gradcheck.check import check_gradients
from xpnet.doctor.gradcheck.slopes import slope

X = np.array([[-3.0], [-2.0], [3.0], [2.0]])
Y = (X > 0).astype(float)


def sigmoid(z):
    return 1.0 / (1.0 + np.exp(-z))


def cross_entropy(p):
    a = sigmoid(X @ p["w"] + p["b"])
    return -np.mean(Y * np.log(a) + (1 - Y) * np.log(1 - a))


@pytest.mark.parametrize("w", [1.764, 1.69, 0.7, 0.1, -0.4, -1.0])
def test_a_slope_of_0_by_symmetry_is_measured_and_not_taken_for_a_kink(w):
    start = {"w": np.array([[w]]), "b": np.zeros((1, 1))}

    def gradients(p):
        delta = (sigmoid(X @ p["w"] + p["b"]) - Y) / 4
        return {"w": X.T @ delta, "b": delta.sum(axis=0, keepdims=True)}

    right = check_gradients(cross_entropy, gradients, start)
    assert right.ok
    assert [each.kinks for each in right.comparisons] == [0, 0]
    wrong = check_gradients(cross_entropy, lambda p: gradients(p) | {"b": [[5.0]]}, start)
    assert wrong.codes == ("gradient-wrong",)
    assert wrong.findings[0].where == "b"
    assert "up to 5 in size, where the slope of the loss is 0" in wrong.findings[0].evidence


@pytest.mark.parametrize("curvature", [0.0, 1e-3, 1.0, 1e3])
@pytest.mark.parametrize("distance", [0.0, 1e-8, 2e-7])
def test_a_kink_within_the_steps_is_left_out_however_the_rest_bends(curvature, distance):
    found = slope(
        lambda z: float(abs(z - distance) + 0.5 * curvature * z**2), np.array(0.0), np.array(1.0)
    )
    assert found is None or abs(found[0] + 1.0) <= 2.0 * found[1] + 1e-6


@pytest.mark.parametrize("curvature", [1e-6, 1e-3, 1.0, 1e3, 1e6])
@pytest.mark.parametrize("level", [0.0, 1.0, 100.0])
def test_the_slope_of_a_parabola_at_its_lowest_point_is_0(curvature, level):
    found = slope(lambda z: float(level + 0.5 * curvature * z**2), np.array(0.0), np.array(1.0))
    assert found is not None
    assert abs(found[0]) <= found[1] < 1e-5 * max(curvature, level, 1.0)


def relu_network(slope_of_relu):
    """XOR with ReLUs: at biases of 0, the sample (0, 0) is at the kink of every unit."""
    x, y = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), np.array([[0], [1], [1], [0]])

    def forward(p):
        z = x @ p["W1"] + p["b1"]
        return z, np.maximum(z, 0) @ p["W2"] + p["b2"]

    def gradients(p):
        z, out = forward(p)
        delta = out - y
        before = delta @ p["W2"].T * slope_of_relu(z)
        return {"W1": x.T @ before, "b1": before.sum(axis=0), "W2": np.maximum(z, 0).T @ delta,
                "b2": delta.sum(axis=0)}  # fmt: skip

    random = np.random.default_rng(0)
    start = {"W1": random.standard_normal((2, 4)), "b1": np.zeros(4),
             "W2": random.standard_normal((4, 1)), "b2": np.ones(1)}  # fmt: skip
    return lambda p: 0.5 * np.sum((forward(p)[1] - y) ** 2), gradients, start


def test_a_parameter_with_kinks_alone_is_checked_beside_them():
    report = check_gradients(*relu_network(lambda z: z > 0))
    assert report.ok
    assert "over 4 slopes, a little beside the kinks" in str(report.comparisons[1])
    wrong = check_gradients(*relu_network(np.ones_like))
    assert wrong.codes == ("gradient-activation-derivative",)
    assert wrong.findings[0].where == "W1, b1"


def test_a_parameter_without_any_slope_is_not_called_right():
    def loss(p):
        return p["w"].sum() + np.where(p["v"] == 1.0, 1.0, np.nan).sum()

    report = check_gradients(
        loss, lambda p: {"w": np.ones(2), "v": 7 * np.ones(2)}, {"w": [1.0, 2.0], "v": np.ones(2)}
    )
    assert report.codes == ("not-checked",)
    assert report.findings[0].where == "v"
    assert not report.ok
    assert str(report).startswith("Gradient check: incomplete\n  w  right")
    assert "v  not checked: 0 slopes, 2 at kinks left out" in str(report)
