# Copyright (c) mmdiffkd contributors.
"""The control equals DiffKD with a denoiser that does nothing."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mmdiffkd.diffusion import (
    DDIMSampler,
    FeatureDiffusion,
    FeatureMimicking,
    NoiseSchedule,
    PairedOutput,
)
from mmdiffkd.diffusion.feature_mimicking import idle_chain_gain


class NoNoise(nn.Module):
    """Noise matching with gamma = 1."""

    def forward(self, z, noise):
        return z, z.new_ones(len(z))


def pair(**options):
    """DiffKD with an idle denoiser, and the control with its weights."""
    torch.manual_seed(0)
    diffkd = FeatureDiffusion(
        5, 8, recipe='tuned', noise_matching=NoNoise(), **options
    ).double()
    mimic = FeatureMimicking(5, 8, **options).double()
    loaded = mimic.load_state_dict(diffkd.state_dict(), strict=False)
    assert not loaded.missing_keys
    return diffkd, mimic


class Student(nn.Module):
    """Features and a task of their own."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.layers = nn.Sequential(
            # A bias in front of a norm has a gradient of rounding errors,
            # which AdamW would blow up.
            nn.Conv2d(3, 5, 3, padding=1, bias=False),
            nn.BatchNorm2d(5),
            nn.ReLU(),
        )
        self.double()

    def loss(self, core, image, teacher, weight):
        feature = self.layers(image)
        out = core(feature, teacher)
        distance = weight * F.mse_loss(out.student, out.teacher)
        extra = out.losses.get('loss_ae', 0.0)
        return feature.square().mean() + distance + extra, out, distance


def steps(core, optimizer, weight, count=6):
    """What a student goes through in some iterations of an optimizer."""
    student = Student()
    parameters = [*student.parameters(), *core.parameters()]
    optimizer = optimizer([p for p in parameters if p.requires_grad])
    generator = torch.Generator().manual_seed(2)
    story = []
    for _ in range(count):
        image, teacher = (
            torch.randn(
                4, c, 6, 7, generator=generator, dtype=torch.float64
            ).mul(3.0)
            for c in (3, 8)
        )
        optimizer.zero_grad()
        loss, out, distance = student.loss(core, image, teacher, weight)
        loss.backward()
        story += [out.student.detach(), out.teacher, distance.detach()]
        story += [p.grad.clone() for p in student.parameters()]
        optimizer.step()
    story += [p.detach().clone() for p in student.parameters()]
    return story


@pytest.mark.parametrize(
    'optimizer',
    [
        lambda p: torch.optim.AdamW(p, lr=1e-2, weight_decay=0.01),
        lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9),
    ],
    ids=['AdamW', 'SGD'],
)
@pytest.mark.parametrize(
    'options',
    [
        dict(),
        dict(kd_warmup_iters=3),
        dict(latent_channels=6),
        dict(student_norm=False, output_gain=1.0),
        dict(projection_norm=True, norm_cfg=dict(type='GN')),
    ],
    ids=str,
)
def test_equals_diffkd_with_an_idle_denoiser(options, optimizer):
    """Outputs, losses, gradients and weights of the student, step by step.

    The control alone has no diffusion loss. In the other the denoiser's
    parameters stay where they are, as the distance never reaches them.
    """
    diffkd, mimic = pair(**options)
    with_diffusion = steps(diffkd, optimizer, weight=5.0)
    without = steps(mimic, optimizer, weight=5.0)
    assert len(with_diffusion) == len(without)
    for a, b in zip(with_diffusion, without):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-11)


def test_a_denoiser_that_speaks_breaks_the_equality():
    """The test above would see a chain that does something."""
    diffkd, mimic = pair()
    diffkd.denoiser.layers[-1].weight.data.fill_(0.1)
    student, teacher = torch.randn(2, 2, 8, 4, 4, dtype=torch.float64)
    a, b = (m(student[:, :5], teacher).student for m in (diffkd, mimic))
    assert (a - b).abs().max() > 1e-3


@pytest.mark.parametrize(
    'options', [dict(), dict(num_inference_steps=2, start_timestep=700)]
)
def test_idle_chain_gain_is_what_a_chain_does(options):
    sampler = DDIMSampler(NoiseSchedule(), **options)
    x = torch.randn(2, 3, 4, 4, dtype=torch.float64)
    chained = sampler(lambda x, t: torch.zeros_like(x), x)
    torch.testing.assert_close(chained, idle_chain_gain(sampler) * x)


def test_vectors_and_tokens():
    vectors = FeatureMimicking(5, 8)(torch.randn(4, 5), torch.randn(4, 8))
    assert vectors.student.shape == vectors.teacher.shape == (4, 8)
    mimic = FeatureMimicking(5, 8, token_shape=(2, 3), num_class_tokens=1)
    tokens = mimic(torch.randn(4, 7, 5), torch.randn(4, 7, 8))
    assert isinstance(tokens, PairedOutput)
    assert tokens.student.shape == (4, 8, 2, 3)


def test_the_student_is_resized_and_the_teacher_detached():
    mimic = FeatureMimicking(5, 8, resize='bilinear')
    student = torch.randn(2, 5, 3, 3, requires_grad=True)
    teacher = torch.randn(2, 8, 6, 6, requires_grad=True)
    out = mimic(student, teacher)
    F.mse_loss(out.student, out.teacher).backward()
    assert out.student.shape == (2, 8, 6, 6)
    assert teacher.grad is None and student.grad.abs().sum() > 0


def test_half_precision_features_give_float32():
    out = FeatureMimicking(5, 8)(
        torch.randn(2, 5, 3, 3).half(), torch.randn(2, 8, 3, 3).half()
    )
    assert out.student.dtype == out.teacher.dtype == torch.float32


def test_it_holds_nothing_of_a_diffusion_model():
    names = [name for name, _ in FeatureMimicking(5, 8, 6).named_children()]
    assert names == [
        'autoencoder',
        'student_projection',
        'student_norm',
        'output_projection',
        'fade_in',
    ]


@pytest.mark.parametrize(
    'options, told',
    [
        (dict(kd_warmup_iters=-1), 'kd_warmup_iters must not be negative'),
        (dict(resize='cubic'), 'resize must be None or one of'),
        (dict(token_shape=(0, 3)), 'token_shape must be'),
    ],
)
def test_mistakes_are_refused(options, told):
    with pytest.raises(ValueError, match=told):
        FeatureMimicking(5, 8, **options)
