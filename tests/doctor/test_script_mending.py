"""What the doctor changes in a script's text, and what it leaves alone."""

import re
from dataclasses import replace

import pytest
from observed_scripts import KEPT
from script_corpus import cases, lay_out

from xpnet.doctor.scripts.examine import CHECKS, examine
from xpnet.doctor.scripts.recording.source import Script
from xpnet.doctor.scripts.repairs.edits import apply

START = """import numpy as np
np.random.seed(2)
X = 2 * np.random.randn(60, 2)
Y = (X[:, :1] * X[:, 1:] > 0) * 1.0
def squash(z):
    return 1 / (1 + np.exp(-z))
W1, b1 = np.random.randn(2, 8), np.zeros(8)
W2, b2 = np.random.randn(8, 1), np.zeros(1)
rate = 2
for step in range(30):
    A1 = np.tanh(X @ W1 + b1)
    D2 = (squash(A1 @ W2 + b2) - Y) / 60
    D1 = D2 @ W2.T * (1 - A1**2)
"""
ONE_LINE = "    W1 -= .1*X.T @ D1; b1 -= .1*D1.sum(0); W2 -= .1*A1.T @ D2; b2 -= .1*D2.sum(0)\n"
CLASSES = """import numpy as np
rng = np.random.default_rng(1)
X = rng.uniform(-2, 2, (60, 3))
Y = X[:, :1] * X[:, 1:2]
class Dense:
    def __init__(self, n, m):
        self.W, self.b = rng.normal(size=(n, m)) * np.sqrt(2 / n), np.zeros((1, m))
    def forward(self, x):
        self.x = x
        return x @ self.W + self.b
    def backward(self, g):
        back = g @ self.W.T
        self.W -= 0.01 * self.x.T @ g
        self.b -= 0.01 * g.sum(0, keepdims=True)
        return back
class ReLU:
    def forward(self, x):
        self.x = x
        return np.maximum(0, x)
    def backward(self, g):
        return g * (g > 0)
layers = [Dense(3, 16), ReLU(), Dense(16, 1)]
for epoch in range(60):
    a = X
    for each in layers:
        a = each.forward(a)
    g = 2 * (a - Y) / 60
    for each in reversed(layers):
        g = each.backward(g)
"""
LOST = """import numpy as np
r = np.random.default_rng(0)
x = r.normal(size=(100, 2)); y = (x[:, :1] > 0) * 1.0
W, b = r.normal(size=(2, 1)), np.zeros(1)
for i in range(100):
    d = (1 / (1 + np.exp(-(x @ W + b))) - y) / 100
    for w, g in [(W, x.T @ d)]:
        w = w - 0.5 * g
    b -= 0.5 * d.sum(0)
"""
SORTED = """import numpy as np
rng = np.random.default_rng(0)
X = np.vstack([rng.normal(c, 0.4, (60, 2)) for c in (-1.5, 0, 1.5)])
T = np.repeat(np.eye(3), 60, axis=0)
ws, bs = [rng.normal(size=(2, 8)), rng.normal(size=(8, 3))], [np.zeros(8), np.zeros(3)]
def forward(x):
    h = [x]
    for w, b in zip(ws, bs):
        h.append(np.tanh(h[-1] @ w + b))
    return h
for epoch in range(3):
    for x, t in zip(X, T):
        x, h, out = forward(x)
        d = (out - t) * (1 - out**2)
        e = ws[1] @ d * (1 - h**2)
        for w, b, a, g in zip(ws, bs, (x, h), (e, d)):
            w -= 0.1 * np.outer(a, g)
            b -= 0.1 * g
"""
SHARED = """import numpy as np
rng, n = np.random.default_rng(0), 3
X = rng.uniform(-1, 1, (60, n))
Y, sizes = X * [-1, 1, 1], [n] * 3
W = [rng.normal(size=sizes[:2])] * 2
for epoch in range(200):
    h = np.tanh(X @ W[0])
    d = (h @ W[1] - Y) / 60
    e = d @ W[1].T * (1 - h**2)
    W[1] -= 0.1 * h.T @ d
    W[0] -= 0.1 * X.T @ e
"""
UNITS = """import numpy as np
rng = np.random.default_rng(0)
class Unit:
    def __init__(self):
        self.w = rng.normal(size=2)
X = rng.normal(size=(80, 2))
Y = (X[:, 0] * X[:, 1] > 0) * 1.0
units, v = [Unit()] * 4, rng.normal(size=4)
for step in range(20):
    for x, y in zip(X, Y):
        h = np.array([np.tanh(unit.w @ x) for unit in units])
        d = h @ v - y
        for back, unit in zip(d * v * (1 - h**2), units):
            unit.w -= 0.1 * back * x
        v -= 0.1 * d * h
"""


