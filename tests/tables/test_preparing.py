"""From columns to inputs and targets, and what is decided and measured on the way."""

import numpy as np
import pytest
from lazily import polars
from table_examples import NUMBERS, TRAIN, arrays

from xpnet.errors import InputError
from xpnet.tables.dates import TYPED_PATTERNS, _rewritten, date_parts, find_pattern
from xpnet.tables.prepare import prepare
from xpnet.tables.preprocessing import Preprocessing
from xpnet.tables.table import table_of


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
    (encoded,) = ready.decisions
    assert (encoded.kind, encoded.columns) == ("encoded", {"colour": "3 values"})


def test_scales_come_from_the_training_rows_alone(table):
    ready = prepare(table(NUMBERS), "y", validation=0.25, seed=3, dtype="float64")
    np.testing.assert_allclose(ready.x.mean(axis=0), 0, atol=1e-15)
    np.testing.assert_allclose(ready.x.std(axis=0), 1)
    assert abs(ready.x_validation.mean(axis=0)).max() > 0.01
    assert len(ready.y_validation) == 3
    np.testing.assert_allclose(ready.y.mean(), 0, atol=1e-15)
    raw = prepare(table(NUMBERS), "y", validation=0.25, seed=3, dtype="float64", standardize=False)
    a = raw.x[:, 0]
    assert set(a) < set(np.arange(12.0) ** 2)
    assert ready.preprocessing.columns[0].mean == pytest.approx(a.mean(), rel=1e-15)


def test_rows_on_the_disk_leave_few_to_validate(table, monkeypatch):
    monkeypatch.setattr("xpnet.tables.prepare.MAX_VALIDATION_ROWS", 2)
    ready = prepare(table(TRAIN), "label", validation=0.5, stream=True)
    assert len(ready.y_validation) == 2
    assert "validation rows limited to 2: the others train" in ready.notes
    every = np.arange(len(ready.y))
    np.testing.assert_array_equal(ready.x.read_rows(every), np.concatenate([*ready.x.blocks()]))


@pytest.mark.parametrize(
    ("values", "task", "classes"),
    [
        ([0, 1, 0, 1, 1, 0], "binary", (0, 1)),
        ([-1, 1, 1, 1, -1, 1], "binary", (-1, 1)),
        ([0.5, 1.5, 0.5, 1.5, 1.5, 1.5], "binary", (0.5, 1.5)),
        (["u", "v", "u", "v", "u", "u"], "binary", ("u", "v")),
        ([1, 2, 3, 1, 2, 3], "multiclass", (1, 2, 3)),
        (["u", "v", "w", "v", "u", "u"], "multiclass", ("u", "v", "w")),
        (["1 - bad", 2, 3, 2, "1 - bad", 3], "regression", ()),
        ([1, 2, 3, 4, 5, 6], "regression", ()),
        ([0.1, 0.2, 0.3, 0.1, 0.2, 0.3], "regression", ()),
        ([*range(1, 13)] * 2, "multiclass", tuple(range(1, 13))),
        ([*range(80, 92)] * 2, "regression", ()),
    ],
)
def test_the_task_follows_from_the_target(values, task, classes, table):
    rows = "".join(f"{i / 7},{value}\n" for i, value in enumerate(values))
    plan = prepare(table("a,y\n" + rows), "y").preprocessing
    assert (plan.task, plan.classes) == (task, classes)
    assert plan.outputs == (len(classes) if task == "multiclass" else 1)


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({"task": "binary"}, "12 distinct values, too many for binary; correct --task"),
        ({"task": "multiclass"}, None),
        ({"task": "ranking"}, "task 'ranking' is not one of auto, binary"),
        ({"missing": "ignore"}, "missing 'ignore' is not one of refuse"),
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


