"""Measure the gradient of an unchanged script: what its own next step makes of moved parameters.

At the end of a training step the process forks. Each child moves one entry of one parameter, runs
the script's own next step, and sends back the outputs that entered the error. Their slopes are
compared with what an unmoved step does; `verdicts` has the comparison, which a child makes too: it
has that step's whole record at hand.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from xpnet.backend.device import CPU
from xpnet.doctor.scripts.gradients.verdicts import (
    EXACT,
    EXACT_FLOAT32,
    LOSS,
    Along,
    Measured,
    Slopes,
    Values,
    compare,
    moved_by,
    usual_losses,
)
from xpnet.doctor.scripts.mapping import a_few, at_place, map_step
from xpnet.doctor.scripts.recording.budget import children_seconds, processor_seconds
from xpnet.doctor.scripts.recording.fork import Child, ask, obstacle
from xpnet.doctor.scripts.recording.steps import Step
from xpnet.doctor.scripts.recording.trace import Recorder
from xpnet.doctor.scripts.recording.updates import ancestors, negated

DIRECTIONS = 3  # in which each parameter is moved
POINTS = 2  # steps after which is measured, or one more if they do not show all
LONGEST_STEP = 10.0  # seconds that a child may take
OFF_ZERO = 1e-4  # how far at most a parameter of 0 is moved, to be measured there
LARGE = 1000.0  # inputs for which shorter moves are not lost in rounding
UNFINISHED = "another step did not end, perhaps for a file written in the loop: here it is not"
LENGTHS = 1.0, 0.1, 0.01  # times the first step, that are tried


class _GoOn(BaseException):
    """Raised in a child, which must return into the script."""


class _Moved:
    """A recorder's hooks, for which some numbers of the script are others."""

    def __init__(self, hooks: Recorder, numbers: dict[int, Any]) -> None:
        self._hooks, self._numbers = hooks, numbers

    def __getattr__(self, name: str) -> Any:
        hook = getattr(self._hooks, name)
        return lambda *given, **options: self._other(hook(*map(self._other, given), **options))

    def part_in_place(self, place: int, owner: Any, index: Any, value: Any) -> None:
        """Have the hook see the other number in a list, too."""
        if not isinstance(owner, np.ndarray):
            owner[index] = self._other(owner[index])
        self._hooks.part_in_place(place, owner, index, value)

    def _other(self, value: Any) -> Any:
        return self._numbers.get(id(value), value)


