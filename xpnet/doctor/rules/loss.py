"""What the loss is made of: values that are no numbers, shapes that differ, wrong formulas."""

import math
from typing import Any

import numpy as np

from xpnet.doctor.rules.rule import DIAGNOSIS, Evidence, rule
from xpnet.doctor.run import Run
from xpnet.doctor.step import columns

BROADCASTING = "NumPy manual, Broadcasting"
RESHAPE_TARGETS = "targets = targets.reshape(-1, 1)   # the same shape as the outputs"


@rule("non-finite", severity="error", source=DIAGNOSIS,
      why="One NaN or infinity spreads through every sum: after one step all weights are NaN.",
      remedy="keep = numpy.isfinite(x).all(axis=1); x, y = x[keep], y[keep]   # and no log(0)",
      change={"drop_non_finite": True})  # fmt: skip
def not_finite(run: Run) -> Evidence | None:
    shown = {"inputs": run.data.inputs, "targets": run.data.targets} | dict(run.first.parameters)
    for name, array in shown.items():
        bad: Any = np.argwhere(~np.isfinite(array)) if array is not None else ()
        found = f"{len(bad)} of {np.size(array)} values are NaN or infinite"
        if len(bad) and name in run.first.parameters:
            return Evidence(name, f"{found} before the first step", {"init": "auto"},
                            remedy="draw new weights, and check where these came from")  # fmt: skip
        if len(bad):
            return Evidence(name, f"{found}, the first in row {bad[0][0]} of those checked")
    return None


@rule("target-shape", needs=("first.predictions", "first.targets"), source=BROADCASTING,
      explained_by=("loss-broadcast",), remedy=RESHAPE_TARGETS,
      why="NumPy pairs such shapes without an error. Each output is pulled towards targets that "
          "are not its own, so it can at best predict their mean.")  # fmt: skip
def target_shape(run: Run) -> Evidence | None:
    """Targets (m,) beside predictions (m, 1), unless the loss is right; or from other samples."""
    given = [run.shapes.get(name, ()) for name in ("targets", "predictions")]
    targets, outputs = (shape[::-1] if run.columns else shape for shape in given)
    shown, both = [*run.whole, run.first][0], len(targets) == len(outputs) == 2
    one, shapes = both and targets[0] == outputs[0], f"targets {given[0]}, predictions {given[1]}"
    if one and outputs[1] == 1 < targets[1] and usual_loss(run, shown.predictions, shown.targets):
        return Evidence("targets", f"{targets[1]} columns of targets, but one output: it is "
                        "compared with all of them", severity="error",
                        remedy=f"give the last layer {targets[1]} outputs")  # fmt: skip
    if one and targets[1] == 1 < outputs[1]:
        return _class_number_loss(run, shown.predictions, shown.targets)
    if _rows_differ(*given):
        return Evidence("targets", f"{shapes}: not the same samples", severity="error")
    if not _pairs(*given):
        return None
    loss, m = _paired_loss(run), max(given[0])
    remedy = "targets = targets.T   # the same shape as the outputs" if len(given[0]) == 2 else ""
    change: dict[str, Any] = {"reshape_targets": True}
    if loss:
        loss = f"the loss {run.losses[0]:.6g} is {loss} over {m} x {m} = {m * m} pairs, not {m}"
        return Evidence("loss", loss, change, "error", remedy, code="loss-broadcast")
    difference = f"{shapes}: their difference is ({m}, {m})"
    return Evidence("targets", difference, change, remedy=remedy) if loss is None else None


def _class_number_loss(run: Run, p: Any, t: Any) -> Evidence | None:
    """See squared errors of all outputs against the number of the class."""
    if not np.all(t == np.round(t)) or not (name := usual_loss(run, p, t, "squared error")):
        return None
    evidence = f"{name}, (outputs - targets)**2, for outputs {p.shape} and targets {t.shape}"
    remedy = "targets = numpy.eye(K)[labels.reshape(-1)]   # one-hot, like outputs"
    return Evidence("loss", f"the loss {run.losses[0]:.6g} is {evidence}", severity="error",
                    remedy=remedy, code="loss-broadcast")  # fmt: skip


def _rows_differ(targets: tuple[int, ...], outputs: tuple[int, ...]) -> bool:
    """Return whether neither the first nor the last axis of both can be that of the samples."""
    if not targets or not outputs or _pairs(targets, outputs) or math.prod(targets) == 1:
        return False
    return targets[0] != outputs[0] and (targets[-1] != outputs[-1] or targets[-1] == 1)


def _pairs(targets: tuple[int, ...], outputs: tuple[int, ...]) -> bool:
    """Return whether NumPy pairs every output with every target."""
    m = max(targets, default=0)
    return m > 1 and {targets, outputs} in ({(m,), (m, 1)}, {(1, m), (m, 1)})


def _paired_loss(run: Run) -> str | None:
    """Return the usual loss of all pairs that the first loss is.

    Empty if it is one of matched outputs and targets, None if it is neither.
    """
    p, t = run.first.predictions, run.first.targets
    shapes = (run.shapes.get(name, ()) for name in ("targets", "predictions"))
    if p.size != t.size or not _pairs(*shapes):
        return None
    p, t = p.ravel(), t.ravel()
    return "" if usual_loss(run, p, t) else usual_loss(run, p[:, None], t[None, :]) or None


