"""The examples run as their first lines say, on small data, and show what they promise."""

import runpy
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.mark.untraced
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
def test_the_case_is_shown_and_every_cause_of_it_named(
    name, arguments, causes, told, tmp_path, monkeypatch, capsys
):
    pytest.importorskip("matplotlib", reason="the examples draw plots")
    picture = tmp_path / "picture.png"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [name, *arguments, "--plot", str(picture)])
    runpy.run_path(str(EXAMPLES / name), run_name="__main__")
    out = capsys.readouterr().out
    assert picture.read_bytes().startswith(b"\x89PNG")
    found = [line.split()[1] for line in out.splitlines() if line.startswith("ERROR")]
    assert set(causes.split()) <= set(found)
    assert [each for each in told if each not in out] == []


@pytest.mark.untraced
def test_an_example_without_the_packages_of_its_extra_says_so_in_a_line(
    tmp_path, monkeypatch, capsys
):
    for package in ("matplotlib.figure", "sklearn.datasets", "pooch"):
        monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.chdir(tmp_path)
    for name, told in (("initial_weights.py", "scikit-learn"), ("mnist.py", "pooch")):
        monkeypatch.setattr(sys, "argv", [name])
        with pytest.raises(SystemExit, match=f"pip install {told}.*; or --data FOLDER"):
            runpy.run_path(str(EXAMPLES / name), run_name="__main__")
    monkeypatch.setattr(sys, "argv", ["constant_output.py"])
    runpy.run_path(str(EXAMPLES / "constant_output.py"), run_name="__main__")
    assert "    no picture: plots need matplotlib: pip install" in capsys.readouterr().out
