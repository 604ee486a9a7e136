"""Gradients against central differences over random networks, and against PyTorch's autograd."""

from typing import NamedTuple

import numpy as np
import pytest
from head_examples import HEADS, targets_for
from hypothesis import given
from hypothesis import strategies as st

import xpnet
from xpnet.nn.activations import HIDDEN
from xpnet.nn.arrays import Batch
from xpnet.nn.losses import penalty, resolve_head

BENT = ("relu", "leaky_relu", "elu", "selu")  # a derivative jumps where z = 0


class Problem(NamedTuple):
    net: xpnet.MLP
    x: np.ndarray
    y: np.ndarray
    options: dict

    def gradients(self):
        loss, gradients = self.net.gradients(self.x, self.y, **self.options)
        return loss, [*gradients.weights, *gradients.biases]

    def objective(self):
        """The loss by itself plus the penalties as documented."""
        l1, l2 = self.options["l1"], self.options["l2"]
        data = {name: self.options[name] for name in ("loss", "sample_weight")}
        squares = sum(float(np.sum(w * w)) for w in self.net.weights)
        absolutes = sum(float(np.sum(np.abs(w))) for w in self.net.weights)
        return self.net.loss(self.x, self.y, **data) + l1 * absolutes + 0.5 * l2 * squares

    def sides(self):
        """On which side of every kink this point lies."""
        trace = self.net.forward(self.x)
        found = [
            z > 0.0
            for z, activation in zip(trace.pre_activations, self.net.hidden, strict=False)
            if activation.name in BENT
        ]
        distance = self.net.predict(self.x) - self.y
        if self.options["loss"] == "absolute_error":
            found.append(distance > 0.0)
        if self.options["loss"] == "huber":
            found += [distance > 1.0, distance < -1.0]
        if self.options["l1"]:
            found += [w > 0.0 for w in self.net.weights]
        return np.concat([np.ravel(each) for each in found]) if found else np.zeros(0, dtype=bool)


WIDTH = st.integers(1, 17)


@st.composite
def problems(draw):
    """Depth 0 to 5, widths 1 to 17, batch 1 to 9, any activations, head, penalties, weights."""
    hidden = draw(st.lists(st.sampled_from(HIDDEN), max_size=5))
    sizes = [draw(WIDTH) for _ in range(len(hidden) + 2)]
    output, loss = draw(st.sampled_from(HEADS))
    rows, seed = draw(st.integers(1, 9)), draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    net = xpnet.MLP(sizes, hidden=hidden, output=output, dtype="float64", seed=seed)
    for biases in net.biases:
        biases += 0.3 * rng.normal(size=biases.shape)
    sample_weight = None
    if draw(st.booleans()):
        sample_weight = rng.integers(0, 3, size=rows) + rng.random(rows)
    options = {
        "loss": loss,
        "l1": draw(st.sampled_from([0.0, 0.01])),
        "l2": draw(st.sampled_from([0.0, 0.1])),
        "sample_weight": sample_weight,
    }
    x = rng.normal(size=(rows, sizes[0]))
    y = targets_for(output, rng, (rows, sizes[-1]), hard=draw(st.booleans()))
    return Problem(net, x, y, options), rng


def central_difference(problem, array, place):
    """Fourth-order central difference, or None where a kink is nearer than the smallest step."""
    start, sides = array[place], problem.sides()

    def at(value):
        array[place] = value
        same = np.array_equal(problem.sides(), sides)
        return problem.objective() if same else None

    try:
        for h in (1e-3, 1e-4):
            values = [at(start + times * h) for times in (-2, -1, 1, 2)]
            if None not in values:
                far_below, below, above, far_above = values
                return (8.0 * (above - below) - (far_above - far_below)) / (12.0 * h)
    finally:
        array[place] = start
    return None


@pytest.mark.untraced
@given(problems())
def test_gradients_agree_with_central_differences(drawn):
    problem, rng = drawn
    value, gradients = problem.gradients()
    assert value == pytest.approx(problem.objective(), rel=1e-12)
    resolution = 1e-5 * (1.0 + abs(value))  # below it, rounding of the loss is all one sees
    for array, gradient in zip(problem.net.parameters, gradients, strict=True):
        assert gradient.shape == array.shape
        for flat in rng.choice(array.size, size=min(array.size, 4), replace=False):
            place = np.unravel_index(flat, array.shape)
            numeric = central_difference(problem, array, place)
            if numeric is not None:
                size = max(abs(numeric), abs(gradient[place]), resolution)
                assert abs(numeric - gradient[place]) / size < 1e-6


