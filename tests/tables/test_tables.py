"""Reading CSV, TSV, Parquet, NPY, NPZ and IDX files."""

import bz2
import datetime
import gzip
import io
import os
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from lazily import polars

from xpnet.errors import FileError, InputError
from xpnet.tables.npy import RowFile
from xpnet.tables.prepare import prepare
from xpnet.tables.table import read_table

DATA = Path(os.environ.get("XPNET_DATA", Path(__file__).parents[3] / "shared" / "data"))
CSV = "a,b,y\n1.5,red,0\n2.5,blue,1\n,red,0\n4.5,?,1\n"


def codes(table, name):
    return np.nan_to_num(table.column(name), nan=-1).tolist()


def lines(table):
    """The line on which each row begins; messages name it."""
    return [table.line_of(row) for row in range(table.rows)]


def cells(table):
    return table.numbers(table.names, np.arange(table.rows))


def idx(array, code):
    head = struct.pack(f">BBBB{array.ndim}I", 0, 0, code, array.ndim, *array.shape)
    return head + array.tobytes()


def zipped(data, count=1):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for number in range(count):
            archive.writestr(f"in/{number}.csv", data)
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "delimiter", "encoding", "pack"),
    [
        ("t.csv", ",", "utf-8", bytes),
        ("t.csv.gz", ",", "utf-8", gzip.compress),
        ("t.tsv", "\t", "utf-8", bytes),
        ("t.tab.gz", "\t", "utf-8", gzip.compress),
        ("t.csv.bz2", ",", "utf-8", bz2.compress),
        ("t.zip", ",", "utf-8", zipped),
        ("T.CSV", ",", "utf-16", bytes),
        ("t.csv", ",", "utf-16-le", lambda data: b"\xff\xfe" + data),
        ("t.csv", ",", "utf-32", bytes),
        ("t.csv", ",", "latin-1", bytes),
        ("t.csv", ",", "utf-8-sig", bytes),
    ],
)
def test_text_tables(name, delimiter, encoding, pack, tmp_path):
    (tmp_path / name).write_bytes(pack(CSV.replace(",", delimiter).encode(encoding)))
    table = read_table(tmp_path / name, encoding=encoding)
    assert table.names == ("a", "b", "y")
    assert table.layout == "table"
    np.testing.assert_array_equal(table.matrix[:, 0], [1.5, 2.5, np.nan, 4.5])
    np.testing.assert_array_equal(table.matrix[:, 2], [0, 1, 0, 1])
    assert table.texts["b"] == ("red", "blue")
    assert codes(table, "b") == [0, 1, 0, -1]
    assert lines(table) == [2, 3, 4, 5]
    assert table.cell(1, "b") == "blue"
    assert table.cell(3, "a") == "4.5"
    assert table.cell(2, "a") == ""


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        *(("delimiter", each) for each in (";;", "\n", '"', "é")),
        *(("encoding", each) for each in ("utf-99", "hex", "zlib", "a\0b")),
        ("decimal", ";"),
    ],
)
def test_arguments_that_cannot_be_are_refused_by_name(argument, value, tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(CSV)
    with pytest.raises(InputError, match=rf"^{argument} '.*' (must be|is not known)"):
        read_table(path, **{argument: value})


def test_the_wrong_encoding_is_a_file_error(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(CSV.replace("red", "r\u00f6t"))
    for encoding in ("ascii", "utf-16"):
        with pytest.raises(FileError, match=f"t.csv.*not {encoding} text.*encoding"):
            read_table(path, encoding=encoding)


def test_integers_that_float64_cannot_tell_apart_are_read_as_texts(tmp_path):
    frame = polars.DataFrame({"large": [2**60, 2**60 + 1], "exact": [2**53 - 1, 2**53 - 2]})
    frame.write_csv(tmp_path / "t.csv")
    frame.write_parquet(tmp_path / "t.parquet")
    for name in ("t.csv", "t.parquet"):
        table = read_table(tmp_path / name)
        assert table.texts == {"large": (str(2**60), str(2**60 + 1))}
        assert table.column("exact").tolist() == [2**53 - 1, 2**53 - 2]


def test_a_text_late_in_a_long_file_makes_the_whole_column_text(tmp_path, monkeypatch):
    monkeypatch.setattr("xpnet.tables.csv._BLOCK", 1 << 10)
    path = tmp_path / "t.csv"
    path.write_text("a,b\n" + "1.5,07\n" * 1_000 + "1.5,seven\n")
    for table in (read_table(path), read_table(path, stream=True)):
        assert table.texts == {"b": ("07", "seven")}
        assert table.column("b")[[0, -1]].tolist() == [0, 1]
        np.testing.assert_array_equal(table.column("a"), [1.5] * 1_001)
        assert table.line_of(1_000) == 1_002


def test_lines_count_quoted_newlines_and_blank_lines(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text('a,b\n1,"x\ny"\n\n2,z\n3,"p\n\nq"\n4,z\n')
    table = read_table(path)
    assert lines(table) == [2, 5, 6, 9]
    assert table.place(3, "b") == f"{path}: line 9, column 'b'"


def test_missing_and_unreadable_files(tmp_path):
    with pytest.raises(FileError, match="cannot be read: No such file"):
        read_table(tmp_path / "none.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(FileError, match="this is a directory; name the file inside it"):
        read_table(tmp_path / "folder.csv")
    with pytest.raises(FileError, match="cannot be read"):
        read_table("nul\0byte.csv")
    with pytest.raises(FileError, match=r"addresses are not read; .* curl -L http"):
        read_table("https://example.org/t.csv")
    (tmp_path / "table.docx").write_bytes(b"PK")
    with pytest.raises(FileError, match=r"unknown kind of file; name it \.csv"):
        read_table(tmp_path / "table.docx")
    (tmp_path / "table.parquet.gz").write_bytes(gzip.compress(b"PAR1"))
    with pytest.raises(FileError, match=r"not a \.parquet file, or damaged"):
        read_table(tmp_path / "table.parquet.gz")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.parquet", "t.npz", "t.npy", "t.idx"])
def test_pipes_are_refused_before_they_are_opened(name, tmp_path):
    os.mkfifo(tmp_path / name)  # opening it would wait for a writer
    for options in ({}, {"stream": True}):
        with pytest.raises(FileError, match=f"{name}: this is a device or pipe; name an ordinary"):
            read_table(tmp_path / name, **options)
    with pytest.raises(FileError, match="device or pipe"):
        RowFile(tmp_path / name)


@pytest.mark.parametrize("name", ["t.csv.gz", "t.npy.gz", "t-idx3-ubyte.gz"])
def test_broken_packed_data(name, tmp_path):
    path = tmp_path / name
    path.write_bytes(b"no gzip at all")
    with pytest.raises(FileError, match="packed data"):
        read_table(path)
    path.write_bytes(gzip.compress(b"\0\0\x08\1\0\0\x10\0" + os.urandom(4096))[:-1000])
    with pytest.raises(FileError):
        read_table(path)


def test_parquet(tmp_path):
    frame = polars.DataFrame(
        {
            "a": [1, 2, None],
            "b": [1.5, None, 2.5],
            "c": ["u", None, "v"],
            "d": [True, False, True],
            "e": polars.Series(["p", "q", "p"], dtype=polars.Categorical),
            "f": polars.Series([1, 2, 3], dtype=polars.UInt8),
        }
    )
    frame.write_parquet(tmp_path / "t.parquet")
    table = read_table(tmp_path / "t.parquet")
    np.testing.assert_array_equal(table.matrix[:, 0], [1, 2, np.nan])
    np.testing.assert_array_equal(table.matrix[:, 5], [1, 2, 3])
    assert codes(table, "c") == [0, -1, 1]
    assert table.texts["d"] == ("true", "false")
    assert table.texts["e"] == ("p", "q")
    assert table.place(1, "c").endswith("row 1 (the first is 0), column 'c'")


def test_parquet_columns_that_are_not_used_may_hold_anything(tmp_path):
    path, days = tmp_path / "t.parquet", datetime.timedelta(1)
    columns = {"a": [1.0, 2.0], "e": [[1], [2]], "f": [days, days], "g": [b"u", b"v"]}
    polars.DataFrame(columns).write_parquet(path)
    for table in (read_table(path), read_table(path, stream=True)):
        assert table.column("a").tolist() == [1.0, 2.0]
        assert table.column("f").tolist() == [24.0, 24.0]  # hours
        for name, held in (("e", "List"), ("g", "Binary")):
            with pytest.raises(InputError, match=f"column '{name}' holds {held}.*; give numbers"):
                table.column(name)


def test_parquet_that_cannot_be_used(tmp_path):
    path = tmp_path / "t.parquet"
    polars.DataFrame({"a": []}).write_parquet(path)
    with pytest.raises(FileError, match="no rows"):
        read_table(path)
    path.write_bytes(b"PAR1 and nothing")
    with pytest.raises(FileError, match=r"not a \.\w+ file, or damaged"):
        read_table(path)


@pytest.mark.parametrize(
    ("name", "write"),
    [("t.feather", "write_ipc"), ("t.jsonl", "write_ndjson"), ("t.json", "write_json")],
)
def test_arrow_and_json(name, write, tmp_path):
    path = tmp_path / name
    getattr(polars.DataFrame({"a": [1.5, None], "c": ["u", "v"], "e": [[1], [2]]}), write)(path)
    table = read_table(path)
    np.testing.assert_array_equal(table.column("a"), [1.5, np.nan])
    assert (table.texts["c"], [*table.unfit]) == (("u", "v"), ["e"])
    path.write_bytes(b"nothing")
    with pytest.raises(FileError, match=rf"not a \{path.suffix} file, or damaged"):
        read_table(path)


def test_packed_json(tmp_path):
    path = tmp_path / "t.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"a": 1.5, "b": "u"}\n{"a": 2.5, "b": "v"}\n'))
    assert read_table(path).column("a").tolist() == [1.5, 2.5]


def test_records_in_json_become_columns_and_rows(tmp_path):
    path = tmp_path / "t.json"
    path.write_text(
        '{"meta": {"n": 2}, "data": [{"a": {"b": 1, "c": {"d": "3,5 kg"}}, "e": "12"},'
        ' {"a": {"b": 2, "c": {"d": "4,0 kg"}}, "e": "13"}]}'
    )
    found = read_table(path)
    assert found.names == ("a.b", "a.c.d", "e")
    assert found.column("a.c.d").tolist() == [3.5, 4.0]
    assert found.texts == {"e": ("12", "13")}  # which a file with types holds as text
    path.write_text('[{"a": {"b": [{"c": 1}, {"c": 2}]}}, {"a": {"b": []}}, {"a": null}]')
    found = read_table(path)
    assert (found.names, [*found.unfit]) == (("a.b", "a.b.count"), ["a.b"])
    np.testing.assert_array_equal(found.column("a.b.count"), [2, 0, np.nan])


def test_pandas_usual_json_is_read_by_columns(tmp_path):
    path = tmp_path / "t.json"
    path.write_text('{"a":{"0":1,"7":null,"2":2.5},"b":{"0":"u","7":"v","2":"u"}}')
    found = read_table(path)
    np.testing.assert_array_equal(found.column("a"), [1, np.nan, 2.5])
    assert (found.names, found.texts) == (("a", "b"), {"b": ("u", "v")})


def test_an_archive_of_several_files_is_refused(tmp_path):
    (tmp_path / "t.zip").write_bytes(zipped(b"a,b\n", 2))
    with pytest.raises(FileError, match="holds 2 files; take out the one with the table"):
        read_table(tmp_path / "t.zip")


@pytest.mark.parametrize(("field", "value"), [(8, 1), (10, 9)], ids=["encrypted", "deflate64"])
def test_an_archive_that_cannot_be_unpacked_is_refused(field, value, tmp_path):
    data = bytearray(zipped(b"a,b\n1,2\n"))
    data[data.index(b"PK\1\2") + field] = value
    (tmp_path / "t.zip").write_bytes(data)
    with pytest.raises(FileError, match=r"t\.zip: cannot be unpacked here .*; unpack it first"):
        read_table(tmp_path / "t.zip")


@pytest.mark.parametrize("suffix", [".npy", ".npy.gz"])
def test_npy_with_its_targets(suffix, tmp_path):
    x = np.arange(24, dtype=np.float32).reshape(4, 3, 2)
    path = tmp_path / f"x{suffix}"
    with gzip.open(path, "wb") if suffix.endswith("gz") else open(path, "wb") as file:
        np.save(file, x)
    np.save(tmp_path / "y.npy", [[3], [4], [3], [4]])
    table = read_table(path, target=str(tmp_path / "y.npy"))
    assert table.layout == "matrix"
    assert table.names == ("x0", "x1", "x2", "x3", "x4", "x5")
    assert table.matrix.dtype == np.float32
    np.testing.assert_array_equal(cells(table), x.reshape(4, 6))
    np.testing.assert_array_equal(table.labels.matrix, [[3], [4], [3], [4]])
    assert isinstance(table.matrix, np.memmap) == (suffix == ".npy")


@pytest.mark.parametrize(
    ("array", "found"),
    [
        (np.arange(4), "give rows and columns"),
        (np.zeros((0, 3)), "shape (0, 3)"),
        (np.zeros((3, 0)), "shape (3, 0)"),
        (np.float64(3), "shape ()"),
        (np.zeros((2, 2), complex), "complex128"),
        (np.array([["a", "b"]]), "<U1"),
        (np.zeros((2, 2), "M8[s]"), "datetime64"),
    ],
)
def test_arrays_that_are_no_table(array, found, tmp_path):
    np.save(tmp_path / "x.npy", array)
    with pytest.raises(FileError) as caught:
        read_table(tmp_path / "x.npy")
    assert found in str(caught.value)


def test_targets_must_fit(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((4, 2)))
    np.save(tmp_path / "y.npy", np.zeros(3))
    with pytest.raises(FileError, match=r"targets of shape \(3, 1\) for 4 rows"):
        read_table(tmp_path / "x.npy", target=str(tmp_path / "y.npy"))
    np.save(tmp_path / "y.npy", np.zeros((4, 2)))
    with pytest.raises(FileError, match="one target per row"):
        read_table(tmp_path / "x.npy", target=str(tmp_path / "y.npy"))
    with pytest.raises(InputError, match="'y' is not a file"):
        read_table(tmp_path / "x.npy", target="y")
    with pytest.raises(InputError, match="the target is not in this array"):
        prepare(read_table(tmp_path / "x.npy"), "x1")


def test_npz(tmp_path):
    x, y = np.arange(8.0).reshape(4, 2), np.array(["u", "v", "u", "v"])
    path = tmp_path / "t.npz"
    np.savez_compressed(path, x=x, y=y)
    table = read_table(path)
    np.testing.assert_array_equal(table.matrix, x)
    assert table.labels.texts["y"] == ("u", "v")
    np.savez(path, x_train=x, y_train=y, x_test=x[:1], y_test=y[:1])
    table = read_table(path, target="y_test")
    assert table.rows == 1
    with pytest.raises(InputError, match="no array 'y_tran'; did you mean 'y_train'"):
        read_table(path, target="y_tran")
    np.savez(path, p=x, q=x)
    with pytest.raises(FileError, match="which array holds the features"):
        read_table(path)
    np.savez(path, p=x)
    assert read_table(path).labels is None
    path.write_bytes(b"PK\x03\x04 and nothing")
    with pytest.raises(FileError, match=r"t\.npz: broken or truncated packed data"):
        read_table(path)


@pytest.mark.parametrize(
    ("code", "dtype"), [(8, ">u1"), (9, ">i1"), (11, ">i2"), (12, ">i4"), (13, ">f4"), (14, ">f8")]
)
def test_idx(code, dtype, tmp_path):
    array = np.arange(12).reshape(4, 3).astype(dtype)
    data = idx(array, code)
    for name in ("t-idx2-ubyte", "t.idx", "t.idx2-ubyte.gz"):
        pack = gzip.compress if name.endswith("gz") else bytes
        (tmp_path / name).write_bytes(pack(data))
        np.testing.assert_array_equal(cells(read_table(tmp_path / name)), array)
        for broken in (data[:-1], data + b"\0", data[:6], b"\0\1" + data[2:], data[:2] + b"\7\2"):
            (tmp_path / name).write_bytes(pack(broken))
            with pytest.raises(FileError, match=r"IDX|bytes, found"):
                read_table(tmp_path / name)


def test_object_arrays_are_never_unpickled(tmp_path):
    np.save(tmp_path / "x.npy", np.array([[object()]]), allow_pickle=True)
    np.savez(tmp_path / "x.npz", x=np.array([[None]]))
    np.savez(tmp_path / "y.npz", x=np.eye(2), y=np.array([None, 1]))
    for name in ("x.npy", "x.npz", "y.npz"):
        with pytest.raises(FileError, match=r"of object|Object arrays"):
            read_table(tmp_path / name)
