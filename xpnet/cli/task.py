"""From the options of a training run to the arguments of `fit`: for `train`, `doctor`, `parity`."""

import itertools
import math
import os
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Any

import numpy as np

from xpnet.backend.threads import blas_threads, free_memory, threads_for
from xpnet.cli.options import LBFGS, TrainOptions, flag, reading
from xpnet.cli.ranks import own_device, rank
from xpnet.errors import InputError
from xpnet.nn.arrays import is_row_source
from xpnet.nn.network import MLP
from xpnet.nn.optimizers import LEARNING_RATES, OPTIMIZERS, SGD
from xpnet.saving.model import Judged, mean_outputs
from xpnet.tables.messages import Decision, one_line, up_to_ten
from xpnet.tables.prepare import prepare
from xpnet.tables.preprocessing import Preprocessing
from xpnet.tables.table import Table, read_table
from xpnet.training.callbacks import EarlyStopping

# Options that L-BFGS, which has no steps, does not have.
NOT_LBFGS = (
    "lr", "steps", "batch_size", "schedule", "l1", "dropout", "clip_norm", "early_stopping",
    "checkpoint",
)  # fmt: skip
# What would be ignored elsewhere.
ONLY = {
    "chunks": "under mpiexec", "groups": "where a share is held out",
    "momentum": "with --optimizer sgd", "nesterov": "with --optimizer sgd",
    "patience": "with --early-stopping", "checkpoint_every": "with --checkpoint",
    "resume": "with --checkpoint",
}  # fmt: skip
MANY_ROWS = 10_000
STEPS, MIN_EPOCHS, MAX_EPOCHS = 1_000, 20, 200
# For tables of up to so many rows, the number of networks, and the steps of each. On few rows a
# single network is a matter of luck; many rows need more steps than there is time for in several.
BUDGETS = ((1_000, 4, 1_000), (5_000, 2, 2_000), (math.inf, 1, 3_000))
MAX_NETS = 100
PATIENCE = 10  # epochs; later ones only overfit more
STEPS_PER_EPOCH = 50  # after which the validation loss is measured
REPEATED, MAX_COMPARED = 0.1, 100_000  # share of validation rows; training rows to look through
LARGE = 1 / 8  # of the free memory: a table in memory takes several times the size of its file
COPIES = 5  # of the parameters of each network in training, and as many in float64 in the doctor
LARGE_TO_SEND = 1 << 26  # bytes, with several processes, each of which keeps its own rows
PACKED = (".npz", ".npy.gz", "ubyte.gz", ".idx.gz")  # cannot be read in batches
PASSED_ON = (
    "loss", "epochs", "batch_size", "class_weight", "l1", "l2", "clip_norm", "schedule", "compile",
    "chunks",
)  # fmt: skip
OUTPUTS = {"binary": "sigmoid", "multiclass": "softmax", "regression": "identity"}


@dataclass(frozen=True)
class Task:
    """A prepared table, and the options with all defaults filled in."""

    options: TrainOptions
    plan: Preprocessing
    x: Any  # (rows, inputs), the training rows; may be `PreparedRows`
    y: Any  # (rows,)
    held_out: tuple[Any, Any] | None  # inputs and targets of the validation rows
    rows: int  # the number of rows of the table
    notes: tuple[str, ...] = ()
    decisions: tuple[Decision, ...] = ()
    folds: tuple[tuple[Any, Any], ...] = ()  # for each network, its training and validation rows

    @property
    def judged(self) -> tuple[Any, Any]:
        """Inputs and targets that a network is judged on: those held out, if any."""
        return self.held_out or (self.x, self.y)

    @property
    def nets(self) -> int:
        """The number of networks to train."""
        return int(self.options.nets)

    def of_net(self, number: int) -> "Task":
        """Return the task of one of several networks, with its seed, rows and checkpoints."""
        options, (x, y, held_out) = self.options, (self.x, self.y, self.held_out)
        if self.nets == 1:
            return self
        if self.folds:
            train, held = self.folds[number]
            x, y, held_out = self.x[train], self.y[train], (self.x[held], self.y[held])
        folder = options.checkpoint and os.path.join(options.checkpoint, f"net-{number + 1}")
        options = replace(options, seed=options.seed + number, checkpoint=folder)
        return replace(self, options=options, x=x, y=y, held_out=held_out, folds=())


