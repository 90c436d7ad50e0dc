# Copyright (c) mmdiffkd contributors.
import json
import statistics
from pathlib import Path

import numpy as np
import pytest

from mmdiffkd.commands import plot
from mmdiffkd.utils import UserError
from mmdiffkd.visualization import read_run
from mmdiffkd.visualization.run_configs import config_name, differences
from mmdiffkd.visualization.run_curves import draw_runs
from mmdiffkd.visualization.run_groups import (
    TASK_LOSS,
    band_of,
    choose_keys,
    read_groups,
)

from .conftest import training_rows, write_log


@pytest.fixture
def runs(tmp_path):
    """Three seeds of a distillation, and one run of the student alone."""
    folders = []
    for seed in range(3):
        rows = training_rows('student.', ('p3', 'p4'))
        for row in rows:
            for key in row:
                if 'loss' in key or 'mAP' in key:
                    row[key] *= 1 + seed / 10
        folders.append(tmp_path / f'run{seed}')
        write_log(folders[-1], rows)
        (folders[-1] / 'small_diffkd.py').write_text('')
        (folders[-1] / 'student_last.py').write_text('')
    folders.append(tmp_path / 'alone-0')
    write_log(folders[-1], training_rows())
    return list(map(str, folders))


def test_runs_of_one_config_are_one_group(runs):
    groups = read_groups(runs)
    assert [(g.name, len(g.runs)) for g in groups] == [
        ('small_diffkd', 3),
        ('alone', 1),
    ]
    named = read_groups([runs[0], f'mine={runs[1]}', f'mine={runs[3]}'])
    assert [(g.name, len(g.runs)) for g in named] == [
        ('small_diffkd', 1),
        ('mine', 2),
    ]


def test_mean_and_deviation_are_those_of_the_runs(runs):
    group = read_groups(runs[:3])[0]
    band = group.band('loss_kd')
    # Level p3 has 10 / step, level p4 one more; seeds have 1, 1.1 and 1.2.
    values = [(10 / 5 + 0.5) * factor for factor in (1, 1.1, 1.2)]
    assert band.steps[0] == 5 and len(band.steps) == 8
    assert band.mean[0] == pytest.approx(statistics.mean(values))
    assert band.deviation[0] == pytest.approx(statistics.stdev(values))
    assert list(group.levels('loss_diff')) == ['p3', 'p4']
    assert group.band('coco/bbox_mAP').steps.tolist() == [20, 40]


def test_the_tasks_loss_is_comparable_with_the_student_alone(runs):
    distilled, alone = read_groups([runs[0], runs[3]])
    (steps, values), (_, plain) = (
        distilled.curves(TASK_LOSS)[0],
        alone.curves(TASK_LOSS)[0],
    )
    np.testing.assert_allclose(values, 2 / steps + 1 / steps)
    np.testing.assert_allclose(plain, 3 / steps)


def test_iterations_that_one_run_lacks_are_left_out():
    band = band_of(
        [
            (np.array([1.0, 2, 3]), np.array([1.0, 2, 3])),
            (np.array([2.0, 3, 4]), np.array([4.0, 5, 6])),
        ]
    )
    assert band.steps.tolist() == [2, 3] and band.mean.tolist() == [3, 4]


def test_a_resumed_run_is_whole(tmp_path):
    rows = [dict(loss=1.0, iter=i) for i in (10, 20, 30)]
    rows.insert(2, dict(mAP=0.1, step=1))
    write_log(tmp_path, rows)
    write_log(
        tmp_path,
        [dict(loss=2.0, iter=i) for i in (30, 40)] + [dict(mAP=0.2, step=2)],
        stamp='20260102_000000',
    )
    run = read_run(tmp_path)
    assert [c.tolist() for c in run.train['loss']] == [
        [10, 20, 30, 40],
        [1, 1, 2, 2],
    ]
    assert [c.tolist() for c in run.val['mAP']] == [[20, 40], [0.1, 0.2]]


