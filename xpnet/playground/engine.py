"""The network behind one page: it trains when it is asked to, and the doctor watches.

The page sends a message and gets one reply; there is nothing else between the two, so that an
engine in the browser could take this one's place.

    {"do": "start", "link": "data=xor&rate=0.3"}    begin anew, with the settings of an address
    {"do": "train", "seconds": 0.025, "steps": 10}  at most so long and so many; 0 only looks
    {"do": "edit", "layer": 0, "row": -1, "column": 2, "value": 0.5}  set a weight; row -1: a bias
    {"do": "export"}                                programs, model and numbers

`start` gives ``settings``, the ``form``, ``presets``, ``activations`` and ``mistakes`` to choose from, ``points``
(across, upwards: 0 to 1; colour: 0 to 1; whether it is held out), ``axes`` (name, low, high), and,
like `train` and `edit`, the state: ``step``, ``loss``, ``held_out``, ``weights``, ``biases``,
``maps`` (base64: SIDE x SIDE bytes of each unit, then of the output, by rows from the top),
``ended`` (why no step follows, or ""), ``link`` (that leads to it), ``findings`` (or null: as
before). `export` gives ``zip`` (base64). A message that cannot be followed gives ``error``.
"""

import base64
import itertools
import math
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from xpnet.backend.random import generator
from xpnet.doctor.doctor import Doctor
from xpnet.doctor.findings import Finding
from xpnet.errors import InputError, XpnetError
from xpnet.nn.activations import ACTIVATIONS, Activation
from xpnet.nn.losses import DEFAULT_LOSS, resolve_head
from xpnet.nn.network import MLP
from xpnet.nn.optimizers import OPTIMIZERS
from xpnet.playground.data import DATA, TABLE, Points
from xpnet.playground.export import FORMULAS, export
from xpnet.playground.mistakes import MISTAKES, BiasPerRow, mistaken, positive
from xpnet.playground.settings import PRESETS, Settings, form
from xpnet.training.batches import Data, batches, epoch_order, split
from xpnet.training.dropout import Dropout
from xpnet.training.loop import TrainingOptions, make_step

SIDE = 40  # points of the maps, each way
MARGIN = 0.08  # of the plane around the points
SECONDS_BETWEEN_REPORTS = 0.7
PATIENCE = 1000  # steps before the doctor speaks of the outcome
OUTCOME = {"no-better-than-constant", "constant-output", "loss-not-decreasing",
           "learning-rate-too-small"}  # fmt: skip
CONSTANT = 1e-3  # range of a unit's values over all rows, from which it is stuck


