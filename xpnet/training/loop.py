"""Training: for each epoch, for each batch: forward, backward, step.

`Training` is one run. It knows the algorithm but nothing about files, progress bars or doctors:
those are callbacks (`xpnet.training.callbacks`), each called with the run. Its whole state is the
parameters plus `TrainingState`, because all randomness is stateless (`xpnet.backend.random`). Steps
that no callback wants to see are taken many at a time, by a GPU (`xpnet.training.launches`) or in
compiled code (`xpnet.training.compiled`).
"""

import logging
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from xpnet.backend.device import Array
from xpnet.backend.signals import finish_step_first
from xpnet.errors import DivergenceError, InputError, bad_argument, check_integers, check_numbers
from xpnet.nn.arrays import Batch, is_row_source
from xpnet.nn.losses import Loss, penalty, resolve_head
from xpnet.nn.network import MLP, PREDICT_ROWS
from xpnet.nn.optimizers import SGD, Optimizer
from xpnet.nn.schedules import (
    Constant,
    Progress,
    Schedule,
    looks_at_losses,
    per_epoch,
    resolve_schedule,
)
from xpnet.training.batches import Data, batches, epoch_order
from xpnet.training.callbacks import hooks, steps_unwanted, wants_each_epoch
from xpnet.training.compiled import CompiledSteps, compiled_steps
from xpnet.training.divergence import DIVERGED, check_divergence, is_far_above_start
from xpnet.training.dropout import Dropout
from xpnet.training.history import History
from xpnet.training.launches import Launches
from xpnet.training.metrics import resolve_metrics
from xpnet.training.step import Step, make_step

LOG = logging.getLogger("xpnet")
LOG.addHandler(logging.NullHandler())
INTERRUPTED = "interrupted"


@dataclass(frozen=True)
class TrainingOptions:
    """How to train; see `xpnet.fit` for the meaning of each."""

    loss: str | Loss = "auto"
    optimizer: Optimizer = field(default_factory=SGD)
    epochs: int = 20
    steps_per_epoch: int | None = None
    batch_size: int = 32
    shuffle: bool = True
    l1: float = 0.0
    l2: float = 0.0
    clip_norm: float | None = None
    schedule: str | Schedule | None = None
    metrics: Any = ()
    seed: int | None = None
    keep_best: bool = False
    compile: str = "auto"
    chunks: int | None = None

    def __post_init__(self) -> None:
        if self.compile not in ("auto", "on", "off"):
            raise bad_argument("compile", self.compile, "must be 'auto', 'on' or 'off'")
        check_integers(1, epochs=self.epochs, batch_size=self.batch_size)
        check_integers(0, chunks=self.chunks or 0)
        if self.steps_per_epoch is not None:
            check_integers(1, steps_per_epoch=self.steps_per_epoch)
        check_numbers("must be finite and >= 0", l1=self.l1, l2=self.l2)
        if self.seed is not None:
            check_integers(0, seed=self.seed)
        if self.clip_norm is not None:
            check_numbers("must be finite and above 0", clip_norm=self.clip_norm)


@dataclass
class TrainingState:
    """Where a run is: with the parameters, all that is needed to continue it exactly."""

    epoch: int = 0  # epochs completed
    batch: int = 0  # steps taken within the current epoch
    step: int = 0  # steps taken in all
    optimizer: list[Array] = field(default_factory=list)
    epoch_loss: Array = 0.0  # sum of loss times rows over the current epoch, 0-d on the device
    first_loss: float = math.nan  # of the very first batch; known when an epoch has ended
    # Set by callbacks; multiplies the schedule's factor from the next epoch on.
    learning_rate_factor: float = 1.0
    history: History = field(default_factory=History)
    # With `keep_best`, the lowest monitored loss so far, and the parameters that gave it.
    best_loss: float = math.inf
    best: Array = None
    compile: str = ""  # whether the steps are, "on" or "off": a resumed run has to go on alike
    # The parameters before the last epoch whose first batch had a loss that was not running away.
    last_good: Array = None
    epoch_start: Array = None  # the parameters at the start of the current epoch
    epoch_first_loss: Array = math.nan  # of its first batch, 0-d on the device


