"""Run a script under the doctor's eyes: record, map, watch, measure, and report."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import IO, Any, TypeVar

import numpy as np

from xpnet.doctor.findings import Finding, Report
from xpnet.doctor.run import Run
from xpnet.doctor.scripts.gradients.conclusions import conclude
from xpnet.doctor.scripts.gradients.measure import Measurer
from xpnet.doctor.scripts.mapping import Mapping as Roles
from xpnet.doctor.scripts.observe import Observer
from xpnet.doctor.scripts.recording.run import Outcome, run_script
from xpnet.doctor.scripts.recording.source import Script
from xpnet.doctor.scripts.recording.trace import Recorder
from xpnet.doctor.scripts.repairs.fix import tries, with_edits

Result = TypeVar("Result")
SHAPES = {"target-shape", "loss-broadcast", "parameter-shape-changed", "bias-per-sample"}


@dataclass(frozen=True)
class Examination:
    """A script that ran, or was stopped, and what was seen of it."""

    script: Script
    outcome: Outcome
    report: Report
    run: Run


def examine(
    script: Script, *, seconds: float | None = None, output: IO[str] | None = None,
    roles: Mapping[str, Sequence[str]] | None = None,
    give_up: Callable[[Examination], None] = lambda found: None,
) -> Examination:  # fmt: skip
    """Run a script, see `run_script`, and say what is wrong with its network.

    `roles` are names of its values, see `Recorder`.
    """
    recorder = Recorder(roles)
    measurer = Measurer(recorder)  # the first to look: its children answer at once
    observer = Observer(recorder)

    def examined(outcome: Outcome) -> Examination:
        return Examination(
            script, outcome, _report(outcome, measurer, observer), observer.doctor.run
        )

    return examined(run_script(script, recorder, seconds=seconds, output=output,
                               give_up=lambda outcome: give_up(examined(outcome))))  # fmt: skip


def _report(outcome: Outcome, measurer: Measurer, observer: Observer) -> Report:
    mapping, points, failed = observer.first, measurer.points, list[str]()
    facts: dict[str, Any] = {"ended": outcome.how, "status": outcome.status}
    facts["script_seconds"] = outcome.seconds

    def attempt(what: str, action: Callable[[], Result], otherwise: Result) -> Result:
        """Do something; if it fails, note that: what else was found is told."""
        try:
            return action()
        except Exception as error:  # noqa: BLE001  # whatever is wrong is not the script's fault
            failed.append(f"{what} could not be done: {type(error).__name__}: {error}")
            return otherwise

    def mend(findings: Iterable[Finding]) -> tuple[Finding, ...]:
        findings = tuple(findings)
        if mapping is None:
            return findings
        roles = _at_end(mapping, observer)
        return attempt("mending", lambda: with_edits(findings, roles), findings)

    found: list[Finding] = []
    if mapping is not None and points:
        failing, runs = observer.doctor.run.failing, measurer.runs
        found, facts["gradients"] = attempt(
            "judging the gradients",
            lambda: conclude(points, observer.latest or mapping, runs, failing=failing),
            (found, ""),
        )  # fmt: skip
    elif not points:
        facts["not_measured"] = measurer.problem or (
            "" if mapping is None else "the script took too few steps"
        )
    report = observer.report(found, mend, **facts)
    if mapping is not None:
        roles = _at_end(mapping, observer)
        report.facts["tries"] = attempt("mending", partial(tries, roles), list[dict[str, Any]]())
    report.facts["failed"] = [*dict.fromkeys(failed)]
    if SHAPES & {*report.codes}:
        report.facts["gradients"] = ""  # they are right only for the shapes that are wrong
    return report


def _at_end(mapping: Roles, observer: Observer) -> Roles:
    """Return the first step's roles, with what only the whole run shows."""
    latest = observer.latest.step.operations if observer.latest else ()
    pairs = (pair for each in observer.recorder.modules for pair in each.items())
    return replace(
        mapping, repeated=frozenset(each.place for each in latest), served=observer.served(),
        places={id(array): name for name, array in pairs if isinstance(array, np.ndarray)},
    )  # fmt: skip
