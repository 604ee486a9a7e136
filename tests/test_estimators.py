import io
import sys
import tracemalloc
import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed")

import joblib
import scipy.sparse
import scipy.special
import sklearn.neural_network
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning, NotFittedError

import xpnet
from xpnet.errors import InputError, XpnetError
from xpnet.estimator_verdict import DivergenceWarning, NoSkillWarning
from xpnet.estimators import MLPClassifier, MLPRegressor

X, Y = load_iris(return_X_y=True)
X_SUGAR, Y_SUGAR = load_diabetes(return_X_y=True)
BOTH = pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
QUICK = {"hidden_layer_sizes": (8,), "random_state": 3}

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def stored_and_loaded(estimator):
    """A way through a file, as joblib's and pickle's users have it."""
    file = io.BytesIO()
    joblib.dump(estimator, file)
    file.seek(0)
    return joblib.load(file)


def parameters(estimator):
    return [*estimator.coefs_, *estimator.intercepts_]


def same(one, other):
    pairs = zip(parameters(one), parameters(other), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


# What is scikit-learn's


@BOTH
def test_every_parameter_of_scikit_learn_is_there_with_its_default(kind):
    peer = getattr(sklearn.neural_network, kind.__name__)().get_params()
    ours = kind().get_params()
    assert {name: ours[name] for name in peer} == peer
    assert list(kind._get_param_names()) == sorted(ours)


def test_parameters_may_be_passed_by_position_as_in_scikit_learn():
    assert MLPClassifier((7,), "tanh").get_params()["activation"] == "tanh"
    model = MLPRegressor("poisson", (7,), "tanh")
    assert (model.loss, model.hidden_layer_sizes, model.activation) == ("poisson", (7,), "tanh")


@BOTH
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
    ours = MLPClassifier(max_iter=20, **settings).fit(X, Y)
    peer = sklearn.neural_network.MLPClassifier(max_iter=20, **settings).fit(X, Y)
    for a, b in zip(ours.coefs_, peer.coefs_, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)
    # The penalty in the loss is that of the epoch's end, and in scikit-learn's of its steps.
    np.testing.assert_allclose(ours.loss_curve_, peer.loss_curve_, rtol=2e-2)
    assert (ours.n_iter_, ours.t_) == (peer.n_iter_, peer.t_)


def test_losses_differ_from_scikit_learns_only_by_what_is_documented():
    targets = np.stack([Y, 2.0 * Y, 1.0 - Y], axis=1)
    for loss, y, factor, constant in (
        ("squared_error", targets, 3, 0.0),  # the sum over the outputs, there the mean
        ("poisson", Y, 1, np.mean(Y - scipy.special.xlogy(Y, Y))),  # without terms in y alone
    ):
        settings = {"loss": loss, "alpha": 0.0, "max_iter": 1, "shuffle": False, **QUICK}
        ours = MLPRegressor(**settings).fit(X, y)
        peer = sklearn.neural_network.MLPRegressor(**settings).fit(X, y)
        assert ours.loss_ == pytest.approx(factor * peer.loss_ + constant)
        np.testing.assert_allclose(ours.predict(X), peer.predict(X))


@BOTH
def test_all_fitted_attributes_of_scikit_learn_are_there(kind):
    for settings in ({}, {"early_stopping": True}):
        ours = kind(max_iter=5, **settings).fit(X, Y)
        peer = getattr(sklearn.neural_network, kind.__name__)(max_iter=5, **settings).fit(X, Y)
        public = {name for name in vars(peer) if name.endswith("_") and name[0] != "_"}
        assert public - {"coefs_", "intercepts_"} <= set(vars(ours))
        for name in ("n_layers_", "n_outputs_", "out_activation_", "n_features_in_", "n_iter_"):
            assert getattr(ours, name) == getattr(peer, name)
        assert type(ours.validation_scores_) is type(peer.validation_scores_)


@pytest.mark.parametrize("container", [scipy.sparse.csr_array, scipy.sparse.csc_matrix])
@pytest.mark.parametrize("settings", [{}, {"standardize": True}, {"solver": "lbfgs"}])
def test_sparse_inputs_give_what_dense_ones_give(container, settings):
    dense = MLPClassifier(max_iter=10, **QUICK, **settings).fit(X, Y)
    sparse = MLPClassifier(max_iter=10, **QUICK, **settings).fit(container(X), Y)
    for a, b in zip(parameters(dense), parameters(sparse), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)
    proba = sparse.predict_proba(container(X))
    np.testing.assert_allclose(proba, dense.predict_proba(X), rtol=1e-9)


def test_sparse_inputs_are_made_dense_in_blocks_and_never_whole():
    rows, features = 30_000, 500
    random = scipy.sparse.random_array((rows, features), density=0.002, rng=0, format="csr")
    y = np.asarray(random.sum(axis=1)).ravel() > 0.5

    tracemalloc.start()
    MLPClassifier((4,), max_iter=1).fit(random, y).predict(random)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < rows * features * 8 / 4


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_feature_names_are_kept_and_checked(library):
    frames = pytest.importorskip(library, reason=f"{library} is not installed")
    frame = frames.DataFrame({name: X[:, i] for i, name in enumerate("abcd")})
    model = MLPClassifier(max_iter=3, **QUICK).fit(frame, Y)
    assert model.feature_names_in_.tolist() == list("abcd")
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(frame[["b", "a", "c", "d"]])


@BOTH
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_dtype_of_the_inputs_is_kept_or_chosen(kind, dtype):
    other = {"float32": "float64", "float64": "float32"}[dtype]
    for chosen, expected in ((None, dtype), (other, other)):
        model = kind(max_iter=2, dtype=chosen, **QUICK).fit(X.astype(dtype), Y)
        assert {each.dtype.name for each in parameters(model)} == {expected}


def test_text_labels_and_columns_of_labels_are_given_back_as_they_came():
    names = np.array(["setosa", "versicolor", "virginica"])[Y]
    model = MLPClassifier(solver="lbfgs", **QUICK).fit(X, names)
    assert model.score(X, names) > 0.9
    assert model.predict(X).dtype.kind == "U"
    with pytest.warns(DataConversionWarning):
        model.fit(X, names[:, None])


def test_multilabel_targets_get_one_sigmoid_each():
    labels = np.stack([Y == 0, Y > 0], axis=1).astype(int)
    model = MLPClassifier(solver="lbfgs", **QUICK).fit(X, labels)
    assert model.out_activation_ == "logistic"
    assert model.score(X, labels) == 1.0
    assert model.predict(X).shape == model.predict_proba(X).shape == labels.shape


def test_sample_weights_count_as_rows_do():
    weights = np.where(Y == 1, 3.0, 1.0)
    rows = np.repeat(np.arange(len(Y)), weights.astype(int))
    settings = {"solver": "lbfgs", "alpha": 1.0, "max_iter": 30, **QUICK}
    weighted = MLPClassifier(**settings).fit(X, Y, sample_weight=weights)
    repeated = MLPClassifier(**settings).fit(X[rows], Y[rows])
    np.testing.assert_allclose(
        weighted.predict_proba(X), repeated.predict_proba(X), rtol=1e-3, atol=1e-5
    )


def test_lbfgs_is_right_for_several_outputs():
    """scikit-learn's gradient is as many times too long as there are outputs (its #8349)."""
    targets = np.stack([Y_SUGAR, -2 * Y_SUGAR, Y_SUGAR**2 / 100], axis=1) / 100
    model = MLPRegressor(solver="lbfgs", alpha=0.1, max_iter=3, **QUICK).fit(X_SUGAR, targets)
    start = np.concatenate([np.ravel(each) for each in parameters(model)])

    def loss(vector):
        return model._loss_grad_lbfgs(vector, X_SUGAR, targets, None)

    _, gradient = loss(start)
    for index in range(0, len(start), 5):
        step = 1e-5 * (np.arange(len(start)) == index)
        slope = (loss(start + step)[0] - loss(start - step)[0]) / 2e-5
        assert slope == pytest.approx(gradient[index], rel=1e-5, abs=1e-7)


# Going on


@BOTH
@pytest.mark.parametrize("solver", ["adam", "sgd", "adamw"])
@pytest.mark.parametrize(
    "settings",
    [{}, {"batch_size": 16, "dropout": 0.2}, {"learning_rate": "invscaling", "standardize": True}],
)
def test_five_epochs_and_five_after_a_file_are_ten_in_one_go(kind, solver, settings):
    settings = {"solver": solver, "learning_rate_init": 0.003, **settings, **QUICK}
    whole = kind(max_iter=10, **settings).fit(X, Y)
    half = stored_and_loaded(kind(max_iter=5, warm_start=True, **settings).fit(X, Y))
    assert same(half.fit(X, Y), whole)
    assert half.loss_curve_ == whole.loss_curve_


@BOTH
def test_as_many_calls_of_partial_fit_are_a_fit(kind):
    whole, steps = kind(max_iter=4, **QUICK).fit(X, Y), kind(**QUICK)
    known = {"classes": [0, 1, 2]} if kind is MLPClassifier else {}
    for _ in range(4):
        steps.partial_fit(X, Y, **known)
    assert same(whole, steps)


def test_the_network_is_a_model_file_for_xpnet(tmp_path):
    model = MLPRegressor(max_iter=3, **QUICK).fit(X, Y)
    model.network_.save(tmp_path / "net.safetensors")
    loaded = xpnet.load(tmp_path / "net.safetensors")
    np.testing.assert_array_equal(loaded.predict(X)[:, 0], model.predict(X))


def test_another_shape_or_optimiser_on_the_way():
    model = MLPClassifier(max_iter=2, warm_start=True, **QUICK).fit(X, Y)
    model.set_params(solver="sgd").fit(X, Y)
    with pytest.raises(InputError, match=r"layers of \[4, 8, 3\].*ask for \[4, 5, 3\]"):
        model.set_params(hidden_layer_sizes=5).fit(X, Y)


def test_early_stopping_may_be_switched_on_and_off_on_the_way():
    model = MLPClassifier(max_iter=2, warm_start=True, **QUICK).fit(X, Y)
    model.set_params(early_stopping=True).fit(X, Y)
    assert len(model.validation_scores_) == 2
    model.set_params(early_stopping=False).fit(X, Y)
    assert model.validation_scores_ is None
    assert model.best_loss_ == min(model.loss_curve_[-2:])


def test_coefficients_can_be_set():
    model = MLPRegressor(max_iter=2, **QUICK).fit(X, Y)
    model.coefs_ = [0 * each for each in model.coefs_]
    assert not np.any(model.network_.weights[0])
    with pytest.raises(AttributeError, match="no coefs_ before it is fitted"):
        _ = MLPRegressor().coefs_


# Beyond


def test_activations_by_layer_schedules_losses_and_optimisers_of_the_core():
    model = MLPRegressor(
        hidden_layer_sizes=(8, 6), activation=["gelu", "tanh"], loss="huber",
        solver=xpnet.SGD(0.05, momentum=0.9), learning_rate="cosine", init="auto", max_iter=30,
        standardize=True, random_state=0,
    ).fit(X, Y)  # fmt: skip
    assert [each.name for each in model.network_.hidden] == ["gelu", "tanh"]
    assert model.score(X, Y) > 0.85
    loss = xpnet.huber(0.5)
    assert clone(MLPRegressor(loss=loss)).loss.name == "huber"
    positive = MLPRegressor(out_activation="softplus", max_iter=2, **QUICK).fit(X, Y)
    assert positive.out_activation_ == "softplus"
    assert positive.predict(X).min() > 0


def test_lsuv_and_a_rule_of_ones_own():
    for settings in ({"init": "lsuv"}, {"init": lambda draw, a, b: 0.1 * draw.normal(size=(a, b))}):
        for inputs in (X, scipy.sparse.csr_array(X)):
            model = MLPClassifier(max_iter=30, learning_rate_init=0.01, **settings, **QUICK)
            assert model.fit(inputs, Y).score(inputs, Y) > 0.5


def test_class_weights_lift_the_rare_class():
    rare = np.concatenate([np.flatnonzero(Y == 1), np.flatnonzero(Y == 2)[:8]])
    x, y = X[rare], Y[rare]
    plain = MLPClassifier(max_iter=60, **QUICK).fit(x, y)
    for weight in ("balanced", {1: 1.0, 2: 6.0}):
        model = MLPClassifier(max_iter=60, class_weight=weight, **QUICK)
        model.fit(x, y, sample_weight=np.ones(len(y)))
        assert model.predict_proba(x)[:, 1].mean() > plain.predict_proba(x)[:, 1].mean()
    with pytest.raises(InputError, match="balanced"):
        MLPClassifier(class_weight="balanced").partial_fit(x, y, classes=[1, 2])


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_several_columns_of_classes(solver):
    targets = np.stack([Y, Y % 2 + 5], axis=1)
    model = MLPClassifier(solver=solver, learning_rate_init=0.01, **QUICK).fit(X, targets)
    assert model.score(X, targets) > 0.9
    first, second = model.predict_proba(X)
    assert (first.shape, second.shape) == ((150, 3), (150, 2))
    np.testing.assert_allclose(first.sum(axis=1), 1.0)
    np.testing.assert_allclose(model.predict_log_proba(X)[1], np.log(second))
    assert [each.tolist() for each in model.classes_] == [[0, 1, 2], [5, 6]]
    with pytest.raises(InputError, match="log_loss"):
        MLPClassifier(loss="squared_error", max_iter=2).fit(X, targets)


@BOTH
@pytest.mark.parametrize("settings", [{}, {"early_stopping": True}, {"solver": "lbfgs"}])
def test_rows_of_ones_own_are_watched(kind, settings):
    model = kind(max_iter=6, **QUICK, **settings)
    for watched in (X[::2], scipy.sparse.csr_array(X[::2])):
        model.fit(X, Y, validation=(watched, Y[::2]))
        assert len(model.validation_loss_curve_) == model.n_iter_ == len(model.loss_curve_)
    if settings.get("early_stopping"):  # it stops by them, and keeps the weights of the best score
        assert model.score(X[::2], Y[::2]) == pytest.approx(model.best_validation_score_)
    loss = model._core_loss()
    at_end = model.network_.loss(X[::2], Y[::2], loss=loss)
    if not settings.get("early_stopping"):
        assert model.validation_loss_curve_[-1] == pytest.approx(at_end)


def test_the_scaler_is_measured_once_and_stored_in_the_model():
    scaled = X * [1, 1000, 1e-3, 1] + 5
    model = MLPClassifier(standardize=True, solver="lbfgs", **QUICK).fit(scaled, Y)
    assert model.score(scaled, Y) > 0.97
    loaded = stored_and_loaded(model)
    np.testing.assert_array_equal(loaded.predict_proba(scaled), model.predict_proba(scaled))
    constant = np.concatenate([X, np.full((150, 1), 3.1)], axis=1)
    assert np.all(
        np.isfinite(MLPClassifier(standardize=True, max_iter=2).fit(constant, Y).coefs_[0])
    )


def test_callbacks_see_the_training_and_may_stop_it(capfd):
    seen = []

    class Stop:
        def on_epoch_end(self, training):
            seen.append(training.state.history.loss[-1])
            if len(seen) == 3:
                training.stop("enough")

    model = MLPClassifier(callbacks=[Stop()], progress=True, **QUICK).fit(X, Y)
    assert model.loss_curve_ == seen
    assert model.n_iter_ == 3
    assert "loss" in capfd.readouterr().err


def test_verbose_tells_of_every_epoch_and_of_the_learning_rate(capsys):
    MLPClassifier(verbose=True, max_iter=2, early_stopping=True, **QUICK).fit(X, Y)
    assert "Iteration 2, loss =" in (text := capsys.readouterr().out)
    assert "Validation score:" in text
    settings = {"solver": "sgd", "learning_rate": "adaptive", "tol": 10.0, "n_iter_no_change": 1}
    model = MLPClassifier(verbose=True, **settings, **QUICK).fit(X, Y)
    assert "Setting learning rate to 0.000200" in (text := capsys.readouterr().out)
    assert "Learning rate too small. Stopping." in text
    assert model._optimizer.learning_rate <= 1e-6


def test_what_lbfgs_cannot_do_is_refused():
    with pytest.raises(InputError, match="dropout changes it"):
        MLPClassifier(solver="lbfgs", dropout=0.1).fit(X, Y)
    with pytest.raises(InputError, match="callbacks: L-BFGS has no epochs"):
        MLPClassifier(solver="lbfgs", callbacks=[xpnet.EarlyStopping()]).fit(X, Y)
    with pytest.raises(ValueError, match="non-finite parameter weights"):
        MLPRegressor(solver="lbfgs").fit(X * 1e307, Y)


def test_unseen_classes_are_refused():
    model = MLPClassifier(**QUICK).partial_fit(X[:9], Y[:9], classes=[0, 1])
    with pytest.raises(ValueError, match=r"`y` has classes not in `self.classes_`"):
        model.partial_fit(X, Y)
    several = np.stack([Y, Y], axis=1)
    model = MLPClassifier(warm_start=True, max_iter=1, **QUICK).fit(X, several)
    with pytest.raises(ValueError, match="warm_start can only be used where `y` has the same"):
        model.fit(X, several + 1)


def test_ctrl_c_is_passed_on_and_leaves_a_fitted_model():
    class Interrupt:
        def on_epoch_end(self, training):
            if training.state.epoch == 2:
                raise KeyboardInterrupt

    model = MLPClassifier(callbacks=[Interrupt()], **QUICK)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y)
    assert model.n_iter_ == 2
    assert model.predict(X).shape == (150,)


