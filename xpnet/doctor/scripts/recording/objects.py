"""The script's objects: which value each has now, whose memory it shares, and how it is reached."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from types import FrameType
from typing import Any

import numpy as np

from xpnet.doctor.scripts.recording.steps import NOTHING, Operation, Value

COPIED = 1 << 20  # larger arrays are not copied: they are rarely changed in place
MAX_VIEWS = 64  # of one array, that others may be parts of
MAX_LIST = 256  # items of a list whose numbers are followed
MAX_PLACES = 10_000  # where a parameter is looked for


class Objects:
    """The latest value of each array and number that the script was seen to compute with."""

    def __init__(self) -> None:
        self._known: dict[int, Value] = {}
        # By the id of the array that has the memory, and their own: the first are the largest.
        self._views: dict[int, dict[int, Value]] = {}

    def values(
        self, objects: tuple[Any, ...], literals: tuple[float, ...] = ()
    ) -> tuple[Value, ...]:
        """Return objects' values; a literal is one object wherever it stands, but not one value."""
        return tuple(
            each if isinstance(each, Value)
            else Value(each, each) if type(each) is float and each in literals
            else self.value(each)
            for each in objects
        )  # fmt: skip

    def value(self, given: Any) -> Value:
        """Return the latest value of an object."""
        return self.latest(given) or self.new(given, NOTHING)

    def latest(self, given: Any) -> Value | None:
        """Return the latest value of an object, None if it has not been seen."""
        known = self._known.get(id(given))
        return known if known is not None and known.object is given else None

    def new(self, given: Any, made_by: Operation) -> Value:
        """Return an object's new value, made by an operation."""
        data = given
        if isinstance(given, np.ndarray):
            data = given.copy() if given.size <= COPIED else given
        elif hasattr(given, "shape") and not isinstance(given, np.generic):
            data = np.array(given)
        value = Value(given, data, made_by)
        if isinstance(given, int):  # shared by all of Python
            return value
        self._known[id(given)] = value
        if isinstance(given, np.ndarray):
            self._share(value)
        return value

    def _share(self, value: Value) -> None:
        """Note whose memory an array has."""
        given, made = value.object, value.made_by
        root = _owner(given)
        part = _is_part_of_vector(given, root)
        if part and not made:
            self.value(root)  # the first, which is the base
        sharing = self._views.setdefault(id(root), {})
        if made is NOTHING and root is not given:
            first = islice(sharing.values(), MAX_VIEWS)
            value.base = next((v for v in first if _overlap(v.object, given)), None)
        if part or (value.base is None and made.name not in ("T", "item")):
            sharing.pop(id(given), None)
            sharing[id(given)] = value

    def changed(self, operation: Operation) -> Operation:
        """Follow an operation that changes an array in place into what shares its memory.

        Returns the change of the vector that the array is a part of, `NOTHING` if it is none.
        """
        value, given = operation.result, operation.result.object
        in_place = any(each.object is given for each in operation.operands)
        if not in_place or not isinstance(given, np.ndarray):
            return NOTHING
        root = _owner(given)
        if _is_part_of_vector(given, root):
            start = (given.ctypes.data - root.ctypes.data) // root.itemsize
            put = Operation(operation.site, "put", (self.value(root), value), value,
                            operation.place, slice(start, start + given.size))  # fmt: skip
            put.result = self._known[id(root)] = Value(root, root.copy(), put)
            self._views[id(root)][id(root)] = put.result
            return put
        if root is given:
            for number in self._views[id(root)].keys() - {id(given)}:
                self._known.pop(number, None)
            self._views[id(root)] = {id(given): value}
        return NOTHING


def names_by_id(modules: Sequence[Mapping[str, Any]]) -> dict[int, list[str]]:
    """Return how a script, now running, reaches its objects, by their ids: ``net.weights[0]``."""
    frame: FrameType | None = sys._getframe()
    scopes = list[Mapping[str, Any]]()
    while frame is not None:
        if any(frame.f_globals is each for each in modules):
            scopes.append(frame.f_locals)
        frame = frame.f_back
    found, own = dict[int, list[str]](), {each.get("__name__") for each in modules}
    waiting = [(name, value, 0) for scope in (*modules, *reversed(scopes))
               for name, value in scope.items() if not name.startswith("__")]  # fmt: skip
    for text, value, depth in waiting:
        found.setdefault(id(value), []).append(text)
        if depth < 3 and len(waiting) < MAX_PLACES:
            waiting += [(text + n, each, depth + 1) for n, each in _inside(value, own)]
    return found


def _inside(value: Any, modules: set[Any]) -> Iterator[tuple[str, Any]]:
    """Yield what a list, a dict or an object of the script's own classes holds."""
    if isinstance(value, list | tuple | dict) and len(value) <= MAX_LIST:
        items = value.items() if isinstance(value, dict) else enumerate(value)
        yield from ((f"[{key!r}]", each) for key, each in items)
    elif type(value).__module__ in modules:
        yield from ((f".{key}", each) for key, each in getattr(value, "__dict__", {}).items())


def _owner(array: Any) -> Any:
    """Return the array that has the memory."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def _is_part_of_vector(array: Any, owner: Any) -> bool:
    """Return whether an array is a part of a vector, which may hold all parameters."""
    return bool(owner.ndim == 1 and owner.size > array.size and owner.dtype.kind == "f")


def _overlap(one: Any, other: Any) -> bool:
    """Return whether two views have memory in common: not as a table's first and last columns."""
    work: Any = 1000  # NumPy's types know two numbers only
    try:
        return bool(np.shares_memory(one, other, max_work=work))
    except np.exceptions.TooHardError:
        return True
