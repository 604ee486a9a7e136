"""How messages about tables quote texts, numbers and names."""

import difflib
import shlex
from collections.abc import Iterable
from itertools import islice


def quoted(text: str) -> str:
    """Quote a text found in a file, shortened to about 60 characters."""
    return repr(text if len(text) <= 60 else text[:57] + "...")


def format_number(value: str | float) -> str:
    """Write a number as people do, 7 and not 7.0; a text stays as it is."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e21:
        return str(int(value))
    return str(value)


def option(flag: str, column: str) -> str:
    """Return an option of the command for one column, such as --drop, ready for a shell."""
    return f"{flag} {shlex.quote(column)}"


def up_to_ten(names: Iterable[str]) -> str:
    """List some names; dots say that there are more."""
    first = list(islice(names, 11))
    return ", ".join(first[:10]) + (", ..." if len(first) > 10 else "")


def closest(name: str, names: Iterable[str]) -> str:
    """Suggest what was meant by a name that is not among `names`."""
    names = list(names)
    folded = {each.casefold().strip(): each for each in reversed(names)}
    near = difflib.get_close_matches(name.casefold().strip(), folded, n=3, cutoff=0.6)
    if near:
        return "did you mean " + " or ".join(quoted(folded[each]) for each in near) + "?"
    return f"there are: {up_to_ten(map(quoted, names))}."
