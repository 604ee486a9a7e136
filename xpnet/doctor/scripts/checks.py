"""What the doctor's rules cannot see in arrays alone, and a script's operations show.

A check is a rule that is given what was seen of the script, the roles in its latest step, and the
run. It yields operation, place and evidence, and perhaps a remedy, and edits or other changes, of
its own; the first counts.
"""

import ast
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from xpnet.doctor.rules.data import relation
from xpnet.doctor.rules.rule import BACKPROPAGATION, GOODFELLOW, NIELSEN, RECIPE, Rule, rule
from xpnet.doctor.run import GOOD, Run
from xpnet.doctor.scripts.gradients.conclusions import swapped
from xpnet.doctor.scripts.mapping import VIEWS, Roles, a_few, in_source, listed
from xpnet.doctor.scripts.observe import Observer
from xpnet.doctor.scripts.recording.source import tree
from xpnet.doctor.scripts.recording.steps import NOTHING, Operation, Update, Value
from xpnet.doctor.scripts.recording.updates import (
    MIXING,
    ancestors,
    changes_given,
    descendants,
    fills_buffer,
    lost,
    maker,
    origin,
)
from xpnet.doctor.scripts.repairs.edits import (
    IN_PLACE,
    NOT_IN_PLACE,
    Edit,
    as_floats,
    at_sites,
    caught,
    changed,
    edit,
    moved,
    operand_edit,
    rewrite,
)
from xpnet.doctor.scripts.repairs.sizes import undivided
from xpnet.doctor.scripts.telling import SEEN
from xpnet.doctor.step import grouped

ROWS_ALIKE = 16  # of one class, one after the other, that are no chance
LONG_SUM = 20.0  # rate, times the rows that are summed
LOST = 0.2  # correlation with the targets that inputs may lose on their way
APART = 30.0  # times the usual standard deviation of a feature, of another unit
UNCOPIED = [("_x.copy()", "_x"), ("np.array(_x)", "_x"), ("np.copy(_x)", "_x")]
RANDOM = re.compile(r"rand|uniform|normal")

NETWORK, FAILURE = ("network",), ("network", "failure")  # what a check may need

Seen = Iterator[tuple[Any, ...]]


def check(
    code: str, source: str, remedy: str = "", *, needs: Sequence[str] = NETWORK, severity: str = ""
) -> Callable[[Callable[[Observer, Roles, Run], Seen]], Rule]:
    """Make a rule for what was mapped, for that alone which fails, or for all that was computed."""
    return rule(code, source=source, remedy=remedy, needs=needs, severity=severity)


@check("loss-broadcast", "NumPy manual, Broadcasting", needs=())
def crossed(seen: Observer, roles: Roles, run: Run) -> Seen:
    """Each output meets the targets of all rows, and nothing after that fits."""
    if roles:
        return
    for difference in (each for each in seen.recorder.used if each.name == "subtract"):
        for i in crossing(difference):
            shapes = [value.shape for value in difference.operands]
            said = f"{shapes[0]} - {shapes[1]} is {difference.result.shape}"
            edits = [operand_edit(difference, i, "np.reshape({}, (-1, 1))")]
            yield difference, "targets", said, f"make one of shape {shapes[1 - i]}", edits


def crossing(operation: Operation) -> list[int]:
    """Return which operand is a mere row, if the other one is a column of as many numbers."""
    shapes = [value.shape for value in operation.operands[:2]]
    return [i for i, shape in enumerate(shapes)
            if len(shape) == 1 < shape[0] and shapes[1 - i] == (shape[0], 1)]  # fmt: skip


@check("weights-redrawn", NIELSEN, "draw the initial weights once, before the loop",
       needs=())  # fmt: skip
