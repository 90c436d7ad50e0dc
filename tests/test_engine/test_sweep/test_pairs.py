# Copyright (c) mmdiffkd contributors.
"""A sample of the sweep: from two names to a checkpoint of a stock library.

Small models of many kinds, each a trial of its own process. A pair of one
model stands for a family without a larger one.
"""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import pytest
from helpers import sweep_trial

DETECTORS = [
    ('gfl/gfl_r50_fpn_1x_coco', 'gfl/gfl_r101_fpn_ms-2x_coco', 'diffkd'),
    ('rtmdet/rtmdet_tiny_8xb32-300e_coco', 'rtmdet/rtmdet_s_8xb32-300e_coco',
     'diffkd'),
    ('rtmdet/rtmdet-ins_tiny_8xb32-300e_coco', '', 'mimic'),
    ('yolox/yolox_tiny_8xb8-300e_coco', 'yolox/yolox_s_8xb8-300e_coco',
     'diffkd'),
    ('yolo/yolov3_mobilenetv2_8xb24-ms-416-300e_coco', '', 'diffkd'),
    ('mask_rcnn/mask-rcnn_r50_fpn_1x_coco', '', 'diffkd'),
    ('cascade_rcnn/cascade-rcnn_r50_fpn_1x_coco', '', 'cwd'),
    ('fcos/fcos_r50-caffe_fpn_gn-head_1x_coco', '', 'dskd'),
    ('centernet/centernet_r18_8xb16-crop512-140e_coco', '', 'diffkd'),
    ('retinanet/retinanet_r18_fpn_1x_coco',
     'retinanet/retinanet_r50_fpn_1x_coco', 'dist'),
    ('deformable_detr/deformable-detr_r50_16xb2-50e_coco', '', 'diffkd'),
    ('detr/detr_r50_8xb2-150e_coco', '', 'pkd'),
    ('mask2former/mask2former_r50_8xb2-lsj-50e_coco', '', 'diffkd'),
    ('solov2/solov2-light_r18_fpn_ms-3x_coco',
     'solov2/solov2-light_r34_fpn_ms-3x_coco', 'diffkd'),
]  # fmt: skip
SEGMENTORS = [
    ('ocrnet/ocrnet_hr18s_4xb2-40k_cityscapes-512x1024',
     'ocrnet/ocrnet_hr18_4xb2-40k_cityscapes-512x1024', 'diffkd'),
    ('point_rend/pointrend_r50_4xb2-80k_cityscapes-512x1024', '', 'diffkd'),
    ('segformer/segformer_mit-b0_8xb2-160k_ade20k-512x512',
     'segformer/segformer_mit-b1_8xb2-160k_ade20k-512x512', 'diffkd'),
    ('stdc/stdc1_4xb12-80k_cityscapes-512x1024',
     'stdc/stdc2_4xb12-80k_cityscapes-512x1024', 'dist'),
    ('pspnet/pspnet_r18-d8_4xb2-80k_cityscapes-512x1024', '', 'kd'),
    ('fastscnn/fast_scnn_8xb4-160k_cityscapes-512x1024', '', 'diffkd'),
    ('pidnet/pidnet-s_2xb6-120k_1024x1024-cityscapes', '', 'diffkd'),
]  # fmt: skip
CLASSIFIERS = [
    ('resnet/resnet18_8xb32_in1k', 'resnet/resnet34_8xb32_in1k', 'diffkd'),
    ('deit/deit-tiny_4xb256_in1k', 'deit/deit-small_4xb256_in1k', 'diffkd'),
    ('vision_transformer/vit-base-p32_64xb64_in1k-384px', '', 'diffkd'),
    ('convnext/convnext-tiny_32xb128_in1k', '', 'diffkd'),
    ('swin_transformer/swin-tiny_16xb64_in1k', '', 'dist'),
    ('mobilenet_v3/mobilenet-v3-small_8xb128_in1k',
     'mobilenet_v3/mobilenet-v3-large_8xb128_in1k', 'diffkd'),
    ('efficientnet/efficientnet-b0_8xb32_in1k', '', 'diffkd'),
    ('repvgg/repvgg-A0_8xb32_in1k', 'repvgg/repvgg-A1_8xb32_in1k', 'dkd'),
    ('shufflenet_v2/shufflenet-v2-1x_16xb64_in1k', '', 'diffkd'),
]  # fmt: skip
SAMPLE = [
    (f'{library}::{student}.py', f'{library}::{teacher or student}.py', method)
    for library, pairs in dict(
        mmdet=DETECTORS, mmseg=SEGMENTORS, mmpretrain=CLASSIFIERS
    ).items()
    for student, teacher, method in pairs
]


@pytest.fixture(scope='module')
def trials():
    """A process of its own, which forks them."""
    fresh = multiprocessing.get_context('spawn')
    with ProcessPoolExecutor(1, fresh, sweep_trial.prepare) as pool:
        yield pool


@pytest.mark.slow
@pytest.mark.parametrize('pair', SAMPLE, ids=lambda p: f'{p[0]}-{p[2]}')
def test_a_pair_from_two_names_reaches_the_stock_library(trials, pair):
    result = trials.submit(sweep_trial.limited_trial, pair).result()
    assert 'error' not in result, result
    assert result['stage'] == 'open'


def test_the_sample_is_of_thirty_models():
    assert len({student for student, *_ in SAMPLE}) == len(SAMPLE) == 30
