"""Turn the options of a training run into what `fit` takes, for `train`, `doctor` and `parity`."""

import itertools
import math
import os
from dataclasses import dataclass, fields, replace
from importlib.util import find_spec
from typing import Any

from xpnet.backend.threads import free_memory
from xpnet.cli.options import TrainOptions, flag
from xpnet.errors import InputError
from xpnet.nn.network import MLP
from xpnet.nn.optimizers import OPTIMIZERS, SGD
from xpnet.tables.messages import up_to_ten
from xpnet.tables.prepare import prepare
from xpnet.tables.preprocessing import Preprocessing
from xpnet.tables.table import Table, read_table
from xpnet.training.callbacks import EarlyStopping

# Defaults by measurement: mean validation score of 5 seeds over 0.001, 0.003, 0.01 (learning rate),
# 32, 128, 256 (batch), 0, 3e-4, 1e-3, 3e-3, 1e-2 (l2), 1,000 and 3,000 steps, one and two layers,
# with and without early stopping and decay, on banknote, iris, sonar, ionosphere, titanic,
# winequality_red, adult, california_housing and MNIST. No setting was best on all; Adam 0.003
# falling to 0, l2 0.001, 1,000 steps of 32 rows was never far from it: 100, 96.0, 86.3, 92.0, 81.9,
# (R2 as a regression) 0.392, 85.5, 0.782, 97.7 %. Early stopping gained 0.003 in R2 on wine and
# lost 5 points on sonar, and it would choose weights on the rows that the summary is measured on.
# SGD with momentum 0.9 at 0.03 does as well; at 0.1 it failed on both regressions.
LEARNING_RATES = {"adam": 0.003, "adamw": 0.003, "sgd": 0.03}
LBFGS = "lbfgs"
# What L-BFGS, which has no steps, cannot do.
NOT_LBFGS = ("lr", "batch_size", "schedule", "l1", "dropout", "clip_norm", "early_stopping",
             "checkpoint")  # fmt: skip
# Options that are nothing without another one.
NEED = {"resume": "checkpoint", "checkpoint_every": "checkpoint", "patience": "early_stopping",
        "cache": "stream"}  # fmt: skip
MANY_ROWS = 10_000
STEPS, FEWEST_EPOCHS, MOST_EPOCHS = 1_000, 20, 200
LARGE = 1 / 8  # of the free memory: as numbers and prepared, a table takes several times its file
OUTPUTS = {"binary": "sigmoid", "multiclass": "softmax", "regression": "identity"}


@dataclass(frozen=True)
class Task:
    """A table made ready, and the options with every default filled in.

    Attributes
    ----------
    options : TrainOptions
    plan : Preprocessing
    x, y : host arrays, (rows, inputs) and (rows,)
        Training rows; x may be a `PreparedRows`.
    held_out : (x, y) or None
        Validation rows.
    rows : int
        Of the table.
    notes : tuple of str
        What the user should know about the table.
    """

    options: TrainOptions
    plan: Preprocessing
    x: Any
    y: Any
    held_out: tuple[Any, Any] | None
    rows: int
    notes: tuple[str, ...]


def check_options(options: TrainOptions) -> None:
    """Refuse options that would have no effect."""
    usual = {each.name: each.default for each in fields(options)}
    for name, other in NEED.items():
        if getattr(options, name) != usual[name] and not getattr(options, other):
            needed = flag(other) + " DIR" * (other == "checkpoint")
            raise InputError(f"{flag(name)}: it has an effect only with {needed}; add that")
    if options.early_stopping and _share(options.validation) == 0.0:
        raise InputError(
            "--early-stopping: it watches the validation rows, but --validation 0 holds out none; "
            "give a share or a file, or leave one of the two out"
        )
    if options.class_weight not in (None, "balanced"):
        raise InputError(
            f"--class-weight {options.class_weight!r} is not known; use balanced, or leave it out"
        )
    for name in NOT_LBFGS if options.optimizer == LBFGS else ():
        if getattr(options, name) != usual[name]:
            raise InputError(f"{flag(name)}: lbfgs takes no such option; leave it out, or use adam")
    if options.optimizer == LBFGS and find_spec("scipy") is None:
        raise InputError("--optimizer lbfgs needs SciPy: pip install 'xpnet[sklearn]'")
    for name in ("momentum", "nesterov"):
        if getattr(options, name) != usual[name] and options.optimizer != "sgd":
            raise InputError(f"--{name}: {options.optimizer} has none; add --optimizer sgd")


