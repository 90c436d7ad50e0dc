# Copyright (c) mmdiffkd contributors.
"""A study from its start to its tables, stopped, killed and gone on with."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
import torch

from mmdiffkd.engine.study import tables
from mmdiffkd.engine.study.picture import draw
from mmdiffkd.engine.study.processes import hold
from mmdiffkd.engine.study.run import _read_content
from mmdiffkd.utils import UserError

from .conftest import PRETRAINED, STUDY

EXPLORATION = STUDY.replace('trials = 4', "images = 'validation'").replace(
    "equal_time = 'diffkd'", ''
)


def test_every_method_has_the_same_trials_and_other_seeds_for_the_test(
    finished,
):
    ledger = finished.ledger()
    for method, tried in (('alone', 0), ('control', 4), ('diffkd', 4)):
        rows = list(ledger.rows(method=method, purpose='tune'))
        assert len({str(row['options']) for row in rows}) == tried
        assert {row['seed'] for row in rows} <= {0, 1}
        assert not any('test' in row for row in rows)
        rows = list(ledger.rows(method=method, purpose='test'))
        assert {row['seed'] for row in rows} == {5, 6, 7}
        assert all(row['test'] - row['val'] == 10 for row in rows)
    assert [row['seed'] for row in ledger.rows(method='teacher')] == [3]


def test_the_best_trial_is_what_is_compared(finished):
    ledger = finished.ledger()
    for method in ('control', 'diffkd'):
        rows = [
            row
            for row in ledger.rows(method=method, purpose='tune')
            if row['val'] is not None
        ]
        best = min(rows, key=lambda row: abs(row['options']['x'] - 0.3))
        for row in ledger.rows(method=method, purpose='test'):
            assert row['options'] == best['options']


def test_a_run_that_diverges_is_a_trial_and_does_not_stop_the_study(finished):
    """The control starts with x = 0.95, which does."""
    ledger = finished.ledger()
    first = [
        row
        for row in ledger.rows(method='control', purpose='tune')
        if row['options']['x'] == 0.95
    ]
    assert {row['seed'] for row in first} == {0, 1}
    assert all('loss is not finite' in row['error'] for row in first)
    before = finished.calls()
    finished.conduct()
    assert finished.calls() == before  # nor is it made again, unless asked for
    finished.conduct(with_failed=False)


def test_a_study_that_is_done_runs_nothing(place):
    assert place.conduct()
    before = place.calls()
    assert max(before.values()) == 1
    assert place.conduct() == []
    assert place.calls() == before


def test_a_lost_line_costs_one_run(place):
    place.conduct()
    before = place.calls()
    path = Path(place.results)
    lines = path.read_text().splitlines(keepends=True)
    lost = next(i for i, line in enumerate(lines) if '"test":' in line)
    path.write_text(''.join(lines[:lost] + lines[lost + 1 :]))
    assert len(place.conduct()) == 1
    # The training's own note is still there: it is tested again, no more.
    (again,) = (place.calls() - before).elements()
    assert again.startswith('test ')


def test_a_run_killed_before_its_validation_is_made_anew(place):
    """Its last checkpoint leaves nothing to resume, and no result."""
    place.conduct()
    ledger = place.ledger()
    row = next(ledger.rows(method='alone', purpose='test'))
    (folder,) = Path(place.work_dir, 'runs/toys').glob(f'*{row["key"][:8]}')
    log = folder / '1/vis_data/scalars.json'
    log.write_text('\n'.join(log.read_text().splitlines()[:-1]) + '\n')
    (folder / 'trained.json').unlink()
    (folder / 'resume_adds_nothing').touch()
    lines = Path(place.results).read_text().splitlines(keepends=True)
    Path(place.results).write_text(
        ''.join(line for line in lines if row['key'] not in line)
    )
    place.conduct()
    assert place.ledger().get(row['key'])['test'] == row['test']


def test_at_equal_time_each_method_gets_the_seconds_of_the_named_one(finished):
    """diffkd takes 1 s an iteration and 8 of them, the others 0.5 s."""
    ledger = finished.ledger()
    iterations = {
        method: {r['iterations'] for r in ledger.rows(method=method, **where)}
        for method, where in (
            ('alone', dict(purpose='time')),
            ('control', dict(purpose='time')),
            # Its own time is that of the first comparison: the same runs.
            ('diffkd', dict(purpose='test')),
        )
    }
    assert iterations == dict(alone={16}, control={16}, diffkd={8})
    assert not list(ledger.rows(purpose='time', method='diffkd'))


def test_results_of_one_seed_come_before_those_of_the_next(finished):
    finished.conduct()
    seeds = [row['seed'] for row in finished.ledger().rows(purpose='test')]
    assert sorted(seeds[:2]) == [5, 5] and sorted(seeds[-2:]) == [7, 7]


def test_a_teacher_that_another_machine_trained_is_told_apart(place):
    """Its row came along, its weights did not, and it ends elsewhere here."""
    place.conduct()
    rows = list(place.ledger().rows())
    row = next(r for r in rows if r['method'] == 'teacher')
    own = row['val']
    kept = [dict(row, val=own + 0.5)]
    kept += [r for r in rows if r['method'] == 'alone']
    Path(place.results).write_text(''.join(f'{json.dumps(r)}\n' for r in kept))
    told = place.conduct()
    assert sum('taught' in line for line in told) == 1
    ledger = place.ledger()
    assert ledger.get(row['key'])['val'] == own + 0.5  # stays as it came
    for method, expected in (('control', {own}), ('alone', {None})):
        found = ledger.rows(method=method)
        assert {r.get('teacher_val') for r in found} == expected
    text = tables(place.study(), ledger)
    assert f'on 2 machines; on the validation images: {own:.4g}, ' in text


def test_an_exploration_never_sees_the_test_images(place):
    place.write(EXPLORATION)
    place.conduct()
    rows = list(place.ledger().rows(purpose='explore'))
    assert {row['method'] for row in rows} == {'alone', 'control', 'diffkd'}
    assert {row['seed'] for row in rows} == {5, 6, 7}
    assert not any('test' in row for row in place.ledger().rows())
    assert not any(call.startswith('test ') for call in place.calls())
    text = tables(place.study(), place.ledger())
    assert 'toys, exploration**: score on the validation images' in text
    assert '| diffkd | 3 | 1.47 | 0.01 | +0.50' in text
    assert draw(place.study(), place.ledger(), str(place.root / 'a.png'))
    before = place.calls()
    assert place.conduct() == [] and place.calls() == before


DRIVER = """
import signal
from conftest import Place, tools
from pathlib import Path
from mmdiffkd.engine.study import Interrupted, conduct

