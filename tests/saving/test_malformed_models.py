"""A corpus of model files whose container is well and whose meaning is not.

Each case: the change to a good file, and what the message says.
"""

from copy import deepcopy

import numpy as np
import pytest
from model_examples import PREPROCESSING, parts

import xpnet
from xpnet.errors import FileError
from xpnet.saving.container import write_container
from xpnet.saving.model import load_model


def architecture(**changes):
    return lambda fields, tensors: fields["architecture"].update(changes)


def field(name, value):
    return lambda fields, tensors: fields.__setitem__(name, value)


def tensor(name, change):
    def apply(fields, tensors):
        tensors[name] = change(tensors[name])

    return apply


def renamed(old, new):
    return lambda fields, tensors: tensors.__setitem__(new, tensors.pop(old))


def with_value(value):
    def change(array):
        array.flat[1] = value
        return array

    return change


def every_dtype(dtype):
    def apply(fields, tensors):
        for name in tensors:
            tensors[name] = tensors[name].astype(dtype)

    return apply


def preprocessing(**values):
    return field("preprocessing", values or {"task": "multiclass"})


def prepared(**changes):
    return preprocessing(**deepcopy(PREPROCESSING) | changes)


def with_columns(index, **changes):
    columns = deepcopy(PREPROCESSING["columns"])
    columns[index] |= changes
    return prepared(columns=columns)