def load_task(options: TrainOptions, *, may_stream: bool = False) -> Task:
    """Read and prepare the table that the options name; large ones may be left on disk."""
    _network(options, 1, 1, "identity")  # a large table is not read for a misspelt option
    share = _share(options.validation)
    stream = _streams(options, may_stream)
    table = read_table(
        options.data,
        encoding=options.encoding,
        target=options.target,
        delimiter=options.delimiter,
        decimal=options.decimal,
        stream=stream,
        cache=options.cache,
    )
    if options.target is None and table.layout == "table":
        raise InputError(_no_target(table))
    prepared = prepare(
        table,
        options.target,
        task=options.task,
        missing=options.missing,
        drop=options.drop or (),
        keep=options.keep or (),
        standardize=not options.raw,
        validation=share or 0.0,
        seed=options.seed,
        dtype=options.dtype,
        stream=stream,
    )
    if share is not None and options.validation_target is not None:
        raise InputError("--validation-target: name the file with the rows as --validation FILE")
    held_out = (prepared.x_validation, prepared.y_validation) if share else None
    task = Task(
        options, prepared.preprocessing, prepared.x, prepared.y, held_out, table.rows,
        prepared.notes,
    )  # fmt: skip
    if share is None:
        held_out = _from_file(task)
        task = replace(task, held_out=held_out, notes=(*task.notes, *_met(task, *held_out)))
    _check_for_task(options, task.plan)
    return _counts(_with_defaults(task))


def _streams(options: TrainOptions, allowed: bool) -> bool:
    """Tell whether to leave rows on disk: if asked to, or if the file is large for the memory."""
    path = options.data.lower()
    if not allowed:
        return False
    if not options.stream:
        packed = path.endswith((".npz", ".npy.gz", "ubyte.gz", ".idx.gz"))
        if packed or not os.path.isfile(options.data):
            return False
        if os.path.getsize(options.data) <= LARGE * free_memory():
            return False
    if _share(options.validation) == 0.0:
        raise InputError(
            f"--validation 0: the rows of {options.data} are left on disk, so the model must be "
            "measured on other rows, held in memory; give a share or a file"
        )
    return True


def _no_target(table: Table) -> str:
    listed = up_to_ten(table.names)
    return f"{table.path}: use --target to name the column to predict; the columns are {listed}."


def _share(validation: str) -> float | None:
    """Return a share of the rows, or None where a file is named."""
    try:
        share = float(validation)
    except ValueError:
        return None
    if not 0.0 <= share < 1.0:
        raise InputError(
            f"--validation {validation}: give a share between 0 and 1 (0 holds out none), or a file"
        )
    return share


def _from_file(task: Task) -> tuple[Any, Any]:
    """Read validation rows, and prepare them as the training rows were."""
    options, plan, target = task.options, task.plan, task.options.validation_target
    if target is None and options.validation.endswith(".npz"):
        target = options.target
    table = read_table(
        options.validation, encoding=options.encoding, target=target,
        delimiter=options.delimiter, decimal=options.decimal, as_texts=plan.text_columns,
    )  # fmt: skip
    named = table.layout == "table"
    if (named and target is not None) or not (named or table.labels):
        remedy = "name the file with its targets: --validation-target FILE"
        if named:
            remedy = "its targets are a column, so leave --validation-target out"
        raise InputError(f"--validation {options.validation}: {remedy}")
    rows = plan.complete_rows(table, target=True) if plan.missing == "drop" else None
    x = plan.transform(table, rows, dtype=options.dtype)
    return x, plan.encode_target(table, rows)


def _met(task: Task, x: Any, y: Any) -> list[str]:
    """Note validation rows that are training rows too, if they are most of them."""
    if hasattr(task.x, "read_rows"):
        return []
    known = {a.tobytes() + b.tobytes() for a, b in zip(task.x, task.y, strict=True)}
    met = sum(a.tobytes() + b.tobytes() in known for a, b in zip(x, y, strict=True))
    if 2 * met <= len(x):
        return []
    return [f"{met:,} of {len(x):,} validation rows are training rows, too; give other rows"]


def _with_defaults(task: Task) -> Task:
    options, rows = task.options, task.x.shape[0]
    if options.optimizer == LBFGS:
        most = MOST_EPOCHS if options.epochs is None else options.epochs
        return replace(task, options=replace(options, epochs=most))
    batch_size = options.batch_size
    if batch_size is None:
        batch_size = 128 if rows >= MANY_ROWS else 32
    epochs = options.epochs
    if epochs is None:
        epochs = math.ceil(STEPS * max(batch_size, 1) / rows)
        epochs = min(max(epochs, FEWEST_EPOCHS), MOST_EPOCHS)
    rate = LEARNING_RATES.get(options.optimizer) if options.lr is None else options.lr
    return replace(task, options=replace(options, epochs=epochs, batch_size=batch_size, lr=rate))


