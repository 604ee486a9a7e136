"""Networks that, written by hand elsewhere, ran and did not learn: here they do.

The second of three stories is told in full: six points in the plane, a 2-3-1 sigmoid network,
squared error. Its targets of shape (6,) against outputs of shape (6, 1) made a (6, 6) matrix of
errors, and the loss climbed to 18.0 = 36 * 0.5 and stayed there.
"""

import numpy as np
import pytest

import xpnet

POINTS = np.array([[3, 4], [2, 6], [1, 6], [1, 1], [2, 1], [3, 1]], dtype=float)
LABELS = np.array([0, 0, 0, 1, 1, 1])


@pytest.mark.parametrize("seed", range(4))
def test_six_points_are_learnt_and_one_not_seen_is_put_on_the_right_side(seed):
    net = xpnet.MLP([2, 3, 1], hidden="sigmoid", output="sigmoid", seed=seed)
    history = xpnet.fit(
        net, POINTS, LABELS, loss="squared_error", optimizer=xpnet.SGD(2.0), epochs=800,
        batch_size=6,
    )  # fmt: skip
    assert net.loss(POINTS, LABELS, loss="squared_error") < 0.05
    assert history.loss[-1] < 0.05
    np.testing.assert_array_equal(net.predict(POINTS)[:, 0] > 0.5, LABELS == 1)
    assert net.predict([[1, 5]])[0, 0] < 0.5
    assert [biases.shape for biases in net.biases] == [(3,), (1,)]  # not one for each sample


def test_the_first_story_a_3_3_1_network_on_a_table_tells_the_classes_apart():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 3))
    y = x[:, 0] + 0.5 * x[:, 1] > 0
    net = xpnet.MLP([3, 3, 1], hidden="sigmoid", output="sigmoid")
    xpnet.fit(net, x, y, optimizer=xpnet.SGD(0.5), epochs=100)
    outputs = net.predict(x)[:, 0]
    assert np.mean((outputs > 0.5) == y) > 0.95
    assert outputs.std() > 0.3  # not all the same


def test_the_third_story_two_equal_sigmoid_layers_learn_one_sample_at_a_time():
    rng = np.random.default_rng(0)
    centres = rng.random((3, 50))
    labels = rng.integers(3, size=90)
    x = np.clip(centres[labels] + 0.1 * rng.normal(size=(90, 50)), 0.0, 1.0)
    net = xpnet.MLP([50, 30, 30, 3], hidden="sigmoid", output="softmax")
    history = xpnet.fit(
        net, x, labels, batch_size=1, epochs=10, optimizer=xpnet.SGD(0.1), l2=1e-4,
        metrics="accuracy",
    )  # fmt: skip
    assert history.metrics["accuracy"][-1] == 1.0
