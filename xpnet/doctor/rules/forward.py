"""The start and the forward pass: initial weights, the first loss, units that carry no signal."""

from itertools import pairwise

import numpy as np

from xpnet.doctor.rules.data import first_of_sorted
from xpnet.doctor.rules.loss import usual_loss
from xpnet.doctor.rules.rule import (
    CHECKER,
    DIAGNOSIS,
    ENOUGH_STEPS,
    GLOROT,
    GOODFELLOW,
    RECIPE,
    Evidence,
    rule,
)
from xpnet.doctor.run import Run

NEAR_THE_END = 0.025  # a sigmoid from |z| = 3.7, where its slope is a tenth of its largest


@rule("symmetric-units", limit=1e-12, severity="error", needs=("first.weights",),
      remedy="weights = generator.standard_normal((fan_in, fan_out)) / sqrt(fan_in)",
      change={"init": "auto"}, source=f"{GOODFELLOW}, 8.4")  # fmt: skip
def symmetric_units(run: Run, limit: float) -> Evidence | None:
    """Units that start alike get the same gradient and stay alike. They are worth one unit."""
    for (name, into), (_, out) in pairwise(run.first.weights.items()):
        same = np.ptp(into, axis=1).max() <= limit and np.ptp(out, axis=0).max() <= limit
        if into.shape[1] > 1 and same:
            return Evidence(name, f"all {into.shape[1]} units have the same weights")
    return None


@rule("all-positive-weights", limit=9, needs=("first.weights",), source=GLOROT,
      explained_by=("symmetric-units",),
      remedy="limit = sqrt(6 / (fan_in + fan_out)); weights = generator.uniform(-limit, limit, "
             "shape)", change={"init": "auto"})  # fmt: skip
def all_positive(run: Run, limit: float) -> Evidence | None:
    """All units of the layer rise together, and their sums saturate the next layer's units."""
    signed = {n: w for n, w in run.first.weights.items()
              if np.any(w) and (np.all(w >= 0) or np.all(w <= 0))}  # fmt: skip
    sizes, everything = [w.size for w in signed.values()], len(signed) == len(run.first.weights)
    if max(sizes, default=0) < 2 * limit and not (everything and sum(sizes) >= limit):
        return None  # by chance
    shown = ", ".join(f"{n} ({w.size} weights, mean {w.mean():.2g})" for n, w in signed.items())
    return Evidence(", ".join(signed), f"no two weights differ in sign: {shown}")


@rule("wrong-init-scale", limit=9.0, needs=("first.weights",), source=GLOROT,
      remedy="weights = generator.standard_normal(shape) * sqrt(2 / (fan_in + fan_out))",
      change={"init": "auto"})  # fmt: skip
def init_scale(run: Run, limit: float) -> Evidence | None:
    """Each layer multiplies the signal by this: far from 1, units saturate or the signal dies."""
    gains = {n: float(np.sqrt(np.mean(w**2) * w.shape[0])) for n, w in run.first.weights.items()}
    small = [n for n in list(gains)[:-1] if 0 < gains[n] < 1.0 / limit]
    large = [n for n in gains if gains[n] > limit]
    # From 0.01 times normal numbers, as courses have it, shallow networks learn, if slowly.
    slow = run.last.skill > 0.5 and all(gains[n] > 0.01 for n in small)
    if not large and (not small or slow):
        return None
    gain, size = gains[(large or small)[0]], "large" if large else "small"
    return Evidence(", ".join(large or small), f"rms(weights) x sqrt(fan_in) = {gain:.3g}, too "
                    f"{size}; 0.6 to 8.5 is usual")  # fmt: skip


@rule("linear-hidden-layer", source=f"{GOODFELLOW}, 6.1", change={"hidden": "relu"},
      remedy="hidden = numpy.tanh(inputs @ weights + biases)   # if one is applied, show its "
             "result; if none is meant, xpnet.Doctor(hidden=['identity'])")  # fmt: skip
def linear_hidden(run: Run) -> Evidence | None:
    """Layers with nothing between them are one linear layer: no XOR, no circle."""
    linear = [i + 1 for i, each in enumerate(run.replay.kinds) if each == ("identity",)]
    evidence = "the values shown are inputs @ weights + biases, with nothing applied"
    if run.hidden:  # named, so on purpose: reported only if nothing is learnt
        linear = [i + 1 for i, each in enumerate(run.hidden) if each == "identity"]
        evidence = "the activation is 'identity'"
    if not linear or (run.hidden and not run.failing):
        return None
    where = f"hidden layer {', '.join(map(str, linear))}"
    return Evidence(where, evidence, severity=run.if_failing)