def _check_for_task(options: TrainOptions, plan: Preprocessing) -> None:
    """Refuse options that do not go with what the target turned out to be."""
    if options.loss == "poisson" and plan.task != "regression":
        raise InputError(
            f"--loss poisson: it is for counts, but {plan.target} makes a {plan.task} task; pass "
            "--task regression, or leave the loss out"
        )
    if options.class_weight and plan.task == "regression":
        raise InputError(
            f"--class-weight {options.class_weight}: it is for classes, but {plan.target} makes a "
            "regression task; pass --task binary or multiclass, or leave the weights out"
        )


def _counts(task: Task) -> Task:
    """Leave targets as they are if the loss is for counts: standardised, some would be negative."""
    if task.options.loss != "poisson":
        return task
    plan, held_out = task.plan, task.held_out

    def back(y: Any) -> Any:
        return y * plan.target_std + plan.target_mean

    return replace(
        task,
        plan=replace(plan, target_mean=0.0, target_std=1.0),
        y=back(task.y),
        held_out=None if held_out is None else (held_out[0], back(held_out[1])),
    )


def network(task: Task) -> MLP:
    """Make the untrained network that the options describe."""
    output = "exp" if task.options.loss == "poisson" else OUTPUTS[task.plan.task]
    x = task.x
    if task.options.init == "lsuv" and hasattr(x, "read_rows"):
        x = x.read_rows(slice(MANY_ROWS))
    return _network(task.options, task.plan.inputs, task.plan.outputs, output, x)


def _network(options: TrainOptions, inputs: int, outputs: int, output: str, x: Any = None) -> MLP:
    hidden, names = _layers(options.hidden), options.activation.split(",")
    for name in ("activation", "dropout") if not hidden else ():
        if getattr(options, name) != getattr(TrainOptions, name):
            raise InputError(f"{flag(name)}: --hidden none has no hidden layers; leave one out")
    sizes = [inputs, *hidden, outputs]
    parameters = sum((a + 1) * b for a, b in itertools.pairwise(sizes))
    # Parameters, gradients, two moments, those at the start of the epoch and the last good ones.
    needed, free = 6 * parameters * (8 if options.dtype == "float64" else 4), free_memory()
    if needed > free and options.device == "cpu":
        raise InputError(
            f"--hidden {options.hidden}: {parameters:,} parameters need about {needed / 1e9:,.1f} "
            f"GB to be trained, but {free / 1e9:,.1f} GB are free; give fewer or smaller layers"
        )
    init = "auto" if options.init == "lsuv" and x is None else options.init
    return MLP(
        sizes,
        hidden=names[0] if len(names) == 1 else names,
        output=output,
        init=init,
        dtype=options.dtype,
        device=options.device,
        seed=options.seed,
        dropout=options.dropout,
        init_data=x if init == "lsuv" else None,
    )


def _layers(hidden: str) -> list[int]:
    if hidden == "none":
        return []
    try:
        sizes = [int(units) for units in hidden.split(",")]
    except ValueError:
        sizes = []
    if min(sizes, default=0) < 1:
        raise InputError(
            f"--hidden {hidden!r}: write the units of each layer, from 1, such as 64,64; or none, "
            "for a linear model"
        )
    return sizes


def largest_product(task: Task, net: MLP) -> float:
    """Return the floating-point operations of the largest matrix product of a step."""
    largest = max(a * b for a, b in itertools.pairwise(net.sizes))
    return 2.0 * (task.options.batch_size or task.x.shape[0]) * largest


def fit_options(task: Task) -> dict[str, Any]:
    """Return the keyword arguments of `fit` that correspond to the options."""
    options = task.options
    return {
        "loss": options.loss,
        "optimizer": optimizer(options),
        "epochs": options.epochs,
        "batch_size": options.batch_size,
        "validation": task.held_out,
        "early_stopping": EarlyStopping(options.patience) if options.early_stopping else False,
        "class_weight": options.class_weight,
        "l1": options.l1,
        "l2": options.l2,
        "clip_norm": options.clip_norm,
        "schedule": options.schedule,
    }


def optimizer(options: TrainOptions) -> Any:
    """Make the optimiser."""
    if options.optimizer == LBFGS:
        raise InputError("--optimizer lbfgs: only train takes it; use sgd, adam or adamw here")
    if options.optimizer not in OPTIMIZERS:
        raise InputError(
            f"--optimizer {options.optimizer!r} is not known; use one of "
            f"{', '.join((*OPTIMIZERS, LBFGS))}"
        )
    rate = options.lr or 0.0
    if options.optimizer == "sgd":
        return SGD(rate, momentum=options.momentum, nesterov=options.nesterov)
    return OPTIMIZERS[options.optimizer](rate)
