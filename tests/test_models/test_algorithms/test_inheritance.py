# Copyright (c) mmdiffkd contributors.
"""The student starts with parts of the teacher."""

import copy

import pytest
import torch
from helpers import toys
from mmengine.runner import load_checkpoint, save_checkpoint

from mmdiffkd.utils import UserError


def build(parts, teacher=None, **overrides):
    torch.manual_seed(0)
    return toys.build(
        toys.algorithm(
            teacher=teacher or toys.detector(),
            distiller=toys.distiller(teacher_channels=16),
            inherit_teacher=parts,
            **overrides,
        )
    )


def initialised(parts, **kwargs):
    model = build(parts, **kwargs)
    torch.manual_seed(1)
    model.init_weights()
    return model


def test_named_parts_are_copied_and_all_else_is_as_without():
    without, model = initialised([]), initialised(['neck', 'bbox_head'])
    teacher = model.teacher.state_dict()
    for key, value in model.student.state_dict().items():
        inherits = key.startswith(('neck.', 'bbox_head.'))
        expected = teacher if inherits else without.student.state_dict()
        assert torch.equal(value, expected[key]), key
    assert not torch.equal(
        without.student.neck.fpn_convs[0].conv.weight,
        model.student.neck.fpn_convs[0].conv.weight,
    )


def test_nothing_is_shared_with_the_teacher():
    model = initialised(['neck'])
    before = copy.deepcopy(model.teacher.state_dict())
    with torch.no_grad():
        for parameter in model.student.parameters():
            parameter.add_(1)
    for key, value in model.teacher.state_dict().items():
        assert torch.equal(value, before[key])


def test_buffers_and_single_modules_are_inherited():
    teacher = build([]).teacher
    teacher.backbone.bn1.running_mean.fill_(3)
    model = initialised(
        ['backbone.bn1', 'bbox_head.retina_reg'], teacher=teacher
    )
    assert model.student.backbone.bn1.running_mean.eq(3).all()
    assert model.student.backbone.layer1[0].bn1.running_mean.eq(0).all()
    heads = [m.bbox_head for m in (model.student, model.teacher)]
    assert torch.equal(*[h.retina_reg.weight for h in heads])
    assert not torch.equal(*[h.retina_cls.weight for h in heads])


def test_a_checkpoint_wins(tmp_path):
    trained = initialised(['neck'])
    with torch.no_grad():
        trained.student.neck.fpn_convs[0].conv.bias.fill_(7)
    path = str(tmp_path / 'epoch_1.pth')
    save_checkpoint(dict(state_dict=trained.state_dict()), path)
    # The order of a resumed run.
    resumed = initialised(['neck'])
    load_checkpoint(resumed, path)
    assert resumed.student.neck.fpn_convs[0].conv.bias.eq(7).all()


def test_it_happens_once():
    model = initialised(['neck'])
    with torch.no_grad():
        model.student.neck.fpn_convs[0].conv.bias.fill_(7)
    model.init_weights()
    assert model.student.neck.fpn_convs[0].conv.bias.eq(7).all()


def test_another_width_names_the_weights_and_what_to_do():
    with pytest.raises(
        UserError,
        match=(
            r"(?s)'neck' .* differ in \d+ of 12 weights\.\n  "
            r'neck\.lateral_convs\.0\.conv\.weight: \(16, 16, 1, 1\) in the '
            r"student, \(24, 24, 1, 1\) in the teacher.*Remove 'neck' from "
            r'model\.inherit_teacher'
        ),
    ):
        build(['neck'], teacher=toys.detector(width=12, channels=24))


def test_a_weight_on_one_side_only_is_named():
    deeper = toys.detector()
    deeper['bbox_head'].update(stacked_convs=2)
    with pytest.raises(
        UserError, match='cls_convs.1.conv.weight: not in the student'
    ):
        build(['bbox_head'], teacher=deeper)


@pytest.mark.parametrize(
    'parts, message',
    [
        (
            ['nekc'],
            "'nekc' holds no weights in the student.*closest are 'neck'",
        ),
        ('neck', r"must be a list of module names such as \['neck'"),
    ],
)
def test_names_are_checked(parts, message):
    with pytest.raises(UserError, match=message):
        build(parts)
