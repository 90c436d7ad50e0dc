# Copyright (c) mmdiffkd contributors.
"""Trials in processes of their own end, whatever they do."""

import os
import signal
import time

import pytest
import torch

from mmdiffkd.engine.sweep.limited import Job, Limits, run_limited

LIMITS = Limits(seconds=20, gib=0.5)


def run(*jobs, limits=LIMITS, workers=1):
    todo = list(jobs)
    take = lambda: todo.pop(0) if todo else None  # noqa: E731
    return {j.key: r for j, r in run_limited(take, limits, workers)}


def gives(value):
    return dict(value=value, process=os.getpid())


def too_much():
    return dict(value=len(bytearray(2**30)))


def dies():
    os.kill(os.getpid(), signal.SIGKILL)


def hangs():
    signal.pause()


def spins():
    while True:
        pass


def fails():
    raise ValueError('two\nlines')


def test_each_job_has_a_process_and_its_result():
    results = run(Job('a', gives, (1,)), Job('b', gives, (2,)), workers=2)
    assert {k: r['value'] for k, r in results.items()} == dict(a=1, b=2)
    assert len({os.getpid(), *(r['process'] for r in results.values())}) == 3


@pytest.mark.parametrize(
    'function, error',
    [
        (too_much, 'MemoryLimit: over 0.5 GiB'),
        (dies, 'Crash: the process ended with SIGKILL'),
        (fails, 'ValueError: two lines'),
    ],
)
def test_the_sweep_outlives_a_job(function, error):
    results = run(Job('bad', function), Job('good', gives, (1,)))
    assert results['bad']['error'] == error
    assert results['good']['value'] == 1


def test_a_job_over_its_time_is_ended():
    limits = Limits(seconds=0.1, gib=1)
    results = run(Job('a', hangs), Job('b', spins), limits=limits)
    assert results['a']['error'] == 'TimeLimit: over 0.1 s'
    assert results['b']['error'] == 'TimeLimit: over 0.1 s'


def test_the_place_of_an_error_is_told():
    where = run(Job('bad', fails))['bad']['where']
    assert os.path.basename(__file__) in where


def names_an_installed_file():
    raise OSError(f'no file {torch.__file__} here')


def test_an_error_does_not_say_where_this_machine_has_its_packages():
    result = run(Job('bad', names_an_installed_file))['bad']
    assert result['error'] == 'OSError: no file torch/__init__.py here'


def test_a_job_may_take_its_share_of_the_limits():
    limits = Limits(seconds=0.1, gib=1)
    jobs = Job('half', spins, share=0.5), Job('many', gives, (1,), share=50)
    results = run(*jobs, limits=limits)
    assert results['half']['error'] == 'TimeLimit: over 0.05 s'
    assert results['many']['value'] == 1


def test_an_interrupt_leaves_no_process_behind(tmp_path):
    def notes_its_number():
        (tmp_path / 'pid').write_text(str(os.getpid()))
        hangs()

    def interrupted():
        if not hasattr(interrupted, 'asked'):
            interrupted.asked = True
            return Job('a', notes_its_number)
        while not (tmp_path / 'pid').exists():
            time.sleep(0.01)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(run_limited(interrupted, LIMITS, workers=2))
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / 'pid').read_text()), 0)


def told_to_end():
    os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize('how', [signal.SIG_UNBLOCK, signal.SIG_BLOCK])
def test_a_job_that_is_told_to_end_has_no_result(how):
    """As where a machine stops: all processes are told, in any order."""
    # A sweep takes it for an interrupt; the job must not. After a training,
    # a process's children have it blocked.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    mask = signal.pthread_sigmask(how, {signal.SIGTERM})
    try:
        with pytest.raises(KeyboardInterrupt):
            run(Job('a', told_to_end))
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGTERM, before)
