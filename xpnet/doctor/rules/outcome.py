"""The outcome: losses that ran away or stayed, and predictions no better than a constant."""

from typing import Any

import numpy as np

from xpnet.doctor.findings import UNSKILLED
from xpnet.doctor.replay import MOVED
from xpnet.doctor.rules.data import scaled
from xpnet.doctor.rules.rule import (
    CHECKER,
    DIAGNOSIS,
    ENOUGH_STEPS,
    RECIPE,
    STANDARDISE,
    Evidence,
    rule,
)
from xpnet.doctor.run import FAR, Run
from xpnet.training.skill import unscaled

STEPS_OF_A_LOSS_ALONE = 100  # if no predictions are shown
MIN_ROWS = 6  # fewer show nothing about skill
SYMPTOMS = {
    "loss-not-decreasing", "loss-rising", "cannot-overfit-one-batch", "no-better-than-constant",
    "constant-feature", "diverged",
}  # fmt: skip
NOTHING_ELSE = "run xpnet.check_gradients; if it is right, try more units and other learning rates"


def _share(skill: float) -> str:
    return f"{skill:.1%}" if skill > 0 else f"none (R2 = {skill:.3g})"


@rule("non-finite", severity="error", source=DIAGNOSIS, explained_by=("non-finite",),
      why="The steps were too long, or a formula is undefined here, such as log(0) or 0 / 0.",
      remedy="lower the learning rate; compute cross-entropy from the pre-activations")  # fmt: skip
def no_number(run: Run) -> Evidence | None:
    for step, when in ((run.first, "at the start"), (run.last, "at the end")):
        shown = {f"gradient of {name}": each for name, each in step.gradients.items()}
        shown = dict(step.parameters) | shown | {"predictions": step.predictions}
        for name, array in shown.items():
            bad = 0 if array is None else int(np.sum(~np.isfinite(array)))
            if bad:
                return Evidence(name, f"{bad} of {array.size} values are NaN or infinite {when}")
    lost, p = np.flatnonzero(~np.isfinite(run.losses)), run.first.predictions
    # A first loss cannot come from long steps; where outputs are far off, that is said already.
    if not len(lost) or (lost[0] == 0 and run.has_found("initial-loss")):
        return None
    found = f"{run.losses[lost[0]]} at entry {lost[0]} of {len(run.losses)}"
    if run.loss_undefined:
        found += f", although the predictions explain {_share(run.last.skill)} of the variance"
        remedy = "only the loss shown is undefined: numpy.log(numpy.clip(p, 1e-12, 1))"
        return Evidence("loss", found, severity="warning", remedy=remedy)
    if lost[0] == 0 and p is not None and np.any((p == 0.0) | (p == 1.0)):
        return Evidence("loss", f"{found}: outputs of exactly 0 or 1 before any step, and log(0)",
                        remedy="numpy.log(numpy.clip(p, 1e-12, 1 - 1e-12)); smaller initial weights"
                        )  # fmt: skip
    return Evidence("loss", found)


@rule("diverged", limit=100.0, severity="error", needs=("losses",),
      why="All later steps start from useless weights.",
      remedy="lower the learning rate, scale inputs and targets, check the sign of the gradient",
      source=CHECKER)  # fmt: skip
def diverged(run: Run, limit: float) -> Evidence | None:
    start, end = run.loss_span()
    away = np.isfinite(start) and not end <= limit * max(abs(start), 1e-12)
    if run.loss_undefined or not (away or run.diverged):
        return None
    return Evidence("loss", f"loss {run.losses[0]:.4g} became {run.losses[-1]:.4g}")


@rule("loss-wrong", limit=0.05, severity="error", steps=ENOUGH_STEPS, explained_by=("loss-wrong",),
      needs=("last.goals", "losses"),
      why="It is computed from something else than the predictions, or a term is missing.",
      remedy="compute the loss from the same predictions and targets that you judge by",
      source=RECIPE)  # fmt: skip
def loss_apart(run: Run, limit: float) -> Evidence | None:
    """See a loss next to 0 with predictions that no loss of theirs could make so small."""
    start, end = run.loss_span()
    errors = np.abs(run.last.goals - run.last.predictions)
    least = float(np.mean(np.minimum(errors, errors**2)))  # the Huber loss is linear far out
    fallen = end < 0.2 * start and end < limit * least
    if not run.failing or min(run.losses) < 0.0 or not fallen:
        return None
    return Evidence("loss", f"{start:.4g} became {end:.4g}, but the predictions are as bad as a "
                    f"constant, with a mean squared error of {np.mean(errors**2):.4g}")  # fmt: skip


@rule("loss-rising", limit=1.1, severity="error", needs=("losses",), explained_by=("diverged",),
      source=CHECKER,
      why="The gradient is wrong, such as its sign, or the steps are too long.",
      remedy="run xpnet.check_gradients, then lower the learning rate")  # fmt: skip
def loss_rising(run: Run, limit: float) -> Evidence | None:
    start, end = run.loss_span()
    odd = run.last.skill > 0.8 and end > start + 2.0 * abs(start)
    risen = len(run.losses) >= 3 and end > start + (limit - 1.0) * abs(start)
    if not risen or not (run.failing or odd):
        return None
    evidence = f"loss {start:.4g} at the start, {end:.4g} at the end"
    if odd:  # then it is not the loss of these predictions
        evidence += f", although the predictions explain {_share(run.last.skill)} of the variance"
        remedy = "show the loss of each step; set a running sum back to 0"
        return Evidence("loss", evidence, severity="warning", remedy=remedy)
    signs = [cosine for each in run.updates for cosine in each.cosines.values()]
    if signs and min(signs) > MOVED:
        remedy = "subtract it: weights -= learning_rate * gradient"
        return Evidence("loss", f"{evidence}; each update adds the gradient", remedy=remedy)
    return Evidence("loss", evidence)


