"""scikit-learn's callbacks, by `set_callbacks`, see each epoch of a fit."""

import numpy as np
import pytest
from lazily import sklearn

import xpnet

X = np.random.default_rng(0).normal(size=(40, 3))
Y = X[:, 0] - X[:, 1]
FAST = {"hidden_layer_sizes": (4,), "max_iter": 3, "random_state": 0}
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


class Recorder:
    """Notes every call, and the score of the estimator of the time; stops at an epoch."""

    max_propagation_depth = None  # passed on by pipelines and searches

    def __init__(self, stop_at=None):
        self.stop_at, self.calls, self.scores = stop_at, [], []

    def setup(self, estimator, context):
        self.calls.append(("setup", context.task_name))

    def on_fit_task_begin(self, estimator, context):
        self.calls.append(("begin", context.task_name))

    def on_fit_task_end(self, estimator, context, *, X, y, metadata, fitted_estimator):
        self.calls.append(("end", context.task_name))
        if context.task_name == "epoch":
            self.scores.append((fitted_estimator, fitted_estimator.score(X, y), metadata))
        return context.task_id == self.stop_at

    def teardown(self, estimator, context):
        self.calls.append(("teardown", context.task_name))


def test_fit_and_each_epoch_are_tasks_with_a_fitted_estimator():
    recorder, weights = Recorder(), np.ones(40)
    fitted = xpnet.MLPRegressor(**FAST).set_callbacks(recorder).fit(X, Y, weights)
    epochs = [("begin", "epoch"), ("end", "epoch")] * 3
    begun, ended = [("setup", "fit"), ("begin", "fit")], [("end", "fit"), ("teardown", "fit")]
    assert recorder.calls == [*begun, *epochs, *ended]
    then, score, metadata = recorder.scores[0]
    assert then.score(X, Y) == score != fitted.score(X, Y)
    assert recorder.scores[-1][1] == fitted.score(X, Y)
    assert metadata["sample_weight"] is weights
    assert sklearn.base.clone(fitted)._skl_callbacks == [recorder]


def test_a_callback_that_returns_true_stops_the_training_and_is_no_warning():
    fitted = xpnet.MLPRegressor(**FAST).set_callbacks(Recorder(stop_at=1)).fit(X, Y)
    assert fitted.n_iter_ == 2


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_partial_fit_and_lbfgs_are_tasks_too(solver):
    recorder = Recorder()
    estimator = xpnet.MLPRegressor(**FAST, solver=solver).set_callbacks(recorder)
    (estimator.fit if solver == "lbfgs" else estimator.partial_fit)(X, Y)
    assert recorder.calls.count(("end", "epoch")) == (solver == "adam")
    assert recorder.calls[-1][0] == "teardown"


def test_a_fit_that_is_refused_lets_the_callbacks_go():
    recorder = Recorder()
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        xpnet.MLPRegressor(**FAST).set_callbacks(recorder).fit(X, Y[:3])
    assert recorder.calls[-1] == ("teardown", "fit")


def test_scikit_learns_monitor_sees_the_epochs_within_a_search_over_a_pipeline():
    monitor = sklearn.callback.ScoringMonitor(scoring="r2")
    steps = sklearn.pipeline.make_pipeline(
        sklearn.preprocessing.StandardScaler(), xpnet.MLPRegressor(**FAST).set_callbacks(monitor)
    )
    search = sklearn.model_selection.GridSearchCV(
        steps, {"mlpregressor__alpha": [0.1, 1.0]}, cv=2, error_score="raise"
    )
    search.set_callbacks(recorder := Recorder()).fit(X, Y)
    epochs = [each for each in monitor.get_logs().data if each["task_name"] == "epoch"]
    assert len(epochs) == 3 * (2 * 2 + 1)
    assert recorder.calls.count(("end", "epoch")) == len(epochs)
    assert all(np.isfinite(each["r2"]) for each in epochs)
