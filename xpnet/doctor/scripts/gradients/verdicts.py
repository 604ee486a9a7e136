"""Compare measured slopes with what a step of the script did: right, wrong sign, or wrong.

A parameter's gradient is right if anything that its update was made of, element by element, is a
multiple of the slope of a usual loss, or of the script's own: momentum, Adam's scales, clipping
and penalties may follow.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import permutations
from typing import Any

import numpy as np

from xpnet.backend.device import CPU
from xpnet.doctor.scripts.gradients.variants import Mistake, Variants
from xpnet.doctor.scripts.mapping import Roles, map_step
from xpnet.doctor.scripts.recording.steps import Operation, Step, Value
from xpnet.doctor.scripts.recording.updates import MIXING, SAME_VALUES
from xpnet.nn.losses import LOSSES, Loss

EXACT, EXACT_FLOAT32 = 1e-5, 5e-2  # relative error of a gradient that counts as none
ROUNDING = 1e-15  # relative error of outputs and losses
DOUBTFUL = 0.01  # relative error of slopes above which nothing is compared with them
WEIGHTED = "weighted by class"
OWN, UNEVEN = "the loss with the slope", "the uneven loss with the slope"
ENOUGH = 8  # errors, of which what grows with them is no chance
NEARLY = 0.9999  # a cosine above this comes from no wrong operand; it may from a derivative
CLEARLY = 0.98  # a cosine above this is not called wrong unless it is known why
OF_LOSSES = {"missing derivative", "superfluous"}  # mistakes that another loss explains as well
LAYER = "layer"  # the kind of a mistake: each has the gradient of another one
LOSS = re.compile(r"^(?!.*grad).*(loss|cost|mse|verlust|perte|custo|perda|потер)|^J$", re.I)
HINGE = Loss(
    "hinge",
    lambda xp, p, t: xp.sum(xp.maximum(0.0, 1.0 - p * t)),
    lambda xp, p, t: xp.where(p * t < 1.0, -t, 0.0),
)
SQUARED_HINGE = Loss(
    "squared_hinge",
    lambda xp, p, t: 0.5 * xp.sum(xp.maximum(0.0, 1.0 - p * t) ** 2),
    lambda xp, p, t: -t * xp.maximum(0.0, 1.0 - p * t),
)

Values = dict[int, Any]  # by a parameter's number


@dataclass
class Along:
    """Directions, flat, in which a parameter was moved, and the slopes of outputs and losses."""

    length: float  # of a move
    bend: float  # how far it moves the sums of a unit
    ways: list[Any] = field(default_factory=list)
    outputs: list[Any] = field(default_factory=list)
    losses: list[Mapping[str, float]] = field(default_factory=list)


@dataclass(frozen=True)
class Slopes:
    """Slopes of the outputs that entered the error, measured by moving parameters."""

    outputs: Any  # flat, all that entered the error in one step
    targets: Any
    losses: Mapping[str, float]  # that the script names
    by_parameter: Mapping[int, Along]
    tolerance: float

    def of_losses(
        self, parameter: int, gradients: Mapping[str, Any]
    ) -> dict[str, tuple[Any, float, float]]:
        """Return each loss's slopes along a parameter's directions, and how far they may be off.

        That is by rounding, and by how the slope bends along a move: about how far sums move, times
        what the outputs add to the slope, which may cancel in the slope itself.
        """
        along, found = self.by_parameter[parameter], {}
        rounding = ROUNDING / along.length
        for name, gradient in gradients.items():
            slopes = np.array([gradient @ each for each in along.outputs])
            terms = [float(np.linalg.norm(gradient * each)) for each in along.outputs]  # may cancel
            lost = rounding * float(np.linalg.norm(gradient * self.outputs))
            bent = max((float(np.sum(np.abs(gradient * e))) for e in along.outputs), default=0.0)
            found[name] = slopes, lost + ROUNDING * max(terms, default=0.0), along.bend * bent
        for name, value in self.losses.items():
            slopes = np.array([each.get(name, np.nan) for each in along.losses])
            found[f"the script's {name}"] = slopes, rounding * abs(value), 0.0
        return found


@dataclass(frozen=True)
class Verdict:
    """What one measurement says of a parameter's gradient."""

    kind: str  # "right", "sign", "wrong" or "unknown"
    factor: float = 0.0  # of the gradient over the slope; 0 if it is no multiple
    step: float = 0.0  # the same, of what the update adds
    cosine: float = 0.0  # of the update and the way down


