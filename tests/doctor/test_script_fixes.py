"""What `--fix` writes: lines as they should be, in files that Python reads, and that learn."""

import ast
import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
from doctor_scripts import score_of_fix
from script_corpus import cases

from xpnet.cli.doctor_fix import Attempt, Fixer, fix, in_words
from xpnet.doctor.scripts.examine import examine
from xpnet.doctor.scripts.recording.instrument import Site
from xpnet.doctor.scripts.recording.source import Script, tree, write_like
from xpnet.doctor.scripts.repairs import fix as fixes
from xpnet.doctor.scripts.repairs.edits import (
    after,
    apply,
    as_floats,
    at,
    mended_lines,
    moved,
    rewrite,
)
from xpnet.doctor.scripts.repairs.fix import CORRECTED, rewritten
from xpnet.doctor.scripts.repairs.sizes import _later_ends, _more, numbers
from xpnet.errors import InputError

# A script of the corpus, and lines that its mended copy must have.
MENDED = {
    "digits_test_labels.py": "y_train[i:i + batch]",
    "stale_batch.py": "        yb = Y[rows]\n        err = out - yb\n        pass",
    "temperature_sigmoid.py": "targets = (targets - np.min(targets)) / (np.max(targets)",
    "few_epochs.py": "epochs = 300",
    "stops_early.py": "< 1e-06 or epoch",
    "spiral_two_units.py": "hidden = 32",
    "parabola_no_bias.py": "W1 = np.random.randn(1 + 1, 10)",
    "softmax_axis.py": "np.sum(ez, axis=1, keepdims=True)",
    "same_batch.py": "xb = X[rows]\n        yb = y[rows]",
    "seed_in_loop.py": "    pass\n    idx = np.random.choice",
    "onehot_shift.py": "out[i, c] = 1",
    "dropout_left_on.py": "self.h *= self.mask if training else 1",
    "dead_relu.py": "b1 = 0 * np.full",
    "never_reset.py": "dW1 / 10\n        dW1[...] = 0.0",
    "only_last_layer.py": "self.W1 = self.W1 - lr * self.dW1",
    "local_copy.py": "w2 -= lr * g[2]\n    b2 -= lr * g[3]",
    "loop_variable.py": "W -= 2.0 * dW\n        b -= 2.0 * db",
    "sigmoid_on_sigmoid.py": "y = self.vorhersage(x)",
    "halving_rate.py": "        pass\n    if epoch",
    "adam_wrong.py": "(1 - beta1 ** t)",
    "integer_division.py": "X = images / 256",
    "data_destroyed.py": "a = a * (rng.random(a.shape) > p)",
    "bias_total.py": "db2 = np.sum(dZ2, axis=0, keepdims=True)",
    "bias_outside.py": "np.tanh(V @ x + c)",
    "columns_bias_matrix.py": "np.mean(alpha * db1, axis=1, keepdims=True)",
}
NEEDS = {"few_epochs.py": pytest.mark.many_steps, "adam_wrong.py": pytest.mark.process}
# How many steps they take, and how many show as much.
SHORTER = {
    "never_reset.py": (60, 2), "loop_variable.py": (2000, 200), "data_destroyed.py": (600, 100),
    "local_copy.py": (1000, 200), "dropout_left_on.py": (150, 3), "dead_relu.py": (2000, 75),
    "integer_division.py": (500, 100), "stale_batch.py": (120, 9), "softmax_axis.py": (1000, 100),
    "spiral_two_units.py": (3000, 150), "parabola_no_bias.py": (3000, 150),
    "seed_in_loop.py": (4000, 200), "only_last_layer.py": (6000, 300), "bias_total.py": (1500, 200),
    "sigmoid_on_sigmoid.py": (1500, 150), "bias_outside.py": (4000, 200),
    "temperature_sigmoid.py": (1500, 150), "halving_rate.py": (200, 90),
}  # fmt: skip
NETWORK = """import numpy as np
np.random.seed(0)
X = np.random.randn(40, 2)
y = (X[:, :1] > 0) * 1.0
W, b = np.random.randn(2, 1), np.zeros(1)
for i in range(100):
    p = 1 / (1 + np.exp(-(X @ W + b)))
    d = (y - p) / 40
    W -= 0.5 * X.T @ d
    b -= 0.5 * d.sum(0)
"""


