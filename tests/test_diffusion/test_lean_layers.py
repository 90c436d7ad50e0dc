# Copyright (c) mmdiffkd contributors.
"""Recomputed layers: the bits of the plain ones, and half of what is kept."""

import copy
import gc

import pytest
import torch
from torch import nn
from torch.autograd.graph import saved_tensors_hooks
from torch.func import functional_call

from mmdiffkd.diffusion import (
    BottleneckDenoiser,
    FeatureDiffusion,
    MLPDenoiser,
)
from mmdiffkd.diffusion.blocks import BatchNorm2d
from mmdiffkd.diffusion.lean_layers import Recomputed, can_be_lean

BN = dict(type='BN')


def denoisers(kind, norm, training=True):
    """The same network twice, plain and lean, with lively weights."""
    torch.manual_seed(0)
    plain = kind(16, norm_cfg=norm)
    for parameter in plain.parameters():
        nn.init.normal_(parameter, std=0.3)
    plain.train(training)
    plain.lean = False
    lean = copy.deepcopy(plain)
    del lean.lean
    assert lean.lean
    return plain, lean


def step(module, frozen=False, size=(2, 16, 6, 5), dtype=torch.float32):
    """Output, gradients and buffers of one step on fixed numbers."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(size, generator=generator, dtype=dtype)
    x.requires_grad_()
    t = torch.arange(size[0]) * 7
    if frozen:
        values = {k: p.detach() for k, p in module.named_parameters()}
        out = functional_call(module, values, (x, t))
    else:
        out = module(x, t)
    (
        out.square() * torch.linspace(0, 1, out.numel()).view_as(out)
    ).sum().backward()
    return [
        out.detach(),
        x.grad,
        *(p.grad for p in module.parameters()),
        *module.buffers(),
    ]


def assert_same_bits(one, other):
    assert len(one) == len(other)
    for a, b in zip(one, other):
        assert (a is None) == (b is None)
        assert a is None or torch.equal(a, b)


NORMS = [BN, dict(type='SyncBN'), dict(type='GN'), dict(type='IN')]


@pytest.mark.parametrize('frozen', [False, True])
@pytest.mark.parametrize('kind', [BottleneckDenoiser, MLPDenoiser])
@pytest.mark.parametrize('norm', NORMS, ids=lambda n: n['type'])
def test_outputs_gradients_and_statistics_keep_their_bits(norm, kind, frozen):
    # PyTorch trains no SyncBN on CPUs.
    plain, lean = denoisers(kind, norm, training=norm['type'] != 'SyncBN')
    assert_same_bits(step(plain, frozen), step(lean, frozen))


@pytest.mark.parametrize(
    'options',
    [
        dict(type='BN', affine=False),
        dict(type='BN', track_running_stats=False),
        dict(type='BN', momentum=None),
        dict(type='GN', num_groups=2),
        dict(type='IN', track_running_stats=True),
    ],
    ids=str,
)
@pytest.mark.parametrize('training', [True, False])
def test_options_of_norms(options, training):
    plain, lean = denoisers(BottleneckDenoiser, options, training)
    assert_same_bits(step(plain), step(lean))


@pytest.mark.parametrize('size', [(1, 16, 1, 1), (2, 16, 1, 1), (1, 16, 1, 3)])
def test_small_shapes(size):
    plain, lean = denoisers(MLPDenoiser, BN)
    assert_same_bits(step(plain, size=size), step(lean, size=size))


@pytest.mark.parametrize('frozen', [False, True])
def test_mixed_precision(frozen):
    plain, lean = denoisers(BottleneckDenoiser, BN)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        a, b = step(plain, frozen), step(lean, frozen)
    assert_same_bits(a, b)


@pytest.fixture
def group_norm_in_float32():
    """Autocast as it is on GPUs, where group norm runs in float32."""

    def in_float32(x, groups, weight=None, bias=None, eps=1e-5, cudnn=True):
        keys = torch._C.DispatchKeySet(torch._C.DispatchKey.AutocastCPU)
        values = [None if t is None else t.float() for t in (weight, bias)]
        with torch._C._ExcludeDispatchKeyGuard(keys):
            return torch.ops.aten.group_norm(
                x.float(), groups, *values, eps, cudnn
            )

    with torch.library._scoped_library('aten', 'IMPL') as library:
        library.impl('group_norm', in_float32, 'AutocastCPU')
        yield


@pytest.mark.parametrize('forward, backward', [(True, False), (False, True)])
@pytest.mark.parametrize('norm', ['BN', 'GN', 'IN'])
def test_precision_is_that_of_the_forward_pass(
    norm, forward, backward, group_norm_in_float32
):
    found = []
    for module in denoisers(BottleneckDenoiser, dict(type=norm)):
        generator = torch.Generator().manual_seed(1)
        x = torch.randn((2, 16, 6, 5), generator=generator, requires_grad=True)
        with torch.autocast('cpu', torch.bfloat16, enabled=forward):
            out = module(x, torch.tensor([3, 900]))
        with torch.autocast('cpu', torch.bfloat16, enabled=backward):
            out.float().square().mean().backward()
        grads = [p.grad for p in module.parameters()]
        found.append([out.detach(), x.grad, *grads])
    assert found[0][0].dtype == (
        torch.bfloat16 if forward and norm != 'GN' else torch.float32
    )
    assert_same_bits(*found)


def between(change, training=True):
    """Gradients where something happens before the backward pass.

    Returns:
        list: Of plain layers and of lean ones, each a list, or the error.
    """
    found = []
    for module in denoisers(BottleneckDenoiser, BN, training):
        generator = torch.Generator().manual_seed(1)
        x = torch.randn((2, 16, 6, 5), generator=generator, requires_grad=True)
        loss = module(x, torch.tensor([3, 900])).square().mean()
        change(module)
        try:
            loss.backward()
        except RuntimeError as error:
            found.append(error)
        else:
            found.append([x.grad, *(p.grad for p in module.parameters())])
    return found


@pytest.mark.parametrize('training', [True, False])
def test_mode_is_that_of_the_forward_pass(training):
    plain, lean = between(lambda m: m.train(not training), training)
    assert_same_bits(plain, lean)
    assert_same_bits(lean, between(lambda m: None, training)[1])


@pytest.mark.parametrize(
    'name, training',
    [
        ('layers.0.layers.0.weight', True),  # of a convolution
        ('layers.0.layers.6.weight', True),  # of one that is computed again
        ('layers.0.layers.7.weight', True),
        ('layers.0.layers.1.running_var', False),
    ],
)
def test_what_has_changed_is_an_error_as_it_is_to_autograd(name, training):
    def change(module):
        with torch.no_grad():
            module.state_dict()[name].mul_(1.5)

    for error in between(change, training):
        with pytest.raises(RuntimeError, match='modified by an inplace oper'):
            raise error


@pytest.mark.parametrize('name', ['layers.0.layers.6', 'layers.0.layers.7'])
def test_a_shift_that_has_changed_is_an_error(name):
    """To autograd too, had it not what follows from it."""

    def change(module):
        with torch.no_grad():
            module.get_submodule(name).bias.add_(1)

    with pytest.raises(RuntimeError, match=r'shape \(16,\), is at version'):
        raise between(change)[1]


def test_statistics_that_a_batch_has_updated_are_an_error():
    """PyTorch notices it not, and its gradient is wrong."""

    def change(module):
        module.train()(torch.ones(2, 16, 3, 3), torch.tensor([3]))

    with pytest.raises(RuntimeError, match='modified by an inplace oper'):
        raise between(change, training=False)[1]


@pytest.mark.parametrize('recipe', ['released', 'tuned'])
@pytest.mark.parametrize('with_cp', [False, True])
def test_the_whole_of_diffkd(recipe, with_cp):
    torch.manual_seed(0)
    plain = FeatureDiffusion(12, 16, recipe=recipe, zero_init=False)
    lean = copy.deepcopy(plain)
    plain.denoiser.lean, lean.with_cp = False, with_cp
    found = []
    for module in (plain, lean):
        generator = torch.Generator().manual_seed(2)
        student = torch.randn(2, 12, 7, 6, generator=generator)
        teacher = torch.randn(2, 16, 7, 6, generator=generator)
        student.requires_grad_()
        out = module(student, teacher, noise=generator)
        loss = (out.student - out.teacher).square().mean()
        (loss + sum(out.losses.values())).backward()
        grads = [p.grad for p in module.parameters()]
        found.append([loss.detach(), student.grad, *grads, *module.buffers()])
    assert_same_bits(*found)


def test_a_graph_may_be_asked_twice():
    """The first iteration's screen asks each loss for its gradient."""
    plain, lean = denoisers(BottleneckDenoiser, BN)
    found = []
    for module in (plain, lean):
        x = torch.ones(2, 16, 4, 4, requires_grad=True)
        out = module(x * 2, torch.tensor([3])).pow(3).sum()
        first = torch.autograd.grad(out, x, retain_graph=True)
        out.backward()
        found.append([*first, x.grad, *(p.grad for p in module.parameters())])
    assert_same_bits(*found)


