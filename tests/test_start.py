"""The package's front door: names are there when asked for, and starting costs next to nothing."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import xpnet

ROOT = Path(__file__).resolve().parents[1]

HEAVY = ("polars", "scipy", "sklearn", "rich", "click", "matplotlib", "safetensors")
LOADED = f"""
import sys, xpnet
assert "numpy" not in sys.modules
print(xpnet.nn.schedules.Cosine(), xpnet.nn.losses.LOSSES["huber"].name)
xpnet.MLP, xpnet.fit, xpnet.SGD, xpnet.Adam
print([name for name in {HEAVY} if name in sys.modules])
import xpnet.cli.main
"""
LIBRARY = """
from time import process_time
before = process_time()
import numpy
between = process_time()
import xpnet; xpnet.MLP, xpnet.fit, xpnet.SGD, xpnet.Adam
print(between - before, process_time() - between)
"""
COMMAND = """
import contextlib, io, sys
from time import process_time
before = process_time()
sys.argv = ["xpnet", "--help"]
with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
    import xpnet.cli.main
    xpnet.cli.main.main()
between = process_time()
assert "numpy" not in sys.modules
import numpy
print(process_time() - between, between - before)
"""


def run(script: str) -> str:
    command = [sys.executable, "-c", script]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.process
def test_names_are_reached_through_the_package_which_loads_little_else() -> None:
    assert run(LOADED).splitlines() == ["Cosine(end=0.0) huber", "[]"]


@pytest.mark.untraced
@pytest.mark.process
@pytest.mark.parametrize(
    ("script", "allowed", "numpys"),
    [(LIBRARY, 0.1, 1.0), (COMMAND, 0.4, 4.0)],
    ids=["library", "command"],
)
def test_starting_takes_a_moment(script: str, allowed: float, numpys: float) -> None:
    """A tenth of a second above NumPy for the library, four for the help of the command.

    In processor time, which does not depend on what else is running; where the machine is slow, in
    multiples of what NumPy takes. The best of some processes: the first may have to compile.
    """
    found = []
    for _ in range(5):
        numpy, own = map(float, run(script).split())
        found.append(own)
        if own < max(allowed, numpys * numpy):
            return
    pytest.fail(f"{found} seconds")


def test_citation_and_conda_recipe_agree_with_the_package():
    recipe = (ROOT / "conda" / "recipe.yaml").read_text("utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    packages = re.findall(r"^    - ([\w-]+) (>=[\d.]+)$", recipe.split("  run:")[1], re.MULTILINE)
    assert {name + at_least for name, at_least in packages} == {
        f"python{project['requires-python']}", *project["dependencies"]
    }  # fmt: skip
    assert f'version: "{xpnet.__version__}"' in recipe
    assert f"version: {xpnet.__version__}\n" in (ROOT / "CITATION.cff").read_text("utf-8")
