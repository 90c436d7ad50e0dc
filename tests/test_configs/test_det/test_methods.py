# Copyright (c) mmdiffkd contributors.
"""What the detection methods compare, and with which weights."""

from pathlib import Path

import pytest
import torch
from mmdet.testing import demo_mm_inputs
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmdiffkd.models.distillers.pairs import expand_distiller
from mmdiffkd.registry import MODELS
from mmdiffkd.utils import UserError

ROOT = Path(__file__).parents[3]
BASES = ROOT / 'configs/_base_/distillers'


def distiller(base):
    return expand_distiller(Config.fromfile(BASES / f'{base}.py').distiller)


def weights(cfg, prefix):
    return {
        name: loss.loss_weight
        for name, loss in cfg.distill_losses.items()
        if name.startswith(prefix)
    }


def test_dist_weights_follow_its_paper():
    for base, first in (('retina', 3), ('faster_rcnn', 2)):
        both = distiller(f'dist_mimic_{base}')
        assert set(weights(both, 'loss_dist').values()) == {1.0}
        assert weights(both, 'loss_mimic') == {
            f'loss_mimic_p{p}': 1.0 for p in range(first, first + 5)
        }


def build(path, **options):
    cfg = Config.fromfile(ROOT / path)
    cfg.model.architecture.backbone.init_cfg = None
    cfg.model.architecture.backbone.depth = 18
    cfg.model.architecture.neck.in_channels = [64, 128, 256, 512]
    cfg.model.teacher_ckpt = None
    cfg.model.allow_random_teacher = True
    cfg.merge_from_dict(options)
    init_default_scope(cfg.default_scope)
    torch.manual_seed(0)
    return MODELS.build(cfg.model).train()


def losses(model):
    batch = demo_mm_inputs(2, [(3, 96, 128)] * 2, num_classes=80)
    return model(**model.data_preprocessor(batch, True), mode='loss')


SMALL_TEACHER = {
    'model.backbone.depth': 18,
    'model.neck.in_channels': [64, 128, 256, 512],
    'model.backbone.init_cfg': None,
}


@pytest.fixture(scope='module')
def retina():
    return build(
        'configs/det/diffkd_retina_r101_r50.py',
        **{'model.teacher.cfg_options': SMALL_TEACHER},
    )


def test_retina_regression_compares_each_level_with_itself(retina):
    """Against both models run by hand, level by level."""
    batch = demo_mm_inputs(2, [(3, 96, 128)] * 2, num_classes=80)
    data = retina.data_preprocessor(batch, True)
    found = retina(**data, mode='loss')
    for p, level in enumerate(range(3, 8)):
        pred, target = (
            net(data['inputs'], mode='tensor')[1][p]
            for net in (retina.student, retina.teacher)
        )
        assert found[f'distill.loss_reg_p{level}'].item() == pytest.approx(
            (pred - target).abs().mean().item(), rel=1e-4
        )


def test_retina_regression_reaches_the_student_alone(retina):
    retina.zero_grad()
    found = losses(retina)
    sum(found[f'distill.loss_reg_p{p}'] for p in range(3, 8)).backward()
    head = retina.student.bbox_head
    assert head.retina_reg.weight.grad.abs().sum() > 0
    assert head.retina_cls.weight.grad is None
    stem = retina.student.backbone.layer2[0].conv1.weight
    assert stem.grad.abs().sum() > 0
    assert all(p.grad is None for p in retina.teacher.parameters())


def test_other_anchors_name_both_shapes():
    anchors = {'model.bbox_head.anchor_generator.scales_per_octave': 1}
    model = build(
        'configs/det/diffkd_retina_r101_r50.py',
        **{'model.teacher.cfg_options': {**SMALL_TEACHER, **anchors}},
    )
    with pytest.raises(
        UserError,
        match=r'student gives \(2, 36, 12, 16\) '
        r'and the teacher \(2, 12, 12, 16\).*same anchors',
    ):
        losses(model)


def test_documented_inheritance_of_neck_and_head():
    """What docs/en/configs.md shows for the shipped RetinaNet pair."""
    page = (ROOT / 'docs/en/configs.md').read_text()
    assert "inherit_teacher=['neck', 'bbox_head']" in page
    model = build(
        'configs/det/diffkd_retina_r101_r50.py',
        **{
            'model.teacher.cfg_options': SMALL_TEACHER,
            'model.inherit_teacher': ['neck', 'bbox_head'],
        },
    )
    model.init_weights()
    teacher = model.teacher.state_dict()
    for key, value in model.student.state_dict().items():
        if key.startswith(('neck.', 'bbox_head.')):
            assert torch.equal(value, teacher[key])
