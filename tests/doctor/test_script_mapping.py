"""What the doctor finds in a script by itself, in many styles of writing."""

import sys
import textwrap
from types import ModuleType

import numpy as np
import pytest
from observed_scripts import RIGHT, codes, report_of

from xpnet.doctor.scripts.mapping import Roles, map_step
from xpnet.doctor.scripts.recording.instrument import instrument
from xpnet.doctor.scripts.recording.trace import Recorder

DATA = """
import numpy as np
rng = np.random.default_rng(0)
X = rng.normal(size=(20, 3))
Y = (X[:, :1] > 0) * 1.0
"""
BY_NAME = """
W1 = rng.normal(size=(3, 4)); b1 = np.zeros(4)
W2 = rng.normal(size=(4, 1)); b2 = np.zeros(1)
for epoch in range(9):
    Z1 = X @ W1 + b1
    A1 = np.tanh(Z1)
    A2 = 1 / (1 + np.exp(-(A1 @ W2 + b2)))
    loss = np.mean((A2 - Y) ** 2)
    dZ2 = (A2 - Y) * A2 * (1 - A2) / len(X)
    dZ1 = (dZ2 @ W2.T) * (1 - A1**2)
    W2 -= 0.5 * A1.T @ dZ2
    b2 -= 0.5 * dZ2.sum(axis=0)
    W1 -= 0.5 * X.T @ dZ1
    b1 -= 0.5 * dZ1.sum(axis=0)
"""
COLUMNS = """
theta = {"W1": rng.normal(size=(4, 3)), "b1": np.zeros((4, 1)),
         "W2": rng.normal(size=(1, 4)), "b2": np.zeros((1, 1))}
def step(theta, grads, rate):
    return {name: theta[name] - rate * grads["d" + name] for name in theta}
x, y = X.T, Y.T
for epoch in range(9):
    h = np.maximum(0, np.dot(theta["W1"], x) + theta["b1"])
    out = np.add(np.matmul(theta["W2"], h), theta["b2"])
    dout = 2 * np.subtract(out, y) / y.size
    dh = theta["W2"].T.dot(dout) * (h > 0)
    grads = {"dW2": dout.dot(h.T), "db2": dout.sum(1, keepdims=True),
             "dW1": dh.dot(x.T), "db1": dh.sum(1, keepdims=True)}
    theta = step(theta, grads, 0.1)
"""
NIELSEN = """
class Network:
    def __init__(self, sizes):
        self.weights = [rng.normal(size=(m, n)) for n, m in zip(sizes, sizes[1:])]
        self.biases = [rng.normal(size=(m, 1)) for m in sizes[1:]]
    def backprop(self, x, y):
        a, aa = x, [x]
        for w, b in zip(self.weights, self.biases):
            a = 1 / (1 + np.exp(-(w @ a + b)))
            aa.append(a)
        nw, nb = [0, 0], [0, 0]
        delta = (aa[-1] - y) * aa[-1] * (1 - aa[-1])
        nw[-1], nb[-1] = delta @ aa[-2].T, delta
        delta = self.weights[-1].T @ delta * aa[-2] * (1 - aa[-2])
        nw[-2], nb[-2] = delta @ aa[-3].T, delta
        return nw, nb
    def train(self, pairs, eta):
        sw = [np.zeros(w.shape) for w in self.weights]
        sb = [np.zeros(b.shape) for b in self.biases]
        for x, y in pairs:
            nw, nb = self.backprop(x, y)
            sw = [s + n for s, n in zip(sw, nw)]
            sb = [s + n for s, n in zip(sb, nb)]
        self.weights = [w - eta / len(pairs) * s for w, s in zip(self.weights, sw)]
        self.biases = [b - eta / len(pairs) * s for b, s in zip(self.biases, sb)]
net = Network([3, 4, 1])
pairs = [(x.reshape(-1, 1), y.reshape(-1, 1)) for x, y in zip(X, Y)]
for epoch in range(5):
    for k in range(0, 20, 5):
        net.train(pairs[k : k + 5], 3.0)
"""
MOMENTUM = BY_NAME.replace("W2 -=", "v2 = 0.9 * v2 -").replace("W1 -=", "W2 += v2; v1 = 0.9 * v1 -")
MOMENTUM = MOMENTUM.replace("for epoch", "v1, v2 = 0 * W1, 0 * W2\nfor epoch") + "    W1 += v1\n"