@pytest.fixture
def examined(tmp_path):
    def run(text):
        path = tmp_path / "net.py"
        path.write_text(text)
        return examine(Script(str(path), ()))

    return run


def edits_of(found):
    return [e for each in found.report.findings for e in (each.repair or {}).get("edits", ())]


@pytest.mark.untraced
@pytest.mark.parametrize(
    ("script", "code", "line", "text"),
    [
        (SORTED, "unshuffled-rows", 12, "[(X[i], T[i]) for i in np.random.permutation(len(X))]"),
        (SHARED, "shared-parameters", 5, "[rng.normal(size=sizes[:2]).copy() for _ in range(2)]"),
        (UNITS, "shared-parameters", 8, "[Unit() for _ in range(4)]"),
        (UNITS.replace("units, v = [Unit", "def new():\n    return Unit()\nunits, v = [new"),
         "shared-parameters", 10, "[new() for _ in range(4)]"),
        (LOST.replace("* g\n", "* g; x = x + r.random(x.shape)\n"), "no-update", 8, "w -= 0.5 * g"),
    ],
)  # fmt: skip
def test_only_rows_parameters_and_lost_steps_are_rewritten(examined, script, code, line, text):
    findings = [each for each in examined(script).report.findings if each.code == code]
    edits = [e for each in findings for e in (each.repair or {}).get("edits", ())]
    assert {(each["line"], each["text"]) for each in edits} == {(line, text)}


@pytest.mark.many_steps
@pytest.mark.untraced
@pytest.mark.process
def test_what_fails_in_the_doctor_is_one_line_of_its_report(examined, monkeypatch):
    def fail(*args, **kwargs):
        raise IndexError("gone")

    monkeypatch.setattr("xpnet.doctor.scripts.examine.conclude", fail)
    report = examined(START + ONE_LINE).report
    assert report.facts["failed"] == ["judging the gradients could not be done: IndexError: gone"]
    assert report.findings


def test_a_check_that_fails_leaves_what_the_others_find(examined, monkeypatch):
    def fail(*_):
        yield [][0]

    checks = [replace(each, check=fail) if each is CHECKS[0] else each for each in CHECKS]
    monkeypatch.setattr("xpnet.doctor.scripts.examine.CHECKS", checks)
    report = examined(LOST).report
    (said,) = report.facts["failed"]
    assert said.startswith(f"the check {CHECKS[0].code}, fail, could not be done: IndexError")
    assert "no-update" in report.codes


@pytest.mark.untraced
def test_another_rate_leaves_equal_numbers_in_seeds_and_data_alone(examined):
    slow = ONE_LINE.replace(".1*", "rate / 1000 * ")
    found = examined(START.replace("range(30)", "range(400)") + slow)
    mended = apply(START, [e for e in edits_of(found) if e["line"] < 14])
    assert edits_of(found)
    assert "seed(2)\nX = 2 * np" in mended
    assert "randn(2, 8), np.zeros(8)" in mended
    assert "A1**2" in mended


@pytest.mark.untraced
def test_changes_of_several_statements_on_a_line_are_one_remedy(examined):
    slow = ONE_LINE.replace(".1*", ".0001*")
    first = examined(START.replace("range(30)", "range(900)") + slow).report.findings[0]
    assert first.remedy.count("line 14: ") == 1
    assert first.remedy.count("* (.0001*") == 4


