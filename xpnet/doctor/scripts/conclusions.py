"""What the measured slopes say, as findings with the script's lines as they should be."""

from collections.abc import Iterable, Sequence
from typing import Any

from xpnet.doctor.findings import Finding
from xpnet.doctor.gradcheck.mistakes import WHY
from xpnet.doctor.scripts.instrument import Site
from xpnet.doctor.scripts.mapping import Mapping as Roles
from xpnet.doctor.scripts.variants import Mistake, is_known
from xpnet.doctor.scripts.verdicts import CLEARLY, Measured

FAR = 3.0  # times the loss before a step, after which it is too long whatever the outcome
MEASURED = "measured by moving parameters and running the script's own next step"
PRODUCT = "The gradient of weights is what the layer was given times the error of what it gave."
# By the kind of a mistake: the finding's code, and why it matters.
CODES = {
    "operand": ("gradient-operand", PRODUCT),
    "transposed": ("gradient-transposed", "The shapes fit this way, too, so that it raises no "
                   "error: each weight gets the change meant for another."),
    "derivative": ("gradient-activation-derivative", WHY["gradient-activation-derivative"]),
    "missing derivative": ("gradient-activation-derivative", WHY["gradient-activation-derivative"]),
    "update order": ("update-order", "The error goes back through the weights that made it; these "
                     "are already those of the next step."),
    "error": ("error-not-from-targets", "What goes back is not outputs minus targets, so no step "
              "leads towards the targets."),
    "superfluous": ("gradient-wrong", "This factor is not part of the derivative."),
}  # fmt: skip


def conclude(points: Sequence[Measured], roles: Roles, *, failing: bool) -> list[Finding]:
    """Return what is wrong with gradients, signs and the first step, causes first."""
    if not points:
        return []
    verdicts = {n: _together(points, n) for n in range(len(roles.names))}
    found = [_of_mistake(each, names) for each, names in _mistakes(points, roles).items()]
    climbing = _climbing(points[0], verdicts)
    if climbing:
        everywhere = "right" not in verdicts.values()
        found.append(_sign(points[0], roles, climbing, everywhere=everywhere))
    wrong = [n for n, kind in verdicts.items() if kind == "wrong"]
    if wrong and not found:
        found.append(_unexplained(points, roles, wrong, failing))
    if not found:
        found += _too_long(points[0], roles, failing=failing)
    return found


def _climbing(point: Measured, verdicts: dict[int, str]) -> list[int]:
    """Return the parameters whose sign alone is wrong: some multiple climbs by chance, too."""
    right = [point.verdicts[n].factor for n, kind in verdicts.items() if kind == "right"]
    return [
        n for n, kind in verdicts.items()
        if kind == "sign" and (not right or n not in point.verdicts or any(
            abs(point.verdicts[n].factor / factor - 1.0) < 0.01 for factor in right if factor
        ))
    ]  # fmt: skip


def in_words(points: Sequence[Measured], roles: Roles, runs: int) -> str:
    """Say of which parameters the gradient is right."""
    verdicts = {n: _together(points, n) for n in range(len(roles.names))}
    right = [roles.names[n] for n, kind in verdicts.items() if kind == "right"]
    if not right:
        return ""
    whose = (
        "every gradient" if len(right) == len(verdicts) else f"the gradient of {', '.join(right)}"
    )
    return f"Right: {whose}, as the slope of {points[0].loss}, in {runs} runs of one step each."


def _together(points: Iterable[Measured], n: int) -> str:
    """Return the kind of verdict that all points together give of a parameter."""
    known = [v for p in points if (v := p.verdicts.get(n)) and v.kind != "unknown"]
    kinds = [each.kind for each in known]
    wrong = [each for each in known if each.kind == "wrong"]
    if any(n in each.mistakes for each in points):
        return "explained"
    if len(wrong) > 1 or (len(wrong) == len(known) and any(v.cosine < CLEARLY for v in wrong)):
        return "wrong" if wrong else "unknown"
    if kinds and kinds.count("sign") == len(kinds) - len(wrong):
        return "sign"
    return "right" if "right" in kinds else "unknown"


def _mistakes(points: Iterable[Measured], roles: Roles) -> dict[Mistake, list[str]]:
    """Return each mistake once, with the names of the parameters it spoils."""
    found, seen = dict[Mistake, list[str]](), dict[tuple[Site, int, str], Mistake]()
    for point in points:
        for n, mistake in point.mistakes.items():
            if mistake is not None:
                first = seen.setdefault((mistake.site, mistake.slot, mistake.right), mistake)
                names = found.setdefault(first, [])
                names += [roles.names[n]] * (roles.names[n] not in names)
    return found


def _of_mistake(mistake: Mistake, names: list[str]) -> Finding:
    code, why = CODES[mistake.kind]
    site = mistake.site
    said = f"{mistake.wrong} stands where {mistake.role} should: {mistake.right}"
    if mistake.kind == "missing derivative":
        said = f"{mistake.role} is missing"
    elif mistake.kind == "transposed":
        said = f"{mistake.wrong} must be transposed"
    elif mistake.kind == "superfluous":
        said = f"the factor {mistake.wrong} does not belong there"
    known = is_known(mistake.right, site)
    remedy = f"line {site.line}: {mistake.role} belongs here; keep what it is made of where it is "
    return Finding(
        code, "error", ", ".join(names), f"line {site.line}, {site.text}: {said}", why,
        f"{remedy}made, for this function", MEASURED,
        {"edits": [edit(site, mistake.mended)]} if known else None,
    )  # fmt: skip


