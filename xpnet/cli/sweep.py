"""`xpnet sweep`: train all candidates on a table that is read once, and say which is best.

A candidate is what `xpnet train` makes of the same options, with its seeds and held-out rows, so
that the best one's command gives it again. Those of one shape are trained together.
"""

import itertools
import json
import math
import time
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from xpnet import __version__
from xpnet.backend.device import CPU
from xpnet.backend.files import atomic_write, lock, probe_writable
from xpnet.cli.options import LBFGS, SWEPT, SweepOptions, TrainOptions, flag
from xpnet.cli.output import keep_inputs, say, show_report
from xpnet.cli.pilots import calibrated, with_target
from xpnet.cli.task import Task, fit_options, limit_threads, make_network, read_task
from xpnet.cli.train import judge
from xpnet.errors import DivergenceError, FileError, InputError
from xpnet.tables.messages import counted
from xpnet.tables.preprocessing import Preprocessing
from xpnet.tables.scores import score
from xpnet.training.batches import Data, digest
from xpnet.training.fit import prepare_training
from xpnet.training.loop import DIVERGED, Training
from xpnet.training.many import kind, train_together

SHOWN = 10  # candidates, the best first; --json has them all
PER_DECADE = 2  # values of a range
NUMBERS = ("lr", "l2", "dropout")
LOSSES = {"regression": "root mean squared error"}  # of classes the log loss


@dataclass(frozen=True)
class Candidate:
    """Settings to try, as options of `train`, and the networks that are trained with them."""

    options: TrainOptions
    task: Task
    runs: list[Training]


def sweep(options: SweepOptions) -> None:
    """Train what is not in the file of finished candidates, and print how all of them did."""
    stem = Path(options.data).name.removesuffix(".gz")
    name = "sweep" if options.data == "-" else f"{Path(stem).stem}.sweep"
    out, started = options.out or f"{name}.jsonl", time.perf_counter()
    outputs = [out, *([options.plot] if options.plot else [])]
    keep_inputs(outputs, [options.data, options.target, options.validation])
    for path in outputs:
        probe_writable(path)
    if options.plot:
        from xpnet.report.plots import new_figure

        new_figure(options.plot)
    every = _settings(options)
    with lock(out):
        kept, task = _finished(out), _task(every[0])
        rows = (digest(Data(*each, None), CPU) for each in ((task.x, task.y), task.judged))
        about = {"data": " ".join(rows), "xpnet": __version__}
        known = {each["command"]: each for each in kept if about.items() <= each.items()}
        left = [each for each in every if each.as_command() not in known]
        for group in _groups(task, left) if left else ():
            with limit_threads(group[0].task):
                train_together([run for each in group for run in each.runs])
                found = [_result(each) | about for each in group]
            known |= {each["command"]: each for each in found}
            kept += found
            with atomic_write(out) as file:
                file.writelines(f"{json.dumps(each)}\n".encode() for each in kept)
            say(f"{len(kept)} candidates are in {out}")
    results = sorted((known[each.as_command()] for each in every), key=_rank)
    if options.plot:
        _plot(options.plot, results, _measure(task.plan))
    report = {"command": "sweep", "task": task.plan.task, "target": task.plan.target,
              "rows": task.rows, "networks": task.nets, "measure": _measure(task.plan),
              "trained": len(left), "seconds": time.perf_counter() - started, "file": out,
              "best": results[0]["command"], "candidates": results}  # fmt: skip
    if results[0]["loss"] is None:
        raise DivergenceError(f"all of {counted(len(results), 'candidate')} diverged; lower --lr")
    show_report(options.json, report, _lines(report))


def _settings(options: SweepOptions) -> list[TrainOptions]:
    """Return the options of each candidate."""
    if options.optimizer == LBFGS:
        raise InputError(
            "--optimizer lbfgs: it has no steps that a sweep could share; leave it out"
        )
    own = {"out", "plot", "json", "nets", *SWEPT}
    same = {e.name: getattr(options, e.name) for e in fields(TrainOptions) if e.name not in own}
    same["nets"] = None if options.seeds is None else str(options.seeds)
    values = [_values(name, getattr(options, name)) for name in SWEPT]
    chosen = dict.fromkeys(itertools.product(*values))
    return [TrainOptions(**same, **dict(zip(SWEPT, each, strict=True))) for each in chosen]


def _values(name: str, given: list[str] | None) -> list[Any]:
    """Return what an option is to be, one after the other; [None] is its default."""
    if name not in NUMBERS or not given:
        return given or [None]
    return [value for word in given for value in _numbers(name, word)]


def _numbers(name: str, word: str) -> list[float]:
    """Return the numbers that one word means: itself, or those of a range, evenly in logarithm."""
    start, dots, rest = word.partition("..")
    end, _, count = rest.partition(":")
    try:
        if not dots:
            return [float(word)]
        first, last = float(start), float(end)
        many = int(count or round(PER_DECADE * math.log10(last / first)) + 1)
        if not 0.0 < first < last < math.inf or many < 2:
            raise ValueError
    except (ValueError, ZeroDivisionError, OverflowError) as error:
        remedy = "write numbers, or a range of them above 0, such as 1e-4..1e-1 or 1e-4..1e-1:7"
        raise InputError(f"{flag(name)} {word}: {remedy}") from error
    return [float(f"{each:.2g}") for each in np.geomspace(first, last, many)]


