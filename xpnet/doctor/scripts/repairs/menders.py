"""For kinds of causes, the lines of the script as they should be.

Each mender takes a finding and what the script's first step showed, and returns edits; none where
it does not see how the script would have to be. They look for what is usual in scripts of any
style; whether an edit helps is seen when the mended copy runs.
"""

import ast
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

from xpnet.doctor.findings import Finding
from xpnet.doctor.scripts.gradients.variants import DERIVATIVES, is_known, is_made_by, names_at
from xpnet.doctor.scripts.mapping import VIEWS, Layer, Roles, in_source
from xpnet.doctor.scripts.recording.instrument import Site
from xpnet.doctor.scripts.recording.source import tree
from xpnet.doctor.scripts.recording.steps import NOTHING, Operation, Value
from xpnet.doctor.scripts.recording.updates import ancestors, maker, random_masks
from xpnet.doctor.scripts.repairs.edits import (
    LOOPS,
    Edit,
    after,
    ahead,
    around,
    assigned,
    assignments,
    at,
    at_sites,
    block,
    changed,
    edit,
    matches,
    operand_edit,
    statement_of,
    statements,
    unused,
    written,
)
from xpnet.doctor.scripts.repairs.sizes import applied, kept, loops, numbers, penalties

DECAYS = "_x -= {} * {} + _l * _x", "_x = _x - {} * {} - _l * _x"
SHUFFLE = ast.parse("_r.shuffle(_x)").body[0]


# Which rows a step gets.


def other_rows(finding: Finding, roles: Roles) -> Iterator[Edit]:
    """Choose the rows of a batch at random."""
    file, made = roles.file, roles.layers[0].inputs.made_by
    if made.name != "item":
        return
    owner = made.site.operands[0]
    index = made.site.text.removeprefix(owner).strip("[]")
    data = {each.site.operands[0] for each in roles.step.operations if each.name == "item"
            and each.result in roles.cone
            and each.operands[0].shape[:1] == made.operands[0].shape[:1]}  # fmt: skip
    inside = around(file, made.line, (ast.For, ast.While, ast.FunctionDef))[-1:]
    same = [n for each in inside for n in ast.walk(each) if isinstance(n, ast.Subscript)
            and "".join(ast.unparse(n.slice).split()) == "".join(index.split())
            and ast.unparse(n.value) in data]  # fmt: skip
    first = at(file, *min(((n.lineno, n.col_offset) for n in same), default=(0, 0)))
    if first and len(same) > 1 and ":" in index and "," not in index:
        rows, count = unused(file, "rows"), roles.layers[0].inputs.shape[0]
        yield ahead(file, first, f"{rows} = np.random.randint(len({owner}), size={count})")
        yield from (changed(file, n.slice, rows) for n in same)


def paired(finding: Finding, roles: Roles) -> list[Edit]:
    """Give each row its own target: one order for both, the batch's targets, the same set's."""
    return [*_one_order(roles)] or [*_stale(roles)] or [*_same_set(roles)]


def _one_order(roles: Roles) -> Iterator[Edit]:
    """Put inputs and targets in one order, where the script shuffles one of them or both apart."""
    file, found = roles.file, list[tuple[ast.stmt, str, dict[str, Any]]]()
    x, t = ({name: each.shape[:1] for each, name in kept(value, roles)
             if isinstance(each.object, np.ndarray)}
            for value in (roles.layers[0].inputs, roles.targets[0]))  # fmt: skip
    for each in statements(tree(file)):
        if matches(SHUFFLE, each, known := dict[str, str]()):
            a = known["_x"]
            found += [(each, a, other) for own, other in ((x, t), (t, x)) if a in own]
    if not found:
        return
    first, a, others = found[0]
    second = [(s, b) for s, b, _ in found[1:] if b in others and s in block(file, first)]
    rows, names = (x | t)[a], names_at(file, first.lineno)
    partners = [b for b, n in others.items() if n == rows and b in names and b != a]
    partners = [b for _, b in second] or partners
    if partners:
        b, order = partners[0], unused(file, "order")
        both = f"{a}[:], {b}[:] = {a}[{order}], {b}[{order}]"
        yield changed(file, first, f"{order} = np.random.permutation(len({a}))")
        yield changed(file, second[0][0], both) if second else after(file, first, both)


def _stale(roles: Roles) -> Iterator[Edit]:
    """Make the targets before the error that uses them, where the script makes them behind it."""
    file, using = roles.file, statement_of(roles.error.site)
    words = in_source(roles.error, roles.targets[0])
    if not using:
        return
    made = [s for s in block(file, using) if isinstance(s, ast.Assign)
            and ast.unparse(s.targets[0]) == words]  # fmt: skip
    if made and made[0].lineno > using.lineno:
        yield changed(file, made[0], "pass")
        yield ahead(file, using, ast.unparse(made[0]))


