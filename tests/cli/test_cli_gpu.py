"""Every command with ``--device gpu``: what it gives agrees with what the CPU gives."""

from pathlib import Path

import numpy as np
import pytest
from command_line import BANKNOTE, Run
from lazily import polars

import xpnet

pytestmark = [pytest.mark.cuda, pytest.mark.usefixtures("in_empty_directory", "cuda")]

# A whole short training in float64 agrees to 1e-9; in float32 its loss curve does, more roughly.
TOLERANCES = {"float64": 1e-9, "float32": 1e-3}
STEPS = ["--lr", "0.01", "--dropout", "0.1", "--schedule", "cosine"]


def train(run: Run, device: str, *options: object) -> dict:
    outcome = run(
        "train", BANKNOTE, "--target", "class", "--hidden", "8,8", "--epochs", "4", "--l2", "0.001",
        "--device", device, "--out", f"{device}.safetensors", "--json", *options,
    )  # fmt: skip
    assert outcome.status == 0, outcome.err
    return outcome.json


def parameters(path: object) -> np.ndarray:
    return np.concat([np.ravel(each) for each in xpnet.load_model(path).net.parameters])


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("optimizer", ["adam", "sgd", "lbfgs"])
def test_a_training_on_the_gpu_agrees_with_one_on_the_cpu(run, optimizer, dtype) -> None:
    options = ["--optimizer", optimizer, "--dtype", dtype]
    options += [] if optimizer == "lbfgs" else STEPS
    cpu, gpu = (train(run, device, *options)["history"]["loss"] for device in ("cpu", "gpu"))
    np.testing.assert_allclose(gpu, cpu, rtol=TOLERANCES[dtype])
    if dtype == "float64":
        found, expected = parameters("gpu.safetensors"), parameters("cpu.safetensors")
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


def test_one_model_predicts_and_is_evaluated_alike_on_both(run) -> None:
    train(run, "gpu", *STEPS)
    tables, scores = [], []
    for device in ("cpu", "gpu"):
        out = Path(f"{device}.csv")
        assert run("predict", "gpu.safetensors", BANKNOTE, "--device", device, "--out", out)[0] == 0
        tables.append(polars.read_csv(out))
        outcome = run("evaluate", "gpu.safetensors", BANKNOTE, "--device", device, "--json")
        scores.append(outcome.json["scores"])
    assert tables[0].columns == tables[1].columns
    for name in tables[0].columns:
        np.testing.assert_allclose(tables[1][name], tables[0][name], rtol=1e-5, atol=1e-6)
    assert scores[1]["recall"] == pytest.approx(scores[0]["recall"], rel=1e-5)
    assert scores[1]["accuracy"] == pytest.approx(scores[0]["accuracy"], rel=1e-5)


@pytest.mark.parametrize("dtype", TOLERANCES)
def test_every_step_is_within_the_tolerances_of_parity(run, dtype) -> None:
    outcome = run("parity", BANKNOTE, "--target", "class", "--device", "gpu", "--dtype", dtype)
    assert outcome.status == 0, outcome.out


def test_the_doctor_finds_the_same_on_both(run) -> None:
    reports = [
        run("doctor", BANKNOTE, "--target", "class", "--raw", "--lr", "1e-7", "--epochs", "3",
            "--device", device, "--json").json
        for device in ("cpu", "gpu")
    ]  # fmt: skip
    codes = [[each["code"] for each in report["findings"]] for report in reports]
    assert codes[0]
    assert codes[1] == codes[0]


def test_a_training_is_resumed_on_the_gpu_to_the_same_bits(run) -> None:
    constant = ["--lr", "0.01", "--dropout", "0.1", "--schedule", "constant"]
    train(run, "gpu", *constant)
    whole = parameters("gpu.safetensors")
    train(run, "gpu", *constant, "--epochs", "2", "--checkpoint", "kept")
    assert not np.array_equal(parameters("gpu.safetensors"), whole)
    train(run, "gpu", *constant, "--checkpoint", "kept", "--resume")
    np.testing.assert_array_equal(parameters("gpu.safetensors"), whole)
