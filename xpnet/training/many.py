"""Many networks of one architecture, trained at once: other seeds, learning rates or penalties.

Each has a `Training` of its own, which does for it whatever is done between epochs. The steps are
taken for all together: parameters stand in one array, (networks, parameters), and each network is a
view of its row. Where steps are compiled, networks are trained one by one instead, on all cores.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import is_dataclass, replace
from typing import Any

import numpy as np

from xpnet.backend.device import CPU, Array, for_many
from xpnet.backend.signals import finish_step_first
from xpnet.backend.threads import processors
from xpnet.errors import DivergenceError, InputError
from xpnet.nn.arrays import Batch, is_row_source, row_shares
from xpnet.nn.network import MLP, one_for_each
from xpnet.nn.optimizers import Optimizer
from xpnet.nn.schedules import looks_at_losses
from xpnet.training.batches import Data, gather
from xpnet.training.callbacks import hooks
from xpnet.training.compiled import CompiledSteps, compiled_steps
from xpnet.training.fit import prepare_training
from xpnet.training.history import History
from xpnet.training.loop import INTERRUPTED, Training, TrainingState
from xpnet.training.step import Step

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
    each = zip(
        *(one_for_each(given, count, "networks") for given in (optimizer, l1, l2, seed)),
        strict=True,
    )
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
    """Run trainings of one `kind` to their ends; the history of one that diverged says so.

    Uncompiled on the CPU, so many take their steps together as suits its cache.
    """
    compiled, net = None, runs[0].net
    if len({(run.options.l1 > 0.0, run.options.l2 > 0.0) for run in runs}) == 1:  # else other code
        compiled = compiled_steps(runs[0], len(runs))
    if compiled is not None:
        _run_compiled(runs, compiled)
        return
    size, count = net.flat.shape[0] + runs[0].batch_size * sum(net.sizes[1:]), len(runs)
    if net.device is CPU:
        count = max(1, BYTES_PER_STACK // (size * net.flat.itemsize))
    for start in range(0, len(runs), count):
        _run_stack(runs[start : start + count])


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


def _run_compiled(runs: list[Training], compiled: CompiledSteps) -> None:
    """Run each by itself, on all cores."""
    for run in runs:
        run.launches = compiled.of(run)
    with ThreadPoolExecutor(processors()) as pool, finish_step_first(lambda: _stop(runs)):
        list(pool.map(_run_to_the_end, runs))


def _run_to_the_end(run: Training) -> None:
    with suppress(DivergenceError):  # its history says so
        run.run()


def _stop(runs: Sequence[Training]) -> None:
    for run in runs:
        if not run.has_ended:
            run.stop(INTERRUPTED)


def _run_stack(runs: list[Training]) -> None:
    """Take the steps of these together; as networks end, the others move closer together."""
    stack, left = list[Stack](), runs
    interrupted = finish_step_first(lambda: _stop([*stack, *runs]))  # callbacks end first
    with interrupted, runs[0].net.device.active, ExitStack() as ended:
        for run in runs:
            ended.callback(run.finish)
            run.begin()
        while left := [run for run in left if not run.has_ended]:
            stack[:] = [Stack(left)]
            stack[0].run()


class Stack(Training):
    """Runs that take their steps together, as one run of a stack of networks.

    It ends when half of them have ended. Each has views of the stack's arrays until then.
    """

    def __init__(self, runs: list[Training]) -> None:
        first, self.runs = runs[0], runs
        xp, self._own = first.net.device.xp, [run.net for run in runs]
        flat = xp.stack([run.net.flat for run in runs])
        states = zip(*(run.state.optimizer for run in runs), strict=True)
        state = TrainingState(
            first.state.epoch, step=first.state.step, optimizer=[xp.stack(each) for each in states]
        )
        apart = {id(run.data.x): run.data for run in runs}
        data = first.data if len(apart) == 1 else _together(xp.concat, list(apart.values()))
        held_out = [run.validation for run in runs if run.validation is not None]
        validation = held_out[0] if held_out else None
        if any(each.x is not held_out[0].x for each in held_out):
            validation = _together(xp.stack, held_out)
        net = first.net.with_parameters(flat, for_many(first.net.device))
        super().__init__(net, data, first.options, validation=validation, state=state)
        self.rows, self.batch_size = first.rows, first.batch_size
        places = [list(apart).index(id(run.data.x)) for run in runs]
        self._offsets = np.asarray(places)[:, None] * first.rows
        self.penalties = self._penalty("l1"), self._penalty("l2")

    def _penalty(self, name: str) -> Array | None:
        """Return a penalty's factors, (networks,); None if all are 0."""
        values = [getattr(run.options, name) for run in self.runs]
        return self.net.device.put(np.asarray(values), self.net.dtype) if any(values) else None

    @property
    def has_ended(self) -> bool:
        """Whether half of the runs have ended, or all were stopped."""
        left = sum(not run.has_ended for run in self.runs)
        return bool(self.stop_reason) or 2 * left <= len(self.runs)

    def begin(self) -> None:
        """Let each run's arrays be views of the stack's."""
        for number, run in enumerate(self.runs):
            run.net = run.net.with_parameters(self.net.flat[number, :])
            run.state.optimizer = [each[number, :] for each in self.state.optimizer]

    def finish(self) -> None:
        """Give all runs their own arrays back, as they were before an epoch that was cut short."""
        if self.state.batch and self.stop_reason:
            self.net.flat[...] = self.state.epoch_start
        for number in range(len(self.runs)):
            self._leave(number)

    def _leave(self, number: int) -> None:
        """Copy a run's arrays to its own: in the stack's, the others go on."""
        run, own = self.runs[number], self._own[number]
        if run.net is not own:
            own.flat[...] = run.net.flat
            copy = own.device.xp.asarray
            run.state.optimizer = [copy(each, copy=True) for each in run.state.optimizer]
            run.net = own

    def _prepare(self) -> Step:
        """Return the step, of all networks."""
        columns = (None if each is None else each[:, None] for each in self.penalties)
        return self.make_step(self.net, self.flat_gradients, self.state.optimizer, (*columns,))

    def order(self, epoch: int, epochs: int) -> Any:
        """Return which rows each network takes, (networks, rows)."""
        return np.stack(self._by_seed(lambda run: run.order(epoch, epochs))) + self._offsets

    def rates(self, epoch: int, epochs: int, factors: Any = None) -> Any:
        """Return the learning rate of each step and network, (steps, networks, 1)."""
        if not looks_at_losses(self.schedule):
            factors = self.factors(epoch, epochs)
        rates = np.stack([run.rates(epoch, epochs, factors) for run in self.runs], axis=1)
        self._last_rates = rates[-1, :]
        return rates[..., None]

    def mask_keys(self, begin: int, count: int) -> Any:
        """Return the keys of dropout, (steps, layers, networks, 1, 1)."""
        keys = self._by_seed(lambda run: run.mask_keys(begin, count))
        return np.stack(keys, axis=-1)[..., None, None]

    def _by_seed(self, draw: Callable[[Training], Any]) -> list[Any]:
        """Return what each run draws; those of one seed draw the same."""
        drawn = {seed: draw(run) for seed, run in {run.seed: run for run in self.runs}.items()}
        return [drawn[run.seed] for run in self.runs]

    def _batches(self, order: Any) -> Iterator[Batch]:
        """Yield the batches of an epoch; the last one may be short."""
        xp, full = self.net.device.xp, self.full_batches * self.batch_size
        whole = order[:, :full].reshape(len(order), -1, self.batch_size).swapaxes(0, 1)
        for numbers in (whole, order[None, :, full:]):
            for _, (x, y, weights) in gather(self.data, numbers, self.net.device):
                shares = row_shares(xp, y, weights)
                for i in range(x.shape[0]):
                    yield Batch(x[i, ...], y[i, ...], shares[i, ...])

    def end_epoch(self, numbers: Any, seconds: float) -> None:
        """End the epoch for each network that goes on."""
        state = self.state
        state.epoch, state.batch, state.epoch_loss = state.epoch + 1, 0, 0.0
        left = [(number, run) for number, run in enumerate(self.runs) if not run.has_ended]
        for number, run in left:  # all of them, even if one's callback is interrupted
            run.state.step, run.state.epoch_start = state.step, state.epoch_start[number, :]
            run.learning_rate = float(self._last_rates[number])
            with suppress(DivergenceError):  # the run has stopped then
                run.end_epoch(numbers[:, number], seconds / len(self.runs))
            if run.has_ended:
                self._leave(number)


def _together(join: Any, parts: Sequence[Data]) -> Data:
    x, y, weights = zip(*parts, strict=True)
    return Data(join(x), join(y), None if weights[0] is None else join(weights))
