"""`diagnose` of scikit-learn's MLPs."""

import numpy as np
import pytest
from lazily import sklearn

import xpnet
from xpnet.doctor.sklearn import as_network


def data(scale: float = 1.0):
    generator = np.random.default_rng(0)
    x = generator.normal(size=(200, 3)) * [scale, 1.0, 1.0]
    return x, np.where(x[:, 0] / scale + x[:, 1] > 0, "yes", "no")


@pytest.mark.untraced
def test_one_that_learns_has_no_findings():
    assert xpnet.diagnose(sklearn.neural_network.MLPClassifier((16,)), *data()).ok


def test_inputs_on_unlike_scales_are_named():
    net = sklearn.neural_network.MLPClassifier((16,), activation="logistic", max_iter=5)
    assert "unscaled-inputs" in xpnet.diagnose(net, *data(1e4)).codes


def test_the_repair_is_a_parameter_of_scikit_learns():
    x, _ = data()
    net = sklearn.neural_network.MLPRegressor((16,), solver="sgd", learning_rate_init=50.0)
    report = xpnet.diagnose(net, x, x[:, 0] * 2)
    changes = {name for each in report.findings for name in each.repair or {}}
    assert "learning_rate_init" in changes


def test_arguments_are_heeded_before_the_settings_of_the_estimator():
    net, (x, y) = sklearn.neural_network.MLPClassifier((4,), max_iter=5), data()
    epochs = []
    xpnet.diagnose(
        net, x, y, epochs=7, batch_size=100, sample_weight=np.ones(200), callbacks=[epochs.append]
    )
    assert [(run.state.step, run.options.l2) for run in epochs[-1:]] == [(14, 1e-4 / 100)]
    for wrong in ({"loss": "nonsense"}, {"sample_weight": np.ones(7)}, {"l1": -1.0}):
        with pytest.raises(xpnet.InputError, match=r"nonsense|7|l1 -1\.0"):
            xpnet.diagnose(net, x, y, **wrong)
    xpnet.diagnose(net, x, y, epochs=1, callbacks=None)


@pytest.mark.parametrize(("own", "given", "used"), [("auto", None, 200), ("auto", 100, 100),
                                                     (50, None, 50), (50, 500, 200)])  # fmt: skip
def test_the_penalty_is_divided_by_the_rows_of_the_batches_in_use(own, given, used):
    net = sklearn.neural_network.MLPClassifier((4,), alpha=0.6, batch_size=own)
    assert as_network(net, *data(), given)[2]["l2"] == 0.6 / used


def test_what_is_no_network_is_refused():
    with pytest.raises(xpnet.XpnetError, match=r"object is neither an xpnet.MLP nor an MLP"):
        xpnet.diagnose(object(), *data())
