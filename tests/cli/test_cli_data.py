"""``xpnet train`` on every kind of file: tables, arrays, images, and files larger than memory."""

import gc
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from command_line import BANKNOTE, QUICK, Run, table
from lazily import polars

import xpnet

pytestmark = pytest.mark.usefixtures("in_empty_directory")


def test_arrays_and_images_are_trained_on_too(run: Run) -> None:
    x = np.random.default_rng(0).integers(0, 256, (40, 3, 3), dtype=np.uint8)
    y = (x[:, 0, 0] > 127).astype(np.uint8)
    for name, array in (("x-idx3-ubyte", x), ("y-idx1-ubyte", y)):
        sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
        Path(name).write_bytes(bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes())
    np.savez("both.npz", x=x, y=y)
    np.save("x.npy", x)
    np.save("y.npy", y)
    for data, target in (("x-idx3-ubyte", "y-idx1-ubyte"), ("x.npy", "y.npy"), ("both.npz", "y")):
        outcome = run("train", data, "--target", target, *QUICK, "--out", "m.safetensors", "--json")
        assert outcome.json["network"]["sizes"] == [9, 8, 1]
        assert run("evaluate", "m.safetensors", data, "--target", target).status == 0
    assert run("predict", "m.safetensors", "x.npy").out.count("\n") == 41


def test_arrays_of_an_npz_file_are_chosen_by_name(run: Run) -> None:
    x = np.random.default_rng(0).standard_normal((40, 2))
    np.savez("k.npz", x_train=x, y_train=x[:, 0] > 0, x_test=x[:9], y_test=x[:9, 0] > 0)
    command = ["train", "k.npz", *QUICK, "--out", "m.safetensors"]
    found = "Found 'x_train', 'y_train', 'x_test', 'y_test'; name it x, or choose by --target"
    assert found in run(*command).err
    assert run(*command, "--target", "y_train").status == 0
    assert run("evaluate", "m.safetensors", "k.npz", "--target", "y_test").status == 0
    outcome = run("predict", "m.safetensors", "k.npz")
    assert (outcome.status, "or --features (predict)" in outcome.err) == (2, True)
    outcome = run("predict", "m.safetensors", "k.npz", "--features", "x_test")
    assert outcome.out.count("\n") == 10
    loaded = xpnet.load_model("m.safetensors").predict("k.npz", features="x_test")
    assert len(loaded["y_train"]) == 9
    outcome = run("predict", "m.safetensors", "k.npz", "--features", "x_tset")
    assert "k.npz: there is no array 'x_tset'; did you mean 'x_test'" in outcome.err
    np.save("x.npy", x)
    told = run("predict", "m.safetensors", "x.npy", "--features", "x").err
    assert told.startswith("xpnet: --features 'x' has no effect: x.npy is no NPZ file")


def test_targets_of_arrays_must_be_named_and_what_there_is_is_listed(run: Run) -> None:
    np.save("x.npy", np.eye(4))
    assert "use --target to name the file with the targets" in run("train", "x.npy").err
    np.savez("K.npz", X=np.eye(4), Y=np.arange(4) % 2)
    for command in ("train", "doctor"):
        outcome = run(command, "K.npz")
        assert "use --target to name the array with the targets; there are: 'X', 'Y'" in outcome.err
        assert (outcome.status, outcome.err.count("\n")) == (2, 1)


def files_of_rows() -> dict[str, list[str]]:
    """The same kinds of rows in every format that can be streamed, with the options for each.

    Tables have numbers, texts, missing cells of either, and a class.
    """
    draw, lines = np.random.default_rng(1), ["size,colour,weight,fit"]
    for row in range(300):
        number = "" if row % 17 == 5 else f"{draw.normal():.5f}"
        colour = ["red", "green", "blue", ""][int(draw.integers(0, 4))]
        lines.append(f"{number},{colour},{draw.normal():.3f},{'no' if row % 3 else 'yes'}")
    path = table("t.csv", "\n".join(lines) + "\n")
    polars.read_csv(path).write_parquet("t.parquet", row_group_size=100)
    x = draw.integers(0, 256, (300, 3, 2), dtype=np.uint8)
    np.save("x.npy", x.astype(np.float32))
    np.save("y.npy", x[:, 0, 0] > 127)
    Path("x-idx3-ubyte").write_bytes(
        bytes([0, 0, 8, 3]) + b"".join(n.to_bytes(4, "big") for n in x.shape) + x.tobytes()
    )
    of_table = ["--target", "fit", "--missing", "impute"]
    of_array = ["--target", "y.npy"]
    return {"t.csv": of_table, "t.parquet": of_table, "x.npy": of_array, "x-idx3-ubyte": of_array}


def test_validation_rows_of_arrays_have_targets_of_their_own(run: Run) -> None:
    x = np.random.default_rng(0).normal(size=(40, 3))
    np.save("x.npy", x)
    np.save("y.npy", x[:, 0] > 0)
    command = ["train", "x.npy", "--target", "y.npy", *QUICK, "--validation", "x.npy"]
    assert "--validation-target FILE" in run(*command).err
    assert run(*command, "--validation-target", "y.npy").status == 0
    np.savez("train.npz", x=x, y=x[:, 0] > 0)
    np.savez("held.npz", x=x[:20], y=x[:20, 0] > 0)
    outcome = run("train", "train.npz", "--validation", "held.npz", *QUICK, "--json")
    assert (outcome.status, outcome.json["rows"]["validation"]) == (0, 20)


