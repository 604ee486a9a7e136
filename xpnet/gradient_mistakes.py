"""The ways in which gradients go wrong, each tried against the measured slopes."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from xpnet.findings import Finding

VAGUE = ("gradient-wrong", "gradient-activation-derivative")
CS231N = "CS231n notes, Gradient checks"


@dataclass(frozen=True)
class Comparison:
    """Given and measured slopes of one parameter, along the same directions.

    Attributes
    ----------
    given, measured, noise : ndarray, (k,)
        Slopes by the gradient, slopes of the loss, and their uncertainty.
    transposed, penalty : ndarray, (k,)
        Slopes of the transposed gradient, and of half the squared norm (the parameter itself).
    """

    name: str
    given: Any
    measured: Any
    noise: Any
    transposed: Any
    penalty: Any
    rtol: float
    kinks: int

    @classmethod
    def of(
        cls,
        name: str,
        values: Any,
        gradient: Any,
        directions: Sequence[Any],
        slopes: Sequence[tuple[float, float] | None],
        rtol: float,
    ) -> "Comparison":
        """Project a gradient of the parameter's shape (None: unusable) on the directions."""
        kept = [(d, s) for d, s in zip(directions, slopes, strict=True) if s is not None]
        square = gradient is not None and gradient.ndim == 2 and len(set(gradient.shape)) == 1

        def project(array: Any) -> Any:
            if array is None:
                return np.full(len(kept), np.nan)
            return np.array([np.sum(array * d) for d, _ in kept])

        measured, noise = (np.array([s[i] for _, s in kept]) for i in (0, 1))
        turned = project(gradient.T if square else None)
        kinks = len(slopes) - len(kept)
        return cls(
            name, project(gradient), measured, noise, turned, project(values), rtol, kinks
        )  # fmt: skip

    def matches(self, slopes: Any, target: Any = None, rtol: float | None = None) -> bool:
        """Tell whether slopes agree with the measured ones within tolerance and noise."""
        target = self.measured if target is None else target
        scale = np.maximum(np.abs(slopes), np.abs(target))
        # An entry that is tiny beside the largest has lost digits to cancellation.
        limit = (rtol or self.rtol) * (scale + 0.01 * np.max(scale, initial=0.0))
        return bool(np.all(np.abs(slopes - target) <= limit + 2.0 * self.noise))

    @property
    def ok(self) -> bool:
        """Whether the gradient is right (or could not be used, which is a finding of its own)."""
        return bool(np.all(np.isnan(self.given))) or self.matches(self.given)

    @property
    def informative(self) -> Any:
        """Which slopes stand clear of rounding: only these can show a factor."""
        clear = np.abs(self.measured) > 100.0 * self.noise
        return clear & (np.abs(self.measured) > 1e-6 * np.max(np.abs(self.measured), initial=0.0))

    @property
    def error(self) -> float:
        """Largest difference, relative to the largest slope."""
        largest = max(
            np.max(np.abs(self.given), initial=0.0), np.max(np.abs(self.measured), initial=0.0)
        )
        gap = np.max(np.abs(self.given - self.measured), initial=0.0)
        return float(gap / largest) if largest else 0.0

    @property
    def cosine(self) -> float:
        """Direction of the gradient against that of the slopes, from -1 to 1."""
        norms = np.linalg.norm(self.given) * np.linalg.norm(self.measured)
        return float(np.dot(self.given, self.measured) / norms) if norms else 0.0

    def __str__(self) -> str:
        if self.given.size and np.all(np.isnan(self.given)):
            return "wrong: its shape or its values cannot be used"
        kinks = f", {self.kinks} at kinks left out" if self.kinks else ""
        state = "right" if self.ok else "wrong"
        slopes = f"{self.given.size} slope" + "s" * (self.given.size != 1)
        return f"{state}: relative error {self.error:.1e} over {slopes}{kinks}"


def _finding(
    code: str, where: str, evidence: str, why: str, remedy: str,
    repair: dict[str, Any] | None = None,
) -> Finding:  # fmt: skip
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
        return gradient.sum(axis=0).reshape(shape), [_finding(
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
    return mended, [_finding(
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
    return [_finding(
        "non-finite", ", ".join(bad), f"{counts} are NaN or infinite",
        "One step with such a gradient makes its parameter NaN, and the next step all the others. "
        "A formula is undefined here, such as log(0), 0 / 0 or exp of a large number.",
        "compute softmax or sigmoid with cross-entropy from the pre-activations: delta = outputs - "
        "targets",
    )] if bad else []  # fmt: skip


def loss_not_finite(value: float) -> Finding:
    """Return the finding for a loss that is not a number where the gradient is to be checked."""
    return _finding(
        "non-finite", "loss", f"loss(parameters) is {value} at these parameters",
        "Where the loss is not a number, it has no slope to check a gradient against.",
        "check for log(0), 0 / 0 and overflow in the loss, and for NaN in data and parameters",
    )  # fmt: skip


def _word(name: str) -> str:
    return re.sub(r"\W+", "_", name).strip("_")


def value_mistakes(comparisons: Sequence[Comparison], hints: Mapping[str, Any]) -> list[Finding]:
    """Name what is wrong with every wrong gradient; those with the same mistake are merged."""
    named = {each.name: _kind(each, hints) for each in comparisons if not each.ok}
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
    return _finding(code, where, evidence.format(**fill), why, remedy.format(**fill), repair)


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