def read_task(given: TrainOptions, *, to_train: bool = False) -> Task:
    """Read and prepare the table that the options name.

    Only `to_train`, a large table may stay on disk, and there may be several networks.
    """
    options = given.with_recipe()
    _check(given, options)
    stream = to_train and (options.stream or _is_large(options.data))
    share = _share(options.validation)
    if stream and share == 0.0:
        raise InputError(
            f"--validation 0: the rows of {options.data} are left on disk, so the model must be "
            "measured on other rows, held in memory; give a share or a file"
        )
    table = _read(options, options.data, options.target, stream=stream, cache=options.cache)
    if options.target is None and table.layout == "table":
        what = f"{table.path}: use --target to name the column to predict; the columns are "
        raise InputError(f"{what}{up_to_ten(table.names)}.")
    detected = {"decimal", "no_header"} & table.guesses.keys()  # the model reads other tables alike
    nets = _nets(options.nets, table.rows, single=stream or rank() is not None) if to_train else "1"
    options = replace(options, nets=nets, **{name: table.guesses[name] for name in detected})
    try:
        prepared = prepare(
            table, options.target, task=options.task, strict=options.strict,
            missing="refuse" if options.missing == "error" else options.missing,
            drop=_names(options.drop), keep=_names(options.keep), standardize=not options.raw,
            stream=stream, scale_target=options.loss != "poisson",  # which has none below 0
            groups=options.groups, encode=options.encode, validation=share or 0.0, nets=int(nets),
            seed=options.seed, effects=to_train and options.encode == "auto", dtype=options.dtype,
        )  # fmt: skip
    except InputError as error:
        raise _with_command(error, given) from error
    plan, held_out = prepared.preprocessing, None
    if share is None:
        held_out = _validation_file(options, plan)
    elif share and not prepared.folds:
        held_out = prepared.x_validation, prepared.y_validation
    _check_memory(options, plan.inputs, plan.outputs, int(nets))
    task = Task(options, plan, prepared.x, prepared.y, held_out, table.rows, prepared.notes,
                prepared.decisions, prepared.folds)  # fmt: skip
    return with_defaults(replace(task, notes=(*task.notes, *_note_repeated(task.of_net(0)))))


def _names(given: list[str] | None) -> list[str]:
    return [*map(one_line, given or ())]


def _read(options: TrainOptions, path: str, target: str | None, **others: Any) -> Table:
    names = options.target or ""
    columns = {*filter(None, (names, *names.split(",")))}
    return read_table(path, target=target, **{"columns": columns, **reading(options), **others})


def _nets(nets: str, rows: int, *, single: bool) -> str:
    if nets == "auto":
        return "1" if single else next(f"{count}" for most, count, _ in BUDGETS if rows <= most)
    if not nets.isdecimal() or not 1 <= int(nets[:9]) <= MAX_NETS:
        raise InputError(f"--nets {nets}: give a number from 1 to {MAX_NETS}, or auto")
    if single and int(nets) > 1:
        raise InputError(f"--nets {nets}: several need rows in memory and no mpiexec; leave it out")
    return nets


def _with_command(error: InputError, options: TrainOptions) -> InputError:
    if not error.repair:
        return error
    drop = [*(options.drop or []), *error.repair.get("drop", [])]
    keep = [each for each in options.keep or () if each not in drop]
    repair = {**error.repair, "drop": drop or None, "keep": keep or None}
    command = replace(options, **repair).as_command()
    return InputError(f"{error}\n  without them: {command}")


def _check(given: TrainOptions, options: TrainOptions) -> None:
    if options.optimizer == LBFGS:
        if rank() is not None:
            raise InputError("--optimizer lbfgs: it has no steps to share; leave mpiexec out")
        for name in NOT_LBFGS:
            if getattr(given, name) != getattr(TrainOptions, name):
                what = f"{flag(name)}: lbfgs takes no such option; leave it out, or use adam"
                raise InputError(what)
        if find_spec("scipy") is None:
            raise InputError("--optimizer lbfgs needs SciPy: pip install 'xpnet[sklearn]'")
    met = {
        "under mpiexec": rank() is not None,
        "where a share is held out": bool(_share(options.validation)),
        "with --optimizer sgd": options.optimizer == "sgd",
        "with --early-stopping": options.early_stopping,
        "with --checkpoint": options.checkpoint is not None,
    }
    for name, condition in ONLY.items():
        if getattr(given, name) != getattr(type(given), name) and not met[condition]:
            raise InputError(f"{flag(name)}: it has an effect only {condition}; leave it out")
    for name in {*(options.drop or ())} & {*(options.keep or ())}:
        raise InputError(f"--drop {name} --keep {name}: give one of them")
    if options.steps is not None and (options.epochs is not None or options.steps < 1):
        remedy = "give a number from 1, and not --epochs as well"
        raise InputError(f"--steps {options.steps}: {remedy}")
    layers = _layers(options.hidden)
    one_unit_each = ",".join("1" for _ in layers) or "none"
    _network(replace(options, hidden=one_unit_each), 1, 1, "identity")
    _check_memory(options, 1, 1)


