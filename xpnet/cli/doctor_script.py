"""`xpnet doctor script.py`: why an unchanged hand-written network does not learn."""

import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from xpnet.backend.threads import THREAD_VARIABLES
from xpnet.cli.options import ScriptOptions
from xpnet.cli.output import check_outputs, say, show, show_report
from xpnet.errors import InputError, SaveError, XpnetError

NOTHING = 2  # exit status where no network was found
ROLES = ("weights", "outputs", "targets", "loss")
LACKING = {
    "not_mapped": "not found, and so not checked:",
    "not_looked_at": "not looked at: what is trained by",
    "not_measured": "its gradients were not measured:",
}

if TYPE_CHECKING:
    from xpnet.doctor.scripts.examine import Examination


def doctor(options: ScriptOptions) -> int:
    """Run the script, and print what is wrong with its network, worst first."""
    os.environ |= dict.fromkeys(THREAD_VARIABLES, "1")  # before NumPy is loaded: it will be forked
    os.environ["MPLBACKEND"] = "Agg"
    from xpnet.doctor.scripts.examine import examine
    from xpnet.doctor.scripts.recording.budget import TO_MEND
    from xpnet.doctor.scripts.recording.source import Script

    for name, given in (("--seconds", options.seconds), ("--look", options.look)):
        if given is not None and not given > 0.0:
            raise InputError(f"{name} {given:g} must be above 0")
    is_module = options.script[0] == "-m"
    name, *arguments = options.script[is_module:] or [""]
    name = name if is_module else os.path.normpath(name)
    kept = Path(f"{name}.output.txt") if options.quiet else None
    check_outputs([*filter(None, [options.report])], [name], report=options.report)
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
        look = options.look or (TO_MEND if options.fix else None)
        found = examine(script, seconds=options.seconds, output=output, look=look,
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
    from xpnet.cli.doctor_fix import fix, in_words
    from xpnet.doctor.scripts.recording.budget import TO_MEND

    name = found.script.name
    if unknown := found.report.facts["unknown_names"]:
        raise InputError(f"--as: the script computes nothing with {', '.join(unknown)}; "
                         "write names as its lines have them")  # fmt: skip
    recognised = found.report.facts["recognised"]
    roles, look = options.as_ or (), options.look or TO_MEND
    fixed = fix(found, roles, look) if options.fix and recognised else {}
    if options.json:
        told = {"command": "doctor", "script": name, **found.report.to_dict()}
        told |= {"fixed": fixed} if options.fix else {}
        show_report(True, told | {"ok": found.report.ok and recognised}, ())
    else:
        if kept is not None:
            say(f"What the script printed is in {kept}.")
        show("\n".join(_in_words(found) + (["", *in_words(fixed)] if options.fix else [])))
    if options.report:
        from xpnet.report.report import script_report

        script_report(name, found.report, found.run, options.report)
    return found.outcome.status or (0 if recognised else NOTHING)


def _in_words(found: "Examination") -> list[str]:
    from xpnet.doctor.findings import UNSKILLED
    from xpnet.doctor.run import GOOD

    facts = found.report.facts
    if facts["recognised"]:
        lines = ["", "The network, as far as it was recognised:"]
        lines += [f"  {line}" for line in facts["mapping"]]
        lines += [f"  {what} {facts[name]}" for name, what in LACKING.items() if facts.get(name)]
        lines += [*(f"  {line}" for line in facts["failed"]), "", str(found.report)]
        lines += ["", facts["gradients"]] if facts.get("gradients") else []
        unjudged = facts.get("stopped_looking") or facts.get("taught_otherwise")
        told = found.report.findings or unjudged
        if last := facts.get("stopped_looking"):
            steps = f"up to {last} of {facts['steps']}"
            lines += [f"Only steps {steps} were looked at; --look SECONDS allows more."]
        if not told and UNSKILLED <= (skill := facts.get("skill", 1.0)) < GOOD:
            lines += [f"Yet it explains only {skill:.0%} of the targets' variance; optimizers' "
                      "states, and what inputs can tell, were not seen."]  # fmt: skip
    else:
        lines = ["", f"No network was found: {facts['not_mapped']}."]
        lines += ["What is updated again and again:"] if facts["mapping"] else []
        lines += [f"  {line}" for line in facts["mapping"]]
    return lines + (["", f"Note: {found.outcome.how}."] if found.outcome.how else [])
