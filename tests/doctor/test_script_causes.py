"""Causes that the operations of a script show, beside what its arrays do."""

import numpy as np
import pytest

from xpnet.doctor.scripts.instrument import instrument
from xpnet.doctor.scripts.observe import Observer
from xpnet.doctor.scripts.trace import Recorder

# A network that learns; each test makes one mistake in it.
RIGHT = """
import numpy as np
rng = np.random.default_rng(0)
X = rng.normal(size=(80, 2))
labels = (X[:, 0] * X[:, 1] > 0).astype(int)
Y = labels.reshape(-1, 1) * 1.0
W1 = rng.normal(size=(2, 8))
b1 = np.zeros(8)
W2 = rng.normal(size=(8, 1))
b2 = np.zeros(1)
rate = 2.0
def squash(z):
    return 1 / (1 + np.exp(-z))
for step in range(300):
    h = np.tanh(X @ W1 + b1)
    p = squash(h @ W2 + b2)
    d2 = (p - Y) / len(X)
    d1 = d2 @ W2.T * (1 - h**2)
    W1 -= rate * X.T @ d1
    b1 -= rate * d1.sum(axis=0)
    W2 -= rate * h.T @ d2
    b2 -= rate * d2.sum(axis=0)
"""
BATCH = RIGHT.replace("(X @", "(x @").replace("X.T", "x.T").replace("- Y", "- y").replace(
    "    h =", "    rows = rng.permutation(80)[:20]\n    x, y = X[rows], Y[rows]\n    h ="
)  # fmt: skip
NO_BIAS = (
    RIGHT.replace(" + b1", "").replace(" + b2", "").replace("b1 -=", "#").replace("b2 -=", "#")
)
MISTAKES = {
    "integer-parameters": RIGHT.replace("rng.normal(size=(2, 8))", "rng.integers(-2, 3, (2, 8))")
    .replace("W1 -= rate * X.T @ d1", "W1[:] = W1 - rate * X.T @ d1"),
    "shared-parameters": RIGHT.replace("(2, 8)", "(2, 2)").replace("zeros(8)", "zeros(2)")
    .replace("(8, 1)", "(2, 1)").replace("(X @ W1 + b1)", "(np.tanh(X @ W1 + b1) @ W3)")
    .replace("rate = 2", "W3 = W1\nrate = 2").replace("W1 -=", "W3 -= 0.01 * X.T @ d1\n    W1 -="),
    "data-changed": RIGHT.replace("    h =", "    X *= rng.random(X.shape) > 0.01\n    h ="),
    "update-order": RIGHT.replace("    d1 =", "    W2 -= rate * 300 * h.T @ d2\n    d1 =")
    .replace("    W2 -= rate * h.T @ d2\n", ""),
    "bias-after-activation": RIGHT.replace("(X @ W1 + b1)", "(X @ W1) + b1"),
    "softmax-hidden": RIGHT.replace(
        "np.tanh(X @ W1 + b1)", "np.exp(X @ W1 + b1)\n    h = h / h.sum(axis=1, keepdims=True)"
    ),
    "same-batch": BATCH.replace("rng.permutation(80)", "np.random.RandomState(0).permutation(80)"),
    "gradient-scale": RIGHT.replace("X.T @ d1", "X.T @ d1 / 80")
    .replace("h.T @ d2", "h.T @ d2 / 80").replace("sum(axis=0)", "mean(axis=0)"),
    "error-not-from-targets": RIGHT.replace("(p - Y) / len(X)", "(p - Y) * np.mean(p - Y)"),
    "gradient-scale by the rate": RIGHT.replace("rate = 2.0", "rate = 0.1")
    .replace("d2 = (p", "d2 = rate * (p").replace("d1 = d2", "d1 = rate * d2"),
    "target-range": RIGHT.replace("* 1.0", "* 300.0"),
    "loss-broadcast": RIGHT.replace("Y = labels.reshape(-1, 1) * 1.0", "Y = labels * 1.0")
    .replace("(p - Y)", "(p - Y).sum(axis=1, keepdims=True)"),
    "no-update": RIGHT.replace("W1 -= rate * X.T @ d1", "for w in [W1]: w = w - rate * X.T @ d1")
    .replace("b1 -=", "for w in [b1]: w = w -").replace("W2 -=", "for w in [W2]: w = w -")
    .replace("b2 -=", "for w in [b2]: w = w -"),
    "targets-shifted": RIGHT.replace("labels.reshape(-1, 1) * 1.0", "np.zeros((80, 2))\n"
    "for i, c in enumerate(labels):\n    Y[i, c - 1] = 1").replace("(8, 1)", "(8, 2)")
    .replace("zeros(1)", "zeros(2)"),
    "no-bias": NO_BIAS.replace("labels = (X[:, 0] * X[:, 1] > 0)", "labels = (X[:, 0] > 0.7)"),
    "too-few-steps": RIGHT.replace("range(300)", "range(8)").replace("rate = 2", "rate = 1"),
    "learning-rate-too-small": RIGHT.replace("rate = 2.0", "rate = 0.001")
    .replace("range(300)", "range(600)"),
    "too-small": RIGHT.replace("8", "2").replace("size=(20,", "size=(80,")
    .replace("range(300)", "range(1500)"),
}  # fmt: skip


