"""The text of a user's script, notebook or module."""

import json
import linecache
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from xpnet.errors import FileError

# What only IPython understands, in a cell's line and for a cell as a whole.
MAGIC = re.compile(r"\s*(?:[\w., ]+=\s*)?[%!]|\s*[\w.]+\?{1,2}\s*$|\s*\?")
FOREIGN = re.compile(r"%%(?!time|capture|prun)")


@dataclass(frozen=True)
class Script:
    """What to run, with its arguments."""

    name: str
    arguments: tuple[str, ...] = ()

    def locate(self) -> Path:
        """Return the file, absolute. FileError if there is none."""
        path = Path(self.name).absolute()
        if not path.is_file():
            raise FileError(f"{self.name}: there is no such file; name a script that exists")
        return path


def parts_of(path: Path) -> Iterator[tuple[str, str]]:
    """Yield (file, text) of what is to be run in turn: a script, or each cell of a notebook."""
    if path.suffix.lower() != ".ipynb":
        yield str(path), read_source(path)
        return
    for number, text in enumerate(_cells(path), start=1):
        file = f"{path.name}, cell {number}"
        # Tracebacks read their lines there.
        linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
        yield file, text


def read_source(path: Path) -> str:
    """Return a file's text in the encoding that it declares."""
    try:
        with tokenize.open(path) as file:
            return file.read()
    except (SyntaxError, UnicodeDecodeError) as error:
        raise FileError(f"{path}: Python cannot read it: {error}; save it as UTF-8") from error


def _cells(path: Path) -> Iterator[str]:
    """Yield the code cells of a notebook, without what only IPython understands."""
    try:
        cells = json.loads(path.read_text("utf-8"))["cells"]
        texts = ["".join(each["source"]) for each in cells if each["cell_type"] == "code"]
    except (ValueError, KeyError, TypeError) as error:
        raise FileError(f"{path.name}: it is no notebook of format 4: {error!r}") from error
    for text in texts:
        foreign = FOREIGN.match(text) is not None
        lines = text.splitlines()
        yield "\n".join(_skipped(each) if foreign or MAGIC.match(each) else each for each in lines)


def _skipped(line: str) -> str:
    """Keep a line's place, and a block's only statement: `pass` stands for it."""
    return line[: len(line) - len(line.lstrip())] + f"pass  # {line.strip()}"
