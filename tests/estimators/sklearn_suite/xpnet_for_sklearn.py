"""A pytest plugin: scikit-learn's own tests of its MLP meet xpnet's classes in their place.

The names are rebound before collection, so that the installed test file runs unchanged. Two of its
tests look at private members of scikit-learn's classes, which are added here.
"""

from types import SimpleNamespace

import sklearn.neural_network

import xpnet
from xpnet.training.lbfgs import LBFGS


def _loss_grad_lbfgs(self, vector, X, y, sample_weight, *unused):
    """Return loss and gradient for prepared data."""
    net = self.network_
    data = self._data(net.device.put(X, net.dtype), y, sample_weight)
    l2 = self.alpha / len(y)
    return LBFGS(net, data, loss=self._core_loss(), l2=l2).loss_and_gradient(vector)


for kind in (xpnet.MLPClassifier, xpnet.MLPRegressor):
    kind._loss_grad_lbfgs = _loss_grad_lbfgs
    kind._optimizer = property(lambda self: SimpleNamespace(learning_rate=self._learning_rate))

sklearn.neural_network.MLPClassifier = xpnet.MLPClassifier
sklearn.neural_network.MLPRegressor = xpnet.MLPRegressor


def pytest_collection_finish(session):
    """See that no test meets scikit-learn's own classes."""
    for item in session.items:
        assert item.module.MLPClassifier is xpnet.MLPClassifier
        assert item.module.MLPRegressor is xpnet.MLPRegressor
