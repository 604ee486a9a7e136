"""`xpnet sweep`: many settings on one table, the best as a command."""

import json
import math
import os
import shlex
import signal
import sys
import time
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from subprocess import PIPE, Popen

import pytest
from command_line import BANKNOTE, Run, program, regression, table

from xpnet.backend.processes import in_processes
from xpnet.cli import sweep as module

pytestmark = pytest.mark.usefixtures("in_empty_directory")

SHORT = ["--steps", "100", "--dropout", "0"]
SWEEP = ["sweep", "heights.csv", "--target", "height", *SHORT, "--seeds", "2", "--json"]


def test_the_best_is_a_train_command_that_gives_the_same_scores(run: Run) -> None:
    regression()
    report = run(*SWEEP, "--lr", "0.001", "0.03", "--hidden", "4", "8,8", "none").json
    assert len(report["candidates"]) == report["trained"] == 6
    losses = [each["loss"] for each in report["candidates"]]
    assert losses == sorted(losses)
    for each in (report["candidates"][0], report["candidates"][-1]):
        assert len(each["losses"]) == 2
        again = run(*shlex.split(each["command"])[1:], "--json").json
        assert again["networks"] == 2
        assert again["scores"]["rows"] == each["scores"]["rows"]
        assert again["scores"]["r2"] == pytest.approx(each["scores"]["r2"], rel=1e-3)
    assert report["best"] == report["candidates"][0]["command"]


def test_classes_are_compared_by_log_loss_and_shown_with_their_accuracy(run: Run) -> None:
    outcome = run(
        "sweep", BANKNOTE, "--target", "class", *SHORT, "--simple", "--lr", "1e-9..0.01:2"
    )
    assert outcome.status == 0, outcome.err
    assert "log loss" in outcome.out
    best, worst = outcome.out.splitlines()[3:5]
    assert best.endswith("--lr 0.01")
    assert worst.endswith("--lr 1e-09")
    assert float(best.split()[0]) < 0.3 < float(worst.split()[0])
    assert outcome.out.splitlines()[-1].split()[:3] == ["best", "xpnet", "train"]


def test_several_targets_are_swept_together(run: Run) -> None:
    lines = [f"{i % 7},{i % 5},{i % 7 + i % 5},{i % 7 - i % 5}" for i in range(80)]
    table("two.csv", "\n".join(["a,b,sum,difference", *lines]) + "\n")
    words = ["two.csv", "--target", "sum,difference", "--task", "regression", *SHORT, "--json"]
    report = run("sweep", *words, "--lr", "1e-6", "0.02").json
    assert report["target"] == "sum,difference"
    best, worst = (each["loss"] for each in report["candidates"])
    assert best < 0.5 < worst


def test_what_is_finished_is_not_trained_again(run: Run, monkeypatch) -> None:
    path, read = regression(), []
    monkeypatch.setattr(module, "read_task", counting(module.read_task, read))
    first = run(*SWEEP, "--lr", "0.01", "0.03", "--hidden", "4").json
    more = run(*SWEEP, "--lr", "0.01", "0.1", "--hidden", "4").json
    assert (first["trained"], more["trained"], len(read)) == (2, 1, 2)
    assert len(Path("heights.sweep.jsonl").read_text().splitlines()) == 3
    path.write_text(path.read_text().replace("1", "2"))
    assert run(*SWEEP, "--lr", "0.01", "--hidden", "4").json["trained"] == 1


def counting(function, calls):
    def counted(*given, **named):
        calls.append(given)
        return function(*given, **named)

    return counted


