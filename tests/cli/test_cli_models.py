"""``xpnet predict``, ``evaluate`` and ``inspect``: what is done with a trained model."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from command_line import BANKNOTE, QUICK, Run, table
from lazily import polars

import xpnet
from xpnet.cli.output import as_csv
from xpnet.saving.model import save_model

pytestmark = pytest.mark.usefixtures("in_empty_directory")


def test_predict_takes_the_raw_table_and_writes_class_and_probabilities(
    run: Run, model: Path
) -> None:
    lines = run("predict", model, BANKNOTE).out.splitlines()
    assert lines[0] == "class,probability of 0,probability of 1"
    assert len(lines) == 1373
    label, no, yes = lines[1].split(",")
    assert (label, float(no) + float(yes)) == ("0", pytest.approx(1.0))
    small = polars.DataFrame({"p": polars.Series([3.5042695e-9, 1.5e-6], dtype=polars.Float32)})
    assert as_csv(small) == "p\n0.0000000035042695\n0.0000015\n"  # one notation


def test_predict_writes_the_kind_of_file_that_its_name_says(run: Run, model: Path) -> None:
    printed = run("predict", model, BANKNOTE).out
    outcome = run("predict", model, BANKNOTE, "--out", "p.csv")
    assert (outcome.out, outcome.err) == ("", "1,372 predictions written to p.csv\n")
    for name, separator in (("p", ","), ("p.csv", ","), ("p.TSV", "\t")):
        assert run("predict", model, BANKNOTE, "--out", name).status == 0
        assert Path(name).read_text() == printed.replace(",", separator)
    run("predict", model, BANKNOTE, "--out", "p.parquet")
    assert as_csv(polars.read_parquet("p.parquet")) == printed
    for name in ("p.npz", "p.csv.gz", "p.xlsx"):
        refused = run("predict", model, BANKNOTE, "--out", name)
        assert f"{name}: tables are written as .csv, .tsv or .parquet" in refused.err
        assert (refused.status, Path(name).exists()) == (2, False)


def test_predictions_are_one_json_object(run: Run, model: Path) -> None:
    report = run("predict", model, BANKNOTE, "--json").json
    assert report["rows"] == len(report["predictions"]["class"]) == 1372
    assert report["predictions"]["probability of 1"][0] < 0.5
    assert run("predict", model, BANKNOTE, "--json", "--out", "p.csv").json["out"] == "p.csv"


def test_predict_proposes_no_option_that_it_does_not_have(run: Run, model: Path) -> None:
    header, first = BANKNOTE.read_text().splitlines()[:2]
    for cell in ("oops", "2024-01-01", "inf"):
        path = table("new.csv", f"{header}\n{cell}{first[first.index(',') :]}\n")
        outcome = run("predict", model, path)
        assert f"line 2, column 'variance': found '{cell}'" in outcome.err
        assert "--" not in outcome.err


def test_evaluate_measures_a_model_beside_the_baseline(run: Run, model: Path) -> None:
    report = run("evaluate", model, BANKNOTE, "--json").json
    assert report["rows"] == 1372
    assert report["scores"]["accuracy"] > report["scores"]["baseline"]["accuracy"]
    assert "1,372 rows (always 0: 55.54 %)" in run("evaluate", model, BANKNOTE).out


def test_evaluate_says_that_a_model_was_trained_on_the_table(run: Run, model: Path) -> None:
    shutil.copy(BANKNOTE, "copy.csv")
    said = "it was trained on copy.csv: new rows may have lower scores"
    assert run("evaluate", model, "copy.csv", "--json").json["notes"] == [said]
    rows = BANKNOTE.read_text().splitlines()
    other = table("other.csv", "\n".join([rows[0], *rows[:0:-1]]))
    assert run("evaluate", model, other, "--json").json["notes"] == []


def test_the_importance_of_columns_is_what_the_score_loses_without_them(run: Run) -> None:
    draw = np.random.default_rng(0)
    words, noise = draw.choice(["ash", "oak", "elm"], 300), draw.normal(size=300)
    days = [f"2024-{month:02}-01" for month in draw.integers(1, 13, 300)]
    y = 10 * (words == "oak") + [int(day[5:7]) for day in days]
    frame = polars.DataFrame({"tree": words, "day": days, "noise": noise, "y": y})
    frame.write_csv("trees.csv")
    run("train", "trees.csv", "--target", "y", "--epochs", "100", "--simple")
    told = run("evaluate", "trees.safetensors", "trees.csv", "--importance")
    assert "importance   by how much R2 falls if a column is shuffled" in told.out
    found = run("evaluate", "trees.safetensors", "trees.csv", "--importance", "--json").json
    assert set(found["importance"]) == {"tree", "day", "noise"}
    tree, day, other = (found["importance"][name][0] for name in ("tree", "day", "noise"))
    assert tree > 1.0 > day > 0.4 > 0.05 > abs(other)
    model = xpnet.load_model("trees.safetensors")
    for given in (frame, "trees.csv"):
        assert model.importance(given) == {k: tuple(v) for k, v in found["importance"].items()}
    assert model.importance(frame, repeats=1, seed=1)["tree"][1] == 0.0
    with pytest.raises(xpnet.InputError, match="repeats 0 must be an integer >= 1"):
        model.importance(frame, repeats=0)


def test_evaluate_refuses_another_target(run: Run, model: Path) -> None:
    outcome = run("evaluate", model, BANKNOTE, "--target", "entropy")
    assert (outcome.status, "leave --target out" in outcome.err) == (2, True)
    assert run("evaluate", model, BANKNOTE, "--target", "class").status == 0


def test_evaluate_needs_the_target_that_predict_does_not(run: Run, model: Path) -> None:
    polars.read_csv(BANKNOTE).rename({"class": "Class"}).write_csv("new.csv")
    assert run("predict", model, "new.csv", "--out", "p.csv").status == 0
    told = run("evaluate", model, "new.csv").err
    said = "no column 'class', the target to compare with; did you mean 'Class'? xpnet predict need"
    assert said in told


def test_a_report_is_not_named_as_another_kind_of_file(run: Run, model: Path) -> None:
    table("script.py", "raise SystemExit(7)\n")
    for command in (
        ("train", BANKNOTE, "--target", "class", *QUICK, "--report", "r.pdf"),
        ("report", model, "--out", "r.pdf"),
        ("doctor", "script.py", "--report", "r.pdf"),
    ):
        told = run(*command)
        assert (told.status, "r.pdf: reports are written as .html" in told.err) == (2, True)


def test_inspect_tells_what_a_model_file_holds(run: Run, model: Path) -> None:
    told = run("inspect", model).out
    words = ("format 4", "4-8-1", "binary: class is 0 or 1", "variance, skewness", "3 epochs")
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


def numbers_among_words(rows: int = 300) -> tuple[Path, Path]:
    """A table with a column of words and numbers, and of its rows those with numbers only."""
    rng = np.random.default_rng(0)
    codes = rng.choice(["A", "B", "1", "01"], rows, p=[0.35, 0.35, 0.15, 0.15])
    shift = {"A": 0.0, "B": 3.0, "1": 10.0, "01": -10.0}
    lines = [
        f"{a:.3f},{c},{a + shift[c]:.3f}" for a, c in zip(rng.random(rows), codes, strict=True)
    ]
    numbers = [line for line in lines if line.split(",")[1].isdigit()]
    return (
        table("all.csv", "\n".join(["a,code,y", *lines])),
        table("some.csv", "\n".join(["a,code,y", *numbers])),
    )


def test_a_column_of_words_is_read_as_words_where_a_table_has_only_its_numbers(run: Run) -> None:
    whole, numbers = numbers_among_words()
    run("train", whole, "--target", "y", "--out", "m.safetensors", "--validation", numbers,
        "--simple")  # fmt: skip
    path = table("two.csv", "a,code\n0.5,1\n0.5,01\n")
    values = [float(each) for each in run("predict", "m.safetensors", path).out.splitlines()[1:]]
    assert values == pytest.approx([10.5, -9.5], abs=1.0)
    loaded = xpnet.load_model("m.safetensors").predict(path)
    assert loaded["y"] == pytest.approx(values)
    assert run("evaluate", "m.safetensors", numbers, "--json").json["scores"]["r2"] > 0.9


def test_classes_that_are_words_and_numbers_are_told_apart_in_any_table(run: Run) -> None:
    whole, numbers = numbers_among_words()
    run("train", whole, "--target", "code", "--out", "m.safetensors", "--simple")
    scores = run("evaluate", "m.safetensors", numbers, "--json").json["scores"]
    assert set(scores["recall"]) == {"1", "01"}
    assert scores["accuracy"] > 0.95
