"""`xpnet doctor script.py`: why an unchanged hand-written network does not learn."""

import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from xpnet.backend.threads import THREAD_VARIABLES
from xpnet.cli.other_options import ScriptOptions
from xpnet.cli.output import say, show, show_json
from xpnet.errors import InputError, SaveError

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
    script = Script(words[0], tuple(words[1:]), is_module)
    kept = Path(f"{script.name}.output.txt") if options.quiet else None

    def give_up(found: "Examination") -> NoReturn:
        _print(options, found, kept)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(found.outcome.status)

    with ExitStack() as stack:
        output = sys.stderr if options.json else None
        if kept is not None:
            try:
                output = stack.enter_context(open(kept, "w", encoding="utf-8"))
            except OSError as error:
                raise SaveError(f"{kept}: {error.strerror}; --quiet writes there") from error
        found = examine(script, seconds=options.seconds, output=output, give_up=give_up)
    _print(options, found, kept)
    return found.outcome.status


def _print(options: ScriptOptions, found: "Examination", kept: Path | None) -> None:
    report = found.report
    if options.json:
        show_json({"command": "doctor", "script": found.script.name, **report.to_dict()})
        return
    if kept is not None:
        say(f"What the script printed is in {kept}.")
    lines = ["", "The network, as far as it was recognised:"]
    lines += [f"  {line}" for line in report.facts["mapping"]]
    if report.facts["not_mapped"]:
        lines.append(f"  not found, and so not checked: {report.facts['not_mapped']}")
    if report.facts.get("not_measured"):
        lines.append(f"  its gradients were not measured: {report.facts['not_measured']}")
    lines += ["", str(report)]
    if report.facts.get("gradients"):
        lines += ["", report.facts["gradients"]]
    if found.outcome.how:
        lines += ["", f"Note: {found.outcome.how}."]
    show("\n".join(lines))
