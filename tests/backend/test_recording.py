"""Recorded steps, on a stand-in for CUDA graphs: the same operations, memory and numbers, replayed.

The stand-in is a NumPy array that writes down every operation on it. A replay repeats them into the
very same result arrays, as a CUDA graph does; whatever the step keeps in Python is frozen. So a
step that replays rightly here has no hidden state. What a real GPU makes of it is unproven here,
and tested by the tests marked ``cuda``.
"""

import collections
import dataclasses
import functools
import gc
import signal
import threading
import warnings
import weakref
from contextlib import nullcontext

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

import xpnet
from xpnet.backend.device import open_device
from xpnet.backend.tape import RECORDING
from xpnet.training import launches, loop
from xpnet.training.batches import Data
from xpnet.training.loop import Training, TrainingOptions

TAPES = []  # the recording under way, if any
DEVICE_NAMES = ("cpu", pytest.param("gpu", marks=pytest.mark.cuda))


class Taped(np.ndarray):
    """An array that writes each operation on it into the open tape."""

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **options):
        plain = [_plain(each) for each in inputs]
        result = getattr(ufunc, method)(
            *plain, **options, **({} if out is None else {"out": tuple(_plain(o) for o in out)})
        )
        target = np.asarray(result)  # a 0-d result gets memory of its own, too
        again = {**options, "out": target}
        for tape in TAPES:
            tape.append(lambda: getattr(ufunc, method)(*plain, **again))
        return out[0] if out is not None else target.view(Taped)

    def __array_function__(self, function, types, args, kwargs):
        args = [_plain(each) for each in args]
        kwargs = {name: _plain(each) for name, each in kwargs.items()}
        result = np.asarray(function(*args, **kwargs))
        for tape in TAPES:
            tape.append(lambda: np.copyto(result, function(*args, **kwargs)))
        return result.view(Taped)


def _plain(array):
    if isinstance(array, (list, tuple)):
        return [_plain(each) for each in array]
    return array.view(np.ndarray) if isinstance(array, Taped) else array


class TapedStep:
    """What `xpnet.backend.cuda.GraphedStep` does: run, then record, then replay."""

    replays = 0

    def __init__(self, step):
        self.step, self.calls, self.tape = step, 0, []

    def __call__(self):
        self.calls += 1
        if self.calls == 1:
            return self.step()
        if self.calls == 2:
            TAPES.append(self.tape)
            try:
                self.result = self.step()
            finally:
                TAPES.pop()
            return self.result
        TapedStep.replays += 1
        for operation in self.tape:
            operation()
        return self.result


def _put_taped(array, dtype):
    return np.array(_plain(array), dtype=dtype).view(Taped)


class TapedNumPy:
    """NumPy, but for ``asarray`` and ``astype``, which arrays cannot intercept."""

    def __getattr__(self, name):
        return getattr(np, name)

    def asarray(self, array, dtype=None, copy=None):
        plain = _plain(array)
        result = np.array(plain, dtype=dtype)
        for tape in TAPES:
            tape.append(lambda: np.copyto(result, plain, casting="unsafe"))
        return result.view(Taped)

    astype = asarray


TAPED = dataclasses.replace(
    RECORDING, xp=TapedNumPy(), put=_put_taped, get=lambda a: np.array(_plain(a)), record=TapedStep
)

ROWS, BATCH, EPOCHS = 58, 8, 4  # of an epoch's eight batches the last one is short
CASES = {
    "sgd": {"optimizer": xpnet.SGD(0.1)},
    "momentum": {"optimizer": xpnet.SGD(0.1, momentum=0.9)},
    "nesterov": {"optimizer": xpnet.SGD(0.1, momentum=0.9, nesterov=True)},
    "adam": {"optimizer": xpnet.Adam(0.01)},
    "adamw": {"optimizer": xpnet.AdamW(0.01, weight_decay=0.1)},
    "a rate that changes at every step": {"schedule": "cosine"},
    "penalties": {"l1": 1e-3, "l2": 1e-2},
    "clipped": {"clip_norm": 0.1},
    "weighted rows": {"sample_weight": np.linspace(0.1, 2.0, ROWS)},
    "weighted classes": {"class_weight": {0: 1.0, 1: 3.0, 2: 0.5}},
    "in order": {"shuffle": False},
    "stopped early": {"validation": 0.3, "early_stopping": xpnet.EarlyStopping(patience=1)},
}


