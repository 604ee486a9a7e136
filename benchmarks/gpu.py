"""All that is to be shown on a machine with a GPU, by one command of at most six minutes.

    make gpu            # or: python benchmarks/gpu.py [--minutes 6] [--out FOLDER]
    python benchmarks/gpu.py --emulated     # the same steps on the tests' emulated GPU, no timing

It runs the tests marked `cuda`, compares the training with the CPU's (`xpnet parity`), and times a
step by xpnet on the GPU, each way that it can be taken, beside PyTorch's, JAX's, and NumPy's on
that machine's CPU. Everything goes to ``results/gpu-<name of the GPU>.md``, after each part anew,
so that a run cut short leaves what it has. Each contender must reach the same loss to 1e-4 before
it is timed. The status is 1 if anything failed.

The machine needs Python 3.11 or newer, an NVIDIA driver, and these packages. Where it reaches no
package registry, bring their wheels (``pip download -d wheels NAME ...``, for its Python and
platform, then ``pip install --no-index --find-links wheels NAME ...``):

- CuPy 14 for the driver's CUDA with its libraries: ``cupy-cuda13x[ctk]`` or ``cupy-cuda12x[ctk]``
  (``cuda-pathfinder``, ``nvidia-cublas``, ``nvidia-cuda-nvrtc``, ``nvidia-cuda-runtime``; what a
  PyTorch with CUDA brought along serves too)
- what xpnet itself needs: numpy, array-api-compat, safetensors, polars (with polars-runtime-32),
  click, rich (with markdown-it-py, mdurl, pygments), threadpoolctl, filelock
- what the tests need: pytest (with iniconfig, packaging, pluggy), hypothesis (with
  sortedcontainers), array-api-strict, scikit-learn (with scipy, joblib); pytest-xdist is used if
  it is there
- to compare with, each left out if missing: torch, jax (with jax-cuda12-plugin or 13)

A checkout need not be installed: ``PYTHONPATH=. python benchmarks/gpu.py`` does.
"""

import argparse
import importlib.util
import os
import re
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

# All contenders compute in float32, and JAX leaves some of the GPU's memory to the others.
os.environ.setdefault("JAX_DEFAULT_MATMUL_PRECISION", "highest")
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

from gpu_contenders import (
    WAYS,
    EpochClock,
    gpu_name,
    missing,
    on_gpu,
    orders_alike,
    others,
    xpnet_on,
)
from machine import system
from speed import WORKLOADS
from speed_contenders import OWN, Contender, Orders, Workload

from xpnet.backend.device import CPU

ROOT = Path(__file__).resolve().parents[1]
WIDER = Workload("wider", (784, 4096, 4096, 10), 1024, 5_120, 5)
TINY = (
    Workload("tiny", (3, 4, 2, 2), 4, 24, 5),
    Workload("tiny, deeper", (4, 3, 3, 3, 3), 5, 20, 5),
)
WIDTHS = (8, 32, 128, 512, 2048)  # of two hidden layers, to find where a GPU pays
NUMPY = "NumPy on the CPU"
MOST_NUMPY = 5e6  # microseconds of a training that NumPy is asked for once only


@dataclass
class Record:
    """What has been found, written after each part."""

    path: Path
    ends: float
    """When the time is up, by `time.monotonic`."""
    lines: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    @property
    def left(self) -> float:
        """Seconds left."""
        return self.ends - time.monotonic()

    def add(self, *lines: str) -> None:
        """Print lines, and write all of them so far."""
        print("\n".join(lines), flush=True)
        self.lines += lines
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text("\n".join(self.lines) + "\n")


def machine(emulated: bool) -> list[str]:
    """Name the GPU, its driver and CuPy, and the machine around it."""
    import cupy

    runtime = cupy.cuda.runtime
    memory = cupy.cuda.Device().mem_info[1] / 2**30
    versions = runtime.driverGetVersion(), runtime.runtimeGetVersion()
    driver, toolkit = (f"{each // 1000}.{each % 1000 // 10}" for each in versions)
    lines = [
        f"- GPU: {gpu_name()}, {memory:.0f} GiB, compute capability "
        f"{cupy.cuda.Device().compute_capability}, CuPy {cupy.__version__}, CUDA {toolkit}, driver "
        f"for CUDA {driver}",
        *system(),
        *(f"- {name} takes no part: {reason}" for name, reason in missing().items()),
    ]
    claim = ["", "**The GPU is emulated: its times mean nothing and are left out.**"]
    return [*lines, *claim * emulated]


