"""``xpnet doctor script.py``: which word makes it a script, and what the command prints."""

import json
import subprocess
import sys
from types import SimpleNamespace

import pytest
from command_line import program

from xpnet.cli.doctor_script import _in_words
from xpnet.cli.options import names_script
from xpnet.doctor.findings import Report

CLIMBS = """import sys
import numpy as np
rng = np.random.default_rng(0)
x = rng.normal(size=(60, 2))
y = (x[:, :1] + x[:, 1:] > 0) * 1.0
w, b, rate = rng.normal(size=(2, 1)), np.zeros((1, 1)), float(sys.argv[2])
for step in range(300):
    p = 1 / (1 + np.exp(-(x @ w + b)))
    d = (y - p) / len(x)
    w -= rate * x.T @ d
    b -= rate * d.sum(axis=0, keepdims=True)
print("accuracy", np.mean((p > 0.5) == y))
"""
# As C code does that runs on and on.
BLOCKED = """import signal, time
signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 32))
time.sleep(60)
"""


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["doctor", "net.py", "--target", "y"], True),
        (["doctor", "--seconds", "3", "--json", "Net.PY"], True),
        (["doctor", "net.ipynb"], True),
        (["doctor", "-m", "package.module"], True),
        (["doctor", "table.csv", "--out", "net.py"], False),
        (["doctor"], False),
        (["train", "net.py"], False),
    ],
)
def test_the_first_words_ending_decides_between_script_and_table(words, expected):
    assert names_script(words) is expected


@pytest.mark.process
def test_a_script_is_diagnosed_and_mended_by_one_command(tmp_path):
    path = tmp_path / "net.py"
    path.write_text(CLIMBS)
    outcome = program("doctor", "--quiet", path, "--rate", "1.5", "--fix")
    assert outcome.returncode == 0
    assert "ERROR gradient-sign in every parameter" in outcome.stdout
    assert "remedy: line 9: d = (p - y) / len(x)\n" in outcome.stdout
    assert "+    d = (p - y) / len(x)\n" in outcome.stdout
    assert f"Mended in {tmp_path / 'net.fixed.py'}" in outcome.stdout
    assert "accuracy" in (tmp_path / "net.py.output.txt").read_text()
    command = [sys.executable, tmp_path / "net.fixed.py", "--rate", "1.5"]
    mended = subprocess.run(command, capture_output=True, text=True, check=True)
    assert float(mended.stdout.split()[1]) > 0.95


@pytest.mark.parametrize(
    ("facts", "said"),
    [({"skill": 0.5}, True), ({"skill": 0.5, "stopped_looking": 4}, False), ({"skill": 0.8}, False),
     ({"skill": 0.01}, False), ({"skill": 0.5, "taught_otherwise": True}, False)],
)  # fmt: skip
def test_what_is_explained_is_told_only_where_it_is_known(facts, said):
    known = {"recognised": True, "mapping": [], "not_mapped": "", "failed": [], "steps": 50}
    report = Report((), {**known, "not_looked_at": "line 9, V -= g", **facts})
    found = SimpleNamespace(report=report, outcome=SimpleNamespace(how=""))
    lines = _in_words(found)
    assert any("of the targets' variance" in each for each in lines) is said
    short = "Only steps up to 4 of 50 were looked at; --look SECONDS allows more."
    assert (short in lines) is ("stopped_looking" in facts)
    assert "  not looked at: what is trained by line 9, V -= g" in lines


def test_json_stands_alone_on_standard_output(run, tmp_path):
    path = tmp_path / "net.py"
    path.write_text(f"{CLIMBS}\nprint(1 / 0)\n")
    outcome = run("doctor", "--json", path, "--", "--json", "1.5")
    assert (outcome.status, outcome.json["findings"][0]["severity"]) == (2, "error")
    assert outcome.json["facts"]["ended"].endswith("line 14: ZeroDivisionError: division by zero")
    assert "accuracy" in outcome.err
    assert "xpnet/" not in outcome.err  # the traceback is the user's


@pytest.mark.process
def test_a_script_that_takes_no_signals_is_reported(tmp_path):
    path = tmp_path / "net.py"
    path.write_text(f"{CLIMBS}\n{BLOCKED}\n")
    outcome = program("doctor", "--json", "--seconds", "5", path, "--", "--rate", "1.5")
    report = json.loads(outcome.stdout)
    assert (outcome.returncode, report["findings"][0]["severity"]) == (0, "error")
    assert report["facts"]["ended"].startswith("stopped after 5 ")


@pytest.mark.parametrize(
    ("text", "words", "said"),
    [
        ("import sys; sys.exit(5)", [], "No network was found: no parameter"),
        (CLIMBS, ["--as", "weights=w,nosuch", "2", "1.5"], "computes nothing with nosuch;"),
        ("print('hi')", ["--seconds", "-1"], "xpnet: --seconds -1 must be above 0\n"),
    ],
)
def test_where_there_is_nothing_to_examine_the_status_is_2(run, tmp_path, text, words, said):
    path = tmp_path / "net.py"
    path.write_text(text)
    outcome = run("doctor", path, *words)
    assert outcome.status == 2
    assert said in outcome.out + outcome.err
    assert "No findings" not in outcome.out
    assert "Traceback" not in outcome.err
