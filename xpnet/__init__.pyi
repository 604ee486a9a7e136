# The public names, for type checkers; `__init__.py` reads them from here, too.

from typing import Any

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

__version__: str
__all__: list[str]

def __getattr__(name: str) -> Any: ...  # a room, such as xpnet.nn