def test_a_second_derivative_is_refused_and_not_wrong():
    _, lean = denoisers(BottleneckDenoiser, BN)
    x = torch.ones(2, 16, 4, 4, requires_grad=True)
    out = lean(x, torch.tensor([3])).pow(3).sum()
    with pytest.raises(RuntimeError, match='set `lean = False`'):
        torch.autograd.grad(out, x, create_graph=True)
    lean.lean = False
    out = lean(x, torch.tensor([3])).pow(3).sum()
    assert torch.autograd.grad(out, x, create_graph=True)[0].requires_grad


def test_layers_that_are_not_known_run_as_they_are():
    _, lean = denoisers(BottleneckDenoiser, BN)

    class Doubled(BatchNorm2d):
        def forward(self, x):
            return 2 * super().forward(x)

    for layer in (nn.GELU(), Doubled(16)):
        changed = copy.deepcopy(lean)
        changed.layers.insert(1, layer)
        assert not can_be_lean(changed.layers)
        plain = copy.deepcopy(changed)
        plain.lean = False
        assert_same_bits(step(plain), step(changed))


def size_of(tensors):
    """Bytes of the memory behind some tensors, shared memory once."""
    storages = {t.untyped_storage()._cdata: t for t in tensors}
    return sum(t.untyped_storage().nbytes() for t in storages.values())


