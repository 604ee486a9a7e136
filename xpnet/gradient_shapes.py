"""What is wrong with a gradient before its values: its shape, NaN, or nothing to compare with."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from xpnet.findings import Finding
from xpnet.gradient_slopes import Comparison

CS231N = "CS231n notes, Gradient checks"


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
    row = tuple(size for size in shape if size != 1)
    summed = tuple(size for size in gradient.shape[1:] if size != 1)
    if gradient.ndim and gradient.shape[0] > 1 and summed == row and gradient.size > np.prod(shape):
        return gradient.sum(axis=0).reshape(shape), [error_finding(
            "bias-per-sample" if len(row) <= 1 else "gradient-shape", name,
            f"{found}: one gradient for each of {gradient.shape[0]} samples",
            "Every sample gets its own parameter, which can store its label: the loss can fall "
            "while nothing is learnt that applies to other samples. The gradient of a shared "
            "parameter is the sum over the batch.",
            f"gradient_of_{_word(name)} = delta.sum(axis=0)", {"sum_over_batch": [name]},
        )]  # fmt: skip
    mended = None
    if gradient.T.shape == shape:
        mended, code, fix = gradient.T, "gradient-transposed", "inputs.T @ delta, not its transpose"
    elif gradient.size == np.prod(shape):
        mended, code, fix = gradient.reshape(shape), "gradient-shape", f"reshape it to {shape}"
    else:
        code, fix = "gradient-shape", f"return an array of shape {shape}; do not sum the errors"
    return mended, [error_finding(
        code, name, found,
        "A gradient has one number for each number of its parameter. NumPy broadcasts any other "
        "shape, which changes the parameter's shape or moves all its entries alike.",
        fix, {"shape": [name]},
    )]  # fmt: skip


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
            "Zeros agree with anything. Dead or saturated units, and a factor that is 0 (such as "
            "1 // m), hide every mistake.",
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
