# Copyright (c) mmdiffkd contributors.
"""``mmdiffkd compare-runs``: a row for each method, over its seeds."""

import json
from pathlib import Path

import pytest

from mmdiffkd.commands import compare_runs


@pytest.fixture
def write(tmp_path):
    def run(name, values, metric='coco/bbox_mAP', tail=''):
        log = tmp_path / name / '20260101_000000/vis_data/scalars.json'
        log.parent.mkdir(parents=True)
        rows = [dict(loss=1.0, time=t, step=t) for t in (1, 2, 6)]
        rows += [{metric: value, 'step': 9} for value in values]
        log.write_text('\n'.join(map(json.dumps, rows)) + '\n' + tail)
        return str(tmp_path / name)

    return run


def test_mean_and_deviation_of_the_last_values(write, capsys):
    compare_runs.main(
        [
            write('my-way-0', [0.1, 0.5]),
            write('my-way-1', [0.7]),
            write('alone-0', [0.2]),
        ]
    )
    assert capsys.readouterr().out.splitlines()[2:] == [
        '| alone | 0.200 | 0.200 | nan | 2.00 |',
        '| my-way | 0.500, 0.700 | 0.600 | 0.141 | 2.00 |',
    ]


@pytest.fixture
def refused(capsys):
    def call(*words):
        with pytest.raises(SystemExit) as end:
            compare_runs.main([str(word) for word in words])
        assert end.value.code == 2
        out, err = capsys.readouterr()
        assert not out and len(err.splitlines()) == 1
        return err

    return call


@pytest.mark.parametrize('words', [[], ['--metric', 'accuracy/top1']])
def test_a_run_that_was_not_validated(words, write, refused):
    assert 'is the run finished?' in refused(write('a-0', []), *words)


def test_a_finished_run_without_the_metric(write, refused):
    runs = [write('a-0', [50.0], 'mIoU'), write('b-0', [1.0], 'accuracy/top1')]
    message = refused(*runs, '--metric', 'accuracy/top5')
    assert 'a-0 has logged no accuracy/top5' in message
    assert 'Its validation has mIoU:' in message and '--metric' in message
    message = refused(runs[1], '--metric', 'accuracy/top5')
    assert "the closest are 'accuracy/top1'" in message
    # The first run decides, and the second has another.
    assert 'b-0 has logged no mIoU' in refused(*runs)
    for message in (refused(*runs), refused(runs[1], '--metric', 'mAcc')):
        assert 'is the run finished' not in message


@pytest.mark.parametrize('metric', ['accuracy/top1', 'mIoU'])
def test_the_metric_of_another_task_is_found(metric, write, capsys):
    run = write('a-0', [0.5], metric)
    compare_runs.main([run])
    first = capsys.readouterr().out
    assert f'| {metric}, by seed |' in first and '| 0.500 |' in first
    compare_runs.main([run, '--metric', 'loss'])  # of the training
    assert '| a | 1.000 |' in capsys.readouterr().out


def test_the_usual_metric_comes_before_the_first(write, capsys):
    run = write('a-0', [0.2])
    (log,) = Path(run).glob('*/vis_data/scalars.json')
    row = dict(data_time=1.0, time=1.0, step=9)
    lines = [dict(row, mIoU=3.0), {**row, 'coco/bbox_mAP': 0.4}]
    log.write_text(''.join(json.dumps(line) + '\n' for line in lines))
    compare_runs.main([run])
    assert '| coco/bbox_mAP, by seed |' in capsys.readouterr().out


def test_the_same_seed_in_two_folders(write, refused):
    runs = write('x/a-0', [0.1]), write('y/a-0', [0.2])
    message = refused(*runs)
    assert all(run in message for run in runs)
    assert 'both seed 0 of method a' in message and 'rename' in message


@pytest.mark.parametrize('name', ['alone', 'my-way', '-0'])
def test_a_name_without_a_seed(name, write, refused):
    message = refused(write('a-0', [0.1]), write(name, [0.1]))
    assert '<method>-<seed>' in message and 'rename it' in message


def test_a_folder_twice(write, refused, tmp_path, monkeypatch):
    run = write('a-0', [0.1])
    monkeypatch.chdir(run)
    assert 'is named twice' in refused(run, '.')
    (tmp_path / 'b-0').symlink_to(run)
    assert 'is named twice' in refused(run, tmp_path / 'b-0')


def test_seeds_stand_in_their_order(write, capsys):
    compare_runs.main([write(f'a-{i}', [i / 100]) for i in (10, 9)])
    assert '| a | 0.090, 0.100 |' in capsys.readouterr().out


@pytest.mark.parametrize('tail', ['{"step', '5', '[1]'])
def test_a_damaged_log(tail, write, refused):
    message = refused(write('a-0', [0.1], tail=tail))
    assert 'scalars.json is cut or no log of MMEngine' in message


def test_no_run(refused, tmp_path):
    assert 'no such work dir' in refused(tmp_path / 'gone')
