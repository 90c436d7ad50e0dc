# Copyright (c) mmdiffkd contributors.
"""Compare values of a config with the annotations of what they are for."""

import inspect
import math
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .errors import UserError

WORDS = {
    int: 'an integer',
    float: 'a finite number',
    bool: 'True or False',
    str: 'a string',
    dict: 'a dict',
    tuple: 'a tuple',
    list: 'a list',
    type(None): 'None',
}

# `Optional[int]` and `int | None` are of two kinds until Python 3.14.
UNIONS = (typing.Union, types.UnionType)


def arguments_of(kind: Callable) -> dict[str, inspect.Parameter]:
    """Arguments that a class takes, with those it hands on to its bases.

    Args:
        kind (Callable): A class, or a function, which has no bases.

    Returns:
        dict[str, inspect.Parameter]: By name, the class's own first. Those
        of a base follow where all constructors before it take ``**kwargs``.
    """
    found: dict[str, inspect.Parameter] = {}
    for function in _constructors(kind):
        found = {**_own_arguments(function), **found}
    return found


def check_kinds(where: str, kind: Callable, values: dict[str, Any]) -> None:
    """Refuse arguments of a wrong kind before anything is built of them.

    Args:
        where (str): Config entry, for the message.
        kind (Callable): Class or function that takes them. Parameters without
            an annotation are compared with their default, if it is a number,
            bool or string.
        values (dict): Arguments by name; those it does not take are left
            alone.

    Raises:
        UserError: Naming the entry, what it must be and what it is.
    """
    checked: set[str] = set()
    for function in _constructors(kind):
        own = _own_arguments(function)
        wanted = {k: v for k, v in values.items() if k not in checked}
        _check_own_kinds(where, function, own, wanted)
        checked.update(own)


def _constructors(kind: Callable) -> list[Callable]:
    """What is called when an object is made, the class's own first."""
    if not inspect.isclass(kind):
        return [kind]
    found: list[Callable] = []
    for base in kind.__mro__:
        constructor = vars(base).get('__init__')
        if constructor is None:
            continue
        found.append(constructor)
        parameters = inspect.signature(constructor).parameters.values()
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            break
    return found


def _own_arguments(function: Callable) -> dict[str, inspect.Parameter]:
    parameters = inspect.signature(function).parameters
    return {
        name: p
        for name, p in parameters.items()
        if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL) and name != 'self'
    }


def _check_own_kinds(
    where: str,
    function: Callable,
    parameters: dict[str, inspect.Parameter],
    values: dict[str, Any],
) -> None:
    try:
        hints = typing.get_type_hints(function)
    except Exception:  # of another library, for the type checker alone
        hints = {}
    for name, parameter in parameters.items():
        if name not in values:
            continue
        wanted = hints.get(name, Any)
        if wanted is Any and isinstance(
            parameter.default, (bool, int, float, str)
        ):
            wanted = type(parameter.default)
        if wanted is int and name not in hints:
            wanted = float  # a default of 1 says nothing about 0.5
        value = values[name]
        if value is None and name.endswith('_cfg'):
            continue  # none of it, whatever the annotation: as in MMCV
        if not fits(value, wanted):
            raise UserError(
                f'{where}.{name} must be {words(wanted)}, got {value!r}'
            )
        if (
            name.endswith('_channels')
            and value is not None
            and (isinstance(value, int) and value < 1)
        ):
            raise UserError(
                f'{where}.{name} must be at least 1, got {value!r}'
            )


def fits(value: Any, wanted: Any) -> bool:
    """Whether a value is what an annotation says."""
    if wanted is Any:  # a class since Python 3.11, but none to ask
        return True
    origin = typing.get_origin(wanted)
    parts = typing.get_args(wanted)
    if origin in UNIONS:
        return any(fits(value, part) for part in parts)
    if origin is tuple:
        if not isinstance(value, (list, tuple)):
            return False
        if len(parts) == 2 and parts[1] is Ellipsis:
            parts = parts[:1] * len(value)
        return not parts or (
            len(value) == len(parts) and all(map(fits, value, parts))
        )
    wanted = origin or wanted
    if wanted is bool:
        return isinstance(value, bool)
    if wanted is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if wanted is float:
        return (
            isinstance(value, (int, float))
            and not isinstance(value, bool)
            and math.isfinite(value)
        )
    if wanted in (dict, Mapping):
        return isinstance(value, Mapping)
    if wanted in (list, Sequence):
        return isinstance(value, (list, tuple))
    return isinstance(value, wanted) if isinstance(wanted, type) else True


def words(wanted: Any) -> str:
    """Say in words what an annotation asks for."""
    if typing.get_origin(wanted) in UNIONS:
        return ' or '.join(map(words, typing.get_args(wanted)))
    if typing.get_origin(wanted) is tuple:
        inner = typing.get_args(wanted)
        return f'a tuple of {len(inner)} values'
    wanted = typing.get_origin(wanted) or wanted
    return WORDS.get(wanted, getattr(wanted, '__name__', str(wanted)))
