"""``xpnet doctor``: what it names, and the command it recommends."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from command_line import BANKNOTE, Run, regression, table

from xpnet.cli.options import TrainOptions
from xpnet.cli.remedies import as_flags

pytestmark = pytest.mark.usefixtures("in_empty_directory")

SICK = ["--raw", "--init", "zeros", "--optimizer", "sgd", "--lr", "1e-6", "--activation", "sigmoid"]
SICK += ["--epochs", "20"]


@pytest.mark.untraced
def test_a_healthy_training_has_no_findings(run: Run) -> None:
    command = ["doctor", BANKNOTE, "--target", "class"]
    assert run(*command).out == "No findings: nothing wrong was measured.\n"
    assert not list(Path().iterdir())  # it writes nothing
    assert run(*command, "--json", "--simple", "--epochs", "30").json["ok"] is True


@pytest.mark.untraced
def test_causes_are_named_with_options_that_help(run: Run) -> None:
    outcome = run("doctor", BANKNOTE, "--target", "class", *SICK)
    assert outcome.status == 0
    assert "ERROR symmetric-units in " in outcome.out
    assert "remedy: --init auto\n" in outcome.out
    assert "numpy" not in outcome.out


def test_train_and_doctor_judge_a_rare_class_alike_and_name_the_option(run: Run) -> None:
    rows = [f"{i % 97 / 10},{i % 89 / 10},{int(i % 1500 == 77)}" for i in range(6000)]
    path = table("rare.csv", "\n".join(["a,b,fraud", *rows]) + "\n")
    words = [path, "--target", "fraud", "--epochs", "3", "--simple"]
    told = [run(each, *words) for each in ("train", "doctor")]
    evidence = "4797 rows of the commonest class, 3 of the rarest, of which 0% are recognised"
    assert [evidence in each for each in (told[0].err, told[1].out)] == [True, True]
    assert "\nremedy: --class-weight balanced\n" in told[0].err
    assert "\n  remedy: --class-weight balanced\n" in told[1].out


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


def test_a_constant_column_is_named_with_the_option_that_drops_it(run: Run) -> None:
    rows = [f"{i / 7},5,{i * 2.5 + 1}" for i in range(60)]
    path = table("line.csv", "\n".join(["x,five,y", *rows]) + "\n")
    options = ["--keep", "five", "--raw", "--epochs", "30"]  # it is left out otherwise
    outcome = run("doctor", path, "--target", "y", *options)
    assert "constant-feature in inputs five" in outcome.out
    assert "remedy: --drop five\n" in outcome.out


def test_the_doctor_takes_no_option_that_it_would_ignore(run: Run) -> None:
    outcome = run("doctor", BANKNOTE, "--target", "class", "--out=m")
    assert (outcome.status, "No such option" in outcome.err) == (2, True)


def test_class_weights_need_classes(run: Run) -> None:
    outcome = run("doctor", regression(), "--target", "height", "--class-weight", "balanced")
    assert (outcome.status, outcome.err.count("\n")) == (2, 1)
    assert "--class-weight 'balanced' needs one class per row" in outcome.err


def test_options_become_a_command_again() -> None:
    options = TrainOptions(
        "my data.csv", target="y", drop=["a", "b c"], raw=True, lr=0.1, json=True
    )
    expected = "xpnet train 'my data.csv' --target y --lr 0.1 --drop a --drop 'b c' --raw"
    assert options.as_command() == expected


@pytest.mark.untraced
def test_train_and_doctor_say_alike_that_nothing_holds_for_other_rows(run: Run) -> None:
    noise = np.random.default_rng(0).standard_normal((200, 4)).round(3)
    path = table("noise.csv", "\n".join(["a,b,c,y", *(",".join(map(str, row)) for row in noise)]))
    for options in ([], ["--simple"]):
        words = [path, "--target", "y", "--epochs", "30", *options]
        told = [run(each, *words) for each in ("train", "doctor")]
        assert "no better than always the mean" in told[0].out
        assert told[1].out.startswith("ERROR ")
