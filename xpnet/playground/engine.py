"""The network behind one page: it trains when it is asked to, and the doctor watches.

The page sends a message and gets one reply; there is nothing else between the two, so that an
engine in the browser could take this one's place.

    {"do": "start", "link": "data=xor&rate=0.3"}    begin anew, with the settings of an address
    {"do": "train", "seconds": 0.025, "steps": 10}  at most so long and so many; 0 steps only look
    {"do": "edit", "layer": 0, "row": -1, "column": 2, "value": 0.5}  a weight; row -1: a bias
    {"do": "export"}                                programs, model and numbers

`start` gives ``settings``, the ``form``, ``presets`` and which ``preset`` this is, ``activations``
and ``mistakes`` to choose from, ``points`` (across, upwards and colour from 0 to 1; 1 if held out),
``axes`` (name, low, high) and, like `train` and `edit`, the state: ``step``, ``loss``,
``held_out``, ``weights``, ``biases``, ``maps`` (base64: SIDE x SIDE bytes of each unit, then of the
output, by rows from the top),
``ended`` (why no step follows, or ""), ``link`` (that leads here), ``findings`` (or null: as
before). `export` gives ``zip`` (base64). A message that cannot be followed gives ``error``.
"""

import base64
import itertools
import math
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from xpnet.backend.random import generator
from xpnet.doctor.doctor import Doctor
from xpnet.doctor.findings import Finding
from xpnet.errors import XpnetError
from xpnet.nn.activations import ACTIVATIONS as FUNCTIONS
from xpnet.nn.activations import Activation
from xpnet.nn.arrays import Batch
from xpnet.nn.losses import DEFAULT_LOSS, resolve_head
from xpnet.nn.network import MLP, Gradients, Trace
from xpnet.nn.optimizers import OPTIMIZERS
from xpnet.playground.data import DATA, TABLE, Points
from xpnet.playground.export import export
from xpnet.playground.mistakes import MISTAKES, BiasPerRow, mistaken, positive
from xpnet.playground.settings import ACTIVATIONS, PRESETS, Settings, form
from xpnet.training.batches import Data, batches, epoch_order, split
from xpnet.training.dropout import Dropout
from xpnet.training.loop import TrainingOptions
from xpnet.training.step import make_step

SIDE = 40  # points of the maps, each way
MARGIN = 0.08  # of the plane, around the points
SECONDS_BETWEEN_REPORTS = 0.7
PATIENCE = 1000  # steps before the doctor speaks of the outcome
OUTCOME = {"no-better-than-constant", "constant-output", "loss-not-decreasing",
           "learning-rate-too-small"}  # fmt: skip
STUCK = 1e-3  # range of a unit's values over all rows


