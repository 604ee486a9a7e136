"""Steps: how large they are, and where they lead."""

import math

import numpy as np

from xpnet.doctor.replay import sizes_of
from xpnet.doctor.rules.rule import BACKPROPAGATION, ENOUGH_STEPS, Evidence, rule
from xpnet.doctor.run import FAR, Run

RATIO = "CS231n notes, Ratio of weights:updates"
FAR_ABOVE = 3.0  # times the usual learning rate: steps explode, and their lengths tell nothing
SMALL = 0.2  # root mean square of weights, times the root of fan_in


@rule("gradient-zero", limit=2, needs=("whole", "first.gradients"),
      explained_by=("symmetric-units", "dead-units", "saturated-units"), source=BACKPROPAGATION,
      remedy="compute the gradient of every parameter; 1 / m, not 1 // m")  # fmt: skip
def zero_gradient(run: Run, limit: float) -> Evidence | None:
    """Wrong predictions have a gradient in all that they depend on; zeros were never filled."""
    steps = [each for each in run.whole if each.goals is not None and len(each) >= limit]
    if len(steps) < 2 or any(np.allclose(each.goals, each.predictions) for each in steps):
        return None
    names = [name for name, slope in run.first.gradients.items() if slope.size
             and not any(np.any(each.gradients.get(name, 1.0)) for each in steps)]  # fmt: skip
    if not names:
        return None
    return Evidence(
        ", ".join(names),
        "the gradient is exactly 0 in the first two steps, although the "
        "predictions differ from the targets",
        {"gradient": "zero", "where": names, "number": 0.0},
        severity=run.if_failing,  # some are frozen on purpose
    )


@rule("learning-rate-too-large", limit=0.3, needs=("losses", "movement"),
      source="CS231n notes, Babysitting the learning process",
      explained_by=("non-finite", "unscaled-inputs", "target-*", "initial-loss",
                    "wrong-init-scale", "gradient-*", "regularisation-dominates", "loss-broadcast",
                    "symmetric-units", "shuffled-targets", "softmax-axis", "weights-redrawn",
                    "bias-per-sample"),
      remedy="divide the learning rate by 10 until the loss falls steadily")  # fmt: skip
def rate_too_large(run: Run, limit: float) -> Evidence | None:
    """Each step jumps over the valley that it should descend into."""
    start, end = run.loss_span()
    step = max((each for each in run.movement if np.isfinite(each)), default=0.0)
    steady = run.descends and run.output == "identity"  # or else one row's loss always falls
    worse = not np.isfinite(end) or end > start + (2.0 if steady else 0.1) * abs(start)
    bad = run.diverged or (worse and not run.learnt)  # or only the loss shown is odd
    starts = [np.sqrt(len(w) * np.mean(w**2)) for w in run.first.weights.values()]
    bad = bad or (run.failing and not steady and not all(each < SMALL for each in starts))
    if not bad or not step or (step <= limit and not run.diverged):
        return None
    factor = 10.0 ** np.floor(np.log10(min(0.3, max(1e-6, 0.03 / max(step, 0.1)))))
    if (run.learning_rate or 0.0) > FAR_ABOVE * run.usual_rate:
        factor = run.usual_rate / (run.learning_rate or 1.0)
    return Evidence("learning_rate", f"one step changed the weights by {step:.2g} times their size"
                    f"{run.with_rate}; loss {start:.4g} became {end:.4g}",
                    run.rate_times(factor))  # fmt: skip


@rule("no-update", limit=1e-6, severity="error", steps=ENOUGH_STEPS, needs=("movement",),
      remedy="weights -= learning_rate * gradient   # in place, on the arrays of the forward pass",
      source=RATIO)  # fmt: skip
def no_update(run: Run, limit: float) -> Evidence | None:
    """The update is missing, or changes copies, or an integer dtype cuts it off."""
    rate = 1.0 if run.learning_rate is None else run.learning_rate
    start, end, slopes = run.first.parameters, run.last.parameters, run.first.gradients
    if start.keys() != end.keys():
        return None
    same = [name for name in start if np.array_equal(start[name], end[name])]
    found = [name for name in same if name in slopes and rate * np.max(np.abs(slopes[name]))
             > limit * max(np.max(np.abs(start[name])), 1e-30)]  # fmt: skip
    if found and len(same) == len(start):
        evidence = f"{run.steps} steps changed none of them, although there is a gradient"
        return None if any(run.movement) else Evidence("parameters", evidence)
    return Evidence(", ".join(found), f"{run.steps} steps changed other parameters, but not these, "
                    "although they have a gradient", severity=run.if_failing
                    ) if found else None  # fmt: skip


@rule("learning-rate-too-small", limit=0.02, steps=ENOUGH_STEPS, needs=("first.weights",),
      explained_by=("no-update", "learning-rate-too-large", "gradient-zero", "dead-units",
                    "gradient-activation-derivative", "gradient-product", "rows-left-out"),
      remedy="multiply the learning rate by 10 until the loss falls quickly, or train longer",
      source=RATIO)  # fmt: skip
def rate_too_small(run: Run, limit: float) -> Evidence | None:
    """The steps are so short that the weights stay where they began."""
    travelled, what = run.travelled(), "moved the weights by {:.2g} times their size"
    if not any(np.any(each) for each in run.first.weights.values()):
        travelled = max((float(np.max(np.abs(w))) for w in run.last.weights.values()), default=0.0)
        what = "moved the weights from 0 to {:.2g} at most"
    crawling = run.failing and bool(run.movement) and float(np.median(run.movement)) < 1e-5
    falling = bool(run.losses) and run.losses[-1] < 0.99 * run.losses[len(run.losses) // 2]
    crawling = crawling and (falling or not travelled > FAR)
    if run.diverged or run.learnt or not (travelled < limit or crawling) or run.to_and_fro:
        return None
    slopes, sizes = sizes_of(run.first.gradients), sizes_of(run.first.weights)
    if all(slopes.get(name, 0.0) < 1e-5 * size for name, size in sizes.items()) and slopes:
        return None  # there is no gradient to follow: not the learning rate's fault
    factor = max(10.0, 10.0 ** np.ceil(np.log10(min(1e6, 0.5 / max(travelled, 1e-9)))))
    return Evidence("learning_rate", f"{run.steps} steps {what.format(travelled)}{run.with_rate}",
                    run.rate_times(factor))  # fmt: skip


@rule("vanishing-gradient", limit=1e-3, needs=("first.weights", "first.gradients"),
      source="Zhang et al., AUTOTRAINER, ICSE 2021 (ratio of first to last layer 1e-3)",
      remedy="ReLU units with weights = generator.standard_normal(shape) * sqrt(2 / fan_in), or "
             "fewer layers", change={"init": "auto", "hidden": "relu"})  # fmt: skip
def vanishing_gradient(run: Run, limit: float) -> Evidence | None:
    """Every saturated or small layer shrinks the gradient on its way back to the first ones."""
    sizes, names = sizes_of(run.first.gradients), [*run.first.weights]
    first, last = names[0], names[-1]
    later = [each.sizes for each in run.updates[1:4]]  # the last weights or the rate may start at 0
    seen = [each for each in (sizes, *later) if {first, last} <= each.keys()]
    known = sizes.get(first) and sizes.get(last)
    if not known or not all(each[first] < limit * each[last] < math.inf for each in seen):
        return None
    return Evidence(first, f"rms gradient {sizes[first]:.2g} in the first layer, {sizes[last]:.2g} "
                    "in the last")  # fmt: skip
