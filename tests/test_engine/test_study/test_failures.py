# Copyright (c) mmdiffkd contributors.
"""What goes wrong with one run, or with a metric, and what is left of it."""

import fcntl
import json
import sys
from pathlib import Path

import pytest

from mmdiffkd.engine.study import Run, Tools, tables
from mmdiffkd.engine.study.logs import NoResult, training_log
from mmdiffkd.engine.study.picture import draw

from .conftest import PRETRAINED
from .test_conduct import forget, pretrained
from .test_names import SHORT, trainings, values


def failing(place):
    """What could not be done, and the lines of progress."""
    told = []
    with pytest.raises(AssertionError) as caught:
        place.conduct(tell=told.append)
    return str(caught.value), told


def test_a_wrong_metric_costs_no_training(place):
    """Nor are others started, for which it would be as wrong."""
    place.write(SHORT.replace("'score'", "'scores'"))
    found, told = failing(place)
    assert "has no 'scores'; the closest are 'score'; it has rank, score." in (
        found
    )
    calls = trainings(place)
    assert len(calls) <= 2  # the teacher, and what ran beside it
    assert len([line for line in told if 'not done' in line]) <= 2
    place.write(SHORT.replace("'score'", "'scores'"))
    failing(place)
    assert trainings(place) == calls
    place.write(SHORT)
    place.conduct()
    assert max(place.calls().values()) == 1
    row = next(place.ledger().rows(purpose='teacher'))
    assert not row['resumed']


def test_a_wrong_metric_of_the_test_alone_is_told(place):
    place.write(SHORT)
    place.conduct()
    script = (
        'import json, sys\nfrom pathlib import Path\n'
        "folder = Path(sys.argv[sys.argv.index('--work-dir') + 1], '2')\n"
        'folder.mkdir(parents=True)\n'
        "Path(folder, '2.json').write_text(json.dumps(dict(rank=1.0)))\n"
    )
    folder = next(Path(place.work_dir).glob('runs/toys/control-5-*'))
    for path in folder.glob('test/*/*.json'):
        path.unlink()
    tools = Tools(test=[sys.executable, '-c', script])
    with pytest.raises(NoResult, match="its test has no 'score'.*it has rank"):
        tools.execute(
            Run('toys', 'control', 'test', 'control.py', 5),
            str(folder),
            {},
            'score',
        )


@pytest.mark.parametrize('what', ['val', 'test'])
def test_a_result_that_is_not_finite_is_a_failed_run(place, what):
    text = SHORT.replace(
        "config='alone.py'", f"config='alone.py', options=dict(nan='{what}')"
    )
    place.write(text)
    told = place.conduct()
    assert sum('alone, test' in t and 'score is nan' in t for t in told) == 3
    for row in place.ledger().rows(method='alone'):
        assert row['error'] == 'score is nan' and row[what] is None
    assert 'NaN' not in Path(place.results).read_text()
    assert '| alone | 0 (3 diverged) | - |' in tables(
        place.study(), place.ledger()
    )
    calls = place.calls()
    assert place.conduct() == [] and place.calls() == calls
    place.conduct(with_failed=False)  # they are made again where asked for
    again = (place.calls() - calls).elements()
    kinds = {call.split()[0] for call in again}
    assert kinds == {'train' if what == 'val' else 'test'}


def test_tables_and_picture_pass_over_results_that_are_not_finite(place):
    """Of a file of before, which has no `error` there."""
    place.write(SHORT)
    place.conduct()
    path = Path(place.results)
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for row in rows:
        if row['method'] == 'diffkd' and row['seed'] == 6:
            row.update(test=float('nan'))
        if row['purpose'] == 'teacher':
            row.update(val=float('inf'))
    path.write_text(''.join(f'{json.dumps(row)}\n' for row in rows))
    assert set(values(place, 'diffkd')) == {5, 7}
    text = tables(place.study(), place.ledger())
    assert '| diffkd | 2 (1 diverged) |' in text and 'nan' not in text
    assert draw(place.study(), place.ledger(), str(place.root / 'a.png'))
    assert place.conduct() == []


def test_a_method_whose_trials_all_failed_says_where_to_look(place):
    text = SHORT.replace('trials = 0', 'trials = 2').replace(
        "config='control.py'", "config='control.py', options=dict(nan='val')"
    )
    place.write(text)
    for _ in range(2):
        found, _ = failing(place)
        assert f'rows of purpose "tune" in {place.results} tell how' in found
        rows = list(place.ledger().rows(method='control', purpose='tune'))
        assert rows[-1]['error'] == 'score is nan'
        assert all(row['val'] is None for row in rows)


def damaged(folder):
    (folder / 'last.pth').write_bytes(b'PK')


def damaged_note(folder):
    (folder / 'trained.json').write_text('{"val"')


def unnamed(folder):
    (folder / 'last_checkpoint').unlink()
    (folder / 'last.pth').rename(folder / 'epoch_1.pth')


