"""Input that nobody would write: for the loader, the tables and the command line.

Each function draws one case, runs it, and returns in a word how it ended. Whatever is no
`XpnetError`, or no exit status that says so, comes out as an exception. The tests draw a
hundred cases of each, benchmarks/fuzz.py draws as many as there is time for.
"""

import contextlib
import gzip
import io
import json
import time
from dataclasses import fields
from pathlib import Path

import numpy as np
from hypothesis import strategies as st
from lazily import polars

from xpnet.cli.main import COMMANDS, main
from xpnet.errors import XpnetError
from xpnet.saving.container import checksum, read_container
from xpnet.saving.model import load_model
from xpnet.tables.prepare import prepare
from xpnet.tables.table import read_table

KEPT = Path(__file__).parent / "data" / "model-v1.safetensors"
SUFFIXES = (".csv", ".tsv", ".csv.gz", ".npy", ".npy.gz", ".npz", ".parquet", "-idx3-ubyte", ".idx")

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 2**70) | st.floats() | st.text(max_size=5)
    | st.sampled_from(["relu", "softmax", "float64", "table", "impute", "regression", 2**31]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)  # fmt: skip
"""JSON values to put where other ones stood."""

CELLS = st.sampled_from(
    ["1", "2.5", "-3e4", "", "?", "NaN", "abc", '"', '"a"', "'", "\r", "\0", "é", "1,5", "5%", " ",
     "1e999", "0x1f", "1_0", "２", "=1+1", "2020-01-02", "\ufeff", "\u2028", "-", "t" * 70]
)  # fmt: skip

WORDS = st.text(max_size=6) | st.sampled_from(
    ["nan", "inf", "-inf", "1e300", "-1", "0", "1", "2", "0.5", "1e-300", "auto", "none", "\0", "é",
     "rows.csv", "99999999999999999999", "1_0", "a,b", ",", "8,8", "gpu:7", "gpu:-1", "/", ".",
     "m.safetensors", "x.npy", "impute", "adamw", "sgd", "utf-16", "3 steps", "/dev/null",
     "poisson", "huber", "squared_error", "categorical_cross_entropy", "cosine", "plateau",
     "regression", "multiclass"]
)  # fmt: skip


def damaged(data, content):
    """Return bytes with up to three changes, cuts and insertions."""
    content = bytearray(content)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(content) - 1))
        kind = data.draw(st.sampled_from(["change", "cut", "insert"]))
        if kind == "change":
            content[at] = data.draw(st.integers(0, 255))
        elif kind == "insert":
            content[at:at] = data.draw(st.binary(min_size=1, max_size=4))
        else:
            del content[at : at + data.draw(st.integers(1, 8))]
        content = content or bytearray(b"0")
    return bytes(content)


def replaced(data, value):
    """Return a JSON value in which one part is another one, missing, or there twice."""
    if isinstance(value, dict | list) and value and data.draw(st.integers(0, 4)):
        keys = sorted(value) if isinstance(value, dict) else range(len(value))
        key, copy = data.draw(st.sampled_from(keys)), value.copy()
        how = data.draw(st.integers(0, 5))
        if how == 0:
            del copy[key]
        elif how == 1 and isinstance(copy, list):
            copy.append(copy[key])
        elif how == 1:
            copy[data.draw(st.text(max_size=4))] = data.draw(VALUES)
        else:
            copy[key] = replaced(data, value[key])
        return copy
    return data.draw(VALUES)


def model_file(data, folder):
    """A model file damaged in its bytes, or in its meaning with a checksum that fits again."""
    path, whole = folder / "m.safetensors", KEPT.read_bytes()
    if data.draw(st.booleans()):
        path.write_bytes(damaged(data, whole))
    else:
        size = int.from_bytes(whole[:8], "little")
        header, body = json.loads(whole[8 : 8 + size]), whole[8 + size :]
        content = json.loads(header["__metadata__"]["xpnet"])
        del content["sha256"]
        content = replaced(data, content)
        if isinstance(content, dict):
            with contextlib.suppress(ValueError):  # NaN has no checksum
                content["sha256"] = checksum(content, read_container(KEPT, "model", 1)[1])
        header["__metadata__"]["xpnet"] = json.dumps(content)
        text = json.dumps(header).encode()
        path.write_bytes(len(text).to_bytes(8, "little") + text + body)
    try:
        model = load_model(path)
        model.net.predict(np.zeros((2, model.net.sizes[0])))
    except XpnetError as error:
        assert str(path) in str(error)  # noqa: PT017
        return "refused"
    return "loaded"


def valid_files(folder):
    """Write one small table in each format; return their paths."""
    x, y = np.arange(12.0).reshape(6, 2), np.arange(6) % 2
    idx = bytes([0, 0, 14, 2, 0, 0, 0, 6, 0, 0, 0, 2]) + x.astype(">f8").tobytes()
    np.save(folder / "x.npy", x)
    np.savez(folder / "x.npz", x=x, y=y)
    np.savez_compressed(folder / "z.npz", x=x, y=y)
    (folder / "x.idx").write_bytes(idx)
    (folder / "x.idx.gz").write_bytes(gzip.compress(idx))
    (folder / "x.csv").write_text('a,"b",y\n1.5,"r,""d",0\n2.5,blue,1\n3,"r,""d",0\n4.5,blue,1\n')
    (folder / "x.csv.gz").write_bytes(gzip.compress((folder / "x.csv").read_bytes()))
    frame = polars.DataFrame({"a": [1, None, 3], "b": ["u", "v", "u"], "y": [1, 0, 1]})
    frame.write_parquet(folder / "x.parquet")
    return sorted(folder.glob("[xz].*"))


