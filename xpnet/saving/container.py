"""The container of xpnet's own files: safetensors, one JSON string of fields, one SHA-256.

Any safetensors reader opens them. Reading here trusts nothing: every length, name, type and offset
is checked before it is used, and the checksum covers the fields and every tensor. Only NumPy
arrays and JSON values come out; no code runs and no other file is opened.

The fields are in a single string, checksum included, because safetensors (a Rust ``HashMap``)
writes several metadata strings in arbitrary order, and equal contents should give equal bytes.
"""

import hashlib
import json
import math
import os
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

import xpnet
from xpnet.backend.files import atomic_write, quoted, require_ordinary
from xpnet.errors import FileError, InputError

LARGEST_HEADER = 32 * 2**20  # bytes; safetensors allows 100 MB, 20,000 columns need about 2 MB
_DTYPES: dict[str, np.dtype[Any]] = {
    "F32": np.dtype("<f4"),
    "F64": np.dtype("<f8"),
    "I64": np.dtype("<i8"),
}
_DAMAGED = "the file is damaged: restore it from a copy, or save it again"

Arrays = dict[str, NDArray[Any]]
PathLike = str | os.PathLike[str]
Refuse = Callable[..., NoReturn]


def write_container(
    path: PathLike, kind: str, version: int, fields: Mapping[str, Any], tensors: Arrays
) -> None:
    """Write `fields` (JSON values) and `tensors` (float32, float64, int64) in one atomic step.

    `kind` is "model", "checkpoint" or "cache". Equal contents give equal bytes.

    Raises
    ------
    InputError
        If a field is not a JSON value (NaN is not).
    SaveError
        If the file cannot be written.
    """
    from safetensors.numpy import save

    head = {"format": f"xpnet {kind}", "format_version": version, "library": xpnet.__version__}
    tensors = {
        name: np.asarray(array, array.dtype.newbyteorder("<"), order="C")
        for name, array in tensors.items()
    }
    try:
        content = json.loads(_canonical(head | dict(fields)))
        _require_storable(content)
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(
            f"{os.fspath(path)}: a field cannot be stored as JSON: {error}."
        ) from error
    text = _canonical(content | {"sha256": _digest(content, tensors)})
    with atomic_write(path) as file:
        file.write(save(tensors, {"xpnet": text}))


def read_container(path: PathLike, kind: str, newest: int) -> tuple[dict[str, Any], Arrays]:
    """Read the fields and tensors of a file of `kind`, in a format version up to `newest`.

    The fields are those given to `write_container` plus "library", the version that wrote them.
    The tensors are read-only and share the memory of the file's bytes.

    Raises
    ------
    FileError
        Naming the file, the field and what was found, for anything that is not exactly right.
    """
    refuse = refusal(path)
    data = _read_bytes(path)
    header, body = _split(data, refuse)
    fields = _fields(header.pop("__metadata__", None), refuse)
    _check_kind_and_version(fields, kind, newest, refuse)
    tensors = _tensors(header, body, refuse)
    found = fields.pop("sha256", None)
    if found != _digest(fields, tensors):
        refuse("checksum (SHA-256)", "does not match the contents")
    del fields["format"], fields["format_version"]
    return fields, tensors


def refusal(path: PathLike, usual_remedy: str = _DAMAGED) -> Refuse:
    """Return the function that raises the `FileError` for a field of this file."""

    def refuse(field: str, problem: str, remedy: str = usual_remedy) -> NoReturn:
        raise FileError(f"{os.fspath(path)}: {field}: {problem}; {remedy}.")

    return refuse


def _canonical(fields: Mapping[str, Any]) -> str:
    return json.dumps(fields, sort_keys=True, separators=(",", ":"), allow_nan=False, default=_item)


def _require_storable(value: Any) -> None:
    """Raise ValueError for what JSON text can hide: 1e999, half a surrogate pair."""
    json.dumps(value, allow_nan=False, ensure_ascii=False).encode("utf-8")


