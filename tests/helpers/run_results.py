# Copyright (c) mmdiffkd contributors.
"""Read and compare what runs of ``trainee.py`` leave behind."""

import json
from pathlib import Path

import numpy as np
import torch

import mmdiffkd  # noqa: F401  lets torch.load read the log in checkpoints


def final(work_dir):
    """The last checkpoint, without what tells times and places."""
    path = Path((work_dir / 'last_checkpoint').read_text())
    checkpoint = torch.load(path, weights_only=True)
    hub = checkpoint.pop('message_hub')
    scores = {
        key: value
        for key, value in hub['runtime_info'].items()
        if 'score' in key
    }
    kept = {k: checkpoint[k] for k in checkpoint if k != 'meta'}
    kept['iter'] = checkpoint['meta']['iter']
    kept['val'] = hub['log_scalars']['val/score'].data
    (best,) = work_dir.glob('best_*.pth')
    kept['best'] = [
        best.name,
        scores,
        torch.load(best, weights_only=True)['state_dict'],
    ]
    return kept


def assert_same(one, other, where=''):
    assert type(one) is type(other), where
    if isinstance(one, dict):
        assert list(one) == list(other), where
        for key in one:
            assert_same(one[key], other[key], f'{where}.{key}')
    elif isinstance(one, (list, tuple)):
        assert len(one) == len(other), where
        for i, pair in enumerate(zip(one, other)):
            assert_same(*pair, f'{where}.{i}')
    elif isinstance(one, torch.Tensor):
        assert one.dtype == other.dtype and torch.equal(one, other), where
    elif isinstance(one, np.ndarray):
        assert np.array_equal(one, other), where
    else:
        assert one == other, where


def losses(work_dir, rank):
    """Losses by iteration; done again, one must have the same."""
    values = {}
    for line in (work_dir / f'losses.{rank}.txt').read_text().splitlines():
        if not line.endswith(']'):
            continue  # killed while writing
        iteration, *numbers = json.loads(line)
        assert values.setdefault(iteration, numbers) == numbers, iteration
    return values
