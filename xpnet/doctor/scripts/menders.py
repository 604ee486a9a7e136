"""For kinds of causes, the lines of the script as they should be.

Each mender takes a finding and what the script's first step showed, and returns edits; none where
it does not see how the script would have to be. They look for what is usual in scripts of any
style; whether an edit helps is seen when the mended copy runs.
"""

import ast
import re
from itertools import pairwise, takewhile
from typing import Any

import numpy as np

from xpnet.doctor.findings import Finding
from xpnet.doctor.scripts.edits import (
    Edit,
    after,
    ahead,
    around,
    assigned,
    at,
    block,
    changed,
    edit,
    operand_edit,
    statements,
    tree,
    unused,
)
from xpnet.doctor.scripts.mapping import VIEWS, Mapping, in_source
from xpnet.doctor.scripts.sizes import applied, kept, loops
from xpnet.doctor.scripts.trace import Value
from xpnet.doctor.scripts.updates import ancestors, origin


def _given(value: Value, words: str, roles: Mapping) -> tuple[str, Value, ast.stmt] | None:
    """Return the name of the script's data that a step's value is of, and where that is made."""
    file, line = roles.file, roles.step.updates[0].operation.site
    for each in kept(value, roles):
        for name in dict.fromkeys([*each.names, words]):
            made = [s for s in assigned(file, name) if line.function or s.lineno < line.line]
            if made:
                return name, each, made[-1]
    return None


def _before_training(file: str, made: ast.stmt, new: str, roles: Mapping, note: str = "") -> Edit:
    """Add a statement just ahead of the training: what else is made of the data stays as it is.

    What users must mind then is a comment, where the statement has a line of its own.
    """
    lines = [roles.step.updates[0].operation.line, *(loop.lineno for loop in loops(roles))]
    calls = [f"{n.name}(" for line in lines for n in around(file, line, (ast.FunctionDef,))]
    for each in block(file, made):
        within = any(each.lineno <= line <= (each.end_lineno or 0) for line in lines)
        trains = within or any(call in ast.unparse(each) for call in calls)
        own = isinstance(each, ast.FunctionDef | ast.ClassDef)
        if each.lineno > made.lineno and trains and not own:
            return _noted(ahead(file, each, new), new, note)
    return _noted(after(file, made, new), new, note)


def _noted(added: Edit, new: str, note: str) -> Edit:
    own_line = note and "\n" in added["text"]
    text = added["text"].replace(new, f"{new}  # {note}") if own_line else added["text"]
    return {**added, "text": text}


def scaled(finding: Finding, roles: Mapping) -> list[Edit]:
    """Standardise the inputs, after the last statement of the script that makes them."""
    if not roles.layers or not roles.outputs:
        return []
    value, product = roles.layers[0].inputs, roles.layers[0].product
    found = _given(value, in_source(product, int(product.operands[1] is value)), roles)
    if found is None or len(found[1].shape) != 2:
        return []
    name, _, made = found
    columns = len(value.shape) == 2 and roles.outputs[0].shape[:1] != value.shape[:1]
    keep = f"axis={int(columns)}, keepdims=True"
    new = f"{name} = ({name} - np.mean({name}, {keep})) / (np.std({name}, {keep}) + 1e-12)"
    note = "scale new inputs alike, by the mean and std of these"
    return [_before_training(product.site.file, made, new, roles, note)]


def reachable(finding: Finding, roles: Mapping) -> list[Edit]:
    """Bring the targets to where the outputs can be, after the statement that makes them."""
    error, known = roles.error, finding.repair or {}
    if error is None or error.index is not None:
        return []
    target = roles.targets[0]
    found = _given(target, in_source(error, error.operands.index(target)), roles)
    if found is None:
        return []
    t, _, made = found
    low, high = known.get("target_range", (-np.inf, np.inf))
    new = f"({t} - np.min({t})) / (np.max({t}) - np.min({t}))"
    if np.isfinite(low) and np.isfinite(high):
        new = f"{new} * {high - low:g} + {low:g}" if (low, high) != (0.0, 1.0) else new
    elif np.isfinite(low):
        new = f"{t} - np.min({t})" + (f" + {low:g}" if low else "")
    else:
        new = f"({t} - np.mean({t})) / np.std({t})"
    note = "outputs are then on this scale, too"
    return [_before_training(roles.file, made, f"{t} = {new}", roles, note)]


