"""The data: scales, values that never change, classes, order, and what they have in common."""

from typing import Any

import numpy as np

from xpnet.doctor.rules.rule import (
    CHECKER,
    GOODFELLOW,
    LECUN,
    RECIPE,
    STANDARDIZE,
    Evidence,
    rule,
)
from xpnet.doctor.run import SORTED, Run
from xpnet.training.skill import unscaled

MIN_SERVED = 20  # rows from which the mean of a single feature tells
OUTPUT_RANGES = {
    "sigmoid": (0.0, 1.0), "softmax": (0.0, 1.0), "tanh": (-1.0, 1.0), "exp": (0.0, np.inf),
    "softplus": (0.0, np.inf),
}  # fmt: skip


@rule("prediction-drift", limit=4.0, severity="error", needs=("data.inputs",),
      remedy="use the mean and std of the training set at prediction too: " + STANDARDIZE,
      change={"scale_at_prediction": True}, source="deepchecks, Feature Drift")  # fmt: skip
def prediction_drift(run: Run, limit: float) -> Evidence | None:
    """On inputs of another scale units saturate, and all samples get nearly the same output."""
    trained, used = run.data.inputs, run.served.inputs
    if used is None:
        return None
    mean, low, high = used.mean(axis=0), trained.min(axis=0), trained.max(axis=0)
    deviation = np.maximum(trained.std(axis=0), 1e-3 * (np.abs(trained).max() + 1e-12))
    shift = np.abs(mean - trained.mean(axis=0)) / deviation * ((mean < low) | (mean > high))
    worst, wider = int(np.argmax(shift)), float(np.median(used.std(axis=0) / deviation))
    typical = shift[worst] if len(used) >= MIN_SERVED else float(np.median(shift))
    if typical <= limit and wider <= limit:
        return None
    return Evidence("inputs at prediction", f"feature {run.feature(worst)}: mean "
                    f"{mean[worst]:.4g}, but in training {trained[:, worst].mean():.4g} with "
                    f"standard deviation {deviation[worst]:.4g}")  # fmt: skip


@rule("target-range", limit=1e-6, severity="error", needs=("first.goals",), source=CHECKER,
      remedy="encode classes as 0 and 1 for a sigmoid; no activation on the output for numbers"
      )  # fmt: skip
def target_range(run: Run, limit: float) -> Evidence | None:
    """The output activation cannot reach them, whatever the weights."""
    goals = run.first.goals
    low, high = OUTPUT_RANGES.get(run.output, (-np.inf, np.inf))
    if not run.output:
        shown = (run.first.predictions, run.last.predictions)
        low, high = _range_of([each for each in shown if each is not None])
    least, most = float(np.min(goals)), float(np.max(goals))
    reached = least >= low - limit and most <= high + limit
    if reached or not np.all(np.isfinite(goals)):
        return None
    return Evidence("targets", f"targets from {least:g} to {most:g}, but outputs only from {low:g} "
                    f"to {high:g}", {"target_range": [low, high]})  # fmt: skip


@rule("target-range", limit=0.1, severity="error", needs=("first.goals", "first.predictions"),
      source=f"{GOODFELLOW}, 6.2.2",
      remedy="give each output a sigmoid of its own: 1 / (1 + np.exp(-z)); its error is p - y, too"
      )  # fmt: skip
def several_labels(run: Run, limit: float) -> Evidence | None:
    """Softmax shares 1 among the classes, so that only one of them can be near 1."""
    outputs, goals = run.first.predictions, run.first.goals
    if np.ndim(goals) != 2 or np.shape(outputs) != np.shape(goals) or not np.all(outputs >= 0.0):
        return None
    share = float(np.mean(goals.sum(axis=1) > 1.5))
    if share < limit or np.any(goals > 1.0) or not np.allclose(outputs.sum(axis=1), 1.0):
        return None
    said = f"{share:.0%} of the rows have several targets of 1, but the outputs of each add up to 1"
    return Evidence("targets", said)