@dataclass(frozen=True)
class Measured:
    """What was measured after one step: of which loss, verdicts, and the mistakes that explain."""

    loss: str
    verdicts: Mapping[int, Verdict]
    mistakes: Mapping[int, Mistake | None]
    line: dict[float, float] = field(default_factory=dict)  # loss, by how far along the step


def usual_losses(p: Any, t: Any) -> dict[str, Loss]:
    """Return the usual losses, sums over all outputs p with targets t, whose slopes are known."""
    found = {"the squared error": LOSSES["half_squared_error"]}
    if np.all(np.abs(t) == 1.0):
        found |= {"the hinge loss": HINGE, "the squared hinge loss": SQUARED_HINGE}
    if np.min(p) >= 0.0 and np.max(p) <= 1.0:
        inside = (p >= 1e-12) & (p <= 1.0 - 1e-12)
        if np.all(inside | (np.abs(p - t) < 1e-9)):  # or else they depend on where p was cut
            found["the binary cross-entropy"] = LOSSES["binary_cross_entropy"]
            if np.any(t):  # or else it has no slope
                found["the cross-entropy"] = LOSSES["categorical_cross_entropy"]
    if np.min(p) > 0.0 and np.min(t) >= 0.0 and np.max(t) > 1.0:
        found["the Poisson loss"] = LOSSES["poisson"]
    return found | {"the absolute error": LOSSES["absolute_error"]}  # at 0 and 1 it is p - t, too


def compare(step: Step, slopes: Slopes, at: Values) -> Measured:
    """Judge each parameter by that loss to which most of them agree, and explain what is wrong."""
    roles, (p, t) = map_step(step), (slopes.outputs, slopes.targets)
    usual_ones, weights = usual_losses(p, t), _class_weights(roles, t)
    gradients = {name: each.derivative(CPU.xp, p, t) for name, each in usual_ones.items()}
    if weights is not None:
        gradients = {f"{n}, {WEIGHTED}": weights * each for n, each in gradients.items()}
    gradients |= _own_gradients(roles, p - t)
    judges = {
        n: Judge(n, roles.step, slopes, gradients, np.shape(at[n]))  # with a velocity's signs
        for n, along in slopes.by_parameter.items()
        if along.ways and roles.updates_of(n)
    }
    shares = np.min(p) >= 0.0 and np.max(p) <= 1.0
    cut = shares and "the binary cross-entropy" not in usual_ones
    ranked = list[tuple[float, str, dict[int, Verdict], list[float]]]()
    for loss in dict.fromkeys(name for each in judges.values() for name in each.slopes):
        found = {n: each.verdict(loss) for n, each in judges.items() if loss in each.slopes}
        usual = [_usual(found, judges, of) for of in ("factor", "step")]
        found = {n: judges[n].of_number(each, loss, usual) for n, each in found.items()}
        arrays = [n for n in found if len(judges[n].ways) > 1] or [*found]  # a number fits any
        agree = [n for n in arrays if found[n].kind in ("right", "sign")]
        close = sum(abs(found[n].cosine) - (found[n].kind == "wrong") for n in arrays)
        if cut:  # that the loss is none of these; a number alone agrees with any
            found = {n: v if v.kind != "wrong" and len(judges[n].ways) > 1 else Verdict("unknown")
                     for n, v in found.items()}  # fmt: skip
        ranked.append((round(len(agree) + 0.1 * close, 9), loss, found, usual))
    return _explained(roles, judges, sorted(ranked, key=lambda each: -each[0]))


