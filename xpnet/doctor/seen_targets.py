"""The targets of a whole run, step by step: whether they differ, and how batches share them.

The total variance of the targets is that within the batches plus that between their means. Shuffled
batches of m rows leave about 1/m of it between them (the variance of a mean of m independent
values); rows sorted by target leave nearly all of it there.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

SORTED = 0.3  # share of the variance between batches from which rows are not shuffled
EVERY_STEP = 500  # later steps are looked at less and less often
PIECE = 24  # rows; smaller batches are put together, since means of few rows differ by chance


@dataclass
class SeenTargets:
    """What was seen of the targets of one training run.

    Attributes
    ----------
    first : ndarray, (outputs,), or None
        Of the first row; `differ` says whether any other row's differs.
    rows : int
        How many rows were seen; `complete`: whether those are all there are.
    batches : int
        Batches, or groups of small ones, from which `share_between` is computed.
    """

    first: Any = None
    differ: bool = False
    rows: int = 0
    complete: bool = False
    batches: int = 0
    _sums: Any = 0.0  # over the batches: mean, squared mean, mean square; each (outputs,)
    _waiting: list[Any] = field(default_factory=list)

    def wants(self, step: int) -> bool:
        """Tell whether to add this step: all until targets differ and for long, then ever fewer."""
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
            if sum(map(len, self._waiting)) < PIECE:
                return
            seen, self._waiting = np.concatenate(self._waiting), []
            mean, square = seen.mean(axis=0), np.mean(seen * seen, axis=0)
            self._sums = self._sums + np.stack([mean, mean * mean, square])
        self.batches += 1

    @property
    def rows_per_batch(self) -> float:
        """Mean number of rows in `batches`; NaN without any."""
        return self.rows / self.batches if self.batches else float("nan")

    @property
    def share_between(self) -> float:
        """Share of the targets' variance that lies between batches, 0 to 1; NaN if unknown."""
        if self.batches < 2:
            return float("nan")
        mean, squared_mean, square = self._sums / self.batches
        total = float(np.sum(square - mean**2))
        return float(np.sum(squared_mean - mean**2)) / total if total > 0.0 else float("nan")