class Measurer:
    """Looks at a recorder's steps, and measures after a few; `problem` is why nothing could be."""

    def __init__(self, recorder: Recorder) -> None:
        self.points, self.problem, self.runs = list[Measured](), "", 0
        self._recorder, self._cost = recorder, 0.0  # seconds that a point took
        self._child: Child | None = None
        self._reply: Callable[[Step], Any] = lambda step: None
        self._start: Values = {}  # the parameters' first values
        recorder.on_step.append(self.look)

    def look(self, step: Step) -> None:
        """Measure after a step, if there is time; in a child, answer."""
        if self._child is not None:
            try:
                reply = self._reply(step)
            except Exception as error:  # noqa: BLE001  # the parent says it
                reply = error
            self._child.answer(reply)
        for update in step.updates:
            self._start.setdefault(update.parameter, np.array(update.old.data))
        unknown = [{n for n, v in p.verdicts.items() if v.kind == "unknown"} for p in self.points]
        not_seen = bool(unknown) and bool(set.intersection(*unknown))
        enough = len(self.points) >= POINTS + not_seen
        if not step.live or enough or not self._recorder.budget.allows(more=self._cost):
            return
        began, children = processor_seconds(), children_seconds()
        try:
            self.problem = obstacle() or self._measure(step)
        except _GoOn:
            return
        except Exception:  # the script must go on
            self.problem = "its next step could not be compared with this one"
            logging.getLogger(__name__).debug(self.problem, exc_info=True)
        self._cost = processor_seconds() - began
        self._recorder.budget.spent += children_seconds() - children

    def _ask(self, moves: Sequence[Values], reply: Callable[[Step], Any]) -> list[Any]:
        """Return what children reply that each make some moves and then the script's next step."""
        self._reply = reply
        found = ask([partial(self._move, each) for each in moves], LONGEST_STEP)
        if isinstance(found, Child):
            self._child = found
            self._recorder.on_step[:] = [self.look]  # nobody else looks at what a child does
            self._recorder.steps = 0  # or else it could rest where its one step is awaited
            raise _GoOn
        self.runs += len(moves)
        for each in found:
            if isinstance(each, Exception):
                raise each
        return found

    def _move(self, values: Values) -> None:
        numbers = dict[int, Any]()
        for n, value in values.items():
            now = self._now[n]
            if isinstance(now, np.ndarray):
                now[...] = value
            else:
                numbers[id(now)] = type(now)(value)
        if numbers:
            for namespace in self._recorder.modules:
                namespace["__xp__"] = _Moved(self._recorder, numbers)

    def _measure(self, step: Step) -> str:
        """Measure at this point; return why nothing could be, or nothing."""
        roles = map_step(step)
        self._now = {each.parameter: each.new.object for each in a_few(roles.step.updates)
                     if each.parameter not in roles.several
                     and np.asarray(each.new.object).dtype.kind == "f"}  # fmt: skip
        at = self._where()
        (found,) = self._ask([at], seen_in)
        if found is None:
            return UNFINISHED
        (place, side, sides), steps, losses, inputs = found
        if not sides:
            return "no difference of outputs and targets was found"
        shapes = [np.broadcast_shapes(*map(np.shape, each)) for each in sides]

        def outputs(step: Step) -> Any:
            found = [each[0] for each in errors_at(step, place, side)]
            fits = len(found) == len(shapes)
            return (joined(found, shapes), named_losses(step)) if fits else None

        p, t = (joined([each[i] for each in sides], shapes) for i in (0, 1))
        along = self._slopes(at, _strides(at, inputs), steps, (p, losses), outputs)
        float32 = any(each.dtype == np.float32 for each in at.values())
        measured = Slopes(p, t, losses, along, EXACT_FLOAT32 if float32 else EXACT)
        (found,) = self._ask([at], lambda step: compare(step, measured, at))
        if found is None:
            return UNFINISHED
        first = next(iter(self.points), found)
        right = [{v.kind for v in each.verdicts.values()} <= {"right"} for each in (first, found)]
        if found.loss != first.loss and all(right):  # at the first point their slopes are alike
            self.points[0] = replace(first, loss=found.loss, line={})
        elif found.loss != first.loss and right[0]:  # where that loss is not defined
            found = replace(found, verdicts={}, mistakes={})
        self.points.append(found)
        known = {v.kind for v in found.verdicts.values()} <= {"right", "unknown"}
        loss = usual_losses(p, t).get(found.loss)
        if known and len(self.points) == 1 and loss is not None:  # along the step
            ways = [at | {n: at[n] + f * d for n, d in steps.items() if n in at} for f in LENGTHS]
            ends = zip((0.0, *LENGTHS), [(p,), *self._ask(ways, outputs)], strict=True)
            found.line.update({f: float(loss.value(CPU.xp, end[0], t)) for f, end in ends if end})
        return ""

    def _slopes(
        self, at: Values, strides: Mapping[int, tuple[float, float]], steps: Values, here: Any,
        outputs: Callable[[Step], Any],
    ) -> dict[int, Along]:  # fmt: skip
        """Return the slopes of outputs and named losses along directions of each parameter."""
        runs = [(n, way) for n, value in at.items() for way in directions(value, steps.get(n))]
        moves = [at | {n: at[n] + strides[n][0] * way} for n, way in runs]
        (p, losses), found = here, {n: Along(*strides[n]) for n in at}
        for (n, way), end in zip(runs, self._ask(moves, outputs), strict=True):
            if end is not None:
                e = found[n].length
                found[n].ways.append(np.ravel(way))
                found[n].outputs.append((end[0] - p) / e)
                known = losses.keys() & end[1].keys()
                found[n].losses.append({k: (end[1][k] - losses[k]) / e for k in known})
        return found

    def _where(self) -> Values:
        """Return the values to measure at.

        First from the start, then where the script is, then from a mirrored start, with
        smaller weights if they are large: there nothing is saturated, dead or diverged.
        """
        matrices = [v for v in self._start.values() if min(v.shape, default=0) > 1]
        off = _off_zero if all(map(np.any, matrices)) else lambda value, seed: value
        at = {n: off(np.array(v), n) for n, v in self._now.items()}
        first = {n: off(self._start[n], n) for n, v in at.items()
                 if self._start[n].shape == v.shape}  # fmt: skip
        if len(self.points) == 1:
            return at
        if self.points:
            first = {
                n: (v * np.where(_noise(v, n) > 0.0, 1, -1) + 0.1 * _noise(v, n + 1))
                / max(1.0, float(np.sqrt(np.mean(np.square(v)) * max(v.shape, default=1))))
                for n, v in first.items()
            }
        return at | first


