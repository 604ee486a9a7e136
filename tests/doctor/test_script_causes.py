"""Causes that the operations of a script show, beside what its arrays do."""

import pytest
from observed_scripts import ADAM, BATCH, GATHERED, KEPT, MARGINS, RIGHT, codes, report_of


@pytest.mark.untraced
@pytest.mark.parametrize("script", [RIGHT, BATCH], ids=["all rows", "batches"])
def test_a_network_that_learns_has_no_findings(script):
    assert codes(script) == ()


def test_a_rate_that_is_multiplied_twice_is_seen():
    script = RIGHT.replace("rate = 2.0", "rate = 0.1").replace("d2 = (p", "d2 = rate * (p")
    assert codes(script.replace("d1 = d2", "d1 = rate * d2"))[:1] == ("gradient-scale",)


@pytest.mark.untraced
def test_targets_beyond_a_saturated_sigmoid_are_out_of_its_range():
    assert codes(RIGHT.replace("* 1.0", "* 300.0"))[:1] == ("target-range",)


@pytest.mark.untraced
def test_one_sum_of_all_errors_is_named_before_its_sign():
    script = RIGHT.replace("d2 = (p - Y) / len(X)", "d2 = 2 * np.sum(Y - p) * p * (1 - p) / 80")
    assert codes(script)[:2] == ("gradient-wrong", "gradient-sign")


@pytest.mark.untraced
def test_dropout_that_is_left_on_at_prediction_is_seen():
    masked = "    h = h * (rng.random(h.shape) < 0.5) / 0.5\n"
    forward = f"def forward(X):\n    h = np.tanh(X @ W1 + b1)\n{masked}    return h\n"
    script = RIGHT.replace("for step", forward + "for step").replace(
        "np.tanh(X @ W1 + b1)\n    p", "forward(X)\n    p"
    )
    assert "dropout-at-prediction" in codes(script + "squash(forward(X) @ W2 + b2)\n")
    assert "dropout-at-prediction" not in codes(script)
    kept = script.replace("forward(X):", "forward(X, keep=1.0):").replace("0.5)", "keep)")
    kept = kept.replace("forward(X)\n    p", "forward(X, 0.5)\n    p")
    assert "dropout-at-prediction" not in codes(kept + "squash(forward(X) @ W2 + b2)\n")


@pytest.mark.untraced
def test_layers_with_gradients_and_no_update_are_named_at_the_updates():
    script = RIGHT.replace("    W1 -= rate * X.T @ d1\n    b1 -= rate * d1.sum(axis=0)\n",
                           "    g = {}\n    for k, a, d in ((2, h, d2), (1, X, d1)):\n"
                           "        g[k] = a.T @ d\n").replace("h.T @ d2", "g[2]")  # fmt: skip
    first = report_of(script).findings[0]
    assert (first.code, first.severity, first.where) == ("no-update", "error", "W1")
    assert "W2 -= rate * g[2]: only W2, b2 are updated; the outputs also depend on W1 (2, 8)" in (
        first.evidence
    )
    assert first.evidence.endswith("; its gradient is computed, line 21, a.T @ d, but never used")
    random = script.replace("(1, X, d1)", "").replace("size=(80, 2)", "size=(80, 2)) * (9")
    assert {e.code: e.severity for e in report_of(random).findings}["no-update"] == "warning"
    for start in ("2 * rng.random((2, 8)) - 1", "0.5 * np.ones((2, 8))"):
        other = script.replace("W1 = rng.normal(size=(2, 8))", f"W1 = {start}")
        (found,) = (each for each in report_of(other).findings if each.code == "no-update")
        assert (found.severity, found.where) == ("error", "W1")
    fixed = random.replace("W1 = rng.normal(size=(2, 8))", "W1 = np.ones((2, 8))")
    assert "no-update" not in codes(fixed)


SCALED = RIGHT.replace("labels =", "X = (X - X.mean(axis=0)) / X.std(axis=0)\nlabels =")
SEEN = "rows = rng.normal(1, 2, size=(20, 2))\n"
USED = "squash(np.tanh(rows @ W1 + b1) @ W2 + b2)\n"


