"""What the user should know about a target: classes that may be none, or too few rows of them."""

import numpy as np

from xpnet.tables.checks import plain, up_to_ten
from xpnet.tables.preprocessing import Preprocessing

_GRADES = 4  # from this many whole numbers on, they may be counts or grades
_UNEVEN = 3.0  # and if one has so many times the rows of another: codes of classes are more even
_MANY = 20  # classes
_ENOUGH = 10  # rows of a class


def note_classes(plan: Preprocessing, y: np.ndarray, inferred: bool, notes: list[str]) -> None:
    """Note classes that are spelt in two ways, may be numbers, or have hardly any rows.

    Parameters
    ----------
    y : int array, (rows,)
        The training rows' class numbers.
    inferred : bool
        Whether the task was found from the target, not given.
    """
    if plan.task == "regression":
        return
    counts = np.bincount(y, minlength=len(plan.classes))
    _note_case(plan, notes)
    if inferred and _may_be_numbers(plan, counts):
        low, high = plain(plan.classes[0]), plain(plan.classes[-1])
        notes.append(
            f"the {len(plan.classes)} whole numbers of {plan.target}, {low} to {high}, are taken "
            "as classes; if they are counts or grades, pass --task regression"
        )
    if len(plan.classes) > max(_MANY, len(y) / _ENOUGH):
        notes.append(
            f"{len(plan.classes)} classes in {len(y):,} training rows, so hardly any of each; "
            "put like classes together, or give more rows"
        )
        return
    rare = [plain(plan.classes[index]) for index in np.flatnonzero(counts < 2)]
    if rare:
        notes.append(f"classes with a single training row: {up_to_ten(rare)}")


def _note_case(plan: Preprocessing, notes: list[str]) -> None:
    alike = dict[str, list[str]]()
    for each in plan.classes:
        if isinstance(each, str):
            alike.setdefault(each.casefold(), []).append(each)
    groups = [", ".join(sorted(each)) for each in alike.values() if len(each) > 1]
    if groups:
        listed = "; ".join(groups[:5]) + ("; ..." if len(groups) > 5 else "")
        notes.append(f"classes differ only in case: {listed}; if they are one, write it in one way")


def _may_be_numbers(plan: Preprocessing, counts: np.ndarray) -> bool:
    """Tell whether classes look like counts or grades: 0, 1, 2, ..., some of them much rarer."""
    numbers = [each for each in plan.classes if not isinstance(each, str)]
    if len(numbers) < max(_GRADES, len(plan.classes)) or plan.layout == "image":
        return False
    whole = all(each.is_integer() and each >= 0 for each in numbers)
    near = numbers[-1] - numbers[0] < 2 * len(numbers)
    return whole and near and counts.max() >= _UNEVEN * counts.min()
