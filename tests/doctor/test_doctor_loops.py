"""Mistakes around the step: outputs activated twice, a rate that vanishes, weights drawn anew."""

import numpy as np
import pytest
from hand_written_loop import sigmoid, softmax, train

from xpnet import Doctor


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(
    ("form", "output"),
    [
        ("softmax(softmax(z))", lambda z: softmax(softmax(z))),
        ("softmax(sigmoid(z))", lambda z: softmax(sigmoid(z))),
        ("softmax(relu(z))", lambda z: softmax(np.maximum(z, 0.0))),
        ("sigmoid(tanh(z))", lambda z: sigmoid(np.tanh(z))),
    ],
)
def test_two_activations_in_a_row_on_the_outputs_are_named(form, output, turned):
    report = train(output=output, turned=turned)
    finding = next(each for each in report.findings if each.code == "output-activated-twice")
    assert f"they are {form}, with z" in finding.evidence


@pytest.mark.parametrize("output", [softmax, sigmoid, lambda z: softmax(3.0 * np.arctan(z))])
def test_one_activation_or_an_unknown_one_on_the_outputs_is_left_alone(output):
    assert "output-activated-twice" not in train(output=output).codes


def test_a_learning_rate_that_is_gone_at_once_is_the_cause():
    finding = train(steps=400, rate=0.5, factor=0.5).findings[0]
    assert finding.code == "learning-rate-vanishes"
    assert finding.evidence == "0.5 at first, 3.1e-05 at entry 14 of 400, 3.9e-121 at the end"


def test_a_learning_rate_that_rises_first_and_is_gone_then():
    doctor = Doctor()
    for rate in [0.0, 0.1, 0.4, *([1e-9] * 40)]:
        doctor.watch(loss=1.0, predictions=np.ones((8, 1)), targets=np.arange(8.0)[:, None],
                     learning_rate=rate)  # fmt: skip
    finding = doctor.report().findings[0]
    assert finding.code == "learning-rate-vanishes"
    assert finding.evidence == "0.4 at first, 1e-09 at entry 3 of 43, 1e-09 at the end"


@pytest.mark.parametrize("factor", [0.999, 0.98])
def test_a_learning_rate_that_falls_while_the_network_learns_is_no_fault(factor):
    assert train(steps=800, rate=1.0, factor=factor).ok


@pytest.mark.parametrize("redraw_every", [1, 3])
def test_weights_drawn_anew_are_not_blamed_on_the_learning_rate(redraw_every):
    report = train(redraw_every=redraw_every, rate=0.1, layers=(2, 16, 3))
    assert report.findings[0].code == "weights-redrawn"
    assert "after step" in report.findings[0].evidence
    assert "learning-rate-too-large" not in report.codes


@pytest.mark.parametrize("rate", [1.0, 30.0, 1000.0])
def test_long_steps_along_the_gradient_are_no_new_weights(rate):
    assert "weights-redrawn" not in train(steps=40, rate=rate, layers=(2, 16, 3), batch=300).codes
