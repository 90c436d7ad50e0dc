# Copyright (c) mmdiffkd contributors.
"""A later pass takes another way than the one that was followed.

Images wider than 10 pixels do; the first are narrower.
"""

import random
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.utils._pytree import tree_leaves, tree_map

from mmdiffkd.models.partial_pass import SkippedCalls, StandIn
from mmdiffkd.utils import UserError

NARROW, WIDE = (2, 3, 8, 8), (1, 3, 12, 20)


def is_wide(x):
    return x.shape[-1] > 10


class Part(nn.Module):
    """A convolution, and what it does beside."""

    def __init__(self, beside=lambda x: None):
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1)
        self.beside = beside

    def forward(self, x):
        self.beside(x)
        return self.conv(x[-1] if isinstance(x, list) else x)


class Model(nn.Module):
    """Of two branches, the first is asked for."""

    def __init__(self, beside=lambda x: None):
        super().__init__()
        torch.manual_seed(0)
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.a, self.b = Part(), Part(beside)
        self.gives = SimpleNamespace(out=None)

    def forward(self, x):
        x = self.stem(x)
        b = self.b(x)
        self.gives.out = self.a(x), b


class InPlace(Model):
    """The second branch changes its input, which the first then sees."""

    def __init__(self):
        super().__init__(lambda x: x.relu_() if is_wide(x) else None)


class InPlaceOfAView(Model):
    def __init__(self):
        super().__init__(lambda x: x[:, :2].mul_(2) if is_wide(x) else None)


class ChangedList(Model):
    """Likewise, of a list."""

    def __init__(self):
        super().__init__(lambda x: x.pop() if is_wide(x[0]) else None)

    def forward(self, x):
        levels = [self.stem(x), self.stem(x) + 1]
        b = self.b(levels)
        self.gives.out = self.a(levels), b


class Grid(nn.Module):
    """Makes a grid like its input, once for a size."""

    def __init__(self):
        super().__init__()
        self.grid = torch.ones(NARROW[2:])

    def forward(self, x):
        if self.grid.shape != x.shape[2:]:
            self.grid = x.new_ones(x.shape[2:])
        return x + self.grid


class SharedGrid(Model):
    def __init__(self):
        super().__init__()
        self.grid = Grid()
        self.b = nn.Sequential(self.grid, self.b)

    def forward(self, x):
        x = self.stem(x)
        b = self.b(x)
        self.gives.out = self.a(self.grid(x)), b


class ObjectRecorded(Model):
    """What is asked for is empty at first: an image without proposals."""

    def forward(self, x):
        wide = is_wide(x)
        super().forward(x)
        found = [SimpleNamespace(b=self.gives.out[1])] if wide else []
        self.gives.out = found, self.gives.out[1]


class CaughtError(Model):
    """Goes on where it cannot read a value."""

    def forward(self, x):
        super().forward(x)
        a, b = self.gives.out
        if is_wide(x):
            try:
                a = a + int((100 * b).sum())
            except RuntimeError:
                a = a - 1
        self.gives.out = a, b


class NumPyNoise(Model):
    def __init__(self):
        super().__init__(lambda x: (random.random(), np.random.rand()))


class NoiseOfSomeSizes(Model):
    def __init__(self):
        super().__init__(lambda x: is_wide(x) and torch.rand_like(x))


class Training(Model):
    """Is put into training mode after its first pass."""

    def __init__(self):
        super().__init__()
        self.a = nn.Sequential(self.a, nn.Dropout())
        self.b = nn.Sequential(self.b, nn.Dropout(), nn.BatchNorm2d(4))


def skipping(model, run=None):
    def once(*args):
        with torch.no_grad():
            (run or model)(*args)

    def reset():
        kept, model.gives.out = model.gives.out, None
        return lambda: setattr(model.gives, 'out', kept)

    return SkippedCalls(model, once, reset, lambda: [model.gives.out[0]])


