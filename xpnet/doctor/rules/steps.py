"""Signs in single steps: formulas and updates that a loop's own arrays show to be wrong.

A sign is ``look(run, limit)``: a `Sign`, or None. Limits and texts are in the rules.
"""

from typing import Any

import numpy as np

from xpnet.doctor.replay import MOVED, accumulates, multiple
from xpnet.doctor.rules.rule import Sign
from xpnet.doctor.run import Run

CLIMB = 10  # steps


def shared_error(run: Run, limit: float) -> Sign | None:
    """See whether the last layer's gradient comes from one error, the same for every sample."""
    first, rows = run.first, run.shapes.get("predictions", (0,))[0]
    name = next(reversed([*first.weights]), "")
    if name not in first.gradients or not first.activations or len(first) < rows or rows < 4:
        return None
    below, outputs = first.activations[-1][:rows], first.predictions[:rows]
    given, goals = first.gradients[name], first.goals
    if given.shape != (below.shape[1], outputs.shape[1]) or given.size < 3 or len(below) < rows:
        return None
    errors = np.ones_like(outputs) if goals is None else outputs - goals[:rows]
    for slope in (np.ones_like(outputs), outputs * (1.0 - outputs), 1.0 - outputs**2):
        # Where all samples or all units look alike, proper errors give the same direction.
        if goals is not None and multiple(given, below.T @ (errors * slope), 1e-3) is not None:
            return None
        error = multiple(given, below.T @ slope, limit)
        if error is not None and not _one_sided(outputs, goals, rows):
            return Sign(name, f"it comes from one error, {error:.4g}, for all {rows} samples")
    return None


def _one_sided(outputs: Any, goals: Any, rows: int) -> bool:
    """Tell whether every error of an output has one sign: then MAE and Huber give one error."""
    return goals is not None and not np.any(np.ptp(np.sign(outputs - goals[:rows]), axis=0))


def softmax_axis(run: Run, limit: float) -> Sign | None:
    """See whether probabilities add up to 1 over the samples, not over the outputs."""
    shown = run.whole[0] if run.whole else None
    if shown is None or (shown.inputs is None and not shown.weights):
        return None  # nothing tells samples from outputs
    p = shown.predictions
    if p is None or min(p.shape) < 2 or not np.all(p >= 0.0) or not np.ptp(p):
        return None
    if np.allclose(p.sum(axis=1), 1.0, rtol=0.0, atol=1e-3):
        return None
    over = "all samples and outputs together" if abs(p.sum() - 1.0) < limit else ""
    over = "the samples" if np.allclose(p.sum(axis=0), 1.0, rtol=0.0, atol=limit) else over
    sums = f"from {p.sum(axis=1).min():.3g} to {p.sum(axis=1).max():.3g}"
    return Sign("predictions", f"they add up to 1 over {over}; over the outputs of one sample they "
                f"add up to anything {sums}") if over else None  # fmt: skip


def activated_twice(run: Run, limit: float) -> Sign | None:
    """See outputs to which two activations were applied, one after the other."""
    form = run.replay.outputs
    if form.count("(") < 2:
        return None
    evidence = f"they are {form}, with z the last layer's inputs @ weights + biases"
    return Sign("predictions", evidence, {"output": form.partition("(")[0]})


def wrong_derivative(run: Run, limit: float) -> Sign | None:
    """See a slope in a gradient that is not the derivative of the layer's activation."""
    if run.replay.wrong is None or any(each.startswith("gradient-") for each in run.found):
        return None
    name, form, right = run.replay.wrong
    names = [*run.first.weights]
    return Sign(
        name, f"recomputed from the arrays shown, its gradient has the derivative {form}, with a "
        f"the activations; {right} would be right",
        {"gradient": "activation-derivative", "where": names[: names.index(name) + 1],
         "number": 0.0},
    )  # fmt: skip


