"""One training, what ends it early, and what is compared when it has been resumed."""

import json

import numpy as np

import xpnet

DRAW = np.random.default_rng(0)
X = DRAW.normal(size=(101, 4))
Y = (X[:, :1] * X[:, 1:2] > 0).astype(np.float64)


def network(**options):
    settings = {"hidden": "tanh", "output": "sigmoid", "dropout": 0.2, "seed": 5}
    return xpnet.MLP([4, 9, 7, 1], **settings | options)


def train(net, callbacks=(), **options):
    settings = {"optimizer": xpnet.Adam(0.01), "epochs": 6, "batch_size": 16, "validation": 0.2}
    settings |= {"schedule": "cosine", "metrics": ["accuracy"], "progress": False}
    return xpnet.fit(net, X, Y, callbacks=callbacks, **settings | options)


class StopAt:
    """Ends a run as a crash would, after a certain step."""

    def __init__(self, step):
        self.step = step

    def on_batch_end(self, training):
        if training.state.step == self.step:
            raise RuntimeError("crash")


def without_seconds(history):
    values = history.to_dict()
    del values["seconds"]
    return json.dumps(values, sort_keys=True)


def bits(net):
    return [each.tobytes() for each in net.parameters]


def names(directory):
    return sorted(each.name for each in directory.iterdir())


def steps_of(path):
    return int(path.stem.removeprefix("checkpoint-"))
