"""Learning rates from 1 to 1e300: no training that fails may be passed over in silence.

    python benchmarks/learning_rates.py [--out FILE.md]

`xpnet train` with every combination of rate, task, hidden layers and optimiser. A run may end with
status 3 (it diverged, and the message says so), or with status 0 and the doctor's error on standard
error, or with status 0 and a model that beats the constant prediction on validation rows. Anything
else is silence. After a divergence the model file that was there before must be the same, and the
newest checkpoint must load and be finite.

A second part trains well for three epochs, then with the rate: so must the newest checkpoint then.
"""

import argparse
import contextlib
import io
import itertools
import json
import tempfile
from collections import Counter
from pathlib import Path

import machine
import numpy as np

import xpnet
from xpnet.cli.main import main as xpnet_command
from xpnet.saving.checkpoint import FORMAT_VERSION, checkpoints
from xpnet.saving.container import read_container

RATES = [1.0, 3.0, 10.0, 100.0, 1e3, 1e6, 1e10, 1e20, 1e30, 1e38, 1e100, 1e200, 1e300]
HIDDEN = [("none", "relu"), *itertools.product(["8", "16,16"], ["relu", "tanh", "sigmoid", "selu"])]
OPTIMIZERS = ["sgd", "sgd --momentum 0", "adam", "adamw"]
TASKS = {"binary": ["--loss", "auto"], "three classes": [], "regression": []}


def write_table(path: Path, task: str) -> None:
    """Write 200 rows that can be learnt."""
    draw = np.random.default_rng(0)
    x = draw.normal(size=(200, 4))
    score = x @ [1.0, -2.0, 0.5, 1.5] + np.sin(3 * x[:, 0])
    y = {
        "binary": (score > 0).astype(int),
        "three classes": np.digitize(score, [-1.5, 1.5]),
        "regression": np.round(score, 4),
    }[task]
    rows = [
        ",".join([*(f"{v:.4f}" for v in row), str(target)])
        for row, target in zip(x, y, strict=True)
    ]
    path.write_text("\n".join(["a,b,c,d,y", *rows]) + "\n")


def newest(folder: Path) -> dict[str, np.ndarray]:
    """Return what the newest checkpoint holds."""
    return read_container(checkpoints(folder)[-1], "checkpoint", FORMAT_VERSION)[1]


def outcome(arguments: list[str], out: Path, kept: Path) -> str:
    """Run one command; say in a word how it ended."""
    before, said, printed = out.read_bytes(), io.StringIO(), io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(printed):
        status = xpnet_command(arguments)
    if status == 3:
        if "diverged in epoch" not in said.getvalue() or out.read_bytes() != before:
            return "status 3, but unsaid or the model replaced"
        good = not checkpoints(kept) or np.isfinite(newest(kept)["weights.0"]).all()
        return "diverged" if good else "a bad checkpoint"
    out.write_bytes(before)
    if status != 0:
        return f"status {status}"
    if "doctor: " in said.getvalue():
        return "reported by the doctor"
    found = json.loads(printed.getvalue())["scores"]
    score = "r2" if "r2" in found else "accuracy"
    return "learnt" if found[score] > found["baseline"][score] else "SILENT"


def late(rate: float, optimizer: type, folder: Path) -> str:
    """Train well for three epochs, then at `rate`; say what became of weights and checkpoints."""
    draw = np.random.default_rng(0)
    x = draw.normal(size=(200, 4))
    net = xpnet.MLP([4, 16, 3], output="softmax")

    def then(progress: object) -> float:
        return 1.0 if progress.epoch < 3 else rate / 0.01

    with contextlib.suppress(xpnet.DivergenceError):
        xpnet.fit(net, x, np.argmax(x[:, :3], axis=1), optimizer=optimizer(0.01), epochs=10,
                  schedule=then, callbacks=[xpnet.Checkpoint(folder)])  # fmt: skip
        return "no divergence"
    if not all(np.isfinite(each).all() for each in net.parameters):
        return "weights not finite"
    kept = newest(folder)
    good = all(np.isfinite(kept[f"weights.{layer}"]).all() for layer in range(len(net.weights)))
    return "good ones kept" if good else "A BAD CHECKPOINT"


def table(counts: dict[float, Counter[str]]) -> list[str]:
    """Return a table of what happened at each rate."""
    names = sorted({name for each in counts.values() for name in each})
    lines = ["| learning rate | " + " | ".join(names) + " |", "|---:|" + "---:|" * len(names)]
    for rate, each in counts.items():
        lines.append(f"| {rate:g} | " + " | ".join(f"{each[name]:,}" for name in names) + " |")
    total = sum(counts.values(), Counter())
    return [*lines, "| all | " + " | ".join(f"{total[name]:,}" for name in names) + " |"]


def sweep(rates: list[float], folder: Path) -> dict[float, Counter[str]]:
    """Run the command at every combination."""
    counts: dict[float, Counter[str]] = {rate: Counter() for rate in rates}
    out, kept = folder / "m.safetensors", folder / "kept"
    xpnet.MLP([4, 1]).save(out)
    for task in TASKS:
        write_table(folder / "t.csv", task)
        for rate, (hidden, activation), optimizer in itertools.product(rates, HIDDEN, OPTIMIZERS):
            for old in kept.glob("*"):
                old.unlink()
            arguments = ["train", str(folder / "t.csv"), "--target", "y", "--lr", str(rate),
                         "--hidden", hidden, "--activation", activation, "--optimizer",
                         *optimizer.split(), "--epochs", "6", "--checkpoint", str(kept),
                         "--out", str(out), "--json"]  # fmt: skip
            how = outcome(arguments, out, kept)
            counts[rate][how] += 1
            if how not in ("diverged", "reported by the doctor", "learnt"):
                print(how, arguments, flush=True)
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    here = Path(__file__).parent
    parser.add_argument("--out", type=Path, default=here / "results" / "learning_rates.md")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        counts = sweep(RATES, Path(folder))
    after: dict[float, Counter[str]] = {rate: Counter() for rate in RATES}
    for rate, optimizer in itertools.product(RATES, (xpnet.SGD, xpnet.Adam, xpnet.AdamW)):
        with tempfile.TemporaryDirectory() as folder:
            after[rate][late(rate, optimizer, Path(folder))] += 1
    lines = ["# Learning rates from 1 to 1e300", "",
             "Made by `python benchmarks/learning_rates.py`; see there for what is counted.", "",
             *machine.system(), "",
             "Runs of `xpnet train`, 6 epochs on 160 rows: 3 tasks, 9 choices of hidden layers, "
             "4 optimisers for each rate.", "", *table(counts), "",
             "The rate set after three good epochs (`xpnet.fit`, SGD, Adam, AdamW), and the newest "
             "checkpoint:", "", *table(after)]  # fmt: skip
    given.out.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
