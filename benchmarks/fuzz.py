"""Draw input that nobody would write, for minutes: only `XpnetError` may come out.

    python benchmarks/fuzz.py [--minutes 12] [--seed 0] [--out FILE.md]

The cases are those of tests/fuzzing.py, drawn by Hypothesis, each part for as much of the time,
in processes of their own, so that one that ends its process is counted, too.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import machine
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))

import fuzzing  # noqa: E402

CASES = 1000
PARTS = {
    "model files": fuzzing.model_file,
    "tables": fuzzing.table,
    "Parquet files": fuzzing.parquet,
    "hostile files": fuzzing.hostile,
    "commands": fuzzing.command,
}


def draw_cases(part: Callable[..., str], number: int) -> Counter[str]:
    """Draw a few hundred cases in this process; count how they ended."""
    counts: Counter[str] = Counter()

    @seed(number)
    @settings(max_examples=CASES, deadline=None, database=None, phases=[Phase.generate],
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(st.data())
    def draw(data: st.DataObject) -> None:
        counts[part(data, Path.cwd())] += 1

    try:
        draw()
    except Exception as error:  # noqa: BLE001  what else comes out is the question
        counts[f"FAILED: {error!r}"[:200]] += 1
    return counts


def drawn(name: str, first_seed: int, seconds: float) -> Counter[str]:
    """Draw cases for so long, in a process for each seed; count how they ended."""
    counts: Counter[str] = Counter()
    number, end = first_seed, time.monotonic() + seconds
    while time.monotonic() < end:
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run(
                [sys.executable, __file__, "--only", name, "--seed", str(number)],
                cwd=folder, capture_output=True, text=True, check=False,
            )  # fmt: skip
        if done.returncode:
            last = done.stderr.strip().splitlines()[-1:]
            counts[f"FAILED: process ended with {done.returncode}: {last}"[:200]] += 1
            print(name, "seed", number, last, flush=True)
        else:
            found = Counter(json.loads(done.stdout.splitlines()[-1]))
            counts += found
            for word in found:
                if word.startswith("FAILED"):
                    print(name, "seed", number, word, flush=True)
        number += 1
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=12.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=list(PARTS), help="draw this part once, print the counts")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "fuzz.md")
    options = parser.parse_args()
    if options.only:
        print(json.dumps(draw_cases(PARTS[options.only], options.seed)))
        return
    lines = ["# Fuzzing", "",
             f"Made by `python benchmarks/fuzz.py --minutes {options.minutes:g} --seed "
             f"{options.seed}`. Only `XpnetError`, or an exit status that says so, may come out; "
             "anything else is counted as FAILED.", "", *machine.system()]  # fmt: skip
    for name in PARTS:
        counts = drawn(name, options.seed, 60 * options.minutes / len(PARTS))
        failed = sum(count for word, count in counts.items() if word.startswith("FAILED"))
        section = [f"## {name}", "", "| counted | |", "|---|---:|", f"| failed | {failed} |",
                   f"| cases | {counts.total():,} |",
                   *(f"| {word} | {counts[word]:,} |" for word in sorted(counts))]  # fmt: skip
        lines += ["", *section]
        print("\n".join(section), flush=True)
    options.out.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
