"""All that the doctor has seen of one training, and the few numbers that many rules share."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from xpnet.doctor.observations import Snapshot, relative_change
from xpnet.doctor.replay import Replay, Update
from xpnet.doctor.seen_targets import SeenTargets

STEPS_TO_JUDGE = 10  # fewer steps than this say nothing about the outcome


@dataclass
class Run:
    """All that was seen of one training run.

    Attributes
    ----------
    first, last : Snapshot
        Before training (or at its first steps), and at the end.
    data : Snapshot
        Inputs and targets, perhaps of more rows than `first` has.
    losses, validation_losses : list of float
        In order, one per step or per epoch.
    whole : list of Snapshot
        The first two steps of a loop with all their rows, unless those are very many.
    replay : Replay
        The backward pass of the first step, recomputed.
    rates : list of float
        Learning rates shown, in order, one per step or per epoch.
    updates : list of Update
        What a few steps did to the parameters.
    movement : list of float
        Relative change of all weights in one step, at a few steps.
    steps : int
    shapes : dict
        ``{"targets": ..., "predictions": ...}`` as the caller's code had them.
    reshaped : dict
        Parameters whose shape changed: name to (before, after).
    columns : bool
        Whether the caller's code has samples as columns.
    empty : list of int
        Steps whose batch had no rows.
    integers : list of str
        Parameters that are arrays of integers at the end.
    shared : list of tuple of str
        Parameters that are one array under two names.
    targets : SeenTargets
        Of all steps.
    class_counts : int array, (classes,), or None
        Rows of each class in all of the data, where `data` holds only some of them.
    width : int
        Number of inputs; 0 if not known.
    names : sequence of str
        Of the inputs; empty if not known.
    served : Snapshot or None
        Inputs that the model gets in use, after training.
    one_batch_skill : float
        Skill after training on one small batch alone; NaN if not tried.
    same_rows : bool
        Whether the last step saw the same rows as the first.
    logits : {"", "sigmoid", "softmax"}
        The activation whose logits the predictions shown are; they are kept as probabilities.
    found : set of str
        Codes of the findings so far.
    """

    first: Snapshot = field(default_factory=Snapshot)
    last: Snapshot = field(default_factory=Snapshot)
    data: Snapshot = field(default_factory=Snapshot)
    losses: list[float] = field(default_factory=list)
    validation_losses: list[float] = field(default_factory=list)
    whole: list[Snapshot] = field(default_factory=list)
    replay: Replay = field(default_factory=Replay)
    updates: list[Update] = field(default_factory=list)
    movement: list[float] = field(default_factory=list)
    steps: int = 0
    rates: list[float] = field(default_factory=list)
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    reshaped: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    columns: bool = False
    empty: list[int] = field(default_factory=list)
    integers: list[str] = field(default_factory=list)
    shared: list[tuple[str, str]] = field(default_factory=list)
    hidden: Sequence[str] = ()
    output: str = ""
    targets: SeenTargets = field(default_factory=SeenTargets)
    class_counts: Any = None
    width: int = 0
    names: Sequence[str] = ()
    served: Snapshot | None = None
    diverged: bool = False
    one_batch_skill: float = float("nan")
    same_rows: bool = False
    logits: str = ""
    found: set[str] = field(default_factory=set)

    @property
    def only_the_loss(self) -> bool:
        """Whether the loss told is no number at the end, beside predictions that are good."""
        end = self.loss_span()[1] if self.losses else 0.0
        return bool(not np.isfinite(end) and self.last.skill > 0.5)

    @property
    def failing(self) -> bool:
        """Whether training diverged, or its outcome is hardly better than a constant."""
        predictions = self.last.predictions
        lost = predictions is not None and not np.all(np.isfinite(predictions))
        if self.losses and not self.last.skill > 0.5:  # or else only the loss told is wrong
            start, end = self.loss_span()
            lost = lost or not np.isfinite(end) or end > 3.0 * abs(start) > 0.0
        return bool(self.diverged or lost or self.last.skill < 0.1)

    @property
    def learning_rate(self) -> float | None:
        """The largest learning rate shown, the one a remedy starts from."""
        return max(self.rates, default=None)

    def feature(self, place: int) -> str:
        """Return an input's name, or its number if names are not known."""
        return self.names[place] if len(self.names) > place else str(place)

    @property
    def from_zero(self) -> bool:
        """Whether all weights started at 0, so that no step can be compared with their size."""
        return not any(np.any(each) for each in self.first.weights.values())

    @property
    def severity(self) -> str:
        """Error if nothing was learnt, else warning: for signs that may or may not do harm."""
        return "error" if self.failing else "warning"

    def loss_span(self) -> tuple[float, float]:
        """Return the mean loss over the first and the last twentieth of the run."""
        size = max(1, len(self.losses) // 20)
        return float(np.mean(self.losses[:size])), float(np.mean(self.losses[-size:]))

    def travelled(self) -> float:
        """Distance of all weights from their start, relative to their size at the start."""
        return relative_change(self.first.weights, self.last.weights)