# Never silently useless


def quadratic():
    """The data of scikit-learn's issue 31235."""
    draw = np.random.RandomState(1)
    x = draw.random_sample((500, 2))
    return x, (x[:, 0] + (2 * (x[:, 1] - 0.5)) ** 2 - 0.75 >= 0).astype(int)


@pytest.mark.filterwarnings("error::sklearn.exceptions.ConvergenceWarning")
def test_a_model_that_predicts_a_constant_says_so_and_its_advice_helps():
    x, y = quadratic()
    majority, stuck = max(y.mean(), 1 - y.mean()), 0
    for seed in range(6):
        settings = {"activation": "logistic", "random_state": seed}
        peer = sklearn.neural_network.MLPClassifier((20, 20), **settings)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model = MLPClassifier((20, 20), **settings).fit(x, y)
        told = [each for each in caught if each.category is NoSkillWarning]
        assert bool(told) == (model.score(x, y) == majority)
        stuck += bool(told)
    assert stuck >= 3
    with pytest.warns(NoSkillWarning) as caught:
        MLPClassifier((20, 20), activation="logistic", random_state=0).fit(x, y)
    text = str(caught[0].message)
    for part in (
        "the outputs are nearly the same for all samples",
        "X is not scaled (means up to 0.501",
        "Pass standardize=True",
        "Set learning_rate_init=0.01 (it was 0.001)",
    ):
        assert part in text
    assert caught[0].filename == __file__
    assert peer.fit(x, y).score(x, y) == majority  # scikit-learn: not a word
    helped = MLPClassifier(
        (20, 20), activation="logistic", random_state=0, standardize=True, learning_rate_init=0.01,
        max_iter=400,
    ).fit(x, y)  # fmt: skip
    assert helped.score(x, y) > 0.97


