"""The same training on a GPU: by xpnet in four ways, by PyTorch, and by JAX."""

import importlib.util
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from speed_contenders import LEARNING_RATE, OWN, Contender, Orders, Workload, _order_from, jax_scan

import xpnet
from xpnet.backend.device import Device, open_device

WAYS = {
    "eager": {"fuse": False, "graph": False},
    "fused": {"fuse": True, "graph": False},
    "graph of a step": {"fuse": True, "graph": True},
    "graph of many steps": {"fuse": True, "graph": True},
}
"""The ways in which xpnet takes a step on a GPU, with the options of `open_device`; the last one is
what ``device="gpu"`` gives."""


class EpochClock:
    """A callback that notes how long each epoch took, from the end of the one before."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def on_epoch_start(self, training: Any) -> None:
        """Start the clock."""
        self.started = time.perf_counter()

    def on_epoch_end(self, training: Any) -> None:
        """Take the time: the losses have been read back, so the GPU has nothing left to do."""
        self.seconds.append(time.perf_counter() - self.started)


class SeeEachStep:
    """A callback that wants to see each step, so that no launch takes many."""

    def on_batch_end(self, training: Any) -> None:
        """Look away."""


def callbacks_of(way: str) -> list[Any]:
    """Return the callbacks that make a GPU take this way."""
    return [SeeEachStep()] if way == "graph of a step" else []


def xpnet_on(device: Device, work: Workload, way: str = "") -> tuple[Contender, EpochClock]:
    """Return xpnet's training on a device, and the clock of its epochs."""
    host, clock = work.network(), EpochClock()
    net, (x, y) = host.to(device), work.data()
    x = device.put(x, net.dtype)

    def train(orders: Orders) -> None:
        net.set_parameters(host.weights, host.biases)
        clock.seconds.clear()
        with _order_from("xpnet.training.loop.epoch_order", orders):
            xpnet.fit(
                net, x, y, optimizer=xpnet.SGD(LEARNING_RATE), epochs=work.epochs,
                batch_size=work.batch_size, progress=False, callbacks=[clock, *callbacks_of(way)],
            )  # fmt: skip

    return Contender(train, lambda: net.loss(x, y)), clock


def pytorch_on(place: str, work: Workload, *, graph: bool) -> Contender:
    """Return PyTorch's training on a device; with `graph`, a step is one CUDA graph."""
    import torch

    host, (x, y), size = work.network(), work.data(), work.batch_size
    features, labels = torch.from_numpy(x).to(place), torch.from_numpy(y).to(place)
    layers: list[Any] = []
    for weights in host.weights:
        layers += [torch.nn.Linear(*weights.shape), torch.nn.ReLU()]
    model = torch.nn.Sequential(*layers[:-1]).to(place)
    criterion = torch.nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=LEARNING_RATE)
    xb, yb = features[:size].clone(), labels[:size].clone()

    def restart() -> None:
        with torch.no_grad():
            for layer, weights in zip(model[::2], host.weights, strict=True):
                layer.weight.copy_(torch.from_numpy(weights.T.copy()))
                layer.bias.zero_()

    def step() -> Any:
        optimizer.zero_grad(set_to_none=not graph)
        loss = criterion(model(xb), yb)
        loss.backward()
        optimizer.step()
        return loss.detach()

    replay = _recorded_by_torch(step) if graph else step

    def train(orders: Orders) -> None:
        nonlocal xb, yb
        restart()
        for epoch in range(work.epochs):
            given = None if orders == OWN else torch.from_numpy(orders[epoch]).to(place)
            order = torch.randperm(work.rows, device=place) if given is None else given
            xs, ys = features[order], labels[order]  # one copy: faster than one for each batch
            total = torch.zeros((), device=place)
            for i in range(0, work.rows, size):
                if graph:
                    xb.copy_(xs[i : i + size])
                    yb.copy_(ys[i : i + size])
                else:
                    xb, yb = xs[i : i + size], ys[i : i + size]
                total += replay()
            total.item()

    def loss() -> float:
        with torch.no_grad():
            return float(criterion(model(features), labels))

    return Contender(train, loss)


def _recorded_by_torch(step: Callable[[], Any]) -> Callable[[], Any]:
    """Record a step as PyTorch's documentation does: some steps on a side stream, then one more."""
    import torch

    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(side)
    recorded = torch.cuda.CUDAGraph()
    with torch.cuda.graph(recorded):
        loss = step()

    def replay() -> Any:
        recorded.replay()
        return loss

    return replay


def missing() -> dict[str, str]:
    """Return why PyTorch or JAX cannot take part, by name."""
    found = {}
    if importlib.util.find_spec("torch") is None:
        found["PyTorch"] = "not installed"
    else:
        import torch

        if not torch.cuda.is_available():
            found["PyTorch"] = f"{torch.__version__} sees no GPU"
    if importlib.util.find_spec("jax") is None:
        found["JAX"] = "not installed"
    else:
        import jax

        if jax.default_backend() != "gpu":
            found["JAX"] = f"{jax.__version__} sees no GPU"
    return found


def others() -> dict[str, Callable[[Workload], Contender]]:
    """Return the other libraries that can be had here, by name."""
    absent = missing()
    found: dict[str, Callable[[Workload], Contender]] = {}
    if "PyTorch" not in absent:
        found["PyTorch eager"] = lambda work: pytorch_on("cuda", work, graph=False)
        found["PyTorch CUDA graph"] = lambda work: pytorch_on("cuda", work, graph=True)
    if "JAX" not in absent:
        found["JAX scan"] = jax_scan
    return found


def gpu_name() -> str:
    """Return the name of the GPU, or what the emulation calls itself."""
    import cupy

    name: bytes = cupy.cuda.runtime.getDeviceProperties(0)["name"]
    return name.decode()


def on_gpu(way: str, work: Workload) -> tuple[Contender, EpochClock]:
    """Return xpnet's training on the GPU in one of the `WAYS`."""
    return xpnet_on(open_device("gpu", **WAYS[way]), work, way)


def orders_alike(work: Workload) -> list[Any]:
    """Draw an order of the rows for each epoch, the same for all contenders."""
    return [np.asarray(order, dtype=np.int64) for order in work.orders()]
