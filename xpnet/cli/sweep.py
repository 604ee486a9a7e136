"""`xpnet sweep`: train all candidates on a table that is read once, and say which is best.

A candidate has the seeds and held-out rows that `xpnet train` has with the same options, so that
its command trains it again. Candidates of one architecture are trained together.
"""

import itertools
import json
import math
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, fields, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from xpnet import __version__
from xpnet.backend.device import CPU
from xpnet.backend.files import atomic_write, lock
from xpnet.backend.processes import in_processes
from xpnet.backend.threads import free_memory, processors, threads_of_each
from xpnet.cli.options import LBFGS, SWEPT, SweepOptions, TrainOptions, flag
from xpnet.cli.output import check_outputs, say, show_report
from xpnet.cli.pilots import calibrated, with_choices, with_target
from xpnet.cli.task import (
    MAX_NETS,
    Task,
    fit_options,
    judge,
    limit_threads,
    make_network,
    read_task,
)
from xpnet.errors import DivergenceError, FileError, InputError
from xpnet.nn.arrays import is_row_source
from xpnet.tables.messages import counted
from xpnet.tables.npy import unpacked
from xpnet.tables.preprocessing import Preprocessing
from xpnet.tables.scores import score
from xpnet.training.batches import Data, digest
from xpnet.training.divergence import DIVERGED
from xpnet.training.fit import prepare_training
from xpnet.training.loop import Training
from xpnet.training.many import kind, train_together

SHOWN = 10  # candidates, the best first; --json has them all
PER_DECADE = 2  # values of a range
CHUNKS = 4  # of candidates, for each thread of a cluster: an interruption loses those begun
NUMBERS = ("lr", "l2", "dropout")


@dataclass(frozen=True)
class Candidate:
    """Settings to try, as options of `train`, and the networks that are trained with them."""

    options: TrainOptions
    task: Task
    runs: list[Training]


def sweep(options: SweepOptions) -> None:
    """Train candidates that are not in the file of finished ones, and print the results of all."""
    started, every, out = time.perf_counter(), _settings(options), _output(options)
    with lock(out):
        kept, task = _finished(out), _task(every[0])
        if every[0].dropout is None and not task.options.dropout:  # as short trainings chose
            every = [replace(each, dropout=0.0) for each in every]
        rows = (digest(Data(*each, None), CPU) for each in ((task.x, task.y), task.judged))
        about = {"data": " ".join(rows), "xpnet": __version__}
        known = {each["command"]: each for each in kept if about.items() <= each.items()}
        left = [each for each in every if each.as_command() not in known]
        if options.scheduler and left:
            finished = _by_workers(options, task, left)
        else:
            finished = _by_processes(task, left)
        for some in finished:
            for each in some:
                kept.append(each | about)
                known[each["command"]] = kept[-1]
            with atomic_write(out) as file:
                file.writelines(f"{json.dumps(each)}\n".encode() for each in kept)
            say(f"{out}: {counted(len(kept), 'finished candidate')}")
    results = sorted(
        (known[each.as_command()] for each in every),
        key=lambda each: (each["loss"] is None, each["loss"]),
    )
    if results[0]["loss"] is None:
        tried = counted(len(results), "candidate")
        raise DivergenceError(f"{tried} tried, none without diverging; lower --lr")
    report = {
        "command": "sweep", "task": task.plan.task, "target": ",".join(task.plan.targets),
        "rows": task.rows, "networks": task.nets, "trained": len(left),
        "seconds": time.perf_counter() - started,
        "measure": "log loss" if task.plan.classes else "root mean squared error",
        "varied": [name for name in SWEPT if len({each.get(name) for each in results}) > 1],
        "file": out, "best": results[0]["command"], "candidates": results,
    }  # fmt: skip
    if options.plot:
        _plot(options.plot, report)
    show_report(options.json, report, _lines(report))


def _output(options: SweepOptions) -> str:
    """Return the file of finished candidates; refuse outputs that would fail or do harm."""
    stem = Path(unpacked(options.data)).stem
    out = options.out or f"{'table' if options.data == '-' else stem}.sweep.jsonl"
    outputs = [each for each in (out, options.plot) if each]
    check_outputs(outputs, [options.data, options.target, options.validation], options.plot)
    return out


