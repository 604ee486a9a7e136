"""Compiled steps give what plain ones give: the same step, recorded and compiled."""

import numpy as np
import pytest

import xpnet
from xpnet.errors import InputError
from xpnet.nn.activations import HIDDEN
from xpnet.training import compiled
from xpnet.training.batches import Data
from xpnet.training.loop import Training, TrainingOptions

numba = pytest.importorskip("numba")
OUTPUT_OF = {
    "categorical_cross_entropy": "softmax",
    "binary_cross_entropy": "sigmoid",
    "poisson": "exp",
}


@pytest.fixture
def interpreted(monkeypatch, tmp_path):
    """The text of the compiled function as Python: what it says, without the wait for numba."""
    monkeypatch.setattr(numba.config, "DISABLE_JIT", True)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def train(compile, rows=24, sizes=(3, 5, 4, 2), dtype="float64", weighted=False, net=None, **options):
    """Train a small network for three epochs; the last batch is a short one."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows + 3, sizes[0])).astype(dtype)
    y = np.eye(sizes[-1], dtype=dtype)[rng.integers(sizes[-1], size=rows + 3)]
    weights = rng.uniform(0.5, 2, (rows + 3, 1)).astype(dtype) if weighted else None
    net = xpnet.MLP(sizes, seed=1, dtype=dtype, **(net or {}))
    given = {"epochs": 3, "batch_size": 8, "optimizer": xpnet.SGD(0.1), **options}
    training = Training(net, Data(x, y, weights), TrainingOptions(compile=compile, **given))
    training.run()
    return training


def assert_same(options):
    plain, fast = train("off", **options), train("on", **options)
    assert isinstance(fast._launches, compiled.CompiledSteps)
    scale = np.abs(plain.net.flat).max()
    np.testing.assert_allclose(fast.net.flat, plain.net.flat, rtol=0, atol=1e-11 * scale)
    np.testing.assert_allclose(fast.state.history.loss, plain.state.history.loss, rtol=1e-10)


@pytest.mark.usefixtures("interpreted")
@pytest.mark.parametrize("hidden", HIDDEN)
def test_every_activation_compiles_to_the_plain_steps_numbers(hidden):
    assert_same({"net": {"hidden": hidden, "output": "softmax"}})


@pytest.mark.usefixtures("interpreted")
@pytest.mark.parametrize("loss", xpnet.nn.losses.LOSSES)
def test_every_loss_compiles_to_the_plain_steps_numbers(loss):
    assert_same({"loss": loss, "net": {"output": OUTPUT_OF.get(loss, "tanh")}})


@pytest.mark.usefixtures("interpreted")
@pytest.mark.parametrize(
    "options",
    [
        {"optimizer": xpnet.SGD(0.1, momentum=0.9)},
        {"optimizer": xpnet.SGD(0.1, momentum=0.9, nesterov=True), "schedule": "cosine"},
        {"optimizer": xpnet.Adam(0.01), "l1": 0.01, "l2": 0.1},
        {"optimizer": xpnet.AdamW(0.01), "clip_norm": 0.1},
        {"net": {"dropout": 0.5}},
        {"weighted": True},
        {"shuffle": False, "schedule": "linear"},
        {"loss": "squared_error", "net": {"output": "softmax"}},
    ],
    ids=lambda each: ", ".join(each),
)
def test_every_option_of_training_compiles_to_the_plain_steps_numbers(options):
    assert_same(options)
