"""Steps are timed side by side, and compared within each round."""

import numpy as np
import pytest
import torch

from mmdiffkd.engine.benchmark import timing


class Clock:
    """Goes on as the steps say."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def test_each_round_takes_every_step_once_and_the_first_do_not_count():
    clock, taken = Clock(), []

    def step(name, seconds):
        def run():
            taken.append(name)
            # The machine is twice as slow from the fifth step on.
            clock.now += seconds * (2 if len(taken) > 4 else 1)

        return run

    steps = dict(a=step('a', 1.0), b=step('b', 3.0))
    found = timing.interleaved(steps, rounds=6, warm_up=2, clock=clock)
    rounds = [taken[i : i + 2] for i in range(0, 16, 2)]
    assert len(taken) == 16 and all({*r} == {'a', 'b'} for r in rounds)
    assert {r[0] for r in rounds} == {'a', 'b'}  # the order changes
    assert found == dict(a=[2.0] * 6, b=[6.0] * 6)


def test_ratios_are_of_pairs():
    """A machine that becomes slower changes no ratio."""
    slow = np.array([1.0, 1.0, 5.0, 9.0])
    found = timing.ratios(list(3 * slow), list(slow))
    assert found == dict(median=3.0, low=3.0, high=3.0)
    with pytest.raises(ValueError):
        timing.ratios([1.0, 2.0], [1.0])


def test_spread_is_median_and_quartiles():
    values = np.random.RandomState(0).rand(8)
    found = timing.spread(list(values))
    wanted = np.percentile(values, [25, 50, 75])
    assert np.allclose([found['low'], found['median'], found['high']], wanted)
    assert timing.spread([4.0]) == dict(low=4.0, median=4.0, high=4.0)


def test_one_thread_is_timed_by_its_processor(monkeypatch):
    cpu = torch.device('cpu')
    for threads, name in ((1, 'processor'), (4, 'wall')):
        monkeypatch.setattr(torch, 'get_num_threads', lambda n=threads: n)
        assert timing.clock_for(cpu)[0] == name
    monkeypatch.setattr(torch, 'get_num_threads', lambda: 1)
    assert timing.clock_for(torch.device('cuda'))[0] == 'wall'
