"""Which change of one operand makes a wrong gradient agree with the measured slopes.

The backward pass of the step is computed again with one operand of one operation replaced: by what
the layers were given and gave, by derivatives of their activations, by its own transpose. Nothing
is guessed: what is named is what makes the gradient right.
"""

import ast
import linecache
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from xpnet.doctor.scripts.instrument import Site
from xpnet.doctor.scripts.mapping import Layer
from xpnet.doctor.scripts.mapping import Mapping as Roles
from xpnet.doctor.scripts.trace import Operation, Value
from xpnet.doctor.scripts.updates import scalar_side

SECONDS = 0.5  # that the search may take for one parameter
SAME = frozenset({"copy", "array", "asarray", "astype", "float", "asanyarray"})
# Of an activation's derivative: name, formula for activations a, text.
DERIVATIVES: tuple[tuple[str, Callable[[Any], Any], str], ...] = (
    ("sigmoid", lambda a: a * (1.0 - a), "({a} * (1 - {a}))"),
    ("tanh", lambda a: 1.0 - a * a, "(1 - {a}**2)"),
    ("ReLU", lambda a: (a > 0.0) * 1.0, "({a} > 0)"),
)


@dataclass(frozen=True, eq=False)
class Mistake:
    """One operand that is not what it should be.

    `kind` is "operand", "transposed", "derivative", "missing derivative" or "superfluous"; `slot`
    is the operand's number, -1 for the operation as a whole; `right` what should stand there in
    place of `wrong`, in the script's words, and `role` what that is.
    """

    kind: str
    site: Site
    slot: int
    right: str
    role: str
    wrong: str
    changes: Mapping[int, Any]  # by the id of an operation: what replaced its operand

    @property
    def mended(self) -> str:
        """The operation as it should be."""
        if self.slot < 0:
            return f"{self.site.text} * {self.right}"
        return with_operand(self.site.text, self.slot, self.wrong, self.right)


@dataclass(frozen=True)
class Candidate:
    """What may belong in an operand's place."""

    kind: str
    role: str
    array: Any
    text: str