def redrawn(seen: Observer, roles: Roles, run: Run) -> Seen:
    """With the weights, all that was learnt is gone."""
    if again := seen.recorder.redrawn:
        yield again, "weights", "what is updated here was drawn anew in the same step"
    draws = seen.recorder.draws
    if not draws.again or run.learnt:
        return
    for _, size, source in _batches(roles):
        if (draws.after - 1) * size < source.size:  # several trainings have several epochs
            yield (draws.again, "weights", f"they are drawn anew after {draws.after} steps, in "
                   "which no row was seen twice")  # fmt: skip


@check("no-update", "Python FAQ, Why did changing list y also change list x?", needs=())
def lost_update(seen: Observer, roles: Roles, run: Run) -> Seen:
    """Setting a name, of an argument or in a loop, does not reach what the network keeps."""
    updates = seen.recorder.pattern
    others = [each for each in roles.step.operations if each.place not in updates]
    first = seen.first.step.operations
    start = {id(value.object) for each in first for value in each.operands}  # what stays as it was
    kept = [e for e in lost(others, times=1) if id(origin(e.operands[0])[0].object) in start]
    found = seen.recorder.lost or kept
    if not found:
        return
    old, sites = found[0].site.operands[0], [each.site for each in found]
    copied = [e.operands[0].made_by for e in found if e.site.kind == "in place"]
    for made in (e for e in copied if e.name in ("copy", "array")):
        yield (made, old, f"what {sites[0]} changes is this copy; the weights stay as they were",
               "hand on the arrays themselves, without copying them",
               at_sites([made.site], UNCOPIED))  # fmt: skip
    yield (found[0], old, "nothing uses the result of this step, and the weights stay as they "
           "were", f"{old} -= ...   # in place; or put the new array where the old one is kept",
           caught(sites[0]) or at_sites(sites, IN_PLACE))  # fmt: skip


@check("integer-parameters", "NumPy manual, Data types")
def integers(seen: Observer, roles: Roles, run: Run) -> Seen:
    """Steps are fractions; an integer array drops them."""
    if cut := seen.recorder.cut:
        owner, made = re.sub(r"\[[^][]*\]$", "", cut.site.operands[0]), maker(cut.operands[0])
        while made.index is not None and made.result.object is cut.result.object:
            made = maker(made.operands[0])  # other parts of it were changed since
        yield (cut, owner, "fractions are put into an array of whole numbers, and cut off",
               f"{owner} = {owner}.astype(float)   # where it is made",
               [as_floats(made.site)] if made else [])  # fmt: skip


@check("shared-parameters", "Python FAQ, How do I create a multidimensional list?")
def shared(seen: Observer, roles: Roles, run: Run) -> Seen:
    """What is one array cannot learn two things."""
    arrays = {u.parameter: u for u in roles.step.updates
              if isinstance(u.new.object, np.ndarray) and u.operation.index is None}  # fmt: skip
    for n, m in ((n, m) for n in arrays for m in arrays if m < n):
        if arrays[m].new.object is arrays[n].new.object:
            first, second = roles.names[m], roles.names[n]
            yield (arrays[n].operation, f"{first} and {second}", "they are one array, so that each "
                   "step changes both",
                   f"{second} = {first}.copy()   # before training; [W] * 2 holds one array twice"
                   )  # fmt: skip


@check("shared-parameters", "Python FAQ, How do I create a multidimensional list?",
       "make them one by one")  # fmt: skip
