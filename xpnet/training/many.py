"""Many networks of one architecture, trained at once: other seeds, learning rates or penalties.

Each has a `Training` of its own, which does for it whatever is done between epochs. The steps are
taken for all together: parameters stand in one array, (networks, parameters), and each network is a
view of its row. Where steps are compiled, networks are trained one by one instead, on all cores.
"""

import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import is_dataclass, replace
from typing import Any

import numpy as np

from xpnet.backend.device import CPU, Array, for_many
from xpnet.backend.signals import finish_step_first
from xpnet.backend.threads import processors
from xpnet.errors import DivergenceError, InputError
from xpnet.nn.arrays import is_row_source
from xpnet.nn.network import MLP
from xpnet.nn.optimizers import Optimizer
from xpnet.nn.schedules import looks_at_losses
from xpnet.training.batches import Data
from xpnet.training.callbacks import hooks
from xpnet.training.compiled import compiled_steps
from xpnet.training.dropout import Dropout
from xpnet.training.fit import prepare_training
from xpnet.training.history import History
from xpnet.training.launches import Launches, gathered
from xpnet.training.loop import INTERRUPTED, EpochNumbers, Training, measure_epoch
from xpnet.training.step import make_step, step_coefficients

BYTES_PER_STACK = 800_000  # of parameters and activations; larger stacks were slower by up to half


def fit_many(
    nets: Sequence[MLP],
    x: Any,
    y: Any,
    *,
    optimizer: str | Optimizer | Sequence[str | Optimizer] | None = None,
    l1: float | Sequence[float] = 0.0,
    l2: float | Sequence[float] = 0.0,
    seed: int | Sequence[int] | None = None,
    **options: Any,
) -> list[History]:
    """Train networks of one architecture in place, all at once; return the history of each.

    Each ends as if `xpnet.fit` had trained it alone, to rounding. One that diverges keeps its last
    good weights, its history says "diverged", and the others go on.

    Parameters
    ----------
    nets : sequence of MLP
        All with the same layers, dtype and device, such as
        ``[xpnet.MLP([4, 16, 1], seed=seed) for seed in range(10)]``.
    x, y
        As in `xpnet.fit`; the same for all.
    optimizer, l1, l2, seed
        As in `xpnet.fit`; one for all, or a list of one for each network. Optimisers may differ in
        their learning rates only.
    **options
        All others of `xpnet.fit` but callbacks and progress; the same for all. A share held out
        for validation is drawn by each network's own seed.

    Raises
    ------
    InputError
        For networks or optimisers that differ in more, and whatever `xpnet.fit` refuses.
    """
    if refused := sorted({"callbacks", "progress", "parallel"} & options.keys()):
        raise InputError(f"fit_many has no {', '.join(refused)}; train each network with fit")
    count = len(nets)
    if not count or len({id(net) for net in nets}) < count:
        raise InputError(f"{count} networks given; pass one or more, each another one")
    if is_row_source(x):
        raise InputError(f"x is {x}; fit_many needs an array")
    each = zip(*(_of_each(given, count) for given in (optimizer, l1, l2, seed)), strict=True)
    with nets[0].device.active:
        x, y, _ = nets[0].prepare(x, y)
        runs = [
            prepare_training(
                net, x, y, optimizer=own[0], l1=own[1], l2=own[2], seed=own[3], progress=False,
                **options,
            )
            for net, own in zip(nets, each, strict=True)
        ]  # fmt: skip
    if len({kind(run) for run in runs}) > 1:
        raise InputError(
            "the networks differ in layers, dtype or device, or their optimisers in more than the "
            "learning rate; call fit_many once for each kind"
        )
    train_together(runs)
    return [run.state.history for run in runs]


def train_all(runs: Sequence[Training]) -> None:
    """Run trainings to their ends, together where they can be; if one diverged, it says so.

    Not those whose callbacks look into epochs, nor those whose rows are read as needed.
    """
    groups = dict[Any, list[Training]]()
    for run in runs:
        seen = [*hooks(run.callbacks, "on_epoch_start"), *hooks(run.callbacks, "on_batch_end")]
        is_array = hasattr(run.data.x, "dtype") and not is_row_source(run.data.x)
        alone = seen or not is_array or type(run) is not Training or len(runs) == 1
        groups.setdefault(id(run) if alone else kind(run), []).append(run)
    for group in groups.values():
        if len(group) > 1:
            train_together(group)
        else:
            _run_to_the_end(group[0])


