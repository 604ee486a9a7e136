"""`xpnet train`: read, prepare, fit, save, and say in a few lines how good it is."""

import os
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from xpnet.backend.files import atomic_write, lock, probe_writable
from xpnet.backend.threads import blas, one_thread, threads_for
from xpnet.cli.models import class_names, describe_scores, scores, useless
from xpnet.cli.options import TrainOptions
from xpnet.cli.output import keep_inputs, say, show, show_json, table
from xpnet.cli.remedies import as_flags, in_cli_terms
from xpnet.cli.task import (
    LBFGS,
    Task,
    check_options,
    fit_options,
    largest_product,
    load_task,
    network,
)
from xpnet.doctor.doctor import Doctor
from xpnet.doctor.findings import Finding
from xpnet.errors import DivergenceError, InputError
from xpnet.nn.network import MLP
from xpnet.saving.checkpoint import Checkpoint
from xpnet.saving.model import save_model
from xpnet.tables.preprocessing import Preprocessing
from xpnet.training.fit import prepare_training
from xpnet.training.history import History
from xpnet.training.lbfgs import fit_lbfgs

# What a model file does not say of its training: where it was, and what does not change it.
NOT_KEPT = ("data", "out", "plot", "json", "checkpoint", "checkpoint_every", "resume", "stream",
            "cache")  # fmt: skip
SKEWED = 2.0  # mean over median of a target from which its logarithm may be easier to learn
PICTURES = (".png", ".svg", ".pdf")


@dataclass(frozen=True)
class Trained:
    """A finished training run."""

    task: Task
    net: MLP
    history: History
    scores: dict[str, Any]
    findings: list[Finding]
    seconds: float
    out: Path
    blas: dict[str, Any]


def train(options: TrainOptions) -> None:
    """Train a network as the options say, save the model, print the summary."""
    with ExitStack() as held:
        if options.deterministic:
            held.enter_context(one_thread())
        out = _try_outputs(options, held)
        task = load_task(options, may_stream=True)
        net = network(task)
        held.enter_context(threads_for(largest_product(task, net)))
        probe_writable(out, 8 * net.flat.shape[0])
        started = time.perf_counter()
        checkpoint = _checkpoint(options, task.plan) if options.checkpoint else None
        history, findings = run(task, net, checkpoint)
        seconds = time.perf_counter() - started
        if options.json and checkpoint and checkpoint.note:  # people were told at the start
            task = replace(task, notes=(*task.notes, checkpoint.note))
        x, y = task.held_out or (task.x, task.y)
        trained = Trained(
            task, net, history, scores(task.plan, net.predict(x), y), findings, seconds, out,
            asdict(blas()),
        )  # fmt: skip
        _save(trained)
    report(trained)


def _try_outputs(options: TrainOptions, held: ExitStack) -> Path:
    """Lock the output for this run, and refuse what would fail or do harm at the end."""
    check_options(options)
    stem = Path(options.data).name.removesuffix(".gz")
    out = Path(options.out or f"{Path(stem).stem}.safetensors")
    outputs = [str(out), *([options.plot] if options.plot else [])]
    inputs = [options.data, options.target, options.validation, options.validation_target]
    keep_inputs(outputs, inputs)
    for path in outputs:
        probe_writable(path)
    if options.plot:
        _try_plot(Path(options.plot), out)
    if options.resume and not list(Path(options.checkpoint or "").glob("checkpoint-*")):
        say(f"xpnet: {options.checkpoint}: there is no checkpoint yet; training from the start.")
    held.enter_context(lock(out))
    return out


def _try_plot(path: Path, out: Path) -> None:
    if path.resolve() == out.resolve():
        raise InputError(f"--plot {path}: this is the model file; give the plot another name")
    if path.suffix.lower() not in PICTURES:
        raise InputError(f"--plot {path}: the name must end in one of {', '.join(PICTURES)}")
    if find_spec("matplotlib") is None:
        raise InputError("--plot needs matplotlib: pip install 'xpnet[plot]'")


def _checkpoint(options: TrainOptions, plan: Preprocessing) -> Checkpoint:
    return Checkpoint(
        options.checkpoint or "", every=options.checkpoint_every, resume=options.resume,
        preprocessing=plan,
    )  # fmt: skip


def run(task: Task, net: MLP, checkpoint: Checkpoint | None) -> tuple[History, list[Finding]]:
    """Train the network, watched by the doctor; return its curves and the doctor's errors.

    A run that is resumed is not judged: the doctor must see it from its first step on.
    """
    doctor = Doctor(names=task.plan.input_names())
    callbacks = [*([checkpoint] if checkpoint else []), *([] if task.options.resume else [doctor])]
    try:
        history = _fit(task, net, callbacks)
    except DivergenceError as error:
        _say_errors(_errors(doctor, task))
        remedy = as_flags(error.repair, task)
        raise DivergenceError(f"{error.measured}; no model was written. Try {remedy}") from error
    return history, _errors(doctor, task)


def _fit(task: Task, net: MLP, callbacks: list[Any]) -> History:
    options = task.options
    if options.optimizer == LBFGS:
        most: Any = options.epochs  # with its default filled in
        return fit_lbfgs(
            net, task.x, task.y, loss=options.loss, l2=options.l2, validation=task.held_out,
            class_weight=options.class_weight, max_iter=most,
        )  # fmt: skip
    metric = "r2" if task.plan.task == "regression" else "accuracy"
    training = prepare_training(
        net, task.x, task.y, callbacks=callbacks, metrics=metric, **fit_options(task)
    )
    return training.run()


