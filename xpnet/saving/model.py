"""Model files, version 4: a network, how its inputs are prepared, how it was trained.

    fields   architecture   MLP.config()
             preprocessing  Preprocessing.to_dict(): columns with their types, classes; or null
             training       a summary of the training; or null
             other_seeds    of several networks that differ in nothing else, those after the first
    tensors  weights.0, biases.0, weights.1, ...; of the second network net2.weights.0, ...

See `xpnet.saving.container` for what surrounds them. Any change that an older xpnet would misread
must raise FORMAT_VERSION; files of every earlier version stay readable. Version 2 has more kinds of
columns, and names of those left out; version 3 has bins of numbers, logarithms of
targets, and several networks; version 4 has several targets, effects of texts, and numbers that
stand for nothing.
"""

import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xpnet.backend.device import Device, to_host
from xpnet.errors import FileError, InputError, SaveError, XpnetError
from xpnet.nn.network import MLP
from xpnet.saving.container import (
    Arrays,
    PathLike,
    Refuse,
    read_container,
    refusal,
    write_container,
)

FORMAT_VERSION = 4


@dataclass(frozen=True)
class Model:
    """The content of a model file.

    Attributes
    ----------
    net : MLP
    preprocessing : Preprocessing or None
        Turns a raw table into the network's inputs, and its outputs into classes.
    training : dict or None
        A summary of the training, as JSON values; None if the network was saved by `MLP.save`.
    library_version : str
        The version of xpnet that wrote the file.
    other_nets : tuple of MLP
        Networks with other seeds, whose outputs are averaged with those of `net`.
    format_version : int
        The version of the file's format.
    """

    net: MLP
    preprocessing: Any
    training: dict[str, Any] | None
    library_version: str
    other_nets: tuple[MLP, ...] = ()
    format_version: int = FORMAT_VERSION

    def outputs(self, x: Any) -> Any:
        """Return the networks' mean outputs, (n, outputs), for prepared inputs, (n, inputs)."""
        return mean_outputs((self.net, *self.other_nets), x)

    @property
    def _plan(self) -> Any:
        """How tables are prepared: `preprocessing`, or an error if there is none."""
        if self.preprocessing is None:
            raise InputError("the model holds only a network; use model.net.predict(x)")
        return self.preprocessing

    @property
    def reading(self) -> dict[str, Any]:
        """The options with which `read_table` reads files like the one in training."""
        options, plan = (self.training or {}).get("options"), self._plan
        known = options if isinstance(options, dict) else {}
        return {
            "decimal": "," if known.get("decimal") == "," else None,
            "header": False if known.get("no_header") is True else None,
            "columns": [each.name for each in plan.columns],
            **plan.reading,
        }

    def predict(self, table: Any, *, spread: bool = False, **reading: Any) -> Any:
        """Return the columns that `xpnet predict` writes: class and probabilities, or value.

        Parameters
        ----------
        table : path, data frame, dict of columns, or array (rows, columns)
            Raw, as before `xpnet train` prepared it; an array has the columns in the same order,
            without the target.
        spread : bool
            Also return how far the networks are apart, in a column of its own.
        encoding, delimiter, decimal : str, optional
            For CSV and TSV files; see the command.
        features, sheet, query : str, optional
            The array of an NPZ file with the rows to predict, by default x; the sheet of an Excel
            file; the SQL query for a database.

        Returns
        -------
        data frame of pandas or Polars, if `table` is one; else dict of str to array
            One entry for each row.

        Raises
        ------
        InputError
            If the table does not fit, or the network was saved without preprocessing.
        InputTypeError
            If it is of another kind.

        Warns
        -----
        UserWarning
            Of what the command notes: cells imputed, unseen or far from training, columns ignored.
        """
        from xpnet.tables.parquet import frame_like

        columns, notes = self.columns(self._read(table, reading), spread=spread)
        for note in notes:
            warnings.warn(note, stacklevel=2)
        return frame_like(table, columns)

    def importance(
        self, table: Any, *, repeats: int = 5, seed: int = 0, **reading: Any
    ) -> dict[str, tuple[float, float]]:
        """Return by how much the score falls if a column is shuffled, the largest first.

        The score is the accuracy, or R2 for numbers; each column has the mean and the standard
        deviation over the repeats. At most 5,000 rows are used. Errors are those of `predict`.

        Parameters
        ----------
        table, reading
            As for `predict`, with the target; of an NPZ file its name is ``target``.
        repeats : int, from 1
        seed : int
        """
        from xpnet.tables.scores import permutation_importance

        data, plan = self._read(table, reading), self._plan
        judged = self.judge(data, plan.complete_rows(data, target=True))
        return permutation_importance(plan, judged.predict, judged.x, judged.y, repeats, seed)

    def judge(self, table: Any, rows: Any = None) -> "Judged":
        """Predict rows, by default all, of a table with the target; return all that scores need."""
        plan = self._plan
        y = plan.encode_target(table, rows)
        x = plan.transform(table, rows, dtype=self.net.dtype)
        return Judged(x, self.outputs(x), y, lambda x, rows: self.outputs(x))

    def to_onnx(self, path: Any = None) -> Any:
        """Return an `onnx.ModelProto` that takes raw columns, and write it to a path if given.

        A table's columns are inputs (n, 1) by their names: texts, or float64 with NaN where a cell
        is missing; an array is one input ``x``. Outputs are ``label`` (n,) and ``probabilities``
        (n, classes), or ``value`` (n, targets), those of `predict` to about 1e-6: networks compute
        in float32. A row that `predict` would refuse gives NaN.

        Raises
        ------
        InputError
            For what ONNX cannot hold: columns of dates, several targets of classes, your own
            activations; without the extra.
        SaveError
            If the file cannot be written.
        """
        from xpnet.interchange.onnx import to_onnx

        return to_onnx(self, path)

    def to_numpy_source(self, path: Any = None) -> str:
        """Return a Python program that predicts with NumPy alone, and write it to a path if given.

        Its ``predict(table)`` takes a dict of columns; as a program it reads a CSV file. Errors are
        those of `to_onnx`, but columns of dates can be exported.
        """
        from xpnet.interchange.numpy_source import to_numpy_source

        return to_numpy_source(self, path)

    def _read(self, table: Any, reading: dict[str, Any]) -> Any:
        from xpnet.tables.table import read_table, table_of

        if not isinstance(table, str | os.PathLike):
            return table_of(table, self._plan)
        given = {name: each for name, each in reading.items() if each is not None}
        return read_table(table, **self.reading | given)

    def columns(self, table: Any, *, spread: bool = False) -> tuple[dict[str, Any], list[str]]:
        """Return the result of `predict` for a table already read, and the notes.

        With `spread`, a last column says how far the networks are apart: the standard deviation of
        their values, or of the probabilities that they give to the predicted class.
        """
        plan = self._plan
        notes, x = plan.notes(table), plan.transform(table, dtype=self.net.dtype)
        columns = plan.decode(self.outputs(x))
        if spread:
            outputs = np.stack([net.predict(x) for net in (self.net, *self.other_nets)])
            if plan.task == "regression":
                outputs = plan.values(outputs)
            mean, deviation = outputs.mean(axis=0), outputs.std(axis=0)
            if len(plan.targets) == 1:
                chosen = np.argmax(mean, axis=1)[:, None]
                deviation = np.take_along_axis(deviation, chosen, axis=1)
            columns |= {f"spread of {t}": s for t, s in zip(plan.targets, deviation.T, strict=True)}
        return columns, notes


