"""One step of a run as the doctor keeps it: arrays of any layout and library, on the host."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np

from xpnet.backend.device import CPU, is_foreign, to_host
from xpnet.errors import InputError, InputTypeError
from xpnet.nn.arrays import class_numbers, put_numbers

Key = TypeVar("Key")
Item = TypeVar("Item")
ROW_NAMES = ("inputs", "targets", "predictions")
MAX_ROWS = 400  # kept of anything; enough for every rule's limit
BIAS = re.compile(r"bias|intercept|(?<![a-z])b[a-z]?(?![a-z])", re.IGNORECASE)


def evenly_spaced(rows: int, limit: int) -> Any:
    """Return the numbers of at most `limit` rows, but not every k-th, as classes may alternate."""
    return np.linspace(0, rows - 1, min(rows, limit)).astype(np.int64)


def thinned(array: Any, limit: int | None) -> Any:
    """Return at most `limit` evenly spaced rows of a host array; all if it is None."""
    if limit is None or not array.ndim or len(array) <= limit:
        return array
    return array[evenly_spaced(len(array), limit)]


def as_host(array: Any, rows: int | None = None, name: str = "the array") -> Any:
    """Return a float64 copy on the host of at most `rows` rows of what `as_array` takes."""
    if array is None:
        raise InputTypeError(f"{name} is None; pass numbers")
    if is_foreign(array) or hasattr(array, "__array__"):
        array = thinned(to_host(array), rows)  # first, so that not all rows become float64
    if not hasattr(array, "dtype") or array.dtype.kind not in "biuf":
        array = put_numbers(array, CPU, "float64", name)
    return np.array(thinned(array, rows), dtype=np.float64)


def as_array(value: Any, name: str) -> Any:
    """Return an array of any library unchanged; lists, numbers and data frames as NumPy arrays."""
    numbers = isinstance(value, np.ndarray) and value.dtype.kind in "biuf"
    return value if numbers or is_foreign(value) else as_host(value, name=name)


def named_arrays(given: Any, name: str) -> dict[str, Any]:
    """Return parameters or gradients as a dict of arrays; refuse anything without names."""
    if not isinstance(given, Mapping):
        raise InputError(
            f"{name} is {type(given).__name__}; pass a dict of names and arrays, such as "
            "{'W1': W1, 'b1': b1}"
        )
    return {key: as_array(each, f"{name}[{key!r}]") for key, each in given.items()}


def same_names(gradients: Mapping[str, Any], parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return gradients under their parameters' names, also those called dW1 or W1_grad."""
    found = {}
    for name, each in gradients.items():
        bare = [re.sub(r"^(d|grad|g)_?(?=.)", "", name), re.sub(r"[._]?grad$", "", name)]
        known = [other for other in bare if other in parameters and name not in parameters]
        found[known[0] if known else name] = each
    return found


def gradients_of(parameters: Mapping[str, Any], given: Any) -> dict[str, Any]:
    """Return gradients as a dict of arrays with the names of the parameters; refuse other names."""
    gradients = named_arrays(given, "gradients")
    if gradients.keys() <= parameters.keys():
        return gradients
    gradients = same_names(gradients, parameters)
    if parameters and not gradients.keys() & parameters.keys():
        raise InputError(
            f"gradients are called {sorted(gradients)} and parameters {sorted(parameters)}; give "
            "each gradient the name of its parameter"
        )
    return gradients


def shape_of(array: Any) -> tuple[int, ...]:
    """Return the shape of an array of any library, (1,) for a single number, () for None."""
    return () if array is None else tuple(array.shape) or (1,)


def grouped(pairs: Iterable[tuple[Key, Item]]) -> dict[Key, list[Item]]:
    """Return the items of each key, in their order."""
    found = dict[Key, list[Item]]()
    for key, each in pairs:
        found.setdefault(key, []).append(each)
    return found


def as_columns(array: Any) -> Any:
    """Return (rows,) as (rows, 1)."""
    return array.reshape(-1, 1) if array.ndim < 2 else array


def is_bias(name: str, array: Any) -> bool:
    """Return whether an array is a bias, by its shape or name: b1, fc1.bias, w1b, b_in, bo."""
    return array.ndim < 2 or bool(BIAS.search(name))


def relative_change(before: Mapping[str, Any], after: Mapping[str, Any]) -> float:
    """Return the relative change of all weights, or of biases if alone; NaN if it is not known."""
    before = {name: each for name, each in before.items() if not is_bias(name, each)} or before
    if not before or any(n not in after or before[n].shape != np.shape(after[n]) for n in before):
        return float("nan")
    with np.errstate(all="ignore"):
        moved = sum(float(np.sum((after[name] - before[name]) ** 2)) for name in before)
        size = sum(float(np.sum(each**2)) for each in before.values())
    if size > 0:
        return math.sqrt(moved / size)
    return 0.0 if moved == 0.0 else math.nan


