"""Many training steps in one call on the CPU: the recorded step, compiled (extra ``fast``: numba).

This is to the CPU what `xpnet.training.launches` is to a GPU. The step is recorded once, on copies,
and compiled to a loop, which also gathers the rows of each batch by their numbers. Results differ
from those of the plain step by rounding. Before use, one step is taken both ways and compared.
"""

import warnings
from copy import copy
from typing import TYPE_CHECKING, Any

import numpy as np

from xpnet.backend.compiled import NoCompilerError, Source, load, product_of
from xpnet.backend.device import CPU, Array
from xpnet.backend.tape import RECORDING, NotRecordableError, Tape
from xpnet.errors import InputError
from xpnet.nn.arrays import Batch, is_row_source, row_shares
from xpnet.nn.network import MLP
from xpnet.training.batches import take_rows
from xpnet.training.callbacks import needs_traces
from xpnet.training.dropout import Dropout

if TYPE_CHECKING:
    from xpnet.training.loop import Training

PRODUCTS_PER_CALL = 1e9  # a tenth of a second: so soon is Ctrl-C answered
ROWS_PER_CALL = 1 << 22  # whose numbers are kept for a call of several epochs
# What compiling takes, and what it saves: for each step, and for each multiplication of one.
# Measured on four networks, 2-4-2-2 to 784-1024-1024-10.
SECONDS_TO_COMPILE, SAVED_PER_STEP, SAVED_PER_PRODUCT = 6.0, 6e-5, 2e-12
WORTH = 1.5
TOLERANCE = {"float32": 1e-4, "float64": 1e-10}  # of one step, relative to the largest number


def compiled_steps(run: "Training", networks: int = 1) -> "CompiledSteps | None":
    """Return compiled steps; None where that takes more time than it saves, or is not possible.

    `networks` is the number of runs that will share the compiled code. With ``compile="on"``, an
    `InputError` replaces None.
    """
    wanted, net = run.state.compile or run.options.compile, run.net
    impossible = net.device is not CPU or is_row_source(run.data.x)
    impossible = impossible or needs_traces(run.callbacks)
    saved = seconds_saved(run, networks)
    # Whether or not it was compiled before: the same run has to give the same bits.
    pays = not impossible and saved >= WORTH * SECONDS_TO_COMPILE
    if wanted == "off" or (wanted == "auto" and not pays):
        return None
    try:
        if impossible:
            raise NotRecordableError("rows from a file, another device, or a callback at each step")
        steps = CompiledSteps(run)
        steps.check()
    except NotRecordableError as error:
        if wanted == "on":
            raise InputError(f"compile='on': the step cannot be compiled: {error}") from error
        if not isinstance(error, NoCompilerError):
            warnings.warn(f"the steps are not compiled: {error}", stacklevel=2)
        return None
    return steps


def seconds_saved(run: "Training", networks: int = 1) -> float:
    """Estimate the seconds that compiled steps save in all epochs, without those of compiling."""
    of_step = SAVED_PER_STEP + SAVED_PER_PRODUCT * products(run.net, run.batch_size)
    steps: int = networks * run.options.epochs * run.full_batches
    return steps * of_step


def products(net: MLP, rows: int) -> int:
    """Return the multiplications of one step: about three for each weight and row."""
    return 3 * int(net.flat.shape[0]) * rows


