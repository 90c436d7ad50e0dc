# Copyright (c) mmdiffkd contributors.
"""Shipped segmentation configs on CPU, without downloads."""

import copy
import functools
from pathlib import Path

import torch
from mmengine.config import Config, ConfigDict
from mmengine.registry import MODELS, init_default_scope
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

import mmdiffkd  # noqa: F401

ROOT = Path(__file__).parents[2]
SEG = ROOT / 'configs/seg'
DEMO = ROOT / 'configs/demo'
SIZE = (32, 64)

# MMEngine reads all metafiles of a library for every ``mmseg::`` base.
read = functools.lru_cache(maxsize=None)(Config.fromfile)


def load(path):
    """Read a config for student and teacher of random weights."""
    cfg = copy.deepcopy(read(path))
    if 'teacher' in cfg.model:
        cfg.model.teacher_ckpt = None
        cfg.model.allow_random_teacher = True
    student = cfg.model.get('architecture', cfg.model)
    student.pretrained = None
    student.backbone.init_cfg = None
    # What smaller images are padded to.
    student.data_preprocessor.size = SIZE
    return cfg


def build(cfg):
    """Build the model as MMEngine's runner does."""
    init_default_scope(cfg.get('default_scope', 'mmseg'))
    return MODELS.build(cfg.model)


def batch(size=SIZE, classes=19, n=2, seed=0):
    """Random images of ``size`` (H, W) and labels, as a loader gives them."""
    generator = torch.Generator().manual_seed(seed)
    inputs, samples = [], []
    for _ in range(n):
        inputs.append(
            torch.randint(256, (3, *size), generator=generator).byte()
        )
        sample = SegDataSample(
            metainfo=dict(img_shape=size, ori_shape=size, pad_shape=size)
        )
        sample.gt_sem_seg = PixelData(
            data=torch.randint(classes, (1, *size), generator=generator)
        )
        samples.append(sample)
    return dict(inputs=inputs, data_samples=samples)


def losses(model, data):
    """Losses of one training iteration."""
    return model(**model.data_preprocessor(data, True), mode='loss')


def segmentor(width=8, classes=5, strides=(1, 2, 1, 1), auxiliary=True):
    """An encoder-decoder of stride 8 (or as ``strides`` say), no dropout."""
    head = dict(
        type='FCNHead',
        num_convs=1,
        kernel_size=1,
        concat_input=False,
        channels=8,
        dropout_ratio=0,
        num_classes=classes,
        norm_cfg=dict(type='BN'),
        loss_decode=dict(type='CrossEntropyLoss'),
    )
    return dict(
        type='EncoderDecoder',
        data_preprocessor=dict(
            type='SegDataPreProcessor', mean=[128] * 3, std=[64] * 3, size=SIZE
        ),
        backbone=dict(
            type='ResNetV1c',
            depth=18,
            base_channels=width,
            stem_channels=width,
            strides=strides,
            norm_cfg=dict(type='BN'),
        ),
        decode_head=dict(head, in_channels=8 * width, in_index=3),
        auxiliary_head=dict(head, in_channels=4 * width, in_index=2)
        if auxiliary
        else None,
        train_cfg=dict(),
        test_cfg=dict(mode='whole'),
    )


def distiller(name):
    """A template of ``configs/_base_/distillers``."""
    path = ROOT / 'configs/_base_/distillers' / f'{name}.py'
    return copy.deepcopy(read(path).distiller)


def algorithm(template, student=None, teacher=None):
    """Small student and teacher around a distiller."""
    init_default_scope('mmseg')
    return MODELS.build(
        ConfigDict(
            type='mmdiffkd.FrozenTeacherDistill',
            architecture=student or segmentor(),
            teacher=teacher or segmentor(width=12),
            allow_random_teacher=True,
            distiller=template,
        )
    )
