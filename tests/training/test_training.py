from types import SimpleNamespace

import numpy as np
import pytest
from training_examples import LABELS, Calls, X, Y, classifier, parameters, regressor

import xpnet
from xpnet.training.batches import split
from xpnet.training.fit import prepare_training
from xpnet.training.metrics import METRICS

# It learns ----------------------------------------------------------------------------------------


def test_optimisers_by_name_have_their_default_rates():
    for name, same in (("sgd", xpnet.SGD(0.1)), ("adam", xpnet.Adam()), ("adamw", xpnet.AdamW())):
        nets = [regressor(), regressor()]
        for net, optimizer in zip(nets, (name, same), strict=True):
            xpnet.fit(net, X, Y, optimizer=optimizer, epochs=2)
        np.testing.assert_array_equal(*map(parameters, nets))


# Reproducible -------------------------------------------------------------------------------------


def several():
    return xpnet.MLP([3, 4, 2], output="sigmoid")


def test_the_same_seed_gives_the_same_bits_and_another_seed_others():
    def train(**options):
        net = regressor(dropout=0.2)
        xpnet.fit(net, X, Y, epochs=3, **options)
        return parameters(net)

    np.testing.assert_array_equal(train(), train())
    np.testing.assert_array_equal(train(seed=5), train(seed=5))
    assert np.any(train(seed=5) != train())


@pytest.mark.parametrize("shuffle", [False, True])
def test_rows_come_in_the_order_given_or_shuffled_anew_each_epoch(shuffle):
    calls = Calls(lambda training: training.trace.inputs[0].copy())
    xpnet.fit(regressor(), X, Y, epochs=2, batch_size=25, shuffle=shuffle, callbacks=[calls])
    assert [each.shape[0] for each in calls.seen] == [25, 25, 10] * 2
    first, second = np.concat(calls.seen[:3]), np.concat(calls.seen[3:])
    np.testing.assert_array_equal(np.sort(first, axis=0), np.sort(X, axis=0))
    if shuffle:
        assert np.any(first != second)
    else:
        np.testing.assert_array_equal(first, X)
        np.testing.assert_array_equal(second, X)


def test_what_the_caller_gives_is_never_written_to(backend):
    given = {
        "x": X, "y": Y.reshape(-1, 1), "sample_weight": np.ones(60),
    }  # fmt: skip
    held = {name: backend.array(values) for name, values in given.items()}
    net = regressor(device=backend.device, dropout=0.1)
    xpnet.fit(
        net, **held, validation=(held["x"], held["y"]), epochs=2, l2=0.1, clip_norm=1.0,
        early_stopping=True,
    )  # fmt: skip
    net.gradients(**held)
    net.predict(held["x"])
    for name, values in given.items():
        np.testing.assert_array_equal(backend.host(held[name]), values)


# The loss that is recorded ------------------------------------------------------------------------


def test_a_short_last_batch_counts_in_proportion():
    net = regressor()
    before = net.loss(X, Y)
    history = xpnet.fit(net, X, Y, epochs=1, batch_size=25, optimizer=xpnet.SGD(1e-12))
    assert history.loss[0] == pytest.approx(before, rel=1e-9)


def test_penalties_are_part_of_the_training_loss_and_not_of_the_validation_loss():
    net = regressor()
    weights = np.concat([np.ravel(each) for each in net.weights])
    penalty = 0.1 * np.sum(np.abs(weights)) + 0.5 * 0.2 * np.sum(weights**2)
    before = net.loss(X, Y)
    history = xpnet.fit(
        net, X, Y, epochs=1, optimizer=xpnet.SGD(1e-12), l1=0.1, l2=0.2, validation=(X, Y)
    )
    assert history.loss[0] == pytest.approx(before + penalty, rel=1e-9)
    assert history.validation_loss[0] == pytest.approx(before, rel=1e-9)


# Validation and early stopping --------------------------------------------------------------------


def test_validation_loss_and_metrics_are_those_of_the_validation_rows():
    net = regressor()
    history = xpnet.fit(net, X[:40], Y[:40], validation=(X[40:], Y[40:]), epochs=3, metrics=["r2"])
    assert len(history.validation_loss) == len(history.metrics["r2"]) == 3
    assert history.validation_loss[-1] == pytest.approx(net.loss(X[40:], Y[40:]), rel=1e-12)
    expected = METRICS["r2"](net.predict(X[40:]), Y[40:, None])
    assert history.metrics["r2"][-1] == pytest.approx(expected, rel=1e-12)


