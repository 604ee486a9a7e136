"""Run a script under the doctor's eyes: record, map, watch, measure, and report."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import IO, Any, TypeVar

import numpy as np

from xpnet.doctor.findings import Evidence, Finding, Report
from xpnet.doctor.rules.rule import rules_of
from xpnet.doctor.run import Run
from xpnet.doctor.scripts import checks, data_checks, idle_checks, prediction_checks, update_checks
from xpnet.doctor.scripts.failures import failures
from xpnet.doctor.scripts.gradients.conclusions import BY_ROW, conclude
from xpnet.doctor.scripts.gradients.measure import Measurer
from xpnet.doctor.scripts.gradients.verdicts import UNEVEN, WEIGHTED
from xpnet.doctor.scripts.mapping import Roles, in_words
from xpnet.doctor.scripts.observe import Observer, are_told
from xpnet.doctor.scripts.recording.run import Outcome, run_script
from xpnet.doctor.scripts.recording.source import Script
from xpnet.doctor.scripts.recording.trace import Recorder
from xpnet.doctor.scripts.repairs.fix import tries, with_edits
from xpnet.doctor.scripts.telling import BAD, FAULTS, LENGTH, STARTS, SYMPTOMS, left_to_say, told

CHECKS = rules_of(checks, idle_checks, data_checks, prediction_checks, update_checks)
Result = TypeVar("Result")
SHAPES = {"target-shape", "loss-broadcast", "parameter-shape-changed", "bias-per-sample",
          "gradient-accumulated"}  # fmt: skip
OF_DATA = {"unscaled-inputs", "shuffled-targets"}  # of inputs that no weights have made
# Wrong, however well it is learnt.
TAUGHT = ("same-batch", "targets-shifted", "unshuffled-rows", "error-not-from-targets",
          "prediction-wrong", "rows-left-out")  # fmt: skip


@dataclass(frozen=True)
class Examination:
    """A script that ran, or was stopped, and what was seen of it."""

    script: Script
    outcome: Outcome
    report: Report
    run: Run


def examine(
    script: Script, *, seconds: float | None = None, output: IO[str] | None = None,
    roles: Mapping[str, Sequence[str]] | None = None, look: float | None = None,
    give_up: Callable[[Examination], None] = lambda found: None,
) -> Examination:  # fmt: skip
    """Run a script, see `run_script`, and say what is wrong with its network.

    `roles` are names of its values, and `look` the seconds of a `Budget`, see `Recorder`.
    """
    recorder = Recorder(roles, look)
    measurer = Measurer(recorder)  # the first to look: its children answer at once
    observer = Observer(recorder)

    def examined(outcome: Outcome) -> Examination:
        facts = {"ended": outcome.how, "status": outcome.status, "script_seconds": outcome.seconds}
        found = report(observer, measurer, **facts)
        return Examination(script, outcome, found, observer.doctor.run)

    return examined(run_script(script, recorder, seconds=seconds, output=output,
                               give_up=lambda outcome: give_up(examined(outcome))))  # fmt: skip


def report(seen: Observer, measurer: Measurer, **facts: Any) -> Report:
    """Return all findings, causes first, in the script's own words, with edits that mend them."""
    first, points, failed = seen.first, measurer.points, list[str]()
    seen.recorder.finish()
    measured = list[Finding]()
    if first and points:
        alone = seen.recorder.another is None
        judge = partial(
            conclude, points, seen.latest, measurer.runs, run=seen.doctor.run, alone=alone
        )
        measured, facts["gradients"] = tried("judging the gradients", judge, (measured, ""), failed)
    elif not points:
        too_few = "the script took too few steps" if first else ""
        facts["not_measured"] = measurer.problem or too_few
    lines = [each.line for each in points if 1.0 in each.line]
    run = seen.end(measured, descends=any(each[1.0] < each[0.0] for each in lines))
    roles = _at_end(first, seen)
    tell = partial(told, run=run, roles=first, measured=bool(measured or facts.get("gradients")))
    found, facts = _found(seen, run, facts, failed)
    findings, uneven = tell(with_edits(found, roles)), facts["taught_otherwise"]
    if not (uneven or any(e.severity == "error" for e in findings if e.code not in SYMPTOMS)):
        findings = tell((*with_edits(left_to_say(seen, run), roles), *findings))
    if SHAPES & {each.code for each in findings}:
        facts["gradients"] = ""  # they are right only for the shapes that are wrong, or one step
    if roles:
        facts["tries"] = tries(roles)
    recognised = bool(findings) or seen.latest.recognised
    return Report(findings, facts | {"recognised": recognised, "failed": failed})


