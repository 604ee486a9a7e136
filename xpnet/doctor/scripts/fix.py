"""Changes of a script's text that mend what was found, and their application.

Each finding that names a line gets its edits: what stands at a place of the source becomes another
text. What was measured brings its own; for the rules' findings they are made here, from where the
script draws, compares, sums and updates.
"""

import ast
import linecache
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from xpnet.doctor.findings import Finding
from xpnet.doctor.scripts.conclusions import edit, operand_edit
from xpnet.doctor.scripts.mapping import Mapping
from xpnet.doctor.scripts.trace import Operation, Update, Value
from xpnet.doctor.scripts.updates import origin
from xpnet.doctor.scripts.variants import in_words, is_made_by
from xpnet.doctor.scripts.verdicts import Measured

Edit = dict[str, Any]
DRAWS = re.compile(r"rand|uniform|normal|zeros|ones|full|empty")
NOTHING_LEARNT = ("cannot-overfit-one-batch", "no-better-than-constant")
FEW_ROWS = 16  # of which the longest good step is not one for all rows
LONGER, SHORTER = 10.0, 0.1  # steps, where no better length was measured


def with_edits(
    findings: Iterable[Finding], roles: Mapping, points: Sequence[Measured]
) -> tuple[Finding, ...]:
    """Return the findings, with edits of the source in `repair` wherever these are known."""
    found = tuple(_with_edits(each, roles, points) for each in findings)
    if any("edits" in (each.repair or {}) for each in found):
        return found
    # The gradient is right, and no other cause was found: longer steps, if the first one says so.
    for i, each in enumerate(found):
        if each.code in NOTHING_LEARNT and (edits := _rate(each, roles, points)):
            return (*found[:i], replace(each, repair={"edits": edits}), *found[i + 1 :])
    return found


def apply(text: str, edits: Iterable[Edit]) -> str:
    """Return a source with its edits; one inside another is made within that one's new text."""
    lines = [line.encode() for line in text.split("\n")]
    done = list[tuple[int, int, int, bytes]]()
    for each in sorted(edits, key=lambda e: e["end_column"] - e["column"]):
        row, start, end = each["line"] - 1, each["column"], each["end_column"]
        new = each["text"].encode()
        inner = [e for e in done if e[0] == row and start <= e[1] and e[2] <= end]
        crossing = [e for e in done if e[0] == row and start < e[2] and e[1] < end]
        fits = all((e[1], e[2]) != (start, end) and lines[row][e[1] : e[2]] in new for e in inner)
        if not end or crossing != inner or not fits:
            continue  # perhaps in the next round
        for e in inner:
            new = new.replace(lines[row][e[1] : e[2]], e[3], 1)
            done.remove(e)
        done.append((row, start, end, new))
    for row, start, end, new in sorted(done, reverse=True):
        lines[row] = lines[row][:start] + new + lines[row][end:]
    return b"\n".join(lines).decode()


def mended_lines(edits: Sequence[Edit]) -> list[str]:
    """Return each line that edits change, with all its changes."""
    lines = []
    for file, number in dict.fromkeys((each["file"], each["line"]) for each in edits):
        here = [{**e, "line": 1} for e in edits if (e["file"], e["line"]) == (file, number)]
        line = linecache.getline(file, number).strip("\n")
        whole = line and all(each["end_column"] for each in here)
        lines.append(f"line {number}: {apply(line, here).strip() if whole else here[0]['text']}")
    return lines


def _with_edits(finding: Finding, roles: Mapping, points: Sequence[Measured]) -> Finding:
    known = finding.repair or {}
    if "edits" in known:
        return finding
    edits: list[Edit] = []
    for change, mend in MENDERS.items():
        if change in known or change == finding.code:
            edits += mend(finding, roles, points)
    return replace(finding, repair={**known, "edits": edits}) if edits else finding


def _sums(finding: Finding, roles: Mapping, points: Sequence[Measured]) -> list[Edit]:
    """Sum gradients of biases over the batch, where they are applied."""
    edits = []
    for name in (finding.repair or {}).get("sum_over_batch", ()):
        update = roles.updates_of(roles.names.index(name))[0]
        for axis, keep in ((0, False), (1, False), (0, True), (1, True)):
            shape = np.shape(np.sum(update.delta.data, axis=axis, keepdims=keep))
            if shape == update.old.shape:
                options = f"axis={axis}, keepdims=True" if keep else f"axis={axis}"
                edits.append(_applied(update, "np.sum({}, " + options + ")"))
                break
    return edits


def _applied(update: Update, form: str) -> Edit:
    """Change what an update adds or subtracts; {} stands for what it does now."""
    operation = update.operation
    slot = operation.operands.index(update.delta)
    words = in_words(operation, slot)
    return operand_edit(operation.site, slot, words, form.format(words))