def test_a_validation_share_is_held_out_class_by_class_and_not_trained_on(backend):
    found = {}

    class Look:
        def on_train_start(self, training):
            for name, data in (("train", training.data), ("held out", training.validation)):
                found[name] = [backend.host(data.x), backend.host(data.y)]

    labels = np.array([0] * 48 + [1] * 12)
    net = classifier(device=backend.device)
    quarter = np.float32(0.25)
    xpnet.fit(
        net, backend.array(X), backend.array(labels), validation=quarter, epochs=1,
        callbacks=[Look()],
    )  # fmt: skip
    assert [len(found[name][0]) for name in found] == [45, 15]
    assert found["held out"][1].sum() == 3
    together = np.concat([found["train"][0], found["held out"][0]])
    np.testing.assert_array_equal(np.sort(together, axis=0), np.sort(X, axis=0))


def test_early_stopping_waits_and_restores_the_best_weights():
    noise = np.random.default_rng(1).normal(size=60)
    net = xpnet.MLP([3, 50, 1], hidden="relu", dtype="float64")
    history = xpnet.fit(
        net, X[:30], noise[:30], validation=(X[30:], noise[30:]), epochs=300,
        optimizer=xpnet.Adam(0.01), early_stopping=7,
    )  # fmt: skip
    best = int(np.argmin(history.validation_loss)) + 1
    assert history.best_epoch == best
    assert history.epochs == best + 7
    assert history.stopped == "no improvement for 7 epochs"
    assert net.loss(X[30:], noise[30:]) == pytest.approx(min(history.validation_loss), rel=1e-12)


def test_early_stopping_without_validation_looks_at_the_training_loss():
    stopping = xpnet.EarlyStopping(patience=2, min_delta=1e9)
    history = xpnet.fit(regressor(), X, Y, epochs=50, early_stopping=stopping)
    assert history.epochs == 3
    with pytest.raises(xpnet.InputError, match=r"patience 0 must be an integer >= 1"):
        xpnet.fit(regressor(), X, Y, early_stopping=0)
    for wrong in ({"patience": 2.5}, {"patience": "5"}, {"min_delta": float("nan")}):
        with pytest.raises(xpnet.InputError, match="must be"):
            xpnet.EarlyStopping(**wrong)


def test_early_stopping_waits_while_small_steps_add_up_to_min_delta():
    stopping = xpnet.EarlyStopping(patience=3, min_delta=0.1)
    history = xpnet.History(loss=np.linspace(1.0, 0.1, 11).tolist())
    stopping.on_epoch_end(SimpleNamespace(state=SimpleNamespace(history=history), stop=pytest.fail))


# Weights of samples and classes -------------------------------------------------------------------


def test_a_part_in_which_every_row_has_weight_zero_is_refused(backend):
    train, held_out = split(60, 0.2, 0)
    for rows, message in ((held_out, "all 12 rows held out have"), (train, "all 48 rows to train")):
        weights = np.ones(60)
        weights[rows] = 0.0
        net = regressor(device=backend.device)
        with pytest.raises(xpnet.InputError, match=f"{message}.* pass validation"):
            xpnet.fit(net, X, Y, validation=0.2, sample_weight=weights)


def test_balanced_class_weights_are_those_of_scikit_learn(backend):
    labels = np.array([0] * 50 + [1] * 10)
    balanced = np.where(labels == 1, 60 / (2 * 10), 60 / (2 * 50))
    own = np.linspace(0.5, 1.5, 60)
    for class_weight in ("balanced", {0: 60 / (2 * 50), 1: 60 / (2 * 10)}):
        nets = classifier(device=backend.device), classifier()
        xpnet.fit(
            nets[0], backend.array(X), backend.array(labels), class_weight=class_weight,
            sample_weight=backend.array(own), epochs=3,
        )  # fmt: skip
        xpnet.fit(nets[1], X, labels, sample_weight=balanced * own, epochs=3)
        for ours, theirs in zip(nets[0].parameters, nets[1].parameters, strict=True):
            np.testing.assert_allclose(backend.host(ours), theirs, rtol=1e-10, atol=1e-12)


