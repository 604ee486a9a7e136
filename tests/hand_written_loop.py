"""A network trained by hand, as people write it, with mistakes that a test switches on."""

from itertools import pairwise

import numpy as np
from doctor_example import X, draw

from xpnet import Doctor

POINTS = np.random.default_rng(0).normal(size=(60, 3))
SIDES = 1.0 * (POINTS[:, :1] + POINTS[:, 1:2] > 0)
THREE = np.eye(3)[(X[:, 0] > 0.4).astype(int) + (X[:, 1] > 0.4)]


def sigmoid(z):
    return 1.0 / (1.0 + np.exp(-z))


FORWARD = {"tanh": np.tanh, "sigmoid": sigmoid, "relu": lambda z: np.maximum(z, 0.0),
           "linear": lambda z: z}  # fmt: skip
RIGHT = {"tanh": lambda a: 1.0 - a**2, "sigmoid": lambda a: a * (1.0 - a),
         "relu": lambda a: 1.0 * (a > 0), "linear": np.ones_like}  # fmt: skip


def softmax(z, axis=1):
    e = np.exp(z - z.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def network(layers=(2, 8, 3), seed=3):
    random, p = np.random.default_rng(seed), {}
    for i, shape in enumerate(pairwise(layers), 1):
        p[f"W{i}"], p[f"b{i}"] = random.normal(0, 0.7, shape), 0.1 * random.normal(size=shape[1])
    return p


def train(
    *, hidden="tanh", slope=None, output=softmax, update=None, carry=0.0, steps=60, batch=50,
    rate=0.2, factor=1.0, redraw_every=0, layers=(2, 8, 3), names="{}", turned=False, show=dict,
    start=(), back=lambda delta, w: delta @ w.T, product=lambda x, a, delta: x.T @ delta,
):  # fmt: skip
    """Train by hand with cross-entropy, perhaps wrong ones of these; return the report.

    `factor` multiplies the rate in each step; `show` changes what the doctor is shown; `back` gives
    the error of the layer below, `product` the gradient of a layer's weights.
    """
    doctor, p, random, x, y = Doctor(), network(layers), draw(), X, THREE[:, : layers[-1]]
    p |= dict(start)
    slope, before, last = slope or RIGHT[hidden], {}, len(layers) - 1
    for number in range(steps):
        p = network(layers, number) if redraw_every and number % redraw_every == 0 else p
        rows = random.permutation(len(x))[:batch]
        a, t = [x[rows]], y[rows]
        for i in range(1, last):
            a.append(FORWARD[hidden](a[-1] @ p[f"W{i}"] + p[f"b{i}"]))
        o = output(a[-1] @ p[f"W{last}"] + p[f"b{last}"])
        delta, g = (o - t) / len(rows), {}
        for i in range(last, 0, -1):
            g[f"W{i}"] = product(a[i - 1], (*a, o)[i], delta)
            g[f"b{i}"] = delta.sum(axis=0)
            delta = back(delta, p[f"W{i}"]) * slope(a[i - 1]) if i > 1 else None
        g = {name: g[name] + carry * before.get(name, 0.0) for name in p}
        before = g
        shown = {"inputs": a[0], "targets": t, "predictions": o}
        if turned:  # samples as columns, weights (units, inputs)
            shown = {name: each.T for name, each in shown.items()}
        right = 1.0 - np.abs(o - t) if layers[-1] == 1 else np.sum(o * t, axis=1)
        shown |= {
            "loss": -np.mean(np.log(right + 1e-300)), "learning_rate": rate,
            "parameters": {n: q.T if turned else q.copy() for n, q in p.items()},
            "gradients": {names.format(n): q.T if turned else q for n, q in g.items()},
            "activations": [each.T if turned else each for each in a[1:]],
        }  # fmt: skip
        doctor.watch(**show(shown))
        for name in p:
            step = -rate * g[name] if update is None else update(name, g[name])
            p[name] = p[name] + step
        rate *= factor
    return doctor.report()


def logistic(
    p, *, steps=60, rate=0.1, sign=1.0, loss=None, x=POINTS, y=SIDES, batch=60, show=()
):  # fmt: skip
    """Train one sigmoid unit by hand; `show` changes what the doctor is shown."""
    doctor, p = Doctor(), {name: each.copy() for name, each in p.items()}
    for step in range(steps):
        rows = slice(step * batch % len(x), step * batch % len(x) + batch)
        o = sigmoid(x[rows] @ p["w"] + p["b"]).reshape(len(x[rows]), -1)
        delta = sign * (o - y[rows]) / len(o)
        g = {"w": (x[rows].T @ delta).reshape(p["w"].shape), "b": delta.sum(axis=0)}
        with np.errstate(divide="ignore", invalid="ignore"):
            terms = y[rows] * np.log(o), (1 - y[rows]) * np.log(1 - o)
            value = -np.mean(terms[0] + terms[1]) if loss is None else loss(*terms)
        shown = {"loss": value, "parameters": p, "gradients": g, "predictions": o,
                 "targets": y[rows], "inputs": x[rows], "learning_rate": rate}  # fmt: skip
        doctor.watch(**shown | dict(show))
        p = {name: p[name] - rate * g[name] for name in p}
    return doctor.report()
