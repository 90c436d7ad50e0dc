# Copyright (c) mmdiffkd contributors.
"""Take the student out of configs and checkpoints."""

from collections import OrderedDict

import pytest
import torch
from mmengine.config import Config

import mmdiffkd  # noqa: F401
from mmdiffkd.utils import UserError
from mmdiffkd.utils.checkpoints.student import (
    config_from_text,
    distill_types,
    student_config,
    student_weights,
)


def razor_config(**changes):
    cfg = dict(
        default_scope='mmdet',
        model=dict(
            _scope_='mmrazor',
            type='SingleTeacherDistill',
            architecture=dict(type='mmdet.RetinaNet', a=1),
            teacher=dict(cfg_path='mmdet::x.py'),
            distiller=dict(type='ConfigurableDistiller'),
        ),
        teacher_ckpt='x.pth',
        distiller=dict(a=1),
        find_unused_parameters=True,
        custom_imports=dict(imports=['mmdiffkd', 'mine.models']),
        custom_hooks=[
            dict(type='mmrazor.StopDistillHook'),
            dict(type='EMAHook'),
        ],
        default_hooks=dict(
            checkpoint=dict(type='mmdiffkd.Saver'),
            logger=dict(type='LoggerHook', interval=7),
        ),
        val_cfg=dict(type='mmrazor.SingleTeacherDistillValLoop'),
        test_cfg=dict(type='TestLoop', fp16=True),
        train_dataloader=dict(batch_size=3),
    )
    cfg.update(changes)
    return Config(cfg)


def test_distillation_goes_and_the_rest_stays():
    cfg = student_config(razor_config())
    assert cfg.model == dict(type='mmdet.RetinaNet', a=1)
    assert set(cfg) == {
        'default_scope',
        'model',
        'custom_imports',
        'custom_hooks',
        'default_hooks',
        'val_cfg',
        'test_cfg',
        'train_dataloader',
    }
    assert cfg.custom_imports.imports == ['mine.models']
    assert cfg.custom_hooks == [dict(type='EMAHook')]
    assert cfg.default_hooks == dict(
        logger=dict(type='LoggerHook', interval=7)
    )
    assert cfg.val_cfg == dict(type='ValLoop')
    assert cfg.test_cfg == dict(type='TestLoop', fp16=True)


def test_the_given_config_is_not_changed():
    cfg = razor_config()
    before = cfg.pretty_text
    student_config(cfg)
    assert cfg.pretty_text == before


def test_plain_config_is_only_copied():
    cfg = Config(dict(model=dict(type='RetinaNet'), teacher_ckpt='mine'))
    assert student_config(cfg).to_dict() == cfg.to_dict()


def test_preprocessor_of_the_algorithm_is_the_students():
    cfg = razor_config()
    cfg.model.data_preprocessor = dict(type='DetDataPreprocessor', mean=[1])
    assert student_config(cfg).model.data_preprocessor.mean == [1]


def test_architecture_of_another_config_is_expanded():
    path = 'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py'
    cfg = razor_config()
    cfg.model.architecture = dict(
        cfg_path=path,
        pretrained=False,
        cfg_options={'model.bbox_head.num_classes': 3},
    )
    model = student_config(cfg).model
    assert model.type == 'RetinaNet' and model.backbone.depth == 50
    assert model.bbox_head.num_classes == 3


def test_absent_config_of_the_architecture():
    cfg = razor_config()
    cfg.model.architecture = dict(cfg_path='gone.py')
    with pytest.raises(UserError, match='gone.py'):
        student_config(cfg)


def test_types_that_still_need_the_package_are_listed():
    model = dict(type='A', parts=[dict(type='mmdiffkd.MobileNetV1')])
    assert distill_types(model) == ['mmdiffkd.MobileNetV1']


def state(*names):
    return OrderedDict((name, torch.zeros(1)) for name in names)


def test_prefix_is_stripped_once_and_at_the_start_only():
    weights = student_weights(
        dict(
            state_dict=state(
                'architecture.a.architecture.b',
                'architecture.architecture.c',
                'teacher.a',
            )
        )
    )
    assert list(weights) == ['a.architecture.b', 'architecture.c']


def test_wrapped_and_bare_state_dicts():
    assert list(student_weights(state('module.architecture.a'))) == ['a']
    assert list(student_weights(state('backbone.a'))) == ['backbone.a']


def test_layer_versions_follow_the_weights():
    module = torch.nn.ModuleDict(
        dict(
            architecture=torch.nn.Sequential(torch.nn.BatchNorm2d(2)),
            teacher=torch.nn.BatchNorm2d(2),
        )
    )
    weights = student_weights(dict(state_dict=module.state_dict()))
    assert weights._metadata['0']['version'] == 2
    torch.nn.Sequential(torch.nn.BatchNorm2d(2)).load_state_dict(weights)


def test_average_under_its_own_name_without_mmengines_swap():
    """Files whose `ema_state_dict` really holds the average."""
    checkpoint = dict(
        state_dict={'architecture.a': torch.zeros(1)},
        ema_state_dict={'module.architecture.a': torch.ones(1)},
    )
    assert student_weights(checkpoint)['a'] == 1
    assert student_weights(checkpoint, ema=False)['a'] == 0


def test_written_config_is_read_back():
    cfg = Config(
        {
            'a': (1, -2.5, None, True),
            'b': {'0': [dict(type='X')], 'c': float('inf')},
            'd': 'text',
        }
    )
    assert config_from_text(cfg.pretty_text).to_dict() == cfg.to_dict()


@pytest.mark.parametrize(
    'text',
    [
        'import os',
        'a = open("x")',
        'a, b = 1, 2',
        'a = 1\nprint(a)',
        'a = dict(**{"b": 1})',
        'a = (',
    ],
)
def test_programs_are_not_run(text):
    with pytest.raises(UserError, match='--trust-checkpoint'):
        config_from_text(text)
