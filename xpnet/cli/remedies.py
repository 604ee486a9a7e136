"""The doctor's findings as the commands tell them: columns by name, remedies as options."""

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from xpnet.cli.options import flag
from xpnet.cli.task import Task
from xpnet.doctor.findings import Finding
from xpnet.tables.messages import option
from xpnet.tables.preprocessing import Preprocessing

REMEDIES = {
    "class-imbalance": "give more rows of the rare class",
    "constant-feature": "such inputs are of no use; --drop their columns",
    "unscaled-inputs": "look for cells far from all others of their column",
    "initial-loss": "look for targets far from all others; their logarithm may be learnt better",
    "shuffled-targets": "check that each row has its own target; if so, give columns that tell "
    "more about it",
    "saturated-units": "--activation relu, or a lower --lr",
    "vanishing-gradient": "fewer layers in --hidden",
    "exploding-gradient": "a lower --lr",
    "learning-rate-vanishes": "--schedule constant",
    "regularisation-dominates": "a lower --l2",
    "non-finite": "a lower --lr",
    "diverged": "a lower --lr",
    "loss-rising": "a lower --lr",
    "loss-not-decreasing": "another --lr, or more --epochs",
    "cannot-overfit-one-batch": "more units in --hidden, or another --lr",
    "no-better-than-constant": "see the findings above; if there are none, more --epochs or "
    "another --lr",
    "constant-output": "see the findings above; if there are none, more --epochs or another --lr",
    "overfitting": "a higher --l2, --dropout, fewer units in --hidden, or more rows",
}
"""By a finding's code: what to try where no option follows from its repair."""


def as_told(findings: Iterable[Finding], task: Task) -> tuple[Finding, ...]:
    """Put what the library says about arrays and arguments in the command's terms."""
    return tuple(
        replace(each, remedy=_as_flags(each, task) or REMEDIES.get(each.code, each.remedy))
        for each in _with_names(findings, task.plan)
    )


def _as_flags(finding: Finding, task: Task) -> str:
    words = []
    for name, value in changes(finding, task).items():
        if isinstance(value, list):
            known = getattr(task.options, name) or ()
            words += [option(flag(name), each) for each in value if each not in known]
        elif isinstance(value, bool):
            words.append(flag(name) if value else f"without {flag(name)}")
        else:
            words.append(f"{flag(name)} {value if isinstance(value, str) else f'{value:g}'}")
    return ", ".join(words)


def changes(finding: Finding, task: Task) -> dict[str, Any]:
    """Translate a finding's repair into options of `train`; empty where there is none."""
    repair, options, wanted = finding.repair or {}, task.options, dict[str, Any]()
    for name in ("init", "class_weight", "clip_norm", "l1", "l2", "early_stopping"):
        if name in repair:
            wanted[name] = repair[name]
    if repair.get("standardize") or repair.get("standardize_target"):
        wanted["raw"] = False
    if "hidden" in repair:
        wanted["activation"] = repair["hidden"]
    if "learning_rate" in repair:
        wanted["lr"] = repair["learning_rate"]
    elif "learning_rate_factor" in repair and options.lr:
        wanted["lr"] = float(f"{options.lr * repair['learning_rate_factor']:.3g}")
    names = task.plan.input_names()
    columns = [names[index] for index in repair.get("drop_features", ())]
    if columns and all(each in {c.name for c in task.plan.columns} for each in columns):
        wanted["drop"] = [*(options.drop or []), *columns]
    return {name: value for name, value in wanted.items() if getattr(options, name) != value}


def _with_names(findings: Iterable[Finding], plan: Preprocessing) -> tuple[Finding, ...]:
    """Replace feature numbers, which are all the doctor knows, by the table's names."""
    names = plan.input_names()

    def name(number: re.Match[str]) -> str:
        return names[int(number[0])] if int(number[0]) < len(names) else number[0]

    return tuple(
        replace(each, where=re.sub(r"\d+", name, each.where))
        if each.where.startswith("feature")
        else each
        for each in findings
    )
