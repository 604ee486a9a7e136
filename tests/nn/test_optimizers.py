import numpy as np
import pytest

import xpnet
from xpnet.nn.optimizers import SGD, Adam, AdamW, StepArrays, clip_by_norm


def descend(optimizer, gradient, start, steps, *, xp=np, learning_rate=None):
    """Take steps on one array, in place, as a training does; return the array."""
    point = start
    state = optimizer.start(xp, [point])
    for t in range(1, steps + 1):
        rate = optimizer.learning_rate if learning_rate is None else learning_rate(t)
        coefficients = optimizer.coefficients(rate, t)
        optimizer.step(xp, StepArrays([point], [gradient(point)], state, [point]), coefficients)
    return point


def parabola(point):
    """Gradient of (x - 3)² + 10 (y + 1)²."""
    return np.stack([2.0 * (point[0] - 3.0), 20.0 * (point[1] + 1.0)])


@pytest.mark.untraced
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (SGD(0.01, momentum=0.9), ("SGD", {"lr": 0.01, "momentum": 0.9})),
        (
            SGD(0.01, momentum=0.9, nesterov=True),
            ("SGD", {"lr": 0.01, "momentum": 0.9, "nesterov": True}),
        ),
        (Adam(0.01), ("Adam", {"lr": 0.01})),
        (Adam(0.01, epsilon=1e-30), ("Adam", {"lr": 0.01, "eps": 1e-30})),
        (AdamW(0.01, weight_decay=0.1), ("AdamW", {"lr": 0.01, "weight_decay": 0.1})),
    ],
    ids=str,
)
def test_one_hundred_steps_agree_with_pytorch(ours, theirs):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    name, options = theirs
    start = np.array([-1.0, 2.0])
    point = torch.tensor(start, requires_grad=True)
    their_optimizer = getattr(torch.optim, name)([point], **options)
    for _ in range(100):
        point.grad = torch.tensor(parabola(point.detach().numpy()))
        their_optimizer.step()
    found = descend(ours, parabola, start.copy(), 100)
    # Adam's epsilon is added before the bias correction here, and after it there.
    tolerance = 1e-14 if name == "SGD" or "eps" in options else 1e-7
    np.testing.assert_allclose(found, point.detach().numpy(), rtol=0, atol=tolerance)


def test_adam_is_algorithm_1_of_the_paper_with_an_epsilon_that_shrinks():
    draw = np.random.default_rng(0)
    point, adam, moments = np.zeros(200), Adam(0.01), np.zeros((2, 200))
    expected, state = point.copy(), adam.start(np, [point])
    for t in range(1, 101):
        g = draw.normal(size=200) * 10.0 ** draw.uniform(-10.0, 0.0, 200)
        adam.step(np, StepArrays([point], [g], state, [point]), adam.coefficients(0.01, t))
        moments = np.stack([0.9 * moments[0] + 0.1 * g, 0.999 * moments[1] + 0.001 * g * g])
        m, v = moments[0] / (1.0 - 0.9**t), moments[1] / (1.0 - 0.999**t)
        expected -= 0.01 * m / (np.sqrt(v) + 1e-8 / np.sqrt(1.0 - 0.999**t))
    np.testing.assert_allclose(point, expected, rtol=0, atol=1e-13)


def test_a_falling_learning_rate_enters_the_velocity():
    found = descend(
        SGD(0.1, momentum=0.5),
        lambda p: np.ones(1),
        np.zeros(1),
        2,
        learning_rate=lambda t: 0.1 / t,
    )
    np.testing.assert_allclose(found, [-0.1 - (0.05 + 0.05)], rtol=1e-12)


def test_weight_decay_shrinks_weights_and_leaves_biases():
    optimizer = AdamW(0.1, weight_decay=0.5)
    weights, biases = np.full(3, 2.0), np.full(2, 2.0)
    state = optimizer.start(np, [weights, biases])
    no_gradient = [np.zeros(3), np.zeros(2)]
    coefficients = optimizer.coefficients(0.1, 1)
    arrays = StepArrays([weights, biases], no_gradient, state, [weights])
    optimizer.step(np, arrays, coefficients)
    np.testing.assert_allclose(weights, 2.0 * (1.0 - 0.1 * 0.5))
    np.testing.assert_array_equal(biases, 2.0)


def test_clipping_scales_all_gradients_together_to_the_limit(backend):
    gradients = [backend.device.put([3.0, 0.0], "float64"), backend.device.put([4.0], "float64")]
    with backend.no_sync():
        clip_by_norm(backend.xp, gradients, 10.0)
        clip_by_norm(backend.xp, gradients, 1.0)
    np.testing.assert_allclose(backend.host(gradients[0]), [0.6, 0.0])
    np.testing.assert_allclose(backend.host(gradients[1]), [0.8])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SGD(0.0), "learning_rate 0.0 must be finite and above 0"),
        (lambda: SGD(0.1, momentum=1.5), "momentum 1.5 must be from 0 to 1"),
        (lambda: Adam(beta_2=1.0), "beta_2 1.0 must be >= 0 and below 1"),
        (lambda: AdamW(weight_decay=-1.0), "weight_decay -1.0 must be finite and >= 0"),
        (lambda: Adam(beta_1="a"), "beta_1 'a' must be >= 0 and below 1"),
    ],
)
def test_options_out_of_range_are_refused(make, message):
    with pytest.raises(xpnet.InputError, match=message):
        make()
