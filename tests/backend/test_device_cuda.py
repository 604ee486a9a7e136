"""Which functions become kernels, and how; what a GPU makes of them: tests marked ``cuda``."""

import pickle
import re
import sys
import types

import numpy as np
import pytest

import xpnet
from xpnet.backend.cuda import GraphedStep, _fused
from xpnet.backend.device import open_device


def double(xp, z):
    return xp.add(z, z)


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
