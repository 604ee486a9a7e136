"""The program of `to_numpy_source` gives what `Model.predict` gives, without xpnet."""

import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from exported_models import CLASSES, COLOURS, ENCODINGS, cells_of, model_of

import xpnet
from xpnet.nn.activations import HIDDEN, OUTPUTS
from xpnet.tables.columns import Category, Dates, Number, Words
from xpnet.tables.dates import PAIR
from xpnet.tables.preprocessing import MISSING_POLICIES

TEMPLATE = str(Path(xpnet.__file__).with_name("interchange") / "predictor.py")

pytestmark = pytest.mark.filterwarnings("ignore:.*(imputed|without an input|deviations)")


def predictor(model):
    source = model.to_numpy_source()
    assert len(source.splitlines()) < 120
    assert "xpnet" not in source.replace("xpnet model", "")
    names: dict[str, object] = {"__name__": "xpnet.interchange.predictor"}
    exec(compile(source, TEMPLATE, "exec"), names)  # whose lines coverage then counts
    return names["predict"]


def assert_same(model, cells):
    found, wanted = predictor(model)(cells), model.predict(cells)
    assert [*found] == [*wanted]
    for name, values in wanted.items():
        if values.dtype.kind == "f":
            np.testing.assert_allclose(found[name], values, rtol=2e-6, atol=2e-6)
        else:
            np.testing.assert_array_equal(found[name], values)


@pytest.mark.untraced(but=["multiclass"])
@pytest.mark.parametrize("missing", MISSING_POLICIES)
@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("task", CLASSES)
def test_every_task_encoding_and_missing_policy(task, encoding, missing):
    for colours in COLOURS:
        model = model_of(task, [ENCODINGS[encoding], colours], missing, nets=2)
        assert_same(model, cells_of(missing=missing == "impute"))


@pytest.mark.parametrize("hidden", HIDDEN)
def test_every_hidden_activation(hidden):
    model = model_of("regression", [ENCODINGS["all"]], hidden=hidden)
    assert_same(model, {"size": [*np.linspace(-90.0, 80.0, 61), math.nan]})


@pytest.mark.parametrize("output", OUTPUTS)
def test_every_output_activation(output):
    task = "multiclass" if output == "softmax" else "regression"
    model = model_of(task, [ENCODINGS["plain"]], output=output, target_log=task == "regression")
    assert_same(model, {"size": [-3.0, 0.0, 4.5]})


def test_dates_are_read_as_in_training():
    parts = ("year", "month", "weekday", "hour", "days")
    means, stds = (2000.0, 6.0, 4.0, 12.0, 11_000.0), (10.0, 3.0, 2.0, 6.0, 3_000.0)
    column = Dates("at", "%d.%m.%Y %H:%M", parts, means, stds)
    assert_same(
        model_of("regression", [column]), {"at": ["31.12.1999 23:59", "", "01.02.2024 6:30"]}
    )


@pytest.mark.parametrize(
    ("size", "colour"), [(math.nan, "red"), (math.inf, "red"), (1.0, ""), (1.0, "unseen")]
)
def test_a_row_that_predict_refuses_is_refused(size, colour):
    model = model_of("binary", [Number("size"), Category("colour", ("blue", "red"))], "refuse")
    with pytest.raises(ValueError, match=r"(size|colour): a cell is missing, infinite, or a new"):
        predictor(model)({"size": [size], "colour": [colour]})


@pytest.mark.process
def test_as_a_program_it_reads_a_csv_file(tmp_path):
    model = model_of("multiclass", [Category("colour", ("blue", "'réd\\"))])
    model.to_numpy_source(tmp_path / "predictor.py")
    (tmp_path / "table.csv").write_text("colour\nblue\n'réd\\\n", encoding="utf-8")
    ran = subprocess.run(
        [sys.executable, "-I", "predictor.py", "table.csv"],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    header, *rows = ran.stdout.splitlines()
    assert header == "y,probability of no,probability of perhaps,probability of yes"
    wanted = model.predict({"colour": ["blue", "'réd\\"]})
    assert [row.partition(",")[0] for row in rows] == wanted["y"].tolist()


def run_as_program(monkeypatch, path):
    monkeypatch.setattr(sys, "argv", ["predictor.py", str(path)])
    source = model_of("binary", [Number("size")]).to_numpy_source()
    exec(compile(source, TEMPLATE, "exec"), {"__name__": "__main__"})


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"Size;y\n1,5;0\n", "there is no column 'size', or no row"),
        (b"# by a logger\nsize,y\n1.5,0\n", "there is no column 'size', or no row"),
        (b"size,y\n", "there is no column 'size', or no row"),
        (b"size,y\n64 GB,0\n", "column 'size': could not convert string to float: '64 GB'"),
        ("size,stra\u00dfe\n1.5,0\n".encode("cp1252"), "'utf-8' codec can't decode byte 0xdf"),
        (None, "No such file or directory"),
    ],
)
def test_a_file_that_is_no_plain_csv_is_named_in_one_line(
    content, said, tmp_path, monkeypatch, capsys
):
    if content is not None:
        (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(SystemExit) as ended:
        run_as_program(monkeypatch, tmp_path / "t.csv")
    out, err = capsys.readouterr()
    assert (ended.value.code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"{tmp_path / 't.csv'}: ")
    assert said in err
    assert "; give a plain CSV file (UTF-8, commas, names in the first line, decimal poi" in err


def test_a_reader_that_has_seen_enough_is_no_error(tmp_path, monkeypatch):
    (tmp_path / "t.csv").write_text("size\n1.5\n")
    reads, writes = os.pipe()
    os.close(reads)
    with os.fdopen(writes, "w") as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        run_as_program(monkeypatch, tmp_path / "t.csv")


def test_what_cannot_be_written_is_refused():
    sine = xpnet.Activation("sine", lambda xp, z: xp.sin(z), lambda xp, d_a, z, a: d_a * xp.cos(z))
    with pytest.raises(xpnet.InputError, match="activation 'sine'"):
        model_of("binary", [ENCODINGS["plain"]], hidden=sine).to_numpy_source()
    with pytest.raises(xpnet.InputError, match="only models of tables"):
        model_of("binary", [Number("x0")], layout="matrix").to_numpy_source()


@pytest.mark.parametrize(
    "column",
    [Words("born", ("sea", "sky")), Dates("born", PAIR, ("first",), (0.0,), (1.0,))],
)
def test_free_text_and_pairs_of_numbers_are_refused_in_one_line(column):
    model = model_of("regression", [ENCODINGS["plain"], column])
    for write in (model.to_numpy_source, model.to_onnx):
        with pytest.raises(
            xpnet.InputError, match=r"column 'born' holds .* train with --drop born"
        ):
            write()
