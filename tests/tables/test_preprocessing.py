"""What was prepared once, applied again and back, as it is stored in a model file."""

import copy
import json
import re

import numpy as np
import pytest
from lazily import polars
from table_examples import NUMBERS, TRAIN, arrays

from xpnet.errors import FileError, InputError
from xpnet.tables.columns import Category, Dates, Number
from xpnet.tables.prepare import prepare
from xpnet.tables.preprocessing import Preprocessing
from xpnet.tables.table import read_table

# At prediction.


def test_numbers_in_other_units_are_converted_and_words_for_nothing_stay_missing(table):
    def again(cells):
        return plan.transform(read_table(table(f"a,b\n{cells}\n").path, **plan.reading))

    rows = "".join(f"{i**2} kg,{i / 7 if i % 9 else 'POA'},{i % 2}\n" for i in range(60))
    plan = prepare(table("a,b,y\n" + rows), "y", missing="impute").preprocessing
    plan = Preprocessing.from_dict(plan.to_dict())
    assert plan.gap_words == ("POA",)
    kilograms, grams, plain, more = (
        again(cells) for cells in ("3 kg,", "3000 g,poa", "3,n/a", "3,5")
    )
    np.testing.assert_array_equal(kilograms, grams)
    np.testing.assert_array_equal(kilograms, plain)
    assert more[0, 2] == 0.0 != plain[0, 2]  # whether it is missing
    np.testing.assert_array_equal(again("3 kg,\n3000 G,"), [*kilograms, *grams])
    with pytest.raises(InputError, match="'a': found '3 l', which is in l, but the column was in"):
        again("3 kg,5\n3 l,5")


def test_numbers_far_outside_the_training_range_are_counted_at_prediction(table):
    rows = "".join(f"{i / 7},{i},{i % 2}\n" for i in range(200))
    plan = prepare(table("a,b,y\n" + rows), "y", keep=["b"]).preprocessing
    assert plan.notes(table("a,b\n1,50\n")) == []
    assert plan.notes(table("a,b\n1e6,50\n-9999,60\n2,1e5\n")) == [
        "numbers more than 10 deviations from the mean in training: a (2), b (1)"
    ]


def test_dates_far_from_those_in_training_are_counted_at_prediction(table):
    days = np.datetime64("2024-04-01") + np.arange(60) // 2
    rows = "".join(f"{day},{i % 2}\n" for i, day in enumerate(days))
    plan = prepare(table("when,y\n" + rows), "y").preprocessing
    assert plan.notes(table("when\n2024-04-15\n2024-05-05\n")) == []
    later = table("when\n2024-05-20\n2024-04-15\n2019-04-15\n")
    assert plan.notes(later) == ["dates far from those in training: when (2)"]


def test_numbers_that_stand_for_nothing_are_imputed_also_at_prediction(table):
    rows = [f"{i / 7},{i % 80 if i % 150 else 999},{900 + i % 99},{i % 2}\n" for i in range(300)]
    ready = prepare(table("a,b,c,y\n" + "".join(rows)), "y")
    assert ready.decisions[0].text() == "b (2 cells, empty or 999, imputed) [--keep COLUMN]"
    plan = Preprocessing.from_dict(ready.preprocessing.to_dict())
    coded, empty = (table(f"a,b,c\n1,{each},950\n") for each in ("999", ""))
    assert plan.notes(coded) == plan.notes(empty) == ["1 missing cell imputed: b (1)"]
    np.testing.assert_array_equal(plan.transform(coded), plan.transform(empty))
    assert plan.input_names()[2] == "b missing"  # lest 999 be a number after all
    assert not prepare(table("a,b,c,y\n" + "".join(rows)), "y", keep=["b"]).decisions
    for options in ({"missing": "drop"}, {"missing": "impute", "strict": True}):
        ready = prepare(table("a,b,c,y\n" + "".join(rows)), "y", **options)
        assert (len(ready.decisions), ready.notes[0][-13:]) == (0, "'b' (2 x 999)")


