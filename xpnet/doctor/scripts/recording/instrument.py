"""A script's syntax tree, changed so that its arithmetic can be recorded while it runs.

Every statement with arithmetic stands twice in the new tree, ``if __xp_on__: hooked else: plain``,
so that steps nobody looks at cost one look at a flag. In plain statements that may be updates a
counter runs out to wake the recorder. The hooks, in `trace.Recorder`, compute what the script does.
"""

import ast
import copy
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Operators: what a recorded operation is called, the function, and the one that works in place.
OPERATORS: dict[type[ast.AST], tuple[str, Callable[..., Any], Callable[..., Any]]] = {
    ast.Add: ("add", operator.add, operator.iadd),
    ast.Sub: ("subtract", operator.sub, operator.isub),
    ast.Mult: ("multiply", operator.mul, operator.imul),
    ast.Div: ("divide", operator.truediv, operator.itruediv),
    ast.FloorDiv: ("floor_divide", operator.floordiv, operator.ifloordiv),
    ast.MatMult: ("matmul", operator.matmul, operator.imatmul),
    ast.Pow: ("power", operator.pow, operator.ipow),
    ast.Gt: ("greater", operator.gt, operator.gt),
    ast.GtE: ("greater_equal", operator.ge, operator.ge),
    ast.Lt: ("less", operator.lt, operator.lt),
    ast.LtE: ("less_equal", operator.le, operator.le),
    ast.Eq: ("equal", operator.eq, operator.eq),
    ast.USub: ("negative", operator.neg, operator.neg),
}
# Calls that are left alone: they look at their caller, or compute nothing.
LEFT_ALONE = {
    "super", "locals", "globals", "vars", "dir", "eval", "exec", "compile", "__import__", "print",
    "input", "open", "len", "range", "enumerate", "zip", "iter", "next", "isinstance", "type", "id",
    "getattr", "setattr", "hasattr", "callable", "str", "repr", "format",
}  # fmt: skip
LOSS = re.compile(r"loss|cost|mse|err|mean\(|\bJ\b", re.IGNORECASE)
CHANGE = re.compile(r" - |abs\(|diff", re.IGNORECASE)  # of a loss, which may be small too soon
WRAPPED = (ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Expr, ast.Return)


@dataclass(frozen=True)
class Site:
    """A place in the source where an operation stands."""

    file: str
    line: int
    column: int
    end_line: int
    end_column: int
    kind: str  # "operator", "in place", "call", "item", "put", "name", ...
    operator: type[ast.AST]
    text: str  # of the whole operation, or of the names that are assigned
    operands: tuple[str, ...] = ()  # their texts
    owner: str = ""  # of the method that is called, or the module
    literals: tuple[float, ...] = ()  # numbers that it is written with
    function: str = ""  # in which it stands; "" at module level
    main: bool = True  # whether the file is the script itself, and not a module that it imports

    @property
    def place(self) -> str:
        """Its line, and its file if that is not the script itself."""
        return f"line {self.line}" if self.main else f"{Path(self.file).name}, line {self.line}"

    def __str__(self) -> str:
        return f"{self.place}, {self.text}"


def instrument(source: str, file: str, sites: list[Site]) -> ast.Module:
    """Return the tree of a source with hooks; its sites are appended to `sites`.

    SyntaxError as Python raises it.
    """
    tree = ast.parse(source, file)
    Instrumenter(source, file, sites).visit(tree)
    return ast.fix_missing_locations(tree)


