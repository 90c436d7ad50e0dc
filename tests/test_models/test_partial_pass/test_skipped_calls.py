# Copyright (c) mmdiffkd contributors.
"""What no value asked for depends on is left out, and nothing else changes."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from mmdiffkd.models.partial_pass import SkippedCalls

A, B, STEM = 'a', 'b', 'stem'
ALL = {STEM, A, B}


class TwoBranches(nn.Module):
    """A stem and two branches; ``asked`` is what is read of their outputs."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.a = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.ReLU())
        self.b = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.ReLU())
        # Where the model itself does not seem to change.
        self.gives = SimpleNamespace(outputs=[])

    def forward(self, x):
        x = self.stem(x)
        self.gives.outputs += [self.a(x), self.b(x)]


class Identity(TwoBranches):
    def __init__(self):
        super().__init__()
        self.identity = nn.Identity()

    def forward(self, x):
        x = self.identity(self.stem(x))
        a, b = self.a(x), self.b(x.flatten(2).view_as(x))
        self.gives.outputs += [self.identity(a), self.identity(b)]


class Sum(TwoBranches):
    def forward(self, x):
        x = self.stem(x)
        b = self.b(x)
        self.gives.outputs += [self.a(x) + b, b]


class InPlace(TwoBranches):
    """The second branch changes what the first has returned."""

    def forward(self, x):
        x = self.stem(x)
        a, b = self.a(x), self.b(x)
        a[:, :1] += b[:, :1]
        self.gives.outputs += [a, b]


class Attribute(TwoBranches):
    """The first branch reads what the second has left in the model."""

    def forward(self, x):
        x = self.stem(x)
        b = self.b(x)
        self.kept = b.mean()
        self.gives.outputs += [self.a(x) + self.kept, b]


class Gate(TwoBranches):
    """The host decides by the second branch."""

    def forward(self, x):
        x = self.stem(x)
        b = self.b(x)
        a = self.a(x)
        self.gives.outputs += [a if b.sum() > 0 else -a, b]


class HiddenGate(TwoBranches):
    """As before, in a way that PyTorch does not see."""

    def forward(self, x):
        x = self.stem(x)
        b = self.b(x)
        a = self.a(x)
        self.gives.outputs += [a if np.sum(b.numpy()) > 0 else -a, b]


class Foreign(nn.Module):
    def forward(self, x):
        return torch.from_numpy(np.tanh(x.numpy()))


class ForeignBranch(TwoBranches):
    """Its second branch ends in what PyTorch does not see."""

    def __init__(self):
        super().__init__()
        self.b.append(Foreign())


class ForeignStem(TwoBranches):
    def __init__(self):
        super().__init__()
        self.foreign = Foreign()

    def forward(self, x):
        super().forward(self.foreign(x))


class Buffer(TwoBranches):
    """The second branch counts in a buffer."""

    def __init__(self):
        super().__init__()
        self.register_buffer('seen', torch.zeros(()))

    def forward(self, x):
        x = self.stem(x)
        b = self.b(x)
        self.seen += b.mean()
        self.gives.outputs += [self.a(x), b]


class Counting(nn.Sequential):
    calls = 0

    def forward(self, x):
        self.calls += 1
        return super().forward(x)


class CountingBranch(TwoBranches):
    """The second branch keeps state."""

    def __init__(self):
        super().__init__()
        self.b = Counting(*self.b)


class Noise(TwoBranches):
    def forward(self, x):
        x = self.stem(x)
        self.gives.outputs += [self.a(x), self.b(x + torch.randn_like(x))]


def skipping(model, asked):
    def run(*args):
        with torch.no_grad():
            model(*args)

    def reset():
        kept, model.gives.outputs = model.gives.outputs, []
        return lambda: setattr(model.gives, 'outputs', kept)

    return SkippedCalls(
        model,
        run,
        reset,
        lambda: [model.gives.outputs[i] for i in asked],
    )


