"""Which change of one operand makes a wrong gradient agree with the measured slopes.

The backward pass of the step is computed again with one operand of one operation replaced: by what
the layers were given and gave, by derivatives of their activations, by its own transpose. Nothing
is guessed: what is named is what makes the gradient right.
"""

import ast
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np

from xpnet.doctor.replay import slope_of
from xpnet.doctor.scripts.mapping import Layer, Roles, in_source
from xpnet.doctor.scripts.recording.instrument import Site
from xpnet.doctor.scripts.recording.source import tree
from xpnet.doctor.scripts.recording.steps import Operation, Update, Value
from xpnet.doctor.scripts.recording.updates import ancestors, is_whole, scalar_side
from xpnet.doctor.scripts.repairs.edits import Edit, around, edit, operand_edit
from xpnet.doctor.step import grouped
from xpnet.nn.activations import ACTIVATIONS

WORK = 450_000_000  # numbers that may be computed in search of all parameters' mistakes,
CALL = 5_000  # where calling a function counts as so many
SAME = frozenset({"copy", "array", "asarray", "astype", "float", "asanyarray"})
COMPARED = {"less", "less_equal", "greater", "greater_equal"}
DERIVATIVES = {"sigmoid": "({a} * (1 - {a}))", "tanh": "(1 - {a}**2)", "relu": "({a} > 0)"}
INDEXED = re.compile(r"(.+\[)(-?[a-z_]\w*)(?: ?([+-]) ?(\d+))?(\](?:\.T|\.transpose\(\))?)", re.I)
CALL_TEXT = re.compile(r"[\w.\[\]'\"]+\(.*\)")
PLAIN = re.compile(r"[\w.]+(\[[^]]*\])?")
LITERAL = re.compile(r"\[(\d+|['\"].*)\]")  # an index that means the same in each turn of a loop
NUMPY = {"np", "abs"}  # what can be called anywhere, see `fix._for_its_file`
FROM_SUMS = {
    "sigmoid": "np.exp(-abs({a})) / (1 + np.exp(-abs({a})))**2", "tanh": "(1 - np.tanh({a})**2)",
    "relu": "({a} > 0)",
}  # fmt: skip


class Candidate(NamedTuple):
    """What may belong in place of an operand; `text` is how the script writes it."""

    kind: str
    role: str
    text: str
    of: Value
    made: Callable[[Any], Any]  # of the value's array


Changes = Mapping[Operation, tuple[int, Any]]  # a slot, and what it gets


@dataclass(frozen=True, eq=False)
class Mistake:
    """One operand that is not what it should be.

    `kind` is a key of `conclusions.KINDS`; `right` what should stand there in place of `wrong`, in
    the script's words, and `role` what that is; `made` the line that made what is wrong, if any.
    """

    kind: str
    site: Site
    role: str
    right: str
    wrong: str
    edit: Edit
    made: int = 0


