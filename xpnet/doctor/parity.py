"""The same training on NumPy and on another device, compared layer by layer and step by step.

Initial weights, the order of the rows and dropout masks must be the same bits. What is computed
may differ by rounding, since sums run in a different order: the allowed difference is relative to
the largest entry of the array, because a small entry can be the remainder of a cancellation.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from xpnet.backend.device import Device, device_of, open_device
from xpnet.errors import InputError
from xpnet.nn.network import MLP
from xpnet.nn.optimizers import SGD
from xpnet.training.fit import prepare_training
from xpnet.training.loop import Training

QUANTITIES = ("forward", "gradients", "weights")
MOST_STEPS = 10  # float32 runs may part for good after some more: a ReLU decides differently


class Tolerance(NamedTuple):
    """What rounding may cause, relative to the largest entry, plus an absolute part."""

    first: float
    """One forward and backward pass, on the same weights."""
    later: float
    """Everything after the first update."""
    absolute: float


TOLERANCES = {
    "float64": Tolerance(1e-12, 1e-11, 1e-14),
    "float32": Tolerance(1e-5, 1e-5, 1e-6),
}


@dataclass(frozen=True)
class Difference:
    """The largest difference of one quantity, in one layer, at one step."""

    step: int
    """From 1."""
    quantity: str
    """``"forward"`` (pre-activations), ``"gradients"``, or ``"weights"`` after the step."""
    layer: int
    """From 1; biases belong to their layer."""
    largest: float
    """Largest absolute difference; infinite where only one side is finite."""
    allowed: float

    @property
    def ok(self) -> bool:
        """Whether it is within the tolerance."""
        return self.largest <= self.allowed


@dataclass(frozen=True)
class ParityReport:
    """How far two devices differ; ``str()`` gives a table.

    Attributes
    ----------
    reference, other : str
        The devices.
    network : str
    dtype : str
    steps, batch_size : int
    same_start, same_rows, same_masks : bool
        Whether initial parameters, the rows of every batch and dropout masks were the same bits.
    differences : tuple of Difference
        For every step, quantity and layer.
    """

    reference: str
    other: str
    network: str
    dtype: str
    steps: int
    batch_size: int
    same_start: bool
    same_rows: bool
    same_masks: bool
    differences: tuple[Difference, ...]

    @property
    def ok(self) -> bool:
        """Whether all bits that must agree do, and all differences are within tolerance."""
        same = self.same_start and self.same_rows and self.same_masks
        return same and all(each.ok for each in self.differences)

    @property
    def worst(self) -> Difference:
        """The difference that uses the largest share of what is allowed."""
        return max(self.differences, key=lambda each: each.largest / each.allowed)

    def largest(self, step: int, quantity: str) -> Difference:
        """Return the largest difference over the layers."""
        found = [d for d in self.differences if (d.step, d.quantity) == (step, quantity)]
        return max(found, key=lambda each: each.largest)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, as for JSON; an infinite difference becomes None."""
        plain = asdict(self) | {"ok": self.ok}
        for values, each in zip(plain["differences"], self.differences, strict=True):
            values["ok"] = each.ok
            values["largest"] = each.largest if np.isfinite(each.largest) else None
        return plain

    def __str__(self) -> str:
        bits = {True: "the same bits", False: "DIFFERENT"}
        head = f"{self.network}, {self.dtype}, {self.steps} steps of {self.batch_size} rows"
        steps = range(1, self.steps + 1)
        rows = ("".join(self._cell(step, each) for each in QUANTITIES) for step in steps)
        worst = self.worst
        verdict = "within tolerance" if self.ok else "OUT OF TOLERANCE"
        share = f"{worst.largest / worst.allowed:.2g} of what rounding may cause"
        return "\n".join(
            [
                f"The same training on {self.reference} and on {self.other}",
                f"  network            {head}",
                f"  initial weights    {bits[self.same_start]}",
                f"  rows of batches    {bits[self.same_rows]}",
                f"  dropout masks      {bits[self.same_masks]}",
                "Largest difference after each step, and its layer",
                "  step" + "".join(f"  {quantity:<17}" for quantity in QUANTITIES).rstrip(),
                *(f"  {step:4}{row.rstrip()}" for step, row in zip(steps, rows, strict=True)),
                f"{verdict}; at most {share} "
                f"(step {worst.step}, {worst.quantity}, layer {worst.layer})",
            ]
        )

    def _cell(self, step: int, quantity: str) -> str:
        found = self.largest(step, quantity)
        text = f"{found.largest:<8.2g}layer {found.layer}" if found.largest else "0"
        return f"  {text:<17}"


class _Step(NamedTuple):
    """Host copies of what one step computed, per layer; weights and biases as one vector."""

    rows: Any
    masks: list[Any]
    forward: list[Any]
    gradients: list[Any]
    weights: list[Any]


