"""What is made of gradients: checks, as those of `checks.py`."""

import ast
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from xpnet.doctor.rules.rule import BACKPROPAGATION, GOODFELLOW, NIELSEN, RECIPE
from xpnet.doctor.run import FAR, Run
from xpnet.doctor.scripts.checks import FAILURE, ROWS_ALIKE, Seen, check
from xpnet.doctor.scripts.gradients.conclusions import turned
from xpnet.doctor.scripts.gradients.variants import PLAIN
from xpnet.doctor.scripts.gradients.verdicts import made_of
from xpnet.doctor.scripts.mapping import Roles, a_few, in_source
from xpnet.doctor.scripts.observe import Observer
from xpnet.doctor.scripts.recording.instrument import LOSS
from xpnet.doctor.scripts.recording.source import tree
from xpnet.doctor.scripts.recording.steps import NOTHING, Operation
from xpnet.doctor.scripts.recording.updates import (
    MIXING,
    ancestors,
    maker,
    origin,
    scalar_side,
)
from xpnet.doctor.scripts.repairs.edits import (
    LOOPS,
    Edit,
    around,
    assigned_by,
    assignments,
    at_sites,
    changed,
    edit,
    matches,
    operand_edit,
)
from xpnet.doctor.scripts.repairs.menders import apart
from xpnet.doctor.scripts.repairs.sizes import penalties
from xpnet.doctor.step import grouped

STANDSTILL = 1e-6  # of a rate, that moves nothing any more
UNEVEN = 0.3  # power of a gradient, with which no adaptive step goes
LITTLE = 0.01  # of a gradient, that cutting it leaves
SHALLOW = [ast.parse(form, mode="eval").body for form in (
    "_x.copy()", "copy.copy(_x)", "list(_x)", "dict(_x)", "_x[:]", "[_v for _v in _x]",
    "{_k: _v for _k, _v in _x.items()}")]  # fmt: skip
ADD_AT = [("_o[_i] += _v", "np.add.at(_o, _i, _v)"),
          ("_o[_i] -= _v", "np.subtract.at(_o, _i, _v)")]  # fmt: skip
LOSS_ALONE = re.compile(r"(?!.*(drop|inv|neg|gain|diff))[\w.]*(loss|cost|mse|err)[\w.]*", re.I)
LOWEST = re.compile("best|lowest|min", re.I)
EPSILON = 1e-6  # up to which a number below a root only keeps it from 0


@check("rows-left-out", NIELSEN, needs=FAILURE)
def last_alone(seen: Observer, roles: Roles, run: Run) -> Seen:
    """Each error is sent back, and the next one takes its place before any update."""
    error, operations, cone = roles.error, roles.step.operations, roles.cone
    back = {e.place for e in operations if e.result in cone and error.result in e.operands}
    sent = {value for each in operations if each.place in back for value in each.operands}
    made = [e for e in operations if e.place == error.place and e.result in sent]
    if len(made) >= ROWS_ALIKE // 2 and [e for e in made if e.result in cone] == made[-1:]:
        yield (error, "batches", f"of the {len(made)} errors of each step only the last one "
               "changes the weights", "update after each, or add the gradients up")  # fmt: skip


@check("gradient-wrong", "NumPy manual, Assigning values to indexed arrays")
def repeated_rows(seen: Observer, roles: Roles, run: Run) -> Seen:
    """Where an index holds a row several times, only the last of them is added."""
    for each in roles.step.operations:
        if each.index is None or each.name not in ("add", "subtract"):
            continue
        owner, delta = each.operands[:2]
        rows = np.arange(owner.size).reshape(owner.shape)[each.index]
        lost = rows.size - np.unique(rows).size
        if lost and delta.size > 1 and roles.errors & ancestors([delta]):
            yield (each, each.site.operands[0], f"{lost} of {rows.size} numbers are lost: their "
                   "rows occur again in the index", "np.add.at(array, index, value)",
                   at_sites([each.site], ADD_AT))  # fmt: skip