@pytest.mark.parametrize(
    ("cells", "written"),
    [
        ([f"<{i}" if i % 4 == 0 else str(i / 8) for i in range(60)], "<4"),
        ([f"{i}+" if i % 4 == 0 else f"{i}-{i + 9}" for i in range(60)], "1-10"),
        ([f'"1.{i + 100},5"' for i in range(60)], "1.102"),
        ([f'"{i / 7:.2f}"'.replace(".", ",") for i in range(60)], '"1,102"'),
        ([f'"{i + 1},{i + 110}"' for i in range(60)], '"1,102"'),
        ([f'"{i + 1},{i + 10},{i + 110}"' for i in range(60)], '"2,11,111"'),
        ([f"{i}:{i % 50 + 10}" for i in range(60)], "8:18"),
        ([f"{i} kg" if i % 2 else f"{i * 100} g" for i in range(60)], "12 g"),
        ([f"{i}K" if i % 2 else f"{i * 100}" for i in range(60)], "12"),
        ([f"{i * i} g/dl" for i in range(60)], "12 g/dL"),
        ([f"{i * i} cm\u00b3" for i in range(60)], "12 cm3"),
        ([f"\u7bc9{i % 40}\u5e74" for i in range(60)], "\u7bc912\u5e74"),
        ([f"0{i}.5" for i in range(60)], "07"),
    ],
)
def test_a_single_row_is_read_as_the_table_was(cells, written, table):
    text = "duration,b\n" + "".join(f"{c},{i % 2}\n" for i, c in enumerate(cells))
    trained = table(text)
    plan = Preprocessing.from_dict(prepare(trained, "b").preprocessing.to_dict())
    among = table(text + f"{written},0\n").column("duration")[-1]
    alone = read_table(table(f"duration\n{written}\n").path, **plan.reading)
    assert alone.column("duration").tolist() == [among]
    assert np.isfinite(plan.transform(alone)).all()


@pytest.mark.parametrize(
    ("cells", "found"),
    [
        ("64 GB|32 GB|16 k.A.|8 GB", "line 4, column 'a': found '16 k.A.', which is not a number;"),
        ("64 GB|32 Mb|8 GB", "line 3, column 'a': found '32 Mb', which is in Mb, but the column"),
        ("64 GB|12-50", "line 3, column 'a': found '12-50', which is not a number; correct it."),
    ],
)
def test_the_cell_that_is_no_number_is_named_and_not_the_good_ones(cells, found, table):
    rows = "".join(f"{i * i} GB,{i % 2}\n" for i in range(60))
    plan = prepare(table("a,y\n" + rows), "y").preprocessing
    bad = "a\n" + cells.replace("|", "\n") + "\n"
    with pytest.raises(InputError, match=re.escape(found)):
        plan.transform(read_table(table(bad).path, **plan.reading))


@pytest.mark.parametrize(("before", "now"), [("12.5", "5 kg"), ("$12.5", "5 kg"), ("$12", "5 %")])
def test_a_unit_that_training_did_not_see_is_refused_and_never_dropped(before, now, table):
    rows = "".join(f"{before}{i % 10},{i % 2}\n" for i in range(60))
    plan = prepare(table("a,y\n" + rows), "y").preprocessing
    found = f"found '{now}', which is in {now[2:]}, but the column had no unit in training"
    with pytest.raises(InputError, match=found):
        plan.transform(read_table(table(f"a\n{now}\n").path, **plan.reading))


@pytest.mark.parametrize(
    ("time", "others", "hours"),
    [("{}:{}:00", "30 min|2:30:00|120 s", [0.5, 2.5, 1 / 30]), ('{}\' {}""', "2 ft|9 in", [24, 9])],
)
def test_sums_of_parts_are_read_in_the_same_unit_as_single_parts(time, others, hours, table):
    rows = "".join(f'"{time.format(i % 7 + 1, i % 12 + 10)}",{i % 2}\n' for i in range(60))
    plan = prepare(table("duration,y\n" + rows), "y").preprocessing
    new = "duration\n" + others.replace("|", "\n") + "\n"
    again = read_table(table(new).path, **plan.reading)
    np.testing.assert_allclose(again.column("duration"), hours)


def test_seconds_may_lack_in_a_date_but_not_in_a_duration(table):
    rows = (f"2024-03-0{i % 9 + 1} 1{i % 9}:00:00,{i}:{i % 9 + 10}:15,{i % 2}\n" for i in range(50))
    plan = prepare(table("when,time,y\n" + "".join(rows)), "y").preprocessing
    good, short, bad = "05 18:00:00,1:45:00", "05 18:00,1:45:00", "05 18:00,1:45"
    new = (read_table(table(f"when,time\n2024-03-{e}\n").path, **plan.reading)
           for e in (good, short, bad))  # fmt: skip
    np.testing.assert_array_equal(plan.transform(next(new)), plan.transform(next(new)))
    with pytest.raises(InputError, match="'1:45', which may be h:mm or m:ss; write 1:45:00 or 0:0"):
        plan.transform(next(new))


