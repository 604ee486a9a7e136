"""Predicts as the xpnet model that it holds: ``predict({"age": [31, None], "job": ["cook", ""]})``.

As a program it reads a CSV file, and writes one to standard output. It needs NumPy alone, and
reads plain CSV only: UTF-8, commas, names in the first line, decimal points, no units.
"""

import base64
import csv
import json
import os
import sys
from datetime import datetime

import numpy as np

MODEL = json.loads("{}")

ACTIVATIONS = {
    "identity": lambda z: z,
    "sigmoid": lambda z: 1 / (1 + np.exp(np.minimum(-z, 88))),
    "tanh": np.tanh,
    "relu": lambda z: np.maximum(z, 0),
    "leaky_relu": lambda z: np.maximum(z, 0.01 * z),
    "elu": lambda z: np.maximum(z, 0) + np.expm1(np.minimum(z, 0)),
    "selu": lambda z: 1.05070098735548 * np.where(z > 0, z, 1.67326324235437 * np.expm1(z)),
    "gelu": lambda z: z / 2 * (1 + np.tanh(0.7978845608028654 * (z + 0.044715 * z * z * z))),
    "silu": lambda z: z / (1 + np.exp(np.minimum(-z, 88))),
    "softplus": lambda z: np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z))),
    "exp": lambda z: np.exp(np.minimum(z, 88)),
    "softmax": lambda z: (e := np.exp(z - z.max(1)[:, None])) / e.sum(1)[:, None],
}


def number(cells, column, impute):
    values = np.array([float(each or "nan") for each in cells])
    gap = column.get("gap", np.nan)
    gaps = np.isnan(values) | (values == gap) | ((values <= gap) & (gap < 0))
    if impute:
        values[gaps] = column.get("fill", column["mean"])
    edges = np.array(column.get("edges", [0.0]))
    bins = np.clip((values[:, None] - edges[:-1]) / np.diff(edges), 0, 1)
    scaled = (values - column["mean"]) / column["std"]
    return np.column_stack([scaled, *[gaps][: column.get("indicator", False)], bins])


def category(cells, column, impute):
    cells = [column["spelt"].get(each.casefold(), each) for each in cells]
    places = {each: place for place, each in enumerate(column["categories"])}
    x = np.zeros((len(cells), len(column["categories"]) + column.get("pooled", False)))
    for row, cell in enumerate(cells):
        if cell in places or (cell and column.get("pooled")):
            x[row, places.get(cell, -1)] = 1
        elif not impute:
            x[row] = np.nan
    effects = dict(zip(column.get("texts", []), column.get("effects", [])))
    return np.column_stack([x, [effects.get(each, 0) for each in cells]]) if effects else x


def dates(cells, column, impute):
    x = np.tile(column["means"] if impute else np.nan, (len(cells), 1))
    for row, cell in enumerate(cells):
        if cell:
            at = datetime.strptime(cell, column["pattern"])
            hour = at.hour + at.minute / 60 + at.second / 3600
            parts = {"year": at.year, "month": at.month, "weekday": at.isoweekday(), "hour": hour}
            parts["days"] = at.toordinal() - 719163 + hour / 24
            x[row] = [parts[each] for each in column["parts"]]
    return (x - column["means"]) / column["stds"]


def network(x, parameters):
    flat, sizes = np.frombuffer(base64.b64decode(parameters), MODEL["dtype"]), MODEL["sizes"]
    cuts = np.cumsum([*(a * b for a, b in zip(sizes, sizes[1:])), *sizes[1:-1]])
    weights, layers = np.split(flat, cuts), len(sizes) - 1
    for layer, activation in enumerate(MODEL["activations"]):
        z = x @ weights[layer].reshape(sizes[layer], -1) + weights[layers + layer]
        x = ACTIVATIONS[activation](z)
    return x


def predict(table):
    blocks = []
    for column in MODEL["columns"]:
        cells = [str(each).strip() for each in table[column["name"]]]
        cells = ["" if each in MODEL["gaps"] else each for each in cells]
        kind = category if "categories" in column else dates if "parts" in column else number
        try:
            blocks.append(kind(cells, column, MODEL["missing"] == "impute"))
        except ValueError as error:
            raise ValueError(f"column {column['name']!r}: {error}") from None
        if not np.isfinite(blocks[-1]).all():
            raise ValueError(f"{column['name']}: a cell is missing, infinite, or a new category")
    x, names = np.hstack(blocks).astype(MODEL["dtype"]), MODEL["names"]
    y = (sum(network(x, each) for each in MODEL["nets"]) / len(MODEL["nets"])).astype(float)
    if MODEL["task"] == "regression":
        y = (y * MODEL["target_std"] + MODEL["target_mean"]).T
        return dict(zip(names, np.exp(np.minimum(y, 700)) if MODEL.get("target_log") else y))
    y = np.hstack([1 - y, y]) if MODEL["task"] == "binary" else y
    return dict(zip(names, [np.array(MODEL["labels"])[y.argmax(1)], *y.T]))


if __name__ == "__main__":
    try:
        with open(sys.argv[-1], encoding="utf-8-sig", newline="") as file:
            rows = [*csv.DictReader(file)]
        used = [column["name"] for column in MODEL["columns"]]
        if lacking := [name for name in used if not rows or name not in rows[0]]:
            raise ValueError(f"there is no column {lacking[0]!r}, or no row")
        found = predict({name: [row[name] for row in rows] for name in used})
        csv.writer(sys.stdout).writerows([found, *zip(*found.values())])
        sys.stdout.flush()
    except BrokenPipeError:  # as of `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError, csv.Error) as error:
        plain = "UTF-8, commas, names in the first line, decimal points, no units, dates as trained"
        print(f"{sys.argv[-1]}: {error}; give a plain CSV file ({plain})", file=sys.stderr)
        sys.exit(2)
