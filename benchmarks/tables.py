"""`xpnet train` with no option beside scikit-learn's MLP and gradient boosting, on public tables.

Usage: python benchmarks/tables.py FOLDER --cache FILE [--splits 5] [--older CHECKOUT]

FOLDER holds the tables of `tables_door.py`; some of scikit-learn's own come with it. Every result
is kept in the cache at once, so that a run that was stopped goes on where it was. CHECKOUT is
version 0.1, to compare times with.

Each split keeps a fifth of the rows aside (at most 10,000 rows are used in all). The error on them
is the root mean square error divided by the standard deviation of the targets, or for classes the
log loss, floored at 0.02. scikit-learn's networks have a pipeline of imputer, StandardScaler and
OneHotEncoder, and a target scaled likewise; gradient boosting has ordinal categories, told that
they are; both are given the columns that xpnet chose, and the parts of dates.
"""

import argparse
import contextlib
import io
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
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
    "textbook": ["--simple"],
    "best epoch": ["--encode", "plain", "--nets", "1", "--epochs", "20"],
    "steps": ["--encode", "plain", "--nets", "1"],
    "bins": ["--nets", "1"],
    "xpnet": [],
}
"""By name: the options of `xpnet train`, step by step from the textbook network to the defaults."""


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
    if not pandas.api.types.is_numeric_dtype(y) or y.nunique() <= 20:
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
        one_hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
        encode = make_pipeline(SimpleImputer(strategy="most_frequent"), one_hot)
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


def measure(name: str, split: int, folder: Path, cache: dict, save: Callable, kinds: dict) -> None:
    """Fill in what is not yet known of one split of a table."""
    frame, target = read(name, folder)
    train, test = halves(frame, target, split)
    for kind, options in kinds.items():
        key = f"{name}/{split}/{kind}"
        if key not in cache:
            found, seconds, report = of_xpnet(train, test, target, options, split)
            kept = {each: report[each] for each in ("task", "classes", "decisions", "columns")}
            save(key, {"error": found, "seconds": seconds, "report": kept, "rows": len(frame)})
    report = cache[f"{name}/{split}/xpnet"]["report"]
    for kind in ("MLP", "HGB"):
        if f"{name}/{split}/{kind}" not in cache:
            found, seconds = of_scikit_learn(train, test, target, report, kind, split)
            save(f"{name}/{split}/{kind}", {"error": found, "seconds": seconds})


def seconds_of_command(name: str, folder: Path, older: Path, cache: dict, save: Callable) -> None:
    """Measure the processor time of both versions' command, in turns, on a file both can read."""
    key = f"{name}/command"
    if key in cache:
        return
    frame, target = read(name, folder)
    report = cache[f"{name}/0/xpnet"]["report"]
    x = features(frame, target, report).assign(**{target: frame[target]}).dropna()
    with tempfile.TemporaryDirectory() as made:
        x.to_csv(f"{made}/t.csv", index=False)
        command = [sys.executable, "-m", "xpnet", "train", f"{made}/t.csv", "--target", target,
                   "--out", f"{made}/m.safetensors"]  # fmt: skip
        took = {older: list[float](), Path(__file__).parents[1]: list[float]()}
        for checkout in [*took] * 3:
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            where = {"env": {**os.environ, "PYTHONPATH": str(checkout)}, "cwd": made}
            done = subprocess.run(command, capture_output=True, check=False, **where)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            took[checkout].append(used)
            if done.returncode:
                return  # version 0.1 refuses some
    save(key, {"seconds": [float(np.median(each)) for each in took.values()]})


def mean(cache: dict, name: str, kind: str, what: str = "error") -> float:
    """Return the mean error, or time, over the splits on which all were measured."""
    kinds = ("xpnet", "MLP", "HGB")
    splits = {
        key.split("/")[1] for key in cache if key.startswith(f"{name}/") and key.count("/") > 1
    }
    whole = [each for each in splits if all(f"{name}/{each}/{one}" in cache for one in kinds)]
    return float(np.mean([cache[f"{name}/{each}/{kind}"][what] for each in whole]))


def ratio(cache: dict, names: list, kind: str, other: str) -> float:
    """Return the geometric mean over the tables of the ratio of two errors."""
    logs = [np.log(mean(cache, n, kind) / mean(cache, n, other)) for n in names]
    return float(np.exp(np.mean(logs)))


def lines(cache: dict, names: list) -> list[str]:
    """Write the table of the errors."""
    kinds, found = ("xpnet", "MLP", "HGB"), []
    for name in names:
        first = cache[f"{name}/0/xpnet"]
        errors = [mean(cache, name, kind) for kind in kinds]
        cells = [f"**{each:.4f}**" if each == min(errors) else f"{each:.4f}" for each in errors]
        cells += [f"{mean(cache, name, kind, 'seconds'):.1f}" for kind in kinds]
        size = f"{first['rows']:,} x {first['report']['columns']}"
        splits = sum(f"{name}/{each}/HGB" in cache for each in range(100))
        cells = [name, size, first["report"]["task"], str(splits), *cells]
        took = cache.get(f"{name}/command", {}).get("seconds", [])
        found.append(f"| {' | '.join([*cells, *(f'{each:.1f}' for each in took[::-1])])} |")
    return found


