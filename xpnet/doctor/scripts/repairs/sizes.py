"""Edits of a script's numbers: its rate, its steps, its initial weights, its sizes."""

import ast
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from xpnet.doctor.findings import Finding
from xpnet.doctor.scripts.gradients.variants import is_made_by
from xpnet.doctor.scripts.mapping import VIEWS, Roles, in_source
from xpnet.doctor.scripts.recording.source import tree
from xpnet.doctor.scripts.recording.steps import NOTHING, Operation, Update, Value
from xpnet.doctor.scripts.recording.updates import ancestors, mere_number, origin, scalar_side
from xpnet.doctor.scripts.repairs.edits import (
    LOOPS,
    Edit,
    around,
    assigned_by,
    changed,
    edit,
    operand_edit,
)

DRAWS = re.compile(r"rand|uniform|normal|zeros|ones|full|empty")
LONGER, SHORTER = 10.0, 0.1  # steps, where no better length was measured
MORE_STEPS = 10
NAME = re.compile(r"[^\W\d][\w.]*")
TIMES = re.compile(r"(\d[\d.e-]*) \* \((.*)\)")  # as a copy's update was multiplied before
UNITS = 32  # that a hidden layer gets where it had too few


def rate(finding: Finding, roles: Roles, factor: float = LONGER) -> list[Edit]:
    """Change the learning rate: where its number stands, or else in every update."""
    known, updates = finding.repair or {}, roles.step.updates
    usual = SHORTER if finding.code == "learning-rate-too-large" else factor
    factor = known.get("learning_rate_factor", usual)
    if "learning_rate" in known:
        factor = known["learning_rate"] / (abs(updates[0].factor) or 1.0)
    for text, value in dict.fromkeys(pair for each in updates for pair in each.scalars):
        if edits := numbers(roles.file, text.lstrip("-"), factor, abs(value)):
            return edits
        first = NAME.match(text.lstrip("-("))  # eta / len(batch)
        if first and len(edits := numbers(roles.file, first[0], factor)) == 1:
            return edits
    return [_longer(each, factor) for each in updates]


def _longer(update: Update, factor: float) -> Edit:
    """Multiply what an update adds or subtracts, or the number with which that was done before."""
    before = TIMES.fullmatch(in_source(update.operation, update.delta)) or ("", 1.0, "{}")
    return applied(update, f"{float(before[1]) * factor:.3g} * ({before[2]})")


def applied(update: Update, form: str) -> Edit:
    """Change what an update adds or subtracts; {} stands for what it does now."""
    operation = update.operation
    return operand_edit(operation, operation.operands.index(update.delta), form)


def numbers(file: str, name: str, factor: float, value: float | None = None) -> list[Edit]:
    """Multiply the number where a source gives it to a name."""
    last, edits = name.rpartition(".")[2], []
    for each, node in _named(file):
        if isinstance(node, ast.Call) and len(node.args) == 1:  # np.float32(0.1)
            node = node.args[0]
        match node:
            case ast.Constant(bool()):
                continue
            case ast.Constant(int(known) | float(known)) if each.rpartition(".")[2] == last:
                if value is None or np.isclose(known, value, rtol=1e-6, atol=0.0):
                    edits.append(changed(file, node, times(known, factor)))
    return edits


def _named(file: str) -> Iterator[tuple[str, ast.expr]]:
    """Yield what gets a name, and the name: by assignment, as an argument or its default."""
    nodes = [*ast.walk(tree(file))]
    functions = [(n.name, n) for n in nodes if isinstance(n, ast.FunctionDef)]
    functions += [(n.name, each) for n in nodes if isinstance(n, ast.ClassDef) for each in n.body
                  if isinstance(each, ast.FunctionDef) and each.name == "__init__"]  # fmt: skip
    for node in nodes:
        match node:
            case ast.Assign():
                yield from assigned_by(node)
            case ast.keyword(str(name), given):
                yield name, given
            case ast.arguments(args=[*arguments], defaults=[*defaults]):
                names = (each.arg for each in reversed(arguments))
                yield from zip(names, reversed(defaults), strict=False)
            case ast.Call(called, given):
                own = ast.unparse(called).rpartition(".")[2]
                for each in (function for name, function in functions if name == own):
                    names = (each.arg for each in each.args.args if each.arg != "self")
                    yield from zip(names, given, strict=False)


