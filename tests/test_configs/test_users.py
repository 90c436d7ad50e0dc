# Copyright (c) mmdiffkd contributors.
"""What docs/en/configs.md says about a student in the file of a pair."""

import pytest
from mmengine.config import Config
from mmengine.registry import DefaultScope

from mmdiffkd.registry import MODELS

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


NEW_STYLE = {
    'base.py': """
from mmpretrain.models import GlobalAveragePooling, ImageClassifier
from mmpretrain.models import LinearClsHead, ResNet

model = dict(
    type=ImageClassifier,
    backbone=dict(type=ResNet, depth=18),
    neck=dict(type=GlobalAveragePooling),
    head=dict(type=LinearClsHead, num_classes=1000, in_channels=512),
)
""",
    'student.py': """
from mmengine.config import read_base

with read_base():
    from .base import *

model.update(dict(backbone=dict(out_indices=(3,))))
""",
}
CLASSIFIERS = """
_base_ = __import__('mmdiffkd').bases(
    '{student}',
    'mmdiffkd::_base_/distillers/diffkd_cls.py',
)
model = dict(
    _delete_=True,
    type='mmdiffkd.FrozenTeacherDistill',
    architecture=_base_.model,
    teacher=dict(cfg_path=r'{teacher}'),
    allow_random_teacher=True,
    distiller=_base_.distiller,
)
"""


def test_a_new_style_student_is_inherited_as_text(tmp_path):
    """As the guide says: dump it once, and inherit the dump."""
    for name, text in NEW_STYLE.items():
        (tmp_path / name).write_text(text)
    new = tmp_path / 'student.py'
    paths = dict(student='student.py', teacher=new)
    with pytest.raises(RuntimeError, match='lazy_import'):
        load(tmp_path, CLASSIFIERS.format(**paths))
    Config.fromfile(new).dump(tmp_path / 'student_text.py')
    paths['student'] = 'student_text.py'
    cfg = load(tmp_path, CLASSIFIERS.format(**paths))
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        model = MODELS.build(cfg.model)
    assert type(model.student).__name__ == 'ImageClassifier'
    assert model.student.backbone.depth == model.teacher.backbone.depth == 18
