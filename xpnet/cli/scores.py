"""Scores in words."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from xpnet.tables.messages import up_to_ten
from xpnet.tables.preprocessing import Preprocessing
from xpnet.tables.scores import class_names
from xpnet.training.skill import Skill

MIN_RECALL_GAIN = 0.1  # of the way from the mean recall of a constant, 1 / classes, to 1
MAX_LISTED = 10  # classes whose recall is shown, and columns whose importance is


def described_task(plan: Preprocessing, given: str = "") -> str:
    """Say what is predicted: numbers, or which classes; if these are numbers, the other task."""
    if plan.task == "regression":
        return f"regression of {up_to_ten(plan.targets)}"
    told = []
    for one in plan.each_target:
        names = class_names(one.classes)
        listed = " or ".join(names) if len(names) <= MAX_LISTED else f"one of {len(names)} classes"
        told.append(f"{one.target} is {listed}")
    numbers = given == "auto" and plan.task == "multiclass" and isinstance(plan.classes[0], float)
    return f"{plan.task}: {up_to_ten(told)}{' [--task regression]' * numbers}"


def describe_training(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Describe the scores of a training; several networks hold out different rows."""
    several = report["scores"]["rows"] > report["rows"]["validation"] > 0
    where = "rows, each held out from a network" if several else f"{report['validated_on']} rows"
    return describe(report["scores"], where)


def describe(scores: dict[str, Any], where: str = "rows") -> list[tuple[str, str]]:
    """Describe scores in lines of names and texts; `where` names the rows."""
    baseline, rows = scores["baseline"], f"on {scores['rows']:,} {where}"
    if "targets" in scores:
        told = {name: describe(each, where) for name, each in scores["targets"].items()}
        lines = [(name, "; ".join(map(" ".join, each))) for name, each in told.items()]
        more = len(lines) - MAX_LISTED
        if more > 0:
            lines[MAX_LISTED:] = [("...", f"{more} more targets (--json)")]
        return lines
    if "accuracy" in scores:
        constant = f"always {baseline['class']}"
        share = f"{constant}: {100 * baseline['accuracy']:.2f} %"
        lines = [("accuracy", f"{100 * scores['accuracy']:.2f} % {rows} ({share})")]
        if 2 <= len(scores["recall"]) <= MAX_LISTED:
            each = ", ".join(f"{name} {100 * r:.1f}" for name, r in scores["recall"].items())
            lines.append(("by class", f"{each} %"))
        if len(scores["recall"]) == 1:
            lines.append(("note", "these rows are all of one class, so the accuracy says nothing"))
    else:
        constant = "always the mean"
        r2 = "not defined" if scores["r2"] is None else f"{scores['r2']:.4f}"
        errors = [each["mean_absolute_error"] for each in (scores, baseline)]
        own, other = (f"{e:,.0f}" if 1e3 <= e < 1e9 else f"{e:.4g}" for e in errors)
        lines = [("R2", f"{r2} {rows} ({constant}: 0)")]
        lines.append(("mean error", f"{own} ({constant}: {other})"))
    if is_useless(scores):
        lines.append(("note", f"no better than {constant}; xpnet doctor looks for the cause"))
    return lines


def describe_importance(
    importance: dict[str, tuple[float, float]], scores: dict[str, Any]
) -> list[tuple[str, str]]:
    """Describe the importance of columns, the largest first, in lines of names and texts."""
    measure = "accuracy" if "accuracy" in scores else "R2"
    shown = list(importance.items())[:MAX_LISTED]
    width = max(len(name) for name, _ in shown)
    lines = [("importance", f"by how much {measure} falls if a column is shuffled")]
    for name, (mean, spread) in shown:
        lines.append((f"  {name:<{width}}", f"{mean:.4f} +- {spread:.4f}"))
    more = len(importance) - len(shown)
    if more:
        lines.append(("  ...", f"{more} more columns (--json has them)"))
    return lines


def is_useless(scores: dict[str, Any]) -> bool:
    """Return whether the predictions are no better than the best constant.

    For classes, they are better in neither accuracy nor mean recall, which counts all classes
    alike.
    """
    if "accuracy" not in scores:
        return scores["r2"] is not None and not Skill(1.0 - scores["r2"], 1.0).is_clear
    recall = list(scores["recall"].values())
    chance = 1.0 / len(recall)
    errors = Skill(1.0 - scores["accuracy"], 1.0 - scores["baseline"]["accuracy"])
    missed = Skill(1.0 - float(np.mean(recall)), 1.0 - chance, MIN_RECALL_GAIN * (1.0 - chance))
    return not errors.is_clear and len(recall) > 1 and not missed.is_clear
