"""What is told of all findings: causes first, symptoms folded, each with the script's lines."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from xpnet.doctor.findings import SEVERITIES, Finding
from xpnet.doctor.run import Run
from xpnet.doctor.scripts.gradients.conclusions import MEASURED
from xpnet.doctor.scripts.mapping import Mapping
from xpnet.doctor.scripts.repairs.edits import Edit, mended_lines
from xpnet.doctor.scripts.repairs.fix import site_of
from xpnet.doctor.scripts.repairs.sizes import penalties

SEEN = "read from the script's operations"
MOST_LINES = 4  # of a remedy
GOOD = 0.8  # share of the variance explained, from which a start or a rate is no cause
# Faults of the code, then of what it is given, each in the order in which they must be mended.
FAULTS = (
    "shapes-do-not-fit", "data-changed", "shared-parameters", "integer-parameters",
    "weights-redrawn", "loss-broadcast", "target-shape", "gradient-shape", "update-order",
    "error-not-from-targets", "gradient-operand", "gradient-transposed",
    "gradient-activation-derivative", "gradient-product", "gradient-sign", "bias-per-sample",
    "parameter-shape-changed", "gradient-accumulated", "gradient-scale", "no-update",
    "update-wrong", "learning-rate-vanishes", "unshuffled-rows", "softmax-axis", "softmax-hidden",
    "output-activated-twice", "bias-after-activation", "gradient-wrong", "rows-left-out",
    "same-batch", "dropout-at-prediction", "class-numbers", "targets-shifted", "normalised-per-row",
    "shuffled-targets", "target-range", "constant-target", "prediction-drift", "prediction-wrong",
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
    "unshuffled-rows", "prediction-drift",
}  # fmt: skip
FOLLOWS = {"constant-target": "rows-left-out", "prediction-drift": "rows-left-out"}  # of a class
HEURISTICS = {"gradient-product", "gradient-activation-derivative", "gradient-sign"}
PAIRS = "compare some rows of both as they enter the first step: which belong together?"
PLAIN = {  # remedies that the rules give in xpnet's terms
    "linear-hidden-layer": "hidden = np.tanh(inputs @ weights + biases)",
    "loss-rising": "a smaller learning rate",
    "loss-not-decreasing": "another learning rate, other initial weights, more units",
}


def told(
    findings: Iterable[Finding], run: Run, mapping: Mapping | None, *, measured: bool
) -> tuple[Finding, ...]:
    """Return what is to be told of the findings, in order; `measured`: gradients were."""
    findings = [*findings]
    measured = measured or any(each.code == "update-order" for each in findings)
    kept = [each for each in findings if _counts(each, run, measured=measured)]
    if mapping is not None and not any(penalties(mapping)):
        kept = [each for each in kept if each.code != "regularisation-dominates"]
    if any(each.code in ("vanishing-gradient", "wrong-init-scale") for each in kept):
        # Slopes next to 0 cannot be measured well enough to find their gradients wrong.
        unsure = ("gradient-sign", "gradient-wrong")
        kept = [each for each in kept if each.reference != MEASURED or each.code not in unsure
                or each.where == "every parameter"]  # fmt: skip
    if RISING & {each.code for each in kept}:  # which small weights do not bring about
        tiny = [e for e in kept if e.code == "wrong-init-scale" and "too small" in e.evidence]
        kept = [each for each in kept if each not in tiny]
    causes = [e for e in kept if e.code not in STATES | SYMPTOMS | LENGTH]
    if causes and not any(each.severity == "error" for each in causes):  # which come first
        kept = [replace(e, severity="warning") if e.code in LENGTH else e for e in kept]
    if any(e.severity == "error" and e.code in STARTS for e in causes):  # it may do without
        kept = [replace(e, severity="warning") if e.code == "no-bias" else e for e in kept]
    codes = {e.code for e in kept if e.code != "linear-hidden-layer" or "edits" in (e.repair or {})}
    unseen = "normalised-per-row" in codes or (mapping is not None and mapping.partial)
    kept = [e for e in kept if not unseen or e.code != "shuffled-targets"]  # what predicts targets
    spoilt = {each.where for each in kept if each.code in NO_SLOPE_OF_ITS_OWN}
    kept = [each for each in kept if (each.reference, each.code) != (MEASURED, "gradient-wrong")
            or not (codes & NO_SLOPE or each.where in spoilt)]  # fmt: skip
    kept = sorted((_in_lines(each, mapping) for each in kept), key=_rank)
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
    one = one_error(run) is not None and finding.code != "gradient-sign"
    if one and finding.reference == MEASURED:
        return False  # products with one sum of all errors are no slopes of anything
    learnt = run.last.skill >= GOOD
    fault = finding.code in FAULTS and finding.code != "gradient-accumulated"  # as SAG does, too
    return finding.severity != "note" and (fault or not learnt)


def one_error(run: Run) -> float | None:
    """Return the number that the gradients have in place of an error for each sample, if any."""
    mistake = run.replay.mistake
    return ((mistake and mistake.change) or {}).get("one_error")


def _rank(finding: Finding) -> tuple[int, int, bool]:
    code = "error-not-from-targets" if "one_error" in (finding.repair or {}) else finding.code
    place = FAULTS.index(code) if code in FAULTS else len(FAULTS) + (code not in STARTS)
    later = (STATES, LENGTH, SYMPTOMS)
    place += sum(i + 1 for i, codes in enumerate(later) if finding.code in codes)
    return SEVERITIES.index(finding.severity), place, finding.reference != MEASURED


def _in_lines(finding: Finding, mapping: Mapping | None) -> Finding:
    """Give the remedy as lines of the script where edits are known, or else name a line."""
    edits = (finding.repair or {}).get("edits", ())
    lines = mended_lines(edits)[:MOST_LINES]
    remedy = "\n".join(lines) or PLAIN.get(finding.code, finding.remedy)
    site = None if mapping is None else site_of(finding, mapping)
    if finding.code == "shuffled-targets" and "permutation" in remedy and not lines:
        site, remedy = None, PAIRS
    if site is not None and not re.search(r"\bline \d", f"{finding.evidence} {remedy}"):
        finding = replace(finding, evidence=f"{site}: {finding.evidence}")
    return replace(finding, remedy=remedy)
