"""`xpnet.fit` never learns nothing without a word."""

import re
import warnings

import numpy as np
import pytest

import xpnet
from xpnet.training import skill
from xpnet.training.fit import prepare_training

DRAW = np.random.default_rng(0)
ANGLE = DRAW.uniform(0.0, 2.0 * np.pi, (500, 1))
SINE = np.sin(ANGLE[:, 0])
NORMAL = DRAW.normal(size=(500, 3))
CLASS = (NORMAL[:, 0] > 0.0).astype(float)
NOTHING = {"optimizer": xpnet.SGD(1e-12), "epochs": 8}  # 128 steps that lead nowhere


def told(net, x, y, train=xpnet.fit, **options):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        train(net, x, y, **options)
    return [str(each.message) for each in caught if each.category is xpnet.NoSkillWarning]


def test_a_network_that_exploded_and_died_is_told_with_the_cause_and_the_advice_helps():
    with pytest.warns(xpnet.NoSkillWarning) as caught:
        xpnet.fit(xpnet.MLP([1, 32, 32, 1]), ANGLE, SINE)
    text = str(caught[0].message)
    assert caught[0].filename == __file__
    for part in (
        "fit: the outputs are nearly the same for all samples (standard deviation 0, against 0.",
        "Likely cause: x is not scaled (means up to 3.",
        "pass (x - x.mean(axis=0)) / x.std(axis=0), and scale new rows alike; ",
        "the steps were too long (loss ",
        "e+08 in epoch 1, ",
        "at the start): try a learning rate of 0.01 or Adam()",
    ):
        assert part in text
    scaled = (ANGLE - ANGLE.mean(axis=0)) / ANGLE.std(axis=0)
    shorter = {"optimizer": xpnet.SGD(0.01), "epochs": 100}
    for x, options in ((scaled, {}), (ANGLE, shorter), (ANGLE, {"optimizer": xpnet.Adam()})):
        history = prepare_training(
            xpnet.MLP([1, 32, 32, 1]), x, SINE, metrics="r2", **options
        ).run()
        assert history.metrics["r2"][-1] > 0.3
        assert not told(xpnet.MLP([1, 32, 32, 1]), x, SINE, **options)


def test_numbers_that_are_not_scaled_are_named(tmp_path):
    y = 1000.0 + 50.0 * NORMAL[:, 0]
    (text,) = told(xpnet.MLP([3, 8, 1]), NORMAL, y, **NOTHING)
    assert "Likely cause: y is not scaled (means up to 998, standard deviations from 52" in text
    assert "pass (y - y.mean(axis=0)) / y.std(axis=0)" in text
    with_constant = np.concat([1000.0 + NORMAL, np.ones((500, 1))], axis=1)
    (text,) = told(xpnet.MLP([4, 8, 1], output="sigmoid"), with_constant, CLASS, **NOTHING)
    assert "x.std(axis=0), without the columns that never change, and scale" in text
    np.save(tmp_path / "x.npy", 1000.0 + NORMAL)
    file = xpnet.RowFile(tmp_path / "x.npy")
    (text,) = told(xpnet.MLP([3, 8, 1], output="sigmoid"), file, CLASS, **NOTHING)
    assert "pass x.standardized(), and scale new rows alike" in text


def test_a_skill_is_clear_from_the_least_gain_on():
    assert skill.Skill(0.25, 1.0).is_clear
    assert not skill.Skill(0.25, 1.0, min_gain=0.75).is_clear
    assert not skill.Skill(np.nan, 1.0).is_clear
    assert not skill.Skill(0.25, 1.0, same_outputs="all are 3").is_clear
    assert str(skill.Skill(0.25, 1.0, same_outputs="all are 3")) == "all are 3"


def test_a_gain_within_chance_is_not_called_none():
    noise = (np.random.default_rng(4).random(500) < 0.5).astype(float)
    fitted = {"optimizer": xpnet.SGD(0.1), "epochs": 40}
    (text,) = told(xpnet.MLP([3, 1], output="sigmoid"), NORMAL, noise, **fitted)
    own, constant = re.findall(r"0\.\d+", text)[:2]
    assert own < constant
    assert "fit: the model is not clearly better than the best constant prediction (" in text
    (text,) = told(xpnet.MLP([3, 8, 1], output="sigmoid", seed=1), NORMAL, noise, **NOTHING)
    own, constant = re.findall(r"0\.\d+", text)[:2]
    assert own > constant
    assert "fit: the model is no better than the best constant prediction (" in text


def test_without_a_cause_at_hand_the_doctor_is_named():
    (text,) = told(xpnet.MLP([3, 8, 1], output="sigmoid", seed=1), NORMAL, CLASS, **NOTHING)
    assert "Likely cause: not known; train longer, or run xpnet.diagnose(net, x, y) on a" in text


