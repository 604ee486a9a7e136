"""Gradients and updates of hand-written code that are wrong: shapes, formulas, signs."""

import math
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from xpnet.doctor.gradcheck.mistakes import WHY, summed
from xpnet.doctor.replay import MOVED, accumulates
from xpnet.doctor.rules.rule import BACKPROPAGATION, NIELSEN, Evidence, rule
from xpnet.doctor.run import Run
from xpnet.doctor.step import is_bias


@rule("gradient-shape", severity="error", needs=("first.gradients",), source=BACKPROPAGATION,
      why=WHY["gradient-shape"],
      remedy="gradient = inputs.T @ delta   # of weights; delta.sum(axis=0) of biases")  # fmt: skip
def gradient_shape(run: Run) -> Evidence | None:
    """Find gradients that cannot be their parameters'; `shape_changed` finds those that grow it."""
    shown = {name: (each.shape, run.first.parameters.get(name, each).shape)
             for name, each in run.first.gradients.items()}  # fmt: skip
    wrong = {name: shapes for name, shapes in shown.items() if not _updates(*shapes)}
    if not wrong:
        return None
    biases = [name for name, (_, wanted) in wrong.items() if is_bias(name, np.empty(wanted))]
    evidence = "; ".join(f"gradient {given}, parameter {own}" for given, own in wrong.values())
    return Evidence(", ".join(wrong), evidence, {"shape": [*wrong]},
                    remedy=_summed(run, biases) if len(biases) == len(wrong) else "")  # fmt: skip


def _summed(run: Run, biases: Iterable[str]) -> str:
    """Return the remedy for gradients of biases that are not summed over the batch."""
    return "\n".join(summed(name, int(run.columns), keep=run.columns) for name in biases)


