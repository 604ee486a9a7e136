import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
from crash_runs import kill_trainings, results, start

import xpnet
from xpnet.activations import Activation
from xpnet.checkpoint import Checkpoint, checkpoints, latest
from xpnet.container import read_container, write_container
from xpnet.errors import DivergenceError, FileError, InputError, SaveError
from xpnet.model_file import load_model
from xpnet.schedules import Linear, Warmup
from xpnet.signals import Interrupted, finish_step_first

DRAW = np.random.default_rng(0)
X = DRAW.normal(size=(101, 4))
Y = (X[:, :1] * X[:, 1:2] > 0).astype(np.float64)


def network(**options):
    settings = {"hidden": "tanh", "output": "sigmoid", "dropout": 0.2, "seed": 5}
    return xpnet.MLP([4, 9, 7, 1], **settings | options)


def train(net, callbacks=(), **options):
    settings = {"optimizer": xpnet.Adam(0.01), "epochs": 6, "batch_size": 16, "validation": 0.2}
    settings |= {"schedule": "cosine", "metrics": ["accuracy"], "progress": False}
    return xpnet.fit(net, X, Y, callbacks=callbacks, **settings | options)


class StopAt:
    """Ends a run as a crash would, after a certain step."""

    def __init__(self, step):
        self.step = step

    def on_batch_end(self, training):
        if training.state.step == self.step:
            raise RuntimeError("crash")


def without_seconds(history):
    values = history.to_dict()
    del values["seconds"]
    return json.dumps(values, sort_keys=True)


def bits(net):
    return [each.tobytes() for each in net.parameters]


def names(directory):
    return sorted(each.name for each in directory.iterdir())


def steps_of(path):
    return int(path.stem.removeprefix("checkpoint-"))


CASES = {
    "Adam": {},
    "AdamW": {"optimizer": xpnet.AdamW(0.01)},
    "momentum": {"optimizer": xpnet.SGD(0.1, momentum=0.9, nesterov=True)},
    "plain": {"optimizer": xpnet.SGD(0.1), "schedule": "plateau"},
    "carry": {"last_batch": "carry"},
    "drop": {"last_batch": "drop", "shuffle": False},
    "best": {"early_stopping": 2, "optimizer": xpnet.SGD(2.0)},
    "no validation": {"validation": None, "l2": 0.01, "l1": 0.001, "clip_norm": 1.0},
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", CASES)
def test_a_resumed_training_ends_with_the_same_bits(tmp_path, case, dtype):
    whole = network(dtype=dtype)
    expected = without_seconds(train(whole, **CASES[case]))
    for crash in (1, 5, 6, 13):
        directory = tmp_path / str(crash)
        with pytest.raises(RuntimeError):
            train(
                network(dtype=dtype),
                [Checkpoint(directory, every="1 step"), StopAt(crash)],
                **CASES[case],
            )
        net, checkpoint = network(dtype=dtype), Checkpoint(directory, resume=True)
        history = train(net, [checkpoint], **CASES[case])
        assert checkpoint.resumed_from == directory / f"checkpoint-{crash:010d}.safetensors"
        assert bits(net) == bits(whole)
        assert without_seconds(history) == expected


def test_every_backend_resumes_to_the_same_bits(tmp_path, other_backend):
    def made():
        return network(device=other_backend.device)

    def host_bits(net):
        return [other_backend.host(each).tobytes() for each in net.parameters]

    whole, net = made(), made()
    train(whole)
    with pytest.raises(RuntimeError):
        train(made(), [Checkpoint(tmp_path, every="4 steps"), StopAt(11)])
    train(net, [Checkpoint(tmp_path, resume=True)])
    assert host_bits(net) == host_bits(whole)


def test_a_training_from_a_file_of_rows_is_resumed_and_told_from_another(tmp_path):
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "other.npy", X + 1.0)

    def run(net, name, callbacks=()):
        source = xpnet.RowFile(tmp_path / name)
        xpnet.fit(net, source, Y, epochs=3, callbacks=callbacks, progress=False)

    whole, net = network(), network()
    run(whole, "x.npy")
    with pytest.raises(RuntimeError):
        run(network(), "x.npy", [Checkpoint(tmp_path / "c", every="2 steps"), StopAt(7)])
    run(net, "x.npy", [Checkpoint(tmp_path / "c", resume=True)])
    assert bits(net) == bits(whole)
    with pytest.raises(InputError, match="data was"):
        run(network(), "other.npy", [Checkpoint(tmp_path / "c", resume=True)])


