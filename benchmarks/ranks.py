"""One network on several processes: the same bits, what ends a run, and when it pays.

    python benchmarks/ranks.py [--kills 20] [--out FOLDER]

Needs the extra ``mpi``, and MNIST in XPNET_DATA for half of the runs.
"""

import argparse
import hashlib
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from machine import system

HERE = Path(__file__).resolve().parent
MPIEXEC = Path(sys.executable).parent / "mpiexec"
BANKNOTE = HERE.parent / "examples" / "data" / "banknote.csv"
MNIST = Path(os.environ.get("XPNET_DATA", HERE.parents[1] / "shared" / "data")) / "mnist"
QUICK = ["--nets", "1", "--early-stopping", "--patience", "4", "--dropout", "0.2"]
WORKLOADS = {
    "toy: 2-4-2-2, batch 12": ((2, 4, 2, 2), 12, 6000),
    "table: 30-64-64-2, batch 32": ((30, 64, 64, 2), 32, 6400),
    "MNIST: 784-128-128-10, batch 64": ((784, 128, 128, 10), 64, 6400),
    "wide: 784-1024-1024-10, batch 256": ((784, 1024, 1024, 10), 256, 2560),
    "784-4096-4096-10, batch 256": ((784, 4096, 4096, 10), 256, 512),
}
STEP = """
import sys, time
import numpy as np
import xpnet
from mpi4py import MPI
from xpnet.training.parallel import ParallelTraining

comm, sizes, batch, rows = MPI.COMM_WORLD, {sizes}, {batch}, {rows}
x = np.random.default_rng(0).normal(size=(rows, sizes[0])).astype("float32")
y = np.random.default_rng(1).integers(0, sizes[-1], rows)
talking = [0.0]
plain = ParallelTraining._gathered

def timed(self, own):
    started = time.perf_counter()
    every = plain(self, own)
    talking[0] += time.perf_counter() - started
    return every

ParallelTraining._gathered = timed
times = []
for parallel in ({contenders}):
    talking[0] = 0.0
    net = xpnet.MLP(sizes, output="softmax", seed=0)
    history = xpnet.fit(net, x, y, epochs=4, batch_size=batch, progress=False, parallel=parallel,
                        compile="off", optimizer=xpnet.SGD(0.001))
    times.append(min(history.seconds) / -(-rows // batch) * 1e6)
if comm.rank == 0:
    print(*times, 100 * talking[0] / sum(history.seconds))
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
        victims = subprocess.run(
            ["pgrep", "-f", f"xpnet train .*{points}"], capture_output=True, text=True, check=False
        ).stdout.split()
        workers = [each for each in map(int, victims) if each != run.pid and not _is_mpi(each)]
        if workers:
            os.kill(draw.choice(workers), signal.SIGKILL)
        run.communicate()
        resumed += run.returncode != 0
        again = draw.choice([each for each in (1, 2, 3, 4) if each != ranks])
        train(again, *often, "--resume").communicate()
        same += sha256(out) == sha256(whole)
    return [f"{resumed} of {kills} runs ended by SIGKILL to one of 2 to 4 processes, each resumed "
            f"on another number of them: {same} of {kills} model files are those of the "
            "uninterrupted run."]  # fmt: skip


def _is_mpi(process: int) -> bool:
    name = Path(f"/proc/{process}/comm")
    return name.exists() and "python" not in name.read_text()


def ends(folder: Path) -> list[str]:
    """Let one process fail in several ways; tell status, seconds and the messages."""
    bad = folder / "bad.csv"
    bad.write_text("a,y\n" + "1,2\n" * 200 + "x1,2\n" + "3,4\n" * 50)
    long = [BANKNOTE, "--target", "class", *QUICK, "--steps", 200_000, "--patience", 100_000]
    full = Path("/dev/full")
    cases: dict[str, tuple[list[Any], Any]] = {
        "a cell that is no number": ([bad, "--target", "y", "--strict"], None),
        "a disk that is full": ([*long[:-4], "--steps", 100, "--out", full], None),
        "Ctrl-C to one process": (long, signal.SIGINT),
        "a process that stops answering": (long, signal.SIGSTOP),
    }
    lines = ["| what happens | status | seconds | said |", "|---|---|---|---|"]
    for name, (words, number) in cases.items():
        run = train(2, *words, *([] if "--out" in words else ["--out", folder / "e.safetensors"]))
        if number:
            time.sleep(6)
            found = subprocess.run(["pgrep", "-f", f"{sys.executable} -m xpnet train"],
                                   capture_output=True, text=True, check=False)  # fmt: skip
            workers = [each for each in map(int, found.stdout.split()) if not _is_mpi(each)]
            os.kill(workers[-1], number)
        started = time.monotonic()
        said = run.communicate(timeout=60)[0]
        told = [each for each in said.splitlines() if "xpnet:" in each]
        lines.append(f"| {name} | {run.returncode} | {time.monotonic() - started:.1f} | "
                     f"{'; '.join(told)[:200]} |")  # fmt: skip
    return lines


def scaling(repeats: int = 3) -> list[str]:
    """Time the step of five networks."""
    lines = ["| network | one process, plain | 1 | 2 | waiting at 2 | 4 | waiting at 4 |",
             "|---|---|---|---|---|---|---|"]  # fmt: skip
    for name, (sizes, batch, rows) in WORKLOADS.items():
        cells = []
        for ranks in (1, 2, 4):
            runs = []
            for _ in range(repeats):
                text = STEP.format(sizes=sizes, batch=batch, rows=rows,
                                   contenders="None, comm" if ranks == 1 else "comm,")  # fmt: skip
                said = launch(ranks, "-W", "ignore", "-c", text).communicate()[0]
                runs.append([float(each) for each in said.split()[-3 if ranks == 1 else -2 :]])
            *times, waiting = (statistics.median(each) for each in zip(*runs, strict=True))
            cells += [f"{each:,.0f}" for each in times] + ([f"{waiting:.0f} %"] * (ranks > 1))
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def memory(folder: Path) -> list[str]:
    """Train on a table of 2 GB; tell the peak of each process."""
    path = folder / "x.npy"
    rows, columns = 5_000_000, 100
    x = np.lib.format.open_memmap(path, mode="w+", dtype="float32", shape=(rows, columns))
    draw = np.random.default_rng(0)
    for start in range(0, rows, 100_000):
        x[start : start + 100_000] = draw.normal(size=(100_000, columns))
    np.save(folder / "y.npy", np.asarray(x[:, 0] + x[:, 1] > 0, "int64"))
    del x
    lines = ["| processes | peak of each, MB |", "|---|---|"]
    words = ["-m", "xpnet", "train", path, "--target", folder / "y.npy", "--stream", "--simple",
             "--steps", 50, "--out", folder / "big.safetensors"]  # fmt: skip
    for ranks in (1, 2, 4):
        report = folder / "peak"
        run = launch(ranks, "-c", PEAK.format(report=report), *words[1:])
        said = run.communicate()[0]
        peaks = [p.read_text() for p in sorted(folder.glob("peak*"))] or [said[-200:]]
        for each in folder.glob("peak*"):
            each.unlink()
        lines.append(f"| {ranks} | {', '.join(peaks)} |")
    return lines


PEAK = """
import os, resource, sys
from xpnet.cli.main import main

sys.argv = ["xpnet", *sys.argv[2:]]
status = main()
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
open("{report}" + os.environ["PMI_RANK"], "w").write(str(peak))
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
        "## How a run ends", "", "Two processes; seconds from the event on.", "",
        *ends(folder), "",
        "## Time per step, microseconds", "",
        "Medians of 3 runs. With more processes than processors, they wait for each other.", "",
        *scaling(), "",
        "## Memory", "", "A table of 2 GB (NPY, 5,000,000 x 100), `--stream --simple`.", "",
        *memory(folder), "",
    ]  # fmt: skip
    (options.out / "ranks.md").write_text("\n".join(text), encoding="utf-8")
    print("\n".join(text))
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
