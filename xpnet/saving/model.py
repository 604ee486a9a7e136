"""Model files, version 1: a network, how its inputs are prepared, how it was trained.

    fields   architecture   MLP.config()
             preprocessing  Preprocessing.to_dict(): columns with their types, classes; or null
             training       a summary of the training; or null
    tensors  weights.0, biases.0, weights.1, ...

See `xpnet.saving.container` for what surrounds them. Any change that an older xpnet would misread
must raise FORMAT_VERSION; files of every earlier version stay readable.
"""

import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.backend.device import DTYPES, Device
from xpnet.backend.files import quoted
from xpnet.errors import FileError, InputError, SaveError
from xpnet.nn.activations import ACTIVATIONS, HIDDEN, OUTPUTS
from xpnet.nn.network import MLP
from xpnet.saving.container import (
    Arrays,
    PathLike,
    Refuse,
    read_container,
    refusal,
    write_container,
)

FORMAT_VERSION = 1
_CONFIG_FIELDS = {"sizes", "hidden", "output", "init", "dtype", "seed", "dropout"}
_MEANING = "the file was not written by xpnet's save, or has been changed since"


@dataclass(frozen=True)
class Model:
    """What a model file holds.

    Attributes
    ----------
    net : MLP
    preprocessing : Preprocessing or None
        Turns a raw table into the network's inputs, and its outputs into classes.
    training : dict or None
        A summary of the training, as JSON values; None if the network was saved by `MLP.save`.
    library_version : str
        The version of xpnet that wrote the file.
    """

    net: MLP
    preprocessing: Any
    training: dict[str, Any] | None
    library_version: str

    @property
    def decimal(self) -> str:
        """The decimal sign of the table it was trained on, if that was a CSV or TSV file."""
        options = (self.training or {}).get("options")
        return "," if isinstance(options, dict) and options.get("decimal") == "," else "."

    def predict(
        self,
        table: Any,
        *,
        encoding: str = "utf-8",
        delimiter: str | None = None,
        decimal: str | None = None,
        features: str | None = None,
    ) -> dict[str, Any]:
        """Return the columns that `xpnet predict` writes: class and probabilities, or value.

        Parameters
        ----------
        table : path, data frame, dict of columns, or array (rows, columns)
            As it was before `xpnet train` prepared it; an array has the columns in their order,
            without the target.
        encoding, delimiter, decimal : str, optional
            Of CSV and TSV, as for the command.
        features : str, optional
            Of an NPZ file, the array with the rows to predict; by default x.

        Returns
        -------
        dict of str to array or list, of one entry for each row

        Raises
        ------
        InputError
            If the table does not fit, or the network was saved without preprocessing.
        InputTypeError
            If it is of another kind.
        """
        from xpnet.tables.given import given_table
        from xpnet.tables.table import read_table

        if self.preprocessing is None:
            raise InputError("the model holds only a network; use model.net.predict(x)")
        if not isinstance(table, str | os.PathLike):
            return self.columns(given_table(table, self.preprocessing))[0]
        columns = self.preprocessing.text_columns
        how: dict[str, Any] = {"encoding": encoding, "delimiter": delimiter, "features": features}
        how["decimal"] = decimal or self.decimal
        return self.columns(read_table(table, **how, as_texts=columns))[0]

    def columns(self, table: Any) -> tuple[dict[str, Any], list[str]]:
        """Return what `predict` does for a table already read, and notes on ignored columns."""
        plan = self.preprocessing
        notes = plan.notes(table)
        return plan.decode(self.net.predict(plan.transform(table, dtype=self.net.dtype))), notes


