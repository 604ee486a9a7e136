"""Why weights stay as they are, in a script that updates nothing again and again."""

from collections.abc import Iterator, Sequence

import numpy as np

from xpnet.doctor.scripts.recording.steps import NOTHING, Operation, Value
from xpnet.doctor.scripts.recording.updates import MIXING, descendants, maker
from xpnet.doctor.step import grouped

TIMES = 10  # that the same is computed, at least


def unmoved(operations: Sequence[Operation]) -> tuple[Operation, Operation]:
    """Return a product with weights that never change, though a gradient of their shape is made.

    And what adds that gradient to an array that was drawn where the weights were, if one does.
    """
    products = [each for each in operations if each.name in MIXING]
    uses = grouped(((e.place, v), e) for e in products for v in e.operands[:2])
    latest = {place: runs[-TIMES:] for place, runs in
              grouped((each.place, each) for each in products).items()}  # fmt: skip
    steady = {v: some[-1] for (place, v), some in uses.items()
              if len(some) >= TIMES and np.array_equal(v.data, v.object) and not _is_updated(v)
              and any(v in each.operands for each in latest[place])}  # fmt: skip
    ahead = descendants((e.result for e in products if steady.keys() & {*e.operands}), operations)
    errors = [e.result for e in operations if e.name == "subtract"
              and [v in ahead for v in e.operands[:2]].count(True) == 1
              and not e.site.operands[0].replace(".", "").isdecimal()  # but 1 - h**2
              ]  # fmt: skip
    taught = descendants(errors, operations)
    made = {e.result.shape[::way] for e in products if e.result in taught for way in (1, -1)}
    steady = {v: use for v, use in steady.items() if v.shape in made}
    for each in (e for e in _repeated(operations) if e.operands[1] in taught):
        drawn = maker(each.operands[0])
        while drawn.place == each.place:
            drawn = maker(drawn.operands[0])
        if not drawn:
            continue
        for value, use in steady.items():
            if value.shape == each.result.shape and maker(value).place == drawn.place:
                return use, each
    return next(iter(steady.values()), NOTHING), NOTHING


def _is_updated(value: Value) -> bool:
    """Return whether a value is a sum or difference of arrays, as what an update makes."""
    made = maker(value)
    return made.name in ("add", "subtract") and min(each.size for each in made.operands) > 1


def zeros(operations: Sequence[Operation]) -> Iterator[Operation]:
    """Yield the last update of weights at each place, `NOTHING` if not all of them add zeros.

    A product with an error of 0 is none of them: a perceptron's, where it is right.
    """
    used = {value for each in operations if each.name in MIXING for value in each.operands}
    for sums in grouped((each.place, each) for each in _repeated(operations)).values():
        weights = [e for e in sums if e.result in used and np.any(e.result.data)]
        if len(sums) < TIMES or not weights:
            continue
        added = [each.operands[1] for each in sums]
        moved = any(np.any(v.data) or maker(v).name == "multiply" for v in added)
        yield NOTHING if moved else weights[-1]


def _repeated(operations: Sequence[Operation]) -> Iterator[Operation]:
    """Return additions to what an addition at the same place has given."""
    sums = (e for e in operations if e.name in ("add", "subtract") and e.index is None)
    return (e for e in sums if e.result.shape and maker(e.operands[0]).place == e.place)
