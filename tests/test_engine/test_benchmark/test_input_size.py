"""The size of images, as the pipelines of the libraries say it."""

import pytest
from mmengine.config import Config
from mmengine.hub import get_config

from mmdiffkd.engine.benchmark.input_size import input_size


@pytest.mark.parametrize(
    'name, kind, size',
    [
        ('mmdet::retinanet/retinanet_r50_fpn_2x_coco.py', 'det', (800, 1344)),
        ('mmdet::rtmdet/rtmdet_tiny_8xb32-300e_coco.py', 'det', (640, 640)),
        ('mmdet::yolox/yolox_s_8xb8-300e_coco.py', 'det', (640, 640)),
        (
            'mmseg::pspnet/pspnet_r18-d8_4xb2-80k_cityscapes-512x1024.py',
            'seg',
            (512, 1024),
        ),
        ('mmpretrain::resnet/resnet18_8xb32_in1k.py', 'cls', (224, 224)),
        ('mmpretrain::resnet/resnet18_8xb16_cifar10.py', 'cls', (32, 32)),
    ],
)
def test_size_of_stock_pipelines(name, kind, size):
    assert input_size(get_config(name), kind) == size


@pytest.mark.parametrize(
    'transform, size',
    [
        (dict(type='Resize', scale=[(1333, 640), (1333, 800)]), (800, 1344)),
        (dict(type='RandomResize', ratio_range=(0.1, 2.0)), (800, 1344)),
        (dict(type='Resize', scale=(600, 1000)), (608, 1024)),
        (dict(type='Pad', size=64), (64, 64)),
    ],
)
def test_size_of_a_transform(transform, size):
    dataset = dict(pipeline=[transform, dict(type='RandomFlip', prob=0.5)])
    cfg = Config(dict(train_dataloader=dict(dataset=dataset)))
    assert input_size(cfg, 'det') == size


def test_size_without_a_pipeline():
    assert input_size(Config(dict()), 'cls') == (224, 224)
