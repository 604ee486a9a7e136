"""Data, settings and comparisons that the tests of the estimators share."""

import io

import joblib
import numpy as np
import pytest
from sklearn.datasets import load_iris

from xpnet.estimators.classifier import MLPClassifier, MLPRegressor

X, Y = load_iris(return_X_y=True)
BOTH = pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
QUICK = {"hidden_layer_sizes": (8,), "random_state": 3}


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