def tried(what: str, action: Callable[[], Result], otherwise: Result, failed: list[str]) -> Result:
    """Return what an action does; if that fails, note it, and return something else."""
    try:
        return action()
    except Exception as error:  # noqa: BLE001  # whatever is wrong is not the script's fault
        failed.append(f"{what} could not be done: {type(error).__name__}: {error}")
        return otherwise


def _found(
    seen: Observer, run: Run, facts: dict[str, Any], failed: list[str]
) -> tuple[list[Finding], dict[str, Any]]:
    """Return what rules and checks find in what was seen, and the facts with those of the run."""
    with np.errstate(all="ignore"):  # of np.empty, for one
        seen.doctor.note([*failures(seen.recorder), *causes(seen, run, failed)])
    report, last = seen.doctor.report(), max(seen.steps, default=0)
    gradients = facts.get("gradients", "")
    # Squared errors do not judge what is taught otherwise: quantiles, opponents, words; nor do
    # they a network that is compared with another one, or that another one starts from.
    by_row = BY_ROW in gradients  # as a policy's errors are by rewards: its targets are drawn
    uneven = UNEVEN in gradients or WEIGHTED in gradients or by_row or seen.has_trained_inputs()
    several = bool(seen.recorder.another or seen.recorder.begun)
    uneven = uneven or several or bool(seen.first.others) or are_told(seen.latest)
    found = [each for each in report.findings if not (uneven and each.code in SYMPTOMS)]
    doubtful = LENGTH if several else {"learning-rate-too-small"} if seen.warming_up else set[str]()
    if by_row or seen.has_trained_inputs() or seen.is_given_activations():
        doubtful = doubtful | OF_DATA
    found = [each for each in found if each.code not in doubtful]
    if seen.recorder.begun + 2 * (last - seen.recorder.begun) < seen.recorder.steps:
        facts["stopped_looking"] = last
        unknown = SYMPTOMS | STARTS if run.last.skill > BAD else SYMPTOMS  # it has begun to learn
        found = [each for each in found if each.code not in unknown
                 and (each.severity == "error" or each.code in FAULTS)]  # fmt: skip
    return found, report.facts | {
        "mapping": in_words(seen.latest),
        "not_looked_at": str(seen.recorder.another or ""),
        "not_mapped": seen.not_mapped(), "not_shown": [], "unknown_names": sorted(seen.unknown),
        "taught_otherwise": uneven,
    } | facts  # fmt: skip


def causes(seen: Observer, run: Run, failed: list[str]) -> Iterator[Finding]:
    """Yield what is wrong with the script, as its operations show it."""
    known = {"network": bool(seen.latest), "failure": not run.learnt}
    for check in (rule for rule in CHECKS if all(known[need] for need in rule.needs)):
        what = f"the check {check.code}, {check.check.__name__},"
        first = partial(next, check.check(seen, seen.latest, run), None)
        if (found := tried(what, first, None, failed)) is None:
            continue
        operation, place, said, *own = found
        line = f"{operation.site}: " if operation else ""
        worst = "error" if check.code in TAUGHT or not run.learnt else "warning"
        remedy = own[0] if own else ""
        change = own[1] if len(own) > 1 else None
        change = {"edits": change} if isinstance(change, list) else change
        yield check.finding(Evidence(place, line + said, change, remedy=remedy),
                            check.severity or worst)  # fmt: skip


def _at_end(roles: Roles, observer: Observer) -> Roles:
    """Return the first step's roles, with what only the whole run shows."""
    latest = observer.latest.step.operations
    pairs = (pair for each in observer.recorder.modules for pair in each.items())
    return replace(
        roles, repeated=frozenset(each.place for each in latest), served=observer.served(),
        places={id(array): name for name, array in pairs if isinstance(array, np.ndarray)},
    )  # fmt: skip
