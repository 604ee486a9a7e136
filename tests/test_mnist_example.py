import gzip
import os
import runpy
import struct
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent
EXAMPLE = ROOT / "examples" / "mnist.py"
DATA = Path(os.environ.get("XPNET_DATA", ROOT.parent / "shared" / "data"))
SET = "set XPNET_DATA to a folder with mnist/ and fashion-mnist/ (see benchmarks/README.md)"

example = runpy.run_path(str(EXAMPLE))


def write_idx(path, array):
    content = (
        struct.pack(f">BBBB{array.ndim}i", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()
    )
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


@pytest.fixture
def folder(tmp_path):
    """Four small files of images whose brightest rows of pixels tell the digit."""
    rng = np.random.default_rng(0)
    for name, count in (("train", 600), ("t10k", 200)):
        labels = rng.integers(0, 10, count).astype(np.uint8)
        images = rng.integers(0, 60, (count, 28, 28), dtype=np.uint8)
        images[np.arange(count), 2 * labels + 4] += 180
        write_idx(tmp_path / f"{name}-images-idx3-ubyte.gz", images)
        write_idx(tmp_path / f"{name}-labels-idx1-ubyte", labels)
    return tmp_path


def test_the_example_prints_each_seed_and_the_mean(folder, monkeypatch, capsys):
    arguments = ["mnist.py", "--data", str(folder), "--seeds", "2", "--epochs", "8"]
    monkeypatch.setattr(sys, "argv", arguments)
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == [
        "relu, seed 0", "relu, seed 1", "relu", "sigmoid, seed 0", "sigmoid, seed 1", "sigmoid",
    ]  # fmt: skip
    for line in lines:
        assert float(line.split()[-1].rstrip("%")) > 95.0


def test_downloads_are_checked_by_the_checksums_of_the_real_files():
    for folder, column in (("mnist", 0), ("fashion-mnist", 1)):
        if not (DATA / folder).exists():
            pytest.skip(f"no data; {SET}")
        pooch = pytest.importorskip("pooch")
        for name, sums in example["FILES"].items():
            assert pooch.file_hash(str(DATA / folder / name)) == sums[column]


def test_three_thousand_real_digits_are_learned():
    if not (DATA / "mnist").exists():
        pytest.skip(f"no data; {SET}")
    x_train, y_train, x_test, y_test = example["load"](DATA / "mnist")
    data = x_train[:3000], y_train[:3000], x_test[:2000], y_test[:2000]
    assert example["train"](data, "relu", epochs=8) > 0.85
    assert example["train"](data, "sigmoid", epochs=8) > 0.84
