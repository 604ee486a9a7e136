"""Gradients of another shape than their parameter: which axis is that of the samples."""

import numpy as np
import pytest

from xpnet.doctor.gradcheck.mistakes import shape_mistake


@pytest.mark.parametrize(
    ("given", "shape", "axis", "remedy"),
    [
        ((5, 100), (5, 1), 1, "sum(axis=1, keepdims=True)"),
        ((1, 100), (1, 1), 1, "sum(axis=1, keepdims=True)"),
        ((5, 100), (5,), 1, "sum(axis=1)"),
        ((5, 5), (5, 1), 1, "sum(axis=1, keepdims=True)"),  # samples as columns, since b is one
        ((100, 1), (1, 1), 0, "sum(axis=0, keepdims=True)"),
        ((100, 5), (1, 5), 0, "sum(axis=0, keepdims=True)"),
        ((5, 5), (1, 5), 0, "sum(axis=0, keepdims=True)"),
        ((5, 5), (5,), 0, "sum(axis=0)"),
        ((100, 5), (5,), 0, "sum(axis=0)"),
        ((100,), (1,), 0, "sum(axis=0)"),
        ((100,), (), 0, "sum(axis=0)"),
    ],
)
def test_one_gradient_for_each_sample_is_summed_over_the_samples(given, shape, axis, remedy):
    gradient = np.random.default_rng(0).standard_normal(given)
    mended, (finding,) = shape_mistake("b1", gradient, shape)
    assert finding.code == "bias-per-sample"
    assert finding.remedy == f"gradient_of_b1 = delta.{remedy}"
    assert np.array_equal(mended, gradient.sum(axis=axis).reshape(shape))


def test_a_column_of_weights_is_not_called_a_bias():
    """Targets (m,) against outputs (m, 1) make inputs.T @ delta (inputs, m)."""
    mended, (finding,) = shape_mistake("W2", np.ones((5, 100)), (5, 1))
    assert mended is None
    assert finding.code == "gradient-shape"
    assert "sum over the samples, and give the targets the outputs' shape" in finding.remedy


@pytest.mark.parametrize(("given", "says"), [((), True), ((3,), True), ((7, 9), False)])
def test_only_a_gradient_that_is_too_small_was_summed_too_far(given, says):
    finding = shape_mistake("W1", np.ones(given), (4, 2))[1][0]
    assert ("do not sum the errors" in finding.remedy) is says
