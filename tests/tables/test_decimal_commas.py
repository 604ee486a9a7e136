"""Tables with decimal commas, as German Excel exports them: read when asked to, else named."""

import numpy as np
import pytest
from command_line import QUICK, Run, table

import xpnet
from xpnet.errors import InputError
from xpnet.tables.prepare import prepare
from xpnet.tables.table import read_table

pytestmark = pytest.mark.usefixtures("in_empty_directory")

GERMAN = "a;b;y\n" + "".join(f"-0,{i:03};{i},5;{i % 2}\n" for i in range(100, 160))


def refusal(text: str, **how: str) -> str:
    path = table("t.csv", text)
    with pytest.raises(InputError) as refused:
        prepare(read_table(path, **how), "y")
    return str(refused.value)


def test_three_digits_behind_a_comma_may_be_thousands() -> None:
    found = refusal("a|y\n" + '"1,185"|0\n"1.414"|1\n' * 3)
    assert "'1,185', which has a decimal comma, or separators of thousands (3 such cells)" in found
    assert found.endswith("write a decimal point, or pass --decimal ',', or pass --drop a.")


GROUPED = ["1.472", "860", "2.289", "95", "201", "2.486"] * 3
"""1.472 beside 860, and never 1.5, 0.25 or 1860: thousands, as they are written in German."""


@pytest.mark.parametrize(
    ("cells", "other", "first"),
    [
        (GROUPED, "295,7", 1472),
        (GROUPED, "295", 1472),
        (GROUPED, "29.5", 1.472),
        ([*GROUPED, "1860"], "295", 1.472),
        ([*GROUPED, "0.125"], "295", 1.472),
        (["1.472", "2.289", "2.486"], "295", 1.472),
        (["34.117", "3.826", "936"], "-0,568", 34117),
    ],
)
def test_the_rest_of_the_file_says_whether_points_stand_between_thousands(
    cells: list[str], other: str, first: float
) -> None:
    path = table("t.csv", "a;b\n" + "".join(f"{each};{other}\n" for each in cells))
    assert read_table(path).column("a")[0] == first
    asked = read_table(path, decimal=".").column("a")[0]
    assert asked == float(cells[0])


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (GROUPED, "a (points between thousands) [--drop COLUMN, --decimal .]"),
        (GROUPED[:1] * 9 + GROUPED[2:3] * 9, "a (decimal points) [--drop COLUMN, --decimal ,]"),
    ],
)
def test_what_is_only_likely_is_said_with_the_option_that_changes_it(
    cells: list[str], said: str
) -> None:
    path = table("t.csv", "a;y\n" + "".join(f"{c};{i % 2}\n" for i, c in enumerate(cells)))
    ready = prepare(read_table(path), "y")
    assert [each.text() for each in ready.decisions if each.kind == "numbers"] == [said]
    row = table("row.csv", "a;y\n1.472;0\n")
    alone = read_table(row, **ready.preprocessing.reading).column("a")[0]
    assert alone == (1472 if "between" in said else 1.472)


def test_where_training_had_no_separators_those_of_the_new_file_are_found() -> None:
    rows = "".join(f"{1472 if i % 2 else i * 7},{i % 2}\n" for i in range(60))
    plan = prepare(read_table(table("t.csv", "a,y\n" + rows)), "y").preprocessing
    for more in ("", "?;0\n"):
        path = table("new.csv", "a;y\n" + "".join(f"{each};0\n" for each in GROUPED) + more)
        assert read_table(path, **plan.reading).column("a")[0] == 1472


def test_points_between_thousands_may_show_late_in_a_long_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("xpnet.tables.csv._BLOCK", 128)
    path = table("t.csv", "a;b\n" + "1.472;x\n" * 99 + "860;x\n1.472;y\n1.584;x\n2.289;x\n" * 20)
    assert read_table(path).column("a").tolist()[:100] == [1472] * 99 + [860]


def test_decimal_commas_are_read_when_asked_for() -> None:
    path = table("t.csv", "a;b;y\n 0,414 ;x, y;-1\n-1,5e2;Z;,5\n3;1.2.2020;1.5\n")
    found = read_table(path, delimiter=";", decimal=",")
    np.testing.assert_array_equal(found.column("a"), [0.414, -150.0, 3.0])
    np.testing.assert_array_equal(found.column("y"), [-1.0, 0.5, 1.5])
    assert set(found.texts["b"]) == {"x, y", "Z", "1.2.2020"}


@pytest.mark.parametrize("cell", ["1.234", "-12.345.678", "1.234,56"])
def test_points_are_separators_of_thousands_where_commas_are_decimal(cell: str) -> None:
    path = table("t.csv", f"a;y\n{cell};0\n2,5;1\n")
    expected = float(cell.replace(".", "").replace(",", "."))
    assert read_table(path, delimiter=";", decimal=",").column("a").tolist() == [expected, 2.5]


def test_the_command_remembers_the_decimal_sign(run: Run) -> None:
    path = table("t.csv", GERMAN)
    how = ["--delimiter", ";"]
    assert run("train", path, "--target", "y", *how, "--decimal", ",", *QUICK).status == 0
    rows = run("predict", "t.safetensors", path, *how, "--json").json["predictions"]
    loaded = xpnet.load_model("t.safetensors").predict(path, delimiter=";")
    assert rows == {name: pytest.approx(list(each)) for name, each in loaded.items()}
    table("points.csv", GERMAN.replace(",", "."))
    again = run("predict", "t.safetensors", "points.csv", *how, "--decimal", ".", "--json")
    assert again.json["predictions"] == rows
    options = ["--target", "y", *how, "--decimal", ",", *QUICK]
    assert run("train", path, *options, "--stream", "--validation", path).status == 0


@pytest.mark.parametrize(
    ("cell", "number"),
    [
        ("7,50 €", 7.5), ("€7,50", 7.5), ("-€7,50", -7.5), ("7,5 %", 7.5), ("7,50 kg", 7.5),
        ("1.234,50 €", 1234.5), ("1 234,50\u00a0€", 1234.5), ("3.446,70 EUR", 3446.7),
        ("R$ 4.100,50", 4100.5),
    ],
)  # fmt: skip
def test_decimal_commas_are_found_and_read_beside_currencies_and_units(
    cell: str, number: float
) -> None:
    other = cell.replace("50", "75").replace("70", "75").replace(",5 ", ",75 ")
    found = read_table(table("t.csv", f"a;y\n{cell};1\n{other};0\n"))
    assert (found.guesses["decimal"], found.column("a")[0]) == (",", number)
    assert found.signs["a"]
