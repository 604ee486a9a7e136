"""L-BFGS: SciPy's quasi-Newton method on the vector of all parameters, all rows at once.

Loss and gradient come from `xpnet.nn`, so they belong together for any number of outputs. The
vector goes to the host and back at every evaluation. Rows are taken in tiles, so that activations
need little memory, and inputs may come from a file.
"""

import time
from typing import Any

import numpy as np

from xpnet.errors import DivergenceError, InputError
from xpnet.nn.arrays import Batch, row_shares
from xpnet.nn.losses import Loss, add_penalty_gradients, penalty, resolve_head
from xpnet.nn.network import MLP
from xpnet.training.batches import Data, rows_of
from xpnet.training.fit import prepared, prepared_pair
from xpnet.training.history import History
from xpnet.training.loop import TrainingOptions, TrainingState

TILE_ROWS = 8192
CONVERGED = "converged"


class LBFGS:
    """One run of L-BFGS, which the doctor can examine like a `Training`.

    It takes at most `max_iter` iterations and `max_fun` evaluations of the loss, and ends when no
    component of the gradient exceeds `tol`. Dropout is refused: it would change the loss each time.
    """

    learning_rate = None  # as a `Training` has one

    def __init__(
        self, net: MLP, data: Data, *, loss: str | Loss = "auto", l2: float = 0.0,
        max_iter: int = 200, max_fun: int = 15_000, tol: float = 1e-4,
        validation: Data | None = None,
    ) -> None:  # fmt: skip
        if any(net.dropout):
            raise InputError("L-BFGS needs one fixed loss, but dropout changes it; use sgd or adam")
        self.net, self.data, self.validation = net, data, validation
        self.rows = self.batch_size = data.y.shape[0]
        self.options = TrainingOptions(
            loss, epochs=max_iter, batch_size=self.rows, shuffle=False, l2=l2
        )
        self.state = TrainingState()
        self._limits = {"maxiter": max_iter, "maxfun": max_fun, "gtol": tol}
        self._head = resolve_head(net.output, loss)
        self._shares = row_shares(net.device.xp, data.y, data.row_weights)

    def run(self) -> History:
        """Train to the end; return the history, with one entry for each iteration.

        Its `stopped` begins with "converged", or names the limit that was reached. Raises
        `DivergenceError` if the loss is not finite; the network keeps the weights it had.
        """
        from scipy.optimize import minimize

        net, device, state = self.net, self.net.device, self.state
        start = np.array(device.get(net.flat), dtype=np.float64)
        self._then = time.perf_counter()
        with np.errstate(over="ignore", invalid="ignore"):  # in SciPy, on the way to a divergence
            result = minimize(
                self.loss_and_gradient, start, method="L-BFGS-B", jac=True, options=self._limits,
                callback=self._end_iteration,
            )  # fmt: skip
        if not (np.isfinite(result.fun) and np.all(np.isfinite(result.x))):
            net.flat[...] = device.put(start, net.dtype)
            measured = f"L-BFGS met the loss {result.fun} after {result.nit} iterations"
            raise DivergenceError(
                f"{measured}; the network keeps the weights it had. Scale inputs and large "
                "targets, or use Adam",
                measured,
                {"standardize": True, "optimizer": "adam"},
            )
        if not state.step:  # converged where it began
            self._end_iteration(result)
        net.flat[...] = device.put(result.x, net.dtype)
        message = f"{result.message}".lower()
        state.history.stopped = f"{CONVERGED}: {message}" if result.status == 0 else message
        return state.history

    def loss_and_gradient(self, vector: Any) -> tuple[float, Any]:
        """Return the loss, with penalty, and its gradient, host float64, at a host vector."""
        net, device, xp = self.net, self.net.device, self.net.device.xp
        net.flat[...] = device.put(vector, net.dtype)
        total, tile, loss = xp.zeros_like(net.flat), xp.zeros_like(net.flat), 0.0
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            for start in range(0, self.rows, TILE_ROWS):
                rows = slice(start, min(start + TILE_ROWS, self.rows))
                x = rows_of(self.data.x, rows, device, net.dtype)
                batch = Batch(x, self.data.y[rows, :], self._shares[rows])
                value, _, _ = net.loss_and_gradients(batch, self._head, into=net.views(tile))
                loss += float(value)
                total += tile
            l2 = self.options.l2
            add_penalty_gradients(xp, net.weights, net.views(total).weights, 0.0, l2)
            loss += float(penalty(xp, net.flat_weights, 0.0, l2))
        return loss, np.array(device.get(total), dtype=np.float64)

    def _end_iteration(self, intermediate_result: Any) -> None:
        """Record the losses; SciPy requires this name of the argument."""
        net, state, now, held_out = self.net, self.state, time.perf_counter(), list[float]()
        if self.validation is not None:
            net.flat[...] = net.device.put(intermediate_result.x, net.dtype)
            held_out = [float(net.mean_loss(self._head, *self.validation))]
        state.history.append(
            {}, loss=[float(intermediate_result.fun)], validation_loss=held_out,
            seconds=[now - self._then],
        )  # fmt: skip
        state.step, self._then = state.step + 1, now


def fit_lbfgs(
    net: MLP, x: Any, y: Any, *, sample_weight: Any = None, class_weight: Any = None,
    validation: tuple[Any, Any] | None = None, **options: Any,
) -> History:  # fmt: skip
    """Train a network in place by L-BFGS; like `xpnet.fit`, with the options of `LBFGS`."""
    with net.device.active:
        data, factors = prepared(net, x, y, sample_weight, class_weight)
        held_out = None if validation is None else prepared_pair(net, validation, factors)
        return LBFGS(net, data, validation=held_out, **options).run()
