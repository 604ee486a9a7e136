"""What rows and targets a step is given: checks, as those of `checks.py`."""

from typing import Any

import numpy as np

from xpnet.doctor.rules.rule import GOODFELLOW, RECIPE
from xpnet.doctor.run import Run
from xpnet.doctor.scripts.checks import FAILURE, Seen, check
from xpnet.doctor.scripts.mapping import Roles, in_source
from xpnet.doctor.scripts.observe import Observer
from xpnet.doctor.scripts.recording.updates import ancestors
from xpnet.doctor.scripts.repairs.edits import at_sites, operand_edit

EACH_ROW = [("_o[:, _i] = _v", "_o[np.arange(len(_i)), _i] = _v"),
            ("_o[_i, :] = _v", "_o[_i, np.arange(len(_i))] = _v")]  # fmt: skip
ARITHMETIC = ("add", "subtract", "multiply", "negative")
SLICES = [("_x[_i:_n]", "_x[_i:_i + _n]")]


@check("rows-left-out", RECIPE, "let the batches go through all rows")
def left_out(seen: Observer, roles: Roles, run: Run) -> Seen:
    """What the other rows would teach is never learnt."""
    if not seen.wrapped or seen.same_rows:
        return
    made, last, rows = seen.wrapped
    if last * 2 <= rows:
        yield made, "batches", f"they start again after {last} of {rows} rows"


@check("rows-left-out", "Python tutorial, 3.1.2", needs=FAILURE)
def empty(seen: Observer, roles: Roles, run: Run) -> Seen:
    """A slice that ends before it starts has no rows, and teaches nothing."""
    made = [value.made_by for value in (*roles.inputs, *roles.targets) if not value.size]
    for part in (operation for operation in made if operation.name == "item"):
        yield (part, "batches", f"it has no rows: {part.result.shape}",
               "end the slice a batch after its start",
               at_sites([operation.site for operation in made], SLICES))  # fmt: skip


@check("integer-parameters", "NumPy manual, Data types", "make it a larger type, by astype(int)")
def wrapped(seen: Observer, roles: Roles, run: Run) -> Seen:
    """Beyond its largest number, a small integer type goes on from its smallest, and back."""
    for each in seen.first.step.operations:
        result = np.asarray(each.result.data)
        small = result.dtype.kind in "iu" and result.dtype.itemsize < 4 and each.index is None
        if not small or each.name not in ARITHMETIC or each.result not in seen.first.cone:
            continue
        whole = getattr(np, each.name)(*(np.asarray(v.data, dtype=float) for v in each.operands))
        slot = max(range(len(each.operands)), key=lambda i: each.operands[i].size)
        for exact, is_now in zip(whole[whole != result], result[whole != result], strict=True):
            words = f"{exact:g} does not fit into {result.dtype}, and became {is_now}"
            edits = [operand_edit(each, slot, "({}).astype(int)")]
            yield each, in_source(each, slot), words, "", edits


@check("target-range", f"{GOODFELLOW}, 5.7.2")
def no_sign(seen: Observer, roles: Roles, run: Run) -> Seen:
    """Where the target is 0, no output changes the margin, and nothing is learnt from the row."""
    margin = roles.error.name == "multiply"
    if margin and not np.all(np.abs(roles.targets[0].data) == 1):
        yield (roles.error, "targets", "a margin needs targets of -1 and 1, and these are 0 and 1",
               "let them be -1 and 1: y = 2 * y - 1", {"target_range": (-1.0, 1.0)})  # fmt: skip


@check("constant-target", "NumPy manual, Indexing")
def each_column(seen: Observer, roles: Roles, run: Run) -> Seen:
    """A slice beside the class numbers means all rows: each gets the classes of all others."""
    below = ancestors(seen.first.targets)
    for each in seen.first.step.operations:
        index: Any = each.index if isinstance(each.index, tuple) else ()
        whole = [i for i, one in enumerate(index) if isinstance(one, slice) and one == slice(None)]
        if each.name != "put" or len(index) != 2 or len(whole) != 1 or each.operands[1].size != 1:
            continue
        rows = each.result.shape[whole[0]]
        if each.result in below and np.shape(index[1 - whole[0]]) == (rows,):
            yield (each, "targets", f"each of the {rows} rows is set in all classes that occur",
                   "one entry in each row", at_sites([each.site], EACH_ROW))  # fmt: skip