# Networks whose parameters are one flat vector: its parts are viewed in each step, viewed once and
# written by views of the gradient, and put together anew.
FLAT = """
def parts(t):
    return t[:12].reshape(3, 4), t[12:16], t[16:20].reshape(4, 1), t[20:]
theta, grad = rng.normal(size=21), np.zeros(21)
W1, b1, W2, b2 = parts(theta)
dW1, db1, dW2, db2 = parts(grad)
for epoch in range(9):
    BEFORE
    h = np.tanh(X @ W1 + b1)
    d2 = (h @ W2 + b2 - Y) / len(X)
    d1 = (d2 @ W2.T) * (1 - h**2)
    AFTER
"""
GRADIENTS = "[(X.T @ d1).ravel(), d1.sum(axis=0), (h.T @ d2).ravel(), d2.sum(axis=0)]"
FLAT_GRADIENT = f"grad = np.concatenate({GRADIENTS})"
IN_EACH_STEP = FLAT.replace("BEFORE", "W1, b1, W2, b2 = parts(theta)").replace(
    "AFTER", f"{FLAT_GRADIENT}; theta = theta - 0.1 * grad"
)
ONCE = FLAT.replace("BEFORE", "pass").replace(
    "AFTER",
    "dW1[:] = X.T @ d1; db1[:] = d1.sum(axis=0); dW2[:] = h.T @ d2; db2[:] = d2.sum(axis=0)\n"
    "    theta -= 0.1 * grad",
)
ANEW = FLAT.replace("BEFORE", "pass").replace(
    "AFTER",
    f"{FLAT_GRADIENT}; theta = np.concatenate([W1.ravel(), b1, W2.ravel(), b2])\n"
    "    W1, b1, W2, b2 = parts(theta - 0.1 * grad)",
)


def mappings(script: str, **roles: list[str]) -> list[Roles]:
    recorder, found = Recorder(roles), list[Roles]()
    recorder.on_step.append(lambda step: found.append(map_step(step)))
    tree = instrument(textwrap.dedent(script), "script.py", recorder.sites)
    exec(compile(tree, "script.py", "exec"), recorder.prepare({"__name__": "__main__"}))
    recorder.finish()
    assert found, recorder.problem
    return found


@pytest.mark.parametrize(
    ("script", "names", "rows"),
    [
        (BY_NAME, {"W1", "b1", "W2", "b2"}, (20, 1)),
        (COLUMNS, {f"theta['{name}']" for name in ("W1", "b1", "W2", "b2")}, (1, 20)),
        (NIELSEN, {f"net.{name}[{i}]" for name in ("weights", "biases") for i in (0, 1)}, (1, 1)),
        (MOMENTUM, {"W1", "b1", "W2", "b2"}, (20, 1)),
    ],
    ids=["names", "columns and a dict", "lists in a class", "momentum"],
)
def test_parameters_outputs_and_targets_are_found(script, names, rows):
    found = mappings(DATA + script)[-1]
    assert set(found.names) == names
    assert len(found.layers) == 2
    assert all(layer.biases is not None for layer in found.layers)
    assert found.outputs[0].shape == found.targets[0].shape == rows


@pytest.mark.many_steps
@pytest.mark.parametrize("script", [IN_EACH_STEP, ONCE, ANEW], ids=["each step", "once", "anew"])
def test_the_parts_of_one_flat_vector_are_parameters(script):
    for found in mappings(DATA + script):
        assert found.names == ("W1", "b1", "W2", "b2")
        assert [(each.weights, each.biases) for each in found.layers] == [(0, 1), (2, 3)]
        for update in found.step.updates:
            assert np.allclose(update.new.data, update.old.data - 0.1 * update.gradient.data)
            assert found.error is not None
            assert update.old.shape == update.gradient.shape