def test_missing_rows_are_dropped_and_counted(table):
    text = TRAIN.replace("2.0,blue", ",blue").replace("60,yes", "60,?")
    ready = prepare(table(text), "label", missing="drop")
    np.testing.assert_allclose(ready.y, [0, 0, 1, 0])
    assert ready.decisions[0].text().startswith("2 of 6 left out (missing cells)")
    plan = ready.preprocessing
    assert plan.complete_rows(table(text)).tolist() == [0, 2, 3, 4, 5]
    assert plan.complete_rows(table(text), target=True).tolist() == [0, 2, 3, 4]
    with pytest.raises(InputError, match=r"line 3, column 'size': a missing cell.*impute"):
        plan.transform(table(text))


def test_missing_cells_are_imputed(table):
    text = TRAIN.replace("2.0,blue", ",blue").replace("3.0,red", "3.0,")
    ready = prepare(table(text), "label", missing="impute", dtype="float64")
    size = ready.preprocessing.columns[0]
    assert (size.mean, size.fill) == (pytest.approx((1 + 3 + 4 + 6 + 5) / 5), 4.0)
    assert ready.x[1, :2].tolist() == [(4.0 - size.mean) / size.std, 1.0]  # median, indicator
    assert ready.x[2, 2:5].tolist() == [0, 0, 0]
    assert ready.decisions[0].columns == {"size": "1 cell", "colour": "1 cell"}
    ready = prepare(table(TRAIN.replace("60,yes", "60,")), "label")
    assert (len(ready.y), ready.decisions[0].text()[:26]) == (5, "1 of 6 left out (no label)")


def test_all_obstacles_are_named_at_once(table):
    text = "p,q,a,r,y\n" + "".join(
        f"{i}{'%' * (i < 8)},u,{i / 7},{i}{'%' * (i > 0)},{i % 2}\n" for i in range(9)
    )
    with pytest.raises(InputError) as caught:
        prepare(table(text), "y")
    first, *others = str(caught.value).splitlines()
    assert first.endswith("table.csv: 2 obstacles")
    assert [each.split(" such")[0] for each in others] == [
        "  line 2, column 'p': found '0%', which has signs or separators of its own (8",
        "  line 3, column 'r': found '1%', which has signs or separators of its own (8",
    ]
    assert caught.value.repair == {"drop": ["p", "r"]}


def test_rare_categories_are_pooled(table):
    rows = [f"{i / 7},{'uvw'[i % 3] if i % 50 else f'rare{i}'},{i % 2}\n" for i in range(400)]
    ready = prepare(table("a,c,y\n" + "".join(rows)), "y")
    names = ready.preprocessing.input_names()
    assert names == ["a", "c=u", "c=v", "c=w", "c=(others)"]
    assert ready.x[:, 4].sum() == 8
    assert ready.decisions[0].columns == {"c": "3 values, 8 rare ones pooled"}


@pytest.mark.parametrize(
    ("name", "cell", "why"),
    [
        ("customer_id", "{0}", "identifier"),
        ("PassengerId", "{0}", "identifier"),
        ("humid", "{0}", None),  # a measurement
        ("price", "{0}", None),
        ("code", "c{0}", "identifier"),
        ("phone", "+49 30 12{0}", "identifier"),
    ],
)
def test_integers_are_identifiers_by_their_name_and_texts_by_themselves(name, cell, why, table):
    numbers = np.random.default_rng(0).permutation(1000)[:60] + 1000
    rows = [f"{i / 7},{cell.format(each)},{i % 2}\n" for i, each in enumerate(numbers)]
    plan = prepare(table(f"a,{name},y\n" + "".join(rows)), "y").preprocessing
    assert plan.left_out == ((name,) if why else ())