def one_object(seen: Observer, roles: Roles, run: Run) -> Seen:
    """What is one object cannot learn two things."""
    nodes = [*ast.walk(tree(roles.file) if roles else ast.Module([], []))]
    classes = {n.name: any("self." in ast.unparse(s.targets[0]) and _calls(s.value)
                           for s in ast.walk(n) if isinstance(s, ast.Assign))
               for n in nodes if isinstance(n, ast.ClassDef)}  # fmt: skip
    # What keeps weights, that it makes or is given, must not be shared; an activation may be.
    own = {name for name, holds in classes.items() if holds}
    for each in nodes:  # functions that make one
        match each:
            case ast.FunctionDef(function, body=[*_, ast.Return(ast.Call(ast.Name(name)) as made)]):
                given = [*made.args, *(one.value for one in made.keywords)]
                holds = name in own or (name in classes and any(map(_calls, given)))
                if holds:
                    own.add(function)
    for each in nodes:
        match each:
            case ast.BinOp(ast.List([ast.Call(ast.Name(name)) as made]), ast.Mult(), times):
                new = f"[{ast.unparse(made)} for _ in range({ast.unparse(times)})]"
                if name in own:
                    yield (NOTHING, "weights", f"line {each.lineno}, {ast.unparse(each)}: a list "
                           "times a number holds one object that often", new,
                           [changed(roles.file, each, new)])  # fmt: skip


def _calls(node: ast.AST) -> bool:
    return any(isinstance(each, ast.Call) for each in ast.walk(node))


@check("data-changed", "NumPy manual, Copies and views", needs=FAILURE)
def changed_data(seen: Observer, roles: Roles, run: Run) -> Seen:
    """What is lost from the data in one step is lost for all."""
    inputs, targets = roles.inputs, roles.targets if roles.inputs else ()
    data, reached = {value.base or value for value in inputs + targets}, ancestors(inputs)
    for operation in roles.step.operations:
        before = next(iter(operation.operands), operation.result)
        used = before in data or operation.result in reached
        trained = before in roles.states or id(before.object) in seen.recorder.also_trained
        if not used or trained or before.size < 2:
            continue
        if changes_given(operation, before) and not fills_buffer(operation):
            yield (operation, "inputs", "changes the data in place, and with them what all later "
                   "steps get", "work on a copy",
                   at_sites([operation.site], NOT_IN_PLACE))  # fmt: skip


@check("no-update", BACKPROPAGATION, "update these weights by it")
def unused_gradient(seen: Observer, roles: Roles, run: Run) -> Seen:
    """What no step changes stays as it was, and the rest must do without it."""
    never, gradients = _never_updated(seen)
    if not gradients:
        return
    shapes = {each.result.shape[::way] for each in gradients for way in (1, -1)}
    left = {value: text for value, text in never.items() if value.shape in shapes}
    said = f"its gradient is computed, {gradients[0].site}, but never used"
    yield roles.step.updates[0].operation, *_left_out(left, roles, said)


@check("no-update", BACKPROPAGATION, "update it, too, if it is to learn", needs=FAILURE,
       severity="warning")  # fmt: skip
def never_updated(seen: Observer, roles: Roles, run: Run) -> Seen:
    """What is drawn at random and never changed may not be what the targets need."""
    never, gradients = _never_updated(seen)
    drawn = {value: text for value, text in never.items() if _is_drawn(value)}
    if drawn and not gradients:
        said = "no update changes that"
        yield roles.step.updates[0].operation, *_left_out(drawn, roles, said)


def _left_out(never: dict[Value, str], roles: Roles, said: str) -> tuple[str, str]:
    """Say which weights are in no update, as the place and the evidence of a finding."""
    words = ", ".join(f"{text} {value.shape}" for value, text in never.items())
    return ", ".join(dict.fromkeys(never.values())), (
        f"only {listed(roles.names)} are updated; the outputs also depend on {words}; {said}"
    )


