"""``xpnet doctor``: what it names, and the command it recommends."""

import shlex
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from command_line import BANKNOTE, Run, regression, table

from xpnet.cli.remedies import REMEDIES, as_flags
from xpnet.cli.train_options import DoctorOptions, TrainOptions, as_command
from xpnet.doctor.rules.catalogue import RULES

pytestmark = pytest.mark.usefixtures("in_empty_directory")

SICK = ["--raw", "--init", "zeros", "--optimizer", "sgd", "--lr", "1e-6", "--activation", "sigmoid"]


def test_a_healthy_training_has_no_findings_and_nothing_to_repair(run: Run) -> None:
    command = ["doctor", BANKNOTE, "--target", "class", "--repair"]
    outcome = run(*command)
    assert outcome.out == "No findings: nothing wrong was measured.\nNothing to repair.\n"
    assert not list(Path().iterdir())  # it writes nothing
    report = run(*command, "--json").json
    assert (report["ok"], report["repairs"]) == (True, [])
    assert report["command_line"] == f"xpnet train {BANKNOTE} --target class"


def test_causes_are_named_with_options_that_help_and_a_command(run: Run) -> None:
    outcome = run("doctor", BANKNOTE, "--target", "class", *SICK, "--repair")
    assert outcome.status == 0
    assert "ERROR symmetric-units in " in outcome.out
    assert "remedy: --init auto\n" in outcome.out
    assert "numpy" not in outcome.out
    assert "; kept\n" in outcome.out
    command = shlex.split(outcome.out.splitlines()[-1])
    assert command[:2] == ["xpnet", "train"]
    assert run(*command[1:], "--json").json["scores"]["accuracy"] > 0.95


def test_train_and_doctor_judge_a_rare_class_alike_and_name_the_option(run: Run) -> None:
    rows = [f"{i % 97 / 10},{i % 89 / 10},{int(i % 1500 == 77)}" for i in range(6000)]
    path = table("rare.csv", "\n".join(["a,b,fraud", *rows]) + "\n")
    told = [run(each, path, "--target", "fraud", "--epochs", "3") for each in ("train", "doctor")]
    evidence = "4797 rows of the commonest class, 3 of the rarest, of which 0% are recognised"
    assert [evidence in each for each in (told[0].err, told[1].out)] == [True, True]
    assert "\nremedy: --class-weight balanced\n" in told[0].err
    assert "\n  remedy: --class-weight balanced\n" in told[1].out


def test_words_stand_in_only_for_rules_that_exist() -> None:
    assert REMEDIES.keys() <= {rule.code for rule in RULES}


def test_a_gradient_that_vanishes_is_not_hidden_by_that_of_the_penalty(run: Run) -> None:
    deep = ["--hidden", ",".join(["8"] * 10), "--activation", "sigmoid", "--epochs", "2"]
    outcome = run("doctor", BANKNOTE, "--target", "class", *deep, "--init", "glorot_uniform")
    assert "vanishing-gradient in weights[0]" in outcome.out
    assert "--activation relu\n" in outcome.out


def test_a_repair_of_settings_becomes_options() -> None:
    columns = [SimpleNamespace(name="a b"), SimpleNamespace(name="c")]
    plan = SimpleNamespace(input_names=lambda: ["a b", "c=x", "c=y"], columns=columns)
    options = TrainOptions("t.csv", init="zeros", lr=0.1, raw=True, l2=0.0)
    task = SimpleNamespace(plan=plan, options=options)
    for repair, flags in (
        ({"init": "auto", "hidden": "tanh"}, "--init auto, --activation tanh"),
        ({"learning_rate_factor": 0.1}, "--lr 0.01"),
        ({"learning_rate": 0.5, "standardize": True}, "--lr 0.5, without --raw"),
        ({"drop_features": [0]}, "--drop 'a b'"),
        ({"drop_features": [1]}, ""),  # part of a column
        ({"shuffle": True, "l2": 0.0}, ""),
        (None, ""),
    ):
        assert as_flags(repair, task) == flags


def test_remedies_of_a_training_that_diverges_and_of_idle_columns(run: Run) -> None:
    rows = [f"{i / 7},5,{i * 2.5 + 1}" for i in range(60)]
    path = table("line.csv", "\n".join(["x,five,y", *rows]) + "\n")
    options = ["--optimizer", "sgd", "--lr", "1e6", "--raw", "--l2", "0", "--epochs", "30"]
    options += ["--keep", "five"]  # a constant column is left out otherwise
    outcome = run("doctor", path, "--target", "y", *options, "--repair")
    assert outcome.status == 0
    assert "constant-feature in features five" in outcome.out
    assert "remedy: --drop five\n" in outcome.out
    assert "without it inf" in outcome.out


def test_a_remedy_that_cannot_be_applied_does_not_cost_the_diagnosis(run: Run) -> None:
    path = table("same.csv", "a,b,y\n" + "".join(f"1,2,{i % 2}\n" for i in range(60)))
    kept = ["--keep", "a", "--keep", "b"]
    outcome = run("doctor", path, "--target", "y", "--epochs", "2", "--repair", *kept)
    assert outcome.status == 0
    assert "constant-feature in features a, b" in outcome.out
    assert "--drop a --drop b (constant-feature): " not in outcome.out
    assert ("work best" in outcome.out) == ("without it" in outcome.out)


def test_settings_are_recommended_only_if_any_were_tried(run: Run) -> None:
    """A lower --lr is an option of train, but which rate to try is not known."""
    draw = np.random.default_rng(0)
    rows = [f"{a},{np.exp(3 * b)}" for a, b in draw.normal(size=(120, 2))]
    path = table("skew.csv", "\n".join(["a,y", *rows]) + "\n")
    options = ["--lr", "1000", "--epochs", "20", "--repair"]
    out = run("doctor", path, "--target", "y", *options).out
    assert "remedy: a lower --lr\n" in out
    assert out.endswith("\n\nNo remedy could be tried automatically; see the remedies above.\n")


def test_the_doctor_takes_no_option_that_it_would_ignore(run: Run) -> None:
    told = run("doctor", "--help").out
    for option in ("--out", "--plot", "--checkpoint", "--resume", "--stream", "--cache"):
        assert f" {option} " not in told
    outcome = run("doctor", BANKNOTE, "--target", "class", "--out=m")
    assert (outcome.status, "No such option" in outcome.err) == (2, True)


@pytest.mark.parametrize("command", ["doctor", "train"])
def test_class_weights_need_classes(run: Run, command: str) -> None:
    outcome = run(command, regression(), "--target", "height", "--class-weight", "balanced")
    assert (outcome.status, outcome.err.count("\n")) == (2, 1)
    assert "--class-weight 'balanced' needs one class per row" in outcome.err


def test_options_become_a_command_again() -> None:
    options = TrainOptions(
        "my data.csv", target="y", drop=["a", "b c"], raw=True, lr=0.1, json=True
    )
    expected = "xpnet train 'my data.csv' --target y --lr 0.1 --drop a --drop 'b c' --raw"
    assert as_command(options) == expected
    assert as_command(DoctorOptions("d.csv", repair=True)) == "xpnet train d.csv"
