# Copyright (c) mmdiffkd contributors.
"""Say in a config's comments what was found."""

from collections.abc import Mapping
from typing import Any

from mmdiffkd.models.distillers.pair_grammar import levels
from mmdiffkd.models.widths.probe import SIZES, probe
from mmdiffkd.utils import UserError

from .model import Model
from .scores import class_scores


def comments(
    method: str,
    student: Model,
    teacher: Model,
    whole: Mapping[str, Any],
) -> list[str]:
    """What was found of a pair, a paragraph each.

    Args:
        method (str): The method.
        student (Model): The student.
        teacher (Model): The teacher.
        whole (Mapping): The distiller with all that the models say.

    Returns:
        list[str]: One to six.
    """
    lines = [
        f'{method}: {_model(student)} learns from {_model(teacher)}. Compared '
        + '; '.join(
            _pair(name, pair)
            for name, pair in (whole.get('pairs') or {}).items()
            if pair
        )
        + _widths(whole)
        + '. Other modules: make-config --list. Keys: docs/en/configs.md.'
    ]
    ours, theirs = class_scores(student), class_scores(teacher)
    if ours and theirs and str(ours) != str(theirs):
        lines.append(
            f'Their class scores cannot be compared ({ours} and {theirs} at '
            'each place): features only.'
        )
    logits = (whole.get('pairs') or {}).get('kd_logits')
    if logits and 'connector' not in logits:
        lines.append(
            f'Logits are compared as they are: a denoiser of {theirs} would '
            'have more than ten times the weights of the teacher.'
        )
    if is_larger(student, teacher):
        lines.append('Note: the student is larger than its teacher.')
    if _is_of_one_size(student, teacher):
        side = teacher.seen.size
        lines.append(
            f'Note: the teacher takes images of {side} x {side} pixels alone.'
        )
    return lines


def is_larger(student: Model, teacher: Model) -> bool:
    """Whether the student has more parameters than its teacher."""
    return student.millions > teacher.millions


def _is_of_one_size(student: Model, teacher: Model) -> bool:
    """Whether the teacher fails on other images, which the student takes."""
    if student.seen.fixed or not teacher.seen.fixed:
        return False
    other = next(side for side in SIZES[1:] if side != teacher.seen.size)
    return bool(probe(teacher.net, size=other).error)


def _model(model: Model) -> str:
    parts = [model.net, getattr(model.net, 'backbone', None)]
    text = ' on '.join(
        type(part).__name__ for part in parts if part is not None
    )
    return f'{text} ({model.millions:.1f} M parameters)'


def _pair(name: str, pair: Mapping[str, Any]) -> str:
    sources = [
        (pair.get(side) or {}).get('source', pair.get('source'))
        for side in ('student', 'teacher')
    ]
    text = ' with '.join(dict.fromkeys(f'{source}' for source in sources))
    try:
        found = [level for level, _ in levels(f'pairs.{name}', pair) if level]
    except UserError:
        found = []
    if found:
        text += f' at {", ".join(found)}'
    return text


def _widths(whole: Mapping[str, Any]) -> str:
    """Channels of the sides, where connectors know them."""
    known = {
        (c.get('student_channels'), c.get('teacher_channels'))
        for c in (whole.get('connectors') or {}).values()
    } - {(None, None)}
    words = [f'{ours} to {theirs}' for ours, theirs in sorted(known)]
    return f' ({", ".join(words)} channels)' if words else ''
