"""Numbers far from all others of their column are noted; honest ones are not."""

import numpy as np
import pytest

from xpnet.tables.prepare import prepare
from xpnet.tables.table import read_table

DRAW = np.random.default_rng


def far_cells(folder, columns, target=None):
    rows = len(next(iter(columns.values())))
    columns = columns | {"y": DRAW(1).normal(size=rows) if target is None else target}
    lines = [",".join(f"{each:.6g}" for each in row) for row in zip(*columns.values(), strict=True)]
    path = folder / "t.csv"
    path.write_text("\n".join([",".join(columns), *lines]) + "\n")
    notes = prepare(read_table(path), "y", task="regression").notes
    return [note.removeprefix(f"{path}: ") for note in notes if "far from" in note]


@pytest.mark.parametrize("value", [-999.0, 9999.0, 1e6])
def test_a_code_for_missing_values(tmp_path, value):
    x = DRAW(0).normal(size=(300, 2)).round(2)
    x[7::10, 1] = value
    [note] = far_cells(tmp_path, {"a": x[:, 0], "b": x[:, 1]})
    assert note.startswith(f"line 9, column 'b': found {value:.0f} (and in 29 more rows), far")
    assert note.endswith(
        "stands for a missing value, leave the cell empty and pass --missing impute"
    )


def test_one_cell_far_away(tmp_path):
    x = DRAW(0).normal(size=5000)
    x[77] = 1e9
    [note] = far_cells(tmp_path, {"a": x})
    assert note.startswith("line 79, column 'a': found 1000000000, far from all other cells (-")


def test_a_code_among_few_numbers_and_in_the_target(tmp_path):
    children = DRAW(0).integers(0, 5, size=300).astype(float)
    children[5::50] = 99
    target = DRAW(1).normal(size=300)
    target[[3, 4, 5]] = -9999
    notes = far_cells(tmp_path, {"children": children}, target)
    assert [note.split(",")[1].strip() for note in notes] == [
        "column 'children': found 99 (and in 5 more rows)",
        "column 'y': found -9999 (and in 2 more rows)",
    ]


@pytest.mark.parametrize("seed", range(5))
def test_honest_columns_of_all_kinds(tmp_path, seed):
    draw, rows = DRAW(seed), 3000
    columns = {
        "income": draw.lognormal(10, 1, rows),
        "assets": draw.lognormal(8, 3, rows),
        "city size": draw.pareto(1.2, rows),
        "flag": draw.integers(0, 2, rows),
        "rare flag": (draw.random(rows) < 0.002) * 1000.0,
        "dose": draw.choice([0.0, 1.0, 100.0], rows),
        "gain": np.where(draw.random(rows) < 0.9, 0.0, draw.lognormal(8, 1, rows)),
        "top coded": np.minimum(draw.lognormal(9, 1.5, rows), 99_999.0),
        "age": draw.integers(0, 100, rows).astype(float),
        "heavy": draw.standard_t(2, rows),
        "same": np.full(rows, 5.0),
    }
    assert far_cells(tmp_path, columns, draw.lognormal(0, 2, rows)) == []
