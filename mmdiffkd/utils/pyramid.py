# Copyright (c) mmdiffkd contributors.
"""Levels of a detector's feature pyramid, and the base file for them."""

from collections.abc import Sequence
from pathlib import Path

from torch import nn

import mmdiffkd


def level_numbers(model: nn.Module) -> list[int]:
    """Number the levels that a detector's head works on, by their strides.

    Level p has the stride of 2^p pixels, as in the names P3 to P7.

    Args:
        model (nn.Module): A detector of MMDetection.

    Returns:
        list[int]: Such as ``[3, 4, 5, 6, 7]``; empty where the model does not
        say, or strides are no powers of two.
    """
    # The RoI head of two stages leaves the last level to the proposals.
    for name in ('rpn_head', 'bbox_head'):
        head = getattr(model, name, None)
        generator = getattr(head, 'prior_generator', None)
        for owner in (generator, head):
            strides = getattr(owner, 'strides', None)
            if isinstance(strides, (list, tuple)) and strides:
                return _numbers(strides)
    return []


def _numbers(strides: Sequence) -> list[int]:
    numbers = []
    for stride in strides:
        stride = stride[0] if isinstance(stride, (list, tuple)) else stride
        if not isinstance(stride, int) or stride < 1 or stride & (stride - 1):
            return []
        numbers.append(stride.bit_length() - 1)
    return numbers


def base_for(levels: Sequence[int], start: str = 'diffkd') -> str:
    """Say which base to take for some levels, without box regression.

    Args:
        levels (Sequence[int]): From :func:`level_numbers`.
        start (str): First word of the file's name. Defaults to 'diffkd'.

    Returns:
        str: Such as ``for its levels P2 to P6, diffkd_fpn_p2_p6.py``.
    """
    if not levels:
        return f'for its levels (the {start}_fpn*.py)'
    low, high = min(levels), max(levels)
    where = f'for its levels P{low} to P{high}'
    folders = [
        parent / 'configs/_base_/distillers'
        for package in [Path(mmdiffkd.__file__).resolve().parent]
        for parent in (package / '.mim', package.parent)
    ]
    # The pyramid of most one-stage detectors has no suffix.
    for suffix in ('', f'_p{low}_p{high}'):
        if not suffix and (low, high) != (3, 7):
            continue
        name = f'{start}_fpn{suffix}.py'
        if any((folder / name).is_file() for folder in folders):
            return f'{where}, {name}'
    return (
        f'{where} (none is shipped: copy {start}_fpn.py, and give it these '
        'levels)'
    )
