# Copyright (c) mmdiffkd contributors.
"""Trials of a sweep from a process that has done nothing but import.

A process that has run a backward pass cannot fork one that will: the threads
of PyTorch's autograd are not there in it.
"""

from mmdiffkd.engine.study.ledger import Ledger
from mmdiffkd.engine.sweep.conduct import conduct
from mmdiffkd.engine.sweep.limited import Job, Limits, run_limited
from mmdiffkd.engine.sweep.offline import (
    be_quiet,
    import_all,
    stay_offline,
)
from mmdiffkd.engine.sweep.pair_trial import pair_trial


def prepare():
    """As the command does, once for all trials."""
    stay_offline()
    import_all()
    be_quiet()


def limited_trial(pair):
    """What comes of a pair: student, teacher and method."""
    jobs = [Job('pair', pair_trial, pair)]
    take = lambda: jobs.pop() if jobs else None  # noqa: E731
    ((_, result),) = run_limited(take, Limits(120, 6))
    return result


def swept(plan, path):
    """Carry out a plan, without a word."""
    conduct(plan, Ledger(path), lambda _: None)
