# Copyright (c) mmdiffkd contributors.
"""Backbones: sizes, outputs, freezing, and use within MMPretrain."""

from itertools import pairwise

import pytest
import torch
from helpers import task_toys, zoo
from mmengine.optim import OptimWrapper
from torch import nn

from mmdiffkd.models.backbones.cifar_zoo import CRD_ZOO
from mmdiffkd.registry import MODELS
from mmdiffkd.utils import UserError

OURS = {
    **{
        name: dict(CRD_ZOO[name].backbone)
        for name in zoo.MODELS
        if name != 'ResNet50'
    },
    'MobileNetV1': dict(type='mmdiffkd.MobileNetV1'),
}


def build(name, **options):
    return MODELS.build(dict(OURS[name], **options))


def count(module):
    return sum(p.numel() for p in module.parameters())


def maps(backbone, size=32):
    """Output shapes (C, H, W) of one image."""
    backbone.eval()
    with torch.no_grad():
        return [
            tuple(x.shape[1:]) for x in backbone(torch.zeros(1, 3, size, size))
        ]


@pytest.mark.parametrize('depth', [8, 20, 56])
@pytest.mark.parametrize('factor', [1, 4])
def test_resnet_has_as_many_parameters_as_its_definition(depth, factor):
    n = (depth - 2) // 6
    c0, c1, c2, c3 = (16, 16, 32, 64) if factor == 1 else (32, 64, 128, 256)

    def stage(a, b):  # 3x3 convolutions and two norms a block, weight + bias
        return 9 * a * b + (2 * n - 1) * 9 * b * b + 2 * n * 2 * b

    # Option B where the width changes: a 1x1 convolution and a norm.
    shortcuts = sum(
        a * b + 2 * b for a, b in ((c0, c1), (c1, c2), (c2, c3)) if a != b
    )
    expected = 27 * c0 + 2 * c0 + stage(c0, c1) + stage(c1, c2) + stage(c2, c3)
    options = dict(
        type='mmdiffkd.CIFARResNet', depth=depth, channels=(c0, c1, c2, c3)
    )
    assert count(MODELS.build(dict(options, shortcut='A'))) == expected
    assert count(MODELS.build(options)) == expected + shortcuts


@pytest.mark.parametrize('name', ['wrn_16_2', 'wrn_40_1', 'wrn_40_2'])
def test_wide_resnet_has_as_many_parameters_as_its_definition(name):
    depth, k = (int(x) for x in name.split('_')[1:])
    n, total, a = (depth - 4) // 6, 27 * 16, 16
    for b in (16 * k, 32 * k, 64 * k):
        total += 9 * a * b + (2 * n - 1) * 9 * b * b + a * b * (a != b)
        total += 2 * a + (2 * n - 1) * 2 * b  # a norm before each of them
        a = b
    assert count(build(name)) == total + 2 * a


def test_mobilenet_v1_has_as_many_parameters_as_its_definition():
    """Table 1 of the paper; 4.2 million with a classifier of 1000."""
    widths = (32, 64, 128, 128, 256, 256) + (512,) * 6 + (1024, 1024)
    total = 27 * 32 + 2 * 32
    for a, b in pairwise(widths):
        total += 9 * a + 2 * a + a * b + 2 * b
    assert count(build('MobileNetV1')) == total
    assert total + 1024 * 1000 + 1000 == 4231976


@pytest.mark.parametrize('name', sorted(set(OURS) & set(zoo.MODELS)))
def test_size_with_a_hundred_classes_is_the_published_one(name):
    backbone = build(name)
    channels = maps(backbone)[-1][0]
    total = count(backbone) + 100 * channels + 100
    assert round(total / 1000) == zoo.MODELS[name][1]


LAST_MAP = dict(
    resnet20=(64, 8, 8),
    resnet32x4=(256, 8, 8),
    wrn_40_2=(128, 8, 8),
    vgg13=(512, 4, 4),
    MobileNetV2=(1280, 2, 2),
    ShuffleV1=(960, 4, 4),
    ShuffleV2=(1024, 4, 4),
    MobileNetV1=(1024, 1, 1),
)


@pytest.mark.parametrize('name', LAST_MAP)
def test_last_map_is_the_one_before_pooling(name):
    assert maps(build(name)) == [LAST_MAP[name]]


