"""Examples for the findings of the doctor, which `finding_examples.diff` has as changes."""

import contextlib
import io
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from xpnet.doctor.scripts.examine import examine
from xpnet.doctor.scripts.recording.source import Script

FILE = Path(__file__).with_suffix(".diff")


@dataclass(frozen=True)
class Example:
    """A script that is right, and the same with a mistake."""

    right: str
    wrong: str


def examples() -> dict[str, Example]:
    """Return an example for each code."""
    scripts: dict[str, str] = {}
    changes: dict[str, list[str]] = {}
    found: dict[str, Example] = {}
    right_ones, _, mistakes = FILE.read_text("utf-8").partition("# Mistakes\n")
    for name, base, other, text in _sections(right_ones):
        changes[name] = [*changes.get(other, ()), *re.split(r"\n\n", text)]
        scripts[name] = _changed(scripts.get(base, ""), changes[name])
    for code, base, _, text in _sections(mistakes):
        found[code] = Example(scripts[base], _changed(scripts[base], text.split("\n\n")))
    return found


def _sections(text: str) -> list[tuple[str, ...]]:
    pattern = r"^## ([\w-]+)(?: of ([\w-]+))?(?: and ([\w-]+))?\n(.*?)(?=^## |\Z)"
    found = re.findall(pattern, text, flags=re.MULTILINE | re.DOTALL)
    return [(*names, text.strip("\n")) for *names, text in found]


def _changed(script: str, changes: list[str]) -> str:
    for change in filter(None, changes):
        lines = [(line[:1], line[1:] + "\n") for line in change.splitlines()]
        old = "".join(text for sign, text in lines if sign != "+")
        new = "".join(text for sign, text in lines if sign != "-")
        if old and f"\n{script}".count(f"\n{old}") != 1:
            raise ValueError(f"not once in the script:\n{old}")
        script = script.replace(old, new, 1) if old else new
    return script


def diagnosis(script: str) -> Any:
    """Return what the doctor says of a script, or what the script has it say."""
    ignored = io.StringIO()
    with np.errstate(all="ignore"), contextlib.redirect_stdout(ignored):
        if "import xpnet" in script:
            names: dict[str, Any] = {}
            exec(script.replace("\nprint(", "\nreport = ("), names)
            return names["report"]
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            Path("net.py").write_text(script, encoding="utf-8")
            # Time enough to look at all that an idle machine looks at, however busy this one is.
            return examine(Script("net.py", ()), look=60.0).report
