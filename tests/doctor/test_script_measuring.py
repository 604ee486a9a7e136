"""Gradients of unchanged scripts are measured: what is right, and which operand is wrong."""

import os
import re
import sys
from contextlib import nullcontext

import pytest

from xpnet.doctor.scripts.examine import examine
from xpnet.doctor.scripts.recording.fork import Child, _cut_off, _refuse, ask
from xpnet.doctor.scripts.recording.source import Script
from xpnet.doctor.scripts.repairs.edits import apply

pytestmark = [pytest.mark.process, pytest.mark.untraced]  # but for what is `counted`

NETWORK = """import numpy as np
rng = np.random.default_rng(1)
X = rng.normal(size=(40, 3))
Y = (X[:, :1] * X[:, 1:2] > 0) * 1.0
W1, b1 = rng.normal(size=(3, 3)), np.zeros((1, 3))
W2, b2 = rng.normal(size=(3, 3)), np.zeros((1, 3))
W3, b3 = rng.normal(size=(3, 1)), np.zeros((1, 1))
v1 = s1 = 0.0
for step in range(1, 60):
    A1 = np.tanh(X @ W1 + b1)
    A2 = np.tanh(A1 @ W2 + b2)
    P = 1 / (1 + np.exp(-(A2 @ W3 + b3)))
    D3 = (P - Y) / len(X)
    D2 = D3 @ W3.T * (1 - A2**2)
    D1 = D2 @ W2.T * (1 - A1**2)
    dW1 = X.T @ D1
    W3 -= 0.5 * A2.T @ D3
    b3 -= 0.5 * D3.sum(axis=0, keepdims=True)
    W2 -= 0.5 * A1.T @ D2
    b2 -= 0.5 * D2.sum(axis=0, keepdims=True)
    W1 -= 0.5 * dW1
    b1 -= 0.5 * D1.sum(axis=0, keepdims=True)
"""


@pytest.fixture
def report(tmp_path, monkeypatch):
    def run(text, *arguments):
        path = tmp_path / "net.py"
        path.write_text(text)
        monkeypatch.chdir(tmp_path)
        return examine(Script(str(path), arguments)).report

    return run


def changed(*pairs):
    text = NETWORK
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    return text


def test_slopes_that_cancel_are_no_evidence_against_a_gradient(report):
    symmetric = "X = np.repeat(rng.normal(size=(40, 3)), 2, axis=0)\nX[1::2] *= -1"
    text = changed(("X = rng.normal(size=(40, 3))", symmetric),
                   ("Y = (X[:, :1] * X[:, 1:2] > 0)", "X += rng.normal(size=X.shape) * 1e-7\n"
                    "Y = (X[:, :1] > 0)"))  # fmt: skip
    found = report(text)
    assert not [each for each in found.findings if each.code.startswith("gradient")]


def test_a_right_gradient_of_saturated_units_is_not_called_wrong(report):
    large = "X = X * [1, 1, 3000]\nW1, b1 = 0.5 * "
    text = changed(("rng(1)", "rng(3)"), ("X[:, :1] * X[:, 1:2]", "X[:, :1]"), ("W1, b1 = ", large))
    found = report(text)
    assert found.codes == ("unscaled-inputs",)
    assert "every gradient" in found.facts["gradients"]


def test_a_sign_is_seen_where_one_output_is_taught_row_by_row(report):
    # There each weight's gradient is a multiple of what the layer was given, whatever the sign.
    row = "    X, Y = XX[step % 40 :][:1], YY[step % 40 :][:1]\n    A1 ="
    text = changed(("W1, b1", "XX, YY = X, Y\nW1, b1"), ("    A1 =", row), ("(P - Y)", "(Y - P)"))
    assert [each.where for each in report(text).findings] == ["every parameter"]


@pytest.mark.parametrize(
    ("error", "loss"),
    [
        ("(P - Y)", "binary cross-entropy"),
        ("(P - Y) * P * (1 - P)", "squared error"),
        ("np.sign(P - Y) * P * (1 - P)", "absolute error"),
        ("(1.0 + 3.0 * Y) * (P - Y)", "binary cross-entropy, weighted by class"),
        (
            "np.clip(P - Y, -0.4, 0.4) * P * (1 - P)",
            "loss with the slope np.clip(P - Y, -0.4, 0.4)",
        ),
    ],
)
def test_a_right_gradient_is_said_to_be_right_and_of_which_loss(report, error, loss):
    found = report(changed(("(P - Y)", error)))
    assert f"Right: every gradient, as the slope of the {loss}" in found.facts["gradients"]
    assert not [each for each in found.findings if each.code.startswith("gradient")]


