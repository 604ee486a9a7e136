"""Shows the steps of a script to a doctor, and notes what concerns the whole run."""

import sys
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from xpnet.doctor.doctor import Doctor
from xpnet.doctor.findings import Finding
from xpnet.doctor.replay import Update as Moved
from xpnet.doctor.run import Run
from xpnet.doctor.scripts.gradients.variants import is_made_by
from xpnet.doctor.scripts.mapping import (
    ACTIVATED,
    PRODUCTS,
    VIEWS,
    Roles,
    in_source,
    listed,
    map_step,
)
from xpnet.doctor.scripts.recording.steps import Operation, Step, Value
from xpnet.doctor.scripts.recording.trace import Recorder
from xpnet.doctor.scripts.recording.updates import MIXING, ancestors
from xpnet.doctor.step import relative_change
from xpnet.errors import XpnetError

ROWS = 64  # that are looked at in a row, in as many steps as it takes
NO_NETWORK = Roles(Step(0, (), ()), ())  # that was found


class Observer:
    """Maps each step that was recorded, and lets a `Doctor` look at it."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self.unknown = {name for names in recorder.roles.values() for name in names}
        self._begin(0)
        recorder.on_step.append(self.look)
        recorder.on_network.append(self._begin)

    def _begin(self, steps: int) -> None:
        """Forget what was seen: what follows these steps is the first, or another, network."""
        self.recorder.begun = steps
        self.doctor = Doctor()
        self.first = self.latest = NO_NETWORK
        self.same_rows = True  # in all steps
        self._problems = Counter[str]()
        self.losses: list[tuple[float, float | None]] = []  # computed here, and the script's own
        self.steps: list[int] = []  # numbers of the steps that were looked at
        self.rates: list[float] = []  # in each of them
        self.alike = self._row = 0  # most steps in a row with targets all the same, and the latest
        self._target: Any = None  # of the latest step, if its rows have one only
        self.varied = False  # whether there was another one
        self.wrapped: tuple[Operation, int, int] | None = None  # batch, rows before it, all rows
        self._stop = 0  # of the batches so far, if they are slices
        self._moved: list[Moved] = []
        self.movement: list[float] = []  # of the weights, of their size
        self._rows: list[Any] = []  # inputs and targets of the latest step
        self._shapes: dict[str, set[tuple[int, ...]]] = {}  # of each parameter, and after updates

    def look(self, step: Step) -> None:
        """Map a step, and show it to the doctor."""
        self._note_names(step)
        roles = map_step(step)
        if not roles.recognised:
            if not self.first:
                self.first = self.latest = roles
            return
        arrays = arrays_of(roles)
        before, after, slopes = (arrays.pop(each) for each in ("before", "after", "slopes"))
        if any(each.shape not in self._shapes.get(n, {each.shape}) for n, each in before.items()):
            self._begin(step.number)
        for name, each in (*before.items(), *after.items()):
            self._shapes.setdefault(name, set()).add(each.shape)
        self._find_also_trained(roles)
        self.latest = roles
        self.first = self.first if self.first.recognised else roles
        loss = None if roles.loss is None else roles.loss.number
        with np.errstate(all="ignore"):
            own = float(np.mean(np.square(_errors(roles)))) if roles.error else float("nan")
            self._moved.append(Moved.of(roles.step.number, before, slopes, after))
            self.movement.append(relative_change(before, after))
        self.losses.append((own, loss))
        # Of weights with a penalty it is 1, and of a single number it may be times the input.
        factors = [abs(each.factor) for each in roles.step.updates if each.old.size > 1]
        if factors and not any(each.optimizer == "adaptive" for each in roles.step.updates):
            self.rates.append(min(factors))
        self._compare_batches(roles)
        given = arrays.get("inputs", roles.inputs[0].data if roles.inputs else ())
        self._compare_targets(roles, given, arrays.get("targets"))
        self.steps.append(roles.step.number)
        try:
            self.doctor.watch(
                parameters=before, gradients=slopes, loss=own if loss is None else loss, **arrays
            )
        except XpnetError as error:
            self._problems[str(error)] += 1
        self._pace(roles, given, arrays)

    def _note_names(self, step: Step) -> None:
        """Note which of the names that the user gave occur in a step."""
        if not self.unknown:
            return
        for each in step.operations:
            self.unknown -= {*each.site.operands, *each.result.names}
        self.unknown -= {name for names in step.places for name in names}

    def _find_also_trained(self, roles: Roles) -> None:
        """See in the first steps what else errors change: what follows a step is in the next."""
        if roles.step.live:
            return
        errors, states = self.latest.errors | roles.errors, self.latest.states | roles.states
        for each in roles.step.operations:
            inside = each.index is not None or (
                each.site.kind == "in place" and each.result not in states
            )
            made = ancestors(each.operands[1:], stop=lambda v: v in states)
            if inside and each.name in ("add", "subtract") and errors & made:
                self.recorder.also_trained[id(each.result.object)] = each.result.object

    def has_trained_inputs(self) -> bool:
        """Return whether the network is given what it teaches, such as word vectors."""
        trained, inputs = self.recorder.also_trained, self.latest.inputs
        return any(map(self.latest.depends, inputs)) or any(
            id(each.object) in trained for each in ancestors(inputs)
        )

    def is_given_activations(self) -> bool:
        """Return whether what the network is given was made by other weights, that stay."""
        given = ancestors([*self.first.inputs, *self.latest.inputs])
        made = [e.made_by for e in given if e.made_by.name in ACTIVATED - {"divide"}]
        below = ancestors(value for each in made for value in each.operands)
        return any(value.made_by.name in MIXING for value in below)

    def _pace(self, roles: Roles, given: Any, arrays: dict[str, Any]) -> None:
        """Have enough steps looked at in a row, if batches are small and differ."""
        rows = min(np.shape(arrays.get("predictions", ())), default=1)
        again = [given, arrays.get("targets", ())]
        pairs = zip(again, self._rows, strict=False)
        same = bool(self._rows) and all(np.array_equal(one, other) for one, other in pairs)
        self.same_rows = self.same_rows and (same or not self._rows)
        self._rows = again
        if not same or self.steps[-2:-1] == [roles.step.number - 1]:  # steps far apart may agree
            self.recorder.burst = 1 if same else max(1, ROWS // max(1, rows))

    def _compare_batches(self, roles: Roles) -> None:
        """See where batches that are slices start again."""
        for made in (each.made_by for each in roles.inputs):
            if not isinstance(index := made.index, slice) or index.start is None:
                continue
            rows = made.operands[0].shape[0]
            end = min(index.stop or rows, rows)
            again = index.start == 0 and self.steps[-1:] == [roles.step.number - 1]
            before, self._stop = self._stop, max(self._stop, end)
            if self.wrapped or (again and before > end):
                self.wrapped = made, self._stop, rows

    def _compare_targets(self, roles: Roles, given: Any, targets: Any) -> None:
        """Count the steps in a row that have one class only."""
        inputs = np.shape(given)
        rows = np.empty(0) if targets is None else np.asarray(targets)
        rows = rows.reshape(1, -1) if len(inputs) == 1 else rows
        whole = len(inputs) == 1 or (1,) < np.shape(rows)[:1] == inputs[:1]
        one_class = whole and bool(np.all(rows == rows[0]))
        same = one_class and np.array_equal(rows[0], self._target)
        follows = same and self.steps[-1:] == [roles.step.number - 1]
        self._row = self._row + 1 if follows else int(one_class)
        other = self._target is not None and not same
        self.varied = self.varied or not one_class or other
        self._target = rows[0] if one_class else None
        self.alike = max(self.alike, self._row)

    @property
    def warming_up(self) -> bool:
        """Whether the learning rate still rises where the script ends."""
        rates = self.rates
        return len(rates) > 1 and max(rates) == rates[-1] > 1.1 * rates[len(rates) // 2]

    def curve(self) -> list[float]:
        """Return the mean loss in each quarter of the run."""
        losses, steps = np.array([own for own, _ in self.losses]), np.array(self.steps)
        ends = np.linspace(self.recorder.begun, self.recorder.steps, 5)
        inside = [(steps >= low) & (steps <= high) for low, high in pairwise(ends)]
        return [float(np.mean(losses[each])) for each in inside if np.any(each)]

    def _served(self) -> None:
        """Look at the passes after the last update: what the network is used on."""
        known, columns = self.doctor.run.data.inputs, self.doctor.run.columns
        if known is None:
            return
        rows = [np.asarray(each.data, dtype=float) for each, _ in self.served()]
        rows = [each.T if columns and each.ndim == 2 else np.atleast_2d(each) for each in rows]
        rows = [each for each in rows if each.shape[1:] == known.shape[1:]]
        alone = [each for each in rows if len(each) == 1]
        several = [each for each in rows if len(each) > 1]
        for served in (*several, *([np.concatenate(alone)] if alone else [])):
            if _far(served, known):
                self.doctor.watch_prediction(served.T if columns else served)
                return

    def served(self) -> list[tuple[Value, str]]:
        """Return what the first layer is given after the last update, and its name at the top."""
        first = self.latest.layers[0].weights if self.latest.layers else None
        drawn = self.latest.updates_of(first)
        shapes = {each.old.shape[::way] for each in drawn if len(each.old.shape) == 2
                  for way in (1, -1)}  # fmt: skip
        return [
            (inputs, "" if each.site.function else in_source(each, inputs))
            for each in self.recorder.used if each.name in PRODUCTS
            for weights, inputs in (each.operands[:2], each.operands[1::-1])
            if weights.shape in shapes and inputs.shape
        ]  # fmt: skip

    def end(self, measured: Sequence[Finding], *, descends: bool) -> Run:
        """Look at what followed the last step, and return the run with what was measured in it."""
        self._served()
        losses = [own for own, _ in self.losses]
        if all(loss is not None for _, loss in self.losses):
            losses = [loss for _, loss in self.losses if loss is not None]
        taken = self.recorder.steps - self.recorder.begun
        self.doctor.note(
            measured, steps=taken, losses=losses, updates=self._moved,
            movement=self.movement, output=output_activation(self.latest), descends=descends,
        )  # fmt: skip
        return self.doctor.run

    def not_mapped(self) -> str:
        """Say what was not found."""
        roles = self.latest
        if not roles:
            none = self.recorder.problem or "no parameter that is updated again and again"
            own = [each for each in ("jax", "tensorflow", "torch") if each in sys.modules]
            return none + "".join(f"; the training of {each} is not followed" for each in own)
        missing = [self.recorder.problem] if self.recorder.problem else []
        missing += [each for each, n in self._problems.items() if 2 * n > len(self.steps)]
        missing += [] if roles.outputs else ["outputs and targets (no difference of the two)"]
        missing += [] if roles.layers else ["products of inputs with weights"]
        others = listed([roles.names[n] for n in sorted(roles.others)])
        missing += [f"what teaches {others} (perhaps another network: these outputs do not enter "
                    "their updates)"] if others else []  # fmt: skip
        other = [name for n, name in enumerate(roles.names)
                 if not roles.reaching >> n & 1 and n not in roles.others]  # fmt: skip
        missing += [f"where {listed(other)} enters"] if other and roles.outputs else []
        return "; ".join(missing)


def _far(served: Any, known: Any) -> bool:
    """Return whether most rows are of another size than those that were trained on.

    Rows of a few features must also lie far outside the range of most of them.
    """
    largest, usual = np.abs(served).max(axis=1), np.abs(known).max(axis=1)
    low, high = known.min(axis=0), known.max(axis=0)
    beyond = np.maximum(served - high, low - served) > 2.0 * np.maximum(high - low, 1e-12)
    sizes = np.median(largest) / max(float(np.median(usual)), 1e-12)
    return bool(not 0.1 < sizes < 10.0 or np.mean(np.mean(beyond, axis=1) > 0.5) > 0.5)


def _rows_of(arrays: Sequence[Any], roles: Roles) -> Any:
    """Return one array, or those of several passes together: samples as rows, batches joined."""
    if len(arrays) == 1:
        return arrays[0]
    first = [each[0] for each in roles.samples[:1] or [roles.layers] if each]
    way = -1 if any(each.product.operands[1] is each.inputs for each in first) else 0
    rows = [np.asarray(each, dtype=float) for each in arrays]
    if any(len(each.inputs.shape) == 2 and each.inputs.shape[way] > 1 for each in first):
        others = [each.size // max(1, (each.shape or (1,))[way]) for each in rows]
        rows = [np.atleast_1d(e) for e, size in zip(rows, others, strict=True) if size == others[0]]
        return np.concatenate(rows, axis=way)
    return np.stack([each.ravel() for each in rows if each.size == rows[0].size])


def _errors(roles: Roles) -> Any:
    """Return outputs - targets as the script pairs them."""
    error = roles.error
    if error.name in ("subtract", "add") and error.index is None and len(roles.outputs) == 1:
        return np.asarray(error.result.data, dtype=float)
    found = list[Any]()
    for output, target in zip(roles.outputs, roles.targets, strict=True):
        p, t = (np.squeeze(np.asarray(each.data, dtype=float)) for each in (output, target))
        if p.ndim == t.ndim + 1 and p.shape[: t.ndim] == t.shape:
            t = np.eye(p.shape[-1])[t.astype(int)]
        found.append(p - t)
    return _rows_of(found, roles)


def arrays_of(roles: Roles) -> dict[str, Any]:
    """Return the step's arrays under the names of `Doctor.watch`, and before, after and slopes."""
    order = [n for layer in roles.layers for n in (layer.weights, layer.biases) if n is not None]
    order = [n for n in dict.fromkeys([*order, *range(len(roles.names))]) if roles.updates_of(n)]
    factors = {n: abs(roles.updates_of(n)[0].factor) or 1.0 for n in order}
    # 1 / rows may be in some, and in others' gradients.
    rate = Counter(factors.values()).most_common(1)[0][0]
    before, after, slopes = dict[str, Any](), dict[str, Any](), dict[str, Any]()
    for n in factors:
        name, (update, *more) = roles.names[n], roles.updates_of(n)
        new, own = [update, *more][-1].new, update.optimizer or not update.factor
        before[name], after[name] = (np.atleast_1d(np.asarray(each.data, dtype=float))
                                     for each in (update.old, new))  # fmt: skip
        if not more and update.operation.index is None:
            slope = update.gradient.data if own else update.delta.data / rate
            slopes[name] = -update.sign * np.atleast_1d(np.asarray(slope, dtype=float))
        elif before[name].shape == after[name].shape:
            slopes[name] = (before[name] - after[name]) / (factors[n] if own else rate)
    found: dict[str, Any] = {"before": before, "after": after, "slopes": slopes}
    found["learning_rate"] = rate
    for layer in roles.layers:  # weights (n,) are those of one unit, (n, 1)
        name, inputs = roles.names[layer.weights], layer.inputs.shape
        for arrays in (before, after, slopes):
            if name in arrays and inputs[-1:] == arrays[name].shape:
                arrays[name] = arrays[name].reshape(-1, 1)
    weights = [before.get(roles.names[layer.weights], 0.0) for layer in roles.layers]
    if weights and all(np.ndim(each) == 2 for each in weights):
        samples = roles.samples or (roles.layers,)
        found["inputs"] = _rows_of([layers[0].inputs.data for layers in samples], roles)
        found["activations"] = [
            _rows_of([layers[i].activations.data for layers in samples], roles)
            for i in range(len(weights) - 1)
        ]
    elif single := _single_inputs(roles):
        found["inputs"] = np.array(single)
    ends, first = _ends_of(roles), roles.layers[:1]
    shapes = [np.shape(each.get(name, ())) for each, name in (
        (found, "inputs"), (ends, "predictions"))]  # fmt: skip
    patches = [*map(len, shapes)] == [2, 2] and {*shapes[0]}.isdisjoint(shapes[1])
    if patches and first[0].product.operands[1] is first[0].inputs:  # columns of images' parts
        found = {n: each for n, each in found.items() if n not in ("inputs", "activations")}
    return found | ends


