# Copyright (c) mmdiffkd contributors.
"""A teacher from its config, with all of its weights or an error."""

import copy

import pytest
import torch
from helpers import toys
from mmengine.config import Config
from mmengine.registry import DefaultScope

from mmdiffkd.models.algorithms.teacher_builder import (
    build_teacher,
    load_teacher,
)
from mmdiffkd.utils import UserError

R18 = 'mmpretrain::resnet/resnet18_8xb16_cifar10.py'


@pytest.fixture
def scope():
    with DefaultScope.overwrite_default_scope('mmdet'):
        yield


def teacher_of(**options):
    return build_teacher(dict(cfg_path=R18, **options))


def test_a_name_of_the_zoo_and_options_of_it():
    built = teacher_of(
        cfg_options={'model.backbone.base_channels': 8, 'model.neck': None}
        | {'model.head.in_channels': 8 * 8, 'model.head.num_classes': 3}
    )
    assert built.model.backbone.layer1[0].conv1.out_channels == 8
    assert built.model.head.fc.weight.shape == (3, 64)
    assert built.own_input and built.checkpoint is None


def test_the_scope_outside_stays(scope):
    teacher_of()
    assert DefaultScope.get_current_instance().scope_name == 'mmdet'


def test_a_model_config_alone(scope, tmp_path):
    config = toys.detector()
    assert build_teacher(copy.deepcopy(config)).own_input
    bare = copy.deepcopy(config)
    bare.pop('data_preprocessor')
    assert not build_teacher(bare).own_input
    path = tmp_path / 'teacher.py'
    Config(
        dict(
            model=dict(
                init_cfg=dict(type='Pretrained', checkpoint='x.pth'), **config
            )
        )
    ).dump(path)
    built = build_teacher(dict(cfg_path=str(path)))
    assert built.checkpoint == 'x.pth'


@pytest.mark.parametrize(
    'options, words',
    [
        (dict(cfg_options={'backbone.depth': 18}), "mean 'model.backbone'"),
        (dict(cfg_options=['depth']), 'dict with dotted names'),
        (dict(cfg_options={'model.head.fc.x.y': 1, 3: 2}), 'dotted names'),
        (dict(backbone=1), 'cfg_options={.model.backbone'),
    ],
)
def test_options_that_fit_nothing(options, words):
    with pytest.raises(UserError, match=words):
        teacher_of(**options)


@pytest.mark.parametrize(
    'path', [5, 'gone.py', 'mmpretrain::gone.py', 'mmnothing::a/b.py']
)
def test_paths_that_lead_nowhere(path):
    with pytest.raises(UserError, match='cfg_path'):
        build_teacher(dict(cfg_path=path))


def test_all_weights_or_an_error_that_counts(scope, tmp_path):
    model = teacher_of().model
    path = str(tmp_path / 'w.pth')
    weights = {k: torch.full_like(v, 2) for k, v in model.state_dict().items()}
    torch.save(dict(state_dict=weights), path)
    load_teacher(model, path)
    assert all((p == 2).all() for p in model.parameters())
    weights.pop('head.fc.bias')
    weights['head.fc.weight'] = torch.zeros(1)
    torch.save(dict(state_dict=weights), path)
    with pytest.raises(UserError, match='1 are missing and 1 differ'):
        load_teacher(model, path)


def test_loaded_weights_are_not_initialised_again(tmp_path):
    model = teacher_of().model
    path = str(tmp_path / 'w.pth')
    torch.save(model.state_dict(), path)
    load_teacher(model, path)
    before = model.backbone.conv1.weight.detach().clone()
    model.init_weights()
    assert torch.equal(model.backbone.conv1.weight, before)
