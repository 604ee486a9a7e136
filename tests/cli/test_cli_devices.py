"""``xpnet devices`` and ``xpnet parity``."""

import pytest
from command_line import BANKNOTE, Run

import xpnet.doctor.parity


def test_devices_tells_blas_kernels_threads_and_gpus(run: Run) -> None:
    told = run("devices").out
    assert all(name in told for name in ("cpu", "numpy", "kernels", "thread(s)", "gpu"))
    assert run("devices", "--json").json["blas"]["name"]


def test_numpy_and_the_strict_library_train_alike(run: Run) -> None:
    pytest.importorskip("array_api_strict")
    outcome = run("parity", "--hidden", "8")
    assert (outcome.status, "within tolerance" in outcome.out) == (0, True)
    outcome = run("parity", BANKNOTE, *["--target", "class", "--steps", "3", "--momentum", "0.9"])
    assert (outcome.status, "float64, 3 steps of 32 rows" in outcome.out) == (0, True)


def test_devices_that_differ_too_much_are_a_bug(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("array_api_strict")
    monkeypatch.setitem(xpnet.doctor.parity.TOLERANCES, "float64", (-1.0, -1.0, -1.0))
    outcome = run("parity", "--hidden", "3", "--dropout", "0.1")
    assert (outcome.status, "OUT OF TOLERANCE" in outcome.out) == (1, True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--steps 0", "steps 0 must be from 1 to 10"),
        ("--target y", "--target: it has an effect only with a table; name one"),
        ("--loss poisson", "--loss poisson: it is for counts"),
        ("--epochs 3", "No such option"),
    ],
)
def test_parity_refuses_what_cannot_be_compared(run: Run, options: str, message: str) -> None:
    outcome = run("parity", *options.split())
    assert (outcome.status, outcome.err.count("\n"), message in outcome.err) == (2, 1, True)