def image(seed, shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def seeded(function, x):
    """The states of the random generators after it."""
    for seed in (random.seed, np.random.seed, torch.manual_seed):
        seed(0)
    with torch.no_grad():
        function(x)
    return random.random(), np.random.rand(), torch.rand(1)


def tensors(value):
    plain = tree_map(
        lambda x: x.b if isinstance(x, SimpleNamespace) else x, value
    )
    return tree_leaves(plain)


KINDS = [
    InPlace,
    InPlaceOfAView,
    ChangedList,
    SharedGrid,
    ObjectRecorded,
    CaughtError,
    NumPyNoise,
    Training,
]


@pytest.mark.parametrize('kind', KINDS)
def test_another_way_gives_what_a_whole_pass_gives(kind):
    lean, plain = kind().eval(), kind().eval()
    skipped = skipping(lean)
    for number, shape in enumerate([NARROW, WIDE, NARROW, WIDE]):
        if kind is Training:
            lean.train(number % 2 == 1)
            plain.train(number % 2 == 1)
        x = image(number, shape)
        assert seeded(plain, x) == seeded(skipped.run, x)
        # What is to be shown is shown by a pass that leaves out something.
        assert number or kind is NumPyNoise or skipped.plan
        found, expected = (tensors(m.gives.out[0]) for m in (lean, plain))
        assert len(found) == len(expected)
        for mine, other in zip(found, expected):
            assert not isinstance(mine, StandIn)
            assert torch.equal(mine, other)
        for mine, other in zip(
            lean.state_dict().values(), plain.state_dict().values()
        ):
            assert torch.equal(mine, other)


def test_random_numbers_that_would_be_left_out_are_drawn():
    lean, plain = NoiseOfSomeSizes().eval(), NoiseOfSomeSizes().eval()
    skipped = skipping(lean)
    skipped.run(image(0, NARROW))
    assert skipped.plan
    x = image(1, WIDE)
    assert seeded(plain, x) == seeded(skipped.run, x)


def test_a_teacher_that_is_run_twice_draws_its_random_numbers_once():
    def twice(model):
        def run(x):
            model(x)
            model(x + torch.randn_like(x))

        return run

    class Noise(Model):
        def forward(self, x):
            super().forward(x + torch.randn_like(x))

    lean, plain = Noise().eval(), Noise().eval()
    x = image(0, NARROW)
    assert seeded(twice(plain), x) == seeded(
        skipping(lean, twice(lean)).run, x
    )
    assert torch.equal(lean.gives.out[0], plain.gives.out[0])


def test_what_cannot_be_taken_back_is_an_error():
    kept = {}

    def beside(x):
        if x.shape[-1] not in kept:
            kept[x.shape[-1]] = x.new_ones(())

    class Global(Model):
        def forward(self, x):
            super().forward(x)
            a, b = self.gives.out
            self.gives.out = (a + kept[x.shape[-1]] if is_wide(x) else a, b)

    skipped = skipping(Global(beside).eval())
    skipped.run(image(0, NARROW))
    assert skipped.plan
    with pytest.raises(UserError, match='skip_teacher_parts=False'):
        skipped.run(image(1, WIDE))


def test_what_waits_for_other_processes_is_run_once():
    passes = []

    def beside(x):
        passes.append(1)
        dist.all_reduce(torch.ones(1))

    model = Model(beside).eval()
    dist.init_process_group(
        'gloo', store=dist.HashStore(), rank=0, world_size=1
    )
    try:
        skipping(model).run(image(0, NARROW))
    finally:
        dist.destroy_process_group()
    assert len(passes) == 1


def test_a_part_that_changes_its_input_is_run_and_its_parts_are_not():
    """As a block that begins with an activation in place."""
    model = Model().eval()
    model.b = nn.Sequential(nn.ReLU(inplace=True), model.b)

    def forward(x):
        x = model.stem(x)
        model.gives.out = model.a(x), model.b(x)

    model.forward = forward
    skipped = skipping(model)
    skipped.run(image(0, NARROW))
    assert skipped.plan == {'b.1': {0}}