def numbers_of(text):
    return "".join(text.split()).replace("(", "").replace(")", "")


@pytest.mark.untraced(but=["only_last_layer.py", "stops_early.py"])
@pytest.mark.parametrize(
    "name",
    [pytest.param(each, marks=NEEDS.get(each, ())) for each in MENDED],
)
def test_the_first_round_of_mending_writes_the_line_as_it_should_be(name, tmp_path, capsys):
    (case,) = cases(only=name)
    text = case.path.read_text()
    if name in SHORTER:
        text = text.replace(*(f"range({steps})" for steps in SHORTER[name]))
    (tmp_path / name).write_text(text)
    found = examine(Script(str(tmp_path / name), case.args)).report
    repairs = [each.repair or {} for each in found.findings]
    repairs += [each for each in found.facts.get("tries", ()) if not found.findings]
    mended = [apply(text, each["edits"]) for each in repairs if "edits" in each]
    assert any(numbers_of(MENDED[name]) in numbers_of(text) for text in mended), mended[:1]


@pytest.mark.untraced
def test_columns_of_one_table_are_not_taken_for_parts_of_each_other(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (case,) = cases(only="clientes_csv.py")
    found = examine(Script(str(case.path), ())).report
    assert found.codes[0] == "unscaled-inputs"
    assert "X = (X - np.mean(X, axis=0" in found.findings[0].remedy


@pytest.mark.untraced
@pytest.mark.parametrize(
    "name", ["main_helpers.py", "notizbuch.ipynb", "bledny_znak_i_krok.py", "prices_in_euros.py"]
)
@pytest.mark.process
def test_the_copy_that_fix_writes_learns(name):
    (case,) = cases(only=name)
    assert case.learnt(score_of_fix(case))


def test_numpy_is_called_as_the_script_does_and_a_mender_that_fails_spoils_no_other(
    tmp_path, monkeypatch, capsys
):
    def fail(finding, roles):
        raise IndexError("no such operand")

    monkeypatch.setitem(fixes.MENDERS, "too-few-steps", fail)
    path = tmp_path / "net.py"
    text = NETWORK.replace("X = np.random.randn(40, 2)", "X = 1000 * np.random.randn(40, 2)")
    path.write_text(text.replace("np.", "n.").replace("as np", "as n").replace("100)", "12)"))
    report = examine(Script(str(path), ())).report
    texts = [e["text"] for each in report.findings for e in (each.repair or {}).get("edits", ())]
    assert any("n.mean(X" in each for each in texts)
    assert report.facts["failed"] == []


def edits(*changes):
    keys = ("line", "column", "end_line", "end_column", "text")
    return [{"file": "net.py", **dict(zip(keys, each, strict=True))} for each in changes]


def test_statements_are_added_and_lines_that_span_several_are_changed():
    text = "x = (1 +\n     2)\nz = x\n"
    changes = edits((1, 4, 2, 7, "3"), (3, 5, 3, 5, "\ny = z"), (3, 0, 3, 0, "w = 1\n"))
    assert apply(text, changes) == "x = 3\nw = 1\nz = x\ny = z\n"
    assert apply(text, changes[1:2] * 2) == apply(text, changes[1:2])
    assert mended_lines(changes[:1]) == ["line 1: 3"]


def test_a_change_within_another_one_meets_the_same_place_there():
    text = "W = random(a, b)"
    inner, outer = edits((1, 11, 1, 12, "a + 1"), (1, 4, 1, 16, "2 * random(a, b) - 1"))
    assert apply(text, [inner, outer]) == "W = 2 * random(a + 1, b) - 1"
    outer["text"] = "random(shape(a))"
    assert apply(text, [inner, outer]) == "W = random(shape(a + 1))"
    outer["text"] = "random(self.a, a)"
    assert apply(text, [inner, outer]) == "W = random(self.a, a + 1)"
    outer["text"] = "random(a, a)"
    assert apply(text, [inner, outer]) == "W = random(a + 1, b)"
    assert apply(text, []) == text
    nested = edits((1, 4, 1, 14, "(y - p)"), (1, 8, 1, 13, "p - y"), (1, 8, 1, 9, "y[:, None]"))
    assert apply("d = sum(y - p)\n", nested) == "d = (p - y[:, None])\n"


def test_statements_are_added_behind_comments_and_not_around_a_match(tmp_path):
    text = "x = 1  # one\nmatch x:\n    case 1:\n        x = 2\n"
    path = tmp_path / "net.py"
    path.write_text(text)
    added = after(str(path), at(str(path), 1, 0), "y = x")
    assert apply(text, [added]).startswith("x = 1  # one\ny = x\nmatch")
    assert at(str(path), 4, 8).col_offset == 8


@pytest.mark.parametrize(
    ("made", "mended"),
    [
        ("np.zeros_like(x)", "np.zeros_like(x, dtype=float)"),
        ("np.full((2, 3), 1, dtype=int)", "np.full((2, 3), 1, dtype=float)"),
        ("np.zeros(3, int)", "np.zeros(3, int).astype(float)"),
        ("r.integers(0, 9, 3)", "r.integers(0, 9, 3).astype(float)"),
    ],
)
def test_floats_are_made_where_whole_numbers_were(made, mended):
    site = Site("net.py", 1, 4, 1, 4 + len(made), "call", ast.Call, made)
    assert apply(f"h = {made}\n", [as_floats(site)]) == f"h = {mended}\n"


def test_the_statement_at_a_place_is_one_of_several_on_its_line(tmp_path):
    path = tmp_path / "net.py"
    path.write_text("W2 -= a; W1 -= b\n")
    assert at(str(path), 1, 9).target.id == "W1"
    assert at(str(path), 1, 7) is None


@pytest.mark.parametrize(
    ("text", "mended"),
    [
        ("W2 -= h @ e\ng = e @ W2.T\nW1 -= g", "pass\ng = e @ W2.T\nW1 -= g\nW2 -= h @ e"),
        ("W2 -= h @ e; W1 -= e @ W2.T", "pass; W1 -= e @ W2.T; W2 -= h @ e"),
        ("p['v'] -= d['v']\nd['w'] = p['v']\np['w'] -= d['w']",
         "pass\nd['w'] = p['v']\np['w'] -= d['w']\np['v'] -= d['v']"),
        ("W2 -= g\ng = e @ W2.T\nW1 -= g", None),
        ("W2 -= g.T\ng[...] = e @ W2.T\nW1 -= g", None),
        ("W2, W1 = W2 - h @ e, W1 - e @ W2", None),
    ],
)  # fmt: skip
def test_a_statement_moves_only_where_it_reads_what_it_read(tmp_path, text, mended):
    path = tmp_path / "net.py"
    path.write_text(text)
    nodes = tree(str(path)).body
    sites = [Site(str(path), n.lineno, n.col_offset, n.end_lineno, n.end_col_offset, "in place",
                  ast.Sub, "") for n in (nodes[0], nodes[-1])]  # fmt: skip
    assert (apply(text, moved(*sites)) if moved(*sites) else None) == mended


SIZES = """def smooth(x, a):
    return x * a
def train(x, rate):
    n = 50
    for step in range(n):
        x -= rate * smooth(x, 0.1)
        if score(x) > 0.95 or abs(x) < 0.001:
            break
train(data(n=300), 0.1)
"""


def test_a_number_changes_only_where_its_own_function_takes_it(tmp_path):
    path = tmp_path / "net.py"
    path.write_text(SIZES)
    mended = apply(SIZES, numbers(str(path), "rate", 10.0, 0.1))
    assert mended == SIZES.replace("train(data(n=300), 0.1)", "train(data(n=300), 1)")


def test_more_steps_are_for_the_loop_alone_and_a_score_still_ends_it(tmp_path):
    path = tmp_path / "net.py"
    path.write_text(SIZES)
    loop = tree(str(path)).body[1].body[1]
    expected = SIZES.replace("range(n)", "range(10 * (n))").replace("0.001", "1e-06")
    edits = [*_more(str(path), loop.iter.args[0]), *_later_ends(str(path), loop)]
    assert apply(SIZES, edits) == expected


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("# größer\nx = 1\n".encode(), "# größer\nx = 2\n".encode()),
        (b"# gr\xf6\xdfer\nx = 1\n", "# größer\nx = 2\n".encode()),
        (b"# coding: latin-1\n# \xf6\nx = 1\n", b"# coding: latin-1\n# \xf6\nx = 2\n"),
        (b"\xef\xbb\xbfx = 1\r\n", b"\xef\xbb\xbfx = 2\r\n"),
    ],
)  # fmt: skip
def test_a_copy_has_the_encoding_and_the_line_ends_of_the_script(tmp_path, raw, expected):
    from xpnet.doctor.scripts.recording.source import read_source

    script, copy = tmp_path / "net.py", tmp_path / "copy.py"
    script.write_bytes(raw)
    write_like(script, copy, read_source(script).replace("x = 1", "x = 2"))
    assert copy.read_bytes() == expected


