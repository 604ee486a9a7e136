"""Tables in Excel files and databases are read as those in CSV files."""

import sqlite3
import sys
from datetime import date

import numpy as np
import pytest
from command_line import BANKNOTE
from lazily import polars

import xpnet
from xpnet.tables.excel_and_databases import open_database
from xpnet.tables.parquet import open_with_pandas
from xpnet.tables.sniff import Reading
from xpnet.tables.table import read_table

pytest.importorskip("fastexcel")
pytest.importorskip("adbc_driver_sqlite")
xlsxwriter = pytest.importorskip("xlsxwriter")

CELLS = {
    "size": [1.5, None, 3.0],
    "born": [date(1999, 12, 31), None, None],
    "colour": ["red", "", "blue"],
    "sold": [True, False, None],
}


def write_excel(path, **sheets):
    with xlsxwriter.Workbook(path) as book:
        for name, cells in sheets.items():
            page = book.add_worksheet(name)
            if cells:
                polars.DataFrame(cells).write_excel(book, page)
    return str(path)


def write_database(path, frame, name="shop"):
    with sqlite3.connect(path) as database:
        names = ", ".join(f'"{each}"' for each in frame.columns)
        database.execute(f"CREATE TABLE {name} ({names})")
        database.executemany(
            f"INSERT INTO {name} VALUES ({', '.join('?' * frame.width)})", frame.rows()
        )
    database.close()
    return f"sqlite:///{path}"


def test_cells_of_every_kind(tmp_path):
    table = read_table(write_excel(tmp_path / "table.xlsx", sheet=CELLS))
    assert table.names == (*CELLS,)
    np.testing.assert_array_equal(table.column("size"), [1.5, np.nan, 3.0])
    assert [table.cell(0, name) for name in CELLS] == ["1.5", "1999-12-31", "red", "true"]
    assert [table.cell(2, name) for name in CELLS] == ["3", "", "blue", ""]


def test_of_several_sheets_the_one_with_rows_or_the_one_named(tmp_path):
    path = write_excel(tmp_path / "book.xlsx", empty=None, full=CELLS)
    assert read_table(path).rows == 3
    path = write_excel(tmp_path / "book.xlsx", first=CELLS, second={"x": [1.0, 2.0]})
    assert read_table(path, sheet="second").names == ("x",)
    with pytest.raises(xpnet.InputError, match=r"name one of the sheets first, second: --sheet"):
        read_table(path)
    with pytest.raises(xpnet.FileError, match="no sheet 'third'; there are: 'first', 'second'"):
        read_table(path, sheet="third")


def test_sheets_with_the_same_columns_are_one_table_unless_they_are_copies(tmp_path):
    pages = {each: {**CELLS, "no": [n, n + 1, n + 2]} for n, each in ((0.5, "May"), (8.5, "June"))}
    pages["June"] = dict(reversed(pages["June"].items()))
    pages["July"] = {" " * at or "List": [name] for at, name in enumerate(pages["May"])}
    path = write_excel(tmp_path / "book.xlsx", **pages, codes={"a": ["u", "v"]})
    for how in ({"columns": ["no"]}, {"sheet": "May, June"}):
        table = read_table(path, **how)
        assert table.column("no").tolist() == [0.5, 1.5, 2.5, 8.5, 9.5, 10.5]
    assert read_table(path, columns=["no"]).guesses == {"sheet": "May, June, July"}
    path = write_excel(path, May=CELLS, copy=CELLS)
    with pytest.raises(xpnet.InputError, match=r"name one of the sheets May, copy: --sheet"):
        read_table(path)
    path = write_excel(path, train=pages["May"], **{"test set": pages["June"]})
    with pytest.raises(xpnet.InputError, match=r"name one of the sheets train, test set: --sheet"):
        read_table(path)
    assert read_table(path, sheet="train,test set").rows == 6


