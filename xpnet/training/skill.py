"""Is a network better than the best constant prediction? The one place where that is decided.

`Skill` compares two losses; `measure` finds those of a network on some rows; `find_no_skill` draws
the rows. `unscaled` names what most often keeps a network from learning.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from xpnet.backend.device import Array, to_host
from xpnet.backend.random import generator
from xpnet.nn.arrays import is_row_source
from xpnet.nn.losses import LOSSES, Loss, resolve_head
from xpnet.nn.network import MLP
from xpnet.nn.optimizers import Adam, lower_rate
from xpnet.training.batches import Data, take_rows
from xpnet.training.divergence import RUNAWAY_FACTOR
from xpnet.training.loop import Training

MIN_ROWS = 20  # fewer are not judged
MAX_ROWS = 10_000  # rows to judge by; 1,000 would leave a faint skill unsure
MAX_NUMBERS = 1_000_000  # rows times inputs or outputs
# A warning is given only after `epochs` epochs and `steps` steps, for either pair: many networks
# that learn in the end have no skill after the first epoch. So a loop around `fit(epochs=1)` on
# small data is not disturbed.
LONG_ENOUGH = ((5, 100), (1, 1000))
# Twice the gain in log-likelihood over the best constant (likelihood ratio); for other losses
# n (1 - loss / that of the constant) is about that. A single useless parameter gains 4 or more by
# chance in one case of 20. A gain of one standard error is as much, and will do where targets that
# no model can predict make the losses large.
MIN_GAIN = 4.0
LIKELIHOODS = {"binary_cross_entropy", "categorical_cross_entropy", "poisson"}
MIN_SPREAD = 0.01  # of the outputs, in the targets' standard deviations; rare classes have little
# Outliers may make that deviation large.
SPREAD_SAYS_NOTHING = {"absolute_error", "huber"}

MAX_MEAN = 1.0  # of a column, in its standard deviations
SPREADS = (0.1, 10.0)  # standard deviations that need no scaling


class NoSkillWarning(UserWarning):
    """The trained network is not clearly better than the best constant prediction."""


@dataclass(frozen=True)
class Skill:
    """A model's loss, or error, beside that of the best constant prediction."""

    loss: float
    constant: float
    min_gain: float = 0.0  # by how much the loss must be lower to count
    loss_name: str = "loss"
    rows: int = 0  # that the losses are means of
    same_outputs: str = ""  # evidence that the outputs hardly differ between the rows, if so

    @property
    def is_clear(self) -> bool:
        """Whether the model is better than the constant by more than chance."""
        return self.constant - self.loss > self.min_gain and not self.same_outputs

    def __str__(self) -> str:
        if self.same_outputs:
            return self.same_outputs
        than = "not clearly better" if self.loss < self.constant else "no better"
        return (
            f"the model is {than} than the best constant prediction "
            f"({self.loss_name.replace('_', ' ')} {self.loss:.5g}, against {self.constant:.5g} for "
            f"the constant, on {self.rows} training rows)"
        )


