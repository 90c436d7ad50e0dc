# Copyright (c) mmdiffkd contributors.
"""``mmdiffkd compare-runs``: a row for each method, over its seeds."""

import json

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


@pytest.mark.parametrize('words', [[], ['--metric', 'accuracy/top1']])
def test_a_run_without_the_metric(words, write, capsys):
    with pytest.raises(SystemExit) as end:
        compare_runs.main([write('a-0', [] if not words else [0.1]), *words])
    assert end.value.code == 2
    assert 'is the run finished?' in capsys.readouterr().err


def test_a_cut_log_and_no_run(write, tmp_path, capsys):
    for words in (write('a-0', [0.1], tail='{"step'), str(tmp_path / 'gone')):
        with pytest.raises(SystemExit) as end:
            compare_runs.main([words])
        assert end.value.code == 2
    assert 'no such work dir' in capsys.readouterr().err
