"""Which initial weights keep a network alive: the measurement behind ``init="auto"``.

    python benchmarks/initialisers.py --data FOLDER --fashion FOLDER [--out benchmarks/results]

Three tables. How signal and gradient fare through eight layers (no training, `xpnet.explain_init`);
sigmoid networks of one to eight hidden layers by rule and gain, trained on 20,000 images; the other
activations by rule, likewise. Accuracies are on 10,000 of the training images that are held out:
the test images choose nothing here.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from machine import system

import xpnet
from xpnet import initialisers

sys.path.insert(0, str(Path(__file__).parent.parent / "examples"))
from mnist import load

ROWS, HELD_OUT, WIDTH, EPOCHS, SEEDS = 20_000, 10_000, 128, 3, (0, 1)
SIGMOID_DEPTHS = (1, 2, 3, 5, 8)
OTHER_DEPTHS = (2, 5)
glorot = initialisers.glorot_uniform


def scaled(rule, gain):
    """Multiply a published rule by a gain in every hidden layer; Glorot's for the output."""

    def draw(generator, fan_in, fan_out):
        return (glorot if fan_out == 10 else rule)(generator, fan_in, fan_out) * (
            1.0 if fan_out == 10 else gain
        )

    return draw


def positive(generator, fan_in, fan_out):
    return generator.random((fan_in, fan_out)) / np.sqrt(fan_in)


def standard_normal(generator, fan_in, fan_out):
    return generator.standard_normal((fan_in, fan_out))


SIGMOID_RULES = {
    "U[0, 1) / √fan_in, one sign": positive,
    "N(0, 1)": standard_normal,
    "Glorot / √3 (scikit-learn)": scaled(glorot, 3**-0.5),
    "Glorot (PyTorch's gain 1)": scaled(glorot, 1.0),
    "4 × Glorot (Theano)": scaled(glorot, 4.0),
    "3.6 × LeCun (Kumar)": scaled(initialisers.lecun_normal, 12.8**0.5),
    "4 × orthogonal": scaled(initialisers.orthogonal, 4.0),
    "LSUV": "lsuv",
}
GAINS = (3.0, 4.0, 5.0, 6.0, 7.0)
OTHERS = ("tanh", "relu", "leaky_relu", "elu", "selu", "gelu", "silu", "softplus")
OTHER_RULES = ("auto", "glorot_uniform", "he_uniform", "lecun_normal", "orthogonal")


def network(hidden, depth, init, data, seed=0, gain=None):
    """Make a network; `gain` is what "auto" shall use between sigmoid layers."""
    kept = initialisers.SIGMOID_GAIN
    initialisers.SIGMOID_GAIN = gain or kept
    try:
        sizes = [784, *[WIDTH] * depth, 10]
        return xpnet.MLP(
            sizes, hidden=hidden, output="softmax", init=init, seed=seed, init_data=data[:512]
        )
    finally:
        initialisers.SIGMOID_GAIN = kept


def train(net, data, learning_rate):
    """Return the held-out accuracy after the first epoch and after the last one, in percent."""
    x, y, held_out = data
    try:
        history = xpnet.fit(
            net, x, y, optimizer=xpnet.SGD(learning_rate), schedule="linear", epochs=EPOCHS,
            batch_size=64, validation=held_out, metrics=["accuracy"], progress=False,
        )  # fmt: skip
    except xpnet.DivergenceError:
        return 0.0, 0.0
    curve = history.metrics["accuracy"]
    return 100 * curve[0], 100 * curve[-1]


def cell(data, hidden, depth, init, learning_rate, gain=None):
    results = [
        train(network(hidden, depth, init, data[0], seed, gain), data, learning_rate)
        for seed in SEEDS
    ]
    first, last = np.mean(results, axis=0)
    return f"{first:.1f} / **{last:.1f}**"


