"""Errors that the caller can fix: each says where, what was found, and the remedy."""

from collections.abc import Callable, Mapping
from numbers import Integral, Real
from types import MappingProxyType
from typing import Any

_RULES: dict[str, Callable[[float], bool]] = {
    "must be finite and above 0": lambda value: 0.0 < value < float("inf"),
    "must be finite and >= 0": lambda value: 0.0 <= value < float("inf"),
    "must be finite and >= 1": lambda value: 1.0 <= value < float("inf"),
    "must be from 0 to 1": lambda value: 0.0 <= value <= 1.0,
    "must be >= 0 and below 1": lambda value: 0.0 <= value < 1.0,
}


class XpnetError(Exception):
    """Base of every error that the caller can fix; the message says all, without a traceback.

    Attributes
    ----------
    argument : str
        The argument at fault, if the message begins with its name, which the command line has to
        replace by its option.
    repair : mapping
        Settings that may help, such as ``{"learning_rate": 0.01}``; as in a `Finding`.
    """

    argument = ""
    repair: Mapping[str, Any] = MappingProxyType({})


class InputError(XpnetError, ValueError):
    """A value, shape or option that cannot be used."""


class InputTypeError(XpnetError, TypeError):
    """An argument of an unusable kind (object or complex arrays, wrong types)."""


class DeviceError(XpnetError, RuntimeError):
    """A device cannot be used; the message says why, and what to install."""


class FileError(XpnetError, ValueError):
    """A file that cannot be read as what it should be: table, model or checkpoint."""


class SaveError(XpnetError, OSError):
    """A result could not be written; what was there before is intact."""


class DivergenceError(XpnetError, ArithmeticError):
    """Training ran away; the network holds its last good weights.

    Attributes
    ----------
    measured : str
        What happened, without the remedy.
    """

    def __init__(
        self, message: str, measured: str = "", repair: dict[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.measured, self.repair = measured or message, repair or {}


def bad_argument(name: str, value: object, remedy: str) -> InputError:
    """Return the error for an argument: its name, its value, and the remedy."""
    error = InputError(f"{name} {value!r} {remedy}")
    error.argument = name
    return error


def check_numbers(rule: str, **arguments: Any) -> None:
    """Refuse arguments that are not numbers or break the rule; its text is the remedy."""
    for name, value in arguments.items():
        if not isinstance(value, Real) or not _RULES[rule](float(value)):
            raise bad_argument(name, value, rule)


def check_integers(least: int, **arguments: Any) -> None:
    """Refuse arguments that are not integers >= `least`."""
    for name, value in arguments.items():
        if not isinstance(value, Integral) or value < least:
            raise bad_argument(name, value, f"must be an integer >= {least}")