def test_words_of_free_text_and_of_lists_have_inputs(table):
    rng, topics = np.random.default_rng(0), ("stars", "rocks", "plants", "music")
    rows, y = "", rng.integers(4, size=400)
    for i, topic in enumerate(y):
        tools = "; ".join(each for each in ("Saw", "Axe", "File", "Rasp") if rng.random() < 0.5)
        rows += f"A course on {topics[topic]} number {i} for all,{tools},{i},{topic % 2}\n"
    ready = prepare(table("about,tools,id,y\n" + rows), "y")
    plan = Preprocessing.from_dict(ready.preprocessing.to_dict())
    assert ready.decisions[-1].text() == "about, tools (4 words) [--drop COLUMN]"
    assert plan.input_names()[:2] == ["about has music", "about has plants"]
    x = plan.transform(table("about,tools\nRocks & music!,axe\n,\n"))
    assert x.tolist() == [[1, 0, 1, 0, 1, 0, 0, 0], [0] * 8]
    lists = table_of({"about": ["Rocks & music"], "tools": [["Axe"]]}, plan)
    np.testing.assert_array_equal(plan.transform(lists), x[:1])


def test_few_whole_numbers_and_a_word_are_categories(table):
    rows = [f"{i / 7},{(4, 6, 8)[i % 3] if i else 'rotary'},{i % 2}\n" for i in range(90)]
    plan = prepare(table("a,cylinders,y\n" + "".join(rows)), "y").preprocessing
    assert plan.columns[1].categories == ("4", "6", "8", "rotary")
    rows[0] = rows[0].replace("rotary", "4o")  # a slip
    with pytest.raises(InputError, match=r"line 2, column 'cylinders': found '4o'"):
        prepare(table("a,cylinders,y\n" + "".join(rows)), "y")


@pytest.mark.parametrize("codes", ["01|13|2A|59", "00|01|02|NN", "13|2A|2B|33|59"])
def test_codes_with_zeros_or_with_letters_that_are_as_frequent_are_categories(codes, table):
    codes = codes.split("|")
    rows = "".join(f"{i / 7},{codes[i % len(codes)]}\n" for i in range(60))
    plan = prepare(table("a,code\n" + rows), "a").preprocessing
    assert plan.columns[0].categories == tuple(codes)
    assert prepare(table("a,code\n" + rows), "code").preprocessing.classes == tuple(codes)


@pytest.mark.parametrize(
    ("step", "is_code"), [(27, True), (2700, False), (0.5, False), (9e6, False)]
)
def test_few_long_integers_that_are_not_round_are_categories(step, is_code, table):
    rows = "".join(f"{100500 + i % 7 * step},{i}\n" for i in range(70))
    ready = prepare(table("supplier,y\n" + rows), "y", task="regression").preprocessing
    assert ready.inputs == (7 if is_code else 1)
    if is_code:
        assert ready.transform(table("supplier\n100554\n"))[0].tolist() == [0, 0, 1, 0, 0, 0, 0]


@pytest.mark.parametrize(("name", "is_code"), [("supplier_no", True), ("pay", False)])
def test_a_name_says_whether_shorter_integers_are_categories(name, is_code, table):
    rows = "".join(f"{(4711, 20815, 31337)[i % 3]},{i}\n" for i in range(60))
    ready = prepare(table(f"{name},y\n{rows}"), "y", task="regression")
    assert ready.preprocessing.inputs == (3 if is_code else 1)


def test_frequent_signs_beside_whole_numbers_are_no_codes(table):
    rows = "".join(f"{i / 7},{('13', '5%', '33')[i % 3]}\n" for i in range(60))
    with pytest.raises(InputError, match="found '5%', which has signs"):
        prepare(table("a,code\n" + rows), "a")


def test_a_target_of_a_few_numbers_among_words_is_refused(table):
    rows = "".join(
        f"{i % 7},{each}\n"
        for i, each in enumerate(["x", "..", "x", "x(2)"] * 9 + ["0.5", "1.5", "2.5"])
    )
    with pytest.raises(
        InputError, match=r"line 38, column 'y': found '0.5', .*, beside 'x'; empty"
    ):
        prepare(table("a,y\n" + rows), "y")


def test_row_numbers_are_no_target_unless_the_task_says_so(table):
    rows = table("id,a\n" + "".join(f"{i},{i % 7}\n" for i in range(1, 31)))
    with pytest.raises(InputError, match=r"found '1', .*: row numbers; pass another column"):
        prepare(rows, "id")
    assert prepare(rows, "id", task="regression").preprocessing.task == "regression"


