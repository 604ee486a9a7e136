"""What an error that ended the script says: shapes that one change of an operand makes fit."""

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np

from xpnet.doctor.findings import Finding
from xpnet.doctor.rules.rule import BACKPROPAGATION
from xpnet.doctor.scripts.gradients.variants import PLAIN
from xpnet.doctor.scripts.mapping import in_source
from xpnet.doctor.scripts.recording.trace import SYNONYMS, Operation, Recorder, Value
from xpnet.doctor.scripts.recording.updates import mere_number, origin, scalar_side
from xpnet.doctor.scripts.repairs.edits import Edit, operand_edit
from xpnet.doctor.scripts.repairs.menders import axes


def failures(recorder: Recorder) -> Iterator[Finding]:
    """Yield why the operation that raised the script's error cannot be computed."""
    failed = _failed(recorder)
    if failed is None:
        return
    shapes = [each.shape for each in failed.operands]
    found: tuple[str, str, list[Edit]] | None = None
    code = "shapes-do-not-fit"
    why = "The operands cannot be combined as they are."
    if failed.name == "matmul":
        found = _turned(failed)
    elif texts := [i for i, v in enumerate(failed.operands) if v.data.dtype.kind in "US"]:
        code, why = "class-numbers", "Texts cannot be added or subtracted."
        found = _numbered(failed, texts[0])
    elif failed.name in ("add", "subtract") and len(shapes) == 2:
        if shapes[0] == shapes[1][::-1]:
            found = "one is the other's transpose", "transpose it", [_transposed(failed, 1)]
        elif found := _summed(failed, recorder):
            code, why = "parameter-shape-changed", "A bias is one for all samples of a batch."
    if found is not None:
        said, remedy, edits = found
        shown = " and ".join(map(str, shapes))
        yield Finding(code, "error", failed.site.operands[0], f"{failed.site}: {shown}: {said}",
                      why, remedy, BACKPROPAGATION, {"edits": edits})  # fmt: skip


def _failed(recorder: Recorder) -> Operation | None:
    """Return the operation whose hook raised the error that ended the script."""
    trace, hook = getattr(recorder.error, "__traceback__", None), dict[str, Any]()
    while trace is not None:
        inside = trace.tb_frame.f_locals
        hook = inside if inside.get("self") is recorder and "place" in inside else hook
        trace = trace.tb_next
    owner = getattr(hook.get("function"), "__self__", None)
    given = [
        *hook.get("operands", ()),
        *([owner] if isinstance(owner, np.ndarray) else []),
        *hook.get("args", ()),
        *(hook[each] for each in ("old", "value") if each in hook),
    ]
    given = [each.object if isinstance(each, Value) else each for each in given]
    if len(given) < 2 or not all(isinstance(each, np.ndarray) for each in given[:2]):
        return None
    site, name = recorder.sites[hook["place"]], str(hook.get("name"))
    name = str(getattr(hook.get("function"), "__name__", name))
    values = tuple(map(recorder.value, given[:2]))
    return Operation(site, SYNONYMS.get(name, name), values, Value(None, None), hook["place"])


def _turned(failed: Operation) -> tuple[str, str, list[Edit]] | None:
    """Return the only way in which a product's operands fit: transposed, or exchanged."""
    a, b = (each.shape for each in failed.operands)
    ways = [(i, j) for i, j in product((1, -1), repeat=2) if a[::i][-1] == b[::j][0]]
    if len(ways) != 1 or len(a) != 2 or len(b) != 2:
        return None
    if ways[0] == (-1, -1):
        swapped = [operand_edit(failed, i, in_source(failed, 1 - i)) for i in (0, 1)]
        return "they fit in the other order only", "exchange them", swapped
    slot = ways[0].index(-1)
    said = f"they fit if {in_source(failed, slot)} is transposed, and no other way"
    return said, "transpose it", [_transposed(failed, slot)]


def _numbered(failed: Operation, slot: int) -> tuple[str, str, list[Edit]]:
    """Return how texts become numbers as the other operand has them: one, or one of each class."""
    form = "np.unique({}, return_inverse=True)[1]"
    match failed.operands[1 - slot].shape:
        case (_, 1):
            form += ".reshape(-1, 1)"
        case (_, classes):
            form = f"np.eye({classes})[{form}]"
    said = f"{in_source(failed, slot)} holds texts, such as {failed.operands[slot].data.flat[0]!s}"
    return said, "make class numbers of them", [operand_edit(failed, slot, form)]


def _transposed(failed: Operation, slot: int) -> Edit:
    words = in_source(failed, slot)
    if words.endswith(".T"):
        return operand_edit(failed, slot, words.removesuffix(".T"))
    return operand_edit(failed, slot, "{}.T" if PLAIN.fullmatch(words) else "({}).T")


def _summed(failed: Operation, recorder: Recorder) -> tuple[str, str, list[Edit]] | None:
    """Return how the update of a bias gets its shape: by a sum over the rows, or a mean."""
    old, delta = failed.operands
    for options in axes(delta.data, old.shape) if old.shape else ():
        rows = delta.shape[int(options[5])]
        how = "mean" if _averaged(origin(delta)[0], rows, recorder) else "sum"
        made, slot = failed, failed.operands.index(delta)
        if (times := delta.made_by) is not None and (side := scalar_side(times)) is not None:
            made, slot = times, 1 - side
        edits = [operand_edit(made, slot, f"np.{how}({{}}, {options})")]
        return f"it still has the {rows} rows of the batch", f"take the {how} over them", edits
    return None


def _averaged(error: Value, rows: int, recorder: Recorder) -> bool:
    """Return whether products with an error are divided by the number of rows afterwards."""
    products = [each.result for each in recorder.operations
                if each.name == "matmul" and error in map(_whole, each.operands)]  # fmt: skip
    divided = [
        mere_number(each)[0] for each in recorder.operations if {*each.operands} & {*products}
    ]
    return any(abs(each * rows - 1.0) < 1e-9 for each in divided)


def _whole(value: Value) -> Value:
    return value.base or value
