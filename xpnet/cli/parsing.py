"""How options are parsed: each command's are a frozen dataclass, read here as Typer wants them.

A docstring is the command's help; a field is an option: its default and its help. The same object
is parsed, used, written into reports, and turned back into a command.
"""

import inspect
from collections.abc import Callable
from dataclasses import MISSING, Field, field, fields
from functools import partial
from typing import Any, get_type_hints

import typer

from xpnet.errors import InputError


def option(default: Any, help: str) -> Any:
    """Return the field of an option."""
    return field(default=default, metadata={"help": help})


def argument(name: str, help: str, default: Any = MISSING) -> Any:
    """Return the field of an argument, which is given by its place."""
    return field(default=default, metadata={"help": help, "argument": name})


DATA = "CSV, TSV, NPY or IDX file (each also .gz), Parquet or NPZ; - is CSV on standard input."
JSON = "Print one JSON object on standard output."
DEVICE = "cpu, gpu or gpu:N."
ENCODING = "Encoding of CSV and TSV files; found if left out, like the next three."
DELIMITER = "Delimiter of CSV files."
DECIMAL = "Decimal sign of CSV and TSV files"
NO_HEADER = "CSV and TSV files have no line of names; columns are x0, x1, ..."


def parser(options: type, command: Callable[[Any], Any]) -> Callable[..., Callable[[], Any]]:
    """Return a function for Typer: its parameters are the fields of a dataclass, but for LEFT_OUT.

    Called with them, it returns the command, ready to be run: Typer only parses. Empty texts, as of
    an unset variable of the shell, are refused.
    """
    left_out = getattr(options, "LEFT_OUT", ())
    known = [each for each in fields(options) if each.name not in left_out]
    hints = get_type_hints(options)

    def parse(**given: Any) -> Callable[[], Any]:
        for each in known:
            if given[each.name] in ("", [""]) and "argument" not in each.metadata:
                name = flag(each.name)
                raise InputError(f"{name} '': it is empty; give a value, or leave it out")
        return partial(command, options(**given))

    parameters = [
        inspect.Parameter(each.name, inspect.Parameter.KEYWORD_ONLY, default=_described(each))
        for each in known
    ]
    parse.__annotations__ = {each.name: hints[each.name] for each in known}
    parse.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return parse


def _described(each: "Field[Any]") -> Any:
    """Return what Typer calls an `Argument` or `Option`."""
    name, text = each.metadata.get("argument"), each.metadata["help"]
    if name:
        default = ... if each.default is MISSING else each.default
        return typer.Argument(default, metavar=name, help=text)
    return typer.Option(each.default, flag(each.name), help=text)


OPTION_OF = {"learning_rate": "lr", "hidden": "activation", "max_iter": "epochs"}
"""The options that are called otherwise than the library's arguments and settings."""


def flag(name: str) -> str:
    """Write a field's name as its option."""
    return "--" + name.rstrip("_").replace("_", "-")  # as_ is no keyword of Python's
