# Copyright (c) mmdiffkd contributors.
"""The views of segmentation and classification, and the tools on them."""

import json
import pickle
import subprocess
import sys
from pathlib import Path

import cv2
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from mmdiffkd.datasets.cityscapes import PALETTE, VOID
from mmdiffkd.visualization import VIEWS
from mmdiffkd.visualization.segments import mean_iou, overlay
from mmdiffkd.visualization.style import FALSE, FOUND
from test_visualization.conftest import training_rows, write_log

TOOLS = Path(__file__).parents[2] / 'tools' / 'analysis_tools'
METRICS = dict(
    seg=dict(mIoU=40.0, mAcc=50.0, aAcc=90.0), cls={'accuracy/top1': 60.0}
)


def write_runs(work, metrics):
    """Training and test logs of the three models, ten per cent apart."""
    for i, (name, prefix, levels) in enumerate(
        (
            ('teacher', '', ()),
            ('student', '', ()),
            ('diffkd', 'student.', ('logits',)),
        )
    ):
        write_log(
            work / name, training_rows(prefix, levels, next(iter(metrics)))
        )
        test = work / 'test' / name / '20260101_000001'
        test.mkdir(parents=True)
        found = {key: value - 10 * i for key, value in metrics.items()}
        (test / '20260101_000001.json').write_text(json.dumps(found))


@pytest.fixture
def seg(tmp_path):
    """Two images, half of each a 'zero'; the student takes it for a 'one'."""
    data, work = tmp_path / 'data', tmp_path / 'work'
    write_runs(work, METRICS['seg'])
    folders = [data / kind / 'test/demo' for kind in ('leftImg8bit', 'gtFine')]
    for folder in folders:
        folder.mkdir(parents=True)
    labels = np.zeros((20, 30), np.uint8)
    labels[:10] = 1
    labels[10] = VOID
    for i in range(2):
        name = f'demo_{i}'
        cv2.imwrite(
            str(folders[0] / f'{name}_leftImg8bit.png'),
            np.full((20, 30, 3), 100, np.uint8),
        )
        cv2.imwrite(
            str(folders[1] / f'{name}_gtFine_labelTrainIds.png'), labels
        )
        for model in ('teacher', 'student', 'diffkd'):
            found = np.where(labels == VOID, 0, labels)
            if model == 'student':
                found[:10] = 2
            folder = work / 'test' / model / 'predictions'
            folder.mkdir(exist_ok=True)
            cv2.imwrite(str(folder / f'{name}_leftImg8bit.png'), found)
    return work, data


@pytest.fixture
def cls(tmp_path):
    """A three and a seven; the student alone takes all for a three."""
    data, work = tmp_path / 'data', tmp_path / 'work'
    write_runs(work, METRICS['cls'])
    rows = []
    for label in (3, 7):
        path = data / 'test' / str(label) / '000001_0.png'
        path.parent.mkdir(parents=True)
        cv2.imwrite(str(path), np.full((32, 32, 3), 30 * label, np.uint8))
        scores = torch.full((10,), 0.05)
        scores[label] = 0.55
        rows.append(
            dict(
                img_path=str(path),
                pred_label=torch.tensor([label]),
                pred_score=scores,
            )
        )
    for model in ('teacher', 'student', 'diffkd'):
        if model == 'student':
            rows[1] = dict(rows[1], pred_label=torch.tensor([3]))
        with open(work / 'test' / model / 'predictions.pkl', 'wb') as file:
            pickle.dump(rows, file)
        rows[1]['pred_label'] = torch.tensor([7])
    return work, data


def predictions(view, work):
    return {
        title: view.read_predictions(work / 'test' / name)
        for title, name in (
            ('student alone', 'student'),
            ('student distilled', 'diffkd'),
        )
    }


