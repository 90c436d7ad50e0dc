# Copyright (c) mmdiffkd contributors.
"""Maps that are laid out channels last: the same numbers, by other kernels."""

import copy

import pytest
import torch
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from mmdiffkd.diffusion import (
    FeatureDiffusion,
    FeatureMimicking,
    SelfDiffusion,
)
from mmdiffkd.diffusion.memory_format import in_format

CASES = {
    'released': (FeatureDiffusion, dict(recipe='released')),
    'tuned': (FeatureDiffusion, dict(recipe='tuned')),
    'latent': (FeatureDiffusion, dict(recipe='tuned', latent_channels=16)),
    'frozen': (FeatureDiffusion, dict(recipe='tuned', freeze_diffusion=True)),
    'with_cp': (FeatureDiffusion, dict(recipe='tuned', with_cp=True)),
    'direct': (FeatureDiffusion, dict(direct_loss_weight=1.0)),
    'student noise level': (
        FeatureDiffusion,
        dict(noise_matching=dict(type='StudentNoiseLevel')),
    ),
    'detached': (FeatureDiffusion, dict(kd_grad_to_denoiser=False)),
    'self': (SelfDiffusion, dict(diffusion_target='student')),
    'mimicking': (FeatureMimicking, dict(kd_warmup_iters=3)),
}


def pair(case, dtype=torch.float64):
    """Two modules of equal weights, the second one channels last."""
    kind, options = CASES[case]
    if kind is not FeatureMimicking:
        options = dict(options, seed=4, zero_init=False)
    found = []
    for last in (False, True):
        torch.manual_seed(0)
        found.append(kind(12, 24, channels_last=last, **options).to(dtype))
    return found


def step(module, dtype=torch.float64, layout=torch.contiguous_format):
    generator = torch.Generator().manual_seed(1)
    student, teacher = (
        torch.randn(2, channels, 7, 6, generator=generator)
        .to(dtype)
        .contiguous(memory_format=layout)
        for channels in (12, 24)
    )
    student.requires_grad_()
    out = module(student, teacher)
    loss = F.mse_loss(out.student, out.teacher) + sum(out.losses.values())
    if loss.requires_grad:
        loss.backward()
    numbers = [loss.detach(), out.student.detach(), out.teacher, student.grad]
    numbers += [p.grad for p in module.parameters()]
    return numbers + list(module.buffers()), out, student


class Formats(TorchDispatchMode):
    """Counts the layers that see a map in PyTorch's default format."""

    LAYERS = ('convolution', 'native_batch_norm')

    def __init__(self):
        super().__init__()
        self.calls = {True: 0, False: 0}

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        if any(name in str(function) for name in self.LAYERS):
            maps = [
                value.is_contiguous(memory_format=torch.channels_last)
                for value in tree_leaves((args, kwargs))
                if isinstance(value, torch.Tensor)
                and value.dim() == 4
                and value.shape[2:] == (7, 6)
            ]
            self.calls[all(maps)] += 1
        return out


@pytest.mark.parametrize('layout', ['contiguous_format', 'channels_last'])
@pytest.mark.parametrize('case', CASES)
def test_numbers_are_the_same(case, layout):
    plain, last = pair(case)
    expected, _, _ = step(plain)
    found, _, _ = step(last, layout=getattr(torch, layout))
    for a, b in zip(expected, found, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize('case', CASES)
def test_every_layer_sees_that_format_forward_and_backward(case):
    plain, last = pair(case, torch.float32)
    with Formats() as formats:
        step(last, torch.float32)
    assert formats.calls[True] > 0 and formats.calls[False] == 0
    with Formats() as formats:
        step(plain, torch.float32)
    assert formats.calls[False] > 0


@pytest.mark.parametrize('case', CASES)
def test_nothing_outside_sees_it(case):
    """Distances take views; the student has gradients in its own format."""
    _, last = pair(case)
    _, out, student = step(last)
    assert out.student.is_contiguous() and out.teacher.is_contiguous()
    assert student.grad.is_contiguous()
    _, _, student = step(last, layout=torch.channels_last)
    assert student.grad.is_contiguous(memory_format=torch.channels_last)
    assert all(p.is_contiguous() for p in last.parameters())


def test_training_the_diffusion_model_alone():
    plain, last = pair('latent')
    teacher = torch.randn(2, 24, 7, 6, dtype=torch.float64)
    with Formats() as formats:
        found = last.teacher_losses(teacher)
        sum(found.values()).backward()
    assert formats.calls[True] > 0 and formats.calls[False] == 0
    expected = plain.teacher_losses(teacher)
    for name, value in expected.items():
        torch.testing.assert_close(value, found[name])


def test_noise_has_that_format_and_the_same_numbers():
    modules, latent = pair('tuned'), torch.zeros(2, 24, 7, 6)
    plain, found = (
        module.draw(module.laid_out(latent), module.laid_out(latent), None)
        for module in modules
    )
    for a, b in zip(plain, found, strict=True):
        assert torch.equal(a, b)
    for noise in (found.student, found.teacher):
        assert noise.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    'shape', [(2, 3, 5, 7), (1, 4, 1, 6), (3, 2, 4, 1), (0, 2, 3, 3)], ids=str
)
def test_a_map_keeps_its_numbers_in_another_format(shape):
    formats = torch.contiguous_format, torch.channels_last
    for own, other in (formats, formats[::-1]):
        x = torch.randn(shape).contiguous(memory_format=own).requires_grad_()
        found = in_format(x, other)
        assert torch.equal(found, x)
        assert found.is_contiguous(memory_format=other)
        found.backward(gradient := torch.randn(shape))
        assert torch.equal(x.grad, gradient)
        assert x.grad.is_contiguous(memory_format=own)


@pytest.mark.parametrize('shape', [(3, 12), (3, 12, 1, 1)], ids=str)
def test_vectors_stay_as_they_are(shape):
    torch.manual_seed(0)
    plain = FeatureDiffusion(12, 12, seed=1, denoiser=dict(type='MLPDenoiser'))
    last = copy.deepcopy(plain)
    last.channels_last = True
    student, teacher = torch.randn(shape), torch.randn(shape)
    a, b = plain(student, teacher), last(student, teacher)
    assert a.student.shape == b.student.shape == shape
    torch.testing.assert_close(a.student, b.student)


def test_mixed_precision():
    _, last = pair('tuned', torch.float32)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        found, out, _ = step(last, torch.float32)
    assert out.student.dtype == torch.float32
    assert all(v.isfinite().all() for v in found if v is not None)
