# Copyright (c) mmdiffkd contributors.
"""All values of a config."""

from typing import Any


def values_of(item: Any, key: str = '') -> list[tuple[str, Any]]:
    """Every value of a config under its dotted key.

    Args:
        item (Any): A config, a part of one, or a single value.
        key (str): Its own dotted key. Defaults to none.

    Returns:
        list[tuple[str, Any]]: The item itself first, then what it holds.
    """
    if isinstance(item, (list, tuple)):
        children = [(str(i), value) for i, value in enumerate(item)]
    elif hasattr(item, 'items'):
        children = [(str(name), value) for name, value in item.items()]
    else:
        children = []
    found = [(key, item)]
    for name, value in children:
        found += values_of(value, f'{key}.{name}' if key else name)
    return found
