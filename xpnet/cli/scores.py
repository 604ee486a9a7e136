"""How good predictions are, beside those of the best constant, in numbers and in words."""

from typing import Any

import numpy as np

from xpnet.nn.arrays import class_numbers
from xpnet.tables.messages import format_number
from xpnet.tables.preprocessing import Preprocessing
from xpnet.training.skill import Skill

MIN_RECALL_GAIN = 0.1  # of the way from the mean recall of a constant, 1 / classes, to 1
MAX_LISTED = 10  # classes whose recall is shown


def class_names(classes: tuple[Any, ...]) -> list[str]:
    """Return the classes as people write them: 1 and not 1.0."""
    return [format_number(each) for each in classes]


def score(plan: Preprocessing, outputs: Any, y: Any) -> dict[str, Any]:
    """Measure predictions against those of the best constant, in the target's own unit.

    Parameters
    ----------
    outputs : host array, (n, outputs)
    y : host array, (n,)
        Class numbers, or values as the network is trained on them.
    """
    if plan.task == "regression":
        error = np.abs(np.asarray(outputs[:, 0], np.float64) - y) * plan.target_std
        spread = np.abs(y - np.mean(y)) * plan.target_std
        squares, total = float(np.sum(error**2)), float(np.sum(spread**2))
        return {
            "r2": 1.0 - squares / total if total else None,
            "mean_absolute_error": float(np.mean(error)),
            "baseline": {"r2": 0.0, "mean_absolute_error": float(np.mean(spread))},
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


def describe(scores: dict[str, Any], where: str = "") -> list[tuple[str, str]]:
    """Put scores into words, as lines of names and texts; `where` says which rows they are of."""
    baseline, rows = scores["baseline"], f"on {scores['rows']:,} {where}rows"
    if "accuracy" in scores:
        constant = f"always {baseline['class']}"
        share = f"{constant}: {100 * baseline['accuracy']:.2f} %"
        lines = [("accuracy", f"{100 * scores['accuracy']:.2f} % {rows} ({share})")]
        if 2 <= len(scores["recall"]) <= MAX_LISTED:
            each = ", ".join(f"{name} {100 * r:.1f}" for name, r in scores["recall"].items())
            lines.append(("by class", f"{each} %"))
    else:
        constant = "always the mean"
        r2 = "not defined" if scores["r2"] is None else f"{scores['r2']:.4f}"
        own, other = (_format(each["mean_absolute_error"]) for each in (scores, baseline))
        lines = [("R2", f"{r2} {rows} ({constant}: 0)"),
                 ("mean error", f"{own} ({constant}: {other})")]  # fmt: skip
    if is_useless(scores):
        lines.append(("note", f"no better than {constant}; xpnet doctor looks for the cause"))
    return lines


def is_useless(scores: dict[str, Any]) -> bool:
    """Return whether the predictions are no better than the best constant.

    Of classes, neither in accuracy nor in the mean recall, which counts rare ones as much.
    """
    if "accuracy" not in scores:
        return scores["r2"] is not None and not Skill(1.0 - scores["r2"], 1.0).is_clear
    recall = list(scores["recall"].values())
    errors = Skill(1.0 - scores["accuracy"], 1.0 - scores["baseline"]["accuracy"])
    chance = 1.0 / len(recall)
    missed = Skill(1.0 - float(np.mean(recall)), 1.0 - chance, MIN_RECALL_GAIN * (1.0 - chance))
    return not errors.is_clear and len(recall) > 1 and not missed.is_clear


def _format(number: float) -> str:
    return f"{number:,.0f}" if 1e3 <= number < 1e9 else f"{number:.4g}"
