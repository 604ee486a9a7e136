"""What a page can set, one line each; the same in the page's address, which repeats a run."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

from xpnet.errors import InputError
from xpnet.nn.initializers import INIT_NAMES
from xpnet.playground.data import COMPONENTS, DATA, TABLE
from xpnet.playground.mistakes import MISTAKES

ACTIVATIONS = ("tanh", "relu", "sigmoid", "leaky_relu", "identity")  # of the programs, too
MAX_LAYERS, MAX_UNITS, MAX_WEIGHT = 8, 32, 1e9


def _choice(label: str, *choices: str) -> Any:
    return field(default=choices[0], metadata={"label": label, "choices": choices})


def _number(label: str, default: float, low: float, high: float, step: float | str = 1) -> Any:
    about = {"label": label, "low": low, "high": high, "step": step}
    return field(default=default, metadata=about)


@dataclass(frozen=True)
class Settings:
    """How to draw the points and to train; what has no label has no field in the form."""

    data: str = _choice("Data", *DATA)
    horizontal: str = _choice("Across", *COMPONENTS)
    vertical: str = _choice("Upwards", *COMPONENTS[::-1])
    rows: int = _number("Rows", 300, 6, 1000)
    noise: float = _number("Noise", 0.0, 0.0, 1.0, 0.05)
    held_out: float = _number("Held out", 0.3, 0.0, 0.9, 0.1)
    scale: str = _choice("Inputs", "standardized", "as they are")
    seed: int = _number("Seed", 0, 0, 1_000_000)
    init: str = _choice("Initial weights", *INIT_NAMES)
    loss: str = _choice("Loss", "auto", "squared_error", "absolute_error", "binary_cross_entropy")
    optimizer: str = _choice("Optimizer", "sgd", "adam")
    rate: float = _number("Learning rate", 0.1, 1e-9, 1e9, "any")
    batch: int = _number("Batch size", 10, 1, 1000)
    l1: float = _number("L1", 0.0, 0.0, 10.0, "any")
    l2: float = _number("L2", 0.0, 0.0, 10.0, "any")
    dropout: float = _number("Dropout", 0.0, 0.0, 0.9, 0.1)
    layers: str = "4 tanh,2 tanh"
    mistakes: str = ""  # names with commas between them
    edits: str = ""  # likewise, step:layer:row:column:value; row -1 is the bias
    steps: int = _number("", 0, 0, 10_000_000)  # how far to train at once

    @classmethod
    def of(cls, link: str, inputs: Sequence[str]) -> "Settings":
        """Read the part of an address behind #; `inputs` are those of the person's table."""
        known, found = {each.name: each for each in fields(cls)}, cls()
        for name, text in dict(parse_qsl(link, True)).items():
            try:
                found = replace(found, **{name: known[name].type(text)})  # type: ignore[operator]
                _ = found.hidden, found.edited  # which may be misspelt, too
            except (KeyError, ValueError) as error:
                remedy = "is not understood; correct it, or leave it out"
                raise InputError(f"address: {name}={text} {remedy}") from error
        hidden, edited = found.hidden, found.edited
        for about in form(inputs):
            value, allowed = getattr(found, about["name"]), about.get("choices")
            if allowed and value not in allowed:
                raise InputError(f"{about['name']} {value!r}: choose one of {', '.join(allowed)}")
            if "low" in about and not about["low"] <= value <= about["high"]:
                raise InputError("{name} {0:g}: from {low:g} to {high:g}".format(value, **about))
        right = all(0 < n <= MAX_UNITS and name in ACTIVATIONS for n, name in hidden)
        if len(hidden) > MAX_LAYERS or not right:
            raise InputError(f"layers {found.layers}: at most {MAX_LAYERS}, each of 1 to "
                             f"{MAX_UNITS} units and one of {', '.join(ACTIVATIONS)}")  # fmt: skip
        if unknown := sorted(found.wrong - MISTAKES.keys()):
            raise InputError(f"mistakes: {unknown[0]!r} is none of {', '.join(MISTAKES)}")
        if "bias" in found.wrong and found.optimizer != "sgd":
            raise InputError("mistakes: biases of each row take steps of sgd; choose it")
        sizes = [2, *(units for units, _ in hidden), 1]
        for _, layer, row, column, value in edited:
            rows, units = sizes[layer : layer + 2] if 0 <= layer <= len(hidden) else (0, 0)
            if not (-1 <= row < rows and 0 <= column < units and abs(value) <= MAX_WEIGHT):
                raise InputError(f"edits {found.edits}: the network has no such weight")
        return found

    @property
    def link(self) -> str:
        """What `of` reads, without defaults."""
        given = {each.name: getattr(self, each.name) for each in fields(self)}
        changed = {e.name: given[e.name] for e in fields(self) if given[e.name] != e.default}
        return urlencode(changed, safe=",:", quote_via=quote)

    @property
    def hidden(self) -> list[tuple[int, str]]:
        """Units and activation of each hidden layer."""
        pairs = [each.split(" ") for each in self.layers.split(",") if each]
        return [(int(units), activation) for units, activation in pairs]

    @property
    def wrong(self) -> frozenset[str]:
        """The mistakes that are switched on."""
        return frozenset(filter(None, self.mistakes.split(",")))

    @property
    def edited(self) -> list[tuple[int, int, int, int, float]]:
        """Step, layer, row, column and value of each parameter changed by hand."""
        parts = [each.split(":") for each in self.edits.split(",") if each]
        return [(int(s), int(k), int(i), int(j), float(w)) for s, k, i, j, w in parts]


