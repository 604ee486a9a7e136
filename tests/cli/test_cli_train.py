"""``xpnet train``: its options, what it prints, and what it leaves."""

import re
from pathlib import Path

import numpy as np
import pytest
from command_line import BANKNOTE, QUICK, Run, regression, table

from xpnet.saving.checkpoint import checkpoints
from xpnet.saving.container import read_container
from xpnet.saving.model import load_model

pytestmark = pytest.mark.usefixtures("in_empty_directory")


def test_json_is_one_object_with_all_that_was_done(train: Run) -> None:
    report = train("--json").json
    assert report["command"] == "train"
    assert report["rows"] == {"table": 1372, "training": 1098, "validation": 274}
    assert report["network"]["sizes"] == [4, 8, 1]
    assert report["options"]["batch_size"] == 32
    assert len(report["history"]["validation_loss"]) == 3
    assert report["scores"]["baseline"]["accuracy"] == pytest.approx(152 / 274)
    assert report["blas"]["name"]
    assert not report["compiled"]["used"]
    assert 0.0 < report["compiled"]["seconds_saved"] < 0.1  # too little for it to pay
    assert Path(report["model"]).exists()


def test_curves_of_very_long_runs_are_not_kept_in_the_model_file(
    train: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("xpnet.cli.train.MOST_IN_FILE", 2)
    report = train("--json").json
    assert len(report["history"]["loss"]) == 3
    assert "history" not in load_model(report["model"]).training


def test_the_same_command_writes_the_same_bytes(train: Run, model: Path) -> None:
    train("--out", "b.safetensors", "--plot", "loss.svg")
    assert Path("b.safetensors").read_bytes() == model.read_bytes()
    assert b"<svg" in Path("loss.svg").read_bytes()


@pytest.mark.parametrize(
    "options",
    [
        "--optimizer sgd --momentum 0.5 --nesterov --schedule cosine --lr 0.05",
        "--optimizer adamw --dropout 0.2 --l1 0.0001 --l2 0 --clip-norm 1",
        "--class-weight balanced --early-stopping --patience 2 --deterministic",
        "--hidden none --loss squared_error --init zeros --dtype float64",
        "--hidden 6,5 --activation tanh,relu --init orthogonal --batch-size 100 --raw",
        "--validation 0 --seed 3 --task binary --encoding ascii --delimiter ,",
        "--drop entropy --drop curtosis --keep skewness --missing drop",
    ],
)
def test_every_option_of_training_is_taken(train: Run, options: str) -> None:
    outcome = train(*options.split(), "--json")
    assert outcome.status == 0, outcome.err
    assert np.isfinite(outcome.json["history"]["loss"]).all()


def test_lbfgs_trains_on_all_rows_at_once(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("scipy")
    command = ["train", BANKNOTE, "--target", "class", "--hidden", "8", "--optimizer", "lbfgs"]
    outcome = run(*command, "--epochs", "20", "--out", "l.safetensors")
    assert outcome.status == 0
    assert " iterations with lbfgs" in outcome.out
    assert load_model("l.safetensors").training["scores"]["accuracy"] > 0.97
    before = Path("l.safetensors").read_bytes()
    run(*command, "--epochs", "20", "--out", "l.safetensors", "--stream", "--cache", ".")
    assert Path("l.safetensors").read_bytes() == before
    for option, message in (("--lr 0.1", "--lr: lbfgs takes no such option"),
                            ("--checkpoint kept", "--checkpoint: lbfgs takes no such option"),
                            ("--epochs 0", "--epochs 0 must be"),
                            ("--l2 -1.0", "--l2 -1.0 must be")):  # fmt: skip
        outcome = run(*command, *option.split())
        assert (outcome.status, message in outcome.err) == (2, True)
    assert "or, to train, lbfgs" in run("doctor", *command[1:]).err
    monkeypatch.setattr("xpnet.cli.task.find_spec", lambda name: None)
    outcome = run(*command)
    assert (outcome.status, "pip install" in outcome.err) == (2, True)


def test_validation_rows_may_come_from_a_file_or_be_those_of_training(train: Run) -> None:
    report = train("--validation", BANKNOTE, "--json").json
    assert report["rows"] == {"table": 1372, "training": 1372, "validation": 1372}
    assert report["notes"][0].startswith("1,372 of 1,372 validation rows are training rows, too")
    assert "1,372 training rows" in train("--validation", "0").out


def test_rows_that_are_both_trained_on_and_held_out_are_noted(run: Run) -> None:
    rows = "".join(f"{i},{i * i % 7},{i % 2}\n" for i in range(100)) * 3
    told = run("train", table("t.csv", "a,b,y\n" + rows), "--target", "y", *QUICK).out
    assert "of 60 validation rows are training rows, too: the scores are better than" in told
    rows = "".join(f"{i % 45},{i % 45 + i / 1000}\n" for i in range(300))  # of one age, not one row
    told = run("train", table("ages.csv", "age,wage\n" + rows), "--target", "wage", *QUICK).out
    assert "are training rows" not in told


def test_a_regression_is_told_in_the_targets_unit(run: Run) -> None:
    outcome = run("train", regression(), "--target", "height", "--simple")
    assert "regression of height" in outcome.out
    assert "always the mean: 0" in outcome.out
    assert run("inspect", "heights.safetensors").out.count("R2") == 1
    lines = run("predict", "heights.safetensors", "heights.csv").out.splitlines()
    assert lines[0] == "height"
    assert 50 < float(lines[1]) < 150


def test_counts_are_learnt_with_the_poisson_loss(run: Run) -> None:
    rows = [f"{i / 40},{i // 4}.5" for i in range(80)]
    path = table("counts.csv", "\n".join(["x,count", *rows]) + "\n")
    report = run("train", path, "--target", "count", "--loss", "poisson", "--json", "--simple").json
    assert report["network"]["output"] == "exp"
    assert report["scores"]["r2"] > 0.5


def test_missing_cells_are_refused_dropped_or_filled_in(run: Run) -> None:
    rows = [f"{i / 7},{i % 2}" for i in range(30)]
    path = table("gaps.csv", "\n".join(["a,y", *rows, ",1"]) + "\n")
    command = ["train", path, "--target", "y", "--epochs", "1", "--json"]
    refused = run(*command, "--missing", "error")
    assert refused.status == 2
    assert "gaps.csv: line 32, column 'a': a missing cell" in refused.err
    assert "--missing drop" in refused.err
    assert "gaps.csv: line 32" in run(*command, "--strict").err
    for policy, rows_used in (("impute", 31), ("drop", 30)):
        used = run(*command, "--missing", policy).json["rows"]
        assert used["training"] + used["validation"] == rows_used
    assert "1 of 31 rows left out" in run("evaluate", "gaps.safetensors", path).out
    assert run(*command, "--missing", "drop", "--validation", path).status == 0


def test_a_finished_training_may_be_resumed(train: Run) -> None:
    train("--checkpoint", "kept")
    before = Path("banknote.safetensors").read_bytes()
    outcome = train("--checkpoint", "kept", "--resume")
    assert (outcome.status, outcome.err) == (0, "")
    assert Path("banknote.safetensors").read_bytes() == before


def test_more_epochs_than_the_schedule_was_laid_out_for_are_warned_of(train: Run) -> None:
    kept = ["--checkpoint", "kept", "--json"]
    assert train(*kept).json["notes"] == train(*kept, "--resume").json["notes"]
    with pytest.warns(UserWarning, match=r"laid out for 3 epochs and is now for 5: .* in one go"):
        train(*kept, "--resume", "--epochs", "5")


@pytest.mark.parametrize("options", ["1e9", "1e9 --optimizer sgd"])
def test_the_remedy_for_a_learning_rate_far_above_the_usual_one_helps(
    run: Run, options: str
) -> None:
    command = ["train", regression(), "--target", "height", "--nets", "1", "--dropout", "0"]
    told = run(*command, "--steps", "100", "--lr", *options.split())
    assert told.status == 3
    rate = re.findall(r"--lr (\S+)", told.err)[0]
    mended = run(*command, "--steps", "100", "--lr", rate, *options.split()[1:], "--json")
    assert mended.json["scores"]["r2"] > 0.5


@pytest.mark.parametrize(
    "options", ["100", "1e6", "1e300", "1 --optimizer sgd", "1e38 --optimizer sgd"]
)
def test_too_large_a_learning_rate_is_never_passed_over(
    train: Run, model: Path, options: str
) -> None:
    before = model.read_bytes()
    outcome = train("--lr", *options.split(), "--checkpoint", "kept", "--out", model, "--json")
    if outcome.status == 3:
        assert "diverged in epoch" in outcome.err
        assert model.read_bytes() == before
    else:
        scores = outcome.json["scores"]
        learnt = scores["accuracy"] > scores["baseline"]["accuracy"]
        assert (outcome.status, learnt or "doctor: " in outcome.err) == (0, True)
        assert not options.startswith("1e")
    for path in checkpoints("kept"):
        _, tensors = read_container(path, "checkpoint", 1)
        assert np.isfinite(tensors["weights.0"]).all()


def test_the_doctors_worst_error_ends_a_training_in_two_lines(run: Run) -> None:
    outcome = run("train", BANKNOTE, "--target", "class", "--init", "zeros", "--epochs", "20")
    assert outcome.status == 0
    first, second = outcome.err.splitlines()
    assert first.startswith("doctor: ")
    assert second.startswith("remedy: ")


@pytest.mark.untraced
def test_a_real_table_trains_at_the_first_command_and_predicts_as_it_is(run: Run) -> None:
    rows = [
        f"{i + 1},{1000 + 7 * i * i},2024-{i % 12 + 1:02}-0{i % 9 + 1},"
        f"{'NA' if i % 10 == 0 else round(i / 7, 3)},"
        f"{('red', 'blue')[i % 2] if i % 40 else f'odd{i}'},"
        f"same,{'' if i % 50 == 0 else ('no', 'yes')[i % 2]}"
        for i in range(200)
    ]
    path = table("real.csv", "\n".join([",case_id,when,size,colour,unit,bought", *rows]) + "\n")
    outcome = run("train", path, "--target", "bought", "--nets", "1", "--epochs", "20")
    assert (outcome.status, outcome.out.count("\n") <= 25) == (0, True)
    for line in ("rows         4 of 200 left out (no bought) [--missing]",
                 "left out     unnamed_1 (row numbers), case_id (identifier), unit (constant) [",
                 "dates        when (month, weekday, days) [--drop COLUMN]",
                 "imputed      size (16 cells) [--missing drop]",
                 "encoded      colour (2 values, 5 rare ones pooled) [--drop COLUMN]"):  # fmt: skip
        assert line in outcome.out
    report = run("train", path, "--target", "bought", *QUICK, "--json").json
    assert report["decisions"]["left out"]["unit"] == "constant"
    assert load_model("real.safetensors").training["decisions"] == report["decisions"]
    told = run("predict", "real.safetensors", path, "--json").json
    assert told["rows"] == 200
    assert told["notes"] == [
        "20 missing cells imputed: size (20)",
        "categories without an input, rare or not seen in training: colour 5, such as 'odd0'",
    ]
    assert run("evaluate", "real.safetensors", path, "--json").json["rows"] == 196
    streamed = run(
        "train", path, "--target", "bought", *QUICK, "--stream", "--out", "s.safetensors"
    )
    assert streamed.status == 0
    assert run("predict", "s.safetensors", path, "--json").json["notes"] == told["notes"]
    refused = run("train", path, "--target", "bought", "--epochs", "3", "--strict").err
    assert "real.csv: 5 obstacles\n" in refused
    command = refused.splitlines()[-1].removeprefix("  without them: xpnet ")
    assert run(*command.split()).status == 0


def test_the_command_proposed_keeps_nothing_that_it_drops(run):
    rows = "".join(f"{i / 7},{i / 9},{i / 3},{i % 2}\n" for i in range(60))
    path = table("t.csv", "a,b,c,y\noops,oops,1,1\n" + rows)
    refused = run("train", path, "--target", "y", *QUICK, "--keep", "b", "--keep", "c").err
    _, command = refused.split("without them: xpnet ")
    assert "--drop a --drop b" in command
    assert command.count("--keep") == command.count("--keep c") == 1
    assert run(*command.split()).status == 0


def test_options_are_written_to_a_file_and_read_from_it(run):
    given = ("--drop", "a", "--hidden", "4", "--lr", 1e-5, "--simple", "--epochs", 2)
    data = regression()
    wrote = run("train", data, "--target", "height", *given, "--save-config", "run.toml", "--json")
    read = run("train", "--config", "run.toml", "--epochs", 1, "--json")
    assert (wrote.status, read.status) == (0, 0), wrote.err + read.err
    expected = wrote.json["options"] | {"epochs": 1, "config": "run.toml", "save_config": None}
    assert read.json["options"] == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("lrr = 1", "--config run.toml: 'lrr' is no option of train"),
        ("lr =", "--config run.toml: it cannot be read: Invalid value (at end of document)"),
        ("lr = 'abc'", "'--lr': 'abc' is not a valid float"),
        (None, "--config run.toml: it cannot be read: No such file or directory"),
    ],
)
def test_a_file_of_options_that_cannot_be_used_is_refused(run, text, said):
    if text is not None:
        table("run.toml", text)
    outcome = run("train", BANKNOTE, "--target", "class", "--config", "run.toml")
    assert (outcome.status, outcome.err.count("\n")) == (2, 1)
    assert said in outcome.err
