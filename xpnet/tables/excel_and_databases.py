"""Read Excel files and databases with Polars; all but SQLite need an extra."""

import re
import urllib.parse
import zipfile
from collections import ChainMap
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from xpnet.errors import FileError, InputError
from xpnet.tables.csv import Csv, open_csv
from xpnet.tables.messages import closest, quoted, up_to_ten, without_password
from xpnet.tables.npy import check_memory, open_binary
from xpnet.tables.parquet import Frame, open_frame, reason
from xpnet.tables.sniff import Reading

if TYPE_CHECKING:
    from sqlite3 import Connection

EXCEL = (".xlsx", ".xlsm", ".xls", ".ods")
SQLITE = "sqlite:///"
_PART = re.compile(r"(?i)\b(train(ing)?|test|valid(ation)?|hold-?out)\b")  # of the rows


def open_excel(path: str, how: Reading) -> Csv | Frame:
    """Read the sheets of an Excel or OpenDocument file that `how` wants, or that have cells.

    Several sheets with the same names of columns are one table, unless they are copies, or are
    called train and test. They are read like CSV, so that titles, totals and signs beside numbers
    are treated alike.
    """
    sheets, told = _sheets(path, how)
    import polars

    read = [_as_csv(path, how, *each) for each in sheets.values()]
    filled = [each for each in read if (each.data or b"")[each.start :].strip()]
    first, *others = found = filled or read
    if not others:
        return replace(first, guesses={**first.guesses, **told})
    parts = how.sheet is None and any(map(_PART.search, sheets))
    if all(sorted(each.names) == sorted(first.names) for each in others) and not parts:
        rows = polars.concat(_in_order(each, first.names) for each in found)
        if 2 * rows.is_duplicated().sum() <= len(rows):
            texts = first.texts.union(*(each.texts for each in others))
            passed_over = dict(ChainMap(*(each.passed_over for each in found)))
            return Frame(
                path, first.names, rows.lazy(), len(rows), texts, {}, "\t", first.decimal,
                {**first.guesses, **told}, passed_over,
            )  # fmt: skip
    raise InputError(f"{path}: name one of the sheets {up_to_ten(sheets)}: --sheet NAME")


def _as_csv(path: str, how: Reading, frame: Any, exact: Any) -> Csv:
    """Return a sheet; only texts have leading zeros, so a column with any holds codes."""
    import polars

    frame = frame.with_columns(
        polars.when(each.cast(polars.Float64, strict=False) != number)
        .then(number.cast(polars.String))
        .otherwise(each)
        for each, number in zip(frame, exact, strict=True)
    )  # texts of numbers have nine decimals
    midnight, cells = " 00:00:00", polars.all()  # Excel has no dates without a time
    whole_days = cells.str.ends_with(midnight).sum() == cells.str.contains(r":\d\d:").sum()
    days = polars.when(whole_days).then(cells.str.strip_suffix(midnight)).otherwise(cells)
    lines = frame.with_columns(days).write_csv(include_header=False, separator="\t")
    data = re.sub(r"(?m)^\t+$", "", lines).encode()  # blank lines have no cells
    csv = open_csv(path, replace(how, encoding=None, delimiter="\t", decimal=None), "\t", data)
    rows = frame[csv.line - 1 :]
    coded = {at for at, each in enumerate(rows) if each.str.contains("^0[0-9]+$").any()}
    return replace(csv, texts=csv.texts | coded)


def _in_order(sheet: Csv, names: Sequence[str]) -> Any:
    """Return all rows of a sheet, with its columns in the order of these names."""
    import polars

    rows = polars.concat(sheet.blocks())
    places = map(sheet.names.index, names)
    return rows.select(rows[:, at].alias(str(i)) for i, at in enumerate(places))


