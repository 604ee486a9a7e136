"""From columns to inputs and targets and back, as it is stored in a model file."""

import copy
import json

import numpy as np
import polars
import pytest

from xpnet.errors import FileError, InputError
from xpnet.preparing import prepare
from xpnet.preprocessing import Column, Preprocessing
from xpnet.tables import read_table

TRAIN = """size,colour,weight,label
1.0,red,10,no
2.0,blue,20,yes
3.0,red,30,no
4.0,green,50,yes
6.0,blue,40,no
5.0,green,60,yes
"""
NUMBERS = "a,b,y\n" + "".join(f"{i * i},{i % 4 + 0.5},{3 * i + 0.25}\n" for i in range(12))


@pytest.fixture
def table(tmp_path):
    def make(text, name="table.csv"):
        path = tmp_path / name
        path.write_text(text)
        return read_table(path)

    return make


def arrays(folder, x, y=None):
    np.save(folder / "x.npy", x)
    if y is None:
        return read_table(folder / "x.npy")
    np.save(folder / "y.npy", y)
    return read_table(folder / "x.npy", target=str(folder / "y.npy"))


def test_numbers_are_standardised_and_texts_one_hot_encoded(table):
    ready = prepare(table(TRAIN), "label", dtype="float64")
    plan = ready.preprocessing
    assert plan.input_names() == [
        "size", "colour=blue", "colour=green", "colour=red", "weight",
    ]  # fmt: skip
    assert (plan.inputs, plan.outputs, plan.task, plan.classes) == (5, 1, "binary", ("no", "yes"))
    size = np.array([1, 2, 3, 4, 6, 5.0])
    np.testing.assert_allclose(ready.x[:, 0], (size - 3.5) / size.std(), rtol=1e-15)
    np.testing.assert_array_equal(
        ready.x[:, 1:4],
        [[0, 0, 1], [1, 0, 0], [0, 0, 1], [0, 1, 0], [1, 0, 0], [0, 1, 0]],
    )
    assert ready.y.dtype == np.int64
    assert ready.y.tolist() == [0, 1, 0, 1, 0, 1]
    assert ready.notes == ("column colour: 3 categories one-hot encoded",)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_inputs_have_the_dtype_asked_for(dtype, table):
    assert prepare(table(TRAIN), "label", dtype=dtype).x.dtype == dtype


def test_scales_come_from_the_training_rows_alone(table):
    ready = prepare(table(NUMBERS), "y", validation=0.25, seed=3, dtype="float64")
    np.testing.assert_allclose(ready.x.mean(axis=0), 0, atol=1e-15)
    np.testing.assert_allclose(ready.x.std(axis=0), 1)
    assert abs(ready.x_validation.mean(axis=0)).max() > 0.01
    assert len(ready.y_validation) == len(ready.validation_rows) == 3
    np.testing.assert_allclose(ready.y.mean(), 0, atol=1e-15)
    a = np.arange(12.0)[ready.train_rows] ** 2
    assert ready.preprocessing.columns[0].mean == pytest.approx(a.mean(), rel=1e-15)


def test_rows_on_the_disk_leave_few_to_validate(table, monkeypatch):
    monkeypatch.setattr("xpnet.preparing.MOST_HELD_OUT", 2)
    ready = prepare(table(TRAIN), "label", validation=0.5, stream=True)
    assert len(ready.y_validation) == 2
    assert "2 rows to validate, the most that are kept in memory" in ready.notes
    every = np.arange(len(ready.y))
    np.testing.assert_array_equal(ready.x.read_rows(every), np.concatenate([*ready.x.blocks()]))


def test_values_pass_unscaled_where_asked(table):
    ready = prepare(table(NUMBERS), "y", standardize=False, dtype="float64")
    np.testing.assert_array_equal(ready.x[:, 0], np.arange(12.0) ** 2)
    np.testing.assert_array_equal(ready.y, 3 * np.arange(12) + 0.25)


@pytest.mark.parametrize(
    ("values", "task", "classes"),
    [
        ([0, 1, 0, 1, 1, 0], "binary", (0, 1)),
        ([-1, 1, 1, 1, -1, 1], "binary", (-1, 1)),
        ([0.5, 1.5, 0.5, 1.5, 1.5, 1.5], "binary", (0.5, 1.5)),
        (["u", "v", "u", "v", "u", "u"], "binary", ("u", "v")),
        ([1, 2, 3, 1, 2, 3], "multiclass", (1, 2, 3)),
        (["u", "v", "w", "v", "u", "u"], "multiclass", ("u", "v", "w")),
        ([1, 2, 3, 4, 5, 6], "regression", ()),
        ([0.1, 0.2, 0.3, 0.1, 0.2, 0.3], "regression", ()),
    ],
)
def test_the_task_follows_from_the_target(values, task, classes, table):
    rows = "".join(f"{i / 7},{value}\n" for i, value in enumerate(values))
    plan = prepare(table("a,y\n" + rows), "y").preprocessing
    assert (plan.task, plan.classes) == (task, classes)
    assert plan.outputs == (len(classes) if task == "multiclass" else 1)