def run(arguments: list[str], seconds: float) -> tuple[int, str]:
    """Run Python in the root of the project; return its status and what it printed."""
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
    try:
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=ROOT,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=max(seconds, 1.0),
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        printed = error.stdout or b""
        return 124, printed.decode() if isinstance(printed, bytes) else printed
    return done.returncode, done.stdout


def tests(record: Record, seconds: float, emulated: bool) -> None:
    """Run the tests that need a GPU; of those, in emulation, only a few."""
    several = ["-n", str(min(8, os.cpu_count() or 1))]
    options = several if importlib.util.find_spec("xdist") and not emulated else []
    options += ["tests/backend/test_recording.py", "-k", "users_own"] if emulated else []
    arguments = ["-q", "-p", "no:cacheprovider", "-m", "cuda", "--require-cuda", *options]
    status, printed = run(["-m", "pytest", *arguments], seconds)
    failed = [f"    {line}" for line in printed.splitlines() if re.match(r"(FAILED|ERROR) ", line)]
    last = (printed.strip().splitlines() or ["no output"])[-1]
    cut = f" (stopped after {seconds:.0f} s)" * (status == 124)
    record.failed += ["tests"] if status else []
    record.add("## Tests marked `cuda`", "", f"    {last}{cut}", *failed[:20], "")


def parity(record: Record, seconds: float) -> None:
    """Compare steps with the CPU's, by the command that users have."""
    status, printed = run(["-m", "xpnet", "parity", "--device", "gpu"], seconds)
    lines = [f"    {line}".rstrip() for line in printed.splitlines()]
    record.failed += ["parity"] if status else []
    record.add("", f"## `xpnet parity --device gpu`: status {status}", "", *lines, "")


@dataclass
class Timed:
    """A contender, what it took for a step, or why it was not timed."""

    name: str
    contender: Contender | None = None
    clock: EpochClock | None = None  # xpnet's, of its latest training
    why_not: str = ""
    settled: list[float] = field(default_factory=list)
    in_all: list[float] = field(default_factory=list)

    def __str__(self) -> str:
        if self.why_not:
            return self.why_not
        if self.clock is None:
            return f"{statistics.median(self.in_all):,.1f}"
        return f"{statistics.median(self.settled):,.1f} ({statistics.median(self.in_all):,.1f})"

    def attempt(self, work: Workload, orders: Orders) -> float | None:
        """Train; note the microseconds per step. Return the loss, or None if that failed."""
        if self.contender is None or self.contender.loss is None:
            return None
        steps = work.rows // work.batch_size
        try:
            started = time.perf_counter()
            self.contender.train(orders)
            self.in_all.append(1e6 * (time.perf_counter() - started) / (work.epochs * steps))
            if self.clock is not None:  # after two epochs all is compiled, and recorded
                self.settled.append(1e6 * statistics.median(self.clock.seconds[2:]) / steps)
            return self.contender.loss()
        except Exception as error:  # noqa: BLE001  a record of the others is worth more
            self.why_not = f"failed ({type(error).__name__}: {str(error).splitlines()[0]})"
            return None


def made(work: Workload) -> list[Timed]:
    """Make all contenders, NumPy first, with why others could not be made."""
    contender, clock = xpnet_on(CPU, work)
    found = [Timed(NUMPY, contender, clock)]
    makers = {way: partial(on_gpu, way) for way in WAYS} | others()
    for name, make in makers.items():
        try:
            result = make(work)
            pair = result if isinstance(result, tuple) else (result, None)
            found.append(Timed(name, *pair))
        except Exception as error:  # noqa: BLE001  a record of the others is worth more
            reason = f"failed ({type(error).__name__}: {str(error).splitlines()[0]})"
            found.append(Timed(name, why_not=reason))
    return found


