"""``load_model(...).predict`` takes tables in memory as it takes files."""

import numpy as np
import polars
import pytest
from command_line import BANKNOTE, QUICK, Run, table

import xpnet
from xpnet.errors import InputError, InputTypeError
from xpnet.saving.model import Model

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


def test_a_lazy_frame_is_collected(words: Model) -> None:
    lazy = polars.scan_csv("t.csv")
    assert same(words.predict(lazy), words.predict("t.csv"))
    with pytest.raises(InputError, match=r"^the table: the LazyFrame cannot be .*correct"):
        words.predict(lazy.with_columns(polars.col("none")))


def test_what_a_mask_hides_is_missing(words: Model, numbers: Model) -> None:
    seen, mask = [1.0, 2.0], [False, True]
    expected = words.predict({"a": [1.0, None], "b": ["r", None]})
    masked = {"a": np.ma.array(seen, mask=mask), "b": np.ma.array(["r", "g"], mask=mask)}
    assert same(words.predict(masked), expected)
    assert same(words.predict({"a": [1.0, np.ma.masked], "b": ["r", np.nan]}), expected)
    x = np.ones((3, 4))
    assert same(numbers.predict(np.ma.array(x)), numbers.predict(x))
    for kind in (float, int):
        hidden = np.ma.array(x.astype(kind), mask=x > 1)
        hidden[1, 2] = np.ma.masked
        with pytest.raises(InputError, match=r"^the table: row 1 .* column 'curtosis': a missing"):
            numbers.predict(hidden)


def test_columns_without_a_value_are_missing_and_not_text(words: Model, numbers: Model) -> None:
    expected = words.predict({"a": [1.0, 2.0], "b": ["", ""]})
    assert same(words.predict({"a": [1.0, 2.0], "b": [np.nan, None]}), expected)
    names = polars.read_csv(BANKNOTE, n_rows=0).drop("class").columns
    for gone in ({"variance": [np.nan]}, {"variance": [None]}):
        rows = {name: [1.0] for name in names} | gone
        for given in (rows, polars.DataFrame(rows, strict=False)):
            with pytest.raises(InputError, match=r"row 0 .* column 'variance': a missing cell"):
                numbers.predict(given)


DAYS = np.array(["2020-01-01", "2020-01-02"], "M8[D]")


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (1.0, "is of type float; give a list or an array, a cell per row"),
        (np.float32(1.0), "is of type float32; give"),
        (np.array(1.0), "is of type ndarray; give"),
        ("ab", "is of type str; give"),
        (None, "is of type NoneType; give"),
        (iter([1.0, 2.0]), "is of type list_iterator; give"),
        (np.ones(2, complex), "holds complex numbers; give real ones"),
        ([1.0, 2.0j], "holds complex numbers; give real ones"),
        (DAYS, "found '2020-01-01', which is a date or time .*; write numbers"),
        (DAYS.astype("M8[h]"), r"\(ndarray\) cannot be read \(.*\); give numbers or text"),
        (list(DAYS), r"\(list\) cannot be read \(.*\); give numbers or text"),
        (np.ones((2, 2), object), r"\(ndarray\) cannot be read \(.*\); give numbers or text"),
    ],
)
def test_columns_that_are_none_are_refused_by_name(words: Model, cells, message: str) -> None:
    with pytest.raises((InputError, InputTypeError), match=f"^the table: .*column 'a'.* {message}"):
        words.predict({"a": cells, "b": ["r", "g"]})


def test_names_that_occur_twice_and_lengths_that_differ_are_told_apart(words: Model) -> None:
    with pytest.raises(InputError, match="columns 1 and 2 are both called '1'; rename one"):
        words.predict({1: [1.0], "1": [2.0], "a": [1.0], "b": ["r"]})
    with pytest.raises(InputError, match=r"lengths 1 \('a'\) and 2 \('b'\); give columns of the"):
        words.predict({"a": [1.0], "b": ["r", "g"]})


def test_an_array_of_complex_numbers_is_refused(numbers: Model) -> None:
    with pytest.raises(InputTypeError, match="it holds complex128; give real numbers"):
        numbers.predict(np.ones((2, 4), complex))


def test_images_are_given_as_they_were_trained_on(run: Run) -> None:
    x = np.random.default_rng(0).integers(0, 256, (40, 3, 3)).astype(np.uint8)
    np.save("x.npy", x)
    np.save("y.npy", x[:, 0, 0] > 127)
    run("train", "x.npy", "--target", "y.npy", *QUICK)
    model = xpnet.load_model("x.safetensors")
    assert same(model.predict(x), model.predict("x.npy"))