def test_the_task_can_be_set(table):
    rows = table("a,y\n" + "".join(f"{i / 7},{i % 3}\n" for i in range(9)))
    assert prepare(rows, "y", task="regression").preprocessing.classes == ()
    rows = table("a,y\n" + "".join(f"{i / 7},{i % 2}\n" for i in range(9)))
    assert prepare(rows, "y", task="multiclass").preprocessing.outputs == 2


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({"task": "binary"}, "12 distinct values, too many for binary; correct --task"),
        ({"task": "multiclass"}, None),
        ({"task": "ranking"}, "task: found 'ranking', expected auto, binary"),
        ({"missing": "ignore"}, "missing: found 'ignore', expected refuse"),
        ({"validation": 1.0}, "validation: found 1"),
        ({"validation": -0.1}, "validation: found -0.1"),
        ({"validation": float("nan")}, "validation: found nan"),
        ({"validation": 0.97}, "leaves too few"),
        ({"drop": ["c"]}, "no column to drop, 'c'"),
        ({"keep": ["c"]}, "no column to keep, 'c'"),
        ({"drop": ["a", "b"]}, "no columns are left"),
    ],
)
def test_options_that_cannot_be(options, found, table):
    if found is None:
        assert prepare(table(NUMBERS), "y", **options).preprocessing.outputs == 12
        return
    with pytest.raises(InputError) as caught:
        prepare(table(NUMBERS), "y", **options)
    assert found in str(caught.value)


def test_a_text_target_is_no_regression(table):
    found = r"line 2, column 'label': found 'no'.*not a number.*leave --task regression out"
    with pytest.raises(InputError, match=found):
        prepare(table(TRAIN), "label", task="regression")


def test_missing_rows_are_dropped_and_counted(table):
    text = TRAIN.replace("2.0,blue", ",blue").replace("60,yes", "60,?")
    ready = prepare(table(text), "label", missing="drop")
    assert ready.train_rows.tolist() == [0, 2, 3, 4]
    assert "2 of 6 rows left out for missing cells" in ready.notes
    plan = ready.preprocessing
    assert plan.complete_rows(table(text)).tolist() == [0, 2, 3, 4, 5]
    assert plan.complete_rows(table(text), target=True).tolist() == [0, 2, 3, 4]
    with pytest.raises(InputError, match=r"line 3, column 'size': a missing cell.*impute"):
        plan.transform(table(text))


def test_missing_cells_are_imputed(table):
    text = TRAIN.replace("2.0,blue", ",blue").replace("3.0,red", "3.0,")
    ready = prepare(table(text), "label", missing="impute", dtype="float64")
    assert ready.x[1, 0] == 0.0
    assert ready.x[2, 1:4].tolist() == [0, 0, 0]
    assert ready.preprocessing.columns[0].mean == pytest.approx((1 + 3 + 4 + 6 + 5) / 5)
    assert "2 missing cells filled in, in columns size, colour" in ready.notes
    with pytest.raises(InputError, match="column 'label': a missing cell"):
        prepare(table(TRAIN.replace("60,yes", "60,")), "label", missing="impute")


def test_all_columns_that_must_be_dropped_are_named_at_once(table):
    text = "id,name,a,when,y\n" + "".join(
        f"{i},p{i},{i / 7},2024-01-01,{i % 2}\n" for i in range(9)
    )
    with pytest.raises(InputError, match=r"column 'id'.*--drop id.*likewise: name, when\.$"):
        prepare(table(text), "y")


def test_constants_duplicates_and_rare_classes_are_noted(table):
    text = "a,b,y\n" + "1.5,7,u\n2.5,7,v\n" * 3 + "3.5,7,w\n"
    notes = prepare(table(text), "y").notes
    assert "constant in all training rows, so of no use: b" in notes
    assert "4 of 7 training rows repeat another" in notes
    assert "classes with a single training row: w" in notes


def test_kept_columns_may_look_like_numbers_of_rows(table):
    text = "n,name,y\n" + "".join(f"{i},p{i},{i % 2}\n" for i in range(5))
    ready = prepare(table(text), "y", keep=["n", "name"])
    assert ready.x.shape == (5, 6)


