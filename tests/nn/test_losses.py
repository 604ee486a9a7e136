import numpy as np
import pytest
from head_examples import HEADS, LARGEST, targets_for

import xpnet
from xpnet.nn.activations import ACTIVATIONS
from xpnet.nn.losses import CANONICAL, LOSSES, huber, resolve_head

RNG = np.random.default_rng(0)
Z = RNG.normal(size=(6, 3)) * 2.0


def targets(output):
    return targets_for(output, np.random.default_rng(1), Z.shape)


@pytest.mark.parametrize("name", ["squared_error", "half_squared_error", "absolute_error", "huber"])
def test_a_row_counts_the_sum_over_its_outputs(name):
    a, y = np.array([[1.0, 4.0], [0.5, 0.0]]), np.array([[0.0, 1.0], [0.0, 0.0]])
    expected = {
        "squared_error": [10.0, 0.25],
        "half_squared_error": [5.0, 0.125],
        "absolute_error": [4.0, 0.5],
        "huber": [0.5 + 2.5, 0.125],
    }[name]
    np.testing.assert_allclose(LOSSES[name].value(np, a, y), expected)


@pytest.mark.parametrize(("output", "name"), list(CANONICAL))
def test_the_canonical_pairs_agree_with_the_chain_rule(output, name):
    y = targets(output)
    value, delta = resolve_head(ACTIVATIONS[output], name).value_and_delta(np, Z, y)
    a, loss = ACTIVATIONS[output].forward(np, Z), LOSSES[name]
    chained = ACTIVATIONS[output].backward(np, loss.derivative(np, a, y), Z, a)
    np.testing.assert_allclose(value, loss.value(np, a, y), rtol=1e-12)
    np.testing.assert_allclose(delta, chained, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_backend_gives_the_same_value_and_delta(backend, dtype):
    rtol, atol = (1e-12, 1e-14) if dtype == "float64" else (1e-5, 1e-6)
    for output, name in HEADS:
        z, y = Z.astype(dtype), targets(output).astype(dtype)
        joined = resolve_head(ACTIVATIONS[output], name)
        expected = joined.value_and_delta(np, z, y)
        z, y = backend.array(z), backend.array(y)
        with backend.no_sync():
            actual = joined.value_and_delta(backend.xp, z, y)
        for ours, theirs in zip(actual, expected, strict=True):
            assert backend.host(ours).dtype == theirs.dtype == dtype
            np.testing.assert_allclose(
                backend.host(ours), theirs, rtol=rtol, atol=atol, err_msg=f"{output}, {name}"
            )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("output", ["sigmoid", "softmax"])
def test_cross_entropies_are_finite_for_every_finite_pre_activation(output, dtype):
    joined = resolve_head(ACTIVATIONS[output])
    values = np.array(
        [-LARGEST[dtype], -800.0, -90.0, -1e-40, 0.0, 1e-40, 90.0, 800.0, LARGEST[dtype]]
    )
    pairs = np.array([(left, right) for left in values for right in values])
    z = pairs if output == "softmax" else values[:, None]
    for label in ([1.0, 0.0], [0.0, 1.0]):
        y = np.zeros_like(z) + label[: z.shape[1]]
        with np.errstate(over="ignore", under="ignore"):
            value, delta = joined.value_and_delta(np, z.astype(dtype), y.astype(dtype))
        assert np.all(np.isfinite(value))
        assert np.all(value >= 0.0)
        assert np.all(np.abs(delta) <= 1.0)


def test_cross_entropy_of_a_confident_and_right_output_keeps_its_digits():
    sigmoid, softmax = resolve_head(ACTIVATIONS["sigmoid"]), resolve_head(ACTIVATIONS["softmax"])
    value, _ = sigmoid.value_and_delta(np, np.array([[40.0]]), np.array([[1.0]]))
    np.testing.assert_allclose(value, np.exp(-40.0), rtol=1e-12)  # log(sigmoid(40)) would give 0
    value, _ = sigmoid.value_and_delta(np, np.array([[-700.0]]), np.array([[1.0]]))
    np.testing.assert_allclose(value, 700.0)
    z, y = np.array([[0.0, 700.0]]), np.array([[1.0, 0.0]])
    np.testing.assert_allclose(softmax.value_and_delta(np, z, y)[0], 700.0)


def test_huber_is_half_squared_up_to_its_threshold_and_linear_beyond():
    loss = huber(2.0)
    a, y = np.array([[1.0], [2.0], [5.0], [-5.0]]), np.zeros((4, 1))
    np.testing.assert_allclose(loss.value(np, a, y), [0.5, 2.0, 8.0, 8.0])
    np.testing.assert_allclose(loss.derivative(np, a, y)[:, 0], [1.0, 2.0, 2.0, -2.0])
    with pytest.raises(xpnet.InputError, match="huber: threshold 0 must be above 0"):
        huber(0)


def test_a_loss_that_does_not_fit_the_output_is_refused_with_the_remedy():
    with pytest.raises(
        xpnet.InputError,
        match="'binary_cross_entropy' needs output='sigmoid', but this network's output is "
        "'identity'; change the output or use loss='squared_error'",
    ):
        xpnet.MLP([2, 1]).loss([[0.0, 0.0]], [1.0], loss="binary_cross_entropy")
    with pytest.raises(xpnet.InputError, match="loss 'mse' is not known; use one of squared_error"):
        resolve_head(ACTIVATIONS["identity"], "mse")
    with pytest.raises(xpnet.InputError, match=r"is not known; .* as xpnet.Loss\('mine', value"):
        resolve_head(ACTIVATIONS["identity"], lambda xp, a, y: xp.sum((a - y) ** 2, axis=1))


def test_a_user_can_bring_a_loss_of_their_own():
    quartic = xpnet.Loss(
        "quartic",
        lambda xp, a, y: xp.sum((a - y) ** 4, axis=1),
        lambda xp, a, y: 4.0 * (a - y) ** 3,
    )
    net = xpnet.MLP([1, 1], init="zeros", dtype="float64")
    loss, gradients = net.gradients([[1.0]], [2.0], loss=quartic)
    assert loss == 16.0
    assert gradients.weights[0][0, 0] == gradients.biases[0][0] == -32.0
    assert repr(quartic) == "Loss('quartic')"


def test_an_output_of_ones_own_is_never_taken_for_the_one_of_that_name():
    steep = xpnet.Activation(
        "sigmoid",
        lambda xp, z: 1.0 / (1.0 + xp.exp(-3.0 * z)),
        lambda xp, d_a, z, a: 3.0 * d_a * a * (1.0 - a),
    )
    y = targets("sigmoid")
    value, delta = resolve_head(steep).value_and_delta(np, Z, y)
    expected, expected_delta = resolve_head(ACTIVATIONS["sigmoid"]).value_and_delta(np, 3.0 * Z, y)
    np.testing.assert_allclose(value, expected, rtol=1e-9)
    np.testing.assert_allclose(delta, 3.0 * expected_delta, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("value", "derivative", "says"),
    [
        (lambda xp, a, y: xp.mean((a - y) ** 2), None, r"value has shape \(\) where .* \(6,\)"),
        (lambda xp, a, y: (a - y) ** 2, None, r"value has shape \(6, 1\) where .* \(6,\)"),
        (lambda xp, a, y: 1.0, None, r"value has shape \(\) where"),
        (None, lambda xp, a, y: xp.sum(a - y, axis=1), r"derivative has shape \(6,\) where"),
    ],
    ids=["mean", "column", "number", "derivative"],
)
def test_a_loss_of_another_shape_is_refused_by_name(value, derivative, says):
    right = LOSSES["squared_error"]
    mine = xpnet.Loss("mine", value or right.value, derivative or right.derivative)
    net, x, y = xpnet.MLP([3, 4, 1]), RNG.normal(size=(6, 3)), RNG.normal(size=6)
    for use in (net.gradients, net.loss, lambda *data, loss: xpnet.fit(net, *data, loss=loss)):
        with pytest.raises(xpnet.InputError, match=f"loss 'mine': its {says}"):
            use(x, y, loss=mine)