def _range_of(seen: list[Any]) -> tuple[float, float]:
    """Return the range that outputs seem to be confined to."""
    ends = [np.minimum(np.abs(p), np.abs(1.0 - np.abs(p))).min() for p in seen]  # distances to them
    spread = any(p.size >= 10 and np.ptp(p) > 0.05 for p in seen) and min(ends) < 0.02
    positive = all(np.all(p >= 0) for p in seen)
    if spread and all(np.all(np.abs(p) <= 1) for p in seen):
        return (0, 1) if positive else (-1, 1)
    relu = positive and 0.02 < np.mean(seen[-1] == 0) < 1
    return 0.0 if relu else -np.inf, np.inf


@rule("constant-target", limit=50, severity="error", explained_by=("target-shape",),
      needs=("targets.first",), source=RECIPE + " (become one with the data)",
      remedy="check which column is the target, and how the rows were selected")  # fmt: skip
def constant_target(run: Run, limit: float) -> Evidence | None:
    """There is nothing to learn; the last bias is enough for a loss of 0."""
    seen = run.targets
    few = not seen.complete and (run.steps < 2 or seen.rows < limit)
    if seen.differ or seen.rows < 2 or few:
        return None
    more = ", ..." if len(seen.first) > 5 else ""
    value = ", ".join(f"{each:g}" for each in seen.first[:5]) + more
    return Evidence("targets", f"every target is {value}, in all {seen.rows} rows seen")


@rule("constant-feature", limit=1e-9, severity="note", needs=("data.inputs",),
      source="scikit-learn, VarianceThreshold", remedy="x = x[:, x.std(axis=0) > 0]")  # fmt: skip
def constant_feature(run: Run, limit: float) -> Evidence | None:
    """They carry no information, and dividing by their standard deviation gives NaN."""
    x = run.data.inputs
    flat = np.flatnonzero(np.ptp(x, axis=0) <= limit * np.abs(x).max(axis=0))
    if run.without_biases:
        flat = np.setdiff1d(flat, np.flatnonzero(np.all(x == 1.0, axis=0))[:1])  # the bias
    encoded = np.isin(x[:1, flat], (0.0, 1.0)).all()  # categories and bins that a sample lacks
    lacking = x.shape[1] >= 30 and len(flat) < x.shape[1] and encoded
    if len(x) < 20 or not len(flat) or lacking:
        return None
    named = ", ".join(map(run.feature, flat[:5])) + (", ..." if len(flat) > 5 else "")
    return Evidence(f"inputs {named}", f"{len(flat)} of {x.shape[1]} features never change in "
                    f"the {len(x)} rows looked at", {"drop_features": flat.tolist()},
                    severity="error" if len(flat) == x.shape[1] else "")  # fmt: skip


@rule("unscaled-inputs", limit=5.0, needs=("data.inputs",), source=f"{LECUN}, section 4.3",
      remedy=STANDARDIZE, change={"standardize": True})  # fmt: skip
def unscaled_inputs(run: Run, limit: float) -> Evidence | None:
    """Large inputs saturate the first units, and tiny ones hardly move the output."""
    rms = np.sqrt(np.mean(run.data.inputs**2, axis=0))  # what does harm, though rows may be many
    worst = int(np.argmax(rms))
    if not unscaled_by(run) or 0.02 <= rms[worst] <= limit:
        return None
    kind = "largest" if rms[worst] > limit else "largest (all are tiny)"
    evidence = (
        f"{kind} root mean square {rms[worst]:.4g}, smallest {rms.min():.4g}; it should be near 1"
    )
    return Evidence(f"feature {run.feature(worst)}", evidence, remedy=scaled(run))


def unscaled_by(run: Run) -> str:
    """Say how far the inputs are from being scaled; "" if they are near enough, or not known."""
    x = run.data.inputs
    return unscaled(x) if x is not None and np.all(np.isfinite(x)) else ""


def scaled(run: Run) -> str:
    """Return the remedy for unscaled inputs; without biases, centred ones may be worse."""
    each_bias = "x = x / x_train.std(axis=0)   # and give each layer a bias"
    return each_bias if run.without_biases else ""


def first_of_sorted(run: Run) -> bool:
    """Return whether the rows kept are the first ones of sorted rows, unlike the others."""
    return run.targets.share_between > SORTED and not run.targets.complete


