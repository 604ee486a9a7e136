import warnings

import numpy as np
import pytest
from checkpoint_runs import StopAt, X, Y, bits, names, network, steps_of, train, without_seconds

import xpnet
from xpnet.errors import DivergenceError, FileError, InputError, SaveError
from xpnet.nn.activations import Activation
from xpnet.nn.schedules import Linear, Warmup
from xpnet.saving.checkpoint import Checkpoint, checkpoints
from xpnet.saving.container import read_container


def test_the_newest_k_are_kept(tmp_path):
    train(network(), [Checkpoint(tmp_path, keep=2)], epochs=4)
    assert names(tmp_path) == [f"checkpoint-{step:010d}.safetensors" for step in (18, 24)]


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


@pytest.mark.parametrize(
    ("every", "saves"),
    [("2", 3), ("4 steps", 9), ("1000 seconds", 1), ("0.000001 seconds", 36)],
)
def test_the_interval_is_in_epochs_steps_or_seconds(tmp_path, every, saves):
    train(network(), [Checkpoint(tmp_path, every=every, keep=99)], epochs=6)
    assert len(checkpoints(tmp_path)) == saves


@pytest.mark.parametrize(
    ("option", "message"),
    [
        *(({"every": each}, "write for example '5 epochs', '30 seconds'")
          for each in ("often", "0 steps", "-1", "1.5 epochs")),
        *(({"keep": each}, f"keep {each!r} must be an integer >= 1") for each in (0, 2.5, "3")),
    ],
)  # fmt: skip
def test_options_that_are_not_understood_are_refused(tmp_path, option, message):
    with pytest.raises(InputError, match=message):
        Checkpoint(tmp_path, **option)


def test_an_earlier_training_is_not_overwritten(tmp_path):
    train(network(), [Checkpoint(tmp_path)])
    before = {name: (tmp_path / name).read_bytes() for name in names(tmp_path)}
    with pytest.raises(SaveError, match=r"holds a training run \(checkpoint-\d+.*resume it"):
        train(network(), [Checkpoint(tmp_path)])
    assert {name: (tmp_path / name).read_bytes() for name in names(tmp_path)} == before


def test_a_second_training_in_one_directory_is_refused(tmp_path):
    class Second:
        def on_epoch_end(self, training):
            with pytest.raises(SaveError, match="another run is writing here"):
                train(network(), [Checkpoint(tmp_path, resume=True)])

    train(network(), [Checkpoint(tmp_path), Second()], epochs=1)
    assert "checkpoint.lock" not in names(tmp_path)


CASES = {
    "Adam": {},
    "AdamW": {"optimizer": xpnet.AdamW(0.01)},
    "momentum": {"optimizer": xpnet.SGD(0.1, momentum=0.9, nesterov=True)},
    "plain": {"optimizer": xpnet.SGD(0.1), "schedule": "plateau"},
    "in order": {"shuffle": False},
    "NumPy's numbers": {"optimizer": xpnet.Adam(np.float32(0.01)), "l2": np.float64(0.01)},
    "best": {"early_stopping": 2, "optimizer": xpnet.SGD(2.0)},
    "no validation": {"validation": None, "l2": 0.01, "l1": 0.001, "clip_norm": 1.0},
}


@pytest.mark.untraced
@pytest.mark.parametrize("case", CASES)
def test_a_resumed_training_ends_with_the_same_bits(tmp_path, case):
    dtype = "float32" if len(case) % 2 else "float64"
    whole = network(dtype=dtype)
    expected = without_seconds(train(whole, **CASES[case]))
    for crash in (1, 6, 13):
        directory = tmp_path / str(crash)
        crashing = [Checkpoint(directory, every="1 step"), StopAt(crash)]
        with pytest.raises(RuntimeError):
            train(network(dtype=dtype), crashing, **CASES[case])
        net, checkpoint = network(dtype=dtype), Checkpoint(directory, resume=True)
        history = train(net, [checkpoint], **CASES[case])
        assert checkpoint.resumed_from == directory / f"checkpoint-{crash:010d}.safetensors"
        assert bits(net) == bits(whole)
        assert without_seconds(history) == expected


@pytest.mark.untraced
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


@pytest.mark.parametrize("crash", [1, 9])
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


def test_a_network_with_an_activation_of_ones_own_can_be_resumed(tmp_path):
    own = Activation("mine", lambda xp, z: z * 0.5, lambda xp, d_a, z, a: d_a * 0.5)
    whole, net = network(hidden=own), network(hidden=own)
    train(whole)
    with pytest.raises(RuntimeError):
        train(network(hidden=own), [Checkpoint(tmp_path / "a", every="2 steps"), StopAt(9)])
    train(net, [Checkpoint(tmp_path / "a", resume=True)])
    assert bits(net) == bits(whole)


def test_a_broken_newest_checkpoint_falls_back_and_says_so(tmp_path):
    whole, net = network(), network()
    train(whole)
    with pytest.raises(RuntimeError):
        train(network(), [Checkpoint(tmp_path, every="3 steps"), StopAt(10)])
    files = checkpoints(tmp_path)
    assert [steps_of(each) for each in files] == [3, 6, 9]
    for path in files[1:]:
        path.write_bytes(path.read_bytes()[:-7])
    checkpoint = Checkpoint(tmp_path, every="4 steps", resume=True)
    message = rf"not in safetensors format.*Continuing from {files[0].name}"
    with pytest.warns(UserWarning, match=message):
        train(net, [checkpoint])
    assert checkpoint.resumed_from == files[0]
    assert bits(net) == bits(whole)


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


OTHER = {
    "batch_size": ({"batch_size": 17}, r"batch_size was '16' and is now '17'"),
    "optimizer": ({"optimizer": xpnet.SGD(0.1)}, r"optimizer was 'Adam\(.*is now 'SGD\("),
    "schedule": ({"schedule": None}, "schedule was"),
    "loss": ({"loss": "squared_error"}, "loss was 'binary_cross_entropy' and is now 'squared_err"),
    "seed": ({"seed": 6}, "seed was '5' and is now '6'"),
    "metrics": ({"metrics": []}, "metrics was 'accuracy' and is now ''"),
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


@pytest.mark.parametrize("schedule", [Warmup(3, then=Linear()), "cosine", "step"])
def test_another_number_of_epochs_is_noted_if_the_schedule_depends_on_it(tmp_path, schedule):
    train(network(), [Checkpoint(tmp_path)], epochs=2, schedule=schedule)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        train(network(), [Checkpoint(tmp_path, resume=True)], epochs=4, schedule=schedule)
    told = [each for each in caught if "was laid out for 2 epochs" in str(each.message)]
    assert len(told) == (schedule != "step")


def test_other_data_and_other_networks_are_not_resumed(tmp_path):
    train(network(), [Checkpoint(tmp_path)], epochs=2)
    other = xpnet.MLP([4, 9, 1], hidden="tanh", output="sigmoid", dropout=0.2, seed=5)
    with pytest.raises(InputError, match=r"sizes was \[4, 9, 7, 1\] and is now \[4, 9, 1\]"):
        train(other, [Checkpoint(tmp_path, resume=True)])
    with pytest.raises(InputError, match="data was"):
        xpnet.fit(
            network(), X + 1e-3, Y, optimizer=xpnet.Adam(0.01), batch_size=16, validation=0.2,
            schedule="cosine", metrics=["accuracy"], callbacks=[Checkpoint(tmp_path, resume=True)],
        )  # fmt: skip
