"""xpnet beside scikit-learn, PyTorch and JAX: one run, same data, weights, batches, learning rate.

    python benchmarks/speed.py [--threads 1] [--repeats 7] [--compile] [--out FOLDER]

Before anything is timed, every contender trains from the same initial weights on the same batches
in the same order and must reach the same mean loss to 1e-4. Repetitions are interleaved, so that
drift of the machine meets all alike; medians and ratios of medians are reported. GEMM only is the
time of the step's matrix products alone, in NumPy: the floor for any code on this BLAS.
"""

import argparse
import importlib.util
import os
import re
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # before NumPy is loaded
    _threads = sys.argv[sys.argv.index("--threads") + 1] if "--threads" in sys.argv else "1"
    _one = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    if _threads == "1":
        os.environ.setdefault("XLA_FLAGS", _one)
        if hasattr(os, "sched_setaffinity"):  # JAX's own pool would take the other cores
            os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[_name] = _threads

import numpy as np
from machine import processor, system

import xpnet

LEARNING_RATE = 0.05


@dataclass(frozen=True)
class Workload:
    """A network, a batch size, and how many rows and epochs one timed repetition takes."""

    name: str
    sizes: tuple[int, ...]
    batch_size: int
    rows: int
    epochs: int

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


WORKLOADS = (
    Workload("toy", (2, 4, 2, 2), 10, 500, 40),
    Workload("table", (30, 64, 64, 2), 32, 640, 60),
    Workload("MNIST", (784, 128, 128, 10), 64, 6400, 4),
    Workload("wide", (784, 1024, 1024, 10), 256, 2560, 6),
)
TARGETS = {"toy": 3.5, "table": 2.8, "MNIST": 1.7, "wide": 1.25}  # against PyTorch eager

Run = Any  # a function that trains for one repetition; its `.check` trains and gives the loss


def xpnet_fit(work: Workload, *, binary: bool = False) -> Run:
    x, y = work.data()
    net = work.network(binary=binary)
    weights, biases = [[np.array(p) for p in each] for each in (net.weights, net.biases)]

    def run() -> None:
        net.set_parameters(weights, biases)
        xpnet.fit(
            net, x, y, optimizer=xpnet.SGD(LEARNING_RATE), epochs=work.epochs,
            batch_size=work.batch_size, shuffle=False, progress=False,
        )  # fmt: skip

    def check() -> float:
        run()
        return net.loss(x, y)

    run.check = check
    return run


def xpnet_estimator(work: Workload) -> Run:
    return _scikit_learn_like(work, xpnet.MLPClassifier)


def scikit_learn(work: Workload) -> Run:
    from sklearn.neural_network import MLPClassifier

    return _scikit_learn_like(work, MLPClassifier)


def _scikit_learn_like(work: Workload, cls: Any) -> Run:
    """Two classes are one logistic output there: less work, and its own loss to compare with."""
    x, y = work.data()
    binary = work.sizes[-1] == 2
    net = work.network(binary=binary)
    model = cls(
        work.sizes[1:-1], solver="sgd", alpha=0.0, batch_size=work.batch_size, momentum=0.0,
        learning_rate_init=LEARNING_RATE, shuffle=False, nesterovs_momentum=False, tol=0.0,
        n_iter_no_change=10**6, max_iter=1, warm_start=True, random_state=0,
    )  # fmt: skip
    weights = [np.array(w) for w in net.weights]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(x, y)
    model.max_iter = work.epochs

    def run() -> None:
        model.coefs_ = [w.copy() for w in weights]
        model.intercepts_ = [np.zeros(w.shape[1], np.float32) for w in weights]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(x, y)

    def check() -> float:
        run()
        p = np.clip(model.predict_proba(x)[np.arange(len(y)), y], 1e-12, 1)
        return float(-np.log(p).mean())

    run.check = check
    return run


def pytorch(work: Workload, *, compiled: bool = False) -> Run:
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
    optimizer = torch.optim.SGD(model.parameters(), lr=LEARNING_RATE)

    def objective(xb: Any, yb: Any) -> Any:
        return criterion(model(xb), yb)

    step_loss = torch.compile(objective) if compiled else objective

    def run() -> None:
        with torch.no_grad():
            for layer, weights in zip(linear, net.weights, strict=True):
                layer.weight.copy_(torch.from_numpy(weights.T.copy()))
                layer.bias.zero_()
        size = work.batch_size
        for _ in range(work.epochs):
            total = torch.zeros(())
            for i in range(0, work.rows, size):
                loss = step_loss(features[i : i + size], labels[i : i + size])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                total += loss.detach()
            total.item()

    def check() -> float:
        run()
        with torch.no_grad():
            return float(criterion(model(features), labels))

    run.check = check
    return run


