# Copyright (c) mmdiffkd contributors.
"""A pair from two names: config, training step, export, stock library."""

import contextlib
import copy
import os
import os.path as osp
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.config import Config
from mmengine.registry import HOOKS, DefaultScope
from torch.nn.modules.batchnorm import _BatchNorm

import mmdiffkd
from mmdiffkd.models.widths.probe import own_sizes
from mmdiffkd.pairing.named import folder_of
from mmdiffkd.utils import NonFiniteLossError
from mmdiffkd.utils.checkpoints.export import export_student
from mmdiffkd.utils.configs.weights import without_weights

from ..student_optim_wrapper import show_student_to_constructor
from .inventory import no_initialisation
from .limited import told
from .open_export import open_export, predict
from .stock_step import (
    Failed,
    build,
    first_that_works,
    losses_of,
    sizes_of,
    train_step,
)
from .untrained import untrained
from .zoo import semantic_stride


def pair_trial(student: str, teacher: str, method: str) -> dict[str, Any]:
    """Distil a stock model for one step, and hand it back to its library.

    Args:
        student (str): Name of its config, such as ``mmdet::...``.
        teacher (str): Likewise.
        method (str): Of ``make-config``.

    Returns:
        dict: ``stage``, the last one that was begun: ``'config'``,
        ``'build'``, ``'step'``, ``'export'`` or ``'open'``; ``error`` and
        ``where`` if that one failed; ``teacher``; ``size`` of the images
        (pixels); ``distilled``, the names of the distiller's losses;
        ``prediction``, an error, if the library's own student cannot predict.
    """
    row: dict[str, Any] = dict(student=student, teacher=teacher)
    with tempfile.TemporaryDirectory() as folder:
        try:
            _try(row, student, teacher, method, folder)
        except Exception as error:  # every failure is a result here
            row.update(told(error))
    return row


def _try(
    row: dict[str, Any], student: str, teacher: str, method: str, folder: str
) -> None:
    row['stage'] = 'config'
    library = student.partition('::')[0]
    # Some configs name others as seen from their library's checkout.
    os.chdir(folder_of(library).parent)
    with no_initialisation():
        cfg = mmdiffkd.distill_config(student, teacher, method=method)
    cfg = untrained(cfg)

    row['stage'] = 'build'
    show_student_to_constructor(cfg)
    model = build(cfg)
    model.init_weights()
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        for hook in cfg.get('custom_hooks') or ():
            # The Runner reads the priority; the hook does not take it.
            HOOKS.build({k: v for k, v in hook.items() if k != 'priority'})

    row['stage'] = 'step'
    own = sizes_of(model.student)
    sizes = list(dict.fromkeys([*own, *own_sizes(model.teacher)]))
    before = copy.deepcopy(model.distiller.state_dict())
    try:
        step = train_step(model, cfg, sizes, stock=model.student)
    except NonFiniteLossError:
        calm_teacher(model, cfg, sizes)
        model.distiller.load_state_dict(before)  # scales of features
        step = train_step(model, cfg, sizes, stock=model.student)
    row['size'] = step.size
    row['distilled'] = sorted(
        k for k in step.losses if 'distill.' in k and 'loss' in k
    )
    if not row['distilled']:
        raise Failed('nothing is distilled')

    row['stage'] = 'export'
    file = save(model, cfg, osp.join(folder, 'distilled.pth'))
    with no_initialisation():
        out = export_student(file, osp.join(folder, 'student.pth'))
    if out.needs:
        raise Failed(f'the stock library would need {out.needs}')

    row['stage'] = 'open'
    with no_initialisation():
        opened, cfg = open_export(out.path, library)
    compare(model.student.state_dict(), opened.state_dict())
    how = (library, step.size, semantic_stride(cfg))
    try:
        predict(opened, *how)
    except Exception as error:
        row['prediction'] = told(error)['error']
        try:  # some of the libraries' models cannot, on a CPU or at all
            predict(model.student, *how)
        except Exception as own:
            if told(own)['error'] == row['prediction']:
                return
        raise


def calm_teacher(model: Any, cfg: Config, sizes: Sequence[int]) -> None:
    """Initialise a random teacher, and give its norms a batch's statistics.

    A distillation leaves a teacher without weights as it was built, since
    nobody trains with one. Features of a deep one may overflow.

    Args:
        model (FrozenTeacherDistill): Its teacher is changed in place.
        cfg (Config): As for :func:`~.stock_step.losses_of`.
        sizes (Sequence[int]): Sides of images to try, in pixels.
    """
    for part in model.teacher.modules():
        own = {
            key: value
            for key in ('init_cfg', 'pretrained')
            if (value := vars(part).get(key))
        }
        kept = without_weights(own)
        for key in own:
            setattr(part, key, kept.get(key))
    model.teacher.init_weights()
    norms = [
        module
        for module in model.teacher.modules()
        if isinstance(module, _BatchNorm)
    ]
    for norm in norms:
        norm.reset_running_stats()
        # The mean of all calls: some backbones are run twice.
        norm.momentum, norm.training = None, True

    def attempt(size: int) -> None:
        with contextlib.suppress(NonFiniteLossError):
            losses_of(model, cfg, size, model.student)

    first_that_works(sizes, attempt)
    for norm in norms:
        norm.training = False


def save(model: Any, cfg: Config, file: str) -> str:
    """Write a checkpoint as MMEngine's Runner does; the file's name."""
    meta = dict(
        cfg=cfg.pretty_text,
        dataset_meta=dict(classes=('thing',), palette=[(0, 0, 0)]),
        epoch=1,
        iter=1,
    )
    torch.save(dict(meta=meta, state_dict=model.state_dict()), file)
    return file


def compare(given: Mapping[str, Any], opened: Mapping[str, Any]) -> None:
    """Check that the stock library has every weight of the student.

    Raises:
        Failed: Naming the first that are absent or differ.
    """
    differ = [
        name
        for name, value in given.items()
        if name not in opened or not torch.equal(value, opened[name])
    ]
    differ += [name for name in opened if name not in given]
    if differ:
        raise Failed(f'{len(differ)} weights differ, such as {differ[:3]}')
