"""What the doctor saw, drawn: one kind of picture for each kind of finding."""

from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

from xpnet.doctor.run import Run
from xpnet.report.figures import Drawing, bars, histograms, lines

MAX_SERIES = 9  # in a picture: layers, or columns


def pictures(codes: Sequence[str], run: Run) -> Iterator[Drawing | None]:
    """Draw for each finding what shows it; None where nothing does, or what did stands above."""
    drawn = set[Any]()
    for code in codes:
        kinds = [kind for kind, names in SHOWN_BY.items() for n in names if fnmatchcase(code, n)]
        new = [kind for kind in kinds[:1] if kind not in drawn]
        drawn.update(new)
        yield new[0](run) if new else None


def _weights(run: Run) -> Drawing | None:
    told = "Weights of each layer before the first step."
    return histograms("Initial weights", told, _first(run.first.weights), "weight")


def _units(run: Run) -> Drawing | None:
    steps = {"start": run.first, "end": run.last}
    layers = {
        f"layer {number}, {when}": values
        for when, step in steps.items()
        for number, values in enumerate(step.activations, 1)
    }
    told = "What the hidden units give for all rows looked at."
    return histograms("Activations", told, _first(layers), "activation")


def _gradients(run: Run) -> Drawing | None:
    sizes = {name: (float(np.sqrt(np.mean(run.first.gradients[name] ** 2))), 0.0)
             for name in run.first.weights if name in run.first.gradients}  # fmt: skip
    told = "Root mean square of each layer's gradient at the first step."
    return bars("Gradients", told, _first(sizes), "rms gradient", log=True)


def _inputs(run: Run) -> Drawing | None:
    seen = {"": run.data.inputs, " at prediction": run.served.inputs}
    shown = {
        f"{run.feature(at)}{when}": (float(np.mean(x[:, at])), float(np.std(x[:, at])))
        for at in range(min(run.width, MAX_SERIES))
        for when, x in seen.items()
        if x is not None
    }
    told = "Mean and standard deviation of each feature, as the network gets it."
    return bars("Inputs", told, shown, "input")


def _outputs(run: Run) -> Drawing | None:
    outputs, goals = run.last.predictions, run.last.goals
    if goals is None:
        return None
    told = "What the network gives at the end, and what it should give."
    named = {"predictions": outputs, "targets": goals}
    return histograms("Predictions", told, named, "value")


def _losses(run: Run) -> Drawing | None:
    if not run.losses:
        return None
    named = {"training": run.losses, "validation": run.validation_losses}
    told = f"From {run.losses[0]:.4g} to {run.losses[-1]:.4g}."
    return lines("Loss, as the doctor saw it", told, named, ("step looked at", "loss"))


def _first(named: dict[str, Any]) -> dict[str, Any]:
    return dict(list(named.items())[:MAX_SERIES])


SHOWN_BY: dict[Callable[[Run], Drawing | None], Sequence[str]] = {
    _weights: ("*weights*", "symmetric-units", "wrong-init-scale"),
    _units: ("dead-units", "saturated-units", "linear-hidden-layer"),
    _gradients: ("vanishing-gradient", "gradient-zero", "gradient-activation-derivative"),
    _inputs: ("*input*", "prediction-drift", "constant-feature"),
    _outputs: ("*target*", "*constant*", "class-*", "*output*", "initial-loss", "softmax-axis"),
    _losses: ("loss-*", "gradient-*", "learning-rate-*", "*update*", "non-finite", "diverged",
              "overfitting", "regularisation-dominates", "parameter-shape-changed", "bias-*"),
}  # fmt: skip