def jax_scan(work: Workload) -> Run:
    import jax
    import jax.numpy as jnp

    x, y = work.data()
    net = work.network()
    start = [(jnp.asarray(w), jnp.zeros(w.shape[1])) for w in net.weights]
    features, labels = jnp.asarray(x), jnp.asarray(y)
    batches = (features.reshape(-1, work.batch_size, x.shape[1]),
               labels.reshape(-1, work.batch_size))  # fmt: skip

    def objective(parameters: Any, xb: Any, yb: Any) -> Any:
        for w, b in parameters[:-1]:
            xb = jax.nn.relu(xb @ w + b)
        w, b = parameters[-1]
        return -jnp.mean(jax.nn.log_softmax(xb @ w + b)[jnp.arange(yb.shape[0]), yb])

    def step(parameters: Any, batch: Any) -> Any:
        loss, gradients = jax.value_and_grad(objective)(parameters, *batch)
        moved = jax.tree.map(lambda p, g: p - LEARNING_RATE * g, parameters, gradients)
        return moved, loss

    @jax.jit
    def epoch(parameters: Any) -> Any:
        parameters, losses = jax.lax.scan(step, parameters, batches)
        return parameters, losses.sum()

    def run() -> None:
        parameters = start
        for _ in range(work.epochs):
            parameters, total = epoch(parameters)
            total.block_until_ready()
        run.parameters = parameters

    def check() -> float:
        run()
        return float(objective(run.parameters, features, labels))

    run.check = check
    return run


def gemm_only(work: Workload) -> Run:
    rng = np.random.default_rng(0)
    pairs = list(zip(work.sizes, work.sizes[1:], strict=False))
    weights = [rng.standard_normal(pair).astype(np.float32) for pair in pairs]
    units = [rng.standard_normal((work.batch_size, s)).astype(np.float32) for s in work.sizes]
    steps = range(work.steps)

    def run() -> None:
        for _ in steps:
            for layer, each in enumerate(weights):
                np.matmul(units[layer], each)
            for layer in range(len(weights) - 1, -1, -1):
                np.matmul(units[layer].T, units[layer + 1])
                if layer:
                    np.matmul(units[layer + 1], weights[layer].T)

    return run


def contenders(compile_torch: bool) -> dict[str, Callable[[Workload], Run]]:
    """Name what is installed; the others are left out and said so."""
    found: dict[str, Callable[[Workload], Run]] = {
        "xpnet fit": xpnet_fit,
        "xpnet MLPClassifier": xpnet_estimator,
    }
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


def assert_same_loss(work: Workload, runs: dict[str, Run]) -> dict[str, float]:
    """Refuse to time contenders that do not compute the same training."""
    expected = runs["xpnet fit"].check()
    binary = xpnet_fit(work, binary=True).check() if work.sizes[-1] == 2 else expected
    losses = {}
    for name, run in runs.items():
        if not hasattr(run, "check"):
            continue
        losses[name] = run.check()
        logistic = work.sizes[-1] == 2 and name in ("scikit-learn", "xpnet MLPClassifier")
        reference = binary if logistic else expected
        if not abs(losses[name] - reference) < 1e-4:
            raise SystemExit(f"{work.name}: {name} reaches {losses[name]:.6f}, not {reference:.6f}")
    return losses


def time_training(repeats: int, compile_torch: bool) -> dict[str, dict[str, float]]:
    """Return microseconds per step: workload -> contender -> median over repetitions."""
    table: dict[str, dict[str, float]] = {}
    for work in WORKLOADS:
        runs = {name: make(work) for name, make in contenders(compile_torch).items()}
        assert_same_loss(work, runs)
        times: dict[str, list[float]] = {name: [] for name in runs}
        for _ in range(repeats):
            for name, run in runs.items():
                started = time.perf_counter()
                run()
                times[name].append((time.perf_counter() - started) / work.steps * 1e6)
        table[work.name] = {name: statistics.median(each) for name, each in times.items()}
        print(work.name, {k: round(v, 1) for k, v in table[work.name].items()}, file=sys.stderr)
    return table


