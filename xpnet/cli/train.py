"""`xpnet train`: read, prepare, fit, save, and say in a few lines how good it is."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from xpnet.backend.files import lock, probe_writable
from xpnet.backend.threads import blas
from xpnet.cli.options import TrainOptions
from xpnet.cli.output import format_lines, keep_inputs, say, show, show_json
from xpnet.cli.remedies import as_flags, in_cli_terms
from xpnet.cli.scores import class_names, describe, is_useless, score
from xpnet.cli.task import LBFGS, Task, fit_options, limit_threads, load_task, make_network
from xpnet.doctor.doctor import Doctor
from xpnet.doctor.findings import Finding
from xpnet.errors import DivergenceError, InputError
from xpnet.nn.network import MLP
from xpnet.saving.checkpoint import Checkpoint
from xpnet.saving.model import save_model
from xpnet.training.fit import prepare_training
from xpnet.training.history import History
from xpnet.training.lbfgs import fit_lbfgs

# What a model file does not say of its training: where it was, and what does not change it.
NOT_KEPT = {"data", "out", "plot", "json", "checkpoint", "checkpoint_every", "resume", "stream",
            "cache"}  # fmt: skip
SKEWED = 2.0  # mean over median of a target from which its logarithm may be easier to learn


@dataclass(frozen=True)
class Trained:
    """A finished training run.

    Attributes
    ----------
    findings : list of Finding
        The doctor's errors.
    notes : list of str
        What the user should know about the table, and about what was resumed.
    """

    task: Task
    net: MLP
    history: History
    findings: list[Finding]
    scores: dict[str, Any]
    seconds: float
    notes: list[str]
    blas: dict[str, Any]

    @property
    def rows(self) -> dict[str, int]:
        """How many rows the table has, and how many were used for what."""
        held_out = self.task.held_out
        validation = 0 if held_out is None else held_out[0].shape[0]
        training = self.task.x.shape[0]
        return {"table": self.task.rows, "training": training, "validation": validation}

    @property
    def validated_on(self) -> str:
        """What the scores are measured on."""
        return "validation" if self.task.held_out else "training"


def train(options: TrainOptions) -> None:
    """Train a network as the options say, save the model, print the summary."""
    with _claimed_output(options) as out:
        task = load_task(options, may_stream=True)
        with limit_threads(task):
            net = make_network(task)
            probe_writable(out, 8 * net.flat.shape[0])
            trained = _train(task, net)
            _save(trained, out)
    if options.json:
        show_json(_report(trained, out))
    else:
        show(_summary(trained, out))
    _say_errors(trained.findings)


@contextmanager
def _claimed_output(options: TrainOptions) -> Iterator[Path]:
    """Lock the model file for this run; refuse what would fail or do harm at the end."""
    stem = Path(options.data).name.removesuffix(".gz")
    out = Path(options.out or f"{Path(stem).stem}.safetensors")
    outputs = [str(out), *([options.plot] if options.plot else [])]
    inputs = [options.data, options.target, options.validation, options.validation_target]
    keep_inputs(outputs, inputs)
    for path in outputs:
        probe_writable(path)
    if options.plot:
        from xpnet.report.plots import new_figure

        new_figure(options.plot)
        if Path(options.plot).resolve() == out.resolve():
            message = "this is the model file; give the plot another name"
            raise InputError(f"--plot {options.plot}: {message}")
    if options.resume and not list(Path(options.checkpoint or "").glob("checkpoint-*")):
        say(f"xpnet: {options.checkpoint}: there is no checkpoint yet; training from the start.")
    with lock(out):
        yield out


def _train(task: Task, net: MLP) -> Trained:
    """Train the network, watched by the doctor, and judge it.

    A run that is resumed has no findings: the doctor must see it from its first step on.
    """
    options, started = task.options, time.perf_counter()
    doctor, callbacks = Doctor(names=task.plan.input_names()), list[Any]()
    if options.checkpoint:
        every, resume = options.checkpoint_every, options.resume
        callbacks.append(
            Checkpoint(options.checkpoint, every=every, resume=resume, preprocessing=task.plan)
        )
    if not options.resume:
        callbacks.append(doctor)
    try:
        history = _fit(task, net, callbacks)
    except DivergenceError as error:
        _say_errors(_errors(doctor, task))
        remedy = as_flags(error.repair, task)
        raise DivergenceError(f"{error.measured}; no model was written. Try {remedy}") from error
    seconds = time.perf_counter() - started
    x, y = task.judged
    notes = [*task.notes, *(note for each in callbacks if (note := getattr(each, "note", "")))]
    return Trained(
        task, net, history, _errors(doctor, task), score(task.plan, net.predict(x), y), seconds,
        notes, asdict(blas()),
    )  # fmt: skip


def _fit(task: Task, net: MLP, callbacks: list[Any]) -> History:
    options = task.options
    if options.optimizer == LBFGS:
        max_iter: Any = options.epochs  # with its default filled in
        return fit_lbfgs(
            net, task.x, task.y, loss=options.loss, l2=options.l2, validation=task.held_out,
            class_weight=options.class_weight, max_iter=max_iter,
        )  # fmt: skip
    metric = "r2" if task.plan.task == "regression" else "accuracy"
    training = prepare_training(
        net, task.x, task.y, callbacks=callbacks, metrics=metric, **fit_options(task)
    )
    return training.run()


def _errors(doctor: Doctor, task: Task) -> list[Finding]:
    found = in_cli_terms(doctor.report().findings, task)
    return [each for each in found if each.severity == "error"]


def _say_errors(errors: list[Finding]) -> None:
    """Show the worst error in two lines, and say how many more there are."""
    if errors:
        worst, others = errors[0], len(errors) - 1
        more = f" (and {others} more: xpnet doctor)" if others else ""
        say(f"doctor: {worst.code} in {worst.where}: {worst.evidence}{more}")
        say(f"remedy: {worst.remedy.splitlines()[0]}")


def _save(trained: Trained, out: Path) -> None:
    options, history = trained.task.options, trained.history
    training = {
        "options": {k: v for k, v in sorted(asdict(options).items()) if k not in NOT_KEPT},
        "epochs": history.epochs,
        "stopped": history.stopped,
        "rows": trained.rows,
        "validated_on": trained.validated_on,
        "scores": trained.scores,
        "blas": trained.blas,
    }
    save_model(out, trained.net, preprocessing=trained.task.plan, training=training)
    if options.plot:
        history.plot(options.plot)


def _report(trained: Trained, out: Path) -> dict[str, Any]:
    plan = trained.task.plan
    return {
        "command": "train",
        "task": plan.task,
        "target": plan.target,
        "classes": list(plan.classes),
        "rows": trained.rows,
        "columns": len(plan.columns),
        "network": trained.net.config(),
        "parameters": trained.net.flat.shape[0],
        "options": asdict(trained.task.options),
        "scores": trained.scores,
        "validated_on": trained.validated_on,
        "history": trained.history.to_dict(),
        "seconds": trained.seconds,
        "model": str(out),
        "notes": trained.notes,
        "doctor": [asdict(each) for each in trained.findings],
        "blas": trained.blas,
    }


def _summary(trained: Trained, out: Path) -> str:
    task, net, history = trained.task, trained.net, trained.history
    plan, options, rows = task.plan, task.options, trained.rows
    kind = f"{plan.task} of {plan.target}"
    if plan.classes:
        kind = f"{plan.task}: {plan.target} is {_or(class_names(plan.classes))}"
    activations = ", ".join(dict.fromkeys(each.name for each in (*net.hidden, net.output)))
    early = "" if history.stopped == f"{history.epochs} epochs done" else f" ({history.stopped})"
    rounds = "iterations" if options.optimizer == LBFGS else "epochs"
    losses = f"loss {history.loss[-1]:.4g}{' (penalty included)' * bool(options.l1 or options.l2)}"
    if history.validation_loss:
        losses += f", validation {history.validation_loss[-1]:.4g}"
    lines = [
        ("task", kind),
        ("data", f"{Path(options.data).name}: {rows['table']:,} rows, {len(plan.columns)} columns; "
         f"{rows['training']:,} rows to train on, {rows['validation']:,} to validate"),
        *(("note", each) for each in task.notes),
        ("network", f"{'-'.join(map(str, net.sizes))}, {activations}; "
         f"{net.flat.shape[0]:,} parameters, {net.dtype} on {net.device.name}"),
        ("training", f"{history.epochs} {rounds} with {options.optimizer} in "
         f"{trained.seconds:.1f} s{early}; {losses}"),
        *describe(trained.scores, f"{trained.validated_on} "),
        *(("note", each) for each in _advice(trained)),
        ("model", f"{out} ({os.path.getsize(out):,} bytes)"),
    ]  # fmt: skip
    return format_lines(lines)


def _advice(trained: Trained) -> list[str]:
    """Say what may help where nothing was learnt: of prices and incomes, to learn the logarithm."""
    plan, y = trained.task.plan, np.asarray(trained.task.y, np.float64)
    if plan.task != "regression" or not is_useless(trained.scores):
        return []
    y = y * plan.target_std + plan.target_mean
    mean, median = float(np.mean(y)), float(np.median(y))
    if np.min(y) < -1e-6 * mean or mean < SKEWED * median:  # 0 may have been rounded
        return []
    return [
        f"{plan.target} is never negative, and skewed (mean {mean:.4g}, median {median:.4g}); "
        "a column with its logarithm may be learnt better"
    ]


def _or(names: list[str]) -> str:
    if len(names) > 10:
        return f"one of {len(names)} classes"
    return ", ".join(names[:-1]) + f" or {names[-1]}"
