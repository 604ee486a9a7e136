"""Check what a model file says about preprocessing: the file may come from anyone."""

import re
import sys
from collections.abc import Mapping
from typing import Any, NoReturn

from xpnet.backend.files import quoted
from xpnet.errors import FileError
from xpnet.tables.preprocessing import LAYOUTS, MISSING_POLICIES, TASKS

_NUMBER = {"name", "mean", "std"}
_TEXT = {"name", "categories"}
_FIELDS = ("task", "target", "columns", "classes", "target_mean", "target_std", "missing", "layout")


def checked(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of `Preprocessing`, each checked; columns as dicts.

    Raises
    ------
    FileError
        Names the first field that is invalid, and what was found.
    """
    if not isinstance(given, Mapping) or set(given) != set(_FIELDS):
        _refuse("fields", sorted(map(str, given)) if isinstance(given, Mapping) else given, _FIELDS)
    fields = dict(given)
    for name, allowed in (("task", TASKS), ("missing", MISSING_POLICIES), ("layout", LAYOUTS)):
        if not isinstance(fields[name], str) or fields[name] not in allowed:
            _refuse(name, fields[name], f"one of {', '.join(allowed)}")
    _text("target", fields["target"])
    fields |= _scale("", fields, "target_")
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
        return {"name": given["name"], **_scale(f"{place}.", given)}
    return {"name": given["name"], "categories": _texts(f"{place}.categories", given["categories"])}


def _classes(given: Any, task: str) -> tuple[Any, ...]:
    if not isinstance(given, list):
        _refuse("classes", given, "a list")
    wanted = {"regression": "none", "binary": "two", "multiclass": "two or more"}[task]
    if not {"regression": not given, "binary": len(given) == 2}.get(task, len(given) >= 2):
        _refuse("classes", given, f"{wanted}, since the task is {task}")
    if given and all(isinstance(each, int | float) for each in given):
        numbers = [_finite(f"classes[{i}]", each) for i, each in enumerate(given)]
        _distinct("classes", numbers)
        return tuple(numbers)
    return _texts("classes", given) if given else ()


def _texts(place: str, given: Any) -> tuple[str, ...]:
    if not isinstance(given, list) or not given:
        _refuse(place, given, "a list of texts")
    for index, each in enumerate(given):
        _text(f"{place}[{index}]", each)
    _distinct(place, given)
    return tuple(given)


def _text(place: str, given: Any) -> None:
    if not isinstance(given, str) or not given or re.search(r"[\ud800-\udfff]", given):
        _refuse(place, given, "a text")


def _distinct(place: str, given: list[Any]) -> None:
    seen = set()
    for each in given:
        if each in seen:
            _refuse(place, each, "each name once")
        seen.add(each)


def _finite(place: str, given: Any) -> float:
    number = isinstance(given, int | float) and not isinstance(given, bool)
    if not number or not abs(given) <= sys.float_info.max:
        _refuse(place, given, "a finite number")
    return float(given)


def _scale(place: str, given: dict[str, Any], start: str = "") -> dict[str, float]:
    """Check a mean and a standard deviation; their names begin with `start`."""
    mean, std = (_finite(f"{place}{start}{each}", given[start + each]) for each in ("mean", "std"))
    if std <= 0:
        _refuse(f"{place}{start}std", std, "a number above 0")
    return {f"{start}mean": mean, f"{start}std": std}


def _refuse(field: str, found: Any, wanted: object) -> NoReturn:
    raise FileError(f"preprocessing.{field}: found {quoted(found)}, expected {wanted}.")
