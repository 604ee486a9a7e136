"""Why weights stay as they are: updates that are never run, or change something else, or by 0."""

import pytest
from observed_scripts import RIGHT

from xpnet.doctor.scripts.examine import examine
from xpnet.doctor.scripts.recording.source import Script

LAYERS = """import numpy as np
rng = np.random.default_rng(0)
X = rng.normal(size=(80, 2))
Y = (X[:, :1] * X[:, 1:] > 0) * 1.0
class Layer:
    def __init__(self, *shape):
        self.shape = shape
        self.draw(np.random.default_rng(1))
    def draw(self, rng):
        self.W, self.b = rng.normal(size=self.shape), np.zeros(self.shape[1])
    def forward(self, x):
        self.x = x
        return x @ self.W + self.b
    def backward(self, d):
        self.dW, self.db = self.x.T @ d, d.sum(axis=0)
        return d @ self.W.T
    def update(self, rate):
        self.W -= rate * self.dW
        self.b -= rate * self.db
one, two = Layer(2, 8), Layer(8, 1)
def gradients(x, y):
    h = np.tanh(one.forward(x))
    p = 1 / (1 + np.exp(-two.forward(h)))
    one.backward(two.backward((p - y) / len(y)) * (1 - h**2))
    return -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))
"""
BLOCKS = """import numpy as np
rng = np.random.default_rng(0)
X, Y = rng.normal(size=(40, 3)), rng.integers(0, 2, 40)
W = rng.normal(size=3)
for epoch in range(9):
    for start in range(0, 40, 20):
        rows = range(start, start + 20)
        p = [1 / (1 + np.exp(-(W @ X[i]))) for i in rows]
        e = [q - Y[i] for q, i in zip(p, rows)]
        for d, i in zip(e, rows):
            W = W - 0.1 * d * X[i]
"""
RARELY = (
    LAYERS
    + """
for epoch in range(20):
    total = 0.0
    for i in range(4):
        total += gradients(X[i::4], Y[i::4]) * 20
        if i % 5 == 4:
            one.update(2.0)
            two.update(2.0)
"""
)
ELSEWHERE = (
    LAYERS
    + """
arrays = [(one.W, 0 * one.W), (one.b, 0 * one.b), (two.W, 0 * two.W), (two.b, 0 * two.b)]
for layer in (one, two):
    layer.draw(rng)
for epoch in range(100):
    gradients(X, Y)
    for (old, v), g in zip(arrays, [one.dW, one.db, two.dW, two.db]):
        v *= 0.9
        v -= 0.2 * g
        old += v
"""
)
ENGINE = """import numpy as np
rng = np.random.default_rng(0)
class Node:
    def __init__(self, data, parents=(), back=None):
        self.data, self.parents, self.back = data, parents, back
        self.grad = np.zeros_like(data)
    def __add__(self, other):
        return Node(self.data + other.data, (self, other), lambda g: (g, g))
    def __neg__(self):
        return Node(-self.data, (self,), lambda g: (-g,))
    def __sub__(self, other):
        return self + (-other)
    def __matmul__(self, other):
        return Node(self.data @ other.data, (self, other),
                    lambda g: (g @ other.data.T, self.data.T @ g))
    def square(self):
        return Node(self.data**2, (self,), lambda g: (2 * self.data * g,))
    def backward(self, g):
        self.grad = self.grad + g
        for parent, own in zip(self.parents, self.back(g) if self.back else ()):
            parent.backward(own)
x = Node(rng.normal(size=(40, 3)))
y = Node(x.data @ np.ones((3, 1)))
W, V = Node(rng.normal(size=(3, 4))), Node(rng.normal(size=(4, 1)))
for step in range(30):
    loss = (y - x @ W @ V).square()
    for p in (W, V):
        p.grad = np.zeros_like(p.data)
    loss.backward(np.ones((40, 1)) / 40)
    for p in (W, V):
        p.data -= 0.01 * p.grad
"""


@pytest.fixture
def findings(tmp_path):
    def of(text):
        path = tmp_path / f"net{len([*tmp_path.iterdir()])}.py"
        path.write_text(text)
        return examine(Script(str(path), ())).report.findings

    return of


@pytest.mark.parametrize(
    "update",
    ["self.W -= rate * self.dW", "self.W = self.W - rate * self.dW", "self.W += -rate * self.dW"],
)
def test_an_update_whose_condition_never_holds_is_named_with_the_condition(findings, update):
    script = RARELY.replace("self.W -= rate * self.dW", update)
    (found,) = findings(script)
    assert (found.code, found.where) == ("no-update", "self.W")
    said = "this update is never run; line 31, i % 5 == 4: never true (at the end i is 3)"
    assert found.evidence == f"line 18, {update}: {said}"
    assert found.remedy == "make this true in each step, or in every few steps"
    assert findings(script.replace("i % 5 == 4", "i % 5 < 4")) == ()
    chosen = f"TRAIN = False\n{script}".replace("i % 5 == 4", "TRAIN")
    assert findings(chosen) == ()


def test_weights_that_a_whole_block_of_rows_shares_are_not_taken_for_others(findings):
    assert findings(BLOCKS) == ()


@pytest.mark.parametrize("more", ["", "print(np.tanh(one.forward(X)))\n", "gradients(X, Y)\n"])
def test_updates_of_a_network_that_is_only_defined_or_used_are_not_missed(findings, more):
    assert findings(LAYERS + more) == ()


def test_updates_of_what_the_network_had_before_its_weights_were_drawn_anew(findings):
    (found,) = findings(ELSEWHERE)
    assert (found.code, found.where) == ("no-update", "old")
    assert "line 35, old += v: self.W, line 13, is another array: line 10" in found.evidence
    assert "self.W[:] = ..." in found.remedy
    assert findings(ELSEWHERE.replace("    layer.draw(rng)", "    pass")) == ()


def test_where_an_engine_of_gradients_cuts_off_the_weights(findings):
    broken = ENGINE.replace("-self.data, (self,), lambda g: (-g,)", "-self.data")
    (found,) = findings(broken)
    assert (found.code, found.where) == ("gradient-zero", "p.data")
    assert found.evidence.endswith("; line 10, -self.data: what this makes has no parents")
    assert findings(ENGINE) == ()


RIGHT_ALL_ALONG = """import numpy as np
rng = np.random.default_rng(0)
X = rng.normal(size=(60, 3)) + 0.2
T = np.sort((X @ np.ones(3) > 0).astype(int))
X = X[np.argsort(X @ np.ones(3))]
w = np.ones(3)
for x, t in zip(X, T):
    guess = 1 if x @ w > 0 else 0
    w = w + 0.1 * (int(t) - guess) * x
"""


def test_a_perceptron_that_is_right_all_along_has_no_findings(findings):
    assert findings(RIGHT_ALL_ALONG) == ()


WITHOUT = RIGHT.replace("X @ W1 + b1", "X @ W1")


@pytest.mark.parametrize("update", ["b1 -= rate", "b1 = b1 - rate"])
def test_a_bias_that_is_updated_but_added_to_nothing(findings, update):
    (found,) = findings(WITHOUT.replace("b1 -= rate", update))
    assert (found.code, found.remedy) == ("no-bias", "line 15: h = np.tanh((X @ W1 + b1))")
    assert found.evidence.endswith("b1 is updated, but added to nothing")


def test_what_is_read_somewhere_is_not_said_to_be_unused(findings):
    assert findings(WITHOUT + "print(b1)\n") == ()
