"""What the measured slopes say, as findings with the script's lines as they should be."""

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from xpnet.doctor.findings import Finding
from xpnet.doctor.rules.backward import uphill
from xpnet.doctor.run import Run
from xpnet.doctor.scripts.gradients.variants import Mistake, is_known
from xpnet.doctor.scripts.gradients.verdicts import CLEARLY, EXACT, LAYER, Measured
from xpnet.doctor.scripts.mapping import Roles, in_source, listed
from xpnet.doctor.scripts.recording.instrument import Site
from xpnet.doctor.scripts.recording.steps import Operation, Update, Value
from xpnet.doctor.scripts.recording.updates import MIXING, ancestors, origin
from xpnet.doctor.scripts.repairs.edits import at_sites, edit
from xpnet.doctor.step import grouped

BY_ROW = "weighted by row"
FEW_ROWS = 8  # of which a factor may be anything
FAR = 3.0  # times the loss before a step, after which it is too long whatever the outcome
MEASURED = "measured by moving parameters and running the script's own next step"
DERIVATIVE = (
    "gradient-activation-derivative",
    "The error is multiplied by this derivative on its way back, here and in all layers before.",
)
# By the kind of a mistake: the finding's code, why it matters, and what is said of an operand.
KINDS = {
    "operand": ("gradient-operand", "The gradient of weights is what the layer was given times the "
                "error of what it gave.", "{wrong} stands where {role} should: {right}"),
    "transposed": ("gradient-transposed", "The shapes fit this way, too, so that it raises no "
                   "error: each weight gets the change meant for another.",
                   "{wrong} must be transposed"),
    "derivative": (*DERIVATIVE, "{wrong} stands where {role} should: {right}"),
    "missing derivative": (*DERIVATIVE, "{role} is missing"),
    "error": ("error-not-from-targets", "What goes back is not outputs minus targets, so no step "
              "leads towards the targets.", "{wrong} stands where {role} should: {right}"),
    "superfluous": ("gradient-wrong", "This factor is not part of the derivative.",
                    "the factor {wrong} does not belong there"),
    LAYER: ("gradient-operand", "Each gets the change that is meant for the weights of another "
              "layer.", "{wrong} gets the gradient of {right}"),
}  # fmt: skip


def conclude(
    points: Sequence[Measured], roles: Roles, runs: int, *, run: Run, alone: bool
) -> tuple[list[Finding], str]:
    """Return what is wrong with gradients, signs and the first step, and what is right in words.

    `alone`: the script trains nothing else.
    """
    verdicts = {n: _together(points, n) for n in range(len(roles.names))}
    judged = any(kind in ("right", "sign") and is_array(roles, n) for n, kind in verdicts.items())
    if roles.error.name == "multiply" and not judged:
        return [], "Gradients were not judged: the loss of these margins is not known."
    found = [_of_mistake(each, names) for each, names in _mistakes(points, roles).items()]
    right = [roles.names[n] for n, kind in verdicts.items() if kind == "right"]
    wrong = [n for n, kind in verdicts.items() if kind == "wrong"]
    climbing = _climbing(points[0], verdicts)
    spoilt = wrong if right else wrong + [n for n, kind in verdicts.items() if kind == "explained"]
    arrays = any(is_array(roles, n) for n in spoilt)
    arrays = arrays and not any(is_array(roles, n) for n in climbing)
    if climbing and not arrays:  # a number has the wrong sign by chance, by another loss
        found.append(_sign(points[0], roles, climbing, everywhere=not right))
    learning = [n for n, kind in verdicts.items() if kind == "right" and is_array(roles, n)]
    # Or else it learns by another loss: Huber's; or by random feedback.
    if wrong and not found and (run.failing or (learning and not (run.learnt and _fixed(roles)))):
        found.append(_unexplained(points, roles, wrong, run))
    if (found or wrong) and (weights := row_weights(roles)):
        return [], f"Gradients were not judged: the loss is {BY_ROW}, {weights.site}."
    if not found:
        too_long = [*_too_long(points[0].line, points[0].loss, roles, run.failing)]
        if run.failing or too_long:
            found += _sums_beside_means(points[0], roles, len(run.start))
        found = found or too_long
    if not right:
        return found, ""
    every = alone and len(right) == len(verdicts)
    whose = "every gradient" if every else f"the gradient of {listed(right)}"
    return found, (
        f"Right: {whose}, as the slope of {points[0].loss}, in {runs} runs of one step each."
    )


