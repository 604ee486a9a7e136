"""The estimators beside scikit-learn's: same data, seeds and settings; score and time.

    python benchmarks/estimators.py --data FOLDER [--out FOLDER]

Inputs are standardised and one-hot encoded on the training rows, by scikit-learn, for both; so are
the targets of a regression. Rows with a missing cell are left out.
"""

import argparse
import time
import warnings
from pathlib import Path

import numpy as np
import pandas
import sklearn.neural_network
from machine import system
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import ShuffleSplit, StratifiedShuffleSplit
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import xpnet

SPLITS = 5
MOST_ROWS = 10_000
TABLES = {  # file: target, columns left out
    "adult_train": ("income", []),
    "banknote": ("class", []),
    "california_housing": ("median_house_value", []),
    "ionosphere": ("label", []),
    "iris": ("species", []),
    "sonar": ("label", []),
    "titanic": ("Survived", ["PassengerId", "Name", "Ticket", "Cabin"]),
    "winequality_red": ("quality", []),
}
REGRESSIONS = ("california_housing", "diabetes", "winequality_red")


def read_table(path):
    """Return inputs (a frame) and targets of a CSV file."""
    target, left_out = TABLES[path.stem]
    table = pandas.read_csv(path, na_values=["?"], skipinitialspace=True)
    table = table.drop(columns=left_out).dropna()
    if len(table) > MOST_ROWS:
        table = table.sample(MOST_ROWS, random_state=0)
    return table.drop(columns=target), table[target].to_numpy()


def data_sets(folder):
    for name, load in (
        ("iris", load_iris),
        ("digits", load_digits),
        ("breast cancer", load_breast_cancer),
        ("diabetes", load_diabetes),
    ):
        yield name, *load(return_X_y=True, as_frame=True)
    for name in TABLES:
        path = Path(folder) / f"{name}.csv"
        if path.exists():
            yield f"{name}.csv", *read_table(path)


def prepared(x, y, train, test, regression):
    text = list(x.select_dtypes(exclude="number").columns)
    numbers = [column for column in x.columns if column not in text]
    encoder = make_column_transformer(
        (StandardScaler(), numbers),
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), text),
    )
    inputs = encoder.fit_transform(x.iloc[train]), encoder.transform(x.iloc[test])
    y = np.asarray(y)
    if regression:
        mean, deviation = y[train].mean(), y[train].std()
        y = (y - mean) / deviation
    return *inputs, y[train], y[test]


def compare(x, y, regression):
    """Return the scores, (2, splits), and the seconds, (2,), of scikit-learn and xpnet."""
    splitter = ShuffleSplit if regression else StratifiedShuffleSplit
    kind = "MLPRegressor" if regression else "MLPClassifier"
    scores, seconds = np.zeros((2, SPLITS)), np.zeros(2)
    splits = splitter(SPLITS, test_size=0.25, random_state=0).split(x, y)
    for split, (train, test) in enumerate(splits):
        x_train, x_test, y_train, y_test = prepared(x, y, train, test, regression)
        for which, library in enumerate((sklearn.neural_network, xpnet)):
            model = getattr(library, kind)(random_state=split)
            started = time.perf_counter()
            model.fit(x_train, y_train)
            seconds[which] += time.perf_counter() - started
            scores[which, split] = model.score(x_test, y_test)
    return scores, seconds


def row(name, x, y):
    regression = name.removesuffix(".csv") in REGRESSIONS
    scores, seconds = compare(x, y, regression)
    (peer, ours), error = scores.mean(axis=1), scores[0].std(ddof=1) / np.sqrt(SPLITS)
    measure = "R²" if regression else "accuracy"
    within = "yes" if abs(ours - peer) <= error else "above" if ours > peer else "**no**"
    return (
        f"| {name} ({len(y):,} rows) | {measure} | {peer:.4f} ± {error:.4f} | {ours:.4f} | "
        f"{within} | {seconds[0]:.1f} s | {seconds[1]:.1f} s |"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, help="folder with the tables, see README.md")
    parser.add_argument("--out", default="benchmarks/results")
    given = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    lines = [
        "# The estimators beside scikit-learn's",
        "",
        "Written by `python benchmarks/estimators.py`: default settings of both, random_state 0 to",
        f"{SPLITS - 1} on {SPLITS} random splits (a quarter held out), the mean score on the "
        "held-out rows, and",
        "± the standard error of scikit-learn's mean. Time is that of all fits together.",
        "",
        *system(),
        "",
        "| data | score | scikit-learn | xpnet | within it | scikit-learn | xpnet |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, x, y in data_sets(given.data):
        lines.append(row(name, x, y))
        print(lines[-1], flush=True)
    Path(given.out, "estimators.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