def test_a_folder_without_a_config_counts_by_its_name(tmp_path):
    for name, expected in (
        ('diffkd-0', 'diffkd'),
        ('diffkd_seed12', 'diffkd'),
        ('diffkd_r50', 'diffkd_r50'),
    ):
        (tmp_path / name).mkdir()
        assert config_name(tmp_path / name) == expected


def test_runs_of_other_settings_are_not_mixed_in_silence(runs, capsys):
    text = "work_dir = '{0}'\nrandomness = dict(seed={0})\nm = dict(a=[{1}])\n"
    for i, folder in enumerate(runs[:3]):
        file = Path(folder) / 'small_diffkd.py'
        file.write_text(text.format(i, int(i == 2)))
    folders = list(map(Path, runs))
    assert differences(folders[0], folders[1]) == []
    assert differences(folders[0], folders[2]) == ['m.a']
    assert differences(folders[0], folders[3]) == []  # which has none
    out = str(Path(runs[0]) / 'a.png')
    plot.main([*runs, '-o', out, '--keys', 'loss'])
    assert 'differ in 1 keys, such as m.a' in capsys.readouterr().out
    plot.main([*runs[:2], '-o', out, '--keys', 'loss', '--overwrite'])
    assert 'WARNING' not in capsys.readouterr().out


def test_each_quantity_has_a_panel_and_each_group_a_curve(runs):
    groups = read_groups(runs)
    keys = choose_keys(groups)
    assert keys == [
        'coco/bbox_mAP',
        TASK_LOSS,
        'loss',
        'loss_kd',
        'loss_diff',
        'gamma_mean',
    ]
    figure = draw_runs(groups, keys)
    panels = [axes for axes in figure.axes if axes.get_visible()]
    assert len(panels) == 6
    drawn = [
        [line.get_label() for line in axes.lines if line.get_label()[0] != '_']
        for axes in panels
    ]
    assert drawn[:3] == [['small_diffkd', 'alone']] * 3
    assert drawn[3:] == [['small_diffkd']] * 3
    assert [len(axes.collections) for axes in panels] == [1] * 6  # bands
    legend = [text.get_text() for text in figure.legends[0].texts]
    assert legend == ['small_diffkd (3 runs)', 'alone (1 run)']


def test_one_group_shows_its_levels(runs):
    figure = draw_runs(read_groups(runs[:3]), ['loss_diff'])
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.get_legend().texts] == [
        'p3',
        'p4',
    ]
    # No colour stands for the group there.
    assert not figure.legends
    assert figure.get_suptitle() == 'small_diffkd (3 runs)'


def test_the_command_writes_one_picture_once(runs, tmp_path, capsys):
    out = tmp_path / 'a.svg'
    plot.main([*runs, '-o', str(out), '--keys', 'loss'])
    said = capsys.readouterr().out
    assert 'small_diffkd: 3 runs\nalone: 1 run\n' in said
    assert '<svg' in out.read_text()
    with pytest.raises(SystemExit) as end:
        plot.main([*runs, '-o', str(out)])
    assert end.value.code == 2
    assert '--overwrite' in capsys.readouterr().err
    plot.main([runs[0], '-o', str(out), '--overwrite'])


def test_wrong_runs_and_keys(runs, tmp_path):
    with pytest.raises(UserError, match='gone does not exist'):
        read_groups([str(tmp_path / 'gone')])
    with pytest.raises(UserError, match='run0 is named twice'):
        read_groups([runs[0], runs[0]])
    (tmp_path / 'young/1/vis_data').mkdir(parents=True)
    (tmp_path / 'young/1/vis_data/scalars.json').write_text(
        json.dumps(dict(mAP=1.0)) + '\n'
    )
    with pytest.raises(UserError, match='no iteration yet'):
        read_groups([str(tmp_path / 'young')])
    with pytest.raises(UserError, match="'loss_dif'; the closest.*loss_diff"):
        choose_keys(read_groups(runs[:1]), ['loss_dif'])