@check("gradient-wrong", "Karpathy, micrograd, 2020")
def overwritten(seen: Observer, roles: Roles, run: Run) -> Seen:
    """What is used several times gets the sum of the gradients that all of these uses have."""
    found = dict[ast.Assign, tuple[str, str]]()  # in which closure; what it calls gradients
    for node in assignments(roles.file):
        target, given = ast.unparse(node.targets[0]), {*map(ast.unparse, ast.walk(node.value))}
        name = f".{target.rpartition('.')[2]}"
        scopes = around(roles.file, node.lineno, (ast.FunctionDef, ast.ClassDef))
        inside = len([each for each in scopes if isinstance(each, ast.FunctionDef)]) > 1
        if inside and target not in given and any(each.endswith(name) for each in given):
            found[node] = ".".join(each.name for each in scopes), name
    uses = Counter(
        (scope, e.place, v.base or v) for scope, name in {*found.values()}
        for e in roles.step.operations if e.site.function == scope
        for i, v in enumerate(e.operands) if roles.depends(v) and not in_source(e, i).endswith(name)
    )  # fmt: skip
    again = {scope for (scope, *_), times in uses.items() if times > 1}
    nodes = [node for node, (scope, _) in found.items() if scope in again]
    edits = [changed(roles.file, n, ast.unparse(n).replace(" = ", " += ", 1)) for n in nodes]
    for node in nodes:
        yield (NOTHING, ast.unparse(node.targets[0]), f"line {node.lineno}, {ast.unparse(node)}: "
               "it replaces what other uses have given", "+=", edits)  # fmt: skip


@check("shared-parameters", "Python manual, copy")
def kept_best(seen: Observer, roles: Roles, run: Run) -> Seen:
    """What is kept of the best step has the arrays that all later steps go on to change."""
    if not all(u.old.object is u.new.object for u in roles.step.updates):
        return  # where arrays are replaced, the older ones stay as they are
    arrays, holders = _kept_in(roles)
    edits, nodes = dict[ast.expr, Edit](), ast.walk(tree(roles.file))
    own = {each.name for each in nodes if isinstance(each, ast.FunctionDef)}
    forms = SHALLOW if own.isdisjoint(("copy", "__copy__")) else ()  # its own may copy arrays, too
    for test, _, value in _bettered(roles.file):
        shallow = any(matches(form, value, known := dict[str, str]()) for form in forms)
        source = known["_x"] if shallow else ast.unparse(value)
        names = {e.rpartition(".")[2] for e in (holders if shallow else holders | arrays)}
        loop = around(roles.file, test.lineno, LOOPS)[-1:]
        new = {ast.unparse(n) for each in loop for s in ast.walk(each) if isinstance(s, ast.Assign)
               for n in s.targets}  # fmt: skip
        if source.rpartition(".")[2] in names and source not in new:
            is_array = source.rpartition(".")[2] in {e.rpartition(".")[2] for e in arrays}
            text = f"{source}.copy()" if is_array else f"__import__('copy').deepcopy({source})"
            edits[value] = changed(roles.file, value, text)
    for value in edits:
        yield (NOTHING, "what is kept", f"line {value.lineno}, {ast.unparse(value)}: this is no "
               "copy of the arrays", "copy.deepcopy", [*edits.values()])  # fmt: skip


@check("too-few-steps", RECIPE, needs=FAILURE)
def never_better(seen: Observer, roles: Roles, run: Run) -> Seen:
    """No loss is as low as what the first is compared with: none is taken for the best."""
    for test, best, value in _bettered(roles.file):
        if not _seeks_lowest_loss(test, best, ast.unparse(value), seen, roles):
            continue
        for zero in _zeros(roles.file, best):
            yield (NOTHING, "training", f"line {test.lineno}, {ast.unparse(test)}: {best} "
                   f"starts from {ast.unparse(zero)}, and no loss is below that", "infinity",
                   [changed(roles.file, zero, "float('inf')")])  # fmt: skip


