"""What the values of a step are: parameters, inputs, outputs, targets, loss.

Outputs and targets are the two sides of the first difference (or quotient) on which the updates
depend, and of which exactly one side depends on the parameters. Going back from the outputs,
products with parameters are layers, and sums with parameters have biases.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from functools import cached_property, reduce
from operator import or_

import numpy as np

from xpnet.doctor.scripts.recording.source import modules
from xpnet.doctor.scripts.recording.steps import NOTHING, Operation, Step, Update, Value
from xpnet.doctor.scripts.recording.updates import (
    MIXING,
    SAME_VALUES,
    ancestors,
    descendants,
    maker,
    negated,
    origin,
)
from xpnet.doctor.step import grouped

PRODUCTS = MIXING | {"multiply"}
VIEWS = SAME_VALUES | {"T", "transpose", "item"}
ACTIVATED = {"tanh", "maximum", "exp", "divide", "where", "clip", "expit"}  # sums, by these
MEETING = ("subtract", "add", "divide", "multiply")  # of outputs and targets
ONE = ("1", "1.", "1.0")
NUMBERS = 6  # that one place of the source updates, are looked at singly
MANY = 8  # names in a row, from which on most are left out
MAX_SAMPLES = 64  # of a loop, that are looked at
NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?", re.IGNORECASE)
LOSS = re.compile(r"(?!.*(grad|_d|d_))(.*(loss|cost|mse|error|err)|J$|E$|L$|total$)", re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class Layer:
    """One product with weights, and what is made of it."""

    weights: int  # the parameter's number, see `Update.parameter`
    biases: int | None
    inputs: Value
    pre_activations: Value
    activations: Value  # of the last layer: the outputs
    product: Operation


@dataclass(frozen=True, eq=False)
class Roles:
    """The roles in one step; what was not found is None or empty. False without updates."""

    step: Step
    names: tuple[str, ...]  # of the parameters, by their number
    layers: tuple[Layer, ...] = ()
    samples: tuple[tuple[Layer, ...], ...] = ()  # the layers of each pass, if there are several
    inputs: tuple[Value, ...] = ()  # what the first layer is given, in all passes
    outputs: tuple[Value, ...] = ()  # several where errors are computed one by one
    targets: tuple[Value, ...] = ()
    error: Operation = NOTHING  # the first in which outputs meet targets
    loss: Value | None = None
    reaching: int = 0  # bits of the parameters on which the outputs depend
    late_biases: tuple[Operation, ...] = ()  # added to what an activation gives
    cone: frozenset[Value] = frozenset()  # the values that updates depend on
    repeated: frozenset[int] = frozenset()  # places of what each step does
    partial: bool = False  # the first weights meet other inputs, too: of a pair, of a sequence
    others: frozenset[int] = frozenset()  # parameters of another network: of a GAN, of a critic
    several: frozenset[int] = frozenset()  # parameters that both networks' errors teach
    served: Sequence[tuple[Value, str]] = ()  # see `Observer.served`
    places: Mapping[int, str] = field(default_factory=dict)  # by id: what modules call an array

    def __bool__(self) -> bool:
        return bool(self.step.updates)

    @cached_property
    def states(self) -> set[Value]:
        """The parameters before and after each update."""
        return {value for u in self.step.updates for value in (u.old, u.new)}

    @property
    def errors(self) -> set[Value]:
        """What `error` makes of outputs and targets."""
        return {self.error.result}

    @cached_property
    def _updates(self) -> dict[int, list[Update]]:
        return grouped((each.parameter, each) for each in self.step.updates)

    @cached_property
    def _trained(self) -> set[Value]:
        return descendants(self.states, self.step.operations)

    def depends(self, value: Value) -> bool:
        """Return whether a value is a parameter or depends on one."""
        return not self._trained.isdisjoint((value, value.base))

    @property
    def recognised(self) -> bool:
        """Whether anything of a network was found beside what is updated."""
        return bool(self.outputs or self.layers)

    @property
    def file(self) -> str:
        """The file that updates the parameters."""
        return self.step.updates[0].operation.site.file

    def updates_of(self, parameter: int | None) -> list[Update]:
        """Return a parameter's updates in the step."""
        return [] if parameter is None else self._updates.get(parameter, [])