def _same_set(roles: Roles) -> Iterator[Edit]:
    """Take the targets that are called as the inputs are: y_train beside x_train, not y_test."""
    made = roles.targets[0].made_by
    old = next(iter(made.site.operands), "")
    for _, name in kept(roles.layers[0].inputs, roles):
        right = f"{old.rpartition('_')[0]}_{name.rpartition('_')[2]}"
        if "_" in name and "_" in old and right != old and assigned(roles.file, right):
            yield operand_edit(made, 0, right)
            return


# What a step does.


def drawn_once(finding: Finding, roles: Roles) -> Iterator[Edit]:
    """Draw the initial weights ahead of the outermost loop that trains."""
    file, loop = roles.file, loops(roles)[0]
    sites = [maker(each.old).site for each in roles.step.updates]
    calls = {f"{each.function}()" for each in sites}
    found = [s for s in map(statement_of, sites) if s and s in ast.walk(loop)]
    found += [s for s in statements(tree(file))
              if isinstance(s, ast.Expr) and ast.unparse(s) in calls]  # fmt: skip
    drawn = dict.fromkeys(found)
    yield from (changed(file, each, "pass") for each in drawn)
    if drawn:
        yield ahead(file, loop, *map(ast.unparse, drawn))


def only_in_training(finding: Finding, roles: Roles) -> Iterator[Edit]:
    """Let masks drop units in the training's own forward pass, and be their mean in others."""
    file, flag = roles.file, unused(roles.file, "training")
    edits, forward, called = list[Edit](), ancestors(roles.outputs[:1]), ""
    for product, slot in random_masks(roles.step.operations):
        share = _share(product.operands[slot])
        if product.result in forward and share and is_known(share, product.site):
            edits.append(operand_edit(product, slot, f"({{}} if {flag} else {share})"))
            called = product.site.function.rpartition(".")[2]
    lines = [roles.step.updates[0].operation.line, *(each.lineno for each in loops(roles)[::-1])]
    passes = (
        statement for line in lines if called
        for scope in reversed(around(file, line, (*LOOPS, ast.FunctionDef)))
        for statement in statements(scope)
        if re.search(rf"\b{called}\(", ast.unparse(statement))
    )  # fmt: skip
    first = next(each for each in tree(file).body
                 if not isinstance(each, ast.Expr | ast.Import | ast.ImportFrom))  # fmt: skip
    if trained := next(passes, None):
        in_function = around(file, trained.lineno, (ast.FunctionDef,))
        yield ahead(file, first, f"{flag} = False")
        yield from edits
        yield ahead(file, trained, *([f"global {flag}"] if in_function else []), f"{flag} = True")
        yield after(file, trained, f"{flag} = False")


def _share(mask: Value) -> str:
    """Return how the script writes the share of units that a mask keeps; 1 if it is scaled."""
    if np.max(mask.data) > 1.0:
        return "1"
    while (made := mask.made_by).operands:
        if made.name in ("less", "less_equal"):
            return in_source(made, 1)
        if made.name in ("greater", "greater_equal"):
            return f"(1 - {in_source(made, 1)})"
        mask = made.operands[0]
    return ""


def by_sample(finding: Finding, roles: Roles) -> Iterator[Edit]:
    """Let a softmax divide by the sum over the outputs of each sample."""
    made, layer = roles.outputs[0].made_by, roles.layers[-1]
    if 1 in made.result.shape:
        return  # of a single output no axis is right
    total = divisor = made.operands[-1].made_by if made.name == "divide" else made
    while total.name in VIEWS:
        total = total.operands[0].made_by
    if total.name != "sum":
        return
    by = f"axis={int(layer.product.operands[0] is layer.inputs)}, keepdims=True"
    yield edit(divisor.site, f"np.sum({in_source(total, 0)}, {by})")
    for each in roles.step.operations:
        if each.name in ("max", "amax") and each.operands[0] is layer.pre_activations:
            yield edit(each.site, f"np.max({in_source(each, 0)}, {by})")