def test_dates_become_the_parts_that_vary(table):
    days = np.datetime64("2020-01-30") + np.arange(40)
    rows = [f"{day},{i % 2}\n" for i, day in enumerate(days)]
    ready = prepare(table("when,y\n" + "".join(rows)), "y", dtype="float64", standardize=False)
    plan = ready.preprocessing
    assert plan.input_names() == ["when month", "when weekday", "when days"]
    np.testing.assert_allclose(ready.x.mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(ready.x.std(axis=0), 1)
    assert plan.transform(table('when\n""\n?\n')).tolist() == [[0, 0, 0]] * 2
    with pytest.raises(InputError, match=r"line 2, column 'when': found '1.2.20.*', not a date"):
        plan.transform(table("when\n1.2.2020\n"))


@pytest.mark.untraced
@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (
            ["2024\u5e743\u67085\u65e5", "2023\ub144 11\uc6d4 12\uc77c"],
            ["2024-03-05", "2023-11-12"],
        ),
        (["20200131", "20211231"], ["2020-01-31", "2021-12-31"]),
        (["2021-W07", "2021 W08"], ["2021-02-15", "2021-02-22"]),
        (["2021 Q2", "2020Q4", "Q1 2022"], ["2021-04-01", "2020-10-01", "2022-01-01"]),
        (["1960 Jan", "1961-feb"], ["1960-01-01", "1961-02-01"]),
        (["Dec-2015", "Jan-2016"], ["2015-12-01", "2016-01-01"]),
        (
            ["1 f\u00e9vr. 2025", "12 mars 2025", "3. Dez. 2024"],
            ["2025-02-01", "2025-03-12", "2024-12-03"],
        ),
        (["[10/Feb/2023:12:00:00 +0100]"], ["2023-02-10 12:00:00"]),
        (["2023/03/06 7:30:00 AM GMT+1"], ["2023-03-06 07:30:00"]),
        (
            ["19 June 2016", "13/05/2017", "2019-03-14", "Mar 2019"],
            ["2016-06-19", "2017-05-13", "2019-03-14", "2019-03-01"],
        ),
    ],
)
def test_dates_are_read_however_they_are_written(cells, expected, table):
    found = table("when\n" + "\n".join(cells) + "\n")
    pattern = find_pattern(found.texts["when"])
    typed = date_parts(tuple(expected), TYPED_PATTERNS[len(expected[0]) > 10])
    np.testing.assert_array_equal(date_parts(tuple(cells), pattern), typed)


def test_texts_are_rewritten_once_for_all_patterns():
    _rewritten.cache_clear()
    assert find_pattern(tuple(f"{day}. Mai 2021" for day in range(1, 29)) * 2) == "%d %b %Y"
    assert _rewritten.cache_info().misses == 2  # a sample, and all


