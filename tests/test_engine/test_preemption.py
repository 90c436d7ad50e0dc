# Copyright (c) mmdiffkd contributors.
"""Runs that are told to leave save, leave together, and go on exactly."""

import re

import pytest
from helpers.run_results import assert_same, final, losses

from mmdiffkd.engine.hooks.preemption_hook import EXIT_CODE

pytestmark = pytest.mark.slow


def leave_and_resume(forked, spec, kill_at, kind, signals):
    """Returns the run that left; the work dir then holds the whole run."""
    left = forked(spec, kill_at=kill_at, kind=kind, signals=signals)
    assert set(left.codes) == {EXIT_CODE}, left.log[-3000:]
    forked(dict(spec, resume=True))
    return left


def assert_as_uninterrupted(work_dir, whole, processes=1):
    assert_same(final(work_dir), final(whole))
    for rank in range(processes):
        assert losses(work_dir, rank) == losses(whole, rank)
    # What was saved in between is not kept.
    assert {path.name for path in work_dir.glob('*.pth')} == {
        path.name for path in whole.glob('*.pth')
    }


def test_in_the_middle_of_an_epoch(forked, uninterrupted, tmp_path):
    spec = dict(work_dir=tmp_path / 'run')
    left = leave_and_resume(forked, spec, 14, '.', [[0, 'SIGTERM']])
    assert 'SIGTERM' in left.log and 'Exit code 85' in left.log
    # One way of counting: the file of the fourth iteration is iter_4.pth.
    said = re.search(
        r'stopped after iteration (\d+); checkpoint .*iter_(\d+)\.pth',
        left.log,
    )
    assert said and said[1] == said[2]
    assert_as_uninterrupted(spec['work_dir'], uninterrupted()[0])
    assert len(losses(spec['work_dir'], 0)) == 15


def test_in_the_middle_of_a_validation(forked, uninterrupted, tmp_path):
    """The model then holds the averaged weights of ``EMAHook``."""
    spec = dict(work_dir=tmp_path / 'run', loop='iter')
    left = leave_and_resume(forked, spec, 1, 'v', [[0, 'SIGUSR1']])
    assert left.events.count('v') < 4 and 'SIGUSR1' in left.log
    assert_as_uninterrupted(spec['work_dir'], uninterrupted('iter')[0])


@pytest.mark.parametrize('kind', ['.', 'v'])
def test_ranks_leave_together_when_one_is_told(
    forked, uninterrupted, tmp_path, kind
):
    spec = dict(work_dir=tmp_path / 'run', processes=2)
    leave_and_resume(
        forked, spec, 1 if kind == 'v' else 3, kind, [[1, 'SIGUSR1']]
    )
    assert_as_uninterrupted(
        spec['work_dir'], uninterrupted(processes=2)[0], processes=2
    )


def test_signals_to_the_workers_as_well(forked, uninterrupted, tmp_path):
    spec = dict(work_dir=tmp_path / 'run', loop='iter', workers=2)
    leave_and_resume(
        forked, spec, 5, '.', [[0, 'SIGTERM', True], [0, 'SIGUSR1', True]]
    )
    assert_as_uninterrupted(spec['work_dir'], uninterrupted('iter', 1, 2)[0])


def test_before_the_first_iteration(forked, uninterrupted, tmp_path):
    spec = dict(work_dir=tmp_path / 'run')
    left = leave_and_resume(forked, spec, 1, 'S', [[0, 'SIGTERM']])
    assert '.' not in left.events.rstrip('C') or left.events.count('.') <= 2
    assert_as_uninterrupted(spec['work_dir'], uninterrupted()[0])


@pytest.mark.parametrize(
    'loop, kill_at, kind',
    [('epoch', 3, '.'), ('epoch', 1, 'v'), ('iter', 5, '.')],
)
def test_what_it_leaves_has_the_optimizer_whatever_others_have(
    forked, tmp_path, loop, kill_at, kind
):
    options = {
        'default_hooks.checkpoint.save_optimizer': False,
        'default_hooks.checkpoint.save_param_scheduler': False,
    }
    spec = dict(work_dir=tmp_path / 'whole', loop=loop, options=options)
    forked(spec)
    assert 'optimizer' not in final(tmp_path / 'whole')
    spec['work_dir'] = tmp_path / 'run'
    leave_and_resume(forked, spec, kill_at, kind, [[0, 'SIGTERM']])
    assert_as_uninterrupted(spec['work_dir'], tmp_path / 'whole')
