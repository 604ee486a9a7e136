"""How often a training waits for the GPU, and what it gives it: counted, which no real GPU does."""

import numpy as np
import pytest

import xpnet
from xpnet.backend.device import open_device

pytestmark = [pytest.mark.cuda, pytest.mark.usefixtures("emulator")]
RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((40, 4)), RNG.standard_normal((40, 2))
WAYS = {
    "eager": {"fuse": False, "graph": False},
    "fused": {"fuse": True, "graph": False},
    "graph": {"fuse": False, "graph": True},
    "fused graph": {"fuse": True, "graph": True},
}


class Watch:
    """A callback that counts each step, and each epoch from its start to where it has ended."""

    def __init__(self, emulator):
        self.counts, self.steps, self.epochs = emulator.counts, [], []

    def on_epoch_start(self, training):
        self.start = self.before = self.counts()

    def on_batch_end(self, training):
        self.steps.append(self.since(self.before))
        self.before = self.counts()

    def on_epoch_end(self, training):
        self.epochs.append(self.since(self.start))

    def since(self, before):
        return {name: number - before[name] for name, number in self.counts().items()}


def watched(emulator, way, *, dtype="float32", epochs=4, **options):
    """Train with batches of 8, five in an epoch; return the watch."""
    net = xpnet.MLP([4, 8, 2], hidden="tanh", dtype=dtype, device=open_device("gpu", **WAYS[way]))
    watch = Watch(emulator)
    settings = {"epochs": epochs, "batch_size": 8, "progress": False, **options}
    xpnet.fit(net, X, Y, callbacks=[watch], **settings)
    return watch


@pytest.mark.parametrize("way", WAYS)
def test_a_step_never_waits_and_an_epoch_reads_back_once(emulator, way):
    watch = watched(emulator, way, schedule="cosine", clip_norm=1.0, optimizer=xpnet.Adam(0.01))
    assert [step["waits"] for step in watch.steps] == [0] * 20
    assert [step["copy_out"] for step in watch.steps] == [0] * 20
    assert [epoch["waits"] for epoch in watch.epochs] == [1] * 4
    assert [epoch["copy_out"] for epoch in watch.epochs] == [1] * 4


def test_a_validation_is_read_back_with_the_loss_of_the_epoch(emulator):
    watch = watched(emulator, "fused", validation=(X, Y))
    assert [epoch["waits"] for epoch in watch.epochs] == [1] * 4


def test_fusing_saves_kernels_and_a_graph_saves_nearly_all(emulator):
    eager, fused, graph = (
        watched(emulator, way).steps[-2] for way in ("eager", "fused", "fused graph")
    )
    assert fused["kernel"] < eager["kernel"]
    assert fused["product"] == eager["product"] > 0
    assert (graph["graph"], graph["product"]) == (1, 0)
    assert graph["kernel"] <= 4  # coefficients, and the sum of the losses
    assert graph["executed_product"] == eager["product"]


@pytest.mark.parametrize("way", WAYS)
def test_a_training_in_float32_computes_nothing_in_float64(emulator, way):
    emulator.kernels()
    watched(emulator, way, dtype="float32", l2=1e-3, clip_norm=1.0, optimizer=xpnet.Adam(0.01))
    names = emulator.kernels()
    assert any("CArray<float" in name for name in names)
    assert not [name for name in names if "CArray<double" in name]
