"""Gradients and updates of hand-written code that are wrong: shapes, formulas, signs."""

import math
import re
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from xpnet.doctor.replay import MOVED, accumulates
from xpnet.doctor.rules.rule import BACKPROPAGATION, NIELSEN, Evidence, rule
from xpnet.doctor.run import Run
from xpnet.doctor.step import is_bias


@rule("gradient-shape", severity="error", needs=("first.gradients",), source=BACKPROPAGATION,
      remedy="gradient = inputs.T @ delta   # of weights; delta.sum(axis=0) of biases")  # fmt: skip
def gradient_shape(run: Run) -> Evidence | None:
    """A gradient has one number for each of the parameter; NumPy broadcasts any other shape."""
    shapes = {name: (each.shape, run.first.parameters.get(name, each).shape)
              for name, each in run.first.gradients.items()}  # fmt: skip
    wrong = {name: each for name, each in shapes.items() if not _updates(*each)}
    if not wrong:
        return None
    biases = [name for name, (_, own) in wrong.items() if is_bias(name, np.empty(own))]
    evidence = "; ".join(f"gradient {given}, parameter {own}" for given, own in wrong.values())
    return Evidence(", ".join(wrong), evidence, {"shape": [*wrong]},
                    remedy=_summed(run, biases) if len(biases) == len(wrong) else "")  # fmt: skip


def _summed(run: Run, biases: Iterable[str]) -> str:
    return "\n".join(summed(name, int(run.columns), keep=run.columns) for name in biases)


def summed(name: str, axis: int, *, keep: bool) -> str:
    """Return the remedy for a gradient that is not summed over the samples along an axis."""
    word = re.sub(r"\W+", "_", name).strip("_")
    return f"gradient_of_{word} = delta.sum(axis={axis}{', keepdims=True' if keep else ''})"


def _updates(given: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    """Return whether a gradient fits its parameter, or makes it grow, which is found below."""
    try:
        updated = math.prod(np.broadcast_shapes(given, wanted))
    except ValueError:
        return False
    return updated > math.prod(wanted) or math.prod(given) == updated


@rule("parameter-shape-changed", severity="error", needs=("last.parameters", "last.predictions"),
      explained_by=("bias-per-sample",), source=BACKPROPAGATION,
      remedy="gradient_of_bias = delta.sum(axis=0)   # and update in place: bias -= learning_rate "
             "* ...")  # fmt: skip
def bias_per_sample(run: Run) -> Evidence | None:
    """A bias for each sample stores that sample's label, and says nothing of others."""
    axis, widths = -1 if run.columns else 0, {each.shape[1] for each in run.first.weights.values()}
    rows, start = run.shapes.get("predictions", (0,))[axis], run.first.parameters
    each_own = {n: p for n, p in run.last.parameters.items()
                if p.ndim == 2 and p.shape[axis] == rows > 1 and n in start}  # fmt: skip
    grown = [n for n, p in each_own.items() if p.size != start[n].size]
    found = grown or [n for n, p in each_own.items() if is_bias(n, p)
                      and p.size not in widths and p.shape[1 + axis] in widths]  # fmt: skip
    if not found:
        return None
    first, last = start[found[0]].shape, run.last.parameters[found[0]].shape
    where, change = ", ".join(found), {"sum_over_batch": found}
    if grown:
        return Evidence(where, f"shape {first} became {last}: one for each of the {rows} samples",
                        change, remedy=_summed(run, found) if run.columns else "")  # fmt: skip
    shape = (last[0], 1) if run.columns else (1, last[1])
    return Evidence(
        where, f"shape {last}: one for each of the {rows} samples of a batch", change,
        remedy=f"{found[0]} = numpy.zeros({shape})\n{_summed(run, found)}", code="bias-per-sample",
    )  # fmt: skip


@rule("gradient-activation-derivative", severity="error", needs=("whole",),
      source=f"{NIELSEN}, chapter 2 (BP2 and BP4)",
      remedy="delta = (delta_next @ weights_next.T) * derivative   # for a: a * (1 - a) for a "
             "sigmoid, 1 - a**2 for tanh, a > 0 for a ReLU")  # fmt: skip
def wrong_gradient(run: Run) -> Evidence | None:
    """The error enters where this layer's delta is made, and spreads to every layer before it."""
    found = run.replay.mistake
    if found is None or (found.code != "gradient-wrong" and run.has_found("gradient-*")):
        return None
    names, kind = [*run.first.weights], found.code.removeprefix("gradient-")
    below = names[: names.index(found.where.split(", ")[-1]) + 1]
    change = {"gradient": kind or "activation-derivative", "where": below, "number": 0.0}
    return replace(found, change=change | (found.change or {}))


@rule("gradient-accumulated", needs=("whole",), source="PyTorch, torch.optim.Optimizer.zero_grad",
      remedy="set all gradients to 0 before each step   # PyTorch: optimizer.zero_grad()",
      change={"zero_gradients": True})  # fmt: skip
def accumulated(run: Run) -> Evidence | None:
    """They still contain those of earlier steps. Steps grow, and point where the loss fell."""
    gathered = run.movement[:1] == [0.0]  # several batches for one update
    if len(run.whole) < 2 or gathered or not accumulates(run.replay, *run.whole):
        return None
    return Evidence("gradients", "those of the second step are its own plus those of the first")


@rule("gradient-sign", severity="error", needs=("updates",), explained_by=("gradient-sign",),
      remedy="weights -= learning_rate * gradient   # with delta = outputs - targets",
      change={"update": "subtract"}, source=f"{NIELSEN}, chapter 1")  # fmt: skip
def uphill(run: Run) -> Evidence | None:
    """Descent subtracts the gradient. With a sign flipped (targets - outputs), steps climb."""
    factor, cosines = next(iter(run.replay.deltas.values()), 0.0), run.updates[0].cosines
    along = [cosine for cosine in cosines.values() if cosine * factor > 0 and abs(cosine) > MOVED]
    if not cosines or len(along) < len(cosines) or min(along) * max(along) < 0.0:
        return None
    evidence = f"the update adds the gradient (cosine {np.mean(along):.2f} between the two)"
    if along[0] < 0.0:
        evidence = "the gradient comes from targets - outputs, and the update subtracts it"
    return Evidence(", ".join(cosines), evidence)


@rule("weights-redrawn", limit=0.3, severity="error", needs=("updates",),
      remedy="draw the initial weights once, before the first step",
      change={"draw": "once"}, source=f"{NIELSEN}, chapter 1")  # fmt: skip
def redrawn(run: Run, limit: float) -> Evidence | None:
    """They were drawn anew during training, and what was learnt is gone."""
    lost = [(each.step, name, cosine) for each in run.updates for name, cosine in each.kept.items()
            if abs(cosine) < limit]  # fmt: skip
    if not lost:
        return None
    step, name, cosine = lost[0]
    if not run.failing and lost[-1][0] == step:  # one long step looks alike
        return None
    return Evidence(name, f"after step {step} they are as large as before and have nothing in "
                    f"common with what they were (cosine {cosine:.2g})")  # fmt: skip
