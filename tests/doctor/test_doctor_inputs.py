"""What the caller may give to the doctor, and what is refused by name."""

from functools import cache

import numpy as np
import pytest
from doctor_example import X, Y, network

import xpnet
from xpnet import Doctor, diagnose


def as_pandas(array):
    pandas = pytest.importorskip("pandas")
    return pandas.DataFrame(array) if array.ndim == 2 else pandas.Series(array)


def as_polars(array):
    polars = pytest.importorskip("polars")
    return polars.DataFrame(array) if array.ndim == 2 else polars.Series(array)


def as_torch(array):
    return pytest.importorskip("torch").asarray(array)


def as_strict(array):
    return pytest.importorskip("array_api_strict").asarray(array)


FORMS = [np.ndarray.tolist, as_pandas, as_polars, as_torch, as_strict]


WEIGHTS = np.ones(300)


@cache
def of_arrays():
    return diagnose(network(), X, Y, sample_weight=WEIGHTS)


@pytest.mark.untraced(but=["as_pandas"])
@pytest.mark.parametrize("form", FORMS)
def test_lists_frames_and_other_arrays_give_the_same_report(form):
    report = diagnose(network(), form(X), form(Y), sample_weight=form(WEIGHTS), x_new=form(X))
    assert report.facts == of_arrays().facts
    assert report.findings == ()


REFUSED = [
    ({"x": X[:, :1]}, r"x has shape \(300, 1\) but the network takes \(n, 2\)"),
    ({"x": X.reshape(300, 2, 1)}, r"x has shape \(300, 2, 1\)"),
    ({"x": X[:0], "y": Y[:0]}, "no rows; pass at least one"),
    ({"x": None}, "x is None; pass numbers"),
    ({"x": np.full(X.shape, "a")}, r"x \(ndarray\) is not an array of real numbers"),
    ({"y": Y[1:]}, r"y has shape \(299,\) but x has shape \(300, 2\); pass one row per sample"),
    ({"y": np.where(Y > 0, "in", "out")}, r"y \(ndarray\) is not an array of real numbers"),
    ({"sample_weight": np.ones(299)}, r"sample_weight has shape \(299,\) but x has"),
    ({"x_new": X[:, :1]}, r"at prediction have shape \(300, 1\); pass 2 for each sample"),
    ({"loss": "foo"}, "loss 'foo' is not known; use one of"),
    ({"rows": 0}, "rows 0 must be an integer >= 1"),
]


@pytest.mark.parametrize(("change", "says"), REFUSED, ids=lambda v: v if isinstance(v, str) else "")
def test_what_cannot_be_diagnosed_is_refused_by_name(change, says):
    with pytest.raises(xpnet.XpnetError, match=says):
        diagnose(network(), **({"x": X, "y": Y} | change))


def step(**change):
    weights = np.random.default_rng(4).normal(0, 0.7, (2, 1))
    return {"parameters": {"W": weights, "b": 0.5}, "gradients": {"W": weights, "b": 0.1},
            "inputs": X, "targets": Y, "predictions": Y} | change  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_watched_lists_frames_and_other_arrays(form):
    doctor, data = Doctor(), {"inputs": form(X), "predictions": form(Y), "targets": form(Y)}
    for _ in range(3):
        doctor.watch(**step(**data), activations=[form(np.tanh(X))], loss=0.5)
    assert doctor.report().findings == ()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"targets": X.reshape(300, 2, 1)}, r"the shape is \(300, 2, 1\); pass \(batch, n\)"),
        ({"gradients": {"v": X}}, r"gradients are called \['v'\] and parameters \['W', 'b'\]"),
        ({"learning_rate": "1e-3"}, r"learning_rate \(str\) is not an array of real numbers"),
        ({"inputs": X[:0]}, r"inputs: the shape is \(0, 2\); .* at least one row"),
        ({"targets": ["in"] * 300}, r"targets \(list\) is not an array of real numbers"),
        ({"targets": np.array(["in"] * 300)}, r"targets \(ndarray\) is not an array"),
        ({"parameters": [X]}, "parameters is list; pass a dict of names and arrays"),
        ({"parameters": X}, "parameters is ndarray; pass a dict of names and arrays"),
        ({"gradients": {"W": None}}, r"gradients\['W'\] is None; pass numbers"),
        ({"activations": {"a1": X}}, "activations is a dict; pass a list, one for each hidden"),
    ],
)  # fmt: skip
def test_what_cannot_be_watched_is_refused_by_name(change, says):
    with pytest.raises(xpnet.XpnetError, match=says):
        Doctor().watch(**step(**change))


def test_names_that_no_rule_knows_are_refused_with_those_known():
    for wrong in ({"output": "sigmoidd"}, {"hidden": ["relu", "sigmoidd"]}):
        with pytest.raises(xpnet.InputError, match=r"'sigmoidd' is not known here; use one of .*,"):
            Doctor(**wrong)


def test_one_name_for_the_hidden_layers_is_refused():
    """Its letters would be the layers' names, and every rule about activations silent."""
    with pytest.raises(xpnet.InputError, match="hidden 'relu' is one name; pass a list"):
        Doctor(hidden="relu")
