"""What becomes of a training that is killed, or told to stop by Ctrl-C, SIGTERM or SIGHUP."""

import pickle
import signal

import pytest
from checkpoint_runs import bits, network, steps_of, train, without_seconds
from crash_runs import kill_trainings

import xpnet
from xpnet.backend.signals import Interrupted, interrupt_on_signals
from xpnet.saving.checkpoint import Checkpoint, checkpoints
from xpnet.saving.container import read_container

EXIT_CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}


@pytest.fixture
def as_a_command():
    """Handle signals as a command does, within the test."""
    before = {number: signal.getsignal(number) for number in EXIT_CODES}
    interrupt_on_signals()
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.untraced
@pytest.mark.process
def test_kills_and_signals_at_random_instants_and_resumes_give_the_same_bits(tmp_path):
    numbers = (signal.SIGKILL, *EXIT_CODES)
    counts = kill_trainings(4, 1, tmp_path, seed=1, signals=numbers)
    assert counts["bit-identical"] == counts["runs"] >= 1
    assert counts["kills"] >= 4
    bad = ("unreadable files", "locks left", "wrong exit codes")
    assert [counts[name] for name in bad] == [0, 0, 0]


class Press:
    """Press Ctrl-C or send another signal, once or twice, in the middle of a step."""

    def __init__(self, times=1, number=signal.SIGINT):
        self.times, self.number = times, number

    def on_batch_end(self, training):
        if training.state.step == 7:
            for _ in range(self.times):
                signal.raise_signal(self.number)


@pytest.mark.parametrize("number", EXIT_CODES)
def test_a_command_saves_the_very_step_and_gives_the_shells_exit_code(
    tmp_path, number, as_a_command
):
    whole, net, stopped = network(), network(), network()
    train(whole)
    handler = signal.getsignal(number)
    with pytest.raises(Interrupted) as caught:
        train(stopped, [Press(number=number), Checkpoint(tmp_path)])
    assert caught.value.exit_code == EXIT_CODES[number]
    assert str(caught.value) == f"stopped by {number.name}"
    elsewhere = pickle.loads(pickle.dumps(caught.value))  # noqa: S301  # as a worker returns it
    assert (str(elsewhere), elsewhere.exit_code) == (str(caught.value), EXIT_CODES[number])
    assert signal.getsignal(number) is handler
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


def test_a_handler_of_the_programs_own_stays_its_own():
    pressed = []
    before = signal.signal(signal.SIGINT, lambda number, frame: pressed.append(number))
    try:
        train(network(), [Press()])
    finally:
        signal.signal(signal.SIGINT, before)
    assert pressed == [signal.SIGINT]


@pytest.mark.parametrize("step", [1, 6])
def test_a_step_that_a_second_signal_cuts_short_is_not_saved(tmp_path, step):
    class Pressed(xpnet.SGD):
        def step(self, *given):
            pressed.append(None)
            if len(pressed) == step:
                signal.raise_signal(signal.SIGINT)
                signal.raise_signal(signal.SIGINT)
            super().step(*given)

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