def _errors(doctor: Any, task: Task) -> list[Finding]:
    found = in_cli_terms(doctor.report().findings, task)
    return [each for each in found if each.severity == "error"]


def _say_errors(errors: list[Finding]) -> None:
    """Show the worst error in two lines, and say how many more there are."""
    if not errors:
        return
    worst = errors[0]
    more = f" (and {len(errors) - 1} more: xpnet doctor)" if len(errors) > 1 else ""
    say(f"doctor: {worst.code} in {worst.where}: {worst.evidence}{more}")
    say(f"remedy: {worst.remedy.splitlines()[0]}")


def _save(trained: Trained) -> None:
    options = trained.task.options
    kept = {name: value for name, value in asdict(options).items() if name not in NOT_KEPT}
    training = {
        "options": {name: kept[name] for name in sorted(kept)},
        "epochs": trained.history.epochs,
        "stopped": trained.history.stopped,
        "rows": _rows(trained.task),
        "validated_on": "validation" if trained.task.held_out else "training",
        "scores": trained.scores,
        "blas": trained.blas,
    }
    save_model(trained.out, trained.net, preprocessing=trained.task.plan, training=training)
    if options.plot:
        _plot(trained.history, Path(options.plot))


def _plot(history: History, path: Path) -> None:
    figure = history.plot()
    with atomic_write(path) as file:
        figure.savefig(file, format=path.suffix[1:].lower(), dpi=150)


def _rows(task: Task) -> dict[str, int]:
    held_out = 0 if task.held_out is None else task.held_out[0].shape[0]
    return {"table": task.rows, "training": task.x.shape[0], "validation": held_out}


def report(trained: Trained) -> None:
    """Print the summary, or the JSON object."""
    task, net, history = trained.task, trained.net, trained.history
    if task.options.json:
        show_json(
            {
                "command": "train",
                "task": task.plan.task,
                "target": task.plan.target,
                "classes": list(task.plan.classes),
                "rows": _rows(task),
                "columns": len(task.plan.columns),
                "network": net.config(),
                "parameters": net.flat.shape[0],
                "options": asdict(task.options),
                "scores": trained.scores,
                "validated_on": "validation" if task.held_out else "training",
                "history": history.to_dict(),
                "seconds": trained.seconds,
                "model": str(trained.out),
                "notes": list(task.notes),
                "doctor": [asdict(each) for each in trained.findings],
                "blas": trained.blas,
            }
        )
    else:
        show(_summary(trained))
    _say_errors(trained.findings)


def _summary(trained: Trained) -> str:
    task, net, history = trained.task, trained.net, trained.history
    plan, options, rows = task.plan, task.options, _rows(task)
    kind = plan.task
    if plan.classes:
        kind += f": {plan.target} is {_or(plan.classes)}"
    else:
        kind += f" of {plan.target}"
    losses = f"loss {history.loss[-1]:.4g}"
    if options.l1 or options.l2:
        losses += " (penalty included)"
    if history.validation_loss:
        losses += f", validation {history.validation_loss[-1]:.4g}"
    size = os.path.getsize(trained.out)
    where = "validation " if task.held_out else "training "
    lines = [
        ("task", kind),
        ("data", f"{Path(options.data).name}: {rows['table']:,} rows, {len(plan.columns)} columns; "
         f"{rows['training']:,} rows to train on, {rows['validation']:,} to validate"),
        *(("note", each) for each in task.notes),
        ("network", f"{'-'.join(map(str, net.sizes))}, {_activations(net)}; "
         f"{net.flat.shape[0]:,} parameters, {net.dtype} on {net.device.name}"),
        ("training", f"{history.epochs} {_rounds(options)} with {options.optimizer} in "
         f"{trained.seconds:.1f} s{_early(history)}; {losses}"),
        *describe_scores(trained.scores, where),
        *(("note", each) for each in _advice(trained)),
        ("model", f"{trained.out} ({size:,} bytes)"),
    ]  # fmt: skip
    return table(lines)


def _advice(trained: Trained) -> list[str]:
    """Say what may help where nothing was learnt: of prices and incomes, to learn the logarithm."""
    plan, y = trained.task.plan, np.asarray(trained.task.y, np.float64)
    if plan.task != "regression" or not useless(trained.scores):
        return []
    y = y * plan.target_std + plan.target_mean
    mean, median = float(np.mean(y)), float(np.median(y))
    if np.min(y) < -1e-6 * mean or mean < SKEWED * median:  # 0 may have been rounded
        return []
    return [
        f"{plan.target} is never negative, and skewed (mean {mean:.4g}, median {median:.4g}); "
        "a column with its logarithm may be learnt better"
    ]


def _activations(net: MLP) -> str:
    return ", ".join(dict.fromkeys(each.name for each in (*net.hidden, net.output)))


def _rounds(options: TrainOptions) -> str:
    return "iterations" if options.optimizer == LBFGS else "epochs"


def _early(history: History) -> str:
    asked_for = history.stopped == f"{history.epochs} epochs done"
    return "" if asked_for else f" ({history.stopped})"


def _or(classes: tuple[Any, ...]) -> str:
    names = class_names(classes)
    if len(names) > 10:
        return f"one of {len(names)} classes"
    return ", ".join(names[:-1]) + f" or {names[-1]}"
