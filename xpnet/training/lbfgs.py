"""L-BFGS: SciPy's quasi-Newton method on the vector of all parameters, all rows at once.

Loss and gradient come from `MLP.loss_and_gradients`, so they belong together.
The vector goes to the host and back at every evaluation; rows are taken in tiles, so that
activations need little memory and inputs may come from a file.
"""

import time
from numbers import Integral, Real
from typing import Any

import numpy as np

from xpnet.errors import DivergenceError, InputError, bad_argument
from xpnet.nn.arrays import Batch, row_shares
from xpnet.nn.losses import Head, Loss, add_penalty_gradients, penalty, resolve_head
from xpnet.nn.network import MLP
from xpnet.training.data import Data, rows_of
from xpnet.training.fit import prepared, prepared_pair
from xpnet.training.history import History

TILE_ROWS = 8192
CONVERGED = "converged"


class Objective:
    """Mean loss over all rows with its penalty, and the gradient, as functions of one host vector.

    Parameters
    ----------
    net : MLP
        Its parameters are overwritten by every call.
    data : Data
    joined : Head
    l2 : float, from 0
    """

    def __init__(self, net: MLP, data: Data, joined: Head, l2: float) -> None:
        xp = net.device.xp
        self.net, self.data, self.joined, self.l2 = net, data, joined, l2
        self._shares = row_shares(xp, data.y, data.row_weights)
        self._sum, self._tile = xp.zeros_like(net.flat), xp.zeros_like(net.flat)

    def __call__(self, vector: Any) -> tuple[float, Any]:
        """Return loss and gradient (host float64) at a host vector of all parameters."""
        net, device, xp = self.net, self.net.device, self.net.device.xp
        net.flat[...] = device.put(vector, net.dtype)
        into, rows, loss = net.views(self._tile), self.data.y.shape[0], 0.0
        self._sum[...] = xp.zeros_like(self._sum)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            for start in range(0, rows, TILE_ROWS):
                tile = slice(start, min(start + TILE_ROWS, rows))
                x = rows_of(self.data.x, tile, device, net.dtype)
                batch = Batch(x, self.data.y[tile, :], self._shares[tile])
                value, _, _ = net.loss_and_gradients(batch, self.joined, into=into)
                loss += float(value)
                self._sum += self._tile
            add_penalty_gradients(xp, net.weights, net.views(self._sum).weights, 0.0, self.l2)
            loss += penalty(xp, net.weights, 0.0, self.l2)
        return loss, np.array(device.get(self._sum), dtype=np.float64)


def fit_lbfgs(
    net: MLP,
    x: Any,
    y: Any,
    *,
    loss: str | Loss = "auto",
    l2: float = 0.0,
    sample_weight: Any = None,
    class_weight: Any = None,
    validation: tuple[Any, Any] | None = None,
    max_iter: int = 200,
    max_fun: int = 15_000,
    tol: float = 1e-4,
) -> History:
    """Train a network in place by L-BFGS on all rows; return its history, one entry an iteration.

    Parameters
    ----------
    net : MLP
        Without dropout, which would make the loss a different function at every evaluation.
    x, y, loss, l2, sample_weight, class_weight
        As for `xpnet.fit`.
    validation : (x, y), optional
        Rows to watch.
    max_iter, max_fun : int, from 1
        The most iterations, and evaluations of the loss.
    tol : float, from 0
        Stop when no component of the gradient exceeds it.

    Returns
    -------
    History
        Its `stopped` begins with "converged", or says which limit was reached.

    Raises
    ------
    InputError
        For data and options that cannot be used.
    DivergenceError
        If the loss is not finite; the network keeps the weights it had.
    """
    for name, most in {"max_iter": max_iter, "max_fun": max_fun}.items():
        if not isinstance(most, Integral) or most < 1:
            raise bad_argument(name, most, "must be an integer >= 1")
    for name, number in {"l2": l2, "tol": tol}.items():
        if not isinstance(number, Real) or not 0.0 <= number < float("inf"):
            raise bad_argument(name, number, "must be finite and >= 0")
    with net.device.active:
        data, factors = prepared(net, x, y, sample_weight, class_weight)
        held_out = None if validation is None else prepared_pair(net, validation, factors)
        return run_lbfgs(net, data, held_out, loss=loss, l2=l2, max_iter=max_iter, max_fun=max_fun,
                         tol=tol)  # fmt: skip


def run_lbfgs(
    net: MLP,
    data: Data,
    held_out: Data | None = None,
    *,
    loss: str | Loss,
    l2: float,
    max_iter: int,
    max_fun: int,
    tol: float,
) -> History:
    """Do the work of `fit_lbfgs` on prepared device arrays."""
    from scipy.optimize import minimize

    check_no_dropout(net)
    objective = Objective(net, data, resolve_head(net.output, loss), l2)
    start = np.array(net.device.get(net.flat), dtype=np.float64)
    curves = _Curves(objective, held_out)
    options = {"maxiter": max_iter, "maxfun": max_fun, "gtol": tol}
    with np.errstate(over="ignore", invalid="ignore"):  # in SciPy, on the way to a divergence
        result = minimize(
            objective, start, method="L-BFGS-B", jac=True, options=options, callback=curves
        )
    if not (np.isfinite(result.fun) and np.all(np.isfinite(result.x))):
        net.flat[...] = net.device.put(start, net.dtype)
        measured = f"L-BFGS met the loss {result.fun} after {result.nit} iterations"
        raise DivergenceError(
            f"{measured}; the network keeps the weights it had. Scale inputs and large targets, "
            "or use Adam",
            measured,
            {"standardize": True, "optimizer": "adam"},
        )
    if not curves.losses:  # converged where it began
        curves(result)
    net.flat[...] = net.device.put(result.x, net.dtype)
    message = f"{result.message}".lower()
    return History(
        loss=tuple(curves.losses),
        validation_loss=tuple(curves.validation_losses),
        seconds=tuple(curves.seconds),
        stopped=f"{CONVERGED}: {message}" if result.status == 0 else message,
    )


def check_no_dropout(net: MLP) -> None:
    """Refuse a network whose loss would be another one at every evaluation."""
    if any(net.dropout):
        raise InputError("L-BFGS needs one fixed loss, but dropout changes it; use sgd or adam")


class _Curves:
    """What SciPy calls after every iteration, to keep the losses."""

    def __init__(self, objective: Objective, held_out: Data | None) -> None:
        self._objective, self._held_out = objective, held_out
        self.losses: list[float] = []
        self.validation_losses: list[float] = []
        self.seconds: list[float] = []
        self._then = time.perf_counter()

    def __call__(self, intermediate_result: Any) -> None:
        net = self._objective.net
        now = time.perf_counter()
        self.losses.append(float(intermediate_result.fun))
        self.seconds.append(now - self._then)
        self._then = now
        if self._held_out is not None:
            net.flat[...] = net.device.put(intermediate_result.x, net.dtype)
            joined = self._objective.joined
            self.validation_losses.append(float(net.mean_loss(joined, *self._held_out)))
