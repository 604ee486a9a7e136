"""Many networks at once, and a search of 30 candidates, beside loops, JAX and scikit-learn.

    python benchmarks/many.py [--repeats 5] [--out FOLDER]

One thread on one processor; repetitions are interleaved; medians of CPU time, which other programs
on the machine disturb least. Compile time, xpnet's and JAX's, is left out and shown apart. Before
anything is timed, each of the networks trained at once must have the weights of the same network
trained alone, and JAX's the same losses.
"""

import contextlib
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # before NumPy is loaded
    for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[_name] = "1"
    _one = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    os.environ.setdefault("XLA_FLAGS", _one)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-1:])

import numpy as np
from machine import options, system
from sklearn.datasets import load_breast_cancer, load_iris, load_wine
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from speed_contenders import jax_step

import xpnet
from xpnet.cli.main import main as command

RATE = 0.05
LOOPED = 8  # networks that the loop trains; it takes as much longer as there are more
FOLDS, RATES, HIDDEN = 5, (0.001, 0.003, 0.01, 0.03, 0.1, 0.3), ("8", "16", "32", "16,16", "32,32")
SHAPES = [tuple(map(int, each.split(","))) for each in HIDDEN]
STEPS = 200


@dataclass(frozen=True)
class Workload:
    """Networks of one shape, and their data."""

    sizes: tuple[int, ...]
    batch_size: int
    rows: int
    networks: int
    epochs: int
    optimizer: str

    def data(self) -> tuple[Any, Any]:
        random = np.random.default_rng(0)
        x = random.normal(size=(self.rows, self.sizes[0])).astype(np.float32)
        return x, (x[:, 0] * x[:, 1] > 0.0).astype(np.int64)

    def networks_at_start(self, count: int = 0) -> list[xpnet.MLP]:
        seeds = range(count or self.networks)
        return [xpnet.MLP(self.sizes, output="softmax", seed=seed) for seed in seeds]

    def settings(self, compile: str) -> dict[str, Any]:
        kind = xpnet.SGD if self.optimizer == "SGD" else xpnet.Adam
        return {"optimizer": kind(RATE), "epochs": self.epochs, "batch_size": self.batch_size,
                "compile": compile}  # fmt: skip


WORKLOADS = [
    Workload(sizes, batch, rows, networks, epochs, optimizer)
    for sizes, batch, rows, networks, epochs in (
        ((2, 4, 2, 2), 10, 500, 128, 20),
        ((30, 64, 64, 2), 32, 1280, 32, 8),
    )
    for optimizer in ("SGD", "Adam")
]


def at_once(work: Workload, compile: str, **more: Any) -> list[xpnet.MLP]:
    nets, (x, y) = work.networks_at_start(), work.data()
    xpnet.fit_many(nets, x, y, **work.settings(compile), **more)
    return nets


def one_by_one(work: Workload, compile: str = "off", **more: Any) -> list[xpnet.MLP]:
    nets, (x, y) = work.networks_at_start(LOOPED), work.data()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", xpnet.NoSkillWarning)  # they are trained briefly
        for net in nets:
            xpnet.fit(net, x, y, **work.settings(compile), **more, progress=False)
    return nets


def jax_at_once(work: Workload) -> Callable[..., Any]:
    """Return a function that trains all networks and returns their parameters."""
    import jax
    import jax.numpy as jnp

    x, y = (jnp.asarray(each) for each in work.data())
    steps, step = work.rows // work.batch_size, jax_step(work.optimizer, RATE)

    def on_rows(state: Any, rows: Any) -> Any:
        return step(state, (x[rows], y[rows]))

    def epoch(carry: Any, key: Any, shuffle: bool) -> Any:
        order = jax.random.permutation(key, work.rows) if shuffle else jnp.arange(work.rows)
        return jax.lax.scan(on_rows, carry, order.reshape(steps, -1))[0]

    every = jax.jit(jax.vmap(epoch, in_axes=(0, 0, None)), static_argnums=2)
    nets = work.networks_at_start()
    stacked = [
        (
            jnp.stack([net.weights[layer] for net in nets]),
            jnp.stack([net.biases[layer] for net in nets]),
        )
        for layer in range(len(work.sizes) - 1)
    ]
    zeros = jax.tree.map(jnp.zeros_like, stacked)

    def train(shuffle: bool = True) -> Any:
        carry = stacked, zeros, zeros, jnp.zeros(work.networks)
        for number in range(work.epochs):
            keys = jax.random.split(jax.random.key(number), work.networks)
            carry = every(carry, keys, shuffle)
        return jax.block_until_ready(carry[0])

    return train