@pytest.mark.parametrize(
    ("kept", "remedy"), [("self.x = x", "line 21: return g * (self.x > 0)"), ("pass", "line 21: ")]
)
@pytest.mark.process
def test_a_remedy_uses_only_names_of_its_function(examined, kept, remedy):
    relu = CLASSES.index("class ReLU")
    found = examined(CLASSES[:relu] + CLASSES[relu:].replace("self.x = x", kept)).report
    first = found.findings[0]
    assert first.code == "gradient-activation-derivative"
    assert first.remedy.startswith(remedy)
    assert ("edits" in (first.repair or {})) == (kept != "pass")
    assert "(x > 0)" not in first.remedy


@pytest.mark.untraced
def test_initial_weights_are_scaled_about_zero(examined):
    shifted = "40 * np.random.random((2, 8)) - 20"
    script = START.replace("np.tanh(X", "squash(X").replace("(1 - A1**2)", "A1 * (1 - A1)")
    script = script.replace("W1, b1 = np.random.randn(2, 8), ", f"W1 = {shifted}; b1 = ")
    edits = edits_of(examined(script.replace("range(30)", "range(200)") + ONE_LINE))
    assert [e["text"] for e in edits if e["line"] == 7] == [f"0.066 * ({shifted})"]


def test_initial_weights_that_are_never_above_zero_get_a_finite_scale(examined):
    script = START.replace("W1, b1 = np.random.randn(2, 8), ",
                           "W1 = 9.0 * np.random.randint(-1, 1, (2, 8)); b1 = ")  # fmt: skip
    texts = [e["text"] for e in edits_of(examined(script + ONE_LINE)) if e["line"] == 7]
    assert texts
    assert not any("nan" in each or "inf" in each for each in texts)


def test_weights_of_zero_are_drawn_anew_whatever_their_size(examined):
    zeros = START.replace("np.random.randn(2, 8), np.zeros(8)", "np.zeros((2, 4)), np.zeros(4)")
    zeros = zeros.replace("np.random.randn(8, 1)", "np.zeros((4, 1))")
    texts = {e["line"]: e["text"] for e in edits_of(examined(zeros + ONE_LINE))}
    assert texts[7].startswith("1 * np.random.default_rng(")


@pytest.mark.untraced
def test_scaled_inputs_say_what_new_ones_need(examined):
    large = START.replace("2 * np.random.randn(60, 2)", "1000 * np.random.randn(60, 2)")
    remedies = [each.remedy for each in examined(large + ONE_LINE).report.findings]
    assert any("# scale new inputs alike" in each for each in remedies)


BATCHES = START.replace("squash(A1 @ W2 + b2) - Y) / 60", "squash(A1 @ W2 + b2) - Y[0:20]) / 20")
BATCHES = BATCHES.replace("X @ W1", "X[0:20] @ W1")


def test_other_rows_are_taken_of_the_data_only_and_under_a_new_name(examined):
    script = BATCHES.replace("rate = 2\n", "rate = 2\nlog, rows = np.zeros(60), 60\n")
    script += ONE_LINE.replace("X.T", "X[0:20].T") + "    spent = log[0:20] + rows\n"
    mended = apply(script, edits_of(examined(script)))
    assert mended.count("rows_ = np.random.randint(len(X), size=20)") == 1
    assert "X[rows_] @ W1" in mended
    assert "- Y[rows_]" in mended
    assert "log[0:20]" in mended


@pytest.mark.untraced(but=["    np.random.shuffle(targets)"])
@pytest.mark.parametrize("second", ["    np.random.shuffle(targets)", "    pass"])
def test_inputs_and_their_targets_are_shuffled_in_one_order_and_nothing_else(examined, second):
    (case,) = cases(only="shuffled_apart.py")
    text = case.path.read_text().replace("range(200)", "range(40)")
    text = text.replace("nn = dict", "order = [1, 2]\nnn = dict")
    both = f"    np.random.shuffle(order)\n{second}"
    script = text.replace("    np.random.shuffle(targets)", both)
    mended = apply(script, edits_of(examined(script)))
    assert "order_ = np.random.permutation(len(samples))" in mended
    assert "samples[:], targets[:] = samples[order_], targets[order_]" in mended
    assert "shuffle(order)" in mended
    assert "shuffle(samples)" not in mended


