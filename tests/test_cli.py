"""The command line: every command, every exit status, and what it prints where."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import xpnet
import xpnet.parity
from xpnet.cli import main
from xpnet.cli_options import DoctorOptions, TrainOptions, as_command
from xpnet.container import read_container
from xpnet.model_file import load_model, save_model
from xpnet.signals import Interrupted

BANKNOTE = Path(__file__).resolve().parents[1] / "examples" / "data" / "banknote.csv"
QUICK = ["--epochs", "3", "--hidden", "8", "--lr", "0.02"]


class Outcome(NamedTuple):
    """What a command left: exit status, standard output, standard error."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The one JSON object on standard output."""
        return dict(json.loads(self.out))


Run = Callable[..., Outcome]


@pytest.fixture(autouse=True)
def _in_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    """Run a command in this process."""

    def command(*arguments: object) -> Outcome:
        capfd.readouterr()
        status = main([str(each) for each in arguments])
        return Outcome(status, *capfd.readouterr())

    return command


@pytest.fixture
def train(run: Run) -> Run:
    """Train quickly on banknote."""

    def command(*arguments: object) -> Outcome:
        return run("train", BANKNOTE, "--target", "class", *QUICK, *arguments)

    return command


@pytest.fixture
def model(train: Run) -> Path:
    assert train("--out", "model.safetensors").status == 0
    return Path("model.safetensors")


def program(*arguments: object, **options: Any) -> "subprocess.CompletedProcess[str]":
    """Run the program as a process of its own."""
    command = [sys.executable, "-m", "xpnet", *map(str, arguments)]
    options = {"capture_output": True, "text": True, "check": False, "timeout": 60} | options
    return subprocess.run(command, **options)


def table(name: str, text: str) -> Path:
    path = Path(name)
    path.write_text(text)
    return path


def regression(rows: int = 60) -> Path:
    x = np.random.default_rng(0).standard_normal((rows, 2))
    lines = [f"{a:.4f},{b:.4f},{100 + 20 * a - 10 * b:.4f}" for a, b in x]
    return table("heights.csv", "\n".join(["a,b,height", *lines]) + "\n")


# train


def test_the_defaults_reach_the_accuracy_promised_on_banknote(run: Run) -> None:
    outcome = run("train", BANKNOTE, "--target", "class")
    assert outcome.status == 0
    words = ("binary: class is 0 or 1", "1,372 rows, 4 columns", "4-64-64-1", "4,545 parameters")
    assert all(
        each in outcome.out for each in (*words, "always 0: 55.47 %", "banknote.safetensors")
    )
    report = run("inspect", "banknote.safetensors", "--json").json
    assert report["training"]["scores"]["accuracy"] >= 0.995


def test_nothing_but_messages_goes_to_standard_error(train: Run) -> None:
    outcome = train()
    assert outcome.err == ""  # no progress bar where nobody watches
    assert outcome.out.startswith("task ")


def test_json_is_one_object_with_all_that_was_done(train: Run) -> None:
    report = train("--json").json
    assert report["command"] == "train"
    assert report["rows"] == {"table": 1372, "training": 1098, "validation": 274}
    assert report["network"]["sizes"] == [4, 8, 1]
    assert report["options"]["batch_size"] == 32
    assert len(report["history"]["validation_loss"]) == 3
    assert report["scores"]["baseline"]["accuracy"] == pytest.approx(152 / 274)
    assert report["blas"]["kernels_chosen_by"] in ("xpnet", "BLAS or user")
    assert Path(report["model"]).exists()


def test_the_model_file_says_how_it_was_trained(model: Path) -> None:
    training = load_model(model).training
    assert training is not None
    assert training["options"]["epochs"] == 3
    assert training["blas"]["name"]
    assert "data" not in training["options"]


def test_the_same_command_writes_the_same_bytes(train: Run) -> None:
    train("--out", "a.safetensors")
    train("--out", "b.safetensors", "--plot", "loss.svg")
    assert Path("a.safetensors").read_bytes() == Path("b.safetensors").read_bytes()
    assert b"<svg" in Path("loss.svg").read_bytes()


@pytest.mark.parametrize(
    "options",
    [
        "--optimizer sgd --momentum 0.5 --nesterov --schedule cosine --lr 0.05",
        "--optimizer adamw --dropout 0.2 --l1 0.0001 --l2 0 --clip-norm 1",
        "--class-weight balanced --early-stopping --patience 2 --deterministic",
        "--hidden none --loss squared_error --init zeros --dtype float64",
        "--hidden 6,5 --activation tanh,relu --init lsuv --batch-size 100 --raw",
        "--validation 0 --seed 3 --task binary --encoding ascii --delimiter ,",
        "--drop entropy --drop curtosis --keep skewness --missing drop",
    ],
)
def test_every_option_of_training_is_taken(train: Run, options: str) -> None:
    outcome = train(*options.split(), "--json")
    assert outcome.status == 0, outcome.err
    assert np.isfinite(outcome.json["history"]["loss"]).all()