def find_no_skill(training: Any, seed: int) -> tuple[Skill, Data] | None:
    """Return the skill of a network without a clear one, and the rows that show it; else None.

    The training, a `Training` or `LBFGS`, gives the loss, since what is best for it need not be
    best for another, and the rows, with their weights then; the seed chooses among them.
    """
    net, loss, data = training.net, training.options.loss, training.data
    rows, judged = data.y.shape[0], data
    size = min(rows, MAX_ROWS, max(MIN_ROWS, MAX_NUMBERS // max(net.sizes[0], net.sizes[-1])))
    if size < rows or is_row_source(data.x):
        drawn = generator(seed, "verdict").choice(rows, size, replace=False)
        judged = take_rows(data, np.sort(drawn), net.device, net.dtype)
    try:
        with np.errstate(all="ignore"):  # of a network that overflows, the verdict counts
            skill = measure(net, loss, judged)
    except Exception:
        if resolve_head(net.output, loss).loss.name in LOSSES:
            raise
        return None  # a loss of the user's own may take only the batches it was written for
    return None if skill is None or skill.is_clear else (skill, judged)


def measure(net: MLP, loss: str | Loss, judged: Data) -> Skill | None:
    """Compare a network with the best constant; None for too few rows or constant targets."""
    xp, head, targets = net.device.xp, resolve_head(net.output, loss), _float64(judged.y)
    rows, name = len(targets), head.loss.name
    weights = np.ones(rows) if judged.row_weights is None else _float64(judged.row_weights)[:, 0]
    share = weights / np.sum(weights)
    deviation = _spread(targets, share)
    if np.count_nonzero(weights) < MIN_ROWS or not deviation > 0.0:
        return None
    z = xp.concat([each for each, _ in net.tiles(judged.x)], axis=0)
    losses = _float64(head.value_and_delta(xp, z, judged.y)[0])
    outputs = _float64(net.output.forward(xp, z))

    def losses_of(constant: Any) -> Any:  # not finite where it is outside the loss's domain
        same = net.device.put(np.tile(constant, (rows, 1)), net.dtype)
        return _float64(head.loss.value(xp, same, judged.y))

    # Which constant is best depends on the loss: the mean, the median, or neither, if it is not
    # xpnet's own.
    median = np.quantile(targets, 0.5, axis=0, weights=weights, method="inverted_cdf")
    candidates = map(losses_of, (share @ targets, median, share @ outputs))
    of_constant = min(candidates, key=lambda each: np.nan_to_num(share @ each, nan=np.inf))
    constant, gains = share @ of_constant, of_constant - losses
    by_chance = 0.5 if name in LIKELIHOODS else max(constant, 0.0)
    error = np.sqrt(np.sum((share * (gains - share @ gains)) ** 2))
    least = min(MIN_GAIN * np.sum(share**2) * by_chance, error)
    spread, same_outputs = _spread(outputs, share), ""
    # Of a loss of the user's own, the outputs may have another unit than the targets.
    if spread < MIN_SPREAD * deviation and name in LOSSES and name not in SPREAD_SAYS_NOTHING:
        same_outputs = (
            f"the outputs are nearly the same for all samples (standard deviation {spread:.2g}, "
            f"against {deviation:.2g} for the targets)"
        )
    return Skill(float(share @ losses), float(constant), float(least), name, rows, same_outputs)


def _float64(array: Array) -> Any:
    return np.asarray(to_host(array), dtype=np.float64)


def _spread(values: Any, share: Any) -> float:
    """Return the root mean square of the columns' weighted standard deviations."""
    away = values - values[0]  # keeps the digits of what hardly varies
    return float(np.sqrt(np.mean(share @ (away - share @ away) ** 2)))


def verdict(training: Training, penalty_at_start: float) -> str:
    """Say that a network has learnt nothing in a run, and the likely cause; "" if it has learnt."""
    state = training.state
    if not any(state.epoch >= epochs and state.step >= steps for epochs, steps in LONG_ENOUGH):
        return ""
    unskilled = find_no_skill(training, training.seed)
    if unskilled is None:
        return ""
    skill, judged = unskilled
    causes = [*_unscaled_data(training, judged), *_long_steps(training, penalty_at_start)]
    unknown = "not known; train longer, or run xpnet.diagnose(net, x, y) on a new network"
    return f"fit: {skill}. Likely cause: {'; '.join(causes) or unknown}"


def _unscaled_data(training: Training, judged: Data) -> Iterator[str]:
    x = to_host(judged.x)
    if found := unscaled(x):
        scaled = "(x - x.mean(axis=0)) / x.std(axis=0)"
        if is_row_source(training.data.x):
            scaled = "x.standardized()"  # of a RowFile
        elif np.any(np.ptp(x, axis=0) == 0.0):
            scaled += ", without the columns that never change"
        yield f"x is not scaled ({found}): pass {scaled}, and scale new rows alike"
    if training.net.output.name == "identity" and (found := unscaled(to_host(judged.y))):
        yield f"y is not scaled ({found}): pass (y - y.mean(axis=0)) / y.std(axis=0)"


def _long_steps(training: Training, penalty_at_start: float) -> Iterator[str]:
    losses, optimizer = training.state.history.loss, training.options.optimizer
    start = max(float(training.state.first_loss), training.loss_at_zero)
    worst = int(np.argmax(losses))
    if losses[worst] > RUNAWAY_FACTOR * (start + penalty_at_start):
        other = "" if isinstance(optimizer, Adam) else " or Adam()"
        yield (
            f"the steps were too long (loss {losses[worst]:.3g} in epoch {worst + 1}, "
            f"{start:.3g} at the start): try a learning rate of "
            f"{lower_rate(optimizer, optimizer.learning_rate)}{other}"
        )


def unscaled(values: Any) -> str:
    """Say how far columns, (n, columns), are from mean 0 and deviation 1; "" if close enough."""
    mean, deviation = np.abs(np.mean(values, axis=0)), np.std(values, axis=0)
    varies = deviation > 1e-12 * (mean + 1e-300)
    mean, deviation = mean[varies], deviation[varies]
    low, high = SPREADS
    if not np.any((mean > MAX_MEAN * deviation) | (deviation < low) | (deviation > high)):
        return ""
    return (
        f"means up to {mean.max():.3g}, standard deviations from {deviation.min():.2g} to "
        f"{deviation.max():.2g}"
    )