class Variants:
    """The backward pass of one step, to be computed again with changes."""

    def __init__(self, roles: Roles) -> None:
        self.roles, self.operations = roles, roles.step.operations
        start = 0 if roles.error is None else self.operations.index(roles.error)
        self.backward = [o for o in self.operations[start:] if id(o.result) in roles.cone]

    def mistake(
        self, gradient: Value, layer: int, known: Mapping[int, Any], agrees: Callable[[Any], bool]
    ) -> Mistake | None:
        """Return the change that makes a layer's gradient agree, beside those known so far."""
        deadline = time.process_time() + SECONDS
        for operation in self._towards(gradient):
            slots = range(min(2, len(operation.operands)))
            for slot in (*slots, -1):
                for each in self._candidates(operation, slot, layer):
                    if time.process_time() > deadline:
                        return None
                    changes = {**known, id(operation): (slot, each.array)}
                    if agrees(self.again(gradient, changes)):
                        words = in_words(operation, slot)
                        return Mistake(
                            each.kind, operation.site, slot, each.text, each.role, words, changes
                        )
        return None

    def _towards(self, gradient: Value) -> Iterator[Operation]:
        """Yield the operations that a gradient was made by, the last one first."""
        needed = {id(gradient)}
        for each in reversed(self.backward):
            if id(each.result) in needed:
                needed |= {id(value) for value in each.operands}
                yield each

    def again(self, gradient: Value, changes: Mapping[int, Any]) -> Any:
        """Compute a gradient again with changes; None where that cannot be done."""
        new: dict[int, Any] = {}
        for each in self.backward:
            change = changes.get(id(each))
            if change is None and not any(id(value) in new for value in each.operands):
                continue
            operands = [new.get(id(value), value.data) for value in each.operands]
            if change is not None and change[0] >= 0:
                operands[change[0]] = change[1]
            try:
                result = _compute(each, operands)
                result = result * change[1] if change is not None and change[0] < 0 else result
            except (ValueError, TypeError, IndexError):
                return None
            if np.shape(result) != each.result.shape and each.result.size == np.size(result):
                result = np.reshape(result, each.result.shape)
            new[id(each.result)] = result
        return new.get(id(gradient))

    def _candidates(self, operation: Operation, slot: int, layer: int) -> Iterator[Candidate]:
        if slot < 0:
            yield from self._derivatives(self.roles.layers[layer], operation, "missing derivative")
            return
        old, words = operation.operands[slot], in_words(operation, slot)
        made = old.made_by
        if made is not None and made.name == "multiply" and scalar_side(made) is not None:
            return  # rate * x: what belongs in place of x is tried there
        if len(old.shape) == 2:
            text = words.removesuffix(".T") if words.endswith(".T") else f"{words}.T"
            yield Candidate("transposed", "its transpose", old.data.T, text)
        for kind, role, value in self._values(layer, old):
            for array, turned in ((value.data, ""), (np.transpose(value.data), ".T")):
                if np.shape(array) == old.shape and not np.array_equal(array, old.data):
                    text = self._shifted(words, old, value) or self._text(value, operation) + turned
                    yield Candidate(kind, role, array, text)
        yield from self._derivatives(self.roles.layers[layer], operation, "derivative", old)
        if operation.name == "multiply" and len(operation.operands) == 2:
            yield Candidate("superfluous", "nothing", np.ones(old.shape), "1")

    def _values(self, layer: int, old: Value) -> Iterator[tuple[str, str, Value]]:
        """Yield (kind, role, value) of what the step had, the nearest layers' first."""
        layers, roles = self.roles.layers, self.roles
        for i in sorted(range(len(layers)), key=lambda i: abs(i - layer)):
            yield "operand", f"the inputs of layer {i + 1}", layers[i].inputs
            yield "operand", f"the pre-activations of layer {i + 1}", layers[i].pre_activations
            yield "operand", f"the activations of layer {i + 1}", layers[i].activations
        for update in roles.step.updates:
            if update.new in (old, old.base):
                yield "update order", "the weights before their update", update.old
        if roles.error is not None:
            yield "error", "outputs minus targets", roles.error.result
        for each in self.backward:
            if each.result.names:
                yield "operand", "the error of this layer", each.result

    def _shifted(self, words: str, old: Value, new: Value) -> str:
        """Return ``a[i].T`` for ``a[i + 1].T``, if the layers' values stand in a list so."""
        chain = [self.roles.layers[0].inputs, *(each.activations for each in self.roles.layers)]
        places = [[i for i, v in enumerate(chain) if v is w or v is w.base] for w in (old, new)]
        parts = re.fullmatch(r"(.+\[)([a-z_]\w*)(?: ?([+-]) ?(\d+))?(\](?:\.T)?)", words, re.I)
        if not all(places) or parts is None:
            return ""
        offset = int(f"{parts[3] or '+'}{parts[4] or 0}") + places[1][0] - places[0][0]
        more = f" {'+' if offset > 0 else '-'} {abs(offset)}" if offset else ""
        return f"{parts[1]}{parts[2]}{more}{parts[5]}"

    def _derivatives(
        self, layer: Layer, operation: Operation, kind: str, old: Value | None = None
    ) -> Iterator[Candidate]:
        value = layer.activations
        wanted = operation.result.shape if old is None else old.shape
        for name, formula, text in DERIVATIVES:
            if not is_made_by(name, layer):
                continue
            for array, turned in ((value.data, ""), (np.transpose(value.data), ".T")):
                if np.shape(array) == wanted:
                    a = self._text(value, operation) + turned
                    role = f"the {name}'s derivative"
                    yield Candidate(kind, role, formula(array), text.format(a=a))

    def _text(self, value: Value, near: Operation) -> str:
        """Return how the script writes a value, preferably where an operation stands."""
        texts = dict.fromkeys(
            (near.site.function == each.site.function, in_words(each, i))
            for each in self.operations
            for i, operand in enumerate(each.operands[:2])
            if operand is value and re.fullmatch(r"[\w.]+(\[[^]]*\])?", in_words(each, i))
        )
        texts |= dict.fromkeys((False, name) for name in value.names)
        texts = {each: None for each in texts if is_known(each[1], near.site)} or texts

        def rank(found: tuple[bool, str]) -> tuple[bool, bool]:
            here = re.search(rf"(?<![\w.]){re.escape(found[1])}(?!\w)", near.site.text)
            return here is not None, found[0]

        return max(texts, key=rank, default=(False, "?"))[1]


