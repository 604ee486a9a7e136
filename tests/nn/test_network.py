import copy
import pickle
import pickletools

import numpy as np
import pytest

import xpnet
from xpnet.nn import activations
from xpnet.nn.network import PREDICT_ROWS

RNG = np.random.default_rng(0)
X = RNG.normal(size=(7, 3))


def small(**options):
    options = {"hidden": ["relu", "tanh"], "output": "sigmoid", "dtype": "float64"} | options
    return xpnet.MLP([3, 5, 4, 2], **options)


def test_forward_is_the_formula_of_the_textbook():
    net = small()
    trace = net.forward(X)
    z_1 = X @ net.weights[0] + net.biases[0]
    a_1 = np.maximum(z_1, 0.0)
    z_2 = a_1 @ net.weights[1] + net.biases[1]
    a_2 = np.tanh(z_2)
    z_3 = a_2 @ net.weights[2] + net.biases[2]
    for found, expected in (
        (trace.inputs, [X, a_1, a_2]),
        (trace.pre_activations, [z_1, z_2, z_3]),
        (trace.activations, [a_1, a_2]),
    ):
        for own, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(own, other, rtol=1e-14, atol=1e-15)
    np.testing.assert_allclose(net.predict(X), 1.0 / (1.0 + np.exp(-z_3)), rtol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_predictions_come_back_in_the_callers_library(backend, dtype):
    expected = small(dtype=dtype).predict(X)
    net = small(dtype=dtype, device=backend.device)
    x = backend.array(X)
    found = net.predict(x)
    assert type(found) is type(x)
    found = backend.host(found)
    assert found.dtype == expected.dtype == dtype
    assert found.shape == (7, 2)
    rtol, atol = (1e-12, 1e-14) if dtype == "float64" else (1e-5, 1e-6)
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=atol)
    np.testing.assert_array_equal(backend.host(x), X)


@pytest.mark.parametrize("rows", [1, PREDICT_ROWS - 1, PREDICT_ROWS, 2 * PREDICT_ROWS + 3])
def test_many_rows_are_predicted_in_tiles_with_the_same_result(rows):
    x = np.random.default_rng(1).normal(size=(rows, 3))
    net = small()
    z = net.forward(x).pre_activations[-1]
    np.testing.assert_allclose(net.predict(x), net.output.forward(np, z), rtol=1e-12)


def test_a_loss_over_many_rows_is_their_mean():
    rows = 2 * PREDICT_ROWS + 3
    rng = np.random.default_rng(1)
    x, y, weights = rng.normal(size=(rows, 3)), rng.random((rows, 2)), rng.random(rows)
    net = small()
    each = np.sum((net.predict(x) - y) ** 2, axis=1)
    assert net.loss(x, y, loss="squared_error") == pytest.approx(each.mean(), rel=1e-12)
    weighted = net.loss(x, y, loss="squared_error", sample_weight=weights)
    assert weighted == pytest.approx(np.average(each, weights=weights), rel=1e-12)


def through_pickle(net):
    return pickle.loads(pickle.dumps(net))  # noqa: S301 (own data)


@pytest.mark.parametrize("clone", [copy.copy, copy.deepcopy, through_pickle])
def test_copies_and_pickles_compute_alike_and_can_be_trained(clone):
    net = small()
    other = clone(net)
    np.testing.assert_array_equal(other.predict(X), net.predict(X))
    before = other.predict(X)
    xpnet.fit(other, X, np.zeros((7, 2)), epochs=2)
    assert np.all(other.predict(X) != before)


def test_a_pickle_refers_to_no_function_of_the_package_but_public_ones():
    found = pickletools.genops(pickle.dumps(small(hidden="tanh")))
    names = [each for _, each, _ in found if isinstance(each, str)]
    assert not [each for each in names if each[:1] == "_" and hasattr(activations, each)]


def test_a_copy_in_another_dtype_or_on_another_device_is_checked_like_a_new_network():
    net = small(dtype="float64")
    np.testing.assert_array_equal(net.to("cpu", "float32").weights[0], net.weights[0].astype("f4"))
    with pytest.raises(xpnet.InputError, match="dtype 'int64' is not known; use 'float32' or"):
        net.to(net.device, "int64")
    with pytest.raises(xpnet.InputError, match="device 'tpu' is not known"):
        net.to("tpu")


