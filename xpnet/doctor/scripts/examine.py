"""Run a script under the doctor's eyes: record, map, watch, measure, and report."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import IO, Any, NoReturn, TypeVar

from xpnet.doctor.findings import Finding, Report
from xpnet.doctor.scripts.conclusions import conclude, in_words
from xpnet.doctor.scripts.fix import with_edits
from xpnet.doctor.scripts.measure import Measurer
from xpnet.doctor.scripts.observe import Observer
from xpnet.doctor.scripts.run import Outcome, run_script
from xpnet.doctor.scripts.source import Script
from xpnet.doctor.scripts.trace import Recorder

Result = TypeVar("Result")
SHAPES = {"target-shape", "loss-broadcast", "parameter-shape-changed", "bias-per-sample"}


@dataclass(frozen=True)
class Examination:
    """A script that ran, or was given up, and what was seen of it."""

    script: Script
    outcome: Outcome
    report: Report


def examine(
    script: Script,
    *,
    seconds: float | None = None,
    output: IO[str] | None = None,
    roles: Mapping[str, Sequence[str]] | None = None,
    give_up: Callable[[Examination], NoReturn],
) -> Examination:
    """Run a script, see `run_script`, and examine it. `give_up` must end the process.

    `roles` are names of the script's values, see `Step.roles`.
    """
    recorder = Recorder(roles)
    measurer = Measurer(recorder)  # the first to look: its children answer at once
    observer = Observer(recorder)

    def examined(outcome: Outcome) -> Examination:
        mapping, points = observer.first, measurer.points
        failed: list[str] = []
        facts: dict[str, Any] = {"ended": outcome.how, "script_seconds": outcome.seconds}
        attempt = partial(_attempt, failed)
        found: list[Finding] = []
        if mapping is not None:
            failing = observer.doctor.run.failing
            found = attempt(
                "judging the gradients", lambda: conclude(points, mapping, failing=failing), []
            )
            right = partial(in_words, points, mapping, measurer.runs)
            facts["gradients"] = attempt("judging the gradients", right, "")
        if not points:
            facts["not_measured"] = measurer.problem or "the script took too few steps"

        def mend(findings: Iterable[Finding]) -> tuple[Finding, ...]:
            findings = tuple(findings)
            if mapping is None:
                return findings
            return attempt("mending", lambda: with_edits(findings, mapping, points), findings)

        nothing = Report((), {"mapping": [], "not_mapped": "", **facts})
        report = attempt("examining", lambda: observer.report(found, mend, **facts), nothing)
        report.facts["failed"] = [*dict.fromkeys(failed)]
        if SHAPES & {*report.codes}:
            report.facts["gradients"] = ""  # they are right only for the shapes that are wrong
        return Examination(script, outcome, report)

    outcome = run_script(
        script, recorder, seconds=seconds, output=output,
        give_up=lambda outcome: give_up(examined(outcome)),
    )  # fmt: skip
    return examined(outcome)


def _attempt(
    failed: list[str], what: str, action: Callable[[], Result], otherwise: Result
) -> Result:
    """Return what an action does; if it fails, note that: what else was found is told."""
    try:
        return action()
    except Exception as error:  # noqa: BLE001  # whatever is wrong here is not the script's fault
        failed.append(f"{what} could not be done: {type(error).__name__}: {error}")
        return otherwise