@pytest.fixture
def fixer(tmp_path, monkeypatch, capsys):
    def make(text=NETWORK, after=(), name="net.py", helper=""):
        (tmp_path / name).write_text(text)
        if helper:
            (tmp_path / f"{text.split()[1]}.py").write_text(helper)
        monkeypatch.syspath_prepend(tmp_path)
        replies = [{"findings": [], "facts": {"skill": each}} for each in after]
        monkeypatch.setattr(Fixer, "_report", lambda fixer: replies.pop(0))
        return examine(Script(str(tmp_path / name), ()))

    return make


@pytest.mark.parametrize(
    ("skill", "said"),
    [
        (-2.0, "does not learn better: before 0%, after 0%"),
        (0.95, "net.fixed.py; of the targets' variance, its outputs explain at the end 95%"),
    ],
)
def test_a_copy_is_kept_only_if_it_learns_better(fixer, tmp_path, skill, said):
    done = fix(fixer(after=[skill] * 9))
    assert said in in_words(done)[0]
    assert (tmp_path / "net.fixed.py").exists() == (done["file"] is not None) == (skill > 0)


@pytest.mark.parametrize("earlier", [None, "print('mended before')"])
def test_no_copy_is_left_after_ctrl_c_and_an_earlier_one_is_put_back(
    fixer, tmp_path, monkeypatch, earlier
):
    def stop(fixer):
        raise KeyboardInterrupt

    found, target = fixer(), tmp_path / "net.fixed.py"
    monkeypatch.setattr(Fixer, "_report", stop)
    if earlier:
        target.write_text(earlier)
    with pytest.raises(KeyboardInterrupt):
        fix(found)
    assert (target.read_text() if target.exists() else None) == earlier


