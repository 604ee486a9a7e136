import numpy as np
import pytest

import xpnet
from xpnet.nn.schedules import (
    Constant,
    Cosine,
    InverseScaling,
    Linear,
    Progress,
    ReduceOnPlateau,
    StepDecay,
    Warmup,
    resolve_schedule,
)


def at(step, *, epoch=0, total=100, losses=()):
    return Progress(step, epoch, 10, total, losses)


@pytest.mark.parametrize(
    ("schedule", "step", "factor"),
    [
        (Constant(), 99, 1.0),
        (Linear(), 0, 1.0),
        (Linear(end=0.2), 400, 0.2),  # resumed beyond its last step
        (Cosine(), 200, 0.0),
        (Cosine(), 50, 0.5),
        (Cosine(end=0.1), 100, 0.1),
        (InverseScaling(), 3, 0.5),
        (InverseScaling(power=1.0), 3, 0.25),
        (Warmup(10), 0, 0.1),
        (Warmup(10), 9, 1.0),
        (Warmup(10, then=Linear()), 50, 0.5),
        (Warmup(10, "linear"), 50, 0.5),
    ],
    ids=str,
)
def test_factor_at_a_step(schedule, step, factor):
    assert schedule(at(step)) == pytest.approx(factor, abs=1e-15)


def test_plateau_is_the_same_at_any_scale_of_the_loss():
    losses = 0.9 ** np.arange(50)  # which falls all the time
    assert {ReduceOnPlateau()(at(0, losses=scale * losses)) for scale in (1e-9, 1.0, 1e6)} == {1.0}
    assert ReduceOnPlateau(patience=2)(at(0, losses=[-1.0, -2.0, -1.9999, -2.0001])) == 0.5


def test_plateau_reduces_after_each_patience_without_improvement():
    schedule = ReduceOnPlateau(factor=0.5, patience=2, min_delta=0.01)
    losses = [1.0, 0.5, 0.499, 0.498, 0.497, 0.2, 0.3, 0.3, 0.3, 0.3]
    factors = [schedule(at(0, losses=losses[:seen])) for seen in range(len(losses) + 1)]
    assert factors == [1.0, 1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25, 0.125]


@pytest.mark.parametrize(
    "schedule", [Linear(), Cosine(), InverseScaling(), Warmup(3), Warmup(3, then=Cosine())], ids=str
)
def test_these_schedules_change_from_step_to_step(schedule):
    rates = []

    class Watch:
        def on_batch_end(self, training):
            rates.append(training.learning_rate)

    x = np.zeros((6, 1))
    xpnet.fit(
        xpnet.MLP([1, 1]), x, x, epochs=2, batch_size=2, optimizer=xpnet.SGD(0.4),
        schedule=schedule, callbacks=[Watch()],
    )  # fmt: skip
    np.testing.assert_allclose(rates, [0.4 * schedule(at(step, total=6)) for step in range(6)])


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (StepDecay(2, 0.5), [0.4, 0.4, 0.2, 0.2, 0.1]),
        (ReduceOnPlateau(0.5, 1), [0.4, 0.4, 0.2, 0.1, 0.05]),
        ("linear", [0.4 * (15 - last) / 15 for last in (2, 5, 8, 11, 14)]),  # steps
    ],
    ids=["step decay", "plateau", "by name"],
)
def test_the_learning_rate_of_each_epoch_is_recorded(schedule, expected):
    x = np.zeros((6, 1))
    history = xpnet.fit(
        xpnet.MLP([1, 1]), x, x, epochs=5, batch_size=2, optimizer=xpnet.SGD(0.4), schedule=schedule
    )
    np.testing.assert_allclose(history.learning_rate, expected)


@pytest.mark.parametrize(
    "make",
    [
        lambda: StepDecay(0),
        lambda: Linear(end=2.0),
        lambda: InverseScaling(-1.0),
        lambda: ReduceOnPlateau(factor=1.5),
    ],
)
def test_options_out_of_range_are_refused(make):
    with pytest.raises(xpnet.InputError, match="must be f"):
        make()


def test_a_class_and_what_gives_no_number_are_refused():
    with pytest.raises(xpnet.InputError, match=r"schedule Cosine is a class; pass Cosine\(\)"):
        resolve_schedule(Cosine)
    with pytest.raises(xpnet.InputError, match="schedule 'cosin' is not known; use one of"):
        Warmup(3, "cosin")
    net = xpnet.MLP([2, 1])
    with pytest.raises(xpnet.InputError, match="gave None, not a factor >= 0"):
        xpnet.fit(net, np.ones((4, 2)), np.ones(4), schedule=lambda progress: None)