def test_an_empty_cell_among_lists_means_none(table):
    cells = ['"Price, Design"', "Price", '"Design, Service"', "", "Service"]
    text = "a,y\n" + "".join(f"{cells[i % 5]},{i % 2}\n" for i in range(100))
    for missing in ("impute", "refuse"):
        ready = prepare(table(text), "y", missing=missing)
        assert [each.kind for each in ready.decisions] == ["words"]
        none = ready.preprocessing.transform(table('a\n""\nPrice\n'))
        assert (none[0].tolist(), none[1].sum()) == ([0, 0, 0], 1)
        assert ready.preprocessing.notes(table('a\n""\n')) == []


@pytest.fixture
def plan(table):
    return prepare(table(TRAIN), "label", missing="refuse").preprocessing


def test_columns_may_come_in_any_order_and_the_target_be_absent(plan, table):
    whole = plan.transform(table(TRAIN))
    moved = table("weight,colour,size\n10,red,1.0\n20,blue,2.0\n")
    assert plan.check(moved) == []
    np.testing.assert_array_equal(plan.transform(moved), whole[:2])
    with pytest.raises(InputError, match="no target column 'label'"):
        plan.encode_target(moved)


def test_columns_not_known_are_ignored_with_a_note(plan, table):
    more = table("weight,id,colour,size,when\n10,a1,red,1.0,2024-01-01\n")
    assert plan.check(more) == ["columns the model does not know are ignored: id, when"]
    assert plan.transform(more).shape == (1, 5)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("colour,size\nred,1\n", "1 of the 3 columns.*missing: 'weight'"),
        ("Weight,colour,size\n1,red,1\n", "missing: 'weight'.* did you mean 'Weight'\\?"),
        ("weight,colour,size\n1,red,1\n1,pink,2\n", "line 3, column 'colour': found 'pink'.*'red'"),
        ("weight,colour,size\n1,red,1\n1,3,2\n", "line 3, column 'colour': found '3'"),
        ("weight,colour,size\n1,7,1\n", "line 2, column 'colour': found '7', a category"),
        ("weight,colour,size\nheavy,red,1\n", "line 2, column 'weight': found 'heavy'.*number"),
        ("weight,colour,size\n1,red,1\n,red,1\n", "line 3, column 'weight': a missing cell"),
        ("weight,colour,size\n1,red,1\n1,,1\n", "line 3, column 'colour': a missing cell"),
        ("weight,colour,size\n1e300,red,1\n", "line 2, column 'weight': found '1e\\+300'"),
    ],
)
def test_tables_that_do_not_fit_the_model(text, found, plan, table):
    with pytest.raises(InputError, match=found):
        plan.transform(table(text, "new.csv"))


def test_unseen_categories_count_as_missing_where_those_are_imputed(table):
    plan = prepare(table(TRAIN), "label", missing="impute").preprocessing
    new = table("weight,colour,size\n35,pink,3.5\n,,\n")
    np.testing.assert_allclose(plan.transform(new), 0, atol=1e-7)
    assert plan.notes(new) == [
        "3 missing cells imputed: size (1), colour (1), weight (1)",
        "categories without an input, rare or not seen in training: colour 1, such as 'pink'",
    ]


def test_categories_may_be_in_other_letters_if_only_one_is_meant(table):
    plan = Preprocessing("regression", "y", (
        Category("a", ("Bonn", "TRUE"), also=("BONN",)),
        Category("b", ("Bonn",), True, ("BONN", "Bonn", "Ulm"), (1.0, 2.0, 3.0)),
        Category("c", ("Bonn", "bonn"), True),
    ))  # fmt: skip
    new = table("a,b,c\nbonn,BONN,Bonn\nTrue,bonn,BONN\nBONN,ULM,bonn\n")
    assert plan.transform(new).tolist() == [
        [1, 0, 0, 1, 1, 1, 0, 0],  # BONN of b is rare
        [0, 1, 0, 1, 0, 0, 0, 1],  # bonn of b and BONN of c may be either
        [1, 0, 0, 1, 3, 0, 1, 0],
    ]
    said = "categories without an input, rare or not seen in training: "
    assert plan.notes(new) == [f"{said}b 1, such as 'bonn', c 1, such as 'BONN'"]


