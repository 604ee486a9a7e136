"""The ways in which gradients go wrong, each tried against the measured slopes."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from xpnet.findings import Finding
from xpnet.gradient_shapes import error_finding
from xpnet.gradient_slopes import Comparison

VAGUE = ("gradient-wrong", "gradient-activation-derivative")


def value_mistakes(comparisons: Sequence[Comparison], hints: Mapping[str, Any]) -> list[Finding]:
    """Name what is wrong with every wrong gradient; those with the same mistake are merged."""
    named = {each.name: _kind(each, hints) for each in comparisons if each.wrong}
    for name in _from_one_layer(comparisons, named):
        named[name] = ("gradient-activation-derivative", 0.0)
    wrong = [each for each in comparisons if named.get(each.name, ("",))[0] in VAGUE]
    uphill = bool(wrong) and all(each.cosine < -0.3 for each in wrong)
    if uphill:
        named |= {each.name: ("gradient-wrong", 0.0) for each in wrong}
    groups: dict[tuple[str, float], list[Comparison]] = {}
    for each in comparisons:
        if each.name in named:
            code, number = named[each.name]
            groups.setdefault((code, round(number, 6)), []).append(each)
    findings = [_describe(code, number, group, hints) for (code, number), group in groups.items()]
    return [_describe("gradient-sign", -1.0, wrong, hints), *findings] if uphill else findings


def _kind(each: Comparison, hints: Mapping[str, Any]) -> tuple[str, float]:
    """Return the code of one wrong gradient, and the factor or multiple where there is one."""
    clear, largest = each.informative, np.max(np.abs(each.measured), initial=0.0)
    if np.all(np.abs(each.given) <= 1e-12 * largest) and np.any(clear):  # 0, or what rounding left
        return "gradient-zero", 0.0
    power = float(np.dot(each.measured, each.measured))
    factor = float(np.dot(each.given, each.measured)) / power if power else 0.0
    proportional = bool(np.any(clear)) and each.matches(each.given, factor * each.measured, 1e-4)
    # One slope is proportional to anything: then only a factor with a name counts.
    if proportional and (clear.sum() > 1 or _reading(factor, hints)):
        return ("gradient-sign" if factor < 0 else "gradient-scale"), factor
    if (
        np.any(each.given)
        and not np.any(np.isnan(each.transposed))
        and each.matches(each.transposed)
    ):
        return "gradient-transposed", 0.0
    squares = float(np.dot(each.penalty, each.penalty))
    extra = each.given - each.measured
    multiple = float(np.dot(extra, each.penalty)) / squares if squares else 0.0
    if each.given.size > 1 and each.matches(
        each.measured + multiple * each.penalty, each.given, 1e-4
    ):
        return "gradient-regularisation", multiple
    return "gradient-wrong", 0.0


def layer_of(name: str, position: int) -> int:
    """Read the layer from a name's number (``W2``, ``weights[1]``), or from its place in pairs."""
    numbers = re.findall(r"\d+", name)
    return int(numbers[-1]) if numbers else position // 2


def _from_one_layer(
    comparisons: Sequence[Comparison], named: Mapping[str, tuple[str, float]]
) -> list[str]:
    """Return all wrong names if one layer and all before it are wrong, and none after it is."""
    if not any(code == "gradient-wrong" for code, _ in named.values()):
        return []
    layers: dict[int, list[str]] = {}
    for position, each in enumerate(comparisons):
        layers.setdefault(layer_of(each.name, position), []).append(each.name)
    top = max(layer for layer, names in layers.items() if any(n in named for n in names))
    below = [name for layer, names in layers.items() if layer <= top for name in names]
    codes = [named[name][0] for name in below if name in named]
    plausible = {"gradient-wrong", "gradient-scale", "gradient-sign"}
    return below if len(codes) == len(below) > 1 and set(codes) <= plausible else []


