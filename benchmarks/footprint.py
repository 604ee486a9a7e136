"""What xpnet costs around the training: import time, start-up, memory, wall time to a result.

    python benchmarks/footprint.py [--mnist FOLDER] [--out FOLDER]

Every figure is the median of fresh processes.
"""

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

from machine import system

ROOT = Path(__file__).parent.parent

IMPORT = "import time; t = time.perf_counter(); import {}; print(time.perf_counter() - t)"

USED = "xpnet; xpnet.MLP, xpnet.fit"  # names load their modules when they are first used

MEMORY = """
import re, numpy as np, xpnet
def peak():  # of this program; ru_maxrss would begin with its parent's
    return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) / 1024
x = np.empty((60000, 784), dtype=np.float32)
np.random.default_rng(0).random(dtype=np.float32, out=x)
y = np.arange(60000) % 10
xpnet.fit(xpnet.MLP([784, 10], output="softmax"), x[:64], y[:64], epochs=1)  # imports
before = peak()
net = xpnet.MLP([784, 128, 128, 10], output="softmax")
xpnet.fit(net, x, y, epochs=1, batch_size=64)
print(before, peak(), x.nbytes / 2**20)
"""

TO_97 = """
import gzip, sys, time, numpy as np, xpnet
folder = sys.argv[1]
def read(name, skip):
    with gzip.open(f"{folder}/{name}") as file:
        return np.frombuffer(file.read(), dtype=np.uint8, offset=skip)
def images(name):
    return read(f"{name}-images-idx3-ubyte.gz", 16).reshape(-1, 784) / np.float32(255)
def labels(name):
    return read(f"{name}-labels-idx1-ubyte.gz", 8).astype(int)
x, y, xt, yt = images("train"), labels("train"), images("t10k"), labels("t10k")
class Until:
    def on_epoch_end(self, training):
        reached = training.state.history.metrics["accuracy"][-1]
        if reached >= 0.97:
            training.stop("97 %")
net = xpnet.MLP([784, 128, 128, 10], output="softmax", seed=0)
started = time.perf_counter()
history = xpnet.fit(
    net, x, y, epochs=20, batch_size=64, optimizer=xpnet.SGD(0.1), schedule="linear",
    validation=(xt, yt), metrics=["accuracy"], callbacks=[Until()],
)
print(time.perf_counter() - started, history.epochs, history.metrics["accuracy"][-1])
"""


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout


def python(code: str, *arguments: str) -> list[float]:
    return [float(word) for word in run(sys.executable, "-c", code, *arguments).split()]


def wall(*command: str) -> float:
    started = time.perf_counter()
    run(*command)
    return time.perf_counter() - started


def median_of(repeats: int, measure: object) -> float:
    return statistics.median(measure() for _ in range(repeats))  # type: ignore[operator]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mnist", type=Path)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--repeats", type=int, default=7)
    arguments = parser.parse_args()
    repeats = arguments.repeats
    numpy_time = median_of(repeats, lambda: python(IMPORT.format("numpy"))[0])
    own_time = median_of(repeats, lambda: python("import numpy;" + IMPORT.format(USED))[0])
    start = median_of(repeats, lambda: wall(sys.executable, "-m", "xpnet", "--help"))
    table = str(ROOT / "examples/data/banknote.csv")
    out = arguments.out / "banknote-benchmark.safetensors"
    command = (sys.executable, "-m", "xpnet", "train", table, "--target", "class", "--out")
    banknote = median_of(repeats, lambda: wall(*command, str(out)))
    out.unlink()
    before, after, data = python(MEMORY)
    lines = [
        "# Around the training",
        "",
        "Written by `python benchmarks/footprint.py`; medians of fresh processes.",
        "",
        *system(),
        "",
        "| what | measured |",
        "|---|---|",
        f"| `import numpy` | {numpy_time * 1e3:.0f} ms |",
        f"| `import xpnet` above it, with `MLP` and `fit` | {own_time * 1e3:.0f} ms |",
        f"| `xpnet --help` | {start * 1e3:.0f} ms |",
        f"| `xpnet train` on banknote, from process start | {banknote:.2f} s |",
        f"| training 784-128-128-10 on 60,000 rows: peak above the {data:.0f} MB of data and the "
        f"imports | {after - before:.0f} MB |",
    ]
    if arguments.mnist:
        seconds, epochs, accuracy = python(TO_97, str(arguments.mnist))
        lines.append(
            f"| MNIST to 97 % test accuracy, 784-128-128-10 | {seconds:.1f} s, {epochs:.0f} "
            f"epochs ({accuracy:.2%}) |"
        )
    (arguments.out / "footprint.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
