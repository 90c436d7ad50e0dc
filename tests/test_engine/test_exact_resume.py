# Copyright (c) mmdiffkd contributors.
"""Runs killed at random moments end as if they had never been."""

import random

import pytest
from helpers.run_results import assert_same, final, losses

LOOPS, PROCESSES, WORKERS = ('epoch', 'iter'), (1, 2), (0, 2)
CASES = [
    (loop, processes, workers)
    for loop in LOOPS
    for processes in PROCESSES
    for workers in WORKERS
]
KILLS = 20  # in all

pytestmark = pytest.mark.slow


@pytest.mark.parametrize('loop, processes, workers', CASES)
def test_killed_at_random_moments(
    forked, uninterrupted, tmp_path, loop, processes, workers
):
    whole, events = uninterrupted(loop, processes, workers)
    case = CASES.index((loop, processes, workers))
    rng = random.Random(case)
    for trial in range(len(range(case, KILLS, len(CASES)))):
        work_dir = tmp_path / f'run{trial}'
        spec = dict(
            work_dir=work_dir, loop=loop, processes=processes, workers=workers
        )
        order = [[rank, 'SIGKILL'] for rank in range(processes)]
        rng.shuffle(order)
        kill_at = rng.randint(2, len(events) - 1)
        killed = forked(
            spec, kill_at=kill_at, signals=order, lag=rng.uniform(0.0001, 0.1)
        )
        assert set(killed.codes) == {-9}, killed.log[-3000:]
        forked(dict(spec, resume=True))
        assert_same(final(work_dir), final(whole), f'killed at {kill_at}')
        for rank in range(processes):
            assert losses(work_dir, rank) == losses(whole, rank)


def test_scaler_of_mixed_precision(forked, tmp_path):
    """On the CPU, in float16."""
    options = {'optim_wrapper.type': 'CPUAmpOptimWrapper'}
    spec = dict(work_dir=tmp_path / 'whole', loop='iter', options=options)
    events = forked(spec).events
    whole = final(tmp_path / 'whole')
    steps = next(iter(whole['optimizer']['state'].values()))['step']
    assert 0 < steps < whole['iter'], 'some steps must be left out'
    for kill_at in (len(events) // 2, len(events) - 3):
        spec['work_dir'] = tmp_path / f'run{kill_at}'
        killed = forked(spec, kill_at=kill_at, signals=[[0, 'SIGKILL']])
        assert killed.codes == [-9], killed.log[-3000:]
        forked(dict(spec, resume=True))
        assert_same(final(spec['work_dir']), whole, f'killed at {kill_at}')


@pytest.mark.parametrize('loop', LOOPS)
def test_results_do_not_depend_on_workers(uninterrupted, loop):
    assert_same(
        final(uninterrupted(loop, 1, 0)[0]),
        final(uninterrupted(loop, 1, 2)[0]),
    )
