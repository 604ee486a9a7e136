"""The options of `xpnet train`, one line each; `doctor` and `parity` take most of them."""

import shlex
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar

from xpnet.cli.parsing import (
    DATA,
    DECIMAL,
    DELIMITER,
    DEVICE,
    ENCODING,
    JSON,
    NO_HEADER,
    argument,
    flag,
    option,
)

LBFGS = "lbfgs"
DTYPE = "float32 or float64."
POLICIES = "Missing cells: impute (the default; at prediction, too), drop (the rows) or error."
ENCODE = (
    "Numbers: plain, ple (also in bins, piecewise linear), or auto: in bins from 1,000 rows on."
)
NETS = "Networks of different seeds and validation rows whose predictions are averaged, or auto."
STRICT = "Refuse all that would be decided about the table unasked."
SIMPLE = "The textbook network: relu, Adam, no dropout, one network, the last epoch's weights."
HIDDEN = "Units of each hidden layer, 128,128 by default; none for a linear model."
EPOCHS = "Passes over the data, instead of --steps."
STREAM = "Read the rows from disk, CSV and Parquet through a temporary file."
ONE_THREAD = "Use one BLAS thread: the same bits on any number of processors, but slower."
# `doctor` writes no files and streams no rows; `parity` takes some steps of SGD.
NOT_FOR_DOCTOR = (
    "nets", "out", "plot", "checkpoint", "checkpoint_every", "resume", "stream", "cache",
)  # fmt: skip
NOT_FOR_PARITY = (
    *NOT_FOR_DOCTOR, "validation", "validation_target", "optimizer", "nesterov", "schedule",
    "epochs", "clip_norm", "class_weight", "early_stopping", "patience", "deterministic", "compile",
    "json",
    "simple",
)  # fmt: skip


@dataclass(frozen=True)
class TrainOptions:
    """Train a network on a table and save it."""

    data: str = argument("DATA", DATA)
    target: str | None = option(None, "Column to predict; of NPY and IDX, the file of targets.")
    out: str | None = option(None, "Model file; by default DATA's name with .safetensors.")
    task: str = option("auto", "auto, binary, multiclass or regression.")
    validation: str = option("0.2", "Share of rows to hold out (0: none), or a file of rows.")
    validation_target: str | None = option(None, "File of targets for validation rows in NPY, IDX.")
    simple: bool = option(False, SIMPLE)
    hidden: str = option(None, HIDDEN)
    activation: str = option(None, "Of the hidden layers, silu by default: one for all, or each.")
    nets: str = option(None, NETS)
    init: str = option("auto", "Rule for the initial weights.")
    optimizer: str = option(None, "adamw, adam, sgd, or lbfgs (all rows at once; needs SciPy).")
    lr: float | None = option(None, "Learning rate; 0.002 by default, 0.03 for sgd.")
    momentum: float = option(0.9, "Momentum, for sgd.")
    nesterov: bool = option(False, "Nesterov momentum, for sgd.")
    schedule: str = option(None, "constant, step, linear, cosine, inverse, plateau or warmup.")
    steps: int | None = option(None, "Steps of training; the best epoch of 50 is kept.")
    epochs: int | None = option(None, EPOCHS)
    batch_size: int | None = option(None, "Rows per step; 32 to 128 by default.")
    l1: float = option(0.0, "Penalty l1 * sum(|w|).")
    l2: float = option(None, "Penalty l2/2 * sum(w**2); 0 by default.")
    dropout: float = option(None, "Share of hidden units dropped in training; 0.3 by default.")
    clip_norm: float | None = option(None, "Upper limit of the gradient's norm.")
    loss: str = option("auto", "By default the usual one for the task.")
    class_weight: str | None = option(None, "balanced: classes count equally, rare ones too.")
    early_stopping: bool = option(False, "Stop when the validation loss no longer falls.")
    patience: int = option(10, "Epochs that --early-stopping waits for.")
    missing: str | None = option(None, POLICIES)
    strict: bool = option(False, STRICT)
    drop: list[str] | None = option(None, "Column to leave out; repeatable.")  # noqa: RUF009
    keep: list[str] | None = option(None, "Column to use even if it seems of no use.")  # noqa: RUF009
    raw: bool = option(False, "Do not standardise numbers.")
    encode: str = option(None, ENCODE)
    encoding: str | None = option(None, ENCODING)
    delimiter: str | None = option(None, DELIMITER)
    decimal: str | None = option(None, f"{DECIMAL}.")
    no_header: bool = option(False, NO_HEADER)
    stream: bool = option(False, STREAM)
    cache: str | None = option(None, "Directory for that file; DATA's by default.")
    device: str = option("cpu", DEVICE)
    dtype: str = option("float32", DTYPE)
    seed: int = option(0, "Seed of every random draw.")
    deterministic: bool = option(False, ONE_THREAD)
    compile: str = option("auto", "on, off, or auto: compile the steps of long runs (needs numba).")
    plot: str | None = option(None, "Plot of the losses to write: .png, .svg or .pdf.")
    checkpoint: str | None = option(None, "Directory for checkpoints.")
    checkpoint_every: str = option("1 epoch", "Or '30 seconds', '100 steps'.")
    resume: bool = option(False, "Continue from the newest checkpoint.")
    json: bool = option(False, JSON)


