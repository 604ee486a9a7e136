"""The emulated GPU finds what a real one punishes seldom, later, or with a crash.

These run under ``make test-cuda`` only; a real GPU skips them.
"""

import numpy as np
import pytest

pytestmark = [pytest.mark.cuda, pytest.mark.usefixtures("emulator")]
ILLEGAL = "cudaErrorIllegalAddress"


@pytest.fixture
def cupy():
    return pytest.importorskip("cupy")


@pytest.fixture
def stream(cupy):
    """Return a stream that does not wait for the default one."""
    return cupy.cuda.Stream(non_blocking=True)


def unowned(cupy, pointer, count, *, device=0):
    """Return a float64 array at an address, without a claim to the memory."""
    memory = cupy.cuda.UnownedMemory(pointer, 8 * count, owner=None, device_id=device)
    return cupy.ndarray((count,), "float64", cupy.cuda.MemoryPointer(memory, 0))


# Memory


def test_memory_that_nobody_wrote_is_nan(cupy):
    fresh = cupy.cuda.MemoryPool()
    with cupy.cuda.using_allocator(fresh.malloc):
        assert bool(cupy.isnan(cupy.empty(1000) + 1.0).all())


def test_a_read_beyond_an_array_is_an_error(cupy):
    few = cupy.zeros(64)  # 512 bytes, which is what cudaMalloc rounds up to
    more = cupy.lib.stride_tricks.as_strided(few, shape=(65,), strides=(8,))
    assert float((few + 1.0).sum()) == 64.0
    with pytest.raises(Exception, match=ILLEGAL):
        more + 1.0
    assert float((few + 1.0).sum()) == 64.0  # and the device still works


def test_a_read_far_beyond_an_array_is_an_error(cupy):
    few = cupy.zeros(64)
    far = cupy.lib.stride_tricks.as_strided(few, shape=(2,), strides=(100_000,))
    with pytest.raises(Exception, match=ILLEGAL):
        far + 1.0


def test_memory_that_was_freed_cannot_be_read(cupy):
    runtime = cupy.cuda.runtime
    pointer = runtime.malloc(512)
    array = unowned(cupy, pointer, 64)
    array.fill(1.0)
    assert float(array.sum()) == 64.0
    runtime.free(pointer)
    with pytest.raises(Exception, match=ILLEGAL):
        array + 1.0


def test_a_copy_says_the_direction_that_is_true_and_stays_within_an_array(cupy):
    runtime = cupy.cuda.runtime
    host, device = np.ones(64), cupy.zeros(64)
    runtime.memcpy(device.data.ptr, host.ctypes.data, 512, runtime.memcpyHostToDevice)
    assert float(device.sum()) == 64.0
    for size, direction in (
        (512, runtime.memcpyDeviceToHost),
        (512, runtime.memcpyDeviceToDevice),
        (520, runtime.memcpyHostToDevice),
    ):
        with pytest.raises(runtime.CUDARuntimeError, match="cudaErrorInvalidValue"):
            runtime.memcpy(device.data.ptr, host.ctypes.data, size, direction)


# Order


def test_a_product_on_a_stream_that_nobody_waits_for_is_not_there_yet(cupy, stream):
    a = cupy.arange(6.0).reshape(2, 3)
    expected = cupy.asnumpy(a) @ cupy.asnumpy(a).T
    with cupy.cuda.using_allocator(cupy.cuda.MemoryPool().malloc):
        product = cupy.empty((2, 2))
        with stream:
            cupy.matmul(a, a.T, out=product)
        assert np.isnan(cupy.asnumpy(product)).all()  # read by the default stream
    stream.synchronize()
    np.testing.assert_array_equal(cupy.asnumpy(product), expected)


def test_an_event_orders_two_streams(cupy, stream):
    other = cupy.cuda.Stream(non_blocking=True)
    array = cupy.zeros(8)
    with stream:
        array += 1.0
        written = stream.record()
    with other:
        other.wait_event(written)
        array *= 3.0
    other.synchronize()
    np.testing.assert_array_equal(cupy.asnumpy(array), 3.0)


def test_the_default_stream_waits_for_a_stream_that_blocks(cupy):
    array = cupy.zeros(8)
    with cupy.cuda.Stream():
        array += 1.0
    np.testing.assert_array_equal(cupy.asnumpy(array), 1.0)


# Capture