def time_prediction(repeats: int) -> dict[str, float]:
    """Return predictions per second of 784-128-128-10 on 10,000 rows."""
    work = WORKLOADS[2]
    net = work.network()
    x = np.random.default_rng(0).standard_normal((10_000, 784)).astype(np.float32)
    calls: dict[str, Callable[[], Any]] = {"xpnet": lambda: net.predict(x)}
    if importlib.util.find_spec("torch"):
        import torch

        layers: list[Any] = []
        for weights in net.weights:
            layer = torch.nn.Linear(*weights.shape)
            layer.weight.data = torch.from_numpy(weights.T.copy())
            layer.bias.data.zero_()
            layers += [layer, torch.nn.ReLU()]
        model = torch.nn.Sequential(*layers[:-1], torch.nn.Softmax(dim=1))

        def predict_with_torch() -> Any:
            with torch.no_grad():
                return model(torch.from_numpy(x)).numpy()

        if not np.allclose(net.predict(x), predict_with_torch(), atol=1e-4):
            raise SystemExit("prediction: PyTorch and xpnet give different probabilities")
        calls["PyTorch"] = predict_with_torch
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(3 * repeats):
        for name, call in calls.items():
            started = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - started)
    return {name: x.shape[0] / statistics.median(each) for name, each in times.items()}


def report(training: dict[str, dict[str, float]], prediction: dict[str, float]) -> str:
    """Return the results as Markdown."""
    names = list(training["toy"])
    lines = ["| workload | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for work in WORKLOADS:
        row = training[work.name]
        label = f"{work.name}: {'-'.join(map(str, work.sizes))}, batch {work.batch_size}"
        lines.append(f"| {label} | " + " | ".join(f"{row[name]:,.1f}" for name in names) + " |")
    lines += ["", "Ratios to `xpnet fit` (above 1: slower than xpnet):", ""]
    lines += ["| workload | " + " | ".join(names[1:]) + " |", "|---" * len(names) + "|"]
    for work in WORKLOADS:
        row = training[work.name]
        ratios = (f"{row[name] / row['xpnet fit']:.2f}" for name in names[1:])
        lines.append(f"| {work.name} | " + " | ".join(ratios) + " |")
    lines += ["", "Predictions per second, 784-128-128-10, 10,000 rows at once: "]
    lines[-1] += ", ".join(f"{name} {rate:,.0f}" for name, rate in prediction.items()) + "."
    return "\n".join(lines)


def plot(training: dict[str, dict[str, float]], path: Path) -> None:
    """Draw time per step relative to xpnet's."""
    from matplotlib.figure import Figure

    names = [name for name in training["toy"] if name != "GEMM only"]
    figure = Figure(figsize=(8, 3.6), layout="constrained")
    axes = figure.add_subplot()
    for position, name in enumerate(names):
        ratios = [training[w.name][name] / training[w.name]["xpnet fit"] for w in WORKLOADS]
        places = [i + 0.8 * (position / len(names) - 0.4) for i in range(len(WORKLOADS))]
        axes.bar(places, ratios, width=0.8 / len(names), label=name)
    axes.axhline(1.0, color="black", linewidth=0.8)
    axes.set_xticks(range(len(WORKLOADS)), [work.name for work in WORKLOADS])
    axes.set_ylabel("time per step / xpnet fit")
    axes.legend(fontsize=8)
    figure.savefig(path, dpi=150)


def _kernels() -> str:
    if not importlib.util.find_spec("threadpoolctl"):
        return "default"
    import threadpoolctl

    blas = [each for each in threadpoolctl.threadpool_info() if each["user_api"] == "blas"]
    return str(blas[0].get("architecture", "default")) if blas else "default"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--compile", action="store_true", help="also torch.compile (minutes)")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    arguments = parser.parse_args()
    if importlib.util.find_spec("torch"):
        import torch

        torch.set_num_threads(arguments.threads)
    training = time_training(arguments.repeats, arguments.compile)
    prediction = time_prediction(arguments.repeats)
    kernels = _kernels()
    make = "-".join(re.findall(r"[a-z]{3,}", processor().lower())[:2])  # intel-xeon, amd-epyc
    name = f"speed-{make}-{arguments.threads}-thread-{kernels.lower()}"
    text = [
        "# Speed: time per SGD step, microseconds",
        "",
        f"Written by `python benchmarks/speed.py --threads {arguments.threads} --repeats "
        f"{arguments.repeats}{' --compile' * arguments.compile}`, OPENBLAS_CORETYPE "
        f"{os.environ.get('OPENBLAS_CORETYPE') or 'not set'}; "
        "medians of interleaved repetitions. All contenders reached the same loss to 1e-4 first.",
        "scikit-learn's and xpnet's classifiers have one logistic output where there are two "
        "classes, which is less work than the two softmax outputs of the others. JAX's compile "
        "time is left out. GEMM only: the step's matrix products in NumPy and nothing else.",
        "",
        *system(),
        "",
        report(training, prediction),
        "",
    ]
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / f"{name}.md").write_text("\n".join(text))
    plot(training, arguments.out / f"{name}.png")
    print("\n".join(text))


if __name__ == "__main__":
    main()
