"""Draw input that nobody would write, for minutes: only `XpnetError` may come out.

    python benchmarks/fuzz.py [--minutes 12] [--seed 0] [--out FILE.md]

The cases are those of tests/fuzzing.py, drawn by Hypothesis, each part for a third of the time.
"""

import argparse
import os
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

PARTS = {"model files": fuzzing.model_file, "tables": fuzzing.table, "commands": fuzzing.command}


def drawn(part: Callable[..., str], first_seed: int, seconds: float) -> Counter[str]:
    """Draw cases for so long; count how they ended."""
    counts: Counter[str] = Counter()
    number, end = first_seed, time.monotonic() + seconds
    while time.monotonic() < end:

        @seed(number)
        @settings(max_examples=500, deadline=None, database=None, phases=[Phase.generate],
                  suppress_health_check=list(HealthCheck))  # fmt: skip
        @given(st.data())
        def draw(data: st.DataObject) -> None:
            counts["cases"] += 1
            counts[part(data, Path.cwd())] += 1

        try:
            draw()
        except Exception as error:  # noqa: BLE001  what else comes out is the question
            counts[f"FAILED, seed {number}: {error!r}"[:300]] += 1
        number += 1
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=12.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=HERE / "results" / "fuzz.md")
    given_ = parser.parse_args()
    out = given_.out.resolve()
    lines = ["# Fuzzing", "",
             f"Made by `python benchmarks/fuzz.py --minutes {given_.minutes:g} --seed "
             f"{given_.seed}`. Only `XpnetError`, or an exit status that says so, may come out; "
             "anything else is counted as FAILED.", "", *machine.system()]  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for name, part in PARTS.items():
            counts = drawn(part, given_.seed, 20 * given_.minutes)
            failed = sum(count for word, count in counts.items() if word.startswith("FAILED"))
            lines += ["", f"## {name}", "", "| counted | |", "|---|---:|", f"| failed | {failed} |"]
            lines += [f"| {word} | {counts[word]:,} |" for word in sorted(counts)]
            print("\n".join(lines[-len(counts) - 5 :]), flush=True)
        os.chdir(HERE)
    out.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
