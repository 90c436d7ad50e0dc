# Copyright (c) mmdiffkd contributors.
"""Peak memory of a step, from PyTorch's own allocators."""

import gc
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from .step import Step


def peak_memory(step: Step, device: torch.device) -> int:
    """Most bytes that a step needs at a time, with what it keeps between.

    What other models of the process keep does not count. On a GPU it is the
    caching allocator's figure, without fragmentation, the workspaces that
    libraries allocate themselves, and the CUDA context.

    Args:
        step (Step): Taken at least once before, so that the optimizer has its
            state.
        device (torch.device): Where it runs.

    Returns:
        int: In bytes.
    """
    step.drop_records()
    gc.collect()
    if device.type == 'cuda':
        torch.cuda.synchronize(device)
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        step()
        torch.cuda.synchronize(device)
        growth = torch.cuda.max_memory_allocated(device) - before
    else:
        growth = _growth_on_cpu(step)
    return step.resident() + growth


def _growth_on_cpu(step: Any) -> int:
    """Most bytes allocated since the start of a step."""
    with profile(
        activities=[ProfilerActivity.CPU], profile_memory=True
    ) as profiler:
        step()
    results = profiler.profiler.kineto_results
    changes = sorted(
        (event.start_ns(), event.nbytes())
        for event in results.events()
        if event.name() == '[memory]'
    )
    now = most = 0
    for _, change in changes:
        now += change
        most = max(most, now)
    return most
