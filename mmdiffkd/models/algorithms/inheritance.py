# Copyright (c) mmdiffkd contributors.
"""Start parts of the student from the teacher's weights."""

from collections.abc import Sequence

import torch
from mmengine.logging import print_log
from torch import Tensor, nn

from mmdiffkd.utils import UserError, closest


def check_inheritance(
    student: nn.Module, teacher: nn.Module, parts: Sequence[str]
) -> None:
    """Check that parts of both models have the same weights.

    Args:
        student (nn.Module): The heir.
        teacher (nn.Module): The other.
        parts (Sequence[str]): Names of modules of both, ``'neck'`` or
            ``'bbox_head.cls_convs'``.

    Raises:
        UserError: If one is not in a model, or a weight is on one side only
            or differs in shape.
    """
    if isinstance(parts, str) or not all(isinstance(p, str) for p in parts):
        raise UserError(
            'inherit_teacher must be a list of module names such '
            f"as ['neck', 'bbox_head'], got {parts!r}"
        )
    for part in parts:
        sides = {}
        for side, model in (('student', student), ('teacher', teacher)):
            sides[side] = _weights(model, part)
            if not sides[side]:
                modules = [name for name, _ in model.named_modules() if name]
                raise UserError(
                    f"inherit_teacher: '{part}' holds no weights in the "
                    f'{side} {type(model).__name__}{closest(part, modules)}'
                )
        problems = _differences(**sides)
        if problems:
            shown = ''.join(f'\n  {line}' for line in problems[:6])
            rest = len(problems) - 6
            raise UserError(
                f"inherit_teacher: '{part}' of student and teacher differ in "
                f'{len(problems)} of {len(sides["student"])} weights.{shown}'
                + (f'\n  and {rest} more' if rest > 0 else '')
                + f"\nRemove '{part}' from model.inherit_teacher, name "
                'parts of it that agree, or configure it alike in both models'
            )


def inherit(
    student: nn.Module, teacher: nn.Module, parts: Sequence[str]
) -> None:
    """Copy the teacher's weights and buffers; nothing is shared.

    Args:
        student (nn.Module): Changed in place.
        teacher (nn.Module): Unchanged.
        parts (Sequence[str]): As in :func:`check_inheritance`.
    """
    with torch.no_grad():
        for part in parts:
            source = _weights(teacher, part)
            for key, value in _weights(student, part).items():
                value.copy_(source[key])
            print_log(
                f"the student starts with the teacher's '{part}' "
                f'({len(source)} weights)',
                'current',
            )


def _weights(model: nn.Module, part: str) -> dict[str, Tensor]:
    """Parameters and buffers of a part, themselves and not copies."""
    return {
        key: value
        for key, value in model.state_dict().items()
        if key == part or key.startswith(f'{part}.')
    }


def _differences(
    student: dict[str, Tensor], teacher: dict[str, Tensor]
) -> list[str]:
    lines = []
    for key in {**student, **teacher}:
        if key not in teacher:
            lines.append(f'{key}: not in the teacher')
        elif key not in student:
            lines.append(f'{key}: not in the student')
        elif student[key].shape != teacher[key].shape:
            lines.append(
                f'{key}: {tuple(student[key].shape)} in the student, '
                f'{tuple(teacher[key].shape)} in the teacher'
            )
    return lines