def _settings(options: SweepOptions) -> list[TrainOptions]:
    if options.optimizer == LBFGS:
        raise InputError("--optimizer lbfgs: it has no steps to take together; leave it out")
    if options.seeds is not None and not 1 <= options.seeds <= MAX_NETS:
        raise InputError(f"--seeds {options.seeds}: give a number from 1 to {MAX_NETS}")
    own = {"out", "plot", "json", "nets", *SWEPT}
    same = {e.name: getattr(options, e.name) for e in fields(TrainOptions) if e.name not in own}
    same["nets"] = None if options.seeds is None else str(options.seeds)
    tried = dict[str, list[Any]]()
    for name in SWEPT:
        words = getattr(options, name) or [None]
        tried[name] = [value for word in words for value in _values(name, word)]
    if options.plot and not any(len({*tried[name]}) > 1 for name in NUMBERS):
        raise InputError("--plot: it shows losses over --lr, --l2 or --dropout; vary one of them")
    chosen = dict.fromkeys(itertools.product(*tried.values()))
    return [TrainOptions(**same, **dict(zip(SWEPT, each, strict=True))) for each in chosen]


def _values(name: str, word: str | None) -> list[Any]:
    """Return the values that a word stands for: itself, or a range, evenly in logarithm."""
    if word is None or name not in NUMBERS:
        return [word]
    start, dots, rest = word.partition("..")
    end, _, count = rest.partition(":")
    try:
        if not dots:
            return [float(word)]
        first, last = float(start), float(end)
        many = int(count) if count else round(PER_DECADE * math.log10(last / first)) + 1
        if not 0.0 < first < last < math.inf or many < 2:
            raise ValueError
    except (ValueError, ZeroDivisionError, OverflowError) as error:
        remedy = "write numbers, or a range of them above 0, such as 1e-4..1e-1 or 1e-4..1e-1:7"
        raise InputError(f"{flag(name)} {word}: {remedy}") from error
    between = np.geomspace(first, last, many)[1:-1]
    return [first, *(float(f"{each:.2g}") for each in between), last]


def _task(options: TrainOptions) -> Task:
    task = with_choices(read_task(options, to_train=True), options)
    if is_row_source(task.x):
        raise InputError(f"{options.data}: too large to be held in memory, which a sweep needs")
    if not (task.folds or task.held_out):
        raise InputError("--validation 0: candidates are compared on rows held out; give a share")
    return task


def _finished(out: str) -> list[dict[str, Any]]:
    if not Path(out).exists():
        return []
    try:
        found = [json.loads(line) for line in Path(out).read_text("utf-8").splitlines()]
        if not all({"command", "data", "loss"} <= each.keys() for each in found):
            raise ValueError
    except (ValueError, AttributeError) as error:
        message = f"{out}: not a file written by xpnet sweep; name another with --out"
        raise FileError(message) from error
    return found


def _groups(task: Task, left: list[TrainOptions]) -> Iterable[list[Candidate]]:
    """Return groups of candidates that can be trained together, after checking all."""
    groups, rows = dict[Any, list[Candidate]](), [task.of_net(k) for k in range(task.nets)]
    device = make_network(rows[0]).device
    with device.active:
        rows = [replace(each, x=device.put(each.x, task.options.dtype)) for each in rows]
    for options in left:
        own = with_target(_with(task, options))
        runs = list[Training]()
        for number, one in enumerate(rows):
            each = replace(one, options=replace(own.options, seed=one.options.seed))
            each = each if own.plan is task.plan else own.of_net(number)  # a copy of the rows
            net, settings = make_network(each), fit_options(each)
            runs.append(prepare_training(net, each.x, each.y, progress=False, **settings))
        alike = kind(runs[0]), own.plan.target_log  # which changes the targets
        groups.setdefault(alike, []).append(Candidate(options, own, runs))
    return groups.values()


def _trained(task: Task, left: list[TrainOptions]) -> Iterator[list[dict[str, Any]]]:
    """Train candidates, each group at once; yield the results of each group."""
    for group in _groups(task, left):
        with limit_threads(group[0].task):
            train_together([run for each in group for run in each.runs])
            found = [_result(each) for each in group]
        yield found


