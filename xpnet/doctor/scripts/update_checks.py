"""What is made of gradients, and of outputs: checks, as those of `checks.py`."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from xpnet.doctor.rules.rule import BACKPROPAGATION, GOODFELLOW, NIELSEN, RECIPE
from xpnet.doctor.run import FAR, Run
from xpnet.doctor.scripts.checks import ROWS_ALIKE, Seen, check, crossing
from xpnet.doctor.scripts.gradients.conclusions import turned
from xpnet.doctor.scripts.gradients.verdicts import made_of
from xpnet.doctor.scripts.mapping import Mapping, a_few, in_source
from xpnet.doctor.scripts.recording.trace import Operation, Value
from xpnet.doctor.scripts.recording.updates import MIXING, ancestors, origin, scalar_side
from xpnet.doctor.scripts.repairs.edits import edit, into_loop, operand_edit
from xpnet.doctor.scripts.repairs.menders import apart
from xpnet.doctor.scripts.repairs.sizes import penalties
from xpnet.doctor.scripts.telling import GOOD

if TYPE_CHECKING:
    from xpnet.doctor.scripts.observe import Observer

NOTHING = 1e-6  # of a rate, that moves nothing any more
UNEVEN = 0.3  # power of a gradient, with which no adaptive step goes
LITTLE = 0.01  # of a gradient, that cutting it leaves
UNIT = 3.0  # times a standard deviation, up to which another one is of the same unit
ROUNDED = ("round", "rint", "around", "floor", "ceil", "trunc", "sign")


@check("rows-left-out", NIELSEN)
def last_alone(seen: "Observer", mapping: Mapping, run: Run) -> Seen:
    """Each error is sent back, and the next one takes its place before any update."""
    error, operations, cone = mapping.error, mapping.step.operations, mapping.cone
    if error is None or run.last.skill >= GOOD:
        return
    back = {e.place for e in operations if id(e.result) in cone and error.result in e.operands}
    sent = {id(value) for each in operations if each.place in back for value in each.operands}
    made = [e for e in operations if e.place == error.place and id(e.result) in sent]
    if len(made) >= ROWS_ALIKE // 2 and [e for e in made if id(e.result) in cone] == made[-1:]:
        edits = into_loop([each.operation.site for each in mapping.step.updates])
        yield (error, "batches", f"of the {len(made)} errors of each step only the last one "
               "changes the weights", "update after each, or add the gradients up",
               {"edits": edits})  # fmt: skip


@check("update-wrong", "Hinton, Neural networks for machine learning, lecture 6e")
def no_square(seen: "Observer", mapping: Mapping, run: Run) -> Seen:
    """The mean of squares is never below 0, a mean of gradients is: it has no square root."""
    first = seen.first or mapping
    error = {id(each.result) for each in [first.error] if each is not None}
    found, below = dict[Operation, str](), False
    for root in first.step.operations:
        made = origin(root.operands[0])[0].made_by if root.name == "sqrt" else None
        if made is None or made.name != "add" or id(root.result) not in first.cone:
            continue
        below |= bool(np.any(made.result.data < 0.0))
        for term in (each.made_by for each in made.operands if error & ancestors([each])):
            side = scalar_side(term) if term and term.name == "multiply" else None
            word = term.site.operands[1 - side] if term and side is not None else ""
            if term and re.fullmatch(r"[\w.]+(\[[^]]*\])?", word):  # one name, and no square
                found[term] = f"{word} ** 2".join(term.site.text.rsplit(word, 1))
    if below and found:
        edits = [edit(each.site, new) for each, new in found.items()]
        yield (next(iter(found)), "the update", "the gradient's square belongs here", "** 2",
               {"edits": edits})  # fmt: skip


@check("update-wrong", "Kingma & Ba, Adam, 2015")
def by_size(seen: "Observer", mapping: Mapping, run: Run) -> Seen:
    """Divided by the root of their own mean squares, gradients give a first step of one length."""
    first = seen.first or mapping
    adaptive = [u for u in a_few(first.step.updates) if u.optimizer == "adaptive"]
    for each in adaptive if not first.step.number and not run.last.skill >= GOOD else ():
        sizes, steps = (np.abs(np.ravel(v.data)) for v in (each.gradient, each.delta))
        largest = np.max(sizes)
        if sizes.size != steps.size or np.ptp(sizes) == 0.0:
            continue
        clear = (steps > 0.0) & (sizes > LITTLE * largest) & np.isfinite(steps)
        x, y = np.log(sizes[clear]), np.log(steps[clear])
        if len(x) > 4 and abs(float(np.polyfit(x, y, 1)[0])) > UNEVEN:
            edits = [operand_edit(one, i, "1e-8") for one in first.step.operations
                     for i, v in enumerate(one.operands) if one.line == each.operation.line
                     and one.name == "add" and v.made_by is None and v.size == 1
                     and v.data > largest]  # fmt: skip
            remedy = "a far smaller number beside the root" if edits else "compare with its formula"
            yield (each.operation, first.names[each.parameter], "the first step is "
                   f"{np.exp(np.ptp(y)):.2g} times as long for some weights as for others",
                   remedy, {"edits": edits[:1]})  # fmt: skip


@check("update-wrong", "Kingma & Ba, Adam, 2015")
def vanishing_divisor(seen: "Observer", mapping: Mapping, run: Run) -> Seen:
    """1 - b**t goes to 1, and what it divides stays; (1 - b)**t goes to 0."""
    first, latest = (
        {each.site: each for each in (divide.operands[1].made_by for divide in some.step.operations
         if divide.name == "divide") if each and each.name == "power"}
        for some in (seen.first or mapping, mapping)
    )  # fmt: skip
    powers = {site: site.operands for site, each in first.items() if each.result.size == 1
              and site in latest and each.operands[0].made_by
              and each.operands[1].data != latest[site].operands[1].data}  # fmt: skip
    edits = [edit(site, f"(1 - {base.removeprefix('1 - ')} ** {exponent})")
             for site, (base, exponent) in powers.items() if base.startswith("1 - ")]  # fmt: skip
    for site in powers if edits else ():
        yield (None, "the update", f"{site}: it divides by a power that vanishes", "1 - b**t",
               {"edits": edits})  # fmt: skip


@check("update-wrong", "Kingma & Ba, Adam, 2015")
def kept_correction(seen: "Observer", mapping: Mapping, run: Run) -> Seen:
    """The correction is for one step. Kept, it is corrected again in the next, and grows."""
    found = dict[Operation, float]()
    for each in (seen.first or mapping).step.operations:
        mean = each.operands[0].made_by if each.name == "divide" else None
        own = each.site.kind == "in place" or in_source(each, 0) in each.result.names
        if mean and mean.name == "add" and own and each.operands[1].size == 1:
            gain = abs(origin(mean.operands[0])[1] / float(np.ravel(each.operands[1].data)[0]))
            if mean.operands[0].made_by and gain > 1.0:
                found[each] = gain
    for each, gain in found.items():
        yield (each, "the update", f"the mean of the steps before is kept {gain:.3g} times as "
               "large", "correct a copy, and keep the mean as it is",
               {"edits": apart(each.site for each in found)})  # fmt: skip


@check("update-wrong", GOODFELLOW)
def growing(seen: "Observer", mapping: Mapping, run: Run) -> Seen:
    """A penalty takes a part of the weights away. With the other sign they grow without end."""
    grown = [each for each, side in penalties(mapping) for update in mapping.step.updates
             if np.all(each.operands[side].data > 0.0) and update.old in each.operands
             and (each.result, 1) in made_of(update.parameter, mapping.step)]  # fmt: skip
    sums = [each.site for each in mapping.step.operations if each.name in ("add", "subtract")
            and {*each.operands} & {penalty.result for penalty in grown}]  # fmt: skip
    for each in grown:
        yield (each, "weights", "this penalty makes them larger", "the other sign",
               {"edits": [edit(site, turned(site)) for site in sums]})  # fmt: skip


@check("learning-rate-vanishes", RECIPE, "a rate that falls more slowly, or stays as it is")
def vanishing_rate(seen: "Observer", mapping: Mapping, run: Run) -> Seen:
    """Long before the network has learnt, its steps are too short to get anywhere."""
    first, last = [*seen.rates, 0.0][0], [0.0, *seen.rates][-1]
    if last >= 1e-2 * first or run.last.skill >= GOOD:
        return
    losses, short = [own for own, _ in seen.losses], sum(r > 0.1 * first for r in seen.rates)
    before, after = np.mean(losses[max(0, short - 16) : short]), np.mean(losses[short:])
    still_fell = 10 * seen.steps[short] < run.steps and before > 1.1 * after
    gone = sum(rate > NOTHING * first for rate in seen.rates)
    if still_fell or 2 * [*seen.steps, run.steps][gone] < run.steps:
        yield (mapping.step.updates[0].operation, "learning_rate", f"it falls from {first:.3g} to "
               f"{last:.3g} in {run.steps} steps")  # fmt: skip


@check("learning-rate-too-small", "Pascanu et al., On the difficulty of training, 2013")
def clipped(seen: "Observer", mapping: Mapping, run: Run) -> Seen:
    """A limit is for the few gradients that are far too large; here it makes every step short."""
    error, shares = {id(e.result) for e in [mapping.error] if e is not None}, list[float]()
    cuts = dict[int, tuple[Operation, int]]()  # by place: and the operand that is cut
    for each in mapping.step.operations if run.travelled() < FAR else ():
        side = scalar_side(each) if each.name in ("multiply", "divide") else None
        by_itself = side is not None and error & ancestors([each.operands[side]])
        if id(each.result) in mapping.cone and (each.name == "clip" or by_itself):
            slot = 0 if side is None else 1 - side
            after, before = (np.linalg.norm(v.data) for v in (each.result, each.operands[slot]))
            if 0.0 < after < LITTLE * before:
                cuts.setdefault(each.place, (each, slot))
                shares.append(float(after / before))
    edits = [edit(each.site, in_source(each, slot)) for each, slot in cuts.values()]
    for each, _ in cuts.values() if not run.last.skill >= GOOD else ():
        yield (each, "learning_rate", f"this leaves {shares[0]:.2g} of the gradient", "a larger "
               "limit, as large as usual gradients are", {"edits": edits})  # fmt: skip


@check("gradient-scale", BACKPROPAGATION)
def rate_again(seen: "Observer", mapping: Mapping, run: Run) -> Seen:
    """Steps are shorter by the rate, in each layer again."""
    new = {id(u.new) for u in mapping.step.updates}
    for update in a_few(mapping.step.updates) if not run.last.skill > GOOD else ():
        if update.old.size == 1:  # one of its factors may be the input
            continue
        rates = {text: n for text, n in update.scalars if n < 1.0 and text.isidentifier()}
        below = ancestors([update.gradient], stop=lambda v: id(v) in new)
        for each in mapping.step.operations:
            before = each.name == "multiply" and each.line != update.operation.line
            pairs = zip(each.operands, each.site.operands, strict=False)
            rest = [other for value, other in pairs if value.size > 1
                    or rates.get(other) != value.data]  # fmt: skip
            if before and id(each.result) in below and len(rest) == 1:
                yield (each, mapping.names[update.parameter], "the learning rate is multiplied in "
                       "here, and once more in the update", "multiply by it once, in the update",
                       {"edits": [edit(each.site, rest[0])]})  # fmt: skip


@check("prediction-wrong", "NumPy manual, Broadcasting")
def all_pairs(seen: "Observer", mapping: Mapping, run: Run) -> Seen:
    """The network may be right; each answer meets the targets of all rows."""
    used, step = seen.recorder.used, mapping.step.operations
    made = {id(each.result) for each in (*used, *step) if each.name in MIXING}
    for each in (*used, *(each for each in step if each.name == "equal")):
        for i in crossing(each) if each.name in ("equal", "not_equal", "subtract") else ():
            if len([value for value in each.operands if made & ancestors([value])]) == 1:
                sides = " meets ".join(str(value.shape) for value in each.operands)
                yield (each, "predictions", f"{sides}: the result is {each.result.shape}",
                       f"make one of shape {each.operands[i].shape}",
                       {"edits": [operand_edit(each, 1 - i, "np.ravel({})")]})  # fmt: skip


@check("prediction-wrong", "NumPy manual, argmax")
def wrong_axis(seen: "Observer", mapping: Mapping, run: Run) -> Seen:
    """The network may be right; what is made of its outputs is not."""
    way = -1 if run.columns else 1
    shapes = {each.shape[::way] for each in mapping.outputs if len(each.shape) == 2}
    for each in (*seen.recorder.used, *mapping.step.operations):
        shape = each.operands[0].shape[::way] if each.name == "argmax" and each.operands else ()
        alike = any(shape[1:] == known[1:] and known[0] > known[1] for known in shapes)
        if alike and shape[1] > 1 and shape[0] != shape[1] and each.result.shape == shape[1:]:
            right = re.sub(r"(?<=[=,( ])-?\d\)$", f"{int(way > 0)})", each.site.text)
            yield (each, "predictions", f"one answer for each of the {shape[1]} outputs, in place "
                   f"of the {shape[0]} samples", "take the argmax over the outputs of each sample",
                   {"edits": [edit(each.site, right)]})  # fmt: skip


@check("prediction-wrong", "NumPy manual, argmax and Indexing")
def misjudged(seen: "Observer", mapping: Mapping, run: Run) -> Seen:
    """The network may be right; the answers that are taken from its outputs are not."""
    everything = (*seen.recorder.used, *mapping.step.operations)
    made = {id(each.result) for each in everything if each.name in MIXING}
    for each in (e for e in everything if e.name == "equal" and not crossing(e)):
        for i, one in enumerate(each.operands):
            taken, labels = _taken(one, made), np.ravel(each.operands[1 - i].data)
            if taken is None or labels.size < ROWS_ALIKE or len(np.unique(labels)) < 2:
                continue
            for answers, text in _answers(taken[1].data, labels):
                right = {d: float(np.mean(answers + d == labels)) for d in (0, 1, -1)}
                best, own = max(right, key=lambda d: right[d]), float(np.mean(each.result.data))
                given = [e.result.data for e in everything if e.place == taken[0].place]
                same = all(np.ptp(np.asarray(a, dtype=float)) == 0.0 for a in given)  # no ROC
                if right[best] > GOOD and own < GOOD and (same or best):
                    new = text.format(in_source(*taken)) + ("", " + 1", " - 1")[best]
                    yield (taken[0], "predictions", f"{right[best]:.0%} of the answers would be "
                           f"right by {new}, as they are, {own:.0%}", new,
                           {"edits": [edit(taken[0].site, new)]})  # fmt: skip


def _taken(value: Value, made: set[int]) -> tuple[Operation, Value] | None:
    """Return what took answers from outputs, and these outputs."""
    found = None
    while (by := value.made_by) is not None and by.name not in MIXING:
        below = [each for each in by.operands if made & ancestors([each])]
        if not below:
            return None
        value, kind = below[0], np.asarray(by.result.data).dtype.kind
        if (kind in "iub" or by.name in ROUNDED) and np.asarray(value.data).dtype.kind == "f":
            found = by, value
    return found


def _answers(outputs: Any, labels: Any) -> Iterator[tuple[Any, str]]:
    """Yield what outputs say of each row, and how that is written."""
    classes = np.unique(labels)
    if outputs.size == labels.size and len(classes) == 2:
        limit = 0.5 * (np.min(outputs) >= 0.0)
        yield classes[1 * (np.ravel(outputs) > limit)], f"({{}} > {limit:g})"
    elif outputs.ndim == 2 and labels.size in outputs.shape:
        axis = int(outputs.shape[0] == labels.size)
        yield np.argmax(outputs, axis=axis), f"np.argmax({{}}, axis={axis})"


@check("rows-left-out", RECIPE, "shuffle the rows before they are split")
def unknown_class(seen: "Observer", mapping: Mapping, run: Run) -> Seen:
    """What the other rows would teach is never learnt."""
    way, taught = int(run.columns), mapping.targets[:1] if seen.same_rows else ()
    goals = next((value.data for value in taught if len(value.shape) == 2), np.empty((0, 0)))
    known = np.flatnonzero(np.ptp(goals, axis=way)) if np.size(goals) else np.empty(0)
    for each in (e for e in seen.recorder.used if e.name == "equal" and len(known) > 1):
        for labels in (v.data for v in each.operands if v.size >= ROWS_ALIKE):
            new = {*np.unique(labels).tolist()} - {*known.tolist()}
            if labels.dtype.kind in "iu" and new and {*new} < {*range(goals.shape[1 - way])}:
                yield (each, "targets", f"class {min(new)} of these rows is that of no row that "
                       "was trained on")  # fmt: skip


@check("prediction-wrong", RECIPE, "bring predictions back to the targets' unit: p * std + mean")
def other_units(seen: "Observer", mapping: Mapping, run: Run) -> Seen:
    """Outputs are on the scale of the targets that were trained on."""
    products, goals = [e for e in seen.recorder.used if e.name in MIXING], run.data.goals
    made = {id(each.result) for each in products}
    within = ancestors(value for each in products for value in each.operands)
    goals = np.std(goals) if np.unique(goals).size > ROWS_ALIKE else 0.0  # and no classes
    for each in (e for e in seen.recorder.used if e.name == "subtract" and not crossing(e)):
        mine = [bool(made & ancestors([v])) for v in each.operands if v.size >= ROWS_ALIKE]
        if goals and sorted(mine) == [False, True] and id(each.result) not in within:
            own, other = (np.std(each.operands[mine.index(way)].data) for way in (True, False))
            if 1 / UNIT < own / goals < UNIT and not 1 / UNIT**2 < other / goals < UNIT**2:
                yield (each, "predictions", f"they have a standard deviation of {own:.3g}, as "
                       f"targets had in training ({goals:.3g}); these have {other:.3g}"
                       )  # fmt: skip


@check("prediction-wrong", "Ioffe and Szegedy, Batch normalization, 2015, section 3.1",
       "keep running averages of means and variances in training, and use them")  # fmt: skip
def own_statistics(seen: "Observer", mapping: Mapping, run: Run) -> Seen:
    """One sample is its own mean: normalised by it, all samples are alike."""
    below, way = ancestors(mapping.outputs), -1 if run.columns else 1
    rows = {each.place: each.operands[0].shape[::way] for each in mapping.step.operations
            if each.name in ("mean", "var", "std") and id(each.result) in below
            and each.result.shape[::way][:1] != each.operands[0].shape[::way][:1]}  # fmt: skip
    further = {id(value) for each in seen.recorder.used for value in each.operands}
    for each in (e for e in seen.recorder.used if e.place in rows and id(e.result) in further):
        rest = each.operands[0].shape[::way][:1] == (1,) and each.result.size > 1
        if rest and rows[each.place][0] > 1:
            yield (each, "predictions", f"it is taken over 1 sample, in training over "
                   f"{rows[each.place][0]}")  # fmt: skip


@check("dropout-at-prediction", "Srivastava et al., Dropout, 2014",
       "leave the mask out where the network is only used")  # fmt: skip
def dropout_kept(seen: "Observer", mapping: Mapping, run: Run) -> Seen:
    """Dropout belongs to training. At prediction all units count."""
    if seen.served_mask is not None:
        yield seen.served_mask, "predictions", "units are dropped at random in predictions, too"
