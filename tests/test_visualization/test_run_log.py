# Copyright (c) mmdiffkd contributors.
import json

import numpy as np
import pytest

from mmdiffkd.utils import UserError
from mmdiffkd.visualization import read_metrics, read_run, read_scalars


def test_curves_of_training_and_validation(quickstart):
    run = read_run(quickstart[0] / 'student')
    steps, values = run.train['loss_cls']
    np.testing.assert_array_equal(steps, np.arange(5, 45, 5))
    np.testing.assert_allclose(values, 2 / steps)
    # MMEngine logs the epoch as the step of a validation; the curve has the
    # iteration, so that it lies under the training curves.
    steps, values = run.val['coco/bbox_mAP']
    assert steps.tolist() == [20, 40]
    np.testing.assert_allclose(values, [0.2, 0.4])
    assert 'epoch' not in run.train and 'step' not in run.val


def test_families_group_what_distillation_logs_by_level(quickstart):
    families = read_run(quickstart[0] / 'diffkd').families()
    assert {name: list(levels) for name, levels in families.items()} == {
        'loss_kd': ['p3', 'p4'],
        'loss_diff': ['p3', 'p4'],
        'gamma_mean': ['p3', 'p4'],
    }
    assert families['gamma_mean']['p4'][1][0] == 0.6
    assert families['loss_kd']['p4'][1][0] == 3


@pytest.mark.parametrize(
    'name, family, level',
    [
        ('distill.loss_kd_p3', 'loss_kd', 'p3'),
        ('distill.diff_p3.loss_diff', 'loss_diff', 'p3'),
        ('distill.p5.feature_scale', 'feature_scale', 'p5'),
        ('distill.loss_kd', 'loss_kd', ''),
        ('distill.diff_head.loss_ae', 'loss_ae', 'head'),
    ],
)
def test_names_are_split_into_family_and_level(tmp_path, name, family, level):
    folder = tmp_path / 'run' / '1' / 'vis_data'
    folder.mkdir(parents=True)
    (folder / 'scalars.json').write_text(f'{{"{name}": 2.0, "iter": 1}}\n')
    families = read_run(tmp_path / 'run').families()
    assert list(families) == [family]
    assert list(families[family]) == [level]


def test_a_loss_belongs_to_the_level_of_a_connector(tmp_path):
    folder = tmp_path / '1' / 'vis_data'
    folder.mkdir(parents=True)
    names = (
        'distill.diff_logits.loss_diff',
        'distill.loss_kd_logits',
        'distill.diff_feature.loss_diff',
        'distill.loss_kd_feature',
        'distill.loss_kd',
    )
    row = dict.fromkeys(names, 1.0)
    (folder / 'scalars.json').write_text(json.dumps(dict(row, iter=1)) + '\n')
    families = read_run(tmp_path).families()
    assert {name: sorted(levels) for name, levels in families.items()} == {
        'loss_diff': ['feature', 'logits'],
        'loss_kd': ['', 'feature', 'logits'],
    }


def test_the_newest_start_of_a_run_counts(tmp_path):
    for stamp, loss in (('20260101_000000', 9), ('20260102_000000', 1)):
        folder = tmp_path / stamp / 'vis_data'
        folder.mkdir(parents=True)
        (folder / 'scalars.json').write_text(f'{{"loss": {loss}, "iter": 1}}')
    assert read_run(tmp_path).train['loss'][1] == [1]


def test_half_a_last_line_is_dropped_and_other_damage_is_an_error(tmp_path):
    path = tmp_path / 'scalars.json'
    path.write_text('{"loss": 1}\n{"loss": 2}\n{"lo')
    assert read_scalars(path) == [{'loss': 1}, {'loss': 2}]
    path.write_text('{"loss": 1}\nEpoch 1\n{"loss": 2}\n')
    with pytest.raises(UserError, match='line 2'):
        read_scalars(path)


def test_words_between_the_numbers_are_passed_over(tmp_path):
    path = tmp_path / 'scalars.json'
    path.write_text('{"loss": 1, "note": "x", "sizes": [1], "none": null}\n')
    assert read_scalars(path) == [{'loss': 1}]


@pytest.mark.parametrize('line', [b'5', b'[1]', b'\xff\xfe', b''])
def test_a_damaged_line_is_named(tmp_path, line):
    path = tmp_path / 'scalars.json'
    path.write_bytes(b'{"loss": NaN}\n' + line + b'\n{"loss": 2}\n')
    with pytest.raises(UserError, match='line 2: not a JSON object'):
        read_scalars(path)


def test_missing_log_names_folder_and_file(tmp_path):
    with pytest.raises(UserError, match=f'{tmp_path}.*scalars.json'):
        read_run(tmp_path)


def test_metrics_of_a_test_run(quickstart):
    metrics = read_metrics(quickstart[0] / 'test' / 'diffkd')
    assert metrics['coco/bbox_mAP'] == 0.3
