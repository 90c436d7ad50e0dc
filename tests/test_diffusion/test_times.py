# Copyright (c) mmdiffkd contributors.
"""What the connectors take, with their 1x1 convolutions and PyTorch's, with
maps that are laid out channels last, and where nothing is computed again; and
what they keep for their backward pass.

Tables and profile of docs/en/performance.md are what this prints with ``-s``.
"""

import statistics
import time

import pytest
import torch
from helpers.allocator import memory_of
from torch import nn
from torch.nn import functional as F
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from mmdiffkd.diffusion import FeatureDiffusion
from mmdiffkd.diffusion.pointwise import PointwiseConv2d

ROUNDS = 5
MLP = dict(denoiser=dict(type='MLPDenoiser'))
LEVELS = [(100, 168), (50, 84), (25, 42), (13, 21), (7, 11)]
CASES = {
    "RetinaNet's five, 1 x 800 x 1344": [
        ((1, 256, *size), {}) for size in LEVELS
    ],
    "RetinaNet's five, 1 x 320 x 512": [
        ((1, 256, *size), {})
        for size in [(40, 64), (20, 32), (10, 16), (5, 8), (3, 4)]
    ],
    'logits, 16 x 1000': [((16, 1000), MLP)],
    'a feature, 16 x 512 x 7 x 7': [
        ((16, 512, 7, 7), dict(latent_channels=1024))
    ],
}


@pytest.mark.slow
@pytest.mark.parametrize('name', CASES)
def test_all_ways_have_the_same_losses(name, monkeypatch):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    pairs = []
    for size, options in CASES[name]:
        core = FeatureDiffusion(
            size[1], size[1], recipe='tuned', seed=0, **options
        )
        student = torch.randn(size, requires_grad=True)
        pairs.append((core, student, torch.randn(size)))

    def forward():
        total = 0.0
        for core, *features in pairs:
            out = core(*features)
            total += F.mse_loss(out.student, out.teacher)
            total += sum(out.losses.values())
        return total

    def step():
        total = forward()
        total.backward()
        return float(total.detach())

    ours = PointwiseConv2d._conv_forward
    ways = dict(
        now=(ours, False, True),
        before=(nn.Conv2d._conv_forward, False, True),
        last=(ours, True, True),
        kept=(ours, False, False),
    )
    seconds = {way: [] for way in ways}
    losses = {way: [] for way in ways}
    draws = [core.noise_source.state() for core, *_ in pairs]
    for i in range(ROUNDS + 1):
        for way, (convolution, last, lean) in ways.items():
            monkeypatch.setattr(PointwiseConv2d, '_conv_forward', convolution)
            for (core, *_), state in zip(pairs, draws):
                core.noise_source.set_state(state)
                core.channels_last = last
                core.denoiser.lean = lean
            start = time.process_time()
            losses[way].append(step())
            if i:
                seconds[way].append(time.process_time() - start)
    monkeypatch.undo()
    memory = {}
    for lean in (False, True):
        for core, *_ in pairs:
            core.channels_last = False
            core.denoiser.lean = lean
        if 'logits' not in name:  # of which nothing is computed again
            memory[lean], _ = memory_of(forward, torch.Tensor.backward)
    with FlopCounterMode(display=False) as counter:
        step()
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        step()
    operators = sorted(
        profiler.key_averages(), key=lambda e: -e.self_cpu_time_total
    )
    whole = sum(e.self_cpu_time_total for e in operators)
    torch.set_num_threads(threads)
    before, now, last = (
        1e3 * statistics.median(seconds[way])
        for way in ('before', 'now', 'last')
    )
    print(
        f'\n| {name} | {counter.get_total_flops() / 2e9:.1f} | {before:,.0f} '
        f'| {now:,.0f} | {last:,.0f} | {ratio(seconds, "now", "before")} '
        f'| {ratio(seconds, "last", "now")} |'
    )
    if memory:
        plain, lean = (memory[lean] / 2**20 for lean in (False, True))
        print(
            f'| {name} | {plain:,.0f} | {lean:,.0f} | {lean / plain:.2f} '
            f'| {ratio(seconds, "now", "kept")} |'
        )
        assert lean < plain / 2
    for operator in operators[:6]:
        share = operator.self_cpu_time_total / whole
        print(f'{operator.key}: {share:.0%}')
    assert losses['now'] == pytest.approx(losses['before'], rel=1e-4)
    assert losses['now'] == pytest.approx(losses['last'], rel=1e-4)
    assert losses['now'] == losses['kept']


def ratio(seconds, way, other):
    pairs = zip(seconds[way], seconds[other], strict=True)
    return f'{statistics.median(a / b for a, b in pairs):.2f}'