def once(finding: Finding, roles: Roles) -> list[Edit]:
    """Leave out one of two activations of the outputs: the inner one, or the outer of two alike."""
    outer, inner = re.findall(r"(\w+)\(", finding.evidence)[:2]
    file, last, made = roles.file, roles.layers[-1], roles.outputs[0].made_by
    calls = [n for n in ast.walk(tree(file)) if isinstance(n, ast.Call) and len(n.args) == 1]
    if inner in (outer, "softmax"):
        words = in_source(roles.error, roles.outputs[0])
        given = [s.value for s in assignments(roles.file) if ast.unparse(s.targets[0]) == words]
        calls = [n for n in calls if n in given or ast.unparse(n) == words]
    else:
        z = last.pre_activations
        made = next((each for each in roles.step.operations if _gives(inner, last, each)), NOTHING)
        own = z.made_by.site
        if any(e.pre_activations.made_by.place == z.made_by.place for e in roles.layers[:-1]):
            return []  # one line makes all layers
        if z in made.operands and in_source(made, z) in (*z.names, own.text):
            return [edit(made.site, in_source(made, z))]  # np.maximum(0, z)
        calls = [n for n in calls if ast.unparse(n.args[0]) in z.names
                 or changed(file, n.args[0], "") == edit(own, "")]  # fmt: skip
    return [changed(file, n, written(file, n.args[0])) for n in calls
            if _defines(ast.unparse(n.func), made.site)]  # fmt: skip


def _defines(called: str, site: Site) -> bool:
    """Return whether an operation stands in the function, or lambda, that a name calls."""
    names = site.function.split(".")
    match statement_of(site):
        case ast.Assign([ast.Name(own)], ast.Lambda()):
            names.append(own)
    return called.removeprefix("self.") in names


def activated(finding: Finding, roles: Roles) -> Iterator[Edit]:
    """Give the next layer what was activated and left unused, in place of the sums; or a tanh."""
    forward = ancestors(roles.outputs)
    places = Counter(each.place for each in roles.step.operations)
    for layer, following in pairwise(roles.layers):
        z, product, made = layer.pre_activations, following.product, layer.pre_activations.made_by
        if following.inputs is not z:
            continue
        left = [each.result.names[0] for each in roles.step.operations
                if each.result not in forward and each.result.names
                and any(_gives(kind, layer, each) for kind in DERIVATIVES)]  # fmt: skip
        if not left:
            if places[made.place] == 1:
                yield edit(made.site, f"np.tanh({made.site.text})")
            continue
        named = next(s for s in assignments(roles.file) if ast.unparse(s.targets[0]) == left[0])
        passed = [s for s in assignments(roles.file) if s in block(roles.file, named)
                  and s.lineno > named.lineno
                  and {*map(ast.unparse, (s.targets[0], s.value))} <= {*z.names}]  # fmt: skip
        name = written(roles.file, named.targets[0])
        if passed:
            yield changed(roles.file, passed[0].value, name)
        else:
            yield operand_edit(product, product.operands.index(z), name)


def _gives(kind: str, layer: Layer, operation: Operation) -> bool:
    """Return whether an operation gives a layer's sums activated."""
    made = operation.result is not layer.pre_activations
    return made and is_made_by(kind, replace(layer, activations=operation.result))


def cleared(finding: Finding, roles: Roles) -> Iterator[Edit]:
    """Set gradients that a step adds up back to 0 after their update."""
    for update in roles.step.updates:
        made, site = update.gradient.made_by, update.operation.site
        applying = statement_of(site)
        if made.site.kind != "in place" or applying is None:
            continue
        applied = [in_source(each, update.gradient) for each in roles.step.operations
                   if each.line == site.line and update.gradient in each.operands]  # fmt: skip
        names = [each for each in (made.site.operands[0], *applied) if is_known(each, site)]
        part = "[...]" if update.gradient.shape else ""
        if names:
            yield after(site.file, applying, f"{names[0]}{part} = 0.0")


def also_updated(finding: Finding, roles: Roles) -> list[Edit]:
    """Update what has a gradient and no update as the script does with another: W1 as W2."""
    operations, updates = roles.step.operations, roles.step.updates
    used = {value for each in operations for value in each.operands}
    unused = [each.result.names[-1] for each in operations
              if each.result.names and each.result not in used]  # fmt: skip
    end, new = statement_of(updates[-1].operation.site), dict[str, str]()
    pairs = [(u, known, name) for name in unused for u in updates for known in u.gradient.names]
    for update, known, gradient in pairs:
        ours, stem = statement_of(update.operation.site), known.rstrip("0123456789")
        if ours and known != stem and gradient != known and gradient.rstrip("0123456789") == stem:
            numbers = known.removeprefix(stem), gradient.removeprefix(stem)
            text = re.sub(rf"(?<=[A-Za-z_]){numbers[0]}\b", numbers[1], ast.unparse(ours))
            new.setdefault(gradient, text)
    return [after(roles.file, end, *new.values())] if end and new else []


