"""Short trainings decide what differs from table to table, by the loss of held-out rows.

How a target is modelled: as it is, by its logarithm, or as counts. The squared error of a skewed
target depends mostly on the largest values. Where effects multiply, the logarithm is better (6 % on
2,500 simulated rows); elsewhere it does harm (up to 55 % on Forbes2000). As the exponential of a
mean logarithm is below the mean, predictions are multiplied by one factor, such that the training
rows keep their mean (Duan, "Smearing estimate", 1983). The Poisson loss takes into account that
large counts vary more, which gained up to 3 % on simulated counts.

Whether numbers are encoded in bins, which helps where the target has steps or bends (up to 40 % on
22 public tables, `benchmarks/tables.py`), and does harm where it depends on sums of many numbers.
Whether units are dropped, which helps against noise, and does harm where there is hardly any (on
both see `benchmarks/tables_simulated.py`). Whether texts with many values have an input with their
mean target, which helps if these differ (12 to 16 % on simulated rows), and does harm if not.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from xpnet.cli.options import LBFGS, TrainOptions
from xpnet.cli.task import Task, fit_options, limit_threads, make_network, read_task
from xpnet.errors import DivergenceError
from xpnet.nn.network import MLP
from xpnet.saving.model import mean_outputs
from xpnet.tables.columns import Category, Column, Number
from xpnet.tables.messages import Decision
from xpnet.tables.preprocessing import Preprocessing
from xpnet.tables.rows import PreparedRows
from xpnet.training.fit import prepare_training

PILOT_EPOCHS = 5  # of 50 steps; twice as many decide alike, but for counts
# Bins are learnt first, and rows by heart last: a pilot in which the rates fall, as in a training
# that ends so soon, misses that. So these are the first epochs of a long training.
START_EPOCHS = 8
PILOTS = 2  # networks with other held-out rows: one alone may be deceived by a few large values
GAIN = 0.97  # of the root mean square or cross-entropy as it is: below it, it is no accident
BY_FAR = 0.8  # times the gain: no second pilot is needed
DROPOUT_GAIN = 0.9  # of the same; from there on, dropout is ahead by the end of a long training
MIN_ROWS = 200  # of the table: fewer held-out rows are ahead by accident
LARGE_COUNT = 50.0  # a mean from which on counts are like other numbers
EDGE = 1e-6
SKEWED = 2.0  # skewness: 0 if symmetric, 2 of an exponential distribution


def load_task(options: TrainOptions, *, to_train: bool = False) -> Task:
    """Return the task that the options describe; what they leave open, held-out rows decide."""
    return with_target(with_choices(read_task(options, to_train=to_train), options))


def with_choices(task: Task, given: TrainOptions) -> Task:
    """Return a task with bins, dropout and effects as held-out rows decide, if not given."""
    options = task.options
    usual = options.optimizer == LBFGS or task.rows < MIN_ROWS
    if usual or not task.of_net(0).held_out:
        return _with_effects(task)
    epochs = min(START_EPOCHS, options.epochs or START_EPOCHS)
    best = _Pilots(task, {"epochs": epochs, "schedule": "constant"})
    if options.encode == "auto" and (plain := _without(task, Number, edges=())) is not task:
        best = best.unless_better(plain, GAIN)
    if given.dropout is None and options.dropout and options.hidden != "none":
        none = replace(options, dropout=0.0)
        best = best.unless_better(replace(best.task, options=none), DROPOUT_GAIN)
    return _with_effects(best.task)


def _with_effects(task: Task) -> Task:
    """Return a task with effects of texts with many values, if held-out rows gain by them."""
    without = _without(task, Category, texts=(), effects=())
    if without is task or _Pilots(without).unless_better(task, GAIN).task is without:
        return without
    encoded = next(each for each in task.decisions if each.kind == "encoded")
    columns = dict(encoded.columns)
    for each in task.plan.columns:
        if isinstance(each, Category) and each.effects:
            columns[each.name] += f"; {len(each.effects):,} by their mean {task.plan.target}"
    others = (each for each in task.decisions if each is not encoded)
    return replace(task, decisions=(*others, replace(encoded, columns=columns)))


def _without(task: Task, kind: type[Column], **unset: Any) -> Task:
    """Return a task whose columns of one kind lack the last of their inputs, such as bins."""
    columns = [replace(e, **unset) if isinstance(e, kind) else e for e in task.plan.columns]
    plan, places = replace(task.plan, columns=tuple(columns)), list[int]()
    for each in columns:
        inputs = task.plan.inputs_of(each.name)
        places += range(inputs.start + len(each.input_names()), inputs.stop)
    if not places:
        return task
    x, held_out = task.x, task.held_out
    if held_out:
        held_out = np.delete(held_out[0], places, axis=1), held_out[1]
    x = replace(x, plan=plan) if isinstance(x, PreparedRows) else np.delete(x, places, axis=1)
    return replace(task, plan=plan, x=x, held_out=held_out)


def with_target(task: Task) -> Task:
    """Return a task with its target modelled as held-out rows decide."""
    options, plan = task.options, task.plan
    asked = options.loss != "auto" or options.strict or options.raw or options.simple
    usual = asked or options.optimizer == LBFGS or not task.of_net(0).held_out
    if usual or plan.task != "regression" or plan.more_targets:
        return task
    values = plan.values(task.y)
    if _are_counts(values):
        what, options = "counts, learnt with the Poisson loss", replace(options, loss="poisson")
        plan = replace(plan, target_mean=0.0, target_std=1.0)
    elif _is_skewed(values):
        what, logs = "skewed; its logarithm is learnt", np.log(values)
        mean, std = float(logs.mean()), float(logs.std())
        plan = replace(plan, target_mean=mean, target_std=std, target_log=True)
    else:
        return task
    decision = Decision("target", {plan.target: what}, {"loss": "squared_error"})
    other = replace(task, options=options, decisions=(*task.decisions, decision))
    other = _with_plan(other, plan)
    return _Pilots(task).unless_better(other, GAIN).task


def calibrated(task: Task, nets: Sequence[MLP]) -> Task:
    """Return the task with the factor that gives predictions by the logarithm the right mean."""
    plan = task.plan
    if not plan.target_log:
        return task
    factor = _factor(plan, mean_outputs(nets, task.x), task.y)
    return _with_plan(task, replace(plan, target_mean=plan.target_mean + float(np.log(factor))))


def _are_counts(values: np.ndarray) -> bool:
    whole = np.abs(values - values.round()) < EDGE  # they were scaled, and are no longer exact
    return bool(whole.all() and values.min() > -EDGE and values.mean() < LARGE_COUNT)


def _is_skewed(values: np.ndarray) -> bool:
    """Return whether a target is above 0 and skewed, and its logarithm much less so."""
    if values.min() <= 0.0 or _skewness(values) < SKEWED:
        return False
    return abs(_skewness(np.log(values))) < 0.5 * _skewness(values)


def _skewness(values: np.ndarray) -> float:
    return float(np.mean(((values - values.mean()) / values.std()) ** 3))


def _with_plan(task: Task, plan: Preprocessing) -> Task:
    held_out, counts = task.held_out, task.options.loss == "poisson"

    def again(y: np.ndarray) -> np.ndarray:
        values = task.plan.values(y)
        return plan.of_values(values.round() if counts else values)

    if held_out:
        held_out = held_out[0], again(held_out[1])
    return replace(task, plan=plan, y=again(task.y), held_out=held_out)


def _factor(plan: Preprocessing, outputs: np.ndarray, y: np.ndarray) -> float:
    return float(plan.values(y).mean() / plan.values(outputs[:, 0]).mean())


class _Pilots:
    """Short trainings of a task's first networks, run when they are needed."""

    def __init__(self, task: Task, settings: dict[str, Any] | None = None) -> None:
        self.task, self.settings, self._losses = task, settings or {}, list[float]()

    def losses(self, count: int) -> list[float]:
        """Return the losses of held-out rows in the first so many trainings."""
        for number in range(len(self._losses), count):
            self._losses.append(_pilot_loss(self.task.of_net(number), self.settings))
        return self._losses[:count]

    def unless_better(self, task: Task, gain: float) -> "_Pilots":
        """Return the pilots of another task if it is clearly better; the first pilot may decide."""
        other = _Pilots(task, self.settings)
        gain = gain if task.plan.classes else gain**2  # of squares
        for count in range(1, min(PILOTS, task.nets) + 1):
            loss, usual = sum(other.losses(count)), sum(self.losses(count))
            if not BY_FAR * gain * usual <= loss < usual:
                break
        return other if loss < gain * usual else self


def _pilot_loss(task: Task, settings: dict[str, Any]) -> float:
    """Train briefly; return the loss of held-out rows, of numbers the mean square in their unit."""
    net, (x, y), plan = make_network(task), task.judged, task.plan
    counts = task.options.loss == "poisson" or (not plan.classes and _are_counts(plan.values(y)))
    epochs = 2 * PILOT_EPOCHS if counts else PILOT_EPOCHS
    settings = fit_options(task) | {"epochs": epochs, "progress": False} | settings
    with limit_threads(task):
        try:
            history = prepare_training(net, task.x, task.y, **settings).run()
        except DivergenceError:
            return float("inf")
    if plan.classes or plan.more_targets:
        return min(history.validation_loss)
    answers = plan.values(net.predict(x)[:, 0])
    if plan.target_log:
        answers *= _factor(plan, net.predict(task.x), task.y)
    return float(np.mean((answers - plan.values(y)) ** 2))
