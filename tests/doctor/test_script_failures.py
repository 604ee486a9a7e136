"""Of a script that an error ends, the cause is told where only one change makes the shapes fit."""

import pytest

from xpnet.doctor.scripts.examine import examine
from xpnet.doctor.scripts.recording.source import Script
from xpnet.doctor.scripts.repairs.edits import apply

RIGHT = """import numpy as np
np.random.seed(2)
X = 2 * np.random.randn(60, 2)
Y = np.where(X[:, :1] > 0, 1.0, 0)
W1, b1 = np.random.randn(2, 8), np.zeros(8)
W2, b2 = np.random.randn(8, 1), np.zeros((1, 1))
for step in range(30):
    A1 = np.tanh(X @ W1 + b1)
    D2 = 1 / (1 + np.exp(-(A1.dot(W2) + b2))) - Y
    D1 = np.dot(D2, W2.T) * (1 - A1**2)
    dW2 = A1.T @ D2 / 60
    W1 -= 0.1 * X.T @ D1
    W2 -= 0.1 * dW2
    b1 -= 0.1 * D1.sum(axis=0)
    b2 -= 0.1 * D2.mean(axis=0, keepdims=True)
"""


def examined(text, folder):
    path = folder / "net.py"
    path.write_text(text)
    return examine(Script(str(path), ())).report


@pytest.mark.parametrize(
    ("right", "wrong", "code", "mended"),
    [
        ("np.dot(D2, W2.T)", "np.dot(D2, W2)", "shapes-do-not-fit", "np.dot(D2, W2.T)"),
        ("(A1.dot(W2)", "(A1.T.dot(W2)", "shapes-do-not-fit", "(A1.dot(W2)"),
        ("X @ W1", "W1 @ X", "shapes-do-not-fit", "X @ W1"),
        ("= A1.T @ D2", "= (1 * A1) @ D2", "shapes-do-not-fit", "((1 * A1).T) @ D2"),
        ("0.1 * dW2", "(0.1 * dW2).T", "shapes-do-not-fit", "W2 -= (0.1 * dW2)\n"),
        (".sum(axis=0)", "", "parameter-shape-changed", "0.1 * np.sum(D1, axis=0)"),
        (".mean(axis=0, keepdims=True)", "", "parameter-shape-changed",
         "0.1 * np.mean(D2, axis=0, keepdims=True)"),
        ("X[:, :1] > 0", "X[:, 0] > 0", "loss-broadcast", "np.reshape(Y, (-1, 1))"),
        ("X[:, :1] > 0, 1.0, 0", "X[:, 0] > 0, 'a', 'b'", "class-numbers",
         "np.unique(Y, return_inverse=True)[1].reshape(np.shape("),
    ],
)  # fmt: skip
def test_the_cause_of_the_error_is_named_and_mended(right, wrong, code, mended, tmp_path):
    script = RIGHT.replace(right, wrong)
    found = examined(script, tmp_path)
    assert found.codes == (code,)
    assert mended in apply(script, found.findings[0].repair["edits"])


@pytest.mark.parametrize(
    "line",
    ["X @ np.eye(60)", "W1 - np.eye(4)", "X[99]", "X @ None", "nothing"],
)
def test_an_error_that_no_single_change_explains_is_left_to_python(line, tmp_path):
    script = RIGHT.replace("    A1 =", f"    {line}\n    A1 =")
    assert examined(script, tmp_path).codes == ()