def a_few(updates: Sequence[Update]) -> list[Update]:
    """Return the updates of arrays, and a few of those of numbers that one place changes."""
    at = dict[int, dict[int, None]]()
    for each in updates:
        place = each.operation.place if each.old.size == 1 else -1 - each.parameter
        at.setdefault(place, {})[each.parameter] = None
    chosen = {n for each in at.values() for n in [*each][:: -(-len(each) // NUMBERS)]}
    return [each for each in updates if each.parameter in chosen]


def map_step(step: Step) -> Roles:
    """Find the roles of a step's values."""
    found = _Graph(step)
    names, (others, several) = found.names, found.of_others()
    if others:  # which are given, for this network
        own = tuple(each for each in step.updates if each.parameter not in others)
        found = _Graph(replace(step, updates=own), {each.operation for each in step.updates})
    step, error = replace(found.step, updates=found.updates), found.error
    outputs, targets = found.sides(error)
    layers = found.layers(outputs)
    return Roles(
        step, names(layers), layers, found.samples(layers, outputs), found.given(layers, outputs),
        outputs, targets, error, found.loss(), reduce(or_, map(found.bits, outputs), 0),
        tuple(found.late), frozenset(found.cone), others=others, several=several,
        partial=bool(layers) and layers[0].weights in found.shared,
    )  # fmt: skip


class _Graph:
    """A step's operations as a graph, with what depends on which parameter."""

    def __init__(self, step: Step, updating: Set[Operation] = frozenset()) -> None:
        self.step = step
        self.updating = updating or {each.operation for each in step.updates}  # all networks
        self.parameter = dict[Value, int]()  # of which a value is a state or view
        self.depends = dict[Value, int]()  # bits of the parameters
        for update in step.updates:
            self.parameter.setdefault(update.old, update.parameter)
        self.changed = {update.operation: update for update in step.updates}
        for each in step.operations:
            self._follow(each)
        less = [each.operands[:2] for each in step.operations if each.name == "subtract"]
        self.margins = {other for one, other in less if one.size == 1 and one.number == 1.0}
        self.late: list[Operation] = []
        self.shared = set[int]()  # numbers of weights that several inputs meet
        self.cone = ancestors(update.delta for update in step.updates)

    def _follow(self, operation: Operation) -> None:
        bits = 0
        for value in operation.operands:
            bits |= self.bits(value)
        result = operation.result
        update = self.changed.get(operation)
        if update is not None:
            self.parameter[result] = update.parameter
        elif operation.operands and operation.name in VIEWS and operation.name != "put":
            known = self.of(operation.operands[0])
            if known is not None:
                self.parameter[result] = known
        elif operation.name == "add" and len(operation.operands) == 2:  # looking ahead
            for parameter, term in (operation.operands, operation.operands[::-1]):
                known = self.of(parameter)
                if known is not None and parameter.shape == term.shape and not self.bits(term):
                    self.parameter[result] = known
        self.depends[result] = 0 if self._follows(operation) else bits

    def _follows(self, operation: Operation) -> bool:
        """Return whether a running mean takes up a parameter: what it gives is taken as given."""
        sides = operation.operands if operation.name == "add" else ()
        made = [(mean, maker(delta)) for mean, delta in zip(sides, sides[::-1], strict=True)]
        return any(each.name == "subtract" and each.operands[1] is mean
                   and self.of(each.operands[0]) is not None for mean, each in made)  # fmt: skip

    def of(self, value: Value) -> int | None:
        """Return the number of the parameter that a value is or shows, if it is one."""
        known = self.parameter.get(value)
        return self.of(value.base) if known is None and value.base is not None else known

    def bits(self, value: Value) -> int:
        """Return the parameters on which a value depends, one bit for each."""
        own = self.of(value)
        return self.depends.get(value, 0) | (0 if own is None else 1 << own)

    @cached_property
    def updates(self) -> tuple[Update, ...]:
        """The step's updates, refined."""
        return tuple(map(self._refined, self.step.updates))

    def _refined(self, update: Update) -> Update:
        """Return an update by momentum, Adam and the like with the gradient that enters it."""
        value, factor, found, state = update.gradient, update.factor, "", False
        named: tuple[Value, float] | None = None
        mean: Value | None = None
        while (made := value.made_by).operands and made.index is None:
            dependent = [i for i, each in enumerate(made.operands) if self.bits(each)]
            divisor = made.operands[-1]
            if made.name == "divide" and divisor.shape == value.shape and _has_root(divisor):
                found, value, named = "adaptive", made.operands[0], None
            elif len(dependent) != 1 or len(made.operands) != 2:
                break
            elif made.name in ("add", "subtract"):
                kept, delta = (made.operands[i] for i in (1 - dependent[0], dependent[0]))
                if kept is not mean and origin(kept)[1] == 1.0:  # no state that decays
                    to = maker(delta)  # but m + (1 - b) * (g - m)
                    if kept not in to.operands:
                        break
                    mean = kept
                found, value, named, state = found or "momentum", delta, None, True
                factor *= -1.0 if made.name == "subtract" and dependent[0] == 1 else 1.0
            elif made.name in ("multiply", "divide") and made.operands[1 - dependent[0]].size == 1:
                number = made.operands[1 - dependent[0]].number
                value = made.operands[dependent[0]]
                number = 1.0 / (number or 1.0) if made.name == "divide" else number
                factor *= 1.0 if state and found == "adaptive" else number
            else:
                break
            if value.names and named is None:
                named = value, factor
        if not found:
            return update
        value, factor = named or (value, factor)
        sign = update.sign if factor >= 0 else -update.sign
        return replace(
            update, gradient=value, factor=abs(factor), sign=sign, optimizer=found, scalars=()
        )

    @cached_property
    def kept(self) -> set[Value]:
        """What optimizers make of gradients, such as their means."""
        states = {value for each in self.step.updates for value in (each.old, each.new)}

        def made_of(update: Update) -> set[Value]:
            ends = states | {update.gradient}
            found = ancestors([update.delta], lambda v: v in ends or v.made_by.name in MIXING)
            return {value for value in found - ends if value.size == update.old.size}

        return set().union(*(made_of(each) for each in self.updates if each.optimizer))

    @cached_property
    def error(self) -> Operation:
        """The operation in which outputs first meet targets."""
        pairs = [(each, pair) for each in self.step.operations
                 if (pair := self._pair(each)) and self._as_told(each, pair)]  # fmt: skip
        order = {each: number for number, each in enumerate(self.step.operations)}

        def rank(found: tuple[Operation, tuple[Value, Value]]) -> tuple[bool, bool, int, bool, int]:
            each, (outputs, _) = found
            known, inside = self.bits(outputs).bit_count(), each.result in self.cone
            late = order[each] if each.name == "add" else len(order)  # what is centred comes first
            return each.result not in self.kept, inside, known, each.name == "subtract", late

        return max(pairs, key=rank)[0] if pairs else NOTHING

    def of_others(self) -> tuple[frozenset[int], frozenset[int]]:
        """Return the parameters that no output or target here teaches, and those taught by both.

        The first are of networks of their own: what earlier updates have changed may enter them.
        """
        (outputs, targets), updates = self.sides(self.error), self.step.updates
        operations = [each for each in self.step.operations if each not in self.changed]
        reached = descendants((*outputs, *targets), operations)
        taught = {u.parameter for u in updates if u.delta in reached or not outputs}
        at_place = reduce(or_, (self.bits(each) for each, _ in self._pairs(self.error)), 0)
        apart = at_place & ~reduce(or_, map(self.bits, outputs), 0)
        left = [u for u in updates if apart >> u.parameter & 1 or (
                u.parameter not in taught and self.bits(u.delta) >> u.parameter & 1)]  # fmt: skip
        if not left:
            return frozenset(), frozenset()
        new = {each.new for each in updates}
        theirs = ancestors((u.delta for u in left), stop=lambda value: value in new)
        own = ancestors(outputs) | new
        both = descendants((o.result for o in self.step.operations if self.bits(o.result)
                            and o.result in theirs - own), operations)  # fmt: skip
        several = {u.parameter for u in updates if u.delta in both and u.parameter in taught}
        return frozenset(u.parameter for u in left), frozenset(several)

    def _as_told(self, operation: Operation, pair: tuple[Value, Value]) -> bool:
        """Return whether outputs and targets have the names that the user gave, if any."""
        texts = dict(zip(operation.operands, operation.site.operands, strict=False))
        texts |= {less: text.removeprefix("-") for each, text in texts.items()
                  if (less := negated(each)) is not None}  # fmt: skip
        told = (self.step.roles.get(each) for each in ("outputs", "targets"))
        return all(not names or {texts.get(value), *value.names} & {*names}
                   for names, value in zip(told, pair, strict=True))  # fmt: skip

    def _pair(self, operation: Operation) -> tuple[Value, Value] | None:
        """Return (outputs, targets) if these may be an operation's two sides."""
        if operation.name not in MEETING or operation in self.updating:
            return None
        if len(operation.operands) > 2 and operation.index is not None:
            owner, chosen = operation.operands[0], operation.operands[-1]  # p[range(n), y] -= 1
            by_class = isinstance(chosen.object, np.ndarray) or operation.site.operands[1] in ONE
            found = by_class and self.bits(owner) and self.of(owner) is None
            return (owner, chosen) if found else None
        if len(operation.operands) != 2:
            return None
        left, right = operation.operands
        texts = operation.site.operands
        if operation.name == "add":
            return self._with_negative(left, right) or self._with_negative(right, left)
        for outputs, targets, text in ((left, right, texts[-1:]), (right, left, texts[:1])):
            if not self.bits(outputs) or self.of(outputs) is not None or self.bits(targets):
                continue
            literal = bool(text and NUMBER.fullmatch(text[0]))
            bare = targets.size == 1 and not targets.made_by
            constant = bare and (operation.name == "divide" or outputs.size > 1 or literal)
            margin = operation.name == "multiply"  # with targets of -1 and 1
            if not constant and (not margin or self._are_signs(operation, outputs, targets)):
                return outputs, targets
        return None

    def _with_negative(self, outputs: Value, other: Value) -> tuple[Value, Value] | None:
        """Return (outputs, targets) if the targets are subtracted by adding -targets."""
        targets = negated(other)
        if targets is None or self.bits(targets) or targets.size != outputs.size:
            return None
        return (outputs, targets) if self.bits(outputs) and self.of(outputs) is None else None

    def _are_signs(self, operation: Operation, outputs: Value, targets: Value) -> bool:
        """Return whether one factor has targets of -1 and 1 for the other's outputs."""
        smallest = 0 if operation.result in self.margins else 1  # a mask is 0 or 1, too
        alike = outputs.shape == targets.shape and targets.size > 1
        return alike and bool(np.all(np.isin(np.abs(targets.data), (smallest, 1))))

    def sides(self, error: Operation) -> tuple[tuple[Value, ...], tuple[Value, ...]]:
        """Return outputs and targets: of all operations at the place of the first."""
        first = self._pair(error)
        own = 0 if first is None else self.bits(first[0])  # others are of another network
        found = [pair for pair in self._pairs(error) if self.bits(pair[0]) & own]
        return tuple(o for o, _ in found), tuple(t for _, t in found)

    def _pairs(self, error: Operation) -> list[tuple[Value, Value]]:
        alike = at_place(self.step, error.place, self.cone)
        return [pair for pair in map(self._pair, alike) if pair is not None]

    def layers(self, outputs: tuple[Value, ...]) -> tuple[Layer, ...]:
        """Return the layers from the inputs to the outputs."""
        below = ancestors(outputs[:1])
        forward = [each for each in self.step.operations if each.result in below]
        products: dict[int, tuple[Operation, Value]] = {}
        biases: dict[Value, tuple[int, Value]] = {}  # by the sums that they are added to
        for each in forward:
            if len(each.operands) < 2:
                continue
            for parameter, inputs in (each.operands[:2], each.operands[1::-1]):
                number = self.of(parameter)
                if number is None or self.of(inputs) is not None:
                    continue
                gain = each.name == "multiply" and each.result.shape == inputs.shape != ()
                if each.name in PRODUCTS and not (gain and parameter.size > 1):  # gamma * x_hat
                    _, known = products.setdefault(number, (each, inputs))
                    if known is not inputs and inputs.size > 1:
                        self.shared.add(number)
                elif each.name == "add" and self.bits(inputs):
                    for term in _terms(inputs):
                        biases.setdefault(term, (number, each.result))
        sums = {product.result for product, _ in products.values()}
        for added in (other.made_by for key, (_, other) in biases.items() if key not in sums):
            if ACTIVATED & {value.made_by.name for value in added.operands}:
                self.late.append(added)
        found, order = [], list(products.items())
        for i, (number, (product, inputs)) in enumerate(order):
            bias, z = biases.get(product.result, (None, product.result))
            given = (inputs for _, (_, inputs) in order[i + 1 :])
            after = next((e for e in given if self.bits(e) >> number & 1), outputs[0])
            found.append(Layer(number, bias, _turned(inputs), z, _turned(after), product))
        return tuple(found)

    def samples(
        self, layers: tuple[Layer, ...], outputs: tuple[Value, ...]
    ) -> tuple[tuple[Layer, ...], ...]:
        """Return the layers of each sample of a loop, if each has its own."""
        if not 1 < len(outputs) <= MAX_SAMPLES or not layers:
            return ()
        found = tuple(self.layers((each,)) for each in outputs)
        alike = {tuple(layer.weights for layer in each) for each in found}
        return found if len(alike) == 1 else ()

    def given(self, layers: tuple[Layer, ...], outputs: tuple[Value, ...]) -> tuple[Value, ...]:
        """Return what the first layer is given: of all samples, batches or moments of a step."""
        if not layers:
            return ()
        below, found = ancestors(outputs), [layers[0].inputs]
        products = [e for e in self.step.operations if e.result in below
                    and e.name in PRODUCTS and len(e.operands) > 1]  # fmt: skip
        for each in products:
            pairs = each.operands[:2], each.operands[1::-1]
            found += [_turned(inputs) for weights, inputs in pairs
                      if self.of(weights) == layers[0].weights
                      and not self.bits(inputs)]  # fmt: skip
        return tuple(dict.fromkeys(found))

    def loss(self) -> Value | None:
        """Return the last number that is called a loss and depends on the parameters."""
        told = self.step.roles.get("loss")
        for value in (each.result for each in reversed(self.step.operations)):
            names = [n for n in value.names if (n in told if told else LOSS.match(n))]
            if not names:
                continue
            made = self.bits(value) and self.of(value) is None and value not in self.cone
            if value.size == 1 and made:
                return value
        return None

    def names(self, layers: tuple[Layer, ...]) -> tuple[str, ...]:
        """Return the parameters' names as the updates write them, or by where they are kept.

        Those that are still alike are numbered by layer.
        """
        texts = dict[int, str]()
        for update in self.step.updates:
            operation = update.operation
            named = [t for v, t in zip(operation.operands, operation.site.operands, strict=False)
                     if v is update.old]  # fmt: skip
            texts.setdefault(update.parameter, named[0] if named else operation.site.text)
        times = Counter(texts.values())
        vague = {t for t, n in times.items() if n > 1 or not re.fullmatch(r"[\w.]+", t)}
        for n, text in texts.items():
            places = [each for each in self.step.places[n] if each not in vague]
            texts[n] = places[0] if places and text in vague else text
        order = [n for each in layers for n in (each.weights, each.biases) if n in texts]
        alike = grouped((texts[n], n) for n in dict.fromkeys([*order, *texts]) if n is not None)
        for text, numbers in alike.items():
            if len(numbers) > 1:
                for turn, n in enumerate(numbers, start=1):
                    texts[n] = f"{text} #{turn}"
        return tuple(texts.get(n, f"parameter {n + 1}") for n in range(len(texts)))


def _terms(value: Value) -> list[Value]:
    """Return a value and what it is the sum of."""
    found = [value]
    for each in found:
        if each.made_by.name in ("add", "sum"):
            found += each.made_by.operands
    return found


def _turned(value: Value) -> Value:
    """Return what a layer was given; np.exp(-h @ w) has its minus there."""
    return value.made_by.operands[0] if value.made_by.name == "negative" else value


def at_place(step: Step, place: int, cone: set[Value]) -> list[Operation]:
    """Return the operations at a place: those that updates depend on, if any do."""
    found = [each for each in step.operations if each.place == place]
    return [each for each in found if each.result in cone] or found  # not those of validation


def _has_root(value: Value) -> bool:
    """Return whether a divisor is a root or a maximum, perhaps with a small number added."""
    made = value.made_by
    if made.name == "add":
        made = next((each.made_by for each in made.operands if each.made_by), made)
    return made.name in ("sqrt", "power", "maximum")  # the last: AdaMax


def in_words(roles: Roles) -> list[str]:
    """Say what was found, in lines of text."""
    alike = dict[int, list[int]]()  # numbers that one place of the source updates
    for n in sorted({*range(len(roles.names))} - roles.others):
        update = next((each for each in roles.updates_of(n) if not each.old.shape), None)
        alike.setdefault(-1 - n if update is None else update.operation.place, []).append(n)
    lines = [_update_in_words(roles, each) for each in alike.values()]
    if error := roles.error:
        outputs, targets = (called(each[0], error) for each in (roles.outputs, roles.targets))
        lines.append(f"outputs {outputs}, targets {targets}: {error.site}")
    if roles.layers:
        lines.append(f"inputs {called(roles.layers[0].inputs, roles.layers[0].product)}")
    if roles.loss is not None:
        lines.append(f"loss {called(roles.loss)}")
    return lines


def listed(names: Sequence[str]) -> str:
    """Join names with commas; of many, only the first."""
    if len(names) <= MANY:
        return ", ".join(names)
    return f"{', '.join(names[:3])} and {len(names) - 3} others"


def _update_in_words(roles: Roles, numbers: Sequence[int]) -> str:
    number, update = numbers[0], roles.updates_of(numbers[0])[0]
    made = update.gradient.made_by
    kind = "biases" if any(number == layer.biases for layer in roles.layers) else "weights"
    name = update.gradient.names[-1] if update.gradient.names else "the gradient"
    line = f", {made.site.place}" if made else ""
    way = {"momentum": "with momentum, ", "adaptive": "scaled adaptively, "}
    how = f"{way.get(update.optimizer, '')}{abs(update.factor):g} times {name}"
    verb = "adds" if update.sign * (update.factor or 1.0) > 0 else "subtracts"
    names = roles.names[number] + (f" to {roles.names[numbers[-1]]}" if numbers[1:] else "")
    shape, site = update.old.shape or "(a number)", update.operation.site
    shape = f"({len(numbers)} numbers)" if numbers[1:] else shape
    return f"{kind} {names} {shape}, {site.place}: the update {verb} {how}{line}"


def called(value: Value, operation: Operation | None = None) -> str:
    """Return a value's name and shape; the name as an operation that uses it has it."""
    text = ""
    if operation is not None:
        for each in operation.operands:
            if value in (each, negated(each)):
                text = in_source(operation, each).removeprefix("" if value is each else "-")
    name = value.names[-1] if value.names else text.replace("?", "")
    return f"{name} {value.shape or '(a number)'}".strip()


def in_source(operation: Operation, which: int | Value) -> str:
    """Return an operand, or that of a number, as the script writes it."""
    site, words = operation.site, operation.site.operands
    slot = which if isinstance(which, int) else operation.operands.index(which)
    words = words[1:] if operation.name == "einsum" else words  # the first are the subscripts
    of_owner = operation.name == "astype" or len(operation.operands) > len(words)
    if site.kind == "call" and of_owner and site.owner not in modules(site.file):
        words = (site.owner, *words)
    return words[slot] if slot < len(words) else "?"
