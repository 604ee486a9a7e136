"""Small data, two networks and a callback that the tests of training share."""

import numpy as np

import xpnet

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3))
Y = np.sin(X @ [1.0, -0.5, 0.3])
LABELS = (X[:, 0] + X[:, 1] > 0).astype(int)


def regressor(**options):
    return xpnet.MLP([3, 8, 1], hidden="tanh", dtype="float64", **options)


def classifier(**options):
    return xpnet.MLP([3, 8, 1], hidden="tanh", output="sigmoid", dtype="float64", **options)


def parameters(net):
    return np.concat([np.ravel(each) for each in net.parameters])


class Calls:
    """Writes down which methods were called, and what `look` sees after each batch."""

    def __init__(self, look=None):
        self.names, self.seen, self.look = [], [], look

    def on_train_start(self, training):
        self.names.append("train_start")

    def on_epoch_start(self, training):
        self.names.append("epoch_start")

    def on_batch_end(self, training):
        self.names.append("batch_end")
        if self.look:
            self.seen.append(self.look(training))

    def on_epoch_end(self, training):
        self.names.append("epoch_end")

    def on_train_end(self, training):
        self.names.append("train_end")