def test_numbers_in_lists_that_generators_add_up_are_parameters():
    found = mappings("""
        w, b = [0.5, -0.5], 0.0
        for x, t in [([0.1 * i, 0.3], float(i > 4)) for i in range(9)]:
            e = sum(v * u for v, u in zip(w, x)) + b - t
            for i in range(2):
                w[i] -= 0.1 * e * x[i]
            b -= 0.1 * e
    """)[-1]
    assert found.names == ("w[0]", "w[1]", "b")
    assert found.outputs


LOOK_AHEAD = """
import numpy as np
x = np.linspace(-1, 1, 9).reshape(-1, 1)
W, v = np.ones((1, 1)), np.zeros((1, 1))
for step in range(9):
    W += 0.9 * v
    g = x.T @ (x @ W - 3 * x)
    W -= 0.1 * g
    v = 0.9 * v - 0.1 * g
"""


def test_a_velocity_that_is_added_before_the_step_is_no_parameter():
    assert {each.names for each in mappings(LOOK_AHEAD)} == {("W",)}


def test_weights_of_a_single_output_that_make_the_step_of_biases_are_parameters():
    found = mappings(
        DATA
        + """
W, b, v = rng.normal(size=(3, 4)), np.zeros(4), rng.normal(size=4)
for i in range(9):
    h = np.tanh(X[i] @ W + b)
    e = h @ v - Y[i, 0]
    d = e * v
    v -= 0.1 * e * h; b -= 0.1 * d; W -= 0.1 * np.outer(X[i], d)
"""
    )[-1]
    assert {*found.names} == {"W", "b", "v"}


def test_parts_that_are_put_several_at_once_are_followed():
    found = mappings(
        DATA
        + """
W, b, out = rng.normal(size=(3, 1)), np.zeros(1), np.zeros((2, 20))
def forward(x):
    return (x @ W + b)[:, 0], x[:, 0]
for i in range(9):
    out[0], out[1, :] = forward(X)
    e = (out[0] - Y[:, 0])[:, None]
    W -= 0.1 * X.T @ e / 20
    b -= 0.1 * e.mean(axis=0)
"""
    )[-1]
    assert {*found.names} == {"W", "b"}


IN_A_LOOP = (
    BY_NAME[: BY_NAME.index("    W2 -=")].replace(
        "for epoch",
        """
m, s, net = [0 * W1, 0 * b1, 0 * W2, 0 * b2], [0 * W1, 0 * b1, 0 * W2, 0 * b2], [W1, b1, W2, b2]
for epoch""",
    )
    + """
    g = X.T @ dZ1, dZ1.sum(axis=0), A1.T @ dZ2, dZ2.sum(axis=0)
    for i in range(4):
        UPDATE
"""
)


@pytest.mark.parametrize(
    "update",
    [
        "m[i] += 0.1 * (g[i] - m[i]); s[i] += 0.1 * (g[i] ** 2 - s[i]); "
        "net[i] -= 0.1 * m[i] / (np.sqrt(s[i]) + 1e-8)",
        "m[i] += 0.1 * (g[i] - m[i]); net[i] -= m[i]",
        "net[i] -= 0.1 * g[i]; m[i] += 0.01 * (net[i] - m[i])",
        "s[i] = 0.9 * s[i] + 0.1 * g[i]**2; v = np.sqrt(m[i] + 1) / np.sqrt(s[i] + 1) * g[i]; "
        "m[i] = 0.9 * m[i] + 0.1 * v**2; net[i] -= 0.1 * v",
        "net[i] -= 0.1 * g[i]; net[i] += 0.5 * m[i]; m[i] = 0.5 * m[i] - 0.1 * g[i]",
    ],
    ids=["Adam", "mean gradient", "mean weights", "Adadelta", "velocity"],
)
def test_an_optimizers_states_are_no_parameters(update):
    found = mappings(DATA + IN_A_LOOP.replace("UPDATE", update))[-1]
    assert found.names == ("W1", "b1", "W2", "b2")
    assert [each.factor for each in found.step.updates] == [pytest.approx(0.1)] * 4


