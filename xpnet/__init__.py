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

# Every public name is imported when it is first used: nothing loads what it does not need.

from importlib import import_module

TYPE_CHECKING = False  # as in typing, which takes longer to load than all else here
if TYPE_CHECKING:  # "as": for type checkers, these too are names of the package
    from xpnet.backend.device import open_device as open_device
    from xpnet.backend.signals import Interrupted as Interrupted
    from xpnet.doctor.diagnose import diagnose as diagnose
    from xpnet.doctor.doctor import Doctor as Doctor
    from xpnet.doctor.gradcheck.check import check_gradients as check_gradients
    from xpnet.doctor.initial_weights import explain_init as explain_init
    from xpnet.errors import DeviceError as DeviceError
    from xpnet.errors import DivergenceError as DivergenceError
    from xpnet.errors import FileError as FileError
    from xpnet.errors import InputError as InputError
    from xpnet.errors import InputTypeError as InputTypeError
    from xpnet.errors import SaveError as SaveError
    from xpnet.errors import XpnetError as XpnetError
    from xpnet.estimators.classifier import MLPClassifier as MLPClassifier
    from xpnet.estimators.classifier import MLPRegressor as MLPRegressor
    from xpnet.estimators.pipelines import register_skl2onnx as register_skl2onnx
    from xpnet.interchange.convert import from_sklearn as from_sklearn
    from xpnet.interchange.convert import from_torch as from_torch
    from xpnet.interchange.convert import to_sklearn as to_sklearn
    from xpnet.interchange.convert import to_torch as to_torch
    from xpnet.nn.activations import Activation as Activation
    from xpnet.nn.losses import Loss as Loss
    from xpnet.nn.losses import huber as huber
    from xpnet.nn.network import MLP as MLP
    from xpnet.nn.optimizers import SGD as SGD
    from xpnet.nn.optimizers import Adam as Adam
    from xpnet.nn.optimizers import AdamW as AdamW
    from xpnet.saving.checkpoint import Checkpoint as Checkpoint
    from xpnet.saving.model import load as load
    from xpnet.saving.model import load_model as load_model
    from xpnet.tables.npy import RowFile as RowFile
    from xpnet.training.callbacks import EarlyStopping as EarlyStopping
    from xpnet.training.fit import fit as fit
    from xpnet.training.history import History as History
    from xpnet.training.many import fit_many as fit_many
    from xpnet.training.skill import NoSkillWarning as NoSkillWarning

__version__ = "0.1.0"

_ROOMS = ("backend", "nn", "training", "tables", "saving", "doctor", "report",
          "interchange", "estimators", "cli", "playground")  # fmt: skip
_NAMES_OF = {
    "backend.device": "open_device",
    "backend.signals": "Interrupted",
    "doctor.diagnose": "diagnose",
    "doctor.doctor": "Doctor",
    "doctor.gradcheck.check": "check_gradients",
    "doctor.initial_weights": "explain_init",
    "errors": "DeviceError DivergenceError FileError InputError InputTypeError SaveError "
    "XpnetError",
    "estimators.classifier": "MLPClassifier MLPRegressor",
    "estimators.pipelines": "register_skl2onnx",
    "interchange.convert": "from_sklearn from_torch to_sklearn to_torch",
    "nn.activations": "Activation",
    "nn.losses": "Loss huber",
    "nn.network": "MLP",
    "nn.optimizers": "SGD Adam AdamW",
    "saving.checkpoint": "Checkpoint",
    "saving.model": "load load_model",
    "tables.npy": "RowFile",
    "training.callbacks": "EarlyStopping",
    "training.history": "History",
    "training.fit": "fit",
    "training.many": "fit_many",
    "training.skill": "NoSkillWarning",
}
_MODULE_OF = {name: module for module, names in _NAMES_OF.items() for name in names.split()}

__all__ = sorted(_MODULE_OF)


def __getattr__(name: str) -> object:
    if name in _MODULE_OF:
        value: object = getattr(import_module(f"xpnet.{_MODULE_OF[name]}"), name)
        globals()[name] = value  # found at once the next time
        return value
    if name in _ROOMS:
        return import_module(f"xpnet.{name}")
    raise AttributeError(f"module 'xpnet' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
