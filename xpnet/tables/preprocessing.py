"""What turns a table into the network's inputs and targets, and predictions back into a table.

It is fixed when a network is trained (`xpnet.tables.prepare`), kept in the model file, and applied
unchanged to every table afterwards.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np

from xpnet.errors import InputError
from xpnet.tables.checks import is_number, plain, shown, up_to_ten
from xpnet.tables.row_files import pieces
from xpnet.tables.surveys import places_of, refuse_missing, refuse_text, survey, texts_of
from xpnet.tables.table import Table

Rows: TypeAlias = np.ndarray | None
"""Row numbers (int64), or None for all rows."""

Labels: TypeAlias = tuple[str | float, ...]
"""The classes of a target, or categories of a column: all texts or all numbers."""

TASKS = ("binary", "multiclass", "regression")
MISSING_POLICIES = ("refuse", "drop", "impute")
LAYOUTS = ("table", "matrix", "image")


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
        In the order of the class numbers; empty for a regression.
    target_mean, target_std : float
        Of a regression's target, which is standardised too.
    missing : {"refuse", "drop", "impute"}
        What is done about missing cells: "impute" uses the training mean for a number, and no
        category for text (as for text never seen in training).
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

    @property
    def text_columns(self) -> tuple[str, ...]:
        """The columns that are text whatever a table's cells look like, including the target."""
        words = tuple(each.name for each in self.columns if each.categories is not None)
        return (*words, self.target) if self.classes and isinstance(self.classes[0], str) else words

    def input_names(self) -> list[str]:
        """Name each input: the column, or column=category."""
        names = []
        for column in self.columns:
            given = column.categories
            names += [column.name] if given is None else [f"{column.name}={each}" for each in given]
        return names

    def check(self, table: Table) -> list[str]:
        """Refuse a table that lacks needed columns; return notes on what is ignored."""
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
            raise InputError(
                f"{table.path}: {len(lacking)} of the {len(self.columns)} columns that the model "
                f"was trained on are missing: {up_to_ten(map(shown, lacking))}; add or rename them."
            )
        known = {self.target, *(column.name for column in self.columns)}
        extra = [name for name in table.names if name not in known]
        if extra and self.layout != "table":
            message = f"found {len(table.names)} columns, but the model knows {len(self.columns)}"
            raise InputError(f"{table.path}: {message}; give the same columns as in training.")
        ignored = f"columns the model does not know are ignored: {up_to_ten(extra)}"
        return [ignored] if extra else []

    def notes(self, table: Table) -> list[str]:
        """Refuse what `check` refuses; also note the categories that no input stands for."""
        found = self.check(table)
        for column in self.columns if self.missing == "impute" else ():
            known = column.categories
            if known is None or column.name not in table.texts:
                continue
            codes = _codes(table, column.name, known, table.column(column.name))
            rows = np.flatnonzero(codes == -2)
            if rows.size:
                example = shown(table.cell(rows[0], column.name))
                found.append(
                    f"column {column.name}: {len(rows)} cells hold categories that training did "
                    f"not see, such as {example}; they count as missing"
                )
        return found

    def complete_rows(self, table: Table, *, target: bool = False) -> np.ndarray:
        """Return the rows in which no used cell is missing; with `target`, its cell counts too."""
        rows = np.arange(table.rows)
        good = survey(table, self._names, rows).complete
        if target:
            source, name = target_of(table, self.target)
            good = good & survey(source, [name], rows).complete
        return np.flatnonzero(good)

    @cached_property
    def _names(self) -> list[str]:
        return [column.name for column in self.columns]

    def transform(
        self, table: Table, rows: Rows = None, *, dtype: str = "float32"
    ) -> np.ndarray[Any, Any]:
        """Return the network's inputs, (rows, inputs).

        Raises
        ------
        InputError
            Names file, line, column, the text found and the remedy, if a cell is missing (unless
            imputed), not a number, not finite, or a category that training did not see.
        """
        self.check(table)
        rows = np.arange(table.rows) if rows is None else rows
        for column in self.columns:
            if column.categories is None:
                refuse_text(table, column.name)
        x = np.zeros((len(rows), self.inputs), dtype)
        for part in pieces(len(rows), len(table.names)):
            values = table.numbers(self._names, rows[part])
            if self.missing != "impute" and np.isnan(values).any():
                remedy = _PREDICT_MISSING[self.missing]
                refuse_missing(table, survey(table, self._names, rows), remedy)
            self._standardise(table, values, rows[part], x[part])
            for place, offset in self._places[1]:
                inputs = x[part, offset : offset + self.columns[place].inputs]
                self._encode(table, place, values[:, place], rows[part], inputs)
        return x

    @cached_property
    def _places(self) -> tuple[Any, list[tuple[int, int]]]:
        """Where each column's inputs begin: numbers (places, inputs), and texts likewise."""
        offsets = np.cumsum([0, *(column.inputs for column in self.columns)]).tolist()
        texts = [place for place, each in enumerate(self.columns) if each.categories is not None]
        numbers = [place for place, each in enumerate(self.columns) if each.categories is None]
        return (numbers, [offsets[place] for place in numbers]), [(p, offsets[p]) for p in texts]

    @cached_property
    def _scales(self) -> tuple[np.ndarray, np.ndarray]:
        numbers = [self.columns[place] for place in self._places[0][0]]
        return np.asarray([c.mean for c in numbers]), np.asarray([c.std for c in numbers])

    def _standardise(
        self, table: Table, values: np.ndarray, rows: np.ndarray, x: np.ndarray
    ) -> None:
        places, inputs = self._places[0]
        mean, std = self._scales
        if len(places) < values.shape[1]:
            values = values[:, places]
        values = (values - mean) / std
        if self.missing == "impute":
            values = np.where(np.isnan(values), 0.0, values)
        with np.errstate(over="ignore"):
            block = values.astype(x.dtype)
        if not np.isfinite(block).all():
            row, column = np.argwhere(~np.isfinite(block))[0]
            name = self._names[places[column]]
            raise InputError(
                f"{table.place(rows[row], name)}: found {table.cell(rows[row], name)}, which is "
                "not finite or too far from the numbers in training; correct it."
            )
        x[:, inputs] = block

    def _encode(
        self, table: Table, place: int, values: np.ndarray, rows: np.ndarray, x: np.ndarray
    ) -> None:
        """Write a text column's one-hot code into its inputs, `x` (rows, categories)."""
        name, known = self.columns[place].name, self.columns[place].categories or ()
        codes = _codes(table, name, known, values)
        unseen = np.flatnonzero(codes == -2)
        if unseen.size and self.missing != "impute":
            row = rows[unseen[0]]
            raise InputError(
                f"{table.place(row, name)}: found {shown(table.cell(row, name))}, a category that "
                f"training did not see ({len(unseen)} such cells); the known ones are "
                f"{up_to_ten(map(shown, known))}; correct it, or train with --missing impute."
            )
        seen = np.flatnonzero(codes >= 0)
        x[seen, codes[seen]] = 1

    def encode_target(self, table: Table, rows: Rows = None) -> np.ndarray:
        """Return the targets (rows,): class numbers as int64, or standardised values as float64."""
        source, name = target_of(table, self.target)
        source.index(name, "target column")
        rows = np.arange(table.rows) if rows is None else rows
        refuse_missing(source, survey(source, [name], rows), "fill it in or remove the row")
        values = source.numbers([name], rows)[:, 0]
        if self.task == "regression":
            refuse_text(source, name)
            return np.asarray((values - self.target_mean) / self.target_std)
        codes = _codes(source, name, self.classes, values)
        if (codes < 0).any():
            row = rows[np.flatnonzero(codes < 0)[0]]
            listed = up_to_ten(shown(plain(each)) for each in self.classes)
            raise InputError(
                f"{source.place(row, name)}: found {shown(source.cell(row, name))}, not a class "
                f"seen in training; the classes are {listed}; correct the cell or remove the row."
            )
        return codes

    def decode(self, predictions: np.ndarray) -> dict[str, np.ndarray]:
        """Turn the network's outputs (n, outputs) into columns for people.

        Returns
        -------
        dict
            Maps the target's name to the predicted classes or values; for classes, also
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
            name = f"probability of {plain(label)}"
            columns[name if name != self.target else f"{name} (predicted)"] = outputs[:, index]
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
        """Make it from the result of `to_dict`, which is not trusted.

        Raises
        ------
        FileError
            Names the first field that is invalid.
        """
        from xpnet.tables.preprocessing_checks import checked

        fields = checked(given)
        fields["columns"] = tuple(Column(**column) for column in fields["columns"])
        return cls(**fields)


_PREDICT_MISSING = {
    "refuse": "fill them in, or train with --missing impute",
    "drop": "fill them in, remove the rows, or train with --missing impute",
}


def target_of(table: Table, name: str) -> tuple[Table, str]:
    """Return the table and column that hold the target."""
    if table.labels is not None:
        return table.labels, table.labels.names[0]
    if table.layout != "table":
        where = "file with the targets, such as labels.npy"
        if table.arrays:
            listed = ", ".join(shown(each) for each in table.arrays)
            where = f"array with the targets; there are: {listed}"
        message = f"{table.path}: the target is not in this array"
        raise InputError(f"{message}; use --target to name the {where}.")
    return table, name


def _codes(table: Table, name: str, known: Labels, values: np.ndarray) -> np.ndarray:
    """Return each cell's place among the known texts or numbers: -1 missing, -2 not known."""
    if name not in table.texts:
        found, back = np.unique(values, return_inverse=True)
        # Of texts that are one number, such as 1 and 01, the plainest.
        by_plainness = sorted(enumerate(known), key=lambda each: each[1] == plain(_value(each[1])))
        wanted = {_value(each): index for index, each in by_plainness}
        codes = [-1 if math.isnan(value) else wanted.get(value, -2) for value in found.tolist()]
        return np.asarray(np.asarray(codes, dtype=np.int64)[back])
    read: Callable[[str], Any] = str if known and isinstance(known[0], str) else _value
    places = {each: index for index, each in enumerate(known)}
    if read is str:  # 1.0 is 1, where it cannot be 01
        numbers = Counter(map(_value, known))
        alone = {_value(each): i for i, each in enumerate(known) if numbers[_value(each)] == 1}
        for each in texts_of(table, name):
            if each not in places and (value := _value(each)) is not None:
                places[each] = alone.get(value, -2)
    codes = [*(places.get(read(each), -2) for each in texts_of(table, name)), -1]
    return np.asarray(np.asarray(codes, dtype=np.int64)[places_of(values)])


def _value(label: str | float) -> float | None:
    """Return a label's number, None for a word."""
    return float(label) if not isinstance(label, str) or is_number(label) else None


@dataclass(frozen=True)
class PreparedRows:
    """The inputs of rows that stay on disk, read and prepared on request."""

    plan: Preprocessing
    table: Table
    rows: np.ndarray
    dtype: str

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and inputs."""
        return len(self.rows), self.plan.inputs

    def read_rows(self, rows: Any) -> np.ndarray:
        """Return these of the rows, prepared."""
        return self.plan.transform(self.table, self.rows[rows], dtype=self.dtype)

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield all rows in order, some at a time."""
        return (self.read_rows(part) for part in pieces(*self.shape))
