"""The symbols of a shared library, read from its file (ELF, 64 bit, little-endian)."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

SYMBOLS, DYNAMIC_SYMBOLS = 2, 11  # types of section: what the linker kept, what the loader needs
FUNCTION = 2


class Symbol(NamedTuple):
    """A name with its kind, whether this file defines it, and its address within the file."""

    name: str
    kind: int
    defined: bool
    address: int


def symbols(path: Path, section_type: int) -> Iterator[Symbol]:
    """Yield the symbols of one type of section."""
    data = path.read_bytes()
    (table,) = struct.unpack_from("<Q", data, 0x28)
    size, count = struct.unpack_from("<HH", data, 0x3A)
    sections = [struct.unpack_from("<IIQQQQIIQQ", data, table + i * size) for i in range(count)]
    for _, kind, _, _, start, length, link, *_ in sections:
        if kind != section_type:
            continue
        names = sections[link][4]
        for at in range(start, start + length, 24):
            name, info, _, section, address, _ = struct.unpack_from("<IBBHQQ", data, at)
            end = data.index(b"\0", names + name)
            yield Symbol(data[names + name : end].decode(), info & 15, section != 0, address)
