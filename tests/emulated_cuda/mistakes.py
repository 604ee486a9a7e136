"""Eleven mistakes in the way of a training to the GPU, and the test that catches each.

    cd tests && python -m emulated_cuda.mistakes

Each is made in a copy of the package, on which the named test then has to fail; on the copy as it
is, all of them have to pass. A mistake that cannot be made any more, because the line is gone, is
an error here: choose its successor.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from emulated_cuda import SOURCES

ROOT = SOURCES.parents[1]
REPLAY = "test_recording.py::test_a_replayed_training_has_the_bits_of_an_eager_one"
WAITS = "test_host_waits.py::"


class Mistake(NamedTuple):
    """What is wrong, in which module, the right and the wrong text, and the test that fails."""

    name: str
    module: str
    right: str
    wrong: str
    caught_by: str


MISTAKES = (
    Mistake(
        "a wrong stream: the graph runs on its own, for which nobody waits",
        "backend/cuda",
        "self._graph.launch(self._cupy.cuda.get_current_stream())",
        "self._graph.launch(self._kept[0])",
        f"{REPLAY}[sgd-gpu]",
    ),
    Mistake(
        "a missing copy into the tables of the recording",
        "training/launches",
        "zip(self._tables, given, strict=True):",
        "zip(self._tables[1:], given[1:], strict=True):",
        f"{REPLAY}[momentum-gpu]",
    ),
    Mistake(
        "a step that reads its loss back",
        "training/loop",
        "state.epoch_loss + self.loss * rows",
        "state.epoch_loss + float(self.loss) * rows",
        f"{WAITS}test_a_step_never_waits_and_an_epoch_reads_back_once[eager]",
    ),
    Mistake(
        "a mask that the device draws",
        "training/dropout",
        "keep_mask(counter, key, rate, unsigned=unsigned)",
        "xp.random.default_rng(0).random(counter.shape) >= rate",
        "test_parity.py::test_dropout_momentum_and_penalties_stay_within_tolerance[cupy]",
    ),
    Mistake(
        "a coefficient from the first step of the epoch",
        "training/launches",
        "coefficients = _entries(xp, tables.coefficients, steps)",
        "coefficients = _entries(xp, tables.coefficients, steps * 0)",
        f"{REPLAY}[a rate that changes at every step-gpu]",
    ),
    Mistake(
        "a launch that begins where the one before it did",
        "training/launches",
        "self._tables.start[...] = batch",
        "self._tables.start[...] = 0",
        f"{REPLAY}[sgd-gpu]",
    ),
    Mistake(
        "a memory pool that the recording shares with others",
        "backend/cuda",
        "cuda.using_allocator(pool.malloc):",
        "cuda.using_allocator(None and pool.malloc):",
        "test_recorded_memory.py",
    ),
    Mistake(
        "a cuBLAS handle of another GPU",
        "backend/cuda",
        "idle = _IDLE[cupy.cuda.Device().id]",
        "idle = _IDLE[0]",
        "test_several_gpus.py::test_a_network_on_either_gpu_does_the_same_whichever_is_current",
    ),
    Mistake(
        "float64 within a training in float32",
        "training/launches",
        "net.device.put(coefficients, net.dtype)",
        'net.device.put(coefficients, "float64")',
        f"{WAITS}test_a_training_in_float32_computes_nothing_in_float64",
    ),
    Mistake(
        "a missing switch to the network's GPU",
        "backend/cuda",
        'optional: dict[str, Any] = {"active": place}',
        "optional: dict[str, Any] = {}",
        "test_several_gpus.py::test_a_network_goes_on_after_another_gpu_was_opened",
    ),
    Mistake(
        "a gather beyond the last row, which CuPy answers with the first",
        "training/batches",
        "device.xp.take(array, numbers, axis=0)",
        "device.xp.take(array, numbers + (device.name != 'cpu'), axis=0)",
        "test_parity.py::test_a_short_training_ends_with_the_same_weights[cupy]",
    ),
)


def run_tests(package: Path, *tests: str) -> subprocess.CompletedProcess[str]:
    """Run tests, given by the names of their files, on a copy of the package."""
    found = []
    for each in tests:
        name, separator, test = each.partition("::")
        (path,) = (ROOT / "tests").rglob(name)
        found.append(f"{path}{separator}{test}")
    # -P: or the package beside the tests would come first.
    command = [sys.executable, "-P", "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]
    environment = os.environ | {"PYTHONPATH": str(package.parent)}
    return subprocess.run(
        [*command, "--require-cuda", *found],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


def outcome(mistake: Mistake, package: Path) -> str:
    """Make a mistake, run its test, and undo it; return the test's complaint, or an empty text."""
    module = package / f"{mistake.module}.py"
    right = module.read_text(encoding="utf-8")
    if right.count(mistake.right) != 1:
        sys.exit(f"{mistake.name}: {mistake.right!r} is not once in xpnet/{module.name}")
    module.write_text(right.replace(mistake.right, mistake.wrong), encoding="utf-8")
    try:
        found = run_tests(package, mistake.caught_by)
    finally:
        module.write_text(right, encoding="utf-8")
    complaints = [line[4:] for line in found.stdout.splitlines() if line.startswith("E   ")]
    return next(iter(complaints), "failed") if found.returncode == 1 else ""


def main() -> None:
    """Make every mistake; exit with 1 if one is not caught, or a test fails without any."""
    missed = 0
    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder, "xpnet")
        shutil.copytree(ROOT / "xpnet", package, ignore=shutil.ignore_patterns("__pycache__"))
        for mistake in MISTAKES:
            complaint = outcome(mistake, package)
            missed += not complaint
            print(f"{'caught' if complaint else 'MISSED'}  {mistake.name}", flush=True)
            print(f"        by {mistake.caught_by}\n        {complaint.strip()[:120]}")
        control = run_tests(package, *dict.fromkeys(each.caught_by for each in MISTAKES))
    if control.returncode:
        sys.exit(f"without a mistake these tests fail too:\n{control.stdout}")
    print(
        f"{len(MISTAKES) - missed} of {len(MISTAKES)} mistakes caught; without one, all tests pass"
    )
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
