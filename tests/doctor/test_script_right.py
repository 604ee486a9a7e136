"""Right scripts that look like wrong ones."""

from dataclasses import replace

import pytest
from observed_scripts import ADAM, RIGHT, codes, report_of

from xpnet.doctor.scripts.checks import update_order
from xpnet.doctor.scripts.observe import Observer
from xpnet.doctor.scripts.recording.instrument import instrument
from xpnet.doctor.scripts.recording.trace import Recorder

pytestmark = [pytest.mark.untraced, pytest.mark.many_steps]

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
for step in range(900):
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

WORDS = """
import numpy as np
rng = np.random.default_rng(0)
pairs = [(i, (i + k) % 20) for i in range(20) for k in (-2, -1, 1, 2)]
E, C = rng.normal(0, 0.3, (20, 8)), rng.normal(0, 0.3, (20, 8))
for epoch in range(9):
    rng.shuffle(pairs)
    for word, other in pairs:
        v = E[word]
        p = np.exp(C @ v) / np.exp(C @ v).sum()
        g = p.copy()
        g[other] -= 1
        dv = C.T @ g
        C -= 0.1 * np.outer(g, v)
        E[word] -= 0.1 * dv
"""

CBOW = """
import numpy as np
rng = np.random.default_rng(1)
ids = np.cumsum(rng.choice([1, 2, 9], 300)) % 15
E, C, lr = rng.uniform(-0.5, 0.5, (15, 7)), rng.uniform(-0.5, 0.5, (7, 15)), 0.1
for epoch in range(2):
    for t in range(2, 298):
        near = np.array([t - 2, t - 1, t + 1, t + 2])
        h = E[ids[near]].mean(axis=0)
        e = np.exp(h @ C) / np.exp(h @ C).sum()
        e[ids[t]] -= 1
        dh = C @ e
        C -= lr * np.outer(h, e)
        E[ids[near]] -= lr * dh / 4
"""
# What a first layer gives is computed once, or in each step; that layer is not to learn.
FROZEN = """
import numpy as np
rng = np.random.default_rng(0)
X = rng.normal(size=(2, 400))
Y = ((X**2).sum(axis=0, keepdims=True) + 0.8 * rng.normal(size=(1, 400)) > 2) * 1.0
V, c = 3 * rng.normal(size=(40, 2)), rng.uniform(-3, 3, (40, 1))
H = np.maximum(0, V @ X + c)
W, b = np.zeros((1, 40)), np.zeros((1, 1))
for step in range(300):
    D = (1 / (1 + np.exp(-(W @ H + b))) - Y) / 400
    W = W - 0.02 * D @ H.T
    b = b - 0.02 * D.sum(axis=1, keepdims=True)
"""
# The head is trained alone for a while, and then the layer below it.
HEAD_FIRST = (
    RIGHT[: RIGHT.index("    W1 -=")]
    + """
    if step < 200:
        W2 -= 0.05 * h.T @ d2
        b2 -= 0.05 * d2.sum(axis=0)
    else:
        W1 = W1 - 0.05 * X.T @ d1
        b1 = b1 - 0.05 * d1.sum(axis=0)
"""
)
ADAGRAD = RIGHT.replace("rate = 2.0", "rate, s1, s2 = 1e-5, 0.0, 0.0").replace(
    "    W1 -= rate * X.T @ d1\n", "    s1 = s1 + (X.T @ d1) ** 2\n"
    "    W1 -= rate * (X.T @ d1) / np.sqrt(s1 + 1e-8)\n"
).replace("d2 = (p - Y) / len(X)", "d2 = (p - Y) / len(X) * 1e-3")  # fmt: skip
STOPS = RIGHT.replace("2.0", "0.05").replace(
    "    d2 =", "    loss = np.mean((p - Y) ** 2)\n    d2 ="
)
GOALS = [
    STOPS.replace("    d2 =", "    if loss < 0.3:\n        break\n    d2 ="),
    STOPS.replace("for step in range(300)", "loss = 1.0\nwhile loss > 0.3"),
]
# The outputs of the actions taken, which happen to lie within 0 and 1.
ACTIONS = """
import numpy as np
rng = np.random.default_rng(0)
s, a = rng.integers(0, 6, 400), rng.integers(0, 2, 400)
X, R = np.eye(6)[s], np.linspace(0.35, 0.8, 12)[2 * s + a] + rng.uniform(-0.5, 0.5, 400)
W = np.zeros((6, 2))
for step in range(300):
    i = rng.integers(0, 400, 64)
    q = X[i] @ W
    d = np.zeros_like(q)
    d[np.arange(64), a[i]] = (q[np.arange(64), a[i]] - R[i]) / 64
    W -= 0.5 * X[i].T @ d
"""
# A contrastive loss: no output foretells whether two rows are of one kind.
PAIRS = """
import numpy as np
rng = np.random.default_rng(0)
X = rng.normal(size=(200, 8))
kind = (X[:, 0] > 0) * 1
W = rng.normal(size=(8, 4))
for step in range(300):
    i, j = rng.integers(0, 200, (2, 60))
    t = (kind[i] != kind[j]) * 1.0
    difference = X[i] @ W - X[j] @ W
    distance = np.sqrt((difference**2).sum(axis=1) + 1e-9)
    factor = ((1 - t) - t * np.maximum(1 - distance, 0) / distance) / 60
    d = factor[:, None] * difference
    W -= 0.05 * (X[i].T @ d - X[j].T @ d)
"""
# Weights that no update is known of: they are made shorter, or rows of them come in any order.
SHORTENED = RIGHT.replace("    W1 -= rate * X.T @ d1\n", "").replace("300", "9") + (
    "    W1 -= rate * X.T @ d1\n    W1 *= np.minimum(1, 3 / np.sqrt((W1**2).sum(axis=0)))\n"
)
NEGATIVES = """
import numpy as np
rng = np.random.default_rng(0)
E, C = rng.normal(0, 0.3, (20, 8)), rng.normal(0, 0.3, (20, 8))
for word in np.repeat(np.arange(20), 4):
    h, ids = E[word].copy(), np.append((word + 1) % 20, rng.integers(0, 20, 3))
    d = 1 / (1 + np.exp(-(C[ids] @ h))) - np.array([1, 0, 0, 0])
    dh = d @ C[ids]
    np.subtract.at(C, ids, 0.1 * np.outer(d, h))
    E[word] -= 0.1 * dh
"""
ATTENTION = """
import numpy as np
rng = np.random.default_rng(0)
ids = rng.integers(0, 12, (200, 5))
y = (ids == 0).any(axis=1) * 1.0
E, q, w, b = rng.normal(size=(12, 6)), 0.3 * rng.normal(size=6), 0.3 * rng.normal(size=6), 0.0
for step in range(60):
    e = E[ids]
    k = np.tanh(e)
    a = np.exp(k @ q)
    a /= a.sum(axis=1, keepdims=True)
    c = np.einsum("nt,ntd->nd", a, e)
    d = (1 / (1 + np.exp(-(c @ w + b))) - y) / 200
    da = np.einsum("nd,ntd->nt", np.outer(d, w), e)
    ds = a * (da - (a * da).sum(axis=1, keepdims=True))
    dE = np.zeros_like(E)
    np.add.at(dE, ids, a[:, :, None] * np.outer(d, w)[:, None] + ds[:, :, None] * q * (1 - k**2))
    q -= np.einsum("nt,ntd->d", ds, k)
    w -= c.T @ d
    b -= d.sum()
    E -= dE
"""
PULLED = RIGHT.replace("2.0", "0.05").replace("for step", "G = rng.normal(size=(2, 8))\nfor step")
PULLED = PULLED.replace("rate * X.T @ d1", "rate * (G + X.T @ d1)")
WARM = RIGHT.replace("rate = 2.0", "rate = 1e-5").replace("range(300)", "range(60)").replace(
    "    h =", "    rate *= 1.1\n    h ="
)  # fmt: skip


