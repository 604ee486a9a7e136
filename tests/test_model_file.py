import json
import os
import random
import subprocess
import sys
import textwrap
import tracemalloc
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
from crash_runs import mutate_model, same_content
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

import xpnet
from xpnet.activations import Activation
from xpnet.container import read_container, write_container
from xpnet.errors import FileError, InputError, SaveError
from xpnet.model_file import load_model, save_model
from xpnet.network import MLP
from xpnet.preparing import prepare
from xpnet.preprocessing import Preprocessing

KEPT = Path(__file__).parent / "data" / "model-v1.safetensors"


def example(dtype="float32", seed=3):
    net = MLP([3, 4, 2], hidden="tanh", output="softmax", dropout=0.25, dtype=dtype, seed=seed)
    for each in net.biases:
        each += 0.5
    return net


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("sizes", [[1, 1], [3, 2], [5, 7, 3, 1], [1, 1, 1, 1, 1]])
def test_a_loaded_network_is_the_saved_one_bit_for_bit(path, sizes, dtype):
    net = MLP(sizes, hidden="gelu", output="sigmoid", dtype=dtype, seed=11)
    net.save(path)
    loaded = load_model(path).net
    assert loaded.config() == net.config()
    for one, other in zip(net.parameters, loaded.parameters, strict=True):
        assert one.dtype == other.dtype
        assert one.tobytes() == other.tobytes()
        assert other.flags.writeable
    x = np.linspace(-1, 1, 4 * sizes[0]).reshape(4, sizes[0])
    assert net.predict(x).tobytes() == xpnet.load(path).predict(x).tobytes()


def test_equal_models_give_equal_bytes(path):
    training = {"loss": "auto", "losses": [0.5, np.float32(0.25)], "epochs": np.int64(2)}
    contents = set()
    for _ in range(20):
        save_model(path, example(), training=training)
        contents.add(path.read_bytes())
    assert len(contents) == 1


def test_a_model_file_is_the_same_in_another_process(path):
    save_model(path, example(), training={"a": 1, "b": 2})
    script = """
        import sys
        sys.path.insert(0, "tests")
        from test_model_file import example
        from xpnet.model_file import save_model
        save_model(sys.argv[1], example(), training={"b": 2, "a": 1})
    """
    other = path.with_name("other")
    subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), other],
        check=True,
        cwd=Path(__file__).parents[1],
        env=os.environ | {"PYTHONHASHSEED": "7", "LC_ALL": "C"},
    )
    assert other.read_bytes() == path.read_bytes()


def test_training_summary_and_version_come_back(path):
    save_model(path, example(), training={"epochs": 3, "naïve": [1.5, None, "ü"]})
    model = load_model(path)
    assert model.training == {"epochs": 3, "naïve": [1.5, None, "ü"]}
    assert model.library_version == xpnet.__version__
    assert model.preprocessing is None


def test_preprocessing_comes_back_with_columns_and_classes(path):
    given = Preprocessing.from_dict(PREPROCESSING)
    save_model(path, example(), preprocessing=given)
    assert load_model(path).preprocessing == given
    assert load_model(path).preprocessing.to_dict() == PREPROCESSING


def test_plain_safetensors_reads_the_file(path):
    net = example()
    save_model(path, net)
    tensors = load_file(path)
    assert sorted(tensors) == ["biases.0", "biases.1", "weights.0", "weights.1"]
    assert np.array_equal(tensors["weights.1"], net.weights[1])
    with safe_open(path, "numpy") as file:
        fields = json.loads(file.metadata()["xpnet"])
    assert fields["format"] == "xpnet model"
    assert fields["architecture"] == net.config()


def test_a_file_that_safetensors_wrote_again_still_loads(path):
    """The checksum is over the contents, not over the bytes of the header."""
    save_model(path, example())
    with safe_open(path, "numpy") as file:
        metadata = file.metadata()
    save_file(load_file(path), path.with_name("again"), metadata)
    assert same_content(load_model(path), load_model(path.with_name("again")))


def test_the_kept_version_1_file_loads_for_ever():
    model = load_model(KEPT)
    assert model.net.sizes == (3, 4, 2)
    assert model.net.hidden[0].name == "tanh"
    assert model.net.output.name == "softmax"
    assert model.training == {"epochs": 5, "loss": 0.25}
    assert model.preprocessing.to_dict() == PREPROCESSING
    x = [[0.0, 0.0, 0.0], [1.0, -1.0, 0.5]]
    expected = [[0.5472883, 0.4527117], [0.45417109, 0.54582888]]
    assert np.allclose(model.net.predict(x), expected, rtol=1e-6)


