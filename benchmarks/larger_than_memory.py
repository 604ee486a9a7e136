"""Train on files larger than the memory that the process may have.

    python benchmarks/larger_than_memory.py [--gigabytes 2] [--out FOLDER]

Three files, of a quarter, half and all of the size, are made in a temporary folder. Each is
trained on for one epoch in a process of its own whose address space is limited to what it takes
after the imports plus 600 MB; the peak of its resident memory is recorded.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from machine import system

COLUMNS, LIMIT_MB = 784, 600

TRAIN = """
import re, resource, sys, numpy as np, xpnet
def peak():  # of this program; ru_maxrss would begin with its parent's
    return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
from xpnet.training import Training  # everything is imported before the limit is set
xpnet.fit(xpnet.MLP([2, 1]), np.eye(2), [0.0, 1.0], epochs=1)
xpnet.RowFile
pages = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
limit = pages + int(sys.argv[2]) * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
before = peak()
source = xpnet.RowFile(sys.argv[1]).standardized()
y = np.arange(source.shape[0]) % 2
net = xpnet.MLP([source.shape[1], 64, 1], output="sigmoid")
history = xpnet.fit(net, source, y, epochs=1, batch_size=256, optimizer=xpnet.SGD(0.01))
after = peak()
print(source.shape[0], before / 1024, after / 1024, history.loss[-1], history.seconds[-1])
"""


def write_file(path: Path, rows: int) -> None:
    """Write an NPY file of random numbers, piece by piece."""
    rng = np.random.default_rng(0)
    with path.open("wb") as file:
        head = {"descr": "<f4", "fortran_order": False, "shape": (rows, COLUMNS)}
        np.lib.format.write_array_header_1_0(file, head)
        for start in range(0, rows, 8192):
            piece = rng.random((min(8192, rows - start), COLUMNS), dtype=np.float32)
            file.write(piece.tobytes())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gigabytes", type=float, default=2.0)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    arguments = parser.parse_args()
    lines = [
        "# Larger than memory",
        "",
        f"Written by `python benchmarks/larger_than_memory.py`: {COLUMNS} float32 columns, one "
        f"epoch, address space limited to the imports plus {LIMIT_MB} MB.",
        "",
        *system(),
        "",
        "| file | rows | peak resident memory above the imports | seconds |",
        "|---|---|---|---|",
    ]
    with tempfile.TemporaryDirectory() as folder:
        for share in (0.25, 0.5, 1.0):
            rows = int(share * arguments.gigabytes * 1e9 / (4 * COLUMNS))
            path = Path(folder) / "x.npy"
            write_file(path, rows)
            command = [sys.executable, "-c", TRAIN, str(path), str(LIMIT_MB)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            count, before, after, _, seconds = (float(word) for word in done.stdout.split())
            lines.append(
                f"| {path.stat().st_size / 1e6:,.0f} MB | {count:,.0f} | {after - before:.0f} MB "
                f"| {seconds:.0f} |"
            )
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "larger_than_memory.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