@rule("class-imbalance", limit=10.0, needs=("data.classes",),
      source="Amazon SageMaker Debugger, ClassImbalance (10)",
      remedy="multiply each row's loss and delta by len(y) / (classes * rows of its class)",
      change={"class_weight": "balanced"})  # fmt: skip
def class_imbalance(run: Run, limit: float) -> Evidence | None:
    """Always predicting the commonest class is nearly right; the rare one hardly counts."""
    classes, weights = run.data.classes, run.data.row_weights
    shown = np.bincount(classes)
    heard = shown if weights is None else np.bincount(classes, weights[:, 0])
    counts = shown if run.class_counts is None else run.class_counts
    if len(classes) < 50 or first_of_sorted(run) or np.sum(heard > 0) < 2:
        return None
    if heard.max() < limit * heard[heard > 0].min():
        return None
    rarest = int(np.argmin(np.where(counts > 0, counts, counts.sum())))
    recall = run.last.recall(rarest)
    found = "" if np.isnan(recall) else f", of which {recall:.0%} are recognised"
    return Evidence("targets", f"{counts.max()} rows of the commonest class, {counts[rarest]} of "
                    f"the rarest{found}", severity="" if recall < 0.7 else "note")  # fmt: skip


@rule("shuffled-targets", limit=3.0, needs=("data.inputs", "data.goals"), source=RECIPE,
      explained_by=("non-finite", "class-imbalance"),
      remedy="order = generator.permutation(len(x)); x, y = x[order], y[order]   # one for both",
      change={"check_pairing": True})  # fmt: skip
def shuffled_targets(run: Run, limit: float) -> Evidence | None:
    """Nothing in the inputs predicts the targets; x and y may have been shuffled separately."""
    if len(run.data.inputs) != len(run.data.goals):
        return None
    x, keep = np.unique(run.data.inputs, axis=0, return_index=True)
    y, chance = run.data.goals[keep], limit / np.sqrt(len(keep))
    known = len(x) >= 50 and np.all(np.isfinite(y)) and np.any(np.ptp(y, axis=0))
    if not known or (found := relation(x, y)) > chance:
        return None
    return Evidence("targets", f"correlation of {found:.2f} between targets and what the other "
                    f"{len(x) - 1} rows predict; chance alone reaches {chance:.2f}")  # fmt: skip


def relation(x: Any, y: Any) -> float:
    """Correlation of left-out targets with 5 nearest neighbours' mean, or ridge regression's.

    Neighbours that are unlike are a relation too, as in samples of a quick oscillation.
    """
    x = (x - x.mean(axis=0)) / np.maximum(x.std(axis=0), 1e-12)
    centred = y - y.mean(axis=0)
    squares = np.sum(x**2, axis=1)
    distance = squares[:, None] - 2 * x @ x.T + squares[None, :]
    np.fill_diagonal(distance, np.inf)
    near = centred[np.argsort(distance, axis=1)[:, :5]].mean(axis=1)
    gram = x @ x.T + np.eye(len(x))  # also works with more features than rows
    inverse = np.linalg.inv(gram + 1.0)  # + 1: an intercept
    line = centred - (inverse @ centred) / np.diag(inverse)[:, None]

    def correlation(guess: Any) -> float:
        guess = guess - guess.mean(axis=0)
        size = np.linalg.norm(guess) * np.linalg.norm(centred)
        return float(np.sum(guess * centred) / size) if size > 0 else 0.0

    return max(abs(correlation(near)), correlation(line))


@rule("unshuffled-rows", limit=SORTED, needs=("targets.first",), source=f"{LECUN}, section 4.2",
      remedy="order = generator.permutation(len(x)); x, y = x[order], y[order]   # in every epoch; "
             "of a time series, whole windows", change={"shuffle": True})  # fmt: skip
def unshuffled_rows(run: Run, limit: float) -> Evidence | None:
    """Each batch pulls the network towards rows of one kind, and the next one away again."""
    share = run.targets.share_between  # about 1/m where m rows are shuffled
    if not share > limit:
        return None
    rows = run.targets.rows / run.targets.batches
    return Evidence("batches", f"{share:.0%} of the targets' variance lies between blocks of "
                    f"{rows:.0f} successive rows; shuffled, it would be {1.0 / rows:.0%}",
                    severity="note" if run.learnt else "")  # fmt: skip
