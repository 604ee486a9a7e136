"""xpnet beside scikit-learn, PyTorch and JAX: one run, same data, weights, batches, learning rate.

    python benchmarks/speed.py [--threads 1] [--repeats 7] [--optimizer SGD|Adam] [--compile]
                               [--out FOLDER]

Before anything is timed, every contender trains from the same initial weights on the same batches
in the same order, shuffled and not, and must reach the same mean loss to 1e-4 (Adam: 1e-3). What is
timed is training as people train, with rows shuffled in every epoch: by xpnet and scikit-learn
themselves, which do so by default, and for PyTorch and JAX by one permutation and one copy of the
data; and once more with the rows in their order. Repetitions are interleaved, so that drift of the
machine meets all alike; medians and ratios of medians are reported. GEMM only is the time of the
step's matrix products alone, by `numpy.matmul`.
"""

import argparse
import importlib.util
import os
import re
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # before NumPy is loaded
    _parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    _parser.add_argument("--threads", type=int, default=1)
    _parser.add_argument("--repeats", type=int, default=7)
    _parser.add_argument("--optimizer", choices=("SGD", "Adam"), default="SGD")
    _parser.add_argument("--compile", action="store_true", help="also torch.compile (minutes)")
    _parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    ARGUMENTS = _parser.parse_args()
    if ARGUMENTS.threads == 1:
        _one = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
        os.environ.setdefault("XLA_FLAGS", _one)
    if hasattr(os, "sched_setaffinity"):  # JAX's own pool would take the other cores
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-ARGUMENTS.threads :])
    for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[_name] = str(ARGUMENTS.threads)

import numpy as np
from machine import processor, system
from speed_contenders import AS_GIVEN, OWN, Contender, Workload, contenders, xpnet_fit

from xpnet.backend.threads import blas

WORKLOADS = (
    Workload("toy", (2, 4, 2, 2), 10, 5000, 10),
    Workload("table", (30, 64, 64, 2), 32, 6400, 12),
    Workload("MNIST", (784, 128, 128, 10), 64, 6400, 4),
    Workload("wide", (784, 1024, 1024, 10), 256, 2560, 6),
)
SAME_LOSS = {"SGD": 1e-4, "Adam": 1e-3}  # PyTorch's Adam adds epsilon elsewhere
COLOURS = {
    "xpnet fit": "tab:blue", "xpnet MLPClassifier": "tab:cyan", "PyTorch eager": "tab:orange",
    "PyTorch compiled": "tab:brown", "scikit-learn": "tab:green", "JAX scan": "tab:purple",
    "xpnet compiled": "tab:pink",
}  # fmt: skip
ORDERS = {"shuffled": OWN, "in order": AS_GIVEN}

Times = dict[str, dict[str, float]]
"""Workload -> contender -> microseconds per step."""


def assert_same_loss(work: Workload, those: dict[str, Contender]) -> None:
    """Refuse to time contenders that do not compute the same training."""
    reference = {False: those["xpnet fit"], True: xpnet_fit(work, binary=True)}
    for orders in (AS_GIVEN, work.orders()):
        for name, contender in those.items():
            if contender.loss is None:
                continue
            same = reference[contender.logistic]
            same.train(orders)
            contender.train(orders)
            expected, found = same.loss(), contender.loss()
            if not abs(found - expected) < SAME_LOSS[work.optimizer]:
                raise SystemExit(f"{work.name}: {name} reaches {found:.6f}, not {expected:.6f}")


def time_training(
    repeats: int, optimizer: str, compile_torch: bool, prepared: dict[str, float]
) -> dict[str, Times]:
    """Return the medians over the repetitions, for each of `ORDERS`.

    `prepared` gets the seconds, for each workload, that xpnet took to compile, or to load what an
    earlier run had compiled, and to check it.
    """
    tables: dict[str, Times] = {order: {} for order in ORDERS}
    for work in (replace(each, optimizer=optimizer) for each in WORKLOADS):
        those = {name: make(work) for name, make in contenders(compile_torch).items()}
        assert_same_loss(work, those)
        for contender in those.values():
            started = time.perf_counter()
            contender.train(OWN)  # whatever is compiled at the first call is now
            if contender.epochs_only:
                before = time.perf_counter() - started - contender.epochs_only()
                prepared[work.name] = before
        times: dict[tuple[str, str], list[float]] = {}
        for _ in range(repeats):
            for order, orders in ORDERS.items():
                for name, contender in those.items():
                    started = time.perf_counter()
                    contender.train(orders)
                    seconds = time.perf_counter() - started
                    if contender.epochs_only:
                        seconds = contender.epochs_only()
                    times.setdefault((order, name), []).append(seconds / work.steps * 1e6)
        for (order, name), each in times.items():
            tables[order].setdefault(work.name, {})[name] = statistics.median(each)
        print(f"{work.name} done", file=sys.stderr)
    return tables


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


