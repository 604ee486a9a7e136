"""Many training steps in one call on the CPU: the recorded step, compiled (extra ``fast``: numba).

What `xpnet.training.launches` is for a GPU. The step is recorded once, on copies, and compiled to a
loop; batches are gathered in it by row numbers, as the plain step gets them. Results differ from
those of the plain step by rounding. Before it is used, one step is taken both ways and compared.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from xpnet.backend.compiled import NoCompilerError, Program, Source, gemm_address, require_numba
from xpnet.backend.device import Array
from xpnet.backend.tape import NotRecordableError, RecordingNamespace, Tape
from xpnet.errors import InputError
from xpnet.nn.arrays import Batch, row_shares
from xpnet.nn.network import MLP
from xpnet.training.batches import Data, take_rows
from xpnet.training.dropout import Dropout

PRODUCTS_PER_CALL = 1e9  # a tenth of a second: so soon is Ctrl-C answered
# What compiling takes, and what it saves: for each step, and for each multiplication of one.
# Measured on four networks, 2-4-2-2 to 784-1024-1024-10.
SECONDS_TO_COMPILE, SAVED_PER_STEP, SAVED_PER_PRODUCT = 6.0, 6e-5, 2e-12
WORTH = 1.5
TOLERANCE = {"float32": 1e-4, "float64": 1e-10}  # of one step, relative to the largest number


def compiled_steps(
    net: MLP,
    data: Data,
    make_step: Callable[..., Any],
    arrays: tuple[Array, list[Array]],
    dropout: Dropout,
    rows: int,
    whole: int,
    coefficients: tuple[float, ...],
    steps: int,
    *,
    required: bool,
    possible: bool,
) -> "CompiledSteps | None":
    """Return compiled steps, or None if they would not pay, or cannot be had.

    `make_step(net, gradients, state)` gives ``step(batch, masks, coefficients)``; `arrays` are the
    gradients and the optimiser's state, `coefficients` its coefficients at some step; `rows` is the
    batch size, `whole` an epoch's whole batches, `steps` how many will be taken. If it is
    `required`, not being `possible`, as the data, the device and the callbacks allow, is an
    InputError.
    """
    saved = steps * (SAVED_PER_STEP + SAVED_PER_PRODUCT * _products(net, rows))
    try:
        if not possible:
            raise NotRecordableError("rows from a file, another device, or a callback at each step")
        # Whether or not it was compiled before: the same run has to give the same bits.
        if not required and saved < WORTH * SECONDS_TO_COMPILE:
            return None
        found = CompiledSteps(net, data, make_step, arrays, dropout, rows, whole, len(coefficients))
        found.check(make_step, coefficients)
    except NotRecordableError as error:
        if required:
            raise InputError(f"compile='on': the step cannot be compiled: {error}") from error
        if not isinstance(error, NoCompilerError):
            warnings.warn(f"the steps are not compiled: {error}", stacklevel=2)
        return None
    return found


def _products(net: MLP, rows: int) -> int:
    """Return the multiplications of one step: about three for each weight and row."""
    return 3 * int(net.flat.shape[0]) * rows


class CompiledSteps:
    """Takes the whole batches of an epoch, up to `count` of them in one call.

    Raises `NotRecordableError` if the step cannot be compiled. As `Launches`, it has the number
    `whole` of an epoch's whole batches.
    """

    ends_anywhere = True

    def __init__(
        self,
        net: MLP,
        data: Data,
        make_step: Callable[..., Any],
        arrays: tuple[Array, list[Array]],
        dropout: Dropout,
        rows: int,
        whole: int,
        coefficients: int,
    ) -> None:
        self.rows, self.whole = rows, whole
        self.count = max(1, min(self.whole, int(PRODUCTS_PER_CALL // _products(net, rows))))
        self._data, self._dropout, self._net = data, dropout, net
        inputs: Array = data.x
        self._kept = [net.flat, arrays[0], *arrays[1]]
        require_numba()
        self._gemm, wide = gemm_address(net.dtype)
        tape = Tape()
        own = [tape.record(each.copy()) for each in self._kept]
        twin = _twin(net, own[0], RecordingNamespace(net.device.xp))
        x, y = (tape.record(np.array(each[:rows, :])) for each in (inputs, data.y))
        weights = None if data.row_weights is None else tape.record(data.row_weights[:rows].copy())
        numbers = [tape.record(np.asarray(0.5, net.dtype)) for _ in range(coefficients)]
        keys = [tape.record(np.asarray(each, np.int64)) for each in dropout.keys(0)]
        batch = Batch(x, y, row_shares(twin.device.xp, y, weights))
        masks = Dropout(twin, dropout.seed).masks(rows, keys)
        loss, _, _ = make_step(twin, own[1], own[2:])(batch, masks, numbers)
        source = Source(tape, own)
        lines = [*_gather("x", x, source), *_gather("y", y, source)]
        lines += [] if weights is None else _gather("weights", weights, source)
        for name, given in (("coefficients", numbers), ("keys", keys)):
            lines += [f"{each.dtype}[{source.place(each)}] = {name}[s, {i}]"
                      for i, each in enumerate(given)]  # fmt: skip
        self._scratch = list(source.scratch.values())
        parameters = "x, y, weights, order, coefficients, keys, losses, total, begin, count"
        last = [f"losses[s] = {source.entry(loss)}", f"total[0] += losses[s] * {rows}"]
        text = source.text(parameters, lines, last)
        self.program = Program(text, wide)

    def begin(self, order: Any, coefficients: Sequence[Any], keys: Any, total: Any) -> None:
        """Set what differs between the steps of an epoch; see `Launches.begin`."""
        whole, data = len(coefficients), self._data
        dtype = self._net.dtype
        self._losses, self._total = np.zeros(whole, dtype), np.full(1, total, dtype)
        self._given = (
            data.x, data.y, data.y if data.row_weights is None else data.row_weights, order,
            np.asarray(coefficients, dtype).reshape(whole, -1),
            np.asarray(keys, np.int64).reshape(whole, -1),
        )  # fmt: skip

    def steps_from(self, batch: int) -> int:
        """Return how many steps a call takes from this batch of the epoch on, at most."""
        return int(min(self.count, self.whole - batch))

    def __call__(self, batch: int, count: int) -> tuple[Any, Any]:
        """Take so many steps; return the losses of the first and the last one."""
        self._take(self._kept, batch, count)
        return self._losses[batch], self._losses[batch + count - 1]

    @property
    def total(self) -> Array:
        """Sum of loss times rows over the epoch so far, 0-d."""
        return self._total[0, ...]

    def check(self, make_step: Callable[..., Any], coefficients: tuple[float, ...]) -> None:
        """Take one step both ways, on copies, and compare.

        A function of a user's may do what no tape sees, such as computing with NumPy's own arrays.
        """
        net, data, rows = self._net, self._data, self.rows
        order, keys = np.arange(rows)[::-1].copy(), self._dropout.keys(1)
        mine, plain = ([each.copy() for each in self._kept] for _ in range(2))
        self.begin(order, [coefficients], [keys], 0.0)
        self._take(mine, 0, 1)
        x, y, weights = take_rows(data, order, net.device, net.dtype)
        batch = Batch(x, y, row_shares(net.device.xp, y, weights))
        step = make_step(_twin(net, plain[0], net.device.xp), plain[1], plain[2:])
        loss, _, _ = step(batch, self._dropout.masks(rows, keys), coefficients)
        for found, wanted in zip([self._losses, *mine], [np.asarray(loss), *plain], strict=True):
            largest = np.max(np.abs(wanted), initial=1e-30)
            if not np.allclose(found, wanted, rtol=0, atol=TOLERANCE[net.dtype] * largest):
                raise NotRecordableError("compiled, it gives other numbers")

    def _take(self, kept: list[Array], begin: int, count: int) -> None:
        steps, given = self.program.load(), (*self._given, self._losses, self._total)
        steps(self._gemm, *self._scratch, *kept, *given, begin, count)


def _twin(net: MLP, flat: Any, xp: Any) -> MLP:
    """Return the same network with another vector of parameters."""
    twin = object.__new__(MLP)
    device = replace(net.device, xp=xp, block=1 << 62)
    twin.__dict__.update(net.__dict__, flat=flat, device=device)
    twin._derive()
    return twin


def _gather(name: str, batch: Any, source: Source) -> list[str]:
    """Return the lines that copy the rows of a batch to their place."""
    rows, columns = batch.shape
    return [
        f"for i in range({rows}):",
        f"    row = order[s * {rows} + i]",
        f"    for j in range({columns}):",
        f"        {batch.dtype}[{source.place(batch)} + i * {columns} + j] = {name}[row, j]",
    ]