@dataclass(frozen=True)
class Judged:
    """Rows that a model is judged on: inputs (n, inputs), its outputs, targets (n,).

    `predict` takes changed inputs of some of the rows, and the numbers of these rows.
    """

    x: Any
    outputs: Any
    y: Any
    predict: Callable[[Any, Any], Any]


def save_model(
    path: PathLike,
    net: MLP,
    *,
    preprocessing: Any = None,
    training: Mapping[str, Any] | None = None,
    other_nets: Sequence[MLP] = (),
) -> None:
    """Write a model file in one atomic step; equal models give equal bytes.

    `other_nets` differ from `net` only in their seeds; `training` is a summary to keep with them.
    Raises `SaveError` if the file cannot be written, or not be loaded again, because of activations
    of your own or weights that are not finite; a previous file is kept. Raises `InputError` if
    `training` holds what JSON cannot represent.
    """
    tensors = network_tensors(net)
    for number, other in enumerate(other_nets, 2):
        tensors |= {f"net{number}.{name}": v for name, v in network_tensors(other).items()}
    for name, array in tensors.items():
        if not np.isfinite(array).all():
            raise SaveError(
                f"{os.fspath(path)}: not saved: {name} holds NaN or infinity, so the training"
                " diverged; train again with a smaller learning rate."
            )
    refuse_own_activations(net, SaveError, f"{os.fspath(path)}: not saved: ")
    fields = {
        "architecture": net.config(),
        "preprocessing": None if preprocessing is None else preprocessing.to_dict(),
        "training": None if training is None else dict(training),
    }
    if other_nets:
        fields["other_seeds"] = [each.seed for each in other_nets]
    write_container(path, "model", FORMAT_VERSION, fields, tensors)