def test_new_rows_that_are_scaled_by_their_own_mean_are_named():
    own = "rows = (rows - rows.mean(axis=0)) / rows.std(axis=0)\n"
    (found,) = report_of(SCALED + SEEN + own + USED).findings
    assert (found.code, found.severity) == ("prediction-drift", "warning")
    assert "rows.mean(axis=0): these (20, 2) are scaled by a mean of their own" in found.evidence
    assert codes(SCALED + "rows = X[:20]\n" + USED) == ()


@pytest.mark.untraced
def test_classes_counted_otherwise_than_the_answers_are_seen_in_the_last_steps_outputs():
    script = RIGHT.replace("labels.reshape(-1, 1) * 1.0", "np.eye(2)[labels]")
    script = script.replace("(8, 1)", "(8, 2)").replace("zeros(1)", "zeros(2)")
    ended = "answers = p.argmax(axis=1)\nanswers == labels"
    assert codes(script + ended) == ()
    (found,) = report_of(f"{script}{ended} + 1").findings
    assert (found.code, found.remedy[-15:]) == ("prediction-wrong", "(p, axis=1) + 1")


@pytest.mark.many_steps
def test_a_rate_that_becomes_zero_is_named_though_much_was_learnt_before():
    script = RIGHT.replace("    h =", "    rate = 2.0 * (step < 140)\n    h =")
    assert [(e.code, e.severity) for e in report_of(script).findings] == [
        ("learning-rate-vanishes", "warning")
    ]


COUNTED = RIGHT.replace("for step", "m, v, t = 0 * W1, 0 * W1, 0\nfor step").replace(
    "    W1 -= rate * X.T @ d1\n", """    t += 1
    g = X.T @ d1
    m = 0.9 * m + 0.1 * g
    v = 0.99 * v + 0.01 * g**2
    W1 -= 0.05 * m / (1 - 0.9**t) / (np.sqrt(np.abs(v) / (1 - 0.99**t)) + 1e-8)
""")  # fmt: skip


@pytest.mark.untraced
def test_adam_without_its_square_is_named_though_its_root_is_of_absolute_values():
    assert codes(COUNTED) == ()
    found = report_of(COUNTED.replace("g**2", "g")).findings
    assert [each.code for each in found] == ["update-wrong"]


def test_a_copy_that_is_updated_is_named_where_it_is_made():
    handed = "for w, g in [(W1.copy(), X.T @ d1), (W2.copy(), h.T @ d2)]:\n        w -= rate * g\n"
    script = f"{RIGHT.partition('    W1 -=')[0]}    {handed}"
    (found,) = report_of(script).findings
    assert found.evidence.startswith("line 19, W1.copy(): what line 20, w -= rate * g changes is")


@pytest.mark.untraced
def test_random_features_that_learn_have_no_findings():
    script = RIGHT.replace("8)", "60)").replace("(8, 1)", "(60, 1)").replace(" * X[:, 1]", "")
    script = script.replace("2.0", "0.2").replace("300", "1000")
    start, _, rest = script.partition("    d1 =")
    assert codes(f"{start}    W2 -={rest.partition('    W2 -=')[2]}") == ()


@pytest.mark.untraced
def test_inputs_that_are_scaled_only_in_training_are_seen():
    script = RIGHT.replace("labels =", "def forward(x):\n    return np.tanh(x @ W1 + b1)\nlabels =")
    script = script.replace("h = np.tanh(X @ W1 + b1)", "h = forward(X)")
    used = script + "squash(forward(X) @ W2 + b2)\n"
    assert "prediction-drift" in codes(used + "squash(forward(X[:9] * 50 + 40) @ W2 + b2)\n")
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
for e in range(8):
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


# One row at a time, and the weights of the one output are a vector.
ODD = """
import numpy as np
rng = np.random.default_rng(0)
X = rng.uniform(-1, 1, (200, 2))
Y = (X**2).sum(axis=1) < 0.5
V = rng.normal(size=(2, 10))
w = rng.normal(size=10)
for epoch in range(5):
    for x, y in zip(X, Y):
        h = np.tanh(x @ V)
        e = 1 / (1 + np.exp(-h @ w)) - y
        back = e * w * (1 - h**2)
        w -= 0.1 * e * h
        V -= 0.1 * np.outer(x, back)
"""