def test_titles_totals_and_signs_beside_numbers_are_dealt_with_as_in_csv_files(tmp_path):
    rows = [["day", "price"], ["2024-05-01", "$1,200.50"], ["2024-05-02", "$7.50"]]
    names = [["name", "colour"], ["Ann", "red"], ["Bob", "blue"]]
    with xlsxwriter.Workbook(path := tmp_path / "report.xlsx") as book:
        page = book.add_worksheet()
        for at, row in enumerate([["Report"], [], *rows, ["Total", 1208]]):
            page.write_row(at, 0, row)
    table = read_table(path)
    assert (table.names, table.rows) == (("day", "price"), 2)
    assert table.column("price").tolist() == [1200.5, 7.5]
    assert [*table.passed_over.values()] == ["'Report'", "'Total 1208'"]
    assert table.place(1, "price").endswith("line 5, column 'price'")
    with xlsxwriter.Workbook(path) as book:
        page = book.add_worksheet()
        for at, row in enumerate([["Report"], *names]):
            page.write_row(at, 0, row)
    assert read_table(path).names == ("name", "colour")


@pytest.mark.parametrize("rows", [1, 2])
def test_a_short_sheet_with_columns_without_names_is_read(rows, tmp_path):
    with xlsxwriter.Workbook(path := tmp_path / "short.xlsx") as book:
        page = book.add_worksheet()
        for at, cells in enumerate([["a", None, None], [1, 2, 3], [4, 5, 6]][: rows + 1]):
            page.write_row(at, 0, cells)
    assert read_table(path).rows == rows


def test_a_text_far_below_numbers_is_not_lost_nor_are_the_digits_of_small_ones(tmp_path):
    cells = {"x": ["1"] * 2000 + ["none of these"], "y": [1.2345678901e-12] * 2001}
    table = read_table(write_excel(tmp_path / "table.xlsx", sheet=cells))
    assert table.cell(2000, "x") == "none of these"
    assert table.column("y")[0] == 1.2345678901e-12


def test_texts_with_leading_zeros_are_codes_but_not_as_titles(tmp_path):
    cells = {"code": ["0012", "1.50", "0012"], "01": [1.5, 2.5, 0.5], "text": ["1", "2.5", "0"]}
    table = read_table(write_excel(tmp_path / "table.xlsx", sheet=cells))
    assert table.texts == {"code": ("0012", "1.50")}


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 torn", b"a,b\n1,2\n"])
def test_a_damaged_excel_file_is_refused_in_one_line(content, tmp_path):
    (tmp_path / "table.xlsx").write_bytes(content)
    with pytest.raises(xpnet.FileError, match=r"table\.xlsx: .*mend the file") as refused:
        read_table(tmp_path / "table.xlsx")
    assert "\n" not in str(refused.value)


def test_an_excel_file_that_unpacks_to_more_than_the_memory_is_refused(tmp_path, monkeypatch):
    path = write_excel(tmp_path / "table.xlsx", sheet=CELLS)
    monkeypatch.setattr("xpnet.tables.npy.free_memory", lambda: 100)
    with pytest.raises(xpnet.InputError, match="its cells need"):
        read_table(path)


def test_a_query_of_a_database(tmp_path):
    address = write_database(tmp_path / "shop.db", polars.DataFrame(CELLS | {"born": "1999-12-31"}))
    table = read_table(address, query="SELECT size, colour FROM shop WHERE size > 1")
    assert table.names == ("size", "colour")
    assert table.column("size").tolist() == [1.5, 3.0]
    assert [table.cell(row, "colour") for row in (0, 1)] == ["red", "blue"]


