"""A corpus of tables: what is wrong is refused by place, text and remedy; what is odd is read."""

import codecs
import gzip
import re

import numpy as np
import pytest

from xpnet.errors import FileError, InputError
from xpnet.tables.prepare import prepare
from xpnet.tables.table import read_table

HEADER = "a,b,y\n"
ROWS = ["1.5,2.25,0", "2.5,0.5,1", "3.5,1.75,0", "0.25,4.5,1", "5.75,3.5,0", "4.5,2.5,1"]
GOOD = HEADER + "\n".join(ROWS) + "\n"


def with_row(row, line=4):
    """The good table with one line replaced (line 2 is the first row)."""
    rows = list(ROWS)
    rows[line - 2] = row
    return HEADER + "\n".join(rows) + "\n"


def with_column(cells, name="c"):
    """The good table with another column before the target; the last cell repeats."""
    cells = list(cells) + [cells[-1]] * (len(ROWS) - len(cells))
    lines = [row.rsplit(",", 1) for row in ROWS]
    body = [f"{first},{cell},{last}" for (first, last), cell in zip(lines, cells, strict=True)]
    return f"a,b,{name},y\n" + "\n".join(body) + "\n"


def many(template, n=30):
    """A table of one column beside a and y, by a format of the row number."""
    return "a,c,y\n" + "".join(f"{i}.5,{template.format(i)},{i % 2}\n" for i in range(n))


A4, B4 = ("line 4", "column 'a'"), ("line 4", "column 'b'")
C2, C3 = ("line 2", "column 'c'"), ("line 3", "column 'c'")

# name: (content, fragments of the message). Place, found text and remedy are all looked for.
WITH_PLACE = {
    "word among numbers": (with_row("3.5,abc,0"), (*B4, "'abc'", "--drop b")),
    "decimal comma, not quoted": (with_row("3,5,1,75,0"), ("line 4", "column 4", "5 fields")),
    "percent among numbers": (with_row("3.5,5%,0"), (*B4, "'5%'", "has signs", "1234.5")),
    "a slip among prices": (
        many("{}.2 \u20ac").replace(",", ";").replace(".", ",").replace(";3,2 ", ";3,4,3 "),
        ("line 5", "column 'c'", "'3,4,3 \u20ac', which is not a number; correct", "--drop c"),
    ),
    "a target of several units": (
        "c,y\n" + "".join(f"{i % 7},{i}{'500 W' if i % 5 == 4 else '.5'}\n" for i in range(60)),
        ("line 6", "column 'y'", "'4500 W', but other cells are numbers like '0.5' (12 such"),
    ),
    "a comma below a header of words": (
        "a b\n" + "1  2\n1\n" * 9 + "1 2, or 3\n",
        ("line 20", "2 fields", "pass --delimiter"),
    ),
    "a field too many at the end": (GOOD + "3.5,1.75,0,", ("line 8", "column 4", "4 fields")),
    "inf": (with_row("3.5,inf,0"), (*B4, "'inf'", "infinite")),
    "overflow": (with_row("3.5,1e400,0"), (*B4, "'1e400'", "largest")),
    "too large to standardise": (with_row("3.5,1e308,0"), (*B4, "too large", "unit")),
    "spreadsheet error": (with_row("3.5,#DIV/0!,0"), (*B4, "missing", "impute")),
    "missing": (with_row("3.5,,0"), (*B4, "missing", "first of 1", "--missing drop", "impute")),
    "missing text": (with_column(["u", "v", "", "u", "v"]), ("line 4", "column 'c'", "missing")),
    "missing target": (with_row("3.5,1.75,"), ("line 4", "column 'y'", "missing")),
    "short row": (with_row("3.5,1.75"), ("line 4", "column 'y'", "2 of 3 fields", "'3.5,1.75'")),
    "long row": (with_row("3.5,1.75,0,9"), ("line 4", "column 4", "4 fields", "'9'")),
    "cut off": (GOOD[:-5], ("line 7", "column 'y'", "complete the line", "cut off")),
    "stray quote": (with_row('3.5,1"75,0'), (*B4, "stray quote", 'write ""')),
    "never closed": (with_row('3.5,"1.75,0'), (*B4, "never closed", "found '\"1.75';")),
    "never closed, at the end": (GOOD + '1,"', ("line 8", "column 'b'", "never closed")),
    "commas and points before three digits": (
        "a,y\n" + '1.5,"2,345"\n2.5,2.346\n3.5,"2,347"\n' * 3,
        ("line 2", "column 'y'", "decimal comma, or separators of thousands", "decimal point"),
    ),
    "text target, all different": (
        "a,y\n" + "".join(f"{i}.5,k{i}\n" for i in range(9)),
        ("line 2", "column 'y'", "'k0'", "9 different texts", "as --target"),
    ),
    "dates as target": (
        "a,y\n" + "".join(f"{i}.5,2024-01-0{i}\n" for i in range(1, 9)),
        ("line 2", "column 'y'", "date", "write numbers"),
    ),
    "UTF-16 without a mark": (GOOD.encode("utf-16-le"), ("line 2", "NUL", "--encoding utf-16-le")),
    "Shift-JIS": (
        with_column(["\u5343\u8449"]).encode("cp932"),
        (*C2, "not cp1252 text", "such as cp932 or gb18030"),
    ),
    "no text": (GOOD.encode() + b"\xff,\0,1\n", ("line 8", "column 'a'", "NUL", "no text")),
    "NUL byte": (with_row("3.5,1\x0075,0"), (*B4, "NUL", "damaged")),
    "one class": (HEADER + "1,2.5,7\n3,4.5,7\n5,2,7\n", ("line 2", "column 'y'", "7", "another")),
    "after a quoted newline": (
        'a,c,y\n1.5,"u\nv",0\n2.5,"u\nv",1\n3.5,x,0\nabc,x,1\n',
        ("line 7", "column 'a'", "'abc'"),
    ),
    "word in a class column": (with_row("3.5,1.75,oops"), ("line 4", "column 'y'", "'oops'")),
}

