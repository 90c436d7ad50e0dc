# Copyright (c) mmdiffkd contributors.
import copy

import pytest
import torch
import torch.nn.functional as F
from helpers import toys

from mmdiffkd.diffusion import FeatureDiffusion, NoiseSource
from mmdiffkd.models import DiffKDLoss
from mmdiffkd.utils import UserError


def stock_distiller(s='preds_S', t='preds_T'):
    """An MMRazor distillation config in which one loss is ours."""
    names = ['p3', 'p4', 'p5']
    record = dict(fpn=dict(type='ModuleOutputs', source='neck'))
    return dict(
        _scope_='mmrazor',
        type='ConfigurableDistiller',
        student_recorders=record,
        teacher_recorders=record,
        distill_losses={
            f'loss_{p}': dict(
                type='mmdiffkd.DiffKDLoss',
                student_channels=16,
                teacher_channels=24,
            )
            for p in names
        },
        loss_forward_mappings={
            f'loss_{p}': {
                s: dict(recorder='fpn', from_student=True, data_idx=i),
                t: dict(recorder='fpn', from_student=False, data_idx=i),
            }
            for i, p in enumerate(names)
        },
    )


@pytest.mark.parametrize(
    'names',
    [
        ('preds_S', 'preds_T'),
        ('s_feature', 't_feature'),
        ('logits_S', 'logits_T'),
    ],
)
def test_it_takes_the_place_of_any_loss_of_a_stock_config(names):
    """The mapping, with the names of that loss, stays."""
    cfg = toys.algorithm(
        type='mmrazor.FpnTeacherDistill', distiller=stock_distiller(*names)
    )
    cfg.pop('allow_random_teacher')
    model = toys.build(cfg)
    total, _ = model.parse_losses(toys.losses(model))
    total.backward()
    assert all(p.grad is not None for p in model.distiller.parameters())


def test_one_feature_of_each_side_is_demanded():
    x = torch.randn(2, 8, 4, 4)
    for given in (dict(preds_S=x), dict(preds_S=x, s_feature=x, preds_T=x)):
        with pytest.raises(UserError, match='one student feature .preds_S'):
            DiffKDLoss(8, 8)(**given)


def test_an_option_left_over_from_the_loss_replaced_is_named():
    with pytest.raises(UserError, match="'tau'.*_delete_=True"):
        DiffKDLoss(8, 8, tau=1)


def test_it_equals_connector_and_distance():
    torch.manual_seed(0)
    core = FeatureDiffusion(8, 12, latent_channels=6, recipe='tuned')
    adapter = DiffKDLoss(8, 12, loss_weight=5.0, latent_channels=6)
    adapter.diffusion.load_state_dict(core.state_dict())
    for module in (core, adapter.diffusion):
        module.noise_source = NoiseSource(seed=1)
    student, teacher = torch.randn(2, 8, 4, 4), torch.randn(2, 12, 4, 4)
    out = core(student, teacher)
    distance, *others = adapter(student, copy.deepcopy(teacher))
    torch.testing.assert_close(
        distance, 5 * F.mse_loss(out.student, out.teacher)
    )
    assert [v.item() for v in others] == [
        v.item() for v in out.losses.values()
    ]
