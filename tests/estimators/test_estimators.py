"""What the estimators have in common with scikit-learn's."""

import sys

import numpy as np
import pytest
from estimator_examples import QUICK, X, Y, parameters
from lazily import scipy, sklearn

import xpnet
from xpnet.errors import InputError, XpnetError
from xpnet.training.lbfgs import LBFGS

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def test_every_parameter_of_scikit_learn_is_there_with_its_default(kind):
    peer = getattr(sklearn.neural_network, kind.__name__)().get_params()
    ours = kind().get_params()
    assert {name: ours[name] for name in peer} == peer
    assert list(kind._get_param_names()) == sorted(ours)
    first = ("poisson", (7,)) if kind is xpnet.MLPRegressor else ((7,),)
    assert kind(*first, "tanh").activation == "tanh"


@pytest.mark.parametrize("activation", ["relu", "logistic"])
def test_the_same_seed_draws_the_same_initial_weights_as_scikit_learn(kind, activation):
    """With lbfgs, which draws nothing else, whole trainings are then alike."""
    settings = {"solver": "lbfgs", "activation": activation, "max_iter": 15, **QUICK}
    ours = kind(**settings).fit(X, Y)
    peer = getattr(sklearn.neural_network, kind.__name__)(**settings).fit(X, Y)
    for a, b in zip(parameters(ours), [*peer.coefs_, *peer.intercepts_], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-8)
    assert ours.loss_ == pytest.approx(peer.loss_)


@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize("alpha", [0.0, 5.0])
def test_without_shuffling_a_training_is_the_same_as_scikit_learns(solver, alpha):
    """The penalty, the optimisers, the loss curve; 150 rows make 3 full batches."""
    settings = {"solver": solver, "alpha": alpha, "shuffle": False, "batch_size": 50, **QUICK}
    ours = xpnet.MLPClassifier(max_iter=20, **settings).fit(X, Y)
    peer = sklearn.neural_network.MLPClassifier(max_iter=20, **settings).fit(X, Y)
    for a, b in zip(ours.coefs_, peer.coefs_, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)
    # The penalty in the loss is that of the epoch's end, and in scikit-learn's of its steps.
    np.testing.assert_allclose(ours.loss_curve_, peer.loss_curve_, rtol=2e-2)
    assert (ours.n_iter_, ours.t_) == (peer.n_iter_, peer.t_)


def test_alpha_is_divided_by_the_weight_of_a_full_batch_and_there_by_that_of_each():
    """Batches whose rows are light: only there are scikit-learn's steps penalised more."""
    settings = {"solver": "sgd", "alpha": 5.0, "shuffle": False, "batch_size": 50, **QUICK}
    weights = np.random.default_rng(0).uniform(0.1, 2.0, len(X)) * np.repeat([1, 5, 0.2], 50)
    of_batch = np.repeat(weights.reshape(3, 50).sum(axis=1), 50)
    ours = xpnet.MLPClassifier(max_iter=9, **settings).fit(X, Y, weights)
    for as_heavy, alike in ((weights / of_batch * 50 * weights.mean(), True), (weights, False)):
        peer = sklearn.neural_network.MLPClassifier(max_iter=9, **settings).fit(X, Y, as_heavy)
        assert np.allclose(ours.coefs_[0], peer.coefs_[0], rtol=1e-9, atol=1e-12) == alike


def test_losses_differ_from_scikit_learns_only_by_what_is_documented():
    targets = np.stack([Y, 2.0 * Y, 1.0 - Y], axis=1)
    for loss, y, factor, constant in (
        ("squared_error", targets, 3, 0.0),  # the sum over the outputs, there the mean
        ("poisson", Y, 1, np.mean(Y - scipy.special.xlogy(Y, Y))),  # without terms in y alone
    ):
        settings = {"loss": loss, "alpha": 0.0, "max_iter": 1, "shuffle": False, **QUICK}
        ours = xpnet.MLPRegressor(**settings).fit(X, y)
        peer = sklearn.neural_network.MLPRegressor(**settings).fit(X, y)
        assert ours.loss_ == pytest.approx(factor * peer.loss_ + constant)
        np.testing.assert_allclose(ours.predict(X), peer.predict(X))


def test_all_fitted_attributes_of_scikit_learn_are_there(kind):
    for settings in ({}, {"early_stopping": True}):
        ours = kind(max_iter=5, **settings).fit(X, Y)
        peer = getattr(sklearn.neural_network, kind.__name__)(max_iter=5, **settings).fit(X, Y)
        public = {name for name in vars(peer) if name.endswith("_") and name[0] != "_"}
        assert public - {"coefs_", "intercepts_", "out_activation_"} <= set(vars(ours))
        for name in ("n_layers_", "n_outputs_", "out_activation_", "n_features_in_", "n_iter_"):
            assert getattr(ours, name) == getattr(peer, name)
        assert type(ours.validation_scores_) is type(peer.validation_scores_)


