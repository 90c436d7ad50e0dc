# Copyright (c) mmdiffkd contributors.
"""A compiled denoiser is the same function, and copies are plain."""

import copy

import pytest
import torch

from mmdiffkd.diffusion import FeatureDiffusion

SIZES = [(2, 5, 7), (2, 6, 4), (3, 8, 8), (1, 5, 9), (2, 4, 4)]


class Compiler:
    """Runs what it is given as it is, and counts it."""

    def __init__(self):
        self.graphs = 0

    def __call__(self, graph, inputs):
        self.graphs += 1
        return graph.forward


def built(**options):
    torch.manual_seed(0)
    return FeatureDiffusion(8, 8, latent_channels=4, seed=3, **options)


def steps(module, sizes=SIZES):
    """Losses and gradients of training steps on several sizes."""
    generator = torch.Generator().manual_seed(1)
    found = []
    for n, height, width in sizes:
        student, teacher = (
            torch.randn(n, 8, height, width, generator=generator)
            for _ in range(2)
        )
        out = module(student.requires_grad_(), teacher)
        loss = (out.student - out.teacher).square().mean()
        loss = loss + sum(out.losses.values())
        module.zero_grad()
        loss.backward()
        found += [loss.detach(), student.grad]
        found += [p.grad.clone() for p in module.parameters()]
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    'options',
    [dict(with_cp=True), dict(kd_grad_to_denoiser=False)],
    ids=['with_cp', 'detached_weights'],
)
def test_it_is_the_same_function_at_all_sizes(options):
    compiler = Compiler()
    torch.compiler.reset()
    compiled = built(
        compile_denoiser=dict(backend=compiler, dynamic=True), **options
    )
    plain = built(**options)
    for found, expected in zip(steps(compiled), steps(plain)):
        torch.testing.assert_close(found, expected)
    assert 0 < compiler.graphs < len(SIZES) + 2
    assert compiled.state_dict().keys() == plain.state_dict().keys()


def test_a_copy_is_a_plain_one():
    compiler = Compiler()
    module = built(compile_denoiser=dict(backend=compiler))
    other = copy.deepcopy(module)
    for found, expected in zip(steps(other), steps(built())):
        assert torch.equal(found, expected)
    assert compiler.graphs == 0
