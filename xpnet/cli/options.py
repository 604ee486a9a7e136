"""Every option, in one line each. A command's options are a dataclass, whose docstring is its help.

The same object is parsed, used, written into reports, and turned back into a command.
"""

import json
import os
import shlex
from collections.abc import Callable, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields, replace
from functools import partial
from typing import Any, ClassVar, get_args, get_type_hints

import click

from xpnet.errors import FileError, InputError
from xpnet.tables.messages import without_password

LBFGS = "lbfgs"
OPTION_OF = {"learning_rate": "lr", "hidden": "activation", "max_iter": "epochs"}
"""The options that are called otherwise than the library's arguments and settings."""


def option(default: Any, help: str) -> Any:
    """Return the field of an option."""
    return field(default=default, metadata={"help": help})


def of_train(default: Any, help: str) -> Any:
    """Return the field of an option that `train` has, but `doctor` and `parity` have not."""
    return field(default=default, metadata={"help": help, "only": "train"})


def argument(name: str, help: str, default: Any = MISSING) -> Any:
    """Return the field of a positional argument."""
    return field(default=default, metadata={"help": help, "argument": name})


def reading(options: Any) -> dict[str, Any]:
    """Return what is given of the options of `read_table`."""
    names = ("encoding", "delimiter", "decimal", "sheet", "query")
    given = {name: getattr(options, name) for name in names}
    given["header"] = False if options.no_header else None
    return {name: value for name, value in given.items() if value is not None}


def flag(name: str) -> str:
    """Return the option of a field, such as --batch-size."""
    return "--" + name.rstrip("_").replace("_", "-")  # as_ is no keyword of Python's


DATA = "CSV, TSV (also .zip, .gz), NPY, NPZ, IDX, Parquet, JSON, Excel; - is CSV on standard input."
SHEET = "Sheet of an Excel file, if several have rows."
QUERY = "Of a database: the SQL that gives the rows."
JSON = "Print one JSON object on standard output."
DEVICE = "cpu, gpu or gpu:N."
ENCODING = "Encoding of CSV and TSV files; found if left out, like the next three."
DELIMITER = "Delimiter of CSV files."
DECIMAL = "Decimal sign of CSV and TSV files"
NO_HEADER = "CSV and TSV files have no line of names; columns are x0, x1, ..."
MODEL = "A model file written by train."
DTYPE = "float32 or float64."
NETS = "Networks of different seeds and validation rows whose predictions are averaged, or auto."
SIMPLE = "The textbook network: relu, Adam, no dropout, one network, the last epoch's weights."
ONE_THREAD = "Use one BLAS thread: the same bits on any number of processors, but slower."
ENCODE = (
    "Numbers: plain, ple (also in bins, piecewise linear), or auto: ple from 1,000 rows, if better."
)
CONFIG = "TOML file of options, such as lr = 0.01; what the command line says comes first."
CHUNKS = "Under mpiexec: parts of a batch, added in one order (default 4), or 0: MPI's Allreduce."
GROUPS = "Column, such as of patients, whose rows are held out together; it is no input."
LOOK = "Seconds that looking may take besides half the script's own; 0.7, with --fix 4."
POLICIES = "Missing cells: impute (the default; at prediction, too), drop (the rows) or error."


