"""Many networks trained at once end as each does alone."""

import signal

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import xpnet
import xpnet.nn.losses
from xpnet.errors import InputError
from xpnet.training import compiled
from xpnet.training.fit import prepare_training
from xpnet.training.many import train_all, train_together

SIZES = (3, 5, 2)


def rows(count=30):
    rng = np.random.default_rng(0)
    return rng.normal(size=(count, SIZES[0])), rng.integers(SIZES[-1], size=count)


def networks(count, device="cpu", **options):
    options = {"output": "softmax", "dtype": "float64"} | options
    return [xpnet.MLP(SIZES, seed=seed, device=device, **options) for seed in range(count)]


def assert_same_as_alone(together, alone, histories, x, y, each, **options):
    for net, twin, history, own in zip(together, alone, histories, each, strict=True):
        expected = xpnet.fit(twin, x, y, progress=False, compile="off", **options, **own)
        get = net.device.get
        np.testing.assert_allclose(get(net.flat), get(twin.flat), rtol=0, atol=1e-12)
        np.testing.assert_allclose(history.loss, expected.loss, rtol=1e-11)
        np.testing.assert_allclose(history.validation_loss, expected.validation_loss, rtol=1e-11)
        assert history.learning_rate == expected.learning_rate
        assert (history.stopped, history.best_epoch) == (expected.stopped, expected.best_epoch)


OPTIONS = st.fixed_dictionaries(
    {
        "batch_size": st.sampled_from([4, 7, 100]),
        "shuffle": st.booleans(),
        "epochs": st.integers(1, 6),
        "validation": st.sampled_from([None, 0.3, rows(12)]),
        "early_stopping": st.sampled_from([False, 1, 2]),
        "schedule": st.sampled_from([None, "linear", "plateau"]),
        "clip_norm": st.sampled_from([None, 0.1]),
        "class_weight": st.sampled_from([None, "balanced"]),
        "loss": st.sampled_from(["auto", "squared_error"]),
    }
)
OPTIMIZERS = [xpnet.SGD, xpnet.Adam, lambda rate: xpnet.SGD(rate, momentum=0.9), xpnet.AdamW]


@pytest.mark.parametrize(
    "backend", ["numpy", "strict-nosync", "torch", pytest.param("cupy", marks=pytest.mark.cuda)],
    indirect=True,
)  # fmt: skip
@pytest.mark.untraced(but=["numpy"])
@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    options=OPTIONS,
    optimizer=st.sampled_from(OPTIMIZERS),
    penalized=st.booleans(),
    dropout=st.sampled_from([0.0, 0.4]),
)
def test_each_of_many_ends_as_it_does_alone(backend, options, optimizer, penalized, dropout):
    x, y = rows()
    pair = [networks(4, backend.device, dropout=dropout) for _ in range(2)]
    each = [
        {"optimizer": optimizer(rate), "l1": l1 * penalized, "l2": l2 * penalized, "seed": seed}
        for rate, l1, l2, seed in zip((0.1, 0.01, 0.3, 0.02), (0, 0.01, 0, 0.1),
                                      (0.1, 0, 0, 0.01), (0, 1, 2, 3), strict=True)
    ]  # fmt: skip
    columns = {name: [own[name] for own in each] for name in each[0]}
    histories = xpnet.fit_many(pair[0], x, y, compile="off", **columns, **options)
    assert_same_as_alone(*pair, histories, x, y, each, **options)


def test_one_that_diverges_does_not_touch_the_others():
    x, _ = rows()
    y, (together, alone) = x[:, :2], (networks(3, output="identity") for _ in range(2))
    rates = [xpnet.SGD(0.1), xpnet.SGD(1e9), xpnet.SGD(0.2)]
    histories = xpnet.fit_many(together, x, y, optimizer=rates, epochs=6)
    assert [history.stopped for history in histories] == ["6 epochs done", "diverged",
                                                          "6 epochs done"]  # fmt: skip
    assert np.isfinite(together[1].flat).all()
    others = [[each[0], each[2]] for each in (together, alone, histories)]
    each = [{"optimizer": rates[0]}, {"optimizer": rates[2]}]
    assert_same_as_alone(*others, x, y, each, epochs=6)


def test_compiled_ones_run_on_all_cores_and_end_alike(monkeypatch, tmp_path):
    numba = pytest.importorskip("numba")
    monkeypatch.setattr(numba.config, "DISABLE_JIT", True)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(compiled, "SECONDS_TO_COMPILE", 0.0)
    x, y = rows()
    together, alone = networks(3), networks(3)
    each = [{"optimizer": xpnet.Adam(rate), "l2": rate} for rate in (0.1, 0.01, 0.001)]
    columns = {name: [own[name] for own in each] for name in each[0]}
    histories = xpnet.fit_many(together, x, y, **columns, batch_size=8, epochs=4)
    assert_same_as_alone(together, alone, histories, x, y, each, batch_size=8, epochs=4)


