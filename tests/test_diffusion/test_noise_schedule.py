# Copyright (c) mmdiffkd contributors.
import numpy as np
import pytest
import torch
from torch import nn

from mmdiffkd.diffusion import FeatureDiffusion, NoiseSchedule


def literal_alphas(total=1000, start=1e-4, end=0.02):
    """Alpha-bar as the paper defines it, multiplied out one by one."""
    alphas, product = [], 1.0
    for i in range(total):
        product *= 1 - (start + (end - start) * i / (total - 1))
        alphas.append(product)
    return np.array(alphas)


def test_alphas_are_the_product_of_one_minus_beta():
    schedule = NoiseSchedule()
    np.testing.assert_allclose(
        schedule.alphas_cumprod.numpy(), literal_alphas(), rtol=1e-12
    )
    # The values that the facts of the paper's code give.
    assert float(schedule.alphas_cumprod[400]) == pytest.approx(0.1936, 1e-3)
    assert float(schedule.alphas_cumprod[500]) == pytest.approx(0.0778, 1e-3)


def test_add_noise_is_equation_3_for_each_sample():
    schedule = NoiseSchedule()
    sample = torch.randn(3, 4, 2, 5, dtype=torch.float64)
    noise = torch.randn_like(sample)
    timesteps = torch.tensor([0, 400, 999])
    noisy = schedule.add_noise(sample, noise, timesteps)
    alphas = literal_alphas()
    for i, t in enumerate(timesteps.tolist()):
        expected = (
            alphas[t] ** 0.5 * sample[i] + (1 - alphas[t]) ** 0.5 * noise[i]
        )
        torch.testing.assert_close(noisy[i], expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision_does_not_round_the_schedule(dtype):
    schedule = NoiseSchedule().to(dtype)
    # 0.9999 rounds to 1 in both types; the noise would vanish.
    zeros = torch.zeros(1, 2, 3, 3, dtype=dtype)
    noise = torch.ones_like(zeros)
    noisy = schedule.add_noise(zeros, noise, torch.tensor([0]))
    assert noisy.dtype == torch.float32
    torch.testing.assert_close(noisy, torch.full_like(noisy, 0.01))


def test_tables_are_not_in_the_state_dict():
    assert not NoiseSchedule().state_dict()


@pytest.mark.parametrize(
    'kwargs',
    [
        dict(num_train_timesteps=0),
        dict(beta_start=0.0),
        dict(beta_start=0.03),
        dict(beta_end=1.0),
    ],
)
def test_impossible_schedules_are_refused(kwargs):
    with pytest.raises(ValueError, match='NoiseSchedule needs'):
        NoiseSchedule(**kwargs)


def test_min_snr_weights_have_mean_one_and_spare_noisy_timesteps():
    assert NoiseSchedule().loss_weights(torch.arange(3)) is None
    weights = NoiseSchedule(min_snr_gamma=5.0).loss_weights(torch.arange(1000))
    alphas = literal_alphas()
    snr = alphas / (1 - alphas)
    expected = np.minimum(snr, 5.0) / snr
    np.testing.assert_allclose(
        weights.numpy(), expected / expected.mean(), rtol=1e-5
    )
    assert weights.mean() == pytest.approx(1.0, rel=1e-5)
    with pytest.raises(ValueError, match='min_snr_gamma must be positive'):
        NoiseSchedule(min_snr_gamma=0)


def test_min_snr_weights_are_those_of_what_is_predicted():
    """Those of Hang et al. (2023)."""
    alphas = literal_alphas()
    snr = alphas / (1 - alphas)
    least = np.minimum(snr, 5.0)
    for prediction, expected in (
        ('noise', least / snr),
        ('clean', least),
        ('velocity', least / (snr + 1)),
    ):
        module = FeatureDiffusion(
            4, 4, schedule=dict(min_snr_gamma=5.0), prediction=prediction
        )
        np.testing.assert_allclose(
            module.schedule.loss_weights(torch.arange(1000)).numpy(),
            expected / expected.mean(),
            rtol=1e-5,
        )


class EvenWeights(nn.Module):
    """A schedule of one's own, which knows of no prediction."""

    num_train_timesteps = 10
    alphas_cumprod = torch.linspace(0.9, 0.1, 10, dtype=torch.float64)

    def add_noise(self, sample, noise, timesteps):
        return sample + noise

    def mix(self, timesteps, like):
        return torch.tensor(1.0), torch.tensor(1.0)

    def loss_weights(self, timesteps):
        return torch.full(timesteps.shape, 3.0)


def test_a_schedule_of_ones_own_need_not_know_what_is_predicted():
    torch.manual_seed(0)
    module = FeatureDiffusion(
        4, 4, schedule=EvenWeights(), prediction='velocity'
    ).eval()
    feature = torch.randn(3, 4, 5, 5)
    noise = module.draw(feature, feature, None)
    predicted = module.denoiser(feature + noise.teacher, noise.timesteps)
    expected = 3 * (predicted - noise.teacher + feature).square().mean()
    loss = module.diffusion_loss(feature, noise)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)


def test_the_diffusion_loss_is_weighted_sample_by_sample():
    torch.manual_seed(0)
    module = FeatureDiffusion(
        4, 4, schedule=dict(min_snr_gamma=5.0), diffusion_loss_weight=2.0
    )
    feature = torch.randn(3, 4, 5, 5)
    noise = module.draw(feature, feature, None)
    module.eval()
    loss = module.diffusion_loss(feature, noise)
    diffused = module.schedule.add_noise(
        feature, noise.teacher, noise.timesteps
    )
    errors = (module.denoiser(diffused, noise.timesteps) - noise.teacher) ** 2
    weights = module.schedule.loss_weights(noise.timesteps)
    expected = sum(w * e.mean() for w, e in zip(weights, errors)) / 3
    assert loss.item() == pytest.approx(2 * expected.item(), rel=1e-5)


class ConstantWeights(NoiseSchedule):
    """Sets weights of its own when it is built."""

    def __init__(self):
        super().__init__()
        self._loss_weights = torch.full((1000,), 3.0)


def test_weights_of_a_subclass_stay():
    module = FeatureDiffusion(4, 4, schedule=ConstantWeights())
    weights = module.schedule.loss_weights(torch.tensor([0, 7]))
    assert weights.tolist() == [3.0, 3.0]
