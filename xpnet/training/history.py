"""What training leaves behind: its curves, and the metrics they are made of."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from typing import Any, TypeAlias, overload

import numpy as np

from xpnet.errors import InputError


class Curve(Sequence[float]):
    """A tuple of numbers that a longer one can be made of without a copy of them.

    All lengths of a curve share one list, to which only the longest appends.

    Parameters
    ----------
    values : iterable of float
    """

    def __init__(self, values: Iterable[float] = ()) -> None:
        self._shared = list(values)
        self._length = len(self._shared)

    def extended(self, values: Iterable[float]) -> "Curve":
        """Return this curve with more values at its end; this one stays as it is."""
        longest = self._length == len(self._shared)
        longer = Curve() if longest else Curve(self)
        if longest:
            longer._shared = self._shared
        longer._shared.extend(values)
        longer._length = len(longer._shared)
        return longer

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, index: int) -> float: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[float, ...]: ...

    def __getitem__(self, index: int | slice) -> float | tuple[float, ...]:
        places = range(self._length)[index]
        if isinstance(places, int):
            return self._shared[places]
        return tuple(self._shared[place] for place in places)

    def __iter__(self) -> Iterator[float]:
        return islice(self._shared, self._length)

    def __eq__(self, other: object) -> bool:
        return tuple(self) == tuple(other) if isinstance(other, (Curve, tuple)) else NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __reduce__(self) -> tuple[type["Curve"], tuple[tuple[float, ...]]]:
        return Curve, (tuple(self),)

    def __repr__(self) -> str:
        return repr(tuple(self))


@dataclass(frozen=True)
class History:
    """The curves of a training run, one entry per epoch.

    While the run goes on they are sequences that compare as tuples do; at its end they are tuples.

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
    metrics: Mapping[str, Sequence[float]] = field(default_factory=dict)
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

    def extended(self, metrics: Mapping[str, float], **values: Sequence[float]) -> "History":
        """Return the history with one more epoch, in a time that does not grow with the epochs.

        Parameters
        ----------
        metrics : dict of str to float
        **values : sequence of float
            For each curve by name, what to put at its end.
        """

        def longer(before: Sequence[float], new: Sequence[float]) -> Curve:
            return (before if isinstance(before, Curve) else Curve(before)).extended(new)

        curves: dict[str, Any] = {
            name: longer(getattr(self, name), values[name]) for name in values
        }
        of_metrics = {name: longer(self.metrics.get(name, ()), [metrics[name]]) for name in metrics}
        return replace(self, metrics=of_metrics, **curves)

    def ended(self, stopped: str) -> "History":
        """Return the history of a run that has ended, with tuples for curves."""
        return History.from_dict({**vars(self), "stopped": stopped})

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, as for JSON."""
        return asdict(self.ended(self.stopped))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "History":
        """Undo `to_dict`, even after a round trip through JSON."""
        plain: dict[str, Any] = {
            name: tuple(value) if isinstance(value, (list, Curve)) else value
            for name, value in values.items()
        }
        plain["metrics"] = {name: tuple(curve) for name, curve in values["metrics"].items()}
        return cls(**plain)

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


Metric: TypeAlias = Callable[[Any, Any], float]


def accuracy(outputs: Any, targets: Any) -> float:
    """Share of rows whose class is right; several binary outputs must all be right.

    Parameters
    ----------
    outputs : host array, (n, outputs)
        Probabilities.
    targets : host array, (n, outputs)
        Rows that sum to 1 (one class, or its smoothed labels), or 0 and 1.
    """
    if outputs.shape[1] == 1:
        return float(np.mean((outputs > 0.5) == (targets > 0.5)))
    if np.allclose(np.sum(targets, axis=1), 1.0, rtol=0.0, atol=1e-3):  # as targets are checked
        return float(np.mean(np.argmax(outputs, axis=1) == np.argmax(targets, axis=1)))
    return float(np.mean(np.all((outputs > 0.5) == (targets > 0.5), axis=1)))


def r2(outputs: Any, targets: Any) -> float:
    """1 - residual sum of squares / total sum of squares, averaged over the outputs."""
    targets = np.asarray(targets, dtype=np.float64)
    residual = np.sum((targets - outputs) ** 2, axis=0)
    total = np.sum((targets - np.mean(targets, axis=0)) ** 2, axis=0)
    return float(np.mean(np.where(total > 0.0, 1.0 - residual / np.where(total > 0, total, 1), 0)))


def mean_absolute_error(outputs: Any, targets: Any) -> float:
    """Mean of |output - target| over rows and outputs."""
    return float(np.mean(np.abs(np.asarray(targets, dtype=np.float64) - outputs)))


METRICS: dict[str, Metric] = {
    "accuracy": accuracy,
    "r2": r2,
    "mean_absolute_error": mean_absolute_error,
}


def resolve_metrics(metrics: Any) -> dict[str, Metric]:
    """Return metrics by name from names and callables ``metric(outputs, targets)``."""
    found: dict[str, Metric] = {}
    for metric in metrics if isinstance(metrics, (list, tuple, set)) else [metrics]:
        if not callable(metric) and metric not in METRICS:
            raise InputError(f"metric {metric!r} is not known; use one of {', '.join(METRICS)}")
        name = getattr(metric, "__name__", "metric") if callable(metric) else metric
        if name in found:
            raise InputError(f"two metrics are called {name!r}; set another __name__ for one")
        found[name] = metric if callable(metric) else METRICS[metric]
    return found
