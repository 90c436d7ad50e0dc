# Copyright (c) mmdiffkd contributors.
"""Batch norm of large maps agrees with PyTorch's, derivatives included."""

import copy

import pytest
import torch
from torch import nn

from mmdiffkd.diffusion import batch_norm
from mmdiffkd.diffusion.batch_norm import BatchNorm2d

SHAPES = [(1, 256, 64, 64), (3, 40, 100, 90)]


@pytest.fixture(params=SHAPES, ids=str)
def pair(request):
    """Two equal norms, PyTorch's in float64, and a map far from zero."""
    torch.manual_seed(0)
    x = torch.randn(request.param) * 3 + 7
    assert x.numel() >= batch_norm.LARGE
    ours = BatchNorm2d(x.shape[1])
    nn.init.normal_(ours.weight)
    nn.init.normal_(ours.bias)
    theirs = nn.BatchNorm2d(x.shape[1]).double()
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs, x


def passes(monkeypatch):
    """Notes of each call of the way for large maps."""
    calls = []
    whole = BatchNorm2d._normalise

    def noted(self, x):
        calls.append(x.shape)
        return whole(self, x)

    monkeypatch.setattr(BatchNorm2d, '_normalise', noted)
    return calls


@pytest.mark.parametrize('momentum', [0.1, None])
def test_values_gradients_and_statistics(pair, momentum, monkeypatch):
    ours, theirs, x = pair
    ours.momentum = theirs.momentum = momentum
    calls = passes(monkeypatch)
    towards = torch.randn_like(x)
    for _ in range(2):
        results = []
        for norm in (ours, theirs):
            dtype = norm.weight.dtype
            leaf = x.to(dtype).requires_grad_()
            y = norm(leaf)
            inputs = (leaf, norm.weight, norm.bias)
            grads = torch.autograd.grad(y, inputs, towards.to(dtype))
            results.append([y, *grads, *norm.buffers()])
        for a, b in zip(*results, strict=True):
            size = float(b.double().abs().max())
            torch.testing.assert_close(
                a.double(), b.double(), rtol=0, atol=1e-5 * max(size, 1)
            )
    assert len(calls) == 2


def test_second_derivatives(pair):
    ours, theirs, x = pair
    results = []
    for norm in (ours, theirs):
        leaf = x.to(norm.weight.dtype).requires_grad_()
        (grad,) = torch.autograd.grad(
            norm(leaf).pow(3).mean(), leaf, create_graph=True
        )
        (second,) = torch.autograd.grad(grad.square().sum() * 1e6, leaf)
        results.append(second.double())
    size = float(results[1].abs().max())
    torch.testing.assert_close(*results, rtol=0, atol=1e-4 * size)


def test_what_is_computed_again_has_the_same_bits(pair, monkeypatch):
    ours, _, x = pair
    calls = passes(monkeypatch)
    y, again = ours.with_again(x)
    state = copy.deepcopy(ours.state_dict())
    assert torch.equal(again(x), y)
    assert len(calls) == 1
    for name, value in ours.state_dict().items():
        assert torch.equal(value, state[name]), name


def test_evaluation_and_other_forms_are_left_to_pytorch(pair, monkeypatch):
    ours, _, x = pair
    calls = passes(monkeypatch)
    for norm, form in (
        (copy.deepcopy(ours).eval(), x),
        (ours, x.to(memory_format=torch.channels_last)),
        (ours, x[..., :8, :8].contiguous()),
        (copy.deepcopy(ours).double(), x.double()),
        (BatchNorm2d(x.shape[1], affine=False), x),
    ):
        expected = nn.BatchNorm2d.forward(copy.deepcopy(norm), form)
        assert torch.equal(norm(form), expected)
    assert not calls


@pytest.mark.parametrize('missing', ['bias', 'num_batches_tracked'])
def test_a_norm_with_parts_taken_away(pair, missing):
    ours, theirs, x = pair
    for norm in (ours, theirs):
        setattr(norm, missing, None)
    found, expected = ours(x), theirs(x.double())
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=1e-4)


def test_statistics_stay_while_they_are_not_tracked(pair):
    ours, theirs, x = pair
    for norm, form in ((ours, x), (theirs, x.double())):
        before = copy.deepcopy(norm.state_dict())
        norm.track_running_stats = False
        norm(form)
        for name, value in norm.state_dict().items():
            assert torch.equal(value, before[name]), name


@pytest.mark.parametrize('tracked', [True, False])
def test_other_channels_are_refused_in_pytorchs_words(pair, tracked):
    *_, x = pair
    for channels in (1, x.shape[1] - 1):
        norm = BatchNorm2d(channels, track_running_stats=tracked)
        with pytest.raises(RuntimeError, match=r'should contain \d+ elements'):
            norm(x)