def is_known(text: str, site: Site) -> bool:
    """Return whether the names in a text occur in a place's function, or are the script's own."""
    known = _known(site.file, site.line)
    nodes = [*ast.walk(ast.parse(text))] if known and text != "?" else []
    names = {each.id for each in nodes if isinstance(each, ast.Name)}
    kept = {ast.unparse(each) for each in nodes if isinstance(each, ast.Attribute)
            and isinstance(each.value, ast.Name) and each.value.id == "self"}  # fmt: skip
    return text != "?" and (not known or names | kept <= known)


@cache
def _known(file: str, line: int) -> set[str]:
    """Return the names in a line's functions, at module level, and its class's attributes."""
    tree, known = ast.parse("".join(linecache.getlines(file))), set[str]()
    scopes = (ast.FunctionDef, ast.Lambda, ast.ClassDef)
    around = [each for each in ast.walk(tree) if isinstance(each, scopes)
              and each.lineno <= line <= (each.end_lineno or 0)]  # fmt: skip
    if not around and not file.endswith(".py"):
        return known  # a notebook's cell knows the others' names
    waiting, bound = list[ast.AST]([tree]), Counter[str]()
    while waiting:
        each = waiting.pop()
        if isinstance(each, ast.Name):
            known.add(each.id)
            bound[each.id] += isinstance(each.ctx, ast.Store)
        waiting += [n for n in ast.iter_child_nodes(each) if not isinstance(n, scopes)]
    if around:  # what is bound again and again may be something else by now
        known -= {name for name, times in bound.items() if times > 1}
    for scope in around:
        for each in ast.walk(scope):
            if isinstance(each, ast.Attribute):
                known.add(ast.unparse(each))
            elif not isinstance(scope, ast.ClassDef) and isinstance(each, ast.Name | ast.arg):
                known.add(each.id if isinstance(each, ast.Name) else each.arg)
    return known


def in_words(operation: Operation, slot: int) -> str:
    """Return an operand, -1 for the whole operation, as the script writes it."""
    site, words = operation.site, operation.site.operands
    if slot < 0:
        return site.text
    if site.kind == "call" and len(operation.operands) > len(words):  # a.dot(b)
        depth = 0
        for i in reversed(range(len(site.text))):
            depth += {")": 1, "(": -1}.get(site.text[i], 0)
            if depth == 0:
                words = (site.text[:i].rpartition(".")[0], *words)
                break
    return words[slot] if slot < len(words) else "?"


def with_operand(text: str, slot: int, old: str, new: str) -> str:
    """Return an operation's text with another first or second operand."""
    before, _, after = text.rpartition(old) if slot else text.partition(old)
    if before.endswith("(") and after.startswith(")") and new.startswith("("):
        new = new[1:-1]  # `DERIVATIVES` come in parentheses
    return f"{before}{new}{after}"


def is_made_by(name: str, layer: Layer) -> bool:
    """Return whether a layer's activations are what an activation makes of its sums."""
    z, a = (np.asarray(v.data, dtype=float) for v in (layer.pre_activations, layer.activations))
    with np.errstate(all="ignore"):
        made = {"sigmoid": 1 / (1 + np.exp(-z)), "tanh": np.tanh(z), "ReLU": np.maximum(z, 0)}[name]
    return made.size == a.size and np.allclose(np.ravel(made), np.ravel(a), rtol=1e-6, atol=1e-12)


def _compute(operation: Operation, operands: list[Any]) -> Any:
    """Compute an operation again. ValueError if it is not known how."""
    name, first = operation.name, operands[0]
    if operation.index is not None:
        if name == "item":
            return first[operation.index]
        raise ValueError(name)
    if name in SAME:
        return first
    if name == "matmul":
        return np.dot(first, operands[1])
    if name in ("T", "transpose"):
        return np.transpose(first)
    if name in ("sum", "mean"):
        for axis in (None, 0, 1):
            for keep in (False, True):
                same = getattr(np, name)(operation.operands[0].data, axis=axis, keepdims=keep)
                if np.array_equal(same, operation.result.data):
                    return getattr(np, name)(first, axis=axis, keepdims=keep)
    if name == "reshape":
        return np.reshape(first, operation.result.shape)
    function: Any = getattr(np, name, None)
    if name in ("outer", "inner") or isinstance(function, np.ufunc):
        return function(*operands)
    raise ValueError(name)
