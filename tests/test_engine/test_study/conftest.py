# Copyright (c) mmdiffkd contributors.
"""A study of three methods, whose runs are stand-ins."""

import sys
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import pytest

from mmdiffkd.engine.study import Ledger, Tools, conduct, load_study

STAND_IN = str(Path(__file__).parents[2] / 'helpers/study_stand_in.py')
STUDY = """
data_sets = dict(
    toys=dict(
        metric='score',
        teacher=dict(config='teacher.py', seed=3),
        length=dict(iters=8),
        methods=dict(
            alone=dict(config='alone.py'),
            control=dict(
                config='control.py',
                tune=dict(x=dict(keys=['x'], low=0.0, high=1.0, start=0.95))),
            diffkd=dict(
                config='diffkd.py',
                tune=dict(x=dict(keys=['x'], low=0.0, high=1.0))))))
trials = 4
tuning_seeds = [0, 1]
seeds = [5, 6, 7]
equal_time = 'diffkd'
"""

PRETRAINED = STUDY.replace(
    "teacher=dict(config='teacher.py', seed=3),",
    "teacher=dict(config='teacher.py', seed=3),\n"
    "        diffusion=dict(config='diffkd.py', seed=1, iters=5),",
).replace(
    "config='diffkd.py',\n                tune",
    "config='diffkd.py', diffusion_ckpt=['p3.ckpt', 'p4.ckpt'],\n"
    '                tune',
)
"""The same with diffusion models that diffkd starts with."""


def tools():
    return Tools(
        train=[sys.executable, STAND_IN, 'train'],
        test=[sys.executable, STAND_IN, 'test'],
        pretrain=[sys.executable, STAND_IN, 'pretrain'],
    )


class Place:
    """Where a study lies, and what its runs wrote."""

    def __init__(self, root):
        self.root = root
        self.calls_file = root / 'calls.txt'
        self.hold = root / 'hold'
        self.results = str(root / 'results.jsonl')
        self.work_dir = str(root / 'work')

    def write(self, text=STUDY):
        (self.root / 'study.py').write_text(text)
        for name, offset, seconds in (
            ('teacher', 2.0, 1.0),
            ('alone', 1.0, 0.5),
            ('control', 1.5, 0.5),
            ('diffkd', 1.5, 1.0),
        ):
            taught = 'teacher=dict()' if name in ('control', 'diffkd') else ''
            (self.root / f'{name}.py').write_text(
                f'offset = {offset}\nseconds = {seconds}\n'
                f'model = dict({taught})\n'
            )

    def study(self):
        return load_study('study.py')

    def ledger(self, **options):
        return Ledger(self.results, **options)

    def conduct(self, tell=None, **options):
        """All that is missing; returns the lines of progress."""
        told = []
        failures = conduct(
            self.study(),
            self.ledger(**options),
            self.work_dir,
            tools(),
            workers=2,
            tell=tell or told.append,
        )
        assert not failures, '\n'.join(failures)
        return told

    def calls(self):
        """How often each work dir was trained or tested in."""
        if not self.calls_file.exists():
            return Counter()
        return Counter(self.calls_file.read_text().splitlines())


@contextmanager
def inside(root):
    """A place, and the process in it."""
    place = Place(root)
    place.write()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setenv('CALLS', str(place.calls_file))
        patch.setenv('HOLD', str(place.hold))
        yield place


@pytest.fixture
def place(tmp_path):
    with inside(tmp_path) as place:
        yield place


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
    """A study that is done; a test may add to it, and take nothing away."""
    with inside(tmp_path_factory.mktemp('study')) as place:
        place.conduct()
        yield place
