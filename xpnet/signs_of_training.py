"""Signs of trouble in the weights, the activations, the gradients and the progress of training.

A sign is ``look(run, limit)``: a `Sign`, or None. Limits and texts are in `xpnet.doctor_rules`.
"""

import math
from itertools import pairwise
from typing import Any

import numpy as np

from xpnet.observations import Snapshot
from xpnet.signs_of_data import Sign
from xpnet.watched_run import Run

STEPS_OF_A_LOSS_ALONE = 100  # if no predictions are shown
STEPS_TO_JUDGE = 10  # fewer steps than this say nothing about the outcome
NEAR_THE_END = 0.025  # a sigmoid from |z| = 3.7, where its slope is a tenth of its largest
NOT_FAR = 0.3  # of their size, that the weights have moved in all
SYMPTOMS = {
    "loss-not-decreasing", "loss-rising", "cannot-overfit-one-batch", "no-better-than-constant",
    "constant-feature",
}  # fmt: skip
LONG_STEP = 0.3  # of the size of the weights
NOT_THE_RATE = {
    "non-finite", "unscaled-inputs", "target-range", "initial-loss", "wrong-init-scale",
    "gradient-sign", "gradient-scale", "gradient-wrong", "gradient-activation-derivative",
    "gradient-transposed", "regularisation-dominates", "loss-broadcast",
    "target-shape", "symmetric-units", "shuffled-targets", "softmax-axis", "update-not-finite",
}  # fmt: skip


def gradient_shape(run: Run, limit: float) -> Sign | None:
    """Find a gradient that cannot be its parameter's; `shape_changed` finds those that grow it."""
    for name, gradient in run.first.gradients.items():
        given, wanted = gradient.shape, run.first.parameters.get(name, gradient).shape
        if not _updates(given, wanted):
            return Sign(name, f"gradient {given}, parameter {wanted}", {"shape": [name]})
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
    name, (before, after) = next(iter(run.reshaped.items()))
    batch = run.shapes.get("predictions", (0,))[0]
    grown = f": one for each of the {batch} samples" if after and after[0] == batch > 1 else ""
    return Sign(name, f"shape {before} became {after}{grown}", {"sum_over_batch": [*run.reshaped]})


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


def _gradient_sizes(run: Run) -> list[float]:
    """Root mean square of the gradient of each weight matrix at the start."""
    names = [name for name in run.first.weights if name in run.first.gradients]
    found = [float(np.sqrt(np.mean(run.first.gradients[name] ** 2))) for name in names]
    return found if np.all(np.isfinite(found)) else []


def vanishing_gradient(run: Run, limit: float) -> Sign | None:
    """Gradient of the first weights compared with that of the last."""
    sizes = _gradient_sizes(run)
    if len(sizes) < 2 or sizes[-1] == 0 or sizes[0] >= limit * sizes[-1]:
        return None
    return Sign(next(iter(run.first.weights)), f"rms gradient {sizes[0]:.2g} in the first layer, "
                f"{sizes[-1]:.2g} in the last", {"init": "auto", "hidden": "relu"})  # fmt: skip


def exploding_gradient(run: Run, limit: float) -> Sign | None:
    """Gradient norm compared with the norm of the weights."""
    gradients = run.first.gradients
    pairs = [(np.linalg.norm(gradients[n]), np.linalg.norm(w), n)
             for n, w in run.first.weights.items() if n in gradients]  # fmt: skip
    worst = max(((g / w, n) for g, w, n in pairs if w > 0 and np.isfinite(g)), default=(0.0, ""))
    if worst[0] <= limit:
        return None
    return Sign(worst[1], f"norm of the gradient is {worst[0]:.3g} times that of the weights",
                {"init": "auto", "clip_norm": 1.0})  # fmt: skip


def _rate(run: Run, factor: float) -> dict[str, Any]:
    rate = run.learning_rate
    return (
        {"learning_rate": float(f"{rate * factor:.1g}")}
        if rate
        else {"learning_rate_factor": factor}
    )


def rate_too_large(run: Run, limit: float) -> Sign | None:
    """See steps that are large compared with the weights, and a loss that does not come down."""
    if run.found & NOT_THE_RATE or not run.losses or not run.movement:
        return None
    start, end = run.loss_span()
    step = float(np.nanmax(run.movement)) if np.any(np.isfinite(run.movement)) else np.inf
    bad = run.diverged or not np.isfinite(end) or end > 1.1 * start or run.failing
    if not bad or (step <= limit and not run.diverged):
        return None
    factor = 10.0 ** np.floor(np.log10(min(0.3, max(1e-6, 0.03 / max(step, 0.1)))))
    rate = "" if run.learning_rate is None else f" with learning rate {run.learning_rate:g}"
    return Sign("learning_rate", f"one step changed the weights by {step:.2g} times their size"
                f"{rate}; loss {start:.4g} became {end:.4g}", _rate(run, factor))  # fmt: skip