def load_model(path: PathLike, device: str | Device = "cpu") -> Model:
    """Read a model file onto ``"cpu"``, ``"gpu"``, ``"gpu:N"`` or a `Device`.

    This runs no code from the file, opens no other file, and needs memory in proportion to its
    size. Raises `FileError` for a file that is damaged or no model, and `DeviceError` if the device
    cannot be used.
    """
    refuse = refusal(path, "the file was not written by xpnet's save, or has been changed since")
    fields, tensors = read_container(path, "model", FORMAT_VERSION)
    net, *others = _networks(fields, tensors, device, refuse)
    preprocessing = fields.get("preprocessing")
    if preprocessing is not None:
        from xpnet.tables.preprocessing import Preprocessing

        try:
            preprocessing = Preprocessing.from_dict(preprocessing)
        except FileError as error:
            refuse("preprocessing", str(error).removeprefix("preprocessing.").rstrip("."))
    training, library = fields.get("training"), fields.get("library", "unknown")
    return Model(net, preprocessing, training, library, tuple(others), fields["format_version"])


def load(path: PathLike, device: str | Device = "cpu") -> MLP:
    """Read only the network of a model file; parameters and errors are those of `load_model`.

    Warns if the file also holds the preprocessing of a table, as those of `xpnet train` do, since
    the network alone takes prepared inputs.
    """
    model = load_model(path, device)
    if model.preprocessing is not None:
        warnings.warn(
            f"{os.fspath(path)}: this network takes inputs as `xpnet train` prepared them, not the "
            "raw table; for that use xpnet.load_model(path).predict(table)",
            stacklevel=2,
        )
    return model.net


def mean_outputs(nets: Sequence[MLP], x: Any) -> Any:
    """Return the mean of several networks' outputs, (n, outputs), for prepared inputs."""
    return sum(net.predict(x) for net in nets) / len(nets)


def refuse_own_activations(net: MLP, kind: type[XpnetError] = InputError, done: str = "") -> None:
    """Raise an error if an activation is the user's own function, which files cannot hold."""
    for each in (*net.hidden, net.output):
        if each.known_by is each:
            what = f"activation {each.name!r} is a function of your own, and files hold no code"
            raise kind(f"{done}{what}; use one of xpnet's, or save the weights.")


def refuse_several_classes(plan: Any) -> None:
    """Raise an error for several targets of classes, which exported files cannot hold."""
    if plan.more_targets and plan.task != "regression":
        raise InputError("several targets of classes are not exported; export a model of each")


def network_tensors(net: MLP) -> Arrays:
    """Return the parameters on the host by name: weights.0, biases.0, weights.1, ..."""
    tensors: Arrays = {}
    for layer, (weights, biases) in enumerate(zip(net.weights, net.biases, strict=True)):
        tensors |= {f"weights.{layer}": to_host(weights), f"biases.{layer}": to_host(biases)}
    return tensors


def parameters_in(
    tensors: Arrays, sizes: Sequence[int], dtype: str, refuse: Refuse
) -> tuple[list[NDArray[Any]], list[NDArray[Any]]]:
    """Return the weights and the biases of all layers; refuse tensors that do not fit the sizes."""
    shapes = list(pairwise(sizes))
    needed: dict[str, Any] = {f"weights.{i}": each for i, each in enumerate(shapes)}
    needed |= {f"biases.{i}": each[1:] for i, each in enumerate(shapes)}
    shapes_in = {name: each.shape for name, each in tensors.items()}
    if shapes_in != needed:
        names = sorted(e for e in needed.keys() | shapes_in if needed.get(e) != shapes_in.get(e))
        refuse(f"tensors {names!a:.80}", f"do not fit the layer sizes {sizes!a:.80}")
    for name, each in tensors.items():
        if each.dtype.name != dtype or not np.isfinite(each).all():
            refuse(
                f"tensor {name!r}",
                f"is {each.dtype}, or not finite; needed is {dtype!a:.80}",
            )
    ready = [tensors[name] for name in needed]
    return ready[: len(shapes)], ready[len(shapes) :]


def _networks(
    fields: dict[str, Any], tensors: Arrays, device: str | Device, refuse: Refuse
) -> list[MLP]:
    """Make all networks of a file; refuse anything that makes none."""
    nets: list[MLP] = []
    by_net: dict[str, Arrays] = {}
    for name, array in tensors.items():
        prefix = name[: name.find(".") + 1] if name.startswith("net") else ""
        by_net.setdefault(prefix, {})[name.removeprefix(prefix)] = array
    try:
        architecture, seeds = fields["architecture"], fields.get("other_seeds", [])
        for number, seed in enumerate([architecture["seed"], *seeds], 1):
            config = architecture | {"seed": seed}
            arrays = by_net.pop("" if number == 1 else f"net{number}.", {})
            # Before the network is made, which takes as much memory as the sizes say.
            parameters = parameters_in(arrays, config["sizes"], config["dtype"], refuse)
            nets.append(MLP(**config | {"init": "zeros"}, device=device))
            nets[-1].init = config["init"]
            nets[-1].set_parameters(*parameters)
    except (InputError, TypeError, KeyError) as error:
        refuse("architecture", f"is not of a network ({error!r:.200})")
    return nets
