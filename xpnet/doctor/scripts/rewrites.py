"""Menders that are mere patterns: what stands in a line, and what should stand there."""

import ast
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from xpnet.doctor.findings import Finding
from xpnet.doctor.scripts.edits import LOOPS, Edit, around, at, changed, statements, tree
from xpnet.doctor.scripts.instrument import Site
from xpnet.doctor.scripts.mapping import Mapping, in_source
from xpnet.doctor.scripts.sizes import kept, loops
from xpnet.doctor.scripts.trace import Operation
from xpnet.doctor.scripts.updates import origin

ORDER = "[(_x[i], _y[i]) for i in np.random.permutation(len(_x))]"
# By a finding's code: a place, a key of `PLACES`; what may stand there, and should. `_a` is any
# expression, `_x` and `_y` are no constants.
REWRITES = {
    "data-changed": [("spot", f"_x {op}= _a", f"_x = _x {op} _a") for op in "*+-/"],
    "shared-parameters": [
        ("lists", "[_x] * _n", "[_x.copy() for _ in range(_n)]"),
        ("alias", "_y = _x", "_y = _x.copy()"),
    ],
    "same-batch": [("loops", "_x.seed(_n)", "pass")],
    "unshuffled-rows": [
        ("rows", "zip(_x, _y)", ORDER),
        ("rows", "range(len(_x))", "np.random.permutation(len(_x))"),
    ],
    "targets-shifted": [("spot", "_x - 1", "_x")],
    "constant-feature": [("inputs", "_x // _n", "_x / _n")],
    "output-activated-twice": [("outputs", "_f(_x)", "_x")],
    "bias-after-activation": [("spot", "_f(_x) + _b", "_f(_x + _b)")],
    "update-wrong": [("spot", "1 - _b * _t", "1 - _b ** _t")],
    "learning-rate-vanishes": [("rate", f"_x {op}= _a", "pass") for op in ("", "*", "/", "-")],
}  # fmt: skip
Place = Callable[[Finding, Mapping], Iterable[tuple[str, ast.AST | None]]]


def spot(finding: Finding, roles: Mapping) -> Operation | None:
    """Return the operation that a finding tells of."""
    found = (e for e in roles.step.operations if finding.evidence.startswith(f"{e.site}: "))
    return next(found, None)


def _at_spot(finding: Finding, roles: Mapping) -> Iterator[tuple[str, ast.AST | None]]:
    if (found := spot(finding, roles)) is not None:
        yield found.site.file, at(found.site.file, found.line)


def _in_loops(finding: Finding, roles: Mapping) -> Iterator[tuple[str, ast.AST]]:
    file = roles.file
    functions = (n for n in tree(file).body if isinstance(n, ast.FunctionDef))
    yield from ((file, each) for each in (*loops(roles), *functions))


def _rows(finding: Finding, roles: Mapping) -> Iterator[tuple[str, ast.AST]]:
    """Yield what loops go over, if that is the inputs or the targets."""
    data = [layer.inputs for layer in roles.layers[:1]] + [*roles.targets[:1]]
    names = {name for value in data for each in kept(value, roles) for name in each.names}
    for loop in loops(roles):
        if isinstance(loop, ast.For) and names & {ast.unparse(n) for n in ast.walk(loop.iter)}:
            yield roles.file, loop.iter


def _inputs(finding: Finding, roles: Mapping) -> Iterator[tuple[str, ast.AST | None]]:
    for each in kept(roles.layers[0].inputs, roles) if roles.layers else ():
        if each.made_by is not None:
            yield each.made_by.site.file, at(each.made_by.site.file, each.made_by.line)


def _outputs(finding: Finding, roles: Mapping) -> Iterator[tuple[str, ast.AST]]:
    """Yield the expression that the error takes for the outputs, or that made them."""
    error = roles.error
    words = in_source(error, error.operands.index(roles.outputs[0])) if error else ""
    for node in ast.walk(tree(roles.file)):
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == words:
            yield roles.file, node.value
        elif isinstance(node, ast.Call) and ast.unparse(node) == words:
            yield roles.file, node


