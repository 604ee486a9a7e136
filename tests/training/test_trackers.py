"""The callbacks on the page about trackers, with the trackers themselves, offline."""

import json
import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "tracking.md"
COMMON, *BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), flags=re.DOTALL)
pytestmark = pytest.mark.filterwarnings("ignore")  # those of the trackers


@pytest.fixture
def page(tmp_path, monkeypatch):
    def ran(tracker):
        pytest.importorskip(tracker)
        (block,) = (each for each in BLOCKS if re.match(rf"(import|from) {tracker}\b", each))
        callback = re.search(r"^class .*?\n\n\n", block, flags=re.DOTALL | re.MULTILINE)
        assert callback is None or callback[0].count("\n") <= 15 + 2
        names: dict[str, object] = {}
        monkeypatch.chdir(tmp_path)
        exec(compile(COMMON + block, PAGE.name, "exec"), names)
        return names

    return ran


def test_mlflow_keeps_the_curves_the_network_and_its_file(page):
    names = page("mlflow")
    client, run = names["mlflow"].MlflowClient(), names["run"].info.run_id
    for name in ("loss", "validation_loss"):
        kept = client.get_metric_history(run, name)
        assert [each.step for each in kept] == [1, 2, 3, 4, 5]
        assert [each.value for each in kept] == getattr(names["history"], name)
    assert client.get_run(run).data.params["sizes"] == "[4, 8, 1]"
    assert [each.path for each in client.list_artifacts(run)] == ["net.safetensors"]


@pytest.mark.process
def test_weights_and_biases_keeps_the_curves_offline(page, tmp_path):
    names = page("wandb")
    names["wandb"].teardown()  # waits for the process that writes the file
    history = names["history"]
    (path,) = tmp_path.glob("wandb/offline-run-*/run-*.wandb")
    kept = path.read_bytes()
    for value in (*history.loss, *history.validation_loss):
        assert json.dumps(value).encode() in kept


def test_tensorboard_keeps_the_curves(page):
    history = page("tensorboard")["history"]
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator("runs/1").Reload()
    for name in ("loss", "validation_loss"):
        kept = events.Tensors(name)
        assert [each.step for each in kept] == [1, 2, 3, 4, 5]
        found = [each.tensor_proto.float_val[0] for each in kept]
        assert found == pytest.approx(getattr(history, name), rel=1e-6)


def test_scikit_learns_monitor_scores_each_epoch(page):
    assert page("sklearn")["monitor"].get_logs().data[-1]["accuracy"] > 0.9
