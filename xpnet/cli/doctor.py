"""`xpnet doctor`: why a network does not learn, and with `--repair` which settings work better."""

import math
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np

from xpnet.cli.output import say, show, show_json
from xpnet.cli.remedies import changes, in_cli_terms, in_words
from xpnet.cli.task import Task, fit_options, limit_threads, load_task, make_network
from xpnet.cli.train_options import DoctorOptions, TrainOptions, as_command
from xpnet.doctor.diagnose import diagnose
from xpnet.doctor.findings import Report
from xpnet.errors import DivergenceError, InputError
from xpnet.tables.scores import score
from xpnet.training.fit import prepare_training

HELPS = 0.98  # a remedy is kept if the error with it is below this share of the one without
MAX_ROUNDS = 4  # of diagnosis and remedies: one can uncover the next


def doctor(options: DoctorOptions) -> None:
    """Check the table, the gradient and a training run; print what is wrong, worst first."""
    task = load_task(options)
    with limit_threads(task):
        report = _diagnose(task)
        if not options.json:  # before the repairs, which take long
            for each in task.decisions:
                say(f"{each.kind}: {each.text()}")
            for note in task.notes:
                say(f"note: {note}")
            show(str(report))
        repairs, repaired = _repair(options, task, report) if options.repair else ([], options)
    if options.json:
        found = {"command": "doctor", "data": options.data, **report.to_dict(), "notes": task.notes}
        if options.repair:
            found |= {"repairs": repairs, "command_line": as_command(repaired)}
        show_json(found)
    elif options.repair:
        show("\n" + _describe(repairs, repaired) if report.findings else "Nothing to repair.")


def _diagnose(task: Task) -> Report:
    names = task.plan.input_names()
    report = diagnose(make_network(task), task.x, task.y, names=names, **fit_options(task))
    return replace(report, findings=in_cli_terms(report.findings, task))


def _repair(
    given: DoctorOptions, task: Task, report: Report
) -> tuple[list[dict[str, Any]], DoctorOptions]:
    """Apply all remedies, then undo each in turn and keep those without which the error rises.

    Together first: if two causes each stop the training, fixing only one shows nothing.
    """
    repaired, codes = given, dict[str, set[str]]()
    for _ in range(MAX_ROUNDS):
        before, wanted = repaired, dict[str, Any]()
        for finding in report.findings:
            for name, value in changes(finding.repair, task).items():
                wanted.setdefault(name, value)
                codes.setdefault(name, set()).add(finding.code)
        for name, value in wanted.items():
            changed = replace(repaired, **{name: value})
            with suppress(InputError):  # such as where it drops every column
                task, repaired = load_task(changed), changed
        if repaired == before:
            break
        report = _diagnose(task)
    at_first, error, tried = _error(given), _error(repaired), list[dict[str, Any]]()
    for name in (each for each in codes if getattr(given, each) != getattr(repaired, each)):
        without = replace(repaired, **{name: getattr(given, name)})
        alone = _error(without)
        about = {"option": name, "codes": sorted(codes[name]), "value": getattr(repaired, name)}
        kept = error < HELPS * alone
        tried.append({**about, "kept": kept, "error": error, "error_without": alone})
        repaired, error = (repaired, error) if kept else (without, alone)
    return tried, repaired if error < HELPS * at_first else given


def _error(options: TrainOptions) -> float:
    """Train, and return the error on validation rows: 1 - R2, or the mean loss of the classes.

    Each class counts the same: a rare one that is never recognised shows.
    """
    task = load_task(options)
    net = make_network(task)
    try:
        prepare_training(net, task.x, task.y, progress=False, **fit_options(task)).run()
    except DivergenceError:
        return math.inf
    x, y = task.judged
    if task.plan.task == "regression":
        r2 = score(task.plan, net.predict(x), y)["r2"]
        return math.inf if r2 is None else 1.0 - float(r2)
    _, places, counts = np.unique(y, axis=0, return_inverse=True, return_counts=True)
    return net.loss(x, y, loss=options.loss, sample_weight=1.0 / counts[places.reshape(-1)])


def _describe(repairs: list[dict[str, Any]], repaired: TrainOptions) -> str:
    if not repairs:
        return "No remedy could be tried automatically; see the remedies above."
    lines = ["Remedies, with the error on validation rows:"]
    for each in repairs:
        setting = in_words(each["option"], each["value"])
        lines.append(
            f"  {setting} ({', '.join(each['codes'])}): {each['error']:.4g}, without it "
            f"{each['error_without']:.4g}; {'kept' if each['kept'] else 'no help'}"
        )
    return "\n".join([*lines, "The settings that work best:", f"  {as_command(repaired)}"])
