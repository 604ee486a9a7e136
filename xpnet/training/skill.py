"""Is a network better than the best constant prediction? The one place where that is decided.

`Skill` compares two losses; `measure` finds those of a network on some rows; `find_no_skill` takes
as many rows as it needs. `unscaled` names what most often keeps a network from learning.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from xpnet.backend.device import Array, to_host
from xpnet.backend.random import generator
from xpnet.nn.losses import LOSSES, Loss, resolve_head
from xpnet.nn.network import MLP, PREDICT_ROWS
from xpnet.nn.optimizers import Adam
from xpnet.training.batches import Data, take_rows
from xpnet.training.loop import RUNAWAY_FACTOR, Training

MIN_ROWS = 20  # below, nothing is said
# Rows to judge by at first, and again before anything is said: what is faint on 1,000 may be sure
# on 50,000.
SAMPLE_ROWS = (1_000, 50_000)
MAX_NUMBERS = 1_000_000  # rows times inputs or outputs
# Epochs and steps from which a word is due. Of 290 small networks that learn in the end, 120 had no
# skill after the first epoch, but only 19 after 100 steps on all rows, and 10 of 187 after ten
# epochs of 100 steps or more in all. A loop around `fit(epochs=1)` is not disturbed on small data.
LONG_ENOUGH = ((5, 100), (1, 1000))
# Twice the gain in log-likelihood over the best constant (likelihood ratio); for other losses
# n (1 - loss / that of the constant) is about that. A single useless parameter gains 4 or more by
# chance in one case of 20. A gain of one standard error is as much, and will do where targets that
# no model can predict make the losses large.
MIN_GAIN = 4.0
MIN_SPREAD = 0.01  # of the outputs, in the targets' standard deviations; rare classes have little
CLASS_LOSSES = {"binary_cross_entropy", "categorical_cross_entropy"}
LIKELIHOODS = {*CLASS_LOSSES, "poisson"}  # for which the mean is the best constant
KNOWN = {*LOSSES, *LIKELIHOODS}  # with another loss, outputs may be in a unit of their own

MAX_MEAN = 1.0  # of a column, in its standard deviations
SPREADS = (0.1, 10.0)  # standard deviations that need no scaling


class NoSkillWarning(UserWarning):
    """The trained network is not clearly better than the best constant prediction."""


@dataclass(frozen=True)
class Skill:
    """A model's loss, or error, beside that of the best constant prediction.

    Attributes
    ----------
    loss, constant : float
    min_gain : float, from 0
        By how much the loss must be lower to count.
    loss_name : str
    rows : int
        How many rows the losses are means of.
    same_outputs : str
        Evidence that the outputs hardly differ between the rows; empty if they do.
    """

    loss: float
    constant: float
    min_gain: float = 0.0
    loss_name: str = "loss"
    rows: int = 0
    same_outputs: str = ""

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


def find_no_skill(net: MLP, loss: str | Loss, data: Data, seed: int) -> tuple[Skill, Data] | None:
    """Return the skill that does not suffice, and the rows that show it; None if all is well.

    Parameters
    ----------
    net : MLP
    loss : str or Loss
        The one that was trained: what is best for it need not be so for another.
    data : Data
        Training rows, on the device or from a source, with the weights they had in training.
    seed : int
        Of the choice of rows.
    """
    name, skill = resolve_head(net.output, loss).loss.name, None
    outputs = net.sizes[-1] // (10 if name in CLASS_LOSSES else 1)  # others are sorted
    most = max(MIN_ROWS, MAX_NUMBERS // max(net.sizes[0], outputs))
    rows = data.y.shape[0]
    few, many = (min(rows, most, each) for each in SAMPLE_ROWS)
    for size in (few, many) if many >= 2 * few else (many,):
        judged = data
        if size < rows or hasattr(data.x, "read_rows"):
            drawn = generator(seed, "verdict").choice(rows, size, replace=False)
            judged = take_rows(data, np.sort(drawn), net.device, net.dtype)
        try:
            with np.errstate(all="ignore"):  # of a network that overflows, the verdict counts
                skill = measure(net, loss, judged)
        except Exception:
            if name in KNOWN:
                raise
            return None  # a loss of the user's own may take only the batches it was written for
        if skill is not None and skill.is_clear:
            return None
    return None if skill is None else (skill, judged)


def measure(net: MLP, loss: str | Loss, judged: Data) -> Skill | None:
    """Compare a network with the best constant; None for too few rows, or targets all the same.

    See `find_no_skill` for the parameters; all rows of `judged` are on the device.
    """
    rows, y = judged.y.shape[0], judged.y
    weights = np.ones(rows) if judged.row_weights is None else _float64(judged.row_weights)[:, 0]
    if np.count_nonzero(weights) < MIN_ROWS:
        return None
    kind, share = resolve_head(net.output, loss).loss, weights / np.sum(weights)
    mean, deviations = _moments(((_float64(y[at, :]), at) for at in _tiles(rows)), share)
    constants = [mean]
    if kind.name not in CLASS_LOSSES:
        middle, deviations = _middle(_float64(y), weights, deviations)
        constants += [] if kind.name in LIKELIHOODS else [middle]
    deviation = _rms(deviations)
    if not deviation > 0.0:
        return None
    losses, output_mean, spread = _losses_and_outputs(net, loss, judged, share)
    constants += [] if kind.name in LIKELIHOODS else [output_mean]  # best for a loss not known
    found = [_losses_of_constant(net, kind, each, y) for each in constants]
    of_constant = min(found, key=lambda each: np.nan_to_num(share @ each, nan=np.inf))
    own, constant, gains = share @ losses, share @ of_constant, of_constant - losses
    by_chance = 0.5 if kind.name in LIKELIHOODS else max(constant, 0.0)
    error = np.sqrt(np.sum((share * (gains - share @ gains)) ** 2))
    same = ""
    if spread < MIN_SPREAD * deviation and kind.name in KNOWN:
        same = (
            f"the outputs are nearly the same for all samples (standard deviation {spread:.2g}, "
            f"against {deviation:.2g} for the targets)"
        )
    least = min(MIN_GAIN * float(np.sum(share**2)) * by_chance, error)
    return Skill(float(own), float(constant), float(least), kind.name, rows, same)


def _float64(array: Array) -> Any:
    return np.asarray(to_host(array), dtype=np.float64)


def _tiles(rows: int) -> Iterator[slice]:
    """Yield the rows' numbers, some at a time, so that many outputs take little memory."""
    for start in range(0, rows, PREDICT_ROWS):
        yield slice(start, min(start + PREDICT_ROWS, rows))


