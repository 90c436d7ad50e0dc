# Copyright (c) mmdiffkd contributors.
"""The teacher sees the student's pixels, mixed as they are."""

import numpy as np
import pytest
import torch
from helpers import cls_tiny as tiny
from mmengine.runner import Runner
from mmpretrain.models import ClsDataPreprocessor

from mmdiffkd.models.algorithms.teacher_input import TeacherInput

IMAGENET = dict(
    mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True
)
BGR = dict(mean=[103.53, 116.28, 123.675], std=[1.0, 1.0, 1.0], to_rgb=False)
HALF = dict(mean=[127.5] * 3, std=[127.5] * 3, to_rgb=True)
LABELS = (1, 3, 4, 2)
MIX = dict(
    augments=[dict(type='Mixup', alpha=0.8), dict(type='CutMix', alpha=1.0)]
)


@pytest.mark.parametrize('student', [IMAGENET, BGR, HALF])
@pytest.mark.parametrize('teacher', [IMAGENET, BGR, HALF])
@pytest.mark.parametrize('seed', [0, 1])  # Mixup, then CutMix
def test_teacher_gets_the_mixed_batch_in_its_own_normalisation(
    student, teacher, seed
):
    both = []
    preprocessors = [
        ClsDataPreprocessor(num_classes=5, batch_augments=MIX, **norm)
        for norm in (student, teacher)
    ]
    for preprocessor in preprocessors:
        np.random.seed(seed)
        torch.manual_seed(seed)
        both.append(preprocessor(tiny.batch((16, 24), LABELS), True))
    ours, expected = both
    result = TeacherInput(*preprocessors)(ours['inputs'], ours['data_samples'])
    torch.testing.assert_close(
        result, expected['inputs'], rtol=1e-4, atol=1e-3
    )
    plain = preprocessors[1](tiny.batch((16, 24), LABELS), False)['inputs']
    assert not torch.allclose(result, plain, rtol=1e-3, atol=1e-1)


@pytest.mark.parametrize('kind', [None, 'ClsDataPreprocessor'])
def test_mixing_of_the_student_is_kept_and_its_labels_reach_dkd(
    kind, tmp_path
):
    """MMPretrain writes Mixup into the model, the mean to the top level.

    The latter with a type or without.
    """
    cfg = tiny.load('dkd_r34_r18_b1_in1k.py')
    if kind:
        cfg.data_preprocessor.type = kind
    cfg.model.architecture.train_cfg = MIX
    cfg.model.teacher.cfg_options = {'data_preprocessor': HALF}
    cfg.work_dir = str(tmp_path)
    cfg.train_dataloader = cfg.val_dataloader = cfg.test_dataloader = None
    for key in (
        'train_cfg',
        'val_cfg',
        'test_cfg',
        'optim_wrapper',
        'param_scheduler',
        'val_evaluator',
        'test_evaluator',
    ):
        cfg[key] = None
    model = Runner.from_cfg(cfg).model.train()
    assert model.data_preprocessor is model.architecture.data_preprocessor
    assert model.teacher_input is not None

    seen = {}
    for name in ('architecture', 'teacher'):
        getattr(model, name).backbone.register_forward_pre_hook(
            lambda module, args, name=name: seen.update({name: args[0]})
        )
    model.distiller.distill_losses['loss_dkd'].register_forward_pre_hook(
        lambda module, args, kwargs: seen.update(kwargs), with_kwargs=True
    )
    np.random.seed(0)
    torch.manual_seed(0)
    data = model.data_preprocessor(tiny.batch((64, 64), LABELS), True)
    losses = model(**data, mode='loss')
    assert losses['distill.loss_dkd'].isfinite()
    shares = seen['gt_labels']
    assert shares.shape == (4, 1000)
    assert ((shares > 0) & (shares < 1)).any()

    # Undo each normalisation: the same pixels.
    pixels = [
        seen[name] * getattr(model, name).data_preprocessor.std
        + getattr(model, name).data_preprocessor.mean
        for name in ('architecture', 'teacher')
    ]
    torch.testing.assert_close(*pixels, rtol=1e-4, atol=1e-2)


def test_dkd_reads_plain_labels():
    cfg = tiny.load('dkd_r34_r18_b1_in1k.py')
    model, seen = tiny.build(cfg).train(), {}
    model.distiller.distill_losses['loss_dkd'].register_forward_pre_hook(
        lambda module, args, kwargs: seen.update(kwargs), with_kwargs=True
    )
    tiny.losses(model, tiny.batch((64, 64), labels=(7, 999)))
    assert seen['gt_labels'].tolist() == [7, 999]
