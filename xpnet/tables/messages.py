"""Texts, numbers and names in messages about tables."""

import difflib
import re
import shlex
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from xpnet.errors import InputError


def quoted(text: str) -> str:
    """Quote a text found in a file, shortened to about 60 characters."""
    return repr(text if len(text) <= 60 else text[:57] + "...")


def one_line(name: str) -> str:
    """Return a column's name with single spaces for line breaks and other white space."""
    return " ".join(name.split())


def without_password(address: str) -> str:
    """Return a database's address without user and password."""
    return re.sub("(?<=://).*@", "", address)


def format_number(value: str | float) -> str:
    """Return a number as people write it, 7 and not 7.0; a text stays as it is."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e21:
        return str(int(value))
    return str(value)


def counted(number: int, what: str) -> str:
    """Return a number of things, such as 1 cell, 2 cells."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def option_for(flag: str, column: str) -> str:
    """Return an option of the command for one column, such as --drop, ready for a shell."""
    return f"{flag} {shlex.quote(column)}"


def up_to_ten(names: Iterable[str]) -> str:
    """List up to ten names, with dots if there are more."""
    first = list(islice(names, 11))
    return ", ".join(first[:10]) + (", ..." if len(first) > 10 else "")


def closest(name: str, names: Iterable[str]) -> str:
    """Suggest the names closest to one that is not among `names`, or list them."""
    folded = {each.casefold().strip(): each for each in reversed(list(names))}
    near = difflib.get_close_matches(name.casefold().strip(), folded, n=3, cutoff=0.6)
    if near:
        return "did you mean " + " or ".join(quoted(folded[each]) for each in near) + "?"
    return f"there are: {up_to_ten(map(quoted, names))}."


@dataclass(frozen=True)
class Decision:
    """Something done to a table that nobody asked for: to which `columns`, and in words what.

    `repair` are the options, by name, that say the same, so that it need not be guessed; `undo`
    changes it, where those do not.
    """

    kind: str
    columns: Mapping[str, str]
    repair: Mapping[str, Any] = field(default_factory=dict)
    undo: str = ""

    def text(self) -> str:
        """Return one line, in which columns with the same text stand together."""
        groups = defaultdict[str, list[str]](list)
        for name, what in self.columns.items():
            groups[what].append(name)
        told = up_to_ten(f"{up_to_ten(names)} ({what})" for what, names in groups.items())
        options = self.undo or ", ".join(
            f"--{name.replace('_', '-')}{' COLUMN' * isinstance(value, list)}"
            for name, value in self.repair.items()
        )
        return f"{told} [{options}]" if options else told


def refuse_all(path: str, messages: Sequence[str], repair: Mapping[str, Any]) -> None:
    """Raise one InputError for all messages, if any; the options of `repair` would mend them."""
    told = [each.removeprefix(f"{path}: ") for each in messages]
    if told:
        head = f"{path}: {len(told)} obstacles\n  " if len(told) > 1 else f"{path}: "
        error = InputError(head + "\n  ".join(told))
        error.repair = repair if len(told) > 1 else {}
        raise error
