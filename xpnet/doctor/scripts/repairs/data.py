"""Changes of all of the script's data: their scale, a column of ones, and alike those for tests."""

import ast
import re
from collections.abc import Iterator

import numpy as np

from xpnet.doctor.findings import Finding
from xpnet.doctor.scripts.mapping import Roles, in_source
from xpnet.doctor.scripts.recording.source import modules, tree
from xpnet.doctor.scripts.recording.steps import Operation, Value
from xpnet.doctor.scripts.recording.updates import maker
from xpnet.doctor.scripts.repairs.edits import (
    Edit,
    after,
    ahead,
    around,
    assigned,
    assigned_by,
    block,
    changed,
    statement_of,
)
from xpnet.doctor.scripts.repairs.sizes import kept, loops

SCALES = {"divide", "subtract", "multiply"}
OTHER_ROWS = "test", "valid", "val", "dev"  # in names of data, where the trained ones say "train"


def _data(value: Value, user: Operation, roles: Roles) -> tuple[str, Value, ast.stmt]:
    """Return the name of the script's data that a step's value is of, and where that is made.

    LookupError if it is none of the script's: then nothing can be mended.
    """
    line = roles.step.updates[0].operation.site
    for each, name in kept(value, roles, in_source(user, value)):
        made = [s for s in assigned(roles.file, name) if line.function or s.lineno < line.line]
        if made:
            return name, each, made[-1]
    raise LookupError(user.site)


def _training(made: ast.stmt, roles: Roles) -> ast.stmt | None:
    """Return the statement that trains, among those after the one that makes data."""
    file = roles.file
    lines = [roles.step.updates[0].operation.line, *(loop.lineno for loop in loops(roles))]
    calls = [f"{n.name}(" for line in lines for n in around(file, line, (ast.FunctionDef,))]
    for each in block(file, made):
        within = any(each.lineno <= line <= (each.end_lineno or 0) for line in lines)
        trains = within or any(call in ast.unparse(each) for call in calls)
        own = isinstance(each, ast.FunctionDef | ast.ClassDef)
        if each.lineno > made.lineno and trains and not own:
            return each
    return None


def _before_training(form: str, data: str, made: ast.stmt, roles: Roles, note: str = "") -> Edit:
    """Change data, and those beside, just ahead of the training: what else is made of them stays.

    What users must mind then is a comment, where the statement has a line of its own.
    """
    new = [form.format(name) for name in [*_beside(data, made, roles), data]]
    start = _training(made, roles)
    added = ahead(roles.file, start, *new) if start else after(roles.file, made, *new)
    own_line = note and "\n" in added["text"]
    text = added["text"].replace(new[-1], f"{new[-1]}  # {note}") if own_line else added["text"]
    return {**added, "text": text}


def _beside(data: str, made: ast.stmt, roles: Roles) -> list[str]:
    """Return the names of data of the same kind, made before the training beside those."""
    last, among = (_training(made, roles) or made).lineno, block(roles.file, made)
    layer = roles.layers[0]
    columns = layer.product.operands[1] is layer.inputs and len(layer.inputs.shape) == 2
    pairs = [pair for s in among if isinstance(s, ast.Assign) for pair in assigned_by(s)]
    parts = [(name, part) for name, n in pairs if (part := _part(n, int(columns)))]
    own = {part for name, part in parts if name == data}
    names = {name for name, part in parts if part in own}
    names |= {re.sub("train", word, data) for word in OTHER_ROWS}
    if any(data == called for _, called in kept(layer.inputs, roles)):
        names |= _served(roles)
    return sorted(name for name in names - {data, "", *(part[0] for part in own)} if any(
        each.lineno < last and each in among for each in assigned(roles.file, name)
    ))  # fmt: skip


def _part(node: ast.expr, samples: int) -> tuple[str, ...]:
    """Return of what something is a part, and which: without the samples. Empty if it is none."""
    if not isinstance(node, ast.Subscript):
        return ()
    index = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    chosen = index[samples : samples + 1]
    rest = [ast.unparse(each) for each in index if each not in chosen]
    one = not chosen or isinstance(chosen[0], ast.Constant)
    return () if one else (ast.unparse(node.value), *rest)


def _served(roles: Roles) -> set[str]:
    """Return what the script's own data are called that the network is given at the end."""
    return {words for _, words in roles.served} | {
        roles.places.get(id(each.object), "")
        for value, _ in roles.served for each, _ in kept(value, roles)
    }  # fmt: skip


def scaled(finding: Finding, roles: Roles) -> Iterator[Edit]:
    """Standardise the inputs just ahead of the training, and alike what is kept for tests."""
    layer = roles.layers[0]
    x, data, made = _data(layer.inputs, layer.product, roles)
    columns = len(layer.inputs.shape) == 2 and roles.outputs[0].shape[:1] != layer.inputs.shape[:1]
    keep = f"axis={int(columns)}, keepdims=True"
    form = f"{{0}} = ({{0}} - np.mean({x}, {keep})) / (np.std({x}, {keep}) + 1e-12)"
    note = "scale new inputs alike, by the mean and std of these"
    if len(data.shape) == 2:
        yield _before_training(form, x, made, roles, note)


