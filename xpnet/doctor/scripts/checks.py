"""What the doctor's rules cannot see in arrays alone, and a script's operations show."""

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from xpnet.doctor.findings import Finding
from xpnet.doctor.rules.rule import BACKPROPAGATION, NIELSEN, RECIPE
from xpnet.doctor.run import FAR, Run
from xpnet.doctor.scripts.conclusions import edit
from xpnet.doctor.scripts.mapping import Mapping, ancestors
from xpnet.doctor.scripts.telling import SEEN, one_error
from xpnet.doctor.scripts.trace import Operation
from xpnet.doctor.scripts.updates import origin

if TYPE_CHECKING:
    from xpnet.doctor.scripts.observe import Observer

FEW_STEPS = 500
GOOD = 0.8  # share of the variance explained, from which nothing more is looked for
POOR = 0.5  # the same, from which more steps would only be better
FEW_UNITS = 4
LONG_SUM = 20.0  # rate, times the rows that are summed
GOODFELLOW = "Goodfellow et al., Deep Learning"


def causes(seen: "Observer", run: Run) -> Iterator[Finding]:
    """Yield what is wrong with the script, as its operations show it."""
    if seen.recorder.redrawn is not None:
        yield _at(
            "weights-redrawn", seen.recorder.redrawn, "weights", "what is updated here was drawn "
            "anew in the same step", "With the weights, all that was learnt is gone.",
            "draw the initial weights once, before the loop", NIELSEN,
        )  # fmt: skip
    if seen.latest is None or seen.first is None:
        return
    for check in (integers, shared, changed_data, update_order, turned_error, late_bias,
                  softmax_hidden, same_batch, shifted_labels, dropout_kept, divided_twice, summed,
                  scaled_error, rate_again, no_bias):  # fmt: skip
        finding = check(seen, seen.latest, run)
        if finding is not None:
            yield finding


def integers(seen: "Observer", mapping: Mapping, run: Run) -> Finding | None:
    """Find parameters of whole numbers, in which small steps are lost."""
    names = [mapping.names[u.parameter] for u in mapping.step.updates
             if getattr(u.old.data, "dtype", np.dtype(float)).kind in "iu"]  # fmt: skip
    if not names:
        return None
    return Finding(
        "integer-parameters", "error", ", ".join(names), "whole numbers: what a step adds is cut "
        "off to whole numbers, too", "Steps are fractions; an integer array drops them.",
        f"{names[0]} = {names[0]}.astype(float)   # where it is made",
        "NumPy manual, Data types",
    )  # fmt: skip


def shared(seen: "Observer", mapping: Mapping, run: Run) -> Finding | None:
    """Find one array that is updated as two parameters."""
    arrays = {u.parameter: u.new.object for u in mapping.step.updates
              if isinstance(u.new.object, np.ndarray)}  # fmt: skip
    pairs = [(m, n) for m in arrays for n in arrays if m < n and arrays[m] is arrays[n]]
    if not pairs:
        return None
    one, other = (mapping.names[n] for n in pairs[0])
    return Finding(
        "shared-parameters", "error", f"{one} and {other}", "they are one array, so that each step "
        "changes both", "What is one array cannot learn two things.",
        f"{other} = {one}.copy()   # before training; [W] * 2 holds one array twice",
        "Python FAQ, How do I create a multidimensional list?",
    )  # fmt: skip


def changed_data(seen: "Observer", mapping: Mapping, run: Run) -> Finding | None:
    """Find an operation that changes the data themselves."""
    states = {id(u.old) for u in mapping.step.updates} | {id(u.new) for u in mapping.step.updates}
    data = {id(value.base or value) for layers in (mapping.layers[:1],) for layer in layers
            for value in (layer.inputs, *mapping.targets)}  # fmt: skip
    for each in mapping.step.operations:
        before = each.operands[0] if each.operands else None
        if before is None or before.made_by is not None or before.object is not each.result.object:
            continue
        reached = ancestors([mapping.layers[0].inputs] if mapping.layers else [])
        used = id(before) in data or id(each.result) in reached
        if used and id(before) not in states and before.size > 1:
            return _at(
                "data-changed", each, "inputs", "changes the data in place, and with them what all "
                "later steps get", "What is lost from the data in one step is lost for all.",
                "work on a copy: " + f"{each.site.operands[0]} = {each.site.operands[0]} ...",
                "NumPy manual, Copies and views",
            )  # fmt: skip
    return None