def test_validation_rows_are_weighted_by_class_like_the_training_rows():
    labels = (np.arange(60) % 5 == 0).astype(int)
    net = classifier()
    options = {"class_weight": {1.0: 4.0}, "epochs": 1}  # labels may be float
    history = xpnet.fit(net, X, labels, validation=(X, labels), **options)
    expected = net.loss(X, labels, sample_weight=1.0 + 3.0 * labels)
    assert history.validation_loss[-1] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("net", "options", "message"),
    [
        (regressor, {"class_weight": "balanced"}, "needs one class per row"),
        (several, {"class_weight": {0: 2.0}}, "but the output is 'sigmoid'"),
        (classifier, {"class_weight": {2: 1.0}}, r"class_weight names \[2\], which are not class"),
        (classifier, {"class_weight": "equal"}, "class_weight 'equal' is neither 'balanced' nor"),
        (
            classifier,
            {"class_weight": "balanced", "sample_weight": [1.0, 2.0]},
            r"sample_weight has shape \(2,\); pass \(60,\)",
        ),
        (classifier, {"validation": "0.2"}, r"'0.2' is not a pair of rows, \(x, y\)"),
        (classifier, {"validation": 1.5}, "validation: found 1.5, expected a share"),
        (classifier, {"validation": (X[:, :2], LABELS)}, r"\(60, 2\) but the network takes \(n, 3"),
        (classifier, {"epochs": 0}, "epochs 0 must be an integer >= 1"),
        (classifier, {"l2": -1.0}, "l2 -1.0 must be finite and >= 0"),
        (classifier, {"clip_norm": 0.0}, "clip_norm 0.0 must be finite and above 0"),
        (classifier, {"metrics": "auc"}, "metric 'auc' is not known; use one of accuracy, r2, mea"),
        (classifier, {"optimizer": "rms"}, "optimizer 'rms' is not known; pass 'sgd', 'adam',"),
        (classifier, {"optimizer": xpnet.SGD}, r"optimizer SGD is a class; pass SGD\(\), an insta"),
        (classifier, {"class_weight": {0: -1.0}}, r"class_weight\[0\] -1.0 must be finite"),
        (classifier, {"seed": -1, "validation": 0.2}, "seed -1 must be an integer >= 0"),
        (classifier, {"epoch": 3}, "epoch: not known; xpnet.fit has the options"),
        (
            classifier,
            {"metrics": [lambda a, y: 1.0, lambda a, y: 2.0]},
            "two metrics are called '<la",
        ),
        (classifier, {"schedule": lambda progress: -1.0}, "gave -1.0, not a factor >= 0"),
        (classifier, {"early_stopping": "yes"}, "early_stopping 'yes' must be"),
        (classifier, {"callbacks": xpnet.EarlyStopping()}, r"not a list; pass callbacks=\["),
        (classifier, {"callbacks": [3]}, "which would never be called; give it a method"),
        (classifier, {"callbacks": [Calls]}, "holds the class Calls; pass an instance"),
        (classifier, {"loss": "poisson"}, "'poisson' needs output='exp' or 'softplus', but this"),
    ],
)
def test_options_that_cannot_be_are_refused_before_anything_is_trained(net, options, message):
    net = net()
    before = parameters(net)
    targets = np.ones((60, 2)) if net.sizes[-1] == 2 else LABELS
    with pytest.raises(xpnet.XpnetError, match=message):
        prepare_training(net, X, targets, **options).run()
    np.testing.assert_array_equal(parameters(net), before)


# Dropout and clipping -----------------------------------------------------------------------------


def test_dropout_drops_its_share_scales_the_rest_and_is_off_in_prediction():
    net = xpnet.MLP([3, 400, 1], hidden="tanh", dtype="float64", dropout=0.25)
    plain = xpnet.MLP([3, 400, 1], hidden="tanh", dtype="float64")
    np.testing.assert_array_equal(net.predict(X), plain.predict(X))
    calls = Calls(lambda training: training.trace.masks[0].copy())
    xpnet.fit(net, X, Y, epochs=1, batch_size=30, callbacks=[calls], optimizer=xpnet.SGD(1e-9))
    one, two = calls.seen
    assert one.shape == (30, 400)
    assert set(np.unique(one)) == {0.0, 1.0 / 0.75}
    assert np.mean(one == 0.0) == pytest.approx(0.25, abs=0.02)
    assert np.mean(one == two) < 0.75


def test_clipping_bounds_the_length_of_a_step():
    def longest_step(clip_norm):
        net = regressor()
        points = [parameters(net)]
        calls = Calls(lambda training: points.append(parameters(training.net)))
        xpnet.fit(
            net, X, 100.0 * Y, epochs=1, optimizer=xpnet.SGD(1e-3), clip_norm=clip_norm,
            callbacks=[calls],
        )  # fmt: skip
        return max(np.linalg.norm(step) for step in np.diff(points, axis=0))

    assert longest_step(None) > 1e-2
    assert longest_step(0.5) == pytest.approx(0.5e-3, rel=1e-9)


def test_the_best_weights_are_restored_where_they_are_to_be_kept():
    rng = np.random.default_rng(0)
    x, y, other, targets = (rng.standard_normal((20, n)) for n in (4, 1, 4, 1))
    net, options = xpnet.MLP([4, 16, 1]), {"optimizer": xpnet.Adam(0.05), "epochs": 60}
    options |= {"validation": (other, targets), "keep_best": True}
    losses = prepare_training(net, x, y, **options).run().validation_loss
    assert net.loss(other, targets) == min(losses) < losses[-1]