WITHOUT_PLACE = {
    "empty": ("", ("empty",)),
    "header only": (HEADER, ("no rows",)),
    "one row": (HEADER + "1,2.5,0\n", ("found 1 rows", "2 or more")),
    "unknown target": (GOOD.replace(",y", ",yes"), ("no target column 'y'", "'yes'")),
    "only the target": ("y\n0\n1\n", ("no columns are left",)),
    "no header": (GOOD.removeprefix(HEADER), ("no target column 'y'", "columns are x0 to x2")),
    "ZIP or Excel": (b"PK\x03\x04\x14\0", ("workbook", "save it as CSV")),
    "gzip": (gzip.compress(GOOD.encode()), ("gzip", ".gz")),
    "Parquet": (b"PAR1" + b"\0" * 40 + b"PAR1", ("Parquet", ".parquet")),
    "HTML": ("<!DOCTYPE html><html><table></table></html>", ("a web page (HTML)",)),
    "a program": (b"\x7fELF\2\1\1" + b"\0" * 99, ("a binary file",)),
    "JSON": ('[{"a": 1, "y": 0}]', ("JSON",)),
}


def refusal(folder, content, name="table.csv"):
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises((FileError, InputError)) as caught:
        prepare(read_table(path), "y", missing="refuse")
    message = str(caught.value)
    assert message.startswith(str(path))
    return message.removeprefix(str(path))


@pytest.mark.parametrize("name", WITH_PLACE)
def test_refused_with_its_place(name, tmp_path):
    content, fragments = WITH_PLACE[name]
    message = refusal(tmp_path, content)
    assert [part for part in fragments if part not in message] == [], message
    assert re.search(r"line \d+.*columns? ['\d]", message), message
    assert ";" in message, "no remedy"
    assert "--drop y" not in message, "the target cannot be dropped"
    assert len(message) < 400, message


@pytest.mark.parametrize("name", WITHOUT_PLACE)
def test_refused_as_a_whole(name, tmp_path):
    content, fragments = WITHOUT_PLACE[name]
    message = refusal(tmp_path, content)
    assert [part for part in fragments if part not in message] == [], message


