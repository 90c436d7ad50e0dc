# Copyright (c) mmdiffkd contributors.
"""What docs/en/configs.md says about a student in the file of a pair."""

from mmengine.config import Config

BASES = """
_base_ = __import__('mmdiffkd').bases(
    'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py',
    'mmdiffkd::_base_/distillers/diffkd_retina.py',
)
"""
PAIR = """
model = dict(
    _delete_=True,
    type='mmdiffkd.FrozenTeacherDistill',
    architecture=_base_.model,
    teacher=dict(cfg_path='mmdet::retinanet/retinanet_r101_fpn_2x_coco.py'),
    distiller=_base_.distiller,
)
"""


def load(tmp_path, text):
    (tmp_path / 'pair.py').write_text(text)
    return Config.fromfile(tmp_path / 'pair.py')


def test_the_student_is_changed_before_it_is_wrapped(tmp_path):
    change = '_base_.model.bbox_head.update(num_classes=3)\n'
    student = load(tmp_path, BASES + change + PAIR).model.architecture
    assert student.bbox_head.num_classes == 3
    assert student.bbox_head.type == 'RetinaHead'
    assert student.bbox_head.in_channels == 256


def test_a_shipped_pair_is_changed_below_architecture(tmp_path):
    text = (
        "_base_ = __import__('mmdiffkd').bases("
        "'mmdiffkd::det/diffkd_retina_r101_r50.py')\n"
        'model = dict(architecture=dict(bbox_head=dict(num_classes=3)))\n'
    )
    student = load(tmp_path, text).model.architecture
    assert student.bbox_head.num_classes == 3
    assert student.bbox_head.in_channels == 256
