"""A network trained in NumPy alone: a run of xpnet's playground, with its mistakes if it has any.

`RUN` has the address; numbers.npz, with rows and initial parameters, has to lie beside this file.
"""

import json
from pathlib import Path
from zlib import crc32

import numpy as np

RUN = json.loads("{}")

ACTIVATIONS = {  # value and derivative
    "tanh": (np.tanh, lambda z, a: 1 - a**2),
    "relu": (lambda z: np.maximum(z, 0), lambda z, a: z > 0),
    "sigmoid": (lambda z: 1 / (1 + np.exp(np.minimum(-z, 88))), lambda z, a: a * (1 - a)),
    "leaky_relu": (lambda z: np.maximum(z, 0.01 * z), lambda z, a: np.where(z > 0, 1, 0.01)),
    "elu": (
        lambda z: np.maximum(z, 0) + np.expm1(np.minimum(z, 0)),
        lambda z, a: np.minimum(a, 0) + 1,
    ),
    "identity": (lambda z: z, lambda z, a: 1.0),
}
LOSSES = {  # value and derivative, of outputs a and targets t
    "squared_error": (lambda a, t: (a - t) ** 2, lambda a, t: 2 * (a - t)),
    "absolute_error": (lambda a, t: np.abs(a - t), lambda a, t: np.sign(a - t)),
    "binary_cross_entropy": (
        lambda a, t: -t * log(a) - (1 - t) * log(1 - a),
        lambda a, t: (a - t) / np.maximum(a * (1 - a), 1e-37),
    ),
}


def log(p):
    return np.log(np.maximum(p, 1e-37))


def draw(purpose, *numbers):
    seeds = [RUN["seed"], crc32(purpose.encode()), *numbers]
    return np.random.Generator(np.random.PCG64(seeds))


def mixed(counter, key):
    """Hash by splitmix64, for dropout."""
    z = counter * np.uint64(0x9E3779B97F4A7C15) + key
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def dropout(step, layer, a):
    if not RUN["dropout"]:
        return 1.0
    keys = draw("dropout").integers(1 << 63, size=len(weights) - 1).astype(np.uint64)
    counter = np.arange(a.size, dtype=np.uint64).reshape(a.shape)
    hashed = mixed(counter, mixed(np.array([step], dtype=np.uint64), keys[layer]))
    return (hashed < np.uint64(int((1 - RUN["dropout"]) * 2.0**64))) / (1 - RUN["dropout"])


def loss_and_delta(z, a, t):
    """Return the loss of a batch and its derivative by the last z, (m, 1)."""
    value, slope = LOSSES[RUN["loss"]]
    if RUN["loss"] == "binary_cross_entropy" and not {"sign", "sum", "pairs"} & {*RUN["mistakes"]}:
        return np.mean(np.logaddexp(0, z) - t * z), (a - t) / len(t)
    if "pairs" in RUN["mistakes"]:
        t = t[:, 0]  # (m,), so that a - t is (m, m)
    back = np.sum(slope(a, t), axis=1, keepdims=True)
    if "sum" in RUN["mistakes"]:
        back = np.sum(back) * np.ones_like(a)
    if "sign" in RUN["mistakes"]:
        back = -back
    return np.mean(np.sum(value(a, t), axis=1)), back * derivatives[-1](z, a) / len(t)


def update(parameter, gradient, moments, t):
    """Take a step in place, of SGD or of Adam."""
    rate = RUN["rate"]
    if RUN["optimizer"] == "sgd":
        parameter -= rate * gradient
        return
    mean, square = moments
    mean += 0.1 * (gradient - mean)
    square += 0.001 * (gradient**2 - square)
    rate *= np.sqrt(1 - 0.999**t) / (1 - 0.9**t)
    parameter -= rate * mean / (np.sqrt(square) + 1e-8)


numbers = np.load(Path(__file__).with_name("numbers.npz"))
x, y = numbers["x"], numbers["y"]  # (rows, 2), (rows, 1)
functions, derivatives = zip(*(ACTIVATIONS[name] for name in RUN["activations"]))
layers = range(len(functions))
weights, biases = ([numbers[f"{kind}{i}"] for i in layers] for kind in ("weights", "biases"))
moments = [np.zeros((2, *each.shape)) for each in (*weights, *biases)]
losses = []
for step in range(RUN["steps"]):
    epoch, batch = divmod(step, -(-len(x) // RUN["batch"]))
    if batch == 0:
        order = draw("order", epoch).permutation(len(x))
        if "bias" in RUN["mistakes"]:
            order = np.arange(len(x))
    rows = order[batch * RUN["batch"] : (batch + 1) * RUN["batch"]]
    for at, layer, row, column, value in RUN["edits"]:
        if at == step:
            (biases[layer] if row < 0 else weights[layer][row])[..., column] = value

    inputs, zs, activations, masks = [x[rows]], [], [], []
    for i in layers:
        zs.append(inputs[i] @ weights[i] + biases[i])
        activations.append(functions[i](zs[i]))
        masks.append(dropout(step, i, activations[i]) if i < layers[-1] else 1.0)
        inputs.append(activations[i] * masks[i])

    loss, delta = loss_and_delta(zs[-1], activations[-1], y[rows])
    losses.append(loss)
    slopes = [None] * (2 * len(layers))
    for i in reversed(layers):
        penalty = RUN["l2"] * weights[i] + RUN["l1"] * np.sign(weights[i])
        slopes[i] = inputs[i].T @ delta + penalty
        slopes[len(layers) + i] = np.sum(delta, axis=0)
        if "bias" in RUN["mistakes"]:
            slopes[len(layers) + i] = delta  # one for each row
            biases[i] = biases[i] + np.zeros_like(delta)
        if i:
            back = delta @ weights[i].T * masks[i - 1]
            delta = back * derivatives[i - 1](zs[i - 1], activations[i - 1])
    for parameter, slope, pair in zip((*weights, *biases), slopes, moments):
        update(parameter, slope, pair, step + 1)

print(f"{len(losses)} steps, loss {losses[0]:.9f} -> {losses[-1]:.9f}")
