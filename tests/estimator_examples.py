"""Data, settings and comparisons that the tests of the estimators share."""

import io
from importlib.util import find_spec

import joblib
import numpy as np
import pytest

if find_spec("sklearn") is None:
    pytest.skip("scikit-learn is not installed", allow_module_level=True)

# As Fisher's irises are: three kinds of 50 flowers, of which two overlap a little.
Y = np.repeat([0, 1, 2], 50)
X = np.array([[5.0, 3.4, 1.5, 0.2], [5.9, 2.8, 4.3, 1.3], [6.6, 3.0, 5.6, 2.0]])[Y]
X += np.random.default_rng(0).normal(size=X.shape) * [0.5, 0.3, 0.4, 0.2]
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