def _seeks_lowest_loss(
    test: ast.Compare, best: str, value: str, seen: Observer, roles: Roles
) -> bool:
    """Return whether a comparison looks for the lowest loss, such as ``loss < best``."""
    if not _holds(test, {best: 1e9, value: 1.0}) or _holds(test, {best: 0.0, value: 1.0}):
        return False
    if LOSS.search(value):
        return True
    now = [(names.get(best), names.get(value)) for names in seen.recorder.modules]
    stays = any(low == 0.0 < last for low, last in now if isinstance(last, float))
    # Beside a best loss weights or a counter are kept, unlike beside the limit of an axis.
    branch = around(roles.file, test.lineno, (ast.If,))[-1:]
    inside = (n for each in branch for s in each.body for n in ast.walk(s))
    kept = [n for n in inside if isinstance(getattr(n, "ctx", None), ast.Store)]
    return stays and len(kept) > 1


@check("prediction-wrong", "Prechelt, Early stopping - but when?, 1998")
def worst_kept(seen: Observer, roles: Roles, run: Run) -> Seen:
    """The best step is that with the lowest loss. What is kept here is from the worst one."""
    network = set[str]().union(*_kept_in(roles))
    pairs = grouped((test, (name, value)) for test, name, value in _bettered(roles.file))
    for test, kept in pairs.items():
        larger, smaller = ast.unparse(test.left), ast.unparse(test.comparators[0])
        if isinstance(test.ops[0], ast.Lt | ast.LtE):
            larger, smaller = smaller, larger
        follows = (smaller, larger) in [(name, ast.unparse(value)) for name, value in kept]
        copied = any(network & {*map(ast.unparse, ast.walk(value))} and name not in network
                     for name, value in kept)  # fmt: skip
        if follows and copied and LOSS_ALONE.fullmatch(larger) and LOWEST.search(smaller):
            new = [changed(roles.file, test, f"{larger} < {smaller}")]
            new += [changed(roles.file, e, "float('inf')") for e in _zeros(roles.file, smaller)]
            yield (NOTHING, "what is kept", f"line {test.lineno}, {ast.unparse(test)}: it is kept "
                   "where the loss is higher than before", f"{larger} < {smaller}", new
                   )  # fmt: skip


def _kept_in(roles: Roles) -> tuple[set[str], set[str]]:
    """Return the names of the network's arrays, and of what holds them: net.W[0] and net.W, net."""
    arrays = {text for texts in roles.step.places for text in texts}
    return arrays, {text[: m.start()] for text in arrays for m in re.finditer(r"[.[]", text)}


def _zeros(file: str, name: str) -> Iterator[ast.expr]:
    """Yield the zeros that are assigned to a name, of whatever object."""
    for own, value in (pair for s in assignments(file) for pair in assigned_by(s)):
        same = own.rpartition(".")[2] == name.rpartition(".")[2]
        if same and isinstance(value, ast.Constant) and value.value == 0:
            yield value


def _bettered(file: str) -> Iterator[tuple[ast.Compare, str, ast.expr]]:
    """Yield what gets a name where a comparison says that it is the best so far."""
    for branch in (n for n in ast.walk(tree(file)) if isinstance(n, ast.If)):
        tests = [n for n in ast.walk(branch.test) if isinstance(n, ast.Compare)
                 and isinstance(n.ops[0], ast.Lt | ast.LtE | ast.Gt | ast.GtE)]  # fmt: skip
        pairs = (pair for s in branch.body if isinstance(s, ast.Assign) for pair in assigned_by(s))
        # What is put into an array, as by best[:] = W, is copied.
        made = [pair for pair in pairs if not re.search(r"(:|\.\.\.)\]$", pair[0])]
        for test in tests:
            if {*map(ast.unparse, ast.walk(test))}.isdisjoint(name for name, _ in made):
                continue
            for name, value in made:
                parts = value.elts if isinstance(value, ast.Tuple | ast.List) else [value]
                yield from ((test, name, each) for each in parts)


