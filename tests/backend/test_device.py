import copy
import pickle
import sys
import types
from itertools import product

import array_api_compat
import conftest
import numpy as np
import pytest

import xpnet
from xpnet.backend.cuda import GraphedStep, _fused
from xpnet.backend.device import CPU, device_of, is_foreign, open_device


class CUDARuntimeError(RuntimeError):
    pass


def fake_cupy(*, devices=1, status=0, matmul=np.matmul):
    """A module like CuPy on a machine in a given state; it computes with NumPy."""
    selected = [0]  # the last one is the current GPU

    def count():
        if status:
            raise CUDARuntimeError(f"cudaErrorNumber{status}: something is the matter")
        return devices

    class Device:
        def __init__(self, index):
            self.index = index

        def __enter__(self):
            selected.append(self.index)

        def __exit__(self, *exc):
            selected.pop()

    runtime = types.SimpleNamespace(CUDARuntimeError=CUDARuntimeError, getDeviceCount=count)
    module = types.ModuleType("cupy")
    module.cuda = types.SimpleNamespace(runtime=runtime, Device=Device)
    module.matmul, module.ones, module.asnumpy = matmul, np.ones, np.asarray
    module.selected = selected
    return module


def missing_library(*operands, **options):
    raise RuntimeError("Failure finding libnvrtc.so.13\nand a long traceback")


def no_memory(*operands, **options):
    raise MemoryError


STATES = {
    "driver missing or too old": (
        {"status": 35},
        "cudaErrorNumber35: something is the matter; see nvidia-smi and CUDA_VISIBLE_DEVICES, "
        r"update the driver, or install one of: pip install 'xpnet\[cuda13\]' \(NVIDIA driver 580 "
        r"or newer\) or pip install 'xpnet\[cuda12\]'",
    ),
    "no device": ({"devices": 0}, r"this machine has 0 CUDA device\(s\), numbered from gpu:0"),
    "libraries missing": (
        {"matmul": missing_library},
        r"CUDA is present but CuPy cannot compute \(RuntimeError: Failure finding libnvrtc.so.13"
        r"\); its CUDA libraries are missing or do not match: install one of: pip install 'xpnet",
    ),
    "wrong result": (
        {"matmul": lambda a, b: 0.0 * a},
        r"the GPU gave 0\.0 for a product that is 16",
    ),
    "no memory": (
        {"matmul": no_memory},
        r"has no memory left; stop what is using it \(nvidia-smi shows it\)",
    ),
}


@pytest.mark.parametrize("state", list(STATES))
def test_a_gpu_that_cannot_be_used_says_why_and_is_never_replaced_by_the_cpu(monkeypatch, state):
    options, message = STATES[state]
    monkeypatch.setitem(sys.modules, "cupy", fake_cupy(**options))
    for use in (lambda: open_device("gpu"), lambda: xpnet.MLP([2, 1], device="gpu")):
        with pytest.raises(xpnet.DeviceError, match=rf"^device 'gpu':? {message}"):
            use()


def test_the_first_gpu_has_one_name(monkeypatch):
    monkeypatch.setattr("xpnet.backend.cuda.open_gpu", lambda name, index, **_: (name, index))
    assert open_device("gpu") == open_device("gpu:0") == ("gpu", 0)
    assert open_device("gpu:1") == ("gpu:1", 1)


def test_without_cupy_the_two_ways_to_install_it_are_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    message = (
        r"^device 'gpu:1' needs CuPy, which is not installed; install one of: "
        r"pip install 'xpnet\[cuda13\]' \(NVIDIA driver 580 or newer\) or "
        r"pip install 'xpnet\[cuda12\]' \(driver 525 or newer\)$"
    )
    with pytest.raises(xpnet.DeviceError, match=message):
        open_device("gpu:1")


def test_a_network_computes_on_its_gpu_and_leaves_the_caller_on_his_own(monkeypatch):
    found = set()

    def matmul(*operands, **options):
        found.add(module.selected[-1])
        return np.matmul(*operands, **options)

    module = fake_cupy(devices=2, matmul=matmul)
    monkeypatch.setitem(sys.modules, "cupy", module)
    monkeypatch.setitem(sys.modules, "array_api_compat.cupy", np)
    monkeypatch.setattr(array_api_compat, "cupy", np, raising=False)  # where it was imported before
    net = xpnet.MLP([2, 3, 1], device=open_device("gpu:1", fuse=False, graph=False))
    xpnet.fit(net, np.eye(2), [0.0, 1.0], epochs=2)
    other = xpnet.MLP([2, 3, 1])
    xpnet.fit(other, np.eye(2), [0.0, 1.0], epochs=2)
    assert found == {1}
    assert module.selected == [0]
    assert net.device.name == "gpu:1"
    np.testing.assert_array_equal(net.predict(np.eye(2)), other.predict(np.eye(2)))