def torch_objective(torch, problem):
    """The same objective, written with PyTorch's own functions only."""
    functional = torch.nn.functional
    activations = {
        "identity": lambda z: z,
        "gelu": lambda z: functional.gelu(z, approximate="tanh"),
        "softmax": lambda z: functional.softmax(z, dim=1),
        "exp": torch.exp,
    }
    losses = {
        "squared_error": functional.mse_loss,
        "half_squared_error": lambda a, y, reduction: 0.5 * (a - y) ** 2,
        "absolute_error": functional.l1_loss,
        "huber": functional.huber_loss,
        "binary_cross_entropy": functional.binary_cross_entropy,
        "categorical_cross_entropy": lambda a, y, reduction: -y * torch.log(a),
        "poisson": lambda a, y, reduction: functional.poisson_nll_loss(
            a, y, log_input=False, eps=0.0, reduction=reduction
        ),
    }
    net, options = problem.net, problem.options
    parameters = [torch.tensor(each, requires_grad=True) for each in net.parameters]
    layers = len(net.weights)
    a = torch.tensor(problem.x)
    for weights, biases, activation in zip(
        parameters[:layers], parameters[layers:], [*net.hidden, net.output], strict=True
    ):
        name = activation.name
        a = (activations.get(name) or getattr(functional, name))(a @ weights + biases)
    rows = losses[options["loss"]](a, torch.tensor(problem.y), reduction="none").sum(dim=1)
    row_weights = torch.tensor(np.ones(len(rows)) * options["sample_weight"])
    objective = (rows * row_weights).sum() / row_weights.sum()
    for weights in parameters[:layers]:
        objective = objective + options["l1"] * weights.abs().sum()
        objective = objective + 0.5 * options["l2"] * (weights * weights).sum()
    objective.backward()
    return objective.item(), [each.grad.numpy() for each in parameters]


@pytest.mark.parametrize(("output", "loss"), HEADS)
def test_gradients_agree_with_pytorch(output, loss):
    """And so do the values; each head has two hidden activations, in turn."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    rng, turn = np.random.default_rng(3), HEADS.index((output, loss))
    hidden = [HIDDEN[each % len(HIDDEN)] for each in (turn, turn + 1 + turn // len(HIDDEN))]
    net = xpnet.MLP([5, 8, 7, 3], hidden=hidden, output=output, dtype="float64")
    for biases in net.biases:
        biases += 0.1 * rng.normal(size=biases.shape)
    options = {"loss": loss, "l1": 0.02, "l2": 0.3, "sample_weight": rng.random(9)}
    problem = Problem(net, rng.normal(size=(9, 5)), targets_for(output, rng, (9, 3)), options)
    value, gradients = problem.gradients()
    their_value, theirs = torch_objective(torch, problem)
    assert value == pytest.approx(their_value, rel=1e-12)
    for own, other in zip(gradients, theirs, strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-12, atol=1e-12 * np.max(np.abs(other)))


def test_gradients_with_dropout_are_those_of_the_thinned_network():
    rng = np.random.default_rng(1)
    net = xpnet.MLP([3, 6, 5, 2], hidden="tanh", output="softmax", dtype="float64")
    x, y = rng.normal(size=(7, 3)), np.eye(2)[rng.integers(2, size=7)]
    masks = [(rng.random((7, units)) < 0.7) / 0.7 for units in (6, 5)]
    joined, shares = resolve_head(net.output), np.full(7, 1.0 / 7.0)

    def objective():
        z = net.forward(x, masks).pre_activations[-1]
        return float(np.mean(joined.value_and_delta(np, z, y)[0]))

    loss, gradients, _ = net.loss_and_gradients(Batch(x, y, shares), joined, masks)
    assert float(loss) == pytest.approx(objective(), rel=1e-12)
    for array, gradient in zip(net.parameters, [*gradients[0], *gradients[1]], strict=True):
        for place in np.ndindex(array.shape):
            start, values = array[place], []
            for step in (-1e-5, 1e-5):
                array[place] = start + step
                values.append(objective())
            array[place] = start
            numeric = (values[1] - values[0]) / 2e-5
            assert gradient[place] == pytest.approx(numeric, rel=1e-6, abs=1e-9)


def test_penalties_are_those_of_the_documentation_and_leave_biases_alone():
    net = xpnet.MLP([2, 1], dtype="float64", init="zeros")
    net.set_parameters([[[3.0], [-4.0]]], [[7.0]])
    zero = np.zeros((1, 2)), np.array([[7.0]])
    loss, gradients = net.gradients(*zero, l1=0.5, l2=0.1)
    assert loss == pytest.approx(0.5 * 7.0 + 0.05 * 25.0)
    assert loss == penalty(np, net.flat_weights, 0.5, 0.1)
    np.testing.assert_allclose(gradients.weights[0][:, 0], [0.5 + 0.3, -0.5 - 0.4])
    np.testing.assert_array_equal(gradients.biases[0], 0.0)


def test_sample_weights_count_rows_as_if_they_were_repeated():
    rng = np.random.default_rng(0)
    net = xpnet.MLP([3, 5, 2], hidden="tanh", dtype="float64")
    x, y = rng.normal(size=(4, 3)), rng.normal(size=(4, 2))
    counts = np.array([1, 0, 3, 2])
    loss, gradients = net.gradients(x, y, sample_weight=counts)
    other_loss, others = net.gradients(np.repeat(x, counts, axis=0), np.repeat(y, counts, axis=0))
    assert loss == pytest.approx(other_loss, rel=1e-12)
    for own, other in zip(gradients.weights, others.weights, strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-12, atol=1e-15)
