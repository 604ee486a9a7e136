"""Compare measured slopes with what a step of the script did: right, wrong sign, or wrong.

A parameter's gradient is right if anything that its update was made of, element by element, is a
multiple of the slope of a usual loss, or of the script's own: momentum, Adam's scales, clipping
and penalties may follow.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from xpnet.doctor.scripts.mapping import map_step
from xpnet.doctor.scripts.trace import Operation, Step
from xpnet.doctor.scripts.variants import Mistake, Variants

EXACT, EXACT_FLOAT32 = 1e-3, 5e-2  # relative error of a gradient that counts as none
ROUNDING = 1e-15  # relative error of outputs and losses
CLEARLY = 0.98  # a cosine above this is not called wrong unless it is known why
LOSS = re.compile(r"^(?!.*grad).*(loss|cost|mse|verlust|perte|custo|perda|потер)|^J$", re.I)

Values = dict[int, Any]  # by a parameter's lineage


@dataclass
class Along:
    """Directions, flat, in which a parameter was moved, and the slopes of outputs and losses."""

    length: float  # of a move
    ways: list[Any] = field(default_factory=list)
    outputs: list[Any] = field(default_factory=list)
    losses: list[Mapping[str, float]] = field(default_factory=list)

    def project(self, array: Any) -> Any:
        """Return an array of the parameter's size along the directions."""
        return np.stack(self.ways) @ np.ravel(array)


@dataclass(frozen=True)
class Slopes:
    """Slopes of the outputs that entered the error, measured by moving parameters.

    `outputs` and `targets` are flat, all that entered the error in one step; `place` is that of the
    difference.
    """

    place: int
    outputs: Any
    targets: Any
    losses: Mapping[str, float]  # that the script names
    by_parameter: Mapping[int, Along]
    float32: bool = False

    def of_losses(self, parameter: int) -> dict[str, tuple[Any, float]]:
        """Return each loss's slopes along a parameter's directions, and how much is rounding."""
        along, found = self.by_parameter[parameter], {}
        rounding = ROUNDING / along.length
        for name, gradient in loss_gradients(self.outputs, self.targets).items():
            slopes = np.array([gradient @ each for each in along.outputs])
            found[name] = slopes, rounding * float(np.linalg.norm(gradient * self.outputs))
        for name, value in self.losses.items():
            slopes = np.array([each.get(name, np.nan) for each in along.losses])
            found[f"the script's {name}"] = slopes, rounding * abs(value)
        return found


@dataclass(frozen=True)
class Verdict:
    """What one measurement says of a parameter's gradient.

    `kind` is "right", "sign", "wrong" or "unknown"; `factor` is that
    of the gradient over the slope, `step_factor` that of the update (0 if it is no multiple),
    `cosine` that of the update and the way down.
    """

    kind: str
    factor: float = 0.0
    step_factor: float = 0.0
    cosine: float = 0.0


@dataclass(frozen=True)
class Measured:
    """What was measured after one step: of which loss, and the verdict by lineage."""

    loss: str
    verdicts: Mapping[int, Verdict]
    mistakes: Mapping[int, Any] = field(default_factory=dict)
    line: dict[float, float] = field(default_factory=dict)  # loss, by how far along the step


def loss_gradients(p: Any, t: Any) -> dict[str, Any]:
    """Return the gradients of the usual losses, sums over all outputs p with targets t."""
    found = {"the squared error": p - t}
    if np.min(p) >= 0.0 and np.max(p) <= 1.0:
        q = np.clip(p, 1e-12, 1.0 - 1e-12)
        if np.all((p == q) | (np.abs(p - t) < 1e-9)):  # or else they depend on where q was cut
            found["the binary cross-entropy"] = (q - t) / (q * (1.0 - q))
            found["the cross-entropy"] = -t / q
    return found


def loss_values(p: Any, t: Any) -> dict[str, float]:
    """Return the same losses."""
    with np.errstate(all="ignore"):
        q = np.clip(p, 1e-300, 1.0 - 1e-16)
        return {
            "the squared error": 0.5 * float(np.sum((p - t) ** 2)),
            "the binary cross-entropy": -float(np.sum(t * np.log(q) + (1 - t) * np.log(1 - q))),
            "the cross-entropy": -float(np.sum(t * np.log(q))),
        }