def in_helper(name):
    """Return a script whose step is in a module, and that module."""
    start = NETWORK.index("    p = ")
    lines = [f"    {each.strip()}\n" for each in NETWORK[start:].splitlines()]
    helper = "import numpy as np\ndef step(X, y, W, b):\n" + "".join(lines)
    return f"from {name} import step\n{NETWORK[:start]}    step(X, y, W, b)\n", helper


def test_a_users_own_file_is_not_taken_for_a_helpers_copy(fixer, tmp_path):
    main, helper = in_helper("part")
    found = fixer(main, [0.95], helper=helper)
    (tmp_path / "part_fixed.py").write_text("mine = 1")
    with pytest.raises(InputError, match=r"part_fixed\.py exists.*move it away"):
        fix(found)
    assert (tmp_path / "part_fixed.py").read_text() == "mine = 1"
    assert not (tmp_path / "net.fixed.py").exists()


@pytest.mark.untraced
@pytest.mark.parametrize("name", ["part", "part_fixed"])
def test_a_script_and_its_helper_are_mended_together(fixer, tmp_path, name):
    maker = Fixer(fixer(f"from {name} import rate\n{NETWORK}", helper="rate = 1\n"), (), 1.0)
    script, helper = str(tmp_path / "net.py"), str(tmp_path / f"{name}.py")
    (change,) = edits((1, 0, 1, 8, "rate = 2"))
    (other,) = edits((3, 15, 3, 16, "1"))
    both = [{**change, "file": helper}, {**other, "file": script}]
    texts, by_hand = maker._edited({script: (tmp_path / "net.py").read_text()}, both)
    assert f"from {name}_fixed import rate\n" in texts[script]
    assert "np.random.seed(1)" in texts[script]
    assert (texts[helper], by_hand) == ("rate = 2\n", [])
    again = {**change, "file": str(tmp_path / f"{name}_fixed.py"), "text": "rate = 3"}
    assert maker._edited(texts, [again])[0] == {**texts, helper: "rate = 3\n"}