def _by_processes(task: Task, left: list[TrainOptions]) -> Iterator[list[dict[str, Any]]]:
    """Train each architecture in a process, as many at once as processors and memory allow."""
    shapes = dict[Any, list[TrainOptions]]()
    for each in left:
        shapes.setdefault((each.hidden, each.activation), []).append(each)
    # The largest first, lest all wait for it at the end.
    sizes = {each: make_network(_with(task, some[0])).flat.size for each, some in shapes.items()}
    ordered = sorted(shapes, key=lambda each: -sizes[each])
    copies = 2 * task.nets * task.x.nbytes  # that each may make of its rows
    count = min(processors(), len(shapes), free_memory() // copies)
    if count > 1 and sys.platform == "linux" and task.options.device == "cpu":
        several = in_processes(lambda each: [*_trained(task, shapes[each])], ordered, count)
        with threads_of_each(count), closing(several):
            for shape, found in several:
                if found is None:  # what went wrong is told below
                    break
                del shapes[shape]
                yield from found
    if shapes:
        yield from _trained(task, [*itertools.chain(*shapes.values())])


def _by_workers(
    options: SweepOptions, task: Task, left: list[TrainOptions]
) -> Iterator[list[dict[str, Any]]]:
    """Train on the workers of a Dask cluster; yield results in the order in which they finish."""
    asked = f"--scheduler {options.scheduler}"
    try:
        dask: Any = import_module("distributed")
        client = dask.Client(options.scheduler, timeout=10)
    except ImportError as error:
        raise InputError(f"{asked}: needs Dask: pip install 'dask[distributed]'") from error
    except (OSError, ValueError, TypeError) as error:
        found = f"cannot be reached ({str(error).splitlines()[0]:.100})"
        raise InputError(f"{asked}: {found}; give a scheduler's tcp://HOST:8786") from error
    with client:
        size = -(-len(left) // (CHUNKS * max(1, sum(client.nthreads().values()))))
        some = (left[start : start + size] for start in range(0, len(left), size))
        try:
            sent = client.scatter(task, broadcast=True, hash=False)
            tasks = [client.submit(lambda *given: [*_trained(*given)], sent, e) for e in some]
            yield from (found for each in dask.as_completed(tasks) for found in each.result())
        except (dask.KilledWorker, dask.CancelledError, TimeoutError) as error:
            what = "no worker is left that has this xpnet; start some, and give the command again"
            raise InputError(f"{asked}: {what}: it goes on") from error


def _with(task: Task, options: TrainOptions) -> Task:
    return replace(task, options=replace(task.options, **_given(options)))


def _given(options: TrainOptions) -> dict[str, Any]:
    return {name: value for name in SWEPT if (value := getattr(options, name)) is not None}


def _result(candidate: Candidate) -> dict[str, Any]:
    """Return the scores of a candidate, and of each of its networks, on held-out rows."""
    told = {"command": candidate.options.as_command(), **_given(candidate.options)}
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


def _loss(plan: Preprocessing, outputs: Any, y: Any) -> float:
    """Return the loss by which candidates are compared; that of numbers is in their own unit."""
    y = np.reshape(y, (len(y), -1))
    if plan.task == "regression":
        if not plan.more_targets:  # whose units may differ
            outputs, y = plan.values(outputs), plan.values(y)
        return float(np.sqrt(np.mean((outputs - y) ** 2)))
    if outputs.shape == y.shape:
        right = np.where(y > 0, outputs, 1.0 - outputs)
    else:
        right = np.take_along_axis(outputs, y.astype(np.int64), axis=1)
    return float(-np.mean(np.log(np.maximum(right, np.finfo(right.dtype).tiny))))


def _setting(result: dict[str, Any], names: Iterable[str]) -> str:
    return " ".join(f"{flag(name)} {result[name]}" for name in names) or "as train"


def _lines(report: dict[str, Any]) -> list[tuple[str, str]]:
    results, measure, several = report["candidates"], report["measure"], report["networks"] > 1
    lines = [
        ("task", f"{report['task']} of {report['target']}, {report['rows']:,} rows"),
        ("candidates", f"{len(results)}, of {counted(report['networks'], 'network')} each; "
         f"{report['trained']} trained in {report['seconds']:.1f} s"),
        (measure, f"of rows held out{', and how far apart the networks are' if several else ''}"),
    ]  # fmt: skip
    for each in results[:SHOWN]:
        setting = _setting(each, report["varied"])
        if each["loss"] is None:
            lines.append(("  diverged", setting))
            continue
        name = "accuracy" if "accuracy" in each["scores"] else "r2"
        told = f"{name} {each['scores'][name] or 0.0:.4f}  {setting}"
        apart = f"± {np.std(each['losses']):<8.2g} " if several else ""
        lines.append((f"  {each['loss']:.4g}", apart + told))
    more = len(results) - SHOWN
    if more > 0:
        lines.append(("  ...", f"{more} more (--json has them)"))
    return [*lines, ("best", report["best"])]


def _plot(path: str, report: dict[str, Any]) -> None:
    """Plot the losses over a number that was varied, a line for each of the other settings."""
    from xpnet.report.plots import plot_results

    name = next(each for each in NUMBERS if each in report["varied"])
    others = [each for each in report["varied"] if each != name]
    series = dict[str, list[Any]]()
    for each in report["candidates"]:
        if each["loss"] is not None:
            point = each[name], each["loss"], np.std(each["losses"])
            series.setdefault(_setting(each, others), []).append(point)
    plot_results(path, series, flag(name), report["measure"])
