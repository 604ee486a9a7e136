"""Mistakes of whole programs: in what is kept, stopped, scaled and clipped; and what is none."""

import re

import pytest
from observed_scripts import ADAM, BATCH, RIGHT, codes, report_of

from xpnet.doctor.scripts.examine import examine
from xpnet.doctor.scripts.recording.source import Script
from xpnet.doctor.scripts.repairs.edits import apply

pytestmark = pytest.mark.untraced

DECLINE = RIGHT.replace("rate =", "v = [0.0] * 4\nrate =").split("    W1 -=")[0] + """
    grads = X.T @ d1, d1.sum(axis=0), h.T @ d2, d2.sum(axis=0)
    for k, (w, g) in enumerate(zip((W1, b1, W2, b2), grads)):
        v[k] = 0.5 * v[k] - rate * g
        w += v[k]
    rate = rate / (1 + step)
"""  # fmt: skip
WORDS = """
import numpy as np
rng = np.random.default_rng(3)
E, W = rng.normal(size=(12, 4)), rng.normal(size=(4, 1))
ids = rng.integers(0, 12, 300)
Y = np.sin(ids.reshape(-1, 1))
for step in range(60):
    x = E[ids]
    d = (x @ W - Y) / 300
    dE = np.zeros_like(E)
    dE[ids] += d @ W.T
    W -= 0.5 * x.T @ d
    E -= 0.5 * dE
"""
DROPPED = (
    RIGHT.split("for step")[0]
    + """
def hidden(X, train):
    h = np.tanh(X @ W1 + b1)
    mask = rng.random(h.shape) < 0.8
    return (h * mask, mask) if train else (h, None)
for step in range(600):
    h, mask = hidden(X, True)
    d2 = (squash(h @ W2 + b2) - Y) / len(X)
    d1 = d2 @ W2.T * mask * (1 - h**2)
    W1 -= rate * X.T @ d1
    b1 -= rate * d1.sum(axis=0)
    W2 -= rate * h.T @ d2
    b2 -= rate * d2.sum(axis=0)
squash(hidden(X, False)[0] @ W2 + b2)
"""
)
NORMALISED = RIGHT.replace("h = np.tanh(X @ W1 + b1)", "x = norm(X)\n    h = np.tanh(x @ W1 + b1)")
NORMALISED = NORMALISED.replace("X.T", "x.T").replace(
    "for step",
    """var = np.ones(2)
def norm(x, train=True):
    global var
    if not train:
        return x / np.sqrt(var + 1e-5)
    now = x.var(axis=0)
    var = 0.9 * var + 0.1 * now
    return x / np.sqrt(now + 1e-5)
for step""",
)
CLIPPED = RIGHT.replace("X.T @ d1", "cut(X.T @ d1)").replace("h.T @ d2", "cut(h.T @ d2)").replace(
    "for step", "def cut(g):\n    return g * min(1, 2 / np.linalg.norm(g))\nfor step")  # fmt: skip
# The mistake's code, a right script, and what is made wrong in it.
MISTAKES = [
    ("learning-rate-vanishes", DECLINE.replace("(1 + step)", "1.001"), ("1.001", "(1 + step)")),
    ("gradient-wrong", WORDS.replace("dE[ids] += d @ W.T", "np.add.at(dE, ids, d @ W.T)"),
     ("np.add.at(dE, ids, d @ W.T)", "dE[ids] += d @ W.T")),
    ("integer-parameters", RIGHT.replace("1) * 1.0", "1) * 2 - 1").replace("squash(h", "np.tanh(h")
     .replace("(p - Y)", "(p - Y) * (1 - p**2)"), ("astype(int)", "astype(np.uint8)")),
    ("dropout-at-prediction", DROPPED.replace("h.shape) < 0.8", "h.shape) < 0.8) / 0.8")
     .replace("mask = rng", "mask = (rng"), ("mask = (rng", "mask = rng"), (") / 0.8", "")),
    ("dropout-at-prediction", DROPPED.replace("(h, None)", "(h * 0.8, None)"),
     ("h * 0.8, None", "h, None")),
    ("prediction-wrong", NORMALISED + "norm(X, False)\n", ("np.sqrt(var + 1e-5)", "(var + 1e-5)")),
    ("prediction-wrong", NORMALISED + "norm(X, False)\n", ("    var = 0.9", "    new = 0.9")),
    ("update-wrong", ADAM.replace("s[k] + 0.1", "s[k] + 0.01"),
     ("0.9 * m[k] + 0.1", "0.999 * m[k] + 0.001"), ("range(300)", "range(40)")),
    ("gradient-scale", CLIPPED, ("2 / np.linalg.norm(g)", "np.linalg.norm(g) / 20")),
    ("regularisation-dominates", RIGHT
     .replace("W1 -= rate * X", "W1 = (1 - rate * decay) * W1 - rate * X")
     .replace("W2 -= rate * h", "W2 = (1 - rate * decay) * W2 - rate * h")
     .replace("rate =", "decay = 1e-5\nW1, W2 = 3 * W1, 3 * W2\nrate ="), ("1e-5", "0.3")),
]  # fmt: skip


