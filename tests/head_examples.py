"""Every output with every loss that fits it, and targets in the range of each."""

import numpy as np

from xpnet.nn.activations import OUTPUTS
from xpnet.nn.losses import LOSSES

HEADS = [
    (output, name)
    for output in OUTPUTS
    for name, loss in LOSSES.items()
    if loss.outputs is None or output in loss.outputs
]
LARGEST = {"float32": 3e38, "float64": 1e308}


def targets_for(output, rng, shape, *, hard=False):
    """Targets that the output can reach: soft ones, or for classes one of them per row."""
    if output == "softmax":
        if hard:
            return np.eye(shape[1])[rng.integers(shape[1], size=shape[0])]
        raw = rng.random(shape) + 0.1
        return raw / raw.sum(axis=1, keepdims=True)
    if output == "sigmoid":
        return rng.integers(2, size=shape) * 1.0 if hard else rng.random(shape)
    return rng.random(shape) * 3.0 if output in ("exp", "softplus") else rng.normal(size=shape)
