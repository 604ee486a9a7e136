import json
import sys

import numpy as np
import pytest
from training_examples import LABELS, X, Y, classifier, regressor

import xpnet
from xpnet.training.metrics import METRICS


def test_history_holds_one_entry_per_epoch_and_becomes_json_and_a_data_frame():
    history = xpnet.fit(classifier(), X, LABELS, epochs=3, validation=0.2, metrics="accuracy")
    for curve in (
        history.loss,
        history.validation_loss,
        history.learning_rate,
        history.seconds,
        history.metrics["accuracy"],
    ):
        assert len(curve) == 3
    assert history.learning_rate == [0.1, 0.1, 0.1]
    assert all(each > 0.0 for each in history.seconds)
    assert history.stopped == "3 epochs done"
    stored = json.loads(json.dumps(history.to_dict()))
    assert xpnet.History(**stored) == history
    assert repr(history).startswith("History(3 epochs, loss 0.")
    assert repr(xpnet.History()) == "History(no epochs)"


def test_metrics_agree_with_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed")
    rng = np.random.default_rng(0)
    values, found = rng.normal(size=(40, 2)), rng.normal(size=(40, 2))
    assert METRICS["r2"](found, values) == pytest.approx(metrics.r2_score(values, found))
    expected = 2 * metrics.mean_absolute_error(values, found) / 2
    assert METRICS["mean_absolute_error"](found, values) == pytest.approx(expected)
    classes, scores = rng.integers(3, size=40), rng.random((40, 3))
    expected = metrics.accuracy_score(classes, scores.argmax(axis=1))
    for targets in (np.eye(3)[classes], np.eye(3)[classes] * 0.7 + 0.1):  # smoothed labels, too
        found = METRICS["accuracy"](scores / 2.0, targets.astype("float32"))
        assert found == pytest.approx(expected)
    labels = rng.integers(2, size=(40, 3))
    expected = metrics.accuracy_score(labels, scores > 0.5)
    assert METRICS["accuracy"](scores, labels) == pytest.approx(expected)


def test_progress_is_silent_without_a_terminal_and_on_standard_error_on_request(capsys):
    xpnet.fit(regressor(), X, Y, epochs=2)
    silent = capsys.readouterr()
    assert silent.out == silent.err == ""
    xpnet.fit(regressor(), X, Y, epochs=2, progress=True, validation=0.2)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "2/2" in shown.err
    assert "validation" in shown.err


def test_progress_is_shown_in_a_terminal_and_in_a_notebook(monkeypatch):
    from xpnet.training.callbacks import wants_progress

    assert not wants_progress(None)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert wants_progress(None)
    assert not wants_progress(False)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False)
    monkeypatch.setitem(sys.modules, "ipykernel", object())
    assert wants_progress(None)


def test_a_picture_that_cannot_be_written_is_refused_with_the_remedy(tmp_path):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    history = xpnet.fit(regressor(), X, Y, epochs=2)
    nowhere = tmp_path / "none" / "losses.png"
    with pytest.raises(
        xpnet.SaveError, match=r"none/losses.png: cannot save: No such file .*; create the dir"
    ):
        history.plot(nowhere)
    with pytest.raises(xpnet.InputError, match=r"losses.xyz: end the name in .png, .svg or .pdf"):
        history.plot(tmp_path / "losses.xyz")
    assert not list(tmp_path.iterdir())


def test_a_notebook_shows_the_plot_and_the_layers(monkeypatch):
    pytest.importorskip("matplotlib")
    history = xpnet.History(loss=[2.0, 1.0], validation_loss=[2.0, 1.5])
    assert "<svg" in history._repr_html_()
    own = xpnet.Activation("a<b", lambda xp, z: z, lambda xp, d_a, z, a: d_a)
    shown = xpnet.MLP([4, 3, 1], hidden=own)._repr_html_()
    assert "<td>4 → 3</td><td>a&lt;b</td><td>15</td>" in shown
    assert "<b" not in shown
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert history._repr_html_() is None


def test_the_logger_xpnet_is_silent_unless_asked(caplog, capfd):
    net, x = xpnet.MLP([1, 1]), [[1.0], [2.0]]
    xpnet.fit(net, x, [1.0, 2.0], epochs=1, progress=False)
    assert capfd.readouterr() == ("", "")
    with caplog.at_level("DEBUG", logger="xpnet"):
        xpnet.fit(net, x, [1.0, 2.0], epochs=2, progress=False)
    epochs, end = caplog.messages[:-1], caplog.messages[-1]
    assert [each.partition(":")[0] for each in epochs] == ["epoch 1", "epoch 2"]
    assert end.endswith("2 epochs done")