@dataclass(frozen=True)
class Layout:
    """Converts a loop's arrays to (rows, n)."""

    columns: bool = False  # samples are columns: inputs are (inputs, batch)
    one_sample: bool = False  # a vector or a number belongs to one sample, and is not (batch,)

    @classmethod
    def of(cls, rows: Mapping[str, Any], parameters: Mapping[str, Any]) -> "Layout":
        """Return the layout of the first step's arrays, named as in `ROW_NAMES`."""
        matrices = [shape_of(p) for name, p in parameters.items() if not is_bias(name, p)]
        first, last = (matrices[0], matrices[-1]) if matrices else ((), ())
        inputs, outputs = shape_of(rows.get("inputs")), shape_of(rows.get("predictions"))
        shapes = [tuple(rows[name].shape) for name in ROW_NAMES if name in rows]
        every = [tuple(each.shape) for each in rows.values() if each.shape]  # hidden layers, too
        sideways = False
        if all(len(shape) == 2 for shape in every):  # samples are what all of them have in common
            kinds, batches = (len({shape[axis] for shape in every}) for axis in (0, 1))
            sideways = batches == 1 < kinds
        if len(inputs) == len(first) == 2:  # weights are (units, inputs) or (inputs, units)
            sideways = sideways or (inputs[0] in first and inputs[1] not in first)
        elif not inputs and len(outputs) == len(last) == 2:
            sideways = outputs[0] == last[0] and outputs[1] not in last
        # Inputs (n,) are n features where other vectors, or the weights, say so.
        vectors = {shape[0] for shape in shapes if len(shape) == 1}
        alone = len(inputs) == 1 and not any(len(s) > 1 and s[0] > 1 for s in shapes)
        alone = alone and (len(vectors) > 1 or (len(first) == 2 and 1 not in first))
        return cls(sideways, () in shapes or alone)

    def as_batch(self, array: Any, name: str) -> Any:
        """Return a single sample as (1, n), and a batch unchanged."""
        alone = self.one_sample and len(array.shape) < 2
        return as_host(array, name=name).reshape(1, -1) if alone else array

    def host_rows(self, batch: Any, name: str, limit: int | None = None) -> Any:
        """Return a host copy of a batch, (rows, n), of at most `limit` rows."""
        sideways = self.columns and len(batch.shape) == 2
        host = as_columns(as_host(batch.T if sideways else batch, limit, name))
        if not (host.ndim == 2 or self.columns or name in ("targets", "predictions")):
            host = host.reshape(len(host), -1)  # images, which the network flattens itself
        if host.ndim != 2 or not len(host):
            raise InputError(
                f"{name}: the shape is {tuple(batch.shape)}; pass (batch, n) with at least one row"
            )
        return host