LISTS = """
import math, random
random.seed(4)
def sig(v): return 1 / (1 + math.exp(-v))
points = [(random.random(), random.random()) for _ in range(80)]
rows = [(a, b, (a > .5) != (b > .5)) for a, b in points]
w = [[random.uniform(-2, 2) for _ in range(3)] for _ in range(4)]
v = [random.uniform(-2, 2) for _ in range(5)]
for epoch in range(10):
    for a, b, t in rows:
        h = [sig(u[0] * a + u[1] * b + u[2]) for u in w]
        o = sig(sum(v[j] * h[j] for j in range(4)) + v[4])
        d = (o - t) * o * (1 - o)
        for j in range(4):
            dh = d * v[j] * h[j] * (1 - h[j])
            w[j][0] -= .5 * dh * a
            w[j][1] -= .5 * dh * b
            w[j][2] -= .5 * dh
        for j in range(4):
            v[j] -= .5 * d * h[j]
        v[4] -= .5 * d
"""


def test_a_bias_summed_over_its_units_is_named_whatever_makes_its_step(report):
    text = changed(
        ("D1.sum(axis=0, keepdims=True)", "m1 / (np.sqrt(u1) + 1e-8)"),
        ("v1 = s1 = 0.0", "m1 = np.zeros_like(b1); u1 = np.zeros_like(b1)"),
        ("    W3 -=", "    g1 = np.sum(D1); m1 = 0.9 * m1 + 0.1 * g1\n"
         "    u1 = 0.99 * u1 + 0.01 * g1**2\n    W3 -="),
    )  # fmt: skip
    found = {each.code: each for each in report(text).findings}
    assert "g1 = np.sum(D1, axis=0, keepdims=True)" in found["gradient-shape"].remedy


def test_an_input_that_is_one_number_is_not_taken_for_a_rate(report):
    codes = report(LISTS).codes
    assert not {"gradient-scale", "learning-rate-vanishes"} & {*codes}, codes


def test_an_uneven_loss_is_not_judged_by_squared_errors(report):
    slope = "np.where(E > 0, 0.02, -0.98)"
    found = report(changed(("D3 = (P - Y)", f"E = P - Y\n    D3 = {slope} * P * (1 - P)")))
    assert (
        f"every gradient, as the slope of the uneven loss with the slope {slope}"
        in found.facts["gradients"]
    )
    assert "no-better-than-constant" not in found.codes


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ("np.maximum(1 - Y * P, 0)", "every gradient, as the slope of the squared hinge loss"),
        ("np.exp(-Y * P)", "the loss of these margins is not known"),
    ],
)
def test_margins_may_be_squared_or_enter_another_loss(report, error, said):
    text = changed(
        ("* 1.0", "* 2.0 - 1"), ("1 / (1 + np.exp(-(A2 @ W3 + b3)))", "9 * A2 @ W3 + b3")
    )
    found = report(text.replace("(P - Y)", f"-Y * {error}"))
    assert said in found.facts["gradients"]
    assert not [each for each in found.codes if each.startswith("gradient")]


def test_what_a_weighted_loss_gives_is_not_judged_by_plain_errors(report):
    rare = "Y = (X[:, :1] + rng.normal(size=(40, 1)) > 2) * 1.0"
    text = changed(
        ("Y = (X[:, :1] * X[:, 1:2] > 0) * 1.0", rare), ("(P - Y)", "(1 + 30 * Y) * (P - Y)")
    )
    assert report(text).codes == ()


RELU = [("np.tanh(X @ W1 + b1)", "np.maximum(X @ W1 + b1, 0)"),
        ("np.tanh(A1 @ W2 + b2)", "np.maximum(A1 @ W2 + b2, 0)"),
        (" * (1 - A2**2)", "; D2[A2 <= 0] = 0"),
        (" * (1 - A1**2)", "; D1[A1 <= 0] = 0")]  # fmt: skip


