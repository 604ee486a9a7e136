"""Which additions and subtractions of a script are the updates of its parameters.

A parameter is what replaces itself: ``W = W - r * G``, ``self.W -= ...``, ``return b - r * g``,
``[w - r * g for w, g in ...]``. So an addition or subtraction is taken for an update if its left
side (for a sum, any side), apart from factors such as a decay, is what the same statement gave the
time before, was used for something else since, and if what is added depends on it. The last leaves
out running sums, counters, momentum and sums of gradients.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import or_

from xpnet.doctor.scripts.recording.instrument import Site
from xpnet.doctor.scripts.recording.steps import NOTHING, Operation, Update, Value
from xpnet.doctor.step import grouped

DRAWN = re.compile("rand|normal|uniform|choice")
RANDOM = ("rand", "random", "random_sample", "binomial", "uniform", "choice", "bernoulli")
HOPS = 8  # updates of one parameter by several statements of one step
MIXING = {"matmul", "inner", "einsum", "tensordot", "vdot", "outer"}
NORMS = {"sqrt", "norm"}
TIMES = ("multiply", "divide")
JOINED = {"concatenate", "hstack", "append"}
SAME_VALUES = {
    *("copy", "array", "asarray", "asanyarray", "ascontiguousarray", "reshape", "ravel", "flatten"),
    *("squeeze", "expand_dims", "float", "float64", "float32", "astype", "atleast_1d"),
    *("atleast_2d", "put"),
}


def origin(value: Value) -> tuple[Value, float]:
    """Return the value of which this one is a copy times numbers, and those numbers' product."""
    factor = 1.0
    while (made := value.made_by).operands and is_whole(made):
        first, rest = made.operands[0], made.operands[1:]
        if made.name in SAME_VALUES and first.size == value.size:
            value = made.operands[-1] if made.name == "put" else first
        elif made.name in TIMES and (side := scalar_side(made)) is not None:
            number = made.operands[side].number
            if number == 0.0:
                break
            factor *= number if made.name == "multiply" else 1.0 / number
            value = made.operands[1 - side]
        elif made.name == "negative" and not rest:
            factor, value = -factor, first
        elif made.name in JOINED and (joined := _joined_again(value)) is not None:
            value = joined
        else:
            break
    return value, factor


def negated(value: Value) -> Value | None:
    """Return what this value is the negative of, if it is one."""
    found, factor = origin(value)
    return found if factor == -1.0 else None


def maker(value: Value) -> Operation:
    """Return the operation that made the origin of a value."""
    return origin(value)[0].made_by


def _joined_again(value: Value) -> Value | None:
    """Return the vector whose parts, all of them, are put together again."""
    parts = [maker(each) for each in value.made_by.operands]
    if any(each.name != "item" for each in parts):
        return None
    (whole, *others) = {each.operands[0] for each in parts}
    return whole if not others and whole.shape == value.shape else None


def is_whole(operation: Operation) -> bool:
    """Return whether an operation changes all of an array, as ``W[:] = ...`` does."""
    return operation.index is None or (
        operation.name == "put" and repr(operation.index) in ("slice(None, None, None)", "Ellipsis")
    )


def scalar_side(operation: Operation) -> int | None:
    """Return which operand of a product or quotient is a mere number, if one is."""
    if len(operation.operands) != 2:
        return None
    sides = (1,) if operation.name == "divide" else (0, 1)
    single = [i for i in sides if operation.operands[i].size == 1]
    if not single:
        return None
    if operation.operands[1 - single[0]].size > 1:
        return single[0]
    mere = [i for i in single if not operation.operands[i].shape
            and operation.operands[1 - i].shape]  # fmt: skip
    if mere:
        return mere[0]
    # Both are numbers: a factor was not computed from anything, and whole numbers may be data.
    bare = [i for i in single if not (value := operation.operands[i]).made_by
            and (operation.name == "divide" or isinstance(value.object, float))]  # fmt: skip
    other = [i for i in bare if operation.operands[1 - i].made_by]
    return next(iter(other or bare), None)