def save_model(
    path: PathLike,
    net: MLP,
    *,
    preprocessing: Any = None,
    training: Mapping[str, Any] | None = None,
) -> None:
    """Write a model file in one atomic step; equal models give equal bytes.

    Parameters
    ----------
    preprocessing : Preprocessing, optional
    training : mapping of JSON values, optional
        A summary to keep with the model.

    Raises
    ------
    SaveError
        If the file cannot be written, or the network could not be loaded again because of your
        own activation functions or weights that are not finite. A previous file is kept.
    InputError
        If `training` holds what JSON cannot represent, or an array that you put into the network
        does not fit. A previous file is kept.
    """
    tensors = network_tensors(net)
    for name, array in tensors.items():
        if not np.isfinite(array).all():
            raise SaveError(
                f"{os.fspath(path)}: not saved: {name} holds NaN or infinity, so the training"
                " diverged; train again with a smaller learning rate."
            )
    if (own := own_activation(net)) is not None:
        raise SaveError(
            f"{os.fspath(path)}: not saved: activation {own!r} is a function of your own, and"
            " model files hold no code; use one of xpnet's, or save the weights."
        )
    fields = {
        "architecture": net.config(),
        "preprocessing": None if preprocessing is None else preprocessing.to_dict(),
        "training": None if training is None else dict(training),
    }
    write_container(path, "model", FORMAT_VERSION, fields, tensors)


def load_model(path: PathLike, device: str | Device = "cpu") -> Model:
    """Read a model file onto `device`.

    Runs no code from the file, opens no other file, and needs memory in proportion to the file.

    Parameters
    ----------
    path : path
    device : str or Device
        ``"cpu"``, ``"gpu"``, ``"gpu:N"``.

    Returns
    -------
    Model

    Raises
    ------
    FileError
        For anything inconsistent; names the file, the field and what was found.
    DeviceError
        If the device cannot be used.
    """
    refuse = refusal(path, _MEANING)
    fields, tensors = read_container(path, "model", FORMAT_VERSION)
    if set(fields) != {"architecture", "preprocessing", "training", "library"}:
        refuse("fields", f"are {quoted(sorted(fields))}")
    config = _checked_config(fields["architecture"], refuse)
    check_tensors(config, tensors, refuse)
    try:
        net = MLP.from_config(config, *_in_order(config, tensors), device=device)
    except InputError as error:
        refuse("architecture", str(error))
    training = fields["training"]
    if not isinstance(training, dict | None):
        refuse("training", f"is {quoted(training)}, neither an object nor null")
    preprocessing = _preprocessing(fields["preprocessing"], config, refuse)
    return Model(net, preprocessing, training, fields["library"])


def load(path: PathLike, device: str | Device = "cpu") -> MLP:
    """Read only the network of a model file; see `load_model`.

    Warns if the file also holds the preprocessing of a table, as those of `xpnet train` do: the
    network alone takes prepared inputs.

    Parameters
    ----------
    path, device
        As for `load_model`.

    Returns
    -------
    MLP
    """
    model = load_model(path, device)
    if model.preprocessing is not None:
        warnings.warn(
            f"{os.fspath(path)}: this network takes inputs as `xpnet train` prepared them, not the "
            "raw table; for that use xpnet.load_model(path).predict(table)",
            stacklevel=2,
        )
    return model.net


def own_activation(net: MLP) -> str | None:
    """Return the name of an activation that is the user's own function, or None."""
    used = (*net.hidden, net.output)
    return next((each.name for each in used if ACTIVATIONS.get(each.name) != each), None)


def network_tensors(net: MLP) -> Arrays:
    """Return the parameters on the host by name: weights.0, biases.0, weights.1, ..."""
    tensors = {}
    for layer, (weights, biases) in enumerate(zip(net.weights, net.biases, strict=True)):
        tensors[f"weights.{layer}"] = np.asarray(net.device.get(weights))
        tensors[f"biases.{layer}"] = np.asarray(net.device.get(biases))
    return tensors


def _checked_config(config: object, refuse: Refuse) -> dict[str, Any]:
    """Refuse an architecture that `MLP.config` could not have written."""
    if not isinstance(config, dict) or set(config) != _CONFIG_FIELDS:
        refuse("architecture", f"must have {quoted(sorted(_CONFIG_FIELDS))}, is {quoted(config)}")
    sizes, hidden, dropout = config["sizes"], config["hidden"], config["dropout"]
    if not _is_list(sizes, lambda n: type(n) is int and 1 <= n < 2**31) or len(sizes) < 2:
        refuse("architecture.sizes", f"is {quoted(sizes)}, not two or more layer sizes from 1")
    checks = {
        "hidden": _is_list(hidden, HIDDEN.__contains__, len(sizes) - 2),
        "output": config["output"] in OUTPUTS if isinstance(config["output"], str) else False,
        "init": isinstance(config["init"], str),
        "dtype": isinstance(config["dtype"], str) and config["dtype"] in DTYPES,
        "seed": type(config["seed"]) is int and config["seed"] >= 0,
        "dropout": _is_list(
            dropout, lambda rate: type(rate) is float and 0.0 <= rate < 1.0, len(sizes) - 2
        ),
    }
    for name, good in checks.items():
        if not good:
            refuse(
                f"architecture.{name}",
                f"{quoted(config[name])} is unknown, out of range, or not one for each hidden"
                f" layer of sizes {quoted(sizes)}",
            )
    return config