@rule("loss-not-decreasing", limit=0.97, severity="error", steps=ENOUGH_STEPS, needs=("losses",),
      explained_by=("diverged", "loss-rising"),
      source="Amazon SageMaker Debugger, LossNotDecreasing",
      why="Something stops the gradient or makes it point elsewhere.",
      remedy="run xpnet.check_gradients, then try to overfit one small batch")  # fmt: skip
def loss_not_decreasing(run: Run, limit: float) -> Evidence | None:
    start, end = run.loss_span()
    alone = run.last.predictions is None and run.steps >= STEPS_OF_A_LOSS_ALONE
    if end < start - (1.0 - limit) * abs(start) or not (run.failing or alone):
        return None
    return Evidence("loss", f"loss {start:.4g} at the start, {end:.4g} after {run.steps} steps",
                    severity="warning" if alone else "")  # fmt: skip


@rule("cannot-overfit-one-batch", limit=0.5, severity="error", source=RECIPE,
      why="Any few rows can be memorised: the fault lies in code or settings, not in the data.",
      remedy="run xpnet.check_gradients; more units; another learning rate")  # fmt: skip
def one_batch(run: Run, limit: float) -> Evidence | None:
    value, seen = run.one_batch_skill, 0 if run.last.goals is None else len(run.last.goals)
    rows = min(run.shapes.get("predictions", (seen,))[0], seen)  # of one batch, if those are shown
    if 4 <= rows <= 32 and run.steps >= 500 and run.same_rows and np.isnan(value):
        value = run.last.skill
    if not value < limit:
        return None
    return Evidence("network", f"trained on one batch alone, it explains {_share(value)} of that "
                    "batch's variance")  # fmt: skip


@rule("no-better-than-constant", limit=UNSKILLED, severity="error", steps=ENOUGH_STEPS,
      needs=("last.goals",),
      why="Always giving the mean or the commonest class is as good.",
      remedy=NOTHING_ELSE,
      source=RECIPE + " (input-independent baseline)")  # fmt: skip
def no_better(run: Run, limit: float) -> Evidence | None:
    """1 - squared error / that of the best constant prediction, near or below 0."""
    if len(run.last.goals) < MIN_ROWS or not run.last.skill < limit:
        return None
    evidence = f"they explain {_share(run.last.skill)} of the targets' variance"
    return Evidence("predictions", evidence, **_next_step(run))


@rule("constant-output", limit=0.05, severity="error", steps=ENOUGH_STEPS, needs=("last.goals",),
      why="The inputs do not reach the output.",
      remedy=NOTHING_ELSE,
      source="scikit-learn issue 31235")  # fmt: skip
def constant_output(run: Run, limit: float) -> Evidence | None:
    """Predictions that hardly differ between samples, or all name one class without skill."""
    last, p, goals = run.last, run.last.predictions, run.last.goals
    if len(goals) < MIN_ROWS or not np.all(np.isfinite(p)):
        return None
    spread, wanted = float(p.std(axis=0).max()), float(goals.std(axis=0).max())
    unskilled = last.classes is not None and last.skill < UNSKILLED
    one_class = unskilled and len(np.unique(last.guesses)) == 1
    if wanted == 0 or (spread >= limit * wanted and not one_class):
        return None
    same = "; every sample gets the same class" if one_class else ""
    return Evidence("predictions", f"standard deviation {spread:.2g} over {len(p)} samples, "
                    f"against {wanted:.2g} for the targets{same}", **_next_step(run))  # fmt: skip


def _next_step(run: Run) -> dict[str, Any]:
    """Return the remedy for predictions that show no skill, by what else was found."""
    causes = [code for code in run.found if code not in SYMPTOMS]
    if causes:
        return {"remedy": f"mend {causes[0]} first; this follows from it"}
    if run.travelled() < FAR:
        return {"remedy": "train longer, or multiply the learning rate by 10",
                "change": run.rate_times(10.0)}  # fmt: skip
    x = run.data.inputs
    found = unscaled(x) if x is not None and np.all(np.isfinite(x)) else ""
    if found:
        return {"remedy": f"{scaled(run) or STANDARDISE}   # {found}",
                "change": {"standardize": True}}  # fmt: skip
    return {}


@rule("overfitting", limit=1.25, severity="warning", needs=("validation_losses", "losses"),
      source="Prechelt, Early stopping - but when?, 1998",
      why="The network memorises the training rows; the best weights were some epochs ago.",
      remedy="keep the weights of the lowest validation loss; a penalty, fewer units, more rows",
      change={"early_stopping": True})  # fmt: skip
def overfitting(run: Run, limit: float) -> Evidence | None:
    """Compare the last validation loss with the best, if the training loss kept falling."""
    held_out = run.validation_losses
    if len(held_out) < 5 or not np.all(np.isfinite(held_out)):
        return None
    best = int(np.argmin(held_out))
    end = float(np.mean(held_out[-max(1, len(held_out) // 10) :]))
    share = int(best * len(run.losses) / len(held_out))
    falling = run.loss_span()[1] < 0.9 * run.losses[share]
    if end <= limit * held_out[best] or not falling or run.failing:
        return None
    return Evidence("validation loss", f"best {held_out[best]:.4g} after {best + 1} of "
                    f"{len(held_out)} epochs, {end:.4g} at the end")  # fmt: skip
