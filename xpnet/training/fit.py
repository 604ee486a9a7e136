"""`fit`: check and prepare what the caller gives, once, and train on it."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import fields
from functools import partial
from numbers import Integral
from typing import Any

import numpy as np

from xpnet.backend.device import Array, to_host
from xpnet.errors import InputError, InputTypeError, bad_argument, check_numbers
from xpnet.nn.arrays import as_row_weights, as_targets, check_finite, class_numbers, is_row_source
from xpnet.nn.losses import Loss, penalty
from xpnet.nn.network import MLP
from xpnet.nn.optimizers import OPTIMIZERS, Optimizer
from xpnet.nn.schedules import Schedule
from xpnet.training.batches import MAX_VALIDATION_ROWS, Data, split, take_rows
from xpnet.training.callbacks import EarlyStopping, ProgressBar, checked_callbacks, wants_progress
from xpnet.training.history import History
from xpnet.training.loop import Training, TrainingOptions
from xpnet.training.parallel import ParallelTraining
from xpnet.training.skill import NoSkillWarning, verdict


def fit(
    net: MLP,
    x: Any,
    y: Any,
    *,
    loss: str | Loss = "auto",
    optimizer: str | Optimizer | None = None,
    epochs: int = 20,
    steps_per_epoch: int | None = None,
    batch_size: int = 32,
    shuffle: bool = True,
    validation: Any = None,
    early_stopping: bool | int | EarlyStopping = False,
    sample_weight: Any = None,
    class_weight: Any = None,
    l1: float = 0.0,
    l2: float = 0.0,
    clip_norm: float | None = None,
    schedule: str | Schedule | None = None,
    metrics: Any = (),
    callbacks: Sequence[Any] | None = (),
    progress: bool | None = None,
    seed: int | None = None,
    compile: str = "auto",
    parallel: Any = None,
    chunks: int | None = None,
) -> History:
    """Train a network in place by mini-batches; return its history.

    Parameters
    ----------
    net : MLP
    x : array_like, (n, inputs), or `xpnet.RowFile`
        A file is read batch by batch, for data larger than memory.
    y : array_like
        (n, outputs); (n,) for one output; or class numbers, (n,), for softmax.
    loss : str or Loss
        See `xpnet.nn.losses`; ``"auto"`` chooses the usual one for the output activation.
    optimizer : {"sgd", "adam", "adamw"} or SGD, Adam or AdamW, optional
        By name with its default learning rate; ``SGD(0.1)`` by default.
    epochs : int, from 1
    steps_per_epoch : int, from 1, optional
        Steps of an epoch; the next epoch begins with the rows that follow. By default an epoch is a
        pass over all rows.
    batch_size : int, from 1
        At most n is used. Left-over rows make a short last batch, which is a step like any other
        and counts in the epoch's loss by its number of rows.
    shuffle : bool
        Draw a new order for every epoch, from the seed; False keeps the given order.
    validation : (x, y) or float, optional
        Validation rows, or the share of the rows to hold out for that, with their sample weights.
        Of a file, at most 10,000 rows are held out, since they are kept in memory.
    early_stopping : bool, int or EarlyStopping
        True (a patience of 10 epochs) or another patience; the best weights are restored at the
        end. It watches the validation loss, or without validation rows the training loss, which
        does not show overfitting.
    sample_weight : array_like, (n,), optional
        The mean over the rows of a batch becomes the weighted mean.
    class_weight : "balanced" or dict, optional
        Weight of each class number, multiplied into the sample weights; for one softmax or one
        sigmoid output. Validation rows are weighted by class too.
    l1, l2 : float, from 0
        Penalties ``l1 sum(|w|)`` and ``l2 / 2 sum(w²)``, on weights only.
    clip_norm : float, optional
        Upper limit of the gradients' joint norm.
    schedule : str or callable, optional
        See `xpnet.nn.schedules`.
    metrics : sequence of str or callable
        ``"accuracy"``, ``"r2"``, ``"mean_absolute_error"``, or ``metric(outputs, targets)``.
    callbacks : sequence of function or object
        Functions, called with the run after every epoch, or objects as
        `xpnet.training.callbacks` says.
    progress : bool, optional
        Show a progress bar; by default only in a terminal or notebook.
    seed : int, optional
        Seed of row orders and dropout masks; the network's by default.
    compile : {"auto", "on", "off"}
        Compile the steps, on the CPU, with the extra ``fast`` (numba). The losses are the same to
        rounding. By default only long runs are compiled: that takes some seconds, and an epoch of a
        small network then takes a twentieth of the time. Never where a callback watches every step.
    parallel : mpi4py communicator, optional
        Train with all its processes, on each of which `fit` is called with the same arguments; see
        `xpnet.training.parallel`. Run such a program with ``mpiexec -n 4 python -m mpi4py``, so
        that an error ends all processes.
    chunks : int, from 0, optional
        Number of parts of a batch with `parallel`, whose gradients are added in a fixed order: any
        number of processes up to this gives the same bits. Default 4; 0, and the default for more
        than 4 processes, is a plain Allreduce.

    Returns
    -------
    History

    Raises
    ------
    InputError
        For shapes, values and options that cannot be used.
    DivergenceError
        If training diverges; the network keeps its last good weights.

    Warns
    -----
    NoSkillWarning
        If the network, after 5 epochs and 100 steps or after 1,000 steps, is no better than the
        best constant prediction on the training rows.
    """
    training = prepare_training(**locals())  # all arguments as they are
    with net.device.active:
        penalty_at_start = float(penalty(net.device.xp, net.flat_weights, l1, l2))
        history = training.run()
        message = verdict(training, penalty_at_start)
    if message:
        warnings.warn(message, NoSkillWarning, stacklevel=2)
    return history


def prepare_training(
    net: MLP, x: Any, y: Any, *, optimizer: str | Optimizer | None = None, validation: Any = None,
    early_stopping: bool | int | EarlyStopping = False, sample_weight: Any = None,
    class_weight: Any = None, callbacks: Sequence[Any] | None = (), progress: bool | None = None,
    seed: int | None = None, parallel: Any = None, **options: Any,
) -> Training:  # fmt: skip
    """Check and prepare what `fit` takes; return the training, to be run."""
    if unknown := options.keys() - {each.name for each in fields(TrainingOptions)}:
        raise InputTypeError(f"{', '.join(sorted(unknown))}: not known; xpnet.fit has the options")
    optimizer = _resolve_optimizer(optimizer)
    own_callbacks = checked_callbacks(callbacks)
    if is_row_source(x) and options.get("metrics") and validation is None:
        raise InputError(f"metrics on {x} need validation rows; pass validation=0.1")
    stopping, seed = _early_stopping(early_stopping), net.seed if seed is None else seed
    options |= {"keep_best": True} if stopping else {}
    settings = TrainingOptions(optimizer=optimizer, seed=seed, **options)
    with net.device.active:
        data, factors = prepared(net, x, y, sample_weight, class_weight)
        data, held_out = _with_validation(net, data, validation, seed, factors)
        speaks = parallel is None or parallel.rank == 0
        shown = [ProgressBar()] if speaks and wants_progress(progress) else []
        every = [*stopping, *own_callbacks, *shown]
        kind = Training if parallel is None else partial(ParallelTraining, parallel)
        return kind(net, data, settings, validation=held_out, callbacks=every)


def _resolve_optimizer(choice: Any) -> Optimizer:
    """Return an optimiser by its name, or the one given; refuse anything else."""
    if isinstance(choice, type):
        name = choice.__name__
        raise InputError(f"optimizer {name} is a class; pass {name}(), an instance of it")
    choice = "sgd" if choice is None else choice
    optimizer: Optimizer = OPTIMIZERS[choice]() if choice in list(OPTIMIZERS) else choice
    if not hasattr(optimizer, "step"):
        names = ", ".join(map(repr, OPTIMIZERS))
        raise bad_argument("optimizer", choice, f"is not known; pass {names}, or xpnet.SGD(0.1)")
    return optimizer


def check_parameters(net: MLP) -> None:
    """Refuse a network whose parameters are not finite."""
    xp = net.device.xp
    if not bool(xp.all(xp.isfinite(net.flat))):
        raise InputError("the network's weights or biases hold NaN or infinity; create a new one")


def prepared(net: MLP, x: Any, y: Any, sample_weight: Any, class_weight: Any) -> tuple[Data, Any]:
    """Check training rows and put them on the device; also return the factors of the classes."""
    check_parameters(net)
    if is_row_source(x):  # read once, so that no unusable row turns up during training
        if x.shape[1] != net.sizes[0]:
            raise InputError(f"x has shape {x.shape} but the network takes (n, {net.sizes[0]})")
        for number, block in enumerate(x.blocks()):
            check_finite(net.device.xp, net.device.put(block, "float64"), f"block {number} of {x}")
        y = as_targets(y, net.device, net.dtype, net.sizes[-1], net.output.name, x.shape[0])
    else:
        x, y, _ = net.prepare(x, y)
    factors = _class_factors(net, y, class_weight)
    return Data(x, y, _combined_weights(net, y, sample_weight, factors)), factors


def _early_stopping(given: bool | int | EarlyStopping) -> list[EarlyStopping]:
    if given is None or given is False:
        return []
    if isinstance(given, EarlyStopping):
        return [given]
    if not isinstance(given, Integral):
        raise InputError(f"early_stopping {given!r} must be True, epochs, or EarlyStopping(...)")
    return [EarlyStopping() if given is True else EarlyStopping(patience=int(given))]


def _with_validation(
    net: MLP, data: Data, validation: Any, seed: int, factors: Any
) -> tuple[Data, Data | None]:
    if validation is None:
        return data, None
    if not isinstance(validation, (int, float, np.number)):
        return data, prepared_pair(net, validation, factors)
    labels = None
    if net.output.name in ("sigmoid", "softmax"):
        labels = to_host(class_numbers(net.device.xp, data.y))
    rows, share = data.y.shape[0], float(validation)
    if is_row_source(data.x):  # the held-out rows are kept in memory
        share = min(share, MAX_VALIDATION_ROWS / rows)
    train, held_out = split(rows, share, seed, labels)
    return divided(net, data, train, held_out)


def divided(net: MLP, data: Data, train: Any, held_out: Any) -> tuple[Data, Data]:
    """Return the rows to train on and those held out; refuse either if all its weights are 0."""
    training = take_rows(data, train, net.device, net.dtype, lazy=True)
    validation = take_rows(data, held_out, net.device, net.dtype)
    for part, name in ((training, "to train on"), (validation, "held out")):
        if part.row_weights is not None and not float(net.device.xp.max(part.row_weights)):
            raise InputError(
                f"all {part.y.shape[0]} rows {name} have weight 0; hold out another "
                "share of the rows, or pass validation=(x, y)"
            )
    return training, validation


def as_pair(given: Any) -> tuple[Any, Any]:
    """Return validation rows as inputs and targets; refuse what is not a pair."""
    try:
        x, y = given
    except (TypeError, ValueError) as error:
        raise InputError(f"validation {given!r:.80} is not a pair of rows, (x, y)") from error
    return x, y


def prepared_pair(net: MLP, given: Any, factors: Any) -> Data:
    """Prepare validation rows given as ``(x, y)``, weighted by class like the training rows."""
    x, y, _ = net.prepare(*as_pair(given))
    return Data(x, y, _combined_weights(net, y, None, factors, "validation"))


def _class_factors(net: MLP, y: Array, class_weight: Any) -> Any:
    """Return the factor of each class number, (classes,); classes not named have 1.

    ``"balanced"`` weighs class k by n / (classes * rows of k), as in scikit-learn.
    """
    if class_weight is None:
        return None
    if net.output.name != "softmax" and (net.output.name != "sigmoid" or net.sizes[-1] > 1):
        output = f"{net.output.name!r} with {net.sizes[-1]} unit(s)"
        remedy = f"needs one class per row, but the output is {output}"
        raise bad_argument("class_weight", class_weight, remedy)
    factors = np.ones(max(2, net.sizes[-1]))
    if isinstance(class_weight, str) and class_weight == "balanced":
        counts = np.bincount(to_host(class_numbers(net.device.xp, y)), minlength=len(factors))
        known = counts > 0
        factors[known] = y.shape[0] / (np.sum(known) * counts[known])
        return factors
    if not isinstance(class_weight, Mapping):
        raise bad_argument("class_weight", class_weight, "is neither 'balanced' nor a dict")
    unknown = [key for key in class_weight if key not in range(len(factors))]
    if unknown:
        raise InputError(f"class_weight names {unknown}, which are not class numbers")
    for number, factor in class_weight.items():
        check_numbers("must be finite and >= 0", **{f"class_weight[{number}]": factor})
        factors[int(number)] = factor  # also of 1.0
    return factors


def _combined_weights(
    net: MLP, y: Array, sample_weight: Any, factors: Any, rows: str = "training"
) -> Array | None:
    """Return sample weights times class factors on the device, (n, 1), or None without any."""
    kind = net.device, net.dtype, y.shape[0]
    row_weights = None if sample_weight is None else as_row_weights(sample_weight, *kind)
    if factors is None:
        return row_weights
    weights, name = factors[to_host(class_numbers(net.device.xp, y))], "class_weight"
    if row_weights is not None:
        weights = weights * net.device.get(row_weights)[:, 0]
        name = "sample_weight times class_weight"
    return as_row_weights(weights, *kind, f"{name} of the {rows} rows")