# By the code of the finding that must come first.
MISTAKES = {
    "no-bias": ODD.replace("range(5)", "range(2)"),
    "update-order": RIGHT.replace(
        "    d1 = d2 @ W2.T", "    W2 -= 9 * rate * h.T @ d2\n    d1 = d2 @ W2.T").replace(
        "    W2 -= rate * h.T @ d2\n", ""),
    "symmetric-units": RIGHT.replace("rng.normal(size=(2, 8))", "np.ones((2, 8))").replace(
        "rng.normal(size=(8, 1))", "np.ones((8, 1))"),
    "integer-parameters": RIGHT.replace("W1 =", "x = np.zeros((80, 2), dtype=int)\n"
    "x[:, 0] = X[:, 0]\nX = x\nW1 ="),
    "no-update": RIGHT.replace("W1 -= rate *", "dW1 =").replace("b1 -= rate *", "db1 ="),
    "error-not-from-targets": ONE_BY_ONE.replace("d[c]", "d[y[-1]]"),
    "gradient-activation-derivative": RIGHT.replace("exp(-z)", "exp(z)"),
    "weights-redrawn": RIGHT.replace("    h =", "    W1, W2 = rng.normal(size=(2, 8)), "
    "rng.normal(size=(8, 1))\n    b1, b2 = np.zeros(8), np.zeros(1)\n    h ="),
}  # fmt: skip


SUMMED = BATCH.replace(
    "    W1 -= rate * x.T @ d1", "    G += x.T @ d1\n    W1 -= rate * G"
).replace("for step", "G = np.zeros((2, 8))\nfor step")
ONE_BY_ONE_NORMALISED = (
    RIGHT.replace("X @ W1 + b1", "norm(X @ W1) + b1").replace(
        "for step", "def norm(z):\n    return z - z.mean(axis=0)\nfor step"
    )
    + "for x in X:\n    squash(np.tanh(norm(x[None] @ W1) + b1) @ W2 + b2)\n"
)
SINGLE_NUMBERS = """
import math
rows, targets = [[133, 65], [160, 72], [152, 70], [120, 60]], [1, 0, 0, 1]
a, b, c, d = 0.3, -0.2, 0.1, 0.5
for step in range(50):
    for (x, y), t in zip(rows, targets):
        h = math.tanh(a * float(x) + b * float(y) + c)
        e = d * h - t
        back = e * d * (1 - h * h)
        d -= 0.01 * e * h
        a -= 0.01 * back * x
        b -= 0.01 * back * y
        c -= 0.01 * back
"""
LOST = RIGHT[: RIGHT.index("    W1 -=")].replace("rate =", "W3 = rng.normal(size=W1.shape)\nrate =")
LOST += """
    for w, g in zip((W3, W1, W2), (X.T @ d1, X.T @ d1, h.T @ d2)):
        w = w - rate * g
"""
LAST_ROW = (
    RIGHT[: RIGHT.index("for step")].replace("rate = 2.0", "rate = 0.2")
    + """
for epoch in range(10):
    for x, y in zip(X, Y):
        h = np.tanh(x @ W1 + b1)
        d2 = squash(h @ W2 + b2) - y
        d1 = W2 @ d2 * (1 - h**2)
    W1 -= rate * np.outer(x, d1)
    b1 -= rate * d1
    W2 -= rate * np.outer(h, d2)
    b2 -= rate * d2
"""
)
ANSWERS = RIGHT + "answers = squash(np.tanh(X @ W1 + b1) @ W2 + b2) > 0.5\n"
SORTED = RIGHT.replace("labels.reshape(-1, 1) * 1.0", "np.eye(3)[np.minimum(labels, 1)]").replace(
    "(8, 1)", "(8, 3)").replace("zeros(1)", "zeros(3)")  # fmt: skip
SORTED += "np.mean(squash(np.tanh(X @ W1 + b1) @ W2 + b2).argmax(axis=1) == np.arange(80) % 3)\n"
NUMBERS = RIGHT.replace("labels.reshape(-1, 1) * 1.0", "np.tanh(X[:, :1])").replace(
    "squash(h @ W2 + b2)", "h @ W2 + b2").replace("rate = 2.0", "rate = 0.5")  # fmt: skip
