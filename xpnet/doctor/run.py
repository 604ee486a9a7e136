"""All that the doctor has seen of one training, and numbers that many rules use."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

from xpnet.doctor.replay import Replay, Update
from xpnet.doctor.step import Step, is_bias, relative_change

EVERY_STEP = 500  # targets of later steps are looked at less and less often
SORTED = 0.3  # share of the targets' variance between batches from which rows are not shuffled
BLOCK_ROWS = 24  # smaller batches are put together, since means of few rows differ by chance
FAR = 0.3  # of their size, that the weights have moved in all
LONG_STEP = 0.3  # the same, in one step
NOWHERE = 0.02  # of the way that was gone
GOOD = 0.8  # share of the targets' variance explained, from which a start or a rate is no cause


@dataclass
class SeenTargets:
    """The targets of a whole run: whether they differ, and how they are spread over the batches.

    The total variance of the targets is that within the batches plus that between their means.
    Shuffled batches of m rows leave about 1/m of it between them (the variance of a mean of m
    independent values); rows sorted by target leave nearly all of it there.
    """

    first: Any = None  # the first row's, (outputs,)
    differ: bool = False  # whether any other row's is not the same
    rows: int = 0  # seen so far
    complete: bool = False  # whether those are all there are
    batches: int = 0  # or blocks of small ones, from which `share_between` is computed
    _sums: Any = 0.0  # over the batches: mean, squared mean, mean square; each (outputs,)
    _waiting: list[Any] = field(default_factory=list)

    def wants(self, step: int) -> bool:
        """Return whether to add a step: early ones, all until targets differ, later ever fewer."""
        return not self.differ or step < EVERY_STEP or step % (step // EVERY_STEP) == 0

    def add(self, targets: Any) -> None:
        """Take the targets of one step, host (batch, outputs)."""
        self.first = targets[0] if self.first is None else self.first
        self.rows += len(targets)
        if targets.shape[1:] != self.first.shape:
            self.differ = True
            return
        with np.errstate(invalid="ignore", over="ignore"):  # NaN and infinity: others name them
            away = targets - self.first
            self.differ = self.differ or bool(np.any(away))
            self._waiting.append(away)
            if sum(map(len, self._waiting)) < BLOCK_ROWS:
                return
            seen, self._waiting = np.concatenate(self._waiting), []
            mean, square = seen.mean(axis=0), np.mean(seen * seen, axis=0)
            self._sums = self._sums + np.stack([mean, mean * mean, square])
        self.batches += 1

    @property
    def share_between(self) -> float:
        """The share of the targets' variance between batches, 0 to 1; NaN if it is not known."""
        if self.batches < 2:
            return float("nan")
        mean, squared_mean, square = self._sums / self.batches
        total = float(np.sum(square - mean**2))
        return float(np.sum(squared_mean - mean**2)) / total if total > 0.0 else float("nan")


