"""What turns a table into the network's inputs and targets, and predictions back into a table.

It is fixed when a network is trained (`xpnet.preparing`), kept in the model file, and applied
unchanged to every table afterwards.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

import numpy as np

from xpnet.csv_tables import Text
from xpnet.errors import InputError
from xpnet.table_checks import explain_cell, is_number, plain, shown
from xpnet.tables import Table

Rows: TypeAlias = np.ndarray | None
"""Row numbers (int64), or None for all rows."""

Labels: TypeAlias = tuple[str | float, ...]
"""The classes of a target, or categories of a column: all texts or all numbers."""

TASKS = ("binary", "multiclass", "regression")
MISSING_POLICIES = ("refuse", "drop", "impute")
LAYOUTS = ("table", "matrix", "image")

_BLOCK = 1 << 21  # cells standardised at a time, in float64


@dataclass(frozen=True)
class Column:
    """One column: standardised by `mean` and `std`, or one-hot over its `categories`."""

    name: str
    mean: float = 0.0
    std: float = 1.0
    categories: tuple[str, ...] | None = None

    @property
    def inputs(self) -> int:
        """How many inputs of the network it fills."""
        return 1 if self.categories is None else len(self.categories)


@dataclass(frozen=True)
class Preprocessing:
    """From raw columns to inputs (n, inputs) and targets (n,), and from predictions back.

    Attributes
    ----------
    task : {"binary", "multiclass", "regression"}
    target : str
        The target's column.
    columns : tuple of Column
        In the order of the inputs.
    classes : tuple of str, or of float
        In the order of the class numbers; empty in a regression.
    target_mean, target_std : float
        Of a regression's target, which is standardised, too.
    missing : {"refuse", "drop", "impute"}
        What is done about missing cells: "impute" takes the training mean of a number, and no
        category of a text (as for a text never seen in training).
    layout : {"table", "matrix", "image"}
        "image": the matrix holds bytes, which are divided by 255.
    """

    task: str
    target: str
    columns: tuple[Column, ...]
    classes: Labels = ()
    target_mean: float = 0.0
    target_std: float = 1.0
    missing: str = "refuse"
    layout: str = "table"

    @property
    def inputs(self) -> int:
        """The number of the network's inputs."""
        return sum(column.inputs for column in self.columns)

    @property
    def outputs(self) -> int:
        """The number of the network's outputs."""
        return len(self.classes) if self.task == "multiclass" else 1

    def input_names(self) -> list[str]:
        """Name each input: the column, or column=category."""
        names = []
        for column in self.columns:
            given = column.categories
            names += [column.name] if given is None else [f"{column.name}={each}" for each in given]
        return names

    def check(self, table: Table) -> list[str]:
        """Refuse a table without the columns that are needed; return notes on what is ignored."""
        if (table.layout == "table") != (self.layout == "table"):
            kinds = {True: "named columns", False: "a plain array"}
            raise InputError(
                f"{table.path}: found {kinds[table.layout == 'table']}, but the model was trained "
                f"on {kinds[self.layout == 'table']}; give a table of that kind."
            )
        if self.layout == "image" and table.matrix.dtype != np.uint8:
            raise InputError(
                f"{table.path}: found {table.matrix.dtype}, but the model was trained on images "
                "in bytes, 0 to 255; give uint8."
            )
        lacking = [column.name for column in self.columns if column.name not in table.places]
        if lacking:
            listed = ", ".join(shown(name) for name in lacking[:10])
            raise InputError(
                f"{table.path}: {len(lacking)} of the {len(self.columns)} columns that the model "
                f"was trained on are missing: {listed}{', ...' if len(lacking) > 10 else ''}; "
                "add or rename them."
            )
        known = {self.target, *(column.name for column in self.columns)}
        extra = [name for name in table.names if name not in known]
        if extra and self.layout != "table":
            message = f"found {len(table.names)} columns, the model knows {len(self.columns)}"
            raise InputError(f"{table.path}: {message}; give the same columns as in training.")
        listed = ", ".join(extra[:10]) + (", ..." if len(extra) > 10 else "")
        return [f"columns the model does not know are ignored: {listed}"] if extra else []

    def complete_rows(self, table: Table, *, target: bool = False) -> np.ndarray:
        """Return the rows in which no cell that is used is missing; `target` counts it, too."""
        good = np.ones(table.rows, dtype=bool)
        for name in missing_cells(table, [column.name for column in self.columns]):
            good &= ~table.missing(name)
        if target:
            source, name = target_of(table, self.target)
            good &= ~source.missing(name)
        return np.flatnonzero(good)

    def transform(
        self, table: Table, rows: Rows = None, *, dtype: str = "float32"
    ) -> np.ndarray[Any, Any]:
        """Return the network's inputs, (rows, inputs).

        Raises
        ------
        InputError
            Names file, line, column, the text found and the remedy, where a cell is missing (unless
            imputed), no number, not finite, or a category that training did not see.
        """
        self.check(table)
        rows = np.arange(table.rows) if rows is None else rows
        if self.missing != "impute":
            names = [column.name for column in self.columns]
            refuse_missing(table, missing_cells(table, names, rows), _PREDICT_MISSING[self.missing])
        x = np.zeros((len(rows), self.inputs), dtype)
        offset, places, inputs = 0, [], []
        for column in self.columns:
            if column.categories is not None:
                self._encode(table, column, rows, x[:, offset : offset + column.inputs])
            else:
                refuse_text(table, column.name)
                places.append(column.name)
                inputs.append(offset)
            offset += column.inputs
        if places:
            self._standardise(table, places, np.asarray(inputs), rows, x)
        return x

    def _standardise(
        self, table: Table, names: list[str], inputs: np.ndarray, rows: np.ndarray, x: np.ndarray
    ) -> None:
        numbers = [column for column in self.columns if column.categories is None]
        mean = np.asarray([column.mean for column in numbers])
        std = np.asarray([column.std for column in numbers])
        step = max(_BLOCK // len(names), 1)
        for start in range(0, len(rows), step):
            part = rows[start : start + step]
            values = (numeric(table, names, part) - mean) / std
            if self.missing == "impute":
                values = np.where(np.isnan(values), 0.0, values)
            with np.errstate(over="ignore"):
                block = values.astype(x.dtype)
            if not np.isfinite(block).all():
                row, column = np.argwhere(~np.isfinite(block))[0]
                found = table.cell(part[row], names[column])
                raise InputError(
                    f"{table.place(part[row], names[column])}: found {found}, which is not finite "
                    "or too far from the numbers of the training; correct it."
                )
            x[start : start + step, inputs] = block

    def _encode(self, table: Table, column: Column, rows: np.ndarray, x: np.ndarray) -> None:
        """Write a text column's one-hot code into its inputs, `x` (rows, categories)."""
        codes = _codes(table, column.name, column.categories or (), rows)
        unseen = np.flatnonzero(codes == -2)
        if unseen.size and self.missing != "impute":
            row = rows[unseen[0]]
            listed = ", ".join(shown(each) for each in (column.categories or ())[:10])
            raise InputError(
                f"{table.place(row, column.name)}: found {shown(table.cell(row, column.name))}, "
                f"a category that training did not see ({len(unseen)} such cells); known are "
                f"{listed}; correct it, or train with --missing impute."
            )
        seen = np.flatnonzero(codes >= 0)
        x[seen, codes[seen]] = 1

    def encode_target(self, table: Table, rows: Rows = None) -> np.ndarray:
        """Return the targets (rows,): class numbers as int64, or standardised values as float64."""
        source, name = target_of(table, self.target)
        source.index(name, "target column")
        rows = np.arange(table.rows) if rows is None else rows
        refuse_missing(source, missing_cells(source, [name], rows), "fill it in or remove the row")
        if self.task == "regression":
            refuse_text(source, name)
            values = numeric(source, [name], rows)[:, 0]
            return np.asarray((values - self.target_mean) / self.target_std)
        codes = _codes(source, name, self.classes, rows)
        if (codes < 0).any():
            row = rows[np.flatnonzero(codes < 0)[0]]
            listed = ", ".join(shown(plain(each)) for each in self.classes[:10])
            raise InputError(
                f"{source.place(row, name)}: found {shown(source.cell(row, name))}, no class that "
                f"training saw; the classes are {listed}; correct the cell or remove the row."
            )
        return codes

    def decode(self, predictions: np.ndarray) -> dict[str, np.ndarray]:
        """Turn the network's outputs (n, outputs) into columns for people.

        Returns
        -------
        dict
            Of the target's name to the predicted classes or values; for classes also
            ``probability of CLASS`` for each.
        """
        outputs = np.asarray(predictions, dtype=np.float64)
        if self.task == "regression":
            return {self.target: outputs[:, 0] * self.target_std + self.target_mean}
        if self.task == "binary":
            outputs = np.stack([1.0 - outputs[:, 0], outputs[:, 0]], axis=1)
        labels = np.asarray(self.classes)
        if labels.dtype.kind == "f" and (np.abs(labels) < 2**53).all() and not (labels % 1).any():
            labels = labels.astype(np.int64)
        columns = {self.target: labels[np.argmax(outputs, axis=1)]}
        for index, label in enumerate(self.classes):
            columns[f"probability of {plain(label)}"] = outputs[:, index]
        return columns

    def to_dict(self) -> dict[str, Any]:
        """Return all of it in JSON's types; floats survive exactly."""
        columns = [
            {"name": column.name, "mean": column.mean, "std": column.std}
            if column.categories is None
            else {"name": column.name, "categories": list(column.categories)}
            for column in self.columns
        ]
        return {**asdict(self), "classes": list(self.classes), "columns": columns}

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> "Preprocessing":
        """Make it from `to_dict`'s result, believing nothing.

        Raises
        ------
        FileError
            Names the first field that cannot be.
        """
        from xpnet.preprocessing_checks import checked

        fields = checked(given)
        fields["columns"] = tuple(Column(**column) for column in fields["columns"])
        return cls(**fields)


_PREDICT_MISSING = {
    "refuse": "fill them in, or train with --missing impute",
    "drop": "fill them in, remove the rows, or train with --missing impute",
}


def target_of(table: Table, name: str) -> tuple[Table, str]:
    """Return the table and column where the target stands."""
    if table.labels is not None:
        return table.labels, table.labels.names[0]
    if table.layout != "table":
        raise InputError(
            f"{table.path}: the target is not in this array; give the file with it (or, of an "
            "NPZ file, the array's name) as --target."
        )
    return table, name


def numeric(table: Table, names: list[str], rows: np.ndarray) -> np.ndarray:
    """Return some columns' numbers, float64 (rows, columns)."""
    if len(names) == 1:
        return np.asarray(table.matrix[:, table.places[names[0]], None][rows], dtype=np.float64)
    values = table.matrix[rows]
    if tuple(names) != table.names:
        values = np.take(values, [table.places[name] for name in names], axis=1)
    return np.asarray(values, dtype=np.float64)


def missing_cells(table: Table, names: list[str], rows: Rows = None) -> dict[str, np.ndarray]:
    """Return, for each column with missing cells, the rows (among `rows`) that miss one."""
    if table.matrix.dtype.kind != "f":
        return {}
    found = {}
    numbers = [name for name in names if name not in table.texts]
    step = max(_BLOCK // max(len(table.names), 1), 1)
    chosen = np.arange(table.rows) if rows is None else rows
    doubtful = np.zeros(len(numbers), dtype=bool)
    for start in range(0, len(chosen), step) if numbers else ():
        doubtful |= np.isnan(numeric(table, numbers, chosen[start : start + step])).any(axis=0)
    suspects = {name for name, doubt in zip(numbers, doubtful, strict=True) if doubt}
    for name in names:
        if name in table.texts or name in suspects:
            lacking = chosen[table.missing(name)[chosen]]
            if lacking.size:
                found[name] = lacking
    return found


def refuse_missing(table: Table, found: dict[str, np.ndarray], remedy: str) -> None:
    """Raise the InputError for missing cells, if there are any."""
    if not found:
        return
    total = sum(len(rows) for rows in found.values())
    name = min(found, key=lambda each: int(found[each][0]))
    counts = ", ".join(f"{shown(each)} {len(rows)}" for each, rows in list(found.items())[:5])
    raise InputError(
        f"{table.place(found[name][0], name)}: a missing cell, the first of {total} ({counts}"
        f"{', ...' if len(found) > 5 else ''}); {remedy}."
    )


def refuse_text(table: Table, name: str) -> None:
    """Raise the InputError for the first cell that is no number in a column of numbers."""
    if (text := table.texts.get(name)) is None:
        return
    bad = np.asarray([not is_number(each) for each in text.categories] + [False])[text.codes]
    places = np.flatnonzero(bad)
    if not places.size:
        return
    cell = table.cell(places[0], name)
    what, remedy = explain_cell(cell) or ("is not a number", "correct it, or pass --drop COLUMN")
    remedy = remedy.replace("COLUMN", name)
    found = f"found {shown(cell)}, which {what}"
    others = f" ({len(places)} such cells)" if len(places) > 1 else ""
    raise InputError(f"{table.place(places[0], name)}: {found}{others}; {remedy}.")


def _codes(table: Table, name: str, known: Labels, rows: np.ndarray) -> np.ndarray:
    """Return each cell's place among the known texts or numbers: -1 missing, -2 not known."""
    text = table.texts.get(name)
    if text is None:
        values, back = np.unique(numeric(table, [name], rows)[:, 0], return_inverse=True)
        wanted = {_value(each): index for index, each in enumerate(known)}
        codes = [-1 if math.isnan(value) else wanted.get(value, -2) for value in values.tolist()]
        return np.take(np.asarray(codes, dtype=np.int64), back)
    return np.asarray(_text_codes(text, known)[text.codes[rows]])


def _text_codes(text: Text, known: Labels) -> np.ndarray:
    """Return the place among `known` of each category, and last of a missing cell: -1."""
    read: Callable[[str], Any] = str if known and isinstance(known[0], str) else _value
    wanted = {each: index for index, each in enumerate(known)}
    codes = [*(wanted.get(read(each), -2) for each in text.categories), -1]
    return np.asarray(codes, dtype=np.int64)


def _value(label: str | float) -> float | None:
    """Return a label's number, None for a word."""
    return float(label) if not isinstance(label, str) or is_number(label) else None