def sum_biases(finding: Finding, roles: Roles) -> Iterator[Edit]:
    """Sum gradients of biases over the batch, where they are applied, as those of weights are."""
    for name in (finding.repair or {}).get("sum_over_batch", ()):
        number = roles.names.index(name)
        update = roles.updates_of(number)[0]
        for options in axes(update.delta.data, update.old.shape):
            how = "mean" if _averaged(roles, number, int(options[5])) else "sum"
            yield applied(update, f"np.{how}({{}}, {options})")


def axes(array: Any, shape: tuple[int, ...]) -> Iterator[str]:
    """Yield the options with which a sum of an array gets a shape: the first, if any do."""
    for options in ("axis=0", "axis=1", "axis=0, keepdims=True", "axis=1, keepdims=True"):
        axis, keep = int(options[5]), "keepdims" in options
        if np.ndim(array) == 2 and np.sum(array, axis=axis, keepdims=keep).shape == shape:
            yield options
            return


def _averaged(roles: Roles, biases: int, axis: int) -> bool:
    """Return whether a layer's weights are updated by a mean over the rows, and not by a sum."""
    layer = next(each for each in roles.layers if each.biases == biases)
    errors = roles.updates_of(biases)[0].delta.data
    x, change = layer.inputs.data, roles.updates_of(layer.weights)[0].delta.data
    mean = (x @ errors.T if axis else errors.T @ x) / errors.shape[axis]
    return any(np.shape(a) == mean.shape and np.allclose(a, mean)
               for a in (change, np.transpose(change)))  # fmt: skip


def sum_by_unit(finding: Finding, roles: Roles) -> Iterator[Edit]:
    """Sum gradients of biases over the batch only, not over the units."""
    for update in roles.step.updates:
        made = update.gradient.made_by
        if made.name in ("sum", "mean") and made.result.size == 1 < update.old.size:
            for options in axes(made.operands[0].data, update.old.shape):
                yield edit(made.site, f"np.{made.name}({in_source(made, 0)}, {options})")


def reshape_targets(finding: Finding, roles: Roles) -> Iterator[Edit]:
    """Bring targets to the outputs' shape where the two meet."""
    error, slot = roles.error, roles.error.operands.index(roles.targets[0])
    if error.index is None:
        outputs = in_source(error, roles.outputs[0])
        yield operand_edit(error, slot, f"np.reshape({{}}, np.shape({outputs}))")


def each_error(finding: Finding, roles: Roles) -> Iterator[Edit]:
    """Leave out a sum over all errors before the backward pass."""
    for each in roles.step.operations:
        sums = each.name in ("sum", "mean") and each.result.size == 1 and each.result in roles.cone
        if sums and each.operands[0] is roles.error.result:
            yield edit(each.site, f"({in_source(each, 0)})")


def less_decay(finding: Finding, roles: Roles) -> list[Edit]:
    """Multiply a penalty by the rate, or else divide its factor by 100, where its number stands."""
    rates = {text for update in roles.step.updates for text, _ in update.scalars}
    forms = [(old.format(rate, g), f"_x -= {rate} * ({g} + _l * _x)")
             for rate in rates for g in ("_g", "_g @ _h") for old in DECAYS]  # fmt: skip
    if edits := at_sites([each.site for each, _ in penalties(roles)], forms):
        return edits
    whole = [(each, side, words.removeprefix("1 - ")) for each, side in penalties(roles)
             if (words := in_source(each, side)).startswith("1 - ")]  # fmt: skip
    if whole:  # (1 - rate * l2) * weights
        return [operand_edit(each, side, f"1 - 0.01 * ({part})") for each, side, part in whole]
    for each, side in penalties(roles):
        words, value = in_source(each, side), each.operands[side].number
        if edits := numbers(each.site.file, words, 0.01, value):
            return edits
    return []


def apart(sites: Iterable[Site]) -> Iterator[Edit]:
    """Give what a statement makes of a value a name of its own, in it and in those that follow."""
    for file, made in dict.fromkeys((each.file, statement_of(each)) for each in sites):
        if not isinstance(made, ast.Assign | ast.AugAssign):
            continue
        target = made.targets[0] if isinstance(made, ast.Assign) else made.target
        old, value = ast.unparse(target), ast.unparse(made.value)
        new = unused(file, re.sub(r"\W+", "_", old.removeprefix("self.")).strip("_") + "_now")
        value = value if isinstance(made, ast.Assign) else f"{old} / ({value})"
        among = block(file, made)
        uses = [n for each in among[among.index(made) + 1 :] for n in ast.walk(each)
                if isinstance(n, ast.expr) and ast.unparse(n) == old]  # fmt: skip
        if uses:
            yield changed(file, made, f"{new} = {value}")
            yield from (changed(file, n, new) for n in uses)
