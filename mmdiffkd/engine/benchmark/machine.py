# Copyright (c) mmdiffkd contributors.
"""What a measurement ran on."""

import os
import platform
from pathlib import Path
from typing import Any

import torch


def machine(device: torch.device) -> dict[str, Any]:
    """Describe processor, device and software.

    Args:
        device (torch.device): What the steps ran on.

    Returns:
        dict: ``device``, ``processor``, ``threads`` of PyTorch, ``load`` (the
        system's over the last minute, None where it has none), ``torch``,
        ``python``, and on a GPU ``cuda``.
    """
    on_gpu = device.type == 'cuda'
    found = dict(
        device=torch.cuda.get_device_name(device) if on_gpu else 'CPU',
        processor=_processor(),
        threads=torch.get_num_threads(),
        load=os.getloadavg()[0] if hasattr(os, 'getloadavg') else None,
        torch=torch.__version__,
        python=platform.python_version(),
    )
    return dict(found, cuda=torch.version.cuda) if on_gpu else found


def in_words(found: dict[str, Any]) -> str:
    """One line of what :func:`machine` gives."""
    parts = [found['device']]
    if found['device'] != found['processor']:
        parts.append(found['processor'])
    threads = found['threads']
    parts.append(f'{threads} thread' + ('s' if threads > 1 else ''))
    if found['load'] is not None:
        parts.append(f'load {found["load"]:.1f} before')
    parts.append(f'PyTorch {found["torch"]}')
    return ', '.join(parts)


def _processor() -> str:
    """Its model; Python knows the architecture alone on Linux."""
    info = Path('/proc/cpuinfo')
    lines = info.read_text().splitlines() if info.is_file() else []
    for line in lines:
        key, _, value = line.partition(':')
        if key.strip() == 'model name':
            return value.strip()
    return platform.processor() or platform.machine()