@dataclass(frozen=True)
class TrainOptions:
    """Train a network on a table and save it."""

    data: str = argument("DATA", DATA)
    target: str | None = option(None, "Column to predict, or several: a,b; of NPY, IDX the file.")
    out: str | None = of_train(None, "Model file; by default DATA's name with .safetensors.")
    task: str = option("auto", "auto, binary, multiclass or regression.")
    validation: str = option("0.2", "Share of rows to hold out (0: none), or a file of rows.")
    validation_target: str | None = option(None, "File of targets for validation rows in NPY, IDX.")
    simple: bool = option(False, SIMPLE)
    hidden: str = option(None, "Units of each hidden layer, 128,128 by default; none: linear.")
    activation: str = option(None, "Of the hidden layers, silu by default: one for all, or each.")
    nets: str = of_train(None, NETS)
    init: str = option("auto", "Rule for the initial weights.")
    optimizer: str = option(None, "adamw, adam, sgd, or lbfgs (all rows at once; needs SciPy).")
    lr: float | None = option(None, "Learning rate; 0.002 by default, 0.03 for sgd.")
    momentum: float = option(0.9, "Momentum, for sgd.")
    nesterov: bool = option(False, "Nesterov momentum, for sgd.")
    schedule: str = option(None, "constant, step, linear, cosine, inverse, plateau or warmup.")
    steps: int | None = option(None, "Steps of training; the best epoch of 50 is kept.")
    epochs: int | None = option(None, "Passes over the data, instead of --steps.")
    batch_size: int | None = option(None, "Rows per step; 32 to 128 by default.")
    l1: float = option(0.0, "Penalty l1 * sum(|w|).")
    l2: float = option(None, "Penalty l2/2 * sum(w**2); 0 by default.")
    dropout: float = option(None, "Share of hidden units dropped in training: 0.3, or 0 if better.")
    clip_norm: float | None = option(None, "Upper limit of the gradient's norm.")
    loss: str = option("auto", "By default the usual one for the task.")
    class_weight: str | None = option(None, "balanced: classes count equally, rare ones too.")
    early_stopping: bool = option(False, "Stop when the validation loss no longer falls.")
    patience: int = option(10, "Epochs that --early-stopping waits for.")
    missing: str | None = option(None, POLICIES)
    strict: bool = option(False, "Refuse all that would be decided about the table unasked.")
    drop: list[str] | None = option(None, "Column to leave out; repeatable.")  # noqa: RUF009
    keep: list[str] | None = option(None, "Column to use even if it seems of no use.")  # noqa: RUF009
    groups: str | None = option(None, GROUPS)
    raw: bool = option(False, "Do not standardise numbers.")
    encode: str = option(None, ENCODE)
    sheet: str | None = option(None, SHEET)
    query: str | None = option(None, QUERY)
    encoding: str | None = option(None, ENCODING)
    delimiter: str | None = option(None, DELIMITER)
    decimal: str | None = option(None, f"{DECIMAL}.")
    no_header: bool = option(False, NO_HEADER)
    stream: bool = of_train(False, "Read the rows from disk, CSV and Parquet by a temporary file.")
    cache: str | None = of_train(None, "Directory for that file; DATA's by default.")
    device: str = option("cpu", DEVICE)
    dtype: str = option("float32", DTYPE)
    seed: int = option(0, "Seed of every random draw.")
    deterministic: bool = option(False, ONE_THREAD)
    compile: str = option("auto", "on, off, or auto: compile the steps of long runs (needs numba).")
    chunks: int | None = of_train(None, CHUNKS)
    plot: str | None = of_train(None, "Plot of the losses to write: .png, .svg or .pdf.")
    report: str | None = of_train(None, "Report to write, one HTML file (needs the extra report).")
    checkpoint: str | None = of_train(None, "Directory for checkpoints.")
    checkpoint_every: str = of_train("1 epoch", "Or '30 seconds', '100 steps'.")
    resume: bool = of_train(False, "Continue from the newest checkpoint.")
    json: bool = option(False, JSON)
    config: str | None = option(None, CONFIG)
    save_config: str | None = of_train(None, "TOML file to write the given options to.")

    def with_recipe(self) -> "TrainOptions":
        """Fill in options that are not given, and whose defaults `--simple` or L-BFGS decide."""
        recipe = TEXTBOOK if self.simple or self.optimizer == LBFGS else RECIPE
        unset = {name: each for name, each in recipe.items() if getattr(self, name) is None}
        return replace(self, **unset)

    def as_command(self) -> str:
        """Return the `xpnet train` command with these options, ready for a shell."""
        words = ["xpnet", "train", without_password(self.data)]
        for name, value in self.given():
            for item in value if isinstance(value, list) else [value]:
                words += [name] if item is True else [name, str(item)]
        return shlex.join(words)

    def as_toml(self) -> str:
        """Return these options as TOML, which `--config` reads."""
        values = [("data", self.data), *((name[2:], value) for name, value in self.given())]
        # A number or text of JSON is one of TOML, too.
        lines = (f"{name} = {json.dumps(each, ensure_ascii=False)}\n" for name, each in values)
        return "".join(lines)

    def given(self) -> list[tuple[str, Any]]:
        """Return the options that differ from the defaults, with their values."""
        apart = ("data", "json", "config", "save_config")
        named = [each for each in fields(TrainOptions) if each.name not in apart]
        values = ((flag(each.name), getattr(self, each.name), each.default) for each in named)
        return [(name, value) for name, value, default in values if value != default]


