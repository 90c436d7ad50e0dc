# Copyright (c) mmdiffkd contributors.
"""Shipped classification configs on CPU, without downloads."""

import copy
import functools
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpretrain.structures import DataSample

from mmdiffkd.registry import MODELS

ROOT = Path(__file__).parents[2]
CLS = ROOT / 'configs/cls'


# MMEngine reads all metafiles of a library for every ``mmpretrain::`` base.
read = functools.lru_cache(maxsize=None)(Config.fromfile)


def load(name):
    """Read a config of ``configs/cls`` for a teacher of random weights."""
    cfg = copy.deepcopy(read(CLS / name))
    if 'teacher' in cfg.model:
        cfg.model.teacher_ckpt = None
        cfg.model.allow_random_teacher = True
    return cfg


def build(cfg):
    """Build the model as MMEngine's runner does."""
    init_default_scope(cfg.default_scope)
    cfg.model.setdefault('data_preprocessor', cfg.data_preprocessor)
    return MODELS.build(cfg.model)


def batch(size, labels=(1, 3)):
    """Random images of ``size`` (H, W) with labels, as a loader gives them."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(
        0, 256, (len(labels), 3, *size), dtype=torch.uint8, generator=generator
    )
    samples = [DataSample().set_gt_label(label) for label in labels]
    return dict(inputs=list(images), data_samples=samples)


def losses(model, data):
    """Losses of one training iteration."""
    return model(**model.data_preprocessor(data, True), mode='loss')
