"""How long steps are, as measured by moving parameters: sums beside means, and losses below 0."""

import pytest
from observed_scripts import RIGHT, codes

from xpnet.doctor.scripts.examine import examine
from xpnet.doctor.scripts.recording.source import Script
from xpnet.doctor.scripts.repairs.edits import apply

pytestmark = pytest.mark.process

UNLIKE = """import numpy as np
rng = np.random.default_rng(0)
X = rng.normal(size=(200, 1)); T = np.sin(3 * X)
W, b = rng.normal(size=(1, 20)), np.zeros(20)
V, c = rng.normal(size=(20, 1)), np.zeros(1)
for step in range(300):
    m = len(X)
    h = np.tanh(X @ W + b)
    e = h @ V + c - T
    d = e @ V.T * (1 - h**2)
    V -= 0.05 * (h.T @ e / m)
    c -= 0.05 * (e.sum(0))
    W -= 0.05 * (X.T @ d / m)
    b -= 0.05 * (d.sum(0) + 0 * b)
"""
POISSON = """import numpy as np
rng = np.random.default_rng(0)
X = rng.normal(size=(300, 2))
y = rng.poisson(np.exp(3 + X[:, 0] - 0.5 * X[:, 1] ** 2))
W, b, v, c = rng.normal(size=(2, 16)), np.zeros(16), rng.normal(size=16) / 9, 3.0
for step in range(60):
    h = np.tanh(X @ W + b)
    mu = np.exp(h @ v + c)
    e = (mu - y) / len(y)
    d = np.outer(e, v) * (1 - h**2)
    v = v - 0.001 * h.T @ e
    c = c - 0.001 * e.sum()
    W = W - 0.001 * X.T @ d
    b = b - 0.001 * d.sum(axis=0)
"""


@pytest.fixture
def report(tmp_path):
    def run(text):
        path = tmp_path / "net.py"
        path.write_text(text)
        return examine(Script(str(path))).report

    return run


def test_a_sum_over_the_rows_beside_means_is_named_and_divided(report):
    found = report(UNLIKE).findings[0]
    assert (found.code, found.where) == ("gradient-scale", "c, b")
    assert "a sum over the 200 rows, where the others are means" in found.evidence
    mended = apply(UNLIKE, found.repair["edits"])
    assert "c -= 0.05 * (e.sum(0) / m)" in mended
    assert report(mended).codes == ()


def test_a_rate_of_its_own_for_biases_is_no_sum(report):
    meant = UNLIKE.replace("0.05 * (e.sum(0))", "10.0 * (e.sum(0) / m)")
    meant = meant.replace("0.05 * (d.sum(0) + 0 * b)", "10.0 * (d.sum(0) / m)")
    assert "gradient-scale" not in report(meant).codes


def test_what_a_loop_adds_up_is_not_divided_in_each_turn(report):
    turns = UNLIKE.replace(
        "    c -=", "    g = np.zeros(1)\n    for row in e: g = g + row\n    c -="
    )
    found = report(turns.replace("(e.sum(0))", "g")).findings[0]
    assert (found.code, found.remedy) == ("gradient-scale", "divide by m")


def test_a_step_that_lowers_a_loss_below_0_is_not_too_long(report):
    assert "learning-rate-too-large" not in report(POISSON).codes


def test_a_rate_over_a_norm_that_grows_does_not_vanish():
    falling = RIGHT.replace("    h =", "    s = 10.0 ** (-step / 9)\n    h =")
    falling = falling.replace("rate * ", "rate * s * ").replace("rate = 2.0", "rate = 0.02")
    assert codes(falling)[:1] == ("learning-rate-vanishes",)
    assert codes(falling.replace("/ len(X)", "/ len(X) / s")) == ("too-few-steps",)