@dataclass(frozen=True)
class Step:
    """One look at a run. Arrays are host float64, (rows, n); None or empty if not shown."""

    inputs: Any = None
    targets: Any = None
    predictions: Any = None
    activations: tuple[Any, ...] = ()  # of the hidden layers
    parameters: Mapping[str, Any] = field(default_factory=dict)
    gradients: Mapping[str, Any] = field(default_factory=dict)
    row_weights: Any = None  # (rows, 1): how much each row counts in the loss; None: all alike

    def __len__(self) -> int:
        named = (self.inputs, self.targets, self.predictions)
        shown = [a for a in (*named, *self.activations) if a is not None]
        return min(map(len, shown), default=0)

    def rows(self) -> "Step":
        """Return at most `MAX_ROWS` evenly spaced rows, without parameters and gradients."""
        named = {n: a for n in ROW_NAMES if (a := getattr(self, n)) is not None}
        hidden = tuple(thinned(each, MAX_ROWS) for each in self.activations)
        return Step(**{n: thinned(a, MAX_ROWS) for n, a in named.items()}, activations=hidden)

    @cached_property
    def weights(self) -> dict[str, Any]:
        """The weight matrices in order, transposed to (fan_in, fan_out) if necessary."""
        found = {n: p for n, p in self.parameters.items() if not is_bias(n, p) and p.ndim == 2}
        if not found and self.inputs is not None:  # a single unit, with weights (inputs,)
            width = self.inputs.shape[1]
            found = {n: p[:, None] for n, p in self.parameters.items() if p.shape == (width,)}
            found = {} if len(found) > 1 else found
        matrices = list(found.values())
        inputs = None if self.inputs is None else self.inputs.shape[1]
        chained = all(a.shape[1] == b.shape[0] for a, b in pairwise(matrices))
        fits = inputs is None or not matrices or matrices[0].shape[0] == inputs
        return found if chained and fits else {name: each.T for name, each in found.items()}

    @cached_property
    def goals(self) -> Any:
        """The targets in the shape of the predictions: class numbers become one-hot rows."""
        if self.targets is None or self.predictions is None:
            return None
        if len(self.targets) != len(self.predictions):
            return None
        targets, outputs = as_columns(self.targets), self.predictions.shape[1]
        if targets.shape[1] == 1 < outputs and np.all(np.isin(targets, np.arange(outputs))):
            return np.eye(outputs)[targets[:, 0].astype(int)]
        return targets if targets.shape == self.predictions.shape else None

    @cached_property
    def classes(self) -> Any:
        """The class number of each row, or None if the targets are not classes."""
        goals = self.goals if self.goals is not None else self.targets
        if goals is None or not np.all((goals == 0) | (goals == 1)):
            return None
        goals = as_columns(goals)
        if goals.shape[1] == 1:
            return goals[:, 0].astype(int)
        return goals.argmax(axis=1) if np.all(goals.sum(axis=1) == 1) else None

    @property
    def guesses(self) -> Any:
        """The predicted class number of each row."""
        return class_numbers(np, self.predictions)

    def recall(self, label: int) -> float:
        """Return the share of a class's rows that are predicted as such; NaN if it is unknown."""
        if self.goals is None or not np.any(self.classes == label):
            return float("nan")
        known = np.all(np.isfinite(self.predictions))
        return float(np.mean(self.guesses[self.classes == label] == label)) if known else math.nan

    @property
    def are_distributions(self) -> bool:
        """Whether each row of the predictions holds the probabilities of several classes."""
        p = self.predictions
        several = p is not None and p.shape[1] > 1
        return bool(several and np.all(p >= 0) and np.allclose(p.sum(axis=1), 1, rtol=0, atol=1e-3))

    @cached_property
    def skill(self) -> float:
        """1 - squared error / that of the best constant; NaN if it is not known.

        For classes whose predictions may be logits, the better value of these and of probabilities.
        """
        if self.goals is None:
            return float("nan")
        p = self.predictions
        shown = [p]
        if self.classes is not None and np.any((p < 0) | (p > 1)):
            several = np.logaddexp.reduce(p, axis=1, keepdims=True)
            shown.append(np.exp(p - (several if p.shape[1] > 1 else np.logaddexp(0.0, p))))
        if np.all(np.abs(self.goals) == 1):  # a hinge loss takes the values far beyond
            shown.append(np.minimum(np.maximum(p, -1.0), 1.0))
        w = np.ones((len(p), 1)) if self.row_weights is None else self.row_weights
        with np.errstate(all="ignore"):
            spread = np.sum(w * (self.goals - np.sum(w * self.goals, axis=0) / np.sum(w)) ** 2)
            error = np.fmin.reduce([np.sum(w * (self.goals - each) ** 2) for each in shown])
        known = spread > 0 and np.isfinite(error)
        return float(1.0 - error / spread) if known else float("nan")


def joined(pieces: Sequence[Step]) -> Step:
    """Return a step with the rows of several steps."""

    def stack(arrays: Sequence[Any]) -> Any:
        usable = arrays and all(a is not None and a.shape[1] == arrays[0].shape[1] for a in arrays)
        return np.concatenate(arrays) if usable else None

    named = {name: stack([getattr(each, name) for each in pieces]) for name in ROW_NAMES}
    hidden = zip(*(each.activations for each in pieces), strict=False)
    return Step(**named, activations=tuple(map(stack, hidden)))


@dataclass(frozen=True)
class Shown:
    """The arrays of one step as the caller gave them, of any library, with samples in batches."""

    # Inputs, targets, predictions and activations[0], activations[1], ...
    rows: Mapping[str, Any]
    parameters: Mapping[str, Any]
    gradients: Mapping[str, Any]

    @property
    def numbers(self) -> int:
        """The number of elements of all arrays."""
        arrays = (self.rows, self.parameters, self.gradients)
        return sum(math.prod(shape_of(each)) for named in arrays for each in named.values())

    def to_step(
        self, layout: Layout, limit: int | None = MAX_ROWS, *, parameters: bool = False
    ) -> Step:
        """Return host copies: at most `limit` rows, and the parameters and gradients if asked."""
        shown = {name: layout.host_rows(each, name, limit) for name, each in self.rows.items()}
        named = {name: shown.pop(name, None) for name in ROW_NAMES}
        if parameters:
            for kind in ("parameters", "gradients"):
                arrays = getattr(self, kind)
                named[kind] = {n: np.atleast_1d(as_host(a, name=n)) for n, a in arrays.items()}
        return Step(**named, activations=tuple(shown.values()))
