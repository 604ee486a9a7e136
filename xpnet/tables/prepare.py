"""Decide how a table is prepared for training: task, columns, validation rows, scales."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import numpy as np

from xpnet.errors import InputError, bad_argument
from xpnet.tables.cells import MIXED, POINTS, fold_of, is_date, is_number, meaning_of
from xpnet.tables.column_kinds import (
    MAX_CATEGORIES,
    MIN_SHUFFLED,
    Choice,
    choose_columns,
    is_various,
)
from xpnet.tables.columns import (
    Category,
    Column,
    Dates,
    Labels,
    Number,
    Target,
    Words,
    encode_labels,
)
from xpnet.tables.dates import PAIR
from xpnet.tables.encodings import (
    MIN_ROWS_PER_TEXT,
    bins_for,
    means_of_other_rows,
    quantile_edges,
    shrunken_means,
)
from xpnet.tables.leaks import note_leaks, note_outliers, with_gaps
from xpnet.tables.messages import (
    Decision,
    counted,
    format_number,
    one_line,
    option_for,
    quoted,
    refuse_all,
    up_to_ten,
)
from xpnet.tables.npy import check_memory, moments, pieces
from xpnet.tables.preprocessing import MISSING_POLICIES, TASKS, Preprocessing, target_of
from xpnet.tables.rows import PreparedRows
from xpnet.tables.summary import (
    Summary,
    missing_message,
    refuse_spoilt_numbers,
    refuse_text,
    refuse_units,
    summarize,
    text_numbers,
    texts_of,
    used_texts,
)
from xpnet.tables.table import Table
from xpnet.training.batches import MAX_VALIDATION_ROWS, split, split_groups

ENCODE = ("auto", "plain", "ple")
MIN_LABELLED = 10  # rows with a target, where nearly all have none
FEW_ROWS = 100  # of which a fifth, to measure on, is 20: an accuracy is known to within 20 %
MIN_GROUPS = 10
_PEOPLE = re.compile(
    r"(?i:(.*[_ .-])?(patient|subject|participant|person|customer|client|user|household|family"
    r"|student|pupil|donor|animal|speaker)s?([_ .-]?(id|no|nr|num|number|key|code|name))?)"
)
_MAX_INTEGER_CLASSES = 20  # up to this many distinct integers, used twice or more, are classes
_MISSING_REMEDY = "pass --missing drop (leaves such rows out) or --missing impute (fills them in)"
_DECIMAL = {POINTS: "--decimal .", MIXED: "--decimal ,"}  # which reads 1.234 in the other way
_NO_TARGET = "fill it in, or pass --missing drop or impute (leaves such rows out)"


@dataclass(frozen=True)
class Prepared:
    """A table ready for training: x, (rows, inputs), and y, (rows,) or (rows, targets).

    The validation rows, if any, are prepared alike. `notes` are for the user, `decisions` are what
    was done to the table unasked. For several networks, `folds` has the numbers of the rows that
    each of them is trained and validated on.
    """

    preprocessing: Preprocessing
    x: np.ndarray | PreparedRows
    y: np.ndarray
    x_validation: np.ndarray
    y_validation: np.ndarray
    notes: tuple[str, ...]
    decisions: tuple[Decision, ...]
    folds: tuple[tuple[np.ndarray, np.ndarray], ...] = ()


def prepare(
    table: Table,
    target: str | None = None,
    *,
    task: str = "auto",
    missing: str | None = None,
    strict: bool = False,
    drop: Collection[str] = (),
    keep: Collection[str] = (),
    groups: str | None = None,
    standardize: bool = True,
    encode: str = "plain",
    effects: bool = False,
    scale_target: bool = True,
    validation: float = 0.0,
    nets: int = 1,
    seed: int = 0,
    dtype: str = "float32",
    stream: bool = False,
) -> Prepared:
    """Choose the preprocessing of a table, and apply it; raise InputError if none fits.

    The options are those of the command; `effects` are those of texts with many values, see
    `xpnet.tables.encodings`. At most `MAX_VALIDATION_ROWS` are held out, drawn by class if there
    are classes, or whole `groups` by the column of that name, which is left out; means and
    deviations are those of the other rows. With several `nets`, each one
    holds out rows of its own, and x, means and deviations are those of all rows. With `stream`,
    rows are prepared when they are read.
    """
    missing = missing or ("refuse" if strict else "impute")
    for argument, value, known in (("task", task, ("auto", *TASKS)), ("encode", encode, ENCODE),
                                   ("missing", missing, MISSING_POLICIES)):  # fmt: skip
        if value not in known:
            raise bad_argument(argument, value, f"is not one of {', '.join(known)}")
    source, targets = _targets(table, target or "")
    used = _used(table, targets, drop, keep, groups)
    found = summarize(table, used if table.labels else (*used, *targets))
    table, notes = with_gaps(table, found, keep, impute=missing == "impute" and not strict)
    cells = {name: found[name] for name in used}
    choice = choose_columns(table, cells, keep, impute=missing == "impute")
    plan = _unscaled_plan(table, targets, choice, missing)
    rows = plan.complete_rows(table, target=True)
    decisions = _decisions(table, choice, found, plan, rows)
    _refuse(table, choice, source, plan, decisions if strict else [])
    _refuse_too_few(table, len(rows), plan, choice)
    notes += _row_notes(table, len(rows), stream, used if validation and not groups else ())
    plan, y = _with_tasks(plan, task, source, rows, strict)
    together = table.column(groups)[rows] if groups else None
    train, held, folds = _divided(plan, y, validation, nets, seed, notes, together)
    if plan.layout == "image":
        plan = replace(plan, columns=tuple(Number(each.name, 0.0, 255.0) for each in plan.columns))
    else:
        encoding = encode if standardize else None
        plan = _with_scales(plan, table, rows[train], found, notes, encoding, total=len(rows))
    if plan.task == "regression" and standardize and scale_target:
        plan = _with_target_scales(plan, source, rows[train])
        y = plan.of_values(y)
    x: Any = PreparedRows(plan, table, rows[train], dtype) if stream else None
    if effects and validation and not (strict or stream):
        plan, x = _with_effects(plan, table, rows[train], y[train], seed, dtype)
    elif not stream:
        x = plan.transform(table, rows[train], dtype=dtype)
    for one, values in zip(plan.each_target, y[train].reshape(len(train), -1).T, strict=True):
        notes += [*_rare_classes(one, values), *note_leaks(one, table, rows[train], values)]
    notes += note_outliers(plan, table, found, rows, y) if standardize else []
    x_held = plan.transform(table, rows[held], dtype=dtype)
    done = tuple(notes), (*decisions, *_other_spellings(plan, source)), folds
    return Prepared(plan, x, y[train], x_held, y[held], *done)


def _targets(table: Table, given: str) -> tuple[Table, tuple[str, ...]]:
    source, name = target_of(table, given)
    name = name if name in source.places else one_line(name)
    several = dict.fromkeys(each.strip() for each in name.split(","))
    names = (name,) if name in source.places or "" in several else tuple(several)
    for each in names:
        source.index(each, "target column")
    check_memory(source.path, 8 * source.rows)  # targets are held, also where rows are not
    return source, names


def _used(
    table: Table, targets: Collection[str], drop: Collection[str], keep: Collection[str],
    groups: str | None,
) -> tuple[str, ...]:  # fmt: skip
    if groups is not None:
        drop = [*drop, table.names[table.index(groups, "column for --groups,")]]
    if drop and table.layout != "table":
        message = f"{table.path} is an array, and all its columns are used"
        raise InputError(f"--drop {', '.join(drop)}: {message}; save it without these.")
    for name in ({*drop} - table.unfit.keys()) | {*keep}:
        table.index(name, "column to keep," if name in keep else "column to drop,")
    targets = [] if table.labels else targets
    for name in {*drop} & {*targets}:
        raise InputError(f"--drop {name}: this is the target, the column to predict; keep it.")
    left_out = {*drop, *table.unfit, *targets}
    names = tuple(name for name in table.names if name not in left_out)
    if not names:
        raise InputError(f"{table.path}: no columns are left besides the target; add some.")
    return names


def _unscaled_plan(
    table: Table, targets: tuple[str, ...], choice: Choice, missing: str
) -> Preprocessing:
    layout = "image" if table.matrix.dtype == np.uint8 else table.layout
    used = {*targets, *(each.name for each in choice.columns)}
    return Preprocessing(
        "regression", targets[0], tuple(choice.columns), missing=missing, layout=layout,
        left_out=(*choice.left_out,), more_targets=(*map(Target, targets[1:]),),
        gap_words=tuple(dict.fromkeys(chain(*table.words.values()))),
        target_gap=table.gaps.get(targets[0]),
        signs=tuple(each for each in table.signs.items() if each[0] in used),
    )  # fmt: skip


def _decisions(
    table: Table, choice: Choice, found: Mapping[str, Summary], plan: Preprocessing,
    rows: np.ndarray,
) -> list[Decision]:  # fmt: skip
    read = {key: quoted(each) for key, each in table.guesses.items() if key != "no_header"}
    read |= {"header": "none"} if "no_header" in table.guesses else {}
    impute, gone, total = plan.missing == "impute", table.rows - len(rows), table.rows
    kept = summarize(table, plan.needed, rows) if impute and gone else found
    encoded, pooled = dict[str, str](), list[str]()
    imputed, codes = dict[str, str](), dict[str, str]()
    for each in choice.columns:
        if impute and not isinstance(each, Words) and (count := kept[each.name].missing):
            gap, told = table.gaps.get(each.name), imputed
            found_as = " or ".join(["", *map(quoted, table.words.get(each.name, ()))])
            if gap is not None:
                told, found_as = codes, f"{found_as} or {gap:g}, imputed"
            told[each.name] = counted(count, "cell") + (found_as and f", empty{found_as}")
        if isinstance(each, Category):
            more = f", {len(each.also):,} in other letters" if each.also else ""
            encoded[each.name] = counted(len(each.categories), "value") + more
            if each.pooled:
                rare = np.count_nonzero(found[each.name].counts) - len(each.categories + each.also)
                encoded[each.name] += f", {rare:,} rare ones pooled"
                pooled.append(each.name)
    why = _no_target(table, plan) if impute else "missing cells"
    words = {e.name: counted(len(e.words), "word") for e in choice.columns if isinstance(e, Words)}
    dates = {each.name: each.summary for each in choice.columns if isinstance(each, Dates)}
    pairs = {name: dates.pop(name) for name, told in [*dates.items()] if told == PAIR}
    encoded, pooled = encoded | pairs, [*pooled, *pairs]
    every = [
        Decision("read", read, table.guesses),
        Decision("passed over", table.passed_over, {"strict": False}),
        _with_signs(plan),
        Decision("rows", {f"{gone:,} of {total:,} left out": why} if gone else {}, {}, "--missing"),
        Decision("left out", choice.left_out, {"drop": [*choice.left_out]}, "--keep COLUMN"),
        Decision("dates", dates, {"drop": [*dates]}),
        Decision("imputed", imputed, {}, "--missing drop"),
        Decision("codes", codes, {}, "--keep COLUMN"),
        Decision("encoded", encoded, {"drop": pooled} if pooled else {}, "--drop COLUMN"),
        Decision("words", words, {"drop": [*words]}),
    ]
    return [each for each in every if each.columns]


def _with_signs(plan: Preprocessing) -> Decision:
    signs = {name: each for name, each in plan.signs if each}
    droppable = [name for name in signs if name not in plan.targets]
    undo = ["--drop COLUMN"] if droppable else []
    undo += [option for sign, option in _DECIMAL.items() if sign in "".join(signs.values())]
    return Decision("numbers", signs, {"drop": droppable} if droppable else {}, ", ".join(undo))


def _no_target(table: Table, plan: Preprocessing) -> str:
    others = [quoted(word) for name in plan.targets for word in table.words.get(name, ())]
    others += [f"{table.gaps[name]:g}" for name in plan.targets if name in table.gaps]
    return f"no {' or '.join(plan.targets)}{', but ' if others else ''}{up_to_ten(others)}"


def _refuse(
    table: Table, choice: Choice, source: Table, plan: Preprocessing, guesses: list[Decision]
) -> None:
    messages = [*choice.obstacles.values()]
    repair: dict[str, Any] = {"drop": [*choice.obstacles]}
    used = (table, plan.needed, _MISSING_REMEDY)
    for needed in (used, (source, plan.targets, _NO_TARGET)):
        if plan.missing == "refuse" and (message := missing_message(*needed)):
            messages.append(message)
            repair["missing"] = "impute"
    for each in guesses:
        if each.repair:
            messages.append(f"--strict: {each.kind}: {each.text()}.")
            repair |= {**each.repair, "drop": repair["drop"] + each.repair.get("drop", [])}
    refuse_all(table.path, messages, repair)


def _refuse_too_few(table: Table, rows: int, plan: Preprocessing, choice: Choice) -> None:
    """Refuse a table without enough rows that have a target, or without columns of use."""
    if rows < 2 or (rows < MIN_LABELLED and 10 * rows < table.rows):
        of = f" of {table.rows}" if rows < table.rows else ""
        kept = f" with {' and '.join(plan.targets)}" if plan.missing == "impute" and of else ""
        least = MIN_LABELLED if of and rows > 1 else 2
        found = f"found {rows}{of} rows{kept} to train on"
        raise InputError(f"{table.path}: {found}; give {least} or more.")
    if not choice.columns:
        message = f"{table.path}: no columns of use are left besides the target"
        names = ", ".join(f"{name} ({why})" for name, why in [*choice.left_out.items()][:10])
        keep = option_for("--keep", next(iter(choice.left_out)))
        raise InputError(f"{message}: {names}; add some, or pass {keep}.")


def _row_notes(table: Table, rows: int, stream: bool, drawn_apart: Collection[str]) -> list[str]:
    """Return notes on the rows; one on a column that names people who have several rows each."""
    notes = [f"{rows} rows are few: the scores are rough"] if rows < FEW_ROWS else []
    if stream and table.layout == "table":
        notes.append(f"rows read from a temporary file of {table.matrix.nbytes:,} bytes")
    for name in filter(_PEOPLE.fullmatch, drawn_apart):
        if MIN_GROUPS <= len(np.unique(table.column(name))) <= table.rows / 2:
            remedy = f"for a score on new ones, pass {option_for('--groups', name)}"
            notes.append(f"rows of one {quoted(name)} are trained on and held out; {remedy}")
    return notes


def _divided(
    plan: Preprocessing,
    y: np.ndarray,
    validation: float,
    nets: int,
    seed: int,
    notes: list[str],
    groups: np.ndarray | None,
) -> tuple[np.ndarray, np.ndarray, tuple[tuple[np.ndarray, np.ndarray], ...]]:
    """Return the rows to train on and those held out; for several networks, all rows and folds."""
    everything, none = np.arange(len(y)), np.arange(0)
    share = min(validation, MAX_VALIDATION_ROWS / len(y))
    if not share:
        return everything, none, ()
    if share < validation:
        notes.append(f"validation rows limited to {MAX_VALIDATION_ROWS:,}: the others train")
    if groups is None:
        labels = y if plan.classes and y.ndim == 1 else None
        folds = tuple(split(len(y), share, seed + number, labels) for number in range(nets))
    else:
        folds = tuple(split_groups(groups, share, seed + number) for number in range(nets))
    return (*folds[0], ()) if nets == 1 else (everything, none, folds)


def _with_tasks(
    plan: Preprocessing, task: str, source: Table, rows: np.ndarray, strict: bool
) -> tuple[Preprocessing, np.ndarray]:
    found = [_with_task(each, task, source, rows, strict) for each in plan.each_target]
    if len(found) == 1:
        return found[0]
    kinds = {each.target: each.task for each, _ in found}
    if len({*kinds.values()}) > 1 or "multiclass" in kinds.values():
        told = up_to_ten(f"{quoted(name)} ({kind})" for name, kind in kinds.items())
        remedy = "pass --task regression if all are numbers, or train a model for each"
        what = "several targets must be numbers, or of two classes each"
        raise InputError(f"{source.path}: {what}; found {told}; {remedy}.")
    more = tuple(Target(each.target, each.classes) for each, _ in found[1:])
    return replace(found[0][0], more_targets=more), np.stack([y for _, y in found], axis=1)


def _with_task(
    plan: Preprocessing, task: str, source: Table, rows: np.ndarray, strict: bool
) -> tuple[Preprocessing, np.ndarray]:
    """Find task and classes from the target; also return its class numbers, or raw values."""
    name = plan.target
    cells = source.column(name, rows)
    if (infinite := np.flatnonzero(np.isinf(cells))).size:
        raise source.fault(rows[infinite[0]], name, "", "give finite numbers")
    used = np.unique(cells)
    classes: Labels = tuple(used.tolist())
    kind = _kind(cells, len(classes))
    kind = "regression" if kind == "multiclass" and name in source.signs else kind  # 3 days
    if name in source.texts:
        classes = _text_classes(source, name, task, rows, text_numbers(cells), strict)
        kind = "binary" if len(classes) == 2 else "multiclass"
    if len(classes) < 2:
        what = f" in all {len(rows)} rows, so there is nothing to learn"
        raise source.fault(rows[0], name, what, "add rows of another class")
    one_more = cells[0] % 1 == 0 and np.array_equal(cells, cells[0] + np.arange(len(cells)))
    if task == "auto" and len(rows) >= MIN_SHUFFLED and one_more:
        remedy = "pass another column as --target, or --task regression if that is meant"
        raise source.fault(rows[0], name, ", and 1 more in each row: row numbers", remedy)
    kind = kind if task == "auto" else task
    if kind == "regression":
        return plan, cells
    many = kind == "multiclass" and len(classes) > max(_MAX_INTEGER_CLASSES, len(rows) // 2)
    if (kind == "binary" and len(classes) != 2) or many:
        message = f"column {quoted(name)}, the target, has {len(classes)} distinct values"
        raise InputError(f"{source.path}: {message}, too many for {kind}; correct --task.")
    return replace(plan, task=kind, classes=classes), encode_labels(
        source, name, classes, cells, meaning_of(classes)
    )


def _text_classes(
    source: Table, name: str, task: str, rows: np.ndarray, cells: np.ndarray, strict: bool
) -> tuple[str, ...]:
    """Return the classes of a target of texts; refuse those that are meant as something else."""
    words = texts_of(source, name)
    counts = np.bincount(cells, minlength=len(words))
    refuse_spoilt_numbers(source, name, counts)
    dates = 2 * sum(map(is_date, words)) > len(words)
    if task == "regression" or dates:
        refuse_text(source, name, "" if dates else ", or leave --task regression out")
    used = np.flatnonzero(counts)
    texts = [words[each] for each in used]
    once = [e for e in used if counts[e] == 1 and is_number(words[e]) and float(words[e]) % 1]
    various = len(texts) > 2 and is_various(len(texts), len(rows))
    if len(once) > 2 or various:
        refuse_units(source, name, used_texts(source, name, counts))
    if len(once) > 2:
        what = f", a number that no other row has, beside {quoted(words[np.argmax(counts)])}"
        remedy = "empty the cells that stand for nothing"
        raise source.fault(rows[np.argmax(cells == once[0])], name, what, remedy)
    if various:
        what = f"; {len(texts)} different texts in {len(rows)} rows look like an identifier"
        raise source.fault(rows[0], name, what, "pass a column with fewer as --target")
    return tuple(sorted(texts)) if strict else _spellings(texts, counts[used])


def _spellings(texts: list[str], counts: np.ndarray) -> tuple[str, ...]:
    fold = fold_of(dict(zip(texts, counts.tolist(), strict=True)))
    found, meaning = dict[str, str](), meaning_of(texts, fold)
    for at in np.argsort(-counts, kind="stable").tolist():
        found.setdefault(meaning(texts[at]), texts[at])
    return tuple(sorted(found.values()))


def _other_spellings(plan: Preprocessing, source: Table) -> list[Decision]:
    others = dict[str, str]()
    for one in plan.each_target:
        texts = texts_of(source, one.target) if one.classes else ()
        if words := [each for each in texts if each not in one.classes]:
            others[one.target] = f"also written {up_to_ten(map(quoted, words))}"
    return [Decision("classes", others)] if others else []


def _kind(values: np.ndarray, distinct: int) -> str:
    if distinct == 2:
        return "binary"
    are_integers = np.array_equal(values, np.round(values))
    few = distinct <= _MAX_INTEGER_CLASSES and len(values) >= 2 * distinct
    low, high = np.min(values), np.max(values)
    numbered = low in (0, 1) and high - low == distinct - 1  # unlike points from 80 to 97
    return "multiclass" if are_integers and few and (numbered or distinct <= 10) else "regression"


def _with_scales(
    plan: Preprocessing, table: Table, rows: np.ndarray, found: Mapping[str, Summary],
    notes: list[str], encode: str | None, total: int,
) -> Preprocessing:  # fmt: skip
    """Measure columns on the training rows: means, deviations, medians where cells are missing.

    Without `encode` numbers stay as they are. `total` is the number of all rows.
    """
    numbers = [each for each in plan.columns if isinstance(each, Number)]
    mean, std, same = _scales(table, [each.name for each in numbers], rows)
    used = zip(numbers, same, strict=True)
    if constant := [each.name for each, alike in used if alike and not each.indicator]:
        notes.append(f"constant in all training rows, so of no use: {up_to_ten(constant)}")
    bins = bins_for(total, len(numbers), encode) if encode else 0
    scales = iter(zip(mean.tolist(), std.tolist(), strict=True))  # in the order of the columns

    def measured(column: Column) -> Column:
        if isinstance(column, Dates):  # even if numbers are not: days since 1970 are large
            values = column.values(table, table.column(column.name, rows), rows)
            mean, std, _ = moments([values], len(column.parts))
            std = np.where(std > 0, std, 1.0)
            return replace(column, means=tuple(mean.tolist()), stds=tuple(std.tolist()))
        if not isinstance(column, Number):
            return column
        mean, std = next(scales) if encode else (0.0, 1.0)
        column = replace(column, mean=mean, std=std)
        gaps = plan.missing == "impute" and found[column.name].missing
        if not (gaps or bins):
            return column
        cells = table.column(column.name, rows)
        cells = cells[~np.isnan(cells)]
        fill = (float(np.median(cells)) if cells.size else 0.0) if gaps else None
        return replace(column, fill=fill, edges=quantile_edges(cells, bins) if bins else ())

    return replace(plan, columns=tuple(measured(each) for each in plan.columns))


def _with_effects(
    plan: Preprocessing, table: Table, rows: np.ndarray, y: np.ndarray, seed: int, dtype: str
) -> tuple[Preprocessing, np.ndarray]:
    """Measure the effects of texts with many values; in the inputs, they come from other rows."""
    columns, others = list[Column](), dict[str, np.ndarray]()
    for column in plan.columns:
        if isinstance(column, Category) and plan.task != "multiclass" and not plan.more_targets:
            codes = text_numbers(table.column(column.name)[rows])
            known = np.flatnonzero(codes >= 0)
            used, codes = np.unique(codes[known], return_inverse=True)
            if len(used) > MAX_CATEGORIES and len(known) >= MIN_ROWS_PER_TEXT * len(used):
                own = np.zeros(len(y))
                own[known] = means_of_other_rows(codes, y[known], len(used), seed)
                scale = float(own.std()) or 1.0
                effects = shrunken_means(codes, y[known], len(used)) / scale
                words = texts_of(table, column.name)
                texts = tuple(words[at] for at in used.tolist())
                column = replace(column, texts=texts, effects=tuple(effects.tolist()), also=())
                others[column.name] = own / scale
        columns.append(column)
    plan = replace(plan, columns=tuple(columns))
    x = plan.transform(table, rows, dtype=dtype)
    for name, effect in others.items():
        x[:, plan.inputs_of(name).stop - 1] = effect
    return plan, x


def _with_target_scales(plan: Preprocessing, source: Table, rows: np.ndarray) -> Preprocessing:
    mean, std, _ = (each.tolist() for each in _scales(source, [*plan.targets], rows))
    others = zip(plan.targets[1:], mean[1:], std[1:], strict=True)
    more = tuple(Target(name, (), *scale) for name, *scale in others)
    return replace(plan, target_mean=mean[0], target_std=std[0], more_targets=more)


def _scales(
    table: Table, names: list[str], rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return mean, standard deviation (1 if constant) and constancy of each column."""
    parts = pieces(len(rows), len(table.names))
    with np.errstate(over="ignore", invalid="ignore"):
        mean, std, same = moments((table.numbers(names, rows[each]) for each in parts), len(names))
    if not (finite := np.isfinite(std + mean)).all():
        name = names[np.argmin(finite)]
        row = rows[np.nanargmax(np.abs(table.column(name, rows)))]
        remedy = "give finite numbers, in another unit"
        raise table.fault(row, name, ", too large to standardise", remedy)
    return mean, np.where(std > 0, std, 1.0), same


def _rare_classes(plan: Preprocessing, y: np.ndarray) -> list[str]:
    counts = np.bincount(y, minlength=len(plan.classes)) if plan.classes else np.zeros(0)
    rare = [quoted(format_number(plan.classes[at])) for at in np.flatnonzero(counts < 2)]
    return [f"classes with a single training row: {up_to_ten(rare)}"] if rare else []
