"""A training step as it is recorded: values, the operations that made them, and the updates."""

import ast
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from xpnet.doctor.scripts.recording.instrument import Site


@dataclass(eq=False, slots=True)
class Value:
    """One state of an array or a number of the script."""

    object: Any  # the script's own; it may have changed since
    data: Any  # a copy, or the object itself if it is a number or larger than `COPIED`
    made_by: "Operation" = field(default_factory=lambda: NOTHING)
    base: "Value | None" = None  # of which it is a view
    names: list[str] = field(default_factory=list)  # it was assigned to

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the data, () for a number."""
        return tuple(getattr(self.data, "shape", ()))

    @property
    def size(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)

    @property
    def number(self) -> float:
        """The number that it is, or the first one."""
        return float(np.ravel(self.data)[0])


@dataclass(eq=False, slots=True)
class Operation:
    """One operation that the script computed; false if it is `NOTHING`."""

    site: Site
    name: str  # "add", "subtract", "matmul", "dot", "exp", "T", "item", "put", ...
    operands: tuple[Value, ...]
    result: Value
    place: int  # number of its site
    index: Any = None  # of "item", "put" and what is changed in part

    def __bool__(self) -> bool:
        return self is not NOTHING

    @property
    def line(self) -> int:
        """Where it stands in its file."""
        return self.site.line


# What made a value that was there before, or that nobody saw being made.
_no_value: Any = None  # which takes `NOTHING` to make
NOTHING: Operation = Operation(Site("", 0, 0, 0, 0, "", ast.AST, ""), "", (), _no_value, -1)
NOTHING.result = Value(None, None)


@dataclass(frozen=True, eq=False)
class Update:
    """How one step changed one parameter: ``new = old + sign * factor * gradient``."""

    parameter: int  # the same for the same parameter in every step: 0, 1, ...
    operation: Operation  # the addition or subtraction
    old: Value
    new: Value
    delta: Value  # what is added or subtracted: factor * gradient
    sign: int  # of delta: -1 if it is subtracted
    factor: float  # the numbers that multiply the gradient, multiplied with each other
    gradient: Value  # the first named value below delta, or all of it but the numbers
    scalars: tuple[tuple[str, float], ...]  # texts and values of the numbers in `factor`
    optimizer: str = ""  # "momentum" or "adaptive" if a state stands between gradient and delta

    def divides_by(self, rows: int) -> bool:
        """Return whether one of its numbers is 1 / rows."""
        return any(abs(number * rows - 1.0) < 1e-9 for _, number in self.scalars)


@dataclass(frozen=True, eq=False)
class Step:
    """A training step, from the last update of the one before to its own last update."""

    number: int  # how many steps the script has taken before; 0 for its first
    operations: tuple[Operation, ...]
    updates: tuple[Update, ...]  # in order; several for a parameter that is updated in parts
    live: bool = True  # the script stands at this step's end now; False for its first two
    places: tuple[tuple[str, ...], ...] = ()  # of each parameter: ``net.weights[0]``
    roles: Mapping[str, Sequence[str]] = field(default_factory=dict)  # names that the user gave
