"""The options of what is done with a model file, of `devices` and of scripts, one line each."""

from collections.abc import Sequence
from dataclasses import dataclass

from xpnet.cli.parsing import (
    DATA,
    DECIMAL,
    DELIMITER,
    DEVICE,
    ENCODING,
    JSON,
    NO_HEADER,
    argument,
    option,
)

SCRIPT = "SCRIPT.py, NOTEBOOK.ipynb or -m MODULE, with its arguments."
MODEL = "A model file written by train."


@dataclass(frozen=True)
class ModelOptions:
    """What `predict` and `evaluate` take."""

    model: str = argument("MODEL", MODEL)
    data: str = argument("DATA", DATA)
    device: str = option("cpu", DEVICE)
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

    script: list[str] = argument("SCRIPT", SCRIPT)  # noqa: RUF009
    seconds: float | None = option(None, "Stop the script after so many seconds, and report.")
    quiet: bool = option(False, "Send what the script prints to SCRIPT.output.txt.")
    fix: bool = option(False, "Write SCRIPT.fixed.py, run it, and compare.")
    as_: list[str] | None = option(  # noqa: RUF009
        None, "ROLE=NAME,NAME: which values are weights, outputs, targets, loss; repeatable."
    )
    json: bool = option(False, JSON)


def names_script(arguments: Sequence[str]) -> bool:
    """Return whether arguments are ``doctor`` and a script: its first word's ending decides."""
    words = iter(arguments[1:] if arguments[:1] == ["doctor"] else ())
    for word in words:
        if word in ("--seconds", "--as"):
            next(words, "")
        elif word == "-m" or not word.startswith("-"):
            return word == "-m" or word.lower().endswith((".py", ".ipynb"))
    return False
