"""The warning at the end of `fit` that a model is no better than a constant, with the cause."""

from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from xpnet.batches import Data
from xpnet.doctor import Doctor
from xpnet.estimator_targets import BLOCKS
from xpnet.losses import Loss, head
from xpnet.network import MLP
from xpnet.types import Array

ENOUGH_ROWS = 20  # below, nothing is said
JUDGED_ROWS = 10_000
JUDGED_NUMBERS = 1_000_000  # rows times features
# Twice the gain in log-likelihood over the best constant (likelihood ratio); for other losses
# n (1 - loss / that of the constant) is about that. A single useless parameter gains 4 or more by
# chance in one case of 20. A gain of one standard error is as much, and will do where targets that
# no model can predict make the losses large.
LEAST_GAIN = 4.0
LIKELIHOODS = {"binary_cross_entropy", "categorical_cross_entropy", "log_likelihood", "poisson"}
LEAST_SPREAD = 0.01  # of the outputs, in the targets' standard deviations; rare classes have little

NOT_CENTRED = 1.0  # mean of a feature, in its standard deviations
SPREADS = (0.1, 10.0)  # standard deviations that need no scaling

SAID_ANYWAY = {"unscaled-inputs", "learning-rate-too-small"}
SYMPTOMS = {"no-better-than-constant", "constant-output", "loss-not-decreasing", "loss-rising"}
REMEDIES = {
    "saturated-units": "Scale X, or set init='auto'.",
    "dead-units": "Scale X, or set init='auto' or activation='leaky_relu'.",
    "regularisation-dominates": "Lower alpha.",
    "initial-loss": "Scale X and y (TransformedTargetRegressor), or set init='auto'.",
    "wrong-init-scale": "Set init='auto'.",
    "exploding-gradient": "Scale X, lower alpha, or set init='auto'.",
    "unshuffled-rows": "Set shuffle=True.",
    "vanishing-gradient": "Set init='auto', or activation='relu'.",
}


class DivergenceWarning(ConvergenceWarning):  # type: ignore[misc]
    """Training ran away; the estimator keeps its best weights."""


class NoSkillWarning(ConvergenceWarning):  # type: ignore[misc]
    """The fitted model is no better than the best constant prediction."""


def shortcoming(net: MLP, loss: str | Loss, judged: Data) -> str:
    """Say how a model fails: "" if it does not, or if there are too few rows to tell.

    Parameters
    ----------
    net : MLP
    loss : str or Loss
        The one that was trained: what is best for it need not be so for another.
    judged : Data
        Training rows, on the device, with the weights they had in training.
    """
    targets = _host(net, judged.y)
    rows = len(targets)
    weights = np.ones(rows) if judged.row_weights is None else _host(net, judged.row_weights)[:, 0]
    if np.count_nonzero(weights) < ENOUGH_ROWS:
        return ""
    losses, outputs = _losses_and_outputs(net, loss, judged)
    deviation, spread = _usual_deviation(targets, weights), _rms(_deviations(outputs, weights))
    if not deviation > 0.0:
        return ""
    if spread < LEAST_SPREAD * deviation:
        return (
            f"the outputs are nearly the same for all samples (standard deviation {spread:.2g}, "
            f"against {deviation:.2g} for the targets)"
        )
    kind = head(net.output, loss).loss
    of_constant = _losses_of_best_constant(net, kind, outputs, judged.y, weights)
    share = weights / np.sum(weights)
    own, constant, gains = share @ losses, share @ of_constant, of_constant - losses
    least = LEAST_GAIN * np.sum(share**2)  # divided by n, if all rows weigh the same
    least *= 0.5 if kind.name in LIKELIHOODS else max(constant, 0.0)
    error = np.sqrt(np.sum((share * (gains - share @ gains)) ** 2))
    if constant - own > min(least, error):
        return ""
    return (
        f"the model is no better than the best constant prediction ({kind.name.replace('_', ' ')} "
        f"{own:.5g}, against {constant:.5g} for the constant, on {rows} training rows)"
    )


def _host(net: MLP, array: Array) -> Any:
    return np.asarray(net.device.get(array), dtype=np.float64)


def _losses_and_outputs(net: MLP, loss: str | Loss, judged: Data) -> tuple[Any, Any]:
    """Return on the host each row's loss, (n,), and its outputs as targets are, (n, outputs)."""
    xp, joined, losses, outputs = net.device.xp, head(net.output, loss), [], []
    for z, rows in net.tiles(judged.x):
        losses.append(_host(net, joined.value_and_delta(xp, z, judged.y[rows, :])[0]))
        outputs.append(_host(net, net.output.forward(xp, z)))
    joint = np.concatenate(outputs)
    return np.concatenate(losses), np.exp(joint) if net.output.name == BLOCKS else joint


