"""The TensorFlow Playground's own trajectories, through the public interface.

Its rules (nn.ts, playground.ts): loss of a sample (output - label)² / 2; gradients summed over a
batch and divided by its size; the order of the samples fixed; samples left over at the end of an
epoch are added to the first batch of the next one; ReLU'(0) = 0.
"""

import json
import math
import random

import numpy as np
import pytest

import xpnet
from xpnet.nn.optimizers import StepArrays

TOLERANCE = 1e-12


class Playground:
    """The algorithm sample by sample in plain Python: an implementation that shares nothing."""

    def __init__(self, weights, biases, activation):
        self.weights = [[list(row) for row in layer] for layer in weights]  # [layer][unit][input]
        self.biases = [list(layer) for layer in biases]
        self.activation = activation
        self.clear()

    def clear(self):
        self.weight_sums = [[[0.0] * len(row) for row in layer] for layer in self.weights]
        self.bias_sums = [[0.0] * len(layer) for layer in self.biases]
        self.waiting = 0

    def function(self, layer, z):
        last = layer == len(self.weights) - 1
        return math.tanh(z) if last or self.activation == "tanh" else max(0.0, z)

    def slope(self, layer, z):
        last = layer == len(self.weights) - 1
        if last or self.activation == "tanh":
            return 1.0 - math.tanh(z) ** 2
        return 1.0 if z > 0.0 else 0.0

    def forward(self, inputs):
        sums, outputs = [], [list(inputs)]
        for layer, (rows, biases) in enumerate(zip(self.weights, self.biases, strict=True)):
            z = [
                bias + sum(weight * value for weight, value in zip(row, outputs[-1], strict=True))
                for row, bias in zip(rows, biases, strict=True)
            ]
            sums.append(z)
            outputs.append([self.function(layer, each) for each in z])
        return sums, outputs

    def learn(self, inputs, label):
        sums, outputs = self.forward(inputs)
        d_output = [outputs[-1][0] - label]
        for layer in reversed(range(len(self.weights))):
            d_sum = [d * self.slope(layer, z) for d, z in zip(d_output, sums[layer], strict=True)]
            d_output = [0.0] * len(outputs[layer])
            for unit, d in enumerate(d_sum):
                self.bias_sums[layer][unit] += d
                for source, value in enumerate(outputs[layer]):
                    self.weight_sums[layer][unit][source] += d * value
                    d_output[source] += d * self.weights[layer][unit][source]
        self.waiting += 1

    def update(self, learning_rate):
        rate = learning_rate / self.waiting
        for layer, rows in enumerate(self.weights):
            for unit, row in enumerate(rows):
                self.biases[layer][unit] -= rate * self.bias_sums[layer][unit]
                for source in range(len(row)):
                    row[source] -= rate * self.weight_sums[layer][unit][source]
        self.clear()

    def loss(self, samples):
        total = sum((self.forward(xy)[1][-1][0] - label) ** 2 / 2 for *xy, label in samples)
        return total / len(samples)


def xpnet_losses(weights, biases, activation, samples, test, batch_size, epochs, rate):
    """Train a network; return it, and training and test loss, epoch by epoch.

    Rows left over at the end of an epoch go into the first batch of the next one, as in the
    Playground, so the loop over the batches is written here.
    """
    sizes = [len(weights[0][0]), *(len(layer) for layer in weights)]
    net = xpnet.MLP(sizes, hidden=activation, output="tanh", dtype="float64")
    net.set_parameters([np.array(layer).T for layer in weights], biases)
    tables = [np.array(samples), np.array(test)]
    x, y = tables[0][:, :-1], tables[0][:, -1:]
    optimizer, losses, waiting = xpnet.SGD(rate), [], []

    def measure():
        each = {"loss": "half_squared_error"}
        losses.append([net.loss(table[:, :-1], table[:, -1], **each) for table in tables])

    measure()
    for _ in range(epochs):
        for row in range(len(x)):
            waiting.append(row)
            if (row + 1) % batch_size == 0:
                _, gradients = net.gradients(x[waiting], y[waiting], loss="half_squared_error")
                every = [*gradients.weights, *gradients.biases]
                arrays = StepArrays(net.parameters, every, [], net.weights)
                optimizer.step(np, arrays, [rate])
                waiting = []
        measure()
    return net, np.array(losses)


@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("batch_size", [1, 5, 7, 20])
def test_a_plain_python_port_of_the_playground_is_reproduced(activation, batch_size):
    draw = random.Random(0)
    samples = []
    for _ in range(20):
        x, y = draw.uniform(-5, 5), draw.uniform(-5, 5)
        samples.append((x, y, 1 if x * y >= 0 else -1))
    shapes = [(4, 2), (2, 4), (1, 2)]
    weights = [[[draw.random() - 0.5 for _ in range(n)] for _ in range(m)] for m, n in shapes]
    biases = [[0.1] * units for units, _ in shapes]

    port, losses = Playground(weights, biases, activation), []
    losses.append([port.loss(samples)] * 2)
    for _ in range(6):
        for number, (*xy, label) in enumerate(samples, start=1):
            port.learn(xy, label)
            if number % batch_size == 0:
                port.update(0.03)
        losses.append([port.loss(samples)] * 2)

    net, found = xpnet_losses(weights, biases, activation, samples, samples, batch_size, 6, 0.03)
    np.testing.assert_allclose(found, losses, rtol=0, atol=TOLERANCE)
    for own, theirs in zip(net.weights, port.weights, strict=True):
        np.testing.assert_allclose(own.T, theirs, rtol=0, atol=TOLERANCE)
    for own, theirs in zip(net.biases, port.biases, strict=True):
        np.testing.assert_allclose(own, theirs, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("name", ["circle_default", "circle_batch7_leftover", "xor_relu"])
def test_the_trajectories_of_the_playground_itself_are_reproduced(shared_data, name):
    path = shared_data / "playground" / f"{name}.json"
    if not path.is_file():
        pytest.skip(f"no file {path}")
    recorded = json.loads(path.read_text())
    config = recorded["config"]
    for run in recorded["runs"]:
        losses = np.array(run["loss_train_test_per_epoch"])
        weights, biases = ([layer[key] for layer in run["init"]] for key in ("W", "b"))
        net, found = xpnet_losses(
            weights, biases, config["activation"], run["train"], run["test"],
            config["batchSize"], len(losses) - 1, config["learningRate"],
        )  # fmt: skip
        np.testing.assert_allclose(found, losses, rtol=0, atol=TOLERANCE)
        for own, final in zip(net.weights, run["final"], strict=True):
            np.testing.assert_allclose(own.T, final["W"], rtol=0, atol=TOLERANCE)
        for own, final in zip(net.biases, run["final"], strict=True):
            np.testing.assert_allclose(own, final["b"], rtol=0, atol=TOLERANCE)