@pytest.mark.parametrize(
    'frozen, half, share',
    # Of half precision, the sums between the blocks are twice as large.
    [(False, False, 0.45), (True, False, 0.3), (False, True, 0.6)],
)
def test_less_than_half_is_kept(frozen, half, share):
    """Counted from outside: of PyTorch by its hooks, of ours by the objects.

    The input is the caller's, the weights are the module's.
    """
    torch.manual_seed(0)
    module = BottleneckDenoiser(64)
    x, t = torch.randn(1, 64, 24, 20, requires_grad=True), torch.tensor([5])
    values = {k: p.detach() for k, p in module.named_parameters()}

    def forward():
        with torch.autocast('cpu', torch.bfloat16, enabled=half):
            if frozen:
                return functional_call(module, values, (x, t))
            return module(x, t)

    plain = []
    module.lean = False
    with saved_tensors_hooks(lambda t: plain.append(t) or t, lambda t: t):
        forward()
    module.lean = True
    gc.collect()
    before = {id(item) for item in gc.get_objects()}
    output = forward()
    own = [
        item
        for item in gc.get_objects()
        if isinstance(item, torch.Tensor) and id(item) not in before
    ]
    given = [*module.parameters(), *module.buffers()]
    kept, of_plain = (
        size_of([*found, *given]) - size_of(given) for found in (own, plain)
    )
    assert 0 < kept - size_of([output]) < share * of_plain
    output.sum().backward()
    del own, output
    gc.collect()
    assert not any(isinstance(o, Recomputed) for o in gc.get_objects())
