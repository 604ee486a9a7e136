"""The neural network you would have written by hand, done right.

    MLP, fit, SGD, Adam, AdamW, EarlyStopping    a network, its training, its optimisers
    Activation, Loss                             your own functions; huber(threshold)
    check_gradients, Doctor, diagnose            why a network does not learn, yours included
    explain_init                                 what initial weights do to signal and gradient
    load, load_model, Checkpoint, RowFile        files: networks, models, checkpoints, large data
    MLPClassifier, MLPRegressor                  in place of scikit-learn's
    open_device, Device                          where arrays live: "cpu", "gpu", "gpu:N"
    XpnetError                                   base of all errors that the caller can fix

The names that options take: `xpnet.activations.HIDDEN` and ``OUTPUTS``, `xpnet.losses.LOSSES`,
`xpnet.initialisers.INIT_NAMES`, `xpnet.schedules.SCHEDULES`, `xpnet.history.METRICS`.
"""

# Every public name is imported when it is first used: the command line starts before NumPy is
# loaded (and may choose its kernels, see xpnet.system), and nothing loads what it does not need.

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xpnet.activations import Activation
    from xpnet.callbacks import EarlyStopping
    from xpnet.checkpoint import Checkpoint
    from xpnet.device import Device, open_device
    from xpnet.diagnosis import diagnose
    from xpnet.doctor import Doctor
    from xpnet.errors import (
        DeviceError,
        DivergenceError,
        FileError,
        InputError,
        InputTypeError,
        SaveError,
        XpnetError,
    )
    from xpnet.estimators import MLPClassifier, MLPRegressor
    from xpnet.findings import Finding, Report
    from xpnet.fitting import fit
    from xpnet.gradient_check import GradientReport, check_gradients
    from xpnet.history import History
    from xpnet.init_report import InitReport, explain_init
    from xpnet.losses import Loss, huber
    from xpnet.model_file import Model, load, load_model
    from xpnet.network import MLP, Gradients, Trace
    from xpnet.optimizers import SGD, Adam, AdamW
    from xpnet.row_files import RowFile
    from xpnet.signals import Interrupted
    from xpnet.training import Training, TrainingOptions, TrainingState

__version__ = "0.1.0"

_NAMES_OF = {
    "activations": "Activation",
    "callbacks": "EarlyStopping",
    "checkpoint": "Checkpoint",
    "device": "Device open_device",
    "diagnosis": "diagnose",
    "doctor": "Doctor",
    "errors": "DeviceError DivergenceError FileError InputError InputTypeError SaveError "
    "XpnetError",
    "estimators": "MLPClassifier MLPRegressor",
    "findings": "Finding Report",
    "fitting": "fit",
    "gradient_check": "GradientReport check_gradients",
    "history": "History",
    "init_report": "InitReport explain_init",
    "initialisers": "",  # reached as xpnet.initialisers
    "losses": "Loss huber",
    "model_file": "Model load load_model",
    "network": "MLP Gradients Trace",
    "optimizers": "SGD Adam AdamW",
    "row_files": "RowFile",
    "schedules": "",
    "signals": "Interrupted",
    "training": "Training TrainingOptions TrainingState",
}
_MODULE_OF = {name: module for module, names in _NAMES_OF.items() for name in names.split()}

__all__ = [
    "MLP",
    "SGD",
    "Activation",
    "Adam",
    "AdamW",
    "Checkpoint",
    "Device",
    "DeviceError",
    "DivergenceError",
    "Doctor",
    "EarlyStopping",
    "FileError",
    "Finding",
    "GradientReport",
    "Gradients",
    "History",
    "InitReport",
    "InputError",
    "InputTypeError",
    "Interrupted",
    "Loss",
    "MLPClassifier",
    "MLPRegressor",
    "Model",
    "Report",
    "RowFile",
    "SaveError",
    "Trace",
    "Training",
    "TrainingOptions",
    "TrainingState",
    "XpnetError",
    "check_gradients",
    "diagnose",
    "explain_init",
    "fit",
    "huber",
    "load",
    "load_model",
    "open_device",
]


def __getattr__(name: str) -> Any:
    if name in _MODULE_OF:
        value = getattr(import_module(f"xpnet.{_MODULE_OF[name]}"), name)
        globals()[name] = value  # found at once the next time
        return value
    if name in _NAMES_OF:
        return import_module(f"xpnet.{name}")
    raise AttributeError(f"module 'xpnet' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
