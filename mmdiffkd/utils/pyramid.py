# Copyright (c) mmdiffkd contributors.
"""Levels of a detector's feature pyramid, and the base for them."""

from collections.abc import Sequence

from torch import nn


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


def base_for(student: Sequence[int], teacher: Sequence[int] = ()) -> str:
    """Say which base compares pyramids alone, and what to set in it.

    Args:
        student (Sequence[int]): From :func:`level_numbers`.
        teacher (Sequence[int]): The same of the teacher. Defaults to none:
            not known, or those of the student.

    Returns:
        str: Such as ``diffkd_fpn.py with pairs.kd.outputs=['p2', 'p3',
        'p4', 'p5', 'p6']``.
    """
    base = 'diffkd_fpn.py'
    if not student:
        return f"{base}, with the student's levels as pairs.kd.outputs"
    settings = []
    if list(student) != [3, 4, 5, 6, 7]:  # those of the base itself
        settings.append(f'pairs.kd.outputs={_names(student)}')
    if teacher and list(teacher) != list(student):
        settings.append(f'pairs.kd.teacher.outputs={_names(teacher)}')
    return ' with '.join([base, *filter(None, [' and '.join(settings)])])


def _names(levels: Sequence[int]) -> list[str]:
    return [f'p{level}' for level in levels]