def test_the_mask_of_another_layer_is_named(report):
    found = report(changed(*RELU, ("D2[A2", "D2[A1"))).findings[0]
    assert found.code == "gradient-activation-derivative"
    assert "D2[A2 <= 0] = 0" in found.remedy


def test_the_networks_of_a_gan_are_not_judged_by_each_others_errors(report):
    found = report("""import numpy as np
rng = np.random.default_rng(0)
G, g, D, d, E, e = rng.normal(size=(1, 1)), 0.0, rng.normal(size=(1, 8)), np.zeros(8), 0, 0
E, e, n = rng.normal(size=(8, 1)), np.zeros(1), 32
T = np.vstack([np.ones((n, 1)), np.zeros((n, 1))])
def judge(x):
    h = np.tanh(x @ D + d)
    return h, 1 / (1 + np.exp(-(h @ E + e)))
for step in range(300):
    z = rng.normal(size=(n, 1))
    x = np.vstack([rng.normal(3, 0.5, size=(n, 1)), z @ G + g])
    h, p = judge(x)
    o = (p - T) / n
    i = o @ E.T * (1 - h**2)
    E -= 0.1 * h.T @ o; e -= 0.1 * o.sum(0); D -= 0.1 * x.T @ i; d -= 0.1 * i.sum(0)
    h, p = judge(z @ G + g)
    i = ((p - 1) / n) @ E.T * (1 - h**2) @ D.T
    G -= 0.1 * z.T @ i; g = g - 0.1 * i.sum()
""")
    assert found.codes == ()
    assert "what teaches G, g" in found.facts["not_mapped"]
    assert "the gradient of E, e, D, d" in found.facts["gradients"]


def test_a_policys_errors_are_weighted_by_rewards(report):
    found = report("""import numpy as np
rng = np.random.default_rng(0)
best = rng.normal(size=(4, 3))
W, b, V, c = rng.normal(size=(4, 8)), np.zeros(8), rng.normal(size=(8, 3)) / 9, np.zeros(3)
for step in range(100):
    x = rng.normal(size=(32, 4))
    h = np.tanh(x @ W + b)
    p = np.exp(h @ V + c)
    p /= p.sum(axis=1, keepdims=True)
    actions = np.array([rng.choice(3, p=each) for each in p])
    rewards = (actions == (x @ best).argmax(axis=1)) * 1.0
    d = p.copy()
    d[np.arange(32), actions] -= 1
    d *= (rewards - rewards.mean())[:, None] / 32
    e = d @ V.T * (1 - h**2)
    V -= 0.3 * h.T @ d
    c -= 0.3 * d.sum(axis=0)
    W -= 0.3 * x.T @ e
    b -= 0.3 * e.sum(axis=0)
""")
    assert found.codes == ()
    assert "weighted by row, line 14, d *= (rewards - rewards" in found.facts["gradients"]


def test_what_is_right_is_named_where_another_network_was_not_looked_at(report):
    other = "for step in range(9):\n    W3 -= A2.T @ (A2 @ W3 - Y) / 400\n"
    found = report(f"{NETWORK}print(step)\n{other}")
    assert found.facts["not_looked_at"] == "line 25, W3 -= A2.T @ (A2 @ W3 - Y) / 400"
    assert "Right: the gradient of W3, b3, W2, b2, W1, b1, as" in found.facts["gradients"]


def test_what_two_errors_teach_is_not_judged_by_one_of_them(report):
    text = changed(
        ("W3, b3 =", "W4, Z = rng.normal(size=(3, 1)), np.sin(X[:, 2:])\nW3, b3 ="),
        ("D3 = (P", "D4 = (A2 @ W4 - Z) / len(X)\n    D3 = (P"),
        ("D3 @ W3.T", "(D3 @ W3.T + D4 @ W4.T)"),
    )  # fmt: skip
    found = report(text + "    W4 -= 0.5 * A2.T @ D4\n")
    assert found.codes == ()
    assert "what teaches W4" in found.facts["not_mapped"]
    assert "the gradient of W3, b3" in found.facts["gradients"]