def test_what_a_later_copy_has_mended_need_not_be_done_by_hand(fixer):
    found = fixer(after=[0.95])
    (change,) = edits((2, 0, 2, 0, "("))
    wrong = replace(
        found.report.findings[0], repair={"edits": [{**change, "file": found.script.name}]}
    )
    found = replace(found, report=replace(found.report, findings=(*found.report.findings, wrong)))
    assert Fixer(found, (), 1.0).by_hand() == ["net.py, line 2"]
    assert fix(found)["by_hand"] == []


@pytest.mark.untraced
@pytest.mark.process
def test_what_only_a_copy_showed_to_be_wrong_is_told_as_changed_besides(fixer, monkeypatch):
    found, (change,) = fixer(), edits((6, 15, 6, 18, "900"))
    files = {"gradient-scale": found.script.name, "update-wrong": "/elsewhere/part.py"}
    later = [{"code": code, "severity": "error", "repair": {"edits": [{**change, "file": file}]}}
             for code, file in files.items()]  # fmt: skip
    replies = [{"findings": later, "facts": {"skill": 0.5}},
               {"findings": [], "facts": {"skill": 0.95}}]  # fmt: skip
    monkeypatch.setattr(Fixer, "_report", lambda fixer: replies.pop(0))
    assert fix(found)["tried"] == ["the remedy of gradient-scale"]


@pytest.mark.untraced
@pytest.mark.process
def test_a_helper_is_mended_as_a_copy_that_the_mended_script_imports(fixer, tmp_path):
    main, helper = in_helper("part")
    done = fix(fixer(main, [0.95], helper=helper))
    assert "from part_fixed import step" in (tmp_path / "net.fixed.py").read_text()
    assert "(p - y) / 40" in (tmp_path / "part_fixed.py").read_text()
    assert "+from part_fixed import step" in done["changes"]
    assert fix(fixer(main, [0.95], helper=helper)) == done  # which replaces its own copies


@pytest.mark.process
def test_a_helper_that_the_script_does_not_import_itself_is_left_to_the_user(fixer, tmp_path):
    found = fixer(after=[0.0] * 9)
    found.report.findings[0].repair["edits"][0]["file"] = str(tmp_path / "elsewhere" / "part.py")
    done = fix(found)
    assert done["by_hand"][0].startswith("part.py, line ")


