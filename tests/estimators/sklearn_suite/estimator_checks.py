"""Run scikit-learn's `check_estimator` on both classes; print one JSON list of the results.

A program of its own, since SCIPY_ARRAY_API=1 must be set before SciPy is loaded.
"""

import copy
import json
import warnings

import array_api_strict
import numpy
import torch
from sklearn import config_context
from sklearn.datasets import load_iris
from sklearn.utils._array_api import move_estimator_to
from sklearn.utils.estimator_checks import check_estimator

import xpnet

warnings.simplefilter("ignore")


def results(estimator):
    """Return name, status and reason of every check, with what the array API inputs were."""
    return [
        {
            "estimator": type(estimator).__name__,
            "check": each["check_name"],
            "status": "skipped" if no_gpu(each["exception"]) else each["status"],
            "reason": repr(each["exception"]),
        }
        for each in check_estimator(estimator, on_fail=None, on_skip=None)
    ]


def no_gpu(exception):
    """Tell whether a check tried CUDA because PyTorch was built for it, where there is no GPU."""
    return isinstance(exception, torch.AcceleratorError) and not torch.cuda.is_available()


def same_values(kind):
    """Compare what is computed on other libraries' arrays with what NumPy's give."""
    X, y = load_iris(return_X_y=True)
    here = kind(max_iter=20, random_state=0, standardize=True).fit(X, y)
    for library in (array_api_strict, torch):
        theirs = library.asarray(X)
        with config_context(array_api_dispatch=True):
            there = kind(max_iter=20, random_state=0, standardize=True, early_stopping=False)
            outputs = there.fit(theirs, library.asarray(y)).predict(theirs)
            assert isinstance(outputs, type(theirs))
            assert all(isinstance(each, type(theirs)) for each in there.coefs_)
            moved = move_estimator_to(there, numpy, "cpu")
        copied = copy.deepcopy(there)  # as a pickle: on the CPU
        for other in (moved, copied):
            numpy.testing.assert_allclose(other.predict(X), here.predict(X), rtol=1e-9)
            for a, b in zip(other.coefs_, here.coefs_, strict=True):
                numpy.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)
        other.set_params(warm_start=True).fit(X, y)  # goes on with the optimiser's state
        name = f"values from {library.__name__}"
        yield {"estimator": kind.__name__, "check": name, "status": "passed"}


found = []
for kind in (xpnet.MLPClassifier, xpnet.MLPRegressor):
    found += results(kind(hidden_layer_sizes=(20,), learning_rate_init=0.1, max_iter=12))
    found += same_values(kind)
print(json.dumps(found))