@pytest.mark.parametrize(
    ("wrong", "script"),
    [
        ("update-order", TURNS),
        ("gradient-scale no-bias", CBOW),
        ("no-bias", CBOW.replace("E[ids[near]] -= lr * dh", "np.add.at(E, ids[near], -lr * dh")
         .replace("dh / 4", "dh / 4)")),
        ("unscaled-inputs no-update", FROZEN),
        ("no-update", HEAD_FIRST),
        ("update-wrong", ADAGRAD),
        *(("too-few-steps", each) for each in GOALS),
        ("learning-rate-too-small", WARM),
        ("gradient-accumulated", PULLED),
        ("no-update shuffled-targets", RECURRENT),
        ("prediction-wrong", POOLED),
        ("data-changed no-bias loss-not-decreasing", WORDS),
        ("data-changed", SHORTENED),
        ("data-changed", NEGATIVES),
        ("data-changed", FIT.replace("X[i], y[i]", "np.asarray(X, float), y").replace(
            "NOISE", "1.0").replace("/ 32", "/ 400")),
        ("softmax-hidden", ATTENTION),
        ("target-range", ACTIONS),
        ("too-few-steps loss-not-decreasing", PAIRS),
        ("update-wrong", ADAM.replace("grads = X", "grads = 1e-10 * X").replace("300", "9")),
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
        *(("prediction-wrong", RIGHT.replace("for step", "best, W = 0.0, W1\nfor step") + f"""
    loss = np.mean((p - Y) ** 2)
    if {test}:
        best, {kept} = {value}
""") for test, kept, value in [
            ("1 / loss > best", "W", "1 / loss, W1.copy()"),  # the best, by what rises
            ("loss > best", "W1[:]", "loss, W.copy()"),  # what was kept comes back
            ("loss > best", "hard", "loss, X.copy()"),  # the hardest rows
        ]),
        ("prediction-wrong", RIGHT.replace("for step", "best_loss = 9.0\nfor step") + """
    minibatch_loss = np.mean((p - Y) ** 2)
    if minibatch_loss < best_loss:
        best_loss, kept = minibatch_loss, W1.copy()
"""),
        ("update-wrong", RIGHT.replace("(p - Y) / len(X)", "0 * (p - Y) / (1 + (p - Y) ** 2)")),
        ("prediction-wrong", RIGHT + "p = squash(np.tanh(X @ W1 + b1) @ W2 + b2)\n"
         "np.mean((p > 0.5).astype(np.uint8) == Y.astype(np.uint8))\n"),
        ("prediction-wrong", RIGHT + "out = squash(np.tanh(X @ W1 + b1) @ W2 + b2)\n"
         "for limit in (0.0, 0.2, 1.0):\n    np.mean((out > limit) == Y)\n"
         "np.mean(np.zeros((80, 1)) == Y); np.std(100 * out - out)\n"),
        ("no-update", RIGHT.replace("rate = 2.0", "rate = 2.0\nmean = [W1]") +
         "    mean[0] = mean[0] - 0.1 * (mean[0] - W1)\n"),
        ("learning-rate-too-large no-bias", NOISY),
    ],
)  # fmt: skip
def test_a_right_script_is_not_taken_for_a_wrong_one(wrong, script):
    assert not {*wrong.split()} & {*codes(script)}