LOOP = """import numpy as np
rng = np.random.default_rng(3)
X = rng.uniform(-1, 1, (40, 2))
T = (X[:, 0] * X[:, 1] > 0) * 1.0
def sigmoid(z, slope=False):
    if slope:
        return z * (1 - z)
    return 1 / (1 + np.exp(-z))
W1, b1 = rng.normal(size=(5, 2)), np.zeros(5)
W2, b2 = rng.normal(size=5), 0.0
for epoch in range(25):
    dW1, dW2, db2 = np.zeros_like(W1), np.zeros_like(W2), 0.0
    for x, t in zip(X, T):
        h = np.tanh(W1 @ x)
        p = sigmoid(W2 @ h + b2)
        d2 = p - t
        dW2 = dW2 + d2 * h
        db2 = db2 + d2
        d1 = d2 * W2 * (1 - h)
        dW1 = dW1 + np.outer(d1, x)
    W1 -= 0.0125 * dW1
    W2 -= 0.0125 * dW2
    b2 -= 0.0125 * db2
"""
SQUASHED = LOOP.replace("np.tanh(W1 @ x)", "sigmoid(W1 @ x)").replace("(1 - h)", "h * (1 - h)")
SQUASHED = SQUASHED.replace("p - t", "(p - t) * sigmoid(p, slope=True)")
METHODS = """import numpy as np
r = np.random.default_rng(2)
X = r.normal(size=(90, 2))
Y = (X[:, :1] * X[:, 1:] > 0) * 1.0
class Net:
    W = [r.normal(size=(2, 6)), r.normal(size=(6, 4)), r.normal(size=(4, 1))]
    def act(self, x):
        return 1 / (1 + np.exp(-x))
    def slope(self, x):
        return x * (1 - x)
    def learn(self):
        self.zs, self.hs = [], [X]
        for w in self.W:
            self.zs.append(self.hs[-1] @ w)
            self.hs.append(self.act(self.zs[-1]))
        d = (self.hs[-1] - Y) / 90
        for k in (2, 1, 0):
            g = self.hs[k].T @ d
            if k:
                d = d @ self.W[k].T * self.slope(self.zs[k - 1])
            self.W[k] -= 0.5 * g
net = Net()
for i in range(60):
    net.learn()
"""
NUMBERED = (START + ONE_LINE).replace(
    "(30):", "(30):\n  for k in range(6):\n    x, y = X[k:k+9], Y[k:k+9]"
)
NUMBERED = NUMBERED.replace("X @", "x @").replace("X.T", "x.T").replace("- Y", "- y")
OF_SUMS = METHODS.replace("return x * (1 - x)", "return self.act(x) * (1 - self.act(x))")
OF_SUMS = OF_SUMS.replace("slope(self.zs[k - 1])", "slope(self.hs[k])")
STACKED = """import numpy as np
r = np.random.default_rng(0)
X = r.normal(size=(90, 2))
y = (np.sum(X**2, axis=1, keepdims=True) > 1) * 1.0
p = np.exp(np.abs(X))
V, b = r.normal(size=(2, 8)), np.zeros(8)
W, c = r.normal(size=(8, 1)), np.zeros(1)
def relu(x):
    return np.maximum(0, x)
def sigmoid(x):
    return 1 / (1 + np.exp(-x))
def run(X):
    z = X @ V + b
    a = relu(z)
    return z, a, sigmoid(relu(a @ W + c))
for i in range(60):
    z, a, p = run(X)
    d = (p - y) / 90
    e = d @ W.T * (z > 0)
    W -= 0.1 * a.T @ d
    c -= 0.1 * d.sum(0)
    V -= 0.1 * X.T @ e
    b -= 0.1 * e.sum(0)
"""
LINEAR = STACKED.replace("relu(a @ W + c)", "a @ W + c").replace(
    "return z, a", "h = z\n    return z, h").replace("a @ W", "h @ W")  # fmt: skip