RECIPE: dict[str, Any] = {
    "hidden": "128,128", "activation": "silu", "optimizer": "adamw", "schedule": "cosine",
    "l2": 0.0, "dropout": 0.3, "encode": "auto", "nets": "auto",
}  # fmt: skip
TEXTBOOK: dict[str, Any] = {
    "hidden": "64,64", "activation": "relu", "optimizer": "adam", "schedule": "linear",
    "l2": 0.001, "dropout": 0.0, "encode": "plain", "nets": "1",
}  # fmt: skip


@dataclass(frozen=True)
class DoctorOptions(TrainOptions):
    """Explain why a network does not learn on a table.

    A script of your own: `xpnet doctor script.py [arguments]`; `xpnet doctor x.py --help`.
    """

    LEFT_OUT: ClassVar = ()


@dataclass(frozen=True)
class ParityOptions(TrainOptions):
    """Compare the same training on NumPy and on another device."""

    LEFT_OUT: ClassVar = (
        "validation", "validation_target", "optimizer", "nesterov", "schedule", "epochs",
        "clip_norm", "class_weight", "early_stopping", "patience", "deterministic", "compile",
        "json", "simple", "groups",
    )  # fmt: skip

    data: str = argument("[DATA]", "As for train; generated if left out.", "")
    steps: int = option(10, "Training steps to compare, 1 to 10.")
    lr: float = option(0.1, "Learning rate of SGD.")
    momentum: float = option(0.0, "Momentum of SGD.")
    dtype: str = option("float64", DTYPE)
    validation: str = "0"
    optimizer: str = "sgd"
    simple: bool = True


_TO_READ = ("data", "target", "task", "missing", "drop", "keep", "sheet", "query", "encoding",
            "delimiter", "decimal", "no_header")  # fmt: skip


@dataclass(frozen=True)
class PlaygroundOptions(TrainOptions):
    """Open a page on which a small network learns and the doctor says what is wrong with it."""

    LEFT_OUT: ClassVar = [e.name for e in fields(TrainOptions) if e.name not in _TO_READ]

    data: str = argument("[DATA]", "As for train; without, sets of points to choose from.", "")
    validation: str = "0"
    optimizer: str = "sgd"
    simple: bool = True
    dtype: str = "float64"
    port: int = option(8642, "Port on 127.0.0.1; 0 is any that is free.")
    no_browser: bool = option(False, "Only print the page's address.")


RANGE = "; or a range, such as 1e-4..1e-1 (two for each power of ten) or 1e-4..1e-1:9 (nine)."


@dataclass(frozen=True)
class SweepOptions(TrainOptions):
    """Try settings of `train` on a table, all combinations at once, and say which is best.

    Several values may follow --hidden, --activation, --lr, --l2 and --dropout.
    """

    LEFT_OUT: ClassVar = ("config",)

    hidden: list[str] | None = option(None, "Layers, such as 16,16 32 none.")  # type: ignore[assignment]  # noqa: RUF009
    activation: list[str] | None = option(None, "Activations.")  # type: ignore[assignment]  # noqa: RUF009
    lr: list[str] | None = option(None, f"Learning rates{RANGE}")  # type: ignore[assignment]  # noqa: RUF009
    l2: list[str] | None = option(None, f"Penalties{RANGE}")  # type: ignore[assignment]  # noqa: RUF009
    dropout: list[str] | None = option(None, "Shares.")  # type: ignore[assignment]  # noqa: RUF009
    seeds: int | None = option(None, "Networks of each candidate, as --nets of train.")
    out: str | None = option(None, "File of finished candidates, where the sweep is continued.")
    plot: str | None = option(None, "Plot of the results to write: .png, .svg or .pdf.")
    scheduler: str | None = option(None, "Dask cluster to train on: tcp://HOST:8786.")


