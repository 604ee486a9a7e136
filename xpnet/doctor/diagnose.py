"""`diagnose`: check the data and gradient of a network, train a copy, and say what is wrong."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from xpnet.backend.device import CPU
from xpnet.doctor.doctor import Doctor
from xpnet.doctor.findings import Evidence, Finding, Report
from xpnet.doctor.gradcheck.check import (
    away_from_saturation,
    check_gradients,
    named_parameters,
    of_unit_size,
)
from xpnet.doctor.rules.catalogue import examine
from xpnet.doctor.rules.loss import target_shape
from xpnet.doctor.sample import sample_arrays
from xpnet.doctor.sklearn import as_network, in_sklearns_words
from xpnet.doctor.step import Step, as_columns
from xpnet.errors import DivergenceError, InputError
from xpnet.nn.arrays import as_inputs
from xpnet.nn.losses import resolve_head
from xpnet.nn.network import MLP
from xpnet.training.callbacks import checked_callbacks
from xpnet.training.fit import check_parameters, prepare_training

if TYPE_CHECKING:
    from xpnet.nn.losses import Loss
    from xpnet.nn.optimizers import Optimizer


def diagnose(
    net: Any,
    x: Any,
    y: Any,
    *,
    loss: "str | Loss" = "auto",
    optimizer: "Optimizer | None" = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    validation: Any = None,
    l1: float = 0.0,
    l2: float | None = None,
    sample_weight: Any = None,
    x_new: Any = None,
    names: Sequence[str] = (),
    rows: int = 2000,
    **options: Any,
) -> Report:
    """Check data and gradient, train a copy for a while, and say what is wrong and what helps.

    Parameters
    ----------
    net : MLP
        With its initial weights; it is not changed. Or a scikit-learn ``MLPClassifier`` or
        ``MLPRegressor``, whose settings are tried with new weights.
    x, y : array_like
        As for `fit`, in memory; targets and values that `fit` refuses become findings.
    x_new : array_like, (rows, inputs), optional
        Inputs at prediction, to compare with those in training.
    names : sequence of str, optional
        Names of the inputs, for the findings; by default their numbers.
    rows : int
        The largest number of rows to train on: evenly spaced, with some of every class.
    loss, optimizer, epochs, batch_size, validation, l1, l2, sample_weight, **options
        As for `fit`, except for progress; callbacks see the copy. By default an estimator's own.

    Returns
    -------
    Report
        The `repair` of each finding gives settings to change, such as ``{"learning_rate": 0.1}``.

    Raises
    ------
    InputError, InputTypeError
        For inputs of the wrong width, rows that do not match, and options that `fit` refuses.
    """
    chosen = {"optimizer": optimizer, "epochs": epochs, "batch_size": batch_size, "l2": l2}
    chosen = {name: each for name, each in chosen.items() if each is not None}
    options |= {"loss": loss, "l1": l1, "validation": validation, "sample_weight": sample_weight}
    if not isinstance(net, MLP):
        like, numbers, own = as_network(net, x, y, batch_size)
        own |= options | chosen | {"x_new": x_new, "names": names, "rows": rows}
        return in_sklearns_words(diagnose(like, x, numbers, **own))
    weigh = options.get("class_weight") is None  # which counts rows itself
    given = (rows, x, y, sample_weight, net.output.name)
    (x, y, sample_weight), counts = sample_arrays(*given, weigh=weigh)
    with net.device.active:
        as_inputs(np.zeros_like(x), net.device, net.dtype, net.sizes[0])  # refuses other shapes
    resolve_head(net.output, loss)  # refuses other losses
    doctor = Doctor(hidden=net.hidden, output=net.output, names=names)
    doctor.note(width=net.sizes[0], class_counts=counts)
    if x_new is not None:
        doctor.watch_prediction(x_new)
    refused = _refused(net, x, y, doctor, loss)
    if refused:
        return Report(refused)
    twin = deepcopy(net)
    fresh = list(away_from_saturation(named_parameters(net)).values())
    twin.set_parameters(fresh[: len(net.weights)], fresh[len(net.weights) :])
    check = check_gradients(twin, of_unit_size(x), y, loss=loss, l1=l1, l2=l2 or 0.0, samples=4)
    doctor.note(check.findings)
    options |= {"sample_weight": sample_weight, **chosen}  # of the sample
    options["callbacks"] = [doctor, *checked_callbacks(options.get("callbacks"))]
    try:
        prepare_training(deepcopy(net), x, y, progress=False, **options).run()
    except DivergenceError:
        doctor.note(diverged=True)
    return doctor.report()


def _refused(net: MLP, x: Any, y: Any, doctor: Doctor, loss: "str | Loss") -> tuple[Finding, ...]:
    """Return findings for targets and values that `fit` would refuse, if there are any."""
    try:
        # What overflows is found below, with its cause.
        with net.device.active, np.errstate(over="ignore", invalid="ignore"):
            check_parameters(net)
            net.loss(x, y, loss=loss)
    except InputError as error:
        x, y = (CPU.put(each, net.dtype) for each in (x, y))  # what is infinite in this dtype, too
        outputs, parameters = np.zeros((len(x), net.sizes[-1])), named_parameters(net)
        shown = Step(x, as_columns(y), outputs, parameters=parameters)
        found = examine(replace(doctor.run, first=shown, data=shown))
        known = {"non-finite", "target-range", "class-numbers"}
        return tuple(each for each in found if each.code in known) or (
            target_shape.finding(Evidence("targets", str(error), remedy="see xpnet.fit, Raises")),
        )
    return ()
