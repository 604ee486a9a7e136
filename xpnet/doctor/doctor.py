"""The doctor: watches training, hand-written or xpnet's, and says why a network does not learn.

A hand-written loop calls `watch` once per step, before the update. For an xpnet network the doctor
is a callback of `fit`; `diagnose` also checks data and gradient before it trains.

What the doctor sees becomes a `Step`, float64 on the host; rules examine steps and return
`Evidence`, of which the report's findings are made.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from xpnet.doctor.findings import Finding, Report
from xpnet.doctor.gradcheck.check import (
    GradientReport,
    away_from_saturation,
    check_gradients,
    named_parameters,
)
from xpnet.doctor.replay import Replay, Update
from xpnet.doctor.rules.catalogue import examine
from xpnet.doctor.run import Run, SeenTargets
from xpnet.doctor.sample import sample
from xpnet.doctor.step import (
    MAX_ROWS,
    ROW_NAMES,
    Layout,
    Shown,
    Step,
    as_array,
    as_host,
    gradients_of,
    joined,
    named_arrays,
    relative_change,
    shape_of,
)
from xpnet.errors import InputError
from xpnet.nn.activations import ACTIVATIONS, Activation, resolve_activation
from xpnet.nn.arrays import Batch, row_shares
from xpnet.nn.losses import penalty, resolve_head
from xpnet.nn.optimizers import usual_rate
from xpnet.training.batches import Data

if TYPE_CHECKING:
    from xpnet.training.loop import Training

START_ROWS = 32  # rows that show the state at the start, before the weights have moved much
BATCH_ROWS = 64  # a batch of this many rows is looked at alone, smaller ones are put together
MAX_NUMBERS = 1 << 21  # in a step that is kept whole
MAX_INPUTS = 1 << 20  # numbers in the sample of an xpnet training, above START_ROWS
CAN_BE_SHOWN = ("loss", "parameters", "gradients", "activations", *ROW_NAMES)


class Doctor:
    """Watches a few steps of one training run; `report` says what is wrong with it.

    Another run needs a new one.

    Parameters
    ----------
    hidden : sequence of str or Activation, optional
        The hidden activations of hand-written code; by default guessed from their values.
    output : str or Activation, optional
        The output activation; guessed likewise.
    names : sequence of str, optional
        Of the inputs, for the findings; by default their numbers.
    """

    def __init__(
        self,
        *,
        hidden: Sequence[str | Activation] = (),
        output: str | Activation = "",
        names: Sequence[str] = (),
    ) -> None:
        if isinstance(hidden, str):
            raise InputError(f"hidden {hidden!r} is one name; pass a list, one for each layer")
        layers = [_known_name(each) for each in hidden]
        self._run = Run(hidden=layers, output=_known_name(output), names=names)
        self._checked: tuple[Finding, ...] = ()
        self._layout = Layout()
        self._latest: Shown | None = None
        self._before: tuple[int, Step] | None = None
        self._early: list[Step] = []
        self._recent, self._recent_rows = deque[Step](), 0
        self._shown: set[str] = set()
        self._sample: Data | None = None  # of a training of xpnet's

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
            Of the hidden layers. In all arrays samples may be columns instead, or single vectors.
        predictions, targets : array, (batch, outputs) or (batch,)
            Values, or probabilities; of logits the doctor can say less.
        inputs : array, (batch, inputs)
            As the network gets them, that is, after any scaling.
        learning_rate : float
        """
        run = self._run
        shape = getattr(activations, "shape", None)
        if isinstance(activations, Mapping) or (shape is not None and len(shape) < 3):
            found = "a dict" if shape is None else f"one array of shape {tuple(shape)}"
            raise InputError(f"activations is {found}; pass a list, one for each hidden layer")
        hidden = [each for each in activations if each is not predictions and each is not inputs]
        rows = {"inputs": inputs, "targets": targets, "predictions": predictions}
        rows |= {f"activations[{i}]": each for i, each in enumerate(hidden)}
        rows = {name: as_array(each, name) for name, each in rows.items() if each is not None}
        if rows and all(0 in shape_of(each) for each in rows.values()):
            return  # nothing is learnt from an empty batch
        numbers = {"the loss": (loss, run.losses), "learning_rate": (learning_rate, run.rates),
                   "the validation loss": (validation_loss, run.validation_losses)}  # fmt: skip
        for name, (value, curve) in numbers.items():
            if value is not None:
                curve.append(float(as_host(value, name=name).mean()))
        parameters = named_arrays({} if parameters is None else parameters, "parameters")
        gradients = gradients_of(parameters, {} if gradients is None else gradients)
        if run.steps == 0:
            self._layout = Layout.of(rows, parameters)
            run.columns = self._layout.columns
        rows = {name: self._layout.as_batch(each, name) for name, each in rows.items()}
        self._latest = Shown(rows, parameters, gradients)
        named = {"loss": loss is not None, "parameters": parameters, "gradients": gradients} | {
            name.partition("[")[0]: True for name in rows
        }
        self._shown |= {name for name, given in named.items() if given}
        self._keep(self._latest)
        run.steps += 1

    def watch_prediction(self, inputs: Any) -> None:
        """Take inputs, (rows, inputs), that the finished model gets in use."""
        name, run = "inputs at prediction", self._run
        inputs = self._layout.as_batch(as_array(inputs, name), name)
        x = self._layout.host_rows(inputs, name, MAX_ROWS)
        if run.width not in (0, x.shape[1]):
            raise InputError(
                f"{name} have shape {shape_of(inputs)}; pass {run.width} for each sample, as in "
                "training"
            )
        run.served = Step(inputs=x)

    def check_gradients(
        self, loss: Callable[[Any], Any], gradients: Callable[[Any], Any],
        parameters: Mapping[str, Any], **options: Any,
    ) -> GradientReport:  # fmt: skip
        """Check hand-written gradients with `xpnet.check_gradients`; the findings join the report.

        The check uses small random parameters of the same shapes: saturated units have slopes of 0,
        which hide mistakes.
        """
        fresh = away_from_saturation(parameters)
        report = check_gradients(loss, gradients, fresh, **options)
        self._checked = report.findings
        return report

    def note(self, findings: Sequence[Finding] = (), **measured: Any) -> None:
        """Add findings of another check, and set attributes of `Run`, such as ``diverged=True``."""
        self._checked += tuple(findings)
        self._run = replace(self._run, **measured)

    @property
    def run(self) -> Run:
        """The `Run` with all that was seen so far, and the latest step as its end."""
        run = replace(self._run, found=[])
        if run.whole:
            run.replay = Replay.of(run.whole[0])
        if self._latest is not None:
            end = self._latest.to_step(self._layout, parameters=True)
            last = joined(self._recent) or end
            rows = np.cumsum([0, *map(len, self._early)])
            first = joined(self._early[: int(np.searchsorted(rows, START_ROWS))])
            run.data, start = joined(self._early), run.first
            run.first = replace(first, parameters=start.parameters, gradients=start.gradients)
            run.last = replace(last, parameters=end.parameters, gradients=end.gradients)
        return run

    def report(self) -> Report:
        """Apply the rules to everything that was seen.

        Returns
        -------
        Report
            Findings, worst first, and facts; ``print(doctor.report())`` is for people.
        """
        with np.errstate(all="ignore"):
            run = self.run
            facts: dict[str, Any] = {
                "steps": run.steps, "skill": run.last.skill, "learning_rate": run.learning_rate,
            }  # fmt: skip
            if self._sample is None:
                facts["not_shown"] = [name for name in CAN_BE_SHOWN if name not in self._shown]
            if run.losses:
                facts |= {"first_loss": run.losses[0], "last_loss": run.losses[-1]}
            return Report(examine(run, self._checked), facts)

    def _keep(self, shown: Shown) -> None:
        """Keep what the rules need of a step: only a few rows of most steps."""
        run, number, layout = self._run, self._run.steps, self._layout
        whole = number < 2 and len(run.whole) == number and shown.numbers <= MAX_NUMBERS
        compared = bool(shown.parameters) and (self._before is not None or _is_sampled(number))
        early = number < MAX_ROWS and sum(map(len, self._early)) < MAX_ROWS
        if whole or compared or early:
            limit = None if whole else MAX_ROWS
            step = shown.to_step(layout, limit, parameters=compared or number < 2)
            if number == 0:
                run.first = step
                run.width = 0 if step.inputs is None else step.inputs.shape[1]
                run.shapes = {name: shape_of(each) for name, each in shown.rows.items()}
            run.whole += [step] if whole else []
            self._early += [step.rows()] if early else []
            if compared:
                self._compare(step, number)
        if "targets" in shown.rows and run.targets.wants(number):
            run.targets.add(layout.host_rows(shown.rows["targets"], "targets"))
        axis, recent = -1 if layout.columns else 0, self._recent
        rows = min((shape_of(each)[axis] for each in shown.rows.values()), default=0)
        if rows >= BATCH_ROWS:
            recent.clear()  # this batch is enough, and `run` copies it
            self._recent_rows = 0
        elif rows:
            recent.append(shown.to_step(layout))
            self._recent_rows += len(recent[-1])
        while recent and self._recent_rows - len(recent[0]) >= BATCH_ROWS:
            self._recent_rows -= len(recent.popleft())

    def _compare(self, step: Step, number: int) -> None:
        """Compare the parameters with those of the step before, if it was sampled."""
        run, new = self._run, step.parameters
        if self._before is not None:
            sampled, old = self._before
            run.movement.append(relative_change(old.parameters, new))
            if old.gradients:
                run.updates.append(Update.of(sampled, old.parameters, old.gradients, new))
        self._before = (number, step) if _is_sampled(number) else None

    def on_train_start(self, training: "Training") -> None:
        """Look at the network and at a sample of the data before the first step."""
        net, run = training.net, self._run
        rows = max(START_ROWS, min(MAX_ROWS, MAX_INPUTS // net.sizes[0]))
        where = net.device, net.dtype, net.output.name
        self._sample, counts = sample(training.data, *where, rows)
        run.class_counts = counts if run.class_counts is None else run.class_counts
        run.hidden, run.output = [each.name for each in net.hidden], net.output.name
        run.rates = [training.learning_rate]
        run.usual_rate = usual_rate(training.options.optimizer)
        run.targets, run.width = _targets_of(training), net.sizes[0]
        run.first, loss = self._look(training)
        run.losses = [] if training.state.step else [loss]  # of a run from its start
        run.data, self._before = run.first, (0, Step(parameters=run.first.parameters))

    needs_traces = False

    def wants_step(self, step: int) -> bool:
        """Return whether to measure the length of this step, or what follows one measured."""
        return self._before is not None or _is_sampled(step)

    def on_batch_end(self, training: "Training") -> None:
        """Measure the length of a step, at a few steps."""
        number = training.state.step
        if self.wants_step(number):
            parameters = named_parameters(training.net)
            step = Step(parameters={name: as_host(each) for name, each in parameters.items()})
            self._compare(step, number)

    def on_train_end(self, training: "Training") -> None:
        """Look again, and take the curves."""
        run, history = self._run, training.state.history
        run.last, run.steps = self._look(training)[0], training.state.step
        run.losses = [*run.losses, *history.loss]
        run.rates = [*run.rates, *history.learning_rate]
        if not training.options.keep_best:  # else there is nothing to mend
            run.validation_losses = list(history.validation_loss)

    def _look(self, training: "Training") -> tuple[Step, float]:
        """Return a step on the sample, and the loss there, with penalty as in a history.

        The gradients are those of the data alone: the penalty's would hide that they vanish.
        """
        assert self._sample is not None
        net, options, (x, y, weights) = training.net, training.options, self._sample
        xp, head = net.device.xp, resolve_head(net.output, options.loss)
        with np.errstate(all="ignore"):
            batch = Batch(x, y, row_shares(xp, y, weights))
            loss, found, trace = net.loss_and_gradients(batch, head)
            outputs = net.output.forward(xp, trace.pre_activations[-1])
            objective = float(loss + penalty(xp, net.flat_weights, options.l1, options.l2))
        parameters = named_parameters(net)
        gradients = zip(parameters, (*found.weights, *found.biases), strict=True)
        return Step(
            as_host(x), as_host(y), as_host(outputs), tuple(map(as_host, trace.activations)),
            {name: as_host(each) for name, each in parameters.items()},
            {name: as_host(each) for name, each in gradients},
            None if weights is None else as_host(weights),
        ), objective  # fmt: skip


def _targets_of(training: "Training") -> SeenTargets:
    """Return a look at all targets, batch by batch if training takes them in their order."""
    y, xp, size = training.data.y, training.net.device.xp, training.batch_size
    if training.options.shuffle:
        first, differ = as_host(y[:1, :])[0], bool(xp.any(y != y[:1, :]))
        return SeenTargets(first, differ, y.shape[0], complete=True)
    seen = SeenTargets(complete=True)
    for start in range(0, y.shape[0], size):
        seen.add(as_host(y[start : start + size, :]))
    return seen


def _is_sampled(step: int) -> bool:
    """Return whether to look at a step: 0, 1, 2, 4, 8, ... are few, but at every stage of a run."""
    return step & (step - 1) == 0


def _known_name(activation: str | Activation) -> str:
    return resolve_activation(activation, tuple(ACTIVATIONS)).name if activation else ""