def _relative(slope: Any, values: Any) -> float:
    """Return the largest entry of a gradient over that of its parameter; 0 without a gradient."""
    largest = float(np.max(np.abs(slope)))
    return largest / max(float(np.max(np.abs(values))), 1e-30) if largest else 0.0


def _slope(run: Run) -> float:
    """Return the largest gradient of a layer's weights, relative to their size; NaN if unknown."""
    norms = [np.sqrt(np.mean(w**2)) for w in run.first.weights.values()]
    pairs = zip(_gradient_sizes(run), norms, strict=False)
    with np.errstate(divide="ignore", invalid="ignore"):
        return max((float(np.float64(g) / w) for g, w in pairs if g > 0 or w > 0), default=math.nan)


def no_update(run: Run, limit: float) -> Sign | None:
    """See parameters that are the same to the last bit, where every step should change them."""
    rate = 1.0 if run.learning_rate is None else run.learning_rate
    start, end, slopes = run.first.parameters, run.last.parameters, run.first.gradients
    if run.steps < STEPS_TO_JUDGE or not run.movement or start.keys() != end.keys():
        return None
    same = [name for name in start if np.array_equal(start[name], end[name])]
    if len(same) == len(start):
        there = not any(run.movement) and rate * _slope(run) > limit
        return Sign("parameters", f"{run.steps} steps changed none of them, although there is a "
                    "gradient") if there else None  # fmt: skip
    same = [n for n in same if n in slopes and rate * _relative(slopes[n], start[n]) > limit]
    severity = "" if run.failing else "note"  # some are frozen on purpose
    return Sign(", ".join(same), f"{run.steps} steps changed other parameters, but not these, "
                "although they have a gradient", severity=severity) if same else None  # fmt: skip


def rate_too_small(run: Run, limit: float) -> Sign | None:
    """All steps together hardly move the weights, although there is a gradient."""
    travelled = run.travelled()
    crawling = run.failing and bool(run.movement) and float(np.median(run.movement)) < 1e-5
    if run.steps < STEPS_TO_JUDGE or run.diverged or run.last.skill > 0.8:
        return None
    if run.found & {"no-update", "learning-rate-too-large"}:
        return None
    if not travelled < limit and not crawling:
        return None
    if _slope(run) < 1e-5:
        return None  # there is no gradient to follow: not the learning rate's fault
    factor = 10.0 ** np.ceil(np.log10(min(1e6, 0.5 / max(travelled, 1e-9))))
    rate = "" if run.learning_rate is None else f" with learning rate {run.learning_rate:g}"
    return Sign("learning_rate", f"{run.steps} steps moved the weights by {travelled:.2g} times "
                f"their size{rate}", _rate(run, factor))  # fmt: skip


def regularisation(run: Run, limit: float) -> Sign | None:
    """Weights that have shrunk to a small part of what they were."""
    sizes = [
        sum(float(np.sum(w**2)) for w in s.weights.values()) ** 0.5 for s in (run.first, run.last)
    ]
    if sizes[0] == 0 or not sizes[1] < limit * sizes[0] or run.steps < STEPS_TO_JUDGE:
        return None
    return Sign("weights", f"their norm fell from {sizes[0]:.3g} to {sizes[1]:.3g}",
                {"l2": 0.0, "l1": 0.0})  # fmt: skip


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
    return Sign("loss", f"{run.losses[lost[0]]} at entry {lost[0]} of {len(run.losses)}")


def diverged(run: Run, limit: float) -> Sign | None:
    """See a loss that is no longer a number, or is many times what it was at the start."""
    if not run.losses:
        return None
    start, end = run.loss_span()
    away = np.isfinite(start) and not end <= limit * max(abs(start), 1e-12)
    if not (away or run.diverged):
        return None
    return Sign("loss", f"loss {run.losses[0]:.4g} became {run.losses[-1]:.4g}")


def loss_rising(run: Run, limit: float) -> Sign | None:
    """See a loss that ends above its start, without having run away."""
    if len(run.losses) < 3 or "diverged" in run.found:
        return None
    start, end = run.loss_span()
    if not end > limit * start or not run.failing:
        return None
    evidence = f"loss {start:.4g} at the start, {end:.4g} at the end"
    if run.last.skill > 0.8:  # then it is not the loss of these predictions
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
    if end < limit * start or not (run.failing or alone):
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
        "repair": _rate(run, 10.0),
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
