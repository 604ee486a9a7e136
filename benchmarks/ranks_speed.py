"""How long a step of one network on several processes takes, and what of it is communication.

    python benchmarks/ranks_speed.py [--repeats 3] [--out FOLDER]

Needs the extra ``mpi``. As root its processes come before all other programs of the machine,
and it measures also over a link with a delay (`link.py`).
"""

import json
import os
import subprocess
import sys
import time
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from link import come_first, link
from machine import options, system

MPIEXEC = str(Path(sys.executable).parent / "mpiexec")
WORKLOADS = {
    "toy: 2-4-2-2, batch 12": ((2, 4, 2, 2), 12, 2400),
    "table: 30-64-64-2, batch 32": ((30, 64, 64, 2), 32, 3200),
    "MNIST: 784-128-128-10, batch 64": ((784, 128, 128, 10), 64, 3200),
    "wide: 784-1024-1024-10, batch 256": ((784, 1024, 1024, 10), 256, 2560),
    "784-4096-4096-10, batch 256": ((784, 4096, 4096, 10), 256, 512),
}
LINKS = {"0.05 ms, 10 Gbit/s": (5e-5, 1e10), "0.5 ms, 1 Gbit/s": (5e-4, 1e9)}  # one way
ALONE, CHUNKED, PLAIN = "alone", "4", "0"  # without processes; --chunks
MODELLED = (4, 8, 16)