@pytest.mark.parametrize(
    ("container", "settings"),
    [
        ("csr_array", {}),
        ("csc_matrix", {"standardize": True}),
        ("csr_matrix", {"solver": "lbfgs"}),
    ],
)
def test_sparse_inputs_give_what_dense_ones_give(container, settings):
    inputs = getattr(scipy.sparse, container)(X)
    dense = xpnet.MLPClassifier(max_iter=10, **QUICK, **settings).fit(X, Y)
    sparse = xpnet.MLPClassifier(max_iter=10, **QUICK, **settings).fit(inputs, Y)
    for a, b in zip(parameters(dense), parameters(sparse), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)
    proba = sparse.predict_proba(inputs)
    np.testing.assert_allclose(proba, dense.predict_proba(X), rtol=1e-9)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_dtype_of_the_inputs_is_kept_or_chosen(kind, dtype):
    other = {"float32": "float64", "float64": "float32"}[dtype]
    for chosen, expected in ((None, dtype), (other, other)):
        model = kind(max_iter=2, dtype=chosen, **QUICK).fit(X.astype(dtype), Y)
        assert {each.dtype.name for each in parameters(model)} == {expected}


def test_lbfgs_is_right_for_several_outputs():
    """scikit-learn's gradient is as many times too long as there are outputs (its #8349)."""
    x, sugar = sklearn.datasets.load_diabetes(return_X_y=True)
    targets = np.stack([sugar, -2 * sugar, sugar**2 / 100], axis=1) / 100
    model = xpnet.MLPRegressor(solver="lbfgs", alpha=0.1, max_iter=3, **QUICK).fit(x, targets)
    start = np.concatenate([np.ravel(each) for each in parameters(model)])

    net = model.network_
    data = model._data(net.device.put(x, net.dtype), targets, None)
    loss = LBFGS(net, data, loss="auto", l2=0.1 / len(targets)).loss_and_gradient
    _, gradient = loss(start)
    for index in range(0, len(start), 5):
        step = 1e-5 * (np.arange(len(start)) == index)
        slope = (loss(start + step)[0] - loss(start - step)[0]) / 2e-5
        assert slope == pytest.approx(gradient[index], rel=1e-5, abs=1e-7)


def test_what_scikit_learn_takes_and_is_refused_here():
    theirs, weights = sklearn.neural_network, np.r_[-0.1, np.ones(len(X) - 1)]
    theirs.MLPClassifier(max_iter=2).fit(X, Y, weights)
    with pytest.raises(InputError, match=r"sample_weight has minimum -0\.1"):
        xpnet.MLPClassifier(max_iter=2).fit(X, Y, weights)
    counts = np.r_[-1.0, np.ones(len(X) - 1)]
    theirs.MLPRegressor(loss="poisson", max_iter=2).fit(X, counts)
    with pytest.raises(InputError, match="a Poisson target cannot be negative"):
        xpnet.MLPRegressor(loss="poisson", max_iter=2).fit(X, counts)
    several = scipy.sparse.csr_array(np.eye(3)[Y])
    assert scipy.sparse.issparse(theirs.MLPClassifier(max_iter=2).fit(X, several).predict(X))
    assert isinstance(xpnet.MLPClassifier(max_iter=2).fit(X, several).predict(X), np.ndarray)


def test_smaller_differences_from_scikit_learn():
    ours, theirs = xpnet.MLPClassifier, sklearn.neural_network.MLPClassifier
    low = X.astype("float32")
    for settings, inputs in (({}, X), ({"solver": "lbfgs"}, low)):
        models = [kind(max_iter=2, **settings, **QUICK).fit(low, Y) for kind in (ours, theirs)]
        assert [each.predict_proba(inputs).dtype for each in models] == ["float32", "float64"]
    models = [kind(solver="lbfgs", tol=10.0, **QUICK).fit(X, Y) for kind in (ours, theirs)]
    assert [each.n_iter_ for each in models] == [1, 0]
    kinds = xpnet.MLPRegressor, sklearn.neural_network.MLPRegressor
    models = [kind(solver="lbfgs") for kind in kinds]
    assert [hasattr(each, "partial_fit") for each in models] == [False, True]
    shared = [np.random.RandomState(0) for _ in range(2)]
    for kind, random in zip((ours, theirs), shared, strict=True):
        kind((8,), solver="lbfgs", max_iter=2, random_state=random).fit(X, Y)
    shared[1].randint(2**31 - 1)  # one number more
    assert shared[0].random_sample() == shared[1].random_sample()


# Within scikit-learn's own tools, and without it


@pytest.fixture
def model():
    return xpnet.MLPClassifier((8,), solver="lbfgs", max_iter=30, random_state=0, standardize=True)


def test_grid_search_over_parameters_of_both_libraries(model):
    grid = {"init": ["sklearn", "auto"], "alpha": [1e-4]}
    assert sklearn.model_selection.GridSearchCV(model, grid, cv=3).fit(X, Y).best_score_ > 0.9


def test_ensembles_and_calibration(model):
    several = np.stack([Y, Y % 2 + 5], axis=1)
    for ensemble, y in (
        (sklearn.calibration.CalibratedClassifierCV(model, cv=3), Y),
        (sklearn.ensemble.BaggingClassifier(model, n_estimators=3, random_state=0), Y),
        (sklearn.multioutput.MultiOutputClassifier(model), several),
    ):
        assert ensemble.fit(X, y).score(X, y) > 0.9


def test_without_scikit_learn_the_extra_is_named(monkeypatch):
    for name in [name for name in sys.modules if name.startswith("xpnet.estimators")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "sklearn.base", None)
    monkeypatch.delitem(xpnet.__dict__, "MLPClassifier", raising=False)
    with pytest.raises(XpnetError, match=r'pip install "xpnet\[sklearn\]"'):
        _ = xpnet.MLPClassifier