def _updates(given: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    try:
        updated = math.prod(np.broadcast_shapes(given, wanted))
    except ValueError:
        return False
    return updated > math.prod(wanted) or math.prod(given) == updated


@rule("bias-per-sample", needs=("first.parameters", "first.predictions"),
      why=WHY["bias-per-sample"],
      remedy="biases = numpy.zeros((1, units))   # and its gradient summed over the batch",
      source=BACKPROPAGATION)  # fmt: skip
def bias_per_sample(run: Run) -> Evidence | None:
    batch, axis = run.shapes.get("predictions", (0,)), -1 if run.columns else 0
    rows = batch[axis] if len(batch) == 2 else 0
    widths = {each.shape[1] for each in run.first.weights.values()}
    for name, bias in run.first.parameters.items():
        if not is_bias(name, bias) or bias.ndim != 2 or bias.size in widths:
            continue
        units = bias.shape[0 if run.columns else 1]
        if bias.shape[axis] == rows > 1 and units in widths:
            shape = (units, 1) if run.columns else (1, units)
            found = f"shape {bias.shape}: one for each of the {rows} samples of a batch"
            remedy = f"{name} = numpy.zeros({shape})\n{_summed(run, [name])}"
            return Evidence(name, found, {"sum_over_batch": [name]}, remedy=remedy)
    return None


@rule("gradient-activation-derivative", severity="error", needs=("whole",),
      source=f"{NIELSEN}, chapter 2 (BP2 and BP4)", why=WHY["gradient-activation-derivative"],
      remedy="delta = (delta_next @ weights_next.T) * derivative   # for a: a * (1 - a) for a "
             "sigmoid, 1 - a**2 for tanh, a > 0 for a ReLU")  # fmt: skip
def wrong_gradient(run: Run) -> Evidence | None:
    """Take what the replay has found, with the weights to derive anew: those below, for a delta."""
    found = run.replay.mistake
    if found is None or (found.code != "gradient-wrong" and run.has_found("gradient-*")):
        return None
    names, kind = [*run.first.weights], found.code.removeprefix("gradient-")
    below = names[: names.index(found.where.split(", ")[-1]) + 1]
    change = {"gradient": kind or "activation-derivative", "where": below, "number": 0.0}
    return replace(found, change=change)


@rule("gradient-accumulated", needs=("whole",), source="PyTorch, torch.optim.Optimizer.zero_grad",
      why="They still contain those of earlier steps. Steps grow, and point where the loss fell.",
      remedy="set all gradients to 0 before each step   # PyTorch: optimizer.zero_grad()",
      change={"zero_gradients": True})  # fmt: skip
def accumulated(run: Run) -> Evidence | None:
    gathered = run.movement[:1] == [0.0]  # several batches for one update
    if len(run.whole) < 2 or gathered or not accumulates(run.replay, *run.whole):
        return None
    return Evidence("gradients", "those of the second step are its own plus those of the first")


@rule("gradient-sign", severity="error", needs=("updates",), explained_by=("gradient-sign",),
      why="Gradient descent subtracts the gradient. With one sign flipped, every step climbs.",
      remedy="weights -= learning_rate * gradient   # with delta = outputs - targets",
      change={"update": "subtract"}, source=f"{NIELSEN}, chapter 1")  # fmt: skip
def uphill(run: Run) -> Evidence | None:
    """See whether the first step climbs: its direction and the sign of the gradient are known."""
    factor, cosines = next(iter(run.replay.deltas.values()), 0.0), run.updates[0].cosines
    along = [cosine for cosine in cosines.values() if cosine * factor > 0 and abs(cosine) > MOVED]
    if not cosines or len(along) < len(cosines) or min(along) * max(along) < 0.0:
        return None
    evidence = f"the update adds the gradient (cosine {np.mean(along):.2f} between the two)"
    if along[0] < 0.0:
        evidence = "the gradient comes from targets - outputs, and the update subtracts it"
    return Evidence(", ".join(cosines), evidence)


@rule("update-not-finite", severity="error", needs=("updates",),
      why="The update itself gives NaN: 0 / 0, or the root of a negative number. In Adam the bias "
          "corrections are 0 if steps are counted from 0.",
      remedy="count steps from 1 in m / (1 - beta_1**t); add epsilon to what you divide by",
      source="Kingma and Ba, arXiv 1412.6980, algorithm 1")  # fmt: skip
def broken_update(run: Run) -> Evidence | None:
    update = next((each for each in run.updates if each.broken), None)
    if update is None:
        return None
    evidence = f"finite at step {update.step}, as were the gradients; NaN after the update"
    return Evidence(", ".join(update.broken), evidence)


@rule("weights-redrawn", limit=0.3, severity="error", needs=("updates",),
      why="They were drawn anew during training, and what was learnt is gone. Usually the "
          "initialisation stands inside the loop.",
      remedy="draw the initial weights once, before the first step",
      change={"draw": "once"}, source=f"{NIELSEN}, chapter 1")  # fmt: skip
def redrawn(run: Run, limit: float) -> Evidence | None:
    lost = [(each.step, name, cosine) for each in run.updates for name, cosine in each.kept.items()
            if abs(cosine) < limit]  # fmt: skip
    if not lost or not (run.failing or lost[0][0] < lost[-1][0]):  # one long step looks alike
        return None
    step, name, cosine = lost[0]
    alone = [each for at, each, _ in lost if at == step and each in run.first.parameters]
    return Evidence(", ".join(alone) or name, f"after step {step} they are as large as before and "
                    f"have nothing in common with what they were (cosine {cosine:.2g})"
                    )  # fmt: skip


@rule("parameter-shape-changed", severity="error", explained_by=("bias-per-sample",),
      needs=("first.parameters",), source=BACKPROPAGATION,
      why="The update has broadcast it, since its gradient was not summed over the batch. A bias "
          "for each sample stores that sample's label.",
      remedy="gradient_of_bias = delta.sum(axis=0)   # and update in place: bias -= learning_rate "
             "* ...")  # fmt: skip
def shape_changed(run: Run) -> Evidence | None:
    if not run.reshaped:
        return None
    before, after = next(iter(run.reshaped.values()))
    batch = run.shapes.get("predictions", (0,))[-1 if run.columns else 0]
    grown = f": one for each of the {batch} samples" if batch > 1 and batch in after else ""
    return Evidence(", ".join(run.reshaped), f"shape {before} became {after}{grown}",
                    {"sum_over_batch": [*run.reshaped]},
                    remedy=_summed(run, run.reshaped) if run.columns else "")  # fmt: skip
