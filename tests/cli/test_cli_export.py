"""`xpnet export` writes what other programs read."""

import pytest
from command_line import BANKNOTE, QUICK


@pytest.mark.parametrize(("arguments", "suffix"), [([], ".onnx"), (["--numpy"], ".py")])
def test_the_file_is_called_as_the_model_unless_named(
    run, tmp_path, monkeypatch, arguments, suffix
):
    if suffix == ".onnx":
        pytest.importorskip("onnx")
    monkeypatch.chdir(tmp_path)
    assert run("train", BANKNOTE, "--target", "class", *QUICK, "--out", "m.safetensors").status == 0
    for named in ([], ["--out", "other"]):
        outcome = run("export", "m.safetensors", *arguments, *named)
        out = tmp_path / (named[1] if named else f"m{suffix}")
        assert outcome.status == 0
        assert f"{out.name} written ({out.stat().st_size:,} bytes)" in outcome.err
    refused = run("export", "m.safetensors", *arguments, "--out", "m.safetensors")
    assert refused.status == 2
    assert "this command reads it" in refused.err


def test_a_file_called_py_is_a_program(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run("train", BANKNOTE, "--target", "class", *QUICK, "--out", "m.safetensors")
    run("export", "m.safetensors", "--out", "predict.py")
    run("export", "m.safetensors", "--numpy")
    assert (tmp_path / "predict.py").read_text() == (tmp_path / "m.py").read_text()
