"""The examples run as their first lines say, on small data, and show what they promise."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
pytest.importorskip("matplotlib", reason="the examples draw plots")
pytestmark = pytest.mark.process


@pytest.mark.parametrize(
    ("name", "arguments", "causes", "told"),
    [
        (
            "constant_output.py",
            (),
            "bias-per-sample prediction-drift all-positive-weights learning-rate-too-small",
            ("it falls", "the bias b2, once (1, 1), is now (200, 1)", "the doctor: No findings"),
        ),
        (
            "broadcast_targets.py",
            (),
            "loss-broadcast gradient-sign bias-per-sample gradient-wrong",
            ("-> 18.00 after", "accuracy 1.000", "comes from one error", "the doctor: No findings"),
        ),
        ("initial_weights.py", ("--epochs", "2"), "all-positive-weights saturated-units", ()),
    ],
)
def test_the_case_is_shown_and_every_cause_of_it_named(name, arguments, causes, told, tmp_path):
    if name == "constant_output.py":
        pytest.importorskip("pandas")
    picture = tmp_path / "picture.png"
    done = subprocess.run(
        [sys.executable, EXAMPLES / name, *arguments, "--plot", picture],
        capture_output=True, text=True, timeout=120, cwd=tmp_path,
        env=os.environ | {"MPLBACKEND": "Agg", "OPENBLAS_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert picture.read_bytes().startswith(b"\x89PNG")
    found = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("ERROR")]
    assert set(causes.split()) <= set(found)
    assert [each for each in told if each not in done.stdout] == []
