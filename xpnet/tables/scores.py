"""Scores of predictions, beside those of the best constant, and the importance of columns."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from xpnet.backend.random import generator
from xpnet.errors import bad_argument
from xpnet.nn.arrays import class_numbers
from xpnet.tables.messages import format_number
from xpnet.tables.preprocessing import Preprocessing
from xpnet.training.metrics import mean_absolute_error, r2

MAX_ROWS = 5_000  # to judge columns by


def class_names(classes: tuple[Any, ...]) -> list[str]:
    """Return the classes as people write them: 1 and not 1.0."""
    return [format_number(each) for each in classes]


def score(plan: Preprocessing, outputs: Any, y: Any) -> dict[str, Any]:
    """Return scores of outputs, (n, outputs), and of the best constant, in the target's own unit.

    y, (n,) or (n, targets), are class numbers, or values as the network is trained on them. For
    several targets, the score is the mean of their scores, which are in `targets`.
    """
    name = "r2" if plan.task == "regression" else "accuracy"
    if plan.more_targets:
        columns = zip(plan.each_target, outputs.T[..., None], y.T, strict=True)
        each = {one.target: score(one, of_one, values) for one, of_one, values in columns}
        baseline = float(np.mean([one["baseline"][name] for one in each.values()]))
        known = [one[name] for one in each.values() if one[name] is not None]
        mean = float(np.mean(known)) if known else None
        return {name: mean, "baseline": {name: baseline}, "targets": each, "rows": len(y)}
    if plan.task == "regression":
        predicted, values = plan.values(outputs)[:, 0], plan.values(y)
        of_mean = mean_absolute_error(np.mean(values), values)
        return {
            "r2": r2(predicted, values) if np.ptp(values) else None,
            "mean_absolute_error": mean_absolute_error(predicted, values),
            "baseline": {"r2": 0.0, "mean_absolute_error": of_mean},
            "rows": len(y),
        }
    names = class_names(plan.classes)
    right = class_numbers(np, outputs) == y
    counts = np.bincount(y, minlength=len(names))
    hits = np.bincount(y[right], minlength=len(names))
    most = int(np.argmax(counts))
    return {
        "accuracy": float(np.mean(right)),
        "baseline": {"accuracy": float(counts[most] / len(y)), "class": names[most]},
        "recall": {n: float(h / c) for n, h, c in zip(names, hits, counts, strict=True) if c},
        "rows": len(y),
    }


def permutation_importance(
    plan: Preprocessing,
    predict: Callable[..., Any],
    x: Any,
    y: Any,
    repeats: int = 5,
    seed: int = 0,
) -> dict[str, tuple[float, float]]:
    """Return by how much accuracy, or R2, falls if a column is shuffled, the largest first.

    Breiman, Random Forests, 2001, section 10, for the columns of the raw table: all inputs of a
    column, in x (n, inputs), are shuffled together. `predict` takes some rows of x and their
    numbers and returns outputs. Each column has the mean and the standard deviation over the
    repeats.
    """
    if repeats < 1:
        raise bad_argument("repeats", repeats, "must be an integer >= 1")
    rows, draw = np.arange(len(y)), generator(seed, "importance")
    if len(rows) > MAX_ROWS:
        rows = np.sort(draw.choice(rows, MAX_ROWS, replace=False))
    shuffled = x[rows]

    def measure() -> float:
        scores = score(plan, predict(shuffled, rows), y[rows])
        value = scores["r2" if plan.task == "regression" else "accuracy"]
        return math.nan if value is None else float(value)

    whole, found = measure(), dict[str, tuple[float, float]]()
    for column in plan.columns:
        inputs = shuffled[:, plan.inputs_of(column.name)]  # a view
        before = inputs.copy()
        falls = []
        for _ in range(repeats):
            inputs[:] = before[draw.permutation(len(rows))]
            falls.append(whole - measure())
        inputs[:] = before
        found[column.name] = float(np.mean(falls)), float(np.std(falls))
    return dict(sorted(found.items(), key=lambda item: -item[1][0]))
