"""The loss falls, and every prediction is the same: a 3-3-1 sigmoid network on a table.

    python examples/constant_output.py [--data TABLE.csv] [--plot constant_output.png]

(a) A hand-written network with four mistakes; (b) what the doctor says; (c) the same task done
right with xpnet. A table of your own has three numeric columns and then a column of 0 and 1.
"""

import argparse

import numpy as np

import xpnet
from xpnet import Doctor

STEPS = 8000


def customers(rows: int = 200) -> np.ndarray:
    """Draw age, income, visits, bought: who comes often and spends much, for their age, buys."""
    random = np.random.default_rng(1)
    age, income = random.uniform(18, 80, rows), random.normal(42_000, 9_000, rows)
    visits = random.poisson(6, rows)
    score = (income - 42_000) / 9_000 + (visits - 6) / 2.4 - (age - 49) / 18
    bought = score + random.normal(0, 0.3, rows) > 0
    return np.column_stack([age, income, visits, bought])


def sigmoid(z: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-z))


class HandWritten:
    """Runs, and its loss falls. Four things are wrong with it."""

    def __init__(self) -> None:
        random = np.random.default_rng(0)
        self.W1, self.b1 = random.random((3, 3)), np.zeros((1, 3))  # mistake: all positive
        self.W2, self.b2 = random.random((3, 1)), np.zeros((1, 1))

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the activations of all layers."""
        hidden = sigmoid(x @ self.W1 + self.b1)
        return hidden, sigmoid(hidden @ self.W2 + self.b2)

    def parameters(self) -> dict[str, np.ndarray]:
        """Return the parameters by name."""
        return {"W1": self.W1, "b1": self.b1, "W2": self.W2, "b2": self.b2}

    def gradients(self, x: np.ndarray, y: np.ndarray) -> dict[str, np.ndarray]:
        """Return the gradient of each parameter."""
        hidden, output = self.forward(x)
        delta2 = output - y
        delta1 = delta2 @ self.W2.T * hidden * (1 - hidden)
        m = len(x)
        # mistake: the bias gradients are not summed over the samples
        return {"W1": x.T @ delta1 / m, "b1": delta1, "W2": hidden.T @ delta2 / m, "b2": delta2}

    def train(self, x: np.ndarray, y: np.ndarray, doctor: Doctor) -> list[float]:
        """Train, watched by the doctor; return the losses."""
        learning_rate, losses = 5e-5, []  # mistake: far too small
        for _ in range(STEPS):
            hidden, output = self.forward(x)
            losses.append(cross_entropy(output, y))
            slopes = self.gradients(x, y)
            doctor.watch(
                loss=losses[-1], parameters=self.parameters(), gradients=slopes,
                activations=[hidden], predictions=output, targets=y, inputs=x,
                learning_rate=learning_rate,
            )  # fmt: skip
            for name, slope in slopes.items():
                setattr(self, name, getattr(self, name) - learning_rate * slope)
        return losses


def cross_entropy(output: np.ndarray, y: np.ndarray) -> float:
    return float(-np.mean(y * np.log(output) + (1 - y) * np.log(1 - output)))


def check(doctor: Doctor, x: np.ndarray, y: np.ndarray) -> None:
    """Compare the network's gradients with the slopes of its loss, at fresh parameters."""
    net = HandWritten()

    def at(parameters: dict[str, np.ndarray]) -> HandWritten:
        vars(net).update(parameters)
        return net

    doctor.check_gradients(
        lambda p: cross_entropy(at(p).forward(x)[1], y), lambda p: at(p).gradients(x, y),
        HandWritten().parameters(), batch_size=len(x),
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="a CSV file; by default a table is drawn")
    parser.add_argument("--plot", default="constant_output.png")
    options = parser.parse_args()
    table = np.loadtxt(options.data, delimiter=",", skiprows=1) if options.data else customers()
    raw, y = table[:, :3], table[:, 3:]
    x = (raw - raw.mean(axis=0)) / raw.std(axis=0)

    print("(a) by hand")
    net, doctor = HandWritten(), Doctor()
    losses = net.train(x, y, doctor)
    predictions = net.forward(raw)[1]  # mistake: raw here, standardised in training
    print(f"    loss {losses[0]:.4f} -> {losses[-1]:.4f}: it falls")
    low, high, classes = predictions.min(), predictions.max(), np.unique(predictions > 0.5).size
    print(f"    predictions from {low:.2f} to {high:.2f}: of {classes} class")
    print(f"    the bias b2, once (1, 1), is now {net.b2.shape}\n")

    print("(b) the doctor\n")
    check(doctor, x, y)
    doctor.watch_prediction(raw)
    print(doctor.report(), "\n")

    print("(c) with xpnet")
    right = xpnet.MLP([3, 3, 1], hidden="sigmoid", output="sigmoid", seed=0)
    history = xpnet.fit(
        right, x, y, optimizer=xpnet.SGD(0.5), epochs=100, validation=0.25, metrics=["accuracy"],
        progress=False,
    )  # fmt: skip
    spread = right.predict(x)
    print(f"    {history}, accuracy {history.metrics['accuracy'][-1]:.3f}")
    print(f"    predictions from {spread.min():.4f} to {spread.max():.4f}")
    print(f"    the doctor: {xpnet_report(x, y)}")
    try:
        history.plot(options.plot)
        print(f"    curves in {options.plot}")
    except xpnet.XpnetError as error:  # without matplotlib
        print(f"    no picture: {error}")


def xpnet_report(x: np.ndarray, y: np.ndarray) -> str:
    from xpnet.doctor.diagnose import diagnose

    net = xpnet.MLP([3, 3, 1], hidden="sigmoid", output="sigmoid", seed=0)
    return str(diagnose(net, x, y, optimizer=xpnet.SGD(0.5), epochs=100))


if __name__ == "__main__":
    main()