def _task(options: TrainOptions) -> Task:
    """Read the table, for all candidates."""
    task = read_task(options, to_train=True)
    if hasattr(task.x, "read_rows"):
        raise InputError(f"{options.data}: too large to be held in memory, which a sweep needs")
    if not (task.folds or task.held_out):
        raise InputError("--validation 0: candidates are compared on rows held out; give a share")
    return task


def _finished(out: str) -> list[dict[str, Any]]:
    """Return what earlier sweeps left in their file."""
    if not Path(out).exists():
        return []
    try:
        found = [json.loads(line) for line in Path(out).read_text("utf-8").splitlines()]
        if all({"command", "data", "loss"} <= each.keys() for each in found):
            return found
    except (ValueError, AttributeError):
        pass
    raise FileError(f"{out}: it is no file of a sweep; name another one with --out")


def _groups(task: Task, left: list[TrainOptions]) -> Iterable[list[Candidate]]:
    """Yield candidates that can be trained together; all are checked before the first one is."""
    groups = dict[Any, list[Candidate]]()
    rows = [task.of_net(number) for number in range(task.nets)]
    for options in left:
        given = {name: value for name in SWEPT if (value := getattr(options, name)) is not None}
        own, runs = with_target(replace(task, options=replace(task.options, **given))), []
        for number in range(task.nets):
            one = own.of_net(number)
            net, settings = make_network(one), fit_options(one)
            runs.append(prepare_training(net, rows[number].x, one.y, progress=False, **settings))
        groups.setdefault(kind(runs[0]), []).append(Candidate(options, own, runs))
    yield from groups.values()


def _result(candidate: Candidate) -> dict[str, Any]:
    """Measure a candidate on rows held out, as `train` does; also each network on its own."""
    told: dict[str, Any] = {name: getattr(candidate.options, name) for name in SWEPT}
    told = {"command": candidate.options.as_command()} | {
        k: v for k, v in told.items() if v is not None
    }
    if any(run.state.history.stopped == DIVERGED for run in candidate.runs):
        return told | {"loss": None, "stopped": DIVERGED}
    nets = [run.net for run in candidate.runs]
    task = calibrated(candidate.task, nets)
    judged = judge(task, nets)
    of_each = [task.of_net(number).judged for number in range(task.nets)]
    return told | {
        "loss": _loss(task.plan, judged.outputs, judged.y),
        "losses": [_loss(task.plan, net.predict(x), y)
                   for net, (x, y) in zip(nets, of_each, strict=True)],
        "scores": score(task.plan, judged.outputs, judged.y),
        "epochs": [run.state.epoch for run in candidate.runs],
    }  # fmt: skip


def _measure(plan: Preprocessing) -> str:
    return LOSSES.get(plan.task, "log loss")


def _loss(plan: Preprocessing, outputs: Any, y: Any) -> float:
    """Return what candidates are compared by: comparable even where their targets are scaled."""
    if plan.task == "regression":
        errors = plan.values(outputs[:, 0]) - plan.values(y)
        return float(np.sqrt(np.mean(errors**2)))
    p = np.hstack([1.0 - outputs, outputs]) if outputs.shape[1] == 1 else outputs
    right = p[np.arange(len(y)), np.asarray(y, np.int64)]
    return float(-np.mean(np.log(np.maximum(right, np.finfo(p.dtype).tiny))))


def _rank(result: dict[str, Any]) -> float:
    return math.inf if result["loss"] is None else result["loss"]


def _setting(result: dict[str, Any], leave_out: str = "") -> str:
    given = [name for name in SWEPT if name in result and name != leave_out]
    return " ".join(f"{flag(name)} {result[name]}" for name in given) or "defaults"


def _lines(report: dict[str, Any]) -> list[tuple[str, str]]:
    results, measure = report["candidates"], report["measure"]
    lines = [
        ("task", f"{report['task']} of {report['target']}, {report['rows']:,} rows"),
        ("candidates", f"{len(results)}, of {counted(report['networks'], 'network')} each; "
         f"{report['trained']} trained in {report['seconds']:.1f} s"),
        (measure, "of rows held out, and how far apart the networks are"),
    ]  # fmt: skip
    for each in results[:SHOWN]:
        if each["loss"] is None:
            lines.append(("  diverged", _setting(each)))
            continue
        scores = each["scores"]
        name, value = (
            ("accuracy", scores.get("accuracy")) if "accuracy" in scores else ("R2", scores["r2"])
        )
        shown = "" if value is None else f"{name} {value:.4f}  "
        lines.append((f"  {each['loss']:.4g}",
                      f"± {np.std(each['losses']):<8.2g} {shown}{_setting(each)}"))  # fmt: skip
    more = len(results) - SHOWN
    lines += [("  ...", f"{more} more (--json has them)")][: more > 0]
    return [*lines, ("best", report["best"])]


def _plot(path: str, results: list[dict[str, Any]], measure: str) -> None:
    """Draw the losses over a number that was varied, one line for all the other settings."""
    from xpnet.report.plots import plot_results

    drawn = [each for each in results if each["loss"] is not None]
    counts = {name: len({each.get(name) for each in drawn}) for name in NUMBERS}
    name = max(counts, key=lambda each: counts[each])
    series = dict[str, list[tuple[float, float, float]]]()
    for each in sorted(drawn, key=lambda result: result.get(name, 0.0)):
        point = each.get(name, 0.0), each["loss"], float(np.std(each["losses"]))
        series.setdefault(_setting(each, leave_out=name), []).append(point)
    plot_results(path, series, flag(name), measure)
