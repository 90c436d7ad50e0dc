# Copyright (c) mmdiffkd contributors.
"""Tools that look at a whole training."""

from mmengine.config import Config


def without_validation(cfg: Config) -> Config:
    """Take validation and test out of a config.

    Args:
        cfg (Config): Training config, changed in place.

    Returns:
        Config: The same.
    """
    for phase in ('val', 'test'):
        for part in ('cfg', 'dataloader', 'evaluator'):
            cfg[f'{phase}_{part}'] = None
    return cfg
