"""The doctor: each mistake is called by its name, and a healthy network gets none."""

import itertools
import json
import time
from types import SimpleNamespace

import numpy as np
import pytest

import xpnet
from xpnet import SGD, Adam, Doctor, diagnose
from xpnet.doctor_rules import RULES

RANDOM = np.random.default_rng(2)
X = RANDOM.uniform(-1.7, 1.7, (300, 2))
Y = (np.sum(X**2, axis=1) < 1.8).astype(float)
HEALTHY = {"optimizer": SGD(0.3), "epochs": 40}


def network(**options):
    return xpnet.MLP([2, 12, 1], **({"hidden": "tanh", "output": "sigmoid", "seed": 1} | options))


def alarms(report):
    return [each.code for each in report.findings if each.severity != "note"]


@pytest.mark.parametrize("hidden", ["relu", "tanh", "sigmoid", "elu", "gelu"])
@pytest.mark.parametrize("seed", range(4))
def test_a_healthy_network_gets_no_finding(hidden, seed):
    optimizer = SGD(1.0) if hidden == "sigmoid" else SGD(0.3)
    report = diagnose(network(hidden=hidden, seed=seed), X, Y, optimizer=optimizer, epochs=60)
    assert report.findings == ()
    assert report.ok
    assert str(report) == "No findings: nothing wrong was measured."
    assert report.facts["skill"] > 0.5


def test_diagnose_leaves_the_network_and_the_data_alone():
    net, x, y = network(), X.copy(), Y.copy()
    before = net.flat.copy()
    x.flags.writeable = y.flags.writeable = False
    diagnose(net, x, y, **HEALTHY)
    np.testing.assert_array_equal(net.flat, before)


# What the caller may give


def as_pandas(array):
    pandas = pytest.importorskip("pandas")
    return pandas.DataFrame(array) if array.ndim == 2 else pandas.Series(array)


def as_polars(array):
    polars = pytest.importorskip("polars")
    return polars.DataFrame(array) if array.ndim == 2 else polars.Series(array)


def as_torch(array):
    return pytest.importorskip("torch").asarray(array)


def as_strict(array):
    return pytest.importorskip("array_api_strict").asarray(array)


FORMS = [np.ndarray.tolist, as_pandas, as_polars, as_torch, as_strict]


@pytest.mark.parametrize("form", FORMS)
def test_lists_frames_and_other_arrays_give_the_same_report(form):
    weights = np.ones(300)
    report = diagnose(network(), form(X), form(Y), sample_weight=form(weights), x_new=form(X))
    assert report.facts == diagnose(network(), X, Y, sample_weight=weights).facts
    assert report.findings == ()


def test_sample_weights_follow_the_rows_that_are_kept():
    x, y = np.tile(X, (10, 1)), np.tile(Y, 10)
    assert diagnose(network(), x, y, sample_weight=np.ones(3000), **HEALTHY).findings == ()


def test_rows_are_not_every_second_one():
    """Classes that alternate: of 4000 rows, every second one would leave one class."""
    x, y = np.repeat(X, 14, axis=0)[:4000], np.arange(4000) % 2
    assert "constant-target" not in diagnose(network(), x, y, epochs=1).codes


REFUSED = [
    ({"x": X[:, :1]}, r"x has shape \(300, 1\) and the network takes \(n, 2\)"),
    ({"x": X.reshape(300, 2, 1)}, r"x has shape \(300, 2, 1\)"),
    ({"x": X[:0], "y": Y[:0]}, "no rows; pass at least one"),
    ({"x": None}, "x is None; pass numbers"),
    ({"x": np.full(X.shape, "a")}, r"x \(ndarray\) is not an array of real numbers"),
    ({"y": Y[1:]}, r"y has shape \(299,\) and x has shape \(300, 2\); pass one row in each"),
    ({"y": np.where(Y > 0, "in", "out")}, r"y \(ndarray\) is not an array of real numbers"),
    ({"sample_weight": np.ones(299)}, r"sample_weight has shape \(299,\) and x has"),
    ({"x_new": X[:, :1]}, r"at prediction have shape \(300, 1\); pass 2 for each sample"),
    ({"loss": "foo"}, "loss 'foo' is not known; use one of"),
    ({"rows": 0}, "rows 0 must be an integer from 1"),
]