def test_weights_that_are_not_finite_are_not_saved_over_good_ones(path):
    save_model(path, example())
    before = path.read_bytes()
    net = example()
    net.weights[1][2, 1] = np.inf
    with pytest.raises(SaveError, match=r"weights\.1 holds NaN or infinity.*smaller learning rate"):
        net.save(path)
    assert path.read_bytes() == before


def test_an_activation_of_ones_own_is_not_saved(path):
    own = Activation("mine", lambda xp, z: z, lambda xp, d_a, z, a: d_a)
    with pytest.raises(SaveError, match="activation 'mine' is a function of your own"):
        MLP([2, 3, 1], hidden=own).save(path)
    impostor = Activation("relu", lambda xp, z: z, lambda xp, d_a, z, a: d_a)
    with pytest.raises(SaveError, match="'relu' is a function of your own"):
        MLP([2, 3, 1], hidden=impostor).save(path)
    assert not path.exists()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), {1, 2}, 1j, "\ud800"])
def test_a_summary_that_json_cannot_hold_is_refused(path, value):
    with pytest.raises(InputError, match="cannot be stored as JSON"):
        save_model(path, example(), training={"a": value})
    assert not path.exists()


# Malformed files, by what is done to a good one. Each case: the change, and what the message says.


def parts():
    """Return fields (JSON) and tensors of a good file, free to be changed."""
    net = example()
    fields = {"architecture": net.config(), "preprocessing": None, "training": {"epochs": 5}}
    tensors = {f"weights.{i}": np.array(w) for i, w in enumerate(net.weights)}
    tensors |= {f"biases.{i}": np.array(b) for i, b in enumerate(net.biases)}
    return fields, tensors


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


PREPROCESSING = {
    "task": "multiclass",
    "target": "bought",
    "columns": [
        {"name": "age", "mean": 40.5, "std": 12.25},
        {"name": "colour", "categories": ["blue", "réd"]},
    ],
    "classes": ["no", "yes"],
    "target_mean": 0.0,
    "target_std": 1.0,
    "missing": "refuse",
    "layout": "table",
}


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
        f"made by xpnet 0.1.0 with format 2, this xpnet {xpnet.__version__} reads up to 1; update",
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


def good_bytes(path):
    fields, tensors = parts()
    write_container(path, "model", 1, fields, tensors)
    return path.read_bytes()


def in_header(change):
    """Change the parsed header; the file is packed again around it."""

    def apply(data):
        size = int.from_bytes(data[:8], "little")
        header = json.loads(data[8 : 8 + size])
        result = change(header)
        text = json.dumps(header if result is None else result).encode()
        return len(text).to_bytes(8, "little") + text + data[8 + size :]

    return apply


def in_text(old, new):
    """Change the header as text."""

    def apply(data):
        size = int.from_bytes(data[:8], "little")
        text = data[8 : 8 + size]
        assert old in text
        text = text.replace(old, new, 1)
        return len(text).to_bytes(8, "little") + text + data[8 + size :]

    return apply


def in_fields(change):
    def apply(header):
        fields = json.loads(header["__metadata__"]["xpnet"])
        result = change(fields)
        header["__metadata__"]["xpnet"] = json.dumps(fields if result is None else result)

    return in_header(apply)


def entry(name, **changes):
    return in_header(lambda header: header[name].update(changes))


def header_of(text):
    text = text if isinstance(text, bytes) else text.encode()
    return lambda data: len(text).to_bytes(8, "little") + text


def length(size):
    return lambda data: size.to_bytes(8, "little") + data[8:]


