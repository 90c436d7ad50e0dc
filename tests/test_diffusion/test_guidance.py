# Copyright (c) mmdiffkd contributors.
import pytest
import torch
import torch.nn.functional as F
from helpers import reference
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from mmdiffkd.diffusion import (
    BottleneckDenoiser,
    ClassifierGuidance,
    DDIMSampler,
    FeatureDiffusion,
    NoiseSchedule,
    SelfDiffusion,
)

SIZE = (4, 3)


def classifier(weight, target):
    """log p(target | x0), softmax behind a linear layer on pooled maps."""

    def log_prob(clean):
        logits = F.linear(clean.mean(dim=(2, 3)), weight)
        return logits.log_softmax(1).gather(1, target[:, None]).squeeze(1)

    return log_prob


def setting(seed=0, n=3, channels=8, classes=5, size=SIZE):
    generator = torch.Generator().manual_seed(seed)
    options = dict(generator=generator, dtype=torch.float64)
    return (
        torch.randn(n, channels, *size, **options),
        torch.randn(classes, channels, **options),
        torch.randint(classes, (n,), generator=generator),
    )


def largest_scale(weight, size, alpha):
    """s * (1 - a) / a < 2 / L with L = norm(W)^2 / (2 * H * W)."""
    lipschitz = torch.linalg.matrix_norm(weight, 2) ** 2 / (
        2 * size[0] * size[1]
    )
    return float(2 / lipschitz * alpha / (1 - alpha))


class StepWatch(ClassifierGuidance):
    """Compare the clean sample of each step with and without guidance."""

    def __call__(self, x, noise, alpha):
        guided = super().__call__(x, noise, alpha)
        clean = [
            (x - (1 - alpha) ** 0.5 * eps) / alpha**0.5
            for eps in (noise, guided)
        ]
        self.steps = getattr(self, 'steps', [])
        self.steps.append([self.log_prob(c).detach() for c in clean])
        return guided


@pytest.mark.parametrize('scale', [0.3, 20.0])
def test_guided_chain_equals_the_literal_formula(scale):
    torch.manual_seed(0)
    x, weight, target = setting()
    denoiser = BottleneckDenoiser(8).double()
    sampler = DDIMSampler(NoiseSchedule())
    ours = sampler(
        denoiser, x, ClassifierGuidance(classifier(weight, target), scale)
    )
    literal = reference.guided_chain(
        denoiser, x, sampler.timesteps, weight, target, scale
    )
    torch.testing.assert_close(ours, literal, rtol=1e-10, atol=1e-10)
    assert not torch.allclose(ours, sampler(denoiser, x), atol=1e-3)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), share=st.floats(0.01, 0.99))
def test_every_step_climbs_on_random_features(seed, share):
    """For every scale below the bound in ClassifierGuidance."""
    torch.manual_seed(seed)
    x, weight, target = setting(seed)
    sampler = DDIMSampler(NoiseSchedule())
    scale = share * largest_scale(weight, SIZE, sampler.alphas[0])
    guidance = StepWatch(classifier(weight, target), scale)
    sampler(BottleneckDenoiser(8).double(), x, guidance)
    assert len(guidance.steps) == 5
    for plain, guided in guidance.steps:
        assert (guided > plain).all()


def test_too_large_a_scale_can_descend():
    """The condition of the ascent is needed, so the tests above can fail."""
    x, weight, target = setting()
    guidance = StepWatch(classifier(weight, target), 1e4)
    DDIMSampler(NoiseSchedule())(lambda x, t: torch.zeros_like(x), x, guidance)
    assert any((guided < plain).any() for plain, guided in guidance.steps)