def _never_updated(seen: Observer) -> tuple[dict[Value, str], list[Operation]]:
    """Return weights that make the outputs, and gradients of their shapes, both in no update."""
    roles, never = seen.first, dict[Value, str]()  # there, values know where they were drawn
    row_axis = -1 if seen.doctor.run.columns else 0
    rows = {each.shape[row_axis] for each in roles.outputs if each.shape}
    if not rows or roles.others or seen.recorder.another:
        return never, []
    below = ancestors(roles.outputs[:1])
    products = [e for e in roles.step.operations if e.name in MIXING and len(e.operands) == 2]
    later = grouped((each.place, each) for each in seen.latest.step.operations)
    for each in (product for product in products if product.place in later):
        for weights, inputs in (each.operands, each.operands[::-1]):
            fixed = len(weights.shape) == 2 and not rows & {*weights.shape}
            fixed = fixed and not roles.depends(weights)
            given = each.result in below and (len(inputs.shape) == 1 or rows & {*inputs.shape})
            if fixed and given and _stays(each, weights, later, seen):
                never[weights] = in_source(each, weights)
    used = {value for each in roles.step.operations for value in each.operands} | roles.states
    shapes = {value.shape[::way] for value in never for way in (1, -1)}
    ours = [each for each in products if each.result not in used and each.result.shape in shapes]
    return never, [each for each in ours if roles.errors & ancestors([each.result])]


def _stays(
    product: Operation, factor: Value, later: dict[int, list[Operation]], seen: Observer
) -> bool:
    """Return whether a factor is the same in the latest step, and now, under its name, too."""
    text = in_source(product, factor)
    now = [names[text] for names in seen.recorder.modules if text in names]
    now += [value.data for each in later[product.place] for value in each.operands
            if not seen.latest.depends(value)]  # fmt: skip
    alike = (each for each in (factor.object, *now) if np.shape(each) == factor.shape)
    return all(np.array_equal(each, factor.data) for each in alike)


def _is_drawn(value: Value) -> bool:
    """Return whether a value is drawn at random, but for numbers that it is shifted by."""
    made = maker(value)
    while made.name in ("add", "subtract") and made.operands[0].size != made.operands[1].size:
        made = maker(max(made.operands, key=lambda each: each.size))
    return bool(RANDOM.search(made.name))


@check("normalised-per-row", RECIPE)
def per_row(seen: Observer, roles: Roles, run: Run) -> Seen:
    """It takes away how large a sample is, and mixes features that have different units."""
    if not run.last.skill < GOOD:  # or if it is nan
        return
    way, found = -1 if run.columns else 1, list[Operation]()
    below = ancestors(seen.first.inputs)
    for each in seen.first.step.operations:
        data = each.operands[0].shape[::way] if each.operands else ()
        if each.result not in below or len(data) != 2 or not data[0] > data[1] > 1:
            continue
        spread = np.std(each.operands[0].data, axis=int(run.columns))
        of_all = each.result.size == 1 and np.max(spread) > APART * np.median(spread) > 0.0
        if each.name in ("mean", "std", "max", "min") and (each.result.size == data[0] or of_all):
            found.append(each)
        elif each.name == "divide" and each.operands[1].shape[::way] == (data[0], 1):
            before, after = _relations(each, run)
            if each.operands[0] in ancestors(each.operands[1:]) and before > after + LOST:
                yield (each, "inputs", f"before it, each row's neighbours predict its target with "
                       f"a correlation of {before:.2f}, after it {after:.2f}", "leave it out",
                       [edit(each.site, in_source(each, 0))])  # fmt: skip
    axes = f"axis={int(not run.columns)}", f"axis={int(run.columns)}"
    edits = [edit(each.site, each.site.text.replace(*axes)) for each in found]
    for each in found:
        what = "all features together" if each.result.size == 1 else "each sample's features"
        yield (each, "inputs", f"it is taken over {what}",
               "take the mean and the deviation of each feature, over all samples",
               edits if axes[0] in each.site.text else [])  # fmt: skip


def _relations(divided: Operation, run: Run) -> tuple[float, float]:
    """Return how inputs predict their targets before and after an operation, by nearest rows."""
    inputs, goals = run.data.inputs, run.data.goals
    if inputs is None or goals is None or len(inputs) != len(goals):
        return 0.0, 0.0
    before, after = (np.asarray(each.data, dtype=float) for each in
                     (divided.operands[0], divided.result))  # fmt: skip
    before, after = (before.T, after.T) if run.columns else (before, after)
    places = {row.tobytes(): i for i, row in enumerate(np.ascontiguousarray(after))}
    x, keep = np.unique(np.asarray(inputs, dtype=float), axis=0, return_index=True)
    found = [places.get(row.tobytes(), -1) for row in x]
    if min(found) < 0:
        return 0.0, 0.0
    return relation(before[found], goals[keep]), relation(x, goals[keep])