def test_counts_are_judged_by_their_own_loss(report):
    text = changed(
        ("Y = (", "Y = 1 + 3 * ("), ("1 / (1 + np.exp(-(A2 @ W3 + b3)))", "np.exp(A2 @ W3 + b3)")
    )
    assert "every gradient, as the slope of the Poisson loss" in report(text).facts["gradients"]


OPTIMISERS = {
    "momentum": "v = 0.9 * v + G; W -= 0.1 * v",
    "velocity": "v = 0.9 * v - 0.1 * G; W += v",
    "nesterov": "o = v; v = 0.9 * v - 0.1 * G; W += -0.9 * o + 1.9 * v",
    "rmsprop": "s = 0.9 * s + 0.1 * G**2; W -= 0.01 * G / (np.sqrt(s) + 1e-8)",
    "adam": "v = 0.9 * v + 0.1 * G; s = 0.99 * s + 0.01 * G**2; "
    "W -= 0.01 * (v / (1 - 0.9**step)) / (np.sqrt(s / (1 - 0.99**step)) + 1e-8)",
    "adamax": "v = 0.9 * v + 0.1 * G; s = np.maximum(0.99 * s, abs(G)); "
    "W -= 0.01 / (1 - 0.9**step) * v / (s + 1e-8)",
    "penalty": "W -= 0.5 * (G + 1e-3 * W)",
    "decay": "W = (1 - 1e-3) * W - 0.5 * G",
    "clipping": "W -= 0.5 * np.clip(G, -0.01, 0.01)",
}


@pytest.mark.parametrize("names", ["momentum velocity nesterov", "rmsprop adam adamax",
                                   "penalty decay clipping"])  # fmt: skip
def test_optimisers_written_by_hand_are_not_called_wrong(report, names):
    """Three in one script, each with a layer of its own."""
    text = changed(("v1 = s1 = 0.0", "v1 = v2 = v3 = s1 = s2 = s3 = 0.0"))
    for layer, name in enumerate(names.split(), 1):
        gradient = ("dW1", "A1.T @ D2", "A2.T @ D3")[layer - 1]
        update = re.sub(r"\b([Wvs])\b", rf"\g<1>{layer}", OPTIMISERS[name])
        text = text.replace(f"W{layer} -= 0.5 * {gradient}", re.sub("G", f"({gradient})", update))
    found = report(text)
    assert not [each for each in found.findings if each.code.startswith("gradient")]
    assert "every gradient" in found.facts["gradients"]