def test_out_indices_select_stages():
    assert maps(build('resnet8x4', out_indices=(0, 1, 2))) == [
        (64, 32, 32),
        (128, 16, 16),
        (256, 8, 8),
    ]
    assert maps(build('MobileNetV1', out_indices=range(5)), 64) == [
        (64, 32, 32),
        (128, 16, 16),
        (256, 8, 8),
        (512, 4, 4),
        (1024, 2, 2),
    ]
    assert maps(build('MobileNetV2', out_indices=(-1, -2))) == [
        (160, 2, 2),
        (1280, 2, 2),
    ]


def test_width_multiplier_of_mobilenet_v1():
    assert maps(build('MobileNetV1', widen_factor=0.25), 64) == [(256, 2, 2)]


def test_wide_resnet_ends_behind_norm_and_relu():
    """What is pooled is not negative."""
    backbone = build('wrn_16_2').eval()
    with torch.no_grad():
        output = backbone(torch.randn(2, 3, 32, 32))[-1]
    assert output.min() == 0 < output.max()


def test_frozen_stages_neither_learn_nor_update_statistics():
    backbone = build('resnet8x4', frozen_stages=1).train()
    before = {k: v.clone() for k, v in backbone.state_dict().items()}
    backbone(torch.randn(4, 3, 32, 32))[-1].sum().backward()
    frozen = ('stem.', 'stages.0.')
    for name, parameter in backbone.named_parameters():
        assert (parameter.grad is None) == name.startswith(frozen)
    for name, value in backbone.state_dict().items():
        if name.endswith('running_mean'):
            assert torch.equal(value, before[name]) == name.startswith(frozen)


def test_norm_eval_keeps_statistics():
    backbone = build('wrn_16_2', norm_eval=True).train()
    norms = [m for m in backbone.modules() if isinstance(m, nn.BatchNorm2d)]
    assert backbone.training and not any(m.training for m in norms)


def test_weights_are_initialised():
    backbone = build('resnet20')
    backbone.init_weights()
    weight = backbone.stages[2][1].conv1.weight
    # Kaiming, fan out: variance 2 / (9 * 64)
    assert weight.std().item() == pytest.approx((2 / 576) ** 0.5, rel=0.03)
    assert torch.all(backbone.stages[2][1].bn1.weight == 1)


@pytest.mark.parametrize(
    'name',
    [
        'resnet20',
        'wrn_16_2',
        'MobileNetV2',
        'ShuffleV1',
        'ShuffleV2',
        'MobileNetV1',
    ],
)
def test_classifier_takes_a_training_step(name):
    channels = maps(build(name))[0][0]
    model = task_toys.build(
        'cls',
        dict(
            task_toys.student('cls'),
            backbone=OURS[name],
            head=dict(
                type='mmpretrain.LinearClsHead',
                num_classes=3,
                in_channels=channels,
                loss=dict(type='mmpretrain.CrossEntropyLoss'),
            ),
        ),
    )
    model.init_weights()
    model.train()
    before = model.backbone.stem.state_dict()
    before = {k: v.clone() for k, v in before.items() if 'weight' in k}
    log = model.train_step(
        task_toys.batch('cls', n=4, size=(32, 32)),
        OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1)),
    )
    assert torch.isfinite(log['loss'])
    after = model.backbone.stem.state_dict()
    assert all(not torch.equal(after[k], v) for k, v in before.items())


@pytest.mark.parametrize(
    'cfg,words',
    [
        (dict(type='mmdiffkd.CIFARResNet', depth=21), ['depth=21', '6n + 2']),
        (
            dict(type='mmdiffkd.CIFARResNet', depth=20, shortcut='C'),
            ["shortcut='C'", "'A'", "'B'"],
        ),
        (
            dict(type='mmdiffkd.CIFARResNet', depth=20, channels=(16, 32)),
            ['channels=(16, 32)', 'four'],
        ),
        (
            dict(type='mmdiffkd.CIFARResNet', depth=20, out_indices=(3,)),
            ['out_indices=(3,)', '3 stages'],
        ),
        (
            dict(type='mmdiffkd.CIFARResNet', depth=20, frozen_stages=4),
            ['frozen_stages=4'],
        ),
        (
            dict(type='mmdiffkd.CIFARWideResNet', depth=20),
            ['depth=20', '6n + 4'],
        ),
        (dict(type='mmdiffkd.CIFARVGG', depth=12), ['depth=12', '13']),
        (
            dict(type='mmdiffkd.MobileNetV1', widen_factor=0.01),
            ['widen_factor=0.01'],
        ),
    ],
)
def test_impossible_options_are_named(cfg, words):
    with pytest.raises(UserError) as error:
        MODELS.build(cfg)
    assert all(word in str(error.value) for word in words)