def compare(step: Step, slopes: Slopes, at: Values) -> Measured:
    """Judge each parameter by that loss to which most of them agree, and explain what is wrong."""
    best = -1.0, "", dict[int, Verdict](), (dict[int, Any](), (0.0, 0.0))
    judges = {
        n: Judge(n, step, slopes, at[n])
        for n, along in slopes.by_parameter.items()
        if along.ways and any(each.parameter == n for each in step.updates)
    }
    by_loss = {n: slopes.of_losses(n) for n in judges}
    for loss in dict.fromkeys(name for each in by_loss.values() for name in each):
        found = {n: judges[n].verdict(*each[loss]) for n, each in by_loss.items() if loss in each}
        usual = _usual(found, judges)
        found |= {
            n: judges[n].single_number(each, by_loss[n][loss][0], usual)
            for n, each in found.items()
            if not judges[n].several
        }
        agreeing = [each.kind in ("right", "sign") for each in found.values()]
        score = sum(agreeing) + 0.1 * sum(abs(each.cosine) for each in found.values())
        if score > best[0] + 1e-9:
            slope = {n: each[loss][0] for n, each in by_loss.items()}
            best = score, loss, found, (slope, usual)
    _, loss, found, known = best
    return Measured(loss, found, _mistakes(step, judges, found, *known))


def _usual(found: Mapping[int, Verdict], judges: Mapping[int, "Judge"]) -> tuple[float, float]:
    """Return the factors over the slope that most gradients share, and most updates."""

    def shared(factors: list[tuple[bool, float]]) -> float:
        def votes(pair: tuple[bool, float]) -> tuple[bool, int]:
            return pair[0], sum(abs(pair[1] / each - 1.0) < 1e-3 for _, each in factors)

        return max(factors, key=votes, default=(False, 0.0))[1]

    known = {n: v for n, v in found.items() if v.kind in ("right", "sign")}
    return (
        shared([(judges[n].several, v.factor) for n, v in known.items() if v.factor]),
        shared([(judges[n].several, v.step_factor) for n, v in known.items() if v.step_factor]),
    )


def _mistakes(
    step: Step,
    judges: Mapping[int, "Judge"],
    found: Mapping[int, Verdict],
    slope: Mapping[int, Any],
    usual: tuple[float, float],
) -> dict[int, Any]:
    """Explain wrong gradients, from the outputs down; None where a cause above explains."""
    roles = map_step(step)
    variants, mistakes, changes = Variants(roles), dict[int, Mistake | None](), dict[int, Any]()
    kinds = [each.kind for each in found.values()]
    down = kinds.count("right") >= kinds.count("sign")  # most updates go down
    suspect = ("wrong", "sign") if down else ("wrong",)
    for number, layer in reversed([*enumerate(roles.layers)]):
        for n in (layer.weights, layer.biases):
            if n is None or n not in found or found[n].kind not in suspect:
                continue
            updates = roles.updates_of(n)
            agrees = partial(judges[n].agrees, slope[n], usual, down)
            if changes and agrees(variants.again(updates[0].delta, changes)):
                mistakes[n] = None
                continue
            mistake = variants.mistake(updates[0].delta, number, changes, agrees)
            if mistake is not None:
                mistakes[n] = replace(mistake, changes={})
                changes |= mistake.changes
    return mistakes