def cpu_seconds(run: Callable[[], Any]) -> float:
    started = time.process_time()
    run()
    return time.process_time() - started


def difference(work: Workload) -> tuple[float, float]:
    """Return how far weights are from those of networks alone, and JAX's losses from theirs.

    After one epoch, rows in order.
    """
    work = replace(work, epochs=1)
    (x, y), parameters, far = work.data(), jax_at_once(work)(shuffle=False), 0.0
    for compile in ("off", "on"):
        alone = one_by_one(work, compile, shuffle=False)
        pairs = zip(at_once(work, compile, shuffle=False), alone, strict=False)
        far = max(far, *(float(np.max(np.abs(a.flat - b.flat))) for a, b in pairs))
    losses = []
    for number, net in enumerate(alone):
        losses.append(net.gradients(x, y)[0])
        net.set_parameters(*([np.asarray(each[number]) for each in kind]
                             for kind in zip(*parameters, strict=True)))  # fmt: skip
        losses[-1] = abs(net.gradients(x, y)[0] / losses[-1] - 1.0)
    return far, max(losses)


def time_many(repeats: int) -> list[str]:
    names = [
        "networks", "a loop of `fit`", "`fit_many`, stacked", "`fit_many`, compiled",
        "`jax.vmap` + scan", "stacked / loop", "compiled / loop", "compiled / JAX",
        "first compiled call, s", "from alone", "JAX's loss",
    ]  # fmt: skip
    lines = [f"| {' | '.join(names)} |", "|---" * len(names) + "|"]
    for work in WORKLOADS:
        first = cpu_seconds(lambda work=work: at_once(work, "on"))
        far, of_jax = difference(work)
        by_jax = jax_at_once(work)
        by_jax()
        runs = {
            "loop": lambda work=work: one_by_one(work),
            "stacked": lambda work=work: at_once(work, "off"),
            "compiled": lambda work=work: at_once(work, "on"),
            "JAX": by_jax,
        }
        times: dict[str, list[float]] = {name: [] for name in runs}
        for _ in range(repeats):
            for name, run in runs.items():
                times[name].append(cpu_seconds(run))
        steps = work.networks * work.epochs * (work.rows // work.batch_size)
        took = {name: 1e6 * statistics.median(each) / steps for name, each in times.items()}
        took["loop"] *= work.networks / LOOPED
        sizes = "-".join(map(str, work.sizes))
        lines.append(
            f"| {work.networks} x {sizes}, batch {work.batch_size}, {work.optimizer} | "
            + " | ".join(f"{took[name]:.2f}" for name in runs)
            + f" | {took['stacked'] / took['loop']:.3f} | {took['compiled'] / took['loop']:.3f} | "
            f"{took['compiled'] / took['JAX']:.2f} | {first:.1f} | {far:.0e} | {of_jax:.0e} |"
        )
        print(lines[-1], file=sys.stderr)
    return lines


def swept(path: Path, test: Path, *more: str) -> tuple[float, float, float]:
    """Return CPU seconds of a sweep, the best one's validation error, and its error on new rows."""
    done = path.with_suffix(".jsonl")
    done.unlink(missing_ok=True)
    words = ["sweep", str(path), "--target", "y", "--json", "--out", str(done), *more]
    words += ["--seeds", str(FOLDS), "--lr", *map(str, RATES), "--hidden", *HIDDEN]
    started = time.process_time()
    report = json.loads(output(words))
    seconds = time.process_time() - started
    best, model = report["candidates"][0], str(path.with_suffix(".safetensors"))
    output([*best["command"].split()[1:], "--out", model])
    found = json.loads(output(["evaluate", model, str(test), "--json"]))
    return seconds, 1 - best["scores"]["accuracy"], 1 - found["scores"]["accuracy"]


def output(words: list[str]) -> str:
    told, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(told), contextlib.redirect_stderr(errors):
        status = command(words)
    assert status == 0, errors.getvalue()
    return told.getvalue()


def grid_search(jobs: int = 1, **more: Any) -> GridSearchCV:
    """Return scikit-learn's search over the same candidates."""
    grid = {
        "mlpclassifier__learning_rate_init": RATES,
        "mlpclassifier__hidden_layer_sizes": SHAPES,
    }
    pipeline = make_pipeline(StandardScaler(), MLPClassifier(random_state=0, **more))
    return GridSearchCV(pipeline, grid, cv=FOLDS, n_jobs=jobs)


def searched(x: Any, y: Any, x_test: Any, y_test: Any, **more: Any) -> tuple[float, float, float]:
    """Return the same of scikit-learn's search."""
    started = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        search = grid_search(**more).fit(x, y)
    return time.process_time() - started, 1 - search.best_score_, 1 - search.score(x_test, y_test)


def time_searches(repeats: int) -> list[str]:
    names = [
        "table", "`xpnet sweep`: time, error, on new rows", "scikit-learn, as many steps", "ratio",
        "scikit-learn's defaults", "ratio",
    ]  # fmt: skip
    lines = [f"| {' | '.join(names)} |", "|---" * len(names) + "|"]
    for load in (load_iris, load_wine, load_breast_cancer):
        x, y = load(return_X_y=True)
        parts = train_test_split(x, y, test_size=0.3, random_state=0, stratify=y)
        x, x_test, y, y_test = parts
        with tempfile.TemporaryDirectory() as folder:
            tables = Path(folder, "train.csv"), Path(folder, "test.csv")
            for table, rows, target in zip(tables, (x, x_test), (y, y_test), strict=True):
                names = ",".join([*(f"x{i}" for i in range(x.shape[1])), "y"])
                cells = np.column_stack([rows, target])
                np.savetxt(table, cells, "%.9g", ",", header=names, comments="")
            epochs = STEPS * 32 // (len(y) * (FOLDS - 1) // FOLDS)
            same = {"batch_size": 32, "max_iter": epochs, "n_iter_no_change": epochs}
            runs = {
                "xpnet": lambda tables=tables: swept(
                    *tables, "--simple", "--steps", str(STEPS), "--batch-size", "32"
                ),
                "as many": lambda p=parts, s=same: searched(p[0], p[2], p[1], p[3], **s),
                "defaults": lambda p=parts: searched(p[0], p[2], p[1], p[3]),
            }
            found = {name: [run() for _ in range(repeats)] for name, run in runs.items()}
        told = {name: statistics.median(e[0] for e in each) for name, each in found.items()}
        cells = {
            name: f"{told[name]:.1f} s, {100 * each[0][1]:.1f} %, {100 * each[0][2]:.1f} %"
            for name, each in found.items()
        }
        name = load.__name__.removeprefix("load_")
        lines.append(
            f"| {name}, {len(y)} x {x.shape[1]} | {cells['xpnet']} | {cells['as many']} | "
            f"{told['as many'] / told['xpnet']:.1f} | {cells['defaults']} | "
            f"{told['defaults'] / told['xpnet']:.1f} |"
        )
        print(lines[-1], file=sys.stderr)
    return lines


GRID = f"""
import numpy
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

cells = numpy.loadtxt("train.csv", delimiter=",", skiprows=1)
grid = dict(mlpclassifier__learning_rate_init={RATES}, mlpclassifier__hidden_layer_sizes={SHAPES})
pipeline = make_pipeline(StandardScaler(), MLPClassifier(random_state=0))
search = GridSearchCV(pipeline, grid, cv={FOLDS}, n_jobs=2).fit(cells[:, :-1], cells[:, -1])
print(search.best_params_, search.best_score_)
"""  # what a user would write


def by_the_clock(repeats: int) -> list[str]:
    """Return a row for each table: both searches by the clock, on all processors, whole tables.

    As users wait for them, each with its start: the command, and a script that reads the same
    file. And the searches alone, by calls in this process, where both are imported and warm.
    """
    os.sched_setaffinity(0, range(os.cpu_count() or 1))
    os.environ["PYTHONWARNINGS"] = "ignore"  # of the processes
    words = ["sweep", "train.csv", "--target", "y", "--json", "--simple"]
    words += ["--steps", str(STEPS), "--batch-size", "32", "--seeds", str(FOLDS)]
    words += ["--lr", *map(str, RATES), "--hidden", *HIDDEN]

    def process(*arguments: str) -> None:
        subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, check=True)

    lines = ["| table | `xpnet sweep`, s | `GridSearchCV`, s | ratio | sweep alone, s | "
             "`GridSearchCV` alone, s | ratio |", "|---" * 7 + "|"]  # fmt: skip
    for load in (load_iris, load_wine, load_breast_cancer):
        x, y = load(return_X_y=True)
        runs: dict[str, Callable[[], Any]] = {
            "sweep": lambda: process("-m", "xpnet", *words),
            "grid": lambda: process("-c", GRID),
            "sweep alone": lambda: output(words),
            "grid alone": lambda x=x, y=y: grid_search(2).fit(x, y),
        }
        took: dict[str, list[float]] = {name: [] for name in runs}
        for _ in range(repeats):
            for name, run in runs.items():
                with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
                    names = ",".join([*(f"x{i}" for i in range(x.shape[1])), "y"])
                    cells = np.column_stack([x, y])
                    np.savetxt("train.csv", cells, "%.9g", ",", header=names, comments="")
                    started = time.perf_counter()
                    run()
                    took[name].append(time.perf_counter() - started)
        sweep, whole, alone, own = (statistics.median(each) for each in took.values())
        name = load.__name__.removeprefix("load_")
        lines.append(f"| {name} | {sweep:.2f} | {whole:.2f} | {whole / sweep:.1f} | "
                     f"{alone:.2f} | {own:.2f} | {own / alone:.1f} |")  # fmt: skip
        print(lines[-1], file=sys.stderr)
    return lines


