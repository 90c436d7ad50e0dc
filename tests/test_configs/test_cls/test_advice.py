# Copyright (c) mmdiffkd contributors.
"""What the guide says about networks is followed, and changes none.

Each network is built twice: as its library has it, and as the guide says to
distil it. The weights are the same, so the outputs must be.
"""

import copy

import pytest
import torch
from helpers import cls_tiny as tiny
from mmengine.config import ConfigDict
from mmengine.registry import MODELS, init_default_scope

GUIDE = ' '.join((tiny.ROOT / 'docs/en/configs.md').read_text().split())
CLASSES = 7
SIZE = 64
# What the guide says, so that the words and the test stay together.
CONVNEXT = "`teacher=dict(source='backbone.stages.3', data_idx=None)`"
VIT = (
    "set `source='backbone.ln1', data_idx=None` in the pair",
    '`token_shape=(H, W)` and a `num_class_tokens`, which are read from the '
    'models',
)

NETWORKS = dict(
    resnet=(
        dict(type='ResNet_CIFAR', depth=18, base_channels=8, stem_channels=8),
        64,
    ),
    convnext=(
        dict(
            type='ConvNeXt',
            arch=dict(depths=[1, 1, 1, 1], channels=[8, 8, 16, 24]),
        ),
        24,
    ),
    edgenext=(
        dict(
            type='EdgeNeXt',
            arch=dict(channels=[8, 8, 16, 24], depths=[1, 1, 1, 1],
                      num_heads=[2, 2, 2, 2]),
        ),
        24,
    ),
    hornet=(dict(type='HorNet', arch=dict(
        base_dim=4, depths=[1, 1, 1, 1], orders=[2, 2, 2, 2],
        dw_cfg=[dict(type='DW', kernel_size=7)] * 4)), 32),
    vit=(
        dict(
            type='VisionTransformer',
            img_size=SIZE,
            patch_size=16,
            arch=dict(embed_dims=24, num_layers=2, num_heads=2,
                      feedforward_channels=16),
        ),
        24,
    ),
)  # fmt: skip


def network(kind):
    """A classifier as MMPretrain's own configs have it."""
    backbone, width = copy.deepcopy(NETWORKS[kind])
    model = dict(
        type='ImageClassifier',
        data_preprocessor=dict(
            num_classes=CLASSES, mean=[9] * 3, std=[50] * 3
        ),
        backbone=backbone,
        head=dict(
            type='VisionTransformerClsHead'
            if kind == 'vit'
            else 'LinearClsHead',
            num_classes=CLASSES,
            in_channels=width,
        ),
    )
    if kind == 'resnet':
        model['neck'] = dict(type='GlobalAveragePooling')
    return model


def follow(cfg, side, kind):
    """Change the template as the guide says for one side."""
    source = {
        'resnet': None,
        'vit': 'backbone.ln1',
    }.get(kind, 'backbone.stages.3')
    assert CONVNEXT in GUIDE and all(words in GUIDE for words in VIT)
    pair = cfg['pairs']['kd_feature']
    pair['connector'][f'{side}_channels'] = NETWORKS[kind][1]
    if source is not None:
        pair[side] = dict(source=source, data_idx=None)


def distilled(student, teacher):
    path = tiny.ROOT / 'configs/_base_/distillers/diffkd_cls.py'
    template = copy.deepcopy(tiny.read(path).distiller)
    pairs = template['pairs']
    pairs['kd_feature']['connector'].update(
        latent_channels=16, resize='bilinear'
    )
    pairs['kd_logits']['connector'].update(
        student_channels=CLASSES, teacher_channels=CLASSES
    )
    follow(template, 'student', student)
    follow(template, 'teacher', teacher)
    init_default_scope('mmpretrain')
    return MODELS.build(
        ConfigDict(
            type='mmdiffkd.FrozenTeacherDistill',
            architecture=network(student),
            teacher=network(teacher),
            allow_random_teacher=True,
            distiller=template,
        )
    )


@pytest.mark.parametrize(
    'student, teacher',
    [
        ('resnet', 'convnext'),
        ('convnext', 'resnet'),
        ('convnext', 'edgenext'),
        ('edgenext', 'hornet'),
        ('hornet', 'convnext'),
        ('resnet', 'vit'),
        ('vit', 'vit'),
    ],
)
def test_advice_changes_no_network_and_trains(student, teacher):
    torch.manual_seed(0)
    model = distilled(student, teacher)
    model.init_weights()
    x = torch.randn(2, 3, SIZE, SIZE)
    for kind, ours in ((student, model.student), (teacher, model.teacher)):
        init_default_scope('mmpretrain')
        stock = MODELS.build(ConfigDict(network(kind))).eval()
        stock.load_state_dict(ours.state_dict())
        ours = copy.deepcopy(ours).eval()
        with torch.no_grad():
            torch.testing.assert_close(
                ours(x, mode='tensor'), stock(x, mode='tensor')
            )
            assert torch.equal(
                ours.head(ours.extract_feat(x)),
                stock.head(stock.extract_feat(x)),
            )
    model.train()
    losses = tiny.losses(model, tiny.batch((SIZE, SIZE)))
    total, _ = model.parse_losses(losses)
    total.backward()
    assert losses['distill.loss_kd_feature'].isfinite()
    last = [p.grad for p in model.student.backbone.parameters()][-1]
    assert last is None or last.isfinite().all()


@pytest.mark.parametrize('kind', ['convnext', 'edgenext', 'hornet'])
def test_the_recorded_map_is_what_comes_before_pooling_and_norm(kind):
    """Pooled and normed by hand, it gives the network's own logits."""
    model = distilled('resnet', kind)
    teacher = model.teacher
    x = torch.randn(2, 3, SIZE, SIZE)
    seen = []
    teacher.backbone.stages[3].register_forward_hook(
        lambda m, i, out: seen.append(out)
    )
    with torch.no_grad():
        logits = teacher.head(teacher.extract_feat(x))
        (feature,) = seen
        assert feature.shape[1] == NETWORKS[kind][1] and feature.dim() == 4
        pooled = feature.mean((2, 3), keepdim=True)
        norm = teacher.backbone.norm3
        pooled = norm(pooled.flatten(1) if kind == 'edgenext' else pooled)
        torch.testing.assert_close(teacher.head.fc(pooled.flatten(1)), logits)


def test_what_the_guide_warns_of_is_another_network():
    """The setting that it once recommended."""
    init_default_scope('mmpretrain')
    torch.manual_seed(0)
    stock = MODELS.build(ConfigDict(network('convnext'))).eval()
    cfg = network('convnext')
    cfg['backbone']['gap_before_final_norm'] = False
    cfg['neck'] = dict(type='GlobalAveragePooling')
    other = MODELS.build(ConfigDict(cfg)).eval()
    other.load_state_dict(stock.state_dict())  # all keys fit
    x = torch.randn(2, 3, SIZE, SIZE)
    with torch.no_grad():
        a, b = (m.head(m.extract_feat(x)) for m in (stock, other))
    assert (a - b).norm() > 0.05 * a.norm()
