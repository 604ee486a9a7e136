"""Signs in the loss: computed from outputs and targets that do not match, or by another formula.

A sign is ``look(run, limit)``: a `Sign`, or None. Limits and texts are in the rules.
"""

import math
from typing import Any

import numpy as np

from xpnet.doctor.rules.data import first_of_sorted
from xpnet.doctor.rules.rule import Sign
from xpnet.doctor.run import STEPS_TO_JUDGE, Run


def target_shape(run: Run, limit: float) -> Sign | None:
    """Targets (m,) beside predictions (m, 1), unless the loss is right; or from other samples."""
    targets, outputs = (run.shapes.get(name, ()) for name in ("targets", "predictions"))
    if run.columns:
        targets, outputs = targets[::-1], outputs[::-1]
    both = len(targets) == len(outputs) == 2 and targets[0] == outputs[0]
    if both and outputs[1] == 1 < targets[1] and _is_of_all_columns(run):
        return Sign("targets", f"{targets[1]} columns of targets, but one output: it is compared "
                    "with all of them", severity="error",
                    remedy=f"give the last layer {targets[1]} outputs")  # fmt: skip
    if _rows_differ(run):
        shapes = f"targets {run.shapes['targets']}, predictions {run.shapes['predictions']}"
        return Sign("targets", f"{shapes}: not the same samples", severity="error")
    if run.shapes and "loss-broadcast" not in run.found and not _loss_terms(run)[0]:
        m = max(run.shapes["targets"])
        if _pairs(run) and _loss_terms(run)[1] is None:
            return Sign("targets", f"targets {run.shapes['targets']}, predictions "
                        f"{run.shapes['predictions']}: their difference is ({m}, {m})",
                        {"reshape_targets": True}, remedy=_as_outputs(run))  # fmt: skip
    return None


def _is_of_all_columns(run: Run) -> bool:
    """Tell whether the first loss is a usual one of one output against several targets."""
    shown = run.whole[0] if run.whole else run.first
    p, t = shown.predictions, shown.targets
    if p is None or t is None or not run.losses:
        return False
    return any(_is_first_loss(run, each) for each in _usual_losses(p, t).values())


def loss_broadcast(run: Run, limit: float) -> Sign | None:
    """See whether the loss reported is the one over all (m, m) pairs of output and target."""
    proper, paired = _loss_terms(run)
    if proper or paired is None or not _pairs(run) or "loss-broadcast" in run.found:
        return None
    m = max(run.shapes["targets"])
    evidence = f"the loss {run.losses[0]:.6g} is {paired} over {m} x {m} = {m * m} pairs, not {m}"
    return Sign("loss", evidence, {"reshape_targets": True}, remedy=_as_outputs(run))


def _as_outputs(run: Run) -> str:
    """Return the remedy for (1, m) against (m, 1); the rules' own is for (m,)."""
    both = len(run.shapes["targets"]) == len(run.shapes["predictions"]) == 2
    return "targets = targets.T   # the same shape as the outputs" if both else ""


def _rows_differ(run: Run) -> bool:
    """Tell whether neither the first nor the last axis of both can be that of the samples."""
    targets, outputs = run.shapes.get("targets"), run.shapes.get("predictions")
    if not targets or not outputs or _pairs(run) or math.prod(targets) == 1:
        return False
    return targets[0] != outputs[0] and (targets[-1] != outputs[-1] or targets[-1] == 1)


def _pairs(run: Run) -> bool:
    targets, outputs = run.shapes.get("targets"), run.shapes.get("predictions")
    if not targets or not outputs or targets == outputs or max(targets) < 2:
        return False
    m = max(targets)
    return {targets, outputs} in ({(m,), (m, 1)}, {(1, m), (m, 1)})


def _loss_terms(run: Run) -> tuple[bool, str | None]:
    """Tell whether the first loss is a usual one of matched pairs; if not, which of all pairs."""
    p, t = run.first.predictions, run.first.targets
    if p is None or t is None or not run.losses or p.size != t.size or not _pairs(run):
        return False, None
    p, t = p.ravel(), t.ravel()
    if any(_is_first_loss(run, each) for each in _usual_losses(p, t).values()):
        return True, None
    pairs = _usual_losses(p[:, None], t[None, :])
    return False, next((name for name, each in pairs.items() if _is_first_loss(run, each)), None)


def _usual_losses(p: Any, t: Any) -> dict[str, float]:
    """Return what losses of predictions and targets, broadcast, are usually called and come to."""
    q = np.minimum(np.maximum(p, 1e-12), 1 - 1e-12)
    terms = {
        "squared error": (t - p) ** 2,
        "cross-entropy": -(t * np.log(q) + (1 - t) * np.log(1 - q)),
        "absolute error": np.abs(t - p),
    }
    found = {how + name: value for name, each in terms.items() for how, value in _totals(each)}
    half = {"half " + name: each / 2 for name, each in found.items() if "squared" in name}
    return found | half


def _totals(terms: Any) -> list[tuple[str, float]]:
    """Return the ways in which a loss is made of one term for each prediction."""
    total = float(np.sum(terms))
    counts = {"the sum of ": 1, "the mean of ": terms.size, "the sum per sample of ": len(terms)}
    return [(how, total / count) for how, count in counts.items()]


def _is_first_loss(run: Run, value: float) -> bool:
    return abs(value - run.losses[0]) <= 1e-6 * abs(run.losses[0])


