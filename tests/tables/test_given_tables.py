"""``load_model(...).predict`` takes tables in memory as it takes files."""

from typing import Any

import numpy as np
import pytest
from command_line import BANKNOTE, table
from lazily import polars

import xpnet
from xpnet.errors import InputError, InputTypeError
from xpnet.saving.model import Model
from xpnet.tables.prepare import prepare
from xpnet.tables.table import read_table

pytestmark = pytest.mark.usefixtures("in_empty_directory")

ROWS = "a,b,y\n" + "".join(f"{i / 2},{'rgb'[i % 3]},{int(i > 30)}\n" for i in range(60))
DAYS = np.array(["2020-01-01", "2020-01-02"], "M8[D]")


def model(path, target: str, **how) -> Model:
    """An untrained model of a table."""
    plan = prepare(read_table(path), target, **how).preprocessing
    net = xpnet.MLP([plan.inputs, plan.outputs], output="sigmoid")
    return Model(net, plan, None, xpnet.__version__)


@pytest.fixture
def words() -> Model:
    return model(table("t.csv", ROWS), "y", missing="impute")


@pytest.fixture
def numbers() -> Model:
    return model(BANKNOTE, "class", missing="refuse")


def same(found: Any, expected: dict) -> bool:
    names = list(getattr(found, "columns", found))
    alike = all(np.array_equal(found[name], expected[name]) for name in names)
    return alike and names == list(expected)


def test_frames_and_dicts_give_what_the_file_gives(words: Model) -> None:
    frame, expected = polars.read_csv("t.csv"), words.predict("t.csv")
    lists = frame.to_dict(as_series=False)
    arrays = {name: np.asarray(each) for name, each in lists.items()}
    for given in (frame, frame.lazy(), frame.to_dict(), lists, arrays):
        assert same(words.predict(given), expected)
    assert isinstance(words.predict(frame), polars.DataFrame)  # what came in


@pytest.mark.parametrize("yes", ["True", "TRUE"])
def test_booleans_are_the_words_that_training_read(yes: str) -> None:
    no = {"True": "False", "TRUE": "FALSE"}[yes]
    rows = [no if i % 3 == 0 else yes for i in range(60)]
    table("t.csv", "a,b,y\n" + "".join(f"{i / 2},{b},{i % 2}\n" for i, b in enumerate(rows)))
    trained = model("t.csv", "y")
    expected, cells = trained.predict("t.csv"), [each == yes for each in rows]
    given: dict[str, Any] = {"a": [i / 2 for i in range(60)], "b": cells}
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(given)
    for each in (given, given | {"b": np.array(cells)}, polars.DataFrame(given), frame,
                 frame.convert_dtypes(), frame.astype({"b": "category"})):  # fmt: skip
        assert same(trained.predict(each), expected)


def test_what_the_command_notes_is_a_warning(words: Model) -> None:
    given = {"a": [1.0, None, 2.0], "b": ["r", "q", ""]}
    with pytest.warns(UserWarning, match="imputed|not seen") as told:
        words.predict(given)
    assert [str(each.message) for each in told] == [
        "2 missing cells imputed: a (1), b (1)",
        "categories without an input, rare or not seen in training: b 1, such as 'q'",
    ]
    assert {each.filename for each in told} == {__file__}


@pytest.mark.filterwarnings("ignore:.*imputed")
def test_frames_of_pandas_with_missing_cells(words: Model) -> None:
    pandas = pytest.importorskip("pandas")
    table("gaps.csv", ROWS.replace("0.5,g", ",").replace(".0,b,", ".0,,"))
    frame, expected = pandas.read_csv("gaps.csv"), words.predict("gaps.csv")
    for given in (frame, frame.convert_dtypes(), frame.astype({"b": "category"})):
        assert same(words.predict(given), expected)
    assert words.predict(frame[5:8]).index.tolist() == [5, 6, 7]


def test_an_array_has_the_columns_in_order(numbers: Model, words: Model) -> None:
    x = polars.read_csv(BANKNOTE).drop("class").to_numpy()
    assert same(numbers.predict(x), numbers.predict(BANKNOTE))
    with pytest.raises(InputError, match=r"shape \(5, 3\); give \(rows, 4\), with the columns var"):
        numbers.predict(x[:5, :3])
    with pytest.raises(InputTypeError, match="but b hold text; give a data frame or a dict"):
        words.predict(x)
    with pytest.raises(InputTypeError, match="it holds complex128; give a data frame"):
        numbers.predict(x.astype(complex))
    x[2, 1] = np.nan
    with pytest.raises(
        InputError, match=r"^the table: row 2 \(the first is 0\), column 'skewness'"
    ):
        numbers.predict(x)


@pytest.mark.filterwarnings("ignore:.*imputed")
def test_what_a_mask_hides_and_columns_without_a_value_are_missing(
    words: Model, numbers: Model
) -> None:
    mask = [False, True]
    masked = {"a": np.ma.array([1.0, 2.0], mask=mask), "b": np.ma.array(["r", "g"], mask=mask)}
    assert same(words.predict(masked), words.predict({"a": [1.0, None], "b": ["r", None]}))
    expected = words.predict({"a": [1.0, 2.0], "b": ["", ""]})
    assert same(words.predict({"a": [1.0, 2.0], "b": [np.nan, None]}), expected)
    x = np.ones((3, 4))
    assert same(numbers.predict(np.ma.array(x)), numbers.predict(x))
    hidden = np.ma.array(x.astype(int), mask=x > 1)
    hidden[1, 2] = np.ma.masked
    with pytest.raises(InputError, match=r"^the table: row 1 .* column 'curtosis': a missing"):
        numbers.predict(hidden)
    rows = {each: [1.0] for each in numbers.preprocessing.input_names()} | {"variance": [None]}
    for given in (rows, polars.DataFrame(rows, strict=False)):
        with pytest.raises(InputError, match=r"row 0 .* column 'variance': a missing cell"):
            numbers.predict(given)


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (1.0, r"\(float\) cannot be read .*; give a list or an array of numbers or texts"),
        (None, r"\(NoneType\) cannot be read"),
        (np.ones(2, complex), "holds Object; give numbers or text"),
        ([1.0, 2.0j], "holds Object; give numbers or text"),
        (DAYS, "found '2020-01-01', which is a date or time .*; write numbers"),
        (DAYS.astype("M8[h]"), "found '2020-01-01 .*', which is a date or time .*; write numbers"),
        (list(DAYS), r"\(list\) cannot be read \(.*\); give a list"),
        (np.ones((2, 2), object), r"holds List\(.*\); give numbers or text"),
    ],
)
def test_columns_that_are_none_are_refused_by_name(words: Model, cells, message: str) -> None:
    with pytest.raises((InputError, InputTypeError), match=f"^the table: .*column 'a'.* {message}"):
        words.predict({"a": cells, "b": ["r", "g"]})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([[1.0, 2.0]], "found list; give a file's path, a data frame"),
        ({"a": [1.0]}, r"the table: 1 of the 2 columns .* missing: 'b'"),
        ({"a": [1.0], "b": ["r", "g"]}, "columns of different lengths; give each a cell per row"),
    ],
)
def test_other_things_are_refused_by_name(words: Model, given, message: str) -> None:
    with pytest.raises((InputError, InputTypeError), match=message):
        words.predict(given)
