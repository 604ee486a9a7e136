"""Shows the steps of a script to a doctor, and puts its findings into the script's own words."""

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from xpnet.doctor.doctor import Doctor
from xpnet.doctor.findings import Finding, Report
from xpnet.doctor.replay import Update as Moved
from xpnet.doctor.scripts.checks import causes, outcome
from xpnet.doctor.scripts.mapping import PRODUCTS, Mapping, map_step
from xpnet.doctor.scripts.telling import SYMPTOMS, told
from xpnet.doctor.scripts.trace import Operation, Recorder, Step, Value
from xpnet.doctor.scripts.variants import in_words
from xpnet.doctor.step import relative_change
from xpnet.errors import XpnetError

RANDOM = ("rand", "random", "random_sample", "binomial", "uniform", "choice", "bernoulli")
ROWS = 64  # that are looked at in a row, in as many steps as it takes


class Observer:
    """Maps each step that was recorded, and lets a `Doctor` look at it."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder, self.networks = recorder, 0
        self._names: tuple[str, ...] | None = None
        self._waiting: list[Mapping] = []
        self._begin()
        recorder.on_step.append(self.look)

    def _begin(self) -> None:
        """Forget what was seen: what follows is the first, or another, network."""
        self.doctor, self.networks = Doctor(), self.networks + 1
        self.first: Mapping | None = None
        self.latest: Mapping | None = None
        self.same_rows = True  # in all steps
        self.served_mask: Operation | None = None  # drops units in a pass that no update follows
        self.problems = Counter[str]()
        self._losses: list[tuple[float, float | None]] = []  # computed here, and the script's own
        self._steps: list[int] = []  # numbers of the steps that were looked at
        self._moved: list[Moved] = []
        self._movement: list[float] = []
        self._rows: Any = None  # of the latest step
        self._shapes: dict[str, set[tuple[int, ...]]] = {}  # of each parameter, and after updates

    def look(self, step: Step) -> None:
        """Map a step, and show it to the doctor; the first one with the second, which has names."""
        mapping = map_step(step)
        if self._names is None:
            self._waiting.append(mapping)
            if step.number == 0 and not step.live:
                return
            self._names = self._named(mapping)
        for each in self._waiting or [mapping]:
            self._show(replace(each, names=self._names))
        self._waiting.clear()

    def _show(self, mapping: Mapping) -> None:
        if not mapping.recognised:
            if self.first is None and mapping.step.updates:
                self.first = self.latest = mapping
            return
        arrays = arrays_of(mapping)
        known, shown = self._shapes, arrays["before"].items()
        if any(each.shape not in known.get(name, {each.shape}) for name, each in shown):
            self._begin()
        for state in ("before", "after"):
            for name, each in arrays[state].items():
                self._shapes.setdefault(name, set()).add(each.shape)
        self.latest = mapping
        self.first = self.first if self.first and self.first.recognised else mapping
        first = mapping.layers[0].weights if mapping.layers else -1
        self._first_weights = next((u.old.shape for u in mapping.updates_of(first)), ())
        before, after, slopes = arrays.pop("before"), arrays.pop("after"), arrays.pop("slopes")
        loss = None if mapping.loss is None else float(np.ravel(mapping.loss.data)[0])
        own = float("nan")
        if mapping.error is not None:
            with np.errstate(all="ignore"):
                own = float(np.mean(np.square(np.asarray(error_of(mapping), dtype=float))))
        self._losses.append((own, loss))
        self._steps.append(mapping.step.number)
        try:
            self.doctor.watch(
                parameters=before, gradients=slopes, loss=own if loss is None else loss, **arrays
            )
        except XpnetError as error:
            self.problems[str(error)] += 1
        with np.errstate(all="ignore"):
            self._moved.append(Moved.of(mapping.step.number, before, slopes, after))
            self._movement.append(relative_change(before, after))
        self._set_burst(arrays)

    def _named(self, mapping: Mapping) -> tuple[str, ...]:
        """Return the parameters' names; by where they are kept if the updates' text is no name."""
        objects = {id(v.object): u.parameter for u in mapping.step.updates for v in (u.old, u.new)}
        places = {objects[i]: text for i, text in self.recorder.places_of({*objects}).items()}
        return tuple(
            name if re.fullmatch(r"[\w.]+", name) else places.get(number, name)
            for number, name in enumerate(mapping.names)
        )

    def _set_burst(self, arrays: dict[str, Any]) -> None:
        """Have enough steps looked at in a row, if batches are small and differ."""
        rows = min(np.shape(arrays.get("predictions", ())), default=1)
        again = arrays.get("inputs", arrays.get("targets"))
        same = again is None or (self._rows is not None and np.array_equal(again, self._rows))
        self.same_rows = self.same_rows and (same or self._rows is None)
        self._rows = again
        self.recorder.burst = 1 if same else max(1, ROWS // max(1, rows))

    def _output(self) -> str:
        """Return "identity" if the outputs are the last layer's sums, else nothing is known."""
        last = self.latest.layers[-1:] if self.latest is not None else ()
        return "identity" if last and last[0].activations is last[0].pre_activations else ""

    def curve(self) -> Any:
        """Return the mean loss in each quarter of the run."""
        losses, steps = np.array([own for own, _ in self._losses]), np.array(self._steps)
        ends = np.linspace(0, self.recorder.steps, 5)
        inside = [(steps >= low) & (steps <= high) for low, high in pairwise(ends)]
        return [float(np.mean(losses[each])) for each in inside if np.any(each)]

    def _served(self) -> None:
        """Look at the passes after the last update: what the network is used on."""
        mapping = self.latest
        if mapping is None or not mapping.layers:
            return
        rows, known = list[Any](), self.doctor.run.data.inputs
        self.served_mask = random_mask(self.recorder.used)
        for each in self.recorder.used:
            if each.name in PRODUCTS and len(self._first_weights) == 2:
                for one, other in (each.operands[:2], each.operands[1::-1]):
                    if one.shape in (self._first_weights, self._first_weights[::-1]):
                        rows.append(np.asarray(other.data, dtype=float))
        rows = [each.T if self.doctor.run.columns and each.ndim == 2 else np.atleast_2d(each)
                for each in rows if each.ndim]  # fmt: skip
        rows = [each for each in rows if known is not None and each.shape[1:] == known.shape[1:]]
        if rows and _far(np.concatenate(rows), known):
            served = np.concatenate(rows)
            self.doctor.watch_prediction(served.T if self.doctor.run.columns else served)

    def report(
        self, measured: Sequence[Finding] = (),
        mend: Callable[[Iterable[Finding]], tuple[Finding, ...]] = tuple, **facts: Any,
    ) -> Report:  # fmt: skip
        """Return all findings, causes first, in the script's own words.

        `mend` adds edits of the source to findings.
        """
        self.recorder.finish()
        self._served()
        losses = [own for own, _ in self._losses]
        if all(loss is not None for _, loss in self._losses):
            losses = [loss for _, loss in self._losses if loss is not None]
        self.doctor.note(
            measured, steps=self.recorder.steps, losses=losses, updates=self._moved,
            movement=self._movement, output=self._output(),
        )  # fmt: skip
        run = self.doctor.run
        own = [*causes(self, run)]
        self.doctor.note(own)
        found = self.doctor.report()
        known = bool(measured or facts.get("gradients"))
        findings = told(mend(found.findings), run, known)
        if not any(each.severity == "error" for each in findings if each.code not in SYMPTOMS):
            findings = told((*mend(outcome(self, run)), *findings), run, known)
        about: dict[str, Any] = {
            "mapping": self.mapping_in_words(),
            "not_mapped": self.not_mapped(),
        }
        recognised = self.latest is not None and self.latest.recognised
        about |= {"recognised": recognised or bool(findings), "unknown_names": self._unknown()}
        return Report(findings, found.facts | about | {"not_shown": []} | facts)

    def _unknown(self) -> list[str]:
        """Return the names that the user gave, and no operation of the script has."""
        sites = self.recorder.sites
        known = {text for each in sites for text in (each.text, *each.operands)}
        return [name for names in self.recorder.roles.values() for name in names
                if name not in known]  # fmt: skip

    def not_mapped(self) -> str:
        """Say what was not found."""
        mapping = self.latest
        if mapping is None:
            return self.recorder.problem or "no parameter that is updated again and again"
        missing = [self.recorder.problem] if self.recorder.problem else []
        missing += [each for each, n in self.problems.items() if 2 * n > len(self._steps)]
        missing += [] if mapping.outputs else ["outputs and targets (no difference of the two)"]
        missing += [] if mapping.layers else ["products of inputs with weights"]
        other = [n for i, n in enumerate(mapping.names) if not mapping.reaching >> i & 1]
        missing += [f"where {', '.join(other)} enters"] if other and mapping.outputs else []
        return "; ".join(missing)

    def mapping_in_words(self) -> list[str]:
        """Say what was found, in lines of text."""
        mapping = self.latest
        if mapping is None:
            return []
        lines = [f"{place(mapping, each)}" for each in range(len(mapping.names))]
        if mapping.error is not None:
            outputs, targets = (
                called(each[0], mapping.error) for each in (mapping.outputs, mapping.targets)
            )
            site = mapping.error.site
            lines.append(f"outputs {outputs}, targets {targets}: {where(site)}: {site.text}")
        if mapping.layers:
            first = mapping.layers[0]
            lines.append(f"inputs {called(first.inputs, first.product)}")
        if mapping.loss is not None:
            lines.append(f"loss {called(mapping.loss)}")
        return lines


