"""The TensorFlow Playground's own trajectories, through the public interface.

Its rules (nn.ts, playground.ts): loss of a sample (output - label)² / 2; gradients summed over a
batch and divided by its size; the order of the samples fixed; samples left over at the end of an
epoch are added to the first batch of the next one; ReLU'(0) = 0.
"""

import json
from pathlib import Path

import numpy as np
import pytest

import xpnet
from xpnet.nn.optimizers import StepArrays

TOLERANCE = 1e-12
KEPT = Path(__file__).parents[1] / "data" / "playground-circle.json"


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


def same_trajectories(path):
    recorded = json.loads(path.read_text())
    config = recorded["config"]
    for run in recorded["runs"][:1]:
        losses = np.array(run["loss_train_test_per_epoch"])
        weights, biases = ([layer[key] for layer in run["init"]] for key in ("W", "b"))
        net, found = xpnet_losses(
            weights, biases, config["activation"], run["train"], run["test"],
            config["batchSize"], len(losses) - 1, config["learningRate"],
        )  # fmt: skip
        np.testing.assert_allclose(found, losses, rtol=0, atol=TOLERANCE)
        finals = run.get("final", ())
        for weights, biases, final in zip(net.weights, net.biases, finals, strict=bool(finals)):
            np.testing.assert_allclose(weights.T, final["W"], rtol=0, atol=TOLERANCE)
            np.testing.assert_allclose(biases, final["b"], rtol=0, atol=TOLERANCE)


def test_the_first_epochs_of_the_playground_itself_are_reproduced():
    """Tanh on the circle, in batches of 7 of 250 samples."""
    same_trajectories(KEPT)


@pytest.mark.untraced
@pytest.mark.parametrize("name", ["circle_batch7_leftover", "xor_relu"])
def test_a_whole_training_of_the_playground_itself_is_reproduced(shared_data, name):
    path = shared_data / "playground" / f"{name}.json"
    if not path.is_file():
        pytest.skip(f"no file {path}")
    same_trajectories(path)
