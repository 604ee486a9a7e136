"""A training step that a device can record once and replay: its inputs in fixed arrays.

A recording repeats the same operations on the same memory with the same Python numbers. So whatever
changes from step to step comes in through arrays: the batch, dropout's masks, and the optimiser's
coefficients as 0-d arrays. `xpnet.backend.device.Device.record` says what a device makes of it.
"""

from collections.abc import Callable, Sequence
from typing import Any

from xpnet.backend.device import Array, Device, Step


class RecordedStep:
    """Calls a step through one recording for batches of `rows`; other sizes run directly.

    ``step(batch, masks, coefficients)`` takes a named tuple of arrays, dropout's masks or None, and
    the optimiser's coefficients, in `dtype`; all on the device, which has a `record`, and in place.
    """

    def __init__(self, device: Device, dtype: str, step: Callable[..., Any], rows: int) -> None:
        self._device, self._dtype, self._step, self._rows = device, dtype, step, rows
        self._inputs: list[Array] = []
        self._replay: Step

    def __call__(self, batch: Any, masks: list[Array] | None, coefficients: Sequence[float]) -> Any:
        """Take the step with these inputs; return what it returns."""
        if batch[0].shape[0] != self._rows:
            return self._step(batch, masks, coefficients)
        put, dtype = self._device.put, self._dtype
        given = [*batch, *(masks or ()), *(put(each, dtype) for each in coefficients)]
        if not self._inputs:
            self._fix(type(batch), given, len(masks or ()))
        for own, values in zip(self._inputs, given, strict=True):
            own[...] = values
        return self._replay()

    def _fix(self, kind: Any, given: list[Array], masks: int) -> None:
        """Make the arrays that every replay reads."""
        record, xp, step = self._device.record, self._device.xp, self._step
        assert record is not None
        self._inputs = [xp.zeros_like(each) for each in given]
        first = len(kind._fields)
        fixed_batch = kind(*self._inputs[:first])
        fixed_masks = self._inputs[first : first + masks] or None
        coefficients = self._inputs[first + masks :]
        # Without self: a cycle would keep a GPU's memory until the garbage collector comes by.
        self._replay = record(lambda: step(fixed_batch, fixed_masks, coefficients))
