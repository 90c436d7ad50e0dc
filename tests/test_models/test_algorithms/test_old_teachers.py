# Copyright (c) mmdiffkd contributors.
"""A teacher's file is read as its library reads it."""

from collections import OrderedDict

import pytest
import torch
from helpers import toys
from mmengine.registry import MODELS, DefaultScope
from mmengine.runner import load_checkpoint, save_checkpoint

from mmdiffkd.models.algorithms.teacher_builder import load_teacher
from mmdiffkd.utils import UserError


def build(scope, cfg):
    with DefaultScope.overwrite_default_scope(scope):
        return MODELS.build(cfg)


def fcos():
    cfg = toys.detector()
    cfg.update(type='mmdet.FCOS')
    cfg['bbox_head'] = dict(
        type='FCOSHead',
        num_classes=3,
        in_channels=16,
        stacked_convs=1,
        feat_channels=16,
        strides=[8, 16, 32],
        norm_cfg=None,
    )
    return build('mmdet', cfg)


def vit(size=32):
    return build(
        'mmpretrain',
        dict(
            type='ImageClassifier',
            backbone=dict(
                type='VisionTransformer',
                img_size=size,
                patch_size=8,
                arch=dict(
                    embed_dims=8,
                    num_layers=1,
                    num_heads=2,
                    feedforward_channels=8,
                ),
            ),
            head=dict(type='LinearClsHead', num_classes=3, in_channels=8),
        ),
    )


def swin():
    return build(
        'mmpretrain',
        dict(
            type='ImageClassifier',
            backbone=dict(
                type='SwinTransformer',
                img_size=32,
                window_size=2,
                arch=dict(
                    embed_dims=8, depths=[1, 1, 1, 1], num_heads=[1, 1, 1, 1]
                ),
            ),
            neck=dict(type='GlobalAveragePooling'),
            head=dict(type='LinearClsHead', num_classes=3, in_channels=64),
        ),
    )


def renamed(state, *pairs):
    """The weights under the names of an older release, without versions."""
    result = OrderedDict()
    for key, value in state.items():
        for new, old in pairs:
            key = key.replace(new, old)
        result[key] = value
    return result


@pytest.mark.parametrize('prefix', ['', 'module.'])
@pytest.mark.parametrize(
    'build_model, pairs',
    [
        (
            fcos,
            [
                ('conv_cls', 'fcos_cls'),
                ('conv_reg', 'fcos_reg'),
                ('conv_centerness', 'fcos_centerness'),
            ],
        ),
        (swin, [('backbone.norm3.', 'backbone.norm.')]),
    ],
    ids=['fcos of MMDetection 1', 'swin of MMClassification'],
)
def test_names_of_an_older_release_are_understood(
    tmp_path, build_model, pairs, prefix
):
    donor, stock, teacher = build_model(), build_model(), build_model()
    old = renamed(donor.state_dict(), *pairs)
    assert set(old) != set(donor.state_dict())
    path = str(tmp_path / 'old.pth')
    save_checkpoint(
        dict(state_dict={prefix + key: v for key, v in old.items()}), path
    )
    load_checkpoint(stock, path, strict=True)
    load_teacher(teacher, path)
    for key, value in stock.state_dict().items():
        assert torch.equal(teacher.state_dict()[key], value), key
        assert torch.equal(donor.state_dict()[key], value), key


def test_position_embedding_of_another_resolution_is_resized(tmp_path):
    path = str(tmp_path / 'small.pth')
    save_checkpoint(dict(state_dict=vit(size=32).state_dict()), path)
    stock, teacher = vit(size=64), vit(size=64)
    load_checkpoint(stock, path, strict=True)
    load_teacher(teacher, path)
    torch.testing.assert_close(
        teacher.backbone.pos_embed, stock.backbone.pos_embed
    )


def test_a_name_that_no_release_had_is_still_missing(tmp_path):
    path = str(tmp_path / 'wrong.pth')
    save_checkpoint(
        dict(
            state_dict=renamed(
                fcos().state_dict(), ('conv_centerness', 'centredness')
            )
        ),
        path,
    )
    with pytest.raises(UserError, match='2 are missing and 0 differ'):
        load_teacher(fcos(), path)
