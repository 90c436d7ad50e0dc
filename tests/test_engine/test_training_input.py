# Copyright (c) mmdiffkd contributors.
"""Batch and image size of a config, as its training pipeline has them."""

import pytest
from mmengine.config import Config
from mmengine.hub import get_config

from mmdiffkd.engine.training_input import batch_size, input_size
from mmdiffkd.utils import UserError


def config(*transforms, divisor=1, **dataset):
    return Config(
        dict(
            model=dict(data_preprocessor=dict(pad_size_divisor=divisor)),
            train_dataloader=dict(
                batch_size=4,
                dataset=dict(pipeline=list(transforms), **dataset),
            ),
        )
    )


@pytest.mark.parametrize(
    'transforms, expected',
    [
        # Width before height, padded to multiples of 32.
        (
            [dict(type='Resize', scale=(1333, 800), keep_ratio=True)],
            (800, 1344),
        ),
        # The largest of several.
        (
            [
                dict(
                    type='RandomChoiceResize',
                    scales=[(1333, 640), (1333, 800)],
                    keep_ratio=True,
                )
            ],
            (800, 1344),
        ),
        # The last one decides; a crop has its height first.
        (
            [
                dict(type='RandomResize', scale=(2048, 1024)),
                dict(type='RandomCrop', crop_size=(512, 1024)),
            ],
            (512, 1024),
        ),
        ([dict(type='RandomResizedCrop', scale=224)], (224, 224)),
        # Inside of another transform, each way of several.
        (
            [
                dict(
                    type='RandomChoice',
                    transforms=[
                        [dict(type='Resize', scale=(320, 320))],
                        [
                            dict(type='RandomCrop', crop_size=(384, 600)),
                            dict(type='Resize', scale=(640, 480)),
                        ],
                    ],
                )
            ],
            (480, 640),
        ),
        # MMCV's padding has the width first; one to a divisor has no size.
        ([dict(type='Pad', size=(96, 64))], (64, 96)),
        (
            [
                dict(type='Resize', scale=(64, 64)),
                dict(type='Pad', size_divisor=32),
            ],
            (64, 64),
        ),
        # Albumentations' own transforms are another language.
        (
            [
                dict(type='Resize', scale=(64, 64)),
                dict(type='Albu', transforms=[dict(type='Blur', size=7)]),
            ],
            (64, 64),
        ),
    ],
)
def test_the_size_of_the_largest_batch(transforms, expected):
    assert input_size(config(*transforms, divisor=32)) == expected


@pytest.mark.parametrize(
    'name, size',
    [
        ('mmdet::retinanet/retinanet_r50_fpn_2x_coco.py', (800, 1344)),
        ('mmdet::detr/detr_r50_8xb2-150e_coco.py', (800, 1333)),
        ('mmdet::ssd/ssd300_coco.py', (300, 300)),
        ('mmdet::rtmdet/rtmdet_tiny_8xb32-300e_coco.py', (640, 640)),
        ('mmdet::yolox/yolox_s_8xb8-300e_coco.py', (640, 640)),
        (
            'mmseg::pspnet/pspnet_r18-d8_4xb2-80k_cityscapes-512x1024.py',
            (512, 1024),
        ),
        ('mmpretrain::resnet/resnet18_8xb32_in1k.py', (224, 224)),
        ('mmpretrain::resnet/resnet18_8xb16_cifar10.py', (32, 32)),
    ],
)
def test_stock_pipelines(name, size):
    assert input_size(get_config(name)) == size


def test_the_outer_set_has_the_last_word():
    inner = dict(pipeline=[dict(type='Resize', scale=(320, 320))])
    outer = dict(type='Mosaic', img_scale=(640, 480))
    assert input_size(config(outer, dataset=inner)) == (480, 640)


def test_sizes_and_batches_that_nothing_names():
    with pytest.raises(UserError, match='--input-size'):
        input_size(config(dict(type='RandomFlip', prob=0.5)))
    assert batch_size(config()) == 4
    with pytest.raises(UserError, match='--batch-size'):
        batch_size(Config(dict(model=dict())))
