"""The doctor as a callback of `fit`."""

import time

import numpy as np
import pytest
from doctor_example import HEALTHY, X, Y, draw, network

import xpnet
from xpnet import SGD, Doctor


def test_as_a_callback_of_fit():
    doctor = Doctor()
    xpnet.fit(network(), X, Y, callbacks=[doctor], **HEALTHY)
    assert doctor.report().findings == ()
    doctor = Doctor()
    with pytest.warns(xpnet.NoSkillWarning, match="no better than the best constant"):
        xpnet.fit(network(), X, Y, callbacks=[doctor], optimizer=SGD(1e-6), epochs=10)
    assert "learning-rate-too-small" in doctor.report().codes


@pytest.mark.slow
def test_the_callback_costs_less_than_a_tenth():
    x, y = draw().standard_normal((5000, 64)), np.arange(5000) % 10

    def seconds(callbacks):
        net = xpnet.MLP([64, 64, 64, 10], output="softmax", seed=0)
        started = time.perf_counter()
        xpnet.fit(net, x, y, epochs=5, callbacks=callbacks, progress=False)
        return time.perf_counter() - started

    pairs = [(seconds([]), seconds([Doctor()])) for _ in range(5)]
    without, watched = (min(times) for times in zip(*pairs, strict=True))
    assert watched < 1.10 * without


def test_a_penalty_that_is_in_the_curves_is_in_the_loss_at_the_start():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 20))
    net, doctor = xpnet.MLP([20, 64, 64, 1], seed=0), xpnet.Doctor()
    xpnet.fit(net, x, x[:, 0], l2=0.04, optimizer=xpnet.SGD(0.005), epochs=10, callbacks=[doctor])
    assert "loss-rising" not in [each.code for each in doctor.report().findings]


def test_the_first_batch_alone_is_not_the_loss_at_the_start():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(300, 4))
    y = (x[:, 0] > 0).astype(float)
    net, doctor = xpnet.MLP([4, 16, 1], output="sigmoid", seed=2), xpnet.Doctor()
    xpnet.fit(net, x, y, optimizer=xpnet.SGD(1e-30), batch_size=8, epochs=2, callbacks=[doctor])
    assert "loss-rising" not in [each.code for each in doctor.report().findings]
    assert "learning-rate-too-small" in [each.code for each in doctor.report().findings]