def test_states_of_an_optimizer_have_no_order_of_updates():
    recorder = Recorder()
    observer = Observer(recorder)
    early = RIGHT.replace("    d1 =", "    W2 -= 9 * rate * h.T @ d2\n    d1 =").rpartition(
        "    W2 -="
    )
    tree = instrument(early[0], "script.py", recorder.sites)
    exec(compile(tree, "script.py", "exec"), recorder.prepare({}))
    roles, run = observer.latest, observer.doctor.run
    assert [*update_order.check(observer, roles, run)]
    assert not [*update_order.check(observer, replace(roles, reaching=0), run)]


# Gradients of several batches, the last one smaller, are added up before each update.
SUMMED = """
import numpy as np
rng = np.random.default_rng(0)
X = rng.normal(size=(330, 3))
y = np.sin(X[:, :1]) + X[:, 1:2] * X[:, 2:]
W1, b1 = rng.normal(size=(3, 16)) * 0.6, np.zeros(16)
W2, b2 = rng.normal(size=(16, 1)) * 0.3, np.zeros(1)
for epoch in range(150):
    order = rng.permutation(330)
    sums = [np.zeros_like(each) for each in (W1, b1, W2, b2)]
    for start in range(0, 330, 50):
        x, t = X[start:start + 50], y[start:start + 50]
        h = np.tanh(x @ W1 + b1)
        d2 = h @ W2 + b2 - t
        d1 = d2 @ W2.T * (1 - h**2)
        for g, new in zip(sums, (x.T @ d1, d1.sum(axis=0), h.T @ d2, d2.sum(axis=0))):
            g += new
    for weights, g in zip((W1, b1, W2, b2), sums):
        weights -= 0.4 * g / 330
"""
EQUAL = SUMMED.replace("330, 50", "330, 55").replace("+ 50", "+ 55")
COLUMNS = """
import numpy as np
rng = np.random.default_rng(0)
X = rng.uniform(-2, 2, (2, 600))
Y = np.sin(X[:1]) * X[1:]
class Net:
    def __init__(self):
        self.p = {"W": rng.normal(size=(24, 2)), "b": np.zeros((24, 1)),
                  "V": rng.normal(size=(1, 24)) / 5, "c": np.zeros((1, 1))}
    def zero(self):
        self.g = {k: np.zeros_like(v) for k, v in self.p.items()}
    def backward(self, x, t):
        a = np.tanh(self.p["W"] @ x + self.p["b"])
        d = (self.p["V"] @ a + self.p["c"] - t) / t.shape[1]
        e = self.p["V"].T @ d * (1 - a**2)
        self.g["V"] += d @ a.T
        self.g["c"] += d.sum(axis=1, keepdims=True)
        self.g["W"] += e @ x.T
        self.g["b"] += e.sum(axis=1, keepdims=True)
net = Net()
for step in range(250):
    net.zero()
    for start in (0, 200, 400):
        some = slice(start, start + 200)
        net.backward(X[:, some], Y[:, some])
    for k in net.p:
        net.p[k] = net.p[k] - 0.2 * net.g[k] / 3
"""
SEQUENCE = """
import numpy as np
rng = np.random.default_rng(0)
s = np.sin(np.arange(31) * 0.5).reshape(-1, 1)
U, V, W = (0.3 * rng.normal(size=size) for size in ((1, 8), (8, 8), (8, 1)))
b, c = np.zeros(8), np.zeros(1)
for epoch in range(90):
    hs, ds = [np.zeros(8)], []
    for t in range(30):
        hs.append(np.tanh(s[t] @ U + hs[-1] @ V + b))
        ds.append((hs[-1] @ W + c - s[t + 1]) / 30)
    grads = [np.zeros_like(each) for each in (U, V, W, b, c)]
    carry = np.zeros(8)
    for t in reversed(range(30)):
        dz = (W @ ds[t] + carry) * (1 - hs[t + 1] ** 2)
        carry = V @ dz
        new = np.outer(s[t], dz), np.outer(hs[t], dz), np.outer(hs[t + 1], ds[t]), dz, ds[t]
        for g, each in zip(grads, new):
            g += each
    for weights, g in zip((U, V, W, b, c), grads):
        weights -= 0.1 * g
"""


