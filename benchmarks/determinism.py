"""The same seed gives the same bits: over processes, environments and threads; and what it costs.

    python benchmarks/determinism.py [--out FILE.md]

The same `xpnet train` runs in processes that differ in hash seed, locale, time zone, home and
working directory, and with `--deterministic` in the number of BLAS threads, too. Their model files
are compared byte for byte. Then the time of a training with all threads is set beside that with
one (`--deterministic`), by turns.
"""

import argparse
import itertools
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import machine
import numpy as np

HERE = Path(__file__).resolve().parent
TABLE = HERE.parent / "examples" / "data" / "banknote.csv"
WIDE = ["--hidden", "300,300", "--batch-size", "549", "--epochs", "3"]  # large enough for threads
NETWORKS = [("4-64-64", 32, 4), ("784-128-128", 64, 784), ("784-1024-1024", 256, 784)]
REPEATS, ROWS = 5, 4096


def train(folder: Path, environment: dict[str, str], *options: str) -> bytes:
    """Train in a process of its own; return the model file."""
    command = [sys.executable, "-m", "xpnet", "train", str(TABLE), "--target", "class"]
    known = {"PATH": os.environ["PATH"], "PYTHONPATH": os.environ.get("PYTHONPATH", "")}
    subprocess.run(
        [*command, "--out", "m.safetensors", *options],
        cwd=folder, env=known | environment, check=True, capture_output=True,
    )  # fmt: skip
    return (folder / "m.safetensors").read_bytes()


def environments() -> list[dict[str, str]]:
    """Return environments that differ in everything that must not matter."""
    each = itertools.product("07", ["C", "tr_TR.UTF-8", "de_DE.UTF-8"], ["UTC", "Asia/Kolkata"])
    found = [{"PYTHONHASHSEED": h, "LC_ALL": c, "TZ": z, "OPENBLAS_NUM_THREADS": "1"}
             for h, c, z in each]  # fmt: skip
    return [*found, found[0] | {"HOME": "/"}, found[0] | {"PYTHONUTF8": "1"}]


TIMED = """
import sys, time, numpy as np, contextlib, xpnet
from xpnet.backend.threads import blas_threads
units, batch, inputs, rows, alone = sys.argv[1], *map(int, sys.argv[2:])
draw = np.random.default_rng(0)
x, y = draw.random((rows, inputs), dtype="float32"), draw.integers(0, 10, rows)
sizes = [inputs, *map(int, units.split("-")[1:]), 10]
with blas_threads(1) if alone else contextlib.nullcontext():
    net = xpnet.MLP(sizes, output="softmax")
    xpnet.fit(net, x, y, epochs=1, batch_size=batch, progress=False)
    started = time.perf_counter()
    xpnet.fit(net, x, y, epochs=2, batch_size=batch, progress=False)
    print((time.perf_counter() - started) / 2)
"""


def seconds(units: str, batch: int, inputs: int, alone: bool) -> float:
    words = [units, batch, inputs, ROWS, int(alone)]
    environment = {k: v for k, v in os.environ.items() if "THREADS" not in k}
    done = subprocess.run([sys.executable, "-c", TIMED, *map(str, words)], env=environment,
                          check=True, capture_output=True, text=True)  # fmt: skip
    return float(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=HERE / "results" / "determinism.md")
    given = parser.parse_args()
    files, threaded = set(), {"as it is": set(), "--deterministic": set()}
    for number, environment in enumerate(environments()):
        with tempfile.TemporaryDirectory(prefix=f"{number}-") as folder:
            files.add(train(Path(folder), environment))
    with tempfile.TemporaryDirectory() as folder:
        for threads in ("1", "2", "3", "4"):
            environment = {"OPENBLAS_NUM_THREADS": threads}
            threaded["as it is"].add(train(Path(folder), environment, *WIDE))
            options = [*WIDE, "--deterministic"]
            threaded["--deterministic"].add(train(Path(folder), environment, *options))
    lines = ["# Determinism", "", "Made by `python benchmarks/determinism.py`.", "",
             *machine.system(), "",
             "| `xpnet train` in processes that differ in | processes | different model files |",
             "|---|---:|---:|",
             f"| hash seed, locale, time zone, home, directory | {len(environments())} "
             f"| {len(files)} |",
             *(f"| BLAS threads (1, 2, 3, 4), {how} | 4 | {len(each)} |"
               for how, each in threaded.items()), "",
             "What `--deterministic` costs: seconds of an epoch of 4,096 rows, medians of "
             f"{REPEATS} processes by turns, with as many threads as processors and with one.", "",
             "| network | batch | all threads | `--deterministic` | ratio |",
             "|---|---:|---:|---:|---:|"]  # fmt: skip
    for units, batch, inputs in NETWORKS:
        pairs = [[seconds(units, batch, inputs, alone) for alone in (False, True)]
                 for _ in range(REPEATS)]  # fmt: skip
        every, alone = (statistics.median(column) for column in np.transpose(pairs))
        lines.append(f"| {units}-10 | {batch} | {every:.3f} | {alone:.3f} | {alone / every:.2f} |")
    given.out.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
