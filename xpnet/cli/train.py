"""`xpnet train`: read, prepare, fit, judge, save, and say in a few lines how good it is."""

import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from xpnet import __version__
from xpnet.backend.files import atomic_write, fingerprint, lock, probe_writable
from xpnet.backend.threads import blas
from xpnet.cli import ranks
from xpnet.cli.options import LBFGS, TrainOptions
from xpnet.cli.output import check_outputs, say, show_report
from xpnet.cli.pilots import calibrated, load_task
from xpnet.cli.remedies import as_flags, in_cli_terms
from xpnet.cli.scores import describe_training, described_task
from xpnet.cli.task import Task, fit_options, judge, limit_threads, make_network
from xpnet.doctor.doctor import Doctor
from xpnet.doctor.findings import Finding
from xpnet.errors import DivergenceError
from xpnet.nn.network import MLP
from xpnet.saving.checkpoint import Checkpoint
from xpnet.saving.model import Judged, Model, save_model
from xpnet.tables.messages import counted
from xpnet.tables.npy import unpacked
from xpnet.tables.scores import score
from xpnet.training.compiled import seconds_saved
from xpnet.training.fit import prepare_training
from xpnet.training.history import History
from xpnet.training.lbfgs import fit_lbfgs
from xpnet.training.loop import Training
from xpnet.training.many import train_all

# The parts of the report that a model file keeps, besides the options that change the training.
KEPT = (
    "epochs", "stopped", "rows", "decisions", "validated_on", "scores", "linear",
    "history", "doctor", "blas",
)  # fmt: skip
MOST_IN_FILE = 10_000  # epochs of a run whose curves a model file keeps; more are too large
COPIED = 1 << 30  # bytes of rows of the networks that are trained together
LINEAR_STEPS = 2_000  # of the linear model to compare with
NOT_KEPT = {
    "data", "out", "plot", "report", "json", "checkpoint", "checkpoint_every", "resume", "stream",
    "cache", "config", "save_config",
}  # fmt: skip


def train(options: TrainOptions) -> None:
    """Train a network as the options say, save the model, print the summary."""
    if ranks.rank():  # another process does all but the training
        task = ranks.sent(None)
        with limit_threads(task):
            _train(task, [make_network(task)], parallel=ranks.communicator())
        return
    with _claimed_output(options) as out:
        task = load_task(options, to_train=True)
        shared_task = ranks.sent(task)
        with limit_threads(task):
            nets = [make_network(task.of_net(number)) for number in range(task.nets)]
            probe_writable(out, 8 * len(nets) * nets[0].flat.shape[0])
            started, doctor = time.perf_counter(), Doctor(names=task.plan.input_names())
            history, compiled = _train(shared_task, nets, doctor, ranks.communicator())
            task = calibrated(task, nets)
            seconds, errors = time.perf_counter() - started, _errors(doctor, task)
            judged = judge(task, nets)
            report = _report(task, nets, history, judged)
            report["linear"] = _linear_scores(task) if options.report else {}
        report |= {"seconds": seconds, "doctor": [asdict(each) for each in errors]}
        report["compiled"] = compiled
        summary = _training_summary(report, options)
        long = report["epochs"] > MOST_IN_FILE
        saved = {k: v for k, v in summary.items() if not (long and k == "history")}
        save_model(out, nets[0], preprocessing=task.plan, training=saved, other_nets=nets[1:])
        if options.plot:
            history.plot(options.plot)
        if options.report:
            from xpnet.report.report import model_report

            summary |= {"notes": report["notes"]}
            model = Model(nets[0], task.plan, summary, __version__, tuple(nets[1:]))
            title = f"{Path(options.data).name}: {', '.join(task.plan.targets)}"
            model_report(model, title, options.as_command(), options.report, judged=judged)
    lines = _summary(report, task, nets[0])
    lines.append(("model", f"{out} ({os.path.getsize(out):,} bytes)"))
    show_report(options.json, report | {"model": str(out)}, lines)
    _say_errors(errors)


