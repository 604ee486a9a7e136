import dataclasses
import sys
from types import SimpleNamespace

import numpy as np
import pytest

import xpnet
from xpnet.backend.device import CPU
from xpnet.doctor.parity import compare
from xpnet.nn.activations import HIDDEN
from xpnet.nn.losses import LOSSES

RNG = np.random.default_rng(0)
X = RNG.normal(size=(50, 4))
CLASSES = RNG.integers(3, size=50)
PAIRS = [*zip(HIDDEN[::2], HIDDEN[1::2], strict=True)]


def compare_classes(
    steps=10, batch_size=16, momentum=0.0, l1=0.0, l2=0.0, other="strict", **network
):
    net = xpnet.MLP([4, 8, 6, 3], output="softmax", **{"dtype": "float64"} | network)
    fitting = {"batch_size": batch_size, "l1": l1, "l2": l2}
    return compare(net, X, CLASSES, steps=steps, momentum=momentum, other=other, **fitting)


@pytest.mark.untraced
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("hidden", PAIRS, ids="-".join)
def test_ten_steps_on_every_backend_stay_within_tolerance(other_backend, hidden, dtype):
    report = compare_classes(hidden=hidden, dtype=dtype, other=other_backend.device)
    assert report.ok, str(report)
    assert str(report).startswith("The same training on cpu and on ")
    assert report.differences[-1].step == 10


LOSSES_AND_OUTPUTS = [("identity", loss) for loss in LOSSES if loss.endswith(("_error", "huber"))]
LOSSES_AND_OUTPUTS += [
    ("tanh", "squared_error"), ("sigmoid", "binary_cross_entropy"), ("exp", "poisson"),
    ("softplus", "poisson"),
]  # fmt: skip


@pytest.mark.untraced
def test_every_loss_on_every_backend_stays_within_tolerance(other_backend):
    y = RNG.random((50, 2))
    assert {loss for _, loss in LOSSES_AND_OUTPUTS} == set(LOSSES) - {"categorical_cross_entropy"}
    for output, loss in LOSSES_AND_OUTPUTS:
        net = xpnet.MLP([4, 8, 2], output=output, dtype="float64")
        options = {"loss": loss, "learning_rate": 0.02, "steps": 5, "other": other_backend.device}
        report = compare(net, X, y, **options)
        assert report.ok, f"{loss}\n{report}"


def test_dropout_momentum_and_penalties_stay_within_tolerance(other_backend):
    report = compare_classes(
        dropout=[0.0, 0.4], momentum=0.9, l1=1e-3, l2=1e-2, other=other_backend.device
    )
    assert report.ok, str(report)
    assert all(report.same_bits.values())


@pytest.mark.untraced
def test_a_short_training_ends_with_the_same_weights(backend, no_sync):
    options = {"hidden": "tanh", "output": "softmax", "dtype": "float64", "dropout": 0.1}
    nets = [xpnet.MLP([4, 8, 3], **options, device=each) for each in ("cpu", backend.device)]
    fitting = {
        "epochs": 20, "batch_size": 8, "optimizer": xpnet.Adam(0.01), "clip_norm": 1.0,
        "l1": 1e-4, "schedule": "cosine",
    }  # fmt: skip
    expected = xpnet.fit(nets[0], X, CLASSES, **fitting)
    history = xpnet.fit(
        nets[1], backend.array(X), backend.array(CLASSES), **fitting, callbacks=[no_sync(7)]
    )
    np.testing.assert_allclose(history.loss, expected.loss, rtol=1e-9)
    for ours, theirs in zip(nets[1].parameters, nets[0].parameters, strict=True):
        np.testing.assert_allclose(backend.host(ours), theirs, rtol=1e-9, atol=1e-12)


def test_a_training_step_never_waits_for_the_device(backend, no_sync):
    """Losses, gradients, clipping, dropout and updates, with every kind of optimiser."""
    y = RNG.random((50, 2))
    for optimizer in (xpnet.SGD(0.01, momentum=0.9, nesterov=True), xpnet.AdamW(0.01)):
        net = xpnet.MLP([4, 8, 2], dropout=0.5, device=backend.device)
        history = xpnet.fit(
            net, backend.array(X), backend.array(y), optimizer=optimizer, loss="huber",
            batch_size=16, epochs=2, clip_norm=1.0, l1=1e-3, l2=1e-3,
            sample_weight=np.ones(50), schedule="linear", callbacks=[no_sync(4)],
        )  # fmt: skip
        assert history.epochs == 2


def numpy_but(**functions):
    """NumPy's functions as a device of their own, but for some of them."""
    return dataclasses.replace(CPU, name="other", xp=SimpleNamespace(**vars(CPU.xp) | functions))


def test_a_device_that_computes_wrongly_is_found_with_step_layer_and_quantity():
    device = numpy_but(tanh=lambda z: np.tanh(z) * (1.0 + 1e-9))
    report = compare_classes(hidden=["relu", "tanh"], other=device)
    assert not report.ok
    assert all(report.same_bits.values())
    bad = [each for each in report.differences if each.largest > each.allowed]
    first = {(each.quantity, each.layer) for each in bad if each.step == 1}
    assert ("forward", 3) in first
    assert not first & {("forward", 1), ("forward", 2)}
    assert str(report).splitlines()[-1].startswith("OUT OF TOLERANCE; at most ")
    assert compare_classes(hidden=["relu", "tanh"], other=device, dtype="float32").ok


def test_the_report_is_a_table_of_every_step():
    report = compare_classes(other=CPU, steps=3)
    assert str(report).splitlines()[:6] == [
        "The same training on cpu and on cpu",
        "  network            4-8-6-3, relu, relu, softmax, float64, 3 steps of 16 rows",
        "  initial weights    the same bits",
        "  rows of batches    the same bits",
        "  dropout masks      the same bits",
        "Largest difference after each step, and its layer",
    ]
    assert [line.split() for line in str(report).splitlines()[6:10]] == [
        ["step", "forward", "gradients", "weights"],
        *([str(step), "0", "0", "0"] for step in (1, 2, 3)),
    ]
    assert len(report.differences) == 3 * 3 * 3


def test_without_array_api_strict_the_remedy_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "array_api_strict", None)
    with pytest.raises(xpnet.InputError, match="not installed; pip install array-api-strict"):
        compare_classes()