def usual_loss(run: Run, p: Any, t: Any, kind: str = "") -> str:
    """Name the usual loss of predictions and targets, broadcast, that the first loss is."""
    q = np.minimum(np.maximum(p, 1e-12), 1 - 1e-12)
    terms = {
        "squared error": (t - p) ** 2,
        "half the squared error": (t - p) ** 2 / 2.0,
        "cross-entropy": -(t * np.log(q) + (1 - t) * np.log(1 - q)),
        "absolute error": np.abs(t - p),
    }
    for name, each in terms.items():
        how = _first_loss_as(run, each) if kind in name else ""
        if how:
            return how + name
    return ""


def _first_loss_as(run: Run, terms: Any) -> str:
    """Say how the first loss is made of one term for each prediction; empty if it is not."""
    total, shown = float(np.sum(terms)), run.losses[0] if run.losses else math.nan
    counts = {"the sum of ": 1, "the mean of ": terms.size, "the sum per sample of ": len(terms)}
    close = [n for n, k in counts.items() if abs(total / k - shown) <= 1e-6 * abs(shown)]
    return close[0] if close else ""


@rule("softmax-axis", limit=1e-5, severity="error", needs=("whole", "first.predictions"),
      why="Softmax shares 1 among the outputs of a sample. Over another axis, samples compete.",
      remedy="probabilities = e / e.sum(axis=1, keepdims=True)   # samples are rows; else axis=0",
      source="SciPy, scipy.special.softmax (axis)")  # fmt: skip
def softmax_axis(run: Run, limit: float) -> Evidence | None:
    shown, p = run.whole[0], run.whole[0].predictions
    if shown.inputs is None and not shown.weights:
        return None  # nothing tells samples from outputs
    if min(p.shape) < 2 or not np.all(p >= 0.0) or not np.ptp(p) or shown.are_distributions:
        return None
    over = "all samples and outputs together" if abs(p.sum() - 1.0) < limit else ""
    over = "the samples" if np.allclose(p.sum(axis=0), 1.0, rtol=0.0, atol=limit) else over
    sums = f"from {p.sum(axis=1).min():.3g} to {p.sum(axis=1).max():.3g}"
    return Evidence("predictions", f"they add up to 1 over {over}; over the outputs of one sample "
                    f"they add up to anything {sums}") if over else None  # fmt: skip


@rule("output-activated-twice",
      why="What one activation has squeezed keeps the next one's outputs away from 0 or 1, and the "
          "loss above a floor.",
      remedy="outputs = sigmoid(z)   # or softmax(z): once, on z = inputs @ weights + biases",
      source="PyTorch, CrossEntropyLoss (expects unnormalized logits)")  # fmt: skip
def activated_twice(run: Run) -> Evidence | None:
    form = run.replay.outputs
    if form.count("(") < 2:
        return None
    return Evidence("predictions", f"they are {form}, with z the last layer's inputs @ weights + "
                    "biases", {"output": form.partition("(")[0]})  # fmt: skip


@rule("loss-wrong", needs=("whole", "first.goals", "losses"),
      source="Goodfellow et al., Deep Learning, 6.2.2",
      why="It cannot tell whether predictions get better, and a gradient derived from it leads "
          "astray.",
      remedy="loss = -numpy.mean(t * numpy.log(p) + (1 - t) * numpy.log(1 - p))")  # fmt: skip
def wrong_cross_entropy(run: Run) -> Evidence | None:
    """See whether the first loss is a cross-entropy without its minus, or half of its terms."""
    p, t, loss = run.whole[0].predictions, run.whole[0].goals, run.losses[0]
    if t is None or run.whole[0].classes is None or not loss or not np.all((p > 0.0) & (p < 1.0)):
        return None
    for_one, for_zero = -t * np.log(p), -(1.0 - t) * np.log(1.0 - p)
    proper = [for_one + for_zero] + ([for_one] if p.shape[1] > 1 else [])
    if any(_first_loss_as(run, each) for each in proper):
        return None
    if any(_first_loss_as(run, -each) for each in proper) or (run.failing and loss < 0.0):
        return Evidence("loss", f"the first is {loss:.6g}; a cross-entropy is above 0, and with "
                        "its sign turned it falls as the predictions get worse",
                        severity=run.if_failing,  # it may be meant to rise
                        remedy="loss = -numpy.mean(...)")  # fmt: skip
    half = "0" if _first_loss_as(run, for_one) else "1" if _first_loss_as(run, for_zero) else ""
    return Evidence("loss", f"the first, {loss:.6g}, is the cross-entropy without its term for "
                    f"class {half}, which may get any prediction") if half else None  # fmt: skip


@rule("class-numbers", severity="error",
      source="PyTorch, CrossEntropyLoss (class indices in [0, C))",
      why="Class k belongs to output k, counted from 0. A class beyond the last output is never "
          "predicted.",
      remedy="labels = labels - labels.min()   # classes 0 to outputs - 1")  # fmt: skip
def class_numbers(run: Run) -> Evidence | None:
    """Whole numbers are classes only if the outputs are probabilities, or the numbers 1 to K."""
    for shown in (run.first, run.data):
        targets, outputs = shown.targets, shown.predictions
        if targets is None or outputs is None or len(targets) != len(outputs):
            continue
        k, found = outputs.shape[1], np.unique(targets)
        if columns(targets).shape[1] > 1 or k < 2 or not np.all(found == np.round(found)):
            continue
        from_one = np.array_equal(found, np.arange(1, k + 1))
        if found[-1] >= k and (from_one or (shown.are_distributions and found[0] >= 0)):
            return Evidence("targets", f"class numbers from {found[0]:g} to {found[-1]:g}, but the "
                            f"{k} outputs stand for 0 to {k - 1}")  # fmt: skip
    return None