@contextmanager
def _claimed_output(options: TrainOptions) -> Iterator[Path]:
    """Lock the model file for this run; refuse outputs that would fail or do harm at the end."""
    name = "model" if options.data == "-" else Path(unpacked(options.data)).stem
    out = Path(options.out or f"{name}.safetensors")
    outputs = [str(out), *filter(None, (options.plot, options.report, options.save_config))]
    targets = [options.target, options.validation_target]
    inputs = [options.data, options.validation, options.config, *targets]
    check_outputs(outputs, inputs, options.plot, options.report)
    if options.report:
        from xpnet.report.report import page_template

        page_template()
    if options.save_config:
        with atomic_write(options.save_config) as file:
            file.write(options.as_toml().encode())
    with lock(out):
        yield out


def _train(
    task: Task, nets: list[MLP], doctor: Doctor | None = None, parallel: Any = None
) -> tuple[History, dict[str, Any]]:
    """Train the networks; return the history of the first one, which the doctor watches.

    Also return whether its steps were compiled, and the seconds that this was expected to save.
    """
    options, histories, compiled = task.options, list[History](), dict[str, Any]()
    count = max(1, COPIED // getattr(task.x, "nbytes", COPIED))  # each has rows of its own
    try:
        for start in range(0, len(nets), count):
            numbers = range(start, min(start + count, len(nets)))
            if options.optimizer == LBFGS:
                histories += [_by_lbfgs(task.of_net(number), nets[number]) for number in numbers]
                continue
            runs = [
                _training(task.of_net(number), nets[number], None if number else doctor, parallel)
                for number in numbers
            ]
            train_all(runs)
            for run in runs:
                if run.diverged:
                    raise run.diverged
            histories += [run.state.history for run in runs]
            if not start:
                used, saved = runs[0].state.compile == "on", seconds_saved(runs[0])
                compiled = {"used": used, "seconds_saved": saved}
    except DivergenceError as error:
        errors = _errors(doctor, task) if doctor else []
        _say_errors(errors)
        remedy = "" if errors else f". Try {as_flags(error.repair, task)}"
        raise DivergenceError(f"{error.measured}; no model was written{remedy}") from error
    return histories[0], compiled


def _training(task: Task, net: MLP, doctor: Doctor | None, parallel: Any) -> Training:
    """Prepare a training; that of the first network, which has the doctor, shows its progress.

    The doctor must see a run from its first step on, and all rows of a step.
    """
    options, callbacks = task.options, list[Any]()
    if options.checkpoint and not ranks.rank():
        every, resume = options.checkpoint_every, options.resume
        callbacks.append(Checkpoint(options.checkpoint, every=every, resume=resume))
    if parallel is None and doctor and not options.resume:
        callbacks.append(doctor)
    return prepare_training(
        net, task.x, task.y, callbacks=callbacks, parallel=parallel,
        progress=None if doctor else False, **fit_options(task),
    )  # fmt: skip


def _by_lbfgs(task: Task, net: MLP) -> History:
    options = task.options
    max_iter: Any = options.epochs  # with its default filled in
    return fit_lbfgs(
        net, task.x, task.y, loss=options.loss, l2=options.l2, validation=task.held_out,
        class_weight=options.class_weight, max_iter=max_iter,
    )  # fmt: skip


def _errors(doctor: Doctor, task: Task) -> list[Finding]:
    findings = in_cli_terms(doctor.report().findings, task)
    return [each for each in findings if each.severity == "error" or each.code == "overfitting"]


def _say_errors(errors: list[Finding]) -> None:
    if errors:
        worst, others = errors[0], len(errors) - 1
        more = f" (and {others} more: xpnet doctor)" if others else ""
        say(f"doctor: {worst.code} in {worst.where}: {worst.evidence}{more}")
        say(f"remedy: {worst.remedy.splitlines()[0]}")


def _linear_scores(task: Task) -> dict[str, Any]:
    """Return the scores of networks without hidden layers, trained and judged on the same rows."""
    epochs = math.ceil(LINEAR_STEPS * (task.options.batch_size or 1) / task.x.shape[0])
    options = replace(
        task.options, hidden="none", dropout=0.0, checkpoint=None, lr=0.01, steps=None,
        schedule="linear",
        epochs=task.options.epochs if task.options.optimizer == LBFGS else epochs,
    )  # fmt: skip
    linear = replace(task, options=options)
    nets = [make_network(linear.of_net(number)) for number in range(task.nets)]
    try:
        _train(linear, nets)
    except DivergenceError:  # the model beside it is fine
        return {}
    judged = judge(linear, nets)
    return score(task.plan, judged.outputs, judged.y)


def _training_summary(report: dict[str, Any], options: Any) -> dict[str, Any]:
    summary = {name: report[name] for name in KEPT if report[name] not in ({}, [])}
    summary["history"] = {k: v for k, v in report["history"].items() if k != "seconds"}
    for name, settings in (("options", report["options"]), ("given", asdict(options))):
        summary[name] = {k: v for k, v in settings.items() if k not in NOT_KEPT}
    return summary | {"file": fingerprint(options.data)}


def _report(task: Task, nets: list[MLP], history: History, judged: Judged) -> dict[str, Any]:
    plan, net, first = task.plan, nets[0], task.of_net(0)
    validation = len(first.held_out[1]) if first.held_out else 0
    return {
        "command": "train",
        "task": plan.task,
        "target": ",".join(plan.targets),
        "classes": list(plan.classes),
        "rows": {"table": task.rows, "training": len(first.y), "validation": validation},
        "columns": len(plan.columns),
        "decisions": {each.kind: dict(each.columns) for each in task.decisions},
        "network": net.config(),
        "networks": len(nets),
        "parameters": len(nets) * net.flat.shape[0],
        "options": asdict(task.options),
        "scores": score(plan, judged.outputs, judged.y),
        "validated_on": "validation" if validation else "training",
        "notes": list(task.notes),
        "history": history.to_dict(),
        "epochs": history.epochs,
        "stopped": history.stopped,
        "blas": blas(),
    }


def _summary(report: dict[str, Any], task: Task, net: MLP) -> list[tuple[str, str]]:
    plan, options, rows = task.plan, task.options, report["rows"]
    activations = ", ".join(dict.fromkeys(each.name for each in (*net.hidden, net.output)))
    several = f"{report['networks']} x " if report["networks"] > 1 else ""
    return [
        ("task", described_task(plan, options.task)),
        ("data", f"{Path(options.data).name}: {rows['table']:,} rows, "
         f"{counted(len(plan.columns), 'column')}; "
         f"{rows['training']:,} rows to train on, {rows['validation']:,} to validate"),
        *((each.kind, each.text()) for each in task.decisions),
        *(("note", each) for each in task.notes),
        ("network", f"{several}{'-'.join(map(str, net.sizes))}, {activations}; "
         f"{report['parameters']:,} parameters, {net.dtype} on {net.device.name}"),
        *([("processes", ranks.described(options.chunks))] if ranks.communicator() else []),
        ("training", _course(report, options)),
        *describe_training(report),
    ]  # fmt: skip


def _course(report: dict[str, Any], options: TrainOptions) -> str:
    history, epochs, stopped = report["history"], report["epochs"], report["stopped"]
    best = history["best_epoch"] or epochs
    text = counted(epochs, "iteration" if options.optimizer == LBFGS else "epoch")
    text += f" with {options.optimizer} in {report['seconds']:.1f} s"
    text += "" if stopped.endswith(" done") else f" ({stopped})"
    text += f", the best is epoch {best}" if best < epochs else ""
    text += f"; loss {history['loss'][best - 1]:.4g}"
    text += " (penalty included)" if options.l1 or options.l2 else ""
    if history["validation_loss"]:
        text += f", validation {history['validation_loss'][best - 1]:.4g}"
    return text
