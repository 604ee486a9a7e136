"""What turns a table into inputs and targets, and predictions back; kept in the model file."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np

from xpnet.errors import FileError, InputError
from xpnet.tables.cells import Notation, meaning_of
from xpnet.tables.columns import (
    UNSEEN,
    Category,
    Column,
    Dates,
    Labels,
    Number,
    Target,
    Words,
    encode_labels,
    from_json,
    to_json,
)
from xpnet.tables.encodings import piecewise_linear
from xpnet.tables.messages import closest, counted, format_number, quoted, up_to_ten
from xpnet.tables.npy import check_memory, pieces
from xpnet.tables.summary import complete_rows, missing_message, refuse_text, summarize
from xpnet.tables.table import Table

Rows: TypeAlias = np.ndarray | None
"""Row numbers (int64), or None for all rows."""

MAX_LOG = 700.0  # its exponential is finite

TASKS = ("binary", "multiclass", "regression")
MISSING_POLICIES = ("refuse", "drop", "impute")
LAYOUTS = ("table", "matrix", "image")
FAR = 10  # standard deviations
FAR_DAYS = 3  # the same, of days: those of evenly spread dates end at 1.7
_NOT_FILLED_IN = "fill it in, or train with --missing impute"


@dataclass(frozen=True)
class Preprocessing:
    """From raw columns to inputs (n, inputs) and targets (n,), and from predictions back.

    With `missing='impute'`, a missing number becomes the column's `fill` or mean, and a missing
    date the means of its parts; a missing text has no category, like a text never seen in training.
    """

    task: str  # of TASKS
    target: str
    columns: tuple[Column, ...]  # in the order of the inputs
    classes: Labels = ()  # in the order of the class numbers; empty for a regression
    target_mean: float = 0.0
    target_std: float = 1.0
    missing: str = "refuse"
    layout: str = "table"  # an "image" holds bytes, which are divided by 255
    left_out: tuple[str, ...] = ()  # columns of no use; other tables may have them, too
    target_log: bool = False  # whether mean and deviation are those of the logarithm
    more_targets: tuple[Target, ...] = ()  # of the same task, each with an output of its own
    gap_words: tuple[str, ...] = ()  # words that mean "missing" among numbers
    signs: tuple[tuple[str, ...], ...] = ()  # a column or target, and what was beside its numbers
    target_gap: float | None = None  # a number, such as -999, that means "missing" in the target

    @cached_property
    def inputs(self) -> int:
        """The number of the network's inputs."""
        return len(self.input_names())

    @property
    def outputs(self) -> int:
        """The number of the network's outputs."""
        return len(self.classes) if self.task == "multiclass" else len(self.targets)

    @property
    def targets(self) -> tuple[str, ...]:
        """The names of all targets."""
        return self.target, *(each.name for each in self.more_targets)

    @property
    def each_target(self) -> tuple["Preprocessing", ...]:
        """The same for every target alone."""
        others = (
            replace(self, target=each.name, classes=each.classes, target_mean=each.mean,
                    target_std=each.std, more_targets=())
            for each in self.more_targets
        )  # fmt: skip
        return replace(self, more_targets=()), *others

    @property
    def text_columns(self) -> tuple[str, ...]:
        """The columns, and targets, that are text even if all cells of a table are numbers."""
        words = tuple(each.name for each in self.columns if not isinstance(each, Number))
        named = (each.target for each in self.each_target if isinstance([*each.classes, 0][0], str))
        return (*words, *named)

    @property
    def reading(self) -> dict[str, Any]:
        """How `read_table` reads other tables as this one was."""
        return {"as_texts": self.text_columns, "notations": self.notations}

    @cached_property
    def notations(self) -> dict[str, Notation]:
        """How the numbers of columns and targets were written."""
        signs = {name: each.split(", ") for name, each in self.signs}
        names = {*self._names, *self.targets} - {*self.text_columns}
        return {name: Notation(frozenset(signs.get(name, ())), self.gap_words) for name in names}

    @property
    def labels(self) -> np.ndarray:
        """The classes as an array, (classes,): texts, integers, or numbers if some are not."""
        labels = np.asarray(self.classes)
        exact = labels.dtype.kind == "f" and (np.abs(labels) < 2**53).all()
        return labels.astype(np.int64) if exact and not (labels % 1).any() else labels

    def input_names(self) -> list[str]:
        """Name each input: the column, or column=category."""
        return [name for column in self.columns for name in column.input_names()]

    def check(self, table: Table) -> list[str]:
        """Refuse a table that lacks needed columns; return notes on what is ignored."""
        kinds = {"table": "named columns", "matrix": "a plain array", "image": "images of bytes"}
        found = "image" if table.matrix.dtype == np.uint8 else table.layout
        if (found == "table") != (self.layout == "table") or self.layout == "image" != found:
            message = f"found {kinds[found]}, but the model was trained on {kinds[self.layout]}"
            raise InputError(f"{table.path}: {message}; give a table of that kind.")
        lacking = [name for name in self._names if name not in table.places]
        if lacking:
            found = f"{len(lacking)} of the {len(self.columns)} columns that the model was trained"
            listed = up_to_ten(map(quoted, lacking))
            near = f"for {quoted(lacking[0])}, {closest(lacking[0], table.names)}"
            message = f"{table.path}: {found} on are missing: {listed}; add or rename them"
            raise InputError(f"{message}; {near}")
        known = {*self.targets, *self.left_out, *self._names}
        extra = [name for name in table.names if name not in known]
        if extra and self.layout != "table":
            message = f"found {len(table.names)} columns, but the model knows {len(self.columns)}"
            raise InputError(f"{table.path}: {message}; give the same columns as in training.")
        ignored = f"columns the model does not know are ignored: {up_to_ten(extra)}"
        return [ignored] if extra else []

    def notes(self, table: Table) -> list[str]:
        """Return the notes of `check`, and on cells imputed, unseen, or far from training."""
        found, table = self.check(table), self._as_trained(table)
        found += [f"passed over: {each} ({what})" for each, what in table.passed_over.items()]
        check_memory(table.path, 4 * table.rows * self.inputs)  # before all of it is read
        cells = summarize(table, self.needed)
        missing = {name: each.missing for name, each in cells.items() if each.missing}
        if missing and self.missing == "impute":
            listed = up_to_ten(f"{name} ({count:,})" for name, count in missing.items())
            total = counted(sum(missing.values()), "missing cell")
            found.append(f"{total} imputed: {listed}")
        unseen = []
        for each in (column for column in self.columns if isinstance(column, Category)):
            name, known = each.name, each.texts or each.categories
            codes = encode_labels(table, name, known, table.column(name), each.as_trained)
            if (rows := np.flatnonzero(codes == UNSEEN)).size:
                unseen.append(f"{name} {rows.size:,}, such as {quoted(table.cell(rows[0], name))}")
        if unseen:
            listed = up_to_ten(unseen)
            found.append(f"categories without an input, rare or not seen in training: {listed}")
        if far := self._far_outside(table):
            listed = up_to_ten(f"{name} ({count:,})" for name, count in far.items())
            found.append(f"numbers more than {FAR} deviations from the mean in training: {listed}")
        if far := self._far_days(table):
            listed = up_to_ten(f"{name} ({count:,})" for name, count in far.items())
            found.append(f"dates far from those in training: {listed}")
        return found

    def _far_outside(self, table: Table) -> dict[str, int]:
        """Count, for each column of numbers, those that are far from the mean in training."""
        places, _, (mean, std, _) = self._numbers
        counts, names = np.zeros(len(places), np.int64), [self._names[at] for at in places]
        if self.layout == "image":
            return {}
        for part in pieces(table.rows, len(self.columns)):
            counts += (np.abs(table.numbers(names, part) - mean) > FAR * std).sum(axis=0)
        scaled = (mean != 0) | (std != 1)  # else they were left as they are
        return {names[at]: int(counts[at]) for at in np.flatnonzero(counts * scaled)}

    def _far_days(self, table: Table) -> dict[str, int]:
        """Count, for each column of dates, those that are far from the days in training."""
        counts, rows = dict[str, int](), np.arange(table.rows)
        for each in (column for column in self.columns if isinstance(column, Dates)):
            part = "days" if "days" in each.parts else "year"
            if part not in each.parts:
                continue
            at = each.parts.index(part)
            read = each.values(table, table.column(each.name), rows)[:, at]
            far = np.abs(read - each.means[at]) > FAR_DAYS * each.stds[at]
            counts[each.name] = int(far.sum())
        return {name: count for name, count in counts.items() if count}

    def complete_rows(self, table: Table, *, target: bool = False) -> np.ndarray:
        """Return the numbers of the rows without missing cells, unless imputed, or `target`."""
        check_memory(table.path, 8 * table.rows)  # to hold the numbers of all rows
        table = self._as_trained(table)
        good = np.ones(table.rows, dtype=bool)
        if self.missing != "impute":
            good = complete_rows(table, self.needed)
        if target:
            for source, name in (target_of(table, each) for each in self.targets):
                good = good & complete_rows(source, [name])
        return np.flatnonzero(good)

    def _as_trained(self, table: Table) -> Table:
        """Return the table with the codes for missing values in training as NaN."""
        numbers = [each for each in self.columns if isinstance(each, Number)]
        gaps = {each.name: each.gap for each in numbers if each.gap is not None}
        gaps |= {} if self.target_gap is None else {self.target: self.target_gap}
        return replace(table, gaps=table.gaps | gaps)

    @cached_property
    def _names(self) -> list[str]:
        return [column.name for column in self.columns]

    @property
    def needed(self) -> list[str]:
        """The columns whose empty cells are missing; in a list or a text, they hold nothing."""
        return [each.name for each in self.columns if not isinstance(each, Words)]

    def transform(
        self, table: Table, rows: Rows = None, *, dtype: str = "float32"
    ) -> np.ndarray[Any, Any]:
        """Return the network's inputs, (rows, inputs); refuse the first cell that has none."""
        self.check(table)
        table = self._as_trained(table)
        count = table.rows if rows is None else len(rows)
        check_memory(table.path, count * self.inputs * np.dtype(dtype).itemsize)
        rows = np.arange(table.rows) if rows is None else rows
        for at in self._numbers[0]:
            refuse_text(table, self._names[at], known=self.notations[self._names[at]])
        x, impute = np.zeros((count, self.inputs), dtype), self.missing == "impute"
        for part in pieces(count, len(table.names)):
            cells = table.numbers(self._names, rows[part])
            if not impute and np.isnan(table.numbers(self.needed, rows[part])).any():
                raise InputError(missing_message(table, self.needed, _NOT_FILLED_IN))
            for place, first, end, column in self._with_inputs:
                inputs = x[part, first:end]
                if not isinstance(column, Number):
                    column.fill(inputs, table, cells[:, place], rows[part], impute=impute)
                elif column.indicator:
                    inputs[:, 1] = np.isnan(cells[:, place])
            self._fill_numbers(x[part], table, cells, rows[part])
        return x

    def inputs_of(self, name: str) -> slice:
        """Return which inputs a column fills."""
        _, first, end, _ = self._with_inputs[self._names.index(name)]
        return slice(first, end)

    @cached_property
    def _with_inputs(self) -> list[tuple[int, int, int, Column]]:
        """Each column with its place, its first input, and the end of its inputs."""
        ends = np.cumsum([0, *(len(each.input_names()) for each in self.columns)]).tolist()
        return [*zip(range(len(self.columns)), ends[:-1], ends[1:], self.columns, strict=True)]

    @cached_property
    def _numbers(self) -> tuple[list[int], list[int], np.ndarray]:
        """Places and inputs of all number columns, and their means, deviations and fills."""
        found = [(at, first, c) for at, first, _, c in self._with_inputs if isinstance(c, Number)]
        scales = [(c.mean, c.std, c.mean if c.fill is None else c.fill) for _, _, c in found]
        places, inputs = [place for place, _, _ in found], [first for _, first, _ in found]
        return places, inputs, np.asarray(scales).reshape(-1, 3).T

    def _fill_numbers(
        self, x: np.ndarray, table: Table, cells: np.ndarray, rows: np.ndarray
    ) -> None:
        """Write the inputs of all number columns at once: there may be thousands."""
        places, inputs, (mean, std, fill) = self._numbers
        cells = cells[:, places] if len(places) < cells.shape[1] else cells
        cells -= mean  # in place: these are copies of the table's
        cells /= std
        if self.missing == "impute":
            np.copyto(cells, (fill - mean) / std, where=np.isnan(cells))
        with np.errstate(over="ignore"):
            block = cells.astype(x.dtype)
        if not np.isfinite(block).all():
            row, column = np.argwhere(~np.isfinite(block))[0]
            name = self._names[places[column]]
            what = ", which is not finite or too far from the numbers in training"
            raise table.fault(rows[row], name, what, "correct it")
        x[:, inputs] = block
        for at, (place, first) in enumerate(zip(places, inputs, strict=True)):
            number: Any = self.columns[place]
            if number.edges:
                edges = (np.asarray(number.edges) - number.mean) / number.std
                first += 1 + number.indicator
                x[:, first : first + len(edges) - 1] = piecewise_linear(cells[:, at], edges)

    def encode_target(self, table: Table, rows: Rows = None) -> np.ndarray:
        """Return targets, (rows,) or (rows, targets): class numbers, or scaled float64 values."""
        if self.more_targets:
            return np.stack([one.encode_target(table, rows) for one in self.each_target], axis=1)
        source, name = target_of(table, self.target)
        source.index(name, "target column")
        rows = np.arange(table.rows) if rows is None else rows
        cells = source.column(name, rows)
        if np.isnan(cells).any():
            raise InputError(missing_message(source, [name], "fill it in or remove the row"))
        if self.task == "regression":
            refuse_text(source, name, known=self.notations[name])
            if self.target_log and (bad := np.flatnonzero(cells < 0.0)).size:
                remedy = "correct it or remove the row"
                raise source.fault(rows[bad[0]], name, ", below 0, unlike any in training", remedy)
            return self.of_values(cells)
        codes = encode_labels(source, name, self.classes, cells, meaning_of(self.classes))
        if (bad := np.flatnonzero(codes < 0)).size:
            listed = up_to_ten(quoted(format_number(each)) for each in self.classes)
            remedy = f"the classes are {listed}; correct the cell or remove the row"
            raise source.fault(rows[bad[0]], name, ", not a class seen in training", remedy)
        return codes

    def of_values(self, values: np.ndarray) -> np.ndarray:
        """Scale a regression's targets as the network is trained on them; the shape stays."""
        with np.errstate(divide="ignore"):  # the logarithm of 0 becomes 0 again
            scaled = np.log(values) if self.target_log else values
        mean, std = self.target_scales
        return np.asarray((scaled - mean) / std)

    def values(self, outputs: np.ndarray) -> np.ndarray:
        """Return a regression's outputs or scaled targets in their own units; the shape stays."""
        mean, std = self.target_scales
        scaled: np.ndarray = np.asarray(outputs, np.float64) * std + mean
        return np.exp(np.minimum(scaled, MAX_LOG)) if self.target_log else scaled

    @property
    def target_scales(self) -> tuple[Any, Any]:
        """Means and deviations of the targets, (targets,) each."""
        others = ((each.mean, each.std) for each in self.more_targets)
        mean, std = np.array([(self.target_mean, self.target_std), *others]).T
        return mean, std

    def decode(self, predictions: np.ndarray) -> dict[str, np.ndarray]:
        """Turn outputs (n, outputs) into columns: classes and probabilities, or values."""
        outputs = np.asarray(predictions, dtype=np.float64)
        if self.task == "regression":
            return dict(zip(self.targets, self.values(outputs).T, strict=True))
        if self.more_targets:
            columns = dict[str, np.ndarray]()
            for one, part in zip(self.each_target, outputs.T[..., None], strict=True):
                for name, values in one.decode(part).items():
                    columns[name if name == one.target else f"{one.target}: {name}"] = values
            return columns
        if self.task == "binary":
            outputs = np.stack([1.0 - outputs[:, 0], outputs[:, 0]], axis=1)
        columns = {self.target: self.labels[np.argmax(outputs, axis=1)]}
        for index, label in enumerate(self.classes):
            name = f"probability of {format_number(label)}"
            columns[name if name != self.target else f"{name} (predicted)"] = outputs[:, index]
        return columns

    def to_dict(self) -> dict[str, Any]:
        """Return all fields in JSON's types; floats survive exactly."""
        found: dict[str, Any] = to_json(self)
        return found

    @classmethod
    def from_dict(cls, given: Any) -> "Preprocessing":
        """Restore it from `to_dict`'s result; a FileError names the first invalid field."""
        plan: Preprocessing = from_json(cls, given)
        classes = [len(each.classes) for each in plan.each_target]
        wanted = {"binary": {2}, "regression": {0}}
        several = plan.task != "multiclass" and len(set(plan.targets)) == len(plan.targets)
        texts = [each for each in plan.columns if isinstance(each, Category)]
        complete = all(len(each.texts) == len(each.effects) for each in texts)
        good = {
            "task": plan.task in TASKS,
            "missing": plan.missing in MISSING_POLICIES,
            "layout": plan.layout in LAYOUTS,
            "columns": complete and 0 < len(plan.columns) == len(set(plan._names)),
            "classes": {*classes} == wanted.get(plan.task, {*classes} - {0, 1}),
            "signs": all(len(each) == 2 for each in plan.signs),
            "more_targets": several or not plan.more_targets,
        }
        for field in good:
            if not good[field]:
                raise FileError(f"preprocessing.{field}: does not fit the other fields.")
        return plan


def target_of(table: Table, name: str) -> tuple[Table, str]:
    """Return the table and column that hold the target."""
    if table.labels is not None:
        return table.labels, table.labels.names[0]
    if table.layout != "table":
        remedy = "use --target to name the file with the targets, such as labels.npy"
        if table.arrays:
            listed = ", ".join(map(quoted, table.arrays))
            remedy = f"use --target to name the array with the targets; there are: {listed}"
        raise InputError(f"{table.path}: the target is not in this array; {remedy}.")
    return table, name
