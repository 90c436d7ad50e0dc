# Copyright (c) mmdiffkd contributors.
"""Norms of vectors and of maps of one position, and SyncBN in one process."""

import pytest
import torch
from helpers import task_toys
from mmengine.model import revert_sync_batchnorm
from torch import nn

from mmdiffkd.diffusion import FeatureDiffusion
from mmdiffkd.diffusion.blocks import (
    BatchNorm2d,
    RevertedSyncBatchNorm,
    build_norm,
)
from mmdiffkd.diffusion.lean_layers import can_be_lean

MLP = dict(type='MLPDenoiser')


def pair(n=1, size=(1, 1), channels=(12, 16)):
    generator = torch.Generator().manual_seed(5)
    return tuple(
        torch.randn(n, c, *size, generator=generator) for c in channels
    )


def core(norm, **options):
    torch.manual_seed(0)
    return FeatureDiffusion(12, 16, norm_cfg=norm, seed=1, **options)


@pytest.mark.parametrize('recipe', ['released', 'tuned'])
@pytest.mark.parametrize(
    'n, size, options',
    [(1, (), dict(denoiser=MLP)), (1, (1, 1), {}), (2, (5, 4), {})],
    ids=['vector', 'one_position', 'map'],
)
def test_sync_bn_in_one_process_is_bn(n, size, options, recipe):
    found = []
    for norm in ('BN', 'SyncBN'):
        module = core(dict(type=norm), recipe=recipe, **options)
        keys = module.state_dict().keys()
        module = revert_sync_batchnorm(module).train()
        assert module.state_dict().keys() == keys
        assert can_be_lean(module.denoiser.layers)
        student, teacher = pair(n, size)
        student.requires_grad_()
        out = module(student, teacher)
        loss = (out.student - out.teacher).square().mean()
        (loss + sum(out.losses.values())).backward()
        grads = [p.grad for p in module.parameters()]
        found.append([loss, student.grad, *grads, *module.buffers()])
    for a, b in zip(*found, strict=True):
        assert (a is None) == (b is None)
        assert a is None or torch.equal(a, b)


def test_sync_bn_of_a_runner_of_one_process():
    """It reverts the model that was built, and sets the mode."""
    cfg = task_toys.algorithm('seg', norm_cfg=dict(type='SyncBN'))
    model = revert_sync_batchnorm(task_toys.build('seg', cfg)).train()
    norms = [
        type(m)
        for m in model.distiller.modules()
        if isinstance(m, nn.modules.batchnorm._BatchNorm)
    ]
    assert norms and set(norms) == {RevertedSyncBatchNorm}


def test_a_reverted_sync_bn_of_the_users_takes_any_shape():
    module = core(dict(type='BN'))
    module.denoiser = nn.Sequential(nn.SyncBatchNorm(16))
    norm = revert_sync_batchnorm(module).train().denoiser[0]
    x = torch.randn(3, 16)
    expected = nn.BatchNorm1d(16)(x)
    assert isinstance(norm, BatchNorm2d)
    assert torch.equal(norm(x), expected)
    assert norm(x[:1]).isfinite().all()


@pytest.mark.parametrize('n', [1, 4])
@pytest.mark.parametrize('groups', [16, 32])
def test_groups_of_one_channel_leave_something_of_vectors(groups, n):
    norm = build_norm(dict(type='GN', num_groups=groups), 16)
    x = torch.randn(n, 16, 1, 1)
    default = build_norm(dict(type='GN'), 16)
    assert norm.num_groups == 16 and default.num_groups == 2
    assert torch.equal(norm(x), default(x))
    assert norm(x).std() > 0.5


@pytest.mark.parametrize(
    'groups, size', [(16, (2, 1)), (16, (3, 3)), (8, (1, 1)), (1, (1, 1))]
)
def test_other_groups_are_those_of_pytorch(groups, size):
    x = torch.randn(2, 16, *size)
    norm = build_norm(dict(type='GN', num_groups=groups), 16)
    assert torch.equal(norm(x), nn.GroupNorm(groups, 16)(x))


@pytest.mark.parametrize('n', [1, 4])
def test_groups_of_one_channel_train_on_a_map_of_one_position(n):
    """As the last level of a small image is."""
    module = core(dict(type='GN', num_groups=16), recipe='tuned')
    student, teacher = pair(n)
    student.requires_grad_()
    out = module(student, teacher)
    (out.student - out.teacher).square().mean().backward()
    assert student.grad.abs().max() > 1e-4


@pytest.mark.parametrize('size, options', [((), MLP), ((1, 1), None)])
def test_instance_norm_refuses_what_it_would_make_constant(size, options):
    module = core(dict(type='IN'), denoiser=options)
    with pytest.raises(ValueError, match="'IN'.*choose 'BN' or 'GN'"):
        module(*pair(4, size))


def test_instance_norm_of_other_maps_is_that_of_pytorch():
    for size, training in (((3, 3), True), ((1, 2), True), ((1, 1), False)):
        x = torch.randn(2, 16, *size)
        options = dict(affine=True, track_running_stats=not training)
        norm = build_norm(dict(type='IN', **options), 16).train(training)
        expected = nn.InstanceNorm2d(16, **options).train(training)(x)
        assert torch.equal(norm(x), expected)
