"""Parameters that are one flat vector, of which each layer views a part, are taken apart.

After ``W = theta[:n].reshape(a, b)`` and ``theta -= rate * gradient``, a step is given that updates
W by its own part of the gradient. What the vector was computed from, element by element, is taken
apart with it, back to the arrays that the script has put together.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from typing import Any

import numpy as np

from xpnet.doctor.scripts.recording.steps import Operation, Step, Update, Value
from xpnet.doctor.scripts.recording.updates import JOINED, MIXING

LAYOUT = {"item", "reshape", "ravel", "flatten", "squeeze", "view", "asarray", "expand_dims"}


@dataclass(frozen=True)
class Part:
    """Which elements of a vector a layer has, and how they lie there."""

    start: int
    stop: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def of(self, vector: Any) -> Any:
        """Return these elements of a vector: a view, where it is one piece of memory."""
        flat = np.ascontiguousarray(vector)
        return np.ndarray(
            self.shape, flat.dtype, flat.data, self.start * flat.itemsize, self.strides
        )


def taken_apart(step: Step, numbers: dict[tuple[int, int], int]) -> Step:
    """Return a step in which layers have parameters of their own; `numbers` are theirs, kept."""
    parts = {id(each): _parts(each, step.operations) for each in step.updates}
    if not numbers and not any(parts.values()):
        return step
    operations, updates = [*step.operations], list[Update]()
    places = dict[int, tuple[str, ...]]()
    for each in step.updates:
        found = parts[id(each)]
        split = _Vector(each, found).split(operations) if found else [each]
        for part, own in zip([*found] or [Part(0, 0, (), ())], split, strict=True):
            n = numbers.setdefault((each.parameter, part.start), len(numbers))
            known = (*own.old.names[-1:],) if found else step.places[each.parameter]
            places.setdefault(n, known)
            updates.append(replace(own, parameter=n))
    named = tuple(places.get(n, ()) for n in range(len(numbers)))
    return replace(step, operations=tuple(operations), updates=tuple(updates), places=named)


def _parts(update: Update, operations: Sequence[Operation]) -> dict[Part, Value]:
    """Return the parts of a vector that are used ahead of its update, each with its first value."""
    whole, found = update.old.object, dict[tuple[int, int], tuple[Part, Value]]()
    alike = update.delta.size == update.gradient.size == update.new.size == update.old.size
    if not isinstance(whole, np.ndarray) or whole.ndim != 1 or not alike:
        return {}
    if (made := update.old.made_by) is not None and made.name in JOINED:
        values = [*map(_unflattened, made.operands)]
        ends = accumulate((each.size for each in values), initial=0)
        spans = [(*span, each.shape, np.empty(each.shape, whole.dtype).strides)
                 for span, each in zip(pairwise(ends), values, strict=True)]  # fmt: skip
        return {Part(*each): value for each, value in zip(spans, values, strict=True)}
    for each in _until(update.operation, operations):
        for value in each.operands if each.name not in LAYOUT else ():
            if (part := _part(value, whole)) is not None:
                _, own = found.setdefault((part.start, part.stop), (part, value))
                texts = dict(zip(each.operands, each.site.operands, strict=False))
                if not own.names and len(texts) == len(each.site.operands):
                    own.names += [texts[value]] * texts[value].isidentifier()
    apart = all(one[1] <= other[0] for one, other in pairwise(sorted(found)))
    covered = sum(stop - start for start, stop in found)
    return dict(found[key] for key in sorted(found)) if apart and covered == whole.size else {}


def _unflattened(value: Value) -> Value:
    """Return what was flattened to a value, if it was."""
    made = value.made_by
    flat = made is not None and made.name in LAYOUT and len(value.shape) == 1
    if made is None or not flat or made.index is not None or made.operands[0].size != value.size:
        return value
    return _unflattened(made.operands[0])


def _until(last: Operation, operations: Iterable[Operation]) -> Iterator[Operation]:
    for each in operations:
        if each is last:
            return
        yield each


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
        return Part(start, start + array.size, array.shape, array.strides)
    if made is not None and made.name == "item" and isinstance(made.index, int | np.integer):
        start = int(made.index) % whole.size
        return Part(start, start + 1, (), ()) if made.operands[0].object is whole else None
    return None


class _Vector:
    """One update of a vector, to be taken apart."""

    def __init__(self, update: Update, parts: dict[Part, Value]) -> None:
        self.update, self.parts = update, parts
        self.made = list[Operation]()  # what computes the parts
        self.known = dict[tuple[int, Part], Value]()
        self.old = {(part.start, part.stop): value for part, value in parts.items()}
        self.new = dict[tuple[int, int], Value]()

    def split(self, operations: list[Operation]) -> list[Update]:
        """Return the updates of all parts; have the step's operations use these."""
        place, updates = operations.index(self.update.operation), list[Update]()
        before = [*self._on_parts(operations[:place], self.update.old.object, self.old)]
        for part, value in self.parts.items():
            value.made_by = value.base = None
            updates.append(self._update(part))
            self.new[part.start, part.stop] = updates[-1].new
        after = [*self._on_parts(operations[place + 1 :], self.update.new.object, self.new)]
        operations[:] = [*before, *self.made, *after]
        return updates

    def _on_parts(
        self, operations: Iterable[Operation], whole: Any, own: dict[tuple[int, int], Value]
    ) -> Iterator[Operation]:
        """Yield operations that use a part's one value, in place of each view of it."""
        for each in operations:
            for value in each.operands if each.name not in LAYOUT else ():
                part = _part(value, whole)
                mine = own.get((part.start, part.stop)) if part else None
                if mine is not None and mine is not value and mine.shape == value.shape:
                    mine.names += value.names
                    each.operands = tuple(mine if v is value else v for v in each.operands)
            part = _part(each.result, whole) if each.name in LAYOUT else None
            mine = own.get((part.start, part.stop)) if part else None
            if mine is not None and mine.shape == each.result.shape:
                mine.names += each.result.names if mine is not each.result else []
                continue
            if mine is not None:
                each.operands, each.name, each.index = (mine,), "reshape", None
            yield each

    def _update(self, part: Part) -> Update:
        whole = self.update
        made = whole.operation
        delta, gradient = (self._of(part, value) for value in (whole.delta, whole.gradient))
        operands = tuple(self._of(part, value) for value in made.operands)
        operation = self._add(part, made, operands, made.result)
        operation.result.object = part.of(whole.new.object)
        return replace(whole, operation=operation, old=self.parts[part], new=operation.result,
                       delta=delta, gradient=gradient)  # fmt: skip

    def _of(self, part: Part, value: Value) -> Value:
        """Return a part of what the update was computed from."""
        if value is self.update.old:
            return self.parts[part]
        if value.size != self.update.old.size:
            return value
        key = id(value), part
        if key not in self.known:
            self.known[key] = self._found(part, value) or self._item(part, value)
        return self.known[key]

    def _found(self, part: Part, value: Value) -> Value | None:
        """Return what the script itself has for a part, or what computes it from such."""
        made = value.made_by
        if made is None or made.name in MIXING or not made.operands:
            return None
        if made.name in JOINED:
            ends = accumulate((each.size for each in made.operands), initial=0)
            spans = dict(zip(pairwise(ends), made.operands, strict=True))
            found = spans.get((part.start, part.stop))
            return None if found is None else self._laid_out(part, found)
        if made.name == "put" and made.index is not None:
            span = _span(made.index, value.size)
            if span == (part.start, part.stop):
                return self._laid_out(part, made.operands[1])
            apart = span is not None and (span[1] <= part.start or part.stop <= span[0])
            return self._of(part, made.operands[0]) if apart else None
        if made.index is None and all(v.size in (1, value.size) for v in made.operands):
            operands = tuple(self._of(part, each) for each in made.operands)
            return self._add(part, made, operands, value).result
        return None

    def _laid_out(self, part: Part, value: Value) -> Value:
        """Return what was flattened to a value, if it had a part's shape; or else make it so."""
        if value.shape == part.shape or (flat := _unflattened(value)).shape == part.shape:
            return value if value.shape == part.shape else flat
        made = value.made_by or self.update.operation
        whole = replace(part, start=0, stop=value.size)
        return self._add(whole, made, (value,), value, "reshape").result

    def _item(self, part: Part, value: Value) -> Value:
        made = value.made_by or self.update.operation
        index = slice(part.start, part.stop)
        return self._add(part, made, (value,), value, "item", index).result

    def _add(
        self, part: Part, like: Operation, operands: tuple[Value, ...], whole: Value,
        name: str = "", index: Any = None,
    ) -> Operation:  # fmt: skip
        data = part.of(whole.data)
        result = Value(data, data, names=[*whole.names])
        operation = Operation(like.site, name or like.name, operands, result, like.place, index)
        result.made_by = operation
        self.made.append(operation)
        return operation


def _span(index: Any, size: int) -> tuple[int, int] | None:
    """Return from where to where an index goes, if it is one piece."""
    if isinstance(index, int | np.integer):
        return int(index) % size, int(index) % size + 1
    if not isinstance(index, slice):
        return None
    start, stop, step = index.indices(size)
    return (start, stop) if step == 1 else None
