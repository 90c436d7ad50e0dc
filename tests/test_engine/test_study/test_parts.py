# Copyright (c) mmdiffkd contributors.
"""Definition, key, results file, statistics and picture of a study."""

import os
import resource
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from matplotlib import pyplot as plt
from mmengine.config import Config
from scipy import stats

import mmdiffkd
from mmdiffkd.engine.study import (
    Ledger,
    Parameter,
    Run,
    Tools,
    load_study,
    tables,
)
from mmdiffkd.engine.study.picture import draw
from mmdiffkd.engine.study.plan import method_run, teacher_run
from mmdiffkd.engine.study.run import scaled
from mmdiffkd.engine.study.tables import paired_difference
from mmdiffkd.engine.study.timing import time_factors, time_ratio
from mmdiffkd.engine.study.tune import Tuning
from mmdiffkd.utils import UserError
from mmdiffkd.utils.configs.loading import load_config

from .conftest import PRETRAINED, STUDY


def test_difference_has_the_interval_of_a_paired_t_test():
    ours = {1: 0.35, 2: 0.31, 3: 0.39, 4: 0.33, 9: 1.0}
    theirs = {1: 0.30, 2: 0.30, 3: 0.31, 4: 0.34, 8: 0.0}
    pairs = [(ours[s], theirs[s]) for s in (1, 2, 3, 4)]
    expected = stats.ttest_rel(*zip(*pairs)).confidence_interval(0.95)
    found = paired_difference(ours, theirs)
    assert found.pairs == 4
    assert found.mean == pytest.approx(0.0325)
    assert [found.low, found.high] == pytest.approx(list(expected))


def test_few_or_equal_pairs_have_no_false_interval():
    assert paired_difference({1: 0.5}, {2: 0.5}) is None
    one = paired_difference({1: 0.5}, {1: 0.25})
    assert (one.mean, one.low, one.high) == (0.25, None, None)
    same = paired_difference({1: 1.5, 2: 2.5}, {1: 1.0, 2: 2.0})
    assert (same.low, same.high) == (0.5, 0.5)


RANGE = 'low=0.0, high=1.0, start=0.95'


