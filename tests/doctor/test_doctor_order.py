"""The doctor on rows that come sorted by their target."""

import numpy as np
import pytest
from doctor_example import HEALTHY, X, Y, draw, network
from hand_written_loop import logistic
from hypothesis import given
from hypothesis import strategies as st

import xpnet
from xpnet import diagnose
from xpnet.doctor.run import BLOCK_ROWS, SeenTargets

SORTED = np.argsort(Y, kind="stable")


def train(x, y, rows, batch):
    """Train a unit for four epochs on rows in this order; return the report's codes."""
    steps, start = 4 * len(rows) // batch, {"w": np.zeros((2, 1)), "b": np.zeros(1)}
    return logistic(start, x=x[rows], y=y[rows, None], batch=batch, steps=steps).codes


@pytest.mark.untraced
@pytest.mark.parametrize("batch", [3, 32, 100])
def test_rows_sorted_by_target_are_found_and_shuffled_ones_are_not(batch):
    x, y, random = X, (X[:, 0] > 0).astype(float), draw()
    assert train(x, y, np.argsort(y), batch)[0] == "unshuffled-rows"
    assert "unshuffled-rows" not in train(x, y, random.permutation(len(y)), batch)


@pytest.mark.untraced
@pytest.mark.parametrize("targets", [Y, 3.0 * X[:, 0] + X[:, 1]], ids=["classes", "numbers"])
def test_a_network_trained_on_sorted_rows(targets):
    order, output = np.argsort(targets), "sigmoid" if targets is Y else "identity"
    options = HEALTHY | {"optimizer": xpnet.SGD(0.05), "batch_size": 16}
    net = network(output=output)
    report = diagnose(net, X[order], targets[order], shuffle=False, **options)
    assert report.codes[0] == "unshuffled-rows"
    assert report.findings[0].repair == {"shuffle": True}
    assert (
        "between blocks of 33 successive rows; shuffled, it would be 3%"
        in report.findings[0].evidence
    )
    assert "unshuffled-rows" not in diagnose(net, X[order], targets[order], **options).codes
    mixed = diagnose(net, X, targets, shuffle=False, **options)
    assert "unshuffled-rows" not in mixed.codes


def test_the_first_of_sorted_rows_are_not_called_unbalanced():
    """All that is kept of a loop's first steps is of one class, but for a few."""
    x = draw().normal(size=(2000, 2))
    y = (np.arange(2000) >= 390).astype(float)
    codes = train(x, y, np.arange(2000), 20)
    assert "unshuffled-rows" in codes
    assert "class-imbalance" not in codes


@pytest.mark.untraced
@given(st.integers(0, 1000), st.integers(BLOCK_ROWS, 60), st.integers(2, 9), st.integers(1, 3))
def test_the_share_is_that_of_the_analysis_of_variance(seed, batch, count, outputs):
    random = np.random.default_rng(seed)
    y = random.normal(size=(count, batch, outputs)) + random.normal(size=(count, 1, outputs))
    seen = SeenTargets()
    for each in y:
        seen.add(each)
    between = np.var(y.mean(axis=1), axis=0).sum()
    assert seen.share_between == pytest.approx(between / np.var(y, axis=(0, 1)).sum())
    assert (seen.rows, seen.batches) == (count * batch, count)


def test_small_batches_count_together_and_too_few_say_nothing():
    seen = SeenTargets()
    for target in range(2 * BLOCK_ROWS - 1):
        seen.add(np.array([[float(target)]]))
    assert seen.batches == 1
    assert np.isnan(seen.share_between)
    seen.add(np.array([[0.0]]))
    assert seen.batches == 2
    assert seen.share_between > 0.5
