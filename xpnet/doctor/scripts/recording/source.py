"""The text of a user's script, notebook or module."""

import ast
import io
import json
import linecache
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from xpnet.errors import FileError

# What only IPython understands, in a cell's line and for a cell as a whole.
MAGIC = re.compile(r"\s*(?:[\w., ]+=\s*)?[%!]|\s*[\w.]+\?{1,2}\s*$|\s*\?")
FOREIGN = re.compile(r"%%(?!time|capture|prun)")


@dataclass(frozen=True)
class Script:
    """What to run, with its arguments: a file, or a module as ``python -m`` finds it."""

    name: str
    arguments: tuple[str, ...] = ()
    is_module: bool = False

    def locate(self) -> tuple[Path, str | None]:
        """Return the file, absolute, and a module's package. FileError if there is none."""
        if not self.is_module:
            path = Path(self.name).absolute()
            if not path.is_file():
                raise FileError(f"{self.name}: there is no such file; name a script that exists")
            return path, None
        try:
            spec = find_spec(self.name)
            if spec is not None and spec.submodule_search_locations is not None:
                spec = find_spec(f"{self.name}.__main__")
            if spec is None or not spec.has_location:
                raise ImportError(f"No module named {self.name!r}")
        except Exception as error:  # also what the package raises when it is imported
            raise FileError(
                f"-m {self.name}: {error}; run it from the folder that holds its package"
            ) from error
        return Path(str(spec.origin)).absolute(), spec.parent


def parts_of(path: Path) -> Iterator[tuple[str, str]]:
    """Yield (file, text) of what is to be run in turn: a script, or each cell of a notebook."""
    if path.suffix.lower() != ".ipynb":
        yield str(path), read_source(path)
        return
    for number, cell in enumerate(raw_cells(path), start=1):
        foreign = FOREIGN.match(cell) is not None
        text = "\n".join(  # `pass` keeps a line's place, and a block's only statement
            re.sub(r"^(\s*)", r"\1pass  # ", each) if foreign or MAGIC.match(each) else each
            for each in cell.splitlines()
        )
        file = f"{path.name}, cell {number}"
        _remember(file, text)
        yield file, text


def _remember(file: str, text: str) -> None:
    """Put a text where tracebacks, and whoever else wants its lines, read them."""
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)


def read_source(path: Path) -> str:
    """Return a file's text in the encoding that it declares; what is not that is Latin-1."""
    try:
        with tokenize.open(path) as file:
            return file.read()
    except (SyntaxError, UnicodeDecodeError):
        text = path.read_text("latin-1")
        _remember(str(path), text)
        return text


def whole(file: str) -> list[str]:
    """Return a script's file, or all cells of the notebook that a cell is of."""
    start, cell, _ = file.partition(", cell ")
    cells = [each for each in linecache.cache if each.startswith(f"{start}{cell}")]
    return cells if cell else [file]


@cache
def tree(file: str) -> ast.Module:
    """Return the syntax tree of a script's file, or of a notebook's cell."""
    return ast.parse("".join(linecache.getlines(file)))


@cache
def modules(file: str) -> dict[str, str]:
    """Return the imported modules, by what a file calls them."""
    nodes = [n for n in ast.walk(tree(file)) if isinstance(n, ast.Import)]
    return {each.asname or each.name: each.name for n in nodes for each in n.names}


def write_like(original: Path, path: Path, text: str) -> None:
    """Write a file in the encoding and with the line ends of another one."""
    raw = original.read_bytes()
    try:
        encoding = tokenize.detect_encoding(io.BytesIO(raw).readline)[0]
        raw.decode(encoding)
        data = text.encode(encoding)
    except (SyntaxError, UnicodeError):  # which Python does not read either
        data = text.encode()
    path.write_bytes(data.replace(b"\n", b"\r\n") if b"\r\n" in raw else data)


def raw_cells(path: Path) -> list[str]:
    """Return the code cells of a notebook."""
    try:
        cells = json.loads(path.read_text("utf-8"))["cells"]
        return ["".join(each["source"]) for each in cells if each["cell_type"] == "code"]
    except (ValueError, KeyError, TypeError) as error:
        raise FileError(f"{path.name}: it is no notebook of format 4: {error!r}") from error
