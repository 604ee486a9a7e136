"""The ways in which gradients go wrong: in their shapes, and in their values.

Each usual mistake is tried against the measured slopes. Gradients that are wrong in the same way
are one finding. A wrong delta spoils all gradients of its layer and of those before it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from xpnet.doctor.findings import Finding
from xpnet.doctor.gradcheck.slopes import Comparison
from xpnet.doctor.rules import backward
from xpnet.doctor.step import BIAS, grouped

CS231N = "CS231n notes, Gradient checks"
MULTIPLE = {"gradient-scale", "gradient-sign"}
VAGUE = ("gradient-wrong", "gradient-activation-derivative")
WEIGHTS = re.compile(r"^(w|syn|theta|coef|kernel)|weight", re.IGNORECASE)


class Mistake(NamedTuple):
    """What is wrong with one gradient: a key of `TEXTS`, and the factor or multiple, if any."""

    text: str = ""
    number: float = 0.0


Mistakes = Mapping[str, Mistake]  # by the names of the parameters
Sizes = tuple[int | None, int]  # rows of the batch, if known, and outputs: perhaps a factor


def shape_mistake(
    name: str, gradient: Any, shape: tuple[int, ...]
) -> tuple[Any, tuple[Finding, ...]]:
    """Return the gradient in the parameter's shape, or None, and the mistake in its shape."""
    if gradient.shape == shape or gradient.size == 1 == np.prod(shape):
        return gradient.reshape(shape), ()
    found = f"gradient {gradient.shape}, parameter {shape}"
    axis, size = _sample_axis(gradient.shape, shape), int(np.prod(shape))
    code, repair, mended = "gradient-shape", {"shape": [name]}, None
    few = sum(each != 1 for each in shape) <= 1
    # A column of weights gets such a gradient, too, where targets (m,) met outputs (m, 1).
    if axis is not None and not (axis and few and size > 1 and WEIGHTS.search(name)):
        mended, repair = gradient.sum(axis=axis).reshape(shape), {"sum_over_batch": [name]}
        code = "bias-per-sample" if few else code
        found += f": one gradient for each of {gradient.shape[axis]} samples"
        keep = gradient.ndim == len(shape) > 1 and shape[axis] == 1
        fix = backward.summed(name, axis, keep=keep)
    elif gradient.T.shape == shape:
        mended, code, fix = gradient.T, "gradient-transposed", "inputs.T @ delta, not its transpose"
    elif gradient.size == size:
        mended, fix = gradient.reshape(shape), f"reshape it to {shape}"
    else:
        fix = f"return an array of shape {shape}"
        if gradient.size < size:
            fix += "; do not sum the errors"
        elif axis:
            fix += ": sum over the samples, and give the targets the outputs' shape"
    why = backward.bias_per_sample if "sum_over_batch" in repair else backward.gradient_shape
    return mended, (Finding(code, "error", name, found, why.why, fix, CS231N, repair),)


def _sample_axis(given: tuple[int, ...], shape: tuple[int, ...]) -> int | None:
    """Return the axis along which a gradient has one entry for each sample; None if there is none.

    Samples are rows, or columns as in Andrew Ng's courses, where biases are (units, 1).
    """

    def without_ones(sizes: tuple[int, ...]) -> list[int]:
        return [size for size in sizes if size != 1]

    ends = sorted({0, len(given) - 1}) if given else []
    axes = [axis for axis in ends if given[axis] > 1
            and without_ones(given[:axis] + given[axis + 1 :]) == without_ones(shape)]  # fmt: skip
    if len(axes) > 1:  # as many samples as units: the parameter's own shape tells the layout
        return axes[shape[-1] == 1]
    return axes[0] if axes else None


def merge_findings(findings: Sequence[Finding]) -> list[Finding]:
    """Merge findings that differ only in place and evidence."""
    groups = grouped(((each.code, each.explanation), each) for each in findings)
    return [
        replace(
            group[0],
            where=", ".join(each.where for each in group),
            evidence="; ".join(each.evidence for each in group),
            remedy="\n".join(dict.fromkeys(each.remedy for each in group)),
            repair={kind: [name for each in group for name in (each.repair or {}).get(kind, ())]
                    for one in group for kind in one.repair or {}},
        )
        for group in groups.values()
    ]  # fmt: skip