class Instrumenter(ast.NodeTransformer):
    """Doubles the statements with arithmetic; `Hooks` writes the recorded half."""

    def __init__(self, source: str, file: str, sites: list[Site]) -> None:
        self.file, self.sites = file, sites
        self.lines = [line.encode() for line in source.splitlines()]
        self.functions: list[str] = []
        self.counted = 0  # statements

    def visit(self, node: ast.AST) -> Any:
        if isinstance(node, WRAPPED):
            return self._doubled(node)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            self.functions.append(node.name)
            node.body = self._block(node.body)
            self.functions.pop()
            return node
        if isinstance(node, ast.Lambda):
            node.body = self._chosen(node.body)
            return node
        before, goal = self.counted, _is_goal(node)
        if isinstance(node, ast.If | ast.While):
            node.test = self._chosen(node.test)
        elif isinstance(node, ast.For | ast.AsyncFor):
            node.iter = self._chosen(node.iter)
        elif isinstance(node, ast.expr):
            return node
        for name, value in ast.iter_fields(node):
            if name in ("body", "orelse", "finalbody", "handlers", "cases"):
                setattr(node, name, self._block(value))
        if isinstance(node, ast.If | ast.While) and goal:
            ends = node.orelse if isinstance(node, ast.While) else node.body
            ends[:0] = (_placed(each, node) for each in _parsed("__xp__.satisfied()"))
        names = {getattr(n.func, "id", "") for n in ast.walk(node) if isinstance(n, ast.Call)}
        # At the top, functions that are called may update, and so where steps are counted.
        counts = not self.functions or "range(" in ast.unparse(getattr(node, "iter", node))
        steps = self.counted > before or (counts and not names <= LEFT_ALONE)
        if isinstance(node, ast.For | ast.While) and steps:
            ended = _parsed(f"__xp__.loop_ended({self.site(node, 'loop', named='for')})")
            return [node, *(_placed(each, node) for each in ended)]
        return node

    def _block(self, body: list[Any]) -> list[Any]:
        found: list[Any] = []
        for each in body:
            new = self.visit(each)
            found.extend(new if isinstance(new, list) else [new])
        return found

    def _hooked(self, node: ast.AST) -> tuple[Any, bool]:
        """Return a copy with hooks, and whether there are any."""
        hooks = Hooks(self)
        return hooks.visit(copy.deepcopy(node)), hooks.used

    def _doubled(self, node: ast.stmt) -> Any:
        hooked, used = self._hooked(node)
        if not used or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
            return node
        recorded = hooked if isinstance(hooked, list) else [hooked]
        plain: list[ast.stmt] = [node]
        if _may_update(node):
            number = self.site(node, "statement")
            self.counted += 1
            recorded = [*_parsed(f"__xp__.passing({number})"), *recorded]
            count = f"__xp_count__[{number}] -= 1\nif not __xp_count__[{number}]: "
            plain = [*_parsed(f"{count}__xp__.wake({number})"), node]
        choice = ast.If(ast.Name("__xp_on__", ast.Load()), recorded, plain)
        return _placed(choice, node)

    def _chosen(self, node: ast.expr) -> ast.expr:
        hooked, used = self._hooked(node)
        choice = ast.IfExp(ast.Name("__xp_on__", ast.Load()), hooked, node)
        return _placed(choice, node) if used else node

    def site(
        self, node: Any, kind: str, *operands: ast.AST, named: str = "", op: ast.AST | None = None
    ) -> int:
        """Add a site, and return its number."""
        function = getattr(node, "func", None)
        owner = self._text(function.value) if isinstance(function, ast.Attribute) else ""
        given = [each.value for each in operands if isinstance(each, ast.Constant)]
        numbers = tuple(each for each in given if isinstance(each, float))
        self.sites.append(Site(
            self.file, node.lineno, node.col_offset, node.end_lineno, node.end_col_offset, kind,
            type(op or node), named or self._text(node),
            tuple(map(self._text, operands)), owner, numbers, ".".join(self.functions),
            not self.sites or self.file == self.sites[0].file,
        ))  # fmt: skip
        return len(self.sites) - 1

    def _text(self, node: Any) -> str:
        if node.end_lineno != node.lineno:
            return ast.unparse(node)
        return str(self.lines[node.lineno - 1][node.col_offset : node.end_col_offset], "utf-8")


