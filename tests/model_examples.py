"""Good model files, for the tests of what becomes of them and of what is done to them."""

from pathlib import Path

import numpy as np

from xpnet.nn.network import MLP
from xpnet.saving.container import write_container

KEPT = Path(__file__).parent / "data" / "model-v1.safetensors"
PREPROCESSING = {
    "task": "multiclass",
    "target": "bought",
    "columns": [
        {"name": "age", "mean": 40.5, "std": 12.25},
        {"name": "colour", "categories": ["blue", "réd"]},
    ],
    "classes": ["no", "yes"],
    "target_mean": 0.0,
    "target_std": 1.0,
    "missing": "refuse",
    "layout": "table",
}


def example(dtype="float32", seed=3):
    net = MLP([3, 4, 2], hidden="tanh", output="softmax", dropout=0.25, dtype=dtype, seed=seed)
    for each in net.biases:
        each += 0.5
    return net


def parts():
    """Return fields (JSON) and tensors of a good file, free to be changed."""
    net = example()
    fields = {"architecture": net.config(), "preprocessing": None, "training": {"epochs": 5}}
    tensors = {f"weights.{i}": np.array(w) for i, w in enumerate(net.weights)}
    tensors |= {f"biases.{i}": np.array(b) for i, b in enumerate(net.biases)}
    return fields, tensors


def good_bytes(path):
    fields, tensors = parts()
    write_container(path, "model", 1, fields, tensors)
    return path.read_bytes()