def _holds(test: ast.Compare, numbers: Mapping[str, float]) -> bool:
    """Return whether a comparison of some numbers holds, other names being 0."""
    names = re.compile(r"(?<![\w.])[^\W\d][\w.]*")
    text = names.sub(lambda name: str(numbers.get(name[0], 0.0)), ast.unparse(test))
    return bool(re.fullmatch(r"[-+*<>=\d.e ]+", text) and eval(text))


@check("update-wrong", "Hinton, Neural networks for machine learning, lecture 6e")
def no_square(seen: Observer, roles: Roles, run: Run) -> Seen:
    """The mean of squares is never below 0, a mean of gradients is: it has no square root."""
    first, found, negative = seen.first, dict[Operation, str](), False
    for root in first.step.operations:
        made = maker(root.operands[0]) if root.name == "sqrt" else NOTHING
        made = maker(made.operands[0]) if made.name in ("abs", "absolute") else made
        if made.name != "add" or root.result not in first.cone:
            continue
        negative = negative or bool(np.any(made.result.data < 0.0))
        for term in (each.made_by for each in made.operands if first.errors & ancestors([each])):
            side = scalar_side(term) if term.name == "multiply" else None
            word = "" if side is None else term.site.operands[1 - side]
            if PLAIN.fullmatch(word):  # one name, and no square
                found[term] = f"{word} ** 2".join(term.site.text.rsplit(word, 1))
    if negative and found:
        edits = [edit(each.site, new) for each, new in found.items()]
        yield (next(iter(found)), "the update", "the gradient's square belongs here", "** 2",
               edits)  # fmt: skip


@check("update-wrong", "Hinton, Neural networks for machine learning, lecture 6e", needs=FAILURE)
def no_root(seen: Observer, roles: Roles, run: Run) -> Seen:
    """Divided by its mean square, a small gradient makes a large step; by the root, a usual one."""
    shapes = {update.new.shape for update in roles.step.updates} - {()}
    for operation in roles.step.operations:
        if operation.name != "divide" or operation.result not in roles.cone:
            continue
        divisor, edited = maker(operation.operands[1]), (operation, 1)
        if divisor.name == "add" and divisor.operands[1].size == 1 < divisor.result.size:
            if divisor.operands[1].number > EPSILON:
                continue  # it damps, as in a natural gradient
            edited, divisor = (divisor, 0), maker(divisor.operands[0])
        if divisor.name != "add" or operation.operands[0].shape not in shapes:
            continue
        new = [bool(roles.errors & ancestors([each])) for each in divisor.operands]
        squares = [_is_square(maker(each)) for each in divisor.operands]
        alike = len({divisor.result.shape, *(each.shape for each in divisor.operands)}) == 1
        if alike and new == squares and squares.count(True) == 1:  # a mean so far, and what is new
            yield (operation, "the update", "the mean of the squares divides here, without its "
                   "root", "np.sqrt", [operand_edit(*edited, "np.sqrt({})")])  # fmt: skip


def _is_square(operation: Operation) -> bool:
    """Return whether an operation squares its first operand."""
    if operation.name == "power":
        return operation.operands[1].size == 1 and operation.operands[1].number == 2.0
    return operation.name == "square" or (
        operation.name == "multiply" and operation.operands[0] is operation.operands[1]
    )


