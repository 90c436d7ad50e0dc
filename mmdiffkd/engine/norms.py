# Copyright (c) mmdiffkd contributors.
"""Batch norms for processes without a GPU."""

from typing import Any

from mmengine.config import Config
from mmengine.logging import print_log

SYNC_BN = ('SyncBN', 'MMSyncBN', 'SyncBatchNorm')


def replace_sync_bn(cfg: Config) -> int:
    """Turn the SyncBN of a model's config into BN, and say so.

    PyTorch synchronises batch norms on GPUs alone, and MMEngine replaces
    them in runs of one process alone. In a distributed run on CPUs each
    process takes the statistics of its own batch.

    Args:
        cfg (Config): Config, changed in place.

    Returns:
        int: Number of replacements.
    """
    count = _replace(cfg.get('model') or {})
    cfg.pop('sync_bn', None)
    if count:
        print_log(
            f'no GPU: {count} norms of type SyncBN in the config become BN; '
            'each process takes the statistics of its own batch',
            logger='current',
        )
    return count


def _replace(item: Any) -> int:
    count = 0
    if isinstance(item, dict):
        if str(item.get('type')).split('.')[-1] in SYNC_BN:
            item['type'] = 'BN'
            count += 1
        count += sum(_replace(value) for value in item.values())
    elif isinstance(item, (list, tuple)):
        count += sum(_replace(value) for value in item)
    return count