place, made = Place(Path.cwd()), tools()
signal.signal(signal.SIGTERM, lambda *_: made.stop())
try:
    conduct(place.study(), place.ledger(), place.work_dir, made, workers=2)
except Interrupted:
    raise SystemExit(130)
"""


def start(place):
    (place.root / 'driver.py').write_text(textwrap.dedent(DRIVER))
    folder = str(Path(__file__).parent)
    path = os.pathsep.join([folder, os.environ.get('PYTHONPATH', '')])
    return subprocess.Popen(
        [sys.executable, 'driver.py'],
        env=dict(os.environ, PYTHONPATH=path),
        stdout=subprocess.DEVNULL,
    )


def wait_for(condition, process):
    for _ in range(6000):
        if condition():
            return
        assert process.poll() is None
        time.sleep(0.01)
    raise AssertionError('waited in vain')


@pytest.mark.slow
@pytest.mark.parametrize('name', ['SIGTERM', 'SIGKILL'])
@pytest.mark.parametrize('finished', [0, 7])
def test_a_study_that_is_killed_goes_on_without_loss(place, name, finished):
    """At its first runs, and in the middle of the trials."""
    if finished:
        # The gate shuts behind the runs that are done by then.
        lines = Path(place.results)
        process = start(place)
        wait_for(
            lambda: (
                lines.exists()
                and len(lines.read_text().splitlines()) >= finished
            ),
            process,
        )
        place.hold.touch()
    else:
        place.hold.touch()
        process = start(place)
    # At first all wait for the teacher, later two run side by side.
    wait_for(lambda: len(held(place)) >= (2 if finished else 1), process)
    process.send_signal(getattr(signal, name))
    if name == 'SIGTERM':
        assert process.wait(60) == 130
    else:
        process.wait(60)
        assert held(place)  # those that it started live on
    done = [row['key'] for row in place.ledger().rows()]
    place.hold.unlink()
    place.conduct()
    ledger = place.ledger()
    assert len(list(ledger.rows())) == 1 + 2 * 4 * 2 + 3 * 3 + 2 * 3
    lines = Path(place.results).read_text().splitlines()
    assert len(lines) == len(list(ledger.rows()))
    for key in done:
        assert ledger.get(key) is not None
    # Only the two that were running may have been started a second time.
    again = [call for call, times in place.calls().items() if times > 1]
    assert len(again) <= 2 and max(place.calls().values()) <= 2
    for method in ('control', 'diffkd'):
        tried = ledger.rows(method=method, purpose='tune')
        assert len({str(row['options']) for row in tried}) == 4


def held(place):
    """Folders of trainings that have started and have not ended."""
    folders = Path(place.work_dir, 'runs').glob('*/*')
    return [
        folder
        for folder in folders
        if (folder / '1').exists()
        and not (folder / 'last.pth').exists()
        # one that diverged has no checkpoint either
        and 'error' not in (folder / 'train.log').read_text()
    ]


def test_two_studies_do_not_share_a_work_dir(tmp_path):
    with (
        hold(str(tmp_path)),
        pytest.raises(UserError, match='another process works on'),
    ):
        hold(str(tmp_path))
    hold(str(tmp_path)).close()


def test_a_full_disk_is_no_result_of_a_method(place):
    full = place.root / 'full'
    full.touch()
    with pytest.raises(AssertionError, match='could not be written'):
        place.conduct()
    # Nor is a method compared before it has had all of its trials.
    assert not list(place.ledger().rows())
    full.unlink()
    place.conduct()
    for method in ('control', 'diffkd'):
        rows = place.ledger().rows(method=method, purpose='tune')
        assert len({str(row['options']) for row in rows}) == 4


def test_a_teacher_that_diverged_is_not_trained_for_each_student(place):
    place.write(STUDY.replace('seed=3', "seed=3, options={'x': 0.95}"))
    for _ in range(2):
        with pytest.raises(AssertionError, match='there is no teacher'):
            place.conduct()
    calls = [c for c in place.calls().elements() if '/teacher-' in c]
    assert len(calls) == 1
    rows = place.ledger().rows(method='alone', purpose='test')
    assert {row['seed'] for row in rows} == {5, 6, 7}


def test_trials_go_on_behind_a_line_that_was_cut(place):
    place.conduct()
    with open(place.root / 'work/trials.log', 'a') as journal:
        journal.write('{"op_code": 6, "worker_id"')
    place.write(STUDY.replace('trials = 4', 'trials = 5'))
    for _ in range(2):
        place.conduct()
    rows = place.ledger().rows(method='diffkd', purpose='tune')
    assert len({str(row['options']) for row in rows}) == 5


def test_a_lock_that_a_killed_study_left_holds_nobody_up(place):
    """Optuna's is a link to the journal, as the work dir is named."""
    place.work_dir = 'work'  # relative, as by default
    place.conduct()
    link = place.root / 'work/trials.log.lock'
    link.symlink_to('work/trials.log')
    assert place.conduct() == []
    assert not link.is_symlink()