@pytest.mark.parametrize(("change", "says"), REFUSED, ids=lambda v: v if isinstance(v, str) else "")
def test_what_cannot_be_diagnosed_is_refused_by_name(change, says):
    with pytest.raises(xpnet.XpnetError, match=says):
        diagnose(network(), **({"x": X, "y": Y} | change))


def with_one(array, value):
    changed = array.copy()
    changed[17, 0] = value
    return changed


CASES = [
    ("non-finite", {"x": with_one(X, np.nan)}),
    ("non-finite", {"x": with_one(X, np.inf)}),
    ("unscaled-inputs", {"x": 200.0 * X}),
    ("unscaled-inputs", {"x": X / 1000.0}),
    ("constant-feature", {"x": np.ones_like(X)}),
    ("target-range", {"y": 2.0 * Y[:, None] - 1.0}),
    ("target-shape", {"y": Y[None, :].repeat(300, axis=0)}),
    ("shuffled-targets", {"y": RANDOM.permutation(Y)}),
    ("prediction-drift", {"x_new": 40.0 + 15.0 * X}),
    ("all-positive-weights", {"init": lambda g, i, o: g.random((i, o))}),
    ("symmetric-units", {"init": "zeros"}),
    ("wrong-init-scale", {"init": lambda g, i, o: 50.0 * g.standard_normal((i, o))}),
    ("wrong-init-scale", {"init": lambda g, i, o: 1e-4 * g.standard_normal((i, o))}),
    ("learning-rate-too-small", {"optimizer": SGD(1e-6)}),
    ("learning-rate-too-small", {"optimizer": Adam(1e-8)}),
    ("learning-rate-too-large", {"optimizer": SGD(1000.0), "output": "identity"}),
    ("learning-rate-too-large", {"optimizer": SGD(1000.0)}),
    ("regularisation-dominates", {"l2": 0.5}),
]


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("non-finite", {"x": with_one(X, np.nan)}),
        ("non-finite", {"x": 1e300 * X}),
        ("non-finite", {"y": with_one(Y[:, None], np.nan)[:, 0]}),
        ("target-range", {"y": 2.0 * Y}),
    ],
)
def test_values_that_fit_refuses_are_the_only_finding(code, change):
    """Targets (n,) are what `fit` takes, and no finding of their own."""
    assert diagnose(network(), **({"x": X, "y": Y} | change)).codes == (code,)


@pytest.mark.parametrize(("code", "change"), CASES, ids=lambda v: v if isinstance(v, str) else "")
def test_a_mistake_is_the_first_finding(code, change):
    change = dict(change)
    x, y = change.pop("x", X), change.pop("y", Y)
    options = {key: change.pop(key) for key in ("init", "output") if key in change}
    report = diagnose(network(**options), x, y, **(HEALTHY | change))
    assert report.codes[0] == code, report
    finding = report.findings[0]
    assert finding.severity in ("error", "warning")
    assert finding.evidence
    assert finding.remedy
    assert finding.reference
    assert finding.repair or code == "target-shape"
    json.dumps(report.to_dict(), allow_nan=True)


def test_a_loss_that_stays_is_told_beside_its_cause():
    report = diagnose(network(), X, Y, optimizer=SGD(1e-6), epochs=10)
    assert report.codes[0] == "learning-rate-too-small"
    assert "loss-not-decreasing" in report.codes


def test_deep_sigmoid_layers_lose_the_gradient():
    def small(random, fan_in, fan_out):
        return random.normal(0, 0.3 / np.sqrt(fan_in), (fan_in, fan_out))

    net = xpnet.MLP([2, *[10] * 8, 1], hidden="sigmoid", output="sigmoid", init=small, seed=1)
    assert diagnose(net, X, Y, **HEALTHY).codes[0] == "vanishing-gradient"


@pytest.mark.parametrize(
    ("code", "hidden", "bias"), [("dead-units", "relu", -30), ("saturated-units", "sigmoid", 30)]
)
def test_biases_that_switch_units_off(code, hidden, bias):
    net = network(hidden=hidden)
    net.biases[0][...] = bias
    report = diagnose(net, X, Y, **HEALTHY)
    assert report.codes[0] == code
    assert {"cannot-overfit-one-batch", "no-better-than-constant"} <= set(report.codes)