@pytest.mark.parametrize(
    ("cells", "expected", "signs"),
    [
        (["12 km", "10 mi"], [12000, 16093.44], "in m, km as m, mi as m"),
        (["2h 15m", "3h", "45 m"], [2.25, 3, 0.75], "in h, m as h"),
        (["5 lb 8 oz", "2 lbs"], [2.4947580, 0.90718474], "in kg, lbs as kg"),
        (["4 1/2", "3", "1/4", "2\u00bd"], [4.5, 3, 0.25, 2.5], ""),
        (["2 mg/L", "500 \u00b5g/L"], [2, 0.5], "in mg/L, \u00b5g/L as mg/L"),
        (["2012 (12 reg)", "2016 (66 reg)"], [2012, 2016], "notes"),
        (["18 months", "2 y"], [1.5, 2], "in years, months as years, y as years"),
        (["about 5.5", "12", "7 years", "3 years"], [5.5, 12, 7, 3], "in years, ~"),
        (["1.5", "2.5 b", "3", "4", "5 u", "6", ":"], [1.5, 2.5, 3, 4, 5, 6, np.nan], "notes"),
        ([*map(str, range(135, 147)), "136A", "137A"], [*range(135, 147), 136, 137], "notes"),
        (["8.9\u4e07\u5186", "16.1\u4e07\u5186"], [8.9, 16.1], "in \u4e07\u5186"),
        (["9\u4e07\u5186", "800\u5186"], [90000, 800], "in \u5186, \u4e07\u5186 as \u5186"),
        (['"45,5 z\u0142"', '"7,25 z\u0142"'], [45.5, 7.25], "decimal commas, in z\u0142"),
        (
            ["20\u33a1", "\uff11\u576a"],
            [20, 3.305785],
            "in m\u00b2, \u33a1 as m\u00b2, \u576a as m\u00b2",
        ),
        (["\u7bc91\u5e74", "\u7bc912\u5e74", "-"], [1, 12, np.nan], "after \u7bc9, in \u5e74"),
        (["2.5 min", "9", "4 minutes"], [2.5, 9, 4], "in min, minutes as min"),
        (["45.2 miles", "8k miles"], [72742.3488, 12874752], "in m, k miles as m, miles as m"),
        (
            ["1 204.5", "2 500 b", "3 100", "980 p", "4 (1)"],
            [1204.5, 2500, 3100, 980, 4],
            "notes, thousands separators",
        ),
        (["0 - never", "3", "7", "10 \u2013 always", "5"], [0, 3, 7, 10, 5], "notes"),
        (["78/100", "64.5/100", "abs", "abs"], [78, 64.5, np.nan, np.nan], "in /100"),
        (["$450/mo", "$380/mo"], [450, 380], "currency signs, in /mo"),
    ],
)
def test_numbers_in_several_units_or_parts_are_brought_to_one(cells, expected, signs, table):
    found = table("a\n" + "".join(f"{cell}\n" for cell in cells))
    np.testing.assert_allclose(found.column("a"), expected)
    assert found.signs.get("a", "") == signs


def test_a_unit_in_some_cells_only_is_of_all_if_they_are_as_large(table):
    assert "a" in table("a,b\n5.5 km,1\n300,2\n7 km,1\n420,3\n").texts
    assert "a" in table("a,b\n" + "1,1\n2,2\n3,1\n3b,3\n" * 2).texts
    assert "a" in table("a,b\n1OT,1\n2OT,2\n1,1\n3,3\n").texts
    assert "a" in table("a,b\n3/16,1\n2.5,2\n5/16,1\n1,3\n").texts
    assert table("a,b\n5.5 km,1\n6,2\n7 km,1\n4,3\n").column("a").tolist() == [5.5, 6, 7, 4]


def test_letters_that_many_codes_share_are_words(table):
    kinds = ("AB-{:05d}", "CDE-{:05d}-XL", "F{:06d}", '"GH,G{:02d}"')
    rows = "".join(f"{kinds[i % 4].format(i * 37)},{i % 2}\n" for i in range(120))
    ready = prepare(table("sku,y\n" + rows), "y")
    assert ready.decisions[-1].text() == "sku (5 words) [--drop COLUMN]"
    assert ready.preprocessing.columns[0].words == ("ab", "cde", "f", "gh", "xl")
    x = ready.preprocessing.transform(table("sku\nF000001\nAB-1-XL\n"))
    assert x.tolist() == [[0, 0, 1, 0, 0], [1, 0, 0, 0, 1]]


@pytest.mark.parametrize("cell", ["{}/{}", '"{}, {}"', "{}x{}", "{} of {}", '"{}.25,{}.75"'])
def test_pairs_of_numbers_are_two_inputs(cell, table):
    rows = "".join(f"{cell.format(i + 100, 80 - i)},{i % 2}\n" for i in range(60))
    ready = prepare(table("a,y\n" + rows), "y", dtype="float64")
    assert ready.decisions[0].text() == "a (two numbers) [--drop COLUMN]"
    plan = Preprocessing.from_dict(ready.preprocessing.to_dict())
    assert plan.input_names() == ["a first", "a second"]
    np.testing.assert_allclose(np.diff(ready.x[:, 0]), -np.diff(ready.x[:, 1]))
    assert plan.transform(table('a\n""\n')).tolist() == [[0, 0]]
    with pytest.raises(
        InputError, match="found 'high', not a date or time written like the others"
    ):
        plan.transform(table("a\nhigh\n"))


