"""The corpus of hand-written networks in `tests/scripts`: what is wrong in each, and its score.

    python benchmarks/script_corpus.py [--only NAME]   # measure the scores anew, into the manifest

`manifest.toml` has one table a script, and the codes of findings that name each kind of cause.
"""

import argparse
import json
import operator
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "tests" / "scripts"
MANIFEST = FOLDER / "manifest.toml"
LIMITS: dict[str, Callable[[float, float], bool]] = {"<": operator.lt, ">=": operator.ge}


@dataclass(frozen=True)
class Case:
    """A script of the corpus.

    Attributes
    ----------
    kind : str
        The main cause, a key of ``[kinds]`` with its codes; empty for a right script.
    also : tuple of str
        Kinds of causes that are true as well.
    mend : tuple of pairs
        Old and new texts; with all of them replaced, the script learns.
    score, learns : str
        A pattern whose last match in the output is the score; the limit that says it learnt.
    parameters : int
        How many arrays (or numbers) the script trains.
    before, after : float
        The measured scores of the script and of its mended twin.
    """

    name: str
    half: str
    score: str
    learns: str
    before: float = float("nan")
    after: float = float("nan")
    cause: str = ""
    kind: str = ""
    also: tuple[str, ...] = ()
    mend: tuple[tuple[str, str], ...] = ()
    args: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    parameters: int = 0

    @property
    def path(self) -> Path:
        return FOLDER / self.name

    @property
    def right(self) -> bool:
        return not self.kind

    def mended(self) -> dict[str, str]:
        """Return the mended twin: the texts of the files that change."""
        texts = {name: (FOLDER / name).read_text() for name in (self.name, *self.files)}
        for old, new in self.mend:
            holders = [name for name, text in texts.items() if text.count(old) == 1]
            if len(holders) != 1:
                raise ValueError(f"{self.name}: {old!r} must occur once")
            texts[holders[0]] = texts[holders[0]].replace(old, new)
        return texts

    def lines(self) -> dict[str, set[int]]:
        """Return the lines at fault, by file: those that the mend changes, and their neighbors."""
        found: dict[str, set[int]] = {}
        for old, _ in self.mend:
            for name in (self.name, *self.files):
                text = (FOLDER / name).read_text()
                if old in text:
                    first = text[: text.index(old)].count("\n") + 1
                    lines = range(first, first + old.rstrip("\n").count("\n") + 1)
                    found.setdefault(name, set()).update(lines)
        return found

    def learnt(self, value: float) -> bool:
        sign, _, limit = self.learns.partition(" ")
        return LIMITS[sign](value, float(limit))

    def read_score(self, output: str) -> float:
        """Return the last score that a run printed; nan if there is none."""
        found = re.findall(self.score, output)
        try:
            return float(found[-1].strip(" []()%")) if found else float("nan")
        except ValueError:
            return float("nan")


@cache
def manifest() -> dict[str, Any]:
    return tomllib.loads(MANIFEST.read_text())


@cache
def kinds() -> dict[str, frozenset[str]]:
    """Return the codes of findings that name each kind of cause."""
    return {kind: frozenset(codes) for kind, codes in manifest()["kinds"].items()}


def cases(half: str = "", only: str = "") -> list[Case]:
    found = []
    for name, about in manifest().items():
        if name == "kinds" or (half and about["half"] != half) or only not in name:
            continue
        about = {k: tuple(v) if isinstance(v, list) else v for k, v in about.items()}
        about["mend"] = tuple(tuple(pair) for pair in about.get("mend", ()))
        found.append(Case(name, **about))
    return found


def lay_out(case: Case, folder: Path, texts: dict[str, str] | None = None) -> Path:
    """Copy a script and its files into a folder; return the script's path there."""
    for name in (case.name, *case.files):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if texts and name in texts:
            (folder / name).write_text(texts[name])
        else:
            shutil.copy(FOLDER / name, folder / name)
    return folder / case.name


def environment() -> dict[str, str]:
    """Return the environment of all runs: one thread, no window."""
    return os.environ | {
        "OPENBLAS_NUM_THREADS": "1", "MPLBACKEND": "Agg", "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONIOENCODING": "utf-8",
        "PYTHONPATH": os.environ.get("PYTHONPATH", str(FOLDER.parents[1])),
    }  # fmt: skip


def run_plainly(
    case: Case, folder: Path, texts: dict[str, str] | None = None
) -> tuple[float, float]:
    """Run a script without the doctor; return its score and its seconds."""
    path = lay_out(case, folder, texts)
    if path.suffix == ".ipynb":
        cells = json.loads(path.read_text())["cells"]
        path = path.with_suffix(".cells.py")
        path.write_text(
            "\n".join("".join(each["source"]) for each in cells if each["cell_type"] == "code")
        )
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, path.name, *case.args], cwd=path.parent, env=environment(),
        capture_output=True, text=True, encoding="utf-8", timeout=120, check=False,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    return case.read_score(done.stdout), time.perf_counter() - started


def measure(case: Case, folder: Path) -> tuple[float, float, float]:
    """Return the scores before and after the mend, and the seconds before."""
    before, seconds = run_plainly(case, folder)
    after = before if case.right else run_plainly(case, folder, case.mended())[0]
    return before, after, seconds


def main() -> None:
    import tempfile

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    for case in cases(only=options.only):
        with tempfile.TemporaryDirectory() as folder:
            before, after, seconds = measure(case, Path(folder))
        good = case.learnt(after) and (case.right or not case.learnt(before))
        print(f"{'' if good else 'BAD '}{case.name} {before:g} -> {after:g} in {seconds:.1f} s")
        table = f'["{case.name}"]\n'
        start, _, rest = MANIFEST.read_text().partition(table)
        mine, gap, others = rest.partition("\n\n")
        kept = [each for each in mine.splitlines() if not each.startswith(("before", "after"))]
        kept += [f"before = {before:g}"] + [f"after = {after:g}"] * (not case.right)
        MANIFEST.write_text(start + table + "\n".join(kept) + (gap or "\n") + others)


if __name__ == "__main__":
    main()