def test_unscaled_regression_targets_are_the_initial_loss():
    net = xpnet.MLP([2, 12, 1], hidden="tanh", seed=1)
    report = diagnose(net, X, 5000.0 + 300.0 * X[:, 0], **HEALTHY)
    assert report.codes[0] == "initial-loss"
    assert report.findings[0].repair == {"standardize_target": True}


def test_exploding_gradient():
    net = xpnet.MLP([2, 12, 1], hidden="relu", seed=1)
    report = diagnose(net, X, 1e4 * X[:, 0], **HEALTHY)
    assert {"exploding-gradient", "initial-loss"} <= set(report.codes)


def test_a_constant_table_column_is_a_note_and_no_alarm():
    x = np.column_stack([X, np.full(300, 2.5)])
    net = xpnet.MLP([3, 12, 1], hidden="tanh", output="sigmoid", seed=1)
    report = diagnose(net, x, Y, **HEALTHY)
    assert report.codes == ("constant-feature",)
    assert report.ok


@pytest.mark.parametrize(
    ("output", "y", "value"),
    [
        ("sigmoid", np.zeros(300), "0"),
        ("identity", np.full((300, 1), 3.0), "3"),
        ("softmax", np.ones(300), "0, 1, 0"),
    ],
)
def test_one_target_for_all_rows(output, y, value):
    net = xpnet.MLP([2, 12, 3 if output == "softmax" else 1], output=output, seed=1)
    report = diagnose(net, X, y)
    assert report.codes == ("constant-target",)
    assert report.findings[0].evidence == f"every target is {value}, in all 300 rows seen"


@pytest.mark.parametrize("rare", [0, 150, 299])
def test_one_row_of_another_class_is_a_target_that_varies(rare):
    x, y = np.tile(X, (6, 1)), np.zeros(1800)
    y[rare] = 1.0
    assert "constant-target" not in diagnose(network(), x, y, epochs=1).codes


def test_a_rare_class_that_is_never_recognised():
    # 10 rows of another class inside the cloud of the first
    y = np.zeros(300)
    y[np.argsort(np.sum((X - 0.5) ** 2, axis=1))[:10]] = 1.0
    report = diagnose(network(), X, y, optimizer=SGD(0.05), epochs=10)
    finding = next(each for each in report.findings if each.code == "class-imbalance")
    assert "290 rows of the commonest class, 10 of the rarest" in finding.evidence
    assert finding.repair == {"class_weight": "balanced"}


def test_overfitting_by_the_validation_loss():
    y = np.where(RANDOM.random(300) < 0.25, 1 - Y, Y)
    net = xpnet.MLP([2, 64, 64, 1], hidden="relu", output="sigmoid", seed=1)
    report = diagnose(net, X[:60], y[:60], validation=(X[60:], y[60:]), optimizer=Adam(0.01),
                      epochs=200)  # fmt: skip
    assert report.codes == ("overfitting",)
    assert report.findings[0].repair == {"early_stopping": True}


def test_codes_of_the_rules_are_all_known():
    codes = """
        constant-output no-better-than-constant unscaled-inputs constant-feature non-finite
        prediction-drift all-positive-weights wrong-init-scale symmetric-units saturated-units
        dead-units vanishing-gradient exploding-gradient learning-rate-too-small
        learning-rate-too-large diverged loss-not-decreasing loss-rising initial-loss
        target-range target-shape parameter-shape-changed class-imbalance overfitting
        regularisation-dominates shuffled-targets cannot-overfit-one-batch loss-broadcast
        gradient-wrong gradient-shape constant-target
    """
    assert {rule.code for rule in RULES} == set(codes.split())
    for rule in RULES:
        assert rule.explanation.count(".") >= 2, f"{rule.code}: two sentences"
        assert rule.source
        assert rule.remedy


# AUTOTRAINER calls constant predictors "normal" where all tensors look healthy.