def value_mistakes(comparisons: Sequence[Comparison], loss: float, sizes: Sizes) -> list[Finding]:
    """Return one finding for each kind of mistake in the wrong gradients."""
    found = {each.name: _mistake(each, sizes) for each in comparisons if each.wrong}
    found |= _from_one_layer(_layers_of(comparisons), found)
    none_right = not any(each.shown_right for each in comparisons)  # so that the loss may be wrong
    vague = [each for each in comparisons if found.get(each.name, Mistake()).text.startswith(VAGUE)]
    slopes = sum(int(each.clear.sum()) for each in vague)  # one or two point uphill by chance
    if none_right and slopes > 2 and all(each.cosine < -0.3 for each in vague):
        found |= {each.name: Mistake("gradient-sign/roughly", -1.0) for each in vague}
    groups = grouped((found[each.name]._replace(number=round(found[each.name].number, 6)), each)
                     for each in comparisons if each.name in found)  # fmt: skip
    findings = []
    for (text, number), group in groups.items():
        code, where = text.partition("/")[0], [each.name for each in group]
        facts = _facts(number, group, sizes)
        evidence, why, remedy = (each.format(**facts) for each in TEXTS[text])
        if none_right and code == "gradient-sign":
            remedy = EITHER_SIGN
        if none_right and code in ("gradient-sign", *VAGUE):
            if loss < 0.0:
                remedy += OR_MINUS
            elif text != "gradient-sign":
                remedy += OR_LOSS
        findings.append(Finding(
            code, "error", ", ".join(where), evidence, why, remedy, CS231N,
            {"gradient": code.removeprefix("gradient-"), "where": where, "number": number},
        ))  # fmt: skip
    return findings


def _mistake(each: Comparison, sizes: Sizes) -> Mistake:
    clear, largest = each.clear, np.max(np.abs(each.measured), initial=0.0)
    if np.all(np.abs(each.given) <= 1e-12 * largest) and np.any(clear):  # 0, or what rounding left
        return Mistake("gradient-zero")
    factor = _multiple(each.given, each.measured)
    proportional = bool(np.any(clear)) and each.matches(each.given, factor * each.measured, 1e-4)
    # One slope is proportional to anything: then only a factor with a name counts.
    if proportional and (clear.sum() > 1 or _reading(factor, sizes)):
        return Mistake("gradient-sign" if factor < 0 else "gradient-scale", factor)
    turned = np.any(each.given) and not np.any(np.isnan(each.transposed))
    if turned and each.matches(each.transposed):
        return Mistake("gradient-transposed")
    multiple = _multiple(each.given - each.measured, each.penalty)
    penalized = each.measured + multiple * each.penalty
    if each.given.size > 1 and each.matches(penalized, each.given, 1e-4):
        return Mistake("gradient-regularisation", multiple)
    return Mistake("gradient-wrong")


def _multiple(slopes: Any, of: Any) -> float:
    """Return the factor by which one vector comes closest to another; 0 if it is 0."""
    squares = float(np.dot(of, of))
    return float(np.dot(slopes, of)) / squares if squares else 0.0


def _layers_of(comparisons: Sequence[Comparison]) -> dict[int, list[Comparison]]:
    """Sort parameters into layers by their names' numbers (``W2``, ``weights[1]``) or their order.

    Without numbers, the first bias belongs to the first weights and so on; where no name tells a
    bias, parameters are taken in pairs.
    """
    numbers = [re.findall(r"\d+", each.name) for each in comparisons]
    biases = [bool(BIAS.search(each.name)) for each in comparisons]
    layers: dict[int, list[Comparison]] = {}
    for i, each in enumerate(comparisons):
        order = biases[:i].count(biases[i]) if any(biases) else i // 2
        layers.setdefault(int(numbers[i][-1]) if all(numbers) else order, []).append(each)
    return layers


def _from_one_layer(
    layers: Mapping[int, Sequence[Comparison]], found: Mistakes
) -> dict[str, Mistake]:
    """Blame the delta of one layer if it and all before it are wrong, and none after it is."""
    if not found or len(layers) < 2:
        return {}
    top = max(layer for layer, group in layers.items() if any(e.name in found for e in group))
    below = [each for layer, group in layers.items() if layer <= top for each in group]
    judged = [each for each in below if each.name in found or each.shown_right]
    if len(judged) < 2 or not all(_explained_by_delta(each, found) for each in judged):
        return {}
    text = "gradient-activation-derivative" + ("/last" if top == max(layers) else "")
    return {each.name: Mistake(text) for each in judged}


def _explained_by_delta(each: Comparison, found: Mistakes) -> bool:
    """Return whether a wrong delta explains a gradient.

    A gradient that is right up to a factor shows that the deltas of its layer and all after it are
    right. A single slope may have a factor by chance, if no other gradient has the same; and where
    sigmoids are almost linear, a wrong delta is almost a multiple of the right one.
    """
    text, factor = found.get(each.name, Mistake())
    if text not in MULTIPLE:
        return text == "gradient-wrong"
    alike = [abs(other.number - factor) < 1e-5 * abs(factor)
             for other in found.values() if other.text == text]  # fmt: skip
    several = each.clear.sum() > 1 or sum(alike) > 1
    return not (several and each.matches(each.given, factor * each.measured))