def row_weights(roles: Roles) -> Operation | None:
    """Return what gives each row's error a weight that no output made, ahead of all updates."""
    step = roles.step
    errors = {each.result for each in step.operations if each.place == roles.error.place}
    reached, weighted = set(errors), dict[Value, Operation]()
    for each in (e for e in step.operations if e.name not in MIXING):
        mine = [value in reached for value in each.operands]
        if not any(mine):
            continue
        reached.add(each.result)
        others = [v for v, own in zip(each.operands, mine, strict=True) if not own]
        factor = each.name in ("multiply", "divide") and len(others) == 1
        given = factor and not roles.depends(others[0])
        given = given and origin(others[0])[0] not in roles.targets  # of a margin
        if given and np.ptp(np.asarray(others[0].data, dtype=float)) > 0.0:  # not of one number
            weighted[each.result] = each
    ways = [ancestors([u.delta], stop=lambda v: v in weighted) for u in step.updates]
    all_are = all(errors.isdisjoint(way) for way in ways)
    return next(iter(weighted.values())) if weighted and all_are else None


def _fixed(roles: Roles) -> bool:
    """Return whether errors go back through a matrix that is neither data nor a parameter."""
    forward = ancestors(roles.outputs)
    products = [each for each in roles.step.operations if each.name in MIXING
                and each.result in roles.cone and each.result not in forward]  # fmt: skip
    return any(not roles.depends(value) and forward.isdisjoint(ancestors([value]))
               for each in products for value in each.operands)  # fmt: skip


def is_array(roles: Roles, n: int) -> bool:
    """Return whether a parameter has several numbers."""
    return any(each.old.size > 1 for each in roles.updates_of(n))


def _climbing(point: Measured, verdicts: dict[int, str]) -> list[int]:
    """Return the parameters whose sign alone is wrong: some multiple climbs by chance, too."""
    known = point.verdicts
    right = {factor for n, kind in verdicts.items() if kind == "right" and n in known
             for factor in (known[n].factor, known[n].step)}  # fmt: skip

    def multiple_of_others(n: int) -> bool:
        own = (known[n].factor, known[n].step) if n in known else ()
        alike = any(abs(one / factor - 1.0) < 0.01 for factor in right - {0.0} for one in own)
        return alike or not right or not own

    return [n for n, kind in verdicts.items() if kind == "sign" and multiple_of_others(n)]


def _together(points: Iterable[Measured], n: int) -> str:
    """Return the kind of verdict that all points together give of a parameter."""
    if any(n in each.mistakes for each in points):
        return "explained"
    known = [v for p in points if (v := p.verdicts.get(n)) and v.kind != "unknown"]
    kinds, wrong = {each.kind for each in known}, [each for each in known if each.kind == "wrong"]
    worst = min((each.cosine for each in wrong), default=1.0)
    if worst < CLEARLY and (len(wrong) > 1 or kinds == {"wrong"}):
        return "wrong"
    return "sign" if kinds - {"wrong"} == {"sign"} else "right" if "right" in kinds else "unknown"


def _mistakes(points: Iterable[Measured], roles: Roles) -> dict[Mistake, list[str]]:
    """Return each mistake once, with the names of the parameters it spoils."""
    pairs = ((m, roles.names[n]) for each in points for n, m in each.mistakes.items() if m)
    alike = grouped(
        (m.kind if m.kind == LAYER else (m.site, m.wrong, m.right), (m, name)) for m, name in pairs
    )
    return {group[0][0]: [*dict.fromkeys(name for _, name in group)] for group in alike.values()}


