"""What a page can set, one line each; the same in the page's address, which repeats a run."""

from collections.abc import Sequence
from dataclasses import Field, dataclass, field, fields
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

from xpnet.errors import InputError
from xpnet.nn.initializers import INIT_NAMES
from xpnet.playground.data import COMPONENTS, DATA, TABLE
from xpnet.playground.export import FORMULAS
from xpnet.playground.mistakes import MISTAKES

MAX_LAYERS, MAX_UNITS = 8, 32


def _choice(label: str, *choices: str) -> Any:
    return field(default=choices[0], metadata={"label": label, "choices": choices})


def _number(label: str, default: float, low: float, high: float, step: float | str = 1) -> Any:
    about = {"label": label, "low": low, "high": high, "step": step}
    return field(default=default, metadata=about)


@dataclass(frozen=True)
class Settings:
    """How to draw the points and to train; what has no label is not set in the form."""

    data: str = _choice("Data", *DATA)
    horizontal: str = _choice("Across", COMPONENTS[0])
    vertical: str = _choice("Upwards", COMPONENTS[1])
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
    mistakes: str = ""  # comma-separated
    edits: str = ""  # comma-separated: step:layer:from:to:value, where from -1 is the bias
    steps: int = 0  # how far to train at once

    @classmethod
    def of(cls, link: str, inputs: Sequence[str]) -> "Settings":
        """Read the part of an address behind #; `inputs` are those of the person's table."""
        given, known = dict(parse_qsl(link.removeprefix("#"), True)), {e.name: e for e in fields(cls)}
        if unknown := given.keys() - known.keys():
            raise InputError(f"address: {', '.join(sorted(unknown))} is no setting; leave it out")
        found = cls(**{name: _checked(known[name], given[name], inputs) for name in given})
        units = [units for units, _ in found.hidden]
        if len(units) > MAX_LAYERS or not all(0 < each <= MAX_UNITS for each in units):
            raise InputError(f"layers: at most {MAX_LAYERS}, each of 1 to {MAX_UNITS} units")
        if unknown := {activation for _, activation in found.hidden} - FORMULAS.keys():
            raise InputError(f"layers: {unknown.pop()!r} is none of {', '.join(FORMULAS)}")
        if "bias" in found.wrong and found.optimizer != "sgd":
            raise InputError("mistakes: biases of each row take steps of sgd; choose that optimizer")
        if unknown := found.wrong - MISTAKES.keys():
            raise InputError(f"mistakes: {unknown.pop()!r} is none of {', '.join(MISTAKES)}")
        return found

    @property
    def link(self) -> str:
        """What `of` reads, without defaults."""
        given = {e.name: getattr(self, e.name) for e in fields(self)}
        changed = {e.name: given[e.name] for e in fields(self) if given[e.name] != e.default}
        return urlencode(changed, safe=",:", quote_via=quote)

    @property
    def hidden(self) -> list[tuple[int, str]]:
        """Units and activation of each hidden layer."""
        pairs = [each.split() for each in self.layers.split(",") if each]
        if not all(len(each) == 2 and each[0].isdecimal() for each in pairs):
            raise InputError(f"layers {self.layers!r}: write them as in 4 tanh,2 relu")
        return [(int(units), activation) for units, activation in pairs]

    @property
    def wrong(self) -> frozenset[str]:
        """The mistakes that are switched on."""
        return frozenset(filter(None, self.mistakes.split(",")))

    @property
    def edited(self) -> list[tuple[int, int, int, int, float]]:
        """Step, layer, row, column and value of each parameter changed by hand."""
        try:
            parts = [each.split(":") for each in self.edits.split(",") if each]
            return [(int(s), int(k), int(i), int(j), float(w)) for s, k, i, j, w in parts]
        except ValueError as error:
            raise InputError(f"edits {self.edits!r}: write step:layer:from:to:value") from error


def choices(name: str, inputs: Sequence[str]) -> Sequence[str] | None:
    """Return what a setting may be, or None for a number or a text."""
    known = {each.name: each.metadata.get("choices") for each in fields(Settings)}[name]
    if name == "data" and inputs:
        return (TABLE, *known)
    return (*COMPONENTS, *inputs) if name in ("horizontal", "vertical") else known


def form(inputs: Sequence[str]) -> list[dict[str, Any]]:
    """Describe the settings for a page: name, default, label, and choices or low, high, step."""
    return [
        {"name": each.name, "default": each.default, **each.metadata,
         "choices": choices(each.name, inputs)}
        for each in fields(Settings)
    ]  # fmt: skip


def _checked(each: "Field[Any]", text: str, inputs: Sequence[str]) -> Any:
    about, allowed = each.metadata, choices(each.name, inputs)
    if allowed and text not in allowed:
        raise InputError(f"{each.name} {text!r}: choose one of {', '.join(allowed)}")
    try:
        value = each.type(text)  # type: ignore[operator]
    except ValueError as error:
        raise InputError(f"{each.name} {text!r} is no number") from error
    if "low" in about and not about["low"] <= value <= about["high"]:
        raise InputError(f"{each.name} {text}: from {about['low']:g} to {about['high']:g}")
    return value


CASE_1 = "data=customers&layers=3 sigmoid,3 sigmoid&batch=1000&held_out=0&rows=150"
CASE_2 = "data=six points&layers=3 sigmoid&batch=1000&held_out=0&loss=squared_error"
CASE_3 = "data=circle&layers=16 sigmoid,16 sigmoid&batch=1&l2=0.0001"
PRESETS = {
    "The circle learns": "data=circle&steps=2000",
}
