"""What `train` and `evaluate` say about a target, and about a network that has learnt nothing."""

import re

import numpy as np
import pytest
from command_line import QUICK, Run, table

from xpnet.cli.output import format_lines
from xpnet.cli.scores import describe_importance

pytestmark = pytest.mark.usefixtures("in_empty_directory")

X = np.random.default_rng(0).standard_normal((400, 2)).round(3)


def trained(run: Run, target: list, *options: str) -> str:
    rows = [f"{a},{b},{y}" for (a, b), y in zip(X, target, strict=True)]
    path = table("t.csv", "\n".join(["a,b,y", *rows]) + "\n")
    outcome = run("train", path, "--target", "y", *(options or QUICK))
    assert outcome.status == 0, outcome.err
    return outcome.out


def test_a_network_no_better_than_one_class_says_so(run: Run) -> None:
    rare = [int(i % 50 == 0) for i in range(400)]
    note = "note         no better than always 0; xpnet doctor looks for the cause"
    assert note in trained(run, rare)
    assert note in run("evaluate", "t.safetensors", "t.csv").out


def test_a_network_no_better_than_the_mean_says_so(run: Run) -> None:
    noise = np.random.default_rng(2).normal(size=400).round(3).tolist()
    out = trained(run, noise, "--simple", "--epochs", "200", "--l2", "0")
    assert "note         no better than always the mean; xpnet doctor looks for the cause" in out


def test_classes_that_are_whole_numbers_name_the_other_task(run: Run) -> None:
    line = "task         multiclass: y is one of 11 classes"
    scores = [i * 7 % 11 for i in range(400)]
    assert f"{line} [--task regression]\n" in trained(run, scores)
    assert f"{line}\n" in trained(run, scores, *QUICK, "--task", "multiclass")
    assert f"{line}\n" in trained(run, [f"k{each}" for each in scores])


def test_categories_that_training_did_not_see_are_noted_where_they_count_as_missing(
    run: Run,
) -> None:
    text = "a,b,y\n" + "".join(f"{i / 2},{'rgb'[i % 3]},{int(i > 30)}\n" for i in range(60))
    run("train", table("t.csv", text), "--target", "y", "--missing", "impute", *QUICK)
    note = "categories without an input, rare or not seen in training: b 20, such as 'z'"
    path = table("new.csv", text.replace(",g,", ",z,"))
    assert note in run("predict", "t.safetensors", path, "--out", "p.csv").err
    assert note in run("evaluate", "t.safetensors", path).out
    assert run("predict", "t.safetensors", "t.csv", "--out", "p.csv").err.count("\n") == 1


def test_the_sign_of_a_target_is_told_without_an_offer_to_drop_it(run: Run) -> None:
    costs = [f"${i % 7 + b / 9:.2f}" for i, (_, b) in enumerate(np.abs(X))]
    assert "numbers      y (currency signs)\n" in trained(run, costs)
    assert run("train", "t.csv", "--target", "y", "--strict", *QUICK).status == 0
    text = "a b,y\n" + "".join(f"${i}.5,${i}.25\n" for i in range(60))
    out = run("train", table("t.csv", text), "--target", "y", *QUICK).out
    assert "a b, y (currency signs) [--drop COLUMN]\n" in out


def test_words_tell_which_rows_several_networks_are_judged_on(run: Run) -> None:
    out = trained(run, [int(a > b) for a, b in X], *QUICK, "--nets", "3")
    where = " rows, each held out from a network ("
    assert where in out
    assert where in run("inspect", "t.safetensors").out
    early = trained(
        run, [int(a > b) for a, b in X], *QUICK[:1], "--early-stopping", "--patience", "1"
    )
    assert "(no improvement for 1 epochs)" in early
    told = run("inspect", "t.safetensors").out
    assert re.search(r"training     \d+ epochs, no improvement for 1 epochs\n", told)


def test_the_importance_of_columns_with_long_names_is_aligned() -> None:
    lines = describe_importance({"claims 2020": (0.5, 0.1), "b": (0.2, 0.1)}, {"r2": 0.5})
    first, second = format_lines(lines).splitlines()[1:]
    assert first.index("0.5000") == second.index("0.2000")