def codes(script: str) -> tuple[str, ...]:
    recorder = Recorder()
    observer = Observer(recorder)
    tree = instrument(script, "script.py", recorder.sites)
    with np.errstate(all="ignore"):
        exec(compile(tree, "script.py", "exec"), recorder.prepare({"__name__": "__main__"}))
    return observer.report().codes


@pytest.mark.parametrize("script", [RIGHT, BATCH], ids=["all rows", "batches"])
def test_a_network_that_learns_has_no_findings(script):
    assert codes(script) == ()


@pytest.mark.parametrize(("code", "script"), MISTAKES.items(), ids=MISTAKES)
def test_the_mistake_is_the_first_finding(code, script):
    assert codes(script)[:1] == (code.partition(" ")[0],)


def test_one_sum_of_all_errors_is_named_before_its_sign():
    script = RIGHT.replace("d2 = (p - Y) / len(X)", "d2 = 2 * np.sum(Y - p) * p * (1 - p) / 80")
    assert codes(script)[:2] == ("gradient-wrong", "gradient-sign")


def test_dropout_that_is_left_on_at_prediction_is_seen():
    masked = "    h = h * (rng.random(h.shape) < 0.5) / 0.5\n"
    forward = f"def forward(X):\n    h = np.tanh(X @ W1 + b1)\n{masked}    return h\n"
    script = RIGHT.replace("for step", forward + "for step").replace(
        "np.tanh(X @ W1 + b1)\n    p", "forward(X)\n    p"
    )
    assert "dropout-at-prediction" in codes(script + "squash(forward(X) @ W2 + b2)\n")
    assert "dropout-at-prediction" not in codes(script)


def test_inputs_that_are_scaled_only_in_training_are_seen():
    script = RIGHT.replace("labels =", "def forward(x):\n    return np.tanh(x @ W1 + b1)\nlabels =")
    script = script.replace("h = np.tanh(X @ W1 + b1)", "h = forward(X)")
    assert "prediction-drift" in codes(script + "squash(forward(X * 50 + 40) @ W2 + b2)\n")
    assert "prediction-drift" not in codes(script + "squash(forward(X[:3]) @ W2 + b2)\n")


def test_of_several_networks_the_last_is_looked_at():
    start = RIGHT.index("W1 =")
    several = "for units in (4, 8):\n" + "".join(
        f"    {line}\n" for line in RIGHT[start:].replace("8", "units").splitlines()
    ).replace("    def squash(z):\n        return", "    squash = lambda z:")
    assert codes(RIGHT[:start] + several) == ()


ONE_BY_ONE = """
import numpy as np
r = np.random.default_rng(0)
X = r.normal(size=(120, 3))
y = (X[:, 0] > 0).astype(int)
W = np.zeros((2, 3))
for e in range(20):
    for x, c in zip(X, y):
        z = W @ x
        p = np.exp(z - z.max())
        p /= p.sum()
        d = p.copy()
        d[c] -= 1
        W = W - 0.1 * np.outer(d, x)
"""
DIVIDED_LATE = """
import numpy as np
np.random.seed(2)
m = 600
X = np.random.randn(16, m)
Y = (X[:8].mean(axis=0) > X[8:].mean(axis=0)).reshape(1, m) * 1.0
W1, W2 = np.random.randn(8, 16), np.random.randn(1, 8)
b1, b2 = np.zeros((8, 1)), np.zeros((1, 1))
for it in range(60):
    A1 = 1 / (1 + np.exp(-(W1 @ X + b1)))
    A2 = 1 / (1 + np.exp(-(W2 @ A1 + b2)))
    d2 = A2 - Y
    d1 = W2.T @ d2 * A1 * (1 - A1)
    dW1 = 1 / m * np.dot(d1, X.T)
    W2 = W2 - 0.1 * (1 / m * np.dot(d2, A1.T))
    W1 = W1 - 0.1 * dW1
    b1 = b1 - 0.1 * (1 / m * d1.sum(axis=1, keepdims=True))
    b2 = b2 - 0.1 * (1 / m * d2.sum(axis=1, keepdims=True))
"""


@pytest.mark.parametrize("labels", ["y", "y.tolist()"])
def test_softmax_that_learns_sample_by_sample_has_no_findings(labels):
    assert codes(ONE_BY_ONE.replace("zip(X, y)", f"zip(X, {labels})")) == ()


def test_a_script_that_divides_by_its_rows_takes_no_too_long_steps():
    assert not {"learning-rate-too-large", "vanishing-gradient"} & {*codes(DIVIDED_LATE)}


VALIDATED = (
    RIGHT[: RIGHT.index("for step")]
    + """
def slopes(X, Y, train=True):
    h = np.tanh(X @ W1 + b1)
    mask = (rng.random(h.shape) < 0.9) / 0.9 if train else 1.0
    p = squash(h * mask @ W2 + b2)
    d2 = (p - Y) / len(X)
    d1 = d2 @ W2.T * mask * (1 - h**2)
    return X.T @ d1, d1.sum(axis=0), (h * mask).T @ d2, d2.sum(axis=0)
for step in range(300):
    for k in range(0, 60, 20):
        g1, g2, g3, g4 = slopes(X[k : k + 20], Y[k : k + 20])
        W1 -= rate * g1
        b1 -= rate * g2
        W2 -= rate * g3
        b2 -= rate * g4
    slopes(X[50:], Y[50:], train=False)
"""
)


def test_validation_between_steps_is_no_part_of_them():
    assert codes(VALIDATED) == ()