def images(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


BATCHES = [(2, 3, 8, 8), (2, 3, 8, 8), (1, 3, 12, 20), (3, 3, 5, 7)]


@pytest.mark.parametrize(
    'kind, asked, runs',
    [
        (TwoBranches, [0], {STEM, A}),
        (TwoBranches, [1], {STEM, B}),
        (TwoBranches, [0, 1], ALL),
        (Identity, [0], {STEM, A}),
        (Identity, [1], {STEM, B}),
        (Sum, [0], ALL),
        (Sum, [1], {STEM, B}),
        (InPlace, [0], ALL),
        (Attribute, [0], ALL),
        (Gate, [0], ALL),
        (Gate, [1], {STEM, B}),
        (HiddenGate, [0], ALL),
        (ForeignBranch, [0], ALL),
        (ForeignBranch, [1], {STEM, B}),
        (ForeignStem, [1], {STEM, B}),
        (Buffer, [0], ALL),
        (CountingBranch, [0], ALL),
        (Noise, [0], ALL),
    ],
)
def test_values_are_the_same_and_only_what_they_need_runs(kind, asked, runs):
    model, plain = kind().eval(), kind().eval()
    skipped = skipping(model, asked)
    for seed, shape in enumerate(BATCHES):
        x = images(seed, *shape)
        for each in (model, plain):
            each.gives.outputs.clear()
        torch.manual_seed(seed)
        with torch.no_grad():
            plain(x)
        torch.manual_seed(seed)
        with FlopCounterMode(display=False) as counter:
            skipped.run(x)
        for index in asked:
            assert torch.equal(
                model.gives.outputs[index], plain.gives.outputs[index]
            )
    assert model.state_dict().keys() == plain.state_dict().keys()
    for mine, other in zip(
        model.state_dict().values(), plain.state_dict().values()
    ):
        assert torch.equal(mine, other)
    assert getattr(model.b, 'calls', 0) == getattr(plain.b, 'calls', 0)
    assert not any('forward' in vars(m) for m in model.modules())
    counts = counter.get_flop_counts()
    assert runs == {
        name
        for name in ALL
        if sum(counts.get(f'{kind.__name__}.{name}', {}).values())
    }


class Varying(TwoBranches):
    """Images as wide as high are seen by the second branch as well."""

    def forward(self, x):
        x = self.stem(x)
        a, b = self.a(x), self.b(x)
        self.gives.outputs += [a + b if x.shape[2] == x.shape[3] else a, b]


def test_another_way_through_the_model_is_taken_with_all_values():
    model, plain = Varying().eval(), Varying().eval()
    skipped = skipping(model, [0])
    for seed, shape in enumerate([(1, 3, 4, 6), (1, 3, 8, 8), (1, 3, 4, 6)]):
        for each in (model, plain):
            each.gives.outputs.clear()
        with torch.no_grad():
            plain(images(seed, *shape))
        assert (skipped.plan or {}) == ({'b': {0}} if seed == 1 else {})
        skipped.run(images(seed, *shape))
        assert len(model.gives.outputs) == 2
        assert torch.equal(model.gives.outputs[0], plain.gives.outputs[0])


def test_who_looks_at_the_first_pass_sees_all_of_it():
    model, plain = TwoBranches().eval(), TwoBranches().eval()
    skipped = skipping(model, [0])
    x = images(0, 2, 3, 8, 8)
    plain(x)
    skipped.run(x)
    assert skipped.plan and len(model.gives.outputs) == 2
    for found, expected in zip(model.gives.outputs, plain.gives.outputs):
        assert torch.equal(found, expected)
    model.gives.outputs.clear()
    skipped.run(x)
    assert not model.gives.outputs[1].has_values


def test_an_error_of_the_model_itself_is_its_own():
    model = TwoBranches().eval()
    skipped = skipping(model, [0])
    for _ in range(2):
        model.gives.outputs.clear()
        skipped.run(images(0, 1, 3, 8, 8))
    assert skipped.plan
    for each in (skipped, skipping(model, [0])):
        with pytest.raises(RuntimeError, match='to have 3 channels') as error:
            each.run(images(0, 1, 5, 8, 8))
        # Which decides whether it is told as a mistake of the user.
        files = {entry.path.name for entry in error.traceback}
        assert not files & {'data_flow.py', 'call_tree.py', 'stand_in.py'}


def test_calls_of_a_shared_module_are_told_apart():
    class Levels(TwoBranches):
        def forward(self, *levels):
            for x in levels:
                x = self.stem(x)
                self.gives.outputs += [self.a(x), self.b(x)]

    model = Levels().eval()
    skipped = skipping(model, [0, 5])
    levels = [images(i, 1, 3, 8 - i, 8) for i in range(3)]
    skipped.run(*levels)
    assert skipped.plan == {'b': {0, 1}, 'stem': {1}, 'a': {1, 2}}
