"""One network on several processes: the same bits, what ends a run, and the memory.

    python benchmarks/ranks.py [--kills 20] [--out FOLDER]

Needs the extra ``mpi``, MNIST in XPNET_DATA for half of the runs, and root for a full disk.
"""

import argparse
import contextlib
import hashlib
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import polars
from machine import system

HERE = Path(__file__).resolve().parent
MPIEXEC = Path(sys.executable).parent / "mpiexec"
BANKNOTE = HERE.parent / "examples" / "data" / "banknote.csv"
MNIST = Path(os.environ.get("XPNET_DATA", HERE.parents[1] / "shared" / "data")) / "mnist"
QUICK = ["--nets", "1", "--early-stopping", "--patience", "4", "--dropout", "0.2"]
CALLBACK = """
import numpy as np
import xpnet
from mpi4py import MPI

def fail(training):
    if MPI.COMM_WORLD.rank == 1 and training.state.epoch == 50:
        raise ValueError("my own error")

x = np.random.default_rng(0).normal(size=(1000, 8))
xpnet.fit(xpnet.MLP([8, 32, 1]), x, x[:, 0] * x[:, 1], epochs=100_000, progress=False,
          parallel=MPI.COMM_WORLD, callbacks=[fail])
"""
WITHOUT = """
import sys
sys.modules["mpi4py"] = None  # as if it were not installed
from xpnet.cli.main import main
sys.exit(main())
"""


def launch(ranks: int, *words: Any, **how: Any) -> subprocess.Popen[str]:
    """Start a command on so many processes, in a process group of its own."""
    command = [str(MPIEXEC), "-n", str(ranks), sys.executable, *map(str, words)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True, env=os.environ | {"OPENBLAS_NUM_THREADS": "1"}, **how,
    )  # fmt: skip


def train(ranks: int, *words: Any, **how: Any) -> subprocess.Popen[str]:
    """Start a training."""
    return launch(ranks, "-m", "xpnet", "train", *words, **how)


