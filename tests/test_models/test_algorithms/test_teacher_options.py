# Copyright (c) mmdiffkd contributors.
"""Options of a teacher that fit any checkpoint are named."""

import numpy as np
import pytest
import torch

from mmdiffkd.models.algorithms.teacher_builder import build_teacher
from mmdiffkd.utils import UserError

CONVNEXT = """
default_scope = 'mmpretrain'
data_preprocessor = dict(num_classes=5, mean=[1.0] * 3, std=[2.0] * 3)
model = dict(
    type='ImageClassifier',
    backbone=dict(
        type='ConvNeXt',
        arch=dict(depths=[1, 1, 1, 1], channels=[8, 8, 16, 24])),
    head=dict(type='LinearClsHead', num_classes=5, in_channels=24))
"""


def silent(tmp_path, options, **more):
    path = tmp_path / 'teacher.py'
    path.write_text(CONVNEXT)
    return build_teacher(
        dict(cfg_path=str(path), cfg_options=options, **more)
    ).silent_options


@pytest.mark.parametrize(
    'options, named',
    [
        ({}, []),
        ({'model.head.num_classes': 3}, []),
        (
            {'model.backbone.gap_before_final_norm': False},
            [
                'model.backbone.gap_before_final_norm=False '
                '(its config: not set)'
            ],
        ),
        # The weights of the head change, those of the backbone do not.
        (
            {
                'model.head.num_classes': 3,
                'model.backbone.gap_before_final_norm': False,
            },
            [
                'model.backbone.gap_before_final_norm=False '
                '(its config: not set)'
            ],
        ),
        (
            {'model': dict(backbone=dict(out_indices=(2, 3)))},
            [],  # a norm more
        ),
        (
            {'model': dict(backbone=dict(drop_path_rate=0.1))},
            ['model.backbone.drop_path_rate=0.1 (its config: not set)'],
        ),
        (
            {'data_preprocessor.mean': [7.0] * 3},
            [
                'data_preprocessor.mean=[7.0, 7.0, 7.0] '
                '(its config: [1.0, 1.0, 1.0])'
            ],
        ),
        # The same value, and a part of the config that is no model's.
        (
            {
                'data_preprocessor.mean': [1.0] * 3,
                'default_scope': 'mmpretrain',
            },
            [],
        ),
    ],
)
def test_which_are_named(tmp_path, options, named):
    assert silent(tmp_path, options) == named


def test_a_part_that_is_added_is_named(tmp_path):
    neck = dict(type='GlobalAveragePooling')
    (text,) = silent(tmp_path, {}, neck=neck)
    assert text.startswith('model.neck=') and 'GlobalAverage' in text
    (text,) = silent(tmp_path, {'model.neck': neck})
    assert text.startswith('model.neck=')


def test_looking_draws_no_random_number(tmp_path):
    """The distiller is built next, and starts as it would without."""
    path = tmp_path / 'teacher.py'
    path.write_text(CONVNEXT)
    states = []
    for options in ({}, {'data_preprocessor.mean': [7.0] * 3}):
        torch.manual_seed(0)
        build_teacher(dict(cfg_path=str(path), cfg_options=options))
        states.append(torch.get_rng_state())
    assert torch.equal(*states)


ARCH = dict(depths=[1, 1, 1, 1], channels=[8, 8, 16, 24])


@pytest.mark.parametrize(
    'options',
    [
        {'data_preprocessor.mean': (1.0, 1.0, 1.0)},
        {'data_preprocessor.std': np.full(3, 2.0)},
        {'data_preprocessor': dict(mean=torch.ones(3))},
        {'model.backbone': dict(type='mmpretrain.ConvNeXt')},
        {'model.backbone': dict(_delete_=True, type='ConvNeXt', arch=ARCH)},
        {'model.head': dict(type='LinearClsHead', in_channels=24)},
        # The checkpoint takes the place of these.
        {'model.backbone.init_cfg': None},
        {'model.backbone.init_cfg': dict(type='Pretrained', checkpoint='x')},
        {'model.pretrained': None},
    ],
)
def test_the_same_in_other_words_is_not_named(tmp_path, options):
    assert silent(tmp_path, options) == []


def test_an_array_that_differs_is_named(tmp_path):
    (text,) = silent(tmp_path, {'data_preprocessor.mean': np.full(3, 7.0)})
    assert text.startswith('data_preprocessor.mean=array([7., 7., 7.])')


@pytest.mark.parametrize(
    'options, words',
    [
        ('model.head.num_classes=3', 'must be a dict with dotted names'),
        ({1: 2}, 'must be a dict with dotted names'),
        ({'data_preprocessor.mean.0': 3.0}, 'cannot be set in .*teacher.py'),
        ({'model.backbone.arch.depths.9': 3}, 'cannot be set in'),
    ],
)
def test_options_of_an_odd_kind(tmp_path, options, words):
    with pytest.raises(UserError, match=words):
        silent(tmp_path, options)
