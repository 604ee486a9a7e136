"""Decide how a table is prepared for training: task, columns, validation rows, scales."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from xpnet.errors import InputError
from xpnet.tables.checks import EXACT, plain, shown, up_to_ten
from xpnet.tables.columns import (
    columns_to_use,
    note_far_cells,
    refuse_identifier,
    refuse_spoilt_numbers,
)
from xpnet.tables.preprocessing import (
    MISSING_POLICIES,
    TASKS,
    Labels,
    PreparedRows,
    Preprocessing,
    target_of,
)
from xpnet.tables.row_files import moments, pieces
from xpnet.tables.surveys import (
    Survey,
    category_counts,
    refuse_alike_cells,
    refuse_missing,
    refuse_text,
    survey,
    texts_of,
)
from xpnet.tables.table import Table
from xpnet.tables.target_notes import note_classes
from xpnet.training.data import MAX_VALIDATION_ROWS, split

_FEW = 20  # up to this many distinct integers, used twice or more on average, are classes
_LEAST_STD = float(np.sqrt(np.finfo(np.float64).tiny))  # below it, the variance underflows
_MISSING_REMEDY = "pass --missing drop (leaves such rows out) or --missing impute (fills them in)"


@dataclass(frozen=True)
class Prepared:
    """A table ready for training.

    Attributes
    ----------
    x, y : arrays (rows, inputs), (rows,)
        The training rows; `x_validation` and `y_validation` likewise, with 0 rows if there are
        none. With `stream`, x is a `PreparedRows`.
    train_rows, validation_rows : int64 arrays
        Which rows of the table these are.
    notes : tuple of str
        What the user should know: what was encoded, constant, duplicate, left out.
    """

    preprocessing: Preprocessing
    x: np.ndarray | PreparedRows
    y: np.ndarray
    x_validation: np.ndarray
    y_validation: np.ndarray
    train_rows: np.ndarray
    validation_rows: np.ndarray
    notes: tuple[str, ...]


def prepare(
    table: Table,
    target: str | None = None,
    *,
    task: str = "auto",
    missing: str = "refuse",
    drop: Collection[str] = (),
    keep: Collection[str] = (),
    standardize: bool = True,
    validation: float = 0.0,
    seed: int = 0,
    dtype: str = "float32",
    stream: bool = False,
) -> Prepared:
    """Choose the preprocessing from a table, and apply it.

    Parameters
    ----------
    target : str
        The target's column; not needed where the table has `labels`.
    task : {"auto", "binary", "multiclass", "regression"}
        "auto": text or a few distinct integers are classes, other numbers a regression.
    missing : {"refuse", "drop", "impute"}
        See `Preprocessing`; "drop" leaves out rows with a missing cell in a column that is used.
    drop : names
        Columns not to use.
    keep : names
        Columns to use even if they look like an index or an identifier.
    validation : float
        Share of the rows to keep for validation, 0 to below 1; drawn by class where there are
        classes. Means and standard deviations come from the other rows alone.
    stream : bool
        Prepare training rows as they are read; hold out at most `MAX_VALIDATION_ROWS` rows.

    Raises
    ------
    InputError
        Names file, line, column, what was found and the remedy.
    """
    _among("task", task, ("auto", *TASKS))
    _among("missing", missing, MISSING_POLICIES)
    source, target = target_of(table, target or "")
    source.index(target, "target column")
    names = _features(table, target, drop, keep)
    notes: list[str] = [*table.notes]
    table.refuse_unfit(names, or_drop=True)
    refuse_alike_cells(table, names)
    refuse_alike_cells(source, [target])
    rows = np.arange(table.rows)
    lacking, no_target = survey(table, names, rows), survey(source, [target], rows)
    if missing == "drop":
        rows = np.flatnonzero(lacking.complete & no_target.complete)
    columns = columns_to_use(table, lacking, rows, keep, notes)
    if missing == "refuse":
        refuse_missing(table, lacking, _MISSING_REMEDY)
    if missing != "drop":
        refuse_missing(source, no_target, "fill it in, or pass --missing drop")
    _note_missing(table, lacking, rows, notes)
    note_far_cells(((table, lacking), (source, no_target)), notes)
    plan = _with_task(Preprocessing("regression", target, columns), task, source, rows)
    image = table.matrix.dtype == np.uint8
    plan = replace(plan, missing=missing, layout="image" if image else table.layout)
    y = plan.encode_target(table, rows)
    train, held = np.arange(len(rows)), np.arange(0)
    if validation:
        share = min(validation, MAX_VALIDATION_ROWS / len(rows)) if stream else validation
        if share < validation:
            notes.append(f"{MAX_VALIDATION_ROWS:,} validation rows, the most kept in memory")
        train, held = split(len(y), share, seed, None if plan.task == "regression" else y)
    plan = _with_scales(plan, table, source, rows[train], standardize, notes)
    if plan.task == "regression":
        y = plan.encode_target(table, rows)
    x_held = plan.transform(table, rows[held], dtype=dtype)
    x: np.ndarray | PreparedRows = PreparedRows(plan, table, rows[train], dtype)
    if not stream:
        x = plan.transform(table, rows[train], dtype=dtype)
        _note_rows(x, y[train], notes)
    note_classes(plan, y[train], task == "auto", notes)
    return Prepared(plan, x, y[train], x_held, y[held], rows[train], rows[held], tuple(notes))


def _among(name: str, found: str, allowed: Sequence[str]) -> None:
    if found not in allowed:
        raise InputError(f"{name}: found {shown(str(found))}, expected {', '.join(allowed)}.")


def _features(
    table: Table, target: str, drop: Collection[str], keep: Collection[str]
) -> tuple[str, ...]:
    """Return the columns to use; refuse names of columns that do not exist."""
    if drop and table.layout != "table":
        listed = ", ".join(drop)
        raise InputError(
            f"--drop {listed}: {table.path} is an array, and all its columns are used; save it "
            "without these."
        )
    for name in drop:
        table.index(name, "column to drop,")
    for name in keep:
        table.index(name, "column to keep,")
        if name in drop:
            raise InputError(f"--drop {name}: there is --keep {name} too; leave one of them out.")
    if target in drop and not table.labels:
        raise InputError(f"--drop {target}: this is the target, the column to predict; keep it.")
    left_out = {*drop, *([] if table.labels else [target])}
    names = tuple(name for name in table.names if name not in left_out)
    if not names:
        raise InputError(f"{table.path}: no columns are left besides the target; add some.")
    return names


def _note_missing(table: Table, lacking: Survey, rows: np.ndarray, notes: list[str]) -> None:
    if len(rows) < table.rows:
        notes.append(f"{table.rows - len(rows)} of {table.rows} rows left out for missing cells")
    elif lacking.missing:
        cells = sum(lacking.missing.values())
        notes.append(f"{cells} missing cells filled in, in columns {', '.join(lacking.missing)}")
    if len(rows) < 2:
        of = f" of {table.rows}" if len(rows) < table.rows else ""
        raise InputError(f"{table.path}: found {len(rows)}{of} rows to train on; give 2 or more.")


def _with_task(plan: Preprocessing, task: str, source: Table, rows: np.ndarray) -> Preprocessing:
    """Find the task and the classes from the target."""
    name = plan.target
    classes: Labels
    if name in source.texts:
        counts = category_counts(source, [name], rows)[name]
        refuse_spoilt_numbers(source, name, counts)
        if task == "regression":
            refuse_text(source, name, ", or leave --task regression out")
        words = tuple(
            each for each, count in zip(texts_of(source, name), counts, strict=True) if count
        )
        if len(words) > 2:
            refuse_identifier(source, name, words, len(rows), target=True)
        classes = words
        kind = "binary" if len(classes) == 2 else "multiclass"
    else:
        values = source.numbers([name], rows)[:, 0]
        _refuse_infinite(source, [name], values[:, None], rows)
        numbers = tuple(np.unique(values).tolist())
        kind = _kind(values, len(numbers))
        regression = (kind if task == "auto" else task) == "regression"
        classes = numbers if regression else _as_written(source, name, numbers)
    if len(classes) < 2:
        found = f"found {shown(plain(classes[0]))} in all {len(rows)} rows"
        message = f"{found}, so there is nothing to learn"
        raise InputError(f"{source.place(rows[0], name)}: {message}; add rows of another class.")
    kind = kind if task == "auto" else task
    if kind == "regression":
        return replace(plan, task=kind)
    many = kind == "multiclass" and len(classes) > max(_FEW, len(rows) // 2)
    if (kind == "binary" and len(classes) != 2) or many:
        message = f"column {shown(name)}, the target, has {len(classes)} distinct values"
        raise InputError(f"{source.path}: {message}, too many for {kind}; correct --task.")
    return replace(plan, task=kind, classes=classes)


def _as_written(source: Table, name: str, classes: tuple[float, ...]) -> Labels:
    """Return classes as the file writes them, if numbers would not: 007, or 20 digits."""
    written = dict[float, str]()
    for text in source.spellings:
        other = written.setdefault(float(text), text)
        if other != text and float(text) in classes:
            found = f"column {shown(name)}, the target, has {shown(other)} and {shown(text)}"
            remedy = "write it in one way, or write words if these are two classes"
            raise InputError(f"{source.path}: {found}, which are one number; {remedy}.")
    texts = tuple(written.get(each, plain(each)) for each in classes)
    as_numbers = all(
        abs(each) < EXACT and plain(each) == text for each, text in zip(classes, texts, strict=True)
    )
    return classes if as_numbers else texts


def _kind(values: np.ndarray, distinct: int) -> str:
    """Infer the task of a numeric target."""
    if distinct == 2:
        return "binary"
    whole = np.array_equal(values, np.round(values))
    few = distinct <= _FEW and len(values) >= 2 * distinct
    return "multiclass" if whole and few else "regression"


def _refuse_infinite(
    table: Table, names: Sequence[str], values: np.ndarray, rows: np.ndarray
) -> None:
    if np.isinf(values).any():
        row, column = np.argwhere(np.isinf(values))[0]
        place = table.place(rows[row], names[column])
        raise InputError(f"{place}: found {values[row, column]}; give finite numbers.")


def _with_scales(
    plan: Preprocessing,
    table: Table,
    source: Table,
    rows: np.ndarray,
    standardize: bool,
    notes: list[str],
) -> Preprocessing:
    """Set means and standard deviations from the training rows."""
    numbers = [column.name for column in plan.columns if column.categories is None]
    if plan.layout == "image":
        columns = tuple(replace(column, std=255.0) for column in plan.columns)
        plan = replace(plan, columns=columns)
    elif numbers:
        scales = dict(zip(numbers, _scales(table, numbers, rows), strict=True))
        constant = [name for name, (_, _, same) in scales.items() if same]
        if constant:
            notes.append(f"constant in all training rows, so of no use: {up_to_ten(constant)}")
        if standardize:
            columns = tuple(
                replace(each, mean=scales[each.name][0], std=scales[each.name][1])
                if each.name in scales
                else each
                for each in plan.columns
            )
            plan = replace(plan, columns=columns)
    if plan.task == "regression" and standardize:
        mean, std, _ = _scales(source, [plan.target], rows)[0]
        plan = replace(plan, target_mean=mean, target_std=std)
    return plan


def _scales(table: Table, names: list[str], rows: np.ndarray) -> list[tuple[float, float, bool]]:
    """Return mean, standard deviation (1 if constant) and constancy of each column."""

    def blocks() -> Iterator[np.ndarray]:
        for part in pieces(len(rows), len(table.names)):
            values = table.numbers(names, rows[part])
            _refuse_infinite(table, names, values, rows[part])
            yield values

    with np.errstate(over="ignore", invalid="ignore"):
        mean, std, same = moments(blocks(), len(names))
    large = ~np.isfinite(std + mean)
    small = ~same & (std < _LEAST_STD)
    for place in np.flatnonzero(large | small)[:1]:
        name, size = names[place], "large" if large[place] else "small"
        row = rows[int(np.nanargmax(np.abs(table.numbers([name], rows)[:, 0])))]
        found = f"found {table.cell(row, name)}, too {size} to standardise"
        raise InputError(f"{table.place(row, name)}: {found}; use another unit.")
    std = np.where(std > 0, std, 1.0)
    return list(zip(mean.tolist(), std.tolist(), same.tolist(), strict=True))


def _note_rows(x: np.ndarray, y: np.ndarray, notes: list[str]) -> None:
    """Note duplicate training rows."""
    distinct = {hash(row.tobytes() + target.tobytes()) for row, target in zip(x, y, strict=True)}
    if len(distinct) < len(x):
        notes.append(f"{len(x) - len(distinct)} of {len(x)} training rows repeat another")