EMPTY = BATCH.replace("rng.permutation(80)[:20]", "20 * (step % 4)").replace("[rows]", "[rows:20]")
NOISY = BATCH.replace("X[rows], Y[rows]", "X[:60], Y[:60]\n    x += rng.normal(size=x.shape)")
SORTED_ROWS = BATCH.replace("W1 = rng", "X, Y = X[labels.argsort()], np.sort(Y, axis=0)\nW1 = rng"
    ).replace("rng.permutation(80)[:20]", "slice(20 * (step % 4), 20 * (step % 4) + 20)").replace(
    "    rows", "    if step % 4 == 0: rng.shuffle(X)\n    rows")  # fmt: skip
ALONE = RIGHT.replace("    p = squash(", "    e = np.exp(").replace(
    "    d2 =", "    p = e / e.sum(axis=1, keepdims=True)\n    d2 =")  # fmt: skip
MORE_MISTAKES = [
    ("softmax-axis", ALONE),
    ("update-wrong", ADAM.replace("(np.sqrt(s[k] / (1 - 0.9**now)) + 1e-8)", "(s[k] + 1e-8)")),
    ("shuffled-targets", SORTED_ROWS),
    ("rows-left-out", EMPTY),
    ("data-changed", NOISY),
    ("target-range", MARGINS),
    ("gradient-accumulated", GATHERED),
    ("rows-left-out", LAST_ROW),
    ("prediction-wrong", ANSWERS + "np.mean(answers == labels)\n"),
    ("prediction-wrong", ANSWERS.replace("> 0.5", "> 0") + "np.mean(answers == Y)\n"),
    (
        "prediction-wrong",
        ANSWERS.replace("squash(np", "(squash(np").replace(" > 0.5", ").astype(int)")
        + "np.mean(answers == Y)\n",
    ),
    ("prediction-wrong", NUMBERS + "np.sum((100 * Y - (np.tanh(X @ W1 + b1) @ W2 + b2))**2)\n"),
    (
        "rows-left-out",
        RIGHT[: RIGHT.index("    W1 -=")]
        + "    if step % 99 == 0:\n    "
        + RIGHT[RIGHT.index("    W1 -=") :].replace("\n", "\n    "),
    ),
    ("rows-left-out", SORTED),
    (
        "normalised-per-row",
        RIGHT.replace(
            "W1 =",
            "X = np.hstack([X, X, 1e4 * X[:, :1]**3])\nX = (X - X.mean()) / X.std()\nW1 =",
        ).replace("(2, 8)", "(5, 8)"),
    ),
    ("update-wrong", ADAM.replace("g**2", "g")),
    ("update-wrong", KEPT),
    ("update-wrong", ADAM.replace("1e-8", "1e4")),
    ("update-wrong", ADAM.replace("w -= 0.05 *", "w -= 500 * abs(g) *")),
    ("update-wrong", KEPT.replace("m[k] = m[k] /", "m[k] /=")),
    ("update-wrong", ADAM.replace("(1 - 0.9**now)", "(1 - 0.9)**now")),
    ("update-wrong", RIGHT.replace("rate * X.T @ d1", "rate * (X.T @ d1 - 0.05 * W1)")),
    ("gradient-accumulated", SUMMED),
    ("prediction-wrong", ONE_BY_ONE_NORMALISED),
    ("unscaled-inputs", SINGLE_NUMBERS),
    ("no-update", LOST),
]


@pytest.mark.untraced
def test_what_is_taken_off_within_a_network_is_no_target_of_another_unit():
    inside = "np.tanh(X @ W1 + b1 - 1e-3 * np.ones((80, 8))) @ W2 + b2"
    assert codes(f"{NUMBERS}np.sum((Y - ({inside}))**2)\n") == ()


@pytest.mark.untraced
def test_an_optimizer_written_by_hand_has_no_findings():
    assert codes(ADAM) == ()


