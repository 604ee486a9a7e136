"""A corpus of model files whose bytes or whose meaning is wrong, and mutations.

Each case of the corpus: the change to a good file, and what the message says.
"""

import json
import os
import tracemalloc

import numpy as np
import pytest
from crash_runs import mutate_model
from model_examples import KEPT, good_bytes, parts

import xpnet
from xpnet.errors import FileError
from xpnet.saving.container import write_container
from xpnet.saving.model import load_model


def with_header(text, body=b""):
    return len(text).to_bytes(8, "little") + text + body


def in_header(change):
    """Change the parsed header; the file is packed again around it."""

    def apply(data):
        size = int.from_bytes(data[:8], "little")
        header = json.loads(data[8 : 8 + size])
        change(header)
        return with_header(json.dumps(header).encode(), data[8 + size :])

    return apply


def fields_text(change):
    """Change the text of the fields."""

    def apply(header):
        text = header["__metadata__"]["xpnet"]
        header["__metadata__"]["xpnet"] = change(text)
        assert header["__metadata__"]["xpnet"] != text

    return in_header(apply)


def entry(**changes):
    return in_header(lambda header: header["biases.0"].update(changes))


FORMAT, CHECKSUM = "the contents: not in safetensors format (", "checksum (SHA-256): does not match"
CONTAINER = {
    "empty": (lambda data: b"", FORMAT),
    "pickle": (lambda data: b"\x80\x04\x95" + bytes(100), FORMAT),
    "length absurd": (lambda data: b"\xff" * 8 + data[8:], FORMAT),
    "truncated header": (lambda data: data[:100], FORMAT),
    "trailing byte": (lambda data: data + b"\0", FORMAT),
    "deep": (lambda data: with_header(b"[" * 100_000), FORMAT),
    "dtype of the same size": (entry(dtype="I64", shape=[2]), CHECKSUM),
    "shape deep": (entry(shape=[1] * 100 + [4]), FORMAT),
    "overlap": (in_header(lambda h: h["weights.1"].update(data_offsets=[0, 32])), FORMAT),
    "other program": (in_header(lambda h: h.pop("__metadata__")), "not written by xpnet"),
    "fields not JSON": (fields_text(lambda text: "{format: 1}"), "'xpnet': is not valid JSON"),
    "fields a list": (fields_text(lambda text: "[1]"), "field 'xpnet': is [1], not a JSON object"),
    "fields deep": (fields_text(lambda text: "[" * 100_000), "'xpnet': is not valid JSON"),
    "field NaN": (fields_text(lambda text: text.replace(":5", ":NaN")), CHECKSUM),
    "field infinite": (fields_text(lambda text: text.replace(":5", ":1e999")), CHECKSUM),
    "field changed": (fields_text(lambda text: text.replace('"seed":3', '"seed":4')), CHECKSUM),
    "field's type changed": (
        fields_text(lambda text: text.replace('"epochs":5', '"epochs":5.0')),
        CHECKSUM,
    ),
    "weight changed": (lambda data: data[:-1] + bytes([data[-1] ^ 1]), CHECKSUM),
    "tensors swapped": (
        in_header(lambda h: h.update({"biases.0": h["biases.1"], "biases.1": h["biases.0"]})),
        CHECKSUM,
    ),
}