@pytest.mark.parametrize(
    ("address", "query", "message"),
    [
        ("postgresql://host/shop", None, r"say which rows to read: --query 'SELECT"),
        ("sqlite:///{}/shop.db", "SELECT * FROM stop", "no such table: stop; correct the address"),
        ("sqlite:///{}/shop.db", "SELECT * FROM shop WHERE 0", "there are no rows"),
        ("sqlite:///{}/none.db", "SELECT 1", r"none\.db: cannot be read: No such file"),
        ("{}/text.db", "SELECT * FROM shop", "file is not a database"),
        ("oracle9://me:secret@host/shop", "SELECT 1", r"^oracle9://host/shop: .*pip install 'xpn"),
        ("{}/text.db.csv", "SELECT 1", r"query.*has no effect: .*text\.db\.csv is no database"),
    ],
)
def test_what_a_database_cannot_give_is_refused_in_one_line(address, query, message, tmp_path):
    write_database(tmp_path / "shop.db", polars.DataFrame({"x": [1.0]}))
    for name in ("text.db", "text.db.csv"):
        (tmp_path / name).write_text("x\n1\n" * 1000)
    with pytest.raises(xpnet.XpnetError, match=message) as refused:
        read_table(address.format(tmp_path), query=query)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "none.db").exists()


def test_an_extra_that_is_missing_is_named(tmp_path, monkeypatch):
    path = write_excel(tmp_path / "table.xlsx", sheet=CELLS)
    for name in ("fastexcel", "adbc_driver_manager"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(xpnet.InputError, match=r"pip install 'xpnet\[excel\]'"):
        read_table(path)
    with pytest.raises(xpnet.InputError, match=r"pip install 'xpnet\[database\]'"):
        open_database("postgresql://host/shop", Reading(query="SELECT 1"))
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(xpnet.InputError, match=r"by pandas.read_stata .*: pip install pandas"):
        open_with_pandas("t.dta", Reading())


def test_the_sheet_or_the_table_with_the_target_is_read(tmp_path):
    path = write_excel(tmp_path / "book.xlsx", notes={"a": ["u", "v"]}, cells=CELLS)
    assert read_table(path, columns=["size"]).guesses["sheet"] == "cells"
    path = tmp_path / "shop.db"
    with sqlite3.connect(path) as connection:
        connection.executescript(
            "CREATE TABLE a (x REAL, y REAL); CREATE TABLE b (x REAL); INSERT INTO a VALUES (1, 2);"
        )
    found = read_table(path, columns=["y"])
    assert (found.names, found.guesses["query"]) == (("x", "y"), 'SELECT * FROM "a"')
    with pytest.raises(xpnet.InputError, match="name one of the tables a, b: --query"):
        read_table(path, columns=["x"])


def test_files_that_pandas_reads(tmp_path):
    pandas = pytest.importorskip("pandas")
    path = tmp_path / "t.dta"
    labels = pandas.Categorical(["low", "high", "low"])
    pandas.DataFrame({"a": [1.5, None, 3.0], "b": labels}).to_stata(path, write_index=False)
    found = read_table(path)
    assert [found.cell(row, "b") for row in range(3)] == ["low", "high", "low"]
    path.write_bytes(b"no Stata file")
    with pytest.raises(xpnet.FileError, match=r"t.dta: pandas.read_stata: .*; save it as CSV"):
        read_table(path)


def test_the_command_trains_and_predicts_as_from_the_csv_file(tmp_path, run, monkeypatch):
    monkeypatch.chdir(tmp_path)
    frame = polars.read_csv(BANKNOTE)
    write_excel("bank.xlsx", notes=frame.to_dict(), others=CELLS)
    address, query = write_database("bank.db", frame), "SELECT * FROM shop"
    given = {"bank.xlsx": ["--sheet", "notes"], address: ["--query", query], str(BANKNOTE): []}
    predicted = []
    for data, how in given.items():
        out = ["--simple", "--epochs", "2", "--out", "model.safetensors"]
        trained = run("train", data, "--target", "class", *how, *out)
        assert trained.status == 0, trained.err
        predicted.append(run("predict", "model.safetensors", data, *how).out)
    assert predicted[0] == predicted[1] == predicted[2] != ""


def test_a_password_is_not_in_the_command_that_a_report_shows():
    from xpnet.cli.options import TrainOptions

    options = TrainOptions("postgresql://me:secret@host/shop", query="SELECT 1")
    assert options.as_command() == "xpnet train postgresql://host/shop --query 'SELECT 1'"
