import os
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest
from checkpoint_runs import bits, names, network, steps_of, train, without_seconds
from crash_runs import kill_trainings, results, start

import xpnet
from xpnet.backend.signals import Interrupted, finish_step_first
from xpnet.saving.checkpoint import Checkpoint, checkpoints
from xpnet.saving.container import read_container


def test_kills_at_random_instants_and_resumes_give_the_same_bits(tmp_path):
    counts = kill_trainings(12, 3, tmp_path, seed=1)
    assert counts["bit-identical"] == counts["runs"] >= 3
    assert counts["kills"] >= 12
    bad = ("unreadable files", "temporaries left", "locks left", "wrong exit codes")
    assert [counts[name] for name in bad] == [0, 0, 0, 0]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_finish_the_step_and_resume_to_the_same_bits(tmp_path, number):
    counts = kill_trainings(3, 1, tmp_path, seed=2, number=number)
    assert counts["bit-identical"] == counts["runs"] >= 1
    assert counts["kills"] >= 3
    bad = ("unreadable files", "temporaries left", "locks left", "wrong exit codes")
    assert [counts[name] for name in bad] == [0, 0, 0, 0]


def test_an_interrupted_command_saves_the_very_step_and_gives_the_shells_exit_code(tmp_path):
    with start("train", tmp_path, 1, "9999 epochs", 1000) as process:
        assert [process.stdout.readline() for _ in range(2)] == [b"training\n", b"fifth step\n"]
        process.send_signal(signal.SIGTERM)
    assert process.returncode == 143
    assert len(checkpoints(tmp_path)) == 1
    for directory in (tmp_path, tmp_path / "whole"):
        with start("train", directory, 1, "9999 epochs", 1000) as process:
            process.communicate()
        assert process.returncode == 0
    assert results(tmp_path) == results(tmp_path / "whole")


class Press:
    """Press Ctrl-C, once or twice, in the middle of a step."""

    def __init__(self, times=1):
        self.times = times

    def on_batch_end(self, training):
        if training.state.step == 7:
            for _ in range(self.times):
                signal.raise_signal(signal.SIGINT)


def test_ctrl_c_in_a_library_is_a_keyboard_interrupt_after_the_step(tmp_path):
    whole, net, stopped = network(), network(), network()
    train(whole)
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt) as caught:
        train(stopped, [Press(), Checkpoint(tmp_path)])
    assert isinstance(caught.value, Interrupted)
    assert caught.value.exit_code == 130
    assert str(caught.value) == "stopped by SIGINT"
    assert signal.getsignal(signal.SIGINT) is handler
    assert checkpoints(tmp_path)[-1].name == "checkpoint-0000000007.safetensors"
    _, tensors = read_container(checkpoints(tmp_path)[-1], "checkpoint", 1)
    assert tensors["weights.0"].tobytes() == stopped.weights[0].tobytes()
    train(net, [Checkpoint(tmp_path, resume=True)])
    assert bits(net) == bits(whole)


def test_a_second_ctrl_c_does_not_wait_for_the_step(tmp_path):
    class Later:
        called = False

        def on_batch_end(self, training):
            Later.called = training.state.step >= 7

    with pytest.raises(KeyboardInterrupt):
        train(network(), [Press(2), Later()])
    assert not Later.called


def test_ctrl_c_when_the_training_has_just_ended_is_not_lost(tmp_path):
    class AtTheEnd:
        def on_epoch_end(self, training):
            if training.state.epoch == 2:
                training.stop("enough")
                signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train(network(), [AtTheEnd(), Checkpoint(tmp_path)])
    net = network()
    assert train(net, [Checkpoint(tmp_path, resume=True)]).stopped == "enough"


def test_an_interruption_at_the_end_of_an_epoch_does_not_change_what_is_best(tmp_path):
    class AtTheEnd:
        def on_epoch_end(self, training):
            if training.state.epoch == 2:
                signal.raise_signal(signal.SIGINT)

    options = {"every": "7 steps", "resume": True}
    train(network(), [Checkpoint(tmp_path / "whole", **options)])
    with pytest.raises(KeyboardInterrupt):
        train(network(), [AtTheEnd(), Checkpoint(tmp_path / "a", **options)])
    assert "best.safetensors" not in names(tmp_path / "a")
    train(network(), [Checkpoint(tmp_path / "a", **options)])
    best = [(tmp_path / name / "best.safetensors").read_bytes() for name in ("whole", "a")]
    assert best[0] == best[1]


def test_a_handler_of_the_programs_own_stays_its_own():
    pressed = []
    before = signal.signal(signal.SIGINT, lambda number, frame: pressed.append(number))
    try:
        train(network(), [Press()])
    finally:
        signal.signal(signal.SIGINT, before)
    assert pressed == [signal.SIGINT]


def test_training_in_a_thread_leaves_signals_alone():
    failures = []

    def run():
        try:
            with finish_step_first(lambda: None):
                train(network(), epochs=1)
        except ValueError as error:  # "signal only works in main thread"
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert not failures


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_outside_of_training_a_command_stops_at_once(name):
    script = """
        import signal, sys
        from xpnet.backend.signals import Interrupted, interrupt_on_signals
        interrupt_on_signals()
        try:
            signal.raise_signal(getattr(signal, sys.argv[1]))
        except Interrupted as error:
            sys.exit(error.exit_code)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), name], cwd=Path(__file__).parents[2]
    )
    assert done.returncode == {"SIGINT": 130, "SIGTERM": 143, "SIGHUP": 129}[name]


def test_what_nohup_ignores_stays_ignored():
    script = """
        import signal
        from xpnet.backend.signals import interrupt_on_signals
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        interrupt_on_signals()
        signal.raise_signal(signal.SIGHUP)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        cwd=Path(__file__).parents[2],
        env=os.environ,
    )
    assert done.returncode == 0


@pytest.mark.parametrize("step", [1, 6])
def test_a_step_that_a_second_signal_cuts_short_is_not_saved(tmp_path, step):
    class Pressed(xpnet.SGD):
        def step(self, xp, parameters, *rest):
            pressed.append(None)
            if len(pressed) == step:
                signal.raise_signal(signal.SIGINT)
                signal.raise_signal(signal.SIGINT)
            super().step(xp, parameters, *rest)

    pressed = []
    expected = without_seconds(train(network(), optimizer=xpnet.SGD(0.1)))
    with pytest.raises(KeyboardInterrupt):
        train(network(), [Checkpoint(tmp_path, every="2 steps")], optimizer=Pressed(0.1))
    assert len(checkpoints(tmp_path)) == (0 if step == 1 else 2)  # of steps 2 and 4
    assert all(steps_of(path) < step for path in checkpoints(tmp_path))
    pressed.extend([None] * 100)
    resumed = train(network(), [Checkpoint(tmp_path, resume=True)], optimizer=Pressed(0.1))
    assert without_seconds(resumed) == expected


@pytest.mark.parametrize("callback", ["first", "last"])
def test_a_run_that_is_interrupted_before_its_first_step_saves_nothing(tmp_path, callback):
    class Early:
        def on_train_start(self, training):
            signal.raise_signal(signal.SIGINT)

    every = [Early(), Checkpoint(tmp_path)]
    with pytest.raises(KeyboardInterrupt):
        train(network(), every if callback == "first" else every[::-1])
    assert checkpoints(tmp_path) == []
    assert train(network(), [Checkpoint(tmp_path, resume=True)]).epochs == 6
