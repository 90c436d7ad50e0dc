# Copyright (c) mmdiffkd contributors.
"""The digits demo of segmentation and classification, on its own data."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODELS, DefaultScope
from mmengine.runner import Runner

import mmdiffkd  # noqa: F401
from mmdiffkd.datasets import make_demo_set
from mmdiffkd.utils.checkpoints.export import build_student
from mmdiffkd.utils.checkpoints.student import distill_types, student_config

DEMO = Path(__file__).parents[3] / 'configs/demo'
TASKS = dict(seg='mmseg', cls='mmpretrain')
PLAIN = [
    f'digits_{task}_{model}'
    for task in TASKS
    for model in ('teacher', 'student')
]
DISTILLED = [
    'digits_cls_diffkd',
    'digits_cls_kd',
    'digits_seg_diffkd',
    'digits_seg_diffkd_features',
    'digits_seg_dist',
]


def load(name):
    cfg = Config.fromfile(DEMO / f'{name}.py')
    task = name.split('_')[1]
    assert cfg.default_scope == TASKS[task]
    if cfg.model.type == 'mmdiffkd.FrozenTeacherDistill':
        cfg.model.update(teacher_ckpt=None, allow_random_teacher=True)
    return cfg, task


@pytest.fixture(scope='module')
def sets(tmp_path_factory):
    out = tmp_path_factory.mktemp('demo')
    small = dict(train=4, val=1, test=1)
    return {task: make_demo_set(out, task, small)[0] for task in TASKS}


@pytest.fixture
def step(sets):
    """Build a config's model and let it take a step on the demo data."""

    def run(name):
        torch.manual_seed(0)
        cfg, task = load(name)
        loader = cfg.train_dataloader
        loader.update(batch_size=4, num_workers=0, persistent_workers=False)
        loader.dataset.data_root = str(sets[task])
        with DefaultScope.overwrite_default_scope(cfg.default_scope):
            model = MODELS.build(cfg.model)
            batch = next(iter(Runner.build_dataloader(loader, seed=0)))
            optimizer = build_optim_wrapper(model, cfg.optim_wrapper)
        model.train()
        log = model.train_step(batch, optimizer)
        assert all(torch.isfinite(value).all() for value in log.values())
        return model, log

    return run


@pytest.mark.parametrize('name', PLAIN)
def test_plain_model_takes_a_step_in_the_stock_library(name, step):
    model, _ = step(name)
    assert type(model).__module__.split('.')[0] in TASKS.values()
    assert not distill_types(load(name)[0])


@pytest.mark.parametrize('name', DISTILLED)
def test_distilled_model_takes_a_step(name, step):
    model, log = step(name)
    losses = [key for key in log if key.startswith('distill.loss_')]
    assert len(losses) == len(model.distiller.distill_losses)
    connectors = model.distiller.connectors
    assert [key for key in log if key.endswith('.loss_diff')] == [
        f'distill.{name}.loss_diff' for name in connectors
    ]
    teacher = sum(p.numel() for p in model.teacher.parameters())
    student = sum(p.numel() for p in model.student.parameters())
    assert teacher > 4 * student


@pytest.mark.parametrize('name', DISTILLED)
def test_student_data_and_schedule_are_those_of_the_student_alone(name):
    """One budget: nothing but the distillation may differ."""
    cfg, task = load(name)
    alone = load(f'digits_{task}_student')[0]
    # What the connectors add, and the student has no part in.
    assert cfg.optim_wrapper.paramwise_cfg.custom_keys.keys() == {'distiller'}
    cfg.optim_wrapper.pop('paramwise_cfg')
    plain = student_config(cfg)
    assert plain.to_dict() == alone.to_dict()
    assert (
        build_student(plain).state_dict().keys()
        == build_student(alone).state_dict().keys()
    )