DROPOUT = """import numpy as np
r, drop = np.random.default_rng(0), 0.5
x = r.normal(size=(100, 2))
y = (x[:, :1] > 0) * 1.0
V, W = r.normal(size=(2, 20)), r.normal(size=(20, 1))
def forward(x):
    mask = (r.random((len(x), 20)) > drop)
    h = np.tanh(x @ V) * mask
    return h, mask, 1 / (1 + np.exp(-h @ W))
for i in range(60):
    h, mask, p = forward(x)
    d = (p - y) / 100
    e = d @ W.T * mask * (1 - h**2)
    W -= 0.5 * h.T @ d
    V -= 0.5 * x.T @ e
print(np.mean(forward(x)[2] - y))
"""
RELU = START.replace("np.tanh(X", "np.maximum(0, X").replace("1 - A1**2", "A1 > 0")
RELU = RELU.replace("range(30)", "range(200)") + ONE_LINE
RETURNED = """def step_of(w, b, g, c):
    v = w - .1 * g
    return v, b - .1 * c
"""
DROPPED = (
    START.replace("for step", RETURNED + "for step")
    + """
    step_of(W1, b1, X.T @ D1, D1.sum(0))
    step_of(W2, b2, A1.T @ D2, D2.sum(0))
"""
)
LAST = """import numpy as np
r = np.random.default_rng(0)
x = r.normal(size=(60, 2))
y = (x[:, 0] > 0.3) * 1.0
w, b = r.normal(size=2), 0.0
for epoch in range(6):
    for row, t in zip(x, y):
        d = 1 / (1 + np.exp(-(row @ w + b))) - t
        g = d * row
    w -= 0.5 * g
    b -= 0.5 * d
"""
COMPARED = START + ONE_LINE + "np.mean(squash(np.tanh(X @ W1 + b1) @ W2 + b2) - Y[:, 0])\n"


MISTAKES = {
    "what is returned is dropped": (DROPPED, "no-update", "    W1, b1 = step_of(W1, b1, X.T"),
    "all pairs": (COMPARED, "prediction-wrong",
                  "np.ravel(squash(np.tanh(X @ W1 + b1) @ W2 + b2)) - Y"),
    "two activations": (STACKED, "output-activated-twice",
                        STACKED.replace("relu(a @ W + c)", "a @ W + c")),
    "no activation": (
        LINEAR.replace("    a = relu(z)\n    h = z\n", "").replace("h @ W", "z @ W").replace(
            "z, h", "z, z").replace(" * (z > 0)", ""),
        "linear-hidden-layer", "z = np.tanh(X @ V + b)"),
    "divided twice": (
        START + ONE_LINE.replace("D1;", "D1 / 60;").replace("D1.sum(0)", "D1.sum(0) / 60")
        .replace("D2;", "D2 / 60;").replace("D2.sum(0)", "D2.sum(0) / 60"), "gradient-scale",
        ONE_LINE),
    "a correction that is kept": (
        KEPT, "update-wrong", "m_k_now = m[k] / (1 - 0.9 ** now)\n        w -= 0.05 * m_k_now /"),
    "batches by number": (NUMBERED, "rows-left-out",
                          "x, y = X[k * 9:(k + 1) * 9], Y[k * 9:(k + 1) * 9]"),
}  # fmt: skip
MEASURED = {
    "each sample": (LOOP, "gradient-activation-derivative", "d1 = d2 * W2 * (1 - h**2)"),
    "one call of a function": (
        SQUASHED.replace("h * (1 - h)", "sigmoid(W1 @ x, slope=True)"),
        "gradient-activation-derivative", "d1 = d2 * W2 * (h * (1 - h))"),
    "a function of activations": (METHODS, "gradient-activation-derivative",
                                  "return np.exp(-abs(x)) / (1 + np.exp(-abs(x)))**2"),
    "a function of sums": (OF_SUMS, "gradient-activation-derivative",
                           "* (self.hs[k] * (1 - self.hs[k]))"),
    "an activation unused": (LINEAR, "linear-hidden-layer", LINEAR.replace("h = z", "h = a")),
    "the sums passed on": (
        LINEAR.replace("h = z", "pass").replace("h @ W", "z @ W").replace("z, h", "z, z"),
        "linear-hidden-layer", "sigmoid(a @ W + c)"),
}  # fmt: skip


@pytest.mark.untraced(but=[
    "two activations", "an activation unused", "batches by number",
    "what is returned is dropped", "a function of activations", "a correction that is kept",
])  # fmt: skip
@pytest.mark.parametrize(
    ("script", "code", "mended"),
    [pytest.param(*each, id=name, marks=[pytest.mark.process] * (name in MEASURED))
     for name, each in (MISTAKES | MEASURED).items()],
)  # fmt: skip
def test_a_mistake_is_mended_where_it_is_made(examined, script, code, mended):
    first = examined(script).report.findings[0]
    assert first.code == code
    assert mended in apply(script, first.repair["edits"])


