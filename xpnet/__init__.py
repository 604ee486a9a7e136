"""The neural network you would have written by hand, done right.

    MLP, fit, SGD, Adam, AdamW, EarlyStopping    a network, its training, its optimisers
    Activation, Loss                             your own functions; huber(threshold)
    check_gradients, Doctor, diagnose            why a network does not learn, yours included
    explain_init                                 what initial weights do to signal and gradient
    load, load_model, Checkpoint, RowFile        files: networks, models, checkpoints, large data
    from_torch, to_torch, from_sklearn, to_sklearn   networks of others, and back
    MLPClassifier, MLPRegressor                  in place of scikit-learn's; register_skl2onnx
    open_device                                  where arrays live: "cpu", "gpu", "gpu:N"
    XpnetError                                   base of all errors that the caller can fix
    NoSkillWarning                               the trained network is no better than a constant

The rooms of the package: `xpnet.nn`, `xpnet.training`, `xpnet.doctor`, ...; CONTRIBUTING.md has the
map. The names that options take: `xpnet.nn.activations.HIDDEN` and ``OUTPUTS``,
`xpnet.nn.losses.LOSSES`, `xpnet.nn.initializers.INIT_NAMES`, `xpnet.nn.schedules.SCHEDULES`,
`xpnet.training.metrics.METRICS`.
"""

# Every public name is imported when it is first used: nothing loads what it does not need. Which
# names there are, and where they are, is in `__init__.pyi` (Scientific Python's SPEC 1).

import re
from importlib import import_module
from typing import Any

__version__ = "0.1.0"

with open(__file__ + "i", encoding="utf-8") as _file:
    _STUB = _file.read()
_MODULE_OF = {name: module for module, name in re.findall(r"from (xpnet\S+) import (\w+)", _STUB)}
_ROOMS = ("backend", "nn", "training", "tables", "saving", "doctor", "report",
          "interchange", "estimators", "cli", "playground")  # fmt: skip

__all__ = sorted(_MODULE_OF)


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return import_module(f"xpnet.{name}")
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'xpnet' has no attribute {name!r}")
    value = getattr(import_module(_MODULE_OF[name]), name)
    globals()[name] = value  # found at once the next time
    return value


def __dir__() -> list[str]:
    return __all__