def test_a_sweep_that_is_stopped_keeps_the_shapes_that_are_done(run: Run, monkeypatch) -> None:
    regression()
    together, calls = module.train_together, []

    def stopped(runs):
        calls.append(runs)
        if len(calls) == 2:
            raise KeyboardInterrupt
        together(runs)

    monkeypatch.setattr(module, "train_together", stopped)
    monkeypatch.setattr(module, "processors", lambda: 1)
    words = [*SWEEP, "--lr", "0.01", "0.03", "--hidden", "4", "6"]
    assert run(*words).status == 130
    lines = Path("heights.sweep.jsonl").read_text().splitlines()
    assert [json.loads(line)["hidden"] for line in lines] == ["4", "4"]
    assert run(*words).json["trained"] == 2


@pytest.mark.process
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux forks")
def test_shapes_trained_in_processes_of_their_own_give_the_same_candidates(run, monkeypatch):
    regression()
    words = [*SWEEP, "--lr", "0.01", "0.03", "--hidden", "4", "8,8", "none"]
    monkeypatch.setattr(module, "processors", lambda: 1)
    alone = run(*words, "--out", "alone").json["candidates"]
    monkeypatch.setattr(module, "processors", lambda: 2)
    outcome = run(*words, "--out", "shared")
    assert outcome.json["candidates"] == alone
    assert [int(line.split()[1]) for line in outcome.err.splitlines()] == [2, 4, 6]


@pytest.mark.process
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux forks")
def test_what_fails_in_a_process_is_told_as_without(run, monkeypatch):
    regression()
    here, trained = os.getpid(), module.train_together

    def killed(runs):
        if os.getpid() != here:
            os.kill(os.getpid(), signal.SIGKILL)
        trained(runs)

    monkeypatch.setattr(module, "processors", lambda: 2)
    refused = run(*SWEEP, "--lr", "0.01", "--hidden", "4", "8,x", "--out", "refused")
    assert (refused.status, "--hidden '8,x'" in refused.err) == (2, True)
    monkeypatch.setattr(module, "train_together", killed)
    assert run(*SWEEP, "--lr", "0.01", "--hidden", "4", "8").json["trained"] == 2


@pytest.mark.process
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux forks")
def test_a_signal_is_not_for_the_processes_and_one_that_leaves_gives_nothing(monkeypatch):
    fork = os.fork

    def interrupted():
        process = fork()
        if not process:
            os.kill(os.getpid(), signal.SIGINT)
        return process

    assert sorted(in_processes(lambda item: os._exit(0), [1, 2], 2)) == [(1, None), (2, None)]
    slow = (time.sleep(0.05 * bool(item)) or item for item in range(9))  # it has ended by then
    assert all(result is None for _, result in in_processes(lambda item: os._exit(0), slow, 2))
    monkeypatch.setattr(os, "fork", interrupted)
    assert sorted(in_processes(str, [1, 2], 2)) == [(1, "1"), (2, "2")]
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, ())


@pytest.mark.process
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux forks")
def test_other_processes_of_the_program_are_left_alone():
    other = get_context("fork").Process(target=signal.pause)
    other.start()
    try:
        assert dict(in_processes(abs, [-1], 2)) == {-1: 1}
        assert other.is_alive()
    finally:
        other.kill()
        other.join()


CLUSTER = """
from distributed import LocalCluster
with LocalCluster(2, threads_per_worker=1, dashboard_address=None) as cluster:
    print(cluster.scheduler_address, flush=True)
    input()
"""


@pytest.mark.untraced
@pytest.mark.process
@pytest.mark.skipif(find_spec("distributed") is None, reason="Dask is not installed")
def test_workers_of_a_dask_cluster_give_the_bits_of_this_machine(run: Run) -> None:
    """In processes of their own: Dask leaves threads behind."""
    regression()
    words = [*SWEEP, "--deterministic", "--lr", "0.01", "0.03", "--hidden", "4", "8,8", "none"]
    here = run(*words).json["candidates"]
    command = [sys.executable, "-c", CLUSTER]
    with Popen(command, stdin=PIPE, stdout=PIPE, text=True) as cluster:
        assert cluster.stdout is not None
        again = [*words, "--out", "there", "--scheduler", cluster.stdout.readline().strip()]
        done = program(*again, timeout=300)
        cluster.communicate("\n")
    there = json.loads(done.stdout)
    assert there["trained"] == 6
    assert "there: 2 finished candidates" in done.stderr  # they are kept as they come
    assert there["candidates"] == here
    unreachable = program(*words, "--out", "nowhere", "--scheduler", "host")
    assert unreachable.returncode == 2
    assert "cannot be reached" in unreachable.stderr


