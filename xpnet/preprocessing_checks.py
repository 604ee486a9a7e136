"""Whether what a model file says about preprocessing can be: it may come from anyone."""

import math
from collections.abc import Mapping
from typing import Any, NoReturn

from xpnet.errors import FileError
from xpnet.preprocessing import LAYOUTS, MISSING_POLICIES, TASKS

_NUMBER = {"name", "mean", "std"}
_TEXT = {"name", "categories"}
_FIELDS = ("task", "target", "columns", "classes", "target_mean", "target_std", "missing", "layout")


def checked(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of `Preprocessing`, each checked; columns as dicts.

    Raises
    ------
    FileError
        Names the first field that cannot be, and what was found.
    """
    if not isinstance(given, Mapping) or set(given) != set(_FIELDS):
        _refuse("fields", sorted(map(str, given)) if isinstance(given, Mapping) else given, _FIELDS)
    fields = dict(given)
    for name, allowed in (("task", TASKS), ("missing", MISSING_POLICIES), ("layout", LAYOUTS)):
        if not isinstance(fields[name], str) or fields[name] not in allowed:
            _refuse(name, fields[name], f"one of {', '.join(allowed)}")
    _text("target", fields["target"])
    _scale("target_", fields["target_mean"], fields["target_std"])
    fields["classes"] = _classes(fields["classes"], fields["task"])
    columns = fields["columns"]
    if not isinstance(columns, list) or not columns:
        _refuse("columns", columns, "a list of columns")
    fields["columns"] = [_column(f"columns[{i}]", each) for i, each in enumerate(columns)]
    names = [fields["target"]] if fields["layout"] == "table" else []
    _distinct("columns", names + [column["name"] for column in fields["columns"]])
    if fields["layout"] != "table" and any("categories" in each for each in fields["columns"]):
        _refuse("columns", "categories", f"numbers only, since the layout is {fields['layout']}")
    return fields


def _column(place: str, given: Any) -> dict[str, Any]:
    if not isinstance(given, dict) or set(given) not in (_NUMBER, _TEXT):
        _refuse(place, given, "name, mean and std, or name and categories")
    _text(f"{place}.name", given["name"])
    if "mean" in given:
        _scale(f"{place}.", given["mean"], given["std"])
        return given
    return {"name": given["name"], "categories": _texts(f"{place}.categories", given["categories"])}


def _classes(given: Any, task: str) -> tuple[Any, ...]:
    if not isinstance(given, list):
        _refuse("classes", given, "a list")
    wanted = {"regression": "none", "binary": "two", "multiclass": "two or more"}[task]
    if not {"regression": not given, "binary": len(given) == 2}.get(task, len(given) >= 2):
        _refuse("classes", given, f"{wanted}, since the task is {task}")
    if given and all(isinstance(each, int | float) for each in given):
        for index, each in enumerate(given):
            _finite(f"classes[{index}]", each)
        _distinct("classes", given)
        return tuple(float(each) for each in given)
    return _texts("classes", given) if given else ()


def _texts(place: str, given: Any) -> tuple[str, ...]:
    if not isinstance(given, list) or not given:
        _refuse(place, given, "a list of texts")
    for index, each in enumerate(given):
        _text(f"{place}[{index}]", each)
    _distinct(place, given)
    return tuple(given)


def _text(place: str, given: Any) -> None:
    if not isinstance(given, str) or not given:
        _refuse(place, given, "a text")


def _distinct(place: str, given: list[Any]) -> None:
    seen = set()
    for each in given:
        if each in seen:
            _refuse(place, each, "each name once")
        seen.add(each)


def _finite(place: str, given: Any) -> None:
    if isinstance(given, bool) or not isinstance(given, int | float) or abs(given) > 1.7e308:
        _refuse(place, given, "a finite number")
    if not math.isfinite(given):
        _refuse(place, given, "a finite number")


def _scale(place: str, mean: Any, std: Any) -> None:
    _finite(f"{place}mean", mean)
    _finite(f"{place}std", std)
    if std <= 0:
        _refuse(f"{place}std", std, "a number above 0")


def _refuse(field: str, found: Any, wanted: object) -> NoReturn:
    text = ascii(found) if isinstance(found, str | int | float | None) else ascii(found)[:200]
    text = text if len(text) <= 80 else text[:77] + "..."
    raise FileError(f"preprocessing.{field}: found {text}, expected {wanted}.")