def test_categories_that_are_numbers_are_found_in_a_column_of_numbers(table):
    text = "a,c,y\n" + "".join(f"{i / 3},{'5' if i % 5 == 0 else 'uvw'[i % 3]},{i % 2}\n"
                                for i in range(20))  # fmt: skip
    plan = prepare(table(text), "y").preprocessing
    assert plan.columns[1].categories == ("5", "u", "v", "w")
    assert plan.transform(table("a,c\n1,5\n2,5.0\n"))[:, 1:].tolist() == [[1, 0, 0, 0]] * 2


@pytest.mark.parametrize(
    ("cell", "found"),
    [("maybe", "found 'maybe', not a class"), ("2", "found '2', not a"), ("", "a missing cell")],
)
def test_targets_that_do_not_fit_the_model(cell, found, plan, table):
    with pytest.raises(InputError, match=f"column 'label': {found}"):
        plan.encode_target(table(f"size,colour,weight,label\n1,red,1,{cell}\n"))


def test_numbers_that_a_parquet_file_calls_texts_are_not_taken_for_their_places(table, tmp_path):
    plan = prepare(table(NUMBERS), "y").preprocessing
    new = polars.DataFrame({"a": ["9", "25"], "b": [1.5, 2.5]})
    new.write_parquet(tmp_path / "new.parquet")
    with pytest.raises(InputError, match="column 'a' holds text where numbers are needed"):
        plan.transform(read_table(tmp_path / "new.parquet"))


def test_arrays_and_named_columns_are_told_apart(plan, table, tmp_path):
    with pytest.raises(InputError, match=r"found a plain array.*trained on named columns"):
        plan.transform(arrays(tmp_path, np.zeros((3, 3))))
    trained = prepare(arrays(tmp_path, np.eye(6), np.arange(6) % 2)).preprocessing
    with pytest.raises(InputError, match=r"found named columns.*trained on a plain array"):
        trained.transform(table(TRAIN))


# As kept in a model file.


DIRTY = "id,when,size,colour,label\n" + "".join(
    f"{i * i},2020-{i % 12 + 1:02}-03,{i / 7 if i % 9 else ''},{'uv'[i % 2] if i % 60 else i},"
    f"{i % 2}\n"
    for i in range(300)
)


@pytest.mark.parametrize(
    ("text", "missing"),
    [(TRAIN, "refuse"), (TRAIN, "impute"), (NUMBERS, "impute"), (DIRTY, "impute")],
)
def test_it_survives_json_exactly(text, missing, table):
    whole = table(text)
    plan = prepare(whole, whole.names[-1], missing=missing).preprocessing
    back = Preprocessing.from_dict(json.loads(json.dumps(plan.to_dict())))
    assert back == plan
    np.testing.assert_array_equal(back.transform(whole), plan.transform(whole))


GOOD = Preprocessing(
    task="multiclass",
    target="y",
    columns=(
        Number("a", 0.1, 0.3),
        Category("b", ("u", "v")),
        Number("c", 0.1, 0.3, 0.2, True),
        Category("d", ("u", "v"), True),
        Dates("e", "%Y-%m-%d", ("year", "days"), (2000.0, 9.0), (1.0, 9.0)),
    ),
    left_out=("f",),
    classes=(0.0, 1.0, 5.0),
).to_dict()


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        (("task",), "ranking", "task"),
        (("task",), ["binary"], "task"),
        (("task",), "binary", "classes"),
        (("missing",), "ignore", "missing"),
        (("target_mean",), float("nan"), "target_mean"),
        (("target_std",), True, "target_std"),
        (("classes",), [True, False, True], "classes[0]"),
        (("columns",), [], "columns"),
        (("columns", 0), {"name": "a", "mean": 0, "std": 1, "categories": ["u"]}, "columns[0]"),
        (("columns", 0, "name"), "b", "columns"),
        (("columns", 0, "std"), 10**400, "columns[0].std"),
        (("columns", 1, "categories"), ["u", 1], "columns[1].categories[1]"),
        (("columns", 2, "indicator"), 1, "columns[2].indicator"),
        (("columns", 4, "means"), [None], "columns[4].means[0]"),
        (("left_out",), "f", "left_out"),
        (("more_targets",), [{"name": "z", "classes": [0.0, 1.0]}], "more_targets"),
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
    assert re.match(rf"preprocessing\.{re.escape(field)}: (found|does not fit)", str(caught.value))
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("given", [None, [], "text", {**GOOD, "extra": 1}, {"task": "binary"}])
def test_what_is_no_preprocessing_is_refused(given):
    with pytest.raises(FileError, match=r"^preprocessing: found .*, which does not belong there"):
        Preprocessing.from_dict(given)