def _check_memory(options: TrainOptions, inputs: int, outputs: int, nets: int = 1) -> None:
    """Refuse networks that need more memory than is free, before any weight is drawn."""
    sizes = [inputs, *_layers(options.hidden), outputs]
    count = sum((fan_in + 1) * fan_out for fan_in, fan_out in itertools.pairwise(sizes))
    size = COPIES * (8 + nets * np.dtype(options.dtype).itemsize)
    needed = count * (size if options.device == "cpu" else 8)  # else they are only drawn here
    free = free_memory()
    if needed > free:
        several = f"{nets} networks of " if nets > 1 else ""
        raise InputError(
            f"--hidden {options.hidden}: {several}{count:,} parameters or more need "
            f"{needed // 10**6:,} MB or more, and {free // 10**6:,} MB are free; give fewer units"
            f"{' or --nets 1' if nets > 1 else ''}."
        )


def _is_large(path: str) -> bool:
    """Return whether a file can be read in batches, and is too large to be held or sent."""
    if path.lower().endswith(PACKED) or not os.path.isfile(path):
        return False
    return os.path.getsize(path) > (LARGE * free_memory() if rank() is None else LARGE_TO_SEND)


def _share(validation: str) -> float | None:
    try:
        share = float(validation)
    except ValueError:
        return None
    if not 0.0 <= share < 1.0:
        remedy = "give a share between 0 and 1 (0 holds out none), or a file"
        raise InputError(f"--validation {validation}: {remedy}")
    return share


def _validation_file(options: TrainOptions, plan: Preprocessing) -> tuple[Any, Any]:
    target = options.validation_target
    if target is None and options.validation.endswith(".npz"):
        target = options.target
    apart = {"sheet": None, "query": None, **plan.reading}
    table = _read(options, options.validation, target, **apart)
    if table.layout != "table" and not table.labels:
        remedy = "name the file with its targets: --validation-target FILE"
        raise InputError(f"--validation {options.validation}: {remedy}")
    rows = plan.complete_rows(table, target=True) if plan.missing != "refuse" else None
    return plan.transform(table, rows, dtype=options.dtype), plan.encode_target(table, rows)


def _note_repeated(task: Task) -> list[str]:
    """Note that validation rows are training rows, unless few of them are distinct."""
    if not task.held_out or is_row_source(task.x) or len(task.x) > MAX_COMPARED:
        return []
    rows, known = (
        [hash((x.tobytes(), y.tobytes())) for x, y in zip(*pair, strict=True)]
        for pair in (task.held_out, (task.x, task.y))
    )
    if not len(rows) < 2 * len({*rows}):
        return []
    trained = {*known}
    again = sum(each in trained for each in rows)
    told = f"{again:,} of {len(rows):,} validation rows are training rows, too: the scores are "
    return [told + "better than those of new rows"] if again >= REPEATED * len(rows) else []


def with_defaults(task: Task) -> Task:
    """Fill in the options whose defaults depend on others, or on the number of rows."""
    options, plan = task.options, task.plan
    if options.loss == "poisson" and plan.task != "regression":
        raise InputError(
            f"--loss poisson: it is for counts, but {plan.target} makes a {plan.task} task; pass "
            "--task regression, or leave the loss out"
        )
    defaults = _defaults_by_rows(task).items()
    unset = {name: value for name, value in defaults if getattr(options, name) is None}
    return replace(task, options=replace(options, **unset))