class SeeEachBatch:
    """A callback that wants to see each batch, so that steps are taken one by one."""

    def on_batch_end(self, training):
        pass


def learn(device, *, net_options=None, rows=ROWS, **options):
    """Train a network of three classes; return parameters and losses."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((rows, 3)).astype(np.float32)
    y = np.argmax(x, axis=1)
    net = xpnet.MLP([3, 6, 5, 3], output="softmax", device=device, seed=1, **(net_options or {}))
    settings = {"batch_size": BATCH, "epochs": EPOCHS, "progress": False, **options}
    history = xpnet.fit(net, x, y, **settings)
    return [net.device.get(p) for p in net.parameters], history.loss


def assert_same_bits(found, expected):
    for one, other in zip(found[0], expected[0], strict=True):
        np.testing.assert_array_equal(one, other)
    assert found[1] == expected[1]


def devices(name, *, replayed):
    if name == "cpu":
        return TAPED if replayed else dataclasses.replace(TAPED, record=None)
    return open_device("gpu", fuse=False, graph=replayed)


@pytest.fixture
def three_steps_a_launch(monkeypatch):
    """Make an epoch of seven whole batches two launches, one step alone, and the short batch."""
    monkeypatch.setattr(launches, "MAX_STEPS", 4)


@pytest.mark.parametrize("name", DEVICE_NAMES)
@pytest.mark.parametrize("case", CASES)
def test_a_replayed_training_has_the_bits_of_an_eager_one(
    name, case, request, three_steps_a_launch
):
    _needs(name, request)
    eager = learn(devices(name, replayed=False), **CASES[case])
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a graph that is not to be had would only warn
        assert_same_bits(learn(devices(name, replayed=True), **CASES[case]), eager)
        one_by_one = {"callbacks": [SeeEachBatch()], **CASES[case]}
        assert_same_bits(learn(devices(name, replayed=True), **one_by_one), eager)


def test_each_recording_is_made_once_and_replayed_from_then_on(three_steps_a_launch):
    TapedStep.replays = 0
    learn(TAPED)
    assert TapedStep.replays == (EPOCHS * 2 - 2) + (EPOCHS - 2)  # less the eager, the recorded one
    TapedStep.replays = 0
    learn(TAPED, callbacks=[SeeEachBatch()])
    assert TapedStep.replays == EPOCHS * 7 - 2


class HalveTheRate:
    """A callback that sets the factor of the learning rate when an epoch ends."""

    def on_epoch_end(self, training):
        training.state.learning_rate_factor *= 0.5


TRAININGS = {
    "optimizer": st.sampled_from([CASES[each]["optimizer"] for each in list(CASES)[:5]]),
    "schedule": st.sampled_from(["constant", "cosine", "step", "plateau", "warmup"]),
    "l1": st.sampled_from([0.0, 1e-3]),
    "l2": st.sampled_from([0.0, 1e-2]),
    "clip_norm": st.sampled_from([None, 0.1]),
    "shuffle": st.booleans(),
    "class_weight": st.sampled_from([None, "balanced"]),
    "batch_size": st.integers(1, 9),
    "epochs": st.integers(1, 3),
}
NETS = {
    "dtype": st.sampled_from(["float32", "float64"]),
    "dropout": st.sampled_from([0.0, 0.5, (0.0, 0.3)]),
    "hidden": st.sampled_from(["relu", "tanh", "sigmoid", "selu", "gelu", "softplus"]),
}


@pytest.mark.untraced
@pytest.mark.parametrize("name", DEVICE_NAMES)
def test_whatever_the_options_the_bits_are_those_of_an_eager_training(name, request):
    _needs(name, request)

    @hypothesis.settings(max_examples=30 if name == "cpu" else 15)
    @hypothesis.given(
        st.fixed_dictionaries(TRAININGS), st.fixed_dictionaries(NETS), st.integers(9, 20),
        st.integers(1, 5), st.booleans(), st.booleans(),
    )  # fmt: skip
    def same_bits(options, net_options, rows, steps, weighted, halved):
        options |= {"net_options": net_options, "rows": rows}
        options["sample_weight"] = np.linspace(0.0, 2.0, rows) if weighted else None
        options["callbacks"] = [HalveTheRate()] if halved else []
        eager = learn(devices(name, replayed=False), **options)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(launches, "MAX_STEPS", steps)
            assert_same_bits(learn(devices(name, replayed=True), **options), eager)
            options["callbacks"] = [*options["callbacks"], SeeEachBatch()]
            assert_same_bits(learn(devices(name, replayed=True), **options), eager)

    same_bits()


def test_an_interrupted_epoch_goes_on_where_a_launch_ended(three_steps_a_launch, monkeypatch):
    """Ctrl-C within a launch: the launch is finished, and the rest of the epoch is taken later."""
    x = np.random.default_rng(0).standard_normal((ROWS, 3))
    whole, halved = (xpnet.MLP([3, 4, 2], dropout=0.2, device=TAPED) for _ in range(2))
    options = TrainingOptions(batch_size=BATCH, epochs=3, schedule="cosine")
    expected = Training(whole, prepared(whole, x), options).run()
    first = Training(halved, prepared(halved, x), options)
    make = loop.make_step

    def interrupting(*given, **options):
        return functools.partial(interrupt, make(*given, **options))

    def interrupt(take, *given):
        if first.state.batch == 3 and not first.stop_reason:  # in the second launch, being recorded
            signal.raise_signal(signal.SIGINT)
        return take(*given)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "make_step", interrupting)
        with pytest.raises(KeyboardInterrupt):
            first.run()
    assert (first.state.epoch, first.state.batch, first.state.step) == (0, 6, 6)
    assert first.between_steps
    found = Training(halved, prepared(halved, x), options, state=first.state).run()
    assert_same_bits((halved.parameters, found.loss), (whole.parameters, expected.loss))


def prepared(net, x):
    return Data(net.device.put(x, net.dtype), net.device.put(x[:, :2], net.dtype), None)


@pytest.mark.parametrize(
    ("steps", "batch_bytes", "count"),
    [
        (1, 8, 1),
        (64, 8, 64),
        (120, 8, 60),  # not 64 and a rest of 56
        (67, 8, 33),
        (10, 1 << 30, 1),  # each batch larger than what a launch gathers
        (100, 1 << 24, 4),
    ],
)
def test_a_launch_takes_many_steps_and_leaves_few_over(steps, batch_bytes, count):
    assert launches.steps_per_launch(steps, batch_bytes) == count


def test_a_callback_that_says_which_steps_it_wants_sees_them_and_the_others_go_in_launches(
    three_steps_a_launch,
):
    class SeeAll:
        def __init__(self):
            self.seen = {}

        def on_batch_end(self, training):
            self.seen[training.state.step] = float(training.loss)

    class SeeSome(SeeAll):
        def wants_step(self, step):
            return step in (10, 30)

    some, every = SeeSome(), SeeAll()
    assert_same_bits(learn(TAPED, callbacks=[some]), learn(TAPED, callbacks=[every]))
    assert {10, 30} <= some.seen.keys()
    assert not {1, 17, 25} & some.seen.keys()  # in launches with which an epoch began
    assert some.seen.items() <= every.seen.items()


def test_checkpoints_are_saved_after_the_same_steps_whichever_way_they_ran(
    three_steps_a_launch, tmp_path
):
    found = []
    for name, device in (("one", TAPED), ("other", dataclasses.replace(TAPED, record=None))):
        checkpoint = xpnet.Checkpoint(tmp_path / name, every="10 steps", keep=100)
        learn(device, callbacks=[checkpoint], epochs=6)
        found.append(sorted(each.name for each in (tmp_path / name).iterdir()))
    assert found[0] == found[1]
    assert len(found[0]) >= 4


@pytest.mark.cuda
@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_an_epoch_of_launches_reads_back_once_and_a_launch_is_two_commands(
    emulator, cuda, dropout, three_steps_a_launch, monkeypatch
):
    launch, launched, epochs = launches.Launches.__call__, [], []

    def counted(self, *given):
        with emulator.counting() as found:
            result = launch(self, *given)
        launched.append(found)
        return result

    class CountEpochs:
        def on_epoch_start(self, training):
            self.counting = emulator.counting()
            self.found = self.counting.__enter__()

        def on_epoch_end(self, training):
            self.counting.__exit__(None, None, None)
            epochs.append(self.found)

    monkeypatch.setattr(launches.Launches, "__call__", counted)
    learn(
        cuda, net_options={"dropout": dropout}, callbacks=[CountEpochs()], schedule="cosine",
        optimizer=xpnet.AdamW(0.01), clip_norm=1.0, sample_weight=np.linspace(0.1, 2.0, ROWS),
    )  # fmt: skip
    assert len(launched) == EPOCHS * 3
    assert all(each["waits"] == each["copy_out"] == 0 for each in launched)
    products = launched[0]["product"]
    for each in launched[6:]:  # less the eager, the recorded ones
        assert each["graph"] == each["kernel"] + each["fill"] == 1  # with which step to begin
        assert each["product"] == each["copy_in"] == each["copy_within"] == 0
        assert each["executed_product"] in (products, products // 3)
    assert [each["waits"] for each in epochs] == [1] * EPOCHS


@pytest.mark.cuda
@pytest.mark.parametrize("hidden", xpnet.nn.activations.HIDDEN)
def test_fused_activations_agree_on_a_gpu(hidden, request):
    _needs("gpu", request)
    options = {"net_options": {"hidden": hidden, "dtype": "float64"}}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = learn(open_device("gpu", graph=False), **options)
        expected = learn(open_device("gpu", fuse=False, graph=False), **options)
    for one, other in zip(found[0], expected[0], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-11)


def sin(xp, z):  # C has a function of this name
    return xp.sin(z)


def double(xp, z):  # and a type
    return z + z


class Shifted:
    """A callable object, which has no name."""

    def __call__(self, xp, z, by=1.0):
        return z + by


OWN = {
    "sin": sin,
    "double": double,
    "lambda": lambda xp, z: xp.exp(-z * z),
    "object": Shifted(),
    "partial": functools.partial(Shifted(), by=2.0),
    "comparison": lambda xp, z: xp.asarray(z > 0.0, dtype=z.dtype) * z,
    "astype": lambda xp, z: xp.astype(z > 0.0, z.dtype) * z,
    "argument": lambda xp, z: z,
}


def test_what_is_recorded_goes_when_training_ends_and_does_not_wait_for_the_collector():
    kept = []

    def record(step):
        kept.append(weakref.ref(replayed := TapedStep(step)))
        return replayed

    gc.disable()
    try:
        learn(dataclasses.replace(TAPED, record=record))
        assert kept
        assert not [each for each in kept if each() is not None]
    finally:
        gc.enable()


@pytest.mark.cuda
@pytest.mark.parametrize("kind", OWN)
def test_functions_of_the_users_own_are_fused_too(kind, cuda):
    fused = open_device("gpu").fuse(OWN[kind])
    z = cuda.put(np.linspace(-2.0, 2.0, 7), "float64")
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # what cannot be fused would only warn
        found = [fused(cuda.xp, z) for _ in range(2)]
    for each in found:
        np.testing.assert_allclose(cuda.get(each), cuda.get(OWN[kind](cuda.xp, z)), rtol=1e-14)
        assert (each is z) == (kind == "argument")  # a kernel would only have copied it


@pytest.mark.cuda
def test_products_of_other_threads_are_right_while_a_step_is_recorded(cuda):
    a, b = (cuda.put(np.full((3, 3), each), "float64") for each in (2.0, 3.0))
    found, steps = [], []

    def multiply():
        found.append(cuda.get(cuda.xp.matmul(a, a)))

    def step():
        steps.append(1)
        if len(steps) == 2:  # which is recorded
            other = threading.Thread(target=multiply)
            other.start()
            other.join()
        return cuda.xp.matmul(a, b)

    recorded = open_device("gpu").record(step)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        results = [cuda.get(recorded()) for _ in range(4)]
    assert len(steps) == 2
    np.testing.assert_array_equal(found, np.full((1, 3, 3), 12.0))
    np.testing.assert_array_equal(results, np.full((4, 3, 3), 18.0))


@pytest.mark.cuda
@pytest.mark.parametrize("fails", [False, True])
def test_many_recordings_leave_no_more_handles_than_one(cuda, fails, monkeypatch):
    from cupy_backends.cuda.libs import cublas

    made, create = [], cublas.create
    monkeypatch.setattr(cublas, "create", lambda: made.append(create()) or made[-1])
    monkeypatch.setattr("xpnet.backend.cuda._IDLE", collections.defaultdict(list))

    def step():
        steps.append(1)
        if fails and len(steps) == 2:
            raise ValueError("cannot be recorded")

    for _ in range(5):
        recorded, steps = open_device("gpu").record(step), []
        recorded()
        with pytest.warns(UserWarning, match="cannot be recorded") if fails else nullcontext():
            recorded()
        del recorded
    assert len(made) == 1


def _needs(name, request):
    if name == "gpu":
        request.getfixturevalue("cuda")