def test_the_target_may_number_the_rows(table):
    text = "a,y\n" + "".join(f"{i * i / 7},{i}\n" for i in range(30))
    assert prepare(table(text), "y").preprocessing.task == "regression"


# At prediction.


@pytest.fixture
def plan(table):
    return prepare(table(TRAIN), "label").preprocessing


def test_columns_may_come_in_any_order_and_the_target_be_absent(plan, table):
    whole = plan.transform(table(TRAIN))
    moved = table("weight,colour,size\n10,red,1.0\n20,blue,2.0\n")
    assert plan.check(moved) == []
    np.testing.assert_array_equal(plan.transform(moved), whole[:2])
    with pytest.raises(InputError, match="no target column 'label'"):
        plan.encode_target(moved)


def test_one_row_is_enough(plan, table):
    assert plan.transform(table("weight,colour,size\n10,red,1.0\n")).shape == (1, 5)


def test_rows_can_be_chosen(plan, table):
    whole = plan.transform(table(TRAIN))
    np.testing.assert_array_equal(plan.transform(table(TRAIN), np.array([4, 1])), whole[[4, 1]])
    assert plan.encode_target(table(TRAIN), np.array([4, 1])).tolist() == [0, 1]


def test_columns_not_known_are_ignored_with_a_note(plan, table):
    more = table("weight,id,colour,size,when\n10,a1,red,1.0,2024-01-01\n")
    assert plan.check(more) == ["columns the model does not know are ignored: id, when"]
    assert plan.transform(more).shape == (1, 5)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("colour,size\nred,1\n", "1 of the 3 columns.*missing: 'weight'"),
        ("Weight,colour,size\n1,red,1\n", "missing: 'weight'"),
        ("weight,colour,size\n1,red,1\n1,pink,2\n", "line 3, column 'colour': found 'pink'.*'red'"),
        ("weight,colour,size\n1,red,1\n1,3,2\n", "line 3, column 'colour': found '3'"),
        ("weight,colour,size\n1,7,1\n", "line 2, column 'colour': found '7', a category"),
        ("weight,colour,size\nheavy,red,1\n", "line 2, column 'weight': found 'heavy'.*number"),
        ("weight,colour,size\n1,red,1\n,red,1\n", "line 3, column 'weight': a missing cell"),
        ("weight,colour,size\n1,red,1\n1,,1\n", "line 3, column 'colour': a missing cell"),
        ("weight,colour,size\n1e300,red,1\n", "line 2, column 'weight': found 1e\\+300"),
    ],
)
def test_tables_that_do_not_fit_the_model(text, found, plan, table):
    with pytest.raises(InputError, match=found):
        plan.transform(table(text, "new.csv"))


def test_unseen_categories_count_as_missing_where_those_are_imputed(table):
    plan = prepare(table(TRAIN), "label", missing="impute").preprocessing
    x = plan.transform(table("weight,colour,size\n35,pink,3.5\n,,\n"))
    np.testing.assert_allclose(x, 0, atol=1e-7)


def test_categories_that_are_numbers_are_found_in_a_column_of_numbers(table):
    text = "a,c,y\n" + "".join(f"{i / 3},{'5' if i % 5 == 0 else 'uvw'[i % 3]},{i % 2}\n"
                                for i in range(20))  # fmt: skip
    plan = prepare(table(text), "y").preprocessing
    assert plan.columns[1].categories == ("5", "u", "v", "w")
    assert plan.transform(table("a,c\n1,5\n2,5.0\n"))[:, 1:].tolist() == [[1, 0, 0, 0]] * 2


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("size,colour,weight,label\n1,red,1,maybe\n", "column 'label': found 'maybe', no class"),
        ("size,colour,weight,label\n1,red,1,1\n", "column 'label': found '1', no class"),
        ("size,colour,weight,label\n1,red,1,\n", "column 'label': a missing cell"),
    ],
)
def test_targets_that_do_not_fit_the_model(text, found, plan, table):
    with pytest.raises(InputError, match=found):
        plan.encode_target(table(text))


def test_predictions_become_classes_and_probabilities(plan):
    columns = plan.decode(np.array([[0.25], [0.75]], dtype=np.float32))
    assert list(columns) == ["label", "probability of no", "probability of yes"]
    assert columns["label"].tolist() == ["no", "yes"]
    assert columns["probability of no"].tolist() == [0.75, 0.25]


