"""What is told of all findings: causes first, symptoms folded, each with the script's lines."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from xpnet.doctor.findings import SEVERITIES, Finding
from xpnet.doctor.rules.rule import GOODFELLOW, RECIPE
from xpnet.doctor.run import FAR, GOOD, Run
from xpnet.doctor.scripts.gradients.conclusions import MEASURED
from xpnet.doctor.scripts.mapping import Roles
from xpnet.doctor.scripts.observe import Observer
from xpnet.doctor.scripts.repairs.edits import Edit, mended_lines
from xpnet.doctor.scripts.repairs.fix import site_of
from xpnet.doctor.scripts.repairs.sizes import penalties

SEEN = "read from the script's operations"
MOST_LINES = 4  # of a remedy
# Faults of the code, then of what it is given, each in the order in which they must be mended.
FAULTS = (
    "shapes-do-not-fit", "data-changed", "shared-parameters", "integer-parameters",
    "exp-overflow", "weights-redrawn", "loss-broadcast", "target-shape", "gradient-shape",
    "update-order",
    "error-not-from-targets", "gradient-operand", "gradient-transposed",
    "gradient-activation-derivative", "gradient-product", "gradient-sign", "bias-per-sample",
    "parameter-shape-changed", "gradient-accumulated", "gradient-scale", "no-update",
    "update-wrong", "learning-rate-vanishes", "softmax-axis", "softmax-hidden",
    "output-activated-twice", "bias-after-activation", "gradient-wrong", "rows-left-out",
    "same-batch", "dropout-at-prediction", "class-numbers", "targets-shifted", "normalised-per-row",
    "shuffled-targets", "unshuffled-rows", "target-range", "constant-target", "prediction-drift",
    "prediction-wrong",
)  # fmt: skip
STARTS = {"symmetric-units", "all-positive-weights", "wrong-init-scale", "unscaled-inputs"}
SMALL_GRADIENTS = {"vanishing-gradient", "saturated-units", "dead-units", "gradient-zero"}
STATES = SMALL_GRADIENTS | {"initial-loss"}  # of a network, that may have a cause
LENGTH = {"too-few-steps", "learning-rate-too-small"}  # a cause, or all that small gradients allow
# Faults that make the outputs, or one parameter's step, no slope of any loss.
NO_SLOPE = {"softmax-axis", "output-activated-twice", "loss-broadcast", "update-order",
            "linear-hidden-layer", "gradient-accumulated"}  # fmt: skip
NO_SLOPE_OF_ITS_OWN = {"gradient-shape", "bias-per-sample"}
SYMPTOMS = {
    "no-better-than-constant", "constant-output", "loss-not-decreasing", "loss-rising", "diverged"
}  # fmt: skip
RISING = {"loss-rising", "diverged", "learning-rate-too-large"}
ONCE = {
    "gradient-sign", "learning-rate-too-large", "constant-target", "shuffled-targets",
    "gradient-accumulated", "learning-rate-too-small", "update-wrong", "weights-redrawn",
    "unshuffled-rows", "prediction-drift", "target-range",
}  # fmt: skip
FOLLOWS = {"constant-target": "rows-left-out", "prediction-drift": "rows-left-out",  # of a class
           "target-range": "integer-parameters",
           "learning-rate-too-small": "integer-parameters"}  # fmt: skip
HEURISTICS = {"gradient-product", "gradient-activation-derivative", "gradient-sign"}
FEW_STEPS = 500
POOR = 0.5  # share of the variance explained, from which more steps would only be better
BAD = 0.1  # the same, up to which nothing was learnt
FEW_UNITS = 4
PAIRS = "compare some rows of both as they enter the first step: which belong together?"
PLAIN = {  # remedies that the rules give in xpnet's terms
    "linear-hidden-layer": "hidden = np.tanh(inputs @ weights + biases)",
    "loss-rising": "a smaller learning rate",
    "loss-not-decreasing": "another learning rate, other initial weights, more units",
}


def told(
    findings: Iterable[Finding], run: Run, roles: Roles, *, measured: bool
) -> tuple[Finding, ...]:
    """Return what is to be told of the findings, in order; `measured`: gradients were."""
    findings = [*findings]
    measured = measured or any(each.code == "update-order" for each in findings)
    kept = [each for each in findings if _counts(each, run, measured=measured)]
    codes = {e.code for e in kept if e.code != "linear-hidden-layer" or "edits" in (e.repair or {})}
    spoilt = {each.where for each in kept if each.code in NO_SLOPE_OF_ITS_OWN}
    kept = [each for each in kept if not _refuted(each, codes, spoilt, roles)]
    causes = [e for e in kept if e.code not in STATES | SYMPTOMS | LENGTH]
    errors = {each.code for each in causes if each.severity == "error"}
    weaker = LENGTH if causes and not errors else {"no-bias"} if errors & STARTS else set[str]()
    kept = [replace(e, severity="warning") if e.code in weaker else e for e in kept]
    kept = sorted((_in_lines(each, roles) for each in kept), key=_rank)
    found = kept
    for symptoms, weak in ((STATES | SYMPTOMS, LENGTH), (SYMPTOMS, LENGTH), (SYMPTOMS, set[str]())):
        cause = [each for each in kept if each.code not in symptoms | {"non-finite"}]
        if any(each.severity == "error" and each.code not in weak for each in cause):
            small = {each.code for each in kept} & (SMALL_GRADIENTS | {"update-wrong"})
            found = [each for each in cause if not (small and each.code in LENGTH)]
            break
    first = {e.code: e for e in reversed(found) if FOLLOWS.get(e.code) not in codes}
    found = [e for e in found if e.code not in ONCE or e is first.get(e.code)]
    shown = {each.code for each in found}
    folded = dict.fromkeys(each.code for each in kept if each.code not in shown)
    if folded:
        words = f"{found[0].explanation} Hence also: {', '.join(folded)}."
        found[0] = replace(found[0], explanation=words)
    return tuple(_one_upon_another(found))


def _refuted(finding: Finding, codes: set[str], spoilt: set[str], roles: Roles) -> bool:
    """Return whether a finding follows from others, by their codes, or cannot be known for them."""
    code, measured = finding.code, finding.reference == MEASURED
    if code == "regularisation-dominates":
        return not any(penalties(roles))
    if code == "wrong-init-scale":  # small weights do not bring rises about
        return bool(RISING & codes) and "too small" in finding.evidence
    if code == "shuffled-targets":  # what predicts targets was not seen
        return "normalised-per-row" in codes or roles.partial
    if code == "gradient-wrong" and measured and (codes & NO_SLOPE or finding.where in spoilt):
        return True
    # Slopes next to 0 cannot be measured well enough to find their gradients wrong.
    unsure = measured and code in ("gradient-sign", "gradient-wrong")
    small = {"vanishing-gradient", "wrong-init-scale"} & codes
    return unsure and bool(small) and finding.where != "every parameter"


def _one_upon_another(found: Iterable[Finding]) -> Iterator[Finding]:
    """Give each remedy's lines as they should be after those before it."""
    before = list[Edit]()
    for each in found:
        edits: Sequence[Edit] = (each.repair or {}).get("edits", ())
        here = {(e["file"], e["line"]) for e in edits}
        earlier = [e for e in before if (e["file"], e["line"]) in here]
        lines = mended_lines([*earlier, *(e for e in edits if e not in earlier)]) if earlier else []
        if lines and lines != mended_lines(earlier):  # or else they are no part of one another
            each = replace(each, remedy="\n".join(lines[:MOST_LINES]))
        before += edits
        yield each


