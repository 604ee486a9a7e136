"""Compare the same training on NumPy and on another device, layer by layer and step by step.

Initial weights, the order of the rows and dropout masks must have the same bits. Results may differ
by rounding, since sums are in another order. The allowed difference is relative to the largest
entry of the array, because a small entry may be the remainder of a cancellation.
"""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from xpnet.backend.device import Device, device_of, open_device, to_host
from xpnet.errors import InputError
from xpnet.nn.network import MLP
from xpnet.nn.optimizers import SGD
from xpnet.training.fit import prepare_training
from xpnet.training.loop import Training

SAME_BITS = ("initial weights", "rows of batches", "dropout masks")
QUANTITIES = ("forward", "gradients", "weights")
MAX_STEPS = 10  # float32 runs may part for good after some more: a ReLU decides differently
# What rounding may cause: relative to the largest entry, in one forward and backward pass on the
# same weights and in everything after the first update; and an absolute part.
TOLERANCES = {"float64": (1e-12, 1e-11, 1e-14), "float32": (1e-5, 1e-5, 1e-6)}


Taken = dict[tuple[str, int], Any]
"""Host arrays of one step, by what they are (one of SAME_BITS or QUANTITIES) and their layer."""


class Difference(NamedTuple):
    """The largest difference of a quantity, at one step and in one layer, counted from 1.

    `largest` is infinite if only one side is finite.
    """

    step: int
    quantity: str  # one of QUANTITIES; "forward" are pre-activations, biases belong to their layer
    layer: int
    largest: float
    allowed: float


@dataclass(frozen=True)
class ParityReport:
    """How far two devices differ; ``str()`` gives a table."""

    title: str
    same_bits: dict[str, bool]  # by what is in SAME_BITS
    differences: tuple[Difference, ...]

    @property
    def ok(self) -> bool:
        """Whether all bits that must agree do so, and all differences are within tolerance."""
        within = all(each.largest <= each.allowed for each in self.differences)
        return within and all(self.same_bits.values())

    def __str__(self) -> str:
        worst = max(self.differences, key=lambda each: each.largest / each.allowed)
        bits = [f"  {what:17}  {'the same bits' if same else 'DIFFERENT'}"
                for what, same in self.same_bits.items()]  # fmt: skip
        rows = [
            f"  {step:4}" + "".join(f"  {self._cell(step, each):<17}" for each in QUANTITIES)
            for step in range(1, self.differences[-1].step + 1)
        ]
        lines = [
            self.title, *bits, "Largest difference after each step, and its layer",
            "  step" + "".join(f"  {each:<17}" for each in QUANTITIES), *rows,
            f"{'within tolerance' if self.ok else 'OUT OF TOLERANCE'}; at most "
            f"{worst.largest / worst.allowed:.2g} of what rounding may cause "
            f"(step {worst.step}, {worst.quantity}, layer {worst.layer})",
        ]  # fmt: skip
        return "\n".join(line.rstrip() for line in lines)

    def _cell(self, step: int, quantity: str) -> str:
        found = [each for each in self.differences if each[:2] == (step, quantity)]
        worst = max(found, key=lambda each: each.largest)
        return f"{worst.largest:<8.2g}layer {worst.layer}" if worst.largest else "0"


def compare(
    net: MLP, x: Any, y: Any, *, steps: int = MAX_STEPS, learning_rate: float = 0.1,
    momentum: float = 0.0, other: str | Device = "strict", **options: Any,
) -> ParityReport:  # fmt: skip
    """Train networks like `net` on NumPy and on another device, and compare 1 to 10 steps of SGD.

    The other device is ``"gpu"``, ``"gpu:N"``, or ``"strict"``: the array-api-strict library on its
    second device, which refuses what a GPU would refuse. The options are those of `xpnet.fit`.
    Raises `InputError` for what cannot be trained, and if array-api-strict is not installed;
    `DeviceError` if the GPU cannot be used.
    """
    if not 1 <= steps <= MAX_STEPS:
        raise InputError(f"steps {steps!r} must be from 1 to {MAX_STEPS}, where tolerances hold")
    devices, runs = (open_device("cpu"), _open_other(other)), list[list[Taken]]()
    own = {"hidden": net.hidden, "output": net.output, "init": net.init}
    for device in devices:
        twin, recorder = MLP(**{**net.config(), **own}, device=device), _Recorder(steps)
        prepare_training(
            twin, x, y, epochs=steps, optimizer=SGD(learning_rate, momentum),
            callbacks=[recorder], progress=False, **options,
        ).run()  # fmt: skip
        runs.append(recorder.taken)
    bits, differences = dict.fromkeys(SAME_BITS, True), list[Difference]()
    for step, (one, two) in enumerate(zip(*runs, strict=True), start=1):
        for (what, layer), array in one.items():
            pair = array, two[what, layer]
            if what in bits:
                bits[what] &= pair[0].tobytes() == pair[1].tobytes()
            else:
                differences.append(_difference(step, what, layer, *pair, TOLERANCES[net.dtype]))
    network = repr(net).partition(";")[0].removeprefix("MLP(")
    rows = runs[0][0]["rows of batches", 1]
    title = (
        f"The same training on {devices[0].name} and on {devices[1].name}\n"
        f"  network            {network}, {net.dtype}, {steps} steps of {len(rows)} rows"
    )
    return ParityReport(title, bits, tuple(differences))


def _open_other(other: str | Device) -> Device:
    if other != "strict":
        return other if isinstance(other, Device) else open_device(other)
    try:
        import array_api_strict as strict
    except ImportError as error:
        raise InputError(
            "parity on the CPU needs array-api-strict, which is not installed; "
            "pip install array-api-strict"
        ) from error
    device = device_of(strict.zeros(1, device=strict.Device("device1")))
    return replace(device, name="array-api-strict")


class _Recorder:
    """A callback that copies what each step computed, and stops after the last one."""

    def __init__(self, steps: int) -> None:
        self.steps, self.taken = steps, list[Taken]()

    def on_train_start(self, training: Training) -> None:
        self.start = training.net.flat + 0.0

    def on_batch_end(self, training: Training) -> None:
        trace = training.trace
        shown = {
            "initial weights": [self.start],
            "rows of batches": trace.inputs[:1],
            "dropout masks": trace.masks or [],
            "forward": trace.pre_activations,
            "gradients": _by_layer(training.gradients),
            "weights": _by_layer(training.net),
        }
        self.taken.append({
            (what, layer): to_host(each).copy()  # the next step overwrites some of them
            for what, arrays in shown.items() for layer, each in enumerate(arrays, start=1)
        })  # fmt: skip
        if len(self.taken) == self.steps:
            training.stop("steps compared")


def _by_layer(owner: Any) -> list[Any]:
    pairs = zip(map(to_host, owner.weights), map(to_host, owner.biases), strict=True)
    return [np.concat([weights.ravel(), biases]) for weights, biases in pairs]


def _difference(
    step: int, quantity: str, layer: int, one: Any, two: Any, tolerances: tuple[float, ...]
) -> Difference:
    first, later, absolute = tolerances
    finite = np.isfinite(one) & np.isfinite(two)
    largest = float(np.max(np.abs(two[finite] - one[finite]), initial=0.0))
    if not np.array_equal(one[~finite], two[~finite], equal_nan=True):
        largest = float("inf")
    relative = first if step == 1 and quantity != "weights" else later
    size = float(np.max(np.abs(one[finite]), initial=0.0))
    return Difference(step, quantity, layer, largest, absolute + relative * size)
