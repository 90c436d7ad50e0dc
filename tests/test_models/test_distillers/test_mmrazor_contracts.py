# Copyright (c) mmdiffkd contributors.
"""What MMRazor's users and tests rely on, with our classes in its place."""

import copy

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.model import BaseModel

# Behind the package, without which MMRazor cannot be imported.
from mmrazor.models import (
    ConfigurableDistiller,
    SelfDistill,
    SingleTeacherDistill,
)
from mmrazor.registry import MODELS
from torch import nn

from mmdiffkd.models import DiffKDDistiller, FrozenTeacherDistill
from mmdiffkd.utils import UserError


@MODELS.register_module()
class OneConv(BaseModel):
    """The least that an algorithm accepts; its loss is no scalar."""

    def __init__(self, data_preprocessor=None):
        super().__init__(data_preprocessor)
        self.conv = nn.Conv2d(3, 1, 1)

    def forward(self, inputs, data_samples=None, mode='tensor'):
        out = self.conv(inputs)
        return dict(loss=out) if mode == 'loss' else out


@MODELS.register_module()
class SumLoss(nn.Module):
    def forward(self, left, right):
        return left + right


@MODELS.register_module()
class UntypedLoss(nn.Module):
    """Arguments without annotations and defaults, as many of MMRazor's."""

    def __init__(self, weight, norm_cfg=None, *args, **kwargs):
        super().__init__()

    def forward(self, left, right):
        return left + right


def record(**kwargs):
    return dict(recorder='conv', **kwargs)


def distiller():
    recorder = dict(conv=dict(type='ModuleOutputs', source='conv'))
    return ConfigDict(
        student_recorders=recorder,
        teacher_recorders=recorder,
        distill_losses=dict(loss_sum=dict(type='SumLoss')),
        loss_forward_mappings=dict(
            loss_sum=dict(
                left=record(from_student=True),
                right=record(from_student=False),
            )
        ),
    )


def wrong(*path_and_value):
    *parents, leaf, value = path_and_value
    cfg = distiller()
    part = cfg
    for key in parents:
        part = part[key]
    if value is KeyError:
        part.pop(leaf)
    else:
        part[leaf] = value
    return cfg


MAPPING = ('loss_forward_mappings', 'loss_sum')


@pytest.mark.parametrize('kind', [ConfigurableDistiller, DiffKDDistiller])
@pytest.mark.parametrize(
    'cfg, error, message',
    [
        (
            wrong('distill_losses', None),
            AssertionError,
            '"loss_sum" is not in distill',
        ),
        (
            wrong('loss_forward_mappings', list('AB')),
            TypeError,
            'loss_forward_mappings should be ',
        ),
        (
            wrong(*MAPPING, []),
            TypeError,
            'Each item of loss_forward_mappings should be ',
        ),
        (
            wrong(*MAPPING, 'left', 'from_student', ''),
            TypeError,
            'from_student should be a bool',
        ),
        (
            wrong(*MAPPING, 'left', 'from_student', KeyError),
            AssertionError,
            'should have "from_student"',
        ),
        (
            wrong(*MAPPING, 'left', 'recorder', KeyError),
            AssertionError,
            'should have "recorder"',
        ),
        (
            wrong(*MAPPING, 'left', 'recorder', 'neck'),
            AssertionError,
            'student_recorders',
        ),
        (
            wrong(*MAPPING, 'left', 'connector', 'widen'),
            AssertionError,
            'connectors',
        ),
        (
            wrong(*MAPPING, 'middle', record(from_student=True)),
            AssertionError,
            'middle',
        ),
    ],
    ids=str,
)
def test_wrong_mappings_raise_what_mmrazor_raises(kind, cfg, error, message):
    with pytest.raises(error, match=message) as caught:
        kind(**copy.deepcopy(cfg))
    assert kind is ConfigurableDistiller or isinstance(caught.value, UserError)


def test_a_name_without_loss_is_warned_of():
    cfg = distiller()
    cfg['distill_losses'] = dict(sum=dict(type='SumLoss'))
    cfg['loss_forward_mappings'] = dict(sum=cfg.loss_forward_mappings.loss_sum)
    with pytest.warns(UserWarning, match='If sum is a loss'):
        DiffKDDistiller(**cfg)


def test_losses_without_mappings_are_accepted():
    distiller_ = DiffKDDistiller(**wrong('loss_forward_mappings', None))
    assert distiller_.loss_forward_mappings == {}


def test_arguments_without_annotation_take_anything():
    cfg = wrong(
        'distill_losses',
        'loss_sum',
        dict(type='UntypedLoss', weight='any', norm_cfg=3, other=[]),
    )
    assert isinstance(
        DiffKDDistiller(**cfg).distill_losses['loss_sum'], UntypedLoss
    )


def test_a_list_of_stock_connectors_is_a_sequence():
    cfg = wrong(*MAPPING, 'left', 'connector', 'several')
    norm_cfg = dict(type='BN', affine=False, track_running_stats=False)
    cfg['connectors'] = dict(
        several=[
            dict(
                type='ConvModuleConnector',
                in_channel=1,
                out_channel=4,
                act_cfg=None,
            ),
            dict(type='NormConnector', in_channels=4, norm_cfg=norm_cfg),
        ]
    )
    connector = DiffKDDistiller(**cfg).connectors['several']
    assert isinstance(connector, nn.Sequential)
    assert connector(torch.randn(2, 1, 3, 3)).shape == (2, 4, 3, 3)


def algorithm(kind, distiller_type, **kwargs):
    return kind(
        architecture=dict(type='OneConv'),
        distiller=dict(type=distiller_type, **distiller()),
        **kwargs,
    )


@pytest.mark.parametrize(
    'distiller_type', ['ConfigurableDistiller', 'mmdiffkd.DiffKDDistiller']
)
@pytest.mark.parametrize(
    'options, names',
    [
        (dict(), ['student.loss', 'distill.loss_sum']),
        (
            dict(teacher_trainable=True),
            ['student.loss', 'distill.loss_sum', 'teacher.loss'],
        ),
        (dict(calculate_student_loss=False), ['distill.loss_sum']),
        (
            dict(calculate_student_loss=False, student_trainable=False),
            ['distill.loss_sum'],
        ),
    ],
    ids=str,
)
def test_names_of_the_losses_are_mmrazors(distiller_type, options, names):
    images = torch.randn(1, 3, 1, 1)
    for kind in (SingleTeacherDistill, FrozenTeacherDistill):
        model = algorithm(
            kind, distiller_type, teacher=dict(type='OneConv'), **options
        )
        assert set(model(images, mode='loss')) == set(names)
        assert model.student is model.architecture


def test_a_built_teacher_is_kept_and_a_string_is_refused():
    teacher = OneConv()
    model = algorithm(
        FrozenTeacherDistill, 'ConfigurableDistiller', teacher=teacher
    )
    assert model.teacher is teacher
    with pytest.raises(TypeError, match='teacher should be a `dict` or'):
        algorithm(FrozenTeacherDistill, 'ConfigurableDistiller', teacher='t')


def test_a_student_may_teach_itself():
    model = algorithm(SelfDistill, 'mmdiffkd.DiffKDDistiller')
    losses = model(torch.randn(1, 3, 1, 1), mode='loss')
    assert set(losses) == {'student.loss', 'distill.loss_sum'}
