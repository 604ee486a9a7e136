"""Models to export, and cells for them; a third of the cells may be missing or unseen."""

import numpy as np

import xpnet
from xpnet.saving.model import Model
from xpnet.tables.columns import Number
from xpnet.tables.preprocessing import Preprocessing

ENCODINGS = {
    "plain": Number("size", 3.0, 2.0),
    "bins": Number("size", 3.0, 2.0, edges=(-1.0, 0.5, 3.0, 8.0)),
    "fill and indicator": Number("size", 3.0, 2.0, fill=2.5, indicator=True),
    "all": Number("size", 3.0, 2.0, 2.5, True, (-1.0, 0.5, 3.0, 8.0)),
}
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
    colour = random.choice(["red", "blue"], rows).tolist()
    if missing:
        size[::5], colour[1::5], colour[2::5] = np.nan, [""] * 8, ["unseen"] * 8
    return {"size": size.tolist(), "colour": colour}