def test_the_warning_names_what_the_doctor_saw():
    x, y = load_breast_cancer(return_X_y=True)
    saturated = MLPClassifier((20,), activation="logistic", solver="sgd", random_state=0)
    with pytest.warns(NoSkillWarning, match="X is not scaled"):
        saturated.fit(x * 100, y)
    with pytest.warns(NoSkillWarning, match="Scale X, lower alpha"):
        MLPClassifier(alpha=1e7, max_iter=80, standardize=True, random_state=0).fit(x, y)
    with pytest.warns(NoSkillWarning, match="solver='adam'"):
        MLPClassifier(solver="lbfgs", alpha=1e9, random_state=0).fit(x, y)


@pytest.mark.filterwarnings("error::xpnet.estimator_verdict.NoSkillWarning")
def test_healthy_and_tiny_fits_are_not_warned_of():
    MLPClassifier(random_state=0).fit(X, Y)
    MLPRegressor(random_state=0, max_iter=400).fit(X, Y)
    MLPClassifier(random_state=0, max_iter=1).fit(X[:4], Y[:4])
    MLPClassifier(random_state=0, max_iter=2).fit(X, np.zeros(150))


@BOTH
@pytest.mark.parametrize("settings", [{}, {"early_stopping": True}])
def test_a_training_that_runs_away_warns_and_keeps_the_best_weights(kind, settings):
    model = kind(hidden_layer_sizes=(8,), solver="sgd", learning_rate_init=3.0, momentum=0.99,
                 activation="identity", random_state=0, **settings)  # fmt: skip
    with pytest.warns(DivergenceWarning, match=r"diverged in epoch \d+.*it was 3; try 0.3"):
        model.fit(X, Y)
    assert issubclass(DivergenceWarning, ConvergenceWarning)
    assert all(np.all(np.isfinite(each)) for each in parameters(model))
    assert model.loss_curve_[-1] > model.loss_curve_[0] or not np.isfinite(model.loss_)


