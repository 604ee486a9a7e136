"""Single steps of a loop, recomputed: the formulas that its arrays fit, and what its updates did.

With a the activations below the last weights W, outputs o and targets y, the gradient of W is
c aᵀ delta with delta = (o - y) s, where s is one of a few slopes and c a factor such as 1 / batch.
One layer down, delta becomes (delta Wᵀ) f'(z), written in terms of the activations f(z). A penalty
may be added. Each form is computed from the arrays shown and compared with the gradient shown: code
that has a wrong form fits that form to the last digits.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import reduce
from itertools import product
from typing import Any

import numpy as np

from xpnet.doctor.findings import Evidence
from xpnet.doctor.step import Step, is_bias
from xpnet.nn.activations import ACTIVATIONS

FIT = 1e-4  # of the largest entry: float32 is accurate enough for it
CLOSE_FIT = 1e-6
FORWARD_FIT = 1e-5
NO_FIT = 1e-3  # 1 - cosine: what is left of a gradient is no rounding
FEW = 3  # entries of a gradient: fewer fit too many forms
MANY = 40  # weights: two draws of so many have a cosine of 0 +- 0.16
MOVED = 0.9  # cosine between step and gradient from which it is along, or against, it
Arrays = Mapping[str, Any]  # by the parameters' names

# The derivatives f'(z) as code writes them in terms of a = f(z).
FORMS = {"identity": "1", "relu": "a > 0", "sigmoid": "a * (1 - a)", "tanh": "1 - a**2"}
# The same, but taken at activations, to which the function was already applied.
TWICE = {"sigmoid": "sigmoid(a) * (1 - sigmoid(a))", "tanh": "1 - tanh(a)**2"}
OF_SUMS = {"sigmoid": "z * (1 - z)", "tanh": "1 - z**2"}  # the same, but taken at sums z
# Slopes that o - y is multiplied by if the loss is a cross-entropy or a squared error.
OUTPUT_SLOPES = ("identity", "sigmoid", "tanh")
# What gives values from sums z: one function; for outputs, perhaps another one upon it.
ONCE = ("identity", "sigmoid", "softmax", "tanh", "relu", "exp")
HIDDEN = [(kind,) for kind in FORMS]
OUTPUTS = [*product(ONCE), *product(ONCE, ("sigmoid", "softmax"))]


@dataclass(frozen=True)
class Replay:
    """The backward pass of one step, recomputed from the arrays that were shown."""

    # For each hidden layer, the activations that give its values from those below.
    kinds: tuple[tuple[str, ...], ...] = ()
    # Slopes of the outputs that explain the gradient of the last weights, each with its factor c.
    deltas: Mapping[str, float] = field(default_factory=dict)
    mistake: Evidence | None = None  # what is wrong in the gradients, from the last layer down
    outputs: str = ""  # what gives them from the last sums, such as "sigmoid(z)"

    @property
    def one_error(self) -> float | None:
        """The number that the gradients have in place of an error for each sample, if any."""
        return ((self.mistake and self.mistake.change) or {}).get("one_error")

    @classmethod
    def of(cls, shown: Step) -> "Replay":
        """Return the replay of a step with all rows, parameters and gradients."""
        weights, below = list(shown.weights.values()), [shown.inputs, *shown.activations]
        rows, o = {len(each) for each in below if each is not None}, shown.predictions
        if len(weights) != len(below) or shown.inputs is None or len(rows) != 1:
            return cls()
        if any(w.shape[0] != a.shape[1] for w, a in zip(weights, below, strict=True)):
            return cls()
        biases = [p.ravel() for name, p in shown.parameters.items() if is_bias(name, p)]
        if len(biases) != len(weights):  # there are none, or nobody knows whose they are
            biases = [np.array(np.nan if biases else 0.0)] * len(weights)
        with np.errstate(all="ignore"):
            *hidden, last = zip(below, weights, biases, (*shown.activations, o), strict=True)
            kinds = tuple(tuple(kind for (kind,) in _made(*layer, HIDDEN)) for layer in hidden)
            forms = [] if o is None or o.size < FEW else _made(*last, OUTPUTS)
            form = next((f"{'('.join(form[::-1])}(z{')' * len(form)}" for form in forms), "")
            goals, found = shown.goals, cls()
            if goals is not None and goals.shape == (*rows, weights[-1].shape[1]):
                found = _backward(shown, below, kinds, form)
            return replace(found, kinds=kinds, outputs=form)


def _backward(
    shown: Step, below: list[Any], kinds: tuple[tuple[str, ...], ...], form: str
) -> Replay:
    layers = [_Layer(name, w, x, _gradient(shown, name))
              for (name, w), x in zip(shown.weights.items(), below, strict=True)]  # fmt: skip
    last, o = layers[-1], shown.predictions
    errors, own = o - shown.goals, {form.partition("(")[0]} & {"relu", "exp"}
    slopes = {kind: slope_of(kind, o) for kind in (*OUTPUT_SLOPES, *own)}
    factors = {kind: last.fit(errors * slope) for kind, slope in slopes.items()}
    deltas = {kind: factor for kind, factor in factors.items() if factor is not None}
    if not deltas:
        return Replay(mistake=_of_outputs(last, o, errors, forward=bool(form)))
    kind, factor = next(iter(deltas.items()))
    delta, wrong, first = factor * errors * slopes[kind], list[str](), ("", "")
    for layer, after, a, names in zip(
        layers[-2::-1], layers[:0:-1], below[:0:-1], kinds[::-1], strict=True
    ):
        if not names:
            break
        error, right = delta @ after.weights.T, [slope_of(name, a) for name in names]
        fitting = next((each for each in right if layer.fit(error * each) is not None), None)
        if fitting is None:
            seen = layer.wrong_slope(a, error)
            if not seen and not wrong:
                products = _wrong_products(layer, a, error, right[0], delta, after.weights)
                found = layer.product(products) or (
                    _unknown(layer, error * right[0]) if form else None
                )
                return Replay(deltas=deltas, mistake=found)
            if not seen:
                break
            wrong, first = [layer.name, *wrong], first if wrong else (seen, FORMS[names[0]])
            fitting = _forms(a)[seen]
        delta = error * fitting
    return Replay(deltas=deltas, mistake=_derivative(wrong, *first) if wrong else None)


def _derivative(names: list[str], form: str, right: str, remedy: str = "") -> Evidence:
    return Evidence(
        ", ".join(names), f"recomputed from the arrays shown, the gradient of {names[-1]} has the "
        f"derivative {form}, with a the activations; {right} would be right", remedy=remedy,
    )  # fmt: skip


def _of_outputs(last: "_Layer", o: Any, errors: Any, *, forward: bool) -> Evidence | None:
    one = [c for kind in OUTPUT_SLOPES if (c := last.fit(slope_of(kind, o), CLOSE_FIT))]
    # The absolute error has one for all, too, if all outputs are too high, or too low.
    if one and len(o) > FEW and np.any(np.ptp(np.sign(errors), axis=0)):
        return Evidence(last.name, f"it comes from one error, {one[0]:.4g}, for all {len(o)} "
                        "samples: none is pushed up while another is pushed down",
                        remedy="delta = outputs - targets   # per sample; sum only in gradients",
                        code="gradient-wrong", change={"one_error": one[0]})  # fmt: skip
    form = last.wrong_slope(o, errors)
    if form:
        remedy = "delta = (outputs - targets) * derivative   # left out if the loss cancels it"
        return _derivative([last.name], form, "a * (1 - a) or 1 - a**2", remedy)
    # Or else the weights may only be turned, which nothing tells where all are square.
    return last.product(_wrong_products(last, o, errors)) if forward else None


@dataclass(frozen=True)
class _Layer:
    """One layer's weights (inputs, units), its inputs (rows, inputs), and its gradient."""

    name: str
    weights: Any
    inputs: Any
    gradient: Any  # None if its shape differs from that of the weights

    def fit(self, delta: Any, limit: float = FIT) -> float | None:
        """Return c if the gradient is c inputs.T @ delta, with or without a penalty; else None."""
        product = self.inputs.T @ delta
        factor = multiple(self.gradient, product, limit)
        return factor or multiple(self.without_penalty(product), product, limit)

    def wrong_slope(self, a: Any, error: Any) -> str:
        """Return what the error was multiplied by instead of the slope at the activations a."""
        forms = _forms(a).items()
        return next((form for form, each in forms if self.fit(error * each) is not None), "")

    def product(self, products: Iterable[tuple[str, Any]]) -> Evidence | None:
        """Return the wrong product that the gradient equals, if there is one."""
        for text, wrong in products:
            if multiple(self.gradient, wrong, FIT) is not None:
                return Evidence(
                    self.name, f"recomputed from the arrays shown, its gradient is {text}",
                    remedy="delta = (delta_next @ weights_next.T) * derivative; "
                    "gradient = inputs.T @ delta", code="gradient-product",
                )  # fmt: skip
        return None

    def without_penalty(self, product: Any) -> Any:
        """Return the gradient without the multiples of W and sign(W) that fit it best."""
        g, w = self.gradient, self.weights
        if g is None or g.shape != product.shape or g.size < 4 * FEW or not np.any(product):
            return None
        parts = np.stack([each.ravel() for each in (product, w, np.sign(w))], axis=1)
        if not (np.all(np.isfinite(parts)) and np.all(np.isfinite(g))):
            return None
        _, l2, l1 = np.linalg.lstsq(parts, g.ravel())[0]
        return g - l2 * w - l1 * np.sign(w)


