"""``load_model(...).predict`` takes tables in memory as it takes files."""

import numpy as np
import polars
import pytest
from command_line import BANKNOTE, QUICK, Run, table

import xpnet
from xpnet.errors import InputError, InputTypeError
from xpnet.model_file import Model

pytestmark = pytest.mark.usefixtures("in_empty_directory")

ROWS = "a,b,y\n" + "".join(f"{i / 2},{'rgb'[i % 3]},{int(i > 30)}\n" for i in range(60))


@pytest.fixture
def words(run: Run) -> Model:
    run("train", table("t.csv", ROWS), "--target", "y", "--missing", "impute", *QUICK)
    return xpnet.load_model("t.safetensors")


@pytest.fixture
def numbers(run: Run) -> Model:
    run("train", BANKNOTE, "--target", "class", "--out", "n.safetensors", *QUICK)
    return xpnet.load_model("n.safetensors")


def same(found: dict, expected: dict) -> bool:
    return all(np.array_equal(found[name], expected[name]) for name in (*found, *expected))


def test_frames_and_dicts_give_what_the_file_gives(words: Model) -> None:
    frame = polars.read_csv("t.csv")
    lists = frame.to_dict(as_series=False)
    expected = words.predict("t.csv")
    assert same(words.predict(frame), expected)
    assert same(words.predict(lists), expected)
    assert same(words.predict({name: np.asarray(each) for name, each in lists.items()}), expected)
    assert same(words.predict(frame.to_dict()), expected)


def test_frames_of_pandas_with_missing_cells(words: Model) -> None:
    pandas = pytest.importorskip("pandas")
    table("gaps.csv", ROWS.replace("0.5,g", ",").replace(".0,b,", ".0,,"))
    frame = pandas.read_csv("gaps.csv")
    expected = words.predict("gaps.csv")
    assert same(words.predict(frame), expected)
    assert same(words.predict(frame.convert_dtypes()), expected)
    assert same(words.predict(frame.astype({"b": "category"})), expected)


def test_an_array_has_the_columns_in_order(numbers: Model, words: Model) -> None:
    x = polars.read_csv(BANKNOTE).drop("class").to_numpy()
    assert same(numbers.predict(x), numbers.predict(BANKNOTE))
    with pytest.raises(InputError, match=r"shape \(5, 3\); give \(rows, 4\), with the columns var"):
        numbers.predict(x[:5, :3])
    with pytest.raises(InputTypeError, match="column 'b' holds text; give a data frame or a dict"):
        words.predict(x)
    x[2, 1] = np.nan
    with pytest.raises(
        InputError, match=r"^the table: row 2 \(the first is 0\), column 'skewness'"
    ):
        numbers.predict(x)


def test_other_things_are_refused_by_name(words: Model) -> None:
    with pytest.raises(InputTypeError, match="found list; give a file's path, a data frame"):
        words.predict([[1.0, 2.0]])
    with pytest.raises(InputError, match="columns of the same length"):
        words.predict({"a": [1.0, 2.0], "b": ["r", "g", "b"]})
    with pytest.raises(InputError, match=r"the table: 1 of the 2 columns .* missing: 'b'"):
        words.predict({"a": [1.0]})


def test_images_are_given_as_they_were_trained_on(run: Run) -> None:
    x = np.random.default_rng(0).integers(0, 256, (40, 3, 3)).astype(np.uint8)
    np.save("x.npy", x)
    np.save("y.npy", x[:, 0, 0] > 127)
    run("train", "x.npy", "--target", "y.npy", *QUICK)
    model = xpnet.load_model("x.safetensors")
    assert same(model.predict(x), model.predict("x.npy"))
