"""Two checkouts of xpnet in one run, to see whether the newer one is as fast as the older.

    python benchmarks/versions.py OLDER [NEWER] [--repeats 15] [--out FOLDER]

OLDER and NEWER are folders of checkouts; NEWER is this one by default. Each has processes of its
own that train the workloads of `speed.py` with the public `xpnet.fit` and `xpnet.MLPClassifier`,
on one thread, with rows shuffled. They take turns, repetition by repetition, so that drift
of the machine meets both alike; medians over the repetitions and the median of the paired ratios
are reported, of CPU time, which other programs disturb least. Importing and the command are timed
in processes of their own, once Python's caches are written.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
WORKLOADS = {
    "toy": ((2, 4, 2, 2), 10, 500, 40),
    "table": ((30, 64, 64, 2), 32, 640, 60),
    "MNIST": ((784, 128, 128, 10), 64, 6400, 4),
    "wide": ((784, 1024, 1024, 10), 256, 2560, 6),
}
"""Layer sizes, batch size, rows, epochs; as in speed.py."""
KINDS = ("fit", "MLPClassifier")
PROCESSES = 6  # of each: where its arrays lie makes one process up to 5 % faster than another
STARTS = {
    "import xpnet": ["-c", "import xpnet"],
    "import and name MLP, fit": ["-c", "import xpnet; xpnet.MLP, xpnet.fit, xpnet.SGD"],
    "xpnet --help": ["-m", "xpnet", "--help"],
    "xpnet train banknote.csv": [
        "-m", "xpnet", "train", str(HERE.parent / "examples" / "data" / "banknote.csv"),
        "--target", "class", "--out", "model.safetensors", "--json",
    ],
}  # fmt: skip


def serve() -> None:
    """Train what standard input names, once a line, and answer with microseconds per step."""
    import warnings

    import numpy as np

    import xpnet

    def training(name: str, kind: str) -> Any:
        sizes, batch_size, rows, epochs = WORKLOADS[name]
        rng = np.random.default_rng(0)
        x = 0.3 * rng.standard_normal((rows, sizes[0])).astype(np.float32)
        y = np.argmax(x @ rng.standard_normal((sizes[0], sizes[-1])), axis=1)
        if kind == "fit":
            options = {"epochs": epochs, "batch_size": batch_size, "progress": False}
            return lambda: xpnet.fit(
                xpnet.MLP(sizes, output="softmax", seed=1), x, y,
                optimizer=xpnet.SGD(0.05), **options,
            )  # fmt: skip
        model = xpnet.MLPClassifier(
            sizes[1:-1], solver="sgd", batch_size=batch_size, max_iter=epochs, tol=0.0,
            n_iter_no_change=10**6, random_state=0,
        )  # fmt: skip
        return lambda: model.fit(x, y)

    warnings.simplefilter("ignore")
    runs = {(name, kind): training(name, kind) for name in WORKLOADS for kind in KINDS}
    for line in sys.stdin:
        name, kind = json.loads(line)
        _, batch_size, rows, epochs = WORKLOADS[name]
        started = time.process_time()
        runs[name, kind]()
        seconds = time.process_time() - started
        print(1e6 * seconds / (epochs * (rows // batch_size)), flush=True)


def environment(checkout: Path) -> dict[str, str]:
    """Return the environment in which `import xpnet` finds that checkout, on one thread."""
    threads = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
    kept = {name: each for name, each in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return kept | dict.fromkeys(threads, "1") | {"PYTHONPATH": str(checkout)}


def time_training(checkouts: list[Path], repeats: int) -> dict[str, list[list[float]]]:
    """Return for each workload the times of all repetitions, of each checkout."""
    command = [sys.executable, __file__, "--serve"]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}

    def ask(server: Any, *question: str) -> float:
        server.stdin.write(json.dumps(question) + "\n")
        server.stdin.flush()
        return float(server.stdout.readline())

    found: dict[str, list[list[float]]] = {}
    for _ in range(PROCESSES):
        servers = [subprocess.Popen(command, env=environment(each), **pipes) for each in checkouts]
        for name in WORKLOADS:
            for kind in KINDS:
                calls = range(1 + repeats // PROCESSES)
                rounds = [[ask(server, name, kind) for server in servers] for _ in calls]
                times = found.setdefault(f"{name}, {kind}", [[] for _ in servers])
                for round_ in rounds[1:]:  # the first warms
                    for kept, microseconds in zip(times, round_, strict=True):
                        kept.append(microseconds)
        for server in servers:
            server.stdin.close()
            server.wait()
    return found


def time_starts(checkouts: list[Path], repeats: int) -> dict[str, list[list[float]]]:
    """Return the milliseconds of whole processes, likewise."""

    def once(arguments: list[str], checkout: Path, folder: str) -> float:
        if "train" in arguments and (checkout / "xpnet" / "cli").is_dir():
            arguments = [*arguments, "--simple"]  # the network that version 0.1 has by default
        before = sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])
        subprocess.run(
            [sys.executable, *arguments], env=environment(checkout), cwd=folder, check=False,
            capture_output=True,
        )  # fmt: skip
        return 1e3 * (sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2]) - before)

    found = {}
    for name, arguments in STARTS.items():
        with tempfile.TemporaryDirectory() as folder:
            calls = range(repeats + 1)
            rounds = [[once(arguments, each, folder) for each in checkouts] for _ in calls]
        found[name] = [list(times) for times in zip(*rounds[1:], strict=True)]
    return found


def main() -> None:
    from machine import system  # not in the servers: an older xpnet has other modules

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("older", type=Path)
    parser.add_argument("newer", type=Path, nargs="?", default=HERE.parent)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--out", type=Path, default=HERE / "results")
    options = parser.parse_args()
    checkouts = [options.older.resolve(), options.newer.resolve()]
    lines = [
        "# An older and a newer checkout in one run",
        "",
        f"Written by `python benchmarks/versions.py OLDER --repeats {options.repeats}`; repetitions"
        " take turns, one thread, CPU time, rows shuffled. The ratio is the median of the paired"
        " ratios.",
        "",
        *system(),
        "",
        "| | older | newer | newer / older |",
        "|---|---|---|---|",
    ]
    found = time_training(checkouts, options.repeats) | time_starts(checkouts, options.repeats)
    for name, (older, newer) in found.items():
        ratio = statistics.median(b / a for a, b in zip(older, newer, strict=True))
        unit = "ms" if name in STARTS else "µs a step"
        medians = " | ".join(f"{statistics.median(each):,.1f} {unit}" for each in (older, newer))
        lines.append(f"| {name} | {medians} | {ratio:.3f} |")
    (options.out / "versions.md").write_text("\n".join([*lines, ""]))
    print("\n".join(lines))


if __name__ == "__main__":
    serve() if sys.argv[1:] == ["--serve"] else main()