def test_a_crash_is_told_and_the_others_are_made(place):
    place.write()
    (place.root / 'control.py').write_text(
        'offset = "none"\nseconds = 1.0\nmodel = dict(teacher=dict())\n'
    )
    told = []
    with pytest.raises(AssertionError, match='exit code 1 of: '):
        place.conduct(tell=told.append)
    # Not only at the end of all.
    first = next(i for i, line in enumerate(told) if 'exit code 1 of' in line)
    assert any('diffkd, test' in line for line in told[first:])
    rows = place.ledger().rows(purpose='test', method='diffkd')
    assert {row['seed'] for row in rows} == {5, 6, 7}
    rows = place.ledger().rows(method='control')
    assert all(row['val'] is None for row in rows)


def test_tables_tell_methods_seeds_and_trials(finished):
    text = tables(finished.study(), finished.ledger())
    parts = text.split('\n\n')
    assert len(parts) == 5
    assert 'toys, equal iterations' in parts[0]
    assert 'toys, equal time' in parts[2]
    rows = {
        line.split('|')[1].strip(): [c.strip() for c in line.split('|')[2:-1]]
        for line in parts[1].splitlines()
        if line.startswith('| ')
    }
    # Means of seeds 5, 6, 7 and 10 for the test images; x is 0 for alone.
    assert rows['alone'][:3] == ['3', '10.97', '0.01']
    assert rows['alone'][3:] == ['-', rows['alone'][4], '0.5', '1.00', '0']
    assert rows['control'][4] == '-' and rows['control'][7] == '4'
    assert rows['diffkd'][5:] == ['1', '2.00', '4']
    assert parts[4].startswith('Commits: ')


def pretrained(place):
    """A study whose diffusion models have these losses."""
    place.write(PRETRAINED)
    torch.save(
        dict(meta=dict(loss_diff=dict(p3=0.25, p4=0.75), iterations=5)),
        place.root / 'template.pth',
    )


def pretrainings(place):
    return {c: n for c, n in place.calls().items() if c.startswith('pretrain')}