def mere_number(operation: Operation) -> tuple[float, str]:
    """Return the number that multiplies the rest of a product or quotient, and its text."""
    side = scalar_side(operation)
    if side is None:
        return 1.0, ""
    number = operation.operands[side].number
    if operation.name == "divide":
        number = 1.0 / number if number else 1.0
    texts = operation.site.operands
    return number, texts[side] if len(texts) > side else "a number"


def as_update(operation: Operation, side: int, parameter: int) -> Update:
    """Return an addition or subtraction, whose operand `side` is a parameter, as its update."""
    old = _before_decay(operation, side)
    delta = operation.operands[1 - side]
    sign = -1 if operation.name == "subtract" else 1
    factor, value, scalars = 1.0, delta, list[tuple[str, float]]()
    stages = [(value, factor, 0)]
    while (made := value.made_by) and made.index is None:
        number, text = mere_number(made) if old not in made.operands else (1.0, "")
        if error := _factor_from(old, made):  # is a part of the gradient
            number, text = mere_number(error)
            if text and error.name == "multiply":
                factor *= number
                scalars.append((text, number))
                stages.append((value, factor, len(scalars)))
            break
        if made.name == "negative":
            factor, value = -factor, made.operands[0]
        elif made.name in TIMES and text:
            factor *= number
            scalars.append((text, number))
            value = made.operands[1 - (scalar_side(made) or 0)]
        else:
            break
        stages.append((value, factor, len(scalars)))
    named = [stage for stage in stages if stage[0].names and stage[2]]
    best = named[0] if named else stages[0] if delta.names else stages[-1]
    gradient, factor, used = best
    if gradient.made_by.name == "matmul" and not gradient.names:
        for value in gradient.made_by.operands:  # rate * inputs.T @ delta
            if not value.names and (made := value.made_by).name in TIMES:
                number, text = mere_number(made)
                if text:
                    factor *= number
                    scalars[used:] = [(text, number)]
                    used += 1
    return Update(parameter, operation, old, operation.result, delta, sign, factor, gradient,
                  tuple(scalars[:used]))  # fmt: skip


def _before_decay(operation: Operation, side: int) -> Value:
    """Return the parameter ahead of its step's decay: (1 - rate * penalty) * W, or W *= ..."""
    value, delta = operation.operands[side], operation.operands[1 - side]
    made, single = value.made_by, scalar_side(value.made_by)
    own = made.site.kind == "in place" or {*value.names} & {*made.site.operands}
    # What the step's gradient was computed with is no decay, but a start that was scaled.
    decays = own and single is not None and value not in ancestors([delta])
    if made.name in TIMES and (made.line == operation.line or decays):
        return made.operands[1 - (single or 0)]
    return value


def _factor_from(old: Value, made: Operation) -> Operation:
    """Return what computed a product's factor of one number from a parameter: an error.

    Not a factor from the norm of what is multiplied, which clips it.
    """
    side = scalar_side(made) if made.name == "multiply" else None
    before = ancestors([] if side is None else [made.operands[side]])
    if side is None or old not in before:
        return NOTHING
    other, roots = made.operands[1 - side], [e for e in before if e.made_by.name in NORMS]
    of_it = ancestors((v for e in roots for v in e.made_by.operands),
                      stop=lambda v: v.made_by.name in MIXING)  # fmt: skip
    return NOTHING if other in of_it else made.operands[side].made_by


@dataclass(eq=False)
class Chain:
    """Successive updates of one parameter by one statement, and on which side its value stood."""

    operations: list[Operation] = field(default_factory=list)
    side: int = 0


def written(chain: Chain) -> list[str]:
    """Return how an update writes the parameter."""
    operation = chain.operations[1]
    return [*operation.site.operands[chain.side :][:1], *operation.operands[chain.side].names]


