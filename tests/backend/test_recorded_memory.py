"""What a CUDA graph keeps in memory is its own, whatever else happens to CuPy's memory."""

import numpy as np
import pytest

import xpnet
from xpnet.backend.device import open_device

pytestmark = pytest.mark.cuda


class UseMemory:
    """A callback that gives back what CuPy holds in reserve, and fills memory of all sizes."""

    def __init__(self, cupy):
        self.cupy, self.arrays = cupy, []

    def on_batch_end(self, training):
        self.cupy.get_default_memory_pool().free_all_blocks()
        self.arrays += [self.cupy.full(size, 7.0, "float32") for size in (1, 40, 130, 1000)]


def test_memory_that_others_free_and_use_between_replays_is_not_the_recordings(cuda):
    import cupy

    rows = np.random.default_rng(0).standard_normal((64, 5)).astype("float32")
    use, found = UseMemory(cupy), []
    for callbacks in ([use], []):
        net = xpnet.MLP([5, 8, 8, 1], device=open_device("gpu", graph=True), seed=2)
        fitting = {"epochs": 4, "batch_size": 8, "optimizer": xpnet.Adam(0.01), "progress": False}
        history = xpnet.fit(net, rows, rows[:, 0], callbacks=callbacks, **fitting)
        found.append([history.loss, net.predict(rows)])
    np.testing.assert_equal(found[0], found[1])
    assert all(bool((each == 7.0).all()) for each in use.arrays)
