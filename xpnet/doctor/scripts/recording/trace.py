"""Records what a script computes in the steps that are looked at, as a graph of values.

`Recorder.on_step` are called at the end of a step that was recorded whole, inside the hook that
computed its last update: the process may fork there. The recorder rests between these steps, so
often that all looking, also what measures then, keeps within its `Budget`.
"""

import logging
import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from typing import Any

import numpy as np

from xpnet.doctor.scripts.recording.budget import FIRST, SEARCHING, Budget
from xpnet.doctor.scripts.recording.flat import taken_apart
from xpnet.doctor.scripts.recording.instrument import OPERATORS, Site
from xpnet.doctor.scripts.recording.objects import MAX_LIST, Objects, names_by_id
from xpnet.doctor.scripts.recording.standstill import unmoved, zeros
from xpnet.doctor.scripts.recording.steps import NOTHING, Operation, Step, Update, Value
from xpnet.doctor.scripts.recording.updates import (
    Draws,
    Search,
    as_update,
    lost,
    redrawn,
    updated_in,
    written,
)

SCOUTED, AT_ONCE = 50_000, 500  # operations in which updates are searched; between looks at time
FAR_AWAY = 1 << 60  # executions that are never reached
FIRST_STEPS, FEWEST_STEPS = 16, 4  # that are all looked at; where that takes long
MAX_AFTER = 5000  # operations that are recorded after a loop
ADDING_AT = np.add.at, np.subtract.at
LIKE = ("zeros_like", "ones_like", "empty_like", "full_like")
SYNONYMS = {"true_divide": "divide", "dot": "matmul", "sub": "subtract", "mul": "multiply"}


