# Copyright (c) mmdiffkd contributors.
"""Mistakes in a user's set-up: their exceptions, and hints for names."""

from collections.abc import Iterable
from difflib import get_close_matches


class UserError(ValueError):
    """A wrong config, file or command line, told in one readable message.

    The message says what is wrong, where, and what to do. The
    commands print it without a traceback and exit with code 2; everything
    else is a defect of the program and keeps its traceback.
    """


class ConfigKindError(UserError, TypeError):
    """A config entry of the wrong kind; MMRazor raises a TypeError there."""


class ConfigNameError(UserError, AssertionError):
    """A config entry that names what is not there; MMRazor asserts that."""


class NonFiniteLossError(UserError, FloatingPointError):
    """A loss is NaN or infinite; the message names which, and when."""


def closest(name: str, names: Iterable[str], count: int = 3) -> str:
    """A hint such as ``; the closest are 'a', 'b'`` for a misspelt name."""
    matches = get_close_matches(str(name), list(names), n=count, cutoff=0.3)
    if not matches:
        return ''
    return '; the closest are ' + ', '.join(f"'{m}'" for m in matches)
