"""Signs of trouble in the gradients and in the steps: how large they are, and where they lead.

A sign is ``look(run, limit)``: a `Sign`, or None. Limits and texts are in the rules.
"""

import math
from typing import Any

import numpy as np

from xpnet.doctor.observations import relative_change
from xpnet.doctor.replay import sizes_of
from xpnet.doctor.rules.rule import Sign
from xpnet.doctor.run import STEPS_TO_JUDGE, Run

NOT_THE_RATE = {
    "non-finite", "unscaled-inputs", "target-range", "initial-loss", "wrong-init-scale",
    "gradient-sign", "gradient-scale", "gradient-wrong", "gradient-activation-derivative",
    "gradient-transposed", "regularisation-dominates", "loss-broadcast",
    "target-shape", "symmetric-units", "shuffled-targets", "softmax-axis", "update-not-finite",
    "weights-redrawn", "gradient-product", "gradient-activations", "integer-parameters",
    "gradient-zero", "bias-per-sample",
}  # fmt: skip
OTHER_REASONS = {  # for weights that hardly move
    "no-update", "learning-rate-too-large", "learning-rate-vanishes", "gradient-zero", "dead-units",
    "gradient-activation-derivative", "gradient-product", "integer-parameters",
}  # fmt: skip
NOT_FAR = 0.3  # of their size, that the weights have moved in all
FEW_ROWS = 8  # a batch of fewer rows may have no gradient by chance, such as for inputs (0, 0)


def _gradient_sizes(run: Run) -> list[float]:
    """Root mean square of the gradient of each weight matrix at the start.

    Of small batches, over the first few steps that were looked at.
    """
    small = bool(run.whole) and len(run.whole[0]) < FEW_ROWS
    seen = [each.sizes for each in run.updates[:4] if each.sizes] if small else []
    seen = seen or [sizes_of(run.first.gradients)]
    names = [name for name in run.first.weights if all(name in each for each in seen)]
    found = [float(np.sqrt(np.mean([each[name] ** 2 for each in seen]))) for name in names]
    return found if np.all(np.isfinite(found)) else []


def vanishing_gradient(run: Run, limit: float) -> Sign | None:
    """Gradient of the first weights compared with that of the last."""
    sizes = _gradient_sizes(run)
    if len(sizes) < 2 or not 0.0 < sizes[0] < limit * sizes[-1]:
        return None
    first, *_, last = run.first.weights
    later = [each.sizes for each in run.updates[1:4] if {first, last} <= each.sizes.keys()]
    if any(not each[first] < limit * each[last] for each in later):
        return None  # the last weights may start at 0, or the learning rate
    return Sign(first, f"rms gradient {sizes[0]:.2g} in the first layer, "
                f"{sizes[-1]:.2g} in the last", {"init": "auto", "hidden": "relu"})  # fmt: skip


def exploding_gradient(run: Run, limit: float) -> Sign | None:
    """Gradient norm compared with the norm of the weights."""
    gradients = run.first.gradients
    pairs = [(np.linalg.norm(gradients[n]), np.linalg.norm(w), n)
             for n, w in run.first.weights.items() if n in gradients]  # fmt: skip
    worst = max(((g / w, n) for g, w, n in pairs if w > 0 and np.isfinite(g)), default=(0.0, ""))
    rate = run.learning_rate
    if worst[0] <= limit or (rate is not None and rate * worst[0] < 1.0):
        return None
    return Sign(worst[1], f"norm of the gradient is {worst[0]:.3g} times that of the weights",
                {"init": "auto", "clip_norm": 1.0},
                "note" if run.last.skill > 0.8 else "")  # fmt: skip


def scaled_rate(run: Run, factor: float) -> dict[str, Any]:
    """Return the repair that multiplies the learning rate, told or not."""
    rate = run.learning_rate
    return (
        {"learning_rate": float(f"{rate * factor:.1g}")}
        if rate
        else {"learning_rate_factor": factor}
    )


def _with_rate(run: Run) -> str:
    return "" if run.learning_rate is None else f" with learning rate {run.learning_rate:g}"


def rate_too_large(run: Run, limit: float) -> Sign | None:
    """See steps that are large compared with the weights, and a loss that does not come down."""
    if run.found & NOT_THE_RATE or not run.losses or not run.movement:
        return None
    start, end = run.loss_span()
    broken = any(not np.all(np.isfinite(each)) for each in run.last.parameters.values())
    known = np.asarray(run.movement)[np.isfinite(run.movement)]
    if not known.size and not broken:
        return None
    step = float(np.max(known)) if known.size else np.inf
    worse = not np.isfinite(end) or end > start + 0.1 * abs(start)
    bad = run.diverged or (worse and not run.last.skill > 0.8)  # or only the loss told is odd
    bad = bad or (run.failing and not run.from_zero)
    if not bad or (step <= limit and not run.diverged):
        return None
    factor = 10.0 ** np.floor(np.log10(min(0.3, max(1e-6, 0.03 / max(step, 0.1)))))
    return Sign("learning_rate", f"one step changed the weights by {step:.2g} times their size"
                f"{_with_rate(run)}; loss {start:.4g} became {end:.4g}",
                scaled_rate(run, factor))  # fmt: skip