def _of_mistake(mistake: Mistake, names: list[str]) -> Finding:
    (code, why, said), site = KINDS[mistake.kind], mistake.site
    known = mistake.edit and is_known(mistake.right, site)
    repair: dict[str, Any] = {"edits": [mistake.edit]} if known else {}
    made = f" (made in line {mistake.made})" if mistake.made not in (0, site.line) else ""
    return Finding(
        code, "error", listed(names), f"{site}: {said.format(**vars(mistake))}{made}", why,
        f"line {site.line}: {mistake.role} belongs here", MEASURED, repair or None,
    )  # fmt: skip


def _sign(point: Measured, roles: Roles, climbing: list[int], *, everywhere: bool) -> Finding:
    sites = [roles.updates_of(n)[0].operation.site for n in climbing if roles.updates_of(n)]
    error, edits = roles.error, [edit(each, turned(each)) for each in sites]
    if everywhere and error:
        sites.insert(0, error.site)
        if error.name == "subtract" and error.operands[0] is roles.targets[0]:
            edits, sites = [edit(error.site, swapped(error.site))], [error.site]
    update = roles.updates_of(climbing[0])[0]
    if negative := _negative(update) if update.optimizer else None:
        return Finding(
            "update-wrong", "error", listed([roles.names[n] for n in climbing]),
            f"{negative.site}: below 0, so that the step climbs the slope of {point.loss}",
            "The gradient is right; what the optimizer makes of it is not.",
            "compare this line with the optimizer's formula", "Kingma & Ba, Adam, 2015",
            {"edits": at_sites([negative.site], [("1 - _b * _t", "1 - _b ** _t")])},
        )  # fmt: skip
    cause = "; ".join(map(str, dict.fromkeys(sites)))
    where = "every parameter" if everywhere else listed([roles.names[n] for n in climbing])
    return Finding(
        "gradient-sign", "error", where, f"each step climbs the slope of {point.loss}; {cause}",
        uphill.why, "the other sign", MEASURED, {"edits": edits},
    )  # fmt: skip


def _negative(update: Update) -> Operation | None:
    """Return the factor or divisor between a gradient and its step that is a number below 0."""
    value = update.delta
    while value is not update.gradient and (made := value.made_by).operands:
        one = next((v for v in made.operands if v.size == 1 and v.made_by), None)
        if made.name in ("multiply", "divide") and one is not None and np.all(one.data < 0.0):
            return one.made_by
        value = max(made.operands, key=lambda each: each.size)
    return None


def _unexplained(points: Sequence[Measured], roles: Roles, wrong: list[int], run: Run) -> Finding:
    order = [n for each in reversed(roles.layers) for n in (each.weights, each.biases)]
    first = min(wrong, key=lambda n: order.index(n) if n in order else len(order))
    update = roles.updates_of(first)[0]
    site = (update.gradient.made_by or update.operation).site
    cosine = min(p.verdicts[first].cosine for p in points if first in p.verdicts)
    others = [roles.names[n] for n in wrong if n != first]
    spread = f"; so {listed(others)} cannot be right either" if others else ""
    fit = "goes against" if cosine < -0.99 else "is no multiple of"
    surely = run.failing or (cosine < 0.5 and not run.learnt)
    return Finding(
        "gradient-wrong", "error" if surely else "warning", roles.names[first],
        f"{site}: it {fit} the slope of {points[0].loss} (cosine {cosine:.2f}){spread}",
        "Every usual mistake in an operand was tried, and none explains it.",
        f"derive the gradient in line {site.line} again: what the layer was given times the error "
        "of what it gave", MEASURED,
    )  # fmt: skip