def _single_inputs(roles: Roles) -> list[list[float]]:
    """Return what a network of single numbers is given, for each sample."""
    rows = list[list[float]]()
    for layers in roles.samples or (roles.layers,):
        given = dict[Any, float]()
        for value in (layer.inputs for layer in layers):
            made = value.made_by
            key = (id(made.operands[0].object), repr(made.index)) if made.operands else value
            if value.size == 1 and not roles.depends(value):
                given.setdefault(key, value.number)
        rows.append([*given.values()])
    arrays = any(each.old.size > 1 for each in roles.step.updates)
    return [] if arrays or len({*map(len, rows)}) > 1 or not rows[0] else rows


def are_told(roles: Roles) -> bool:
    """Return whether targets enter the outputs, number by number: so no outputs foretell them."""
    size = roles.outputs[0].size if roles.outputs else 0
    near = ancestors(roles.outputs[:1], stop=lambda v: v.made_by.name in MIXING or v.size != size)
    given = ancestors(roles.targets) - ancestors(roles.inputs)
    return size > 1 and any(each in given and each.size == size for each in near)


def _ends_of(roles: Roles) -> dict[str, Any]:
    """Return the step's predictions and targets as rows; none if there are none."""
    if not roles.outputs or are_told(roles):
        return {}
    predictions, targets = (_rows_of([each.data for each in values], roles)
                            for values in (roles.outputs, roles.targets))  # fmt: skip
    if roles.error.name == "multiply":
        predictions = np.clip(predictions, -1.0, 1.0)  # beyond its margin none is better
    if len(roles.outputs) > 1 and not roles.samples:  # outputs of one sample
        predictions, targets = predictions.reshape(1, -1), targets.reshape(1, -1)
    of_class = roles.error.index is not None
    if of_class and roles.targets[0].size == 1 < roles.outputs[0].size:  # of each sample
        predictions = np.atleast_2d(predictions)
        targets = predictions - np.reshape(_errors(roles), predictions.shape)
    return {"predictions": predictions, "targets": targets} if np.size(predictions) else {}


def output_activation(roles: Roles) -> str:
    """Return the name of the activation that made the outputs; empty if it is not known."""
    if not roles.layers:
        return ""
    last = roles.layers[-1]
    shown = ancestors([last.activations], stop=lambda v: v.made_by.name not in VIEWS)
    if last.pre_activations in shown:  # all of them, or some: those of the actions taken
        return "identity"
    return next((name for name in ("sigmoid", "tanh") if is_made_by(name, last)), "")