def test_columns_of_dates_are_the_same_dates_as_text(table):
    days = np.datetime64("2020-01-30") + np.arange(40)
    written = [f"{day.day}.{day.month}.{day.year}" for day in days.tolist()]
    rows = "".join(f"{day},{i % 2}\n" for i, day in enumerate(written))
    ready = prepare(table(f"when,y\n{rows}"), "y")
    assert ready.preprocessing.columns[0].pattern == "%d.%m.%Y"
    for cells in (days, days.astype("M8[us]")):
        new = table_of({"when": polars.Series(cells)}, ready.preprocessing)
        np.testing.assert_array_equal(ready.preprocessing.transform(new), ready.x)


def test_classes_that_differ_in_capitals_only_are_one(table):
    text = "a,y\n" + "1.5,yes\n2.5,no\n" * 4 + "3.5,Yes\n4.5, no \n5.5,NO\n"
    ready = prepare(table(text), "y")
    plan = ready.preprocessing
    assert (plan.task, plan.classes) == ("binary", ("no", "yes"))
    assert ready.y.tolist() == [1, 0] * 4 + [1, 0, 0]
    assert ready.decisions[0].text() == "y (also written 'Yes', 'NO')"
    assert plan.encode_target(table("a,y\n1,YES\n2,nO\n")).tolist() == [1, 0]
    assert len(prepare(table(text), "y", strict=True).preprocessing.classes) == 4


def test_words_for_yes_and_no_are_two_classes(table):
    text = "a,y\n" + "1.5,Yes\n2.5,No\n" * 4 + "3.5,TRUE\n4.5,false\n5.5,1\n6.5,0\n"
    ready = prepare(table(text), "y")
    assert ready.preprocessing.classes == ("No", "Yes")
    assert ready.y.tolist() == [1, 0] * 4 + [1, 0, 1, 0]
    assert ready.decisions[0].text() == "y (also written 'TRUE', 'false', '1', '0')"
    found = ready.preprocessing.encode_target(table("a,y\n1,ja\n2,N\n"))
    assert found.tolist() == [1, 0]
    with pytest.raises(InputError, match="'perhaps', not a class seen in training"):
        ready.preprocessing.encode_target(table("a,y\n1,yes\n1,perhaps\n"))


@pytest.mark.parametrize(
    ("written", "classes"),
    [
        ("T O N", ("N", "O", "T")),
        ("f t n", ("f", "n", "t")),
        ("T F O N", ("F", "N", "O", "T")),
        ("yes no true", ("no", "true", "yes")),
        ("yes yes y no no n N", ("no", "yes")),
        ("True True false false TRUE", ("True", "false")),
        ("true yes yes no false false", ("false", "yes")),  # the words of which are of two pairs
        ("oui O non non n", ("non", "oui")),
        ("M m k", ("M", "k", "m")),
        ("M m f F K k K k K k", ("F", "K", "M", "f", "k", "m")),
        ("y Y n N", ("n", "y")),
        ("Mb MB Kb", ("Kb", "Mb")),
    ],
)
def test_only_spellings_of_one_class_are_merged(table, written, classes):
    found = prepare(table("a,y\n" + "".join(f"1,{y}\n2,{y}\n" for y in written.split())), "y")
    assert found.preprocessing.classes == classes
    assert set(found.y.tolist()) == {*range(len(classes))}


def test_letters_in_two_cases_are_two_categories_unless_one_is_a_slip(table):
    text = "a,c,y\n" + "1,M,0\n2,m,1\n3,k,0\n" * 10 + "4,K,1\n"
    plan = prepare(table(text), "y").preprocessing
    assert plan.input_names() == ["a", "c=M", "c=k", "c=m"]
    slips = prepare(table(text.replace("1,M,0", "1,k,0", 9)), "y").preprocessing
    assert slips.input_names() == ["a", "c=k", "c=m"]
    target = prepare(table(text), "c").preprocessing
    assert target.classes == ("M", "k", "m")


