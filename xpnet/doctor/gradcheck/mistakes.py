"""The ways in which gradients go wrong, each tried against the measured slopes."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from xpnet.doctor.findings import Finding
from xpnet.doctor.gradcheck.shapes import error_finding
from xpnet.doctor.gradcheck.slopes import Comparison

VAGUE = ("gradient-wrong", "gradient-activation-derivative")
MULTIPLE = ("gradient-scale", "gradient-sign")
BIAS = re.compile(r"bias|intercept|(?<![a-z])b[a-z]?(?![a-z])", re.IGNORECASE)
Layers = Mapping[int, Sequence[Comparison]]


def value_mistakes(comparisons: Sequence[Comparison], hints: Mapping[str, Any]) -> list[Finding]:
    """Name what is wrong with every wrong gradient; those with the same mistake are merged.

    Codes may carry a variant of their text (``"gradient-wrong/bias"``), which is not shown.
    """
    named = {each.name: _kind(each, hints) for each in comparisons if each.wrong}
    layers = layers_of(comparisons)
    for layer in layers.values():
        named |= _beside_a_right_one(layer, named, hints)
    named |= _from_one_layer(layers, named)
    alone = not any(each.shown_right for each in comparisons)  # so that the loss may be wrong
    wrong = [each for each in comparisons if _code(named, each) in VAGUE]
    along = any(_code(named, each) == "gradient-scale" for each in comparisons)
    against = alone and not along
    uphill = against and _point_against(wrong)
    if uphill:
        named |= {each.name: ("gradient-wrong", 0.0) for each in wrong}
    groups: dict[tuple[str, float], list[Comparison]] = {}
    for each in comparisons:
        if each.name in named:
            code, number = named[each.name]
            groups.setdefault((code, round(number, 6)), []).append(each)
    if uphill:
        groups = {("gradient-sign/roughly", -1.0): wrong, **groups}
    fits = any(_code(named, each) in MULTIPLE for each in comparisons)
    hints = {**hints, "against": against, "no_fit": alone and not fits and not uphill}
    return [_describe(code, number, group, hints) for (code, number), group in groups.items()]


def _code(named: Mapping[str, tuple[str, float]], each: Comparison) -> str:
    return named.get(each.name, ("", 0.0))[0].partition("/")[0]


def _point_against(wrong: Sequence[Comparison]) -> bool:
    """Tell whether gradients point uphill; one or two slopes may do so by chance."""
    slopes = sum(int(each.informative.sum()) for each in wrong)
    return slopes > 2 and all(each.cosine < -0.3 for each in wrong)


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


def layers_of(comparisons: Sequence[Comparison]) -> dict[int, list[Comparison]]:
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


def _weights_and_bias(layer: Sequence[Comparison]) -> tuple[Comparison, Comparison] | None:
    """Return the two if the layer has nothing else; both of their gradients come from one delta."""
    pair = sorted(layer, key=lambda each: bool(BIAS.search(each.name)))
    if len(pair) != 2 or [bool(BIAS.search(each.name)) for each in pair] != [False, True]:
        return None
    units = int(np.prod(pair[1].shape))
    fits = max(pair[1].shape, default=1) == units and units in (*pair[0].shape, 1)
    return (pair[0], pair[1]) if fits else None


def _clean(each: Comparison, named: Mapping[str, tuple[str, float]]) -> bool:
    """Tell whether a gradient is right but for a factor; one slope may have it by chance.

    To within `rtol`: where sigmoids are almost linear, a wrong delta is almost a multiple, too.
    """
    code, factor = named.get(each.name, ("", 0.0))
    alike = [abs(number - factor) < 1e-5 * abs(factor) for c, number in named.values() if c == code]
    several = each.informative.sum() > 1 or sum(alike) > 1
    return code in MULTIPLE and several and each.matches(each.given, factor * each.measured)


def _beside_a_right_one(
    layer: Sequence[Comparison], named: Mapping[str, tuple[str, float]], hints: Mapping[str, Any]
) -> dict[str, tuple[str, float]]:
    """Say more of a wrong gradient if the other one of its layer shows that delta is right."""
    pair = _weights_and_bias(layer)
    for wrong, other in (pair, pair[::-1]) if pair else ():
        multiple = _clean(other, named)
        if _code(named, wrong) != "gradient-wrong" or not (multiple or other.shown_right):
            continue
        factor = named[other.name][1] if multiple else 1.0
        scaled = replace(wrong, given=wrong.given / factor, transposed=wrong.transposed / factor)
        code, number = _kind(scaled, hints)
        if pair and wrong is pair[0] and code in ("gradient-transposed", "gradient-regularisation"):
            return {wrong.name: (code, factor * number)}
        if scaled.error < 0.01:  # too near to right to be made of other arrays
            return {}
        if pair and wrong is pair[1]:
            return {wrong.name: ("gradient-wrong/bias", 0.0)}
        return {wrong.name: ("gradient-activations", 0.0)}
    return {}


def _spoilt(each: Comparison, named: Mapping[str, tuple[str, float]]) -> bool:
    """Tell whether a wrong delta explains a gradient."""
    code = named.get(each.name, ("", 0.0))[0]
    return code == "gradient-wrong" or (code in MULTIPLE and not _clean(each, named))


def _from_one_layer(
    layers: Layers, named: Mapping[str, tuple[str, float]]
) -> dict[str, tuple[str, float]]:
    """Blame the delta of one layer if it and all before it are wrong, and none after it is.

    A gradient that is right but for a factor acquits the deltas of its layer and of all after it.
    """
    if not named or len(layers) < 2:
        return {}
    top = max(layer for layer, group in layers.items() if any(e.name in named for e in group))
    below = [each for layer, group in layers.items() if layer <= top for each in group]
    judged = [each for each in below if each.name in named or each.shown_right]
    if len(judged) < 2 or not all(_spoilt(each, named) for each in judged):
        return {}
    code = "gradient-activation-derivative" + "/last" * (top == max(layers))
    return {each.name: (code, 0.0) for each in judged}


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
    evidence, why, remedy = TEXTS[code]
    code, _, variant = code.partition("/")
    roughly = variant == "roughly"
    reading = _reading(number, hints) if code in MULTIPLE else ""
    reading = reading or (
        "a whole number: the batch size or the number of outputs?"
        if abs(number) > 2.5 and abs(number - round(number)) < 1e-3
        else "no usual factor"
    )
    error, cosine = _size_of_error(group)
    fill = {"factor": number, "reading": reading, "error": error, "where": where, "cosine": cosine,
            "direction": f", {cosine}" if cosine else ""}  # fmt: skip
    lines = [remedy.format(**fill)]
    if hints["against"] and code == "gradient-sign":
        lines = _remedies_of_sign(number, roughly) + _remedies_of_loss(roughly, hints["loss"])
    if hints["no_fit"] and code in VAGUE:
        lines += _remedies_of_loss(True, hints["loss"])
    repair = {"gradient": code.removeprefix("gradient-"), "where": names, "number": number}
    return error_finding(code, where, evidence.format(**fill), why, "\n".join(lines), repair)


def _size_of_error(group: Sequence[Comparison]) -> tuple[str, str]:
    """Say how wrong gradients are, and their direction; beside slopes of 0, no ratio says much."""
    clear = [each for each in group if np.any(each.informative)]
    if not clear:
        largest = max(float(np.max(np.abs(each.given))) for each in group)
        return f"up to {largest:.3g} in size, where the slope of the loss is 0", ""
    cosines = [each.cosine for each in clear if each.informative.sum() > 1]
    cosines = cosines or [each.cosine for each in clear]
    cosine = max(cosines) if max(cosines) < 0.0 else min(cosines)
    return f"relative error {max(each.error for each in clear):.2g}", f"cosine {cosine:.2f}"


def _remedies_of_sign(factor: float, roughly: bool) -> list[str]:
    """Say both of what all gradients against the slope can mean: only the update shows which."""
    exact = not roughly and abs(factor + 1.0) < 1e-3
    right = "the code is right" if exact else "its sign is right"
    return [
        "if the update subtracts it (W -= rate * gradient): delta = outputs - targets",
        f"if the update adds it (W += rate * gradient): {right}; hand -gradient to this check",
    ]


def _remedies_of_loss(no_fit: bool, loss: float) -> list[str]:
    """Say what may be wrong with the loss where no gradient agrees with it."""
    if loss < 0.0:
        return [f"or the loss, {loss:.3g} here, lacks a minus: cross-entropy cannot be negative"]
    return ["or mend the loss, such as a sign in it: no gradient fits it"] * no_fit


SIGN = (
    "Gradient descent subtracts the gradient; subtracting this one, every step climbs. The usual "
    "cause is (targets - outputs) where (outputs - targets) is meant."
)

# code, with the variant of its text: (evidence, explanation, remedy)
TEXTS = {
    "gradient-sign": (
        "it points against the slope of the loss ({cosine}, factor {factor:.4g})",
        SIGN,
        "flip the sign of the gradient of {where} alone",
    ),
    "gradient-sign/roughly": (
        "it points against the slope of the loss ({cosine}), but is no multiple of it",
        SIGN,
        "",
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
        "{error} in this layer and all before it; the layers after it are right",
        "The error enters where this layer's delta is made, and spreads to every layer before it. "
        "The derivative of its activation is missing or wrong, or weights_next is left out or not "
        "transposed.",
        "delta = (delta_next @ weights_next.T) * derivative(pre_activations)"
        "   # sigmoid: a * (1 - a); tanh: 1 - a**2; relu: z > 0",
    ),
    "gradient-activation-derivative/last": (
        "{error} in the last layer and all before it",
        "The error enters where the output's delta is made, and spreads to every layer before it. "
        "The derivative of the loss or of the output's activation is missing, wrong or there "
        "twice.",
        "delta = outputs - targets   # sigmoid or softmax with cross-entropy; with squared error, "
        "times the derivative",
    ),
    "gradient-activations": (
        "{error}; the bias of the same layer shows that delta is right",
        "Weights and bias take the same delta, so what is wrong is what the weights' product "
        "multiplies it with: activations of another layer, or ones changed since the forward pass, "
        "such as by a derivative that writes into its argument.",
        "gradient = inputs.T @ delta   # what the layer was given; columns: delta @ inputs.T",
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
        "{error}{direction}; no usual mistake explains it all",
        "This is not the gradient of this loss, and no change of sign, scale or shape makes it so.",
        "derive the gradient of {where} again from the loss, and check layer by layer",
    ),
    "gradient-wrong/bias": (
        "{error}; the weights of the same layer show that delta is right",
        "Weights and bias take the same delta: the bias's gradient is its sum over the samples, "
        "and nothing else.",
        "gradient_of_bias = delta.sum(axis=0)   # axis=1 if samples are columns",
    ),
}