def _relative(slope: Any, values: Any) -> float:
    """Return the largest entry of a gradient over that of its parameter; 0 without a gradient."""
    largest = float(np.max(np.abs(slope), initial=0.0))
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


def integer_parameters(run: Run, limit: float) -> Sign | None:
    """Find arrays of integers, which cannot take a small step."""
    slopes = run.first.gradients  # counters and indices have none
    names = [name for name in run.integers if name in slopes or not slopes]
    if not names or run.steps < STEPS_TO_JUDGE or not run.failing:
        return None
    return Sign(", ".join(names), f"still arrays of integers after {run.steps} steps",
                {"dtype": "float64"})  # fmt: skip


def shared_parameters(run: Run, limit: float) -> Sign | None:
    """Find one array under two names; a note if the network learns, since it may be meant."""
    if not run.shared:
        return None
    severity = "" if run.failing else "note"
    return Sign(" and ".join(run.shared[0]), "the same memory, so that each step changes both",
                {"copy": True}, severity)  # fmt: skip


def zero_gradient(run: Run, limit: float) -> Sign | None:
    """See gradients of exactly 0 in the first two steps, although the predictions are wrong."""
    if len(run.whole) < 2 or run.found & {"symmetric-units", "dead-units", "saturated-units"}:
        return None
    if any(each.goals is None or len(each) < limit for each in run.whole):
        return None
    if any(np.allclose(each.goals, each.predictions) for each in run.whole):
        return None
    names = [n for n, slope in run.first.gradients.items() if slope.size
             and not any(np.any(each.gradients.get(n, 1.0)) for each in run.whole)]  # fmt: skip
    severity = "" if run.failing else "note"  # some are frozen on purpose
    return Sign(", ".join(names), "the gradient is exactly 0 in the first two steps, although the "
                "predictions differ from the targets",
                {"gradient": "zero", "where": names, "number": 0.0},
                severity) if names else None  # fmt: skip


def rate_vanished(run: Run, limit: float) -> Sign | None:
    """See a learning rate that was next to nothing for most of a run that did not learn all."""
    if len(run.rates) < STEPS_TO_JUDGE or run.last.skill > 0.9:
        return None
    rates = np.abs(run.rates)
    top = int(np.argmax(rates))
    gone = (rates < limit * rates[top]) & (np.arange(len(rates)) > top)
    if not np.mean(gone) > (0.5 if run.failing else 0.9):
        return None
    at = top + int(np.argmax(gone[top:]))
    return Sign("learning_rate", f"{run.rates[top]:g} at first, {run.rates[at]:.2g} at entry {at} "
                f"of {len(gone)}, {run.rates[-1]:.2g} at the end",
                {"learning_rate": run.rates[top]})  # fmt: skip


def rate_too_small(run: Run, limit: float) -> Sign | None:
    """All steps together hardly move the weights, although there is a gradient."""
    travelled, what = run.travelled(), "moved the weights by {:.2g} times their size"
    if run.from_zero and run.same_rows:
        travelled = relative_change(run.first.gradients, run.last.gradients)
        what = "changed the gradient by {:.2g} times its size"
    crawling = run.failing and bool(run.movement) and float(np.median(run.movement)) < 1e-5
    crawling = crawling and not travelled > NOT_FAR
    if run.steps < STEPS_TO_JUDGE or run.diverged or run.last.skill > 0.8:
        return None
    if run.found & OTHER_REASONS:
        return None
    if not travelled < limit and not crawling:
        return None
    if _slope(run) < 1e-5:
        return None  # there is no gradient to follow: not the learning rate's fault
    factor = 10.0 ** np.ceil(np.log10(min(1e6, 0.5 / max(travelled, 1e-9))))
    evidence = f"{run.steps} steps {what.format(travelled)}{_with_rate(run)}"
    return Sign("learning_rate", evidence, scaled_rate(run, factor))


def regularisation(run: Run, limit: float) -> Sign | None:
    """Weights that have shrunk to a small part of what they were."""
    sizes = [
        sum(float(np.sum(w**2)) for w in s.weights.values()) ** 0.5 for s in (run.first, run.last)
    ]
    if sizes[0] == 0 or not sizes[1] < limit * sizes[0] or run.steps < STEPS_TO_JUDGE:
        return None
    if run.first.weights.keys() != run.last.weights.keys():
        return None
    return Sign("weights", f"their norm fell from {sizes[0]:.3g} to {sizes[1]:.3g}",
                {"l2": 0.0, "l1": 0.0})  # fmt: skip
