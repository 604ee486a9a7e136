"""The same training on NumPy and on another device, compared layer by layer and step by step.

Initial weights, the order of the rows and dropout masks must be the same bits. What is computed
may differ by rounding, since sums run in a different order: the allowed difference is relative to
the largest entry of the array, because a small entry can be the remainder of a cancellation.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from xpnet.backend.device import Device, device_of, open_device, to_host
from xpnet.errors import InputError
from xpnet.nn.network import MLP
from xpnet.nn.optimizers import SGD
from xpnet.training.fit import prepare_training
from xpnet.training.loop import Training

QUANTITIES = ("forward", "gradients", "weights")
MAX_STEPS = 10  # float32 runs may part for good after some more: a ReLU decides differently


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
    """The largest difference of one quantity, in one layer, at one step.

    Attributes
    ----------
    step, layer : int
        From 1; biases belong to their layer.
    quantity : str
        ``"forward"`` (pre-activations), ``"gradients"``, or ``"weights"`` after the step.
    largest : float
        Largest absolute difference; infinite where only one side is finite.
    allowed : float
    """

    step: int
    quantity: str
    layer: int
    largest: float
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
    network, dtype : str
    batch_size : int
    same_bits : dict of str to bool
        Whether initial weights, rows of batches and dropout masks were the same bits.
    differences : tuple of Difference
        For every step, quantity and layer.
    """

    reference: str
    other: str
    network: str
    dtype: str
    batch_size: int
    same_bits: dict[str, bool]
    differences: tuple[Difference, ...]

    @property
    def ok(self) -> bool:
        """Whether all bits that must agree do, and all differences are within tolerance."""
        return all(self.same_bits.values()) and all(each.ok for each in self.differences)

    @property
    def steps(self) -> int:
        """How many steps were compared."""
        return self.differences[-1].step

    def largest(self, step: int, quantity: str) -> Difference:
        """Return the largest difference over the layers."""
        found = [d for d in self.differences if (d.step, d.quantity) == (step, quantity)]
        return max(found, key=lambda each: each.largest)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, as for JSON; an infinite difference becomes None."""
        plain = asdict(self) | {"ok": self.ok, "steps": self.steps}
        for values in plain["differences"]:
            values["largest"] = values["largest"] if np.isfinite(values["largest"]) else None
        return plain

    def __str__(self) -> str:
        head = f"{self.network}, {self.dtype}, {self.steps} steps of {self.batch_size} rows"
        worst = max(self.differences, key=lambda each: each.largest / each.allowed)
        lines = [
            f"The same training on {self.reference} and on {self.other}",
            f"  network            {head}",
            *(f"  {what:17}  {'the same bits' if same else 'DIFFERENT'}"
              for what, same in self.same_bits.items()),
            "Largest difference after each step, and its layer",
            "  step" + "".join(f"  {quantity:<17}" for quantity in QUANTITIES),
            *(f"  {step:4}" + "".join(f"  {self._cell(step, each):<17}" for each in QUANTITIES)
              for step in range(1, self.steps + 1)),
            f"{'within tolerance' if self.ok else 'OUT OF TOLERANCE'}; at most "
            f"{worst.largest / worst.allowed:.2g} of what rounding may cause "
            f"(step {worst.step}, {worst.quantity}, layer {worst.layer})",
        ]  # fmt: skip
        return "\n".join(line.rstrip() for line in lines)

    def _cell(self, step: int, quantity: str) -> str:
        found = self.largest(step, quantity)
        return f"{found.largest:<8.2g}layer {found.layer}" if found.largest else "0"


class _Recorder:
    """The callback that copies what each step computed, and stops after the last one."""

    def __init__(self, steps: int) -> None:
        self.steps, self.start = steps, list[Any]()
        self.taken: list[dict[str, list[Any]]] = []  # what was computed, by layer

    def on_train_start(self, training: Training) -> None:
        self.start = _host_copies(training.net.parameters)

    def on_batch_end(self, training: Training) -> None:
        trace = training.trace
        self.taken.append({
            "rows": _host_copies(trace.inputs[:1]),
            "masks": _host_copies(trace.masks or []),
            "forward": _host_copies(trace.pre_activations),
            "gradients": _by_layer(training.gradients),
            "weights": _by_layer(training.net),
        })  # fmt: skip
        if len(self.taken) == self.steps:
            training.stop("steps compared")


def _host_copies(arrays: Sequence[Any]) -> list[Any]:
    return [to_host(each).copy() for each in arrays]  # the next step overwrites some of them


def _by_layer(owner: Any) -> list[Any]:
    """Return weights and biases of a network, or their gradients, as one vector per layer."""
    pairs = zip(map(to_host, owner.weights), map(to_host, owner.biases), strict=True)
    return [np.concat([weights.ravel(), biases]) for weights, biases in pairs]


def compare(
    net: MLP,
    x: Any,
    y: Any,
    *,
    steps: int = MAX_STEPS,
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
    if not 1 <= steps <= MAX_STEPS:
        raise InputError(f"steps {steps!r} must be from 1 to {MAX_STEPS}, where tolerances hold")
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
    differences = [
        _difference(step, quantity, layer, *arrays, net.dtype)
        for step, (one, two) in enumerate(pairs, start=1)
        for quantity in QUANTITIES
        for layer, arrays in enumerate(zip(one[quantity], two[quantity], strict=True), start=1)
    ]
    return ParityReport(
        reference=names[0],
        other=names[1],
        network=repr(net).partition(";")[0].removeprefix("MLP("),
        dtype=net.dtype,
        batch_size=len(reference.taken[0]["rows"][0]),
        same_bits={
            "initial weights": _same_bits(reference.start, other.start),
            "rows of batches": all(_same_bits(one["rows"], two["rows"]) for one, two in pairs),
            "dropout masks": all(_same_bits(one["masks"], two["masks"]) for one, two in pairs),
        },
        differences=tuple(differences),
    )


def _same_bits(arrays: list[Any], others: list[Any]) -> bool:
    return all(one.tobytes() == two.tobytes() for one, two in zip(arrays, others, strict=True))


def _difference(
    step: int, quantity: str, layer: int, expected: Any, found: Any, dtype: str
) -> Difference:
    first, later, absolute = TOLERANCES[dtype]
    finite = np.isfinite(expected) & np.isfinite(found)
    largest = float(np.max(np.abs(found[finite] - expected[finite]), initial=0.0))
    if not np.array_equal(expected[~finite], found[~finite], equal_nan=True):
        largest = float("inf")
    size = float(np.max(np.abs(expected[finite]), initial=0.0))
    relative = first if step == 1 and quantity != "weights" else later
    return Difference(step, quantity, layer, largest, absolute + relative * size)