def test_diffusion_models_are_trained_once_for_those_who_name_them(place):
    pretrained(place)
    place.conduct()
    (call,) = pretrainings(place)
    folder = Path(call.split()[1])
    assert max(place.calls().values()) == 1
    (row,) = place.ledger().rows(purpose='diffusion')
    assert row['val'] == 0.5 and row['iterations'] == 5 and row['seed'] == 1
    assert row['metric'] == 'loss_diff' and row['teacher_val']
    path = (folder / 'diffusion.pth').resolve()
    for method in ('alone', 'control', 'diffkd'):
        for log in Path(place.work_dir).glob(f'runs/toys/{method}-*/*.log'):
            told = [
                f'{level}.ckpt={path}' in log.read_text()
                for level in ('p3', 'p4')
            ]
            assert told == [method == 'diffkd'] * 2, log
    text = tables(place.study(), place.ledger())
    assert f'trained in {row["seconds"]:.0f} s, which no time' in text


def test_other_diffusion_models_are_other_runs_of_those_alone(place):
    pretrained(place)
    place.conduct()
    before = place.calls()
    place.write(PRETRAINED.replace('iters=5', 'iters=6'))
    place.conduct()
    made = {Path(c.split()[1]) for c in place.calls() - before}
    # Tests have a folder of their own below that of their run.
    names = {f.parent.name if f.name == 'test' else f.name for f in made}
    assert {n.split('-')[0] for n in names} == {'diffusion', 'diffkd'}


def forget(place, *methods):
    """Rows of methods, and the work dirs of diffkd."""
    rows = [r for r in place.ledger().rows() if r['method'] not in methods]
    Path(place.results).write_text(''.join(f'{json.dumps(r)}\n' for r in rows))
    for run in Path(place.work_dir).glob('runs/toys/diffkd-*'):
        shutil.rmtree(run)


def test_diffusion_models_without_a_file_are_trained_anew(place):
    """The work dir came from another machine without weights."""
    pretrained(place)
    place.conduct()
    (call,) = pretrainings(place)
    folder = Path(call.split()[1])
    forget(place, 'diffkd')
    (folder / 'diffusion.pth').unlink()
    (folder / 'left').mkdir()
    place.conduct()
    assert place.calls()[call] == 2
    assert not (folder / 'left').exists()


def test_diffusion_models_that_outlived_a_killed_study_are_taken(place):
    """Their process ended well, and nobody was there to note it."""
    pretrained(place)
    place.conduct()
    (call,) = pretrainings(place)
    forget(place, 'diffkd', 'diffusion')
    (Path(call.split()[1]) / 'trained.json').unlink()
    place.conduct()
    assert place.calls()[call] == 1
    (row,) = place.ledger().rows(purpose='diffusion')
    assert row['val'] == 0.5 and row['resumed']
    assert 'in at least 0 s' in tables(place.study(), place.ledger())


def test_a_lost_line_of_a_teacher_or_diffusion_models_comes_back(place):
    """Killed between the note of a training and its line."""
    pretrained(place)
    place.conduct()
    before = place.calls()
    forget(place, 'diffkd', 'teacher', 'diffusion')
    place.conduct()
    purposes = {row['purpose'] for row in place.ledger().rows()}
    assert {'teacher', 'diffusion'} <= purposes
    again = {Path(call.split()[1]).name for call in place.calls() - before}
    assert not any(n.startswith(('teacher', 'diffusion')) for n in again)


def test_weights_that_did_not_come_along_are_made_anew(place):
    """The work dir was copied to another machine without them."""
    place.conduct()
    for path in Path(place.work_dir).rglob('*.pth'):
        path.unlink()
    row = next(place.ledger().rows(method='alone', purpose='test'))
    lines = Path(place.results).read_text().splitlines(keepends=True)
    Path(place.results).write_text(
        ''.join(line for line in lines if row['key'] not in line)
    )
    place.write(STUDY.replace('seeds = [5, 6, 7]', 'seeds = [5, 6, 7, 8]'))
    place.conduct()
    assert place.ledger().get(row['key'])['test'] == row['test']
    made = [call for call in place.calls().elements() if '/teacher-' in call]
    assert len(made) == 2


def test_diffusion_models_that_broke_off_are_tried_once_a_start(place):
    """And not for each student."""
    pretrained(place)
    (place.root / 'template.pth').unlink()
    place.write(PRETRAINED.replace('trials = 4', 'trials = 0'))
    for start in (1, 2):
        with pytest.raises(AssertionError, match='exit code 1 of: '):
            place.conduct()
        assert list(pretrainings(place).values()) == [start]


