# Copyright (c) mmdiffkd contributors.
"""Write values as the Python of a config."""

from collections.abc import Mapping
from typing import Any

WIDTH = 79


def render(value: Any) -> str:
    """A value in one line, dicts as ``dict(...)``."""
    if not isinstance(value, Mapping):
        if isinstance(value, list):
            return f'[{", ".join(map(render, value))}]'
        return repr(value)
    if all(isinstance(key, str) and key.isidentifier() for key in value):
        items = [f'{key}={render(item)}' for key, item in value.items()]
        return f'dict({", ".join(items)})'
    items = [f'{key!r}: {render(item)}' for key, item in value.items()]
    return f'{{{", ".join(items)}}}'


def lines_of(
    key: str, value: Any, indent: int, after: str, width: int = WIDTH
) -> list[str]:
    """An argument ``key=value`` in as few lines as the width allows.

    Args:
        key (str): Its name.
        value (Any): Plain values, lists and dicts.
        indent (int): Spaces before it.
        after (str): What follows it, brackets and a comma.
        width (int): Columns. Defaults to 79.

    Returns:
        list[str]: The lines. Short items share one, and brackets close
        behind the last item, as in the configs of OpenMMLab.
    """
    line = f'{" " * indent}{key}={render(value)}{after}'
    if len(line) <= width or not isinstance(value, Mapping) or not value:
        return [line]
    inner = indent + 4
    lines, row = [f'{" " * indent}{key}=dict('], ''
    for place, (name, item) in enumerate(value.items()):
        end = f'){after}' if place == len(value) - 1 else ','
        short = f'{name}={render(item)}{end}'
        # Short values share a line; what has parts of its own has its own.
        if not isinstance(item, Mapping):
            if row and len(row) + 1 + len(short) <= width:
                row += f' {short}'
                continue
            lines += [row] if row else []
            row = f'{" " * inner}{short}'
            continue
        lines += [row] if row else []
        row = ''
        lines += lines_of(name, item, inner, end, width)
    return lines + ([row] if row else [])
