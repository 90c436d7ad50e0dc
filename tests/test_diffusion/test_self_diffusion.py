# Copyright (c) mmdiffkd contributors.
import copy
import pickle

import pytest
import torch
import torch.nn.functional as F
from helpers import reference
from torch import nn

from mmdiffkd.diffusion import ClassifierGuidance, NoiseDraw, SelfDiffusion


def features(n=2, cs=12, ct=16, size=(5, 7), dtype=torch.float32):
    generator = torch.Generator().manual_seed(7)
    options = dict(generator=generator, dtype=dtype)
    return (
        torch.randn(n, cs, *size, **options),
        3 * torch.randn(n, ct, *size, **options),
    )


def guide(scale=1.0, channels=16):
    generator = torch.Generator().manual_seed(5)
    weight = torch.randn(6, channels, generator=generator)

    def log_prob(clean):
        pooled = clean.mean(dim=(2, 3))
        return (pooled @ weight.to(clean).T).log_softmax(1)[:, 2]

    return ClassifierGuidance(log_prob, scale)


def distance(out):
    return F.mse_loss(out.student, out.teacher)


def test_all_equals_the_literal_formulation():
    torch.manual_seed(0)
    module = SelfDiffusion(12, 16, zero_init=False).double()
    student, teacher = features(dtype=torch.float64)
    generator = torch.Generator().manual_seed(11)
    shape = (2, 16, 5, 7)
    noise = NoiseDraw(
        torch.randn(shape, generator=generator, dtype=torch.float64),
        torch.randn(shape, generator=generator, dtype=torch.float64),
        torch.randint(1000, (2,), generator=generator),
    )
    weight = torch.randn(6, 16, generator=generator, dtype=torch.float64)
    target = torch.tensor([4, 1])

    def log_prob(clean):
        logits = clean.mean(dim=(2, 3)) @ weight.T
        return logits.log_softmax(1)[torch.arange(2), target]

    x = student.clone().requires_grad_()
    out = module(x, teacher, noise, ClassifierGuidance(log_prob, 2.5))
    literal = reference.dskd(
        copy.deepcopy(module), student, teacher, *noise, weight, target, 2.5
    )
    ours = (out.student, out.teacher, out.losses['loss_diff'])
    for a, b in zip(ours, literal):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


def test_every_parameter_gets_a_gradient_from_its_own_loss():
    torch.manual_seed(0)
    module = SelfDiffusion(12, 16, latent_channels=8, zero_init=False)
    student, teacher = features()
    student.requires_grad_()
    teacher.requires_grad_()
    out = module(student, teacher, guidance=guide())
    assert not out.teacher.requires_grad
    losses = dict(loss_kd=distance(out), **out.losses)
    reached = {}
    for name, loss in losses.items():
        module.zero_grad()
        student.grad = None
        loss.backward()
        reached[name] = {
            key.split('.')[0]
            for key, p in module.named_parameters()
            if p.grad is not None and p.grad.abs().sum() > 0
        }
        assert (student.grad is not None) == (name == 'loss_kd')
    assert reached == dict(
        loss_kd={'student_projection'},
        loss_diff={'denoiser'},
        loss_ae={'autoencoder'},
    )
    assert teacher.grad is None
    parts = {key.split('.')[0] for key, _ in module.named_parameters()}
    assert parts == set().union(*reached.values()), 'DDP waits for all'


def test_guidance_raises_the_log_probability_of_the_virtual_teacher():
    torch.manual_seed(0)
    module = SelfDiffusion(12, 16, seed=0)
    values = []
    for scale in (0.0, 1.0, 10.0):
        twin = copy.deepcopy(module)
        guidance = guide(scale)
        out = twin(*features(), guidance=guidance)
        unit = out.stats['feature_scale']
        values.append(guidance.log_prob(out.teacher * unit).mean())
        assert ('log_prob' in out.stats) == (scale > 0)
    assert values[0] < values[1] < values[2]


@pytest.mark.parametrize('with_cp', [False, True])
@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_autocast_trains_the_denoiser_and_stays_finite(dtype, with_cp):
    """Weights cast under no_grad must not be reused for loss_diff."""
    torch.manual_seed(0)
    module = SelfDiffusion(12, 16, latent_channels=8, with_cp=with_cp)
    optimizer = torch.optim.SGD(module.parameters(), 0.01)
    student, teacher = features(size=(4, 4))
    for _ in range(20):
        with torch.autocast('cpu', dtype=dtype):
            out = module(
                student.to(dtype), teacher.to(dtype), guidance=guide()
            )
            losses = [distance(out), *out.losses.values()]
        assert out.student.dtype == out.teacher.dtype == torch.float32
        optimizer.zero_grad()
        sum(losses).backward()
        for name, p in module.named_parameters():
            assert p.grad is not None and torch.isfinite(p.grad).all(), name
        optimizer.step()
    assert module.denoiser.layers[-2].weight.grad.abs().sum() > 0


