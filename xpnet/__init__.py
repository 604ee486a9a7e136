"""The neural network you would have written by hand, done right."""

from importlib import import_module
from typing import Any

from xpnet.activations import Activation
from xpnet.callbacks import EarlyStopping
from xpnet.errors import (
    DeviceError,
    DivergenceError,
    FileError,
    InputError,
    InputTypeError,
    SaveError,
    XpnetError,
)
from xpnet.fitting import fit
from xpnet.history import History
from xpnet.losses import Loss, huber
from xpnet.network import MLP, Gradients, Trace
from xpnet.optimizers import SGD, Adam, AdamW
from xpnet.training import Training, TrainingOptions, TrainingState

__version__ = "0.1.0"

# Names whose modules need more than numpy, or are rarely needed, are imported when first used.
_LAZY = {
    "load": "xpnet.model_file",
}

__all__ = [
    "MLP",
    "SGD",
    "Activation",
    "Adam",
    "AdamW",
    "DeviceError",
    "DivergenceError",
    "EarlyStopping",
    "FileError",
    "Gradients",
    "History",
    "InputError",
    "InputTypeError",
    "Loss",
    "SaveError",
    "Trace",
    "Training",
    "TrainingOptions",
    "TrainingState",
    "XpnetError",
    "fit",
    "huber",
    "load",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'xpnet' has no attribute {name!r}")
    return getattr(import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return __all__
