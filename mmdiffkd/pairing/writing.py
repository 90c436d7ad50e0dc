# Copyright (c) mmdiffkd contributors.
"""From two names to the config of their distillation."""

import os
import os.path as osp
import tempfile
import warnings
from pathlib import Path
from typing import Any, NamedTuple

from mmengine.config import Config

from mmdiffkd.models.algorithms.teacher_builder import load_teacher
from mmdiffkd.models.algorithms.teacher_input import TeacherInput
from mmdiffkd.models.distillers.pairs import expand_distiller
from mmdiffkd.utils.checkpoints.atomic import write_text_durably
from mmdiffkd.utils.checkpoints.files import refuse_folder
from mmdiffkd.utils.configs.loading import load_config
from mmdiffkd.utils.errors import UserError, closest

from .bases import fitting_base
from .choose import choose
from .drafts import METHODS
from .listing import listing
from .model import Model, build_pair
from .named import folder_of, read_named
from .start_weights import check_start
from .text import config_text
from .words import comments, is_larger


class PairWarning(UserWarning):
    """What should be known of a pair, and is no error."""


class Written(NamedTuple):
    """The config of a pair.

    Attributes:
        text (str): The file.
        name (str): A sensible name for it.
        teacher_ckpt (str, optional): The teacher's weights, None where the
            file leaves them to be filled in.
    """

    text: str
    name: str
    teacher_ckpt: str | None


def distill_config(
    student: str,
    teacher: str,
    method: str = 'diffkd',
    teacher_ckpt: str | None = None,
    student_ckpt: str | None = None,
) -> Config:
    """Make the config of a distillation from the names of two models.

    Both models are built, without weights, and looked at with one dummy
    image; no file is left, and nothing is fetched.

    Args:
        student (str): Config of the student, ``mmdet::...`` or a file. Data
            and schedule are its own.
        teacher (str): Config of the teacher, of the same task.
        method (str): ``'diffkd'``, ``'mimic'``, ``'dist'``, ``'kd'``,
            ``'dkd'``, ``'cwd'``, ``'pkd'`` or ``'dskd'``. Defaults to
            ``'diffkd'``.
        teacher_ckpt (str, optional): File or URL of the teacher's weights.
            Defaults to None: those that the metafile of its library names.
        student_ckpt (str, optional): File or URL of weights that the student
            starts from. Defaults to None: as its config says.

    Returns:
        Config: As ``mmdiffkd train`` would read it from a file.

    Raises:
        UserError: If a name is unknown, a library cannot build its model, the
            tasks differ, a file of weights does not fit its model, or the
            method does not apply to the pair.

    Example:
        >>> cfg = mmdiffkd.distill_config(
        ...     'mmdet::gfl/gfl_r50_fpn_1x_coco.py',
        ...     'mmdet::gfl/gfl_r101_fpn_ms-2x_coco.py')
        >>> cfg.model.distiller.pairs.kd.levels
    """
    written = write_config(
        student, teacher, method, teacher_ckpt, student_ckpt
    )
    return read_text(written)


def read_text(written: Written) -> Config:
    """Read a config that has no file yet, as a run would."""
    with tempfile.TemporaryDirectory() as folder:
        path = osp.join(folder, written.name)
        Path(path).write_text(written.text, encoding='utf-8')
        return load_config(path)


