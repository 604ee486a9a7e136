"""The mistakes that are injected into networks, and the codes by which the doctor should name them.

One table: `benchmarks/doctor.py` measures all of it, `tests/doctor/test_injected_mistakes.py` runs
each kind once.
"""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from doctor_networks import Settings

GRADIENT = {"gradient-wrong", "gradient-activation-derivative"}
BOTH, HAND, OURS = ("hand-written", "xpnet"), ("hand-written",), ("xpnet",)
FIRST_SEED = 100  # the limits of the rules were set while looking at seeds below this
DATA = ("circle", "breast cancer", "digits", "friedman")


@dataclass(frozen=True)
class Kind:
    """One kind of mistake: the settings it changes, and the codes that name its cause."""

    name: str
    change: dict[str, Any]
    causes: set[str]
    flavours: tuple[str, ...] = BOTH
    data: tuple[str, ...] = DATA
    also: dict[str, Any] = field(default_factory=dict)


KINDS = [
    Kind("sign of the gradient", {"gradient": "sign"}, {"gradient-sign"}, HAND),
    Kind("sum instead of mean in the gradient", {"gradient": "sum"}, {"gradient-scale"}, HAND),
    Kind("bias gradient averaged twice", {"gradient": "mean twice"}, {"gradient-scale"}, HAND),
    Kind("factor 2 of the square", {"gradient": "double"}, {"gradient-scale"}, HAND),
    Kind("bias gradient not summed", {"gradient": "per sample"},
         {"bias-per-sample", "parameter-shape-changed"}, HAND),
    Kind("transposed square matrix", {"gradient": "transposed"}, {"gradient-transposed"}, HAND,
         also={"units": (12, 12)}),
    Kind("hidden derivative missing", {"gradient": "no derivative"},
         {"gradient-activation-derivative"}, HAND, also={"hidden": "tanh"}),
    Kind("hidden derivative of another function", {"gradient": "other derivative"},
         {"gradient-activation-derivative"}, HAND, also={"hidden": "sigmoid"}),
    Kind("output derivative twice", {"gradient": "output derivative"}, GRADIENT, HAND,
         data=DATA[:3]),
    Kind("penalty missing in the gradient", {"gradient": "no penalty"},
         {"gradient-regularisation"}, HAND, also={"l2": 0.01}),
    Kind("a layer's gradient left at zero", {"gradient": "zero"}, {"gradient-zero"}, HAND),
    Kind("update adds the gradient", {"update": "adds"}, {"gradient-sign"}, HAND),
    Kind("gradients of earlier steps not cleared", {"update": "accumulates"},
         {"gradient-accumulated"}, HAND),
    Kind("no activation function in the hidden layers", {"hidden": "identity"},
         {"linear-hidden-layer"}, data=("circle",)),
    Kind("targets (m,) against outputs (m, 1)", {"flat_targets": True},
         {"loss-broadcast", "target-shape"}, HAND, data=("circle", "breast cancer", "friedman")),
    Kind("all weights positive", {"init": "positive"}, {"all-positive-weights"}),
    Kind("all weights zero", {"init": "zeros"}, {"symmetric-units"}),
    Kind("all weights equal", {"init": "equal"}, {"symmetric-units", "all-positive-weights"}),
    Kind("weights far too small", {"init_factor": 1e-3}, {"wrong-init-scale"}),
    Kind("weights far too large", {"init_factor": 30.0}, {"wrong-init-scale"}),
    Kind("learning rate 1e-5 of a good one", {"rate_factor": 1e-5}, {"learning-rate-too-small"}),
    Kind("learning rate 1e3 of a good one", {"rate_factor": 1e3}, {"learning-rate-too-large"}),
    Kind("inputs not scaled (x 100)", {"x_factor": 100.0}, {"unscaled-inputs"}),
    Kind("inputs scaled twice (x 1/1000)", {"x_factor": 1e-3}, {"unscaled-inputs"}),
    Kind("one feature in other units (x 1e4)", {"one_factor": 1e4}, {"unscaled-inputs"}),
    Kind("NaN in an input cell", {"nan": "x"}, {"non-finite"}),
    Kind("infinite input cell", {"nan": "inf"}, {"non-finite"}),
    Kind("constant inputs", {"x_constant": True}, {"constant-feature"}),
    Kind("rows of x and y shuffled apart", {"shuffled": True}, {"shuffled-targets"}),
    Kind("rows sorted by target, not shuffled", {"in_order": True}, {"unshuffled-rows"},
         also={"batch_size": 16}),
    Kind("targets out of the output's range", {"target_shift": True}, {"target-range"}),
    Kind("targets not scaled", {"target_scale": 300.0}, {"initial-loss"}, data=("friedman",)),
    Kind("not scaled at prediction", {"drift": True}, {"prediction-drift"}),
    Kind("dead ReLUs by a biased start", {"start_bias": -20.0}, {"dead-units"},
         also={"hidden": "relu"}),
    Kind("saturated by a biased start", {"start_bias": 20.0}, {"saturated-units"},
         also={"hidden": "sigmoid"}),
    Kind("eight narrow sigmoid layers", {"units": (10,) * 8, "hidden": "sigmoid", "init": "small"},
         {"vanishing-gradient"}),
    Kind("penalty that dominates", {"l2": 0.5}, {"regularisation-dominates"}),
    Kind("trained too long on few rows",
         {"rows": 40, "steps": 1500, "units": (64,), "hidden": "relu", "noise": True},
         {"overfitting"}),
    Kind("one class in 40", {"imbalance": 40}, {"class-imbalance"},
         data=("circle", "breast cancer")),
]  # fmt: skip


def draw(kind: Kind | None, flavour: str, data: str, seed: int) -> Settings:
    """Draw a healthy configuration, the same for a mistake and for its healthy twin."""
    random = np.random.default_rng([seed, DATA.index(data), flavour == "xpnet"])
    hidden = str(random.choice(["relu", "tanh", "sigmoid"]))
    units = tuple(int(u) for u in random.choice([12, 16, 24, 32], random.integers(1, 3)))
    settings = Settings(flavour, data, seed, units, hidden)
    rate = {"relu": 0.1, "tanh": 0.2, "sigmoid": 0.8}[hidden] * float(random.choice([0.5, 1.0]))
    batch = int(random.choice([32, 64, 400]))
    settings = replace(settings, rate=rate, batch_size=batch, steps=600 if batch > 64 else 400)
    if kind is not None and kind.also:
        settings = replace(settings, **kind.also)
    return settings


def broken(settings: Settings, kind: Kind) -> Settings:
    """Inject the mistake; a changed learning rate is relative to the healthy one."""
    change = dict(kind.change)
    factor = change.pop("rate_factor", 1.0)
    return replace(settings, **change, rate=settings.rate * factor)
