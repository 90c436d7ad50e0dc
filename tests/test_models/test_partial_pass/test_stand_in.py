# Copyright (c) mmdiffkd contributors.
"""A stand-in has everything but values, and says so when they are needed."""

import mmcv.ops
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from mmdiffkd.models.partial_pass.stand_in import StandIn, stand_in

X = torch.randn(2, 4, 6, 8)
ROIS = torch.tensor([[0.0, 1, 1, 5, 5], [1, 0, 2, 6, 6]])
MASK = X[:, 0, 0, 0] > 0

COMPUTE = dict(
    conv=nn.Conv2d(4, 3, 3, stride=2),
    linear=nn.Linear(8, 5),
    norm=nn.Sequential(nn.BatchNorm2d(4), nn.GroupNorm(2, 4)).eval(),
    pool=nn.AdaptiveAvgPool2d(2),
    resize=lambda x: F.interpolate(x, (9, 7), mode='bilinear'),
    attention=lambda x: F.scaled_dot_product_attention(x, x, x),
    with_values=lambda x: X + x.sum((2, 3), keepdim=True),
    values_first=lambda x: torch.cat([X, x], 1).transpose(1, 3)[:, 1:],
    mask_of_values=lambda x: x[MASK],
    other_dtype=lambda x: x.double().topk(2, dim=1)[1],
    a_write_into_it=lambda x: x.mul(1).relu_().add_(X),
    a_new_one=lambda x: x.new_zeros(3, device=x.device),
    its_shape=lambda x: X.new_ones(x.shape) + len(x),
)


@pytest.mark.parametrize('name', COMPUTE)
@torch.no_grad()
def test_it_is_as_what_it_stands_for(name):
    expected, found = COMPUTE[name](X), COMPUTE[name](stand_in(X))
    assert isinstance(found, StandIn) == (name != 'its_shape')
    for key in ('shape', 'dtype', 'device'):
        assert getattr(found, key) == getattr(expected, key)
    assert found.stride() == expected.stride()


@torch.no_grad()
def test_mixed_precision_is_that_of_the_values():
    with torch.autocast('cpu', torch.bfloat16):
        assert COMPUTE['conv'](stand_in(X)).dtype == torch.bfloat16


NEED = dict(
    item=lambda x: x.sum().item(),
    branch=lambda x: bool((x > 0).any()),
    tolist=lambda x: x.tolist(),
    numpy=lambda x: x.numpy(),
    positions=lambda x: x.nonzero(),
    mask=lambda x: X[x > 0],
    equal=lambda x: torch.equal(x, X),
    write=lambda x: X.clone().add_(x),
    copy=lambda x: X.clone().copy_(x),
    element=lambda x: X.clone().__setitem__(0, x[0]),
    out=lambda x: torch.add(x, x, out=X.clone()),
    other_shape=lambda x: x.squeeze_(0),
    kernel=lambda x: mmcv.ops.roi_align(x, ROIS, 3),
    kernel_with_values=lambda x: mmcv.ops.roi_align(X, ROIS + 0 * x.sum(), 3),
    nms=lambda x: mmcv.ops.nms(x[0, 0, :, :4], x[0, 0, :, 0], 0.5),
)


@pytest.mark.parametrize('name', NEED)
@torch.no_grad()
def test_what_needs_values_is_an_error(name):
    NEED[name](X)  # with values it is none
    with pytest.raises((RuntimeError, NotImplementedError)):
        NEED[name](stand_in(X))


@torch.no_grad()
def test_nothing_is_computed_for_it():
    with FlopCounterMode(display=False) as counter:
        with_values = F.relu(COMPUTE['linear'](X))
    assert counter.get_total_flops() > 0
    assert stand_in(with_values).untyped_storage().device.type == 'cpu'
    assert stand_in('a word') == 'a word'
    other = stand_in(X)
    assert stand_in(other) is other


@pytest.mark.parametrize('training', [True, False])
@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    'layout', [torch.contiguous_format, torch.channels_last], ids=str
)
@torch.no_grad()
def test_results_of_a_batch_norm(layout, dtype, training):
    """Its shapes are not PyTorch's own derivation."""
    x = torch.randn(2, 3, 4, 5, dtype=dtype).to(memory_format=layout)
    vectors = torch.ones(2, 3).unbind()
    running = (None, None) if training else vectors
    given = [x, *vectors, *running, training, 0.1, 1e-5]
    norm = torch.ops.aten.native_batch_norm.default
    expected = norm(*given)
    found = norm(*[stand_in(v) for v in given])
    for one, other in zip(found, expected, strict=True):
        assert (one.shape, one.stride(), one.dtype) == (
            other.shape,
            other.stride(),
            other.dtype,
        )
    given[1] = torch.ones(7)
    with pytest.raises(RuntimeError):
        norm(*[stand_in(v) for v in given])
