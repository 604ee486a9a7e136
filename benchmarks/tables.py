"""`xpnet train` with no option beside scikit-learn's MLP and gradient boosting, on public tables.

Usage: python benchmarks/tables.py FOLDER [--older CHECKOUT] [--splits 5] [--only TABLE,...]

FOLDER holds the tables of `tables_door.py`; some of scikit-learn's own come with it. Every result
is kept in --cache at once, so that a run that was stopped goes on where it was.

Each split keeps a fifth of the rows aside (at most 10,000 rows are used in all). The error on them
is the root mean square error divided by the standard deviation of the targets, or for classes the
log loss, floored at 0.02. scikit-learn's networks have a pipeline of imputer, StandardScaler and
OneHotEncoder, and a target scaled likewise; gradient boosting has ordinal categories, told that
they are; both are given the columns that xpnet chose, and the parts of dates.
"""

import argparse
import contextlib
import hashlib
import io
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import pandas
import sklearn.datasets
from machine import system
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from tables_door import TARGETS

import xpnet
from xpnet.cli.main import main

MOST_ROWS, FLOOR = 10_000, 0.02
OWN = {"breast_cancer": "class", "digits": "class", "wine": "class", "diabetes": "value"}
LEFT_OUT = {"adult_test"}  # the same table as adult_train
XPNET = {
    "version 0.1's": ["--simple"],
    "best epoch": ["--encode", "plain", "--nets", "1", "--epochs", "20"],
    "steps": ["--encode", "plain", "--nets", "1"],
    "PLE": ["--nets", "1"],
    "xpnet": [],
}
"""By name: the options of `xpnet train`, from the textbook network to the defaults, step by step."""


def read(name: str, folder: Path) -> tuple[pandas.DataFrame, str]:
    """Return a table of at most `MOST_ROWS` rows, those with a target, and the target's name."""
    if name in OWN:
        found = getattr(sklearn.datasets, f"load_{name}")()
        frame = pandas.DataFrame(found.data, columns=[f"x{i}" for i in range(found.data.shape[1])])
        frame, target = frame.assign(**{OWN[name]: found.target}), OWN[name]
    else:
        (path,) = folder.rglob(f"{name}.csv")
        frame, target = pandas.read_csv(path, skipinitialspace=True, na_values="?"), TARGETS[name]
    frame = frame[frame[target].notna()]
    return frame.sample(min(MOST_ROWS, len(frame)), random_state=0), target


def halves(frame: pandas.DataFrame, target: str, split: int) -> tuple:
    """Return the rows to train on and those kept aside; of each class a fifth, if it has five."""
    y = frame[target]
    classes = y.dtype == object or not pandas.api.types.is_float_dtype(y) and y.nunique() <= 20
    if pandas.api.types.is_string_dtype(y) or classes:
        frame = frame[y.map(y.value_counts()) >= 5]
        return train_test_split(frame, test_size=0.2, random_state=split, stratify=frame[target])
    return train_test_split(frame, test_size=0.2, random_state=split)


def error(report: dict, predicted: dict, test: pandas.DataFrame, target: str) -> float:
    """Return the error of predictions, given as probabilities by class or as values."""
    y = test[target]
    if report["task"] == "regression":
        away = np.asarray(predicted[target], float) - y.to_numpy(float)
        return float(np.sqrt(np.mean(away**2)) / y.std(ddof=0))
    given = np.stack([predicted[name] for name in report["classes"]], axis=1)
    names = {name: at for at, name in enumerate(report["classes"])}
    right = given[np.arange(len(y)), [names[spelt(each)] for each in y]]
    return max(float(-np.log(np.clip(right, 1e-7, 1.0)).mean()), FLOOR)


def spelt(label: object) -> str | float:
    """Return a class as the report has it: numbers are floats."""
    return label if isinstance(label, str) else float(label)


def of_xpnet(train, test, target: str, options: list[str], seed: int) -> tuple[float, float, dict]:
    """Train by the command, predict the rows kept aside from Python; return error, time, report."""
    with tempfile.TemporaryDirectory() as folder:
        path, model = f"{folder}/train.csv", f"{folder}/model.safetensors"
        train.to_csv(path, index=False)
        said, started = io.StringIO(), time.process_time()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(io.StringIO()) as err:
            status = main(["train", path, "--target", target, "--out", model, "--json",
                           "--seed", str(seed), *options])  # fmt: skip
        if status:
            raise SystemExit(err.getvalue())
        seconds, report = time.process_time() - started, json.loads(said.getvalue())
        test.drop(columns=target).to_csv(f"{folder}/test.csv", index=False)
        found = xpnet.load_model(model).predict(f"{folder}/test.csv")
    if report["task"] != "regression":
        found = {name: found[f"probability of {written(name)}"] for name in report["classes"]}
    return error(report, found, test, target), seconds, report


