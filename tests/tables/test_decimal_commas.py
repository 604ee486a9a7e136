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


@pytest.mark.parametrize("text", ["a;y\n-1,185;0\n1,414;1\n", "a;y\n0,414;0\n1,185;1\n"])
def test_three_digits_behind_a_comma_may_be_thousands(text: str) -> None:
    found = refusal(text, delimiter=";", decimal=".")
    assert "which has a decimal comma, or separators of thousands (2 such cells); write" in found
    assert found.endswith("or pass --decimal ',', or pass --drop a.")


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
