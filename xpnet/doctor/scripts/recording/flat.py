"""Parameters that are one flat vector, of which each layer views a part, are taken apart.

After ``W = theta[:n].reshape(a, b)`` and ``theta -= rate * gradient``, a step is given that updates
W by its own part of the gradient. What the vector was computed from, element by element, is taken
apart with it, back to the arrays that the script has put together.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

import numpy as np

from xpnet.doctor.scripts.recording.steps import NOTHING, Operation, Step, Update, Value
from xpnet.doctor.scripts.recording.updates import JOINED, MIXING

LAYOUT = {"item", "reshape", "ravel", "flatten", "squeeze", "view", "asarray", "expand_dims"}

Span = tuple[int, int]  # of a vector's elements


class Part(NamedTuple):
    """Which elements of a vector a layer has, and how they lie there."""

    span: Span
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def of(self, vector: Any) -> Any:
        """Return these elements of a vector: a view, where it is one piece of memory."""
        flat = np.ascontiguousarray(vector)
        start = self.span[0] * flat.itemsize
        return np.ndarray(self.shape, flat.dtype, flat.data, start, self.strides)


def taken_apart(step: Step, numbers: dict[tuple[int, Span], int]) -> Step:
    """Return a step in which layers have parameters of their own; `numbers` are theirs, kept."""
    parts = {each: _parts(each, step.operations) for each in step.updates}
    if not numbers and not any(parts.values()):
        return step
    operations, updates = [*step.operations], list[Update]()
    places = dict[int, tuple[str, ...]]()
    for each in step.updates:
        found = parts[each]
        split = _Vector(each, found).split(operations) if found else {(0, 0): each}
        for span, own in split.items():
            n = numbers.setdefault((each.parameter, span), len(numbers))
            places[n] = tuple(own.old.names[-1:]) if found else step.places[each.parameter]
            updates.append(replace(own, parameter=n))
    named = tuple(places.get(n, ()) for n in range(len(numbers)))
    return replace(step, operations=tuple(operations), updates=tuple(updates), places=named)


def _parts(update: Update, operations: Sequence[Operation]) -> list[tuple[Part, Value]]:
    """Return the parts of a vector that are used ahead of its update, each with its first value."""
    whole, found = update.old.object, dict[Span, tuple[Part, Value]]()
    alike = update.delta.size == update.gradient.size == update.new.size == update.old.size
    if not isinstance(whole, np.ndarray) or whole.ndim != 1 or not alike:
        return []
    earlier = operations[: operations.index(update.operation)]
    for each in (operation for operation in earlier if operation.name not in LAYOUT):
        for value in each.operands:
            if (part := _part(value, whole)) is not None:
                _, own = found.setdefault(part.span, (part, value))
                texts = dict(zip(each.operands, each.site.operands, strict=False))
                known = value in texts and len(texts) == len(each.site.operands)
                if not own.names and known and texts[value].isidentifier():
                    own.names.append(texts[value])
    made = update.old.made_by
    if not found and made.name in JOINED:  # the layers' own arrays, put together
        for span, flat in _joined(made).items():
            value = _unflattened(flat)
            strides = np.empty(value.shape, whole.dtype).strides
            found[span] = Part(span, value.shape, strides), value
    apart = all(before[1] <= after[0] for before, after in pairwise(sorted(found)))
    covered = sum(stop - start for start, stop in found) == whole.size
    return [found[key] for key in sorted(found)] if apart and covered else []


def _part(value: Value, whole: Any) -> Part | None:
    """Return which part of a vector a value views, or holds if it is one element."""
    made, array = value.made_by, value.object
    if isinstance(array, np.ndarray):
        if array.base is None or array.size >= whole.size or not np.may_share_memory(array, whole):
            return None
        offset = array.ctypes.data - whole.ctypes.data
        if offset < 0 or not (array.flags.c_contiguous or array.flags.f_contiguous):
            return None
        start = offset // whole.itemsize
        return Part((start, start + array.size), array.shape, array.strides)
    if made.name != "item" or made.operands[0].object is not whole:
        return None
    span = _span(made.index, whole.size)
    return Part(span, (), ()) if span is not None else None


def _span(index: Any, size: int) -> Span | None:
    """Return from where to where an index goes, if it is one piece."""
    if isinstance(index, int | np.integer):
        return int(index) % size, int(index) % size + 1
    start, stop, step = index.indices(size) if isinstance(index, slice) else (0, 0, 0)
    return (start, stop) if step == 1 else None


def _joined(operation: Operation) -> dict[Span, Value]:
    """Return what was put together to a vector."""
    ends = accumulate((each.size for each in operation.operands), initial=0)
    return dict(zip(pairwise(ends), operation.operands, strict=True))


def _unflattened(value: Value) -> Value:
    """Return what was flattened to a value, if it was."""
    made = value.made_by
    if made.name not in LAYOUT or len(value.shape) != 1:
        return value
    whole = made.index is None and made.operands[0].size == value.size
    return _unflattened(made.operands[0]) if whole else value


class _Vector:
    """One update of a vector, to be taken apart."""

    def __init__(self, update: Update, parts: Iterable[tuple[Part, Value]]) -> None:
        self.update, self.parts = update, dict(parts)
        self.made = list[Operation]()  # what computes the parts
        self.known = {(update.old, part): value for part, value in self.parts.items()}

    def split(self, operations: list[Operation]) -> dict[Span, Update]:
        """Return the updates of all parts; have the step's operations use these."""
        place, updates = operations.index(self.update.operation), dict[Span, Update]()
        old = {part.span: value for part, value in self.parts.items()}
        before = [*_on_parts(operations[:place], self.update.old.object, old)]
        for part in self.parts:
            updates[part.span] = self._update(part)
        new = {span: each.new for span, each in updates.items()}
        after = [*_on_parts(operations[place + 1 :], self.update.new.object, new)]
        operations[:] = [*before, *self.made, *after]
        return updates

    def _update(self, part: Part) -> Update:
        whole, made = self.update, self.update.operation
        delta, gradient = (self._of(part, value) for value in (whole.delta, whole.gradient))
        operands = tuple(self._of(part, value) for value in made.operands)
        new = self._made(part, made.result, made, operands)
        new.object = part.of(whole.new.object)
        return replace(whole, operation=self.made[-1], old=self.parts[part], new=new,
                       delta=delta, gradient=gradient)  # fmt: skip

    def _of(self, part: Part, value: Value) -> Value:
        """Return a part of what the update was computed from."""
        if value.size != self.update.old.size:
            return value
        key = value, part
        if key not in self.known:
            self.known[key] = self._found(part, value) or self._made(
                part, value, value.made_by or self.update.operation, (value,), "item", part.span
            )
        return self.known[key]

    def _found(self, part: Part, value: Value) -> Value | None:
        """Return what the script itself has for a part, or what computes it from such."""
        made = value.made_by
        if made.name in MIXING or not made.operands:
            return None
        if made.name in JOINED:
            found = _joined(made).get(part.span)
            return None if found is None else self._laid_out(part, found)
        if made.name == "put" and (span := _span(made.index, value.size)) is not None:
            if span == part.span:
                return self._laid_out(part, made.operands[1])
            apart = span[1] <= part.span[0] or part.span[1] <= span[0]
            return self._of(part, made.operands[0]) if apart else None
        if made.index is None and all(v.size in (1, value.size) for v in made.operands):
            operands = tuple(self._of(part, each) for each in made.operands)
            return self._made(part, value, made, operands)
        return None

    def _laid_out(self, part: Part, value: Value) -> Value:
        """Return what was flattened to a value, if it had a part's shape; or else make it so."""
        for each in (value, _unflattened(value)):
            if each.shape == part.shape:
                return each
        made, whole = value.made_by or self.update.operation, part._replace(span=(0, value.size))
        return self._made(whole, value, made, (value,), "reshape")

    def _made(
        self, part: Part, whole: Value, like: Operation, operands: tuple[Value, ...],
        name: str = "", index: Span | None = None,
    ) -> Value:  # fmt: skip
        """Return a part of a value, by an operation that makes it of parts of others."""
        data = part.of(whole.data)
        result, at = Value(data, data, names=[*whole.names]), slice(*index) if index else None
        operation = Operation(like.site, name or like.name, operands, result, like.place, at)
        result.made_by = operation
        self.made.append(operation)
        return result


def _on_parts(
    operations: Iterable[Operation], whole: Any, own: Mapping[Span, Value]
) -> Iterator[Operation]:
    """Yield operations that use a part's one value, in place of each view of it."""

    def mine(value: Value) -> Value | None:
        part = _part(value, whole)
        return own.get(part.span) if part else None

    for each in operations:
        if each.name not in LAYOUT:
            for value in each.operands:
                part = mine(value)
                if part is not None and part is not value and part.shape == value.shape:
                    part.names += value.names
                    each.operands = tuple(part if v is value else v for v in each.operands)
            yield each
            continue
        part = mine(each.result)
        if part is not None and part.shape == each.result.shape:
            if part is not each.result:
                part.names += each.result.names
            part.made_by, part.base = NOTHING, None
            continue
        if part is not None:
            each.operands, each.name, each.index = (part,), "reshape", None
        yield each
