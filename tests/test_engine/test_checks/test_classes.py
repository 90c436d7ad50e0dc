# Copyright (c) mmdiffkd contributors.
"""Facts about a model are read from its heads."""

import pytest
from helpers import task_toys, toys
from helpers.stock_models import stock

from mmdiffkd.engine.checks.classes import head_classes, num_classes


def test_the_stock_preprocessor_says_nothing():
    """The file that MMPretrain's configs inherit says 1000."""
    cfg = task_toys.student('cls')
    cfg['data_preprocessor']['num_classes'] = 1000
    cfg['head']['num_classes'] = 5
    model = task_toys.build('cls', cfg)
    assert head_classes(model) == {'head': 5}


def test_of_two_stages_the_proposals_do_not_count():
    model = stock('mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py')
    assert model.rpn_head.num_classes == 1
    assert head_classes(model) == {
        'roi_head.bbox_head': 80,
        'roi_head.mask_head': 80,
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    'name, classes',
    [
        ('mmdet::cascade_rcnn/cascade-mask-rcnn_r50_fpn_1x_coco.py', 80),
        ('mmdet::htc/htc_r50_fpn_1x_coco.py', 80),
        ('mmdet::panoptic_fpn/panoptic-fpn_r50_fpn_1x_coco.py', 80),
        ('mmdet::seesaw_loss/mask-rcnn_r50_fpn_seesaw-loss_random-ms-2x_'
         'lvis-v1.py', 1203),
        ('mmdet::deformable_detr/deformable-detr_r50_16xb2-50e_coco.py', 80),
        ('mmdet::rpn/rpn_r50_fpn_1x_coco.py', None),
        ('mmseg::stdc/stdc1_4xb12-80k_cityscapes-512x1024.py', 19),
        ('mmseg::ocrnet/ocrnet_hr18s_4xb2-40k_cityscapes-512x1024.py', 19),
    ],
)  # fmt: skip
def test_stock_models(name, classes):
    assert num_classes(stock(name)) == classes


def test_every_head_of_a_cascade_and_the_auxiliary_ones_count():
    cfg = task_toys.student('seg')
    cfg['auxiliary_head'] = dict(
        cfg['decode_head'], in_channels=32, in_index=2, num_classes=2
    )
    model = task_toys.build('seg', cfg)
    assert head_classes(model) == {'decode_head': 3, 'auxiliary_head': 2}
    assert num_classes(model) == 2


def test_a_binary_segmentor_of_one_output_has_two_classes():
    cfg = task_toys.student('seg')
    cfg['decode_head'].update(
        num_classes=2,
        out_channels=1,
        loss_decode=dict(type='mmseg.CrossEntropyLoss', use_sigmoid=True),
    )
    assert num_classes(task_toys.build('seg', cfg)) == 2


def test_a_binary_segmentor_of_one_class_has_two_labels():
    """MMSegmentation trains it on 0 and 1, and predicts both."""
    cfg = task_toys.student('seg')
    cfg['decode_head'].update(
        num_classes=1,
        out_channels=1,
        loss_decode=dict(type='mmseg.CrossEntropyLoss', use_sigmoid=True),
    )
    assert num_classes(task_toys.build('seg', cfg)) == 2


def test_words_have_no_number():
    """MMDetection's configs train 256 outputs on the 1203 of LVIS."""
    model = task_toys.build('det', toys.detector())
    model.language_model = model.backbone
    assert head_classes(model) == {}


def test_a_multi_label_head():
    cfg = task_toys.student('cls')
    cfg['head'] = dict(
        type='mmpretrain.MultiLabelLinearClsHead',
        num_classes=7,
        in_channels=64,
    )
    assert num_classes(task_toys.build('cls', cfg)) == 7


def test_a_dense_detector():
    model = task_toys.build('det', toys.detector())
    assert head_classes(model) == {'bbox_head': 3}
