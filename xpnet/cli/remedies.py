"""The doctor's findings for the command line, with options as remedies."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from xpnet.cli.options import OPTION_OF, flag
from xpnet.cli.task import Task
from xpnet.doctor.findings import Finding
from xpnet.tables.messages import option_for

LOWER_RATE = "a lower --lr"
# By a finding's code: what to try where no option follows from its repair.
REMEDIES = {
    "class-imbalance": "give more rows of the rare class",
    "constant-feature": "such inputs are of no use; --drop their columns",
    "unscaled-inputs": "look for cells far from all others of their column",
    "initial-loss": "look for targets far from all others; their logarithm may be learnt better",
    "saturated-units": "--activation relu, or a lower --lr",
    "regularisation-dominates": "a lower --l2",
    **dict.fromkeys(("non-finite", "diverged", "loss-rising"), LOWER_RATE),
    "loss-not-decreasing": "another --lr, or more --epochs",
    "shuffled-targets": "check that each row has its own target, or give other columns",
}


def in_cli_terms(findings: Iterable[Finding], task: Task) -> tuple[Finding, ...]:
    """Return the findings with remedies in terms of options."""
    return tuple(
        replace(each, remedy=as_flags(each.repair, task) or REMEDIES.get(each.code, each.remedy))
        for each in findings
    )


def as_flags(repair: Mapping[str, Any] | None, task: Task) -> str:
    """Return a repair as options for a shell; "" if there are none for it."""
    options, wanted = task.options, dict[str, Any]()
    for setting, value in (repair or {}).items():
        name = OPTION_OF.get(setting, setting)
        if setting in ("standardize", "standardize_target"):
            name, value = "raw", not value
        elif setting == "learning_rate_factor" and options.lr:
            name, value = "lr", float(f"{options.lr * value:.3g}")
        elif setting == "drop_features":
            name, value = "drop", _with_columns(value, task)
        if getattr(options, name, value) != value:
            wanted.setdefault(name, value)
    return ", ".join(_in_words(*each) for each in wanted.items())


def _in_words(name: str, value: Any) -> str:
    if isinstance(value, list):
        return " ".join(option_for(flag(name), each) for each in value)
    if isinstance(value, bool):
        return flag(name) if value else f"without {flag(name)}"
    return f"{flag(name)} {value if isinstance(value, str) else f'{value:g}'}"


def _with_columns(features: Iterable[int], task: Task) -> list[str] | None:
    names, dropped = task.plan.input_names(), task.options.drop
    columns = [names[index] for index in features]
    whole = {each.name for each in task.plan.columns}.issuperset(columns)
    return [*(dropped or ()), *columns] if whole else dropped