def compare(work: Workload, repeats: int, ends: float) -> list[Timed]:
    """Time those that reach NumPy's loss from the same start, on the same batches."""
    those, orders = made(work), orders_alike(work)
    expected = those[0].attempt(work, orders)
    assert expected is not None
    for each in those[1:]:
        found = each.attempt(work, orders)
        if found is not None and not abs(found - expected) < 1e-4:
            each.why_not = f"other loss ({found:.6f}, not {expected:.6f})"
    slow = those[0].in_all[0] * work.epochs * (work.rows // work.batch_size) > MOST_NUMPY
    again = [each for each in (those[1:] if slow else those) if not each.why_not]
    for each in again:
        each.settled, each.in_all = [], []  # the first training compiled kernels
    for repeat in range(repeats):
        for each in again:
            if repeat == 0 or time.monotonic() < ends:
                each.attempt(work, OWN)
    return those


def timed(record: Record, works: tuple[Workload, ...], emulated: bool) -> None:
    """Add the table of times, a workload at a time."""
    names = [NUMPY, *WAYS, *others()]
    record.add(
        "## Microseconds per step", "",
        "Medians; rows shuffled in each epoch; the same loss to 1e-4 before. xpnet's are those of "
        "the epochs after the second, by which all is compiled and recorded; in brackets those of "
        "a whole training, which includes that.", "",
        "| workload | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|",
    )  # fmt: skip
    for number, work in enumerate(works):
        label = f"{work.name}: {'-'.join(map(str, work.sizes))}, batch {work.batch_size}"
        if record.left < 20.0:
            record.add(f"| {label} | no time left |")
            continue
        seconds = 0.8 * (record.left - 10.0) / (len(works) - number)
        those = compare(work, 1 if emulated else 5, time.monotonic() + seconds)
        record.failed += [f"{work.name}: {each.name}" for each in those if each.why_not]
        cells = ["ran" if emulated and not each.why_not else str(each) for each in those]
        record.add(f"| {label} | " + " | ".join(cells) + " |")


def crossover(record: Record, emulated: bool) -> None:
    """Add the width of two hidden layers from which on the GPU is faster than the CPU."""
    lines, faster = list[str](), list[int]()
    for width in WIDTHS[:2] if emulated else WIDTHS:
        if record.left < 10.0:
            lines.append(f"| {width} | no time left | |")
            continue
        work = Workload("", (64, width, width, 10), 64, 64 * (2 if emulated else 50), 4)
        pair = [Timed("", *each) for each in (on_gpu(list(WAYS)[-1], work), xpnet_on(CPU, work))]
        for each in pair:
            each.attempt(work, OWN)
        if all(each.settled for each in pair) and pair[0].settled < pair[1].settled:
            faster.append(width)
        cells = ["ran" if emulated and not each.why_not else str(each) for each in pair]
        lines.append(f"| {width} | " + " | ".join(cells) + " |")
    says = f"The GPU is faster from {faster[0]} units on." if faster else "The CPU is faster."
    record.add(
        "", "## Where the GPU pays", "",
        "Microseconds per step of 64-n-n-10, batch 64, by xpnet, as above.", "",
        "| hidden units | GPU | CPU |", "|---:|---:|---:|", *lines,
        *([] if emulated else ["", says]),
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=6.0)
    parser.add_argument("--emulated", action="store_true", help="on the tests' GPU; no timing")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    given = parser.parse_args()
    name = "-".join(re.findall(r"[a-z0-9]+", gpu_name().lower()))
    record = Record(given.out / f"gpu-{name}.md", time.monotonic() + 60.0 * given.minutes)
    record.add(
        "# On a GPU", "", f"Written by `python benchmarks/gpu.py{' --emulated' * given.emulated}`.",
        "", *machine(given.emulated),
    )  # fmt: skip
    parity(record, 0.15 * record.left)
    tests(record, 0.5 * record.left, given.emulated)
    timed(record, TINY if given.emulated else (*WORKLOADS, WIDER), given.emulated)
    crossover(record, given.emulated)
    if record.failed:
        record.add("", f"Failed: {', '.join(record.failed)}.")
        sys.exit(1)


if __name__ == "__main__":
    main()