# name: (content, what is said to be done, and to what).
WITH_A_NOTE = {
    "semicolons": (GOOD.replace(",", ";"), "read", "delimiter (';')"),
    "semicolons, commas in names": ("a (x,y);b;y\n" + "1;2;3\n2;1;4\n" * 6, "read",
                                    "delimiter (';')"),
    "decimal commas": ("a;b;y\n1,5;2,5;0\n2,5;7;1\n", "read", "delimiter (';'), decimal (',')"),
    "Latin-1": (with_column(["caf\u00e9", "u"]).encode("latin-1"), "read", "encoding ('cp1252')"),
    "UTF-16": (GOOD.encode("utf-16"), "read", "encoding ('utf-16')"),
    "Excel's separator": ("sep=;\n" + GOOD.replace(",", ";"), "read", "delimiter (';')"),
    "comments": ("# from somewhere, some day\n#\n" + GOOD, None, ""),
    "titles": ("Report, 2023\n\n" + GOOD, "passed over", "1 line above the header ('Report"),
    "titles with delimiters": ("Report,,\n,,\n" + GOOD, "passed over", "2 lines above the header"),
    "a total": (GOOD + "Total,15,\n", "passed over", "1 line at the end ('Total,15,')"),
    "a sum and a mean": (GOOD + "Sum,$15.00,\nMean,2.5,0.5\n", "passed over", "2 lines at the end"),
    "units": (GOOD.replace("\n", "\nmm:ss,,kg\n", 1), "passed over", "1 line below the hea"),
    "notes at the end": (GOOD + "\nSource: the office\n", "passed over", "1 line at the end"),
    "a note beside the table": (GOOD + ",,,checked\n", "passed over", "1 line at the end"),
    "a header that is a comment": ("# " + GOOD, None, ""),
    "name lacking": (GOOD.replace("a,b", ",b"), None, ""),
    "row names without a header": (with_column(["p", "q", "r", "s", "t", "u"], ""), "left out",
                                   "unnamed_3 (identifier)"),
    "index from 1": (with_column(range(1, 7)), "left out", "c (row numbers)"),
    "index, shuffled": (
        "a,c,y\n" + "".join(f"{i}.5,{i * 7 % 30},{i % 2}\n" for i in range(30)),
        "left out", "c (row numbers)",
    ),
    "identifiers": (many("id{}"), "left out", "c (identifier)"),
    "free text": (many("this is sentence number {}"), "left out", "c (free text)"),
    "constant": (with_column(["7"]), "left out", "c (constant)"),
    "nothing in a column": (with_column(["", ""]), "left out", "c (empty)"),
    "missing": (with_row("3.5,,0"), "imputed", "b (1 cell)"),
    "a dash for nothing": (with_row("3.5,-,0"), "imputed", "b (1 cell)"),
    "missing target": (with_row("3.5,1.75,"), "rows", "1 of 6 left out (no y)"),
    "row names in a column without a name": (
        '"a","b","y"\n' + "".join(f'"{i}",{row}\n' for i, row in enumerate(ROWS, 1)),
        "left out", "unnamed_1 (row numbers)",
    ),
    "a delimiter at each end": (HEADER + ",\n".join(ROWS) + ",\n", "left out",
                                "unnamed_4 (empty)"),
    "dates": (with_column([f"2024-01-0{i}" for i in range(1, 7)]), "dates", "c (weekday, days)"),
    "dates, German": (with_column(["1.2.2024", "3.2.2024"]), "dates", "c (weekday, days)"),
    "dates, slashes": (with_column(["1/31/2024", "2/1/2024"]), "dates",
                       "c (month first: month, weekday, days)"),
    "moments": (with_column(["2024-01-01T12:30:00Z", "2024-01-01T13:30:00Z"]), "dates", "c (hour)"),
    "times": (with_column(["12:30 PM", "1:30 PM", "1:45 PM"]), "dates", "c (hour)"),
    "dates, French": (with_column(["17 f\u00e9vrier 2020", "1er mai 2020"]), "dates",
                      "c (month, weekday, days)"),
    "currencies": (with_column(['"$1,234.50"', "5.20 €", "-£3"]), "numbers",
                   "c (currency signs, thousands separators)"),
    "negative in parentheses": (with_column(["($1.50)", "$2", "(7)"]), "numbers",
                                "c (currency signs, parentheses around negative numbers)"),
    "percent": (with_column(["5%", "7.5 %", "-1%"]), "numbers", "c (in %)"),
    "percent, as the name says": (with_column(["5%", "7.5", "1.5%"]).replace(",c,", ",c in %,"),
                                  "numbers", "c in % (in %)"),
    "francs": (with_column(["20.-", "1'450.\u2013", "12.50"]), "numbers",
               "c (currency signs, thousands separators)"),
    "power": (with_column(["1.5 kW", "250 W"]), "numbers", "c (W as kW, in kW)"),
    "a note with a number": (with_column(["1450 2)", "1320.5", "900"]), "numbers", "c (notes)"),
    "ordinals and a word": ("c,y\n" + "1\u00b0,0\nnight,1\n2\u00b0,1\n" * 9, "encoded",
                            "c (3 values)"),
    "measures of several units": (
        "c,a,y\n" + "".join(f"{i}.5 {'l' if i % 5 else 'pm'},{i % 7},{i}.5\n" for i in range(60)),
        "left out", "c (numbers of several units, such as 0.5 pm and 1.5 l)",
    ),
    "days of zeros": (with_column(["01.02.2024", "00.00.0000"]), "imputed", "c (5 cells)"),
    "a unit": (with_column(["0.35 kg", "12 kg", ""]), "numbers", "c (in kg)"),
    "a unit without a space": (with_column(["-5°C", "12°C"]), "numbers", "c (in °C)"),
    "one and several": (with_column(["1 day", "12 days"]), "numbers", "c (in day)"),
    "thousands and millions": (with_column(["€1.5K", "2M", "700"]), "numbers",
                               "c (K = 1,000, M = 1,000,000, currency signs)"),
    "units that differ": (with_column(["5kg", "5l", "5kg", "5l"]), "encoded", "c (2 values)"),
    "units of one kind": (with_column(["5kg", "5g"]), "numbers", "c (g as kg, in kg)"),
    "decimal commas, quoted": (with_row('3.5,"1,75",0'), "numbers",
                               "b (decimal commas, decimal points)"),
    "words for nothing": (with_column([*["1.5", "2", "POA", "POA", "3", "4"]]), "imputed",
                          "c (2 cells, empty or 'POA')"),
    "a phrase for nothing": (with_column(["$450.50/mo", "No fee", "$95/mo"]), "imputed",
                             "c (1 cell, empty or 'No fee')"),
    "open ends": (with_column(["<5", "7", "12.5"]), "numbers", "c (open ends)"),
    "ranges among numbers": (with_column(["120\u2013123", "64", "7"]), "numbers",
                             "c (middles of ranges)"),
    "notes on numbers": (with_column(["312*", "~95", "7.1 \u00b1 0.2"]), "numbers",
                         "c (notes, ~, \u00b1)"),
    "euros by the thousand": (with_column(["\u20ac 350.000", "\u20ac 95.000"]), "numbers",
                              "c (currency signs, points between thousands)"),
    "units with a point": (with_column(['"51,000 mi."', '"7,250 mi."']), "numbers",
                           "c (in mi, thousands separators)"),
    "durations": (with_column(["1:30:00", "49:00"]), "numbers",
                  "c (h:mm:ss as hours, m:ss as hours)"),
    "times of day": (with_column(["08:15", "23:59"]), "dates", "c (hour)"),
    "minutes": (with_column(["8:15", "9:59"]).replace(",c,", ",pace,"), "numbers",
                "pace (m:ss as hours)"),
    "prices of a litre": (with_column(["\u20ac1.859", "\u20ac1.799"]), "numbers",
                          "c (currency signs)"),
    "k for thousands": (with_column(["52k", "45000 miles"]), "numbers", "c (in miles, k = 1,000)"),
    "k for kilometres": (with_column(["5k", "10 km"]), "encoded", "c (2 values)"),
    "addresses": (with_column([f"10.0.0.{i}" for i in range(6)]), "left out", "c (identifier)"),
    "a word for nothing": (with_row("3.5,Unknown,0"), "imputed", "b (1 cell)"),
    "a formula that failed": (with_row("3.5,#DIV/0!,0"), "imputed", "b (1 cell)"),
    "thousands in India": (with_column(['"1,750"', "999", '"12,34,567"']), "numbers",
                           "c (thousands separators)"),
    "columns of one name": (GOOD.replace("a,b", "a,a"), "passed over",
                            "2 columns called a (now a (1) to (2)) [--strict]"),
    "thousands": (with_column(['"1,750"', "999", '"1,000,000"']), "numbers",
                  "c (thousands separators)"),
    "capitals and small letters": (with_column(["ja", "Ja", "nein", "JA "]), "encoded",
                                   "c (2 values, 2 in other letters)"),
    "codes": (with_column(["007", "08", "007", "08"]), "encoded", "c (2 values)"),
    "integers that are one in float64": (with_column([2**60, 2**60 + 1, 2**60]), "encoded",
                                         "c (2 values)"),
}  # fmt: skip


