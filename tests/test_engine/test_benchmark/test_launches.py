"""Calls of the CUDA runtime are sorted by name; no GPU is needed for it."""

import torch

from mmdiffkd.engine.benchmark.launches import launches, of_calls


def test_calls_are_sorted():
    calls = {
        'aten::add': 50,
        'cudaLaunchKernel': 40,
        'cudaLaunchKernelExC': 3,
        'cuLaunchKernel': 2,
        'cudaGraphLaunch': 1,
        'cudaMemcpyAsync': 9,
        'cudaStreamSynchronize': 5,
        'cudaStreamWaitEvent': 7,  # the device waits there, not the host
        'cudaDeviceSynchronize': 1,
    }
    assert of_calls(calls) == (46, 6)


def test_a_cpu_launches_nothing():
    assert launches(lambda: None, torch.device('cpu')) is None
