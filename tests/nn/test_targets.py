import numpy as np
import pytest

import xpnet
from xpnet.backend.device import CPU, device_of
from xpnet.nn.arrays import as_inputs, as_targets, one_hot, put_numbers


def targets(y, *, outputs=1, output="identity", rows=None, device=CPU, dtype="float64"):
    rows = len(y) if rows is None else rows
    return as_targets(y, device, dtype, outputs, output, rows)


def test_a_column_and_a_flat_list_mean_the_same_for_one_output(backend):
    flat, column = backend.array([1.0, 2.0, 3.0]), backend.array([[1.0], [2.0], [3.0]])
    for given in (flat, column, [1, 2, 3], np.array([1, 2, 3], dtype=np.uint8)):
        found = targets(given, rows=3, device=backend.device)
        assert tuple(found.shape) == (3, 1)
        np.testing.assert_array_equal(backend.host(found), [[1.0], [2.0], [3.0]])


def test_class_numbers_become_one_hot_rows_for_softmax(backend):
    found = targets(
        backend.array([2, 0, 1]), rows=3, outputs=3, output="softmax", device=backend.device
    )
    np.testing.assert_array_equal(backend.host(found), [[0, 0, 1], [1, 0, 0], [0, 1, 0]])


@pytest.mark.parametrize(
    ("y", "outputs", "message"),
    [
        (np.zeros(6), 2, r"y has shape \(6,\) but the network's output is \(6, 2\)"),
        (np.zeros((6, 6)), 1, r"y has shape \(6, 6\) but the network's output is \(6, 1\)"),
        (np.zeros((1, 6)), 1, r"y has shape \(1, 6\) but x has 6 rows; pass one target per row"),
        (np.zeros((6, 1)), 3, r"y has shape \(6, 1\) .* \(6, 3\); pass one column per output"),
    ],
)
def test_a_shape_that_could_broadcast_is_refused_with_both_shapes_named(y, outputs, message):
    with pytest.raises(xpnet.InputError, match=message):
        targets(y, outputs=outputs, rows=6)


@pytest.mark.parametrize("shape", [(4,), (4, 1)])
def test_targets_outside_the_range_of_the_output_are_refused_in_either_shape(shape):
    y = np.array([-1.0, 1.0, 1.0, -1.0]).reshape(shape)
    message = (
        "y holds values from -1 to 1, but a sigmoid output lies between 0 and 1; "
        "encode the classes as 0 and 1, or use output='identity'"
    )
    with pytest.raises(xpnet.InputError, match=message):
        targets(y, output="sigmoid")
    with pytest.raises(xpnet.InputError, match="y holds -1, but a Poisson target cannot be neg"):
        targets(y, output="exp")


def test_softmax_targets_with_several_classes_at_once_are_refused():
    message = "rows that do not sum to 1, .* for several labels per row use output='sigmoid'"
    with pytest.raises(xpnet.InputError, match=message):
        targets([[1.0, 0.0], [1.0, 1.0]], outputs=2, output="softmax")


@pytest.mark.parametrize("labels", [[0, 1, 3], [-1, 0, 1], [0.0, 0.5, 1.0]])
def test_labels_that_are_no_class_numbers_are_refused(labels):
    with pytest.raises(xpnet.InputError, match="with 3 softmax outputs the classes are the int"):
        one_hot(np, np.asarray(labels, dtype=float), 3)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_is_refused_with_its_place(backend, bad):
    x = np.zeros((4, 3))
    x[2, 1] = bad
    message = rf"x holds {bad} at index \(2, 1\), counted from 0, but must be finite; drop or imp"
    with pytest.raises(xpnet.InputError, match=message):
        as_inputs(backend.array(x), backend.device, "float64", 3)
    with pytest.raises(xpnet.InputError, match=r"y holds .* at index \(2,\)"):
        targets(backend.array(x[:, 1]), rows=4, device=backend.device)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (
            np.zeros((4, 2)),
            r"x has shape \(4, 2\) but the network takes \(n, 3\); pass one row per",
        ),
        (np.zeros((0, 3)), r"x has shape \(0, 3\): no rows; pass at least one"),
    ],
)
def test_inputs_of_another_shape_are_refused(x, message):
    with pytest.raises(xpnet.InputError, match=message):
        as_inputs(x, CPU, "float32", 3)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (np.array([1j]), "complex128 values; pass the real part, or two columns"),
        (np.array(["a"]), "<U1 values; convert it with numpy.asarray"),
        (np.array(["2026-01-01"], "M8[D]"), "datetime64.D. values; pass numbers, such as days"),
        (np.ma.masked_less([[1.0], [-1.0]], 0.0), "1 values are masked; fill them in, or drop"),
        ([[1.0], [1.0, 2.0]], "x .list. is not an array of real numbers: .*inhomogeneous"),
        (np.array([object()]), "x .ndarray. is not an array of real numbers: float"),
    ],
)
def test_what_is_no_array_of_real_numbers_is_refused_by_kind(given, message):
    with pytest.raises(xpnet.InputTypeError, match=message):
        put_numbers(given, CPU, "float32", "x")


def strict_zeros(request):
    strict = pytest.importorskip("array_api_strict", reason="array-api-strict is not installed")
    return strict.zeros((2, 3), device=strict.Device("device1"))


def cuda_zeros(request):
    return request.getfixturevalue("cuda").put(np.zeros((2, 3)), "float32")


@pytest.mark.parametrize(
    ("zeros", "place"),
    [
        (strict_zeros, "array_api_strict:.*device1.*"),
        pytest.param(cuda_zeros, "gpu", marks=pytest.mark.cuda),
    ],
)
def test_an_array_on_another_device_is_refused_with_both_places_and_the_remedy(
    zeros, place, request
):
    x, net = zeros(request), xpnet.MLP([3, 1])
    calls = {"x": lambda: net.predict(x), "y": lambda: net.loss(np.zeros((2, 3)), x[:, 0])}
    for name, call in calls.items():
        message = f"^{name} is on the device {place}, but the network is on cpu; pass {name} as a "
        message += rf"NumPy array, or make the network with device=xpnet.*device_of\({name}\)"
        with pytest.raises(xpnet.InputTypeError, match=message):
            call()
    assert xpnet.MLP([3, 1], device=device_of(x)).predict(x).shape == (2, 1)


def test_data_frames_are_arrays_of_numbers_if_their_columns_are():
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame({"a": [1, 2], "b": [0.5, 1.5]})
    np.testing.assert_array_equal(as_inputs(frame, CPU, "float64", 2), [[1.0, 0.5], [2.0, 1.5]])
    np.testing.assert_array_equal(targets(frame["b"]), [[0.5], [1.5]])
    with pytest.raises(
        xpnet.InputTypeError, match=r"x .DataFrame. is not an array of real numbers"
    ):
        as_inputs(polars.DataFrame({"a": ["x"]}), CPU, "float64", 1)