def report(order: str, training: Times) -> list[str]:
    """Return the times of one order of rows, and their ratios, as Markdown."""
    names = list(training["toy"])
    lines = [f"## Rows {order}", ""]
    lines += ["| workload | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
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
    return [*lines, ""]


def plot(training: Times, title: str, path: Path) -> None:
    """Draw time per step relative to xpnet's; a contender has its colour in every picture."""
    from matplotlib.figure import Figure

    names = [name for name in training["toy"] if name != "GEMM only"]
    figure = Figure(figsize=(8, 3.6), layout="constrained")
    axes = figure.add_subplot()
    for position, name in enumerate(names):
        ratios = [training[w.name][name] / training[w.name]["xpnet fit"] for w in WORKLOADS]
        places = [i + 0.8 * (position / len(names) - 0.4) for i in range(len(WORKLOADS))]
        axes.bar(places, ratios, width=0.8 / len(names), label=name, color=COLOURS.get(name))
    axes.axhline(1.0, color="black", linewidth=0.8)
    axes.set_xticks(range(len(WORKLOADS)), [work.name for work in WORKLOADS])
    axes.set(title=title, ylabel="time per step / that of xpnet fit\n(lower is faster)")
    axes.legend(fontsize=8)
    figure.savefig(path, dpi=150)


def main(arguments: argparse.Namespace) -> None:
    if importlib.util.find_spec("torch"):
        import torch

        torch.set_num_threads(arguments.threads)
    prepared: dict[str, float] = {}
    training = time_training(arguments.repeats, arguments.optimizer, arguments.compile, prepared)
    prediction = time_prediction(arguments.repeats)
    used = blas()
    kernels = used["kernels"] or used["name"].split("-")[0]
    make = "-".join(re.findall(r"[a-z]{3,}", processor().lower())[:2])  # intel-xeon, amd-epyc
    name = f"speed-{make}-{arguments.threads}-thread-{kernels.lower()}"
    name += "-adam" * (arguments.optimizer == "Adam")
    text = [
        f"# Speed: time per {arguments.optimizer} step, microseconds",
        "",
        f"Written by `python benchmarks/speed.py --threads {arguments.threads} --repeats "
        f"{arguments.repeats} --optimizer {arguments.optimizer}"
        f"{' --compile' * arguments.compile}`, OPENBLAS_CORETYPE "
        f"{os.environ.get('OPENBLAS_CORETYPE') or 'not set'}; "
        "medians of interleaved repetitions. All contenders reached the same loss to "
        f"{SAME_LOSS[arguments.optimizer]:g} first, "
        "on the same batches. Shuffled: by xpnet and scikit-learn themselves; for PyTorch and JAX "
        "one permutation and one copy of the data for each epoch.",
        "scikit-learn's and xpnet's classifiers have one logistic output where there are two "
        "classes, which is less work than the two softmax outputs of the others. Compile time is "
        "left out, JAX's and xpnet's; of PyTorch forward pass and loss are compiled, not the "
        "optimiser. GEMM only: the step's matrix products by numpy.matmul and nothing else.",
        "",
        *system(),
        "",
        *(line for order, times in training.items() for line in report(order, times)),
        "Compiled xpnet, before the first step (numba may have found its code on disk), seconds: "
        + ", ".join(f"{name} {seconds:.2f}" for name, seconds in prepared.items())
        + ".",
        "",
        "Predictions per second, 784-128-128-10, 10,000 rows at once: "
        + ", ".join(f"{name} {rate:,.0f}" for name, rate in prediction.items())
        + ".",
        "",
    ]
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / f"{name}.md").write_text("\n".join(text))
    title = f"{processor()}, {arguments.threads} thread(s), {kernels} kernels, rows shuffled"
    plot(training["shuffled"], title, arguments.out / f"{name}.png")
    print("\n".join(text))


if __name__ == "__main__":
    main(ARGUMENTS)