def _wrong_products(
    layer: _Layer, a: Any, error: Any, slope: Any = None, delta: Any = None, w: Any = None
) -> Iterator[tuple[str, Any]]:
    """Yield what code may compute instead of inputs.T @ delta, in a layer with activations `a`.

    The delta of the layer after it comes back through the weights w.
    """
    x = layer.inputs
    for kind in FORMS:
        own = error * slope_of(kind, a)
        yield "the transpose of inputs.T @ delta", (x.T @ own).T
        if a.shape == x.shape:
            yield "activations.T @ delta with those that leave the layer", a.T @ own
    way = "inputs.T @ delta, and delta from delta_next "
    if delta is not None and delta.shape[1] in (1, slope.shape[1]):
        yield f"{way}with no weights", x.T @ (delta * slope)
    if w is not None and w.shape[0] == w.shape[1]:
        yield f"{way}@ weights_next with no transpose", x.T @ (delta @ w * slope)


def _unknown(layer: _Layer, delta: Any) -> Evidence | None:
    """Find a gradient that is nothing like the right one; a clipped one is no mistake."""
    product = layer.inputs.T @ delta
    rest = layer.without_penalty(product)
    size = np.abs(layer.gradient) if rest is not None else np.ones(2)
    if np.sum(size >= size.max() * (1.0 - 1e-9)) > 1:
        return None
    cosine = _cosine(rest, product)
    if not cosine < 1.0 - NO_FIT:
        return None
    return Evidence(
        layer.name, "recomputed from the arrays shown, the gradients after it are right, but its "
        f"own is no multiple of inputs.T @ delta with any usual derivative (cosine {cosine:.2f})",
        severity="warning",  # something else may be added on purpose
    )  # fmt: skip


