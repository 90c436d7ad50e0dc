# Copyright (c) mmdiffkd contributors.
"""Data that does not fit its model, as `tools/train.py` answers it."""

import sys
from pathlib import Path

import pytest
import torch

TRAIN = Path(__file__).resolve().parents[2] / 'tools/train.py'

SWAPPED = """
_base_ = '{base}'
_base_.train_dataloader.dataset.pop('metainfo')
one = dict(_base_.train_dataloader.dataset, metainfo=dict(
    classes=('red', 'blue')))
other = dict(_base_.train_dataloader.dataset, metainfo=dict(
    classes=('blue', 'red')))
train_dataloader = dict(dataset=dict(
    _delete_=True, type='RepeatDataset', times=1, dataset=dict(
        type='ConcatDataset', datasets=[one, other])))
"""


@pytest.mark.slow
def test_sets_in_another_order_train_with_a_warning(process, tiny, tmp_path):
    config = tmp_path / 'c.py'
    config.write_text(SWAPPED.replace('{base}', tiny.distill))
    run = process(sys.executable, TRAIN, config, '--work-dir', tmp_path / 'w')
    assert run.returncode == 0, run.stderr[-3000:]
    log = run.stdout + run.stderr
    assert 'label 0 means two things' in log
    assert 'distillation at iteration 1' in log
    student = torch.load(tmp_path / 'w/student_last.pth', weights_only=True)
    dataset_meta = student['meta']['dataset_meta']
    assert dataset_meta['classes'] == ('red', 'blue')
    assert 'cumulative_sizes' not in dataset_meta
    # An inferencer of stock MMDetection reads one dict.
    text = (
        'from mmdet.apis import DetInferencer\n'
        f'i = DetInferencer(weights={str(tmp_path / "w/student_last.pth")!r},'
        " device='cpu')\n"
        "assert i.visualizer.dataset_meta['classes'] == ('red', 'blue')\n"
    )
    stock = process(sys.executable, '-c', text, cwd=tmp_path)
    assert stock.returncode == 0, stock.stderr[-3000:]
    # So does an export of the training checkpoint.
    export = process(
        sys.executable,
        TRAIN.parent / 'model_converters/export_student.py',
        tmp_path / 'w/epoch_1.pth',
        tmp_path / 's.pth',
    )
    assert export.returncode == 0, export.stderr
    meta = torch.load(tmp_path / 's.pth', weights_only=True)['meta']
    assert meta['dataset_meta'] == dataset_meta


LOADER = 'train_dataloader.dataset.pipeline.1.with_mask=True'


def answered(run):
    """The one line of a run that must not begin."""
    assert run.returncode == 2, run.stderr[-3000:]
    assert 'Traceback' not in run.stderr
    lines = [line for line in run.stderr.splitlines() if 'error: ' in line]
    assert len(lines) == 1, run.stderr
    return lines[0]


@pytest.mark.slow
@pytest.mark.parametrize('kind', ['student', 'distill'])
def test_boxes_where_masks_are_needed(process, tiny, tmp_path, kind):
    run = process(
        sys.executable,
        TRAIN,
        getattr(tiny, kind),
        '--work-dir',
        tmp_path / 'w',
        '--cfg-options',
        LOADER,
    )
    line = answered(run)
    assert 'train_dataloader.dataset: ' in line and 'no mask' in line
    assert 'Epoch(train)' not in run.stdout


CLASSIFIER = """
_base_ = '{root}/configs/demo/digits_cls_student.py'
custom_imports = dict(imports=['mmdiffkd'], allow_failed_imports=False)
data_preprocessor = dict(num_classes=1000)
model = dict(head=dict(num_classes=5, topk=(1,)))
data = dict(type='CustomDataset', data_root='{data}', pipeline=[
    dict(type='LoadImageFromFile'), dict(type='PackInputs')])
train_dataloader = dict(num_workers=0, persistent_workers=False, batch_size=2,
    dataset=dict(_delete_=True, type='RepeatDataset', times=2, dataset=data))
val_dataloader = val_cfg = val_evaluator = None
test_dataloader = test_cfg = test_evaluator = None
"""


@pytest.mark.slow
def test_a_classifier_of_five_classes_on_ten(process, tmp_path):
    import cv2
    import numpy as np

    for i in range(10):
        folder = tmp_path / 'data' / f'c{i}'
        folder.mkdir(parents=True)
        cv2.imwrite(str(folder / '0.png'), np.zeros((32, 32, 3), np.uint8))
    (tmp_path / 'c.py').write_text(
        CLASSIFIER.replace('{root}', str(TRAIN.parents[1])).replace(
            '{data}', str(tmp_path / 'data')
        )
    )
    run = process(
        sys.executable, TRAIN, tmp_path / 'c.py', '--work-dir', tmp_path / 'w'
    )
    line = answered(run)
    assert 'has 10 classes, and the student tells 5 apart' in line
    assert 'num_classes of its head' in line
