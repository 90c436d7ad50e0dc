"""Counts agree with formulas that are written out here."""

import pytest
import torch
from torch import nn

from mmdiffkd.engine.benchmark.counts import parameters, work_of


def test_multiply_adds_of_a_small_network():
    """Two 3x3 convolutions and a matrix, forward and backward."""
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, bias=False),
        nn.Conv2d(8, 4, 3, stride=2, padding=1, bias=False),
        nn.Flatten(),
        nn.Linear(4 * 5 * 6, 7, bias=False),
    )
    images = torch.rand(2, 3, 10, 12)
    first = 2 * (10 * 12) * (8 * 3 * 9)
    second = 2 * (5 * 6) * (4 * 8 * 9)
    matrix = 2 * 7 * (4 * 5 * 6)
    forward = first + second + matrix
    with torch.no_grad():
        assert work_of(lambda: network(images)) == (forward, 0)
    # Each has a gradient for its weights; the images need none.
    backward = first + 2 * second + 2 * matrix
    whole = work_of(lambda: network(images).sum().backward())
    assert whole.multiply_adds == forward + backward


@pytest.mark.parametrize('kind', [nn.Conv2d, nn.ConvTranspose2d])
@pytest.mark.parametrize('groups', [1, 2, 8])
def test_a_convolution_of_groups(kind, groups):
    """The gradient of each operand takes as much as the forward pass."""
    layer = kind(8, 16, 3, padding=1, groups=groups)
    x = torch.rand(2, 8, 5, 6, requires_grad=True)
    forward = 2 * (5 * 6) * (16 * (8 // groups) * 9)
    with torch.no_grad():
        assert work_of(lambda: layer(x)).multiply_adds == forward
    whole = work_of(lambda: layer(x).sum().backward())
    assert whole.multiply_adds == 3 * forward
    layer.requires_grad_(False)
    whole = work_of(lambda: layer(x).sum().backward())
    assert whole.multiply_adds == 2 * forward


def test_what_is_used_is_told_from_what_is_there():
    class Half(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.rand(5))
            self.runs, self.rests = nn.Linear(5, 3), nn.Linear(5, 11)
            self.borrowed = nn.Linear(3, 3)  # never called itself

        def forward(self, x):
            x = self.runs(x * self.scale)
            return nn.functional.linear(x, self.borrowed.weight)

    half = Half().requires_grad_(False)
    assert parameters(half) == 5 + (15 + 3) + (55 + 11) + (9 + 3)
    seen = work_of(lambda: half(torch.rand(2, 5)), half)
    assert seen.used_parameters == 5 + 18 + 9
    assert work_of(lambda: None, half) == (0, 0)
    assert parameters(None) == 0
