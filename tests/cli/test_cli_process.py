"""The program as a process of its own: environments, closed streams, full disks, signals."""

import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command_line import BANKNOTE, QUICK, program, table

from xpnet.saving.container import read_container

pytestmark = pytest.mark.usefixtures("in_empty_directory")


def test_deterministic_gives_the_same_file_in_any_environment() -> None:
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


TRAIN = ["train", BANKNOTE, "--target", "class", *QUICK, "--out", "m.safetensors"]


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        ([*TRAIN, "--checkpoint", "kept", "--resume"], 0),  # with a note that there is none yet
        ([*TRAIN, "--optimizer", "sgd", "--lr", "1e10"], 3),
        (["train", "no.csv", "--target", "class"], 2),
    ],
    ids=["done", "diverged", "wrong input"],
)
def test_messages_that_nobody_reads_change_nothing(arguments: list[str], status: int) -> None:
    command = [sys.executable, "-m", "xpnet", *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        process.stderr.close()
        assert process.wait(60) == status
    assert Path("m.safetensors").exists() is (status == 0)


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
