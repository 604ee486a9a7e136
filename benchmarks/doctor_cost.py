"""What the doctor costs: as a callback of `fit`, with and without it by turns; and as `watch`.

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


def watching(rows: int, steps: int = 6000) -> list[float]:
    """Return seconds of each call of `watch` in the second half of a 3-4-1 network's loop."""
    rng, doctor, took = np.random.default_rng(0), xpnet.Doctor(), []
    x_all = rng.standard_normal((100, 3))
    y_all = (x_all[:, :1] > 0.0) * 1.0
    weights = [rng.standard_normal((3, 4)), rng.standard_normal((4, 1))]
    for _ in range(steps):
        chosen = rng.integers(0, 100, rows) if rows < 100 else slice(None)
        x, y = x_all[chosen], y_all[chosen]
        hidden = np.tanh(x @ weights[0])
        outputs = 1.0 / (1.0 + np.exp(-hidden @ weights[1]))
        delta = (outputs - y) / len(x)
        gradients = [x.T @ (delta @ weights[1].T * (1.0 - hidden**2)), hidden.T @ delta]
        started = time.perf_counter()
        doctor.watch(
            loss=np.mean((outputs - y) ** 2), inputs=x, targets=y, predictions=outputs,
            activations=[hidden], learning_rate=0.1,
            parameters=dict(zip("WV", weights, strict=True)),
            gradients=dict(zip("WV", gradients, strict=True)),
        )  # fmt: skip
        took.append(time.perf_counter() - started)
        weights = [w - 0.1 * g for w, g in zip(weights, gradients, strict=True)]
    return took[steps // 2 :]


def main() -> None:
    given = options(__doc__.partition("\n")[0], repeats=15)
    lines = [
        "# What the doctor costs", "",
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
    lines += ["", "A call of `watch` in a hand-written loop, 3-4-1, after 3,000 steps:", "",
              "| rows | median | mean |", "|---:|---:|---:|"]  # fmt: skip
    for rows in (100, 10, 1):
        took = [1e6 * each for each in watching(rows)]
        lines.append(
            f"| {rows} | {statistics.median(took):.0f} us | {statistics.mean(took):.0f} us |"
        )
    (given.out / "doctor_cost.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
