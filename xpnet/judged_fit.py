"""`xpnet.fit`: training, and a warning at its end if the network has learnt nothing.

The command, `diagnose` and the estimators train by `xpnet.fitting` and `xpnet.training` without it;
they have words of their own.
"""

import warnings
from functools import wraps
from typing import Any

import numpy as np

from xpnet import fitting
from xpnet.batches import Data
from xpnet.callbacks import checked_callbacks
from xpnet.history import History
from xpnet.losses import LOSSES
from xpnet.network import MLP
from xpnet.objective import penalty
from xpnet.optimizers import Adam
from xpnet.randomness import generator
from xpnet.training import RUNAWAY_FACTOR, Training
from xpnet.verdict import (
    ENOUGH_ROWS,
    KNOWN,
    LIKELIHOODS,
    NoSkillWarning,
    least_gain,
    shortcoming,
    unscaled,
)

# Epochs and steps from which a word is due. Of 290 small networks that learn in the end, 120 had no
# skill after the first epoch, but only 19 after 100 steps on all rows, and 10 of 187 after ten
# epochs of 100 steps or more in all. A loop around `fit(epochs=1)` is not disturbed on small data.
LONG_ENOUGH = ((5, 100), (1, 1000))
# Rows judged at first, and again before anything is said: what is faint on 1,000 may be sure on
# 50,000.
JUDGED_ROWS = (1_000, 50_000)
JUDGED_NUMBERS = 2_000_000  # rows times inputs or outputs
BEST_AT_THE_MEAN = {"squared_error", "half_squared_error", *LIKELIHOODS} & LOSSES.keys()
PLAIN = 5.0  # times the least gain that counts: no need to look closer


class _Seen:
    """A callback that keeps hold of the training, and of the penalty on the initial weights."""

    training: Training
    penalty: float

    def on_train_start(self, training: Training) -> None:
        net, options = training.net, training.options
        self.training = training
        self.penalty = penalty(net.device.xp, net.weights, options.l1, options.l2)


@wraps(fitting.fit, assigned=("__doc__",))  # and the signature, for whoever inspects it
def fit(net: MLP, x: Any, y: Any, *, callbacks: Any = (), **options: Any) -> History:  # noqa: D103
    seen = _Seen()
    history = fitting.fit(net, x, y, callbacks=[*checked_callbacks(callbacks), seen], **options)
    # Of a network that overflows, the verdict is what counts.
    with np.errstate(all="ignore"), net.device.active:
        message = _verdict(seen)
    if message:
        warnings.warn(message, NoSkillWarning, stacklevel=2)
    return history


def _verdict(seen: _Seen) -> str:
    """Say that the network has learnt nothing, and the likely cause; "" if it has learnt."""
    run = seen.training
    state, rows, known = run.state, run.rows, run.head.loss.name in KNOWN
    long_enough = any(
        state.epoch >= epochs and state.step >= steps for epochs, steps in LONG_ENOUGH
    )
    if rows < ENOUGH_ROWS or not long_enough or _plainly_skilled(run):
        return ""
    most = max(ENOUGH_ROWS, JUDGED_NUMBERS // max(run.net.sizes[0], run.net.sizes[-1]))
    for size in sorted({min(rows, each, most) for each in JUDGED_ROWS}):
        judged, found = _sample(run, size), ""
        try:
            found = shortcoming(run.net, run.options.loss, judged)
        except Exception:
            if known:
                raise  # a loss of the user's own may take only the batches it was written for
        if not found:
            return ""
    return f"fit: {found}. Likely cause: {'; '.join(_causes(seen, judged))}"


def _plainly_skilled(run: Training) -> bool:
    """Tell from the loss of the last epoch, or the best, which is known: without a forward pass.

    It is too high rather than too low: with penalties and dropout, and of weights that still moved.
    """
    loss, history, y = run.head.loss, run.state.history, run.data.y
    if run.data.row_weights is not None or y.shape[0] * y.shape[1] > JUDGED_NUMBERS:
        return False
    if loss.name not in BEST_AT_THE_MEAN or LOSSES[loss.name] != loss:
        return False
    xp = run.net.device.xp
    constant = float(xp.mean(loss.value(xp, xp.mean(y, axis=0, keepdims=True), y)))
    reached = history.loss[(history.best_epoch or history.epochs) - 1]
    return constant - reached > PLAIN * least_gain(loss, constant, 1.0 / y.shape[0])


def _sample(run: Training, size: int) -> Data:
    """Return that many training rows, drawn at random."""
    if size == run.rows and not hasattr(run.data.x, "read_rows"):
        return run.data
    drawn = generator(run.seed, "verdict").choice(run.rows, size, replace=False)
    return fitting.some_rows(run.net, run.data, np.sort(drawn))


def _causes(seen: _Seen, judged: Data) -> list[str]:
    """Name what is likely to have kept the network from learning, and what to do."""
    run, causes, get = seen.training, [], seen.training.net.device.get
    x, y = get(judged.x), get(judged.y)
    if np.all(np.ptp(x, axis=0) == 0.0):
        same = f"x is constant: all {len(x)} rows that were judged are the same"
        return [f"{same}, so nothing can be learnt from them; pass inputs that vary"]
    if found := unscaled(x):
        scaled = "(x - x.mean(axis=0)) / x.std(axis=0)"
        if hasattr(run.data.x, "read_rows"):
            scaled = "x.standardized()"  # of a RowFile
        elif np.any(np.ptp(x, axis=0) == 0.0):
            scaled += ", without the columns that never change"
        causes.append(f"x is not scaled ({found}): pass {scaled}, and scale new rows alike")
    if run.net.output.name == "identity" and (found := unscaled(y)):
        causes.append(f"y is not scaled ({found}): pass (y - y.mean(axis=0)) / y.std(axis=0)")
    losses, start = run.state.history.loss, max(float(run.state.first_loss), run.loss_at_zero)
    worst = int(np.argmax(losses))
    if losses[worst] > RUNAWAY_FACTOR * (start + seen.penalty):
        rate = run.options.optimizer.learning_rate
        other = "" if isinstance(run.options.optimizer, Adam) else " or Adam()"
        causes.append(
            f"the steps were too long (loss {losses[worst]:.3g} in epoch {worst + 1}, "
            f"{start:.3g} at the start): try a learning rate of {rate / 10:.2g}{other}"
        )
    return causes or ["not known; train longer, or run xpnet.diagnose(net, x, y) on a new network"]