def random_mask(operations: tuple[Operation, ...]) -> Operation | None:
    """Return the product that drops units at random, if there is one."""
    drawn = set[int]()
    for each in operations:
        random = [id(value) in drawn for value in each.operands]
        if each.name in RANDOM or (random and all(random)):
            drawn.add(id(each.result))
        elif any(random) and each.name == "multiply" and each.result.size > 1:
            if all(value.size > 1 for value in each.operands):
                return each
            drawn.add(id(each.result))
        elif any(random) and (each.result.shape == each.operands[random.index(True)].shape):
            drawn.add(id(each.result))
    return None


def _far(served: Any, known: Any) -> bool:
    """Return whether most rows are of another size than those that were trained on.

    Rows of a few features must also lie far outside the range of most of them.
    """
    largest, usual = np.abs(served).max(axis=1), np.abs(known).max(axis=1)
    low, high = known.min(axis=0), known.max(axis=0)
    beyond = np.maximum(served - high, low - served) > 2.0 * np.maximum(high - low, 1e-12)
    sizes = np.median(largest) / max(float(np.median(usual)), 1e-12)
    return bool(not 0.1 < sizes < 10.0 or np.mean(np.mean(beyond, axis=1) > 0.5) > 0.5)


def place(mapping: Mapping, number: int) -> str:
    """Say what one parameter is and how it is updated."""
    updates = mapping.updates_of(number)
    if not updates:
        return f"{mapping.names[number]}: no update in this step"
    update, site = updates[0], updates[0].operation.site
    kind = "biases" if any(number == layer.biases for layer in mapping.layers) else "weights"
    gradient, made = update.gradient, update.gradient.made_by
    name = gradient.names[-1] if gradient.names else "the gradient"
    line = f", {where(made.site)}" if made is not None else ""
    how = {"": f"{abs(update.factor):g} times {name}"}.get(
        update.optimizer, f"{update.optimizer} on {name}, {abs(update.factor):g} times"
    )
    verb = "adds" if update.sign * (update.factor or 1.0) > 0 else "subtracts"
    shape = update.old.shape or "(a number)"
    return f"{kind} {mapping.names[number]} {shape}, {where(site)}: the update {verb} {how}{line}"