def _explained(
    roles: Roles, judges: Mapping[int, "Judge"],
    ranked: Sequence[tuple[float, str, dict[int, Verdict], list[float]]],
) -> Measured:  # fmt: skip
    """Return what is measured by the best loss, or by the next if that explains all wrong ones."""
    best: Measured | None = None
    variants = Variants(roles)  # whose work is limited for all of them
    for _, loss, found, usual in ranked:
        kinds = [v.kind for n, v in found.items() if len(judges[n].ways) > 1]
        known = {"right", "sign"} & {*kinds}
        kinds = kinds if known else [each.kind for each in found.values()]
        down = kinds.count("right") >= kinds.count("sign")  # most updates go down
        for way in (down,) if known else (down, not down):  # a number's sign may be by chance
            mistakes = _mistakes(variants, judges, found, loss, usual, way)
            sure = best is None or _are_sure(mistakes, found, best)
            if sure and all(v.kind != "wrong" or n in mistakes for n, v in found.items()):
                return Measured(loss, found, mistakes)
            best = best or Measured(loss, found, mistakes)
    return best or Measured("", {}, {})


def _are_sure(
    mistakes: Mapping[int, Mistake | None], found: Mapping[int, Verdict], best: Measured
) -> bool:
    """Return whether mistakes explain what no other loss explains as well, and the best did not."""
    kinds = {each.kind for each in mistakes.values() if each}
    if not kinds or kinds & OF_LOSSES:
        return False
    return all(v.kind != "unknown" or best.verdicts[n].kind == "unknown" for n, v in found.items())


def _own_gradients(roles: Roles, errors: Any) -> Iterator[tuple[str, Any]]:
    """Yield what a step makes of each error alone, that grows with it: another loss's slope."""
    if roles.error.index is not None:
        return
    functions, order = roles.errors, np.argsort(errors)
    for each in roles.step.operations:
        arrays = [value for value in each.operands if value.size > 1]
        if not arrays or not all(value in functions for value in arrays):
            continue
        functions.add(each.result)
        data = np.asarray(each.result.data, dtype=float).ravel()
        if data.size == errors.size > ENOUGH and np.ptp(data):
            data = data * np.sign(np.diff(data[order[[0, -1]]]))
            grows = np.all(np.diff(data[order]) >= -1e-12 * np.ptp(data))
            if grows and np.all(data * errors >= 0.0):
                near = data[np.abs(errors) <= min(np.max(errors), -np.min(errors))]
                even = np.isclose(np.max(near, initial=0), -np.min(near, initial=0), rtol=0.2)
                yield f"{OWN if even else UNEVEN} {each.site.text}", data


def _class_weights(roles: Roles, targets: Any) -> Any:
    """Return what each row's error is multiplied by, if its target alone decides that."""
    error = roles.error
    if error.result.size != targets.size or targets.size < ENOUGH:
        return None
    count = error.result.shape[0]
    rows = np.reshape(targets, (count, -1))
    _, first, kind = np.unique(rows, axis=0, return_index=True, return_inverse=True)
    for each in roles.step.operations:
        others = [value for value in each.operands if value is not error.result]
        if each.name == "multiply" and len(others) == 1 and others[0].shape[:1] == (count,):
            weights = np.reshape(others[0].data, (count, -1))
            of_kinds = np.array_equal(weights, weights[first][np.ravel(kind)])
            if 2 * len(first) < count and of_kinds and np.all(weights > 0.0):
                return np.ravel(np.broadcast_to(weights, rows.shape))
    return None