@pytest.mark.parametrize("shape", ["circle", "blob"])
def test_constant_predictors_with_healthy_tensors_are_caught(shape):
    if shape == "circle":  # two rings; units of a sane size, and a learning rate that never bites
        x, y, outputs, output = X, Y, 1, "sigmoid"
    else:
        centres = np.array([[1.5, 0], [-0.8, 1.3], [-0.8, -1.3]])
        y = np.arange(300) % 3
        x, outputs, output = centres[y] + 0.3 * RANDOM.standard_normal((300, 2)), 3, "softmax"
    net = xpnet.MLP([2, 16, 16, outputs], hidden="sigmoid", output=output, init="glorot_uniform")
    report = diagnose(net, x, y, optimizer=SGD(0.003), epochs=20)
    assert {"no-better-than-constant", "constant-output"} <= set(report.codes)
    assert not {"vanishing-gradient", "saturated-units", "exploding-gradient"} & set(report.codes)


def test_scikit_learn_31235_is_no_better_than_a_constant():
    """500 points, (20, 20) logistic units, raw inputs: stops "converged" on the majority class."""
    random = np.random.default_rng(0)
    x = random.uniform(0, 100, (500, 2))
    y = (x[:, 0] + x[:, 1] > 105).astype(float)

    def of_scikit_learn(draw, fan_in, fan_out):
        bound = (2.0 / (fan_in + fan_out)) ** 0.5
        return draw.uniform(-bound, bound, (fan_in, fan_out))

    net = xpnet.MLP([2, 20, 20, 1], hidden="sigmoid", output="sigmoid", init=of_scikit_learn)
    report = diagnose(net, x, y, optimizer=Adam(0.001), epochs=15, batch_size=200)
    assert "unscaled-inputs" in report.codes
    assert "no-better-than-constant" in report.codes


# Hand-written loops


def train_by_hand(doctor, *, rate=0.5, steps=300, batch=300, columns=False, start=None, **mistakes):
    """A 2-12-1 tanh, sigmoid network in NumPy, watched at every step."""
    wrong = SimpleNamespace(**({"sign": 1.0, "flat": False, "per_sample": False} | mistakes))
    random = np.random.default_rng(4)
    p = {
        "W1": random.normal(0, 0.7, (2, 12)), "b1": np.zeros(12),
        "W2": random.normal(0, 0.3, (12, 1)), "b2": np.zeros(1),
    }  # fmt: skip
    p |= start or {}
    for step in range(steps):
        rows = np.arange(step * batch, (step + 1) * batch) % len(X)
        x, y = X[rows], Y[rows] if wrong.flat else Y[rows, None]
        a = np.tanh(x @ p["W1"] + p["b1"])
        out = 1 / (1 + np.exp(-(a @ p["W2"] + p["b2"])))
        loss = np.mean((out - y) ** 2)
        delta2 = wrong.sign * 2 * np.mean(out - y, axis=1, keepdims=True) * out * (1 - out) / batch
        delta1 = delta2 @ p["W2"].T * (1 - a**2)
        g = {
            "W1": x.T @ delta1, "b1": delta1.sum(axis=0), "W2": a.T @ delta2,
            "b2": delta2 * batch if wrong.per_sample else delta2.sum(axis=0),
        }  # fmt: skip
        turn = np.transpose if columns else np.asarray
        doctor.watch(
            loss=loss, parameters={n: turn(v) for n, v in p.items()},
            gradients={n: turn(v) for n, v in g.items()}, activations=[turn(a)],
            predictions=turn(out), targets=turn(y), inputs=turn(x), learning_rate=rate,
        )  # fmt: skip
        p = {name: p[name] - rate * g[name] for name in p}
    return doctor.report()


@pytest.mark.parametrize("batch", [1, 10, 300])
@pytest.mark.parametrize("columns", [False, True], ids=["rows", "columns"])
def test_hand_written_and_right(batch, columns):
    rate, steps = {1: (0.2, 4000), 10: (1.0, 1500), 300: (4.0, 1500)}[batch]
    report = train_by_hand(Doctor(), rate=rate, steps=steps, batch=batch, columns=columns)
    assert report.findings == (), report
    assert report.facts["skill"] > 0.4