def test_centres_that_follow_the_rows_are_no_parameters():
    start = "C = X[:4].copy()\nfor x in X:\n    k = int(x[0] > 0)\n    C[k] += 0.1 * (x - C[k])\n"
    assert set(mappings(DATA + start + BY_NAME)[-1].names) == {"W1", "b1", "W2", "b2"}


def test_what_a_mean_of_the_weights_gives_is_a_target():
    script = BY_NAME.replace("for epoch", "M1, M2 = W1.copy(), W2.copy()\nfor epoch").replace(
        "- Y", "- goal").replace("    loss", "    goal = 0.5 * Y + 0.5 * np.tanh(X @ M1) @ M2\n"
        "    loss")  # fmt: skip
    script += "    M1 += 0.1 * (W1 - M1); M2 += 0.1 * (W2 - M2)\n"
    found = mappings(DATA + script)[-1]
    assert set(found.names) == {"W1", "b1", "W2", "b2"}
    assert found.error.site.text == "A2 - goal"


ADDED_UP = """
W, total = rng.normal(size=(2, 3)), 0.0
for x, t in zip(X, Y[:, 0].astype(int)):
    p = np.exp(W @ x)
    p = p / p.sum()
    total -= np.log(p[t])
    p[t] -= 1.0
    W -= 0.1 * np.outer(p, x)
"""


@pytest.mark.parametrize("added", ["total -=", "total = total -"])
def test_a_loss_that_is_added_up_has_no_outputs_and_targets(added):
    first = mappings(DATA + ADDED_UP.replace("total -=", added))[0]
    assert first.error.site.text == "p[t] -= 1.0"


def test_a_column_of_outputs_for_one_sample_has_its_class_as_targets():
    script = (
        ADDED_UP.replace("W @ x", "W @ x[:, None]")
        .replace("p[t] -= 1.0", "d = p.copy(); d[t] -= 1")
        .replace("np.outer(p, x)", "d @ x[None]")
    )
    script = script.replace("zip(X, Y[:, 0]", "zip(np.tile(X, (9, 1)), np.tile(Y[:, 0], 9)")
    assert report_of(DATA + script).facts["skill"] > 0.1


def test_names_that_the_user_gives_decide():
    script = BY_NAME.replace("    dZ2 =", "    other = A2 - (Y + 1)\n    dZ2 = 0 * other +")
    assert mappings(DATA + script)[-1].error.site.text == "A2 - (Y + 1)"
    told = mappings(DATA + script, targets=["Y"], weights=["W1", "b1"], loss=["A1"])[-1]
    assert told.error.site.text == "A2 - Y"
    assert set(told.names) == {"W1", "b1"}
    assert told.loss is None
    assert mappings(DATA + COLUMNS, weights=["theta['W1']"])[-1].names == ("theta['W1']",)


def test_an_update_has_its_sign_its_factor_and_its_gradient_and_starts_from_initial_weights():
    script = BY_NAME.replace("W2 -= 0.5 * A1.T @ dZ2", "dW2 = A1.T @ dZ2; W2 = W2 - 0.5 * dW2")
    first, *_, found = mappings(DATA + "start = 1\n" + script)
    (update,) = found.updates_of(found.names.index("W2"))
    assert (update.sign, update.factor, update.gradient.names) == (-1, 0.5, ["dW2"])
    assert np.allclose(update.new.data, update.old.data - 0.5 * update.gradient.data)
    rng = np.random.default_rng(0)
    rng.normal(size=(20, 3))
    (update,) = first.updates_of(first.names.index("W1"))
    assert np.array_equal(update.old.data, rng.normal(size=(3, 4)))


def test_the_mapping_is_told_with_lines_and_names():
    script = DATA + BY_NAME.replace("W2 -= 0.5 * A1.T @ dZ2", "W2 += -0.5 * (A1.T @ dZ2)")
    facts = report_of(textwrap.dedent(script)).facts
    assert facts["not_mapped"] == ""
    lines = "\n".join(facts["mapping"])
    assert (
        "weights W2 (4, 1), line 16: the update subtracts 0.5 times the gradient, line 16" in lines
    )
    assert "outputs A2 (20, 1), targets Y (20, 1): line 14, A2 - Y" in lines
    assert "inputs X (20, 3)" in lines


