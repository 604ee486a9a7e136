"""``xpnet devices`` and ``xpnet parity``."""

import pytest
from command_line import BANKNOTE, Run

import xpnet.doctor.parity

pytestmark = pytest.mark.usefixtures("in_empty_directory")


def test_devices_tells_blas_and_gpus(run: Run) -> None:
    told = run("devices").out
    assert all(name in told for name in ("cpu", "numpy", "kernels", "gpu"))
    assert run("devices", "--json").json["blas"]["name"]


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
    tolerance = xpnet.doctor.parity.Tolerance(-1.0, -1.0, -1.0)
    monkeypatch.setitem(xpnet.doctor.parity.TOLERANCES, "float64", tolerance)
    outcome = run("parity", "--hidden", "3", "--dropout", "0.1")
    assert outcome.status == 1
    assert "OUT OF TOLERANCE" in outcome.out


@pytest.mark.parametrize("options", ["--steps 0", "--device gpu:99", "--init warm"])
def test_parity_refuses_what_cannot_be_compared(run: Run, options: str) -> None:
    assert run("parity", *options.split()).status == 2


@pytest.mark.parametrize("option", ["--target y", "--task binary", "--raw", "--drop a"])
def test_parity_without_a_table_takes_no_options_of_tables(run: Run, option: str) -> None:
    outcome = run("parity", *option.split())
    assert (outcome.status, outcome.err.count("\n")) == (2, 1)
    assert f"{option.split()[0]}: it has an effect only with a table; name one" in outcome.err


def test_parity_without_a_table_has_no_counts(run: Run) -> None:
    outcome = run("parity", "--loss", "poisson")
    assert (outcome.status, outcome.err.count("\n")) == (2, 1)
    assert "--loss poisson: it is for counts, but the generated table has classes" in outcome.err