@pytest.mark.parametrize(("code", "right", "changes"), [(c, r, w) for c, r, *w in MISTAKES])
def test_a_mistake_is_named_first_and_its_right_twin_has_none(code, right, changes):
    assert codes(right) == ()
    for old, new in changes:
        right = right.replace(old, new)
    assert codes(right)[:1] == (code,)


RANDOM = BATCH.replace("def squash", "B = rng.normal(size=(1, 8))\ndef squash").replace("W2.T", "B")


@pytest.mark.parametrize(
    "right", [RANDOM, RIGHT + "np.sum((X * (rng.random(X.shape) < 0.5)) > 0, axis=1)\n"]
)
@pytest.mark.process
def test_random_feedback_and_random_data_are_no_mistakes(right, report):
    assert report(right).codes == ()


KEEPING = RIGHT.replace("for step", "lowest, wait = 1e9, 0\nfor step") + """
    loss = np.mean((p - Y) ** 2)
    wait += 1
    if loss < lowest - 1e-6:
        lowest, wait, best = loss, 0, [w.copy() for w in (W1, b1, W2, b2)]
    if wait > 5:
        break
W1, b1, W2, b2 = best
"""  # fmt: skip
LISTED = KEEPING.replace("for step", "net = {'W1': W1, 'b1': b1, 'W2': W2, 'b2': b2}\nfor step")
LISTED = re.sub(r"\b(W1|b1|W2|b2) -=", r"net['\1'] -=", LISTED)
LISTED = LISTED.replace(
    "[w.copy() for w in (W1, b1, W2, b2)]", "{k: w.copy() for k, w in net.items()}"
)
LISTED = LISTED.replace("W1, b1, W2, b2 = best", "net = best")
VALUES = """
import random
class Value:
    def __init__(self, data, parents=()):
        self.data, self.grad, self.parents, self.back = data, 0.0, parents, lambda: None
    def __add__(self, other):
        out = Value(self.data + other.data, (self, other))
        def back():
            self.grad += out.grad
            other.grad += out.grad
        out.back = back
        return out
    def __sub__(self, other):
        out = Value(self.data - other.data, (self, other))
        def back():
            self.grad += out.grad
            other.grad -= out.grad
        out.back = back
        return out
    def __mul__(self, other):
        out = Value(self.data * other.data, (self, other))
        def back():
            self.grad += other.data * out.grad
            other.grad += self.data * out.grad
        out.back = back
        return out
def backward(last):
    order, seen = [], set()
    def visit(v):
        if v not in seen:
            seen.add(v)
            for each in v.parents:
                visit(each)
            order.append(v)
    visit(last)
    last.grad = 1.0
    for each in reversed(order):
        each.back()
random.seed(0)
rows = [(random.gauss(0, 1), random.gauss(0, 1)) for _ in range(20)]
net = [Value(0.1), Value(0.2), Value(0.3)]
for step in range(40):
    loss = Value(0.0)
    for x, y in rows:
        d = net[0] * Value(x) + net[1] * Value(y) + net[2] - Value(x - 2 * y + 1)
        loss = loss + d * d
    for p in net:
        p.grad = 0.0
    backward(loss)
    for p in net:
        p.data -= 0.01 * p.grad
"""

ONE_BY_ONE = """import numpy as np
rng = np.random.default_rng(0)
X = rng.integers(0, 4, (60, 2))
y = (X[:, 0] > X[:, 1]) * 1
w, b = np.zeros(2), 0.0
for epoch in range(20):
    for i in rng.permutation(60):
        e = y[i] - 1 / (1 + np.exp(-(np.dot(w, X[i]) + b)))
        for j in range(len(w)):
            w[j] += 0.1 * e * X[i, j]
        b += 0.1 * e
"""
WIDE = """import numpy as np
rng = np.random.RandomState(1)
x = rng.uniform(-4, 4, 250)
y = np.sinc(x) + 0.3 * np.sin(3 * x)
H = np.exp(-((x[:, None] - np.linspace(-4, 4, 20)) ** 2) / 2 * 0.16)
w, b = 0.1 * rng.randn(20), 0.0
for epoch in range(20):
    for i in rng.permutation(250):
        e = y[i] - (H[i].dot(w) + b)
        w += 0.05 * e * H[i]
        b += 0.05 * e
"""


