"""A model as an ONNX graph: from raw columns to label and probabilities, or value.

Rows that `Model.predict` refuses (for a missing cell, a category never seen) give NaN here.
"""

import shlex
from collections.abc import Callable
from itertools import count
from typing import Any

import numpy as np

from xpnet.backend.device import to_host
from xpnet.backend.files import atomic_write
from xpnet.errors import InputError
from xpnet.nn.activations import EXP_LIMIT
from xpnet.nn.network import MLP
from xpnet.saving.model import Model, refuse_own_activations, refuse_several_classes
from xpnet.tables.cells import MISSING
from xpnet.tables.columns import Category, Dates, Number
from xpnet.tables.preprocessing import MAX_LOG, Preprocessing

OPSETS = {"": 20, "ai.onnx.ml": 3}

ACTIVATIONS: dict[str, Callable[["Graph", str], str]] = {
    "identity": lambda graph, z: z,
    "sigmoid": lambda graph, z: graph.add("Sigmoid", z),
    "tanh": lambda graph, z: graph.add("Tanh", z),
    "relu": lambda graph, z: graph.add("Relu", z),
    "leaky_relu": lambda graph, z: graph.add("LeakyRelu", z, alpha=0.01),
    "elu": lambda graph, z: graph.add("Elu", z),
    "selu": lambda graph, z: graph.add("Selu", z),
    "gelu": lambda graph, z: graph.add("Gelu", z, approximate="tanh"),
    "silu": lambda graph, z: graph.add("Mul", z, graph.add("Sigmoid", z)),
    "softplus": lambda graph, z: graph.add("Softplus", z),
    "exp": lambda graph, z: graph.add("Exp", graph.add("Min", z, np.float32(EXP_LIMIT))),
    "softmax": lambda graph, z: graph.add("Softmax", z, axis=1),
}


class Graph:
    """Nodes, constants and inputs, in the order in which they are added.

    `unique` returns a name that nothing else in the graph has, like the given one.
    """

    def __init__(self, unique: Callable[[str], str] | None = None) -> None:
        try:
            from onnx import TensorProto, helper, numpy_helper
        except ImportError as error:
            raise InputError("ONNX files need onnx: pip install 'xpnet[onnx]'") from error
        self.types, self._helper, self._tensor_of = TensorProto, helper, numpy_helper.from_array
        self.nodes, self.constants = list[Any](), list[Any]()
        numbers = count()
        self._unique = unique or (lambda name: f"/{name}{next(numbers)}")
        self.inputs, self.outputs = list[Any](), list[Any]()

    def add(self, kind: str, *values: Any, out: str = "", **attributes: Any) -> str:
        """Add a node; return the name of its output. Values are names, or constants."""
        name = out or self._unique(kind)
        names = [each if isinstance(each, str) else self._constant(each) for each in values]
        domain = "ai.onnx.ml" if kind == "LabelEncoder" else ""
        self.nodes.append(self._helper.make_node(kind, names, [name], domain=domain, **attributes))
        return name

    def _constant(self, value: Any) -> str:
        name = self._unique("constant")
        self.constants.append(self._tensor_of(np.asarray(value), name))
        return name

    def take(self, name: str, kind: int, width: int) -> str:
        """Add an input (n, width)."""
        self.inputs.append(self._helper.make_tensor_value_info(name, kind, ["n", width]))
        return name

    def give(self, value: str, *, name: str, type_: int, width: int = 0) -> None:
        """Make a value an output (n, width) or (n,), whose name no input has."""
        taken = {each.name for each in self.inputs}
        name, shape = f"output_{name}" if name in taken else name, ["n", width] if width else ["n"]
        self.add("Identity", value, out=name)
        self.outputs.append(self._helper.make_tensor_value_info(name, type_, shape))

    def model(self) -> Any:
        """Return the `onnx.ModelProto`, checked."""
        from onnx import checker

        graph = self._helper.make_graph(
            self.nodes, "xpnet", self.inputs, self.outputs, self.constants
        )
        opsets = [self._helper.make_opsetid(*each) for each in OPSETS.items()]
        model = self._helper.make_model(
            graph, opset_imports=opsets, ir_version=9, producer_name="xpnet"
        )
        checker.check_model(model, full_check=True)
        return model


def to_onnx(model: Model, path: Any = None) -> Any:
    """Return a model as `onnx.ModelProto`; see `Model.to_onnx`."""
    graph, plan = Graph(), model.preprocessing
    nets = (model.net, *model.other_nets)
    if plan is None:
        x = graph.take("x", graph.types.FLOAT, model.net.sizes[0])
    else:
        refuse_several_classes(plan)
        x = graph.add("Concat", *_inputs(graph, plan), axis=1)
    outputs = graph.add("Mean", *(add_network(graph, x, net) for net in nets))
    if plan is None:
        width = model.net.sizes[-1]
        graph.give(outputs, name="y", type_=graph.types.FLOAT, width=width)
    else:
        nothing = graph.add("Mul", graph.add("ReduceSum", x, np.array([1])), np.float32(0))
        _decoded(graph, plan, graph.add("Add", outputs, nothing))  # NaN if an input is
    made = graph.model()
    if path is not None:
        with atomic_write(path) as file:
            file.write(made.SerializeToString(deterministic=True))
    return made


def add_network(graph: Graph, x: str, net: MLP) -> str:
    """Add a network's nodes, float32, and return its outputs (n, outputs)."""
    refuse_own_activations(net)
    for weights, biases, activation in zip(
        net.weights, net.biases, (*net.hidden, net.output), strict=True
    ):
        w, b = (to_host(each).astype(np.float32) for each in (weights, biases))
        x = ACTIVATIONS[activation.name](graph, graph.add("Gemm", x, w, b))
    return x