def test_resuming_a_training_that_had_ended_gives_its_result_again(tmp_path):
    whole = network()
    settings = {"early_stopping": 1, "optimizer": xpnet.SGD(5.0), "epochs": 50}
    expected = without_seconds(train(whole, [Checkpoint(tmp_path)], **settings))
    assert "no improvement" in expected
    before = names(tmp_path)
    net = network()
    assert without_seconds(train(net, [Checkpoint(tmp_path, resume=True)], **settings)) == expected
    assert bits(net) == bits(whole)
    assert names(tmp_path) == before


def test_more_epochs_continue_a_training_that_had_ended(tmp_path):
    whole, net = network(), network()
    expected = without_seconds(train(whole, epochs=9, schedule=None))
    train(network(), [Checkpoint(tmp_path)], epochs=4, schedule=None)
    resumed = train(net, [Checkpoint(tmp_path, resume=True)], epochs=9, schedule=None)
    assert without_seconds(resumed) == expected
    assert bits(net) == bits(whole)


@pytest.mark.parametrize("crash", [1, 2, 4, 5, 6, 8, 9])
@pytest.mark.parametrize("rate", [1e6, 0.011])  # in the first epoch, in the third
def test_a_diverging_training_diverges_alike_and_its_good_checkpoints_stay(tmp_path, rate, crash):
    settings = {"optimizer": xpnet.SGD(rate), "epochs": 9, "schedule": None, "metrics": ()}
    settings |= {"l2": 0.01, "loss": "squared_error"}
    regression = {"output": "identity", "hidden": "identity", "dropout": 0.0}

    def run(net, *callbacks):
        xpnet.fit(net, 3.0 * X, 30.0 * Y, callbacks=callbacks, progress=False, **settings)

    whole, net = network(**regression), network(**regression)
    with pytest.raises(DivergenceError) as expected:
        run(whole)
    with pytest.raises((RuntimeError, DivergenceError)):
        run(network(**regression), Checkpoint(tmp_path, every="1 step"), StopAt(crash))
    with pytest.raises(DivergenceError) as resumed:
        run(net, Checkpoint(tmp_path, every="1 step", resume=True))
    assert str(resumed.value) == str(expected.value)
    assert bits(net) == bits(whole)
    for path in checkpoints(tmp_path):
        _, tensors = read_container(path, "checkpoint", 1)
        assert np.isfinite(tensors["weights.0"]).all()


