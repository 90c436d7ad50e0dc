# Copyright (c) mmdiffkd contributors.
"""Write the config of a pair."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from .model import Model
from .render import WIDTH, lines_of, render

MOST_LINES = 25
"""So that all of a pair is seen at once."""

WIDTHS = (WIDTH, 100, 120)
"""Columns to try in turn until the lines are few enough."""


def config_text(
    comments: Sequence[str],
    student: Model,
    teacher: Model,
    distiller: Mapping[str, Any] | str,
    teacher_ckpt: str | None,
    student_ckpt: str | None = None,
    options: Mapping[str, Any] | None = None,
) -> str:
    """Write the config of a pair.

    Args:
        comments (Sequence[str]): What was found, a paragraph each.
        student (Model): The student.
        teacher (Model): The teacher.
        distiller (Mapping | str): Its config, or the name of a shipped base
            that says it.
        teacher_ckpt (str, optional): File or URL. None leaves a line to fill
            in.
        student_ckpt (str, optional): What the student starts from. Defaults
            to None: what its own config says.
        options (Mapping, optional): Further arguments of the algorithm.
            Defaults to none.

    Returns:
        str: The file.
    """
    lines = [
        line
        for comment in comments
        for line in textwrap.wrap(
            comment,
            WIDTH,
            initial_indent='# ',
            subsequent_indent='# ',
            break_long_words=False,
            break_on_hyphens=False,
        )
    ]
    bases = [student.named.base]
    inherited = isinstance(distiller, str)
    if isinstance(distiller, str):
        bases.append(distiller)
    lines += _bases(bases)
    if not inherited:
        theirs = dict(student.named.config.get('custom_imports') or {})
        names = theirs.get('imports') or []
        names = [names] if isinstance(names, str) else list(names)
        imports = dict(
            imports=[*names, 'mmdiffkd'], allow_failed_imports=False
        )
        lines.append(f'custom_imports = {render(imports)}')
    if student_ckpt is not None:
        init = dict(type='Pretrained', checkpoint=student_ckpt)
        lines.append(f'_base_.model.init_cfg = {render(init)}')
    lines += [
        '',
        'model = dict(',
        "    _delete_=True, type='mmdiffkd.FrozenTeacherDistill',",
        '    architecture=_base_.model,',
        f'    teacher=dict(cfg_path={teacher.named.reference!r}),',
    ]
    if teacher_ckpt is None:
        lines.append(
            "    teacher_ckpt=None,  # TODO: the trained teacher's checkpoint"
        )
    else:
        lines.append(f'    teacher_ckpt={teacher_ckpt!r},')
    for key, value in (options or {}).items():
        lines.append(f'    {key}={render(value)},')
    if isinstance(distiller, str):
        lines.append('    distiller=_base_.distiller)')
    else:
        for width in WIDTHS:
            tail = lines_of('distiller', distiller, 4, ')', width)
            if len(lines) + len(tail) <= MOST_LINES:
                break
        lines += tail
    return '\n'.join(lines) + '\n'


def _bases(names: Sequence[str]) -> list[str]:
    if not any(name.startswith('mmdiffkd::') for name in names):
        return [f'_base_ = [{names[0]!r}]']
    # MMEngine knows `mmdiffkd::` once it is imported, which stock train
    # scripts do behind the bases.
    return [
        "_base_ = __import__('mmdiffkd').bases(",
        *(f'    {name!r},' for name in names[:-1]),
        f'    {names[-1]!r})',
    ]