def wrong_product(run: Run, limit: float) -> Sign | None:
    """See a gradient that is a product of the wrong arrays."""
    if run.replay.product is None or any(each.startswith("gradient-") for each in run.found):
        return None
    name, product = run.replay.product
    return Sign(name, f"recomputed from the arrays shown, its gradient is {product}",
                {"gradient": "product", "where": [name], "number": 0.0})  # fmt: skip


def accumulated(run: Run, limit: float) -> Sign | None:
    """See the first step's gradient in that of the second."""
    if len(run.whole) < 2 or run.movement[:1] == [0.0]:  # several batches for one update
        return None
    if not accumulates(run.replay, *run.whole):
        return None
    return Sign("gradients", "those of the second step are its own plus those of the first",
                {"zero_gradients": True})  # fmt: skip


def uphill(run: Run, limit: float) -> Sign | None:
    """See whether the first step climbs: the sign of the gradient or of the update is wrong."""
    cosines = run.updates[0].cosines if run.updates else {}
    factor = next(iter(run.replay.deltas.values()), None)
    if not cosines or "gradient-sign" in run.found:
        return None
    known = any(each.startswith("gradient-") for each in run.found)
    follows = all(each < -MOVED for each in cosines.values())
    if factor is None and not known and follows and _climbs(run):
        evidence = f"each of the first {CLIMB} steps is short, subtracts the gradient, and climbs"
        return Sign(", ".join(cosines), evidence, {"update": "subtract"},
                    remedy="delta = outputs - targets   # and run xpnet.check_gradients"
                    )  # fmt: skip
    if factor is None and not (run.failing and run.losses and np.diff(run.loss_span())[0] > 0.0):
        return None
    if not all(each * (factor or 1.0) > 0.0 and abs(each) > MOVED for each in cosines.values()):
        return None
    cosine = float(np.mean([*cosines.values()]))
    what = (
        f"the update adds the gradient (cosine {cosine:.2f} between the two)"
        if cosine > 0.0
        else "the gradient comes from targets - outputs, and the update subtracts it"
    )
    return Sign(", ".join(cosines), what, {"update": "subtract"})


def _climbs(run: Run) -> bool:
    """Tell whether a failing run's loss rises in each of the first steps on the same rows."""
    first = run.losses[: CLIMB + 1]
    short = max(run.movement[:4], default=1.0) < 0.05
    same = len(run.whole) == 2 and np.array_equal(run.whole[0].inputs, run.whole[1].inputs)
    rising = len(first) > CLIMB and bool(np.all(np.diff(first) > 0.0))
    return run.failing and short and same and rising


def broken_update(run: Run, limit: float) -> Sign | None:
    """See parameters that an update makes NaN, although they and the gradients were finite."""
    for update in run.updates:
        if update.broken:
            return Sign(", ".join(update.broken), f"finite at step {update.step}, as were the "
                        "gradients; NaN after the update")  # fmt: skip
    return None


def redrawn(run: Run, limit: float) -> Sign | None:
    """See weights that one step replaced by others of the same size and any direction."""
    if not run.failing:  # one long step looks alike
        return None
    for update in run.updates:
        if abs(update.kept) < limit:
            return Sign("weights", f"after step {update.step} they are as large as before and have "
                        "nothing in common with what they were (cosine "
                        f"{update.kept:.2g})", {"draw": "once"})  # fmt: skip
    return None


def linear_hidden(run: Run, limit: float) -> Sign | None:
    """See a hidden layer whose values are its weighted sums, with no activation applied."""
    linear = [i + 1 for i, each in enumerate(run.replay.kinds) if each == ("identity",)]
    evidence = "the values shown are inputs @ weights + biases, with nothing applied"
    if run.hidden:  # named, so on purpose: reported only if nothing is learnt
        linear = [i + 1 for i, each in enumerate(run.hidden) if each == "identity"]
        evidence = "the activation is 'identity'"
    if not linear or (run.hidden and not run.failing):
        return None
    severity = "" if run.failing else "note"  # it may be meant
    return Sign(f"hidden layer {', '.join(map(str, linear))}", evidence, {"hidden": "relu"},
                severity)  # fmt: skip