def _item(value: Any) -> Any:
    """NumPy's scalars and arrays as JSON values."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} {quoted(value)}")


def _digest(fields: Mapping[str, Any], tensors: Arrays) -> str:
    """SHA-256 over the canonical fields, then per tensor by name: name, type, shape, bytes."""
    digest = hashlib.sha256(_canonical(fields).encode())
    for name in sorted(tensors):
        array = tensors[name]
        digest.update(json.dumps([name, array.dtype.str, list(array.shape)]).encode())
        digest.update(array.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def _read_bytes(path: PathLike) -> bytes:
    name = os.fspath(path)
    try:
        require_ordinary(path)
        with open(path, "rb") as file:
            return file.read()
    except FileError:
        raise
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise FileError(
            f"{name}: cannot be read: {reason}; correct the path or its permissions."
        ) from error


def _split(data: bytes, refuse: Refuse) -> tuple[dict[str, Any], memoryview]:
    """Split the file into header and tensor bytes, both within its length."""
    if len(data) < 8:
        refuse("length", f"{len(data)} bytes are too few for a safetensors file")
    size = int.from_bytes(data[:8], "little")
    if not 2 <= size <= min(len(data) - 8, LARGEST_HEADER):
        refuse(
            "header length",
            f"{size:,} bytes, in a file of {len(data):,}, and at most {LARGEST_HEADER:,} allowed",
            "this is not an xpnet file, or it is damaged",
        )
    header = _parse(data[8 : 8 + size], "header", refuse)
    return header, memoryview(data)[8 + size :]


def _parse(text: bytes | str, field: str, refuse: Refuse) -> dict[str, Any]:
    """Parse a JSON object strictly: no key twice, no NaN, UTF-8."""
    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8")
        value = json.loads(text, object_pairs_hook=_without_duplicates, parse_constant=_no_number)
        _require_storable(value)
    except RecursionError:
        refuse(field, "is nested too deeply")
    except ValueError as error:
        refuse(field, f"is not valid JSON: {str(error)[:120]}")
    if not isinstance(value, dict):
        refuse(field, f"is {quoted(value)}, not a JSON object")
    return value


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for name, value in pairs:
        if name in result:
            raise ValueError(f"key {quoted(name)} occurs twice")
        result[name] = value
    return result


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a number")


def _fields(metadata: object, refuse: Refuse) -> dict[str, Any]:
    if not isinstance(metadata, dict) or not isinstance(metadata.get("xpnet"), str):
        refuse(
            "metadata field 'xpnet'",
            "is missing",
            "this file was not written by xpnet, or it is damaged",
        )
    if len(metadata) > 1:
        other = next(key for key in metadata if key != "xpnet")
        refuse(f"metadata field {quoted(other)}", "is unknown", "it was added by another program")
    return _parse(metadata["xpnet"], "metadata field 'xpnet'", refuse)


def _check_kind_and_version(fields: dict[str, Any], kind: str, newest: int, refuse: Refuse) -> None:
    found, version = fields.get("format"), fields.get("format_version")
    library = fields.get("library")
    if found != f"xpnet {kind}":
        refuse("format", f"is {quoted(found)}, not 'xpnet {kind}'", f"name a {kind} file")
    if type(version) is not int or version < 1:
        refuse("format_version", f"is {quoted(version)}, not a whole number from 1")
    if not isinstance(library, str):
        refuse("library", f"is {quoted(library)}, not the version of xpnet that wrote it")
    if version > newest:
        refuse(
            "format_version",
            f"made by xpnet {quoted(library)[1:-1]} with format {version}, but this xpnet"
            f" {xpnet.__version__} reads up to {newest}",
            "update xpnet (pip install --upgrade xpnet)",
        )


def _tensors(header: dict[str, Any], body: memoryview, refuse: Refuse) -> Arrays:
    """Return the tensors of a header whose offsets must cover `body` without gap or overlap."""
    entries = [(_entry(name, entry, refuse), name) for name, entry in header.items()]
    position, tensors = 0, {}
    for (begin, end, dtype, shape), name in sorted(entries, key=lambda e: e[0][:2]):
        if begin != position:
            refuse(f"tensor {quoted(name)}", f"begins at byte {begin:,}, not {position:,}")
        if end > len(body):
            refuse(f"tensor {quoted(name)}", f"ends at byte {end:,} of {len(body):,}: truncated")
        tensors[name] = np.frombuffer(body[begin:end], dtype).reshape(shape)
        position = end
    if position != len(body):
        refuse("tensors", f"end at byte {position:,}, but {len(body):,} follow the header")
    return tensors


def _entry(
    name: str, entry: object, refuse: Refuse
) -> tuple[int, int, np.dtype[Any], tuple[int, ...]]:
    """Return begin, end, type and shape of one tensor, which agree with one another."""
    field = f"tensor {quoted(name)}"
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        refuse(field, f"must have exactly dtype, shape and data_offsets, but has {quoted(entry)}")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _DTYPES:
        refuse(field, f"dtype is {quoted(dtype)}, not one of {', '.join(_DTYPES)}")
    if not _are_sizes(shape) or len(shape) > 8:
        refuse(field, f"shape is {quoted(shape)}, not a list of at most 8 sizes")
    if not _are_sizes(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        refuse(field, f"data_offsets is {quoted(offsets)}, not a begin and an end")
    needed = math.prod(shape) * _DTYPES[dtype].itemsize
    if needed != offsets[1] - offsets[0]:
        refuse(
            field,
            f"shape {quoted(shape)} of {dtype} needs {quoted(needed)} bytes,"
            f" but data_offsets give {quoted(offsets[1] - offsets[0])}",
        )
    return offsets[0], offsets[1], _DTYPES[dtype], tuple(shape)


def _are_sizes(value: object) -> bool:
    return isinstance(value, list) and all(type(n) is int and 0 <= n < 2**63 for n in value)
