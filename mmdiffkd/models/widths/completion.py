# Copyright (c) mmdiffkd contributors.
"""Complete the config of a distiller from its two models."""

from collections.abc import Mapping
from typing import Any

from mmengine.config import ConfigDict
from mmengine.logging import print_log
from torch import nn

from ..distillers.pair_grammar import merge
from ..distillers.pairs import expand_distiller
from .fill_in import fill_in
from .levels import find_levels
from .records import BothModels


def complete(
    distiller: Mapping[str, Any], student: nn.Module, teacher: nn.Module
) -> tuple[Mapping[str, Any], dict[str, Any]]:
    """Complete the config of a distiller from its two models.

    Args:
        distiller (Mapping): The config, left as it is.
        student (nn.Module): Built, left as it is.
        teacher (nn.Module): Likewise.

    Returns:
        tuple[Mapping, dict]: The complete config, and what was added to it,
        which may be merged over the config with the same result.

    Raises:
        UserError: If something is left out and cannot be found.
    """
    whole, found = look_up(distiller, BothModels(student, teacher))
    for line in _lines(found, 'distiller'):
        print_log(f'read from the models: {line}', 'current')
    return whole, found


def look_up(
    distiller: Mapping[str, Any], models: BothModels
) -> tuple[Mapping[str, Any], dict[str, Any]]:
    """Do as :func:`complete`, without a word in the log."""
    found: dict[str, Any] = {}
    expand_distiller(distiller)  # refuses what is wrong in it
    whole = merge({}, distiller)
    if whole.get('pairs'):
        pairs = find_levels(whole['pairs'], models)
        if pairs:
            found['pairs'] = pairs
            whole = merge(whole, found)
    connectors = fill_in(expand_distiller(whole), models)
    if connectors:
        found['connectors'] = connectors
        whole = merge(whole, dict(connectors=connectors))
    if not found:
        return distiller, found
    # The place of a `_delete_` is the config file, which has been read.
    return ConfigDict(whole), found


def _lines(item: Any, where: str) -> list[str]:
    """A line for each dict of values."""
    values = {k: v for k, v in item.items() if not isinstance(v, Mapping)}
    lines = []
    if values:
        text = ', '.join(f'{k}={v!r}' for k, v in values.items())
        lines.append(f'{where}: {text}')
    for key, value in item.items():
        if isinstance(value, Mapping):
            lines += _lines(value, f'{where}.{key}')
    return lines