@pytest.fixture
def report(tmp_path):
    def run(text):
        path = tmp_path / f"net{len([*tmp_path.iterdir()])}.py"
        path.write_text(text)
        return examine(Script(str(path))).report

    return run


@pytest.mark.untraced(but=["the worst", "list", "from 0, short"])
@pytest.mark.parametrize(
    ("right", "old", "new", "code", "mended"),
    [
        (LISTED, "{k: w.copy() for k, w in net.items()}", "dict(net)", "shared-parameters",
         "0, __import__('copy').deepcopy(net)"),
        (KEEPING, "[w.copy() for w in (W1, b1, W2, b2)]", "[W1, b1, W2, b2]", "shared-parameters",
         "[W1.copy(), b1.copy(), W2.copy(), b2.copy()]"),
        (KEEPING, "1e9, 0", "0.0, 0", "too-few-steps", "lowest, wait = float('inf'), 0"),
        (KEEPING.replace("loss < lowest - 1e-6", "lowest - loss > 1e-6"), "1e9, 0", "0, 0",
         "too-few-steps", "lowest, wait = float('inf'), 0"),
        (KEEPING.replace("loss", "v"), "1e9, 0", "0.0, 0", "too-few-steps", "= float('inf'), 0"),
        (KEEPING, "loss < lowest - 1e-6", "loss > lowest", "prediction-wrong", "loss < lowest:"),
        (ONE_BY_ONE, "zeros(2)", "zeros_like(X[0])", "integer-parameters", "X[0], dtype=float)"),
        (VALUES, "grad += other.data", "grad = other.data", "gradient-wrong",
         "self.grad += other.data * out.grad"),
    ],
    ids=["dict", "list", "from 0", "from 0, turned", "from 0, short", "the worst", "in parts",
         "overwritten"],
)  # fmt: skip
def test_what_is_kept_wrongly_is_named_and_mended(report, right, old, new, code, mended):
    assert report(right).codes == ()
    wrong = right.replace(old, new)
    (found, *_) = report(wrong).findings
    assert found.code == code
    assert mended in apply(wrong, found.repair["edits"])


def test_a_copy_that_the_script_defines_may_be_of_all_arrays(report):
    own = """class Net(dict):
    def copy(self):
        return {k: w.copy() for k, w in self.items()}
net = Net("""
    text = LISTED.replace("net = {", f"{own}{{").replace("'b2': b2}\n", "'b2': b2})\n")
    text = text.replace("{k: w.copy() for k, w in net.items()}", "net.copy()")
    assert "0, net.copy()" in text
    assert report(text).codes == ()


def test_what_is_put_into_arrays_of_its_own_is_a_copy(report):
    text = KEEPING.replace(
        "for step", "best = [np.zeros(w.shape) for w in (W1, b1, W2, b2)]\nfor step"
    )
    kept = "0\n        best[0][:], best[1][...], best[2][:, :], best[3][:] = W1, b1, W2, b2"
    assert (
        report(
            text.replace("0, [w.copy() for w in (W1, b1, W2, b2)]", kept).replace(
                "lowest, wait, best = loss", "lowest, wait = loss"
            )
        ).codes
        == ()
    )


@pytest.mark.process
def test_a_derivative_is_mended_in_two_factors_where_a_velocity_makes_the_step(report):
    right = DECLINE.replace("(1 + step)", "1.001")
    wrong = right.replace("d2 @ W2.T * (1 - h**2)", "d2 @ W2.T * h * (1 - h)")
    (found, *_) = report(wrong).findings
    assert found.code == "gradient-activation-derivative"
    assert "d2 @ W2.T * (1 + h) * (1 - h)" in apply(wrong, found.repair["edits"])


def test_what_follows_a_loop_within_a_function_is_looked_at(report):
    parts = RIGHT.partition("for step in range(300):\n")
    text = f"{parts[0]}def step():\n    global W1, b1, W2, b2\n{parts[2]}def main():\n"
    text += "    for n in range(90):\n        step()\n"
    text += "    return np.mean((squash(np.tanh(X @ W1 + b1) @ W2 + b2) > 0.5) == labels)\nmain()\n"
    assert report(text).codes[:1] == ("prediction-wrong",)


@pytest.mark.process
def test_rows_that_are_added_where_an_index_has_them_twice_are_followed(report):
    right = WORDS.replace("dE[ids] += d @ W.T", "np.add.at(dE, ids, d @ W.T)")
    assert report(right).facts["gradients"].startswith("Right: every gradient")