@check("shuffled-targets", "NumPy manual, reshape")
def reshaped(seen: Observer, roles: Roles, run: Run) -> Seen:
    """It takes the numbers row by row: each new column holds pieces of several samples."""
    first, found, edits = seen.first, list[Operation](), list[Edit]()
    below = ancestors((*first.inputs, *first.targets))
    for each in first.step.operations:
        old, new = each.operands[0].shape if each.operands else (), each.result.shape
        if each.name != "reshape" or first.depends(each.result) or len(new) != 2 or len(old) < 2:
            continue
        way = 1 if run.columns else -1
        samples, other, now = old[::way][0], old[::way][-1], new[::-way][0]
        if samples == now != other and min(old) > 1:
            words, file = in_source(each, 0), each.site.file
            sizes = "len(_x), -1" if run.columns else f"-1, {samples}"
            pattern = re.sub(rf"(?<![\w.]){re.escape(words)}(?!\w)", "_x", each.site.text)
            edits += rewrite(file, tree(file), pattern, f"_x.reshape({sizes}).T")  # test data, too
            found.append(each)
    for each in (e for e in found if e.result in below):
        said = f"reshape of {each.operands[0].shape} into {each.result.shape} does not transpose"
        yield each, "inputs", said, "use .T", edits


@check("gradient-accumulated", "PyTorch, torch.optim.Optimizer.zero_grad", "set all gradients to 0 "
       "before each step", needs=FAILURE)  # fmt: skip
def never_cleared(seen: Observer, roles: Roles, run: Run) -> Seen:
    """They still contain those of earlier steps. Steps grow, and point where the loss fell."""
    for update in roles.step.updates:
        value, last, times = update.gradient, update.gradient.made_by, 0
        while value.made_by.name == "add" and value.made_by.index is None:
            times += value.made_by.site is last.site
            value = value.made_by.operands[0]
        if not last.operands or value.made_by or value in roles.states:
            continue
        added = maker(last.operands[-1])
        sag = added.name == "subtract" and roles.errors & ancestors(added.operands[:1])
        itself = last.site.kind == "in place" or last.site.operands[0] in update.gradient.names
        itself = itself or times > 1  # in a list, one after the other
        if itself and not sag and value.shape == update.new.shape and np.any(value.data):
            yield last, roles.names[update.parameter], "it is added to that of the step before"


@check("unshuffled-rows", RECIPE, "take the rows in an order drawn anew in each epoch")
def unshuffled(seen: Observer, roles: Roles, run: Run) -> Seen:
    """Each class is unlearnt while the others are taught."""
    if seen.alike >= ROWS_ALIKE and seen.varied:
        yield (roles.error, "batches", f"{seen.alike} steps in a row have targets of one class "
               "only")  # fmt: skip


@check("error-not-from-targets", NIELSEN, "take the target of the row that the step has")
def same_target(seen: Observer, roles: Roles, run: Run) -> Seen:
    """The same answer is taught for all rows."""
    if seen.alike >= ROWS_ALIKE and not seen.varied and not (seen.same_rows or seen.wrapped):
        yield roles.error, "targets", f"{seen.alike} steps in a row have the same target"


@check("error-not-from-targets", NIELSEN, "take the error from the targets")
def taught_inputs(seen: Observer, roles: Roles, run: Run) -> Seen:
    """The network is taught a part of what it is given, and the true targets have no say."""
    for target in roles.targets:
        above = ancestors([target], stop=lambda v: v.made_by.name not in VIEWS)
        if any(each in above and target.size < each.size for each in roles.inputs):
            yield roles.error, "the error", "it is taken from a part of the inputs"


