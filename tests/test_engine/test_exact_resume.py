# Copyright (c) mmdiffkd contributors.
"""Runs killed at random moments end as if they had never been."""
import json
import random
from pathlib import Path

import numpy as np
import pytest
import torch

import mmdiffkd  # noqa: F401  lets torch.load read the log in checkpoints

LOOPS, PROCESSES, WORKERS = ('epoch', 'iter'), (1, 2), (0, 2)
CASES = [(loop, processes, workers) for loop in LOOPS
         for processes in PROCESSES for workers in WORKERS]
KILLS = 20  # in all

pytestmark = pytest.mark.slow


def final(work_dir):
    """The last checkpoint, without what tells times and places."""
    path = Path((work_dir / 'last_checkpoint').read_text())
    checkpoint = torch.load(path, weights_only=True)
    hub = checkpoint.pop('message_hub')
    scores = {
        key: value
        for key, value in hub['runtime_info'].items() if 'score' in key
    }
    kept = {k: checkpoint[k] for k in checkpoint if k != 'meta'}
    kept['iter'] = checkpoint['meta']['iter']
    kept['val'] = hub['log_scalars']['val/score'].data
    best, = work_dir.glob('best_*.pth')
    kept['best'] = [
        best.name, scores,
        torch.load(best, weights_only=True)['state_dict']
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


@pytest.fixture(scope='module')
def uninterrupted(forked, tmp_path_factory):
    """Work dir and number of events of a whole run; made once for each."""
    runs = {}

    def run(loop, processes, workers):
        key = loop, processes, workers
        if key not in runs:
            work_dir = tmp_path_factory.mktemp('whole') / 'run'
            answer = forked(
                dict(work_dir=work_dir, loop=loop, processes=processes,
                     workers=workers))
            runs[key] = work_dir, len(answer.events)
        return runs[key]

    return run


@pytest.mark.parametrize('loop, processes, workers', CASES)
def test_killed_at_random_moments(forked, uninterrupted, tmp_path, loop,
                                  processes, workers):
    whole, events = uninterrupted(loop, processes, workers)
    case = CASES.index((loop, processes, workers))
    rng = random.Random(case)
    for trial in range(len(range(case, KILLS, len(CASES)))):
        work_dir = tmp_path / f'run{trial}'
        spec = dict(work_dir=work_dir, loop=loop, processes=processes,
                    workers=workers)
        order = [[rank, 'SIGKILL'] for rank in range(processes)]
        rng.shuffle(order)
        kill_at = rng.randint(2, events - 1)
        killed = forked(spec, kill_at=kill_at, signals=order)
        assert set(killed.codes) == {-9}, killed.log[-3000:]
        forked(dict(spec, resume=True))
        assert_same(final(work_dir), final(whole), f'killed at {kill_at}')
        for rank in range(processes):
            assert losses(work_dir, rank) == losses(whole, rank)


@pytest.mark.parametrize('loop', LOOPS)
def test_results_do_not_depend_on_workers(uninterrupted, loop):
    assert_same(
        final(uninterrupted(loop, 1, 0)[0]),
        final(uninterrupted(loop, 1, 2)[0]))