def update_order(seen: "Observer", mapping: Mapping, run: Run) -> Finding | None:
    """Find an error that goes back through weights that the step has already changed."""
    new = {id(u.new): u for u in mapping.step.updates}
    for update in mapping.step.updates:
        through = ancestors([update.delta], stop=lambda v: id(v) in new)
        early = [new[i] for i in through if i in new and new[i].parameter != update.parameter]
        early = [u for u in early if origin(update.delta)[0] is not u.new]
        if early:
            first, name = early[0], mapping.names[early[0].parameter]
            return _at(
                "update-order", first.operation, name, f"{name} is changed here, and then used for "
                f"the gradient of {mapping.names[update.parameter]}",
                "The error must go back through the weights that made it; these are already those "
                "of the next step.", f"move line {first.operation.line} behind line "
                f"{update.operation.line}", BACKPROPAGATION, severity=run.if_failing,
            )  # fmt: skip
    return None


def turned_error(seen: "Observer", mapping: Mapping, run: Run) -> Finding | None:
    """Find targets - outputs in an error that is one sum, for which slopes say nothing."""
    one, error = one_error(run), mapping.error
    if one is None or error is None or error.operands[0] is not mapping.targets[0] or not run.whole:
        return None
    outputs, targets = run.whole[0].predictions, run.whole[0].targets
    if one * (np.mean(outputs) - np.mean(targets)) >= 0.0:
        return None
    new = " - ".join(error.site.operands[1::-1])
    return replace(_at(
        "gradient-sign", error, "every parameter", "targets minus outputs, and the updates "
        "subtract it", "Gradient descent subtracts the gradient of the loss, which has outputs "
        "minus targets in it.", f"line {error.line}: {new}", SEEN,
    ), repair={"edits": [edit(error.site, new)]})  # fmt: skip


def late_bias(seen: "Observer", mapping: Mapping, run: Run) -> Finding | None:
    """Find a bias that is added to what an activation gives."""
    for each in mapping.late_biases:
        return _at(
            "bias-after-activation", each, "biases", "the bias is added after the activation",
            "Added there, it shifts the next layer's sums alone and cannot move the point where "
            "this layer's units switch; a sigmoid's output leaves its range.",
            "add it to the product of inputs and weights, inside the activation", NIELSEN,
        )  # fmt: skip
    return None


def softmax_hidden(seen: "Observer", mapping: Mapping, run: Run) -> Finding | None:
    """Find hidden layers whose units share 1 among themselves."""
    wrong = [
        i for i, a in enumerate(run.first.activations)
        if a is not None and a.shape[1] > 2 and np.all(a >= 0) and np.allclose(a.sum(axis=1), 1)
    ]  # fmt: skip
    if not wrong:
        return None
    return _at(
        "softmax-hidden", mapping.layers[wrong[0]].activations.made_by, f"hidden layer "
        f"{', '.join(str(i + 1) for i in wrong)}", "its activations add up to 1 in each sample",
        "Softmax lets only one unit speak at a time, and squeezes all values to about 1 / units.",
        "use tanh or ReLU in hidden layers, softmax only for the outputs", f"{GOODFELLOW}, 6.2.2.3",
        severity="error" if run.last.skill < GOOD else "warning",
    )  # fmt: skip


def same_batch(seen: "Observer", mapping: Mapping, run: Run) -> Finding | None:
    """Find batches that are all the same rows of more data."""
    rows = mapping.layers[0].inputs if mapping.layers else None
    made = None if rows is None else rows.made_by
    source = rows and (rows.base or (made.operands[0] if made and made.name == "item" else None))
    if not seen.same_rows or run.steps < 20 or rows is None or made is None or source is None:
        return None
    if not rows.size * 2 <= source.size:
        return None
    return _at(
        "same-batch", made, "batches", f"every step gets the same {rows.shape} of {source.shape}",
        "The network learns these rows by heart and never sees the others.",
        "choose other rows in each step, and seed the random numbers once, before the loop", RECIPE,
    )  # fmt: skip