@pytest.fixture(scope='module')
def digits():
    """A small network trained on real handwriting, and its features."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    images = torch.tensor(images / 8 - 1).float().view(-1, 1, 8, 8)
    labels = torch.tensor(labels)
    torch.manual_seed(0)
    body = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 16, 3, stride=2, padding=1),
        nn.ReLU(),
    )
    head = nn.Linear(16, 10)
    optimizer = torch.optim.Adam(
        [*body.parameters(), *head.parameters()], 0.02
    )
    for _ in range(6):
        for index in torch.randperm(len(labels)).split(64):
            loss = F.cross_entropy(
                head(body(images[index]).mean(dim=(2, 3))), labels[index]
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        features = body(images)
        correct = head(features.mean(dim=(2, 3))).argmax(1) == labels
    assert correct.float().mean() > 0.8
    return features, labels, head.weight.detach(), head.bias.detach()


def trained_core(features, cls=SelfDiffusion, **options):
    torch.manual_seed(0)
    core = cls(16, 16, seed=0, **options)
    nn.init.dirac_(core.student_projection.weight)
    optimizer = torch.optim.Adam(core.denoiser.parameters(), 0.01)
    for index in torch.randperm(len(features)).split(64):
        loss = core(features[index], features[index]).losses['loss_diff']
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.9, 'the denoiser has learned something'
    return core.double()


@pytest.mark.parametrize('share', [0.02, 0.2, 0.9])
def test_every_step_climbs_on_real_features(digits, share):
    features, labels, weight, bias = digits
    core = trained_core(features)
    f, y = features[:32].double(), (labels[:32] + 1) % 10
    scale = float(core.feature_scale.mean_square.sqrt())
    weight, bias = weight.double(), bias.double()

    def log_prob(clean):
        logits = F.linear(clean.mean(dim=(2, 3)), weight, bias)
        return logits.log_softmax(1).gather(1, y[:, None]).squeeze(1)

    watch = StepWatch(
        lambda clean: log_prob(clean * scale),
        share * largest_scale(scale * weight, (4, 4), core.sampler.alphas[0]),
    )
    noisy = core.schedule.add_noise(
        f / scale, torch.randn_like(f), torch.full((32,), 400)
    )
    end = core.sampler(core.denoise, noisy, watch)
    for plain, guided in watch.steps:
        assert (guided > plain).all()
    # And so does the chain, towards a digit that is not the one written.
    plain_end = core.sampler(core.denoise, noisy)
    assert (log_prob(end * scale) > log_prob(plain_end * scale)).all()


def test_scale_zero_is_plain_sampling_to_the_bit_and_free():
    torch.manual_seed(0)
    module = SelfDiffusion(8, 8)
    nn.init.normal_(module.denoiser.layers[-1].weight)
    student, teacher = torch.randn(2, 2, 8, 4, 4)

    def never(clean):
        pytest.fail('evaluated for nothing')

    outputs = [
        module(student, teacher, torch.Generator().manual_seed(1), guidance)
        for guidance in (None, ClassifierGuidance(never, 0.0))
    ]
    for a, b in zip(outputs[0][:2], outputs[1][:2]):
        assert torch.equal(a, b)
    assert outputs[0].stats.keys() == outputs[1].stats.keys()
    x = torch.randn(2, 8, 4, 4)
    sampler, guidance = module.sampler, ClassifierGuidance(never, 0.0)
    assert torch.equal(
        sampler(module.denoise, x), sampler(module.denoise, x, guidance)
    )


def test_guidance_reaches_no_classifier_and_keeps_the_student_gradient():
    torch.manual_seed(0)
    module = FeatureDiffusion(8, 8, recipe='released')
    head = nn.Linear(8, 5)
    head.requires_grad_(True)

    def log_prob(clean):
        return head(clean.mean(dim=(2, 3))).log_softmax(1)[:, 0]

    noisy = torch.randn(2, 8, 4, 4, requires_grad=True)
    module.sample(noisy, ClassifierGuidance(log_prob, 3.0)).sum().backward()
    assert all(p.grad is None for p in head.parameters())
    assert noisy.grad.abs().sum() > 0
    # Only the denoiser lies between x and the end of the chain.
    x = torch.randn(2, 8, 4, 4, requires_grad=True)
    linear = torch.autograd.grad(
        module.sampler(
            lambda x, t: 0.3 * x, x, ClassifierGuidance(log_prob, 3.0)
        ).sum(),
        x,
    )
    plain = torch.autograd.grad(
        module.sampler(lambda x, t: 0.3 * x, x).sum(), x
    )
    torch.testing.assert_close(linear, plain)


def test_checkpointing_changes_no_bit_of_a_guided_step():
    results = []
    for with_cp in (False, True):
        torch.manual_seed(0)
        module = FeatureDiffusion(8, 8, with_cp=with_cp, seed=0)
        x, weight, target = setting(n=2)
        guidance = ClassifierGuidance(classifier(weight.float(), target), 2.0)
        module.sample(x.float(), guidance).square().mean().backward()
        results.append([p.grad for p in module.denoiser.parameters()])
    for a, b in zip(*results):
        assert torch.equal(a, b)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_the_classifier_works_in_float32_under_autocast_and_no_grad(dtype):
    seen = []
    weight = torch.randn(5, 8)

    def log_prob(clean):
        logits = F.linear(clean.mean(dim=(2, 3)), weight)
        seen.append((clean.dtype, logits.dtype, torch.is_grad_enabled()))
        return logits.log_softmax(1)[:, 0]

    x = torch.randn(1, 8, 4, 4)
    denoiser = BottleneckDenoiser(8)
    sampler = DDIMSampler(NoiseSchedule())
    with torch.no_grad(), torch.autocast('cpu', dtype=dtype):
        out = sampler(denoiser, x, ClassifierGuidance(log_prob, 1.0))
    assert seen == [(torch.float32, torch.float32, True)] * 5
    assert torch.isfinite(out).all() and not out.requires_grad
    # Features in half precision, without autocast.
    half = ClassifierGuidance(log_prob, 1.0)(x.to(dtype), x.to(dtype), 0.5)
    assert torch.isfinite(half).all() and seen[-1][0] == torch.float32


def test_the_value_is_that_in_front_of_the_last_step():
    x, weight, target = setting()
    watch = StepWatch(classifier(weight, target), 1.0)
    DDIMSampler(NoiseSchedule())(lambda x, t: 0.1 * x, x, watch)
    torch.testing.assert_close(watch.value, watch.steps[-1][0].mean())
    assert not watch.value.requires_grad


@pytest.mark.parametrize('scale', [-1.0, float('nan'), float('inf')])
def test_an_impossible_scale_is_refused(scale):
    with pytest.raises(ValueError, match='0 or larger, got'):
        ClassifierGuidance(lambda x: x, scale)


def test_one_number_a_sample_is_demanded():
    x = torch.randn(2, 8, 4, 4)
    with pytest.raises(
        ValueError,
        match=r'one number a sample, shape \(2,\), '
        r'got \(2, 8\)',
    ):
        ClassifierGuidance(lambda x: x.mean(dim=(2, 3)))(x, x, 0.5)
