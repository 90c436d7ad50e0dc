# Copyright (c) mmdiffkd contributors.
"""The study tool with real trainings and tests."""

import json
import sys
from pathlib import Path

import pytest

STUDY = """
data_sets = dict(
    tiny=dict(
        metric='coco/bbox_mAP',
        teacher=dict(config='{student}', seed=3,
                     options={{'train_cfg.val_interval': 1}}),
        diffusion=dict(config='{distill}', seed=2, iters=3),
        options={{'train_cfg.val_interval': 1}},
        methods=dict(
            alone=dict(config='{student}'),
            diffkd=dict(
                config='{distill}',
                diffusion_ckpt=['model.distiller.connectors.diff_p3'
                                '.diffusion_ckpt']),
            control=dict(
                config='control.py',
                tune=dict(weight=dict(
                    keys=['model.distiller.distill_losses.loss_kd_p3'
                          '.loss_weight'],
                    choices=[0.5, 2.0]))))))
trials = 1
seeds = [5]
"""
CONTROL = """
_base_ = '{distill}'
model = dict(distiller=dict(connectors=dict(diff_p3=dict(
    _delete_=True, type='mmdiffkd.MimicConnector', student_channels=16,
    teacher_channels=16))))
"""


@pytest.mark.slow
def test_a_study_of_real_runs(tiny, checkout, process, tmp_path):
    (tmp_path / 'study.py').write_text(
        STUDY.format(student=tiny.student, distill=tiny.distill)
    )
    (tmp_path / 'control.py').write_text(CONTROL.format(distill=tiny.distill))
    command = [
        sys.executable,
        checkout / 'tools/analysis_tools/study.py',
        'study.py',
    ]
    result = process(*command, '--picture', 'p.png', cwd=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    path = Path(tmp_path, 'work_dirs/studies/study/results.jsonl')
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    purposes = sorted((row['method'], row['purpose']) for row in rows)
    assert purposes == [
        ('alone', 'test'),
        ('control', 'test'),
        ('control', 'tune'),
        ('diffkd', 'test'),
        ('diffusion', 'diffusion'),
        ('teacher', 'teacher'),
    ]
    for row in rows:
        assert isinstance(row['val'], float)
        assert row['iterations'] == (3 if row['method'] == 'diffusion' else 4)
        assert row['seconds'] > 0 and row['cpu_seconds'] > 0
        assert ('test' in row) == (row['purpose'] == 'test')
    assert '| control | 1 |' in result.stdout
    assert (tmp_path / 'p.png').is_file()
    again = process(*command, cwd=tmp_path)
    assert again.returncode == 0 and 'min,' not in again.stdout
    assert again.stdout.strip() in result.stdout
    printed = process(*command, '--tables', cwd=tmp_path)
    assert printed.stdout == again.stdout