def _sign(point: Measured, roles: Roles, climbing: list[int], *, everywhere: bool) -> Finding:
    sites = [roles.updates_of(n)[0].operation.site for n in climbing if roles.updates_of(n)]
    error, edits = roles.error, [edit(each, turned(each)) for each in sites]
    cause = "; ".join(f"line {each.line}: {each.text}" for each in dict.fromkeys(sites))
    if everywhere and error is not None and error.operands[0] is roles.targets[0]:
        left, right = error.site.operands[:2]
        new = f"{right} - {left}"
        edits = [edit(error.site, new)]
        cause = f"line {error.line}: {error.site.text}"
    where = "every parameter" if everywhere else ", ".join(roles.names[n] for n in climbing)
    return Finding(
        "gradient-sign", "error", where, f"each step climbs the slope of {point.loss}; {cause}",
        WHY["gradient-sign"], "the other sign", MEASURED, {"edits": edits},
    )  # fmt: skip


def _unexplained(
    points: Sequence[Measured], roles: Roles, wrong: list[int], failing: bool
) -> Finding:
    order = [n for each in reversed(roles.layers) for n in (each.weights, each.biases)]
    first = min(wrong, key=lambda n: order.index(n) if n in order else len(order))
    gradient = roles.updates_of(first)[0].gradient
    made = gradient.made_by.site if gradient.made_by else roles.updates_of(first)[0].operation.site
    cosine = min(p.verdicts[first].cosine for p in points if first in p.verdicts)
    others = [roles.names[n] for n in wrong if n != first]
    spread = f"; so {', '.join(others)} cannot be right either" if others else ""
    close = {True: "is nearly", False: "goes against"} if abs(cosine) > 0.99 else {}
    fit = close.get(cosine > 0.0, "is no multiple of")
    return Finding(
        "gradient-wrong", "error" if failing or cosine < 0.5 else "warning", roles.names[first],
        f"line {made.line}, {made.text}: it {fit} the slope of {points[0].loss} "
        f"(cosine {cosine:.2f}){spread}",
        "Every usual mistake in an operand was tried, and none explains it.",
        f"derive the gradient in line {made.line} again: what the layer was given times the error "
        "of what it gave", MEASURED,
    )  # fmt: skip


def _too_long(point: Measured, roles: Roles, *, failing: bool) -> list[Finding]:
    """Find a first step that raises the loss on the rows it was made for, and a shorter one not."""
    line = {share: loss for share, loss in point.line.items() if loss == loss}
    start, end = line.get(0.0), point.line.get(1.0)
    falling = [
        share for share in line if start is not None and 0.0 < share < 1.0 and line[share] < start
    ]
    far = 1.0 if failing else FAR
    if start is None or end is None or end <= far * start or not falling:
        return []
    update = next(u for n in range(len(roles.names)) for u in roles.updates_of(n))
    rate, best = abs(update.factor), min(falling, key=lambda share: line[share])
    named = (text.lstrip("-") for text, value in update.scalars if abs(value) < 1.0)
    name = next(named, "the learning rate")
    return [Finding(
        "learning-rate-too-large", "error" if failing else "warning", name,
        f"the gradient is right, but the first step ({rate:g} times it) raises {point.loss} from "
        f"{start:.4g} to {end:.4g}; {best:g} of it gives {line[best]:.4g}",
        "The step leads beyond the valley that the gradient points into.",
        f"{name} = {float(f'{rate * best:.1g}'):g}", MEASURED,
        {"learning_rate": float(f"{rate * best:.1g}"), "factor": best},
    )]  # fmt: skip


def turned(site: Site) -> str:
    """Return an update with the other sign."""
    text = site.text
    pairs = ("-=", "+="), ("np.subtract", "np.add")
    for one, other in (*pairs, *(pair[::-1] for pair in pairs)):
        if one in text:
            return text.replace(one, other, 1)
    left, right = site.operands[:2]
    between = text[len(left) : len(text) - len(right)]
    other = between.replace("-", "+") if "-" in between else between.replace("+", "-")
    return f"{left}{other}{right}"


def edit(site: Site, text: str) -> dict[str, Any]:
    """Return a change of the source: what stands at a site becomes another text."""
    return {"file": site.file, "line": site.line, "column": site.column,
            "end_column": site.end_column, "text": text}  # fmt: skip


def operand_edit(site: Site, slot: int, old: str, new: str) -> dict[str, Any]:
    """Return a change of an operation's first or second operand."""
    before = site.text.rpartition(old)[0] if slot else site.text.partition(old)[0]
    start = site.column + len(before.encode())
    end = start + len(old.encode()) if site.end_column else 0
    return {**edit(site, new), "column": start, "end_column": end}
