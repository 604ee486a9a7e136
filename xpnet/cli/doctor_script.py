"""`xpnet doctor script.py`: why an unchanged hand-written network does not learn."""

import difflib
import json
import math
import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from xpnet.backend.threads import THREAD_VARIABLES
from xpnet.cli.options import ScriptOptions
from xpnet.cli.output import say, show, show_report
from xpnet.errors import InputError, SaveError

QUICK, SLOW = 20.0, 120.0  # seconds that a mended copy may run, as long as the script otherwise
CLEARLY = 0.02  # of it, by which a mended copy must be better
LEARNT = 0.9  # of the targets' variance, after which no more is mended
ROLES = ("weights", "outputs", "targets", "loss")
NOTHING = 2  # exit status where no network was found
ROUNDS = 4  # of mending and running: one cause can hide the next

if TYPE_CHECKING:
    from xpnet.doctor.scripts.examine import Examination


def doctor(options: ScriptOptions) -> int:
    """Run the script, and print what is wrong with its network, worst first."""
    os.environ |= dict.fromkeys(THREAD_VARIABLES, "1")  # before NumPy is loaded: it will be forked
    os.environ["MPLBACKEND"] = "Agg"
    from xpnet.doctor.scripts.examine import examine
    from xpnet.doctor.scripts.source import Script

    is_module, words = options.script[0] == "-m", options.script
    words = words[1:] if is_module else words
    if not words:
        raise InputError("-m: name the module to run, as python -m does")
    if options.seconds is not None and not options.seconds > 0.0:
        raise InputError(f"--seconds {options.seconds:g} must be above 0")
    name = words[0] if is_module else os.path.normpath(words[0])
    script = Script(name, tuple(words[1:]), is_module)
    kept = Path(f"{script.name}.output.txt") if options.quiet else None

    def give_up(found: "Examination") -> NoReturn:
        _print(options, found, kept, {})
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(_status(found))

    with ExitStack() as stack:
        output = sys.stderr if options.json else None
        if kept is not None:
            try:
                output = stack.enter_context(open(kept, "w", encoding="utf-8"))
            except OSError as error:
                raise SaveError(f"{kept}: {error.strerror}; --quiet writes there") from error
        found = examine(script, seconds=options.seconds, output=output, give_up=give_up,
                        roles=_roles(options.as_ or []))  # fmt: skip
    if unknown := found.report.facts["unknown_names"]:
        raise InputError(f"--as: the script computes nothing with {', '.join(unknown)}; "
                         "write names as its lines have them")  # fmt: skip
    fixed = _fix(found) if options.fix and _status(found) != NOTHING else {}
    _print(options, found, kept, fixed)
    return _status(found)


def _status(found: "Examination") -> int:
    """Return the exit status: not 0 if nothing was there to examine."""
    return found.outcome.status or (0 if found.report.facts["recognised"] else NOTHING)


def _fix(found: "Examination") -> dict[str, Any]:
    """Mend the script, run what was made of it, mend that again; keep what learns best."""
    from xpnet.doctor.scripts.fix import apply
    from xpnet.doctor.scripts.source import read_source

    path = found.script.locate()
    if found.script.is_module or path.suffix != ".py":
        raise InputError(f"{found.script.name}: --fix mends scripts; make a .py file of it")
    target, source, report = (
        path.with_suffix(".fixed.py"),
        read_source(path),
        found.report.to_dict(),
    )
    before, text, file = _skill(report), source, path
    after, best, tried = before, source, list[float]()
    for _ in range(ROUNDS):
        edits = [e for each in report["findings"] for e in _edits(each, file)]
        mended = apply(text, edits)
        if mended == text:
            break
        text, file = mended, target
        target.write_text(text, encoding="utf-8")
        report = _report_on(target, found)
        tried.append(_skill(report))
        if _skill(report) > max(after, 0.0) + CLEARLY:
            after, best = _skill(report), text
        if after > LEARNT:
            break
    if best == source:
        target.unlink(missing_ok=True)
        return {"file": None, "before": before, "after": max(tried, default=None)}
    target.write_text(best, encoding="utf-8")
    lines = source.splitlines(), best.splitlines()
    changes = difflib.unified_diff(*lines, path.name, target.name, "", "", 0, "")
    return {"file": str(target), "before": before, "after": after, "changes": [*changes][2:]}