def test_numeric_classes_come_back_as_integers(table):
    rows = "".join(f"{i / 7},{i % 3}\n" for i in range(9))
    plan = prepare(table("a,y\n" + rows), "y").preprocessing
    columns = plan.decode(np.array([[0.2, 0.7, 0.1]]))
    assert columns["y"].dtype == np.int64
    assert columns["y"].tolist() == [1]
    assert columns["probability of 1"].tolist() == [0.7]


def test_regressions_come_back_in_the_targets_unit(table):
    ready = prepare(table(NUMBERS), "y")
    back = ready.preprocessing.decode(ready.y[:, None])
    np.testing.assert_allclose(back["y"], 3 * np.arange(12) + 0.25, rtol=1e-12)


# Arrays.


def test_images_in_bytes_are_divided_by_255(tmp_path):
    x = np.arange(24, dtype=np.uint8).reshape(6, 2, 2) * 10
    ready = prepare(arrays(tmp_path, x, np.arange(6) % 3), dtype="float64")
    np.testing.assert_allclose(ready.x, x.reshape(6, 4) / 255, rtol=1e-15)
    assert ready.preprocessing.layout == "image"
    assert ready.preprocessing.task == "multiclass"
    with pytest.raises(InputError, match="found float64, but the model was trained on images"):
        ready.preprocessing.transform(arrays(tmp_path, x / 255))
    with pytest.raises(InputError, match="found 5 columns, the model knows 4"):
        ready.preprocessing.transform(arrays(tmp_path, np.zeros((2, 5), np.uint8)))
    with pytest.raises(InputError, match=r"1 of the 4 columns.*missing: 'x3'"):
        ready.preprocessing.transform(arrays(tmp_path, np.zeros((2, 3), np.uint8)))


@pytest.mark.parametrize("dtype", ["<f4", ">f8", "<i4", "f2", "?"])
def test_other_matrices_are_standardised(dtype, tmp_path):
    x = np.random.default_rng(0).standard_normal((50, 3)) * 5
    x = (x > 0 if dtype == "?" else x).astype(dtype)
    ready = prepare(arrays(tmp_path, x, np.arange(50) % 2), dtype="float64")
    wide = x.astype(np.float64)
    np.testing.assert_allclose(ready.x, (wide - wide.mean(0)) / wide.std(0), atol=1e-12)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (np.inf, "row 2 \\(the first is 0\\), column 'x1': found inf"),
        (np.nan, "row 2.*column 'x1': a missing cell.*--missing"),
    ],
)
def test_matrices_must_be_finite(value, found, tmp_path):
    x = np.random.default_rng(0).standard_normal((6, 3))
    x[2, 1] = value
    with pytest.raises(InputError, match=found):
        prepare(arrays(tmp_path, x, np.arange(6) % 2))
    y = np.arange(6.0) / 7
    y[2] = value
    with pytest.raises(InputError, match=found.replace("x1", "target")):
        prepare(arrays(tmp_path, x[:, ::2], y))
    if np.isnan(value):
        assert prepare(arrays(tmp_path, x, np.arange(6) % 2), missing="drop").x.shape == (5, 3)


@pytest.mark.parametrize("dtype", [np.int64, np.uint64])
def test_integers_of_arrays_that_float64_cannot_tell_apart(dtype, tmp_path):
    x = np.arange(12).reshape(6, 2).astype(dtype)
    x[:, 1] = 2**62 + np.arange(6) % 2
    found = rf"row 1 .*column 'x1': found {2**62 + 1}.*cannot tell from {2**62}; subtract"
    with pytest.raises(InputError, match=found):
        prepare(arrays(tmp_path, x, np.arange(6) % 2))
    with pytest.raises(InputError, match=r"column 'target'.*cannot tell"):
        prepare(arrays(tmp_path, x[:, :1], x[:, 1]))


def test_columns_of_an_array_cannot_be_dropped(tmp_path):
    with pytest.raises(InputError, match=r"--drop x1: .*x.npy is an array.*save it without"):
        prepare(arrays(tmp_path, np.eye(6), np.arange(6) % 2), drop=["x1"])


def test_numbers_that_a_parquet_file_calls_texts_are_not_taken_for_their_places(table, tmp_path):
    plan = prepare(table(NUMBERS), "y").preprocessing
    new = polars.DataFrame({"a": ["9", "25"], "b": [1.5, 2.5]})
    new.write_parquet(tmp_path / "new.parquet")
    with pytest.raises(InputError, match="column 'a' holds texts where numbers are needed"):
        plan.transform(read_table(tmp_path / "new.parquet"))


def test_a_target_may_have_many_classes_of_text(table):
    text = "a,y\n" + "".join(f"{i / 7},k{i % 150}\n" for i in range(600))
    assert prepare(table(text), "y").preprocessing.outputs == 150