def test_rare_classes_are_noted(table):
    text = "a,b,y\n" + "1.5,7,u\n2.5,7,v\n" * 3 + "3.5,7,w\n"
    assert "classes with a single training row: 'w'" in prepare(table(text), "y").notes


# Arrays.


def test_images_in_bytes_are_divided_by_255(tmp_path):
    x = np.arange(24, dtype=np.uint8).reshape(6, 2, 2) * 10
    ready = prepare(arrays(tmp_path, x, np.arange(6) % 3), dtype="float64")
    np.testing.assert_allclose(ready.x, x.reshape(6, 4) / 255, rtol=1e-15)
    assert ready.preprocessing.layout == "image"
    assert ready.preprocessing.task == "multiclass"
    with pytest.raises(
        InputError, match="found a plain array, but the model was trained on images"
    ):
        ready.preprocessing.transform(arrays(tmp_path, x / 255))
    with pytest.raises(InputError, match="found 5 columns, but the model knows 4"):
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
        (np.inf, "row 2 \\(the first is 0\\), column 'x1': found 'inf'"),
        (np.nan, "row 2.*column 'x1': a missing cell.*--missing"),
    ],
)
def test_matrices_must_be_finite(value, found, tmp_path):
    x = np.random.default_rng(0).standard_normal((6, 3))
    x[2, 1] = value
    with pytest.raises(InputError, match=found):
        prepare(arrays(tmp_path, x, np.arange(6) % 2), missing="refuse")
    y = np.arange(6.0) / 7
    y[2] = value
    with pytest.raises(InputError, match=found.replace("x1", "target")):
        prepare(arrays(tmp_path, x[:, ::2], y), missing="refuse")
    if np.isnan(value):
        assert prepare(arrays(tmp_path, x, np.arange(6) % 2), missing="drop").x.shape == (5, 3)


def notes_of(given, target="y", **options):
    return prepare(given, target, **options).notes


def test_a_column_that_gives_the_target_away_is_named(table):
    rng = np.random.default_rng(0)
    both = list(rng.standard_normal((300, 2)))
    rows = "".join(f"{a + e:.3f},{'lw'[int(a > 0)]},{int(a > 0)}\n" for a, e in both)
    notes = notes_of(table("a,b,y\n" + rows))
    assert notes[-1] == "'b' alone gives y away: if it is not known before, --drop it"
    rows = "".join(f"{a:.4f},{e:.4f},{3 * a + 1 + 0.01 * e:.4f}\n" for a, e in both)
    assert notes_of(table("a,b,y\n" + rows))[-1].startswith("'a' alone gives y away")
    rows = "".join(f"{i // 50},{i % 7},{i // 100}\n" for i in range(300))  # in the target's order
    assert notes_of(table("a,b,y\n" + rows))[-1].startswith("'a' alone")


def test_a_column_that_is_given_in_one_class_only_is_named(table):
    def rows(given):
        return "".join(
            f"{i % 7},{i * 37 % 90 + 0.5 if given(i) else ''},{'ab'[i % 3 > 0]}\n"
            for i in range(300)
        )

    for given, count in (
        (lambda i: i % 6 == 0, 1),
        (lambda i: i % 9 < 5, 0),
        (lambda i: i % 90 == 0, 0),
    ):
        notes = notes_of(table("a,end,y\n" + rows(given)))
        assert sum("'end' alone gives y away" in each for each in notes) == count


def test_neighbouring_rows_that_are_alike_are_noted(table):
    values = np.cumsum(np.random.default_rng(0).standard_normal(200))
    for given, count in ((values, 1), (np.sort(values), 0), (values[::7], 0)):
        rows = "".join(f"{each % 0.01:.6f},{each:.4f}\n" for each in given)
        assert sum("neighbouring rows" in each for each in notes_of(table("a,y\n" + rows))) == count