def class_number_loss(run: Run, limit: float) -> Sign | None:
    """See whether the loss compares every output with the number of the class."""
    if not run.whole:
        return None
    p, t = run.whole[0].predictions, run.whole[0].targets
    if p is None or t is None or t.shape != (len(p), 1) or p.shape[1] < 2:
        return None
    name = squared_error_form(run, p, t) if np.all(t == np.round(t)) else ""
    return Sign("loss", f"the loss {run.losses[0]:.6g} is {name}(outputs - targets)**2 for "
                f"outputs {p.shape} and targets {t.shape}") if name else None  # fmt: skip


def wrong_cross_entropy(run: Run, limit: float) -> Sign | None:
    """See whether the first loss is a cross-entropy without its minus, or half of its terms."""
    shown = run.whole[0] if run.whole else None
    if shown is None or shown.goals is None or shown.classes is None or not run.losses:
        return None
    p, t = shown.predictions, shown.goals
    if not run.losses[0] or not np.all((p > 0.0) & (p < 1.0)):
        return None
    for_one, for_zero = -t * np.log(p), -(1.0 - t) * np.log(1.0 - p)
    proper = [for_one + for_zero] + ([for_one] if p.shape[1] > 1 else [])

    def is_loss(terms: Any, sign: float) -> bool:
        return any(_is_first_loss(run, sign * each) for _, each in _totals(terms))

    if any(is_loss(each, 1.0) for each in proper):
        return None
    if any(is_loss(each, -1.0) for each in proper) or (run.failing and run.losses[0] < 0.0):
        return Sign("loss", f"the first is {run.losses[0]:.6g}; a cross-entropy is above 0, and "
                    "with its sign turned it falls as the predictions get worse",
                    severity="" if run.failing else "note",  # which may be meant to rise
                    remedy="loss = -numpy.mean(...)")  # fmt: skip
    half = "0" if is_loss(for_one, 1.0) else "1" if is_loss(for_zero, 1.0) else ""
    return Sign("loss", f"the first, {run.losses[0]:.6g}, is the cross-entropy without its term "
                f"for class {half}, which may get any prediction") if half else None  # fmt: skip


def loss_apart(run: Run, limit: float) -> Sign | None:
    """See a loss next to 0 with predictions that no loss of theirs could make so small."""
    goals, p = run.last.goals, run.last.predictions
    if not run.failing or run.steps < STEPS_TO_JUDGE or goals is None or not run.losses:
        return None
    if "loss-wrong" in run.found:
        return None
    start, end = run.loss_span()
    errors = np.abs(goals - p)
    least = float(np.mean(np.minimum(errors, errors**2)))  # the Huber loss is linear far out
    if min(run.losses) < 0.0 or not end < 0.2 * start or not end < limit * least:
        return None
    return Sign("loss", f"{start:.4g} became {end:.4g}, but the predictions are as bad as a "
                f"constant, with a mean squared error of {np.mean(errors**2):.4g}")  # fmt: skip


def squared_error_form(run: Run, predictions: Any, targets: Any) -> str:
    """Name the sum or mean of the squared errors, or of half of them, that the first loss is."""
    if not run.losses or predictions is None or targets is None:
        return ""
    for how, each in _totals((predictions - targets) ** 2):
        if _is_first_loss(run, each) or _is_first_loss(run, each / 2.0):
            return how
    return ""


def unscaled_targets(run: Run, limit: float) -> Sign | None:
    """First error against the best constant's: log(K) for classes, otherwise the variance."""
    first, goals = run.first, run.first.goals
    if goals is None or len(goals) < 10 or not np.all(np.isfinite(first.predictions)):
        return None
    if first_of_sorted(run):
        return None
    if first.classes is not None and np.all((first.predictions >= 0) & (first.predictions <= 1)):
        k = max(2, goals.shape[1])
        right = np.where(goals > 0.5, first.predictions, 1.0 - first.predictions)
        chosen = right if goals.shape[1] == 1 else np.max(np.where(goals > 0.5, right, 0), axis=1)
        entropy = float(np.mean(-np.log(np.maximum(chosen, 1e-12))))
        known = run.found & {"wrong-init-scale", "unscaled-inputs", "softmax-axis"}
        whole = run.whole[0] if run.whole else first
        if entropy <= limit * np.log(k) or known:
            return None
        if squared_error_form(run, whole.predictions, whole.goals):
            return None
        return Sign("loss", f"cross-entropy {entropy:.3g} at the start, but chance is log({k}) = "
                    f"{np.log(k):.3g}", {"init": "auto"})  # fmt: skip
    # Of sorted rows the first ones hardly differ.
    shown = [each for each in (goals, run.data.goals) if each is not None and len(each)]
    spread = max(float(np.var(each, axis=0).mean()) for each in shown)
    error = float(np.mean((goals - first.predictions) ** 2))
    if run.whole and run.whole[0].goals is not None:  # the rows looked at may be of several steps
        error = min(error, float(np.mean((run.whole[0].goals - run.whole[0].predictions) ** 2)))
    size = float(np.sqrt(np.mean(goals**2)))
    if spread <= 0 or (error <= 3 * limit * spread and size <= 10 * limit):
        return None
    evidence = f"squared error {error:.3g} at the start, against a target variance of {spread:.3g}"
    return Sign("targets", evidence, {"standardize_target": True})