def _usual(found: Mapping[int, Verdict], judges: Mapping[int, "Judge"], of: str) -> float:
    """Return how many times the slope most gradients are, arrays' first; 0 if it varies."""
    known = [(len(judges[n].ways) > 1, getattr(each, of)) for n, each in found.items()]
    factors = [each for each in known if each[1]]

    def votes(pair: tuple[bool, float]) -> tuple[bool, int]:
        return pair[0], sum(abs(pair[1] / each - 1.0) < EXACT for _, each in factors)

    best = max(factors, key=votes, default=(False, 0.0))
    return best[1] if votes(best) > (False, 1) else 0.0


def _mistakes(
    variants: Variants, judges: Mapping[int, "Judge"], found: Mapping[int, Verdict], loss: str,
    usual: Sequence[float], down: bool,
) -> dict[int, Mistake | None]:  # fmt: skip
    """Explain wrong gradients, from the outputs down; None where a cause above explains."""
    roles, changes = variants.roles, dict[Operation, Any]()
    # Of one number's sign, anything that happens to have the other one is no explanation.
    suspect = {n for n, each in found.items() if each.kind == "wrong"
               or (each.kind == "sign" and down and len(judges[n].ways) > 1)}  # fmt: skip
    mistakes = dict[int, Mistake | None]()
    updates = {n: roles.updates_of(n)[0] for n in suspect}
    # An optimizer's step is no multiple of any slope, but the gradient that enters it is; and what
    # the norm was made of, by which a step is clipped, is not searched for its mistake.
    steps = {n: u.gradient if u.optimizer or variants.is_clipped(u) else u.delta
             for n, u in updates.items()}  # fmt: skip
    for own, other in permutations(suspect, 2):  # which may have each other's
        alike = len(judges[other].ways) > 1 and judges[other].shape == judges[own].shape
        if alike and judges[other].agrees(loss, usual[1], down, steps[own].data):
            names, site = (roles.names[other], roles.names[own]), updates[own].operation.site
            mistakes[own] = Mistake(LAYER, site, "its own gradient", *names, {})
    for number, layer in reversed([*enumerate(roles.layers)]):
        both = [n for n in (layer.weights, layer.biases) if n in suspect and n not in mistakes]
        for n in both:
            agrees = partial(judges[n].agrees, loss, usual[1], down)
            if changes and agrees(variants.again(steps[n], changes)):
                mistakes[n] = None
                continue
            others = [steps[other] for other in both if other != n]
            mistake, more = variants.mistake(steps[n], number, changes, agrees, others)
            if mistake and (found[n].cosine < NEARLY or "derivative" in mistake.kind):
                mistakes[n] = mistake
                changes |= more
    return mistakes