CONTAINER = {
    "empty": (lambda data: b"", "length: 0 bytes are too few"),
    "seven bytes": (lambda data: data[:7], "length: 7 bytes are too few"),
    "only a length": (lambda data: data[:8], "header length: "),
    "text": (lambda data: b"weights,biases\n1,2\n3,4\n" * 10, "header length: "),
    "pickle": (lambda data: b"\x80\x04\x95" + bytes(100), "header length: "),
    "zip": (lambda data: b"PK\x03\x04" + bytes(range(200)), "header length: "),
    "zeros": (lambda data: bytes(1000), "header length: 0 bytes"),
    "length 1": (length(1), "header length: 1 bytes"),
    "length too great": (length(10**6), "header length: 1,000,000 bytes, in a file of"),
    "length absurd": (length(2**64 - 1), "header length: 18,446,744,073,709,551,615 bytes"),
    "length short": (length(20), "header: is not valid JSON"),
    "truncated header": (lambda data: data[:100], "header length: "),
    "truncated tensors": (lambda data: data[:-1], "truncated"),
    "no tensors": (lambda data: data[: 8 + int.from_bytes(data[:8], "little")], "truncated"),
    "trailing byte": (lambda data: data + b"\0", "tensors: end at byte"),
    "trailing file": (lambda data: data + data, "tensors: end at byte"),
    "not JSON": (header_of("{weights}"), "header: is not valid JSON"),
    "a list": (header_of("[1, 2]"), "header: is [1, 2], not a JSON object"),
    "a number": (header_of("1234"), "header: is 1234, not a JSON object"),
    "null": (header_of("null"), "header: is None, not a JSON object"),
    "not UTF-8": (header_of(b'{"\xff\xfe": 1}'), "header: is not valid JSON"),
    "UTF-16": (header_of('{"a": 1}'.encode("utf-16")), "header: is not valid JSON"),
    "deep": (header_of("[" * 100_000), "header: is "),
    "deep and closed": (header_of('{"a":' * 50_000 + "1" + "}" * 50_000), "header: is "),
    "two objects": (header_of("{}{}"), "header: is not valid JSON: Extra data"),
    "huge number": (header_of('{"a": ' + "9" * 5000 + "}"), "header: is not valid JSON"),
    "empty object": (header_of("{}"), "metadata field 'xpnet': is missing; this file was not"),
    "other program": (in_header(lambda h: h.pop("__metadata__") and None), "not written by xpnet"),
    "metadata list": (in_header(lambda h: h.update(__metadata__=[1])), "metadata field 'xpnet'"),
    "metadata number": (
        in_header(lambda h: h["__metadata__"].update(xpnet=1)),
        "metadata field 'xpnet': is missing",
    ),
    "metadata more": (
        in_header(lambda h: h["__metadata__"].update(note="hello")),
        "metadata field 'note': is unknown",
    ),
    "metadata twice": (in_text(b'"__metadata__":', b'"__metadata__":{},"__metadata__":'), "twice"),
    "tensor twice": (
        in_text(b'"biases.0":', b'"biases.0":{},"biases.0":'),
        "header: is not valid JSON: key 'biases.0' occurs twice",
    ),
    "entry key twice": (in_text(b'"dtype":', b'"dtype":"F32","dtype":'), "key 'dtype' occurs twi"),
    "fields not JSON": (
        in_header(lambda h: h["__metadata__"].update(xpnet="{format: 1}")),
        "metadata field 'xpnet': is not valid JSON",
    ),
    "fields a list": (in_fields(lambda f: [1]), "metadata field 'xpnet': is [1], not a JSON ob"),
    "fields NaN": (
        in_fields(lambda f: f["training"].update(a=float("nan"))),
        "NaN is not a number",
    ),
    "fields infinite": (
        in_text(rb"\"epochs\":5", rb"\"epochs\":1e999"),
        "metadata field 'xpnet': is not valid JSON: Out of range",
    ),
    "fields half a character": (
        in_text(rb"\"epochs\":5", rb"\"epochs\":\"\\ud800\""),
        "metadata field 'xpnet': is not valid JSON",
    ),
    "field twice": (in_text(rb"{\"arch", rb"{\"library\":\"1\",\"arch"), "'library' occurs twice"),
    "no checksum": (in_fields(lambda f: f.pop("sha256") and None), "checksum (SHA-256): does not"),
    "checksum null": (in_fields(lambda f: f.update(sha256=None)), "checksum (SHA-256): does not"),
    "checksum zero": (in_fields(lambda f: f.update(sha256="0" * 64)), "checksum (SHA-256): does"),
    "checksum case": (
        in_fields(lambda f: f.update(sha256=f["sha256"].upper())),
        "checksum (SHA-256): does not match the contents; the file is damaged",
    ),
    "seed changed": (in_fields(lambda f: f["architecture"].update(seed=4)), "checksum (SHA-256)"),
    "summary changed": (in_fields(lambda f: f.update(training=None)), "checksum (SHA-256)"),
    "weight changed": (lambda data: data[:-1] + bytes([data[-1] ^ 1]), "checksum (SHA-256)"),
    "tensors swapped": (
        in_header(lambda h: h | {"weights.0": h["weights.1"], "weights.1": h["weights.0"]}),
        "checksum (SHA-256)",
    ),
    "entry null": (
        in_header(lambda h: h.update({"biases.0": None})),
        "must have exactly dtype, sh",
    ),
    "entry text": (
        in_header(lambda h: h.update({"biases.0": "x"})),
        "tensor 'biases.0': must have",
    ),
    "entry more": (entry("biases.0", file="/etc/passwd"), "tensor 'biases.0': must have exactly"),
    "entry less": (
        in_header(lambda h: h["biases.0"].pop("shape") and None),
        "tensor 'biases.0': must have exactly",
    ),
    "dtype unknown": (entry("biases.0", dtype="F33"), "tensor 'biases.0': dtype is 'F33'"),
    "dtype list": (entry("biases.0", dtype=["F32"]), "tensor 'biases.0': dtype is ['F32']"),
    "dtype wider": (entry("biases.0", dtype="F64"), "shape [4] of F64 needs 32 bytes, data_off"),
    "dtype same size": (
        in_header(
            lambda h: (
                h
                | {
                    "biases.0": h["biases.0"] | {"dtype": "I64", "shape": [2]},
                }
            )
        ),
        "checksum (SHA-256)",
    ),
    "shape negative": (entry("biases.0", shape=[-4]), "tensor 'biases.0': shape is [-4]"),
    "shape real": (entry("biases.0", shape=[4.0]), "tensor 'biases.0': shape is [4.0]"),
    "shape true": (entry("biases.0", shape=[True]), "tensor 'biases.0': shape is [True]"),
    "shape number": (entry("biases.0", shape=4), "tensor 'biases.0': shape is 4"),
    "shape text": (entry("biases.0", shape="4"), "tensor 'biases.0': shape is '4'"),
    "shape other": (entry("biases.0", shape=[5]), "shape [5] of F32 needs 20 bytes, data_offsets"),
    "shape overflows": (entry("biases.0", shape=[2**62, 2**62]), "needs 850705917302346158658436"),
    "shape beyond": (entry("biases.0", shape=[2**64]), "tensor 'biases.0': shape is [1844674407"),
    "shape deep": (entry("biases.0", shape=[1] * 100 + [4]), "not a list of at most 8 sizes"),
    "shape zero": (entry("biases.0", shape=[0, 10**9]), "shape [0, 1000000000] of F32 needs 0"),
    "offsets missing": (entry("biases.0", data_offsets=[]), "data_offsets is []"),
    "offsets three": (entry("biases.0", data_offsets=[0, 8, 16]), "data_offsets is [0, 8, 16]"),
    "offsets backwards": (entry("biases.0", data_offsets=[16, 0]), "data_offsets is [16, 0]"),
    "offsets negative": (entry("biases.0", data_offsets=[-16, 0]), "data_offsets is [-16, 0]"),
    "offsets real": (entry("biases.0", data_offsets=[0.0, 16.0]), "data_offsets is [0.0, 16.0]"),
    "offsets text": (entry("biases.0", data_offsets="0,16"), "data_offsets is '0,16'"),
    "offsets beyond": (entry("weights.1", data_offsets=[2**62, 2**62 + 32]), "begins at byte"),
    "overlap": (
        in_header(lambda h: h | {"weights.1": h["weights.1"] | {"data_offsets": [0, 32]}}),
        "begins at byte",
    ),
    "gap": (
        in_header(lambda h: h.pop("biases.1") and None),
        "begins at byte",
    ),
}