def test_the_chain_keeps_no_graph():
    module = SelfDiffusion(12, 16)
    calls = []
    module.denoiser.register_forward_hook(
        lambda m, args, out: calls.append(out.requires_grad)
    )
    module(*features(), guidance=guide())
    assert calls == [False] * 5 + [True]


def test_another_start_is_the_samplers():
    module = SelfDiffusion(
        12, 16, sampler=dict(num_inference_steps=3, start_timestep=150)
    )
    seen = []
    module.denoiser.register_forward_pre_hook(
        lambda m, args: seen.append(args)
    )
    generator = torch.Generator().manual_seed(1)
    student, teacher = features()
    module(student, teacher, generator)
    assert [int(args[1][0]) for args in seen[:3]] == [150, 75, 0]
    alpha = float(module.schedule.alphas_cumprod[150])
    noise = torch.randn(
        (2, 16, 5, 7), generator=torch.Generator().manual_seed(1)
    )
    z = module.student_projection(student)
    z = z / z.square().mean(dim=(1, 2, 3), keepdim=True).sqrt()
    torch.testing.assert_close(
        seen[0][0], alpha**0.5 * z + (1 - alpha) ** 0.5 * noise
    )


def test_the_length_of_the_student_does_not_reach_the_virtual_teacher():
    module = SelfDiffusion(12, 16)
    nn.init.zeros_(module.student_projection.bias)
    student, teacher = features()
    outputs = [
        copy.deepcopy(module)(
            factor * student, teacher, torch.Generator().manual_seed(0)
        )
        for factor in (1, 10)
    ]
    torch.testing.assert_close(outputs[0].teacher, outputs[1].teacher)
    torch.testing.assert_close(10 * outputs[0].student, outputs[1].student)


def test_an_autoencoder_is_decoded_for_the_classifier():
    torch.manual_seed(0)
    module = SelfDiffusion(12, 16, latent_channels=8)
    seen = []

    def log_prob(clean):
        seen.append(clean.shape)
        return clean.mean(dim=(1, 2, 3))

    out = module(*features(), guidance=ClassifierGuidance(log_prob, 1.0))
    assert seen == [(2, 16, 5, 7)] * 5
    assert out.student.shape == out.teacher.shape == (2, 8, 5, 7)


class Halves(nn.Module):
    """An autoencoder that does not say how it decodes."""

    def __init__(self, channels, latent_channels, norm_cfg):
        super().__init__()
        self.conv = nn.Conv2d(channels, latent_channels, 1)

    def forward(self, x):
        return self.conv(x), x


def test_an_autoencoder_without_decoder_is_refused_unless_unguided():
    module = SelfDiffusion(
        12, 16, latent_channels=8, autoencoder=Halves(16, 8, None)
    )
    module(*features(), guidance=guide(scale=0.0))
    with pytest.raises(ValueError, match='Halves has no `decoder`'):
        module(*features(), guidance=guide())


@pytest.mark.parametrize('kind', ['map', 'vector', 'tokens'])
def test_a_batch_of_one_works(kind):
    shapes = dict(map=(1, 12, 1, 1), vector=(1, 12), tokens=(1, 6, 12))
    options = (
        dict(denoiser=dict(type='MLPDenoiser'))
        if kind == 'vector'
        else dict(token_shape=(2, 3))
        if kind == 'tokens'
        else {}
    )
    module = SelfDiffusion(12, 12, **options)
    feature = torch.randn(shapes[kind])
    out = module(feature, feature, guidance=guide(channels=12))
    assert out.student.shape == out.teacher.shape
    assert out.student.dim() == (2 if kind == 'vector' else 4)
    (distance(out) + out.losses['loss_diff']).backward()


def test_state_and_copies_continue_alike():
    torch.manual_seed(0)
    module = SelfDiffusion(12, 16, latent_channels=8)
    module(*features())
    resumed = SelfDiffusion(12, 16, latent_channels=8)
    resumed.load_state_dict(module.state_dict())
    outputs = [
        m(*features(), torch.Generator().manual_seed(0), guide())
        for m in (copy.deepcopy(module).eval(), resumed.eval())
    ]
    for a, b in zip(outputs[0][:2], outputs[1][:2]):
        assert torch.equal(a, b)
    twins = [copy.deepcopy(module), pickle.loads(pickle.dumps(module))]
    expected = module(*features(), guidance=guide())
    for twin in twins:
        out = twin(*features(), guidance=guide())
        assert torch.equal(out.teacher, expected.teacher)