def table(header, rows):
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def signal_table(x):
    """Show how much of signal and gradient is left at the far end of eight layers."""
    cases = [("sigmoid", name, rule, None) for name, rule in SIGMOID_RULES.items()]
    cases += [("sigmoid", f"auto, gain {gain:g}", "auto", gain) for gain in GAINS]
    cases += [(hidden, "auto", "auto", None) for hidden in OTHERS]
    rows = []
    for hidden, name, rule, gain in cases:
        layers = xpnet.explain_init(network(hidden, 8, rule, x, gain=gain), x).layers[:-1]
        signals = [each.activation_variance for each in layers]
        gradients = [each.gradient_variance for each in layers]
        expected = layers[-1].expected_activation_variance
        back = layers[0].expected_gradient_variance / layers[-1].expected_gradient_variance
        figures = (signals[0], signals[3], signals[7], expected, gradients[0] / gradients[7], back)
        rows.append([hidden, name, *(f"{figure:.2g}" for figure in figures)])
    header = ["activation", "rule", "signal, layer 1", "layer 4", "layer 8", "expected",
              "gradient, layer 1 / layer 8", "expected"]  # fmt: skip
    return table(header, rows)


def sigmoid_table(data, depths, learning_rate):
    cases = [(name, rule, None) for name, rule in SIGMOID_RULES.items()]
    cases += [(f"**auto**, gain {gain:g}", "auto", gain) for gain in GAINS]
    rows = [
        [name, *(cell(data, "sigmoid", depth, rule, learning_rate, gain) for depth in depths)]
        for name, rule, gain in cases
    ]
    return table(["rule", *(f"depth {depth}" for depth in depths)], rows)


def others_table(data, depth, learning_rate):
    rows = [
        [hidden, *(cell(data, hidden, depth, rule, learning_rate) for rule in OTHER_RULES)]
        for hidden in OTHERS
    ]
    return table(["activation", *OTHER_RULES], rows)


def subset(folder, standardised=False):
    """Return x, y, (x held out, y held out) from the training images alone."""
    x, y, _, _ = load(folder)
    if standardised:
        x = (x - x.mean()) / x.std()
    return x[:ROWS], y[:ROWS], (x[-HELD_OUT:], y[-HELD_OUT:])


READING = """\
What decides
------------
"""


def main():
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--data", required=True, help="folder with MNIST's four IDX files")
    options.add_argument("--fashion", required=True, help="folder with Fashion-MNIST's")
    options.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    given = options.parse_args()

    mnist, fashion = subset(given.data), subset(given.fashion)
    standardised = subset(given.data, standardised=True)
    trained = f"{ROWS:,} images, {EPOCHS} epochs, batch 64, width {WIDTH}, {len(SEEDS)} seeds"
    parts = [
        "# Initial weights, measured\n",
        *system(),
        f"\n`python benchmarks/initialisers.py`. Trained: {trained}, SGD whose rate falls linearly "
        f"to 0. Every cell: accuracy in % on {HELD_OUT:,} held-out training images after epoch 1 / "
        f"**after epoch {EPOCHS}**.\n",
        READING,
    ]
    sections = [
        ("Signal and gradient through eight layers, before training (standardised MNIST; signal is "
         "the variance of an activation over the images)", lambda: signal_table(standardised[0])),
        ("Sigmoid, MNIST / 255, learning rate 0.5",
         lambda: sigmoid_table(mnist, SIGMOID_DEPTHS, 0.5)),
        ("Sigmoid, MNIST / 255, learning rate 0.1",
         lambda: sigmoid_table(mnist, SIGMOID_DEPTHS, 0.1)),
        ("Sigmoid, MNIST standardised, learning rate 0.5",
         lambda: sigmoid_table(standardised, (1, 2, 5), 0.5)),
        ("Sigmoid, Fashion-MNIST / 255, learning rate 0.5",
         lambda: sigmoid_table(fashion, (2, 5), 0.5)),
        *((f"Other activations, MNIST / 255, depth {depth}, learning rate 0.1",
           lambda depth=depth: others_table(mnist, depth, 0.1)) for depth in OTHER_DEPTHS),
    ]  # fmt: skip
    for title, section in sections:
        print(title, file=sys.stderr)
        parts.append(f"\n## {title}\n\n{section()}")
        (given.out / "initialisers.md").write_text("\n".join(parts) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
