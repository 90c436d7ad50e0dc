# Copyright (c) mmdiffkd contributors.
"""What a step asks of a GPU: kernel launches, and waits of the host."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch.profiler import ProfilerActivity, profile

LAUNCHES = ('cudaLaunchKernel', 'cuLaunchKernel', 'cudaGraphLaunch')
"""How the calls of the CUDA runtime and driver that start work begin."""

WAITS = (
    'cudaStreamSynchronize',
    'cudaDeviceSynchronize',
    'cudaEventSynchronize',
)
"""Calls in which the host waits for the device."""


class Launches(NamedTuple):
    """Calls of a step.

    Attributes:
        kernels (int): Kernels and graphs started.
        syncs (int): Waits of the host for the device.
    """

    kernels: int
    syncs: int


def launches(step: Callable[[], Any], device: torch.device) -> Launches | None:
    """Count them in a step.

    Args:
        step (Callable): The step; its first call should lie behind it.
        device (torch.device): Where it runs.

    Returns:
        Launches | None: None on a CPU.
    """
    if device.type != 'cuda':
        return None
    torch.cuda.synchronize(device)
    with profile(
        activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]
    ) as profiler:
        step()
    calls = {e.key: e.count for e in profiler.key_averages()}
    # The profiler itself waits once, when it stops.
    found = of_calls(calls)
    stop = min(calls.get('cudaDeviceSynchronize', 0), 1)
    return found._replace(syncs=found.syncs - stop)


def of_calls(calls: Mapping[str, int]) -> Launches:
    """Sum up calls of the CUDA runtime.

    Args:
        calls (Mapping[str, int]): How often each was made, by name.
    """
    return Launches(
        sum(n for name, n in calls.items() if name.startswith(LAUNCHES)),
        sum(n for name, n in calls.items() if name in WAITS),
    )
