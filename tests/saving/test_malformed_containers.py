"""A corpus of model files whose bytes are wrong, mutations, and what is no file at all.

Each case of the corpus: the change to a good file, and what the message says.
"""

import json
import os
import random
import tracemalloc

import numpy as np
import pytest
from crash_runs import mutate_model, same_content
from model_examples import KEPT, good_bytes, parts
from test_malformed_models import MEANING

from xpnet.errors import FileError
from xpnet.saving.container import write_container
from xpnet.saving.model import load_model


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
    "dtype wider": (entry("biases.0", dtype="F64"), "shape [4] of F64 needs 32 bytes, but"),
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
    "shape other": (entry("biases.0", shape=[5]), "shape [5] of F32 needs 20 bytes, but data_"),
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
    assert str(caught.value).startswith(f"{places[kind]}: {messages[kind]}")


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
