"""Callbacks: what the training loop does not know about, such as early stopping.

A callback is a function, called with the run after each epoch, or an object with any of the methods

    on_train_start(run)     before the first step
    on_epoch_start(run)
    on_batch_end(run)       after a step, with `run.loss`, `run.gradients` and `run.trace`
    on_epoch_end(run)       after an epoch, which is in the history
    on_train_end(run)       in any case, also after an error

The run is a `xpnet.training.loop.Training`; see there. ``run.stop(reason)`` ends it. A GPU, and
compiled code, take many steps at a time, except where a callback has to be called in between. An
object can spare them that:

    wants_step(step)        a method that returns False if ``on_batch_end`` need not be called after
                            this step, counted from 1
    needs_traces = False    ``on_batch_end`` uses neither gradients nor trace: steps may be compiled
    each_epoch = False      ``on_epoch_start`` and ``on_epoch_end`` need not be called in each epoch
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from xpnet.errors import InputError, check_integers, check_numbers
from xpnet.nn.schedules import epochs_waited

if TYPE_CHECKING:
    from xpnet.training.loop import Training

HOOKS = ("on_train_start", "on_epoch_start", "on_batch_end", "on_epoch_end", "on_train_end")


def checked_callbacks(callbacks: Any) -> list[Any]:
    """Return callbacks as a list of objects; refuse classes, and objects without any method."""
    if callbacks is None:
        return []
    if not isinstance(callbacks, (list, tuple)):
        raise InputError(f"callbacks {callbacks!r:.80} is not a list; pass callbacks=[...]")
    checked = []
    for each in callbacks:
        if isinstance(each, type):
            raise InputError(f"callbacks holds the class {each.__name__}; pass an instance of it")
        if any(hasattr(each, name) for name in HOOKS):
            checked.append(each)
        elif callable(each):
            checked.append(SimpleNamespace(on_epoch_end=each))
        else:
            raise InputError(
                f"callbacks holds {each!r:.80}, which would never be called; give it a method "
                f"{', '.join(HOOKS[:-1])} or {HOOKS[-1]}, or pass a function"
            )
    return checked


def hooks(callbacks: Sequence[Any], name: str) -> list[Callable[["Training"], None]]:
    """Return the methods of this name of the callbacks that have one."""
    return [getattr(each, name) for each in callbacks if hasattr(each, name)]


def needs_traces(callbacks: Sequence[Any]) -> bool:
    """Return whether a callback uses the gradients or the trace of single steps."""
    watching = [each for each in callbacks if hasattr(each, "on_batch_end")]
    return any(getattr(each, "needs_traces", True) for each in watching)


def steps_unwanted(callbacks: Sequence[Any], taken: int, count: int) -> int:
    """Return how many of the next `count` steps come before one that a callback wants to see."""
    for each in callbacks:
        if hasattr(each, "on_batch_end"):
            wants = getattr(each, "wants_step", lambda step: True)
            count = next((i for i in range(count) if wants(taken + 1 + i)), count)
    return count


def wants_each_epoch(callbacks: Sequence[Any]) -> bool:
    """Return whether a callback has to be called in each epoch."""
    return any(
        getattr(each, "each_epoch", True)
        for each in callbacks
        if hasattr(each, "on_epoch_start") or hasattr(each, "on_epoch_end")
    )


@dataclass(frozen=True)
class EarlyStopping:
    """Stop when the monitored loss has not improved for some epochs.

    The loss is the validation loss if there is one, else the training loss. With early stopping,
    `fit` keeps the best weights and restores them at the end.

    Parameters
    ----------
    patience : int, from 1
        Epochs without improvement to wait for.
    min_delta : float, from 0
        The loss has improved once it is lower by more than this than when it last had.
    """

    patience: int = 10
    min_delta: float = 0.0

    def __post_init__(self) -> None:
        check_integers(1, patience=self.patience)
        check_numbers("must be finite and >= 0", min_delta=self.min_delta)

    def on_epoch_end(self, training: "Training") -> None:
        """Count from the history, which survives a resume, rather than from its own state."""
        *_, waited = epochs_waited(training.state.history.monitored, self.min_delta)
        if waited >= self.patience:
            training.stop(f"no improvement for {waited} epochs")


def wants_progress(progress: bool | None) -> bool:
    """Decide whether to show a bar: as requested, or by default in a terminal or notebook."""
    if progress is not None:
        return progress
    watched = sys.stderr is not None and sys.stderr.isatty()
    return watched or "ipykernel" in sys.modules


class ProgressBar:
    """A Rich progress bar on standard error, one step per epoch."""

    each_epoch = False

    def on_train_start(self, training: "Training") -> None:
        """Draw the bar."""
        from rich.console import Console
        from rich.progress import Progress

        self._progress = Progress(console=Console(stderr=True))
        total, done = training.options.epochs, training.state.epoch
        self._task = self._progress.add_task(f"epoch {done}/{total}", total=total, completed=done)
        self._progress.start()

    def on_epoch_end(self, training: "Training") -> None:
        """Advance, with the latest losses."""
        history, done = training.state.history, training.state.epoch
        text = f"epoch {done}/{training.options.epochs}  loss {history.loss[-1]:.4g}"
        if history.validation_loss:
            text += f"  validation {history.validation_loss[-1]:.4g}"
        self._progress.update(self._task, completed=done, description=text)

    def on_train_end(self, training: "Training") -> None:
        """Leave the bar as it is and give the terminal back."""
        self._progress.stop()