@pytest.mark.parametrize("script", [SUMMED, EQUAL, COLUMNS, SEQUENCE])
def test_all_passes_of_a_step_are_its_rows(script):
    report = report_of(script)
    assert (report.codes, report.facts["not_mapped"]) == ((), "")
    assert report.facts["skill"] > 0.8


# Objects of one class.
NETS = """
import numpy as np
rng = np.random.default_rng(0)
X = rng.normal(size=(300, 2))
y = (X[:, :1] * X[:, 1:] > 0) * 1.0
class Net:
    def __init__(self, *sizes):
        self.Ws = [rng.normal(size=pair) for pair in zip(sizes, sizes[1:])]
        self.bs = [np.zeros(n) for n in sizes[1:]]
    def step(self, x, t, rate):
        a = [x]
        for W, b in zip(self.Ws, self.bs):
            a.append(1 / (1 + np.exp(-(a[-1] @ W + b))))
        d = (a[-1] - t) / len(t)
        for i in reversed(range(len(self.Ws))):
            W, b, g = self.Ws[i], self.bs[i], d
            d = d @ W.T * a[i] * (1 - a[i])
            W -= rate * a[i].T @ g
            b -= rate * g.sum(axis=0)
"""
SMALLER = (
    NETS
    + """
for net in Net(2, 12, 8, 1), Net(2, 12, 1):
    for step in range(400):
        net.step(X, y, 4.0)
"""
)
LARGER = (
    NETS
    + """
for net in Net(2, 1), Net(2, 12, 8, 1):
    for step in range(400):
        net.step(X, y, 4.0)
"""
)
TOGETHER = (
    NETS
    + """
nets = Net(2, 12, 1), Net(2, 20, 1)
for step in range(400):
    for net in nets:
        net.step(X, y, 4.0)
"""
)
ON_ALONE = (
    NETS
    + """
one, other = Net(2, 12, 1), Net(2, 12, 1)
for step in range(300):
    one.step(X, y, 4.0)
    other.step(X, y, 4.0)
for step in range(600):
    one.step(X, y, 4.0)
"""
)
FOLDS = (
    NETS
    + """
for x, t in ((X[part], y[part]) for part in (slice(0, 150), slice(150, 300), slice(50, 250))):
    net = Net(2, 12, 1)
    for step in range(300):
        net.step(x, t, 4.0)
"""
)
RATES = (
    NETS
    + """
for rate in (8.0, 1.0, 0.01):
    net = Net(2, 12, 1)
    for step in range(400):
        net.step(X, y, rate)
"""
)