def test_lbfgs_trains_on_all_rows_at_once(run: Run) -> None:
    pytest.importorskip("scipy")
    command = ["train", BANKNOTE, "--target", "class", "--hidden", "8", "--optimizer", "lbfgs"]
    outcome = run(*command, "--epochs", "30", "--out", "l.safetensors")
    assert outcome.status == 0
    assert " iterations by lbfgs" in outcome.out
    assert load_model("l.safetensors").training["scores"]["accuracy"] > 0.97
    before = Path("l.safetensors").read_bytes()
    run(*command, "--epochs", "30", "--out", "l.safetensors", "--stream", "--cache", ".")
    assert Path("l.safetensors").read_bytes() == before
    for option in ("--lr 0.1", "--checkpoint kept", "--early-stopping", "--dropout 0.1"):
        outcome = run(*command, *option.split())
        assert (outcome.status, "lbfgs takes no such option" in outcome.err) == (2, True)
    assert "only train has it" in run("doctor", *command[1:]).err


def test_lbfgs_without_scipy_says_what_to_install(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("xpnet.cli_prepare.find_spec", lambda name: None)
    outcome = run("train", BANKNOTE, "--target", "class", "--optimizer", "lbfgs")
    assert (outcome.status, "pip install" in outcome.err) == (2, True)


def test_validation_rows_may_come_from_a_file(train: Run) -> None:
    report = train("--validation", BANKNOTE, "--json").json
    assert report["rows"] == {"table": 1372, "training": 1372, "validation": 1372}


def test_without_validation_the_training_rows_are_measured_and_it_is_said(train: Run) -> None:
    assert "1,372 training rows" in train("--validation", "0").out


def test_several_classes_are_measured_one_by_one(run: Run) -> None:
    rows = [f"{i % 3 + 0.1 * (i % 7)},{'abc'[i % 3]}" for i in range(60)]
    path = table("letters.csv", "\n".join(["x,letter", *rows]) + "\n")
    outcome = run("train", path, "--target", "letter")
    assert "letter is a, b or c" in outcome.out
    assert "by class     a 100.0, b 100.0, c 100.0 %" in outcome.out


def test_a_regression_is_told_in_the_targets_unit(run: Run) -> None:
    outcome = run("train", regression(), "--target", "height")
    assert "regression of height" in outcome.out
    assert "always the mean: 0" in outcome.out
    assert run("inspect", "heights.safetensors").out.count("R2") == 1


def test_counts_are_learnt_with_the_poisson_loss(run: Run) -> None:
    rows = [f"{i / 40},{i // 4}.5" for i in range(80)]
    path = table("counts.csv", "\n".join(["x,count", *rows]) + "\n")
    report = run("train", path, "--target", "count", "--loss", "poisson", "--json").json
    assert report["network"]["output"] == "exp"
    assert report["scores"]["r2"] > 0.5


def test_many_notes_and_text_columns_are_reported(run: Run) -> None:
    rows = [f"{i},{'red' if i % 2 else 'blue'},{i % 2}" for i in range(3, 40)]
    path = table("colours.csv", "\n".join(["size,colour,odd", *rows]) + "\n")
    assert "colour: 2 categories one-hot encoded" in run("train", path, "--target", "odd").out


def test_missing_cells_are_refused_dropped_or_filled_in(run: Run) -> None:
    rows = [f"{i / 7},{i % 2}" for i in range(30)]
    path = table("gaps.csv", "\n".join(["a,y", *rows, ",1"]) + "\n")
    refused = run("train", path, "--target", "y")
    assert refused.status == 2
    assert "gaps.csv: line 32, column 'a': a missing cell" in refused.err
    assert "--missing drop" in refused.err
    for policy, rows_used in (("drop", 30), ("impute", 31)):
        rows_of = run("train", path, "--target", "y", "--missing", policy, "--json").json["rows"]
        assert rows_of["training"] + rows_of["validation"] == rows_used
    evaluated = run("train", path, "--target", "y", "--missing", "drop", "--validation", path)
    assert evaluated.status == 0


def test_arrays_and_images_are_trained_on_too(run: Run) -> None:
    x = np.random.default_rng(0).integers(0, 256, (40, 3, 3), dtype=np.uint8)
    y = (x[:, 0, 0] > 127).astype(np.uint8)
    for name, array in (("x-idx3-ubyte", x), ("y-idx1-ubyte", y)):
        sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
        Path(name).write_bytes(bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes())
    np.savez("both.npz", x=x, y=y)
    np.save("x.npy", x)
    np.save("y.npy", y)
    for data, target in (("x-idx3-ubyte", "y-idx1-ubyte"), ("x.npy", "y.npy"), ("both.npz", "y")):
        outcome = run("train", data, "--target", target, *QUICK, "--out", "m.safetensors", "--json")
        assert outcome.json["network"]["sizes"] == [9, 8, 1]
        assert run("evaluate", "m.safetensors", data, "--target", target).status == 0
    assert run("predict", "m.safetensors", "x.npy").out.count("\n") == 41


def mixed(rows: int = 300) -> tuple[list[str], list[str]]:
    """A header and lines with numbers, texts, missing cells of either, and a class."""
    draw = np.random.default_rng(1)
    lines = []
    for row in range(rows):
        number = "" if row % 17 == 5 else f"{draw.normal():.5f}"
        colour = ["red", "green", "blue", ""][int(draw.integers(0, 4))]
        lines.append(f"{number},{colour},{draw.normal():.3f},{'no' if row % 3 else 'yes'}")
    return ["size", "colour", "weight", "fit"], lines


def files_of_rows() -> dict[str, list[str]]:
    """The same kinds of rows in every format that can be streamed, with the options for each."""
    import polars

    header, lines = mixed()
    path = table("t.csv", "\n".join([",".join(header), *lines]) + "\n")
    polars.read_csv(path).write_parquet("t.parquet", row_group_size=100)
    x = np.random.default_rng(0).integers(0, 256, (300, 3, 2), dtype=np.uint8)
    np.save("x.npy", x.astype(np.float32))
    np.save("y.npy", x[:, 0, 0] > 127)
    Path("x-idx3-ubyte").write_bytes(
        bytes([0, 0, 8, 3]) + b"".join(n.to_bytes(4, "big") for n in x.shape) + x.tobytes()
    )
    of_table = ["--target", "fit", "--missing", "impute"]
    of_array = ["--target", "y.npy"]
    return {"t.csv": of_table, "t.parquet": of_table, "x.npy": of_array, "x-idx3-ubyte": of_array}


@pytest.mark.parametrize("data", ["t.csv", "t.parquet", "x.npy", "x-idx3-ubyte"])
def test_rows_left_on_the_disk_give_the_same_model_bit_for_bit(
    run: Run, data: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("xpnet.row_files.CELLS", 101)  # several blocks
    monkeypatch.setattr("xpnet.csv_tables._BLOCK", 1 << 10)
    options = [data, *files_of_rows()[data], *QUICK]
    assert run("train", *options, "--out", "whole.safetensors").status == 0
    for times in ("now", "earlier"):
        outcome = run("train", *options, "--stream", "--out", "streamed.safetensors")
        assert outcome.status == 0, outcome.err
        if data.startswith("t"):
            assert f"read from the cache {data}.xpnet.npy" in outcome.out
            assert f"converted {times}" in outcome.out
        assert Path("streamed.safetensors").read_bytes() == Path("whole.safetensors").read_bytes()


def test_a_large_table_is_left_on_the_disk_unasked(
    train: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("xpnet.cli_prepare.free_memory", lambda: 8 * BANKNOTE.stat().st_size - 8)
    assert "cache" in train("--cache", ".").out
    monkeypatch.setattr("xpnet.cli_prepare.free_memory", lambda: 8 * BANKNOTE.stat().st_size)
    assert "cache" not in train("--cache", ".").out


LIMITED = """
import resource, sys
from xpnet.cli import main
main(["train", "small.npy", "--target", "small_y.npy", "--epochs", "1", "--out", "s.safetensors"])
pages = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (pages + 300 * 2**20,) * 2)
sys.exit(main(["train", "x.npy", "--target", "y.npy", "--hidden", "4", "--epochs", "1"]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's limit of the address space")
def test_a_file_larger_than_the_memory_is_trained_on() -> None:
    np.save("small.npy", np.random.default_rng(0).random((40, 3)))
    np.save("small_y.npy", np.arange(40) % 2)
    rows, columns = 100_000, 1_000  # 400 MB, which the file system need not store
    with open("x.npy", "wb") as file:
        head = {"descr": "<f4", "fortran_order": False, "shape": (rows, columns)}
        np.lib.format.write_array_header_1_0(file, head)
        file.truncate(file.tell() + 4 * rows * columns)
    np.save("y.npy", np.arange(rows) % 2)
    command = [sys.executable, "-c", LIMITED]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "100,000 rows, 1000 columns; 90,000 rows to train on, 10,000" in done.stdout


def test_the_cache_is_made_again_when_the_table_or_the_cache_has_changed(run: Run) -> None:
    options = files_of_rows()["t.csv"]
    command = ["train", "t.csv", *options, *QUICK, "--stream", "--json"]
    run(*command)
    for change in (
        lambda: table("t.csv", Path("t.csv").read_text() + "1,red,2,no\n"),
        lambda: Path("t.csv.xpnet.npy").write_bytes(b"short"),
        lambda: Path("t.csv.xpnet.about").unlink(),
        lambda: Path("t.csv.xpnet.about").write_bytes(b"damaged"),
    ):
        change()
        report = run(*command).json
        assert report["rows"]["table"] == 301
        assert "converted now" in report["notes"][0]
    assert "converted earlier" in run(*command).json["notes"][0]
    assert not list(Path().glob(".xpnet-*"))


def test_streaming_is_refused_where_it_cannot_be(run: Run) -> None:
    files_of_rows()
    np.save("columns.npy", np.asfortranarray(np.ones((300, 6))))
    np.savez("both.npz", x=np.eye(4), y=np.arange(4) % 2)
    wide = "".join(f"t{row},{row % 2}\n" for row in range(40))
    table("texts.csv", "name,y\n" + wide)
    for options, status, message in (
        ("both.npz --target y", 2, "packed file; save it as .npy"),
        ("t.csv --target fit --validation 0", 2, "give a share or a file"),
        ("t.csv --target fit --cache no/such", 4, "--cache DIR keeps the cache elsewhere"),
        ("columns.npy --target y.npy", 2, "in Fortran order, shape (300, 6); save real numbers"),
        ("t.csv --target fit", 2, "t.csv: line 2, column 'colour': a missing cell"),
        ("none.csv --target fit", 2, "none.csv: cannot be read"),
        ("texts.csv --target y", 2, "pass --drop name, or --keep name"),
    ):
        outcome = run("train", *options.split(), "--stream", "--out", "m.safetensors")
        assert outcome.status == status
        assert message in outcome.err
        assert outcome.err.count("\n") == 1


def test_a_streamed_training_is_resumed_to_the_same_bits(run: Run) -> None:
    command = ["train", "x.npy", *files_of_rows()["x.npy"], *QUICK, "--stream"]
    command += ["--checkpoint", "kept", "--checkpoint-every", "7 steps", "--out", "m.safetensors"]
    assert run(*command).status == 0
    whole = Path("m.safetensors").read_bytes()
    for newest in sorted(Path("kept").glob("checkpoint-*"))[1:]:
        newest.unlink()
    assert run(*command, "--resume").status == 0
    assert Path("m.safetensors").read_bytes() == whole


def test_resuming_without_a_checkpoint_says_that_it_starts_anew(train: Run) -> None:
    outcome = train("--checkpoint", "kept", "--resume")
    assert (outcome.status, outcome.err) == (
        0, "xpnet: kept: there is no checkpoint yet; training from the start.\n"
    )  # fmt: skip


def test_arrays_need_a_file_of_targets(run: Run) -> None:
    np.save("x.npy", np.eye(4))
    assert "name the file with the targets with --target" in run("train", "x.npy").err


def test_a_parquet_file_damaged_within_gives_one_message(run: Run) -> None:
    files_of_rows()
    whole = bytearray(Path("t.parquet").read_bytes())
    for at in range(4, len(whole) - 200, len(whole) // 6):
        broken = bytearray(whole)
        broken[at : at + 40] = bytes(40)
        Path("broken.parquet").write_bytes(broken)
        outcome = run("train", "broken.parquet", "--target", "fit", "--missing", "impute", *QUICK)
        assert outcome.status in (0, 2)
        assert outcome.status == 0 or outcome.err.count("\n") == 1


def test_validation_rows_of_arrays_have_targets_of_their_own(run: Run) -> None:
    files_of_rows()
    command = ["train", "x.npy", "--target", "y.npy", *QUICK, "--validation", "x.npy"]
    assert "--validation-target FILE" in run(*command).err
    assert run(*command, "--validation-target", "y.npy").status == 0
    command = ["train", "t.csv", "--target", "weight", "--drop", "size", "--drop", "colour", *QUICK]
    outcome = run(*command, "--validation", "t.csv", "--validation-target", "y.npy")
    assert (outcome.status, "leave --validation-target out" in outcome.err) == (2, True)


def test_the_doctors_worst_error_ends_a_training_in_two_lines(run: Run) -> None:
    outcome = run("train", BANKNOTE, "--target", "class", "--init", "zeros", "--epochs", "20")
    assert outcome.status == 0
    first, second = outcome.err.splitlines()
    assert first.startswith("doctor: ")
    assert second.startswith("remedy: ")


# predict, evaluate, inspect, devices


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


def test_devices_tells_blas_and_gpus(run: Run) -> None:
    told = run("devices").out
    assert all(name in told for name in ("cpu", "numpy", "kernels", "gpu"))
    assert run("devices", "--json").json["blas"]["name"]


# doctor


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
    repairs = run("doctor", path, "--target", "y", "--repair", "--json").json["repairs"]
    assert [each["kept"] for each in repairs if "refused" in each] == [False]


@pytest.mark.parametrize(
    "option", ["--out=m", "--plot=p.png", "--checkpoint=k", "--resume", "--stream", "--cache=."]
)
def test_the_doctor_takes_no_option_that_it_would_ignore(run: Run, option: str) -> None:
    outcome = run("doctor", BANKNOTE, "--target", "class", option)
    assert (outcome.status, "No such option" in outcome.err) == (2, True)
    assert f" {option.partition('=')[0]} " not in run("doctor", "--help").out
    assert "only with --early-stopping" in run("doctor", BANKNOTE, "--patience", "3").err


def test_without_findings_there_is_nothing_to_repair(run: Run) -> None:
    report = run("doctor", BANKNOTE, "--target", "class", "--repair", "--json").json
    assert report["repairs"] == []
    assert report["command_line"] == f"xpnet train {BANKNOTE} --target class"


def test_options_become_a_command_again() -> None:
    options = TrainOptions(
        "my data.csv", target="y", drop=["a", "b c"], raw=True, lr=0.1, json=True
    )
    expected = "xpnet train 'my data.csv' --target y --lr 0.1 --drop a --drop 'b c' --raw"
    assert as_command(options) == expected
    assert as_command(DoctorOptions("d.csv", repair=True)) == "xpnet train d.csv"


# parity


def test_numpy_and_the_strict_library_train_alike(run: Run) -> None:
    pytest.importorskip("array_api_strict")
    outcome = run("parity")
    assert outcome.status == 0
    assert "within tolerance" in outcome.out
    report = run("parity", BANKNOTE, "--target", "class", "--steps", "3", "--json").json
    assert report["ok"]
    assert (report["steps"], report["dtype"]) == (3, "float64")


def test_devices_that_differ_too_much_are_a_bug(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("array_api_strict")
    tolerance = xpnet.parity.Tolerance(-1.0, -1.0, -1.0)
    monkeypatch.setitem(xpnet.parity.TOLERANCES, "float64", tolerance)
    outcome = run("parity", "--hidden", "3", "--dropout", "0.1")
    assert outcome.status == 1
    assert "OUT OF TOLERANCE" in outcome.out


@pytest.mark.parametrize("options", ["--steps 0", "--device gpu:99", "--init warm"])
def test_parity_refuses_what_cannot_be_compared(run: Run, options: str) -> None:
    assert run("parity", *options.split()).status == 2


# exit statuses


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--target klass", "did you mean 'class'?"),
        ("--epochs 0", "epochs 0 must be"),
        ("--lr 0", "learning_rate 0.0 must be"),
        ("--hidden 8,x", "such as 64,64"),
        ("--hidden 0,4", "units of each layer, from 1"),
        ("--hidden 1000000000000", "3,000,000,000,001 parameters need about"),
        ("--lr nan", "--lr nan: give a finite number"),
        ("--clip-norm inf", "--clip-norm inf: give a finite number"),
        ("--l1=-inf", "--l1 -inf: give a finite number"),
        ("--validation nan", "--validation nan: give a share"),
        ("--hidden 0", "or none, for a linear model"),
        ("--hidden=", "or none, for a linear model"),
        ("--early-stopping --validation 0", "--validation 0 holds out none"),
        ("--lr abc", "--lr': Input should be a valid number, unable to parse string as a number"),
        ("--lr abc", "(found 'abc'); see xpnet train --help"),
        ("--loss poisson", "it is for counts, and class makes a binary task"),
        ("--drop class", "--drop class: this is the target"),
        ("--momentum 0.5", "adam has none; add --optimizer sgd"),
        ("--patience 3", "only with --early-stopping"),
        ("--checkpoint-every 3", "only with --checkpoint DIR"),
        ("--validation nix", "nix: cannot be read: No such file"),
        ("--validation-target y.npy", "name the file with the rows as --validation FILE"),
        ("--activation wavy", "'wavy' is not known"),
        ("--optimizer magic", "use one of sgd, adam"),
        ("--schedule weekly", "'weekly' is not known"),
        ("--loss sad", "'sad'"),
        ("--init warm", "'warm'"),
        ("--task guess", "expected auto, binary"),
        ("--dtype float8", "'float8'"),
        ("--device abacus", "'cpu', 'gpu' or 'gpu:N'"),
        ("--validation 1.5", "between 0 and 1"),
        ("--validation absent.csv", "absent.csv: cannot be read"),
        ("--drop colour", "column to drop, 'colour'"),
        ("--resume", "--checkpoint DIR"),
        ("--plot loss.txt", ".png, .svg, .pdf"),
        ("--plot same.png --out same.png", "this is the model file"),
        ("--encoding klingon", "klingon"),
        ("--seed -1", "integer from 0"),
        ("--out", "requires an argument"),
        ("--epochs=many", "(found 'many')"),
        ("--nonsense", "No such option"),
    ],
)
def test_wrong_input_gives_one_message_and_status_2(train: Run, options: str, message: str) -> None:
    outcome = train(*options.split())
    assert outcome.status == 2
    assert message in outcome.err
    assert outcome.out == ""
    assert (outcome.err.count("\n"), "Traceback" in outcome.err) == (1, False)
    assert not list(Path().iterdir())


def test_wrong_usage_gives_status_2(run: Run) -> None:
    for arguments in ([], ["fly"], ["train"], ["predict", "a"]):
        outcome = run(*arguments)
        assert outcome.status == 2
        assert "Traceback" not in outcome.out + outcome.err


def test_help_and_version_give_status_0(run: Run) -> None:
    assert run("--version").out == f"xpnet {xpnet.__version__}\n"
    commands = ("train", "predict", "evaluate", "inspect", "doctor", "parity", "devices")
    told = run("--help").out
    for name in commands:
        assert name in told
        assert run(name, "--help").status == 0


def test_a_target_must_be_named_and_the_columns_are_listed(run: Run) -> None:
    outcome = run("train", BANKNOTE)
    assert outcome.status == 2
    assert "the columns are variance, skewness, curtosis, entropy, class" in outcome.err


def test_a_gpu_that_cannot_be_used_says_why(
    train: Run, model: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cupy", None)
    outcome = train("--device", "gpu", "--out", "g.safetensors")
    assert (outcome.status, Path("g.safetensors").exists()) == (2, False)
    assert "pip install 'xpnet[cuda13]'" in outcome.err
    assert run("predict", model, BANKNOTE, "--device", "gpu").status == 2


def test_a_training_that_runs_away_gives_status_3(train: Run, model: Path) -> None:
    before = model.read_bytes()
    outcome = train("--optimizer", "sgd", "--lr", "1e9", "--out", model)
    assert outcome.status == 3
    assert "diverged in epoch 1" in outcome.err
    assert "Try --lr" in outcome.err
    assert model.read_bytes() == before


def test_what_cannot_be_saved_gives_status_4(train: Run, run: Run, model: Path) -> None:
    for arguments in (["--out", "no/such/m.safetensors"], ["--plot", "no/such/p.png"]):
        outcome = train(*arguments)
        assert outcome.status == 4
        assert "create the directory" in outcome.err
    assert run("predict", model, BANKNOTE, "--out", "no/such.csv").status == 4


def test_an_input_is_never_overwritten(train: Run, run: Run, model: Path) -> None:
    before = BANKNOTE.read_bytes()
    assert train("--out", BANKNOTE).status == 2
    assert run("predict", model, BANKNOTE, "--out", BANKNOTE).status == 2
    assert run("predict", model, BANKNOTE, "--out", model).status == 2
    assert run("predict", "absent.safetensors", BANKNOTE, "--out", model).status == 2
    assert BANKNOTE.read_bytes() == before
    load_model(model)


def test_two_runs_on_one_output_are_one_too_many(train: Run) -> None:
    from xpnet.atomic import lock

    with lock("m.safetensors"):
        outcome = train("--out", "m.safetensors")
    assert outcome.status == 4
    assert "another run is writing here" in outcome.err


def test_a_bug_shows_its_traceback_and_gives_status_1(
    train: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: Any) -> None:
        raise ZeroDivisionError("seven")

    monkeypatch.setattr("xpnet.cli_train.load_task", broken)
    outcome = train()
    assert outcome.status == 1
    assert "ZeroDivisionError: seven" in outcome.err
    assert "this is a bug" in outcome.err
    assert outcome.out == ""


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (MemoryError("Unable to allocate 9 EiB"), 2, "not enough memory: Unable to allocate"),
        (KeyboardInterrupt(), 130, "xpnet: stopped; nothing was saved"),
        (Interrupted(signal.SIGTERM), 143, "stopped by SIGTERM; nothing was saved"),
        (OSError(28, "No space left on device"), 4, "standard output: No space left on device"),
        (BrokenPipeError(), 0, ""),
    ],
)
def test_other_ends_have_a_status_too(
    train: Run, monkeypatch: pytest.MonkeyPatch, error: BaseException, status: int, message: str
) -> None:
    def broken(*arguments: Any) -> None:
        raise error

    monkeypatch.setattr("xpnet.cli_train.load_task", broken)
    monkeypatch.setattr("xpnet.cli._drop_output", lambda: None)
    outcome = train()
    assert outcome.status == status
    assert message in outcome.err


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("rate", ["1", "100", "1e6", "1e38", "1e300"])
def test_too_large_a_learning_rate_is_never_passed_over(
    train: Run, model: Path, rate: str, optimizer: str
) -> None:
    before = model.read_bytes()
    options = ["--lr", rate, "--optimizer", optimizer, "--checkpoint", "kept", "--out", model]
    outcome = train(*options, "--json")
    if outcome.status == 3:
        assert "diverged in epoch" in outcome.err
        assert model.read_bytes() == before
    else:
        scores = outcome.json["scores"]
        learnt = scores["accuracy"] > scores["baseline"]["accuracy"]
        assert (outcome.status, learnt or "doctor: " in outcome.err) == (0, True)
    assert outcome.status == 3 or float(rate) < 1e6
    if (best := Path("kept/best.safetensors")).exists():
        assert np.isfinite(load_model(best).training["monitored_loss"])


def test_an_interruption_tells_the_command_that_continues(
    train: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*arguments: Any) -> None:
        raise Interrupted(signal.SIGINT)

    monkeypatch.setattr("xpnet.cli_train.load_task", stopped)
    told = train("--checkpoint=my kept").err
    assert told.endswith("'--checkpoint=my kept' --resume\n")
    assert train("--checkpoint", "kept", "--resume").err.count("--resume") == 1


def test_an_interrupted_doctor_recommends_no_checkpoint(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*arguments: Any) -> None:
        raise Interrupted(signal.SIGINT)

    monkeypatch.setattr("xpnet.cli_doctor.load_task", stopped)
    outcome = run("doctor", BANKNOTE, "--target", "class")
    assert (outcome.status, outcome.err) == (130, "xpnet: stopped by SIGINT.\n")


def test_more_epochs_than_the_schedule_was_laid_out_for_are_noted(train: Run) -> None:
    for schedule in ("linear", "constant"):
        kept = ["--checkpoint", schedule, "--schedule", schedule, "--json"]
        assert train(*kept).json["notes"] == train(*kept, "--resume").json["notes"]
        if schedule == "constant":
            assert len(train(*kept, "--resume", "--epochs", "5").json["notes"]) == 1
            continue
        with pytest.warns(UserWarning, match="laid out for 3 epochs and is now for 5"):
            notes = train(*kept, "--resume", "--epochs", "5").json["notes"]
        assert "differs from 5 epochs in one go" in notes[-1]


def test_a_finished_training_may_be_resumed(train: Run) -> None:
    train("--checkpoint", "kept")
    before = Path("banknote.safetensors").read_bytes()
    outcome = train("--checkpoint", "kept", "--resume")
    assert (outcome.status, outcome.err) == (0, "")
    assert Path("banknote.safetensors").read_bytes() == before


# as a program


def test_deterministic_gives_the_same_file_in_any_environment() -> None:
    pytest.importorskip("threadpoolctl")
    wide = ["--hidden", "300,300", "--batch-size", "549", "--epochs", "3", "--deterministic"]
    files = set()
    for number, environment in enumerate((
        {"OPENBLAS_NUM_THREADS": "1", "PYTHONHASHSEED": "0", "LC_ALL": "C", "TZ": "UTC"},
        {"OPENBLAS_NUM_THREADS": "2", "PYTHONHASHSEED": "7", "LC_ALL": "tr_TR.UTF-8", "HOME": "/"},
    )):  # fmt: skip
        Path(str(number)).mkdir()
        arguments = ["train", BANKNOTE, "--target", "class", *wide, "--out", "m.safetensors"]
        done = program(*arguments, env=os.environ | environment, cwd=str(number))
        assert done.returncode == 0
        files.add(Path(str(number), "m.safetensors").read_bytes())
    assert len(files) == 1


def test_a_reader_that_has_enough_causes_no_traceback(model: Path) -> None:
    for arguments in (["predict", model, BANKNOTE], ["train", "--help"]):
        command = [sys.executable, "-m", "xpnet", *map(str, arguments)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdout.close()
            assert process.stderr.read() == b""
            assert process.wait(30) == 0


@pytest.mark.skipif(sys.platform == "win32", reason="a shell's way to close a stream")
@pytest.mark.parametrize("closed", ["2>&-", "<&-"])
def test_closed_streams_cause_no_harm(model: Path, closed: str) -> None:
    words = [sys.executable, "-m", "xpnet", "evaluate", str(model), str(BANKNOTE)]
    outcome = subprocess.run(
        f"{shlex.join(words)} {closed}", shell=True, capture_output=True, text=True, check=False
    )
    assert outcome.returncode == 0
    assert outcome.stderr == ""
    assert outcome.stdout.startswith("data")


@pytest.mark.skipif(sys.platform == "win32", reason="a shell's way to close a stream")
def test_a_result_that_nobody_can_receive_gives_status_4(model: Path) -> None:
    words = shlex.join([sys.executable, "-m", "xpnet", "predict", str(model), str(BANKNOTE)])
    for command, status, message in (
        (f"{words} >&-", 4, "xpnet: standard output is closed; send it to a file"),
        (f"{words} --out p.csv >&-", 0, "1,372 predictions"),
    ):
        outcome = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
        assert (outcome.returncode, outcome.stderr.startswith(message)) == (status, True)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_under_standard_output_gives_status_4(model: Path) -> None:
    with open("/dev/full", "w") as full:
        outcome = program("predict", model, BANKNOTE, capture_output=False, stdout=full,
                          stderr=subprocess.PIPE)  # fmt: skip
    assert outcome.returncode == 4
    assert "No space left" in outcome.stderr
    assert "Traceback" not in outcome.stderr


@pytest.mark.parametrize("locale", ["C", "tr_TR.UTF-8", "POSIX"])
def test_a_bare_environment_will_do(locale: str) -> None:
    table(
        "größe.csv",
        "größe,ı\n" + "\n".join(f"{i / 9},{'ja' if i % 2 else 'nö'}" for i in range(40)),
    )
    environment = {"LC_ALL": locale, "PYTHONIOENCODING": "ascii"}
    outcome = program("train", "größe.csv", "--target", "ı", *QUICK, env=environment)
    assert (outcome.returncode, outcome.stderr) == (0, "")
    assert "n\\xf6" in outcome.stdout


def test_a_broken_checkpoint_is_passed_over_and_it_is_said() -> None:
    arguments = ["train", BANKNOTE, "--target", "class", *QUICK, "--checkpoint", "kept"]
    assert program(*arguments).returncode == 0
    newest = max(Path("kept").glob("checkpoint-*"))
    newest.write_bytes(newest.read_bytes()[:-1])
    outcome = program(*arguments, "--resume")
    assert outcome.returncode == 0
    assert outcome.stderr.startswith(f"xpnet: {newest}: ")
    assert "Continuing from" in outcome.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize(("name", "status"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_a_signal_saves_and_a_resumed_training_ends_the_same(name: str, status: int) -> None:
    common = ["train", BANKNOTE, "--target", "class", "--hidden", "8", "--schedule", "constant",
              "--checkpoint-every", "1 epoch"]  # fmt: skip
    arguments = [*common, "--epochs", 10**6, "--checkpoint", "kept", "--out", "m.safetensors"]
    command = [sys.executable, "-m", "xpnet", *map(str, arguments)]
    number = getattr(signal, name)
    if signal.getsignal(number) is signal.SIG_IGN:
        pytest.skip(f"this process ignores {name}, and so do those it starts (nohup)")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            while process.poll() is None and not list(Path().glob("kept/checkpoint-*")):
                time.sleep(0.005)
            process.send_signal(number)
            _, err = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == status
    assert b"Traceback" not in err
    again = shlex.split(err.decode().partition("continue with: ")[2])
    assert again[-1] == "--resume"
    saved, _ = read_container(max(Path("kept").glob("checkpoint-*")), "checkpoint", 1)
    again[again.index("1000000")] = epochs = str(saved["counters"]["epoch"] + 2)
    assert program(*again[1:]).returncode == 0
    common += ["--epochs", epochs, "--checkpoint", "other", "--out", "n.safetensors"]
    assert program(*common).returncode == 0
    assert Path("m.safetensors").read_bytes() == Path("n.safetensors").read_bytes()
