# Copyright (c) mmdiffkd contributors.
"""A sweep makes each trial once, and tells what came of it."""

import json
import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import pytest
from helpers import sweep_trial

from mmdiffkd.engine.study.ledger import Ledger
from mmdiffkd.engine.sweep.conduct import Plan, conduct
from mmdiffkd.engine.sweep.known import take_over
from mmdiffkd.engine.sweep.limited import Limits
from mmdiffkd.engine.sweep.table import write
from mmdiffkd.engine.sweep.verdicts import verdicts
from mmdiffkd.utils import UserError

PLAN = Plan(
    words=['lenet/', 'mmdet::reid/', '::shufflenet_v'],
    pairs=False,
    limits=Limits(60, 4),
)


@pytest.fixture(scope='module')
def ledger(tmp_path_factory):
    path = str(tmp_path_factory.mktemp('sweep') / 'results.jsonl')
    fresh = multiprocessing.get_context('spawn')
    with ProcessPoolExecutor(1, fresh, sweep_trial.prepare) as pool:
        pool.submit(sweep_trial.swept, PLAN, path).result()
    return Ledger(path)


def test_what_the_library_trains_is_the_base_set(ledger):
    bases = [r for r in ledger.rows() if r['key'].startswith('base:')]
    assert {tuple(r['losses']) for r in bases} == {('loss',)}
    assert {r['size'] for r in bases} == {64, 32}  # LeNet takes 32 alone


def test_no_trial_is_made_twice(ledger):
    said = []
    conduct(PLAN, Ledger(ledger.path), said.append)
    assert said == []


def test_the_page_counts_models_by_their_configs(ledger, tmp_path):
    found = {one.configs[0]: one for one in verdicts(ledger, 'diffkd')}
    reid = found[
        'mmdet::reid/reid_r50_8xb32-6e_mot15train80_test-mot15val20.py'
    ]
    assert reid.state == 'excluded' and 're-identification' in reid.reason
    lenet = found['mmpretrain::lenet/lenet5_mnist.py']
    assert lenet.state == 'untried'  # no pair was asked for
    write(ledger, str(tmp_path), 'diffkd')
    text = (tmp_path / 'compatibility.md').read_text()
    assert '| reid | 4 |' in text and 'Swept so far' in text
    lines = (tmp_path / 'compatibility/mmpretrain.jsonl').read_text()
    assert json.loads(lines.splitlines()[0])['library'] == 'mmpretrain'


def test_a_pair_fails_only_if_its_student_alone_does_not(ledger, tmp_path):
    rows = [row for row in ledger.rows() if row['key'][:5] != 'base:']
    other = Ledger(str(tmp_path / 'results.jsonl'))
    marks = [r['key'][6:] for r in rows if 'parameters' in r]
    good, ours, theirs = marks[:3]
    for row in rows:
        other.append(row)
    error = dict(error='ValueError: no', teacher='a::b/c.py', stage='build')
    other.append(dict(key=f'pair:dist:{good}', teacher='a::b/c.py'))
    other.append(dict(error, key=f'pair:dist:{ours}'))
    other.append(dict(key=f'base:{ours}'))
    other.append(dict(error, key=f'pair:dist:{theirs}'))
    other.append(dict(key=f'base:{theirs}', error='ValueError: no'))
    states = [one.state for one in verdicts(other, 'dist')]
    counts = {state: states.count(state) for state in set(states)}
    assert counts['passed'] == counts['failed'] == 1
    assert all(v.state != 'failed' for v in verdicts(other, 'diffkd'))


def test_a_sweep_goes_on_from_published_results(ledger, tmp_path):
    """What passed then is not tried again, nor what no library could train."""
    zoo = [
        row
        for row in ledger.rows()
        if row['key'].startswith(('family:', 'model:'))
    ]
    marks = [r['key'][6:] for r in zoo if 'parameters' in r]
    earlier, later = (
        Ledger(str(tmp_path / name / 'results.jsonl')) for name in 'ab'
    )
    for row in zoo:
        earlier.append(row)
        later.append(row)
    earlier.append(dict(key=f'pair:dist:{marks[0]}', teacher='a::b/c.py'))
    for key in (f'base:{marks[1]}', f'pair:dist:{marks[1]}'):
        earlier.append(dict(key=key, error='FileNotFoundError: x'))
    earlier.append(dict(key=f'base:{marks[2]}'))
    earlier.append(dict(key=f'pair:dist:{marks[2]}', error='ours'))
    write(earlier, str(tmp_path), 'dist')

    with pytest.raises(UserError, match='--table'):
        take_over(str(tmp_path / 'a'), later, 'dist')
    assert take_over(str(tmp_path), later, 'dist') == 2
    assert take_over(str(tmp_path), later, 'dist') == 0
    states = [[v.state for v in verdicts(x, 'dist')] for x in (earlier, later)]
    changed = {pair for pair in zip(*states) if pair[0] != pair[1]}
    assert changed == {('failed', 'untried')}
    assert {'passed', 'excluded'} <= set(states[1])
    later.append(dict(key=f'pair:dist:{marks[2]}'))
    count = len([*later.rows()])
    take_over(str(tmp_path), later, 'dist')
    assert len([*later.rows()]) == count


@pytest.mark.parametrize('changed', ['model:', 'base:'])
def test_what_can_be_built_or_trained_by_now_is_no_exclusion(
    changed, ledger, tmp_path
):
    """Such as with a package that was missing then."""
    zoo = [r for r in ledger.rows() if r['key'].startswith('family:')]
    model = next(r for r in ledger.rows() if 'parameters' in r)
    mark = model['key'][6:]
    later = Ledger(str(tmp_path / 'results.jsonl'))
    earlier = Ledger(str(tmp_path / 'earlier' / 'results.jsonl'))
    error = "ModuleNotFoundError: No module named 'timm'"
    for row in [*zoo, model]:
        earlier.append(row)
        later.append(row)
    earlier.append(dict(key=f'{changed}{mark}', error=error))
    earlier.append(dict(key=f'pair:dist:{mark}', error=error))
    if changed == 'base:':
        later.append(dict(key=f'base:{mark}'))
    write(earlier, str(tmp_path), 'dist')
    assert take_over(str(tmp_path), later, 'dist') == 0
    assert 'excluded' not in {
        v.state for v in verdicts(later, 'dist') if v.parameters
    }
