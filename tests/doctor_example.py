"""A network and points in which the doctor finds nothing; the tests add the mistakes."""

import numpy as np

import xpnet
from xpnet import SGD

X = np.random.default_rng(2).uniform(-1.7, 1.7, (300, 2))
Y = (np.sum(X**2, axis=1) < 1.8).astype(float)
HEALTHY = {"optimizer": SGD(0.3), "epochs": 40}


def draw():
    """Return a generator of one's own: no test depends on which ran before it."""
    return np.random.default_rng(3)


def network(**options):
    return xpnet.MLP([2, 12, 1], **({"hidden": "tanh", "output": "sigmoid", "seed": 1} | options))
