# Copyright (c) mmdiffkd contributors.
"""Checks of data and work dir, before anything is built."""

from pathlib import Path

import pytest
from mmengine.config import Config

from mmdiffkd.engine.checks.settings import (
    check_data,
    check_folder,
    check_work_dir,
    earlier_checkpoints,
)
from mmdiffkd.utils import UserError


def loader(**dataset):
    return dict(dataset=dict(type='CocoDataset', **dataset))


def test_datasets_inside_wrappers_are_found():
    inner = dict(type='CocoDataset', ann_file='/nowhere.json')
    cfg = Config(
        dict(
            train_dataloader=dict(
                dataset=dict(
                    type='RepeatDataset',
                    times=2,
                    dataset=dict(type='ConcatDataset', datasets=[inner]),
                )
            )
        )
    )
    key = 'train_dataloader.dataset.dataset.datasets.0.ann_file'
    with pytest.raises(UserError, match=key):
        check_data(cfg, ('train',))


def test_absolute_paths_need_no_data_root(tmp_path):
    labels = tmp_path / 'labels.json'
    labels.write_text('{}')
    cfg = Config(
        dict(
            train_dataloader=loader(
                data_root='',
                ann_file=str(labels),
                data_prefix=dict(img=str(tmp_path)),
            )
        )
    )
    check_data(cfg, ('train', 'val', 'test'))


@pytest.mark.parametrize(
    'dataset',
    [
        dict(data_root='s3://bucket/coco/', ann_file='labels.json'),
        dict(
            data_root='/remote',
            ann_file='labels.json',
            backend_args=dict(backend='petrel'),
        ),
        dict(data_root='/made/on/first/use'),
    ],
)
def test_what_is_not_on_this_machine_is_not_checked(dataset):
    check_data(Config(dict(train_dataloader=loader(**dataset))), ('train',))


def test_evaluators_in_a_list_are_checked():
    cfg = Config(
        dict(
            val_evaluator=[
                dict(type='A'),
                dict(type='CocoMetric', ann_file='/nowhere.json'),
            ]
        )
    )
    with pytest.raises(UserError, match='val_evaluator.1.ann_file'):
        check_data(cfg, ('val',))


def test_resuming_may_use_the_work_dir(tmp_path):
    (tmp_path / 'iter_100.pth').write_bytes(b'')
    cfg = Config(dict(work_dir=str(tmp_path)))
    with pytest.raises(UserError, match='iter_100.pth'):
        check_work_dir(cfg)
    cfg.resume = True
    check_work_dir(cfg)


def test_only_checkpoints_of_runs_count(tmp_path):
    for name in ('teacher.pth', 'epoch_1_student.pth', 'epoch_1.pth.txt'):
        (tmp_path / name).write_bytes(b'')
    assert earlier_checkpoints(str(tmp_path)) == []
    assert earlier_checkpoints(str(tmp_path / 'absent')) == []


def test_a_file_system_that_refuses_what_permissions_allow():
    if not Path('/proc/self').is_dir():
        pytest.skip('Linux only')
    with pytest.raises(UserError, match="--x '/proc' cannot be written to"):
        check_folder('/proc', '--x')