def shifted_labels(seen: "Observer", mapping: Mapping, run: Run) -> Finding | None:
    """Find a class number of -1, which takes the last row or column of a one-hot array."""
    assert seen.first is not None
    for each in seen.first.step.operations:
        square = each.result.shape[-1:] and each.name in ("item", "put")
        for index in each.index if isinstance(each.index, tuple) else (each.index,):
            whole = isinstance(index, np.ndarray) and index.dtype.kind == "i" and index.size > 1
            if square and whole and index.min() == -1 and index.max() < each.result.shape[-1]:
                return _at(
                    "targets-shifted", each, "targets", "class numbers from -1 to "
                    f"{index.max()}: -1 is the last column", "Classes are counted from 0. One off, "
                    "class 0 is taught as the last one.", "use the class numbers as they are",
                    "NumPy manual, Indexing",
                )  # fmt: skip
    return None


def dropout_kept(seen: "Observer", mapping: Mapping, run: Run) -> Finding | None:
    """Find a random mask in a forward pass that no update follows."""
    mask = seen.served_mask
    if mask is None:
        return None
    return _at(
        "dropout-at-prediction", mask, "predictions", "units are dropped at random in predictions, "
        "too", "Dropout belongs to training. At prediction all units count.",
        "leave the mask out where the network is only used", "Srivastava et al., Dropout, 2014",
        severity="error" if run.last.skill < GOOD else "warning",
    )  # fmt: skip


def divided_twice(seen: "Observer", mapping: Mapping, run: Run) -> Finding | None:
    """Find a gradient that is divided by the number of rows twice."""
    factor, rows = abs(next(iter(run.replay.deltas.values()), 0.0)), len([*run.whole, run.first][0])
    updates = mapping.updates_of(mapping.layers[-1].weights) if mapping.layers else ()
    if rows < 8 or not updates:
        return None
    update = updates[0]
    again = rows if any(abs(value * rows - 1.0) < 1e-9 for _, value in update.scalars) else 1
    if abs(update.factor) != run.learning_rate or len(update.scalars) < 2:
        again = 1  # the slopes have it, see `arrays_of`; or it is the learning rate
    if not any(abs(factor * rows**2 / (again * c) - 1.0) < 1e-3 for c in (1.0, 2.0)):
        return None
    return _at(
        "gradient-scale", update.gradient.made_by or update.operation, "every gradient",
        f"it is divided by the {rows} rows twice", f"The steps are {rows} times too short.",
        "divide by the number of rows once", BACKPROPAGATION,
        severity="error" if run.last.skill < GOOD else "note",
    )  # fmt: skip


def summed(seen: "Observer", mapping: Mapping, run: Run) -> Finding | None:
    """Find steps that are far too long because gradients are sums over many rows."""
    factor, rows = abs(next(iter(run.replay.deltas.values()), 0.0)), len([*run.whole, run.first][0])
    rate = run.learning_rate or 0.0
    if any(_divides(each, rows) for each in mapping.step.operations
           if id(each.result) in mapping.cone):  # fmt: skip
        return None
    if not factor >= 0.5 or not rate * factor * rows > LONG_SUM or not run.last.skill < GOOD:
        return None
    update = mapping.step.updates[0]
    return _at(
        "learning-rate-too-large", update.operation, "learning_rate", f"the gradient is the sum "
        f"over {rows} rows, so that {rate:g} times it is {rate * rows:g} times the mean",
        "Steps of such a length jump over the valley.", f"divide the gradients by {rows}, the "
        "number of rows", BACKPROPAGATION,
    )  # fmt: skip


def _divides(operation: Operation, rows: int) -> bool:
    """Return whether an operation divides by a number of rows, or more."""
    numbers = [float(np.ravel(each.data)[0]) for each in operation.operands if each.size == 1]
    if operation.name == "multiply":
        return any(0.0 < abs(each) * rows < 2.0 for each in numbers)
    return operation.name == "mean" or (
        operation.name == "divide" and any(abs(each) * 2.0 > rows for each in numbers[-1:])
    )


def scaled_error(seen: "Observer", mapping: Mapping, run: Run) -> Finding | None:
    """Find an error that is multiplied by a number made of itself, such as its mean."""
    text = mapping.error.site.text if mapping.error is not None else ""
    errors = {id(e.result) for e in mapping.step.operations if e.site.text == text}
    for each in mapping.step.operations if text else ():
        mine = [id(value) in errors for value in each.operands]
        if each.name != "multiply" or mine.count(True) != 1:
            continue
        other = each.operands[mine.index(False)]
        if other.size == 1 < each.result.size and errors & ancestors([other]):
            return _at(
                "error-not-from-targets", each, "the error", "it is multiplied by a number that is "
                "made of all errors", "Where that number is below 0, every step climbs.",
                "leave the number out", BACKPROPAGATION, severity=run.if_failing,
            )  # fmt: skip
    return None