class Variants:
    """The backward pass of one step, to be computed again with changes.

    Where a loop takes samples singly, all of them are changed alike.
    """

    def __init__(self, roles: Roles) -> None:
        self.roles, self.operations, self.work = roles, roles.step.operations, 0
        start = self.operations.index(roles.error) if roles.error else 0
        self.backward = [o for o in self.operations[start:] if o.result in roles.cone]
        self.paths = dict[Value, list[Operation]]()  # what a gradient was made by
        self.twins, self.first = _twins(self.operations, len(roles.outputs) or 1)
        self.functions = dict[int, Mistake]()  # of the script that are to blame, by the place

    def mistake(
        self, gradient: Value, layer: int, known: Changes, agrees: Callable[[Any], bool],
        others: Sequence[Value] = (),
    ) -> tuple[Mistake | None, Changes]:  # fmt: skip
        """Return the mistake, with all changes, that lets a layer's gradient agree; or no more.

        `others` are wrong, too: a derivative that is missing from what made them all comes first.
        """
        for operation, slot, each in self._trials(gradient, layer, others):
            if self.work > WORK:
                break
            changes = dict(known)
            for own in self.twins:  # in each sample
                array = own.get(each.of, each.of).data
                changes[own.get(operation, operation)] = slot, each.made(array)
            if agrees(self.again(gradient, changes)):
                return self._named(operation, slot, each, layer), changes
        return None, known

    def _trials(
        self, gradient: Value, layer: int, others: Sequence[Value]
    ) -> Iterator[tuple[Operation, int, Candidate]]:
        """Yield what may be wrong: an operation, which operand, and what may belong there."""
        back = dict.fromkeys(self.first[each] for each in self._towards(gradient)[::-1])
        shared = {self.first[each] for other in others for each in self._towards(other)}
        for operation in (each for each in back if each in shared):
            yield from ((operation, -1, each) for each in self._candidates(operation, -1, layer))
        for operation in back:
            slots = 0 if operation.name == "put" else 2  # its mask is made by an operation, too
            last = () if operation in shared else (-1,)
            for slot in (*range(min(slots, len(operation.operands))), *last):
                for each in self._candidates(operation, slot, layer):
                    yield operation, slot, each

    def _named(self, operation: Operation, slot: int, candidate: Candidate, layer: int) -> Mistake:
        """Say where the mistake is: here, or in a function of the script that is called here."""
        kind, role, right, *_ = candidate
        site, its = operation.site, ""
        if slot < 0:
            mended = edit(site, f"{site.text} * {right}")
            return Mistake(kind, site, role, right, site.text, mended)
        made, words = operation.operands[slot].made_by, in_source(operation, slot)
        if kind == "derivative" and made.place in self.functions:
            return self.functions[made.place]
        if kind == "derivative":
            its, right = self._in_its_function(made, words, layer, right)
        if its:
            found = Mistake(kind, made.site, role, its, made.site.text, edit(made.site, its))
            return self.functions.setdefault(made.place, found)
        line = made.line if made.site.main else 0
        return Mistake(kind, site, role, right, words, operand_edit(operation, slot, right), line)

    def is_clipped(self, update: Update) -> bool:
        """Return whether more than numbers makes a step of its gradient: all gradients' norm."""
        more = len(self._towards(update.delta)) - len(self._towards(update.gradient))
        return update.factor > 0.0 and update.delta.size > 1 and more > len(update.scalars)

    def _towards(self, gradient: Value) -> list[Operation]:
        """Return the operations that a gradient was made by, not by updates."""
        if gradient not in self.paths:
            updated = {u.new for u in self.roles.step.updates}
            needed = ancestors([gradient], stop=lambda value: value in updated) - updated
            self.paths[gradient] = [each for each in self.backward if each.result in needed]
        return self.paths[gradient]

    def again(self, gradient: Value, changes: Changes) -> Any:
        """Compute a gradient again with changes; None where that cannot be done."""
        new = dict[Value, Any]()
        for each in self._towards(gradient):
            slot, array = changes.get(each, (None, None))
            if slot is None and not any(value in new for value in each.operands):
                continue
            operands = [new.get(value, value.data) for value in each.operands]
            if slot is not None and slot >= 0:
                operands[slot] = array
            try:
                result = _compute(each, operands) * (array if slot == -1 else 1)
            except (ValueError, TypeError, IndexError):
                return None
            if np.shape(result) != each.result.shape and each.result.size == np.size(result):
                result = np.reshape(result, each.result.shape)
            new[each.result] = result
            self.work += CALL + max(each.result.size, *(value.size for value in each.operands))
        self.work += len(self._towards(gradient))
        return new.get(gradient)

    def _candidates(self, operation: Operation, slot: int, layer: int) -> Iterator[Candidate]:
        if slot < 0:
            shape = operation.result.shape
            yield from self._derivatives(layer, operation, "missing derivative", shape)
            return
        old, words = operation.operands[slot], in_source(operation, slot)
        made = old.made_by
        if made.name == "multiply" and scalar_side(made) is not None:
            return  # rate * x: what belongs in place of x is tried there
        if len(old.shape) == 2:
            text = words.removesuffix(".T") if words.endswith(".T") else f"{words}.T"
            yield Candidate("transposed", "its transpose", text, old, np.transpose)
        for kind, role, value in self._values(layer):
            for made_of, turned in ((np.asarray, ""), (np.transpose, ".T")):
                array = made_of(value.data)
                if array.shape == old.shape and not np.array_equal(array, old.data):
                    text = self._shifted(words, old, value) or self._text(value, operation) + turned
                    if text == words and value.made_by:  # it means another value here
                        text = f"what line {value.made_by.line} made"
                    if operation.name not in COMPARED:
                        yield Candidate(kind, role, text, value, made_of)
                    elif not text.startswith("("):  # or else what was made of it has a name
                        yield Candidate("derivative", role, text, value, made_of)
        yield from self._derivatives(layer, operation, "derivative", old.shape)
        if is_made_by("tanh", self.roles.layers[layer]) and PLAIN.fullmatch(words):
            own = self.roles.layers[layer].activations  # a * (1 - a), for a sigmoid
            if np.array_equal(own.data, old.data):
                role = "the derivative of tanh"
                yield Candidate("derivative", role, f"(1 + {words})", own, partial(np.add, 1.0))
        if operation.name == "multiply" and scalar_side(operation) is None:
            yield Candidate("superfluous", "nothing", "1", old, np.ones_like)

    def _values(self, layer: int) -> Iterator[tuple[str, str, Value]]:
        """Yield (kind, role, value) of what the step had, the nearest layers' first."""
        layers = self.roles.layers
        for i in sorted(range(len(layers)), key=lambda i: abs(i - layer)):
            yield "operand", f"the inputs of layer {i + 1}", layers[i].inputs
            yield "operand", f"the pre-activations of layer {i + 1}", layers[i].pre_activations
            yield "operand", f"the activations of layer {i + 1}", layers[i].activations
        if self.roles.error:
            yield "error", "outputs minus targets", self.roles.error.result
        for each in self.backward:
            if each.result.names and self.first[each] is each:
                yield "operand", "the error of this layer", each.result

    def _shifted(self, words: str, old: Value, new: Value) -> str:
        """Return ``a[i].T`` for ``a[i + 1].T``, if the layers' values stand in a list so."""
        chain = [self.roles.layers[0].inputs, *(each.activations for each in self.roles.layers)]
        if old.made_by.name == "transpose":
            old = old.made_by.operands[0]
        places = [[i for i, v in enumerate(chain) if v is w or v is w.base] for w in (old, new)]
        parts = INDEXED.fullmatch(words)
        if not all(places) or parts is None:
            return ""
        offset = int(f"{parts[3] or '+'}{parts[4] or 0}") + places[1][0] - places[0][0]
        more = f" {'+' if offset > 0 else '-'} {abs(offset)}" if offset else ""
        return f"{parts[1]}{parts[2]}{more}{parts[5]}"

    def _derivatives(
        self, number: int, operation: Operation, kind: str, shape: tuple[int, ...]
    ) -> Iterator[Candidate]:
        layer = self.roles.layers[number]
        for name, form in DERIVATIVES.items():
            if not is_made_by(name, layer):
                continue
            for turned in (".T", "") if len(shape) == 2 else ("",):
                made_of = partial(_slope, name, bool(turned))
                if made_of(layer.activations.data).shape == shape:
                    text = form.format(a=self._text(layer.activations, operation) + turned)
                    role = f"the derivative of {name}"
                    yield Candidate(kind, role, text, layer.activations, made_of)

    def _in_its_function(
        self, made: Operation, words: str, number: int, right: str
    ) -> tuple[str, str]:
        """Return what a function should give that gives a wrong derivative, if it is to blame.

        And what belongs in place of its call, if not.
        """
        layer, inside = self.roles.layers[number], ancestors([made.result])
        kinds = [name for name in DERIVATIVES if is_made_by(name, layer)]
        if not CALL_TEXT.fullmatch(words) or made.site.text in words or not kinds:
            return "", right
        slopes = [slope_of(name, each.activations.data) for each in self.roles.layers
                  for name in DERIVATIVES if is_made_by(name, each)]  # fmt: skip
        elsewhere = [o.result.data for o in self.operations if o.place == made.place]
        forward = {each.activations.made_by.place for each in self.roles.layers}
        if made.place in forward or any(np.shape(a) == np.shape(b) and np.allclose(a, b)
                                        for a in slopes for b in elsewhere):  # fmt: skip
            return "", right  # it is right where it is given what it is for
        given = [(operand.data, in_source(each, i) if each.site.function == made.site.function
                  else "") for each in self.operations if each.result in inside
                 for i, operand in enumerate(each.operands[:2])]  # fmt: skip
        for value, forms in (layer.activations, DERIVATIVES), (layer.pre_activations, FROM_SUMS):
            for text in (text for x, text in given if np.array_equal(x, value.data)):
                z, form = np.asarray(value.data, float), forms[kinds[0]]
                its = slope_of(kinds[0], ACTIVATIONS[kinds[0]].forward(np, z))
                if np.shape(its) == made.result.shape and np.allclose(its, made.result.data):
                    # It is right for what it is given, and that is what is wrong.
                    call: Any = ast.parse(words, mode="eval").body
                    known = len(getattr(call, "args", ())) == 1 and value is layer.activations
                    return "", form.format(a=ast.unparse(call.args[0])) if known else right
                if text.isidentifier():
                    own = layer.activations.made_by.site.function  # as the script calls it
                    again = _maps_one_value(_functions(made.site).get(own))
                    if again and kinds[0] == "sigmoid" and forms is FROM_SUMS:
                        form = f"{own}({{a}}) * (1 - {own}({{a}}))"
                    return form.format(a=text), right
        return "", right

    def _same_turn(self, one: Operation, other: Operation) -> bool:
        """Return whether operations of one line belong to the same turn of a loop."""
        first, last = sorted(map(self.operations.index, (one, other)))
        places = {each.place for each in self.operations[first + 1 : last]}
        return one.line == other.line and not places & {one.place, other.place}

    def _text(self, value: Value, near: Operation) -> str:
        """Return how the script writes a value, preferably where an operation stands."""
        texts = {
            in_source(each, i): near.site.function == each.site.function
            for each in self.operations
            for i, operand in enumerate(each.operands[:2])
            if operand is value
            and PLAIN.fullmatch(text := in_source(each, i))
            and ("[" not in text or LITERAL.search(text) or self._same_turn(each, near))
        }
        texts = dict.fromkeys(value.names, False) | texts
        texts = {text: here for text, here in texts.items() if is_known(text, near.site)} or texts

        def rank(text: str) -> tuple[bool, bool]:
            here = re.search(rf"(?<![\w.]){re.escape(text)}(?!\w)", near.site.text)
            return here is not None, texts[text]

        unnamed = f"({value.made_by.site.text})" if value.made_by else "?"
        return max(texts, key=rank, default=unnamed)


