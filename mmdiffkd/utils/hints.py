# Copyright (c) mmdiffkd contributors.
"""Hints for misspelt names."""

from collections.abc import Iterable
from difflib import get_close_matches


def closest(name: str, names: Iterable[str], count: int = 3) -> str:
    """A hint such as ``; the closest are 'a', 'b'`` for a misspelt name."""
    matches = get_close_matches(str(name), list(names), n=count, cutoff=0.3)
    if not matches:
        return ''
    return '; the closest are ' + ', '.join(f"'{m}'" for m in matches)