def _counts(finding: Finding, run: Run, *, measured: bool) -> bool:
    """Return whether a finding says something that is not refuted."""
    if measured and finding.code in HEURISTICS and finding.reference not in (MEASURED, SEEN):
        return False
    one = run.replay.one_error is not None and finding.code != "gradient-sign"
    if one and finding.reference == MEASURED:
        return False  # products with one sum of all errors are no slopes of anything
    fault = finding.code in FAULTS and finding.code != "gradient-accumulated"  # as SAG does, too
    return finding.severity != "note" and (fault or not run.learnt)


def _rank(finding: Finding) -> tuple[int, int, bool]:
    code = "error-not-from-targets" if "one_error" in (finding.repair or {}) else finding.code
    place = FAULTS.index(code) if code in FAULTS else len(FAULTS) + (code not in STARTS)
    later = (STATES, LENGTH, SYMPTOMS)
    place += sum(i + 1 for i, codes in enumerate(later) if finding.code in codes)
    return SEVERITIES.index(finding.severity), place, finding.reference != MEASURED


def _in_lines(finding: Finding, roles: Roles) -> Finding:
    """Give the remedy as lines of the script where edits are known, or else name a line."""
    edits = (finding.repair or {}).get("edits", ())
    lines = mended_lines(edits)[:MOST_LINES]
    remedy = "\n".join(lines) or PLAIN.get(finding.code, finding.remedy)
    site = site_of(finding, roles) if roles else None
    if finding.code == "shuffled-targets" and "permutation" in remedy and not lines:
        site, remedy = None, PAIRS
    if site is not None and not re.search(r"\bline \d", f"{finding.evidence} {remedy}"):
        finding = replace(finding, evidence=f"{site}: {finding.evidence}")
    return replace(finding, remedy=remedy)


