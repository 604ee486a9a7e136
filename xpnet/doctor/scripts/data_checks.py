"""What the script makes of its data before it trains: checks, as those of `checks.py`."""

from typing import TYPE_CHECKING, Any

import numpy as np

from xpnet.doctor.rules.data import relation
from xpnet.doctor.rules.rule import RECIPE
from xpnet.doctor.run import Run
from xpnet.doctor.scripts.checks import Seen, check
from xpnet.doctor.scripts.mapping import Mapping, in_source
from xpnet.doctor.scripts.recording.trace import Operation
from xpnet.doctor.scripts.recording.updates import ancestors
from xpnet.doctor.scripts.repairs.edits import edit
from xpnet.doctor.scripts.repairs.patterns import at_sites
from xpnet.doctor.scripts.telling import GOOD

if TYPE_CHECKING:
    from xpnet.doctor.scripts.observe import Observer

LOST = 0.2  # correlation with the targets that inputs may lose on their way
EACH_ROW = [("_o[:, _i] = _v", "_o[np.arange(len(_i)), _i] = _v"),
            ("_o[_i, :] = _v", "_o[_i, np.arange(len(_i))] = _v")]  # fmt: skip


@check("normalised-per-row", RECIPE)
def per_row(seen: "Observer", mapping: Mapping, run: Run) -> Seen:
    """It takes away how large a sample is, and mixes features that have different units."""
    first, way, found = seen.first or mapping, -1 if run.columns else 1, list[Operation]()
    below = ancestors(each.inputs for each in first.layers[:1])
    for each in first.step.operations if run.last.skill < GOOD else ():
        data = each.operands[0].shape[::way] if each.operands else ()
        if id(each.result) not in below or len(data) != 2 or not data[0] > data[1] > 1:
            continue
        if each.name in ("mean", "std", "max", "min") and each.result.size == data[0]:
            found.append(each)
        elif each.name == "divide" and each.operands[1].shape[::way] == (data[0], 1):
            before, after = _relations(each, run)
            if id(each.operands[0]) in ancestors(each.operands[1:]) and before > after + LOST:
                yield (each, "inputs", f"before it, each row's neighbours predict its target with "
                       f"a correlation of {before:.2f}, after it {after:.2f}", "leave it out",
                       {"edits": [edit(each.site, in_source(each, 0))]})  # fmt: skip
    axes = f"axis={int(not run.columns)}", f"axis={int(run.columns)}"
    edits = [edit(each.site, each.site.text.replace(*axes)) for each in found]
    for each in found:
        count = each.operands[0].size // each.result.size
        yield (each, "inputs", f"it is taken over the {count} features of each sample",
               "take the mean and the deviation of each feature, over all samples",
               {"edits": edits if axes[0] in each.site.text else []})  # fmt: skip


def _relations(divided: Operation, run: Run) -> tuple[float, float]:
    """Return how inputs predict their targets before and after an operation, by nearest rows."""
    inputs, goals = run.data.inputs, run.data.goals
    if inputs is None or goals is None or len(inputs) != len(goals):
        return 0.0, 0.0
    before, after = (np.asarray(each.data, dtype=float) for each in
                     (divided.operands[0], divided.result))  # fmt: skip
    before, after = (before.T, after.T) if run.columns else (before, after)
    places = {row.tobytes(): i for i, row in enumerate(np.ascontiguousarray(after))}
    x, keep = np.unique(np.asarray(inputs, dtype=float), axis=0, return_index=True)
    found = [places.get(row.tobytes(), -1) for row in x]
    if min(found) < 0:
        return 0.0, 0.0
    return relation(before[found], goals[keep]), relation(x, goals[keep])


@check("shuffled-targets", "NumPy manual, reshape")
def reshaped(seen: "Observer", mapping: Mapping, run: Run) -> Seen:
    """It takes the numbers row by row: each new column holds pieces of several samples."""
    first = seen.first or mapping
    below = ancestors([*(each.inputs for each in first.layers[:1]), *first.targets])
    for each in first.step.operations:
        old, new = each.operands[0].shape if each.operands else (), each.result.shape
        if each.name != "reshape" or id(each.result) not in below or len(new) != 2 or len(old) < 2:
            continue
        samples, now, other = (
            (old[0], new[1], old[-1]) if run.columns else (old[-1], *new[:1], old[0])
        )
        if samples == now != other and min(old) > 1:
            words = in_source(each, 0)
            way = f"len({words}), -1" if run.columns else f"-1, {samples}"
            yield (each, "inputs", f"reshape of {old} into {new} does not transpose", "use .T",
                   {"edits": [edit(each.site, f"{words}.reshape({way}).T")]})  # fmt: skip


@check("constant-target", "NumPy manual, Indexing")
def each_column(seen: "Observer", mapping: Mapping, run: Run) -> Seen:
    """A slice beside the class numbers means all rows: each gets the classes of all others."""
    first = seen.first or mapping
    below = ancestors(first.targets)
    for each in first.step.operations:
        index: Any = each.index if isinstance(each.index, tuple) else ()
        whole = [i for i, one in enumerate(index) if isinstance(one, slice) and one == slice(None)]
        if each.name != "put" or len(index) != 2 or len(whole) != 1 or each.operands[1].size != 1:
            continue
        rows = each.result.shape[whole[0]]
        if id(each.result) in below and np.shape(index[1 - whole[0]]) == (rows,):
            yield (each, "targets", f"each of the {rows} rows is set in all classes that occur",
                   "one entry in each row", {"edits": at_sites([each.site], EACH_ROW)})  # fmt: skip
