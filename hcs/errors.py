"""Every error that hcs raises on purpose. A message gives the value, the cause and the remedy, in one sentence."""

from __future__ import annotations


class HcsError(Exception):
    """Base of all errors a user is expected to read; the command line prints the message without a traceback."""


class ConfigError(HcsError, ValueError):
    """A setting, option or file of settings is wrong, or does not fit what it is used with."""


class PlateError(HcsError, ValueError):
    """A plate, its metadata or its plate map cannot be used as a whole."""


class ResultsError(HcsError, OSError):
    """A results folder cannot be read, written or resumed."""


class WorkersError(HcsError, RuntimeError):
    """Workers cannot be had any more: their scheduler is gone, or they die wherever they begin. What they finished is
    kept."""


class FieldError(HcsError, RuntimeError):
    """One field cannot be processed; the others go on.

    ``key`` is the field's name as users write it (``B03/0``).
    """

    def __init__(self, key: object, message: str) -> None:
        super().__init__(f"field {key}: {message}")
        self.key = str(key)
        self.reason = message

    def __reduce__(self) -> tuple[type[FieldError], tuple[str, str]]:
        """Pickle by the two arguments, so that the error survives the way back from a worker."""
        return (type(self), (self.key, self.reason))