def left_to_say(seen: Observer, run: Run) -> Iterator[Finding]:
    """Yield what is left to say of a network that learns too little, if no cause was found."""
    roles, skill, curve = seen.latest, run.last.skill, seen.curve()
    if not roles or not skill < GOOD or len(curve) < 4 or not np.isfinite(curve).all():
        return
    if seen.recorder.satisfied_at == seen.recorder.steps:  # with what was learnt until then
        return
    widths = [each.shape[1] for each in run.first.activations if each is not None]
    fewest = min(widths, default=FEW_UNITS + 1)
    narrow = f"a hidden layer has {fewest} units" if fewest <= FEW_UNITS else ""
    if len(roles.layers) == 1 and skill < BAD:
        narrow = "there is no hidden layer"
    said = f"after {run.steps} steps {max(skill, 0.0):.0%} of the targets' variance is explained"
    falls = f"the loss still falls ({curve[-2]:.4g} half way, {curve[-1]:.4g} at the end)"
    falls = falls if curve[-1] < 0.99 * curve[-2] else ""
    rises = "the learning rate still rises" if seen.warming_up else ""
    if (falls or rises) and skill < POOR and run.steps < FEW_STEPS:
        yield Finding(
            "too-few-steps", "error", "training", f"{said}, and {rises or falls}",
            "It stops too early.",
            "take ten times as many steps, or longer ones", RECIPE, {"steps_factor": 10.0},
        )  # fmt: skip
    elif skill < POOR and run.travelled() < FAR and not (seen.warming_up or run.to_and_fro):
        yield Finding(
            "learning-rate-too-small", "error", "learning_rate", f"{said}; all steps together "
            f"moved the weights by {run.travelled():.2g} of their size",
            "So short steps need far more of them.", "multiply the learning rate by 10", RECIPE,
            run.rate_times(10.0),
        )  # fmt: skip
    elif narrow:
        yield Finding(
            "too-small", "error", "the network", f"{said}, and {narrow}",
            "Each hidden unit can draw one boundary; without any, there is one straight line.",
            "give it a hidden layer with an activation, and more units", f"{GOODFELLOW}, 6.4.1",
        )  # fmt: skip