@check("update-wrong", "Kingma & Ba, Adam, 2015", needs=FAILURE)
def by_size(seen: Observer, roles: Roles, run: Run) -> Seen:
    """Divided by the root of their own mean squares, gradients give a first step of one length."""
    first = seen.first
    if first.step.number:
        return
    for each in (u for u in a_few(first.step.updates) if u.optimizer == "adaptive"):
        sizes, steps = (np.abs(np.ravel(v.data)) for v in (each.gradient, each.delta))
        largest = np.max(sizes)
        if sizes.size != steps.size or np.ptp(sizes) == 0.0:
            continue
        roots = {e.result: e.operands[0].made_by for e in first.step.operations
                 if e.name == "sqrt"}  # fmt: skip
        beside = (e for e in first.step.operations if roots.keys() & {*e.operands})
        small = max(_tiny(roots.values()) ** 0.5, _tiny(beside))
        clear = (steps > 0.0) & (sizes > max(LITTLE * largest, 10.0 * small)) & np.isfinite(steps)
        x, y = np.log(sizes[clear]), np.log(steps[clear])
        if len(x) > 4 and abs(float(np.polyfit(x, y, 1)[0])) > UNEVEN:
            yield (each.operation, first.names[each.parameter], "the first step is "
                   f"{np.exp(np.ptp(y)):.2g} times as long for some weights as for others",
                   "compare with its formula; beside the root stands a tiny number")  # fmt: skip


def _tiny(sums: Iterable[Operation]) -> float:
    """Return the largest of the tiny numbers that sums have, which keep a divisor from 0."""
    added = (v.number for e in sums if e.name == "add" for v in e.operands
             if not v.made_by and v.size == 1)  # fmt: skip
    return max((each for each in added if each <= EPSILON), default=0.0)


@check("update-wrong", "Kingma & Ba, Adam, 2015")
def vanishing_divisor(seen: Observer, roles: Roles, run: Run) -> Seen:
    """1 - b**t goes to 1, and what it divides stays; (1 - b)**t goes to 0."""
    now = {e.site: e.operands[1].data for e in roles.step.operations if e.name == "power"}
    divisors = (e.operands[1].made_by for e in seen.first.step.operations if e.name == "divide")
    powers = {e.site: e.site.operands for e in divisors if e.name == "power" and e.result.size == 1
              and e.operands[0].made_by
              and e.operands[1].data != now.get(e.site, e.operands[1].data)}  # fmt: skip
    edits = [edit(site, f"(1 - {base.removeprefix('1 - ')} ** {exponent})")
             for site, (base, exponent) in powers.items() if base.startswith("1 - ")]  # fmt: skip
    if edits:
        yield (NOTHING, "the update", f"{next(iter(powers))}: it divides by a power that vanishes",
               "1 - b**t", edits)  # fmt: skip


@check("update-wrong", "Kingma & Ba, Adam, 2015")
def kept_correction(seen: Observer, roles: Roles, run: Run) -> Seen:
    """The correction is for one step. Kept, it is corrected again in the next, and grows."""
    found = dict[Operation, float]()
    for each in seen.first.step.operations:
        mean = each.operands[0].made_by if each.name == "divide" else NOTHING
        own = each.site.kind == "in place" or in_source(each, 0) in each.result.names
        if mean.name == "add" and own and each.operands[1].size == 1:
            gain = abs(origin(mean.operands[0])[1] / each.operands[1].number)
            if mean.operands[0].made_by and gain > 1.0:
                found[each] = gain
    for each, gain in found.items():
        yield (each, "the update", f"the mean of the steps before is kept {gain:.3g} times as "
               "large", "correct a copy, and keep the mean as it is",
               [*apart(each.site for each in found)])  # fmt: skip


@check("update-wrong", "Kingma & Ba, Adam, 2015", needs=FAILURE)
def swapped_decays(seen: Observer, roles: Roles, run: Run) -> Seen:
    """The mean of squares must be the longer one: it says how far gradients usually go."""
    roots = {e.result for e in roles.step.operations if e.name == "sqrt"}
    means = ancestors(e.operands[0] for e in roles.step.operations
                      if e.name == "divide" and roots & ancestors(e.operands[1:]))  # fmt: skip
    squares = ancestors(roots)
    kept = dict[bool, tuple[Operation, float]]()  # by whether it is the mean of squares
    for each in roles.step.operations:
        if each.name != "add" or each.result not in roles.cone & (means | squares):
            continue
        for made in (v.made_by for v in each.operands if not roles.errors & ancestors([v])):
            side = scalar_side(made) if made.name == "multiply" else None
            if side is not None:
                kept[each.result in squares] = made, made.operands[side].number
    if len(kept) == 2 and 1.0 > kept[False][1] > kept[True][1] > 0.0:
        yield (kept[False][0], "the update", f"gradients are averaged with a decay of "
               f"{kept[False][1]:g}, their squares with {kept[True][1]:g}", "exchange the two"
               )  # fmt: skip


