"""Training: for each epoch, for each batch: forward, backward, step.

`Training` is one run. It knows the algorithm but nothing about files, progress bars or doctors:
those are callbacks, objects with any of ``on_train_start``, ``on_epoch_start``, ``on_batch_end``,
``on_epoch_end``, ``on_train_end``, each called with the run. Its whole state is the parameters
plus `TrainingState`, because all randomness is stateless (`xpnet.backend.random`). A GPU takes the
steps that no callback wants to see in launches of many (`xpnet.training.launches`).
"""

import logging
import math
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, TypeAlias

import numpy as np

from xpnet.backend.device import CPU, Array, Scalar
from xpnet.backend.recording import RecordedStep
from xpnet.backend.signals import finish_step_first
from xpnet.errors import DivergenceError, InputError, bad_argument, check_integers, check_numbers
from xpnet.nn.arrays import Batch
from xpnet.nn.losses import Head, Loss, add_penalty_gradients, penalty, resolve_head
from xpnet.nn.network import MLP, PREDICT_ROWS, Gradients, Trace
from xpnet.nn.optimizers import SGD, Adam, Optimizer, StepArrays, clip_by_norm
from xpnet.nn.schedules import Progress, Schedule, changes_within_epochs, resolve_schedule
from xpnet.training.batches import Data, batches, epoch_order
from xpnet.training.callbacks import hooks, needs_traces, wants_any
from xpnet.training.compiled import CompiledSteps, compiled_steps
from xpnet.training.dropout import Dropout
from xpnet.training.history import History
from xpnet.training.launches import Launches
from xpnet.training.metrics import resolve_metrics

Step: TypeAlias = Callable[..., tuple[Array, Gradients, Trace]]
"""``step(batch, masks, coefficients)`` gives loss, gradients and trace, and updates in place."""

