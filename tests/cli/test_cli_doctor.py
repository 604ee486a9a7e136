"""``xpnet doctor``: what it names, and the command it recommends."""

import shlex
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from command_line import BANKNOTE, Run, regression, table

from xpnet.cli.options import DoctorOptions, TrainOptions, as_command
from xpnet.cli.remedies import REMEDIES, in_cli_terms
from xpnet.doctor.findings import Finding
from xpnet.doctor.rules.catalogue import RULES

pytestmark = pytest.mark.usefixtures("in_empty_directory")


def test_the_doctor_finds_nothing_in_a_healthy_training(run: Run) -> None:
    outcome = run("doctor", BANKNOTE, "--target", "class")
    assert outcome.status == 0
    assert "No findings" in outcome.out
    assert not list(Path().iterdir())  # it writes nothing


SICK = ["--raw", "--init", "zeros", "--optimizer", "sgd", "--lr", "1e-6", "--activation", "sigmoid"]


def test_the_doctor_names_causes_and_exits_0(run: Run) -> None:
    outcome = run("doctor", BANKNOTE, "--target", "class", *SICK, "--json")
    assert outcome.status == 0
    assert not outcome.json["ok"]
    assert "symmetric-units" in {each["code"] for each in outcome.json["findings"]}


def test_train_and_doctor_judge_a_rare_class_alike_and_name_the_option(run: Run) -> None:
    rows = [f"{i % 97 / 10},{i % 89 / 10},{int(i % 1500 == 77)}" for i in range(6000)]
    path = table("rare.csv", "\n".join(["a,b,fraud", *rows]) + "\n")
    told = [run(each, path, "--target", "fraud", "--epochs", "3") for each in ("train", "doctor")]
    evidence = "4797 rows of the commonest class, 3 of the rarest, of which 0% are recognised"
    assert [evidence in each for each in (told[0].err, told[1].out)] == [True, True]
    assert "\nremedy: --class-weight balanced\n" in told[0].err
    assert "\n  remedy: --class-weight balanced\n" in told[1].out


def test_remedies_are_options_where_there_are_any(run: Run) -> None:
    outcome = run("doctor", BANKNOTE, "--target", "class", *SICK)
    assert "remedy: --init auto\n" in outcome.out
    assert "numpy" not in outcome.out
    path = table("t.csv", "a,b c,y\n" + "".join(f"{i / 2},2,{i % 7}\n" for i in range(60)))
    assert "remedy: --drop 'b c'\n" in run("doctor", path, "--target", "y").out
    assert REMEDIES.keys() <= {rule.code for rule in RULES}


def test_a_gradient_that_vanishes_is_not_hidden_by_that_of_the_penalty(run: Run) -> None:
    deep = ["--hidden", ",".join(["8"] * 10), "--activation", "sigmoid", "--epochs", "2"]
    outcome = run("doctor", BANKNOTE, "--target", "class", *deep, "--init", "glorot_uniform")
    assert "vanishing-gradient in weights[0]" in outcome.out
    assert "--activation relu\n" in outcome.out


def test_a_repair_of_several_settings_becomes_several_options() -> None:
    plan = SimpleNamespace(input_names=lambda: ["a"], columns=())
    options = SimpleNamespace(init="zeros", activation="sigmoid", lr=0.1, drop=None)
    finding = Finding("x", "error", "W1", "", "", "W = ...", "", {"init": "auto", "hidden": "relu"})
    (told,) = in_cli_terms([finding], SimpleNamespace(plan=plan, options=options))
    assert told.remedy == "--init auto, --activation relu"


def test_remedies_that_help_are_kept_and_given_as_a_command(run: Run) -> None:
    outcome = run("doctor", BANKNOTE, "--target", "class", *SICK, "--repair")
    command = shlex.split(outcome.out.splitlines()[-1])
    assert command[:2] == ["xpnet", "train"]
    assert "kept" in outcome.out
    report = run(*command[1:], "--json").json
    assert report["scores"]["accuracy"] > 0.95


def test_remedies_of_a_training_that_diverges_and_of_idle_columns(run: Run) -> None:
    rows = [f"{i / 7},5,{i * 2.5 + 1}" for i in range(60)]
    path = table("line.csv", "\n".join(["x,five,y", *rows]) + "\n")
    options = ["--optimizer", "sgd", "--lr", "1e6", "--raw", "--l2", "0", "--epochs", "30"]
    outcome = run("doctor", path, "--target", "y", *options, "--repair")
    assert outcome.status == 0
    assert "constant-feature in features five" in outcome.out
    assert "without it inf" in outcome.out