def train_together(runs: list[Training]) -> None:
    """Run trainings of one `kind` to their ends; the history of one that diverged says so."""
    if not _run_compiled(runs):
        _run_stacked(runs)


def kind(run: Training) -> tuple[Any, ...]:
    """Return what has to be the same of all that are trained together."""
    net, optimizer = run.net, run.options.optimizer
    if is_dataclass(optimizer):
        optimizer = replace(optimizer, learning_rate=1.0)
    # Penalties, row orders, metrics and the best epoch are each network's own.
    own: Any = {"l1": 0.0, "l2": 0.0, "seed": None, "metrics": (), "keep_best": False}
    options = replace(run.options, optimizer=optimizer, **own)
    layers = net.sizes, net.hidden, net.output, net.dropout, net.dtype, net.device.name
    return *layers, options, run.rows, run.batch_size, run.state.epoch, run.validation is None


def _of_each(given: Any, count: int) -> list[Any]:
    if isinstance(given, str) or not isinstance(given, Iterable):
        return [given] * count
    values = list(given)
    if len(values) != count:
        raise InputError(f"{values!r:.80} has {len(values)} entries for {count} networks")
    return values


def _run_compiled(runs: list[Training]) -> bool:
    """Run them in compiled code; return False where it would not pay, or cannot be had."""
    if len({(run.options.l1 > 0.0, run.options.l2 > 0.0) for run in runs}) > 1:  # other code
        return False
    compiled = compiled_steps(runs[0], len(runs))
    if compiled is None:
        return False
    for run in runs:
        run.launches = compiled.of(run)
    with ThreadPoolExecutor(processors()) as pool, finish_step_first(lambda: _stop(runs)):
        list(pool.map(_run_to_the_end, runs))
    return True


def _run_to_the_end(run: Training) -> None:
    with suppress(DivergenceError):  # its history says so
        run.run()


def _stop(runs: list[Training]) -> None:
    for run in runs:
        run.stop(INTERRUPTED)