@pytest.mark.parametrize("name", ["", "cuda", "gpu:", "gpu:-1", "gpu:x", "gpu0", "CPU"])
def test_a_name_that_is_no_device_is_refused_with_the_names(name):
    message = rf"device '{name}' is not known; use 'cpu', 'gpu' or 'gpu:N', N from 0"
    with pytest.raises(xpnet.InputError, match=message):
        open_device(name)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
def test_a_way_to_the_device_and_back_changes_no_bit(backend, dtype):
    values = np.array([[1.5, -2.25], [3e30, 0.0]] if dtype != "int64" else [[1, -2], [3, 2**62]])
    values = values.astype(dtype)
    there = backend.device.put(values, dtype)
    again = backend.device.put(there, dtype)
    back = backend.device.get(again)
    assert isinstance(back, np.ndarray)
    assert back.dtype == dtype
    np.testing.assert_array_equal(back, values)


def test_the_device_of_an_array_is_the_one_it_lives_on(backend):
    array = backend.array([[1.0, 2.0]])
    device = device_of(array)
    assert device.xp is backend.xp
    assert is_foreign(array) == (not isinstance(array, np.ndarray))
    moved = device.put(np.eye(2), "float32")
    assert backend.host(device.xp.matmul(device.put(array, "float32"), moved)).tolist() == [[1, 2]]
    assert getattr(moved, "device", None) == getattr(array, "device", None)


def test_what_is_no_array_has_no_device():
    with pytest.raises(xpnet.InputError, match="object is not an Array API array"):
        device_of(object())
    for plain in ([1.0], (1.0,), 1.0, np.float32(1.0), "text"):
        assert not is_foreign(plain)


def test_copies_share_a_device_and_pickles_carry_its_name():
    assert copy.deepcopy(CPU) is CPU
    assert pickle.loads(pickle.dumps(CPU)) is CPU  # noqa: S301 (own data)
    assert repr(CPU) == "Device(name='cpu')"


def test_without_a_gpu_its_tests_are_skipped_with_the_reason_and_fail_on_request(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    for required, ending in ((False, pytest.skip.Exception), (True, pytest.fail.Exception)):
        config = types.SimpleNamespace(getoption={"--require-cuda": required}.get)
        with pytest.raises(ending, match="device 'gpu' needs CuPy, which is not installed"):
            conftest._open_cuda(config)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int8", "bool"])
def test_sums_and_maxima_are_those_of_numpy_bit_for_bit(dtype):
    shapes, axes = [(0, 3), (1, 1), (4, 3), (7,), (3, 300, 2), (3000, 7)], (None, 0, -1)
    for shape, axis, keepdims in product(shapes, axes, (False, True)):
        x = np.random.default_rng(0).normal(0, 3, shape).astype(dtype)
        if shape == (3000, 7) and x.dtype.kind == "f":
            x[:3, 1] = np.nan, np.inf, -np.inf
        found = CPU.xp.sum(x, axis, keepdims=keepdims)  # as users' own functions may call it
        expected = np.sum(x, axis=axis, keepdims=keepdims)
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)
        if x.size:
            found = CPU.xp.max(x, axis, keepdims=keepdims)
            np.testing.assert_array_equal(found, np.max(x, axis=axis, keepdims=keepdims))
    assert CPU.xp.sum(np.ones(3, np.float32), dtype=np.float64).dtype == np.float64
    assert CPU.xp.sum(np.ones((2, 3)), -1, None, None, True).shape == (2, 1)
    assert CPU.xp.max(np.ones((2, 3)), -1, keepdims=True, initial=2.0).tolist() == [[2.0], [2.0]]


def double(xp, z):
    return xp.add(z, z)


def test_a_function_that_cannot_be_fused_runs_as_it_is():
    def refuse(*arrays):
        raise TypeError("no such operation in a fused kernel")

    fused = _fused(types.SimpleNamespace(fuse=lambda kernel_name: lambda function: refuse), double)
    with pytest.warns(UserWarning, match=r"double could not be fused \(TypeError: no such"):
        assert fused(np, np.asarray(2.0)) == 4.0
    assert fused(np, np.asarray(3.0)) == 6.0  # and does not try, or warn, again


def test_a_gpu_fuses_and_records_unless_that_is_switched_off(monkeypatch):
    module = fake_cupy(devices=1)
    module.fuse = lambda kernel_name: lambda traced: traced
    monkeypatch.setitem(sys.modules, "cupy", module)
    monkeypatch.setitem(sys.modules, "array_api_compat.cupy", np)
    for options in ({}, {"fuse": True, "graph": True}):
        fast = open_device("gpu", **options)
        assert isinstance(fast.record(double), GraphedStep)
        assert fast.fuse(double) is not double
    plain = open_device("gpu", fuse=False, graph=False)
    for each in (plain, pickle.loads(pickle.dumps(plain))):  # noqa: S301 (own data)
        assert each.record is None
        assert each.fuse(double) is double
    assert pickle.loads(pickle.dumps(fast)).record is not None  # noqa: S301 (own data)
