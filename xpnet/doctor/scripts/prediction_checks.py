"""What is made of a network's outputs beside errors: checks, as those of `checks.py`."""

import re
from typing import TYPE_CHECKING

import numpy as np

from xpnet.doctor.run import Run
from xpnet.doctor.scripts.checks import ROWS_ALIKE, Seen, check, crossing
from xpnet.doctor.scripts.mapping import Mapping
from xpnet.doctor.scripts.recording.updates import MIXING, ancestors, origin
from xpnet.doctor.scripts.repairs.edits import edit, operand_edit
from xpnet.doctor.scripts.telling import GOOD

if TYPE_CHECKING:
    from xpnet.doctor.scripts.observe import Observer


@check("prediction-wrong", "NumPy manual, Broadcasting")
def all_pairs(seen: "Observer", mapping: Mapping, run: Run) -> Seen:
    """The network may be right; each answer meets the targets of all rows."""
    used, step = seen.recorder.used, mapping.step.operations
    made = {id(each.result) for each in (*used, *step) if each.name in MIXING}
    for each in (*used, *(each for each in step if each.name == "equal")):
        for i in crossing(each) if each.name in ("equal", "not_equal", "subtract") else ():
            if len([value for value in each.operands if made & ancestors([value])]) == 1:
                sides = " meets ".join(str(value.shape) for value in each.operands)
                yield (each, "predictions", f"{sides}: the result is {each.result.shape}",
                       f"make one of shape {each.operands[i].shape}",
                       {"edits": [operand_edit(each, 1 - i, "np.ravel({})")]})  # fmt: skip


@check("prediction-wrong", "NumPy manual, argmax")
def wrong_axis(seen: "Observer", mapping: Mapping, run: Run) -> Seen:
    """The network may be right; what is made of its outputs is not."""
    way = -1 if run.columns else 1
    shapes = {each.shape[::way] for each in mapping.outputs if len(each.shape) == 2}
    for each in (*seen.recorder.used, *mapping.step.operations):
        shape = each.operands[0].shape[::way] if each.name == "argmax" and each.operands else ()
        alike = any(shape[1:] == known[1:] and known[0] > known[1] for known in shapes)
        if alike and shape[1] > 1 and shape[0] != shape[1] and each.result.shape == shape[1:]:
            right = re.sub(r"(?<=[=,( ])-?\d\)$", f"{int(way > 0)})", each.site.text)
            yield (each, "predictions", f"one answer for each of the {shape[1]} outputs, in place "
                   f"of the {shape[0]} samples", "take the argmax over the outputs of each sample",
                   {"edits": [edit(each.site, right)]})  # fmt: skip


@check("prediction-wrong", "NumPy manual, Indexing")
def wrong_count(seen: "Observer", mapping: Mapping, run: Run) -> Seen:
    """Outputs are counted from 0, the classes they are compared with are not."""
    for each in (*seen.recorder.used, *mapping.step.operations):
        if each.name != "equal" or len({value.shape for value in each.operands}) != 1:
            continue
        for i, one in enumerate(each.operands):
            made, other = origin(one)[0].made_by, each.operands[1 - i].data
            if made is not None and made.name == "argmax" and one.size >= ROWS_ALIKE:
                right = {d: float(np.mean(one.data + d == other)) for d in (-1, 0, 1)}
                best = max(right, key=lambda d: right[d])
                if best and right[best] > GOOD and right[0] < 1.0 - GOOD:
                    edits = [operand_edit(each, i, f"{{}} {'+-'[best < 0]} 1")]
                    said = f"{right[best]:.0%} of the answers are right if {best:+d} is added"
                    remedy = f"add {best:+d} to {each.site.operands[i]}"
                    yield each, "predictions", said, remedy, {"edits": edits}


@check("prediction-wrong", "Ioffe and Szegedy, Batch normalization, 2015, section 3.1",
       "keep running averages of means and variances in training, and use them")  # fmt: skip
def own_statistics(seen: "Observer", mapping: Mapping, run: Run) -> Seen:
    """One sample is its own mean: normalised by it, all samples are alike."""
    below, way = ancestors(mapping.outputs), -1 if run.columns else 1
    rows = {each.place: each.operands[0].shape[::way] for each in mapping.step.operations
            if each.name in ("mean", "var", "std") and id(each.result) in below
            and each.result.shape[::way][:1] != each.operands[0].shape[::way][:1]}  # fmt: skip
    further = {id(value) for each in seen.recorder.used for value in each.operands}
    for each in (e for e in seen.recorder.used if e.place in rows and id(e.result) in further):
        one = each.operands[0].shape[::way][:1] == (1,)
        if one and each.result.size > 1 and rows[each.place][0] > 1:
            yield (each, "predictions", f"it is taken over 1 sample, in training over "
                   f"{rows[each.place][0]}")  # fmt: skip


@check("dropout-at-prediction", "Srivastava et al., Dropout, 2014",
       "leave the mask out where the network is only used")  # fmt: skip
def dropout_kept(seen: "Observer", mapping: Mapping, run: Run) -> Seen:
    """Dropout belongs to training. At prediction all units count."""
    if seen.served_mask is not None:
        yield seen.served_mask, "predictions", "units are dropped at random in predictions, too"