def sha256(path: Path) -> str:
    """Return the first digits of a file's SHA-256."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


def tasks(folder: Path) -> dict[str, list[Any]]:
    """Return the command lines of the trainings, by name."""
    found = {
        f"banknote, {name}": [BANKNOTE, "--target", "class", *QUICK, "--optimizer", name]
        for name in ("sgd", "adam")
    }
    if MNIST.exists():
        digits = [MNIST / "train-images-idx3-ubyte.gz", "--target",
                  MNIST / "train-labels-idx1-ubyte.gz", "--steps", 300]  # fmt: skip
        found |= {f"MNIST, {name}": [*digits, *QUICK, "--optimizer", name]
                  for name in ("sgd", "adam")}  # fmt: skip
    return found


def same_bits(folder: Path) -> list[str]:
    """Train each task on 1 to 4 processes; tell the sums of the files."""
    lines = ["| training | 1 | 2 | 3 | 4 | equal |", "|---|---|---|---|---|---|"]
    for name, words in tasks(folder).items():
        sums = []
        for ranks in (1, 2, 3, 4):
            out = folder / "m.safetensors"
            run = train(ranks, *words, "--out", out)
            said = run.communicate()[0]
            sums.append(sha256(out) if run.returncode == 0 else said[-80:])
        lines.append(f"| {name} | {' | '.join(sums)} | {'yes' if len(set(sums)) == 1 else 'NO'} |")
    return lines


def killed(folder: Path, kills: int) -> list[str]:
    """Kill a random process at a random time, resume with another number; compare."""
    draw, same, resumed = random.Random(0), 0, 0
    words = [BANKNOTE, "--target", "class", *QUICK, "--optimizer", "adam", "--steps", 1500]
    whole = folder / "whole.safetensors"
    train(1, *words, "--out", whole).communicate()
    for number in range(kills):
        points, out = folder / f"points{number}", folder / "killed.safetensors"
        often = [*words, "--out", out, "--checkpoint", points, "--checkpoint-every", "20 steps"]
        ranks = draw.choice((2, 3, 4))
        run = train(ranks, *often)
        until = time.monotonic() + 60
        while not list(points.glob("checkpoint-*")) and time.monotonic() < until:
            time.sleep(0.05)
        time.sleep(draw.uniform(0.0, 1.0))
        if victims := workers(points):
            os.kill(draw.choice(victims), signal.SIGKILL)
        run.communicate()
        resumed += run.returncode != 0
        again = draw.choice([each for each in (1, 2, 3, 4) if each != ranks])
        train(again, *often, "--resume").communicate()
        same += sha256(out) == sha256(whole)
    return [f"{resumed} of {kills} runs ended by SIGKILL to one of 2 to 4 processes, each resumed "
            f"on another number of them: {same} of {kills} model files are those of the "
            "uninterrupted run."]  # fmt: skip


def ends(folder: Path) -> list[str]:
    """Let one process fail in several ways; tell status, seconds and the messages."""
    bad, small, kept = folder / "bad.csv", folder / "small", folder / "kept"
    bad.write_text("a,y\n" + "1,2\n" * 200 + "x1,2\n" + "3,4\n" * 50)
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=30m", "tmpfs", small], check=True)
    long = [BANKNOTE, "--target", "class", *QUICK, "--steps", 200_000, "--patience", 100_000,
            "--out", folder / "e.safetensors", "--checkpoint-every", "50 steps"]  # fmt: skip
    callback, without = folder / "callback.py", folder / "without.py"
    callback.write_text(CALLBACK)
    without.write_text(WITHOUT)
    started = ["-m", "xpnet", "train"]
    running = [*started, *long, "--checkpoint"]
    cases: dict[str, tuple[int, list[Any], Any]] = {
        "a cell that is no number": (2, [*started, bad, "--target", "y", "--strict"], None),
        "the disk fills up": (2, [*running, small / "c"], "full"),
        "Ctrl-C to rank 1": (2, [*running, kept], signal.SIGINT),
        "rank 1 stops answering": (2, [*running, kept], signal.SIGSTOP),
        "rank 1 is killed": (2, [*running, kept], signal.SIGKILL),
        "an exception in a callback on rank 1": (2, ["-m", "mpi4py", callback], None),
        "mpi4py is not installed": (4, [without, "train", BANKNOTE, "--target", "class"], None),
    }
    lines = ["| what happens | status | seconds | said |", "|---|---|---|---|"]
    for name, (ranks, words, event) in cases.items():
        run, begun = launch(ranks, *words), time.monotonic()
        if event:
            until = begun + 60
            where = Path(words[-1])
            while not list(where.glob("checkpoint-*")) and time.monotonic() < until:
                time.sleep(0.1)
            begun = time.monotonic()
            if event == "full":
                with contextlib.suppress(OSError), (small / "fill").open("wb") as file:
                    file.write(bytes(40 << 20))
            else:
                os.kill(workers(where)[-1], event)
        said = run.communicate(timeout=60)[0]
        told = [
            e
            for e in said.splitlines()
            if re.match(r"(rank \d: )?xpnet:|\w+Error|Abort|.*Killed", e)
        ]
        text = "; ".join(told).replace(str(folder), "FOLDER").replace(f"{HERE.parent}/", "")
        lines.append(
            f"| {name} | {run.returncode} | {time.monotonic() - begun:.1f} | {text[:320]} |"
        )
        shutil.rmtree(kept, ignore_errors=True)
    subprocess.run(["umount", small], check=True)
    return lines


def workers(where: Path) -> list[int]:
    """Return the processes that train with checkpoints there."""
    found = subprocess.run(
        ["pgrep", "-f", f"^{sys.executable} -m xpnet train .*{where}"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return [int(each) for each in found.stdout.split()]


def memory(folder: Path) -> list[str]:
    """Train on a table of 2 GB, and on one in Parquet; tell the peaks of each process."""
    path, parquet = folder / "x.npy", folder / "x.parquet"
    rows, columns = 5_000_000, 100
    x = np.lib.format.open_memmap(path, mode="w+", dtype="float32", shape=(rows, columns))
    draw = np.random.default_rng(0)
    for start in range(0, rows, 100_000):
        x[start : start + 100_000] = draw.normal(size=(100_000, columns))
    y = np.asarray(x[:, 0] + x[:, 1] > 0, "int64")
    np.save(folder / "y.npy", y)
    fifth = slice(rows // 5)
    polars.DataFrame(x[fifth]).with_columns(y=y[fifth]).write_parquet(parquet)
    del x
    lines = ["| table | processes | own, MB | of files, mapped, MB |", "|---|---|---|---|"]
    for table, target in ((path, folder / "y.npy"), (parquet, "y")):
        words = ["train", table, "--target", target, "--simple", "--steps", 50, "--out",
                 folder / "big.safetensors"]  # fmt: skip
        for ranks in (1, 2, 4):
            run = launch(ranks, "-c", PEAK.format(report=folder / "peak"), *words)
            said = run.communicate()[0]
            peaks = [each.read_text().split() for each in sorted(folder.glob("peak*"))]
            told = map(", ".join, zip(*peaks, strict=True)) if peaks else [said[-200:], ""]
            for each in folder.glob("peak*"):
                each.unlink()
            lines.append(f"| {table.suffix[1:]} | {ranks} | {' | '.join(told)} |")
            print(lines[-1], flush=True)
    return lines


PEAK = """
import os, sys, threading, time
from pathlib import Path
from xpnet.cli.main import main

peaks = [0, 0]

def watch():
    while True:
        status = dict(line.split(":", 1) for line in Path("/proc/self/status").open())
        for i, name in enumerate(("RssAnon", "RssFile")):
            peaks[i] = max(peaks[i], int(status[name].split()[0]) // 1024)
        time.sleep(0.02)

threading.Thread(target=watch, daemon=True).start()
sys.argv = ["xpnet", *sys.argv[1:]]
status = main()
Path("{report}" + os.environ["PMI_RANK"]).write_text(" ".join(map(str, peaks)))
sys.exit(status)
"""


def main() -> None:
    """Run all parts, and write the report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--out", type=Path, default=HERE / "results")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    os.chdir(folder)
    text = [
        "# One network on several processes", "",
        "Written by `python benchmarks/ranks.py`; all processes on one machine.", "",
        *system(), f"- mpi4py {version('mpi4py')}, mpich {version('mpich')}", "",
        "## The same bits", "", "First digits of the model file's SHA-256, by processes.", "",
        *same_bits(folder), "", *killed(folder, options.kills), "",
        "## How a run ends", "",
        "Two processes, of the last case four; seconds from the event on, or from the start.", "",
        *ends(folder), "",
        "## Memory", "",
        "A table of 2 GB (NPY, 5,000,000 x 100), and one of a fifth of its rows (Parquet), with",
        "`--simple`: the peak of each process. The first one reads the whole file once; then each",
        "reads its own rows. Pages of mapped files are the system's cache, not memory of its own.",
        "",
        *memory(folder), "",
    ]  # fmt: skip
    (options.out / "ranks.md").write_text("\n".join(text), encoding="utf-8")
    print("\n".join(text))
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
