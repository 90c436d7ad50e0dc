# Copyright (c) mmdiffkd contributors.
"""1x1 convolutions: PyTorch's own, by faster ways."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mmdiffkd.diffusion import FeatureDiffusion, pointwise
from mmdiffkd.diffusion.pointwise import PointwiseConv2d


def pair(channels=48, out=40):
    torch.manual_seed(0)
    plain = nn.Conv2d(channels, out, 1)
    fast = PointwiseConv2d(channels, out)
    fast.load_state_dict(plain.state_dict())
    return plain, fast


def step(module, x):
    x = x.clone().requires_grad_()
    out = module(x)
    out.square().sum().backward()
    return [out.detach(), x.grad, *(p.grad for p in module.parameters())]


@pytest.mark.parametrize(
    'size, threads',
    [((5, 48, 1, 1), 1), ((20, 48, 1, 1), 1), ((2, 48, 9, 7), 1)]
    + [((1, 48, 30, 20), threads) for threads in (1, 2)],
    ids=str,
)
def test_values_and_gradients_are_those_of_the_plain_one(size, threads):
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        x = torch.randn(size)
        for one, other in zip(*(step(m, x) for m in pair())):
            error = (one - other).abs().max() / one.abs().max()
            assert error < 1e-6
    finally:
        torch.set_num_threads(before)


def test_weights_have_their_names_and_shapes():
    plain, fast = pair()
    for name, value in plain.state_dict().items():
        assert fast.state_dict()[name].shape == value.shape
    # Initialisers of MMEngine choose by the names of bases.
    assert isinstance(fast, nn.Conv2d)


def test_vectors_are_matrix_products(monkeypatch):
    seen = []
    linear = F.linear

    def noted(x, weight, bias):
        seen.append(tuple(x.shape))
        return linear(x, weight, bias)

    monkeypatch.setattr(pointwise.F, 'linear', noted)
    core = FeatureDiffusion(6, 6, denoiser=dict(type='MLPDenoiser'))
    core(torch.randn(4, 6), torch.randn(4, 6))
    # The student's projection, three layers of noise matching, the denoiser
    # in five steps of the chain and one of its loss, and the last projection.
    assert len(seen) == 1 + 3 + 6 * 4 + 1
    assert {len(size) for size in seen} == {2}


@pytest.mark.skipif(
    not torch.backends.mkldnn.is_available(), reason='PyTorch has no oneDNN'
)
def test_one_thread_gives_the_bits_of_several():
    """PyTorch itself would take another library for one."""
    before = torch.get_num_threads()
    plain, fast = pair(256, 64)
    x = torch.randn(1, 256, 20, 30)
    with torch.no_grad():
        try:
            torch.set_num_threads(1)
            alone = fast(x)
            torch.set_num_threads(2)
            assert torch.equal(plain(x), alone)
        finally:
            torch.set_num_threads(before)


def test_copies_work_and_are_their_own():
    _, fast = pair()
    other = copy.deepcopy(fast)
    with torch.no_grad():
        other.weight.zero_()
    x = torch.randn(3, 48, 1, 1)
    assert torch.equal(other(x).flatten(1), fast.bias.expand(3, -1))
    assert not torch.equal(fast(x), other(x))
