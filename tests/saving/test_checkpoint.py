import pytest
from checkpoint_runs import StopAt, bits, names, network, steps_of, train

from xpnet.errors import InputError, SaveError
from xpnet.saving.checkpoint import Checkpoint, checkpoints
from xpnet.saving.model import load_model


def test_the_newest_k_and_the_best_are_kept(tmp_path):
    history = train(network(), [Checkpoint(tmp_path, keep=2)], epochs=12)
    steps = [-(-81 // 16) * epoch for epoch in (11, 12)]
    kept = [f"checkpoint-{step:010d}.safetensors" for step in steps]
    assert names(tmp_path) == ["best.safetensors", *kept]
    best = load_model(tmp_path / "best.safetensors")
    lowest = min(history.validation_loss)
    assert best.training["monitored_loss"] == lowest
    assert history.validation_loss[best.training["epoch"] - 1] == lowest


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


def test_saving_at_every_step_keeps_exactly_k_files(tmp_path):
    train(network(), [Checkpoint(tmp_path, every="1 step", keep=2)], epochs=40, validation=None)
    assert len(names(tmp_path)) == 3


@pytest.mark.parametrize(
    ("every", "saves"), [("2", 3), ("2 epochs", 3), ("4 steps", 9), ("1000 seconds", 1)]
)
def test_the_interval_is_in_epochs_steps_or_seconds(tmp_path, every, saves):
    train(network(), [Checkpoint(tmp_path, every=every, keep=99)], epochs=6)
    assert len(checkpoints(tmp_path)) == saves


def test_every_so_many_seconds_is_also_within_an_epoch(tmp_path):
    train(network(), [Checkpoint(tmp_path, every="0.000001 seconds", keep=99)], epochs=2)
    assert len(checkpoints(tmp_path)) == 12


@pytest.mark.parametrize("every", ["", "often", "0", "0 steps", "-1", "1.5 epochs", "5 days"])
def test_an_interval_that_is_not_understood_is_refused(tmp_path, every):
    with pytest.raises(InputError, match="write for example '5 epochs', '30 seconds'"):
        Checkpoint(tmp_path, every=every)


@pytest.mark.parametrize("keep", [0, -1, 2.5, "3", None])
def test_anything_but_a_number_of_files_to_keep_is_refused(tmp_path, keep):
    with pytest.raises(InputError, match=f"keep {keep!r} must be an integer >= 1"):
        Checkpoint(tmp_path, keep=keep)


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


def test_a_place_that_cannot_be_written_is_refused_before_the_first_step(tmp_path):
    (tmp_path / "file").write_text("x")
    net = network()
    before = bits(net)
    with pytest.raises(SaveError, match="cannot make the directory for checkpoints"):
        train(net, [Checkpoint(tmp_path / "file")])
    with pytest.raises(SaveError, match="cannot make the directory for checkpoints"):
        train(net, [Checkpoint(tmp_path / "file" / "below")])
    assert bits(net) == before


def test_a_disk_that_fails_on_the_way_keeps_what_was_saved(tmp_path, monkeypatch):
    import xpnet.backend.files

    with pytest.raises(RuntimeError):
        train(network(), [Checkpoint(tmp_path, every="3 steps"), StopAt(7)])
    before = {name: (tmp_path / name).read_bytes() for name in names(tmp_path)}

    class Failing(StopAt):
        def on_batch_end(self, training):
            if training.state.step == 8:
                monkeypatch.setattr(xpnet.backend.files.os, "fsync", fail)

    def fail(descriptor):
        raise OSError(28, "No space left on device")

    with pytest.raises(SaveError, match="No space left on device"):
        train(network(), [Failing(8), Checkpoint(tmp_path, every="3 steps", resume=True)])
    monkeypatch.undo()
    assert {name: (tmp_path / name).read_bytes() for name in names(tmp_path)} == before