def _sums_beside_means(point: Measured, roles: Roles, rows: int) -> Iterator[Finding]:
    """Find gradients that are sums over the rows of a step, where all others are means."""
    steps = {n: v.step for n, v in point.verdicts.items() if v.kind == "right" and v.step}
    times = {n: each / min(steps.values()) for n, each in steps.items()}
    sums = [n for n, each in times.items() if abs(each / rows - 1.0) < EXACT]
    means = [n for n, each in times.items() if abs(each - 1.0) < EXACT]
    updates = {n: roles.updates_of(n)[0] for n in times}
    rates = [abs(u.factor) * (rows if u.divides_by(rows) else 1) for u in updates.values()]
    if rows < FEW_ROWS or not sums or len(sums) + len(means) < len(roles.names):
        return
    if max(rates) > (1.0 + EXACT) * min(rates):
        return  # the lengths are meant
    made = [updates[n].gradient.made_by for n in sums]
    sites = [each.site for each in made if each]
    counted = {in_source(each, 1): each.site.function for each in roles.step.operations
               if each.name == "divide" and each.operands[1].number == rows}  # fmt: skip
    known = [text for text, own in counted.items() if {own} == {each.function for each in sites}]
    divisor = next(iter(known), str(rows))
    # What a loop adds up is not divided in each of its turns.
    at_once = [sum(o.place == each.place for o in roles.step.operations) == 1 for each in made]
    whole = all(at_once) and all(each.kind != "in place" for each in sites)
    edits = [edit(each, f"{_factor(each.text)} / {divisor}") for each in sites if whole]
    yield Finding(
        "gradient-scale", "error", listed([roles.names[n] for n in sums]),
        f"{'; '.join(map(str, sites))}: a sum over the {rows} rows, where the others are means",
        "No learning rate fits both: these steps are longer by the number of rows.",
        f"divide by {divisor}", MEASURED, {"edits": edits} if edits else None,
    )  # fmt: skip


def _factor(text: str) -> str:
    """Return a text in brackets if it is a sum, which a divisor would tear apart."""
    match ast.parse(text, mode="eval").body:
        case ast.BinOp(op=ast.Add() | ast.Sub()):
            return f"({text})"
    return text


def _too_long(
    line: Mapping[float, float], loss: str, roles: Roles, failing: bool
) -> Iterator[Finding]:
    """Find a first step that raises the loss on the rows it was made for, and a shorter one not."""
    start, end = line.get(0.0, np.nan), line.get(1.0, np.nan)
    falling = {share: each for share, each in line.items() if share < 1.0 and each < start}
    if falling and end > start + (0.0 if failing else (FAR - 1.0) * abs(start)):
        update, best = roles.step.updates[0], min(falling, key=lambda share: falling[share])
        name = next((t.lstrip("-") for t, n in update.scalars if abs(n) < 1.0), "the learning rate")
        rate = float(f"{abs(update.factor) * best:.1g}")
        yield Finding(
            "learning-rate-too-large", "error" if failing else "warning", name,
            f"{update.operation.site}: the gradient is right, but the first step raises {loss} "
            f"from {start:.4g} to {end:.4g}; {best:g} of it gives {line[best]:.4g}",
            "The step leads beyond the valley that the gradient points into.",
            f"{name} = {rate:g}", MEASURED, {"learning_rate": rate},
        )  # fmt: skip


def turned(site: Site) -> str:
    """Return an update with the other sign."""
    for one, other in (("-=", "+="), ("+=", "-="), ("subtract", "add"), ("add", "subtract")):
        if one in site.text:
            return site.text.replace(one, other, 1)
    left, right = site.operands[:2]
    between = site.text[len(left) : len(site.text) - len(right)]
    other = between.replace("-", "+") if "-" in between else between.replace("+", "-")
    return f"{left}{other}{right}"


def swapped(site: Site) -> str:
    """Return a difference with its two sides exchanged."""
    return " - ".join(site.operands[1::-1])
