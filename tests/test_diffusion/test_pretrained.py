# Copyright (c) mmdiffkd contributors.
"""A diffusion model of the teacher that comes from a file, and its keys."""

import pytest
import torch
import torch.nn.functional as F
from mmengine.logging import MMLogger

from mmdiffkd.diffusion import (
    AdaptiveNoiseMatching,
    DDIMSampler,
    FeatureDiffusion,
    NoiseSchedule,
    SelfDiffusion,
    StudentNoiseLevel,
)
from mmdiffkd.diffusion.prediction import as_noise, predicted_target
from mmdiffkd.diffusion.pretrained import diffusion_file, load_diffusion
from mmdiffkd.utils import UserError

STUDENT = torch.randn(2, 12, 5, 7, generator=torch.Generator().manual_seed(1))
TEACHER = 3 * torch.randn(
    2, 16, 5, 7, generator=torch.Generator().manual_seed(2)
)


def module(**options):
    options = {'recipe': 'tuned', 'latent_channels': 8, **options}
    return FeatureDiffusion(12, 16, **options)


@pytest.fixture
def path(tmp_path):
    """Of a file with two trained diffusion models."""
    models = {'a': module(), 'b': module()}
    for model in models.values():
        for parameter in model.denoiser.parameters():
            torch.nn.init.normal_(parameter)
        model.teacher_losses(TEACHER)
    path = str(tmp_path / 'diffusion.pth')
    torch.save(diffusion_file(models), path)
    return path


def test_the_file_is_loaded_by_name_and_frozen(path):
    model = module(freeze_diffusion=True).train()
    load_diffusion(model, path, 'b')
    stored = torch.load(path)['diffusion_models']['b']['state_dict']
    parts = torch.nn.ModuleDict(model.diffusion_parts())
    before = {k: v.clone() for k, v in parts.state_dict().items()}
    assert all(torch.equal(before[k], v) for k, v in stored.items())
    student = STUDENT.clone().requires_grad_()
    out = model(student, TEACHER)
    assert out.losses == {}
    F.mse_loss(out.student, out.teacher).backward()
    assert student.grad.abs().sum() > 0, 'through the frozen denoiser'
    assert all(p.grad is None for p in parts.parameters())
    after = parts.state_dict()
    assert all(torch.equal(after[k], v) for k, v in before.items())


@pytest.mark.parametrize(
    'name, options, words',
    [
        ('c', {}, "no diffusion model of the connector 'c'"),
        ('a', dict(latent_channels=4), 'width: 8 in the file, 4 in the'),
        ('a', dict(latent_channels=None), 'width: 8 in the file, 16'),
        ('a', dict(normalize=False), 'the file has a feature_scale'),
        ('a', dict(prediction='velocity'), "'noise' in the file"),
        ('a', dict(schedule=dict(beta_end=0.01)), 'last_alpha'),
        ('a', dict(denoiser=dict(type='MLPDenoiser')), 'denoiser.layers'),
        ('a', dict(norm_cfg=dict(type='GN')), "norms: 'BN' in the file, 'GN"),
    ],
)
def test_what_does_not_fit_is_one_error(path, name, options, words):
    with pytest.raises(UserError, match=words):
        load_diffusion(module(**options), path, name)


def test_other_shapes_of_the_same_weights_are_told(tmp_path):
    def of_expansion(factor):
        return module(denoiser=dict(type='MLPDenoiser', expansion=factor))

    path = str(tmp_path / 'diffusion.pth')
    torch.save(diffusion_file({'a': of_expansion(4)}), path)
    with pytest.raises(UserError, match=r'32.* in the file, .*16.* in the'):
        load_diffusion(of_expansion(2), path, 'a')
    load_diffusion(of_expansion(4), path, 'a')


def test_norms_are_told_apart_by_what_they_do(tmp_path):
    def of(**norm_cfg):
        return module(norm_cfg=norm_cfg)

    path = str(tmp_path / 'diffusion.pth')
    torch.save(diffusion_file({'a': of(type='GN', num_groups=2)}), path)
    with pytest.raises(UserError, match='GN, 2 groups.* in the file, .*4 gro'):
        load_diffusion(of(type='GN', num_groups=4), path, 'a')
    torch.save(diffusion_file({'a': of(type='BN')}), path)
    load_diffusion(of(type='SyncBN'), path, 'a')
    content = torch.load(path)
    del content['diffusion_models']['a']['settings']['norms']
    torch.save(content, path)  # a file from before they were noted
    with pytest.raises(UserError, match='running_mean is in the file alone'):
        load_diffusion(of(type='GN'), path, 'a')
    load_diffusion(of(type='BN'), path, 'a')