def rows_of(values: list[Value]) -> Any:
    """Return a value's array, or the arrays of several samples as rows."""
    if len(values) == 1:
        return values[0].data
    rows = [np.ravel(np.asarray(each.data, dtype=float)) for each in values]
    return np.stack([each for each in rows if each.size == rows[0].size])


def called(value: Value, operation: Operation | None = None) -> str:
    """Return a value's name and shape; the name as an operation that uses it has it."""
    slots = operation.operands if operation else ()
    text = in_words(operation, slots.index(value)) if operation and value in slots else ""
    name = value.names[-1] if value.names else text
    return f"{name} {value.shape or '(a number)'}".strip()


def where(site: Any) -> str:
    """Return a site's line, and its file if it is not the script itself."""
    return f"line {site.line}" if site.main else f"{Path(site.file).name}, line {site.line}"


def error_of(mapping: Mapping) -> Any:
    """Return outputs - targets as the script pairs them."""
    error = mapping.error
    assert error is not None
    if error.name == "subtract" and error.index is None and len(mapping.outputs) == 1:
        return error.result.data
    outputs = np.array([v.data for v in mapping.outputs], dtype=float).squeeze()
    targets = np.array([v.data for v in mapping.targets], dtype=float).squeeze()
    if outputs.ndim == targets.ndim + 1 and outputs.shape[: targets.ndim] == targets.shape:
        targets = np.eye(outputs.shape[-1])[targets.astype(int)]
    return outputs - targets