@check("update-wrong", GOODFELLOW)
def growing(seen: Observer, roles: Roles, run: Run) -> Seen:
    """A penalty takes a part of the weights away. With the other sign they grow without end."""
    grown = [each for each, side in penalties(roles) for update in roles.step.updates
             if np.all(each.operands[side].data > 0.0) and update.old in each.operands
             and (each.result, 1) in made_of(update.parameter, roles.step)]  # fmt: skip
    sums = [each.site for each in roles.step.operations if each.name in ("add", "subtract")
            and {*each.operands} & {penalty.result for penalty in grown}]  # fmt: skip
    for each in grown:
        yield (each, "weights", "this penalty makes them larger", "the other sign",
               [edit(site, turned(site)) for site in sums])  # fmt: skip


@check("exp-overflow", f"{GOODFELLOW}, 4.1")
def overflow(seen: Observer, roles: Roles, run: Run) -> Seen:
    """From 710 on, exp is infinite, and infinite by infinite is nan, in all that follows."""
    made = [each.made_by for each in seen.first.outputs if not np.all(np.isfinite(each.data))]
    found = [each for each in seen.first.step.operations if each.name == "exp"
             and np.any(np.isinf(each.result.data) & np.isfinite(each.operands[0].data))
             and any(e.name == "divide" and each.result in ancestors(e.operands)
                     for e in made)]  # fmt: skip
    edits = list[Edit]()
    for each in found:
        sums, several = in_source(each, 0), len(each.result.shape) > 1
        axis = f", axis={int(not run.columns)}, keepdims=True" if several else ""
        edits.append(edit(each.site, f"np.exp({sums} - np.max({sums}{axis}))"))
    for each in found:
        largest = np.max(each.operands[0].data)
        yield (each, "outputs", f"it overflows: sums reach {largest:.3g}", "subtract each "
               "sample's largest sum: the softmax stays the same", edits)  # fmt: skip


@check("learning-rate-vanishes", RECIPE, "a rate that falls more slowly, or stays as it is")
def vanishing_rate(seen: Observer, roles: Roles, run: Run) -> Seen:
    """Long before the network has learnt, its steps are too short to get anywhere."""
    if not seen.rates:
        return
    first, last = seen.rates[0], seen.rates[-1]
    # Where the rate is divided by the gradient's norm, and that grows, steps stay as long.
    as_long = seen.movement[-1] > 0.1 * seen.movement[0]
    if last >= 1e-2 * first or (run.learnt and last) or as_long:
        return
    gone = sum(rate > STANDSTILL * first for rate in seen.rates)
    if 2 * [*seen.steps, run.steps][gone] < run.steps:
        yield (roles.step.updates[0].operation, "learning_rate", f"it falls from {first:.3g} to "
               f"{last:.3g} in {run.steps} steps")  # fmt: skip


@check("learning-rate-too-small", "Pascanu et al., On the difficulty of training, 2013",
       needs=FAILURE)  # fmt: skip
def clipped(seen: Observer, roles: Roles, run: Run) -> Seen:
    """A limit is for the few gradients that are far too large; here it makes every step short."""
    if not run.travelled() < FAR:  # or if it is nan
        return
    shares = list[float]()
    cuts = dict[int, tuple[Operation, int]]()  # by place: and the operand that is cut
    for each in roles.step.operations:
        side = scalar_side(each) if each.name in ("multiply", "divide") else None
        by_itself = side is not None and roles.errors & ancestors([each.operands[side]])
        if each.result in roles.cone and (each.name == "clip" or by_itself):
            slot = 0 if side is None else 1 - side
            after, before = (np.linalg.norm(v.data) for v in (each.result, each.operands[slot]))
            if 0.0 < after < LITTLE * before:
                cuts.setdefault(each.place, (each, slot))
                shares.append(float(after / before))
    edits = [edit(each.site, in_source(each, slot)) for each, slot in cuts.values()]
    for each, _ in cuts.values():
        yield (each, "learning_rate", f"this leaves {shares[0]:.2g} of the gradient", "a larger "
               "limit, as large as usual gradients are", edits)  # fmt: skip