def test_steps_that_descend_are_not_too_long(report):
    assert "learning-rate-too-large" not in report(WIDE).codes
    assert report(WIDE.replace("0.05", "0.4")).codes[:1] == ("learning-rate-too-large",)


CLIPPED = """import numpy as np
rng = np.random.default_rng(1)
X = rng.normal(size=(40, 2)); Y = X[:, :1] * X[:, 1:]
W1, b1 = rng.normal(size=(2, 8)), np.zeros(8)
W2, b2 = rng.normal(size=(8, 8)) / 3, np.zeros(8)
W3, b3 = rng.normal(size=(8, 1)) / 3, np.zeros(1)
weights = [W1, b1, W2, b2, W3, b3]
for step in range(40):
    h1 = np.tanh(X @ W1 + b1)
    h2 = np.tanh(h1 @ W2 + b2)
    d3 = 2 * (h2 @ W3 + b3 - Y) / len(X)
    d2 = d3 @ W3.T * (1 - h2**2)
    d1 = d2 @ W2.T * (1 - h1**2)
    grads = [X.T @ d1, d1.sum(0), h1.T @ d2, d2.sum(0), h2.T @ d3, d3.sum(0)]
    norm = np.sqrt(sum((g**2).sum() for g in grads))
    for w, g in zip(weights, grads):
        w -= 0.1 * min(1.0, 0.5 / norm) * g
"""


@pytest.mark.process
def test_a_wrong_derivative_is_named_where_gradients_are_clipped_by_their_norm(report):
    (found, *_) = report(CLIPPED.replace("(1 - h1**2)", "(1 - h2**2)")).findings
    assert found.code == "gradient-activation-derivative"
    assert found.remedy == "line 13: d1 = d2 @ W2.T * (1 - h1**2)"


ALL_ALIKE = RIGHT.replace(
    """    h = np.tanh(X @ W1 + b1)
    p = squash(h @ W2 + b2)
""",
    """    h, layers = X, []
    for W, b in (W1, b1), (W2, b2):
        z = h @ W + b
        h = relu(z)
        layers.append(h)
    h, p = layers[0], squash(layers[1])
""",
).replace("def squash", "def relu(x):\n    return np.maximum(0, x)\ndef squash")


def test_an_activation_that_one_line_gives_all_layers_is_not_taken_out(report):
    found = report(ALL_ALIKE.replace("(1 - h**2)", "(h > 0)")).findings[0]
    assert (found.code, (found.repair or {}).get("edits")) == ("output-activated-twice", None)


RECURRENT = """
import numpy as np
rng = np.random.default_rng(0)
X = rng.normal(size=(40, 5, 2))
Y = (X[:, 0, :1] > 0) * 1.0
Wx, Wh, Wo = rng.normal(size=(2, 6)), rng.normal(size=(6, 6)), rng.normal(size=(6, 1))
for step in range(60):
    states = [np.zeros((40, 6))]
    for t in range(5):
        states.append(np.tanh(X[:, t] @ Wx + states[t] @ Wh))
    d = (1 / (1 + np.exp(-(states[-1] @ Wo))) - Y) / 40
    gx, gh, go, back = 0.0, 0.0, states[-1].T @ d, d @ Wo.T
    for t in reversed(range(5)):
        z = back * (1 - states[t + 1] ** 2)
        gx, gh = gx + X[:, t].T @ z, gh + states[t].T @ z
        back = z @ Wh.T
    Wx -= 0.3 * gx
    Wh -= 0.3 * gh
    Wo -= 0.3 * go
"""


def test_a_state_that_stays_at_zero_while_gradients_are_of_others_is_named():
    found = report_of(RECURRENT.replace("states[t] @ Wh", "states[0] @ Wh")).findings[0]
    assert (found.code, found.where) == ("gradient-operand", "Wh")
    assert found.evidence.endswith("but line 10, states[0] @ Wh gives it only zeros")
    assert "gradient-operand" not in codes(RECURRENT)


def test_small_initial_weights_from_which_a_network_has_learnt_are_no_mistake():
    noisy = RIGHT.replace("X[:, 1] > 0", "X[:, 1] + 0.4 * np.random.randn(80) > 0")
    noisy = noisy.replace("rng = ", "np.random.seed(1)\nrng = ").replace("range(300)", "range(200)")
    assert codes(noisy.replace("W1 = rng", "W1 = 0.01 * rng")) == ()
    assert codes(noisy.replace("W1 = rng", "W1 = 0.001 * rng")) == ("wrong-init-scale",)
