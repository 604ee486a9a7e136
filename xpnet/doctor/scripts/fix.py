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
from functools import partial
from typing import Any

import numpy as np

from xpnet.doctor.findings import Finding
from xpnet.doctor.scripts.conclusions import edit, operand_edit
from xpnet.doctor.scripts.instrument import Site
from xpnet.doctor.scripts.mapping import Mapping, in_source
from xpnet.doctor.scripts.trace import Operation, Update, Value
from xpnet.doctor.scripts.updates import origin
from xpnet.doctor.scripts.variants import is_made_by

Edit = dict[str, Any]
DRAWS = re.compile(r"rand|uniform|normal|zeros|ones|full|empty")
LONGER, SHORTER = 10.0, 0.1  # steps, where no better length was measured


def with_edits(findings: Iterable[Finding], roles: Mapping) -> tuple[Finding, ...]:
    """Return the findings, with edits of the source in `repair` wherever these are known."""
    found = [_with_edits(each, roles) for each in findings]
    if not any("edits" in (each.repair or {}) for each in found):
        # The gradient is right, and no other cause was found: longer steps, if the first says so.
        for i, each in enumerate(found):
            if each.code == "no-better-than-constant" and (edits := _rate(each, roles)):
                found[i] = replace(each, repair={"edits": edits})
                break
    return tuple(found)


def _with_edits(finding: Finding, roles: Mapping) -> Finding:
    known = finding.repair or {}
    if "edits" in known:
        return finding
    keys = [change for change in MENDERS if change in known or change == finding.code]
    mends = dict.fromkeys(MENDERS[each] for each in keys)
    edits = [each for mend in mends for each in mend(finding, roles)]
    return replace(finding, repair={**known, "edits": edits}) if edits else finding


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


def site_of(finding: Finding, roles: Mapping) -> Site | None:
    """Return where the script makes what a finding is about."""
    where = finding.where.split(", ")
    if "targets" in where[0] and roles.targets:
        made = roles.targets[0].made_by or roles.error
    elif re.search("input|feature", where[0]) and roles.layers:
        made = roles.layers[0].inputs.made_by or roles.layers[0].product
    elif "layer" in where[0] and roles.layers:
        number = re.search(r"\d+", where[0])
        made = roles.layers[min(int(number[0]) if number else 1, len(roles.layers)) - 1].product
    elif where[0] in roles.names:
        update = roles.updates_of(roles.names.index(where[0]))[0]
        drawn = _drawn(update.old) if "init" in (finding.repair or {}) else None
        made = drawn or update.gradient.made_by or update.operation
    else:
        made = (
            roles.error if {"predictions", "loss"} & {*where} else roles.step.updates[0].operation
        )
    return made.site if made else None


def _sums(finding: Finding, roles: Mapping) -> list[Edit]:
    """Sum gradients of biases over the batch, where they are applied."""
    edits = []
    for name in (finding.repair or {}).get("sum_over_batch", ()):
        update = roles.updates_of(roles.names.index(name))[0]
        for options in ("axis=0", "axis=1", "axis=0, keepdims=True", "axis=1, keepdims=True"):
            axis, keep = int(options[5]), "keepdims" in options
            if np.sum(update.delta.data, axis=axis, keepdims=keep).shape == update.old.shape:
                edits.append(_applied(update, "np.sum({}, " + options + ")"))
                break
    return edits


def _applied(update: Update, form: str) -> Edit:
    """Change what an update adds or subtracts; {} stands for what it does now."""
    operation = update.operation
    slot = operation.operands.index(update.delta)
    words = in_source(operation, slot)
    return operand_edit(operation.site, slot, words, form.format(words))


