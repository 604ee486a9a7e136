"""The history of a training run: its curves."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from xpnet.errors import InputError

CURVES = ("loss", "validation_loss", "learning_rate", "seconds")


@dataclass
class History:
    """The curves of a training run, one entry per epoch; they grow while it goes on.

    Attributes
    ----------
    loss : list of float
        Mean training loss over the epoch's batches, with penalties, while the weights changed.
    validation_loss : list of float
        Mean loss on the validation rows after the epoch, without penalties; empty if there are
        none.
    metrics : dict of str to list of float
        On the validation rows, or on the training rows if there are none.
    learning_rate : list of float
        At the epoch's last step.
    seconds : list of float
        Wall time of the epoch.
    best_epoch : int or None
        The epoch (from 1) whose weights were kept by early stopping, for their `monitored` loss.
    stopped : str
        Why training ended.
    """

    loss: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    metrics: dict[str, list[float]] = field(default_factory=dict)
    learning_rate: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    best_epoch: int | None = None
    stopped: str = ""

    @property
    def epochs(self) -> int:
        """Epochs completed."""
        return len(self.loss)

    @property
    def monitored(self) -> list[float]:
        """The loss that schedules and early stopping watch: validation if any, else training."""
        return self.validation_loss or self.loss

    def append(self, metrics: Mapping[str, float], **curves: Sequence[float]) -> None:
        """Append one or more epochs: a list of values for each named curve, one for each metric."""
        for name, values in curves.items():
            getattr(self, name).extend(values)
        for name, value in metrics.items():
            self.metrics.setdefault(name, []).append(value)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, such as JSON can hold; ``History(**values)`` restores them."""
        return {name: deepcopy(value) for name, value in vars(self).items()}

    def plot(self, path: Any = None) -> Any:
        """Draw training and validation loss over the epochs as a matplotlib Figure, and return it.

        With a path it is saved there, in the format of the suffix. Raises `InputError` without
        matplotlib (the extra ``plot``) or for an unknown suffix, and `SaveError` if the file cannot
        be written.
        """
        from xpnet.report.plots import plot_history

        return plot_history(self, path)

    def report(self, path: Any = None) -> str:
        """Return the curves as one self-contained HTML page, and write it to the path, if any.

        Raises `InputError` without the extra ``report``, and `SaveError` if it cannot be written.
        """
        from xpnet.report.report import history_report

        return history_report(self, path)

    def _repr_html_(self) -> str | None:
        """Return the curves for a notebook, which shows the text if there is no matplotlib."""
        from xpnet.report.figures import curves

        try:
            return "".join(each.svg for each in curves(self)) or None
        except InputError:
            return None

    def __repr__(self) -> str:
        if not self.loss:
            return "History(no epochs)"
        held_out = f", validation {self.validation_loss[-1]:.4g}" if self.validation_loss else ""
        return f"History({self.epochs} epochs, loss {self.loss[-1]:.4g}{held_out})"
