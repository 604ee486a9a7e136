import tracemalloc

import numpy as np
import pytest
from training_examples import X, Y, parameters, regressor

import xpnet
from xpnet.training.batches import Data
from xpnet.training.loop import Training, TrainingOptions


@pytest.mark.parametrize("rate", [100.0, 1e300], ids=["running away", "not finite"])
def test_divergence_stops_with_epoch_and_remedy_and_leaves_the_last_good_weights(rate):
    net, good = xpnet.MLP([3, 1], dtype="float64"), []

    class Explode:
        """Training goes well for three epochs, and then the learning rate is multiplied."""

        def on_epoch_end(self, training):
            if training.state.epoch == 3:
                good.append(parameters(training.net))
                training.state.learning_rate_factor = rate

    message = (
        r"training diverged in epoch \d: loss \S+ after \S+ at the start, learning rate \S+; "
        r"the network keeps its last good weights. Try optimizer=xpnet.SGD\(\S+\) or "
        r"xpnet.Adam\(\), scale inputs and large targets to mean 0 and standard deviation 1, "
        "or set clip_norm=1"
    )
    with pytest.raises(xpnet.DivergenceError, match=message):
        xpnet.fit(
            net, X, Y, epochs=9, optimizer=xpnet.SGD(0.05), early_stopping=True,
            callbacks=[Explode()],
        )  # fmt: skip
    np.testing.assert_array_equal(parameters(net), good[0])


def test_the_remedies_for_a_divergence_help_and_adam_is_not_advised_to_adam():
    x = np.linspace(0.0, 2.0 * np.pi, 500)[:, None]
    scaled = (x - x.mean()) / x.std()
    remedies = (
        (x, {"optimizer": xpnet.SGD(0.01)}),
        (x, {"optimizer": xpnet.Adam()}),
        (scaled, {}),
        (x, {"clip_norm": 1.0}),
    )
    with pytest.raises(xpnet.DivergenceError, match=r"optimizer=xpnet.SGD\(0\.01\) or xpnet"):
        xpnet.fit(xpnet.MLP([1, 32, 32, 1], hidden="tanh"), x, np.sin(x))
    for inputs, options in remedies:
        net = xpnet.MLP([1, 32, 32, 1], hidden="tanh")
        xpnet.fit(net, inputs, np.sin(x), epochs=50, **options)
        assert np.mean((net.predict(inputs) - np.sin(x)) ** 2) < 0.25  # of a variance of 0.5
    with pytest.raises(xpnet.DivergenceError, match=r"=xpnet.Adam\(0\.003\), scale inputs"):
        xpnet.fit(xpnet.MLP([1, 8, 1]), x, np.sin(x), optimizer=xpnet.Adam(1e30))


def test_divergence_in_the_first_epoch_leaves_the_initial_weights():
    net = xpnet.MLP([3, 8, 1], dtype="float64")
    before = parameters(net)
    with pytest.raises(xpnet.DivergenceError, match=r"diverged in epoch 1: loss (nan|inf)"):
        xpnet.fit(net, X, Y, optimizer=xpnet.SGD(1e200))
    np.testing.assert_array_equal(parameters(net), before)


def test_a_first_batch_that_happens_to_fit_is_no_measure_of_divergence():
    net = regressor(init="zeros")
    y = Y.copy()
    y[0] = 1e-9
    history = xpnet.fit(net, X, y, shuffle=False, batch_size=1, epochs=4, optimizer=xpnet.SGD(1e-4))
    assert history.epochs == 4


def test_the_loss_that_divergence_is_measured_by_takes_little_memory():
    y = np.ones((20_000, 40))
    data = Data(np.zeros((len(y), 1)), y, None)
    training = Training(xpnet.MLP([1, 40], output="sigmoid"), data, TrainingOptions())
    tracemalloc.start()
    try:
        assert training.loss_at_zero == pytest.approx(40 * np.log(2))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < y.nbytes / 4


def test_a_network_that_is_already_good_can_be_trained_on():
    x, y = X, np.zeros(60)
    y[0] = 1.0
    net = xpnet.MLP([3, 1], init="zeros", dtype="float64")
    history = xpnet.fit(
        net, x[1:], y[1:], optimizer=xpnet.Adam(1e-3), epochs=4, l2=0.0, validation=(x, y)
    )
    assert history.loss[-1] == 0.0