def _draws(finding: Finding, roles: Mapping) -> list[Edit]:
    """Draw initial weights symmetrically about 0, of the size that the layers' widths ask for."""
    edits, fed_by_sigmoids = list[Edit](), False
    for layer in roles.layers:
        gain = 2.0 if fed_by_sigmoids else 1.0  # as `xpnet.nn.initializers` has it
        fed_by_sigmoids = is_made_by("sigmoid", layer) and layer is not roles.layers[-1]
        gain *= 2.0 if fed_by_sigmoids else 1.0
        updates = roles.updates_of(layer.weights)
        drawn = _drawn(updates[0].old) if updates else None
        if drawn is None:
            continue
        start, whole = origin(updates[0].old)[0], updates[0].old.made_by
        if start is not drawn.result and whole not in (None, updates[0].operation):
            drawn = whole or drawn  # it was drawn, and shifted
        values, text = np.asarray(updates[0].old.data), drawn.site.text
        limit = gain * (6.0 / max(1, sum(values.shape))) ** 0.5
        if not np.any(drawn.result.data):
            # A generator of its own: what the script draws later stays the same.
            own = f"np.random.default_rng({layer.weights})"
            text = f"{limit:.2g} * {own}.uniform(-1, 1, np.shape({text}))"
        elif np.min(drawn.result.data) >= 0.0:
            scaled = np.max(values) / np.max(drawn.result.data)
            text = f"{limit / scaled:.2g} * (2 * {text} - 1)"
        else:
            text = f"({text})" if drawn is whole else text
            text = f"{limit / 3**0.5 / np.std(values):.2g} * {text}"
        if drawn.site.end_column and not text.startswith("1 * "):
            edits.append(edit(drawn.site, text))
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


def _rate(finding: Finding, roles: Mapping) -> list[Edit]:
    """Change the learning rate: where its number stands, or else in every update."""
    known, usual = finding.repair or {}, SHORTER if "large" in finding.code else LONGER
    updates, factor = roles.step.updates, known.get("learning_rate_factor", usual)
    if "learning_rate" in known:
        factor = known["learning_rate"] / (abs(updates[0].factor) or 1.0)
    for text, value in dict.fromkeys(pair for each in updates for pair in each.scalars):
        if edits := _numbers(updates[0].operation.site.file, text, value, value * factor):
            return edits
    return [_applied(each, f"{factor:g} * ({{}})") for each in updates]


def _tree(file: str) -> ast.Module:
    """Return the syntax tree of a script's file, or of a notebook's cell."""
    return ast.parse("".join(linecache.getlines(file)))


def _numbers(file: str, name: str, value: float, new: float) -> list[Edit]:
    """Write another number where a source gives it to a name: assigned, by default, or passed."""
    last, given, nodes = name.rpartition(".")[2], list[Any](), [*ast.walk(_tree(file))]
    own = [n for n in nodes if isinstance(n, ast.FunctionDef | ast.ClassDef)]
    taken = [[a.arg for a in n.args.args if a.arg != "self"] for n in own
             if isinstance(n, ast.FunctionDef)]  # fmt: skip
    places = {names.index(last) for names in taken if last in names}
    for node in nodes:
        if isinstance(node, ast.Assign):
            named = [ast.unparse(each).rpartition(".")[2] for each in node.targets]
            given += [node.value] * (last in named)
        elif isinstance(node, ast.keyword):
            given += [node.value] * (node.arg == last)
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func).rpartition(".")[2]
            ours = any(called == each.name for each in own)
            given += [node.args[i] for i in places if ours and i < len(node.args)]
        elif isinstance(node, ast.FunctionDef):
            names = [each.arg for each in node.args.args][-len(node.args.defaults) :]
            given += [d for n, d in zip(names, node.args.defaults, strict=False) if n == last]
    return [
        {**_place(file, n), "text": f"{float(f'{new:.2g}'):g}"} for n in given
        if isinstance(n, ast.Constant) and type(n.value) in (int, float) and n.value == value
    ]  # fmt: skip


def _place(file: str, node: ast.expr | ast.stmt) -> Edit:
    return {"file": file, "line": node.lineno, "column": node.col_offset,
            "end_column": node.end_col_offset}  # fmt: skip


def _shapes(finding: Finding, roles: Mapping) -> list[Edit]:
    """Bring targets to the outputs' shape where the two meet."""
    error = roles.error
    if error is None or error.index is not None:
        return []
    slot = int(error.operands[1] is roles.targets[0])
    targets, outputs = in_source(error, slot), in_source(error, 1 - slot)
    new = f"np.reshape({targets}, np.shape({outputs}))"
    return [operand_edit(error.site, slot, targets, new)]


