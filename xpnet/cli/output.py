"""Printing: results on standard output, everything else on standard error.

Either may have an encoding without all of Unicode, and standard error may be closed or unread.
"""

import json
import math
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, TextIO

from xpnet.backend.files import atomic_write, probe_writable
from xpnet.errors import InputError, SaveError

DELIMITERS = {".csv": ",", ".tsv": "\t", ".txt": ",", "": ","}
PARQUET = (".parquet", ".pq")
speaker = ""  # who says it, where several processes might


def say(text: str) -> None:
    """Print a message on standard error; if nobody reads it, that must not stop the work."""
    try:
        _write(sys.stderr, f"{speaker}{text}\n")
    except OSError:
        discard(2)


def discard(descriptor: int) -> None:
    """Write nothing more to a stream, not even at exit, which would fail again."""
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), descriptor)


@contextmanager
def silenced() -> Iterator[None]:
    """Within the block, discard what libraries write to standard error."""
    with ExitStack() as restored:
        with suppress(OSError):  # or it is closed
            kept = os.dup(2)
            restored.callback(os.close, kept)
            restored.callback(os.dup2, kept, 2)
            discard(2)
        yield


def show(text: str) -> None:
    """Print a result on standard output; raise SaveError if that is closed."""
    if sys.stdout is None:
        raise SaveError("standard output is closed; send it to a file, or to /dev/null")
    _write(sys.stdout, text + "\n")


def show_report(wanted_json: bool, report: Mapping[str, Any], lines: Iterable[Any]) -> None:
    """Print a report as one JSON object, or as two aligned columns for people."""
    if wanted_json:
        show(json.dumps(_plain(report), allow_nan=False))  # what is not finite is null
    else:
        show(format_lines(lines))


def format_lines(rows: Iterable[tuple[str, str]]) -> str:
    """Return names and texts as two aligned columns."""
    return "\n".join(f"{name:<12} {text}" for name, text in rows)


def check_outputs(
    outputs: list[str], inputs: list[Any], plot: str | None = None, report: str | None = None
) -> None:
    """Refuse outputs that could not be written at the end, or would overwrite an input."""
    for out in outputs:
        if [*map(os.path.abspath, outputs)].count(os.path.abspath(out)) > 1:
            raise InputError(f"{out}: this command writes it twice; name another output.")
    there = [each for each in inputs if each and os.path.exists(each)]
    for out in outputs:
        if os.path.exists(out) and any(os.path.samefile(out, each) for each in there):
            raise InputError(f"{out}: this command reads it; name another output.")
        probe_writable(out)
    if report and os.path.splitext(report.lower())[1] not in (".html", ".htm", ""):
        raise InputError(f"{report}: reports are written as .html; name such a file.")
    if plot:
        from xpnet.report.plots import new_figure

        new_figure(plot)


def table_kind(path: str) -> str:
    """Return the suffix of a table's name; refuse one that `write_table` does not write."""
    kind = os.path.splitext(path.lower())[1]
    if kind not in (*DELIMITERS, *PARQUET):
        raise InputError(f"{path}: tables are written as .csv, .tsv or .parquet; name such a file.")
    return kind


def write_table(path: str, columns: Mapping[str, Any]) -> None:
    """Write columns of equal length to a CSV, TSV or Parquet file, whole or not at all."""
    import polars

    kind, frame = table_kind(path), polars.DataFrame(columns)
    with atomic_write(path) as file:
        if kind in PARQUET:
            frame.write_parquet(file)
        else:
            as_csv(frame, file, DELIMITERS[kind])


def as_csv(frame: Any, file: Any = None, delimiter: str = ",") -> Any:
    """Write a frame to a file, or return its text, without insignificant digits and exponents."""
    import polars

    singles = polars.col(polars.Float32)  # which would be written as float64, or in both notations
    frame = frame.with_columns(singles.cast(polars.String).cast(polars.Float64))
    return frame.write_csv(file, separator=delimiter, float_scientific=False)


def _write(stream: TextIO | None, text: str) -> None:
    if stream is not None:  # closed by whoever started the program
        encoding = stream.encoding or "utf-8"
        stream.write(text.encode(encoding, "backslashreplace").decode(encoding))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if getattr(value, "dtype", None) == "float32" and value.ndim:  # with no more digits than it has
        return [_plain(float(str(each))) for each in value]
    if hasattr(value, "tolist"):  # an array or a number of NumPy's
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)