def test_errors_of_which_only_the_last_is_sent_back_are_named(examined):
    first = examined(LAST).report.findings[0]
    assert first.code == "rows-left-out"
    assert "of the 60 errors of each step only the last one changes the weights" in first.evidence


@pytest.mark.untraced
@pytest.mark.process
def test_items_of_lists_are_named_as_the_same_turn_of_a_loop_reads_them(tmp_path):
    (case,) = cases(only="train_with_trainer.py")
    shorter = case.path.read_text().replace("epochs=150", "epochs=15")
    found = examine(Script(str(lay_out(case, tmp_path, {case.name: shorter})), case.args))
    assert any("(1 - self.acts[i]**2)" in each["text"] for each in edits_of(found))


@pytest.mark.untraced(but=["of the same table"])
@pytest.mark.parametrize(
    ("other", "made", "used"),
    [
        ("X_test", "X_test = X_train[:9]", ""),
        ("held", "all_rows = X_train; X_train, held = all_rows[:60], all_rows[60:]", ""),
        ("new", "new = np.ones((5, 2))", "print(np.tanh(new @ W1 + b1) @ W2)\n"),
    ],
    ids=["by its name", "of the same table", "predicted at the end"],
)
def test_what_is_kept_for_tests_is_scaled_along(examined, other, made, used):
    large = START.replace("2 * np.random.randn(60, 2)", "1000 * np.random.randn(80, 2)")
    large = large.replace("(X[:, :1] * X[:, 1:]", "(X[:60, :1] * X[:60, 1:]")
    large = large.replace("X @ W1", "X[:60] @ W1").replace("rate = 2", made)
    large += ONE_LINE.replace("X.T", "X[:60].T") + used
    large = re.sub(r"\bX\b", "X_train", large)
    mended = apply(large, edits_of(examined(large)))
    first, second = (mended.index(f"{name} = ({name} - np.mean(X_train,")
                     for name in (other, "X_train"))  # fmt: skip
    assert first < second < mended.index("for step")


@pytest.mark.untraced
@pytest.mark.parametrize(
    ("scale", "share"), [("", "1 - drop"), (" / (1 - drop)", "1")], ids=["as it is", "scaled"]
)
def test_dropout_ends_with_training(examined, scale, share):
    script = DROPOUT.replace("> drop)", f"> drop){scale}")
    mended = apply(script, edits_of(examined(script)))
    assert "training = False\nr, drop =" in mended
    assert f"np.tanh(x @ V) * (mask if training else ({share}))".replace("(1)", "1") in mended
    assert "    training = True\n    h, mask, p = forward(x)\n    training = False\n" in mended


@pytest.mark.untraced
def test_other_columns_of_a_table_are_not_scaled_as_the_inputs(examined):
    large = START.replace("X = 2 *", "table = 1000 *").replace("(60, 2)", "(60, 3)").replace(
        "Y = (X[:, :1] * X[:, 1:] > 0) * 1.0",
        "X, last = table[:, :2], table[:, 2]\nY = (X[:, :1] * X[:, 1:] > 0) * 1.0")  # fmt: skip
    mended = apply(large + ONE_LINE, edits_of(examined(large + ONE_LINE)))
    assert "X = (X - np.mean(X" in mended
    assert "last = (last" not in mended


def test_dropout_in_a_method_is_for_the_pass_of_its_own_training_step(examined):
    lines = DROPOUT.replace("x.T", "X.T").replace("y) / 100", "Y) / 100").splitlines()
    step = [f"    {each}" for each in lines[10:15]]
    head = [each.replace("W -=", "W[...] -=") for each in lines[:9]]
    new = [*head, "def learn(X, Y):", *(each.replace("(x)", "(X)").replace(" -=", "[...] -=")[4:]
           for each in step), "for i in range(60):", "    learn(x, y)", lines[-1]]  # fmt: skip
    mended = apply(script := "\n".join(new), edits_of(examined(script)))
    assert "    global training\n    training = True\n    h, mask, p = forward(X)\n" in mended
    compile(mended, "net.py", "exec")


