"""What survives: kills while training and while saving, signals, and damaged model files.

    python benchmarks/reliability.py [--kills 520] [--runs 104] [--saves 1000] [--signals 50]
                                     [--mutations 100000] [--workers 2] [--only PART]
                                     [--out FILE.md]

* trainings: SIGKILL at random instants, while loading, resuming, training and saving alike, since
  every seventh step is saved; each run is resumed until it ends. Its model file, with history, and
  its best model file must be those of the run that nobody disturbed, byte for byte.
* saves: SIGKILL in a loop that does nothing but save over the same file.
* signals: SIGINT, SIGTERM, SIGHUP at random instants of a training, and resuming.
* mutations: random flips, new bytes, truncations, insertions, deletions, repetitions of a model
  file; each must be refused, or mean the same to the last bit.
"""

import argparse
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))

import crash_runs  # noqa: E402  the runs that the tests make, too
import machine  # noqa: E402


def measured(title: str, run: Callable[[Path], Counter[str]]) -> list[str]:
    """Run one part in a directory of its own; return its section of the report."""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as directory:
        counts = run(Path(directory))
    seconds = time.perf_counter() - began
    for name in BAD[title]:
        counts.setdefault(name, 0)
    rows = [f"| {name} | {counts[name]:,} |" for name in sorted(counts)]
    lines = ["", f"## {title}", "", "| counted | |", "|---|---:|", *rows, "", f"{seconds:.0f} s."]
    print("\n".join(lines), flush=True)
    return lines


BAD = {
    "Trainings killed": ("unreadable files", "locks left", "wrong exit codes"),
    "Trainings signalled": (
        "unreadable files", "locks left", "temporary files left", "wrong exit codes",
    ),
    "Saves killed": ("lost", "torn"),
    "Model files damaged": ("silent changes", "refused without the file's name"),
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, usual in (("kills", 520), ("runs", 104), ("saves", 1000), ("signals", 50)):
        parser.add_argument(f"--{name}", type=int, default=usual)
    parser.add_argument("--mutations", type=int, default=100_000)
    parser.add_argument("--workers", type=int, default=2, help="parts measured at the same time")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "reliability.md")
    parser.add_argument("--only", help="measure this part alone, keep the rest of the report")
    given = parser.parse_args()
    kept = HERE.parent / "tests" / "data" / "model-v1.safetensors"
    terms = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    parts = {
        "Model files damaged": lambda at: crash_runs.mutate_model(kept, given.mutations, at),
        "Saves killed": lambda at: crash_runs.kill_saves(given.saves, at),
        "Trainings signalled": lambda at: crash_runs.kill_trainings(
            given.signals, -(-given.signals // 3), at, signals=terms
        ),
        "Trainings killed": lambda at: crash_runs.kill_trainings(given.kills, given.runs, at),
    }
    before = given.out.read_text(encoding="utf-8") if given.only else ""
    sections = {each.partition("\n")[0]: each for each in before.split("\n## ")[1:]}
    chosen = [given.only] if given.only else list(parts)
    with ThreadPoolExecutor(given.workers) as pool:
        for title, lines in zip(
            chosen, pool.map(measured, chosen, [parts[title] for title in chosen]), strict=True
        ):
            sections[title] = "\n".join(lines).removeprefix("\n## ")
    head = ["# What survives", "",
            "Made by `python benchmarks/reliability.py`. Beside it: fuzz.md, learning_rates.md, "
            "larger_than_memory.md, determinism.md.", ""]  # fmt: skip
    texts = ["\n".join([*head, *machine.system(), ""])]
    texts += [sections[title].rstrip("\n") + "\n" for title in parts if title in sections]
    given.out.write_text("\n## ".join(texts), encoding="utf-8")


if __name__ == "__main__":
    main()