# Where scikit-learn is not


def test_without_scikit_learn_the_extra_is_named(monkeypatch):
    for name in [name for name in sys.modules if name.startswith("xpnet.estimator")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "sklearn.base", None)
    monkeypatch.delitem(xpnet.__dict__, "MLPClassifier", raising=False)
    with pytest.raises(XpnetError, match=r'pip install "xpnet\[sklearn\]"'):
        _ = xpnet.MLPClassifier


# The rest of the contract


def test_a_batch_larger_than_the_data_is_all_of_it():
    model = MLPClassifier(batch_size=1000, max_iter=3, **QUICK)
    with pytest.warns(UserWarning, match="It is going to be clipped"):
        model.fit(X, Y)
    assert same(model, MLPClassifier(batch_size=150, max_iter=3, **QUICK).fit(X, Y))


def test_there_is_no_partial_fit_with_lbfgs():
    with pytest.raises(AttributeError, match="partial_fit"):
        _ = MLPClassifier(solver="lbfgs").partial_fit
    with pytest.raises(ValueError, match="does not support early_stopping"):
        MLPClassifier(early_stopping=True).partial_fit(X, Y, classes=[0, 1, 2])


@pytest.mark.parametrize("sizes", [0, (3, -1)])
def test_layers_without_units_are_refused(sizes):
    with pytest.raises(ValueError, match="hidden_layer_sizes"):
        MLPClassifier(sizes).fit(X, Y)


