"""The package's front door: every public name is there, and importing it costs nothing."""

import importlib
import subprocess
import sys

import pytest

import xpnet


def test_every_public_name_is_found_where_it_is_written() -> None:
    assert set(xpnet.__all__) == set(xpnet._MODULE_OF)
    assert set(dir(xpnet)) == set(xpnet.__all__)
    for name, module in xpnet._MODULE_OF.items():
        assert getattr(xpnet, name) is getattr(importlib.import_module(f"xpnet.{module}"), name)


@pytest.mark.process
def test_modules_are_reached_through_the_package() -> None:
    code = "import xpnet; print(xpnet.nn.schedules.Cosine(), xpnet.nn.losses.LOSSES['huber'].name)"
    outcome = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert (outcome.returncode, outcome.stdout) == (0, b"Cosine(end=0.0) huber\n")


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Perceptron'"):
        _ = xpnet.Perceptron  # type: ignore[attr-defined]


@pytest.mark.process
def test_importing_the_package_alone_loads_no_numpy() -> None:
    code = "import sys, xpnet; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