def _sheets(path: str, how: Reading) -> tuple[dict[str, tuple[Any, Any]], dict[str, str]]:
    """Return the sheets to read, each as texts and as numbers, and which they are of several."""
    try:
        import fastexcel
        import polars
    except ImportError as error:
        remedy = "Excel files need an extra: pip install 'xpnet[excel]'"
        raise InputError(f"{path}: {remedy}") from error
    with open_binary(path) as file:
        if zipfile.is_zipfile(file):
            check_memory(path, sum(each.file_size for each in zipfile.ZipFile(file).infolist()))
    try:
        book = fastexcel.read_excel(path)
        names: list[str] = book.sheet_names
        if how.sheet:
            wanted = [how.sheet] if how.sheet in names else re.split(", *", how.sheet)
            if unknown := [each for each in wanted if each not in names]:
                what = f"{path}: there is no sheet {quoted(unknown[0])}"
                raise FileError(f"{what}; {closest(unknown[0], names)}")
            names = wanted
        frames = {name: _cells(book, name, "string") for name in names}
        found = {name: each for name, each in frames.items() if len(each) > 1 or how.sheet}
        if len(found) > 1:
            fitting = {k: v for k, v in found.items() if any(map(how.fits, v[:10].rows()))}
            found = fitting or found
        sheets = {name: (each, _cells(book, name, "float")) for name, each in found.items()}
    except (fastexcel.FastExcelError, polars.exceptions.PolarsError) as error:
        remedy = "mend the file, or give another sheet"
        raise FileError(f"{path}: {reason(error)}; {remedy}.") from error
    if not sheets:
        raise InputError(f"{path}: name one of the sheets {up_to_ten(names)}: --sheet NAME")
    return sheets, {"sheet": ", ".join(sheets)} if len(frames) > 1 else {}


def _cells(book: Any, sheet: str, kind: str) -> Any:
    return book.load_sheet(sheet, header_row=None, dtypes=kind).to_polars()


def open_database(address: str, how: Reading) -> Frame:
    """Read the result of a query from a SQLite file, or a database with an ADBC driver.

    Without a query, read the only table of a SQLite file, or the one that `how` wants.
    """
    import polars

    shown = without_password(address)
    if address.startswith(SQLITE):
        return _of_sqlite(address.removeprefix(SQLITE), how)
    if how.query is None:
        raise InputError(f"{shown}: say which rows to read: --query 'SELECT * FROM ...'")
    try:
        import adbc_driver_manager

        rows = polars.read_database_uri(how.query, address, engine="adbc")
    except ImportError as error:
        remedy = "pip install 'xpnet[database]' and the database's own ADBC driver"
        raise InputError(f"{shown}: {reason(error)} {remedy}") from error
    except (adbc_driver_manager.Error, polars.exceptions.PolarsError, ValueError) as error:
        raise FileError(f"{shown}: {reason(error)}; correct the address or --query.") from error
    return open_frame(shown, rows.lazy(), how.as_texts)


def _of_sqlite(path: str, how: Reading) -> Frame:
    import sqlite3

    import polars

    with open_binary(path) as file:  # or SQLite would make a file that is not there
        file.read(1)
    address = f"file:{urllib.parse.quote(path)}?mode=ro"
    try:
        with closing(sqlite3.connect(address, uri=True)) as connection:
            chosen = how.query or f'SELECT * FROM "{_table_of(connection, path, how)}"'
            rows = polars.read_database(chosen, connection, infer_schema_length=None)
    except (sqlite3.Error, polars.exceptions.PolarsError) as error:
        raise FileError(f"{path}: {reason(error)}; correct the address or --query.") from error
    told = {} if how.query else {"query": chosen}
    return replace(open_frame(path, rows.lazy(), how.as_texts), guesses=told)


def _table_of(connection: "Connection", path: str, how: Reading) -> str:
    tables = dict[str, set[str]]()
    for table, column in connection.execute(
        "SELECT m.name, c.name FROM sqlite_master AS m, pragma_table_info(m.name) AS c"
    ):
        tables.setdefault(table, set()).add(column)
    fitting = [name for name, names in tables.items() if how.fits(names)]
    if len(tables) > 1 and len(fitting) != 1:
        named = f"name one of the tables {up_to_ten(tables)}: --query 'SELECT * FROM ...'"
        raise InputError(f"{path}: {named}")
    return (fitting or [*tables] or ["sqlite_master"])[0]
