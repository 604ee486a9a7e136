"""Right scripts that look like wrong ones."""

import pytest
from observed_scripts import RIGHT, codes

pytestmark = pytest.mark.untraced

FIT = """
import numpy as np
rng = np.random.default_rng(0)
X = rng.normal(size=(400, 3))
y = X[:, :1] + 0.5 * X[:, 1:2] + NOISE * rng.normal(size=(400, 1))
W, b = np.zeros((3, 1)), np.zeros(1)
for step in range(900):
    i = rng.integers(0, 400, 32)
    x, t = X[i], y[i]
    d = x @ W + b - t
    W -= 0.1 * x.T @ d / 32
    b -= 0.1 * d.mean(axis=0)
"""
NOISY = """
import numpy as np
rng = np.random.default_rng(0)
X = rng.normal(size=(400, 3)) * 0.1
y = 5 * X[:, :1] + rng.normal(size=(400, 1)) * 0.5
W = np.zeros((3, 1))
lr = 0.1
for step in range(300):
    W -= lr * X.T @ (X @ W - y)
"""
POOLED = """
import numpy as np
rng = np.random.default_rng(0)
X = rng.normal(size=(200, 5, 2))
y = X.mean(axis=1)[:, :1] * 3
b = np.zeros(1)
def net(x):
    h = np.tanh(x @ V)
    pooled = h.mean(axis=1)
    return h, pooled, pooled @ W + b
V = rng.normal(size=(2, 8)) * 0.5
W = rng.normal(size=(8, 1)) * 0.5
for step in range(400):
    h, pooled, p = net(X)
    d = (p - y) / 200
    dV = np.einsum("nsi,nsj->ij", X, (d @ W.T)[:, None, :] / 5 * (1 - h**2))
    W -= 0.5 * pooled.T @ d
    b -= 0.5 * d.sum(axis=0)
    V -= 0.5 * dV
net(X[:1])
"""
SAG = """
import numpy as np
rng = np.random.default_rng(0)
X = rng.normal(size=(100, 3))
y = X[:, :1] + 0.5 * X[:, 1:2]
W, mean, kept = np.zeros((3, 1)), np.zeros((3, 1)), np.zeros((100, 3, 1))
for step in range(3000):
    i = rng.integers(0, 100)
    g = X[i][:, None] * (X[i] @ W - y[i])
    mean += (g - kept[i]) / 100
    kept[i] = g
    W -= 0.02 * mean
"""
PLAIN = """
w1, w2, lr = 0.2, 0.3, 0.02
for epoch in range(40):
    for x, t in [(0.5, 1.0), (0.8, 1.6), (1.0, 2.0), (0.3, 0.6)]:
        h = x * w1
        err = w2 * h - t
        g2 = err * h
        g1 = err * w2 * x
        w2 = w2 - lr * g2
        w1 = w1 - lr * g1
"""
TURNS = (
    RIGHT[: RIGHT.index("    h =")]
    + """
    h = np.tanh(X @ W1 + b1)
    d2 = (squash(h @ W2 + b2) - Y) / len(X)
    W2 -= rate * h.T @ d2
    b2 -= rate * d2.sum(axis=0)
    d2 = (squash(h @ W2 + b2) - Y) / len(X)
    d1 = d2 @ W2.T * (1 - h**2)
    W1 -= rate * X.T @ d1
    b1 -= rate * d1.sum(axis=0)
"""
)
RECURRENT = """
import numpy as np
rng = np.random.default_rng(0)
X = rng.normal(size=(200, 3))
Y = (X[:, 2:] > 0) * 1.0
U, V, W = rng.normal(size=(1, 6)), 0.3 * rng.normal(size=(6, 6)), rng.normal(size=(6, 1))
for step in range(400):
    h = [np.zeros((200, 6))]
    for t in range(3):
        h.append(np.tanh(X[:, t : t + 1] @ U + h[-1] @ V))
    d = (1 / (1 + np.exp(-(h[-1] @ W))) - Y) / 200
    dW, dU, dV = h[-1].T @ d, np.zeros((1, 6)), np.zeros((6, 6))
    dh = d @ W.T
    for t in (2, 1, 0):
        dz = dh * (1 - h[t + 1] ** 2)
        dU += X[:, t : t + 1].T @ dz
        dV += h[t].T @ dz
        dh = dz @ V.T
    U -= 0.5 * dU
    V -= 0.5 * dV
    W -= 0.5 * dW
"""


@pytest.mark.parametrize(
    ("wrong", "script"),
    [
        ("update-order", TURNS),
        ("no-update", RECURRENT),
        ("shuffled-targets", RECURRENT),
        ("prediction-wrong", POOLED),
        ("update-wrong", PLAIN),
        ("update-wrong", RIGHT.replace("    h =", "    rate = 2 / (1 - step / 1e4)**2\n    h =")),
        ("data-changed", FIT.replace("x, t = X[i], y[i]", "x[:] = X[i]; t = y[i]").replace(
            "for", "x = np.empty((32, 3))\nfor").replace("NOISE", "1.0")),
        ("gradient-accumulated", SAG),
        ("error-not-from-targets", FIT.replace("x, t = X[i], y[i]", "x = rng.normal(size=(32, 3)); "
         "t = np.sin(x[:, :1]) + x[:, 1:2]").replace("NOISE", "0.0")),
        ("learning-rate-vanishes", FIT.replace("0.1 *", "0.2 * 0.993**step *").replace(
            "NOISE", "1.0")),
        ("rows-left-out", FIT.replace("i = rng.integers(0, 400, 32)", "i = ORDER[step]").replace(
            "X[i], y[i]", "X[i:i + 1], y[i:i + 1]").replace("/ 32", "/ 9").replace("NOISE", "1.0")
         .replace("for step", "ORDER = np.arange(900) * 149 % 400\nfor step")),
        ("prediction-wrong", RIGHT + "answers = squash(np.tanh(X @ W1 + b1) @ W2 + b2)\n"
         "np.mean((answers[:, 0] > 0.5) == labels); np.mean((answers > 0.5) == Y)\n"),
        ("prediction-wrong", RIGHT + "out = squash(np.tanh(X @ W1 + b1) @ W2 + b2)\n"
         "for limit in (0.0, 0.2, 1.0):\n    np.mean((out > limit) == Y)\n"
         "np.mean(np.zeros((80, 1)) == Y); np.std(100 * out - out)\n"),
        ("no-update", RIGHT.replace("rate = 2.0", "rate = 2.0\nmean = [W1]") +
         "    mean[0] = mean[0] - 0.1 * (mean[0] - W1)\n"),
        ("learning-rate-too-large", NOISY),
        ("no-bias", NOISY),
    ],
)  # fmt: skip
def test_a_right_script_is_not_taken_for_a_wrong_one(wrong, script):
    assert wrong not in codes(script)
