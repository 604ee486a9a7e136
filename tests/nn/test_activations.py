import numpy as np
import pytest
from head_examples import LARGEST

import xpnet
from xpnet.nn.activations import ACTIVATIONS, LEAKY_SLOPE

NAMES = tuple(ACTIVATIONS)
GRID = np.linspace(-6.0, 6.0, 49).reshape(7, 7) + 0.01  # no point on a kink


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", NAMES)
def test_every_backend_computes_the_same_in_the_same_dtype(backend, name, dtype):
    activation = ACTIVATIONS[name]
    z = GRID.astype(dtype)
    d_a = np.random.default_rng(1).normal(size=z.shape).astype(dtype)
    with np.errstate(all="raise"):
        a = activation.forward(np, z)
        d_z = activation.backward(np, d_a, z, a)
    assert a.dtype == d_z.dtype == dtype

    device_z, device_d_a = backend.array(z), backend.array(d_a)
    with backend.no_sync():
        device_a = activation.forward(backend.xp, device_z)
        device_d_z = activation.backward(backend.xp, device_d_a, device_z, device_a)
    # Relative to the largest entry: far from 0, GELU's 1 + tanh is the rest of a cancellation.
    rtol = 1e-12 if dtype == "float64" else 1e-6
    for actual, expected in ((device_a, a), (device_d_z, d_z)):
        assert backend.host(actual).dtype == dtype
        atol = rtol * np.max(np.abs(expected))
        np.testing.assert_allclose(backend.host(actual), expected, rtol=0, atol=atol)
    # What was given is as it was.
    np.testing.assert_array_equal(backend.host(device_z), z)
    np.testing.assert_array_equal(backend.host(device_d_a), d_a)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", NAMES)
def test_no_finite_input_gives_nan(name, dtype):
    extreme = np.array([[-1.0, 1.0, 0.0], [-1e-30, 1e-30, -90.0], [-800.0, 800.0, 90.0]])
    extreme[0] *= LARGEST[dtype] if name != "gelu" else 1e18  # whose derivative holds z squared
    z = extreme.astype(dtype)
    with np.errstate(over="ignore", under="ignore"):
        a = ACTIVATIONS[name].forward(np, z)
        d_z = ACTIVATIONS[name].backward(np, np.ones_like(z), z, a)
    assert not np.any(np.isnan(a))
    assert not np.any(np.isnan(d_z))


@pytest.mark.parametrize(("name", "slope"), [("relu", 0.0), ("leaky_relu", LEAKY_SLOPE)])
def test_at_the_kink_the_left_slope_is_taken(name, slope):
    zero, one = np.zeros((1, 1)), np.ones((1, 1))
    assert ACTIVATIONS[name].backward(np, one, zero, zero) == slope


def test_softmax_rows_are_probabilities_that_ignore_a_common_shift():
    softmax = ACTIVATIONS["softmax"].forward
    np.testing.assert_allclose(softmax(np, GRID).sum(axis=1), 1.0, rtol=1e-15)
    np.testing.assert_allclose(softmax(np, GRID + 1000.0), softmax(np, GRID), rtol=1e-12)


def test_a_user_can_bring_an_activation_of_their_own():
    cube = xpnet.Activation(
        "cube", lambda xp, z: z * z * z, lambda xp, d_a, z, a: 3.0 * d_a * z * z
    )
    net = xpnet.MLP([2, 3, 1], hidden=cube, dtype="float64", init="glorot_uniform")
    x = np.array([[1.0, 2.0]])
    z = x @ net.weights[0]
    np.testing.assert_allclose(net.predict(x), z**3 @ net.weights[1])
    assert repr(cube) == "Activation('cube')"
