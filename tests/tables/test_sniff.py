"""How CSV files are written is found where only one reading is possible."""

import io
import sys

import numpy as np
import pytest
from command_line import QUICK, Run
from command_line import table as written

from xpnet.errors import FileError, InputError
from xpnet.tables.prepare import prepare
from xpnet.tables.table import read_table

NUMBERS = "5.1,3.5,a\n4.9,3.0,b\n4.7,3.2,a\n"
ADULT = "39,State,77516,Male\n50,Self,83311,Male\n38,Private,215646,Female\n28,State,1,Male\n"


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (NUMBERS, ("x0", "x1", "x2")),
        (ADULT, ("x0", "x1", "x2", "x3")),
        ("6,148,6\n1,85,2\n8,183,3\n", ("x0", "x1", "x2")),  # no two columns share a name
        ("p,x,s\ne,x,s\np,b,y\ne,x,s\n", ("x0", "x1", "x2")),
        ("5.1,?,a\n4.9,3.0,b\n4.7,3.2,a\n", ("x0", "x1", "x2")),
        ("1952,1957,y\n1,2,3\n4,5,6\n", ("1952", "1957", "y")),
        ("0,1,2\n1.5,2,3\n4,5,6\n", ("0", "1", "2")),
        ("sex,class\nmale,first\nfemale,second\n", ("sex", "class")),
        ("a,b\n1,2\n", ("a", "b")),
    ],
)
def test_headerless_files_are_recognised(text, names, table):
    found = table(text)
    assert found.names == names
    assert found.rows == text.count("\n") - (names[0] != "x0")


def test_a_last_row_called_like_a_total_is_none_if_no_other_is_called_so(table):
    assert table("kind,n\nsales,1\ncosts,2\nmean,3.7\n").rows == 2
    assert table("kind,n\nmean,1\ncosts,2\nmean,3.7\n").rows == 3


@pytest.mark.parametrize(
    "footer",
    [
        "Balance of 31/12/2023,,,17195.88\n",
        "\nall:,6,,\nM\u00e9dia,,2,\n",
        "\n# End of 7,ok\n",
        "Class average,,,5\n",
    ],
)
def test_rows_at_the_end_that_are_half_empty_and_unlike_the_others_are_no_rows(footer, table):
    rows = "".join(f"{day:02}/12/2023,ab,1.5,{day}.25\n" for day in range(1, 7))
    assert table("day,what,a,b\n" + rows + footer).rows == 6
    assert table("day,what,a,b\n" + rows + "07/12/2023,,,\n").rows == 7
    assert table("day,what,a,b\n" + rows + "Mary-Ann,,,5\n").rows == 7
    with pytest.raises(FileError, match="ends after 1 of 4"):
        table("day,what,a,b\n" + rows + "07/1")


@pytest.mark.parametrize(
    "first", ["Zed,unclear,refused,pass", ",unclear,refused,", ",cm,kg,pass", ",-1.5,$2,"]
)
def test_a_first_row_of_words_or_numbers_is_no_line_of_units(first, table):
    rows = "Ann,183,8.3E+01,fail\n" * 6
    assert table(f"name,height,weight,result\n{first}\n{rows}").rows == 7
    assert table(f"name,height,weight,result\n,cm,kg,\n{rows}").rows == 6


def test_lists_of_several_pages_have_one_header(tmp_path):
    page = "-----\n|no|n    |\n-----\n" + "|a |1,5  |\n|b |2,25-|\n" * 13
    path = tmp_path / "t.csv"
    path.write_text("1.2.2024   List   1\n\n" + page + page)
    found = read_table(path, columns=["n"])
    assert found.column("n").tolist() == [1.5, -2.25] * 26
    assert found.passed_over["3 lines between rows"] == "'-----'"


def test_titles_above_a_repeated_header_are_no_rows_nor_are_lines_with_asterisks(
    tmp_path, monkeypatch
):
    head = "List   Page {}\n\n------\n|no  |n |m|\n------\n"
    rows = "|a   |1 |X|\n|b   |2-|X|\n|a   |3 |Y|\n|b   |4 |Y|\n" * 6 + "|* Best|10| |\n------\n"
    path = tmp_path / "t.txt"
    path.write_text("".join(head.format(page) + rows + "\f\n" for page in (1, 2)))
    found = read_table(path, columns=["n"])
    assert found.column("n").tolist() == [1, -2, 3, 4] * 12
    assert found.place(24, "n").split(": ")[1] == "line 38, column 'n'"
    assert found.passed_over["totals between rows"] == "2, such as '* Best 10  '"
    for size in range(360, 420, 3):
        monkeypatch.setattr("xpnet.tables.csv._BLOCK", size)
        assert read_table(path, columns=["n"]).rows >= 48, size
    path = tmp_path / "t.csv"
    path.write_text('a,y\n"1,5",2\na,y\n"--",3\n')
    assert read_table(path).column("y").tolist() == [2, 3]