def test_waiting_within_a_capture_breaks_it(cupy, stream):
    error = cupy.cuda.runtime.CUDARuntimeError
    stream.begin_capture()
    with pytest.raises(error, match="cudaErrorStreamCaptureUnsupported"):
        cupy.cuda.runtime.streamSynchronize(stream.ptr)
    with pytest.raises(error, match="cudaErrorStreamCaptureInvalidated"):
        stream.end_capture()


def test_the_default_stream_breaks_the_capture_of_a_stream_that_blocks(cupy):
    array, stream = cupy.zeros(8), cupy.cuda.Stream()
    stream.begin_capture()
    with pytest.raises(Exception, match="cudaErrorStreamCaptureImplicit"):
        array += 1.0
    with pytest.raises(Exception, match="cudaErrorStreamCaptureInvalidated"):
        stream.end_capture()


def test_a_graph_repeats_what_was_captured_and_capturing_runs_nothing(cupy, emulator, stream):
    array = cupy.zeros(8)
    with stream:
        array += 0.0  # compiles the kernel
        stream.begin_capture()
        array += 1.0
        array += 1.0
        graph = stream.end_capture()
    stream.synchronize()
    assert float(array.sum()) == 0.0
    with emulator.counting() as counted:
        for _ in range(3):
            graph.launch(stream)
        stream.synchronize()
    np.testing.assert_array_equal(cupy.asnumpy(array), 6.0)
    assert (counted["graph"], counted["kernel"], counted["executed_kernel"]) == (3, 0, 6)


# Two devices


def test_memory_of_another_device_cannot_be_used(cupy):
    first = cupy.ones(64)
    as_if_on_second = unowned(cupy, first.data.ptr, 64, device=1)
    with cupy.cuda.Device(1):
        assert float(cupy.ones(64).sum()) == 64.0
        with pytest.raises(Exception, match=ILLEGAL):
            as_if_on_second + 1.0
        square = as_if_on_second.reshape(8, 8)
        with pytest.raises(Exception, match="CUBLAS_STATUS_EXECUTION_FAILED"):
            cupy.matmul(square, square)


# What is counted


def test_each_wait_for_the_device_is_counted_once_and_can_be_refused(cupy, emulator):
    array = cupy.ones(8)
    with emulator.counting() as counted:
        total = array.sum()
        assert float(total) == 8.0
        cupy.cuda.Device().synchronize()
    assert (counted["waits"], counted["copy_out"]) == (2, 1)
    with pytest.raises(Exception, match="cudaErrorNotPermitted"), emulator.no_host_waits():
        float(array.sum())
    assert float(array.sum()) == 8.0


def test_a_wait_that_the_code_hides_is_found_at_the_end(cupy, emulator):
    array = cupy.ones(8)

    def peek():
        with pytest.raises(Exception, match="cudaErrorNotPermitted"):
            float(array.sum())

    with (
        pytest.raises(AssertionError, match="waited for the device 1 time"),
        emulator.no_host_waits(),
    ):
        peek()


def test_kernels_are_told_with_the_types_of_their_arguments(cupy, emulator):
    array = cupy.ones(8, "float32")
    emulator.kernels()
    array.astype("float64")
    ((name, count),) = emulator.kernels().items()
    assert count == 1
    assert "CArray<float" in name
    assert "CArray<double" in name


# Threads that meet


@pytest.mark.parametrize("dtype", ["float32", "int64"])
def test_a_reduction_over_many_blocks_and_warps_is_exact(cupy, dtype):
    numbers = np.arange(100_003) % 7
    total = cupy.asarray(numbers, dtype).sum()
    assert int(total) == numbers.sum()


def test_threads_of_a_block_meet_at_barriers_and_exchange_values(cupy):
    source = r"""
    extern "C" __global__ void turn(const int* given, int* out) {
        __shared__ int block[96];
        block[threadIdx.x] = given[threadIdx.x];
        __syncthreads();
        const int opposite = block[95 - threadIdx.x];
        out[threadIdx.x] = 1000 * opposite + __shfl_xor_sync(0xffffffff, given[threadIdx.x], 1);
    }
    """
    given, out = cupy.arange(96, dtype="int32"), cupy.zeros(96, "int32")
    cupy.RawKernel(source, "turn")((1,), (96,), (given, out))
    lanes = np.arange(96)
    np.testing.assert_array_equal(cupy.asnumpy(out), 1000 * (95 - lanes) + (lanes ^ 1))
