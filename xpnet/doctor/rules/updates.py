"""Gradients and steps: how large they are, and where they lead."""

import math
from typing import Any

import numpy as np

from xpnet.doctor.gradcheck.mistakes import CS231N
from xpnet.doctor.replay import sizes_of
from xpnet.doctor.rules.rule import ENOUGH_STEPS, Evidence, rule
from xpnet.doctor.run import FAR, Run


@rule("gradient-zero", limit=2, needs=("whole", "first.gradients"),
      explained_by=("symmetric-units", "dead-units", "saturated-units"), source=CS231N,
      why="Wrong predictions have a gradient in all that they depend on. Zeros that were never "
          "filled, and an integer division such as 1 // m, leave none.",
      remedy="compute the gradient of every parameter; 1 / m, not 1 // m")  # fmt: skip
def zero_gradient(run: Run, limit: float) -> Evidence | None:
    if len(run.whole) < 2 or any(each.goals is None or len(each) < limit for each in run.whole):
        return None
    if any(np.allclose(each.goals, each.predictions) for each in run.whole):
        return None
    names = [n for n, slope in run.first.gradients.items() if slope.size
             and not any(np.any(each.gradients.get(n, 1.0)) for each in run.whole)]  # fmt: skip
    return Evidence(
        ", ".join(names), "the gradient is exactly 0 in the first two steps, although the "
        "predictions differ from the targets",
        {"gradient": "zero", "where": names, "number": 0.0},
        severity=run.if_failing,  # some are frozen on purpose
    ) if names else None  # fmt: skip


@rule("learning-rate-too-large", limit=0.3, needs=("losses", "movement"),
      source="CS231n notes, Babysitting the learning process",
      explained_by=("non-finite", "unscaled-inputs", "target-range", "initial-loss",
                    "wrong-init-scale", "gradient-*", "regularisation-dominates", "loss-broadcast",
                    "target-shape", "symmetric-units", "shuffled-targets", "softmax-axis",
                    "update-not-finite", "weights-redrawn", "bias-per-sample"),
      why="Each step jumps over the valley that it should descend into.",
      remedy="divide the learning rate by 10 until the loss falls steadily")  # fmt: skip
def rate_too_large(run: Run, limit: float) -> Evidence | None:
    start, end = run.loss_span()
    broken = any(not np.all(np.isfinite(each)) for each in run.last.parameters.values())
    known = np.asarray(run.movement)[np.isfinite(run.movement)]
    if not known.size and not broken:
        return None
    step = float(np.max(known)) if known.size else np.inf
    worse = not np.isfinite(end) or end > start + 0.1 * abs(start)
    bad = run.diverged or (worse and not run.last.skill > 0.8)  # or only the loss shown is odd
    bad = bad or (run.failing and not run.from_zero)
    if not bad or (step <= limit and not run.diverged):
        return None
    factor = 10.0 ** np.floor(np.log10(min(0.3, max(1e-6, 0.03 / max(step, 0.1)))))
    return Evidence("learning_rate", f"one step changed the weights by {step:.2g} times their size"
                    f"{run.with_rate}; loss {start:.4g} became {end:.4g}",
                    run.rate_times(factor))  # fmt: skip


@rule("no-update", limit=1e-6, severity="error", steps=ENOUGH_STEPS, needs=("movement",),
      why="The update is missing, changes a copy or arrays that forward does not use, or is cut "
          "off by an integer dtype.",
      remedy="weights -= learning_rate * gradient   # in place, on the arrays of the forward pass",
      source="CS231n notes, Ratio of weights:updates")  # fmt: skip
def no_update(run: Run, limit: float) -> Evidence | None:
    rate = 1.0 if run.learning_rate is None else run.learning_rate
    start, end, slopes = run.first.parameters, run.last.parameters, run.first.gradients
    if start.keys() != end.keys():
        return None
    same = [name for name in start if np.array_equal(start[name], end[name])]
    found = [name for name in same if name in slopes and rate * _largest(slopes[name])
             > limit * max(_largest(start[name]), 1e-30)]  # fmt: skip
    none = len(same) == len(start)
    if not found or (none and any(run.movement)):
        return None
    if none:
        evidence = f"{run.steps} steps changed none of them, although there is a gradient"
        return Evidence("parameters", evidence)
    return Evidence(", ".join(found), f"{run.steps} steps changed other parameters, but not these, "
                    "although they have a gradient", severity=run.if_failing)  # fmt: skip