class Judge:
    """Compares one parameter's update with slopes of a loss, along the directions measured."""

    def __init__(self, n: int, step: Step, slopes: Slopes, at: Any) -> None:
        self.along, change = slopes.by_parameter[n], moved_by(step)[n]
        self.several = len(self.along.ways) > 1
        same = change is not None and np.shape(change) == np.shape(at)
        self.shape, project = np.shape(at), self.along.project
        self.change = project(change) if same else None
        self.made_of = [(project(each), sign) for each, sign in made_of(n, step)] if same else []
        update = next(each for each in step.updates if each.parameter == n)
        self.factor, self.sign = abs(update.factor) or 1.0, update.sign
        self.tolerance = EXACT_FLOAT32 if slopes.float32 else EXACT

    def agrees(self, slope: Any, usual: tuple[float, float], down: bool, change: Any) -> bool:
        """Return whether an update by this goes straight down the slope, or up."""
        if change is None or np.size(change) != int(np.prod(self.shape)):
            return False
        found = self._fit(self.along.project(_laid_out(change, self.shape)), slope)
        if found is None or (found * self.sign < 0.0) != down:
            return False
        if self.several:
            return True
        # One number fits any gradient; the others' factor then tells.
        return usual[1] > 0.0 and abs(abs(found) / usual[1] - 1.0) < self.tolerance

    def single_number(self, found: Verdict, slope: Any, usual: tuple[float, float]) -> Verdict:
        """Judge by the factor a parameter that is one number: any gradient is a multiple there."""
        if found.kind not in ("right", "sign"):
            return found
        for each, sign in [*self.made_of, (self.change, 1)]:
            factor = float(each[0] / slope[0])
            ratios = [abs(factor) / one for one in usual if one and factor]
            if any(min(abs(x - round(x)) for x in (r, 1 / r)) < self.tolerance for r in ratios):
                return replace(found, kind="sign" if factor * sign > 0 else "right")
        return replace(found, kind="wrong")

    def verdict(self, slope: Any, rounding: float) -> Verdict:
        """Judge by the slopes of one loss."""
        change, size = self.change, np.linalg.norm(slope)
        if change is None or not np.all(np.isfinite([slope, change])):
            return Verdict("unknown")
        if size * self.tolerance < rounding or np.linalg.norm(change) < 1e-12 * size:
            return Verdict("unknown")
        cosine = float(-(change @ slope) / (size * np.linalg.norm(change)))
        if (times := self._fit(change, slope)) is not None:
            kind = "right" if times < 0.0 else "sign"
            return Verdict(kind, abs(times) / self.factor, abs(times), cosine)
        for each, sign in self.made_of:
            if (times := self._fit(each, slope)) is not None:
                return Verdict("sign" if sign * times > 0.0 else "right", abs(times), 0.0, cosine)
        return Verdict("wrong", cosine=cosine)

    def _fit(self, wanted: Any, slope: Any) -> float | None:
        """Return how many times the slope something is; None if it is no multiple."""
        factor = float(wanted @ slope) / float(slope @ slope)
        error, size = np.linalg.norm(factor * slope - wanted), np.linalg.norm(wanted)
        return factor if error <= self.tolerance * size > 0.0 else None


def made_of(n: int, step: Step) -> Iterator[tuple[Any, int]]:
    """Yield what an update was made of element by element, and its sign in the new value, 0: any.

    Arrays are in the parameter's layout.
    """
    updates, seen = [each for each in step.updates if each.parameter == n], set[int]()
    if len(updates) > 1:
        return
    (update,) = updates
    waiting = [(update.delta, update.sign)]
    while waiting:
        value, sign = waiting.pop(0)
        if id(value) in seen or value.size != update.new.size:
            continue
        seen.add(id(value))
        data = np.asarray(value.data)
        if data.dtype.kind == "f" and np.all(np.isfinite(data)):
            yield _laid_out(data, update.new.shape), sign
        if value.base is not None:
            waiting.append((value.base, sign))
        made = value.made_by
        if made is not None:
            signs = [sign * _sign_of(made, i) for i in range(len(made.operands))]
            waiting += zip(made.operands, signs, strict=True)


def _sign_of(operation: Operation, i: int) -> int:
    """Return the sign with which operand i enters an operation; 0 if that is not clear."""
    name, others = operation.name, [v.data for j, v in enumerate(operation.operands) if j != i]
    if name in ("add", "T", "item", "put", "clip", "copy", "array", "reshape", "astype"):
        return 1
    if name in ("subtract", "negative"):
        return -1 if i == 1 or name == "negative" else 1
    if name == "multiply" or (name == "divide" and i == 0):
        return 1 if np.all(others[0] >= 0) else -1 if np.all(others[0] <= 0) else 0
    return 0


def _laid_out(data: Any, shape: tuple[int, ...]) -> Any:
    """Return an array in a parameter's layout: transposed, if only that fits."""
    return np.transpose(data) if np.shape(data) != shape == np.shape(data)[::-1] else data


def moved_by(step: Step) -> Values:
    """Return how a step moved each parameter; None where its shape changed."""
    first, last = Values(), Values()
    for each in step.updates:
        first.setdefault(each.parameter, each.old)
        last[each.parameter] = each.new
    return {n: np.subtract(last[n].data, first[n].data)
            if last[n].shape == first[n].shape else None for n in first}  # fmt: skip