SWEPT = ("hidden", "activation", "lr", "l2", "dropout")


def repeated(arguments: Sequence[str]) -> list[str]:
    """Repeat an option of `sweep` before each of its values, as the parser needs it.

    A file that exists is the table, and no value.
    """
    words, name = list[str](), ""
    for word in arguments:
        if word.startswith("-") or os.path.exists(word):
            name = ""
        elif name and words[-1] != name:
            words.append(name)
        name = word if word in map(flag, SWEPT) else name
        words.append(word)
    return words


@dataclass(frozen=True)
class ModelOptions:
    """What `predict` and `evaluate` take."""

    model: str = argument("MODEL", MODEL)
    data: str = argument("DATA", DATA)
    device: str = option("cpu", DEVICE)
    sheet: str | None = option(None, SHEET)
    query: str | None = option(None, QUERY)
    encoding: str | None = option(None, ENCODING)
    delimiter: str | None = option(None, DELIMITER)
    decimal: str | None = option(None, f"{DECIMAL}; by default as in training.")
    no_header: bool = option(False, NO_HEADER)
    json: bool = option(False, JSON)


@dataclass(frozen=True)
class PredictOptions(ModelOptions):
    """Predict each row of a table."""

    out: str | None = option(None, ".csv, .tsv or .parquet; standard output by default.")
    spread: bool = option(False, "Also say how far the networks of --nets are apart.")
    features: str | None = option(None, "Array of an NPZ file with the rows; by default x.")


@dataclass(frozen=True)
class EvaluateOptions(ModelOptions):
    """Evaluate a model on a table."""

    target: str | None = option(None, "File with the targets (NPY, IDX), or their array (NPZ).")
    importance: bool = option(False, "Also show how far the score falls if a column is shuffled.")


@dataclass(frozen=True)
class ReportOptions(ModelOptions):
    """Write a report of a model as one HTML file, with figures of a table if one is given."""

    LEFT_OUT: ClassVar = ("json",)

    data: str = argument("[DATA]", DATA, "")
    target: str | None = option(None, "File with the targets (NPY, IDX), or their array (NPZ).")
    out: str | None = option(None, "HTML file; by default MODEL's name with .html.")


@dataclass(frozen=True)
class InspectOptions:
    """Show what a model file holds."""

    model: str = argument("MODEL", MODEL)
    json: bool = option(False, JSON)


@dataclass(frozen=True)
class ExportOptions:
    """Write a model for other programs: as ONNX, or as Python that needs NumPy alone."""

    model: str = argument("MODEL", MODEL)
    out: str | None = option(None, "File to write; by default MODEL's name with .onnx or .py.")
    numpy: bool = option(False, "Write a Python program instead of ONNX.")


@dataclass(frozen=True)
class DevicesOptions:
    """Show what this machine computes with."""

    json: bool = option(False, JSON)


@dataclass(frozen=True)
class ScriptOptions:
    """Run a script, a notebook or -m MODULE unchanged, and explain why its network does not learn.

    It runs with your rights, in the current folder, as with python. What follows its name, other
    than the options below, are its own arguments; after --, everything is.
    """

    script: list[str] = argument(  # noqa: RUF009
        "SCRIPT", "SCRIPT.py, NOTEBOOK.ipynb or -m MODULE, with its arguments."
    )
    seconds: float | None = option(None, "Stop the script after so many seconds, and report.")
    look: float | None = option(None, LOOK)
    quiet: bool = option(False, "Send what the script prints to SCRIPT.output.txt.")
    fix: bool = option(False, "Write SCRIPT.fixed.py, run it, and compare.")
    as_: list[str] | None = option(  # noqa: RUF009
        None, "ROLE=NAME,NAME: which values are weights, outputs, targets, loss; repeatable."
    )
    report: str | None = option(None, "Also write the report as one HTML file.")
    json: bool = option(False, JSON)