@check("update-order", BACKPROPAGATION)
def update_order(seen: Observer, roles: Roles, run: Run) -> Seen:
    """The error must go back through the weights that made it; these are those of the next step."""
    new = {u.new: u for u in roles.step.updates}
    for update in a_few(roles.step.updates):
        if roles.outputs and not roles.reaching >> update.parameter & 1:
            continue  # a state that was taken for a parameter
        through = ancestors([update.delta], stop=lambda v: v in new)
        early = [u for i, u in new.items() if i in through and u.parameter != update.parameter
                 and u.old in through and origin(update.delta)[0] is not u.new
                 and _is_read(u, roles, through)]  # fmt: skip
        for first in early:
            name, other = roles.names[first.parameter], roles.names[update.parameter]
            sites = first.operation.site, update.operation.site
            yield (first.operation, name, f"{name} is changed here, and then used for the gradient "
                   f"of {other}", f"take the gradient of {other} before {name} is changed",
                   moved(*sites))  # fmt: skip


def _is_read(update: Update, roles: Roles, among: set[Value]) -> bool:
    """Return whether what an update changed is read again: of an array's elements, the same."""
    index = update.operation.index
    readers = [each for each in roles.step.operations
               if each.result in among and update.new in each.operands]  # fmt: skip
    whole = index is None or update.delta.size == update.new.size
    return whole or any(repr(each.index) in ("None", repr(index)) for each in readers)


@check("gradient-sign", SEEN)
def turned_error(seen: Observer, roles: Roles, run: Run) -> Seen:
    """Gradient descent subtracts the gradient of the loss, which has outputs minus targets."""
    one, error = run.replay.one_error, roles.error  # one sum, for which slopes say nothing
    if one is None or error.operands[:1] != roles.targets[:1] or not run.whole:
        return
    if one * (np.mean(run.whole[0].predictions) - np.mean(run.whole[0].targets)) < 0.0:
        new = swapped(error.site)
        yield (error, "every parameter", "targets minus outputs, and the updates subtract it",
               f"line {error.line}: {new}", [edit(error.site, new)])  # fmt: skip


@check("bias-after-activation", NIELSEN)
def late_bias(seen: Observer, roles: Roles, run: Run) -> Seen:
    """Added there, it cannot move the point where this layer's units switch."""
    for each in roles.late_biases:
        yield (each, "biases", "the bias is added after the activation",
               "add it to the product of inputs and weights, inside the activation",
               at_sites([each.site], [("_f(_x) + _b", "_f(_x + _b)")]))  # fmt: skip


@check("softmax-hidden", f"{GOODFELLOW}, 6.2.2.3",
       "use tanh or ReLU in hidden layers, softmax only for the outputs")  # fmt: skip
def softmax_hidden(seen: Observer, roles: Roles, run: Run) -> Seen:
    """Softmax lets only one unit speak at a time, and squeezes all values to about 1 / units."""
    for i, a in enumerate(run.first.activations):
        # Attention weighs rows of an array, which each sample chooses: they are no layer's weights.
        others = (v.made_by for e in roles.layers[i + 1 : i + 2] for v in e.product.operands)
        chosen = any(each.name == "item" and len(each.operands) > 1 for each in others)
        shown = a is not None and not chosen and a.shape[1] > 2
        if shown and np.all(a >= 0) and np.allclose(a.sum(axis=1), 1):
            yield (roles.layers[i].activations.made_by, f"hidden layer {i + 1}",
                   "its activations add up to 1 in each sample")  # fmt: skip