def accumulates(replay: Replay, first: Step, second: Step) -> bool:
    """Return whether the second step's gradient is its own plus the first one's.

    `replay` is that of the first step. Only the last weights are checked.
    """
    own = Replay.of(second)
    if not replay.deltas or own.deltas or own.mistake:
        return False
    names = first.gradients.keys() & second.gradients.keys()
    same = {n for n in names if first.gradients[n].shape == second.gradients[n].shape}
    rest = {n: second.gradients[n] - first.gradients[n] for n in same}
    left = Replay.of(replace(second, gradients=rest)).deltas
    return any(abs(left.get(kind, 0.0) / c - 1.0) < 1e-2 for kind, c in replay.deltas.items())


def _made(
    below: Any, weights: Any, bias: Any, a: Any, forms: Iterable[tuple[str, ...]]
) -> Iterator[tuple[str, ...]]:
    """Yield the activations, one upon another, that give a layer's values from those below."""
    alike = weights.shape == (below.shape[1], a.shape[1]) and len(below) == len(a)
    if alike and np.size(bias) in (1, a.shape[1]):
        z, limit = below @ weights + bias, FORWARD_FIT * max(float(np.max(np.abs(a))), 1e-12)
        for form in forms:
            made = reduce(lambda x, kind: ACTIVATIONS[kind].forward(np, x), form, z)
            if np.max(np.abs(made - a)) <= limit:
                yield form


