# Copyright (c) mmdiffkd contributors.
"""Layer-wise learning rates reach the student as in stock training."""

import copy

import pytest
from helpers import toys
from helpers.tools import forget_runs
from mmengine.config import Config
from mmengine.logging import MessageHub, MMLogger
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope

from mmdiffkd.engine.student_optim_wrapper import show_student_to_constructor
from mmdiffkd.models.algorithms.announcements import (
    HOOKS,
    announce_absent_parts,
)
from mmdiffkd.utils import UserError
from mmdiffkd.utils.checkpoints.student import student_config

BASE_LR, DECAY = 0.01, 0.1


def convnext():
    """RetinaNet on a narrow ConvNeXt."""
    student = toys.detector()
    student['backbone'] = dict(
        type='mmpretrain.ConvNeXt',
        out_indices=(0, 1, 2, 3),
        arch=dict(depths=[1, 1, 2, 1], channels=[8, 16, 32, 64]),
        gap_before_final_norm=False,
    )
    return student


def config(**paramwise):
    return Config(
        dict(
            model=toys.algorithm(architecture=convnext()),
            optim_wrapper=dict(
                type='OptimWrapper',
                constructor='LearningRateDecayOptimizerConstructor',
                paramwise_cfg=dict(
                    decay_rate=0.7,
                    decay_type='layer_wise',
                    num_layers=6,
                    **paramwise,
                ),
                optimizer=dict(type='AdamW', lr=BASE_LR, weight_decay=DECAY),
            ),
        )
    )


def rates(model, optim_wrapper):
    """(lr, weight decay) by the name of the parameter."""
    with DefaultScope.overwrite_default_scope('mmdet'):
        optimizer = build_optim_wrapper(
            model, copy.deepcopy(optim_wrapper)
        ).optimizer
    found = {
        id(p): (group['lr'], group['weight_decay'])
        for group in optimizer.param_groups
        for p in group['params']
    }
    return {name: found[id(p)] for name, p in model.named_parameters()}


def test_student_has_the_rates_of_stock_training():
    cfg = config()
    stock = rates(toys.build(cfg.model.architecture), cfg.optim_wrapper)
    assert len({lr for lr, _ in stock.values()}) > 3
    line = show_student_to_constructor(cfg)
    assert 'LearningRateDecayOptimizerConstructor' in line
    ours = rates(toys.build(cfg.model), cfg.optim_wrapper)
    for name, expected in stock.items():
        assert ours[f'architecture.{name}'] == expected, name


@pytest.mark.parametrize(
    'keys, expected',
    [
        ({}, (BASE_LR, DECAY)),
        ({'distiller': dict(lr_mult=5.0, decay_mult=0.0)}, (5 * BASE_LR, 0.0)),
    ],
)
def test_distiller_has_the_rate_of_the_optimizer(keys, expected):
    cfg = config(custom_keys=keys)
    show_student_to_constructor(cfg)
    ours = rates(toys.build(cfg.model), cfg.optim_wrapper)
    distiller = {k: v for k, v in ours.items() if k.startswith('distiller.')}
    assert distiller
    assert all(v == pytest.approx(expected) for v in distiller.values())


@pytest.mark.parametrize(
    'change',
    [
        dict(optim_wrapper=dict(constructor='DefaultOptimWrapperConstructor')),
        dict(model=dict(teacher_trainable=True)),
        dict(model=dict(type='mmrazor.SingleTeacherDistill')),
    ],
)
def test_others_are_left_alone(change):
    cfg = config()
    cfg.merge_from_dict(change)
    before = copy.deepcopy(cfg.to_dict())
    assert show_student_to_constructor(cfg) is None
    assert cfg.to_dict() == before


def test_the_students_own_config_has_its_own_constructor():
    cfg, before = config(), config()
    show_student_to_constructor(cfg)
    assert student_config(cfg).optim_wrapper == before.optim_wrapper


def test_no_constructor_for_the_student_is_an_error():
    cfg = config()
    cfg.optim_wrapper.constructor = 'mmdiffkd.StudentOptimWrapperConstructor'
    stock = cfg.optim_wrapper.pop('paramwise_cfg')
    with pytest.raises(UserError, match='student_constructor is missing'):
        rates(toys.build(cfg.model), cfg.optim_wrapper)
    # The remedy: it is named.
    cfg.optim_wrapper.paramwise_cfg = dict(
        stock, student_constructor=config().optim_wrapper.constructor
    )
    found = rates(toys.build(cfg.model), cfg.optim_wrapper)
    assert len(set(found.values())) > 3


def test_another_script_is_told_that_it_does_not(tmp_path):
    """And one that does is not."""
    cfg, log = config(), tmp_path / 'log'
    forget_runs()
    logger = MMLogger.get_instance('told', log_file=str(log))
    hub = MessageHub.get_instance('told')
    hub.update_info('cfg', cfg.pretty_text)
    announce_absent_parts(set(HOOKS))
    told = log.read_text()
    assert 'LearningRateDecayOptimizerConstructor does not recog' in told
    show_student_to_constructor(cfg)
    hub.update_info('cfg', cfg.pretty_text)
    announce_absent_parts(set(HOOKS))
    assert log.read_text() == told
    for handler in logger.handlers:
        handler.close()
    forget_runs()