SCALED = """import numpy as np
r = np.random.default_rng(0)
x = r.normal(size=(150, 2)) * [3, 50] + 200
y = (x[:, :1] + x[:, 1:] / 20 > 210) * 1.0
train, held = x[:100], x[100:]
V, W = r.normal(size=(2, 8)), r.normal(size=(8, 1))
def net(x):
    h = np.tanh(x @ V)
    return h, 1 / (1 + np.exp(-h @ W))
def fit(a):
    global V, W
{fit}
    for i in range(90):
        h, p = net(a)
        d = (p - y[:100]) / 100
        e = d @ W.T * (1 - h**2)
        W = W - 0.5 * h.T @ d
        V = V - 0.5 * a.T @ e
fit(train)
print(np.mean(net(held)[1] - y[100:]))
"""
WITHIN = "    a = (a - a.mean(0)) / a.std(0)"
SPLIT = "train, held = x[:100], x[100:]"


@pytest.mark.parametrize(
    ("fit", "scaling", "mended"),
    [
        (WITHIN, "", f"{SPLIT}\nheld = (held - train.mean(0)) / train.std(0)\n"),
        ("", "\nm, s = train.mean(0), train.std(0)\ntrain = (train - m) / s\nheld = held - m",
         "\nheld = (held - m) / s\n"),
        ("", "\ntrain = (train - train.mean(0)) / train.std(0)",
         f"{SPLIT}\nheld = (held - train.mean(0)) / train.std(0)\ntrain = (train"),
    ],
    ids=["within a function", "half of it", "by its own numbers"],
)  # fmt: skip
def test_what_is_predicted_is_scaled_as_the_training_was(examined, fit, scaling, mended):
    script = SCALED.replace("{fit}", fit).replace(SPLIT, SPLIT + scaling)
    assert mended in apply(script, edits_of(examined(script)))


def test_whole_numbers_are_divided_alike_for_training_and_for_tests(examined):
    pixels = "P = np.random.randint(0, 99, (80, 2)); X = P[:60] // 99; held = P[60:] // 99"
    script = START.replace("X = 2 * np.random.randn(60, 2)", pixels) + ONE_LINE
    mended = apply(script, edits_of(examined(script)))
    assert "X = P[:60] / 99; held = P[60:] / 99" in mended


@pytest.mark.parametrize("size", ["held.shape[0]", "-1"])
def test_what_is_kept_for_tests_is_transposed_as_well(examined, size):
    data = """import numpy as np
r = np.random.default_rng(0)
images, held = r.normal(size=(90, 2, 3)), r.normal(size=(20, 2, 3))
X, X_held = images.reshape(6, images.shape[0]), held.reshape(6, held.shape[0])
Y = (images[:, 0, 0] > 0).reshape(1, 90) * 1.0
W = np.zeros((1, 6))
for step in range(90):
    d = 1 / (1 + np.exp(-(W @ X))) - Y
    W -= 0.5 * d @ X.T / 90
""".replace("held.shape[0]", size)
    mended = apply(data, edits_of(examined(data)))
    assert "images.reshape(len(images), -1).T, held.reshape(len(held), -1).T\n" in mended


@pytest.mark.untraced
@pytest.mark.parametrize(
    ("update", "mended"),
    [
        ("W1 -= rate*X.T @ D1 + lam*W1", "W1 -= rate * (X.T @ D1 + lam * W1)"),
        ("W1 = W1 - rate*X.T.dot(D1) - lam*W1", "W1 -= rate * (X.T.dot(D1) + lam * W1)"),
        ("W1 -= X.T @ D1*rate + lam*W1", "rate, lam = .1, 0.003"),
    ],
    ids=["in place", "anew", "else it is made smaller"],
)
def test_a_penalty_is_multiplied_by_the_rate(examined, update, mended):
    second = update.replace("W1", "W2").replace("X", "A1").replace("D1", "D2")
    step = f"    {update}; b1 -= rate*D1.sum(0); {second}; b2 -= rate*D2.sum(0)\n"
    script = START.replace("rate = 2", "rate, lam = .1, .3").replace("range(30)", "range(900)")
    assert mended in apply(script + step, edits_of(examined(script + step)))