def _rate(finding: Finding, roles: Mapping) -> Iterator[tuple[str, ast.AST]]:
    names = {text.rpartition(".")[2] for u in roles.step.updates for text, _ in u.scalars}
    for each in statements(roles.file):
        if isinstance(each, ast.Assign | ast.AugAssign) and around(roles.file, each.lineno, LOOPS):
            target = each.targets[0] if isinstance(each, ast.Assign) else each.target
            if ast.unparse(target).rpartition(".")[2] in names:
                yield roles.file, each


def _alias(finding: Finding, roles: Mapping) -> Iterator[tuple[str, ast.AST]]:
    for each in statements(roles.file):
        if isinstance(each, ast.Assign):
            both = {ast.unparse(each.targets[0]), ast.unparse(each.value)}
            if both == {*finding.where.split(" and ")}:
                yield roles.file, each


def _lists(finding: Finding, roles: Mapping) -> Iterator[tuple[str, ast.AST]]:
    """Yield the products of a list with the array that the parameters share, or what made it."""
    known = set[str]()
    for each in roles.step.updates:
        start = origin(each.old)[0]
        known |= {*start.names, *([start.made_by.site.text] if start.made_by else ())}
    for node in ast.walk(tree(roles.file)):
        match node:
            case ast.BinOp(ast.List([element])) if ast.unparse(element) in known:
                yield roles.file, node


PLACES: dict[str, Place] = {
    "spot": _at_spot, "loops": _in_loops, "inputs": _inputs, "outputs": _outputs,
    "rate": _rate, "alias": _alias, "rows": _rows, "lists": _lists,
}  # fmt: skip


def rewritten(finding: Finding, roles: Mapping) -> list[Edit]:
    """Return the edits of all patterns that belong to a finding."""
    return [
        each for where, old, new in REWRITES.get(finding.code, ())
        for file, root in PLACES[where](finding, roles) if root is not None
        for each in rewrite(file, root, old, new, inside=where != "outputs")
    ]  # fmt: skip


def in_place(sites: Iterable[Site]) -> list[Edit]:
    """Let steps that only set a name change the array itself."""
    found = ((site.file, at(site.file, site.line), op) for site in sites for op in "-+")
    return [
        each for file, statement, op in found if statement is not None
        for each in rewrite(file, statement, f"_x = _x {op} _a", f"_x {op}= _a")
    ]  # fmt: skip


def rewrite(file: str, root: ast.AST, old: str, new: str, *, inside: bool = True) -> Iterator[Edit]:
    """Yield the edits that make one text of another, in a node and what is in it."""
    pattern: Any = ast.parse(old).body[0]
    pattern = pattern.value if isinstance(pattern, ast.Expr) else pattern
    for node in ast.walk(root) if inside else (root,):
        known: dict[str, str] = {}
        if isinstance(node, ast.stmt | ast.expr) and _matches(pattern, node, known):
            text = re.sub(r"\b_[a-z]\b", lambda m: f"({known[m[0]]})", new)  # noqa: B023
            yield changed(file, node, ast.unparse(ast.parse(text)))


def _matches(pattern: Any, node: Any, known: dict[str, str]) -> bool:
    if isinstance(pattern, ast.Name) and re.fullmatch("_[a-z]", pattern.id):
        if not isinstance(node, ast.expr) or (
            pattern.id in ("_x", "_y") and isinstance(node, ast.Constant)
        ):
            return False
        text = ast.unparse(node)
        return known.setdefault(pattern.id, text) == text
    if type(pattern) is not type(node):
        return False
    if isinstance(pattern, list):
        same = len(pattern) == len(node)
        return same and all(_matches(a, b, known) for a, b in zip(pattern, node, strict=True))
    if not isinstance(pattern, ast.AST):
        return bool(pattern == node)
    fields = [name for name in pattern._fields if name not in ("ctx", "type_comment", "kind")]
    return all(_matches(getattr(pattern, f), getattr(node, f), known) for f in fields)
