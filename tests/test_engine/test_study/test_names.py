# Copyright (c) mmdiffkd contributors.
"""Runs under other names, and by another metric: nothing is trained twice."""

import json
import re
from pathlib import Path

import pytest

from mmdiffkd.engine.study import tables
from mmdiffkd.engine.study.tables import results

from .conftest import PRETRAINED, STUDY
from .test_conduct import EXPLORATION, pretrained

SHORT = STUDY.replace('trials = 4', 'trials = 0').replace(
    "equal_time = 'diffkd'", ''
)
"""Without trials: three methods on three seeds, and their teacher."""
TWO_SETS = SHORT + (
    "data_sets['more'] = dict(data_sets['toys'], metric='rank')\n"
)


def trainings(place):
    return [c for c in place.calls().elements() if not c.startswith('test ')]


def made_tests(place):
    return [c for c in place.calls().elements() if c.startswith('test ')]


def values(place, method, purpose='test', data_set='toys'):
    return results(place.study(), place.ledger(), data_set, method, purpose)


@pytest.mark.parametrize(
    'text, purpose',
    [(SHORT, 'test'), (EXPLORATION, 'explore'), (STUDY, 'time')],
)
def test_a_method_that_is_renamed_keeps_its_runs(place, text, purpose):
    place.write(text)
    place.conduct()
    calls, before = place.calls(), values(place, 'control', purpose)
    place.write(
        re.sub(r'\bcontrol=dict', 'plain=dict', text) + "control = 'plain'\n"
    )
    told = place.conduct()
    assert place.calls() == calls and all('made before' in t for t in told)
    assert values(place, 'plain', purpose) == before and len(before) == 3
    assert place.conduct() == []


def test_a_study_by_another_metric_reads_its_runs_again(place):
    """Each log has both; a test is made again, no training."""
    place.write(SHORT)
    place.conduct()
    trained, before = trainings(place), made_tests(place)
    score = values(place, 'control')
    place.write(SHORT.replace("'score'", "'rank'"))
    assert values(place, 'control') == {}
    assert tables(place.study(), place.ledger()).startswith('Commits')
    place.conduct()
    assert trainings(place) == trained
    assert sorted(made_tests(place)) == sorted(2 * before)
    # The test images have 10 more, and then the other sign.
    assert values(place, 'control') == {s: -v for s, v in score.items()}
    (teacher,) = place.ledger().rows(purpose='teacher', metric='rank')
    for row in place.ledger().rows(method='diffkd', metric='rank'):
        assert row['test'] == row['val'] - 10
        assert row['teacher_val'] == teacher['val'] < 0
    assert 'machines' not in tables(place.study(), place.ledger())
    place.write(SHORT)
    assert place.conduct() == []
    assert values(place, 'control') == score


@pytest.mark.parametrize('noted', [True, False])
def test_trials_are_chosen_by_the_metric_of_today(place, noted):
    """Journals and notes of before do not tell theirs."""
    text = re.sub(
        r'x=dict\(keys.*?\)', "x=dict(keys=['x'], choices=[0.3, 0.8])", STUDY
    ).replace('trials = 4', 'trials = 2')
    place.write(text)
    place.conduct()
    trained = trainings(place)
    if not noted:
        forget_metrics(place)
    assert place.conduct() == []  # nor does this make one anew
    place.write(text.replace("'score'", "'rank'"))
    place.conduct()
    for metric, best in (('score', 0.3), ('rank', 0.8)):
        rows = place.ledger().rows(
            method='diffkd', metric=metric, purpose='test'
        )
        assert {row['options']['x'] for row in rows} == {best}
    tuned = [c for c in trainings(place) if c not in trained]
    seeds = {Path(call).name.split('-')[1] for call in tuned}
    assert seeds == {'5', '6', '7'}  # of the comparison alone
    place.write(text)
    assert place.conduct() == []


