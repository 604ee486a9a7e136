"""Points on a plane with targets: the usual toy sets, the origin cases', or a table's rows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

TABLE = "your table"
COMPONENTS = ("component 1", "component 2")


@dataclass(frozen=True)
class Points:
    """Rows to learn from: x (rows, 2), of a whole table (rows, inputs); y (rows,).

    Targets are 0 or 1, those of a regression from -1 to 1.
    """

    x: Any
    y: Any
    names: Sequence[str] = ("x1", "x2")
    regression: bool = False

    def axes(self, horizontal: str, vertical: str) -> "Points":
        """Return a table's points on the plane of two inputs, or of its main components."""
        centred = self.x - self.x.mean(axis=0)
        main = centred @ np.linalg.svd(centred, full_matrices=False)[2][:2].T
        known = dict(zip((*COMPONENTS, *self.names), (*main.T, *self.x.T), strict=True))
        x = np.column_stack([known[horizontal], known[vertical]])
        return Points(x, self.y, (horizontal, vertical), self.regression)


def circle(random: Any, rows: int) -> Points:
    """Put one class within radius 2.5 and the other from 3.5 to 5."""
    inside = np.arange(rows) % 2 == 0
    radius = np.where(inside, random.uniform(0, 2.5, rows), random.uniform(3.5, 5, rows))
    angle = random.uniform(0, 2 * np.pi, rows)
    return Points(radius[:, None] * np.column_stack([np.sin(angle), np.cos(angle)]), inside)


def xor(random: Any, rows: int) -> Points:
    """Tell the sign of x1 x2, with a gap at the axes."""
    x = random.uniform(-5, 5, (rows, 2))
    return Points(x + np.copysign(0.3, x), np.prod(x, axis=1) > 0)


def gauss(random: Any, rows: int) -> Points:
    """Draw two clouds of standard deviation 1."""
    y = np.arange(rows) % 2
    return Points(random.normal(4 * y[:, None] - 2, 1, (rows, 2)), y)


def spiral(random: Any, rows: int) -> Points:
    """Draw two arms, each of 1.75 turns."""
    y, along = np.arange(rows) % 2, np.arange(rows) / rows
    angle = 2 * np.pi * 1.75 * along + np.pi * y
    return Points(5 * along[:, None] * np.column_stack([np.sin(angle), np.cos(angle)]), y)


def plane(random: Any, rows: int) -> Points:
    """Let numbers follow x1 + x2."""
    x = random.uniform(-6, 6, (rows, 2))
    return Points(x, x.sum(axis=1) / 12, regression=True)


def hills(random: Any, rows: int) -> Points:
    """Let numbers be hills and hollows that alternate, three by two."""
    x = random.uniform(-6, 6, (rows, 2))
    return Points(x, np.cos(np.pi * x[:, 0] / 4) * np.sin(np.pi * x[:, 1] / 6), regression=True)


def customers(random: Any, rows: int) -> Points:
    """Draw the first origin case: who buys has much income for their age."""
    age, income = random.uniform(18, 75, rows), random.normal(60_000, 15_000, rows)
    score = (income - 60_000) / 15_000 - (age - 45) / 20
    return Points(np.column_stack([age, income]), score > 0, ("age", "income"))


def six_points(random: Any, rows: int) -> Points:
    """Return the second origin case."""
    x = np.array([[3, 4], [2, 6], [1, 6], [1, 1], [2, 1], [3, 1]], dtype=float)
    return Points(x, np.arange(6) > 2)


DATA: dict[str, Callable[[Any, int], Points]] = {
    "circle": circle, "xor": xor, "gauss": gauss, "spiral": spiral, "plane": plane,
    "hills": hills, "customers": customers, "six points": six_points,
}  # fmt: skip
