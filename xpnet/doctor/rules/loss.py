"""What the loss is made of: values that are no numbers, shapes that differ, wrong formulas."""

import math
from typing import Any

import numpy as np

from xpnet.doctor.rules.rule import DIAGNOSIS, Evidence, rule
from xpnet.doctor.run import Run
from xpnet.doctor.step import as_columns


@rule("non-finite", severity="error", source=DIAGNOSIS, change={"drop_non_finite": True},
      remedy="keep = numpy.isfinite(x).all(axis=1); x, y = x[keep], y[keep]   # and no log(0)"
      )  # fmt: skip
def not_finite(run: Run) -> Evidence | None:
    """One NaN or infinity spreads through every sum: after one step all weights are NaN."""
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


@rule("target-shape", needs=("first.predictions", "first.targets"), severity="error",
      explained_by=("loss-broadcast",), source="NumPy manual, Broadcasting",
      remedy="targets = targets.reshape(-1, 1)   # the same shape as the outputs")  # fmt: skip
def target_shape(run: Run) -> Evidence | None:
    """NumPy pairs unlike shapes: each output is pulled towards targets that are not its own."""
    given = [run.shapes.get(name, ()) for name in ("targets", "predictions")]
    targets, outputs = (shape[::-1] if run.columns else shape for shape in given)
    p, t = run.start.predictions, run.start.targets
    shapes = f"targets {given[0]}, predictions {given[1]}"
    m = max(given[0], default=0)
    if m > 1 and {*given} in ({(m,), (m, 1)}, {(1, m), (m, 1)}):  # NumPy pairs each with each
        return _paired(run, shapes, given[0])
    if len(targets) == len(outputs) == 2 and targets[0] == outputs[0]:
        if outputs[1] == 1 < targets[1] and usual_loss(run, p, t):
            return Evidence("targets", f"{targets[1]} columns of targets, but one output: it is "
                            "compared with all of them",
                            remedy=f"give the last layer {targets[1]} outputs")  # fmt: skip
        if targets[1] == 1 < outputs[1] and (loss := usual_loss(run, p, t, "squared error")):
            remedy = "targets = numpy.eye(K)[labels.reshape(-1)]   # one-hot, like outputs"
            found = f"{loss}, (outputs - targets)**2, for outputs {p.shape} and targets {t.shape}"
            return Evidence("loss", f"the loss {run.losses[0]:.6g} is {found}", remedy=remedy,
                            code="loss-broadcast")  # fmt: skip
    samples = {targets[:1], targets[-1:]} & {outputs[:1], outputs[-1:]} - {(1,)}
    known = targets and outputs and math.prod(targets) > 1
    return Evidence("targets", f"{shapes}: not the same samples") if known and not samples else None


def _paired(run: Run, shapes: str, targets: tuple[int, ...]) -> Evidence | None:
    """See the loss of all pairs; or of none, which tells nothing; one of matched pairs is right."""
    p, t, m = run.first.predictions.ravel(), run.first.targets.ravel(), max(targets)
    remedy = "targets = targets.T   # the same shape as the outputs" if len(targets) == 2 else ""
    change: dict[str, Any] = {"reshape_targets": True}
    if p.size == t.size and usual_loss(run, p, t):
        return None
    if p.size == t.size and (loss := usual_loss(run, p[:, None], t[None, :])):
        found = f"the loss {run.losses[0]:.6g} is {loss} over {m} x {m} = {m * m} pairs, not {m}"
        return Evidence("loss", found, change, remedy=remedy, code="loss-broadcast")
    found = f"{shapes}: their difference is ({m}, {m})"
    return Evidence("targets", found, change, "" if run.failing else "warning", remedy)


def usual_loss(run: Run, p: Any, t: Any, kind: str = "") -> str:
    """Name the usual loss of predictions and targets, broadcast, that the first loss is."""
    q, loss = np.minimum(np.maximum(p, 1e-12), 1 - 1e-12), (run.losses or [math.nan])[0]
    terms = {
        "squared error": (t - p) ** 2,
        "half the squared error": (t - p) ** 2 / 2.0,
        "cross-entropy": -(t * np.log(q) + (1 - t) * np.log(1 - q)),
        "absolute error": np.abs(t - p),
    }
    for name, each in terms.items():
        if kind not in name:
            continue
        counts = {"sum": 1, "mean": each.size, "sum per sample": len(each)}
        for how, count in counts.items():
            if abs(np.sum(each) / count - loss) <= 1e-6 * abs(loss):
                return f"the {how} of {name}"
    return ""


@rule("softmax-axis", limit=1e-5, severity="error", needs=("whole", "first.predictions"),
      remedy="probabilities = e / e.sum(axis=1, keepdims=True)   # samples are rows; else axis=0",
      source="SciPy, scipy.special.softmax (axis)")  # fmt: skip
def softmax_axis(run: Run, limit: float) -> Evidence | None:
    """Softmax shares 1 among the outputs of a sample. Over another axis, samples compete."""
    shown, p = run.whole[0], run.whole[0].predictions
    unknown = shown.inputs is None and not shown.weights  # nothing tells samples from outputs
    if unknown or min(p.shape) < 2 or not np.all(p >= 0.0) or not np.ptp(p):
        return None
    by_sample = np.allclose(p.sum(axis=0), 1.0, rtol=0.0, atol=limit)
    if shown.are_distributions or not (by_sample or abs(p.sum() - 1.0) < limit):
        return None
    over = "the samples" if by_sample else "all samples and outputs together"
    sums = p.sum(axis=1)
    return Evidence("predictions", f"they add up to 1 over {over}; over the outputs of one sample "
                    f"to anything from {sums.min():.3g} to {sums.max():.3g}")  # fmt: skip


@rule("output-activated-twice", source="PyTorch, CrossEntropyLoss (expects unnormalized logits)",
      remedy="outputs = sigmoid(z)   # or softmax(z): once, on z = inputs @ weights + biases"
      )  # fmt: skip
def activated_twice(run: Run) -> Evidence | None:
    """What one activation has squeezed keeps the next one's outputs away from 0 and 1."""
    form = run.replay.outputs
    if form.count("(") < 2:
        return None
    found = f"they are {form}, with z the last layer's inputs @ weights + biases"
    return Evidence("predictions", found, {"output": form.partition("(")[0]})


@rule("class-numbers", severity="error", needs=("first.predictions", "first.targets"),
      source="PyTorch, CrossEntropyLoss (class indices in [0, C))",
      remedy="labels = labels - labels.min()   # classes 0 to outputs - 1")  # fmt: skip
def labels_beyond_outputs(run: Run) -> Evidence | None:
    """Class k belongs to output k, counted from 0; one beyond the last is never predicted."""
    found, k = np.unique(run.data.targets), run.first.predictions.shape[1]
    single = as_columns(run.first.targets).shape[1] == 1 < k
    if not single or found[-1] < k or not np.all(found == np.round(found)):
        return None
    from_one = np.array_equal(found, np.arange(1, k + 1))
    if not from_one and not (run.first.are_distributions and found[0] >= 0):
        return None  # numbers, perhaps
    return Evidence("targets", f"class numbers from {found[0]:g} to {found[-1]:g}, but the {k} "
                    f"outputs stand for 0 to {k - 1}")  # fmt: skip
