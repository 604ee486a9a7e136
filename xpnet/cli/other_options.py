"""The options of `predict`, `evaluate`, `inspect` and `devices`, one line each."""

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
class DevicesOptions:
    """Show what this machine computes with."""

    json: bool = option(False, JSON)