def main() -> None:
    """Measure and write the record."""
    given = options("Many networks at once", 5)
    cold = tempfile.TemporaryDirectory()  # of compiled functions
    os.environ["XDG_CACHE_HOME"] = cold.name
    lines = [
        "# Many networks at once",
        "",
        f"Written by `python benchmarks/many.py --repeats {given.repeats}`: medians of interleaved"
        " repetitions, CPU time on one processor with one thread, rows shuffled by each network's"
        " own order.",
        "",
        *system(),
        "",
        "## Networks of one shape: microseconds for each network and step",
        "",
        f"The loop trains {LOOPED} of them. From alone: how far, at most, a weight of networks"
        " trained at once is from that of the same network trained alone, by plain and by compiled"
        " steps; JAX's loss: how far, at most, as a share; both after an epoch of rows in order.",
        "",
        *time_many(given.repeats),
        "",
        "## A search of 30 candidates",
        "",
        f"{len(RATES)} learning rates x {len(HIDDEN)} shapes, {FOLDS} networks each, on other rows:"
        f" `xpnet sweep --simple --steps {STEPS} --batch-size 32` beside `GridSearchCV` over a"
        " `StandardScaler` and an `MLPClassifier`, which trains the best one again. As many steps:"
        " with its `batch_size` and `max_iter`; its defaults are 200 epochs of up to 200 rows a"
        " step. Errors are those of the best candidate, on the rows that each of its networks was"
        " not trained on, and on 30 % of the rows that no search has seen. On two processors"
        " `GridSearchCV(n_jobs=2)` takes at best half; a sweep trains a shape on each.",
        "",
        *time_searches(max(1, given.repeats // 3)),
        "",
        "By the clock, whole tables, all processors, `n_jobs=2`: the command and a script, each as"
        " a process with its start; and the searches alone, called where everything is imported.",
        "",
        *by_the_clock(max(1, given.repeats // 3)),
    ]
    (given.out / "many.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
