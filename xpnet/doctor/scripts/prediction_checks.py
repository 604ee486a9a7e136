"""What is made of a network's outputs, and said of new rows: checks, as those of `checks.py`."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from xpnet.doctor.rules.rule import RECIPE
from xpnet.doctor.run import GOOD, Run
from xpnet.doctor.scripts.checks import ROWS_ALIKE, Seen, check, crossing
from xpnet.doctor.scripts.gradients.variants import is_made_by
from xpnet.doctor.scripts.mapping import Roles, in_source
from xpnet.doctor.scripts.observe import Observer
from xpnet.doctor.scripts.recording.steps import Operation, Value
from xpnet.doctor.scripts.recording.updates import (
    MIXING,
    ancestors,
    maker,
    origin,
    random_masks,
    scalar_side,
)
from xpnet.doctor.scripts.repairs.edits import edit, operand_edit
from xpnet.doctor.scripts.telling import SEEN

UNIT = 3.0  # times a standard deviation, up to which another one is of the same unit
ROUNDED = ("round", "rint", "around", "floor", "ceil", "trunc", "sign")


def _sums(operations: Iterable[Operation]) -> set[Value]:
    """Return weighted sums: what is made of them comes from a network."""
    return {each.result for each in operations if each.name in MIXING}


@check("prediction-wrong", "NumPy manual, Broadcasting")
def all_pairs(seen: Observer, roles: Roles, run: Run) -> Seen:
    """The network may be right; each answer meets the targets of all rows."""
    used, step = seen.recorder.used, roles.step.operations
    made = _sums((*used, *step))
    for each in (*used, *(e for e in step if e.name == "equal")):
        if each.name not in ("equal", "not_equal", "subtract"):
            continue
        for i in crossing(each):
            if len([value for value in each.operands if made & ancestors([value])]) == 1:
                sides = " meets ".join(str(value.shape) for value in each.operands)
                yield (each, "predictions", f"{sides}: the result is {each.result.shape}",
                       f"make one of shape {each.operands[i].shape}",
                       [operand_edit(each, 1 - i, "np.ravel({})")])  # fmt: skip


@check("gradient-activation-derivative", SEEN, "1 / (1 + np.exp(-z))")
def falling_sigmoid(seen: Observer, roles: Roles, run: Run) -> Seen:
    """The derivative a * (1 - a) is that of the sigmoid that rises."""
    for layer in roles.layers:
        if is_made_by("sigmoid", layer) or not is_made_by("sigmoid", layer, -1.0):
            continue
        made, activated = layer.product.operands, layer.activations.made_by
        negated = any(value.made_by.name == "negative" for value in made)  # np.exp(-x @ w)
        if not negated and not _is_one(activated):
            yield (activated, "activations", "this sigmoid falls: it lacks the "
                   "minus of exp(-z)")  # fmt: skip


@check("softmax-axis", "SciPy, scipy.special.softmax (axis)",
       "one output needs a sigmoid: 1 / (1 + np.exp(-z))")  # fmt: skip
def one_softmax(seen: Observer, roles: Roles, run: Run) -> Seen:
    """A single output gets all that softmax shares out: it is 1, whatever the weights are."""
    if len(roles.outputs) != 1 or not roles.layers:
        return
    made, p = roles.outputs[0].made_by, run.last.predictions
    if _is_one(made) and p.shape[1] == 1 < len(p):
        z = roles.layers[-1].pre_activations
        before = ancestors([made.result])
        sums = [in_source(each, z) for each in roles.step.operations
                if z in each.operands and each.result in before
                and each.site.function == made.site.function]  # fmt: skip
        edits = []
        if sums and made.site.kind != "in place":  # where only the powers are left
            edits = [edit(made.site, f"1 / (1 + np.exp(-{sums[0]}))")]
        yield made, "predictions", "the only output of each sample is divided by itself", "", edits


def _is_one(made: Operation) -> bool:
    """Return whether an operation divides a value by itself, as the sum over a single output."""
    if made.name != "divide" or made.operands[0].size == 1:
        return False
    return np.array_equal(made.operands[0].data, made.operands[1].data)


@check("prediction-wrong", "NumPy manual, argmax")
def wrong_axis(seen: Observer, roles: Roles, run: Run) -> Seen:
    """The network may be right; what is made of its outputs is not."""
    way = -1 if run.columns else 1
    shapes = {each.shape[::way] for each in roles.outputs if len(each.shape) == 2}
    for each in (*seen.recorder.used, *roles.step.operations):
        shape = each.operands[0].shape[::way] if each.name == "argmax" and each.operands else ()
        alike = any(shape[1:] == known[1:] and known[0] > known[1] for known in shapes)
        if alike and shape[1] > 1 and shape[0] != shape[1] and each.result.shape == shape[1:]:
            right = re.sub(r"(?<=[=,( ])-?\d\)$", f"{int(way > 0)})", each.site.text)
            yield (each, "predictions", f"one answer for each of the {shape[1]} outputs, in place "
                   f"of the {shape[0]} samples", "take the argmax over the outputs of each sample",
                   [edit(each.site, right)])  # fmt: skip


@check("prediction-wrong", "NumPy manual, argmax and Indexing")
def misjudged(seen: Observer, roles: Roles, run: Run) -> Seen:
    """The network may be right; the answers that are taken from its outputs are not."""
    everything = (*seen.recorder.used, *roles.step.operations)
    names = {(value.shape, name) for value in roles.outputs for name in value.names}
    made = _sums(everything) | {
        value for e in seen.recorder.used for i, value in enumerate(e.operands)
        if not value.made_by and (value.shape, in_source(e, i)) in names
    }  # fmt: skip
    for each in (e for e in everything if e.name == "equal" and not crossing(e)):
        for i, value in enumerate(each.operands):
            taken, labels = _taken(value, made), np.ravel(each.operands[1 - i].data)
            if taken is None or labels.size < ROWS_ALIKE or len(np.unique(labels)) < 2:
                continue
            for answers, text in _answers(taken[1].data, labels):
                right = {d: float(np.mean(answers + float(d) == labels)) for d in (0, 1, -1)}
                best, own = max(right, key=lambda d: right[d]), float(np.mean(each.result.data))
                given = [e.result.data for e in everything if e.place == taken[0].place]
                # Unlike the thresholds of a ROC curve, of which some tell rows apart.
                constant = all(np.ptp(np.asarray(a, dtype=float)) == 0.0 for a in given)
                if right[best] > GOOD and own < GOOD and (constant or best):
                    new = text.format(in_source(*taken)) + ("", " + 1", " - 1")[best]
                    yield (taken[0], "predictions", f"{right[best]:.0%} of the answers would be "
                           f"right with {new}; as it is, {own:.0%} are", new,
                           [edit(taken[0].site, new)])  # fmt: skip


def _taken(value: Value, made: set[Value]) -> tuple[Operation, Value] | None:
    """Return what took answers from outputs, and these outputs."""
    found = None
    while (by := value.made_by) and by.name not in MIXING:
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
        limit = 0.5 if np.min(outputs) >= 0.0 else 0.0
        yield classes[(np.ravel(outputs) > limit).astype(int)], f"({{}} > {limit:g})"
    elif outputs.ndim == 2 and labels.size in outputs.shape:
        axis = int(outputs.shape[0] == labels.size)
        yield np.argmax(outputs, axis=axis), f"np.argmax({{}}, axis={axis})"


@check("rows-left-out", RECIPE, "shuffle the rows before they are split")
def unknown_class(seen: Observer, roles: Roles, run: Run) -> Seen:
    """What the other rows would teach is never learnt."""
    target = next(iter(roles.targets), None)
    if not seen.same_rows or target is None or len(target.shape) != 2 or not target.size:
        return
    row_axis, goals = int(run.columns), target.data
    known = np.flatnonzero(np.ptp(goals, axis=row_axis))  # the classes that some rows have
    if len(known) < 2:
        return
    for each in (e for e in seen.recorder.used if e.name == "equal"):
        for labels in (v.data for v in each.operands if v.size >= ROWS_ALIKE):
            new = {*np.unique(labels).tolist()} - {*known.tolist()}
            if labels.dtype.kind in "iu" and new and {*new} < {*range(goals.shape[1 - row_axis])}:
                yield (each, "targets", f"class {min(new)} occurs here, but in no row that was "
                       "trained on")  # fmt: skip


@check("prediction-wrong", RECIPE, "bring predictions back to the targets' unit: p * std + mean")
def other_units(seen: Observer, roles: Roles, run: Run) -> Seen:
    """Outputs are on the scale of the targets that were trained on."""
    if np.unique(run.data.goals).size <= ROWS_ALIKE:  # these are classes
        return
    unit = np.std(run.data.goals)
    products = [e for e in seen.recorder.used if e.name in MIXING]
    made = _sums(products)
    within = ancestors(value for each in products for value in each.operands)
    for each in (e for e in seen.recorder.used if e.name == "subtract" and not crossing(e)):
        mine = [bool(made & ancestors([v])) for v in each.operands if v.size >= ROWS_ALIKE]
        if sorted(mine) == [False, True] and each.result not in within:
            own, other = (np.std(each.operands[mine.index(way)].data) for way in (True, False))
            if 1 / UNIT < own / unit < UNIT and not 1 / UNIT**2 < other / unit < UNIT**2:
                yield (each, "predictions", f"their standard deviation is {own:.3g}, like that of "
                       f"the training targets ({unit:.3g}); that of these targets is {other:.3g}"
                       )  # fmt: skip


@check("prediction-wrong", "Ioffe and Szegedy, Batch normalization, 2015, section 3.1",
       "keep running averages of means and variances in training, and use them")  # fmt: skip
def own_statistics(seen: Observer, roles: Roles, run: Run) -> Seen:
    """One sample is its own mean: normalised by it, all samples are alike."""
    below, way = ancestors(roles.outputs), -1 if run.columns else 1
    rows = {each.place: each.operands[0].shape[::way] for each in roles.step.operations
            if each.name in ("mean", "var", "std") and each.result in below
            and each.result.shape[::way][:1] != each.operands[0].shape[::way][:1]}  # fmt: skip
    further = {value for each in seen.recorder.used for value in each.operands}
    for each in (e for e in seen.recorder.used if e.place in rows and e.result in further):
        rest = each.operands[0].shape[::way][:1] == (1,) and each.result.size > 1
        if rest and rows[each.place][0] > 1:
            yield (each, "predictions", f"it is taken over 1 sample, in training over "
                   f"{rows[each.place][0]}")  # fmt: skip


@check("prediction-drift", RECIPE, "use the mean and the deviation of the training rows",
       severity="warning")  # fmt: skip
def own_scale(seen: Observer, roles: Roles, run: Run) -> Seen:
    """The network knows rows by how far they are from the mean it was trained with."""
    first = seen.first.step.operations
    made, trained = {id(e.result.object): e.result for e in first}, ancestors(seen.first.inputs)
    means = [e for e in (*first, *seen.recorder.used) if e.name == "mean" and e.operands]
    known = [e for e in means if e.result in trained and e.result.size < e.operands[0].size]
    if not known:
        return
    for value, _ in seen.served():
        given = made.get(id(value.object), value) if not value.made_by else value
        below = ancestors([given])
        for each in (e for e in means if e.result in below - trained):
            same = [np.array_equal(each.result.data, other.result.data) for other in known]
            if each.operands[0].shape == given.shape and not any(same):
                yield (each, "inputs at prediction", f"these {given.shape} are scaled by a mean of "
                       f"their own, those of training by that of {known[0].site}")  # fmt: skip


@check("dropout-at-prediction", "Srivastava et al., Dropout, 2014",
       "leave the mask out where the network is only used")  # fmt: skip
def dropout_kept(seen: Observer, roles: Roles, run: Run) -> Seen:
    """Dropout belongs to training. At prediction all units count."""
    made = [value for each in seen.recorder.used if each.name in MIXING for value in each.operands]
    within = ancestors(made)
    for each, slot in random_masks(seen.recorder.used):
        if np.min(each.operands[slot].data) == 0 and each.result in within:  # not all are kept
            yield each, "predictions", "units are dropped at random in predictions, too"


@check("dropout-at-prediction", "Srivastava et al., Dropout, 2014",
       "divide the mask by the share that is kept")  # fmt: skip
def unscaled_mask(seen: Observer, roles: Roles, run: Run) -> Seen:
    """Where all units count, their sums are larger than those that the next layer has learnt."""
    if not seen.served():
        return
    forward = ancestors(roles.outputs)
    ahead = (*(e for e in roles.step.operations if e.result in forward), *seen.recorder.used)
    sides = ((e, scalar_side(e)) for e in ahead if e.name in ("multiply", "divide"))
    numbers = [e.operands[side].number for e, side in sides if side is not None]
    for each, slot in random_masks(roles.step.operations):
        made, kept = maker(each.operands[slot]), np.mean(each.operands[slot].data)
        hidden = each.result in forward and roles.depends(each.operands[1 - slot])
        singles = ((i, v.number) for i, v in enumerate(made.operands) if v.size == 1)
        for i, p in ((i, p) for i, p in singles if 0.0 < p < 1.0):
            shares = p, 1.0 - p
            scaled = any(np.isclose([n, n * s], [s, 1.0]).any() for n in numbers for s in shares)
            if hidden and not scaled and np.max(each.operands[slot].data) == 1:
                word = in_source(made, i)
                word = word if abs(p - kept) < abs(1.0 - p - kept) else f"(1 - {word})"
                yield (each, "predictions", f"{kept:.0%} of the units are kept in training, all at "
                       "prediction, and nothing is scaled", "",
                       [edit(made.site, f"(({made.site.text}) / {word})")])  # fmt: skip


@check("prediction-wrong", "Ioffe and Szegedy, Batch normalization, 2015, section 3.1")
def by_variance(seen: Observer, roles: Roles, run: Run) -> Seen:
    """In training, features are divided by their deviation, which is the root of the variance."""
    step, kept = roles.step.operations, set[str]()
    roots = ancestors(each.result for each in step if each.name == "sqrt")
    for each in (e for e in step if e.name == "add" and all(v.size > 1 for v in e.operands)):
        made = [maker(value) for value in each.operands]
        if any(e.name in ("var", "mean") and e.result in roots for e in made):
            kept |= {*each.result.names, each.site.operands[0]}
    for each in (e for e in (*seen.recorder.used, *step) if e.name == "divide"):
        divisor = each.operands[1].made_by
        terms = divisor.site.operands if divisor.name == "add" else ()
        if kept & {in_source(each, 1), *terms}:
            yield (each, "predictions", "it divides by a running variance, training by its root",
                   "take the root", [operand_edit(each, 1, "np.sqrt({})")])  # fmt: skip


@check("prediction-wrong", "Ioffe and Szegedy, Batch normalization, 2015, section 3.1",
       "keep what this gives where prediction reads it: self.mean = ...")  # fmt: skip
def not_kept(seen: Observer, roles: Roles, run: Run) -> Seen:
    """A running average that each step begins anew is none: predictions get what it began with."""
    first, now = seen.first.step, roles.step
    if now is first:
        return
    read = {id(value.object) for each in seen.recorder.used for value in each.operands}
    further = {value for each in now.operations for value in each.operands}
    began = {(e.place, id(v.object)): v.data for e in first.operations for v in _averaged(e)}
    for each in (e for e in now.operations if e.result not in further):
        for value in _averaged(each):
            old = began.get((each.place, id(value.object)))
            if old is not None and id(value.object) in read and np.array_equal(old, value.data):
                yield (each, "predictions", f"after {now.number} steps it still begins from the "
                       "same numbers, and so do predictions")  # fmt: skip


def _averaged(operation: Operation) -> Iterator[Value]:
    """Yield the arrays into which an operation takes up a mean or a variance."""
    sides = operation.operands if operation.name == "add" else ()
    for one, other in zip(sides, sides[::-1], strict=True):
        if maker(one).name in ("mean", "var") and one.shape == other.shape != ():
            yield origin(other)[0]
