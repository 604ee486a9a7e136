"""What `train` and `evaluate` say about a target, and about a network that has learnt nothing."""

import numpy as np
import pytest
from command_line import QUICK, Run, table

pytestmark = pytest.mark.usefixtures("in_empty_directory")

X = np.random.default_rng(0).standard_normal((400, 2)).round(3)


def trained(run: Run, target: list, *options: str) -> str:
    rows = [f"{a},{b},{y}" for (a, b), y in zip(X, target, strict=True)]
    path = table("t.csv", "\n".join(["a,b,y", *rows]) + "\n")
    outcome = run("train", path, "--target", "y", *(options or QUICK))
    assert outcome.status == 0, outcome.err
    return outcome.out


def test_classes_that_differ_only_in_case_are_noted(run: Run) -> None:
    out = trained(run, [["No", "no", "NO", "Yes", "yes"][i % 5] for i in range(400)])
    assert "note         classes differ only in case: NO, No, no; Yes, yes; if they are" in out
    assert "differ only in case" not in trained(run, ["No", "Yes"] * 200)


def test_a_network_no_better_than_one_class_says_so(run: Run) -> None:
    rare = [int(i % 50 == 0) for i in range(400)]
    note = "note         no better than always 0; xpnet doctor looks for the cause"
    assert note in trained(run, rare)
    assert note in run("evaluate", "t.safetensors", "t.csv").out


def test_a_network_no_better_than_the_mean_says_so(run: Run) -> None:
    noise = np.random.default_rng(2).normal(size=400).round(3).tolist()
    out = trained(run, noise, "--simple", "--epochs", "200", "--l2", "0")
    assert "note         no better than always the mean; xpnet doctor looks for the cause" in out


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
