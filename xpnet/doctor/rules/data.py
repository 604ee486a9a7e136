"""Signs of trouble in the data, each read from what was seen of a run.

A sign is ``look(run, limit)``: a `Sign`, or None. Limits and texts are in the rules.
"""

from typing import Any

import numpy as np

from xpnet.doctor.observations import columns, is_bias
from xpnet.doctor.rules.rule import Sign
from xpnet.doctor.run import Run
from xpnet.doctor.seen_targets import SORTED

OUTPUT_RANGES = {
    "sigmoid": (0.0, 1.0),
    "softmax": (0.0, 1.0),
    "tanh": (-1.0, 1.0),
    "exp": (0.0, np.inf),
    "softplus": (0.0, np.inf),
}


def not_finite(run: Run, limit: float) -> Sign | None:
    """Find NaN or infinity in inputs, targets or initial parameters."""
    shown = {"inputs": run.data.inputs, "targets": run.data.targets} | dict(run.first.parameters)
    for name, array in shown.items():
        bad: Any = np.argwhere(~np.isfinite(array)) if array is not None else ()
        if len(bad) > limit:
            found = f"{len(bad)} of {array.size} values are NaN or infinite"
            if name in run.first.parameters:
                return Sign(name, f"{found} before the first step", {"init": "auto"},
                            remedy="draw new weights, and check where these came from")  # fmt: skip
            return Sign(name, f"{found}, the first in row {bad[0][0]} of those checked",
                        {"drop_non_finite": True})  # fmt: skip
    return None


def _at_an_end(p: Any) -> bool:
    return bool(np.any(np.minimum(np.abs(p), np.abs(1.0 - np.abs(p))) < 0.02))


def target_range(run: Run, limit: float) -> Sign | None:
    """Targets that the output activation cannot reach."""
    goals, predictions = run.first.goals, run.first.predictions
    if goals is None or not np.all(np.isfinite(goals)):
        return None
    seen = [p for p in (predictions, run.last.predictions) if p is not None]
    low, high = OUTPUT_RANGES.get(run.output, (-np.inf, np.inf))
    if not run.output:
        inside = all(np.all((p >= 0) & (p <= 1)) for p in seen)
        tanh = all(np.all(np.abs(p) <= 1) for p in seen)
        enough = any(p.size >= 10 and np.ptp(p) > 0.05 for p in seen) and any(map(_at_an_end, seen))
        low, high = (0, 1) if inside and enough else (-1, 1) if tanh and enough else (low, high)
        cut = all(np.all(p >= 0) for p in seen) and 0.02 < np.mean(seen[-1] == 0) < 1
        low = 0.0 if cut else low  # a ReLU
    least, most = float(np.min(goals)), float(np.max(goals))
    if least >= low - limit and most <= high + limit:
        return None
    return Sign("targets", f"targets from {least:g} to {most:g}, but outputs only from {low:g} to "
                f"{high:g}",
                {"target_range": [low, high]})  # fmt: skip


def class_numbers(run: Run, limit: float) -> Sign | None:
    """Class numbers without an output: usually from 1 to K for K outputs.

    Whole numbers are classes only if the outputs are probabilities, or the numbers are 1 to K.
    """
    for shown in (run.first, run.data):
        targets, outputs = shown.targets, shown.predictions
        if targets is None or outputs is None or len(targets) != len(outputs):
            continue
        k, found = outputs.shape[1], np.unique(targets)
        if columns(targets).shape[1] > 1 or k < 2 or not np.all(found == np.round(found)):
            continue
        from_one = np.array_equal(found, np.arange(1, k + 1))
        if found[-1] >= k and (from_one or (shown.are_distributions and found[0] >= limit)):
            return Sign("targets", f"class numbers from {found[0]:g} to {found[-1]:g}, but the {k} "
                        f"outputs stand for 0 to {k - 1}")  # fmt: skip
    return None


def empty_batches(run: Run, limit: float) -> Sign | None:
    """Find steps without rows; a warning if it is one here and there, such as after the last."""
    if not run.empty:
        return None
    several = len(run.empty) > run.steps / 2
    return Sign("batches", f"{len(run.empty)} of {len(run.empty) + run.steps} have no rows, the "
                f"first after {run.empty[0]} steps with rows",
                severity="error" if several else "warning")  # fmt: skip


def constant_target(run: Run, limit: float) -> Sign | None:
    """One target in all rows: in all there are, or in `limit` or more over several steps."""
    seen = run.targets
    if seen.first is None or seen.differ or seen.rows < 2 or "target-shape" in run.found:
        return None
    if not seen.complete and (run.steps < 2 or seen.rows < limit):
        return None
    value = ", ".join(f"{each:g}" for each in seen.first[:5]) + ", ..." * (len(seen.first) > 5)
    return Sign("targets", f"every target is {value}, in all {seen.rows} rows seen")


def unshuffled_rows(run: Run, limit: float) -> Sign | None:
    """Share of the targets' variance between batches, about 1/m where m rows are shuffled."""
    seen = run.targets
    if not seen.share_between > limit:
        return None
    rows, severity = seen.rows_per_batch, "note" if run.last.skill > 0.8 else ""
    return Sign("batches", f"{seen.share_between:.0%} of the targets' variance lies between blocks "
                f"of {rows:.0f} successive rows; shuffled, it would be {1.0 / rows:.0%}",
                {"shuffle": True}, severity)  # fmt: skip