def test_a_checkpoint_of_a_distillation_serves_too(tmp_path, caplog):
    trained, path = module(zero_init=False), str(tmp_path / 'x.pth')
    start = 'distiller.connectors.kd.diffusion.'
    state = {start + k: v for k, v in trained.state_dict().items()}
    torch.save(dict(state_dict=state), path)
    model = module()
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    try:
        load_diffusion(model, path, 'kd')
    finally:
        logger.removeHandler(caplog.handler)
    assert "of the connector 'kd' must be those of that config" in caplog.text
    for a, b in zip(
        model.denoiser.parameters(), trained.denoiser.parameters()
    ):
        assert torch.equal(a, b)
    torch.save(dict(state_dict={'backbone.weight': torch.ones(1)}), path)
    with pytest.raises(UserError, match='holds no diffusion model'):
        load_diffusion(model, path, 'kd')


@pytest.mark.parametrize('prediction', ['noise', 'clean', 'velocity'])
def test_a_perfect_prediction_leads_back_to_the_sample(prediction):
    schedule = NoiseSchedule()
    sampler = DDIMSampler(schedule)
    clean, noise = TEACHER.double(), torch.randn_like(TEACHER).double()
    t = torch.tensor([400, 400])

    def denoiser(x, timesteps):
        mix = schedule.mix(timesteps, x)
        output = predicted_target(prediction, clean, noise, *mix)
        return as_noise(prediction, output, x, *mix)

    x = schedule.add_noise(clean, noise, t)
    torch.testing.assert_close(sampler(denoiser, x), clean)


def test_a_chain_from_a_tensor_is_the_chain_from_a_number():
    schedule = NoiseSchedule()
    model = module(zero_init=False)
    x = torch.randn(2, 8, 5, 7)
    for start, steps in ((150, 3), (400, 5), (7, 1)):
        sampler = DDIMSampler(schedule, steps, start)
        expected = sampler(model.denoise, x)
        other = DDIMSampler(schedule, steps)
        got = other(model.denoise, x, start=torch.tensor([start]))
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('rho', [0.5, 0.9])
def test_the_chain_starts_at_the_level_of_the_student(rho):
    generator = torch.Generator().manual_seed(0)
    clean, noise = torch.randn(2, 64, 16, 8, 8, generator=generator)
    level = StudentNoiseLevel(16, max_timestep=999, momentum=1.0)
    schedule = NoiseSchedule()
    z = 7 * (rho * clean + (1 - rho**2) ** 0.5 * noise)
    x, found = level(z, noise, clean)
    assert abs(float(found) - rho) < 0.01
    torch.testing.assert_close(x.square().mean(dim=(1, 2, 3)), torch.ones(64))
    alpha = float(schedule.alphas_cumprod[level.start(schedule)])
    assert abs(alpha**0.5 - rho) < 0.02
    capped = StudentNoiseLevel(16, max_timestep=9)
    assert capped.start(schedule).tolist() == [9], 'nothing measured yet'
    beyond = StudentNoiseLevel(16, max_timestep=10**6)
    assert beyond.start(schedule).tolist() == [999], 'the last there is'


def test_the_variance_preserving_mix_keeps_the_variance():
    z, noise = torch.randn(2, 4, 16, 20, 20)
    matching = AdaptiveNoiseMatching(
        16, initial_gamma=0.6, mix='variance_preserving'
    )
    mixed, _ = matching(z, noise)
    torch.testing.assert_close(mixed, 0.6 * z + 0.8 * noise)
    with pytest.raises(ValueError, match='mix must be one of'):
        AdaptiveNoiseMatching(16, mix='cubic')


def test_without_output_projection_the_denoised_feature_is_compared():
    model = module(
        latent_channels=None,
        output_projection=False,
        direct_loss_weight=2.0,
        initial_gamma=1 - 1e-9,
        sampler=dict(num_inference_steps=1, start_timestep=0),
    )
    out = model(STUDENT, TEACHER)
    z = model.project(STUDENT)
    scale = TEACHER.square().mean().sqrt()
    # An idle chain from t = 0 divides by sqrt(0.9999).
    torch.testing.assert_close(
        out.student, scale * z / 0.9999**0.5, rtol=1e-3, atol=1e-3
    )
    torch.testing.assert_close(
        out.losses['loss_direct'], 2 * F.mse_loss(z, TEACHER / scale)
    )


def test_dskd_may_learn_the_student():
    torch.manual_seed(0)
    model = SelfDiffusion(12, 16, zero_init=False)
    losses = []
    for target in ('teacher', 'student'):
        model.diffusion_target = target
        student = STUDENT.clone().requires_grad_()
        loss = model(
            student, TEACHER, torch.Generator().manual_seed(0)
        ).losses['loss_diff']
        loss.backward()
        assert student.grad is None, 'it trains the denoiser alone'
        losses.append(float(loss))
    assert losses[0] != losses[1]
    with pytest.raises(ValueError, match='diffusion_target must be one of'):
        SelfDiffusion(12, 16, diffusion_target='both')
