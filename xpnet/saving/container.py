"""The container of xpnet's own files: safetensors, one JSON string of fields, one SHA-256.

Any safetensors reader opens them. Only arrays and JSON values come out; no code runs and no other
file is opened. The checksum covers the fields and every tensor, so that no change goes unnoticed.

The fields are in a single string, checksum included, because safetensors (a Rust ``HashMap``)
writes several metadata strings in arbitrary order, and equal contents should give equal bytes.
"""

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

import xpnet
from xpnet.backend.files import atomic_write, require_ordinary
from xpnet.errors import FileError, InputError

MAX_TENSORS = 10_000  # a network has two for each layer, a checkpoint a few times as many
Arrays = dict[str, NDArray[Any]]
PathLike = str | os.PathLike[str]
Refuse = Callable[..., NoReturn]


def write_container(
    path: PathLike, kind: str, version: int, fields: Mapping[str, Any], tensors: Arrays
) -> None:
    """Write `fields` (JSON values) and `tensors` in one atomic step; equal ones give equal bytes.

    `kind` is "model" or "checkpoint". Raises `InputError` for a field that is not a JSON value (NaN
    is not), and `SaveError` if the file cannot be written.
    """
    from safetensors.numpy import save

    head = {"format": f"xpnet {kind}", "format_version": version, "library": xpnet.__version__}
    tensors = {
        name: np.asarray(array, array.dtype.newbyteorder("<"), order="C")
        for name, array in tensors.items()
    }
    try:
        content = json.loads(_canonical(head | dict(fields), allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        message = f"{os.fspath(path)}: a field cannot be stored as JSON: {error}."
        raise InputError(message) from error
    text = _canonical(content | {"sha256": checksum(content, tensors)})
    with atomic_write(path) as file:
        file.write(save(tensors, {"xpnet": text}))


def read_container(path: PathLike, kind: str, newest: int) -> tuple[dict[str, Any], Arrays]:
    """Read the fields and tensors of a file of `kind`, in a format version up to `newest`.

    The fields are those given to `write_container` plus "format_version" and "library", the version
    of xpnet that wrote them. Raises `FileError` for anything not exactly right, with the file, the
    field and what was found.
    """
    refuse = refusal(path)
    fields, tensors = _content(path, refuse)
    file_format, version = fields.get("format"), fields.get("format_version")
    if file_format != f"xpnet {kind}":
        problem = f"is {file_format!a:.80}, not 'xpnet {kind}'"
        refuse("format", problem, f"name a {kind} file")
    if type(version) is not int or not 1 <= version <= newest:
        refuse(
            "format_version",
            f"is {version!a:.80}, by xpnet {fields.get('library')!a:.80}, but this "
            f"xpnet {xpnet.__version__} reads 1 to {newest}",
            "update xpnet (pip install --upgrade xpnet)",
        )
    if fields.pop("sha256", None) != checksum(fields, tensors):
        refuse("checksum (SHA-256)", "does not match the contents")
    del fields["format"]
    return fields, tensors


def refusal(
    path: PathLike,
    usual_remedy: str = "the file is damaged: restore it from a copy, or save it again",
) -> Refuse:
    """Return the function that raises the `FileError` for a field of this file."""

    def refuse(field: str, problem: str, remedy: str = usual_remedy) -> NoReturn:
        raise FileError(f"{os.fspath(path)}: {field}: {problem}; {remedy}.")

    return refuse


def checksum(fields: Mapping[str, Any], tensors: Arrays) -> str:
    """Return a SHA-256 over the fields, then over name, type, shape and bytes of each tensor."""
    sha256 = hashlib.sha256(_canonical(fields).encode())
    for name in sorted(tensors):
        array = tensors[name]
        sha256.update(json.dumps([name, array.dtype.str, list(array.shape)]).encode())
        sha256.update(array.reshape(-1).view(np.uint8).data)
    return sha256.hexdigest()


def _canonical(fields: Mapping[str, Any], *, allow_nan: bool = True) -> str:
    options: Any = {"sort_keys": True, "separators": (",", ":"), "allow_nan": allow_nan}
    return json.dumps(fields, default=_item, **options)


def _item(value: Any) -> Any:
    """Return a NumPy number, such as an option may be, as a Python number."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} {value!a:.80}")


def _content(path: PathLike, refuse: Refuse) -> tuple[dict[str, Any], Arrays]:
    """Read the fields, which are a JSON object, and all tensors."""
    from safetensors import SafetensorError, safe_open

    try:
        require_ordinary(path)
        with safe_open(path, "numpy") as file:
            text = (file.metadata() or {}).get("xpnet")
            if len(file.keys()) > MAX_TENSORS:
                refuse("the contents", f"are {len(file.keys()):,} tensors", "name a model file")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except FileError:
        raise
    except OSError as error:
        message = f"{os.fspath(path)}: cannot be read: {error.strerror or error}"
        raise FileError(f"{message}; correct the path.") from error
    except (SafetensorError, TypeError, ValueError, AttributeError) as error:
        problem = str(error).removeprefix("Error while deserializing header: ")
        remedy = "name a model file or checkpoint of xpnet; restore it from a copy if it is damaged"
        refuse("the contents", f"not in safetensors format ({problem!a:.80})", remedy)
    if text is None:
        refuse("field 'xpnet'", "is missing", "this file was not written by xpnet")
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError) as error:
        refuse("field 'xpnet'", f"is not valid JSON ({str(error)!a:.80})")
    if not isinstance(fields, dict):
        refuse("field 'xpnet'", f"is {fields!a:.80}, not a JSON object")
    return fields, tensors