@rule("initial-loss", limit=3.0, needs=("first.goals",), source=RECIPE,
      remedy="numbers: y = (y - y.mean()) / y.std(); classes: smaller initial weights")  # fmt: skip
def unscaled_targets(run: Run, limit: float) -> Evidence | None:
    """A first loss far above that of a guess means too large weights or unscaled targets."""
    first, goals = run.first, run.first.goals
    if len(goals) < 10 or not np.all(np.isfinite(first.predictions)) or first_of_sorted(run):
        return None
    if first.classes is not None:
        return _high_entropy(run, limit)
    # Of sorted rows the first ones hardly differ.
    shown = [each for each in (goals, run.data.goals) if each is not None and len(each)]
    spread = max(float(np.var(each, axis=0).mean()) for each in shown)
    # The rows looked at may be of several steps; the whole first step is of one.
    steps = [step for step in (first, run.start) if step.goals is not None]
    error = min(float(np.mean((step.goals - step.predictions) ** 2)) for step in steps)
    size = float(np.sqrt(np.mean(goals**2)))
    if spread <= 0 or (error <= 3 * limit * spread and size <= 10 * limit):
        return None
    return Evidence("targets", f"squared error {error:.3g} at the start, against a target variance "
                    f"of {spread:.3g}", {"standardize_target": True})  # fmt: skip


def _high_entropy(run: Run, limit: float) -> Evidence | None:
    """Compare the first cross-entropy with that of chance, for probabilities."""
    p, goals, start = run.first.predictions, run.first.goals, run.start
    k = max(2, goals.shape[1])
    right = np.where(goals > 0.5, p, 1.0 - p)
    chosen = right if goals.shape[1] == 1 else np.max(np.where(goals > 0.5, right, 0), axis=1)
    entropy = float(np.mean(-np.log(np.maximum(chosen, 1e-12))))
    logits, causes = np.any((p < 0) | (p > 1)), ("wrong-init-scale", "unscaled-inputs", "softmax-*")
    if logits or entropy <= limit * np.log(k) or run.has_found(*causes):
        return None
    if start.goals is not None and usual_loss(run, start.predictions, start.goals, "squared"):
        return None
    return Evidence("loss", f"cross-entropy {entropy:.3g} at the start, but chance is log({k}) = "
                    f"{np.log(k):.3g}", {"init": "auto"})  # fmt: skip


@rule("regularisation-dominates", limit=0.2, steps=ENOUGH_STEPS, source=CHECKER,
      needs=("first.weights", "last.weights"), change={"l2": 0.0, "l1": 0.0},
      remedy="l2 = l2 / 100   # and check whether it is divided by the number of samples"
      )  # fmt: skip
def regularization(run: Run, limit: float) -> Evidence | None:
    """The penalty pulls the weights to 0 harder than the data pull them anywhere."""
    before, after = (float(np.sqrt(sum(np.sum(w**2) for w in each.weights.values())))
                     for each in (run.first, run.last))  # fmt: skip
    if run.first.weights.keys() != run.last.weights.keys() or not after < limit * before:
        return None
    return Evidence("weights", f"their norm fell from {before:.3g} to {after:.3g}")


@rule("dead-units", limit=0.6, needs=("first.activations",), source=DIAGNOSIS,
      remedy="start biases at 0, lower the learning rate, or use a leaky ReLU",
      change={"init": "auto", "hidden": "leaky_relu"})  # fmt: skip
def dead_units(run: Run, limit: float) -> Evidence | None:
    """A ReLU that gives 0 for every sample has gradient 0 and never recovers."""
    for layer, _, a, when in run.hidden_values("relu", ""):
        share = float(np.mean(np.all(a == 0, axis=0)))
        if share > limit:
            return Evidence(layer, f"{share:.0%} of {a.shape[1]} units give 0 for all {len(a)} "
                            f"samples {when}")  # fmt: skip
    return None


@rule("saturated-units", limit=0.5, needs=("first.activations",), source=GLOROT,
      remedy="smaller weights, symmetric about 0; standardised inputs; biases that start at 0",
      change={"init": "auto", "standardize": True})  # fmt: skip
def saturated_units(run: Run, limit: float) -> Evidence | None:
    """At the ends of its range a sigmoid or tanh has a slope of almost 0: no gradient passes."""
    for layer, kind, a, when in run.hidden_values("sigmoid", "tanh"):
        ends = (0.0 if kind == "sigmoid" else -1.0, 1.0)
        at = [np.mean(np.abs(a - end) < NEAR_THE_END, axis=0) for end in ends]
        share = float(np.mean(np.maximum(*at) >= 0.95))
        if share > limit:
            return Evidence(layer, f"{share:.0%} of the {kind} units are stuck at one end for all "
                            f"samples {when}, mean activation {a.mean():.3g}")  # fmt: skip
    return None