def names_script(arguments: Sequence[str]) -> bool:
    """Return whether arguments are ``doctor`` and a script, by the ending of its first word."""
    words = iter(arguments[1:] if arguments[:1] == ["doctor"] else ())
    for word in words:
        if word in ("--seconds", "--look", "--as", "--report"):
            next(words, "")
        elif word == "-m" or not word.startswith("-"):
            return word == "-m" or word.lower().endswith((".py", ".ipynb"))
    return False


def parsed_fields(options: type) -> "list[Field[Any]]":
    """Return the fields that the command line sets."""
    left_out = getattr(options, "LEFT_OUT", None)
    found = [each for each in fields(options) if each.metadata]
    if left_out is not None:  # `doctor` and `parity` write no files
        found = [e for e in found if e.name not in left_out and "only" not in e.metadata]
    return found


class Command(click.Command):
    """A command whose help also explains the arguments."""

    explained: Sequence[tuple[str, str]] = ()

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the arguments, then the options."""
        if self.explained:
            with formatter.section("Arguments"):
                formatter.write_dl(self.explained)
        super().format_options(ctx, formatter)


def parser(name: str, options: type, command: Callable[[Any], Any], **how: Any) -> Command:
    """Return a command whose parameters are the fields of a dataclass.

    It returns a function that runs the command on such an object: Click only parses. Empty texts,
    such as an unset variable of the shell, are refused.
    """
    known, hints = parsed_fields(options), get_type_hints(options)

    def parse(**given: Any) -> Callable[[], Any]:
        for name, value in given.items():
            if isinstance(value, tuple):
                given[name] = list(value) or None
            if value in ("", ("",)) and name not in ("data", "model", "script"):
                raise InputError(f"{flag(name)} '': it is empty; give a value, or leave it out")
        return partial(command, options(**given))

    parameters = [_parameter(each, hints[each.name]) for each in known]
    made = Command(name, params=parameters, callback=parse, help=options.__doc__, **how)
    arguments = [each.metadata for each in known if "argument" in each.metadata]
    made.explained = [(each["argument"], each["help"]) for each in arguments]
    return made


def _read_config(context: click.Context, _: click.Parameter, path: str | None) -> str | None:
    """Make the values of a TOML file the defaults of a command's options."""
    if path:
        import tomllib

        try:
            with open(path, "rb") as file:
                values = tomllib.load(file)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise FileError(f"--config {path}: it cannot be read: {reason}") from error
        known = {flag(each.name)[2:]: each.name for each in fields(TrainOptions)}
        for name in values:
            if name not in known:
                raise FileError(f"--config {path}: {name!r} is no option of train")
        context.default_map = {known[name]: value for name, value in values.items()}
    return path


def _parameter(each: "Field[Any]", hint: Any) -> click.Parameter:
    kinds = {hint, *get_args(hint)}  # X, or X and None
    several, config = list[str] in kinds, each.name == "config"
    kind = next((one for one in (bool, int, float) if one in kinds), str)
    if "argument" in each.metadata:
        optional = {} if each.default is MISSING else {"default": each.default}
        return click.Argument(
            [each.name], metavar=each.metadata["argument"], nargs=-1 if several else 1,
            required=not optional, **optional,
        )  # fmt: skip
    return click.Option(
        [each.name, flag(each.name)], help=each.metadata["help"], default=each.default,
        show_default=True, type=kind, is_flag=kind is bool, multiple=several, is_eager=config,
        callback=_read_config if config else None,
    )  # fmt: skip