def _reading(factor: float, sizes: Sizes) -> str:
    """Return what a factor suggests; empty if nothing."""
    m, k = sizes
    meanings = [
        (k, "the number of outputs: the loss is a mean over outputs, the gradient a sum"),
        (m, "the batch size: the loss is a mean over samples, the gradient a sum"),
        (m and 1 / m, "1 / batch size: averaged over samples once too often"),
        (k and 1 / k, "1 / number of outputs: averaged over outputs once too often"),
        (2.0, "2: the square's factor, which the loss's 1/2 cancels"),
        (0.5, "1/2: the square's factor 2 is missing"),
        (1.0, "1" if factor < 0 else ""),
    ]
    return next((s for v, s in meanings if v and abs(abs(factor) / v - 1) < 1e-3 and s), "")


def _facts(factor: float, group: Sequence[Comparison], sizes: Sizes) -> dict[str, Any]:
    """Return the values for the texts: how wrong gradients are, and in which direction."""
    where, reading = ", ".join(each.name for each in group), _reading(factor, sizes)
    clear = [each for each in group if np.any(each.clear)]
    cosine = min((each.cosine for each in clear), key=abs, default=0.0)
    largest = max(float(np.max(np.abs(each.given))) for each in group)
    error = f"up to {largest:.3g} in size, where the slope of the loss is 0"  # and no ratio helps
    if clear:
        error = f"relative error {max(each.error for each in clear):.2g}, cosine {cosine:.2f}"
    divide = f"divide the gradient of {where} by {factor:.6g}"
    if not reading:  # nobody means to divide by 1.46661
        reading = "neither the batch size nor the number of outputs"
        divide = f"find what multiplies the gradient of {where} but not the loss"
    return {"factor": factor, "reading": reading, "where": where, "error": error,
            "cosine": cosine, "divide": divide}  # fmt: skip


# Where only the update shows which of both is meant.
EITHER_SIGN = (
    "if the update subtracts it (W -= rate * gradient): delta = outputs - targets\n"
    "if the update adds it (W += rate * gradient): the code is right; hand -gradient to this check"
)
OR_LOSS = "\nor mend the loss, such as a sign in it: no gradient fits it"
OR_MINUS = "\nor the loss, which is negative, lacks a minus: cross-entropy cannot be negative"
# A code, perhaps with a variant of its text: (evidence, explanation, remedy).
TEXTS = {
    "gradient-sign": (
        "it points against the slope of the loss (cosine {cosine:.2f}, factor {factor:.4g})",
        backward.uphill.why,
        "flip the sign of the gradient of {where} alone",
    ),
    "gradient-sign/roughly": (
        "it points against the slope of the loss (cosine {cosine:.2f}), but is no multiple of it",
        backward.uphill.why,
        "",
    ),
    "gradient-scale": (
        "gradient = {factor:.6g} x slope of the loss; {reading}",
        "The direction is right, but the learning rate does not mean what it says. Use the sum in "
        "both loss and gradient, or the mean in both.",
        "{divide}",
    ),
    "gradient-transposed": (
        "the transposed gradient agrees with the slopes of the loss, but this one does not",
        "The matrix is square, so the wrong order raises no error.",
        "gradient = inputs.T @ delta   # for weights of shape (inputs, units)",
    ),
    "gradient-activation-derivative": (
        "{error} in this layer and all before it; the layers after it are right",
        f"{backward.wrong_gradient.why} The derivative of its activation is missing or wrong, or "
        "weights_next is left out or not transposed.",
        "delta = (delta_next @ weights_next.T) * derivative(pre_activations)"
        "   # sigmoid: a * (1 - a); tanh: 1 - a**2; relu: z > 0",
    ),
    "gradient-activation-derivative/last": (
        "{error} in the last layer and all before it",
        "The error enters where the output's delta is made, and spreads to every layer before it. "
        "This delta belongs to another pair of output and loss.",
        "delta = outputs - targets is for sigmoid with binary cross-entropy, softmax with "
        "categorical cross-entropy, and linear outputs with half the squared error; for any other "
        "pair: delta = d_loss / d_outputs * derivative",
    ),
    "gradient-regularisation": (
        "gradient - slope = {factor:.4g} x the parameter itself",
        "Loss and gradient disagree about a penalty on the weights.",
        "add l2 * weights to the gradient and l2 / 2 * sum(weights**2) to the loss, or neither",
    ),
    "gradient-zero": (
        "the gradient is 0 everywhere it was checked, but the slope of the loss is not",
        "This parameter is never updated. Its gradient is not computed, or is cut off.",
        "compute the gradient of {where}",
    ),
    "gradient-wrong": (
        "{error}; no usual mistake explains it all",
        "If the other gradient of its layer is right, so is delta.",
        "derive the gradient of {where} again from the loss: inputs.T @ delta, with what the layer "
        "was given, for weights; delta.sum(axis=0) for a bias",
    ),
}