class Training:
    """One run of training, in steps that callbacks can watch.

    Parameters
    ----------
    net : MLP
        Trained in place.
    data, validation : Data
        Prepared device arrays.
    options : TrainingOptions
    callbacks : sequence of object
    state : TrainingState, optional
        To continue an earlier run; `options.epochs` counts from the start of that run.
    stream : bool
        The data are one batch of many, so that its loss, if finite, says nothing about the run.

    Attributes
    ----------
    loss, gradients, trace
        Of the step just taken, for ``on_batch_end``; the loss is a 0-d device array. The next
        step may write into the same arrays: copy what you keep. Compiled steps, which no
        ``on_batch_end`` sees, leave neither gradients nor trace.
    learning_rate : float
        Of the step just taken.
    stop_reason : str
        Set it, by `stop`, to end after the current step.
    between_steps : bool
        Whether state and parameters match, so that they can be saved. They do not within a step,
        which a second Ctrl-C cuts short.
    """

    loss: Array
    gradients: Any  # of compiled steps None
    trace: Any

    def __init__(
        self,
        net: MLP,
        data: Data,
        options: TrainingOptions,
        *,
        validation: Data | None = None,
        callbacks: Sequence[Any] = (),
        state: TrainingState | None = None,
        stream: bool = False,
    ) -> None:
        self.net, self.data, self.options, self.validation = net, data, options, validation
        self.head = resolve_head(net.output, options.loss)
        self.penalties: Any = options.l1 or None, options.l2 or None
        self.metrics = resolve_metrics(options.metrics)
        self.schedule = resolve_schedule(options.schedule)
        self.seed = net.seed if options.seed is None else options.seed
        self.rows: int = data.y.shape[0]
        self.callbacks = list(callbacks)
        self.batch_size: int = min(options.batch_size, self.rows)
        self.dropout = Dropout(net, self.seed)
        self.launches: Launches | CompiledSteps | None = None
        self.state = state or TrainingState()
        self.stop_reason, self.between_steps, self.stream = "", False, stream
        self.diverged: DivergenceError | None = None  # what `run` raised, or would have
        self._begun: list[Any] = []  # callbacks that have been told of the start
        self._one_by_one = 0  # up to this epoch, epochs are not taken many at a time
        self.learning_rate = options.optimizer.learning_rate
        with net.device.active:
            self.flat_gradients = net.device.xp.zeros_like(net.flat)
            if not self.state.optimizer:
                self.state.optimizer = options.optimizer.start(net.device.xp, [net.flat])
            if self.state.last_good is None:
                self.state.last_good = self._copy_parameters()

    def run(self) -> History:
        """Train to the end, or until stopped; return the history.

        Raises `DivergenceError` if the loss is not finite or runs away: the network keeps its last
        good weights. Ctrl-C ends it after the current step; a second one does not wait for that.
        """
        # Overflow on the way to a divergence is reported once, by end_epoch.
        quiet = np.errstate(over="ignore", invalid="ignore", divide="ignore")
        with finish_step_first(lambda: self.stop(INTERRUPTED)), quiet, self.net.device.active:
            try:
                self.begin()
                take_step = self._prepare()
                self.between_steps = True
                while not self.has_ended:
                    if not self._run_epochs():
                        self._run_epoch(take_step)
            finally:
                self.finish()
        return self.state.history

    def stop(self, reason: str) -> None:
        """End the run after the current step or epoch."""
        if reason != INTERRUPTED or not self.stop_reason:  # that it had ended anyway counts more
            self.stop_reason = reason or "stopped without a reason"

    @property
    def epoch_rows(self) -> int:
        """Rows of an epoch."""
        steps = self.options.steps_per_epoch
        return self.rows if steps is None else steps * self.batch_size

    @property
    def full_batches(self) -> int:
        """Steps of an epoch on batches of the full size."""
        return self.epoch_rows // self.batch_size

    @property
    def epoch_steps(self) -> int:
        """Steps of an epoch; the last batch may be smaller than the others."""
        return -(-self.epoch_rows // self.batch_size)

    @property
    def has_ended(self) -> bool:
        """Whether no epoch is left, or the run was stopped."""
        return bool(self.stop_reason) or self.state.epoch >= self.options.epochs

    def begin(self) -> None:
        """Tell the callbacks; one of them may put an earlier state in place."""
        for callback in self.callbacks:
            self._notify("on_train_start", [callback])
            self._begun.append(callback)

    def finish(self) -> None:
        """Restore the best weights if kept, and tell the callbacks that began, however it ended."""
        state = self.state
        whole_run = self.has_ended and self.stop_reason not in (INTERRUPTED, DIVERGED)
        if whole_run and state.best is not None:
            self.net.flat[...] = state.best
        state.history.stopped = self.stop_reason or (
            f"{state.epoch} epoch{'s' * (state.epoch != 1)} done"
        )
        LOG.info("%s: %s, %s", self.net, state.history, state.history.stopped)
        with ExitStack() as told:  # all of them, even if one raises: they hold locks and files
            for callback in reversed(self._begun):
                told.callback(self._notify, "on_train_end", [callback])

    def make_step(
        self, net: MLP, gradients: Array, state: Sequence[Array], penalties: Any = None
    ) -> Step:
        """Return the step of this run for a network, perhaps another one of its shape."""
        return make_step(net, gradients, state, self.head, self.options, penalties)

    def _prepare(self) -> Step:
        """Return the step; where many can be taken at a time, also prepare that."""
        net, state = self.net, self.state
        step = self.make_step(net, self.flat_gradients, state.optimizer)
        if net.device.record is not None:
            if not is_row_source(self.data.x):
                self.launches = Launches(self, step)
            return step
        if self.launches is None:
            self.launches = compiled_steps(self)
        state.compile = "off" if self.launches is None else "on"
        return step

    def _run_epoch(self, take_step: Step) -> None:
        """One epoch: for each batch the loss, its gradients, and the optimiser's step."""
        started, state = time.perf_counter(), self.state
        self._notify("on_epoch_start")
        if state.batch == 0:
            state.epoch_start = self._copy_parameters()
        order, rates, coefficients, keys = self._plan(1)
        if self.launches is not None and self._unseen(self.launches):
            self.launches.begin(order, coefficients, keys, state.epoch_loss)
            self._launch_steps(self.launches, rates)
        self._take_steps(take_step, order, rates, coefficients, keys)
        if not self.stop_reason:
            numbers = self.net.device.get(self._epoch_numbers())
            self.end_epoch(numbers, time.perf_counter() - started)

    def _plan(self, epochs: int) -> tuple[Any, Any, Any, Any]:
        """Return the order of the rows in the next epochs, and what differs between their steps.

        These are the learning rates, (steps,), the optimiser's coefficients, (steps, coefficients),
        and dropout's keys, (steps, hidden layers), on the host; a stack's have more axes.
        """
        state, begin = self.state, self.state.step - self.state.batch
        rates = self.rates(state.epoch, epochs)
        steps = np.arange(begin + 1, begin + 1 + len(rates)).reshape(-1, *[1] * (rates.ndim - 1))
        coefficients = np.broadcast_arrays(*self.options.optimizer.coefficients(rates, steps))
        keys = self.mask_keys(begin, len(rates))
        return self.order(state.epoch, epochs), rates, np.stack(coefficients, axis=1), keys

    def _take_steps(
        self, take_step: Step, order: Any, rates: Any, coefficients: Any, keys: Any
    ) -> None:
        """Take the epoch's remaining steps, one by one."""
        state, on_batch_end = self.state, hooks(self.callbacks, "on_batch_end")
        rates, keys, epoch_rows = rates.tolist(), self._entries(keys, "int64"), self.epoch_rows
        coefficients = self._entries(coefficients, self.net.dtype)
        for batch in self._batches(order):
            if self.stop_reason:
                return
            at, self.between_steps, self.learning_rate = state.batch, False, rates[state.batch]
            masks = self.dropout.masks(batch.x.shape[-2], keys[at])
            self.loss, self.gradients, self.trace = take_step(batch, masks, coefficients[at])
            rows = min(self.batch_size, epoch_rows - self.batch_size * at)
            self._after_steps(1, self.loss, state.epoch_loss + self.loss * rows)
            for hook in on_batch_end:
                hook(self)

    def mask_keys(self, begin: int, count: int) -> Any:
        """Return the keys of dropout for `count` steps after `begin` others, host int64."""
        return self.dropout.keys(begin, count)

    def _entries(self, table: Any, dtype: str) -> Any:
        """Return a host table by step and column: numbers, or of a stack arrays on the device."""
        if table.ndim == 2:
            return table.tolist()
        table = self.net.device.put(table, dtype)
        return [[table[i, j, ...] for j in range(table.shape[1])] for i in range(table.shape[0])]

    def _batches(self, order: Any) -> Iterator[Batch]:
        """Yield the epoch's remaining batches."""
        net, first = self.net, self.state.batch
        return batches(self.data, order, self.batch_size, net.device, net.dtype, first=first)

    def _launch_steps(self, launches: Launches | CompiledSteps, rates: Any) -> None:
        """Take the whole batches, many at a time where no callback wants to see a step."""
        while (count := self._unseen(launches)) and not self.stop_reason:
            self.between_steps = False
            found = launches(self.state.batch, count)
            first_loss, self.loss, self.gradients, self.trace = found
            self._after_steps(count, first_loss, launches.total)
            self.learning_rate = float(rates[self.state.batch - 1])
            if launches.ends_anywhere or count == 1:
                self._notify("on_batch_end")

    def _after_steps(self, steps: int, first_loss: Array, epoch_loss: Array) -> None:
        """Count steps just taken; the losses, of the first step and the epoch, stay on device."""
        state = self.state
        if state.batch == 0:
            state.epoch_first_loss = self.net.device.xp.asarray(first_loss, copy=True)
        state.batch, state.step = state.batch + steps, state.step + steps
        state.epoch_loss = epoch_loss
        self.between_steps = True

    def _unseen(self, launches: Launches | CompiledSteps) -> int:
        """Return how many steps the next launch takes, up to one that a callback wants to see."""
        count = launches.steps_from(self.state.batch)
        unwanted = steps_unwanted(self.callbacks, self.state.step, count)
        if unwanted == count:
            return count
        return unwanted + 1 if launches.ends_anywhere else 1

    def _run_epochs(self) -> bool:
        """Take several epochs in one compiled call; return whether they were taken.

        If one of them runs away, they are taken back, to be taken one by one.
        """
        launches, state, count = self.launches, self.state, self._unwatched_epochs()
        if count < 2 or not isinstance(launches, CompiledSteps):
            return False
        started, end = time.perf_counter(), state.epoch + count
        before = [each.copy() for each in (self.net.flat, *state.optimizer)]
        order, rates, coefficients, keys = self._plan(count)
        launches.begin(order, coefficients, keys, 0.0)
        first_loss, self.loss, self.gradients, self.trace = launches(0, len(rates))
        losses = launches.totals / self.epoch_rows + launches.penalties
        if math.isnan(state.first_loss):
            state.first_loss = float(first_loss)
        if not np.isfinite(self.net.flat).all() or is_far_above_start(self, np.max(losses)):
            for own, values in zip((self.net.flat, *state.optimizer), before, strict=True):
                own[...] = values
            self._one_by_one = end
            return False
        state.epoch, state.step, state.last_good = end, state.step + len(rates), before[0]
        self.learning_rate = float(rates[-1])
        seconds = (time.perf_counter() - started) / count
        last_rates = rates.reshape(count, -1)[:, -1]
        state.history.append(
            {}, loss=losses.tolist(), learning_rate=last_rates.tolist(), seconds=[seconds] * count
        )
        self._notify("on_batch_end")
        self._notify("on_epoch_end")
        return True

    def _unwatched_epochs(self) -> int:
        """Return how many epochs can be taken at once, since nothing happens between them."""
        options, state, launches = self.options, self.state, self.launches
        if not isinstance(launches, CompiledSteps) or state.batch or state.epoch < self._one_by_one:
            return 0
        measured = self.validation is not None or self.metrics or options.keep_best
        if measured or self.epoch_rows % self.batch_size:
            return 0
        if looks_at_losses(self.schedule) or wants_each_epoch(self.callbacks):
            return 0
        count: int = min(options.epochs - state.epoch, launches.epochs) * self.full_batches
        return steps_unwanted(self.callbacks, state.step, count) // self.full_batches

    def order(self, epoch: int, epochs: int) -> Any:
        """Return the row numbers of some epochs; all rows at once are not shuffled."""
        return epoch_order(
            self.rows, self.seed, epoch, epochs=epochs, epoch_rows=self.epoch_rows,
            shuffle=self.options.shuffle and self.batch_size < self.rows,
        )  # fmt: skip

    def rates(self, epoch: int, epochs: int, factors: Any = None) -> Any:
        """Return the learning rate of each step of some epochs, float64."""
        rate = self.options.optimizer.learning_rate * self.state.learning_rate_factor
        return rate * (self.factors(epoch, epochs) if factors is None else factors)

    def factors(self, epoch: int, epochs: int) -> Any:
        """Return the schedule's factor of each step of some epochs, float64."""
        count, losses = self.epoch_steps, self.state.history.monitored
        if isinstance(self.schedule, Constant):
            return np.ones(count * epochs)
        total, found = count * self.options.epochs, list[float]()
        same = count if per_epoch(self.schedule) else 1  # steps with the same factor
        for step in range(epoch * count, (epoch + epochs) * count, same):
            factor = self.schedule(Progress(step, step // count, count, total, losses))
            if factor is None or not 0.0 <= factor < math.inf:
                raise InputError(f"schedule {self.schedule!r} gave {factor!r}, not a factor >= 0")
            found.append(factor)
        return np.repeat(found, same)

    def _epoch_numbers(self) -> Array:
        """Return what an epoch is recorded and checked by, on the device, to be read at once.

        They are the sum of loss times rows, the loss of the first batch, 1 if all parameters are
        finite, the penalty, and the validation loss if there is one: (numbers,), or of a stack
        (numbers, networks).
        """
        net, state, xp = self.net, self.state, self.net.device.xp
        finite = xp.astype(xp.all(xp.isfinite(net.flat), axis=-1), net.flat.dtype)
        extra = xp.zeros_like(finite)
        if any(each is not None for each in self.penalties):
            l1, l2 = (0.0 if each is None else each for each in self.penalties)
            extra = penalty(xp, net.flat_weights, l1, l2)
        numbers = [state.epoch_loss, state.epoch_first_loss, finite, extra]
        if self.validation is not None:
            numbers.append(net.mean_loss(self.head, *self.validation))
        return xp.stack([net.device.put(each, net.dtype) for each in numbers])

    def end_epoch(self, numbers: Any, seconds: float) -> None:
        """Record an epoch by its numbers; check it, keep the best, tell the callbacks."""
        state, options = self.state, self.options
        loss_sum, first_loss, finite, extra, *validation_loss = numbers.tolist()
        if math.isnan(state.first_loss):
            state.first_loss = first_loss
        if not is_far_above_start(self, first_loss):
            state.last_good = state.epoch_start  # those at the end may have run away: not proven
        loss, metrics = loss_sum / self.epoch_rows + extra, dict[str, float]()
        if self.metrics:
            get, (x, y, _) = self.net.device.get, self.validation or self.data
            outputs, targets = get(self.net.outputs(x)), get(y)
            metrics = {name: metric(outputs, targets) for name, metric in self.metrics.items()}
        self.between_steps = False
        state.history.append(
            metrics, loss=[loss], validation_loss=validation_loss,
            learning_rate=[self.learning_rate], seconds=[seconds],
        )  # fmt: skip
        state.epoch, state.batch, state.epoch_loss = state.epoch + 1, 0, 0.0
        check_divergence(self, finite=bool(finite) and math.isfinite(loss))
        monitored = state.history.monitored[-1]
        if options.keep_best and monitored < state.best_loss:
            state.best_loss, state.best = monitored, self._copy_parameters()
            state.history.best_epoch = state.epoch
        self.between_steps = True
        LOG.debug("epoch %d: %s", state.epoch, state.history)
        self._notify("on_epoch_end")

    @cached_property
    def loss_at_zero(self) -> float:
        """Mean loss of predicting from pre-activations of 0, where any run could start.

        The very first batch alone may be small and fitted by chance, or by an earlier run.
        """
        xp, total = self.net.device.xp, 0.0
        for start in range(0, self.rows, PREDICT_ROWS):  # at once it would take much memory
            y = self.data.y[start : min(start + PREDICT_ROWS, self.rows), :]
            total += float(xp.sum(self.head.value_and_delta(xp, xp.zeros_like(y), y)[0]))
        return total / self.rows

    def _copy_parameters(self) -> Array:
        return self.net.device.xp.asarray(self.net.flat, copy=True)

    def _notify(self, name: str, callbacks: Sequence[Any] | None = None) -> None:
        for hook in hooks(self.callbacks if callbacks is None else callbacks, name):
            hook(self)