def test_training_goes_on_from_coefficients_set_before_any_fit():
    draw = np.random.default_rng(0)
    model = MLPRegressor(hidden_layer_sizes=(3,), learning_rate_init=1e-9)
    model.coefs_ = given = [draw.normal(size=(4, 3)), draw.normal(size=(3, 1))]
    model.intercepts_ = [np.zeros(3), np.zeros(1)]
    assert model.coefs_ is given
    model.n_features_in_, model.t_, model.best_loss_, model.loss_curve_ = 4, 0, np.inf, []
    model._no_improvement_count = 0
    model.partial_fit(X, Y)
    np.testing.assert_allclose(model.coefs_[0], given[0], atol=1e-6)


def test_a_device_that_is_named_computes_and_gives_numpy_arrays_back():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    from xpnet.device import device_of

    there = device_of(torch.zeros(1))
    model = MLPClassifier(device=there, max_iter=5, standardize=True, early_stopping=True, **QUICK)
    model.fit(X, Y, sample_weight=torch.ones(150))
    assert isinstance(model.coefs_[0], torch.Tensor)
    assert isinstance(model.predict(X), np.ndarray)
    here = MLPClassifier(max_iter=5, standardize=True, early_stopping=True, **QUICK).fit(X, Y)
    np.testing.assert_allclose(model.predict_proba(X), here.predict_proba(X), rtol=1e-9)
    loaded = stored_and_loaded(model)  # on the CPU: a file holds NumPy arrays
    assert isinstance(loaded.coefs_[0], np.ndarray)
    np.testing.assert_allclose(loaded.predict_proba(X), here.predict_proba(X), rtol=1e-9)
    back = model.__sklearn_array_api_convert__(lambda array: np.asarray(array))
    np.testing.assert_array_equal(back.coefs_[0], np.asarray(model.coefs_[0]))
    assert model.network_.device is there


