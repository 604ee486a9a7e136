"""When a run has run away from where it started, and what it says and does then."""

import math
from typing import TYPE_CHECKING, Any

from xpnet.errors import DivergenceError
from xpnet.nn.losses import penalty
from xpnet.nn.optimizers import OPTIMIZERS, Adam, lower_rate

if TYPE_CHECKING:
    from xpnet.training.loop import Training

DIVERGED = "diverged"
RUNAWAY_FACTOR = 10.0  # a loss this many times the one at the start ...
RUNAWAY_EPOCHS = 3  # ... for this many epochs, or at the last one, has run away
_TINY = 1e-30


def is_far_above_start(run: "Training", loss: float) -> bool:
    """Return whether a loss shows that training has diverged or soon will."""
    if run.stream:
        return not math.isfinite(loss)
    first_loss = run.state.first_loss
    if loss <= RUNAWAY_FACTOR * max(first_loss, _TINY):
        return False  # and what takes time is not needed
    weights = run.net.without_biases(run.state.last_good)
    # The loss of a history has the penalty in it.
    extra = float(penalty(run.net.device.xp, weights, run.options.l1, run.options.l2))
    start = max(first_loss, run.loss_at_zero, _TINY)
    return not loss <= RUNAWAY_FACTOR * (extra + start)  # true of NaN, too


def check_divergence(run: "Training", *, finite: bool) -> None:
    """Stop a run that is not finite, in loss or parameters, or that stays far above its start.

    The network gets its last good weights back. Raises `DivergenceError`.
    """
    state = run.state
    count = 1 if state.epoch == run.options.epochs else RUNAWAY_EPOCHS
    recent = state.history.loss[-count:]
    ran_away = len(recent) == count and is_far_above_start(run, min(recent))
    if finite and not ran_away:
        return
    run.net.flat[...] = state.last_good
    run.stop(DIVERGED)
    run.diverged = _error(run, recent[-1])
    raise run.diverged


def _error(run: "Training", loss: float) -> DivergenceError:
    """Return what is raised: what was measured, what helps, and that as options of `fit`."""
    optimizer = run.options.optimizer
    kind, adam = type(optimizer), isinstance(optimizer, Adam)
    lower = lower_rate(optimizer, run.learning_rate)
    name = f"{'xpnet.' * (kind in OPTIMIZERS.values())}{kind.__name__}"
    repair: dict[str, Any] = {"learning_rate": float(lower), "standardize": True, "clip_norm": 1.0}
    repair |= {} if adam else {"optimizer": "adam"}
    measured = (
        f"training diverged in epoch {run.state.epoch}: loss {loss:.4g} after "
        f"{run.state.first_loss:.4g} at the start, learning rate {run.learning_rate:g}"
    )
    message = (
        f"{measured}; the network keeps its last good weights. Try optimizer={name}({lower})"
        f"{'' if adam else ' or xpnet.Adam()'}, scale inputs and large targets to mean 0 "
        "and standard deviation 1, or set clip_norm=1"
    )
    return DivergenceError(message, measured, repair)