def _one_error(finding: Finding, roles: Mapping) -> list[Edit]:
    """Leave out a sum over all errors before the backward pass."""
    return [
        edit(each.site, f"({in_source(each, 0)})")
        for each in roles.step.operations
        if roles.error is not None and each.name in ("sum", "mean") and each.result.size == 1
        and each.operands[0] is roles.error.result and id(each.result) in roles.cone
    ]  # fmt: skip


def _scaled(finding: Finding, roles: Mapping) -> list[Edit]:
    """Standardise the inputs, after the last statement of the script that makes them."""
    if not roles.layers or not roles.outputs:
        return []
    value, product = roles.layers[0].inputs, roles.layers[0].product
    file, words = product.site.file, in_source(product, int(product.operands[1] is value))
    assigned = [each for each in _tree(file).body if isinstance(each, ast.Assign)]
    for name in (*value.names, words):
        made = [each for each in assigned for target in each.targets
                if name in map(ast.unparse, ast.walk(target))]  # fmt: skip
        if made and len(value.shape) == 2:
            columns = roles.outputs[0].shape[:1] != value.shape[:1]
            keep = f"axis={int(columns)}, keepdims=True"
            new = f"({name} - np.mean({name}, {keep})) / (np.std({name}, {keep}) + 1e-12)"
            end = {"line": made[-1].end_lineno, "column": made[-1].end_col_offset}
            return [{**_place(file, made[-1]), **end, "text": f"; {name} = {new}"}]
    return []


def _more(finding: Finding, roles: Mapping) -> list[Edit]:
    """Let the outermost loop that updates, or calls what does, run ten times as often."""
    site = roles.step.updates[0].operation.site
    name = site.function.rpartition(".")[2]
    for loop in ast.walk(_tree(site.file)):
        match loop:
            case ast.For(iter=ast.Call(func=ast.Name("range"), args=[count])):
                inside = loop.lineno <= site.line <= (loop.end_lineno or 0)
                calls = map(ast.unparse, ast.walk(loop))
                if inside or (name and any(f"{name}(" in each for each in calls)):
                    text = ast.unparse(count)
                    text = text if isinstance(count, ast.Constant | ast.Name) else f"({text})"
                    return [{**_place(site.file, count), "text": f"10 * {text}"}]
    return []


def _floats(finding: Finding, roles: Mapping) -> list[Edit]:
    """Make floats of parameters where they are made."""
    made = [origin(roles.updates_of(n)[0].old)[0].made_by for n in range(len(roles.names))
            if roles.names[n] in finding.where.split(", ")]  # fmt: skip
    return [edit(each.site, f"{each.site.text}.astype(float)") for each in made if each]


def _moved(finding: Finding, roles: Mapping) -> list[Edit]:
    """Move an update behind another one, if both stand in one block."""
    file, lines = roles.step.updates[0].operation.site.file, re.findall(r"\d+", finding.remedy)
    found = [n for line in lines for n in ast.walk(_tree(file))
             if isinstance(n, ast.stmt) and n.lineno == int(line)]  # fmt: skip
    if len(found) != 2 or found[0].col_offset != found[1].col_offset:
        return []
    early, late = map(partial(_place, file), found)
    after = {**late, "line": found[1].end_lineno, "column": late["end_column"]}
    return [{**early, "text": "pass"}, {**after, "text": f"; {ast.unparse(found[0])}"}]


def _unseeded(finding: Finding, roles: Mapping) -> list[Edit]:
    """Leave out seeds that are set again and again, in a loop or a function."""
    file = roles.step.updates[0].operation.site.file
    inside = {id(n): n for outer in ast.walk(_tree(file))
              if isinstance(outer, ast.For | ast.While | ast.FunctionDef)
              for n in ast.walk(outer)}.values()  # fmt: skip
    seeds = [n for n in inside if isinstance(n, ast.Expr) and ".seed(" in ast.unparse(n)]
    return [{**_place(file, each), "text": "pass"} for each in seeds]


MENDERS = {
    "integer-parameters": _floats,
    "update-order": _moved,
    "same-batch": _unseeded,
    "sum_over_batch": _sums,
    "init": _draws,
    "learning_rate": _rate,
    "learning_rate_factor": _rate,
    "reshape_targets": _shapes,
    "gradient-wrong": _one_error,
    "standardize": _scaled,
    "too-few-steps": _more,
    "learning-rate-too-small": _rate,
    "learning-rate-too-large": _rate,
}
