"""CUDA graphs and fused kernels, as far as a stand-in for CuPy can show.

Shown here: the order of calls, the fallback, and that CuPy is left as it was found. Not shown: that
a GPU computes the right numbers; see the tests marked ``cuda`` in test_recording.py.
"""

import ctypes
import pickle
import re
import sys
import types
import warnings
from collections import defaultdict
from contextlib import nullcontext
from functools import partial

import numpy as np
import pytest

import xpnet
from xpnet.backend import cuda as device_cuda
from xpnet.backend.cuda import GraphedStep, _fused
from xpnet.backend.device import open_device

CALLERS = types.SimpleNamespace(ptr=1)  # the stream that was current before


class FakeStream:
    ptr = 0xBEEF

    def __init__(self, module):
        self.module, self.log, self.fail = module, module.log, module.fail

    def __enter__(self):
        self.before, self.module.stream = self.module.stream, self
        return self

    def __exit__(self, *exc):
        self.module.stream = self.before

    def begin_capture(self):
        self.log.append("begin")
        if self.fail == "begin":
            raise RuntimeError("capture is not supported\nsecond line")

    def end_capture(self):
        self.log.append("end")
        return types.SimpleNamespace(launch=lambda stream: self.log.append(("launch", stream)))


@pytest.fixture
def cupy(monkeypatch):
    """A CuPy whose captures record nothing but that they happened; `.log` has what happened."""
    module = types.ModuleType("cupy")
    module.log, module.fail, module.status = [], None, 0
    module.uint8 = np.uint8
    module.stream = CALLERS
    module.empty = lambda size, dtype: types.SimpleNamespace(data=types.SimpleNamespace(ptr=1))
    module.cuda = types.SimpleNamespace(
        Device=lambda: types.SimpleNamespace(id=0),
        Stream=lambda non_blocking: FakeStream(module),
        MemoryPool=lambda: types.SimpleNamespace(malloc=None),
        using_allocator=lambda malloc: nullcontext(),
        get_current_stream=lambda: module.stream,
    )

    class Library:
        def __getattr__(self, name):
            def call(*arguments):
                module.log.append((name, len(arguments)))
                return module.status

            return call

    own = partial(module.log.append, "CuPy's own product")
    cublas = types.SimpleNamespace(
        create=lambda: module.log.append("create") or 7,
        gemmEx=lambda *arguments: own(),
    )
    module.own_product = cublas.gemmEx
    backends = types.ModuleType("cupy_backends.cuda.libs")
    backends.cublas = cublas
    module.cublas = cublas
    pathfinder = types.ModuleType("cuda.pathfinder")
    pathfinder.load_nvidia_dynamic_lib = lambda name: types.SimpleNamespace(abs_path=name)
    for name, value in {
        "cupy": module,
        "cupy_backends": types.ModuleType("cupy_backends"),
        "cupy_backends.cuda": types.ModuleType("cupy_backends.cuda"),
        "cupy_backends.cuda.libs": backends,
        "cuda": types.ModuleType("cuda"),
        "cuda.pathfinder": pathfinder,
    }.items():
        monkeypatch.setitem(sys.modules, name, value)
    monkeypatch.setattr(device_cuda, "_IDLE", defaultdict(list))
    monkeypatch.setattr(ctypes, "CDLL", lambda path: Library())
    return module


def test_a_step_runs_once_is_recorded_once_and_launched_ever_after(cupy):
    calls = []
    step = GraphedStep(cupy, lambda: calls.append(1) or len(calls))
    assert [step() for _ in range(5)] == [1, 2, 2, 2, 2]
    setup = ["create", ("cublasSetStream_v2", 2), ("cublasSetWorkspace_v2", 3)]
    assert cupy.log == [*setup, "begin", "end", *[("launch", CALLERS)] * 4]
    assert cupy.cublas.gemmEx is cupy.own_product


def test_products_within_a_recording_go_to_a_handle_of_their_own(cupy):
    def step():
        cupy.cublas.gemmEx(1, *range(18))

    graphed = GraphedStep(cupy, step)
    graphed(), graphed()
    products = [each for each in cupy.log if "roduct" in each or "cublasGemmEx" in each]
    assert products == ["CuPy's own product", ("cublasGemmEx", 19)]


def test_a_product_of_another_thread_is_not_recorded(cupy):
    def step():
        recording, cupy.stream = cupy.stream, CALLERS  # as another thread finds it
        cupy.cublas.gemmEx(1, *range(18))
        cupy.stream = recording

    graphed = GraphedStep(cupy, step)
    graphed(), graphed()
    assert cupy.log.count("CuPy's own product") == 2
    assert ("cublasGemmEx", 19) not in cupy.log


@pytest.mark.parametrize("fail", [None, "begin", "status"])
def test_recordings_one_after_the_other_need_one_handle_also_if_they_fail(cupy, fail):
    cupy.fail, cupy.status = fail, 15 * (fail == "status")
    told = "CUDA graph not available"
    for _ in range(3):
        graphed = GraphedStep(cupy, lambda: None)
        graphed()
        with pytest.warns(UserWarning, match=told) if fail else nullcontext():
            graphed()
        del graphed
    assert cupy.log.count("create") == 1


