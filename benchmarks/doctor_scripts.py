"""What `xpnet doctor script.py` finds in hand-written networks that it never saw.

    python benchmarks/doctor_scripts.py [--half A] [--only NAME] [--misses FILE] [--out FILE.md]

Each script of `tests/scripts` runs unchanged, alone and under `xpnet doctor script.py`.
The halves were drawn by a hash of the names, before any rule was tuned; half B was run once, after
the rules were settled. C was written later, and run before any rule was mended for it.

* mapped: all trainable arrays were found, and outputs, targets and update;
* something true: a finding names a cause that the script has;
* main cause first: the first finding names the script's main cause; and a line that the mend
  changes;
* `--fix` learns: the copy that `--fix` wrote reaches the score that counts as learnt;
* errors, warnings on right scripts: false alarms.
"""

import argparse
import json
import re
import resource
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from machine import system
from script_corpus import Case, cases, environment, kinds, lay_out, run_plainly

DEFINITIONS = "".join(str(__doc__).partition("* mapped")[1:]).strip()
LIMIT = 180.0  # seconds for one script


@dataclass(frozen=True)
class Outcome:
    """What the doctor said of one script, and what it cost."""

    case: Case
    findings: tuple[dict[str, Any], ...]
    facts: dict[str, Any]
    trouble: str  # why there is no report; empty if there is one
    fixed: float | None  # the score of the copy that --fix wrote; None: not tried
    own: float  # CPU seconds of the script alone
    watched: float  # and under the doctor

    @property
    def codes(self) -> list[str]:
        return [f"{each['code']}" for each in self.findings]

    def said(self, severity: str) -> list[str]:
        return [each["code"] for each in self.findings if each["severity"] == severity]

    @property
    def mapped(self) -> bool:
        lines = self.facts.get("mapping", ())
        arrays = sum(each.startswith(("weights ", "biases ")) for each in lines)
        return arrays == self.case.parameters and not self.facts.get("not_mapped")

    @property
    def true(self) -> bool:
        wanted = set().union(*(kinds()[kind] for kind in (self.case.kind, *self.case.also)))
        return bool(wanted & set(self.codes))

    @property
    def first(self) -> bool:
        return bool(self.codes) and self.codes[0] in kinds()[self.case.kind]

    @property
    def line(self) -> bool:
        """Whether the first finding names the main cause, and a line that has it."""
        if not self.first:
            return False
        said = json.dumps(self.findings[0])
        named = {int(each) for each in re.findall(r"\bline (\d+)", said)}
        return bool(named & set().union(*self.case.lines().values()))

    @property
    def fix_learns(self) -> bool:
        return self.fixed is not None and self.case.learnt(self.fixed)

    @property
    def affordable(self) -> bool:
        return self.watched <= 2 * self.own + 2


def cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def examine(case: Case, *, fix: bool) -> Outcome:
    with tempfile.TemporaryDirectory() as name:
        start = cpu()
        run_plainly(case, Path(name))
        own = cpu() - start
    with tempfile.TemporaryDirectory() as name:
        path = lay_out(case, Path(name))
        start = cpu()
        report, trouble = ask_doctor(path, case)
        watched = cpu() - start
    fixed = score_of_fix(case) if fix and not case.right else None
    findings, facts = tuple(report.get("findings", ())), report.get("facts", {})
    return Outcome(case, findings, facts, trouble, fixed, own, watched)


def score_of_fix(case: Case) -> float:
    """Return the score of the copy that --fix writes; nan if it writes none."""
    with tempfile.TemporaryDirectory() as name:
        path = lay_out(case, Path(name))
        call(path, "--fix", *case.args)
        mended = path.with_name(f"{path.stem}.fixed{path.suffix}")
        if not mended.exists():
            return float("nan")
        texts = {case.name: mended.read_text(encoding="utf-8")}
        return run_plainly(case, Path(name), texts)[0]


