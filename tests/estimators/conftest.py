"""The estimators, loaded when a test needs them."""

import pytest

import xpnet


@pytest.fixture(params=["MLPClassifier", "MLPRegressor"])
def kind(request):
    return getattr(xpnet, request.param)