def test_the_state_of_a_game_is_no_parameter_of_the_network_that_plays_it():
    roles = mappings("""
    import numpy as np
    rng = np.random.default_rng(0)
    W, c = rng.normal(size=(2, 3)), np.zeros(3)
    for game in range(30):
        s = rng.normal(size=2)
        for move in range(6):
            p = np.tanh(s @ W + c)
            way = 1.0 if rng.random() < p[0] else -1.0
            s = s + 0.1 * np.array([s[1], way - s[0]])
        d = (np.tanh(s @ W + c) - np.array([way, 0.0, 1.0])) * (1 - p**2)
        W -= 0.1 * np.outer(s, d)
        c -= 0.1 * d
    """)[-1]
    assert roles.names == ("W", "c")


def test_rows_of_embeddings_that_are_updated_one_by_one_are_no_parameters():
    roles = mappings("""
    import numpy as np
    rng = np.random.default_rng(0)
    kind, z = rng.integers(0, 9, 200), rng.normal(size=(200, 1))
    y = np.sin(kind)[:, None] + z
    E, W, b = rng.normal(size=(9, 3)), rng.normal(size=(4, 1)), np.zeros(1)
    for step in range(30):
        i = rng.integers(0, 200, 16)
        x = np.concatenate([E[kind[i]], z[i]], axis=1)
        d = (x @ W + b - y[i]) / 16
        g = d @ W.T
        W -= 0.1 * x.T @ d
        b -= 0.1 * d.sum(axis=0)
        for row, k in zip(g, kind[i]):
            E[k] -= 0.1 * row[:3]
    """)[-1]
    assert roles.names == ("W", "b")


SHRINKING = (
    DATA
    + """
net = {n: rng.normal(size=s) for n, s in [("in", (3, 4)), ("A", (4, 4)), ("B", (4, 4)),
                                          ("C", (4, 4)), ("out", (4, 1))]}
for epoch in range(9):
    h = [X @ net["in"]]
    for n in "ABC":
        h.append(np.tanh(h[-1] @ net[n]))
    d = (h[-1] @ net["out"] - Y) / 20
    g, d = {"out": h[-1].T @ d}, d @ net["out"].T
    for i, n in enumerate("CBA", 2):
        e = d * (1 - h[-i + 1] ** 2)
        g[n], d = h[-i].T @ e, e @ net[n].T
    g["in"] = X.T @ d
    for n, w in net.items():
        w *= 0.99
        w -= 0.1 * g[n]
"""
)


@pytest.mark.parametrize("decay", ["w *= 0.99", "w = w * 0.99"])
def test_weights_that_shrink_on_a_line_of_their_own_are_found(decay):
    script = SHRINKING.replace("w *= 0.99", decay).replace("w -= 0.1", "net[n] = w - 0.1")
    roles = mappings(script)[-1]
    assert len(roles.names) == 5
    assert roles.error.site.text == 'h[-1] @ net["out"] - Y'
    assert len(roles.layers) == 5


