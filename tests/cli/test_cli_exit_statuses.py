"""Every exit status, with what is said on standard error."""

import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from command_line import BANKNOTE, Run

import xpnet
from xpnet.backend.files import lock
from xpnet.backend.signals import Interrupted
from xpnet.saving.model import load_model

pytestmark = pytest.mark.usefixtures("in_empty_directory")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        # the command line itself
        ("--hidden=", "--hidden '': it is empty; give a value, or leave it out"),
        ("--lr abc", "'--lr': 'abc' is not a valid float; see xpnet train --help"),
        ("--out", "requires an argument"),
        ("--nonsense", "No such option"),
        # what would be ignored
        ("--resume", "only with --checkpoint"),
        ("--patience 3", "only with --early-stopping"),
        ("--momentum 0.5", "only with --optimizer sgd"),
        ("--groups class --validation 0", "only where a share is held out"),
        ("--drop skewness --keep skewness", "--drop skewness --keep skewness: give one of them"),
        # the table
        ("--target klass", "did you mean 'class'?"),
        ("--drop colour", "column to drop, 'colour'"),
        ("--task guess", "is not one of auto, binary"),
        ("--validation 1.5", "--validation 1.5: give a share between 0 and 1"),
        ("--validation absent.csv", "absent.csv: cannot be read: No such file"),
        # the network
        ("--hidden 8,x", "--hidden '8,x': write the units of each layer, from 1, such as 64,64"),
        ("--hidden 1000000000000000000", "0: 3,000,000,000,000,000,001 parameters or more need"),
        ("--activation wavy", "--activation 'wavy' is not known"),
        ("--device abacus", "--device 'abacus' is not known; use 'cpu', 'gpu' or 'gpu:N'"),
        # its training
        ("--loss sad", "--loss 'sad' is not known"),
        ("--loss poisson", "it is for counts, but class makes a binary task"),
        ("--class-weight x", "--class-weight 'x' is neither 'balanced' nor"),
        ("--optimizer magic", "use sgd, adam"),
        ("--lr nan", "--lr nan must be finite and above 0"),
        ("--epochs 0", "--epochs 0 must be an integer >= 1"),
        ("--checkpoint c --checkpoint-every 0", "xpnet: checkpoint every '0' is not understood"),
        # what it writes
        ("--plot loss.txt", "loss.txt: end the name in .png, .svg or .pdf"),
    ],
)
def test_wrong_input_gives_one_message_and_status_2(train: Run, options: str, message: str) -> None:
    outcome = train(*options.split())
    assert (outcome.status, outcome.out) == (2, "")
    assert message in outcome.err
    assert (outcome.err.count("\n"), "Traceback" in outcome.err) == (1, False)
    assert not list(Path().iterdir())


def test_wrong_usage_gives_status_2(run: Run) -> None:
    for arguments in ([], ["fly"], ["train"], ["predict", "a"]):
        outcome = run(*arguments)
        assert outcome.status == 2
        assert "Traceback" not in outcome.out + outcome.err
    assert run().out == run("--help").out


def test_help_and_version_give_status_0(run: Run) -> None:
    assert run("--version").out == f"xpnet {xpnet.__version__}\n"
    told = run("--help").out
    for name in ("train", "predict", "evaluate", "inspect", "doctor", "parity", "devices"):
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


def test_a_training_that_runs_away_gives_status_3_and_options_to_try(
    train: Run, model: Path
) -> None:
    before = model.read_bytes()
    outcome = train("--optimizer", "sgd", "--lr", "1e9", "--out", model)
    assert outcome.status == 3
    assert "training diverged in epoch 1: loss " in outcome.err
    assert outcome.err.count("remedy: --lr ") == 1  # the doctor's, and no other
    assert outcome.err.endswith("; no model was written\n")
    assert model.read_bytes() == before


def test_what_cannot_be_saved_gives_status_4(train: Run, run: Run, model: Path) -> None:
    for arguments in (["--out", "no/such/m.safetensors"], ["--plot", "no/such/p.png"]):
        outcome = train(*arguments)
        assert (outcome.status, "create the directory" in outcome.err) == (4, True)
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
    with lock("m.safetensors"):
        outcome = train("--out", "m.safetensors")
    assert (outcome.status, "another run is writing here" in outcome.err) == (4, True)


def fails_with(error: BaseException) -> Any:
    def load_task(*_: Any, **__: Any) -> None:
        raise error

    return load_task


def test_a_bug_shows_its_traceback_and_gives_status_1(
    train: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("xpnet.cli.train.load_task", fails_with(ZeroDivisionError("seven")))
    outcome = train()
    assert (outcome.status, outcome.out) == (1, "")
    assert "ZeroDivisionError: seven" in outcome.err
    assert "this is a bug" in outcome.err


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (MemoryError("Unable to allocate 9 EiB"), 2, "not enough memory: Unable to allocate"),
        (MemoryError(), 2, "not enough memory; use fewer rows"),
        (KeyboardInterrupt(), 130, "xpnet: stopped; nothing was saved"),
        (Interrupted(signal.SIGTERM), 143, "stopped by SIGTERM; nothing was saved"),
        (OSError(28, "No space left on device"), 4, "standard output: No space left on device"),
        (BrokenPipeError(), 0, ""),
    ],
)
def test_other_ends_have_a_status_too(
    train: Run, monkeypatch: pytest.MonkeyPatch, error: BaseException, status: int, message: str
) -> None:
    monkeypatch.setattr("xpnet.cli.train.load_task", fails_with(error))
    monkeypatch.setattr("xpnet.cli.main.discard", lambda descriptor: None)
    outcome = train()
    assert (outcome.status, message in outcome.err) == (status, True)


def test_an_interruption_tells_the_command_that_continues_if_there_is_one(
    train: Run, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped = fails_with(Interrupted(signal.SIGINT))
    monkeypatch.setattr("xpnet.cli.train.load_task", stopped)
    told = train("--checkpoint=my kept").err
    assert told.endswith("'--checkpoint=my kept' --resume\n")
    assert train("--checkpoint", "kept", "--resume").err.count("--resume") == 1
    monkeypatch.setattr("xpnet.cli.doctor.load_task", stopped)
    outcome = run("doctor", BANKNOTE, "--target", "class")
    assert (outcome.status, outcome.err) == (130, "xpnet: stopped by SIGINT.\n")