class _Recorder:
    """The callback that copies what each step computed, and stops after the last one."""

    def __init__(self, steps: int) -> None:
        self.steps, self.taken = steps, list[_Step]()
        self.start: list[Any] = []

    def on_train_start(self, training: Training) -> None:
        self.start = _on_host(training.net, training.net.parameters)

    def on_batch_end(self, training: Training) -> None:
        net, trace, gradients = training.net, training.trace, training.gradients
        self.taken.append(
            _Step(
                _on_host(net, trace.inputs[:1])[0],
                _on_host(net, trace.masks or []),
                _on_host(net, trace.pre_activations),
                _by_layer(_on_host(net, gradients.weights), _on_host(net, gradients.biases)),
                _by_layer(_on_host(net, net.weights), _on_host(net, net.biases)),
            )
        )
        if len(self.taken) == self.steps:
            training.stop("steps compared")


def _on_host(net: MLP, arrays: Sequence[Any]) -> list[Any]:
    return [np.array(net.device.get(each)) for each in arrays]  # copies: the next step overwrites


def _by_layer(weights: list[Any], biases: list[Any]) -> list[Any]:
    return [np.concat([w.ravel(), b]) for w, b in zip(weights, biases, strict=True)]


def compare(
    net: MLP,
    x: Any,
    y: Any,
    *,
    steps: int = MOST_STEPS,
    learning_rate: float = 0.1,
    momentum: float = 0.0,
    other: str | Device = "strict",
    **options: Any,
) -> ParityReport:
    """Train the same network on NumPy and on another device, and compare every step.

    Parameters
    ----------
    net : MLP
        Not changed; networks like it are created on both devices.
    x, y, batch_size, loss, l1, l2, **options
        As for `xpnet.fit`, except for the optimiser, epochs, callbacks and progress.
    steps : int, 1 to 10
    learning_rate, momentum : float
        Of SGD.
    other : str or Device
        ``"gpu"``, ``"gpu:N"``, or ``"strict"``: the array-api-strict library on its second device,
        which refuses what a GPU would refuse.

    Raises
    ------
    InputError
        For what cannot be trained, and if array-api-strict is not installed.
    DeviceError
        If the GPU cannot be used.
    """
    if not 1 <= steps <= MOST_STEPS:
        raise InputError(f"steps {steps!r} must be from 1 to {MOST_STEPS}, where tolerances hold")
    devices = [open_device("cpu"), _open_other(other)]
    recorders = [_Recorder(steps), _Recorder(steps)]
    for device, recorder in zip(devices, recorders, strict=True):
        own = {"hidden": net.hidden, "output": net.output, "init": net.init}
        twin = MLP(**{**net.config(), **own}, device=device)
        prepare_training(
            twin, x, y, optimizer=SGD(learning_rate, momentum), epochs=steps,
            callbacks=[recorder], progress=False, **options,
        ).run()  # fmt: skip
    return _report(net, [device.name for device in devices], recorders)


def _open_other(other: str | Device) -> Device:
    if isinstance(other, Device):
        return other
    if other != "strict":
        return open_device(other)
    try:
        import array_api_strict as strict
    except ImportError as error:
        raise InputError(
            "parity on the CPU needs array-api-strict, which is not installed; "
            "pip install array-api-strict"
        ) from error
    device = device_of(strict.zeros(1, device=strict.Device("device1")))
    return replace(device, name="array-api-strict")


def _report(net: MLP, names: list[str], runs: list[_Recorder]) -> ParityReport:
    reference, other = runs
    pairs = list(zip(reference.taken, other.taken, strict=True))
    differences = (
        _difference(step, quantity, layer, expected, found, net.dtype)
        for step, (one, two) in enumerate(pairs, start=1)
        for quantity in QUANTITIES
        for layer, (expected, found) in enumerate(
            zip(getattr(one, quantity), getattr(two, quantity), strict=True), start=1
        )
    )
    return ParityReport(
        reference=names[0],
        other=names[1],
        network=repr(net).partition(";")[0].removeprefix("MLP("),
        dtype=net.dtype,
        steps=len(pairs),
        batch_size=pairs[0][0].rows.shape[0],
        same_start=_same_bits(reference.start, other.start),
        same_rows=all(_same_bits([one.rows], [two.rows]) for one, two in pairs),
        same_masks=all(_same_bits(one.masks, two.masks) for one, two in pairs),
        differences=tuple(differences),
    )


def _same_bits(arrays: list[Any], others: list[Any]) -> bool:
    return all(one.tobytes() == two.tobytes() for one, two in zip(arrays, others, strict=True))


def _difference(
    step: int, quantity: str, layer: int, expected: Any, found: Any, dtype: str
) -> Difference:
    tolerance = TOLERANCES[dtype]
    first = step == 1 and quantity != "weights"
    finite = np.isfinite(expected) & np.isfinite(found)
    if not np.array_equal(expected[~finite], found[~finite], equal_nan=True):
        largest = float("inf")
    else:
        largest = float(np.max(np.abs(found[finite] - expected[finite]), initial=0.0))
    size = float(np.max(np.abs(expected[finite]), initial=0.0))
    allowed = tolerance.absolute + (tolerance.first if first else tolerance.later) * size
    return Difference(step, quantity, layer, largest, allowed)