@check("gradient-activation-derivative", f"{GOODFELLOW}, 6.2.2.3", "outputs minus targets")
def softmax_derivative(seen: Observer, roles: Roles, run: Run) -> Seen:
    """Each output of a softmax depends on all sums. With cross-entropy the factor cancels."""
    p = np.asarray(roles.outputs[0].data if len(roles.outputs) == 1 else 0.0)
    axis = int(not run.columns)
    if p.ndim != 2 or p.shape[axis] < 3 or not np.allclose(p.sum(axis=axis), 1.0):
        return
    products = [each for each in roles.step.operations if each.name == "multiply"]
    for each, i in ((each, i) for each in products for i in (0, 1)):
        slope, error, words = each.operands[i], each.operands[1 - i], in_source(each, 1 - i)
        forms = (1 - p, p - p * p) if slope.shape == p.shape else ()
        if any(np.allclose(slope.data, f) for f in forms) and roles.errors & ancestors([error]):
            sides = [np.array_equal(v.data, p) for v in error.made_by.operands]
            if error.made_by.name == "multiply" and any(sides):  # error * p * (1 - p)
                words = in_source(error.made_by, 1 - sides.index(True))
            yield (each, "outputs", "p * (1 - p) is the derivative of a sigmoid, not of softmax",
                   words, [edit(each.site, words)])  # fmt: skip


@check(
    "same-batch",
    RECIPE,
    "choose other rows in each step, and seed the random numbers once, before the loop",
)
def same_batch(seen: Observer, roles: Roles, run: Run) -> Seen:
    """The network learns these rows by heart and never sees the others."""
    if not seen.same_rows or run.steps < 20:
        return
    for rows, size, source in _batches(roles):
        if rows.made_by and size * 2 <= source.size:
            said = f"every step gets the same {rows.shape} of {source.shape}"
            yield rows.made_by, "batches", said


def _batches(roles: Roles) -> Iterator[tuple[Value, int, Value]]:
    """Yield inputs of a step, how many numbers it has of where they were taken from, and that."""
    taken = dict[Value, dict[str, Value]]()  # by the index, which several passes may have in common
    for rows in roles.inputs:
        made = rows.made_by
        source = rows.base or (made.operands[0] if made.name == "item" else None)
        if source is not None:
            taken.setdefault(source, {})[repr(made.index)] = rows
    for source, parts in taken.items():
        yield next(iter(parts.values())), sum(rows.size for rows in parts.values()), source


@check("targets-shifted", "NumPy manual, Indexing")
def shifted_labels(seen: Observer, roles: Roles, run: Run) -> Seen:
    """Classes are counted from 0. One off, class 0 is taught as the last one."""
    columns = dict[int, set[int]]()
    for each in seen.first.step.operations:
        index = each.index[-1] if isinstance(each.index, tuple) else each.index
        if each.name in ("item", "put") and np.asarray(index).dtype.kind == "i" and each.operands:
            found = columns.setdefault(each.place, set())
            found.update(map(int, np.ravel(index)))
            if min(found) == -1 and max(found) == (each.operands[0].shape or (0,))[-1] - 2:
                yield (each, "targets", f"class numbers from -1 to {max(found)}: -1 is the last "
                       "one", "use the class numbers as they are",
                       at_sites([each.site], [("_x - 1", "_x")]))  # fmt: skip


@check("gradient-scale", BACKPROPAGATION, needs=FAILURE)
def divided_twice(seen: Observer, roles: Roles, run: Run) -> Seen:
    """The steps are shorter than the learning rate says, by the number of rows."""
    factor, rows, update = _scale(roles, run)
    if update is None or rows < 8:
        return
    again = rows if update.divides_by(rows) else 1
    if abs(update.factor) != run.learning_rate or len(update.scalars) < 2:
        again = 1  # the slopes have it, see `arrays_of`; or it is the learning rate
    if any(abs(factor * rows**2 / (again * c) - 1.0) < 1e-5 for c in (1.0, 2.0)):
        edits = [*undivided(rows, roles)]
        yield (update.gradient.made_by or update.operation, "every gradient", "it is divided by "
               f"the {rows} rows twice", "divide by the number of rows once",
               edits if edits else {"learning_rate_factor": float(rows)})  # fmt: skip