def test_hand_written_flat_targets_broadcast():
    report = train_by_hand(Doctor(), flat=True)
    assert report.codes[0] == "loss-broadcast"
    assert "the mean of squared error over 300 x 300 = 90000 pairs" in report.findings[0].evidence


def test_hand_written_bias_for_each_sample():
    report = train_by_hand(Doctor(), per_sample=True)
    assert report.codes[0] == "parameter-shape-changed"
    assert "shape (1,) became (300, 1): one for each of the 300" in report.findings[0].evidence


def test_one_error_for_all_samples_is_told_from_samples_that_look_alike():
    """Equal weights and saturated units: proper errors give the same direction, too."""
    equal = {"W1": np.full((2, 12), 0.3), "W2": np.full((12, 1), 0.3)}
    assert "gradient-wrong" not in train_by_hand(Doctor(), start=equal).codes
    large = {"W1": RANDOM.standard_normal((2, 12)) * 1e3, "W2": RANDOM.standard_normal((12, 1))}
    assert "gradient-wrong" not in train_by_hand(Doctor(), start=large).codes


def test_hand_written_wrong_sign_lets_the_loss_rise():
    report = train_by_hand(Doctor(), sign=-1.0, rate=2.0)
    assert "loss-rising" in report.codes


def test_hand_written_all_positive():
    start = {"W1": RANDOM.random((2, 12)), "W2": RANDOM.random((12, 1))}
    assert train_by_hand(Doctor(), start=start, rate=0.01).codes[0] == "all-positive-weights"


def test_a_loop_that_shows_only_its_loss():
    doctor = Doctor()
    for step in range(50):
        doctor.watch(loss=1.0 + 2.0**step)
    assert "diverged" in doctor.report().codes
    assert Doctor().report().findings == ()


def test_prediction_drift_by_hand():
    doctor = Doctor()
    train_by_hand(doctor, steps=1500, rate=4.0)
    doctor.watch_prediction(X * 12 + 40)
    assert doctor.report().codes == ("prediction-drift",)


def test_inputs_of_another_width_at_prediction_are_refused():
    doctor = Doctor()
    train_by_hand(doctor, steps=3)
    with pytest.raises(xpnet.InputError, match="pass 2 for each sample, as in training"):
        doctor.watch_prediction([[1.0, 2.0, 3.0]])


def train_sample_by_sample(doctor, steps=4000, rate=0.2):
    """The network of `train_by_hand` in vectors, with a number as last bias and as output."""
    random = np.random.default_rng(4)
    weights, biases = random.normal(0, 0.7, (2, 12)), np.zeros(12)
    weights_out, bias_out = random.normal(0, 0.3, (12, 1)), 0.0
    for step in range(steps):
        x, y = X[step % 300], float(Y[step % 300])
        a = np.tanh(x @ weights + biases)
        out = 1 / (1 + np.exp(-(float(a @ weights_out[:, 0]) + bias_out)))
        delta_out = 2 * (out - y) * out * (1 - out)
        delta = delta_out * weights_out[:, 0] * (1 - a**2)
        gradients = {
            "W1": np.outer(x, delta), "b1": delta, "W2": delta_out * a[:, None], "b2": delta_out,
        }  # fmt: skip
        doctor.watch(
            loss=(out - y) ** 2, gradients=gradients, activations=[a], predictions=out, targets=y,
            parameters={"W1": weights, "b1": biases, "W2": weights_out, "b2": bias_out},
            inputs=x, learning_rate=rate,
        )  # fmt: skip
        weights = weights - rate * gradients["W1"]
        biases = biases - rate * gradients["b1"]
        weights_out = weights_out - rate * gradients["W2"]
        bias_out -= rate * delta_out
    return doctor.report()


def test_hand_written_sample_by_sample():
    report = train_sample_by_sample(Doctor())
    assert report.findings == (), report
    batch_of_one = train_by_hand(Doctor(), rate=0.2, steps=4000, batch=1)
    assert report.facts == pytest.approx(batch_of_one.facts)
    assert "learning-rate-too-small" in train_sample_by_sample(Doctor(), rate=1e-6).codes


