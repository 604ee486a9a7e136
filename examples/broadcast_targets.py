"""Targets of shape (6,) against outputs of shape (6, 1): the loss climbs to 18.0 and stays.

    python examples/broadcast_targets.py [--data TABLE.csv] [--plot broadcast_targets.png]

(a) Six points in the plane and a hand-written 2-3-1 sigmoid network with four mistakes; (b) what
the doctor says; (c) the six points, and the TensorFlow Playground's circle, with xpnet. `--data`
takes a table of two coordinates and a column of 0 and 1 in place of the circle.
"""

import argparse
from collections.abc import Sequence

import numpy as np

import xpnet
from xpnet import Doctor, diagnose

POINTS = np.array([[3, 4], [2, 6], [1, 6], [1, 1], [2, 1], [3, 1]], dtype=float)
LABELS = np.array([0, 0, 0, 1, 1, 1], dtype=float)  # mistake: (6,), and the outputs are (6, 1)
STEPS = 2000


def sigmoid(z: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-z))


def start() -> dict[str, np.ndarray]:
    random = np.random.default_rng(3)
    return {
        "W1": random.normal(0, 0.5, (2, 3)), "b1": np.zeros((1, 3)),
        "W2": random.normal(0, 0.5, (3, 1)), "b2": np.zeros((1, 1)),
    }  # fmt: skip


def forward(p: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    hidden = sigmoid(POINTS @ p["W1"] + p["b1"])
    return hidden, sigmoid(hidden @ p["W2"] + p["b2"])


def loss_terms(p: dict[str, np.ndarray]) -> np.ndarray:
    return (LABELS - forward(p)[1]) ** 2  # (6,) - (6, 1): 36 terms


def gradients(p: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    hidden, output = forward(p)
    error = np.sum(LABELS - output)  # mistakes: one number for all, and the sign
    delta2 = error * output * (1 - output)
    delta1 = delta2 @ p["W2"].T * hidden * (1 - hidden)
    # mistake: the bias gradients are not summed over the samples
    return {"W1": POINTS.T @ delta1, "b1": delta1, "W2": hidden.T @ delta2, "b2": delta2}


def train_by_hand(doctor: Doctor, learning_rate: float = 0.1) -> list[float]:
    p, losses = start(), []
    for _ in range(STEPS):
        hidden, output = forward(p)
        losses.append(float(np.sum(loss_terms(p))))
        slopes = gradients(p)
        doctor.watch(
            loss=losses[-1], parameters=p, gradients=slopes, activations=[hidden],
            predictions=output, targets=LABELS, inputs=POINTS, learning_rate=learning_rate,
        )  # fmt: skip
        p = {name: p[name] - learning_rate * slopes[name] for name in p}
    return losses


def circle(rows: int = 500) -> tuple[np.ndarray, np.ndarray]:
    """Draw the Playground's circle: inside radius 2.5 class 1, from 3.5 to 5 class 0."""
    random = np.random.default_rng(0)
    inside = np.arange(rows) % 2 == 0
    radius = np.where(inside, random.uniform(0, 2.5, rows), random.uniform(3.5, 5, rows))
    angle = random.uniform(0, 2 * np.pi, rows)
    return np.column_stack([radius * np.sin(angle), radius * np.cos(angle)]), inside.astype(float)


def plot(
    by_hand: list[float], by_xpnet: Sequence[float], net: xpnet.MLP, x: np.ndarray, y: np.ndarray,
    path: str,
) -> None:  # fmt: skip
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 3.6), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    titles = (
        "six points, by hand:\n{:.1f} to {:.1f}",
        "six points, xpnet, also 2-3-1:\n{:.2f} to {:.4f}",
    )
    terms = "loss, sum of 36 terms", "loss, mean of 6 terms"
    for axes, losses, title, label in zip(
        (left, middle), (by_hand, by_xpnet), titles, terms, strict=True
    ):
        axes.plot(losses)
        axes.set(title=title.format(losses[0], losses[-1]), xlabel="epoch", ylabel=label)
        axes.set_ylim(bottom=0)
    low, high = x.min(axis=0) - 0.3, x.max(axis=0) + 0.3
    grid = np.meshgrid(np.linspace(low[0], high[0], 100), np.linspace(low[1], high[1], 100))
    shown = net.predict(np.column_stack([each.ravel() for each in grid])).reshape(100, 100)
    right.contourf(*grid, shown, levels=20, cmap="RdBu", alpha=0.6)
    for label, colour in ((0, "darkred"), (1, "navy")):
        right.scatter(*x[y == label].T, color=colour, s=8, label=f"class {label}")
    right.set(title="the circle, xpnet, 2-4-2-1", aspect="equal", xlabel="x1", ylabel="x2")
    right.legend(loc="upper right", fontsize=7)
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="a CSV file: two coordinates and a column of 0 and 1")
    parser.add_argument("--plot", default="broadcast_targets.png")
    options = parser.parse_args()

    print("(a) by hand")
    doctor = Doctor()
    losses = train_by_hand(doctor)
    print(f"    loss {losses[0]:.2f} -> {losses[-1]:.2f} after {STEPS} steps\n")

    print("(b) the doctor\n")
    doctor.check_gradients(loss_terms, gradients, start(), batch_size=len(POINTS))
    print(doctor.report(), "\n")

    print("(c) with xpnet: the six points")
    net = xpnet.MLP([2, 3, 1], hidden="sigmoid", output="sigmoid", seed=0)
    learnt = xpnet.fit(
        net, POINTS, LABELS, loss="squared_error", optimizer=xpnet.SGD(0.5), epochs=2000,
        progress=False,
    )  # fmt: skip
    print(f"    loss {learnt.loss[0]:.3f} -> {learnt.loss[-1]:.4f}")
    print(f"    predictions {np.round(net.predict(POINTS)[:, 0], 2)} for {LABELS}")

    print("    the circle, 4 and 2 tanh units")
    x, y = circle()
    if options.data:
        table = np.loadtxt(options.data, delimiter=",", skiprows=1)
        x, y = table[:, :2], table[:, 2]
    net = xpnet.MLP([2, 4, 2, 1], hidden="tanh", output="sigmoid", seed=0)
    settings = {"optimizer": xpnet.SGD(0.1), "batch_size": 10, "epochs": 60}
    print(f"    the doctor: {diagnose(net, x, y, **settings)}")
    history = xpnet.fit(net, x, y, metrics=["accuracy"], progress=False, **settings)
    print(f"    {history}, accuracy {history.metrics['accuracy'][-1]:.3f}")
    try:
        plot(losses, learnt.loss, net, x, y, options.plot)
        print(f"    picture in {options.plot}")
    except ImportError as error:
        print(f"    no picture: {error}; pip install matplotlib")


if __name__ == "__main__":
    main()