@pytest.mark.parametrize("script", [SMALLER, LARGER, ON_ALONE, TOGETHER, FOLDS])
def test_other_networks_of_the_same_class_are_not_taken_for_the_one_looked_at(script):
    report = report_of(script)
    assert report.codes == ()
    assert bool(report.facts["not_looked_at"]) is (script in (SMALLER, LARGER, ON_ALONE))


def test_a_network_that_is_drawn_anew_is_not_judged_by_those_before_it():
    report = report_of(RATES)
    assert (report.codes, report.facts["steps"]) == ((), 400)


STARTS = {
    "scaled": "W1, W2 = rng.normal(size=(2, 8)), rng.normal(size=(8, 1))\nW1 *= 0.1\nW2 *= 0.1",
    "of a product": "W1 = rng.normal(size=(2, 8)) @ np.eye(8)\nW2 = rng.normal(size=(8, 1))",
}


@pytest.mark.parametrize("start", STARTS)
def test_weights_may_be_scaled_or_be_a_product_before_the_first_step(start):
    report = report_of(f"""
import numpy as np
rng = np.random.default_rng(0)
X = rng.normal(size=(80, 2))
Y = (X[:, :1] * X[:, 1:] > 0) * 1.0
b1, b2 = np.zeros(8), np.zeros(1)
{STARTS[start]}
for step in range(100):
    h = np.tanh(X @ W1 + b1)
    d = (1 / (1 + np.exp(-(h @ W2 + b2))) - Y) / 80
    e = d @ W2.T * (1 - h**2)
    W2 += -0.05 * h.T @ d
    b2 += -0.05 * d.sum(0)
    W1 += -0.05 * X.T @ e
    b1 += -0.05 * e.sum(0)
""")
    assert {*report.codes} <= {"learning-rate-too-small", "too-few-steps"}
    assert any(each.startswith("weights W1") for each in report.facts["mapping"])