def by_sample(finding: Finding, roles: Mapping) -> list[Edit]:
    """Let a softmax divide by the sum over the outputs of each sample."""
    made, layer = roles.outputs[0].made_by, roles.layers[-1]
    divisor = made.operands[-1].made_by if made and made.name == "divide" else None
    total = divisor
    while total is not None and total.name in VIEWS:
        total = total.operands[0].made_by
    if divisor is None or total is None or total.name != "sum":
        return []
    axis = int(layer.product.operands[0] is layer.inputs)
    return [edit(divisor.site, f"np.sum({in_source(total, 0)}, axis={axis}, keepdims=True)")]


def other_rows(finding: Finding, roles: Mapping) -> list[Edit]:
    """Choose the rows of a batch at random."""
    file, made = roles.file, roles.layers[0].inputs.made_by
    repeated = (ast.For, ast.While, ast.FunctionDef)
    if made is None or made.name != "item":
        return []
    inside = [*around(file, made.line, repeated)]
    nodes = [n for n in ast.walk(inside[-1]) if isinstance(n, ast.Subscript)] if inside else []
    owner = made.site.operands[0]
    index = made.site.text[len(owner) :].replace(" ", "")
    used = ancestors([update.delta for update in roles.step.updates])
    data = {each.site.operands[0] for each in roles.step.operations if each.name == "item"
            and id(each.result) in used
            and each.operands[0].shape[:1] == made.operands[0].shape[:1]}  # fmt: skip
    same = [n for n in nodes if f"[{ast.unparse(n.slice)}]".replace(" ", "") == index
            and ast.unparse(n.value) in data]  # fmt: skip
    first = at(file, min((n.lineno for n in same), default=0))
    if first is None or len(same) < 2 or ":" not in index or "," in index:
        return []
    rows, count = unused(file, "rows"), roles.layers[0].inputs.shape[0]
    drawn = f"{rows} = np.random.randint(len({owner}), size={count})"
    return [ahead(file, first, drawn), *(changed(file, n.slice, rows) for n in same)]


def paired(finding: Finding, roles: Mapping) -> list[Edit]:
    """Give each row its own target: one order for both, the batch's targets, the same set's."""
    return _one_order(roles) or _stale(roles) or _same_set(roles)


def _one_order(roles: Mapping) -> list[Edit]:
    """Shuffle inputs and targets in one order that two neighbouring statements shuffle apart."""
    file = roles.file
    inputs, targets = (
        {name for value in values for each in kept(value, roles) for name in each.names}
        for values in ([roles.layers[0].inputs], roles.targets)
    )
    for one in statements(file):
        for first, second in pairwise(block(file, one)):
            a, b = _shuffled(first), _shuffled(second)
            if (a in inputs and b in targets) or (a in targets and b in inputs):
                order = unused(file, "order")
                both = ", ".join(f"[{n}[i] for i in {order}]" for n in (a, b))
                return [changed(file, first, f"{order} = np.random.permutation(len({a}))"),
                        changed(file, second, f"{a}[:], {b}[:] = {both}")]  # fmt: skip
    return []


def _shuffled(statement: ast.stmt) -> str:
    """Return what a statement shuffles in place, if it does nothing else."""
    match statement:
        case ast.Expr(ast.Call(function, [argument])) if re.search(
            r"shuffle$", ast.unparse(function)
        ):
            return ast.unparse(argument)
    return ""


def _stale(roles: Mapping) -> list[Edit]:
    """Make the targets before the error that uses them, where the script makes them behind it."""
    error, file = roles.error, roles.file
    using = at(file, error.line) if error else None
    if error is None or using is None:
        return []
    words, around_it = in_source(error, error.operands.index(roles.targets[0])), block(file, using)
    late = [
        s for s in around_it if isinstance(s, ast.Assign) and ast.unparse(s.targets[0]) == words
    ]
    if not late or late[0].lineno <= using.lineno:
        return []
    return [changed(file, late[0], "pass"), ahead(file, using, ast.unparse(late[0]))]


