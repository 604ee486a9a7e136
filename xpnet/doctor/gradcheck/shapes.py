"""What is wrong with a gradient before its values: its shape, NaN, or nothing to compare with."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from xpnet.doctor.findings import Finding
from xpnet.doctor.gradcheck.slopes import Comparison

CS231N = "CS231n notes, Gradient checks"
WEIGHTS = re.compile(r"^(w|syn|theta|coef|kernel)|weight", re.IGNORECASE)


def error_finding(
    code: str, where: str, evidence: str, why: str, remedy: str,
    repair: dict[str, Any] | None = None,
) -> Finding:  # fmt: skip
    """Return an error, with its source."""
    source = CS231N + ("; scikit-learn issue 8349" if code == "gradient-scale" else "")
    return Finding(code, "error", where, evidence, why, remedy, source, repair)


def shape_mistake(name: str, gradient: Any, shape: tuple[int, ...]) -> tuple[Any, list[Finding]]:
    """Return the gradient brought to the parameter's shape (None: impossible), and why."""
    if gradient.shape == shape or gradient.size == 1 == np.prod(shape):
        return gradient.reshape(shape), []
    found = f"gradient {gradient.shape}, parameter {shape}"
    axis, size = _sample_axis(gradient.shape, shape), int(np.prod(shape))
    few = sum(each != 1 for each in shape) <= 1
    # A column of weights gets such a gradient, too, where targets (m,) met outputs (m, 1).
    if axis is not None and not (axis and few and size > 1 and WEIGHTS.search(name)):
        return gradient.sum(axis=axis).reshape(shape), [error_finding(
            "bias-per-sample" if few else "gradient-shape", name,
            f"{found}: one gradient for each of {gradient.shape[axis]} samples",
            "Every sample gets its own parameter, which can store its label: the loss can fall "
            "while nothing is learnt that applies to other samples. The gradient of a shared "
            "parameter is the sum over the batch.",
            summed(name, axis, keep=gradient.ndim == len(shape) > 1 and shape[axis] == 1),
            {"sum_over_batch": [name]},
        )]  # fmt: skip
    mended, code, fix = None, "gradient-shape", f"return an array of shape {shape}"
    if gradient.T.shape == shape:
        mended, code, fix = gradient.T, "gradient-transposed", "inputs.T @ delta, not its transpose"
    elif gradient.size == size:
        mended, fix = gradient.reshape(shape), f"reshape it to {shape}"
    elif gradient.size < size:
        fix += "; do not sum the errors"
    elif axis is not None:
        fix += ": sum over the samples, and give the targets the outputs' shape"
    return mended, [error_finding(
        code, name, found,
        "A gradient has one number for each number of its parameter. NumPy broadcasts any other "
        "shape, which changes the parameter's shape or moves all its entries alike.",
        fix, {"shape": [name]},
    )]  # fmt: skip


def _sample_axis(given: tuple[int, ...], shape: tuple[int, ...]) -> int | None:
    """Return the axis along which a gradient has one entry for each sample; None if there is none.

    Samples are rows, or columns as in Andrew Ng's courses, where biases are (units, 1).
    """
    wanted, last = [size for size in shape if size != 1], len(given) - 1
    axes = [
        axis
        for axis in sorted({0, last})
        if last >= 0
        and given[axis] > 1
        and [size for size in given[:axis] + given[axis + 1 :] if size != 1] == wanted
    ]
    if len(axes) > 1:  # as many samples as units: the parameter's own shape tells the layout
        return last if shape[-1] == 1 else 0
    return axes[0] if axes else None


def summed(name: str, axis: int, *, keep: bool) -> str:
    """Return the remedy for a gradient that is not summed over the samples along an axis."""
    return f"gradient_of_{_word(name)} = delta.sum(axis={axis}{', keepdims=True' * keep})"


def told_together(findings: Sequence[Finding]) -> list[Finding]:
    """Merge findings that differ only in where they are and what was seen there."""
    alike: dict[tuple[str, str, str], list[Finding]] = {}
    for each in findings:
        alike.setdefault((each.code, each.severity, each.explanation), []).append(each)
    return [_joined(group) for group in alike.values()]


def _joined(group: Sequence[Finding]) -> Finding:
    repair: dict[str, Any] = {}
    for each in group:
        for setting, names in (each.repair or {}).items():
            repair[setting] = [*repair.get(setting, ()), *names]
    return replace(
        group[0],
        where=", ".join(each.where for each in group),
        evidence="; ".join(each.evidence for each in group),
        remedy="\n".join(dict.fromkeys(each.remedy for each in group)),
        repair=repair,
    )


def not_finite(given: Mapping[str, Any]) -> list[Finding]:
    """Return one finding for all NaN and infinite entries of gradients, if there are any."""
    bad = {name: int(np.sum(~np.isfinite(each))) for name, each in given.items()}
    bad = {name: count for name, count in bad.items() if count}
    counts = ", ".join(
        f"{count} of {given[name].size} entries of {name}" for name, count in bad.items()
    )
    return [error_finding(
        "non-finite", ", ".join(bad), f"{counts} are NaN or infinite",
        "One step with such a gradient makes its parameter NaN, and the next step all the others. "
        "A formula is undefined here, such as log(0), 0 / 0 or exp of a large number.",
        "compute softmax or sigmoid with cross-entropy from the pre-activations: delta = outputs - "
        "targets",
    )] if bad else []  # fmt: skip


def loss_not_finite(value: float) -> Finding:
    """Return the finding for a loss that is not a number where the gradient is to be checked."""
    return error_finding(
        "non-finite", "loss", f"loss(parameters) is {value} at these parameters",
        "Where the loss is not a number, it has no slope to check a gradient against.",
        "check for log(0), 0 / 0 and overflow in the loss, and for NaN in data and parameters",
    )  # fmt: skip


def not_checked(comparisons: Sequence[Comparison]) -> list[Finding]:
    """Return one warning for what the check cannot speak of, if there is anything."""
    if any(each.flat for each in comparisons):
        return [Finding(
            "not-checked", "warning", ", ".join(each.name for each in comparisons),
            "every slope of the loss and every gradient is exactly 0",
            "Zeros agree with anything. Dead or saturated units, a minimum, and a factor that is 0 "
            "(such as 1 // m), hide every mistake.",
            "check at small random parameters, and look for a factor that is 0", CS231N,
        )]  # fmt: skip
    left = [each for each in comparisons if not each.checked]
    return [Finding(
        "not-checked", "warning", ", ".join(each.name for each in left),
        f"all {sum(each.kinks for each in left)} slopes tried are left out, at these parameters "
        "and beside them",
        "The loss has no slope to compare with where it jumps, has a kink (a ReLU at exactly 0) or "
        "is not a number.",
        "check at other parameters, such as small random ones", CS231N,
    )] if left else []  # fmt: skip


def _word(name: str) -> str:
    return re.sub(r"\W+", "_", name).strip("_")