@pytest.mark.untraced(but=[
    "update-wrong", "unscaled-inputs", "prediction-wrong",
    "normalised-per-row", "rows-left-out", "softmax-axis",
])  # fmt: skip
@pytest.mark.parametrize(("code", "script"), [*MISTAKES.items(), *MORE_MISTAKES])
def test_the_mistake_is_the_first_finding(code, script):
    steps = 300 if code == "rows-left-out" else 90
    assert codes(script.replace("range(300)", f"range({steps})"))[:1] == (code,)


@pytest.mark.untraced
def test_weights_that_shrink_without_a_penalty_are_not_put_down_to_one():
    shrinking = ODD.replace("w = rng", "X, Y = np.vstack([X, -X]), np.hstack([Y, Y])\nw = 3 * rng")
    shrinking = shrinking.replace("V = rng", "V = 0.05 * rng").replace("0.1 *", "1.0 *")
    assert "regularisation-dominates" not in codes(shrinking.replace("range(5)", "range(10)"))


@pytest.mark.untraced
def test_an_error_taken_from_a_part_of_the_inputs_is_named():
    assert "error-not-from-targets" in codes(RIGHT.replace("(p - Y)", "(p - X[:, :1])"))
    assert "error-not-from-targets" not in codes(RIGHT.replace("(8, 1)", "(8, 2)").replace(
        "zeros(1)", "zeros(2)").replace("(p - Y)", "(p - X)"))  # fmt: skip


@pytest.mark.untraced(but=["y.tolist()"])
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
for step in range(100):
    for k in range(0, 60, 20):
        g1, g2, g3, g4 = slopes(X[k : k + 20], Y[k : k + 20])
        W1 -= rate * g1
        b1 -= rate * g2
        W2 -= rate * g3
        b2 -= rate * g4
    slopes(X[50:], Y[50:], train=False)
"""
)


@pytest.mark.untraced
def test_validation_between_steps_is_no_part_of_them():
    assert codes(VALIDATED) == ()


def test_answers_that_are_counted_wrongly_are_seen_though_the_network_learnt():
    two = RIGHT.replace("Y = labels.reshape(-1, 1) * 1.0", "Y = np.eye(2)[labels]").replace(
        "size=(8, 1)", "size=(8, 2)"
    )
    two = two.replace("b2 = np.zeros(1)", "b2 = np.zeros(2)")
    answers = "found = squash(np.tanh(X @ W1 + b1) @ W2 + b2)\n"
    assert codes(two + answers + "right = np.argmax(found, axis=1) == labels") == ()
    for counted in ("np.argmax(found, axis=0)", "np.argmax(found, axis=1) == labels + 1"):
        assert codes(f"{two}{answers}right = {counted}") == ("prediction-wrong",)


COLUMNS = """
import numpy as np
rng = np.random.default_rng(0)
images = rng.normal(size=(90, 2, 3))
X = images.reshape(6, 90)
Y = (images[:, 0, 0] > 0).reshape(1, 90) * 1.0
W = np.zeros((1, 6))
for step in range(100):
    d = 1 / (1 + np.exp(-(W @ X))) - Y
    W -= 0.5 * d @ X.T / 90
"""
ONE_HOT = RIGHT.replace("labels.reshape(-1, 1) * 1.0", "np.zeros((80, 2)); Y[:, labels] = 1")
ONE_HOT = ONE_HOT.replace("(8, 1)", "(8, 2)").replace("b2 = np.zeros(1)", "b2 = np.zeros(2)")
RADIUS = RIGHT.replace("labels = (X[:, 0] * X[:, 1] > 0)", "r = np.linalg.norm(X, axis=1, "
                       "keepdims=True)\nlabels = (r > 1)")  # fmt: skip


@pytest.mark.untraced(but=["images to columns", "columns to rows"])
@pytest.mark.parametrize(
    ("code", "right", "changes"),
    [
        ("shuffled-targets", COLUMNS.replace("(6, 90)", "(90, 6).T"), [("(90, 6).T", "(6, 90)")]),
        ("shuffled-targets", RIGHT, [
            ("labels =", "whole = X\nX = whole.T.reshape(80, 2)\nlabels ="),
            ("(X[:, 0] * X[:, 1]", "(whole[:, 0] * whole[:, 1]")]),
        ("constant-target", ONE_HOT.replace("[:, labels]", "[range(80), labels]"),
         [("[range(80), labels]", "[:, labels]")]),
        ("normalised-per-row", RADIUS, [("W1 =", "X = X / r\nW1 =")]),
    ],
    ids=["images to columns", "columns to rows", "one-hot", "radius"],
)  # fmt: skip
def test_what_spoils_the_data_before_training_is_the_only_finding(code, right, changes):
    assert codes(right) == ()
    for change in changes:
        right = right.replace(*change)
    assert codes(right) == (code,)


TRAININGS = (
    RIGHT[: RIGHT.index("W1 =")]
    + """