def write_config(
    student: str,
    teacher: str,
    method: str = 'diffkd',
    teacher_ckpt: str | None = None,
    student_ckpt: str | None = None,
) -> Written:
    """Write the text of :func:`distill_config`, with the same arguments."""
    if method not in METHODS:
        raise UserError(
            f'there is no method {method!r}{closest(method, METHODS)}'
        )
    for side, name in (('student', student_ckpt), ('teacher', teacher_ckpt)):
        if name:
            refuse_folder(name, f'--{side}-ckpt')
        if name and '://' not in name and not osp.isfile(name):
            raise UserError(f'--{side}-ckpt {name}: there is no such file')
    models = look(student, teacher)
    ours, theirs = models
    remarks = []
    if is_larger(*models):
        remarks.append(
            f'the student {ours.named.reference} ({ours.millions:.1f} M '
            'parameters) is larger than its teacher '
            f'{theirs.named.reference} ({theirs.millions:.1f} M)'
        )
    # Nothing is fetched; a training tells whether what a URL names fits.
    if teacher_ckpt and '://' not in teacher_ckpt:
        load_teacher(theirs.net, teacher_ckpt)
    if student_ckpt and '://' not in student_ckpt:
        remarks.append(check_start(ours.net, student_ckpt))
    for remark in filter(None, remarks):
        warnings.warn(remark, PairWarning, stacklevel=2)
    distiller: Any = fitting_base(method, *models)
    if distiller is None:
        distiller, whole = choose(method, *models)
    else:
        base = folder_of('mmdiffkd') / distiller.partition('::')[2]
        whole = Config.fromfile(str(base)).distiller
        whole.connectors = expand_distiller(whole).get('connectors')
    ckpt = _absolute(teacher_ckpt) or theirs.checkpoint
    text = config_text(
        comments(method, *models, whole),
        *models,
        distiller,
        ckpt,
        _absolute(student_ckpt),
        _options(*models),
    )
    name = f'{method}_{theirs.named.path.stem}_{ours.named.path.stem}.py'
    return Written(text, name, ckpt)


def look(student: str, teacher: str) -> tuple[Model, Model]:
    """Build the two models that two configs describe, see `build_pair`.

    Warns of one whose dummy image does not come to its end.
    """
    models = build_pair(
        read_named(student, 'student'), read_named(teacher, 'teacher')
    )
    for model in models:
        if model.seen.error and not model.seen.whole:
            warnings.warn(
                f'the forward pass of the {model.named.side} '
                f'{model.named.reference} on a dummy image ends with '
                f'{model.seen.error}. What it would call after that has not '
                'been looked at',
                PairWarning,
                stacklevel=2,
            )
    return models


def list_modules(student: str, teacher: str) -> str:
    """A table of the modules of both models, with what they give."""
    return listing(*look(student, teacher))


def save(written: Written, path: str | None, overwrite: bool) -> str:
    """Write a config to its file, whole or not at all.

    Args:
        written (Written): The config.
        path (str, optional): The file. None: its own name, here.
        overwrite (bool): Whether to replace a file that is there.

    Returns:
        str: The file.

    Raises:
        UserError: If it is there already, or cannot be written.
    """
    path = check_free(path or written.name, overwrite)
    try:
        write_text_durably(path, written.text)
    except OSError as error:
        raise UserError(f'{path} cannot be written: {error}') from error
    return path


def check_free(path: str, overwrite: bool) -> str:
    """Refuse a file that is there, or whose folder is not."""
    if osp.isdir(path):
        raise UserError(f'{path} is a folder; name a file in it')
    if osp.exists(path) and not overwrite:
        raise UserError(
            f'{path} exists; --overwrite replaces it, -o FILE names another'
        )
    folder = osp.dirname(path) or '.'
    if not osp.isdir(folder) or not os.access(folder, os.W_OK):
        raise UserError(f'{path}: there is no folder to write it to')
    if not path.endswith('.py'):
        raise UserError(f'{path}: the name of a config ends in .py')
    return path


def _absolute(name: str | None) -> str | None:
    return name if not name or '://' in name else osp.abspath(name)


def _options(student: Model, teacher: Model) -> dict[str, Any]:
    """Arguments of the algorithm that this pair needs."""
    preprocessors: Any = [
        getattr(model.net, 'data_preprocessor', None)
        for model in (student, teacher)
    ]
    try:
        TeacherInput(*preprocessors)
    except UserError:
        return dict(match_teacher_input=False)
    return {}