def test_recordings_that_are_kept_have_a_handle_each(cupy):
    kept = [GraphedStep(cupy, lambda: None) for _ in range(2)]
    for graphed in kept * 3:
        graphed()
    assert cupy.log.count("create") == 2


@pytest.mark.parametrize(
    ("break_it", "reason"),
    [
        (lambda cupy: setattr(cupy, "fail", "begin"), "RuntimeError: capture is not supported)"),
        (lambda cupy: setattr(cupy, "status", 15), "cublasSetStream_v2 returned status 15"),
        (lambda cupy: delattr(cupy, "empty"), "AttributeError"),
        (lambda cupy: sys.modules.update({"cuda.pathfinder": None}), "cuda.pathfinder"),
    ],
)
def test_what_cannot_be_recorded_runs_as_it_is_with_one_line(cupy, break_it, reason):
    break_it(cupy)
    calls = []
    step = GraphedStep(cupy, lambda: calls.append(1) or len(calls))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert [step() for _ in range(4)] == [1, 2, 3, 4]
    (warning,) = caught
    assert str(warning.message).startswith("CUDA graph not available (")
    assert reason in str(warning.message)
    assert "\n" not in str(warning.message)
    assert cupy.cublas.gemmEx is cupy.own_product


def test_a_step_that_cannot_be_recorded_half_way_ends_the_capture(cupy):
    calls = []

    def step():
        calls.append(1)
        if "begin" in cupy.log and "end" not in cupy.log:
            cupy.cublas.gemmEx(1, 2)  # not the arguments of a product
        return len(calls)

    graphed = GraphedStep(cupy, step)
    graphed()
    with pytest.warns(UserWarning, match="cublasGemmEx got 1 arguments, not 18"):
        assert graphed() == 3
    assert cupy.log[-2:] == ["begin", "end"]
    assert cupy.cublas.gemmEx is cupy.own_product


def double(xp, z):
    return xp.add(z, z)


def test_an_elementwise_function_becomes_one_kernel(monkeypatch):
    made = []

    def fuse(kernel_name):
        made.append(kernel_name)
        return lambda function: function

    fused = _fused(types.SimpleNamespace(fuse=fuse, add=np.add), double)
    assert fused(np, np.asarray(2.0)) == 4.0
    assert made == ["xpnet_double"]


def sin(xp, z):
    return xp.sin(z)


class Double:
    def __call__(self, xp, z):
        return double(xp, z)


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (sin, "xpnet_sin"),  # not that of C
        (lambda xp, z: xp.sin(z), "xpnet__lambda_"),
        (Double(), "xpnet_Double"),
        (partial(sin), "xpnet_partial"),
    ],
)
def test_a_kernel_has_a_name_that_c_takes_whatever_the_function_is(function, name):
    made = []

    def fuse(kernel_name):
        made.append(kernel_name)
        return lambda traced: traced

    _fused(types.SimpleNamespace(fuse=fuse, add=np.add, sin=np.sin), function)
    assert made == [name]
    assert re.fullmatch(r"[A-Za-z_]\w*", made[0], re.ASCII)


@pytest.mark.parametrize("name", xpnet.nn.activations.HIDDEN)
def test_no_activation_makes_an_array_within_a_fused_kernel(name):
    """What is traced stands for an array: it can be converted, but nothing can be made of it."""

    class Space:
        fuse = staticmethod(lambda kernel_name: lambda traced: traced)

        def __getattr__(self, name):
            if name in ("asarray", "astype"):
                raise TypeError("cannot be traced")
            return getattr(np, name)

    z = np.linspace(-2.0, 2.0, 5)
    activation = xpnet.nn.activations.ACTIVATIONS[name]
    a = _fused(Space(), activation.forward)(np, z)
    found = _fused(Space(), activation.backward)(np, np.ones(5), z, a)
    np.testing.assert_array_equal(a, activation.forward(np, z))
    np.testing.assert_array_equal(found, activation.backward(np, np.ones(5), z, a))


@pytest.mark.parametrize("part", ["forward", "backward"])
def test_a_function_that_computes_nothing_is_left_as_it_is(part):
    function = getattr(xpnet.nn.activations.ACTIVATIONS["identity"], part)
    launched = []

    def fuse(kernel_name):
        def kernel(traced):
            def launch(*arrays):
                result = traced(*arrays)
                launched.append(kernel_name)
                return result.copy()

            return launch

        return kernel

    z = np.ones(3)
    arrays = [z] if part == "forward" else [z, np.zeros(3), np.zeros(3)]
    assert _fused(types.SimpleNamespace(fuse=fuse), function)(np, *arrays) is z
    assert not launched


def test_a_function_that_cannot_be_fused_runs_as_it_is():
    def refuse(*arrays):
        raise TypeError("no such operation in a fused kernel")

    fused = _fused(types.SimpleNamespace(fuse=lambda kernel_name: lambda function: refuse), double)
    with pytest.warns(UserWarning, match=r"double could not be fused \(TypeError: no such"):
        assert fused(np, np.asarray(2.0)) == 4.0
    assert fused(np, np.asarray(3.0)) == 6.0  # and does not try, or warn, again


def test_a_gpu_fuses_and_records_unless_that_is_switched_off(monkeypatch):
    from test_device import fake_cupy

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