def test_an_interrupted_epoch_is_finished_by_the_next_fit():
    class Interrupt:
        def on_batch_end(self, training):
            if training.state.step == 4:
                training.stop("interrupted")

    settings = {"batch_size": 50, "warm_start": True, **QUICK}
    model = MLPClassifier(callbacks=[Interrupt()], max_iter=3, **settings).fit(X, Y)
    model.set_params(callbacks=None, max_iter=2).fit(X, Y)
    assert same(model, MLPClassifier(max_iter=3, **settings).fit(X, Y))


def test_labels_known_before_may_be_named_again():
    model = MLPClassifier(**QUICK).partial_fit(X, Y, classes=[0, 1, 2])
    model.partial_fit(X, Y, classes=[0, 1, 2])
    with pytest.raises(ValueError, match="is not the same as on last call"):
        model.partial_fit(X, Y, classes=[0, 1])


def test_a_run_away_score_is_no_number():
    model = MLPRegressor(max_iter=2, **QUICK).fit(X, Y)
    assert np.isnan(model._score_of(np.array([[np.inf]]), np.array([[1.0]]), None))


@pytest.mark.cuda
@BOTH
def test_a_gpu_gives_what_the_cpu_gives(cuda, kind):
    settings = {"max_iter": 5, "standardize": True, "dtype": "float64", **QUICK}
    there = kind(device=cuda.name, **settings).fit(X, Y)
    here = kind(**settings).fit(X, Y)
    assert isinstance(there.predict(X), np.ndarray)
    np.testing.assert_allclose(there.predict(X), here.predict(X), rtol=1e-6)
    np.testing.assert_array_equal(stored_and_loaded(there).predict(X), there.predict(X))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"hidden_layer_sizes": (2.5,)}, r"must be > 0 and integers, got \[2.5\]"),
        ({"callbacks": [print]}, "which would never be called"),
    ],
)
def test_parameters_that_would_be_taken_for_others_are_refused(parameters, message):
    with pytest.raises(xpnet.InputError, match=message):
        xpnet.MLPClassifier(**parameters).fit(X, Y)