@pytest.mark.parametrize(
    ("batches", "expected"),
    [
        ([[3] * 30] * 2, ("constant-target",)),
        ([[3]] * 50, ("constant-target",)),
        ([[3] * 300], ()),  # one batch
        ([[3] * 4] * 10, ()),  # few rows
        ([[3] * 30] * 9 + [[3] * 29 + [4]], ()),
        ([[3] * 30] * 9 + [[4] * 30], ()),
    ],
)
def test_one_target_in_all_batches_that_were_watched(batches, expected):
    doctor = Doctor()
    for targets in batches:
        doctor.watch(targets=np.array(targets, dtype=float)[:, None])
    assert doctor.report().codes == expected


@pytest.mark.parametrize(
    ("parameter", "gradient", "expected"),
    [
        ((2, 2), (2, 3), ("gradient-shape",)),
        ((3, 2), (2, 3), ("gradient-shape",)),
        ((4,), (), ("gradient-shape",)),
        ((4,), (1, 4), ()),
        ((1, 4), (4,), ()),
        ((), (1, 1), ()),
    ],
)
def test_gradients_that_are_not_of_their_parameter(parameter, gradient, expected):
    doctor = Doctor()
    doctor.watch(parameters={"b": np.ones(parameter)}, gradients={"b": np.ones(gradient)})
    assert doctor.report().codes == expected


@pytest.mark.parametrize(
    ("targets", "predictions", "expected"),
    [
        ((7,), (5, 1), ("target-shape",)),
        ((7, 1), (5, 1), ("target-shape",)),
        ((7,), (5, 3), ("target-shape",)),
        ((7,), (7, 3), ()),  # class numbers
        ((7,), (3, 7), ()),  # samples as columns
        ((1, 7), (3, 7), ()),
        ((), (3,), ()),  # one sample
    ],
)
def test_targets_of_other_samples(targets, predictions, expected):
    doctor = Doctor()
    doctor.watch(targets=np.ones(targets), predictions=np.full(predictions, 0.2))
    assert doctor.report().codes == expected


def test_a_bias_that_becomes_a_row_of_the_same_size_is_well():
    """``b - rate * delta.sum(axis=0, keepdims=True)`` is (1, 12) from then on."""
    doctor = Doctor()
    for shape in ((12,), (1, 12), (1, 12)):
        doctor.watch(parameters={"b1": np.zeros(shape)}, gradients={"b1": np.zeros((1, 12))})
    assert doctor.report().findings == ()


def step(**change):
    weights = np.random.default_rng(4).normal(0, 0.7, (2, 1))
    return {"parameters": {"W": weights, "b": 0.5}, "gradients": {"W": weights, "b": 0.1},
            "inputs": X, "targets": Y, "predictions": Y} | change  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_watched_lists_frames_and_other_arrays(form):
    doctor, data = Doctor(), {"inputs": form(X), "predictions": form(Y), "targets": form(Y)}
    for _ in range(3):
        doctor.watch(**step(**data), activations=[form(np.tanh(X))], loss=0.5)
    assert doctor.report().findings == ()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"inputs": X.reshape(300, 2, 1)}, r"the shape is \(300, 2, 1\); pass \(batch, n\)"),
        ({"inputs": X[:0]}, r"inputs: the shape is \(0, 2\); .* at least one row"),
        ({"targets": ["in"] * 300}, r"targets \(list\) is not an array of real numbers"),
        ({"targets": np.array(["in"] * 300)}, r"targets \(ndarray\) is not an array"),
        ({"parameters": [X]}, "parameters is list; pass a dict of names and arrays"),
        ({"parameters": X}, "parameters is ndarray; pass a dict of names and arrays"),
        ({"gradients": {"W": None}}, r"gradients\['W'\] is None; pass numbers"),
    ],
)  # fmt: skip
def test_what_cannot_be_watched_is_refused_by_name(change, says):
    with pytest.raises(xpnet.XpnetError, match=says):
        Doctor().watch(**step(**change))


def test_gradient_check_joins_the_report():
    doctor = Doctor()
    doctor.check_gradients(lambda p: np.sum(p["w"] ** 2), lambda p: {"w": -2 * p["w"]},
                           {"w": np.ones(3)})  # fmt: skip
    assert doctor.report().codes == ("gradient-sign",)


