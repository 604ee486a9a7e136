"""What the host gives the GPU in one training step: a table for each way to take it.

    cd tests && python -m emulated_cuda.commands_per_step

The step is the second to last of an epoch of a network with two hidden layers, trained by SGD with
momentum, long after everything is compiled and recorded.
"""

from typing import Any

import numpy as np

import emulated_cuda
import xpnet
from xpnet.backend.device import open_device

WAYS = {
    "eager": {"fuse": False, "graph": False},
    "fused": {"fuse": True, "graph": False},
    "graph": {"fuse": True, "graph": True},
}
GIVEN = ("kernel", "product", "copy_in", "copy_out", "copy_within", "fill", "graph", "waits")
STEPS = 8


class CountStep:
    """A callback that counts the commands of one step, and of one epoch after the first."""

    def on_epoch_start(self, training: Any) -> None:
        self.at_start = emulated_cuda.counts()

    def on_batch_end(self, training: Any) -> None:
        now = emulated_cuda.counts()
        if training.state.batch == STEPS - 1:
            self.step = difference(now, self.before)
        self.before = now

    def on_epoch_end(self, training: Any) -> None:
        self.epoch = difference(emulated_cuda.counts(), self.at_start)


def difference(now: dict[str, int], before: dict[str, int]) -> dict[str, int]:
    """Return what was added between two results of `emulated_cuda.counts`."""
    return {name: number - before[name] for name, number in now.items()}


def count(hidden: str, **way: bool) -> CountStep:
    """Train two epochs; return the counts of the second."""
    rows = np.random.default_rng(0).normal(size=(STEPS * 16, 6)).astype("float32")
    device = open_device("gpu", **way)
    net = xpnet.MLP([6, 8, 8, 1], hidden=hidden, device=device)
    counted = CountStep()
    xpnet.fit(
        net, rows, rows[:, 0], batch_size=16, epochs=2,
        optimizer=xpnet.SGD(0.01, momentum=0.9), progress=False, callbacks=[counted],
    )  # fmt: skip
    return counted


def main() -> None:
    """Print the table."""
    print(f"{'':20}", *(f"{each:>11}" for each in GIVEN), f"{'executed':>11}")
    for hidden in ("relu", "tanh", "gelu", "selu"):
        for name, way in WAYS.items():
            step = count(hidden, **way).step
            executed = step["executed_kernel"] + step["executed_product"]
            numbers = (f"{step[each]:>11}" for each in GIVEN)
            print(f"{hidden:12}{name:8}", *numbers, f"{executed:>11}")


if __name__ == "__main__":
    main()