@check("learning-rate-too-large", BACKPROPAGATION, "divide the gradients by the number of rows",
       needs=FAILURE)  # fmt: skip
def summed(seen: Observer, roles: Roles, run: Run) -> Seen:
    """Steps of such a length jump over the valley."""
    factor, rows, update = _scale(roles, run)
    rate, curve = run.learning_rate or 0.0, seen.curve()
    if not run.failing and curve[-1:] < curve[:1] and np.allclose(curve[-2:], curve[-1], rtol=1e-3):
        return  # where no step is better
    if update is None or factor < 0.5 or rate * factor * rows <= LONG_SUM:
        return
    cone = [each for each in roles.step.operations if each.result in roles.cone]
    behind = descendants(roles.errors, cone) - roles.errors
    if any(each.result in behind and _divides(each, rows) for each in cone):
        return
    times = factor * rows * rate
    yield (update.gradient.made_by or update.operation, "learning_rate", "the gradient is no mean "
           f"over the {rows} rows: {rate:g} times it is {times:g} times that")  # fmt: skip


def _scale(roles: Roles, run: Run) -> tuple[float, int, Any]:
    """Return the factor of the last gradient, the rows of a step, and the last weights' update."""
    updates = roles.updates_of(roles.layers[-1].weights) if roles.layers else ()
    factor = abs(next(iter(run.replay.deltas.values()), 0.0))
    return factor, len(run.start), next(iter(updates), None)


def _divides(operation: Operation, rows: int) -> bool:
    """Return whether an operation divides by a number of rows, or more."""
    numbers = [each.number for each in operation.operands if each.size == 1]
    if operation.name == "multiply":
        return any(0.0 < abs(each) * rows < 2.0 for each in numbers)
    return operation.name == "mean" or (
        operation.name == "divide" and any(abs(each) * 2.0 > rows for each in numbers[-1:])
    )


@check("error-not-from-targets", BACKPROPAGATION)
def scaled_error(seen: Observer, roles: Roles, run: Run) -> Seen:
    """Where the number is below 0, every step climbs."""
    text = roles.error.site.text
    if not text or not run.failing:
        return
    errors = {e.result for e in roles.step.operations if e.site.text == text}
    for each in roles.step.operations:
        mine = [value in errors for value in each.operands]
        if each.name == "multiply" and mine.count(True) == 1:
            other = each.operands[mine.index(False)]
            if other.size == 1 < each.result.size and errors & ancestors([other]):
                yield (each, "the error", "it is multiplied by a number that is made of all errors",
                       "leave the number out", [edit(each.site, text)])  # fmt: skip


@check("no-bias", NIELSEN)
def no_bias(seen: Observer, roles: Roles, run: Run) -> Seen:
    """Without biases, each unit switches at the origin, wherever the data lie."""
    x, biases = run.data.inputs, [layer.biases for layer in roles.layers]
    if not biases or any(each is not None for each in biases) or roles.late_biases:
        return
    if seen.not_mapped() or x is None or not run.last.skill < GOOD or seen.has_trained_inputs():
        return
    errors = run.last.predictions - run.last.goals  # known, or else there is no skill
    centred = len(biases) == 1 and np.all(np.abs(np.mean(errors, axis=0)) < 0.1 * np.std(errors))
    shown = [each for each in (x, *run.first.activations) if each is not None and len(each) > 2]
    ones = any(np.any((np.ptp(a, axis=0) == 0) & (a[0] != 0)) for a in shown)  # a column of them
    if not centred and not ones:
        product = roles.layers[0].product
        yield (product, "the network", "no layer has a bias", f"add one to each product: "
               f"{product.site.text} + b, with b = np.zeros(units), and update it by the sum of "
               "the deltas")  # fmt: skip