def _inputs(graph: Graph, plan: Preprocessing) -> list[str]:
    """Add the nodes of each column; return their outputs, float32 (n, inputs of the column)."""
    if plan.layout == "image":
        pixels = graph.take("x", graph.types.UINT8, len(plan.columns))
        shades = graph.add("Cast", pixels, to=graph.types.FLOAT)
        return [graph.add("Div", shades, np.float32(255))]
    impute, cells, made = plan.missing == "impute", list[str](), list[str]()
    if plan.layout == "matrix":
        x = graph.take("x", graph.types.DOUBLE, len(plan.columns))
        cells = [graph.add("Gather", x, np.array([at]), axis=1) for at in range(len(plan.columns))]
    for at, column in enumerate(plan.columns):
        if isinstance(column, Number):
            taken = cells[at] if cells else graph.take(column.name, graph.types.DOUBLE, 1)
            made.append(_number(graph, taken, column, impute))
        elif isinstance(column, Category):
            taken = graph.take(column.name, graph.types.STRING, 1)
            made.append(_category(graph, taken, column, impute))
        else:
            dates = isinstance(column, Dates)
            held, how = ("dates", "export with --numpy, or ") if dates else ("free text", "")
            raise InputError(
                f"column {column.name!r} holds {held}, which ONNX cannot read; {how}train with"
                f" --drop {shlex.quote(column.name)}"
            )
    return made


def _number(graph: Graph, cells: str, column: Number, impute: bool) -> str:
    """Scale a column in float64, like `Preprocessing`; fill in missing cells, and add the bins."""
    if column.gap is not None:
        gaps = graph.add("LessOrEqual" if column.gap < 0 else "Equal", cells, column.gap)
        cells = graph.add("Where", gaps, np.nan, cells)
    scaled = graph.add("Div", graph.add("Sub", cells, column.mean), column.std)
    missing = graph.add("IsNaN", cells)
    if impute:
        fill = 0.0 if column.fill is None else (column.fill - column.mean) / column.std
        scaled = graph.add("Where", missing, fill, scaled)
    parts = [scaled]
    if column.indicator:
        parts.append(graph.add("Cast", missing, to=graph.types.DOUBLE))
    if column.edges:
        edges = (np.array([column.edges]) - column.mean) / column.std
        above = graph.add("Div", graph.add("Sub", scaled, edges[:, :-1]), np.diff(edges))
        parts.append(graph.add("Clip", above, 0.0, 1.0))
    return graph.add("Cast", graph.add("Concat", *parts, axis=1), to=graph.types.FLOAT)


def _category(graph: Graph, cells: str, column: Category, impute: bool) -> str:
    """Look up a text's inputs in a table of categories, with rows for missing and other texts."""
    texts, known = [*dict.fromkeys(column.categories + column.texts)], len(column.categories)
    refused = np.full(known + column.pooled, 0.0 if impute else np.nan)
    others = np.eye(known + 1)[known] if column.pooled else refused
    own = np.eye(known, len(refused))
    rows = np.vstack([own, *[others] * (len(texts) - known), refused, others])
    if column.effects:
        effects = dict(zip(column.texts, column.effects, strict=True))
        rows = np.column_stack([rows, [*(effects.get(each, 0.0) for each in texts), 0.0, 0.0]])
    places = {each: at for at, each in enumerate(texts)} | dict.fromkeys(MISSING, len(texts))
    cases = str.lower, str.upper, str.capitalize, str.title  # the usual ones: ONNX folds none
    for spelling in (*column.also, *(case(each) for each in texts for case in cases)):
        if (trained := column.as_trained(spelling)) in places:
            places.setdefault(spelling, places[trained])
    codes = graph.add(
        "LabelEncoder", cells, default_int64=len(texts) + 1,
        keys_strings=[*places], values_int64s=[*places.values()],
    )  # fmt: skip
    rows = rows.astype(np.float32)
    return graph.add("Squeeze", graph.add("Gather", rows, codes), np.array([1]))


def _decoded(graph: Graph, plan: Preprocessing, outputs: str) -> None:
    types = graph.types
    if plan.task == "regression":
        values = graph.add("Cast", outputs, to=types.DOUBLE)
        mean, std = plan.target_scales
        values = graph.add("Add", graph.add("Mul", values, std), mean)
        if plan.target_log:
            values = graph.add("Exp", graph.add("Min", values, MAX_LOG))
        graph.give(values, name="value", type_=types.DOUBLE, width=len(mean))
        return
    known, kinds = plan.labels, {"U": types.STRING, "i": types.INT64, "f": types.DOUBLE}
    label, outputs = add_classes(graph, outputs, known, one=plan.outputs == 1)
    graph.give(label, name="label", type_=kinds[known.dtype.kind])
    graph.give(outputs, name="probabilities", type_=types.FLOAT, width=len(known))


def add_classes(graph: Graph, outputs: str, known: np.ndarray, *, one: bool) -> tuple[str, str]:
    """Add nodes from a network's outputs to labels (n,) and probabilities (n, classes).

    One output is the probability of the second of two classes.
    """
    if one:
        first = graph.add("Sub", np.float32(1), outputs)
        outputs = graph.add("Concat", first, outputs, axis=1)
    best = graph.add("ArgMax", outputs, axis=1, keepdims=0)
    labels = known.astype(object) if known.dtype.kind == "U" else known
    return graph.add("Gather", labels, best), outputs