class Search:
    """Looks at each addition and subtraction until two whole steps are known."""

    def __init__(self) -> None:
        self._chains = dict[Operation, tuple[Chain, int]]()  # and the operation's place in it
        self._parts = dict[tuple[int, int, str], Operation]()
        self._used = dict[Value | None, set[int]]()  # places that used a value
        self._depends = dict[Value, int]()  # on which chains a value depends, as bits
        self.found: list[Chain] = []  # the parameters', once they are known, in a step's order

    def consider(self, operation: Operation, everything: list[Operation]) -> None:
        """Take an addition or subtraction, the last one of all that was recorded."""
        both = operation.name == "add" and operation.site.kind != "in place"
        sides = (0, 1) if both else (0,)
        for side in sides[: len(operation.operands)]:
            chain = self._chain_before(operation, side)
            if chain is not None:
                self._chains[operation] = chain, len(chain.operations)
                chain.operations.append(operation)
                if len(chain.operations) == 3:
                    self._classify(chain, everything)
                break
        else:
            self._chains[operation] = Chain([operation]), 0
        if operation.index is not None:
            self._parts[_part(operation)] = operation

    def use(self, operation: Operation) -> None:
        """Note which values an operation uses, after it was considered."""
        for value in operation.operands:
            for used in (value, value.base):
                self._used.setdefault(used, set()).add(operation.place)

    def _chain_before(self, operation: Operation, side: int) -> Chain | None:
        """Return the chain that an operation continues, if it does."""
        if operation.index is not None:
            before = self._parts.get(_part(operation))
            if before is None or before.result.object is not operation.result.object:
                return None
            return self._chains[before][0]
        value, used = operation.operands[side], False
        for _ in range(HOPS):
            source = origin(value)[0]
            places = self._used.get(value, set()) | self._used.get(source, set())
            used, value = used or bool(places - {operation.place}), source
            before = value.made_by
            if before not in self._chains:
                return None
            chain = self._chains[before][0]
            if before.place == operation.place:
                chain.side = side
                return chain if used and chain.operations[-1] is before else None
            value = before.operands[chain.side]
        return None

    def _classify(self, longest: Chain, everything: list[Operation]) -> None:
        """See which chains are parameters: what is added to them depends on them."""
        chains = [*dict.fromkeys(c for c, _ in self._chains.values() if len(c.operations) > 1)]
        parameters = self._trained(chains, everything)
        ahead = self._made(parameters, old=True)  # Nesterov: a look ahead comes before the step
        adding = [*parameters, *(c for c in chains if c in ahead)]
        # What an error multiplies is no velocity: weights of the only output, for one.
        states = self._made([c for c in adding if not self._has_an_error(c)], old=False)
        parameters = [chain for chain in parameters if chain not in states]
        if longest in parameters:
            order = {each: i for i, each in enumerate(everything)}
            before, start, end = (order[each] for each in longest.operations)
            inside = [c for c in parameters if start <= order[c.operations[1]] < end]
            sums = {each.result for each in everything[before:end] if each.name in MIXING}
            behind = descendants(sums, everything[before:end])
            # What no weighted sum enters, where there are some, is a state, as of a game.
            inside = [c for c in inside if not sums or not behind.isdisjoint(
                each.operands[1 - c.side] for each in c.operations[1:])]  # fmt: skip
            # Nor are rows of embeddings, which come in any order; parts that come in turn are.
            parts = grouped((e.place, repr(e.index)) for e in everything[before:end]
                            if e.index is not None and e.name in ("add", "subtract"))  # fmt: skip
            turns = {n for n, some in parts.items() if some == 2 * some[: len(some) // 2]}
            inside = [c for c in inside if (first := c.operations[0]).index is None
                      or first.place in turns]  # fmt: skip
            if longest in inside:
                self.found = sorted(inside, key=lambda chain: order[chain.operations[1]])

    def _trained(self, chains: list[Chain], everything: list[Operation]) -> list[Chain]:
        """Return the chains on which what is added to them depends, except an optimizer's states.

        What states add depends on them, too, in ``m += (1 - b) * (g - m)``, but number by number,
        and they follow the parameters, as in ``mean += (1 - b) * (W - mean)``.
        """
        number, total = {chain: n for n, chain in enumerate(chains)}, len(chains)
        low = (1 << total) - 1
        depends = self._depends = dict[Value, int]()  # bits of the chains; where mixed, again
        entering, following = [0] * total, set[int]()

        def mask(value: Value | None) -> int:
            return 0 if value is None else depends.get(value, 0) | mask(value.base)

        for each in everything:
            bits = 0
            for value in each.operands:
                own, part = mask(value), each.name in SAME_VALUES or each.index is not None
                alike = value.shape == each.result.shape and each.name not in MIXING
                mixed = value.size == 1 or not (alike or part)
                bits |= own | ((own & low) << total if mixed else 0)
            chain, place = self._chains.get(each, (Chain(), 0))
            if chain in number and place < 2:
                n, old = number[chain], each.operands[chain.side]
                delta = each.operands[1 - chain.side]
                entering[n], made = mask(delta), maker(delta)
                if place == 0:  # what is updated now is of the next step
                    bits = 1 << n | mask(old)
                elif made.name == "subtract" and old is made.operands[1]:
                    followed = self._chains.get(made.operands[0].made_by)
                    if followed and followed[0] in number:
                        following.add(n)
            depends[each.result] = bits
        entered = reduce(or_, entering, 0) >> total
        found = [n for n, bits in enumerate(entering) if bits >> n & 1]
        states = {chains[n].operations[1].place for n in found
                  if n in following or not entered >> n & 1}  # fmt: skip
        return [chains[n] for n in found if chains[n].operations[1].place not in states]

    def _has_an_error(self, chain: Chain) -> bool:
        """Return whether what is added is an array times a number that the parameters make."""
        value = chain.operations[1].operands[1 - chain.side]
        while (made := value.made_by).name in (*TIMES, "negative"):
            side = scalar_side(made) if made.name in TIMES else None
            if side is not None and self._depends.get(made.operands[side], 0):
                return True
            value = made.operands[0 if side is None else 1 - side]
        return False

    def _made(self, chains: list[Chain], *, old: bool) -> set[Chain]:
        """Return the chains that made what these update, or what is added to that."""
        sides = [(each, each.side if old else 1 - each.side) for each in chains]
        made = [maker(each.operations[1].operands[side]) for each, side in sides]
        return {self._chains[each][0] for each in made if each in self._chains}


def updated_in(operations: Sequence[Operation]) -> tuple[Site, set[int]] | None:
    """Return what updates something in finished operations, and all places of its steps."""
    search, everything = Search(), [*operations]
    for each in everything:
        if each.name in ("add", "subtract"):
            search.consider(each, everything)
        if search.found:
            start, _, end = map(everything.index, search.found[0].operations[:3])
            return everything[start].site, {one.place for one in everything[start : end + 1]}
        search.use(each)
    return None


def _part(operation: Operation) -> tuple[int, int, str]:
    return operation.place, id(operation.result.object), repr(operation.index)


class Draws:
    """Whether the draws that made the parameters are all made again, and after how many steps."""

    def __init__(self, chains: Iterable[Chain] = ()) -> None:
        made = [maker(each.operations[0].operands[each.side]) for each in chains]
        self._first = dict.fromkeys((each.place, each.result.shape) for each in made
                                    if DRAWN.search(each.name))  # fmt: skip
        self.again = NOTHING
        self.after = self._latest = 0

    def look(self, operations: Iterable[Operation], steps: int, *, resized: bool = False) -> bool:
        """Return whether all are made again after some steps; or others, of other sizes."""
        places = {(each.place, each.result.shape): each for each in operations}
        if resized:
            known = {place for place, _ in self._first}
            self._first = {key: None for key in places if key[0] in known}
            return True
        if not self._first or not self._first.keys() <= places.keys():
            return False
        self.again = self.again or next(places[each] for each in self._first)
        steps, self._latest = steps - self._latest, steps
        self.after = min(steps, self.after or steps)
        return True


def redrawn(everything: list[Operation]) -> Operation:
    """Return an update of what was drawn at random after an earlier update at its place."""
    order = {each: i for i, each in enumerate(everything)}
    for first, *_, last in _additions(everything, 3):
        old, _ = origin(last.operands[0])
        again = DRAWN.search(old.made_by.name) and order.get(old.made_by, -1) > order[first]
        if again and old.size > 1 and old in ancestors(last.operands[1:]):
            return last
    return NOTHING


def changes_given(operation: Operation, before: Value) -> bool:
    """Return whether an operation writes into an array that was given, or into a slice of one."""
    if before.object is not operation.result.object:
        return False
    if operation.name in SAME_VALUES - {"put"}:  # np.asarray of an array is that array
        return False
    made = before.made_by
    if made.name == "item" and isinstance(made.index, slice):
        return not made.operands[0].made_by
    return not made


def fills_buffer(operation: Operation) -> bool:
    """Return whether an operation puts rows into a buffer that are not made of what it holds."""
    if operation.name != "put" or len(operation.operands) < 2:
        return False
    buffer, rows = operation.operands[:2]
    taken = maker(rows)
    if taken.name == "item" and taken.operands[0].object is operation.result.object:
        return True  # they change places
    return rows.size > 1 and buffer not in ancestors(operation.operands[1:])


def lost(everything: list[Operation], times: int) -> list[Operation]:
    """Return steps from an array, with a name or a rate, by what was made of it, and not used."""
    found = list[Operation]()
    used = {value for each in everything for value in each.operands}
    for additions in _additions(everything, times):
        last = additions[times - 1]
        rate = scalar_side(last.operands[-1].made_by) is not None
        if any(e.result in used or not (rate or e.result.names) for e in additions[:times]):
            continue
        if origin(last.operands[0])[0] in ancestors(last.operands[1:]):
            found.append(last)
    return found if any(each.result.size > 1 for each in found) else []


def random_masks(operations: Iterable[Operation]) -> Iterator[tuple[Operation, int]]:
    """Yield the products that drop units at random, and which operand drops them."""
    drawn = set[Value]()
    for each in operations:
        random = [value in drawn for value in each.operands]
        arrays = each.result.size > 1 and all(value.size > 1 for value in each.operands)
        if any(random) and not all(random) and each.name == "multiply" and arrays:
            yield each, random.index(True)
            continue
        same = any(random) and each.result.shape == each.operands[random.index(True)].shape
        if each.name in RANDOM or same:
            drawn.add(each.result)


def _additions(everything: list[Operation], times: int) -> Iterator[list[Operation]]:
    """Yield the additions or subtractions of arrays at each place, if there are so many."""
    places = grouped((each.place, each) for each in everything if each.result.shape
                     and each.name in ("add", "subtract") and each.index is None)  # fmt: skip
    return (each for each in places.values() if len(each) >= times)


def descendants(values: Iterable[Value], operations: Iterable[Operation]) -> set[Value]:
    """Return values and all that operations make of them, in their order."""
    found = {*values}
    for each in operations:
        if any(not found.isdisjoint((value, value.base)) for value in each.operands):
            found.add(each.result)
    return found


def ancestors(
    values: Iterable[Value], stop: Callable[[Value], bool] = lambda value: False
) -> set[Value]:
    """Return values and all from which they were made, not going beyond some."""
    found = set[Value]()
    waiting: list[Value | None] = [*values]
    while waiting:
        value = waiting.pop()
        if value is not None and value not in found:
            found.add(value)
            waiting.append(value.base)
            if value.made_by.operands and not stop(value):
                waiting.extend(value.made_by.operands)
    return found
