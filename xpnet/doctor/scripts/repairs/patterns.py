"""Menders that are mere patterns: what stands in a line, and what should stand there.

In a pattern `_a` is any expression; `_x` and `_y` are no constants.
"""

import ast
import re
from collections.abc import Iterable, Iterator
from typing import Any

from xpnet.doctor.findings import Finding
from xpnet.doctor.scripts.mapping import Roles, in_source
from xpnet.doctor.scripts.recording.instrument import Site
from xpnet.doctor.scripts.recording.source import tree
from xpnet.doctor.scripts.recording.updates import origin
from xpnet.doctor.scripts.repairs.edits import (
    LOOPS,
    Edit,
    around,
    assignments,
    changed,
    statement_of,
    statements,
)
from xpnet.doctor.scripts.repairs.sizes import kept, loops

# Of an operation's statement, see `at_sites`.
IN_PLACE = [(f"_x = _x {op} _a", f"_x {op}= _a") for op in "-+"]
NOT_IN_PLACE = [(f"_x {op}= _a", f"_x = _x {op} _a") for op in "*+-/"]
CORRECTED = "_a / (1 - _b) ** _t", "_a / (1 - _b ** _t)"  # Adam's moments
ORDER = "[(_x[i], _y[i]) for i in np.random.permutation(len(_x))]"


def at_sites(sites: Iterable[Site], patterns: Iterable[tuple[str, str]]) -> list[Edit]:
    """Return the edits of the statements in which operations stand."""
    places = [(site.file, found, pattern) for site in sites for pattern in patterns
             if (found := statement_of(site)) is not None]  # fmt: skip
    return [e for file, node, pair in places for e in rewrite(file, node, *pair)]


def _in_loops(finding: Finding, roles: Roles) -> Iterator[ast.AST]:
    yield from loops(roles)
    yield from (n for n in tree(roles.file).body if isinstance(n, ast.FunctionDef))


def _rows(finding: Finding, roles: Roles) -> Iterator[ast.AST]:
    """Yield what loops go over, if that is the inputs or the targets."""
    data = (*roles.inputs, *roles.targets[:1])
    names = {name for value in data for _, name in kept(value, roles)}
    for loop in loops(roles):
        if isinstance(loop, ast.For) and names & {ast.unparse(n) for n in ast.walk(loop.iter)}:
            yield loop.iter


def _script(finding: Finding, roles: Roles) -> Iterator[ast.AST]:
    yield tree(roles.file)


def _rate(finding: Finding, roles: Roles) -> Iterator[ast.AST]:
    names = {text.rpartition(".")[2] for u in roles.step.updates for text, _ in u.scalars}
    before = {each.arg for each in ast.walk(tree(roles.file)) if isinstance(each, ast.arg)}
    for each in sorted(statements(tree(roles.file)), key=lambda each: each.lineno):
        if isinstance(each, ast.Assign | ast.AugAssign):
            target = each.targets[0] if isinstance(each, ast.Assign) else each.target
            text = ast.unparse(target)
            known = text in before or isinstance(each, ast.AugAssign)
            if not around(roles.file, each.lineno, LOOPS):
                before.add(text)
            elif known and text.rpartition(".")[2] in names:
                yield each


def _alias(finding: Finding, roles: Roles) -> Iterator[ast.AST]:
    for each in assignments(roles.file):
        both = {ast.unparse(each.targets[0]), ast.unparse(each.value)}
        if both == {*finding.where.split(" and ")}:
            yield each


def _lists(finding: Finding, roles: Roles) -> Iterator[ast.AST]:
    """Yield the products of a list with the array that the parameters share, or what made it."""
    starts = [origin(each.old)[0] for each in roles.step.updates]
    known = {name for each in starts for name in each.names}
    known |= {each.made_by.site.text for each in starts}
    for node in ast.walk(tree(roles.file)):
        match node:
            case ast.BinOp(ast.List([element])) if ast.unparse(element) in known:
                yield node