def prediction_drift(run: Run, limit: float) -> Sign | None:
    """Compare inputs at prediction with those of training, in units of their deviation."""
    if run.served is None or run.served.inputs is None or run.data.inputs is None:
        return None
    trained, used = run.data.inputs, run.served.inputs
    if trained.shape[1] != used.shape[1]:
        return None
    deviation = np.maximum(trained.std(axis=0), 1e-3 * (np.abs(trained).max() + 1e-12))
    shift = np.abs(used.mean(axis=0) - trained.mean(axis=0)) / deviation
    worst = int(np.argmax(shift))
    wider = float(np.median(used.std(axis=0) / deviation))
    if shift[worst] <= limit and wider <= limit:
        return None
    return Sign("inputs at prediction",
                f"feature {run.feature(worst)}: mean {used[:, worst].mean():.4g}, but in training "
                f"{trained[:, worst].mean():.4g} with standard deviation {deviation[worst]:.4g}",
                {"scale_at_prediction": True})  # fmt: skip


def unscaled_inputs(run: Run, limit: float) -> Sign | None:
    """Find a feature whose root mean square is far from 1, or see that none comes near it."""
    x = run.data.inputs
    if x is None or not np.all(np.isfinite(x)):
        return None
    rms = np.sqrt(np.mean(x**2, axis=0))
    worst = int(np.argmax(rms))
    if 0.02 <= rms[worst] <= limit:
        return None
    kind = "largest" if rms[worst] > limit else "largest (all are tiny)"
    return Sign(f"feature {run.feature(worst)}",
                f"{kind} root mean square {rms[worst]:.4g}, smallest {rms.min():.4g}; it should "
                "be near 1", {"standardize": True})  # fmt: skip


def constant_feature(run: Run, limit: float) -> Sign | None:
    """Features with one value only; all of them constant is an error."""
    x = run.data.inputs
    if x is None or len(x) < 20:
        return None
    flat = np.flatnonzero(np.ptp(x, axis=0) <= limit * np.abs(x).max(axis=0))
    if run.first.parameters and not any(is_bias(n, p) for n, p in run.first.parameters.items()):
        flat = np.setdiff1d(flat, np.flatnonzero(np.all(x == 1.0, axis=0))[:1])  # the bias
    if not len(flat) or (x.shape[1] >= 30 and len(flat) < x.shape[1] and not x[:, flat].any()):
        return None
    everything = len(flat) == x.shape[1]
    named = ", ".join(map(run.feature, flat[:5])) + (", ..." if len(flat) > 5 else "")
    return Sign(f"features {named}", f"{len(flat)} of {x.shape[1]} features never "
                f"change in the {len(x)} rows looked at",
                {"drop_features": flat.tolist()}, "error" if everything else "")  # fmt: skip


def first_of_sorted(run: Run) -> bool:
    """Tell whether the rows kept are the first ones of sorted rows, unlike the others."""
    return run.targets.share_between > SORTED and not run.targets.complete


def class_imbalance(run: Run, limit: float) -> Sign | None:
    """Compare the commonest class with the rarest; only a note if the rarest is recognised."""
    classes = run.data.classes
    if classes is None or len(classes) < 50 or first_of_sorted(run):
        return None
    weights = run.data.row_weights
    shown = np.bincount(classes)
    heard = shown if weights is None else np.bincount(classes, weights[:, 0])
    counts = shown if run.class_counts is None else run.class_counts
    if np.sum(heard > 0) < 2 or heard.max() < limit * heard[heard > 0].min():
        return None
    predicted, truth, recall = run.last.predictions, run.last.classes, float("nan")
    rarest = int(np.argmin(np.where(counts > 0, counts, counts.sum())))
    known = run.last.goals is not None and predicted is not None
    if known and np.all(np.isfinite(predicted)) and truth is not None and np.any(truth == rarest):
        guess = predicted[:, 0] > 0.5 if predicted.shape[1] == 1 else predicted.argmax(axis=1)
        recall = float(np.mean(guess[truth == rarest] == rarest))
    evidence = f"{counts.max()} rows of the commonest class, {counts[rarest]} of the rarest"
    found = "" if np.isnan(recall) else f", of which {recall:.0%} are recognised"
    return Sign("targets", evidence + found, {"class_weight": "balanced"},
                "" if recall < 0.7 else "note")  # fmt: skip


def shuffled_targets(run: Run, limit: float) -> Sign | None:
    """No relation between inputs and targets: neither neighbours nor a line predict them."""
    x, y = run.data.inputs, run.data.goals
    if x is None or y is None or len(x) != len(y) or run.found & {"non-finite", "class-imbalance"}:
        return None
    x, keep = np.unique(x, axis=0, return_index=True)
    y = columns(y)[keep]
    if len(x) < 50 or not np.all(np.isfinite(y)) or not np.any(np.ptp(y, axis=0)):
        return None
    found = relation(x, y)
    if found * np.sqrt(len(x)) > limit:
        return None
    return Sign("targets", f"correlation of {found:.2f} between targets and what the other "
                f"{len(x) - 1} rows predict; chance alone reaches {limit / np.sqrt(len(x)):.2f}",
                {"check_pairing": True})  # fmt: skip


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
