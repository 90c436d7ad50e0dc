# Copyright (c) mmdiffkd contributors.
"""What a config asks for, and an estimate leaves out."""

from collections.abc import Iterator, Mapping
from typing import Any

from mmengine.config import Config


def not_counted(cfg: Config) -> list[str]:
    """Name the settings of a config whose memory is not in its estimate.

    Args:
        cfg (Config): Of a training.

    Returns:
        list[str]: Setting and what it does, a sentence each.
    """
    found = []
    compiled = {
        key
        for key, value in _settings(cfg.model)
        if key in ('compile_denoiser', 'compile_teacher')
        and value is not False
    }
    for key in sorted(compiled):
        found.append(f'{key}: what is compiled may keep more or less')
    wrapper = cfg.get('optim_wrapper') or {}
    if wrapper.get('accumulative_counts', 1) > 1:
        found.append(
            'accumulative_counts: gradients stay while the next batch is '
            'computed'
        )
    if 'Amp' in str(wrapper.get('type')):
        found.append('AmpOptimWrapper: the step is that of float32')
    for hook in cfg.get('custom_hooks') or []:
        if 'EMAHook' in str(hook.get('type')):
            found.append('EMAHook: its copy of the weights')
    return found


def _settings(value: Any) -> Iterator[tuple[str, Any]]:
    """All keys of a config with their values, at any depth."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield key, inner
            yield from _settings(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _settings(inner)
