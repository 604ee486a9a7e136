"""What training leaves behind: the curves of a run."""

from collections.abc import Mapping, MutableSequence, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

CURVES = ("loss", "validation_loss", "learning_rate", "seconds")


@dataclass(frozen=True)
class History:
    """The curves of a training run, one entry per epoch.

    While the run goes on they are lists that grow; at its end they are tuples.

    Attributes
    ----------
    loss : tuple of float
        Mean training loss over the epoch's batches, penalties included, while the weights moved.
    validation_loss : tuple of float
        Mean loss on the validation rows after the epoch, without penalties; empty without them.
    metrics : dict of str to tuple of float
        On the validation rows, or on the training rows if there are none.
    learning_rate : tuple of float
        At the epoch's last step.
    seconds : tuple of float
        Wall time of the epoch.
    best_epoch : int or None
        The epoch (from 1) whose weights were kept by early stopping, for their `monitored` loss.
    stopped : str
        Why training ended.
    """

    loss: Sequence[float] = ()
    validation_loss: Sequence[float] = ()
    metrics: dict[str, Any] = field(default_factory=dict)
    learning_rate: Sequence[float] = ()
    seconds: Sequence[float] = ()
    best_epoch: int | None = None
    stopped: str = ""

    @property
    def epochs(self) -> int:
        """Epochs completed."""
        return len(self.loss)

    @property
    def monitored(self) -> Sequence[float]:
        """The loss that schedules and early stopping look at: validation if there is one."""
        return self.validation_loss or self.loss

    def _with_curves(self, kind: type, **changes: Any) -> "History":
        curves = {name: kind(getattr(self, name)) for name in CURVES}
        metrics = {name: kind(curve) for name, curve in self.metrics.items()}
        return replace(self, **curves, metrics=metrics, **changes)

    def started(self) -> "History":
        """Return a copy whose curves can grow, for a run that begins or goes on."""
        return self._with_curves(list)

    def append(self, metrics: Mapping[str, float], **values: Sequence[float]) -> None:
        """Add an epoch to a history that has `started`.

        Parameters
        ----------
        metrics : dict of str to float
        **values : sequence of float
            For each curve by name, what to put at its end.
        """
        curves: dict[str, MutableSequence[float]] = vars(self)
        for name, new in values.items():
            curves[name].extend(new)
        for name, value in metrics.items():
            self.metrics.setdefault(name, []).append(value)

    def ended(self, stopped: str) -> "History":
        """Return the history of a run that has ended, with tuples for curves."""
        return self._with_curves(tuple, stopped=stopped)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, as for JSON."""
        return asdict(self.ended(self.stopped))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "History":
        """Undo `to_dict`, even after a round trip through JSON."""
        return cls(**values).ended(values["stopped"])

    def to_frame(self) -> Any:
        """Return a Polars data frame with one row per epoch, without curves that are empty."""
        import polars

        curves: dict[str, Any] = {"epoch": range(1, self.epochs + 1), "loss": self.loss}
        curves |= {"validation_loss": self.validation_loss, **self.metrics}
        curves |= {"learning_rate": self.learning_rate, "seconds": self.seconds}
        return polars.DataFrame({name: curve for name, curve in curves.items() if len(curve)})

    def plot(self, path: Any = None) -> Any:
        """Draw training and validation loss over the epochs, with matplotlib, which is an extra.

        Parameters
        ----------
        path : path, optional
            Where to save the plot; the suffix gives the format.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        InputError
            If matplotlib is not installed, or cannot draw a picture of this suffix.
        SaveError
            If the picture cannot be written.
        """
        from xpnet.report.plots import plot_history

        return plot_history(self, path)

    def __repr__(self) -> str:
        if not self.loss:
            return "History(no epochs)"
        held_out = f", validation {self.validation_loss[-1]:.4g}" if self.validation_loss else ""
        return f"History({self.epochs} epochs, loss {self.loss[-1]:.4g}{held_out})"
