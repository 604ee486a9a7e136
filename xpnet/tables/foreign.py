"""Excel files and databases, each by an extra; read with Polars."""

import zipfile
from dataclasses import replace
from typing import Any

from xpnet.errors import FileError, InputError
from xpnet.tables.cells import is_number
from xpnet.tables.messages import counted, quoted, up_to_ten, without_password
from xpnet.tables.npy import check_memory, open_binary
from xpnet.tables.parquet import Frame, open_frame, reason

EXCEL = (".xlsx", ".xlsm", ".xls", ".ods")
SQLITE = "sqlite:///"
_UNNAMED, _TITLES = "__UNNAMED__", 10  # how columns without a name are called; lines above them


def open_excel(path: str, sheet: str | None) -> Frame:
    """Read a sheet of an Excel or OpenDocument file: that with cells, if only one has any."""
    import polars

    try:
        import fastexcel
    except ImportError as error:
        raise InputError(
            f"{path}: Excel files need an extra: pip install 'xpnet[excel]'"
        ) from error
    with open_binary(path) as file:
        if zipfile.is_zipfile(file):
            check_memory(path, sum(each.file_size for each in zipfile.ZipFile(file).infolist()))
    try:
        book = fastexcel.read_excel(path)
        names = [sheet] if sheet else book.sheet_names
        read = {name: _below_titles(book, name) for name in names}
        found = {name: each for name, each in read.items() if len(each[0]) or sheet}
    except (fastexcel.FastExcelError, polars.exceptions.PolarsError) as error:
        raise FileError(
            f"{path}: {reason(error)}; mend the file, or give another sheet."
        ) from error
    if len(found) != 1:
        raise InputError(
            f"{path}: name one of the sheets {up_to_ten(found or names)}: --sheet NAME"
        )
    ((frame, above),) = found.values()
    whole_days = [
        each.name
        for each in frame
        if each.dtype == polars.Datetime and (each == each.dt.truncate("1d")).all()
    ]  # Excel has no dates without time
    opened = open_frame(path, frame.with_columns(polars.col(whole_days).cast(polars.Date)).lazy())
    return replace(opened, passed_over=above)


def _below_titles(book: Any, name: str) -> tuple[Any, dict[str, str]]:
    """Return a sheet from the line on that names all columns, save one of rows' names."""
    first = None
    for titles in range(_TITLES):
        frame = book.load_sheet(name, header_row=titles, schema_sample_rows=None).to_polars()
        first = frame if first is None else first
        if frame.is_empty():
            break
        names = frame.columns
        words = not titles or not any(map(is_number, names))
        if words and not any(each.startswith(_UNNAMED) for each in names[1:]):
            above = f"{counted(titles, 'line')} above the header"
            return frame, {above: quoted(first.columns[0])} if titles else {}
    return first, {}


def open_database(address: str, query: str | None) -> Frame:
    """Read what a query gives from a database with an ADBC driver."""
    import polars

    shown = without_password(address)
    if query is None:
        raise InputError(f"{shown}: say which rows to read: --query 'SELECT * FROM ...'")
    if address.startswith(SQLITE):  # which would make a file that is not there
        with open_binary(address.removeprefix(SQLITE)) as file:
            file.read(1)
    try:
        import adbc_driver_manager

        rows = polars.read_database_uri(query, address, engine="adbc")
    except ImportError as error:
        remedy = "pip install 'xpnet[database]' (SQLite), or the database's own ADBC driver"
        raise InputError(f"{shown}: {reason(error)} {remedy}") from error
    except (adbc_driver_manager.Error, polars.exceptions.PolarsError, ValueError) as error:
        raise FileError(f"{shown}: {reason(error)}; correct the address or --query.") from error
    return open_frame(shown, rows.lazy())