def _numbered(finding: Finding, roles: Roles) -> Iterator[ast.AST]:
    """Yield slices that start at a batch's number, in the loop that counts the batches."""
    for node in ast.walk(tree(roles.file)):
        match node:
            case ast.For(ast.Name(number), ast.Call(ast.Name("range"), [_])):
                yield from (n for n in ast.walk(node) if isinstance(n, ast.Subscript)
                            and ast.unparse(n.slice).startswith(f"{number}:"))  # fmt: skip


# By a finding's code: where in the file that has the updates, what stands there, and what should.
REWRITES = {
    "shared-parameters": [
        (_lists, "[_x] * _n", "[_x.copy() for _ in range(_n)]"),
        (_alias, "_y = _x", "_y = _x.copy()"),
    ],
    "rows-left-out": [(_numbered, "_x[_i:_i + _n]", "_x[_i * _n:(_i + 1) * _n]")],
    "same-batch": [(_in_loops, "_x.seed(_n)", "pass")],
    "unshuffled-rows": [
        (_rows, "zip(_x, _y)", ORDER),
        (_rows, "range(len(_x))", "np.random.permutation(len(_x))"),
    ],
    "non-finite": [(_script, *CORRECTED)],
    "update-wrong": [(_script, *CORRECTED)],
    "learning-rate-vanishes": [(_rate, f"_x {op}= _a", "pass") for op in ("", "*", "/", "-")],
}


def fractions(finding: Finding, roles: Roles) -> list[Edit]:
    """Divide inputs without cutting off to whole numbers, where the script makes them."""
    made = [each.made_by for each, _ in kept(roles.layers[0].inputs, roles)]
    numbers = {in_source(each, 1) for each in made if each.name == "floor_divide"}
    pairs = [(f"_x // {n}", f"_x / {n}") for n in numbers]  # those for tests, too
    return [e for pair in pairs for e in rewrite(roles.file, tree(roles.file), *pair)]


def rewritten(finding: Finding, roles: Roles) -> list[Edit]:
    """Return the edits of all patterns that belong to a finding."""
    return [
        each for where, old, new in REWRITES.get(finding.code, ())
        for root in where(finding, roles)
        for each in rewrite(roles.file, root, old, new)
    ]  # fmt: skip


def rewrite(file: str, root: ast.AST, old: str, new: str) -> Iterator[Edit]:
    """Yield the edits that make one text of another, in a node and what is in it."""
    pattern: Any = ast.parse(old).body[0]
    pattern = pattern.value if isinstance(pattern, ast.Expr) else pattern
    for node in ast.walk(root):
        known: dict[str, str] = {}
        if isinstance(node, ast.stmt | ast.expr) and matches(pattern, node, known):
            text = re.sub(r"\b_[a-z]\b", lambda m: f"({known[m[0]]})", new)  # noqa: B023
            yield changed(file, node, ast.unparse(ast.parse(text)))


def matches(pattern: Any, node: Any, known: dict[str, str]) -> bool:
    """Return whether a node is as a pattern's; `known` gets what its names stand for."""
    if isinstance(pattern, ast.Name) and re.fullmatch("_[a-z]", pattern.id):
        constant = pattern.id in ("_x", "_y") and isinstance(node, ast.Constant)
        if not isinstance(node, ast.expr) or constant:
            return False
        text = ast.unparse(node)
        return known.setdefault(pattern.id, text) == text
    if type(pattern) is not type(node):
        return False
    if isinstance(pattern, list):
        same = len(pattern) == len(node)
        return same and all(matches(a, b, known) for a, b in zip(pattern, node, strict=True))
    if not isinstance(pattern, ast.AST):
        return bool(pattern == node)
    fields = [name for name in pattern._fields if name not in ("ctx", "type_comment", "kind")]
    return all(matches(getattr(pattern, f), getattr(node, f), known) for f in fields)
