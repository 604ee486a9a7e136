"""Train on files larger than the memory that the process may have, with `xpnet train`.

    python benchmarks/larger_than_memory.py [--gigabytes 2] [--only FORMAT ...] [--out FOLDER]

For each format three files, of a quarter, half and all of the size, are made in a temporary folder
and trained on for one epoch, each in a process of its own. Its address space is limited to what it
takes after the imports plus 600 MB (not for Parquet: Polars maps the file, which takes address
space as large as the file, and no memory that the system could not have back).
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from machine import system

COLUMNS, LIMIT_MB, PIECE = 784, 600, 8192

TRAIN = """
import re, resource, sys, threading, time
def held(what):  # of this program; ru_maxrss would begin with its parent's
    return int(re.search(what + r":\\s+(\\d+)", open("/proc/self/status").read())[1]) / 1024
from xpnet.cli.main import main
sys.stdout = open("/dev/null", "w")
rows = "".join(f"{i / 7},{i % 3}a,{i % 2}\\n" for i in range(99))
open("small.csv", "w").write("x,t,y\\n" + rows)
main(["train", "small.csv", "--target", "y", "--epochs", "1", "--stream"])  # imports everything
import polars
polars.read_csv("small.csv").write_parquet("small.parquet")
main(["train", "small.parquet", "--target", "y", "--epochs", "1", "--stream"])
resident, anonymous, most = held("VmHWM"), held("RssAnon"), 0.0
if sys.argv[1] != "0":
    limit = int((held("VmSize") + int(sys.argv[1])) * 2**20)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
def watch():
    global most
    while True:
        most = max(most, held("RssAnon"))
        time.sleep(0.02)
threading.Thread(target=watch, daemon=True).start()
started = time.perf_counter()
status = main(["train", *sys.argv[2:], "--out", "m.safetensors", "--epochs", "1", "--stream"])
seconds = time.perf_counter() - started
print(status, held("VmHWM") - resident, most - anonymous, seconds, file=sys.stderr)
"""


def pieces(rows: int) -> list[np.ndarray]:
    """Return functions that draw the rows of a file, piece by piece."""
    rng = np.random.default_rng(0)
    for start in range(0, rows, PIECE):
        yield rng.random((min(PIECE, rows - start), COLUMNS), dtype=np.float32)


def write_npy(path: Path, rows: int) -> None:
    with path.open("wb") as file:
        head = {"descr": "<f4", "fortran_order": False, "shape": (rows, COLUMNS)}
        np.lib.format.write_array_header_1_0(file, head)
        for piece in pieces(rows):
            file.write(piece.tobytes())


def write_idx(path: Path, rows: int) -> None:
    with path.open("wb") as file:
        file.write(bytes([0, 0, 13, 2]) + np.asarray([rows, COLUMNS], ">u4").tobytes())
        for piece in pieces(rows):
            file.write(piece.astype(">f4").tobytes())


def write_csv(path: Path, rows: int) -> None:
    """Write numbers with four decimals, a text column, and a target."""
    import polars

    with path.open("wb") as file:
        for number, piece in enumerate(pieces(rows)):
            frame = polars.DataFrame(piece, schema=[f"x{i}" for i in range(COLUMNS)])
            order = polars.int_range(len(piece))
            frame = frame.with_columns(
                polars.concat_str(polars.lit("kind "), order % 7).alias("text"),
                (order % 2).alias("y"),
            )
            frame.write_csv(file, include_header=number == 0, float_precision=4)


def write_parquet(path: Path, rows: int) -> None:
    import polars

    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        parts = Path(folder)
        for number, piece in enumerate(pieces(rows)):
            frame = polars.DataFrame(piece, schema=[f"x{i}" for i in range(COLUMNS)])
            frame = frame.with_columns((polars.int_range(len(piece)) % 2).alias("y"))
            frame.write_parquet(parts / f"{number:06}.parquet")
        polars.scan_parquet(parts).sink_parquet(path, row_group_size=PIECE)


FORMATS: dict[str, tuple[str, Callable[[Path, int], None], float]] = {
    "NPY": ("x.npy", write_npy, 4),
    "IDX": ("x.idx", write_idx, 4),
    "CSV": ("x.csv", write_csv, 7),
    "Parquet": ("x.parquet", write_parquet, 2.9),
}
"""Of each format: the file, what writes it, about how many bytes a number takes."""


def measured(name: str, folder: Path, rows: int) -> str:
    """Train on one file; return the line of the table."""
    file, write, _ = FORMATS[name]
    write(folder / file, rows)
    target = ["--target", "y"]
    if name in ("NPY", "IDX"):
        np.save(folder / "y.npy", np.arange(rows) % 2)
        target = ["--target", "y.npy"]
    limit = "0" if name == "Parquet" else str(LIMIT_MB)
    command = [sys.executable, "-c", TRAIN, limit, file, *target]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    status, resident, anonymous, seconds = (float(w) for w in done.stderr.split()[-4:])
    if status:
        raise SystemExit(done.stderr)
    size = os.path.getsize(folder / file) / 1e6
    how = "read in place" if name in ("NPY", "IDX") else "converted"
    line = (
        f"| {name}, {how} | {size:,.0f} MB | {rows:,} | {resident:.0f} MB "
        f"| {anonymous:.0f} MB | {seconds:.0f} |"
    )
    print(line, flush=True)
    return line


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gigabytes", type=float, default=2.0)
    parser.add_argument("--only", nargs="+", default=list(FORMATS), choices=list(FORMATS))
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    arguments = parser.parse_args()
    lines = [
        "# Larger than memory",
        "",
        f"Written by `python benchmarks/larger_than_memory.py`: `xpnet train`, {COLUMNS} columns "
        f"of random numbers, one epoch, address space limited to the imports plus {LIMIT_MB} MB "
        "(not for Parquet, which Polars maps). Above the imports. What grows is not the data: some "
        "25 bytes for each row (its target, its place in the order), and of Parquet the file's "
        "table of contents, some 400 bytes for each column of each row group (here of 8,192 rows).",
        "",
        *system(),
        "",
        "| | file | rows | peak resident memory | of it not mapped from files | seconds |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name in arguments.only:
        for share in (0.25, 0.5, 1.0):
            rows = int(share * arguments.gigabytes * 1e9 / (FORMATS[name][2] * COLUMNS))
            with tempfile.TemporaryDirectory() as folder:
                lines.append(measured(name, Path(folder), rows))
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "larger_than_memory.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
