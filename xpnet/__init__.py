"""The neural network you would have written by hand, done right.

    MLP, fit, SGD, Adam, AdamW, EarlyStopping    a network, its training, its optimisers
    Activation, Loss                             your own functions; huber(threshold)
    check_gradients, Doctor, diagnose            why a network does not learn, yours included
    explain_init                                 what initial weights do to signal and gradient
    load, load_model, Checkpoint, RowFile        files: networks, models, checkpoints, large data
    MLPClassifier, MLPRegressor                  in place of scikit-learn's
    open_device, Device                          where arrays live: "cpu", "gpu", "gpu:N"
    XpnetError                                   base of all errors that the caller can fix
    NoSkillWarning                               the trained network is no better than a constant

The names that options take: `xpnet.activations.HIDDEN` and ``OUTPUTS``, `xpnet.losses.LOSSES`,
`xpnet.initialisers.INIT_NAMES`, `xpnet.schedules.SCHEDULES`, `xpnet.history.METRICS`.
"""

# Every public name is imported when it is first used: the command line starts before NumPy is
# loaded (and may choose its kernels, see xpnet.system), and nothing loads what it does not need.

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # "as": for type checkers, these too are names of the package
    from xpnet.activations import Activation as Activation
    from xpnet.callbacks import EarlyStopping as EarlyStopping
    from xpnet.checkpoint import Checkpoint as Checkpoint
    from xpnet.device import Device as Device
    from xpnet.device import open_device as open_device
    from xpnet.diagnosis import diagnose as diagnose
    from xpnet.doctor import Doctor as Doctor
    from xpnet.errors import DeviceError as DeviceError
    from xpnet.errors import DivergenceError as DivergenceError
    from xpnet.errors import FileError as FileError
    from xpnet.errors import InputError as InputError
    from xpnet.errors import InputTypeError as InputTypeError
    from xpnet.errors import SaveError as SaveError
    from xpnet.errors import XpnetError as XpnetError
    from xpnet.estimators import MLPClassifier as MLPClassifier
    from xpnet.estimators import MLPRegressor as MLPRegressor
    from xpnet.findings import Finding as Finding
    from xpnet.findings import Report as Report
    from xpnet.fitting import fit as fit  # whose signature that of judged_fit has
    from xpnet.gradient_check import GradientReport as GradientReport
    from xpnet.gradient_check import check_gradients as check_gradients
    from xpnet.history import History as History
    from xpnet.init_report import InitReport as InitReport
    from xpnet.init_report import explain_init as explain_init
    from xpnet.losses import Loss as Loss
    from xpnet.losses import huber as huber
    from xpnet.model_file import Model as Model
    from xpnet.model_file import load as load
    from xpnet.model_file import load_model as load_model
    from xpnet.network import MLP as MLP
    from xpnet.network import Gradients as Gradients
    from xpnet.network import Trace as Trace
    from xpnet.optimizers import SGD as SGD
    from xpnet.optimizers import Adam as Adam
    from xpnet.optimizers import AdamW as AdamW
    from xpnet.row_files import RowFile as RowFile
    from xpnet.signals import Interrupted as Interrupted
    from xpnet.training import Training as Training
    from xpnet.training import TrainingOptions as TrainingOptions
    from xpnet.training import TrainingState as TrainingState
    from xpnet.verdict import NoSkillWarning as NoSkillWarning

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
    "fitting": "",
    "gradient_check": "GradientReport check_gradients",
    "history": "History",
    "init_report": "InitReport explain_init",
    "initialisers": "",  # reached as xpnet.initialisers
    "judged_fit": "fit",
    "losses": "Loss huber",
    "model_file": "Model load load_model",
    "network": "MLP Gradients Trace",
    "optimizers": "SGD Adam AdamW",
    "row_files": "RowFile",
    "schedules": "",
    "signals": "Interrupted",
    "training": "Training TrainingOptions TrainingState",
    "verdict": "NoSkillWarning",
}
_MODULE_OF = {name: module for module, names in _NAMES_OF.items() for name in names.split()}

__all__ = sorted(_MODULE_OF)


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