@pytest.mark.parametrize("case", CONTAINER)
def test_a_container_that_is_malformed_is_refused_by_name(path, case):
    change, expected = CONTAINER[case]
    data = good_bytes(path)
    changed = change(data)
    assert changed != data
    path.write_bytes(changed)
    with pytest.raises(FileError) as caught:
        load_model(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert expected in str(caught.value)
    assert str(caught.value).isascii()
    assert len(str(caught.value)) < 700


def test_the_corpus_has_at_least_80_malformed_files_and_the_good_one_loads(path):
    assert len(MEANING) + len(CONTAINER) >= 150
    good_bytes(path)
    assert same_content(load_model(path), load_model(path))


@pytest.mark.parametrize("kind", ["missing", "directory", "pipe", "device", "null byte"])
def test_what_is_no_file_is_refused(tmp_path, kind):
    os.mkfifo(tmp_path / "pipe")
    places = {
        "missing": tmp_path / "no",
        "directory": tmp_path,
        "pipe": tmp_path / "pipe",
        "device": "/dev/zero",
        "null byte": f"{tmp_path}/a\0b",
    }
    messages = {
        "missing": "cannot be read: No such file or directory; correct the path",
        "directory": "this is a directory; name the file inside it",
        "pipe": "this is a device or pipe; name an ordinary file",
        "device": "this is a device or pipe; name an ordinary file",
        "null byte": "cannot be read: ",
    }
    with pytest.raises(FileError) as caught:
        load_model(places[kind])
    assert messages[kind] in str(caught.value)


def test_random_mutations_are_refused_or_change_nothing(tmp_path):
    counts = mutate_model(KEPT, 3000, tmp_path)
    allowed = {"mutations", "refused", "same content", "refused without the file's name"}
    assert set(counts) <= allowed, counts
    assert counts["refused without the file's name"] == 0
    assert counts["refused"] >= 2900


def test_every_single_bit_flip_is_refused_or_changes_nothing(tmp_path):
    data, victim = KEPT.read_bytes(), tmp_path / "flipped"
    original = load_model(KEPT)
    refused = 0
    for at in range(len(data)):
        changed = bytearray(data)
        changed[at] ^= 1 << random.Random(at).randrange(8)
        victim.write_bytes(changed)
        try:
            model = load_model(victim)
        except FileError:
            refused += 1
        else:
            assert same_content(model, original)
    assert refused >= len(data) - 5


def test_memory_is_bounded_by_the_size_of_the_file(path):
    """A small file that claims to be huge costs nothing; a hostile header a fixed multiple."""
    hostile = [
        length(2**63)(good_bytes(path)),
        entry("biases.0", shape=[2**31, 2**31])(good_bytes(path)),
        header_of("[" + "{}," * 100_000 + "{}]")(b""),
    ]
    for data in hostile:
        path.write_bytes(data)
        tracemalloc.start()
        with pytest.raises(FileError):
            load_model(path)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 100_000 + 60 * len(data)


def test_300_000_empty_tensors_are_refused_quickly(path):
    fields, _ = parts()
    entries = {
        f"t{i}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for i in range(50_000)
    }
    text = json.dumps(entries).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text)
    with pytest.raises(FileError, match="not written by xpnet"):
        load_model(path)
    write_container(path, "model", 1, fields, {f"t{i}": np.zeros(0) for i in range(5000)})
    with pytest.raises(FileError, match=r"tensor 'biases\.0': is missing"):
        load_model(path)