def _run_stacked(runs: list[Training]) -> None:
    """Take the steps of all together, on the CPU of so many at a time as suits its cache."""
    net, rows = runs[0].net, runs[0].batch_size
    size, count = net.flat.shape[0] + rows * sum(net.sizes[1:]), len(runs)
    if net.device is CPU:
        count = max(1, BYTES_PER_STACK // (size * net.flat.itemsize))
    for start in range(0, len(runs), count):
        _run_stack(runs[start : start + count])


def _run_stack(runs: list[Training]) -> None:
    """Take the steps of these together; as networks end, the others move closer together."""
    own, left = {id(run): run.net for run in runs}, runs
    quiet = np.errstate(over="ignore", invalid="ignore", divide="ignore")
    with finish_step_first(lambda: _stop(runs)), quiet, runs[0].net.device.active:
        stack = Stack(runs)
        try:
            for run in runs:
                run.begin()
            while left:
                stack.run_epoch(left[0].state.epoch)
                ended = [run for run in left if run.has_ended]
                left = [run for run in left if not run.has_ended]
                for run in ended:
                    _leave(run, own[id(run)])
                if left and 2 * len(left) <= len(stack.runs):
                    stack = Stack(left)
        finally:
            for run in left:
                _leave(run, own[id(run)])


def _leave(run: Training, net: MLP) -> None:
    """End a run whose arrays are the stack's, which goes on writing into them."""
    xp = net.device.xp
    net.flat[...] = run.net.flat
    run.state.optimizer = [xp.asarray(each, copy=True) for each in run.state.optimizer]
    run.net = net
    run.finish()


class Stack:
    """Runs that take their steps together; for `Launches` it is one run of a stack of networks."""

    def __init__(self, runs: list[Training]) -> None:
        first, self.runs = runs[0], runs
        device, xp = for_many(first.net.device), first.net.device.xp
        flat = xp.stack([run.net.flat for run in runs])
        states = zip(*(run.state.optimizer for run in runs), strict=True)
        state = [xp.stack(each) for each in states]
        for number, run in enumerate(runs):
            run.net = run.net.with_parameters(flat[number, :])
            run.state.optimizer = [each[number, :] for each in state]
        self.net = first.net.with_parameters(flat, device)
        self.batch_size, self.full_batches = first.batch_size, first.full_batches
        self.dropout = Dropout(self.net, first.seed)
        apart = {id(run.data.x): run.data for run in runs}
        self.data = first.data if len(apart) == 1 else _together(xp.concat, list(apart.values()))
        places = [list(apart).index(id(run.data.x)) for run in runs]
        self._offsets = np.asarray(places)[:, None] * first.rows
        held_out = [run.validation for run in runs if run.validation is not None]
        self._validation = held_out[0] if held_out else None
        if any(each.x is not held_out[0].x for each in held_out):
            self._validation = _together(xp.stack, held_out)
        self._penalties = self._column("l1"), self._column("l2")
        gradients = xp.zeros_like(flat)
        self._step = make_step(
            self.net, gradients, state, first.head, first.options, self._penalties
        )
        self._launches = Launches(self, self._step)

    def _column(self, name: str) -> Array | None:
        """Return a penalty's factors, (networks, 1); None if all are 0."""
        values = [[getattr(run.options, name)] for run in self.runs]
        return self.net.device.put(np.asarray(values), self.net.dtype) if np.any(values) else None

    @property
    def _was_stopped(self) -> bool:
        return all(run.stop_reason for run in self.runs)

    def run_epoch(self, epoch: int) -> None:
        """Take the steps of an epoch, and end it for each network that goes on.

        One that is interrupted is taken back: the networks are those of the epoch before.
        """
        started, runs, net = time.perf_counter(), self.runs, self.net
        before = net.device.xp.asarray(net.flat, copy=True)
        apart = looks_at_losses(runs[0].schedule)
        factors = None if apart else runs[0].factors(epoch, 1)
        rates = np.stack([run.rates(epoch, 1, factors) for run in runs], axis=1)[..., None]
        losses = self._take_steps(epoch, rates)
        if self._was_stopped:
            net.flat[...] = before
            return
        penalties = [None if each is None else each[:, 0] for each in self._penalties]
        numbers = measure_epoch(net, runs[0].head, losses, penalties, self._validation)
        seconds = (time.perf_counter() - started) / len(runs)
        for number, run in enumerate(runs):
            if run.has_ended:
                continue
            run.state.step += len(rates)
            run.state.epoch_start = before[number, :]
            run.learning_rate = float(rates[-1, number, 0])
            with suppress(DivergenceError):  # the run has stopped then
                run.end_epoch(EpochNumbers(*map(float, numbers[:, number])), seconds)

    def _take_steps(self, epoch: int, rates: Any) -> tuple[Array, Array]:
        """Take the steps; return the sums of loss times rows, and the first losses, (networks,)."""
        runs, launches, size, dtype = self.runs, self._launches, self.batch_size, self.net.dtype
        xp, put, begin = self.net.device.xp, self.net.device.put, epoch * len(rates)
        by_seed = {run.seed: run for run in runs}
        orders = {seed: run.order(epoch, 1) for seed, run in by_seed.items()}
        order = np.stack([orders[run.seed] for run in runs]) + self._offsets
        of_seed = {seed: run.dropout.keys(begin, len(rates)) for seed, run in by_seed.items()}
        keys = np.stack([of_seed[run.seed] for run in runs], axis=-1)
        keys = keys[..., None, None]  # (steps, layers, networks, 1, 1)
        coefficients = step_coefficients(runs[0].options.optimizer, rates, begin)
        zeros = np.zeros(len(runs))
        launches.begin(order, coefficients[: self.full_batches], keys[: self.full_batches], zeros)
        batch, first_loss = 0, None
        while (count := launches.steps_from(batch)) and not self._was_stopped:
            loss, *_ = launches(batch, count)
            first_loss = xp.asarray(loss, copy=True) if first_loss is None else first_loss
            batch += count
        total = launches.total
        for step in range(batch, 0 if self._was_stopped else len(rates)):  # of a short batch
            numbers = put(order[:, step * size : (step + 1) * size], "int64")
            masks = self.dropout.masks(numbers.shape[1], [put(key, "int64") for key in keys[step]])
            own = [put(each, dtype) for each in coefficients[step]]
            loss, *_ = self._step(gathered(xp, self.data, numbers), masks, own)
            total = total + loss * numbers.shape[1]
        return total, first_loss


def _together(join: Any, parts: Sequence[Data]) -> Data:
    x, y, weights = zip(*parts, strict=True)
    return Data(join(x), join(y), None if weights[0] is None else join(weights))