def _twins(
    operations: Sequence[Operation], samples: int
) -> tuple[list[dict[Any, Any]], dict[Operation, Operation]]:
    """Return what each sample of a loop has in place of the first one's operations and values.

    And of each operation that of the first sample.
    """
    places = grouped((each.place, each) for each in operations)
    found, first = [dict[Any, Any]() for _ in range(samples)], {o: o for o in operations}
    for at_place in places.values():
        share, rest = divmod(len(at_place), samples)
        if rest:
            continue
        for i, each in enumerate(at_place):
            twin = first[each] = at_place[i % share]
            pairs = zip((twin, twin.result, *twin.operands), (each, each.result, *each.operands),
                        strict=False)  # fmt: skip
            found[i // share].update(pairs)
    return found, first


def is_known(text: str, site: Site) -> bool:
    """Return whether the names in a text occur in a place's function, or are the script's own."""
    if text == "?" or text.startswith("what line "):
        return False
    if not site.file.endswith(".py"):
        return True
    nodes = [*ast.walk(ast.parse(text))]
    known = NUMPY | _functions(site).keys()
    names = {each.id for each in nodes if isinstance(each, ast.Name)} - known
    names |= {each for each in map(ast.unparse, nodes) if re.fullmatch(r"self\.\w+", each)}
    return names <= names_at(site.file, site.line)


def _functions(site: Site) -> dict[str, ast.FunctionDef]:
    """Return the functions of a place's file by their names."""
    return {each.name: each for each in tree(site.file).body if isinstance(each, ast.FunctionDef)}


def _maps_one_value(function: ast.FunctionDef | None) -> bool:
    """Return whether a function needs one value only, and returns one, as an activation does."""
    if function is None:
        return False
    returned = [each.value for each in ast.walk(function) if isinstance(each, ast.Return)]
    several = any(isinstance(each, ast.Tuple | ast.List) for each in returned)
    return not several and len(function.args.args) - len(function.args.defaults) == 1


@cache
def names_at(file: str, line: int) -> set[Any]:
    """Return the names in a line's function, or else at module level, and all attributes."""
    functions = [n for n in ast.walk(tree(file)) if isinstance(n, ast.FunctionDef | ast.Lambda)]
    own = around(file, line, (ast.FunctionDef, ast.Lambda))
    elsewhere = {n for f in functions if f not in own for n in ast.walk(f)}
    nodes = [n for n in ast.walk(own[0] if own else tree(file)) if n not in elsewhere]
    inside = [n for each in around(file, line, (ast.ClassDef,))
              for n in ast.walk(each) if isinstance(n, ast.Attribute)]  # fmt: skip
    return {getattr(n, "id", getattr(n, "arg", None)) for n in nodes} | {*map(ast.unparse, inside)}


def is_made_by(name: str, layer: Layer, sign: float = 1.0) -> bool:
    """Return whether a layer's activations are what an activation makes of its sums, or minus."""
    z, a = (np.asarray(v.data, dtype=float) for v in (layer.pre_activations, layer.activations))
    with np.errstate(all="ignore"):
        made = ACTIVATIONS[name].forward(np, sign * z)
    return made.size == a.size and np.allclose(np.ravel(made), np.ravel(a), rtol=1e-6, atol=1e-12)


def _slope(name: str, turned: bool, activations: Any) -> Any:
    array = np.asarray(activations, dtype=float)
    return slope_of(name, array.T if turned else array)


def _compute(operation: Operation, operands: list[Any]) -> Any:
    """Compute an operation again. ValueError if it is not known how."""
    name, first = operation.name, operands[0]
    if operation.index is not None:
        if name == "item":
            return first[operation.index]
        if name == "put" and is_whole(operation):
            return operands[1]
        if name != "put" or len(operands) != 3 or operation.operands[2].data.dtype.kind != "b":
            raise ValueError(name)
        return np.where(operands[2], operands[1], first)  # d[z < 0] = 0
    if name in SAME:
        return first
    if name == "matmul":
        return np.dot(first, operands[1])
    if name in ("T", "transpose"):
        return np.transpose(first)
    if name in ("sum", "mean"):
        for axis, keep in ((a, k) for a in (None, 0, 1) for k in (False, True)):
            same = getattr(np, name)(operation.operands[0].data, axis=axis, keepdims=keep)
            if np.array_equal(same, operation.result.data):
                return getattr(np, name)(first, axis=axis, keepdims=keep)
    if name == "einsum":
        return np.einsum(ast.literal_eval(operation.site.operands[0]), *operands)
    if name == "reshape":
        return np.reshape(first, operation.result.shape)
    function: Any = getattr(np, name, None)
    if name in ("outer", "inner", "where") or isinstance(function, np.ufunc):
        return function(*operands)
    raise ValueError(name)
