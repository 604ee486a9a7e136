"""What an error that ended the script says: operands that one change of them makes fit."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np

from xpnet.doctor.findings import Finding
from xpnet.doctor.rules.rule import BACKPROPAGATION
from xpnet.doctor.scripts.gradients.variants import PLAIN
from xpnet.doctor.scripts.mapping import in_source
from xpnet.doctor.scripts.recording.steps import NOTHING, Operation, Value
from xpnet.doctor.scripts.recording.trace import SYNONYMS, Recorder
from xpnet.doctor.scripts.recording.updates import mere_number, origin, scalar_side
from xpnet.doctor.scripts.repairs.edits import Edit, operand_edit
from xpnet.doctor.scripts.repairs.menders import axes

FITTING = Finding("shapes-do-not-fit", "error", "", "", "The operands cannot be combined as they "
                  "are.", "make them fit", BACKPROPAGATION)  # fmt: skip
BIAS = replace(FITTING, code="parameter-shape-changed", explanation="A bias is one for all rows.")
TEXTS = replace(FITTING, code="class-numbers", explanation="Texts cannot be added or subtracted.")
Reasons = Iterator[tuple[Finding, str, list[Edit]]]


def failures(recorder: Recorder) -> Iterator[Finding]:
    """Yield why the operation that raised the script's error cannot be computed."""
    if failed := _failed(recorder):
        shapes = " and ".join(str(each.shape) for each in failed.operands)
        for found, said, edits in _reasons(failed, recorder):
            yield replace(found, where=failed.site.operands[0], repair={"edits": edits},
                          evidence=f"{failed.site}: {shapes}: {said}")  # fmt: skip


def _failed(recorder: Recorder) -> Operation:
    """Return the operation whose hook raised the error that ended the script."""
    trace, hook = getattr(recorder.error, "__traceback__", None), dict[str, Any]()
    while trace is not None:
        inside = trace.tb_frame.f_locals
        hook = inside if inside.get("self") is recorder and "place" in inside else hook
        trace = trace.tb_next
    function = hook.get("function")
    given = [*hook.get("operands", ()), getattr(function, "__self__", None), *hook.get("args", ()),
             hook.get("old"), hook.get("value")]  # fmt: skip
    given = [each.object if isinstance(each, Value) else each for each in given]
    arrays = tuple(recorder.objects.value(each) for each in given if isinstance(each, np.ndarray))
    if len(arrays) < 2:
        return NOTHING
    name = str(getattr(function, "__name__", hook.get("name")))
    site = recorder.sites[hook["place"]]
    return Operation(site, SYNONYMS.get(name, name), arrays[:2], Value(None, None), hook["place"])


def _reasons(failed: Operation, recorder: Recorder) -> Reasons:
    (left, right), words = failed.operands, [in_source(failed, i) for i in (0, 1)]
    texts = [i for i, each in enumerate(failed.operands) if each.data.dtype.kind in "US"]
    if texts:
        numbers = (
            f"np.unique({{}}, return_inverse=True)[1].reshape(np.shape({words[1 - texts[0]]}))"
        )
        yield TEXTS, f"{words[texts[0]]} has texts", [operand_edit(failed, texts[0], numbers)]
    elif failed.name == "matmul" and len(left.shape) == len(right.shape) == 2:
        ways = [(i, j) for i, j in product((1, -1), repeat=2)
                if left.shape[::i][1] == right.shape[::j][0]]  # fmt: skip
        if ways == [(-1, -1)]:
            swapped = [operand_edit(failed, i, words[1 - i]) for i in (0, 1)]
            yield FITTING, "they fit in the other order only", swapped
        elif len(ways) == 1:
            slot = ways[0].index(-1)
            yield FITTING, f"they fit if {words[slot]} is transposed", [_transposed(failed, slot)]
    elif failed.name in ("add", "subtract") and left.shape == right.shape[::-1]:
        yield FITTING, "one is the other's transpose", [_transposed(failed, 1)]
    elif failed.name in ("add", "subtract") and left.shape:
        yield from _not_summed(failed, recorder)


def _transposed(failed: Operation, slot: int) -> Edit:
    words = in_source(failed, slot)
    if words.endswith(".T"):
        return operand_edit(failed, slot, words.removesuffix(".T"))
    return operand_edit(failed, slot, "{}.T" if PLAIN.fullmatch(words) else "({}).T")


def _not_summed(failed: Operation, recorder: Recorder) -> Reasons:
    """Yield how the update of a bias gets its shape: by a sum over the rows, or a mean."""
    (old, delta), made, slot = failed.operands, failed, 1
    for options in axes(delta.data, old.shape):
        rows, error = delta.shape[int(options[5])], origin(delta)[0]
        products = {each.result for each in recorder.operations if each.name == "matmul"
                    and error in {value.base or value for value in each.operands}}  # fmt: skip
        numbers = [mere_number(e)[0] for e in recorder.operations if products & {*e.operands}]
        how = "mean" if any(abs(each * rows - 1.0) < 1e-9 for each in numbers) else "sum"
        if (side := scalar_side(delta.made_by)) is not None:
            made, slot = delta.made_by, 1 - side
        edits = [operand_edit(made, slot, f"np.{how}({{}}, {options})")]
        yield BIAS, f"it still has the {rows} rows of the batch", edits