class Hooks(ast.NodeTransformer):
    """Writes hooks into a copy of one statement or expression."""

    def __init__(self, owner: Instrumenter) -> None:
        self.site, self.used = owner.site, False

    def hook(self, name: str, number: int, node: ast.AST, *args: ast.expr, **more: Any) -> ast.expr:
        """Return the call of a hook in place of a node."""
        self.used = True
        function = ast.Attribute(ast.Name("__xp__", ast.Load()), name, ast.Load())
        call = ast.Call(function, [ast.Constant(number), *args], more.get("keywords", []))
        return ast.copy_location(call, node)

    def visit_BinOp(self, node: ast.BinOp) -> Any:
        texts = _is_text(node.left) or _is_text(node.right)
        return self.generic_visit(node) if texts else self._computed(node, "left", "right")

    def visit_UnaryOp(self, node: ast.UnaryOp) -> Any:
        number = isinstance(node.operand, ast.Constant)
        return self.generic_visit(node) if number else self._computed(node, "operand")

    def visit_Compare(self, node: ast.Compare) -> Any:
        if len(node.ops) > 1:
            return self.generic_visit(node)
        compared: Any = node
        compared.op, compared.right = node.ops[0], node.comparators[0]
        return self._computed(compared, "left", "right")

    def _computed(self, node: Any, *names: str) -> Any:
        """Write the hook of an operator with the operands in these fields."""
        if type(node.op) not in OPERATORS:
            return self.generic_visit(node)
        operands = [getattr(node, name) for name in names]
        number = self.site(node, "operator", *operands, op=node.op)
        return self.hook("operator", number, node, *map(self.visit, operands))

    def visit_Call(self, node: ast.Call) -> Any:
        if isinstance(node.func, ast.Name) and node.func.id in LEFT_ALONE:
            return self.generic_visit(node)
        number = self.site(node, "call", *node.args)
        self.generic_visit(node)
        return self.hook("call", number, node, node.func, *node.args, keywords=node.keywords)

    def visit_Attribute(self, node: ast.Attribute) -> Any:
        if node.attr != "T" or not isinstance(node.ctx, ast.Load):
            return self.generic_visit(node)
        number = self.site(node, "item", node.value)
        self.generic_visit(node)
        return self.hook("attribute", number, node, node.value, ast.Constant("T"))

    def visit_Subscript(self, node: ast.Subscript) -> Any:
        if not isinstance(node.ctx, ast.Load):
            return self.generic_visit(node)
        number = self.site(node, "item", node.value)
        self.generic_visit(node)
        return self.hook("item", number, node, node.value, _index(node.slice))

    def visit_Lambda(self, node: ast.Lambda) -> Any:
        node.body = self.visit(node.body)
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> Any:
        node.value = node.value and self.visit(node.value)
        return node

    def visit_Assign(self, node: ast.Assign) -> Any:
        target, value = node.targets[0], node.value
        named = ast.unparse(target)
        if len(node.targets) > 1:
            return self.generic_visit(node)
        if isinstance(target, ast.Subscript):
            number = self.site(node, "put", target.value, value, named=named)
            value = self.visit(value)
            owner, index = self.visit(_loaded(target.value)), _index(self.visit(target.slice))
            return _placed(ast.Expr(self.hook("put", number, node, value, owner, index)), node)
        if isinstance(target, ast.Tuple):
            return self._unpacked(node, target)
        node.value, text = self.visit(value), value
        node.value = self._name(node, named, node.value, text)
        return node

    def _unpacked(self, node: ast.Assign, target: ast.Tuple) -> list[ast.stmt]:
        """Write an assignment to several targets; each gets its value as in Python, in order."""
        if any(isinstance(each, ast.Starred) for each in target.elts):
            self.generic_visit(node)
            return [node]
        sites = [self.site(node, "put", each.value, node.value, named=ast.unparse(each))
                 if isinstance(each, ast.Subscript) else 0 for each in target.elts]  # fmt: skip
        held = [f"__xp_part_{at}__" for at in range(len(target.elts))]
        after = list[ast.stmt]()
        for each, number, name in zip(target.elts, sites, held, strict=True):
            value: ast.expr = ast.Name(name, ast.Load())
            if isinstance(each, ast.Subscript):
                owner, index = self.visit(_loaded(each.value)), _index(self.visit(each.slice))
                after.append(ast.Expr(self.hook("put", number, node, value, owner, index)))
                continue
            if isinstance(each, ast.Name):
                value = self._name(node, each.id, value)
            after.append(ast.Assign([each], value))
        parts: list[ast.expr] = [ast.Name(each, ast.Store()) for each in held]
        first = ast.Assign([ast.Tuple(parts, ast.Store())], self.visit(node.value))
        forget = ast.Delete([ast.Name(each, ast.Del()) for each in held])
        return [_placed(each, node) for each in (first, *after, forget)]

    def _name(self, node: ast.AST, named: str, value: ast.expr, *text: ast.expr) -> ast.expr:
        return self.hook("name", self.site(node, "name", *text, named=named), node, value)

    def visit_AugAssign(self, node: ast.AugAssign) -> Any:
        target = node.target
        if type(node.op) not in OPERATORS:
            return self.generic_visit(node)
        number = self.site(node, "in place", target, node.value, op=node.op)
        value = self.visit(node.value)
        if isinstance(target, ast.Subscript):
            owner, where = self.visit(_loaded(target.value)), _index(self.visit(target.slice))
            return _placed(
                ast.Expr(self.hook("part_in_place", number, node, owner, where, value)), node
            )
        changed = self.hook("in_place", number, node, _loaded(target), value)
        return _placed(ast.Assign([target], changed), node)