def test_libraries_that_are_not_followed_are_named_in_one_order(monkeypatch):
    for name in ("torch", "tensorflow", "jax"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    said = [f"the training of {name} is not followed" for name in ("jax", "tensorflow", "torch")]
    assert report_of("x = 1.0").facts["not_mapped"].split("; ")[1:] == said


def test_the_doctors_rules_see_a_script():
    own_bias_each = BY_NAME.replace("b1 -= 0.5 * dZ1.sum(axis=0)", "b1 = b1 - 0.5 * dZ1")
    assert report_of(textwrap.dedent(DATA + own_bias_each)).codes[0] == "parameter-shape-changed"


def test_a_script_goes_on_when_it_cannot_be_recorded():
    recorder = Recorder()
    recorder.on_step.append(lambda step: 1 / 0)
    tree = instrument(textwrap.dedent(DATA + BY_NAME), "script.py", recorder.sites)
    names = recorder.prepare({"__name__": "__main__"})
    exec(compile(tree, "script.py", "exec"), names)
    assert names["epoch"] == 8
    assert recorder.problem == "what comes after line 16 was run, which could not be followed"


@pytest.mark.parametrize("error", ["(p + -Y)", "(-1.0 * Y + p)"])
def test_targets_may_be_subtracted_by_adding_their_negative(error):
    script = RIGHT.replace("(p - Y)", error)
    assert {*mappings(script)[-1].targets[0].data.ravel()} == {0.0, 1.0}
    assert codes(script) == ()
    flat = script.replace("Y = labels.reshape(-1, 1)", "Y = labels")
    paired = flat.replace(f"{error} / len(X)", f"{error}.mean(1, keepdims=True) / 80")
    assert codes(paired)[:1] == ("loss-broadcast",)


HEADS = """
import numpy as np
rng = np.random.default_rng(0)
X = rng.normal(size=(80, 3))
A, B = X[:, :1] * X[:, 1:2], X[:, 2:] ** 2
nets = [rng.normal(size=s) for s in ((3, 9), (9, 1), (9, 1))]
kept = [0.0 * w for w in nets]
for step in range(60):
    h = np.tanh(X @ nets[0])
    a, b = h @ nets[1], h @ nets[2]
    da, db = (a - A) / 80, (b - B) / 80
    dh = (da @ nets[1].T + db @ nets[2].T) * (1 - h**2)
    for k, g in enumerate((X.T @ dh, h.T @ da, h.T @ db)):
        kept[k] = 0.9 * kept[k] - 0.05 * g
        nets[k] += kept[k]
"""


def test_the_updates_of_several_heads_are_not_taken_for_outputs():
    roles = mappings(HEADS)[-1]
    assert roles.error.site.text in ("a - A", "b - B")
    assert len(roles.others) == 1


WORDS = """
import numpy as np
rng = np.random.default_rng(0)
bags = rng.integers(0, 50, size=(300, 6))
y = (np.sum(bags < 20, axis=1) > 2) * 1.0
E, w, c = 0.5 * rng.normal(size=(50, 4)), rng.normal(size=4), 0.0
for step in range(300):
    x = E[bags].mean(axis=1)
    d = (1 / (1 + np.exp(-(x @ w + c))) - y) / 300
    dE = np.zeros_like(E)
    np.add.at(dE, bags, np.outer(d, w)[:, None, :] / 6)
    E -= 20 * dE
    w -= 0.5 * x.T @ d
    c -= 0.5 * d.sum()
"""
IMAGES = """
import numpy as np
rng = np.random.default_rng(0)
images, y = rng.normal(size=(30, 6, 6)), rng.integers(0, 3, size=30)
images[range(30), y, y] += 6.0
patches = np.lib.stride_tricks.sliding_window_view(images, (3, 3), axis=(1, 2))
columns = patches.transpose(3, 4, 0, 1, 2).reshape(9, 480)
K, W = rng.normal(size=(5, 9)) / 3, rng.normal(size=(80, 3)) / 9
for step in range(200):
    z = (K @ columns).reshape(5, 30, 16)
    a = np.maximum(z, 0).transpose(1, 0, 2).reshape(30, 80)
    e = np.exp(a @ W)
    d = (e / e.sum(axis=1, keepdims=True) - np.eye(3)[y]) / 30
    back = (d @ W.T).reshape(30, 5, 16).transpose(1, 0, 2) * (z > 0)
    K -= 0.3 * back.reshape(5, 480) @ columns.T
    W -= 0.3 * a.T @ d
"""


def test_means_of_word_vectors_that_are_taught_are_not_judged_as_data():
    report = report_of(WORDS)
    assert (report.codes, report.facts["taught_otherwise"]) == ((), True)


def test_the_columns_of_a_convolution_are_not_the_rows_of_the_data():
    assert {*codes(IMAGES)} <= {"no-bias"}