MEANING = {
    "newer format": (
        field("format_version", 2),
        f"made by xpnet 0.1.0 with format 2, but this xpnet {xpnet.__version__} reads up to 1; up",
    ),
    "format 0": (field("format_version", 0), "format_version: is 0, not a whole number from 1"),
    "format true": (field("format_version", True), "format_version: is True"),
    "format text": (field("format_version", "1"), "format_version: is '1'"),
    "format 1.0": (field("format_version", 1.0), "format_version: is 1.0"),
    "format null": (field("format_version", None), "format_version: is None"),
    "a checkpoint": (field("format", "xpnet checkpoint"), "format: is 'xpnet checkpoint', not"),
    "other format": (field("format", "pt"), "format: is 'pt', not 'xpnet model'"),
    "library null": (field("library", None), "library: is None"),
    "library number": (field("library", 1), "library: is 1"),
    "training list": (field("training", [1]), "training: is [1], neither an object nor null"),
    "training text": (field("training", "x"), "training: is 'x'"),
    "extra field": (field("pickle", "x"), "fields: are ["),
    "no training": (lambda fields, tensors: fields.pop("training"), "fields: are ["),
    "no architecture": (lambda fields, tensors: fields.pop("architecture"), "fields: are ["),
    "no preprocessing": (lambda fields, tensors: fields.pop("preprocessing"), "fields: are ["),
    "preprocessing empty": (field("preprocessing", {}), "preprocessing: fields: found []"),
    "preprocessing short": (preprocessing(), "preprocessing: fields: found"),
    "preprocessing more": (prepared(code="x"), "preprocessing: fields: found"),
    "task unknown": (prepared(task="rank"), "preprocessing: task: found 'rank', expected one of"),
    "task list": (prepared(task=["binary"]), "preprocessing: task: found ['binary']"),
    "target null": (prepared(target=None), "preprocessing: target: found None"),
    "target is a column": (
        prepared(target="age"),
        "preprocessing: columns: found 'age', expected e",
    ),
    "no columns": (prepared(columns=[]), "preprocessing: columns: found []"),
    "columns null": (prepared(columns=None), "preprocessing: columns: found None"),
    "column text": (prepared(columns=["age"]), "preprocessing: columns[0]: found 'age'"),
    "column without name": (
        prepared(columns=[{"mean": 0.0, "std": 1.0}]),
        "preprocessing: columns[0]: found",
    ),
    "column twice": (with_columns(1, name="age"), "preprocessing: columns: found 'age'"),
    "column missing": (
        prepared(columns=[{"name": "age", "mean": 0.0, "std": 1.0}]),
        "preprocessing.columns: give 1 inputs, but the network has 3",
    ),
    "column's std 0": (with_columns(0, std=0.0), "preprocessing: columns[0].std: found 0.0"),
    "column's std negative": (with_columns(0, std=-1.0), "preprocessing: columns[0].std: found -1"),
    "column's mean text": (with_columns(0, mean="0"), "preprocessing: columns[0].mean: found '0'"),
    "column's mean null": (with_columns(0, mean=None), "preprocessing: columns[0].mean: found N"),
    "column's mean true": (with_columns(0, mean=True), "preprocessing: columns[0].mean: found T"),
    "column's mean huge": (
        with_columns(0, mean=10**400),
        "preprocessing: columns[0].mean: found 1",
    ),
    "category missing": (
        with_columns(1, categories=["red"]),
        "preprocessing.columns: give 2 inputs, but the network has 3",
    ),
    "category twice": (with_columns(1, categories=["a", "a"]), "columns[1].categories: found 'a'"),
    "category number": (with_columns(1, categories=["a", 1]), "columns[1].categories[1]: found 1"),
    "no classes": (prepared(classes=[]), "preprocessing: classes: found []"),
    "one class": (prepared(classes=["yes"]), "preprocessing: classes: found ['yes']"),
    "three classes": (
        prepared(classes=["a", "b", "c"]),
        "preprocessing.classes: ask for 3 outputs, but the network has 2",
    ),
    "class twice": (prepared(classes=["yes", "yes"]), "preprocessing: classes: found 'yes'"),
    "class twice as number": (prepared(classes=[1, 1.0]), "preprocessing: classes: found 1.0"),
    "class true": (prepared(classes=[True, False]), "preprocessing: classes[0]: found True"),
    "class null": (prepared(classes=["yes", None]), "preprocessing: classes[1]: found None"),
    "classes text": (prepared(classes="ab"), "preprocessing: classes: found 'ab'"),
    "classes of a regression": (prepared(task="regression"), "preprocessing: classes: found ["),
    "regression, two outputs": (
        prepared(task="regression", classes=[]),
        "preprocessing.classes: ask for 1 outputs, but the network has 2",
    ),
    "binary, two outputs": (prepared(task="binary"), "ask for 1 outputs, but the network has 2"),
    "target's std 0": (prepared(target_std=0), "preprocessing: target_std: found 0"),
    "missing unknown": (prepared(missing="guess"), "preprocessing: missing: found 'guess'"),
    "layout unknown": (prepared(layout="cube"), "preprocessing: layout: found 'cube'"),
    "preprocessing list": (field("preprocessing", [1]), "preprocessing: is [1]"),
    "preprocessing text": (field("preprocessing", "x"), "preprocessing: is 'x'"),
    "architecture null": (field("architecture", None), "architecture: must have"),
    "architecture list": (field("architecture", []), "architecture: must have"),
    "architecture extra": (architecture(layers=3), "architecture: must have"),
    "architecture short": (
        lambda fields, tensors: fields["architecture"].pop("seed"),
        "architecture: must have",
    ),
    "no sizes": (architecture(sizes=[]), "architecture.sizes: is []"),
    "one size": (architecture(sizes=[3]), "architecture.sizes: is [3]"),
    "size 0": (architecture(sizes=[3, 0, 2]), "architecture.sizes: is [3, 0, 2]"),
    "size negative": (architecture(sizes=[3, -4, 2]), "architecture.sizes: is [3, -4, 2]"),
    "size huge": (architecture(sizes=[3, 2**40, 2]), "architecture.sizes: is ["),
    "size real": (architecture(sizes=[3, 4.0, 2]), "architecture.sizes: is [3, 4.0, 2]"),
    "size true": (architecture(sizes=[3, True, 2]), "architecture.sizes: is [3, True, 2]"),
    "size text": (architecture(sizes=[3, "4", 2]), "architecture.sizes: is [3, '4', 2]"),
    "size list": (architecture(sizes=[3, [4], 2]), "architecture.sizes: is [3, [4], 2]"),
    "sizes text": (architecture(sizes="342"), "architecture.sizes: is '342'"),
    "sizes null": (architecture(sizes=None), "architecture.sizes: is None"),
    "one layer more": (architecture(sizes=[3, 4, 4, 2]), "architecture.hidden: ['tanh']"),
    "one layer less": (architecture(sizes=[3, 2]), "architecture.hidden: ['tanh']"),
    "sizes do not chain": (
        architecture(sizes=[3, 5, 2]),
        "tensor 'weights.0': has shape (3, 4), but layer sizes [3, 5, 2] need (3, 5)",
    ),
    "wrong inputs": (architecture(sizes=[2, 4, 2]), "tensor 'weights.0': has shape (3, 4)"),
    "wrong outputs": (architecture(sizes=[3, 4, 1]), "tensor 'weights.1': has shape (4, 2)"),
    "unknown activation": (architecture(hidden=["swoosh"]), "architecture.hidden: ['swoosh']"),
    "output as hidden": (architecture(hidden=["softmax"]), "architecture.hidden: ['softmax']"),
    "hidden text": (architecture(hidden="tanh"), "architecture.hidden: 'tanh'"),
    "hidden number": (architecture(hidden=[1]), "architecture.hidden: [1]"),
    "hidden object": (architecture(hidden=[{}]), "architecture.hidden: [{}]"),
    "hidden two": (architecture(hidden=["tanh", "tanh"]), "architecture.hidden: ['tanh', 'tanh']"),
    "unknown output": (architecture(output="exec"), "architecture.output: 'exec'"),
    "output relu": (architecture(output="relu"), "architecture.output: 'relu'"),
    "output list": (architecture(output=["softmax"]), "architecture.output: ['softmax']"),
    "dtype unknown": (architecture(dtype="float16"), "architecture.dtype: 'float16'"),
    "dtype null": (architecture(dtype=None), "architecture.dtype: None"),
    "dtype object": (architecture(dtype={}), "architecture.dtype: {}"),
    "dtype other": (
        architecture(dtype="float64"),
        "tensor 'weights.0': is float32, but the network is float64",
    ),
    "init number": (architecture(init=3), "architecture.init: 3"),
    "seed negative": (architecture(seed=-1), "architecture.seed: -1"),
    "seed real": (architecture(seed=1.5), "architecture.seed: 1.5"),
    "seed text": (architecture(seed="0"), "architecture.seed: '0'"),
    "dropout 1": (architecture(dropout=[1.0]), "architecture.dropout: [1.0]"),
    "dropout negative": (architecture(dropout=[-0.5]), "architecture.dropout: [-0.5]"),
    "dropout two": (architecture(dropout=[0.1, 0.1]), "architecture.dropout: [0.1, 0.1]"),
    "dropout number": (architecture(dropout=0.1), "architecture.dropout: 0.1"),
    "dropout text": (architecture(dropout=["0"]), "architecture.dropout: ['0']"),
    "tensor missing": (
        lambda fields, tensors: tensors.pop("weights.1"),
        "tensor 'weights.1': is missing for layer sizes [3, 4, 2]",
    ),
    "all tensors missing": (lambda fields, tensors: tensors.clear(), "tensor 'biases.0': is miss"),
    "tensor extra": (
        lambda fields, tensors: tensors.update({"weights.2": np.zeros((2, 2), "f4")}),
        "tensor 'weights.2': does not belong to layer sizes [3, 4, 2]",
    ),
    "tensor renamed": (renamed("biases.0", "bias.0"), "tensor 'biases.0': is missing"),
    "tensor name case": (renamed("weights.0", "Weights.0"), "tensor 'weights.0': is missing"),
    "tensor transposed": (tensor("weights.1", np.transpose), "tensor 'weights.1': has shape (2, 4"),
    "tensor flat": (tensor("weights.0", np.ravel), "tensor 'weights.0': has shape (12,)"),
    "tensor deeper": (tensor("biases.0", lambda b: b[None]), "tensor 'biases.0': has shape (1, 4)"),
    "tensor short": (tensor("biases.1", lambda b: b[:1]), "tensor 'biases.1': has shape (1,)"),
    "tensor empty": (tensor("biases.1", lambda b: b[:0]), "tensor 'biases.1': has shape (0,)"),
    "tensor NaN": (
        tensor("weights.0", with_value(np.nan)),
        "tensor 'weights.0': holds nan at [0, 1",
    ),
    "tensor inf": (tensor("biases.1", with_value(np.inf)), "tensor 'biases.1': holds inf at [1]"),
    "tensor -inf": (tensor("weights.1", with_value(-np.inf)), "tensor 'weights.1': holds -inf at"),
    "dtype mixed": (
        tensor("biases.1", lambda b: b.astype("f8")),
        "tensor 'biases.1': is float64, but the network is float32",
    ),
    "dtype whole": (tensor("biases.0", lambda b: b.astype("i8")), "tensor 'biases.0': is int64"),
    "every dtype": (every_dtype("f8"), "is float64, but the network is float32"),
    "dtype half": (tensor("weights.0", lambda w: w.astype("f2")), "'weights.0': dtype is 'F16'"),
    "dtype bytes": (tensor("weights.0", lambda w: w.view("u1")), "'weights.0': dtype is 'U8'"),
    "dtype bool": (tensor("biases.0", lambda b: b > 0), "tensor 'biases.0': dtype is 'BOOL'"),
}


@pytest.mark.parametrize("case", MEANING)
def test_a_file_whose_meaning_is_wrong_is_refused_by_name(path, case):
    change, expected = MEANING[case]
    fields, tensors = parts()
    change(fields, tensors)
    write_container(path, "model", 1, fields, tensors)
    with pytest.raises(FileError) as caught:
        load_model(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert expected in str(caught.value)
    assert len(str(caught.value)) < 700
