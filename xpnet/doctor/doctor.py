"""The doctor: watches training, hand-written or xpnet's, and says why a network does not learn.

In a hand-written loop, once per step and before the update::

    doctor = xpnet.Doctor()
    for step in range(steps):
        ...
        doctor.watch(loss=loss, parameters={"W1": W1, "b1": b1}, gradients={"W1": dW1, "b1": db1},
                     activations=[a1], predictions=outputs, targets=y, inputs=x, learning_rate=0.1)
        W1 -= ...
    print(doctor.report())

For an xpnet network: ``xpnet.fit(net, x, y, callbacks=[doctor])``, or `diagnose`, which also checks
data and gradient before it trains, and tries a small batch if training fails.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from xpnet.doctor.class_sample import sample_of
from xpnet.doctor.findings import Finding, Report
from xpnet.doctor.gradcheck.check import (
    GradientReport,
    away_from_saturation,
    check_gradients,
    named_parameters,
)
from xpnet.doctor.observations import (
    ROW_NAMES,
    ROWS,
    Layout,
    Snapshot,
    as_array,
    as_host,
    gradients_of,
    host_arrays,
    is_bias,
    is_integer,
    joined,
    layers_of,
    named_arrays,
    relative_change,
    same_arrays,
    shape_of,
)
from xpnet.doctor.replay import Replay, Update
from xpnet.doctor.rules.catalogue import examine
from xpnet.doctor.run import Run
from xpnet.doctor.seen_targets import SeenTargets
from xpnet.errors import InputError
from xpnet.nn.arrays import Batch, row_shares
from xpnet.nn.losses import penalty, resolve_head
from xpnet.training.data import Data

if TYPE_CHECKING:
    from xpnet.training.loop import Training

START_ROWS = 32  # rows that show the state at the start, before the weights have moved much
CAN_BE_SHOWN = ("loss", "parameters", "gradients", "activations", *ROW_NAMES)
MOST_NUMBERS = 1 << 21  # in a step that is kept whole
WIDE_NUMBERS = 1 << 20  # of inputs in the sample of an xpnet training, above START_ROWS
ENOUGH_ROWS = 64  # a batch of this many rows is looked at alone, smaller ones are put together


class Doctor:
    """Looks at one training run at a few steps; `report` says what is wrong with it.

    Make a new one for the next run.

    Parameters
    ----------
    hidden : sequence of str, optional
        Names of the hidden activations of hand-written code; by default guessed from their values.
    output : str, optional
        Name of the output activation; guessed likewise.
    names : sequence of str, optional
        Of the inputs, for the findings; by default their numbers.
    """

    def __init__(
        self, *, hidden: Sequence[str] = (), output: str = "", names: Sequence[str] = ()
    ) -> None:
        if isinstance(hidden, str):
            raise InputError(f"hidden {hidden!r} is one name; pass a list, one for each layer")
        self._run = Run(hidden=hidden, output=output, names=names)
        self._checked: tuple[Finding, ...] = ()
        self._pieces: dict[str, list[Snapshot]] = {"first": [], "data": [], "last": []}
        self._latest: dict[str, Any] = {}
        self._before: tuple[int, dict[str, Any], dict[str, Any]] | None = None
        self._layout = Layout()
        self._sample: Data | None = None
        self._shown: set[str] = set()

    def watch(
        self,
        *,
        loss: Any = None,
        parameters: Mapping[str, Any] | None = None,
        gradients: Mapping[str, Any] | None = None,
        activations: Sequence[Any] = (),
        predictions: Any = None,
        targets: Any = None,
        inputs: Any = None,
        learning_rate: float | None = None,
        validation_loss: Any = None,
    ) -> None:
        """Look at one step; give any of these, as arrays of any Array API library, lists, numbers.

        Parameters
        ----------
        loss, validation_loss : float
        parameters, gradients : dict of str to array
            Under the same names, from the first layer to the last, before the update. Gradients
            may also be called dW1, grad_W1 or W1_grad.
        activations : sequence of array, (batch, units)
            Of the hidden layers. Samples may also be columns throughout, or one vector at a time.
        predictions, targets : array, (batch, outputs) or (batch,)
            Values, or probabilities. Logits are recognised if the first loss is their bare
            cross-entropy, mean or sum; if it has penalties or weights, pass probabilities.
        inputs : array, (batch, inputs)
            As the network gets them, that is, after any scaling.
        learning_rate : float
        """
        run = self._run
        hidden = [each for each in layers_of(activations)
                  if each is not predictions and each is not inputs]  # fmt: skip
        rows = {"inputs": inputs, "targets": targets, "predictions": predictions}
        rows |= {f"activations[{i}]": each for i, each in enumerate(hidden)}
        rows = {name: as_array(each, name) for name, each in rows.items() if each is not None}
        if rows and all(0 in shape_of(each) for each in rows.values()):
            run.empty.append(run.steps)
            return
        self._watch_numbers(loss, validation_loss, learning_rate)
        parameters = named_arrays({} if parameters is None else parameters, "parameters")
        gradients = gradients_of(parameters, {} if gradients is None else gradients)
        if run.steps == 0:
            self._layout = Layout.of(rows, parameters)
            run.columns, run.shared = self._layout.columns, same_arrays(parameters)
        rows = {name: self._layout.as_batch(each, name) for name, each in rows.items()}
        self._latest = {"rows": rows, "parameters": parameters, "gradients": gradients}
        self._shown |= {"loss"} if loss is not None else set()
        self._shown |= {name.partition("[")[0] for name in rows}  # activations[0], ...
        self._shown |= {name for name in ("parameters", "gradients") if self._latest[name]}
        if run.steps == 0:
            self._watch_first()
        if run.steps < 2:
            self._watch_whole()
        self._watch_parameters(parameters, gradients, run.steps)
        if targets is not None and run.targets.wants(run.steps):
            run.targets.add(self._layout.host_rows(rows["targets"], "targets"))
        self._watch_rows()
        run.steps += 1

    def watch_prediction(self, inputs: Any) -> None:
        """Look at the inputs, (rows, inputs), that the finished model gets in use."""
        name, run = "inputs at prediction", self._run
        inputs = self._layout.as_batch(as_array(inputs, name), name)
        x = self._layout.host_rows(inputs, name, ROWS)
        if run.width not in (0, x.shape[1]):
            raise InputError(
                f"{name} have shape {shape_of(inputs)}; pass {run.width} for each sample, as in "
                "training"
            )
        run.served = Snapshot(inputs=x)

    def check_gradients(
        self,
        loss: Callable[[Any], Any],
        gradients: Callable[[Any], Any],
        parameters: Mapping[str, Any],
        **options: Any,
    ) -> GradientReport:
        """Check hand-written gradients, see `check_gradients`; the findings join the report.

        The check uses small random parameters of the same shapes: where units are saturated,
        slopes are 0 and hide mistakes.
        """
        fresh = away_from_saturation(parameters)
        report = check_gradients(loss, gradients, fresh, **options)
        self._checked = report.findings
        return report

    def report(self) -> Report:
        """Apply the rules to everything that was seen."""
        with np.errstate(all="ignore"):
            return self._report()

    def _report(self) -> Report:
        run = replace(self._run, found=set())
        run.replay = Replay.of(run.whole[0]) if run.whole else Replay()
        if self._latest:
            run.integers = [n for n, p in self._latest["parameters"].items() if is_integer(p)]
            end = self._snapshot(parameters=True)
            rows = {name: joined(pieces) for name, pieces in self._pieces.items()}
            run.data, first, last = rows["data"], rows["first"], rows["last"] or end
            start = run.first
            run.first = replace(first, parameters=start.parameters, gradients=start.gradients)
            run.last = replace(last, parameters=end.parameters, gradients=end.gradients)
            x, z = run.first.inputs, end.inputs
            run.same_rows = x is not None and z is not None and np.array_equal(x[: len(z)], z)
        facts: dict[str, Any] = {
            "steps": run.steps,
            "skill": run.last.skill,
            "learning_rate": run.learning_rate,
        }
        if self._sample is None:
            facts["not_shown"] = [name for name in CAN_BE_SHOWN if name not in self._shown]
        facts |= {"first_loss": run.losses[0], "last_loss": run.losses[-1]} if run.losses else {}
        return Report(examine(run, self._checked), facts)

    def _watch_numbers(self, loss: Any, validation_loss: Any, learning_rate: Any) -> None:
        run = self._run
        for name, value, curve in (
            ("the loss", loss, run.losses),
            ("the validation loss", validation_loss, run.validation_losses),
            ("learning_rate", learning_rate, run.rates),
        ):
            if value is not None:
                curve.append(float(as_host(value, name=name).mean()))

    def _watch_first(self) -> None:
        """Take the shapes, the width and the state at the start; tell whether logits are shown."""
        run, rows = self._run, self._latest["rows"]
        if "predictions" in rows and "targets" in rows:
            run.shapes = {name: shape_of(rows[name]) for name in ("targets", "predictions")}
            both = {name: self._layout.host_rows(rows[name], name) for name in run.shapes}
            run.logits = Snapshot(**both).logits_of(run.losses)
        run.first = self._snapshot(parameters=True)
        run.width = 0 if run.first.inputs is None else run.first.inputs.shape[1]

    def _watch_whole(self) -> None:
        """Keep the first two steps whole, if that takes little memory."""
        shown = [each for arrays in self._latest.values() for each in arrays.values()]
        little = sum(math.prod(shape_of(each)) for each in shown) <= MOST_NUMBERS
        if little and len(self._run.whole) == self._run.steps:  # never the second without the first
            self._run.whole.append(self._snapshot(parameters=True, rows=None))

    def _watch_parameters(
        self, parameters: Mapping[str, Any], gradients: Mapping[str, Any], step: int
    ) -> None:
        run, known = self._run, self._run.first.parameters
        for name, array in parameters.items():
            if name in known and math.prod(shape_of(array)) != known[name].size:
                run.reshaped.setdefault(name, (known[name].shape, shape_of(array)))
        if self._before is not None and parameters:
            (sampled, before, slopes), after = self._before, host_arrays(parameters)
            run.movement.append(relative_change(_weights(before), _weights(after)))
            if slopes:
                run.updates.append(Update.of(sampled, before, slopes, after))
            self._before = None
        if parameters and _is_sampled(step):
            self._before = step, host_arrays(parameters), host_arrays(gradients)

    def _watch_rows(self) -> None:
        """Keep rows of the first and the latest steps: as many as the rules need, and no more."""
        first, data, last = self._pieces.values()
        rows = self._layout.row_count(self._latest["rows"])
        wanted = [(first, START_ROWS), (data, ROWS if self._run.steps < ROWS else 0)]
        kept = [pieces for pieces, limit in wanted if sum(map(len, pieces)) < limit]
        if rows >= ENOUGH_ROWS:
            last.clear()  # the latest batch is enough; `report` copies it
        else:
            kept.append(last)
        if kept:
            snapshot = self._snapshot()
            for pieces in kept:
                pieces.append(snapshot)
        while sum(map(len, last[1:])) >= ENOUGH_ROWS:
            del last[0]

    def _snapshot(self, *, parameters: bool = False, rows: int | None = ROWS) -> Snapshot:
        """Copy what was shown last: at most `rows` rows, evenly spaced."""
        seen, layout = self._latest, self._layout
        shown = {name: layout.host_rows(each, name, rows) for name, each in seen["rows"].items()}
        named = {name: shown.pop(name, None) for name in ROW_NAMES}
        if parameters:
            for kind in ("parameters", "gradients"):
                named[kind] = host_arrays(seen[kind])
        found = Snapshot(**named, activations=tuple(shown.values()))
        shown_logits = self._run.logits and found.predictions is not None
        return found.squashed(self._run.logits) if shown_logits else found

    def on_train_start(self, training: "Training") -> None:
        """Look at the network and at a sample of the data before the first step."""
        net, run = training.net, self._run
        most = max(START_ROWS, min(ROWS, WIDE_NUMBERS // net.sizes[0]))
        self._sample, counts = sample_of(training, most)
        run.class_counts = counts if run.class_counts is None else run.class_counts
        run.hidden, run.output = [each.name for each in net.hidden], net.output.name
        run.rates = [training.learning_rate]
        run.targets, run.width = _targets_of(training), net.sizes[0]
        run.first, loss = self._look(training)
        run.losses = [] if training.state.step else [loss]  # of a run from its start
        run.data, self._before = run.first, (0, dict(run.first.parameters), {})

    def on_batch_end(self, training: "Training") -> None:
        """Measure the length of a step, at a few steps."""
        step = training.state.step
        if self._before is not None or _is_sampled(step):
            self._watch_parameters(named_parameters(training.net), {}, step)

    def on_train_end(self, training: "Training") -> None:
        """Look again, and take the curves."""
        run, history = self._run, training.state.history
        run.last, run.steps = self._look(training)[0], training.state.step
        run.losses = [*run.losses, *history.loss]
        run.rates = [*run.rates, *history.learning_rate]
        run.validation_losses = list(history.validation_loss)

    def _look(self, training: "Training") -> tuple[Snapshot, float]:
        """Return the state on the sample, and the loss there, with penalty as in histories.

        The gradients are those of the data alone: the penalty's would hide that they vanish.
        """
        net, options, xp = training.net, training.options, training.net.device.xp
        assert self._sample is not None
        x, y, weights = self._sample
        pair, shares = resolve_head(net.output, options.loss), row_shares(xp, y, weights)
        with np.errstate(all="ignore"):
            loss, found, trace = net.loss_and_gradients(Batch(x, y, shares), pair)
            outputs = net.output.forward(xp, trace.pre_activations[-1])
            objective = float(loss) + penalty(xp, net.weights, options.l1, options.l2)
        parameters = named_parameters(net)
        gradients = zip(parameters, (*found.weights, *found.biases), strict=True)
        return Snapshot(
            as_host(x), as_host(y), as_host(outputs), tuple(map(as_host, trace.activations)),
            {name: as_host(each) for name, each in parameters.items()},
            {name: as_host(each) for name, each in gradients},
            None if weights is None else as_host(weights),
        ), objective  # fmt: skip


def _targets_of(training: "Training") -> SeenTargets:
    """Look at all targets, batch by batch if training takes them in their order."""
    y, xp, size = training.data.y, training.net.device.xp, training.batch_size
    if training.options.shuffle:
        first, differ = as_host(y[:1, :])[0], bool(xp.any(y != y[:1, :]))
        return SeenTargets(first, differ, training.rows, complete=True)
    seen = SeenTargets(complete=True)
    for start in range(0, training.rows, size):
        seen.add(as_host(y[start : start + size, :]))
    return seen


def _weights(parameters: Mapping[str, Any]) -> dict[str, Any]:
    found = {name: each for name, each in parameters.items() if not is_bias(name, each)}
    return found or dict(parameters)


def _is_sampled(step: int) -> bool:
    """Choose steps 0, 1, 2, 4, 8, ...: rarely, but at every stage of a run."""
    return step & (step - 1) == 0
