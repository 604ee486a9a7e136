"""2,000,000 rows x 20 columns of a CSV file, from the file to a judged network, on one core.

    python benchmarks/two_million_rows.py [--rows 2000000] [--out FILE.md]

`xpnet train` with its defaults, beside Polars with scikit-learn and Polars with PyTorch: these read
the file with Polars, hold out a fifth of the rows, standardise by the others, and train two hidden
layers of 64 rectified units with Adam at 0.001 on batches of 128. Each is run for one epoch, and
until its accuracy on the held-out rows is the one that xpnet's defaults reach, looked at every
20,000 steps. Each run is a process of its own; its memory is its largest resident size.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import polars
from machine import system

COLUMNS, BATCH, STEPS, MOST = 20, 128, 20_000, 5  # at most so many epochs
EDGE = 0.001  # of the accuracy, which counts as the same
LIBRARIES = {"sklearn": "Polars + scikit-learn", "torch": "Polars + PyTorch"}


def write(path: Path, rows: int) -> None:
    """Write rows in which one column counts by itself and two by their product."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((rows, COLUMNS)).round(4)
    y = x[:, 0] + x[:, 1] * x[:, 2] + 0.5 * rng.standard_normal(rows) > 0
    frame = polars.DataFrame(x, schema=[f"f{at}" for at in range(COLUMNS)])
    frame.with_columns(y=y.astype(np.int8)).write_csv(path)


def arrays(path: Path) -> tuple[np.ndarray, ...]:
    """Read the file; return standardised inputs and targets, to train on and held out."""
    frame = polars.read_csv(path)
    y = frame["y"].to_numpy().astype(np.int64)
    x = frame.drop("y").to_numpy().astype(np.float32)
    held = np.random.default_rng(0).random(len(y)) < 0.2
    mean, std = x[~held].mean(axis=0), x[~held].std(axis=0)
    x = (x - mean) / std
    return x[~held], y[~held], x[held], y[held]


def orders(rows: int) -> np.ndarray:
    """Yield batches of row numbers: every epoch in another order."""
    rng = np.random.default_rng(1)
    for _ in range(MOST):
        order = rng.permutation(rows)
        yield from (order[at : at + BATCH] for at in range(0, rows, BATCH))


def peer(library: str, path: Path, wanted: float) -> dict:
    """Train for one epoch, or up to an accuracy if that is above 0."""
    x, y, x_held, y_held = arrays(path)
    step, accuracy = (with_sklearn if library == "sklearn" else with_torch)(x, y, x_held, y_held)
    in_epoch = -(-len(y) // BATCH)
    for count, rows in enumerate(orders(len(y)), 1):
        step(rows)
        look = count % STEPS == 0 if wanted else count == in_epoch
        if look and (found := accuracy()) >= wanted:
            return {"accuracy": found, "steps": count}
    return {"accuracy": accuracy(), "steps": count}


def with_sklearn(x, y, x_held, y_held):
    """Return functions that take a step and that measure the accuracy."""
    from sklearn.neural_network import MLPClassifier

    warnings.simplefilter("ignore")  # of the last batch, which is smaller
    model = MLPClassifier((64, 64), batch_size=BATCH, random_state=0)

    def step(rows: np.ndarray) -> None:
        model.partial_fit(x[rows], y[rows], classes=[0, 1])

    return step, lambda: float(model.score(x_held, y_held))


def with_torch(x, y, x_held, y_held):
    """Do the same with PyTorch."""
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Linear(COLUMNS, 64), torch.nn.ReLU(), torch.nn.Linear(64, 64), torch.nn.ReLU(),
        torch.nn.Linear(64, 1),
    )  # fmt: skip
    optimizer, loss = torch.optim.Adam(model.parameters()), torch.nn.BCEWithLogitsLoss()
    x, y = torch.from_numpy(x), torch.from_numpy(y).float()[:, None]

    def step(rows: np.ndarray) -> None:
        rows = torch.from_numpy(rows)
        optimizer.zero_grad()
        loss(model(x[rows]), y[rows]).backward()
        optimizer.step()

    def accuracy() -> float:
        with torch.no_grad():
            return float(((model(torch.from_numpy(x_held))[:, 0] > 0).numpy() == y_held).mean())

    return step, accuracy


def timed(command: list[str], folder: str) -> dict:
    """Run a process on one core; return what it prints, seconds, processor seconds and MB."""
    one = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"}
    started = time.perf_counter()
    done = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=folder,
                            env=os.environ | one)  # fmt: skip
    os.sched_setaffinity(done.pid, [max(os.sched_getaffinity(0))])
    out = done.stdout.read()
    _, status, used = os.wait4(done.pid, 0)
    if status:
        sys.exit(f"{command} ended with status {status}")
    return {**json.loads(out), "seconds": time.perf_counter() - started,
            "processor": used.ru_utime + used.ru_stime, "mb": used.ru_maxrss / 1024}  # fmt: skip


def main() -> None:
    """Write the file, run everything, write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--peer", nargs=3, help="run one of the others, and print its accuracy")
    options = parser.parse_args()
    if options.peer:
        library, path, wanted = options.peer
        print(json.dumps(peer(library, Path(path), float(wanted))))
        return
    lines = []

    def add(name: str, found: dict) -> None:
        cells = [name, f"{found['steps']:,}", f"{100 * found['accuracy']:.2f} %",
                 *(f"{found[key]:,.0f}" for key in ("seconds", "processor", "mb"))]  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
        print(lines[-1], flush=True)

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.csv"
        write(path, options.rows)
        xpnet = [sys.executable, "-m", "xpnet", "train", str(path), "--target", "y", "--json"]
        textbook = ["--simple", "--epochs", "1", "--lr", "0.001", "--schedule", "constant"]
        wanted = 0.0
        for name, how in (("xpnet, defaults", []), ("xpnet --simple, one epoch", textbook)):
            found = timed([*xpnet, *how], folder)
            rows, epochs = found["rows"]["training"], found["epochs"]
            steps = found["options"].get("steps") or epochs * -(-rows // BATCH)
            found |= {"accuracy": found["scores"]["accuracy"], "steps": steps}
            wanted = wanted or found["accuracy"] - EDGE
            add(name, found)
        for library, name in LIBRARIES.items():
            for goal, what in ((0.0, "one epoch"), (wanted, "to xpnet's accuracy")):
                command = [sys.executable, __file__, "--peer", library, str(path), str(goal)]
                add(f"{name}, {what}", timed(command, folder))
    title = f"# {options.rows:,} rows x {COLUMNS} columns, from a CSV file to a judged network"
    text = [title, "", f"Made by `python benchmarks/two_million_rows.py --rows {options.rows}`: "
            "everything on one core, reading and preparing included. Other programs may run beside "
            "it: the processor's seconds compare better.", "", *system(), "",
            "| run | steps | accuracy, held-out rows | seconds | of the processor | MB |",
            "|---|---:|---:|---:|---:|---:|", *lines]  # fmt: skip
    (options.out / "two_million_rows.md").write_text("\n".join(text) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