@pytest.mark.parametrize("penalty", ["l1", "l2"])
def test_a_penalty_that_is_large_at_the_start_is_not_called_long_steps(penalty):
    net = xpnet.MLP([3, 64, 64, 1])
    (text,) = told(net, NORMAL, SINE, optimizer=xpnet.SGD(1e-5), epochs=8, **{penalty: 1000.0})
    assert "too long" not in text


@pytest.mark.filterwarnings("error::UserWarning")
def test_it_is_too_early_or_there_are_too_few_rows_to_say_it():
    net = xpnet.MLP([3, 8, 1])
    for _ in range(20):
        xpnet.fit(net, NORMAL, SINE, optimizer=xpnet.SGD(1e-12), epochs=1)
    xpnet.fit(net, NORMAL, SINE, optimizer=xpnet.SGD(1e-12), epochs=4)
    xpnet.fit(net, NORMAL[:19], SINE[:19], optimizer=xpnet.SGD(1e-12), epochs=200)
    xpnet.fit(net, NORMAL, np.ones(500), optimizer=xpnet.SGD(1e-12), epochs=20)


@pytest.mark.filterwarnings("error::UserWarning")
def test_networks_that_learn_are_not_warned_of():
    labels = np.stack([CLASS, 1.0 - CLASS], axis=1)
    xpnet.fit(xpnet.MLP([3, 8, 1]), NORMAL, NORMAL[:, 0])
    xpnet.fit(xpnet.MLP([3, 8, 1], output="sigmoid"), NORMAL, CLASS, early_stopping=3)
    xpnet.fit(xpnet.MLP([3, 8, 2], output="softmax"), NORMAL, CLASS, validation=0.2)
    xpnet.fit(xpnet.MLP([3, 8, 2], output="sigmoid"), NORMAL, labels)
    xpnet.fit(xpnet.MLP([3, 8, 1], output="exp"), NORMAL, np.exp(NORMAL[:, 0]), clip_norm=1.0)
    xpnet.fit(xpnet.MLP([3, 16, 3]), NORMAL, NORMAL)  # to itself


@pytest.mark.filterwarnings("error::UserWarning")
@pytest.mark.parametrize("loss", ["absolute_error", "huber"])
def test_outliers_are_judged_by_the_loss_that_is_robust_to_them(loss):
    y = np.where(np.arange(500) < 10, 1e6, NORMAL[:, 0])
    xpnet.fit(xpnet.MLP([3, 16, 1]), NORMAL, y, loss=loss, optimizer=xpnet.Adam(0.01))


@pytest.mark.filterwarnings("error::UserWarning")
def test_a_rare_class_that_is_weighted_counts_as_in_training():
    y = (NORMAL[:, 0] > 1.8).astype(float)
    net = xpnet.MLP([3, 16, 1], output="sigmoid")
    xpnet.fit(net, NORMAL, y, class_weight="balanced")
    assert np.mean(net.predict(NORMAL[y == 1.0]) > 0.5) > 0.9


@pytest.mark.filterwarnings("error::UserWarning")
def test_faint_signals_in_many_rows_are_seen():
    draw = np.random.default_rng(1)
    x = draw.normal(size=(12_000, 2))
    y = 0.04 * x[:, 0] + draw.normal(size=12_000)  # R² 0.0016
    xpnet.fit(xpnet.MLP([2, 1]), x, y, optimizer=xpnet.SGD(0.005), epochs=5, batch_size=128)


@pytest.mark.filterwarnings("error::UserWarning")
def test_a_loss_of_ones_own_may_have_units_and_batches_of_its_own():
    scaled = xpnet.Loss(  # the outputs are a thousandth of the targets
        "thousandths",
        lambda xp, a, y: xp.sum((a - y / 1000.0) ** 2, axis=1),
        lambda xp, a, y: 2.0 * (a - y / 1000.0),
    )
    xpnet.fit(xpnet.MLP([3, 8, 1]), NORMAL, 1000.0 * NORMAL[:, 0], loss=scaled)
    x, y = np.tile(NORMAL, (3, 1)), np.tile(NORMAL[:, :1], (3, 1))
    by_row = np.linspace(0.5, 1.5, 1500)[:, None]
    whole = xpnet.Loss(  # takes all rows at once and nothing else
        "by_row",
        lambda xp, a, y: xp.sum(by_row * (a - y) ** 2, axis=1),
        lambda xp, a, y: 2.0 * by_row * (a - y),
    )
    all_rows = {"batch_size": 1500, "shuffle": False, "epochs": 100}
    xpnet.fit(xpnet.MLP([3, 8, 1], dtype="float64"), x, y, loss=whole, **all_rows)