def _defaults_by_rows(task: Task) -> dict[str, Any]:
    options, rows = task.options, task.x.shape[0]
    if options.optimizer == LBFGS:
        return {"epochs": MAX_EPOCHS}
    usual = min(max(rows // 16, 32), 128)
    if options.simple and rows < MANY_ROWS:
        usual = 32
    batch_size = options.batch_size or usual
    defaults = {"batch_size": batch_size, "lr": LEARNING_RATES.get(options.optimizer)}
    if options.simple and options.steps is None:
        epochs = min(max(math.ceil(STEPS * batch_size / rows), MIN_EPOCHS), MAX_EPOCHS)
        return {**defaults, "epochs": epochs}
    if options.epochs is not None:
        return defaults
    steps = options.steps or next(steps for most, _, steps in BUDGETS if task.rows <= most)
    return {**defaults, "steps": steps, "epochs": math.ceil(steps / STEPS_PER_EPOCH)}


def make_network(task: Task) -> MLP:
    """Return an untrained network as the options describe it."""
    output = "exp" if task.options.loss == "poisson" else OUTPUTS[task.plan.task]
    _check_memory(task.options, task.plan.inputs, task.plan.outputs)
    return _network(task.options, task.plan.inputs, task.plan.outputs, output)


def _network(options: TrainOptions, inputs: int, outputs: int, output: str) -> MLP:
    names, sizes = options.activation.split(","), [inputs, *_layers(options.hidden), outputs]
    return MLP(
        sizes, hidden=names[0] if len(names) == 1 else names, output=output, init=options.init,
        dtype=options.dtype, device=own_device(options.device), seed=options.seed,
        dropout=options.dropout,
    )  # fmt: skip


def _layers(hidden: str) -> list[int]:
    try:
        sizes = [] if hidden == "none" else [int(units) for units in hidden.split(",")]
    except ValueError:
        sizes = [0]
    if min(sizes, default=1) < 1:
        raise InputError(
            f"--hidden {hidden!r}: write the units of each layer, from 1, such as 64,64; or none, "
            "for a linear model"
        )
    return sizes


def limit_threads(task: Task) -> AbstractContextManager[Any]:
    """Limit BLAS to one thread if `--deterministic`, or if the products of a step are small."""
    if task.options.deterministic or rank() is not None:
        return blas_threads(1)
    sizes = [task.plan.inputs, *_layers(task.options.hidden), task.plan.outputs]
    largest = max(a * b for a, b in itertools.pairwise(sizes))
    return threads_for(2.0 * (task.options.batch_size or task.x.shape[0]) * largest)


def fit_options(task: Task) -> dict[str, Any]:
    """Return the keyword arguments of `fit` that correspond to the options."""
    options = task.options
    stopping = EarlyStopping(options.patience) if options.early_stopping else None
    if options.steps and task.held_out:  # within a budget of steps the rest would be of no use
        stopping = stopping or EarlyStopping(PATIENCE)
    return {
        "optimizer": _optimizer(options),
        "validation": task.held_out,
        "early_stopping": stopping,
        "keep_best": not options.simple and task.held_out is not None,
        "steps_per_epoch": STEPS_PER_EPOCH if options.steps else None,
        **{name: getattr(options, name) for name in PASSED_ON},
    }


def _optimizer(options: TrainOptions) -> Any:
    name, rate = options.optimizer, options.lr or 0.0
    if name == "sgd":
        return SGD(rate, momentum=options.momentum, nesterov=options.nesterov)
    if name not in OPTIMIZERS:
        known = ", ".join(OPTIMIZERS)
        what = f"--optimizer {name!r} is not known here; use {known}, or, to train, lbfgs"
        raise InputError(what)
    return OPTIMIZERS[name](rate)


def judge(task: Task, nets: list[MLP]) -> Judged:
    """Predict the rows to judge on; with folds, each network predicts the rows held out from it."""
    x, y = task.judged
    if not task.folds:
        return Judged(x, mean_outputs(nets, x), y, lambda x, rows: mean_outputs(nets, x))
    held_out = np.zeros((len(y), len(nets)), dtype=bool)  # which rows from which networks
    for number, (_, held) in enumerate(task.folds):
        held_out[held, number] = True
    rows = np.flatnonzero(held_out.any(axis=1))
    x, y, held_out = x[rows], y[rows], held_out[rows]

    def predict(x: Any, rows: Any) -> Any:
        total = np.zeros((len(x), task.plan.outputs))
        for net, held in zip(nets, held_out[rows].T, strict=True):
            total[held] += net.predict(x[held])
        return total / held_out[rows].sum(axis=1, keepdims=True)

    return Judged(x, predict(x, slice(None)), y, predict)