def scaled_alike(finding: Finding, roles: Roles) -> Iterator[Edit]:
    """Scale what is predicted as the training scales its inputs, by the same numbers."""
    file, scaling = roles.file, None
    for value, _ in kept(roles.layers[0].inputs, roles):
        while (made := value.made_by).name in SCALES and made.operands[0].size > 1:
            scaling, value, own = statement_of(made.site), made.operands[0], in_source(made, 0)
        if isinstance(scaling, ast.Assign):
            break
    else:
        return
    known = {name for s in tree(file).body if isinstance(s, ast.Assign)
             for n in s.targets for name in _names_in(n)}  # fmt: skip
    raw = next((name for name in [roles.places.get(id(value.object)), own] if name in known), "")
    once = ast.unparse(scaling.value).count(own) == 1 or ast.unparse(scaling.targets[0]) != own
    before = scaling in tree(file).body and not once  # it overwrites the unscaled numbers
    for y in sorted(_served(roles) & known - {raw, own, ast.unparse(scaling.targets[0])}):
        new, made_y = _of_others(scaling.value, own, y, raw), assigned(file, y)[-1]
        places = [made_y, *assigned(file, raw)[:1]]
        if scaling in tree(file).body:
            places.append(scaling)
        last = max(places, key=lambda each: each.lineno)
        if not raw or not _names_in(new) <= {*known, *modules(file)}:
            continue
        text = ast.unparse(new)
        if y in _names_in(made_y.value) and last is made_y and not before:
            yield changed(file, made_y.value, text)
        elif before and made_y.lineno < scaling.lineno:
            yield ahead(file, scaling, f"{y} = {text}")
        elif not before:
            yield after(file, last, f"{y} = {text}")


def _names_in(node: ast.AST) -> set[str]:
    return {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}


def _of_others(scaling: ast.expr, own: str, other: str, raw: str) -> ast.expr:
    """Return what scales an array so that it scales another one, by the first one's numbers."""
    new = ast.parse(ast.unparse(scaling), mode="eval").body
    numbers = [n for n in ast.walk(new) if isinstance(n, ast.Call)]
    inside = {each for call in numbers for each in ast.walk(call)}
    for each in ast.walk(new):
        if isinstance(each, ast.Name) and each.id == own:
            each.id = raw if each in inside else other
    return new


def reachable(finding: Finding, roles: Roles) -> Iterator[Edit]:
    """Bring the targets to where the outputs can be, after the statement that makes them."""
    low, high = (finding.repair or {}).get("target_range", (-np.inf, np.inf))
    if finding.code == "target-range" and not np.any(np.isfinite([low, high])):
        return  # another output is wanted, not other targets
    t, _, made = _data(roles.targets[0], roles.error, roles)
    form = f"({{0}} - np.mean({t})) / np.std({t})"
    if np.isfinite(low) and np.isfinite(high):
        form = f"({{0}} - np.min({t})) / (np.max({t}) - np.min({t}))"
        form += f" * {high - low:g} + {low:g}" if (low, high) != (0.0, 1.0) else ""
    elif np.isfinite(low):
        form = f"{{0}} - np.min({t})" + (f" + {low:g}" if low else "")
    note = "outputs are then on this scale, too"
    if roles.error.index is None:
        yield _before_training(f"{{0}} = {form}", t, made, roles, note)


def column_of_ones(finding: Finding, roles: Roles) -> Iterator[Edit]:
    """Give the inputs a column of ones, whose weights are biases."""
    layer = roles.layers[0]
    columns = layer.product.operands[1] is layer.inputs
    x, data, made = _data(layer.inputs, layer.product, roles)
    drawn = _shape_of(roles.updates_of(layer.weights)[0].old, -1 if columns else 0)
    more = "{0} = np.hstack([{0}, np.ones((len({0}), 1))])"
    if columns:
        more = "{0} = np.vstack([{0}, np.ones((1, np.shape({0})[1]))])"
    ones = _before_training(more, x, made, roles)
    if len(data.shape) == 2:
        yield ones
        if not (drawn["line"] > ones["line"] and "shape" in drawn["text"]):  # it is drawn behind
            yield {**drawn, "text": f"{drawn['text']} + 1"}


def _shape_of(weights: Value, place: int) -> Edit:
    """Return where one of its two sizes stands in what draws weights; LookupError if nowhere."""
    drawn = maker(weights).site
    for node in ast.walk(statement_of(drawn) or ast.Pass()):
        if isinstance(node, ast.Tuple | ast.Call) and node.lineno == node.end_lineno == drawn.line:
            sizes = node.elts if isinstance(node, ast.Tuple) else node.args
            within = drawn.column <= node.col_offset
            within = within and (node.end_col_offset or 0) <= drawn.end_column
            nested = any(isinstance(each, ast.Tuple | ast.Call) for each in sizes)
            if within and not nested and len(sizes) == len(weights.shape) == 2:
                return changed(drawn.file, sizes[place], ast.unparse(sizes[place]))
    raise LookupError(drawn)