RECIPE = {"hidden": "128,128", "activation": "silu", "optimizer": "adamw", "schedule": "cosine",
          "l2": 0.0, "dropout": 0.3, "encode": "auto",
          "nets": "auto"}  # fmt: skip
TEXTBOOK = {"hidden": "64,64", "activation": "relu", "optimizer": "adam", "schedule": "linear",
            "l2": 0.001, "dropout": 0.0, "encode": "plain",
            "nets": "1"}  # fmt: skip


def with_recipe(options: TrainOptions) -> TrainOptions:
    """Fill in the options that are not given and that `--simple` or L-BFGS decide on."""
    textbook = options.simple or options.optimizer == LBFGS
    recipe: dict[str, Any] = TEXTBOOK if textbook else RECIPE
    unset = {name: each for name, each in recipe.items() if getattr(options, name) is None}
    return replace(options, **unset)


@dataclass(frozen=True)
class DoctorOptions(TrainOptions):
    """Explain why a network does not learn on a table.

    A script of your own: `xpnet doctor script.py [arguments]`; `xpnet doctor x.py --help`.
    """

    LEFT_OUT: ClassVar[tuple[str, ...]] = NOT_FOR_DOCTOR


@dataclass(frozen=True)
class ParityOptions(TrainOptions):
    """Compare the same training on NumPy and on another device."""

    LEFT_OUT: ClassVar[tuple[str, ...]] = NOT_FOR_PARITY

    data: str = argument("[DATA]", "As for train; generated if left out.", "")
    steps: int = option(10, "Training steps to compare, 1 to 10.")
    lr: float = option(0.1, "Learning rate of SGD.")
    momentum: float = option(0.0, "Momentum of SGD.")
    dtype: str = option("float64", DTYPE)
    validation: str = "0"
    simple: bool = True


_TO_READ = ("data", "target", "task", "missing", "drop", "keep", "encoding", "delimiter", "decimal",
            "no_header")  # fmt: skip


@dataclass(frozen=True)
class PlaygroundOptions(TrainOptions):
    """Open a page on which a small network learns and the doctor says what is wrong with it."""

    LEFT_OUT: ClassVar[tuple[str, ...]] = tuple(
        each.name for each in fields(TrainOptions) if each.name not in _TO_READ
    )

    data: str = argument("[DATA]", "As for train; some sets of points are there without.", "")
    validation: str = "0"
    simple: bool = True
    dtype: str = "float64"
    port: int = option(8642, "Port on 127.0.0.1; 0 is any that is free.")
    no_browser: bool = option(False, "Only print the page's address.")


def as_command(options: TrainOptions) -> str:
    """Return the `xpnet train` command with these options, ready for a shell."""
    words = ["xpnet", "train", options.data]
    for each in fields(TrainOptions):
        value, name = getattr(options, each.name), flag(each.name)
        if value == each.default or each.name in ("data", "json"):
            continue
        for item in value if isinstance(value, list) else [value]:
            words += [name] if item is True else [name, str(item)]
    return shlex.join(words)