@dataclass
class Run:
    """All that was seen of one training run; what is not known is empty."""

    first: Step = field(default_factory=Step)  # before training, or at its first steps
    last: Step = field(default_factory=Step)  # at the end
    data: Step = field(default_factory=Step)  # perhaps of more rows than `first` has
    served: Step = field(default_factory=Step)  # the inputs that the model gets in use
    whole: list[Step] = field(default_factory=list)  # a loop's first two, unless they are very big
    replay: Replay = field(default_factory=Replay)  # of the first step
    losses: list[float] = field(default_factory=list)  # in order, one per step or per epoch
    validation_losses: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    updates: list[Update] = field(default_factory=list)  # by a few steps
    movement: list[float] = field(default_factory=list)  # relative change of all weights by them
    steps: int = 0
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)  # of targets and predictions
    columns: bool = False  # whether the caller's code has samples as columns
    hidden: Sequence[str] = ()  # names of the activations
    output: str = ""
    targets: SeenTargets = field(default_factory=SeenTargets)
    class_counts: Any = None  # (classes,), of all rows, where `data` holds only some of them
    width: int = 0  # number of inputs
    names: Sequence[str] = ()  # of the inputs
    diverged: bool = False
    descends: bool = False  # whether the first step, as measured, lowers the loss of its own rows
    usual_rate: float = np.inf  # the learning rate, if the optimiser is known
    found: list[str] = field(default_factory=list)  # codes of the findings so far

    @property
    def start(self) -> Step:
        """The first step, with all of its rows if they are known."""
        return next(iter(self.whole), self.first)

    @property
    def loss_undefined(self) -> bool:
        """Whether the loss is NaN or infinite although the predictions are good."""
        end = self.loss_span()[1] if self.losses else 0.0
        return bool(not np.isfinite(end) and self.last.skill > 0.5)

    @property
    def failing(self) -> bool:
        """Whether training diverged, or its outcome is hardly better than a constant."""
        predictions = self.last.predictions
        lost = predictions is not None and not np.all(np.isfinite(predictions))
        if self.losses and not self.last.skill > 0.5:  # or else only the loss shown is wrong
            start, end = self.loss_span()
            lost = lost or not np.isfinite(end) or end > 3.0 * abs(start) > 0.0
        return bool(self.diverged or lost or self.last.skill < 0.1)

    @property
    def learnt(self) -> bool:
        """Whether the network has learnt; where that is not known, it has not."""
        return self.last.skill >= GOOD

    @property
    def if_failing(self) -> str:
        """The severity of what may be intended: error if nothing was learnt, else note."""
        return "error" if self.failing else "note"

    @property
    def learning_rate(self) -> float | None:
        """The largest learning rate shown, the one a remedy starts from."""
        return max(self.rates, default=None)

    def feature(self, place: int) -> str:
        """Return an input's name, or its number if names are not known."""
        return self.names[place] if len(self.names) > place else str(place)

    @property
    def with_rate(self) -> str:
        """The learning rate in words; empty if it is not known."""
        return "" if self.learning_rate is None else f" with learning rate {self.learning_rate:g}"

    def rate_times(self, factor: float) -> dict[str, Any]:
        """Return the change that multiplies the learning rate, known or not."""
        if not self.learning_rate:
            return {"learning_rate_factor": factor}
        return {"learning_rate": float(f"{self.learning_rate * factor:.1g}")}

    @property
    def without_biases(self) -> bool:
        """Whether parameters are shown, and none of them is a bias."""
        shown = self.first.parameters
        return bool(shown) and not any(is_bias(name, each) for name, each in shown.items())

    def has_found(self, *codes: str) -> bool:
        """Return whether a finding so far has one of these codes; ``*`` stands for anything."""
        return any(fnmatchcase(found, code) for found in self.found for code in codes)

    def loss_span(self) -> tuple[float, float]:
        """Return the mean loss over the first and the last twentieth of the run, of some rows."""
        few = -(-BLOCK_ROWS // max(1, len(self.start) or BLOCK_ROWS))  # steps that have so many
        size = max(1, len(self.losses) // 20, min(len(self.losses) // 4, few))
        return float(np.mean(self.losses[:size])), float(np.mean(self.losses[-size:]))

    def travelled(self) -> float:
        """Return the distance of all weights from their start, relative to their size there."""
        return relative_change(self.first.weights, self.last.weights)

    @property
    def to_and_fro(self) -> bool:
        """Whether steps are long enough, all together, but lead nowhere."""
        way = self.steps * float(np.median(self.movement or [0.0]))
        return way > 1.0 and self.travelled() < NOWHERE * way

    def hidden_values(self, *kinds: str) -> list[tuple[str, str, Any, str]]:
        """Return (place, activation, values (rows, units), when) of hidden layers of some kinds.

        Values at the end are left out if they do no harm, or a single long step has caused it.
        """
        harmful = not self.last.skill > 0.5 and not max(self.movement, default=0.0) > LONG_STEP
        steps = [(self.first, "at the start")]
        if harmful:
            steps.append((self.last, "at the end"))
        found = []
        for step, when in steps:
            for layer, values in enumerate(step.activations):
                kind = self._kind(layer, values) if np.shape(values)[:1] >= (5,) else None
                if kind in kinds:
                    found.append((f"hidden layer {layer + 1}", kind, values, when))
        return found

    def _kind(self, layer: int, values: Any) -> str:
        """Return the name of a hidden layer's activation, known or guessed from its values."""
        if self.hidden:
            return self.hidden[layer] if layer < len(self.hidden) else ""
        if np.any(values < 0):
            return "tanh" if np.all(np.abs(values) <= 1) else ""
        if np.mean(values == 0) > 0.02:
            return "relu"
        return "sigmoid" if np.all(values <= 1) else ""