def start():
    global W1, b1, W2, b2
    W1, b1, W2, b2 = rng.normal(size=(2, 8)), np.zeros(8), rng.normal(size=(8, 1)), np.zeros(1)
def epoch():
    for k in range(0, 80, ROWS):
        x, y = X[k : k + ROWS], Y[k : k + ROWS]
        h = np.tanh(x @ W1 + b1)
        d2 = (1 / (1 + np.exp(-(h @ W2 + b2))) - y) / ROWS
        d1 = d2 @ W2.T * (1 - h**2)
        W1[:] -= 0.05 * x.T @ d1
        b1[:] -= 0.05 * d1.sum(axis=0)
        W2[:] -= 0.05 * h.T @ d2
        b2[:] -= 0.05 * d2.sum(axis=0)
for training in range(15):
    start()
    for each in range(EPOCHS):
        epoch()
"""
)


@pytest.mark.untraced(but=["16"])
@pytest.mark.parametrize(
    ("rows", "epochs", "wrong"), [("2", "1", True), ("16", "1", True), ("8", "3", False)]
)
def test_weights_that_are_drawn_anew_in_each_epoch_are_seen_and_restarts_let_be(
    rows, epochs, wrong
):
    found = codes(TRAININGS.replace("ROWS", rows).replace("EPOCHS", epochs))
    assert (found[:1] == ("weights-redrawn",)) is wrong
    assert ("weights-redrawn" in found) is wrong


@pytest.mark.untraced(but=["g * min(1, LIMIT / np.sqrt(np.sum(g**2)))"])
@pytest.mark.parametrize(
    "cut", ["np.clip(g, -LIMIT, LIMIT)", "g * min(1, LIMIT / np.sqrt(np.sum(g**2)))"]
)
def test_gradients_that_are_cut_to_almost_nothing_are_named_and_others_not(cut):
    script = RIGHT.replace("for step", f"def cut(g):\n    return {cut}\nfor step")
    for gradient in ("X.T @ d1", "d1.sum(axis=0)", "h.T @ d2", "d2.sum(axis=0)"):
        script = script.replace(f"rate * {gradient}", f"rate * cut({gradient})")
    assert codes(script.replace("LIMIT", "1.0")) == ()
    (found,) = report_of(script.replace("LIMIT", "1e-6")).findings
    assert found.code == "learning-rate-too-small"
    assert f"{cut}: this leaves".replace("LIMIT", "1e-6") in found.evidence


SOFTMAX = (
    RIGHT.replace("labels.reshape(-1, 1) * 1.0", "np.eye(3)[labels + (X[:, 0] > 1)]")
    .replace("1 / (1 + np.exp(-z))", "np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)")
    .replace("(8, 1)", "(8, 3)").replace("zeros(1)", "zeros(3)")
)  # fmt: skip


def test_softmax_has_not_the_derivative_of_a_sigmoid():
    assert codes(SOFTMAX) == ()
    for factor in ("p * (1 - p)", "(p * (1 - p))"):
        found = report_of(SOFTMAX.replace("(p - Y) / len(X)", f"(0.01 * (p - Y)) * {factor}"))
        assert found.codes[0] == "gradient-activation-derivative"
        (change,) = found.findings[0].repair["edits"]
        assert change["text"] in ("(0.01 * (p - Y))", "0.01 * (p - Y)")


def test_rows_of_unit_length_whose_directions_predict_have_no_findings():
    script = RIGHT.replace("labels =", "X = X / np.linalg.norm(X, axis=1, keepdims=True)\nlabels =")
    assert "normalised-per-row" not in codes(script.replace("rate = 2.0", "rate = 0.02"))


@pytest.mark.untraced
@pytest.mark.parametrize("layer", ["1", "2"])
def test_a_layer_whose_gradient_nothing_uses_is_seen_wherever_it_is(layer):
    script = RIGHT.replace("X.T @ d1", "dW1").replace("h.T @ d2", "dW2").replace(
        "    W1 -=", "    dW1, dW2 = 1.0 * (X.T @ d1), 1.0 * (h.T @ d2)\n    W1 -="
    )  # fmt: skip
    lines = [line for line in script.splitlines() if f"    W{layer} -=" not in line]
    assert codes("\n".join(lines))[:1] == ("no-update",)


def test_updates_that_are_never_run_are_named():
    found = codes(RIGHT.replace("    W1 -=", "    continue\n    W1 -="))
    assert found == ("no-update",)


def test_a_sum_that_is_never_run_is_no_update_of_weights():
    unused = "def add(a, b):\n    total = 0\n    total += a * b\n    return total\n"
    assert codes(f"import numpy as np\n{unused}x = np.arange(9.0)\nfor i in range(30):\n"
                 "    x = x * 0.5 + 1\n") == ()  # fmt: skip


ELEMENTS = """
import numpy as np
rng = np.random.default_rng(8)
X = rng.normal(size=(24, 2))
Y = (X[:, 0] > 0) * 1.0
W, w = rng.normal(size=(2, 2)), rng.normal(size=2)
for step in range(10):
    for n in range(24):
        h = 1 / (1 + np.exp(-(W @ X[n])))
        d = 1 / (1 + np.exp(-(w @ h))) - Y[n]
        for j in range(2):
            g = d * w[j] * h[j] * (1 - h[j])
            w[j] -= 0.4 * d * h[j]
            for i in range(2):
                W[j, i] -= 0.4 * g * X[n, i]