def refused(path):
    with pytest.raises(FileError) as caught:
        load_model(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert message.isascii()
    assert "\n" not in message
    assert len(message) < 500
    return message


@pytest.mark.parametrize("case", CONTAINER)
def test_a_file_that_is_malformed_is_refused_by_name(path, case):
    change, expected = CONTAINER[case]
    path.write_bytes(change(good_bytes(path)))
    assert expected in refused(path)


def field(name, value):
    return lambda fields, tensors: fields.update({name: value})


def architecture(**changes):
    return lambda fields, tensors: fields["architecture"].update(changes)


def tensor(name, change):
    return lambda fields, tensors: tensors.update({name: change(tensors[name])})


NO_CHECKPOINT = "format: is 'xpnet checkpoint', not 'xpnet model'; name a model file"
MEANING = {
    "newer format": (
        field("format_version", 5),
        f"is 5, by xpnet '0.1.0', but this xpnet {xpnet.__version__} reads 1 to 4; update xpnet",
    ),
    "format true": (field("format_version", True), "format_version: is True"),
    "a checkpoint": (field("format", "xpnet checkpoint"), NO_CHECKPOINT),
    "preprocessing list": (field("preprocessing", [1]), "preprocessing: found [1]"),
    "architecture a list": (field("architecture", [1]), "architecture: is not of a network"),
    "architecture extra": (architecture(layers=3), "MLP.__init__() got an unexpected keyword"),
    "no seed": (lambda fields, _: fields["architecture"].pop("seed"), "KeyError('seed')"),
    "no init": (lambda fields, _: fields["architecture"].pop("init"), "KeyError('init')"),
    "seeds a number": (field("other_seeds", 3), "architecture: is not of a network"),
    "no sizes": (architecture(sizes=[]), "do not fit the layer sizes []"),
    "size huge": (architecture(sizes=[3, 2**40, 2]), "the layer sizes [3, 1099511627776, 2]"),
    "size real": (
        architecture(sizes=[3, 4.0, 2]),
        "sizes [3, 4.0, 2] must be two or more integers",
    ),
    "size list": (architecture(sizes=[3, [4], 2]), "the layer sizes [3, [4], 2]"),
    "unknown activation": (architecture(hidden=["swoosh"]), "activation 'swoosh' is"),
    "hidden two": (architecture(hidden=["tanh", "tanh"]), "has 2 entries for 1 hidden layers"),
    "dtype object": (architecture(dtype={}), "is float32, or not finite; needed is {}"),
    "dropout 1": (architecture(dropout=[1.0]), "dropout 1.0 must be >= 0 and below"),
    "tensor missing": (
        lambda _, tensors: tensors.pop("weights.1"),
        "tensors ['weights.1']: do not",
    ),
    "tensor extra": (
        lambda fields, tensors: tensors.update({"weights.2": np.zeros((2, 2), "f4")}),
        "tensors ['weights.2']: do not fit the layer sizes [3, 4, 2]",
    ),
    "tensor transposed": (tensor("weights.1", np.transpose), "tensors ['weights.1']: do not fit"),
    "tensor NaN": (
        tensor("weights.0", lambda w: w * np.nan),
        "'weights.0': is float32, or not fin",
    ),
    "tensor wider": (tensor("biases.1", lambda b: b.astype("f8")), "'biases.1': is float64"),
}


@pytest.mark.parametrize("case", MEANING)
def test_a_file_whose_meaning_is_wrong_is_refused_by_name(path, case):
    change, expected = MEANING[case]
    fields, tensors = parts()
    with np.errstate(divide="ignore"):
        change(fields, tensors)
    write_container(path, "model", 1, fields, tensors)
    assert expected in refused(path)


NO_FILES = {
    "missing": ("no", "cannot be read: No such file or directory; correct the path"),
    "directory": ("", "this is a directory; name the file inside it"),
    "pipe": ("pipe", "this is a device or pipe; name an ordinary file"),
    "device": ("/dev/zero", "this is a device or pipe; name an ordinary file"),
    "null byte": ("a\0b", "embedded null byte"),
}


@pytest.mark.parametrize("case", NO_FILES)
def test_what_is_no_file_is_refused(tmp_path, case):
    os.mkfifo(tmp_path / "pipe")
    name, expected = NO_FILES[case]
    assert expected in refused(os.path.join(tmp_path, name))


def test_random_mutations_are_refused_or_change_nothing(tmp_path):
    counts = mutate_model(KEPT, 500, tmp_path)
    allowed = {"mutations", "refused", "same content", "refused without the file's name"}
    assert set(counts) <= allowed, counts
    assert counts["refused without the file's name"] == 0
    assert counts["refused"] >= 475


def test_memory_is_bounded_by_the_size_of_the_file(path):
    """A small file that claims to be huge costs nothing; a hostile header a fixed multiple."""
    hostile = [
        b"\0" * 7 + b"\x80" + good_bytes(path)[8:],
        entry(shape=[2**31, 2**31])(good_bytes(path)),
        with_header(b"[" + b"{}," * 100_000 + b"{}]"),
    ]
    for data in hostile:
        path.write_bytes(data)
        tracemalloc.start()
        refused(path)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 100_000 + 60 * len(data)
