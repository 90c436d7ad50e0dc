# Copyright (c) mmdiffkd contributors.
"""Are levels called by their strides, so that a log is read right?"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor

NAME = re.compile(r'_p(\d)$')


def misnamed_levels(distiller: Any, height: int) -> Iterator[str]:
    """Yield the connectors and losses of another level than their name's.

    ``p3`` is the level of stride 8, 2^3, in every config that is shipped.

    Args:
        distiller (nn.Module): Its student recorders hold an iteration.
        height (int): Of the images, in pixels.

    Yields:
        str: Such as ``loss_kd_p3 sees P2``.
    """
    named = [
        (name, int(match[1]), mapping)
        for kind in ('connector_forward_mappings', 'loss_forward_mappings')
        for name, mapping in (getattr(distiller, kind, None) or {}).items()
        if (match := NAME.search(name))
    ]
    if any(level < 2 for _, level, _ in named):
        return  # no pyramid begins there: the user counts pairs
    for name, level, mapping in named:
        rows = _rows(distiller, mapping)
        if rows is None or abs(rows - height / 2**level) < 1:
            continue
        seen = min(range(12), key=lambda p: abs(rows - height / 2**p))
        yield f'{name} sees P{seen}'


def _rows(distiller: Any, mapping: Mapping) -> int | None:
    """Height of the student map that a mapping reads, if it is a map."""
    for record in mapping.values():
        if not record.get('from_student'):
            continue
        manager = distiller.student_recorders
        data: Any = manager.get_recorder(record['recorder']).data_buffer
        for index in (record.get('record_idx', 0), record.get('data_idx')):
            if index is None:
                continue
            if not isinstance(data, (list, tuple)) or not (
                -len(data) <= index < len(data)
            ):
                return None  # told where it is read
            data = data[index]
        if isinstance(data, Tensor) and data.dim() == 4:
            return data.shape[2]
    return None
