"""Signs of trouble in the weights, the activations and the progress of training.

A sign is ``look(run, limit)``: a `Sign`, or None. Limits and texts are in the rules.
"""

import math
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import numpy as np

from xpnet.doctor.gradcheck.mistakes import summed
from xpnet.doctor.observations import Snapshot, is_bias
from xpnet.doctor.rules.rule import Sign
from xpnet.doctor.rules.updates import NOT_FAR, scaled_rate
from xpnet.doctor.run import STEPS_TO_JUDGE, Run

STEPS_OF_A_LOSS_ALONE = 100  # if no predictions are shown
NEAR_THE_END = 0.025  # a sigmoid from |z| = 3.7, where its slope is a tenth of its largest
SYMPTOMS = {
    "loss-not-decreasing", "loss-rising", "cannot-overfit-one-batch", "no-better-than-constant",
    "constant-feature",
}  # fmt: skip
LONG_STEP = 0.3  # of the size of the weights


def gradient_shape(run: Run, limit: float) -> Sign | None:
    """Find gradients that cannot be their parameters'; `shape_changed` finds those that grow it."""
    shown = {name: (each.shape, run.first.parameters.get(name, each).shape)
             for name, each in run.first.gradients.items()}  # fmt: skip
    wrong = {name: shapes for name, shapes in shown.items() if not _updates(*shapes)}
    if not wrong:
        return None
    evidence = "; ".join(
        f"gradient {given}, parameter {wanted}" for given, wanted in wrong.values()
    )
    biases = [name for name, (_, wanted) in wrong.items() if is_bias(name, np.empty(wanted))]
    return Sign(", ".join(wrong), evidence, {"shape": [*wrong]},
                remedy=_summed(run, biases) if len(biases) == len(wrong) else "")  # fmt: skip


def _summed(run: Run, biases: Iterable[str]) -> str:
    """Return the remedy for gradients of biases that are not summed over the batch."""
    return "\n".join(summed(name, int(run.columns), keep=run.columns) for name in biases)


def bias_per_sample(run: Run, limit: float) -> Sign | None:
    """Find a bias that has had a row for each sample from the start."""
    batch, axis = run.shapes.get("predictions", (0,)), -1 if run.columns else 0
    rows = batch[axis] if len(batch) == 2 else 0
    widths = {each.shape[1] for each in run.first.weights.values()}
    for name, bias in run.first.parameters.items():
        if not is_bias(name, bias) or bias.ndim != 2 or bias.size in widths:
            continue
        units = bias.shape[0 if run.columns else 1]
        if bias.shape[axis] == rows > 1 and units in widths:
            shape = (units, 1) if run.columns else (1, units)
            return Sign(name, f"shape {bias.shape}: one for each of the {rows} samples of a batch",
                        {"sum_over_batch": [name]}, remedy=f"{name} = numpy.zeros({shape})\n"
                        f"{_summed(run, [name])}")  # fmt: skip
    return None


