"""Where the time of a training step goes, and what is left on the table.

    python benchmarks/step_profile.py [--repeats 15] [--out FOLDER]

The networks of `speed.py` are trained by `xpnet.fit` on one core with SGD, with a clock at every
matrix product and at the update. What shuffling costs is the difference to a training on rows in
their order. The last column is what xpnet leaves on the table: BLAS can add a product to an array,
``W <- W - rate * xᵀ delta`` in one call, which saves the update's pass over weights and gradients.
The Array API has no such function, and no gradient would be left to clip, to penalise, or to look
at. The saving is that of SciPy's BLAS on arrays of the same shapes: product and update by
`numpy.dot` and `xpnet.SGD`, less one call of ``gemm`` with ``beta=1``.
"""

import os
import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from machine import options, system
from scipy.linalg.blas import sgemm
from speed import WORKLOADS
from speed_contenders import LEARNING_RATE, Workload

import xpnet
from xpnet.backend.device import CPU
from xpnet.nn.optimizers import StepArrays


@dataclass
class Clock:
    """Adds up the seconds spent in some functions."""

    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the same function, with the clock running."""

        def call(*given: Any) -> Any:
            started = time.perf_counter()
            result = function(*given)
            self.seconds[name] += time.perf_counter() - started
            return result

        return call


def train(work: Workload, *, shuffle: bool) -> dict[str, float]:
    """Return the microseconds per step of one training, in all and of each part."""
    clock, net, (x, y) = Clock(), work.network(), work.data()
    products = {n: clock.timed("products", getattr(CPU, n)) for n in ("matmul", "matmul_into")}
    net.device = replace(CPU, **products)

    class TimedSGD(xpnet.SGD):
        def step(self, *given: Any) -> None:
            clock.timed("update", super().step)(*given)

    started = time.perf_counter()
    xpnet.fit(
        net, x, y, optimizer=TimedSGD(LEARNING_RATE), epochs=work.epochs,
        batch_size=work.batch_size, shuffle=shuffle, progress=False,
    )  # fmt: skip
    clock.seconds["step"] = time.perf_counter() - started
    return {name: 1e6 * each / work.steps for name, each in clock.seconds.items()}


def saving(work: Workload, repeats: int) -> float:
    """Return by how many microseconds BLAS would be faster that adds the products itself."""
    random, net, rate = np.random.default_rng(0), work.network(), 1e-9
    flat = np.zeros_like(net.flat)
    gradients = net.views(flat).weights
    blocks = [[f[i : i + CPU.block] for i in range(0, f.size, CPU.block)] for f in (net.flat, flat)]
    x, delta = (
        [random.standard_normal((work.batch_size, n)).astype(np.float32) for n in sizes]
        for sizes in (work.sizes[:-1], work.sizes[1:])
    )

    def apart() -> None:
        for gradient, a, d in zip(gradients, x, delta, strict=True):
            CPU.matmul_into(gradient, a.T, d)
        xpnet.SGD(rate).step(CPU.xp, StepArrays(*blocks, [], []), (rate,))

    def at_once() -> None:  # of the transposes, since SciPy's BLAS counts in columns
        for weights, a, d in zip(net.weights, x, delta, strict=True):
            sgemm(-rate, d.T, a.T, 1.0, weights.T, 0, 1, 1)

    times: dict[Callable[[], None], list[float]] = {apart: [], at_once: []}
    for _ in range(20 * repeats):
        for call, each in times.items():
            started = time.perf_counter()
            call()
            each.append(time.perf_counter() - started)
    return 1e6 * (statistics.median(times[apart]) - statistics.median(times[at_once]))


def main() -> None:
    given = options(__doc__.partition("\n")[0], repeats=15)
    lines = [
        "# Where the time of a training step goes", "",
        "Written by `python benchmarks/step_profile.py`; microseconds, medians of interleaved "
        "trainings. The clock itself takes about 0.2 for each product. Rest: biases, activations, "
        "loss, sums, Python. Left: what one BLAS call for product and update would save.", "",
        *system(), "",
        "| network | step, rows shuffled | gathering of rows | products | update | rest | left |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]  # fmt: skip
    for work in WORKLOADS:
        found = defaultdict(list)
        for _ in range(given.repeats):
            for shuffle in (True, False):
                for name, each in train(work, shuffle=shuffle).items():
                    found[name, shuffle].append(each)
        step, ordered, products, update = (
            statistics.median(found[key])
            for key in (("step", True), ("step", False), ("products", False), ("update", False))
        )
        parts = [step, step - ordered, products, update, ordered - products - update]
        left = saving(work, given.repeats)
        cells = " | ".join(f"{each:,.1f}" for each in parts)
        lines.append(f"| {work.name} | {cells} | {left:,.1f} ({left / step:.0%}) |")
    (given.out / "step_profile.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