def forget_metrics(place):
    """Make the work dir one of before metrics were noted."""
    for path in Path(place.work_dir).rglob('trained.json'):
        note = json.loads(path.read_text())
        note.pop('metric')
        path.write_text(json.dumps(note))
    journal = Path(place.work_dir, 'trials.log')
    lines = journal.read_text().splitlines(keepends=True)
    kept = [line for line in lines if '"metric":' not in line]
    assert len(kept) < len(lines)
    journal.write_text(''.join(kept))


def test_two_data_sets_of_the_same_runs_share_them(place):
    place.write(TWO_SETS)
    place.conduct()
    calls = trainings(place)
    assert len(calls) == len(set(calls)) == 1 + 3 * 3
    text = tables(place.study(), place.ledger())
    assert '**toys, equal iterations**: score' in text
    assert '**more, equal iterations**: rank' in text
    for method in ('alone', 'control', 'diffkd'):
        score = values(place, method)
        assert values(place, method, data_set='more') == {
            seed: -value for seed, value in score.items()
        }
    assert place.conduct() == []


def test_diffusion_models_of_two_data_sets_are_trained_once(place):
    pretrained(place)
    place.write(
        PRETRAINED.replace('trials = 4', 'trials = 0').replace(
            "equal_time = 'diffkd'",
            "data_sets['more'] = dict(data_sets['toys'], metric='rank')",
        )
    )
    place.conduct()
    calls = trainings(place)
    assert len(calls) == len(set(calls)) == 2 + 3 * 3
    rows = list(place.ledger().rows(purpose='diffusion'))
    assert {row['data_set'] for row in rows} == {'toys', 'more'}


def test_two_methods_that_come_to_the_same_share_their_runs(place):
    """By equal configs, or by choices of one that are those of another."""
    text = (place.root / 'control.py').read_text()
    (place.root / 'like_control.py').write_text(f'# the same\n{text}')
    choices = "tune=dict(x=dict(keys=['x'], choices=[{}]))"
    text = SHORT.replace('trials = 0', 'trials = 2').replace(
        'alone=dict(',
        f"first=dict(config='control.py', {choices.format('0.3, 0.8')}),"
        f"second=dict(config='like_control.py', {choices.format('0.8, 0.3')}),"
        'alone=dict(',
    )
    place.write(text)
    place.conduct()
    calls = place.calls()
    assert max(calls.values()) == 1
    assert values(place, 'first') == values(place, 'second')
    assert len(values(place, 'first')) == 3
    assert place.conduct() == [] and place.calls() == calls


def test_what_was_explored_is_a_trial_of_its_settings(place):
    """Neither looks at the test images."""
    known = "config='control.py', options=dict(x=0.3)"
    place.write(
        EXPLORATION.replace('trials = 4', '')
        .replace('seeds = [5, 6, 7]', 'seeds = [0]')
        .replace('alone=dict(', f'best=dict({known}), alone=dict(')
        .replace('tuning_seeds = [0, 1]', '')
    )
    place.conduct()
    calls = place.calls()
    choices = "tune=dict(x=dict(keys=['x'], choices=[0.3]))"
    place.write(
        SHORT.replace('trials = 0', 'trials = 2')
        .replace('tuning_seeds = [0, 1]', 'tuning_seeds = [0]')
        .replace(
            'alone=dict(',
            f"best=dict(config='control.py', {choices}), alone=dict(",
        )
    )
    place.conduct()
    (row,) = place.ledger().rows(method='best', purpose='tune')
    assert row['options'] == {'x': 0.3} and 'test' not in row
    assert all(place.calls()[call] == times for call, times in calls.items())
    assert f'best-0-{row["key"][:8]}' in str(list(calls))


def test_a_run_that_diverged_did_so_under_any_name_and_metric(place):
    place.write(
        SHORT.replace(
            "config='alone.py'", ("config='alone.py', options=dict(x=0.95)")
        )
    )
    place.conduct()
    calls = trainings(place)
    place.write(
        SHORT.replace(
            "config='alone.py'", ("config='alone.py', options=dict(x=0.95)")
        ).replace("'score'", "'rank'")
    )
    place.conduct()
    assert trainings(place) == calls
    rows = place.ledger().rows(method='alone', metric='rank')
    assert ['not finite' in row['error'] for row in rows] == 3 * [True]