def times(number: float, factor: float) -> str:
    """Write a number times a factor: a whole number stays one, if it gets larger."""
    if isinstance(number, int) and factor == int(factor):
        return str(number * int(factor))
    return f"{float(f'{number * factor:.2g}'):g}"


def loops(roles: Roles) -> list[Any]:
    """Return the loops that update, or call what does, the outermost first."""
    site = roles.step.updates[0].operation.site
    name = site.function.rpartition(".")[2]
    inside = around(site.file, site.line, LOOPS)
    calling = [n for n in ast.walk(tree(site.file)) if isinstance(n, LOOPS) and n not in inside
               and name and f"{name}(" in ast.unparse(n)]  # fmt: skip
    return [*calling, *inside]


def kept(value: Value, roles: Roles, words: str = "") -> Iterator[tuple[Value, str]]:
    """Yield a value and what it was taken from, but for what each step makes anew, by each name.

    `words` are how a step writes the value.
    """
    source: Value | None = value
    while source is not None:
        made = source.made_by
        if made.place not in roles.repeated:
            yield from ((source, name) for name in (*source.names, words))
        shown = made.operands[0] if made.name in VIEWS and made.operands else None
        words = in_source(made, 0) if shown else ""
        source = source.base or shown


def undivided(rows: int, roles: Roles) -> Iterator[Edit]:
    """Leave out the last division of each update by the number of rows."""
    for value in (each.delta for each in roles.step.updates):
        while (made := value.made_by).name in ("divide", "multiply"):
            number, text = mere_number(made)
            if not text:
                break
            rest = 1 - (scalar_side(made) or 0)
            if abs(number * rows - 1.0) < 1e-9:
                yield edit(made.site, in_source(made, rest))
                break
            value = made.operands[rest]


def more_steps(finding: Finding, roles: Roles) -> list[Edit]:
    """Let the outermost loop that has a number of steps take ten times as many.

    Numbers below 1 at which it ends before are divided.
    """
    for loop in loops(roles):
        match loop:
            case (
                ast.For(iter=ast.Call(ast.Name("range"), [count] | [_, count]))
                | ast.While(test=ast.Compare(_, [ast.Lt() | ast.LtE()], [count]))
            ):
                return [*_more(roles.file, count), *_later_ends(roles.file, loop)]
            case ast.While():
                return [*_later_ends(roles.file, loop)]
    return []


def _more(file: str, count: ast.expr) -> list[Edit]:
    text = ast.unparse(count)
    if isinstance(count, ast.Constant) and isinstance(count.value, int | float):
        return [changed(file, count, times(count.value, MORE_STEPS))]
    edits = numbers(file, text, MORE_STEPS) if NAME.fullmatch(text) else []
    # Of several numbers nobody knows which is meant.
    return edits if len(edits) == 1 else [changed(file, count, f"{MORE_STEPS} * ({text})")]


def _later_ends(file: str, loop: ast.AST) -> Iterator[Edit]:
    ends = [n for n in ast.walk(loop) if isinstance(n, ast.If)
            and any(isinstance(each, ast.Break) for each in n.body)]  # fmt: skip
    for test in (test for each in ends for test in ast.walk(each.test)):
        match test:
            case ast.Compare(_, [ast.Lt() | ast.LtE()], [ast.Constant(float(low)) as number]):
                if 0.0 < low < 1.0:
                    yield changed(file, number, f"{low / 1000:g}")


