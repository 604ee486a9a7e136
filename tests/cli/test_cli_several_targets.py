"""Several targets of one kind: one network, with an output for each."""

import numpy as np
import pytest
from command_line import QUICK, Run, table
from lazily import polars

import xpnet
from xpnet.saving.model import Model

pytestmark = pytest.mark.usefixtures("in_empty_directory")

X = np.random.default_rng(0).standard_normal((200, 2)).round(3)
COLUMNS = {
    "numbers": ("a,b", [(1 + 3 * u, 1000 * v) for u, v in X]),
    "classes": ("p,q", [("yes" if u > v else "no", int(v > 0)) for u, v in X]),
    "both": ("a,p", [(u + v, "yes" if u > 0 else "no") for u, v in X]),
}


def trained(run: Run, kind: str, *options: str) -> tuple[Model, str]:
    names, values = COLUMNS[kind]
    rows = [f"{u},{v},{a},{b}" for (u, v), (a, b) in zip(X, values, strict=True)]
    path = table("t.csv", "\n".join([f"u,v,{names}", *rows, f"1,1,{rows[0].split(',')[2]},"]))
    outcome = run("train", path, "--target", names, "--epochs", "20", "--nets", "2", *options)
    assert outcome.status == 0, outcome.err
    return xpnet.load_model("t.safetensors"), outcome.out


def test_numbers_come_back_each_on_its_own_scale(run: Run) -> None:
    model, out = trained(run, "numbers")
    assert "task         regression of a, b\n" in out
    assert "rows         1 of 201 left out (no a or b)" in out
    found = model.predict({"u": X[:, 0], "v": X[:, 1]}, spread=True)
    for name, true in zip("ab", np.transpose(COLUMNS["numbers"][1]), strict=True):
        assert np.corrcoef(found[name], true)[0, 1] > 0.95
        assert np.std(true) / 2 < np.std(found[name]) < 2 * np.std(true)
        assert found[f"spread of {name}"].shape == (len(X),)
    assert [*model.importance("t.csv", repeats=1)] in (["u", "v"], ["v", "u"])
    scores = run("evaluate", "t.safetensors", "t.csv", "--target", "a,b", "--json").json["scores"]
    assert scores["r2"] == np.mean([each["r2"] for each in scores["targets"].values()])


def test_each_of_several_classes_has_its_label_and_probabilities(run: Run) -> None:
    _, out = trained(run, "classes", "--report", "r.html")
    assert "task         binary: p is no or yes, q is 0 or 1\n" in out
    assert run("predict", "t.safetensors", "t.csv", "--out", "p.csv").status == 0
    found = polars.read_csv("p.csv")[:-1]
    for name, positive, *true in zip("pq", ("yes", 1), *COLUMNS["classes"][1], strict=True):
        assert np.mean(found[name].to_numpy() == true) > 0.9
        likely = found[f"{name}: probability of {positive}"] > 0.5
        assert (likely == (found[name] == positive)).all()


def test_numbers_are_exported_and_classes_refused_by_name(run: Run) -> None:
    model, _ = trained(run, "numbers", *QUICK)
    cells = {"u": [0.5, -1.0], "v": [1.5, 0.25]}
    program: dict = {}
    exec(model.to_numpy_source(), program)
    for name, values in model.predict(cells).items():
        np.testing.assert_allclose(program["predict"](cells)[name], values, rtol=1e-5)
    onnx = pytest.importorskip("onnx.reference")
    inputs = {name: np.array(each)[:, None] for name, each in cells.items()}
    (values,) = onnx.ReferenceEvaluator(model.to_onnx()).run(None, inputs)
    np.testing.assert_allclose(values, np.transpose([*model.predict(cells).values()]), rtol=1e-5)
    model, _ = trained(run, "classes", *QUICK)
    for export in (model.to_onnx, model.to_numpy_source):
        with pytest.raises(xpnet.InputError, match="several targets of classes are not exported"):
            export()


def test_targets_of_different_kinds_are_refused_by_name(run: Run) -> None:
    with pytest.raises(AssertionError, match=r"found 'a' \(regression\), 'p' \(binary\); pass --t"):
        trained(run, "both")
    assert "no target column 'z'" in run("train", "t.csv", "--target", "a,z").err
    told = run("train", "t.csv", "--target", "u,v", "--drop", "v").err
    assert told == "xpnet: --drop v: this is the target, the column to predict; keep it.\n"
