"""Is a trained network better than the best constant prediction? By its own loss and weights."""

from typing import Any

import numpy as np

from xpnet.backend.types import Array
from xpnet.nn.losses import LOSSES, Loss, head
from xpnet.nn.network import MLP
from xpnet.training.data import Data

ENOUGH_ROWS = 20  # below, nothing is said
# Twice the gain in log-likelihood over the best constant (likelihood ratio); for other losses
# n (1 - loss / that of the constant) is about that. A single useless parameter gains 4 or more by
# chance in one case of 20. A gain of one standard error is as much, and will do where targets that
# no model can predict make the losses large.
LEAST_GAIN = 4.0
LIKELIHOODS = {"binary_cross_entropy", "categorical_cross_entropy", "log_likelihood", "poisson"}
LEAST_SPREAD = 0.01  # of the outputs, in the targets' standard deviations; rare classes have little
KNOWN = {*LOSSES, *LIKELIHOODS}  # with another loss, outputs may be in a unit of their own

NOT_CENTRED = 1.0  # mean of a column, in its standard deviations
SPREADS = (0.1, 10.0)  # standard deviations that need no scaling


class NoSkillWarning(UserWarning):
    """The trained network is not clearly better than the best constant prediction."""


def shortcoming(net: MLP, loss: str | Loss, judged: Data, *, logarithms: bool = False) -> str:
    """Say how a model fails: "" if it does not, or if there are too few rows to tell.

    Parameters
    ----------
    net : MLP
    loss : str or Loss
        The one that was trained: what is best for it need not be so for another.
    judged : Data
        Training rows, on the device, with the weights they had in training.
    logarithms : bool
        Whether the outputs are the logarithms of what the targets are.
    """
    targets, rows = _host(net, judged.y), judged.y.shape[0]
    weights = None if judged.row_weights is None else _host(net, judged.row_weights)[:, 0]
    if (rows if weights is None else np.count_nonzero(weights)) < ENOUGH_ROWS:
        return ""
    deviation = _usual_deviation(targets, weights)
    if not deviation > 0.0:
        return ""
    kind = head(net.output, loss).loss
    losses, outputs = _losses_and_outputs(net, loss, judged, logarithms)
    spread = _rms(_deviations(outputs, weights))
    if spread < LEAST_SPREAD * deviation and kind.name in KNOWN:
        return (
            f"the outputs are nearly the same for all samples (standard deviation {spread:.2g}, "
            f"against {deviation:.2g} for the targets)"
        )
    of_constant = _losses_of_best_constant(net, kind, outputs, judged.y, weights, logarithms)
    share = np.full(rows, 1.0 / rows) if weights is None else weights / np.sum(weights)
    own, constant, gains = share @ losses, share @ of_constant, of_constant - losses
    least = least_gain(kind, constant, np.sum(share**2))
    error = np.sqrt(np.sum((share * (gains - share @ gains)) ** 2))
    if constant - own > min(least, error):
        return ""
    than = "not clearly better than" if own < constant else "no better than"
    return (
        f"the model is {than} the best constant prediction ({kind.name.replace('_', ' ')} "
        f"{own:.5g}, against {constant:.5g} for the constant, on {rows} training rows)"
    )


def least_gain(loss: Loss, constant: float, share: float) -> float:
    """Return by how much a mean loss must be below a constant's, to count as more than chance.

    Parameters
    ----------
    loss : Loss
    constant : float
        The mean loss of the best constant prediction.
    share : float
        The sum of the squares of the rows' shares in the mean: 1 / n, if all weigh the same.
    """
    return LEAST_GAIN * share * (0.5 if loss.name in LIKELIHOODS else max(constant, 0.0))


def _host(net: MLP, array: Array) -> Any:
    return np.asarray(net.device.get(array), dtype=np.float64)


def _losses_and_outputs(
    net: MLP, loss: str | Loss, judged: Data, logarithms: bool
) -> tuple[Any, Any]:
    """Return on the host each row's loss, (n,), and its outputs as targets are, (n, outputs)."""
    xp, joined, losses, outputs = net.device.xp, head(net.output, loss), [], []
    for z, rows in net.tiles(judged.x):
        losses.append(_host(net, joined.value_and_delta(xp, z, judged.y[rows, :])[0]))
        outputs.append(_host(net, net.output.forward(xp, z)))
    joint = np.concatenate(outputs)
    return np.concatenate(losses), np.exp(joint) if logarithms else joint


def _losses_of_best_constant(
    net: MLP, loss: Loss, outputs: Any, y: Array, weights: Any, logarithms: bool
) -> Any:
    """Return on the host each row's loss, (n,), if the same values were predicted for all.

    The best of the targets' mean and median and, for a loss of which nothing is known, the mean of
    the outputs.
    """
    device, targets, found = net.device, _host(net, y), []
    for values, middle in ((targets, _mean), (targets, _median), (outputs, _mean)):
        constant = middle(values, weights)
        if logarithms:
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


def unscaled(values: Any) -> str:
    """Say how far columns are from mean 0 and standard deviation 1; "" if they are near enough.

    Parameters
    ----------
    values : host array, (n, columns)
    """
    mean, deviation = np.abs(np.mean(values, axis=0)), np.std(values, axis=0)
    varies = deviation > 1e-12 * (mean + 1e-300)
    mean, deviation = mean[varies], deviation[varies]
    low, high = SPREADS
    if not np.any((mean > NOT_CENTRED * deviation) | (deviation < low) | (deviation > high)):
        return ""
    return (
        f"means up to {mean.max():.3g}, standard deviations from {deviation.min():.2g} to "
        f"{deviation.max():.2g}"
    )