def arrays_of(mapping: Mapping) -> dict[str, Any]:
    """Return the step's arrays under the names of `Doctor.watch`, and before, after and slopes."""
    order = [n for layer in mapping.layers for n in (layer.weights, layer.biases) if n is not None]
    order += [n for n in range(len(mapping.names)) if n not in order and mapping.updates_of(n)]
    before, after, slopes = dict[str, Any](), dict[str, Any](), dict[str, Any]()
    factors = Counter[float]()
    for number in dict.fromkeys(order):
        updates, name = mapping.updates_of(number), mapping.names[number]
        if not updates:
            continue
        before[name] = np.atleast_1d(np.asarray(updates[0].old.data, dtype=float))
        after[name] = np.atleast_1d(np.asarray(updates[-1].new.data, dtype=float))
        factor = abs(updates[0].factor) or 1.0
        factors[factor] += 1
        whole = len(updates) == 1 and updates[0].index is None
        if whole:
            slopes[name] = np.atleast_1d(np.asarray(updates[0].slope, dtype=float))
        elif before[name].shape == after[name].shape:
            slopes[name] = (before[name] - after[name]) / factor
    found: dict[str, Any] = {"before": before, "after": after, "slopes": slopes}
    if factors:
        rate = found["learning_rate"] = factors.most_common(1)[0][0]
        for number in order:  # where 1 / rows is in some updates, and in some gradients
            for update in mapping.updates_of(number)[:1] if mapping.names[number] in slopes else ():
                if not update.optimizer:
                    slopes[mapping.names[number]] *= (abs(update.factor) or 1.0) / rate
    matrices: list[Any] = [before.get(mapping.names[layer.weights]) for layer in mapping.layers]
    if matrices and all(np.ndim(each) == 2 for each in matrices):  # None has no dimensions
        each = mapping.samples or (mapping.layers,)
        found["inputs"] = rows_of([layers[0].inputs for layers in each])
        found["activations"] = [
            rows_of([layers[i].activations for layers in each])
            for i in range(len(mapping.layers) - 1)
        ]
    return found | (outputs_of(mapping) if mapping.outputs else {})


def outputs_of(mapping: Mapping) -> dict[str, Any]:
    """Return the step's predictions and targets as rows; none if they are empty."""
    found = {}
    for name, values in (("predictions", mapping.outputs), ("targets", mapping.targets)):
        found[name] = rows_of(list(values))
        if len(values) > 1 and not mapping.samples:  # outputs of one sample
            found[name] = found[name].reshape(1, -1)
    of_class = mapping.error is not None and mapping.error.index is not None
    if of_class and mapping.targets[0].size == 1 < mapping.outputs[0].size:  # of each sample
        found["predictions"] = np.atleast_2d(found["predictions"])
        found["targets"] = found["predictions"] - error_of(mapping)
    return found if math.prod(np.shape(found["predictions"])) else {}
