"""`xpnet doctor script.py`: why an unchanged hand-written network does not learn."""

import difflib
import json
import math
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xpnet.backend.threads import THREAD_VARIABLES
from xpnet.cli.options import ScriptOptions
from xpnet.cli.output import say, show, show_report
from xpnet.errors import InputError, SaveError, XpnetError

QUICK, SLOW = 20.0, 120.0  # seconds that a mended copy may run, as long as the script otherwise
CLEARLY = 0.02  # of it, by which a mended copy must be better
LEARNT = 0.9  # of the targets' variance, after which no more is mended
NOTHING = 2  # exit status where no network was found
ROLES = ("weights", "outputs", "targets", "loss")
ROUNDS = 4  # of mending and running: one cause can hide the next

if TYPE_CHECKING:
    from xpnet.doctor.scripts.examine import Examination


def doctor(options: ScriptOptions) -> int:
    """Run the script, and print what is wrong with its network, worst first."""
    os.environ |= dict.fromkeys(THREAD_VARIABLES, "1")  # before NumPy is loaded: it will be forked
    os.environ["MPLBACKEND"] = "Agg"
    from xpnet.doctor.scripts.examine import examine
    from xpnet.doctor.scripts.source import Script

    if options.seconds is not None and not options.seconds > 0.0:
        raise InputError(f"--seconds {options.seconds:g} must be above 0")
    is_module = options.script[0] == "-m"
    name, *arguments = options.script[is_module:] or [""]
    name = name if is_module else os.path.normpath(name)
    kept = Path(f"{name}.output.txt") if options.quiet else None
    finish = partial(_finish, options, kept)

    def give_up(found: "Examination") -> None:
        status = 1
        try:
            status = finish(found)
        except XpnetError as error:
            say(f"xpnet: {error}")
            status = NOTHING
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)

    with ExitStack() as stack:
        output = sys.stderr if options.json else None
        if kept is not None:
            try:
                output = stack.enter_context(open(kept, "w", encoding="utf-8"))
            except OSError as error:
                raise SaveError(f"{kept}: {error.strerror}; --quiet writes there") from error
        script = Script(name, tuple(arguments), is_module)
        found = examine(script, seconds=options.seconds, output=output,
                        roles=_roles(options.as_ or ()), give_up=give_up)  # fmt: skip
    return finish(found)


def _roles(given: Sequence[str]) -> dict[str, list[str]]:
    roles: dict[str, list[str]] = {}
    for each in given:
        role, _, names = each.partition("=")
        if role not in ROLES or not names:
            raise InputError(f"--as {each}: write ROLE=NAME,NAME; roles are {', '.join(ROLES)}")
        roles.setdefault(role, []).extend(names.split(","))
    return roles


def _finish(options: ScriptOptions, kept: Path | None, found: "Examination") -> int:
    """Mend, if that is wanted; print the report, and return the exit status."""
    name = found.script.name
    if unknown := found.report.facts["unknown_names"]:
        raise InputError(f"--as: the script computes nothing with {', '.join(unknown)}; "
                         "write names as its lines have them")  # fmt: skip
    recognised = found.report.facts["recognised"]
    fixed = _fix(found, options.as_ or ()) if options.fix and recognised else {}
    if options.json:
        told = {"command": "doctor", "script": name, **found.report.to_dict()}
        told |= {"fixed": fixed} if options.fix else {}
        show_report(True, told | {"ok": found.report.ok and recognised}, ())
    else:
        if kept is not None:
            say(f"What the script printed is in {kept}.")
        show("\n".join(_in_words(found) + (["", *_fixed_in_words(fixed)] if options.fix else [])))
    if options.report:
        from xpnet.report.report import script_report

        script_report(name, found.report, found.run, options.report)
    return found.outcome.status or (0 if recognised else NOTHING)


def _fix(found: "Examination", roles: Sequence[str] = ()) -> dict[str, Any]:
    """Mend the script, run what was made of it, mend that again; keep what learns best."""
    from xpnet.doctor.scripts.fix import apply
    from xpnet.doctor.scripts.source import read_source

    path, package = found.script.locate()
    if path.suffix != ".py" or package is not None:
        raise InputError(f"{found.script.name}: --fix mends scripts that are one .py file")
    target, source, report = (
        path.with_suffix(".fixed.py"),
        read_source(path),
        found.report.to_dict(),
    )
    text, file, best, tried = source, path, source, list[float]()
    before = after = _skill(report)
    for _ in range(ROUNDS):
        repairs = (each["repair"] or {} for each in report["findings"])
        edits = [edit for each in repairs for edit in each.get("edits", ())]
        mended = apply(text, [each for each in edits if each["file"] == str(file)])
        if mended == text or after > LEARNT:
            break
        text, file = mended, target
        target.write_text(text, encoding="utf-8")
        report = _report_on(target, found, roles)
        tried.append(_skill(report))
        if tried[-1] > max(after, 0.0) + CLEARLY:
            after, best = tried[-1], text
    if best == source:
        target.unlink(missing_ok=True)
        return {"file": None, "before": before, "after": max(tried, default=None)}
    target.write_text(best, encoding="utf-8")
    lines = source.splitlines(), best.splitlines()
    changes = difflib.unified_diff(*lines, path.name, target.name, "", "", 0, "")
    return {"file": str(target), "before": before, "after": after, "changes": [*changes][2:]}


def _report_on(target: Path, found: "Examination", roles: Sequence[str]) -> dict[str, Any]:
    """Return the doctor's report on a mended script, in a process of its own."""
    limit = f"{min(max(QUICK, found.outcome.seconds), SLOW):g}"
    command = [sys.executable, "-m", "xpnet", "doctor", "--json", "--seconds", limit]
    command += [word for each in roles for word in ("--as", each)] + [str(target), "--"]
    run = subprocess.run([*command, *found.script.arguments], capture_output=True, check=False)
    report: dict[str, Any] = json.loads(run.stdout or '{"findings": [], "facts": {}}')
    return report


def _skill(report: dict[str, Any]) -> float:
    """Return the share of the targets' variance that the outputs explain at the end."""
    skill = report["facts"].get("skill")
    return -math.inf if skill is None or math.isnan(skill) else float(skill)


def _in_words(found: "Examination") -> list[str]:
    facts = found.report.facts
    if facts["recognised"]:
        lines = ["", "The network, as far as it was recognised:"]
        lines += [f"  {line}" for line in facts["mapping"]]
        if facts["not_mapped"]:
            lines.append(f"  not found, and so not checked: {facts['not_mapped']}")
        if facts.get("not_measured"):
            lines.append(f"  its gradients were not measured: {facts['not_measured']}")
        lines += [*(f"  {line}" for line in facts["failed"]), "", str(found.report)]
        lines += ["", facts["gradients"]] if facts.get("gradients") else []
    else:
        lines = ["", f"No network was found: {facts['not_mapped']}."]
    return lines + (["", f"Note: {found.outcome.how}."] if found.outcome.how else [])


def _fixed_in_words(fixed: dict[str, Any]) -> list[str]:
    if not fixed or fixed["after"] is None:
        return ["Nothing could be mended automatically."]
    before, after = (f"{max(fixed[each], 0.0):.0%}" for each in ("before", "after"))
    if not fixed["file"]:
        return [f"The mended copy does not learn better: before {before}, after {after} of the "
                "targets' variance is explained at the end."]  # fmt: skip
    return [
        f"Mended in {fixed['file']}; of the targets' variance, its outputs explain at the end "
        f"{after}, those of the script {before}:",
        *fixed["changes"],
    ]
