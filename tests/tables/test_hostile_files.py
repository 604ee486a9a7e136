"""Files made to exhaust memory or time are refused, in one line that names them."""

import gzip
import io
import json
import multiprocessing
import os
import struct
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
from lazily import polars

import xpnet
from xpnet.cli.output import silenced
from xpnet.errors import FileError, InputError
from xpnet.tables.parquet import _polars_reading as reading
from xpnet.tables.prepare import prepare
from xpnet.tables.table import read_table

ROWS = "a,y\n" + "1.5,0\n2.5,1\n" * 5_000


def write_csv(path):
    path.write_bytes(gzip.compress(ROWS.encode()))


def write_npy(path):
    file = io.BytesIO()
    np.save(file, np.zeros((10_000, 2)))
    path.write_bytes(gzip.compress(file.getvalue()))


def write_npz(path):
    np.savez_compressed(path, x=np.zeros((10_000, 2)))


def write_parquet(path):
    polars.read_csv(ROWS.encode()).write_parquet(path)


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("t.csv.gz", write_csv),
        ("t.npy.gz", write_npy),
        ("t.npz", write_npz),
        ("t.parquet", write_parquet),
    ],
)
def test_packed_files_are_bounded_by_what_they_unpack_to(name, write, tmp_path, monkeypatch):
    write(tmp_path / name)
    assert (tmp_path / name).stat().st_size < 10_000
    assert read_table(tmp_path / name).rows == 10_000
    for module in ("npy", "assemble"):
        monkeypatch.setattr(f"xpnet.tables.{module}.free_memory", lambda: 100_000)
    with pytest.raises(InputError, match=rf"{name}: its cells need 0.0 GB or more.* --stream"):
        read_table(tmp_path / name)


def test_a_sparse_file_larger_than_memory_is_named(tmp_path):
    path, rows = tmp_path / "t.npy", 2**40
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        head, {"descr": "|u1", "fortran_order": False, "shape": (rows, 2)}
    )
    with path.open("wb") as file:
        file.write(head.getvalue())
        file.truncate(len(head.getvalue()) + 2 * rows)
    np.save(tmp_path / "y.npy", [0.5, 1.5])
    np.save(tmp_path / "x.npy", np.eye(2, dtype=np.uint8))
    small = read_table(tmp_path / "x.npy", target=str(tmp_path / "y.npy"))
    plan = prepare(small, task="regression").preprocessing
    table = read_table(path)
    for refused in (plan.transform, plan.notes, plan.complete_rows, _trained_on):
        with pytest.raises(InputError, match=r"t.npy: its cells need [\d,.]+ GB or more"):
            refused(table)


def _trained_on(table):
    prepare(replace(table, labels=replace(table, names=("y",), matrix=table.matrix[:, :1])))


@pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="needs /dev/zero")
def test_standard_input_without_an_end_is_refused_when_it_fills_the_memory(monkeypatch):
    monkeypatch.setattr("xpnet.tables.npy.free_memory", lambda: 1 << 24)
    with open("/dev/zero", encoding="latin-1") as endless:
        monkeypatch.setattr("sys.stdin", endless)
        with pytest.raises(InputError, match=r"^-: its cells need 0.0 GB or more"):
            read_table("-")


def test_a_command_hides_what_polars_prints_of_a_panic_and_the_library_hides_nothing(
    capfd, monkeypatch
):
    @reading("t.parquet")
    def panic():
        os.write(2, b"thread panicked")
        raise polars.exceptions.PanicException("offset")

    for around, shown in ((silenced, ""), (nullcontext, "thread panicked")):
        monkeypatch.setattr("xpnet.backend.files.quietly", around)
        with pytest.raises(FileError, match=r"t.parquet: .*damaged \(offset\)"):
            panic()
        os.write(2, b" afterwards")
        assert capfd.readouterr().err == f"{shown} afterwards"


def test_a_sparse_csv_is_refused_at_its_first_zeros(tmp_path):
    path = tmp_path / "t.csv"
    with path.open("wb") as file:
        file.write(b"a,b\n")
        file.truncate(2**40)
    with pytest.raises(FileError, match=r"t.csv: line 2, column 'a': .* NUL bytes"):
        read_table(path)


def test_a_model_file_of_many_tensors_is_refused_before_they_are_hashed(tmp_path, monkeypatch):
    empty = {
        f"t{at}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for at in range(10**4)
    }
    head = json.dumps({"__metadata__": {"xpnet": "{}"}, "more": empty["t0"], **empty}).encode()
    path = tmp_path / "m.safetensors"
    path.write_bytes(struct.pack("<Q", len(head)) + head)
    monkeypatch.setattr("xpnet.saving.container.checksum", lambda *_: pytest.fail("hashed"))
    with pytest.raises(FileError, match=r"m.safetensors: the contents: are 10,001 tensors"):
        xpnet.load(path)


def _read_in_child(path, answers):
    try:
        read_table(path)
    except InputError as error:
        answers.put(str(error))


@pytest.mark.process
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_is_told_at_once_that_it_cannot_read_tables(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(ROWS)
    read_table(path)
    forked = multiprocessing.get_context("fork")
    answers = forked.Queue()
    child = forked.Process(target=_read_in_child, args=(path, answers))
    child.start()
    assert "forked from one that had read a table" in answers.get(timeout=300)
    child.join()
