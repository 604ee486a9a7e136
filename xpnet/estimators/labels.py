"""Class labels to network outputs and back: binary, multiclass, multilabel."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from xpnet.backend.device import Array, Namespace
from xpnet.errors import InputError
from xpnet.nn.arrays import class_numbers

MULTILABEL = "multilabel-indicator"


@dataclass(frozen=True)
class Labels:
    """The classes of a target, and how they map to the network's outputs.

    Attributes
    ----------
    kind : {"binary", "multiclass", "multilabel-indicator"}
    classes : ndarray
        Sorted; for multilabel targets the columns' numbers.
    """

    kind: str
    classes: Any

    def check_columns(self, y: Any) -> None:
        """Refuse host targets with more or fewer columns than those that were learnt."""
        learnt = len(self.classes) if self.kind == MULTILABEL else 1
        given = y.shape[1] if y.ndim == 2 else 1
        if given != learnt:
            raise InputError(
                f"y has {_columns(given)}, but the model was fitted to {_columns(learnt)} "
                f"({self.kind}); call fit with warm_start=False to start afresh"
            )

    def encode(self, y: Any) -> Any:
        """Return host targets (n, outputs) of 0 and 1; refuse classes that are not known."""
        if self.kind == MULTILABEL:
            if not np.all((y == 0) | (y == 1)):
                found = f"y holds values from {np.min(y):g} to {np.max(y):g} in columns of labels"
                raise InputError(f"{found}; pass 1 for each label a row has, and 0 for the others")
            return np.asarray(y, dtype=np.float64)
        if len(np.setdiff1d(y, self.classes)):
            raise InputError(
                "`y` has classes not in `self.classes_`. `self.classes_` has "
                f"{self.classes}. 'y' has {np.unique(y)}."
            )
        numbers = np.searchsorted(self.classes, y)[:, None]
        if self.kind == "multiclass":
            numbers = numbers == np.arange(len(self.classes))
        return numbers.astype(np.float64)  # binary: one output, which a single class never turns on

    def decode(self, xp: Namespace, outputs: Array) -> Array:
        """Return class numbers, (n,), from outputs (n, outputs); for multilabel 0 or 1 of each."""
        if self.kind == MULTILABEL:
            return xp.astype(outputs > 0.5, xp.int64)
        return class_numbers(xp, outputs) * int(len(self.classes) > 1)


def labels_of(y: Any) -> Labels:
    """Return the labels of a host target, (n,) or for multilabel (n, outputs)."""
    if y.ndim == 2:
        return Labels(MULTILABEL, np.arange(y.shape[1]))
    found = np.unique(y)
    if found.dtype == object:  # text: as scikit-learn's label binariser keeps it
        found = np.array(found.tolist())
    return Labels("multiclass" if len(found) > 2 else "binary", found)


def _columns(number: int) -> str:
    return "1 column" if number == 1 else f"{number} columns"