def _losses_and_outputs(
    net: MLP, loss: str | Loss, judged: Data, share: Any
) -> tuple[Any, Any, float]:
    """Return each row's loss, (n,), the outputs' mean, (outputs,), and their spread over rows."""
    xp, joined, losses = net.device.xp, resolve_head(net.output, loss), []

    def outputs() -> Iterator[tuple[Any, slice]]:
        for z, rows in net.tiles(judged.x):
            losses.append(_float64(joined.value_and_delta(xp, z, judged.y[rows, :])[0]))
            yield _float64(net.output.forward(xp, z)), rows

    mean, deviations = _moments(outputs(), share)
    return np.concatenate(losses), mean, _rms(deviations)


def _losses_of_constant(net: MLP, loss: Loss, constant: Any, y: Array) -> Any:
    """Return on the host each row's loss, (n,), if the same values were predicted for all."""
    device, found = net.device, []
    for rows in _tiles(y.shape[0]):
        same = device.put(np.tile(constant, (rows.stop - rows.start, 1)), net.dtype)
        found.append(_float64(loss.value(device.xp, same, y[rows, :])))
    return np.concatenate(found)  # not finite where the constant is outside the loss's domain


def _moments(tiles: Iterator[tuple[Any, slice]], share: Any) -> tuple[Any, Any]:
    """Return the weighted mean and standard deviation of each column of rows that come in tiles."""
    first: Any = None
    total = squares = 0.0
    for values, rows in tiles:
        first = values[0] if first is None else first
        away = values - first  # keeps the digits of what hardly varies
        total, squares = total + share[rows] @ away, squares + share[rows] @ away**2
    return first + total, np.sqrt(np.maximum(squares - total**2, 0.0))


def _middle(targets: Any, weights: Any, deviations: Any) -> tuple[Any, Any]:
    """Return the targets' median, and their standard deviation as far as no outliers make it.

    That is, at most 1.48 times the median distance from the median, which is the same for normal
    targets; the latter is 0, and says nothing, if most targets are the same.
    """

    def median(values: Any) -> Any:
        return np.quantile(values, 0.5, axis=0, weights=weights, method="inverted_cdf")

    middle = median(targets)
    usual = 1.4826 * median(np.abs(targets - middle))
    return middle, np.where(usual > 0.0, np.minimum(usual, deviations), deviations)


def _rms(values: Any) -> float:
    return float(np.sqrt(np.mean(values**2)))


def verdict(training: Training, penalty_at_start: float) -> str:
    """Say that a network has learnt nothing in a run, and the likely cause; "" if it has learnt.

    Parameters
    ----------
    training : Training
        A run that has ended.
    penalty_at_start : float
        On the initial weights, as it is part of the losses in the history.
    """
    state = training.state
    if not any(state.epoch >= epochs and state.step >= steps for epochs, steps in LONG_ENOUGH):
        return ""
    found = find_no_skill(training.net, training.options.loss, training.data, training.seed)
    if found is None:
        return ""
    skill, judged = found
    x, source = to_host(judged.x), hasattr(training.data.x, "read_rows")
    if np.all(np.ptp(x, axis=0) == 0.0):
        same = f"x is constant: all {len(x)} rows that were judged are the same"
        causes = [f"{same}, so nothing can be learnt from them; pass inputs that vary"]
    else:
        causes = [*_unscaled_data(training.net, x, judged.y, source),
                  *_long_steps(training, penalty_at_start)]  # fmt: skip
    unknown = "not known; train longer, or run xpnet.diagnose(net, x, y) on a new network"
    return f"fit: {skill}. Likely cause: {'; '.join(causes) or unknown}"


def _unscaled_data(net: MLP, x: Any, y: Array, source: bool) -> Iterator[str]:
    if found := unscaled(x):
        scaled = "(x - x.mean(axis=0)) / x.std(axis=0)"
        if source:
            scaled = "x.standardized()"  # of a RowFile
        elif np.any(np.ptp(x, axis=0) == 0.0):
            scaled += ", without the columns that never change"
        yield f"x is not scaled ({found}): pass {scaled}, and scale new rows alike"
    if net.output.name == "identity" and (found := unscaled(to_host(y))):
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
            f"{optimizer.learning_rate / 10:.2g}{other}"
        )


def unscaled(values: Any) -> str:
    """Say how far columns are from mean 0 and standard deviation 1; "" if they are near enough.

    Parameters
    ----------
    values : host array, (n, columns)
    """
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