def test_that_there_is_no_header_can_be_said(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("1,2\n3,4\n")
    assert read_table(path).names == ("1", "2")
    assert read_table(path, header=False).column("x0").tolist() == [1, 3]
    path.write_text("1.5,2\n3,4\n")
    assert read_table(path, header=True).names == ("1.5", "2")


@pytest.mark.parametrize(
    ("text", "delimiter", "decimal"),
    [
        ("a;b\n1,5;2,25\n", ";", ","),
        ("a;b\n1,5;2.25\n", ";", "."),  # two signs: neither is sure
        ("a\tb\n1,5\tx\n", "\t", ","),
        ("a|b\n1.5|2\n", "|", "."),
        ("a,b;c\n1,2;3\n", ",", "."),  # the usual one fits
        ("a b\n1 2\n", " ", "."),
        (' a "b  c"\n  1.5   2\n', " ", "."),
        ('"a" "b"\n"1" 1.5 2\n"2" 2.5 2\n', " ", "."),
        ('"a;b",c\n"1;2",3\n', ",", "."),
    ],
)
def test_delimiter_and_decimal_sign(text, delimiter, decimal, tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(text)
    found = read_table(path)
    assert (found.guesses.get("delimiter", ","), found.guesses.get("decimal", ".")) == (
        delimiter,
        decimal,
    )


def test_text_that_is_utf_8_but_for_a_byte_is_damaged(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes("a,b\né,1\n".encode() + b"\xe9,2\n")
    with pytest.raises(ValueError, match="line 3, column 'a': bytes that are not utf-8 text"):
        read_table(path)


def test_a_late_byte_decides_on_the_whole_file(tmp_path, monkeypatch):
    monkeypatch.setattr("xpnet.tables.sniff._CHUNK", 16)
    path = tmp_path / "t.csv"
    path.write_bytes(b"a,b\n" + b"u,1\n" * 40 + b"\x80\xe9,2\n")
    assert read_table(path).texts["a"] == ("u", "€é")


@pytest.mark.usefixtures("in_empty_directory")
def test_a_table_on_standard_input_and_one_without_a_header(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = "".join(f"{i / 7:.2f};{'uv'[i % 2]}\n" for i in range(60))
    stdin = io.TextIOWrapper(io.BytesIO(rows.encode()))
    monkeypatch.setattr(sys, "stdin", stdin)
    outcome = run("train", "-", "--target", "x1", *QUICK)
    assert "read         delimiter (';'), header (none) [--delimiter" in outcome.out
    path = written("new.csv", "1.5\n")
    told = run("predict", "model.safetensors", path).out
    assert told.startswith("x1,probability of u,probability of v\n")
    assert np.isfinite(float(told.split(",")[-1]))


def test_columns_of_one_name_are_told_apart_unless_one_is_the_target(table):
    found = table("price,b,price,y\n1.5,2,3,0\n2.5,3,5,1\n")
    assert found.names == ("price (1)", "b", "price (2)", "y")
    with pytest.raises(InputError, match=r"did you mean 'price \(2\)' or 'price \(1\)'"):
        found.index("price", "target column")


def test_line_breaks_in_names_are_spaces(table):
    found = table('"Pulse\n(1/min)",y\n60,0\n70,1\n')
    assert found.names == ("Pulse (1/min)", "y")
    assert found.index("Pulse\n(1/min)") == found.index("Pulse (1/min)") == 0
    assert (
        prepare(found, "Pulse\n(1/min)", task="regression").preprocessing.target == found.names[0]
    )


def test_quotes_that_quote_nothing_are_characters(table):
    rows = "".join(f"5'{i}\"\t{i}.5\t{i % 2}\n" for i in range(9))
    found = read_table(table("a\tb\ty\n" + rows).path)
    assert found.rows == 9
    assert (found.column("a")[3], found.signs["a"]) == (63, "feet and inches as inches")


def test_the_header_is_where_the_target_is(tmp_path):
    rows = "North;2;3,5\nSouth;4;5,5\n"
    for above in ("Report;;\nJune;;;\n", "Region;Units;\n", "Region;Costs;Costs\n", ""):
        path = tmp_path / "t.csv"
        path.write_text(f"{above}{'' if 'Region' in above else 'Region'};n;y\n{rows}")
        found = read_table(path, columns=["y"])
        assert (found.rows, found.names) == (2, ("Region", "n", "y")), above


def test_titles_with_commas_are_none_of_the_header_if_most_of_a_column_are_numbers(table):
    rows = "North,2,3 b\nSouth,:,5\nEast,4,7 (1)\nWest,6,9\n"
    found = table(f"Rates, 2023\nUpdated in May\n\nRegion,n,y\n{rows}")
    assert (found.rows, found.names) == (4, ("Region", "n", "y"))


def test_markdown_and_other_lines_of_dashes_are_read(tmp_path):
    path = tmp_path / "t.md"
    path.write_text("# Title\n\n| n | y |\n|:--|--:|\n| 3.5 kg | **1,234** |\n| 4 | 7 |\n\nEnd\n")
    found = read_table(path, columns=["y"])
    assert found.column("y").tolist() == [1234, 7]
    path = tmp_path / "t.txt"
    path.write_text("DATE       n\n---------- ---\n2022-01-01 3.5\n2022-01-02 4.5\n")
    assert read_table(path).column("n").tolist() == [3.5, 4.5]


def test_notes_and_a_mean_may_follow_a_blank_line(table):
    assert table('n,y\n1,"4,5"\n3,"5,5"\n\n* twice\nMean,"5,0"\n').rows == 2


@pytest.mark.parametrize(
    ("head", "names"),
    [
        (",t,t,y\n,mean,max,t/ha\nstation,,,\n", ("station", "t mean", "t max", "y")),
        ("TOA5,Hut,8421\nsite,t,u,y\n,Deg C,W/m^2,mm\n,Avg,Smp,Tot\n", ("site", "t", "u", "y")),
        ('a,b,c,y\nName,"The\nage",Is it?,Y\n"{""ImportId"":""a""}",,,\n', ("a", "b", "c", "y")),
    ],
)
def test_a_header_may_be_of_several_lines(head, names, table):
    found = table(head + "u,1.5,2,7\nv,2.5,3,8\n" * 3)
    assert (found.names, found.rows) == (names, 6)
    assert found.place(5, "y").startswith(f"{found.path}: line {head.count(chr(10)) + 6},")


def test_a_line_of_answers_below_questions_is_no_row_but_one_with_a_score_is(table):
    found = table(",a,,y\n,This,That,Score\n" + "z,no,,9 - good\nu,no,yes,7\n" * 2)
    assert (found.rows, found.names) == (4, ("unnamed_1", "a", "That", "y"))
    assert found.column("y").tolist() == [9, 7] * 2


def test_totals_between_rows_are_no_rows(table):
    group = "{0},u,1.5,2\n{0},v,2.5,3\n{0},u,3.5,3\n{0},w,3.5,9\n"
    totals = "{0} Total,,4.0,5\n"
    found = table("shop,what,a,y\n" + "".join((group + totals).format(i) for i in ("N", "S", "E")))
    assert (found.rows, found.texts["shop"]) == (12, ("N", "S", "E"))
    assert found.place(4, "a").split(": ")[1] == "line 7, column 'a'"
    assert found.passed_over["totals between rows"] == "3, such as 'N Total 4.0 5'"
    whole = totals.replace(",,", ",u,")
    assert table("shop,what,a,y\n" + (group + whole).format("N") * 3).rows == 15


def test_merged_cells_are_filled_down(table):
    rows = "N,a,1.5,1\n,,2.5,2\n,b,1.5,3\n,,2,5\nS,c,3,4\n,,4,5\n,,1,5\n"
    found = table("region,shop,x,y\n" + rows)
    assert "".join(found.cell(row, "region") for row in range(7)) == "NNNNSSS"
    assert "".join(found.cell(row, "shop") for row in range(7)) == "aabbccc"
    told = "merged cells, filled down"
    assert found.passed_over == {told: "region, shop"}
    for unlike in (rows.replace("S", "N"), rows.replace("N", "1.5"), rows[1:]):
        assert told not in table("region,shop,x,y\n" + unlike).passed_over


def test_columns_of_fixed_width_may_hold_spaces(tmp_path):
    path = tmp_path / "t.rpt"
    path.write_text(
        "who        n    \n---------- -----\nAnn Lee      3.5\nB\u00e9a Wu     NULL\n\n(2 rows)\n"
    )
    found = read_table(path)
    assert (found.names, found.texts["who"]) == (("who", "n"), ("Ann Lee", "B\u00e9a Wu"))
    np.testing.assert_array_equal(found.column("n"), [3.5, np.nan])
    path.write_bytes(path.read_bytes().replace(b"Wu", b"W\xff"))
    with pytest.raises(FileError, match=r"line 4.* not utf-8 text"):
        read_table(path)