def test_six_points_that_cannot_be_learnt_by_heart():
    doctor, x = Doctor(), np.array([[3, 4], [2, 6], [1, 6], [1, 1], [2, 1], [3, 1]]) / 3.0
    y = np.array([[0], [0], [0], [1], [1], [1.0]])
    for _ in range(600):
        doctor.watch(loss=0.25, predictions=np.full((6, 1), 0.5), targets=y, inputs=x)
    assert "cannot-overfit-one-batch" in doctor.report().codes


# The callback


def test_as_a_callback_of_fit():
    doctor = Doctor()
    xpnet.fit(network(), X, Y, callbacks=[doctor], **HEALTHY)
    assert doctor.report().findings == ()
    doctor = Doctor()
    xpnet.fit(network(), X, Y, callbacks=[doctor], optimizer=SGD(1e-6), epochs=10)
    assert "learning-rate-too-small" in doctor.report().codes


@pytest.mark.slow
def test_the_callback_costs_less_than_a_tenth():
    x, y = RANDOM.standard_normal((5000, 64)), np.arange(5000) % 10

    def seconds(callbacks):
        net = xpnet.MLP([64, 64, 64, 10], output="softmax", seed=0)
        started = time.perf_counter()
        xpnet.fit(net, x, y, epochs=5, callbacks=callbacks, progress=False)
        return time.perf_counter() - started

    pairs = [(seconds([]), seconds([Doctor()])) for _ in range(5)]
    without, watched = (min(times) for times in zip(*pairs, strict=True))
    assert watched < 1.10 * without


def test_a_finding_reads_well():
    report = diagnose(network(), X, Y, optimizer=SGD(1e-6), epochs=5)
    first = str(report).split("\n")
    assert first[0].startswith("ERROR learning-rate-too-small in learning_rate: 50 steps moved")
    assert first[1].startswith("  why:    The steps are so short that the weights stay")
    assert first[2].startswith("  remedy: multiply the learning rate by 10")
    assert first[3].startswith("  see:    CS231n notes")
    assert report.findings[0].repair["learning_rate"] > 0.01
    assert not report.ok
    assert report.to_dict()["findings"][0]["code"] == "learning-rate-too-small"


def test_a_penalty_that_is_in_the_curves_is_in_the_loss_at_the_start():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 20))
    net, doctor = xpnet.MLP([20, 256, 256, 1], seed=0), xpnet.Doctor()
    xpnet.fit(net, x, x[:, 0], l2=0.01, optimizer=xpnet.SGD(0.005), epochs=10, callbacks=[doctor])
    assert "loss-rising" not in [each.code for each in doctor.report().findings]


def test_the_first_batch_alone_is_not_the_loss_at_the_start():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(300, 4))
    y = (x[:, 0] > 0).astype(float)
    net, doctor = xpnet.MLP([4, 16, 1], output="sigmoid", seed=2), xpnet.Doctor()
    xpnet.fit(net, x, y, optimizer=xpnet.SGD(1e-30), batch_size=8, epochs=2, callbacks=[doctor])
    assert "loss-rising" not in [each.code for each in doctor.report().findings]
    assert "learning-rate-too-small" in [each.code for each in doctor.report().findings]


SEEN = {
    "loss": 0.7, "validation_loss": 0.7, "targets": np.r_[np.zeros(58), np.ones(2)],
    "predictions": np.full((60, 1), 0.5), "inputs": np.random.default_rng(0).normal(size=(60, 2)),
    "activations": [np.full((60, 3), 0.5), np.full((60, 3), 0.1)],
    "parameters": {"W1": np.ones((2, 3)), "b1": np.zeros(3)},
    "gradients": {"W1": np.ones((2, 3)), "b1": np.zeros(3)}, "learning_rate": 0.1,
}  # fmt: skip


@pytest.mark.parametrize("hidden", [(), ("tanh",)])
@pytest.mark.parametrize("size", [1, 2, 3, len(SEEN)])
def test_any_subset_can_be_watched(size, hidden):
    for names in itertools.combinations(SEEN, size):
        doctor = xpnet.Doctor(hidden=hidden)
        for _ in range(6):
            doctor.watch(**{name: SEEN[name] for name in names})
        assert str(doctor.report())
