# Copyright (c) mmdiffkd contributors.
"""What is compared of detectors and segmentors."""

from pathlib import Path

import pytest

import mmdiffkd
from mmdiffkd.pairing.checkpoints import zoo_checkpoint
from mmdiffkd.pairing.named import folder_of
from mmdiffkd.pairing.writing import write_config
from mmdiffkd.utils import UserError

RETINA = 'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py'


def test_a_metafile_names_the_checkpoint():
    for library, path in (
        ('mmdet', 'retinanet/retinanet_r101_fpn_2x_coco.py'),
        ('mmseg', 'pspnet/pspnet_r101-d8_4xb2-80k_cityscapes-512x1024.py'),
        ('mmpretrain', 'resnet/resnet34_8xb32_in1k.py'),
    ):
        url = zoo_checkpoint(folder_of(library) / path)
        assert url and url.startswith('https://') and url.endswith('.pth')
    assert zoo_checkpoint(Path('/nowhere/x.py')) is None


@pytest.mark.slow
def test_the_recipe_of_a_pair_is_inherited():
    teacher = 'mmdet::retinanet/retinanet_r101_fpn_2x_coco.py'
    written = write_config(RETINA, teacher)
    assert "'mmdiffkd::_base_/distillers/diffkd_retina.py'" in written.text
    assert len(written.text.splitlines()) < 18


@pytest.mark.slow
def test_levels_of_equal_stride_are_paired():
    teacher = 'mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py'
    written = write_config(RETINA, teacher)
    assert 'neck at p3, p4, p5, p6 (256 to 256 channels)' in ' '.join(
        written.text.replace('# ', '').split()
    )
    assert 'levels' not in written.text  # read again by the training


@pytest.mark.slow
def test_the_encoders_of_two_detrs_are_compared():
    name = 'mmdet::detr/detr_r50_8xb2-150e_coco.py'
    pair = mmdiffkd.distill_config(name, name).model.distiller.pairs.kd
    assert pair.source == 'encoder'
    assert pair.connector.denoiser.type == 'MLPDenoiser'


@pytest.mark.slow
def test_a_head_itself_is_not_recorded():
    # Heads are called past their hooks; PointRend's second scores points.
    name = 'mmseg::point_rend/pointrend_r50_4xb2-80k_cityscapes-512x1024.py'
    pair = mmdiffkd.distill_config(name, name).model.distiller.pairs.kd
    assert pair.source == 'decode_head.0.conv_seg'


@pytest.mark.slow
def test_a_head_that_gives_several_things_is_read_by_index():
    # K-Net's last head gives maps of scores and its kernels.
    student = 'mmseg::knet/knet-s3_r50-d8_fcn_8xb2-adamw-80k_ade20k-512x512.py'
    teacher = (
        'mmseg::knet/knet-s3_swin-t_upernet_8xb2-adamw-80k_ade20k-512x512.py'
    )
    pair = mmdiffkd.distill_config(student, teacher).model.distiller.pairs.kd
    assert pair.source == 'decode_head.kernel_update_head.2'
    assert pair.data_idx == 0


@pytest.mark.slow
def test_a_folder_that_mmengine_takes_for_no_name_is_named_as_a_file():
    name = 'mmdet::gn+ws/faster-rcnn_r50_fpn_gn-ws-all_1x_coco.py'
    cfg = mmdiffkd.distill_config(name, name)
    assert cfg.model.teacher.cfg_path.endswith(name.partition('::')[2])
    assert cfg.model.architecture.type == 'FasterRCNN'


@pytest.mark.slow
def test_a_teacher_inside_the_student_is_not_fetched():
    # LAD builds one of its own, from a URL.
    name = 'mmdet::lad/lad_r50-paa-r101_fpn_2xb8_coco_1x.py'
    cfg = mmdiffkd.distill_config(name, name)
    assert cfg.model.architecture.teacher_ckpt.startswith('http')


def test_a_backbone_without_a_run_may_teach():
    """DINOv2's config has no default_scope, and its model no head."""
    written = write_config(
        'mmpretrain::resnet/resnet18_8xb32_in1k.py',
        'mmpretrain::dinov2/vit-small-p14_dinov2-pre_headless.py',
    )
    assert "teacher=dict(source='backbone.ln1')" in written.text
    assert written.teacher_ckpt.endswith('.pth')


@pytest.mark.slow
def test_a_head_with_a_module_for_each_level_is_scored_level_by_level():
    student = 'mmdet::yolox/yolox_tiny_8xb8-300e_coco.py'
    teacher = 'mmdet::rtmdet/rtmdet_s_8xb32-300e_coco.py'
    pair = distilled(student, teacher, 'dist').dist
    assert pair.student.source == 'bbox_head.multi_level_conv_cls.{index}'
    assert pair.teacher.source == 'bbox_head.rtm_cls.{index}'
    assert pair.levels == ['p3', 'p4', 'p5']
    with pytest.raises(UserError, match='a classifier for each level'):
        write_config(student, teacher, 'dskd')
    # One head for all levels, five of them, on the other side.
    teacher = 'mmdet::atss/atss_r50_fpn_1x_coco.py'
    pair = distilled(student, teacher, 'dist').dist
    assert pair.levels == ['p3', 'p4', 'p5']
    assert pair.teacher == dict(
        source='bbox_head.atss_cls',
        outputs=['p3', 'p4', 'p5', 'p6', 'p7'],
        index='record_idx',
    )


@pytest.mark.slow
def test_anchors_are_told_from_classes():
    teacher = 'mmdet::atss/atss_r50_fpn_1x_coco.py'
    with pytest.raises(UserError) as error:
        write_config(RETINA, teacher, 'dist')
    assert '80 classes of 9 boxes, the teacher 80 classes' in str(error.value)
    assert '80 classes of 9 boxes' in write_config(RETINA, teacher).text


def distilled(student, teacher, method):
    """Pairs of the distiller that is written."""
    cfg = mmdiffkd.distill_config(student, teacher, method)
    return cfg.model.distiller.pairs


def test_a_dense_head_that_is_called_itself_is_asked_for_its_scores():
    """MMDetection calls heads past their hooks; a user's detector may not."""
    from types import SimpleNamespace

    from torch import nn

    from mmdiffkd.models.widths.probe import Probe, Shape
    from mmdiffkd.pairing.model import Model
    from mmdiffkd.pairing.scores import class_scores

    net = nn.Module()
    net.bbox_head = nn.Module()
    net.bbox_head.cls_out_channels = 4
    maps = [Shape((1, 4, side, side)) for side in (8, 4)]
    outputs = {
        'neck': [maps],
        'bbox_head.cls': maps,
        'bbox_head': [[maps, maps]],
    }
    seen = Probe(64, False, outputs, {})
    model = Model(SimpleNamespace(side='student'), net, seen, 'detection', '')
    found = class_scores(model)
    assert (found.source, found.classes) == ('bbox_head.cls', 4)
    assert found.levels == ('p3', 'p4')


def test_a_config_of_another_librarys_classes_is_named_as_a_file():
    name = 'mmdet::rtmdet/classification/cspnext-{}_8xb256-rsb-a1-600e_in1k.py'
    cfg = mmdiffkd.distill_config(name.format('tiny'), name.format('s'))
    assert cfg.model.architecture.type == 'ImageClassifier'
    assert cfg.model.teacher.cfg_path.startswith('/')