@pytest.mark.parametrize(
    ("nets", "options", "message"),
    [
        ([], {}, "0 networks given"),
        (networks(1) * 2, {}, "each another one"),
        (networks(2), {"l2": [0.1]}, r"\[0.1\] has 1 entries for 2 networks"),
        ([*networks(1), *networks(1, hidden="tanh")], {}, "the networks differ in layers"),
        (networks(2), {"callbacks": [print]}, "fit_many has no callbacks; train each"),
        (networks(2), {"optimizer": ["sgd", "adam"]}, "optimisers in more than the learning rate"),
    ],
)
def test_what_cannot_be_trained_together_is_refused(nets, options, message):
    with pytest.raises(InputError, match=message):
        xpnet.fit_many(nets, *rows(), **options)


class Told:
    """Stops after some epochs, or raises in one; notes the end."""

    def __init__(self, epochs, *, fails=0):
        self.epochs, self.fails, self.ended = epochs, fails, False

    def on_epoch_end(self, run):
        if run.state.epoch == self.fails:
            raise ZeroDivisionError
        if run.state.epoch == self.epochs:
            run.stop("enough")

    def on_train_end(self, run):
        self.ended = True


def prepared(net, callback):
    options = {"optimizer": xpnet.Adam(0.1), "epochs": 6, "compile": "off", "progress": False}
    return prepare_training(net, *rows(), callbacks=[callback], **options)


def test_a_network_that_has_ended_keeps_its_optimizers_state():
    runs = [prepared(net, Told(epochs)) for net, epochs in zip(networks(3), (2, 6, 6), strict=True)]
    alone = prepared(networks(1)[0], Told(2))
    train_together(runs)
    alone.run()
    for ours, theirs in zip(runs[0].state.optimizer, alone.state.optimizer, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)


def test_a_callback_that_raises_ends_all_and_they_keep_what_was_learnt():
    told, nets = [Told(6, fails=3), Told(6)], networks(2)
    with pytest.raises(ZeroDivisionError):
        train_together([prepared(*pair) for pair in zip(nets, told, strict=True)])
    assert [each.ended for each in told] == [True, True]
    for net, untrained in zip(nets, networks(2), strict=True):
        assert not np.array_equal(net.flat, untrained.flat)


def test_an_interruption_ends_all_within_the_epoch_and_they_are_those_of_the_one_before():
    calls, known = [], xpnet.nn.losses.LOSSES["squared_error"]

    def value(xp, a, y):
        calls.append(len(y))
        if len(calls) == 200:  # in the second epoch of 150 steps
            signal.raise_signal(signal.SIGINT)
        return known.value(xp, a, y)

    loss = xpnet.Loss("mine", value, known.derivative)
    options = {"batch_size": 2, "compile": "off"}
    once, together, (x, y) = networks(2), networks(2), rows(300)
    xpnet.fit_many(once, x, y, epochs=1, loss="squared_error", **options)
    with pytest.raises(KeyboardInterrupt):
        xpnet.fit_many(together, x, y, epochs=9, loss=loss, **options)
    assert len(calls) < 300
    for net, twin in zip(together, once, strict=True):
        np.testing.assert_allclose(net.flat, twin.flat, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("hook", "epochs", "stopped"),
    [
        ("on_train_start", 0, "interrupted"),
        ("on_epoch_end", 1, "interrupted"),
        ("on_train_end", 6, "6 epochs done"),
    ],
)
def test_what_callbacks_do_is_not_cut_short_by_an_interruption(hook, epochs, stopped):
    def interrupt(self, run):
        signal.raise_signal(signal.SIGINT)
        done.append(hook)

    done, told = [], [type("Interrupted", (Told,), {hook: interrupt})(9), Told(9)]
    runs = [prepared(*pair) for pair in zip(networks(2), told, strict=True)]
    with pytest.raises(KeyboardInterrupt):
        train_together(runs)
    assert done == [hook]
    assert told[1].ended
    assert [run.state.epoch for run in runs] == [epochs, epochs]
    assert [run.state.history.stopped for run in runs] == [stopped, stopped]


def test_those_with_another_loss_are_trained_apart():
    nets, twins = networks(2), networks(2)
    options = [{"loss": "auto"}, {"loss": "squared_error", "clip_norm": 0.01}]
    given = {"epochs": 3, "progress": False, "compile": "off"}
    train_all(
        [prepare_training(n, *rows(), **own, **given) for n, own in zip(nets, options, strict=True)]
    )
    for net, twin, own in zip(nets, twins, options, strict=True):
        xpnet.fit(twin, *rows(), **own, **given)
        np.testing.assert_array_equal(net.flat, twin.flat)