@check("gradient-operand", BACKPROPAGATION, needs=FAILURE)
def of_zeros(seen: Observer, roles: Roles, run: Run) -> Seen:
    """Weights that are given zeros have no effect, and the gradient 0. These got another."""
    forward = ancestors(roles.outputs)
    products = [each for each in roles.step.operations if each.name in MIXING
                and each.result in forward and len(each.operands) == 2]  # fmt: skip
    for update in (each for each in a_few(roles.step.updates) if each.old.size > 1):
        given = [(each.site, inputs) for each in products
                 for weights, inputs in (each.operands, each.operands[::-1])
                 if update.old in (weights, weights.base)]  # fmt: skip
        if not given or any(np.any(inputs.data) for _, inputs in given):
            continue
        back = ancestors([update.delta], stop=lambda v: v.made_by.name in MIXING)
        for made in (v.made_by for v in back if v.size == update.old.size and np.any(v.data)):
            if made.name in MIXING and roles.errors & ancestors(made.operands):
                site, name = given[0][0], roles.names[update.parameter]
                yield (made, name, f"its gradient is not 0, but {site} gives it only zeros",
                       f"{site}: give it what {made.site.text} takes")  # fmt: skip


@check("gradient-scale", "Pascanu et al., On the difficulty of training, 2013", needs=FAILURE)
def by_its_norm(seen: Observer, roles: Roles, run: Run) -> Seen:
    """A limit divided by the norm cuts what is too long. Its inverse cuts short ones even more."""
    for each in roles.step.operations:
        side = scalar_side(each) if each.name == "multiply" and each.result in roles.cone else None
        if side is None:
            continue
        gradient = each.operands[1 - side]
        ratios = (value.made_by for value in ancestors([each.operands[side]]))
        for ratio in (e for e in ratios if e.name == "divide" and e.result.size == 1):
            own = [gradient in ancestors([value]) for value in ratio.operands]
            if own == [True, False] and roles.errors & ancestors(ratio.operands[:1]):
                new = f"{in_source(ratio, 1)} / {in_source(ratio, 0)}"
                yield (ratio, "every gradient", "gradients are multiplied by their own norm: "
                       "the shorter, the more is cut", new, [edit(ratio.site, new)])  # fmt: skip


@check("gradient-scale", BACKPROPAGATION, needs=FAILURE)
def rate_again(seen: Observer, roles: Roles, run: Run) -> Seen:
    """Steps are shorter by the rate, in each layer again."""
    new, trained = {u.new for u in roles.step.updates}, seen.recorder.also_trained
    for update in a_few(roles.step.updates):
        if update.old.size == 1:  # one of its factors may be the input
            continue
        rates = {text: n for text, n in update.scalars if n < 1.0 and text.isidentifier()}
        below = ancestors([update.gradient], stop=lambda v: v in new or id(v.object) in trained)
        for each in roles.step.operations:
            before = each.name == "multiply" and each.line != update.operation.line
            pairs = zip(each.operands, each.site.operands, strict=False)
            rest = [other for value, other in pairs if value.size != 1 or value in roles.inputs
                    or rates.get(other) != value.data]  # fmt: skip
            if before and each.result in below and len(rest) == 1:
                yield (each, roles.names[update.parameter], "the learning rate is multiplied in "
                       "here, and once more in the update", "multiply by it once, in the update",
                       [edit(each.site, rest[0])])  # fmt: skip