@pytest.mark.parametrize("rate", ["linear", "cosine"])
def test_a_schedule_to_the_last_epoch_is_not_for_partial_fit(rate):
    with pytest.raises(xpnet.InputError, match=f"{rate}' ends with the last epoch"):
        xpnet.MLPClassifier(learning_rate=rate).partial_fit(X, Y, classes=np.unique(Y))


def test_a_model_that_is_not_fitted_has_no_score():
    with pytest.raises(NotFittedError):
        xpnet.MLPClassifier().score(X, Y)


def test_what_scikit_learn_takes_and_is_refused_here():
    theirs, weights = sklearn.neural_network, np.r_[-0.1, np.ones(len(X) - 1)]
    theirs.MLPClassifier(max_iter=2).fit(X, Y, weights)
    with pytest.raises(InputError, match=r"sample_weight has minimum -0\.1"):
        MLPClassifier(max_iter=2).fit(X, Y, weights)
    counts = np.r_[-1.0, np.ones(len(X) - 1)]
    theirs.MLPRegressor(loss="poisson", max_iter=2).fit(X, counts)
    with pytest.raises(InputError, match="a Poisson target cannot be negative"):
        MLPRegressor(loss="poisson", max_iter=2).fit(X, counts)
    several = scipy.sparse.csr_array(np.eye(3)[Y])
    assert scipy.sparse.issparse(theirs.MLPClassifier(max_iter=2).fit(X, several).predict(X))
    assert isinstance(MLPClassifier(max_iter=2).fit(X, several).predict(X), np.ndarray)