def measure(name: str, contenders: list[str], repeats: int) -> dict[str, list[float]]:
    """Return microseconds of a step, and of waiting for other processes, of each contender.

    They take turns; the fastest epoch of all counts.
    """
    from mpi4py import MPI

    import xpnet
    from xpnet.training import parallel

    sizes, batch, rows = WORKLOADS[name]
    x = np.random.default_rng(0).normal(size=(rows, sizes[0])).astype("float32")
    y = np.random.default_rng(1).integers(0, sizes[-1], rows)
    waited, wait = [0.0], parallel._wait

    def timed(*request: Any) -> None:
        started = time.perf_counter()
        wait(*request)
        waited[0] += time.perf_counter() - started

    parallel._wait = timed
    best = {chosen: [float("inf"), 0.0] for chosen in contenders}
    for chosen in contenders * repeats:
        how = {} if chosen == ALONE else {"parallel": MPI.COMM_WORLD, "chunks": int(chosen)}
        net, marks = xpnet.MLP(sizes, output="softmax", seed=0), [0.0]
        waited[0] = 0.0
        history = xpnet.fit(
            net, x, y, epochs=3, batch_size=batch, progress=False, compile="off",
            optimizer=xpnet.SGD(0.001), callbacks=[lambda _, m=marks: m.append(waited[0])], **how,
        )  # fmt: skip
        seconds = zip(history.seconds, np.diff(marks).tolist(), strict=True)
        fastest = [1e6 * each / -(-rows // batch) for each in min(seconds)]
        best[chosen] = min(best[chosen], fastest)
    return best


def measured(
    name: str, processes: int, contenders: list[str], repeats: int, start: list[str] | None = None
) -> dict[str, list[float]]:
    """Do so on several processes; ``start`` begins the command."""
    command = [*(start or [MPIEXEC]), "-n", str(processes), sys.executable, "-W", "ignore",
               __file__, "worker", name, ",".join(contenders), str(repeats)]  # fmt: skip
    run = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=True,
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
    )  # fmt: skip
    found: dict[str, list[float]] = json.loads(run.stdout.splitlines()[-1])
    return found


def on_one_machine(repeats: int) -> tuple[list[str], dict[str, Any]]:
    """Measure all networks on 1 to 4 processes."""
    lines = ["| network | alone | 1 | 2 | waiting | 3 | 4 | waiting | chunks cost at 2 | at 4 |",
             "|---|---|---|---|---|---|---|---|---|---|"]  # fmt: skip
    kept = {}
    for name in WORKLOADS:
        few = 1 if "4096" in name else repeats
        one = measured(name, 1, [ALONE, CHUNKED], few)
        two, three, four = (measured(name, n, [PLAIN, CHUNKED], few) for n in (2, 3, 4))
        kept[name] = {"1": one, "2": two}
        cost = [f"{100 * (each[CHUNKED][0] / each[PLAIN][0] - 1):+.0f} %" for each in (two, four)]
        waiting = [f"{100 * each[CHUNKED][1] / each[CHUNKED][0]:.0f} %" for each in (two, four)]
        cells = [f"{one[ALONE][0]:,.0f}", f"{one[CHUNKED][0]:,.0f}", f"{two[CHUNKED][0]:,.0f}",
                 waiting[0], f"{three[CHUNKED][0]:,.0f}", f"{four[CHUNKED][0]:,.0f}",
                 waiting[1], *cost]  # fmt: skip
        lines.append(f"| {name} | {' | '.join(cells)} |")
        print(lines[-1], flush=True)
    return lines, kept


def over_links(repeats: int, kept: dict[str, Any]) -> list[str]:
    """Measure two processes on both ends of a link."""
    lines = [f"| network | alone | {' | '.join(f'{each} | waiting' for each in LINKS)} |",
             f"|---|---|{'---|---|' * len(LINKS)}"]  # fmt: skip
    cells = {name: [f"{kept[name]['1'][ALONE][0]:,.0f}"] for name in WORKLOADS}
    for called, (delay, rate) in LINKS.items():
        with link(MPIEXEC, delay, rate) as start:
            for name in WORKLOADS:
                few = 1 if "4096" in name else repeats
                step, waiting = measured(name, 2, [CHUNKED], few, start)[CHUNKED]
                kept[name][called] = step, waiting
                cells[name] += [f"{step:,.0f}", f"{100 * waiting / step:.0f} %"]
                print(called, name, cells[name][-2:], flush=True)
    return [*lines, *(f"| {name} | {' | '.join(each)} |" for name, each in cells.items())]


def model(kept: dict[str, Any]) -> list[str]:
    """Fit latency and rate to the waiting of two processes; tell the steps of more of them.

    The steps without waiting, t(1) and t(2), give what is divided, 2 (t(1) - t(2)), and what is
    not. To add a gradient of b bytes, n processes send 2 (n - 1) / n b each, in 2 log2 n rounds.
    """
    lines = [f"| network | link | {' | '.join(str(n) for n in (1, 2, *MODELLED))} |",
             f"|---|---|{'---|' * (2 + len(MODELLED))}"]  # fmt: skip
    off = list[float]()
    for called in LINKS:
        size = {name: 4 * sum((a + 1) * b for a, b in pairwise(s))
                for name, (s, _, _) in WORKLOADS.items()}  # fmt: skip
        waits = np.asarray([kept[name][called][1] for name in WORKLOADS])
        table = np.asarray([[2.0, size[name]] for name in WORKLOADS])
        latency, per_byte = np.linalg.lstsq(table / waits[:, None], np.ones(len(waits)))[0]
        for name in WORKLOADS:
            step, waiting = kept[name]["2"][CHUNKED]
            alone = kept[name]["1"][CHUNKED][0]
            divided = max(0.0, 2 * (alone - (step - waiting)))
            rest, told = alone - divided, [f"{kept[name]['1'][ALONE][0]:,.0f}"]
            for n in (2, *MODELLED):
                sent = 2 * (n - 1) / n * size[name]
                talk = max(latency, 0.0) * 2 * np.log2(n) + max(per_byte, 0.0) * sent
                told.append(f"{rest + divided / n + talk:,.0f}")
                if n == 2:
                    off.append(abs((rest + divided / n + talk) / kept[name][called][0] - 1))
            lines.append(f"| {name} | {called} | {' | '.join(told)} |")
        lines.append(f"| *fitted* | {called} | latency {latency:,.0f} | "
                     f"{8e-3 / per_byte:,.2f} Gbit/s |{' |' * len(MODELLED)}")  # fmt: skip
    away = f"For two processes it is up to {100 * max(off):.0f} % away from what was measured."
    return [*lines, "", away]


def main() -> None:
    """Measure, and write the report."""
    given = options((__doc__ or "").splitlines()[0], 3)
    table, kept = on_one_machine(given.repeats)
    text = [
        "# Steps of one network on several processes", "",
        "Written by `python benchmarks/ranks_speed.py`; microseconds of a step, of the fastest",
        "epoch.", "", *system(), f"- mpi4py {version('mpi4py')}, mpich {version('mpich')}", "",
        "## On one machine", "",
        "*Alone* is `xpnet.fit` without processes; 1 to 4 processes add four fixed chunks. What",
        "these cost is compared with a plain Allreduce (`--chunks 0`). With more processes than",
        "processors, they wait for each other.", "", *table, "",
    ]  # fmt: skip
    if os.geteuid() == 0:
        text += [
            "## Over a network", "",
            "Two processes in two network namespaces, TCP over a link with a delay (one way) and a",
            "rate, of which a program carries the packets (`link.py`).", "",
            *over_links(given.repeats, kept), "",
            "## For more processes: a model, not a measurement", "",
            " ".join((model.__doc__ or "").split()), "", *model(kept), "",
        ]  # fmt: skip
    (given.out / "ranks_speed.md").write_text("\n".join(text), encoding="utf-8")
    print("\n".join(text))


if __name__ == "__main__":
    if sys.argv[1:2] == ["worker"]:
        from mpi4py import MPI

        come_first()
        result = measure(sys.argv[2], sys.argv[3].split(","), int(sys.argv[4]))
        come_first(yes=False)
        if MPI.COMM_WORLD.rank == 0:
            print(json.dumps(result))
    else:
        main()
