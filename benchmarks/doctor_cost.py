"""What the doctor costs as a callback of `fit`: the same trainings with and without it, by turns.

python benchmarks/doctor_cost.py [--repeats 15] [--out FOLDER]
"""

import os
import statistics
import time

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from machine import options, system

import xpnet

WORKLOADS = (  # sizes, batch size, rows, epochs: a fifth of a second each
    ((2, 4, 2, 2), 10, 500, 100),
    ((30, 64, 64, 2), 32, 640, 150),
    ((784, 128, 128, 10), 64, 6400, 5),
)


def seconds(sizes: tuple[int, ...], batch: int, rows: int, epochs: int, watched: bool) -> float:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((rows, sizes[0])).astype(np.float32)
    y = rng.integers(0, sizes[-1], rows)
    net = xpnet.MLP(sizes, output="softmax")
    callbacks = [xpnet.Doctor()] if watched else []
    started = time.perf_counter()
    xpnet.fit(net, x, y, batch_size=batch, epochs=epochs, callbacks=callbacks, progress=False)
    return time.perf_counter() - started


def main() -> None:
    given = options(__doc__.partition("\n")[0], repeats=15)
    lines = [
        "# What the doctor costs as a callback", "",
        "Written by `python benchmarks/doctor_cost.py`; medians of runs by turns.", "",
        *system(), "", "| network | without | with | more |", "|---|---:|---:|---:|",
    ]  # fmt: skip
    for workload in WORKLOADS:
        pairs = [[seconds(*workload, watched) for watched in (False, True)]
                 for _ in range(given.repeats)]  # fmt: skip
        without, watched = (statistics.median(each) for each in zip(*pairs, strict=True))
        name = "-".join(map(str, workload[0]))
        more = f"{watched / without - 1.0:+.1%}"
        lines.append(
            f"| {name}, batch {workload[1]} | {without:.3f} s | {watched:.3f} s | {more} |"
        )
    (given.out / "doctor_cost.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