def test_one_that_diverges_is_last_and_the_others_are_unharmed(run: Run) -> None:
    regression()
    words = [*SWEEP, "--hidden", "4", "--optimizer", "sgd"]
    report = run(*words, "--lr", "1e9", "0.01").json
    assert [each["loss"] is None for each in report["candidates"]] == [False, True]
    assert report["candidates"][1]["stopped"] == "diverged"
    outcome = run(*words, "--lr", "1e9")
    assert outcome.status == 3
    assert "1 candidate tried, none without diverging; lower --lr" in outcome.err


def test_a_skewed_target_is_modelled_for_each_candidate_as_train_does(run: Run) -> None:
    lines = [f"{i % 17},{i % 5},{math.exp((i % 17) / 4 + (i % 5)):.5g}" for i in range(300)]
    table("skewed.csv", "\n".join(["a,b,cost", *lines]) + "\n")
    words = ["skewed.csv", "--target", "cost", "--steps", "300", "--hidden", "16"]
    report = run("sweep", *words, "--seeds", "1", "--lr", "1e-6..0.02:2", "--json").json
    logarithms = []
    for each in report["candidates"]:  # one learns the logarithm, the other does not
        again = run(*shlex.split(each["command"])[1:], "--json").json
        logarithms.append("target" in again["decisions"])
        assert each["scores"]["r2"] == pytest.approx(again["scores"]["r2"], rel=1e-2)
    assert sorted(logarithms) == [False, True]


def test_results_are_drawn_over_what_was_varied(run: Run) -> None:
    pytest.importorskip("matplotlib")
    regression()
    outcome = run(*SWEEP, "--lr", "0.01..0.1", "--hidden", "4", "8", "--plot", "results.svg")
    assert outcome.status == 0, outcome.err
    picture = Path("results.svg").read_text()
    assert picture.startswith("<?xml")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--lr", "0..1"], "--lr 0..1: write numbers, or a range of them above 0"),
        (["--lr", "0.1..0.01"], "--lr 0.1..0.01: write numbers"),
        (["--dropout", "much"], "--dropout much: write numbers"),
        (["--hidden", "4", "x"], "--hidden 'x': write the units"),
        (["--activation", "relu", "rectified"], "'rectified'"),
        (["--optimizer", "lbfgs"], "--optimizer lbfgs: it has no steps"),
        (["--validation", "0"], "--validation 0: candidates are compared on rows held out"),
        (["--seeds", "0"], "--seeds 0: give a number from 1 to 100"),
        (["--hidden", "4", "8", "--plot", "a.svg"], "--plot: it shows losses over --lr"),
        (["--out", "heights.csv"], "heights.csv: this command reads it"),
    ],
)
def test_what_cannot_be_swept_is_said_before_anything_is_trained(
    run: Run, options: list[str], message: str
) -> None:
    regression()
    outcome = run("sweep", "heights.csv", "--target", "height", *options)
    assert outcome.status == 2
    assert message in outcome.err
    assert not list(Path().glob("*.jsonl"))


@pytest.mark.parametrize("text", ["a,b\n1,2\n", '{"command": "xpnet train"}\n', "3\n"])
def test_a_file_that_is_no_sweeps_is_left_alone(run: Run, text: str) -> None:
    regression()
    table("kept.txt", text)
    outcome = run(*SWEEP, "--out", "kept.txt")
    assert outcome.status == 2
    assert "kept.txt: not a file written by xpnet sweep; name another with --out" in outcome.err
    assert Path("kept.txt").read_text() == text