def test_loading_runs_no_code_and_opens_no_other_file(path):
    """An audit hook sees every open, import, exec and process; it cannot be removed again."""
    save_model(path, example())
    script = """
        import sys
        from xpnet.model_file import load_model
        load_model(sys.argv[1])  # imports what it needs
        seen = []
        def hook(event, arguments):
            if recording:
                seen.append((event, arguments))
        recording = False
        sys.addaudithook(hook)
        recording = True
        model = load_model(sys.argv[1])
        recording = False
        for event, arguments in seen:
            print(event, arguments[0] if arguments else "")
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), path],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[1],
    )
    assert done.returncode == 0, done.stderr
    opened = [line for line in done.stdout.splitlines() if line.startswith("open ")]
    assert opened == [f"open {path}"]
    forbidden = ("exec", "compile", "import", "marshal", "pickle", "subprocess", "os.", "ctypes")
    assert not [line for line in done.stdout.splitlines() if line.startswith(forbidden)]


def test_containers_hold_whole_numbers_and_scalars_too(path):
    tensors = {"i": np.arange(3), "s": np.array(2.5), "e": np.zeros((0, 3), "f4")}
    write_container(path, "checkpoint", 1, {"a": [1]}, deepcopy(tensors))
    fields, read = read_container(path, "checkpoint", 1)
    assert fields == {"a": [1], "library": xpnet.__version__}
    for name, array in tensors.items():
        assert read[name].dtype == array.dtype
        assert np.array_equal(read[name], array)
        assert read[name].shape == array.shape


def test_a_model_of_the_command_predicts_raw_tables_and_its_network_alone_warns(tmp_path):
    from xpnet.tables import read_table

    table, path = tmp_path / "t.csv", tmp_path / "m.safetensors"
    rows = "".join(f"{100 + i},{'ab'[i % 2]},{i % 2}\n" for i in range(40))
    table.write_text("a,b,y\n" + rows)
    prepared = prepare(read_table(table), "y")
    net = MLP([3, 4, 1], output="sigmoid", seed=1)
    save_model(path, net, preprocessing=prepared.preprocessing)
    columns = load_model(path).predict(table)
    outputs = net.predict(prepared.x)[:, 0]
    np.testing.assert_allclose(columns["probability of 1"], outputs, rtol=1e-6)
    with pytest.warns(UserWarning, match="takes inputs as `xpnet train` prepared them"):
        xpnet.load(path)
    net.save(path)
    with pytest.raises(InputError, match="holds a network alone"):
        load_model(path).predict(table)
