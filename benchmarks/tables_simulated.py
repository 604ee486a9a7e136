"""What short trainings decide in `xpnet train`, on simulated tables: bins, and dropout.

Usage: python benchmarks/tables_simulated.py

Each table is split as in `tables.py`, whose errors these are. The command is run with no option,
and with either choice made against held-out rows: `--encode ple` and `--dropout 0.3`.
"""

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas
import sklearn.datasets as made
from machine import system
from tables import halves, of_scikit_learn, of_xpnet

OPTIONS = {
    "": [],
    "`--encode ple`": ["--encode", "ple"],
    "`--dropout 0.3`": ["--dropout", "0.3"],
}
OUT = Path(__file__).resolve().parent / "results" / "tables-simulated.md"
TEXT = """\
# Choices of `xpnet train` on simulated tables

By `python benchmarks/tables_simulated.py`. Errors of one split: root mean square error / standard
deviation, or log loss, from 0.02 on. xpnet: with no option, and what short trainings chose; then
with always bins, or always dropout. MLP: scikit-learn's, with its defaults and scaled inputs.

{system}

| table | rows x columns | xpnet | bins | dropout | {options} | MLP |
|---|---|---|---|---|---|---|---|
{lines}
"""


def of_function(rows: int, columns: int, f: Callable, noise: float = 0.0) -> tuple:
    """Return inputs between -2 and 2, and a function of them with noise."""
    rng = np.random.default_rng(0)
    x = rng.uniform(-2.0, 2.0, (rows, columns))
    y = f(x)
    return x, y + noise * y.std() * rng.standard_normal(rows)


def spirals(rows: int) -> tuple:
    """Return points on two spirals, and on which each one is."""
    rng = np.random.default_rng(0)
    t, y = rng.uniform(0.2, 2.0, rows), rng.integers(0, 2, rows)
    angle = 4.0 * t + np.pi * y
    return np.stack([t * np.cos(angle), t * np.sin(angle)], axis=1), y


def hastie(rows: int) -> tuple:
    """Return ten normal numbers, and whether the sum of their squares is above 9.34."""
    x, y = made.make_hastie_10_2(rows, random_state=1)
    return x, (y > 0).astype(int)


TABLES: dict[str, Callable[[], tuple]] = {
    "hastie": lambda: hastie(3000),
    "classification, 20 columns": lambda: made.make_classification(
        2000, 20, n_informative=10, n_clusters_per_class=4, random_state=1),
    "classification, 40 columns": lambda: made.make_classification(
        4000, 40, n_informative=20, n_classes=4, random_state=2),
    "classification, 10 columns": lambda: made.make_classification(
        1500, 10, n_informative=6, n_redundant=2, random_state=3),
    "blobs": lambda: made.make_blobs(2000, 8, centers=6, cluster_std=4, random_state=1),
    "moons": lambda: made.make_moons(2000, noise=0.2, random_state=1),
    "circles": lambda: made.make_circles(800, noise=0.1, factor=0.6, random_state=0),
    "spirals": lambda: spirals(1200),
    "a b > 0": lambda: of_function(600, 2, lambda x: (x[:, 0] * x[:, 1] > 0).astype(int)),
    "friedman1": lambda: made.make_friedman1(2000, 10, noise=1, random_state=1),
    "friedman1, no noise": lambda: made.make_friedman1(2000, 10, noise=0, random_state=1),
    "friedman1, few rows": lambda: made.make_friedman1(500, 10, noise=0, random_state=1),
    "friedman1, noisy": lambda: made.make_friedman1(500, 10, noise=3, random_state=1),
    "friedman2": lambda: made.make_friedman2(2000, noise=50, random_state=1),
    "friedman3": lambda: made.make_friedman3(2000, noise=0.1, random_state=1),
    "linear": lambda: made.make_regression(1500, 20, n_informative=10, noise=20, random_state=1),
    "linear, few rows": lambda: of_function(300, 5, lambda x: x @ np.arange(5.0), 0.1),
    "sine": lambda: of_function(400, 1, lambda x: np.sin(3 * x[:, 0])),
    "sine times cosine": lambda: of_function(
        1500, 2, lambda x: np.sin(2 * x[:, 0]) * np.cos(x[:, 1])),
    "square and product": lambda: of_function(800, 3, lambda x: x[:, 0] ** 2 + x[:, 1] * x[:, 2]),
    "the same, noisy": lambda: of_function(800, 5, lambda x: x[:, 0] ** 2 + x[:, 1] * x[:, 2], 1.0),
}  # fmt: skip


def line(name: str) -> str:
    """Return the row of a table in the results."""
    x, y = TABLES[name]()
    frame = pandas.DataFrame(np.round(x, 5), columns=[f"x{i}" for i in range(x.shape[1])])
    train, test = halves(frame.assign(y=np.round(y, 5)), "y", 0)
    found = [of_xpnet(train, test, "y", options, 0) for options in OPTIONS.values()]
    report = found[0][2]
    other, *_ = of_scikit_learn(train, test, "y", report, "MLP", 0)
    first, *more = [f"{error:.4f}" for error, _, _ in found]
    bins = "yes" if report["network"]["sizes"][0] > x.shape[1] else "no"
    cells = name, f"{len(x):,} x {x.shape[1]}", first, bins, report["options"]["dropout"]
    return f"| {' | '.join(map(str, (*cells, *more, f'{other:.4f}')))} |"


def main() -> None:
    """Write the result file."""
    warnings.simplefilter("ignore")
    lines = []
    for name in TABLES:
        lines.append(line(name))
        print(lines[-1], flush=True)
    options = " | ".join(list(OPTIONS)[1:])
    OUT.write_text(
        TEXT.format(system="\n".join(system()), options=options, lines="\n".join(lines)), "utf-8"
    )


if __name__ == "__main__":
    main()
