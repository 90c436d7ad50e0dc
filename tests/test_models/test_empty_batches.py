# Copyright (c) mmdiffkd contributors.
"""A batch without samples, such as the masks of an image without objects,
costs nothing and is measured nowhere."""

import pytest
import torch
from helpers.processes import run_two

from mmdiffkd.diffusion import (
    ClassifierGuidance,
    FeatureDiffusion,
    FeatureMimicking,
    FeatureScale,
    SelfDiffusion,
    StudentNoiseLevel,
)
from mmdiffkd.models import AttentionMSELoss, DKDLoss, LSHFeatureLoss

CORES = {
    'released': (FeatureDiffusion, {}),
    'tuned': (FeatureDiffusion, dict(recipe='tuned')),
    'latent': (FeatureDiffusion, dict(latent_channels=4)),
    'channels last': (
        FeatureDiffusion,
        dict(latent_channels=4, channels_last=True, direct_loss_weight=1.0),
    ),
    'min-SNR': (FeatureDiffusion, dict(schedule=dict(min_snr_gamma=5.0))),
    'clean': (FeatureDiffusion, dict(recipe='tuned', prediction='clean')),
    'GN': (FeatureDiffusion, dict(norm_cfg=dict(type='GN'))),
    'noise level': (
        FeatureDiffusion,
        dict(noise_matching=dict(type='StudentNoiseLevel')),
    ),
    'self': (SelfDiffusion, {}),
    'self, student': (SelfDiffusion, dict(diffusion_target='student')),
    'mimicking': (FeatureMimicking, dict(latent_channels=4)),
}


def pair(n, size=(3, 4)):
    return (
        torch.randn(n, 8, *size, requires_grad=True),
        torch.randn(n, 16, *size),
    )


def numbers(module):
    """Buffers, less the counts of iterations."""
    return {
        key: value.clone()
        for key, value in module.named_buffers()
        if value.is_floating_point()
    }


def with_gradient(module):
    parameters = dict(module.named_parameters())
    return {k: p for k, p in parameters.items() if p.grad is not None}


def total_of(out):
    return sum(out.losses.values()) + (out.student * out.teacher).sum()


@pytest.mark.parametrize('name', CORES)
def test_a_core_loses_nothing_and_keeps_its_numbers(name):
    torch.manual_seed(0)
    kind, options = CORES[name]
    module = kind(8, 16, **options)
    total_of(module(*pair(2))).backward()
    before, reached = numbers(module), with_gradient(module)
    module.zero_grad()
    student, teacher = pair(0)
    further = {}
    if kind is SelfDiffusion:
        further['guidance'] = ClassifierGuidance(
            lambda x: x.mean(dim=(2, 3)).log_softmax(1)[:, 0]
        )
    out = module(student, teacher, **further)
    total = total_of(out)
    total.backward()
    assert float(total.detach()) == 0 and student.grad.shape == student.shape
    # Or this rank would keep the others waiting for its gradients.
    assert list(with_gradient(module)) == list(reached)
    assert all(not p.grad.any() for p in reached.values())
    for key, value in numbers(module).items():
        assert torch.equal(value, before[key]), key
    if hasattr(module, 'teacher_losses'):
        losses = module.teacher_losses(teacher)
        assert float(losses['loss_diff'].detach()) == 0


def test_losses_of_nothing_are_zero_with_a_gradient():
    for loss, shape, further in (
        (DKDLoss(), (0, 5), (torch.zeros(0, dtype=torch.long),)),
        (DKDLoss(standardize=True), (0, 5), (torch.zeros(0, 5),)),
        (AttentionMSELoss(), (0, 5, 2, 2), ()),
        (LSHFeatureLoss(5, 8), (0, 5), ()),
        (LSHFeatureLoss(5, 8, pool=True), (0, 5, 2, 2), ()),
    ):
        student = torch.zeros(shape, requires_grad=True)
        value = loss(student, torch.zeros(shape), *further)
        value.backward()
        assert float(value.detach()) == 0 and student.grad.shape == shape


def test_a_running_median_begins_at_the_first_features():
    full, late = (LSHFeatureLoss(5, 8) for _ in range(2))
    late(torch.zeros(0, 5), torch.zeros(0, 5))
    feature = torch.randn(6, 5)
    for loss in (full, late):
        loss(feature, feature)
    assert torch.equal(full.median, late.median)
    assert torch.equal(full.deviation, late.deviation)


def test_a_scale_begins_at_the_first_features():
    scale = FeatureScale()
    scale(torch.zeros(0, 4))
    assert float(scale(torch.full((2, 4), 3.0))) == pytest.approx(3)


def features(rank, iteration, rows):
    generator = torch.Generator().manual_seed(10 * iteration + rank)
    return 3 * torch.randn(2, rows, 5, 2, 2, generator=generator)


def states_after(batches):
    """Running numbers of three modules after each batch."""
    scale, level = FeatureScale(), StudentNoiseLevel(5)
    hashes = LSHFeatureLoss(5, 8)
    found = []
    for student, teacher in batches:
        scale(teacher)
        level(student, student, teacher)
        hashes(student, teacher)
        # As plain numbers: tensors of a process that has ended are gone.
        found.append(
            {
                f'{type(module).__name__}.{key}': value.tolist()
                for module in (scale, level, hashes)
                for key, value in numbers(module).items()
            }
        )
    return found


# Rows of both ranks, by iteration.
ROWS = ((4, 0), (0, 4), (0, 0), (4, 4))


def _work(rank):
    return states_after(
        features(rank, i, rows[rank]) for i, rows in enumerate(ROWS)
    )


def test_ranks_with_features_decide(tmp_path):
    ranks = run_two(_work, tmp_path)
    # One process that sees what one of two sees, and the other does not.
    alone = states_after(
        features(*which) for which in ((0, 0, 4), (1, 1, 4), (0, 2, 0))
    )
    for found in ranks:
        assert found[:3] == alone
    last = [rank[-1] for rank in ranks]
    squares = [features(r, 3, 4)[1].square().mean() for r in range(2)]
    before = torch.tensor(ranks[0][-2]['FeatureScale.mean_square'])
    expected = before.lerp(sum(squares) / 2, 1 / len(ROWS))
    assert last[0]['FeatureScale.mean_square'] == expected.item()
    assert last[0] == last[1]