@pytest.mark.parametrize(("slip", "count"), [("1e9", 1), ("4", 0)])
@pytest.mark.parametrize("place", [0, 1])
def test_a_number_beside_which_all_others_are_alike_is_noted(table, place, slip, count):
    rows = np.random.default_rng(0).normal(size=(200, 2)).astype(str)
    rows[7, place] = slip
    flags = [int(row == 9) for row in range(200)]  # a rare flag is no slip
    lines = "".join(f"{a},{y},{flag}\n" for (a, y), flag in zip(rows, flags, strict=True))
    notes = notes_of(table("a,y,flag\n" + lines), validation=0.3)
    named = [each for each in notes if "one cell has nearly all the variance" in each]
    assert len(named) == count
    assert all(each.endswith(("'a' (1e+09)", "it: y")[place]) for each in named)


def with_patients(rows=400, patients=40):
    """Rows that tell their patient, and each patient a target that follows from nothing."""
    rng = np.random.default_rng(0)
    targets, of_row = rng.integers(2, size=patients), rng.integers(patients, size=rows)
    lines = [f"{rng.normal():.3f},{each},{targets[each]}\n" for each in of_row]
    return "a,patient,sick\n" + "".join(lines)


def test_rows_of_one_group_are_never_both_trained_on_and_held_out(table):
    given = table(with_patients())
    ready = prepare(given, "sick", groups="patient", validation=0.25, nets=3)
    assert ready.preprocessing.input_names() == ["a"]
    patients = given.column("patient")
    for train, held in ready.folds:
        assert not {*patients[train]} & {*patients[held]}
        assert len({*patients[held]}) == 10
        assert len(train) + len(held) == len(patients)
    assert len({tuple(held) for _, held in ready.folds}) == 3
    ready.preprocessing.transform(table("a\n1.5\n"))  # new rows need no group
    with pytest.raises(InputError, match="no column for --groups, 'b'"):
        prepare(given, "sick", groups="b", validation=0.25)


def test_people_with_several_rows_are_noted_where_rows_are_held_out_one_by_one(table):
    note = "rows of one 'patient' are trained on and held out; for a score on new ones, pass"
    for validation, count in ((0.2, 1), (0.0, 0)):
        notes = notes_of(table(with_patients()), target="sick", validation=validation)
        assert sum(each.startswith(note) for each in notes) == count
    assert not [e for e in notes_of(table(with_patients(60, 6)), "sick") if e.startswith(note)]


def test_rows_whose_target_stands_for_nothing_are_left_out(table):
    rows = [
        f"{i / 7},{i % 50 - 9.5 if i % 60 else -999.9},{i % 80 if i % 45 else i % 2 - 9}\n"
        for i in range(300)
    ]
    ready = prepare(table("a,y,b\n" + "".join(rows)), "y")
    assert [each.text()[:40] for each in ready.decisions] == [
        "5 of 300 left out (no y, but -999.9) [--",
        "b (5 cells, empty or -8, imputed) [--kee",
    ]
    plan = Preprocessing.from_dict(ready.preprocessing.to_dict())
    assert plan.complete_rows(table("a,y,b\n1,-999.9,3\n2,3,-9\n"), target=True).tolist() == [1]


@pytest.mark.parametrize("cells", [(0, 999), (0, 1, 999), (1, 2, 3, 4, 99)])
def test_flags_and_small_numbers_stand_for_themselves(cells, table):
    rows = [f"{i / 7},{cells[i % len(cells)]},{i % 2}\n" for i in range(100)]
    ready = prepare(table("a,b,y\n" + "".join(rows)), "y")
    assert (ready.decisions, ready.preprocessing.inputs, len(ready.notes)) == ((), 2, 0)


def test_a_number_that_is_constant_save_for_gaps_is_not_of_no_use(table):
    rows = [f"{i / 7},{'' if i % 3 else 5},{i % 2}\n" for i in range(100)]
    assert prepare(table("a,b,y\n" + "".join(rows)), "y").notes == ()