def _largest(array: Any) -> float:
    return float(np.max(np.abs(array), initial=0.0))


@rule("learning-rate-vanishes", limit=1e-4, steps=ENOUGH_STEPS, needs=("rates",),
      source="Bengio, Practical recommendations for gradient-based training, 2012, section 3.1.1",
      why="Training ended there. A decay meant for each epoch may be applied in every step.",
      remedy="lower the learning rate once per epoch, and more slowly")  # fmt: skip
def rate_vanished(run: Run, limit: float) -> Evidence | None:
    if len(run.rates) < ENOUGH_STEPS or run.last.skill > 0.9:
        return None
    rates = np.abs(run.rates)
    top = int(np.argmax(rates))
    gone = (rates < limit * rates[top]) & (np.arange(len(rates)) > top)
    if not np.mean(gone) > (0.5 if run.failing else 0.9):
        return None
    at = top + int(np.argmax(gone[top:]))
    return Evidence("learning_rate", f"{run.rates[top]:g} at first, {run.rates[at]:.2g} at entry "
                    f"{at} of {len(gone)}, {run.rates[-1]:.2g} at the end",
                    {"learning_rate": run.rates[top]})  # fmt: skip


@rule("learning-rate-too-small", limit=0.02, steps=ENOUGH_STEPS, needs=("first.parameters",),
      explained_by=("no-update", "learning-rate-too-large", "learning-rate-vanishes",
                    "gradient-zero", "dead-units", "gradient-activation-derivative",
                    "gradient-product"),
      why="The steps are so short that the weights stay where they began.",
      remedy="multiply the learning rate by 10 until the loss falls quickly, or train longer",
      source="CS231n notes, Ratio of weights:updates")  # fmt: skip
def rate_too_small(run: Run, limit: float) -> Evidence | None:
    travelled, what = run.travelled(), "moved the weights by {:.2g} times their size"
    if run.from_zero:
        travelled = max(map(_largest, run.last.weights.values()), default=math.nan)
        what = "moved the weights from 0 to {:.2g} at most"
    crawling = run.failing and bool(run.movement) and float(np.median(run.movement)) < 1e-5
    crawling = crawling and not travelled > FAR
    if run.diverged or run.last.skill > 0.8 or not (travelled < limit or crawling):
        return None
    if max(_relative_slopes(run).values(), default=np.nan) < 1e-5:
        return None  # there is no gradient to follow: not the learning rate's fault
    factor = 10.0 ** np.ceil(np.log10(min(1e6, 0.5 / max(travelled, 1e-9))))
    return Evidence("learning_rate", f"{run.steps} steps {what.format(travelled)}{run.with_rate}",
                    run.rate_times(factor))  # fmt: skip


def _relative_slopes(run: Run) -> dict[str, float]:
    """Return rms(gradient) / rms(weights) of each layer at the start."""
    slopes, sizes = sizes_of(run.first.gradients), sizes_of(run.first.weights)
    return {name: slopes[name] / size if size > 0 else math.inf for name, size in sizes.items()
            if slopes.get(name, np.nan) < np.inf and (slopes[name] > 0 or size > 0)}  # fmt: skip


@rule("vanishing-gradient", limit=1e-3, needs=("first.weights", "first.gradients"),
      source="Zhang et al., AUTOTRAINER, ICSE 2021 (ratio of first to last layer 1e-3)",
      why="Every saturated or small layer shrinks the gradient on its way back, and the first "
          "layers learn nothing.",
      remedy="ReLU units with weights = generator.standard_normal(shape) * sqrt(2 / fan_in), or "
             "fewer layers",
      change={"init": "auto", "hidden": "relu"})  # fmt: skip
def vanishing_gradient(run: Run, limit: float) -> Evidence | None:
    sizes, names = sizes_of(run.first.gradients), [*run.first.weights]
    first, last = names[0], names[-1]
    later = [each.sizes for each in run.updates[1:4]]  # the last weights or the rate may start at 0
    seen = [each for each in (sizes, *later) if {first, last} <= each.keys()]
    if not sizes.get(first) or not sizes.get(last):
        return None
    if not all(each[first] < limit * each[last] < np.inf for each in seen):
        return None
    return Evidence(first, f"rms gradient {sizes[first]:.2g} in the first layer, {sizes[last]:.2g} "
                    "in the last")  # fmt: skip
