# Copyright (c) mmdiffkd contributors.
"""Show the features of two models side by side."""

from collections.abc import Iterable, Iterator
from itertools import zip_longest
from typing import Any

from .layout import layout_of
from .probe import Probe, Shape


def describe(shape: Any, image: int) -> str:
    """A shape with its stride, or ``-`` for what is no feature."""
    if not isinstance(shape, Shape):
        return '-' if shape is None else f'{len(shape)} elements'
    layout = layout_of(shape, image)
    text = str(shape.dims)
    if layout is not None and layout.stride:
        text += f' stride {layout.stride}'
    if layout is not None and layout.kind in ('tokens', 'sequence'):
        text += f' {layout.kind}'
    if layout is not None and layout.class_tokens:
        text += f', {layout.class_tokens} class'
    return text


def lines_of(seen: Probe, names: Iterable[str]) -> list[str]:
    """The outputs of modules, a line for each element of each call."""
    return [line for name in names for line in _lines(seen, name)]


def side_by_side(
    student: Probe,
    teacher: Probe,
    student_names: Iterable[str],
    teacher_names: Iterable[str],
) -> str:
    """The outputs of some modules of two models, as a table of two columns.

    Args:
        student (Probe): Of the student.
        teacher (Probe): Of the teacher.
        student_names (Iterable[str]): Its modules to show.
        teacher_names (Iterable[str]): Likewise.

    Returns:
        str: A head and a line for each feature.
    """
    left = [
        f'student, image {student.size} x {student.size}',
        *lines_of(student, student_names),
    ]
    right = [
        f'teacher, image {teacher.size} x {teacher.size}',
        *lines_of(teacher, teacher_names),
    ]
    width = max(map(len, left))
    return '\n'.join(
        f'  {a:{width}} | {b}'.rstrip()
        for a, b in zip_longest(left, right, fillvalue='')
    )


def _lines(seen: Probe, name: str) -> Iterator[str]:
    calls = seen.outputs.get(name)
    if not calls:
        yield f'{name}: not called'
        return
    for i, output in enumerate(calls):
        call = f' record_idx {i}' if len(calls) > 1 else ''
        if isinstance(output, list):
            for j, item in enumerate(output):
                yield (
                    f'{name}{call} data_idx {j}: {describe(item, seen.size)}'
                )
        else:
            yield f'{name}{call}: {describe(output, seen.size)}'
