"""Errors that the caller can fix: each says where, what was found, and the remedy."""


class XpnetError(Exception):
    """Base of every error that the caller can fix; one message, no traceback needed."""


class InputError(XpnetError, ValueError):
    """A value, shape or option that cannot be used."""


class InputTypeError(XpnetError, TypeError):
    """An argument of an unusable kind (object or complex arrays, wrong types)."""


class DeviceError(XpnetError, RuntimeError):
    """The device asked for cannot be used; says why and what to install."""


class FileError(XpnetError, ValueError):
    """A file that cannot be read as what it should be: table, model or checkpoint."""


class SaveError(XpnetError, OSError):
    """A result could not be written; what was there before is intact."""


class DivergenceError(XpnetError, ArithmeticError):
    """Training ran away; the network holds its last good weights."""