@pytest.mark.parametrize('spoil', [damaged, damaged_note, unnamed])
def test_a_file_that_cannot_be_read_is_the_matter_of_its_run(place, spoil):
    place.write(SHORT)
    place.conduct()
    row = next(place.ledger().rows(method='alone', seed=5))
    (folder,) = Path(place.work_dir).glob(f'runs/toys/*{row["key"][:8]}')
    spoil(folder)
    forget(place, 'alone', 'diffkd')
    found, _ = failing(place)
    assert found.startswith('toys alone, test, 5: ')
    assert f'; delete {folder} to make it again' in found
    assert set(values(place, 'alone')) == {6, 7}
    assert set(values(place, 'diffkd')) == {5, 6, 7}
    for path in sorted(folder.rglob('*'), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    folder.rmdir()
    place.conduct()
    assert values(place, 'alone')[5] == row['test']


def test_a_damaged_teacher_stops_those_whom_it_teaches_alone(place):
    place.write(SHORT)
    place.conduct()
    (folder,) = Path(place.work_dir).glob('runs/toys/teacher-*')
    damaged(folder)
    forget(place, 'alone', 'diffkd')
    found, told = failing(place)
    assert f'; delete {folder} to make it again' in found
    assert sum('not done' in line for line in told) == 1
    assert set(values(place, 'alone')) == {5, 6, 7}


def test_damaged_diffusion_models_stop_those_who_name_them_alone(place):
    pretrained(place)
    place.write(PRETRAINED.replace('trials = 4', 'trials = 0'))
    (place.root / 'template.pth').write_bytes(b'PK')
    found, _ = failing(place)
    assert 'toys diffusion, diffusion, 1: ' in found
    assert set(values(place, 'control')) == {5, 6, 7}


def test_any_byte_may_stand_in_a_log(tmp_path):
    folder = tmp_path / '1/vis_data'
    folder.mkdir(parents=True)
    (folder / 'scalars.json').write_bytes(
        b'{"score": 0.5, "step": 1, "file": "\xff"}\n\xff\n'
    )
    assert training_log(str(tmp_path), 'score')['val'] == 0.5
    script = (
        'import sys; sys.stdout.buffer.write(b"error: \\xff"); sys.exit(1)'
    )
    tools = Tools(train=[sys.executable, '-c', script])
    run = Run('toys', 'alone', 'test', 'a.py', 1)
    with pytest.raises(RuntimeError, match='error: \N{REPLACEMENT CHARACTER}'):
        tools.execute(run, str(tmp_path), {}, 'score')


def test_a_training_that_is_left_over_is_waited_for_and_named(tmp_path):
    with open(tmp_path / 'lock', 'w') as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        told = []

        def tell(line):
            told.append(line)
            fcntl.flock(held, fcntl.LOCK_UN)

        tools = Tools(train=[sys.executable, '-c', ''], tell=tell)
        run = Run('toys', 'alone', 'tune', 'a.py', 1)
        with pytest.raises(NoResult):  # after it had begun
            tools.execute(run, str(tmp_path), {}, 'score')
    (line,) = told
    assert line.startswith('toys alone, tune, 1: waiting')
    assert line.endswith(str(tmp_path))


def test_a_method_without_measured_time_is_told(place):
    """Of a run that was resumed, the processor's time is not known."""
    text = SHORT + "equal_time = 'diffkd'\nclock = 'cpu'\n"
    place.write(SHORT)
    place.conduct()
    path = Path(place.results)
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for row in rows:
        row.update(resumed=row['method'] == 'alone')
        row.update(cpu_seconds=16.0 if row['method'] == 'diffkd' else 8.0)
    path.write_text(''.join(f'{json.dumps(row)}\n' for row in rows))
    place.write(text)
    found, _ = failing(place)
    assert found.splitlines()[0] == (
        'toys alone: no measured seconds an iteration, since every run of '
        "'alone' failed, was too short, or was resumed, which clock = 'cpu' "
        'cannot measure, so it has no run at equal time'
    )
    assert set(values(place, 'control', 'time')) == {5, 6, 7}
    for row in rows:
        row.update(resumed=row['method'] == 'diffkd')
    path.write_text(''.join(f'{json.dumps(row)}\n' for row in rows))
    found, _ = failing(place)
    for method in ('alone', 'control'):
        assert f'toys {method}: no measured seconds' in found
    assert "since every run of 'diffkd'" in found
    assert 'toys diffkd: ' not in found  # its own time is its own
    place.write(text.replace("clock = 'cpu'", ''))
    place.conduct()


def test_a_teacher_of_an_earlier_definition_is_no_other_machine(place):
    place.write(SHORT)
    place.conduct()
    place.write(SHORT.replace('seed=3', 'seed=4'))
    assert 'machines' not in tables(place.study(), place.ledger())
    place.conduct()
    rows = place.ledger().rows(purpose='teacher')
    assert len({row['val'] for row in rows}) == 2
    assert 'machines' not in tables(place.study(), place.ledger())
