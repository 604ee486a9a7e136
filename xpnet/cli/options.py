"""The options of the command line, as data: a frozen dataclass for the commands that share them.

A field is an option, its annotation says how Typer shows it, its default is the option's. So the
same object is parsed, used, written into reports, and turned back into a command.
"""

import inspect
import math
import shlex
from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from functools import partial
from typing import Annotated, Any, get_type_hints

from typer import Argument, Option

from xpnet.errors import InputError

Json = Annotated[bool, Option("--json", help="Print one JSON object on standard output.")]
Device = Annotated[str, Option(help="cpu, gpu or gpu:N.")]
Encoding = Annotated[str, Option(help="Encoding of CSV and TSV files.")]
Delimiter = Annotated[str | None, Option(help="Delimiter of CSV files, if it is not a comma.")]
DECIMAL = "Decimal sign of CSV and TSV files, if it is a comma."
Model = Annotated[str, Argument(metavar="MODEL", help="A model file written by train.")]
Data = Annotated[
    str, Argument(metavar="DATA", help="CSV, TSV, NPY or IDX file (each also .gz), Parquet or NPZ.")
]
Labels = Annotated[
    str | None, Option("--target", help="File with the targets (NPY, IDX), or their array (NPZ).")
]


@dataclass(frozen=True)
class TrainOptions:
    """What `train` takes, and `doctor` and `parity` too."""

    data: Data
    target: Annotated[
        str | None, Option(help="Column to predict; for NPY and IDX, the file with the targets.")
    ] = None
    out: Annotated[
        str | None, Option(help="Model file to write; by default DATA's name with .safetensors.")
    ] = None
    task: Annotated[str, Option(help="auto, binary, multiclass or regression.")] = "auto"
    validation: Annotated[
        str, Option(help="Share of the rows to hold out (0: none), or a file of validation rows.")
    ] = "0.2"
    validation_target: Annotated[
        str | None, Option(help="File with the targets of an NPY or IDX file of validation rows.")
    ] = None
    hidden: Annotated[
        str, Option(help="Units of each hidden layer, such as 64,64; none for a linear model.")
    ] = "64,64"
    activation: Annotated[
        str, Option(help="Activation of the hidden layers: one for all, or one for each.")
    ] = "relu"
    init: Annotated[str, Option(help="Rule for the initial weights.")] = "auto"
    optimizer: Annotated[
        str, Option(help="sgd, adam, adamw, or lbfgs (all rows at once; needs SciPy).")
    ] = "adam"
    lr: Annotated[float | None, Option(help="Learning rate; 0.003 by default, 0.03 for sgd.")] = (
        None
    )
    momentum: Annotated[float, Option(help="Momentum, for sgd.")] = 0.9
    nesterov: Annotated[bool, Option("--nesterov", help="Nesterov momentum, for sgd.")] = False
    schedule: Annotated[
        str, Option(help="constant, step, linear (to 0), cosine, inverse, plateau or warmup.")
    ] = "linear"
    epochs: Annotated[
        int | None,
        Option(
            help="Passes over the data; by default enough for about 1,000 steps (20 to 200). For "
            "lbfgs, the most iterations, by default 200."
        ),
    ] = None
    batch_size: Annotated[
        int | None, Option(help="Rows per step; by default 32, or 128 from 10,000 rows on.")
    ] = None
    l1: Annotated[float, Option("--l1", help="Penalty l1 * sum(|w|).")] = 0.0
    l2: Annotated[float, Option("--l2", help="Penalty l2/2 * sum(w**2).")] = 0.001
    dropout: Annotated[float, Option(help="Share of hidden units dropped in training.")] = 0.0
    clip_norm: Annotated[float | None, Option(help="Upper limit of the gradient's norm.")] = None
    loss: Annotated[str, Option(help="By default the usual one for the task.")] = "auto"
    class_weight: Annotated[
        str | None, Option(help="balanced: classes count equally, however many rows they have.")
    ] = None
    early_stopping: Annotated[
        bool,
        Option(
            "--early-stopping",
            help="Stop when the validation loss no longer improves; keep the best weights.",
        ),
    ] = False
    patience: Annotated[int, Option(help="Epochs without improvement before stopping.")] = 10
    missing: Annotated[
        str,
        Option(
            help="Missing cells: refuse, drop (the rows) or impute (the training mean, or no "
            "category). At prediction, a model trained with impute imputes; any other refuses."
        ),
    ] = "refuse"
    drop: Annotated[list[str] | None, Option(help="Column to leave out; repeatable.")] = None
    keep: Annotated[
        list[str] | None, Option(help="Column to use even if it looks like an identifier.")
    ] = None
    raw: Annotated[bool, Option("--raw", help="Do not standardise numbers.")] = False
    encoding: Encoding = "utf-8"
    delimiter: Delimiter = None
    decimal: Annotated[str, Option(help=DECIMAL)] = "."
    stream: Annotated[
        bool,
        Option(
            "--stream",
            help="Leave the rows on disk and read them in batches, CSV and Parquet from a "
            "temporary file; automatic if DATA is larger than an eighth of the free memory.",
        ),
    ] = False
    cache: Annotated[
        str | None, Option(help="Directory for that temporary file; beside DATA by default.")
    ] = None
    device: Device = "cpu"
    dtype: Annotated[str, Option(help="float32 or float64.")] = "float32"
    seed: Annotated[int, Option(help="Seed of every random draw.")] = 0
    deterministic: Annotated[
        bool,
        Option(
            "--deterministic",
            help="Use one BLAS thread, so that the bits do not depend on their number. Layers of "
            "1,000 units take 1.7 times as long.",
        ),
    ] = False
    plot: Annotated[str | None, Option(help="Plot of the losses to write: .png, .svg or .pdf.")] = (
        None
    )
    checkpoint: Annotated[str | None, Option(help="Directory for checkpoints.")] = None
    checkpoint_every: Annotated[str, Option(help="'5 epochs', '30 seconds' or '100 steps'.")] = (
        "1 epoch"
    )
    resume: Annotated[
        bool, Option("--resume", help="Continue from the newest checkpoint, to the same bits.")
    ] = False
    json: Json = False