@pytest.mark.process
def test_a_notebook_is_mended_as_a_notebook(fixer, tmp_path):
    split = NETWORK.index("for i")
    texts = f"%matplotlib inline\n{NETWORK[:split]}", NETWORK[split:], ""
    cells = [{"cell_type": "code", "source": each, "metadata": {}} for each in texts]
    done = fix(fixer(json.dumps({"cells": cells, "nbformat": 4}), [0.95], "net.ipynb"))
    mended = json.loads((tmp_path / "net.fixed.ipynb").read_text("utf-8"))["cells"]
    assert done["file"].endswith("net.fixed.ipynb")
    assert "".join(mended[0]["source"]).startswith("%matplotlib")
    assert "p - y" in "".join(mended[1]["source"])
    assert not any("nbformat" in each for each in done["changes"])


@pytest.mark.parametrize(
    ("code", "skills", "tried"),
    [("", (0.6, 0.75), ["more steps"]), ("", (0.6, 0.65), []), ("", (0.85, 1.0), []),
     ("gradient-scale", (0.6, 0.9), [])],
    ids=["much better", "hardly better", "learnt before", "a fault is left"],
)  # fmt: skip
@pytest.mark.process
def test_more_steps_are_taken_only_where_they_help_a_right_network_much(
    fixer, monkeypatch, code, skills, tried
):
    found, (change,) = fixer(), edits((6, 15, 6, 18, "900"))
    facts = {"tries": [{"what": "more steps", "edits": [{**change, "file": found.script.name}]}]}
    left = [{"code": code, "severity": "error", "repair": None}] * bool(code)
    replies = [{"findings": left, "facts": {**facts, "skill": each}} for each in skills]
    monkeypatch.setattr(Fixer, "_report", lambda fixer: replies.pop(0))
    assert fix(found)["tried"] == tried


def test_a_script_without_findings_is_left_as_it_is(fixer):
    noisy = NETWORK.replace("(X[:, :1] > 0)", "(X[:, :1] + np.random.randn(40, 1) > 0)")
    found = fixer(noisy.replace("y - p", "p - y"), after=[1.0])
    assert found.report.facts["tries"]
    assert not found.report.findings
    assert fix(found)["after"] is None


def test_what_was_taught_wrongly_need_not_be_learnt_as_well():
    def attempt(skill, *codes, status=0):
        found = [{"code": each, "severity": "error"} for each in codes]
        return Attempt({}, {"findings": found, "facts": {"skill": skill, "status": status}})

    assert attempt(0.7).better_than(attempt(1.0, "same-batch"))
    assert not attempt(0.77).better_than(attempt(0.85, "dropout-at-prediction"))
    assert attempt(0.85).better_than(attempt(0.85, "dropout-at-prediction"))
    assert not attempt(0.7).better_than(attempt(0.8, "gradient-sign"))
    assert attempt(0.93).better_than(attempt(0.95, "gradient-wrong"))
    assert not attempt(0.99, "same-batch").better_than(attempt(0.5))
    assert not attempt(0.94).better_than(attempt(0.95))
    assert not attempt(0.9, status=2).better_than(attempt(0.0))


def test_adams_corrections_of_its_first_steps_are_powers_of_its_rates(tmp_path):
    path = tmp_path / "net.py"
    path.write_text("m = v / (1 - b) ** t")
    (change,) = rewrite(str(path), tree(str(path)), *CORRECTED)
    assert change["text"] == "v / (1 - b ** t)"


@pytest.mark.parametrize(("start", "edits"), [("rate = 0.2", 1), ("first = 0.2", 0)])
def test_a_rate_that_falls_is_left_alone_where_nothing_else_sets_it(tmp_path, start, edits):
    path = tmp_path / "net.py"
    path.write_text(f"{start}\nfor k in range(9):\n    rate = 0.2 / 2**k\n    w -= rate * g\n")
    update = SimpleNamespace(scalars=(("rate", 0.2),))
    roles = SimpleNamespace(file=str(path), step=SimpleNamespace(updates=[update]))
    vanishes = SimpleNamespace(code="learning-rate-vanishes")
    assert len(rewritten(vanishes, roles)) == edits