def _updates(given: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    try:
        updated = math.prod(np.broadcast_shapes(given, wanted))
    except ValueError:
        return False
    return updated > math.prod(wanted) or math.prod(given) == updated


def shape_changed(run: Run, limit: float) -> Sign | None:
    """Find a parameter that has grown an axis because its own update broadcast it."""
    if not run.reshaped or "bias-per-sample" in run.found:
        return None
    before, after = next(iter(run.reshaped.values()))
    batch = run.shapes.get("predictions", (0,))[-1 if run.columns else 0]
    grown = f": one for each of the {batch} samples" if batch > 1 and batch in after else ""
    remedy = _summed(run, run.reshaped) if run.columns else ""
    return Sign(", ".join(run.reshaped), f"shape {before} became {after}{grown}",
                {"sum_over_batch": [*run.reshaped]}, remedy=remedy)  # fmt: skip


def symmetric_units(run: Run, limit: float) -> Sign | None:
    """Units of a hidden layer that are copies: same weights in, same weights out."""
    names = list(run.first.weights)
    for name, after in pairwise(names):
        into, out = run.first.weights[name], run.first.weights[after]
        same = np.ptp(into, axis=1).max() <= limit and np.ptp(out, axis=0).max() <= limit
        if into.shape[1] > 1 and same:
            return Sign(name, f"all {into.shape[1]} units have the same weights", {"init": "auto"})
    return None


def all_positive(run: Run, limit: float) -> Sign | None:
    """All initial weights of a layer have one sign, more of them than chance allows."""
    signed = {n: w for n, w in run.first.weights.items() if np.all(w >= 0) or np.all(w <= 0)}
    signed = {name: w for name, w in signed.items() if np.any(w)}
    largest = max((w.size for w in signed.values()), default=0)
    everything = len(signed) == len(run.first.weights)
    if largest < 2 * limit and not (everything and sum(w.size for w in signed.values()) >= limit):
        return None
    shown = ", ".join(
        f"{name} ({w.size} weights, mean {w.mean():.2g})" for name, w in signed.items()
    )
    return Sign(", ".join(signed), f"no two weights differ in sign: {shown}", {"init": "auto"})


def init_scale(run: Run, limit: float) -> Sign | None:
    """rms(weights) sqrt(fan_in), near 1 for every published rule, outside 1/limit to limit."""
    gains = {n: float(np.sqrt(np.mean(w**2) * w.shape[0])) for n, w in run.first.weights.items()}
    hidden = list(gains)[:-1]
    small = [n for n in hidden if 0 < gains[n] < 1.0 / limit]
    large = [n for n in gains if gains[n] > limit]
    if not small and not large:
        return None
    name = (large or small)[0]
    kind = "large" if large else "small"
    evidence = f"rms(weights) x sqrt(fan_in) = {gains[name]:.3g}, too {kind}; 0.6 to 8.5 is usual"
    return Sign(", ".join(large or small), evidence, {"init": "auto"})


def _stuck(activations: Any, kind: str) -> Any:
    """Which units sit at one end of a bounded activation for (nearly) all rows."""
    low, high = (0.0, 1.0) if kind == "sigmoid" else (-1.0, 1.0)
    at = [np.mean(np.abs(activations - end) < NEAR_THE_END, axis=0) for end in (low, high)]
    return np.maximum(*at) >= 0.95


def _kinds(run: Run, snapshot: Snapshot) -> list[str]:
    """Return the activations' names, or what their values look like."""
    if run.hidden:
        return list(run.hidden)

    def guess(a: Any) -> str:
        if np.any(a < 0):
            return "tanh" if np.all(np.abs(a) <= 1) else ""
        if np.mean(a == 0) > 0.02:
            return "relu"
        return "sigmoid" if np.all(a <= 1) else ""

    return [guess(a) for a in snapshot.activations]


def _for_long(run: Run) -> bool:
    """Tell whether a bad state at the end does harm, and was not caused by one long step."""
    return not run.last.skill > 0.5 and not max(run.movement, default=0.0) > LONG_STEP


def saturated_units(run: Run, limit: float) -> Sign | None:
    """Share of a sigmoid or tanh layer's units stuck at one end."""
    for snapshot, when in ((run.first, "at the start"), (run.last, "at the end")):
        kinds = _kinds(run, snapshot)
        for layer, (a, kind) in enumerate(zip(snapshot.activations, kinds, strict=False)):
            if kind not in ("sigmoid", "tanh") or len(a) < 5:
                continue
            share = float(np.mean(_stuck(a, kind)))
            if share > limit and (snapshot is run.first or _for_long(run)):
                return Sign(f"hidden layer {layer + 1}", f"{share:.0%} of the {kind} units are "
                            f"stuck at one end for all samples {when}, mean activation "
                            f"{a.mean():.3g}",
                            {"init": "auto", "standardize": True})  # fmt: skip
    return None


def dead_units(run: Run, limit: float) -> Sign | None:
    """Share of a layer's units whose activation is 0 for every sample."""
    for snapshot, when in ((run.first, "at the start"), (run.last, "at the end")):
        for layer, a in enumerate(snapshot.activations):
            kind = run.hidden[layer] if layer < len(run.hidden) else ""
            if kind not in ("relu", "") or len(a) < 5:
                continue
            share = float(np.mean(np.all(a == 0, axis=0)))
            if share > limit and (snapshot is run.first or _for_long(run)):
                return Sign(f"hidden layer {layer + 1}", f"{share:.0%} of {a.shape[1]} units "
                            f"give 0 for all {len(a)} samples {when}",
                            {"init": "auto", "hidden": "leaky_relu"})  # fmt: skip
    return None


def no_number(run: Run, limit: float) -> Sign | None:
    """Find NaN or infinity in what was computed."""
    for snapshot, when in ((run.first, "at the start"), (run.last, "at the end")):
        shown = {f"gradient of {name}": each for name, each in snapshot.gradients.items()}
        shown = dict(snapshot.parameters) | shown | {"predictions": snapshot.predictions}
        for name, array in shown.items():
            bad = 0 if array is None else int(np.sum(~np.isfinite(array)))
            if bad > limit and "non-finite" not in run.found:
                return Sign(name, f"{bad} of {array.size} values are NaN or infinite {when}")
    lost: Any = np.flatnonzero(~np.isfinite(run.losses)) if run.losses else ()
    if not len(lost) or "non-finite" in run.found:
        return None
    found = f"{run.losses[lost[0]]} at entry {lost[0]} of {len(run.losses)}"
    if run.only_the_loss:
        return Sign("loss", f"{found}, although the predictions explain {_share(run.last.skill)} "
                    "of the targets' variance", severity="warning", remedy="only the loss told is "
                    "undefined: numpy.log(numpy.clip(p, 1e-12, 1))")  # fmt: skip
    return Sign("loss", found)


def diverged(run: Run, limit: float) -> Sign | None:
    """See a loss that is no longer a number, or is many times what it was at the start."""
    if not run.losses:
        return None
    start, end = run.loss_span()
    if run.only_the_loss:
        return None
    away = np.isfinite(start) and not end <= limit * max(abs(start), 1e-12)
    if not (away or run.diverged):
        return None
    return Sign("loss", f"loss {run.losses[0]:.4g} became {run.losses[-1]:.4g}")


def loss_rising(run: Run, limit: float) -> Sign | None:
    """See a loss that ends above its start, without having run away."""
    if len(run.losses) < 3 or "diverged" in run.found:
        return None
    start, end = run.loss_span()
    odd = run.last.skill > 0.8 and end > start + 2.0 * abs(start)
    if not end > start + (limit - 1.0) * abs(start) or not (run.failing or odd):
        return None
    evidence = f"loss {start:.4g} at the start, {end:.4g} at the end"
    if odd:  # then it is not the loss of these predictions
        return Sign("loss", f"{evidence}, although the predictions explain "
                    f"{_share(run.last.skill)} of the targets' variance", severity="warning",
                    remedy="show the loss of each step; set a running sum back to 0")  # fmt: skip
    return Sign("loss", evidence)


def loss_not_decreasing(run: Run, limit: float) -> Sign | None:
    """See a loss that has hardly fallen from first to last."""
    if run.steps < STEPS_TO_JUDGE or run.found & {"diverged", "loss-rising"} or not run.losses:
        return None
    start, end = run.loss_span()
    alone = run.last.predictions is None and run.steps >= STEPS_OF_A_LOSS_ALONE
    if end < start - (1.0 - limit) * abs(start) or not (run.failing or alone):
        return None
    return Sign("loss", f"loss {start:.4g} at the start, {end:.4g} after {run.steps} steps",
                severity="warning" if alone else "")  # fmt: skip


def _judged(run: Run) -> bool:
    return run.steps >= STEPS_TO_JUDGE and run.last.goals is not None and len(run.last.goals) >= 6


def _share(skill: float) -> str:
    return f"{skill:.1%}" if skill > 0 else f"none (R2 = {skill:.3g})"


def no_better(run: Run, limit: float) -> Sign | None:
    """1 - squared error / that of the best constant prediction, near or below 0."""
    if not _judged(run) or not run.last.skill < limit:
        return None
    evidence = f"they explain {_share(run.last.skill)} of the targets' variance"
    return Sign("predictions", evidence, **_too_short(run))


def constant_output(run: Run, limit: float) -> Sign | None:
    """Predictions that hardly differ between samples, or all name one class without skill."""
    p, goals = run.last.predictions, run.last.goals
    if not _judged(run) or not np.all(np.isfinite(p)):
        return None
    spread, wanted = float(p.std(axis=0).max()), float(goals.std(axis=0).max())
    one_class = run.last.classes is not None and run.last.skill < 0.05 and len(
        np.unique(p[:, 0] > 0.5 if p.shape[1] == 1 else p.argmax(axis=1))
    ) == 1  # fmt: skip
    if wanted == 0 or (spread >= limit * wanted and not one_class):
        return None
    same = "; every sample gets the same class" if one_class else ""
    return Sign("predictions", f"standard deviation {spread:.2g} over {len(p)} samples, against "
                f"{wanted:.2g} for the targets{same}", **_too_short(run))  # fmt: skip


def _too_short(run: Run) -> dict[str, Any]:
    """Return the remedy if all that can be said is that the weights have not come far."""
    if run.found - SYMPTOMS or not run.travelled() < NOT_FAR:
        return {}
    return {
        "remedy": "train longer, or multiply the learning rate by 10",
        "repair": scaled_rate(run, 10.0),
    }


def one_batch(run: Run, limit: float) -> Sign | None:
    """One small batch that cannot be memorised."""
    value = run.one_batch_skill
    seen = len(run.last.goals) if run.last.goals is not None else 0
    rows = min(run.shapes.get("predictions", (seen,))[0], seen)  # of one batch, if told batches
    few = 4 <= rows <= 32 and run.steps >= 500 and run.same_rows
    value = run.last.skill if few and np.isnan(value) else value
    if not value < limit:
        return None
    return Sign("network", f"trained on one batch alone, it explains {_share(value)} of that "
                "batch's variance")  # fmt: skip


def overfitting(run: Run, limit: float) -> Sign | None:
    """Compare the last validation loss with the best, if the training loss kept falling."""
    held_out = run.validation_losses
    if len(held_out) < 5 or not run.losses or not np.all(np.isfinite(held_out)):
        return None
    best = int(np.argmin(held_out))
    end = float(np.mean(held_out[-max(1, len(held_out) // 10) :]))
    share = int(best * len(run.losses) / len(held_out))
    falling = run.loss_span()[1] < 0.9 * run.losses[share]
    if end <= limit * held_out[best] or not falling or run.failing:
        return None
    return Sign("validation loss", f"best {held_out[best]:.4g} after {best + 1} of {len(held_out)} "
                f"epochs, {end:.4g} at the end", {"early_stopping": True})  # fmt: skip
