"""Slopes of a loss by central differences, compared with a given gradient."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

RTOL = 1e-5  # relative error that still counts as right; that of right code stays below 1e-6
STEPS = (2e-5, 2e-6, 2e-7)  # the last two only where the first meets a kink or a sharp bend


@dataclass(frozen=True)
class Comparison:
    """Given and measured slopes of one parameter, along the same directions."""

    name: str
    given: Any  # slopes by the gradient, (k,)
    measured: Any  # slopes of the loss, (k,)
    noise: Any  # their uncertainty, (k,)
    transposed: Any  # slopes of the transposed gradient, (k,)
    penalty: Any  # slopes of half the squared norm, (k,): the parameter itself
    kinks: int  # directions left out, since the loss has no slope there: a kink, or not a number
    place: str = ""  # where the slopes were measured, if not at the parameters given
    flat: bool = False  # whether all slopes of the whole check are 0: nothing was compared

    def matches(self, slopes: Any, target: Any = None, rtol: float = RTOL) -> bool:
        """Return whether slopes agree with the measured ones within tolerance and noise."""
        target = self.measured if target is None else target
        scale = np.maximum(np.abs(slopes), np.abs(target))
        # An entry that is tiny beside the largest has lost digits to cancellation.
        limit = rtol * (scale + 0.01 * np.max(scale, initial=0.0))
        return bool(np.all(np.abs(slopes - target) <= limit + 2.0 * self.noise))

    @property
    def usable(self) -> bool:
        """Whether the gradient could be compared at all; if not, that is a finding of its own."""
        return not (self.given.size and np.all(np.isnan(self.given)))

    @property
    def checked(self) -> bool:
        """Whether a slope was measured; an empty parameter has none to measure."""
        return not self.flat and (self.given.size > 0 or self.kinks == 0)

    @property
    def wrong(self) -> bool:
        """Whether the slopes show the gradient to be wrong."""
        return self.checked and self.usable and not self.matches(self.given)

    @property
    def clear(self) -> Any:
        """Which slopes are well above rounding errors, (k,): only these can show a factor."""
        clear = np.abs(self.measured) > 100.0 * self.noise
        return clear & (np.abs(self.measured) > 1e-6 * np.max(np.abs(self.measured), initial=0.0))

    @property
    def shown_right(self) -> bool:
        """Whether slopes well above rounding errors confirm the gradient; zeros prove nothing."""
        return self.checked and self.usable and not self.wrong and bool(np.any(self.clear))

    @property
    def error(self) -> float:
        """The largest difference, relative to the largest slope."""
        largest = np.max(np.abs([self.given, self.measured]), initial=0.0)
        gap = np.max(np.abs(self.given - self.measured), initial=0.0)
        return float(gap / largest) if largest else 0.0

    @property
    def cosine(self) -> float:
        """The cosine between the gradient and the slopes well above rounding errors."""
        given, measured = self.given[self.clear], self.measured[self.clear]
        norms = np.linalg.norm(given) * np.linalg.norm(measured)
        return float(np.dot(given, measured) / norms) if norms else 0.0

    def __str__(self) -> str:
        if not self.usable:
            return "wrong: its shape or its values cannot be used"
        if self.flat:
            return "not checked: all slopes are 0"
        if not self.checked:
            return f"not checked: 0 slopes, {self.kinks} at kinks left out"
        kinks = f", {self.kinks} at kinks left out" if self.kinks and not self.place else ""
        state = "wrong" if self.wrong else "right"
        slopes = "1 slope" if self.given.size == 1 else f"{self.given.size} slopes"
        return f"{state}: relative error {self.error:.1e} over {slopes}{self.place}{kinks}"


def compare(
    name: str, loss: Callable[[Any], float], values: Any, gradient: Any, samples: int
) -> Comparison:
    """Compare the gradient of one parameter with the slopes of the loss.

    `loss` is a function of this parameter's values; `gradient` is None if it cannot be used.
    """
    if gradient is not None and not np.all(np.isfinite(gradient)):
        gradient = None
    tried = _directions(gradient, values.shape, samples, np.random.default_rng(0))
    slopes = [(each, slope(loss, values, each)) for each in tried]
    kept = [(direction, found) for direction, found in slopes if found is not None]
    square = gradient is not None and gradient.ndim == 2 and len(set(gradient.shape)) == 1

    def along(array: Any) -> Any:
        return np.array([np.nan if array is None else np.sum(array * d) for d, _ in kept])

    measured, noise = np.array([found for _, found in kept]).reshape(-1, 2).T
    turned = along(gradient.T if square else None)
    return Comparison(
        name, along(gradient), measured, noise, turned, along(values), len(tried) - len(kept)
    )


def _directions(
    gradient: Any, shape: tuple[int, ...], samples: int, random: np.random.Generator
) -> list[Any]:
    """Return single entries, half of them with the largest gradients, and one direction of all."""
    size = int(np.prod(shape))
    order = np.argsort(-np.abs(np.zeros(size) if gradient is None else gradient.ravel()))
    entries = {*map(int, order[: samples // 2]), *map(int, random.permutation(size)[:samples])}
    points = [np.zeros(size) for _ in entries]
    for point, entry in zip(points, sorted(entries), strict=True):
        point[entry] = 1.0
    if size > len(points):
        points.append(random.choice([-1.0, 1.0], size) / np.sqrt(size))
    return [point.reshape(shape) for point in points]


def slope(loss: Callable[[Any], float], values: Any, direction: Any) -> tuple[float, float] | None:
    """Return the slope along a direction and its uncertainty; None at a kink, or if not finite.

    The slopes on both sides of a smooth loss differ in proportion to the step; at a kink within the
    step the gap stays. The error is the change of their mean when the step is halved.
    """
    middle = loss(values)

    def both_sides(step: float) -> tuple[float, float, float]:
        up, down = loss(values + step * direction), loss(values - step * direction)
        noise = 8.0 * np.finfo(float).eps * max(abs(up), abs(middle), abs(down)) / step
        return (up - middle) / step, (middle - down) / step, noise

    for step in STEPS:
        (right, left, _), (nearer_right, nearer_left, noise) = map(both_sides, (step, step / 2))
        gap, mean = nearer_right - nearer_left, (nearer_right + nearer_left) / 2.0
        if not np.isfinite(right - left + gap):
            return None
        doubt = abs(mean - (right + left) / 2.0)
        smooth = abs(gap - (right - left) / 2.0) <= 0.02 * abs(gap) + 4.0 * noise
        close = doubt <= RTOL * max(abs(nearer_right), abs(nearer_left)) + 4.0 * noise
        if smooth and (close or step == STEPS[-1]):
            return mean, noise + doubt + 0.02 * abs(gap)
    return None