def test_diffusion_models_that_diverged_stop_those_who_name_them_alone(place):
    pretrained(place)
    place.write(PRETRAINED.replace('iters=5', "iters=5, options={'x': 0.95}"))
    told = 'no diffusion model of toys: it diverged .*not finite.*--retry'
    for _ in range(2):
        with pytest.raises(AssertionError, match=told):
            place.conduct()
    assert list(pretrainings(place).values()) == [1]
    rows = place.ledger().rows(method='control', purpose='test')
    assert {row['seed'] for row in rows} == {5, 6, 7}


def test_choices_that_fit_into_the_trials_are_tried_once_each(place):
    """A search would draw one of them twice, and leave another out."""
    choices = 'keys=["x"], choices=[0.8, 0.1, 0.4]'
    more = 'y=dict(keys=["y"], choices=[1, 2])'
    place.write(
        re.sub(
            r'x=dict\(keys.*?\)', f'x=dict({choices}), {more}', STUDY
        ).replace('trials = 4', 'trials = 7')
    )
    told = place.conduct()
    for method in ('control', 'diffkd'):
        rows = list(place.ledger().rows(method=method, purpose='tune'))
        tried = {(r['options']['x'], r['options']['y']) for r in rows}
        assert len(rows) == 2 * len(tried) == 12
        for row in place.ledger().rows(method=method, purpose='test'):
            assert row['options']['x'] == 0.4
    assert told[-1].split(']')[0].endswith('/42')  # 2 * 6 * 2 + 9 + 9


def choosing(choices, trials):
    text = re.sub(
        r'x=dict\(keys.*?\)', f'x=dict(keys=["x"], choices={choices})', STUDY
    )
    return text.replace('trials = 4', f'trials = {trials}')


@pytest.mark.parametrize(
    'before, after',
    [
        (choosing([0.8, 0.1], 4), choosing([0.8, 0.1, 0.4], 4)),
        (choosing([0.8, 0.1, 0.4], 4), choosing([0.8, 0.4], 4)),
        (STUDY, choosing([0.8, 0.4], 4)),
        # A search draws one of them twice.
        (choosing([0.8, 0.1, 0.4], 2), choosing([0.8, 0.1, 0.4], 4)),
    ],
)
def test_other_choices_are_other_trials(place, before, after):
    """What has been run of them is not run again."""
    place.write(before)
    place.conduct()
    place.write(after)
    place.conduct()
    ledger = place.ledger()
    methods = place.study().data_sets['toys'].methods
    for method in ('control', 'diffkd'):
        rows = ledger.rows(method=method, purpose='tune')
        tried = {row['options']['x'] for row in rows}
        assert tried >= set(methods[method].tune['x'].choices)
        last = list(ledger.rows(method=method, purpose='test'))[-1]
        assert last['options']['x'] == 0.4
    assert max(place.calls().values()) == 1


def test_a_parameter_of_another_name_is_tuned_anew(place):
    place.conduct()
    place.write(STUDY.replace('x=dict(', 'w=dict('))
    assert place.conduct() == []  # the same draws, found in the ledger


def test_trials_of_another_config_do_not_count(place):
    place.conduct()
    count = len(list(place.ledger().rows(method='control', purpose='tune')))
    with open(place.root / 'control.py', 'a') as config:
        config.write('more = 1\n')
    _read_content.cache_clear()
    place.conduct()
    rows = list(place.ledger().rows(method='control', purpose='tune'))
    assert len(rows) == 2 * count


def test_a_config_that_cannot_be_read_is_told_before_any_run(place):
    (place.root / 'control.py').write_text("_base_ = 'absent.py'\n")
    with pytest.raises(UserError, match=r'absent.py'):
        place.conduct()
    assert not place.calls()


def test_tables_tell_results_of_an_earlier_definition(place):
    """Where a study is gone on with in part; what is tuned may differ."""
    place.conduct()
    changed = 'whose config or options have changed'
    assert changed not in tables(place.study(), place.ledger())
    place.write(STUDY.replace("'alone.py'", "'alone.py', options=dict(z=1)"))
    assert f'{changed} since, in the tables all the same: alone 6.' in tables(
        place.study(), place.ledger()
    )
    place.write(
        STUDY.replace('seed=3', 'seed=4').replace('iters=8', 'iters=4')
    )
    text = tables(place.study(), place.ledger())
    assert 'the same: control 6, diffkd 3.' in text  # the length is no matter
    place.conduct()
    text = tables(place.study(), place.ledger())
    assert changed not in text  # of one seed the later run is shown