def call(path: Path, *options: str) -> tuple[str, str]:
    """Run ``xpnet doctor`` on a script, in its folder; return what it wrote."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        process = subprocess.Popen(
            [sys.executable, "-m", "xpnet", "doctor", path.name, *options],
            cwd=path.parent, env=environment(), stdin=subprocess.DEVNULL, stdout=out, stderr=err,
        )  # fmt: skip
        try:
            process.wait(LIMIT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return "", f"no end after {LIMIT:.0f} s"
        out.seek(0)
        err.seek(0)
        return out.read(), err.read()


def ask_doctor(path: Path, case: Case) -> tuple[dict[str, Any], str]:
    out, err = call(path, "--json", *case.args)
    try:
        return json.loads(out[out.index('{"') :]), ""
    except ValueError:
        return {}, (err.strip().splitlines() or ["no output"])[-1]


def share(rows: list[Outcome], key: str) -> str:
    rows = [each for each in rows if key != "fix_learns" or each.fixed is not None]
    if not rows:
        return "-"
    good = sum(getattr(each, key) for each in rows)
    return f"{good / len(rows):.0%} ({good} of {len(rows)})"


def table(outcomes: list[Outcome]) -> str:
    halves = {
        "both": [each for each in outcomes if each.case.half in "AB"],
        "A": [each for each in outcomes if each.case.half == "A"],
        "B": [each for each in outcomes if each.case.half == "B"],
    }
    lines = ["| | both halves | A | B (set aside) | wanted |", "|---|---|---|---|---|"]
    for name, key, wanted in (
        ("mapped fully", "mapped", ">= 90 %"), ("something true", "true", ">= 95 %"),
        ("main cause first", "first", ">= 85 %"), ("and a line at fault", "line", "-"),
        ("`--fix` learns", "fix_learns", ">= 75 %"),
        ("at most 2 x own time + 2 s", "affordable", "all"),
    ):  # fmt: skip
        everyone = key in {"mapped", "affordable"}
        rows = [
            share([each for each in half if everyone or not each.case.right], key)
            for half in halves.values()
        ]
        lines.append(f"| {name} | {' | '.join(rows)} | {wanted} |")
    for severity, wanted in (("error", "0"), ("warning", "<= 3 %")):
        rows = []
        for half in halves.values():
            right = [each for each in half if each.case.right]
            rows.append(f"{sum(bool(each.said(severity)) for each in right)} of {len(right)}")
        lines.append(f"| {severity}s on right scripts | {' | '.join(rows)} | {wanted} |")
    return "\n".join(lines)


def details(outcomes: list[Outcome]) -> str:
    lines = [
        "| script | half | cause | true, first | findings | score, `--fix`, mended | CPU s |",
        "|---|---|---|---|---|---|---|",
    ]
    for each in outcomes:
        case = each.case
        said = ", ".join(each.codes[:4]) or each.trouble or "nothing"
        marks = (
            "-"
            if case.right
            else f"{'yes' if each.true else 'no'}, " + ("yes" if each.first else "no")
        )
        scores = f"{case.before:.3g}"
        if not case.right:
            fixed = "-" if each.fixed is None else f"{each.fixed:.3g}"
            scores += f", {fixed}, {case.after:.3g}"
        lines.append(
            f"| `{case.name}` | {case.half} | {case.kind or 'right'} | {marks} | {said} | {scores} "
            f"| {each.own:.1f}, {each.watched:.1f} |"
        )
    return "\n".join(lines)


def why_missed(each: Outcome) -> str:
    """Say in a line what is not as wanted; nothing if all is."""
    if each.trouble:
        return f"no report: {each.trouble}"
    faults = []
    if not each.mapped:
        faults.append(f"not mapped: {each.facts.get('not_mapped', 'no mapping')}")
    if each.case.right:
        faults += [f"false {s} {each.said(s)}" for s in ("error", "warning") if each.said(s)]
    else:
        if not each.first:
            faults.append(f"{'not first' if each.true else 'MISSED'}: says {each.codes[:3]}")
        elif not each.line:
            faults.append(f"no line of {sorted(set().union(*each.case.lines().values()))} named")
        if each.fixed is not None and not each.fix_learns:
            faults.append(f"--fix: {each.case.before:.3g} -> {each.fixed:.3g}")
    if not each.affordable:
        faults.append(f"{each.watched:.1f} s, alone {each.own:.1f} s")
    return "; ".join(faults)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--half", choices=("A", "B", "C"), default="")
    parser.add_argument("--only", default="", help="a part of a script's name")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--no-fix", action="store_true", help="do not try --fix")
    parser.add_argument("--misses", type=Path, help="write what is not as wanted, a line a script")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    started, outcomes, misses = time.perf_counter(), [], []
    chosen = cases(options.half, options.only)
    with ProcessPoolExecutor(options.workers) as pool:
        for each in pool.map(partial(examine, fix=not options.no_fix), chosen):
            outcomes.append(each)
            if fault := why_missed(each):
                about = f"{each.case.kind or 'right'}; {each.case.cause}"
                misses.append(f"- `{each.case.name}` ({about}): {fault}")
                print(misses[-1], flush=True)
    head = [
        "# The doctor on people's own scripts", "", *system(), "",
        "`python benchmarks/doctor_scripts.py`", "", DEFINITIONS, "", table(outcomes), "",
    ]  # fmt: skip
    print("\n" + table(outcomes), f"\n{time.perf_counter() - started:.0f} s")
    if options.misses:
        options.misses.write_text("\n".join([table(outcomes), "", *misses, ""]))
    if options.out:
        options.out.write_text("\n".join([*head, details(outcomes), ""]))


if __name__ == "__main__":
    main()
