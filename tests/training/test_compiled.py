"""Compiled steps give what plain ones give: the same step, recorded and compiled."""

import numpy as np
import pytest
from lazily import numba

import xpnet
from xpnet.backend import compiled as compiled_backend
from xpnet.errors import DivergenceError, InputError
from xpnet.nn.activations import HIDDEN
from xpnet.training import compiled
from xpnet.training.batches import Data
from xpnet.training.loop import Training, TrainingOptions

OUTPUT_OF = {
    "categorical_cross_entropy": "softmax",
    "binary_cross_entropy": "sigmoid",
    "poisson": "exp",
}


@pytest.fixture
def interpreted(monkeypatch, tmp_path):
    """The text of the compiled function as Python: what it says, without the wait for numba."""
    monkeypatch.setattr(numba.config, "DISABLE_JIT", True)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def train(compile, rows=24, sizes=(3, 5, 4, 2), dtype="float64", weighted=False, net=None,
          callbacks=(), short=3, **options):  # fmt: skip
    """Train a small network for three epochs, each with a short last batch, if any."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows + short, sizes[0])).astype(dtype)
    y = np.eye(sizes[-1], dtype=dtype)[rng.integers(sizes[-1], size=rows + short)]
    weights = rng.uniform(0.5, 2, (rows + short, 1)).astype(dtype) if weighted else None
    net = xpnet.MLP(sizes, seed=1, dtype=dtype, **(net or {}))
    given = {"epochs": 3, "batch_size": 8, "optimizer": xpnet.SGD(0.1), **options}
    training = Training(net, Data(x, y, weights), TrainingOptions(compile=compile, **given),
                        callbacks=callbacks)  # fmt: skip
    training.run()
    return training


def assert_same(options):
    plain, fast = train("off", **options), train("on", **options)
    assert isinstance(fast.launches, compiled.CompiledSteps)
    scale = np.abs(plain.net.flat).max()
    np.testing.assert_allclose(fast.net.flat, plain.net.flat, rtol=0, atol=1e-11 * scale)
    np.testing.assert_allclose(fast.state.history.loss, plain.state.history.loss, rtol=1e-10)


@pytest.mark.usefixtures("interpreted")
@pytest.mark.parametrize("hidden", HIDDEN)
def test_every_activation_compiles_to_the_plain_steps_numbers(hidden):
    assert_same({"net": {"hidden": hidden, "output": "softmax"}})


@pytest.mark.usefixtures("interpreted")
@pytest.mark.parametrize("loss", xpnet.nn.losses.LOSSES)
def test_every_loss_compiles_to_the_plain_steps_numbers(loss):
    assert_same({"loss": loss, "net": {"output": OUTPUT_OF.get(loss, "tanh")}})


@pytest.mark.usefixtures("interpreted")
@pytest.mark.parametrize("short", [3, 0])  # with whole batches alone, all epochs are one call
@pytest.mark.parametrize(
    "options",
    [
        {"optimizer": xpnet.SGD(0.1, momentum=0.9)},
        {"optimizer": xpnet.SGD(0.1, momentum=0.9, nesterov=True), "schedule": "cosine"},
        {"optimizer": xpnet.Adam(0.01), "l1": 0.01, "l2": 0.1},
        {"optimizer": xpnet.AdamW(0.01), "clip_norm": 0.1},
        {"net": {"dropout": 0.5}},
        {"weighted": True},
        {"shuffle": False, "schedule": "linear"},
        {"loss": "squared_error", "net": {"output": "softmax"}},
    ],
    ids=lambda each: ", ".join(each),
)
def test_every_option_of_training_compiles_to_the_plain_steps_numbers(options, short):
    assert_same(options | {"short": short})


@pytest.mark.usefixtures("interpreted")
def test_a_run_that_diverges_ends_alike():
    ends = []
    for how in ("off", "on"):
        with pytest.raises(DivergenceError) as caught:
            train(how, short=0, optimizer=xpnet.SGD(1e3), epochs=20)
        ends.append(str(caught.value))
    assert ends[0] == ends[1]


@pytest.mark.usefixtures("interpreted")
def test_your_own_activation_and_loss_compile_too():
    sine = xpnet.Activation("sine", lambda xp, z: xp.sin(z), lambda xp, d_a, z, a: d_a * xp.cos(z))
    log_cosh = xpnet.Loss(
        "log_cosh",
        lambda xp, a, y: xp.sum(xp.log(xp.cosh(a - y)), axis=1),
        lambda xp, a, y: xp.tanh(a - y),
    )
    assert_same({"loss": log_cosh, "net": {"hidden": sine}})


@pytest.mark.usefixtures("interpreted")
@pytest.mark.parametrize(
    "reduced",
    [
        lambda xp, z: z.max(axis=-1, keepdims=True),
        lambda xp, z: np.sum(z, axis=-1, keepdims=True),
        lambda xp, z: xp.sum(z, axis=-1, keepdims=True, dtype=z.dtype),
    ],
)
def test_your_own_function_compiles_whichever_sum_or_maximum_of_numpy_it_calls(reduced):
    own = xpnet.Activation(
        "own", lambda xp, z: xp.tanh(z - reduced(xp, z)), lambda xp, d_a, z, a: d_a * (1 - a * a)
    )
    assert_same({"net": {"hidden": own}})


@pytest.mark.usefixtures("interpreted")
@pytest.mark.parametrize(
    "forward",
    [
        lambda xp, z: z if float(xp.sum(z)) > 0 else 2 * z,  # a branch on a number
        lambda xp, z: z * np.asarray(np.tanh(np.array(z))),  # arrays that no tape sees
        lambda xp, z: xp.cumulative_sum(z, axis=1),  # a function that is not known
    ],
)
def test_a_step_that_cannot_be_compiled_runs_unchanged_and_says_so(forward):
    own = xpnet.Activation("own", forward, lambda xp, d_a, z, a: d_a)
    with pytest.raises(InputError, match="compile='on': the step cannot be compiled"):
        train("on", net={"hidden": own})
    with pytest.warns(UserWarning, match="the steps are not compiled"):
        auto = train("auto", net={"hidden": own}, epochs=10**6, callbacks=[Stop()])
    assert auto.launches is None


class Stop:
    def on_epoch_end(self, training):
        training.stop("seen enough")


@pytest.mark.usefixtures("interpreted")
def test_a_run_stopped_within_an_epoch_ends_with_the_same_bits(tmp_path):
    class StopAt:
        needs_traces = False

        def on_batch_end(self, training):
            if training.state.step == 4:
                training.stop("interrupted")

        def wants_step(self, step):
            return step == 4

    def run(*callbacks, resume=False):
        net = xpnet.MLP([3, 4, 1], seed=0, dropout=0.2)
        x = np.random.default_rng(0).normal(size=(50, 3))
        checkpoint = xpnet.Checkpoint(tmp_path / "run", every="1 steps", resume=resume)
        kept = [checkpoint] if callbacks or resume else []
        history = xpnet.fit(net, x, x[:, 0], batch_size=8, epochs=3, compile="on", progress=False,
                            callbacks=[*callbacks, *kept])  # fmt: skip
        return net, history

    whole, _ = run()
    run(StopAt())
    resumed, _ = run(resume=True)
    assert resumed.flat.tobytes() == whole.flat.tobytes()


def test_a_callback_that_watches_every_step_keeps_the_plain_one():
    class Watch:
        def on_batch_end(self, training):
            assert training.trace

    with pytest.raises(InputError, match="a callback at each step"):
        train("on", callbacks=[Watch()])


def test_short_runs_are_not_compiled_and_long_ones_are(monkeypatch):
    assert train("auto").launches is None
    monkeypatch.setattr(compiled, "SECONDS_TO_COMPILE", 0.0)
    assert isinstance(train("auto", rows=24).launches, compiled.CompiledSteps)


@pytest.mark.untraced(but=["float64"])
@pytest.mark.parametrize(
    ("dtype", "optimizer", "tolerance"),
    [
        ("float64", xpnet.SGD(0.1), 1e-12),
        ("float32", xpnet.Adam(), 1e-5),
    ],
)
def test_machine_code_gives_the_plain_steps_numbers(
    dtype, optimizer, tolerance, tmp_path, monkeypatch
):
    """Products large enough for BLAS, by numba itself; found on disk the second time."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    options = {"rows": 64, "sizes": (40, 48, 3), "dtype": dtype, "batch_size": 32, "short": 0}
    options["optimizer"] = optimizer
    options |= {"net": {"output": "softmax"}}
    plain, fast = train("off", **options), train("on", **options)
    np.testing.assert_allclose(fast.net.flat, plain.net.flat, rtol=0, atol=tolerance)
    kept = np.any(fast.net.views(fast.flat_gradients).weights[0])
    assert kept == isinstance(optimizer, xpnet.Adam)  # BLAS took SGD's from the weights
    assert list((tmp_path / "xpnet").glob("*.py"))


@pytest.mark.untraced
def test_gradients_that_are_rounding_do_not_keep_adam_from_being_compiled(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    x = np.random.default_rng(0).standard_normal((65, 8)).astype("float32")
    x[32:64], x[64, 4:] = x[:32], 0.0  # errors cancel in pairs of rows, but for the last row
    net = xpnet.MLP([8, 16, 1], hidden="tanh", seed=1)
    y = net.predict(x) + np.repeat([1.0, -1.0, 1.0], [32, 32, 1])[:, None]
    xpnet.fit(net, x, y, optimizer="adam", epochs=1, batch_size=65, compile="on", progress=False)


def test_without_a_folder_to_write_to_a_temporary_one_is_used(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(numba.config, "DISABLE_JIT", True)
    assert_same({})
    folder = compiled_backend._folder()
    assert folder == compiled_backend._folder()
    assert folder.is_dir()


def test_without_numba_the_plain_step_is_taken(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr(compiled, "SECONDS_TO_COMPILE", 0.0)
    assert train("auto").launches is None
    with pytest.raises(InputError, match=r"numba is not installed \(pip install 'xpnet\[fast\]'\)"):
        train("on")
