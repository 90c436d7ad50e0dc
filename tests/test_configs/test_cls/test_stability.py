# Copyright (c) mmdiffkd contributors.
"""The classification recipe bears a classifier's learning rate."""

from pathlib import Path

import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmrazor.registry import MODELS
from torch import nn

import mmdiffkd  # noqa: F401  (registers the connectors)

BASE = Path(__file__).parents[3] / 'configs' / '_base_' / 'distillers'


def distances(steps=60):
    """Distance at each step of SGD at 0.05, without a warm-up.

    The features are such as a network has in front of its pooling: not
    negative, and the student's wider spread than the teacher's.
    """
    torch.manual_seed(0)
    cfg = Config.fromfile(BASE / 'diffkd_cls_cifar100.py').distiller
    connector = MODELS.build(
        dict(cfg.pairs.kd_feature.connector, _scope_='mmrazor')
    )
    inputs = torch.randn(32, 16, 8, 8).relu()
    teacher = nn.Conv2d(16, 64, 3, padding=1)(inputs).relu().detach()
    teacher = 1.7 * teacher / teacher.square().mean().sqrt()
    student = nn.Sequential(nn.Conv2d(16, 64, 1), nn.ReLU())
    optimizer = torch.optim.SGD(
        [*student.parameters(), *connector.parameters()],
        lr=0.05,
        momentum=0.9,
        nesterov=True,
        weight_decay=5e-4,
    )
    found = []
    for _ in range(steps):
        feature = 8 * student(inputs)
        paired = connector(feature, teacher)
        distance = F.mse_loss(paired.student, paired.teacher)
        optimizer.zero_grad()
        (distance + sum(paired.losses.values())).backward()
        optimizer.step()
        found.append(float(distance.detach()))
    return torch.tensor(found)


def test_distance_falls():
    found = distances()
    assert found[-5:].mean() < 0.8 * found[:5].mean()
