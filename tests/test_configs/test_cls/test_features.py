# Copyright (c) mmdiffkd contributors.
"""Maps, tokens and vectors of MMPretrain's own models in the base files."""

import pytest
import torch
from helpers import cls_tiny as tiny

from mmdiffkd.utils import UserError

SIZE = (64, 96)  # 2 x 3 at stride 32: not square
PREPROCESSOR = dict(
    type='ClsDataPreprocessor',
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    to_rgb=True,
)
SWIN = dict(
    type='mmpretrain.ImageClassifier',
    data_preprocessor=PREPROCESSOR,
    backbone=dict(
        type='SwinTransformer',
        pad_small_map=True,
        img_size=64,
        arch=dict(embed_dims=12, depths=[1, 1, 1, 1], num_heads=[1, 1, 2, 2]),
    ),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', num_classes=1000, in_channels=96),
)
VIT = dict(
    type='mmpretrain.ImageClassifier',
    data_preprocessor=PREPROCESSOR,
    backbone=dict(
        type='VisionTransformer',
        img_size=SIZE,
        patch_size=32,
        arch=dict(
            embed_dims=24, num_layers=2, num_heads=2, feedforward_channels=24
        ),
    ),
    head=dict(
        type='VisionTransformerClsHead', num_classes=1000, in_channels=24
    ),
)


def pair(student=None, teacher=None, **connector):
    """``diffkd_r34_r18_b1_in1k`` with another student or teacher."""
    cfg = tiny.load('diffkd_r34_r18_b1_in1k.py')
    if student is not None:
        cfg.model.architecture = student
    if teacher is not None:
        cfg.model.teacher = teacher
    cfg.model.distiller.pairs.kd_feature.connector.update(
        latent_channels=None, **connector
    )
    return cfg


def record_source(cfg, side, source, data_idx=None):
    cfg.model.distiller.pairs.kd_feature[side] = dict(
        source=source, data_idx=data_idx
    )


def run(cfg):
    """Losses of a step, and what entered the connector of the feature."""
    model = tiny.build(cfg).train()
    seen = []
    connector = model.distiller.connectors['diff_feature']
    connector.register_forward_pre_hook(
        lambda module, args, kwargs: seen.append(kwargs), with_kwargs=True
    )
    losses = tiny.losses(model, tiny.batch(SIZE))
    assert all(value.isfinite() for value in losses.values()), losses
    return model, losses, seen[0]


def test_swin_gives_maps_to_a_convolutional_student():
    cfg = pair(teacher=SWIN, teacher_channels=96)
    _, _, seen = run(cfg)
    assert seen['s_feature'].shape == (2, 512, 2, 3)
    assert seen['t_feature'].shape == (2, 96, 2, 3)


def test_swin_to_swin():
    student = dict(SWIN, data_preprocessor=None)
    cfg = pair(student, SWIN, student_channels=96, teacher_channels=96)
    _, _, seen = run(cfg)
    assert seen['s_feature'].shape == seen['t_feature'].shape


def test_tokens_become_the_map_that_they_were():
    """The norm of the last stage gives (N, L, C), the backbone its map."""
    cfg = pair(teacher=SWIN, teacher_channels=96, token_shape=(2, 3))
    record_source(cfg, 'teacher', 'backbone.norm3')
    model, _, seen = run(cfg)
    assert seen['t_feature'].shape == (2, 6, 96)
    data = model.data_preprocessor(tiny.batch(SIZE), False)
    with torch.no_grad():
        expected = model.teacher.extract_feat(data['inputs'], 'backbone')[-1]
    tokens = seen['t_feature']
    ours = (
        model.distiller.connectors['diff_feature']
        .diffusion(seen['s_feature'], tokens)
        .teacher
    )
    torch.testing.assert_close(ours, expected)


def test_class_tokens_are_dropped():
    cfg = pair(
        teacher=VIT,
        teacher_channels=24,
        token_shape=(2, 3),
        num_class_tokens=1,
    )
    record_source(cfg, 'teacher', 'backbone.ln1')
    model, _, seen = run(cfg)
    tokens = seen['t_feature']
    assert tokens.shape == (2, 1 + 6, 24)
    ours = (
        model.distiller.connectors['diff_feature']
        .diffusion(seen['s_feature'], tokens)
        .teacher
    )
    for y in range(2):
        for x in range(3):
            assert torch.equal(ours[:, :, y, x], tokens[:, 1 + 3 * y + x])


@pytest.mark.parametrize(
    'options',
    [
        dict(),
        dict(token_shape=(3, 3), num_class_tokens=1),
        dict(token_shape=(2, 3)),
    ],
)
def test_wrong_token_counts_are_refused(options):
    """Neither a square is guessed nor a class token taken for a pixel."""
    cfg = pair(teacher=VIT, teacher_channels=24, **options)
    record_source(cfg, 'teacher', 'backbone.ln1')
    with pytest.raises(UserError, match="'diff_feature'.* tokens .*token_sh"):
        run(cfg)


@pytest.mark.parametrize('side', ['student', 'teacher'])
def test_wrong_channels_are_refused(side):
    cfg = pair(**{f'{side}_channels': 256})
    with pytest.raises(UserError, match=f'set {side}_channels=512'):
        run(cfg)


def test_wrong_class_counts_are_refused():
    cfg = tiny.load('diffkd_r34_r18_b1_in1k.py')
    cfg.model.architecture.head.num_classes = 10
    with pytest.raises(UserError, match="'diff_logits'.*student_channels=10"):
        run(cfg)
    cfg = tiny.load('dist_r34_r18_b1_in1k.py')
    cfg.model.architecture.head.num_classes = 10
    with pytest.raises(UserError, match=r'\(2, 10\), the teacher of \(2, 10'):
        tiny.losses(tiny.build(cfg), tiny.batch(SIZE))


def test_other_strides_need_resize():
    cfg = pair()
    cfg.model.architecture.backbone.strides = (1, 2, 2, 1)
    with pytest.raises(UserError, match="resize='bilinear'"):
        run(cfg)
    cfg.model.distiller.pairs.kd_feature.connector.resize = 'bilinear'
    run(cfg)