def _draws(finding: Finding, roles: Mapping, points: Sequence[Measured]) -> list[Edit]:
    """Draw initial weights symmetrically about 0, of the size that the layers' widths ask for."""
    edits, fed_by_sigmoids = list[Edit](), False
    for layer in roles.layers:
        gain = 2.0 if fed_by_sigmoids else 1.0  # as `xpnet.nn.initializers` has it
        fed_by_sigmoids = is_made_by("sigmoid", layer) and layer is not roles.layers[-1]
        gain *= 2.0 if fed_by_sigmoids else 1.0
        updates = roles.updates_of(layer.weights)
        drawn = _drawn(updates[0].old) if updates else None
        if drawn is None or not drawn.site.end_column:
            continue
        values, text = np.asarray(updates[0].old.data), drawn.site.text
        limit = gain * (6.0 / max(1, sum(values.shape))) ** 0.5
        start, whole = origin(updates[0].old)[0], updates[0].old.made_by
        if not np.any(drawn.result.data):
            # A generator of its own: what the script draws later stays the same.
            own = f"np.random.default_rng({layer.weights})"
            text = f"{limit:.2g} * {own}.uniform(-1, 1, np.shape({text}))"
        elif start is not drawn.result and whole is not drawn:  # drawn, and shifted
            if whole is None or not whole.site.end_column or whole is updates[0].operation:
                continue
            drawn = whole
            text = f"{limit / 3**0.5 / np.std(values):.2g} * ({whole.site.text})"
        elif np.min(drawn.result.data) >= 0.0:
            scaled = np.max(values) / np.max(drawn.result.data)
            text = f"{limit / scaled:.2g} * (2 * {text} - 1)"
        else:
            text = f"{limit / 3**0.5 / np.std(values):.2g} * {text}"
        edits += [edit(drawn.site, text)] * (not text.startswith("1 * "))
    return edits


def _drawn(value: Value) -> Operation | None:
    """Return the operation that drew a parameter's first value."""
    waiting = [value]
    for each in waiting:
        made = each.made_by
        if made is not None and DRAWS.search(made.name) and made.result.size == value.size:
            return made
        waiting += made.operands if made is not None and len(waiting) < 50 else ()
    return None


def _rate(finding: Finding, roles: Mapping, points: Sequence[Measured]) -> list[Edit]:
    """Change the learning rate: where its number stands, or else in every update."""
    known = finding.repair or {}
    updates = [each for n in range(len(roles.names)) for each in roles.updates_of(n)]
    factor = SHORTER if "large" in finding.code else LONGER
    if "factor" in known:
        factor = known["factor"]
    elif "large" not in finding.code and points and points[0].line:
        lengths = {f: loss for f, loss in points[0].line.items() if f >= 1.0 and loss == loss}
        factor = max(1.0, min(lengths, key=lambda f: lengths[f], default=1.0) / 5.0)
        factor = min(factor, LONGER) if _rows(roles) < FEW_ROWS else factor
    if factor == 1.0:
        return []
    for text, value in dict.fromkeys(pair for each in updates for pair in each.scalars):
        edits = _numbers(updates[0].operation.site.file, text, value, value * factor)
        if edits:
            return edits
    return [_applied(each, f"{factor:g} * ({{}})") for each in updates]


def _rows(roles: Mapping) -> float:
    """Return how many samples a step has: of weights (i, o), inputs (n, i) and sums (n, o)."""
    updates = roles.updates_of(roles.layers[0].weights) if roles.layers else ()
    if not updates:
        return 0.0  # not known
    layer, weights = roles.layers[0], max(1, updates[0].old.size)
    return float((layer.inputs.size * layer.pre_activations.size / weights) ** 0.5)


def _tree(file: str) -> ast.Module:
    """Return the syntax tree of a script's file, or of a notebook's cell."""
    return ast.parse("".join(linecache.getlines(file)))


def _numbers(file: str, name: str, value: float, new: float) -> list[Edit]:
    """Write another number wherever a source gives it to a name, as a variable or an argument."""
    last, edits, tree = name.rpartition(".")[2], [], _tree(file)
    taking = dict[str, int]()  # functions, and classes, that take it: as which argument
    for node in ast.walk(tree):
        for each in node.body if isinstance(node, ast.Module | ast.ClassDef) else ():
            names = [a.arg for a in each.args.args] if isinstance(each, ast.FunctionDef) else []
            if isinstance(each, ast.FunctionDef) and last in names:
                whole = isinstance(node, ast.ClassDef) and each.name == "__init__"
                called = getattr(node, "name", "") if whole else each.name
                taking[called] = names.index(last) - (names[0] == "self")
    for node in ast.walk(tree):
        given: list[Any] = []
        if isinstance(node, ast.Assign):
            named = [ast.unparse(each).rpartition(".")[2] for each in node.targets]
            given = [node.value] if last in named else []
        elif isinstance(node, ast.keyword):
            given = [node.value] if node.arg == last else []
        elif isinstance(node, ast.Call):
            place = taking.get(ast.unparse(node.func).rpartition(".")[2], len(node.args))
            given = node.args[place : place + 1]
        elif isinstance(node, ast.FunctionDef):
            names = [each.arg for each in node.args.args][-len(node.args.defaults) :]
            given = [d for n, d in zip(names, node.args.defaults, strict=False) if n == last]
        edits += [
            {"file": file, "line": n.lineno, "column": n.col_offset, "end_column": n.end_col_offset,
             "text": f"{float(f'{new:.2g}'):g}"}
            for n in given if isinstance(n, ast.Constant) and type(n.value) in (int, float)
            and n.value == value
        ]  # fmt: skip
    return edits


