"""What single steps of a loop show: the formulas its arrays fit, and what its updates did.

With a the activations below the last weights W, outputs o and targets y, the gradient of W is
c aᵀ delta with delta = (o - y) s, where s is one of a few slopes and c a factor such as 1 / batch.
One layer down, delta becomes (delta Wᵀ) f'(z), written in terms of the activations f(z). Each form
is computed from the arrays shown and compared with the gradient shown: code that has a wrong form
fits that form to the last digits. What fits none is left alone.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from xpnet.observations import Snapshot, is_bias

FIT = 1e-4  # of the largest entry: float32 is accurate enough for it
FORWARD_FIT = 1e-5
FEW = 3  # entries of a gradient: fewer fit too many forms
USUAL = 1e10  # larger numbers overflow in some updates
MOVED = 0.9  # cosine between step and gradient from which it is along, or against, it


def _sigmoid(z: Any) -> Any:
    return 0.5 * (1.0 + np.tanh(0.5 * z))


ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "relu": lambda z: np.maximum(z, 0.0), "sigmoid": _sigmoid, "tanh": np.tanh,
    "identity": lambda z: z,
}  # fmt: skip
# The derivative of each, as code writes it in terms of the activations a.
SLOPES: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "relu": ("a > 0", lambda a: (a > 0.0) * 1.0),
    "sigmoid": ("a * (1 - a)", lambda a: a * (1.0 - a)),
    "tanh": ("1 - a**2", lambda a: 1.0 - a**2),
    "identity": ("1", np.ones_like),
}
# Derivatives meant for z, but taken at activations, to which the function was already applied.
TWICE: dict[str, Callable[[Any], Any]] = {
    "sigmoid(a) * (1 - sigmoid(a))": lambda a: _sigmoid(a) * (1.0 - _sigmoid(a)),
    "1 - tanh(a)**2": lambda a: 1.0 - np.tanh(a) ** 2,
}
# Slopes that o - y is multiplied by if the loss is a cross-entropy or a squared error.
OUTPUT_SLOPES = ("identity", "sigmoid", "tanh")


@dataclass(frozen=True)
class Replay:
    """The backward pass of one step, recomputed from the arrays that were shown.

    Attributes
    ----------
    kinds : tuple of tuple of str
        For each hidden layer, the activations that give its values from those below, if any do.
    deltas : dict of str to float
        Slopes of the outputs that explain the gradient of the last weights, each with its factor c.
    wrong : (str, str, str) or None
        Weights whose gradient contains a wrong slope, that slope, and the right one.
    """

    kinds: tuple[tuple[str, ...], ...] = ()
    deltas: Mapping[str, float] = field(default_factory=dict)
    wrong: tuple[str, str, str] | None = None

    @classmethod
    def of(cls, shown: Snapshot) -> "Replay":
        """Recompute it from all rows of a step, with parameters and gradients."""
        weights, below = list(shown.weights.values()), [shown.inputs, *shown.activations]
        rows = {len(each) for each in below if each is not None}
        if len(weights) != len(below) or shown.inputs is None or len(rows) != 1:
            return cls()
        if any(w.shape[0] != a.shape[1] for w, a in zip(weights, below, strict=True)):
            return cls()
        biases = _biases(shown, len(weights))
        kinds = tuple(
            _kinds(a, w, b, after)
            for a, w, b, after in zip(below[:-1], weights, biases, shown.activations, strict=False)
        )
        goals = shown.goals
        if goals is None or goals.shape != (*rows, weights[-1].shape[1]):
            return cls(kinds)
        with np.errstate(all="ignore"):
            return replace(cls._backward(shown, below, kinds), kinds=kinds)

    @classmethod
    def _backward(
        cls, shown: Snapshot, below: list[Any], kinds: tuple[tuple[str, ...], ...]
    ) -> "Replay":
        names, o = list(shown.weights), shown.predictions
        errors, gradient = o - shown.goals, _gradient(shown, names[-1])
        deltas = {}
        for kind in OUTPUT_SLOPES:
            factor = multiple(gradient, below[-1].T @ (errors * SLOPES[kind][1](o)), FIT)
            if factor is not None:
                deltas[kind] = factor
        if not deltas:
            for form, slope in TWICE.items():
                if multiple(gradient, below[-1].T @ (errors * slope(o)), FIT) is not None:
                    return cls(wrong=(names[-1], form, "a * (1 - a) or 1 - a**2"))
            return cls()
        kind, factor = next(iter(deltas.items()))
        delta = factor * errors * SLOPES[kind][1](o)
        for layer in range(len(names) - 2, -1, -1):
            delta = delta @ shown.weights[names[layer + 1]].T
            a, gradient = below[layer + 1], _gradient(shown, names[layer])

            def fits(slope: Any, delta: Any = delta, layer: int = layer, g: Any = gradient) -> bool:
                return multiple(g, below[layer].T @ (delta * slope), FIT) is not None

            right = next((k for k in kinds[layer] if fits(SLOPES[k][1](a))), None)
            if right is None:
                forms = dict(SLOPES.values()) | TWICE
                wrong = next((form for form, slope in forms.items() if fits(slope(a))), None)
                if wrong is None or not kinds[layer]:
                    return cls(deltas=deltas)
                return cls(deltas=deltas, wrong=(names[layer], wrong, SLOPES[kinds[layer][0]][0]))
            delta = delta * SLOPES[right][1](a)
        return cls(deltas=deltas)


def accumulates(replay: Replay, first: Snapshot, second: Snapshot) -> bool:
    """Tell whether the second step's gradient is its own plus the first one's.

    `replay` is that of the first step. Only the last weights are checked.
    """
    own = Replay.of(second)
    if not replay.deltas or own.deltas or own.wrong:
        return False
    names = first.gradients.keys() & second.gradients.keys()
    same = {n for n in names if first.gradients[n].shape == second.gradients[n].shape}
    rest = {n: second.gradients[n] - first.gradients[n] for n in same}
    left = Replay.of(replace(second, gradients=rest)).deltas
    return any(abs(left.get(kind, 0.0) / c - 1.0) < 1e-2 for kind, c in replay.deltas.items())


def _biases(shown: Snapshot, layers: int) -> list[Any]:
    """Return the biases in order: zeros if there are none, NaN if they cannot be matched."""
    found = [p.ravel() for name, p in shown.parameters.items() if is_bias(name, p)]
    return found if len(found) == layers else [0.0 if not found else np.nan] * layers


def _kinds(below: Any, weights: Any, bias: Any, a: Any) -> tuple[str, ...]:
    if weights.shape != (below.shape[1], a.shape[1]) or np.size(bias) not in (1, a.shape[1]):
        return ()
    z, limit = below @ weights + bias, FORWARD_FIT * max(float(np.max(np.abs(a))), 1e-12)
    return tuple(n for n, f in ACTIVATIONS.items() if np.max(np.abs(f(z) - a)) <= limit)


def _gradient(shown: Snapshot, name: str) -> Any:
    """Return a gradient turned as `Snapshot.weights` are; None if its shape differs."""
    gradient, weights = shown.gradients.get(name), shown.weights[name]
    if gradient is not None and weights is not shown.parameters[name]:
        gradient = gradient.T
    return gradient if gradient is not None and gradient.shape == weights.shape else None


def multiple(given: Any, of: Any, limit: float) -> float | None:
    """Return the factor by which one array is a multiple of another, or None if it is not."""
    if given is None or given.shape != of.shape or given.size < FEW:
        return None
    size = float(np.sum(of**2))
    factor = float(np.sum(of * given)) / size if size > 0.0 else 0.0
    close = np.all(np.abs(given - factor * of) <= limit * np.abs(given).max())
    return factor if factor and close else None


@dataclass(frozen=True)
class Update:
    """What one step did to the parameters, compared with the gradients shown before it.

    Attributes
    ----------
    step : int
    cosines : dict of str to float
        Between the change of each parameter and its gradient: -1 is straight downhill.
    broken : tuple of str
        Parameters with NaN after the step, if all numbers before it were of ordinary size.
    """

    step: int
    cosines: Mapping[str, float] = field(default_factory=dict)
    broken: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        step: int,
        before: Mapping[str, Any],
        gradients: Mapping[str, Any],
        after: Mapping[str, Any],
    ) -> "Update":
        """Compare host arrays of the same names before and after a step."""
        shown = [*before.values(), *gradients.values()]
        usual = bool(gradients) and all(np.all(np.abs(each) < USUAL) for each in shown)
        broken = tuple(n for n, each in after.items() if usual and np.any(np.isnan(each)))
        cosines = {}
        for name in gradients.keys() & before.keys() & after.keys():
            old, new, gradient = before[name], after[name], gradients[name]
            if old.shape != new.shape or old.shape != gradient.shape:
                continue
            with np.errstate(all="ignore"):
                norms = float(np.linalg.norm(new - old) * np.linalg.norm(gradient))
                if 0.0 < norms < np.inf:
                    cosines[name] = float(np.sum((new - old) * gradient)) / norms
        return cls(step, dict(sorted(cosines.items())), broken)
