# Copyright (c) mmdiffkd contributors.
"""CIFAR-10 at 16 x 16: each method of the study takes a training step."""

import copy
from pathlib import Path

import pytest
import torch
from helpers import cls_tiny as tiny
from mmengine.optim import OptimWrapper

DEMO = Path(__file__).parents[3] / 'configs/demo'
FEATURE, LOGITS = 'distill.loss_kd_feature', 'distill.loss_kd_logits'
METHODS = dict(
    kd=['distill.loss_kd'],
    dkd=['distill.loss_dkd'],
    dist=['distill.loss_dist'],
    mse=['distill.loss_mse'],
    mimic=[FEATURE, LOGITS],
    mimic_kd=[FEATURE, LOGITS],
    diffkd=[FEATURE, LOGITS],
    diffkd_kd=[FEATURE, LOGITS],
    dskd=None,  # has the losses of its own tests
)


def test_every_method_is_here():
    found = {path.stem.partition('_')[2] for path in DEMO.glob('cifar16_*')}
    assert found == {*METHODS, 'resnet8', 'resnet20'}


@pytest.mark.parametrize('name', METHODS)
def test_method_takes_a_training_step(name):
    cfg = copy.deepcopy(tiny.read(DEMO / f'cifar16_{name}.py'))
    cfg.model.update(teacher_ckpt=None, allow_random_teacher=True)
    cfg.data_preprocessor = None
    model = tiny.build(cfg)
    model.train()
    log = model.train_step(
        tiny.batch((16, 16), (1, 3, 9, 0)),
        OptimWrapper(torch.optim.SGD(model.parameters(), lr=1e-3)),
    )
    assert all(torch.isfinite(value).all() for value in log.values())
    losses = [key for key in log if key.startswith('distill.loss_')]
    assert METHODS[name] in (None, losses)
    connectors = list(getattr(model.distiller, 'connectors', ()))
    # The logits are compared as they are, or behind a connector.
    assert ('diff_logits' in connectors) == (name in ('mimic', 'diffkd'))
    denoised = [key for key in log if key.endswith('diff_feature.loss_diff')]
    assert bool(denoised) == name.startswith('diffkd')