LOG = logging.getLogger("xpnet")
LOG.addHandler(logging.NullHandler())
INTERRUPTED = "interrupted"
RUNAWAY_FACTOR = 10.0  # a loss this many times the one at the start ...
RUNAWAY_EPOCHS = 3  # ... for this many epochs, or at the last one, has run away


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

    def __post_init__(self) -> None:
        if self.compile not in ("auto", "on", "off"):
            raise bad_argument("compile", self.compile, "must be 'auto', 'on' or 'off'")
        check_integers(1, epochs=self.epochs, batch_size=self.batch_size)
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
    # Sum of loss times rows over the current epoch so far, 0-d on the device, and those rows.
    epoch_loss: Array = 0.0
    epoch_rows: int = 0
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
        ``on_batch_end`` sees, leave no trace.
    learning_rate : float
        Of the step just taken.
    stop_reason : str
        Set it, by `stop`, to end after the current step.
    between_steps : bool
        Whether state and parameters match, so that they can be saved. They do not within a step,
        which a second Ctrl-C cuts short.
    """

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
        self.metrics = resolve_metrics(options.metrics)
        self.schedule = resolve_schedule(options.schedule)
        self.seed = net.seed if options.seed is None else options.seed
        self.rows: int = data.y.shape[0]
        self.callbacks = list(callbacks)
        self.batch_size = min(options.batch_size, self.rows)
        self.epoch_rows = self.batch_size * (options.steps_per_epoch or 0) or self.rows
        self._dropout = Dropout(net, self.seed)
        self._launches: Launches | CompiledSteps | None = None
        self.state = state or TrainingState()
        self.stop_reason, self.between_steps, self.stream = "", False, stream
        self._begun: list[Any] = []  # callbacks that have been told of the start
        self.learning_rate = options.optimizer.learning_rate
        self.loss: Array
        self.gradients: Gradients
        self.trace: Trace
        with net.device.active:
            self._flat_gradients = net.device.xp.zeros_like(net.flat)
            if not self.state.optimizer:
                self.state.optimizer = options.optimizer.start(net.device.xp, [net.flat])
            if self.state.last_good is None:
                self.state.last_good = self._copy_parameters()

    def run(self) -> History:
        """Train to the end, or until stopped; return the history.

        Raises
        ------
        DivergenceError
            If the loss is not finite or runs away; the network keeps its last good weights.
        KeyboardInterrupt
            On Ctrl-C, after the current step; a second one does not wait for it.
        """
        # Overflow on the way to a divergence is reported once, by _end_epoch.
        quiet = np.errstate(over="ignore", invalid="ignore", divide="ignore")
        with finish_step_first(lambda: self.stop(INTERRUPTED)), quiet, self.net.device.active:
            try:
                for callback in self.callbacks:  # one of them may put an earlier state in place
                    self._notify("on_train_start", [callback])
                    self._begun.append(callback)
                take_step, self.between_steps = self._prepare(), True
                while self.state.epoch < self.options.epochs and not self.stop_reason:
                    self._run_epoch(take_step)
            finally:
                self._finish()
        return self.state.history

    def stop(self, reason: str) -> None:
        """End the run after the current step or epoch."""
        if reason != INTERRUPTED or not self.stop_reason:  # that it had ended anyway counts more
            self.stop_reason = reason or "stopped without a reason"

    def _run_epoch(self, take_step: Step) -> None:
        """One epoch: for each batch the loss, its gradients, and the optimiser's step."""
        started, state, net, options = time.perf_counter(), self.state, self.net, self.options
        self._notify("on_epoch_start")
        on_batch_end, rates = hooks(self.callbacks, "on_batch_end"), self._rates()
        if state.batch == 0:
            state.epoch_start = self._copy_parameters()
        order = epoch_order(
            self.rows, self.seed, state.epoch, shuffle=options.shuffle, epoch_rows=self.epoch_rows
        )
        if self._launches is not None:
            self._launch_steps(self._launches, order, rates)
        left = batches(self.data, order, self.batch_size, net.device, net.dtype, first=state.batch)
        for batch in left:
            if self.stop_reason:
                return
            self.between_steps, self.learning_rate = False, rates[state.batch]
            masks = self._dropout.of_step(state.step, batch.x.shape[0])
            coefficients = options.optimizer.coefficients(self.learning_rate, state.step + 1)
            self.loss, self.gradients, self.trace = take_step(batch, masks, coefficients)
            total = state.epoch_loss + self.loss * batch.x.shape[0]
            self._after_steps(1, batch.x.shape[0], self.loss, total)
            for hook in on_batch_end:
                hook(self)
        if not self.stop_reason:
            self._end_epoch(started)

    def _after_steps(self, steps: int, rows: int, first_loss: Array, epoch_loss: Array) -> None:
        """Count steps just taken; the losses, of the first step and the epoch, stay on device."""
        state = self.state
        if state.batch == 0:
            state.epoch_first_loss = self.net.device.xp.asarray(first_loss, copy=True)
        state.batch, state.step = state.batch + steps, state.step + steps
        state.epoch_loss, state.epoch_rows = epoch_loss, state.epoch_rows + rows
        self.between_steps = True

    def _launch_steps(
        self, launches: Launches | CompiledSteps, order: Any, rates: Sequence[float]
    ) -> None:
        """Take steps, many at a time, until a callback wants to see one, or too few are left."""
        state, optimizer = self.state, self.options.optimizer
        if not self._unseen(launches):
            return
        steps = range(state.step - state.batch, state.step - state.batch + launches.whole)
        coefficients = [
            optimizer.coefficients(rate, step + 1) for rate, step in zip(rates, steps, strict=False)
        ]
        keys = [self._dropout.keys(step) for step in steps]
        launches.begin(order, coefficients, keys, state.epoch_loss)
        while (count := self._unseen(launches)) and not self.stop_reason:
            self.between_steps = False
            taken: Any = launches(state.batch, count)
            first_loss, self.loss, *seen = taken
            if seen:
                self.gradients, self.trace = seen
            self._after_steps(count, count * launches.rows, first_loss, launches.total)
            self.learning_rate = rates[state.batch - 1]
            if launches.ends_anywhere:
                self._notify("on_batch_end")

    def _unseen(self, launches: Launches | CompiledSteps) -> int:
        """Return how many steps the next launch takes, up to one that a callback wants to see."""
        state, count = self.state, launches.steps_from(self.state.batch)
        if not hooks(self.callbacks, "on_batch_end"):
            return count
        for i in range(1, count + 1):
            if wants_any(self.callbacks, range(state.step + i, state.step + i + 1)):
                return i if launches.ends_anywhere else 0
        return count

    def _prepare(self) -> Step:
        """Return the step; where many can be taken in one launch, also prepare that."""
        net, data, state, options = self.net, self.data, self.state, self.options
        make = partial(make_step, head=self.head, options=options)
        step, in_memory = (
            make(net, self._flat_gradients, state.optimizer),
            not hasattr(data.x, "read_rows"),
        )
        if net.device.record is not None:
            if in_memory:
                self._launches = Launches(
                    net, data, step, self._dropout, self.batch_size, self.epoch_rows
                )
            return RecordedStep(net.device, net.dtype, step, self.batch_size)
        possible = in_memory and net.device is CPU and not needs_traces(self.callbacks)
        how = state.compile or options.compile
        whole = self.epoch_rows // self.batch_size
        if how == "on" or (how == "auto" and possible):
            self._launches = compiled_steps(
                net, data, make, (self._flat_gradients, state.optimizer), self._dropout,
                self.batch_size, whole, options.optimizer.coefficients(self.learning_rate, 1),
                options.epochs * whole,
                required=how == "on", possible=possible,
            )  # fmt: skip
        state.compile = "off" if self._launches is None else "on"
        return step

    def _rates(self) -> list[float]:
        """Return the learning rate of each step of the epoch."""
        state, options, losses = self.state, self.options, self.state.history.monitored
        count, begin = -(-self.epoch_rows // self.batch_size), state.step - state.batch
        varying, rates = changes_within_epochs(self.schedule), list[float]()
        for step in range(begin, begin + (count if varying else 1)):
            progress = Progress(step, state.epoch, count, count * options.epochs, losses)
            factor = self.schedule(progress)
            if factor is None or not 0.0 <= factor < math.inf:
                raise InputError(f"schedule {self.schedule!r} gave {factor!r}, not a factor >= 0")
            rates.append(options.optimizer.learning_rate * state.learning_rate_factor * factor)
        return rates if varying else rates * count

    def _end_epoch(self, started: float) -> None:
        """Read the losses back, once; record, check, keep the best, tell the callbacks."""
        state, net, options, xp = self.state, self.net, self.options, self.net.device.xp
        finite = xp.all(xp.isfinite(net.flat))
        numbers = (state.epoch_loss, state.epoch_first_loss, finite)
        together = net.device.get(xp.stack([net.device.put(each, net.dtype) for each in numbers]))
        loss, first_loss, finite = map(float, together)
        seconds = time.perf_counter() - started  # a GPU has taken the steps only now
        if math.isnan(state.first_loss):
            state.first_loss = first_loss
        if not self._is_far_above_start(first_loss):
            state.last_good = state.epoch_start  # those at the end may have run away: not proven
        loss = loss / state.epoch_rows + penalty(xp, net.weights, options.l1, options.l2)
        validation_loss, metrics = self._evaluate()
        self.between_steps = False
        state.history.append(
            metrics, loss=[loss], validation_loss=validation_loss,
            learning_rate=[self.learning_rate], seconds=[seconds],
        )  # fmt: skip
        state.epoch, state.batch, state.epoch_loss, state.epoch_rows = state.epoch + 1, 0, 0.0, 0
        self._check_divergence(bool(finite) and math.isfinite(loss))
        monitored = state.history.monitored[-1]
        if options.keep_best and monitored < state.best_loss:
            state.best_loss, state.best = monitored, self._copy_parameters()
            state.history.best_epoch = state.epoch
        self.between_steps = True
        LOG.debug("epoch %d: %s", state.epoch, state.history)
        self._notify("on_epoch_end")

    def _evaluate(self) -> tuple[tuple[float, ...], dict[str, float]]:
        """Loss on the validation rows, and metrics there or, without them, on the training rows."""
        net, held_out = self.net, self.validation
        losses: tuple[float, ...] = ()
        if held_out is not None:
            losses = (float(net.mean_loss(self.head, *held_out)),)
        if not self.metrics:
            return losses, {}
        x, y, _ = held_out if held_out is not None else self.data
        outputs, targets = net.device.get(net.outputs(x)), net.device.get(y)
        return losses, {name: metric(outputs, targets) for name, metric in self.metrics.items()}

    def _is_far_above_start(self, loss: float) -> bool:
        """Return whether a loss shows that training has diverged or soon will."""
        if self.stream:
            return not math.isfinite(loss)
        net, options, weights = self.net, self.options, self.net.views(self.state.last_good).weights
        extra = penalty(net.device.xp, weights, options.l1, options.l2)  # as in the history
        if loss <= RUNAWAY_FACTOR * (extra + max(self.state.first_loss, 1e-30)):
            return False  # and the loss at zero, which takes time with many outputs, is not needed
        return not loss <= RUNAWAY_FACTOR * (extra + self.loss_at_zero)

    def _check_divergence(self, finite: bool) -> None:
        """Stop a run that is not finite, in loss or parameters, or stays far above its start."""
        state, net = self.state, self.net
        count = 1 if state.epoch == self.options.epochs else RUNAWAY_EPOCHS
        recent = state.history.loss[-count:]
        ran_away = len(recent) == count and self._is_far_above_start(min(recent))
        if finite and not ran_away:
            return
        net.flat[...] = state.last_good
        self.stop("diverged")
        rate, adam = self.learning_rate / 10, isinstance(self.options.optimizer, Adam)
        repair: dict[str, Any] = {"learning_rate": float(f"{rate:.2g}"), "standardize": True}
        repair |= {"clip_norm": 1.0} if adam else {"clip_norm": 1.0, "optimizer": "adam"}
        measured = (
            f"training diverged in epoch {state.epoch}: loss {recent[-1]:.4g} after "
            f"{state.first_loss:.4g} at the start, learning rate {self.learning_rate:g}"
        )
        raise DivergenceError(
            f"{measured}; the network keeps its last good weights. Try learning_rate={rate:.2g}"
            f"{'' if adam else ' or the optimiser Adam'}, scale inputs and large targets to mean 0 "
            "and standard deviation 1, or set clip_norm=1",
            measured,
            repair,
        )

    @cached_property
    def loss_at_zero(self) -> float:
        """Mean loss of predicting from pre-activations of 0, from which any run could start.

        The very first batch alone may be small and fitted by chance, or by an earlier run.
        """
        xp, total = self.net.device.xp, 0.0
        for start in range(0, self.rows, PREDICT_ROWS):
            y = self.data.y[start : min(start + PREDICT_ROWS, self.rows), :]
            total += float(xp.sum(self.head.value_and_delta(xp, xp.zeros_like(y), y)[0]))
        return total / self.rows

    def _finish(self) -> None:
        """Restore the best weights if kept, and tell the callbacks that began, however it ended."""
        state = self.state
        ended = self.stop_reason or state.epoch >= self.options.epochs
        if ended and state.best is not None and self.stop_reason not in (INTERRUPTED, "diverged"):
            self.net.flat[...] = state.best
        state.history.stopped = self.stop_reason or (
            f"{state.epoch} epoch{'s' * (state.epoch != 1)} done"
        )
        LOG.info("%s: %s, %s", self.net, state.history, state.history.stopped)
        with ExitStack() as told:  # all of them, even if one raises: they hold locks and files
            for callback in reversed(self._begun):
                told.callback(self._notify, "on_train_end", [callback])

    def _copy_parameters(self) -> Array:
        return self.net.device.xp.asarray(self.net.flat, copy=True)

    def _notify(self, name: str, callbacks: Sequence[Any] | None = None) -> None:
        for hook in hooks(self.callbacks if callbacks is None else callbacks, name):
            hook(self)


def make_step(
    net: MLP, gradients: Array, state: Sequence[Array], head: Head, options: TrainingOptions
) -> Step:
    """Return ``step(batch, masks, coefficients)``, which writes into all the given arrays.

    Gradients, and each of the optimiser's state, are vectors as long as all parameters.
    """
    xp, optimizer, into = net.device.xp, options.optimizer, net.views(gradients)
    end = gradients.shape[0] - sum(net.sizes[1:])  # of the weights; the biases follow
    parameters, flat_gradients, weights, weight_gradients = (
        _blocks(each, net.device.block)
        for each in (net.flat, gradients, net.flat[:end], gradients[:end])
    )
    moments = [block for each in state for block in _blocks(each, net.device.block)]
    arrays = StepArrays(parameters, flat_gradients, moments, net.weights)

    def step(
        batch: Batch, masks: list[Array] | None, coefficients: Sequence[Scalar]
    ) -> tuple[Array, Gradients, Trace]:
        loss, grads, trace = net.loss_and_gradients(batch, head, masks, into)
        add_penalty_gradients(xp, weights, weight_gradients, options.l1, options.l2)
        if options.clip_norm is not None:
            clip_by_norm(xp, [gradients], options.clip_norm)
        optimizer.step(xp, arrays, coefficients)
        return loss, grads, trace

    return step


def _blocks(flat: Array, block: int) -> list[Array]:
    """Cut a vector of all parameters into views that are updated one by one."""
    size = flat.shape[0]
    return [flat[i : min(i + block, size)] for i in range(0, size, block)]