@pytest.mark.untraced(but=["(1 - A2)"])
@pytest.mark.usefixtures("counted")
@pytest.mark.parametrize(
    ("old", "new", "code", "remedy"),
    [
        ("(P - Y)", "(Y - P)", "gradient-sign", "line 13: D3 = (P - Y) / len(X)"),
        ("W1 -= 0.5", "W1 += 0.5", "gradient-sign", "line 21: W1 -= 0.5 * dW1"),
        ("A1.T @ D2", "A2.T @ D2", "gradient-operand", "line 19: W2 -= 0.5 * A1.T @ D2"),
        ("X.T @ D1", "X.T @ D2", "gradient-operand", "line 16: dW1 = X.T @ D1"),
        (" * (1 - A1**2)", "", "gradient-activation-derivative",
         "line 15: D1 = D2 @ W2.T * (1 - A1**2)"),
        ("(1 - A2**2)", "(1 - A2)", "gradient-activation-derivative",
         "line 14: D2 = D3 @ W3.T * (1 - A2**2)"),
        ("(1 - A2**2)", "(1 - np.tanh(A2)**2)", "gradient-activation-derivative",
         "line 14: D2 = D3 @ W3.T * (1 - A2**2)"),
        ("D2 @ W2.T", "D2 @ W2", "gradient-transposed", "line 15: D1 = D2 @ W2.T * (1 - A1**2)"),
        ("D2 @ W2.T * (1 - A1**2)", "np.sin(9 * A1) * D3", "gradient-wrong",
         "derive the gradient in line 16 again"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_line_as_it_should_be(report, old, new, code, remedy):
    found = report(changed((old, new))).findings[0]
    assert (found.code, found.severity) == (code, "error")
    assert found.remedy.startswith(remedy)
    if found.repair is not None:
        mended = apply(changed((old, new)), found.repair["edits"])
        assert remedy.partition(": ")[2] in mended


@pytest.mark.parametrize(
    ("slope", "given", "hidden", "remedy"),
    [
        ("x * (1 - x)", "Z", "slope(Z1)", "line 7: def slope(x): return f(x) * (1 - f(x))"),
        ("x * (1 - x)", "Z", "S1", "line 7: def slope(x): return f(x) * (1 - f(x))"),
        ("f(x) * (1 - f(x))", "A", "slope(A1)", "line 15: D2 = (A2 - Y) * (A2 * (1 - A2))"),
    ],
)  # fmt: skip
def test_a_derivative_of_the_wrong_value_in_all_layers_is_named(
    report, slope, given, hidden, remedy
):
    text = f"""import numpy as np
rng = np.random.default_rng(4)
X = rng.normal(size=(150, 2)); Y = (X[:, :1] * X[:, 1:] > 0) * 1.0
W1, b1, W2, b2 = rng.normal(size=(2, 8)), np.zeros(8), rng.normal(size=(8, 1)), np.zeros(1)
def f(x):
    return 1 / (1 + np.exp(-x))
def slope(x): return {slope}
for step in range(60):
    Z1 = X @ W1 + b1
    A1 = f(Z1)
    Z2 = A1 @ W2 + b2
    A2 = f(Z2)
    S1 = slope({given}1)

    D2 = (A2 - Y) * slope({given}2)
    D1 = (D2 @ W2.T) * {hidden}
    W2 -= 0.01 * A1.T @ D2
    b2 -= 0.01 * D2.sum(0)
    W1 -= 0.01 * X.T @ D1
    b1 -= 0.01 * D1.sum(0)
"""
    found = report(text).findings
    assert {each.code for each in found} == {"gradient-activation-derivative"}
    assert found[0].remedy == remedy


def test_a_sign_is_seen_where_large_weights_saturate_all_outputs(report, monkeypatch):
    monkeypatch.setattr("xpnet.doctor.scripts.gradients.measure.POINTS", 2)
    text = changed(("rng.normal(size=(3, 1))", "rng.normal(size=(3, 1)) * 20"))
    for one, other in (("A2.T", "-A2.T"), ("A1.T", "-A1.T"), ("* dW1", "* -dW1"), ("* D", "* -D")):
        text = text.replace(one, other)
    assert report(text).codes[0] == "gradient-sign"


def test_a_gradient_is_not_explained_by_what_updates_another_parameter(report):
    text = """import numpy as np
rng = np.random.default_rng(0)
X = rng.normal(size=(400, 3)); y = np.sin(X[:, :1]) + 0.5 * X[:, 1:2]
W1 = rng.normal(size=(3, 16)) * 0.5; W2 = rng.normal(size=(16, 1)) * 0.25
for step in range(600):
    h = np.tanh(X @ W1)
    err = (h @ W2 - y) / 400
    W2 = W2 - 0.3 * h.T @ err
    g = err @ W2.T * (1 - h ** 2)
    W1 = W1 - 0.3 * X.T @ g
"""
    assert [each.code for each in report(text).findings] == ["update-order"]


@pytest.mark.parametrize(("value", "line"), [("v", "w -="), ("net[0]", "c -=")])
def test_gradients_of_one_number_are_compared_with_the_others(report, value, line):
    text = """import math, random
random.seed(4)
net = [-0.4]
w, v, b, c = 0.3, -0.4, 0.5, 0.0
for step in range(200):
    x = random.uniform(-2, 2)
    h = 1 / (1 + math.exp(-(w * x + b)))
    s = 1 / (1 + math.exp(-(v * h + c)))
    e = s - (1.0 if x > 0 else 0.0)
    d = e * s * (1 - s)
    d1 = d * v * h * (1 - h)
    v -= 0.8 * d * h
    c -= 0.8 * d
    w -= 0.8 * d1 * x
    b -= 0.8 * d1
""".replace("v *", f"{value} *").replace("v -=", f"{value} -=")
    assert report(text).facts["gradients"].startswith("Right: every gradient")
    found = report(text.replace("d * h\n", f"d * {value}\n")).findings[0]
    assert (found.code, found.remedy) == ("gradient-operand", f"line 12: {value} -= 0.8 * d * h")
    found = report(text.replace(line, line.replace("-", "+"))).findings[0]
    assert (found.code, found.where) == ("gradient-sign", line[0])


@pytest.mark.usefixtures("counted")
def test_a_right_gradient_with_too_long_a_step_is_told_with_a_better_length(report):
    found = report(changed(*((f"{name} -= 0.5", f"{name} -= 60") for name in ("W1", "W2", "W3"))))
    first = found.findings[0]
    assert (first.code, first.severity) == ("learning-rate-too-large", "error")
    assert "the gradient is right, but the first step raises" in first.evidence
    assert first.repair["learning_rate"] == 6.0


def test_runs_that_measure_leave_no_trace(report, tmp_path, monkeypatch):
    log = """    with open('log.txt', 'a') as file:
        print(step, file=file)
    print(step, file=kept, flush=True)
"""
    found = report(changed(("for step", "kept = open('k', 'w')\nfor step"),
                           ("    A1 =", f"{log}    A1 =")) + "kept.close()\n")  # fmt: skip
    assert "every gradient" in found.facts["gradients"]
    for name in ("log.txt", "k"):
        assert [*map(int, (tmp_path / name).read_text().split())] == [*range(1, 60)]


@pytest.mark.parametrize("effect", ["os.remove('net.py')", "os.mkdir('new')", "os.system('true')"])
def test_a_step_that_acts_on_the_outside_is_not_run_twice(report, tmp_path, effect):
    text = changed(("for step", "import os\nfor step"),
                   ("    A1 =", f"    if step == 5:\n        {effect}\n    A1 ="))  # fmt: skip
    assert report(text).facts["mapping"]  # in the script itself it has its effect, once


def test_nothing_is_forked_while_other_threads_run(report):
    text = "import threading\nend = threading.Event()\nthreading.Thread(target=end.wait).start()\n"
    found = report(f"{text}{NETWORK}\nend.set()\n")
    assert found.facts["not_measured"] == "other threads of the script are running"


def test_nothing_is_forked_where_files_could_be_written_unseen(report, monkeypatch):
    monkeypatch.setattr("xpnet.doctor.scripts.recording.fork._landlock", lambda: 0)
    monkeypatch.setitem(sys.modules, "h5py", object())
    assert report(NETWORK).facts["not_measured"].startswith("h5py could write files, and this")


@pytest.mark.parametrize(
    ("event", "arguments", "refused"),
    [
        ("open", ("log.txt", "w", os.O_WRONLY | os.O_CREAT), True),
        ("open", ("log.txt", "r", os.O_RDONLY), False),
        ("open", (os.devnull, "w", os.O_WRONLY), False),
        ("os.remove", ("log.txt", -1), True),
        ("subprocess.Popen", ("ls", ["ls"], None, None), True),
        ("os.listdir", (".",), False),
        ("import", ("json", None, None, None, None), False),
    ],
)
def test_a_child_is_refused_what_could_be_seen_outside(event, arguments, refused):
    with pytest.raises(PermissionError, match=event) if refused else nullcontext():
        _refuse(event, arguments)


def test_a_childs_descriptors_lead_nowhere_but_for_files_that_it_reads_at_a_place_of_its_own(
    tmp_path,
):
    path = tmp_path / "data.txt"
    path.write_text("one two")
    nowhere, reading = os.open(os.devnull, os.O_RDWR), os.open(path, os.O_RDONLY)
    parents, (out, into) = os.dup(reading), os.pipe()
    for number in (reading, into, 10_000):  # the last is closed
        _cut_off(number, nowhere)
    assert os.read(reading, 4) == b"one "
    assert os.read(parents, 3) == b"one"
    assert os.write(into, b"lost") == 4
    assert os.read(out, 4) == b""
    for number in (nowhere, reading, parents, out, into):
        os.close(number)


def test_children_answer_once_and_those_that_do_not_are_left_alone(tmp_path):
    (tmp_path / "f").write_text("one\ntwo\n")
    with open(tmp_path / "f") as file:
        file.readline()
        found = ask([lambda: None], 20.0)
        if isinstance(found, Child):
            found.answer(file.read())
        assert (found, file.read()) == (["two\n"], "two\n")
    stuck = ask([lambda: None], 0.05)
    if isinstance(stuck, Child):
        while True:
            pass
    assert stuck == [None]


def test_a_gradient_of_another_shape_is_not_called_wrong_once_more(report):
    found = report(changed(("b1 -= 0.5 * D1.sum(axis=0, keepdims=True)", "b1 -= 0.5 * D1.sum()")))
    assert "gradient-shape" in found.codes
    assert "gradient-wrong" not in found.codes


def test_of_many_numbers_that_one_line_changes_a_few_are_measured_and_all_are_told_as_one(report):
    found = report("""import math, random
random.seed(0)
W = [[random.gauss(0, 1) for _ in range(3)] for _ in range(9)]
v = [random.gauss(0, 1) for _ in range(9)]
X = [[random.gauss(0, 1) for _ in range(3)] for _ in range(20)]
for epoch in range(5):
    for x in X:
        h = [math.tanh(sum(w[i] * x[i] for i in range(3))) for w in W]
        e = sum(v[j] * h[j] for j in range(9)) - x[0] * x[1]
        for j in range(9):
            for i in range(3):
                W[j][i] -= 0.05 * e * v[j] * (1 - h[j] ** 2) * x[i]
            v[j] -= 0.05 * e * h[j]
""")
    mapping = "\n".join(found.facts["mapping"])
    assert "W[0][0] to W[8][2] (27 numbers), line 12" in mapping
    assert "v[0] to v[8] (9 numbers), line 13" in mapping
    assert "and 8 others" in found.facts["gradients"]


REVERSED = """import numpy as np
rng = np.random.default_rng(3)
X = rng.normal(size=(60, 4))
Y = np.tanh(X @ rng.normal(size=(4, 4)))
Ws, bs = [rng.normal(size=(4, 4)) * 0.6 for _ in range(3)], [np.zeros(4) for _ in range(3)]
for step in range(200):
    a = [X]
    for W, b in zip(Ws, bs):
        a.append(np.tanh(a[-1] @ W + b))
    d = (a[-1] - Y) * (1 - a[-1] ** 2) / 60
    gW, gb = [], []
    for i in (2, 1, 0):
        gW.append(a[i].T @ d)
        gb.append(d.sum(axis=0))
        d = d @ Ws[i].T * (1 - a[i] ** 2)
    for W, b, g, h in zip(Ws, bs, gW[::-1], gb[::-1]):
        W -= 0.3 * g
        b -= 0.3 * h
"""


def test_gradients_that_are_applied_in_another_order_than_the_layers_are_named(report):
    assert "gradient-operand" not in report(REVERSED).codes
    found = report(REVERSED.replace("[::-1]", "")).findings[0]
    assert found.code == "gradient-operand"
    assert "Ws[0] gets the gradient of Ws[2]" in found.evidence


def test_a_name_that_means_another_value_there_is_no_remedy_for_itself(report):
    found = report(NETWORK.replace("D2", "D").replace("D1", "D")).findings[0]
    assert found.code == "gradient-operand"
    assert "D stands where the error of this layer should: what line 14 made" in found.evidence
    assert found.repair is None


def test_a_wrong_operand_of_a_gradient_that_an_optimizer_scales_is_named(report):
    found = report(changed(("W2 -= 0.5 * A1.T @ D2", "G = A2.T @ D2; s1 = 0.9 * s1 + 0.1 * G**2; "
                            "W2 -= 0.01 * G / (np.sqrt(s1) + 1e-8)"))).findings[0]  # fmt: skip
    assert found.code == "gradient-operand"
    assert "G = A1.T @ D2;" in found.remedy


def test_a_script_that_computes_long_before_it_trains_is_measured(report, monkeypatch):
    monkeypatch.setattr("xpnet.doctor.scripts.recording.budget.FREE_SECONDS", 0.3)
    prepared = "import hashlib\nhashlib.pbkdf2_hmac('sha256', b'data', b'salt', 3_000_000)\n"
    assert "Right: every gradient" in report(prepared + NETWORK).facts["gradients"]


def test_where_looking_may_take_longer_it_goes_on_to_the_end(tmp_path):
    path = tmp_path / "net.py"
    path.write_text(NETWORK)
    short, long = (examine(Script(str(path)), look=seconds).report.facts for seconds in (0.0, 60.0))
    assert short["stopped_looking"] < short["steps"] / 2
    assert "stopped_looking" not in long