class Playground:
    """One page's points, network and doctor; `table` has a person's own rows."""

    def __init__(self, table: Points | None = None) -> None:
        self._table = table
        self._inputs = () if table is None else tuple(table.names)
        self._start("")

    def answer(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """Follow a message and return the reply."""
        actions: dict[str, Callable[..., dict[str, Any]]] = {
            "start": self._start, "train": self._train, "edit": self._edit,
            "export": lambda: {"zip": base64.b64encode(export(self)).decode()},
        }  # fmt: skip
        before = dict(vars(self))  # a run that cannot be started leaves the present one as it is
        try:
            about = dict(message)
            with np.errstate(all="ignore"):
                return actions[about.pop("do")](**about)
        except XpnetError as error:
            vars(self).update(before)
            return {"error": str(error)}
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            return {"error": f"{message!r:.80} is not understood: {error!r}"}

    def _start(self, link: str) -> dict[str, Any]:
        s = self.settings = Settings.of(link, self._inputs)
        draw = generator(s.seed, "playground")
        if s.data == TABLE and self._table is not None:
            points = self._table.axes(s.horizontal, s.vertical)
        else:
            points = DATA[s.data](draw, s.rows)
        rows = draw.permutation(len(points.x))[: s.rows]
        noise = s.noise * points.x.std(axis=0) * draw.normal(size=(len(rows), 2))
        self.raw = points.x[rows] + noise
        self.points, self.y = points, np.asarray(points.y, dtype=float)[rows, None]
        self.train, self.held = np.arange(len(rows)), np.arange(0)
        if s.held_out:
            labels = None if points.regression else self.y[:, 0].astype(int)
            self.train, self.held = split(len(rows), s.held_out, s.seed, labels)
        self.mean, self.std = np.zeros(2), np.ones(2)
        if s.scale == "standardized":
            self.mean, self.std = (f(self.raw[self.train], axis=0) for f in (np.mean, np.std))
            self.std[self.std == 0.0] = 1.0  # of an input that is the same in the rows drawn
        self.x = (self.raw - self.mean) / self.std
        span = np.ptp(self.raw, axis=0)
        margin = MARGIN * np.where(span > 0.0, span, 1.0)
        self.low, self.high = self.raw.min(axis=0) - margin, self.raw.max(axis=0) + margin
        self._make_network()
        return {
            "settings": asdict(s), "form": form(self._inputs), "presets": PRESETS,
            "preset": next((n for n, each in PRESETS.items() if s == Settings.of(each, ())), ""),
            "activations": ACTIVATIONS, "mistakes": {name: MISTAKES[name][0] for name in MISTAKES},
            "axes": [*zip(points.names, self.low, self.high, strict=True)],
            "points": self._points(),
        } | self._train(steps=0)  # fmt: skip

    def _make_network(self) -> None:
        s = self.settings
        layers = [FUNCTIONS[name] for _, name in s.hidden]
        layers.append(FUNCTIONS["identity" if self.points.regression else "sigmoid"])
        names = [each.name for each in layers]
        usual = DEFAULT_LOSS.get(names[-1], "squared_error")
        self.loss_name = usual if s.loss == "auto" else s.loss
        loss = mistaken(self.loss_name, s.wrong)
        self.sizes = [2, *(units for units, _ in s.hidden), 1]
        self.per_row = list[BiasPerRow]()
        if "bias" in s.wrong:
            pairs = zip(layers, self.sizes[1:], strict=True)
            self.per_row = [BiasPerRow(each, np.zeros((1, units))) for each, units in pairs]
            layers = [Activation(each.activation.name, each.forward, each.backward)
                      for each in self.per_row]  # fmt: skip
        self.net = MLP(
            self.sizes, hidden=layers[:-1], output=layers[-1], dtype="float64", seed=s.seed,
            init=positive if "positive" in s.wrong else s.init, dropout=s.dropout,
        )  # fmt: skip
        self.head, self.start_parameters = resolve_head(self.net.output, loss), self.net.flat.copy()
        self.doctor = Doctor(hidden=names[:-1], output=names[-1], names=self.points.names)
        if "raw" in s.wrong:
            self.doctor.watch_prediction(self.raw)
        self.losses, self.edits = list[float](), s.edited
        self.ended, self._reported, self._steps = "", 0.0, self._each_step()

    def _each_step(self) -> Iterator[None]:
        """Train as `xpnet.fit` does; after each step, wait to be asked for the next."""
        s, net = self.settings, self.net
        optimizer = OPTIMIZERS[s.optimizer](s.rate)
        options = TrainingOptions(optimizer=optimizer, l1=s.l1, l2=s.l2)
        state, gradients = optimizer.start(np, [net.flat]), np.zeros_like(net.flat)
        take_step = make_step(net, gradients, state, self.head, options)
        data, dropout = Data(self.x[self.train], self.y[self.train], None), Dropout(net, s.seed)
        rows = len(data.y)
        size = rows if self.per_row else min(s.batch, rows)  # then each bias belongs to one row
        for epoch in itertools.count():
            order = epoch_order(rows, s.seed, epoch, shuffle=not self.per_row)
            for batch in batches(data, order, size, net.device, net.dtype):
                self._apply_edits()
                before, number = net.flat.copy(), len(self.losses) + 1
                masks = dropout.masks(len(batch.y), dropout.keys(number - 1, 1)[0].tolist())
                taken = take_step(batch, masks, optimizer.coefficients(s.rate, number))
                self._watch(net.views(before), batch, *taken)
                if not (math.isfinite(self.losses[-1]) and np.all(np.isfinite(net.flat))):
                    net.flat[...] = before
                    self.ended = f"Step {number} gave numbers that are not finite."
                    return
                yield

    def _apply_edits(self) -> None:
        for step, layer, row, column, value in self.edits:
            if step == len(self.losses):
                target = self.net.biases[layer] if row < 0 else self.net.weights[layer][row]
                target[column] = value

    def _watch(
        self, before: Gradients, batch: Batch, loss: Any, gradients: Gradients, trace: Trace
    ) -> None:
        """Show the doctor a step; with one bias for each row, make it here."""
        biases, slopes = list(before.biases), list(gradients.biases)
        for i, each in enumerate(self.per_row):
            last = i == len(slopes) - 1
            slopes[i] = each.delta * batch.shares[:, None] if last else each.delta
            self.net.biases[i][...] = biases[i]
            biases[i] = biases[i] + (each.bias if len(each.bias) > 1 else each.bias[0])
            each.bias = each.bias - self.settings.rate * slopes[i]
        self.losses.append(float(loss))
        self.doctor.watch(
            loss=self.losses[-1], learning_rate=self.settings.rate,
            parameters=_named(before.weights, biases),
            gradients=_named(gradients.weights, slopes),
            activations=trace.activations, inputs=batch.x,
            predictions=self.net.output.forward(np, trace.pre_activations[-1]),
            targets=batch.y[:, 0] if "pairs" in self.settings.wrong else batch.y,
        )  # fmt: skip

    def _train(self, steps: int = 1_000_000, seconds: float = 1.0) -> dict[str, Any]:
        end = time.perf_counter() + min(1.0, seconds)
        for _ in range(steps):
            if time.perf_counter() > end or self.ended:
                break
            next(self._steps, None)
        return self._state(look=not steps)

    def _edit(self, layer: int, row: int, column: int, value: float) -> dict[str, Any]:
        edit = f"{len(self.losses)}:{layer}:{row}:{column}:{value}"
        given = replace(self.settings, edits=",".join(filter(None, [self._edits, edit])))
        self.edits = Settings.of(given.link, self._inputs).edited
        self._apply_edits()
        return self._state(look=True)

    @property
    def _edits(self) -> str:
        return ",".join(":".join(map(str, each)) for each in self.edits)

    @property
    def link(self) -> str:
        """The part of an address behind # that repeats the run so far."""
        return replace(self.settings, edits=self._edits, steps=len(self.losses)).link

    def _state(self, *, look: bool) -> dict[str, Any]:
        net, rows = self.net, [each for each in (self.train, self.held) if len(each)]
        losses = [float(net.mean_loss(self.head, self.x[r], self.y[r], None)) for r in rows]
        shown = [each if math.isfinite(each) else None for each in losses]
        return {
            "step": len(self.losses), "loss": shown[0], "held_out": [*shown, None][1],
            "weights": [np.round(each, 4).tolist() for each in net.weights],
            "biases": [np.round(each, 4).tolist() for each in net.biases],
            "maps": self._maps(), "ended": self.ended, "link": self.link,
            "findings": self._findings(look=look),
        }  # fmt: skip

    def _points(self) -> list[list[float]]:
        places = (self.raw - self.low) / (self.high - self.low)
        colours = (self.y + 1) / 2 if self.points.regression else self.y
        held = np.isin(np.arange(len(self.y)), self.held)[:, None]
        shown: list[list[float]] = np.round(np.hstack([places, colours, held]), 4).tolist()
        return shown

    def _maps(self) -> str:
        """Draw what each unit gives on the plane, from its least to its largest value."""
        across, upwards = np.linspace(self.low, self.high, SIDE).T
        grid = np.stack(np.meshgrid(across, upwards[::-1]), axis=-1).reshape(-1, 2)
        inputs = grid if "raw" in self.settings.wrong else (grid - self.mean) / self.std
        trace = self.net.forward(inputs)
        units = np.hstack([inputs, *trace.activations])
        span = np.ptp(units, axis=0)
        shown = np.where(span > STUCK, (units - units.min(axis=0)) / (span + 1e-300), 0.5)
        output = self.net.output.forward(np, trace.pre_activations[-1])
        if self.points.regression:
            output = np.clip((output + 1) / 2, 0, 1)
        shades = (255 * np.hstack([shown, output]).T).astype("u1")
        return base64.b64encode(shades.tobytes()).decode()

    def _findings(self, *, look: bool) -> list[dict[str, Any]] | None:
        now, steps = time.perf_counter(), len(self.losses)
        if not (look or self.ended or now > self._reported + SECONDS_BETWEEN_REPORTS):
            return None
        self._reported = now
        found = self.doctor.report().findings if steps else ()
        early = OUTCOME if steps < PATIENCE and not self.ended else set()
        return [
            asdict(each) | {"change": self._change(each), "marks": self._marks(each)}
            for each in found
            if each.code not in early
        ]

    def _change(self, finding: Finding) -> dict[str, str]:
        s, repair = self.settings, {finding.code: True} | (finding.repair or {})
        wrong = [each for each in s.mistakes.split(",") if each]
        change = {"mistakes": ",".join(each for each in wrong if MISTAKES[each][1] not in repair)}
        named = {"init": "init", "l1": "l1", "l2": "l2", "learning_rate": "rate"}
        change |= {named[name]: str(repair[name]) for name in named if name in repair}
        if "standardize" in repair:
            change["scale"] = "standardized"
        if "hidden" in repair:
            change["layers"] = ",".join(f"{units} {repair['hidden']}" for units, _ in s.hidden)
        return {name: text for name, text in change.items() if text != str(getattr(s, name))}

    def _marks(self, finding: Finding) -> dict[str, list[Any]]:
        """Return the layers of weights, from 0, and the units that a finding is about."""
        units = list[tuple[int, int]]()
        for layer in map(int, re.findall(r"hidden layer (\d+)", finding.where)):
            values = self.net.forward(self.x[self.train]).activations[layer - 1]
            stuck = np.flatnonzero(np.ptp(values, axis=0) < STUCK).tolist()
            units += [(layer, unit) for unit in stuck or range(values.shape[1])]
        ends = {"feature": 0, "inputs": 0, "targets": -1, "predictions": -1}
        if (end := ends.get(finding.where.split(" ")[0])) is not None:
            layer = end % len(self.sizes)
            units += [(layer, unit) for unit in range(self.sizes[layer])]
        named = {int(number) - 1 for number in re.findall(r"\b[Wb](\d+)", finding.where)}
        return {"layers": sorted(named), "units": units}


def _named(weights: Any, biases: Any) -> dict[str, Any]:
    pairs = enumerate(zip(weights, biases, strict=True), 1)
    return {f"{kind}{i}": each for i, pair in pairs for kind, each in zip("Wb", pair, strict=True)}
