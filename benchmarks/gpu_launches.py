"""How much the host tells a GPU in a training step, and how often it waits: counted, not timed.

    .venv-cuda/bin/python benchmarks/gpu_launches.py [--out FOLDER]

It needs the emulated GPU of the tests (`make test-cuda` sets it up), which counts commands: a real
one does not. The networks are those of `speed.py`; with at most 4 rows in a batch of the two large
ones, which the emulation would otherwise compute for minutes. The counts do not depend on that.
"""

from dataclasses import replace
from typing import Any

import emulated_cuda
from gpu_contenders import WAYS, callbacks_of
from machine import options, system
from speed import WORKLOADS
from speed_contenders import LEARNING_RATE, Workload

import xpnet
from xpnet.backend.device import open_device

EPOCHS = 3  # everything is compiled in the first one, and recorded in the second


class CountEpoch:
    """A callback that counts what the host does in an epoch, its end included; keeps the last."""

    counts: dict[str, int]

    def on_epoch_start(self, training: Any) -> None:
        """Begin to count."""
        self.before = emulated_cuda.counts()

    def on_epoch_end(self, training: Any) -> None:
        """Count."""
        now = emulated_cuda.counts()
        self.counts = {name: number - self.before[name] for name, number in now.items()}


def few_rows(work: Workload) -> Workload:
    """Return the workload with as many steps in an epoch, but at most 4 rows in a large batch."""
    if work.sizes[0] < 100:
        return work
    return replace(work, batch_size=4, rows=4 * (work.rows // work.batch_size))


def counted(work: Workload, way: str) -> dict[str, int]:
    """Return the counts of one epoch, long after everything is compiled and recorded."""
    net, (x, y), count = (
        work.network().to(open_device("gpu", **WAYS[way])),
        work.data(),
        CountEpoch(),
    )
    xpnet.fit(
        net, x, y, optimizer=xpnet.SGD(LEARNING_RATE), epochs=EPOCHS, batch_size=work.batch_size,
        progress=False, callbacks=[count, *callbacks_of(way)],
    )  # fmt: skip
    return count.counts


def main() -> None:
    given = options(__doc__.partition("\n")[0], repeats=1)
    lines = [
        "# What the host tells a GPU", "",
        "Written by `python benchmarks/gpu_launches.py` on the emulated GPU of the tests. "
        "Commands are kernels, matrix products, copies, fills and graphs that the host gives the "
        "GPU; all those of an epoch, its end included, divided by its steps. Executed are the "
        "kernels and products that the GPU ran, within graphs too. Waits are those of the host for "
        "the GPU, per epoch. No time is claimed.", "",
        *system(), "",
        "| network | way | steps in an epoch | commands per step | executed per step "
        "| waits per epoch |",
        "|---|---|---:|---:|---:|---:|",
    ]  # fmt: skip
    for work in map(few_rows, WORKLOADS):
        steps = work.rows // work.batch_size
        for way in WAYS:
            count = counted(work, way)
            commands = sum(count[kind] for kind in emulated_cuda.KINDS) / steps
            executed = (count["executed_kernel"] + count["executed_product"]) / steps
            name = f"{work.name}: {'-'.join(map(str, work.sizes))}"
            lines.append(
                f"| {name} | {way} | {steps} | {commands:.1f} | {executed:.1f} | {count['waits']} |"
            )
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "gpu_launches.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