def _may_update(node: ast.stmt) -> bool:
    """Return whether a statement adds or subtracts anything but constants."""
    if isinstance(node, ast.AugAssign):
        return isinstance(node.op, ast.Add | ast.Sub) and not isinstance(node.value, ast.Constant)
    for each in ast.walk(node):
        if isinstance(each, ast.BinOp) and isinstance(each.op, ast.Add | ast.Sub):
            if not isinstance(each.left, ast.Constant) and not isinstance(each.right, ast.Constant):
                return True
        elif isinstance(each, ast.MatMult) or (
            isinstance(each, ast.Attribute) and each.attr in ("add", "subtract")
        ):
            return True
    return False


def _is_goal(node: ast.AST) -> bool:
    """Return whether a loop goes on until a loss is low enough, or is left then."""
    if isinstance(node, ast.If):
        leaves = any(isinstance(each, ast.Break | ast.Return) for each in node.body)
        tests = [*ast.walk(node.test)] if leaves else []
    else:
        tests = [*ast.walk(node.test)] if isinstance(node, ast.While) else []
    for each in (test for test in tests if isinstance(test, ast.Compare)):
        falls = isinstance(each.ops[0], ast.Lt | ast.LtE) == isinstance(node, ast.If)
        lower = ast.unparse(each.left if falls else each.comparators[0])
        if LOSS.search(lower) and not CHANGE.search(lower):
            return True
    return False


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or (
        isinstance(node, ast.Constant) and isinstance(node.value, str | bytes)
    )


def _index(node: ast.expr) -> ast.expr:
    """Return an index as an expression: ``1:3`` as ``slice(1, 3, None)``."""
    if isinstance(node, ast.Tuple):
        return ast.Tuple([_index(each) for each in node.elts], ast.Load())
    if not isinstance(node, ast.Slice):
        return node
    function = ast.Attribute(ast.Name("__xp__", ast.Load()), "slice", ast.Load())
    parts = [each or ast.Constant(None) for each in (node.lower, node.upper, node.step)]
    return ast.Call(function, parts, [])


def _loaded(node: Any) -> Any:
    """Return a copy of a target that is read."""
    node = copy.deepcopy(node)
    if hasattr(node, "ctx"):
        node.ctx = ast.Load()
    return node


def _parsed(source: str) -> list[ast.stmt]:
    return ast.parse(source).body


def _placed(new: Any, old: Any) -> Any:
    """Give a new node, and all in it that has none, the old one's place."""
    for each in ast.walk(new):
        if isinstance(each, ast.expr | ast.stmt) and not hasattr(each, "lineno"):
            ast.copy_location(each, old)
    return ast.copy_location(new, old)
