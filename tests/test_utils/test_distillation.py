# Copyright (c) mmdiffkd contributors.
"""The class of a model says whether it distils, not its name."""

import pytest
import torch
from mmdet.registry import MODELS as MMDET_MODELS
from mmengine.config import Config
from mmengine.registry import MODEL_WRAPPERS
from mmengine.registry import MODELS as ROOT_MODELS
from torch import nn

from mmdiffkd.engine.checks.settings import check_training
from mmdiffkd.engine.reliable_hooks import make_reliable
from mmdiffkd.engine.student_optim_wrapper import show_student_to_constructor
from mmdiffkd.models import FrozenTeacherDistill
from mmdiffkd.registry import MODELS
from mmdiffkd.utils import UserError
from mmdiffkd.utils.checkpoints.student import student_config
from mmdiffkd.utils.distillation import is_distillation, tensors_of, unwrap


class Household(FrozenTeacherDistill):
    """A user's algorithm whose name says nothing."""


class Impostor_FrozenTeacherDistill(nn.Module):
    """A user's model whose name ends like that of the algorithm."""


MODELS.register_module(name='Household', module=Household)
ROOT_MODELS.register_module(name='RootHousehold', module=Household)
MMDET_MODELS.register_module(name='DetHousehold', module=Household)
MODELS.register_module(module=Impostor_FrozenTeacherDistill)

OURS = [
    'FrozenTeacherDistill',
    'mmdiffkd.FrozenTeacherDistill',
    'mmdiffkd.Household',
    'RootHousehold',
    'mmdet.DetHousehold',
    'DetHousehold',
    Household,
]
OTHERS = [
    'mmdiffkd.Impostor_FrozenTeacherDistill',
    'mmrazor.SingleTeacherDistill',
    'mmdet.RetinaNet',
    'NoSuchFrozenTeacherDistill',
    'no.such.FrozenTeacherDistill',
    'mmdiffkd.',
    '.',
    '',
    Impostor_FrozenTeacherDistill,
    None,
    5,
]


def config(kind):
    # Without a prefix it is looked for in the scope of the model.
    scope = dict(_scope_='mmdiffkd') if kind == 'FrozenTeacherDistill' else {}
    return Config(
        dict(
            default_scope='mmdet',
            model=dict(
                type=kind,
                **scope,
                architecture=dict(type='A', data_preprocessor=dict(type='B')),
                data_preprocessor=dict(type='C'),
            ),
            train_dataloader=dict(sampler=dict(type='DefaultSampler')),
            train_cfg=dict(type='IterBasedTrainLoop', max_iters=2),
            optim_wrapper=dict(
                constructor='LayerDecayOptimizerConstructor',
                paramwise_cfg=dict(layer_decay_rate=0.5),
            ),
        )
    )


@pytest.mark.parametrize('kind', OURS + OTHERS)
def test_class_decides_and_not_name(kind):
    expected = any(kind is known for known in OURS)
    cfg = config(kind)
    assert is_distillation(cfg) == expected
    # The guard of its losses.
    make_reliable(cfg)
    hooks = [hook.type for hook in cfg.custom_hooks]
    assert ('mmdiffkd.FiniteLossHook' in hooks) == expected
    # Layer-wise rates, which go by the student's own names.
    assert (show_student_to_constructor(cfg) is not None) == expected
    # The student's own preprocessor wins in ours alone.
    own = student_config(config(kind)).model.data_preprocessor.type
    assert own == ('B' if expected else 'C')


def test_two_preprocessors_are_an_error_under_any_name():
    with pytest.raises(UserError, match='data_preprocessor'):
        check_training(config('mmdiffkd.Household'), 'x.py')
    check_training(config('mmdiffkd.Impostor_FrozenTeacherDistill'), 'x.py')


def test_a_config_without_a_model_is_none():
    assert not is_distillation(Config(dict()))
    assert not is_distillation(Config(dict(model=dict())))
    assert not is_distillation(Config(dict(model=5)))


class Twice(nn.Module):
    """A wrapper of one's own."""

    def __init__(self, module):
        super().__init__()
        self.module = module


def test_all_wrappers_are_taken_off(monkeypatch):
    monkeypatch.setitem(MODEL_WRAPPERS.module_dict, 'Twice', Twice)
    model = nn.Linear(1, 1)
    assert unwrap(model) is model
    assert unwrap(Twice(model)) is model
    assert unwrap(Twice(Twice(model))) is model


def test_tensors_are_found_in_lists_and_tuples():
    a, b, c = torch.zeros(1), torch.zeros(2), torch.zeros(3)
    assert [len(t) for t in tensors_of([a, (b, [c, 'x', None])])] == [1, 2, 3]
    assert tensors_of(a)[0] is a
    assert tensors_of(dict(a=a)) == []