def _edits(finding: dict[str, Any], file: Path) -> list[dict[str, Any]]:
    """Return a finding's changes of one file."""
    edits = (finding["repair"] or {}).get("edits", ())
    return [each for each in edits if each["file"] == str(file)]


def _report_on(target: Path, found: "Examination") -> dict[str, Any]:
    """Return the doctor's report on a mended script, in a process of its own."""
    limit = f"{min(max(QUICK, found.outcome.seconds), SLOW):g}"
    command = [sys.executable, "-m", "xpnet", "doctor", "--json", "--seconds", limit, str(target)]
    run = subprocess.run(
        [*command, "--", *found.script.arguments], capture_output=True, check=False
    )
    report: dict[str, Any] = json.loads(run.stdout or '{"findings": [], "facts": {}}')
    return report


def _skill(report: dict[str, Any]) -> float:
    """Return the share of the targets' variance that the outputs explain at the end."""
    skill = report["facts"].get("skill")
    return -math.inf if skill is None or math.isnan(skill) else float(skill)


def _roles(given: list[str]) -> dict[str, list[str]]:
    roles: dict[str, list[str]] = {}
    for each in given:
        role, _, names = each.partition("=")
        if role not in ROLES or not names:
            raise InputError(f"--as {each}: write ROLE=NAME,NAME; roles are {', '.join(ROLES)}")
        roles.setdefault(role, []).extend(names.split(","))
    return roles


def _print(
    options: ScriptOptions, found: "Examination", kept: Path | None, fixed: dict[str, Any]
) -> None:
    report = found.report
    if options.json:
        about = {"fixed": fixed} if options.fix else {}
        told = {"command": "doctor", "script": found.script.name, **report.to_dict(), **about}
        show_report(True, told | {"ok": report.ok and report.facts["recognised"]}, ())
        return
    if kept is not None:
        say(f"What the script printed is in {kept}.")
    lines = ["", "The network, as far as it was recognised:"]
    lines += [f"  {line}" for line in report.facts["mapping"]]
    if not report.facts["recognised"]:
        lines = ["", f"No network was found: {report.facts['not_mapped']}."]
    elif report.facts["not_mapped"]:
        lines.append(f"  not found, and so not checked: {report.facts['not_mapped']}")
    lines += [f"  {line}" for line in report.facts["failed"]]
    if report.facts["recognised"] and report.facts.get("not_measured"):
        lines.append(f"  its gradients were not measured: {report.facts['not_measured']}")
    lines += ["", str(report)] if report.facts["recognised"] else []
    if report.facts.get("gradients"):
        lines += ["", report.facts["gradients"]]
    if found.outcome.how:
        lines += ["", f"Note: {found.outcome.how}."]
    if options.fix:
        lines += ["", *_in_words(fixed)]
    show("\n".join(lines))


def _in_words(fixed: dict[str, Any]) -> list[str]:
    before, after = (f"{max(fixed.get(each) or 0.0, 0.0):.0%}" for each in ("before", "after"))
    if not fixed.get("file"):
        if not fixed or fixed["after"] is None:
            return ["Nothing could be mended automatically."]
        return [f"The mended copy does not learn better: before {before}, after {after} of the "
                "targets' variance is explained at the end."]  # fmt: skip
    return [
        f"Mended in {fixed['file']}; of the targets' variance, its outputs explain at the end "
        f"{after}, those of the script {before}:",
        *fixed["changes"],
    ]