class CompiledSteps:
    """Takes the full batches of one or more epochs, up to `count` steps in one call.

    Raises `NotRecordableError` if the step cannot be compiled.
    """

    ends_anywhere = True

    def __init__(self, run: "Training") -> None:
        self._run, net, rows = run, run.net, run.batch_size
        calls = max(1, int(PRODUCTS_PER_CALL // products(net, rows)))
        self.count = min(run.full_batches, calls)
        self.epochs = max(1, min(calls // run.full_batches, ROWS_PER_CALL // run.epoch_rows))
        product = product_of(net.dtype)
        tape = Tape()
        own = [tape.record(each.copy()) for each in self._kept]
        twin = net.with_parameters(own[0], RECORDING)
        x, y, weights = (
            None if each is None else tape.record(np.array(each[:rows, :])) for each in run.data
        )
        given = run.options.optimizer.coefficients(run.learning_rate, 1)
        numbers = [tape.record(np.asarray(0.5, net.dtype)) for _ in given]
        keys = [tape.record(np.asarray(each, np.int64)) for each in run.dropout.keys(0, 1)[0]]
        batch = Batch(x, y, row_shares(twin.device.xp, y, weights))
        masks = Dropout(twin, run.seed).masks(rows, keys)
        factors = [
            tape.record(np.asarray(each, net.dtype)) if each else None
            for each in (run.options.l1, run.options.l2)
        ]
        step = run.make_step(twin, own[1], own[2:], factors)
        loss, _, _ = step(batch, masks, numbers)
        source, lines = Source(tape, own, product), list[str]()
        for name, each in (("x", x), ("y", y), ("weights", weights)):
            lines += [] if each is None else _gather(name, each, source)
        for name, some in (("coefficients", numbers), ("keys", keys)):
            lines += [f"{each.dtype}[{source.place(each)}] = {name}[s, {i}]"
                      for i, each in enumerate(some)]  # fmt: skip
        lines += [f"{each.dtype}[{source.place(each)}] = factors[{i}]"
                  for i, each in enumerate(factors) if each is not None]  # fmt: skip
        self._scratch = list(source.scratch.values())
        self._writes_gradients = source.writes_gradients
        parameters = (
            "x, y, weights, factors, order, coefficients, keys, losses, totals, penalties, "
            "begin, count"
        )
        last = [f"losses[s] = {source.entry(loss)}",
                f"totals[s // {run.full_batches}] += losses[s] * {rows}",
                *_penalty_lines(run)]  # fmt: skip
        self._steps = load(source.text(parameters, lines, last))

    def of(self, run: "Training") -> "CompiledSteps":
        """Return these steps for another run with the same architecture, data and options."""
        other = copy(self)
        other._run, other._scratch = run, [each.copy() for each in self._scratch]
        return other

    def begin(self, order: Any, coefficients: Any, keys: Any, total: Any) -> None:
        """Set what differs between the steps of one or more epochs; see `Launches.begin`."""
        steps, dtype, (x, y, weights) = len(coefficients), self._run.net.dtype, self._run.data
        self._losses = np.zeros(steps, dtype)
        self.totals = np.zeros(max(1, steps // self._run.full_batches), dtype)
        self.totals[0], self.penalties = total, np.zeros(len(self.totals))
        factors = np.asarray([self._run.options.l1, self._run.options.l2])
        kept = factors, order, np.asarray(coefficients, dtype), keys
        sums = self._losses, self.totals, self.penalties
        self._given = x, y, y if weights is None else weights, *kept, *sums

    def steps_from(self, batch: int) -> int:
        """Return the greatest number of steps of a call that begins at this batch of the epoch."""
        return int(min(self.count, self._run.full_batches - batch))

    def __call__(self, batch: int, count: int) -> tuple[Any, Any, None, None]:
        """Take `count` steps from this batch on; return the losses of the first and the last."""
        self._take(self._kept, batch, count)
        return self._losses[batch], self._losses[batch + count - 1], None, None

    @property
    def total(self) -> Array:
        """Sum of loss times rows over the epoch so far, 0-d."""
        return self.totals[0, ...]

    @property
    def _kept(self) -> list[Array]:
        return [self._run.net.flat, self._run.flat_gradients, *self._run.state.optimizer]

    def check(self) -> None:
        """Take one step both ways, on copies, and compare all that it writes.

        A user's own function may do what no tape sees, such as computing with NumPy's own arrays.
        Losses, gradients and the optimiser's state are compared directly, parameters after a short
        step. Where gradients are never written (plain SGD, folded), a step of rate 1 shows them:
        the change of the parameters, to within the rounding of the parameters themselves.
        """
        run, net, rows = self._run, self._run.net, self._run.batch_size
        order, keys = np.arange(rows)[::-1].copy(), run.dropout.keys(1, 1)
        rate = 0.01 if self._writes_gradients else 1.0  # then all that the parameters move by
        coefficients = [float(each) for each in run.options.optimizer.coefficients(rate, 1)]
        plain = [each.copy() for each in self._kept]
        x, y, weights = take_rows(run.data, order, net.device, net.dtype)
        given = Batch(x, y, row_shares(net.device.xp, y, weights)), run.dropout.masks(rows, keys[0])
        step = run.make_step(net.with_parameters(plain[0]), plain[1], plain[2:])
        step(*given, coefficients)
        for each in plain[2:]:  # Adam's first step is the sign of a gradient, however small
            each[...] = np.abs(each) + np.max(np.abs(each), initial=0.0)
        plain[0][...] = net.flat
        mine = [each.copy() for each in plain]
        self.begin(order, [coefficients], keys, 0.0)
        self._take(mine, 0, 1)
        loss, _, _ = step(*given, coefficients)
        rounding = 0.0
        if not self._writes_gradients:
            rounding = 4 * np.finfo(net.dtype).eps * np.max(np.abs(net.flat))
            mine[:2], plain[:2] = [mine[0] - net.flat], [plain[0] - net.flat]
        for found, wanted in zip([self._losses, *mine], [np.asarray(loss), *plain], strict=True):
            largest = np.max(np.abs(wanted), initial=1e-30)
            if not np.allclose(found, wanted, 0, TOLERANCE[net.dtype] * largest + rounding):
                raise NotRecordableError("compiled, it gives other numbers")

    def _take(self, kept: list[Array], begin: int, count: int) -> None:
        self._steps(*self._scratch, *kept, *self._given, begin, count)


def _penalty_lines(run: "Training") -> list[str]:
    """Return the lines that note the penalty on the weights at the end of an epoch."""
    if not (run.options.l1 or run.options.l2):
        return []
    return [
        f"if (s + 1) % {run.full_batches} == 0:",
        f"    for i in range({run.net.flat_weights.shape[0]}):",
        f"        penalties[s // {run.full_batches}] += factors[0] * abs(p0[i]) + "
        "factors[1] / 2 * p0[i] * p0[i]",
    ]


def _gather(name: str, batch: Any, source: Source) -> list[str]:
    rows, columns = batch.shape
    return [
        f"for i in range({rows}):",
        f"    row = order[s * {rows} + i]",
        f"    for j in range({columns}):",
        f"        {batch.dtype}[{source.place(batch)} + i * {columns} + j] = {name}[row, j]",
    ]