def slope_of(kind: str, a: Any) -> Any:
    """Return f'(z) from a = f(z); a ReLU's a is positive where z is."""
    return ACTIVATIONS[kind].backward(np, np.ones_like(a), a, a)


def _forms(a: Any) -> dict[str, Any]:
    """Return what code may multiply by instead of f'(z), by its text."""
    z = {"sigmoid": np.log(a / (1.0 - a)), "tanh": np.arctanh(a)}
    found = {form: slope_of(kind, a) for kind, form in FORMS.items()}
    found |= {TWICE[kind]: slope_of(kind, ACTIVATIONS[kind].forward(np, a)) for kind in TWICE}
    return found | {"a": a} | {OF_SUMS[kind]: slope_of(kind, z[kind]) for kind in OF_SUMS}


def _gradient(shown: Step, name: str) -> Any:
    """Return a gradient, transposed like `Step.weights`; None if its shape differs."""
    gradient, weights = shown.gradients.get(name), shown.weights[name]
    if gradient is not None and gradient.shape == shown.parameters[name].shape == (weights.size,):
        gradient = gradient.reshape(weights.shape)  # the weights of a single unit
    elif gradient is not None and weights is not shown.parameters[name]:
        gradient = gradient.T
    return gradient if gradient is not None and gradient.shape == weights.shape else None


def multiple(given: Any, of: Any, limit: float) -> float | None:
    """Return the factor, not 0, by which one array is a multiple of another; else None."""
    if given is None or given.shape != of.shape or given.size < FEW:
        return None
    size = float(np.sum(of**2))
    factor = float(np.sum(of * given)) / size if size > 0.0 else 0.0
    close = np.all(np.abs(given - factor * of) <= limit * np.abs(given).max())
    return factor if factor and close else None


@dataclass(frozen=True)
class Update:
    """What one step did to the parameters, compared with the gradients before it."""

    step: int
    # Between the change of each parameter and its gradient: -1 is straight downhill.
    cosines: Mapping[str, float]
    sizes: Mapping[str, float]  # root mean square of each gradient
    # Cosine between the weights before and after, of each matrix and of all together; not of few
    # weights, nor if they have grown or shrunk, or moved along their gradient.
    kept: Mapping[str, float]

    @classmethod
    def of(cls, step: int, before: Arrays, gradients: Arrays, after: Arrays) -> "Update":
        """Compare host arrays of the same names before and after a step."""
        cosines = {name: _cosine(after[name] - before[name], gradient)
                   for name, gradient in gradients.items() if name in before and name in after
                   and before[name].shape == after[name].shape == gradient.shape}  # fmt: skip
        cosines = {name: cosine for name, cosine in cosines.items() if not np.isnan(cosine)}
        return cls(step, cosines, sizes_of(gradients), _kept(before, after, cosines))


def sizes_of(gradients: Arrays) -> dict[str, float]:
    """Return the root mean square of each gradient."""
    with np.errstate(all="ignore"):
        return {name: float(np.sqrt(np.mean(each**2))) for name, each in gradients.items()}


def _kept(before: Arrays, after: Arrays, cosines: Mapping[str, float]) -> dict[str, float]:
    names = [name for name, old in before.items() if not is_bias(name, old)
             and name in after and after[name].shape == old.shape]  # fmt: skip
    kept = dict[str, float]()
    for group in [*([name] for name in names), names]:
        old, new = _joined(before, group), _joined(after, group)
        along = any(abs(cosines.get(name, 0.0)) > 0.5 for name in group)
        with np.errstate(all="ignore"):
            as_large = 0.7 * _norm(old) < _norm(new) < 1.4 * _norm(old)
        if as_large and not along and old.size >= MANY:
            kept[", ".join(group)] = _cosine(old, new)
    return kept


def _joined(arrays: Arrays, names: list[str]) -> Any:
    return np.concatenate([np.zeros(0), *(arrays[name].ravel() for name in names)])


def _norm(array: Any) -> float:
    return float(np.linalg.norm(array))


def _cosine(a: Any, b: Any) -> float:
    """Return the cosine between two arrays; NaN if one is 0 or not finite."""
    with np.errstate(all="ignore"):
        norms = _norm(a) * _norm(b)
        return float(np.sum(a * b)) / norms if 0.0 < norms < np.inf else float("nan")