@pytest.mark.parametrize(
    'old, new, told',
    [
        ('seeds = [5', 'seeds = [0', r'seeds \[0\] are tuned on'),
        ('seeds = [5, 6', 'seeds = [6, 6', 'each once'),
        ("'alone.py'", "'aloen.py'", "'aloen.py' does not exist"),
        ('alone=', 'lonely=', "no method 'alone'.*'lonely'"),
        ('alone=', "twin=dict(config='alone.py'), alone=", "'twin' once more"),
        ('low=0.0', 'lo=0.0', "unknown key 'lo'.*'low'"),
        ('low=0.0, high=1.0,', '', 'needs low and high, or else choices'),
        ('low=0.0', 'low=2.0', 'low must be less than high'),
        ('low=0.0', 'log=True, low=0.0', 'logarithmic scale needs low > 0'),
        ('low=0.0', 'low=0', 'of one kind'),
        ("keys=['x']", "keys='x'", 'must be a list of config keys'),
        ("keys=['x']", 'keys=[5]', 'must be a list of config keys'),
        ('low=0.0', "low='a'", "x.low must be a number, got 'a'"),
        ('start=0.95', 'start=1.5', 'start must be from low to high'),
        ('start=0.95', 'choices=[1]', 'needs low and high, or else choices'),
        (RANGE, 'choices=5', 'choices must be a list'),
        (RANGE, 'choices=[1, 2, 1.0]', 'choices has 1.0 twice'),
        (RANGE, 'choices=[1, dict(a=1)]', "lists of them, got {'a': 1}"),
        (RANGE, 'choices=[1, 2], start=3', 'start must be one of choices'),
        ("config='teacher.py', ", '', 'teacher: config None does not'),
        ("'teacher.py', seed=3", "'teacher.py', sed=3", "key 'sed'.*'seed'"),
        ('length=dict(iters=8)', "length=dict(a='8')", "'a' must be a num"),
        ('seeds = [5, 6, 7]', 'seeds = 5', 'seeds must be a list, got 5'),
        ('trials = 4', 'trials = 1.5', 'trials must be an integer'),
        ("metric='score',", '', "data_sets.toys needs 'metric'"),
        ('length=dict(iters=8),', '', 'equal_time needs length'),
        ('length=dict(iters=8)', 'options=dict(a={})', "take {}, .*'a'"),
        ('length=dict(iters=8)', 'options=dict(a=[[{}]])', r'take \[\[{}\]\]'),
        ('length=dict(iters=8)', 'options={5: 1}', 'key must be a str.* 5'),
        ("'alone.py'", "'alone.py', kind=1", "unknown key 'kind'"),
        ("metric='score',", "metric='score', where=1,", "key 'where'"),
        ("metric='score',", 'metric=5,', 'metric must be a string, got 5'),
        ("config='alone.py'", 'config=None', 'alone: config None does not'),
        ("config='alone.py'", 'config=[1]', r'config \[1\] does not exist'),
        ('methods=dict(', 'methods={5: {}}, more=dict(', 'a string, got 5'),
        (
            "keys=['x'], low=0.0",
            "keys=['x'], choices=[1]), y=dict(keys=['x'], low=0.0",
            "'x' is tuned by 'x' and by 'y'",
        ),
        (RANGE, 'low=1, high=5, start=2.7', 'start must be an integer'),
        ('trials = 4', "name = 'a'", "take out 'name'"),
        ('trials = 4', 'alone = None', 'alone must be a string, got None'),
        ('trials = 4', "control = ['a']", 'control must be a string'),
        ("equal_time = 'diffkd'", 'equal_time = 5', 'equal_time must be a'),
        ('data_sets = dict(', 'data_sets = {}\n_more = dict(', 'a data set'),
        ('trials = 4', "clock = 'sun'", 'clock must be one of'),
        ('trials = 4', "images = 'all'", 'images must be one of'),
        ('trials', "images = 'validation'\ntrials", 'neither trials nor'),
        ('trials = 4', 'trails = 4', "unknown key 'trails'.*'trials'"),
        ('seeds = [5, 6, 7]', '', "study needs 'seeds'"),
        ('data_sets = dict(', 'data_sets = list(', 'TypeError|must be a dict'),
    ],
)
def test_mistakes_in_a_study_are_told(place, old, new, told):
    assert old in STUDY
    place.write(STUDY.replace(old, new, 1))
    with pytest.raises(UserError, match=told):
        load_study('study.py')


@pytest.mark.parametrize(
    'old, new, told',
    [
        ("'diffkd.py', seed=1", "'x.py', seed=1", "'x.py' does not exist"),
        ('iters=5', 'options=dict(a={})', "diffusion.options: .* 'a'"),
        ('seed=3', 'options=dict(a={})', "teacher.options: .* of 'a'"),
        ('iters=5', 'itres=5', "unknown key 'itres'.*'iters'"),
        ('iters=5', 'iters=0', 'iters must be an integer, at least 1, got 0'),
        ('iters=5', 'options=[1]', r'options must be a dict, got \[1\]'),
        ('seed=1', "seed='a'", 'diffusion.seed must be an integer'),
        ("['p3.ckpt', 'p4.ckpt']", "'p3.ckpt'", 'a list of config keys'),
        ("['p3.ckpt', 'p4.ckpt']", '5', 'a list of config keys, got 5'),
        ("['p3.ckpt', 'p4.ckpt']", '[None]', 'a list of config keys'),
        ("['p3.ckpt', 'p4.ckpt']", '[]', 'diffusion is for no method'),
        ('diffusion=', '# ', 'diffkd.diffusion_ckpt needs .*toys.diffusion'),
    ],
)
def test_mistakes_in_diffusion_models_are_told(place, old, new, told):
    assert old in PRETRAINED
    place.write(PRETRAINED.replace(old, new, 1))
    with pytest.raises(UserError, match=told):
        load_study('study.py')


def run(**changes):
    values = dict(
        data_set='toys',
        method='alone',
        purpose='test',
        config='a.py',
        seed=1,
        options=dict(a=1, b=2),
    )
    return Run(**{**values, **changes})