def rate_again(seen: "Observer", mapping: Mapping, run: Run) -> Finding | None:
    """Find a learning rate that is multiplied in before the update, too."""
    for update in mapping.step.updates if not run.last.skill > GOOD else ():
        rates = {
            text: value for text, value in update.scalars if value < 1.0 and text.isidentifier()
        }
        below = ancestors([update.gradient])
        for each in mapping.step.operations:
            before = each.name == "multiply" and each.line != update.operation.line
            pairs = zip(each.operands, each.site.operands, strict=False)
            again = (rates.get(text) == value.data for value, text in pairs if value.size == 1)
            if before and id(each.result) in below and any(again):
                return _at(
                    "gradient-scale", each, mapping.names[update.parameter], "the learning rate is "
                    "multiplied in here, and once more in the update", "Steps are shorter by the "
                    "rate, in each layer again.", "multiply by it once, in the update",
                    BACKPROPAGATION,
                )  # fmt: skip
    return None


def no_bias(seen: "Observer", mapping: Mapping, run: Run) -> Finding | None:
    """Find a network that adds nothing to its products."""
    if not mapping.layers or any(layer.biases is not None for layer in mapping.layers):
        return None
    x = run.data.inputs
    if mapping.late_biases or seen.not_mapped() or x is None or not run.last.skill < GOOD:
        return None
    shown = [each for each in (x, *run.first.activations) if each is not None and len(each) > 2]
    if any(np.any((np.ptp(each, axis=0) == 0) & (each[0] != 0)) for each in shown):
        return None  # a column of ones
    first = mapping.layers[0]
    return _at(
        "no-bias", first.product, "the network", "no layer has a bias", "Without biases, each unit "
        "switches at the origin, wherever the data lie.",
        f"add one to each product: {first.product.site.text} + b, with b = np.zeros(units), and "
        "update it by the sum of the deltas", NIELSEN,
    )  # fmt: skip


def outcome(seen: "Observer", run: Run) -> Iterator[Finding]:
    """Yield what is left to say of a network that learns too little, if no cause was found."""
    mapping, skill = seen.latest, run.last.skill
    curve = seen.curve()
    if mapping is None or not skill < GOOD or len(curve) < 4 or not np.isfinite(curve).all():
        return
    still = curve[-1] < 0.99 * curve[-2] and skill < POOR
    widths = [each.shape[1] for each in run.first.activations if each is not None]
    told = f"after {run.steps} steps {max(skill, 0.0):.0%} of the targets' variance is explained"
    if still and run.steps < FEW_STEPS:
        yield Finding(
            "too-few-steps", "error", "training", f"{told}, and the loss still falls "
            f"({curve[-2]:.4g} half way, {curve[-1]:.4g} at the end)", "It stops too early.",
            "take ten times as many steps, or longer ones", RECIPE, {"steps_factor": 10.0},
        )  # fmt: skip
    elif skill < POOR and run.travelled() < FAR:
        yield Finding(
            "learning-rate-too-small", "error", "learning_rate", f"{told}; all steps together "
            f"moved the weights by {run.travelled():.2g} of their size",
            "So short steps need far more of them.", "multiply the learning rate by 10", RECIPE,
            run.rate_times(10.0),
        )  # fmt: skip
    elif widths and min(widths) <= FEW_UNITS:
        yield Finding(
            "too-small", "error", "the network", f"{told}, the loss has stopped falling, and a "
            f"hidden layer has {min(widths)} units", "Each unit can draw one boundary.",
            "give the hidden layers more units", f"{GOODFELLOW}, 6.4.1",
        )  # fmt: skip


def _at(code: str, operation: Operation | None, place: str, said: str, why: str, remedy: str,
        source: str, severity: str = "error") -> Finding:  # fmt: skip
    line = "" if operation is None else f"line {operation.line}, {operation.site.text}: "
    return Finding(code, severity, place, line + said, why, remedy, source)
