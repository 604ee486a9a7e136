"""The outcome: losses that ran away or stayed, and predictions no better than a constant."""

from typing import Any

import numpy as np

from xpnet.doctor.findings import UNSKILLED
from xpnet.doctor.replay import MOVED
from xpnet.doctor.rules.data import scaled, unscaled_by
from xpnet.doctor.rules.rule import (
    CHECKER,
    DIAGNOSIS,
    ENOUGH_STEPS,
    RECIPE,
    STANDARDIZE,
    Evidence,
    rule,
)
from xpnet.doctor.run import FAR, Run

STEPS_OF_A_LOSS_ALONE = 100  # if no predictions are shown
MIN_ROWS = 6  # fewer show nothing about skill
SYMPTOMS = {"loss-not-decreasing", "loss-rising", "diverged", "constant-feature"}


def _share(skill: float) -> str:
    return f"{skill:.1%}" if skill > 0 else f"none (R2 = {skill:.3g})"


@rule("non-finite", severity="error", source=DIAGNOSIS, explained_by=("non-finite",),
      remedy="lower the learning rate; compute cross-entropy from the pre-activations; count "
             "Adam's steps from 1")  # fmt: skip
def no_number(run: Run) -> Evidence | None:
    """The steps were too long, or a formula is undefined here, such as log(0) or 0 / 0."""
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
        found += ": outputs of exactly 0 or 1 before any step, and log(0)"
        remedy = "numpy.log(numpy.clip(p, 1e-12, 1 - 1e-12)); smaller initial weights"
        return Evidence("loss", found, remedy=remedy)
    return Evidence("loss", found)


@rule("loss-rising", severity="error", needs=("losses",), source=CHECKER,
      remedy="run xpnet.check_gradients; if it is right, lower the learning rate")  # fmt: skip
def loss_curve(run: Run) -> Evidence | None:
    """The gradient is wrong, such as its sign, or the steps are too long."""
    start, end = run.loss_span()
    evidence, fall = f"loss {start:.4g} at the start, {end:.4g} at the end", start - end
    if run.loss_undefined:
        return None
    if run.diverged or (np.isfinite(start) and not end <= 100.0 * max(abs(start), 1e-12)):
        return Evidence("loss", evidence, code="diverged")
    if run.learnt and -fall > 2.0 * abs(start):  # then it is not the loss of these predictions
        evidence += f", although the predictions explain {_share(run.last.skill)} of the variance"
        remedy = "show the loss of each step; set a running sum back to 0"
        return Evidence("loss", evidence, severity="warning", remedy=remedy)
    if len(run.losses) >= 3 and -fall > 0.1 * abs(start) and run.failing:
        signs = [cosine for each in run.updates for cosine in each.cosines.values()]
        if not signs or min(signs) <= MOVED:
            return Evidence("loss", evidence)
        remedy = "subtract it: weights -= learning_rate * gradient"
        return Evidence("loss", f"{evidence}; each update adds the gradient", remedy=remedy)
    alone = run.last.predictions is None and run.steps >= STEPS_OF_A_LOSS_ALONE
    if run.steps < ENOUGH_STEPS or fall > 0.03 * abs(start) or not (run.failing or alone):
        return None
    return Evidence("loss", evidence, code="loss-not-decreasing",
                    severity="warning" if alone else "")  # fmt: skip


@rule("no-better-than-constant", limit=UNSKILLED, severity="error", steps=ENOUGH_STEPS,
      needs=("last.goals",), source=RECIPE + " (input-independent baseline)",
      remedy="run xpnet.check_gradients; if it is right, try more units and other learning rates"
      )  # fmt: skip
def no_better(run: Run, limit: float) -> Evidence | None:
    """Always giving the mean or the commonest class is as good."""
    last, p, goals = run.last, run.last.predictions, run.last.goals
    if len(goals) < MIN_ROWS:
        return None
    spread, wanted = float(p.std(axis=0).max()), float(goals.std(axis=0).max())
    if wanted == 0.0 or not (last.skill < limit or spread < limit * wanted):
        return None
    evidence, code = f"they explain {_share(last.skill)} of the targets' variance", ""
    if last.classes is not None and len(np.unique(last.guesses)) == 1:
        evidence, code = f"{evidence}; every sample gets the same class", "constant-output"
    if spread < limit * wanted:
        code = "constant-output"
        evidence += f"; standard deviation {spread:.2g}, against {wanted:.2g} for the targets"
    return Evidence("predictions", evidence, code=code, **_next_step(run))


def _next_step(run: Run) -> dict[str, Any]:
    """Return the remedy for predictions that show no skill, by what else was found."""
    causes = [code for code in run.found if code not in SYMPTOMS]
    if causes:
        return {"remedy": f"mend {causes[0]} first; this follows from it"}
    if run.travelled() < FAR and not run.to_and_fro:
        return {"remedy": "train longer, or multiply the learning rate by 10",
                "change": run.rate_times(10.0)}  # fmt: skip
    if found := unscaled_by(run):
        return {"remedy": f"{scaled(run) or STANDARDIZE}   # {found}",
                "change": {"standardize": True}}  # fmt: skip
    return {}


@rule("overfitting", limit=1.25, severity="warning", needs=("validation_losses", "losses"),
      source="Prechelt, Early stopping - but when?, 1998",
      remedy="keep the weights of the lowest validation loss; a penalty, fewer units, more rows",
      change={"early_stopping": True})  # fmt: skip
def overfitting(run: Run, limit: float) -> Evidence | None:
    """The network memorises the training rows; the best weights were some epochs ago."""
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