def good_files(folder):
    """Return the small tables, written at the first call."""
    good = folder / "good"
    if not good.exists():
        good.mkdir()
        valid_files(good)
    return sorted(good.iterdir())


def table(data, folder):
    """A table of arbitrary bytes or cells, or a good one that is damaged."""
    kind = data.draw(st.integers(0, 2))
    if kind == 0:
        path = folder / f"bytes{data.draw(st.sampled_from(SUFFIXES))}"
        path.write_bytes(data.draw(st.binary(max_size=300)))
    elif kind == 1:
        path = folder / "cells.csv"
        row = st.tuples(st.floats(-9, 9).map(str), st.sampled_from(["u", "v"]), st.integers(0, 1))
        rows = [[*map(str, each)] for each in data.draw(st.lists(row, min_size=4, max_size=12))]
        for _ in range(data.draw(st.integers(0, 2))):
            damaged_row = data.draw(st.sampled_from(rows))
            damaged_row[data.draw(st.integers(0, 2))] = data.draw(CELLS)
        path.write_text("\n".join(map(",".join, [["a", "b", "y"], *rows])), newline="")
    else:
        others = [each for each in good_files(folder) if each.suffix != ".parquet"]
        source = data.draw(st.sampled_from(others))
        path = folder / source.name
        path.write_bytes(damaged(data, source.read_bytes()))
    return prepared(data, path)


def parquet(data, folder):
    """A damaged Parquet file; apart, since Polars has been seen to end the process over one."""
    path = folder / "x.parquet"
    source = next(each for each in good_files(folder) if each.suffix == ".parquet")
    path.write_bytes(damaged(data, source.read_bytes()))
    return prepared(data, path)


def hostile(data, folder):
    """A file of gigabytes, most of it a hole, or a packed one that claims or holds as much."""
    good = data.draw(st.sampled_from(good_files(folder)))
    path, content = folder / f"hostile-{good.name}", good.read_bytes()
    heads = [b"", content, content[:20], b"a,b,y\n1,2,3\n", b'"', b"PAR1"]
    head = data.draw(st.sampled_from(heads))
    size = data.draw(st.integers(2**32, 2**42))
    if data.draw(st.booleans()):
        with path.open("wb") as file:
            file.write(head)
            file.truncate(size)
    else:
        file = io.BytesIO()
        np.lib.format.write_array_header_1_0(
            file, {"descr": "<f4", "fortran_order": False, "shape": (size, 3)}
        )
        claim = file.getvalue() + bytes(1000)
        path.write_bytes(gzip.compress(claim) if path.suffix == ".gz" else claim)
    started = time.perf_counter()
    found = prepared(data, path)
    assert time.perf_counter() - started < 30
    return found


def prepared(data, path):
    """Read a table, and prepare it with its last column as target; left on the disk or not."""
    try:
        read = read_table(path, stream=data.draw(st.booleans()))
        missing = data.draw(st.sampled_from(["refuse", "drop", "impute"]))
        ready = prepare(read, read.names[-1] if read.names else "y", missing=missing)
        ready.preprocessing.transform(read) if missing == "impute" else None
    except XpnetError as error:
        assert any(each in str(error) for each in (str(path), "target", "validation"))  # noqa: PT017
        return "refused"
    return "prepared"


def command(data, folder):
    """A command with random options, in `folder`, which must be the working directory."""
    if not Path("rows.csv").exists():
        rows = "".join(f"{i / 7},{'no' if i % 2 else 'yes'}\n" for i in range(20))
        Path("rows.csv").write_text("x,y\n" + rows)
        main(["train", "rows.csv", "--target", "y", "--epochs", "1", "--out", "good.safetensors"])
    Path("m.safetensors").write_bytes(Path("good.safetensors").read_bytes())
    name = data.draw(st.sampled_from(["train", "train", "train", "predict", "evaluate", "inspect"]))
    kept = ("data", "model", "hidden", "epochs", "plot", "out", "checkpoint", "cache")
    names = ["--" + f.name.replace("_", "-") for f in fields(COMMANDS[name][0])
             if f.name not in kept]  # fmt: skip
    words = [name]
    if name == "train":
        target = data.draw(st.sampled_from("yyyx "))
        words += ["rows.csv", "--target", target, "--hidden", "2", "--epochs", "1", "--out", "o",
                  "--nets", "1"]  # fmt: skip
    else:
        words += [data.draw(st.just("m.safetensors") | WORDS)]
        words += [] if name == "inspect" else [data.draw(st.just("rows.csv") | WORDS)]
    for _ in range(data.draw(st.integers(0, 3))):
        words += [data.draw(st.sampled_from(names)), *data.draw(st.lists(WORDS, max_size=1))]
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        status = main(words)
    assert status in (0, 2, 3, 4), (words, status, said.getvalue())
    assert "Traceback" not in said.getvalue(), (words, said.getvalue())
    assert status == 0 or said.getvalue().strip(), words
    return f"status {status}"
