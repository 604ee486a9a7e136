"""The same training in xpnet, scikit-learn, PyTorch and JAX, and its matrix products alone.

Each contender is built once for a workload and trains from the same initial weights whenever it is
asked. `Orders` says in which order it takes the rows.
"""

import importlib.util
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any
from unittest.mock import patch

import numpy as np

import xpnet
from xpnet.training.loop import TrainingState

LEARNING_RATE = 0.05
ADAM_RATE = 0.001

OWN = "each epoch in an order of its own"
AS_GIVEN = "each epoch in the order of the data"
Orders = str | list[Any]
"""`OWN`, `AS_GIVEN`, or a permutation for each epoch, the same for all, to compare their losses."""


@dataclass(frozen=True)
class Workload:
    """A network, a batch size, and how many rows and epochs one timed repetition takes."""

    name: str
    sizes: tuple[int, ...]
    batch_size: int
    rows: int
    epochs: int
    optimizer: str = "SGD"

    @property
    def learning_rate(self) -> float:
        return LEARNING_RATE if self.optimizer == "SGD" else ADAM_RATE

    @property
    def steps(self) -> int:
        """Steps of one repetition."""
        return self.epochs * (self.rows // self.batch_size)

    def data(self) -> tuple[Any, Any]:
        """Draw inputs and class numbers that can be learnt.

        The inputs are as large as MNIST's pixels are, in the mean square. With larger ones rounding
        alone tells the losses of two libraries apart after some hundred steps.
        """
        rng = np.random.default_rng(0)
        x = 0.3 * rng.standard_normal((self.rows, self.sizes[0])).astype(np.float32)
        teacher = rng.standard_normal((self.sizes[0], self.sizes[-1]))
        return x, np.argmax(x @ teacher, axis=1)

    def network(self, *, binary: bool = False) -> xpnet.MLP:
        """Make the network; with one sigmoid output in place of two softmax ones on request."""
        sizes = (*self.sizes[:-1], 1) if binary else self.sizes
        return xpnet.MLP(sizes, output="sigmoid" if binary else "softmax", seed=1)

    def orders(self) -> list[Any]:
        """Draw a permutation of the rows for each epoch."""
        rng = np.random.default_rng(1)
        return [rng.permutation(self.rows) for _ in range(self.epochs)]


@dataclass(frozen=True)
class Contender:
    """A library's training of one workload."""

    train: Callable[[Orders], None]
    """Trains from the initial weights."""
    loss: Callable[[], float] | None
    """Mean loss over all rows after `train`."""
    logistic: bool = False
    """Whether it has one logistic output where the others have two softmax ones."""
    epochs_only: Callable[[], float] | None = None
    """Seconds of the last `train` without what it compiled, loaded and checked before."""


def _order_from(place: str, orders: Orders, given: Any = None) -> AbstractContextManager[Any]:
    """Let a library that shuffles by itself find the given orders, or what a function gives."""
    return nullcontext() if isinstance(orders, str) else patch(place, side_effect=given or orders)


def xpnet_fit(work: Workload, *, binary: bool = False, compile: str = "off") -> Contender:
    x, y = work.data()
    net = work.network(binary=binary)
    weights, biases = [[np.array(p) for p in each] for each in (net.weights, net.biases)]
    optimizer = getattr(xpnet, work.optimizer)(work.learning_rate)
    seconds = [0.0]

    def train(orders: Orders) -> None:
        net.set_parameters(weights, biases)

        def given(rows: int, seed: int, epoch: int, *, epochs: int = 1, **how: Any) -> Any:
            return np.concatenate(orders[epoch : epoch + epochs])  # type: ignore[arg-type]

        with _order_from("xpnet.training.loop.epoch_order", orders, given):
            history = xpnet.fit(
                net, x, y, optimizer=optimizer, epochs=work.epochs,
                batch_size=work.batch_size, shuffle=orders != AS_GIVEN, progress=False,
                compile=compile,
            )  # fmt: skip
        seconds[0] = sum(history.seconds)

    only = (lambda: seconds[0]) if compile == "on" else None
    return Contender(train, lambda: net.loss(x, y), binary, only)


def xpnet_estimator(work: Workload) -> Contender:
    return _scikit_learn_like(work, xpnet.MLPClassifier, "xpnet.training.loop.epoch_order")


def scikit_learn(work: Workload) -> Contender:
    from sklearn.neural_network import MLPClassifier

    place = "sklearn.neural_network._multilayer_perceptron.shuffle"
    return _scikit_learn_like(work, MLPClassifier, place)


def _scikit_learn_like(work: Workload, cls: Any, place: str) -> Contender:
    """Two classes are one logistic output there: less work, and its own loss to compare with."""
    x, y = work.data()
    binary = work.sizes[-1] == 2
    net = work.network(binary=binary)
    model = cls(
        work.sizes[1:-1], solver=work.optimizer.lower(), alpha=0.0, batch_size=work.batch_size,
        momentum=0.0, learning_rate_init=work.learning_rate, nesterovs_momentum=False, tol=0.0,
        n_iter_no_change=10**6, max_iter=1, warm_start=True, random_state=0,
    )  # fmt: skip
    weights = [np.array(w) for w in net.weights]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(x, y)
    model.max_iter = work.epochs

    def train(orders: Orders) -> None:
        model.shuffle = orders != AS_GIVEN
        model._state = TrainingState()  # xpnet's would go on with Adam's moments
        model.coefs_ = [w.copy() for w in weights]
        model.intercepts_ = [np.zeros(w.shape[1], np.float32) for w in weights]
        with warnings.catch_warnings(), _order_from(place, orders):
            warnings.simplefilter("ignore")
            model.fit(x, y)

    def loss() -> float:
        p = np.clip(model.predict_proba(x)[np.arange(len(y)), y], 1e-12, 1)
        return float(-np.log(p).mean())

    return Contender(train, loss, binary)


def pytorch(work: Workload, *, compiled: bool = False) -> Contender:
    import torch

    x, y = work.data()
    features, labels = torch.from_numpy(x), torch.from_numpy(y)
    net = work.network()
    layers: list[Any] = []
    for weights in net.weights:
        layer = torch.nn.Linear(*weights.shape)
        layers += [layer, torch.nn.ReLU()]
    model = torch.nn.Sequential(*layers[:-1])
    linear = [layer for layer in model if isinstance(layer, torch.nn.Linear)]
    criterion = torch.nn.CrossEntropyLoss()

    def objective(xb: Any, yb: Any) -> Any:
        return criterion(model(xb), yb)

    step_loss = torch.compile(objective) if compiled else objective

    def train(orders: Orders) -> None:
        with torch.no_grad():
            for layer, weights in zip(linear, net.weights, strict=True):
                layer.weight.copy_(torch.from_numpy(weights.T.copy()))
                layer.bias.zero_()
        optimizer = getattr(torch.optim, work.optimizer)(model.parameters(), lr=work.learning_rate)
        size, xs, ys = work.batch_size, features, labels
        for epoch in range(work.epochs):
            if orders != AS_GIVEN:  # one copy an epoch: faster than a gather for each batch
                given = None if orders == OWN else torch.from_numpy(orders[epoch])
                order = torch.randperm(work.rows) if given is None else given
                xs, ys = features[order], labels[order]
            total = torch.zeros(())
            for i in range(0, work.rows, size):
                loss = step_loss(xs[i : i + size], ys[i : i + size])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                total += loss.detach()
            total.item()

    def loss() -> float:
        with torch.no_grad():
            return float(criterion(model(features), labels))

    return Contender(train, loss)


def jax_objective(parameters: Any, xb: Any, yb: Any) -> Any:
    """Return the mean cross-entropy of a network of ReLUs, written for JAX."""
    import jax
    import jax.numpy as jnp

    for w, b in parameters[:-1]:
        xb = jax.nn.relu(xb @ w + b)
    w, b = parameters[-1]
    return -jnp.mean(jax.nn.log_softmax(xb @ w + b)[jnp.arange(yb.shape[0]), yb])


def jax_step(optimizer: str, learning_rate: float) -> Callable[[Any, Any], Any]:
    """Return a step of training for `jax.lax.scan`: (state, batch) to (state, loss).

    The state is the parameters, their first and second moments, and the number of steps.
    """
    import jax
    import jax.numpy as jnp

    def step(state: Any, batch: Any) -> Any:
        parameters, first, second, t = state
        loss, gradients = jax.value_and_grad(jax_objective)(parameters, *batch)
        if optimizer == "SGD":
            moved = jax.tree.map(lambda p, g: p - learning_rate * g, parameters, gradients)
            return (moved, first, second, t), loss
        t, tree = t + 1, jax.tree.map
        first = tree(lambda m, g: 0.9 * m + 0.1 * g, first, gradients)
        second = tree(lambda v, g: 0.999 * v + 0.001 * g * g, second, gradients)
        rate = learning_rate * jnp.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        parameters = tree(
            lambda p, m, v: p - rate * m / (jnp.sqrt(v) + 1e-8), parameters, first, second
        )
        return (parameters, first, second, t), loss

    return step


def jax_scan(work: Workload) -> Contender:
    import jax
    import jax.numpy as jnp

    x, y = work.data()
    net = work.network()
    start = [(jnp.asarray(w), jnp.zeros(w.shape[1])) for w in net.weights]
    features, labels = jnp.asarray(x), jnp.asarray(y)
    trained = [start]
    step = jax_step(work.optimizer, work.learning_rate)

    def in_order(state: Any, xs: Any, ys: Any) -> Any:
        batches = (xs.reshape(-1, work.batch_size, x.shape[1]), ys.reshape(-1, work.batch_size))
        state, losses = jax.lax.scan(step, state, batches)
        return state, losses.sum()

    as_given = jax.jit(lambda state: in_order(state, features, labels))
    shuffled = jax.jit(lambda state, order: in_order(state, features[order], labels[order]))

    @jax.jit
    def draw(key: Any) -> Any:
        return jax.random.permutation(key, work.rows)

    def train(orders: Orders) -> None:
        zeros = jax.tree.map(jnp.zeros_like, start)
        state = start, zeros, zeros, jnp.zeros(())
        for epoch in range(work.epochs):
            if orders == AS_GIVEN:
                state, total = as_given(state)
            else:
                order = draw(jax.random.key(epoch)) if orders == OWN else orders[epoch]
                state, total = shuffled(state, order)
            total.block_until_ready()
        trained[0] = state[0]

    return Contender(train, lambda: float(jax_objective(trained[0], features, labels)))


def gemm_only(work: Workload) -> Contender:
    rng = np.random.default_rng(0)
    pairs = list(zip(work.sizes, work.sizes[1:], strict=False))
    weights = [rng.standard_normal(pair).astype(np.float32) for pair in pairs]
    units = [rng.standard_normal((work.batch_size, s)).astype(np.float32) for s in work.sizes]
    steps = range(work.steps)

    def train(orders: Orders) -> None:
        for _ in steps:
            for layer, each in enumerate(weights):
                np.matmul(units[layer], each)
            for layer in range(len(weights) - 1, -1, -1):
                np.matmul(units[layer].T, units[layer + 1])
                if layer:
                    np.matmul(units[layer + 1], weights[layer].T)

    return Contender(train, None)


def contenders(compile_torch: bool) -> dict[str, Callable[[Workload], Contender]]:
    """Name what is installed; the others are left out."""
    found: dict[str, Callable[[Workload], Contender]] = {
        "xpnet fit": xpnet_fit,
        "xpnet MLPClassifier": xpnet_estimator,
    }
    if importlib.util.find_spec("numba"):
        found["xpnet compiled"] = partial(xpnet_fit, compile="on")
    if importlib.util.find_spec("torch"):
        found["PyTorch eager"] = pytorch
        if compile_torch:
            found["PyTorch compiled"] = lambda work: pytorch(work, compiled=True)
    if importlib.util.find_spec("sklearn"):
        found["scikit-learn"] = scikit_learn
    if importlib.util.find_spec("jax"):
        found["JAX scan"] = jax_scan
    found["GEMM only"] = gemm_only
    return found
