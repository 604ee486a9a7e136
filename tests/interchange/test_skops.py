"""skops stores fitted estimators, and gives them back as they were."""

import numpy as np
import pytest
from lazily import sklearn

import xpnet

X = np.random.default_rng(0).normal(size=(40, 3))
NAMES = np.array(["no", "yes", "perhaps"])
TRUSTED = {
    "xpnet.nn.network.MLP",
    "xpnet.training.history.History",
    "xpnet.training.loop.TrainingState",
}
FAST = {"hidden_layer_sizes": (4, 3), "max_iter": 3, "random_state": 0, "compile": "off"}


@pytest.fixture(scope="module")
def skops():
    return pytest.importorskip("skops.io")  # which loads PyTorch and Dask


@pytest.mark.parametrize(
    ("kind", "options", "y"),
    [
        ("MLPClassifier", {}, NAMES[np.arange(40) % 3]),
        ("MLPClassifier", {"early_stopping": True}, np.arange(40) % 2),
        ("MLPClassifier", {"solver": "lbfgs"}, (X[:, :2] > 0).astype(int)),
        ("MLPRegressor", {"standardize": True, "activation": ["tanh", "gelu"]}, X[:, 0]),
        ("MLPRegressor", {"dtype": "float32", "out_activation": "softplus"}, np.abs(X[:, :2])),
    ],
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_an_estimator_predicts_and_trains_on_as_before_it_was_stored(skops, kind, options, y):
    steps = sklearn.preprocessing.StandardScaler(), getattr(xpnet, kind)(**FAST, **options)
    fitted = sklearn.pipeline.make_pipeline(*steps).fit(X, y)
    stored = skops.dumps(fitted)
    unknown = skops.get_untrusted_types(data=stored)
    assert {*unknown} == TRUSTED | {f"xpnet.estimators.classifier.{kind}"}
    loaded = skops.loads(stored, trusted=unknown)
    np.testing.assert_array_equal(loaded.predict(X), fitted.predict(X))
    assert loaded[-1].get_params() == fitted[-1].get_params()
    if not {"solver", "early_stopping"} & options.keys():
        before, after = (each[-1].partial_fit(X, y).predict(X) for each in (fitted, loaded))
        np.testing.assert_array_equal(after, before)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_solver_of_its_own_is_one_more_type_to_trust(skops):
    fitted = xpnet.MLPRegressor(**FAST, solver=xpnet.SGD(0.1)).fit(X, X[:, 0])
    stored = skops.dumps(fitted)
    unknown = skops.get_untrusted_types(data=stored)
    assert "xpnet.nn.optimizers.SGD" in unknown
    assert skops.loads(stored, trusted=unknown).solver == xpnet.SGD(0.1)
