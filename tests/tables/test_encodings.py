"""Numbers in bins, and effects of texts: which, the inputs, and what a model file keeps."""

import numpy as np
import pytest

from xpnet.tables.encodings import (
    means_of_other_rows,
    piecewise_linear,
    quantile_edges,
    shrunken_means,
)
from xpnet.tables.prepare import prepare
from xpnet.tables.preprocessing import Preprocessing


@pytest.fixture
def numbers(table):
    def make(rows):
        drawn = np.random.default_rng(0).exponential(size=(rows, 2)).round(4)
        lines = [f"{a},{b},{a * b:.4f}" for a, b in drawn]
        return table("\n".join(["a,b,y", *lines]) + "\n")

    return make


def test_a_number_fills_the_bins_below_it_and_a_part_of_its_own():
    found = piecewise_linear(np.array([-1.0, 0.5, 1.0, 3.0, 9.0]), np.array([0.0, 1.0, 5.0]))
    np.testing.assert_array_equal(found, [[0, 0], [0.5, 0], [1, 0], [1, 0.5], [1, 1]])


def test_bins_hold_about_as_many_rows_each_and_end_at_values_that_repeat():
    edges = np.array(quantile_edges(np.arange(1000.0) ** 2, 10))
    assert np.histogram(np.arange(1000.0) ** 2, edges)[0].tolist() == pytest.approx([100] * 10, 3)
    assert quantile_edges(np.array([3.0, 1.0, 2.0, 2.0]), 10) == (1.0, 2.0, 3.0)
    assert quantile_edges(np.array([0.0, 1.0, 1.0]), 10) == ()


@pytest.mark.parametrize(
    ("rows", "encode", "many"),
    [(100, "auto", False), (1000, "auto", True), (100, "ple", True), (1000, "plain", False)],
)
def test_who_trains_decides_on_bins_or_the_number_of_rows_does(numbers, rows, encode, many):
    plan = prepare(numbers(rows), "y", encode=encode).preprocessing
    assert (plan.inputs > 2) == many


def test_bins_stand_beside_the_number_and_survive_the_model_file(numbers):
    table = numbers(1000)
    found = prepare(table, "y", encode="ple")
    plan = Preprocessing.from_dict(found.preprocessing.to_dict())
    assert plan == found.preprocessing
    np.testing.assert_array_equal(plan.transform(table), found.x)
    plain = prepare(table, "y").x
    np.testing.assert_array_equal(found.x[:, [0, 49]], plain)
    assert plan.input_names()[:2] == ["a", f"a from {table.column('a').min():g}"]
    sums = found.x[:, 1:49].sum(axis=1)
    assert np.corrcoef(sums, np.argsort(np.argsort(table.column("a"))))[0, 1] > 0.999


def test_mean_targets_are_shrunken_where_texts_are_rare_and_leave_out_the_row_itself():
    rng = np.random.default_rng(0)
    codes = np.repeat([0, 1, 2, 3], [500, 500, 500, 2])
    y = np.array([1.0, 2.0, 0.0, 10.0])[codes] + rng.standard_normal(1502)
    means = shrunken_means(codes, y, 5)
    np.testing.assert_allclose(means[:3] + y.mean(), [1.0, 2.0, 0.0], atol=0.1)
    assert 0.5 < means[3] / (y[-2:].mean() - y.mean()) < 0.95
    assert means[4] == 0.0
    y[-1] = 1e6
    others = means_of_other_rows(codes, y, 5, 0)
    assert others[-1] < 1e4 < others[-2]


def test_texts_with_many_values_have_effects_that_survive_the_model_file(table):
    rng = np.random.default_rng(0)
    shops, noise = rng.integers(0, 300, 1500), rng.standard_normal(1500)
    lines = [f"s{shop},{shop / 100 + e:.3f}" for shop, e in zip(shops, noise, strict=True)]
    asked = {"effects": True, "validation": 0.2, "nets": 2}
    found = prepare(table("\n".join(["shop,y", *lines]) + "\n"), "y", **asked)
    plan = Preprocessing.from_dict(found.preprocessing.to_dict())
    assert plan == found.preprocessing
    assert plan.input_names()[-1] == "shop effect"
    new = plan.transform(table("shop\ns0\ns299\nnew\n?\n"))[:, -1]
    assert new[0] < -0.5 < 0.0 == new[2] == new[3] < 0.5 < new[1]
    assert 0.3 < np.corrcoef(found.x[:, -1], found.y)[0, 1] < 0.8
    few = prepare(table("\n".join(["shop,y", *lines[:600]]) + "\n"), "y", keep=["shop"], **asked)
    assert "shop effect" not in few.preprocessing.input_names()