def _shapes(finding: Finding, roles: Mapping, points: Sequence[Measured]) -> list[Edit]:
    """Bring targets to the outputs' shape where the two meet."""
    error = roles.error
    if error is None or error.index is not None:
        return []
    slot = int(error.operands[1] is roles.targets[0])
    targets, outputs = in_words(error, slot), in_words(error, 1 - slot)
    new = f"np.reshape({targets}, np.shape({outputs}))"
    return [operand_edit(error.site, slot, targets, new)]


def _one_error(finding: Finding, roles: Mapping, points: Sequence[Measured]) -> list[Edit]:
    """Leave out a sum over all errors before the backward pass."""
    return [
        edit(each.site, f"({in_words(each, 0)})")
        for each in roles.step.operations
        if roles.error is not None and each.name in ("sum", "mean") and each.result.size == 1
        and each.operands[0] is roles.error.result and id(each.result) in roles.cone
    ]  # fmt: skip


def _scaled(finding: Finding, roles: Mapping, points: Sequence[Measured]) -> list[Edit]:
    """Standardise the inputs, after the last statement of the script that makes them."""
    if not roles.layers or not roles.outputs:
        return []
    value, product = roles.layers[0].inputs, roles.layers[0].product
    file, words = product.site.file, in_words(product, int(product.operands[1] is value))
    tree = _tree(file)
    for name in (*value.names, words):
        made = [each for each in tree.body if isinstance(each, ast.Assign) and name in _named(each)]
        if made and len(value.shape) == 2:
            columns = roles.outputs[0].shape[:1] != value.shape[:1]
            keep = f"axis={int(columns)}, keepdims=True"
            end, line = made[-1].end_col_offset, made[-1].end_lineno
            new = f"({name} - np.mean({name}, {keep})) / (np.std({name}, {keep}) + 1e-12)"
            return [{"file": file, "line": line, "column": end, "end_column": end,
                     "text": f"; {name} = {new}"}]  # fmt: skip
    return []


def _named(assignment: ast.Assign) -> set[str]:
    """Return what an assignment gives a value to."""
    targets = [each for target in assignment.targets for each in ast.walk(target)]
    return {ast.unparse(each) for each in targets if isinstance(each, ast.Name | ast.Attribute)}


def _longer(finding: Finding, roles: Mapping, points: Sequence[Measured]) -> list[Edit]:
    """Take longer steps if the first one says so, or else ten times as many."""
    return _rate(finding, roles, points) or _repeated(roles)


def _repeated(roles: Mapping) -> list[Edit]:
    """Let the outermost loop that updates, or calls what does, run ten times as often."""
    site = roles.step.updates[0].operation.site
    name = site.function.rpartition(".")[2]
    for loop in ast.walk(_tree(site.file)):
        if not (isinstance(loop, ast.For) and isinstance(loop.iter, ast.Call)):
            continue
        inside = loop.lineno <= site.line <= (loop.end_lineno or 0)
        calls = [ast.unparse(n.func) for n in ast.walk(loop) if isinstance(n, ast.Call)]
        counted = ast.unparse(loop.iter.func) == "range" and len(loop.iter.args) == 1
        if counted and (inside or (name and any(each.endswith(name) for each in calls))):
            n = loop.iter.args[0]
            place = {"file": site.file, "line": n.lineno, "column": n.col_offset}
            number = isinstance(n, ast.Constant)
            text = f"10 * {ast.unparse(n)}" if number else f"10 * ({ast.unparse(n)})"
            return [{**place, "end_column": n.end_col_offset, "text": text}]
    return []


MENDERS = {
    "sum_over_batch": _sums,
    "init": _draws,
    "learning_rate": _rate,
    "learning_rate_factor": _rate,
    "reshape_targets": _shapes,
    "gradient-wrong": _one_error,
    "standardize": _scaled,
    "too-few-steps": _longer,
    "learning-rate-too-small": _rate,
}