def test_a_remedy_that_cannot_be_applied_does_not_cost_the_diagnosis(run: Run) -> None:
    path = table("same.csv", "a,b,y\n" + "".join(f"1,2,{i % 2}\n" for i in range(60)))
    outcome = run("doctor", path, "--target", "y", "--repair")
    assert outcome.status == 0
    assert "constant-feature in features a, b" in outcome.out
    assert "--drop a, b (constant-feature): cannot be applied: same.csv: no columns" in outcome.out
    assert ("work best" in outcome.out) == ("without it" in outcome.out)
    repairs = run("doctor", path, "--target", "y", "--repair", "--json").json["repairs"]
    assert [each["kept"] for each in repairs if "refused" in each] == [False]


def test_settings_are_recommended_only_if_any_were_tried(run: Run) -> None:
    """A lower --lr is an option of train, but which rate to try is not known."""
    draw = np.random.default_rng(0)
    rows = [f"{a},{np.exp(3 * b)}" for a, b in draw.normal(size=(120, 2))]
    path = table("skew.csv", "\n".join(["a,y", *rows]) + "\n")
    options = ["--lr", "1000", "--epochs", "20", "--repair"]
    out = run("doctor", path, "--target", "y", *options).out
    assert "remedy: a lower --lr\n" in out
    assert out.endswith("\n\nNo remedy could be tried automatically; see the remedies above.\n")


@pytest.mark.parametrize(
    "option", ["--out=m", "--plot=p.png", "--checkpoint=k", "--resume", "--stream", "--cache=."]
)
def test_the_doctor_takes_no_option_that_it_would_ignore(run: Run, option: str) -> None:
    outcome = run("doctor", BANKNOTE, "--target", "class", option)
    assert (outcome.status, "No such option" in outcome.err) == (2, True)
    assert f" {option.partition('=')[0]} " not in run("doctor", "--help").out
    assert "only with --early-stopping" in run("doctor", BANKNOTE, "--patience", "3").err


@pytest.mark.parametrize("command", ["doctor", "train"])
def test_class_weights_need_classes(run: Run, command: str) -> None:
    outcome = run(command, regression(), "--target", "height", "--class-weight", "balanced")
    assert (outcome.status, outcome.err.count("\n")) == (2, 1)
    found = "--class-weight balanced: it is for classes, but height makes a regression task"
    assert found in outcome.err


def test_without_findings_there_is_nothing_to_repair(run: Run) -> None:
    report = run("doctor", BANKNOTE, "--target", "class", "--repair", "--json").json
    assert report["repairs"] == []
    assert report["command_line"] == f"xpnet train {BANKNOTE} --target class"


def test_it_is_said_that_nothing_is_to_be_repaired(run: Run) -> None:
    out = run("doctor", BANKNOTE, "--target", "class", "--repair").out
    assert out == "No findings: nothing wrong was measured.\nNothing to repair.\n"


def test_options_become_a_command_again() -> None:
    options = TrainOptions(
        "my data.csv", target="y", drop=["a", "b c"], raw=True, lr=0.1, json=True
    )
    expected = "xpnet train 'my data.csv' --target y --lr 0.1 --drop a --drop 'b c' --raw"
    assert as_command(options) == expected
    assert as_command(DoctorOptions("d.csv", repair=True)) == "xpnet train d.csv"


def test_a_remedy_that_a_later_round_takes_back_is_said_to_be_none(run: Run) -> None:
    """Too small, then ten times that is too large: the rate is again the one that was given."""
    numbers = np.random.default_rng(0).normal(size=(200, 4))
    rows = [",".join(f"{each:.17g}" for each in (*row, 2 * row[0] + row[1])) for row in numbers]
    path = table("plane.csv", "\n".join(["a,b,c,d,y", *rows]) + "\n")
    options = ["--optimizer", "sgd", "--lr", "0.001", "--momentum", "0", "--epochs", "3"]
    outcome = run("doctor", path, "--target", "y", *options, "--repair")
    assert (outcome.status, outcome.err) == (0, "")
    assert "cannot be applied: once changed, another finding asked for this again" in outcome.out