def test_a_parquet_file_damaged_within_gives_one_message(run: Run) -> None:
    files_of_rows()
    whole = bytearray(Path("t.parquet").read_bytes())
    for at in range(4, len(whole) - 200, len(whole) // 3):
        broken = bytearray(whole)
        broken[at : at + 40] = bytes(40)
        Path("broken.parquet").write_bytes(broken)
        outcome = run("train", "broken.parquet", "--target", "fit", "--missing", "impute", *QUICK)
        assert outcome.status in (0, 2)
        assert outcome.status == 0 or outcome.err.count("\n") == 1


# Rows left on the disk


@pytest.mark.untraced
@pytest.mark.parametrize("data", ["t.csv", "t.parquet", "x.npy", "x-idx3-ubyte"])
def test_rows_left_on_the_disk_give_the_same_model_bit_for_bit(
    run: Run, data: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("xpnet.tables.npy.CELLS", 101)  # several blocks
    monkeypatch.setattr("xpnet.tables.csv._BLOCK", 1 << 10)
    options = [data, *files_of_rows()[data], *QUICK]
    assert run("train", *options, "--out", "whole.safetensors").status == 0
    outcome = run("train", *options, "--stream", "--out", "streamed.safetensors")
    assert outcome.status == 0, outcome.err
    assert Path("streamed.safetensors").read_bytes() == Path("whole.safetensors").read_bytes()
    gc.collect()
    assert not list(Path().glob(".xpnet-*"))


def test_a_large_table_is_left_on_the_disk_unasked(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["train", table("t.csv", BANKNOTE.read_text()), "--target", "class", *QUICK]
    monkeypatch.setattr("xpnet.cli.task.free_memory", lambda: 8 * BANKNOTE.stat().st_size - 8)
    assert "rows read from a temporary file" in run(*command).out
    monkeypatch.setattr("xpnet.cli.task.free_memory", lambda: 8 * BANKNOTE.stat().st_size)
    outcome = run(*command)
    assert (outcome.status, "temporary" in outcome.out) == (0, False)


LIMITED = """
import resource, sys
import xpnet.cli.task
from xpnet.cli.main import main
main(["train", "small.npy", "--target", "small_y.npy", "--epochs", "1", "--out", "s.safetensors"])
pages = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (pages + 300 * 2**20,) * 2)  # a map of 160 MB, and the rest
xpnet.cli.task.free_memory = lambda: 150 * 2**20
sys.exit(main(["train", "x.npy", "--target", "y.npy", "--hidden", "4", "--epochs", "1",
               "--batch-size", "1000"]))
"""


@pytest.mark.untraced
@pytest.mark.process
@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's limit of the address space")
def test_a_file_larger_than_the_memory_is_trained_on() -> None:
    np.save("small.npy", np.random.default_rng(0).random((40, 3)))
    np.save("small_y.npy", np.arange(40) % 2)
    rows, columns = 40_000, 1_000  # 160 MB, which the file system need not store
    with open("x.npy", "wb") as file:
        head = {"descr": "<f4", "fortran_order": False, "shape": (rows, columns)}
        np.lib.format.write_array_header_1_0(file, head)
        file.truncate(file.tell() + 4 * rows * columns)
    np.save("y.npy", np.arange(rows) % 2)
    command = [sys.executable, "-c", LIMITED]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "40,000 rows, 1,000 columns; 32,000 rows to train on, 8,000" in done.stdout


def test_streaming_is_refused_where_it_cannot_be(run: Run) -> None:
    files_of_rows()
    np.savez("both.npz", x=np.eye(4), y=np.arange(4) % 2)
    wide = "".join(f"t{row},{row % 2}\n" for row in range(40))
    table("texts.csv", "name,y\n" + wide)
    for options, status, message in (
        ("both.npz --target y", 2, "packed file; save it as .npy"),
        ("t.csv --target fit --validation 0", 2, "give a share or a file"),
        ("t.csv --target fit --cache no/such", 4, "--stream --cache DIR keeps them elsewhere"),
        ("t.csv --target fit --missing error", 2, "t.csv: line 2, column 'colour': a missing cell"),
        ("none.csv --target fit", 2, "none.csv: cannot be read"),
        (
            "texts.csv --target y",
            2,
            "no columns of use are left besides the target: name (identifier); add some, or",
        ),
    ):
        outcome = run("train", *options.split(), "--stream", "--out", "m.safetensors")
        assert outcome.status == status
        assert message in outcome.err
        assert outcome.err.count("\n") == 1


def test_a_streamed_training_is_resumed_to_the_same_bits(run: Run) -> None:
    command = ["train", "x.npy", *files_of_rows()["x.npy"], *QUICK, "--stream"]
    command += ["--checkpoint", "kept", "--checkpoint-every", "7 steps", "--out", "m.safetensors"]
    assert run(*command).status == 0
    whole = Path("m.safetensors").read_bytes()
    for newest in sorted(Path("kept").glob("checkpoint-*"))[1:]:
        newest.unlink()
    assert run(*command, "--resume").status == 0
    assert Path("m.safetensors").read_bytes() == whole