class Judge:
    """Compares one parameter's update with slopes of a loss, along the directions measured."""

    def __init__(
        self, n: int, step: Step, slopes: Slopes, gradients: Mapping[str, Any], shape: Any
    ) -> None:
        self.ways, self.shape = np.stack(slopes.by_parameter[n].ways), shape
        self.slopes = slopes.of_losses(n, gradients)
        self.tolerance, change = slopes.tolerance, moved_by(step)[n]
        same = change is not None and np.shape(change) == self.shape
        self.change = self._along(change) if same else None
        parts = made_of(n, step) if same else ()
        self.made_of = [(self._along(_laid_out(v.data, self.shape)), sign) for v, sign in parts]
        update = next(each for each in step.updates if each.parameter == n)
        self.factor, self.sign = abs(update.factor) or 1.0, update.sign

    def _along(self, array: Any) -> Any:
        return self.ways @ np.ravel(array)

    def agrees(self, loss: str, usual: float, down: bool, change: Any) -> bool:
        """Return whether an update by this goes straight down the slope, or up."""
        if change is None or np.size(change) != int(np.prod(self.shape)):
            return False
        found = self._fit(self._along(_laid_out(change, self.shape)), self.slopes[loss][0])
        if found is None or (found * self.sign < 0.0) != down:
            return False
        return len(self.ways) > 1 or abs(abs(found) - usual) < EXACT * usual

    def of_number(self, verdict: Verdict, loss: str, usual: Sequence[float]) -> Verdict:
        """Judge one number, which is a multiple of any: by how many times the slope it is."""
        slope, _, bent = self.slopes[loss]
        if len(self.ways) > 1 or not verdict.factor or not all(usual):
            return verdict
        for each, sign in [*self.made_of, (self.change, 1)]:
            times = float(each[0]) / float(slope[0])
            ratios = [abs(times) / one for one in usual if times]
            both = [r for ratio in ratios for r in (ratio, 1.0 / ratio)]
            limit = self.tolerance + bent / abs(float(slope[0]))
            if any(r > 0.5 and abs(r - round(r)) < limit for r in both):
                return replace(verdict, kind="sign" if sign * times > 0.0 else "right")
        return replace(verdict, kind="wrong", cosine=0.0)

    def verdict(self, loss: str) -> Verdict:
        """Judge by the slopes of one loss, which may be off by rounding and by bending."""
        slope, rounding, bent = self.slopes[loss]
        change, size = self.change, float(np.linalg.norm(slope))
        if change is None or not np.all(np.isfinite([slope, change])):
            return Verdict("unknown")
        doubtful = bent > max(DOUBTFUL, self.tolerance) * size or size * self.tolerance <= rounding
        if doubtful or np.linalg.norm(change) < 1e-12 * size:
            return Verdict("unknown")
        cosine = float(-(change @ slope) / (size * np.linalg.norm(change)))
        found = list[tuple[bool, Verdict]]()  # with whether its sign is not known
        for each, sign, factor in [(change, 1, self.factor), *((*e, 0.0) for e in self.made_of)]:
            if (times := self._fit(each, slope, bent / size)) is not None:
                kind, times = "sign" if sign * times > 0.0 else "right", abs(times)
                step = times if factor else 0.0
                found.append((not sign, Verdict(kind, times / (factor or 1.0), step, cosine)))
        if len(self.ways) > 1:  # an optimizer's step may go up, where its gradient is right
            found.sort(key=lambda each: (each[0], each[1].kind))
        return found[0][1] if found else Verdict("wrong", cosine=cosine)

    def _fit(self, wanted: Any, slope: Any, doubt: float = 0.0) -> float | None:
        """Return how many times the slope something is; None if it is no multiple."""
        factor = float(wanted @ slope) / float(slope @ slope)
        error, size = np.linalg.norm(factor * slope - wanted), np.linalg.norm(wanted)
        return factor if error <= (self.tolerance + doubt) * size > 0.0 else None


def made_of(n: int, step: Step) -> Iterator[tuple[Value, int]]:
    """Yield what an update was made of, element by element, and its sign in it, 0: any."""
    updates, seen = [each for each in step.updates if each.parameter == n], set[Value]()
    if len(updates) > 1:
        return
    (update,) = updates
    waiting = [(update.delta, -1 if update.operation.name == "subtract" else 1)]
    while waiting:
        value, sign = waiting.pop(0)
        if value in seen or value.size != update.new.size:
            continue
        seen.add(value)
        data = np.asarray(value.data)
        if data.dtype.kind == "f" and np.all(np.isfinite(data)):
            yield value, sign
        if value.base is not None:
            waiting.append((value.base, sign))
        if (made := value.made_by).name not in MIXING:
            signs = [sign * _sign_of(made, i) for i in range(len(made.operands))]
            waiting += zip(made.operands, signs, strict=True)


def _sign_of(operation: Operation, i: int) -> int:
    """Return the sign with which operand i enters an operation; 0 if that is not clear."""
    name, others = operation.name, [v.data for j, v in enumerate(operation.operands) if j != i]
    if name in SAME_VALUES | {"add", "T", "item", "clip", "sum", "mean"}:
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
