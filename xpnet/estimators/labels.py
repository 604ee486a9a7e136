"""Class labels to network outputs and back: binary, multiclass, multilabel, several multiclass."""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from xpnet.backend.device import Array, Namespace
from xpnet.errors import InputError
from xpnet.nn.activations import Activation
from xpnet.nn.arrays import class_numbers
from xpnet.nn.losses import Loss

BLOCKS = "log_softmax_blocks"


@dataclass(frozen=True)
class Labels:
    """The classes of a target, and how they map to the network's outputs.

    Attributes
    ----------
    kind : {"binary", "multiclass", "multilabel-indicator", "multiclass-multioutput"}
    classes : tuple of ndarray
        Sorted classes of each target column; one entry except for ``"multiclass-multioutput"``.
    """

    kind: str
    classes: tuple[Any, ...]

    @property
    def output(self) -> str | Activation:
        """The output activation."""
        if self.kind == "multiclass-multioutput":
            return log_softmax_blocks(self.blocks)
        return "softmax" if self.kind == "multiclass" else "sigmoid"

    @property
    def blocks(self) -> tuple[int, ...]:
        """How many outputs belong to each target column."""
        return tuple(len(each) for each in self.classes)

    def same_classes(self, other: "Labels") -> bool:
        """Tell whether the targets of both have the same columns, of the same classes."""
        pairs = zip(self.classes, other.classes, strict=False)
        alike = len(self.classes) == len(other.classes)
        return alike and all(np.array_equal(a, b) for a, b in pairs)

    def check_columns(self, y: Any) -> None:
        """Refuse host targets with more or fewer columns than those that were learnt."""
        learnt = self.blocks[0] if self.kind == "multilabel-indicator" else len(self.classes)
        given = y.shape[1] if y.ndim == 2 else 1
        if given != learnt:
            raise InputError(
                f"y has {_columns(given)}, but the model was fitted to {_columns(learnt)} "
                f"({self.kind}); call fit with warm_start=False to start afresh"
            )

    def encode(self, y: Any) -> Any:
        """Return host targets (n, outputs) of 0 and 1; refuse classes that are not known."""
        if self.kind == "multilabel-indicator":
            if not np.all((y == 0) | (y == 1)):
                found = f"y holds values from {np.min(y):g} to {np.max(y):g} in columns of labels"
                raise InputError(f"{found}; pass 1 for each label a row has, and 0 for the others")
            return np.asarray(y, dtype=np.float64)
        columns = y if y.ndim == 2 else y[:, None]
        coded = []
        for column, classes in zip(columns.T, self.classes, strict=True):
            unknown = np.setdiff1d(column, classes)
            if len(unknown):
                raise InputError(
                    "`y` has classes not in `self.classes_`. `self.classes_` has "
                    f"{classes}. 'y' has {np.unique(column)}."
                )
            coded.append(np.searchsorted(classes, column)[:, None] == np.arange(len(classes)))
        targets = np.concatenate(coded, axis=1).astype(np.float64)
        if self.kind == "binary":  # one output, which a single class never turns on
            return targets[:, 1:] if len(self.classes[0]) == 2 else np.zeros((len(y), 1))
        return targets

    def numbers(self, xp: Namespace, outputs: Array) -> list[Array]:
        """Return the class numbers, (n,), of each target column from outputs (n, outputs)."""
        if self.kind == "multilabel-indicator":
            return [class_numbers(xp, each) for each in cut(outputs, (1,) * outputs.shape[1])]
        parts = [outputs] if self.kind == "binary" else cut(outputs, self.blocks)
        pairs = zip(parts, self.classes, strict=True)  # a single class is number 0
        return [class_numbers(xp, part) * int(len(classes) > 1) for part, classes in pairs]


def labels_of(y: Any, kind: str, classes: Any = None) -> Labels:
    """Return the labels of a host target; `classes` gives those that `y` may not contain."""
    if kind == "multilabel-indicator":
        return Labels(kind, (np.arange(y.shape[1]),))
    if kind == "multiclass-multioutput":
        by_column = y.T if classes is None else classes
        if len(by_column) != y.shape[1]:
            raise InputError(
                f"classes {classes!r:.80}: y has {y.shape[1]} columns of classes; pass a list for "
                "each, such as classes=[[0, 1, 2], [0, 1]]"
            )
        return Labels(kind, tuple(np.unique(each) for each in by_column))
    found = np.unique(y if classes is None else np.asarray(classes))
    if found.dtype == object:  # text: as scikit-learn's label binariser keeps it
        found = np.array(found.tolist())
    return Labels("multiclass" if len(found) > 2 else "binary", (found,))


def _columns(number: int) -> str:
    return "1 column" if number == 1 else f"{number} columns"


def cut(array: Array, blocks: tuple[int, ...]) -> list[Array]:
    """Return the outputs of each target column."""
    ends = np.cumsum(blocks).tolist()
    return [array[:, end - size : end] for end, size in zip(ends, blocks, strict=True)]


@dataclass(frozen=True)
class _LogSoftmaxBlocks:
    """Log-softmax over each of several blocks of outputs: a = z - log(sum(exp(z)))."""

    blocks: tuple[int, ...]

    def forward(self, xp: Namespace, z: Array) -> Array:
        parts = []
        for part in cut(z, self.blocks):
            shifted = part - xp.max(part, axis=1, keepdims=True)
            parts.append(shifted - xp.log(xp.sum(xp.exp(shifted), axis=1, keepdims=True)))
        return xp.concat(parts, axis=1)

    def backward(self, xp: Namespace, d_a: Array, z: Array, a: Array) -> Array:
        pairs = zip(cut(d_a, self.blocks), cut(a, self.blocks), strict=True)
        return xp.concat(
            [d - xp.exp(p) * xp.sum(d, axis=1, keepdims=True) for d, p in pairs], axis=1
        )


@cache  # the same object, so that it is seen to be the same activation
def log_softmax_blocks(blocks: tuple[int, ...]) -> Activation:
    """Return the output activation for several multiclass targets at once, one block for each."""
    rule = _LogSoftmaxBlocks(blocks)
    return Activation(BLOCKS, rule.forward, rule.backward)


def _log_likelihood(xp: Namespace, a: Array, y: Array) -> Array:
    return -xp.sum(y * a, axis=1)


def _log_likelihood_derivative(xp: Namespace, a: Array, y: Array) -> Array:
    return -y


LOG_LIKELIHOOD = Loss(  # categorical cross-entropy from log-probabilities: finite for every z
    "log_likelihood", _log_likelihood, _log_likelihood_derivative, outputs=(BLOCKS,)
)