def test_key_is_of_all_that_decides_the_result(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path('base.py').write_text("root = '{{$ROOT:data}}'\nlr = 1.0\n")
    Path('a.py').write_text("_base_ = 'base.py'\n")
    Path('same.py').write_text("_base_ = 'base.py'\n# but for a comment\n")
    key = run().key
    # Neither the folder of the data, nor the order of options, nor a name.
    monkeypatch.setenv('ROOT', '/elsewhere')
    assert run(options=dict(b=2, a=1)).key == key
    assert run(method='lonely', config='same.py').key == key
    different = [
        run(seed=2),
        run(options=dict(a=1)),
        run(teacher='0123'),
        run(diffusion='0123'),
        run(diffusion='0123', diffusion_ckpt=['p3']),
        run(diffusion='0123', diffusion_ckpt=['p3', 'p4']),
        run(purpose='diffusion', iters=8),
        run(purpose='diffusion', iters=9),
        run(purpose='tune'),
    ]
    Path('other_base.py').write_text("_base_ = 'base.py'\nlr = 2.0\n")
    Path('b.py').write_text("_base_ = 'other_base.py'\n")
    different.append(run(config='b.py'))
    keys = {key, *(other.key for other in different)}
    assert len(keys) == len(different) + 1


def test_configs_are_read_one_at_a_time(tmp_path, monkeypatch):
    """MMEngine's reading of a config bears no second thread."""
    monkeypatch.chdir(tmp_path)
    Path('a.py').write_text('lr = 1.0\n')
    Path('b.py').write_text('lr = 2.0\n')
    meeting, met = threading.Barrier(2, timeout=0.5), []
    read = Config.fromfile

    def reading(path, **options):
        with suppress(threading.BrokenBarrierError):
            meeting.wait()
            met.append(path)
        return read(path, **options)

    monkeypatch.setattr(Config, 'fromfile', reading)
    with ThreadPoolExecutor(2) as pool:
        keys = list(pool.map(lambda c: run(config=c).key, ('a.py', 'b.py')))
    assert len(set(keys)) == 2 and not met


def test_length_is_scaled_as_a_whole(place):
    place.write(
        STUDY.replace('length=dict(iters=8)', 'length=dict(a=8, b=[2, 1])')
    )
    data_set = place.study().data_sets['toys']
    assert scaled(data_set, 1) == {}
    assert scaled(data_set, 1.6) == dict(a=13, b=[3, 2])
    assert scaled(data_set, 0.1) == dict(a=1, b=[1, 1])


def test_a_line_that_was_cut_is_passed_over(tmp_path):
    path = str(tmp_path / 'results.jsonl')
    Ledger(path).append(dict(key='a', val=1.0))
    with open(path, 'a') as file:
        file.write('{"key": "b", "val"')
    ledger = Ledger(path)
    assert ledger.get('b') is None
    ledger.append(dict(key='c', val=3.0))
    found = Ledger(path)
    assert found.get('a')['val'] == 1.0 and found.get('c')['val'] == 3.0


def test_a_full_disk_takes_no_part_of_a_line(tmp_path):
    """It takes the first bytes of a write, and then no more."""
    path = str(tmp_path / 'results.jsonl')
    ledger = Ledger(path)
    ledger.append(dict(key='a', val=1.0))
    size = os.path.getsize(path)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 9, before[1]))
    try:
        with pytest.raises(OSError):
            ledger.append(dict(key='b', val=2.0))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert os.path.getsize(path) == size and ledger.get('b') is None
    ledger.append(dict(key='c', val=3.0))
    assert {row['key'] for row in Ledger(path).rows()} == {'a', 'c'}