class Playground:
    """One page's points, network and doctor.

    Parameters
    ----------
    table : Points, optional
        A person's own rows, of any number of inputs.
    """

    def __init__(self, table: Points | None = None) -> None:
        self._table = table
        self._inputs = () if table is None else tuple(table.names)
        self._start("")

    def answer(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """Follow a message and return the reply."""
        actions = {"start": self._start, "train": self._train, "edit": self._edit,
                   "export": self._export}  # fmt: skip
        about = dict(message)
        try:
            return actions[about.pop("do")](**about)
        except XpnetError as error:
            return {"error": str(error)}

    def _start(self, link: str) -> dict[str, Any]:
        s = self.settings = Settings.of(link, self._inputs)
        draw = generator(s.seed, "playground")
        if s.data == TABLE:
            assert self._table is not None
            points = self._table.axes(s.horizontal, s.vertical)
        else:
            points = DATA[s.data](draw, s.rows)
        rows = draw.permutation(len(points.x))[: s.rows]
        x = points.x[rows] + s.noise * points.x.std(axis=0) * draw.normal(size=(len(rows), 2))
        self.y = np.asarray(points.y, dtype=float).reshape(-1, 1)[rows]
        self.raw, self.points = x, points
        labels = None if points.regression else self.y[:, 0].astype(int)
        self.train, self.held = np.arange(len(x)), np.arange(0)
        if s.held_out:
            self.train, self.held = split(len(x), s.held_out, s.seed, labels)
        seen = x[self.train]
        self.mean, self.std = seen.mean(axis=0), seen.std(axis=0)
        if s.scale != "standardized":
            self.mean, self.std = np.zeros(2), np.ones(2)
        self.x = (x - self.mean) / self.std
        self.low, self.high = x.min(axis=0), x.max(axis=0)
        margin = MARGIN * (self.high - self.low)
        self.low, self.high = self.low - margin, self.high + margin
        self._make_network()
        return {
            "settings": asdict(s), "form": form(self._inputs), "presets": PRESETS,
            "activations": list(FORMULAS), "mistakes": {name: text for name, (text, _) in MISTAKES.items()},
            "points": self._points(), "regression": points.regression,
            "axes": list(zip(points.names, self.low, self.high, strict=True)),
        } | self._train(steps=0)  # fmt: skip

    def _make_network(self) -> None:
        s = self.settings
        hidden = [ACTIVATIONS[name] for _, name in s.hidden]
        output = ACTIVATIONS["identity" if self.points.regression else "sigmoid"]
        usual = DEFAULT_LOSS.get(output.name, "squared_error")
        self.loss_name = usual if s.loss == "auto" else s.loss
        self.in_loss = s.wrong & {"sign", "sum", "pairs"}
        self.loss = mistaken(self.loss_name, s.wrong) if self.in_loss else self.loss_name
        self.sizes = [2, *(units for units, _ in s.hidden), 1]
        self.per_row: list[BiasPerRow] = []
        if "bias" in s.wrong:
            self.per_row = [
                BiasPerRow(each, np.zeros((1, units)))
                for each, units in zip((*hidden, output), self.sizes[1:], strict=True)
            ]
            *hidden, output = (
                Activation(each.activation.name, each.forward, each.backward)
                for each in self.per_row
            )
        self.net = MLP(
            self.sizes, hidden=hidden, output=output, dtype="float64", seed=s.seed,
            init=positive if "positive" in s.wrong else s.init, dropout=s.dropout,
        )  # fmt: skip
        self.head = resolve_head(self.net.output, self.loss)
        self.start_parameters = self.net.flat.copy()
        self.doctor = Doctor(
            hidden=[each.name for each in hidden], output=output.name, names=self.points.names
        )
        if "raw" in s.wrong:
            self.doctor.watch_prediction(self.raw)
        self.losses: list[float] = []
        self.edits, self.ended, self._reported, self._codes = s.edited, "", 0.0, ""
        self._steps = self._each_step()

    def _each_step(self) -> Iterator[None]:
        """Train as `xpnet.fit` does; between two steps, wait to be asked for the next."""
        s, net = self.settings, self.net
        options = TrainingOptions(
            loss=self.loss, optimizer=OPTIMIZERS[s.optimizer](s.rate), l1=s.l1, l2=s.l2
        )
        state, gradients = options.optimizer.start(np, [net.flat]), np.zeros_like(net.flat)
        take_step = make_step(net, gradients, state, self.head, options)
        data, dropout = Data(self.x[self.train], self.y[self.train], None), Dropout(net, s.seed)
        size, shuffle = min(s.batch, len(data.y)), not self.per_row
        if self.per_row:
            size = len(data.y)  # each bias belongs to one row
        for epoch in itertools.count():
            order = epoch_order(len(data.y), s.seed, epoch, shuffle=shuffle)
            for batch in batches(data, order, size, net.device, net.dtype):
                self._apply_edits()
                before, number = net.flat.copy(), len(self.losses) + 1
                masks = dropout.of_step(number - 1, batch.x.shape[0])
                taken = take_step(batch, masks, options.optimizer.coefficients(s.rate, number))
                self._watch(before, batch, *taken)
                if not (math.isfinite(self.losses[-1]) and np.all(np.isfinite(net.flat))):
                    net.flat[...] = before
                    self.ended = f"step {number} gave numbers that are not finite"
                    return
                yield

    def _apply_edits(self) -> None:
        for step, layer, row, column, value in self.edits:
            if step == len(self.losses):
                target = self.net.biases[layer] if row < 0 else self.net.weights[layer][row]
                target[column] = value

    def _watch(self, before: Any, batch: Any, loss: Any, gradients: Any, trace: Any) -> None:
        """Show the doctor a step; make the mistake of biases that are one for each row."""
        parameters, slopes = self.net.views(before), list(gradients.biases)
        biases: list[Any] = list(parameters.biases)
        for i, each in enumerate(self.per_row):
            own = each.bias if len(each.bias) > 1 else each.bias[0]
            self.net.biases[i][...] = biases[i]  # only the bias of each row moves
            shares = batch.shares[:, None] if i == len(slopes) - 1 else 1.0  # the others have them
            slopes[i], biases[i] = each.delta * shares, biases[i] + own
            each.bias = each.bias - self.settings.rate * slopes[i]
        self.losses.append(float(loss))
        self.doctor.watch(
            loss=self.losses[-1],
            parameters=_named(parameters.weights, biases),
            gradients=_named(gradients.weights, slopes),
            activations=trace.activations,
            predictions=self.net.output.forward(np, trace.pre_activations[-1]),
            targets=batch.y[:, 0] if "pairs" in self.settings.wrong else batch.y,
            inputs=batch.x,
            learning_rate=self.settings.rate,
        )

    def _train(self, steps: int = 1_000_000, seconds: float = 1.0) -> dict[str, Any]:
        end = time.perf_counter() + min(seconds, 1.0)
        with np.errstate(all="ignore"):
            for _ in range(steps):
                if time.perf_counter() > end or self.ended:
                    break
                next(self._steps, None)
            return self._state(look=not steps)

    def _edit(self, layer: int, row: int, column: int, value: float) -> dict[str, Any]:
        edits = [*self.edits, (len(self.losses), layer, row, column, value)]
        text = ",".join(":".join(map(str, each)) for each in edits)
        sizes = self.sizes[layer : layer + 2]
        if layer < 0 or len(sizes) < 2 or not (-1 <= row < sizes[0] and 0 <= column < sizes[1]):
            raise InputError(f"edit {text}: the network has no such weight")
        self.edits = replace(self.settings, edits=text).edited
        self._apply_edits()
        return self._state(look=True)

    @property
    def link(self) -> str:
        """The part of an address behind # that repeats the run so far."""
        edits = ",".join(":".join(map(str, each)) for each in self.edits)
        return replace(self.settings, edits=edits, steps=len(self.losses)).link

    def _state(self, *, look: bool) -> dict[str, Any]:
        net = self.net
        rows = [self.train, self.held] if len(self.held) else [self.train]
        losses = [net.loss(self.x[each], self.y[each], loss=self.loss) for each in rows]
        losses = [each if math.isfinite(each) else None for each in losses]
        return {
            "step": len(self.losses), "loss": losses[0], "held_out": [*losses, None][1],
            "weights": [np.round(each, 4).tolist() for each in net.weights],
            "biases": [np.round(each, 4).tolist() for each in net.biases],
            "maps": self._maps(), "ended": self.ended,
            "link": self.link, "findings": self._findings(look=look),
        }  # fmt: skip

    def _points(self) -> list[list[float]]:
        places = (self.raw - self.low) / (self.high - self.low)
        colours = (self.y + self.points.regression) / (1 + self.points.regression)
        held = np.isin(np.arange(len(self.y)), self.held)[:, None]
        shown: list[list[float]] = np.round(np.hstack([places, colours, held]), 4).tolist()
        return shown

    def _maps(self) -> str:
        """What each unit gives on the plane, from its least to its largest value; the output."""
        across, upwards = (
            np.linspace(low, high, SIDE) for low, high in zip(self.low, self.high, strict=True)
        )
        grid = np.stack(np.meshgrid(across, upwards[::-1]), axis=-1).reshape(-1, 2)
        inputs = grid if "raw" in self.settings.wrong else (grid - self.mean) / self.std
        trace = self.net.forward(inputs)
        units = np.hstack([inputs, *trace.activations])
        low, span = units.min(axis=0), np.ptp(units, axis=0)
        shown = np.where(span > CONSTANT, (units - low) / np.maximum(span, CONSTANT), 0.5)
        output = self.net.output.forward(np, trace.pre_activations[-1])
        if self.points.regression:
            output = np.clip((output + 1) / 2, 0, 1)
        shades = (255 * np.hstack([shown, output]).T).astype("u1")
        return base64.b64encode(shades.tobytes()).decode()

    def _findings(self, *, look: bool) -> list[dict[str, Any]] | None:
        """Ask the doctor, if it is time to or `look`."""
        now = time.perf_counter()
        if not self.losses:
            return []
        if not (look or self.ended or now > self._reported + SECONDS_BETWEEN_REPORTS):
            return None
        self._reported = now
        early = OUTCOME if len(self.losses) < PATIENCE and not self.ended else set()
        found = [each for each in self.doctor.report().findings if each.code not in early]
        return [
            asdict(each) | {"change": self._change(each), "marks": self._marks(each)}
            for each in found
        ]

    def _change(self, finding: Finding) -> dict[str, str]:
        """Translate a remedy into settings."""
        s, change = self.settings, dict[str, str]()
        repair = finding.repair or {finding.code: True}
        wrong = [name for name in MISTAKES if name in s.wrong and MISTAKES[name][1] not in repair]
        named = {"learning_rate": "rate", "init": "init", "l1": "l1", "l2": "l2"}
        for setting, value in repair.items():
            if setting in named:
                change[named[setting]] = str(value)
            elif setting == "standardize":
                change["scale"] = "standardized"
            elif setting == "hidden":
                change["layers"] = ",".join(f"{units} {value}" for units, _ in s.hidden)
        change["mistakes"] = ",".join(wrong)
        return {name: text for name, text in change.items() if text != str(getattr(s, name))}

    def _marks(self, finding: Finding) -> dict[str, Any]:
        """Return the layers whose weights, and the units, that a finding is about."""
        layers = sorted({int(each) - 1 for each in re.findall(r"\b[Wb](\d+)", finding.where)})
        units: list[tuple[int, int]] = []
        for number in re.findall(r"hidden layer (\d+)", finding.where):
            values = self.net.forward(self.x[self.train]).activations[int(number) - 1]
            stuck = np.flatnonzero(np.ptp(values, axis=0) < CONSTANT).tolist()
            units += [(int(number), unit) for unit in stuck or range(values.shape[1])]
        return {"layers": layers, "units": units}

    def _export(self) -> dict[str, Any]:
        return {"zip": base64.b64encode(export(self)).decode()}


def _named(weights: Any, biases: Any) -> dict[str, Any]:
    """Call weights and biases W1, b1, W2, b2 and so on."""
    pairs = enumerate(zip(weights, biases, strict=True), 1)
    return {f"{kind}{i}": each for i, pair in pairs for kind, each in zip("Wb", pair, strict=True)}
