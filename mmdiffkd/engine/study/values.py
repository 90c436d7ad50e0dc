# Copyright (c) mmdiffkd contributors.
"""What a value of a study file may be."""

from math import isfinite
from typing import Any

from mmdiffkd.utils import UserError


def check_name(where: str, name: Any) -> None:
    """Raise UserError unless it is a string, and not empty."""
    if not isinstance(name, str) or not name:
        raise UserError(f'{where} must be a string, got {name!r}')


def check_keys(where: str, keys: Any) -> None:
    """Raise UserError unless it is a list of config keys, or empty."""
    if not isinstance(keys, (list, tuple)) or not all(
        isinstance(key, str) and key for key in keys
    ):
        raise UserError(f'{where} must be a list of config keys, got {keys!r}')


def check_integer(where: str, value: Any, least: int) -> None:
    """Raise UserError unless it is an integer, at least ``least``."""
    if type(value) is not int or value < least:
        raise UserError(
            f'{where} must be an integer, at least {least}, got {value!r}'
        )


def check_number(where: str, value: Any) -> None:
    """Raise UserError unless it is a finite number."""
    if type(value) not in (int, float) or not isfinite(value):
        raise UserError(f'{where} must be a number, got {value!r}')


def is_plain(value: Any) -> bool:
    """Whether a command line can take it as the value of a config key."""
    if isinstance(value, (list, tuple)):
        return all(is_plain(part) for part in value)
    return value is None or isinstance(value, (str, int, float))


def check_choice(where: str, value: Any) -> None:
    """Raise UserError unless a command line and Optuna can take it."""
    if isinstance(value, list):
        for part in value:
            check_choice(where, part)
    elif isinstance(value, float):
        check_number(where, value)
    elif not (value is None or isinstance(value, (str, int))):
        raise UserError(
            f'{where} must be numbers, strings, booleans, None or lists of '
            f'them, got {value!r}'
        )
