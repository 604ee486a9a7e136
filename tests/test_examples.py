"""The examples run as their first lines say, on small data, and show what they promise."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
pytest.importorskip("matplotlib", reason="the examples draw plots")


def run(name, tmp_path, *arguments):
    """Run an example as a user would; return what it prints."""
    picture = tmp_path / "picture.png"
    done = subprocess.run(
        [sys.executable, EXAMPLES / name, *arguments, "--plot", picture],
        capture_output=True, text=True, timeout=120, cwd=tmp_path,
        env=os.environ | {"MPLBACKEND": "Agg", "OPENBLAS_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert picture.read_bytes().startswith(b"\x89PNG")
    return done.stdout


@pytest.mark.parametrize(
    ("name", "causes"),
    [
        (
            "constant_output.py",
            "bias-per-sample prediction-drift all-positive-weights learning-rate-too-small",
        ),
        ("broadcast_targets.py", "loss-broadcast gradient-sign bias-per-sample gradient-wrong"),
        ("initial_weights.py", "all-positive-weights saturated-units"),
    ],
)
def test_every_cause_of_the_case_is_named(name, causes, tmp_path):
    if name == "constant_output.py":
        pytest.importorskip("pandas")
    shown = run(name, tmp_path, *(["--epochs", "2"] if name == "initial_weights.py" else []))
    found = [line.split()[1] for line in shown.splitlines() if line.startswith("ERROR")]
    assert set(causes.split()) <= set(found)
    if name != "initial_weights.py":
        assert "the doctor: No findings" in shown


def test_constant_output_shows_a_falling_loss_and_equal_predictions(tmp_path):
    pytest.importorskip("pandas")
    shown = run("constant_output.py", tmp_path)
    assert "it falls" in shown
    assert "the bias b2, once (1, 1), is now (200, 1)" in shown


def test_broadcast_targets_climbs_to_18_and_is_then_learnt(tmp_path):
    shown = run("broadcast_targets.py", tmp_path)
    assert "-> 18.00 after" in shown
    assert "accuracy 1.000" in shown
    assert "comes from one error" in shown
