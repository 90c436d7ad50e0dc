# Copyright (c) mmdiffkd contributors.
"""What a config asks for, and an estimate leaves out."""

from mmengine.config import Config

from mmdiffkd.utils.configs.walk import values_of


def not_counted(cfg: Config) -> list[str]:
    """Name the settings of a config whose memory is not in its estimate.

    Args:
        cfg (Config): Of a training.

    Returns:
        list[str]: Setting and what it does, a sentence each.
    """
    found = []
    settings = {
        key.split('.')[-1]
        for key, value in values_of(cfg.model)
        if value is not False
    }
    for key in ('compile_denoiser', 'compile_teacher'):
        if key in settings:
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