def read_parameters(net: MLP, tensors: Arrays, refuse: Refuse) -> None:
    """Write a checkpoint's parameters into the network that it belongs to."""
    config = net.config()
    own = {name: array for name, array in tensors.items() if name.startswith(("weig", "bias"))}
    check_tensors(config, own, refuse)
    net.set_parameters(*_in_order(config, own))


def _in_order(config: dict[str, Any], tensors: Arrays) -> tuple[list[Any], list[Any]]:
    layers = range(len(config["sizes"]) - 1)
    # Copies, since PyTorch takes no read-only arrays.
    weights = [np.array(tensors[f"weights.{layer}"]) for layer in layers]
    return weights, [np.array(tensors[f"biases.{layer}"]) for layer in layers]


def check_tensors(config: dict[str, Any], tensors: Arrays, refuse: Refuse) -> None:
    """Refuse tensors that do not fit the architecture: names, shapes, types, finite values."""
    sizes = config["sizes"]
    shapes: dict[str, tuple[int, ...]] = {}
    for layer, (fan_in, fan_out) in enumerate(pairwise(sizes)):
        shapes[f"weights.{layer}"] = (fan_in, fan_out)
        shapes[f"biases.{layer}"] = (fan_out,)
    if missing := sorted(shapes.keys() - tensors.keys()):
        refuse(f"tensor {quoted(missing[0])}", f"is missing for layer sizes {quoted(sizes)}")
    if unknown := sorted(tensors.keys() - shapes.keys()):
        refuse(f"tensor {quoted(unknown[0])}", f"does not belong to layer sizes {quoted(sizes)}")
    for name, shape in shapes.items():
        _check_tensor(name, tensors[name], shape, config, refuse)


def _check_tensor(
    name: str, array: NDArray[Any], shape: tuple[int, ...], config: dict[str, Any], refuse: Refuse
) -> None:
    if array.shape != shape:
        refuse(
            f"tensor {name!r}",
            f"has shape {array.shape}, but layer sizes {quoted(config['sizes'])} need {shape}",
        )
    if array.dtype != config["dtype"]:
        refuse(f"tensor {name!r}", f"is {array.dtype}, but the network is {config['dtype']}")
    finite = np.isfinite(array)
    if not finite.all():
        place = tuple(int(i[0]) for i in np.nonzero(~finite))
        refuse(f"tensor {name!r}", f"holds {array[place]} at {list(place)}")


def _is_list(value: object, good: Any, length: int | None = None) -> bool:
    if not isinstance(value, list) or (length is not None and len(value) != length):
        return False
    return all(isinstance(each, str | int | float) and good(each) for each in value)


def _preprocessing(given: object, config: dict[str, Any], refuse: Refuse) -> Any:
    """Make the Preprocessing, which must fit the network's inputs and outputs."""
    if given is None:
        return None
    if not isinstance(given, dict):
        refuse("preprocessing", f"is {quoted(given)}, neither an object nor null")
    from xpnet.tables.preprocessing import Preprocessing

    try:
        preprocessing = Preprocessing.from_dict(given)
    except FileError as error:
        refuse("preprocessing", str(error).removeprefix("preprocessing.").rstrip("."))
    inputs, outputs = config["sizes"][0], config["sizes"][-1]
    if preprocessing.inputs != inputs:
        refuse(
            "preprocessing.columns",
            f"give {preprocessing.inputs} inputs, but the network has {inputs}",
        )
    if preprocessing.outputs != outputs:
        refuse(
            "preprocessing.classes",
            f"ask for {preprocessing.outputs} outputs, but the network has {outputs}",
        )
    return preprocessing
