# Copyright (c) mmdiffkd contributors.
import numpy as np
import pytest
import torch
from helpers import reference
from hypothesis import given, settings
from hypothesis import strategies as st

from mmdiffkd.diffusion import (
    BottleneckDenoiser,
    DDIMSampler,
    MLPDenoiser,
    NoiseSchedule,
)

GOLDEN = [
    (1.426701, -0.502744),
    (1.290662, -0.418500),
    (1.167829, -0.360785),
    (1.056896, -0.332243),
    (1.000050, -0.010001),
]


def test_golden_coefficients():
    sampler = DDIMSampler(NoiseSchedule())
    assert sampler.timesteps == [400, 300, 200, 100, 0]
    np.testing.assert_allclose(sampler.coefficients, GOLDEN, atol=5e-7)


@pytest.mark.parametrize(
    'steps, expected',
    [
        (1, [0]),
        (3, [332, 166, 0]),
        (10, [450, 400, 350, 300, 250, 200, 150, 100, 50, 0]),
    ],
)
def test_default_timesteps_follow_the_papers_code(steps, expected):
    assert DDIMSampler(NoiseSchedule(), steps).timesteps == expected


def test_start_timestep_of_the_papers_text():
    sampler = DDIMSampler(NoiseSchedule(), 5, start_timestep=500)
    assert sampler.timesteps == [500, 375, 250, 125, 0]


@pytest.mark.parametrize('steps, start', [(0, None), (5, 1000), (6, 4)])
def test_impossible_timesteps_are_refused(steps, start):
    with pytest.raises(ValueError, match='num_inference_steps'):
        DDIMSampler(NoiseSchedule(), steps, start)


@pytest.mark.parametrize('denoiser_type', [BottleneckDenoiser, MLPDenoiser])
def test_chain_equals_a_literal_ddim_loop_with_gradients(denoiser_type):
    torch.manual_seed(0)
    denoiser = denoiser_type(8).double()
    start = torch.randn(2, 8, 5, 3, dtype=torch.float64)
    sampler = DDIMSampler(NoiseSchedule())
    results = []
    for chain in (
        sampler,
        lambda d, x: reference.ddim_chain(d, x, sampler.timesteps),
    ):
        x = start.clone().requires_grad_()
        denoiser.zero_grad()
        out = chain(denoiser, x)
        out.square().mean().backward()
        grads = [p.grad.clone() for p in denoiser.parameters()]
        results.append([out.detach(), x.grad, *grads])
    for ours, literal in zip(*results):
        torch.testing.assert_close(ours, literal, rtol=1e-10, atol=1e-10)


@settings(max_examples=30, deadline=None)
@given(
    start=st.integers(30, 999),
    steps=st.integers(2, 20),
    seed=st.integers(0, 99),
)
def test_an_oracle_denoiser_recovers_the_clean_sample(start, steps, seed):
    """With the true noise, every DDIM trajectory ends at z_0."""
    schedule = NoiseSchedule()
    generator = torch.Generator().manual_seed(seed)
    clean, noise = torch.randn(
        2, 1, 4, 2, 2, generator=generator, dtype=torch.float64
    )
    noisy = schedule.add_noise(clean, noise, torch.tensor([start]))
    sampler = DDIMSampler(schedule, steps, start_timestep=start)
    restored = sampler(lambda x, t: noise, noisy)
    torch.testing.assert_close(restored, clean, rtol=1e-9, atol=1e-9)


def test_timesteps_reach_the_denoiser_in_order():
    seen = []

    def denoiser(x, t):
        seen.append(t.tolist())
        return torch.zeros_like(x)

    DDIMSampler(NoiseSchedule())(denoiser, torch.zeros(1, 1, 1, 1))
    assert seen == [[400], [300], [200], [100], [0]]


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float64], ids=str)
def test_a_step_has_the_wider_dtype(dtype):
    """A denoiser may predict in another one, as under autocast."""
    sampler = DDIMSampler(NoiseSchedule(), num_inference_steps=2)
    x = torch.linspace(-2, 2, 24).view(2, 3, 2, 2)
    start = x.clone()
    found = sampler(lambda x, t: x.to(dtype) * 0.5, x)
    assert torch.equal(x, start), 'the noisy sample was written over'
    assert found.dtype == torch.promote_types(dtype, torch.float32)
    expected = x
    for scale, shift in sampler.coefficients:
        noise = (expected.to(dtype) * 0.5).to(found.dtype)
        expected = scale * expected + shift * noise
    torch.testing.assert_close(found, expected)