def alike(one: str, other: str) -> int:
    """Return how many letters two words begin with together."""
    pairs = zip(one, other, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _same_set(roles: Mapping) -> list[Edit]:
    """Take the targets that are called as the inputs are: y_train beside x_train, not y_test."""
    made = roles.targets[0].made_by if roles.targets else None
    inputs = [n for v in kept(roles.layers[0].inputs, roles) for n in v.names]
    if made is None or not made.site.operands or not inputs:
        return []
    old = made.site.operands[0]
    names = {n.id for n in ast.walk(tree(roles.file)) if isinstance(n, ast.Name)}

    def likeness(name: str) -> int:
        ends = alike(name[::-1], inputs[0][::-1])
        return (ends + alike(name, old)) * (ends > 3)

    best = max(sorted(names - {inputs[0]}), key=likeness)
    return [operand_edit(made.site, 0, old, best)] if likeness(best) > likeness(old) else []


def own_target(finding: Finding, roles: Mapping) -> list[Edit]:
    """Take the target of the row that a step has, in place of another loop's last one."""
    error, made = roles.error, roles.layers[0].inputs.made_by if roles.layers else None
    if error is None or made is None or made.name != "item":
        return []
    slot = error.operands.index(roles.targets[0])
    words, row = in_source(error, slot), made.site.text[len(made.site.operands[0]) :]
    for node in ast.walk(tree(error.site.file)):
        match node:
            case ast.For(ast.Name(name), ast.Name(rows)) if name == words:
                return [operand_edit(error.site, slot, words, f"{rows}{row}")]
    return []


def cleared(finding: Finding, roles: Mapping) -> list[Edit]:
    """Set gradients that a step adds up back to 0 after their update."""
    edits = []
    for update in roles.step.updates:
        made, site = update.gradient.made_by, update.operation.site
        statement = at(site.file, site.line)
        if made is not None and made.site.kind == "in place" and statement is not None:
            part = "[...]" if update.gradient.shape else ""
            edits.append(after(site.file, statement, f"{made.site.operands[0]}{part} = 0.0"))
    return edits


def also_updated(finding: Finding, roles: Mapping) -> list[Edit]:
    """Update what has a gradient and no update, as the script does with the others."""
    operations, updates = roles.step.operations, roles.step.updates
    used = {id(v) for each in operations for v in each.operands}
    unused = [each.result.names[-1] for each in operations
              if each.result.names and id(each.result) not in used]  # fmt: skip
    last = updates[-1].operation.site
    statement, edits = at(last.file, last.line), list[Edit]()
    for gradient in dict.fromkeys(unused):
        for update in updates:
            old, known = update.operation.site.operands[0], (update.gradient.names or [""])[-1]
            ours = at(last.file, update.operation.line)
            if not known or ours is None or statement is None or known == gradient:
                continue
            # self.dW2 belongs to self.W2, so self.dW1 to self.W1
            like = re.sub(r"\d+$", "", known), re.sub(r"\d+$", "", gradient)
            number, own = (re.search(r"\d+$", each) for each in (gradient, old))
            if like[0] == like[1] and number and own:
                text = ast.unparse(ours).replace(known, gradient)
                text = re.sub(rf"(?<![\w.]){re.escape(old)}(?!\w)", old[: own.start()] + number[0],
                              text)  # fmt: skip
                edits.append(after(last.file, statement, text))
                break
    return edits


def column_of_ones(finding: Finding, roles: Mapping) -> list[Edit]:
    """Give the inputs a column of ones, whose weights are biases."""
    layer = roles.layers[0]
    value, file = layer.inputs, roles.file
    slot = int(layer.product.operands[1] is value)
    found = _given(value, in_source(layer.product, slot), roles)
    drawn = _shape_of(roles.updates_of(layer.weights)[0].old, 1 - slot * 2)
    if found is None or drawn is None or len(found[1].shape) != 2:
        return []
    name, _, made = found
    more = f"np.vstack([{name}, np.ones((1, np.shape({name})[1]))])" if slot else (
        f"np.hstack([{name}, np.ones((len({name}), 1))])")  # fmt: skip
    ones = _before_training(file, made, f"{name} = {more}", roles)
    known = drawn["line"] > ones["line"] and "shape" in drawn["text"]  # it is drawn behind
    return [ones] + [{**drawn, "text": f"{drawn['text']} + 1"}] * (not known)


def _shape_of(weights: Value, way: int) -> Edit | None:
    """Return where the number of inputs stands in what draws weights: first, or last for -1."""
    drawn = origin(weights)[0].made_by
    statement = at(drawn.site.file, drawn.line) if drawn else None
    if drawn is None or statement is None:
        return None
    for node in ast.walk(statement):
        if isinstance(node, ast.Tuple | ast.Call):
            sizes = node.elts if isinstance(node, ast.Tuple) else node.args
            here = (node.lineno, node.end_lineno) == (drawn.line, drawn.line)
            within = here and drawn.site.column <= node.col_offset
            within = within and (node.end_col_offset or 0) <= drawn.site.end_column
            nested = any(isinstance(each, ast.Tuple | ast.Call) for each in sizes)
            if within and not nested and len(sizes) == len(weights.shape) == 2:
                size = sizes[0 if way > 0 else 1]
                return changed(drawn.site.file, size, ast.unparse(size))
    return None


def sum_biases(finding: Finding, roles: Mapping) -> list[Edit]:
    """Sum gradients of biases over the batch, where they are applied, as those of weights are."""
    edits = []
    for name in (finding.repair or {}).get("sum_over_batch", ()):
        number = roles.names.index(name)
        update = roles.updates_of(number)[0]
        options = _axes(update.delta.data, update.old.shape)
        how = "mean" if options and _averaged(roles, number, int(options[5])) else "sum"
        if options:
            edits.append(applied(update, f"np.{how}({{}}, {options})"))
    return edits


def _axes(array: Any, shape: tuple[int, ...]) -> str:
    """Return the options with which a sum of an array gets a shape; nothing if none do."""
    for options in ("axis=0", "axis=1", "axis=0, keepdims=True", "axis=1, keepdims=True"):
        axis, keep = int(options[5]), "keepdims" in options
        if np.ndim(array) == 2 and np.sum(array, axis=axis, keepdims=keep).shape == shape:
            return options
    return ""


def _averaged(roles: Mapping, biases: int, axis: int) -> bool:
    """Return whether a layer's weights are updated by a mean over the rows, and not by a sum."""
    for layer in roles.layers:
        if layer.biases == biases:
            errors = roles.updates_of(biases)[0].delta.data
            x, applied = layer.inputs.data, roles.updates_of(layer.weights)[0].delta.data
            total = x @ errors.T if axis else errors.T @ x
            mean = total / errors.shape[axis]
            return any(np.shape(a) == mean.shape and np.allclose(a, mean)
                       for a in (applied, np.transpose(applied)))  # fmt: skip
    return False


def sum_by_unit(finding: Finding, roles: Mapping) -> list[Edit]:
    """Sum gradients of biases over the batch only, not over the units."""
    edits = []
    for update in roles.step.updates:
        made = update.gradient.made_by
        if made is not None and made.name in ("sum", "mean") and made.result.size == 1:
            options = _axes(made.operands[0].data, update.old.shape)
            new = f"np.{made.name}({in_source(made, 0)}, {options})"
            edits += [edit(made.site, new)] if options and update.old.size > 1 else []
    return edits


def reshape_targets(finding: Finding, roles: Mapping) -> list[Edit]:
    """Bring targets to the outputs' shape where the two meet."""
    error = roles.error
    if error is None or error.index is not None:
        return []
    slot = int(error.operands[1] is roles.targets[0])
    targets, outputs = in_source(error, slot), in_source(error, 1 - slot)
    new = f"np.reshape({targets}, np.shape({outputs}))"
    return [operand_edit(error.site, slot, targets, new)]


def each_error(finding: Finding, roles: Mapping) -> list[Edit]:
    """Leave out a sum over all errors before the backward pass."""
    return [
        edit(each.site, f"({in_source(each, 0)})")
        for each in roles.step.operations
        if roles.error is not None and each.name in ("sum", "mean") and each.result.size == 1
        and each.operands[0] is roles.error.result and id(each.result) in roles.cone
    ]  # fmt: skip


def floats(finding: Finding, roles: Mapping) -> list[Edit]:
    """Make floats of parameters where they are made."""
    made = [origin(roles.updates_of(n)[0].old)[0].made_by for n in range(len(roles.names))
            if roles.names[n] in finding.where.split(", ")]  # fmt: skip
    return [edit(each.site, f"{each.site.text}.astype(float)") for each in made if each]


def moved(finding: Finding, roles: Mapping) -> list[Edit]:
    """Move an update behind another one, if both stand in one block."""
    file, lines = roles.file, re.findall(r"\d+", finding.remedy)
    found = [each for line in lines if (each := at(file, int(line)))]
    if len(found) != 2 or found[0].col_offset != found[1].col_offset:
        return []
    return [changed(file, found[0], "pass"), after(file, found[1], ast.unparse(found[0]))]
