"""What is left to say of a network that learns too little, where no cause was found."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from xpnet.doctor.findings import Finding
from xpnet.doctor.rules.rule import GOODFELLOW, RECIPE
from xpnet.doctor.run import FAR, Run
from xpnet.doctor.scripts.telling import GOOD

if TYPE_CHECKING:
    from xpnet.doctor.scripts.observe import Observer

FEW_STEPS = 500
POOR = 0.5  # share of the variance explained, from which more steps would only be better
BAD = 0.1  # the same, up to which nothing was learnt
FEW_UNITS = 4


def outcome(seen: "Observer", run: Run) -> Iterator[Finding]:
    """Yield what is left to say of a network that learns too little, if no cause was found."""
    mapping, skill, curve = seen.latest, run.last.skill, seen.curve()
    if mapping is None or not skill < GOOD or len(curve) < 4 or not np.isfinite(curve).all():
        return
    widths = [each.shape[1] for each in run.first.activations if each is not None]
    said = f"after {run.steps} steps {max(skill, 0.0):.0%} of the targets' variance is explained"
    if curve[-1] < 0.99 * curve[-2] and skill < POOR and run.steps < FEW_STEPS:
        yield Finding(
            "too-few-steps", "error", "training", f"{said}, and the loss still falls "
            f"({curve[-2]:.4g} half way, {curve[-1]:.4g} at the end)", "It stops too early.",
            "take ten times as many steps, or longer ones", RECIPE, {"steps_factor": 10.0},
        )  # fmt: skip
    elif skill < POOR and run.travelled() < FAR:
        yield Finding(
            "learning-rate-too-small", "error", "learning_rate", f"{said}; all steps together "
            f"moved the weights by {run.travelled():.2g} of their size",
            "So short steps need far more of them.", "multiply the learning rate by 10", RECIPE,
            run.rate_times(10.0),
        )  # fmt: skip
    elif mapping.layers and len(mapping.layers) == 1 and skill < BAD:
        yield Finding(
            "too-small", "error", "the network", f"{said}, and there is no hidden layer",
            "Without one, outputs change along one straight line only.",
            "add a hidden layer, with an activation", f"{GOODFELLOW}, 6.1",
        )  # fmt: skip
    elif widths and min(widths) <= FEW_UNITS:
        yield Finding(
            "too-small", "error", "the network", f"{said}, the loss has stopped falling, and a "
            f"hidden layer has {min(widths)} units", "Each unit can draw one boundary.",
            "give the hidden layers more units", f"{GOODFELLOW}, 6.4.1",
        )  # fmt: skip