def test_parameters_that_do_not_fit_are_refused_and_nothing_is_changed():
    net, other = small(seed=1), small(seed=2)
    before = net.predict(X)
    with pytest.raises(xpnet.InputError, match="4 arrays given; the network has 6"):
        net.set_parameters(other.weights[:2], other.biases[:2])
    shape = r"weights\[2\] has shape \(2, 4\), but the network needs \(4, 2\)"
    with pytest.raises(xpnet.InputError, match=shape):
        net.set_parameters([*other.weights[:2], other.weights[2].T], other.biases)
    np.testing.assert_array_equal(net.predict(X), before)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ([[3]], {}, r"sizes \[3\] must be two or more integers >= 1: inputs, hidden units, outp"),
        ([[3, 2.5, 1]], {}, r"sizes \[3, 2.5, 1\] must be two or more integers >= 1"),
        ([[3, 4, 1]], {"hidden": "swish"}, "activation 'swish' is not known here; use one of ide"),
        ([[3, 4, 1]], {"output": "relu"}, "activation 'relu' is not known here; .* sigmoid, sof"),
        ([[3, 4, 1]], {"hidden": ["relu", "relu"]}, "has 2 entries for 1 hidden layers"),
        ([[3, 4, 1]], {"dtype": "float16"}, "dtype 'float16' is not known; use 'float32' or 'flo"),
        (
            [[3, 4, 1]],
            {"hidden": np.tanh},
            "<ufunc 'tanh'> is not known here; .* as xpnet.Activation",
        ),
        ([[3, 4, 1]], {"init": lambda g, i, o: np.full((i, o), np.nan)}, "init gave NaN or infini"),
        ([[3, 4, 1]], {"seed": -1}, "seed -1 must be an integer >= 0"),
        ([[3, 4, 1]], {"dropout": 1.0}, "dropout 1.0 must be >= 0 and below 1"),
        ([[3, 4, 1]], {"device": "tpu"}, "device 'tpu' is not known; use 'cpu', 'gpu' or 'gpu:N'"),
    ],
)
def test_options_that_cannot_be_are_refused_with_the_value_found(arguments, options, message):
    with pytest.raises(xpnet.InputError, match=message):
        xpnet.MLP(*arguments, **options)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([-1.0] + [1.0] * 6, "sample_weight has minimum -1 and sum 5; weights must be finite"),
        ([0.0] * 7, "sample_weight has minimum 0 and sum 0; .* not all 0"),
        ([np.nan] * 7, "sample_weight has minimum nan"),
    ],
)
def test_sample_weights_that_cannot_be_are_refused(weights, message):
    with pytest.raises(xpnet.InputError, match=message):
        small().gradients(X, np.zeros((7, 2)), sample_weight=weights)


@pytest.mark.parametrize("penalty", [{"l1": -1.0}, {"l2": "a"}])
def test_penalties_of_gradients_are_checked_like_those_of_fit(penalty):
    with pytest.raises(xpnet.InputError, match=r"^l[12] .* must be finite and >= 0"):
        small().gradients(X, np.zeros((7, 2)), **penalty)


def test_arrays_are_written_in_place_and_never_swapped_for_others():
    net, mine = xpnet.MLP([2, 3, 1]), np.ones((2, 3), dtype="float32")
    with pytest.raises(TypeError, match="does not support item assignment"):
        net.weights[0] = mine
    with pytest.raises(AttributeError, match="no setter"):
        net.weights = [mine, np.ones((3, 1))]
    net.weights[0][...] = mine
    assert np.all(net.flat[:6] == 1.0)
    xpnet.fit(net, np.ones((4, 2)), np.ones(4), epochs=1, optimizer=xpnet.SGD(1e-12))
    np.testing.assert_array_equal(net.weights[0], mine)
    for twin in (copy.deepcopy(net), pickle.loads(pickle.dumps(net)), net.to(net.device)):  # noqa: S301
        np.testing.assert_array_equal(twin.weights[0], mine)


def test_an_activation_of_ones_own_may_compute_in_another_dtype():
    scale = np.sqrt(2.0)  # a float64, which makes float32 arrays float64
    own = xpnet.Activation("own", lambda xp, z: z * scale, lambda xp, d_a, z, a: d_a * scale)
    rng = np.random.default_rng(0)
    net, x = xpnet.MLP([3, 4, 1], hidden=own), rng.normal(size=(8, 3))
    before = net.loss(x, x[:, :1])
    xpnet.fit(net, x, x[:, 0], epochs=20, optimizer=xpnet.SGD(0.05))
    assert net.weights[0].dtype == "float32"
    assert net.loss(x, x[:, :1]) < before
