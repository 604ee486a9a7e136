"""MNIST does not learn: two equal sigmoid layers, positive initial weights, one sample at a time.

    python examples/initial_weights.py [--data MNIST_FOLDER] [--epochs 6] [--plot FILE.png]

(a) A hand-written network with that start; (b) what the doctor says; (c) the start chosen by xpnet
and why, and a comparison of rules by epoch. Without `--data` (a folder with the four idx.gz files)
it runs on scikit-learn's digits, 8 x 8 pixels.
"""

import argparse
import gzip
import sys
import warnings
from itertools import pairwise
from pathlib import Path

import numpy as np

import xpnet
from xpnet import Doctor, explain_init

UNITS, STEPS = 128, 3000
RULES = ["auto", "glorot_uniform", "he_uniform", "orthogonal"]


def images(folder: str | None) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return pixels from 0 to 1 and class numbers, for training and for testing."""
    if folder is None:
        try:
            from sklearn.datasets import load_digits
        except ImportError:
            sys.exit(
                "pip install scikit-learn, for its digits; or --data FOLDER with MNIST's files"
            )
        x, y = load_digits(return_X_y=True)
        return x[:1400] / 16, y[:1400], x[1400:] / 16, y[1400:]

    def read(name: str, header: int) -> np.ndarray:
        with gzip.open(Path(folder) / name) as file:
            return np.frombuffer(file.read(), np.uint8, offset=header)

    parts = []
    for part in ("train", "t10k"):
        parts.append(read(f"{part}-images-idx3-ubyte.gz", 16).reshape(-1, 784) / 255)
        parts.append(read(f"{part}-labels-idx1-ubyte.gz", 8).astype(int))
    return parts[0][:10_000], parts[1][:10_000], parts[2], parts[3]


def sigmoid(z: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-z))


class HandWritten:
    """Two equal sigmoid layers and softmax, without biases, as many tutorials have it."""

    def __init__(self, inputs: int) -> None:
        random, sizes = np.random.default_rng(0), [inputs, UNITS, UNITS, 10]
        # mistake: rand is positive
        self.p = {
            f"W{i + 1}": random.random((a, b)) * np.sqrt(1 / b)
            for i, (a, b) in enumerate(pairwise(sizes))
        }

    def forward(self, x: np.ndarray, p: dict[str, np.ndarray]) -> tuple[np.ndarray, ...]:
        """Return the activations of all layers."""
        first = sigmoid(x @ p["W1"])
        second = sigmoid(first @ p["W2"])
        z = second @ p["W3"]
        e = np.exp(z - z.max(axis=1, keepdims=True))
        return first, second, e / e.sum(axis=1, keepdims=True)

    def loss(self, x: np.ndarray, y: np.ndarray, p: dict[str, np.ndarray]) -> float:
        """Return the mean cross-entropy."""
        output = self.forward(x, p)[-1]
        return float(-np.mean(np.sum(y * np.log(output + 1e-300), axis=1)))

    def gradients(
        self, x: np.ndarray, y: np.ndarray, p: dict[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """Return the gradient of each parameter."""
        first, second, output = self.forward(x, p)
        delta3 = (output - y) / len(x)
        delta2 = delta3 @ p["W3"].T * second * (1 - second)
        delta1 = delta2 @ p["W2"].T * first * (1 - first)
        return {"W1": x.T @ delta1, "W2": first.T @ delta2, "W3": second.T @ delta3}

    def train(self, x: np.ndarray, y: np.ndarray, doctor: Doctor) -> list[float]:
        """Train, watched by the doctor; return the losses."""
        losses, order = [], np.random.default_rng(1).permutation(len(x))
        for step in range(STEPS):
            row = order[step % len(x)]
            one_x, one_y = x[row : row + 1], y[row : row + 1]
            *hidden, output = self.forward(one_x, self.p)
            slopes = self.gradients(one_x, one_y, self.p)
            losses.append(self.loss(one_x, one_y, self.p))
            doctor.watch(
                loss=losses[-1], parameters=self.p, gradients=slopes, activations=hidden,
                predictions=output, targets=one_y, inputs=one_x, learning_rate=0.01,
            )  # fmt: skip
            for name, slope in slopes.items():
                self.p[name] -= 0.01 * slope
        return losses


def compare(data: tuple[np.ndarray, ...], epochs: int) -> dict[str, tuple[float, ...]]:
    """Return the test accuracy after each epoch for each rule, all else equal."""
    x, y, x_test, y_test = data

    def positive(random: np.random.Generator, fan_in: int, fan_out: int) -> np.ndarray:
        return random.random((fan_in, fan_out)) * np.sqrt(1 / fan_out)

    warnings.simplefilter("ignore", xpnet.NoSkillWarning)  # the first rule learns nothing
    curves = {}
    for rule in [positive, *RULES]:
        name = getattr(rule, "__name__", rule)
        net = xpnet.MLP(
            [x.shape[1], UNITS, UNITS, 10], hidden="sigmoid", output="softmax", init=rule,
            seed=0,
        )  # fmt: skip
        history = xpnet.fit(
            net, x, y, optimizer=xpnet.SGD(0.1), batch_size=10, epochs=epochs, l2=1e-5,
            validation=(x_test, y_test), metrics=["accuracy"], progress=False,
        )  # fmt: skip
        curves[name] = history.metrics["accuracy"]
    return curves


def plot(curves: dict[str, tuple[float, ...]], path: str) -> None:
    from matplotlib.figure import Figure

    axes = (figure := Figure(figsize=(6.4, 4), layout="constrained")).add_subplot()
    for name, curve in curves.items():
        axes.plot(range(1, len(curve) + 1), curve, marker=".", label=name)
    axes.set(xlabel="epoch", ylabel="test accuracy", ylim=(0, 1))
    axes.legend()
    figure.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder with MNIST's four idx.gz files")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--plot", default="initial_weights.png")
    options = parser.parse_args()
    data = images(options.data)
    x, y = data[0], np.eye(10)[data[1]]

    print("(a) by hand, one sample at a time")
    net, doctor = HandWritten(x.shape[1]), Doctor()
    losses = net.train(x, y, doctor)
    print(f"    cost {np.mean(losses[:300]):.3f} -> {np.mean(losses[-300:]):.3f}")
    guesses = net.forward(data[2], net.p)[-1].argmax(axis=1)
    named = np.bincount(guesses, minlength=10)
    print(f"    test accuracy {np.mean(guesses == data[3]):.3f}; predictions by class {named}\n")

    print("(b) the doctor\n")
    doctor.check_gradients(
        lambda p: net.loss(x[:16], y[:16], p), lambda p: net.gradients(x[:16], y[:16], p), net.p
    )
    print(doctor.report(), "\n")

    print("(c) the start that xpnet chooses, and why")
    sizes = [x.shape[1], UNITS, UNITS, 10]
    chosen = xpnet.MLP(sizes, hidden="sigmoid", output="softmax", seed=0)
    print(explain_init(chosen, x[:500]), "\n")
    curves = compare(data, options.epochs)
    print("    test accuracy after each epoch")
    for name, curve in curves.items():
        print(f"    {name:15} " + " ".join(f"{value:.3f}" for value in curve))
    try:
        plot(curves, options.plot)
        print(f"    curves in {options.plot}")
    except ImportError as error:
        print(f"    no picture: {error}; pip install matplotlib")


if __name__ == "__main__":
    main()
