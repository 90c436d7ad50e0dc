# Copyright (c) mmdiffkd contributors.
"""The demo's distillation configs train; blood cells also on real images."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from helpers import toys
from mmengine.config import Config
from mmengine.optim import OptimWrapper

ROOT = Path(__file__).parents[3]
# Those of the other tasks lie in test_seg and test_cls.
DISTILLED = [
    path
    for path in sorted((ROOT / 'configs/demo').glob('*.py'))
    for cfg in [Config.fromfile(path)]
    if cfg.default_scope == 'mmdet'
    and cfg.model.type == 'mmdiffkd.FrozenTeacherDistill'
]


@pytest.mark.parametrize('path', DISTILLED, ids=lambda path: path.stem)
def test_config_takes_a_training_step(path):
    cfg = Config.fromfile(path).model
    cfg.update(teacher_ckpt=None, allow_random_teacher=True)
    model = toys.build(cfg)
    model.train()
    optimizer = OptimWrapper(torch.optim.SGD(model.parameters(), lr=1e-4))
    log = model.train_step(toys.batch(size=(96, 128)), optimizer)
    distilled = [key for key in log if key.startswith('distill.loss_')]
    assert len(distilled) == len(model.distiller.distill_losses) >= 3
    assert all(torch.isfinite(value).all() for value in log.values())


def test_methods_share_student_data_and_schedule():
    """One budget: nothing but the distiller may differ."""
    configs = [
        Config.fromfile(path)
        for path in DISTILLED
        if path.stem.startswith('bccd')
    ]
    assert len(configs) >= 5
    for cfg in configs:
        cfg.model.pop('distiller')
        cfg.pop('distiller', None)  # the template of a base
    assert all(cfg.to_dict() == configs[0].to_dict() for cfg in configs)


@pytest.mark.slow
def test_blood_cells_are_distilled(shared_data, tmp_path):
    command = [
        sys.executable,
        'tools/train.py',
        'configs/demo/bccd_diffkd.py',
        '--work-dir',
        str(tmp_path),
        '--cfg-options',
        'model.teacher_ckpt=None',
        'model.allow_random_teacher=True',
        'train_dataloader.dataset.indices=16',
        'train_cfg.max_epochs=1',
        'train_cfg.val_interval=1',
        'val_dataloader.dataset.indices=4',
        'val_evaluator.metric=bbox',
        'default_hooks.logger.interval=1',
    ]
    result = subprocess.run(
        command,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
        env=dict(os.environ, BCCD_ROOT=str(shared_data / 'bccd')),
    )
    assert result.returncode == 0, result.stderr[-2000:]
    assert 'distill.diff_p7.loss_diff' in result.stdout
    assert 'loss_diff = 1.0 means' in result.stdout
    assert list(tmp_path.glob('epoch_1.pth'))