def test_arrays_and_named_columns_are_told_apart(plan, table, tmp_path):
    with pytest.raises(InputError, match=r"found a plain array.*trained on named columns"):
        plan.transform(arrays(tmp_path, np.zeros((3, 3))))
    trained = prepare(arrays(tmp_path, np.eye(6), np.arange(6) % 2)).preprocessing
    with pytest.raises(InputError, match=r"found named columns.*trained on a plain array"):
        trained.transform(table(TRAIN))


def test_nothing_of_the_callers_is_written_to(table):
    whole = table(TRAIN)
    whole.matrix.flags.writeable = False
    prepare(whole, "label", missing="impute")


# As kept in a model file.


@pytest.mark.parametrize("missing", ["refuse", "impute"])
@pytest.mark.parametrize("text", [TRAIN, NUMBERS])
def test_it_survives_json_exactly(text, missing, table):
    whole = table(text)
    plan = prepare(whole, whole.names[-1], missing=missing).preprocessing
    back = Preprocessing.from_dict(json.loads(json.dumps(plan.to_dict())))
    assert back == plan
    np.testing.assert_array_equal(back.transform(whole), plan.transform(whole))


GOOD = Preprocessing(
    task="multiclass",
    target="y",
    columns=(Column("a", 0.1, 0.3), Column("b", categories=("u", "v"))),
    classes=(0.0, 1.0, 5.0),
).to_dict()


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        (("task",), "ranking", "task"),
        (("task",), None, "task"),
        (("task",), ["binary"], "task"),
        (("task",), "binary", "classes"),
        (("task",), "regression", "classes"),
        (("missing",), "ignore", "missing"),
        (("layout",), "image", "columns"),
        (("layout",), 1, "layout"),
        (("target",), "", "target"),
        (("target",), 3, "target"),
        (("target",), "a", "columns"),
        (("target_mean",), float("nan"), "target_mean"),
        (("target_mean",), "0", "target_mean"),
        (("target",), "\ud800", "target"),
        (("target_std",), 0.0, "target_std"),
        (("target_std",), True, "target_std"),
        (("classes",), [], "classes"),
        (("classes",), [1.0], "classes"),
        (("classes",), [1.0, 1.0], "classes"),
        (("classes",), [1.0, "1"], "classes[0]"),
        (("classes",), [1.0, float("inf")], "classes[1]"),
        (("classes",), [True, False], "classes[0]"),
        (("classes",), ["u", ""], "classes[1]"),
        (("classes",), ["u", ["v"]], "classes[1]"),
        (("classes",), {"u": 1, "v": 2}, "classes"),
        (("columns",), [], "columns"),
        (("columns",), {"a": 1}, "columns"),
        (("columns",), None, "columns"),
        (("columns", 0), None, "columns[0]"),
        (("columns", 0), {"name": "a"}, "columns[0]"),
        (("columns", 0), {"name": "a", "mean": 0, "std": 1, "categories": ["u"]}, "columns[0]"),
        (("columns", 0, "name"), "b", "columns"),
        (("columns", 0, "name"), ["a"], "columns[0].name"),
        (("columns", 0, "std"), 0.0, "columns[0].std"),
        (("columns", 0, "std"), -1.0, "columns[0].std"),
        (("columns", 0, "std"), 10**400, "columns[0].std"),
        (("columns", 0, "mean"), float("inf"), "columns[0].mean"),
        (("columns", 0, "mean"), [0.0], "columns[0].mean"),
        (("columns", 0, "extra"), 1, "columns[0]"),
        (("columns", 1, "categories"), [], "columns[1].categories"),
        (("columns", 1, "categories"), ["u", "u"], "columns[1].categories"),
        (("columns", 1, "categories"), ["u", 1], "columns[1].categories[1]"),
        (("columns", 1, "categories"), "uv", "columns[1].categories"),
        (("extra",), 1, "fields"),
    ],
)
def test_what_a_hostile_model_file_may_say_is_refused_by_field(path, value, field):
    given = copy.deepcopy(GOOD)
    place = given
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(FileError) as caught:
        Preprocessing.from_dict(given)
    assert f"preprocessing.{field}: found" in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("field", GOOD)
def test_a_field_that_lacks_is_refused(field):
    with pytest.raises(FileError, match=r"preprocessing\.fields: found"):
        Preprocessing.from_dict({name: each for name, each in GOOD.items() if name != field})


@pytest.mark.parametrize("given", [None, [], "text", 3])
def test_what_is_no_object_is_refused(given):
    with pytest.raises(FileError, match=r"preprocessing\.fields: found"):
        Preprocessing.from_dict(given)