def ablation(cache: dict, names: list) -> list[str]:
    """Write the table of the steps towards the defaults, on the first split."""
    names = [name for name in names if all(f"{name}/0/{kind}" in cache for kind in XPNET)]
    if not names:
        return []
    errors = {name: [cache[f"{name}/0/{kind}"]["error"] for kind in XPNET] for name in names}
    rows = [f"| {name} | {' | '.join(f'{e:.4f}' for e in errors[name])} |" for name in names]
    logs = [np.log(np.asarray(errors[n]) / cache[f"{n}/0/MLP"]["error"]) for n in names]
    means = (f"{each:.3f}" for each in np.exp(np.mean(logs, axis=0)))
    return [*rows, f"| ratio to scikit-learn's MLP, geometric mean | {' | '.join(means)} |"]


TEXT = """# The defaults of `xpnet train` on {count} public tables

By `python benchmarks/tables.py`; how it measures stands there. Errors are means of 1 to 5 splits:
root mean square error / standard deviation, or log loss; the best in bold. Seconds are those of the
processor, with one thread; the command's are from the start of the process to its end.

{system}

Better than scikit-learn's MLP, or as good, on {mlp} of {count} tables (behind on {worse}), than its
histogram gradient boosting on {hgb}. Geometric mean of the ratios of errors: {to_mlp:.3f} to the
MLP, {to_hgb:.3f} to boosting ({without:.3f} without airports, which boosting does not learn).
How many columns bins may make (512), and how long the networks are that try out a choice (5
epochs, or 8), was decided with these tables in view.
{times}

| table | rows x columns | task | splits | xpnet | MLP | boosting | s | s | s | command | 0.1's |
|---|---|---|---|---|---|---|---|---|---|---|---|
{lines}

## Step by step

Errors of the first split. Textbook: `--simple`, the network of version 0.1. Best epoch: 128-128
silu, AdamW, cosine, dropout 0.3, 20 passes, the best one kept. Steps: the budget of steps instead
of passes. Bins: also the piecewise-linear encoding, from 1,000 rows on, if held-out rows do not
lose by it. xpnet, the defaults: also several networks, up to 5,000 rows.

| table | {kinds} |
|---|{rules}
{ablation}
"""


def write(cache: dict, names: list, out: Path) -> None:
    """Write the result file."""
    both = [cache[f"{name}/command"]["seconds"] for name in names if f"{name}/command" in cache]
    times = [new / old for old, new in both] or [np.nan]
    better = {
        other: [n for n in names if mean(cache, n, "xpnet") <= mean(cache, n, other)]
        for other in ("MLP", "HGB")
    }
    out.write_text(
        TEXT.format(
            count=len(names),
            system="\n".join(system()),
            mlp=len(better["MLP"]),
            hgb=len(better["HGB"]),
            worse=", ".join(name for name in names if name not in better["MLP"]) or "none",
            to_mlp=ratio(cache, names, "xpnet", "MLP"),
            to_hgb=ratio(cache, names, "xpnet", "HGB"),
            without=ratio(cache, [n for n in names if n != "airports"], "xpnet", "HGB"),
            times=f"The command takes {np.median(times):.1f} times as long as version 0.1's "
            f"(median of {len(both)} tables that both read; at most {max(times):.1f} times).",
            lines="\n".join(lines(cache, names)),
            kinds=" | ".join(XPNET),
            rules="---|" * len(XPNET),
            ablation="\n".join(ablation(cache, names)),
        ),
        encoding="utf-8",
    )


def run() -> None:
    """Measure what is not yet known, and write what is known of all tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument("--older", type=Path)
    results = Path(__file__).parent / "results" / "tables-accuracy.md"
    parser.add_argument("--out", type=Path, default=results)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    cache = {}
    if options.cache.exists():
        kept = map(json.loads, options.cache.read_text().splitlines())
        cache = {each.pop("key"): each for each in kept}

    def save(key: str, found: dict) -> None:
        cache[key] = found
        with options.cache.open("a") as file:
            file.write(json.dumps({"key": key, **found}) + "\n")

    names = [*(name for name in TARGETS if name not in LEFT_OUT), *OWN]
    for split in range(options.splits):
        for name in names:
            measure(name, split, options.folder, cache, save, {"xpnet": []})
        write(cache, names, options.out)
    for name in names:
        measure(name, 0, options.folder, cache, save, XPNET)
        if options.older:
            seconds_of_command(name, options.folder, options.older, cache, save)
    write(cache, names, options.out)


if __name__ == "__main__":
    run()