def more_units(finding: Finding, roles: Roles) -> list[Edit]:
    """Give the narrowest hidden layer more units, where their number has a name."""
    widths = list[tuple[int, Operation]]()
    for layer in roles.layers[:-1]:
        drawn, (x, w) = drawn_by(roles.updates_of(layer.weights)[0].old), layer.product.operands[:2]
        width = (w.shape or (1,))[-1] if x is layer.inputs else (x.shape or (1,))[0]
        widths += [(width, drawn)] if drawn else []
    for width, drawn in sorted(widths, key=lambda pair: pair[0]):
        nodes = [n for n in ast.walk(ast.parse(drawn.site.text)) if isinstance(n, ast.expr)]
        for text in filter(NAME.fullmatch, map(ast.unparse, nodes)):
            if edits := numbers(drawn.site.file, text, max(8, UNITS // width), width):
                return edits
    return []


def penalties(roles: Roles) -> Iterator[tuple[Operation, int]]:
    """Yield what multiplies parameters by a number, and which operand the number is."""
    states = {update.old for update in roles.step.updates}
    forward = ancestors(roles.outputs, stop=lambda value: value in states)
    for each in roles.step.operations:
        side = scalar_side(each) if each.name == "multiply" else None
        if side is None or each.operands[1 - side] not in states:
            continue
        error = roles.depends(each.operands[side])
        if not error and each.result not in forward:
            yield each, side


def draws(finding: Finding, roles: Roles) -> Iterator[Edit]:
    """Draw initial weights symmetrically about 0, of the size that the layers' widths ask for."""
    gain = 1.0
    for layer in roles.layers:  # with the gains of `xpnet.nn.initializers`
        inner = is_made_by("sigmoid", layer) and layer is not roles.layers[-1]
        if weights := roles.updates_of(layer.weights):
            yield from _redrawn(weights[0].old, gain * (2.0 if inner else 1.0), layer.weights)
        if biases := roles.updates_of(layer.biases):
            drawn = drawn_by(biases[0].old)
            if drawn and np.max(biases[0].old.data) < 0.0:
                yield edit(drawn.site, f"0 * {drawn.site.text}")
        gain = 2.0 if inner else 1.0


def _redrawn(weights: Value, gain: float, seed: int) -> Iterator[Edit]:
    """Change how initial weights are drawn."""
    drawn = drawn_by(weights)
    if not drawn:
        return
    shifted = origin(weights)[0] is not drawn.result
    drawn = weights.made_by if shifted else drawn
    values, text, first = np.asarray(weights.data), drawn.site.text, drawn.result.data
    scaled = np.max(np.abs(values)) / np.max(np.abs(first)) if np.any(first) else 1.0
    limit = gain * (6.0 / max(1, sum(values.shape))) ** 0.5 / scaled
    if np.ptp(first) == 0.0:
        # A generator of its own: what the script draws later stays the same.
        own = f"np.random.default_rng({seed})"
        yield edit(drawn.site, f"{limit:.2g} * {own}.uniform(-1, 1, {_shape_in(text)})")
        return
    if np.min(first) >= 0.0:
        yield edit(drawn.site, f"{limit:.2g} * (2 * {text} - 1)")
        return
    factor, own = limit * scaled / 3**0.5 / np.std(values), f"({text})" if shifted else text
    if f"{factor:.2g}" != "1":
        yield edit(drawn.site, f"{factor:.2g} * {own}")


def _shape_in(text: str) -> str:
    """Return the shape of what a call such as np.zeros((2, 3)) makes, as text."""
    match ast.parse(text, mode="eval").body:
        case ast.Call(args=[shape, *_]) if re.match(r"[\w.]*(ones|zeros|empty)\(", text):
            return ast.unparse(shape)
    return f"np.shape({text})"


def drawn_by(value: Value) -> Operation:
    """Return the operation that drew a parameter's first value."""
    waiting = [value]
    for each in waiting:
        made = each.made_by
        if DRAWS.search(made.name) and made.result.size == value.size:
            return made
        if len(waiting) < 50:
            waiting += made.operands
    return NOTHING
