"""An ONNX file gives what `Model.predict` gives."""

import math
import sys

import numpy as np
import pytest
from exported_models import (
    CLASSES,
    COLOURS,
    ENCODINGS,
    cells_of,
    model_of,
    model_of_random_table,
    random_cells,
)
from lazily import onnxruntime

import xpnet
from xpnet.nn.activations import HIDDEN, OUTPUTS
from xpnet.tables.columns import Category, Dates, Number
from xpnet.tables.preprocessing import MISSING_POLICIES

pytestmark = pytest.mark.filterwarnings("ignore:.*(imputed|without an input|deviations)")


def run(model, **cells):
    session = onnxruntime.InferenceSession(model.to_onnx().SerializeToString())
    given = {
        name: np.reshape(np.asarray(each, object if isinstance(each[0], str) else float), (-1, 1))
        for name, each in cells.items()
    }
    names = [each.name for each in session.get_outputs()]
    return dict(zip(names, session.run(None, given), strict=True))


def assert_same(found, model, **cells):
    wanted = model.predict(cells)
    if "value" in found:
        scale = 1e-6 * max(1.0, model.preprocessing.target_std)
        np.testing.assert_allclose(found["value"][:, 0], wanted["y"], rtol=1e-6, atol=scale)
        return
    np.testing.assert_array_equal(found["label"], wanted["y"])
    probabilities = [each for name, each in wanted.items() if name.startswith("probability")]
    np.testing.assert_allclose(found["probabilities"].T, probabilities, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("task", CLASSES)
@pytest.mark.parametrize("missing", MISSING_POLICIES)
@pytest.mark.parametrize("encode", ["plain", "ple"])
def test_every_task_missing_policy_and_encoding(task, missing, encode, tmp_path):
    model = model_of_random_table(tmp_path / "table.csv", task, missing, encode)
    gaps = range(0, 60, 3)
    cells = random_cells(np.random.default_rng(9), 60, gaps)
    found, good = run(model, **cells), np.ones(60, bool)
    if missing != "impute":
        good[gaps] = np.isfinite(
            found["value" if task == "regression" else "probabilities"][gaps]
        ).all(axis=1)
    complete = {name: each[good] for name, each in cells.items()}
    assert_same({name: each[good] for name, each in found.items()}, model, **complete)
    for row in np.flatnonzero(~good):
        with pytest.raises(xpnet.InputError):
            model.predict({name: each[row : row + 1] for name, each in cells.items()})


@pytest.mark.parametrize("task", CLASSES)
@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("colours", COLOURS)
def test_indicators_fills_bins_pooled_categories_and_effects(task, encoding, colours):
    model = model_of(task, [ENCODINGS[encoding], colours], nets=2)
    cells = cells_of(missing=True)
    assert_same(run(model, **cells), model, **cells)


@pytest.mark.parametrize("hidden", HIDDEN)
def test_every_hidden_activation(hidden):
    model = model_of("regression", [ENCODINGS["all"]], hidden=hidden)
    cells = {"size": [*np.linspace(-90.0, 80.0, 61)]}
    assert_same(run(model, **cells), model, **cells)


@pytest.mark.parametrize("output", OUTPUTS)
def test_every_output_activation(output):
    task = {"softmax": "multiclass"}.get(output, "regression")
    model = model_of(task, [ENCODINGS["plain"]], output=output)
    assert_same(run(model, size=[-3.0, 0.0, 4.5]), model, size=[-3.0, 0.0, 4.5])


def test_two_classes_may_have_an_output_each():
    model = model_of("multiclass", [ENCODINGS["plain"]], classes=("no", "yes"))
    assert_same(run(model, size=[-3.0, 0.0, 4.5]), model, size=[-3.0, 0.0, 4.5])


def test_a_target_learnt_as_logarithm_comes_in_its_own_unit():
    model = model_of("regression", [ENCODINGS["plain"]], target_log=True, target_mean=5.0,
                     target_std=2.0)  # fmt: skip
    assert_same(run(model, size=[1.0, 7.0]), model, size=[1.0, 7.0])


@pytest.mark.parametrize("missing", ["refuse", "drop"])
@pytest.mark.parametrize(
    ("size", "colour"), [(math.nan, "red"), (math.inf, "red"), (1.0, ""), (1.0, "unseen")]
)
def test_a_row_that_predict_refuses_gives_nan_and_leaves_the_others(missing, size, colour):
    model = model_of("binary", [ENCODINGS["plain"], Category("colour", ("blue", "red"))], missing)
    with pytest.raises(xpnet.InputError):
        model.predict({"size": [size], "colour": [colour]})
    found = run(model, size=[2.0, size], colour=["red", colour])["probabilities"]
    assert np.isfinite(found[0]).all()
    assert np.isnan(found[1]).all()


def test_a_column_may_be_called_as_an_output():
    model = model_of("regression", [Number("value")])
    assert set(run(model, value=[1.0])) == {"output_value"}


@pytest.mark.parametrize(("layout", "dtype"), [("matrix", "float64"), ("image", "uint8")])
def test_an_array_is_one_input(layout, dtype):
    columns = [Number(f"x{at}", 0.0, 255.0, indicator=layout == "matrix") for at in range(4)]
    model = model_of("multiclass", columns, layout=layout)
    x = np.random.default_rng(0).integers(0, 256, (6, 4)).astype(dtype)
    session = onnxruntime.InferenceSession(model.to_onnx().SerializeToString())
    label, _ = session.run(None, {"x": x})
    np.testing.assert_array_equal(label, model.predict(x)["y"])


def test_a_network_without_a_table_takes_prepared_inputs(tmp_path):
    net = xpnet.MLP([3, 4, 2], dtype="float64", seed=1)
    net.save(tmp_path / "net.safetensors")
    xpnet.load_model(tmp_path / "net.safetensors").to_onnx(tmp_path / "net.onnx")
    x = np.random.default_rng(0).normal(size=(5, 3)).astype("float32")
    (found,) = onnxruntime.InferenceSession(tmp_path / "net.onnx").run(None, {"x": x})
    np.testing.assert_allclose(found, net.predict(x), rtol=1e-6, atol=1e-6)


def test_what_cannot_be_exported_is_refused_by_name():
    dates = Dates("born", "%Y-%m-%d", ("year",), (1980.0,), (10.0,))
    with pytest.raises(xpnet.InputError, match="column 'born' holds dates"):
        model_of("binary", [dates]).to_onnx()
    sine = xpnet.Activation("sine", lambda xp, z: xp.sin(z), lambda xp, d_a, z, a: d_a * xp.cos(z))
    with pytest.raises(xpnet.InputError, match="activation 'sine'"):
        model_of("binary", [ENCODINGS["plain"]], hidden=sine).to_onnx()


def test_without_onnx_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(xpnet.InputError, match=r"pip install 'xpnet\[onnx\]'"):
        model_of("binary", [ENCODINGS["plain"]]).to_onnx()