"""


@pytest.mark.untraced
def test_elements_of_one_array_are_shared_by_nobody_and_read_one_by_one():
    first, second = ELEMENTS.splitlines()[-4:-2]
    assert not {"shared-parameters", "update-order"} & {*codes(ELEMENTS)}
    swapped = ELEMENTS.replace(f"{first}\n{second}", f"{second}\n{first}")
    assert "update-order" in codes(swapped)


BATCHES = RIGHT.replace("(X @", "(x @").replace("X.T", "x.T").replace("- Y", "- y").replace(
    "    h =", "    k = step % 4\n    x, y = X[k:k + 20], Y[k:k + 20]\n    h ="
).replace("labels =", "X = X[np.argsort(X[:, 0] * X[:, 1])]\nlabels =")  # fmt: skip


@pytest.mark.untraced
def test_targets_of_one_class_follow_from_the_rows_that_are_left_out():
    (first, *others) = report_of(BATCHES).findings
    assert first.code == "rows-left-out"
    assert "constant-target" in first.explanation
    assert "constant-target" not in {each.code for each in others}


VELOCITIES = """
import numpy as np
rng = np.random.default_rng(0)
X = rng.normal(size=(10, 2))
Y = X[:, :1] * X[:, 1:]
w = [rng.normal(size=(2, 3)), rng.normal(size=(3, 1))]
v = [np.zeros_like(each) for each in w]
for step in range(9):
    h = np.tanh(X @ w[0])
    d = (h @ w[1] - Y) / 10
    g = [X.T @ (d @ w[1].T * (1 - h**2)), h.T @ d]
    for k in range(2):
        v[k] = 0.9 * v[k] - 0.1 * g[k]
        w[k] += v[k]
"""


def test_a_rate_of_one_over_the_rows_in_a_velocity_is_no_division_by_them():
    assert codes(VELOCITIES) == ("no-bias",)


def test_a_margin_has_outputs_and_targets_too():
    script = RIGHT.replace("* 1.0", "* 2.0 - 1").replace("squash(h @ W2 + b2)", "h @ W2 + b2")
    hinge = script.replace("(p - Y) / len(X)", "-Y * (Y * p < 1) / len(X)").replace(
        "2.0\n", "0.5\n"
    )
    assert codes(hinge) == ()
    assert codes(hinge.replace("rate * ", "1e-9 * "))[:1] == ("learning-rate-too-small",)