def written(label: object) -> str:
    """Return a class as `predict` writes it."""
    return label if isinstance(label, str) else f"{label:.15g}"


def features(frame: pandas.DataFrame, target: str, report: dict) -> pandas.DataFrame:
    """Return the columns that xpnet chose; dates as their parts."""
    gone = report["decisions"].get("left out", {})
    unnamed = {name for name in frame if f"{name}".startswith("Unnamed")} if gone else set()
    x = frame.drop(columns=[*{target, *gone, *unnamed} & {*frame}])
    for name in report["decisions"].get("dates", {}):
        when = pandas.to_datetime(x.pop(name), errors="coerce")
        for part in ("year", "month", "day", "dayofweek", "hour"):
            x[f"{name} {part}"] = getattr(when.dt, part)
        x[f"{name} days"] = (when - pandas.Timestamp(1970, 1, 1)).dt.days
    return x


def of_scikit_learn(train, test, target: str, report: dict, kind: str, seed: int) -> tuple:
    """Train one of scikit-learn's models; return error and time."""
    x, held = (features(each, target, report) for each in (train, test))
    texts = [name for name in x if not pandas.api.types.is_numeric_dtype(x[name])]
    x, held = ({name: each[name].astype(object).where(each[name].notna(), np.nan)
                if name in texts else each[name].astype(float) for name in each}
               for each in (x, held))  # fmt: skip
    x, held = pandas.DataFrame(x), pandas.DataFrame(held)
    numbers, regression = [name for name in x if name not in texts], report["task"] == "regression"
    if kind == "MLP":
        model = (MLPRegressor if regression else MLPClassifier)(random_state=seed)
        encode = make_pipeline(SimpleImputer(strategy="most_frequent"),
                               OneHotEncoder(handle_unknown="ignore", sparse_output=False))  # fmt: skip
        scale = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    else:
        boosting = HistGradientBoostingRegressor if regression else HistGradientBoostingClassifier
        few = [len(numbers) + at for at, name in enumerate(texts) if x[name].nunique() < 250]
        model = boosting(random_state=seed, categorical_features=few)
        encode = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan,
                                encoded_missing_value=np.nan)  # fmt: skip
        scale = "passthrough"
    pipeline = make_pipeline(
        ColumnTransformer([("n", scale, numbers), ("t", encode, texts)]), model
    )
    if regression and kind == "MLP":
        pipeline = TransformedTargetRegressor(pipeline, transformer=StandardScaler())
    y, started = train[target], time.process_time()
    y = y.to_numpy(float) if regression else np.asarray([str(spelt(each)) for each in y])
    pipeline.fit(x, y)
    seconds = time.process_time() - started
    if regression:
        return error(report, {target: pipeline.predict(held)}, test, target), seconds
    columns = dict(zip(pipeline.classes_, pipeline.predict_proba(held).T, strict=True))
    none = np.zeros(len(held))
    given = {name: columns.get(str(name), none) for name in report["classes"]}
    return error(report, given, test, target), seconds


def measure(name: str, split: int, folder: Path, cache: dict, save, ablated: bool) -> None:
    """Fill in what is not yet known of one split of a table."""
    frame, target = read(name, folder)
    train, test = halves(frame, target, split)
    for kind, options in XPNET.items():
        key = f"{name}/{split}/{kind}"
        if key not in cache and (kind == "xpnet" or ablated):
            found, seconds, report = of_xpnet(train, test, target, options, split)
            kept = {each: report[each] for each in ("task", "classes", "decisions")}
            save(key, {"error": found, "seconds": seconds, "report": kept, "rows": len(frame),
                       "columns": report["columns"]})  # fmt: skip
    report = cache[f"{name}/{split}/xpnet"]["report"]
    for kind in ("MLP", "HGB"):
        if f"{name}/{split}/{kind}" not in cache:
            found, seconds = of_scikit_learn(train, test, target, report, kind, split)
            save(f"{name}/{split}/{kind}", {"error": found, "seconds": seconds})
