"""Models to export, and cells for them; a third of the cells may be missing or unseen."""

import numpy as np
from lazily import polars

import xpnet
from xpnet.saving.model import Model
from xpnet.tables.columns import Category, Number
from xpnet.tables.prepare import prepare
from xpnet.tables.preprocessing import Preprocessing
from xpnet.tables.table import read_table

ENCODINGS = {
    "plain": Number("size", 3.0, 2.0),
    "bins": Number("size", 3.0, 2.0, edges=(-1.0, 0.5, 3.0, 8.0)),
    "fill and indicator": Number("size", 3.0, 2.0, fill=2.5, indicator=True),
    "all": Number("size", 3.0, 2.0, 2.5, True, (-1.0, 0.5, 3.0, 8.0), gap=7.0),
}
COLOURS = (
    Category("colour", ("blue", "red")),
    Category("colour", ("blue", "red"), pooled=True, also=("Red",)),
    Category("colour", ("blue",), True, ("blue", "red", "seldom"), (0.5, -0.25, 2.0)),
    Category("colour", ("blue", "red"), True, ("Red", "blue", "red"), (0.5, -0.25, 2.0)),
    Category("colour", ("blue", "red"), True, ("blue",), (0.5,)),  # red: in no training row
)
OUTPUT_OF = {"binary": "sigmoid", "multiclass": "softmax", "regression": "identity"}
CLASSES = {"binary": (0.0, 1.0), "multiclass": ("no", "perhaps", "yes"), "regression": ()}


def model_of(task, columns, missing="impute", hidden="tanh", output=None, nets=1, **plan):
    plan = Preprocessing(
        task, "y", tuple(columns), plan.pop("classes", CLASSES[task]), missing=missing, **plan
    )
    made = [
        xpnet.MLP([plan.inputs, 7, 5, plan.outputs], hidden=hidden, seed=seed,
                  output=output or OUTPUT_OF[task])
        for seed in range(nets)
    ]  # fmt: skip
    return Model(made[0], plan, None, "0", tuple(made[1:]))


def cells_of(rows=40, missing=False):
    random = np.random.default_rng(rows)
    size = random.normal(3.0, 4.0, rows)
    colour = random.choice(["red", "blue", "Red", "RED"], rows).tolist()
    if missing:
        size[3] = 7.0
        size[::5], colour[1::5], colour[2::5] = np.nan, [""] * 8, ["unseen"] * 8
    return {"size": size.tolist(), "colour": colour}


def random_cells(random, rows, gaps=()):
    """Columns of several scales and kinds; in the rows `gaps` one cell is missing or unseen."""
    cells = {
        "size": random.normal(0.02, 0.01, rows),
        "price": 1e5 * random.lognormal(sigma=1.5, size=rows),
        "count": random.poisson(3.0, rows).astype(float),
        "colour": random.choice(["red", "blue", "grün", "0.5"], rows).astype(object),
        "maker": random.choice([f"maker {at}" for at in range(40)], rows).astype(object),
    }
    for row in gaps:
        name = random.choice([*cells])
        cells[name][row] = random.choice(["", "unseen"]) if cells[name].dtype == object else np.nan
    return cells


def model_of_random_table(path, task, missing, encode):
    """Two untrained networks, with the preprocessing of a table that is written to a CSV file."""
    random = np.random.default_rng(4)
    cells = random_cells(random, 400, range(20) if missing != "refuse" else ())
    target = {"regression": 50.0 + 9.0 * random.normal(size=400),
              "binary": random.choice(["no", "yes"], 400),
              "multiclass": random.integers(5, 9, 400)}[task]  # fmt: skip
    polars.DataFrame({**cells, "y": target}).write_csv(path)
    ready = prepare(read_table(path), "y", task=task, missing=missing, encode=encode)
    plan = ready.preprocessing
    nets = [xpnet.MLP([plan.inputs, 7, 5, plan.outputs], hidden="tanh", seed=seed,
                      output=OUTPUT_OF[task]) for seed in (1, 2)]  # fmt: skip
    return Model(nets[0], plan, None, "0", (nets[1],))