def seen_in(step: Step) -> tuple[tuple[int, int, list[Any]], Values, dict[str, float], Values]:
    """Return where outputs meet targets, how parameters moved, losses, and the largest inputs."""
    roles, error = map_step(step), (-1, 0, list[Any]())
    if roles.error:
        side = int(roles.error.operands[0] is not roles.outputs[0])
        error = roles.error.place, side, errors_at(step, roles.error.place, side)
    largest = {e.weights: float(np.max(np.abs(e.inputs.data), initial=0.0)) for e in roles.layers}
    return error, moved_by(step), named_losses(step), largest


def errors_at(step: Step, place: int, side: int) -> list[Any]:
    """Return pairs of outputs and targets, as they met at a place of the source in one step."""
    found, cone = [], ancestors(update.delta for update in step.updates)
    for each in at_place(step, place, cone):
        pair = [np.array(value.data, dtype=float) for value in each.operands[:2]]
        if each.index is not None:  # outputs[rows, labels] -= 1
            pair = [pair[0], pair[0] - each.result.data]
        elif each.name == "add":  # outputs + (-targets)
            if negated(each.operands[1 - side]) is None:
                continue
            pair[1 - side] = -pair[1 - side]
        found.append(pair[::-1] if side else pair)
    return found


def named_losses(step: Step) -> dict[str, float]:
    """Return the losses that a step assigned to names, the last of each name."""
    return {
        name: each.result.number
        for each in step.operations
        for name in each.result.names
        if each.result.size == 1 and LOSS.search(name.rpartition(".")[2])
    }


def joined(sides: list[Any], shapes: list[Any]) -> Any:
    """Put the outputs or targets of one step together, flat."""
    both = zip(sides, shapes, strict=True)
    return np.concatenate([np.broadcast_to(each, shape).ravel() for each, shape in both])


def _noise(value: Any, seed: int) -> Any:
    return np.random.default_rng(seed).normal(size=np.shape(value))


def _off_zero(value: Any, seed: int) -> Any:
    """Move what is exactly 0, where a ReLU of biases alone has no slope."""
    return np.where(value == 0.0, OFF_ZERO * np.tanh(_noise(value, seed)), value).astype(
        value.dtype
    )


def directions(value: Any, step: Any) -> list[Any]:
    """Return unit vectors in which to move a parameter: where its step went, and at random."""
    ways = [_noise(value, seed) for seed in range(min(DIRECTIONS, np.size(value)))]
    if len(ways) > 1 and np.shape(step) == np.shape(value) and 0.0 < np.linalg.norm(step) < np.inf:
        ways[0] = step
    return [way / np.linalg.norm(way) for way in ways]


def _strides(at: Values, inputs: Mapping[int, float]) -> dict[int, tuple[float, float]]:
    """Return how far each parameter goes, little beside its units' sums, and how far those go."""
    sizes = {n: float(np.sqrt(np.mean(np.square(value)))) for n, value in at.items()}
    sizes = {n: size if size > OFF_ZERO else 0.0 for n, size in sizes.items()}
    least = min((size for size in sizes.values() if 0.0 < size < 1.0), default=1.0)
    found = dict[int, tuple[float, float]]()
    for n, size in sizes.items():
        exact, times = at[n].dtype != np.float32, max(1.0, inputs.get(n, 1.0))
        length, shorter = (1e-6, min(times, LARGE)) if exact else (3e-3, 1.0)
        length *= size or least
        found[n] = length / shorter, length * times / shorter
    return found
