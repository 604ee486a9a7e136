"""The doctor: each mistake is called by its name, and a healthy network gets none."""

import numpy as np
import pytest
from doctor_example import HEALTHY, X, Y, draw, network

import xpnet
from xpnet import SGD, Doctor, diagnose
from xpnet.doctor.rules.catalogue import RULES


@pytest.mark.untraced
@pytest.mark.parametrize("hidden", ["relu", "tanh", "sigmoid", "elu", "gelu"])
@pytest.mark.parametrize("seed", range(2))
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


def with_one(array, value):
    changed = array.copy()
    changed[17, 0] = value
    return changed


@pytest.mark.untraced
def test_class_weights_are_the_remedy_and_no_fault():
    """Weighted, the rare class counts as much as the other, and so it does in the judgement."""
    random = draw()
    y = (random.random(2000) < 0.04).astype(float)
    x = random.standard_normal((2000, 2)) + 1.2 * y[:, None]
    net, options = network(), {"optimizer": SGD(0.3), "epochs": 40}
    assert "class-imbalance" in diagnose(net, x, y, **options).codes
    assert diagnose(net, x, y, class_weight="balanced", **options).ok


def test_a_network_of_linear_layers_is_named_where_it_fails():
    assert diagnose(network(hidden="identity"), X, Y, **HEALTHY).codes[0] == "linear-hidden-layer"
    line = (X[:, 0] > 0).astype(float)
    assert diagnose(network(hidden="identity"), X, line, **HEALTHY).ok


def test_weights_that_are_no_numbers_are_not_laid_to_the_data():
    net = network()
    net.weights[0][1, 2] = np.nan
    finding = diagnose(net, X, Y).findings[0]
    assert (finding.code, finding.where) == ("non-finite", "weights[0]")
    assert finding.evidence == "1 of 24 values are NaN or infinite before the first step"
    assert finding.remedy.startswith("draw new weights")
    assert finding.repair == {"init": "auto"}


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("non-finite", {"x": with_one(X, np.nan)}),
        ("non-finite", {"x": 1e300 * X}),
        ("non-finite", {"y": with_one(Y[:, None], np.nan)[:, 0]}),
        ("target-range", {"y": 2.0 * Y}),
        ("target-shape", {"y": Y[None, :].repeat(300, axis=0)}),
    ],
)
def test_values_that_fit_refuses_are_the_only_finding(code, change):
    """Targets (n,) are what `fit` takes, and no finding of their own."""
    assert diagnose(network(), **({"x": X, "y": Y} | change)).codes == (code,)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("seed", range(2))
def test_large_inputs_of_an_exponential_output_are_the_cause_and_no_formula_is(seed):
    random = np.random.default_rng(0)
    x = 100.0 * random.normal(size=(300, 4))
    y = random.poisson(np.exp(x[:, 0] / 200)).astype(float)
    report = diagnose(xpnet.MLP([4, 16, 1], output="exp", seed=seed), x, y)
    assert report.findings[0].code == "unscaled-inputs"
    assert all(len(each.evidence) < 100 for each in report.findings)


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


def test_every_rule_says_why_gives_a_remedy_and_names_its_source():
    for rule in RULES:
        assert rule.why.endswith(".")
        assert rule.source
        assert rule.remedy


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


# AUTOTRAINER calls constant predictors "normal" where all tensors look healthy.


@pytest.mark.parametrize("shape", ["circle", "blob"])
def test_constant_predictors_with_healthy_tensors_are_caught(shape):
    if shape == "circle":  # two rings; units of a sane size, and a learning rate that never bites
        x, y, outputs, output = X, Y, 1, "sigmoid"
    else:
        centres = np.array([[1.5, 0], [-0.8, 1.3], [-0.8, -1.3]])
        y = np.arange(300) % 3
        x, outputs, output = centres[y] + 0.3 * draw().standard_normal((300, 2)), 3, "softmax"
    net = xpnet.MLP([2, 16, 16, outputs], hidden="sigmoid", output=output, init="glorot_uniform")
    report = diagnose(net, x, y, optimizer=SGD(0.003), epochs=20)
    assert "constant-output" in report.codes
    assert not {"vanishing-gradient", "saturated-units"} & set(report.codes)


# As a callback of `fit`.


def test_as_a_callback_of_fit():
    doctor = Doctor()
    xpnet.fit(network(), X, Y, callbacks=[doctor], **HEALTHY)
    assert doctor.report().findings == ()
    doctor = Doctor()
    with pytest.warns(xpnet.NoSkillWarning, match="no better than the best constant"):
        xpnet.fit(network(), X, Y, callbacks=[doctor], optimizer=SGD(1e-6), epochs=10)
    assert "learning-rate-too-small" in doctor.report().codes


def test_a_penalty_that_is_in_the_curves_is_in_the_loss_at_the_start():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 20))
    net, doctor = xpnet.MLP([20, 64, 64, 1], seed=0), Doctor()
    xpnet.fit(net, x, x[:, 0], l2=0.04, optimizer=xpnet.SGD(0.005), epochs=10, callbacks=[doctor])
    assert "loss-rising" not in [each.code for each in doctor.report().findings]


def test_the_first_batch_alone_is_not_the_loss_at_the_start():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(300, 4))
    y = (x[:, 0] > 0).astype(float)
    net, doctor = xpnet.MLP([4, 16, 1], output="sigmoid", seed=2), Doctor()
    xpnet.fit(net, x, y, optimizer=xpnet.SGD(1e-30), batch_size=8, epochs=2, callbacks=[doctor])
    assert "loss-rising" not in [each.code for each in doctor.report().findings]
    assert "learning-rate-too-small" in [each.code for each in doctor.report().findings]