class Recorder:
    """The hooks of instrumented code, and when to look.

    `roles` has the names of the script's values that are "weights" (with biases), "outputs",
    "targets" and "loss", where the user gave them. `look` is of `Budget`.
    """

    slice = slice

    def __init__(
        self, roles: Mapping[str, Sequence[str]] | None = None, look: float | None = None
    ) -> None:
        self.roles = roles or {}
        self.sites: list[Site] = []
        self.counts: list[int] = []  # executions left until a statement wakes the recorder
        self.modules: list[MutableMapping[str, Any]] = []
        self.on_step: list[Callable[[Step], None]] = []
        self.on_network: list[Callable[[int], None]] = []  # called before another one's first step
        self.problem = ""  # why recording stopped, if it did
        self.error: BaseException | None = None  # that ended the script
        self.steps = 0  # taken by the script, as of the last look
        self.begun = 0  # steps before those of this network
        self.also_trained = dict[int, Any]()  # by id: arrays that are updated beside the parameters
        self.satisfied_at = -1  # steps after which the loss was as low as wanted
        self.pattern: Counter[int] = Counter()  # updates of a step, by the number of their site
        self.burst = 1  # steps to look at in a row
        self._search = Search()
        self._places: tuple[tuple[str, ...], ...] = ()  # of the parameters
        self._sides: dict[int, int] = {}  # of which operand an update gives the new value
        self._anchor = -1  # the statement of a step's last update
        self._per_step = 0  # how often it runs in a step
        self._rest = 0  # steps before the next that is looked at
        self._row = 0  # steps looked at in a row
        self._doubled = 1  # how often the search was put off, as a power of 2
        self._numbers: dict[tuple[int, int], int] = {}  # of parameters, by place and turn
        self._parts = dict[tuple[int, tuple[int, int]], int]()  # numbers, see `taken_apart`
        self._arrays = dict[int, Any]()  # what each parameter was last
        self.another: Site | None = None  # updates what is not looked at: another network
        self._others = set[int]()  # places of its steps
        self._starting = False  # whether what is recorded may be of a new network, not told of yet
        self.draws = Draws()
        self.redrawn = NOTHING  # updates what its own step has drawn
        self.lost = list[Operation]()  # steps whose results nothing uses
        self.cut = NOTHING  # puts fractions into an array of whole numbers
        self.reached = set[int]()  # places, while no update was found
        self.unmoved = NOTHING, NOTHING  # weights that never change, and what does in their place
        self.zeros = list[Operation]()  # updates of weights by 0, and `NOTHING` for any other
        self.used: tuple[Operation, ...] = ()  # what was computed after the last update
        self._loops: dict[int, int] = {}  # steps taken when each loop last ended
        self.budget = Budget(look)
        self.restart()

    def prepare(self, namespace: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """Give the globals of an instrumented module what its code calls."""
        self.counts += [FAR_AWAY] * (len(self.sites) - len(self.counts))
        namespace.update(__xp__=self, __xp_on__=self._on, __xp_count__=self.counts)
        self.modules.append(namespace)
        return namespace

    def restart(self) -> None:
        """Record from here, where a step begins."""
        self.operations: list[Operation] = []
        self.objects = Objects()
        self._updates: list[Update] = []
        self._seen: Counter[int] = Counter()  # updates by their place
        self._passed: Counter[int] = Counter()  # statements by their place
        self._switch(True)

    def wake(self, statement: int) -> None:
        """Begin to record, after the statement that now runs: its counter has run out."""
        self.reached |= self._counted()
        self.steps += self._rest
        if not self.budget.allows():  # wait until looking may take more time
            self._rest = max(self._rest, self.steps // 2) if self.pattern else 0
            self.counts[statement] = self._rest * self._per_step or self._doubled * 100
            return
        self._rest, self.counts[statement] = 0, FAR_AWAY
        if not self.pattern:
            self._search = Search()
            self.counts[:] = [FAR_AWAY] * len(self.counts)
        self.restart()

    def passing(self, statement: int) -> None:
        """Count a statement that may be an update."""
        self._passed[statement] += 1
        if self._after_loop and statement == self._anchor:  # training goes on
            known, done = {each.shape for each in self._arrays.values()}, max(self._loops.values())
            new = {e.result.shape for e in self.operations if e.place in self.pattern} - {()}
            if self.draws.look(self.operations, done, resized=bool(known and new - known)):
                self._begin_again(statement, done)
                return
            self.counts[statement] -= 1
            if not self.counts[statement]:
                self._rest, self.counts[statement] = self._rest + 1, self._per_step
            self._switch(False)

    def _begin_again(self, anchor: int, done: int) -> None:
        """Record a network that was drawn anew; its first step shows whether it has all layers."""
        self.steps, self._rest, self._row, self.counts[anchor] = done, 0, 0, FAR_AWAY
        self._after_loop, self._starting = False, True
        for operation in self.operations[:]:
            if operation.place in self.pattern:
                self._update(operation)

    @property
    def _done(self) -> int:
        """Steps that the script has taken by now."""
        rest = self._rest and self._rest - -(-self.counts[self._anchor] // self._per_step)
        return self.steps + rest

    def satisfied(self) -> None:
        """Note that a loop ends since the loss is as low as the script wants it."""
        self.satisfied_at = self._done

    def loop_ended(self, loop: int) -> None:
        """Record what follows a loop of steps, up to the next update: it may be predictions."""
        done = self._done
        first, before = loop not in self._loops, self._loops.get(loop, 0)
        self._loops[loop] = done
        if self._rest and not self._on and done > before + 1 and (first or self.budget.allows()):
            self.restart()
            self._after_loop = True

    def _switch(self, on: bool) -> None:
        self._on, self._after_loop = on, False
        for namespace in self.modules:
            namespace["__xp_on__"] = on

    def _stop(self) -> None:
        """Record nothing any more."""
        self.counts[:], self.operations = [FAR_AWAY] * len(self.counts), []
        self._switch(False)

    # The hooks. Each computes what the script computes, and records it.

    def operator(self, place: int, *operands: Any) -> Any:
        """``left + right``, ``-operand`` and the like."""
        name, compute, _ = OPERATORS[self.sites[place].operator]
        return self._recorded(place, name, operands, compute(*operands))

    def call(self, place: int, function: Any, /, *args: Any, **options: Any) -> Any:
        """``function(*args, **options)``."""
        if self._on and function in (sum, math.fsum):  # of a generator, which would be used up
            args = ([*args[0]], *args[1:])
        added = self._on and function in ADDING_AT and isinstance(args[0], np.ndarray)
        before = self.objects.values((args[0], args[2], *_arrays(args[1]))) if added else ()
        result = function(*args, **options)
        inside = getattr(function, "__globals__", None)  # what the script's own do is recorded
        if added:
            self.also_trained[id(args[0])] = args[0]
            self._recorded(place, "put", before, args[0], args[1])
        if not self._on or not _is_numeric(result) or any(inside is each for each in self.modules):
            return result
        owner = getattr(function, "__self__", None)
        given = [owner] if isinstance(owner, np.ndarray) else []
        operands = [*given, *_flat(args), *_flat(tuple(options.values()))]
        if self.objects.latest(result) and result is not options.get("out"):
            return result
        name = str(getattr(function, "__name__", "call"))
        operands = operands[1:] if name in LIKE else operands  # the first gives a shape only
        return self._recorded(place, SYNONYMS.get(name, name), tuple(operands), result)

    def item(self, place: int, owner: Any, index: Any) -> Any:
        """``owner[index]``."""
        result = owner[index]
        chosen = _arrays(index)
        if isinstance(owner, np.ndarray):
            self._recorded(place, "item", (owner, *chosen), result, index)
        elif chosen and isinstance(result, np.ndarray):  # np.c_[a, b]
            self._recorded(place, "concatenate", tuple(chosen), result)
        return result

    def attribute(self, place: int, owner: Any, name: str) -> Any:
        """``owner.T``."""
        result = getattr(owner, name)
        return self._recorded(place, name, (owner,), result)

    def in_place(self, place: int, old: Any, value: Any) -> Any:
        """``old += value``, for names and attributes."""
        name, _, compute = OPERATORS[self.sites[place].operator]
        operands = self.objects.values((old, value))  # before they change
        return self._recorded(place, name, operands, compute(old, value))

    def part_in_place(self, place: int, owner: Any, index: Any, value: Any) -> None:
        """``owner[index] += value``."""
        if not isinstance(owner, np.ndarray):
            owner[index] = self.in_place(place, owner[index], value)
            return
        name, _, compute = OPERATORS[self.sites[place].operator]
        one = np.size(value) == 1 and value == 1  # a class's output, minus its target
        chosen = [i for i in _flat((index,)) if one or isinstance(i, np.ndarray)]
        operands = self.objects.values((owner, value, *chosen))
        self._store(place, name, operands, index, compute(owner[index], value))

    def put(self, place: int, value: Any, owner: Any, index: Any) -> None:
        """``owner[index] = value``."""
        if not isinstance(owner, np.ndarray):
            owner[index] = self.name(place, value)
            return
        chosen = _arrays(index)
        self._store(place, "put", self.objects.values((owner, value, *chosen)), index, value)

    def _store(
        self, place: int, name: str, operands: tuple[Value, ...], index: Any, value: Any
    ) -> None:
        """Put a value into the first operand, and see whether fractions are lost."""
        owner = operands[0].object
        owner[index] = value
        self._recorded(place, name, operands, owner, index)
        if owner.dtype.kind in "iu" and self.operations and np.any(owner[index] != value):
            self.cut = self.cut or self.operations[-1]

    def name(self, place: int, value: Any) -> Any:
        """``name = value``."""
        if known := self.objects.latest(value):
            known.names.append(self.sites[place].text)
        return value

    # The record.

    def _recorded(
        self, place: int, name: str, operands: tuple[Any, ...], result: Any, index: Any = None
    ) -> Any:
        """Record an operation, and return its result; look at the step if that ends it."""
        if self._on and _is_numeric(result):
            began = time.process_time()
            try:
                self._record(place, name, operands, result, index)
            except Exception:  # whatever is wrong here, the script goes on
                line = self.sites[place].line
                self.problem = f"what comes after line {line} was run, which could not be followed"
                logging.getLogger(__name__).debug(self.problem, exc_info=True)
                self._stop()
            self.budget.spent += time.process_time() - began
        return result

    def _record(
        self, place: int, name: str, operands: tuple[Any, ...], result: Any, index: Any
    ) -> None:
        values = self.objects.values(operands, self.sites[place].literals)
        operation = Operation(self.sites[place], name, values, NOTHING.result, place, index)
        self.operations.append(operation)
        operation.result = self.objects.new(result, operation)
        if whole := self.objects.changed(operation):
            self.operations.append(whole)
        if name in ("T", "item") and values[0].object is not result:
            operation.result.base = values[0]
        if not self.pattern:
            self._scout(operation)
        elif self._after_loop:
            if len(self.operations) >= MAX_AFTER:
                self._keep_used()
                self._switch(False)
        elif place in self.pattern:
            self._update(operation)

    def _scout(self, operation: Operation) -> None:
        """Search for updates."""
        search = self._search
        if operation.name in ("add", "subtract"):
            search.consider(operation, self.operations)
            if search.found:
                self._found()
                return
        search.use(operation)
        count = len(self.operations)
        if count > SCOUTED or not (count % AT_ONCE or self.budget.allows(SEARCHING)):
            self._suspect()  # and search again later: the script computes much without an update
            self.operations = []
            self._doubled *= 2
            self.counts[:] = [self._doubled * 100] * len(self.counts)
            self._switch(False)

    def _found(self) -> None:
        """Take over what the search has found: two steps, and how a step is recognised."""
        places, everything = names_by_id(self.modules), self.operations
        found = [(each, tuple(places.get(id(each.operations[1].result.object), ())))
                 for each in self._search.found]  # fmt: skip
        if wanted := {*self.roles.get("weights", ())}:
            found = [pair for pair in found if wanted & {*pair[1], *written(pair[0])}]
        if not found:  # other parameters than the user means
            self._search = Search()
            return
        chains, self._places = zip(*found, strict=True)
        self.pattern = Counter(chain.operations[1].place for chain in chains)
        self.draws = Draws(chains)
        self._sides = {chain.operations[1].place: chain.side for chain in chains}
        start = 0
        for number in (0, 1):
            self._seen = Counter()
            last = [chain.operations[number] for chain in chains]
            end = max(map(everything.index, last)) + 1
            updates = [*map(self._as_update, last)]
            updates.sort(key=lambda update: everything.index(update.operation))
            self._arrays |= {each.parameter: each.new.object for each in updates if each.new.shape}
            self._tell(number, everything[start:end], updates, live=False)
            start = end
        self.operations, self.steps = everything[start:], 2
        self._updates, self._seen = [], Counter()
        for operation in self.operations[:]:
            if operation.place in self.pattern:
                self._update(operation)

    def _as_update(self, operation: Operation) -> Update:
        """Return an operation at an update's place as an update."""
        place = operation.place
        key = place, self._seen[place] % self.pattern[place]
        self._seen[place] += 1
        number = self._numbers.setdefault(key, len(self._numbers))
        return as_update(operation, self._sides[place], number)

    def _takes_turns(self, update: Update) -> bool:
        """Note a parameter's array, and return whether it was another's, or changes its size.

        So it is where another network of the same code has another number of layers.
        """
        number, now = update.parameter, update.old.object
        own = self._arrays.get(number, now)
        others = (each for n, each in self._arrays.items() if n != number)
        if update.new.shape:
            self._arrays[number] = update.new.object
        resized = bool(self._row) and np.shape(own) != np.shape(now)
        return own is not now and (resized or any(each is now for each in others))

    def _update(self, operation: Operation) -> None:
        """Take an update; look at the step if it is its last."""
        self._updates.append(update := self._as_update(operation))
        if self._takes_turns(update):
            self.another = operation.site
            self._stop()
        if self.another or not self._seen >= self.pattern:
            return
        number, passed = self.steps, self._passed
        self.steps += 1
        if self._starting and not self._row:
            self._row = 1
            self.restart()
            return
        if self._starting:
            for begin in self.on_network:
                begin(number - 1)
        self._starting = False
        self._tell(number, self.operations, self._updates)
        self.restart()
        self._plan(operation.place, passed)

    def _tell(
        self, number: int, operations: list[Operation], updates: list[Update], *, live: bool = True
    ) -> None:
        self.draws.look(operations if number else (), number)
        step = Step(number, tuple(operations), tuple(updates), live, self._places, self.roles)
        step = taken_apart(step, self._parts)
        for look in self.on_step:
            look(step)

    def _plan(self, last: int, passed: Counter[int]) -> None:
        """Decide when to look again, after a step whose last update stands at a place."""
        counted = (k for k in range(last, len(self.sites)) if self.sites[k].kind == "statement")
        anchor = next(counted, -1)  # the statement that counts what stands there
        anchor = anchor if self.sites[anchor].line <= self.sites[last].line else -1
        known, self._anchor, self._per_step = self._per_step, anchor, passed[anchor]
        self._row += 1
        rich = self.budget.allows(FIRST)  # the rest is for later steps
        taken = self.steps - self.begun
        if taken < (FIRST_STEPS if rich else FEWEST_STEPS):
            return
        if self._row < (self.burst if rich else min(self.burst, FIRST_STEPS)):
            return
        if not self._per_step or known != self._per_step:
            return
        self._rest = taken // (4 if self.burst > 1 else 16) if rich else taken // 2
        self._row = 0
        if self._rest:
            self.counts[anchor] = self._rest * self._per_step
            self._switch(False)

    def _suspect(self) -> None:
        """See why no updates were found."""
        self.reached |= {e.place for e in self.operations} | {*self._passed} | self._counted()
        self.unmoved = self.unmoved if any(self.unmoved) else unmoved(self.operations)
        self.zeros += zeros(self.operations)
        self.redrawn = self.redrawn or redrawn(self.operations)
        self.lost = self.lost or lost(self.operations, times=3)

    def _counted(self) -> set[int]:
        """Return the statements that ran since their counters were set."""
        if self.pattern:
            return set()
        untouched = FAR_AWAY, self._doubled * 100
        return {k for k, n in enumerate(self.counts) if n not in untouched}

    def _keep_used(self) -> None:
        """Keep what was computed after the last update, but for steps of another network."""
        if self.pattern and not self.another and (others := updated_in(self.operations)):
            self.another, self._others = others
        self.used = tuple(each for each in self.operations if each.place not in self._others)

    def finish(self) -> None:
        """Stop, and count the last steps."""
        if not self.pattern:
            self._suspect()
        if self._after_loop or not self._rest:
            self._keep_used()
        self.steps, self._rest = self._done, 0
        self._switch(False)


def _is_numeric(value: Any) -> bool:
    if isinstance(value, np.ndarray):
        return value.dtype.kind in "fiub"
    return isinstance(value, float | np.generic) or (
        hasattr(type(value), "__array__") and hasattr(value, "shape")  # data frames and the like
    )


def _arrays(index: Any) -> list[Any]:
    """Return the arrays in an index."""
    return [each for each in _flat((index,)) if isinstance(each, np.ndarray)]


def _flat(given: Any, depth: int = 3) -> Iterator[Any]:
    """Yield the arrays and numbers in arguments, also from short lists."""
    for each in given:
        if isinstance(each, list | tuple) and depth and len(each) <= MAX_LIST:
            yield from _flat(each, depth - 1)
        elif _is_numeric(each) or (isinstance(each, int) and not isinstance(each, bool)):
            yield each
