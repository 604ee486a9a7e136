"""A small network written by hand, and what the checks of its operations find in it."""

import numpy as np

from xpnet.doctor.findings import Report
from xpnet.doctor.scripts.examine import report
from xpnet.doctor.scripts.gradients.measure import Measurer
from xpnet.doctor.scripts.observe import Observer
from xpnet.doctor.scripts.recording.instrument import instrument
from xpnet.doctor.scripts.recording.trace import Recorder

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
ADAM = (
    RIGHT[: RIGHT.index("    W1 -=")].replace("for step", "m, s = [0.0] * 4, [0.0] * 4\nfor step")
    + """
    grads = X.T @ d1, d1.sum(axis=0), h.T @ d2, d2.sum(axis=0)
    for k, (w, g) in enumerate(zip((W1, b1, W2, b2), grads)):
        m[k] = 0.9 * m[k] + 0.1 * g
        s[k] = 0.9 * s[k] + 0.1 * g**2
        now = 1 + step
        w -= 0.05 * (m[k] / (1 - 0.9**now)) / (np.sqrt(s[k] / (1 - 0.9**now)) + 1e-8)
"""
)
KEPT = ADAM.replace("(m[k] / (1 - 0.9**now))", "m[k]").replace(
    "        w -=", "        m[k] = m[k] / (1 - 0.9**now)\n        w -="
)
MARGINS = """
import numpy as np
rng = np.random.default_rng(0)
X = rng.normal(size=(80, 2))
Y = (X[:, 0] * X[:, 1] > 0) * 1
W1, b1, w2, b2 = rng.normal(size=(2, 20)), np.zeros(20), rng.normal(size=20), 0.0
for step in range(300):
    h = np.maximum(X @ W1 + b1, 0)
    f = h @ w2 + b2
    d = np.where(1 - Y * f > 0, -Y, 0) / 80
    back = np.outer(d, w2) * (h > 0)
    W1 -= 0.3 * X.T @ back
    b1 -= 0.3 * back.sum(axis=0)
    w2 -= 0.3 * h.T @ d
    b2 -= 0.3 * d.sum()
"""
GATHERED = """
import numpy as np
rng = np.random.default_rng(0)
X = rng.normal(size=(80, 2))
Y = (X[:, :1] * X[:, 1:] > 0) * 1.0
net = [rng.normal(size=(2, 8)), np.zeros((1, 8)), rng.normal(size=(8, 1)), np.zeros((1, 1))]
sums = [0 * each for each in net]
for step in range(300):
    for rows in np.split(rng.permutation(80), 4):
        h = np.tanh(X[rows] @ net[0] + net[1])
        d2 = (h @ net[2] + net[3] - Y[rows]) / 80
        d1 = d2 @ net[2].T * (1 - h**2)
        own = [X[rows].T @ d1, d1.sum(0, keepdims=True), h.T @ d2, d2.sum(0, keepdims=True)]
        sums = [s + g for s, g in zip(sums, own)]
    net = [w - 0.3 * s for w, s in zip(net, sums)]
"""


def report_of(script: str) -> Report:
    """What is found without measuring slopes."""
    recorder = Recorder()
    observer = Observer(recorder)
    tree = instrument(script, "script.py", recorder.sites)
    with np.errstate(all="ignore"):
        exec(compile(tree, "script.py", "exec"), recorder.prepare({"__name__": "__main__"}))
    return report(observer, Measurer(recorder))


def codes(script: str) -> tuple[str, ...]:
    return report_of(script).codes
