# Copyright (c) mmdiffkd contributors.
"""Teacher, core, connector and loss: whose fault an error is.

What a host cannot take in the first iteration is a mistake of the config;
what fails in a class of the user, or of this package, keeps its traceback.
"""

import pytest
from helpers import toys
from mmrazor.models.losses import L2Loss
from torch import nn

from mmdiffkd.diffusion import FeatureDiffusion
from mmdiffkd.models import DiffKDConnector
from mmdiffkd.registry import MODELS
from mmdiffkd.utils import UserError
from mmdiffkd.utils.explain import explain


@MODELS.register_module()
class SlippingConnector(DiffKDConnector):
    def forward_train(self, s_feature, t_feature):
        return self.diffusions(s_feature, t_feature)


@MODELS.register_module()
class SlippingCore(FeatureDiffusion):
    def __init__(self, student_channels, teacher_channels, recipe='tuned'):
        super().__init__(student_channels, teacher_channels, recipe=recipe)
        self.scale = self.no_such_thing


@MODELS.register_module()
class NarrowCore(FeatureDiffusion):
    def __init__(self, student_channels, teacher_channels, recipe='tuned'):
        super().__init__(student_channels, teacher_channels, recipe=recipe)
        self.extra = nn.Conv2d(3, 3, 1)

    def forward(self, s_feature, t_feature):
        return super().forward(self.extra(s_feature), t_feature)


@MODELS.register_module()
class SlippingLoss(nn.Module):
    def forward(self, s_feature, t_feature):
        raise ValueError('too few values')


def losses_of(model, times):
    for _ in range(times):
        toys.losses(model)


def test_a_teacher_that_cannot_take_the_batch_is_named():
    model = toys.build(toys.algorithm())
    model.teacher.neck.lateral_convs[0] = nn.Conv2d(7, 24, 1)
    with pytest.raises(
        UserError,
        match="teacher's forward pass fails: RuntimeError.*7 channels",
    ):
        losses_of(model, 1)


def test_a_teacher_that_fails_later_keeps_its_traceback():
    model = toys.build(toys.algorithm())
    losses_of(model, 1)
    model.teacher.neck.lateral_convs[0] = nn.Conv2d(7, 24, 1)
    with pytest.raises(RuntimeError, match='7 channels'):
        losses_of(model, 1)


def test_a_slip_in_a_teacher_of_the_user_keeps_its_traceback():
    model = toys.build(toys.algorithm())
    model.teacher.backbone.forward = lambda x: x.no_such_thing
    with pytest.raises(AttributeError, match='no_such_thing'):
        losses_of(model, 1)


def test_memory_is_no_fault_of_the_teacher():
    model = toys.build(toys.algorithm())
    # PyTorch asks the system for more than any has.
    model.teacher.neck.lateral_convs[0] = nn.ZeroPad2d((0, 2**52, 0, 0))
    with pytest.raises(RuntimeError, match="can't allocate memory") as found:
        losses_of(model, 1)
    assert 'batch_size' in explain(found.value)


def of(**connector):
    """A model whose connector has other settings."""
    cfg = toys.distiller(levels=1)
    cfg['connectors']['diff_p3'].update(connector)
    return toys.build(toys.algorithm(distiller=cfg))


def test_a_slip_in_a_connector_of_the_user_keeps_its_traceback():
    model = of(type='mmdiffkd.SlippingConnector')
    with pytest.raises(AttributeError, match='diffusions'):
        losses_of(model, 1)


def test_a_slip_in_a_core_of_the_user_keeps_its_traceback():
    with pytest.raises(AttributeError, match='no_such_thing'):
        of(core='mmdiffkd.SlippingCore')


def test_a_host_inside_a_core_of_the_user_keeps_its_traceback():
    with pytest.raises(RuntimeError, match='3 channels'):
        losses_of(of(core='mmdiffkd.NarrowCore'), 1)


def test_a_loss_of_the_user_keeps_its_traceback():
    cfg = toys.distiller(levels=1)
    cfg['distill_losses']['loss_kd_p3'] = dict(type='mmdiffkd.SlippingLoss')
    model = toys.build(toys.algorithm(distiller=cfg))
    with pytest.raises(ValueError, match='too few') as found:
        losses_of(model, 1)
    assert not isinstance(found.value, UserError)


@pytest.mark.parametrize('first', [True, False])
def test_a_loss_of_mmrazor_is_told_at_first_and_no_later(first):
    model = of()
    if not first:
        losses_of(model, 1)
    loss = model.distiller.distill_losses['loss_kd_p3']
    assert isinstance(loss, L2Loss)
    loss.loss_weight = None
    with pytest.raises(TypeError if not first else UserError) as found:
        losses_of(model, 1)
    assert first is str(found.value).startswith(
        "distillation loss 'loss_kd_p3' fails on s_feature (2, 24, 8, 12)"
    )


@pytest.mark.parametrize(
    'setting, words',
    [
        (dict(norm_cfg=dict(type='BN', foo=1)), 'foo'),
        (dict(norm_cfg=dict(type='GN', eps='a')), 'eps'),
        (dict(norm_cfg=dict(type='BN', momentum='a')), 'momentum'),
        (dict(sampler=dict(num_inference_steps=2.5)), 'num_inference_steps'),
        (
            dict(denoiser=dict(type='MLPDenoiser', expansion='a')),
            'MLPDenoiser.expansion must be an integer',
        ),
        (dict(noise_matching=dict(initial_gamma='a')), 'initial_gamma'),
    ],
)
def test_values_that_a_part_cannot_do_with_are_told(setting, words):
    with pytest.raises(UserError, match=words):
        of(**setting)