def test_lines_of_several_threads_stay_whole(tmp_path):
    ledger = Ledger(str(tmp_path / 'results.jsonl'))
    names = [f'{i}-{"x" * 5000}' for i in range(40)]
    threads = [
        threading.Thread(target=ledger.append, args=[dict(key=name)])
        for name in names
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {row['key'] for row in Ledger(ledger.path).rows()} == set(names)


def test_half_a_study_has_tables_and_a_picture(place):
    ledger = place.ledger()
    study = place.study()
    assert tables(study, ledger) == 'No results yet.'
    assert not draw(study, ledger, str(place.root / 'none.png'))
    for seed, method, value in ((5, 'alone', 0.5), (5, 'control', 0.75)):
        ledger.append(
            dict(
                key=f'{method}{seed}',
                data_set='toys',
                method=method,
                purpose='test',
                seed=seed,
                metric='score',
                test=value,
                commit='abc',
            )
        )
    text = tables(study, ledger)
    assert '| diffkd | 0 | - | - | - | - | - | - | 0 |' in text
    assert '| control | 1 | 0.750 | - | +0.250 | - | - | - | 0 |' in text
    assert '3 seeds planned' in text and text.endswith('Commits: abc.')
    assert draw(study, ledger, str(place.root / 'half.png'))
    assert (place.root / 'half.png').stat().st_size > 2000
    text = tables(replace(study, alone='control'), ledger)
    assert '| method | seeds | mean | deviation | to control | s/' in text
    assert '\n|---|---|---|---|---|---|---|---|\n' in text
    assert '| alone | 1 | 0.500 | - | -0.250 | - | - | 0 |' in text


def test_a_picture_has_a_row_for_each_data_set(place):
    study, ledger = place.study(), place.ledger()
    toys = study.data_sets['toys']
    study = replace(study, data_sets=dict(a=toys, b=toys, c=toys))
    sizes = []
    for i, (data_set, purpose) in enumerate(
        [('a', 'test'), ('c', 'test'), ('a', 'time')]
    ):
        row = dict(data_set=data_set, method='alone', purpose=purpose)
        row.update(metric='score')
        ledger.append(dict(row, key=str(i), seed=5, test=1.0, commit='abc'))
        assert draw(study, ledger, str(place.root / 'a.png'))
        height, width, _ = plt.imread(place.root / 'a.png').shape
        sizes.append((width, height))
    (width, height), *larger = sizes
    assert larger == [(width, 2 * height), (2 * width, 2 * height)]


def test_times_are_compared_within_a_seed():
    """The second seed is of a machine twice as fast, the third half there."""
    ours, theirs = {1: 3.0, 2: 1.5, 3: 8.0}, {1: 2.0, 2: 1.0}
    assert time_ratio(ours, theirs) == 1.5
    assert time_ratio(theirs, {3: 1.0}) is None


def test_a_seed_that_joins_later_has_the_length_of_the_others(place):
    study, ledger = place.study(), place.ledger()

    def add(method, seed, seconds, purpose='test', **more):
        row = dict(data_set='toys', method=method, purpose=purpose, seed=seed)
        row.update(seconds_per_iteration=seconds, test=1.0, **more)
        row.update(metric='score')
        ledger.append(dict(row, key=f'{method}-{purpose}-{seed}'))

    add('control', 5, 0.5)
    add('diffkd', 5, 1.0)
    assert time_factors(study, ledger, 'toys') == dict(control=2, diffkd=1)
    add('control', 5, 0.5, 'time', factor=2.0)
    for seed in (6, 7):  # while the machine is busy
        add('control', seed, 0.9)
    assert time_factors(study, ledger, 'toys') == dict(control=2, diffkd=1)


def test_a_table_at_equal_time_has_the_lengths_as_they_were(place):
    study, ledger = place.study(), place.ledger()
    for method, purpose, iterations, more in (
        ('control', 'test', 1000, {}),
        ('control', 'time', 1200, dict(factor=1.23)),
        ('diffkd', 'test', 1000, {}),
    ):
        row = dict(data_set='toys', method=method, purpose=purpose, seed=5)
        row.update(test=1.5, seconds_per_iteration=0.1, **more)
        row.update(metric='score')
        ledger.append(dict(row, key=method + purpose, iterations=iterations))
    shorter, longer = tables(study, ledger).split('**toys, equal time**')
    assert ' | s/iteration | time, control = 1 | trials |' in shorter
    assert '| to control | length | trials |' in longer
    assert '| control | 1 | 1.50 | - | - | - | 1.20 | 0 |' in longer
    assert '| diffkd | 1 | 1.50 | - | - | +0.00 | 1.00 | 0 |' in longer
    assert '| alone | 0 | - | - | - | - | - | 0 |' in longer


def test_a_seed_on_which_a_method_diverged_is_told(place):
    ledger = place.ledger()
    row = dict(data_set='toys', method='alone', purpose='test')
    row.update(metric='score')
    ledger.append(dict(row, key='a', seed=5, test=1.5))
    ledger.append(dict(row, key='b', seed=6, val=None, error='not finite'))
    assert '| alone | 1 (1 diverged) | 1.50 |' in tables(place.study(), ledger)


def test_tables_pass_over_a_teacher_that_diverged(place):
    """On another machine."""
    study, ledger = place.study(), place.ledger()
    row = dict(data_set='toys', method='teacher', purpose='teacher', seed=3)
    row.update(metric='score', key=teacher_run(study, 'toys').key)
    ledger.append(dict(row, val=None, error='not finite'))
    row.update(method='alone', purpose='test', seed=5)
    run = method_run(study, 'toys', 'alone', 'test', 5, {})
    ledger.append(dict(row, key=run.key, teacher_val=0.5))
    assert 'machines' not in tables(study, ledger)


def test_a_trial_that_was_killed_before_it_had_values_is_made(tmp_path):
    """Optuna has it as running, without all of them."""
    parameters = dict(
        x=Parameter(keys=['x'], choices=[1, 2]),
        y=Parameter(keys=['y'], choices=[3, 4]),
    )
    tried = []

    def evaluate(options):
        tried.append((options['x'], options['y']))
        if len(tried) == 1:
            raise KeyboardInterrupt
        return [1.0]

    tuning = Tuning(str(tmp_path / 'trials.log'), 'a', parameters, 4)
    with pytest.raises(KeyboardInterrupt):
        tuning.search(evaluate)
    tuning._study.ask()
    tuning = Tuning(str(tmp_path / 'trials.log'), 'a', parameters, 4)
    tuning.search(evaluate)
    # Each once, but for the one that was killed.
    assert tried[0] == tried[1] == (1, 3)
    assert sorted(tried[1:]) == [(1, 3), (1, 4), (2, 3), (2, 4)]
    assert tuning.counted() == 4


def test_shipped_studies_and_the_example_can_be_read(
    checkout, tmp_path, monkeypatch
):
    monkeypatch.chdir(checkout)
    folder = checkout / 'docs/en/studies'
    example = (folder / 'README.md').read_text().split('```python\n')[1]
    (tmp_path / 'example.py').write_text(example.split('```')[0])
    paths = [*sorted(folder.glob('*.py')), tmp_path / 'example.py']
    assert len(paths) >= 3
    for path in paths:
        study = load_study(str(path))
        for data_set in study.data_sets.values():
            for method in data_set.methods.values():
                # Misspelt keys would be added, and read by nobody.
                cfg = load_config(method.config)
                keys = [*data_set.length, *method.options]
                keys += [k for p in method.tune.values() for k in p.keys]
                keys += method.diffusion_ckpt
                for key in keys:
                    assert has(cfg, key.split('.')), (path, key)
    assert study.trials == 8 and study.equal_time == 'diffkd'


def has(cfg, names):
    """Whether the place is there, the last name but for a new option.

    Of what a connector's config leaves out, the connector refuses what it
    does not know itself.
    """
    if 'connector' in names:
        names = names[: names.index('connector') + 2]
    for name in names[:-1]:
        cfg = cfg[int(name) if isinstance(cfg, list) else name]
    return isinstance(cfg, dict)


def test_runs_find_the_package_of_the_study(monkeypatch, tmp_path):
    """Of a checkout that is not installed, from a folder elsewhere."""
    monkeypatch.delenv('PYTHONPATH')
    tools = Tools()
    for command in (tools.train, tools.test):
        done = subprocess.run(
            [*command[:-1], '--version'],
            cwd=tmp_path,
            env=tools._environment(),
            capture_output=True,
            text=True,
        )
        assert done.stdout == f'mmdiffkd {mmdiffkd.__version__}\n', done.stderr