def _losses_of_best_constant(net: MLP, loss: Loss, outputs: Any, y: Array, weights: Any) -> Any:
    """Return on the host each row's loss, (n,), if the same values were predicted for all.

    The best of the targets' mean and median and, for a loss of which nothing is known, the mean of
    the outputs.
    """
    device, targets, found = net.device, _host(net, y), []
    for values, middle in ((targets, _mean), (targets, _median), (outputs, _mean)):
        constant = middle(values, weights)
        if net.output.name == BLOCKS:
            constant = np.log(np.maximum(constant, 1e-12))
        same = device.put(np.tile(constant, (len(targets), 1)), net.dtype)
        with np.errstate(all="ignore"):  # a constant may be outside the loss's domain
            found.append(_host(net, loss.value(device.xp, same, y)))
    return min(found, key=lambda losses: np.nan_to_num(_mean(losses, weights), nan=np.inf))


def _usual_deviation(targets: Any, weights: Any) -> float:
    """Return the targets' standard deviation, as far as it is not due to gross outliers.

    That is, at most 1.48 times the median distance from the median, which is the same for normal
    targets; the latter is 0, and says nothing, if most targets are the same.
    """
    deviations = _deviations(targets, weights)
    usual = 1.4826 * _median(np.abs(targets - _median(targets, weights)), weights)
    return _rms(np.where(usual > 0.0, np.minimum(usual, deviations), deviations))


def _deviations(values: Any, weights: Any) -> Any:
    """Return the weighted standard deviation of each column."""
    return np.sqrt(_mean((values - _mean(values, weights)) ** 2, weights))


def _mean(values: Any, weights: Any) -> Any:
    """Return the weighted mean of each column."""
    return np.average(values, axis=0, weights=weights)


def _median(values: Any, weights: Any) -> Any:
    """Return the weighted median of each column."""
    return np.quantile(values, 0.5, axis=0, weights=weights, method="inverted_cdf")


def _rms(values: Any) -> float:
    return float(np.sqrt(np.mean(values**2)))


def advice(doctor: Doctor, estimator: Any, inputs: Any) -> str:
    """Name the likely causes, and what to change in the estimator.

    Parameters
    ----------
    doctor : Doctor
        The one that watched the training.
    estimator : MLPClassifier or MLPRegressor
    inputs : host array, (n, features)
        As the network got them.
    """
    lines = [_scaling(inputs)]
    for each in doctor.report().findings:
        if each.severity != "note" and each.code not in SYMPTOMS | SAID_ANYWAY:
            remedy = REMEDIES.get(each.code, each.remedy.splitlines()[0])
            lines.append(f"{each.code} in {each.where}: {each.evidence}. {remedy}")
    if estimator.solver == "lbfgs":
        lines.append("Set init='auto', or solver='adam'.")
    elif estimator.n_iter_ < estimator.max_iter:
        name, rate = rate_of(estimator)
        lines.append(
            f"Training stopped after {estimator.n_iter_} of {estimator.max_iter} epochs, because "
            f"nothing improved by tol={estimator.tol:g} for {estimator.n_iter_no_change} epochs: a "
            f"plateau that the learning rate is too small to leave. Set {name}={10 * rate:g} (it "
            f"was {rate:g}), or lower tol."
        )
    else:
        lines.append(
            f"All {estimator.n_iter_} epochs were needed: raise max_iter, or "
            f"{rate_of(estimator)[0]}."
        )
    return "Likely cause: " + " ".join(line for line in lines if line)


def rate_of(estimator: Any) -> tuple[str, float]:
    """Return the name of the learning rate that counts, and its value."""
    if isinstance(estimator.solver, str):
        return "learning_rate_init", float(estimator.learning_rate_init)
    return "the solver's learning_rate", float(estimator.solver.learning_rate)


def _scaling(inputs: Any) -> str:
    """Say so if the features are far from mean 0 and standard deviation 1."""
    mean, deviation = np.abs(np.mean(inputs, axis=0)), np.std(inputs, axis=0)
    varies = deviation > 1e-12 * (mean + 1e-300)
    mean, deviation = mean[varies], deviation[varies]
    low, high = SPREADS
    if not np.any((mean > NOT_CENTRED * deviation) | (deviation < low) | (deviation > high)):
        return ""
    return (
        f"X is not scaled (means up to {mean.max():.3g}, standard deviations from "
        f"{deviation.min():.2g} to {deviation.max():.2g}). Pass standardize=True, or use a "
        "Pipeline with StandardScaler."
    )
