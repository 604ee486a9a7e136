"""What the tests of the command line run and read; their fixtures are in conftest.py."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

BANKNOTE = Path(__file__).resolve().parents[1] / "examples" / "data" / "banknote.csv"
QUICK = ["--simple", "--epochs", "3", "--hidden", "8", "--lr", "0.02"]


class Outcome(NamedTuple):
    """What a command left: exit status, standard output, standard error."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The one JSON object on standard output."""
        return dict(json.loads(self.out))


Run = Callable[..., Outcome]


def program(*arguments: object, **options: Any) -> "subprocess.CompletedProcess[str]":
    """Run the program as a process of its own."""
    command = [sys.executable, "-m", "xpnet", *map(str, arguments)]
    options = {"capture_output": True, "text": True, "check": False, "timeout": 60} | options
    return subprocess.run(command, **options)


def table(name: str, text: str) -> Path:
    path = Path(name)
    path.write_text(text)
    return path


def regression(rows: int = 60) -> Path:
    x = np.random.default_rng(0).standard_normal((rows, 2))
    lines = [f"{a:.4f},{b:.4f},{100 + 20 * a - 10 * b:.4f}" for a, b in x]
    return table("heights.csv", "\n".join(["a,b,height", *lines]) + "\n")