def test_the_newest_k_and_the_best_are_kept(tmp_path):
    history = train(network(), [Checkpoint(tmp_path, keep=2)], epochs=12)
    steps = [-(-81 // 16) * epoch for epoch in (11, 12)]
    kept = [f"checkpoint-{step:010d}.safetensors" for step in steps]
    assert names(tmp_path) == ["best.safetensors", *kept]
    best = load_model(tmp_path / "best.safetensors")
    lowest = min(history.validation_loss)
    assert best.training["monitored_loss"] == lowest
    assert history.validation_loss[best.training["epoch"] - 1] == lowest


def test_a_resumed_training_does_not_replace_the_best_by_a_worse_one(tmp_path):
    class Checked(Checkpoint):
        def on_train_start(self, training):
            super().on_train_start(training)
            self.known = self._best_loss

    history = train(network(), [Checkpoint(tmp_path)], epochs=3, schedule="constant")
    again = Checked(tmp_path, resume=True)
    train(network(), [again], epochs=6, schedule="constant")
    assert again.known == min(history.validation_loss)


def test_an_activation_of_ones_own_can_be_resumed_but_has_no_best_model_file(tmp_path):
    own = Activation("mine", lambda xp, z: z * 0.5, lambda xp, d_a, z, a: d_a * 0.5)
    whole, net = network(hidden=own), network(hidden=own)
    train(whole, [Checkpoint(tmp_path / "whole")])
    assert "best.safetensors" not in names(tmp_path / "whole")
    with pytest.raises(RuntimeError):
        train(network(hidden=own), [Checkpoint(tmp_path / "a", every="2 steps"), StopAt(9)])
    train(net, [Checkpoint(tmp_path / "a", resume=True)])
    assert bits(net) == bits(whole)


@pytest.mark.parametrize("broken", [1, 2])
def test_a_broken_newest_checkpoint_falls_back_and_says_so(tmp_path, broken):
    whole, net = network(), network()
    train(whole)
    with pytest.raises(RuntimeError):
        train(network(), [Checkpoint(tmp_path, every="3 steps"), StopAt(10)])
    files = checkpoints(tmp_path)
    assert [steps_of(each) for each in files] == [3, 6, 9]
    for path in files[-broken:]:
        path.write_bytes(path.read_bytes()[:-7])
    checkpoint = Checkpoint(tmp_path, every="4 steps", resume=True)
    with pytest.warns(UserWarning, match=rf"truncated.*Continuing from {files[-1 - broken].name}"):
        train(net, [checkpoint])
    assert checkpoint.resumed_from == files[-1 - broken]
    assert bits(net) == bits(whole)


def test_saving_after_a_fallback_does_not_count_the_broken_ones_as_kept(tmp_path):
    with pytest.raises(RuntimeError):
        train(network(), [Checkpoint(tmp_path, every="3 steps", keep=2), StopAt(10)])
    newest = checkpoints(tmp_path)[-1]
    newest.write_bytes(b"broken")
    with pytest.warns(UserWarning, match="Continuing from"), pytest.raises(RuntimeError):
        train(network(), [Checkpoint(tmp_path, every="1 step", keep=2, resume=True), StopAt(8)])
    assert [steps_of(each) for each in checkpoints(tmp_path)] == [7, 8, 9]
    with pytest.warns(UserWarning, match="Continuing from checkpoint-0000000008"):
        train(network(), [Checkpoint(tmp_path, resume=True)])


def test_only_broken_checkpoints_are_an_error(tmp_path):
    for step in (3, 6):
        (tmp_path / f"checkpoint-{step:010d}.safetensors").write_bytes(b"nonsense")
    with pytest.raises(FileError, match=r"none of 2 checkpoints can be read.*The newest: .*006"):
        train(network(), [Checkpoint(tmp_path, resume=True)])


def test_nothing_to_resume_begins_anew(tmp_path):
    whole, net = network(), network()
    train(whole)
    checkpoint = Checkpoint(tmp_path / "new" / "directory", resume=True)
    train(net, [checkpoint])
    assert checkpoint.resumed_from is None
    assert bits(net) == bits(whole)
    assert latest(tmp_path) is None


def test_an_earlier_training_is_not_overwritten(tmp_path):
    train(network(), [Checkpoint(tmp_path)])
    before = {name: (tmp_path / name).read_bytes() for name in names(tmp_path)}
    with pytest.raises(SaveError, match=r"holds a training already \(checkpoint-\d+.*resume it"):
        train(network(), [Checkpoint(tmp_path)])
    assert {name: (tmp_path / name).read_bytes() for name in names(tmp_path)} == before


OTHER = {
    "batch_size": ({"batch_size": 17}, r"batch_size was '16' and is now '17'"),
    "optimizer": ({"optimizer": xpnet.SGD(0.1)}, r"optimizer was 'Adam\(.*is now 'SGD\("),
    "learning rate": ({"optimizer": xpnet.Adam(0.02)}, "optimizer was"),
    "schedule": ({"schedule": None}, "schedule was"),
    "loss": ({"loss": "squared_error"}, "loss was 'binary_cross_entropy' and is now 'squared_err"),
    "seed": ({"seed": 6}, "seed was '5' and is now '6'"),
    "l2": ({"l2": 0.5}, "l2 was '0.0' and is now '0.5'"),
    "metrics": ({"metrics": []}, "metrics was 'accuracy' and is now ''"),
    "validation": ({"validation": 0.3}, "data was"),
    "no validation": ({"validation": None}, "data was"),
    "sample_weight": ({"sample_weight": np.arange(1, 102)}, "data was"),
}


@pytest.mark.parametrize("case", OTHER)
def test_another_training_is_not_resumed(tmp_path, case):
    train(network(), [Checkpoint(tmp_path)], epochs=2)
    options, message = OTHER[case]
    with pytest.raises(InputError, match=message) as caught:
        train(network(), [Checkpoint(tmp_path, resume=True)], **options)
    assert "give the same options and data, or another directory" in str(caught.value)
    assert names(tmp_path)[-1] != "checkpoint.lock"


@pytest.mark.parametrize(
    ("schedule", "told"),
    [("linear", True), ("cosine", True), (Warmup(3, then=Linear()), True),
     ("constant", False), ("step", False), ("inverse", False), ("plateau", False)],
)  # fmt: skip
def test_another_number_of_epochs_is_noted_if_the_schedule_depends_on_it(tmp_path, schedule, told):
    train(network(), [Checkpoint(tmp_path)], epochs=2, schedule=schedule)
    checkpoint = Checkpoint(tmp_path, resume=True)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        train(network(), [checkpoint], epochs=4, schedule=schedule)
    assert bool(checkpoint.note) == told
    assert [str(each.message) for each in caught] == [checkpoint.note] * told


def test_other_data_and_other_networks_are_not_resumed(tmp_path):
    train(network(), [Checkpoint(tmp_path)], epochs=2)
    with pytest.raises(InputError, match=r"sizes was \[4, 9, 7, 1\] and is now \[4, 9, 1\]"):
        train(
            xpnet.MLP([4, 9, 1], hidden="tanh", output="sigmoid", dropout=0.2, seed=5),
            [Checkpoint(tmp_path, resume=True)],
        )
    with pytest.raises(InputError, match="data was"):
        xpnet.fit(
            network(), X + 1e-3, Y, optimizer=xpnet.Adam(0.01), batch_size=16, validation=0.2,
            schedule="cosine", metrics=["accuracy"], callbacks=[Checkpoint(tmp_path, resume=True)],
        )  # fmt: skip


def test_a_second_training_in_one_directory_is_refused(tmp_path):
    class Second:
        def on_epoch_end(self, training):
            with pytest.raises(SaveError, match="another run is writing here"):
                train(network(), [Checkpoint(tmp_path, resume=True)])

    train(network(), [Checkpoint(tmp_path), Second()], epochs=1)
    assert "checkpoint.lock" not in names(tmp_path)


def test_a_place_that_cannot_be_written_is_refused_before_the_first_step(tmp_path):
    (tmp_path / "file").write_text("x")
    net = network()
    before = bits(net)
    with pytest.raises(SaveError, match="cannot make the directory for checkpoints"):
        train(net, [Checkpoint(tmp_path / "file")])
    with pytest.raises(SaveError, match="cannot make the directory for checkpoints"):
        train(net, [Checkpoint(tmp_path / "file" / "below")])
    assert bits(net) == before


@pytest.mark.parametrize("every", ["", "often", "0", "0 steps", "-1", "1.5 epochs", "5 days"])
def test_an_interval_that_is_not_understood_is_refused(tmp_path, every):
    with pytest.raises(InputError, match="write for example '5 epochs', '30 seconds'"):
        Checkpoint(tmp_path, every=every)


def test_keeping_none_is_refused(tmp_path):
    with pytest.raises(InputError, match="keep 0 must be an integer from 1"):
        Checkpoint(tmp_path, keep=0)


@pytest.mark.parametrize(
    ("every", "saves"), [("2", 3), ("2 epochs", 3), ("4 steps", 9), ("1000 seconds", 1)]
)
def test_the_interval_is_in_epochs_steps_or_seconds(tmp_path, every, saves):
    train(network(), [Checkpoint(tmp_path, every=every, keep=99)], epochs=6)
    assert len(checkpoints(tmp_path)) == saves


def test_every_so_many_seconds_is_also_within_an_epoch(tmp_path):
    train(network(), [Checkpoint(tmp_path, every="0.000001 seconds", keep=99)], epochs=2)
    assert len(checkpoints(tmp_path)) == 12


def test_saving_at_every_step_keeps_exactly_k_files(tmp_path):
    train(network(), [Checkpoint(tmp_path, every="1 step", keep=2)], epochs=40, validation=None)
    assert len(names(tmp_path)) == 3


def test_a_disk_that_fails_on_the_way_keeps_what_was_saved(tmp_path, monkeypatch):
    import xpnet.atomic

    with pytest.raises(RuntimeError):
        train(network(), [Checkpoint(tmp_path, every="3 steps"), StopAt(7)])
    before = {name: (tmp_path / name).read_bytes() for name in names(tmp_path)}

    class Failing(StopAt):
        def on_batch_end(self, training):
            if training.state.step == 8:
                monkeypatch.setattr(xpnet.atomic.os, "fsync", fail)

    def fail(descriptor):
        raise OSError(28, "No space left on device")

    with pytest.raises(SaveError, match="No space left on device"):
        train(network(), [Failing(8), Checkpoint(tmp_path, every="3 steps", resume=True)])
    monkeypatch.undo()
    assert {name: (tmp_path / name).read_bytes() for name in names(tmp_path)} == before


DAMAGED = {
    "no counters": lambda fields, tensors: fields.pop("counters"),
    "counter text": lambda fields, tensors: fields["counters"].update(epoch="x"),
    "no options": lambda fields, tensors: fields.pop("options"),
    "options list": lambda fields, tensors: fields.update(options=[]),
    "metrics unknown": lambda fields, tensors: fields.update(metrics=["r2"]),
    "no weights": lambda fields, tensors: tensors.pop("weights.1"),
    "weights NaN": lambda fields, tensors: tensors.update({"biases.0": np.full(9, np.nan, "f4")}),
    "no numbers": lambda fields, tensors: tensors.pop("numbers"),
    "numbers short": lambda fields, tensors: tensors.update(numbers=np.zeros(2)),
    "no curve": lambda fields, tensors: tensors.pop("history.loss"),
    "moments missing": lambda fields, tensors: tensors.pop("optimizer.1"),
    "moments short": lambda fields, tensors: tensors.update({"optimizer.0": np.zeros(2, "f4")}),
    "moments gap": lambda fields, tensors: tensors.update(
        {"optimizer.7": tensors.pop("optimizer.0")}
    ),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_a_checkpoint_that_xpnet_would_not_write_is_refused(tmp_path, case):
    train(network(), [Checkpoint(tmp_path)], epochs=2)
    path = checkpoints(tmp_path)[-1]
    fields, tensors = read_container(path, "checkpoint", 1)
    del fields["library"]
    DAMAGED[case](fields, tensors)
    write_container(path, "checkpoint", 1, fields, tensors)
    with pytest.raises(FileError) as caught:
        train(network(), [Checkpoint(tmp_path, resume=True)])
    assert str(caught.value).startswith(str(path))


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
        from xpnet.signals import Interrupted, interrupt_on_signals
        interrupt_on_signals()
        try:
            signal.raise_signal(getattr(signal, sys.argv[1]))
        except Interrupted as error:
            sys.exit(error.exit_code)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), name], cwd=Path(__file__).parents[1]
    )
    assert done.returncode == {"SIGINT": 130, "SIGTERM": 143, "SIGHUP": 129}[name]


def test_what_nohup_ignores_stays_ignored():
    script = """
        import signal
        from xpnet.signals import interrupt_on_signals
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        interrupt_on_signals()
        signal.raise_signal(signal.SIGHUP)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        cwd=Path(__file__).parents[1],
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