def test_segments_are_drawn_with_their_iou(seg):
    work, data = seg
    view = VIEWS['seg'](data)
    figure = plt.figure(layout='constrained')
    view.draw_images(figure.subfigures(), predictions(view, work), 2)
    labels = [axes.get_xlabel() for axes in figure.axes]
    # Columns are images, rows the image, the truth and both students.
    assert labels == [''] * 4 + ['IoU 33%'] * 2 + ['IoU 100%'] * 2
    shown = [axes.images[0].get_array() for axes in figure.axes]
    # On void, where the truth is white, a student says something.
    ink = np.s_[:10]
    np.testing.assert_array_equal(shown[2][ink], shown[6][ink])
    assert (shown[2][ink] != shown[4][ink]).any(axis=-1).all()
    assert (shown[0] == 100).all()
    plt.close(figure)


def test_overlay_shows_the_class_more_than_the_image():
    image = np.full((1, 3, 3), 90, np.uint8)
    colours = overlay(image, np.array([[0, 5, VOID]], np.uint8))[0]
    assert abs(colours[1].astype(int) - PALETTE[5]).max() < 25
    assert colours[0].tolist() == [int(0.55 * 90 + 0.45 * 40)] * 3
    assert colours[2].min() > 200


@pytest.mark.parametrize(
    'found, iou',
    [
        ([[1, 1, 0, 0]], 1.0),
        ([[1, 0, 0, 0]], (1 / 2 + 1 / 2) / 2),
        ([[2, 2, 0, 0]], 1 / 3),
    ],
)
def test_mean_iou_leaves_void_out(found, iou):
    truth = np.array([[1, 1, 0, VOID]])
    assert mean_iou(np.array(found), truth) == pytest.approx(iou)


def test_classes_are_named_right_or_wrong(cls):
    work, data = cls
    view = VIEWS['cls'](data)
    figure = plt.figure()
    view.draw_images(figure, predictions(view, work), 2)
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title() for axes in shown] == ['three', 'seven']
    texts = [
        [(text.get_text(), text.get_color()) for text in axes.texts]
        for axes in shown
    ]
    assert texts == [
        [('alone: three', FOUND), ('distilled: three', FOUND)],
        [('alone: [three]', FALSE), ('distilled: seven', FOUND)],
    ]
    plt.close(figure)


def run_tool(name, *args):
    return subprocess.run(
        [sys.executable, str(TOOLS / name), *map(str, args)],
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize(
    'task, metric', [('seg', 'mIoU'), ('cls', 'top-1 accuracy')]
)
def test_report_and_summary(task, metric, request):
    work, data = request.getfixturevalue(task)
    result = run_tool(
        'quickstart_report.py', work, '--task', task, '--data', data
    )
    assert result.returncode == 0, result.stderr
    assert plt.imread(work / 'report.png').shape[1] == 1600
    values = [f'{v:.1f}' for v in METRICS[task].values()]
    (row,) = [x for x in result.stdout.splitlines() if 'teacher' in x]
    assert row.split() == ['teacher', *values, '40', '0.250']

    result = run_tool('quickstart_summary.py', f'{task}={work}')
    assert result.returncode == 0, result.stderr
    row = [x for x in result.stdout.splitlines() if x.strip().startswith(task)]
    best = next(iter(METRICS[task].values()))
    assert row[0].split() == [
        task,
        *metric.split(),
        *(f'{value:.1f}' for value in (best, best - 10, best - 20)),
        '-10.0',
    ]
    assert row[1].split() == [task, f'{work}/report.png']


@pytest.mark.parametrize(
    'run, message',
    [
        ('seg', "'seg' is not TASK=WORK_DIR"),
        ('audio=here', 'one of the tasks det, seg, cls'),
        ('cls=nowhere', 'nowhere/report.json does not exist'),
    ],
)
def test_summary_names_what_is_wrong(run, message):
    result = run_tool('quickstart_summary.py', run)
    assert result.returncode == 2
    assert message in result.stderr and 'Traceback' not in result.stderr
