"""The program as a process of its own: environments, closed streams, full disks, signals."""

import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command_line import BANKNOTE, QUICK, Run, program, table

from xpnet.saving.container import read_container

pytestmark = [
    pytest.mark.process, pytest.mark.usefixtures("in_empty_directory"),
    pytest.mark.untraced(but=["test_a_shell_completes_commands"]),
]  # fmt: skip


def test_deterministic_gives_the_same_file_in_any_environment() -> None:
    wide = ["--hidden", "300,300", "--batch-size", "549", "--epochs", "1", "--deterministic"]
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
    command = [sys.executable, "-m", "xpnet", "predict", str(model), str(BANKNOTE)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(30) == 0


@pytest.mark.skipif(sys.platform == "win32", reason="a shell's way to close a stream")
@pytest.mark.parametrize(
    ("command", "status", "out", "err"),
    [
        ("evaluate model.safetensors DATA 2>&- <&-", 0, "data", ""),
        ("predict model.safetensors DATA >&-", 4, "", "xpnet: standard output is closed; send it"),
        ("predict model.safetensors DATA --out p.csv >&-", 0, "", "1,372 predictions"),
        ("predict model.safetensors DATA >/dev/full", 4, "", "xpnet: cannot write standard output"),
    ],
)
def test_streams_that_are_closed_or_full_lose_no_result_unsaid(
    model: Path, command: str, status: int, out: str, err: str
) -> None:
    if "/dev/full" in command and not os.path.exists("/dev/full"):
        pytest.skip("needs /dev/full")
    words = shlex.join([sys.executable, "-m", "xpnet"])
    command = f"{words} {command.replace('DATA', shlex.quote(str(BANKNOTE)))}"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert done.returncode == status
    assert (done.stdout.startswith(out), done.stderr.startswith(err)) == (True, True)
    assert bool(done.stdout) == bool(out)
    assert done.stderr.count("\n") == bool(err)


def test_a_bare_environment_will_do() -> None:
    rows = [f"{i / 9},{'ja' if i % 2 else 'nö'}" for i in range(40)]
    table("größe.csv", "\n".join(["größe,ı", *rows]))
    environment = {"LC_ALL": "C", "PYTHONIOENCODING": "ascii"}
    outcome = program("train", "größe.csv", "--target", "ı", *QUICK, env=environment)
    assert (outcome.returncode, outcome.stderr) == (0, "")
    assert "n\\xf6" in outcome.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize(("name", "status"), [("SIGINT", 130), ("SIGHUP", 129)])
def test_a_signal_saves_and_a_resumed_training_ends_the_same(
    run: Run, name: str, status: int
) -> None:
    common = ["train", BANKNOTE, "--target", "class", "--simple", "--hidden", "4",
              "--schedule", "constant", "--compile", "off",  # by itself for 10**6 epochs, not for 2
              "--batch-size", "549", "--checkpoint-every", "1 epoch"]  # fmt: skip
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
            _, err = process.communicate(timeout=300)
        finally:
            process.kill()
    assert process.returncode == status
    assert b"Traceback" not in err
    again = shlex.split(err.decode().partition("continue with: ")[2])
    assert again[-1] == "--resume"
    saved, _ = read_container(max(Path("kept").glob("checkpoint-*")), "checkpoint", 1)
    again[again.index("1000000")] = epochs = str(saved["counters"]["epoch"] + 2)
    assert run(*again[1:]).status == 0
    common += ["--epochs", epochs, "--checkpoint", "other", "--out", "n.safetensors"]
    assert run(*common).status == 0
    assert Path("m.safetensors").read_bytes() == Path("n.safetensors").read_bytes()


INTERRUPTED_WHILE = """
import os, signal, sys
wanted = sys.argv.pop(1)
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == wanted:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Finder())
from xpnet.__main__ import run
sys.exit(run())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("module", ["xpnet.cli.main", "click", "numpy", "polars", "safetensors"])
def test_ctrl_c_while_the_command_is_loading_is_one_line(module: str) -> None:
    words = ["train", str(BANKNOTE), "--target", "class", "--simple", "--epochs", "1"]
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_WHILE, module, *words],
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 130
    assert done.stderr.startswith("xpnet: stopped by SIGINT")
    assert len(done.stderr.splitlines()) == 1


def test_a_shell_completes_commands():
    asked = {"_XPNET_COMPLETE": "bash_complete", "COMP_WORDS": "xpnet tr", "COMP_CWORD": "1"}
    assert program(env=os.environ | asked).stdout.split() == ["plain,train"]
