# Copyright (c) mmdiffkd contributors.
"""Mutated distiller configs: a clear error, or a model that trains."""

import copy

import pytest
import torch
from helpers import toys
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mmdiffkd.utils import UserError
from mmdiffkd.utils.explain import explain

# What slips into a config: other types, other numbers, names that are none.
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([-1, 0, 1, 3, 16, 24, 1000]),
    st.sampled_from([-0.5, 0.0, 0.5, 2.0, float('nan'), float('inf')]),
    st.sampled_from(
        [
            '',
            'fpn',
            'neck',
            'diff_p3',
            'loss_kd_p3',
            'tuned',
            'released',
            'nec',
            'mmrazor.L2Loss',
            'ModuleOutputs',
            'mmdiffkd.DiffKDConnector',
            'BN',
            'bilinear',
        ]
    ),
    st.sampled_from(
        [
            [],
            [1],
            ['p3'],
            ['p4', 'p9'],
            dict(),
            dict(p3=dict()),
            dict(type='BN'),
            dict(type='NoSuch'),
            (4, 4),
        ]
    ),
)
NAMES = st.sampled_from(
    [
        'fpm',
        'type',
        'source',
        'recorder',
        'data_idx',
        'record_idx',
        'connector',
        'connector_idx',
        'student_channels',
        'recipe',
        'seed',
        'loss_weight',
        'norm_cfg',
        'latent_channels',
        'initial_gamma',
        'resize',
        'token_shape',
        'sampler',
        'denoiser',
        'init_cfg',
        'diff_p3',
        'x',
        'kd',
        'levels',
        'outputs',
        'index',
        'student',
        'teacher',
        'losses',
        'loss_inputs',
        'connector_inputs',
        'loss_argument',
        'recorder_type',
        'per_level',
    ]
)


def places(item, path=()):
    """Paths of all entries of nested dicts."""
    for key, value in item.items():
        yield (*path, key)
        if isinstance(value, dict):
            yield from places(value, (*path, key))


@st.composite
def mutated(draw, make):
    cfg = make(levels=2)
    for _ in range(draw(st.integers(1, 2))):
        *parents, key = draw(st.sampled_from(list(places(cfg))))
        part = cfg
        for parent in parents:
            part = part[parent]
        action = draw(st.sampled_from(['delete', 'rename', 'set', 'add']))
        if action == 'add' and isinstance(part[key], dict):
            part[key][draw(NAMES)] = copy.deepcopy(draw(VALUES))
        elif action == 'rename':
            part[draw(NAMES)] = part.pop(key)
        elif action == 'delete':
            del part[key]
        else:
            part[key] = copy.deepcopy(draw(VALUES))
    return cfg


def outcome(distiller):
    """Build and step; '' if it works, else the answer of a tool."""
    try:
        model = toys.build(toys.algorithm(distiller=distiller))
        loss, _ = model.parse_losses(toys.losses(model, toys.batch((64, 64))))
        loss.backward()
    except UserError as error:
        return str(error)
    except Exception as error:
        message = explain(error)
        if message is None:
            raise
        return message
    return ''


@pytest.mark.parametrize('make', [toys.distiller, toys.pairs])
@settings(max_examples=120, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_mutated_distillers_build_or_say_what_is_wrong(make, data):
    distiller = data.draw(mutated(make))
    torch.manual_seed(0)
    answer = outcome(distiller)
    assert answer == '' or len(answer) > 15


def test_the_unmutated_one_works():
    assert outcome(toys.distiller(levels=2)) == ''


@pytest.mark.parametrize(
    'path, value, words',
    [
        (('_scope_',), '', '_scope_'),
        (('connectors',), None, 'no such connector'),
        (('connectors',), 3, 'connectors should be a dict'),
        (('connectors', 'diff_p3'), 'x', 'connectors.diff_p3'),
        (('connectors', 'diff_p3', 'student_channels'), 0, 'student_channels'),
        (
            ('connectors', 'diff_p3', 'student_channels'),
            2.5,
            'student_channels',
        ),
        (('connectors', 'diff_p3', 'norm_cfg'), dict(type='NoSuch'), 'NoSuch'),
        (('student_recorders',), 'neck', 'student_recorders should be a dict'),
        (('student_recorders', 'fpn'), None, 'student_recorders.fpn'),
        (('student_recorders', 'fpn', 'source'), 3, 'source'),
        (('student_recorders', 'fpn', 'type'), None, 'type'),
        (('distill_losses', 'loss_kd_p3'), [], 'distill_losses.loss_kd_p3'),
        (('loss_forward_mappings', 'loss_kd_p3'), None, 'loss_kd_p3'),
        (
            ('connector_forward_mappings', 'diff_p3', 's_feature', 'data_idx'),
            'a',
            'data_idx',
        ),
        (
            ('connector_forward_mappings', 'diff_p3', 's_feature', 'recorder'),
            [],
            'recorder',
        ),
    ],
)
def test_wrong_kinds_are_named(path, value, words):
    cfg = toys.distiller(levels=2)
    part = cfg
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = value
    assert words in outcome(cfg)
