"""Pictures of what the doctor saw, one kind for each kind of finding."""

from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from xpnet.doctor.run import Run
from xpnet.report.figures import Drawing, bars, histograms, lines
from xpnet.report.plots import numbered

MAX_SERIES = 9  # in a picture: layers, or columns


class Picture(NamedTuple):
    """What to draw for findings with some codes, or patterns; `seen` returns the data by name."""

    codes: str
    title: str
    told: str
    seen: Callable[[Run], dict[str, Any]]
    paint: Callable[..., Drawing]
    label: str | tuple[str, str]


def pictures(codes: Sequence[str], run: Run) -> Iterator[Drawing | None]:
    """Draw a picture for each finding; None if there is none, or it was drawn before."""
    left = [*PICTURES]
    for code in codes:
        fitting = (each for each in left if any(fnmatchcase(code, c) for c in each.codes.split()))
        picture = next(fitting, None)
        seen = picture.seen(run) if picture else {}
        series = [(name, values) for name, values in seen.items() if len(values)]
        if picture and series:
            left.remove(picture)
            shown = dict(series[:MAX_SERIES])
            yield picture.paint(picture.title, picture.told, shown, picture.label)
        else:
            yield None


def _units(run: Run) -> dict[str, Any]:
    steps = {"start": run.first, "end": run.last}
    layers = {when: enumerate(step.activations, 1) for when, step in steps.items()}
    return {f"layer {n}, {when}": each for when, named in layers.items() for n, each in named}


def _gradients(run: Run) -> dict[str, Any]:
    gradients = {name: run.first.gradients.get(name) for name in run.first.weights}
    return {n: (np.sqrt(np.mean(g**2)), 0.0) for n, g in gradients.items() if g is not None}


def _inputs(run: Run) -> dict[str, Any]:
    seen = {"": run.data.inputs, " at prediction": run.served.inputs}
    return {
        f"{run.feature(at)}{when}": (np.mean(x[:, at]), np.std(x[:, at]))
        for at in range(run.width) for when, x in seen.items() if x is not None
    }  # fmt: skip


def _outputs(run: Run) -> dict[str, Any]:
    goals = run.last.goals
    return {} if goals is None else {"predictions": run.last.predictions, "targets": goals}


def _losses(run: Run) -> dict[str, Any]:
    return numbered({"training": run.losses, "validation": run.validation_losses})


PICTURES = (
    Picture("*weights* symmetric-units wrong-init-scale", "Initial weights",
            "Those of each layer.", lambda run: run.first.weights, histograms, "weight"),
    Picture("dead-units saturated-units linear-hidden-layer", "Activations",
            "What the hidden units give for the rows looked at.", _units, histograms, "activation"),
    Picture("vanishing-gradient gradient-zero gradient-activation-derivative", "Gradients",
            "Root mean square by layer, at the first step.",
            _gradients, partial(bars, log=True), "rms gradient"),
    Picture("*input* prediction-drift constant-feature", "Inputs",
            "Mean and standard deviation, as the network gets them.", _inputs, bars, "input"),
    Picture("*target* *constant* class-* *output* initial-loss softmax-axis", "Predictions",
            "What the network gives at the end, and should.", _outputs, histograms, "value"),
    Picture("loss-* gradient-* learning-rate-* *update* bias-* parameter-shape-changed non-finite "
            "diverged overfitting regularisation-dominates", "Loss, as the doctor saw it",
            "From the first time that it looked to the last.",
            _losses, lines, ("step looked at", "loss")),
)  # fmt: skip