def _reading(factor: float, hints: Mapping[str, Any]) -> str:
    """Return what a factor suggests, or nothing."""
    m, k = hints.get("batch_size"), hints.get("outputs")
    size = abs(factor)
    meanings = [
        (k, "the number of outputs: the loss is a mean over outputs, the gradient a sum"),
        (m, "the batch size: the loss is a mean over samples, the gradient a sum"),
        (m and 1 / m, "1 / batch size: averaged over samples once too often"),
        (k and 1 / k, "1 / number of outputs: averaged over outputs once too often"),
        (2.0, "2: the square's factor, which the loss's 1/2 cancels"),
        (0.5, "1/2: the square's factor 2 is missing"),
        (1.0, "1" if factor < 0 else ""),
    ]
    return next((s for v, s in meanings if v and abs(size / v - 1) < 1e-3 and s), "")


def _describe(
    code: str, number: float, group: Sequence[Comparison], hints: Mapping[str, Any]
) -> Finding:
    where = ", ".join(each.name for each in group)
    names = [each.name for each in group]
    reading = _reading(number, hints) if code in ("gradient-scale", "gradient-sign") else ""
    reading = reading or (
        "a whole number: the batch size or the number of outputs?"
        if abs(number) > 2.5 and abs(number - round(number)) < 1e-3
        else "no usual factor"
    )
    error = max(each.error for each in group)
    evidence, why, remedy = TEXTS[code]
    fill = {"factor": number, "reading": reading, "error": error, "where": where}
    fill |= {"cosine": min(each.cosine for each in group)}
    repair = {"gradient": code.removeprefix("gradient-"), "where": names, "number": number}
    return error_finding(code, where, evidence.format(**fill), why, remedy.format(**fill), repair)


# code: (evidence, explanation, remedy)
TEXTS = {
    "gradient-sign": (
        "it points against the slope of the loss (cosine {cosine:.2f}, factor {factor:.4g})",
        "Gradient descent subtracts the gradient; with the sign flipped, every step climbs. The "
        "usual cause is (targets - outputs) where (outputs - targets) is meant.",
        "delta = outputs - targets   # or change += to -= in the update, not both",
    ),
    "gradient-scale": (
        "gradient = {factor:.6g} x slope of the loss; {reading}",
        "The direction is right but the length is not, so the learning rate does not mean what it "
        "says and the balance between layers and penalties is off. Use the sum in both loss and "
        "gradient, or the mean in both.",
        "divide the gradient of {where} by {factor:.6g}",
    ),
    "gradient-transposed": (
        "the transposed gradient agrees with the slopes of the loss, but this one does not",
        "The matrix is square, so the wrong order raises no error. Each weight gets the change "
        "meant for its mirror image.",
        "gradient = inputs.T @ delta   # for weights of shape (inputs, units)",
    ),
    "gradient-activation-derivative": (
        "relative error {error:.2g} in this layer and all before it; the layers after it are right",
        "The error enters where this layer's delta is made, and spreads to every layer before it. "
        "The derivative of its activation (or of the loss, if it is the last) is missing or wrong.",
        "delta = (delta_next @ weights_next.T) * derivative(pre_activations)"
        "   # sigmoid: a * (1 - a); tanh: 1 - a**2; relu: z > 0",
    ),
    "gradient-regularisation": (
        "gradient - slope = {factor:.4g} x the parameter itself",
        "Loss and gradient disagree about a penalty on the weights. It is in one but not in the "
        "other, or its strength differs.",
        "add l2 * weights to the gradient and l2 / 2 * sum(weights**2) to the loss, or neither",
    ),
    "gradient-zero": (
        "the gradient is 0 everywhere it was checked, but the slope of the loss is not",
        "This parameter is never updated. Its gradient is not computed, or is cut off.",
        "compute the gradient of {where}",
    ),
    "gradient-wrong": (
        "relative error {error:.2g}, cosine {cosine:.2f}; no usual mistake explains it all",
        "This is not the gradient of this loss, and no change of sign, scale or shape makes it so.",
        "derive the gradient of {where} again from the loss, and check layer by layer",
    ),
}
