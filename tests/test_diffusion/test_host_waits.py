# Copyright (c) mmdiffkd contributors.
"""No module asks a tensor for a value, or mixes devices: each would make a
GPU wait, or fail there. Fake tensors have no values, and know their device."""

import pytest
import torch
from helpers.fakes import move
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    FakeTensorMode,
)

from mmdiffkd.diffusion import (
    FeatureDiffusion,
    FeatureMimicking,
    NoiseDraw,
    SelfDiffusion,
)

MAP, TOKENS, VECTOR = (2, 8, 6, 5), (2, 30, 8), (2, 8)
ROOM = dict(student_channels=8, teacher_channels=8)

CASES = {
    'released': (FeatureDiffusion, {}, MAP),
    'tuned': (FeatureDiffusion, dict(recipe='tuned'), MAP),
    'latent': (FeatureDiffusion, dict(latent_channels=4), MAP),
    'with_cp': (FeatureDiffusion, dict(with_cp=True), MAP),
    'clean': (FeatureDiffusion, dict(prediction='clean'), MAP),
    'velocity': (FeatureDiffusion, dict(prediction='velocity'), MAP),
    'channels last': (FeatureDiffusion, dict(channels_last=True), MAP),
    'direct': (FeatureDiffusion, dict(direct_loss_weight=1.0), MAP),
    'warm-up': (FeatureDiffusion, dict(kd_warmup_iters=3), MAP),
    'no projection': (
        FeatureDiffusion,
        dict(output_projection=False, recipe='tuned'),
        MAP,
    ),
    'student noise level': (
        FeatureDiffusion,
        dict(noise_matching=dict(type='StudentNoiseLevel')),
        MAP,
    ),
    'min-SNR': (
        FeatureDiffusion,
        dict(schedule=dict(type='NoiseSchedule', min_snr_gamma=5.0)),
        MAP,
    ),
    'vectors': (
        FeatureDiffusion,
        dict(denoiser=dict(type='MLPDenoiser')),
        VECTOR,
    ),
    'tokens': (FeatureDiffusion, dict(token_shape=(6, 5)), TOKENS),
    'self': (SelfDiffusion, {}, MAP),
    'self, student': (SelfDiffusion, dict(diffusion_target='student'), MAP),
    'mimicking': (FeatureMimicking, {}, MAP),
}


def output_of(name, mode, device):
    """A training pass of a case on fake tensors, with noise from outside."""
    kind, options, shape = CASES[name]
    module = kind(**ROOM, **options).train()
    move(module, mode, device)
    with mode:
        student, teacher = (
            torch.empty(shape, device=device, requires_grad=i == 0)
            for i in range(2)
        )
        given = {}
        if kind is not FeatureMimicking:
            width = options.get('latent_channels', 8)
            latent = torch.empty(
                (2, width, *((1, 1) if shape is VECTOR else MAP[2:])),
                device=device,
            )
            steps = torch.empty(2, dtype=torch.long, device=device)
            given['noise'] = NoiseDraw(latent, latent.clone(), steps)
        return module(student, teacher, **given)


@pytest.mark.parametrize('name', CASES)
def test_a_training_pass_waits_for_no_value(name):
    mode = FakeTensorMode()
    output = output_of(name, mode, 'cpu')
    with mode:
        loss = (output.student - output.teacher).square().mean()
        sum(output.losses.values(), loss).backward()


@pytest.mark.parametrize('name', CASES)
def test_the_forward_pass_stays_on_its_device(name):
    output = output_of(name, FakeTensorMode(), 'cuda')
    found = [*output[:2], *output.losses.values(), *output.stats.values()]
    assert {t.device.type for t in found} == {'cuda'}


def test_a_module_that_waits_is_found(monkeypatch):
    wait = FeatureDiffusion.project

    def waiting(self, student):
        assert float(student.mean()) >= 0
        return wait(self, student)

    monkeypatch.setattr(FeatureDiffusion, 'project', waiting)
    with pytest.raises(DataDependentOutputException):
        output_of('released', FakeTensorMode(), 'cpu')


def test_a_module_that_mixes_devices_is_found(monkeypatch):
    project = FeatureDiffusion.project

    def mixing(self, student):
        return project(self, student) + torch.ones(1, device='cpu')

    monkeypatch.setattr(FeatureDiffusion, 'project', mixing)
    with pytest.raises(RuntimeError, match='device'):
        output_of('released', FakeTensorMode(), 'cuda')