@pytest.mark.untraced(but=["durations", "currencies"])
@pytest.mark.parametrize("name", WITH_A_NOTE)
def test_trained_with_a_note_and_refused_where_nothing_is_to_be_guessed(name, tmp_path):
    content, kind, said = WITH_A_NOTE[name]
    path = tmp_path / "table.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    ready = prepare(read_table(path), "y")
    found = {each.kind: each for each in ready.decisions}
    assert (found[kind].text() if kind else "").startswith(said)
    assert np.isfinite(ready.x).all()
    if kind not in (None, "encoded"):
        with pytest.raises(InputError, match=rf"table.csv: .*({said.split()[0]}|missing cell)"):
            prepare(read_table(path), "y", strict=True)


ACCEPTED = {
    "plain": GOOD,
    "byte order mark": codecs.BOM_UTF8 + GOOD.encode(),
    "CRLF": GOOD.replace("\n", "\r\n"),
    "classic Macintosh": GOOD.replace("\n", "\r"),
    "blank lines at the end": GOOD + "\n\r\n\n",
    "blank line in the middle": GOOD.replace("2.5,0.5", "\n2.5,0.5"),
    "quoted": "\n".join(",".join(f'"{c}"' for c in x.split(",")) for x in GOOD.split()) + "\n",
    "quoted comma": with_column(['"u,v"', "w", '"u,v"', "w"]),
    "quoted newline": with_column(['"u\nv"', "w", '"u\nv"', "w"]),
    "spaces": GOOD.replace(",", ", ").replace("\n", " \n"),
    "a typographic minus": with_row("3.5,\u22121.75,0"),
    "text categories": with_column(["red", "blue", "red", "blue"]),
    "counts with an open end": with_column(["0", "1", "2", "3+", "0", "1"]),
    "text target": GOOD.replace(",0\n", ",no\n").replace(",1\n", ",yes\n"),
    "dollars in words": with_column(["<=$50K", ">$50K", "<=$50K", ">$50K"]),
    "leading zeros": with_row("003.5,01.75,0"),
    "empty cells at the end": "y\ta\tb\n" + "0\t1.5\t\n1\t2.5\t\n" * 3,
    "a category like a total": "y,c\n" + "0,u\n1,Total\n" * 3 + "0,u\n",
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_accepted(name, tmp_path):
    content = ACCEPTED[name]
    path = tmp_path / "table.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    ready = prepare(read_table(path), "y")
    assert ready.x.shape[0] >= 2
    assert ready.preprocessing.task == "binary"


def test_a_dropped_column_may_hold_anything(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text(with_column(["x", "2024-01-01", "", "$5", "NaN", "7"]))
    assert prepare(read_table(path), "y", drop=["c"]).x.shape == (6, 2)


def test_faults_far_into_a_long_file_keep_their_line(tmp_path, monkeypatch):
    monkeypatch.setattr("xpnet.tables.csv._BLOCK", 1 << 14)
    path = tmp_path / "long.csv"
    rows = [f'{i % 7}.5,"u{i % 3}",{i % 2}\n' for i in range(20_000)]
    for row, found in (
        ("oops,u1,1\n", "line 19002, column 'a': found 'oops'"),
        ("1.5,u1\n", "line 19002, column 'y': the line ends after 2 of 3"),
    ):
        rows[19_000] = row
        path.write_text("a,c,y\n" + "".join(rows))
        with pytest.raises((FileError, InputError), match=found):
            prepare(read_table(path), "y")


@pytest.mark.parametrize("kind", ["{} kg", "{}/100"])
def test_a_word_among_numbers_with_signs_is_named_unless_it_is_frequent(kind, table):
    rows = "".join(f"{kind.format(40 + i)},{i}\n" for i in range(60))
    with pytest.raises(InputError, match=r"line 62, column 'a': found 'unclear', which is not a n"):
        prepare(table(f"a,y\n{rows}unclear,60\n"), "y")
    some = "".join(f"{kind.format(5 + i % 2)},{i}\nplacebo,{i}\n" for i in range(30))
    assert prepare(table(f"a,y\n{some}"), "y").preprocessing.inputs == 3
