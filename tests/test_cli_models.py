"""``xpnet predict``, ``evaluate`` and ``inspect``: what is done with a trained model."""

from pathlib import Path

import polars
import pytest
from command_line import BANKNOTE, QUICK, Run, regression, table

import xpnet
from xpnet.model_file import save_model

pytestmark = pytest.mark.usefixtures("in_empty_directory")


def test_predict_takes_the_raw_table_and_writes_class_and_probabilities(
    run: Run, model: Path
) -> None:
    lines = run("predict", model, BANKNOTE).out.splitlines()
    assert lines[0] == "class,probability of 0,probability of 1"
    assert len(lines) == 1373
    label, no, yes = lines[1].split(",")
    assert (label, float(no) + float(yes)) == ("0", pytest.approx(1.0))


def test_predict_writes_a_file_and_says_so(run: Run, model: Path) -> None:
    printed = run("predict", model, BANKNOTE).out
    outcome = run("predict", model, BANKNOTE, "--out", "p.csv")
    assert outcome.out == ""
    assert "1,372 predictions" in outcome.err
    assert Path("p.csv").read_text() == printed


def test_predict_writes_the_kind_of_file_that_its_name_says(run: Run, model: Path) -> None:
    run("predict", model, BANKNOTE, "--out", "p.parquet")
    assert polars.read_parquet("p.parquet").shape == (1372, 3)
    refused = run("predict", model, BANKNOTE, "--out", "p.npz")
    assert "p.npz: tables are written as .csv, .tsv or .parquet" in refused.err
    assert refused.status == 2
    assert not Path("p.npz").exists()


def test_predictions_are_one_json_object(run: Run, model: Path) -> None:
    report = run("predict", model, BANKNOTE, "--json").json
    assert report["rows"] == len(report["predictions"]["class"]) == 1372
    assert report["predictions"]["probability of 1"][0] < 0.5
    assert run("predict", model, BANKNOTE, "--json", "--out", "p.csv").json["out"] == "p.csv"


def test_predict_ignores_unknown_columns_and_says_which(run: Run, model: Path) -> None:
    lines = BANKNOTE.read_text().splitlines()[:4]
    path = table("more.csv", "\n".join(["extra," + lines[0], *(f"7,{each}" for each in lines[1:])]))
    outcome = run("predict", model, path)
    assert outcome.out.count("\n") == 4
    assert "extra" in outcome.err


def test_predict_proposes_no_option_that_it_does_not_have(run: Run, model: Path) -> None:
    header, first = BANKNOTE.read_text().splitlines()[:2]
    for cell in ("oops", "2024-01-01", "NaN"):
        path = table("new.csv", f"{header}\n{cell}{first[first.index(',') :]}\n")
        outcome = run("predict", model, path)
        assert f"line 2, column 'variance': found '{cell}'" in outcome.err
        assert "--" not in outcome.err


def test_predict_gives_values_of_a_regression(run: Run) -> None:
    run("train", regression(), "--target", "height")
    lines = run("predict", "heights.safetensors", "heights.csv").out.splitlines()
    assert lines[0] == "height"
    assert 50 < float(lines[1]) < 150


def test_evaluate_measures_a_model_beside_the_baseline(run: Run, model: Path) -> None:
    report = run("evaluate", model, BANKNOTE, "--json").json
    assert report["rows"] == 1372
    assert report["scores"]["accuracy"] > report["scores"]["baseline"]["accuracy"]
    assert "1,372 rows (always 0: 55.54 %)" in run("evaluate", model, BANKNOTE).out


def test_evaluate_refuses_another_target(run: Run, model: Path) -> None:
    outcome = run("evaluate", model, BANKNOTE, "--target", "entropy")
    assert (outcome.status, "leave --target out" in outcome.err) == (2, True)
    assert run("evaluate", model, BANKNOTE, "--target", "class").status == 0


def test_evaluate_leaves_out_rows_as_training_did(run: Run) -> None:
    rows = [f"{i / 7},{i % 2}" for i in range(30)]
    path = table("gaps.csv", "\n".join(["a,y", *rows, ",1"]) + "\n")
    run("train", path, "--target", "y", "--missing", "drop", *QUICK)
    assert "1 of 31 rows left out" in run("evaluate", "gaps.safetensors", path).out


def test_inspect_tells_what_a_model_file_holds(run: Run, model: Path) -> None:
    told = run("inspect", model).out
    words = ("format 1", "4-8-1", "binary of class", "variance, skewness", "0, 1", "3 epochs")
    assert all(each in told for each in words)
    report = run("inspect", model, "--json").json
    assert report["architecture"]["sizes"] == [4, 8, 1]
    assert report["preprocessing"]["classes"] == [0.0, 1.0]


def test_a_network_without_preprocessing_is_shown_and_not_applied(run: Run) -> None:
    save_model("bare.safetensors", xpnet.MLP([2, 1]))
    assert "2-1" in run("inspect", "bare.safetensors").out
    outcome = run("predict", "bare.safetensors", BANKNOTE)
    assert outcome.status == 2
    assert "xpnet.load" in outcome.err