def form(inputs: Sequence[str]) -> list[dict[str, Any]]:
    """Describe the settings for a page: name, label, and choices or low, high, step."""
    described = [{"name": each.name, **each.metadata} for each in fields(Settings)]
    if inputs:
        described[0]["choices"] = (*DATA, TABLE)
        for each in described[1:3]:
            each["choices"] = (*each["choices"], *inputs)
    return described


_CASE_1 = "data=customers&layers=3 sigmoid,3 sigmoid&batch=1000&held_out=0&rows=150&steps=2000"
_CASE_2 = "data=six points&layers=3 sigmoid&batch=1000&held_out=0&loss=squared_error&steps=2000"
_CASE_3 = "data=circle&layers=16 sigmoid,16 sigmoid&batch=1&l2=0.0001&rate=0.05&steps=3000"
PRESETS = {
    "The circle learns": "data=circle&steps=2000",
    "Case 1, done right": f"{_CASE_1}&rate=0.5",
    "Case 1: bias gradients not summed": f"{_CASE_1}&rate=0.5&mistakes=bias",
    "Case 1: not scaled at prediction": f"{_CASE_1}&rate=0.5&mistakes=raw",
    "Case 1: positive weights": f"{_CASE_1}&rate=0.5&mistakes=positive",
    "Case 1: steps of 5e-5": f"{_CASE_1}&rate=5e-05",
    "Case 1: all four": f"{_CASE_1}&rate=5e-05&mistakes=bias,raw,positive",
    "Case 2, done right": f"{_CASE_2}&rate=0.5",
    "Case 2: targets (6,), outputs (6, 1)": f"{_CASE_2}&rate=0.1&mistakes=pairs",
    "Case 2: errors summed to one number": f"{_CASE_2}&rate=0.1&mistakes=sum",
    "Case 2: wrong sign": f"{_CASE_2}&rate=0.1&mistakes=sign",
    "Case 2: bias gradients not summed": f"{_CASE_2}&rate=0.1&mistakes=bias",
    "Case 2: all four": f"{_CASE_2}&rate=0.1&mistakes=pairs,sum,sign,bias",
    "Case 3, done right": _CASE_3,
    "Case 3: positive weights": f"{_CASE_3}&mistakes=positive",
    "Dead ReLUs": "data=circle&layers=3 relu&steps=500&edits=0:0:-1:0:-9,0:0:-1:1:-9,0:0:-1:2:-9",
    "A vanishing gradient": f"data=xor&layers={','.join(['6 sigmoid'] * 8)}"
    "&init=glorot_uniform&steps=1500",
    "Too high a rate": "data=hills&layers=8 tanh&rate=1.5&steps=1000",
}
