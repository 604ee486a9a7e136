"""A model as one Python file that needs NumPy alone: `predictor.py` with the model written in."""

import base64
import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np

from xpnet.backend.device import to_host
from xpnet.backend.files import atomic_write
from xpnet.errors import InputError
from xpnet.saving.model import Model, refuse_own_activations, refuse_several_classes
from xpnet.tables.cells import MISSING
from xpnet.tables.columns import Category, Words
from xpnet.tables.dates import PATTERNS


def to_numpy_source(model: Model, path: Any = None) -> str:
    """Return the program, and write it if there is a path; see `Model.to_numpy_source`."""
    net, plan = model.net, model.preprocessing
    if plan is None or plan.layout != "table":
        raise InputError("only models of tables with named columns become NumPy programs")
    for column in plan.columns:
        in_one_way = getattr(column, "pattern", PATTERNS[0]) in PATTERNS
        if isinstance(column, Words) or not in_one_way:
            what = "free text, two numbers, or dates in several ways, which are not written here"
            remedy = f"train with --drop {shlex.quote(column.name)}"
            raise InputError(f"column {column.name!r} holds {what}; {remedy}")
    refuse_several_classes(plan)
    refuse_own_activations(net)
    content = plan.to_dict() | {
        "gaps": [*MISSING, "None", *plan.gap_words],
        "target_mean": plan.target_scales[0].tolist(),
        "target_std": plan.target_scales[1].tolist(),
        "labels": [] if plan.task == "regression" else plan.labels.tolist(),
        "names": [*plan.decode(np.zeros((1, plan.outputs)))],
        "sizes": net.sizes,
        "dtype": net.dtype,
        "activations": [each.name for each in (*net.hidden, net.output)],
        "nets": [
            base64.b64encode(to_host(each.flat).tobytes()).decode()
            for each in (net, *model.other_nets)
        ],
    }
    for column, each in zip(plan.columns, content["columns"], strict=True):
        if isinstance(column, Category):
            each["spelt"] = column.spelt
    template = Path(__file__).with_name("predictor.py").read_text(encoding="utf-8")
    source = template.replace('json.loads("{}")', f"json.loads({json.dumps(content)!r})")
    if path is not None:
        with atomic_write(path) as file:
            file.write(source.encode())
    return source
