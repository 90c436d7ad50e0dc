# Copyright (c) mmdiffkd contributors.
"""The CIFAR-10 demo: student, teacher, and the methods to compare."""

import copy
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from helpers import cls_tiny as tiny
from mmengine.config import Config
from mmengine.optim import OptimWrapper

ROOT = Path(__file__).parents[3]
DEMO = ROOT / 'configs/demo'
METHODS = dict(
    kd=['loss_kd'],
    dist=['loss_dist'],
    mse=['loss_mse'],
    diffkd=['loss_kd_feature', 'loss_kd_logits'],
    diffkd_dist=['loss_kd_feature', 'loss_kd_logits'],
)


def load(name):
    cfg = copy.deepcopy(tiny.read(DEMO / f'cifar10_{name}.py'))
    if 'teacher' in cfg.model:
        cfg.model.update(teacher_ckpt=None, allow_random_teacher=True)
    cfg.data_preprocessor = None
    return cfg


def step(name):
    model = tiny.build(load(name))
    model.train()
    optimizer = OptimWrapper(torch.optim.SGD(model.parameters(), lr=1e-3))
    return model, model.train_step(
        tiny.batch((32, 32), (1, 3, 9, 0)), optimizer
    )


@pytest.mark.parametrize('name', METHODS)
def test_method_takes_a_training_step(name):
    _, log = step(name)
    found = [key for key in log if key.startswith('distill.loss_')]
    assert found == [f'distill.{loss}' for loss in METHODS[name]]
    assert 'student.loss' in log
    assert all(torch.isfinite(value).all() for value in log.values())
    diffused = [key for key in log if key.endswith('.loss_diff')]
    assert diffused == (
        ['distill.diff_feature.loss_diff', 'distill.diff_logits.loss_diff']
        if name.startswith('diffkd')
        else []
    )


def test_student_alone_takes_a_training_step():
    torch.manual_seed(0)  # the weights of the student
    model, log = step('resnet20')
    assert log['loss'].item() == pytest.approx(2.3, abs=0.5)
    assert sum(p.numel() for p in model.parameters()) == 269722


def test_methods_share_student_teacher_data_and_schedule():
    """One budget: nothing but the distiller may differ."""
    configs = [load(name) for name in METHODS]
    for cfg in configs:
        for key in ('distiller', 'custom_imports'):
            cfg.pop(key)
        cfg.model.pop('distiller')
    assert all(cfg.to_dict() == configs[0].to_dict() for cfg in configs)
    alone = load('resnet20')
    assert configs[0].model.architecture == alone.model
    for key in (
        'train_dataloader',
        'train_cfg',
        'param_scheduler',
        'val_dataloader',
        'randomness',
    ):
        assert configs[0][key] == alone[key]
    assert configs[0].optim_wrapper.optimizer == alone.optim_wrapper.optimizer


def test_teacher_and_data_come_from_the_environment(monkeypatch):
    monkeypatch.setenv('CIFAR10_TEACHER', '/weights/r56.pth')
    monkeypatch.setenv('CIFAR10_ROOT', '/images')
    cfg = Config.fromfile(DEMO / 'cifar10_diffkd.py')
    assert cfg.model.teacher_ckpt == '/weights/r56.pth'
    for loader in (cfg.train_dataloader, cfg.test_dataloader):
        assert loader.dataset.data_root == '/images/'


@pytest.mark.slow
def test_real_images_are_distilled(shared_data, tmp_path):
    """Unpack, convert the teacher, train for four iterations, evaluate."""
    if not (shared_data / 'cifar10/cifar10_train_jpeg.npz').is_file():
        pytest.skip(f'no CIFAR-10 images in {shared_data}')
    weights = shared_data / 'weights/cifar10_akamaster/resnet56-4bfd9763.th'
    root, teacher = tmp_path / 'cifar10', tmp_path / 'resnet56.pth'

    def run(script, *arguments):
        result = subprocess.run(
            [sys.executable, f'tools/{script}', *map(str, arguments)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=500,
            env=dict(
                os.environ,
                CIFAR10_ROOT=str(root),
                CIFAR10_TEACHER=str(teacher),
            ),
        )
        assert result.returncode == 0, result.stderr[-2000:]
        return result.stdout

    run('dataset_converters/cifar10_npz.py', shared_data / 'cifar10', root)
    run('model_converters/convert_akamaster_cifar.py', weights, teacher)
    log = run(
        'train.py',
        DEMO / 'cifar10_diffkd.py',
        '--work-dir',
        tmp_path / 'run',
        '--cfg-options',
        'train_dataloader.dataset.indices=256',
        'val_dataloader.dataset.indices=100',
        'train_cfg.max_epochs=1',
        'train_cfg.val_interval=1',
        'default_hooks.logger.interval=1',
    )
    assert re.search(r'distill\.diff_feature\.loss_diff: (0\.|1\.0)', log)
    assert 'distill.diff_logits.loss_diff' in log
    assert re.search(r'accuracy/top1: \d', log)