@dataclass(frozen=True)
class DoctorOptions(TrainOptions):
    """What `doctor` takes: the options of a training run that goes badly."""

    repair: Annotated[
        bool,
        Option("--repair", help="Try the remedies, keep those that help, and print the command."),
    ] = False


_OF_FILES = ("out", "plot", "checkpoint", "checkpoint_every", "resume", "stream", "cache")

DOCTOR = tuple(each.name for each in fields(DoctorOptions) if each.name not in _OF_FILES)
"""What `doctor` has in common with `train`, and its own: it writes no files and streams no rows."""


@dataclass(frozen=True)
class ParityOptions(TrainOptions):
    """What `parity` takes: some of the options of `train`, with other defaults; see PARITY."""

    data: Annotated[
        str, Argument(metavar="[DATA]", help="As for train; generated if left out.")
    ] = ""
    steps: Annotated[int, Option(help="Training steps to compare, 1 to 10.")] = 10
    lr: Annotated[float, Option(help="Learning rate of SGD.")] = 0.1
    momentum: Annotated[float, Option(help="Momentum of SGD.")] = 0.0
    batch_size: Annotated[int, Option(help="Rows per step.")] = 32
    l2: Annotated[float, Option("--l2", help="Penalty l2/2 * sum(w**2).")] = 0.0
    dtype: Annotated[str, Option(help="float32 or float64.")] = "float64"
    validation: str = "0"


PARITY = (
    "data", "target", "task", "device", "dtype", "steps", "hidden", "activation", "init", "loss",
    "lr", "momentum", "batch_size", "l1", "l2", "dropout", "missing", "drop", "keep", "raw",
    "encoding", "delimiter", "decimal", "seed", "json",
)  # fmt: skip
"""What `parity` has in common with `train`: it compares steps of SGD."""


@dataclass(frozen=True)
class ModelOptions:
    """What `predict` and `evaluate` take."""

    model: Model
    data: Data
    device: Device = "cpu"
    encoding: Encoding = "utf-8"
    delimiter: Delimiter = None
    decimal: Annotated[
        str | None, Option(help="Decimal sign of CSV and TSV files; by default as in training.")
    ] = None
    json: Json = False


@dataclass(frozen=True)
class PredictOptions(ModelOptions):
    """What `predict` takes."""

    out: Annotated[
        str | None, Option(help=".csv, .tsv or .parquet to write; standard output by default.")
    ] = None
    features: Annotated[
        str | None, Option(help="Array with the rows to predict, of an NPZ file; by default x.")
    ] = None


@dataclass(frozen=True)
class EvaluateOptions(ModelOptions):
    """What `evaluate` takes."""

    target: Labels = None


@dataclass(frozen=True)
class InspectOptions:
    """What `inspect` takes."""

    model: Model
    json: Json = False


@dataclass(frozen=True)
class DevicesOptions:
    """What `devices` takes."""

    json: Json = False


def parser(
    options: type, command: Callable[[Any], Any], names: tuple[str, ...] = ()
) -> Callable[..., Callable[[], Any]]:
    """Return a function for Typer: its parameters are the fields of a dataclass, or some of them.

    Called with them, it returns the command, ready to be run: Typer only parses. Non-finite
    numbers and empty texts, such as an unset variable of the shell, make no sense in any option,
    and are refused before anything is read.
    """
    hints = get_type_hints(options, include_extras=True)
    known = [each for each in fields(options) if not names or each.name in names]
    hints = {each.name: hints[each.name] for each in known}
    optional = {each.name: each.default not in (MISSING, "") for each in known}

    def parse(**given: Any) -> Callable[[], Any]:
        for name, value in given.items():
            if isinstance(value, float) and not math.isfinite(value):
                raise InputError(f"{flag(name)} {value}: give a finite number")
            if optional[name] and (value == "" or (isinstance(value, list) and "" in value)):
                raise InputError(f"{flag(name)} '': it is empty; give a value, or leave it out")
        return partial(command, options(**given))

    parse.__annotations__ = hints
    parse.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            inspect.Parameter(
                each.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=inspect.Parameter.empty if each.default is MISSING else each.default,
                annotation=hints[each.name],
            )
            for each in known
        ]
    )
    return parse


def option_of(argument: str) -> str:
    """Return the name of the option that stands for an argument of the library."""
    return {"learning_rate": "lr", "hidden": "activation", "max_iter": "epochs"}.get(
        argument, argument
    )


def flag(name: str) -> str:
    """Write a field's name as its option."""
    return "--" + name.replace("_", "-")


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
